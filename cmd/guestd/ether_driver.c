/* ether_driver.c - the driver of the idealised Ethernet card.
 *
 * Theory of operation.  One message is on its way at a time: its three writes
 * go out together, and the card's interrupt says when it is sent.  The status,
 * which a read acknowledges, is read by one chain: read, hand over what was
 * received, lend the buffer again, and once more if an interrupt came
 * meanwhile.  A card that was reset has forgotten the message; it is sent
 * again.
 *
 * When an access failed, nobody knows whether it was done, nor what became of
 * those just before the card was away.  When the card is back, a chain that began
 * after that tells: the length that is lent is read first, then the status.  A
 * buffer that is still lent is not lent a second time, and a message that may be
 * on its way is not sent a second time: the card would use the one buffer too
 * many while we fill or read it.  Until then no new message is issued.
 */
#include <config.h>

#include "cmd/guestd/ether_driver.h"

#include <errno.h>
#include <string.h>

#include "cmd/guestd/card_hold.h"
#include "cmd/guestd/guestd.h"
#include "libcore/ether.h"

#define BUFFER_BYTES 16384u /* of each direction; more than any frame */
#define IRQS                                                                \
	(ETHER_STATUS_MESSAGE | ETHER_STATUS_SENT | ETHER_STATUS_BAD_SEND | \
	 ETHER_STATUS_ILLEGAL | ETHER_STATUS_BAD_RX)

struct ether_driver {
	struct card card;
	uint64_t tx_gpa, rx_gpa;
	uint8_t *tx, *rx;
	uint8_t mac[MAC_SIZE];
	/* the message that is on its way */
	bool sending;
	bool issued;
	bool put_off; /* until the card is not held any more */
	uint64_t size, to;
	ether_sent_fn *sent;
	void *arg;
	/* the chain */
	bool busy, again;
	bool unsure;   /* accesses failed, or may not have been done */
	bool asks;     /* this chain began after that, to be sure again */
	bool set_back; /* we wrote what has no transition */
	uint64_t lent; /* before the status was read */
	uint64_t id, mac_value, status;
	uint64_t messages, received, illegal, refused, overruns;
};

static struct ether_driver *of(struct card *card)
{
	return (struct ether_driver *)card;
}

static int take_buffer(struct guest *g, uint64_t *gpa, uint8_t **hva)
{
	int err = memory_pool_take(&g->memory, BUFFER_BYTES, gpa);

	if (err)
		return err;
	*hva = guest_memory_at(&g->bus.memory, *gpa, BUFFER_BYTES,
			       GUEST_READ | GUEST_WRITE);
	return *hva ? 0 : -ENOMEM;
}

static int driver_init(struct card *card)
{
	struct ether_driver *d = of(card);
	int err = take_buffer(card->guest, &d->tx_gpa, &d->tx);

	return err ? err : take_buffer(card->guest, &d->rx_gpa, &d->rx);
}

static void driver_fini(struct card *card)
{
	struct ether_driver *d = of(card);
	struct memory_pool *pool = &card->guest->memory;

	if (d->tx_gpa)
		memory_pool_give(pool, d->tx_gpa, BUFFER_BYTES);
	if (d->rx_gpa)
		memory_pool_give(pool, d->rx_gpa, BUFFER_BYTES);
}

/* Accesses. */

static const char *why_lost(int err)
{
	return err ? strerror(-err) : "refused";
}

static void lost(struct ether_driver *d, int err)
{
	d->unsure = true;
	d->asks = false;
	card_lost(&d->card, why_lost(err));
}

/* What could not be done ends in card_lost(), once. */
static void check(struct ether_driver *d, int err)
{
	if (err)
		lost(d, err);
}

static void on_written(void *arg, int err, uint64_t value)
{
	(void)value;
	check(arg, err);
}

static void write_register(struct ether_driver *d, uint32_t offset,
			   uint64_t value)
{
	check(d, access_write(&d->card.bar, offset, 8, value, on_written, d));
}

/* Sending. */

static void issue(struct ether_driver *d)
{
	d->issued = true;
	write_register(d, ETHER_CSR_A, d->tx_gpa);
	write_register(d, ETHER_CSR_B, d->size);
	write_register(d, ETHER_CSR_C, d->to);
}

