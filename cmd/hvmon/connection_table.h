/* connection_table.h - the connection table (spec 03): which VM each device
 * with a single port is connected with, at most one at a time.  The table
 * "connections". */
#ifndef IOVKIT_HVMON_CONNECTION_TABLE_H
#define IOVKIT_HVMON_CONNECTION_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "cmd/hvmon/connection_record.h"
#include "cmd/hvmon/device.h"
#include "cmd/hvmon/vm_table.h"
#include "libcore/complaint.h"

struct emulator;

struct connection {
	TAILQ_ENTRY(connection) entry;
	char device[DEVICE_NAME_MAX + 1];
	uint32_t vm; /* connected; PLATFORM_VM_NONE */
	uint32_t to; /* CONNECTION_SWITCHING: to that one, or to nobody */
	enum connection_phase phase;
	uint32_t epoch; /* counts its changes, from 1; 0: not connected yet */
	uint64_t since_ns;
	/* Who was or may be connected: those of the option, in their order,
	 * then others as they came. */
	unsigned n;
	struct connection_member member[CONNECTION_VMS];
	const struct emulator *shown; /* carried.h; NULL: its own kind */
};
TAILQ_HEAD(connections, connection);

void connections_init(struct connections *list);
void connections_fini(struct connections *list);
/* "ether0=vm1,vm2": the first has the device, the others stand by for it in
 * this order; ",virtual": it starts as a virtual one; ",as=uart": they see a
 * device of that kind.  -EINVAL, -ERANGE, -EEXIST, -ENOSPC with *c. */
int connections_add_text(struct hvmon *hv, const char *text,
			 struct complaint *c)
	__attribute__((warn_unused_result));

/* NULL: there is none. */
struct connection *connection_find(struct hvmon *hv, const char *device);
/* That of a device with one function, made when there is none. */
struct connection *connection_get(struct device *device);
/* The VM's place in the order, from 1; 0: it has none. */
unsigned connection_order(const struct connection *c, uint32_t vm);
/* The VM's place, made behind the others; the slot where it has the device.
 * -ENOSPC: there is none. */
int connection_slot(struct hvmon *hv, struct connection *c, uint32_t vm,
		    uint32_t *slot) __attribute__((warn_unused_result));
/* Whether the VM has a device. */
bool connections_have(struct hvmon *hv, uint32_t vm);
/* Whether the VM is connected with a device, or may be, that others share. */
bool connections_share(struct hvmon *hv, uint32_t vm);

/* Leave it for the next hypervisor. */
void connection_write(struct device *device, const struct connection *c);
/* What a former one left of all devices that were found, after the root
 * bridge's tables were taken: it counts more than these and the options. */
void connections_take(struct hvmon *hv);
/* A device was set up or adopted, or its function given or taken otherwise:
 * the table follows. */
void connection_follow(struct device *device);
/* Whether a former hypervisor was switching it: it is given to nobody before
 * that is complete. */
bool connection_is_open(const struct device *device);

json_t *connection_rows(void *hv);

#endif
