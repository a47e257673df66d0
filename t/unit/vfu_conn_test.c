/* vfu_conn_test.c - framing, descriptors, congestion, endings. */
#include <config.h>

#include "libcore/vfu_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "t/unit/unit.h"
#include "t/unit/vfu_rig.h"

#define MAX_SEEN 4096

/* What came, in order. */
struct seen {
	uint16_t id;
	uint16_t command;
	size_t size;
	uint32_t sum;
	unsigned n_fds;
};

struct rig {
	struct loop *loop;
	struct vfu_conn *conn;
	int peer;
	struct seen seen[MAX_SEEN];
	unsigned n;
	unsigned closed;
	unsigned drained;
	int err;
	char why[80];
	uint16_t pause_at; /* ID at which to pause, close, resume */
	uint16_t close_at;
	bool resume_too;
	bool close_when_closed;
};

static uint32_t sum_of(const uint8_t *p, size_t size)
{
	uint32_t sum = 5381;

	while (size--)
		sum = sum * 33 + *p++;
	return sum;
}

static void on_message(void *arg, struct vfu_msg *msg)
{
	struct rig *r = arg;
	struct seen *s = &r->seen[r->n % MAX_SEEN];

	r->n++;
	s->id = msg->header.id;
	s->command = msg->header.command;
	s->size = msg->size;
	s->sum = sum_of(msg->payload, msg->size);
	s->n_fds = msg->n_fds;
	if (r->pause_at && r->pause_at == s->id) {
		vfu_conn_pause(r->conn);
		if (r->resume_too)
			vfu_conn_resume(r->conn);
	}
	if (r->close_at && r->close_at == s->id) {
		vfu_conn_close(r->conn);
		r->conn = NULL;
	}
}

static void on_closed(void *arg, int err, const char *why)
{
	struct rig *r = arg;

	r->closed++;
	r->err = err;
	strncpy(r->why, why ? why : "", sizeof(r->why) - 1);
	if (r->close_when_closed) {
		vfu_conn_close(r->conn);
		r->conn = NULL;
	}
}

static void on_drained(void *arg)
{
	struct rig *r = arg;

	r->drained++;
}

static const struct vfu_conn_ops ops = { on_message, on_closed, on_drained };

static struct rig *rig_new_type(int type)
{
	struct rig *r = calloc(1, sizeof(*r));
	int sv[2];

	if (!r)
		abort();
	r->loop = rig_loop();
	rig_pair(type, sv);
	r->peer = sv[1];
	if (vfu_conn_open(&r->conn, r->loop, sv[0], &ops, r))
		abort();
	return r;
}

static struct rig *rig_new(void)
{
	return rig_new_type(SOCK_STREAM);
}

