/* supervisor.h - region 9 of vm0's bus socket: what the hypervisor tells the
 * root bridge, and back.  Boundary between hvmon and rootbridge, and between a
 * successor (guestd) and rootbridge.
 *
 * Commands are REGION_WRITEs of arrays, offset SUP_OFFSET(kind); each array
 * is checked whole, then applied whole before the reply (EINVAL, EEXIST,
 * ENOENT, EPERM otherwise, nothing changed).  State is read back by
 * REGION_READ at SUP_OFFSET(kind) + byte offset; rows past the end read as
 * zero (a zero row is recognisable in every array).  Exceptions and verdicts
 * travel in two channels; both lie in the mmap-able part (SUP_CHANNELS).
 *
 * The bridge rings vm0's VFU_IRQ_REQ vector after it pushed an exception; the
 * supervisor rings the eventfd that GET_REGION_IO_FDS of region 9 gives after
 * it pushed a verdict.
 */
#ifndef IOVKIT_SUPERVISOR_H
#define IOVKIT_SUPERVISOR_H

#include <stddef.h>
#include <stdint.h>

#include "libcore/channel.h"
#include "libcore/platform.h"

enum sup_kind {
	SUP_INFO,      /* read: struct sup_info */
	SUP_FUNCTIONS, /* read: struct sup_function, PFs and VFs */
	SUP_VMS,       /* read: struct sup_vm; write: struct sup_vm_op */
	SUP_ROWS,      /* read, write: struct sup_row */
	SUP_ASSIGN,    /* write: struct sup_assign */
	SUP_ROUTES,    /* read, write: struct sup_route */
	SUP_CLAIM,     /* write: struct sup_claim */
	SUP_INJECT,    /* write: struct sup_inject */
	SUP_CHANNELS,  /* mmap: struct sup_channels */
	SUP_CONTAIN,   /* write: struct sup_contain */
	SUP_SETTLE,    /* write: struct sup_settle */
	SUP_LOADS,     /* read: struct sup_load */
	/* Failover (spec 02).  A VM that is listed here finds region 9 too,
	 * without channels: it reads SUP_INFO, SUP_FUNCTIONS, SUP_VMS,
	 * SUP_SUCCESSORS and SUP_SHARES, writes SUP_CLAIM and, while it owns
	 * a PF, SUP_ROUTES of the PF's vectors to its own PLATFORM_IRQ_PF,
	 * SUP_VM_UNMAP of others and SUP_WATCH; else EPERM.  A vm0 that lost
	 * a PF to a successor gets EPERM for everything here. */
	SUP_SUCCESSORS, /* read, write: struct sup_successor */
	SUP_SHARES,     /* read, write: struct sup_share */
	SUP_WATCH,      /* write: struct sup_watch */
	SUP_WINDOWS,    /* read, write: struct sup_window; vm0 only */
	SUP_MAPS,       /* read, write: struct sup_map */
	/* A VM that is another one's supervisor (spec 04) finds region 9 with
	 * channels of its own, for exceptions and notices of its guests.  It
	 * reads SUP_INFO, SUP_FUNCTIONS, SUP_VMS, SUP_MAPS and
	 * SUP_SUPERVISORS, and writes, about its guests only, SUP_ROWS (whose
	 * offset leads to its own guest-physical addresses), SUP_INJECT,
	 * SUP_VM_RESET and SUP_MAPS (to functions assigned to it, and to
	 * itself); else EPERM.  What its guests ask while it is not there
	 * waits for the next one, until the exception timeout. */
	SUP_SUPERVISORS, /* read, write: struct sup_supervisor; vm0 only */
	SUP_KIND_N
};
#define SUP_SHIFT        24
#define SUP_OFFSET(kind) ((uint64_t)(kind) << SUP_SHIFT)
#define SUP_REGION_SIZE  SUP_OFFSET(SUP_KIND_N)
#define SUP_VERSION      1u
#define SUP_MAGIC        0x70755356u /* "VSup" */

struct sup_info {
	uint32_t magic;
	uint32_t version;
	uint32_t n_vms;
	uint32_t n_functions;
	uint32_t n_rows;
	uint32_t n_routes;
	uint32_t protection; /* 0: --no-protection */
	uint32_t timeout_us; /* completion timeout; 0: never */
};
_Static_assert(sizeof(struct sup_info) == 32, "sup_info");

