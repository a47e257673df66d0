/* workload.h - what a guest does with its VFs: one interface for all kinds.
 *
 * A workload is made from a spec (option or control method), waits until the
 * VF that it means is up, runs, and is done, failed or stopped.  A receiving
 * one gets every frame of the VFs that it means.
 */
#ifndef IOVKIT_GUESTD_WORKLOAD_H
#define IOVKIT_GUESTD_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "cmd/guestd/mac.h"
#include "cmd/guestd/uart_driver.h"
#include "libcore/complaint.h"
#include "libcore/loop.h"

struct guest;
struct vf;
struct workload;

/* Which VF: all those that are there, a slot, or a function by its MAC. */
struct vf_select {
	enum {
		VF_SELECT_ANY,
		VF_SELECT_SLOT,
		VF_SELECT_MAC
	} by;
	unsigned slot;
	uint8_t mac[MAC_SIZE];
};

enum workload_kind {
	WORKLOAD_SEND,
	WORKLOAD_REQUESTS,
	WORKLOAD_REPLAY,
	WORKLOAD_SINK,
	WORKLOAD_CAPTURE,
	WORKLOAD_TAP,
	WORKLOAD_ECHO,
	WORKLOAD_ROUNDTRIP,
	WORKLOAD_MESSAGES,
	WORKLOAD_TTY,
	WORKLOAD_BYTES,
	WORKLOAD_EXCHANGE,
	WORKLOAD_ACCESSES,
	WORKLOAD_KIND_N
};

struct workload_spec {
	enum workload_kind kind;
	struct vf_select vf;
	uint64_t rate;  /* a second; 0: as fast as it goes */
	uint64_t count; /* 0: no end */
	/* send */
	uint8_t to[MAC_SIZE];
	uint32_t size_min, size_max;
	uint64_t seed;
	bool plain; /* no number, no checksum: fixed bytes */
	/* send, requests: under way at a time; send: 0 is half the ring */
	uint32_t depth;
	/* requests */
	uint32_t reg;   /* offset in BAR 0 */
	unsigned group; /* those that were spread over all VFs share it */
	/* replay, capture: file; tap: interface */
	const char *path;
	bool timing; /* replay: as captured */
	bool writes; /* accesses */
	/* tty, bytes */
	struct uart_mode uart;
	enum bytes_way {
		BYTES_BOTH,
		BYTES_SEND,
		BYTES_CHECK
	} way;
	/* exchange: with the peer's ports from this number on */
	uint32_t partition, peer_service, service, queues;
	uint32_t write_every; /* 0: never */
	uint64_t delay_ns;    /* of interrupts */
	uint64_t again_ns; /* when a port that failed is made anew; 0: never */
	bool own_eq;       /* each port has an event queue of its own */
	enum exchange_role {
		EXCHANGE_BOTH, /* both sides send as they like */
		EXCHANGE_REQUEST,
		EXCHANGE_RESPOND
	} role;
};

enum workload_state {
	WORKLOAD_WAITING, /* for its VF */
	WORKLOAD_RUNNING,
	WORKLOAD_DONE,
	WORKLOAD_STOPPED,
	WORKLOAD_FAILED,
	WORKLOAD_STATE_N
};

struct workload_ops {
	const char *name;
	size_t size; /* of the structure that begins with struct workload */
	bool receives;
	const struct card_ops *card; /* it needs such a card, not a VF */
	/* Open what is needed before any VF is there; -errno with *c. */
	int (*open)(struct workload *w, struct complaint *c);
	/* w->vf or w->card is up, for the first time. */
	void (*start)(struct workload *w);
	/* End it: it starts nothing more. */
	void (*stop)(struct workload *w);
	/* It may be freed: nobody points at it.  NULL: once it ended. */
	bool (*idle)(const struct workload *w);
	void (*fini)(struct workload *w); /* may be NULL */
	/* Receiving: room for one more frame of vf.  NULL: always. */
	bool (*room)(struct workload *w, struct vf *vf);
	/* Receiving: one frame of vf, in its buffer number *buffer, which
	 * may be exchanged for another. */
	void (*deliver)(struct workload *w, struct vf *vf, uint32_t *buffer,
			uint32_t size, uint64_t now_ns);
	/* A batch of frames was delivered (vf NULL: a message of the card).
	 * May be NULL. */
	void (*delivered)(struct workload *w, struct vf *vf);
	/* Members "done", "of", "errors" and more of its own. */
	void (*report)(const struct workload *w, json_t *row);
	void (*reset)(struct workload *w);
};

