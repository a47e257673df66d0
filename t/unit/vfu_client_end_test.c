/* vfu_client_end_test.c - endings of the client. */
#include <config.h>

#include "libcore/vfu_client.h"

#include <errno.h>

#include "t/unit/unit.h"
#include "t/unit/vfu_client_rig.h"

static void test_hang_up(void)
{
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	unsigned i;

	for (i = 0; i < 1100; i++)
		CHECK_INT(client_rig_ask(r, i), 0);
	client_rig_hang_up(r);
	CHECK_INT(r->n_got, 1100);
	for (i = 0; i < 1100; i++) {
		CHECK_INT(r->got_arg[i], i);
		CHECK_INT(r->got_err[i], -ENOTCONN);
	}
	CHECK_INT(r->closed, 1);
	CHECK_INT(r->closed_err, 0);
	CHECK_INT(client_rig_ask(r, 1), -ENOTCONN);
	CHECK_INT(vfu_client_reserve(r->client, client_rig_on_reply, NULL,
				     &r->reserved),
		  -ENOTCONN);
	client_rig_free(r);
}

static void test_keep_pending(void)
{
	struct client_rig *r = client_rig_ready(&client_rig_keeping_ops);

	CHECK_INT(client_rig_ask(r, 1), 0);
	CHECK_INT(client_rig_ask(r, 2), 0);
	client_rig_hang_up(r);
	CHECK_INT(r->closed, 1);
	CHECK_INT(r->n_got, 0);
	CHECK_INT(vfu_client_outstanding(r->client), 2);
	vfu_client_fail_all(r->client, -ETIMEDOUT);
	CHECK_INT(r->n_got, 2);
	CHECK_INT(r->got_err[1], -ETIMEDOUT);
	CHECK_INT(vfu_client_quarantined(r->client), 0);
	client_rig_free(r);
}

static void test_fail_all(void)
{
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	struct rig_msg m;

	CHECK_INT(client_rig_ask(r, 1), 0);
	CHECK_INT(vfu_client_reserve(r->client, client_rig_on_reply, NULL,
				     &r->reserved),
		  0);
	r->ask_again = 2; /* these two are left alone */
	vfu_client_fail_all(r->client, -EIO);
	CHECK_INT(r->n_got, 2);
	CHECK_INT(vfu_client_outstanding(r->client), 2);
	CHECK_INT(vfu_client_quarantined(r->client), 1);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	client_rig_reply_to(r, &m);
	rig_settle(r->loop);
	CHECK_INT(r->late, 1);
	CHECK_INT(r->n_got, 2);
	client_rig_free(r);
}

static void test_free_in_callbacks(void)
{
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	struct rig_msg m[2];
	unsigned i;

	r->free_at_reply = true;
	CHECK_INT(client_rig_ask(r, 1), 0);
	CHECK_INT(client_rig_ask(r, 2), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m[0]) && rig_recv(r->peer, &m[1]));
	client_rig_reply_to(r, &m[0]);
	client_rig_reply_to(r, &m[1]);
	rig_settle(r->loop);
	CHECK_INT(r->n_got, 1);
	CHECK(rig_at_end(r->peer));
	client_rig_free(r);

	/* In the first of those that a hang-up answers; when told of it; when
	 * ready. */
	for (i = 0; i < 2; i++) {
		r = client_rig_ready(&client_rig_ops);
		r->free_at_reply = !i;
		r->free_at_end = i;
		CHECK_INT(client_rig_ask(r, 1), 0);
		CHECK_INT(client_rig_ask(r, 2), 0);
		client_rig_hang_up(r);
		CHECK_INT(r->n_got, i ? 2 : 1);
		CHECK_INT(r->closed, i);
		client_rig_free(r);
	}
	r = client_rig_new(&client_rig_ops);
	r->free_at_end = true;
	CHECK_INT(client_rig_ask(r, 1), 0);
	client_rig_answer_version(r, 0, 1, NULL);
	CHECK(!r->client);
	client_rig_free(r);
}

static const struct unit_case cases[] = {
	{ "hang_up", test_hang_up },
	{ "keep_pending", test_keep_pending },
	{ "fail_all", test_fail_all },
	{ "free_in_callbacks", test_free_in_callbacks },
	{ NULL },
};

const struct unit_suite vfu_client_end_suite = { "vfu_client_end", cases };
