/* nic.c - the device put together: functions, LAN, sockets. */
#include <config.h>

#include "cmd/iovdev/nic.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/iovdev/nic_tx.h"
#include "libcore/guest_memory.h"

void nic_update_traced(struct nic *nic)
{
	unsigned i;

	nic->traced = false;
	for (i = POINT_TX_801; i < POINT_N; i++)
		nic->traced |= point_armed(nic->program->points, i);
}

char *nic_socket_path(const struct nic *nic, unsigned vf, char *buf)
{
	char dir[PATH_MAX];
	int n;

	if (nic->socket_path[0] && vf)
		n = snprintf(buf, PATH_MAX, "%s.vf%u", nic->socket_path, vf);
	else if (nic->socket_path[0])
		n = snprintf(buf, PATH_MAX, "%s", nic->socket_path);
	else
		n = snprintf(buf, PATH_MAX, vf ? "%s/vf%u.sock" : "%s/pf0.sock",
			     machine_path(&nic->program->machine, dir, "dev/%s",
					  nic->device),
			     vf);
	if (n >= PATH_MAX)
		buf[0] = '\0';
	return buf;
}

static int make_functions(struct nic *nic, struct complaint *c)
{
	unsigned i;
	int err;

	err = function_new(&nic->pf, nic, 0);
	if (!err)
		sriov_default_mac(nic, nic->pf);
	for (i = 0; !err && i < nic->n_vfs; i++) {
		err = function_new(&nic->vf[i], nic, i + 1);
		if (!err)
			sriov_default_mac(nic, nic->vf[i]);
	}
	return err ? complain(c, -err, "functions: %s", strerror(-err)) : 0;
}

/* VF sockets that a killed predecessor left would look like VFs. */
static void sweep(struct nic *nic)
{
	char path[PATH_MAX];
	unsigned i;

	for (i = 1; i <= NIC_VF_MAX; i++)
		unlink(nic_socket_path(nic, i, path));
}

static int open_socket(struct nic *nic, struct complaint *c)
{
	char path[PATH_MAX];
	int err;

	if (!nic->socket_path[0]) {
		machine_path(&nic->program->machine, path, "dev/%s",
			     nic->device);
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return complain(c, errno, "%s: %s", path,
					strerror(errno));
	}
	if (nic->options->fd >= 0)
		return function_serve_fd(nic->pf, nic->options->fd, c);
	err = function_listen(nic->pf, nic_socket_path(nic, 0, path), c);
	if (!err)
		sweep(nic);
	return err;
}

/* Where the VFs' sockets go when the PF's came as an fd: beside its own. */
static void path_of_fd(struct nic *nic, int fd)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(sun);

	if (getsockname(fd, (struct sockaddr *)&sun, &size) < 0 ||
	    sun.sun_family != AF_UNIX || size <= sizeof(sa_family_t))
		return;
	snprintf(nic->socket_path, sizeof(nic->socket_path), "%.*s",
		 (int)sizeof(sun.sun_path), sun.sun_path);
}

static int take_options(struct nic *nic, struct complaint *c)
{
	const struct nic_options *o = nic->options;
	const char *device = o->device ? o->device : nic->program->name;

	if (strlen(device) > DEVICE_NAME_MAX)
		return complain(c, EINVAL, "device name '%s' is too long",
				device);
	strcpy(nic->device, device);
	nic->n_vfs = o->vfs;
	nic->standalone = o->socket_path || o->fd >= 0;
	if (o->socket_path && strlen(o->socket_path) + 8 >= PATH_MAX)
		return complain(c, ENAMETOOLONG, "--socket-path is too long");
	if (o->socket_path)
		strcpy(nic->socket_path, o->socket_path);
	else if (o->fd >= 0)
		path_of_fd(nic, o->fd);
	return 0;
}

/* A function needs up to eight descriptors. */
static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= 4096)
		return;
	limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int nic_start(struct nic *nic, struct program *program,
	      const struct nic_options *options, struct complaint *c)
{
	int err;

	nic->program = program;
	nic->options = options;
	nic->loop = program->loop;
	nic->log = program->log;
	raise_limits();
	err = guest_memory_guard();
	if (err)
		return complain(c, -err, "SIGBUS: %s", strerror(-err));
	err = take_options(nic, c);
	if (!err)
		err = make_functions(nic, c);
	if (!err)
		err = uplink_open(&nic->uplink, nic, options->lan, c);
	if (err)
		return err;
	control_add_methods(program->control, nic_commands, nic);
	control_add_tables(program->control, nic_tables, nic);
	loop_poller_add(nic->loop, &nic->poller, nic_tx_poll, nic);
	return open_socket(nic, c);
}

void nic_stop(struct nic *nic)
{
	unsigned i;

	nic->leaving = true;
	for (i = 0; i < nic->n_vfs; i++)
		function_free(nic->vf[i]);
	function_free(nic->pf);
	uplink_close(nic->uplink);
	loop_poller_del(&nic->poller);
	loop_timer_cancel(&nic->stall_timer);
}
