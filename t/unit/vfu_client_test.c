/* vfu_client_test.c - IDs, queues, replies and endings of the client. */
#include <config.h>

#include "libcore/vfu_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t/unit/unit.h"
#include "t/unit/vfu_rig.h"

#define MAX_GOT 4096

struct rig {
	struct loop *loop;
	struct vfu_client *client;
	int peer;
	unsigned ready, closed, strays, late, commands;
	int ready_err, closed_err;
	char why[120];
	uint16_t stray_id;
	/* replies in order of their coming */
	unsigned n_got;
	uintptr_t got_arg[MAX_GOT];
	int got_err[MAX_GOT];
	size_t got_size;
	unsigned got_fds;
	uint8_t got_payload[256];
	bool free_at_reply, free_at_end, answer;
	unsigned ask_again; /* in the callback, so many times */
	int again;          /* what that gave */
	uint16_t reserved;
};

static struct rig *the_rig; /* what reply callbacks, with their tags, add to */

static void free_client(struct rig *r)
{
	vfu_client_free(r->client);
	r->client = NULL;
}

static void on_reply(void *arg, const struct vfu_reply *reply)
{
	struct rig *r = the_rig;

	r->got_arg[r->n_got % MAX_GOT] = (uintptr_t)arg;
	r->got_err[r->n_got % MAX_GOT] = reply->err;
	r->n_got++;
	r->got_size = reply->size;
	r->got_fds = reply->n_fds;
	if (reply->size && reply->size <= sizeof(r->got_payload))
		memcpy(r->got_payload, reply->payload, reply->size);
	if (r->free_at_reply)
		free_client(r);
	if (r->ask_again) {
		r->ask_again--;
		r->again = vfu_client_reserve(r->client, on_reply, arg,
					      &r->reserved);
	}
}

static void on_ready(void *arg, int err, const char *why)
{
	struct rig *r = arg;

	r->ready++;
	r->ready_err = err;
	snprintf(r->why, sizeof(r->why), "%s", why ? why : "");
	if (r->free_at_end)
		free_client(r);
}

static void on_closed(void *arg, int err, const char *why)
{
	struct rig *r = arg;

	r->closed++;
	r->closed_err = err;
	snprintf(r->why, sizeof(r->why), "%s", why ? why : "");
	if (r->free_at_end)
		free_client(r);
}

static void on_stray(void *arg, uint16_t id, bool late)
{
	struct rig *r = arg;

	r->strays++;
	r->late += late;
	r->stray_id = id;
}

static void on_command(void *arg, struct vfu_msg *msg)
{
	struct rig *r = arg;
	struct iovec iov = { (void *)"data", 4 };

	r->commands++;
	CHECK_INT(vfu_client_answer(r->client, &msg->header,
				    r->answer ? 0 : EFAULT, &iov, 1),
		  0);
}

static const struct vfu_client_ops ops = {
	.ready = on_ready,
	.closed = on_closed,
	.stray = on_stray,
	.command = on_command,
};
static const struct vfu_client_ops keeping_ops = {
	.ready = on_ready,
	.closed = on_closed,
	.keep_pending = true,
};

static struct rig *rig_new(const struct vfu_client_ops *how)
{
	struct rig *r = calloc(1, sizeof(*r));
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

static void rig_free(struct rig *r)
{
	vfu_client_free(r->client);
	if (r->peer >= 0)
		close(r->peer);
	loop_free(r->loop);
	free(r);
}

static void hang_up(struct rig *r)
{
	close(r->peer);
	r->peer = -1;
	rig_settle(r->loop);
}

/* Take VERSION and answer it so. */
static void answer_version(struct rig *r, uint16_t major, uint16_t minor,
			   const char *json)
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

static struct rig *rig_ready(const struct vfu_client_ops *how)
{
	struct rig *r = rig_new(how);

