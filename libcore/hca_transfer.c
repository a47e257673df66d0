/* hca_transfer.c - queue pairs: messages and RDMA writes between the two that
 * name each other.
 *
 * Theory of operation.  A doorbell says how far a work queue is filled.  Queue
 * pairs with something to send stand in a row and have their turns; one whose
 * peer has no receive entry, does not run yet, or may not reach its memory
 * leaves the row and comes back when that changes, so it delays nobody.  Data
 * is copied, then the receiver's completion is recorded, then the sender's.
 *
 * What went wrong ends the queue pair: the entry's completion says why, an
 * event too, and what is behind it is not done.
 *
 * Entries lie in memory of others: each is read once, checked, then used.
 */
#include <config.h>

#include <endian.h>
#include <string.h>

#include "libcore/hca_private.h"

/* What one queue pair does in a row; so many bytes count as an entry more. */
#define TURN       16u
#define TURN_BYTES 4096u

enum outcome {
	WENT,
	WAITS, /* for the peer */
	ENDED, /* the queue pair is in error */
};

static bool has_work(const struct hca_qp *qp)
{
	return qp->object.state == HCA_RUNNING &&
	       qp->send.head != qp->send.tail;
}

void hca_run(struct hca_qp *qp)
{
	struct hca *hca = qp->object.hca;
	bool idle = TAILQ_EMPTY(&hca->runnable);

	if (qp->queued || !has_work(qp))
		return;
	qp->waits = false;
	qp->queued = true;
	TAILQ_INSERT_TAIL(&hca->runnable, qp, run);
	if (idle)
		hca->ops->work(hca->arg);
}

void hca_wake_peer(struct hca_qp *qp)
{
	struct hca_qp *peer = hca_peer_find(qp->object.hca, qp->peer);

	if (peer && peer->waits)
		hca_run(peer);
}

static void leave_row(struct hca_qp *qp)
{
	if (qp->queued)
		TAILQ_REMOVE(&qp->object.hca->runnable, qp, run);
	qp->queued = qp->waits = false;
}

void hca_qp_forget(struct hca_qp *qp)
{
	leave_row(qp);
	qp->send.head = qp->send.tail = 0;
	qp->receive.head = qp->receive.tail = 0;
}

void hca_qp_failed(struct hca_qp *qp, uint64_t detail)
{
	struct hca *hca = qp->object.hca;
	const struct hca_eqe eqe = {
		.token = qp->object.token,
		.handle = qp->object.handle,
		.event = HCA_EVENT_QP_ERROR,
		.detail = detail,
	};

	qp->object.state = HCA_ERROR;
	hca_qp_forget(qp);
	hca->ops->told(hca->arg, qp->object.partition, qp->object.handle,
		       "queue pair fails");
	hca_record(qp->object.eq, &qp->error, &eqe);
	hca_wake_peer(qp); /* which would wait for ever */
}

/* In the addresses of the queue pair. */
static void *qp_memory(const struct hca_qp *qp, uint64_t address, uint64_t size,
		       bool write)
{
	if (size > qp->memory_size || address > qp->memory_size - size ||
	    qp->memory_base + address < address)
		return NULL;
	return hca_memory(qp->object.hca, qp->object.partition,
			  qp->memory_base + address, size, write);
}

/* A copy of the entry at the head; false: the ring is in no memory. */
static bool read_entry(const struct hca_qp *qp, const struct hca_wq *wq,
		       struct hca_wqe *wqe)
{
	uint64_t at = wq->base +
		      (uint64_t)(wq->head & (wq->entries - 1)) * sizeof(*wqe);
	const void *from = hca_memory(qp->object.hca, qp->object.partition, at,
				      sizeof(*wqe), false);

	if (!from)
		return false;
	memcpy(wqe, from, sizeof(*wqe));
	wqe->address = le64toh(wqe->address);
	wqe->length = le32toh(wqe->length);
	wqe->work = le32toh(wqe->work);
	wqe->remote = le64toh(wqe->remote);
	wqe->id = le64toh(wqe->id);
	return true;
}

/* The entry at the head of a work queue is done; false: its queue pair is in
 * error then. */
