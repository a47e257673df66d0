/* confirm_interrupt.c - a110 by completion interrupts (spec 01, figs. 8 and
 * 21): each VF interrupts the hypervisor once, when all requests before the
 * write of its completion register are complete.
 *
 * The vector is routed to vm0's slot of the device, whose eventfd adds up over
 * the VFs: reading it counts down (a610 to a630).
 */
#include <config.h>

#include "cmd/hvmon/completion.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/reset_procedure.h"
#include "libcore/nic_regs.h"
#include "libcore/platform.h"

static void count_down(struct reset *r, uint64_t n)
{
	if (n > r->interrupts)
		n = r->interrupts;
	r->interrupts -= (unsigned)n;
	/* The last one may end the step, and the reset with it. */
	while (n--)
		step_put(&r->p);
}

static void on_completion(void *arg, uint32_t events)
{
	struct device *device = arg;
	eventfd_t n;

	(void)events;
	if (eventfd_read(device->completion_fd, &n) < 0)
		return;
	if (device->reset)
		count_down(device->reset, n);
}

int step_completion(struct procedure *p, struct device *device)
{
	int err = 0;

	if (device->completion_fd < 0) {
		device->completion_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (device->completion_fd < 0)
			return -errno;
		err = loop_watch_add(device->hv->program->loop,
				     &device->completion, device->completion_fd,
				     EPOLLIN, on_completion, device);
	}
	if (!err)
		step_own_irq(p,
			     platform_irq(device->index, NIC_VECTOR_COMPLETION),
			     device->completion_fd);
	return err;
}

void completion_close(struct device *device)
{
	loop_watch_del(&device->completion);
	if (device->completion_fd >= 0)
		close(device->completion_fd);
	device->completion_fd = -1;
}

void confirm_interrupt_lost(struct reset *r)
{
	count_down(r, 1);
}

void confirm_interrupts_gone(struct device *device)
{
	if (device->reset)
		count_down(device->reset, device->reset->interrupts);
}

/* a605 before a600: no interrupt comes before it is counted. */
void confirm_interrupt(struct procedure *p)
{
	struct reset *r = reset_of(p);
	const struct vf *vf;
	unsigned i;

	if (!p->device->has_driver) {
		step_fail(p, -ENOTSUP, "%s has no completion register",
			  p->function);
		return;
	}
	for (i = 0; i < p->vfs.n; i++)
		if (!p->vfs.vf[i]->contained)
			r->interrupts++;
	for (i = 0; i < r->interrupts; i++)
		step_get(p);
	reset_point(p, POINT_RESET_A605);
	reset_point(p, POINT_RESET_A600);
	for (i = 0; i < p->vfs.n; i++) {
		vf = p->vfs.vf[i];
		if (!vf->contained)
			step_write32(p, vf_bar_address(vf, 0) + NIC_COMPLETION,
				     NIC_COMPLETION_ARM |
					     NIC_VECTOR_COMPLETION);
	}
	vf_states_barrier(p);
}