	answer_version(r, 0, 1, "{\"capabilities\":{\"max_msg_fds\":3}}");
	CHECK_INT(r->ready, 1);
	CHECK_INT(r->ready_err, 0);
	return r;
}

static void reply_to(struct rig *r, const struct rig_msg *m)
{
	CHECK(rig_send(r->peer, m->header.id, m->header.command, VFU_FLAG_REPLY,
		       m->payload, m->size));
}

static int ask(struct rig *r, uintptr_t tag)
{
	return vfu_client_read(r->client, 0, tag, 4, on_reply, (void *)tag);
}

/* Version */

static void check_refused(uint16_t major, uint16_t minor, const char *json,
			  const char *why)
{
	struct rig *r = rig_new(&ops);

	CHECK_INT(ask(r, 1), 0);
	answer_version(r, major, minor, json);
	CHECK_INT(r->ready, 1);
	CHECK(r->ready_err < 0);
	CHECK_HAS(r->why, why);
	CHECK_INT(r->n_got, 1);
	CHECK_INT(r->got_err[0], -ENOTCONN);
	CHECK_INT(ask(r, 2), -ENOTCONN);
	hang_up(r);
	CHECK_INT(r->closed, 0);
	rig_free(r);
}

static void test_version_refused(void)
{
	struct vfu_header h = { .command = VFU_VERSION,
				.size = sizeof(h),
				.flags = VFU_FLAG_REPLY | VFU_FLAG_ERROR,
				.error = EINVAL };
	struct rig *r;

	check_refused(1, 0, NULL, "major");
	check_refused(0, 2, NULL, "minor");
	check_refused(0, 0, "{", "version data");
	check_refused(0, 0, "[]", "object");
	check_refused(0, 0, "{\"capabilities\":1}", "object");
	check_refused(0, 0, "{\"capabilities\":{\"max_msg_fds\":\"x\"}}",
		      "max_msg_fds");
	r = rig_new(&ops);
	r->free_at_end = true;
	CHECK(rig_send_raw(r->peer, &h, sizeof(h), NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->ready_err, -EINVAL);
	rig_free(r);
}

static void test_version_accepted(void)
{
	static const char *const json[] = {
		NULL,
		"{}",
		"{\"capabilities\":{}}",
		"{\"capabilities\":{\"unknown\":[1,{}],\"migration\":{}}}",
	};
	struct rig_msg m;
	struct rig *r;
	unsigned i;

	for (i = 0; i < 4; i++) {
		r = rig_new(&ops);
		/* Asked before: leaves after. */
		CHECK_INT(ask(r, 7), 0);
		CHECK_INT(vfu_client_write(r->client, 0, 0, "abcd", 4, NULL,
					   NULL),
			  0);
		CHECK_INT(vfu_client_reserve(r->client, on_reply, NULL,
					     &r->reserved),
			  0);
		CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET,
					  NULL, 0, NULL, 0),
			  0);
		answer_version(r, 0, i % 2, json[i]);
		CHECK_INT(r->ready, 1);
		CHECK_INT(r->ready_err, 0);
		CHECK(rig_recv(r->peer, &m));
		CHECK_INT(m.header.command, VFU_REGION_READ);
		reply_to(r, &m);
		CHECK(rig_recv(r->peer, &m));
		CHECK_INT(m.header.command, VFU_REGION_WRITE);
		CHECK_INT(m.header.flags, VFU_FLAG_NO_REPLY);
		CHECK(rig_recv(r->peer, &m));
		CHECK_INT(m.header.command, VFU_RESET);
		CHECK_INT(m.header.id, r->reserved);
		rig_settle(r->loop);
		CHECK_INT(r->n_got, 1);
		CHECK_INT(vfu_client_outstanding(r->client), 1);
		rig_free(r);
	}
}

/* Replies */

static void test_pipelining(void)
{
	struct rig *r = rig_ready(&ops);
	struct rig_msg m[64];
	unsigned i;

	for (i = 0; i < 64; i++)
		CHECK_INT(ask(r, i), 0);
	rig_settle(r->loop);
	CHECK_INT(vfu_client_outstanding(r->client), 64);
	for (i = 0; i < 64; i++)
		CHECK(rig_recv(r->peer, &m[i]));
	/* Answered backwards. */
	for (i = 64; i--;)
		reply_to(r, &m[i]);
	rig_settle(r->loop);
	CHECK_INT(r->n_got, 64);
	for (i = 0; i < 64; i++) {
		CHECK_INT(r->got_arg[i], 63 - i);
		CHECK_INT(r->got_err[i], 0);
	}
	CHECK_INT(vfu_client_outstanding(r->client), 0);
	CHECK_INT(r->strays, 0);
	rig_free(r);
}

