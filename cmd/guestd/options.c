/* options.c - guestd's command line. */
#include <config.h>

#include "cmd/guestd/options.h"

#include <stdio.h>
#include <string.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/role.h"
#include "cmd/guestd/successor.h"
#include "libcore/nic_regs.h"
#include "libcore/queue.h"
#include "libcore/units.h"

#define RING_DEFAULT   1024u
#define BUFFER_DEFAULT 2048u
#define BUFFER_MIN     256u
#define BUFFER_MAX     9216u
#define IDLE_DEFAULT   (2 * NS_PER_S)
/* The switch has no flow control: at this rate a receiver that is kept from
 * running for 50 ms still loses nothing. */
#define PPS_DEFAULT     20000u
#define LIMIT_DEFAULT   (100 * NS_PER_MS)
#define MONITOR_DEFAULT (10 * NS_PER_MS)
#define DRAIN_DEFAULT   (500 * NS_PER_MS)

enum {
	OPT_VM = 1000,
	OPT_VF,
	OPT_MANAGEMENT,
	OPT_REQUESTS,
	OPT_SEND,
	OPT_ECHO,
	OPT_SINK,
	OPT_PPS,
	OPT_TIMING,
	OPT_TAP,
	OPT_ROUNDTRIP,
	OPT_POLL,
	OPT_MESSAGES,
	OPT_ACCESSES,
	OPT_TTY,
	OPT_BYTES,
	OPT_EXCHANGE,
	OPT_ONCE,
	OPT_IDLE,
	OPT_RING,
	OPT_RING_START,
	OPT_BUFFER,
	OPT_SUCCESSOR,
	OPT_DETECT,
	OPT_LIMIT,
	OPT_MONITOR,
	OPT_DRAIN,
	OPT_SYNC,
	OPT_CHECK,
	OPT_RATE_LOG,
	OPT_ROLE,
};

