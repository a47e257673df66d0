/* successors.c - the guests that take over when the hypervisor fails (spec 02).
 *
 * Theory of operation.  A successor must be able to take the PF without us, so
 * all that it needs then is set up before: the root bridge knows for each PF
 * who may claim it, rows lead the successor to the PF's config space and BAR
 * (they let it through only while it owns the PF), and it shares memory with
 * each other guest for the emergency link.
 *
 * What it shares with us is one page.  There we say where the devices are, and,
 * if asked, keep 130A up to date; by it 130A comes back (takeback.c).  An entry
 * is copied there before the guest concerned hears of it.
 */
#include <config.h>

#include "cmd/hvmon/successors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "cmd/hvmon/pf_link.h"
#include "libcore/platform.h"

int successors_parse(struct successors *s, const char *text,
		     struct complaint *c)
{
	struct successors read = { .mirror = s->mirror };
	char *copy = strdup(text), *rest = copy, *word;
	uint32_t vm;
	int err = 0;

	if (!copy)
		abort();
	while (!err && (word = strsep(&rest, ","))) {
		err = vm_parse(word, &vm, c);
		if (!err && vm >= PLATFORM_SHARED_VMS)
			err = complain(c, ERANGE,
				       "vm%u: only the first %u VMs "
				       "can be successors",
				       vm, PLATFORM_SHARED_VMS);
		if (!err && successors_has(&read, vm))
			err = complain(c, EEXIST, "vm%u twice", vm);
		if (!err && read.n == STATE_SUCCESSORS)
			err = complain(c, ERANGE, "at most %u successors",
				       STATE_SUCCESSORS);
		if (!err)
			read.vm[read.n++].vm = vm;
	}
	free(copy);
	if (!err)
		*s = read;
	return err;
}

void successors_fini(struct successors *s)
{
	unsigned i;

	for (i = 0; i <= STATE_SUCCESSORS; i++)
		if (s->vm[i].page)
			munmap(s->vm[i].page, PLATFORM_SHARED_SIZE);
	memset(s, 0, sizeof(*s));
}

bool successors_has(const struct successors *s, uint32_t vm)
{
	unsigned i;

	for (i = 0; i < s->n; i++)
		if (s->vm[i].vm == vm)
			return true;
	return false;
}

struct link_page *successors_page(struct hvmon *hv, uint32_t vm)
{
	unsigned i;

	for (i = 0; i <= STATE_SUCCESSORS; i++)
		if (hv->successors.vm[i].page && hv->successors.vm[i].vm == vm)
			return hv->successors.vm[i].page;
	return NULL;
}

/* The procedure "successors": memory. */

/* Each with us, and with every other guest. */
static void share(struct procedure *p)
{
	const struct successors *s = &p->hv->successors;
	struct sup_share *shares;
	unsigned i, k, n = 0, n_vms = p->hv->tables.info.n_vms;

	if (n_vms > PLATFORM_SHARED_VMS)
		n_vms = PLATFORM_SHARED_VMS;
	shares = calloc(s->n * n_vms, sizeof(*shares));
	if (!shares)
		abort();
	for (i = 0; i < s->n; i++)
		for (k = 0; k < n_vms; k++)
			if (k != s->vm[i].vm)
				shares[n++] =
					(struct sup_share){ { k,
							      s->vm[i].vm } };
	step_sup_write(p, SUP_SHARES, shares, n * (uint32_t)sizeof(*shares), 0);
	free(shares);
}

/* Guests find their emergency links by it. */
static void name_in_state_area(struct hvmon *hv)
{
	struct state_area *state = hv->program->state;
	const struct successors *s = &hv->successors;
	unsigned i;

	for (i = 0; state && i < STATE_SUCCESSORS; i++)
		atomic_store(&state->successor[i].vm,
			     i < s->n ? s->vm[i].vm : 0);
}

static int memory_share(struct procedure *p)
{
	const struct successors *s = &p->hv->successors;
	char name[VM_NAME_MAX];
	unsigned i;

	name_in_state_area(p->hv);
	for (i = 0; i < s->n; i++) {
		if (vm_find(&p->hv->vms, s->vm[i].vm))
			continue;
		hvmon_stop(p->hv, STATUS_MISSING, "the root bridge has no %s",
			   vm_format(name, s->vm[i].vm));
		return STEP_DONE;
	}
	if (s->n)
		share(p);
	return STEP_NEXT;
}

static int memory_map(struct procedure *p)
{
	struct successors *s = &p->hv->successors;
	unsigned i;

	for (i = 0; i < s->n; i++)
		step_region_map(p, platform_shared_region(s->vm[i].vm),
				PLATFORM_SHARED_SIZE, (void **)&s->vm[i].page);
	return STEP_NEXT;
}

static const struct step memory_steps[] = {
	{ POINT_NONE, memory_share },
	{ POINT_NONE, memory_map },
	{ 0, NULL },
};

