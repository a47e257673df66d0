/* rpc_client_test.c - a client on the loop, and control sockets that answer,
 * refuse, keep silent, hang up and talk nonsense. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/control.h"
#include "libcore/rpc_client.h"
#include "libcore/unixsock.h"
#include "t/unit/scratch.h"
#include "t/unit/unit.h"

#define PATIENCE_NS (5 * NS_PER_S)

struct bench {
	struct scratch dir;
	char path[PATH_MAX];
	struct loop *loop;
	struct control *control;
	struct control_call *held;
	struct rpc_client *client;
	struct loop_timer guard;
	unsigned answers, want, gone;
	int err, code;
	long long value, sum;
	char message[128];
	bool close_in_answer;
};

static void do_double(void *arg, struct control_call *call, json_t *params)
{
	(void)arg;
	control_reply(call, json_integer(2 * control_integer(params, "n", 0)));
}

static void do_refuse(void *arg, struct control_call *call, json_t *params)
{
	(void)arg, (void)params;
	control_fail(call, RPC_DENIED, "not now");
}

static void do_hold(void *arg, struct control_call *call, json_t *params)
{
	struct bench *b = arg;

	(void)params;
	b->held = call;
}

static const struct control_param double_params[] = {
	{ "n", 'i', false, NULL },
	{ NULL },
};

static const struct control_method methods[] = {
	{ "double", "doubles", do_double, double_params },
	{ "refuse", "refuses", do_refuse, NULL },
	{ "hold", "answers later or never", do_hold, NULL },
	{ NULL },
};

static void too_late(void *arg)
{
	loop_stop(((struct bench *)arg)->loop, 1);
}

static void on_gone(void *arg)
{
	struct bench *b = arg;

	b->gone++;
	CHECK_INT(rpc_client_pending(b->client), 0);
	if (b->answers >= b->want)
		loop_stop(b->loop, 0);
}

static void on_answer(void *arg, const struct rpc_answer *answer)
{
	struct bench *b = arg;

	b->err = answer->err;
	b->code = answer->code;
	b->message[0] = '\0';
	if (answer->err)
		snprintf(b->message, sizeof(b->message), "%s", answer->message);
	b->value = json_integer_value(answer->result);
	b->sum += b->value;
	if (b->close_in_answer) {
		rpc_client_close(b->client);
		b->client = NULL;
	}
	if (++b->answers == b->want)
		loop_stop(b->loop, 0);
}

static void bench_open(struct bench *b)
{
	memset(b, 0, sizeof(*b));
	scratch_make(&b->dir);
	scratch_path(&b->dir, b->path, "s");
	CHECK_INT(loop_new(&b->loop), 0);
	CHECK_INT(control_new(&b->control, b->loop, b->path, NULL), 0);
	control_add_methods(b->control, methods, b);
	CHECK_INT(rpc_client_open(&b->client, b->loop, b->path, on_gone, b), 0);
	CHECK_INT(rpc_client_peer(b->client), getpid());
}

static void bench_close(struct bench *b)
{
	rpc_client_close(b->client);
	if (b->held)
		control_reply(b->held, NULL);
	control_free(b->control);
	loop_timer_cancel(&b->guard);
	loop_free(b->loop);
	scratch_remove(&b->dir);
}

static void ask(struct bench *b, const char *method, json_t *params,
		uint64_t timeout_ns)
{
	CHECK_INT(rpc_client_call(b->client, method, params, timeout_ns,
				  on_answer, b, NULL),
		  0);
}

/* Run until `want` answers came in all. */
static void await(struct bench *b, unsigned want)
{
	b->want = want;
	loop_timer_in(b->loop, &b->guard, PATIENCE_NS, too_late, b);
	CHECK_INT(loop_run(b->loop), 0);
	CHECK_INT(b->answers, want);
}

static void test_answers(void)
{
	struct bench b;

	bench_open(&b);
	ask(&b, "double", json_pack("{s:i}", "n", 21), 0);
	CHECK_INT(b.answers, 0); /* never from within the call */
	await(&b, 1);
	CHECK_INT(b.err, 0);
	CHECK_INT(b.value, 42);
	ask(&b, "refuse", NULL, 0);
	await(&b, 2);
	CHECK_INT(b.err, -EREMOTEIO);
	CHECK_INT(b.code, RPC_DENIED);
	CHECK_HAS(b.message, "not now");
	ask(&b, "nothing", NULL, PATIENCE_NS);
	await(&b, 3);
	CHECK_INT(b.code, RPC_METHOD);
	bench_close(&b);
}

static void test_many(void)
{
	struct bench b;
	int i;

	bench_open(&b);
	for (i = 0; i < 1000; i++)
		ask(&b, "double", json_pack("{s:i}", "n", i), PATIENCE_NS);
	CHECK_INT(rpc_client_pending(b.client), 1000);
	await(&b, 1000);
	CHECK_INT(b.sum, 999 * 1000);
	CHECK_INT(rpc_client_pending(b.client), 0);
	bench_close(&b);
}

