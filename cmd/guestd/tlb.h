/* tlb.h - the translations that the guest's CPU holds (spec 05): pages of
 * registers which it reaches through a window, without the bus. */
#ifndef IOVKIT_GUESTD_TLB_H
#define IOVKIT_GUESTD_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "libcore/control.h"
#include "libcore/loop.h"
#include "libcore/platform.h"
#include "libcore/poll_mode.h"
#include "libcore/window.h"

struct access_op;
struct guest;
struct tlb;

enum translation_state {
	TRANSLATION_FREE,
	TRANSLATION_ASKED,    /* proposed */
	TRANSLATION_REJECTED, /* until it is invalidated */
	TRANSLATION_OPEN,
	TRANSLATION_STOPPING, /* takes no more, and waits for replies */
	TRANSLATION_STATE_N
};

struct translation {
	struct tlb *tlb;
	uint64_t page; /* guest-physical */
	enum translation_state state;
	bool stale; /* invalidated while it was asked for */
	uint32_t rights;
	struct window window;
	int memory_fd, fd[2]; /* what is asked for; doorbell, bell */
	struct loop_watch bell;
	struct loop_poller poller;
	struct poll_spin spin;
	bool asleep;
	/* On their way; all of one struct access, whose page it is. */
	struct access_op *op[WINDOW_SLOTS];
	uint64_t reads, writes;
};

struct tlb {
	struct guest *guest;
	struct translation entry[PLATFORM_TLB_ENTRIES];
	unsigned next; /* to be replaced */
	int irq_fd;
	struct loop_watch irq;
	bool dropping; /* the hypervisor waits for that */
};

/* Before the bus link is there. */
void tlb_init(struct tlb *tlb, struct guest *guest);
/* After the bus link is gone: what is on its way is not told any more. */
void tlb_fini(struct tlb *tlb);
/* The translation of that page, proposed if there was none; NULL: no entry is
 * free. */
struct translation *tlb_find(struct tlb *tlb, uint64_t page);
/* Propose anew what was rejected: devices may be others now. */
void tlb_forget_rejected(struct tlb *tlb);

static inline bool translation_allows(const struct translation *t, bool write)
{
	return t->state == TRANSLATION_OPEN &&
	       t->rights & (write ? WINDOW_WRITE : WINDOW_READ);
}
/* Send an access that it allows, and for which its window has room; ends in
 * access_done() or access_again(). */
void translation_send(struct translation *t, struct access_op *op);

extern const struct control_table tlb_tables[];

#endif
