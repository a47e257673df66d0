/* level2.c - level 2 (spec 04): start, and what the root bridge tells. */
#include <config.h>

#include "cmd/hvmon/level2.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"
#include "libcore/pci_caps.h"
#include "libcore/platform.h"
#include "libcore/units.h"

#define MSIX_TABLE  0x2000u
#define MSI_ADDRESS 0xfee00000ull
#define COMMAND \
	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

int level2_parse(struct hvmon *hv, const char *text, struct complaint *c)
{
	uint64_t partition;
	int err = units_number(text, 0, UINT32_MAX, &partition, c);

	if (err)
		return err;
	if (!partition || partition > HCA_PARTITIONS)
		return complain(c, EINVAL,
				"%s: an adapter has partitions 1 to %u", text,
				HCA_PARTITIONS);
	hv->partition = (unsigned)partition;
	return 0;
}

/* The start. */

struct start {
	struct procedure p;
	struct level2 *l;
	struct sup_info info;
	struct sup_vm *vms;
	struct sup_supervisor *supervisors;
	struct sup_function *functions;
	uint8_t config[PCI_CONFIG_SIZE];
	uint64_t id, partition;
	void *memory;
	bool found;
	struct level2_last last; /* verb of the one before */
	bool freed;
	struct level2_answer state; /* of a host queue that was there */
	unsigned attached;
};

static struct level2 *level2_of(struct procedure *p)
{
	return ((struct start *)p)->l;
}

static int ask_info(struct procedure *p)
{
	struct start *s = (struct start *)p;

	step_sup_read(p, SUP_INFO, &s->info, sizeof(s->info));
	return STEP_NEXT;
}

static void *array(size_t n, size_t size)
{
	void *all = calloc(n, size);

	if (!all)
		abort();
	return all;
}

static int ask_tables(struct procedure *p)
{
	struct start *s = (struct start *)p;
	uint32_t vms = s->info.n_vms, functions = s->info.n_functions;

	if (s->info.magic != SUP_MAGIC || s->info.version != SUP_VERSION ||
	    vms > PLATFORM_VM_MAX || p->hv->vm >= vms)
		return step_fail(p, -EBADMSG,
				 "the root bridge's supervisor interface is "
				 "not version %u",
				 SUP_VERSION);
	s->vms = array(vms, sizeof(*s->vms));
	s->supervisors = array(vms, sizeof(*s->supervisors));
	s->functions = array(functions + 1, sizeof(*s->functions));
	step_sup_read(p, SUP_VMS, s->vms, vms * sizeof(*s->vms));
	step_sup_read(p, SUP_SUPERVISORS, s->supervisors,
		      vms * sizeof(*s->supervisors));
	if (functions)
		step_sup_read(p, SUP_FUNCTIONS, s->functions,
			      functions * sizeof(*s->functions));
	step_config_read(p, (uint16_t)(LEVEL2_SLOT << 3), 0, s->config,
			 sizeof(s->config));
	return STEP_NEXT;
}

static void add_guest(struct level2 *l, const struct sup_vm *vm)
{
	struct level2_guest *guest = &l->guest[l->n_guests];

	guest->l = l;
	guest->vm = vm->vm;
	guest->index = l->n_guests++;
	guest->memory_size = vm->memory_size;
	STAILQ_INIT(&guest->accesses);
	while (l->stride < guest->memory_size)
		l->stride *= 2;
	level2_config_init(guest);
}

static void find_guests(struct start *s)
{
	struct level2 *l = s->l;
	unsigned i;

	l->stride = 1u << 30;
	l->guest = array(s->info.n_vms, sizeof(*l->guest));
	for (i = 0; i + 1 < s->info.n_vms; i++)
		if (s->supervisors[i].supervisor == s->p.hv->vm &&
		    s->supervisors[i].vm)
			add_guest(l, &s->vms[s->supervisors[i].vm]);
	for (i = 0; i < l->n_guests; i++)
		l->guest[i].iova = LEVEL2_IOVA + i * l->stride;
}

/* The partition's function, which its VM has. */
static int find_function(struct start *s)
{
	const struct sup_function *f = s->functions;
	unsigned i;

	for (i = 0; i < s->info.n_functions; i++)
		if (f[i].vm == s->p.hv->vm && (f[i].flags & SUP_FUNCTION_VF))
			break;
	if (i == s->info.n_functions ||
	    pci_get16(s->config, PCI_VENDOR_ID) != HCA_VENDOR_ID ||
	    pci_get16(s->config, PCI_DEVICE_ID) != HCA_VF_DEVICE)
		return step_fail(&s->p, -ENODEV,
				 "vm%u has no partition of an adapter",
				 s->p.hv->vm);
	s->l->bdf = f[i].bdf;
	s->l->bar = pci_read_bar(s->config, PCI_BASE_ADDRESS_0, 0, NULL);
	return 0;
}

