/* vfu.c - a scriptable vfio-user client, hostile peer and hostile guest.
 *
 *	vfu SOCKET STEP...
 *	vfu -l SOCKET STEP...		serve there, as a device would
 *
 * Each STEP is one argument: a word and what it needs.  What came of it is
 * printed as "STEP: ok", data, an error's name, "hung up" or "no answer".
 * Numbers are decimal or 0x..., data are hex digits.  See the table below.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "libcore/nic_regs.h"
#include "t/tool/guest.h"
#include "t/tool/liar.h"
#include "t/tool/peer.h"

#define WORDS_MAX  8u
#define STATUS_BAD 64

struct tool {
	struct peer peer;
	struct guest guest;
	uint64_t flooded; /* requests that are not answered yet */
	char text[8300];  /* result, when it is more than "ok" */
};

static struct tool self;

/* word[0] is the step's own name. */
typedef int step_fn(struct tool *t, char **word, unsigned n);

static void __attribute__((noreturn)) bad(const char *what, const char *which)
{
	fprintf(stderr, "vfu: %s '%s'\n", what, which);
	exit(STATUS_BAD);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		bad("no number", text);
	return n;
}

/* Decode in place; how many bytes. */
static uint32_t unhex(char *text)
{
	size_t size = strlen(text) / 2, i;
	unsigned byte;

	if (strlen(text) % 2)
		bad("no hex digits", text);
	for (i = 0; i < size; i++) {
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			bad("no hex digits", text);
		text[i] = (char)byte;
	}
	return (uint32_t)size;
}

static void show_hex(struct tool *t, const uint8_t *data, uint32_t size)
{
	uint32_t i;

	for (i = 0; i < size && i * 2 + 3 < sizeof(t->text); i++)
		sprintf(t->text + (size_t)i * 2, "%02x", data[i]);
}

static int step_hello(struct tool *t, char **word, unsigned n)
{
	const char *json = n > 2 ? word[2]
				 : "{\"capabilities\":{"
				   "\"max_msg_fds\":16}}";
	struct vfu_version version = { VFU_MAJOR, VFU_MINOR };
	uint8_t payload[4096];
	size_t size = strlen(json) + 1;
	int err;

	if (n > 1 &&
	    sscanf(word[1], "%hu.%hu", &version.major, &version.minor) != 2)
		bad("no version", word[1]);
	if (size > sizeof(payload) - sizeof(version))
		bad("too long", json);
	memcpy(payload, &version, sizeof(version));
	memcpy(payload + sizeof(version), json, size);
	err = peer_ask(&t->peer, VFU_VERSION, payload, sizeof(version) + size);
	if (err)
		return err;
	memcpy(&version, t->peer.payload, sizeof(version));
	snprintf(t->text, sizeof(t->text), "%u.%u", version.major,
		 version.minor);
	return 0;
}

static int step_raw(struct tool *t, char **word, unsigned n)
{
	(void)n;
	return peer_send(&t->peer, word[1], unhex(word[1]));
}

static int step_header(struct tool *t, char **word, unsigned n)
{
	const struct vfu_header header = { .id = (uint16_t)number(word[1]),
					   .command = (uint16_t)number(word[2]),
					   .size = (uint32_t)number(word[3]),
					   .flags = (uint32_t)number(word[4]) };

	(void)n;
	return peer_send(&t->peer, &header, sizeof(header));
}

static int step_listen(struct tool *t, char **word, unsigned n)
{
	const struct vfu_header *h = &t->peer.header;
	int err = peer_listen(&t->peer);

	(void)word, (void)n;
	snprintf(t->text, sizeof(t->text), "id %u command %u %s", h->id,
		 h->command,
		 h->flags & VFU_FLAG_ERROR ? peer_error(-(int)h->error) : "ok");
	return err;
}

static int step_message(struct tool *t, char **word, unsigned n)
{
	uint32_t size = n > 2 ? unhex(word[2]) : 0;
	int err;

	err = peer_ask(&t->peer, (uint16_t)number(word[1]),
		       n > 2 ? word[2] : NULL, size);
	if (!err)
		show_hex(t, t->peer.payload, t->peer.size);
	return err;
}

static int step_answer(struct tool *t, char **word, unsigned n)
{
	uint32_t size = n > 1 ? unhex(word[1]) : 0;

	return peer_answer(&t->peer, 0, n > 1 ? word[1] : NULL, size);
}

static int step_refuse(struct tool *t, char **word, unsigned n)
{
	(void)n;
	return peer_answer(&t->peer, (int)number(word[1]), NULL, 0);
}

static int step_lie(struct tool *t, char **word, unsigned n)
{
	return liar_serve(&t->peer, number(word[1]),
			  n > 2 ? (unsigned)number(word[2]) : 0);
}