enum {
	SUP_FUNCTION_PRESENT = 1,
	SUP_FUNCTION_CONTAINED = 2,
	SUP_FUNCTION_VF = 4
};

struct sup_function {
	char name[32]; /* "nic0/pf0"; empty: end of the array */
	uint16_t bdf;
	uint16_t pf_bdf; /* itself for a PF */
	uint32_t flags;  /* SUP_FUNCTION_* */
	uint32_t vm;     /* assigned to; PLATFORM_VM_NONE */
	uint32_t epoch;  /* of the PF's ownership */
	uint32_t owner;  /* VM that holds the PF; PLATFORM_VM_NONE */
	uint32_t rsvd0;
	uint64_t bar_size[6]; /* 0: none, or upper half */
};
_Static_assert(sizeof(struct sup_function) == 104, "sup_function");

enum sup_vm_state {
	SUP_VM_EMPTY = 1, /* never connected since its memory was made */
	SUP_VM_RUNNING,   /* connected */
	SUP_VM_LOST,      /* its process is gone; waits for SUP_VM_RESET */
};

struct sup_vm {
	uint32_t vm;
	uint32_t state; /* enum sup_vm_state; 0: end of the array */
	uint64_t memory_size;
	uint32_t incarnation; /* counts resets */
	uint32_t pid;         /* of the connected process, or 0 */
};
_Static_assert(sizeof(struct sup_vm) == 24, "sup_vm");

enum sup_vm_action {
	/* The VM's functions are quiet: give it new memory, map it for its
	 * functions, and let the next process connect. */
	SUP_VM_RESET = 1,
	/* No function reaches its memory any more, until SUP_VM_RESET; of vm0:
	 * until it connects anew (before 1707). */
	SUP_VM_UNMAP,
};

struct sup_vm_op {
	uint32_t vm;
	uint32_t action;
};
_Static_assert(sizeof(struct sup_vm_op) == 8, "sup_vm_op");

/* Protection table (fig. 5): VM, guest-physical range, offset, flag.
 *
 * A row of vm0, whose accesses need none, guards registers (a100): offset 0,
 * and a denied one stops a write of any byte in it, but no read. */
enum {
	SUP_ROW_ALLOWED = 1,
	SUP_ROW_DENIED = 2,
	SUP_ROW_ONCE = 3,   /* allowed for one write, then denied */
	SUP_ROW_FENCED = 4, /* denied for a while: what it stops is parked */
	/* Allowed while the VM owns the PF that it leads to, else EPERM and
	 * no exception. */
	SUP_ROW_OWNER = 5,
};
enum sup_row_op {
	SUP_ROW_SET =
		1, /* add, or change the row with the same vm, first, last */
	SUP_ROW_DELETE,
	/* The same as SUP_ROW_SET; and what the VM's accesses in that range
	 * still wait for a verdict is looked up again at once, in order,
	 * before anything newer.  Verdicts pushed before this count. */
	SUP_ROW_OPEN,
};

struct sup_row {
	uint32_t vm;
	uint16_t flag;  /* SUP_ROW_ALLOWED or _DENIED; 0: end of the array */
	uint16_t op;    /* enum sup_row_op; 0 when read */
	uint64_t first; /* guest-physical, inclusive */
	uint64_t last;  /* inclusive */
	int64_t offset; /* added: machine-physical = guest-physical + offset */
};
_Static_assert(sizeof(struct sup_row) == 32, "sup_row");

/* DMA and interrupts of a function belong to this VM. */
struct sup_assign {
	uint16_t bdf;
	uint16_t rsvd0;
	uint32_t vm; /* PLATFORM_VM_NONE: nobody's */
};
_Static_assert(sizeof(struct sup_assign) == 8, "sup_assign");

/* Vector of a function -> interrupt of a VM. vm PLATFORM_VM_NONE: no route */
struct sup_route {
	uint16_t bdf;
	uint16_t vector;
	uint32_t vm;
	uint32_t irq;
	uint32_t in_use; /* 1; 0 when read: end of the array */
};
_Static_assert(sizeof(struct sup_route) == 16, "sup_route");

enum {
	/* Take the PF: the epoch goes up by one, the former holder's
	 * connection is fenced, without interrupts and DMA of the device
	 * before the reply.  A successor takes it from anybody, the
	 * hypervisor only from nobody (EBUSY), and writes no register of the
	 * PF and routes none of its vectors while somebody else owns it
	 * (EPERM). */
	SUP_CLAIM_TAKE = 0,
	/* Hand it over: nobody's, without the owner's routes; the epoch stays,
	 * nobody is fenced; SUP_EX_RELEASED. */
	SUP_CLAIM_RELEASE = 1,
};

