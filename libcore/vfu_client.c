/* vfu_client.c - IDs, queues and replies of a vfio-user client.
 *
 * Theory of operation.  The slot of an ID is its remainder by the number of
 * slots, twice the number of outstanding requests; an ID is given out only
 * when its slot is free, so one in quarantine is passed over without a
 * search.  Before VERSION is answered everything goes to the `early` queue.
 * Later, what finds 1,024 outstanding goes to `waiting`, as do posted writes
 * behind it; each ID that comes free serves that queue before anybody else
 * can reserve it.  Sends of reserved IDs pass the queue: it may be waiting
 * for them.
 */
#include <config.h>

#include "libcore/vfu_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcore/vfu_client_private.h"

/* IDs of requests start at 1; VERSION is the first message and has this. */
#define VERSION_ID 0

static void enter(struct vfu_client *client)
{
	client->depth++;
}

static void free_queue(struct vfu_queue *queue);

static void leave(struct vfu_client *client)
{
	struct vfu_job *job;

	if (--client->depth || !client->freed)
		return;
	while ((job = LIST_FIRST(&client->jobs))) {
		LIST_REMOVE(job, entry);
		free(job);
	}
	free_queue(&client->early);
	free_queue(&client->waiting);
	free(client);
}

/* Slots. */

static struct vfu_slot *find_slot(struct vfu_client *client, uint16_t id)
{
	struct vfu_slot *slot = &client->slot[id % VFU_CLIENT_SLOTS];

	return slot->state != VFU_SLOT_FREE && slot->id == id ? slot : NULL;
}

/* The next ID whose slot is free, or NULL. */
static struct vfu_slot *next_free_slot(struct vfu_client *client)
{
	struct vfu_slot *slot;
	unsigned i;
	uint16_t id;

	for (i = 0; i < VFU_CLIENT_SLOTS; i++) {
		id = client->next_id++;
		slot = &client->slot[id % VFU_CLIENT_SLOTS];
		if (slot->state == VFU_SLOT_FREE) {
			slot->id = id;
			return slot;
		}
	}
	return NULL;
}

static struct vfu_slot *take_slot(struct vfu_client *client, vfu_reply_fn *fn,
				  void *arg)
{
	struct vfu_slot *slot;

	if (client->outstanding >= VFU_CLIENT_MAX)
		return NULL;
	slot = next_free_slot(client);
	if (!slot)
		return NULL;
	slot->state = VFU_SLOT_RESERVED;
	slot->fn = fn;
	slot->arg = arg;
	slot->seq = client->next_seq++;
	TAILQ_INSERT_TAIL(&client->order, slot, entry);
	client->outstanding++;
	return slot;
}

/* No longer outstanding: free, or waiting for its late reply. */
static void drop_slot(struct vfu_client *client, struct vfu_slot *slot,
		      bool reply_to_come)
{
	TAILQ_REMOVE(&client->order, slot, entry);
	client->outstanding--;
	if (reply_to_come) {
		slot->state = VFU_SLOT_ABANDONED;
		client->quarantined++;
	} else {
		slot->state = VFU_SLOT_FREE;
	}
}

/* Queues. */

static void free_queued(struct vfu_queued *q)
{
	unsigned i;

	for (i = 0; i < q->n_fds; i++)
		close(q->fds[i]);
	free(q);
}

static void free_queue(struct vfu_queue *queue)
{
	struct vfu_queued *q;

	while ((q = STAILQ_FIRST(queue))) {
		STAILQ_REMOVE_HEAD(queue, entry);
		free_queued(q);
	}
}

static int enqueue(struct vfu_queue *queue, struct vfu_queued model,
		   const struct iovec *iov, unsigned n_iov, const int *fds,
		   unsigned n_fds)
{
	struct vfu_queued *q;
	size_t size = 0;
	unsigned i;
	int ret;

	for (i = 0; i < n_iov; i++)
		size += iov[i].iov_len;
	if (size > VFU_MAX_MSG - sizeof(struct vfu_header) ||
	    n_fds > VFU_MAX_FDS)
		return -EMSGSIZE;
	q = malloc(sizeof(*q) + size);
	if (!q)
		return -ENOMEM;
	*q = model;
	q->n_fds = 0;
	q->size = 0;
	for (; q->n_fds < n_fds; q->n_fds++) {
		ret = fcntl(fds[q->n_fds], F_DUPFD_CLOEXEC, 0);
		if (ret < 0) {
			ret = -errno;
			free_queued(q);
			return ret;
		}
		q->fds[q->n_fds] = ret;
	}
	for (i = 0; i < n_iov; i++) {
		if (iov[i].iov_len)
			memcpy(q->data + q->size, iov[i].iov_base,
			       iov[i].iov_len);
		q->size += iov[i].iov_len;
	}
	STAILQ_INSERT_TAIL(queue, q, entry);
	return 0;
}

