/* nic_regs.h - registers of `iovdev --type nic`: boundary between the device
 * and its drivers (iovkit-nic(7)).
 *
 * BAR 0 of a VF: page 0 registers, page 1 doorbells, page 2 MSI-X table, page
 * 3 pending bits.  BAR 0 of the PF has the same four pages, then one block of
 * NIC_PF_VF_SIZE bytes for each VF, then the window of states.  Registers are 32 bits wide, little
 * endian; an aligned access of several is one to each of them, in order.  A
 * read of anything else gives 0, a write is dropped and, unless it is wider
 * than NIC_WIDE bytes, counted.
 */
#ifndef IOVKIT_NIC_REGS_H
#define IOVKIT_NIC_REGS_H

#define NIC_VENDOR_ID   0x1b36 /* QEMU/Red Hat's, for emulated devices */
#define NIC_PF_DEVICE   0x10f0
#define NIC_VF_DEVICE   0x10f1
#define NIC_CLASS       0x020000

#define NIC_VF_MAX      64
#define NIC_VF_BAR_SIZE 0x4000
#define NIC_PF_BAR_SIZE 0x10000
#define NIC_WIDE        8
#define NIC_FRAME_MIN   14
#define NIC_FRAME_MAX   9018 /* 9000 + Ethernet header, no FCS */

/* Page 0, every function. */
#define NIC_ID             0x000      /* ro: NIC_ID_VALUE */
#define NIC_ID_VALUE       0x4e564f49 /* "IOVN" */
#define NIC_VERSION        0x004      /* ro: 1 */
#define NIC_STATUS         0x008      /* ro: NIC_STATUS_* */
#define NIC_STATUS_LINK_UP 0x1
#define NIC_SCRATCH        0x00c /* rw, for tests */
#define NIC_MAC_LOW        0x010 /* ro: bytes 0-3 */
#define NIC_MAC_HIGH       0x014 /* ro: bytes 4-5 */
#define NIC_RESETS         0x018 /* ro: resets since power on */
#define NIC_COMPLETION     0x01c /* rw: vector | NIC_COMPLETION_ARM; see below */
#define NIC_COMPLETION_ARM 0x80000000u
#define NIC_BANDWIDTH_MAX  0x020 /* PF, ro, 64 bit: bit/s, 0 unlimited */
#define NIC_BANDWIDTH      0x028 /* PF, ro, 64 bit: allocated */

/* Mailbox of a VF: it writes a request (a word that is not the last one,
 * nor 0 nor all ones), and has its answer when NIC_MBX_ANSWER reads the same.  The answer and
 * each notice come with an interrupt of NIC_VECTOR_EVENT.  A request waits
 * for whoever drives the PF. */
#define NIC_MBX_REQUEST       0x030 /* rw */
#define NIC_MBX_ANSWER        0x034 /* ro */
#define NIC_MBX_NOTICES       0x038 /* ro: how often to ask anew (1004) */
#define NIC_MBX_LINK          0x03c /* ro: answered link: 1 up */
#define NIC_MBX_BANDWIDTH_MAX 0x050 /* ro, 64 bit: answered */
#define NIC_MBX_BANDWIDTH     0x058 /* ro, 64 bit: answered */

/* NIC_COMPLETION, once written, fires that vector once, when all earlier
 * register operations are complete and all queue entries that were taken are
 * finished and published; then it reads 0.  MSI-X Enable, masks and Bus Master
 * Enable do not keep it back.  A write of 0 disarms. */

/* Queue blocks, VFs only. */
#define NIC_TX            0x100 /* transmit (401) */
#define NIC_RX            0x180 /* receive (402) */
#define NIC_Q_BASE        0x00  /* rw, 64 bit: guest-physical, 128-aligned */
#define NIC_Q_ENTRIES     0x08  /* rw: n, a power of two */
#define NIC_Q_ENABLE      0x0c  /* rw: 1 attach to the ring and run, 0 stop */
#define NIC_Q_STATUS      0x10  /* ro: enum queue_status; why it stopped */
#define NIC_Q_WRITE_INDEX 0x14  /* ro: as last published */
#define NIC_Q_READ_INDEX  0x18  /* ro */
#define NIC_Q_VECTOR      0x1c  /* rw: MSI-X vector, ~0: none */
#define NIC_Q_FRAMES      0x20  /* ro, 64 bit counters */
#define NIC_Q_BYTES       0x28
#define NIC_Q_DROPPED     0x30 /* no free entry, not enabled */
#define NIC_Q_ERRORS      0x38 /* entries answered with an error status */

/* Page 1: doorbells (eventfds by GET_REGION_IO_FDS; a write does the same). */
#define NIC_DOORBELL_TX       0x1000
#define NIC_DOORBELL_RX       0x1004 /* buffers were returned */

#define NIC_MSIX_TABLE        0x2000
#define NIC_MSIX_PBA          0x3000
#define NIC_VECTORS           4
#define NIC_VECTOR_EVENT      0 /* link, mailbox */
#define NIC_VECTOR_RX         1
#define NIC_VECTOR_TX         2
#define NIC_VECTOR_COMPLETION 3 /* the hypervisor's, of NIC_COMPLETION */

