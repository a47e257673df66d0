/* give.c - the procedure "give": a VM gets its VFs.
 *
 * Order matters: a VM may reach a VF's registers only when the VF's DMA and
 * interrupts are the VM's already; so rows come last, and go first.
 */
#include <config.h>

#include "cmd/hvmon/give.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/protection_rows.h"
#include "cmd/hvmon/virtual.h"
#include "libcore/platform.h"

struct give {
	struct procedure p;
	bool missing;
};

static struct vf_allocation *allocation_of(struct procedure *p,
					   const struct vf *vf)
{
	struct function_name name;

	vf_name(vf, &name);
	return vf_allocations_find(&p->hv->allocations, &name);
}

/* What the bridge has already. */

static bool has_row(const struct bridge_tables *t, const struct sup_row *row)
{
	unsigned i;

	for (i = 0; i < t->n_rows; i++)
		if (t->rows[i].vm == row->vm && t->rows[i].flag == row->flag &&
		    t->rows[i].first == row->first &&
		    t->rows[i].last == row->last &&
		    t->rows[i].offset == row->offset)
			return true;
	return false;
}

static bool is_assigned(const struct bridge_tables *t, uint16_t bdf,
			uint32_t vm)
{
	const struct sup_function *function = bridge_tables_function(t, bdf);

	return function && function->vm == vm;
}

/* Parts of steps. */

void step_rows(struct procedure *p, enum sup_row_op op, bool missing)
{
	struct sup_row rows[FUNCTION_VF_MAX * 6];
	const struct vf_allocation *row;
	unsigned i, k, n = 0, count;

	for (i = 0; i < p->vfs.n; i++) {
		row = allocation_of(p, p->vfs.vf[i]);
		if (!row)
			continue;
		count = vf_protection_rows(row, p->vfs.vf[i], op, &rows[n]);
		for (k = n; count; count--, k++)
			if (!missing || !has_row(&p->hv->tables, &rows[k]))
				rows[n++] = rows[k];
	}
	/* One to delete may never have been set. */
	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]),
		       op == SUP_ROW_DELETE ? STEP_MAY_FAIL : 0);
}

void step_routes_away(struct procedure *p)
{
	struct sup_route routes[FUNCTION_VF_MAX * PLATFORM_IRQS_PER_SLOT];
	unsigned i, n = 0;

	for (i = 0; i < p->vfs.n; i++)
		n += vf_routes(p->vfs.vf[i], PLATFORM_VM_NONE, 0, &routes[n]);
	step_sup_write(p, SUP_ROUTES, routes, n * (uint32_t)sizeof(routes[0]),
		       STEP_MAY_FAIL);
}

void step_assign_away(struct procedure *p)
{
	struct sup_assign assign[FUNCTION_VF_MAX];
	unsigned i;

	for (i = 0; i < p->vfs.n; i++)
		if (!p->vfs.vf[i]->number)
			step_carried_away(p, p->vfs.vf[i]->device);
	for (i = 0; i < p->vfs.n; i++)
		assign[i] = (struct sup_assign){
			.bdf = p->vfs.vf[i]->bdf,
			.vm = PLATFORM_VM_NONE,
		};
	step_sup_write(p, SUP_ASSIGN, assign, i * (uint32_t)sizeof(assign[0]),
		       0);
}

void vf_set_of_device(struct vf_set *set, struct device *device)
{
	unsigned i;

	memset(set, 0, sizeof(*set));
	if (device->single)
		set->vf[set->n++] = &device->whole;
	for (i = 0; i < device->num_vfs; i++)
		set->vf[set->n++] = &device->vf[i];
}

void step_inject_vms(struct procedure *p, const struct vf_set *set)
{
	struct sup_inject told[FUNCTION_VF_MAX];
	const struct vf_allocation *row;
	unsigned i, k, n = 0;

	for (i = 0; i < set->n; i++) {
		row = allocation_of(p, set->vf[i]);
		for (k = 0; row && k < n && told[k].vm != row->vm; k++)
			;
		if (row && k == n)
			told[n++] =
				(struct sup_inject){ row->vm,
						     PLATFORM_IRQ_PLATFORM };
	}
	step_sup_write(p, SUP_INJECT, told, n * (uint32_t)sizeof(told[0]),
		       STEP_MAY_FAIL);
}