/* Take the queued message of a reserved ID out. */
static void unqueue(struct vfu_client *client, uint16_t id)
{
	struct vfu_queued *q;

	STAILQ_FOREACH (q, &client->early, entry) {
		if (!q->has_id || q->id != id)
			continue;
		STAILQ_REMOVE(&client->early, q, vfu_queued, entry);
		free_queued(q);
		return;
	}
}

/* Sending. */

static int send_posted(struct vfu_client *client, uint16_t command,
		       const struct iovec *iov, unsigned n_iov, const int *fds,
		       unsigned n_fds)
{
	struct vfu_header header = { .command = command,
				     .flags = VFU_FLAG_NO_REPLY };
	const struct vfu_slot *slot = next_free_slot(client);

	/* An ID that no request has, lest an error reply be taken for its. */
	header.id = slot ? slot->id : client->next_id++;
	return vfu_conn_send(client->conn, &header, iov, n_iov, fds, n_fds);
}

static int send_slot(struct vfu_client *client, struct vfu_slot *slot,
		     uint16_t command, const struct iovec *iov, unsigned n_iov,
		     const int *fds, unsigned n_fds)
{
	struct vfu_header header = { .id = slot->id, .command = command };
	int ret;

	ret = vfu_conn_send(client->conn, &header, iov, n_iov, fds, n_fds);
	if (ret)
		return ret;
	slot->command = command;
	slot->state = VFU_SLOT_SENT;
	return 0;
}

static void answer_error(struct vfu_client *client, vfu_reply_fn *fn, void *arg,
			 int err)
{
	struct vfu_reply reply = { .err = err };

	if (fn && !client->freed)
		fn(arg, &reply);
}

/* Send what was queued; *slot NULL for a posted message. */
static void send_queued(struct vfu_client *client, struct vfu_queued *q,
			struct vfu_slot *slot)
{
	struct iovec iov = { q->data, q->size };
	int ret;

	if (slot)
		ret = send_slot(client, slot, q->command, &iov, 1, q->fds,
				q->n_fds);
	else
		ret = send_posted(client, q->command, &iov, 1, q->fds,
				  q->n_fds);
	if (ret && slot) {
		drop_slot(client, slot, false);
		answer_error(client, q->fn, q->arg, ret);
	}
	free_queued(q);
}

static void send_early(struct vfu_client *client)
{
	struct vfu_slot *slot;
	struct vfu_queued *q;

	while (!client->freed && (q = STAILQ_FIRST(&client->early))) {
		STAILQ_REMOVE_HEAD(&client->early, entry);
		slot = q->has_id ? find_slot(client, q->id) : NULL;
		if (slot) {
			q->fn = slot->fn;
			q->arg = slot->arg;
		}
		send_queued(client, q, slot);
	}
}

/* After an ID came free. */
static void send_waiting(struct vfu_client *client)
{
	struct vfu_slot *slot;
	struct vfu_queued *q;

	while (client->state == VFU_CLIENT_READY && !client->freed &&
	       (q = STAILQ_FIRST(&client->waiting))) {
		slot = NULL;
		if (q->fn) {
			slot = take_slot(client, q->fn, q->arg);
			if (!slot)
				return;
		}
		STAILQ_REMOVE_HEAD(&client->waiting, entry);
		send_queued(client, q, slot);
	}
}

int vfu_client_reserve(struct vfu_client *client, vfu_reply_fn *fn, void *arg,
		       uint16_t *id)
{
	struct vfu_slot *slot;

	if (client->state == VFU_CLIENT_DEAD)
		return -ENOTCONN;
	slot = take_slot(client, fn, arg);
	if (!slot)
		return -EBUSY;
	*id = slot->id;
	return 0;
}

int vfu_client_send(struct vfu_client *client, uint16_t id, uint16_t command,
		    const struct iovec *iov, unsigned n_iov, const int *fds,
		    unsigned n_fds)
{
	struct vfu_slot *slot = find_slot(client, id);

	if (!slot || slot->state != VFU_SLOT_RESERVED)
		return -EINVAL;
	if (client->state == VFU_CLIENT_DEAD)
		return -ENOTCONN;
	if (client->state == VFU_CLIENT_READY)
		return send_slot(client, slot, command, iov, n_iov, fds, n_fds);
	return enqueue(&client->early,
		       (struct vfu_queued){
			       .has_id = true, .id = id, .command = command },
		       iov, n_iov, fds, n_fds);
}

void vfu_client_abandon(struct vfu_client *client, uint16_t id)
{
	struct vfu_slot *slot = find_slot(client, id);

	if (!slot || slot->state == VFU_SLOT_ABANDONED)
		return;
	if (slot->state == VFU_SLOT_RESERVED)
		unqueue(client, id);
	enter(client);
	drop_slot(client, slot,
		  slot->state == VFU_SLOT_SENT &&
			  client->state == VFU_CLIENT_READY);
	send_waiting(client);
	leave(client);
}

