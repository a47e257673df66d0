/* exceptions.c - supervisors' channels: exceptions there, verdicts back.
 *
 * Theory of operation.  An access without an allowed row (a820) is kept and
 * told to the supervisor as a whole transaction with a serial number; the
 * verdict names it.  While the ring is full the rest waits here in order,
 * notices (a device came, a VM is lost) before accesses, and is pushed when a
 * verdict comes or a millisecond later.
 *
 * What a fence stops is parked (parking.c) and not told at all.  An access
 * that nobody decides about within --exception-timeout, or that is there when
 * vm0 goes, is answered with all ones, or with EIO if it is a write
 * that a row denies (or would, with protection).  A supervisor that was only
 * late (it was frozen) is told whose accesses these were.  What waits for a
 * supervisor other than vm0 is told to the next one, under the same serial
 * number, so that it is known if it was done already.
 *
 * Each supervisor gets memory of its own, so that a former one which still
 * maps its rings cannot disturb.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcore/guest_memory.h"
#include "libcore/peer_eventfd.h"

#include "cmd/rootbridge/bridge.h"

static void push_all(struct supervisor *s);

static void ring_bell(void *arg)
{
	const struct supervisor *s = arg;
	int fd = s->vm->req_fd;

	if (fd >= 0)
		peer_eventfd_raise(fd);
}

static void push_later(void *arg)
{
	push_all(arg);
}

static struct bridge *bridge_of(const struct supervisor *s)
{
	return s->vm->bridge;
}

static bool is_first(const struct supervisor *s)
{
	return s->vm->number == PLATFORM_HYPERVISOR;
}

static void supervisor_broken(struct supervisor *s)
{
	struct vfu_session *session = s->vm->session;

	event(bridge_of(s)->log, "supervisor.broken", "s:s", "vm", s->vm->name);
	if (session)
		vfu_session_close(session, "the channel's indexes are wild");
}

/* 0 or -errno; -EAGAIN: the rest comes later. */
static int push(struct supervisor *s, const struct sup_exception *ex)
{
	int err = channel_push(&s->channels->exceptions, ex,
			       sup_exception_bytes(ex));

	if (!err)
		loop_defer(bridge_of(s)->loop, &s->ring, ring_bell, s);
	else if (err == -EAGAIN)
		loop_timer_in(bridge_of(s)->loop, &s->push_timer,
			      BRIDGE_RINGS_POLL_NS, push_later, s);
	return err;
}

static int push_operation(struct supervisor *s, const struct operation *op)
{
	struct sup_exception ex;

	memset(&ex, 0, offsetof(struct sup_exception, data));
	ex.serial = op->serial;
	ex.type = SUP_EX_ACCESS;
	ex.vm = op->vm->number;
	ex.gpa = op->address;
	ex.size = op->count;
	ex.flags = (op->write ? SUP_EX_WRITE : 0) |
		   (op->posted ? SUP_EX_POSTED : 0) |
		   (op->denied ? SUP_EX_DENIED : 0);
	if (op->write)
		memcpy(ex.data, op->data, op->count);
	return push(s, &ex);
}

static int push_notice(struct supervisor *s, const struct notice *notice)
{
	struct sup_exception ex;

	memset(&ex, 0, offsetof(struct sup_exception, data));
	ex.type = notice->type;
	ex.vm = notice->vm;
	ex.bdf = notice->bdf;
	return push(s, &ex);
}

static int push_notices(struct supervisor *s)
{
	struct notice *notice;
	int err;

	while ((notice = STAILQ_FIRST(&s->notices))) {
		err = push_notice(s, notice);
		if (err)
			return err;
		STAILQ_REMOVE_HEAD(&s->notices, entry);
		free(notice);
	}
	return 0;
}

static void push_all(struct supervisor *s)
{
	int err;

	if (!s->channels)
		return;
	err = push_notices(s);
	while (!err && s->unpushed) {
		err = push_operation(s, s->unpushed);
		if (!err)
			s->unpushed = TAILQ_NEXT(s->unpushed, queue);
	}
	if (err && err != -EAGAIN)
		supervisor_broken(s);
}

static void notify(struct supervisor *s, enum sup_exception_type type,
		   uint32_t vm, uint16_t bdf)
{
	struct notice *notice;

	if (!s->channels)
		return;
	notice = malloc(sizeof(*notice));
	if (!notice)
		return;
	*notice = (struct notice){ .type = type, .vm = vm, .bdf = bdf };
	STAILQ_INSERT_TAIL(&s->notices, notice, entry);
	push_all(s);
}

void exceptions_notify(struct bridge *b, enum sup_exception_type type,
		       uint32_t vm, uint16_t bdf)
{
	notify(b->vms[PLATFORM_HYPERVISOR].decides, type, vm, bdf);
}

void exceptions_notify_of(struct vm *vm, enum sup_exception_type type)
{
	notify(vm->supervisor, type, vm->number, 0);
}

static void take(struct supervisor *s, struct operation *op)
{
	if (s->unpushed == op)
		s->unpushed = TAILQ_NEXT(op, queue);
	TAILQ_REMOVE(&s->trapped, op, queue);
	op->state = OPERATION_NEW;
}

