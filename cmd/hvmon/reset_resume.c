/* reset_resume.c - resets that a former hypervisor left half done.
 *
 * It left a record in vm0's main memory, which the root bridge kept.  While
 * the VFs were only suspended they are released after a new barrier.  Once
 * their registers were saved they may be lost already, wherever it died: so
 * the reset is done (again), and the registers come from the record.
 *
 * Without a record that can be trusted nothing is known but the rows: these
 * are set right, and the guests, told to look, program their VFs anew.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/reset.h"
#include "cmd/hvmon/reset_procedure.h"
#include "cmd/hvmon/vf_quiet.h"
#include "libcore/pci_caps.h"

/* Rooms of devices, as many as vm0's memory has. */
#define ROOMS_SIZE ((uint64_t)RESET_ROOMS * RESET_ROOM_SIZE)

void step_reset_rooms(struct procedure *p)
{
	const struct bridge_tables *t = &p->hv->tables;
	uint64_t size = 0;
	unsigned i;

	for (i = 0; i < t->n_vms; i++)
		if (t->vms[i].vm == PLATFORM_HYPERVISOR)
			size = t->vms[i].memory_size;
	p->hv->rooms_size = size < ROOMS_SIZE ? (uint32_t)size : ROOMS_SIZE;
	if (p->hv->rooms_size)
		step_region_map(p, PLATFORM_REGION_MEMORY, p->hv->rooms_size,
				&p->hv->rooms);
}

void reset_rooms_unmap(struct hvmon *hv)
{
	if (hv->rooms)
		munmap(hv->rooms, hv->rooms_size);
}

void *device_room(const struct device *device)
{
	uint64_t at = RESET_ROOM_OFFSET(device->bdf >> 8);

	if (!device->hv->rooms || at + RESET_ROOM_SIZE > device->hv->rooms_size)
		return NULL;
	return (uint8_t *)device->hv->rooms + at;
}

/* NULL: vm0's memory is too small, and the guests help themselves. */
static struct reset_room *room_of(const struct device *device)
{
	return device_room(device);
}