static const struct argp_option options[] = {
	{ "vm", OPT_VM, "N", 0, "be VM N (1 to 4095); required", 1 },
	{ "vf", OPT_VF, "FUNCTION|SLOT", 0,
	  "the VF of workloads that name none (nic1/vf1, or slot 0 to 31)", 1 },
	{ "management", OPT_MANAGEMENT, NULL, 0,
	  "drive the PF that the hypervisor gave to this VM", 1 },
	{ "ring", OPT_RING, "N", 0,
	  "entries of each queue, a power of two (1024)", 1 },
	{ "ring-start", OPT_RING_START, "INDEX", 0,
	  "where the indexes of each queue begin (0)", 1 },
	{ "buffer", OPT_BUFFER, "SIZE", 0,
	  "bytes of each buffer, 256 to 9216 (2048)", 1 },
	{ NULL, 0, NULL, 0, "Workloads, any number of them:", 2 },
	{ "requests", OPT_REQUESTS, "SPEC", 0,
	  "keep DEPTH register reads outstanding; SPEC is DEPTH[,count=N]"
	  "[,rate=R][,register=O][,vf=V]",
	  2 },
	{ "send", OPT_SEND, "SPEC", 0,
	  "send frames; SPEC is to=MAC|FUNCTION[,rate=R][,size=S|A-B]"
	  "[,count=N][,depth=N][,seed=N][,payload=P][,vf=V], and P numbered "
	  "and checksummed (default) or plain",
	  2 },
	{ "roundtrip", OPT_ROUNDTRIP, "SPEC", 0,
	  "send one frame at a time to an echo, and take the time; SPEC is "
	  "to=MAC|FUNCTION[,count=N][,size=S][,vf=V]",
	  2 },
	{ "echo", OPT_ECHO, NULL, 0, "send back what comes for the VF", 2 },
	{ "sink", OPT_SINK, NULL, 0, "count what comes", 2 },
	{ "read", 'r', "FILE|-", 0, "send the frames of a pcap", 2 },
	{ "write", 'w', "FILE|-", 0, "write what comes as pcap", 2 },
	{ "tap", OPT_TAP, "NAME", 0, "join the VF to a TAP device", 2 },
	{ "messages", OPT_MESSAGES,
	  "[to=MAC|FUNCTION][,rate=R][,size=S|A-B][,count=N][,seed=N]"
	  "[,vf=SLOT]",
	  OPTION_ARG_OPTIONAL,
	  "send numbered messages with an Ethernet card, by default to itself",
	  2 },
	{ "accesses", OPT_ACCESSES, "[write][,depth=N][,count=N][,vf=SLOT]",
	  OPTION_ARG_OPTIONAL,
	  "keep reads or writes of a UART's scratch register outstanding", 2 },
	{ "tty", OPT_TTY, "[mode=8n1][,divisor=N][,poll][,loop][,vf=SLOT]",
	  OPTION_ARG_OPTIONAL, "join standard input and output to a UART", 2 },
	{ "bytes", OPT_BYTES,
	  "[way=both|send|check][,count=N][,seed=N][,mode=8n1][,divisor=N]"
	  "[,poll][,loop][,vf=SLOT]",
	  OPTION_ARG_OPTIONAL,
	  "send a stream of bytes with a UART, and check what comes back", 2 },
	{ "exchange", OPT_EXCHANGE,
	  "to=PARTITION[/SERVICE][,way=both|request|respond][,service=N]"
	  "[,queues=N][,depth=N][,rate=R]"
	  "[,size=S|A-B][,count=N][,write=N][,delay=TIME][,eqs=shared|own]"
	  "[,again=TIME][,seed=N][,vf=SLOT]",
	  0,
	  "send numbered messages between queue pairs of an adapter and those "
	  "of another guest, and check what comes",
	  2 },
	{ NULL, 0, NULL, 0, "How they run:", 3 },
	{ "pps", OPT_PPS, "R", 0,
	  "-r: frames a second (20k), max: as fast as the ring goes", 3 },
	{ "poll", OPT_POLL, "busy|adaptive[:TIME]|sleep", 0,
	  "how long to look at an empty receive queue or a full transmit queue "
	  "before sleeping until an interrupt (adaptive:100us)",
	  3 },
	{ "timing", OPT_TIMING, NULL, 0, "-r: as captured", 3 },
	{ "count", 'c', "N", 0, "receivers end after N frames", 3 },
	{ "once", OPT_ONCE, NULL, 0,
	  "end when the workloads are done: 0, or 1 if anything was lost, "
	  "repeated or corrupted",
	  3 },
	{ "idle", OPT_IDLE, "TIME", 0,
	  "--once: receivers end after this silence (2s)", 3 },
	{ "rate-log", OPT_RATE_LOG, "FILE", 0,
	  "append the frames of each millisecond to FILE", 3 },
	{ NULL, 0, NULL, 0,
	  "When the hypervisor, or another guest, fails:", 4 },
	{ "role", OPT_ROLE, "active|standby", 0,
	  "share devices with other guests, and take them when the one that has "
	  "them fails; an active one also where that one does not come",
	  4 },
	{ "successor", OPT_SUCCESSOR, "N", 0,
	  "take its place, as the Nth who may (1 to 8)", 4 },
	{ "detect", OPT_DETECT, "heartbeat|exit|both", 0,
	  "what tells of the failure (both)", 4 },
	{ "heartbeat-limit", OPT_LIMIT, "TIME", 0,
	  "how long its heartbeat may stand (100ms)", 4 },
	{ "monitor-period", OPT_MONITOR, "TIME", 0,
	  "look at it so often (10ms)", 4 },
	{ "drain-limit", OPT_DRAIN, "TIME", 0,
	  "stop other guests' queues as they are after that (500ms)", 4 },
	{ "link-sync", OPT_SYNC, "rebuild|mirror", 0,
	  "read link states from the device, or have them from the "
	  "hypervisor (rebuild)",
	  4 },
	{ "check-memory", OPT_CHECK, NULL, 0,
	  "count what devices write to other guests after the drain", 4 },
	{ 0 },
};

static struct workload_spec *spec_add(struct argp_state *state,
				      enum workload_kind kind)
{
	struct guest_options *o = state->input;

	if (o->n_specs == GUEST_WORKLOADS)
		argp_error(state, "more than %u workloads", GUEST_WORKLOADS);
	o->specs[o->n_specs] = workload_spec_init(kind);
	return &o->specs[o->n_specs++];
}

static int add_parsed(struct argp_state *state, enum workload_kind kind,
		      const char *text, struct complaint *c)
{
	return workload_parse(kind, text, spec_add(state, kind), c);
}

static int parse_number(const char *arg, uint64_t min, uint64_t max,
			uint32_t *out, struct complaint *c)
{
	uint64_t n;
	int err = units_number(arg, min, max, &n, c);

	if (err == 0)
		*out = (uint32_t)n;
	return err;
}

static int parse_ring(const char *arg, uint32_t *n, struct complaint *c)
{
	int err = parse_number(arg, QUEUE_MIN, QUEUE_MAX, n, c);

	if (err == 0 && (*n & (*n - 1)))
		return complain(c, EINVAL, "%s is no power of two", arg);
	return err;
}

