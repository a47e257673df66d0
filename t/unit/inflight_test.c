/* inflight_test.c - the in-flight operation list keeps the order of arrival.
 */
#include <config.h>

#include <stddef.h>

#include "cmd/rootbridge/inflight.h"
#include "t/unit/unit.h"

#define N 5

static void make(struct inflight *list, struct operation op[N])
{
	unsigned i;

	inflight_init(list);
	for (i = 0; i < N; i++) {
		op[i] = (struct operation){ .id = (uint16_t)(10 + i),
					    .arrival_ns = 100 * i,
					    .state = OPERATION_SENT };
		inflight_add(list, &op[i]);
	}
}

static void order(void)
{
	struct operation op[N];
	struct inflight list;

	make(&list, op);
	CHECK_INT(list.n, N);
	CHECK(inflight_oldest(&list, false) == &op[0]);
	/* Replies may come in any order. */
	inflight_del(&list, &op[1]);
	CHECK(inflight_oldest(&list, false) == &op[0]);
	inflight_del(&list, &op[0]);
	CHECK(inflight_oldest(&list, false) == &op[2]);
	inflight_del(&list, &op[4]);
	inflight_del(&list, &op[2]);
	CHECK(inflight_oldest(&list, false) == &op[3]);
	inflight_del(&list, &op[3]);
	CHECK(!inflight_oldest(&list, false));
	CHECK_INT(list.n, 0);
}

static void by_id(void)
{
	struct operation op[N], again = { .id = 11 };
	struct inflight list;

	make(&list, op);
	CHECK(inflight_find(&list, 11) == &op[1]);
	CHECK(!inflight_find(&list, 9));
	/* An orphan may have the ID of a newer one: the older is meant. */
	inflight_add(&list, &again);
	CHECK(inflight_find(&list, 11) == &op[1]);
	inflight_del(&list, &op[1]);
	CHECK(inflight_find(&list, 11) == &again);
}

static void held(void)
{
	struct operation op[N];
	struct inflight list;
	unsigned i;

	make(&list, op);
	op[0].state = op[1].state = OPERATION_HELD;
	CHECK(inflight_oldest(&list, false) == &op[0]);
	CHECK(inflight_oldest(&list, true) == &op[2]);
	for (i = 0; i < N; i++)
		op[i].state = OPERATION_HELD;
	CHECK(!inflight_oldest(&list, true));
	CHECK_STR(operation_state_name(&op[0]), "held");
}

static const struct unit_case cases[] = {
	{ "order", order },
	{ "by_id", by_id },
	{ "held", held },
	{ NULL, NULL },
};
const struct unit_suite inflight_suite = { "inflight", cases };
