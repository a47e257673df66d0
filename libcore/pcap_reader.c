/* pcap_reader.c - frames out of a pcap or pcapng file or pipe.
 *
 * Theory of operation.  libpcap blocks, so a thread runs it.  It appends
 * frames to the last of a few chunks; the loop takes the first chunk whole
 * and walks it without a lock.  A full list makes the thread wait.  The
 * loop is woken (eventfd) only after pcap_reader_next() said "none now".
 * libpcap reads through a cookie stream that polls a second eventfd too, so
 * closing never waits for a silent pipe.
 */
#include <config.h>

#include "libcore/pcap_stream.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pcap/pcap.h>

#define CHUNK_BYTES  (64u << 10)
#define CHUNKS_MAX   8u
#define STREAM_BYTES (64u << 10)

struct chunk {
	STAILQ_ENTRY(chunk) entry;
	size_t room, used, at;
	uint8_t data[];
};
STAILQ_HEAD(chunks, chunk);

/* In a chunk: this, then the frame, then padding to 8. */
struct record {
	uint64_t time_ns;
	uint32_t size;
	uint32_t rsvd0;
};

struct pcap_reader {
	int fd, stop_fd, wake_fd;
	FILE *stream; /* libpcap's once pcap is set */
	pcap_t *pcap;
	struct loop_watch watch;
	loop_fn *readable;
	void *arg;
	struct chunk *current; /* of the loop */
	pthread_t thread;
	bool threaded;
	/* The rest is shared with the thread, under lock. */
	pthread_mutex_t lock;
	pthread_cond_t room;
	struct chunks chunks;
	unsigned n_chunks;
	bool waiting; /* the loop found nothing and wants a wake-up */
	bool stop;
	bool ended;
	int err;
	struct complaint why;
};

static ssize_t stream_read(void *cookie, char *buf, size_t size)
{
	struct pcap_reader *r = cookie;
	struct pollfd fds[2] = { { .fd = r->fd, .events = POLLIN },
				 { .fd = r->stop_fd, .events = POLLIN } };
	ssize_t n;

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -1;
		if (fds[1].revents)
			return 0;
		n = read(r->fd, buf, size);
		if (n >= 0 || (errno != EINTR && errno != EAGAIN))
			return n;
	}
}

static int open_pcap(struct pcap_reader *r, struct complaint *c)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	pcap_t *pcap;

	pcap = pcap_fopen_offline_with_tstamp_precision(
		r->stream, PCAP_TSTAMP_PRECISION_NANO, why);
	if (!pcap)
		return complain(c, EBADMSG, "no pcap: %s", why);
	r->pcap = pcap;
	r->stream = NULL;
	if (pcap_datalink(pcap) != DLT_EN10MB)
		return complain(c, EPROTO, "its link type is %s, not Ethernet",
				pcap_datalink_val_to_name(pcap_datalink(pcap))
					?: "unknown");
	return 0;
}