static void test_errors(void)
{
	struct vfu_header h = { .size = sizeof(h),
				.flags = VFU_FLAG_REPLY | VFU_FLAG_ERROR };
	static const uint32_t sent[] = { EPERM, 0, 4096, UINT32_MAX };
	static const int seen[] = { -EPERM, -EIO, -EIO, -EIO };
	struct rig *r = rig_ready(&ops);
	struct rig_msg m;
	unsigned i;

	for (i = 0; i < 4; i++) {
		CHECK_INT(ask(r, i), 0);
		rig_settle(r->loop);
		CHECK(rig_recv(r->peer, &m));
		h.id = m.header.id;
		h.command = m.header.command;
		h.error = sent[i];
		CHECK(rig_send_raw(r->peer, &h, sizeof(h), NULL, 0));
		rig_settle(r->loop);
		CHECK_INT(r->n_got, i + 1);
		CHECK_INT(r->got_err[i], seen[i]);
	}
	/* A reply to another command than asked. */
	CHECK_INT(ask(r, i), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	m.header.command = VFU_RESET;
	reply_to(r, &m);
	rig_settle(r->loop);
	CHECK_INT(r->got_err[4], -EPROTO);
	/* A second reply, and one to a posted write. */
	reply_to(r, &m);
	CHECK_INT(vfu_client_write(r->client, 0, 0, "x", 1, NULL, NULL), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	reply_to(r, &m);
	rig_settle(r->loop);
	CHECK_INT(r->strays, 2);
	CHECK_INT(r->late, 0);
	CHECK_INT(r->n_got, 5);
	rig_free(r);
}

static void test_fds_in_reply(void)
{
	struct vfu_region_info info = { .argsz = sizeof(info) };
	unsigned before = rig_count_fds();
	struct rig *r = rig_ready(&ops);
	int fd = STDIN_FILENO;
	struct rig_msg m;

	CHECK_INT(vfu_client_region_info(r->client, 2, on_reply, NULL), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	CHECK(rig_send_fds(r->peer, m.header.id, m.header.command,
			   VFU_FLAG_REPLY, &info, sizeof(info), &fd, 1));
	rig_settle(r->loop);
	CHECK_INT(r->n_got, 1);
	CHECK_INT(r->got_fds, 1);
	rig_free(r);
	CHECK_INT(rig_count_fds(), before);
}

/* A reply that is larger than what was asked for is asked for again. */
static void test_ask_again(void)
{
	struct vfu_region_info info;
	struct rig *r = rig_ready(&ops);
	uint8_t big[1000] = { 0 };
	struct rig_msg m;

	CHECK_INT(vfu_client_region_info(r->client, 2, on_reply, (void *)9), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	memcpy(&info, m.payload, sizeof(info));
	CHECK_INT(info.index, 2);
	info.argsz = sizeof(big);
	memcpy(m.payload, &info, sizeof(info));
	reply_to(r, &m);
	rig_settle(r->loop);
	CHECK_INT(r->n_got, 0);
	CHECK(rig_recv(r->peer, &m));
	memcpy(&info, m.payload, sizeof(info));
	CHECK_INT(info.argsz, sizeof(big));
	memcpy(big, &info, sizeof(info));
	CHECK(rig_send(r->peer, m.header.id, m.header.command, VFU_FLAG_REPLY,
		       big, sizeof(big)));
	rig_settle(r->loop);
	CHECK_INT(r->n_got, 1);
	CHECK_INT(r->got_arg[0], 9);
	CHECK_INT(r->got_size, sizeof(big));
	/* Freed while one is under way. */
	CHECK_INT(vfu_client_io_fds(r->client, 0, on_reply, NULL), 0);
	rig_free(r);
}

static void check_irqs(struct rig *r, uint32_t start, uint32_t count,
		       unsigned n_fds, struct rig_msg *m)
{
	struct vfu_irq_set set;

	CHECK(rig_recv(r->peer, m));
	CHECK_INT(m->size, sizeof(set));
	memcpy(&set, m->payload, sizeof(set));
	CHECK_INT(set.flags, VFU_IRQ_DATA_EVENTFD | VFU_IRQ_ACTION_TRIGGER);
	CHECK_INT(set.index, VFU_IRQ_MSIX);
	CHECK_INT(set.start, start);
	CHECK_INT(set.count, count);
	CHECK_INT(m->n_fds, n_fds);
	rig_close_fds(m);
	m->size = 0;
}

/* The peer takes three at a time; none mixes present and absent ones. */
static void test_set_irqs(void)
{
	int fds[9] = { 0, 0, 0, 0, -1, -1, 0, 0, -1 };
	struct rig *r = rig_ready(&ops);
	struct rig_msg m[5];
	struct vfu_irq_set set;
	unsigned i;

	CHECK_INT(vfu_client_set_irqs(r->client, VFU_IRQ_MSIX, 10, 9, fds, 9,
				      on_reply, (void *)5),
		  0);
	CHECK_INT(vfu_client_set_irqs(r->client, VFU_IRQ_MSIX, 10, 9, fds, 8,
				      on_reply, NULL),
		  -EINVAL);
	rig_settle(r->loop);
	check_irqs(r, 10, 3, 3, &m[0]);
	check_irqs(r, 13, 1, 1, &m[1]);
	check_irqs(r, 14, 2, 0, &m[2]);
	check_irqs(r, 16, 2, 2, &m[3]);
	check_irqs(r, 18, 1, 0, &m[4]);
	for (i = 0; i < 5; i++) {
		CHECK_INT(r->n_got, 0);
		if (i == 2)
			m[i].header.command = VFU_RESET;
		reply_to(r, &m[i]);
		rig_settle(r->loop);
	}
	CHECK_INT(r->n_got, 1);
	CHECK_INT(r->got_arg[0], 5);
	CHECK_INT(r->got_err[0], -EPROTO);
	CHECK_INT(vfu_client_set_irqs(r->client, VFU_IRQ_MSIX, 0, 4, NULL, 0,
				      on_reply, NULL),
		  0);
	rig_settle(r->loop);
	check_irqs(r, 0, 4, 0, &m[0]);
	CHECK_INT(vfu_client_set_irqs(r->client, VFU_IRQ_MSIX, 0, 0, NULL, 0,
				      on_reply, NULL),
		  0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m[0]));
	memcpy(&set, m[0].payload, sizeof(set));
	CHECK_INT(set.flags, VFU_IRQ_DATA_NONE | VFU_IRQ_ACTION_TRIGGER);
	/* Freed with some chunks unanswered. */
	CHECK_INT(vfu_client_set_irqs(r->client, VFU_IRQ_MSIX, 0, 9, fds, 9,
				      on_reply, NULL),
		  0);
	rig_free(r);
}

static void test_commands(void)
{
	struct vfu_dma_access access = { 0x1000, 4 };
	struct rig *r = rig_ready(&ops);
	struct rig_msg m;

	r->answer = true;
	CHECK(rig_send(r->peer, 1, VFU_DMA_READ, 0, &access, sizeof(access)));
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.flags, VFU_FLAG_REPLY);
	CHECK_INT(m.header.id, 1);
	CHECK_INT(m.size, 4);
	r->answer = false;
	CHECK(rig_send(r->peer, 2, VFU_DMA_READ, 0, &access, sizeof(access)));
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.flags, VFU_FLAG_REPLY | VFU_FLAG_ERROR);
	CHECK_INT(m.header.error, EFAULT);
	CHECK_INT(m.size, 0);
	CHECK(rig_send(r->peer, 3, VFU_DMA_WRITE, VFU_FLAG_NO_REPLY, &access,
		       sizeof(access)));
	rig_settle(r->loop);
	CHECK_INT(r->commands, 3);
	CHECK(!rig_recv(r->peer, &m));
	rig_free(r);

	r = rig_ready(&keeping_ops);
	CHECK(rig_send(r->peer, 4, VFU_DMA_READ, 0, &access, sizeof(access)));
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.error, ENOTSUP);
	rig_free(r);
}

