/* uart_driver.c - the driver of a 16550A.
 *
 * Theory of operation.  One chain of steps serves the port.  IIR is read, and
 * when it has a reason, LSR: characters are read while it shows some, the
 * modem's status if that is the reason, the transmitter is filled if it is
 * empty, and IIR is read again until it has none.  Only then can the interrupt,
 * a message at each rise of a level, be waited for.  With polling the chain
 * begins with LSR, from a timer, and reads no IIR.
 *
 * When an access failed, the bytes whose writes did are sent once more when the
 * card is back.  While the card is held nothing is sent or programmed, but what
 * comes in is taken: whoever lets the card go waits for that.
 *
 * While the user has no room the receiver's interrupt is off; while he has
 * nothing to send, the transmitter's is.  After his last byte LSR is looked at
 * until the transmitter is empty.
 */
#include <config.h>

#include "cmd/guestd/uart_driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/guestd/card_hold.h"
#include "cmd/guestd/guestd.h"
#include "libcore/uart.h"

#define TRIGGER UART_FCR_TRIGGER_8
#define BURST   8u
#define POLL_NS (500 * NS_PER_US)
#define ABSENT  0xffu

struct uart_driver {
	struct card card;
	struct uart_mode mode, next_mode;
	const struct uart_user *user, *next_user; /* NULL: nobody */
	void *arg, *next_arg;
	/* the chain */
	void (*after)(struct uart_driver *d); /* all answers of the step came */
	unsigned pending;
	bool busy, again; /* it runs; once more */
	bool starts;      /* it ends the card's set-up */
	uint8_t iir, lsr, msr, ier;
	uint8_t data[UART_FIFO];
	unsigned n;
	bool empty;   /* nothing was left to pull */
	bool stalled; /* the user had no room */
	bool put_off; /* it may send when the card is not held any more */
	bool use_off; /* and have the next user */
	bool unsure;  /* accesses failed, or may not have been done */
	uint8_t out[UART_FIFO];  /* what is being sent */
	unsigned n_out, written; /* and how much was */
	struct loop_timer poll;
	struct loop_deferred use, wake, begin;
	uint64_t sent, received, errors;
};

static struct uart_driver *of(struct card *card)
{
	return (struct uart_driver *)card;
}

int uart_mode_parse(const char *text, struct uart_mode *mode,
		    struct complaint *c)
{
	static const struct {
		char letter;
		uint8_t lcr;
	} parities[] = {
		{ 'n', 0 },
		{ 'o', UART_LCR_PARITY },
		{ 'e', UART_LCR_PARITY | UART_LCR_EPAR },
	};
	size_t i;

	for (i = 0; i < sizeof(parities) / sizeof(*parities); i++)
		if (strlen(text) == 3 && text[1] == parities[i].letter &&
		    text[0] >= '5' && text[0] <= '8' &&
		    (text[2] == '1' || text[2] == '2')) {
			mode->lcr =
				(uint8_t)((text[0] - '5') | parities[i].lcr |
					  (text[2] == '2' ? UART_LCR_STOP : 0));
			return 0;
		}
	return complain(c, EINVAL,
			"'%.16s' is no mode: bits, n, e or o, stop bits, such "
			"as 8n1",
			text);
}

uint8_t uart_mode_mask(const struct uart_mode *mode)
{
	return (uint8_t)((1u << (5 + (mode->lcr & 3))) - 1);
}

static void deliver(struct uart_driver *d)
{
	unsigned n = d->n;

	d->n = 0;
	d->received += n;
	if (n && d->user)
		d->user->push(d->arg, d->data, n);
}

/* Accesses of a step; `after` follows when all are answered. */

static void chain_failed(struct uart_driver *d, const char *why)
{
	bool starts = d->starts;

	deliver(d);
	d->busy = d->starts = false;
	d->unsure = true;
	if (starts)
		card_not_set_up(&d->card, why);
	else
		card_lost(&d->card, why);
	card_rests(&d->card);
}

static void answered(struct uart_driver *d, int err)
{
	d->pending--;
	if (!d->busy)
		return; /* it failed meanwhile */
	if (err)
		chain_failed(d, strerror(-err));
	else if (!d->pending)
		d->after(d);
}

