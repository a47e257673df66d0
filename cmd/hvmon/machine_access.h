/* machine_access.h - requests to the root bridge as parts of a procedure's
 * step: accesses to machine-physical addresses, config space included, and
 * supervisor commands.
 *
 * Each is sent at once and counted; the step is over when all are answered.
 * Accesses to one function are done in the order in which they were started.
 * What `into` points at must live as long as the procedure.  A failed access
 * fails the procedure; a function that is not there reads as all ones.
 */
#ifndef IOVKIT_HVMON_MACHINE_ACCESS_H
#define IOVKIT_HVMON_MACHINE_ACCESS_H

#include <stdint.h>

#include "cmd/hvmon/bridge_link.h"
#include "cmd/hvmon/procedure.h"
#include "libcore/supervisor.h"

void step_read(struct procedure *p, uint64_t mpa, void *into, uint32_t size);
void step_write(struct procedure *p, uint64_t mpa, const void *data,
		uint32_t size);
void step_write32(struct procedure *p, uint64_t mpa, uint32_t value);

void step_config_read(struct procedure *p, uint16_t bdf, unsigned offset,
		      void *into, uint32_t size);
void step_config_write(struct procedure *p, uint16_t bdf, unsigned offset,
		       const void *data, uint32_t size);
void step_config_write16(struct procedure *p, uint16_t bdf, unsigned offset,
			 uint16_t value);
void step_config_write32(struct procedure *p, uint16_t bdf, unsigned offset,
			 uint32_t value);

enum {
	STEP_MAY_FAIL = 1 /* a refusal is not the procedure's failure */
};

/* Any region of the bus socket. */
void step_region_read(struct procedure *p, uint32_t region, uint64_t offset,
		      void *into, uint32_t size);
void step_region_write(struct procedure *p, uint32_t region, uint64_t offset,
		       const void *data, uint32_t size, unsigned flags);

/* Map the memory behind a region, `size` bytes; fails when it has none.  The
 * map is the caller's. */
void step_region_map(struct procedure *p, uint32_t region, uint32_t size,
		     void **map);

/* Send an array of supervisor commands; an empty one is not sent. */
void step_sup_write(struct procedure *p, enum sup_kind kind, const void *array,
		    uint32_t size, unsigned flags);
/* One whose refusal (but EPERM) is the caller's business: *err. */
void step_sup_try(struct procedure *p, enum sup_kind kind, const void *array,
		  uint32_t size, int *err);
void step_sup_read(struct procedure *p, enum sup_kind kind, void *into,
		   uint32_t size);
/* Interrupt a VM; one that does not listen misses nothing. */
void step_inject(struct procedure *p, uint32_t vm, uint32_t irq);
/* A vector of vm0 with its eventfd (stays the caller's). */
void step_own_irq(struct procedure *p, uint32_t irq, int fd);

/* The step lasts at least this long. */
void step_sleep(struct procedure *p, uint64_t ns);

/* The connection is closed: nothing will be answered any more. */
void step_requests_free(struct step_requests *requests);

#endif