static int step_fds(struct tool *t, char **word, unsigned n)
{
	uint64_t count = number(word[1]);
	int fd;

	(void)n;
	while (t->peer.n_fds < count && t->peer.n_fds < PEER_FDS) {
		fd = eventfd(0, EFD_CLOEXEC);
		if (fd < 0)
			return -errno;
		t->peer.fds[t->peer.n_fds++] = fd;
	}
	return 0;
}

static int step_files(struct tool *t, char **word, unsigned n)
{
	uint64_t count = number(word[1]);
	int fd;

	(void)n;
	while (t->peer.n_fds < count && t->peer.n_fds < PEER_FDS) {
		fd = memfd_create("test", MFD_CLOEXEC);
		if (fd < 0)
			return -errno;
		t->peer.fds[t->peer.n_fds++] = fd;
	}
	return 0;
}

static int step_read(struct tool *t, char **word, unsigned n)
{
	int err = peer_read(&t->peer, (uint32_t)number(word[1]),
			    number(word[2]), (uint32_t)number(word[3]));

	(void)n;
	if (!err)
		show_hex(t, t->peer.payload + sizeof(struct vfu_region_access),
			 t->peer.size - sizeof(struct vfu_region_access));
	return err;
}

static int step_write(struct tool *t, char **word, unsigned n)
{
	uint32_t size = unhex(word[3]);

	(void)n;
	return peer_write(&t->peer, (uint32_t)number(word[1]), number(word[2]),
			  word[3], size);
}

static int step_map(struct tool *t, char **word, unsigned n)
{
	const struct vfu_dma_map map = { .argsz = sizeof(map),
					 .flags = VFU_DMA_READABLE |
						  VFU_DMA_WRITEABLE,
					 .iova = number(word[1]),
					 .size = number(word[2]) };
	int fd;

	/* Without one of those that wait: a file of that size or another. */
	if (!t->peer.n_fds) {
		fd = memfd_create("test", MFD_CLOEXEC);
		if (fd < 0 ||
		    ftruncate(fd, (off_t)number(word[n > 3 ? 3 : 2])) < 0)
			return -errno;
		t->peer.fds[t->peer.n_fds++] = fd;
	}
	return peer_ask(&t->peer, VFU_DMA_MAP, &map, sizeof(map));
}

static int step_unmap(struct tool *t, char **word, unsigned n)
{
	const struct vfu_dma_unmap unmap = { .argsz = sizeof(unmap),
					     .iova = number(word[1]),
					     .size = number(word[2]) };

	(void)n;
	return peer_ask(&t->peer, VFU_DMA_UNMAP, &unmap, sizeof(unmap));
}

static int step_irqs(struct tool *t, char **word, unsigned n)
{
	struct vfu_irq_set set = { .argsz = sizeof(set),
				   .flags = VFU_IRQ_DATA_EVENTFD |
					    VFU_IRQ_ACTION_TRIGGER,
				   .index = (uint32_t)number(word[1]),
				   .start = (uint32_t)number(word[2]),
				   .count = (uint32_t)number(word[3]) };

	if (n > 4)
		set.flags = (uint32_t)number(word[4]);
	return peer_ask(&t->peer, VFU_SET_IRQS, &set, sizeof(set));
}

/* Ask without reading the answers, until so many are asked or the socket
 * takes nothing more for 200 ms. */
static int step_flood(struct tool *t, char **word, unsigned n)
{
	const struct vfu_region_access access = { number(word[3]),
						  (uint32_t)number(word[2]),
						  (uint32_t)number(word[4]) };
	const struct timeval patience = { .tv_usec = 200000 };
	uint64_t left = number(word[1]);
	int err = 0;

	(void)n;
	if (setsockopt(t->peer.fd, SOL_SOCKET, SO_SNDTIMEO, &patience,
		       sizeof(patience)) < 0)
		return -errno;
	while (!err && left--) {
		err = peer_say(&t->peer, VFU_REGION_READ, 0, &access,
			       sizeof(access));
		t->flooded += !err;
	}
	snprintf(t->text, sizeof(t->text), "%s",
		 err == -EAGAIN ? "stopped" : "all");
	return err == -EAGAIN ? 0 : err;
}

static int step_drain(struct tool *t, char **word, unsigned n)
{
	int err = 0;

	(void)word, (void)n;
	while (!err && t->flooded) {
		err = peer_listen(&t->peer);
		t->flooded -= !err;
	}
	return err;
}

/* It may have something to say before. */
static int step_hangup(struct tool *t, char **word, unsigned n)
{
	int err;

	(void)word, (void)n;
	do {
		err = peer_listen(&t->peer);
	} while (!err);
	return err;
}

static int step_die(struct tool *t, char **word, unsigned n)
{
	(void)t, (void)word, (void)n;
	return raise(SIGKILL);
}

