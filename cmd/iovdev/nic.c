/* nic.c - the device put together: functions, LAN, sockets. */
#include <config.h>

#include "cmd/iovdev/nic.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/iovdev/direct.h"
#include "cmd/iovdev/nic_rx.h"
#include "cmd/iovdev/nic_tx.h"
#include "libcore/fd_limit.h"
#include "libcore/guest_memory.h"

void nic_update_traced(struct nic *nic)
{
	unsigned i;

	nic->traced = false;
	if (!points_any_armed(nic->program->points))
		return;
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

static int make_directory(struct nic *nic, struct complaint *c)
{
	char path[PATH_MAX];

	if (nic->socket_path[0])
		return 0;
	machine_path(&nic->program->machine, path, "dev/%s", nic->device);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return complain(c, errno, "%s: %s", path, strerror(errno));
	return 0;
}

static int open_socket(struct nic *nic, struct complaint *c)
{
	char path[PATH_MAX];
	int err;

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
	nic->type = o->type;
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

/* What a device can be told and asked. */
static void add_controls(struct nic *nic)
{
	struct control *control = nic->program->control;
	const struct device_type *type = nic->type;

	control_add_tables(control, device_tables, nic);
	if (type->has_lan) {
		control_add_methods(control, lan_commands, nic);
		control_add_tables(control, lan_tables, nic);
	}
	if (type->commands)
		control_add_methods(control, type->commands, nic);
	control_add_tables(control, type->tables, nic);
	if (!type->max_vfs)
		control_add_tables(control, direct_tables, nic);
}

int nic_start(struct nic *nic, struct program *program,
	      const struct nic_options *options, struct complaint *c)
{
	int err;

	nic->program = program;
	nic->options = options;
	nic->loop = program->loop;
	nic->log = program->log;
	fd_limit_raise(NULL);
	err = guest_memory_guard();
	if (err)
		return complain(c, -err, "SIGBUS: %s", strerror(-err));
	err = take_options(nic, c);
	if (!err)
		err = make_directory(nic, c);
	if (!err)
		err = make_functions(nic, c);
	if (!err)
		err = nic->type->start(nic, c);
	if (err)
		return err;
	add_controls(nic);
	return open_socket(nic, c);
}

void nic_stop(struct nic *nic)
{
	unsigned i;

	nic->leaving = true;
	for (i = 0; i < nic->n_vfs; i++)
		function_free(nic->vf[i]);
	function_free(nic->pf);
	if (nic->type)
		nic->type->stop(nic);
}

/* The type `nic`. */

static int start(struct nic *nic, struct complaint *c)
{
	int err = uplink_open(&nic->uplink, nic, nic->options->lan, c);

	if (!err)
		loop_poller_add(nic->loop, &nic->poller, nic_tx_poll, nic);
	return err;
}

static void stop(struct nic *nic)
{
	uplink_close(nic->uplink);
	loop_poller_del(&nic->poller);
	loop_timer_cancel(&nic->stall_timer);
}

static void from_lan(struct nic *nic, const struct frame *frame)
{
	uint64_t until;

	(void)switch_forward(nic, SWITCH_UPLINK, frame, &until);
}

const struct device_type nic_type = {
	.name = "nic",
	.max_vfs = NIC_VF_MAX,
	.has_rings = true,
	.has_lan = true,
	.vendor = NIC_VENDOR_ID,
	.device = NIC_PF_DEVICE,
	.vf_device = NIC_VF_DEVICE,
	.class_code = NIC_CLASS,
	.bar_size = NIC_PF_BAR_SIZE,
	.vf_bar_size = NIC_VF_BAR_SIZE,
	.vectors = NIC_VECTORS,
	.commands = nic_commands,
	.tables = nic_tables,
	.start = start,
	.stop = stop,
	.read = registers_read,
	.write = registers_write,
	.from_lan = from_lan,
	.lan_quiet = nic_rx_flush,
};