static int parse_buffer(const char *arg, uint32_t *bytes, struct complaint *c)
{
	uint64_t n;
	int err = units_size(arg, &n, c);

	if (err == 0 && (n < BUFFER_MIN || n > BUFFER_MAX || n % 64))
		return complain(c, EINVAL,
				"%s is not a multiple of 64 from %u to %u", arg,
				BUFFER_MIN, BUFFER_MAX);
	if (err == 0)
		*bytes = (uint32_t)n;
	return err;
}

static int parse_workload(int key, char *arg, struct argp_state *state,
			  struct complaint *c)
{
	switch (key) {
	case OPT_REQUESTS:
		return add_parsed(state, WORKLOAD_REQUESTS, arg, c);
	case OPT_SEND:
		return add_parsed(state, WORKLOAD_SEND, arg, c);
	case OPT_ROUNDTRIP:
		return add_parsed(state, WORKLOAD_ROUNDTRIP, arg, c);
	case OPT_ECHO:
		spec_add(state, WORKLOAD_ECHO);
		return 0;
	case OPT_SINK:
		spec_add(state, WORKLOAD_SINK);
		return 0;
	case 'r':
		spec_add(state, WORKLOAD_REPLAY)->path = arg;
		return 0;
	case 'w':
		spec_add(state, WORKLOAD_CAPTURE)->path = arg;
		return 0;
	case OPT_ACCESSES:
		return add_parsed(state, WORKLOAD_ACCESSES, arg ? arg : "", c);
	case OPT_MESSAGES:
		return add_parsed(state, WORKLOAD_MESSAGES, arg ? arg : "", c);
	case OPT_TTY:
		return add_parsed(state, WORKLOAD_TTY, arg ? arg : "", c);
	case OPT_BYTES:
		return add_parsed(state, WORKLOAD_BYTES, arg ? arg : "", c);
	case OPT_EXCHANGE:
		return add_parsed(state, WORKLOAD_EXCHANGE, arg, c);
	case OPT_TAP:
		spec_add(state, WORKLOAD_TAP)->path = arg;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

/* One of a few words, by its place. */
static int parse_word(const char *arg, const char *const *words, unsigned n,
		      unsigned *out, struct complaint *c)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (words[i] && !strcmp(arg, words[i])) {
			*out = i;
			return 0;
		}
	return complain(c, EINVAL, "what is '%.32s'?", arg);
}

static int parse_time(const char *arg, uint64_t *ns, struct complaint *c)
{
	int err = units_duration(arg, ns, c);

	if (err == 0 && !*ns)
		return complain(c, EINVAL, "%s is no time", arg);
	return err;
}

static int parse_successor(int key, char *arg, struct guest_options *o,
			   struct complaint *c)
{
	static const char *const detects[] = {
		[DETECT_HEARTBEAT] = "heartbeat",
		[DETECT_EXIT] = "exit",
		[DETECT_BOTH] = "both",
	};
	static const char *const syncs[] = {
		[LINK_SYNC_REBUILD] = "rebuild",
		[LINK_SYNC_MIRROR] = "mirror",
	};

	static const char *const roles[] = {
		[ROLE_ACTIVE] = "active",
		[ROLE_STANDBY] = "standby",
	};

