/* tlb.c - the translations that the guest's CPU holds (spec 05).
 *
 * Theory of operation.  A miss is proposed to the hypervisor by a write that
 * traps; until it has decided, accesses go over the bus.  If it grants a
 * window, the entry's region of the bus socket shows it.  From then on
 * accesses are pushed into the window and the replies polled for, or waited
 * for at the bell.
 *
 * When the hypervisor invalidates translations, no access is pushed any more;
 * once all that are on their way are done the windows are let go, and the
 * hypervisor is told.  A window that ends before that says how far the device
 * came: what it did not do is done over the bus, in order.  One that is gone
 * without a word had its device die or contained; what was on its way then
 * ends as it does on the bus: with all ones.
 */
#include <config.h>

#include "cmd/guestd/tlb.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cmd/guestd/access.h"
#include "cmd/guestd/guestd.h"
#include "libcore/peer_eventfd.h"
#include "libcore/supervisor.h"

enum {
	DOORBELL,
	BELL
};

static const char *const state_names[TRANSLATION_STATE_N] = {
	[TRANSLATION_FREE] = "free",         [TRANSLATION_ASKED] = "asked",
	[TRANSLATION_REJECTED] = "rejected", [TRANSLATION_OPEN] = "open",
	[TRANSLATION_STOPPING] = "stopping",
};

static unsigned index_of(const struct translation *t)
{
	return (unsigned)(t - t->tlb->entry);
}

static void let_go(struct translation *t)
{
	unsigned i;

	loop_watch_del(&t->bell);
	loop_poller_del(&t->poller);
	window_unmap(&t->window);
	memset(&t->window, 0, sizeof(t->window));
	if (t->memory_fd >= 0)
		close(t->memory_fd);
	t->memory_fd = -1;
	for (i = 0; i < 2; i++) {
		if (t->fd[i] >= 0)
			close(t->fd[i]);
		t->fd[i] = -1;
	}
	t->asleep = false;
	t->spin = (struct poll_spin){ 0 };
}

/* All is dropped that was to be: tell. */
static void check_dropped(struct tlb *tlb)
{
	const struct sup_translation told = { .what = SUP_TRANSLATION_DROPPED };
	unsigned i;

	for (i = 0; i < PLATFORM_TLB_ENTRIES; i++)
		if (tlb->entry[i].state == TRANSLATION_STOPPING)
			return;
	if (tlb->dropping)
		tlb->dropping =
			bus_write(&tlb->guest->bus, PLATFORM_TRANSLATIONS,
				  &told, sizeof(told), NULL, NULL) < 0;
}

static void closed(struct translation *t, const char *why, unsigned again)
{
	event(t->tlb->guest->program.log, "translation.closed",
	      "s:I, s:s, s:I, s:I, s:i", "gpa", (json_int_t)t->page, "why", why,
	      "reads", (json_int_t)t->reads, "writes", (json_int_t)t->writes,
	      "again", (int)again);
	let_go(t);
	t->state = TRANSLATION_FREE;
	check_dropped(t->tlb);
}

/* Replies. */

#define WILD "its index is wild"

static struct access_op *take(struct translation *t, uint32_t at)
{
	struct access_op *op = t->op[at % WINDOW_SLOTS];

	t->op[at % WINDOW_SLOTS] = NULL;
	return op;
}

/* n replies are there. */
static void deliver(struct translation *t, unsigned n)
{
	struct access_op *op;
	uint64_t value;
	int err;

	while (n--) {
		op = take(t, t->window.done);
		err = window_reply(&t->window, &value);
		access_done(op, -err, value);
	}
}

/* The window is no more; what is from `first` on was not done. */
static void do_again(struct translation *t, uint32_t first)
{
	uint32_t at = t->window.own;
	struct access *last = NULL;
	struct access_op *op;
	unsigned again = at - first;

	t->state = TRANSLATION_STOPPING;
	while (at != first) {
		op = take(t, --at);
		last = op->owner;
		access_again(op);
	}
	closed(t, "ended", again);
	if (last)
		access_run(last);
}

/* Nobody knows what became of it. */
static void abort_all(struct translation *t, const char *why)
{
	struct access_op *op;

	t->state = TRANSLATION_STOPPING;
	for (; t->window.done != t->window.own; t->window.done++) {
		op = take(t, t->window.done);
		access_done(op, 0, UINT64_MAX);
	}
	closed(t, why, 0);
}

/* How many replies there were; the window may be gone then. */
static unsigned look(struct translation *t)
{
	/* In this order: it is truncated after it ended, and has ended after
	 * its last reply. */
	bool lost = window_is_lost(&t->window);
	struct guest *g = t->tlb->guest;
	uint32_t final;
	int ended = window_ended(&t->window, &final);
	unsigned n = window_replies(&t->window);

	if (n)
		poll_found(&t->spin, &g->options.poll,
			   loop_now_ns(g->program.loop));
	deliver(t, n);
	if (ended < 0)
		abort_all(t, WILD);
	else if (ended)
		do_again(t, final);
	else if (lost)
		abort_all(t, "lost");
	else if (t->state == TRANSLATION_STOPPING &&
		 !window_outstanding(&t->window))
		closed(t, "dropped", 0);
	return n;
}

