/* options.c - iovdev's command line. */
#include <config.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/iovdev/nic.h"
#include "libcore/units.h"

#define VFS_DEFAULT 8

enum {
	OPT_TYPE = 1000,
	OPT_DEVICE,
	OPT_VFS,
	OPT_LATENCY,
	OPT_LAN,
	OPT_POLL,
	OPT_MAC_BASE,
	OPT_LINE,
	OPT_PACED,
	OPT_SOCKET_PATH,
	OPT_FD
};

static const struct argp_option table[] = {
	{ "type", OPT_TYPE, "nic|ether|uart|hca", 0,
	  "what the device is (default: nic)", 0 },
	{ "device", OPT_DEVICE, "NAME", 0,
	  "the device's name in the machine (default: --name)", 0 },
	{ "vfs", OPT_VFS, "N", 0,
	  "room for 1 to 64 VFs, of an hca 1 to 30 (default: 8)", 0 },
	{ "latency", OPT_LATENCY, "[FUNCTION=]TIME", 0,
	  "how long a register operation takes: TIME, TIME..TIME or exp:TIME; "
	  "FUNCTION is pf0, vf1...",
	  0 },
	{ "lan", OPT_LAN, "none|sink|tap:NAME|pcap:FILE", 0,
	  "what the switch's uplink is connected to (default: none)", 0 },
	{ "poll", OPT_POLL, "busy|adaptive[:TIME]|sleep", 0,
	  "how long to look at an empty transmit queue before sleeping until "
	  "its doorbell (default: adaptive:100us)",
	  0 },
	{ "mac-base", OPT_MAC_BASE, "MAC", 0,
	  "of the PF; VF n adds n (default: 02:69:6f:DEVICE:00:00)", 0 },
	{ "line", OPT_LINE, "none|pty|unix:PATH|-", 0,
	  "what a UART's line is connected to (default: none)", 0 },
	{ "paced", OPT_PACED, NULL, 0,
	  "a UART's characters take the time that its mode says", 0 },
	{ "socket-path", OPT_SOCKET_PATH, "PATH", 0,
	  "serve the PF there, without a machine; VF n at PATH.vfn", 0 },
	{ "fd", OPT_FD, "FD", 0,
	  "serve the PF on this socket, connected or listening", 0 },
	{ 0 },
};

static uint64_t number(struct argp_state *state, const char *option,
		       const char *arg, uint64_t min, uint64_t max)
{
	struct complaint c;
	uint64_t n = 0;

	if (units_number(arg, min, max, &n, &c))
		argp_error(state, "%s: %s", option, c.text);
	return n;
}

/* "vf3=2ms" or, for all functions, "2ms". */
static void parse_latency(struct nic_options *o, const char *arg,
			  struct argp_state *state)
{
	const char *equals = strchr(arg, '=');
	char text[FUNCTION_NAME_MAX];
	struct function_name name;
	struct latency latency;
	struct complaint c;
	unsigned i;

	if (latency_parse(equals ? equals + 1 : arg, &latency, &c))
		argp_error(state, "--latency: %s", c.text);
	if (!equals) {
		for (i = 0; i <= NIC_VF_MAX; i++)
			o->latency[i] = latency;
		return;
	}
	snprintf(text, sizeof(text), "x/%.*s", (int)(equals - arg), arg);
	if (equals - arg > 8 || function_name_parse(text, &name, &c))
		argp_error(state, "--latency: '%.*s' is neither pf0 nor a VF",
			   (int)(equals - arg), arg);
	else
		o->latency[name.vf] = latency;
}

static void parse_poll(struct nic_options *o, const char *arg,
		       struct argp_state *state)
{
	struct complaint c;

	if (poll_mode_parse(arg, &o->poll, &c))
		argp_error(state, "--poll: %s", c.text);
}

static void parse_mac(struct nic_options *o, const char *arg,
		      struct argp_state *state)
{
	uint8_t *m = o->mac_base;
	int end = 0;