static void on_written(void *arg, int err, uint64_t value)
{
	(void)value;
	answered(arg, err);
}

static void on_iir(void *arg, int err, uint64_t value)
{
	((struct uart_driver *)arg)->iir = (uint8_t)value;
	answered(arg, err);
}

static void on_lsr(void *arg, int err, uint64_t value)
{
	((struct uart_driver *)arg)->lsr = (uint8_t)value;
	answered(arg, err);
}

static void on_msr(void *arg, int err, uint64_t value)
{
	((struct uart_driver *)arg)->msr = (uint8_t)value;
	answered(arg, err);
}

static void on_char(void *arg, int err, uint64_t value)
{
	struct uart_driver *d = arg;

	if (!err && d->busy)
		d->data[d->n++] = (uint8_t)value;
	answered(d, err);
}

static void on_sent(void *arg, int err, uint64_t value)
{
	struct uart_driver *d = arg;

	(void)value;
	if (!err && d->busy) {
		d->written++;
		d->sent++;
	}
	answered(d, err);
}

static void made(struct uart_driver *d, int err)
{
	d->pending += !err;
	if (err)
		chain_failed(d, strerror(-err));
}

static void write_register(struct uart_driver *d, unsigned reg, uint8_t value)
{
	made(d, access_write(&d->card.bar, reg, 1, value, on_written, d));
}

static void read_register(struct uart_driver *d, unsigned reg, access_fn *fn)
{
	made(d, access_read(&d->card.bar, reg, 1, fn, d));
}

static void set_ier(struct uart_driver *d, uint8_t ier)
{
	d->ier = d->mode.polling ? 0 : ier;
	write_register(d, UART_IER, d->ier);
}

/* The chain's steps. */

static void ask_reason(struct uart_driver *d);
static void ask_status(struct uart_driver *d);

static void on_poll(void *arg);

/* The card is held until the transmitter is empty. */
static bool drains(const struct uart_driver *d)
{
	return d->card.hold.call && d->card.hold.drained &&
	       !(d->lsr & UART_LSR_TEMT);
}

/* There is nothing to do now. */
static void rest(struct uart_driver *d)
{
	bool again = d->again;

	d->busy = d->again = false;
	card_rests(&d->card);
	if (!d->user)
		return;
	if (d->empty && d->lsr & UART_LSR_TEMT) {
		d->empty = false;
		d->user->drained(d->arg);
	}
	if (again)
		loop_defer(d->card.guest->program.loop, &d->begin, on_poll, d);
	else if (d->mode.polling || d->empty || drains(d))
		loop_timer_in(d->card.guest->program.loop, &d->poll, POLL_NS,
			      on_poll, d);
}

/* What is to be sent, if nothing is left that was not. */
static void pull(struct uart_driver *d)
{
	if (d->written < d->n_out || !d->user)
		return;
	d->written = 0;
	d->n_out = (unsigned)d->user->pull(d->arg, d->out, sizeof(d->out));
}

/* The transmitter is empty: up to a FIFO full. */
static void fill(struct uart_driver *d)
{
	unsigned i;

	pull(d);
	d->empty = d->written == d->n_out;
	d->after = d->mode.polling ? ask_status : ask_reason;
	if (!d->empty)
		d->lsr = 0;
	for (i = d->written; i < d->n_out; i++)
		made(d, access_write(&d->card.bar, UART_TX, 1, d->out[i],
				     on_sent, d));
	if (d->empty && d->ier & UART_IER_THRI)
		set_ier(d, d->ier & (uint8_t)~UART_IER_THRI);
	else if (d->empty)
		rest(d);
}

static void look_at_transmitter(struct uart_driver *d)
{
	bool wants = d->mode.polling ? !d->empty : d->ier & UART_IER_THRI;

	wants = wants && d->lsr & UART_LSR_THRE;
	d->put_off |= wants && d->card.hold.on;
	if (wants && !d->card.hold.on)
		fill(d);
	else if (d->mode.polling || (d->iir & 0xf) == UART_IIR_NO_INT)
		rest(d);
	else
		ask_reason(d);
}

