/* control.c - the control socket: clients, lines in, lines out.
 *
 * Theory of operation.  Each client has one buffer of bytes received and one
 * of bytes to send.  All its work (taking lines, sending, ending) is done in
 * client_work(), which every change defers to the end of the iteration, so
 * that nothing here runs inside a method.  A closed client is freed by the
 * reaper at the end of the iteration, when no frame of the stack refers to it.
 *
 * Lines are taken while fewer than CONTROL_QUEUE_MAX bytes wait to be sent and
 * fewer than CONTROL_CALLS_MAX calls are unanswered; beyond that the socket is
 * not read, so that a client which stops reading stops itself only.
 */
#include <config.h>

#include "libcore/control.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/control_impl.h"
#include "libcore/unixsock.h"

#define CHUNK_SIZE      (64u << 10)
#define CLIENTS_MAX     256u
#define ACCEPT_RETRY_NS (100 * NS_PER_MS)

static loop_fd_fn client_event;
static loop_fn client_work;

static bool client_may_take(const struct control_client *client)
{
	return !client->closed && !client->refused &&
	       client->out_end - client->out_start < CONTROL_QUEUE_MAX &&
	       client->n_calls < CONTROL_CALLS_MAX;
}

static void client_watch(struct control_client *client)
{
	uint32_t events = 0;

	if (!client->eof && client_may_take(client))
		events |= EPOLLIN;
	if (client->out_start < client->out_end)
		events |= EPOLLOUT;
	loop_watch_events(&client->watch, events);
}

static void client_free(struct control_client *client)
{
	LIST_REMOVE(client, entry);
	free(client->in);
	free(client->out);
	free(client);
}

static void reap(void *arg)
{
	struct control *control = arg;
	struct control_client *client;

	while ((client = LIST_FIRST(&control->closed)))
		client_free(client);
}

static void listener_watch(struct control *control)
{
	loop_watch_events(&control->watch,
			  control->n_clients < CLIENTS_MAX ? EPOLLIN : 0);
}

static void client_close(struct control_client *client)
{
	struct control *control = client->control;
	unsigned i;

	if (client->closed)
		return;
	client->closed = true;
	loop_watch_del(&client->watch);
	loop_defer_cancel(&client->work);
	close(client->fd);
	for (i = 0; i < client->n_passed; i++)
		close(client->passed[i].fd);
	client->n_passed = 0;
	LIST_REMOVE(client, entry);
	LIST_INSERT_HEAD(&control->closed, client, entry);
	control->n_clients--;
	listener_watch(control);
	loop_defer(control->loop, &control->reap, reap, control);
	control_rpc_orphan(client);
}

void control_client_kick(struct control_client *client)
{
	if (!client->closed)
		loop_defer(client->control->loop, &client->work, client_work,
			   client);
}

/* Room for size more bytes at the end of a buffer; false: no memory. */
static bool make_room(char **buf, size_t *start, size_t *end, size_t *allocated,
		      size_t size)
{
	size_t want = *end - *start + size;
	char *bigger;

	if (*allocated - *end >= size)
		return true;
	if (want <= *allocated / 2) {
		memmove(*buf, *buf + *start, *end - *start);
	} else {
		bigger = malloc(2 * want);
		if (!bigger)
			return false;
		if (*buf)
			memcpy(bigger, *buf + *start, *end - *start);
		free(*buf);
		*buf = bigger;
		*allocated = 2 * want;
	}
	*end -= *start;
	*start = 0;
	return true;
}

void control_client_send(struct control_client *client, json_t *message)
{
	size_t size;
	char *text;

	text = json_dumps(message, CONTROL_JSON);
	json_decref(message);
	if (!text || client->closed) {
		free(text);
		return;
	}
	size = strlen(text);
	if (make_room(&client->out, &client->out_start, &client->out_end,
		      &client->out_size, size + 1)) {
		memcpy(client->out + client->out_end, text, size);
		client->out[client->out_end + size] = '\n';
		client->out_end += size + 1;
		control_client_kick(client);
	} else {
		client_close(client);
	}
	free(text);
}

static void client_flush(struct control_client *client)
{
	ssize_t n;

	while (client->out_start < client->out_end) {
		n = send(client->fd, client->out + client->out_start,
			 client->out_end - client->out_start,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			client_close(client);
			return;
		}
		client->out_start += (size_t)n;
	}
	client->out_start = client->out_end = 0;
	if (client->out_size > CHUNK_SIZE) {
		free(client->out);
		client->out = NULL;
		client->out_size = 0;
	}
}

