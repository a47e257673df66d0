/* failover_steps.h - the steps of the failover, inside of it. */
#ifndef IOVKIT_GUESTD_FAILOVER_STEPS_H
#define IOVKIT_GUESTD_FAILOVER_STEPS_H

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/successor.h"

enum failover_step {
	STEP_1603,
	STEP_1604,
	STEP_WHO, /* owns what, and runs */
	STEP_CLAIM,
	STEP_ROUTE, /* its interrupts come here; where its registers are */
	STEP_1701,
	STEP_1702,
	STEP_1703,
	STEP_LOOK, /* at 1702 again */
	STEP_ON,   /* transmit on, and repeat */
	STEP_1702_AGAIN,
	STEP_1703_AGAIN,
	STEP_WATCH, /* --check-memory */
	STEP_1704,
	STEP_1705,
	STEP_1706,
	STEP_2001,
	STEP_SERVE,
	STEP_UNMAP,
	STEP_CHECK, /* --check-memory */
	STEP_1707,
};

/* Each PF that was claimed and answers. */
#define EACH_PF(pf, s)                       \
	((pf) = (s)->pf);                    \
	(pf) < (s)->pf + (s)->n_pfs; (pf)++) \
		if ((pf)->owned && (pf)->works
/* Each VF of other guests. */
#define EACH_OTHER(n, pf)            \
	((n) = 1);                   \
	(n) <= (pf)->num_vfs; (n)++) \
		if ((pf)->vf[n].other

/* failover_claim.c */
int failover_make_room(struct failover *f, const struct sup_info *info);
int failover_check_1604(void *arg);
void failover_issue_who(void *arg);
int failover_check_who(void *arg);
void failover_issue_claim(void *arg);
int failover_check_claim(void *arg);
void failover_issue_route(void *arg);
int failover_check_route(void *arg);
/* failover_drain.c */
void failover_issue_1701(void *arg);
void failover_issue_1702(void *arg);
int failover_check_1702(void *arg);
void failover_issue_1703(void *arg);
int failover_check_1703_again(void *arg);
int failover_check_look(void *arg);
void failover_issue_on(void *arg);
int failover_check_on(void *arg);
void failover_issue_watch(void *arg);
int failover_check_watch(void *arg);
int failover_check_memory(void *arg);
/* failover_link.c */
void failover_issue_1704(void *arg);
void failover_issue_1705(void *arg);
void failover_issue_1706(void *arg);
int failover_check_1706(void *arg);
int failover_check_2001(void *arg);
/* 130A as hvmon kept it up to date; false: it must be rebuilt. */
bool failover_has_mirror(struct failover *f);
/* failover_reset.c */
void failover_issue_unmap(void *arg);
void failover_issue_1707(void *arg);
int failover_check_1707(void *arg);
/* What it stopped goes on, and it stops nobody any more. */
void failover_fence_stops(struct failover *f, int pid);

#endif
