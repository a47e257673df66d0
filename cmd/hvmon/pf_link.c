/* pf_link.c - the link as guests see it (spec 02: 1001 to 1004, 1101 to 1103).
 *
 * Theory of operation.  The PF interrupts when a link or a bandwidth changed,
 * and when a VF asks; its registers say which.  A change is stored before it is
 * cleared there, so whoever drives the PF next is told again of what we did not
 * store.  A VM that does not know a state as it is is told to ask.
 *
 * All this runs in a lane of its own: it neither waits for what happens to
 * single VFs, nor reaches the PF while that is being reset.  A VF that asks
 * without end is answered a hundred times a second.  After a failure all VFs
 * are looked at once more.
 */
#include <config.h>

#include "cmd/hvmon/pf_link.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_driver.h"
#include "cmd/hvmon/successors.h"
#include "libcore/units.h"

#define ASK_PAUSE_NS (10 * NS_PER_MS)
#define RETRY_NS     (100 * NS_PER_MS)

struct link_event {
	struct procedure p;
	struct link_causes causes;
	uint64_t set; /* VFs that it is about */
	uint8_t pf[LINK_PF_SIZE];
	uint8_t vf[FUNCTION_VF_MAX][LINK_VF_SIZE];
	uint8_t request[FUNCTION_VF_MAX][4];
};

static const struct procedure_desc event_desc;

static struct link_event *event_of(struct procedure *p)
{
	return (struct link_event *)p;
}

/* The next VF of the set after number n (0: the first); NULL: no more. */
static struct vf *next_vf(struct device *device, uint64_t set, unsigned n)
{
	while (n++ < FUNCTION_VF_MAX)
		if (link_vf_in(set, n))
			return &device->vf[n - 1];
	return NULL;
}

#define EACH_VF(vf, device, set)          \
	((vf) = next_vf(device, set, 0)); \
	(vf);                             \
	((vf) = next_vf(device, set, (vf)->number))

static uint64_t bit_of(const struct vf *vf)
{
	return 1ull << (vf->number - 1);
}

static struct link_state *state_of(struct vf *vf)
{
	struct link_state *state = &vf->device->link[vf->number];
	struct function_name name;
	const struct vf_allocation *row;

	vf_name(vf, &name);
	row = vf_allocations_find(&vf->device->hv->allocations, &name);
	state->vm = row ? row->vm : PLATFORM_VM_NONE;
	return state;
}

void pf_link_take(struct device *device, const struct link_values *values)
{
	bool was_up = device->link[0].physical.up;
	char name[FUNCTION_NAME_MAX];

	if (!link_state_store(&device->link[0], values) || values->up == was_up)
		return;
	snprintf(name, sizeof(name), "%s/pf0", device->name);
	event(device->hv->program->log, "pf.link", "s:s, s:b", "function", name,
	      "up", values->up);
}

void pf_link_take_vf(struct vf *vf, const struct link_values *values)
{
	char name[FUNCTION_NAME_MAX];
	bool known = vf->link_known;

	vf->link_known = true;
	if (link_state_store(state_of(vf), values) && known)
		event(vf->device->hv->program->log, "link.changed",
		      "s:s, s:b, s:I, s:I", "function", vf_format(name, vf),
		      "up", values->up, "bandwidth_max",
		      (json_int_t)values->max, "bandwidth",
		      (json_int_t)values->allocated);
}

void pf_link_forget(struct vf *vf)
{
	if (!vf->number)
		return; /* a single function has no PF driver to tell it */
	link_state_forget(state_of(vf));
	successors_copy(vf->device, bit_of(vf));
}

uint32_t pf_link_vm(struct vf *vf)
{
	return state_of(vf)->vm;
}

static void call(struct procedure *p, struct device *device,
		 const struct procedure_desc *desc,
		 const struct link_causes *causes, uint64_t set)
{
	struct link_event *e = procedure_new(p->hv, desc, sizeof(*e));

	e->causes = *causes;
	e->set = set;
	procedure_about(&e->p, device);
	procedure_call(p, &e->p);
}

