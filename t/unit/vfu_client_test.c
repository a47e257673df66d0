/* vfu_client_test.c - version, replies, commands of the client. */
#include <config.h>

#include "libcore/vfu_client.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "t/unit/unit.h"
#include "t/unit/vfu_client_rig.h"

/* Version */

static void check_refused(uint16_t major, uint16_t minor, const char *json,
			  const char *why)
{
	struct client_rig *r = client_rig_new(&client_rig_ops);

	CHECK_INT(client_rig_ask(r, 1), 0);
	client_rig_answer_version(r, major, minor, json);
	CHECK_INT(r->ready, 1);
	CHECK(r->ready_err < 0);
	CHECK_HAS(r->why, why);
	CHECK_INT(r->n_got, 1);
	CHECK_INT(r->got_err[0], -ENOTCONN);
	CHECK_INT(client_rig_ask(r, 2), -ENOTCONN);
	client_rig_hang_up(r);
	CHECK_INT(r->closed, 0);
	client_rig_free(r);
}

static void test_version_refused(void)
{
	struct vfu_header h = { .command = VFU_VERSION,
				.size = sizeof(h),
				.flags = VFU_FLAG_REPLY | VFU_FLAG_ERROR,
				.error = EINVAL };
	struct client_rig *r;

	check_refused(1, 0, NULL, "major");
	check_refused(0, 2, NULL, "minor");
	check_refused(0, 0, "{", "version data");
	check_refused(0, 0, "[]", "object");
	check_refused(0, 0, "{\"capabilities\":1}", "object");
	check_refused(0, 0, "{\"capabilities\":{\"max_msg_fds\":\"x\"}}",
		      "max_msg_fds");
	r = client_rig_new(&client_rig_ops);
	r->free_at_end = true;
	CHECK(rig_send_raw(r->peer, &h, sizeof(h), NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->ready_err, -EINVAL);
	client_rig_free(r);
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
	struct client_rig *r;
	unsigned i;

	for (i = 0; i < 4; i++) {
		r = client_rig_new(&client_rig_ops);
		/* Asked before: leaves after. */
		CHECK_INT(client_rig_ask(r, 7), 0);
		CHECK_INT(vfu_client_write(r->client, 0, 0, "abcd", 4, NULL,
					   NULL),
			  0);
		CHECK_INT(vfu_client_reserve(r->client, client_rig_on_reply,
					     NULL, &r->reserved),
			  0);
		CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET,
					  NULL, 0, NULL, 0),
			  0);
		client_rig_answer_version(r, 0, i % 2, json[i]);
		CHECK_INT(r->ready, 1);
		CHECK_INT(r->ready_err, 0);
		CHECK(rig_recv(r->peer, &m));
		CHECK_INT(m.header.command, VFU_REGION_READ);
		client_rig_reply_to(r, &m);
		CHECK(rig_recv(r->peer, &m));
		CHECK_INT(m.header.command, VFU_REGION_WRITE);
		CHECK_INT(m.header.flags, VFU_FLAG_NO_REPLY);
		CHECK(rig_recv(r->peer, &m));
		CHECK_INT(m.header.command, VFU_RESET);
		CHECK_INT(m.header.id, r->reserved);
		rig_settle(r->loop);
		CHECK_INT(r->n_got, 1);
		CHECK_INT(vfu_client_outstanding(r->client), 1);
		client_rig_free(r);
	}
}

/* Replies */

static void test_pipelining(void)
{
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	struct rig_msg m[64];
	unsigned i;

	for (i = 0; i < 64; i++)
		CHECK_INT(client_rig_ask(r, i), 0);
	rig_settle(r->loop);
	CHECK_INT(vfu_client_outstanding(r->client), 64);
	for (i = 0; i < 64; i++)
		CHECK(rig_recv(r->peer, &m[i]));
	/* Answered backwards. */
	for (i = 64; i--;)
		client_rig_reply_to(r, &m[i]);
	rig_settle(r->loop);
	CHECK_INT(r->n_got, 64);
	for (i = 0; i < 64; i++) {
		CHECK_INT(r->got_arg[i], 63 - i);
		CHECK_INT(r->got_err[i], 0);
	}
	CHECK_INT(vfu_client_outstanding(r->client), 0);
	CHECK_INT(r->strays, 0);
	client_rig_free(r);
}

