/* card_hold.c - a driver that is asked to rest (spec 05, 710: pause and lock).
 *
 * Theory of operation.  From the request on the driver begins no new sequence.
 * `lock` is answered when none is open, as if a lock of the driver had been
 * taken; `pause` when what was begun is also over.  It goes on when it is told
 * to, or by itself after a while, as who asked may be no more.
 */
#include <config.h>

#include "cmd/guestd/card_hold.h"

#include <string.h>

#include "cmd/guestd/guestd.h"
#include "libcore/units.h"

#define LEASE_DEFAULT_NS (2 * NS_PER_S)

static void answer(struct card *card)
{
	struct control_call *call = card->hold.call;

	card->hold.call = NULL;
	if (call)
		control_reply(call, json_pack("{s:s, s:b}", "card", card->name,
					      "held", card->hold.on));
}

void card_rests(struct card *card)
{
	if (card->hold.call && card->ops->rests(card, card->hold.drained))
		answer(card);
}

static void go_on(void *arg)
{
	struct card *card = arg;

	loop_timer_cancel(&card->hold.lease);
	if (!card->hold.on)
		return;
	card->hold.on = false;
	answer(card);
	card->ops->go_on(card);
}

void card_hold_end(struct card *card)
{
	loop_timer_cancel(&card->hold.lease);
	if (card->hold.call)
		control_fail(card->hold.call, RPC_MISSING, "%s is gone",
			     card->name);
	card->hold.call = NULL;
}

/* NULL: answered. */
static struct card *find(struct guest *g, struct control_call *call,
			 const json_t *params)
{
	long long slot = control_integer(params, "slot", 0);
	struct card *card =
		slot >= 0 && slot < PLATFORM_SLOTS ? g->card[slot] : NULL;

	if (!card)
		control_fail(call, RPC_MISSING, "no card in slot %lld", slot);
	else if (!card->ops->rests)
		control_fail(call, RPC_DENIED, "the driver of %s cannot rest",
			     card->name);
	return card && card->ops->rests ? card : NULL;
}

static void method_hold(void *arg, struct control_call *call, json_t *params)
{
	const char *how = control_string(params, "how", "pause");
	const char *lease = control_string(params, "lease", NULL);
	struct guest *g = arg;
	struct card *card = find(g, call, params);
	uint64_t lease_ns = LEASE_DEFAULT_NS;
	struct complaint c;

	if (!card)
		return;
	if (strcmp(how, "pause") && strcmp(how, "lock")) {
		control_fail(call, RPC_PARAMS, "how: pause or lock, not '%s'",
			     how);
		return;
	}
	if (lease && units_duration(lease, &lease_ns, &c)) {
		control_fail(call, RPC_PARAMS, "lease: %s", c.text);
		return;
	}
	if (card->hold.call) {
		control_fail(call, RPC_DENIED, "%s is held already",
			     card->name);
		return;
	}
	card->hold.on = true;
	card->hold.drained = !strcmp(how, "pause");
	card->hold.call = call;
	loop_timer_in(g->program.loop, &card->hold.lease, lease_ns, go_on,
		      card);
	card_rests(card);
}

static void method_release(void *arg, struct control_call *call, json_t *params)
{
	struct card *card = find(arg, call, params);

	if (!card)
		return;
	go_on(card);
	control_reply(call, json_pack("{s:s}", "card", card->name));
}

static const struct control_param hold_params[] = {
	{ "slot", 'i', false, "of the card" },
	{ "how", 's', true, "pause (default) or lock" },
	{ "lease", 's', true, "how long at most, default 2s" },
	{ NULL },
};

static const struct control_param release_params[] = {
	{ "slot", 'i', false, "of the card" },
	{ NULL },
};

const struct control_method card_hold_methods[] = {
	{ "hold-card", "let a card's driver rest", method_hold, hold_params },
	{ "release-card", "let it go on", method_release, release_params },
	{ NULL },
};