static void test_bytes(void)
{
	struct vfu_dma_unmap unmap;
	struct vfu_dma_map map;
	struct rig *r = rig_ready(&ops);
	int fd = STDIN_FILENO;
	struct rig_msg m;

	CHECK_INT(vfu_client_dma_map(r->client, 0, 0x200000, VFU_DMA_READABLE,
				     fd, 0x1000, on_reply, NULL),
		  0);
	CHECK_INT(vfu_client_dma_unmap(r->client, 0, 0x200000, on_reply, NULL),
		  0);
	CHECK_INT(vfu_client_dma_unmap(r->client, 0, 0, on_reply, NULL), 0);
	CHECK_INT(vfu_client_reset(r->client, on_reply, NULL), 0);
	CHECK_INT(vfu_client_read(r->client, 0, 0, VFU_MAX_DATA + 1, on_reply,
				  NULL),
		  -EMSGSIZE);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	memcpy(&map, m.payload, sizeof(map));
	CHECK_INT(m.n_fds, 1);
	CHECK(map.argsz == 32 && map.offset == 0x1000 && map.flags == 1);
	rig_close_fds(&m);
	CHECK(rig_recv(r->peer, &m));
	memcpy(&unmap, m.payload, sizeof(unmap));
	CHECK(m.size == 24 && !unmap.flags && unmap.size == 0x200000);
	CHECK(rig_recv(r->peer, &m));
	memcpy(&unmap, m.payload, sizeof(unmap));
	CHECK(unmap.flags == VFU_DMA_UNMAP_ALL && !unmap.size);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.command, VFU_RESET);
	CHECK_INT(m.header.size, 16);
	rig_free(r);
}

