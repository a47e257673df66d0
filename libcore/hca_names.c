/* hca_names.c - service numbers: queue pairs that others name before they
 * exist. */
#include <config.h>

#include "libcore/hca_private.h"

static struct hca_names *list_of(struct hca *hca, unsigned partition,
				 uint32_t service)
{
	return &hca->names[(service * 31 + partition) % HCA_NAME_LISTS];
}

struct hca_qp *hca_named(struct hca *hca, unsigned partition, uint32_t service)
{
	struct hca_qp *qp;

	LIST_FOREACH (qp, list_of(hca, partition, service), named)
		if (qp->service == service && qp->object.partition == partition)
			return qp;
	return NULL;
}

enum hca_status hca_name(struct hca_qp *qp, uint32_t service)
{
	struct hca *hca = qp->object.hca;
	unsigned partition = qp->object.partition;

	if (service == qp->service)
		return HCA_OK;
	if (service && hca_named(hca, partition, service))
		return HCA_BUSY;
	if (qp->service)
		LIST_REMOVE(qp, named);
	qp->service = service;
	if (service)
		LIST_INSERT_HEAD(list_of(hca, partition, service), qp, named);
	return HCA_OK;
}

struct hca_qp *hca_peer_find(struct hca *hca, uint64_t peer)
{
	struct hca_object *o;

	if (peer > UINT32_MAX)
		return peer >> 32 > HCA_PARTITIONS
			       ? NULL
			       : hca_named(hca, (unsigned)(peer >> 32),
					   (uint32_t)peer);
	o = hca_find(hca, (uint32_t)peer);
	return o && hca_kind_of(o->handle) == HCA_QP ? hca_qp_of(o) : NULL;
}