static const struct procedure_desc memory_desc = {
	.name = "successors",
	.steps = memory_steps,
};

void step_successors(struct procedure *p)
{
	procedure_call(p, procedure_new(p->hv, &memory_desc,
					sizeof(struct procedure)));
}

void step_successors_owner(struct procedure *p, uint32_t vm)
{
	struct successor *other = &p->hv->successors.vm[STATE_SUCCESSORS];
	const struct sup_share shares = { { PLATFORM_HYPERVISOR, vm } };

	if (successors_page(p->hv, vm) || other->page ||
	    vm >= PLATFORM_SHARED_VMS)
		return;
	other->vm = vm;
	step_sup_write(p, SUP_SHARES, &shares, sizeof(shares), 0);
	step_region_map(p, platform_shared_region(vm), PLATFORM_SHARED_SIZE,
			(void **)&other->page);
}

/* The procedure "successors of": a device. */

#define LISTED_MAX (DEVICE_MAX * STATE_SUCCESSORS)

struct named {
	struct procedure p;
	struct sup_successor listed[LISTED_MAX];
};

static int named_read(struct procedure *p)
{
	struct named *n = (struct named *)p;

	step_sup_read(p, SUP_SUCCESSORS, n->listed, sizeof(n->listed));
	return STEP_NEXT;
}

/* Config space and BAR 0 of the PF. */
static unsigned owner_rows(const struct device *device, uint32_t vm,
			   enum sup_row_op op, struct sup_row rows[2])
{
	uint8_t bus = (uint8_t)(device->bdf >> 8);
	uint64_t config = platform_owner_config(bus);
	uint64_t bar = platform_owner_bar(bus);

	rows[0] = (struct sup_row){
		.vm = vm,
		.flag = SUP_ROW_OWNER,
		.op = (uint16_t)op,
		.first = config,
		.last = config + PCI_CONFIG_SIZE - 1,
		.offset = (int64_t)(platform_config(device->bdf) - config),
	};
	if (!device->bar_size[0] ||
	    device->bar_size[0] > PLATFORM_OWNER_BAR_SIZE)
		return 1;
	rows[1] = (struct sup_row){
		.vm = vm,
		.flag = SUP_ROW_OWNER,
		.op = (uint16_t)op,
		.first = bar,
		.last = bar + device->bar_size[0] - 1,
		.offset = (int64_t)(device->bar[0] - bar),
	};
	return 2;
}

/* Those whom a former hypervisor listed, and who are not any more. */
static void strike_out(struct procedure *p)
{
	const struct successors *s = &p->hv->successors;
	struct named *n = (struct named *)p;
	struct sup_successor away;
	struct sup_row rows[2];
	unsigned i, count;

	for (i = 0; i < LISTED_MAX && n->listed[i].order; i++) {
		away = n->listed[i];
		if (away.bdf != p->device->bdf ||
		    (away.order <= s->n && s->vm[away.order - 1].vm == away.vm))
			continue;
		away.order = 0;
		step_sup_write(p, SUP_SUCCESSORS, &away, sizeof(away),
			       STEP_MAY_FAIL);
		if (successors_has(s, away.vm))
			continue;
		count = owner_rows(p->device, away.vm, SUP_ROW_DELETE, rows);
		step_sup_write(p, SUP_ROWS, rows,
			       count * (uint32_t)sizeof(rows[0]),
			       STEP_MAY_FAIL);
	}
}

static unsigned count_vfs(const struct device *device, uint32_t vm)
{
	const struct vf_allocation *row;
	unsigned n = 0;

	TAILQ_FOREACH (row, &device->hv->allocations.list, entry)
		n += row->vm == vm && !strcmp(row->vf.device, device->name);
	return n;
}

static int named_write(struct procedure *p)
{
	const struct successors *s = &p->hv->successors;
	struct sup_successor list[STATE_SUCCESSORS];
	struct sup_row rows[2 * STATE_SUCCESSORS];
	char name[VM_NAME_MAX];
	unsigned i, n_rows = 0;

	strike_out(p);
	for (i = 0; i < s->n; i++) {
		list[i] = (struct sup_successor){
			.bdf = p->device->bdf,
			.order = (uint16_t)(i + 1),
			.vm = s->vm[i].vm,
		};
		n_rows += owner_rows(p->device, s->vm[i].vm, SUP_ROW_SET,
				     &rows[n_rows]);
		event(p->hv->program->log, "successor.named",
		      "s:s, s:s, s:i, s:i", "device", p->device->name, "vm",
		      vm_format(name, s->vm[i].vm), "order", (int)i + 1, "vfs",
		      (int)count_vfs(p->device, s->vm[i].vm));
	}
	step_sup_write(p, SUP_ROWS, rows, n_rows * (uint32_t)sizeof(rows[0]),
		       0);
	step_sup_write(p, SUP_SUCCESSORS, list, i * (uint32_t)sizeof(list[0]),
		       0);
	return STEP_NEXT;
}

