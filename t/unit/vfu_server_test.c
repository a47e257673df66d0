/* vfu_server_test.c - version, sessions, answers late or never. */
#include <config.h>

#include "libcore/vfu_server.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/unixsock.h"
#include "libcore/vfu_server_private.h"
#include "t/unit/scratch.h"
#include "t/unit/unit.h"
#include "t/unit/vfu_device.h"

/* Version */

static void test_version(void)
{
	static const uint16_t minor[][2] = { { 0, 0 }, { 1, 1 }, { 7, 1 } };
	struct vfu_version v;
	struct rig_msg m;
	struct device *r;
	unsigned i;

	for (i = 0; i < 3; i++) {
		r = device_new(&device_full_ops);
		CHECK(device_hello(r, 0, minor[i][0], NULL, 0, &m));
		CHECK_INT(m.header.id, 77);
		CHECK_INT(m.header.flags, VFU_FLAG_REPLY);
		memcpy(&v, m.payload, sizeof(v));
		CHECK_INT(v.major, 0);
		CHECK_INT(v.minor, minor[i][1]);
		CHECK_INT(m.payload[m.size - 1], 0);
		CHECK_HAS((char *)m.payload + 4, "\"write_multiple\":true");
		CHECK_INT(r->attached, 1);
		/* Not twice. */
		CHECK_INT(device_ask(r, VFU_VERSION, &v, sizeof(v), &m),
			  EINVAL);
		CHECK_INT(r->refused, 1);
		device_hang_up(r);
		CHECK_INT(r->detached, 1);
		CHECK_STR(r->why, "");
		device_free(r);
	}
}

static void check_refused(uint16_t major, const char *json, size_t size,
			  const char *why)
{
	struct device *r = device_new(&device_full_ops);
	struct rig_msg m;

	CHECK(device_hello(r, major, 0, json, size, &m));
	CHECK_INT(m.header.flags, VFU_FLAG_REPLY | VFU_FLAG_ERROR);
	CHECK_INT(m.header.error, EINVAL);
	CHECK_INT(m.header.size, 16);
	CHECK(rig_at_end(r->peer));
	CHECK_INT(r->attached, 0);
	CHECK_INT(r->detached, 0);
	CHECK_INT(r->refused, 1);
	CHECK_HAS(r->refusal, why);
	device_free(r);
}

static void test_version_refused(void)
{
	static const char type[] = "{\"capabilities\":{\"max_msg_fds\":[]}}";
	struct device *r;
	struct rig_msg m;

	check_refused(1, NULL, 0, "major version 1");
	check_refused(65535, NULL, 0, "major");
	check_refused(0, "{}", 2, "NUL");
	check_refused(0, "{", 2, "version data");
	check_refused(0, "\0", 2, "version data");
	check_refused(0, "7", 2, "version data");
	check_refused(0, type, sizeof(type), "max_msg_fds");
	/* Too short; another command; a reply; one that wants no answer. */
	r = device_new(&device_full_ops);
	CHECK_INT(device_ask(r, VFU_VERSION, "\0\0\0", 3, &m), EINVAL);
	device_free(r);
	r = device_new(&device_full_ops);
	CHECK_INT(device_ask(r, VFU_RESET, NULL, 0, &m), EINVAL);
	CHECK(rig_at_end(r->peer));
	CHECK_HAS(r->refusal, "no VERSION");
	device_free(r);
	r = device_new(&device_full_ops);
	CHECK(rig_send(r->peer, 1, VFU_VERSION, VFU_FLAG_REPLY, "\0\0\0", 4));
	rig_settle(r->loop);
	CHECK_INT(r->attached, 0);
	device_free(r);
	r = device_new(&device_full_ops);
	CHECK(rig_send(r->peer, 1, VFU_VERSION, VFU_FLAG_NO_REPLY, "\0\0\0",
		       4));
	rig_settle(r->loop);
	CHECK_INT(r->attached, 0);
	CHECK(rig_at_end(r->peer));
	device_free(r);
}

static void test_silent_client(void)
{
	struct device *r = device_new(&device_full_ops);
	struct vfu_session *s = TAILQ_FIRST(&r->server->sessions);

	loop_timer_in(r->loop, &s->hello, 0, s->hello.fn, s->hello.arg);
	rig_settle(r->loop);
	CHECK(rig_at_end(r->peer));
	CHECK_HAS(r->refusal, "no VERSION");
	device_free(r);
}

/* Answers: late, never, in any order, after the client */

static void test_out_of_order(void)
{
	struct vfu_region_access a = { 0, 0, 4 };
	struct device *r = device_ready();
	struct vfu_request *req;
	struct rig_msg m;
	unsigned i;

	r->hold = true;
	for (i = 0; i < 64; i++)
		CHECK(rig_send(r->peer, i, VFU_REGION_READ, 0, &a, sizeof(a)));
	rig_settle(r->loop);
	CHECK_INT(vfu_session_unanswered(r->session), 64);
	while ((req = r->held)) {
		r->held = req->next;
		vfu_request_unsupported(req);
	}
	CHECK_INT(vfu_session_unanswered(r->session), 0);
	rig_settle(r->loop);
	for (i = 64; i--;) {
		CHECK(rig_recv(r->peer, &m));
		CHECK_INT(m.header.id, i);
		CHECK_INT(m.size, 20);
		CHECK(!memcmp(m.payload + 16, "\xff\xff\xff\xff", 4));
	}
	device_free(r);
}

