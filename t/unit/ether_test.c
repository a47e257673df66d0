/* ether_test.c - the idealised Ethernet card as a register machine. */
#include <config.h>

#include <string.h>

#include "libcore/ether.h"
#include "t/unit/unit.h"

#define MEMORY 65536u

static const uint8_t own[6] = { 0x02, 0x69, 0x6f, 0, 0, 0 };
#define OWN   0x0000006f6902ull
#define OTHER 0x0100006f6902ull

/* The card, its memory, and what it did. */
struct card {
	struct ether e;
	uint8_t memory[MEMORY];
	bool dma, irq;
	unsigned sent, taps, illegal, irqs;
	uint8_t frame[ETHER_FRAME_MAX];
	uint32_t size;
};

static void *on_memory(void *arg, uint64_t gpa, uint64_t size, bool write)
{
	struct card *c = arg;

	(void)write;
	return gpa < MEMORY && size <= MEMORY - gpa ? c->memory + gpa : NULL;
}

static bool on_may_dma(void *arg)
{
	return ((struct card *)arg)->dma;
}

static void on_send(void *arg, const uint8_t *frame, uint32_t size)
{
	struct card *c = arg;

	c->sent++;
	memcpy(c->frame, frame, size);
	c->size = size;
}

static void on_tap(void *arg, const uint8_t *frame, uint32_t size)
{
	(void)frame, (void)size;
	((struct card *)arg)->taps++;
}

static void on_irq(void *arg, bool level)
{
	struct card *c = arg;

	CHECK(level != c->irq);
	c->irq = level;
	c->irqs += level;
}

static void on_illegal(void *arg, enum ether_state state, enum ether_csr csr)
{
	(void)state, (void)csr;
	((struct card *)arg)->illegal++;
}

static const struct ether_ops ops = {
	.memory = on_memory,
	.may_dma = on_may_dma,
	.send = on_send,
	.tap = on_tap,
	.irq = on_irq,
	.illegal = on_illegal,
};

static void card_make(struct card *c)
{
	memset(c, 0, sizeof(*c));
	c->dma = true;
	CHECK_INT(ether_init(&c->e, own, &ops, c), 0);
}

static uint64_t status(struct card *c)
{
	return ether_read(&c->e, ETHER_STATUS);
}

/* A message of one number. */
static void send(struct card *c, uint64_t to, uint32_t number)
{
	memcpy(c->memory + 0x100 + ETHER_MESSAGE_MIN, &number, sizeof(number));
	CHECK(ether_write(&c->e, ETHER_CSR_A, 0x100));
	CHECK(ether_write(&c->e, ETHER_CSR_B,
			  ETHER_MESSAGE_MIN + sizeof(number)));
	CHECK(ether_write(&c->e, ETHER_CSR_C, to));
}

static void lend(struct card *c, uint64_t address, uint64_t length)
{
	CHECK(ether_write(&c->e, ETHER_RX_ADDRESS, address));
	CHECK(ether_write(&c->e, ETHER_RX_LENGTH, length));
}

static uint32_t number_at(const struct card *c, unsigned gpa)
{
	uint32_t number;

	memcpy(&number, c->memory + gpa + ETHER_ADDRESSES + ETHER_MESSAGE_MIN,
	       sizeof(number));
	return number;
}

static void test_send(void)
{
	static const uint8_t to[6] = { 0x02, 0x69, 0x6f, 0, 0, 1 };
	struct card c;

	card_make(&c);
	c.memory[0x100] = 0x88;
	c.memory[0x101] = 0xb5;
	CHECK_INT(ETHER_STATUS_STATE(status(&c)), ETHER_START);
	CHECK(ether_write(&c.e, ETHER_CSR_A, 0x100));
	CHECK_INT(ETHER_STATUS_STATE(status(&c)), ETHER_ADDRESS);
	CHECK(ether_write(&c.e, ETHER_CSR_B, 60));
	CHECK_INT(status(&c), ETHER_STATUS_READY | ETHER_LENGTH << 8);
	CHECK_INT(c.sent, 0);
	CHECK(ether_write(&c.e, ETHER_CSR_C, OTHER));
	CHECK_INT(c.sent, 1);
	CHECK_INT(c.size, 72);
	CHECK(!memcmp(c.frame, to, 6) && !memcmp(c.frame + 6, own, 6));
	CHECK_INT(c.frame[12] << 8 | c.frame[13], 0x88b5);
	CHECK_INT(status(&c),
		  ETHER_STATUS_READY | ETHER_STATUS_SENT | ETHER_START << 8);
	CHECK_INT(status(&c), ETHER_STATUS_READY | ETHER_START << 8);
	CHECK_INT(ether_read(&c.e, ETHER_SENT), 1);
	CHECK_INT(c.taps, 1);
	ether_fini(&c.e);
}

