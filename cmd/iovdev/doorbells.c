/* doorbells.c - eventfds and register writes that say "look at the ring". */
#include <config.h>

#include "cmd/iovdev/doorbells.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_tx.h"
#include "libcore/peer_eventfd.h"

static void ring(struct function *f, enum nic_queue_kind kind)
{
	f->bells.rung++;
	/* 804, 905: the guest rings after it set its enable bit, so a receive
	 * queue is attached here as well; receiving itself needs no bell. */
	if (kind == NIC_QUEUE_TX)
		nic_tx_kick(f);
	else
		(void)nic_queue_runs(&f->queue[NIC_QUEUE_RX], true);
}

static void take(struct function *f, enum nic_queue_kind kind)
{
	if (peer_eventfd_take(f->bells.fd[kind]))
		ring(f, kind);
}

static void on_tx(void *arg, uint32_t events)
{
	(void)events;
	take(arg, NIC_QUEUE_TX);
}

static void on_rx(void *arg, uint32_t events)
{
	(void)events;
	take(arg, NIC_QUEUE_RX);
}

int doorbells_open(struct function *f)
{
	static loop_fd_fn *const fn[] = { on_tx, on_rx };
	unsigned i;
	int err;

	for (i = 0; i < NIC_QUEUE_N; i++) {
		f->bells.fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (f->bells.fd[i] < 0)
			return -errno;
		err = loop_watch_add(f->nic->loop, &f->bells.watch[i],
				     f->bells.fd[i], EPOLLIN, fn[i], f);
		if (err)
			return err;
	}
	return 0;
}

void doorbells_close(struct function *f)
{
	unsigned i;

	for (i = 0; i < NIC_QUEUE_N; i++) {
		loop_watch_del(&f->bells.watch[i]);
		if (f->bells.fd[i] >= 0)
			close(f->bells.fd[i]);
	}
}

bool doorbells_write(struct function *f, uint32_t offset)
{
	if (!f->vf || (offset != NIC_DOORBELL_TX && offset != NIC_DOORBELL_RX))
		return false;
	ring(f, offset == NIC_DOORBELL_TX ? NIC_QUEUE_TX : NIC_QUEUE_RX);
	return true;
}

void doorbells_tell(struct function *f, struct vfu_request *req,
		    uint32_t region)
{
	const struct vfu_io_fd subs[] = {
		{ .offset = NIC_DOORBELL_TX, .size = 4, .fd_index = 0 },
		{ .offset = NIC_DOORBELL_RX, .size = 4, .fd_index = 1 },
	};

	if (!function_has_rings(f) || region != VFU_REGION_BAR0)
		vfu_request_io_fds(req, NULL, 0, NULL, 0);
	else
		vfu_request_io_fds(req, subs, 2, f->bells.fd, 2);
}
