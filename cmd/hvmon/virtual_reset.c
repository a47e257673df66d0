/* virtual_reset.c - a virtual device is reset, by its guest or by anybody.
 *
 * Theory of operation.  Accesses come to the device from chains of our driver,
 * from a load, and from the guest by ours.  One that lies behind the reset at the
 * device is thrown away and never answered.  So the device stands first: its
 * guest's accesses wait, nothing of ours is begun, and what is on its way comes
 * back.  One that does not come back does not hold the reset up for ever, which
 * may be its cure.  When the device is reset, and has its addresses again, what
 * waits is answered as if nobody was there, and the device is loaded.
 */
#include <config.h>

#include "cmd/hvmon/behind.h"
#include "cmd/hvmon/corrective_reset.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/units.h"

#define STAND_LIMIT_NS NS_PER_S

bool virtual_stand(struct virtual *v)
{
	if (!v->stands_ns)
		v->stands_ns = clock_now_ns();
	loop_timer_cancel(&v->look);
	return (!v->running && !v->driving && !v->loading) ||
	       clock_now_ns() - v->stands_ns > STAND_LIMIT_NS;
}

void virtual_was_reset(struct device *device)
{
	struct virtual *v = device->virtual;

	if (!v) {
		behind_lost(device, "it was reset");
		return;
	}
	(void)behind_end(v);
	v->backend->reset(v);
	v->record.machine = (uint16_t)v->emulator->start(v);
	v->record.phase = VIRTUAL_LOADING;
	v->level = v->interrupts = false;
	virtual_keep_record(v);
	virtual_refuse_kept(v);
	v->stands_ns = 0;
	virtual_load(v);
}

void virtual_not_reset(struct virtual *v, const char *why)
{
	if (!v->stands_ns)
		return;
	v->stands_ns = 0;
	virtual_refused(v, why);
}
