/* management.c - a management VM has the PF of a device in its last slot.
 *
 * Theory of operation.  Rows lead from the slot to the PF: to its config space
 * behind the header, and to BAR 0, but rows that are denied lie over what
 * resets the PF: Device Control and the reset register.  Each attempt to write
 * there is an exception, which is where a safe reset begins (a100).  The
 * header has no row: BARs show guest-physical addresses and cannot be moved,
 * the rest of it is the PF's and the hypervisor's to write.  An access that
 * lies in no one row, such as one of the whole config space, is emulated: it
 * reads what the PF shows, and writes nothing.
 */
#include <config.h>

#include "cmd/hvmon/management.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/nic_regs.h"
#include "libcore/pci_caps.h"

#define HEADER_SIZE 0x40u

struct management {
	TAILQ_ENTRY(management) entry;
	uint32_t vm;
	char device[DEVICE_NAME_MAX + 1];
	struct config_overlay overlay;
	bool ready; /* the overlay is that of the device */
};

void managements_init(struct managements *list)
{
	TAILQ_INIT(list);
}

void managements_fini(struct managements *list)
{
	struct management *m;

	while ((m = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, m, entry);
		free(m);
	}
}

int management_add_text(struct managements *list, const char *text,
			struct complaint *c)
{
	const char *equals = strchr(text, '=');
	struct function_name name;
	struct management *m;
	char vm[16], pf[64];
	uint32_t number;
	int err;

	if (!equals || (size_t)(equals - text) >= sizeof(vm))
		return complain(c, EINVAL, "'%s' is not VM=DEVICE", text);
	memcpy(vm, text, (size_t)(equals - text));
	vm[equals - text] = '\0';
	snprintf(pf, sizeof(pf), "%s/pf0", equals + 1);
	err = vm_parse(vm, &number, c);
	if (!err)
		err = function_name_parse(pf, &name, c);
	if (err)
		return err;
	TAILQ_FOREACH (m, list, entry)
		if (m->vm == number || !strcmp(m->device, name.device))
			return complain(c, EINVAL,
					"%s: the VM or the device has a "
					"management already",
					text);
	m = calloc(1, sizeof(*m));
	if (!m)
		return complain(c, ENOMEM, "out of memory");
	m->vm = number;
	strcpy(m->device, name.device);
	TAILQ_INSERT_TAIL(list, m, entry);
	return 0;
}

/* Rows */

static int overlay_init(struct management *m, const struct device *device)
{
	struct config_overlay *o = &m->overlay;
	int err;

	memset(o, 0, sizeof(*o));
	err = vf_slot_layout(MANAGEMENT_SLOT, device->bar_size, o->bar_gpa);
	if (err)
		return err;
	memcpy(o->bar_size, device->bar_size, sizeof(o->bar_size));
	memcpy(o->bar_is_64, device->bar_is_64, sizeof(o->bar_is_64));
	o->vendor = pci_get16(device->config, PCI_VENDOR_ID);
	o->device = pci_get16(device->config, PCI_DEVICE_ID);
	o->pcie = (uint16_t)pci_find_cap(device->config, PCI_CAP_ID_EXP);
	m->ready = true;
	return 0;
}

/* [from, to) of one window, and in it [hole, hole + size) denied. */
static unsigned window_rows(const struct management *m, uint64_t gpa,
			    uint64_t mpa, uint32_t from, uint32_t to,
			    uint32_t hole, uint32_t size, struct sup_row *rows)
{
	const uint32_t edge[] = { from, hole, hole + size, to };
	unsigned i;

	for (i = 0; i < 3; i++)
		rows[i] = (struct sup_row){
			.vm = m->vm,
			.flag = i == 1 ? SUP_ROW_DENIED : SUP_ROW_ALLOWED,
			.op = SUP_ROW_SET,
			.first = gpa + edge[i],
			.last = gpa + edge[i + 1] - 1,
			.offset = (int64_t)(mpa - gpa),
		};
	return i;
}

/* Config space, then BAR 0; the second of each three is denied. */
static unsigned all_rows(const struct management *m,
			 const struct device *device, struct sup_row rows[6])
{
	unsigned n;

	n = window_rows(m, platform_guest_config(MANAGEMENT_SLOT),
			platform_config(device->bdf), HEADER_SIZE,
			PCI_CONFIG_SIZE, m->overlay.pcie + PCI_EXP_DEVCTL, 2,
			rows);
	n += window_rows(m, m->overlay.bar_gpa[0], device->bar[0], 0,
			 (uint32_t)m->overlay.bar_size[0], NIC_PF_RESET, 4,
			 &rows[n]);
	return n;
}

static struct management *find_device(struct hvmon *hv,
				      const struct device *device)
{
	struct management *m;

	TAILQ_FOREACH (m, &hv->managements, entry)
		if (!strcmp(m->device, device->name))
			return m;
	return NULL;
}

unsigned management_guard_rows(struct hvmon *hv, const struct device *device,
			       uint16_t flag, struct sup_row rows[2])
{
	struct management *m = find_device(hv, device);
	struct sup_row all[6];
	unsigned i;

	if (!m || !m->ready)
		return 0;
	(void)all_rows(m, device, all);
	for (i = 0; i < 2; i++) {
		rows[i] = all[3 * i + 1];
		rows[i].flag = flag;
	}
	return i;
}

