/* guest_rig.h - a guest on a bus of the test's own, with one VF whose device
 * side the test plays. */
#ifndef IOVKIT_GUEST_RIG_H
#define IOVKIT_GUEST_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/vf_driver.h"
#include "libcore/guest_memory.h"
#include "libcore/nic_regs.h"
#include "libcore/pci_config.h"
#include "libcore/queue.h"
#include "libcore/vfu_server.h"
#include "t/unit/scratch.h"

#define RIG_SLOT   3u
#define RIG_BAR    (PLATFORM_MMIO + 0x300000)
#define RIG_RING   16u
#define RIG_MEMORY (1u << 20)

struct guest_rig {
	struct scratch scratch;
	struct guest guest;
	struct vfu_server *server;
	struct vfu_session *session;
	struct guest_memory memory;
	int memory_fd;
	int irq_fd[PLATFORM_IRQS];
	int bell_fd[2]; /* tx, rx */
	bool present;   /* the VF is in its slot */
	bool refuse;    /* its registers answer with all ones */
	bool ether;     /* an Ethernet card is there instead of the VF */
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t bar[NIC_VF_BAR_SIZE];
	unsigned enables; /* writes of 1 to NIC_Q_ENABLE */
	/* Whoever drives the PF. */
	bool silent;       /* does not answer */
	bool link;         /* what it answers */
	unsigned requests; /* what it was asked */
};

/* A guest with these workloads; the VF is there.  Runs until it is ready. */
void guest_rig_start(struct guest_rig *rig, const char *send);
/* The same with an Ethernet card, whose registers keep what is written, and no
 * workload. */
void guest_rig_start_ether(struct guest_rig *rig);
void guest_rig_stop(struct guest_rig *rig);
#define RIG_PATIENCE 30000u
/* Run the loop until it is done; false: it never is. */
bool guest_rig_until(struct guest_rig *rig, bool (*done)(struct guest_rig *));
/* Run it for a moment. */
void guest_rig_run(struct guest_rig *rig, uint64_t ns);
struct vf *guest_rig_vf(struct guest_rig *rig);

uint32_t guest_rig_reg(const struct guest_rig *rig, uint32_t offset);
void guest_rig_set(struct guest_rig *rig, uint32_t offset, uint32_t value);
/* What a reset does to the VF. */
void guest_rig_reset(struct guest_rig *rig);
/* The PF's driver answers what it was asked, or asks to be asked. */
void guest_rig_answer(struct guest_rig *rig);
void guest_rig_notify(struct guest_rig *rig);
void guest_rig_interrupt(struct guest_rig *rig, uint32_t irq);
/* Whether the guest rang; 0 transmit, 1 receive. */
bool guest_rig_rang(struct guest_rig *rig, unsigned bell);

/* The device's end of a queue, by its registers. */
struct queue guest_rig_tx(struct guest_rig *rig);
struct queue guest_rig_rx(struct guest_rig *rig);
void *guest_rig_at(struct guest_rig *rig, uint64_t gpa, uint64_t size);

#endif