/* Bring the card into a state; the message of the end state has to wait. */
static void bring(struct card *c, enum ether_state state)
{
	ether_reset(&c->e);
	c->dma = false;
	if (state > ETHER_START)
		ether_write(&c->e, ETHER_CSR_A, 0x100);
	if (state > ETHER_ADDRESS)
		ether_write(&c->e, ETHER_CSR_B, 60);
	if (state > ETHER_LENGTH)
		ether_write(&c->e, ETHER_CSR_C, OTHER);
	CHECK_INT(c->e.state, state);
}

/* Every write in every state, against a table of its own. */
static void test_transitions(void)
{
	static const uint8_t after[ETHER_STATE_N][ETHER_CSR_N] = {
		[ETHER_START] = { ETHER_ADDRESS, ETHER_START, ETHER_START },
		[ETHER_ADDRESS] = { ETHER_START, ETHER_LENGTH, ETHER_START },
		[ETHER_LENGTH] = { ETHER_START, ETHER_START, ETHER_END },
		[ETHER_END] = { ETHER_END, ETHER_END, ETHER_END },
	};
	static const uint32_t csr[] = { ETHER_CSR_A, ETHER_CSR_B, ETHER_CSR_C };
	unsigned s, i, illegal;
	struct card c;

	card_make(&c);
	for (s = ETHER_START; s < ETHER_STATE_N; s++) {
		for (i = 0; i < ETHER_CSR_N; i++) {
			bring(&c, s);
			illegal = c.illegal;
			CHECK(ether_write(&c.e, csr[i], 64));
			CHECK_INT(c.e.state, after[s][i]);
			CHECK_INT(c.illegal - illegal, !ether_next[s][i]);
			CHECK_INT(!!(status(&c) & ETHER_STATUS_ILLEGAL),
				  !ether_next[s][i]);
			CHECK_INT(!!(status(&c) & ETHER_STATUS_READY),
				  c.e.state != ETHER_END);
		}
	}
	/* What waited in the end state is sent, and only that. */
	CHECK_INT(c.sent, 0);
	c.dma = true;
	ether_run(&c.e);
	CHECK_INT(c.sent, 1);
	CHECK_INT(c.size, 72);
	CHECK_INT(c.e.state, ETHER_START);
	ether_fini(&c.e);
}

static void test_bad_send(void)
{
	static const struct {
		uint64_t address, length;
	} bad[] = {
		{ 0x100, 0 },
		{ 0x100, ETHER_MESSAGE_MIN - 1 },
		{ 0x100, ETHER_MESSAGE_MAX + 1 },
		{ 0x100, UINT64_MAX },
		{ MEMORY, 60 },
		{ MEMORY - 59, 60 },
		{ UINT64_MAX - 3, 60 },
	};
	struct card c;
	unsigned i;

	card_make(&c);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ether_write(&c.e, ETHER_CSR_A, bad[i].address);
		ether_write(&c.e, ETHER_CSR_B, bad[i].length);
		ether_write(&c.e, ETHER_CSR_C, OTHER);
		CHECK_INT(status(&c), ETHER_STATUS_READY |
					      ETHER_STATUS_BAD_SEND |
					      ETHER_START << 8);
	}
	CHECK_INT(c.sent, 0);
	send(&c, OTHER, 1);
	CHECK_INT(c.sent, 1);
	CHECK(!ether_write(&c.e, ETHER_STATUS, 0));
	CHECK(!ether_write(&c.e, ETHER_REGS_SIZE, 0));
	CHECK_INT(ether_read(&c.e, ETHER_REGS_SIZE), 0);
	ether_fini(&c.e);
}

static void test_receive(void)
{
	struct card c;

	card_make(&c);
	ether_write(&c.e, ETHER_IRQ_ENABLE,
		    ETHER_STATUS_MESSAGE | ETHER_STATUS_BAD_RX);
	send(&c, OWN, 5);
	send(&c, OWN, 6);
	CHECK(!c.irq); /* no buffer is lent, and SENT is not enabled */
	lend(&c, 0x1000, 2048);
	CHECK(c.irq);
	CHECK_INT(number_at(&c, 0x1000), 5);
	CHECK_INT(ether_read(&c.e, ETHER_RX_SIZE),
		  ETHER_ADDRESSES + ETHER_MESSAGE_MIN + 4);
	CHECK_INT(ether_read(&c.e, ETHER_RX_LENGTH), 0);
	lend(&c, 0x2000, 2048); /* not before the first is acknowledged */
	CHECK_INT(ether_read(&c.e, ETHER_RX_LENGTH), 2048);
	CHECK(status(&c) & ETHER_STATUS_MESSAGE);
	CHECK(c.irq); /* the next one came at once */
	CHECK_INT(c.irqs, 2);
	CHECK_INT(number_at(&c, 0x2000), 6);
	CHECK(status(&c) & ETHER_STATUS_MESSAGE);
	CHECK(!c.irq);
	CHECK_INT(c.sent, 0); /* none of it left for the LAN */
	CHECK_INT(ether_read(&c.e, ETHER_RECEIVED), 2);
	ether_fini(&c.e);
}

