/* uplink_tap.c - a TAP interface as the LAN. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/uplink.h"

#define TAP_BATCH 32

struct tap {
	struct uplink uplink;
	struct nic *nic;
	int fd;
	struct loop_watch watch;
	uint8_t frame[NIC_FRAME_MAX];
};

static void tap_send(struct uplink *u, const struct frame *frame)
{
	struct tap *tap = (struct tap *)u;
	struct iovec iov[2] = {
		{ (void *)frame->head, NIC_FRAME_MIN },
		{ (void *)(frame->data + NIC_FRAME_MIN),
		  frame->size - NIC_FRAME_MIN },
	};

	/* Never blocks; fails when the queue is full, the interface is down,
	 * or the sender's memory was truncated. */
	if (writev(tap->fd, iov, 2) == (ssize_t)frame->size)
		u->sent++;
	else
		u->dropped++;
}

static void on_readable(void *arg, uint32_t events)
{
	struct tap *tap = arg;
	struct nic *nic = tap->nic;
	struct frame frame;
	ssize_t n;
	unsigned i;

	(void)events;
	nic_update_traced(nic);
	for (i = 0; i < TAP_BATCH; i++) {
		n = read(tap->fd, tap->frame, sizeof(tap->frame));
		if (n < 0)
			break;
		tap->uplink.received++;
		if (n < NIC_FRAME_MIN) {
			tap->uplink.dropped++;
			continue;
		}
		frame_init(&frame, tap->frame, (uint32_t)n);
		nic->type->from_lan(nic, &frame);
	}
	if (nic->type->lan_quiet)
		nic->type->lan_quiet(nic);
	if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EIO) {
		/* The interface is gone (somebody deleted it). */
		loop_watch_del(&tap->watch);
		event(nic->log, "lan.lost", "s:s", "why", strerror(errno));
	}
}

static void tap_close(struct uplink *u)
{
	struct tap *tap = (struct tap *)u;

	loop_watch_del(&tap->watch);
	if (tap->fd >= 0)
		close(tap->fd);
	free(tap);
}

/* Best effort: whoever made the interface may have set it up already. */
static void set_up(const char *name)
{
	struct ifreq ifr = { .ifr_flags = 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (!ioctl(fd, SIOCGIFFLAGS, &ifr)) {
		ifr.ifr_flags |= IFF_UP;
		(void)ioctl(fd, SIOCSIFFLAGS, &ifr);
	}
	close(fd);
}

static int attach(struct tap *tap, const char *name, struct complaint *c)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	if (strlen(name) >= IFNAMSIZ)
		return complain(c, EINVAL, "'%s' is too long for an interface",
				name);
	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return complain(c, errno, "/dev/net/tun: %s", strerror(errno));
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(tap->fd, TUNSETIFF, &ifr) < 0)
		return complain(c, errno, "TAP %s: %s", name, strerror(errno));
	set_up(name);
	return 0;
}

int uplink_tap_open(struct uplink **u, struct nic *nic, const char *name,
		    struct complaint *c)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int err;

	if (!tap)
		return complain(c, ENOMEM, "no memory");
	tap->nic = nic;
	tap->fd = -1;
	tap->uplink.kind = "tap";
	tap->uplink.send = tap_send;
	tap->uplink.close = tap_close;
	err = attach(tap, name, c);
	if (!err) {
		err = loop_watch_add(nic->loop, &tap->watch, tap->fd, EPOLLIN,
				     on_readable, tap);
		if (err)
			complain(c, -err, "TAP %s: %s", name, strerror(-err));
	}
	if (err) {
		tap_close(&tap->uplink);
		return err;
	}
	*u = &tap->uplink;
	return 0;
}
