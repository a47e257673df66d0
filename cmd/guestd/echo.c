/* echo.c - the workload `echo`.
 *
 * An echo sends each frame that is addressed to the VF back to its sender,
 * in the buffer in which it came; groups and strangers get no echo.  While
 * the transmit ring is full frames wait in the receive ring.
 */
#include <config.h>

#include <string.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/vf_receive.h"
#include "cmd/guestd/vf_send.h"

struct echo {
	struct workload w;
	uint64_t echoed, dropped;
	struct vf_waiter waiter[PLATFORM_SLOTS];
};

static struct echo *of(struct workload *w)
{
	return (struct echo *)w;
}

static void on_space(void *arg)
{
	vf_receive_kick(arg);
}

static bool echo_room(struct workload *w, struct vf *vf)
{
	struct vf_waiter *waiter = &of(w)->waiter[vf->pci.slot];

	if (vf->state == VF_UP && vf->link_up && vf_send_space(vf))
		return true;
	waiter->fn = on_space;
	waiter->arg = vf;
	vf_send_wait(vf, waiter);
	return false;
}

static void echo_deliver(struct workload *w, struct vf *vf, uint32_t *buffer,
			 uint32_t size, uint64_t now_ns)
{
	uint8_t *frame = buffer_hva(&vf->buffers, *buffer), *unused;

	(void)now_ns;
	if (memcmp(frame, vf->mac, MAC_SIZE) != 0)
		return;
	if (vf_send_begin(vf, &unused) < 0) {
		of(w)->dropped++;
		return;
	}
	memcpy(frame, frame + MAC_SIZE, MAC_SIZE);
	memcpy(frame + MAC_SIZE, vf->mac, MAC_SIZE);
	vf_send_exchange(vf, buffer, size);
	of(w)->echoed++;
}

static void echo_delivered(struct workload *w, struct vf *vf)
{
	(void)w;
	vf_send_flush(vf);
}

static void echo_stop(struct workload *w)
{
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++)
		vf_send_unwait(&of(w)->waiter[i]);
}

static void echo_report(const struct workload *w, json_t *row)
{
	const struct echo *e = (const struct echo *)w;

	json_object_set_new(row, "done", json_integer((json_int_t)e->echoed));
	json_object_set_new(row, "errors",
			    json_integer((json_int_t)e->dropped));
}

static void echo_reset(struct workload *w)
{
	of(w)->echoed = of(w)->dropped = 0;
}

const struct workload_ops echo_ops = {
	.name = "echo",
	.size = sizeof(struct echo),
	.receives = true,
	.stop = echo_stop,
	.room = echo_room,
	.deliver = echo_deliver,
	.delivered = echo_delivered,
	.report = echo_report,
	.reset = echo_reset,
};
