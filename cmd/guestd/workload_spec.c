/* workload_spec.c - workloads as people write them: "to=nic1/vf2,rate=10k". */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/frames.h"
#include "cmd/guestd/workload.h"
#include "libcore/hca_regs.h"
#include "libcore/nic_regs.h"
#include "libcore/platform.h"
#include "libcore/units.h"
#include "libcore/vfu_client.h"

#define SPEC_TEXT_MAX 256
#define QUEUES_MAX    2048u /* so that events of all fit an event queue */
#define SERVICE_MAX   0xffffu

struct workload_spec workload_spec_init(enum workload_kind kind)
{
	return (struct workload_spec){
		.kind = kind,
		.size_min = kind == WORKLOAD_ROUNDTRIP ? FRAMES_MIN : 1514,
		.size_max = kind == WORKLOAD_ROUNDTRIP ? FRAMES_MIN : 1514,
		.depth = kind == WORKLOAD_EXCHANGE
				 ? 32
				 : kind == WORKLOAD_REQUESTS ||
					   kind == WORKLOAD_ACCESSES,
		.service = 1,
		.queues = 1,
		.reg = NIC_SCRATCH,
		.uart = UART_MODE_DEFAULT,
	};
}

bool workload_is_finite(const struct workload_spec *spec)
{
	switch (spec->kind) {
	case WORKLOAD_SEND:
	case WORKLOAD_REQUESTS:
	case WORKLOAD_ROUNDTRIP:
	case WORKLOAD_MESSAGES:
	case WORKLOAD_BYTES:
	case WORKLOAD_EXCHANGE:
	case WORKLOAD_ACCESSES:
		return spec->count > 0;
	case WORKLOAD_TTY:
	case WORKLOAD_REPLAY:
	case WORKLOAD_SINK:
	case WORKLOAD_CAPTURE:
	case WORKLOAD_ECHO:
		return true;
	case WORKLOAD_TAP:
	case WORKLOAD_KIND_N:
		break;
	}
	return false;
}

int vf_select_parse(const char *text, struct vf_select *select,
		    struct complaint *c)
{
	struct vf_select s = { 0 };
	uint64_t slot;
	int err;

	if (!strcmp(text, "all")) {
		s.by = VF_SELECT_ANY;
	} else if (units_number(text, 0, PLATFORM_SLOTS - 1, &slot, NULL) ==
		   0) {
		s.by = VF_SELECT_SLOT;
		s.slot = (unsigned)slot;
	} else {
		s.by = VF_SELECT_MAC;
		err = mac_parse(text, s.mac, c);
		if (err < 0)
			return err;
	}
	*select = s;
	return 0;
}

int workload_parse_size(const char *text, struct workload_spec *spec,
			struct complaint *c)
{
	char low[32];
	const char *dash = strchr(text, '-');
	uint64_t min, max;
	int err;

	strlcpy(low, text, sizeof(low));
	if (dash && (size_t)(dash - text) < sizeof(low))
		low[dash - text] = '\0';
	err = units_number(low, FRAMES_MIN, NIC_FRAME_MAX, &min, c);
	max = min;
	if (!err && dash)
		err = units_number(dash + 1, min, NIC_FRAME_MAX, &max, c);
	if (err < 0)
		return err;
	spec->size_min = (uint32_t)min;
	spec->size_max = (uint32_t)max;
	return 0;
}

static int parse_u32(const char *value, uint64_t min, uint64_t max,
		     uint32_t *out, struct complaint *c)
{
	uint64_t n;
	int err = units_number(value, min, max, &n, c);

	if (err == 0)
		*out = (uint32_t)n;
	return err;
}

/* Both kinds have these. */
static int parse_common(struct workload_spec *spec, const char *key,
			const char *value, struct complaint *c)
{
	if (!strcmp(key, "rate"))
		return units_rate(value, &spec->rate, c);
	if (!strcmp(key, "count"))
		return units_number(value, 1, UINT64_MAX / 2, &spec->count, c);
	if (!strcmp(key, "depth"))
		return parse_u32(value, 1, VFU_CLIENT_MAX, &spec->depth, c);
	if (!strcmp(key, "vf"))
		return vf_select_parse(value, &spec->vf, c);
	return -ENOENT;
}

int workload_parse_payload(const char *text, struct workload_spec *spec,
			   struct complaint *c)
{
	spec->plain = !strcmp(text, "plain");
	if (!spec->plain && strcmp(text, "numbered") != 0)
		return complain(c, EINVAL,
				"no payload '%.32s' (numbered, plain)", text);
	return 0;
}

static int parse_send(struct workload_spec *spec, const char *key,
		      const char *value, struct complaint *c)
{
	if (!strcmp(key, "to"))
		return mac_parse(value, spec->to, c);
	if (!strcmp(key, "size"))
		return workload_parse_size(value, spec, c);
	if (!strcmp(key, "payload") && spec->kind != WORKLOAD_MESSAGES)
		return workload_parse_payload(value, spec, c);
	if (!strcmp(key, "seed"))
		return units_number(value, 0, UINT64_MAX, &spec->seed, c);
	return -ENOENT;
}

