/* exceptions.c - what the root bridge reports to its supervisor. */
#include <config.h>

#include "cmd/hvmon/exceptions.h"

#include <errno.h>
#include <string.h>

#include "cmd/hvmon/allocate.h"
#include "cmd/hvmon/config_emulation.h"
#include "cmd/hvmon/control_signal.h"
#include "cmd/hvmon/device_events.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/level1.h"
#include "cmd/hvmon/level2.h"
#include "cmd/hvmon/management.h"
#include "cmd/hvmon/pf_guard.h"
#include "cmd/hvmon/takeback.h"
#include "cmd/hvmon/translation.h"
#include "cmd/hvmon/virtual.h"
#include "cmd/hvmon/vm_reset.h"
#include "libcore/platform.h"

static void decide(struct hvmon *hv, uint64_t serial,
		   enum sup_verdict_action action, int err, const void *data,
		   uint32_t size)
{
	struct sup_verdict verdict;

	if (!serial)
		return;
	memset(&verdict, 0, offsetof(struct sup_verdict, data));
	verdict.serial = serial;
	verdict.action = action;
	verdict.error = (uint32_t)err;
	if (data) {
		verdict.size = size;
		memcpy(verdict.data, data, size);
	}
	bridge_link_verdict(&hv->bridge, &verdict);
}

void exception_answer(struct hvmon *hv, uint64_t serial, const void *data,
		      uint32_t size)
{
	decide(hv, serial, SUP_VERDICT_DONE, 0, data, size);
}

void exception_all_ones(struct hvmon *hv, uint64_t serial)
{
	decide(hv, serial, SUP_VERDICT_UNSUPPORTED, 0, NULL, 0);
}

void exception_abort(struct hvmon *hv, uint64_t serial)
{
	decide(hv, serial, SUP_VERDICT_FAIL, EIO, NULL, 0);
}

void exception_refuse(struct hvmon *hv, uint64_t serial, int err)
{
	decide(hv, serial, SUP_VERDICT_FAIL, err, NULL, 0);
}

void exception_again(struct hvmon *hv, uint64_t serial)
{
	decide(hv, serial, SUP_VERDICT_AGAIN, 0, NULL, 0);
}

void exception_done(struct hvmon *hv, const struct sup_exception *exception,
		    const void *data)
{
	exception_answer(hv, exception->serial, data, exception->size);
}

void exception_fail(struct hvmon *hv, const struct sup_exception *exception,
		    int err)
{
	exception_refuse(hv, exception->serial, err);
}

void exception_unsupported(struct hvmon *hv,
			   const struct sup_exception *exception)
{
	exception_all_ones(hv, exception->serial);
}

/* An access that nothing here emulates: the VM has no right to it. */
static void refuse(struct hvmon *hv, const struct sup_exception *exception)
{
	char vm[VM_NAME_MAX];
	uint64_t suppressed;

	if (vm_tells(hv, exception->vm, &suppressed))
		event(hv->program->log, "exception",
		      "s:s, s:I, s:I, s:b, s:b, s:I", "vm",
		      vm_format(vm, exception->vm), "gpa",
		      (json_int_t)exception->gpa, "size",
		      (json_int_t)exception->size, "write",
		      (exception->flags & SUP_EX_WRITE) != 0, "denied",
		      (exception->flags & SUP_EX_DENIED) != 0, "suppressed",
		      (json_int_t)suppressed);
	exception_unsupported(hv, exception);
}

static void take_access(struct hvmon *hv, const struct sup_exception *exception)
{
	if (exception->size > SUP_DATA_MAX ||
	    (!translation_takes(hv, exception) &&
	     !control_signal_takes(hv, exception) &&
	     !level1_takes(hv, exception) && !pf_guard_takes(hv, exception) &&
	     !management_takes(hv, exception) &&
	     !virtual_takes(hv, exception) &&
	     !config_emulation_takes(hv, exception)))
		refuse(hv, exception);
}

void exception_take(struct hvmon *hv, const struct sup_exception *exception)
{
	if (hv->level2) {
		level2_exception(hv, exception);
		return;
	}
	switch (exception->type) {
	case SUP_EX_ACCESS:
		take_access(hv, exception);
		break;
	case SUP_EX_ATTACHED:
		device_event_attached(hv, exception->bdf);
		break;
	case SUP_EX_REMOVED:
		device_event_removed(hv, exception->bdf);
		break;
	case SUP_EX_CONTAINED:
		device_event_contained(hv, exception->bdf, true);
		break;
	case SUP_EX_UNCONTAINED:
		device_event_contained(hv, exception->bdf, false);
		break;
	case SUP_EX_RELEASED:
		takeback_released(hv, exception->bdf);
		break;
	case SUP_EX_VM_STARTED:
		vm_event_started(hv, exception->vm);
		break;
	case SUP_EX_VM_LOST:
		vm_event_lost(hv, exception->vm);
		break;
	case SUP_EX_UNANSWERED:
		inject_start(hv, exception->vm, NULL);
		break;
	default:
		event(hv->program->log, "exception.unknown", "s:I", "type",
		      (json_int_t)exception->type);
		exception_unsupported(hv, exception);
	}
}