	switch (key) {
	case OPT_ROLE:
		return parse_word(arg, roles, ROLE_WISH_N, &o->role, c);
	case OPT_SUCCESSOR:
		return parse_number(arg, 1, STATE_SUCCESSORS, &o->successor, c);
	case OPT_DETECT:
		return parse_word(arg, detects, DETECT_BOTH + 1, &o->detect, c);
	case OPT_LIMIT:
		return parse_time(arg, &o->heartbeat_limit_ns, c);
	case OPT_MONITOR:
		return parse_time(arg, &o->monitor_ns, c);
	case OPT_DRAIN:
		return units_duration(arg, &o->drain_limit_ns, c);
	case OPT_SYNC:
		return parse_word(arg, syncs, LINK_SYNC_MIRROR + 1,
				  &o->link_sync, c);
	case OPT_CHECK:
		o->check_memory = true;
		return 0;
	}
	return ARGP_ERR_UNKNOWN;
}

static int parse_setting(int key, char *arg, struct guest_options *o,
			 struct complaint *c)
{
	switch (key) {
	case OPT_VM:
		return parse_number(arg, 1, PLATFORM_VM_MAX - 1, &o->vm, c);
	case OPT_VF:
		return vf_select_parse(arg, &o->vf, c);
	case OPT_RING:
		return parse_ring(arg, &o->ring, c);
	case OPT_RING_START:
		return parse_number(arg, 0, UINT32_MAX, &o->ring_start, c);
	case OPT_BUFFER:
		return parse_buffer(arg, &o->buffer_bytes, c);
	case OPT_PPS:
		o->have_pps = true;
		return units_rate(arg, &o->pps, c);
	case OPT_POLL:
		return poll_mode_parse(arg, &o->poll, c);
	case OPT_TIMING:
		o->timing = true;
		return 0;
	case OPT_MANAGEMENT:
		o->management = true;
		return 0;
	case OPT_ONCE:
		o->once = true;
		return 0;
	case OPT_RATE_LOG:
		o->rate_log = arg;
		return 0;
	case OPT_IDLE:
		return units_duration(arg, &o->idle_ns, c);
	case 'c':
		return units_number(arg, 1, UINT64_MAX / 2, &o->frames, c);
	}
	return ARGP_ERR_UNKNOWN;
}

static bool is_stdio(const char *path)
{
	return path && !strcmp(path, "-");
}

static void check_successor(struct argp_state *state,
			    const struct guest_options *o)
{
	if (o->heartbeat_limit_ns < o->monitor_ns)
		argp_error(state, "--heartbeat-limit is below "
				  "--monitor-period");
	if (o->successor && o->vm >= PLATFORM_SHARED_VMS)
		argp_error(state, "--successor: --vm is above %u",
			   PLATFORM_SHARED_VMS - 1);
}

/* What the options say together. */
static void check_together(struct argp_state *state, struct guest_options *o)
{
	unsigned i, replays = 0, captures = 0;
	struct workload_spec *spec;

	if (!o->vm)
		argp_error(state, "--vm N is missing");
	snprintf(o->name, sizeof(o->name), "vm%u", o->vm);
	if (!o->program.name)
		o->program.name = o->name;
	check_successor(state, o);
	if (o->have_pps && o->timing)
		argp_error(state, "--pps and --timing exclude each other");
	if (o->once && !o->n_specs)
		argp_error(state, "--once: no workload is given");
	for (i = 0; i < o->n_specs; i++) {
		spec = &o->specs[i];
		if (o->once && !workload_is_finite(spec))
			argp_error(state, "--once: a workload has no end "
					  "(count=N)");
		if (spec->kind == WORKLOAD_REPLAY) {
			spec->rate = o->have_pps ? o->pps : PPS_DEFAULT;
			spec->timing = o->timing;
			replays += is_stdio(spec->path);
		}
		captures +=
			spec->kind == WORKLOAD_CAPTURE && is_stdio(spec->path);
		replays += spec->kind == WORKLOAD_TTY;
		captures += spec->kind == WORKLOAD_TTY;
	}
	if (replays > 1 || captures > 1)
		argp_error(state, "'-' and --tty can be given once");
	if (captures && is_stdio(o->program.events))
		argp_error(state, "-w - or --tty, and --events -, both want "
				  "standard output");
}

static const char *option_name(int key)
{
	unsigned i;

	for (i = 0; options[i].key != key; i++)
		;
	return options[i].name;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct guest_options *o = state->input;
	struct complaint c = { "" };
	int err;

	switch (key) {
	case ARGP_KEY_INIT:
		o->program = (struct program_options)PROGRAM_OPTIONS_INIT;
		o->ring = RING_DEFAULT;
		o->buffer_bytes = BUFFER_DEFAULT;
		o->idle_ns = IDLE_DEFAULT;
		o->poll = (struct poll_mode)POLL_MODE_DEFAULT;
		o->detect = DETECT_BOTH;
		o->heartbeat_limit_ns = LIMIT_DEFAULT;
		o->monitor_ns = MONITOR_DEFAULT;
		o->drain_limit_ns = DRAIN_DEFAULT;
		state->child_inputs[0] = &o->program;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "what is '%s'?", arg);
		return 0;
	case ARGP_KEY_END:
		check_together(state, o);
		return 0;
	}
	err = parse_workload(key, arg, state, &c);
	if (err == ARGP_ERR_UNKNOWN)
		err = parse_setting(key, arg, o, &c);
	if (err == ARGP_ERR_UNKNOWN)
		err = parse_successor(key, arg, o, &c);
	if (err < 0)
		argp_error(state, "--%s: %s", option_name(key), c.text);
	return err;
}

static const struct argp_child children[] = {
	{ &program_argp, 0, NULL, 0 },
	{ 0 },
};

const struct argp guest_argp = {
	.options = options,
	.parser = parse,
	.doc = "One guest VM: VF driver and workload.",
	.children = children,
};
