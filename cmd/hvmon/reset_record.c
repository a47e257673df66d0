/* reset_record.c - what a hypervisor leaves for its successor. */
#include <config.h>

#include "cmd/hvmon/reset_record.h"

#include <string.h>

#include "cmd/hvmon/record_pair.h"

/* The last place of a capability whose registers count. */
#define CAP_LAST  (PCI_CFG_SPACE_SIZE - 20u)

#define SUM_START offsetof(struct reset_record, size)

static size_t size_of(const struct reset_record *record)
{
	if (record->phase == RESET_PHASE_SUSPENDING)
		return offsetof(struct reset_record, pf_config);
	return offsetof(struct reset_record, state) +
	       record->n_states * sizeof(record->state[0]);
}

uint32_t reset_record_seal(struct reset_record *record)
{
	record->magic = RESET_RECORD_MAGIC;
	record->version = RESET_RECORD_VERSION;
	record->size = (uint32_t)size_of(record);
	record->sum = record_sum(record, SUM_START, record->size);
	return record->size;
}

bool reset_record_is_valid(const struct reset_record *record, uint16_t bdf)
{
	unsigned i;

	if (record->magic != RESET_RECORD_MAGIC ||
	    record->version != RESET_RECORD_VERSION || record->rsvd0 ||
	    record->bdf != bdf || record->n_vfs > FUNCTION_VF_MAX ||
	    record->vf > FUNCTION_VF_MAX ||
	    record->n_states > FUNCTION_VF_MAX ||
	    record->size != size_of(record) ||
	    record->sum != record_sum(record, SUM_START, record->size))
		return false;
	if (record->phase != RESET_PHASE_SUSPENDING &&
	    record->phase != RESET_PHASE_SAVED)
		return false;
	for (i = 0; i < record->n_vfs; i++)
		if (!record->vfs[i].number ||
		    record->vfs[i].number > FUNCTION_VF_MAX ||
		    record->vfs[i].pcie > CAP_LAST ||
		    record->vfs[i].msix > CAP_LAST)
			return false;
	return true;
}

void reset_room_put(struct reset_room *room, const struct reset_record *record,
		    uint32_t size)
{
	if (record->phase == RESET_PHASE_SAVED)
		memcpy(&room->saved, record, size);
	else
		memcpy(&room->suspending, record, size);
}

bool reset_room_get(const struct reset_room *room, uint16_t bdf,
		    struct reset_record *record)
{
	memcpy(record, &room->saved, sizeof(*record));
	if (reset_record_is_valid(record, bdf))
		return true;
	memcpy(record, &room->suspending, sizeof(*record));
	return reset_record_is_valid(record, bdf);
}

void reset_room_clear(struct reset_room *room)
{
	memset(&room->suspending, 0, SUM_START);
	memset(&room->saved, 0, SUM_START);
}