/* If it need not wait: for the card, for whoever holds it, or to be sure. */
static void try_to_issue(struct ether_driver *d)
{
	if (d->sending && !d->issued && !d->put_off && !d->unsure &&
	    d->card.state == CARD_UP)
		issue(d);
}

/* A sequence that somebody left unfinished. */
static void set_back(struct ether_driver *d, uint64_t status)
{
	if (ETHER_STATUS_STATE(status) != ETHER_ADDRESS &&
	    ETHER_STATUS_STATE(status) != ETHER_LENGTH)
		return;
	d->set_back = true;
	write_register(d, ETHER_CSR_A, 0);
}

const uint8_t *ether_mac(const struct card *card)
{
	return ((const struct ether_driver *)card)->mac;
}

int ether_send(struct card *card, const uint8_t *frame, uint32_t size,
	       ether_sent_fn *sent, void *arg)
{
	struct ether_driver *d = of(card);
	unsigned i;

	if (d->sending)
		return -EBUSY;
	if (size < ETHER_ADDRESSES || size > ETHER_FRAME_MAX)
		return -EINVAL;
	d->to = 0;
	for (i = MAC_SIZE; i--;)
		d->to = d->to << 8 | frame[i];
	d->size = size - ETHER_ADDRESSES;
	memcpy(d->tx, frame + ETHER_ADDRESSES, d->size);
	d->sending = true;
	d->issued = false;
	d->sent = sent;
	d->arg = arg;
	d->put_off = card->hold.on;
	try_to_issue(d);
	return 0;
}

void ether_forget(struct card *card)
{
	of(card)->sent = NULL;
}

static void message_over(struct ether_driver *d, int err)
{
	ether_sent_fn *sent = d->sent;

	d->sending = false;
	d->sent = NULL;
	d->messages += !err;
	d->refused += err != 0;
	card_rests(&d->card);
	if (sent)
		sent(d->arg, err);
}

/* The chain. */

static void look(struct ether_driver *d);

/* A read of the chain, which ends where it cannot be made. */
static void chain_read(struct ether_driver *d, uint32_t offset, access_fn *fn)
{
	int err = access_read(&d->card.bar, offset, 8, fn, d);

	if (!err)
		return;
	d->busy = false;
	lost(d, err);
}

static void chain_over(struct ether_driver *d)
{
	d->busy = false;
	if (d->again && d->card.state == CARD_UP)
		look(d);
}

static void on_size(void *arg, int err, uint64_t size)
{
	struct ether_driver *d = arg;

	if (err || size > BUFFER_BYTES) {
		d->busy = false;
		lost(d, err);
		return;
	}
	d->received++;
	workloads_message(d->card.guest, &d->card, d->mac, d->rx,
			  (uint32_t)size);
	write_register(d, ETHER_RX_LENGTH, BUFFER_BYTES);
	chain_over(d);
}

/* The card is back: go on from where it is. */
static void make_sure(struct ether_driver *d, uint64_t status)
{
	d->unsure = d->asks = false;
	set_back(d, status);
	if (d->sending && !d->put_off &&
	    (!d->issued || ETHER_STATUS_STATE(status) != ETHER_END))
		issue(d);
	if (!d->lent &&
	    !(status & (ETHER_STATUS_MESSAGE | ETHER_STATUS_BAD_RX)))
		write_register(d, ETHER_RX_LENGTH, BUFFER_BYTES);
}

static void on_status(void *arg, int err, uint64_t status)
{
	struct ether_driver *d = arg;

	if (err || status == UINT64_MAX) {
		d->busy = false;
		lost(d, err);
		return;
	}
	if (status & ETHER_STATUS_ILLEGAL && d->set_back) {
		d->set_back = false;
		status &= ~(uint64_t)ETHER_STATUS_ILLEGAL;
	}
	d->illegal += !!(status & ETHER_STATUS_ILLEGAL);
	d->overruns += !!(status & ETHER_STATUS_OVERRUN);
	if (d->sending && status & ETHER_STATUS_SENT)
		message_over(d, 0);
	else if (d->sending && status & ETHER_STATUS_BAD_SEND)
		message_over(d, -EINVAL);
	else if (d->sending && status & ETHER_STATUS_ILLEGAL && !d->unsure)
		issue(d);
	if (d->asks)
		make_sure(d, status);
	d->again |= d->unsure;
	if (!(status & (ETHER_STATUS_MESSAGE | ETHER_STATUS_BAD_RX))) {
		chain_over(d);
		return;
	}
	if (!(status & ETHER_STATUS_MESSAGE)) {
		write_register(d, ETHER_RX_LENGTH, BUFFER_BYTES);
		chain_over(d);
		return;
	}
	chain_read(d, ETHER_RX_SIZE, on_size);
}

