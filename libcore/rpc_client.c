/* rpc_client.c - JSON-RPC 2.0 client on the loop.
 *
 * Theory of operation.  Calls lie in a list in the order of their IDs until
 * they are answered.  An answer whose ID is not in the list (it was forgotten,
 * its time ran out) is dropped.  Callbacks may close the client: what runs
 * them holds it (`busy`), and the last one out frees it.
 */
#include <config.h>

#include "libcore/rpc_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/control.h"
#include "libcore/unixsock.h"

#define READ_SIZE 65536u

struct call {
	TAILQ_ENTRY(call) entry;
	struct rpc_client *client;
	uint32_t id;
	rpc_answer_fn *fn;
	void *arg;
	struct loop_timer timer;
};

struct rpc_client {
	struct loop *loop;
	int fd; /* -1: it hung up */
	pid_t peer;
	struct loop_watch watch;
	loop_fn *gone;
	void *arg;
	TAILQ_HEAD(, call) calls;
	unsigned n_calls;
	uint32_t last_id;
	char *in, *out;
	size_t n_in, in_size, n_out, out_size;
	unsigned busy;
	bool closed;
};

static void on_socket(void *arg, uint32_t events);

int rpc_client_open(struct rpc_client **result, struct loop *loop,
		    const char *path, loop_fn *gone, void *arg)
{
	struct rpc_client *c;
	int err, fd;

	fd = unixsock_connect(path);
	if (fd < 0)
		return fd;
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	TAILQ_INIT(&c->calls);
	c->loop = loop;
	c->fd = fd;
	c->peer = unixsock_peer(fd);
	c->gone = gone;
	c->arg = arg;
	err = loop_watch_add(loop, &c->watch, fd, EPOLLIN, on_socket, c);
	if (err) {
		rpc_client_close(c);
		return err;
	}
	*result = c;
	return 0;
}

static void call_free(struct call *call)
{
	struct rpc_client *c = call->client;

	TAILQ_REMOVE(&c->calls, call, entry);
	c->n_calls--;
	loop_timer_cancel(&call->timer);
	free(call);
}