static int parse_requests(struct workload_spec *spec, const char *key,
			  const char *value, struct complaint *c)
{
	if (!strcmp(key, "register"))
		return parse_u32(value, 0, NIC_VF_BAR_SIZE - 4, &spec->reg, c);
	return -ENOENT;
}

/* One of three words, by its place. */
static int parse_way(const char *const ways[3], const char *value,
		     unsigned *way, struct complaint *c)
{
	unsigned i;

	for (i = 0; i < 3; i++)
		if (!strcmp(value, ways[i])) {
			*way = i;
			return 0;
		}
	return complain(c, EINVAL, "no way '%s' (%s, %s, %s)", value, ways[0],
			ways[1], ways[2]);
}

static int parse_port(struct workload_spec *spec, const char *key,
		      const char *value, struct complaint *c)
{
	static const char *const bytes_ways[] = { "both", "send", "check" };
	uint32_t divisor;
	unsigned way;
	int err;

	if (!strcmp(key, "mode"))
		return uart_mode_parse(value, &spec->uart, c);
	if (!strcmp(key, "divisor")) {
		err = parse_u32(value, 0, UINT16_MAX, &divisor, c);
		if (!err)
			spec->uart.divisor = (uint16_t)divisor;
		return err;
	}
	if (spec->kind == WORKLOAD_TTY)
		return -ENOENT;
	if (!strcmp(key, "way")) {
		err = parse_way(bytes_ways, value, &way, c);
		if (!err)
			spec->way = (enum bytes_way)way;
		return err;
	}
	if (!strcmp(key, "seed"))
		return units_number(value, 0, UINT64_MAX, &spec->seed, c);
	return -ENOENT;
}

/* "2/7" or "2", which is "2/1". */
static int parse_peer(struct workload_spec *spec, const char *value,
		      struct complaint *c)
{
	const char *slash = strchr(value, '/');
	char partition[8];
	int err;

	strlcpy(partition, value, sizeof(partition));
	if (slash && (size_t)(slash - value) < sizeof(partition))
		partition[slash - value] = '\0';
	err = parse_u32(partition, 1, HCA_PARTITIONS, &spec->partition, c);
	spec->peer_service = 1;
	if (!err && slash)
		err = parse_u32(slash + 1, 1, SERVICE_MAX, &spec->peer_service,
				c);
	return err;
}

static int parse_exchange(struct workload_spec *spec, const char *key,
			  const char *value, struct complaint *c)
{
	static const char *const roles[] = { "both", "request", "respond" };
	unsigned role;
	int err;

	if (!strcmp(key, "way")) {
		err = parse_way(roles, value, &role, c);
		if (!err)
			spec->role = (enum exchange_role)role;
		return err;
	}
	if (!strcmp(key, "to"))
		return parse_peer(spec, value, c);
	if (!strcmp(key, "service"))
		return parse_u32(value, 1, SERVICE_MAX, &spec->service, c);
	if (!strcmp(key, "queues"))
		return parse_u32(value, 1, QUEUES_MAX, &spec->queues, c);
	if (!strcmp(key, "write"))
		return parse_u32(value, 1, UINT32_MAX, &spec->write_every, c);
	if (!strcmp(key, "eqs")) {
		spec->own_eq = !strcmp(value, "own");
		if (spec->own_eq || !strcmp(value, "shared"))
			return 0;
		return complain(c, EINVAL, "'%s' is not shared or own", value);
	}
	if (!strcmp(key, "again"))
		return units_duration(value, &spec->again_ns, c);
	if (!strcmp(key, "delay"))
		return units_duration(value, &spec->delay_ns, c);
	if (!strcmp(key, "size"))
		return workload_parse_size(value, spec, c);
	if (!strcmp(key, "seed"))
		return units_number(value, 0, UINT64_MAX, &spec->seed, c);
	return -ENOENT;
}

/* What only all keys together show. */
static int check_exchange(const struct workload_spec *spec, const char *text,
			  struct complaint *c)
{
	if (!spec->partition)
		return complain(c, EINVAL,
				"'%s' says not whom to exchange with (to=2/1)",
				text);
	if (spec->depth < 2 || spec->depth & (spec->depth - 1))
		return complain(c, EINVAL, "depth %u is no power of two",
				(unsigned)spec->depth);
	if (spec->service + spec->queues - 1 > SERVICE_MAX ||
	    spec->peer_service + spec->queues - 1 > SERVICE_MAX)
		return complain(c, EINVAL, "service numbers end at %u",
				SERVICE_MAX);
	if (spec->again_ns && (spec->count || spec->role != EXCHANGE_BOTH))
		return complain(c, EINVAL,
				"'%s': again goes with both ways and no count",
				text);
	if (spec->delay_ns > HCA_DELAY_MAX * NS_PER_US)
		return complain(c, EINVAL, "the delay is longer than 1 s");
	return 0;
}

