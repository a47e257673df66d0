/* control.h - a program's control socket: JSON-RPC 2.0, one object a line.
 *
 * One table of methods gives help, argument checks, errors and completion.
 * Every program also answers: methods, status, tables, show, points, at,
 * release (of points), stop.  A program's own method of the same name is
 * found first.
 *
 * `show` tells with a table's rows when they were read: "t", CLOCK_MONOTONIC in
 * ns as in events, so that two readings make a rate.
 *
 * Requests may be pipelined and batched; replies may come in another order.
 * A file descriptor rides on the sendmsg that carries its request; one request
 * a sendmsg then.
 */
#ifndef IOVKIT_CONTROL_H
#define IOVKIT_CONTROL_H

#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

#include "libcore/complaint.h"
#include "libcore/loop.h"

/* JSON-RPC error codes: the standard's, then ours. */
enum {
	RPC_PARSE = -32700,
	RPC_REQUEST = -32600,
	RPC_METHOD = -32601,
	RPC_PARAMS = -32602,
	RPC_INTERNAL = -32603,
	RPC_FAILED = -32000,  /* it was tried and failed; message says why */
	RPC_MISSING = -32001, /* a peer, or what it names, is not there */
	RPC_DENIED = -32002,  /* not permitted now (fenced, busy, owned) */
};

/* How JSON is written: a line, and fractions with the digits that survive
 * being read and written again. */
#define JSON_DIGITS       15
#define CONTROL_JSON      (JSON_COMPACT | JSON_REAL_PRECISION(JSON_DIGITS))

#define CONTROL_LINE_MAX  (1u << 20) /* longer lines end the connection */
#define CONTROL_QUEUE_MAX (4u << 20) /* unread replies: no more requests */
#define CONTROL_CALLS_MAX 1024u      /* unanswered: no more requests */
#define CONTROL_BATCH_MAX 256u

struct control;
struct control_call; /* one request, answered once, now or later */

/* params: an object (empty when none were given), valid until fn returns. */
typedef void control_fn(void *arg, struct control_call *call, json_t *params);

struct control_param {
	const char *name;
	char type; /* 's' string, 'i' integer, 'b' boolean, 'o' any JSON */
	bool optional;
	const char *what;
};

struct control_method {
	const char *name;
	const char *what; /* one line */
	control_fn *fn;
	const struct control_param *params; /* ended by a NULL name; or NULL */
};

struct control_column {
	const char *name;  /* key in a row */
	const char *title; /* heading for people */
};

struct control_table {
	const char *name;
	const char *what;
	const struct control_column *columns; /* ended by a NULL name */
	/* A new array of row objects. */
	json_t *(*rows)(void *arg);
};

/* Listen at path.  Requests are taken only from the same uid or root.
 * -EADDRINUSE: a live program has that name. */
int control_new(struct control **control, struct loop *loop, const char *path,
		struct complaint *c) __attribute__((warn_unused_result));
void control_free(struct control *control);

/* Tables end with a NULL name and must outlive the control. */
void control_add_methods(struct control *control,
			 const struct control_method *methods, void *arg);
void control_add_tables(struct control *control,
			const struct control_table *tables, void *arg);

/* Answer.  Steals result (NULL: null).  The call is gone afterwards. */
void control_reply(struct control_call *call, json_t *result);
void control_fail(struct control_call *call, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The caller hung up: called once if the call is not answered yet; the call
 * must still be answered (it goes nowhere) or was forgotten here by the
 * callee returning. */
void control_on_hangup(struct control_call *call, loop_fn *fn, void *arg);
/* An fd that came with the request (SCM_RIGHTS), or -1; the callee owns it. */
int control_take_fd(struct control_call *call);
/* The pid of the caller, 0 when unknown or when it hung up. */
pid_t control_peer(const struct control_call *call);

/* Members of params, already checked against the method's table. */
const char *control_string(const json_t *params, const char *name,
			   const char *otherwise);
long long control_integer(const json_t *params, const char *name,
			  long long otherwise);
bool control_boolean(const json_t *params, const char *name, bool otherwise);

#endif
