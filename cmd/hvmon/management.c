/* management.c - a management VM has the PF of a device in its last slot.
 *
 * Theory of operation.  Rows lead from the slot to the PF: to its config space
 * behind the header, and to BAR 0, but rows that are denied lie over what
 * resets the PF: Device Control and the reset register.  Each attempt to write
 * there is an exception, which is where a safe reset begins (a100).  While the
 * PF is reset its other rows are fenced: what comes behind the write that
 * resets it would be lost.  The header has no row.  Accesses that no row
 * allows are management_access.c's.
 *
 * Without protection a denied row would deny nothing.  So there are no rows,
 * and each access is an exception.
 *
 * An operator's reset of the PF is the VM's to begin, since it drives the PF:
 * it is asked by an interrupt of its slot, and its attempt is what follows.
 */
#include <config.h>

#include "cmd/hvmon/management.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/reset.h"
#include "libcore/nic_regs.h"
#include "libcore/pci_caps.h"

/* It has so long to begin the reset that it was asked for. */
#define ASK_LIMIT_NS (2 * NS_PER_S)
#define ASK_LOOK_NS  (5 * NS_PER_MS)

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
	m->once = false;
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

#define ROWS 6u

/* Config space, then BAR 0; the second of each three is denied. */
static unsigned all_rows(const struct management *m,
			 const struct device *device, struct sup_row rows[ROWS])
{
	unsigned n;

	n = window_rows(m, platform_guest_config(MANAGEMENT_SLOT),
			platform_config(device->bdf), MANAGEMENT_HEADER_SIZE,
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

struct management *management_find_vm(struct hvmon *hv, uint32_t vm)
{
	struct management *m;

	TAILQ_FOREACH (m, &hv->managements, entry)
		if (m->vm == vm && m->ready)
			return m;
	return NULL;
}

uint32_t management_driver(const struct device *device)
{
	const struct management *m = find_device(device->hv, device);
	const struct vm *vm = NULL;

	if (m && m->ready)
		vm = vm_find(&device->hv->vms, m->vm);
	return vm && vm->state == SUP_VM_RUNNING ? m->vm : PLATFORM_HYPERVISOR;
}

unsigned management_guard_rows(const struct device *device,
			       struct sup_row rows[2])
{
	struct management *m = find_device(device->hv, device);
	struct sup_row all[ROWS];

	if (!m || !m->ready || !device->hv->tables.info.protection)
		return 0;
	(void)all_rows(m, device, all);
	rows[0] = all[1];
	rows[1] = all[4];
	return 2;
}

bool management_is_granted(const struct device *device)
{
	const struct management *m = find_device(device->hv, device);

	return m && m->once;
}

void step_management_guard(struct procedure *p, const struct device *device,
			   uint16_t flag)
{
	struct management *m = find_device(p->hv, device);
	struct sup_row rows[2];
	unsigned i, n = management_guard_rows(device, rows);

	for (i = 0; i < n; i++)
		rows[i].flag = flag;
	if (m && !n)
		m->once = flag == SUP_ROW_ONCE;
	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]), 0);
}

void step_management_fence(struct procedure *p, const struct device *device,
			   bool on)
{
	struct management *m = find_device(p->hv, device);
	struct sup_row all[ROWS], rows[ROWS];
	unsigned i, n = 0;

	if (!m || !m->ready || !p->hv->tables.info.protection)
		return;
	(void)all_rows(m, device, all);
	for (i = 0; i < ROWS; i++) {
		if (all[i].flag != SUP_ROW_ALLOWED)
			continue;
		rows[n] = all[i];
		rows[n++].flag = on ? SUP_ROW_FENCED : SUP_ROW_ALLOWED;
	}
	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]), 0);
}

void step_management_rows(struct procedure *p, struct device *device)
{
	struct management *m = find_device(p->hv, device);
	struct sup_row rows[ROWS];
	unsigned n;

	if (!m)
		return;
	if (overlay_init(m, device) || !m->overlay.pcie ||
	    !m->overlay.bar_size[0]) {
		step_fail(p, -ENOTSUP, "%s/pf0 cannot be given to a VM",
			  device->name);
		return;
	}
	if (!p->hv->tables.info.protection)
		return;
	n = all_rows(m, device, rows);
	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]), 0);
}

/* The procedure "ask": the VM's PF driver shall reset its PF. */

struct ask {
	struct procedure p;
	unsigned number; /* of the attempt that is awaited */
};

static int ask_inject(struct procedure *p)
{
	char vm[VM_NAME_MAX];

	event(p->hv->program->log, "reset.asked", "s:s, s:s", "function",
	      p->function, "vm", vm_format(vm, p->vm));
	step_inject(p, p->vm, PLATFORM_IRQ_PF_RESET);
	return STEP_NEXT;
}

static int ask_await(struct procedure *p)
{
	if (!reset_awaits_attempt(p->device, ((struct ask *)p)->number))
		return STEP_NEXT;
	if (management_driver(p->device) != p->vm)
		return -ENOTCONN;
	if (clock_now_ns() - p->step_began_ns > ASK_LIMIT_NS)
		return -ETIMEDOUT;
	step_sleep(p, ASK_LOOK_NS);
	return STEP_AGAIN;
}

static void ask_end(struct procedure *p)
{
	reset_attempt_ended(p->device, ((struct ask *)p)->number, p->err);
}

static const struct step ask_steps[] = {
	{ POINT_NONE, ask_inject },
	{ POINT_NONE, ask_await },
	{ 0, NULL },
};

static const struct procedure_desc ask_desc = {
	.name = "ask",
	.steps = ask_steps,
	.end = ask_end,
};

void management_ask(struct device *device, unsigned number)
{
	struct ask *a = procedure_new(device->hv, &ask_desc, sizeof(*a));

	a->number = number;
	a->p.vm = management_driver(device);
	procedure_about(&a->p, device);
	procedure_start(&a->p, 0);
}
