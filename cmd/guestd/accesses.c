/* accesses.c - the workload `accesses`: reads or writes of a UART's scratch
 * register kept outstanding, to see what an access costs on its path.
 *
 * A read gives what was written last: anything else is an error.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "cmd/guestd/card.h"
#include "cmd/guestd/guestd.h"
#include "libcore/uart.h"

#define SCRATCH_VALUE 0x5au

struct accesses {
	struct workload w;
	uint64_t outstanding, issued, done, errors;
	bool stopped;
	uint64_t start_ns, end_ns;
	struct loop_deferred over;
};

static struct accesses *of(struct workload *w)
{
	return (struct accesses *)w;
}

static void run(struct accesses *a);

static void on_over(void *arg)
{
	struct accesses *a = arg;

	a->w.bad = a->errors > 0;
	workload_done(&a->w);
}

static void on_answer(void *arg, int err, uint64_t value)
{
	struct accesses *a = arg;

	a->outstanding--;
	if (a->stopped)
		return;
	a->done++;
	a->errors += err || (!a->w.spec.writes && value != SCRATCH_VALUE);
	run(a);
}

static bool issue(struct accesses *a)
{
	struct access *bar = &a->w.card->bar;
	int err;

	if (a->w.spec.writes)
		err = access_write(bar, UART_SCR, 1, SCRATCH_VALUE, on_answer,
				   a);
	else
		err = access_read(bar, UART_SCR, 1, on_answer, a);
	a->issued += !err;
	a->outstanding += !err;
	return !err;
}

static void run(struct accesses *a)
{
	const struct workload_spec *spec = &a->w.spec;

	while (a->outstanding < spec->depth &&
	       (!spec->count || a->issued < spec->count)) {
		if (!issue(a)) {
			workload_failed(&a->w, STATUS_NOT,
					"the access cannot be made");
			return;
		}
	}
	if (a->outstanding)
		return;
	a->end_ns = clock_now_ns();
	loop_defer(a->w.guest->program.loop, &a->over, on_over, a);
}

static void on_prepared(void *arg, int err, uint64_t value)
{
	struct accesses *a = arg;

	(void)value;
	a->outstanding--;
	a->errors += err != 0;
	a->start_ns = clock_now_ns();
	if (!a->stopped)
		run(a);
}

static void accesses_start(struct workload *w)
{
	struct accesses *a = of(w);

	a->outstanding = 1;
	if (access_write(&w->card->bar, UART_SCR, 1, SCRATCH_VALUE, on_prepared,
			 a))
		workload_failed(w, STATUS_NOT, "the access cannot be made");
}

static void accesses_stop(struct workload *w)
{
	of(w)->stopped = true;
	loop_defer_cancel(&of(w)->over);
}

/* Not before the last answer: it still points here. */
static bool accesses_idle(const struct workload *w)
{
	return ((const struct accesses *)w)->outstanding == 0;
}

static void accesses_report(const struct workload *w, json_t *row)
{
	const struct accesses *a = (const struct accesses *)w;
	uint64_t ns = a->end_ns - a->start_ns;
	json_t *more;

	more = json_pack("{s:I, s:I, s:I, s:o, s:f}", "done",
			 (json_int_t)a->done, "of", (json_int_t)w->spec.count,
			 "errors", (json_int_t)a->errors, "detail",
			 json_sprintf("%s, depth %u",
				      w->spec.writes ? "writes" : "reads",
				      w->spec.depth),
			 "ns_each",
			 a->end_ns && a->done ? (double)ns / (double)a->done
					      : 0.0);
	json_object_update(row, more);
	json_decref(more);
}

const struct workload_ops accesses_ops = {
	.name = "accesses",
	.size = sizeof(struct accesses),
	.card = &uart_card,
	.start = accesses_start,
	.stop = accesses_stop,
	.idle = accesses_idle,
	.report = accesses_report,
};
