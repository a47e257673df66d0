/* hca_regs.h - `iovdev --type hca`, the host channel adapter (spec 04):
 * boundary between the adapter and its drivers (iovkit-hca(7)).
 *
 * The PF is the machine's, partition 0; VF n is partition n.  BAR 0 of both:
 * page 0 registers, page 2 MSI-X table, page 3 pending bits; a VF's then has
 * its doorbells.  Registers are 64 bits wide, little endian, and are
 * written whole; reads may be of any part of one.  A read of anything else
 * gives 0, a write is dropped and counted.
 */
#ifndef IOVKIT_HCA_REGS_H
#define IOVKIT_HCA_REGS_H

#include <endian.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HCA_VENDOR_ID  0x1b36 /* QEMU/Red Hat's, for emulated devices */
#define HCA_PF_DEVICE  0x10f4
#define HCA_VF_DEVICE  0x10f5
#define HCA_CLASS      0x020700
#define HCA_PARTITIONS 30u
#define HCA_ISCS       4u /* interrupt subclass n is MSI-X vector n */

/* Page 0. */
#define HCA_ID        0x00       /* ro: HCA_ID_VALUE */
#define HCA_ID_VALUE  0x48564f49 /* "IOVH" */
#define HCA_VERSION   0x08       /* ro: 1 */
#define HCA_PARTITION 0x10       /* ro: 1 to 30; 0: the PF */
#define HCA_EQS       0x18       /* ro: indexes that there are: 0 to n - 1 */
#define HCA_CQS       0x20
#define HCA_QPS       0x28
#define HCA_BELLS     0x30 /* ro: doorbells */
/* The verb window.  Writing HCA_VERB does the verb with HCA_VALUE; status and
 * result are there at once, and stay until the next. */
#define HCA_VALUE       0x40 /* rw */
#define HCA_VERB        0x48 /* rw: hca_verb() */
#define HCA_STATUS      0x50 /* ro: enum hca_status */
#define HCA_RESULT      0x58 /* ro: handle of ALLOCATE, value of LOAD */
#define HCA_REGS_SIZE   0x60

#define HCA_PF_BAR_SIZE 0x4000
#define HCA_VF_BAR_SIZE 0x100000

/* Doorbells of a partition, one for each who may ring on its own: a queue pair
 * is rung only at the one that its attribute BELL names.  Rows of the root
 * bridge say who reaches which. */
#define HCA_BELL_BASE    0x10000
#define HCA_BELL_SIZE    0x100
#define HCA_BELL_COUNT   ((HCA_VF_BAR_SIZE - HCA_BELL_BASE) / HCA_BELL_SIZE)
#define HCA_BELL_AT(n)   (HCA_BELL_BASE + (n)*HCA_BELL_SIZE)
#define HCA_BELL_SEND    0x00 /* wo: hca_bell() */
#define HCA_BELL_RECEIVE 0x08 /* wo: hca_bell() */

/* A handle: kind in bits 30-31, generation in bits 17-29, index below.  One
 * that was freed has another generation, so it is known as such. */
#define HCA_INDEX_BITS      17u
#define HCA_GENERATION_BITS 13u

enum hca_kind {
	HCA_PART, /* the partition itself; its handle is 0 */
	HCA_QP,
	HCA_CQ,
	HCA_EQ,
	HCA_KIND_N
};

#define HCA_EQ_MAX 4096u
#define HCA_CQ_MAX (1u << HCA_INDEX_BITS)
#define HCA_QP_MAX (1u << HCA_INDEX_BITS)

enum hca_opcode {
	HCA_ALLOCATE = 1, /* attribute: the kind */
	HCA_STORE,
	HCA_LOAD,
	HCA_FREE,
};

static inline uint64_t hca_verb(enum hca_opcode op, unsigned attribute,
				uint32_t handle)
{
	return op | attribute << 8 | (uint64_t)handle << 32;
}

/* What the doorbell says: entries up to this index (which runs freely) are
 * there. */
static inline uint64_t hca_bell(uint32_t handle, uint32_t index)
{
	return handle | (uint64_t)index << 32;
}

enum hca_status {
	HCA_OK,
	HCA_BAD_VERB,
	HCA_BAD_HANDLE,    /* freed, forged, of another kind or partition */
	HCA_BAD_ATTRIBUTE, /* not of this kind, not to be stored, not yours */
	HCA_BAD_VALUE,
	HCA_BAD_ADDRESS, /* no memory of the partition */
	HCA_BUSY,        /* it runs, or others refer to it */
	HCA_NO_ROOM,
	HCA_STATUS_N
};

/* Attributes.  Those marked * can be stored only while the object is stopped.
 * Sizes of rings are powers of two; their entries are 0 at the start. */
enum hca_attribute {
	HCA_STATE = 1,   /* all: enum hca_state */
	HCA_BASE,        /* * eq, cq: of the ring */
	HCA_ENTRIES,     /* * eq, cq: of the ring */
	HCA_TOKEN,       /* cq, qp: what their events say */
	HCA_EVENT_QUEUE, /* cq: handle or 0; qp: of what is no completion;
			  * partition: of what belongs to no object */
	/* eq */
	HCA_ASB,       /* address of its adapter summary byte, 0: none */
	HCA_PSB,       /* PF only: of its primary summary byte */
	HCA_ISC,       /* interrupt subclass; 255: none */
	HCA_IMMEDIATE, /* 1: interrupt at once; 0: by the delay timer */
	HCA_DELAY,     /* of the timer in us, 0: it does not run */
	HCA_HOST,      /* PF only: 1: each entry interrupts */
	/* qp */
	HCA_SEND_BASE,       /* * */
	HCA_SEND_ENTRIES,    /* * */
	HCA_RECEIVE_BASE,    /* * */
	HCA_RECEIVE_ENTRIES, /* * */
	HCA_SEND_CQ,         /* * handle */
	HCA_RECEIVE_CQ,      /* * handle, may be the same */
	HCA_PEER,            /* * the other end: handle, or hca_address() */
	HCA_BELL,            /* * number of its doorbell */
	HCA_MEMORY_BASE,     /* * its entries' address 0, ... */
	HCA_MEMORY_SIZE,     /* * ... and how much follows; at first all */
	HCA_WINDOW_BASE,     /* * what the peer may write to, ... */
	HCA_WINDOW_SIZE,     /* * ... and how much; at first nothing */
	HCA_SERVICE,         /* * number by which others name it, 0: none */
	HCA_ATTRIBUTE_N
};

