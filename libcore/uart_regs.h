/* uart_regs.h - `iovdev --type uart`: what its drivers know besides the
 * registers of a 16550A, which <linux/serial_reg.h> names (iovkit-uart(7)).
 *
 * BAR 0: the eight byte-wide registers at 0, page 2 MSI-X table, page 3
 * pending bits.
 */
#ifndef IOVKIT_UART_REGS_H
#define IOVKIT_UART_REGS_H

#include <linux/serial_reg.h>

#define UART_VENDOR_ID 0x1b36 /* Red Hat's PCI serial port with one UART */
#define UART_DEVICE    0x0002
#define UART_CLASS     0x070002 /* serial, 16550 compatible */
#define UART_BAR_SIZE  0x4000
#define UART_REGS      8
#define UART_IIR_FIFOS 0xc0 /* they are there and enabled */
#define UART_FIFO      16
#define UART_CLOCK_HZ  1843200 /* baud = clock / 16 / divisor */

#endif
