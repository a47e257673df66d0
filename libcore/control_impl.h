/* control_impl.h - between control.c (sockets) and control_rpc.c (JSON-RPC);
 * for nobody else. */
#ifndef IOVKIT_CONTROL_IMPL_H
#define IOVKIT_CONTROL_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "libcore/control.h"

#define CONTROL_GROUPS_MAX 16
#define CONTROL_FDS_MAX    4 /* passed and not yet given to a request */

struct control_group {
	const struct control_method *methods; /* NULL: tables */
	const struct control_table *tables;
	void *arg;
};

LIST_HEAD(control_call_list, control_call);
LIST_HEAD(control_client_list, control_client);

struct control {
	struct loop *loop;
	char *path;
	int fd;
	struct loop_watch watch;
	struct loop_timer retry; /* of accepting, out of descriptors */
	struct loop_deferred reap;
	struct control_client_list clients, closed;
	unsigned n_clients;
	struct control_call_list orphans; /* their caller hung up */
	struct control_group groups[CONTROL_GROUPS_MAX];
	unsigned n_groups;
};

struct control_passed {
	int fd;
	size_t at; /* first byte of its request, from client->in */
};

struct control_client {
	struct control *control;
	int fd;
	struct loop_watch watch;
	struct loop_deferred work;
	char *in;
	size_t in_start, in_end, in_size, scanned;
	struct control_passed passed[CONTROL_FDS_MAX];
	unsigned n_passed;
	char *out;
	size_t out_start, out_end, out_size;
	struct control_call_list calls;
	unsigned n_calls;
	bool eof;     /* it sends no more */
	bool refused; /* it broke the framing: close once all is sent */
	bool closed;
	LIST_ENTRY(control_client) entry;
};

/* A batch: its replies leave together. */
struct control_batch {
	json_t *replies;
	unsigned pending;
};

struct control_call {
	struct control *control;
	struct control_client *client; /* NULL: hung up */
	struct control_batch *batch;   /* or NULL */
	const char *method;
	json_t *id; /* NULL: a notification */
	int fd;
	loop_fn *hangup;
	void *hangup_arg;
	LIST_ENTRY(control_call) entry;
};

/* One line; fd (or -1) came with it and is taken. */
void control_rpc_line(struct control_client *client, const char *line,
		      size_t size, int fd);
/* An error that belongs to no request. */
void control_rpc_refuse(struct control_client *client, const char *why);
/* The caller of all these hung up. */
void control_rpc_orphan(struct control_client *client);
void control_rpc_free(struct control_call_list *calls);
/* The common methods: methods, tables, show. */
extern const struct control_method control_rpc_methods[];

/* Queue one line of JSON; steals it. */
void control_client_send(struct control_client *client, json_t *message);
/* A call ended: perhaps there is room for more. */
void control_client_kick(struct control_client *client);

#endif