struct sup_claim {
	uint16_t bdf; /* of the PF */
	uint16_t action;
	uint32_t expected_epoch; /* ESTALE when it is another */
};
_Static_assert(sizeof(struct sup_claim) == 8, "sup_claim");

/* Who may claim a PF when the hypervisor fails; order 0 deletes. */
struct sup_successor {
	uint16_t bdf;   /* of the PF */
	uint16_t order; /* 1 is the first; 0 when read: end of the array */
	uint32_t vm;
};
_Static_assert(sizeof(struct sup_successor) == 8, "sup_successor");

/* Two VMs share PLATFORM_SHARED_SIZE bytes, zero at first: region
 * platform_shared_region(other) of each.  They outlive both. */
struct sup_share {
	uint32_t vm[2]; /* both 0: end of the array */
};
_Static_assert(sizeof(struct sup_share) == 8, "sup_share");

/* Notice what a device writes to a VF's queues from here on (after 1703),
 * and tell when its VM is unmapped: event memory.checked. */
struct sup_watch {
	uint16_t bdf; /* of the VF */
	uint16_t rsvd0;
	uint32_t rsvd1;
};
_Static_assert(sizeof(struct sup_watch) == 8, "sup_watch");

/* A window (window.h): vm reaches the page of BAR 0 of the function, which is
 * assigned to it, directly.  One a function; EEXIST: it has another one.
 * Answered when the device has opened or ended it and, then, the file is
 * truncated.  A window ends by itself when its VM's process is gone, when the
 * function is assigned elsewhere or contained, and with its device. */
#define SUP_WINDOW_NOWHERE UINT32_MAX /* vm has another one in that region */
struct sup_window {
	uint16_t bdf;
	uint16_t rights; /* WINDOW_READ | WINDOW_WRITE; 0: end it, and when
			  * read: end of the array */
	uint32_t vm;
	uint32_t region; /* less PLATFORM_REGION_WINDOW, of vm; or NOWHERE */
	uint32_t rsvd0;
	uint64_t gpa;  /* where vm has the page */
	uint64_t page; /* offset in BAR 0 */
};
_Static_assert(sizeof(struct sup_window) == 32, "sup_window");

/* A VM's memory, all of it, is reached by somebody who would not reach it
 * otherwise: a function at an IOVA, beside the memory of the VM that it is
 * assigned to, which has IOVA 0; or, with bdf 0 (the root bridge), the
 * processors of VM `by`, as region PLATFORM_REGION_GUEST + vm.  After
 * SUP_VM_RESET it is the new memory, and the region has to be mapped anew.
 * Giving what is given already changes nothing.  EEXIST: overlaps what the
 * function reaches; ENOENT: no such function or VM, or not given; EINVAL: iova
 * no multiple of a page, or of processors not 0.  Answered when the device has
 * followed. */
struct sup_map {
	uint16_t bdf;
	uint16_t on; /* 1; 0: take it back, and when read: end of the array */
	uint32_t vm; /* whose memory */
	uint32_t by; /* of a function 0 */
	uint32_t rsvd0;
	uint64_t iova;
};
_Static_assert(sizeof(struct sup_map) == 24, "sup_map");

/* Who decides about a VM's exceptions: vm0, or another VM whose supervisor vm0
 * is.  EINVAL: a VM would be its own, or a supervisor's supervisor would be
 * another than vm0; EBUSY: the VM is connected, or the supervisor is and was
 * none.  A supervisor's process may end and the next one finds its memory and
 * functions as they were. */
struct sup_supervisor {
	uint32_t vm; /* 0 when read: end of the array */
	uint32_t supervisor;
};
_Static_assert(sizeof(struct sup_supervisor) == 8, "sup_supervisor");

/* What a guest's CPU writes to PLATFORM_TRANSLATIONS, which the supervisor
 * gets as an exception. */
enum {
	/* A miss: for region PLATFORM_REGION_WINDOW + entry.  Done: look there;
	 * EPERM: rejected. */
	SUP_TRANSLATION_PROPOSE = 1,
	/* All that it held at the last PLATFORM_IRQ_INVALIDATE are dropped. */
	SUP_TRANSLATION_DROPPED,
};

