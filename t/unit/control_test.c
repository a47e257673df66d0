/* control_test.c - a control socket and clients of all manners, good and
 * bad, in one loop. */
#include <config.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcore/control.h"
#include "libcore/unixsock.h"
#include "t/unit/unit.h"

#define HELD_MAX 2000

struct bench {
	char dir[64], path[96];
	struct loop *loop;
	struct control *control;
	struct control_call *held[HELD_MAX];
	unsigned n_held, hung_up, notified;
	/* the client */
	int fd;
	struct loop_watch watch;
	char *got;
	size_t n_got, size;
	unsigned lines, want;
	bool ended;
};

static void do_add(void *arg, struct control_call *call, json_t *params)
{
	struct bench *b = arg;

	b->notified++;
	control_reply(call, json_integer(control_integer(params, "a", 0) +
					 control_integer(params, "b", 100)));
}

static void do_hold(void *arg, struct control_call *call, json_t *params)
{
	struct bench *b = arg;

	(void)params;
	b->held[b->n_held++ % HELD_MAX] = call;
}

static void on_hangup(void *arg)
{
	struct bench *b = arg;

	b->hung_up++;
	loop_stop(b->loop, 0);
}

static void do_capture(void *arg, struct control_call *call, json_t *params)
{
	struct bench *b = arg;

	(void)params;
	control_on_hangup(call, on_hangup, b);
	b->held[b->n_held++ % HELD_MAX] = call;
}

static void do_write(void *arg, struct control_call *call, json_t *params)
{
	int fd = control_take_fd(call);

	(void)arg;
	if (fd < 0) {
		control_fail(call, RPC_PARAMS, "write: no descriptor came");
		return;
	}
	dprintf(fd, "%s", control_string(params, "text", "?"));
	close(fd);
	control_reply(call, NULL);
}

static void do_big(void *arg, struct control_call *call, json_t *params)
{
	char *text = malloc(100001);

	(void)arg;
	(void)params;
	memset(text, 'x', 100000);
	text[100000] = '\0';
	control_reply(call, json_string(text));
	free(text);
}

static void do_flag(void *arg, struct control_call *call, json_t *params)
{
	(void)arg;
	control_fail(call, RPC_DENIED, "%s%s", "no\xff",
		     control_boolean(params, "on", false) ? " on" : "");
}

static const struct control_param add_params[] = {
	{ "a", 'i', false, NULL },
	{ "b", 'i', true, NULL },
	{ NULL },
};
static const struct control_param write_params[] = {
	{ "text", 's', true, NULL },
	{ NULL },
};
static const struct control_param flag_params[] = {
	{ "on", 'b', false, NULL },
	{ NULL },
};
static const struct control_method methods[] = {
	{ "add", "adds", do_add, add_params },
	{ "hold", "answers later", do_hold, NULL },
	{ "capture", "until hang-up", do_capture, NULL },
	{ "write", "to a descriptor", do_write, write_params },
	{ "big", "much", do_big, NULL },
	{ "flag", "refuses", do_flag, flag_params },
	{ NULL },
};

static json_t *rows(void *arg)
{
	(void)arg;
	return json_pack("[{s:i}, {s:i}]", "k", 1, "k", 2);
}

static const struct control_column columns[] = {
	{ "k", "KEY" },
	{ NULL },
};
static const struct control_table tables[] = {
	{ "things", "what there is", columns, rows },
	{ NULL },
};

static void on_client(void *arg, uint32_t events)
{
	struct bench *b = arg;
	ssize_t n;

	(void)events;
	if (b->size - b->n_got < 65536) {
		b->size += 1 << 20;
		b->got = realloc(b->got, b->size);
	}
	n = read(b->fd, b->got + b->n_got, 65535);
	if (n <= 0) {
		b->ended = true;
		loop_stop(b->loop, 0);
		return;
	}
	while (n--)
		if (b->got[b->n_got++] == '\n')
			b->lines++;
	b->got[b->n_got] = '\0';
	if (b->want && b->lines >= b->want)
		loop_stop(b->loop, 0);
}

