/* peers.c - the guests with which this one shares devices, watched by their
 * heartbeats. */
#include <config.h>

#include "cmd/guestd/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/guestd/guestd.h"
#include "libcore/control_signal.h"
#include "libcore/pid_state.h"

#define PEERS_MAX (CONTROL_PORTS * CONTROL_PORT_VMS)

static const struct guest_options *options_of(const struct peers *peers)
{
	return &peers->guest->options;
}

static struct state_peer *area_of(const struct peers *peers, uint32_t vm)
{
	return state_area_peer(peers->guest->program.state, vm, false);
}

int peers_init(struct peers *peers, const struct guest *g)
{
	peers->guest = g;
	run_delay_init(&peers->delay);
	if (!g->program.state)
		return -ENOENT;
	peers->peer = calloc(PEERS_MAX, sizeof(*peers->peer));
	if (!peers->peer)
		return -ENOMEM;
	peers->own = state_area_peer(g->program.state, g->options.vm, true);
	return peers->own ? 0 : -ENOSPC;
}

void peers_fini(struct peers *peers)
{
	unsigned i;

	if (peers->own && atomic_load(&peers->own->pid) == (uint32_t)getpid())
		atomic_store(&peers->own->pid, 0);
	run_delay_close(&peers->delay);
	for (i = 0; i < peers->n; i++)
		run_delay_close(&peers->peer[i].delay);
	free(peers->peer);
	peers->peer = NULL;
	peers->n = 0;
}

void peers_join(struct peers *peers)
{
	uint64_t period_us = options_of(peers)->monitor_ns / NS_PER_US;

	run_delay_open(&peers->delay, getpid());
	atomic_store(&peers->own->suspended, 0);
	atomic_store(&peers->own->period_us, (uint32_t)period_us);
	atomic_store(&peers->own->pid, (uint32_t)getpid());
}

void peer_restart(struct peer *peer, uint64_t beat)
{
	uint64_t now_ns = clock_now_ns();

	heartbeat_restart(&peer->beat, beat, now_ns);
	run_delay_restart(&peer->delay, now_ns);
	peer->told = false;
}

/* Another process than at the last look is another VM. */
static void look_who(const struct peers *peers, struct peer *peer)
{
	struct state_peer *area = area_of(peers, peer->vm);
	pid_t pid = area ? (pid_t)atomic_load(&area->pid) : 0;

	if (pid == peer->pid)
		return;
	peer->pid = pid;
	run_delay_open(&peer->delay, pid);
	peer_restart(peer, area ? atomic_load(&area->heartbeat) : 0);
}

/* One that is new is there, or not, from the beginning. */
struct peer *peers_get(struct peers *peers, uint32_t vm)
{
	struct peer *peer;
	unsigned i;

	for (i = 0; i < peers->n; i++)
		if (peers->peer[i].vm == vm)
			return &peers->peer[i];
	if (peers->n == PEERS_MAX)
		return NULL;
	peer = &peers->peer[peers->n++];
	*peer = (struct peer){ .vm = vm };
	run_delay_init(&peer->delay);
	look_who(peers, peer);
	return peer;
}

/* By what it last counted itself; what it waited for a CPU is counted apart. */
static uint64_t silent_ns(const struct peers *peers,
			  const struct state_peer *area)
{
	uint64_t beat_ns = atomic_load(&area->beat_ns);
	uint64_t ns = peers->look_ns > beat_ns ? peers->look_ns - beat_ns : 0;

	return ns < peers->gap_ns ? ns : peers->gap_ns;
}

static void look_at(const struct peers *peers, struct peer *peer)
{
	const struct state_peer *area = area_of(peers, peer->vm);
	uint64_t beat = area ? atomic_load(&area->heartbeat) : 0;

	look_who(peers, peer);
	if (!area ||
	    heartbeat_look(&peer->beat, beat, peers->look_ns, peers->gap_ns)) {
		run_delay_look(&peer->delay, peers->look_ns);
		return;
	}
	peer->beat.stale_ns = silent_ns(peers, area);
	run_delay_since(&peer->delay, atomic_load(&area->delay_ns),
			peers->look_ns);
}