static void unanswered(struct bridge *b, struct operation *op, const char *why)
{
	uint64_t suppressed;

	if (limiter_pass(&op->vm->complaints, loop_now_ns(b->loop),
			 &suppressed))
		event(b->log, "exception.unanswered",
		      "s:s, s:s, s:I, s:I, s:b, s:s, s:I", "vm", op->vm->name,
		      "kind", op->write ? "write" : "read", "address",
		      (json_int_t)op->address, "size", (json_int_t)op->count,
		      "denied", (int)op->denied, "why", why, "suppressed",
		      (json_int_t)suppressed);
	/* What resets a PF was not done, and its driver may not think so. */
	if (op->write && (op->denied || b->options.no_protection))
		relay_fail(op, EIO);
	else
		relay_unsupported(op);
}

static bool notice_waits(const struct supervisor *s,
			 enum sup_exception_type type, uint32_t vm)
{
	const struct notice *notice;

	STAILQ_FOREACH (notice, &s->notices, entry)
		if (notice->type == type && notice->vm == vm)
			return true;
	return false;
}

static void exception_due(void *arg);

static void exception_arm(struct supervisor *s)
{
	struct operation *op = TAILQ_FIRST(&s->trapped);
	struct bridge *b = bridge_of(s);

	if (op && b->options.exception_ns)
		loop_timer_at(b->loop, &s->exception_timer,
			      op->arrival_ns + b->options.exception_ns,
			      exception_due, s);
	else
		loop_timer_cancel(&s->exception_timer);
}

static void exception_due(void *arg)
{
	struct supervisor *s = arg;
	struct bridge *b = bridge_of(s);
	uint64_t now = loop_now_ns(b->loop);
	struct operation *op;
	struct vm *late = NULL;

	while ((op = TAILQ_FIRST(&s->trapped)) &&
	       op->arrival_ns + b->options.exception_ns <= now) {
		/* Once for many of one VM, which come together. */
		if (op->vm != late &&
		    !notice_waits(s, SUP_EX_UNANSWERED, op->vm->number))
			exceptions_notify_of(op->vm, SUP_EX_UNANSWERED);
		late = op->vm;
		take(s, op);
		unanswered(b, op, "timeout");
	}
	exception_arm(s);
}

/* Whether somebody will decide. */
static bool is_awaited(const struct supervisor *s)
{
	return s->channels || !is_first(s);
}

void exceptions_trap(struct operation *op, const uint8_t *data)
{
	struct supervisor *s = op->vm->supervisor;
	struct bridge *b = op->vm->bridge;

	op->state = OPERATION_NEW;
	op->function = NULL;
	if (!is_awaited(s)) {
		unanswered(b, op, "no supervisor");
		return;
	}
	if (op->count > SUP_DATA_MAX) {
		unanswered(b, op, "too large");
		return;
	}
	if (!relay_keep_data(op, data)) {
		unanswered(b, op, "no memory");
		return;
	}
	op->state = OPERATION_TRAPPED;
	op->serial = ++b->last_serial;
	op->arrival_ns = loop_now_ns(b->loop);
	TAILQ_INSERT_TAIL(&s->trapped, op, queue);
	if (!s->unpushed)
		s->unpushed = op;
	if (!s->exception_timer.loop)
		exception_arm(s);
	push_all(s);
}

void exceptions_forget(struct vm *vm)
{
	struct supervisor *s = vm->supervisor;
	struct operation *op, *next;

	TAILQ_FOREACH_SAFE (op, &s->trapped, queue, next) {
		if (op->vm != vm)
			continue;
		take(s, op);
		relay_unsupported(op);
	}
}

static void bad_verdict(struct bridge *b, struct operation *op,
			const struct sup_verdict *v)
{
	event(b->log, "verdict.bad", "s:s, s:I, s:I, s:I", "vm", op->vm->name,
	      "address", (json_int_t)op->address, "action",
	      (json_int_t)v->action, "size", (json_int_t)v->size);
	relay_unsupported(op);
}

static void apply_verdict(struct supervisor *s, const struct sup_verdict *v)
{
	struct bridge *b = bridge_of(s);
	struct operation *op;

	TAILQ_FOREACH (op, &s->trapped, queue)
		if (op->serial == v->serial)
			break;
	if (!op) {
		b->stale_verdicts++; /* timed out, or ran by itself */
		return;
	}
	take(s, op);
	switch (v->action) {
	case SUP_VERDICT_DONE:
		if (op->write)
			relay_data(op, NULL, 0);
		else if (v->size == op->count)
			relay_data(op, v->data, op->count);
		else
			bad_verdict(b, op, v);
		break;
	case SUP_VERDICT_FAIL:
		relay_fail(op,
			   v->error && v->error < 4096 ? (int)v->error : EIO);
		break;
	case SUP_VERDICT_UNSUPPORTED:
		relay_unsupported(op);
		break;
	case SUP_VERDICT_AGAIN:
		relay_again(op);
		break;
	default:
		bad_verdict(b, op, v);
	}
}

