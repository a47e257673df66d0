/* rate_log.c - how many frames are sent and received in each millisecond.
 *
 * Every line is written at once, so that little is missing when the process is
 * killed.  One that comes late counts for the time since the line before.
 */
#include <config.h>

#include "cmd/guestd/rate_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/vf_driver.h"

#define PERIOD_NS NS_PER_MS

/* Counters may have been reset. */
static uint64_t since_last(uint64_t *last, uint64_t now)
{
	uint64_t n = now < *last ? now : now - *last;

	*last = now;
	return n;
}

static void write_line(void *arg)
{
	struct rate_log *r = arg;
	struct guest *g = r->guest;
	uint64_t sent = 0, received = 0;
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++) {
		if (!g->vf[i])
			continue;
		sent += g->vf[i]->counters.tx_frames;
		received += g->vf[i]->counters.rx_frames;
	}
	sent = since_last(&r->sent, sent);
	received = since_last(&r->received, received);
	if (dprintf(r->fd, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		    clock_now_ns(), sent, received) < 0) {
		event(g->program.log, "rate-log.failed", "s:s", "why",
		      strerror(errno));
		rate_log_fini(r);
		return;
	}
	loop_timer_in(g->program.loop, &r->timer, PERIOD_NS, write_line, r);
}

int rate_log_start(struct rate_log *r, struct guest *g, const char *path,
		   struct complaint *c)
{
	r->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	if (r->fd < 0)
		return complain(c, errno, "%s: %s", path, strerror(errno));
	r->guest = g;
	write_line(r);
	return 0;
}

void rate_log_fini(struct rate_log *r)
{
	if (!r->guest)
		return;
	loop_timer_cancel(&r->timer);
	close(r->fd);
	r->guest = NULL;
}
