/* interrupts.h - a function's MSI-X table, pending bits and eventfds. */
#ifndef IOVDEV_INTERRUPTS_H
#define IOVDEV_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/nic_regs.h"
#include "libcore/vfu_proto.h"

struct function;

struct msix_entry {
	uint32_t address_low, address_high, data, control;
};
_Static_assert(sizeof(struct msix_entry) == 16, "MSI-X entry (pcie6 7.7.2)");

struct interrupts {
	struct msix_entry table[NIC_VECTORS];
	uint32_t pending;           /* a bit a vector */
	uint32_t client_mask;       /* SET_IRQS with ACTION_MASK */
	bool enable, function_mask; /* as in config space */
	int fd[NIC_VECTORS];
	uint64_t fired;
};

void interrupts_init(struct interrupts *irq);
/* The client is gone: its eventfds are closed. */
void interrupts_release(struct interrupts *irq);
/* As after a reset; the eventfds outlive it. */
void interrupts_reset(struct interrupts *irq);
/* Raise a vector; ~0 is none.  It stays pending while it may not fire. */
void interrupts_fire(struct function *f, uint32_t vector);
/* Fire a vector now, whatever masks it; false: it has no eventfd. */
bool interrupts_send(struct function *f, uint32_t vector);
/* Something that kept vectors from firing may have changed. */
void interrupts_update(struct function *f);
/* SET_IRQS of index VFU_IRQ_MSIX; fds taken are set to -1.  0 or -errno. */
int interrupts_set(struct function *f, const struct vfu_irq_set *set, int *fds,
		   unsigned n_fds, const uint8_t *data)
	__attribute__((warn_unused_result));
/* The table page and the pending page; offset within BAR 0, aligned. */
uint32_t interrupts_read(const struct interrupts *irq, uint32_t offset);
/* False: nothing there can be written. */
bool interrupts_write(struct function *f, uint32_t offset, uint32_t value);

#endif
