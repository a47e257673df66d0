/* exceptions.c - the supervisor's channels: exceptions there, verdicts back.
 *
 * Theory of operation.  An access without an allowed row (a820) is kept and
 * told to the supervisor as a whole transaction with a serial number; the
 * verdict names it.  While the ring is full the rest waits here in order,
 * notices (a device came, a VM is lost) before accesses, and is pushed when a
 * verdict comes or a millisecond later.
 *
 * What a fence stops is parked (parking.c) and not told at all.  An access
 * that nobody decides about within --exception-timeout, or that is there when
 * the supervisor goes, is answered with all ones, or with EIO if it is a write
 * that a row denies (or would, with protection).  A supervisor that was only
 * late (it was frozen) is told whose accesses these were.
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

static void push_all(struct bridge *b);

static void ring_bell(void *arg)
{
	struct bridge *b = arg;
	int fd = b->vms[PLATFORM_HYPERVISOR].req_fd;

	if (fd >= 0)
		peer_eventfd_raise(fd);
}

static void push_later(void *arg)
{
	push_all(arg);
}

static void supervisor_broken(struct bridge *b)
{
	struct vfu_session *session = b->vms[PLATFORM_HYPERVISOR].session;

	event(b->log, "supervisor.broken", NULL);
	if (session)
		vfu_session_close(session, "the channel's indexes are wild");
}

/* 0 or -errno; -EAGAIN: the rest comes later. */
static int push(struct bridge *b, const struct sup_exception *ex)
{
	int err = channel_push(&b->channels->exceptions, ex,
			       sup_exception_bytes(ex));

	if (!err)
		loop_defer(b->loop, &b->ring, ring_bell, b);
	else if (err == -EAGAIN)
		loop_timer_in(b->loop, &b->push_timer, BRIDGE_RINGS_POLL_NS,
			      push_later, b);
	return err;
}

static int push_operation(struct bridge *b, const struct operation *op)
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
	return push(b, &ex);
}

static int push_notice(struct bridge *b, const struct notice *notice)
{
	struct sup_exception ex;

	memset(&ex, 0, offsetof(struct sup_exception, data));
	ex.type = notice->type;
	ex.vm = notice->vm;
	ex.bdf = notice->bdf;
	return push(b, &ex);
}

static int push_notices(struct bridge *b)
{
	struct notice *notice;
	int err;

	while ((notice = STAILQ_FIRST(&b->notices))) {
		err = push_notice(b, notice);
		if (err)
			return err;
		STAILQ_REMOVE_HEAD(&b->notices, entry);
		free(notice);
	}
	return 0;
}

static void push_all(struct bridge *b)
{
	int err;

	if (!b->channels)
		return;
	err = push_notices(b);
	while (!err && b->unpushed) {
		err = push_operation(b, b->unpushed);
		if (!err)
			b->unpushed = TAILQ_NEXT(b->unpushed, queue);
	}
	if (err && err != -EAGAIN)
		supervisor_broken(b);
}

void exceptions_notify(struct bridge *b, enum sup_exception_type type,
		       uint32_t vm, uint16_t bdf)
{
	struct notice *notice;

	if (!b->channels)
		return;
	notice = malloc(sizeof(*notice));
	if (!notice)
		return;
	*notice = (struct notice){ .type = type, .vm = vm, .bdf = bdf };
	STAILQ_INSERT_TAIL(&b->notices, notice, entry);
	push_all(b);
}