int vfu_client_request(struct vfu_client *client, uint16_t command,
		       const struct iovec *iov, unsigned n_iov, const int *fds,
		       unsigned n_fds, vfu_reply_fn *fn, void *arg)
{
	struct vfu_queued model = { .command = command, .fn = fn, .arg = arg };
	struct vfu_slot *slot;
	int ret;

	if (client->state == VFU_CLIENT_DEAD)
		return -ENOTCONN;
	if (!STAILQ_EMPTY(&client->waiting))
		return enqueue(&client->waiting, model, iov, n_iov, fds, n_fds);
	if (!fn && client->state == VFU_CLIENT_NEGOTIATING)
		return enqueue(&client->early, model, iov, n_iov, fds, n_fds);
	if (!fn)
		return send_posted(client, command, iov, n_iov, fds, n_fds);
	slot = take_slot(client, fn, arg);
	if (!slot)
		return enqueue(&client->waiting, model, iov, n_iov, fds, n_fds);
	ret = vfu_client_send(client, slot->id, command, iov, n_iov, fds,
			      n_fds);
	if (ret)
		drop_slot(client, slot, false);
	return ret;
}

int vfu_client_answer(struct vfu_client *client, const struct vfu_header *to,
		      int err, const struct iovec *iov, unsigned n_iov)
{
	struct vfu_header header = { .id = to->id,
				     .command = to->command,
				     .flags = VFU_FLAG_REPLY };

	if (to->flags & VFU_FLAG_NO_REPLY)
		return 0;
	if (err) {
		header.flags |= VFU_FLAG_ERROR;
		header.error = err;
		n_iov = 0;
	}
	return vfu_conn_send(client->conn, &header, iov, n_iov, NULL, 0);
}

/* Endings. */

static void fail_waiting(struct vfu_client *client, int err)
{
	struct vfu_queue queue = STAILQ_HEAD_INITIALIZER(queue);
	struct vfu_queued *q;

	/* What a callback asks for anew is not among these. */
	STAILQ_CONCAT(&queue, &client->waiting);
	while ((q = STAILQ_FIRST(&queue))) {
		STAILQ_REMOVE_HEAD(&queue, entry);
		answer_error(client, q->fn, q->arg, err);
		free_queued(q);
	}
}

void vfu_client_fail_all(struct vfu_client *client, int err)
{
	uint64_t end = client->next_seq;
	struct vfu_slot *slot;
	vfu_reply_fn *fn;
	bool sent;

	enter(client);
	free_queue(&client->early);
	while (!client->freed && (slot = TAILQ_FIRST(&client->order)) &&
	       slot->seq < end) {
		fn = slot->fn;
		sent = slot->state == VFU_SLOT_SENT;
		drop_slot(client, slot,
			  sent && client->state == VFU_CLIENT_READY);
		answer_error(client, fn, slot->arg, err);
	}
	fail_waiting(client, err);
	leave(client);
}

/* Nothing can be asked or answered any more. */
static void die(struct vfu_client *client)
{
	unsigned i;

	client->state = VFU_CLIENT_DEAD;
	for (i = 0; i < VFU_CLIENT_SLOTS; i++)
		if (client->slot[i].state == VFU_SLOT_ABANDONED)
			client->slot[i].state = VFU_SLOT_FREE;
	client->quarantined = 0;
	vfu_conn_pause(client->conn);
	if (!client->ops->keep_pending)
		vfu_client_fail_all(client, -ENOTCONN);
}

static void on_closed(void *arg, int err, const char *why)
{
	struct vfu_client *client = arg;

	enter(client);
	die(client);
	if (!client->freed)
		client->ops->closed(client->arg, err, why);
	leave(client);
}

/* Receiving. */

static int send_version(struct vfu_client *client)
{
	struct vfu_version version = { VFU_MAJOR, VFU_MINOR };
	struct vfu_header header = { .id = VERSION_ID, .command = VFU_VERSION };
	char *json = vfu_version_json(VFU_MAX_DATA);
	struct iovec iov[2] = { { &version, sizeof(version) }, { json, 0 } };
	int ret;

	if (!json)
		return -ENOMEM;
	iov[1].iov_len = strlen(json) + 1;
	ret = vfu_conn_send(client->conn, &header, iov, 2, NULL, 0);
	free(json);
	return ret;
}

static int reply_error(const struct vfu_header *header)
{
	if (!(header->flags & VFU_FLAG_ERROR))
		return 0;
	/* The text allows an error of 0, and a peer might send anything. */
	return header->error && header->error < 4096 ? -(int)header->error
						     : -EIO;
}

