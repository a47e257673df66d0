/* client.h - asking programs by their control sockets, several at once, with
 * one deadline. */
#ifndef IOVCTL_CLIENT_H
#define IOVCTL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cmd/iovctl/iovctl.h"

enum client_state {
	CLIENT_CONNECTING, /* its backlog is full: try again */
	CLIENT_ASKED,
	CLIENT_ANSWERED, /* reply is there */
	CLIENT_ABSENT,   /* nobody listens */
	CLIENT_BROKEN,   /* it hung up, or talks nonsense */
};

struct client {
	char name[64];
	enum client_state state;
	pid_t pid; /* 0 until connected */
	int fd;    /* -1 when not connected */
	int pass_fd;
	char *out;
	size_t n_out, sent;
	char *in;
	size_t n_in, in_size;
	json_t *reply;
	bool takes_turns; /* with other VMs: one that is stopped goes on soon */
};

/* Prepare one request; takes params (NULL: none) and borrows pass_fd (or -1)
 * until it is sent. */
void client_init(struct client *client, const char *name, const char *method,
		 json_t *params, int pass_fd);
void client_fini(struct client *client);

/* Do what can be done at once. */
void client_step(const struct iovctl *ctl, struct client *client);
bool client_is_waiting(const struct client *client);
/* Step all until none waits or the deadline (clock_now_ns()) is over.  `done`
 * (may be NULL) is asked after each step whether that suffices. */
void clients_run(const struct iovctl *ctl, struct client *clients, unsigned n,
		 uint64_t deadline_ns,
		 bool (*done)(const struct client *clients, unsigned n));
/* What came of it: an exit status, *result (a new reference) when it is 0,
 * ctl->cause otherwise. */
int client_result(struct iovctl *ctl, const struct client *client,
		  json_t **result);
/* For clients_run(): all who did not answer yet are stopped processes. */
bool clients_rest_is_stopped(const struct client *clients, unsigned n);

/* One call from beginning to end.  result may be NULL. */
int call(struct iovctl *ctl, const char *name, const char *method,
	 json_t *params, json_t **result);
/* As call(), of something that takes long by nature: whether the program is
 * frozen is asked first. */
int call_slow(struct iovctl *ctl, const char *name, const char *method,
	      json_t *params, json_t **result);

/* The same request to every program of the machine. */
struct clients {
	struct client *client;
	unsigned n;
};
/* takes params. */
int clients_init_all(struct iovctl *ctl, struct clients *all,
		     const char *method, json_t *params);
void clients_fini(struct clients *all);

/* The program with this role ("rootbridge"), and the one that serves a
 * device; name has 64 bytes. */
int find_role(struct iovctl *ctl, const char *role, char name[64]);
int find_device(struct iovctl *ctl, const char *device, char name[64]);
/* Whether somebody listens at ctl/NAME.sock. */
bool is_listening(const struct iovctl *ctl, const char *name);

#endif
