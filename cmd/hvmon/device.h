/* device.h - the devices on the bus: PF and VFs as hvmon knows them, and the
 * table "devices". */
#ifndef IOVKIT_HVMON_DEVICE_H
#define IOVKIT_HVMON_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "libcore/function_name.h"
#include "libcore/limiter.h"
#include "libcore/link_state.h"
#include "libcore/loop.h"
#include "libcore/pci_caps.h"
#include "libcore/pci_config.h"

struct emulator;
struct hvmon;
struct reset;
struct reset_record;
struct hold_guest;
struct takeback;
struct virtual;

enum device_state {
	DEVICE_AWAY,     /* not on the bus (any more) */
	DEVICE_STARTING, /* is being set up, adopted or reset */
	DEVICE_READY,
	DEVICE_FAILED, /* setting it up failed */
	DEVICE_STATE_N
};

struct kept_exception;
STAILQ_HEAD(kept_exceptions, kept_exception);

struct vf {
	struct device *device;
	unsigned number; /* from 1; 0: a single function */
	uint16_t bdf;
	bool contained;   /* the root bridge contained it */
	bool suspended;   /* a105, turn.h: its VM's accesses wait */
	uint16_t pcie;    /* offset of the PCIe capability, 0: none */
	uint16_t msix;    /* of the MSI-X capability */
	unsigned vectors; /* that are routed */
	bool mac_known;   /* mac is what the VF shall have */
	uint32_t mac[2];  /* as in the registers */
	struct limiter asks;
	bool link_known;
};

struct device {
	TAILQ_ENTRY(device) entry;
	struct hvmon *hv;
	char name[DEVICE_NAME_MAX + 1];
	uint16_t bdf;        /* of the PF */
	unsigned index;      /* its lanes, and its slot of vm0 */
	unsigned generation; /* counts how often it went away */
	enum device_state state;
	bool claimed;
	uint32_t epoch, former_epoch; /* of our claim, and before it */
	struct takeback *takeback;    /* waits for its owner; or NULL */
	bool adopted;
	bool started;   /* device.ready was told since it was attached */
	bool contained; /* the PF is */

	uint8_t config[PCI_CONFIG_SIZE]; /* PF, as read last */
	uint64_t bar[6], bar_size[6];    /* 0: none or upper half */
	bool bar_is_64[6];
	struct pci_sriov sriov;
	uint64_t vf_bar[6], vf_bar_size[6]; /* of VF 1; of each VF */
	bool vf_bar_is_64[6];
	unsigned num_vfs; /* enabled */
	struct vf vf[FUNCTION_VF_MAX];
	bool single;     /* it has no SR-IOV: function 0 is given whole, ... */
	struct vf whole; /* ... as if it were a VF */
	bool trapped;    /* translations for it are rejected (translation.h) */
	bool guest_flr;  /* its guest resets it (config_emulation.c), ... */
	uint64_t guest_flr_ns;        /* ... and did so last */
	const struct procedure *turn; /* whose it is (turn.h); or NULL */

	/* Devices that can be virtualised (virtual.h). */
	uint32_t regs_bytes; /* of BAR 0, that are trapped; 0: it cannot */
	/* What its guest sees instead of its own kind (carried.h); or NULL. */
	const struct emulator *carried;
	struct virtual *virtual; /* NULL: direct */
	struct virtual *serves;  /* it stands behind that device; or NULL */
	bool forwards;           /* direct, but its interrupts come to us */
	bool look_again;         /* tell the VM (virtual_tell()) */
	struct hold_guest *hold_guest; /* its driver is asked to rest */
	int own_irq_fd;                /* own_interrupt.c */
	struct loop_watch own_irq;

	/* The PF driver (pf_driver.c, pf_link.c). */
	bool has_driver;
	int event_fd;
	struct loop_watch event;
	bool event_running, event_again, event_failed;
	struct loop_timer event_later;
	struct link_state link[1 + FUNCTION_VF_MAX]; /* fig. 3; 0: the PF */

	/* Resets (reset.c). */
	struct reset *reset; /* which runs, or NULL */
	bool resetting;      /* from a100 to a525 */
	unsigned n_attempts; /* of the PF driver */
	int completion_fd;   /* confirm_interrupt.c */
	struct loop_watch completion;
	struct reset_record *record; /* a former hypervisor's; or NULL */
	struct kept_exceptions kept; /* config_emulation.c */
};

TAILQ_HEAD(device_list, device);

#define DEVICE_MAX 32u /* slots of vm0 */

/* The device at this PF, made when it is not known: its name, or "busN". NULL:
 * too many. */
struct device *device_get(struct hvmon *hv, uint16_t pf_bdf, const char *name);
struct device *device_find(struct hvmon *hv, uint16_t pf_bdf);
void devices_fini(struct hvmon *hv);

/* The function with this routing ID; PF: *vf is NULL.  False: unknown. */
bool device_find_bdf(struct hvmon *hv, uint16_t bdf, struct device **device,
		     struct vf **vf);
/* VF of that name, when its device is known and has so many; else NULL. */
struct vf *vf_find(struct hvmon *hv, const struct function_name *name);
struct device *device_find_name(struct hvmon *hv, const char *name);
void vf_name(const struct vf *vf, struct function_name *name);
/* "nic0/vf1"; returns buf (FUNCTION_NAME_MAX). */
char *vf_format(char *buf, const struct vf *vf);
/* Whether it can be used: its device is there and runs. */
bool vf_is_there(const struct vf *vf);
/* Machine-physical address of a BAR of the VF. */
uint64_t vf_bar_address(const struct vf *vf, unsigned bar);
/* Lanes of procedures: of the whole device; for what concerns VFs only; and for
 * what reaches the PF only. */
uint64_t device_lane(const struct device *device);
uint64_t device_vf_lane(const struct device *device);
uint64_t device_pf_lane(const struct device *device);

/* Take the layout of the VFs from device->sriov: routing IDs, count. */
void device_set_vfs(struct device *device, unsigned num_vfs);

const char *device_state_name(enum device_state state);
json_t *device_rows(void *hv);

#endif