/* IDs */

static void test_bound(void)
{
	struct rig *r = rig_ready(&ops);
	struct rig_msg m;
	unsigned i, got = 0, last_seen = 0;
	struct vfu_region_access a;

	for (i = 1; i <= 1500; i++)
		CHECK_INT(ask(r, i), 0);
	/* Behind those that wait. */
	CHECK_INT(vfu_client_write(r->client, 0, 1501, "x", 1, NULL, NULL), 0);
	CHECK_INT(vfu_client_outstanding(r->client), VFU_CLIENT_MAX);
	CHECK_INT(vfu_client_reserve(r->client, on_reply, NULL, &r->reserved),
		  -EBUSY);
	rig_settle(r->loop);
	for (i = 0; i < 3000 && got < 1501; i++) {
		rig_settle(r->loop);
		while (rig_recv(r->peer, &m)) {
			memcpy(&a, m.payload, sizeof(a));
			CHECK_INT(a.offset, ++last_seen);
			got++;
			if (!(m.header.flags & VFU_FLAG_NO_REPLY)) {
				if (r->n_got < 476)
					CHECK_INT(vfu_client_outstanding(
							  r->client),
						  VFU_CLIENT_MAX);
				m.size = 16;
				reply_to(r, &m);
				rig_settle(r->loop);
			}
		}
	}
	CHECK_INT(got, 1501);
	CHECK_INT(r->n_got, 1500);
	CHECK_INT(vfu_client_outstanding(r->client), 0);
	rig_free(r);
}

/* What waits gets a free ID before a callback can reserve it. */
static void test_queue_goes_first(void)
{
	struct rig *r = rig_ready(&ops);
	struct rig_msg m, first;
	unsigned i, n = 0;

	for (i = 0; i < VFU_CLIENT_MAX; i++)
		CHECK_INT(vfu_client_reserve(r->client, on_reply,
					     (void *)(uintptr_t)i,
					     &r->reserved),
			  0);
	CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET, NULL, 0,
				  NULL, 0),
		  0);
	CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET, NULL, 0,
				  NULL, 0),
		  -EINVAL);
	CHECK_INT(ask(r, 5000), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &first));
	CHECK_INT(first.header.command, VFU_RESET);
	r->ask_again = 1;
	reply_to(r, &first);
	rig_settle(r->loop);
	CHECK_INT(r->n_got, 1);
	CHECK_INT(r->again, -EBUSY);
	while (rig_recv(r->peer, &m))
		n++;
	CHECK_INT(n, 1);
	/* A reservation given back is free at once. */
	vfu_client_abandon(r->client, 1);
	CHECK_INT(vfu_client_outstanding(r->client), VFU_CLIENT_MAX - 1);
	CHECK_INT(vfu_client_quarantined(r->client), 0);
	rig_free(r);
}