static void test_filter(void)
{
	uint8_t frame[64] = { 0 };
	struct card c;

	card_make(&c);
	ether_receive(&c.e, frame, sizeof(frame)); /* somebody else's */
	memcpy(frame, own, 6);
	ether_receive(&c.e, frame, 13); /* no frame */
	CHECK_INT(c.e.stored, 0);
	ether_receive(&c.e, frame, sizeof(frame));
	memset(frame, 0xff, 6);
	ether_receive(&c.e, frame, sizeof(frame));
	CHECK_INT(c.e.stored, 2);
	lend(&c, 0x1000, 63); /* too short for either */
	CHECK(status(&c) & ETHER_STATUS_BAD_RX);
	CHECK_INT(ether_read(&c.e, ETHER_DROPPED), 2);
	CHECK_INT(ether_read(&c.e, ETHER_RX_LENGTH), 63);
	ether_receive(&c.e, frame, 63);
	CHECK(status(&c) & ETHER_STATUS_MESSAGE);
	ether_receive(&c.e, frame, 63);
	lend(&c, MEMORY - 62, 2048); /* no memory: kept, the buffer is not */
	CHECK(status(&c) & ETHER_STATUS_BAD_RX);
	CHECK_INT(ether_read(&c.e, ETHER_RX_LENGTH), 0);
	CHECK_INT(c.e.stored, 1);
	ether_write(&c.e, ETHER_MAC, OWN + 0x010000000000ull);
	ether_receive(&c.e, frame, 63);
	CHECK_INT(c.e.stored, 2);
	ether_write(&c.e, ETHER_MAC, 0); /* not even to all */
	ether_receive(&c.e, frame, 63);
	memset(frame, 0, 6);
	ether_receive(&c.e, frame, 63);
	CHECK_INT(c.e.stored, 2);
	ether_fini(&c.e);
}

/* A full store: the LAN's frames are lost, its own messages wait. */
static void test_full(void)
{
	uint8_t frame[64] = { 0xff };
	struct card c;
	unsigned i;

	card_make(&c);
	for (i = 0; i < ETHER_STORE; i++)
		send(&c, OWN, i);
	CHECK(status(&c) & ETHER_STATUS_READY);
	send(&c, OWN, i);
	CHECK(!(status(&c) & ETHER_STATUS_READY));
	ether_receive(&c.e, frame, sizeof(frame));
	CHECK(status(&c) & ETHER_STATUS_OVERRUN);
	for (i = 0; i <= ETHER_STORE; i++) {
		lend(&c, 0x1000, 2048);
		CHECK_INT(number_at(&c, 0x1000), i);
		CHECK(status(&c) & ETHER_STATUS_MESSAGE);
	}
	CHECK(status(&c) & ETHER_STATUS_READY);
	CHECK_INT(ether_read(&c.e, ETHER_DROPPED), 1);
	CHECK_INT(ether_read(&c.e, ETHER_SENT), ETHER_STORE + 1);
	ether_fini(&c.e);
}

static void test_reset(void)
{
	struct card c;

	card_make(&c);
	ether_write(&c.e, ETHER_IRQ_ENABLE, ~0ull);
	CHECK_INT(ether_read(&c.e, ETHER_IRQ_ENABLE), ETHER_STATUS_EVENTS);
	send(&c, OWN, 1);
	CHECK(c.irq);
	ether_write(&c.e, ETHER_CSR_A, 1);
	ether_write(&c.e, ETHER_MAC, OWN + 1);
	CHECK_INT(ether_read(&c.e, ETHER_MAC), OWN + 1);
	ether_reset(&c.e);
	CHECK(!c.irq);
	CHECK_INT(status(&c), ETHER_STATUS_READY | ETHER_START << 8);
	CHECK_INT(ether_read(&c.e, ETHER_CSR_A), 0);
	CHECK_INT(ether_read(&c.e, ETHER_IRQ_ENABLE), 0);
	CHECK_INT(ether_read(&c.e, ETHER_MAC), OWN);
	CHECK_INT(ether_read(&c.e, ETHER_SENT), 1);
	lend(&c, 0x1000, 2048);
	CHECK(!(status(&c) & ETHER_STATUS_MESSAGE));
	ether_fini(&c.e);
}

static const struct unit_case cases[] = {
	{ "send", test_send },         { "transitions", test_transitions },
	{ "bad_send", test_bad_send }, { "receive", test_receive },
	{ "filter", test_filter },     { "full", test_full },
	{ "reset", test_reset },       { NULL, NULL },
};

const struct unit_suite ether_suite = { "ether", cases };
