/* steps_guest.c - driving a VF, right and wrong */
#include <config.h>

#include "t/tool/steps.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "libcore/nic_regs.h"

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

/* Wait until the device's index is as far as this. */
static int step_index(struct tool *t, char **word, unsigned n)
{
	struct queue_ring *ring = ring_of(t, word[1]);
	struct queue_side *side =
		ring == t->guest.tx ? &ring->read : &ring->write;
	const struct timespec pause = { .tv_nsec = 5000000 };
	uint32_t want = (uint32_t)number(word[2]);
	unsigned left = 1000;

	(void)n;
	while ((int32_t)(atomic_load(&side->index) - want) < 0) {
		if (!left--)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
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

const struct step guest_steps[] = {
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
	{ "index", 3, 3, step_index,
	  "tx|rx N: wait until the device's is N or more" },
	{ "entry", 3, 3, step_entry, "tx|rx I" },
	{ "churn", 2, 2, step_churn,
	  "MS: write nonsense while it works, until a queue stopped" },
	{ NULL, 0, 0, NULL, NULL },
};
