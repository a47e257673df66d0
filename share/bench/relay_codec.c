/* relay_codec.c - the same three processes with libcore's event loop and
 * vfio-user client and server, and nothing else between them. */
#include <config.h>

#include "share/bench/relay.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "libcore/loop.h"
#include "libcore/vfu_client.h"
#include "libcore/vfu_server.h"

struct codec {
	struct loop *loop;
	struct vfu_client *client; /* of A and B */
	struct vfu_server *server; /* of B and C */
	struct relay_run *run;
	uint64_t done, start_ns;
};

static void on_ended(void *arg, int err, const char *why)
{
	struct codec *c = arg;

	(void)why;
	loop_stop(c->loop, err);
}

/* A */

static void ask_one(struct codec *c);

static void count_reply(void *arg, const struct vfu_reply *reply)
{
	struct codec *c = arg;
	uint64_t now = clock_now_ns();

	if (!vfu_reply_data(reply, 4)) {
		loop_stop(c->loop, reply->err ? reply->err : -EPROTO);
		return;
	}
	c->done++;
	if (!c->start_ns && c->done >= c->run->warm_up) {
		c->start_ns = now;
		c->done = 0;
	} else if (c->start_ns && now - c->start_ns >= c->run->duration_ns) {
		c->run->replies = c->done;
		c->run->elapsed_ns = now - c->start_ns;
		loop_stop(c->loop, 0);
		return;
	}
	ask_one(c);
}

static void ask_one(struct codec *c)
{
	int ret = vfu_client_read(c->client, 0, 0, 4, count_reply, c);

	if (ret)
		loop_stop(c->loop, ret);
}

static void on_ready(void *arg, int err, const char *why)
{
	struct codec *c = arg;
	unsigned i;

	(void)why;
	if (err)
		loop_stop(c->loop, err);
	for (i = 0; !err && c->run && i < c->run->outstanding; i++)
		ask_one(c);
}

static const struct vfu_client_ops client_ops = {
	.ready = on_ready,
	.closed = on_ended,
};

/* B and C */

static void on_relayed(void *arg, const struct vfu_reply *reply)
{
	struct vfu_request *req = arg;
	const uint8_t *data = vfu_reply_data(reply, req->count);

	if (data)
		vfu_request_read_done(req, data);
	else
		vfu_request_fail(req, EIO);
}

static void on_access(void *arg, struct vfu_request *req)
{
	static const uint8_t zeros[4096];
	struct codec *c = arg;

	if (req->command != VFU_REGION_READ || req->count > sizeof(zeros))
		vfu_request_fail(req, EINVAL);
	else if (!c->client)
		vfu_request_read_done(req, zeros);
	else if (vfu_client_read(c->client, req->region, req->offset,
				 req->count, on_relayed, req))
		vfu_request_fail(req, EIO);
}

static int on_region_info(void *arg, struct vfu_region_info *info,
			  struct vfu_sparse_area areas[4], unsigned *n_areas,
			  int *fd)
{
	(void)arg;
	(void)areas;
	(void)n_areas;
	(void)fd;
	info->size = 4096;
	info->flags = VFU_REGION_READABLE | VFU_REGION_WRITEABLE;
	return 0;
}

static void on_detached(void *arg, struct vfu_session *session, const char *why)
{
	struct codec *c = arg;

	(void)session;
	(void)why;
	loop_stop(c->loop, 0);
}

static const struct vfu_server_desc desc = { VFU_REGION_N, 1, false };
static const struct vfu_server_ops server_ops = {
	.access = on_access,
	.region_info = on_region_info,
	.detached = on_detached,
};

/* Either fd may be -1. */
static int run_codec(struct codec *c, int client_fd, int server_fd)
{
	int ret = loop_new(&c->loop);

	if (ret)
		return ret;
	if (client_fd >= 0)
		ret = vfu_client_new(&c->client, c->loop, client_fd,
				     &client_ops, c);
	if (!ret && server_fd >= 0)
		ret = vfu_server_new(&c->server, c->loop, -1, &desc,
				     &server_ops, c);
	if (!ret && server_fd >= 0)
		ret = vfu_server_adopt(c->server, server_fd);
	if (!ret)
		ret = loop_run(c->loop);
	vfu_client_free(c->client);
	vfu_server_free(c->server);
	loop_free(c->loop);
	return ret;
}

static int codec_ask(int fd, struct relay_run *run)
{
	struct codec c = { .run = run };

	return run_codec(&c, fd, -1);
}

static int codec_relay(int asker_fd, int answerer_fd)
{
	struct codec c = { 0 };

	return run_codec(&c, answerer_fd, asker_fd);
}

static int codec_answer(int fd)
{
	struct codec c = { 0 };

	return run_codec(&c, -1, fd);
}

const struct relay_kind relay_codec = {
	.name = "codec",
	.ask = codec_ask,
	.relay = codec_relay,
	.answer = codec_answer,
};