/* Keys that stand alone. */
static bool parse_flag(struct workload_spec *spec, const char *word)
{
	if (!strcmp(word, "poll"))
		spec->uart.polling = true;
	else if (!strcmp(word, "loop"))
		spec->uart.loop = true;
	else
		return !*word;
	return true;
}

typedef int parse_fn(struct workload_spec *spec, const char *key,
		     const char *value, struct complaint *c);

static const struct {
	parse_fn *parse;
	const char *keys;
} kinds[WORKLOAD_KIND_N] = {
	[WORKLOAD_SEND] = { parse_send,
			    "to, depth, rate, size, count, payload, seed, vf" },
	[WORKLOAD_ROUNDTRIP] = { parse_send, "to, depth, rate, size, count, "
					     "payload, seed, vf" },
	[WORKLOAD_REQUESTS] = { parse_requests,
				"depth, register, rate, count, vf" },
	[WORKLOAD_MESSAGES] = { parse_send, "to, rate, size, count, seed, vf" },
	[WORKLOAD_ACCESSES] = { NULL, "write, depth, count, vf" },
	[WORKLOAD_TTY] = { parse_port, "mode, divisor, poll, loop, vf" },
	[WORKLOAD_EXCHANGE] = { parse_exchange,
				"to, way, service, queues, depth, rate, size, "
				"count, write, delay, eqs, again, seed, vf" },
	[WORKLOAD_BYTES] = { parse_port, "way, count, seed, mode, divisor, "
					 "poll, loop, vf" },
};

/* *key is what the word is for. */
static int parse_pair(struct workload_spec *spec, char *word, const char **key,
		      struct complaint *c)
{
	bool requests = spec->kind == WORKLOAD_REQUESTS;
	bool port = kinds[spec->kind].parse == parse_port;
	char *value = strchr(word, '=');
	int err;

	*key = word;
	/* requests: the depth may stand alone. */
	if (!value && requests) {
		*key = "depth";
		err = parse_common(spec, "depth", word, c);
		return err < 0 ? complain_at(c, err, "depth") : 0;
	}
	if (!value && port && parse_flag(spec, word))
		return 0;
	if (!value && spec->kind == WORKLOAD_ACCESSES &&
	    (!*word || !strcmp(word, "write"))) {
		spec->writes |= *word != '\0';
		return 0;
	}
	if (!value && spec->kind == WORKLOAD_MESSAGES && !*word)
		return 0;
	if (!value)
		return complain(c, EINVAL, "'%s' is not KEY=VALUE", word);
	*value++ = '\0';
	/* Not every kind has what others have in common. */
	err = -ENOENT;
	if (strstr(kinds[spec->kind].keys, word))
		err = parse_common(spec, word, value, c);
	if (err == -ENOENT && kinds[spec->kind].parse)
		err = kinds[spec->kind].parse(spec, word, value, c);
	if (err == -ENOENT)
		return complain(c, EINVAL, "no key '%s' (%s)", word,
				kinds[spec->kind].keys);
	return err < 0 ? complain_at(c, err, "%s", word) : 0;
}

/* Take `key` into those that were given, unless it is empty. */
static int note_key(const char **given, unsigned *n, const char *key,
		    struct complaint *c)
{
	unsigned i;

	for (i = 0; i < *n; i++)
		if (!strcmp(given[i], key))
			return complain(c, EINVAL, "'%s' is given twice", key);
	if (*key)
		given[(*n)++] = key;
	return 0;
}

int workload_parse(enum workload_kind kind, const char *text,
		   struct workload_spec *out, struct complaint *c)
{
	struct workload_spec spec = workload_spec_init(kind);
	static const uint8_t none[MAC_SIZE];
	char copy[SPEC_TEXT_MAX], *rest = copy, *word;
	const char *given[SPEC_TEXT_MAX / 2], *key;
	unsigned n = 0;
	int err;

	if (strlcpy(copy, text, sizeof(copy)) >= sizeof(copy))
		return complain(c, EINVAL, "'%.20s...' is too long", text);
	while ((word = strsep(&rest, ","))) {
		err = parse_pair(&spec, word, &key, c);
		if (!err)
			err = note_key(given, &n, key, c);
		if (err < 0)
			return err;
	}
	if ((kind == WORKLOAD_SEND || kind == WORKLOAD_ROUNDTRIP) &&
	    !memcmp(spec.to, none, MAC_SIZE))
		return complain(c, EINVAL,
				"'%s' says not whom to send to "
				"(to=nic1/vf2)",
				text);
	if (kind == WORKLOAD_REQUESTS && (spec.reg & 3))
		return complain(c, EINVAL, "register 0x%x is not aligned",
				spec.reg);
	if (kind == WORKLOAD_EXCHANGE && check_exchange(&spec, text, c) < 0)
		return -EINVAL;
	*out = spec;
	return 0;
}
