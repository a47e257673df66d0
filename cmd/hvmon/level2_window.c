/* level2_window.c - a guest's function as it sees it: its registers, among
 * them the verb window, and its MSI-X table.
 *
 * Theory of operation.  Accesses of a guest are done in their order; while a
 * verb of it is under way the rest waits.  There is one window to the adapter,
 * so one verb of all guests is done at a time, and guests have turns.  The
 * window's registers lie in the record, with the serial number of the access
 * whose verb was done last: one that comes again is only answered.
 */
#include <config.h>

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/exceptions.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level2.h"
#include "libcore/platform.h"

#define MSIX_TABLE 0x2000u
#define REGISTER   ((uint32_t)sizeof(uint64_t))

static void run_later(struct level2 *l);

static uint64_t read_one(const struct level2_guest *guest, uint32_t offset)
{
	const struct level2_guest_row *row = guest->row;

	switch (offset) {
	case HCA_ID:
		return HCA_ID_VALUE;
	case HCA_VERSION:
		return 1;
	case HCA_PARTITION:
		return guest->l->partition;
	case HCA_EQS: /* 1106 */
		return HCA_EQ_MAX + guest->l->tables.geqcb_n;
	case HCA_CQS:
		return HCA_CQ_MAX;
	case HCA_QPS:
		return HCA_QP_MAX;
	case HCA_BELLS:
		return 1;
	case HCA_VALUE:
		return row->value;
	case HCA_VERB:
		return row->verb;
	case HCA_STATUS:
		return row->status;
	case HCA_RESULT:
		return row->result;
	}
	return 0;
}

static void read_registers(struct level2_guest *guest, uint32_t offset,
			   uint8_t *data, uint32_t size)
{
	uint32_t at = offset, skip, n;
	uint64_t value;

	for (; size; at += n, data += n, size -= n) {
		skip = at % REGISTER;
		n = REGISTER - skip < size ? REGISTER - skip : size;
		value = htole64(read_one(guest, at - skip));
		memcpy(data, (const uint8_t *)&value + skip, n);
	}
}

static bool is_msix(uint32_t offset, uint32_t size, const uint8_t *table,
		    uint32_t bytes)
{
	(void)table;
	return offset >= MSIX_TABLE && offset < MSIX_TABLE + bytes &&
	       size <= MSIX_TABLE + bytes - offset;
}

static void do_read(struct level2_guest *guest, const struct sup_exception *ex)
{
	uint32_t offset = (uint32_t)(ex->gpa - LEVEL2_BAR);
	uint8_t data[SUP_DATA_MAX];

	if (is_msix(offset, ex->size, guest->msix, sizeof(guest->msix)))
		memcpy(data, guest->msix + offset - MSIX_TABLE, ex->size);
	else
		read_registers(guest, offset, data, ex->size);
	exception_done(guest->l->hv, ex, data);
}

static void bad_bell(struct level2_guest *guest, const struct sup_exception *ex)
{
	uint64_t suppressed;

	guest->bad_bells++;
	if (level2_tells(guest, &suppressed))
		event(guest->l->hv->program->log, "level2.refused",
		      "s:s, s:i, s:I, s:I", "what",
		      "doorbell that is not its own", "vm", (int)guest->vm,
		      "handle", (json_int_t)ex->gpa, "suppressed",
		      (json_int_t)suppressed);
}

/* False: its verb is under way. */
static bool do_write(struct level2_guest *guest, const struct sup_exception *ex)
{
	uint32_t offset = (uint32_t)(ex->gpa - LEVEL2_BAR);
	uint64_t value = 0;

	if (is_msix(offset, ex->size, guest->msix, sizeof(guest->msix))) {
		memcpy(guest->msix + offset - MSIX_TABLE, ex->data, ex->size);
	} else if (offset >= HCA_BELL_BASE) {
		bad_bell(guest, ex);
	} else if (ex->size == REGISTER) {
		memcpy(&value, ex->data, sizeof(value));
		value = le64toh(value);
		if (offset == HCA_VALUE) {
			guest->row->value = value;
		} else if (offset == HCA_VERB &&
			   ex->serial != guest->row->serial) {
			guest->row->verb = value;
			guest->verbs++;
			guest->busy = true;
			guest->l->running = true;
			level2_verb(guest, ex->serial, value);
			return false;
		}
	}
	exception_done(guest->l->hv, ex, NULL);
	return true;
}