static void test_bounds(void)
{
	struct bench b;
	unsigned i;

	bench_open(&b);
	for (i = 0; i < RPC_CLIENT_CALLS_MAX; i++)
		ask(&b, "hold", NULL, 0);
	CHECK_INT(
		rpc_client_call(b.client, "hold", NULL, 0, on_answer, &b, NULL),
		-ENOBUFS);
	CHECK_INT(
		rpc_client_call(b.client, "\xff", NULL, 0, on_answer, &b, NULL),
		-ENOBUFS);
	rpc_client_close(b.client);
	CHECK_INT(rpc_client_open(&b.client, b.loop, b.path, on_gone, &b), 0);
	CHECK_INT(
		rpc_client_call(b.client, "\xff", NULL, 0, on_answer, &b, NULL),
		-EINVAL);
	CHECK_INT(b.answers, 0);
	bench_close(&b);
}

/* Time runs out; the late answer is dropped, the next one is not. */
static void test_timeout(void)
{
	struct bench b;

	bench_open(&b);
	ask(&b, "hold", NULL, 20 * NS_PER_MS);
	await(&b, 1);
	CHECK_INT(b.err, -ETIMEDOUT);
	control_reply(b.held, json_integer(7));
	b.held = NULL;
	ask(&b, "double", json_pack("{s:i}", "n", 4), 0);
	await(&b, 2);
	CHECK_INT(b.value, 8);
	bench_close(&b);
}

static void test_forget(void)
{
	struct bench b;
	uint32_t id;

	bench_open(&b);
	CHECK_INT(rpc_client_call(b.client, "refuse", NULL, PATIENCE_NS,
				  on_answer, &b, &id),
		  0);
	ask(&b, "double", json_pack("{s:i}", "n", 1), 0);
	rpc_client_forget(b.client, id);
	rpc_client_forget(b.client, 12345);
	await(&b, 1);
	CHECK_INT(b.err, 0);
	bench_close(&b);
}

static void test_hang_up(void)
{
	struct bench b;

	bench_open(&b);
	ask(&b, "hold", NULL, 0);
	ask(&b, "double", json_pack("{s:i}", "n", 1), 0);
	await(&b, 1);
	control_reply(b.held, NULL);
	b.held = NULL;
	ask(&b, "hold", NULL, PATIENCE_NS);
	ask(&b, "hold", NULL, 0);
	control_free(b.control);
	b.control = NULL;
	await(&b, 4);
	CHECK_INT(b.gone, 1);
	CHECK_INT(b.err, -EPIPE);
	CHECK_INT(
		rpc_client_call(b.client, "hold", NULL, 0, on_answer, &b, NULL),
		-EPIPE);
	bench_close(&b);
}

/* The client is closed, and is gone, within its own callback. */
static void test_close_inside(void)
{
	struct bench b;

	bench_open(&b);
	b.close_in_answer = true;
	ask(&b, "refuse", NULL, 0);
	ask(&b, "refuse", NULL, 0);
	await(&b, 1);
	CHECK(!b.client);
	CHECK_INT(rpc_client_open(&b.client, b.loop, b.path, on_gone, &b), 0);
	ask(&b, "hold", NULL, 10 * NS_PER_MS);
	await(&b, 2);
	CHECK_INT(b.err, -ETIMEDOUT);
	CHECK_INT(b.gone, 0);
	bench_close(&b);
}

static void test_absent(void)
{
	struct rpc_client *client;
	struct bench b;

	bench_open(&b);
	strcat(b.path, "none");
	CHECK_INT(rpc_client_open(&client, b.loop, b.path, NULL, NULL),
		  -ENOENT);
	bench_close(&b);
}

static void nonsense(const char *text, int err)
{
	char path[PATH_MAX];
	struct bench b;
	int listener, fd;

	bench_open(&b);
	rpc_client_close(b.client);
	listener = unixsock_listen(scratch_path(&b.dir, path, "n"), NULL);
	CHECK(listener >= 0);
	CHECK_INT(rpc_client_open(&b.client, b.loop, path, on_gone, &b), 0);
	ask(&b, "x", NULL, 50 * NS_PER_MS);
	fd = unixsock_accept(listener);
	CHECK(fd >= 0);
	CHECK_INT(send(fd, text, strlen(text), 0), strlen(text));
	await(&b, 1);
	CHECK_INT(b.err, err);
	close(fd);
	close(listener);
	bench_close(&b);
}

static void test_nonsense(void)
{
	nonsense("what?\n", -EBADMSG);
	nonsense("[7]\n", -ETIMEDOUT);
	nonsense("12\n", -EBADMSG);
	nonsense("{\"id\":\"1\",\"result\":1}\n{\"id\":2}\n", -ETIMEDOUT);
	nonsense("{\"id\":1,\"error\":5}\n", -EREMOTEIO);
	nonsense("[{\"id\":1,\"result\":null}]\n", 0);
	nonsense("{\"id\":1,\"result\"", -ETIMEDOUT);
}

static const struct unit_case cases[] = {
	{ "answers", test_answers },
	{ "many", test_many },
	{ "bounds", test_bounds },
	{ "timeout", test_timeout },
	{ "forget", test_forget },
	{ "hang_up", test_hang_up },
	{ "close_inside", test_close_inside },
	{ "absent", test_absent },
	{ "nonsense", test_nonsense },
	{ NULL, NULL },
};

const struct unit_suite rpc_client_suite = { "rpc_client", cases };
