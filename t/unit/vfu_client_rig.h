/* vfu_client_rig.h - a client whose other end is the test. */
#ifndef IOVKIT_VFU_CLIENT_RIG_H
#define IOVKIT_VFU_CLIENT_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/loop.h"
#include "libcore/vfu_client.h"
#include "t/unit/vfu_rig.h"

#define CLIENT_RIG_GOT 4096u

struct client_rig {
	struct loop *loop;
	struct vfu_client *client;
	int peer;
	unsigned ready, closed, strays, late, commands;
	int ready_err, closed_err;
	char why[120];
	uint16_t stray_id;
	/* replies in order of their coming */
	unsigned n_got;
	uintptr_t got_arg[CLIENT_RIG_GOT];
	int got_err[CLIENT_RIG_GOT];
	size_t got_size;
	unsigned got_fds;
	uint8_t got_payload[256];
	bool free_at_reply, free_at_end, answer;
	unsigned ask_again; /* in the callback, so many times */
	int again;          /* what that gave */
	uint16_t reserved;
};

extern const struct vfu_client_ops client_rig_ops;
/* Replies that are awaited when the connection ends are not told. */
extern const struct vfu_client_ops client_rig_keeping_ops;

/* One at a time: reply callbacks, with their tags, add to the last one. */
struct client_rig *client_rig_new(const struct vfu_client_ops *ops);
void client_rig_free(struct client_rig *r);
/* The other end closes the connection. */
void client_rig_hang_up(struct client_rig *r);
/* Take VERSION and answer it so. */
void client_rig_answer_version(struct client_rig *r, uint16_t major,
			       uint16_t minor, const char *json);
/* A new one whose client is ready; the other end takes 3 fds a message. */
struct client_rig *client_rig_ready(const struct vfu_client_ops *ops);
/* Answer with what was sent. */
void client_rig_reply_to(struct client_rig *r, const struct rig_msg *m);
/* Read 4 bytes at the tag, with that as the callback's argument. */
int client_rig_ask(struct client_rig *r, uintptr_t tag);
void client_rig_on_reply(void *arg, const struct vfu_reply *reply);

#endif
