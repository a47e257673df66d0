/* successor.h - a guest that takes the hypervisor's place (--successor). */
#ifndef IOVKIT_GUESTD_SUCCESSOR_H
#define IOVKIT_GUESTD_SUCCESSOR_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "cmd/guestd/failover.h"
#include "cmd/guestd/monitor.h"
#include "cmd/guestd/sub_pf_driver.h"
#include "libcore/control.h"

struct guest;

enum link_sync {
	LINK_SYNC_REBUILD,
	LINK_SYNC_MIRROR,
};

enum successor_state {
	SUCCESSOR_UNLISTED, /* the hypervisor did not name this VM yet */
	SUCCESSOR_WATCHING, /* 1601, 1602 */
	SUCCESSOR_TAKEOVER, /* 1603 to 1707 */
	SUCCESSOR_OWNER,    /* until a hypervisor asks for the PFs */
	SUCCESSOR_RETURN,   /* it gets them */
	SUCCESSOR_STATE_N
};

#define SUCCESSOR_SHARES 512u

struct successor {
	struct guest *guest;
	enum successor_state state;
	struct monitor monitor;
	struct failover failover;
	struct sub_pf *pf; /* LINK_DEVICES of them */
	unsigned n_pfs;
	struct link_page *page; /* shared with hvmon */

	/* finding out whether and with whom */
	struct bus_steps listing;
	struct loop_timer list_again;
	struct sup_info info;
	struct sup_share shares[SUCCESSOR_SHARES];
	bool on_bus, wired;

	/* handing back */
	struct bus_steps returning;
	uint32_t wanted; /* by this process */

	/* the PFs' interrupt */
	int irq_fd;
	struct loop_watch irq;

	pid_t failed_pid;         /* that hypervisor was taken over from */
	bool stood_down;          /* another successor was faster */
	uint32_t yielded_to;      /* that VM, if it comes later; 0 */
	uint64_t beats_at_return; /* the hypervisor's count; 0: none */
	/* soft resets of late; more would not help */
	uint64_t resets_since_ns;
	unsigned resets;
	unsigned takeovers;
};

int successor_start(struct guest *g) __attribute__((warn_unused_result));
void successor_free(struct successor *s);
/* The bus can be used. */
void successor_bus_up(struct successor *s);
/* Something happened: go on with what there is to do. */
void successor_look(struct successor *s);
/* Nothing of the sub PF driver is under way. */
bool successor_is_idle(const struct successor *s);
/* Somebody else took a PF from this VM. */
void successor_fenced(struct successor *s, struct sub_pf *pf);
/* Whether one more soft reset could help. */
bool successor_may_reset(struct successor *s);
/* The failover is over. */
void successor_took_over(struct successor *s, int err);
/* The hypervisor named it. */
bool successor_is_ready(const struct successor *s);

extern const struct control_table successor_tables[];

#endif