	if (sscanf(arg, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &m[0], &m[1],
		   &m[2], &m[3], &m[4], &m[5], &end) != 6 ||
	    arg[end])
		argp_error(state, "--mac-base: '%s' is no MAC address", arg);
	else if (m[0] & 1)
		argp_error(state, "--mac-base: '%s' is a group address", arg);
	else if (m[5] > UINT8_MAX - NIC_VF_MAX)
		argp_error(state, "--mac-base: '%s' leaves no room for %d VFs",
			   arg, NIC_VF_MAX);
	o->mac_given = true;
}

/* Options that the type does not have; and how many VFs it has. */
static void check_type(struct nic_options *o, struct argp_state *state)
{
	const struct device_type *type = o->type;
	const char *odd = NULL;

	if (!type->max_vfs && o->vfs)
		odd = "--vfs";
	else if (!type->has_lan && (o->lan || o->mac_given))
		odd = o->lan ? "--lan" : "--mac-base";
	else if (!type->has_line && (o->line || o->paced))
		odd = o->line ? "--line" : "--paced";
	if (odd)
		argp_error(state, "%s: a device of type %s has none", odd,
			   type->name);
	if (type->max_vfs && o->vfs > type->max_vfs)
		argp_error(state, "--vfs: a device of type %s has %u at most",
			   type->name, type->max_vfs);
	if (type->max_vfs && !o->vfs)
		o->vfs = VFS_DEFAULT;
}

static void check(struct nic_options *o, struct argp_state *state)
{
	unsigned i;

	check_type(o, state);
	if (o->line && !strcmp(o->line, "-") && o->program.events &&
	    !strcmp(o->program.events, "-"))
		argp_error(state, "--line - and --events - both want standard "
				  "output");
	if (o->socket_path && o->fd >= 0)
		argp_error(state, "--socket-path and --fd exclude each other");
	for (i = o->vfs + 1; i <= NIC_VF_MAX; i++)
		if (memcmp(&o->latency[i], &o->latency[NIC_VF_MAX],
			   sizeof(o->latency[i])))
			argp_error(state, "--latency: there is no vf%u", i);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct nic_options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->program;
		break;
	case OPT_TYPE:
		o->type = device_type_find(arg);
		if (!o->type)
			argp_error(state, "--type: no device type '%s' (%s)",
				   arg, device_type_names());
		break;
	case OPT_DEVICE:
		if (!name_is_valid(arg) || strlen(arg) > DEVICE_NAME_MAX)
			argp_error(state, "--device: '%s' is no device name",
				   arg);
		o->device = arg;
		break;
	case OPT_VFS:
		o->vfs = (unsigned)number(state, "--vfs", arg, 1, NIC_VF_MAX);
		break;
	case OPT_LINE:
		o->line = arg;
		break;
	case OPT_PACED:
		o->paced = true;
		break;
	case OPT_LATENCY:
		parse_latency(o, arg, state);
		break;
	case OPT_LAN:
		o->lan = arg;
		break;
	case OPT_POLL:
		parse_poll(o, arg, state);
		break;
	case OPT_MAC_BASE:
		parse_mac(o, arg, state);
		break;
	case OPT_SOCKET_PATH:
		o->socket_path = arg;
		break;
	case OPT_FD:
		o->fd = (int)number(state, "--fd", arg, 0, INT_MAX);
		if (fcntl(o->fd, F_SETFD, FD_CLOEXEC) < 0)
			argp_error(state, "--fd: %d is not open", o->fd);
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is one word too many", arg);
		break;
	case ARGP_KEY_END:
		check(o, state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

void options_parse(struct nic_options *o, int argc, char **argv)
{
	static const struct argp_child children[] = {
		{ &program_argp, 0, NULL, 0 },
		{ NULL },
	};
	static const struct argp argp = {
		.options = table,
		.parser = parse,
		.doc = "A PCI device, whose VFs may be shared by several "
		       "guests, as a vfio-user server for each function.",
		.children = children,
	};
	const struct program_options program = PROGRAM_OPTIONS_INIT;

	memset(o, 0, sizeof(*o));
	o->program = program;
	o->type = &nic_type;
	o->fd = -1;
	o->poll = (struct poll_mode)POLL_MODE_DEFAULT;
	argp_parse(&argp, argc, argv, 0, NULL, o);
}
