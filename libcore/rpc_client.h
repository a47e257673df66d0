/* rpc_client.h - asking another program on its control socket (control.h)
 * without waiting: JSON-RPC 2.0 on the loop.
 *
 * Calls are sent in order and answered in any.  Each call's function is called
 * exactly once, never from within rpc_client_call(): with the result, with the
 * error that came, or because time ran out or the other hung up.  In any of
 * these functions the client may be closed and freed.
 */
#ifndef IOVKIT_RPC_CLIENT_H
#define IOVKIT_RPC_CLIENT_H

#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "libcore/loop.h"

#define RPC_CLIENT_CALLS_MAX 1024u      /* unanswered ones */
#define RPC_CLIENT_QUEUE_MAX (1u << 20) /* bytes not yet taken by the socket */

struct rpc_client;

/* How a call ended. */
struct rpc_answer {
	/* 0; -EREMOTEIO: the other refused; -ETIMEDOUT; -EPIPE: it hung up;
	 * -EBADMSG: what it sent was no JSON-RPC. */
	int err;
	int code;            /* of -EREMOTEIO, RPC_* of control.h; else 0 */
	const char *message; /* of a failure, never NULL then */
	json_t *result;      /* of a success; borrowed */
};

typedef void rpc_answer_fn(void *arg, const struct rpc_answer *answer);

/* Connect to the control socket at path.  -ENOENT, -ECONNREFUSED: nobody
 * there; -EAGAIN: try again.  `gone` (may be NULL) is called once when the
 * other hangs up, after all calls were told. */
int rpc_client_open(struct rpc_client **client, struct loop *loop,
		    const char *path, loop_fn *gone, void *arg)
	__attribute__((warn_unused_result));
/* Free it; nobody is told any more.  NULL is fine. */
void rpc_client_close(struct rpc_client *client);
/* The pid at the other end, 0 when unknown. */
pid_t rpc_client_peer(const struct rpc_client *client);

/* Ask; steals params (an object, or NULL).  timeout_ns 0: none.  -EPIPE: it
 * has hung up, -ENOBUFS: too much is unanswered, -ENOMEM, -EINVAL; nothing is
 * called then.  *id (may be NULL) names the call for rpc_client_forget(). */
int rpc_client_call(struct rpc_client *client, const char *method,
		    json_t *params, uint64_t timeout_ns, rpc_answer_fn *fn,
		    void *arg, uint32_t *id)
	__attribute__((warn_unused_result));
/* The call's function is not called any more; its answer is dropped. */
void rpc_client_forget(struct rpc_client *client, uint32_t id);
/* Calls that are not answered. */
unsigned rpc_client_pending(const struct rpc_client *client);

#endif