void peers_look(struct peers *peers)
{
	unsigned i;

	for (i = 0; i < peers->n; i++)
		look_at(peers, &peers->peer[i]);
}

/* On time, or, when that is over, from now on.  A look that comes late since the
 * hypervisor gave the others a turn counts for all of that; one that came before
 * that stop took hold says so. */
void peers_plan(struct peers *peers, uint64_t now_ns)
{
	uint64_t period_ns = options_of(peers)->monitor_ns;
	uint64_t before_ns = peers->look_ns;
	uint32_t turns = atomic_load(&peers->own->turns);

	peers->look_ns += peers->next_ns;
	if (peers->look_ns + period_ns < now_ns)
		peers->look_ns = now_ns;
	peers->gap_ns = before_ns && (turns != peers->turns || peers->suspended)
				? peers->look_ns - before_ns
				: period_ns;
	peers->turns = turns;
	peers->suspended = atomic_load(&peers->own->suspended);
}

static uint64_t limit_of(const struct peers *peers,
			 const struct state_peer *area)
{
	uint64_t period_ns = atomic_load(&area->period_us) * NS_PER_US;

	return heartbeat_limit(options_of(peers)->heartbeat_limit_ns,
			       period_ns);
}

/* Until it is over its limit, if it goes on standing; or a period. */
static uint64_t time_left(const struct peers *peers, const struct peer *peer)
{
	const struct state_peer *area = area_of(peers, peer->vm);
	uint64_t limit_ns = area ? limit_of(peers, area) : 0;
	uint64_t end_ns = limit_ns + peer->delay.delayed_ns;
	uint64_t period_ns = options_of(peers)->monitor_ns;

	if (peer->beat.stale_ns > end_ns ||
	    peer->beat.stale_ns + period_ns <= end_ns)
		return period_ns;
	return end_ns - peer->beat.stale_ns + 1;
}

uint64_t peers_due(struct peers *peers)
{
	uint64_t left_ns;
	unsigned i;

	peers->next_ns = options_of(peers)->monitor_ns;
	for (i = 0; i < peers->n; i++) {
		left_ns = time_left(peers, &peers->peer[i]);
		if (left_ns < peers->next_ns)
			peers->next_ns = left_ns;
	}
	return peers->look_ns + peers->next_ns;
}

void peers_beat(struct peers *peers, uint64_t now_ns)
{
	/* Whoever sees the beat sees these, or later ones. */
	atomic_store(&peers->own->beat_ns, now_ns);
	atomic_store(&peers->own->delay_ns, run_delay_read(&peers->delay));
	atomic_fetch_add(&peers->own->heartbeat, 1);
}

void peers_set_able(struct peers *peers, bool able)
{
	atomic_store(&peers->own->able, able);
}

bool peer_stands(const struct peers *peers, const struct peer *peer)
{
	struct state_peer *area = area_of(peers, peer->vm);
	uint64_t limit_ns;
	bool waits;

	/* Nor one that came since the last look. */
	if (!area || !peer->pid || (pid_t)atomic_load(&area->pid) != peer->pid)
		return false;
	limit_ns = limit_of(peers, area);
	if (peer->beat.stale_ns <= limit_ns)
		return false;
	waits = pid_exists(peer->pid) &&
		(atomic_load(&area->suspended) ||
		 run_delay_waits(&peer->delay, peers->look_ns));
	return heartbeat_has_failed(peer->beat.stale_ns, limit_ns,
				    peer->delay.delayed_ns, waits);
}

bool peer_lives(const struct peers *peers, const struct peer *peer)
{
	return pid_exists(peer->pid) && !peer_stands(peers, peer);
}

bool peers_is_able(const struct peers *peers, uint32_t vm)
{
	struct state_peer *area = area_of(peers, vm);

	return area && atomic_load(&area->able);
}

bool peers_power_off(const struct peers *peers)
{
	return atomic_load(&peers->guest->program.state->power_off);
}
