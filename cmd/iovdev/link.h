/* link.h - the link operation unit: a function's physical link and bandwidth
 * (spec 02: 601, 602, 701, 702). */
#ifndef IOVDEV_LINK_H
#define IOVDEV_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/link_state.h"

struct function;
struct nic;

/* The highest bandwidth, in bit/s. */
#define LINK_RATE_MAX 1000000000000000ull

struct link {
	struct link_values now;
	bool unread;   /* it changed since it was last read */
	uint64_t next; /* when the next frame may go, in 1/64 ns */
};

void link_init(struct link *link);
/* 601, 602: somebody pulled the plug, or put it in. */
void link_set(struct function *f, const struct link_values *values);
/* 701, 702: the PF driver reads the state. */
void link_read(struct function *f);
/* NIC_PF_CHANGED and NIC_PF_LINK_CHANGED are written. */
void link_clear_pf(struct nic *nic, uint32_t bits);
void link_clear(struct nic *nic, uint64_t bits);
/* Interrupt the PF driver if there is a reason left. */
void link_raise(struct nic *nic);

/* Whether its bandwidth is limited at all. */
bool link_is_limited(const struct function *f);
/* The allocated bandwidth: when a frame may go; 0: now. */
uint64_t link_busy_until(const struct function *f, uint64_t now_ns);
/* A frame of so many bytes goes. */
void link_take(struct function *f, uint32_t size, uint64_t now_ns);

#endif
