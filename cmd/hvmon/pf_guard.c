/* pf_guard.c - a100: a PF's reset registers are denied in the protection
 * table, to the hypervisor's own PF driver too, so that an attempt raises an
 * exception and never reaches the device.  A write there that resets nothing
 * is done for whoever made it. */
#include <config.h>

#include "cmd/hvmon/pf_guard.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/management.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/vf_quiet.h"
#include "libcore/nic_regs.h"
#include "libcore/pci_caps.h"
#include "libcore/platform.h"

/* The driver has so long to use what was granted. */
#define GRANT_LIMIT_NS NS_PER_S

static struct sup_row guard_row(uint64_t first, uint32_t size, uint16_t flag)
{
	return (struct sup_row){ .vm = PLATFORM_HYPERVISOR,
				 .flag = flag,
				 .op = SUP_ROW_SET,
				 .first = first,
				 .last = first + size - 1 };
}

static uint64_t control_address(const struct device *device)
{
	unsigned pcie = pci_find_cap(device->config, PCI_CAP_ID_EXP);

	return pcie ? platform_config(device->bdf) + pcie + PCI_EXP_DEVCTL : 0;
}

unsigned pf_guard_rows(const struct device *device, uint16_t flag,
		       struct sup_row rows[PF_GUARD_ROWS])
{
	uint64_t control = control_address(device);
	unsigned n = 0;

	if (device->single) /* it takes nobody along */
		return 0;
	if (control)
		rows[n++] = guard_row(control, 2, flag);
	if (pf_driver_matches(device) && device->bar[0])
		rows[n++] = guard_row(device->bar[0] + NIC_PF_RESET, 4, flag);
	return n;
}

void step_guard_pf(struct procedure *p, const struct device *device,
		   uint16_t flag)
{
	struct sup_row rows[PF_GUARD_ROWS];
	unsigned n = pf_guard_rows(device, flag, rows);

	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]), 0);
}

static bool is_same(const struct sup_row *a, const struct sup_row *b)
{
	return a->vm == b->vm && a->first == b->first && a->last == b->last;
}

void step_guard_missing(struct procedure *p, const struct device *device)
{
	const struct bridge_tables *t = &p->hv->tables;
	struct sup_row rows[PF_GUARD_ROWS];
	unsigned i, k, left = 0,
		       n = pf_guard_rows(device, SUP_ROW_DENIED, rows);

	for (i = 0; i < n; i++) {
		for (k = 0; k < t->n_rows; k++)
			if (is_same(&t->rows[k], &rows[i]) &&
			    t->rows[k].flag == SUP_ROW_DENIED)
				break;
		if (k == t->n_rows)
			rows[left++] = rows[i];
	}
	step_sup_write(p, SUP_ROWS, rows, left * (uint32_t)sizeof(rows[0]), 0);
}

/* Whether a device that is to be adopted has it. */
static bool is_wanted(struct hvmon *hv, const struct sup_row *row)
{
	struct sup_row rows[PF_GUARD_ROWS];
	const struct device *device;
	unsigned i, n;

	TAILQ_FOREACH (device, &hv->devices, entry) {
		n = pf_guard_rows(device, SUP_ROW_DENIED, rows);
		for (i = 0; i < n; i++)
			if (is_same(row, &rows[i]))
				return true;
	}
	return false;
}

void step_guards_left(struct procedure *p)
{
	const struct bridge_tables *t = &p->hv->tables;
	struct sup_row rows[DEVICE_MAX * PF_GUARD_ROWS];
	unsigned i, n = 0;

	for (i = 0; i < t->n_rows && n < DEVICE_MAX * PF_GUARD_ROWS; i++) {
		if (t->rows[i].vm != PLATFORM_HYPERVISOR ||
		    is_wanted(p->hv, &t->rows[i]))
			continue;
		rows[n] = t->rows[i];
		rows[n++].op = SUP_ROW_DELETE;
	}
	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]), 0);
}