static void test_answered_too_late(void)
{
	struct vfu_region_access a = { 0, 0, 4 };
	struct device *r = device_ready();
	struct vfu_request *req;
	int sv[2];

	r->hold = true;
	CHECK(rig_send(r->peer, 1, VFU_REGION_READ, 0, &a, sizeof(a)));
	CHECK(rig_send(r->peer, 2, VFU_RESET, 0, NULL, 0));
	rig_settle(r->loop);
	device_hang_up(r);
	CHECK_INT(r->detached, 1);
	req = r->held;
	CHECK(!req->session && !req->next->session);
	r->held = req->next;
	vfu_request_ok(req);
	/* The next client has nothing to do with it. */
	rig_pair(SOCK_STREAM, sv);
	r->peer = sv[1];
	CHECK_INT(vfu_server_adopt(r->server, sv[0]), 0);
	rig_pair(SOCK_STREAM, sv);
	CHECK_INT(vfu_server_adopt(r->server, sv[0]), -EBUSY);
	close(sv[1]);
	device_free(r); /* answers the other after the server */
}

static void test_end_in_access(void)
{
	struct vfu_region_access a = { 0, 0, 4 };
	struct device *r = device_ready();
	uint8_t buf[128];
	size_t size;

	size = rig_build(buf, 1, VFU_REGION_READ, 0, &a, sizeof(a));
	size += rig_build(buf + size, 2, VFU_REGION_READ, 0, &a, sizeof(a));
	r->close_in_access = true;
	CHECK(rig_send_raw(r->peer, buf, size, NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->accesses, 1);
	CHECK_INT(r->detached, 1);
	CHECK_STR(r->why, "test");
	device_free(r);
	r = device_ready();
	r->free_in_access = true;
	CHECK(rig_send_raw(r->peer, buf, size, NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->accesses, 1);
	CHECK_INT(r->detached, 0);
	device_free(r);
}

/* A client that asks for more than we want to keep waits. */
static void test_owing(void)
{
	struct vfu_region_access a = { 0, 1, DEVICE_DATA_SIZE };
	struct device *r = device_ready();
	struct vfu_request *req;
	unsigned i;

	r->hold = true;
	for (i = 0; i < 20; i++)
		CHECK(rig_send(r->peer, i, VFU_REGION_READ, 0, &a, sizeof(a)));
	rig_settle(r->loop);
	CHECK_INT(r->accesses, 9);
	r->hold = false;
	while ((req = r->held)) {
		r->held = req->next;
		vfu_request_fail(req, EIO);
	}
	/* Now the answers fill the connection, which nobody reads. */
	rig_settle(r->loop);
	rig_settle(r->loop);
	CHECK_INT(r->accesses, 9 + 4);
	device_free(r);
}

/* Listening */

static void test_listening(void)
{
	struct device *r = calloc(1, sizeof(*r));
	struct rlimit limit, low;
	struct vfu_version v = { 0, 1 };
	struct complaint c;
	char path[PATH_MAX];
	struct scratch dir;
	int fd, a, b;

	if (!r)
		abort();
	scratch_make(&dir);
	scratch_path(&dir, path, "pf0.sock");
	r->loop = rig_loop();
	r->peer = -1;
	r->desc = (struct vfu_server_desc){ 9, 1, false };
	fd = unixsock_listen(path, &c);
	CHECK(fd >= 0);
	CHECK_INT(vfu_server_new(&r->server, r->loop, fd, &r->desc,
				 &device_full_ops, r),
		  0);
	a = unixsock_connect(path);
	b = unixsock_connect(path);
	CHECK(rig_send(a, 1, VFU_VERSION, 0, &v, sizeof(v)));
	CHECK(rig_send(b, 1, VFU_VERSION, 0, &v, sizeof(v)));
	rig_settle(r->loop);
	/* One at a time; the other waits for its end. */
	CHECK_INT(r->attached, 1);
	vfu_server_accept(r->server, false);
	close(a);
	rig_settle(r->loop);
	CHECK_INT(r->detached, 1);
	CHECK_INT(r->attached, 1);
	vfu_server_accept(r->server, true);
	rig_settle(r->loop);
	CHECK_INT(r->attached, 2);
	close(b);
	rig_settle(r->loop);
	/* Out of descriptors for a while: no spinning, taken later. */
	a = unixsock_connect(path);
	CHECK(rig_send(a, 1, VFU_VERSION, 0, &v, sizeof(v)));
	CHECK(!getrlimit(RLIMIT_NOFILE, &limit));
	low = limit;
	low.rlim_cur = 3;
	CHECK(!setrlimit(RLIMIT_NOFILE, &low));
	rig_settle(r->loop);
	CHECK(!setrlimit(RLIMIT_NOFILE, &limit));
	CHECK_INT(r->attached, 2);
	CHECK(r->server->retry.loop != NULL);
	rig_settle(r->loop);
	CHECK_INT(r->attached, 2);
	loop_timer_in(r->loop, &r->server->retry, 0, r->server->retry.fn,
		      r->server->retry.arg);
	rig_settle(r->loop);
	CHECK_INT(r->attached, 3);
	close(a);
	device_free(r);
	scratch_remove(&dir);
}

static const struct unit_case cases[] = {
	{ "version", test_version },
	{ "version_refused", test_version_refused },
	{ "silent_client", test_silent_client },
	{ "out_of_order", test_out_of_order },
	{ "answered_too_late", test_answered_too_late },
	{ "end_in_access", test_end_in_access },
	{ "owing", test_owing },
	{ "listening", test_listening },
	{ NULL },
};

const struct unit_suite vfu_server_suite = { "vfu_server", cases };
