/* client.c - asking programs by their control sockets. */
#include <config.h>

#include "cmd/iovctl/client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/control.h"
#include "libcore/function_name.h"
#include "libcore/loop.h"
#include "libcore/pid_state.h"
#include "libcore/unixsock.h"

#define RECEIVE_SIZE (64u << 10)
#define RETRY_NS     (5 * NS_PER_MS)

void client_init(struct client *client, const char *name, const char *method,
		 json_t *params, int pass_fd)
{
	json_t *request;

	memset(client, 0, sizeof(*client));
	strlcpy(client->name, name, sizeof(client->name));
	client->fd = -1;
	client->pass_fd = pass_fd;
	request = json_pack("{s:s, s:i, s:s, s:o*}", "jsonrpc", "2.0", "id", 1,
			    "method", method, "params", params);
	client->out = request ? json_dumps(request, JSON_COMPACT) : NULL;
	json_decref(request);
	if (!client->out) {
		client->state = CLIENT_BROKEN;
		return;
	}
	client->n_out = strlen(client->out);
	client->out[client->n_out++] = '\n'; /* in the place of the NUL */
}

void client_fini(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	free(client->out);
	free(client->in);
	json_decref(client->reply);
	client->out = client->in = NULL;
	client->reply = NULL;
}

bool client_is_waiting(const struct client *client)
{
	return client->state == CLIENT_CONNECTING ||
	       client->state == CLIENT_ASKED;
}

static void client_connect(const struct iovctl *ctl, struct client *client)
{
	char path[PATH_MAX];
	int fd;

	fd = unixsock_connect(
		machine_path(&ctl->machine, path, "ctl/%s.sock", client->name));
	if (fd == -EAGAIN)
		return;
	if (fd < 0) {
		client->state = CLIENT_ABSENT;
		return;
	}
	client->fd = fd;
	client->pid = unixsock_peer(fd);
	client->state = CLIENT_ASKED;
}

static ssize_t send_some(struct client *client)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { client->out + client->sent,
			     client->n_out - client->sent };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;

	if (client->pass_fd >= 0 && !client->sent) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof(control.space);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &client->pass_fd, sizeof(int));
	}
	return sendmsg(client->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void client_send(struct client *client)
{
	ssize_t n;

	while (client->sent < client->n_out) {
		n = send_some(client);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno != EINTR) {
			client->state = CLIENT_BROKEN;
			return;
		}
		if (n > 0)
			client->sent += (size_t)n;
	}
}

static bool make_room(struct client *client)
{
	char *in;

	if (client->in_size - client->n_in >= RECEIVE_SIZE)
		return true;
	in = realloc(client->in, 2 * client->in_size + RECEIVE_SIZE);
	if (!in)
		return false;
	client->in = in;
	client->in_size = 2 * client->in_size + RECEIVE_SIZE;
	return true;
}

/* Only one request is made on a connection: the first line is its reply. */
static void client_parse(struct client *client, const char *newline)
{
	client->reply =
		json_loadb(client->in, (size_t)(newline - client->in), 0, NULL);
	client->state =
		json_is_object(client->reply) ? CLIENT_ANSWERED : CLIENT_BROKEN;
}

static void client_receive(struct client *client)
{
	char *newline;
	ssize_t n;

	while (client->state == CLIENT_ASKED) {
		if (!make_room(client)) {
			client->state = CLIENT_BROKEN;
			return;
		}
		n = recv(client->fd, client->in + client->n_in, RECEIVE_SIZE,
			 MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			client->state = CLIENT_BROKEN;
			return;
		}
		newline = memchr(client->in + client->n_in, '\n', (size_t)n);
		client->n_in += (size_t)n;
		if (newline)
			client_parse(client, newline);
	}
}

void client_step(const struct iovctl *ctl, struct client *client)
{
	if (client->state == CLIENT_CONNECTING)
		client_connect(ctl, client);
	if (client->state == CLIENT_ASKED)
		client_send(client);
	if (client->state == CLIENT_ASKED)
		client_receive(client);
}

/* Sleep until something can be done, at most until the deadline; there is room
 * for n in pfds. */
