/* ether_card.c - `--type ether`: the idealised Ethernet card (iovkit-ether(7))
 * as a device with one function and one LAN.
 *
 * What it does is libcore/ether.c; here it gets its config space, memory,
 * LAN and interrupt.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "cmd/iovdev/interrupt_line.h"
#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/wide_registers.h"
#include "libcore/ether.h"

static struct function *pf_of(void *arg)
{
	return ((struct nic *)arg)->pf;
}

static void *on_memory(void *arg, uint64_t gpa, uint64_t size, bool write)
{
	struct function *f = pf_of(arg);

	if (!function_check_memory(f))
		return NULL;
	return guest_memory_at(&f->memory, gpa, size,
			       write ? GUEST_WRITE : GUEST_READ);
}

static bool on_may_dma(void *arg)
{
	return function_bme(pf_of(arg));
}

static void on_send(void *arg, const uint8_t *data, uint32_t size)
{
	struct nic *nic = arg;
	struct frame frame;

	if (!nic->uplink)
		return;
	frame_init(&frame, data, size);
	nic->uplink->send(nic->uplink, &frame);
}

static void on_tap(void *arg, const uint8_t *data, uint32_t size)
{
	struct function *f = pf_of(arg);
	struct frame frame;

	frame_init(&frame, data, size);
	capture_frame(f, &frame);
}

static void on_irq(void *arg, bool level)
{
	interrupt_line_set(pf_of(arg), level);
}

static void on_illegal(void *arg, enum ether_state state, enum ether_csr csr)
{
	struct nic *nic = arg;
	uint64_t suppressed;
	char name[2] = { (char)('A' + csr), '\0' };

	if (function_tells(nic->pf, &suppressed))
		event(nic->log, "ether.illegal", "s:s, s:i, s:s, s:I",
		      "function", nic->pf->name, "state", (int)state, "csr",
		      name, "suppressed", (json_int_t)suppressed);
}

static const struct ether_ops ops = {
	.memory = on_memory,
	.may_dma = on_may_dma,
	.send = on_send,
	.tap = on_tap,
	.irq = on_irq,
	.illegal = on_illegal,
};

static int start(struct nic *nic, struct complaint *c)
{
	struct ether *e = calloc(1, sizeof(*e));

	nic->card = e;
	if (!e || ether_init(e, nic->pf->mac, &ops, nic))
		return complain(c, ENOMEM, "no memory");
	return uplink_open(&nic->uplink, nic, nic->options->lan, c);
}

static void stop(struct nic *nic)
{
	struct ether *e = nic->card;

	uplink_close(nic->uplink);
	if (e)
		ether_fini(e);
	free(e);
	nic->card = NULL;
}

static uint64_t read_one(struct function *f, uint32_t offset)
{
	return ether_read(f->nic->card, offset);
}

static bool write_one(struct function *f, uint32_t offset, uint64_t value)
{
	return ether_write(f->nic->card, offset, value);
}

static void reset(struct function *f)
{
	ether_reset(f->nic->card);
}

static void reaches(struct function *f)
{
	ether_run(f->nic->card);
}

static void from_lan(struct nic *nic, const struct frame *frame)
{
	ether_receive(nic->card, frame->data, frame->size);
}

static json_t *ether_rows(void *arg)
{
	const struct nic *nic = arg;
	const struct ether *e = nic->card;
	json_t *rows = json_array();

	json_array_append_new(
		rows,
		json_pack("{s:s, s:i, s:I, s:I, s:i, s:b, s:I, s:I, s:I, s:I}",
			  "function", nic->pf->name, "state", (int)e->state,
			  "status", (json_int_t)e->status, "rx_length",
			  (json_int_t)e->rx_length, "stored", (int)e->stored,
			  "irq", e->irq, "sent", (json_int_t)e->sent,
			  "received", (json_int_t)e->received, "dropped",
			  (json_int_t)e->dropped, "refused",
			  (json_int_t)nic->pf->refused));
	return rows;
}

static const struct control_column ether_columns[] = {
	{ "function", "FUNCTION" },
	{ "state", "STATE" },
	{ "status", "STATUS" },
	{ "rx_length", "LENT" },
	{ "stored", "STORED" },
	{ "irq", "IRQ" },
	{ "sent", "SENT" },
	{ "received", "RECEIVED" },
	{ "dropped", "DROPPED" },
	{ "refused", "REFUSED" },
	{ NULL, NULL },
};

static const struct control_table tables[] = {
	{ "device-ether", "the card's state and counters", ether_columns,
	  ether_rows },
	{ NULL, NULL, NULL, NULL },
};

const struct device_type ether_type = {
	.name = "ether",
	.has_lan = true,
	.vendor = ETHER_VENDOR_ID,
	.device = ETHER_DEVICE,
	.class_code = ETHER_CLASS,
	.bar_size = ETHER_BAR_SIZE,
	.vectors = 1,
	.intx = true,
	.tables = tables,
	.start = start,
	.stop = stop,
	.read = wide_registers_read,
	.write = wide_registers_write,
	.wide = { read_one, write_one },
	.reset = reset,
	.reaches = reaches,
	.from_lan = from_lan,
};
