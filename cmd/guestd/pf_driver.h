/* pf_driver.h - the PF driver of a management VM: it can reset the PF. */
#ifndef IOVKIT_GUESTD_PF_DRIVER_H
#define IOVKIT_GUESTD_PF_DRIVER_H

#include <stdbool.h>

#include "cmd/guestd/pci_probe.h"
#include "libcore/control.h"
#include "libcore/loop.h"

struct guest;

struct pf_driver {
	struct guest *guest;
	struct pci_slot pci; /* present: there is a PF */
	/* the hypervisor asks for a reset */
	int asked_fd;
	struct loop_watch asked;
	/* a reset that is under way */
	bool resetting;
	struct control_call *call; /* NULL: nobody waits for it */
	bool by_register;
	unsigned tries;
	uint64_t began_ns;
	struct loop_timer again;
};

void pf_driver_init(struct pf_driver *pf, struct guest *g);
void pf_driver_fini(struct pf_driver *pf);
/* Whether the slot shows the PF of a nic. */
bool pf_driver_takes(const struct pci_slot *slot);
/* Config space was looked at. */
void pf_driver_look(struct pf_driver *pf, const struct pci_slot *slot);
/* Control method reset {how?}. */
void pf_driver_reset(void *guest, struct control_call *call, json_t *params);

#endif