static void on_lent(void *arg, int err, uint64_t length)
{
	struct ether_driver *d = arg;

	d->lent = length;
	if (err || length == UINT64_MAX)
		lost(d, err);
}

static void look(struct ether_driver *d)
{
	d->again = d->busy;
	if (d->busy)
		return;
	d->busy = true;
	d->asks = d->unsure;
	if (d->asks)
		check(d, access_read(&d->card.bar, ETHER_RX_LENGTH, 8, on_lent,
				     d));
	chain_read(d, ETHER_STATUS, on_status);
}

static void driver_interrupt(struct card *card)
{
	look(of(card));
}

static void driver_back(struct card *card)
{
	of(card)->unsure = true;
}

/* Set-up. */

static void keep_mac(struct ether_driver *d)
{
	unsigned i;

	for (i = 0; i < MAC_SIZE; i++)
		d->mac[i] = (uint8_t)(d->mac_value >> 8 * i);
}

static void on_started(void *arg, int err, uint64_t status)
{
	struct ether_driver *d = arg;

	if (err || status == UINT64_MAX) {
		d->unsure = true;
		card_not_set_up(&d->card, why_lost(err));
		return;
	}
	if (d->id != ETHER_ID_VALUE) {
		card_failed(&d->card, "its registers are no Ethernet card's");
		return;
	}
	keep_mac(d);
	set_back(d, status);
	write_register(d, ETHER_RX_ADDRESS, d->rx_gpa);
	write_register(d, ETHER_RX_LENGTH, BUFFER_BYTES);
	write_register(d, ETHER_IRQ_ENABLE, IRQS);
	if (d->sending && !d->put_off)
		issue(d);
	card_up(&d->card);
}

static void on_value(void *arg, int err, uint64_t value)
{
	*(uint64_t *)arg = err ? 0 : value;
}

static void driver_start(struct card *card)
{
	struct ether_driver *d = of(card);
	struct access *bar = &card->bar;
	int err;

	d->busy = d->again = d->unsure = d->asks = d->set_back = false;
	err = access_read(bar, ETHER_ID, 8, on_value, &d->id);
	if (!err)
		err = access_read(bar, ETHER_MAC, 8, on_value, &d->mac_value);
	if (!err)
		err = access_read(bar, ETHER_STATUS, 8, on_started, d);
	if (err)
		on_started(d, err, 0);
}

/* The writes of a sequence leave together. */
static bool driver_rests(const struct card *card, bool drained)
{
	const struct ether_driver *d = (const struct ether_driver *)card;

	return !drained || !d->sending || d->put_off;
}

static void driver_go_on(struct card *card)
{
	struct ether_driver *d = of(card);

	d->put_off = false;
	try_to_issue(d);
}

static void driver_report(const struct card *card, json_t *row)
{
	const struct ether_driver *d = (const struct ether_driver *)card;
	char mac[MAC_TEXT_MAX];
	json_t *more;

	more = json_pack(
		"{s:s, s:I, s:I, s:I, s:I, s:I}", "detail",
		mac_format(mac, d->mac), "sent", (json_int_t)d->messages,
		"received", (json_int_t)d->received, "refused",
		(json_int_t)d->refused, "illegal", (json_int_t)d->illegal,
		"overruns", (json_int_t)d->overruns);
	json_object_update(row, more);
	json_decref(more);
}

const struct card_ops ether_card = {
	.name = "ether",
	.vendor = ETHER_VENDOR_ID,
	.device = ETHER_DEVICE,
	.size = sizeof(struct ether_driver),
	.whole = true,
	.init = driver_init,
	.start = driver_start,
	.interrupt = driver_interrupt,
	.back = driver_back,
	.fini = driver_fini,
	.rests = driver_rests,
	.go_on = driver_go_on,
	.report = driver_report,
};
