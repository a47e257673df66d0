/* vfu_out.c - sends vfio-user messages; see vfu_out.h */
#include <config.h>

#include "libcore/vfu_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER     sizeof(struct vfu_header)
#define BUFFER_MIN (16u << 10)
/* An emptied buffer that grew beyond this is given back. */
#define BUFFER_KEEP (256u << 10)
/* Linux puts up to 32 KiB (and the rest of a page) in one socket buffer. */
#define GATHER_MAX (32u << 10)

struct vfu_out_fds {
	STAILQ_ENTRY(vfu_out_fds) entry;
	uint64_t pos; /* of their message */
	uint32_t size;
	unsigned n;
	int fds[VFU_MAX_FDS];
};

void vfu_out_init(struct vfu_out *out)
{
	memset(out, 0, sizeof(*out));
	STAILQ_INIT(&out->fds);
}

static void free_fds(struct vfu_out_fds *set)
{
	unsigned i;

	for (i = 0; i < set->n; i++)
		close(set->fds[i]);
	free(set);
}

static void drop_first_fds(struct vfu_out *out)
{
	struct vfu_out_fds *set = STAILQ_FIRST(&out->fds);

	STAILQ_REMOVE_HEAD(&out->fds, entry);
	free_fds(set);
}

void vfu_out_drop(struct vfu_out *out)
{
	while (!STAILQ_EMPTY(&out->fds))
		drop_first_fds(out);
	free(out->buf);
	vfu_out_init(out);
}

void vfu_out_fini(struct vfu_out *out)
{
	vfu_out_drop(out);
}

static int make_room(struct vfu_out *out, size_t size)
{
	size_t used = out->tail - out->head, cap;
	uint8_t *buf;

	if (size <= out->cap - out->tail)
		return 0;
	if (out->head) {
		memmove(out->buf, out->buf + out->head, used);
		out->head = 0;
		out->tail = used;
	}
	if (size <= out->cap - out->tail)
		return 0;
	cap = out->cap ? out->cap : BUFFER_MIN;
	while (cap - used < size)
		cap *= 2;
	buf = realloc(out->buf, cap);
	if (!buf)
		return -ENOMEM;
	out->buf = buf;
	out->cap = cap;
	return 0;
}

/* Duplicate fds for the message that is appended next. */
static int add_fds(struct vfu_out *out, uint32_t size, const int *fds,
		   unsigned n)
{
	struct vfu_out_fds *set;
	int ret;

	if (n > VFU_MAX_FDS)
		return -EMSGSIZE;
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->pos = out->pos + (out->tail - out->head);
	set->size = size;
	for (; set->n < n; set->n++) {
		ret = fcntl(fds[set->n], F_DUPFD_CLOEXEC, 0);
		if (ret < 0) {
			ret = -errno;
			free_fds(set);
			return ret;
		}
		set->fds[set->n] = ret;
	}
	STAILQ_INSERT_TAIL(&out->fds, set, entry);
	return 0;
}

int vfu_out_append(struct vfu_out *out, const struct vfu_header *header,
		   const struct iovec *iov, unsigned n_iov, const int *fds,
		   unsigned n_fds)
{
	struct vfu_header h = *header;
	size_t size = HEADER;
	unsigned i;
	int ret;

	for (i = 0; i < n_iov; i++) {
		if (iov[i].iov_len > VFU_MAX_MSG - size)
			return -EMSGSIZE;
		size += iov[i].iov_len;
	}
	ret = make_room(out, size);
	if (!ret && n_fds)
		ret = add_fds(out, size, fds, n_fds);
	if (ret)
		return ret;
	h.size = size;
	memcpy(out->buf + out->tail, &h, HEADER);
	out->tail += HEADER;
	for (i = 0; i < n_iov; i++) {
		if (!iov[i].iov_len)
			continue;
		memcpy(out->buf + out->tail, iov[i].iov_base, iov[i].iov_len);
		out->tail += iov[i].iov_len;
	}
	return 0;
}

/* How much leaves in the next sendmsg. */
static size_t next_piece(const struct vfu_out *out)
{
	const struct vfu_out_fds *set = STAILQ_FIRST(&out->fds);
	size_t left = out->tail - out->head, piece = 0;
	struct vfu_header header;

	if (out->rest)
		return out->rest;
	if (set && set->pos == out->pos)
		return set->size;
	if (set && set->pos - out->pos < left)
		left = set->pos - out->pos;
	if (left <= GATHER_MAX)
		return left;
	while (piece < left) {
		memcpy(&header, out->buf + out->head + piece, HEADER);
		if (piece && piece + header.size > GATHER_MAX)
			break;
		piece += header.size;
	}
	return piece;
}

static void sent(struct vfu_out *out, size_t n, size_t piece)
{
	struct vfu_out_fds *set = STAILQ_FIRST(&out->fds);

	if (set && set->pos == out->pos)
		drop_first_fds(out);
	out->head += n;
	out->pos += n;
	/* A gathered piece is cut only on a socket with a tiny buffer. */
	out->rest = piece - n;
	if (out->head < out->tail)
		return;
	out->head = out->tail = 0;
	if (out->cap > BUFFER_KEEP) {
		free(out->buf);
		out->buf = NULL;
		out->cap = 0;
	}
}

static void attach_rights(struct msghdr *mh, void *control,
			  const struct vfu_out_fds *set)
{
	struct cmsghdr *c;

	mh->msg_control = control;
	mh->msg_controllen = CMSG_SPACE(set->n * sizeof(int));
	memset(control, 0, mh->msg_controllen);
	c = CMSG_FIRSTHDR(mh);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(set->n * sizeof(int));
	memcpy(CMSG_DATA(c), set->fds, set->n * sizeof(int));
}

int vfu_out_flush(struct vfu_out *out, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * VFU_MAX_FDS)];
		struct cmsghdr align;
	} control;
	const struct vfu_out_fds *set;
	struct msghdr mh;
	struct iovec iov;
	ssize_t n;

	while (out->head < out->tail) {
		iov.iov_base = out->buf + out->head;
		iov.iov_len = next_piece(out);
		mh = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 };
		set = STAILQ_FIRST(&out->fds);
		if (set && set->pos == out->pos)
			attach_rights(&mh, control.buf, set);
		n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		sent(out, n, iov.iov_len);
	}
	return 0;
}