static bool finish(struct hca_qp *qp, struct hca_wq *wq,
		   const struct hca_wqe *wqe, unsigned work, uint32_t length,
		   enum hca_completion status)
{
	struct hca_cq *cq = wq == &qp->send ? qp->send_cq : qp->receive_cq;
	const struct hca_cqe cqe = {
		.id = wqe->id,
		.qp = qp->object.handle,
		.length = length,
		.work = (uint16_t)work,
		.status = (uint16_t)status,
	};

	wq->head++;
	if (!hca_complete(cq, &cqe)) /* 404 to 410 */
		hca_qp_failed(qp, HCA_CQ_FAILED);
	else if (status != HCA_DONE)
		hca_qp_failed(qp, status);
	return qp->object.state == HCA_RUNNING;
}

/* Into the next receive entry of the peer. */
static enum hca_completion deliver(struct hca_qp *peer, const void *from,
				   uint32_t length)
{
	struct hca_wqe wqe = { 0 };
	enum hca_completion status = HCA_DONE;
	void *to;

	if (!read_entry(peer, &peer->receive, &wqe)) {
		hca_qp_failed(peer, HCA_LOCAL_ADDRESS);
		return HCA_REMOTE_FAILED;
	}
	to = qp_memory(peer, wqe.address, length, true);
	if (length > wqe.length)
		status = HCA_LOCAL_LENGTH;
	else if (!to)
		status = HCA_LOCAL_ADDRESS;
	else
		memmove(to, from, length);
	if (status == HCA_DONE)
		peer->received++;
	if (!finish(peer, &peer->receive, &wqe, HCA_RECEIVE,
		    status == HCA_DONE ? length : 0, status))
		return HCA_REMOTE_FAILED;
	return HCA_DONE;
}

/* Into the window of the peer, which does not see it. */
static enum hca_completion write_remote(struct hca_qp *peer, uint64_t remote,
					const void *from, uint32_t length)
{
	void *to;

	if (length > peer->window_size || remote > peer->window_size - length ||
	    peer->window_base + remote < remote)
		return HCA_REMOTE_WINDOW;
	to = qp_memory(peer, peer->window_base + remote, length, true);
	if (!to)
		return HCA_REMOTE_WINDOW;
	memmove(to, from, length);
	return HCA_DONE;
}

static enum hca_completion check(const struct hca_qp *qp,
				 const struct hca_wqe *wqe)
{
	if (wqe->work != HCA_SEND && wqe->work != HCA_WRITE)
		return HCA_LOCAL_WORK;
	if (!wqe->length || wqe->length > HCA_MESSAGE_MAX)
		return HCA_LOCAL_LENGTH;
	if (!qp_memory(qp, wqe->address, wqe->length, false))
		return HCA_LOCAL_ADDRESS;
	return HCA_DONE;
}

/* Whether the peer will take something, later if not now: one that is named
 * may not be there yet. */
static bool is_peer(const struct hca_qp *qp, const struct hca_qp *peer)
{
	if (!peer)
		return qp->peer > UINT32_MAX &&
		       qp->peer >> 32 <= HCA_PARTITIONS;
	if (peer->object.state == HCA_ERROR)
		return false;
	return peer->object.state == HCA_STOPPED ||
	       hca_peer_find(qp->object.hca, peer->peer) == qp;
}

/* From now on they are each other's, whoever has their names later. */
static void bind(struct hca_qp *qp, struct hca_qp *peer)
{
	qp->peer = peer->object.handle;
	peer->peer = qp->object.handle;
}

static bool is_ready(const struct hca_qp *peer, const struct hca_wqe *wqe)
{
	return peer && peer->object.state == HCA_RUNNING &&
	       hca_may_dma(&peer->object) &&
	       (wqe->work == HCA_WRITE ||
		peer->receive.head != peer->receive.tail);
}