static void look_at_modem(struct uart_driver *d)
{
	d->after = look_at_transmitter;
	if (!d->mode.polling && (d->iir & 0xf) == UART_IIR_MSI)
		read_register(d, UART_MSR, on_msr);
	else
		look_at_transmitter(d);
}

/* Nobody was there any more: what reads as all ones is no character. */
static void drop_refused(struct uart_driver *d)
{
	while (d->n && d->data[d->n - 1] == ABSENT)
		d->n--;
}

/* At its interrupt the receiver holds at least the trigger's characters. */
static void look_at_receiver(struct uart_driver *d)
{
	unsigned i, n = 1;

	if (d->lsr == ABSENT) {
		drop_refused(d);
		chain_failed(d, "refused");
		return;
	}
	deliver(d);
	d->errors += !!(d->lsr & (UART_LSR_OE | UART_LSR_PE | UART_LSR_FE |
				  UART_LSR_BI));
	if (!(d->lsr & UART_LSR_DR)) {
		look_at_modem(d);
		return;
	}
	d->stalled = !d->user || d->user->room(d->arg) < UART_FIFO;
	if (d->stalled) {
		d->after = look_at_modem;
		set_ier(d, d->ier & (uint8_t)~UART_IER_RDI);
		return;
	}
	if (!d->mode.polling && (d->iir & 0xf) == UART_IIR_RDI)
		n = BURST;
	d->iir = UART_IIR_RX_TIMEOUT; /* no second burst without asking */
	for (i = 0; i < n; i++)
		read_register(d, UART_RX, on_char);
	d->after = look_at_receiver;
	read_register(d, UART_LSR, on_lsr);
}

static void ask_status(struct uart_driver *d)
{
	d->after = look_at_receiver;
	read_register(d, UART_LSR, on_lsr);
}

static void take_reason(struct uart_driver *d)
{
	if (d->iir == ABSENT)
		chain_failed(d, "refused");
	else if ((d->iir & 0xf) == UART_IIR_NO_INT && !d->empty && !drains(d))
		rest(d);
	else
		ask_status(d);
}

static void ask_reason(struct uart_driver *d)
{
	d->after = take_reason;
	read_register(d, UART_IIR, on_iir);
}

/* The transmitter's interrupt comes when it is enabled. */
static void woken(struct uart_driver *d)
{
	loop_timer_cancel(&d->poll);
	d->busy = true;
	d->after = d->mode.polling ? ask_status : ask_reason;
	d->stalled = d->empty = d->unsure = false;
	if (d->ier & UART_IER_THRI)
		set_ier(d, 0);
	set_ier(d, UART_IER_RDI | UART_IER_RLSI | UART_IER_MSI | UART_IER_THRI);
}

static void begin(struct uart_driver *d)
{
	d->again = d->busy;
	if (d->busy || d->card.state != CARD_UP)
		return;
	if (d->unsure && d->user && !d->card.hold.on) {
		woken(d);
		return;
	}
	loop_timer_cancel(&d->poll);
	d->busy = true;
	d->iir = UART_IIR_NO_INT;
	if (d->mode.polling)
		ask_status(d);
	else
		ask_reason(d);
}

static void on_poll(void *arg)
{
	begin(arg);
}

static void driver_interrupt(struct card *card)
{
	begin(of(card));
}

static void driver_back(struct card *card)
{
	of(card)->unsure = true;
}

/* The user. */

static void on_wake(void *arg)
{
	struct uart_driver *d = arg;

	if (d->busy) {
		loop_defer(d->card.guest->program.loop, &d->wake, on_wake, d);
		return;
	}
	d->put_off |= d->card.hold.on;
	if (d->card.state == CARD_UP && d->user && !d->card.hold.on)
		woken(d);
}

void uart_kick(struct card *card)
{
	struct uart_driver *d = of(card);

	loop_defer(card->guest->program.loop, &d->wake, on_wake, d);
}

/* Set-up: mode, FIFOs, and what interrupts. */