/* Those VFs of a set of which there are registers. */
static uint64_t with_block(struct device *device, uint64_t set)
{
	struct vf *vf;

	for (EACH_VF(vf, device, set))
		if (!vf_block(vf))
			set &= ~bit_of(vf);
	return set;
}

/* The procedure "link": 1001 to 1004. */

static int link_1001(struct procedure *p)
{
	struct link_event *e = event_of(p);
	struct vf *vf;

	for (EACH_VF(vf, p->device, e->set))
		step_read(p, vf_block(vf) + LINK_VF_AT, e->vf[vf->number - 1],
			  LINK_VF_SIZE);
	return STEP_NEXT;
}

static void clear(struct procedure *p, uint64_t set)
{
	uint64_t bits = htole64(set);

	if (set)
		step_write(p, p->device->bar[0] + NIC_PF_LINK_CHANGED, &bits,
			   sizeof(bits));
	if (event_of(p)->causes.pf_changed)
		step_write32(p, p->device->bar[0] + NIC_PF_CHANGED, 1);
}

static int link_1002(struct procedure *p)
{
	struct link_event *e = event_of(p);
	struct link_values values;
	struct vf *vf;

	if (e->causes.pf_changed)
		pf_link_take(p->device, &e->causes.pf);
	for (EACH_VF(vf, p->device, e->set)) {
		if (link_values_take(&values, e->vf[vf->number - 1]))
			pf_link_take_vf(vf, &values);
		else
			e->set &= ~bit_of(vf);
	}
	clear(p, e->set);
	return STEP_NEXT;
}

static int link_1803(struct procedure *p)
{
	successors_copy(p->device, event_of(p)->set);
	return STEP_NEXT;
}

static int link_1003(struct procedure *p)
{
	struct link_event *e = event_of(p);
	struct vf *vf;

	for (EACH_VF(vf, p->device, e->set))
		if (!link_state_differs(state_of(vf)))
			e->set &= ~bit_of(vf);
	return e->set ? STEP_NEXT : STEP_DONE;
}

static int link_1004(struct procedure *p)
{
	struct vf *vf;

	for (EACH_VF(vf, p->device, event_of(p)->set))
		step_write32(p, vf_block(vf) + NIC_PF_VF_NOTIFY, 1);
	return STEP_NEXT;
}

static const struct step changed_steps[] = {
	{ POINT_DRIVER_1001, link_1001 },
	{ POINT_DRIVER_1002, link_1002 },
	{ POINT_DRIVER_1003, link_1003 },
	{ POINT_DRIVER_1004, link_1004 },
	{ 0, NULL },
};

static const struct procedure_desc changed_desc = {
	.name = "link",
	.steps = changed_steps,
};

static const struct step changed_mirror_steps[] = {
	{ POINT_DRIVER_1001, link_1001 }, { POINT_DRIVER_1002, link_1002 },
	{ POINT_DRIVER_1803, link_1803 }, { POINT_DRIVER_1003, link_1003 },
	{ POINT_DRIVER_1004, link_1004 }, { 0, NULL },
};

static const struct procedure_desc changed_mirror_desc = {
	.name = "link",
	.steps = changed_mirror_steps,
};

static void call_changed(struct procedure *p, struct device *device,
			 const struct link_causes *causes, uint64_t set)
{
	call(p, device,
	     p->hv->successors.mirror ? &changed_mirror_desc : &changed_desc,
	     causes, set);
}

void step_pf_link_tell(struct procedure *p, struct device *device)
{
	const struct link_causes none = { .changed = 0 };
	const struct vm *vm;
	uint64_t set = 0;
	unsigned i;

	for (i = 0; i < device->num_vfs; i++) {
		vm = vm_find(&p->hv->vms, pf_link_vm(&device->vf[i]));
		if (vm && vm->state == SUP_VM_RUNNING)
			set |= bit_of(&device->vf[i]);
	}
	set = with_block(device, set);
	if (set)
		call_changed(p, device, &none, set);
}