static enum loop_poll go_to_sleep(struct translation *t)
{
	int slept = window_guest_sleep(&t->window);

	if (slept < 0) {
		abort_all(t, WILD);
		return LOOP_WORKED;
	}
	t->asleep = slept;
	return slept ? LOOP_IDLE : LOOP_SPINS;
}

static enum loop_poll on_poll(void *arg)
{
	struct translation *t = arg;
	struct guest *g = t->tlb->guest;
	const struct poll_mode *poll = &g->options.poll;

	if (!window_outstanding(&t->window))
		return LOOP_IDLE;
	if (look(t) || !t->window.map)
		return LOOP_WORKED;
	if (t->asleep)
		return LOOP_IDLE;
	if (poll_spins(&t->spin, poll, loop_now_ns(g->program.loop)))
		return LOOP_SPINS;
	return go_to_sleep(t);
}

static void on_bell(void *arg, uint32_t events)
{
	struct translation *t = arg;

	(void)events;
	if (!peer_eventfd_take(t->fd[BELL]))
		return;
	if (t->asleep)
		window_guest_awake(&t->window);
	t->asleep = false;
	window_touch(&t->window);
	look(t);
}

void translation_send(struct translation *t, struct access_op *op)
{
	t->op[t->window.own % WINDOW_SLOTS] = op;
	if (op->access.write)
		t->writes++;
	else
		t->reads++;
	if (window_push(&t->window, &op->access))
		peer_eventfd_raise(t->fd[DOORBELL]);
	/* A window that was truncated under us is seen at the next look, which
	 * the poller takes. */
}

/* Invalidation. */

static void invalidate(struct translation *t)
{
	switch (t->state) {
	case TRANSLATION_FREE:
	case TRANSLATION_STOPPING:
	case TRANSLATION_STATE_N:
		return;
	case TRANSLATION_REJECTED:
		t->state = TRANSLATION_FREE;
		return;
	case TRANSLATION_ASKED:
		t->stale = true;
		return;
	case TRANSLATION_OPEN:
		t->state = TRANSLATION_STOPPING;
		look(t);
		return;
	}
}

static void on_irq(void *arg, uint32_t events)
{
	struct tlb *tlb = arg;
	unsigned i;

	(void)events;
	if (!peer_eventfd_take(tlb->irq_fd))
		return;
	tlb->dropping = false;
	for (i = 0; i < PLATFORM_TLB_ENTRIES; i++)
		invalidate(&tlb->entry[i]);
	tlb->dropping = true;
	check_dropped(tlb);
}

static void on_wired(void *arg, const struct vfu_reply *reply)
{
	(void)arg, (void)reply;
}

static int hear_invalidations(struct tlb *tlb)
{
	struct guest *g = tlb->guest;
	int err;

	if (tlb->irq_fd >= 0)
		return 0;
	tlb->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (tlb->irq_fd < 0)
		return -errno;
	err = loop_watch_add(g->program.loop, &tlb->irq, tlb->irq_fd, EPOLLIN,
			     on_irq, tlb);
	if (err)
		return err;
	return vfu_client_set_irqs(g->bus.client, VFU_IRQ_MSIX,
				   PLATFORM_IRQ_INVALIDATE, 1, &tlb->irq_fd, 1,
				   on_wired, tlb);
}

/* Proposals. */

static void rejected(struct translation *t)
{
	let_go(t);
	t->state = t->stale ? TRANSLATION_FREE : TRANSLATION_REJECTED;
}

static void on_io_fds(void *arg, const struct vfu_reply *reply)
{
	struct translation *t = arg;
	struct guest *g = t->tlb->guest;
	unsigned i;
	int err = reply->err;

	if (err == -ENOTCONN)
		return;
	for (i = 0; !err && i < 2 && reply->n_fds == 2; i++) {
		t->fd[i] = reply->fds[i];
		reply->fds[i] = -1;
	}
	if (err || t->stale || t->memory_fd < 0 || t->fd[BELL] < 0 ||
	    window_map(&t->window, t->memory_fd) ||
	    window_attach(&t->window, t->page, &t->rights) ||
	    loop_watch_add(g->program.loop, &t->bell, t->fd[BELL], EPOLLIN,
			   on_bell, t)) {
		rejected(t);
		return;
	}
	loop_poller_add(g->program.loop, &t->poller, on_poll, t);
	t->state = TRANSLATION_OPEN;
	event(g->program.log, "translation.open", "s:I, s:i", "gpa",
	      (json_int_t)t->page, "rights", (int)t->rights);
}

static void on_region(void *arg, const struct vfu_reply *reply)
{
	struct translation *t = arg;

	if (reply->err || reply->n_fds < 1)
		return;
	t->memory_fd = reply->fds[0];
	reply->fds[0] = -1;
}