static void is_programmed(struct uart_driver *d)
{
	if (d->starts) {
		d->busy = d->starts = false;
		card_up(&d->card);
	} else {
		ask_status(d);
	}
}

static void program(struct uart_driver *d)
{
	const struct uart_mode *m = &d->mode;
	uint8_t mcr = UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2;

	d->busy = true;
	d->after = is_programmed;
	d->n = 0;
	write_register(d, UART_LCR, m->lcr | UART_LCR_DLAB);
	write_register(d, UART_DLL, (uint8_t)m->divisor);
	write_register(d, UART_DLM, (uint8_t)(m->divisor >> 8));
	write_register(d, UART_LCR, m->lcr);
	write_register(d, UART_FCR, UART_FCR_ENABLE_FIFO | TRIGGER);
	write_register(d, UART_MCR, mcr | (m->loop ? UART_MCR_LOOP : 0));
	set_ier(d, d->user ? UART_IER_RDI | UART_IER_RLSI | UART_IER_MSI |
				     UART_IER_THRI
			   : 0);
}

static void driver_start(struct card *card)
{
	struct uart_driver *d = of(card);

	d->again = d->empty = d->stalled = d->unsure = false;
	d->n_out = d->written = 0;
	d->starts = true;
	program(d);
}

/* Not in the middle of a chain. */
static void on_use(void *arg)
{
	struct uart_driver *d = arg;

	if (d->busy) {
		loop_defer(d->card.guest->program.loop, &d->use, on_use, d);
		return;
	}
	d->use_off = d->card.hold.on;
	if (d->use_off)
		return;
	d->mode = d->next_mode;
	d->n_out = d->written = 0;
	d->user = d->next_user;
	d->arg = d->next_arg;
	d->empty = d->stalled = false;
	if (d->card.state == CARD_UP)
		program(d);
}

void uart_use(struct card *card, const struct uart_mode *mode,
	      const struct uart_user *user, void *arg)
{
	struct uart_driver *d = of(card);

	d->user = NULL;
	d->next_user = user;
	d->next_arg = arg;
	if (mode)
		d->next_mode = *mode;
	loop_timer_cancel(&d->poll);
	loop_defer(card->guest->program.loop, &d->use, on_use, d);
}

static int driver_init(struct card *card)
{
	of(card)->mode = (struct uart_mode)UART_MODE_DEFAULT;
	of(card)->next_mode = of(card)->mode;
	return 0;
}

static void driver_fini(struct card *card)
{
	loop_timer_cancel(&of(card)->poll);
	loop_defer_cancel(&of(card)->use);
	loop_defer_cancel(&of(card)->wake);
	loop_defer_cancel(&of(card)->begin);
}

/* Until then nothing of it is sent; receiving goes on. */
static bool driver_rests(const struct card *card, bool drained)
{
	const struct uart_driver *d = (const struct uart_driver *)card;

	return card->state != CARD_UP ||
	       (!d->busy && (!drained || d->lsr & UART_LSR_TEMT));
}

static void driver_go_on(struct card *card)
{
	struct uart_driver *d = of(card);
	struct loop *loop = card->guest->program.loop;

	if (d->use_off)
		loop_defer(loop, &d->use, on_use, d);
	else if (d->put_off || d->unsure)
		loop_defer(loop, &d->wake, on_wake, d);
	d->put_off = d->use_off = false;
}

static void driver_report(const struct card *card, json_t *row)
{
	const struct uart_driver *d = (const struct uart_driver *)card;
	json_t *more;

	more = json_pack("{s:o, s:I, s:I, s:I}", "detail",
			 json_sprintf("lcr 0x%02x, divisor %u%s", d->mode.lcr,
				      d->mode.divisor,
				      d->mode.polling ? ", polling" : ""),
			 "sent", (json_int_t)d->sent, "received",
			 (json_int_t)d->received, "errors",
			 (json_int_t)d->errors);
	json_object_update(row, more);
	json_decref(more);
}

const struct card_ops uart_card = {
	.name = "uart",
	.vendor = UART_VENDOR_ID,
	.device = UART_DEVICE,
	.size = sizeof(struct uart_driver),
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
