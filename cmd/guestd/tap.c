/* tap.c - the workload `tap`: frames between a TAP device and a VF.
 *
 * The TAP belongs to this process and goes away with it.  It may be moved to
 * another network namespace.  A full transmit ring lets frames wait in the
 * TAP's queue.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/vf_send.h"

#define BATCH    64u
#define VLAN_TAG 4

struct tap {
	struct workload w;
	int fd;
	struct loop_watch watch;
	struct vf_waiter waiter;
	uint64_t to_vf, from_vf;
	uint64_t dropped; /* the interface was down or had no room */
};

static struct tap *of(struct workload *w)
{
	return (struct tap *)w;
}

static int tap_open(struct workload *w, struct complaint *c)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd, err;

	of(w)->fd = -1;
	if (strlcpy(ifr.ifr_name, w->spec.path, sizeof(ifr.ifr_name)) >=
	    sizeof(ifr.ifr_name))
		return complain(c, EINVAL, "'%s' is too long for an interface",
				w->spec.path);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return complain(c, errno, "/dev/net/tun: %s", strerror(errno));
	if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
		err = errno;
		close(fd);
		/* Not EBUSY or EINVAL alone: say what it takes. */
		if (err == EPERM)
			return complain(c, EPERM,
					"a TAP device (%s) needs root or "
					"CAP_NET_ADMIN",
					w->spec.path);
		return complain(c, err, "TAP device %s: %s", w->spec.path,
				strerror(err));
	}
	of(w)->fd = fd;
	return 0;
}

/* Up, with the VF's address.  An interface that was moved to another
 * namespace meanwhile is its new owner's to bring up. */
static int bring_up(struct tap *t, const struct vf *vf)
{
	struct ifreq ifr = { 0 };
	int mtu = (int)vf->buffers.size - NIC_FRAME_MIN - VLAN_TAG;
	int sock, err = 0;

	if (ioctl(t->fd, TUNGETIFF, &ifr) < 0)
		return -errno;
	ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(ifr.ifr_hwaddr.sa_data, vf->mac, MAC_SIZE);
	if (ioctl(t->fd, SIOCSIFHWADDR, &ifr) < 0)
		return -errno;
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	ifr.ifr_mtu = mtu;
	if (mtu < 1500 && ioctl(sock, SIOCSIFMTU, &ifr) < 0)
		err = -errno;
	if (!err && ioctl(sock, SIOCGIFFLAGS, &ifr) < 0)
		err = -errno;
	ifr.ifr_flags |= IFF_UP;
	if (!err && ioctl(sock, SIOCSIFFLAGS, &ifr) < 0)
		err = -errno;
	close(sock);
	return err == -ENODEV ? 0 : err;
}

static void on_space(void *arg)
{
	struct tap *t = arg;

	loop_watch_events(&t->watch, EPOLLIN);
}

/* 1: a frame went; 0: none is there; -errno; -EBUSY: it has to wait. */
static int forward_one(struct tap *t)
{
	struct vf *vf = t->w.vf;
	uint8_t *frame;
	ssize_t size;
	int err;

	if (vf_send_begin(vf, &frame) < 0)
		return -EBUSY;
	size = read(t->fd, frame, vf->buffers.size);
	err = size < 0 ? errno : 0;
	if (size < NIC_FRAME_MIN)
		return err == EAGAIN || err == EINTR ? 0 : -err;
	vf_send_commit(vf, (uint32_t)size);
	t->to_vf++;
	return 1;
}

static void on_readable(void *arg, uint32_t events)
{
	struct tap *t = arg;
	unsigned n;
	int err = 1;

	for (n = 0; n < BATCH && err > 0 && !(events & EPOLLERR); n++)
		err = forward_one(t);
	vf_send_flush(t->w.vf);
	if (err == -EBUSY) {
		loop_watch_events(&t->watch, 0);
		vf_send_wait(t->w.vf, &t->waiter);
	} else if (err < 0 || (events & EPOLLERR)) {
		workload_failed(&t->w, STATUS_NOT, "TAP device %s: %s",
				t->w.spec.path,
				err < 0 ? strerror(-err) : "it was deleted");
	}
}

static void tap_start(struct workload *w)
{
	struct tap *t = of(w);
	struct guest *g = w->guest;
	char mac[MAC_TEXT_MAX];
	int err = bring_up(t, w->vf);

	t->waiter = (struct vf_waiter){ .fn = on_space, .arg = t };
	if (err == 0)
		err = loop_watch_add(g->program.loop, &t->watch, t->fd, EPOLLIN,
				     on_readable, t);
	if (err < 0) {
		workload_failed(w, STATUS_NOT, "TAP device %s: %s",
				w->spec.path, strerror(-err));
		return;
	}
	event(g->program.log, "tap.up", "s:s, s:s, s:s", "tap", w->spec.path,
	      "vf", w->vf->name, "mac", mac_format(mac, w->vf->mac));
}

static void tap_deliver(struct workload *w, struct vf *vf, uint32_t *buffer,
			uint32_t size, uint64_t now_ns)
{
	struct tap *t = of(w);

	(void)now_ns;
	if (write(t->fd, buffer_hva(&vf->buffers, *buffer), size) ==
	    (ssize_t)size)
		t->from_vf++;
	else
		t->dropped++;
}

static void tap_stop(struct workload *w)
{
	struct tap *t = of(w);

	loop_watch_del(&t->watch);
	vf_send_unwait(&t->waiter);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

static void tap_report(const struct workload *w, json_t *row)
{
	const struct tap *t = (const struct tap *)w;
	json_t *more;

	more = json_pack("{s:I, s:I, s:s, s:I, s:I}", "done",
			 (json_int_t)(t->to_vf + t->from_vf), "errors",
			 (json_int_t)t->dropped, "detail", w->spec.path,
			 "to_vf", (json_int_t)t->to_vf, "from_vf",
			 (json_int_t)t->from_vf);
	json_object_update(row, more);
	json_decref(more);
}

static void tap_reset(struct workload *w)
{
	of(w)->to_vf = of(w)->from_vf = of(w)->dropped = 0;
}

const struct workload_ops tap_ops = {
	.name = "tap",
	.size = sizeof(struct tap),
	.receives = true,
	.open = tap_open,
	.start = tap_start,
	.stop = tap_stop,
	.deliver = tap_deliver,
	.report = tap_report,
	.reset = tap_reset,
};
