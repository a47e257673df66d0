/* hca_driver.c - the driver of a partition of the host channel adapter that
 * this guest uses directly.
 *
 * Theory of operation.  One event queue with a summary byte serves all ports but
 * those with a queue of their own.  All summary bytes stand in a row.  An
 * interrupt looks at them; one that is set is cleared, then its queue emptied;
 * an event's token is the port's number, and the port empties its completion
 * queue.  What the adapter adds afterwards interrupts anew (hca_record.c), so
 * nothing is left behind and nothing is polled.
 */
#include <config.h>

#include "cmd/guestd/hca_driver.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/hca_port.h"

#define EVENTS      4096u /* entries of the event queue */
#define EVENT_BYTES (EVENTS * (uint32_t)sizeof(struct hca_eqe))
#define PORTS_MAX   2048u /* two kinds of events of each at a time */
#define ASB_BYTES   (1u + PORTS_MAX)
#define BYTES       (EVENT_BYTES + ASB_BYTES)

static struct hca_driver *of(struct card *card)
{
	return (struct hca_driver *)card;
}

unsigned hca_partition_of(const struct card *card)
{
	return (unsigned)((const struct hca_driver *)card)->partition;
}

static int driver_init(struct card *card)
{
	struct hca_driver *d = of(card);
	struct guest *g = card->guest;
	int err = memory_pool_take(&g->memory, BYTES, &d->gpa);
	uint8_t *hva;

	if (err)
		return err;
	hva = guest_memory_at(&g->bus.memory, d->gpa, BYTES,
			      GUEST_READ | GUEST_WRITE);
	if (!hva)
		return -ENOMEM;
	d->events = (struct hca_reader){ .entries = hva, .n = EVENTS };
	d->asb = (_Atomic uint8_t *)(hva + EVENT_BYTES);
	return 0;
}

static void driver_fini(struct card *card)
{
	struct hca_driver *d = of(card);
	unsigned i;

	for (i = 0; i < d->n_ports; i++)
		if (d->port[i])
			hca_port_free(d->port[i]);
	free(d->port);
	if (d->gpa)
		memory_pool_give(&card->guest->memory, d->gpa, BYTES);
}

/* Ports. */