struct sup_translation {
	uint32_t what;
	uint32_t entry;
	uint64_t gpa; /* of the page */
	uint32_t rights;
	uint32_t rsvd0;
};
_Static_assert(sizeof(struct sup_translation) == 24, "sup_translation");

struct sup_inject {
	uint32_t vm;
	uint32_t irq;
};
_Static_assert(sizeof(struct sup_inject) == 8, "sup_inject");

/* Contain a function, or let it be reached again. */
struct sup_contain {
	uint16_t bdf;
	uint16_t on; /* 1 or 0 */
	uint32_t rsvd0;
};
_Static_assert(sizeof(struct sup_contain) == 8, "sup_contain");

/* Answered when all that the VM, which is stopped, had sent was looked up.
 * One at a time. */
struct sup_settle {
	uint32_t vm;
	uint32_t rsvd0;
};
_Static_assert(sizeof(struct sup_settle) == 8, "sup_settle");

/* What a function has in hand. */
struct sup_load {
	uint16_t bdf; /* 0: end of the array */
	uint16_t rsvd0;
	uint32_t in_flight; /* rows of the in-flight operation list */
};
_Static_assert(sizeof(struct sup_load) == 8, "sup_load");

enum sup_exception_type {
	SUP_EX_ACCESS = 1, /* an access without an allowed row (a820) */
	SUP_EX_ATTACHED,   /* a device came: bdf of its PF */
	SUP_EX_REMOVED,    /* a device went */
	SUP_EX_CONTAINED,  /* a function was contained */
	SUP_EX_VM_STARTED, /* a process connected as vm */
	SUP_EX_VM_LOST,    /* the process of vm is gone */
	/* Accesses of vm were answered with all ones, since no verdict came in
	 * time: it should be told to look again. */
	SUP_EX_UNANSWERED,
	SUP_EX_RELEASED, /* the PF bdf is nobody's: it was handed over, or its
			  * holder is gone */
	SUP_EX_UNCONTAINED, /* it can be reached again */
	SUP_EX_TYPE_N
};

#define SUP_DATA_MAX 4096u

enum {
	SUP_EX_WRITE = 1,
	SUP_EX_POSTED = 2,
	SUP_EX_DENIED = 4
};

struct sup_exception {
	uint64_t serial; /* names the access in the verdict; 0: no verdict */
	uint32_t type;
	uint32_t vm;
	uint64_t gpa;
	uint32_t size; /* of the access, <= SUP_DATA_MAX */
	uint32_t flags;
	uint16_t bdf;
	uint16_t rsvd0[3];
	uint8_t data[SUP_DATA_MAX]; /* of a write */
};
_Static_assert(sizeof(struct sup_exception) == 40 + SUP_DATA_MAX, "exception");
_Static_assert(sizeof(struct sup_exception) <= CHANNEL_MESSAGE_MAX,
	       "exception");

/* How much of it is sent: without data that it does not have. */
static inline size_t sup_exception_bytes(const struct sup_exception *ex)
{
	return offsetof(struct sup_exception, data) +
	       (ex->flags & SUP_EX_WRITE ? (size_t)ex->size : 0);
}

enum sup_verdict_action {
	SUP_VERDICT_DONE = 1, /* answered by the supervisor; data of a read */
	SUP_VERDICT_FAIL,     /* error is the errno */
	SUP_VERDICT_UNSUPPORTED, /* all ones */
	SUP_VERDICT_AGAIN,       /* look the rows up again and go on */
};

struct sup_verdict {
	uint64_t serial;
	uint32_t action;
	uint32_t error;
	uint32_t size;
	uint32_t rsvd0;
	uint8_t data[SUP_DATA_MAX];
};
_Static_assert(sizeof(struct sup_verdict) == 24 + SUP_DATA_MAX, "verdict");
_Static_assert(sizeof(struct sup_verdict) <= CHANNEL_MESSAGE_MAX, "verdict");

/* How much of it is sent: without data that it does not have. */
static inline size_t sup_verdict_bytes(const struct sup_verdict *v)
{
	return offsetof(struct sup_verdict, data) + (size_t)v->size;
}

struct sup_channels {
	struct channel_ring exceptions; /* bridge writes */
	struct channel_ring verdicts;   /* supervisor writes */
};
#define SUP_CHANNELS_SIZE ((sizeof(struct sup_channels) + 4095u) & ~4095ull)

#endif