static void on_proposed(void *arg, const struct vfu_reply *reply)
{
	struct translation *t = arg;
	struct vfu_client *client = t->tlb->guest->bus.client;
	uint32_t region = PLATFORM_REGION_WINDOW + index_of(t);

	if (reply->err == -ENOTCONN)
		return;
	/* Nobody may have answered: then there is no window, or still that of a
	 * page of before. */
	if (reply->err ||
	    vfu_client_region_info(client, region, on_region, t) ||
	    vfu_client_io_fds(client, region, on_io_fds, t))
		rejected(t);
}

static void propose(struct translation *t, uint64_t page)
{
	const struct sup_translation asked = {
		.what = SUP_TRANSLATION_PROPOSE,
		.entry = index_of(t),
		.gpa = page,
		.rights = WINDOW_READ | WINDOW_WRITE,
	};

	t->page = page;
	t->stale = false;
	t->reads = t->writes = 0;
	t->state = TRANSLATION_ASKED;
	if (hear_invalidations(t->tlb) ||
	    bus_write(&t->tlb->guest->bus, PLATFORM_TRANSLATIONS, &asked,
		      sizeof(asked), on_proposed, t) < 0)
		rejected(t);
}

/* An entry that is free, or holds nothing of value. */
static struct translation *free_entry(struct tlb *tlb)
{
	struct translation *t;
	unsigned i;

	for (i = 0; i < PLATFORM_TLB_ENTRIES; i++)
		if (tlb->entry[i].state == TRANSLATION_FREE)
			return &tlb->entry[i];
	for (i = 0; i < PLATFORM_TLB_ENTRIES; i++) {
		t = &tlb->entry[tlb->next++ % PLATFORM_TLB_ENTRIES];
		if (t->state == TRANSLATION_REJECTED)
			return t;
	}
	return NULL;
}

struct translation *tlb_find(struct tlb *tlb, uint64_t page)
{
	struct translation *t;
	unsigned i;

	for (i = 0; i < PLATFORM_TLB_ENTRIES; i++) {
		t = &tlb->entry[i];
		if (t->state != TRANSLATION_FREE && t->page == page)
			return t;
	}
	t = free_entry(tlb);
	if (t)
		propose(t, page);
	return t;
}

void tlb_forget_rejected(struct tlb *tlb)
{
	unsigned i;

	for (i = 0; i < PLATFORM_TLB_ENTRIES; i++)
		if (tlb->entry[i].state == TRANSLATION_REJECTED)
			tlb->entry[i].state = TRANSLATION_FREE;
}

void tlb_init(struct tlb *tlb, struct guest *guest)
{
	struct translation *t;

	memset(tlb, 0, sizeof(*tlb));
	tlb->guest = guest;
	tlb->irq_fd = -1;
	for (t = tlb->entry; t < tlb->entry + PLATFORM_TLB_ENTRIES; t++) {
		t->tlb = tlb;
		t->memory_fd = t->fd[DOORBELL] = t->fd[BELL] = -1;
	}
}

void tlb_fini(struct tlb *tlb)
{
	struct translation *t;

	if (!tlb->guest)
		return;
	for (t = tlb->entry; t < tlb->entry + PLATFORM_TLB_ENTRIES; t++)
		let_go(t);
	loop_watch_del(&tlb->irq);
	if (tlb->irq_fd >= 0)
		close(tlb->irq_fd);
	tlb->irq_fd = -1;
}

static json_t *tlb_rows(void *arg)
{
	const struct guest *g = arg;
	json_t *rows = json_array();
	const struct translation *t;
	unsigned i;

	for (i = 0; i < PLATFORM_TLB_ENTRIES; i++) {
		t = &g->tlb.entry[i];
		if (t->state == TRANSLATION_FREE)
			continue;
		json_array_append_new(
			rows,
			json_pack("{s:i, s:I, s:s, s:s, s:I, s:I, s:i}",
				  "entry", (int)i, "gpa", (json_int_t)t->page,
				  "state", state_names[t->state], "rights",
				  t->state != TRANSLATION_OPEN ? ""
				  : t->rights & WINDOW_WRITE   ? "rw"
							       : "r",
				  "reads", (json_int_t)t->reads, "writes",
				  (json_int_t)t->writes, "on_their_way",
				  (int)window_outstanding(&t->window)));
	}
	return rows;
}

static const struct control_column columns[] = {
	{ "entry", "ENTRY" },
	{ "gpa", "GPA" },
	{ "state", "STATE" },
	{ "rights", "RIGHTS" },
	{ "reads", "READS" },
	{ "writes", "WRITES" },
	{ "on_their_way", "ON THEIR WAY" },
	{ NULL, NULL },
};

const struct control_table tlb_tables[] = {
	{ "tlb", "translations that this guest's CPU holds", columns,
	  tlb_rows },
	{ NULL, NULL, NULL, NULL },
};