static void wait_for_any(const struct client *clients, unsigned n,
			 struct pollfd *pfds, uint64_t deadline_ns)
{
	uint64_t now = clock_now_ns(), ns = deadline_ns - now;
	struct timespec ts;
	unsigned i, count = 0;

	if (now >= deadline_ns)
		return;
	for (i = 0; i < n; i++) {
		if (clients[i].state == CLIENT_CONNECTING && ns > RETRY_NS)
			ns = RETRY_NS;
		if (clients[i].state != CLIENT_ASKED)
			continue;
		pfds[count].fd = clients[i].fd;
		pfds[count].events = POLLIN;
		if (clients[i].sent < clients[i].n_out)
			pfds[count].events |= POLLOUT;
		count++;
	}
	ts.tv_sec = (time_t)(ns / NS_PER_S);
	ts.tv_nsec = (long)(ns % NS_PER_S);
	ppoll(pfds, count, &ts, NULL);
}

void clients_run(const struct iovctl *ctl, struct client *clients, unsigned n,
		 uint64_t deadline_ns,
		 bool (*done)(const struct client *clients, unsigned n))
{
	struct pollfd *pfds = calloc(n ? n : 1, sizeof(*pfds));
	bool waiting;
	unsigned i;

	while (pfds) {
		waiting = false;
		for (i = 0; i < n; i++) {
			client_step(ctl, &clients[i]);
			waiting |= client_is_waiting(&clients[i]);
		}
		if (!waiting || (done && done(clients, n)) ||
		    clock_now_ns() >= deadline_ns)
			break;
		wait_for_any(clients, n, pfds, deadline_ns);
	}
	free(pfds);
}

static int status_of_rpc(long long code)
{
	switch (code) {
	case RPC_REQUEST:
	case RPC_METHOD:
	case RPC_PARAMS:
		return STATUS_USAGE;
	case RPC_FAILED:
		return STATUS_NOT;
	case RPC_MISSING:
		return STATUS_MISSING;
	case RPC_DENIED:
		return STATUS_FENCED;
	}
	return STATUS_INTERNAL;
}

static int answer_result(struct iovctl *ctl, const struct client *client,
			 json_t **result)
{
	const json_t *error = json_object_get(client->reply, "error");
	const char *message;

	if (!error) {
		if (result)
			*result = json_incref(
				json_object_get(client->reply, "result"));
		return STATUS_OK;
	}
	message = json_string_value(json_object_get(error, "message"));
	return fail(ctl,
		    status_of_rpc(
			    json_integer_value(json_object_get(error, "code"))),
		    "%s: %s", client->name, message ? message : "no reason");
}

int client_result(struct iovctl *ctl, const struct client *client,
		  json_t **result)
{
	switch (client->state) {
	case CLIENT_ANSWERED:
		return answer_result(ctl, client, result);
	case CLIENT_CONNECTING:
	case CLIENT_ASKED:
		return fail(ctl, STATUS_MISSING, "%s does not answer (frozen?)",
			    client->name);
	case CLIENT_ABSENT:
		return fail(ctl, STATUS_MISSING, "%s does not run",
			    client->name);
	case CLIENT_BROKEN:
		break;
	}
	return fail(ctl, STATUS_MISSING, "%s hung up instead of answering",
		    client->name);
}

static int call_for(struct iovctl *ctl, const char *name, const char *method,
		    json_t *params, uint64_t ns, json_t **result)
{
	struct client client;
	int status;

	client_init(&client, name, method, params, -1);
	clients_run(ctl, &client, 1, clock_now_ns() + ns, NULL);
	status = client_result(ctl, &client, result);
	client_fini(&client);
	return status;
}

int call(struct iovctl *ctl, const char *name, const char *method,
	 json_t *params, json_t **result)
{
	return call_for(ctl, name, method, params, iovctl_answer_timeout(ctl),
			result);
}

int call_slow(struct iovctl *ctl, const char *name, const char *method,
	      json_t *params, json_t **result)
{
	int status;

	status = call(ctl, name, "status", NULL, NULL);
	if (status) {
		json_decref(params);
		return status;
	}
	return call_for(ctl, name, method, params,
			ctl->has_timeout ? ctl->timeout_ns : SLOW_TIMEOUT_NS,
			result);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct client *)a)->name,
		      ((const struct client *)b)->name);
}

