/* interrupt_line.h - the interrupt of a function that has one only: a level,
 * told by MSI-X vector 0 or by INTA. */
#ifndef IOVDEV_INTERRUPT_LINE_H
#define IOVDEV_INTERRUPT_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/vfu_proto.h"

struct function;

struct interrupt_line {
	bool level;
	bool masked; /* INTA was told and waits for its unmask */
	int fd;      /* of INTA, -1: none */
};

void interrupt_line_init(struct interrupt_line *line);
/* The client is gone: its eventfd is closed. */
void interrupt_line_release(struct interrupt_line *line);
/* The device asserts or deasserts it. */
void interrupt_line_set(struct function *f, bool level);
/* What keeps INTA from being told may have changed. */
void interrupt_line_update(struct function *f);
/* SET_IRQS of index VFU_IRQ_INTX; *fd is set to -1 when taken.  0 or
 * -errno. */
int interrupt_line_set_irqs(struct function *f, const struct vfu_irq_set *set,
			    int *fds, unsigned n_fds, const uint8_t *data)
	__attribute__((warn_unused_result));

#endif