static void take(struct bridge *b, struct operation *op)
{
	if (b->unpushed == op)
		b->unpushed = TAILQ_NEXT(op, queue);
	TAILQ_REMOVE(&b->trapped, op, queue);
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

static bool notice_waits(const struct bridge *b, enum sup_exception_type type,
			 uint32_t vm)
{
	const struct notice *notice;

	STAILQ_FOREACH (notice, &b->notices, entry)
		if (notice->type == type && notice->vm == vm)
			return true;
	return false;
}

static void exception_due(void *arg);

static void exception_arm(struct bridge *b)
{
	struct operation *op = TAILQ_FIRST(&b->trapped);

	if (op && b->options.exception_ns)
		loop_timer_at(b->loop, &b->exception_timer,
			      op->arrival_ns + b->options.exception_ns,
			      exception_due, b);
	else
		loop_timer_cancel(&b->exception_timer);
}

static void exception_due(void *arg)
{
	struct bridge *b = arg;
	uint64_t now = loop_now_ns(b->loop);
	struct operation *op;
	struct vm *late = NULL;

	while ((op = TAILQ_FIRST(&b->trapped)) &&
	       op->arrival_ns + b->options.exception_ns <= now) {
		/* Once for many of one VM, which come together. */
		if (op->vm != late &&
		    !notice_waits(b, SUP_EX_UNANSWERED, op->vm->number))
			exceptions_notify(b, SUP_EX_UNANSWERED, op->vm->number,
					  0);
		late = op->vm;
		take(b, op);
		unanswered(b, op, "timeout");
	}
	exception_arm(b);
}

void exceptions_trap(struct operation *op, const uint8_t *data)
{
	struct bridge *b = op->vm->bridge;

	op->state = OPERATION_NEW;
	op->function = NULL;
	if (!b->channels) {
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
	TAILQ_INSERT_TAIL(&b->trapped, op, queue);
	if (!b->unpushed)
		b->unpushed = op;
	if (!b->exception_timer.loop)
		exception_arm(b);
	push_all(b);
}

void exceptions_forget(struct vm *vm)
{
	struct bridge *b = vm->bridge;
	struct operation *op, *next;

	TAILQ_FOREACH_SAFE (op, &b->trapped, queue, next) {
		if (op->vm != vm)
			continue;
		take(b, op);
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

static void apply_verdict(struct bridge *b, const struct sup_verdict *v)
{
	struct operation *op;

	TAILQ_FOREACH (op, &b->trapped, queue)
		if (op->serial == v->serial)
			break;
	if (!op) {
		b->stale_verdicts++; /* timed out, or ran by itself */
		return;
	}
	take(b, op);
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
static int take_verdict(struct bridge *b)
{
	struct sup_verdict v;
	int n = channel_pop(&b->channels->verdicts, &v, sizeof(v));

	if (n < 0)
		return n;
	if ((size_t)n < offsetof(struct sup_verdict, data) ||
	    (size_t)n != sup_verdict_bytes(&v))
		return -EBADMSG;
	apply_verdict(b, &v);
	return 0;
}

static void take_verdicts(struct bridge *b)
{
	unsigned i;
	int err = 0;

	for (i = 0; !err && i < 2 * CHANNEL_SLOTS; i++)
		err = take_verdict(b);
	if (err && err != -EAGAIN)
		supervisor_broken(b);
	else if (!err)
		peer_eventfd_raise(b->verdict_fd);
	push_all(b);
}

static void verdicts_ready(void *arg, uint32_t events)
{
	struct bridge *b = arg;

	(void)events;
	if (peer_eventfd_take(b->verdict_fd))
		take_verdicts(b);
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

void exceptions_open_rows(struct bridge *b, const struct sup_row *rows,
			  size_t n)
{
	struct operations again = TAILQ_HEAD_INITIALIZER(again);
	struct operation *op, *next;
	size_t i;

	for (i = 0; i < n && rows[i].op != SUP_ROW_OPEN; i++)
		;
	if (i == n || !b->channels)
		return;
	/* What was decided already is not done a second time. */
	take_verdicts(b);
	TAILQ_FOREACH_SAFE (op, &b->trapped, queue, next) {
		if (!is_opened(op, rows, n))
			continue;
		take(b, op);
		TAILQ_INSERT_TAIL(&again, op, queue);
	}
	while ((op = TAILQ_FIRST(&again))) {
		TAILQ_REMOVE(&again, op, queue);
		relay_again(op);
	}
}

int exceptions_open(struct bridge *b)
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
	b->verdict_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = b->verdict_fd < 0 ? -errno : 0;
	if (!err)
		err = loop_watch_add(b->loop, &b->verdict_watch, b->verdict_fd,
				     EPOLLIN, verdicts_ready, b);
	if (err) {
		if (b->verdict_fd >= 0)
			close(b->verdict_fd);
		b->verdict_fd = -1;
		munmap(hva, SUP_CHANNELS_SIZE);
		close(fd);
		return err;
	}
	b->channels = hva;
	b->channels_fd = fd;
	channel_init(&b->channels->exceptions);
	channel_init(&b->channels->verdicts);
	return 0;
}

void exceptions_close(struct bridge *b)
{
	struct operation *op;
	struct notice *notice;

	if (!b->channels)
		return;
	loop_watch_del(&b->verdict_watch);
	loop_timer_cancel(&b->push_timer);
	loop_defer_cancel(&b->ring);
	close(b->verdict_fd);
	close(b->channels_fd);
	munmap(b->channels, SUP_CHANNELS_SIZE);
	b->channels = NULL;
	b->channels_fd = b->verdict_fd = -1;
	while ((notice = STAILQ_FIRST(&b->notices))) {
		STAILQ_REMOVE_HEAD(&b->notices, entry);
		free(notice);
	}
	while ((op = TAILQ_FIRST(&b->trapped))) {
		take(b, op);
		unanswered(b, op, "supervisor gone");
	}
	exception_arm(b);
}