int hca_driver_add(struct hca_driver *d, struct hca_port *port)
{
	struct hca_port **grown;
	unsigned i;

	for (i = 0; i < d->n_ports && d->port[i]; i++)
		;
	if (i == PORTS_MAX)
		return -ENOSPC;
	if (i == d->n_ports) {
		grown = realloc(d->port, (i + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		d->port = grown;
		d->n_ports++;
	}
	d->port[i] = port;
	port->number = i;
	return 0;
}

static void remember_freed(struct hca_driver *d, uint64_t handle)
{
	if (handle)
		d->freed[d->n_freed++ % HCA_FREED] = (uint32_t)handle;
}

void hca_driver_remove(struct hca_driver *d, struct hca_port *port)
{
	d->port[port->number] = NULL;
	remember_freed(d, port->cq);
	remember_freed(d, port->qp);
}

uint64_t hca_driver_asb(const struct hca_driver *d, const struct hca_port *port)
{
	return d->gpa + EVENT_BYTES + 1 + port->number;
}

/* Events. */

static bool was_freed(const struct hca_driver *d, uint32_t handle)
{
	unsigned i;

	for (i = 0; i < HCA_FREED; i++)
		if (d->freed[i] == handle)
			return true;
	return false;
}

/* The port that the event's token means, if the event is its and came by the
 * queue that it should: `own` of a port, or NULL. */
static struct hca_port *port_of(struct hca_driver *d, const struct hca_eqe *eqe,
				const struct hca_port *own)
{
	struct hca_port *port =
		eqe->token < d->n_ports ? d->port[eqe->token] : NULL;

	if (port && (own ? own == port : !port->spec.own_eq) &&
	    (eqe->handle == port->cq || eqe->handle == port->qp))
		return port;
	return NULL;
}

/* An event that is nobody's: another guest's, or of a wrong queue. */
static void stray(struct hca_driver *d, const struct hca_eqe *eqe)
{
	struct guest *g = d->card.guest;
	uint64_t suppressed;

	d->stray++;
	if (!limiter_pass(&d->told, loop_now_ns(g->program.loop), &suppressed))
		return;
	event(g->program.log, "card.stray", "s:s, s:I, s:I, s:i, s:I", "card",
	      d->card.name, "token", (json_int_t)eqe->token, "handle",
	      (json_int_t)eqe->handle, "event", (int)eqe->event, "suppressed",
	      (json_int_t)suppressed);
}

static void dispatch(struct hca_driver *d, const struct hca_eqe *eqe,
		     const struct hca_port *own)
{
	struct hca_port *port;

	d->taken++;
	if (eqe->event == HCA_EVENT_REFUSED && !own) {
		d->refused++;
		return;
	}
	port = port_of(d, eqe, own);
	if (port)
		hca_port_event(port, eqe);
	else if (was_freed(d, eqe->handle))
		d->late++;
	else
		stray(d, eqe);
}

static void take_all(struct hca_driver *d, struct hca_reader *events,
		     const struct hca_port *own)
{
	struct hca_eqe eqe = { 0 };

	while (d->card.state == CARD_UP && hca_take_event(events, &eqe))
		dispatch(d, &eqe, own);
}

static void driver_interrupt(struct card *card)
{
	struct hca_driver *d = of(card);
	struct hca_port *port;
	unsigned i;

	/* One that is closed meanwhile is freed later, not here. */
	for (i = 0; i < d->n_ports; i++) {
		port = d->port[i];
		if (port && port->spec.own_eq && port->eq &&
		    hca_summary_take(&d->asb[1 + i]))
			take_all(d, &port->events, port);
	}
	(void)hca_summary_take(d->asb);
	take_all(d, &d->events, NULL);
}

/* Set-up. */

static void verbs_failed(struct hca_driver *d, int err, enum hca_status status)
{
	if (err == -EPROTO)
		card_failed(&d->card, hca_status_name(status));
	else
		card_not_set_up(&d->card, strerror(-err));
}

static void on_running(void *arg, int err, enum hca_status status)
{
	struct hca_driver *d = arg;

	if (err)
		verbs_failed(d, err, status);
	else
		card_up(&d->card);
}

static void on_allocated(void *arg, int err, enum hca_status status)
{
	struct hca_driver *d = arg;
	uint32_t eq = (uint32_t)d->eq;

	if (!err && d->id == UINT64_MAX)
		err = -ENODEV;
	if (!err && d->id != HCA_ID_VALUE) {
		card_failed(&d->card, "its registers are no adapter's");
		return;
	}
	if (err) {
		verbs_failed(d, err, status);
		return;
	}
	hca_verbs_begin(&d->verbs, &d->card.bar, on_running, d);
	hca_verbs_store(&d->verbs, eq, HCA_BASE, d->gpa);
	hca_verbs_store(&d->verbs, eq, HCA_ENTRIES, EVENTS);
	hca_verbs_store(&d->verbs, eq, HCA_ASB, d->gpa + EVENT_BYTES);
	hca_verbs_store(&d->verbs, eq, HCA_ISC, 0);
	hca_verbs_store(&d->verbs, eq, HCA_IMMEDIATE, 1);
	hca_verbs_store(&d->verbs, eq, HCA_STATE, HCA_RUNNING);
	hca_verbs_store(&d->verbs, 0, HCA_EVENT_QUEUE, eq);
	hca_verbs_end(&d->verbs);
}

static void on_value(void *arg, int err, uint64_t value)
{
	*(uint64_t *)arg = err ? UINT64_MAX : value;
}

/* A hypervisor that resets the function gives config space back as it was, but
 * not what the adapter knew. */
static void on_verified(void *arg, int err, enum hca_status status)
{
	struct hca_driver *d = arg;

	if (err && err != -EPROTO)
		verbs_failed(d, err, status);
	else
		card_verified(&d->card, !err);
}

static void driver_verify(struct card *card)
{
	struct hca_driver *d = of(card);

	hca_verbs_begin(&d->verbs, &card->bar, on_verified, d);
	hca_verbs_do(&d->verbs, HCA_LOAD, HCA_STATE, (uint32_t)d->eq, 0, NULL);
	hca_verbs_end(&d->verbs);
}

/* After a reset the adapter has forgotten all that there was. */
static void driver_start(struct card *card)
{
	struct hca_driver *d = of(card);
	struct access *bar = &card->bar;
	unsigned i;
	int err;

	memset(d->events.entries, 0, BYTES);
	d->events.next = 0;
	for (i = 0; i < d->n_ports; i++)
		if (d->port[i])
			hca_port_forget(d->port[i]);
	err = access_read(bar, HCA_ID, 8, on_value, &d->id);
	if (!err)
		err = access_read(bar, HCA_PARTITION, 8, on_value,
				  &d->partition);
	if (err) {
		card_not_set_up(card, strerror(-err));
		return;
	}
	hca_verbs_begin(&d->verbs, bar, on_allocated, d);
	hca_verbs_do(&d->verbs, HCA_ALLOCATE, HCA_EQ, 0, 0, &d->eq);
	hca_verbs_end(&d->verbs);
}

static void on_delay_set(void *arg, int err, enum hca_status status)
{
	if (err)
		verbs_failed(arg, err, status);
}

void hca_set_delay(struct card *card, uint64_t delay_ns)
{
	struct hca_driver *d = of(card);
	struct hca_verbs *v = &d->delay;

	if (v->pending)
		return; /* one of two who want it at once has his way */
	hca_verbs_begin(v, &card->bar, on_delay_set, d);
	hca_verbs_store(v, (uint32_t)d->eq, HCA_DELAY, delay_ns / NS_PER_US);
	hca_verbs_store(v, (uint32_t)d->eq, HCA_IMMEDIATE, !delay_ns);
	hca_verbs_end(v);
}

static void driver_report(const struct card *card, json_t *row)
{
	const struct hca_driver *d = (const struct hca_driver *)card;
	json_t *more;

	more = json_pack("{s:o, s:I, s:I, s:I, s:I}", "detail",
			 json_sprintf("partition %u", hca_partition_of(card)),
			 "events", (json_int_t)d->taken, "late",
			 (json_int_t)d->late, "stray", (json_int_t)d->stray,
			 "refused", (json_int_t)d->refused);
	json_object_update(row, more);
	json_decref(more);
}

const struct card_ops hca_card = {
	.name = "hca",
	.vendor = HCA_VENDOR_ID,
	.device = HCA_VF_DEVICE,
	.size = sizeof(struct hca_driver),
	.init = driver_init,
	.start = driver_start,
	.verify = driver_verify,
	.interrupt = driver_interrupt,
	.fini = driver_fini,
	.report = driver_report,
};
