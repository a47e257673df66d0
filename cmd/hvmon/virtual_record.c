/* virtual_record.c - what a hypervisor leaves of a virtualised device. */
#include <config.h>

#include "cmd/hvmon/virtual_record.h"

bool virtual_record_is_sound(const struct virtual_record *record, uint16_t bdf)
{
	return record->bdf == bdf && record->phase &&
	       record->phase < VIRTUAL_PHASE_N && record->machine &&
	       record->n_log <= VIRTUAL_LOG_MAX &&
	       record->n_replayed <= record->n_log;
}
