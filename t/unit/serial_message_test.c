/* serial_message_test.c - unit tests of messages of a serial line. */
#include <config.h>

#include <string.h>

#include "cmd/hvmon/serial_message.h"
#include "t/unit/unit.h"

static const uint8_t bytes[] = {
	0x88, 0xb5, 0x01, 0x03, 0x00, 0x02, 0x12, 0x34, 0x00, 0x01,
	0x02, 0x03, 0x56, 0x78, 0x0a, 0x0b, 0x0c, 0x0d, 'h',  'i',
};

static void test_put(void)
{
	const struct serial_message m = {
		.flags = SERIAL_DTR | SERIAL_RTS,
		.n = 2,
		.stream = 0x1234,
		.first = 0x00010203,
		.heard = 0x5678,
		.taken = 0x0a0b0c0d,
	};
	uint8_t to[SERIAL_HEADER];

	serial_message_put(to, &m);
	CHECK(!memcmp(to, bytes, sizeof(to)));
}

static void test_get(void)
{
	struct serial_message m;

	CHECK(serial_message_get(bytes, sizeof(bytes), &m));
	CHECK_INT(m.flags, SERIAL_DTR | SERIAL_RTS);
	CHECK_INT(m.n, 2);
	CHECK_INT(m.stream, 0x1234);
	CHECK_INT(m.first, 0x00010203);
	CHECK_INT(m.heard, 0x5678);
	CHECK_INT(m.taken, 0x0a0b0c0d);
}

/* Another EtherType or version, no stream, characters that are not there. */
static void test_refused(void)
{
	static const unsigned at[] = { 1, 2, 5 };
	uint8_t bad[sizeof(bytes)];
	struct serial_message m;
	size_t i;

	for (i = 0; i < sizeof(at) / sizeof(*at); i++) {
		memcpy(bad, bytes, sizeof(bad));
		bad[at[i]]++;
		CHECK(!serial_message_get(bad, sizeof(bad), &m));
	}
	memcpy(bad, bytes, sizeof(bad));
	memset(bad + 6, 0, 2);
	CHECK(!serial_message_get(bad, sizeof(bad), &m));
	CHECK(!serial_message_get(bytes, sizeof(bytes) - 1, &m));
	CHECK(!serial_message_get(bytes, SERIAL_HEADER - 1, &m));
	/* Padding is not looked at. */
	memcpy(bad, bytes, sizeof(bad));
	bad[5] = 1;
	CHECK(serial_message_get(bad, sizeof(bad), &m));
	CHECK_INT(m.n, 1);
}

static const struct unit_case cases[] = {
	{ "put", test_put },
	{ "get", test_get },
	{ "refused", test_refused },
	{ NULL },
};

const struct unit_suite serial_message_suite = { "serial_message", cases };