static enum hca_completion move(struct hca_qp *qp, struct hca_qp *peer,
				const struct hca_wqe *wqe)
{
	const void *from = qp_memory(qp, wqe->address, wqe->length, false);
	enum hca_completion status;

	if (wqe->work == HCA_SEND)
		status = deliver(peer, from, wqe->length);
	else
		status = write_remote(peer, wqe->remote, from, wqe->length);
	if (status == HCA_DONE) {
		qp->sent += wqe->work == HCA_SEND;
		qp->written += wqe->work == HCA_WRITE;
		qp->bytes += wqe->length;
	}
	return status;
}

/* The entry at the head of the send queue; *cost is what it took. */
static enum outcome step(struct hca_qp *qp, unsigned *cost)
{
	struct hca_qp *peer;
	struct hca_wqe wqe;
	enum hca_completion status;

	if (!read_entry(qp, &qp->send, &wqe)) {
		hca_qp_failed(qp, HCA_LOCAL_ADDRESS);
		return ENDED;
	}
	status = check(qp, &wqe);
	if (status == HCA_DONE)
		*cost += wqe.length / TURN_BYTES;
	peer = hca_peer_find(qp->object.hca, qp->peer);
	if (status == HCA_DONE && !is_peer(qp, peer))
		status = HCA_REMOTE_GONE;
	if (status == HCA_DONE && !is_ready(peer, &wqe))
		return WAITS;
	if (status == HCA_DONE) {
		bind(qp, peer);
		status = move(qp, peer, &wqe);
	}
	/* It may be its own peer, and have failed as such. */
	if (qp->object.state != HCA_RUNNING)
		return ENDED;
	return finish(qp, &qp->send, &wqe, wqe.work,
		      status == HCA_DONE ? wqe.length : 0, status)
		       ? WENT
		       : ENDED;
}

bool hca_work(struct hca *hca, unsigned budget)
{
	enum outcome outcome;
	struct hca_qp *qp;
	unsigned used = 0, cost;

	while (used < budget && (qp = TAILQ_FIRST(&hca->runnable))) {
		leave_row(qp);
		outcome = WENT;
		for (cost = 0;
		     outcome == WENT && cost < TURN && used + cost < budget;) {
			if (!has_work(qp) || !hca_may_dma(&qp->object))
				break;
			cost++;
			outcome = step(qp, &cost);
		}
		used += cost;
		if (outcome == WAITS)
			qp->waits = true;
		else if (outcome == WENT && hca_may_dma(&qp->object))
			hca_run(qp);
	}
	return !TAILQ_EMPTY(&hca->runnable);
}

/* A doorbell. */

static void refuse(struct hca *hca, unsigned partition, unsigned bell,
		   uint64_t value)
{
	struct hca_partition *p = &hca->partition[partition];
	const struct hca_eqe eqe = {
		.token = bell,
		.event = HCA_EVENT_REFUSED,
		.detail = value,
	};

	p->bad_bells++;
	hca->ops->told(hca->arg, partition, (uint32_t)value,
		       "doorbell for no queue pair of its own");
	hca_record(p->eq, &p->refused, &eqe);
}

void hca_ring(struct hca *hca, unsigned partition, unsigned bell, bool receive,
	      uint64_t value)
{
	struct hca_object *o = hca_own(hca, partition, HCA_QP, (uint32_t)value);
	struct hca_qp *qp = hca_qp_of(o);
	uint32_t tail = (uint32_t)(value >> 32);
	struct hca_wq *wq;

	if (!o || qp->bell != bell) {
		refuse(hca, partition, bell, value);
		return;
	}
	if (o->state != HCA_RUNNING)
		return; /* it was told why */
	wq = receive ? &qp->receive : &qp->send;
	if (tail - wq->head > wq->entries) {
		hca_qp_failed(qp, HCA_LOCAL_WORK);
		return;
	}
	wq->tail = tail;
	if (receive)
		hca_wake_peer(qp);
	else
		hca_run(qp);
}

void hca_reaches(struct hca *hca, unsigned partition)
{
	struct hca_object *o;

	LIST_FOREACH (o, &hca->partition[partition].objects, entry) {
		if (hca_kind_of(o->handle) != HCA_QP)
			continue;
		hca_run(hca_qp_of(o));
		hca_wake_peer(hca_qp_of(o));
	}
}