/* The procedure "mailbox": 1101 to 1103. */

static int mailbox_1101(struct procedure *p)
{
	struct link_event *e = event_of(p);
	struct vf *vf;

	for (EACH_VF(vf, p->device, e->set))
		step_read(p, vf_block(vf) + NIC_PF_VF_MBX,
			  e->request[vf->number - 1], 4);
	return STEP_NEXT;
}

static uint32_t request_of(const struct link_event *e, const struct vf *vf)
{
	return pci_get32(e->request[vf->number - 1], 0);
}

static int mailbox_1102(struct procedure *p)
{
	struct link_event *e = event_of(p);
	struct vf *vf;

	for (EACH_VF(vf, p->device, e->set)) {
		if (request_of(e, vf) != UINT32_MAX)
			link_state_notified(state_of(vf));
		else
			e->set &= ~bit_of(vf); /* refused */
	}
	return STEP_NEXT;
}

static int mailbox_1902(struct procedure *p)
{
	successors_copy(p->device, event_of(p)->set);
	return STEP_NEXT;
}

static int mailbox_1103(struct procedure *p)
{
	struct link_event *e = event_of(p);
	uint8_t regs[LINK_ANSWER_SIZE];
	struct vf *vf;

	for (EACH_VF(vf, p->device, e->set)) {
		link_answer_put(state_of(vf), request_of(e, vf), regs);
		step_write(p, vf_block(vf) + LINK_ANSWER_AT, regs,
			   sizeof(regs));
	}
	return STEP_NEXT;
}

static const struct step asked_steps[] = {
	{ POINT_DRIVER_1101, mailbox_1101 },
	{ POINT_DRIVER_1102, mailbox_1102 },
	{ POINT_DRIVER_1103, mailbox_1103 },
	{ 0, NULL },
};

static const struct procedure_desc asked_desc = {
	.name = "mailbox",
	.steps = asked_steps,
};

static const struct step asked_mirror_steps[] = {
	{ POINT_DRIVER_1101, mailbox_1101 },
	{ POINT_DRIVER_1102, mailbox_1102 },
	{ POINT_DRIVER_1902, mailbox_1902 },
	{ POINT_DRIVER_1103, mailbox_1103 },
	{ 0, NULL },
};

static const struct procedure_desc asked_mirror_desc = {
	.name = "mailbox",
	.steps = asked_mirror_steps,
};

/* The procedure "driver event": one at a time, and once more if the PF
 * interrupted meanwhile. */

static void event_start(struct device *device)
{
	struct link_event *e;

	device->event_running = true;
	device->event_again = false;
	e = procedure_new(device->hv, &event_desc, sizeof(*e));
	procedure_about(&e->p, device);
	procedure_start(&e->p, device_pf_lane(device));
}

static void event_raised(void *arg)
{
	struct device *device = arg;

	if (device->event_running)
		device->event_again = true;
	else if (device->state != DEVICE_AWAY)
		event_start(device);
}

static int event_read(struct procedure *p)
{
	step_read(p, p->device->bar[0], event_of(p)->pf, LINK_PF_SIZE);
	return STEP_NEXT;
}

static int event_changed(struct procedure *p)
{
	struct link_event *e = event_of(p);
	uint64_t set;

	/* Before its driver identified it, or after it was removed. */
	if (!p->device->has_driver || !link_causes_take(&e->causes, e->pf))
		return STEP_DONE;
	set = e->causes.changed;
	if (p->device->event_failed && p->device->num_vfs)
		set |= UINT64_MAX >> (FUNCTION_VF_MAX - p->device->num_vfs);
	set = with_block(p->device, set);
	if (set || e->causes.pf_changed)
		call_changed(p, p->device, &e->causes, set);
	return STEP_NEXT;
}

