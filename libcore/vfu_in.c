/* vfu_in.c - receives vfio-user messages; see vfu_in.h */
#include <config.h>

#include "libcore/vfu_in.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER     sizeof(struct vfu_header)
#define BUFFER_MIN (16u << 10)

void vfu_in_init(struct vfu_in *in)
{
	memset(in, 0, sizeof(*in));
}

static void close_fds(const int *fds, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		close(fds[i]);
}

void vfu_in_fini(struct vfu_in *in)
{
	unsigned i;

	for (i = 0; i < in->n_fds; i++)
		close_fds(in->fds[i].fds, in->fds[i].n);
	free(in->buf);
	vfu_in_init(in);
}

bool vfu_in_partial(const struct vfu_in *in)
{
	return in->tail > in->head;
}

/* Size of the message at `at` as its header says; 0 while that is not
 * there. */
static uint32_t size_at(const struct vfu_in *in, size_t at)
{
	struct vfu_header header;

	if (in->tail - at < HEADER)
		return 0;
	memcpy(&header, in->buf + at, HEADER);
	return header.size;
}

/* Room for the message at head and for one byte at least. */
static int make_room(struct vfu_in *in)
{
	size_t need = size_at(in, in->head);
	uint8_t *buf;

	if (in->head) {
		memmove(in->buf, in->buf + in->head, in->tail - in->head);
		in->tail -= in->head;
		in->head = 0;
	}
	if (need < BUFFER_MIN)
		need = BUFFER_MIN;
	if (need <= in->cap)
		return 0;
	buf = realloc(in->buf, need);
	if (!buf)
		return -ENOMEM;
	in->buf = buf;
	in->cap = need;
	return 0;
}

/* Copy the descriptors out of the control data; their number. */
static unsigned take_rights(struct msghdr *mh, int fds[VFU_MAX_FDS])
{
	struct cmsghdr *c;
	unsigned n = 0;
	size_t len;

	for (c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		len = c->cmsg_len - CMSG_LEN(0);
		memcpy(fds + n, CMSG_DATA(c), len);
		n += len / sizeof(int);
	}
	return n;
}

static bool may_carry_fds(const struct vfu_header *header)
{
	if ((header->flags & VFU_FLAG_TYPE_MASK) == VFU_FLAG_REPLY)
		return header->command == VFU_VERSION ||
		       header->command == VFU_GET_REGION_INFO ||
		       header->command == VFU_GET_REGION_IO_FDS;
	return header->command == VFU_DMA_MAP ||
	       header->command == VFU_SET_IRQS;
}

/* Stream position of the message that descriptors belong to which came with
 * the bytes from `from` on. */
static uint64_t fds_owner(const struct vfu_in *in, size_t from)
{
	struct vfu_header header;
	size_t at = in->head, end, best = in->head;
	bool may, best_may = false;

	for (; at < in->tail; at = end) {
		end = in->tail;
		may = true; /* nothing speaks against a header in pieces */
		if (in->tail - at >= HEADER) {
			memcpy(&header, in->buf + at, HEADER);
			may = may_carry_fds(&header);
			if (header.size >= HEADER && header.size < end - at)
				end = at + header.size;
		}
		if (end > from && (may || !best_may)) {
			best = at;
			best_may = may;
		}
	}
	return in->pos + (best - in->head);
}

static int keep_fds(struct vfu_in *in, uint64_t pos, const int *fds, unsigned n)
{
	struct vfu_in_fds *set = in->n_fds ? &in->fds[in->n_fds - 1] : NULL;

	if (!set || set->pos != pos) {
		if (in->n_fds == 2)
			return -EPROTO;
		set = &in->fds[in->n_fds++];
		set->pos = pos;
		set->n = 0;
	}
	if (n > VFU_MAX_FDS - set->n)
		return -EPROTO;
	memcpy(set->fds + set->n, fds, n * sizeof(*fds));
	set->n += n;
	return 0;
}

ssize_t vfu_in_receive(struct vfu_in *in, int fd, const char **why)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * VFU_MAX_FDS)];
		struct cmsghdr align;
	} control;
	struct iovec iov;
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf) };
	int fds[VFU_MAX_FDS], ret;
	unsigned n_fds;
	ssize_t n;

	ret = make_room(in);
	if (ret)
		return ret;
	iov.iov_base = in->buf + in->tail;
	iov.iov_len = in->cap - in->tail;
	do {
		n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	in->tail += n;
	if (!mh.msg_controllen && !(mh.msg_flags & MSG_CTRUNC))
		return n;
	n_fds = take_rights(&mh, fds);
	if (mh.msg_flags & MSG_CTRUNC) {
		/* Either more than 16 or no room in our table: which of its
		 * descriptors a message lacks cannot be known. */
		close_fds(fds, n_fds);
		*why = "file descriptors were lost: more than 16, or too many "
		       "open files";
		return -EPROTO;
	}
	if (n_fds && keep_fds(in, fds_owner(in, in->tail - n), fds, n_fds)) {
		close_fds(fds, n_fds);
		*why = "more than 16 file descriptors with one message";
		return -EPROTO;
	}
	return n;
}

static void hand_out_fds(struct vfu_in *in, struct vfu_msg *msg, uint64_t end)
{
	msg->n_fds = 0;
	if (!in->n_fds || in->fds[0].pos >= end)
		return;
	msg->n_fds = in->fds[0].n;
	memcpy(msg->fds, in->fds[0].fds, msg->n_fds * sizeof(int));
	in->fds[0] = in->fds[1];
	in->n_fds--;
}

int vfu_in_next(struct vfu_in *in, struct vfu_msg *msg, const char **why)
{
	uint32_t size;

	if (in->tail - in->head < HEADER)
		return 0;
	size = size_at(in, in->head);
	if (size < HEADER) {
		*why = "a message shorter than its header";
		return -EPROTO;
	}
	if (size > VFU_MAX_MSG) {
		*why = "a message longer than the largest allowed";
		return -EPROTO;
	}
	if (size > in->tail - in->head)
		return 0;
	memcpy(&msg->header, in->buf + in->head, HEADER);
	msg->payload = in->buf + in->head + HEADER;
	msg->size = size - HEADER;
	in->head += size;
	in->pos += size;
	hand_out_fds(in, msg, in->pos);
	return 1;
}