struct workload {
	const struct workload_ops *ops;
	struct guest *guest;
	TAILQ_ENTRY(workload) entry;
	TAILQ_ENTRY(workload) receiving; /* if it receives */
	struct workload_spec spec;
	char name[16]; /* "send1" */
	enum workload_state state;
	bool bad;          /* its result is not what it should be */
	struct vf *vf;     /* NULL: waiting, or receiving from several */
	struct card *card; /* of those that need one */
	int status;        /* WORKLOAD_FAILED: with which --once ends */
	char why[256];     /* the same: what is wrong */
};

struct workloads {
	TAILQ_HEAD(workload_list, workload) list;
	TAILQ_HEAD(, workload) receiving;
	unsigned n, made; /* made: for their names */
	unsigned receivers;
	uint64_t received; /* frames given to receivers */
	struct loop_timer idle;
	struct loop_deferred check;
};

/* Parse "key=value,..." of a kind ("64,count=N" for requests). -EINVAL,
 * -ERANGE with *c.  `spec` keeps pointers into nothing of text but path. */
int workload_parse(enum workload_kind kind, const char *text,
		   struct workload_spec *spec, struct complaint *c)
	__attribute__((warn_unused_result));
/* A spec with the defaults of its kind. */
struct workload_spec workload_spec_init(enum workload_kind kind);
/* "64-1514" or "64". */
int workload_parse_size(const char *text, struct workload_spec *spec,
			struct complaint *c)
	__attribute__((warn_unused_result));
/* "numbered" or "plain". */
int workload_parse_payload(const char *text, struct workload_spec *spec,
			   struct complaint *c)
	__attribute__((warn_unused_result));
/* "nic1/vf1", a MAC address, or a slot number. */
int vf_select_parse(const char *text, struct vf_select *select,
		    struct complaint *c) __attribute__((warn_unused_result));
/* Whether it ends by itself, for --once. */
bool workload_is_finite(const struct workload_spec *spec);

void workloads_init(struct guest *g);
void workloads_fini(struct guest *g);
/* Make one and start it when its VF is up.  -errno with *c. */
int workloads_add(struct guest *g, const struct workload_spec *spec,
		  struct workload **w, struct complaint *c)
	__attribute__((warn_unused_result));
/* Bind what waits to the VFs that are up. */
void workloads_bind(struct guest *g);
/* Stop one by name or all (NULL); how many were stopped. */
unsigned workloads_stop(struct guest *g, const char *name);
void workloads_reset(struct guest *g);
/* Forget the oldest ended ones beyond a bound, before adding one. */
void workloads_prune(struct guest *g);
/* Whether there is room for every frame as long as nothing is done. */
bool workloads_have_room(struct guest *g, struct vf *vf);
bool workloads_room(struct guest *g, struct vf *vf);
/* A batch of frames of one VF that came at now_ns. */
struct delivery {
	struct guest *guest;
	struct vf *vf;
	uint64_t now_ns;
	struct workload *only; /* takes them all; NULL: not just one does */
};
struct delivery workloads_begin(struct guest *g, struct vf *vf,
				uint64_t now_ns);
void workloads_deliver(const struct delivery *d, uint32_t *buffer,
		       uint32_t size);
void workloads_delivered(struct guest *g, struct vf *vf);
/* A message came in at a card whose address is `mac`. */
void workloads_message(struct guest *g, struct card *card,
		       const uint8_t mac[MAC_SIZE], const uint8_t *frame,
		       uint32_t size);

/* Called by the workloads themselves. */
void workload_done(struct workload *w);
void workload_failed(struct workload *w, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
json_t *workload_to_json(const struct workload *w);
/* The name of what it works with, or "all". */
const char *workload_function(const struct workload *w);
const char *workload_state_name(enum workload_state state);

extern const struct workload_ops send_ops, requests_ops, replay_ops, sink_ops,
	capture_ops, tap_ops, echo_ops, roundtrip_ops, messages_ops,
	accesses_ops, tty_ops, bytes_ops, exchange_ops;

#endif
