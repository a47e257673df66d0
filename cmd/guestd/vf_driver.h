/* vf_driver.h - the VF driver: one VF of the nic, from finding it to frames.
 */
#ifndef IOVKIT_GUESTD_VF_DRIVER_H
#define IOVKIT_GUESTD_VF_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <linux/pci_regs.h>

#include "cmd/guestd/mac.h"
#include "cmd/guestd/memory_pool.h"
#include "cmd/guestd/pci_probe.h"
#include "libcore/function_name.h"
#include "libcore/loop.h"
#include "libcore/nic_regs.h"
#include "libcore/points.h"
#include "libcore/poll_mode.h"
#include "libcore/queue.h"
#include "libcore/vfu_client.h"

struct guest;

enum vf_state {
	VF_NEW,    /* found, being set up */
	VF_UP,     /* its queues run */
	VF_AWAY,   /* absent or refused: rings stand, sending waits */
	VF_FAILED, /* set up in vain; tried again at the next look */
	VF_STATE_N
};

enum vf_step {
	STEP_CONFIG,   /* read anew what is written in the next steps */
	STEP_COMMAND,  /* Memory Space Enable, Bus Master Enable */
	STEP_IDENTIFY, /* what it is, what it runs */
	STEP_CONNECT,  /* interrupts and doorbells */
	STEP_PROGRAM,  /* queue registers, MSI-X table */
	STEP_MSIX,     /* MSI-X Enable */
	STEP_ENABLE,   /* queues */
	STEP_ASK,      /* 1302: link and bandwidth; whether the queues run */
	STEP_ANSWER,   /* an interrupt came: is it the answer? */
	STEP_KEEP,     /* 1303 */
	STEP_1301,     /* a link interrupt came: go to STEP_ASK */
	STEP_N
};

#define VF_OPS     24u
#define VF_VECTORS 3u

/* Registers are read all at once, from the first to those of the queues. */
#define VF_PAGE_SIZE  (NIC_RX + NIC_Q_VECTOR + 4u)
#define VF_TABLE_SIZE (VF_VECTORS * 16u)

/* Registers as read; all ones: refused. */
struct vf_regs {
	uint8_t config[PCI_CFG_SPACE_SIZE]; /* from PCI_COMMAND on */
	uint32_t notices; /* of the mailbox, before it was asked */
	uint8_t page[VF_PAGE_SIZE];
	uint8_t table[VF_TABLE_SIZE]; /* MSI-X */
};

struct vf_counters {
	uint64_t tx_frames, tx_bytes;
	uint64_t tx_errors;    /* entries that the device refused */
	uint64_t tx_link_down; /* 1402 */
	uint64_t tx_stopped;   /* 1404 */
	uint64_t tx_full;      /* 1406 */
	uint64_t tx_doorbells, tx_interrupts;
	uint64_t rx_frames, rx_bytes;
	uint64_t rx_errors; /* entries with an error status or a bad size */
	uint64_t rx_waits;  /* a workload had no room */
	uint64_t rx_doorbells, rx_interrupts;
	uint64_t link_interrupts;
	uint64_t link_queries, link_answers;
	uint64_t link_wait_ns; /* the longest until an answer */
	uint64_t refused;      /* register accesses answered with all ones */
};

/* Somebody who waits until he may send (again). */
struct vf_waiter {
	struct vf *vf; /* NULL: does not wait */
	loop_fn *fn;
	void *arg;
	TAILQ_ENTRY(vf_waiter) entry;
};

struct vf {
	struct guest *guest;
	struct pci_slot pci;
	enum vf_state state;
	char name[FUNCTION_NAME_MAX]; /* by its MAC; "slotN" before */
	uint8_t mac[MAC_SIZE];
	char why[160]; /* VF_FAILED */

	/* virtual link state (301, 302) */
	bool link_up, link_known;
	uint64_t bandwidth_max, bandwidth;
	uint32_t request;  /* our last one */
	uint64_t asked_ns; /* since when no answer came; 0: it did */
	uint64_t resets;

	/* setup */
	bool busy;       /* a setup or link query runs */
	bool waiting;    /* it does nothing until an interrupt comes */
	bool probed;     /* its finding was told */
	bool passed;     /* the step's point was passed */
	bool issued;     /* the step's requests are out */
	bool look_again; /* next_pci is newer than pci */
	bool ask_again;  /* a link interrupt came meanwhile */
	bool programmed; /* this setup programmed the registers */
	struct pci_slot next_pci;
	enum vf_step step;
	unsigned pending, n_ops;
	int op_error;
	struct vf_op {
		struct vf *vf;
		void *out; /* uint64_t, or bytes if it is larger */
		uint32_t size;
	} ops[VF_OPS];
	struct vf_regs regs;
	struct point_hold hold;

	/* interrupts and doorbells */
	struct vf_irq {
		struct vf *vf;
		int fd;
		struct loop_watch watch;
	} irq[VF_VECTORS];
	bool irqs_wired;
	int doorbell_tx, doorbell_rx; /* -1: by register */
	uint32_t doorbell_part;       /* that was asked for */

	/* queues */
	uint32_t n; /* entries, 0: no rings yet */
	uint64_t tx_gpa, rx_gpa;
	struct queue tx, rx;
	struct buffer_pool buffers;
	uint32_t *tx_buffer, *rx_buffer; /* buffer of each entry */
	uint32_t tx_reclaimed;           /* entries before it are ours again */
	uint32_t tx_unpublished;
	bool tx_stopped, rx_stopped;
	bool tx_traced;  /* a point is armed */
	bool rx_blocked; /* a workload has no room */
	struct poll_spin rx_spin;
	struct loop_poller rx_poller;
	struct loop_deferred tx_kick;
	TAILQ_HEAD(vf_waiters, vf_waiter) waiters;

	struct vf_counters counters;
};

const char *vf_state_name(enum vf_state state);

/* A VF that was found in a slot.  -errno. */
int vf_new(struct vf **vf, struct guest *g, unsigned slot)
	__attribute__((warn_unused_result));
/* After the bus link is gone or before it is freed. */
void vf_free(struct vf *vf);
/* The step's requests are answered or its point was released: go on. */
void vf_setup_run(struct vf *vf);
/* A link interrupt came (1301). */
void vf_link_interrupt(struct vf *vf);
/* Config space was looked at: bring the VF up, take it for away, or see
 * whether it was reset. */
void vf_look(struct vf *vf, const struct pci_slot *slot);
/* A queue cannot go on: the device's index is wild. */
void vf_queue_broken(struct vf *vf, const char *queue);

#endif
