/* vfu_version.h - the VERSION message: limits that both ends tell each other
 */
#ifndef IOVKIT_VFU_VERSION_H
#define IOVKIT_VFU_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/complaint.h"

struct vfu_limits {
	uint16_t minor;
	unsigned max_fds;  /* the peer takes in one message */
	uint64_t max_data; /* bytes of one region or DMA access */
	bool write_multiple;
};

/* Our VERSION payload after the major and minor number: JSON with its NUL;
 * NULL when memory is out; the caller frees it.  max_data: what we allow. */
char *vfu_version_json(uint64_t max_data);
/* Take a VERSION payload apart.  Absent keys have the published defaults,
 * unknown ones are ignored.  0, or -EINVAL with *c: malformed, or a major
 * version other than ours. */
int vfu_version_parse(const uint8_t *payload, size_t size,
		      struct vfu_limits *limits, struct complaint *c)
	__attribute__((warn_unused_result));

#endif