static void wake_locked(struct pcap_reader *r)
{
	if (!r->waiting)
		return;
	r->waiting = false;
	(void)!write(r->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

static struct chunk *chunk_new(size_t need)
{
	size_t room = need > CHUNK_BYTES ? need : CHUNK_BYTES;
	struct chunk *chunk = malloc(sizeof(*chunk) + room);

	if (chunk) {
		chunk->room = room;
		chunk->used = chunk->at = 0;
	}
	return chunk;
}

/* The chunk that takes `need` more bytes; NULL with r->stop set or no
 * memory. */
static struct chunk *chunk_locked(struct pcap_reader *r, size_t need)
{
	struct chunk *last = STAILQ_LAST(&r->chunks, chunk, entry);

	if (last && last->room - last->used >= need)
		return last;
	while (r->n_chunks == CHUNKS_MAX && !r->stop)
		pthread_cond_wait(&r->room, &r->lock);
	if (r->stop)
		return NULL;
	last = chunk_new(need);
	if (!last)
		return NULL;
	STAILQ_INSERT_TAIL(&r->chunks, last, entry);
	r->n_chunks++;
	return last;
}

/* False: the reader is being closed, or memory is out. */
static bool hand_over(struct pcap_reader *r, const struct pcap_pkthdr *h,
		      const uint8_t *data)
{
	struct record record = {
		.time_ns = (uint64_t)h->ts.tv_sec * NS_PER_S +
			   (uint64_t)h->ts.tv_usec,
		.size = h->caplen,
	};
	size_t need = sizeof(record) + ((h->caplen + 7u) & ~7u);
	struct chunk *chunk;

	pthread_mutex_lock(&r->lock);
	chunk = chunk_locked(r, need);
	if (chunk) {
		memcpy(chunk->data + chunk->used, &record, sizeof(record));
		memcpy(chunk->data + chunk->used + sizeof(record), data,
		       h->caplen);
		chunk->used += need;
		wake_locked(r);
	}
	pthread_mutex_unlock(&r->lock);
	return chunk;
}

static void finish(struct pcap_reader *r, int err, const struct complaint *why)
{
	pthread_mutex_lock(&r->lock);
	r->err = err;
	r->why = *why;
	r->ended = true;
	wake_locked(r);
	pthread_mutex_unlock(&r->lock);
}

static void *reader_main(void *arg)
{
	struct pcap_reader *r = arg;
	struct complaint why = { "" };
	unsigned long long frames = 0;
	struct pcap_pkthdr *h;
	const u_char *data;
	int err = 0, got;

	if (!r->pcap)
		err = open_pcap(r, &why);
	while (!err) {
		got = pcap_next_ex(r->pcap, &h, &data);
		if (got == PCAP_ERROR_BREAK)
			err = -ENODATA;
		else if (got != 1)
			err = complain(&why, EBADMSG, "frame %llu: %s",
				       frames + 1, pcap_geterr(r->pcap));
		else if (!hand_over(r, h, data))
			err = complain(&why, ENOMEM, "no memory");
		frames++;
	}
	finish(r, err, &why);
	return NULL;
}

static void on_wake(void *arg, uint32_t events)
{
	struct pcap_reader *r = arg;
	uint64_t count;

	(void)events;
	(void)!read(r->wake_fd, &count, sizeof(count));
	r->readable(r->arg);
}

/* The thread takes no signal: they are the loop's. */
static int start_thread(struct pcap_reader *r)
{
	sigset_t all, saved;
	int err;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	err = pthread_create(&r->thread, NULL, reader_main, r);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	r->threaded = !err;
	return -err;
}

static int open_input(struct pcap_reader *r, const char *path,
		      struct complaint *c)
{
	cookie_io_functions_t io = { .read = stream_read };

	r->fd = strcmp(path, "-")
			? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
			: fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (r->fd < 0)
		return complain(c, errno, "%s: %s", path, strerror(errno));
	r->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->stop_fd < 0 || r->wake_fd < 0)
		return complain(c, errno, "eventfd: %s", strerror(errno));
	r->stream = fopencookie(r, "r", io);
	if (!r->stream)
		return complain(c, ENOMEM, "%s: no memory", path);
	setvbuf(r->stream, NULL, _IOFBF, STREAM_BYTES);
	return 0;
}

static int start(struct pcap_reader *r, struct loop *loop, const char *path,
		 struct complaint *c)
{
	struct stat st;
	int err;

	err = open_input(r, path, c);
	if (err)
		return err;
	if (fstat(r->fd, &st) == 0 && S_ISREG(st.st_mode)) {
		err = open_pcap(r, c);
		if (err)
			return complain_at(c, err, "%s", path);
	}
	err = loop_watch_add(loop, &r->watch, r->wake_fd, EPOLLIN, on_wake, r);
	if (!err)
		err = start_thread(r);
	if (err)
		return complain(c, -err, "%s: %s", path, strerror(-err));
	return 0;
}

int pcap_reader_open(struct pcap_reader **reader, struct loop *loop,
		     const char *path, loop_fn *readable, void *arg,
		     struct complaint *c)
{
	struct pcap_reader *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return complain(c, ENOMEM, "%s: no memory", path);
	r->fd = r->stop_fd = r->wake_fd = -1;
	r->readable = readable;
	r->arg = arg;
	r->waiting = true;
	STAILQ_INIT(&r->chunks);
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->room, NULL);
	err = start(r, loop, path, c);
	if (err) {
		pcap_reader_close(r);
		return err;
	}
	*reader = r;
	return 0;
}

/* Take the next chunk: 1, 0 (none now), or why there will be no more. */
static int next_chunk(struct pcap_reader *r, struct complaint *c)
{
	int got = 1;

	free(r->current);
	pthread_mutex_lock(&r->lock);
	r->current = STAILQ_FIRST(&r->chunks);
	if (r->current) {
		STAILQ_REMOVE_HEAD(&r->chunks, entry);
		r->n_chunks--;
		pthread_cond_signal(&r->room);
	} else if (r->ended) {
		got = r->err;
		if (c)
			*c = r->why;
	} else {
		r->waiting = true;
		got = 0;
	}
	pthread_mutex_unlock(&r->lock);
	return got;
}

int pcap_reader_next(struct pcap_reader *r, struct pcap_frame *frame,
		     struct complaint *c)
{
	struct record record;
	struct chunk *chunk;
	int got;

	if (!r->current || r->current->at == r->current->used) {
		got = next_chunk(r, c);
		if (got != 1)
			return got;
	}
	chunk = r->current;
	memcpy(&record, chunk->data + chunk->at, sizeof(record));
	frame->data = chunk->data + chunk->at + sizeof(record);
	frame->size = record.size;
	frame->time_ns = record.time_ns;
	chunk->at += sizeof(record) + ((record.size + 7u) & ~7u);
	return 1;
}

static void stop_thread(struct pcap_reader *r)
{
	if (!r->threaded)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->room);
	pthread_mutex_unlock(&r->lock);
	(void)!write(r->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	pthread_join(r->thread, NULL);
}

void pcap_reader_close(struct pcap_reader *r)
{
	struct chunk *chunk;

	if (!r)
		return;
	stop_thread(r);
	loop_watch_del(&r->watch);
	if (r->pcap)
		pcap_close(r->pcap);
	if (r->stream)
		fclose(r->stream);
	while ((chunk = STAILQ_FIRST(&r->chunks))) {
		STAILQ_REMOVE_HEAD(&r->chunks, entry);
		free(chunk);
	}
	free(r->current);
	if (r->fd >= 0)
		close(r->fd);
	if (r->stop_fd >= 0)
		close(r->stop_fd);
	if (r->wake_fd >= 0)
		close(r->wake_fd);
	pthread_cond_destroy(&r->room);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