static int step_pause(struct tool *t, char **word, unsigned n)
{
	(void)t, (void)n;
	printf("%s\n", word[0]);
	fflush(stdout);
	return pause();
}

static int step_truncate(struct tool *t, char **word, unsigned n)
{
	(void)n;
	return ftruncate(t->guest.memory_fd, (off_t)number(word[1])) ? -errno
								     : 0;
}

static int step_guest(struct tool *t, char **word, unsigned n)
{
	return guest_attach(&t->guest, &t->peer,
			    n > 1 ? (unsigned)number(word[1]) : 0);
}

static int step_client(struct tool *t, char **word, unsigned n)
{
	(void)word, (void)n;
	return guest_attach_device(&t->guest, &t->peer);
}

static int step_vfs(struct tool *t, char **word, unsigned n)
{
	(void)n;
	return guest_enable_vfs(&t->peer, (unsigned)number(word[1]));
}

static int step_rings(struct tool *t, char **word, unsigned n)
{
	return guest_rings(&t->guest, n > 1 ? (uint32_t)number(word[1]) : 64);
}

static struct queue_ring *ring_of(struct tool *t, const char *word)
{
	if (!t->guest.n)
		bad("no rings for", word);
	if (!strcmp(word, "tx"))
		return t->guest.tx;
	if (!strcmp(word, "rx"))
		return t->guest.rx;
	bad("no queue", word);
}

static int step_poke(struct tool *t, char **word, unsigned n)
{
	(void)n;
	if (guest_poke(&t->guest, ring_of(t, word[1]), word[2],
		       number(word[3])))
		bad("no field", word[2]);
	return 0;
}

static int step_enable(struct tool *t, char **word, unsigned n)
{
	(void)n;
	return guest_enable(&t->guest, ring_of(t, word[1]));
}

