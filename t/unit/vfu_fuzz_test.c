/* vfu_fuzz_test.c - random messages, the same in every run, at a server and
 * at a client: nothing may crash, leak, or hang. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/vfu_client.h"
#include "t/unit/unit.h"
#include "t/unit/vfu_device.h"

#define MESSAGES  20000u
#define LIMIT_NS  (60 * NS_PER_S)
#define MAX_BYTES 512u

/* xorshift */
static uint32_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state >> 16;
}

static uint32_t below(uint64_t *state, uint32_t n)
{
	return next_random(state) % n;
}

/* A value that is often at an edge. */
static uint64_t edgy(uint64_t *state)
{
	static const uint64_t edges[] = {
		0,
		1,
		4,
		7,
		8,
		15,
		16,
		20,
		24,
		31,
		32,
		0xfff,
		0x1000,
		0x1001,
		VFU_MAX_DATA,
		VFU_MAX_DATA + 1,
		1ull << 31,
		1ull << 32,
		UINT32_MAX,
		INT64_MAX,
		UINT64_MAX,
		1ull << 63,
		VFU_MAX_MSG,
		VFU_MAX_MSG + 1,
	};
	return edges[below(state, sizeof(edges) / sizeof(edges[0]))];
}

/* A valid message of some kind; its size. */
static size_t template(uint64_t *state, uint8_t *buf)
{
	static const struct vfu_region_access access = { 16, 0, 4 };
	static const struct vfu_region_info region = { 256, 0, 1, 0, 0, 0 };
	static const struct vfu_irq_set irqs = {
		20, VFU_IRQ_DATA_EVENTFD | VFU_IRQ_ACTION_TRIGGER, 2, 0, 3
	};
	static const struct vfu_dma_map map = { 32, 3, 0, 0, 0x1000 };
	static const struct vfu_dma_unmap unmap = { 24, 0, 0, 0x1000 };
	static const struct vfu_io_fds io = { 256, 0, 0, 0 };
	static const struct vfu_irq_info irq = { 16, 0, 2, 0 };
	static const char version[] = "\0\0\1\0{\"capabilities\":{}}";
	uint8_t multi[8 + 48] = { 2, [16] = 0, [20] = 4, [44] = 8 };
	uint8_t write[20] = { 0 };
	const struct {
		uint16_t command;
		const void *payload;
		size_t size;
	} t[] = {
		{ VFU_REGION_READ, &access, sizeof(access) },
		{ VFU_REGION_WRITE, write, sizeof(write) },
		{ VFU_GET_REGION_INFO, &region, sizeof(region) },
		{ VFU_SET_IRQS, &irqs, sizeof(irqs) },
		{ VFU_DMA_MAP, &map, sizeof(map) },
		{ VFU_DMA_UNMAP, &unmap, sizeof(unmap) },
		{ VFU_GET_REGION_IO_FDS, &io, sizeof(io) },
		{ VFU_GET_IRQ_INFO, &irq, sizeof(irq) },
		{ VFU_GET_INFO, &irq, sizeof(irq) },
		{ VFU_REGION_WRITE_MULTI, multi, sizeof(multi) },
		{ VFU_RESET, NULL, 0 },
		{ VFU_VERSION, version, sizeof(version) },
	};
	uint32_t i = below(state, sizeof(t) / sizeof(t[0]));

	memcpy(write, &access, sizeof(access));
	return rig_build(buf, next_random(state), t[i].command,
			 below(state, 4) ? 0 : VFU_FLAG_NO_REPLY, t[i].payload,
			 t[i].size);
}

static size_t mutate(uint64_t *state, uint8_t *buf, size_t size)
{
	uint32_t changes = below(state, 4), field;
	uint64_t value;
	size_t at;

	while (changes--) {
		value = edgy(state);
		switch (below(state, 4)) {
		case 0: /* any byte */
			buf[below(state, size)] = next_random(state);
			break;
		case 1: /* any aligned field */
			field = below(state, 2) ? 4 : 8;
			at = below(state, size / field + 1) * field;
			memcpy(buf + at, &value, field);
			break;
		case 2: /* a payload of another length, rightly told */
			size = sizeof(struct vfu_header) + below(state, 100);
			memcpy(buf + 4, &(uint32_t){ size }, 4);
			break;
		case 3: /* one that is wrongly told; the rest is garbage */
			size = 1 + below(state, 64);
			break;
		}
	}
	return size;
}

/* In one to three pieces, sometimes with descriptors. */
static void send_pieces(uint64_t *state, struct loop *loop, int peer,
			const uint8_t *buf, size_t size)
{
	const int fds[17] = { 0 };
	uint32_t pieces = 1 + below(state, 3), n_fds = 0;
	size_t n;

	if (!below(state, 3))
		n_fds = below(state, 20) ? below(state, 5) : 17;
	while (size && pieces--) {
		n = pieces ? 1 + below(state, size) : size;
		/* It may have hung up on us. */
		(void)rig_send_raw(peer, buf, n, fds, n_fds);
		if (!below(state, 4))
			n_fds = 0;
		buf += n;
		size -= n;
		if (!below(state, 2))
			rig_settle(loop);
	}
}

static void drain(int peer)
{
	uint8_t buf[4096];
	struct rig_msg m;

	while (rig_recv_raw(peer, buf, sizeof(buf), &m) > 0)
		rig_close_fds(&m);
}

static void release_held(struct device *r, uint64_t *state)
{
	struct vfu_request *req, *kept = NULL;

	while ((req = r->held)) {
		r->held = req->next;
		if (below(state, 8)) {
			device_complete(r, req);
			continue;
		}
		req->next = kept;
		kept = req;
	}
	r->held = kept;
}