void step_management_rows(struct procedure *p, struct device *device)
{
	struct management *m = find_device(p->hv, device);
	struct sup_row rows[6];
	unsigned n;

	if (!m)
		return;
	if (overlay_init(m, device) || !m->overlay.pcie ||
	    !m->overlay.bar_size[0]) {
		step_fail(p, -ENOTSUP, "%s/pf0 cannot be given to a VM",
			  device->name);
		return;
	}
	n = all_rows(m, device, rows);
	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]), 0);
}

/* Exceptions */

static struct management *find_vm(struct hvmon *hv, uint32_t vm)
{
	struct management *m;

	TAILQ_FOREACH (m, &hv->managements, entry)
		if (m->vm == vm && m->ready)
			return m;
	return NULL;
}

/* Whether the access touches [first, first + size), and where it lies. */
static bool within(const struct sup_exception *e, uint64_t first, uint64_t size,
		   uint32_t *offset)
{
	*offset = (uint32_t)(e->gpa - first);
	return e->gpa >= first && e->gpa - first < size &&
	       e->size <= size - (e->gpa - first);
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
	if (within(e, platform_guest_config(MANAGEMENT_SLOT), PCI_CONFIG_SIZE,
		   &offset))
		return byte_at(e, offset, at + 1) &
		       (PCI_EXP_DEVCTL_BCR_FLR >> 8);
	if (!within(e, m->overlay.bar_gpa[0], m->overlay.bar_size[0], &offset))
		return false;
	for (i = 0; i < 4; i++)
		key |= (uint32_t)byte_at(e, offset, NIC_PF_RESET + i)
		       << (8 * i);
	return key == NIC_PF_RESET_KEY;
}

struct device *management_reset_of(struct hvmon *hv,
				   const struct sup_exception *exception)
{
	struct management *m = find_vm(hv, exception->vm);

	if (!m || exception->size > SUP_DATA_MAX || !is_reset(m, exception))
		return NULL;
	return device_find_name(hv, m->device);
}

struct pf_read {
	struct procedure p;
	struct sup_exception exception;
	uint8_t config[PCI_CONFIG_SIZE];
};

static int read_config(struct procedure *p)
{
	step_config_read(p, p->device->bdf, 0, ((struct pf_read *)p)->config,
			 PCI_CONFIG_SIZE);
	return STEP_NEXT;
}

static void read_end(struct procedure *p)
{
	struct pf_read *r = (struct pf_read *)p;
	struct management *m = find_vm(p->hv, r->exception.vm);
	uint32_t offset = 0;

	if (p->err || !m ||
	    !within(&r->exception, platform_guest_config(MANAGEMENT_SLOT),
		    PCI_CONFIG_SIZE, &offset)) {
		exception_unsupported(p->hv, &r->exception);
		return;
	}
	config_overlay_read(&m->overlay, offset, &r->config[offset],
			    r->exception.size);
	exception_done(p->hv, &r->exception, &r->config[offset]);
}

static const struct step read_steps[] = {
	{ POINT_NONE, read_config },
	{ 0, NULL },
};

static const struct procedure_desc read_desc = {
	.name = "pf config access",
	.steps = read_steps,
	.end = read_end,
};

/* Only what the overlay emulates is written. */
static void write_config(struct hvmon *hv, struct management *m,
			 const struct sup_exception *exception, uint32_t offset)
{
	struct config_run runs[CONFIG_RUNS_MAX];
	uint8_t data[SUP_DATA_MAX];
	bool flr;

	memcpy(data, exception->data, exception->size);
	if (offset + exception->size <= HEADER_SIZE)
		(void)config_overlay_write(&m->overlay, offset, data,
					   exception->size, runs, &flr);
	exception_done(hv, exception, NULL);
}

/* Nobody takes the attempt up: it never reaches the device. */
static void refuse_reset(struct hvmon *hv,
			 const struct sup_exception *exception,
			 const char *device)
{
	struct sup_verdict verdict;
	char vm[VM_NAME_MAX], pf[FUNCTION_NAME_MAX];

	snprintf(pf, sizeof(pf), "%s/pf0", device);
	event(hv->program->log, "reset.refused", "s:s, s:s", "function", pf,
	      "vm", vm_format(vm, exception->vm));
	if (!exception->serial)
		return;
	memset(&verdict, 0, sizeof(verdict));
	verdict.serial = exception->serial;
	verdict.action = SUP_VERDICT_FAIL;
	verdict.error = EPERM;
	bridge_link_verdict(&hv->bridge, &verdict);
}

bool management_takes(struct hvmon *hv, const struct sup_exception *exception)
{
	struct management *m = find_vm(hv, exception->vm);
	struct device *device;
	struct pf_read *r;
	uint32_t offset;

	if (m && is_reset(m, exception)) {
		refuse_reset(hv, exception, m->device);
		return true;
	}
	if (!m || !within(exception, platform_guest_config(MANAGEMENT_SLOT),
			  PCI_CONFIG_SIZE, &offset))
		return false;
	device = device_find_name(hv, m->device);
	if (!device || device->state == DEVICE_AWAY) {
		exception_unsupported(hv, exception);
		return true;
	}
	if (exception->flags & SUP_EX_WRITE) {
		write_config(hv, m, exception, offset);
		return true;
	}
	r = procedure_new(hv, &read_desc, sizeof(*r));
	r->exception = *exception;
	procedure_about(&r->p, device);
	procedure_start(&r->p, 0);
	return true;
}