/* A queue pair that need not exist yet, as a peer: that of a service number
 * of a partition.  It is bound when it is first reached: HCA_PEER is its handle
 * then. */
static inline uint64_t hca_address(unsigned partition, uint32_t service)
{
	return (uint64_t)partition << 32 | service;
}

enum hca_state {
	HCA_STOPPED,
	HCA_RUNNING,
	HCA_ERROR, /* left by storing HCA_STOPPED */
	HCA_STATE_N
};

#define HCA_ISC_NONE    255u
#define HCA_DELAY_MAX   1000000u
#define HCA_RING_MIN    2u
#define HCA_RING_MAX    65536u
#define HCA_MESSAGE_MAX 0x100000u

/* Work queue entries.  Of a receive entry only address, length and id. */
enum hca_work {
	HCA_SEND = 1,
	HCA_WRITE,   /* to the window of the peer */
	HCA_RECEIVE, /* in completions only */
};

struct hca_wqe {
	uint64_t address;
	uint32_t length; /* 1 to HCA_MESSAGE_MAX */
	uint32_t work;   /* enum hca_work */
	uint64_t remote; /* offset in the window */
	uint64_t id;
};
_Static_assert(sizeof(struct hca_wqe) == 32, "WQE");
_Static_assert(offsetof(struct hca_wqe, length) == 8, "WQE");
_Static_assert(offsetof(struct hca_wqe, work) == 12, "WQE");
_Static_assert(offsetof(struct hca_wqe, remote) == 16, "WQE");
_Static_assert(offsetof(struct hca_wqe, id) == 24, "WQE");

enum hca_completion {
	HCA_DONE,
	HCA_LOCAL_ADDRESS, /* not in the memory of this queue pair */
	HCA_LOCAL_LENGTH,  /* 0, too long; of a receive entry: too short */
	HCA_LOCAL_WORK,    /* no such work */
	HCA_REMOTE_GONE,   /* no such queue pair, or not its peer */
	HCA_REMOTE_WINDOW, /* not in what it may write to */
	HCA_REMOTE_FAILED, /* it failed with this */
	HCA_CQ_FAILED,     /* in events only: a completion was lost */
	HCA_COMPLETION_N
};

/* Entries of completion and event queues have their valid mark last: the
 * adapter sets it when the rest is there, the consumer clears it when it has
 * read that.  A slot that is still marked is an overflow. */
struct hca_cqe {
	uint64_t id; /* of the work queue entry */
	uint32_t qp;
	uint32_t length;
	uint16_t work;   /* enum hca_work */
	uint16_t status; /* enum hca_completion */
	uint32_t rsvd;
	uint32_t rsvd2;
	_Atomic uint32_t valid;
};
_Static_assert(sizeof(struct hca_cqe) == 32, "CQE");
_Static_assert(offsetof(struct hca_cqe, qp) == 8, "CQE");
_Static_assert(offsetof(struct hca_cqe, length) == 12, "CQE");
_Static_assert(offsetof(struct hca_cqe, work) == 16, "CQE");
_Static_assert(offsetof(struct hca_cqe, status) == 18, "CQE");
_Static_assert(offsetof(struct hca_cqe, valid) == 28, "CQE");

enum hca_event {
	HCA_EVENT_COMPLETION = 1, /* cq */
	HCA_EVENT_CQ_ERROR,       /* cq; detail: enum hca_fault */
	HCA_EVENT_QP_ERROR,       /* qp; detail: enum hca_completion, or
				   * HCA_LOCAL_WORK: a doorbell too far */
	HCA_EVENT_REFUSED,        /* partition; token: number of the
				   * doorbell, detail: what it said */
	HCA_EVENT_N
};

/* Why a completion queue is in error. */
enum hca_fault {
	HCA_FAULT_OVERFLOW = 1,
	HCA_FAULT_ADDRESS, /* its ring is in no memory any more */
	HCA_FAULT_N
};

struct hca_eqe {
	uint64_t token;
	uint32_t handle; /* of the resource; 0: partition */
	uint32_t event;  /* enum hca_event */
	uint64_t detail;
	/* HCA_EQE_VALID, and below the number of an entry that was forwarded
	 * (demux.h), which the consumer leaves there. */
	_Atomic uint64_t mark;
};
#define HCA_EQE_VALID (1ull << 32)
_Static_assert(sizeof(struct hca_eqe) == 32, "EQE");
_Static_assert(offsetof(struct hca_eqe, handle) == 8, "EQE");
_Static_assert(offsetof(struct hca_eqe, event) == 12, "EQE");
_Static_assert(offsetof(struct hca_eqe, detail) == 16, "EQE");
_Static_assert(offsetof(struct hca_eqe, mark) == 24, "EQE");

/* All looks at a mark, and all that sets or clears one, are seq_cst. */
static inline bool hca_eqe_is_valid(const struct hca_eqe *eqe)
{
	return le64toh(atomic_load_explicit(&eqe->mark, memory_order_seq_cst)) &
	       HCA_EQE_VALID;
}

#endif
