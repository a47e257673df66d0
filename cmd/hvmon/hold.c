/* hold.c - 710: the ways in which new sequences are held off.
 *
 * Theory of operation.  In each way a sequence that was begun is carried on;
 * accesses that belong to no sequence, such as reads of status, are emulated.
 * `block` leaves the first access of a new one without an answer, and what
 * follows it.  `busy` also shows a device that is not ready; who writes all the
 * same waits.  `pause` and `lock` ask the guest's driver first (hold_guest.c),
 * and stop one that does not listen like `block`.  `log` answers writes and
 * keeps them in the record; they are done at the device before it is let go.
 * When the log is full, writes wait.  A log that was not done at the device, as
 * its hypervisor died, is the emulator's to do, and new sequences wait for it.
 */
#include <config.h>

#include "cmd/hvmon/hold.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/device.h"
#include "libcore/pci_config.h"
#include "libcore/units.h"

static const char *const names[HOLD_N] = {
	[HOLD_NONE] = "none", [HOLD_PAUSE] = "pause", [HOLD_LOCK] = "lock",
	[HOLD_BUSY] = "busy", [HOLD_BLOCK] = "block", [HOLD_LOG] = "log",
};

const char *hold_name(enum hold hold)
{
	return names[hold];
}

int hold_parse(const char *text, enum hold *hold, struct complaint *c)
{
	unsigned i;

	for (i = HOLD_NONE + 1; i < HOLD_N; i++) {
		if (strcmp(names[i], text))
			continue;
		*hold = i;
		return 0;
	}
	return complain(
		c, EINVAL,
		"no way '%s' to hold off (pause, lock, busy, block or log)",
		text);
}

int hold_limit_parse(const char *text, uint64_t *ns, struct complaint *c)
{
	int err = units_duration(text, ns, c);

	return err ? complain_at(c, err, "limit") : 0;
}

bool hold_stops(const struct virtual *v, const struct access *a)
{
	if (v->emulator->input(v, a) == INPUT_NONE)
		return false;
	if (v->record.n_log)
		return true;
	if (v->hold == HOLD_NONE)
		return false;
	/* What was kept while it was loaded is what it goes on with. */
	if (v->backend->goes_on && v->backend->goes_on(v))
		return false;
	return v->n_kept || virtual_at_start(v);
}

bool hold_takes(struct virtual *v, const struct access *a)
{
	struct virtual_record *r = &v->record;
	uint64_t value = 0;

	if (v->hold != HOLD_LOG || !a->write || v->n_kept ||
	    a->size > sizeof(value) || r->n_log == VIRTUAL_LOG_MAX)
		return false;
	memcpy(&value, a->data, a->size);
	r->log[r->n_log++] = (struct virtual_logged){
		.value = value,
		.offset = a->offset,
		.size = a->size,
	};
	virtual_keep_record(v);
	virtual_answer(v, a, NULL);
	return true;
}

bool hold_looks_busy(const struct virtual *v)
{
	return v->hold == HOLD_BUSY || v->n_kept || v->record.n_log;
}
