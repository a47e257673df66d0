/* translation.h - translations that guests propose for devices which they have
 * whole (spec 05, fig. 5): accepted, changed or rejected, and taken back. */
#ifndef IOVKIT_HVMON_TRANSLATION_H
#define IOVKIT_HVMON_TRANSLATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "libcore/complaint.h"
#include "libcore/control.h"
#include "libcore/function_name.h"
#include "libcore/supervisor.h"

#define REVOKE_LIMIT_DEFAULT_NS 10000000ull

struct bridge_tables;
struct device;
struct hvmon;
struct procedure;
struct revoke;
struct translation_rule;

/* What hvmon keeps of them. */
struct translations {
	SLIST_HEAD(, translation_rule) rules; /* translation_policy.c */
	struct sup_window *windows;           /* that are granted */
	unsigned n_windows;
	LIST_HEAD(, revoke) revoking;
	uint64_t limit_ns; /* for a guest to stop by itself */
};

void translations_init(struct translations *t);
void translations_fini(struct translations *t);
/* What a former hypervisor granted. */
void translations_adopt(struct hvmon *hv, const struct bridge_tables *tables);
/* Nobody answered proposals before: let VMs make them again. */
void translations_begin(struct hvmon *hv);
/* The root bridge ended the windows of a device that is gone or contained; of a
 * VM whose process is gone. */
void translation_forget(struct translations *t, uint16_t bdf);
void translation_forget_vm(struct translations *t, uint32_t vm);
/* An access of a VM's CPU that is about translations; false: it is none. */
bool translation_takes(struct hvmon *hv, const struct sup_exception *exception);

/* It is done, or err says what failed (-errno). */
typedef void translation_fn(void *arg, int err);

/* Proposals for this device are inspected from now on (direct; as at first) or
 * all rejected (trapped).  Windows that are granted stay. */
void translation_allow(struct device *device, bool allowed);
/* Take the windows of the device back; done(arg, err) once neither side can
 * use one any more (at once if there is none).  For whoever owns the device's
 * lane. */
void translation_revoke(struct device *device, translation_fn *done, void *arg);
/* The same as a part of a step. */
void step_revoke(struct procedure *p, struct device *device);

/* Policies (translation_policy.c): what becomes of a proposal. */
enum translation_policy {
	TRANSLATION_ACCEPT,
	TRANSLATION_READ_ONLY, /* changed: without the right to write */
	TRANSLATION_PAGE,      /* changed: another device's page */
	TRANSLATION_REJECT,
	TRANSLATION_POLICY_N
};

struct translation_rule {
	SLIST_ENTRY(translation_rule) entry;
	char device[DEVICE_NAME_MAX + 1];
	enum translation_policy policy;
	char page[DEVICE_NAME_MAX + 1]; /* TRANSLATION_PAGE: whose */
};

/* "ether0=read-only"; -EINVAL with *c. */
int translation_rule_parse(struct translations *t, const char *text,
			   struct complaint *c)
	__attribute__((warn_unused_result));
/* NULL: accept. */
const struct translation_rule *
translation_rule_find(const struct translations *t, const char *device);
void translate_method(void *hv, struct control_call *call, json_t *params);
json_t *translation_rows(void *hv);

/* Between translation.c and translation_revoke.c. */
/* Whether the window leads to this device, or stands in the place of its
 * registers. */
bool translation_concerns(struct hvmon *hv, const struct sup_window *window,
			  const struct device *device);
/* The VM dropped all that it had. */
void revoke_dropped(struct hvmon *hv, uint32_t vm);
/* Let the device's VM propose anew what was rejected. */
void translation_ask_anew(struct device *device);
/* The first window that concerns the device; NULL: none. */
const struct sup_window *translation_window(struct hvmon *hv,
					    const struct device *device);

#endif