/* PF only. */
#define NIC_PF_RESET     0x040      /* wo: NIC_PF_RESET_KEY resets like FLR */
#define NIC_PF_RESET_KEY 0x52534554 /* "TESR" */
#define NIC_PF_NUM_VFS   0x044      /* ro: enabled VFs */
/* Why NIC_VECTOR_EVENT of the PF fired; it fires anew when it gets another
 * eventfd while a bit is set.  64 bit, VF n at bit n - 1.  A write of 1 does
 * not clear what changed after its NIC_PF_VF_LINK (of the PF: NIC_STATUS) was
 * read last, so who stores before he clears misses nothing. */
#define NIC_PF_LINK_CHANGED 0x048 /* rw1c: link or bandwidth, 601 */
#define NIC_PF_MBX_PENDING  0x060 /* ro: requests not answered */
#define NIC_PF_CHANGED      0x068 /* rw1c, 32 bit: 1: the PF's own link */
/* 64 bit, VF n at bit n - 1: Bus Master Enable.  Those whose bit is written as
 * 0 are cleared, 1 leaves the VF as it is.  Nothing orders it among what the
 * VFs themselves are asked. */
#define NIC_PF_MASTERS      0x070
#define NIC_PF_VF_BASE      0x4000
#define NIC_PF_VF_SIZE      0x100 /* block of VF n at BASE + (n-1) * SIZE */
#define NIC_PF_VF(n)        (NIC_PF_VF_BASE + ((n)-1) * NIC_PF_VF_SIZE)
#define NIC_PF_VF_MAC_LOW   0x00 /* rw */
#define NIC_PF_VF_MAC_HIGH  0x04 /* rw; writing it takes both over */
#define NIC_PF_VF_TX_ENABLE 0x08 /* rw: the PF's enable, 1 after reset */
#define NIC_PF_VF_RX_ENABLE 0x0c /* rw */
#define NIC_PF_VF_TX_WRITE  0x10 /* ro: indexes as the device sees them */
#define NIC_PF_VF_TX_READ   0x14
#define NIC_PF_VF_RX_WRITE  0x18
#define NIC_PF_VF_RX_READ   0x1c
#define NIC_PF_VF_QSTATE    0x20 /* ro: NIC_QSTATE_* */
#define NIC_QSTATE_TX_ON    0x1  /* guest's enable bit and register */
#define NIC_QSTATE_RX_ON    0x2
#define NIC_QSTATE_BME      0x4  /* Bus Master Enable */
#define NIC_PF_VF_HELD      0x24 /* ro: entries taken, not finished */
#define NIC_PF_VF_WRITTEN   0x28 /* ro, 64 bit: bytes written to memory */
#define NIC_PF_VF_WAIT      0x30 /* rw: frames wait while BME is clear */
#define NIC_PF_VF_LINK      0x34 /* ro: physical link: 1 up (702) */
#define NIC_PF_VF_BW_MAX    0x38 /* ro, 64 bit: physical, bit/s */
#define NIC_PF_VF_BW        0x40 /* ro, 64 bit: physical, allocated */
#define NIC_PF_VF_MBX       0x48 /* ro: its request */
#define NIC_PF_VF_ANS_MAX   0x50 /* rw, 64 bit: what the answer says */
#define NIC_PF_VF_ANS_BW    0x58 /* rw, 64 bit */
#define NIC_PF_VF_ANS_LINK  0x60 /* rw */
#define NIC_PF_VF_ANSWER    0x64 /* wo: the request that is answered by it */
#define NIC_PF_VF_NOTIFY    0x68 /* wo: it shall ask anew (1004) */

/* The state of VF n: what a reset takes from it.  Meaningful while the VF is
 * fenced and quiet.  Whole blocks are written, any number in one access; the
 * Command registers of all of them come last. */
#define NIC_PF_STATE_BASE   0x8000
#define NIC_PF_STATE_SIZE   0x80
#define NIC_PF_STATE(n)     (NIC_PF_STATE_BASE + ((n)-1) * NIC_PF_STATE_SIZE)
#define NIC_STATE_VECTORS   0x00 /* MSI-X table */
#define NIC_STATE_TX        0x40 /* queue registers, NIC_STATE_Q_* */
#define NIC_STATE_RX        0x50
#define NIC_STATE_Q_BASE    0x0 /* 64 bit */
#define NIC_STATE_Q_ENTRIES 0x8
#define NIC_STATE_Q_VECTOR  0xc
#define NIC_STATE_MAC       0x60 /* 6 bytes; 0: leave it */
#define NIC_STATE_ENABLES   0x68 /* NIC_STATE_*_ON, _WAIT */
#define NIC_STATE_TX_ON     0x01 /* NIC_Q_ENABLE */
#define NIC_STATE_RX_ON     0x02
#define NIC_STATE_PF_TX_ON  0x04 /* NIC_PF_VF_TX_ENABLE */
#define NIC_STATE_PF_RX_ON  0x08
#define NIC_STATE_WAIT      0x10 /* NIC_PF_VF_WAIT */
#define NIC_STATE_PENDING   0x6c /* MSI-X pending bits; those set are raised */
#define NIC_STATE_DEVCTL    0x70 /* 16 bit: config space, Device Control */
#define NIC_STATE_MSIX      0x74 /* 16 bit: Message Control of MSI-X */
#define NIC_STATE_HELD      0x78 /* ro: queue entries taken, not finished */
#define NIC_STATE_COMMAND   0x7c /* 16 bit: Command */

#endif
