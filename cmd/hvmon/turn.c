/* turn.c - whose turn it is to reach a device for several accesses in a row.
 *
 * Theory of operation.  A reset throws away what comes behind it at the device
 * until it is answered, and takes the addresses along.  So who resets a single
 * function, and who makes accesses to one that must not fall into a reset of its
 * guest's, take turns.  A lane would not do: who switches a device has its lane
 * while it waits for the guest, which may wait for its reset.  So whoever has
 * the turn waits for no guest and for no lane, and a turn is soon over.  A lane
 * comes before a turn.
 *
 * What the guest itself does in config space waits for the end of a reset: what it
 * sets there would look as if the device had not settled.
 *
 * The turn is rarely taken, so whoever finds it taken looks again soon.
 */
#include <config.h>

#include "cmd/hvmon/turn.h"

#include "cmd/hvmon/config_emulation.h"
#include "cmd/hvmon/device.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/units.h"

#define PAUSE_NS (NS_PER_MS / 10)

static void end_all(struct procedure *p)
{
	struct device *device;

	TAILQ_FOREACH (device, &p->hv->devices, entry)
		turn_end(p, device);
}

static bool has(const struct procedure *p, const struct device *device)
{
	while (p && p != device->turn)
		p = p->parent;
	return p;
}

bool turn_take(struct procedure *p, struct device *device)
{
	if (device->turn && has(p, device))
		return true;
	if (device->turn) {
		step_sleep(p, PAUSE_NS);
		return false;
	}
	device->turn = p;
	p->give_back = end_all;
	return true;
}

bool turn_to_reset(struct procedure *p, struct device *device)
{
	if (!turn_take(p, device))
		return false;
	device->whole.suspended = true;
	if (!device->virtual || virtual_stand(device->virtual))
		return true;
	step_sleep(p, PAUSE_NS);
	return false;
}

void turn_end(struct procedure *p, struct device *device)
{
	if (device->turn != p)
		return;
	device->turn = NULL;
	if (!device->whole.suspended)
		return;
	device->whole.suspended = false;
	if (device->virtual)
		virtual_not_reset(device->virtual, p->why);
	config_emulation_go_on(device);
}
