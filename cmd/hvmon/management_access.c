/* management_access.c - accesses of a management VM to its PF that no row
 * allows.
 *
 * Theory of operation.  In the header BARs show guest-physical addresses and
 * cannot be moved; the rest of it is the PF's to show and the hypervisor's to
 * write.  Everything else is done for the VM: with protection that are
 * accesses which lie in no one row, without it all of them.  What resets the
 * PF is not done but detected (a100), unless that was granted; while a reset
 * is under way the others wait.
 */
#include <config.h>

#include "cmd/hvmon/management.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/hvmon/config_emulation.h"
#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/nic_regs.h"
#include "libcore/pci_caps.h"

/* Whether the access lies in [first, first + size), and where. */
static bool within(const struct sup_exception *e, uint64_t first, uint64_t size,
		   uint32_t *offset)
{
	*offset = (uint32_t)(e->gpa - first);
	return e->gpa >= first && e->gpa - first < size &&
	       e->size <= size - (e->gpa - first);
}

static bool in_config(const struct sup_exception *e, uint32_t *offset)
{
	return within(e, platform_guest_config(MANAGEMENT_SLOT),
		      PCI_CONFIG_SIZE, offset);
}

static bool in_bar(const struct management *m, const struct sup_exception *e,
		   uint32_t *offset)
{
	return within(e, m->overlay.bar_gpa[0], m->overlay.bar_size[0], offset);
}

/* The byte that is written at `at` of the window, or 0. */
static uint8_t byte_at(const struct sup_exception *e, uint32_t offset,
		       uint32_t at)
{
	return at >= offset && at - offset < e->size ? e->data[at - offset] : 0;
}

static bool is_reset(const struct management *m, const struct sup_exception *e)
{
	uint32_t offset, at = m->overlay.pcie + PCI_EXP_DEVCTL, key = 0, i;

	if (!(e->flags & SUP_EX_WRITE))
		return false;
	if (in_config(e, &offset))
		return byte_at(e, offset, at + 1) &
		       (PCI_EXP_DEVCTL_BCR_FLR >> 8);
	if (!in_bar(m, e, &offset))
		return false;
	for (i = 0; i < 4; i++)
		key |= (uint32_t)byte_at(e, offset, NIC_PF_RESET + i)
		       << (8 * i);
	return key == NIC_PF_RESET_KEY;
}

struct device *management_reset_of(struct hvmon *hv,
				   const struct sup_exception *exception)
{
	struct management *m = management_find_vm(hv, exception->vm);

	if (!m || exception->size > SUP_DATA_MAX || m->once ||
	    !is_reset(m, exception))
		return NULL;
	return device_find_name(hv, m->device);
}

/* The procedure "pf access": one access, done for the VM. */

struct pf_access {
	struct procedure p;
	struct sup_exception exception;
	uint8_t data[SUP_DATA_MAX];
};

/* The header: only what the overlay emulates is written. */
static void write_config(struct procedure *p, struct management *m,
			 uint32_t offset)
{
	struct pf_access *a = (struct pf_access *)p;
	uint32_t size = a->exception.size, header = 0;
	struct config_run runs[CONFIG_RUNS_MAX];
	bool flr;

	memcpy(a->data, a->exception.data, size);
	if (offset < MANAGEMENT_HEADER_SIZE) {
		header = MANAGEMENT_HEADER_SIZE - offset;
		if (header > size)
			header = size;
		(void)config_overlay_write(&m->overlay, offset, a->data, header,
					   runs, &flr);
	}
	if (size > header)
		step_config_write(p, p->device->bdf, offset + header,
				  &a->data[header], size - header);
}

static int access_start(struct procedure *p)
{
	struct pf_access *a = (struct pf_access *)p;
	struct sup_exception *e = &a->exception;
	struct management *m = management_find_vm(p->hv, e->vm);
	bool write = e->flags & SUP_EX_WRITE;
	uint32_t offset;

	if (!m)
		return -ENODEV;
	if (in_config(e, &offset)) {
		if (write)
			write_config(p, m, offset);
		else
			step_config_read(p, p->device->bdf, offset, a->data,
					 e->size);
		return STEP_NEXT;
	}
	(void)in_bar(m, e, &offset);
	if (write)
		step_write(p, p->device->bar[0] + offset, e->data, e->size);
	else
		step_read(p, p->device->bar[0] + offset, a->data, e->size);
	return STEP_NEXT;
}

static void access_end(struct procedure *p)
{
	struct pf_access *a = (struct pf_access *)p;
	struct management *m = management_find_vm(p->hv, a->exception.vm);
	uint32_t offset;

	if (p->err || !m) {
		exception_unsupported(p->hv, &a->exception);
		return;
	}
	if (in_config(&a->exception, &offset))
		config_overlay_read(&m->overlay, offset, a->data,
				    a->exception.size);
	exception_done(p->hv, &a->exception,
		       a->exception.flags & SUP_EX_WRITE ? NULL : a->data);
}

static const struct step access_steps[] = {
	{ POINT_NONE, access_start },
	{ 0, NULL },
};

static const struct procedure_desc access_desc = {
	.name = "pf access",
	.steps = access_steps,
	.end = access_end,
};

static void do_access(struct hvmon *hv, struct device *device,
		      const struct sup_exception *exception)
{
	struct pf_access *a = procedure_new(hv, &access_desc, sizeof(*a));

	a->exception = *exception;
	procedure_about(&a->p, device);
	procedure_start(&a->p, 0);
}

/* Nobody takes the attempt up: it never reaches the device. */
static void refuse_reset(struct hvmon *hv,
			 const struct sup_exception *exception,
			 const char *device)
{
	char vm[VM_NAME_MAX], pf[FUNCTION_NAME_MAX];

	uint64_t suppressed;

	snprintf(pf, sizeof(pf), "%s/pf0", device);
	if (vm_tells(hv, exception->vm, &suppressed))
		event(hv->program->log, "reset.refused", "s:s, s:s, s:I",
		      "function", pf, "vm", vm_format(vm, exception->vm),
		      "suppressed", (json_int_t)suppressed);
	exception_fail(hv, exception, EPERM);
}

bool management_takes(struct hvmon *hv, const struct sup_exception *exception)
{
	struct management *m = management_find_vm(hv, exception->vm);
	struct device *device;
	uint32_t offset;

	if (!m ||
	    (!in_config(exception, &offset) && !in_bar(m, exception, &offset)))
		return false;
	device = device_find_name(hv, m->device);
	if (!device || device->state == DEVICE_AWAY) {
		if (is_reset(m, exception))
			refuse_reset(hv, exception, m->device);
		else
			exception_unsupported(hv, exception);
	} else if (m->once && is_reset(m, exception)) {
		m->once = false;
		do_access(hv, device, exception);
	} else if (device->resetting) {
		config_emulation_keep(device, exception);
	} else {
		do_access(hv, device, exception);
	}
	return true;
}
