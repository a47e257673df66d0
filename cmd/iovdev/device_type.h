/* device_type.h - what the types of --type differ in. */
#ifndef IOVDEV_DEVICE_TYPE_H
#define IOVDEV_DEVICE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/iovdev/wide_registers.h"
#include "libcore/complaint.h"
#include "libcore/control.h"

struct frame;
struct function;
struct nic;

struct device_type {
	const char *name;
	unsigned max_vfs; /* --vfs; 0: none */
	bool has_rings;   /* its VFs have a nic's queues */
	bool has_lan;     /* --lan, --mac-base */
	bool has_line;    /* --line, --paced */
	uint16_t vendor, device, vf_device;
	uint32_t class_code;            /* 24 bits */
	uint64_t bar_size, vf_bar_size; /* of BAR 0 */
	unsigned vectors;               /* MSI-X */
	bool intx;                      /* an interrupt line as well */
	const struct control_method *commands;
	const struct control_table *tables;

	/* What the device has besides its functions, which are there; called
	 * once each, stop also when start failed or was not called. */
	int (*start)(struct nic *nic, struct complaint *c);
	void (*stop)(struct nic *nic);
	/* Accesses to BAR 0; within bar_size. */
	void (*read)(struct function *f, uint64_t offset, uint8_t *data,
		     uint32_t count);
	void (*write)(struct function *f, uint64_t offset, const uint8_t *data,
		      uint32_t count);
	struct wide_registers wide; /* if these two are wide_registers.h's */
	/* The function is reset; config space, interrupts and rings are
	 * already.  May be NULL. */
	void (*reset)(struct function *f);
	/* It reaches other memory than before: DMA maps, Bus Master Enable.
	 * May be NULL. */
	void (*reaches)(struct function *f);
	/* With has_lan: a frame comes from the LAN; the last one for now came
	 * (may be NULL). */
	void (*from_lan)(struct nic *nic, const struct frame *frame);
	void (*lan_quiet)(struct nic *nic);
};

extern const struct device_type nic_type, ether_type, uart_type, hca_type;

/* NULL: there is no such type. */
const struct device_type *device_type_find(const char *name);
/* "nic, ether, uart or hca" */
const char *device_type_names(void);

#endif