static void test_errors(void)
{
	struct vfu_header h = { .size = sizeof(h),
				.flags = VFU_FLAG_REPLY | VFU_FLAG_ERROR };
	static const uint32_t sent[] = { EPERM, 0, 4096, UINT32_MAX };
	static const int seen[] = { -EPERM, -EIO, -EIO, -EIO };
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	struct rig_msg m;
	unsigned i;

	for (i = 0; i < 4; i++) {
		CHECK_INT(client_rig_ask(r, i), 0);
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
	CHECK_INT(client_rig_ask(r, i), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	m.header.command = VFU_RESET;
	client_rig_reply_to(r, &m);
	rig_settle(r->loop);
	CHECK_INT(r->got_err[4], -EPROTO);
	/* A second reply, and one to a posted write. */
	client_rig_reply_to(r, &m);
	CHECK_INT(vfu_client_write(r->client, 0, 0, "x", 1, NULL, NULL), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	client_rig_reply_to(r, &m);
	rig_settle(r->loop);
	CHECK_INT(r->strays, 2);
	CHECK_INT(r->late, 0);
	CHECK_INT(r->n_got, 5);
	client_rig_free(r);
}

static void test_fds_in_reply(void)
{
	struct vfu_region_info info = { .argsz = sizeof(info) };
	unsigned before = rig_count_fds();
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	int fd = STDIN_FILENO;
	struct rig_msg m;

	CHECK_INT(
		vfu_client_region_info(r->client, 2, client_rig_on_reply, NULL),
		0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	CHECK(rig_send_fds(r->peer, m.header.id, m.header.command,
			   VFU_FLAG_REPLY, &info, sizeof(info), &fd, 1));
	rig_settle(r->loop);
	CHECK_INT(r->n_got, 1);
	CHECK_INT(r->got_fds, 1);
	client_rig_free(r);
	CHECK_INT(rig_count_fds(), before);
}

/* A reply that is larger than what was asked for is asked for again. */
static void test_ask_again(void)
{
	struct vfu_region_info info;
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	uint8_t big[1000] = { 0 };
	struct rig_msg m;

	CHECK_INT(vfu_client_region_info(r->client, 2, client_rig_on_reply,
					 (void *)9),
		  0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	memcpy(&info, m.payload, sizeof(info));
	CHECK_INT(info.index, 2);
	info.argsz = sizeof(big);
	memcpy(m.payload, &info, sizeof(info));
	client_rig_reply_to(r, &m);
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
	CHECK_INT(vfu_client_io_fds(r->client, 0, client_rig_on_reply, NULL),
		  0);
	client_rig_free(r);
}

static void check_irqs(struct client_rig *r, uint32_t start, uint32_t count,
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
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	struct rig_msg m[5];
	struct vfu_irq_set set;
	unsigned i;

	CHECK_INT(vfu_client_set_irqs(r->client, VFU_IRQ_MSIX, 10, 9, fds, 9,
				      client_rig_on_reply, (void *)5),
		  0);
	CHECK_INT(vfu_client_set_irqs(r->client, VFU_IRQ_MSIX, 10, 9, fds, 8,
				      client_rig_on_reply, NULL),
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
		client_rig_reply_to(r, &m[i]);
		rig_settle(r->loop);
	}
	CHECK_INT(r->n_got, 1);
	CHECK_INT(r->got_arg[0], 5);
	CHECK_INT(r->got_err[0], -EPROTO);
	CHECK_INT(vfu_client_set_irqs(r->client, VFU_IRQ_MSIX, 0, 4, NULL, 0,
				      client_rig_on_reply, NULL),
		  0);
	rig_settle(r->loop);
	check_irqs(r, 0, 4, 0, &m[0]);
	CHECK_INT(vfu_client_set_irqs(r->client, VFU_IRQ_MSIX, 0, 0, NULL, 0,
				      client_rig_on_reply, NULL),
		  0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m[0]));
	memcpy(&set, m[0].payload, sizeof(set));
	CHECK_INT(set.flags, VFU_IRQ_DATA_NONE | VFU_IRQ_ACTION_TRIGGER);
	/* Freed with some chunks unanswered. */
	CHECK_INT(vfu_client_set_irqs(r->client, VFU_IRQ_MSIX, 0, 9, fds, 9,
				      client_rig_on_reply, NULL),
		  0);
	client_rig_free(r);
}

static void test_commands(void)
{
	struct vfu_dma_access access = { 0x1000, 4 };
	struct client_rig *r = client_rig_ready(&client_rig_ops);
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
	client_rig_free(r);

	r = client_rig_ready(&client_rig_keeping_ops);
	CHECK(rig_send(r->peer, 4, VFU_DMA_READ, 0, &access, sizeof(access)));
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.error, ENOTSUP);
	client_rig_free(r);
}

static void test_bytes(void)
{
	struct vfu_dma_unmap unmap;
	struct vfu_dma_map map;
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	int fd = STDIN_FILENO;
	struct rig_msg m;

	CHECK_INT(vfu_client_dma_map(r->client, 0, 0x200000, VFU_DMA_READABLE,
				     fd, 0x1000, client_rig_on_reply, NULL),
		  0);
	CHECK_INT(vfu_client_dma_unmap(r->client, 0, 0x200000,
				       client_rig_on_reply, NULL),
		  0);
	CHECK_INT(vfu_client_dma_unmap(r->client, 0, 0, client_rig_on_reply,
				       NULL),
		  0);
	CHECK_INT(vfu_client_reset(r->client, client_rig_on_reply, NULL), 0);
	CHECK_INT(vfu_client_read(r->client, 0, 0, VFU_MAX_DATA + 1,
				  client_rig_on_reply, NULL),
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
	client_rig_free(r);
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
	{ NULL },
};

const struct unit_suite vfu_client_suite = { "vfu_client", cases };
