/* serial_message.h - characters of a serial line as messages of an Ethernet card
 * (iovkit-uart(7)): boundary of hvmon with the other end.  Pure.
 *
 * A message is what follows the addresses in its frame, numbers big endian:
 *
 *	0  EtherType, SERIAL_ETHERTYPE
 *	2  SERIAL_VERSION
 *	3  SERIAL_* flags: outputs of the sender, and what happened
 *	4  how many characters follow
 *	6  the sender's stream: another one each time that it begins anew; not 0
 *	8  the number of the first character in it, from 0
 *	12 the stream of the other end that the sender hears; 0: none yet
 *	14 the number of the character that it takes next from that one
 *	18 characters
 *
 * What follows the characters is padding.
 */
#ifndef IOVKIT_HVMON_SERIAL_MESSAGE_H
#define IOVKIT_HVMON_SERIAL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIAL_ETHERTYPE 0x88b5u /* IEEE 802: for local experiments */
#define SERIAL_VERSION   1u
#define SERIAL_HEADER    18u /* bytes, EtherType included */

enum {
	SERIAL_DTR = 0x01,   /* data terminal ready */
	SERIAL_RTS = 0x02,   /* request to send */
	SERIAL_BREAK = 0x04, /* a break began */
};

struct serial_message {
	uint8_t flags;
	uint16_t n; /* characters */
	uint16_t stream;
	uint32_t first;
	uint16_t heard;
	uint32_t taken;
};

/* Write the message's header to where SERIAL_HEADER bytes have room. */
void serial_message_put(uint8_t *to, const struct serial_message *m);
/* Read one of `size` bytes; false: it is none, or is cut off. */
bool serial_message_get(const uint8_t *from, size_t size,
			struct serial_message *m);

#endif