/* As adoption shall find it. */
static void save_pf_config(struct reset_record *record, const struct device *d)
{
	unsigned cap = d->sriov.cap;

	memcpy(record->pf_config, d->config, sizeof(record->pf_config));
	pci_put16(record->pf_config, PCI_COMMAND,
		  PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (cap)
		pci_put16(record->pf_config, cap + PCI_SRIOV_CTRL,
			  PCI_SRIOV_CTRL_ARI | PCI_SRIOV_CTRL_VFE |
				  PCI_SRIOV_CTRL_MSE);
}

void reset_record_write(struct reset *r, enum reset_phase phase)
{
	const struct device *d = r->p.device;
	struct reset_room *room = room_of(d);
	struct reset_record *record = &r->record;

	if (!room)
		return;
	record->phase = (uint16_t)phase;
	if (phase == RESET_PHASE_SAVED)
		save_pf_config(record, d);
	reset_room_put(room, record, reset_record_seal(record));
}

void reset_record_clear(const struct device *device)
{
	struct reset_room *room = room_of(device);

	if (room)
		reset_room_clear(room);
}

void reset_record_forget(struct device *device)
{
	free(device->record);
	device->record = NULL;
}

void reset_record_take(struct device *device)
{
	const struct reset_room *room = room_of(device);

	if (!room)
		return;
	if (!device->record)
		device->record = calloc(1, sizeof(*device->record));
	if (!device->record)
		abort();
	if (!reset_room_get(room, device->bdf, device->record)) {
		reset_record_forget(device);
		return;
	}
	if (device->record->phase == RESET_PHASE_SAVED)
		memcpy(device->config, device->record->pf_config,
		       sizeof(device->config));
}

/* The procedure "resume reset". */

static int resume_look(struct procedure *p)
{
	struct reset *r = reset_of(p);
	struct device *device = p->device;
	unsigned i;

	if (!r->is_pf)
		snprintf(p->function, sizeof(p->function), "%s/vf%u",
			 device->name, r->record.vf);
	for (i = 0; i < r->record.n_vfs; i++)
		if (r->record.vfs[i].number <= device->num_vfs)
			p->vfs.vf[p->vfs.n++] =
				&device->vf[r->record.vfs[i].number - 1];
	if (p->vfs.n != r->record.n_vfs)
		return STEP_DONE; /* it is of another device */
	device->has_driver = pf_driver_matches(device);
	r->pcie = pci_find_cap(device->config, PCI_CAP_ID_EXP);
	step_config_read(p, device->bdf, device->sriov.cap + PCI_SRIOV_CTRL,
			 r->pf_control, sizeof(r->pf_control));
	return STEP_NEXT;
}

static bool leads_to(const struct sup_row *row, const struct vf *vf)
{
	uint64_t first = row->first + (uint64_t)row->offset, bar;
	unsigned i;

	for (i = 0; i < 6; i++) {
		bar = vf_bar_address(vf, i);
		if (vf->device->vf_bar_size[i] && first >= bar &&
		    first - bar < vf->device->vf_bar_size[i])
			return true;
	}
	return false;
}

/* VMs that were stopped, instead of fenced, ran on when their stopper died.
 * Adoption sets the rows right. */
static int resume_suspend(struct procedure *p)
{
	struct bridge_tables *t = &p->hv->tables;
	struct sup_row rows[FUNCTION_VF_MAX * 6];
	unsigned i, k, n = 0;

	for (i = 0; i < t->n_rows; i++) {
		if (t->rows[i].flag != SUP_ROW_ALLOWED)
			continue;
		for (k = 0; k < p->vfs.n; k++)
			if (leads_to(&t->rows[i], p->vfs.vf[k]))
				break;
		if (k == p->vfs.n || n == sizeof(rows) / sizeof(rows[0]))
			continue;
		t->rows[i].flag = SUP_ROW_FENCED;
		rows[n] = t->rows[i];
		rows[n++].op = SUP_ROW_SET;
	}
	step_sup_write(p, SUP_ROWS, rows, n * (uint32_t)sizeof(rows[0]), 0);
	return STEP_NEXT;
}

/* A new barrier, where there still are VFs. */
static int resume_barrier(struct procedure *p)
{
	struct reset *r = reset_of(p);
	unsigned i;

	if (!(pci_get16(r->pf_control, 0) & PCI_SRIOV_CTRL_VFE))
		return STEP_NEXT;
	vfs_bus_master_off(p);
	for (i = 0; i < p->vfs.n; i++) {
		p->vfs.vf[i]->pcie = r->record.vfs[i].pcie;
		step_config_read(p, p->vfs.vf[i]->bdf, PCI_COMMAND,
				 &p->vfs.word[i], sizeof(p->vfs.word[i]));
	}
	return STEP_NEXT;
}

static bool is_saved(struct procedure *p)
{
	return reset_of(p)->record.phase == RESET_PHASE_SAVED;
}

static int resume_flr(struct procedure *p)
{
	if (is_saved(p))
		flr_start(p);
	return STEP_NEXT;
}

static int resume_settle(struct procedure *p)
{
	return is_saved(p) ? flr_settle(p) : STEP_NEXT;
}

static int resume_restore(struct procedure *p)
{
	return is_saved(p) ? pf_restore(p) : STEP_NEXT;
}

static int resume_driver(struct procedure *p)
{
	return is_saved(p) ? pf_restore_driver(p) : STEP_NEXT;
}

static int resume_registers(struct procedure *p)
{
	return is_saved(p) ? vf_states_write(p) : STEP_NEXT;
}

/* The PF driver sets its enables right when it is adopted. */
static int resume_done(struct procedure *p)
{
	reset_record_clear(p->device);
	return STEP_NEXT;
}

static void resume_end(struct procedure *p)
{
	event(p->hv->program->log, "reset.taken-up", "s:s, s:i, s:b, s:s*",
	      "function", p->function, "vfs", (int)p->vfs.n, "again",
	      (int)is_saved(p), "why", p->err ? p->why : NULL);
}

static const struct step resume_steps[] = {
	{ POINT_RESUME_LOOK, resume_look },
	{ POINT_NONE, resume_suspend },
	{ POINT_RESUME_BARRIER, resume_barrier },
	{ POINT_RESUME_A115, resume_flr },
	{ POINT_RESUME_SETTLE, resume_settle },
	{ POINT_RESUME_SETUP, resume_restore },
	{ POINT_RESUME_DRIVER, resume_driver },
	{ POINT_RESUME_REGISTERS, resume_registers },
	{ POINT_RESUME_MASTERS, vf_states_bus_master },
	{ POINT_RESUME_DONE, resume_done },
	{ 0, NULL },
};

static const struct procedure_desc resume_desc = {
	.name = "resume reset",
	.steps = resume_steps,
	.end = resume_end,
};

void step_reset_resume(struct procedure *p, struct device *device)
{
	struct reset *r;

	if (!device->record)
		return;
	r = procedure_new(p->hv, &resume_desc, sizeof(*r));
	r->record = *device->record;
	r->is_pf = !r->record.vf;
	reset_record_forget(device);
	procedure_about(&r->p, device);
	procedure_call(p, &r->p);
}