static void too_late(void *arg)
{
	loop_stop(arg, -1);
}

/* Run until `want` lines came (0: the end), at most ms. */
static bool listen_for(struct bench *b, unsigned want, unsigned ms)
{
	struct loop_timer timer = { 0 };
	bool in_time;

	b->want = want ? b->lines + want : 0;
	loop_timer_in(b->loop, &timer, ms * NS_PER_MS, too_late, b->loop);
	in_time = loop_run(b->loop) == 0;
	loop_timer_cancel(&timer);
	return in_time;
}

static int dial(struct bench *b)
{
	b->fd = unixsock_connect(b->path);
	CHECK(b->fd >= 0);
	return loop_watch_add(b->loop, &b->watch, b->fd, EPOLLIN, on_client, b);
}

static void hang_up(struct bench *b)
{
	loop_watch_del(&b->watch);
	close(b->fd);
}

static void setup(struct bench *b)
{
	struct complaint c = { "" };

	memset(b, 0, sizeof(*b));
	strcpy(b->dir, "/tmp/control-test.XXXXXX");
	CHECK(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/x.sock", b->dir);
	CHECK_INT(loop_new(&b->loop), 0);
	CHECK_INT(control_new(&b->control, b->loop, b->path, &c), 0);
	control_add_methods(b->control, methods, b);
	control_add_tables(b->control, tables, b);
	CHECK_INT(dial(b), 0);
}

static void teardown(struct bench *b)
{
	struct stat st;

	hang_up(b);
	control_free(b->control);
	CHECK(stat(b->path, &st) < 0);
	rmdir(b->dir);
	loop_free(b->loop);
	free(b->got);
}

static void tell(struct bench *b, const char *text)
{
	CHECK_INT(send(b->fd, text, strlen(text), 0), strlen(text));
}

/* Send, and what comes back in `lines` lines. */
static const char *ask(struct bench *b, const char *text, unsigned lines)
{
	b->n_got = 0;
	if (b->got)
		b->got[0] = '\0';
	tell(b, text);
	CHECK(listen_for(b, lines, 2000));
	return b->got ? b->got : "";
}

#define REQUEST(id, method, params)                                \
	"{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"" method \
	"\",\"params\":" params "}\n"

static void test_call(void)
{
	struct bench b;

	setup(&b);
	CHECK_STR(ask(&b, REQUEST(1, "add", "{\"a\":2,\"b\":3}"), 1),
		  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":5}\n");
	CHECK_HAS(ask(&b, REQUEST("x", "add", "[2]"), 1), "\"id\":\"x\"");
	CHECK_HAS(b.got, "\"result\":102");
	/* Pipelined, with a blank line. */
	ask(&b, REQUEST(1, "add", "[1]") "\r\n" REQUEST(2, "add", "{\"a\":2}"),
	    2);
	CHECK_HAS(b.got, "\"id\":1,\"result\":101");
	CHECK_HAS(b.got, "\"id\":2,\"result\":102");
	CHECK_HAS(ask(&b, REQUEST(1, "show", "{\"table\":\"things\"}"), 1),
		  "\"rows\":[{\"k\":1},{\"k\":2}]");
	CHECK_HAS(b.got, "\"t\":");
	CHECK_HAS(ask(&b, REQUEST(1, "show", "[\"stuff\"]"), 1),
		  "no table 'stuff'");
	CHECK_HAS(ask(&b, REQUEST(1, "tables", "{}"), 1), "\"things\"");
	CHECK_HAS(ask(&b, REQUEST(1, "methods", "{}"), 1),
		  "{\"name\":\"b\",\"type\":\"integer\",\"optional\":true}");
	teardown(&b);
}

static void test_errors(void)
{
	struct bench b;

	setup(&b);
	CHECK_HAS(ask(&b, "garbage\n", 1), "\"id\":null");
	CHECK_HAS(b.got, "-32700");
	CHECK_HAS(ask(&b, "{\"a\":1,\"a\":2}\n", 1), "-32700");
	CHECK_HAS(ask(&b, "\xff\xfe\n", 1), "-32700");
	CHECK_HAS(ask(&b, "42\n", 1), "-32600");
	CHECK_HAS(ask(&b, "{\"id\":1,\"method\":\"add\"}\n", 1), "jsonrpc");
	CHECK_HAS(ask(&b, "{\"jsonrpc\":\"2.0\",\"id\":{}}\n", 1), "'id'");
	CHECK_HAS(ask(&b, "{\"jsonrpc\":\"2.0\",\"id\":1}\n", 1), "'method'");
	CHECK_HAS(ask(&b, REQUEST(7, "nope", "{}"), 1), "no method 'nope'");
	CHECK_HAS(b.got, "-32601");
	CHECK_HAS(b.got, "\"id\":7");
	CHECK_HAS(ask(&b, REQUEST(1, "add", "{}"), 1),
		  "add: parameter 'a' is missing");
	CHECK_HAS(b.got, "-32602");
	CHECK_HAS(ask(&b, REQUEST(1, "add", "{\"a\":\"2\"}"), 1),
		  "add: parameter 'a' must be an integer");
	CHECK_HAS(ask(&b, REQUEST(1, "add", "{\"a\":1,\"b\":1.5}"), 1),
		  "add: parameter 'b' must be an integer");
	CHECK_HAS(ask(&b, REQUEST(1, "add", "{\"a\":1,\"c\":1}"), 1),
		  "add: no parameter 'c'");
	CHECK_HAS(ask(&b, REQUEST(1, "add", "[1,2,3]"), 1),
		  "add: takes 2 parameters, not 3");
	CHECK_HAS(ask(&b, REQUEST(1, "add", "\"x\""), 1),
		  "add: params must be");
	CHECK_HAS(ask(&b, REQUEST(1, "show", "[1]"), 1), "must be a string");
	CHECK_HAS(ask(&b, REQUEST(1, "flag", "[1]"), 1),
		  "must be true or false");
	/* A message that is no UTF-8 is still JSON. */
	CHECK_HAS(ask(&b, REQUEST(1, "flag", "[true]"), 1), "no? on");
	CHECK_HAS(b.got, "-32002");
	teardown(&b);
}

static void test_batch(void)
{
	struct bench b;

	setup(&b);
	ask(&b,
	    "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\",\"params\":[1]},"
	    "{\"jsonrpc\":\"2.0\",\"method\":\"add\",\"params\":[5]},"
	    "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"nope\"}, 5]\n",
	    1);
	CHECK_INT(b.lines, 1);
	CHECK_INT(b.notified, 2);
	CHECK_HAS(b.got, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":101}");
	CHECK_HAS(b.got, "no method 'nope'");
	CHECK_HAS(b.got, "a request is an object");
	CHECK_HAS(ask(&b, "[]\n", 1), "-32600");
	/* Only notifications: nothing comes; the next reply is the next. */
	CHECK_STR(ask(&b,
		      "[{\"jsonrpc\":\"2.0\",\"method\":\"add\"}]\n" REQUEST(
			      9, "add", "[1]"),
		      1),
		  "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":101}\n");
	/* A batch waits for its last call. */
	tell(&b, "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hold\"},"
		 "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"add\","
		 "\"params\":[1]}]\n");
	b.n_got = 0;
	CHECK(!listen_for(&b, 1, 50));
	CHECK_INT(b.n_held, 1);
	control_reply(b.held[0], json_true());
	CHECK(listen_for(&b, 1, 2000));
	CHECK_HAS(b.got, "\"result\":true");
	teardown(&b);
}

static void test_notification(void)
{
	struct bench b;

	setup(&b);
	CHECK_STR(
		ask(&b,
		    "{\"jsonrpc\":\"2.0\",\"method\":\"add\",\"params\":[1]}\n"
		    "{\"jsonrpc\":\"2.0\",\"method\":\"nope\"}\n" REQUEST(
			    1, "add", "[1]"),
		    1),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":101}\n");
	CHECK_INT(b.notified, 2);
	teardown(&b);
}

static void test_order(void)
{
	struct bench b;

	setup(&b);
	ask(&b, REQUEST(1, "hold", "{}") REQUEST(2, "add", "[1]"), 1);
	CHECK_HAS(b.got, "\"id\":2");
	control_fail(b.held[0], RPC_FAILED, "it broke: %d", 5);
	b.n_got = 0;
	CHECK(listen_for(&b, 1, 2000));
	CHECK_HAS(b.got, "\"id\":1,\"error\":{\"code\":-32000,\"message\":\"it "
			 "broke: 5\"}");
	teardown(&b);
}

static void test_long_line(void)
{
	char *text = malloc(CONTROL_LINE_MAX);
	struct bench b;
	size_t sent = 0;
	ssize_t n;

	setup(&b);
	memset(text, ' ', CONTROL_LINE_MAX);
	/* The longest line that is allowed. */
	memcpy(text, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tables\"", 41);
	memcpy(text + CONTROL_LINE_MAX - 2, "}\n", 2);
	b.want = 1;
	while (sent < CONTROL_LINE_MAX) {
		n = send(b.fd, text + sent, CONTROL_LINE_MAX - sent, 0);
		if (n > 0)
			sent += (size_t)n;
		else
			(void)listen_for(&b, 1, 2);
	}
	CHECK(b.lines || listen_for(&b, 1, 2000));
	CHECK_HAS(b.got, "things");
	/* Without an end. */
	memset(text, ' ', CONTROL_LINE_MAX);
	b.n_got = 0;
	while (!b.ended && send(b.fd, text, CONTROL_LINE_MAX, 0))
		(void)listen_for(&b, 0, 2);
	CHECK_HAS(b.got, "longer than 1 MiB");
	free(text);
	teardown(&b);
}

/* It gets at most about CONTROL_QUEUE_MAX of its replies made; others are
 * served; once it reads on it gets all of them. */
static void test_stops_reading(void)
{
	struct bench b, other;
	unsigned i, n = 200;

	setup(&b);
	loop_watch_events(&b.watch, 0);
	for (i = 0; i < n; i++)
		tell(&b, REQUEST(1, "big", "{}"));
	other = b;
	memset(&other.watch, 0, sizeof(other.watch));
	CHECK_INT(dial(&other), 0);
	other.got = NULL;
	other.n_got = other.size = 0;
	CHECK_HAS(ask(&other, REQUEST(5, "add", "[1]"), 1), "101");
	hang_up(&other);
	free(other.got);
	CHECK(!listen_for(&b, 1, 50));
	loop_watch_events(&b.watch, EPOLLIN);
	CHECK(listen_for(&b, n, 10000));
	CHECK_INT(b.lines, n);
	teardown(&b);
}

/* Only so many calls are taken before one is answered. */
static void test_many_calls(void)
{
	static const char request[] = REQUEST(1, "hold", "{}");
	unsigned i, n = 1500;
	char *text = malloc(n * strlen(request) + 1);
	struct bench b;

	setup(&b);
	for (i = 0; i < n; i++)
		strcpy(text + i * strlen(request), request);
	tell(&b, text);
	free(text);
	CHECK(!listen_for(&b, 1, 50));
	CHECK_INT(b.n_held, CONTROL_CALLS_MAX);
	for (i = 0; i < 1000 && b.n_held == CONTROL_CALLS_MAX; i++)
		control_reply(b.held[i], NULL);
	CHECK(listen_for(&b, 1000, 2000));
	CHECK(!listen_for(&b, 1, 50));
	CHECK_INT(b.n_held, n);
	teardown(&b);
}

static void test_hangup(void)
{
	struct bench b;

	setup(&b);
	tell(&b, REQUEST(1, "capture", "{}") REQUEST(2, "hold", "{}"));
	CHECK(!listen_for(&b, 1, 20));
	hang_up(&b);
	CHECK(listen_for(&b, 1, 2000));
	CHECK_INT(b.hung_up, 1);
	/* Both go nowhere. */
	control_reply(b.held[0], json_true());
	control_fail(b.held[1], RPC_FAILED, "too late");
	CHECK_INT(dial(&b), 0);
	CHECK_HAS(ask(&b, REQUEST(1, "add", "[1]"), 1), "101");
	/* One that is answered after the end of what the client sends. */
	tell(&b, REQUEST(1, "hold", "{}"));
	shutdown(b.fd, SHUT_WR);
	CHECK(!listen_for(&b, 1, 20));
	CHECK(!b.ended);
	control_reply(b.held[2], json_integer(77));
	CHECK(listen_for(&b, 0, 2000));
	CHECK_HAS(b.got, "77");
	CHECK(b.ended);
	teardown(&b);
}

/* The last line needs no newline; the end of the input ends it. */
static void test_last_line(void)
{
	static const char text[] =
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"add\",\"params\":[1]}";
	struct bench b;

	setup(&b);
	tell(&b, text);
	shutdown(b.fd, SHUT_WR);
	CHECK(listen_for(&b, 0, 2000));
	CHECK(b.ended);
	CHECK_HAS(b.got, "101");
	teardown(&b);
}

static void send_fds(int sock, const char *text, const int *fds, unsigned n)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec iov = { (void *)text, strlen(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	memset(&control, 0, sizeof(control));
	msg.msg_control = control.space;
	msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	CHECK(sendmsg(sock, &msg, 0) > 0);
}

static unsigned open_fds(void)
{
	unsigned n = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_fds(void)
{
	struct bench b;
	unsigned before;
	char buf[16];
	int p[8], i;

	setup(&b);
	CHECK_HAS(ask(&b, REQUEST(0, "write", "{}"), 1), "no descriptor");
	for (i = 0; i < 4; i++)
		CHECK_INT(pipe(p + 2 * i), 0);
	before = open_fds();
	/* Between lines without; each to its own request. */
	tell(&b, REQUEST(1, "add", "[1]"));
	send_fds(b.fd, REQUEST(2, "write", "[\"one\"]"), &p[1], 1);
	tell(&b, REQUEST(3, "add", "[1]"));
	send_fds(b.fd, REQUEST(4, "write", "[\"two\"]"), &p[3], 1);
	b.n_got = 0;
	CHECK(listen_for(&b, 4, 2000));
	CHECK(!strstr(b.got, "error"));
	CHECK_INT(read(p[0], buf, sizeof(buf)), 3);
	CHECK(!memcmp(buf, "one", 3));
	CHECK_INT(read(p[2], buf, sizeof(buf)), 3);
	CHECK(!memcmp(buf, "two", 3));
	/* Those that nobody wants are closed. */
	send_fds(b.fd, REQUEST(5, "add", "[1]"), p, 8);
	b.n_got = 0;
	CHECK(listen_for(&b, 1, 2000));
	send_fds(b.fd, "junk\n", p, 2);
	CHECK(listen_for(&b, 1, 2000));
	send_fds(b.fd, "\n{", p, 1);
	CHECK(!listen_for(&b, 1, 20));
	CHECK_INT(open_fds(), before + 1); /* with the line under way */
	hang_up(&b);
	CHECK_INT(dial(&b), 0);
	CHECK_HAS(ask(&b, REQUEST(1, "add", "[1]"), 1), "101");
	CHECK_INT(open_fds(), before);
	for (i = 0; i < 8; i++)
		close(p[i]);
	teardown(&b);
}

static void test_taken_name(void)
{
	struct control *second = NULL;
	struct complaint c = { "" };
	struct bench b;

	setup(&b);
	CHECK(control_new(&second, b.loop, b.path, &c) < 0);
	CHECK(c.text[0]);
	teardown(&b);
}

static const struct unit_case cases[] = {
	{ "call", test_call },
	{ "errors", test_errors },
	{ "batch", test_batch },
	{ "notification", test_notification },
	{ "order", test_order },
	{ "long_line", test_long_line },
	{ "stops_reading", test_stops_reading },
	{ "many_calls", test_many_calls },
	{ "hangup", test_hangup },
	{ "last_line", test_last_line },
	{ "fds", test_fds },
	{ "taken_name", test_taken_name },
	{ NULL },
};

const struct unit_suite control_suite = { "control", cases };