static const struct step named_steps[] = {
	{ POINT_NONE, named_read },
	{ POINT_SUCCESSOR_NAME, named_write },
	{ 0, NULL },
};

static const struct procedure_desc named_desc = {
	.name = "successors of",
	.steps = named_steps,
};

void step_successors_of(struct procedure *p, struct device *device)
{
	struct named *n = procedure_new(p->hv, &named_desc, sizeof(*n));

	procedure_about(&n->p, device);
	procedure_call(p, &n->p);
}

/* The pages. */

static bool is_valid(const struct link_page *page)
{
	return atomic_load(&page->magic) == LINK_PAGE_MAGIC &&
	       page->version == LINK_PAGE_VERSION;
}

/* The device's part; a free one, when `make` is set; or NULL. */
static struct link_device *part_of(struct link_page *page,
				   const struct device *device, bool make)
{
	struct link_device *part = page ? page->device : NULL;
	unsigned i;

	for (i = 0; part && i < LINK_DEVICES; i++, part++) {
		if (!strncmp(part->name, device->name, sizeof(part->name)))
			return part;
		if (!part->name[0])
			return make ? part : NULL;
	}
	return NULL;
}

static void copy(struct device *device, struct link_device *part, uint64_t set)
{
	unsigned vf;

	link_entry_store(part, 0, &device->link[0]);
	for (vf = 1; vf <= device->num_vfs; vf++)
		if (link_vf_in(set, vf))
			link_entry_store(part, vf, &device->link[vf]);
}

void successors_copy(struct device *device, uint64_t set)
{
	struct successors *s = &device->hv->successors;
	struct link_device *part;
	unsigned i;

	if (!s->mirror)
		return;
	for (i = 0; i < s->n; i++) {
		part = part_of(s->vm[i].page, device, false);
		if (part && atomic_load(&part->epoch) == device->epoch)
			copy(device, part, set);
	}
}

static void fill(struct device *device, struct link_page *page, bool mirror)
{
	struct link_device *part;

	if (!is_valid(page)) {
		memset(page->device, 0, sizeof(page->device));
		page->version = LINK_PAGE_VERSION;
	}
	part = part_of(page, device, true);
	if (!part)
		return;
	atomic_store(&part->epoch, 0);
	strlcpy(part->name, device->name, sizeof(part->name));
	part->bdf = device->bdf;
	part->num_vfs = (uint16_t)device->num_vfs;
	part->bar0 = platform_owner_bar((uint8_t)(device->bdf >> 8));
	part->bar0_size = device->bar_size[0];
	copy(device, part, UINT64_MAX);
	if (mirror)
		atomic_store(&part->epoch, device->epoch);
	atomic_store(&page->magic, LINK_PAGE_MAGIC);
}

void successors_fill(struct device *device)
{
	struct successors *s = &device->hv->successors;
	unsigned i;

	for (i = 0; i < s->n; i++)
		if (s->vm[i].page)
			fill(device, s->vm[i].page, s->mirror);
}

void successors_forget(struct device *device)
{
	struct successors *s = &device->hv->successors;
	struct link_device *part;
	unsigned i;

	for (i = 0; i < s->n; i++) {
		part = part_of(s->vm[i].page, device, false);
		if (part && atomic_load(&part->epoch) == device->epoch)
			atomic_store(&part->epoch, 0);
	}
}

/* Notified values of those VMs that were not reset meanwhile. */
static unsigned take(struct device *device, const struct link_device *part)
{
	struct link_state state;
	const struct vm *vm;
	unsigned n = 0, i;

	for (i = 1; i <= device->num_vfs && i <= LINK_VFS; i++) {
		if (link_entry_load(part, i, &state))
			continue;
		vm = vm_find(&device->hv->vms, state.vm);
		if (state.vm != pf_link_vm(&device->vf[i - 1]) || !vm ||
		    vm->state != SUP_VM_RUNNING)
			continue;
		device->link[i].notified = state.notified;
		n++;
	}
	return n;
}

void successors_take(struct device *device)
{
	struct successors *s = &device->hv->successors;
	const struct link_device *part;
	char name[VM_NAME_MAX];
	unsigned i;

	for (i = 0; i <= STATE_SUCCESSORS; i++) {
		part = s->vm[i].page && is_valid(s->vm[i].page)
			       ? part_of(s->vm[i].page, device, false)
			       : NULL;
		if (!part || !device->former_epoch ||
		    atomic_load(&part->epoch) != device->former_epoch)
			continue;
		event(device->hv->program->log, "links.taken",
		      "s:s, s:s, s:i, s:i", "device", device->name, "vm",
		      vm_format(name, s->vm[i].vm), "epoch",
		      (int)device->former_epoch, "vfs",
		      (int)take(device, part));
		return;
	}
}
