/* hca_driver.h - the driver of a partition of the host channel adapter that
 * this guest uses directly: its event queue, and ports. */
#ifndef IOVKIT_GUESTD_HCA_DRIVER_H
#define IOVKIT_GUESTD_HCA_DRIVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "cmd/guestd/card.h"
#include "cmd/guestd/hca_verbs.h"
#include "libcore/hca_consumer.h"
#include "libcore/limiter.h"

/* So many handles that were freed are known: events of them may be on their
 * way still. */
#define HCA_FREED 1024u

struct hca_port;

struct hca_driver {
	struct card card;
	struct hca_verbs verbs, delay;
	uint64_t eq, id, partition; /* handle; registers */
	uint64_t gpa;               /* of the event queue, then the ASBs */
	struct hca_reader events;
	_Atomic uint8_t *asb;   /* [0] of `events`; [1 + n] of port n's own */
	struct hca_port **port; /* by number; NULL: none */
	unsigned n_ports;
	uint32_t freed[HCA_FREED]; /* handles of ports that are gone */
	unsigned n_freed;          /* runs freely */
	uint64_t taken, late, stray, refused;
	struct limiter told; /* events of strays */
};

/* The partition's number. */
unsigned hca_partition_of(const struct card *card);
/* Interrupt at once (0), or by the adapter's delay timer. */
void hca_set_delay(struct card *card, uint64_t delay_ns);

/* By hca_port.c.  A free number; -ENOMEM. */
int hca_driver_add(struct hca_driver *d, struct hca_port *port)
	__attribute__((warn_unused_result));
void hca_driver_remove(struct hca_driver *d, struct hca_port *port);
/* Where the summary byte of the port's own event queue lies. */
uint64_t hca_driver_asb(const struct hca_driver *d,
			const struct hca_port *port);

#endif