/* The fd that came with the line [start, end), or -1. */
static int take_passed(struct control_client *client, size_t start, size_t end)
{
	struct control_passed *p;
	int fd = -1;

	while (client->n_passed && client->passed[0].at < end) {
		p = &client->passed[0];
		if (p->at < start || fd >= 0)
			close(p->fd);
		else
			fd = p->fd;
		client->n_passed--;
		memmove(p, p + 1, client->n_passed * sizeof(*p));
	}
	return fd;
}

static void refuse_line(struct control_client *client)
{
	control_rpc_refuse(client, "the line is longer than 1 MiB");
	client->refused = true;
}

/* The end of the next line (its newline, or the end of the input), 0: no
 * whole line. */
static size_t find_line(struct control_client *client)
{
	char *newline;

	newline = memchr(client->in + client->scanned, '\n',
			 client->in_end - client->scanned);
	if (newline)
		return (size_t)(newline - client->in) + 1;
	client->scanned = client->in_end;
	return client->eof && client->in_start < client->in_end ? client->in_end
								: 0;
}

/* Take whole lines while there is room for their replies; true: lines may be
 * left. */
static bool client_take(struct control_client *client)
{
	size_t start, end;
	int fd;

	while (client_may_take(client) && client->in_start < client->in_end) {
		start = client->in_start;
		end = find_line(client);
		if ((end ? end : client->in_end) - start > CONTROL_LINE_MAX) {
			refuse_line(client);
			return false;
		}
		if (!end)
			return false;
		fd = take_passed(client, start, end);
		client->in_start = client->scanned = end;
		control_rpc_line(client, client->in + start, end - start, fd);
	}
	return client->in_start < client->in_end;
}

static bool client_is_done(const struct control_client *client)
{
	if (client->out_start < client->out_end)
		return false;
	if (client->refused)
		return true;
	return client->eof && !client->n_calls &&
	       client->in_start == client->in_end;
}

static void client_work(void *arg)
{
	struct control_client *client = arg;
	bool left;

	left = client_take(client);
	if (!client->closed)
		client_flush(client);
	if (client->closed)
		return;
	if (client_is_done(client)) {
		client_close(client);
		return;
	}
	if (left && client_may_take(client))
		control_client_kick(client);
	client_watch(client);
}

static void keep_fds(struct control_client *client, struct msghdr *msg,
		     size_t at)
{
	struct cmsghdr *cmsg;
	size_t i, n;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int),
			       sizeof(int));
			if (client->n_passed == CONTROL_FDS_MAX) {
				close(fd);
				continue;
			}
			client->passed[client->n_passed].fd = fd;
			client->passed[client->n_passed++].at = at;
		}
	}
}

/* Where the last line begins.  The kernel ends a receive with the message
 * that carried the fds, so they belong to the last line of what came. */
static size_t last_line(const struct control_client *client)
{
	size_t at = client->in_end;
	const char *newline;

	if (at > client->in_start)
		at--; /* its own newline does not count */
	newline = memrchr(client->in + client->in_start, '\n',
			  at - client->in_start);
	return newline ? (size_t)(newline - client->in) + 1 : client->in_start;
}

/* Keep the line under way at the front of the buffer. */
static bool prepare_input(struct control_client *client)
{
	size_t moved = client->in_start;
	unsigned i;

	memmove(client->in, client->in + moved, client->in_end - moved);
	client->in_start = 0;
	client->in_end -= moved;
	client->scanned -= moved;
	for (i = 0; i < client->n_passed; i++)
		client->passed[i].at -= moved;
	return make_room(&client->in, &client->in_start, &client->in_end,
			 &client->in_size, CHUNK_SIZE);
}

static void client_receive(struct control_client *client)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
	} control;
	struct msghdr msg = { 0 };
	struct iovec iov;
	ssize_t n;

	if (!prepare_input(client)) {
		client_close(client);
		return;
	}
	iov.iov_base = client->in + client->in_end;
	iov.iov_len = CHUNK_SIZE;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control.space;
	msg.msg_controllen = sizeof(control.space);
	n = recvmsg(client->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			client_close(client);
		return;
	}
	client->eof = n == 0;
	client->in_end += (size_t)n;
	keep_fds(client, &msg, last_line(client));
}