static void disconnect(struct rpc_client *c)
{
	loop_watch_del(&c->watch);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

static void put(struct rpc_client *c)
{
	if (--c->busy || !c->closed)
		return;
	free(c->in);
	free(c->out);
	free(c);
}

void rpc_client_close(struct rpc_client *c)
{
	struct call *call;

	if (!c || c->closed)
		return;
	c->closed = true;
	disconnect(c);
	while ((call = TAILQ_FIRST(&c->calls)))
		call_free(call);
	c->busy++;
	put(c);
}

pid_t rpc_client_peer(const struct rpc_client *c)
{
	return c->peer;
}

unsigned rpc_client_pending(const struct rpc_client *c)
{
	return c->n_calls;
}

/* The caller holds the client. */
static void answer(struct call *call, const struct rpc_answer *a)
{
	rpc_answer_fn *fn = call->fn;
	void *arg = call->arg;

	call_free(call);
	fn(arg, a);
}

static void hang_up(struct rpc_client *c, int err, const char *why)
{
	const struct rpc_answer a = { .err = err, .message = why };
	loop_fn *gone = c->gone;
	struct call *call;

	disconnect(c);
	while (!c->closed && (call = TAILQ_FIRST(&c->calls)))
		answer(call, &a);
	c->gone = NULL;
	if (!c->closed && gone)
		gone(c->arg);
}

static struct call *find(struct rpc_client *c, const json_t *id)
{
	struct call *call;

	if (!json_is_integer(id))
		return NULL;
	TAILQ_FOREACH (call, &c->calls, entry)
		if (call->id == json_integer_value(id))
			return call;
	return NULL;
}

static void take_answer(struct rpc_client *c, json_t *line)
{
	struct call *call = find(c, json_object_get(line, "id"));
	const json_t *error = json_object_get(line, "error");
	struct rpc_answer a = { .result = json_object_get(line, "result") };

	if (!call)
		return;
	if (error) {
		a.err = -EREMOTEIO;
		a.code =
			(int)json_integer_value(json_object_get(error, "code"));
		a.message =
			json_string_value(json_object_get(error, "message"));
		a.result = NULL;
		if (!a.message)
			a.message = "refused";
	}
	answer(call, &a);
}

/* 0 or -EBADMSG. */
static int take_line(struct rpc_client *c, const char *line, size_t size)
{
	json_t *json = json_loadb(line, size, JSON_DECODE_ANY, NULL);
	size_t i;

	if (json_is_array(json))
		for (i = 0; i < json_array_size(json) && !c->closed; i++)
			take_answer(c, json_array_get(json, i));
	else if (json_is_object(json))
		take_answer(c, json);
	else
		size = 0;
	json_decref(json);
	return size ? 0 : -EBADMSG;
}

static int take_lines(struct rpc_client *c, size_t scanned)
{
	size_t start = 0;
	char *end;
	int err = 0;

	while (!err && !c->closed &&
	       (end = memchr(c->in + scanned, '\n', c->n_in - scanned))) {
		err = take_line(c, c->in + start,
				(size_t)(end - c->in) - start);
		start = scanned = (size_t)(end - c->in) + 1;
	}
	if (start) {
		memmove(c->in, c->in + start, c->n_in - start);
		c->n_in -= start;
	}
	if (c->n_in > CONTROL_LINE_MAX)
		err = -EBADMSG;
	return err;
}

static bool make_room(char **buf, size_t *size, size_t need)
{
	size_t want = *size ? *size : 4096;
	char *grown;

	while (want < need)
		want *= 2;
	if (want == *size)
		return true;
	grown = realloc(*buf, want);
	if (!grown)
		return false;
	*buf = grown;
	*size = want;
	return true;
}

/* 0 or -errno: there is no more to come. */
static int receive(struct rpc_client *c)
{
	size_t before = c->n_in;
	ssize_t n;

	if (!make_room(&c->in, &c->in_size, before + READ_SIZE))
		return -ENOMEM;
	n = read(c->fd, c->in + before, READ_SIZE);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
	if (!n)
		return -EPIPE;
	c->n_in += (size_t)n;
	return take_lines(c, before);
}

/* 0 or -EPIPE. */
static int flush(struct rpc_client *c)
{
	ssize_t n = 0;

	while (c->n_out) {
		n = send(c->fd, c->out, c->n_out, MSG_NOSIGNAL);
		if (n < 0)
			break;
		memmove(c->out, c->out + n, c->n_out - (size_t)n);
		c->n_out -= (size_t)n;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -EPIPE;
	loop_watch_events(&c->watch, EPOLLIN | (c->n_out ? EPOLLOUT : 0));
	return 0;
}

static void on_socket(void *arg, uint32_t events)
{
	struct rpc_client *c = arg;
	int err = 0;

	c->busy++;
	if (events & EPOLLOUT)
		err = flush(c);
	/* What it said before it hung up counts. */
	if (events & ~(uint32_t)EPOLLOUT || err)
		err = receive(c);
	if (err && !c->closed)
		hang_up(c, err,
			err == -EBADMSG ? "no JSON-RPC came back"
					: "the other program hung up");
	put(c);
}

static void on_time(void *arg)
{
	const struct rpc_answer a = { .err = -ETIMEDOUT,
				      .message = "no answer in time" };
	struct call *call = arg;
	struct rpc_client *c = call->client;

	c->busy++;
	answer(call, &a);
	put(c);
}

/* Append the request's line to what is sent. */
static int queue(struct rpc_client *c, uint32_t id, const char *method,
		 json_t *params)
{
	json_t *request =
		json_pack("{s:s, s:I, s:s, s:O*}", "jsonrpc", "2.0", "id",
			  (json_int_t)id, "method", method, "params", params);
	char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	size_t size = text ? strlen(text) : 0;
	int err = text ? 0 : -EINVAL;

	json_decref(request);
	if (!err && c->n_out + size + 1 > RPC_CLIENT_QUEUE_MAX)
		err = -ENOBUFS;
	if (!err && !make_room(&c->out, &c->out_size, c->n_out + size + 1))
		err = -ENOMEM;
	if (!err) {
		memcpy(c->out + c->n_out, text, size);
		c->n_out += size;
		c->out[c->n_out++] = '\n';
	}
	free(text);
	return err;
}

static int ask(struct rpc_client *c, const char *method, json_t *params,
	       struct call **result)
{
	struct call *call;
	int err;

	if (c->fd < 0 || c->closed)
		return -EPIPE;
	if (c->n_calls == RPC_CLIENT_CALLS_MAX)
		return -ENOBUFS;
	call = calloc(1, sizeof(*call));
	if (!call)
		return -ENOMEM;
	call->id = ++c->last_id;
	err = queue(c, call->id, method, params);
	if (err) {
		free(call);
		return err;
	}
	call->client = c;
	TAILQ_INSERT_TAIL(&c->calls, call, entry);
	c->n_calls++;
	*result = call;
	return 0;
}

int rpc_client_call(struct rpc_client *c, const char *method, json_t *params,
		    uint64_t timeout_ns, rpc_answer_fn *fn, void *arg,
		    uint32_t *id)
{
	struct call *call;
	int err = ask(c, method, params, &call);

	json_decref(params);
	if (err)
		return err;
	call->fn = fn;
	call->arg = arg;
	if (timeout_ns)
		loop_timer_in(c->loop, &call->timer, timeout_ns, on_time, call);
	if (id)
		*id = call->id;
	/* A hang-up is noticed, and told, by the loop. */
	(void)flush(c);
	return 0;
}

void rpc_client_forget(struct rpc_client *c, uint32_t id)
{
	struct call *call;

	TAILQ_FOREACH (call, &c->calls, entry)
		if (call->id == id)
			break;
	if (call)
		call_free(call);
}
