/* ether.h - the idealised Ethernet card as a register machine (spec 05,
 * fig. 3): what a device is, and what emulates one. */
#ifndef IOVKIT_ETHER_H
#define IOVKIT_ETHER_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/ether_regs.h"

#define ETHER_MAC_SIZE 6u
#define ETHER_STORE    64u /* messages that the card itself keeps */

/* Of sending. */
enum ether_state {
	ETHER_START = 1,
	ETHER_ADDRESS, /* CSR A is written */
	ETHER_LENGTH,  /* and CSR B */
	ETHER_END,     /* and CSR C: the message is being sent */
	ETHER_STATE_N
};

/* Writes that move it. */
enum ether_csr {
	ETHER_A,
	ETHER_B,
	ETHER_C,
	ETHER_CSR_N
};

/* The state that a write leads to; 0: there is no such transition. */
extern const uint8_t ether_next[ETHER_STATE_N][ETHER_CSR_N];

struct ether_ops {
	/* size bytes of guest memory at gpa, or NULL. */
	void *(*memory)(void *arg, uint64_t gpa, uint64_t size, bool write);
	/* Whether it may reach memory now; ether_run() follows when it may. */
	bool (*may_dma)(void *arg);
	/* A frame leaves for the LAN; valid during the call. */
	void (*send)(void *arg, const uint8_t *frame, uint32_t size);
	/* A frame of the driver's, sent or received, for who listens in. */
	void (*tap)(void *arg, const uint8_t *frame, uint32_t size);
	/* The interrupt line changed. */
	void (*irq)(void *arg, bool level);
	/* A CSR was written that has no transition here. */
	void (*illegal)(void *arg, enum ether_state state, enum ether_csr csr);
};

struct ether_message {
	uint32_t size;
	uint8_t frame[ETHER_FRAME_MAX];
};

struct ether {
	const struct ether_ops *ops;
	void *arg;
	uint8_t mac[ETHER_MAC_SIZE], permanent_mac[ETHER_MAC_SIZE];
	enum ether_state state;
	uint64_t address, length, destination; /* CSR A, B, C */
	uint64_t status;                       /* of ETHER_STATUS_EVENTS */
	uint64_t irq_enable;
	bool irq;
	uint64_t rx_address, rx_length, rx_size;
	struct ether_message *store; /* received, not handed over */
	unsigned first, stored;
	bool running; /* ether_run() is */
	uint64_t sent, received, dropped;
	uint8_t frame[ETHER_FRAME_MAX];
};

/* An address as registers have it: the first byte lowest. */
uint64_t ether_mac_value(const uint8_t mac[ETHER_MAC_SIZE]);

/* -ENOMEM. ops and arg outlive it. */
int ether_init(struct ether *e, const uint8_t mac[ETHER_MAC_SIZE],
	       const struct ether_ops *ops, void *arg)
	__attribute__((warn_unused_result));
void ether_fini(struct ether *e);
/* As after power on, counters excepted. */
void ether_reset(struct ether *e);

/* The register that holds offset; a read of status acknowledges. */
uint64_t ether_read(struct ether *e, uint32_t offset);
/* offset is a register's; false: nothing there can be written. */
bool ether_write(struct ether *e, uint32_t offset, uint64_t value);
/* A frame comes from the LAN.  What is not for this address is passed over. */
void ether_receive(struct ether *e, const uint8_t *frame, uint32_t size);
/* It may reach memory now, or other memory. */
void ether_run(struct ether *e);

#endif