/* 0 or -errno; -EAGAIN: there is none. */
static int take_verdict(struct supervisor *s)
{
	struct sup_verdict v;
	int n = channel_pop(&s->channels->verdicts, &v, sizeof(v));

	if (n < 0)
		return n;
	if ((size_t)n < offsetof(struct sup_verdict, data) ||
	    (size_t)n != sup_verdict_bytes(&v))
		return -EBADMSG;
	apply_verdict(s, &v);
	return 0;
}

static void take_verdicts(struct supervisor *s)
{
	unsigned i;
	int err = 0;

	for (i = 0; !err && i < 2 * CHANNEL_SLOTS; i++)
		err = take_verdict(s);
	if (err && err != -EAGAIN)
		supervisor_broken(s);
	else if (!err)
		peer_eventfd_raise(s->verdict_fd);
	push_all(s);
}

static void verdicts_ready(void *arg, uint32_t events)
{
	struct supervisor *s = arg;

	(void)events;
	if (peer_eventfd_take(s->verdict_fd))
		take_verdicts(s);
}

static bool is_opened(const struct operation *op, const struct sup_row *rows,
		      size_t n)
{
	for (; n; n--, rows++)
		if (rows->op == SUP_ROW_OPEN && rows->vm == op->vm->number &&
		    op->address >= rows->first && op->address <= rows->last)
			return true;
	return false;
}

void exceptions_open_rows(struct supervisor *s, const struct sup_row *rows,
			  size_t n)
{
	struct operations again = TAILQ_HEAD_INITIALIZER(again);
	struct operation *op, *next;
	size_t i;

	for (i = 0; i < n && rows[i].op != SUP_ROW_OPEN; i++)
		;
	if (i == n || !s->channels)
		return;
	/* What was decided already is not done a second time. */
	take_verdicts(s);
	TAILQ_FOREACH_SAFE (op, &s->trapped, queue, next) {
		if (!is_opened(op, rows, n))
			continue;
		take(s, op);
		TAILQ_INSERT_TAIL(&again, op, queue);
	}
	while ((op = TAILQ_FIRST(&again))) {
		TAILQ_REMOVE(&again, op, queue);
		relay_again(op);
	}
}

int exceptions_supervisor(struct vm *vm)
{
	struct supervisor *s;

	if (vm->decides)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->vm = vm;
	s->channels_fd = s->verdict_fd = -1;
	TAILQ_INIT(&s->trapped);
	STAILQ_INIT(&s->notices);
	vm->decides = s;
	return 0;
}

int exceptions_open(struct supervisor *s)
{
	void *hva;
	int err, fd;

	fd = guest_memory_create("iovkit-supervisor", SUP_REGION_SIZE);
	if (fd < 0)
		return fd;
	hva = mmap(NULL, SUP_CHANNELS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, (off_t)SUP_OFFSET(SUP_CHANNELS));
	if (hva == MAP_FAILED) {
		err = -errno;
		close(fd);
		return err;
	}
	s->verdict_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = s->verdict_fd < 0 ? -errno : 0;
	if (!err)
		err = loop_watch_add(bridge_of(s)->loop, &s->verdict_watch,
				     s->verdict_fd, EPOLLIN, verdicts_ready, s);
	if (err) {
		if (s->verdict_fd >= 0)
			close(s->verdict_fd);
		s->verdict_fd = -1;
		munmap(hva, SUP_CHANNELS_SIZE);
		close(fd);
		return err;
	}
	s->channels = hva;
	s->channels_fd = fd;
	channel_init(&s->channels->exceptions);
	channel_init(&s->channels->verdicts);
	push_all(s);
	return 0;
}

static void answer_all(struct supervisor *s)
{
	struct operation *op;

	while ((op = TAILQ_FIRST(&s->trapped))) {
		take(s, op);
		unanswered(bridge_of(s), op, "supervisor gone");
	}
	exception_arm(s);
}

void exceptions_close(struct supervisor *s)
{
	struct notice *notice;

	if (!s->channels)
		return;
	/* What it has decided already counts. */
	if (!is_first(s))
		take_verdicts(s);
	loop_watch_del(&s->verdict_watch);
	loop_timer_cancel(&s->push_timer);
	loop_defer_cancel(&s->ring);
	close(s->verdict_fd);
	close(s->channels_fd);
	munmap(s->channels, SUP_CHANNELS_SIZE);
	s->channels = NULL;
	s->channels_fd = s->verdict_fd = -1;
	while ((notice = STAILQ_FIRST(&s->notices))) {
		STAILQ_REMOVE_HEAD(&s->notices, entry);
		free(notice);
	}
	if (is_first(s))
		answer_all(s);
	else
		s->unpushed = TAILQ_FIRST(&s->trapped);
}

void exceptions_fini(struct bridge *b)
{
	struct supervisor *s;
	unsigned i;

	for (i = 0; b->vms && i < b->n_vms; i++) {
		s = b->vms[i].decides;
		if (!s)
			continue;
		exceptions_close(s);
		answer_all(s);
	}
}
