/* vfu_version.c - writes and reads VERSION payloads; see vfu_version.h */
#include <config.h>

#include "libcore/vfu_version.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "libcore/guest_memory.h"
#include "libcore/vfu_proto.h"

/* The published defaults of absent keys. */
#define DEFAULT_MAX_FDS  1u
#define DEFAULT_MAX_DATA (1u << 20)

char *vfu_version_json(uint64_t max_data)
{
	char *text = NULL;
	json_t *json;

	json = json_pack("{s:{s:i,s:I,s:i,s:i,s:b}}", "capabilities",
			 "max_msg_fds", (int)VFU_MAX_FDS, "max_data_xfer_size",
			 (json_int_t)max_data, "max_dma_maps",
			 (int)GUEST_MEMORY_MAPS, "pgsizes", 4096,
			 "write_multiple", 1);
	if (json)
		text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}

/* A number that may be absent; -EINVAL when it is something else, or less
 * than min. */
static int get_number(const json_t *caps, const char *key, json_int_t min,
		      uint64_t *value, struct complaint *c)
{
	const json_t *v = json_object_get(caps, key);

	if (!v)
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < min)
		return complain(c, EINVAL,
				"capability %s is no number of %lld or more",
				key, (long long)min);
	*value = json_integer_value(v);
	return 0;
}

static int parse_capabilities(const json_t *json, struct vfu_limits *limits,
			      struct complaint *c)
{
	uint64_t max_fds = limits->max_fds;
	const json_t *caps, *multi;
	int ret;

	if (!json_is_object(json))
		return complain(c, EINVAL, "version data is no JSON object");
	caps = json_object_get(json, "capabilities");
	if (!caps)
		return 0;
	if (!json_is_object(caps))
		return complain(c, EINVAL, "capabilities is no JSON object");
	ret = get_number(caps, "max_msg_fds", 0, &max_fds, c);
	if (!ret)
		ret = get_number(caps, "max_data_xfer_size", 1,
				 &limits->max_data, c);
	if (ret)
		return ret;
	limits->max_fds = max_fds < VFU_MAX_FDS ? max_fds : VFU_MAX_FDS;
	if (limits->max_data > VFU_MAX_DATA)
		limits->max_data = VFU_MAX_DATA;
	multi = json_object_get(caps, "write_multiple");
	if (multi && !json_is_boolean(multi))
		return complain(c, EINVAL,
				"capability write_multiple is no boolean");
	limits->write_multiple = json_is_true(multi);
	return 0;
}

int vfu_version_parse(const uint8_t *payload, size_t size,
		      struct vfu_limits *limits, struct complaint *c)
{
	struct vfu_limits l = { .max_fds = DEFAULT_MAX_FDS,
				.max_data = DEFAULT_MAX_DATA };
	struct vfu_version v;
	json_error_t error;
	json_t *json;
	int ret;

	if (size < sizeof(v))
		return complain(c, EINVAL, "VERSION is too short");
	memcpy(&v, payload, sizeof(v));
	payload += sizeof(v);
	size -= sizeof(v);
	if (v.major != VFU_MAJOR)
		return complain(c, EINVAL, "major version %u, not %u", v.major,
				VFU_MAJOR);
	l.minor = v.minor;
	if (size) {
		if (payload[size - 1])
			return complain(c, EINVAL,
					"version data does not end in NUL");
		json = json_loads((const char *)payload, 0, &error);
		if (!json)
			return complain(c, EINVAL, "version data: %s",
					error.text);
		ret = parse_capabilities(json, &l, c);
		json_decref(json);
		if (ret)
			return ret;
	}
	*limits = l;
	return 0;
}
