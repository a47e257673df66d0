/* hca_verbs.c - verbs of an adapter: four accesses each, all of a batch sent
 * at once.  They are done, and answered, in their order. */
#include <config.h>

#include "cmd/guestd/hca_verbs.h"

#include <errno.h>
#include <stddef.h>

static const char *const status_names[] = {
	[HCA_OK] = "done",
	[HCA_BAD_VERB] = "bad verb",
	[HCA_BAD_HANDLE] = "bad handle",
	[HCA_BAD_ATTRIBUTE] = "bad attribute",
	[HCA_BAD_VALUE] = "bad value",
	[HCA_BAD_ADDRESS] = "bad address",
	[HCA_BUSY] = "busy",
	[HCA_NO_ROOM] = "no room",
};
_Static_assert(sizeof(status_names) / sizeof(*status_names) == HCA_STATUS_N,
	       "one name a status");

const char *hca_status_name(enum hca_status status)
{
	return status < HCA_STATUS_N ? status_names[status] : "no status";
}

static void failed(struct hca_verbs *v, int err)
{
	if (err && !v->err)
		v->err = err;
}

static void put(struct hca_verbs *v)
{
	if (--v->pending == 0)
		v->done(v->arg, v->err, v->status);
}

static void on_written(void *arg, int err, uint64_t value)
{
	struct hca_verbs *v = arg;

	(void)value;
	failed(v, err);
	put(v);
}

static void on_result(void *arg, int err, uint64_t value)
{
	*(uint64_t *)arg = err ? 0 : value;
}

static void on_status(void *arg, int err, uint64_t status)
{
	struct hca_verbs *v = arg;

	failed(v, err);
	if (!v->err && status != HCA_OK) {
		v->err = -EPROTO;
		v->status = (enum hca_status)status;
	}
	put(v);
}

static void sent(struct hca_verbs *v, int err)
{
	failed(v, err);
	v->pending += !err;
}

void hca_verbs_begin(struct hca_verbs *v, struct access *bar,
		     hca_verbs_fn *done, void *arg)
{
	*v = (struct hca_verbs){
		.bar = bar, .done = done, .arg = arg, .pending = 1
	};
}

void hca_verbs_do(struct hca_verbs *v, enum hca_opcode op, unsigned attribute,
		  uint32_t handle, uint64_t value, uint64_t *result)
{
	struct access *bar = v->bar;

	sent(v, access_write(bar, HCA_VALUE, 8, value, on_written, v));
	sent(v, access_write(bar, HCA_VERB, 8, hca_verb(op, attribute, handle),
			     on_written, v));
	if (result)
		failed(v, access_read(bar, HCA_RESULT, 8, on_result, result));
	sent(v, access_read(bar, HCA_STATUS, 8, on_status, v));
}

void hca_verbs_store(struct hca_verbs *v, uint32_t handle, unsigned attribute,
		     uint64_t value)
{
	hca_verbs_do(v, HCA_STORE, attribute, handle, value, NULL);
}

/* What could not be sent at all is told when the caller is out of here: a read
 * of the status is sent for that. */
void hca_verbs_end(struct hca_verbs *v)
{
	if (v->pending == 1 &&
	    !access_read(v->bar, HCA_STATUS, 8, on_status, v))
		return;
	put(v);
}
