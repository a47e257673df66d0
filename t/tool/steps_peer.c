/* steps_peer.c - messages, right and wrong */
#include <config.h>

#include "t/tool/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "t/tool/liar.h"

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

static uint64_t draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

/* Words that may mean something: small numbers, routing IDs, or anything. */
static void draw_words(uint8_t *data, size_t size, uint64_t *random)
{
	uint32_t word;

	for (; size >= sizeof(word); size -= sizeof(word)) {
		word = (uint32_t)(draw(random) >> 16);
		if (draw(random) & 3)
			word &= 7;
		if (!(draw(random) & 3))
			word |= 0x100;
		memcpy(data, &word, sizeof(word));
		data += sizeof(word);
	}
}

/* Any size anywhere in the range; whether it is refused does not matter, but
 * an answer must come. */
static int step_fuzz(struct tool *t, char **word, unsigned n)
{
	uint32_t region = (uint32_t)number(word[1]), count;
	uint64_t first = number(word[2]), size = number(word[3]);
	uint64_t left = number(word[4]), random = number(word[5]) * 2 + 1, at;
	uint8_t data[256];
	int err = 0;

	(void)n;
	while (left-- && err != -ENOTCONN && err != -ETIMEDOUT) {
		at = first + draw(&random) % size;
		count = 1u << (draw(&random) & 7);
		if (draw(&random) & 1)
			at &= ~3ull;
		draw_words(data, sizeof(data), &random);
		if (random >> 30 & 3)
			err = peer_write(&t->peer, region, at, data, count);
		else
			err = peer_read(&t->peer, region, at, count);
	}
	return err == -ENOTCONN || err == -ETIMEDOUT ? err : 0;
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

const struct step peer_steps[] = {
	{ "hello", 1, 3, step_hello, "[MAJOR.MINOR [JSON]]: VERSION" },
	{ "raw", 2, 2, step_raw, "HEX: these bytes" },
	{ "header", 5, 5, step_header, "ID COMMAND SIZE FLAGS: no payload" },
	{ "listen", 1, 1, step_listen, "the next message" },
	{ "message", 2, 3, step_message, "COMMAND [HEX]: and its reply" },
	{ "answer", 1, 2, step_answer, "[HEX]: to the last message" },
	{ "refuse", 2, 2, step_refuse, "ERRNO: the last message" },
	{ "lie", 2, 3, step_lie, "SEED [N]: to all; one in N malformed" },
	{ "fuzz", 6, 6, step_fuzz, "REGION FIRST SIZE N SEED: accesses" },
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
	{ NULL, 0, 0, NULL, NULL },
};