static void on_version(struct vfu_client *client, const struct vfu_msg *msg)
{
	struct complaint c = { "VERSION was refused" };
	int ret = reply_error(&msg->header);

	if (!ret)
		ret = vfu_version_parse(msg->payload, msg->size, &client->peer,
					&c);
	if (!ret && client->peer.minor > VFU_MINOR)
		ret = complain(&c, EPROTO, "minor version %u, not %u or less",
			       client->peer.minor, VFU_MINOR);
	if (ret) {
		die(client);
		if (!client->freed)
			client->ops->ready(client->arg, ret, c.text);
		return;
	}
	client->state = VFU_CLIENT_READY;
	send_early(client);
	send_waiting(client);
	if (!client->freed && client->state == VFU_CLIENT_READY)
		client->ops->ready(client->arg, 0, NULL);
}

static void on_stray(struct vfu_client *client, struct vfu_slot *slot,
		     uint16_t id)
{
	bool late = slot && slot->state == VFU_SLOT_ABANDONED;

	if (late) {
		slot->state = VFU_SLOT_FREE;
		client->quarantined--;
		send_waiting(client);
	}
	if (client->ops->stray && !client->freed)
		client->ops->stray(client->arg, id, late);
}

static void on_reply(struct vfu_client *client, struct vfu_msg *msg)
{
	struct vfu_reply reply = { .err = reply_error(&msg->header),
				   .payload = msg->payload,
				   .size = msg->size,
				   .fds = msg->fds,
				   .n_fds = msg->n_fds };
	struct vfu_slot *slot = find_slot(client, msg->header.id);
	vfu_reply_fn *fn;
	void *arg;

	if (!slot || slot->state != VFU_SLOT_SENT) {
		on_stray(client, slot, msg->header.id);
		return;
	}
	if (slot->command != msg->header.command)
		reply.err = -EPROTO;
	fn = slot->fn;
	arg = slot->arg;
	drop_slot(client, slot, false);
	send_waiting(client);
	if (!client->freed)
		fn(arg, &reply);
}

static void on_command(struct vfu_client *client, struct vfu_msg *msg)
{
	if (client->ops->command && client->state == VFU_CLIENT_READY)
		client->ops->command(client->arg, msg);
	else
		(void)vfu_client_answer(client, &msg->header, ENOTSUP, NULL, 0);
}

static void on_message(void *arg, struct vfu_msg *msg)
{
	struct vfu_client *client = arg;

	enter(client);
	if ((msg->header.flags & VFU_FLAG_TYPE_MASK) != VFU_FLAG_REPLY)
		on_command(client, msg);
	else if (client->state == VFU_CLIENT_READY)
		on_reply(client, msg);
	else if (msg->header.id == VERSION_ID &&
		 msg->header.command == VFU_VERSION)
		on_version(client, msg);
	else
		on_stray(client, NULL, msg->header.id);
	leave(client);
}

static void on_drained(void *arg)
{
	struct vfu_client *client = arg;

	enter(client);
	if (client->ops->drained && !client->freed)
		client->ops->drained(client->arg);
	leave(client);
}

static const struct vfu_conn_ops conn_ops = {
	.message = on_message,
	.closed = on_closed,
	.drained = on_drained,
};

int vfu_client_new(struct vfu_client **result, struct loop *loop, int fd,
		   const struct vfu_client_ops *ops, void *arg)
{
	struct vfu_client *client = calloc(1, sizeof(*client));
	int ret;

	if (!client) {
		close(fd);
		return -ENOMEM;
	}
	client->loop = loop;
	client->ops = ops;
	client->arg = arg;
	client->next_id = VERSION_ID + 1;
	client->peer.max_fds = 1; /* the published default */
	client->peer.max_data = VFU_MAX_DATA;
	TAILQ_INIT(&client->order);
	STAILQ_INIT(&client->early);
	STAILQ_INIT(&client->waiting);
	LIST_INIT(&client->jobs);
	ret = vfu_conn_open(&client->conn, loop, fd, &conn_ops, client);
	if (ret) {
		free(client);
		return ret;
	}
	ret = send_version(client);
	if (ret) {
		vfu_client_free(client);
		return ret;
	}
	*result = client;
	return 0;
}

void vfu_client_free(struct vfu_client *client)
{
	if (!client || client->freed)
		return;
	client->freed = true;
	enter(client);
	vfu_conn_close(client->conn);
	leave(client);
}

struct vfu_conn *vfu_client_conn(struct vfu_client *client)
{
	return client->conn;
}

unsigned vfu_client_outstanding(const struct vfu_client *client)
{
	return client->outstanding;
}

unsigned vfu_client_quarantined(const struct vfu_client *client)
{
	return client->quarantined;
}