/* Writes that reset nothing. */

struct passed {
	struct procedure p;
	struct sup_exception exception;
};

static int pass_write(struct procedure *p)
{
	const struct sup_exception *ex = &((struct passed *)p)->exception;

	step_guard_pf(p, p->device, SUP_ROW_ALLOWED);
	step_write(p, ex->gpa, ex->data, ex->size);
	step_guard_pf(p, p->device, SUP_ROW_DENIED);
	return STEP_NEXT;
}

static void pass_end(struct procedure *p)
{
	const struct sup_exception *ex = &((struct passed *)p)->exception;

	if (p->err)
		exception_fail(p->hv, ex, EIO);
	else
		exception_done(p->hv, ex, NULL);
}

static const struct step pass_steps[] = {
	{ POINT_NONE, pass_write },
	{ 0, NULL },
};

static const struct procedure_desc pass_desc = {
	.name = "write",
	.steps = pass_steps,
	.end = pass_end,
};

/* Byte `at` of what is written, or 0. */
static uint8_t written(const struct sup_exception *ex, uint64_t at)
{
	return at >= ex->gpa && at - ex->gpa < ex->size ? ex->data[at - ex->gpa]
							: 0;
}

static bool resets(const struct device *device, const struct sup_exception *ex)
{
	uint64_t control = control_address(device);
	uint64_t key = device->bar[0] + NIC_PF_RESET;
	uint32_t value = 0;
	unsigned i;

	if (control && written(ex, control + 1) & (PCI_EXP_DEVCTL_BCR_FLR >> 8))
		return true;
	for (i = 0; i < 4; i++)
		value |= (uint32_t)written(ex, key + i) << (8 * i);
	return device->has_driver && value == NIC_PF_RESET_KEY;
}

static bool is_about(const struct device *device,
		     const struct sup_exception *ex)
{
	struct sup_row rows[PF_GUARD_ROWS];
	unsigned i, n = pf_guard_rows(device, SUP_ROW_DENIED, rows);

	for (i = 0; i < n; i++)
		if (rows[i].first < ex->gpa + ex->size &&
		    ex->gpa <= rows[i].last)
			return true;
	return false;
}

bool pf_guard_takes(struct hvmon *hv, const struct sup_exception *exception)
{
	struct device *device;
	struct passed *passed;

	device = management_reset_of(hv, exception);
	if (device && device->state != DEVICE_AWAY) {
		reset_detected(device, exception);
		return true;
	}
	if (exception->vm != PLATFORM_HYPERVISOR ||
	    !(exception->flags & SUP_EX_WRITE))
		return false;
	TAILQ_FOREACH (device, &hv->devices, entry)
		if (device->state != DEVICE_AWAY && is_about(device, exception))
			break;
	if (!device)
		return false;
	if (resets(device, exception)) {
		reset_detected(device, exception);
		return true;
	}
	passed = procedure_new(hv, &pass_desc, sizeof(*passed));
	passed->exception = *exception;
	procedure_about(&passed->p, device);
	procedure_start(&passed->p, 0);
	return true;
}

/* The PF driver's attempt. */

struct attempt {
	struct procedure p;
	unsigned number;
};

static int attempt_write(struct procedure *p)
{
	const struct device *device = p->device;
	unsigned pcie = pci_find_cap(device->config, PCI_CAP_ID_EXP);

	step_config_write16(p, device->bdf, pcie + PCI_EXP_DEVCTL,
			    pci_get16(device->config, pcie + PCI_EXP_DEVCTL) |
				    PCI_EXP_DEVCTL_BCR_FLR);
	return STEP_NEXT;
}

static void attempt(struct device *device, unsigned number);

static void attempt_end(struct procedure *p)
{
	unsigned number = ((struct attempt *)p)->number;

	if (p->err == -EAGAIN)
		attempt(p->device, number);
	else
		reset_attempt_ended(p->device, number, p->err);
}

static const struct step attempt_steps[] = {
	{ POINT_NONE, attempt_write },
	{ 0, NULL },
};

