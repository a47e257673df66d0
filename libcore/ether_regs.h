/* ether_regs.h - registers of `iovdev --type ether`, the idealised Ethernet
 * card: boundary between the device and its drivers (iovkit-ether(7)).
 *
 * BAR 0: page 0 registers, page 2 MSI-X table, page 3 pending bits.  Registers
 * are 64 bits wide, little endian.  A write is of one whole register; a read
 * may be of any part of one.  A read of anything else gives 0, a write is
 * dropped and counted.
 */
#ifndef IOVKIT_ETHER_REGS_H
#define IOVKIT_ETHER_REGS_H

#define ETHER_VENDOR_ID 0x1b36 /* QEMU/Red Hat's, for emulated devices */
#define ETHER_DEVICE    0x10f2
#define ETHER_CLASS     0x020000
#define ETHER_BAR_SIZE  0x4000

/* A message is what follows the two addresses in its frame: EtherType and
 * data. */
#define ETHER_ADDRESSES   12
#define ETHER_MESSAGE_MIN 2
#define ETHER_MESSAGE_MAX 9006
#define ETHER_FRAME_MAX   (ETHER_ADDRESSES + ETHER_MESSAGE_MAX)

/* Three writes, in this order, send one message. */
#define ETHER_CSR_A 0x00 /* rw: its guest-physical address */
#define ETHER_CSR_B 0x08 /* rw: its length in bytes */
#define ETHER_CSR_C 0x10 /* rw: destination, byte 0 in bits 0-7; sends */

/* Reading it acknowledges what is in ETHER_STATUS_EVENTS: those bits are
 * cleared, and the interrupt with them. */
#define ETHER_STATUS          0x18
#define ETHER_STATUS_READY    0x01 /* no message waits to be sent */
#define ETHER_STATUS_MESSAGE  0x02 /* one lies in the receive buffer */
#define ETHER_STATUS_SENT     0x04 /* since the last read */
#define ETHER_STATUS_BAD_SEND 0x08 /* address or length: not sent */
#define ETHER_STATUS_ILLEGAL  0x10 /* no such transition: write dropped */
#define ETHER_STATUS_OVERRUN  0x20 /* a message came, and no room was left */
#define ETHER_STATUS_BAD_RX   0x40 /* receive buffer: no memory, too short */
#define ETHER_STATUS_EVENTS   0x7e
#define ETHER_STATUS_STATE(s) ((s) >> 8 & 0xf) /* enum ether_state */

/* Writing the length lends the buffer to the card, for one message; 0 takes
 * it back.  The message is the whole frame, addresses first. */
#define ETHER_RX_ADDRESS 0x20 /* rw: guest-physical */
#define ETHER_RX_LENGTH  0x28 /* rw: 0 when a message lies there */
#define ETHER_RX_SIZE    0x30 /* ro: of the last message */

/* Byte 0 in bits 0-7; 0: nothing is received.  A reset puts the permanent one
 * back. */
#define ETHER_MAC        0x38       /* rw */
#define ETHER_IRQ_ENABLE 0x40       /* rw: of ETHER_STATUS_EVENTS */
#define ETHER_ID         0x48       /* ro: ETHER_ID_VALUE */
#define ETHER_ID_VALUE   0x45564f49 /* "IOVE" */
#define ETHER_SENT       0x50       /* ro: counters since power on */
#define ETHER_RECEIVED   0x58
#define ETHER_DROPPED    0x60 /* overruns, and what fitted no buffer */
#define ETHER_REGS_SIZE  0x68

#endif
