/* poll_mode.c - how long one looks at an empty queue (--poll).
 *
 * Theory of operation.  Looking pays when what is waited for comes before the
 * time is over.  So a wait that was longer than the look, and could have been
 * looked through, makes the next look twice as long as it took, up to the
 * limit; one that was longer than the limit halves it, down to the least.
 */
#include <config.h>

#include "libcore/poll_mode.h"

#include <errno.h>
#include <string.h>

#include "libcore/units.h"

#define LEAST_NS 2000u

int poll_mode_parse(const char *text, struct poll_mode *mode,
		    struct complaint *c)
{
	struct poll_mode m = POLL_MODE_DEFAULT;
	int err = 0;

	if (!strcmp(text, "busy"))
		m.kind = POLL_BUSY;
	else if (!strcmp(text, "sleep"))
		m.kind = POLL_SLEEP;
	else if (!strncmp(text, "adaptive:", 9))
		err = units_duration(text + 9, &m.spin_ns, c);
	else if (strcmp(text, "adaptive") != 0)
		return complain(c, EINVAL,
				"no way to poll '%.32s' (busy, "
				"adaptive[:TIME] or sleep)",
				text);
	if (err == 0)
		*mode = m;
	return err;
}

bool poll_spins(struct poll_spin *spin, const struct poll_mode *mode,
		uint64_t now_ns)
{
	if (mode->kind != POLL_ADAPTIVE)
		return mode->kind == POLL_BUSY;
	if (!spin->idle_ns)
		spin->idle_ns = now_ns;
	if (!spin->spin_ns)
		spin->spin_ns = mode->spin_ns / 4;
	return now_ns - spin->idle_ns < spin->spin_ns;
}

void poll_learn(struct poll_spin *spin, const struct poll_mode *mode,
		uint64_t now_ns)
{
	uint64_t waited = now_ns - spin->idle_ns, most = mode->spin_ns;

	spin->idle_ns = 0;
	if (waited > most)
		spin->spin_ns /= 2;
	else if (waited > spin->spin_ns)
		spin->spin_ns = 2 * waited;
	if (spin->spin_ns < LEAST_NS)
		spin->spin_ns = LEAST_NS;
	if (spin->spin_ns > most)
		spin->spin_ns = most;
}