static void rig_free(struct rig *r)
{
	vfu_conn_close(r->conn);
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

/* Receiving */

static void test_several_at_once(void)
{
	struct rig *r = rig_new();
	uint8_t buf[4096];
	size_t size = 0;
	unsigned i;

	for (i = 0; i < 64; i++)
		size += rig_build(buf + size, i + 1, VFU_REGION_READ, 0,
				  "0123456789abcdef", i % 17);
	CHECK(rig_send_raw(r->peer, buf, size, NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->n, 64);
	for (i = 0; i < r->n; i++) {
		CHECK_INT(r->seen[i].id, i + 1);
		CHECK_INT(r->seen[i].size, i % 17);
		CHECK_INT(r->seen[i].sum,
			  sum_of((const uint8_t *)"0123456789abcdef", i % 17));
	}
	hang_up(r);
	CHECK_INT(r->closed, 1);
	CHECK_INT(r->err, 0);
	CHECK_STR(r->why, "");
	rig_free(r);
}

static void test_byte_by_byte(void)
{
	struct rig *r = rig_new();
	uint8_t buf[256];
	size_t size, i;

	size = rig_build(buf, 7, VFU_REGION_WRITE, 0, "abc", 3);
	size += rig_build(buf + size, 8, VFU_RESET, 0, NULL, 0);
	for (i = 0; i < size; i++) {
		CHECK(rig_send_raw(r->peer, buf + i, 1, NULL, 0));
		rig_settle(r->loop);
		CHECK_INT(r->n, (i >= 18) + (i >= 34));
	}
	CHECK_INT(r->seen[0].sum, sum_of((const uint8_t *)"abc", 3));
	CHECK_INT(r->seen[1].id, 8);
	CHECK_INT(r->closed, 0);
	rig_free(r);
}

static void test_cut_anywhere(void)
{
	uint8_t buf[256];
	size_t size, cut;
	struct rig *r;

	size = rig_build(buf, 1, VFU_REGION_READ, 0, "0123456789abcdef", 16);
	size += rig_build(buf + size, 2, VFU_REGION_WRITE, 0, "xyz", 3);
	size += rig_build(buf + size, 3, VFU_RESET, 0, NULL, 0);
	for (cut = 1; cut < size; cut++) {
		r = rig_new();
		CHECK(rig_send_raw(r->peer, buf, cut, NULL, 0));
		rig_settle(r->loop);
		CHECK(rig_send_raw(r->peer, buf + cut, size - cut, NULL, 0));
		rig_settle(r->loop);
		CHECK_INT(r->n, 3);
		CHECK_INT(r->seen[2].id, 3);
		rig_free(r);
	}
}

static void test_largest(void)
{
	size_t size = VFU_MAX_MSG - sizeof(struct vfu_header), at = 0;
	uint8_t *buf = malloc(VFU_MAX_MSG + 1), *payload = malloc(size);
	struct rig *r = rig_new();
	ssize_t n;
	size_t i;

	if (!buf || !payload)
		abort();
	for (i = 0; i < size; i++)
		payload[i] = i * 7 + (i >> 8);
	rig_build(buf, 1, VFU_REGION_WRITE, 0, payload, size);
	while (at < VFU_MAX_MSG) {
		n = send(r->peer, buf + at, VFU_MAX_MSG - at, 0);
		if (n > 0)
			at += n;
		rig_settle(r->loop);
	}
	CHECK_INT(r->n, 1);
	CHECK_INT(r->seen[0].size, size);
	CHECK_INT(r->seen[0].sum, sum_of(payload, size));
	free(buf);
	free(payload);
	rig_free(r);
}

static void check_broken(uint32_t size)
{
	struct vfu_header h = { .id = 1, .command = VFU_RESET, .size = size };
	struct rig *r = rig_new();

	CHECK(rig_send(r->peer, 9, VFU_RESET, 0, NULL, 0));
	CHECK(rig_send_raw(r->peer, &h, sizeof(h), NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->n, 1);
	CHECK_INT(r->closed, 1);
	CHECK_INT(r->err, -EPROTO);
	CHECK_HAS(r->why, "than");
	h.size = sizeof(h);
	CHECK_INT(vfu_conn_send(r->conn, &h, NULL, 0, NULL, 0), -ENOTCONN);
	rig_free(r);
}

static void test_bad_sizes(void)
{
	check_broken(0);
	check_broken(15);
	check_broken(VFU_MAX_MSG + 1);
	check_broken(UINT32_MAX);
}

static void test_hang_up_within(void)
{
	uint8_t buf[64];
	size_t size, cut;
	struct rig *r;

	size = rig_build(buf, 1, VFU_REGION_WRITE, 0, "abc", 3);
	for (cut = 1; cut < size; cut += 5) {
		r = rig_new();
		r->close_when_closed = true;
		CHECK(rig_send_raw(r->peer, buf, cut, NULL, 0));
		rig_settle(r->loop);
		hang_up(r);
		CHECK_INT(r->closed, 1);
		CHECK_INT(r->err, -EPROTO);
		CHECK_STR(r->why, "hung up in the middle of a message");
		rig_free(r);
	}
}

/* Descriptors */

static void test_fds_behind_others(void)
{
	static const unsigned want[] = { 0, 0, 0, 1, 0, 2, 2 };
	unsigned before = rig_count_fds(), i;
	int fds[2] = { STDIN_FILENO, STDOUT_FILENO };
	struct rig *r = rig_new();

	/* All of it is there before the first receive. */
	for (i = 1; i <= 3; i++)
		CHECK(rig_send(r->peer, i, VFU_REGION_READ, 0, "x", 1));
	CHECK(rig_send_fds(r->peer, 4, VFU_DMA_MAP, 0, "map", 3, fds, 1));
	CHECK(rig_send(r->peer, 5, VFU_REGION_READ, 0, "x", 1));
	CHECK(rig_send_fds(r->peer, 6, VFU_SET_IRQS, 0, "irqs", 4, fds, 2));
	CHECK(rig_send_fds(r->peer, 7, VFU_SET_IRQS, 0, "irqs", 4, fds, 2));
	rig_settle(r->loop);
	CHECK_INT(r->n, 7);
	for (i = 0; i < 7; i++)
		CHECK_INT(r->seen[i].n_fds, want[i]);
	rig_free(r);
	CHECK_INT(rig_count_fds(), before);
}

static void test_fds_in_pieces(void)
{
	unsigned before = rig_count_fds();
	struct rig *r = rig_new();
	int fd = STDIN_FILENO;
	uint8_t buf[128];
	size_t size, i;

	/* On the first byte, then on one in the middle of the header. */
	size = rig_build(buf, 1, VFU_DMA_MAP, 0, "0123", 4);
	for (i = 0; i < size; i++) {
		CHECK(rig_send_raw(r->peer, buf + i, 1, &fd, !i));
		if (i % 2)
			rig_settle(r->loop);
	}
	rig_settle(r->loop);
	CHECK_INT(r->n, 1);
	CHECK_INT(r->seen[0].n_fds, 1);
	CHECK(rig_send_raw(r->peer, buf, 9, NULL, 0));
	CHECK(rig_send_raw(r->peer, buf + 9, size - 9, &fd, 1));
	rig_settle(r->loop);
	CHECK_INT(r->n, 2);
	CHECK_INT(r->seen[1].n_fds, 1);
	/* A message's last bytes and the next one's first with an fd. */
	CHECK(rig_send_raw(r->peer, buf, 5, NULL, 0));
	rig_settle(r->loop);
	CHECK(rig_send_raw(r->peer, buf + 5, size - 5, NULL, 0));
	CHECK(rig_send_raw(r->peer, buf, 3, &fd, 1));
	CHECK(rig_send_raw(r->peer, buf + 3, size - 3, NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->n, 4);
	CHECK_INT(r->seen[2].n_fds, 0);
	CHECK_INT(r->seen[3].n_fds, 1);
	rig_free(r);
	CHECK_INT(rig_count_fds(), before);
}

/* A peer that gathers its writes: the descriptors go to a message that may
 * carry some. */
static void test_fds_gathered(void)
{
	struct rig *r = rig_new();
	int fd = STDIN_FILENO;
	uint8_t buf[256];
	size_t size;

	size = rig_build(buf, 1, VFU_REGION_READ, 0, "x", 1);
	size += rig_build(buf + size, 2, VFU_DMA_MAP, 0, "x", 1);
	size += rig_build(buf + size, 3, VFU_REGION_READ, 0, "x", 1);
	CHECK(rig_send_raw(r->peer, buf, size, &fd, 1));
	size = rig_build(buf, 4, VFU_GET_REGION_INFO, VFU_FLAG_REPLY, "x", 1);
	size += rig_build(buf + size, 5, VFU_SET_IRQS, VFU_FLAG_REPLY, "x", 1);
	CHECK(rig_send_raw(r->peer, buf, size, &fd, 1));
	rig_settle(r->loop);
	CHECK_INT(r->n, 5);
	CHECK_INT(r->seen[1].n_fds, 1);
	CHECK_INT(r->seen[3].n_fds, 1);
	rig_free(r);
}

static void test_too_many_fds(void)
{
	unsigned before = rig_count_fds(), i;
	struct rig *r = rig_new();
	uint8_t buf[64];
	size_t size;
	int fds[17];

	for (i = 0; i < 17; i++)
		fds[i] = STDIN_FILENO;
	CHECK(rig_send_fds(r->peer, 1, VFU_SET_IRQS, 0, "x", 1, fds, 16));
	rig_settle(r->loop);
	CHECK_INT(r->seen[0].n_fds, 16);
	CHECK(rig_send_fds(r->peer, 2, VFU_SET_IRQS, 0, "x", 1, fds, 17));
	rig_settle(r->loop);
	CHECK_INT(r->n, 1);
	CHECK_INT(r->err, -EPROTO);
	CHECK_HAS(r->why, "file descriptors");
	rig_free(r);

	/* In two portions. */
	r = rig_new();
	size = rig_build(buf, 1, VFU_SET_IRQS, 0, "xyz", 3);
	CHECK(rig_send_raw(r->peer, buf, 8, fds, 10));
	CHECK(rig_send_raw(r->peer, buf + 8, 8, fds, 6));
	rig_settle(r->loop);
	CHECK_INT(r->closed, 0);
	CHECK(rig_send_raw(r->peer, buf + 16, size - 16, fds, 1));
	rig_settle(r->loop);
	CHECK_INT(r->closed, 1);
	CHECK_INT(r->err, -EPROTO);
	rig_free(r);
	CHECK_INT(rig_count_fds(), before);
}

static void test_no_room_for_fds(void)
{
	struct rlimit limit, low;
	struct rig *r = rig_new();
	int fds[4] = { 0, 0, 0, 0 };
	unsigned before = rig_count_fds();
	int lowest;

	CHECK(rig_send_fds(r->peer, 1, VFU_SET_IRQS, 0, "x", 1, fds, 4));
	lowest = dup(0);
	CHECK(!getrlimit(RLIMIT_NOFILE, &limit));
	low = limit;
	low.rlim_cur = lowest + 2;
	close(lowest);
	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	rig_settle(r->loop);
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	CHECK_INT(r->n, 0);
	CHECK_INT(r->err, -EPROTO);
	CHECK_HAS(r->why, "open files");
	CHECK_INT(rig_count_fds(), before);
	rig_free(r);
}

/* Sending: a record socket shows what left in one sendmsg. */

static void test_gathers(void)
{
	struct rig *r = rig_new_type(SOCK_SEQPACKET);
	struct vfu_header h = { .id = 1, .command = VFU_REGION_WRITE };
	struct iovec iov[2] = { { (void *)"abc", 3 }, { (void *)"defg", 4 } };
	int fd = STDIN_FILENO, sent = fd;
	struct stat a, b;
	uint8_t buf[256];
	struct rig_msg m;
	unsigned i;

	for (i = 0; i < 5; i++, h.id++)
		CHECK_INT(vfu_conn_send(r->conn, &h, iov, 2, &sent, i == 3), 0);
	rig_settle(r->loop);
	CHECK_INT(recv(r->peer, buf, sizeof(buf), 0), 3 * 23);
	CHECK(!memcmp(buf + 16, "abcdefg", 7));
	/* The fourth leaves alone, and its fd is one of its own. */
	CHECK_INT(rig_recv_raw(r->peer, buf, sizeof(buf), &m), 23);
	CHECK_INT(m.n_fds, 1);
	CHECK(m.n_fds == 1 && !fstat(m.fds[0], &a) && !fstat(fd, &b) &&
	      a.st_ino == b.st_ino && m.fds[0] != fd);
	rig_close_fds(&m);
	CHECK_INT(recv(r->peer, buf, sizeof(buf), 0), 23);
	CHECK_INT(buf[0], 5);
	rig_free(r);
}

static void test_gathers_whole_messages(void)
{
	struct rig *r = rig_new_type(SOCK_SEQPACKET);
	struct vfu_header h = { .command = VFU_REGION_WRITE };
	static uint8_t data[50000], buf[60000];
	static const size_t sizes[] = { 10000, 10000, 20000, 50000, 7, 8 };
	/* in records */
	static const ssize_t want[] = { 20032, 20016, 50016, 47 };
	struct iovec iov = { data, 0 };
	unsigned i;

	for (i = 0; i < 6; i++) {
		iov.iov_len = sizes[i];
		CHECK_INT(vfu_conn_send(r->conn, &h, &iov, 1, NULL, 0), 0);
	}
	for (i = 0; i < 4; i++) {
		rig_settle(r->loop);
		CHECK_INT(recv(r->peer, buf, sizeof(buf), 0), want[i]);
	}
	iov.iov_len = VFU_MAX_MSG;
	CHECK_INT(vfu_conn_send(r->conn, &h, &iov, 1, NULL, 0), -EMSGSIZE);
	rig_free(r);
}

static void test_congestion(void)
{
	struct rig *r = rig_new();
	struct vfu_header h = { .command = VFU_REGION_WRITE };
	static uint8_t data[8000];
	struct iovec iov = { data, sizeof(data) };
	unsigned sent = 0, got = 0, i;
	int fd = STDIN_FILENO;
	struct rig_msg m;

	while (!vfu_conn_congested(r->conn) && sent < 10000) {
		h.id = ++sent;
		memset(data, sent, sizeof(data));
		CHECK_INT(vfu_conn_send(r->conn, &h, &iov, 1, &fd,
					sent % 100 == 0),
			  0);
		if (sent % 7 == 0)
			rig_settle(r->loop);
	}
	CHECK(sent > VFU_CONN_QUEUE_MAX / sizeof(data) && sent < 1000);
	CHECK_INT(r->drained, 0);
	for (i = 0; i < 100 && got < sent; i++) {
		while (rig_recv(r->peer, &m)) {
			got++;
			CHECK_INT(m.header.id, got);
			CHECK_INT(m.size, sizeof(data));
			CHECK_INT(m.payload[4999], got & 0xff);
			CHECK_INT(m.n_fds, got % 100 == 0);
			rig_close_fds(&m);
		}
		rig_settle(r->loop);
	}
	CHECK_INT(got, sent);
	CHECK_INT(r->drained, 1);
	CHECK(!vfu_conn_congested(r->conn));
	rig_free(r);
}

/* What is asked without reading the answers is not delivered for ever. */
static void test_throttle(void)
{
	struct rig *r = rig_new();
	struct vfu_header h = { .command = VFU_REGION_WRITE };
	static uint8_t data[100000];
	struct iovec iov = { data, sizeof(data) };
	unsigned i;

	vfu_conn_throttle(r->conn);
	for (i = 0; i < 50; i++)
		CHECK_INT(vfu_conn_send(r->conn, &h, &iov, 1, NULL, 0), 0);
	CHECK(vfu_conn_congested(r->conn));
	CHECK(rig_send(r->peer, 1, VFU_RESET, 0, NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->n, 0);
	for (i = 0; i < 1000 && !r->n; i++) {
		CHECK(recv(r->peer, data, sizeof(data), 0) > 0);
		rig_settle(r->loop);
	}
	CHECK_INT(r->n, 1);
	CHECK_INT(r->drained, 1);
	/* And again, but now the peer dies instead of reading. */
	for (i = 0; i < 50; i++)
		CHECK_INT(vfu_conn_send(r->conn, &h, &iov, 1, NULL, 0), 0);
	rig_settle(r->loop);
	CHECK(rig_send(r->peer, 2, VFU_RESET, 0, NULL, 0));
	hang_up(r);
	rig_settle(r->loop);
	CHECK_INT(r->n, 2);
	CHECK_INT(r->closed, 1);
	CHECK_INT(r->err, 0);
	rig_free(r);
}

/* Pausing and endings */

static void test_pause(void)
{
	struct rig *r = rig_new();
	unsigned i;

	r->pause_at = 2;
	for (i = 1; i <= 4; i++)
		CHECK(rig_send(r->peer, i, VFU_RESET, 0, NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->n, 2);
	CHECK(rig_send(r->peer, 5, VFU_RESET, 0, NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->n, 2);
	vfu_conn_resume(r->conn);
	vfu_conn_resume(r->conn);
	CHECK_INT(r->n, 2); /* not from within the call */
	rig_settle(r->loop);
	CHECK_INT(r->n, 5);
	/* Resumed in the callback that paused. */
	r->pause_at = 6;
	r->resume_too = true;
	CHECK(rig_send(r->peer, 6, VFU_RESET, 0, NULL, 0));
	CHECK(rig_send(r->peer, 7, VFU_RESET, 0, NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->n, 7);
	CHECK_INT(r->seen[6].id, 7);
	rig_free(r);
}

static void test_hang_up_while_paused(void)
{
	static uint8_t buf[48000];
	struct rig *r = rig_new();
	size_t size = 0;
	unsigned i;

	r->pause_at = 1;
	for (i = 1; i <= 1000; i++)
		size += rig_build(buf + size, i, VFU_REGION_WRITE, 0,
				  "0123456789abcdef0123456789abcdef", 32);
	CHECK(rig_send_raw(r->peer, buf, size, NULL, 0));
	rig_settle(r->loop);
	hang_up(r);
	CHECK_INT(r->n, 1);
	CHECK_INT(r->closed, 0);
	vfu_conn_resume(r->conn);
	rig_settle(r->loop);
	CHECK_INT(r->n, 1000);
	CHECK_INT(r->closed, 1);
	CHECK_INT(r->err, 0);
	rig_free(r);
}

static void test_close_in_callback(void)
{
	struct vfu_header h = { .id = 9, .command = VFU_RESET };
	struct rig *r = rig_new();
	struct rig_msg m;

	r->close_at = 2;
	CHECK_INT(vfu_conn_send(r->conn, &h, NULL, 0, NULL, 0), 0);
	CHECK(rig_send(r->peer, 1, VFU_RESET, 0, NULL, 0));
	CHECK(rig_send(r->peer, 2, VFU_RESET, 0, NULL, 0));
	CHECK(rig_send(r->peer, 3, VFU_RESET, 0, NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->n, 2);
	CHECK_INT(r->closed, 0);
	CHECK(rig_recv(r->peer, &m)); /* it was flushed */
	CHECK(rig_at_end(r->peer));
	rig_free(r);
	vfu_conn_close(NULL);
}

/* What a peer said before it died is heard, although we cannot answer. */
static void test_last_words(void)
{
	struct vfu_header h = { .id = 9, .command = VFU_RESET };
	struct rig *r = rig_new();

	CHECK_INT(vfu_conn_send(r->conn, &h, NULL, 0, NULL, 0), 0);
	CHECK(rig_send(r->peer, 1, VFU_RESET, 0, NULL, 0));
	CHECK(rig_send(r->peer, 2, VFU_RESET, 0, NULL, 0));
	hang_up(r);
	CHECK_INT(r->n, 2);
	CHECK_INT(r->closed, 1);
	CHECK_INT(r->err, 0);
	CHECK_INT(vfu_conn_send(r->conn, &h, NULL, 0, NULL, 0), -ENOTCONN);
	rig_free(r);

	/* It dies with ours unread: the socket is reset. */
	r = rig_new();
	CHECK_INT(vfu_conn_send(r->conn, &h, NULL, 0, NULL, 0), 0);
	rig_settle(r->loop);
	CHECK(rig_send(r->peer, 1, VFU_RESET, 0, NULL, 0));
	hang_up(r);
	CHECK_INT(r->n, 1);
	CHECK_INT(r->err, 0);
	rig_free(r);
}

static const struct unit_case cases[] = {
	{ "several_at_once", test_several_at_once },
	{ "byte_by_byte", test_byte_by_byte },
	{ "cut_anywhere", test_cut_anywhere },
	{ "largest", test_largest },
	{ "bad_sizes", test_bad_sizes },
	{ "hang_up_within", test_hang_up_within },
	{ "fds_behind_others", test_fds_behind_others },
	{ "fds_in_pieces", test_fds_in_pieces },
	{ "fds_gathered", test_fds_gathered },
	{ "too_many_fds", test_too_many_fds },
	{ "no_room_for_fds", test_no_room_for_fds },
	{ "gathers", test_gathers },
	{ "gathers_whole_messages", test_gathers_whole_messages },
	{ "congestion", test_congestion },
	{ "throttle", test_throttle },
	{ "pause", test_pause },
	{ "hang_up_while_paused", test_hang_up_while_paused },
	{ "close_in_callback", test_close_in_callback },
	{ "last_words", test_last_words },
	{ NULL },
};

const struct unit_suite vfu_conn_suite = { "vfu_conn", cases };
