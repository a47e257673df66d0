/* card.h - a function that this guest has and that is no nic's VF, as its
 * driver has it: found, set up, interrupts. */
#ifndef IOVKIT_GUESTD_CARD_H
#define IOVKIT_GUESTD_CARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cmd/guestd/access.h"
#include "cmd/guestd/pci_probe.h"
#include "libcore/control.h"
#include "libcore/loop.h"

struct access_cost;
struct card;
struct guest;
struct vf_select;

enum card_state {
	CARD_NEW,
	CARD_UP,
	CARD_AWAY,   /* absent, or it answers with all ones */
	CARD_FAILED, /* its set-up did */
	CARD_STATE_N
};

/* A kind of card: its driver. */
struct card_ops {
	const char *name;
	uint16_t vendor, device;
	size_t size; /* of the structure that begins with struct card */
	bool whole;  /* a device of its own: windows may show its registers */
	/* Memory and such, once; -errno. */
	int (*init)(struct card *card);
	/* The function is as after a reset: program it, then card_up(),
	 * card_failed() or card_not_set_up(). */
	void (*start)(struct card *card);
	/* It looks as it was left: make sure, then card_verified().  NULL:
	 * looks suffice. */
	void (*verify)(struct card *card);
	/* It is back as it was left; accesses of before may not have been done,
	 * though nobody said so.  The look for interrupts follows.  NULL: that
	 * suffices. */
	void (*back)(struct card *card);
	/* It interrupts, or may have while nobody listened. */
	void (*interrupt)(struct card *card);
	void (*fini)(struct card *card);
	/* While it is held (card_hold.h): whether no sequence is open, and, if
	 * drained, nothing is under way; then go on.  NULL: it cannot be. */
	bool (*rests)(const struct card *card, bool drained);
	void (*go_on)(struct card *card);
	/* Members of its own for the table "cards". */
	void (*report)(const struct card *card, json_t *row);
};

struct card {
	const struct card_ops *ops;
	struct guest *guest;
	struct pci_slot pci, next_pci;
	enum card_state state;
	char name[16]; /* "ether2": kind and slot */
	char why[96];  /* CARD_FAILED, CARD_AWAY */
	struct access config, bar;
	int irq_fd;
	struct loop_watch irq;
	bool irq_wired;
	uint64_t interrupts, setups, resets;
	/* set-up */
	unsigned step, pending;
	bool busy, look_again;
	bool unfinished; /* it began to program the function and is not up */
	bool verified, stale; /* by ops->verify; it was reset after all */
	int err;
	struct access_cost *cost; /* access_cost.c */
	/* card_hold.c */
	struct {
		bool on, drained;
		struct control_call *call; /* waits until it rests */
		struct loop_timer lease;
	} hold;
	/* card_reset.c */
	struct {
		struct control_call *call; /* waits until it is reset */
		uint64_t began_ns;
	} reset;
};

extern const struct card_ops ether_card, uart_card, hca_card;

const char *card_state_name(enum card_state state);
/* The driver that takes what the slot shows; NULL: none does. */
const struct card_ops *card_ops_for(const struct pci_slot *slot);
/* -errno */
int card_new(struct card **card, struct guest *g, const struct card_ops *ops,
	     unsigned slot) __attribute__((warn_unused_result));
/* After the bus link is gone. */
void card_free(struct card *card);
/* Config space was looked at. */
void card_look(struct card *card, const struct pci_slot *slot);

/* By the drivers.  Whether what they made is still there. */
void card_verified(struct card *card, bool same);
/* Its registers are programmed. */
void card_up(struct card *card);
/* An access failed or read as all ones: away until the platform interrupts. */
void card_lost(struct card *card, const char *why);
/* The same, of what start() or verify() does: the set-up is over, also of a card
 * that was away already. */
void card_not_set_up(struct card *card, const char *why);
/* It is not what the driver drives. */
void card_failed(struct card *card, const char *why);

/* The card that is up, of this kind, and that `select` means; NULL: none. */
struct card *guest_find_card(struct guest *g, const struct card_ops *ops,
			     const struct vf_select *select);
/* The table "cards". */
extern const struct control_table card_tables[];

#endif
