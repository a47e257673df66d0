/* channel_test.c - the ring of messages. */
#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "libcore/channel.h"
#include "t/unit/unit.h"

static struct channel_ring *channel_alloc(void)
{
	struct channel_ring *ring = aligned_alloc(128, sizeof(*ring));

	memset(ring, 0xee, sizeof(*ring));
	channel_init(ring);
	return ring;
}

static void test_order(void)
{
	struct channel_ring *ring = channel_alloc();
	uint32_t i, got;

	CHECK_INT(channel_pop(ring, &got, sizeof(got)), -EAGAIN);
	for (i = 0; i < CHANNEL_SLOTS; i++)
		CHECK_INT(channel_push(ring, &i, sizeof(i)), 0);
	CHECK_INT(channel_push(ring, &i, sizeof(i)), -EAGAIN);
	for (i = 0; i < CHANNEL_SLOTS; i++) {
		CHECK_INT(channel_pop(ring, &got, sizeof(got)), sizeof(got));
		CHECK_INT(got, i);
	}
	CHECK_INT(channel_pop(ring, &got, sizeof(got)), -EAGAIN);
	free(ring);
}

static void test_bad(void)
{
	struct channel_ring *ring = channel_alloc();
	static uint8_t big[CHANNEL_MESSAGE_MAX + 1];

	CHECK_INT(channel_push(ring, big, sizeof(big)), -EMSGSIZE);
	CHECK_INT(channel_push(ring, big, CHANNEL_MESSAGE_MAX), 0);
	CHECK_INT(channel_pop(ring, big, CHANNEL_MESSAGE_MAX - 1), -EBADMSG);
	CHECK_INT(channel_pop(ring, big, CHANNEL_MESSAGE_MAX),
		  CHANNEL_MESSAGE_MAX);
	/* The other side says what its slot cannot hold. */
	CHECK_INT(channel_push(ring, big, 1), 0);
	ring->slot[1].size = CHANNEL_MESSAGE_MAX + 1;
	CHECK_INT(channel_pop(ring, big, sizeof(big)), -EBADMSG);
	atomic_store(&ring->read, 7);
	CHECK_INT(channel_push(ring, big, 1), -EBADMSG);
	CHECK_INT(channel_pop(ring, big, 1), -EBADMSG);
	atomic_store(&ring->write, UINT32_MAX);
	atomic_store(&ring->read, UINT32_MAX);
	CHECK_INT(channel_push(ring, big, 1), 0);
	CHECK_INT(atomic_load(&ring->write), 0);
	CHECK_INT(channel_pop(ring, big, 1), 1);
	free(ring);
}

#define STRESS_MESSAGES 100000u

static void *stress_push(void *arg)
{
	uint32_t i;

	for (i = 0; i < STRESS_MESSAGES; i++)
		while (channel_push(arg, &i, sizeof(i)) == -EAGAIN)
			sched_yield();
	return NULL;
}

static void test_stress(void)
{
	struct channel_ring *ring = channel_alloc();
	pthread_t pusher;
	uint32_t i, got = 0, bad = 0;

	CHECK_INT(pthread_create(&pusher, NULL, stress_push, ring), 0);
	for (i = 0; i < STRESS_MESSAGES; i++) {
		while (channel_pop(ring, &got, sizeof(got)) == -EAGAIN)
			sched_yield();
		bad += got != i;
	}
	pthread_join(pusher, NULL);
	CHECK_INT(bad, 0);
	free(ring);
}

static const struct unit_case cases[] = {
	{ "order", test_order },
	{ "bad", test_bad },
	{ "stress", test_stress },
	{ NULL, NULL },
};

const struct unit_suite channel_suite = { "channel", cases };