static void client_event(void *arg, uint32_t events)
{
	struct control_client *client = arg;

	/* Gone both ways: what it sent before is still obeyed. */
	if ((events & (EPOLLHUP | EPOLLERR)) &&
	    (client->eof || !client_may_take(client))) {
		client_close(client);
		return;
	}
	if (!client->eof && client_may_take(client) &&
	    (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		client_receive(client);
	if (!client->closed)
		client_work(client);
}

static bool peer_is_allowed(int fd)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
		return false;
	return cred.uid == geteuid() || cred.uid == 0;
}

/* Takes fd. */
static void client_new(struct control *control, int fd)
{
	struct control_client *client;

	client = calloc(1, sizeof(*client));
	if (!client) {
		close(fd);
		return;
	}
	client->control = control;
	client->fd = fd;
	client->in_size = 2 * CHUNK_SIZE;
	client->in = malloc(client->in_size);
	LIST_INIT(&client->calls);
	if (!client->in || loop_watch_add(control->loop, &client->watch, fd,
					  EPOLLIN, client_event, client) < 0) {
		close(fd);
		free(client->in);
		free(client);
		return;
	}
	LIST_INSERT_HEAD(&control->clients, client, entry);
	control->n_clients++;
}

static void accept_again(void *arg)
{
	listener_watch(arg);
}

static void accept_clients(void *arg, uint32_t events)
{
	struct control *control = arg;
	int fd;

	(void)events;
	while (control->n_clients < CLIENTS_MAX) {
		fd = unixsock_accept(control->fd);
		if (fd == -EAGAIN)
			return;
		if (fd == -ECONNABORTED || fd == -EINTR)
			continue;
		if (fd < 0) {
			/* Out of descriptors: the loop must not spin. */
			loop_watch_events(&control->watch, 0);
			loop_timer_in(control->loop, &control->retry,
				      ACCEPT_RETRY_NS, accept_again, control);
			return;
		}
		if (peer_is_allowed(fd))
			client_new(control, fd);
		else
			close(fd);
	}
	listener_watch(control);
}

int control_new(struct control **control, struct loop *loop, const char *path,
		struct complaint *c)
{
	struct control *new;
	int err = -ENOMEM;

	new = calloc(1, sizeof(*new));
	if (!new)
		return complain(c, ENOMEM, "no memory");
	new->loop = loop;
	LIST_INIT(&new->clients);
	LIST_INIT(&new->closed);
	LIST_INIT(&new->orphans);
	new->path = strdup(path);
	if (!new->path) {
		complain(c, ENOMEM, "no memory");
		goto out;
	}
	new->fd = unixsock_listen(path, c);
	if (new->fd < 0) {
		err = new->fd;
		goto out;
	}
	err = loop_watch_add(loop, &new->watch, new->fd, EPOLLIN,
			     accept_clients, new);
	if (err < 0) {
		complain(c, -err, "%s: %s", path, strerror(-err));
		close(new->fd);
		unlink(path);
		goto out;
	}
	control_add_methods(new, control_rpc_methods, new);
	*control = new;
	return 0;
out:
	free(new->path);
	free(new);
	return err;
}

/* What the sockets take at once of the last replies is sent.  Nobody is told
 * of hang-ups: those who would listen may be gone. */
void control_free(struct control *control)
{
	struct control_client *client;

	if (!control)
		return;
	control_rpc_free(&control->orphans);
	while ((client = LIST_FIRST(&control->clients))) {
		client_flush(client);
		control_rpc_free(&client->calls);
		client_close(client);
	}
	reap(control);
	loop_defer_cancel(&control->reap);
	loop_timer_cancel(&control->retry);
	loop_watch_del(&control->watch);
	close(control->fd);
	unlink(control->path);
	free(control->path);
	free(control);
}

static void add_group(struct control *control,
		      const struct control_method *methods,
		      const struct control_table *tables, void *arg)
{
	struct control_group *g;

	assert(control->n_groups < CONTROL_GROUPS_MAX);
	g = &control->groups[control->n_groups++];
	g->methods = methods;
	g->tables = tables;
	g->arg = arg;
}

void control_add_methods(struct control *control,
			 const struct control_method *methods, void *arg)
{
	add_group(control, methods, NULL, arg);
}

void control_add_tables(struct control *control,
			const struct control_table *tables, void *arg)
{
	add_group(control, NULL, tables, arg);
}
