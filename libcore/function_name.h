/* function_name.h - FUNCTION: "nic0/pf0", "nic0/vf1".
 *
 * A device name is [a-z][a-z0-9_-]{0,15}.  PFs count from 0, VFs from 1 (VFs
 * of PF 0; VFs of PF k are named "nic0/pfK.vfN", not used by today's devices).
 */
#ifndef IOVKIT_FUNCTION_NAME_H
#define IOVKIT_FUNCTION_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "libcore/complaint.h"

#define DEVICE_NAME_MAX   16
#define FUNCTION_NAME_MAX 32
#define FUNCTION_VF_MAX   64

struct function_name {
	char device[DEVICE_NAME_MAX + 1];
	unsigned vf; /* 0: the PF, else VF number from 1 */
};

/* 0, or -EINVAL with *c saying what a FUNCTION looks like. */
int function_name_parse(const char *text, struct function_name *fn,
			struct complaint *c)
	__attribute__((warn_unused_result));
/* "nic0/pf0"; returns buf.  FUNCTION_NAME_MAX always suffices. */
char *function_name_format(char *buf, size_t size,
			   const struct function_name *fn);
bool function_name_equal(const struct function_name *a,
			 const struct function_name *b);
/* Whether text may be a program or device name. */
bool name_is_valid(const char *text);

#endif