static int look(struct procedure *p)
{
	struct start *s = (struct start *)p;
	struct level2 *l = s->l;
	int err = find_function(s);

	if (err)
		return err;
	find_guests(s);
	if (!l->n_guests)
		return step_fail(p, -ENOENT, "vm%u has no guests", p->hv->vm);
	if (l->n_guests > HCA_BELL_COUNT)
		return step_fail(p, -ENOSPC, "more guests than doorbells: %u",
				 l->n_guests);
	l->memory_size = s->vms[p->hv->vm].memory_size;
	step_region_map(p, PLATFORM_REGION_MEMORY, (uint32_t)l->memory_size,
			&s->memory);
	step_read(p, l->bar + HCA_ID, &s->id, sizeof(s->id));
	step_read(p, l->bar + HCA_PARTITION, &s->partition,
		  sizeof(s->partition));
	return STEP_NEXT;
}

static void write_vector(struct procedure *p, const struct level2 *l,
			 unsigned vector)
{
	uint64_t at = l->bar + MSIX_TABLE + vector * PCI_MSIX_ENTRY_SIZE;
	uint64_t address = htole64(MSI_ADDRESS);

	step_write(p, at + PCI_MSIX_ENTRY_LOWER_ADDR, &address,
		   sizeof(address));
	step_write32(p, at + PCI_MSIX_ENTRY_DATA,
		     platform_irq(LEVEL2_SLOT, vector));
	step_write32(p, at + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
}

static int open_record(struct start *s)
{
	struct level2 *l = s->l;
	unsigned i;
	int err = level2_record_open(&l->tables, &l->rows, l->memory,
				     l->memory_size, l->n_guests, &s->found);

	if (err)
		return step_fail(&s->p, err,
				 "no tables in the partition's memory: %s",
				 strerror(-err));
	for (i = 0; i < l->n_guests; i++)
		l->guest[i].row = &l->rows.guest[i];
	return 0;
}

/* As any driver does. */
static int set_up_function(struct procedure *p)
{
	struct start *s = (struct start *)p;
	struct level2 *l = s->l;
	unsigned msix = pci_find_cap(s->config, PCI_CAP_ID_MSIX), i;
	int err;

	l->memory = s->memory;
	s->memory = NULL;
	if (le64toh(s->id) != HCA_ID_VALUE ||
	    le64toh(s->partition) != l->partition)
		return step_fail(p, -ENODEV, "vm%u has partition %u, not %u",
				 p->hv->vm, (unsigned)le64toh(s->partition),
				 l->partition);
	err = open_record(s);
	if (err)
		return err;
	for (i = 0; i < HCA_ISCS; i++)
		write_vector(p, l, i);
	step_config_write16(p, (uint16_t)(LEVEL2_SLOT << 3), PCI_COMMAND,
			    COMMAND);
	step_config_write16(p, (uint16_t)(LEVEL2_SLOT << 3),
			    msix + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
	if (s->found)
		step_level2_last(p, l, &s->last);
	return STEP_NEXT;
}

/* A reset gives config space back as it was, but not what the adapter knew. */
static int verify(struct procedure *p)
{
	struct start *s = (struct start *)p;
	struct level2 *l = s->l;

	s->freed = s->found && step_level2_free_unknown(p, l, &s->last);
	if (s->found && l->rows.record->host_made)
		step_level2_verb(p, l, HCA_LOAD, HCA_STATE,
				 l->tables.record->host[DEMUX_TYPE1].eq, 0,
				 &s->state);
	return STEP_NEXT;
}

static int verified(struct procedure *p)
{
	struct start *s = (struct start *)p;
	int err;

	if (!s->state.status)
		return STEP_NEXT;
	level2_record_forget(s->l->memory);
	err = open_record(s);
	return err ? err : STEP_NEXT;
}

static int attach_guests(struct procedure *p)
{
	struct start *s = (struct start *)p;

	if (s->attached == s->l->n_guests)
		return STEP_NEXT;
	step_level2_attach(p, &s->l->guest[s->attached++]);
	return STEP_AGAIN;
}

static int adopt(struct procedure *p)
{
	struct start *s = (struct start *)p;
	unsigned i;

	if (!s->found)
		return STEP_NEXT;
	for (i = 0; i < s->l->n_guests; i++)
		level2_config_adopt(&s->l->guest[i]);
	step_level2_adopt(p, s->l, s->freed);
	return STEP_NEXT;
}

static int wire(struct procedure *p)
{
	const struct level2 *l = level2_of(p);

	step_own_irq(p, platform_irq(LEVEL2_SLOT, LEVEL2_ISC_TYPE2), l->irq_fd);
	step_own_irq(p, PLATFORM_IRQ_ALERT, l->alert_fd);
	step_own_irq(p, PLATFORM_IRQ_PLATFORM, l->platform_fd);
	return STEP_NEXT;
}

/* A former process may have put events there and died before it told. */
static void inject_all(struct procedure *p, const struct level2_guest *guest)
{
	unsigned isc;

	for (isc = 0; isc < HCA_ISCS; isc++)
		step_inject(p, guest->vm, platform_irq(LEVEL2_SLOT, isc));
}

/* Guests that came or went while there was no level 2. */
static int tell_guests(struct procedure *p)
{
	struct start *s = (struct start *)p;
	struct level2_guest *guest;
	unsigned i;

	for (i = 0; i < s->l->n_guests; i++) {
		guest = &s->l->guest[i];
		if (s->vms[guest->vm].state == SUP_VM_LOST)
			level2_guest_lost(guest);
		else if (s->found)
			inject_all(p, guest);
		else
			step_inject(p, guest->vm, PLATFORM_IRQ_PLATFORM);
	}
	return STEP_NEXT;
}

static void start_end(struct procedure *p)
{
	struct start *s = (struct start *)p;
	struct level2 *l = s->l;

	if (p->hv->stopping)
		return;
	if (p->err) {
		hvmon_stop(p->hv, program_status_of(p->err), "%s", p->why);
		return;
	}
	event(p->hv->program->log, "level2.started", "s:i, s:i, s:b",
	      "partition", (int)l->partition, "guests", (int)l->n_guests,
	      "adopted", (int)s->found);
	l->up = true;
	bridge_link_listen(&p->hv->bridge);
	level2_window_run(l);
	program_ready(p->hv->program);
}

static void start_fini(struct procedure *p)
{
	struct start *s = (struct start *)p;

	if (s->memory)
		munmap(s->memory, s->l->memory_size);
	free(s->vms);
	free(s->supervisors);
	free(s->functions);
}

static const struct step start_steps[] = {
	{ POINT_NONE, ask_info },
	{ POINT_NONE, ask_tables },
	{ POINT_NONE, look },
	{ POINT_NONE, set_up_function },
	{ POINT_NONE, verify },
	{ POINT_NONE, verified },
	{ POINT_NONE, attach_guests },
	{ POINT_NONE, adopt },
	{ POINT_NONE, wire },
	{ POINT_NONE, tell_guests },
	{ 0, NULL },
};

static const struct procedure_desc start_desc = {
	.name = "level 2",
	.steps = start_steps,
	.end = start_end,
	.fini = start_fini,
};

/* Interrupts. */

static void on_irq(void *arg, uint32_t events)
{
	struct level2 *l = arg;
	eventfd_t n;

	(void)events;
	if (!eventfd_read(l->irq_fd, &n) && l->up)
		level2_events(l);
}

/* Something was set up or reset.  A partition that was reset has no host queue
 * any more, and is begun anew by the next process. */
struct check {
	struct procedure p;
	struct level2_answer state;
};

/* The window is one verb's at a time. */
static int check_wait(struct procedure *p)
{
	struct level2 *l = p->hv->level2;

	if (l->running) {
		step_sleep(p, NS_PER_MS);
		return STEP_AGAIN;
	}
	l->running = true;
	l->wanted--;
	if (l->rows.record->host_made)
		step_level2_verb(p, l, HCA_LOAD, HCA_STATE,
				 l->tables.record->host[DEMUX_TYPE1].eq, 0,
				 &((struct check *)p)->state);
	return STEP_NEXT;
}

static void check_end(struct procedure *p)
{
	struct level2 *l = p->hv->level2;

	if (p->hv->stopping)
		return;
	l->running = false;
	if (((struct check *)p)->state.status)
		hvmon_stop(p->hv, STATUS_NOT, "the partition was reset");
	else
		level2_window_run(l);
}

static const struct step check_steps[] = {
	{ POINT_NONE, check_wait },
	{ 0, NULL },
};

static const struct procedure_desc check_desc = {
	.name = "check",
	.steps = check_steps,
	.end = check_end,
};

static void on_platform(void *arg, uint32_t events)
{
	struct level2 *l = arg;
	struct check *check;
	eventfd_t n;

	(void)events;
	if (eventfd_read(l->platform_fd, &n) < 0 || !l->up)
		return;
	l->wanted++;
	check = procedure_new(l->hv, &check_desc, sizeof(*check));
	procedure_start(&check->p, 0);
}

/* 1716: a guest that did not run has an event. */
static void on_alert(void *arg, uint32_t events)
{
	struct level2 *l = arg;
	eventfd_t n;
	uint32_t i;

	(void)events;
	if (eventfd_read(l->alert_fd, &n) < 0 || !l->up)
		return;
	l->alerts++;
	for (i = 0; i < l->n_guests; i++)
		if (atomic_load(&l->tables.alerted[i / 64]) >> i % 64 & 1) {
			atomic_fetch_and(&l->tables.alerted[i / 64],
					 ~(1ull << i % 64));
			level2_guest_wake(&l->guest[i]);
		}
}

static int open_irq(struct level2 *l, struct loop_watch *watch, int *fd,
		    loop_fd_fn *fn)
{
	*fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (*fd < 0)
		return -errno;
	return loop_watch_add(l->hv->program->loop, watch, *fd, EPOLLIN, fn, l);
}

void level2_start(struct hvmon *hv)
{
	struct level2 *l = array(1, sizeof(*l));
	struct start *s;
	int err;

	l->hv = hv;
	l->partition = hv->partition;
	l->cq_row = array(HCA_CQ_MAX, sizeof(*l->cq_row));
	l->qp_row = array(HCA_QP_MAX, sizeof(*l->qp_row));
	l->reach = (struct demux_memory){ .at = level2_at, .arg = l };
	STAILQ_INIT(&l->ready);
	hv->level2 = l;
	l->alert_fd = l->irq_fd = l->platform_fd = -1;
	err = open_irq(l, &l->irq, &l->irq_fd, on_irq);
	if (!err)
		err = open_irq(l, &l->alert, &l->alert_fd, on_alert);
	if (!err)
		err = open_irq(l, &l->platform, &l->platform_fd, on_platform);
	if (err) {
		hvmon_stop(hv, STATUS_INTERNAL, "no interrupts: %s",
			   strerror(-err));
		return;
	}
	s = procedure_new(hv, &start_desc, sizeof(*s));
	s->l = l;
	procedure_start(&s->p, 0);
}

void level2_free(struct hvmon *hv)
{
	struct level2 *l = hv->level2;
	unsigned i;

	if (!l)
		return;
	loop_watch_del(&l->irq);
	loop_watch_del(&l->alert);
	loop_watch_del(&l->platform);
	loop_defer_cancel(&l->run);
	if (l->alert_fd >= 0)
		close(l->alert_fd);
	if (l->platform_fd >= 0)
		close(l->platform_fd);
	if (l->irq_fd >= 0)
		close(l->irq_fd);
	for (i = 0; i < l->n_guests; i++) {
		level2_window_forget(&l->guest[i]);
		if (l->guest[i].memory)
			munmap(l->guest[i].memory, l->guest[i].memory_size);
	}
	if (l->memory)
		munmap(l->memory, l->memory_size);
	free(l->guest);
	free(l->cq_row);
	free(l->qp_row);
	free(l);
	hv->level2 = NULL;
}

/* What the root bridge tells. */

struct level2_guest *level2_guest_of(struct level2 *l, uint32_t vm)
{
	unsigned low = 0, high = l->n_guests, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (l->guest[middle].vm < vm)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->n_guests && l->guest[low].vm == vm ? &l->guest[low]
							   : NULL;
}

static void take_access(struct hvmon *hv, struct level2_guest *guest,
			const struct sup_exception *ex)
{
	uint64_t into = ex->gpa - LEVEL2_BAR;

	if (ex->size && ex->size <= SUP_DATA_MAX &&
	    (ex->gpa - PLATFORM_ECAM < PLATFORM_ECAM_SIZE ||
	     (into < HCA_VF_BAR_SIZE && ex->size <= HCA_VF_BAR_SIZE - into)))
		level2_window_queue(guest, ex);
	else
		exception_unsupported(hv, ex);
}

void level2_exception(struct hvmon *hv, const struct sup_exception *ex)
{
	struct level2_guest *guest = level2_guest_of(hv->level2, ex->vm);

	if (!guest) {
		if (ex->type == SUP_EX_ACCESS)
			exception_unsupported(hv, ex);
		return;
	}
	switch (ex->type) {
	case SUP_EX_ACCESS:
		take_access(hv, guest, ex);
		break;
	case SUP_EX_VM_LOST:
		level2_guest_lost(guest);
		break;
	case SUP_EX_VM_STARTED:
		level2_guest_started(guest);
		break;
	}
}