static const struct procedure_desc attempt_desc = {
	.name = "attempt",
	.steps = attempt_steps,
	.end = attempt_end,
};

static void attempt(struct device *device, unsigned number)
{
	struct attempt *a =
		procedure_new(device->hv, &attempt_desc, sizeof(*a));

	a->number = number;
	procedure_about(&a->p, device);
	procedure_start(&a->p, 0);
}

void pf_guard_attempt(struct device *device, unsigned number)
{
	if (management_driver(device) == PLATFORM_HYPERVISOR)
		attempt(device, number);
	else
		management_ask(device, number);
}

/* A grant: the driver's second attempt passes, once. */

void step_grant(struct procedure *p, uint32_t vm, bool on)
{
	uint16_t flag = on ? SUP_ROW_ONCE : SUP_ROW_DENIED;

	if (vm == PLATFORM_HYPERVISOR)
		step_guard_pf(p, p->device, flag);
	else
		step_management_guard(p, p->device, flag);
}

struct granted {
	struct procedure p;
	uint32_t vm;
	bool *passed;
	struct bridge_tables tables;
	struct sup_load loads[DEVICE_MAX * (FUNCTION_VF_MAX + 1)];
};

/* The root bridge denies a row again that let its one write pass. */
static bool has_passed(const struct granted *g)
{
	const struct bridge_tables *t = &g->tables;
	struct sup_row rows[PF_GUARD_ROWS];
	unsigned i, k, n;

	n = g->vm == PLATFORM_HYPERVISOR
		    ? pf_guard_rows(g->p.device, SUP_ROW_DENIED, rows)
		    : management_guard_rows(g->p.device, rows);
	for (i = 0; i < n; i++)
		for (k = 0; k < t->n_rows; k++)
			if (is_same(&t->rows[k], &rows[i]) &&
			    t->rows[k].flag == SUP_ROW_DENIED)
				return true;
	return !n && !management_is_granted(g->p.device);
}

static int granted_await(struct procedure *p)
{
	struct granted *g = (struct granted *)p;

	*g->passed = p->round && has_passed(g);
	if (*g->passed)
		return STEP_NEXT;
	if (clock_now_ns() - p->step_began_ns > GRANT_LIMIT_NS) {
		step_grant(p, g->vm, false);
		return STEP_NEXT;
	}
	if (p->round)
		step_sleep(p, SETTLE_PAUSE_NS);
	step_read_tables(p, &g->tables);
	return STEP_AGAIN;
}

/* Nothing is asked behind a reset before it is answered: that would be thrown
 * away. */
static int granted_answered(struct procedure *p)
{
	struct granted *g = (struct granted *)p;
	unsigned i;

	for (i = 0; p->round && i < sizeof(g->loads) / sizeof(g->loads[0]); i++)
		if (g->loads[i].bdf == p->device->bdf && g->loads[i].in_flight)
			break;
	if (i == sizeof(g->loads) / sizeof(g->loads[0]))
		return STEP_NEXT;
	if (p->round)
		step_sleep(p, SETTLE_PAUSE_NS);
	step_sup_read(p, SUP_LOADS, g->loads, sizeof(g->loads));
	return STEP_AGAIN;
}

static void granted_fini(struct procedure *p)
{
	bridge_tables_fini(&((struct granted *)p)->tables);
}

static const struct step granted_steps[] = {
	{ POINT_NONE, granted_await },
	{ POINT_NONE, granted_answered },
	{ 0, NULL },
};

static const struct procedure_desc granted_desc = {
	.name = "grant",
	.steps = granted_steps,
	.fini = granted_fini,
};

void step_granted(struct procedure *p, uint32_t vm, bool *passed)
{
	struct granted *g = procedure_new(p->hv, &granted_desc, sizeof(*g));

	g->vm = vm;
	g->passed = passed;
	procedure_about(&g->p, p->device);
	procedure_call(p, &g->p);
}