/* The procedure "give". */

static int give_assign(struct procedure *p)
{
	bool missing = ((struct give *)p)->missing;
	struct sup_assign assign[FUNCTION_VF_MAX];
	char name[FUNCTION_NAME_MAX];
	struct vf_allocation *row;
	unsigned i, n = 0;
	struct vf *vf;
	int err;

	for (i = 0; i < p->vfs.n; i++) {
		vf = p->vfs.vf[i];
		row = allocation_of(p, vf);
		if (!row)
			continue;
		if (!vf->number)
			step_carried_give(p, vf->device);
		err = vf_overlay_init(row, vf);
		if (err)
			return step_fail(p, err,
					 "the BARs of %s do not fit in a slot",
					 vf_format(name, vf));
		if (!missing || !is_assigned(&p->hv->tables, vf->bdf, row->vm))
			assign[n++] = (struct sup_assign){ .bdf = vf->bdf,
							   .vm = row->vm };
	}
	step_sup_write(p, SUP_ASSIGN, assign, n * (uint32_t)sizeof(assign[0]),
		       0);
	return STEP_NEXT;
}

static int give_routes(struct procedure *p)
{
	struct sup_route routes[FUNCTION_VF_MAX * PLATFORM_IRQS_PER_SLOT];
	bool missing = ((struct give *)p)->missing;
	const struct vf_allocation *row;
	unsigned i, k, n = 0, count;

	for (i = 0; i < p->vfs.n; i++) {
		row = allocation_of(p, p->vfs.vf[i]);
		if (!row)
			continue;
		count = vf_routes(p->vfs.vf[i], row->vm, row->slot, &routes[n]);
		for (k = n; count; count--, k++)
			if (!missing || !bridge_tables_has_route(&p->hv->tables,
								 &routes[k]))
				routes[n++] = routes[k];
	}
	step_sup_write(p, SUP_ROUTES, routes, n * (uint32_t)sizeof(routes[0]),
		       0);
	return STEP_NEXT;
}

static int give_enable(struct procedure *p)
{
	unsigned i;

	/* Those of a device that is adopted were set by its driver. */
	if (((struct give *)p)->missing)
		return STEP_NEXT;
	for (i = 0; i < p->vfs.n; i++)
		if (allocation_of(p, p->vfs.vf[i]))
			step_vf_enable(p, p->vfs.vf[i], true);
	return STEP_NEXT;
}

static int give_rows(struct procedure *p)
{
	step_rows(p, SUP_ROW_SET, ((struct give *)p)->missing);
	return STEP_NEXT;
}

/* While the device is set up or adopted, what is virtual begins at the end. */
static void begin(struct vf *vf)
{
	const struct device *device = vf->device;

	if (!vf->number && device->carried && device->state == DEVICE_READY)
		virtual_started(vf->device);
}

static void give_end(struct procedure *p)
{
	char name[FUNCTION_NAME_MAX], vm[VM_NAME_MAX];
	struct vf_allocation *row;
	unsigned i;

	for (i = 0; !p->err && i < p->vfs.n; i++) {
		row = allocation_of(p, p->vfs.vf[i]);
		if (!row)
			continue;
		row->ready = true;
		begin(p->vfs.vf[i]);
		event(p->hv->program->log, "vf.ready", "s:s, s:s, s:I, s:I",
		      "function", vf_format(name, p->vfs.vf[i]), "vm",
		      vm_format(vm, row->vm), "slot", (json_int_t)row->slot,
		      "gpa", (json_int_t)row->overlay.bar_gpa[0]);
	}
}

static const struct step give_steps[] = {
	{ POINT_GIVE_ASSIGN, give_assign },
	{ POINT_GIVE_ROUTES, give_routes },
	{ POINT_GIVE_ENABLE, give_enable },
	{ POINT_GIVE_ROWS, give_rows },
	{ 0, NULL },
};

static const struct procedure_desc give_desc = {
	.name = "give",
	.steps = give_steps,
	.end = give_end,
};

void step_give(struct procedure *p, struct device *device,
	       const struct vf_set *vfs, bool missing)
{
	struct give *give = procedure_new(p->hv, &give_desc, sizeof(*give));

	procedure_about(&give->p, device);
	give->p.vfs = *vfs;
	give->missing = missing;
	procedure_call(p, &give->p);
}