static int step_frame(struct tool *t, char **word, unsigned n)
{
	uint8_t m[6];

	(void)n;
	if (sscanf(word[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &m[0], &m[1],
		   &m[2], &m[3], &m[4], &m[5]) != 6)
		bad("no MAC", word[2]);
	(void)ring_of(t, "tx");
	guest_frame(&t->guest, (uint32_t)number(word[1]), m,
		    (uint32_t)number(word[3]));
	return 0;
}

static int step_register(struct tool *t, char **word, unsigned n)
{
	uint32_t offset = (uint32_t)number(word[1]);
	uint64_t value;
	int err;

	if (n > 2)
		return guest_set_register(&t->guest, offset, 4,
					  number(word[2]));
	err = guest_register(&t->guest, offset, 4, &value);
	snprintf(t->text, sizeof(t->text), "0x%llx", (unsigned long long)value);
	return err;
}

static int step_ring(struct tool *t, char **word, unsigned n)
{
	bool tx = ring_of(t, word[1]) == t->guest.tx;

	(void)n;
	return guest_set_register(&t->guest,
				  tx ? NIC_DOORBELL_TX : NIC_DOORBELL_RX, 4, 1);
}

/* Wait until the queue stops; the result is its status. */
static int step_stopped(struct tool *t, char **word, unsigned n)
{
	uint32_t block = ring_of(t, word[1]) == t->guest.tx ? NIC_TX : NIC_RX;
	const struct timespec pause = { .tv_nsec = 5000000 };
	uint64_t on = 1, status = 0;
	unsigned left = 1000;
	int err = 0;

	(void)n;
	while (!err && on && left--) {
		err = guest_register(&t->guest, block + NIC_Q_ENABLE, 4, &on);
		if (!err && on)
			nanosleep(&pause, NULL);
	}
	if (!err && on)
		return -ETIMEDOUT;
	if (!err)
		err = guest_register(&t->guest, block + NIC_Q_STATUS, 4,
				     &status);
	snprintf(t->text, sizeof(t->text), "status %llu",
		 (unsigned long long)status);
	return err;
}

/* Wait until the device's index is this. */
static int step_index(struct tool *t, char **word, unsigned n)
{
	struct queue_ring *ring = ring_of(t, word[1]);
	struct queue_side *side =
		ring == t->guest.tx ? &ring->read : &ring->write;
	const struct timespec pause = { .tv_nsec = 5000000 };
	uint32_t want = (uint32_t)number(word[2]);
	unsigned left = 1000;

	(void)n;
	while (atomic_load(&side->index) != want && left--)
		nanosleep(&pause, NULL);
	return atomic_load(&side->index) == want ? 0 : -ETIMEDOUT;
}

static int step_entry(struct tool *t, char **word, unsigned n)
{
	struct queue_ring *ring = ring_of(t, word[1]);
	struct queue_entry *e = &ring->entry[number(word[2]) % t->guest.n];

	(void)n;
	snprintf(t->text, sizeof(t->text), "size %u status %u", e->size,
		 e->status);
	return 0;
}

static int step_churn(struct tool *t, char **word, unsigned n)
{
	unsigned stops;
	int err;

	(void)n;
	(void)ring_of(t, "tx");
	err = guest_churn(&t->guest, (unsigned)number(word[1]), &stops);
	snprintf(t->text, sizeof(t->text), "%s", stops ? "stops" : "no stop");
	return err;
}

static const struct {
	const char *name;
	unsigned min, max; /* words, its own included */
	step_fn *fn;
	const char *what;
} steps[] = {
	{ "hello", 1, 3, step_hello, "[MAJOR.MINOR [JSON]]: VERSION" },
	{ "raw", 2, 2, step_raw, "HEX: these bytes" },
	{ "header", 5, 5, step_header, "ID COMMAND SIZE FLAGS: no payload" },
	{ "listen", 1, 1, step_listen, "the next message" },
	{ "message", 2, 3, step_message, "COMMAND [HEX]: and its reply" },
	{ "answer", 1, 2, step_answer, "[HEX]: to the last message" },
	{ "refuse", 2, 2, step_refuse, "ERRNO: the last message" },
	{ "lie", 2, 3, step_lie, "SEED [N]: to all; one in N malformed" },
	{ "fds", 2, 2, step_fds, "N: eventfds to go with the next message" },
	{ "files", 2, 2, step_files, "N: empty files likewise" },
	{ "read", 4, 4, step_read, "REGION OFFSET COUNT" },
	{ "write", 4, 4, step_write, "REGION OFFSET HEX" },
	{ "map", 3, 4, step_map, "IOVA SIZE [SIZE-OF-FILE]" },
	{ "unmap", 3, 3, step_unmap, "IOVA SIZE" },
	{ "irqs", 4, 5, step_irqs, "INDEX START COUNT [FLAGS]: with fds" },
	{ "flood", 5, 5, step_flood, "N REGION OFFSET COUNT: unread reads" },
	{ "drain", 1, 1, step_drain, "their answers" },
	{ "hangup", 1, 1, step_hangup, "wait for it" },
	{ "die", 1, 1, step_die, "SIGKILL" },
	{ "pause", 1, 1, step_pause, "until a signal comes" },
	{ "vfs", 2, 2, step_vfs, "N: VF Enable, on a PF's socket" },
	{ "client", 1, 1, step_client, "drive the VF of this socket" },
	{ "guest", 1, 2, step_guest, "[SLOT]: drive a VF of this VM" },
	{ "truncate", 2, 2, step_truncate, "SIZE: its memory" },
	{ "rings", 1, 2, step_rings, "[N]: right ones" },
	{ "poke", 4, 4, step_poke, "tx|rx FIELD VALUE" },
	{ "enable", 2, 2, step_enable, "tx|rx: again" },
	{ "frame", 4, 4, step_frame, "I MAC SIZE: a frame in entry I" },
	{ "register", 2, 3, step_register, "OFFSET [VALUE]" },
	{ "ring", 2, 2, step_ring, "tx|rx: the doorbell" },
	{ "stopped", 2, 2, step_stopped, "tx|rx: wait for that" },
	{ "index", 3, 3, step_index, "tx|rx N: wait until the device's is N" },
	{ "entry", 3, 3, step_entry, "tx|rx I" },
	{ "churn", 2, 2, step_churn, "MS: write nonsense while it works" },
};

static int run_step(struct tool *t, const char *text)
{
	char *copy = strdup(text), *rest = copy, *word[WORDS_MAX + 1];
	unsigned n = 0, i;
	int err;

	if (!copy)
		return -ENOMEM;
	while (n < WORDS_MAX && (word[n] = strsep(&rest, " ")))
		n++;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (!strcmp(word[0], steps[i].name))
			break;
	if (i == sizeof(steps) / sizeof(steps[0]) || n < steps[i].min ||
	    n > steps[i].max)
		bad("no step", text);
	strcpy(t->text, "ok");
	err = steps[i].fn(t, word, n);
	printf("%s: %s\n", text, err ? peer_error(err) : t->text);
	fflush(stdout);
	free(copy);
	return err;
}

int main(int argc, char **argv)
{
	bool serve = argc > 1 && !strcmp(argv[1], "-l");
	unsigned i, first = serve ? 2 : 1;
	int err;

	if ((unsigned)argc < first + 2) {
		fprintf(stderr, "usage: vfu [-l] SOCKET STEP...\n");
		for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
			fprintf(stderr, "  %s %s\n", steps[i].name,
				steps[i].what);
		return STATUS_BAD;
	}
	err = serve ? peer_serve(&self.peer, argv[first])
		    : peer_open(&self.peer, argv[first]);
	if (err)
		bad(peer_error(err), argv[first]);
	for (i = first + 1; i < (unsigned)argc; i++)
		(void)run_step(&self, argv[i]);
	return 0;
}