static int event_asked(struct procedure *p)
{
	uint64_t set = with_block(p->device, event_of(p)->causes.asked);
	uint64_t now = clock_now_ns(), suppressed;
	struct device *device = p->device;
	struct vf *vf;

	for (EACH_VF(vf, device, set)) {
		if (limiter_pass(&vf->asks, now, &suppressed))
			continue;
		set &= ~bit_of(vf);
		loop_timer_in(p->hv->program->loop, &device->event_later,
			      ASK_PAUSE_NS, event_raised, device);
	}
	if (set)
		call(p, device,
		     p->hv->successors.mirror ? &asked_mirror_desc
					      : &asked_desc,
		     &event_of(p)->causes, set);
	return STEP_NEXT;
}

static void event_end(struct procedure *p)
{
	struct device *device = p->device;

	device->event_running = false;
	device->event_failed = p->err;
	if (device->event_again)
		event_raised(device);
	else if (p->err && device->state != DEVICE_AWAY)
		loop_timer_in(p->hv->program->loop, &device->event_later,
			      RETRY_NS, event_raised, device);
}

static const struct step event_steps[] = {
	{ POINT_DRIVER_EVENT, event_read },
	{ POINT_NONE, event_changed },
	{ POINT_NONE, event_asked },
	{ 0, NULL },
};

static const struct procedure_desc event_desc = {
	.name = "driver event",
	.steps = event_steps,
	.end = event_end,
};

static void on_event(void *arg, uint32_t events)
{
	struct device *device = arg;
	eventfd_t count;

	(void)events;
	if (eventfd_read(device->event_fd, &count) == 0)
		event_raised(device);
}

int pf_link_open(struct device *device)
{
	if (device->event_fd >= 0)
		return 0;
	device->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (device->event_fd < 0)
		return -errno;
	return loop_watch_add(device->hv->program->loop, &device->event,
			      device->event_fd, EPOLLIN, on_event, device);
}

void pf_link_close(struct device *device)
{
	loop_timer_cancel(&device->event_later);
	loop_watch_del(&device->event);
	if (device->event_fd >= 0)
		close(device->event_fd);
	device->event_fd = -1;
}

/* The table "link" (fig. 3). */

static json_t *rate(uint64_t bps)
{
	char text[32];

	if (!bps)
		return json_string("unlimited");
	return json_string(units_format_bitrate(text, sizeof(text), bps));
}

static json_t *row_of(const char *function, const struct link_state *state)
{
	const struct link_values *physical = &state->physical;

	return json_pack("{s:s, s:s, s:o, s:o}", "function", function,
			 "physical", physical->up ? "up" : "down",
			 "physical_max", rate(physical->max),
			 "physical_allocated", rate(physical->allocated));
}

static json_t *vf_row(struct vf *vf)
{
	const struct link_state *state = state_of(vf);
	const struct link_values *notified = &state->notified;
	char name[FUNCTION_NAME_MAX], vm[VM_NAME_MAX];
	json_t *row = row_of(vf_format(name, vf), state);

	if (state->vm == PLATFORM_VM_NONE)
		return row;
	json_object_set_new(row, "vm", json_string(vm_format(vm, state->vm)));
	json_object_set_new(row, "notified",
			    json_string(notified->up ? "up" : "down"));
	json_object_set_new(row, "notified_max",
			    notified->up ? rate(notified->max)
					 : json_string("-"));
	json_object_set_new(row, "notified_allocated",
			    notified->up ? rate(notified->allocated)
					 : json_string("-"));
	return row;
}

json_t *pf_link_rows(void *arg)
{
	json_t *rows = json_array();
	char name[FUNCTION_NAME_MAX];
	struct hvmon *hv = arg;
	struct device *device;
	unsigned i;

	TAILQ_FOREACH (device, &hv->devices, entry) {
		if (!device->has_driver)
			continue;
		snprintf(name, sizeof(name), "%s/pf0", device->name);
		json_array_append_new(rows, row_of(name, &device->link[0]));
		for (i = 0; i < device->num_vfs; i++)
			json_array_append_new(rows, vf_row(&device->vf[i]));
	}
	return rows;
}
