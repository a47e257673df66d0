/* own_interrupt.c - the interrupt of a single function, when it is routed to
 * the hypervisor: one that is virtualised, or that is direct with --irq
 * forward, where the handler here only calls the guest's.
 */
#include <config.h>

#include "cmd/hvmon/own_interrupt.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/protection_rows.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/platform.h"

#define MSI_ADDRESS 0xfee00000u

static struct vf_allocation *row_of(const struct device *device)
{
	struct function_name name;

	vf_name(&device->whole, &name);
	return vf_allocations_find(&device->hv->allocations, &name);
}

struct inject {
	struct procedure p;
	uint32_t irq;
};

static int inject_irq(struct procedure *p)
{
	step_inject(p, p->vm, ((struct inject *)p)->irq);
	return STEP_NEXT;
}

static const struct step inject_steps[] = {
	{ POINT_NONE, inject_irq },
	{ 0, NULL },
};

static const struct procedure_desc inject_desc = {
	.name = "interrupt",
	.steps = inject_steps,
};

void interrupt_pass(struct device *device)
{
	const struct vf_allocation *row = row_of(device);
	struct inject *inject;

	if (!row)
		return;
	inject = procedure_new(device->hv, &inject_desc, sizeof(*inject));
	inject->p.vm = row->vm;
	inject->irq = platform_irq(row->slot, 0);
	procedure_start(&inject->p, 0);
}

static void on_interrupt(void *arg, uint32_t events)
{
	struct device *device = arg;
	eventfd_t n;

	(void)events;
	if (eventfd_read(device->own_irq_fd, &n) < 0)
		return;
	/* Of a direct device: --irq forward, or it came just before 716. */
	if (device->virtual)
		virtual_interrupt(device->virtual);
	else if (device->serves)
		virtual_interrupt(device->serves);
	else
		interrupt_pass(device);
}

static int open_fd(struct device *device)
{
	if (device->own_irq_fd >= 0)
		return 0;
	device->own_irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->own_irq_fd < 0)
		return -errno;
	return loop_watch_add(device->hv->program->loop, &device->own_irq,
			      device->own_irq_fd, EPOLLIN, on_interrupt,
			      device);
}

void step_own_interrupt(struct procedure *p, struct device *device)
{
	int err = open_fd(device);

	if (err)
		step_fail(p, err, "an eventfd: %s", strerror(-err));
	else
		step_own_irq(p, platform_irq(device->index, 0),
			     device->own_irq_fd);
}

void own_interrupt_close(struct device *device)
{
	loop_watch_del(&device->own_irq);
	if (device->own_irq_fd >= 0)
		close(device->own_irq_fd);
	device->own_irq_fd = -1;
}

static void send_routes(struct procedure *p, const struct device *device,
			uint32_t vm, uint32_t slot)
{
	struct sup_route routes[PLATFORM_IRQS_PER_SLOT];
	unsigned n = vf_routes(&device->whole, vm, slot, routes);

	step_sup_write(p, SUP_ROUTES, routes, n * (uint32_t)sizeof(routes[0]),
		       0);
}

void step_interrupt_off(struct procedure *p, const struct device *device)
{
	send_routes(p, device, PLATFORM_VM_NONE, 0);
}

void step_interrupt_on(struct procedure *p, struct device *device)
{
	const struct vf_allocation *row = row_of(device);

	if (row)
		send_routes(p, device, row->vm, row->slot);
}

void step_own_command(struct procedure *p, const struct device *device,
		      bool bus_master)
{
	step_config_write16(p, device->bdf, PCI_COMMAND,
			    PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE |
				    (bus_master ? PCI_COMMAND_MASTER : 0));
}

void step_own_vector(struct procedure *p, const struct device *device)
{
	unsigned msix = device->whole.msix;
	uint64_t entry = device->bar[0] +
			 (pci_get32(device->config, msix + PCI_MSIX_TABLE) &
			  PCI_MSIX_TABLE_OFFSET);
	const struct sup_route route = {
		.bdf = device->bdf,
		.vm = PLATFORM_HYPERVISOR,
		.irq = platform_irq(device->index, 0),
		.in_use = 1,
	};

	step_sup_write(p, SUP_ROUTES, &route, sizeof(route), 0);
	step_write32(p, entry + PCI_MSIX_ENTRY_LOWER_ADDR, MSI_ADDRESS);
	step_write32(p, entry + PCI_MSIX_ENTRY_DATA, route.irq);
	step_write32(p, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
	step_config_write16(p, device->bdf, msix + PCI_MSIX_FLAGS,
			    PCI_MSIX_FLAGS_ENABLE);
}
