/* hca_port.h - one queue pair of the adapter with its completion queue and
 * buffers. */
#ifndef IOVKIT_GUESTD_HCA_PORT_H
#define IOVKIT_GUESTD_HCA_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/guestd/hca_driver.h"

struct hca_port_ops {
	/* It may send. */
	void (*up)(void *arg);
	/* A message came; valid during the call. */
	void (*message)(void *arg, const uint8_t *data, uint32_t size);
	/* An entry that was posted is done. */
	void (*sent)(void *arg);
	/* It works no more; called once. */
	void (*failed)(void *arg, const char *why);
};

struct hca_port_spec {
	uint32_t service;  /* its number */
	uint64_t peer;     /* hca_address() */
	uint32_t depth;    /* entries of each queue, a power of two */
	uint32_t size;     /* bytes of a buffer */
	uint32_t window;   /* bytes that the peer may write */
	bool own_eq;       /* it has an event queue of its own */
	uint64_t delay_ns; /* of that one's interrupts; 0: at once */
};

enum hca_port_state {
	HCA_PORT_STARTING,
	HCA_PORT_UP,
	HCA_PORT_FAILED,
	HCA_PORT_CLOSING,
};

struct hca_port {
	struct hca_driver *d;
	const struct hca_port_ops *ops; /* NULL: nobody listens any more */
	void *arg;
	struct hca_port_spec spec;
	enum hca_port_state state;
	unsigned number, step;
	struct hca_verbs verbs;
	bool verbs_run;
	uint64_t cq, qp;     /* handles */
	uint64_t eq;         /* its own; 0: the driver's */
	uint64_t gpa, bytes; /* all that follows */
	uint8_t *hva;
	uint64_t send_at, receive_at, cq_at, eq_at, out_at, in_at,
		window_at; /* in it */
	struct hca_reader completions, events;
	uint32_t sent, done, received; /* indexes of the queues */
	bool ring_send, ring_receive, ringing;
	struct loop_deferred freeing;
};

/* Make one; `up` or `failed` follows.  -ENOMEM. */
int hca_port_open(struct card *card, const struct hca_port_spec *spec,
		  const struct hca_port_ops *ops, void *arg,
		  struct hca_port **port) __attribute__((warn_unused_result));
/* Nothing is called any more; the adapter lets go of it. */
void hca_port_close(struct hca_port *port);
/* Entries that may be posted now. */
uint32_t hca_port_room(const struct hca_port *port);
/* The buffer of the next entry. */
uint8_t *hca_port_buffer(const struct hca_port *port);
/* Post the next entry, whose data lies in its buffer: a message, or a write to
 * this place in the peer's window. */
void hca_port_send(struct hca_port *port, uint32_t size);
void hca_port_write(struct hca_port *port, uint32_t size, uint64_t remote);
/* Tell the adapter what was posted. */
void hca_port_ring(struct hca_port *port);
/* What the peer wrote. */
const uint8_t *hca_port_window(const struct hca_port *port);
/* By the driver: an event about it; the adapter forgot it; free it. */
void hca_port_event(struct hca_port *port, const struct hca_eqe *eqe);
void hca_port_forget(struct hca_port *port);
void hca_port_free(struct hca_port *port);

#endif