/* NAME of "NAME.sock" in ctl/. */
static bool socket_name(const char *file, char name[64])
{
	size_t n = strlen(file);

	if (n <= 5 || n - 5 >= 64 || strcmp(file + n - 5, ".sock"))
		return false;
	memcpy(name, file, n - 5);
	name[n - 5] = '\0';
	return name_is_valid(name);
}

/* One more; NULL: no memory. */
static struct client *one_more(struct clients *all)
{
	struct client *grown;

	grown = reallocarray(all->client, all->n + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	all->client = grown;
	return &grown[all->n++];
}

int clients_init_all(struct iovctl *ctl, struct clients *all,
		     const char *method, json_t *params)
{
	char path[PATH_MAX], name[64];
	struct client *client;
	struct dirent *e;
	bool full = false;
	DIR *dir;

	memset(all, 0, sizeof(*all));
	dir = opendir(machine_path(&ctl->machine, path, "ctl"));
	while (dir && !full && (e = readdir(dir))) {
		if (!socket_name(e->d_name, name))
			continue;
		client = one_more(all);
		full = !client;
		if (client)
			client_init(client, name, method, json_incref(params),
				    -1);
	}
	if (dir)
		closedir(dir);
	json_decref(params);
	if (full) {
		clients_fini(all);
		return fail(ctl, STATUS_INTERNAL, "no memory");
	}
	if (!all->n)
		return STATUS_OK;
	qsort(all->client, all->n, sizeof(*all->client), by_name);
	return STATUS_OK;
}

void clients_fini(struct clients *all)
{
	unsigned i;

	for (i = 0; i < all->n; i++)
		client_fini(&all->client[i]);
	free(all->client);
	all->client = NULL;
	all->n = 0;
}

bool is_listening(const struct iovctl *ctl, const char *name)
{
	char path[PATH_MAX];
	int fd;

	fd = unixsock_connect(
		machine_path(&ctl->machine, path, "ctl/%s.sock", name));
	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN;
}

bool clients_rest_is_stopped(const struct client *clients, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (client_is_waiting(&clients[i]) &&
		    !pid_is_stopped(clients[i].pid))
			return false;
	return true;
}

static bool take_name(const struct clients *all, const char *key,
		      const char *value, char name[64])
{
	const char *text;
	unsigned i;

	for (i = 0; i < all->n; i++) {
		text = json_string_value(json_object_get(
			json_object_get(all->client[i].reply, "result"), key));
		if (!text || strcmp(text, value))
			continue;
		strlcpy(name, all->client[i].name, 64);
		return true;
	}
	return false;
}

/* The one program whose status has this member; 0, or its absence.  One that
 * is stopped may be it, if nobody else is. */
static int find_by_status(struct iovctl *ctl, const char *key,
			  const char *value, char name[64])
{
	uint64_t deadline = clock_now_ns() + iovctl_answer_timeout(ctl);
	struct clients all;
	unsigned i;
	int status;

	status = clients_init_all(ctl, &all, "status", NULL);
	if (status)
		return status;
	clients_run(ctl, all.client, all.n, deadline, clients_rest_is_stopped);
	if (!take_name(&all, key, value, name)) {
		clients_run(ctl, all.client, all.n, deadline, NULL);
		if (!take_name(&all, key, value, name))
			status = STATUS_MISSING;
	}
	for (i = 0; i < all.n && status; i++)
		if (client_is_waiting(&all.client[i]))
			warn(ctl, "%s does not answer (frozen?)",
			     all.client[i].name);
	clients_fini(&all);
	return status;
}

int find_role(struct iovctl *ctl, const char *role, char name[64])
{
	if (is_listening(ctl, role)) {
		strlcpy(name, role, 64);
		return STATUS_OK;
	}
	if (find_by_status(ctl, "role", role, name))
		return fail(ctl, STATUS_MISSING, "no %s runs", role);
	return STATUS_OK;
}

int find_device(struct iovctl *ctl, const char *device, char name[64])
{
	if (is_listening(ctl, device)) {
		strlcpy(name, device, 64);
		return STATUS_OK;
	}
	if (find_by_status(ctl, "device", device, name))
		return fail(ctl, STATUS_MISSING, "no program serves device %s",
			    device);
	return STATUS_OK;
}