void level2_verb_done(struct level2_guest *guest, uint64_t serial,
		      enum hca_status status, uint64_t result)
{
	struct level2 *l = guest->l;

	guest->row->status = status;
	guest->row->result = result;
	guest->row->serial = serial;
	guest->busy = false;
	l->running = false;
	exception_answer(l->hv, serial, NULL, 0);
	if (!guest->queued && !STAILQ_EMPTY(&guest->accesses)) {
		guest->queued = true;
		STAILQ_INSERT_TAIL(&l->ready, guest, turn);
	}
	run_later(l);
}

static bool is_config(uint64_t gpa)
{
	return gpa - PLATFORM_ECAM < PLATFORM_ECAM_SIZE;
}

/* Whether the next access may be done now: another guest's verb may be under
 * way, and only one is done at a time. */
static bool do_access(struct level2_guest *guest,
		      const struct sup_exception *ex)
{
	bool write = ex->flags & SUP_EX_WRITE;

	if (is_config(ex->gpa)) {
		level2_config_access(guest, ex);
		return true;
	}
	if (!write) {
		do_read(guest, ex);
		return true;
	}
	return do_write(guest, ex);
}

static bool is_verb(const struct sup_exception *ex)
{
	return (ex->flags & SUP_EX_WRITE) && ex->gpa == LEVEL2_BAR + HCA_VERB;
}

/* All that it may do now; false: it waits for its turn. */
static bool run_guest(struct level2_guest *guest)
{
	struct level2_access *access;

	while ((access = STAILQ_FIRST(&guest->accesses)) && !guest->busy &&
	       !guest->lost) {
		if (guest->l->running && is_verb(&access->exception))
			return false;
		STAILQ_REMOVE_HEAD(&guest->accesses, entry);
		(void)do_access(guest, &access->exception);
		free(access);
	}
	return true;
}

static void on_run(void *arg)
{
	struct level2 *l = arg;
	struct level2_guest *guest;

	while (!l->running && !l->wanted && l->up &&
	       (guest = STAILQ_FIRST(&l->ready))) {
		STAILQ_REMOVE_HEAD(&l->ready, turn);
		guest->queued = false;
		if (!run_guest(guest)) {
			guest->queued = true;
			STAILQ_INSERT_TAIL(&l->ready, guest, turn);
		}
	}
}

static void run_later(struct level2 *l)
{
	loop_defer(l->hv->program->loop, &l->run, on_run, l);
}

void level2_window_run(struct level2 *l)
{
	unsigned i;

	for (i = 0; i < l->n_guests; i++) {
		if (l->guest[i].queued || STAILQ_EMPTY(&l->guest[i].accesses))
			continue;
		l->guest[i].queued = true;
		STAILQ_INSERT_TAIL(&l->ready, &l->guest[i], turn);
	}
	run_later(l);
}

void level2_window_queue(struct level2_guest *guest,
			 const struct sup_exception *exception)
{
	size_t bytes = sup_exception_bytes(exception);
	struct level2_access *access;

	access = malloc(offsetof(struct level2_access, exception) + bytes);
	if (!access)
		abort();
	memcpy(&access->exception, exception, bytes);
	STAILQ_INSERT_TAIL(&guest->accesses, access, entry);
	guest->l->intercepted++;
	if (guest->queued || guest->busy)
		return;
	guest->queued = true;
	STAILQ_INSERT_TAIL(&guest->l->ready, guest, turn);
	run_later(guest->l);
}

void level2_window_forget(struct level2_guest *guest)
{
	struct level2_access *access;

	while ((access = STAILQ_FIRST(&guest->accesses))) {
		STAILQ_REMOVE_HEAD(&guest->accesses, entry);
		free(access);
	}
}