static void test_quarantine(void)
{
	struct rig *r = rig_ready(&ops);
	struct rig_msg late, m;
	unsigned i, again = 0, sent = 0;

	CHECK_INT(vfu_client_reserve(r->client, on_reply, NULL, &r->reserved),
		  0);
	CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET, NULL, 0,
				  NULL, 0),
		  0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &late));
	vfu_client_abandon(r->client, r->reserved);
	vfu_client_abandon(r->client, r->reserved);
	CHECK_INT(vfu_client_outstanding(r->client), 0);
	CHECK_INT(vfu_client_quarantined(r->client), 1);
	/* Once round and further: its ID does not come again. */
	for (i = 0; i < 70000; i++) {
		CHECK_INT(ask(r, i), 0);
		if (i % 50 == 49)
			rig_settle(r->loop);
		while (i % 50 == 49 && rig_recv(r->peer, &m)) {
			again += m.header.id == late.header.id;
			sent++;
			reply_to(r, &m);
		}
	}
	rig_settle(r->loop);
	CHECK_INT(sent, 70000);
	CHECK_INT(r->n_got, 70000);
	CHECK_INT(again, 0);
	CHECK_INT(r->strays, 0);
	reply_to(r, &late);
	rig_settle(r->loop);
	CHECK_INT(r->strays, 1);
	CHECK_INT(r->late, 1);
	CHECK_INT(r->stray_id, late.header.id);
	CHECK_INT(vfu_client_quarantined(r->client), 0);
	CHECK_INT(r->n_got, 70000);
	rig_free(r);
}

/* Given back before VERSION was answered: it never leaves. */
static void test_abandoned_early(void)
{
	struct rig *r = rig_new(&ops);
	struct rig_msg m;
	uint16_t other;

	CHECK_INT(vfu_client_reserve(r->client, on_reply, NULL, &other), 0);
	CHECK_INT(vfu_client_reserve(r->client, on_reply, NULL, &r->reserved),
		  0);
	CHECK_INT(
		vfu_client_send(r->client, other, VFU_RESET, NULL, 0, NULL, 0),
		0);
	CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET, NULL, 0,
				  NULL, 0),
		  0);
	vfu_client_abandon(r->client, r->reserved);
	CHECK_INT(vfu_client_irq_info(r->client, 2, on_reply, NULL), 0);
	answer_version(r, 0, 1, NULL);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.id, other);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.command, VFU_GET_IRQ_INFO);
	CHECK(!rig_recv(r->peer, &m));
	CHECK_INT(vfu_client_outstanding(r->client), 2);
	CHECK_INT(vfu_client_quarantined(r->client), 0);
	/* Waiting for a late reply when the connection ends. */
	vfu_client_abandon(r->client, other);
	CHECK_INT(vfu_client_quarantined(r->client), 1);
	hang_up(r);
	CHECK_INT(vfu_client_quarantined(r->client), 0);
	CHECK_INT(r->n_got, 1);
	rig_free(r);
}

/* Replies that never come eat up the IDs, and nothing else. */
static void test_all_quarantined(void)
{
	struct rig *r = rig_ready(&ops);
	unsigned i, n = 0;
	struct rig_msg m;

	while (!vfu_client_reserve(r->client, on_reply, NULL, &r->reserved) &&
	       n < 5000) {
		n++;
		CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET,
					  NULL, 0, NULL, 0),
			  0);
		vfu_client_abandon(r->client, r->reserved);
	}
	CHECK_INT(n, 2048);
	CHECK_INT(vfu_client_quarantined(r->client), 2048);
	CHECK_INT(ask(r, 1), 0); /* waits */
	CHECK_INT(vfu_client_outstanding(r->client), 0);
	for (i = 0; i < 100 && vfu_client_quarantined(r->client); i++) {
		rig_settle(r->loop);
		for (n = 0; n < 50 && rig_recv(r->peer, &m); n++)
			if (m.header.command == VFU_RESET)
				reply_to(r, &m);
	}
	CHECK_INT(r->late, 2048);
	CHECK_INT(vfu_client_outstanding(r->client), 1);
	rig_free(r);
}

/* Endings */

