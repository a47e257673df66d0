/* level2_adapter.c - verbs of the adapter, by the window of the partition's
 * function: four accesses each, answered in their order. */
#include <config.h>

#include <endian.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level2.h"
#include "cmd/hvmon/machine_access.h"

static void write_register(struct procedure *p, const struct level2 *l,
			   uint32_t offset, uint64_t value)
{
	value = htole64(value);
	step_write(p, l->bar + offset, &value, sizeof(value));
}

/* The machines that this runs on and the registers have one byte order, or the
 * reader of the answer turns it. */
void step_level2_verb(struct procedure *p, struct level2 *l, enum hca_opcode op,
		      unsigned attribute, uint32_t handle, uint64_t value,
		      struct level2_answer *answer)
{
	write_register(p, l, HCA_VALUE, value);
	write_register(p, l, HCA_VERB, hca_verb(op, attribute, handle));
	step_read(p, l->bar + HCA_STATUS, answer, sizeof(*answer));
}

void step_level2_last(struct procedure *p, const struct level2 *l,
		      struct level2_last *last)
{
	step_read(p, l->bar + HCA_VERB, &last->verb, sizeof(last->verb));
	step_read(p, l->bar + HCA_STATUS, &last->answer, sizeof(last->answer));
}
