/* serial_message.c - characters of a serial line as messages of an Ethernet
 * card. */
#include <config.h>

#include "cmd/hvmon/serial_message.h"

#include <endian.h>
#include <string.h>

static void put16(uint8_t *to, uint16_t value)
{
	value = htobe16(value);
	memcpy(to, &value, sizeof(value));
}

static void put32(uint8_t *to, uint32_t value)
{
	value = htobe32(value);
	memcpy(to, &value, sizeof(value));
}

static uint16_t get16(const uint8_t *from)
{
	uint16_t value;

	memcpy(&value, from, sizeof(value));
	return be16toh(value);
}

static uint32_t get32(const uint8_t *from)
{
	uint32_t value;

	memcpy(&value, from, sizeof(value));
	return be32toh(value);
}

void serial_message_put(uint8_t *to, const struct serial_message *m)
{
	put16(to, SERIAL_ETHERTYPE);
	to[2] = SERIAL_VERSION;
	to[3] = m->flags;
	put16(to + 4, m->n);
	put16(to + 6, m->stream);
	put32(to + 8, m->first);
	put16(to + 12, m->heard);
	put32(to + 14, m->taken);
}

bool serial_message_get(const uint8_t *from, size_t size,
			struct serial_message *m)
{
	if (size < SERIAL_HEADER || get16(from) != SERIAL_ETHERTYPE ||
	    from[2] != SERIAL_VERSION || !get16(from + 6) ||
	    get16(from + 4) > size - SERIAL_HEADER)
		return false;
	*m = (struct serial_message){
		.flags = from[3],
		.n = get16(from + 4),
		.stream = get16(from + 6),
		.first = get32(from + 8),
		.heard = get16(from + 12),
		.taken = get32(from + 14),
	};
	return true;
}
