/* access_cost.c - what an access to a register costs.
 *
 * Reads of one register, one after the other, by whatever path they take; each
 * is timed, from the call to its answer.
 */
#include <config.h>

#include "cmd/guestd/access_cost.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/guestd/guestd.h"

#define COUNT_DEFAULT 1000
#define COUNT_MAX     100000

struct access_cost {
	struct card *card;
	struct control_call *call;
	uint32_t offset;
	uint64_t began_ns;
	unsigned n, count;
	uint32_t ns[];
};

static void next(struct access_cost *c);

void access_cost_end(struct card *card)
{
	struct access_cost *c = card->cost;

	card->cost = NULL;
	if (c && c->call)
		control_fail(c->call, RPC_MISSING, "%s is gone", card->name);
	free(c);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Of the middle half, since clocks count in steps. */
static double middle(const struct access_cost *c)
{
	unsigned i, first = c->n / 4, end = c->n - first;
	uint64_t sum = 0;

	for (i = first; i < end; i++)
		sum += c->ns[i];
	return (double)sum / (end - first);
}

static void finish(struct access_cost *c)
{
	struct control_call *call = c->call;

	qsort(c->ns, c->n, sizeof(c->ns[0]), compare);
	c->call = NULL;
	control_reply(call,
		      json_pack("{s:s, s:i, s:i, s:i, s:f, s:i}", "card",
				c->card->name, "reads", (int)c->n, "ns_min",
				(int)c->ns[0], "ns_p50", (int)c->ns[c->n / 2],
				"ns_middle", middle(c), "ns_p99",
				(int)c->ns[c->n - 1 - c->n / 100]));
	access_cost_end(c->card);
}

static void on_read(void *arg, int err, uint64_t value)
{
	struct access_cost *c = arg;
	uint64_t ns = clock_now_ns() - c->began_ns;
	struct control_call *call = c->call;

	(void)value;
	if (err) {
		c->call = NULL;
		control_fail(call, RPC_FAILED, "read: %s", strerror(-err));
		access_cost_end(c->card);
		return;
	}
	c->ns[c->n++] = ns > INT32_MAX ? INT32_MAX : (uint32_t)ns;
	if (c->n == c->count)
		finish(c);
	else
		next(c);
}

static void next(struct access_cost *c)
{
	struct control_call *call = c->call;
	int err;

	c->began_ns = clock_now_ns();
	err = access_read(&c->card->bar, c->offset, 8, on_read, c);
	if (!err)
		return;
	c->call = NULL;
	control_fail(call, RPC_FAILED, "read: %s", strerror(-err));
	access_cost_end(c->card);
}

static void method_cost(void *arg, struct control_call *call, json_t *params)
{
	long long slot = control_integer(params, "slot", 0);
	long long offset = control_integer(params, "register", 0);
	long long count = control_integer(params, "count", COUNT_DEFAULT);
	struct guest *g = arg;
	struct card *card =
		slot >= 0 && slot < PLATFORM_SLOTS ? g->card[slot] : NULL;
	struct access_cost *c;

	if (!card || card->state != CARD_UP || card->cost) {
		control_fail(call, RPC_MISSING,
			     card && card->cost ? "one is under way"
						: "no card in slot %lld",
			     slot);
		return;
	}
	if (offset < 0 || offset >= 4096 || offset % 8 || count < 1 ||
	    count > COUNT_MAX) {
		control_fail(call, RPC_PARAMS,
			     "register is a multiple of 8 below 4096, count 1 "
			     "to %d",
			     COUNT_MAX);
		return;
	}
	c = calloc(1, sizeof(*c) + (size_t)count * sizeof(c->ns[0]));
	if (!c) {
		control_fail(call, RPC_FAILED, "no memory");
		return;
	}
	c->card = card;
	c->call = call;
	c->offset = (uint32_t)offset;
	c->count = (unsigned)count;
	card->cost = c;
	next(c);
}

static const struct control_param cost_params[] = {
	{ "slot", 'i', false, "of the card" },
	{ "register", 'i', true, "offset in BAR 0, default 0" },
	{ "count", 'i', true, "reads, default 1000" },
	{ NULL },
};

const struct control_method access_cost_methods[] = {
	{ "access-cost", "time reads of a card's register", method_cost,
	  cost_params },
	{ NULL },
};