static void test_hang_up(void)
{
	struct rig *r = rig_ready(&ops);
	unsigned i;

	for (i = 0; i < 1100; i++)
		CHECK_INT(ask(r, i), 0);
	hang_up(r);
	CHECK_INT(r->n_got, 1100);
	for (i = 0; i < 1100; i++) {
		CHECK_INT(r->got_arg[i], i);
		CHECK_INT(r->got_err[i], -ENOTCONN);
	}
	CHECK_INT(r->closed, 1);
	CHECK_INT(r->closed_err, 0);
	CHECK_INT(ask(r, 1), -ENOTCONN);
	CHECK_INT(vfu_client_reserve(r->client, on_reply, NULL, &r->reserved),
		  -ENOTCONN);
	rig_free(r);
}

static void test_keep_pending(void)
{
	struct rig *r = rig_ready(&keeping_ops);

	CHECK_INT(ask(r, 1), 0);
	CHECK_INT(ask(r, 2), 0);
	hang_up(r);
	CHECK_INT(r->closed, 1);
	CHECK_INT(r->n_got, 0);
	CHECK_INT(vfu_client_outstanding(r->client), 2);
	vfu_client_fail_all(r->client, -ETIMEDOUT);
	CHECK_INT(r->n_got, 2);
	CHECK_INT(r->got_err[1], -ETIMEDOUT);
	CHECK_INT(vfu_client_quarantined(r->client), 0);
	rig_free(r);
}

static void test_fail_all(void)
{
	struct rig *r = rig_ready(&ops);
	struct rig_msg m;

	CHECK_INT(ask(r, 1), 0);
	CHECK_INT(vfu_client_reserve(r->client, on_reply, NULL, &r->reserved),
		  0);
	r->ask_again = 2; /* these two are left alone */
	vfu_client_fail_all(r->client, -EIO);
	CHECK_INT(r->n_got, 2);
	CHECK_INT(vfu_client_outstanding(r->client), 2);
	CHECK_INT(vfu_client_quarantined(r->client), 1);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	reply_to(r, &m);
	rig_settle(r->loop);
	CHECK_INT(r->late, 1);
	CHECK_INT(r->n_got, 2);
	rig_free(r);
}

static void test_free_in_callbacks(void)
{
	struct rig *r = rig_ready(&ops);
	struct rig_msg m[2];
	unsigned i;

	r->free_at_reply = true;
	CHECK_INT(ask(r, 1), 0);
	CHECK_INT(ask(r, 2), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m[0]) && rig_recv(r->peer, &m[1]));
	reply_to(r, &m[0]);
	reply_to(r, &m[1]);
	rig_settle(r->loop);
	CHECK_INT(r->n_got, 1);
	CHECK(rig_at_end(r->peer));
	rig_free(r);

	/* In the first of those that a hang-up answers; when told of it; when
	 * ready. */
	for (i = 0; i < 2; i++) {
		r = rig_ready(&ops);
		r->free_at_reply = !i;
		r->free_at_end = i;
		CHECK_INT(ask(r, 1), 0);
		CHECK_INT(ask(r, 2), 0);
		hang_up(r);
		CHECK_INT(r->n_got, i ? 2 : 1);
		CHECK_INT(r->closed, i);
		rig_free(r);
	}
	r = rig_new(&ops);
	r->free_at_end = true;
	CHECK_INT(ask(r, 1), 0);
	answer_version(r, 0, 1, NULL);
	CHECK(!r->client);
	rig_free(r);
}

static const struct unit_case cases[] = {
	{ "version_refused", test_version_refused },
	{ "version_accepted", test_version_accepted },
	{ "pipelining", test_pipelining },
	{ "errors", test_errors },
	{ "fds_in_reply", test_fds_in_reply },
	{ "ask_again", test_ask_again },
	{ "set_irqs", test_set_irqs },
	{ "commands", test_commands },
	{ "bytes", test_bytes },
	{ "bound", test_bound },
	{ "queue_goes_first", test_queue_goes_first },
	{ "quarantine", test_quarantine },
	{ "abandoned_early", test_abandoned_early },
	{ "all_quarantined", test_all_quarantined },
	{ "hang_up", test_hang_up },
	{ "keep_pending", test_keep_pending },
	{ "fail_all", test_fail_all },
	{ "free_in_callbacks", test_free_in_callbacks },
	{ NULL },
};

const struct unit_suite vfu_client_suite = { "vfu_client", cases };
