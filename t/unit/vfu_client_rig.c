/* vfu_client_rig.c - a client whose other end is the test. */
#include <config.h>

#include "t/unit/vfu_client_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t/unit/unit.h"

/* What reply callbacks, with their tags, add to. */
static struct client_rig *the_rig;

static void free_client(struct client_rig *r)
{
	vfu_client_free(r->client);
	r->client = NULL;
}

void client_rig_on_reply(void *arg, const struct vfu_reply *reply)
{
	struct client_rig *r = the_rig;

	r->got_arg[r->n_got % CLIENT_RIG_GOT] = (uintptr_t)arg;
	r->got_err[r->n_got % CLIENT_RIG_GOT] = reply->err;
	r->n_got++;
	r->got_size = reply->size;
	r->got_fds = reply->n_fds;
	if (reply->size && reply->size <= sizeof(r->got_payload))
		memcpy(r->got_payload, reply->payload, reply->size);
	if (r->free_at_reply)
		free_client(r);
	if (r->ask_again) {
		r->ask_again--;
		r->again = vfu_client_reserve(r->client, client_rig_on_reply,
					      arg, &r->reserved);
	}
}

static void on_ready(void *arg, int err, const char *why)
{
	struct client_rig *r = arg;

	r->ready++;
	r->ready_err = err;
	snprintf(r->why, sizeof(r->why), "%s", why ? why : "");
	if (r->free_at_end)
		free_client(r);
}

static void on_closed(void *arg, int err, const char *why)
{
	struct client_rig *r = arg;

	r->closed++;
	r->closed_err = err;
	snprintf(r->why, sizeof(r->why), "%s", why ? why : "");
	if (r->free_at_end)
		free_client(r);
}

static void on_stray(void *arg, uint16_t id, bool late)
{
	struct client_rig *r = arg;

	r->strays++;
	r->late += late;
	r->stray_id = id;
}

static void on_command(void *arg, struct vfu_msg *msg)
{
	struct client_rig *r = arg;
	struct iovec iov = { (void *)"data", 4 };

	r->commands++;
	CHECK_INT(vfu_client_answer(r->client, &msg->header,
				    r->answer ? 0 : EFAULT, &iov, 1),
		  0);
}

const struct vfu_client_ops client_rig_ops = {
	.ready = on_ready,
	.closed = on_closed,
	.stray = on_stray,
	.command = on_command,
};
const struct vfu_client_ops client_rig_keeping_ops = {
	.ready = on_ready,
	.closed = on_closed,
	.keep_pending = true,
};

struct client_rig *client_rig_new(const struct vfu_client_ops *how)
{
	struct client_rig *r = calloc(1, sizeof(*r));
	int sv[2];

	if (!r)
		abort();
	the_rig = r;
	r->loop = rig_loop();
	rig_pair(SOCK_STREAM, sv);
	r->peer = sv[1];
	if (vfu_client_new(&r->client, r->loop, sv[0], how, r))
		abort();
	rig_settle(r->loop);
	return r;
}

void client_rig_free(struct client_rig *r)
{
	vfu_client_free(r->client);
	if (r->peer >= 0)
		close(r->peer);
	loop_free(r->loop);
	free(r);
}

void client_rig_hang_up(struct client_rig *r)
{
	close(r->peer);
	r->peer = -1;
	rig_settle(r->loop);
}

void client_rig_answer_version(struct client_rig *r, uint16_t major,
			       uint16_t minor, const char *json)
{
	struct vfu_version v = { major, minor };
	uint8_t payload[512];
	size_t size = sizeof(v);
	struct rig_msg m;

	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.command, VFU_VERSION);
	CHECK_INT(m.header.flags, 0);
	CHECK(m.size > sizeof(v) && !m.payload[m.size - 1]);
	CHECK_HAS((char *)m.payload + sizeof(v), "\"max_msg_fds\":16");
	memcpy(&v, m.payload, sizeof(v));
	CHECK_INT(v.major, 0);
	CHECK_INT(v.minor, 1);
	v = (struct vfu_version){ major, minor };
	memcpy(payload, &v, sizeof(v));
	if (json) {
		memcpy(payload + size, json, strlen(json) + 1);
		size += strlen(json) + 1;
	}
	CHECK(rig_send(r->peer, m.header.id, VFU_VERSION, VFU_FLAG_REPLY,
		       payload, size));
	rig_settle(r->loop);
}

struct client_rig *client_rig_ready(const struct vfu_client_ops *how)
{
	struct client_rig *r = client_rig_new(how);

	client_rig_answer_version(r, 0, 1,
				  "{\"capabilities\":{\"max_msg_fds\":3}}");
	CHECK_INT(r->ready, 1);
	CHECK_INT(r->ready_err, 0);
	return r;
}

void client_rig_reply_to(struct client_rig *r, const struct rig_msg *m)
{
	CHECK(rig_send(r->peer, m->header.id, m->header.command, VFU_FLAG_REPLY,
		       m->payload, m->size));
}

int client_rig_ask(struct client_rig *r, uintptr_t tag)
{
	return vfu_client_read(r->client, 0, tag, 4, client_rig_on_reply,
			       (void *)tag);
}