static void test_server(void)
{
	unsigned before = rig_count_fds(), i, lives = 1;
	uint64_t state = 0x6a09e667f3bcc908, start = clock_now_ns();
	uint8_t buf[MAX_BYTES] = { 0 };
	struct device *r = device_ready();
	struct rig_msg m;
	size_t size;

	for (i = 0; i < MESSAGES; i++) {
		r->hold = below(&state, 2);
		size = mutate(&state, buf, template(&state, buf));
		send_pieces(&state, r->loop, r->peer, buf, size);
		rig_settle(r->loop);
		release_held(r, &state);
		drain(r->peer);
		if (!r->detached && (r->session || i % 64))
			continue;
		device_free(r);
		r = device_new(&device_full_ops);
		lives++;
		/* Sometimes what comes next is the first message. */
		if (below(&state, 8))
			CHECK(device_hello(r, 0, 1, NULL, 0, &m));
	}
	/* It must be about messages, not about connections only. */
	CHECK(lives > 100 && lives < MESSAGES / 2);
	device_free(r);
	CHECK_INT(rig_count_fds(), before);
	CHECK(clock_now_ns() - start < LIMIT_NS);
}

/* A client that asks all it can, and a server that answers anything. */

struct asker {
	struct loop *loop;
	struct vfu_client *client;
	int peer;
	bool ended;
	unsigned answers;
};

static void on_answer(void *arg, const struct vfu_reply *reply)
{
	struct asker *a = arg;

	a->answers++;
	(void)vfu_reply_data(reply, 4);
}

static void on_ready(void *arg, int err, const char *why)
{
	struct asker *a = arg;

	(void)why;
	if (err)
		a->ended = true;
}

static void on_closed(void *arg, int err, const char *why)
{
	struct asker *a = arg;

	(void)err;
	(void)why;
	a->ended = true;
}

static const struct vfu_client_ops asker_ops = {
	.ready = on_ready,
	.closed = on_closed,
};

static void asker_init(struct asker *a, bool agree)
{
	struct rig_msg m;
	int sv[2];

	a->loop = rig_loop();
	rig_pair(SOCK_STREAM, sv);
	a->peer = sv[1];
	a->ended = false;
	if (vfu_client_new(&a->client, a->loop, sv[0], &asker_ops, a))
		abort();
	if (!agree)
		return;
	rig_settle(a->loop);
	CHECK(rig_recv(a->peer, &m));
	CHECK(rig_send(a->peer, m.header.id, VFU_VERSION, VFU_FLAG_REPLY,
		       "\0\0\0", 4));
	rig_settle(a->loop);
}

static void asker_fini(struct asker *a)
{
	vfu_client_free(a->client);
	close(a->peer);
	loop_free(a->loop);
}

static void ask_something(struct asker *a, uint64_t *state)
{
	const int fds[3] = { 0, -1, 0 };
	int ret = 0;

	switch (below(state, 6)) {
	case 0:
		ret = vfu_client_region_info(a->client, 0, on_answer, a);
		break;
	case 1:
		ret = vfu_client_io_fds(a->client, 0, on_answer, a);
		break;
	case 2:
		ret = vfu_client_set_irqs(a->client, 2, 0, 3, fds, 3, on_answer,
					  a);
		break;
	case 3:
		ret = vfu_client_write(a->client, 0, 0, "x", 1, NULL, NULL);
		break;
	case 4:
		vfu_client_abandon(a->client, next_random(state));
		break;
	default:
		ret = vfu_client_read(a->client, 0, 0, 4, on_answer, a);
	}
	CHECK(!ret || ret == -ENOTCONN);
}

static void test_client(void)
{
	unsigned before = rig_count_fds(), i, lives = 1;
	uint64_t state = 0xbb67ae8584caa73b, start = clock_now_ns();
	uint8_t buf[MAX_BYTES] = { 0 };
	struct asker a = { 0 };
	struct vfu_header h, asked;
	size_t size;

	asker_init(&a, true);
	for (i = 0; i < MESSAGES; i++) {
		ask_something(&a, &state);
		rig_settle(a.loop);
		/* Answer what was asked, or something of the kind. */
		size = template(&state, buf);
		memcpy(&h, buf, sizeof(h));
		h.id = 1 + below(&state, i % 2048 + 1);
		if (below(&state, 4) && recv(a.peer, &asked, sizeof(asked),
					     MSG_PEEK) == sizeof(asked)) {
			h.id = asked.id;
			h.command = asked.command;
		}
		if (below(&state, 8))
			h.flags = VFU_FLAG_REPLY;
		memcpy(buf, &h, sizeof(h));
		drain(a.peer);
		size = mutate(&state, buf, size);
		send_pieces(&state, a.loop, a.peer, buf, size);
		rig_settle(a.loop);
		if (!a.ended)
			continue;
		asker_fini(&a);
		asker_init(&a, below(&state, 8));
		lives++;
	}
	CHECK(a.answers > MESSAGES / 8);
	CHECK(lives > 100 && lives < MESSAGES / 2);
	asker_fini(&a);
	CHECK_INT(rig_count_fds(), before);
	CHECK(clock_now_ns() - start < LIMIT_NS);
}

static const struct unit_case cases[] = {
	{ "server", test_server },
	{ "client", test_client },
	{ NULL },
};

const struct unit_suite vfu_fuzz_suite = { "vfu_fuzz", cases };
