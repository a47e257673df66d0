/* vfu_client_ids_test.c - IDs and queues of the client. */
#include <config.h>

#include "libcore/vfu_client.h"

#include <errno.h>
#include <string.h>

#include "t/unit/unit.h"
#include "t/unit/vfu_client_rig.h"

static void test_bound(void)
{
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	struct rig_msg m;
	unsigned i, got = 0, last_seen = 0;
	struct vfu_region_access a;

	for (i = 1; i <= 1500; i++)
		CHECK_INT(client_rig_ask(r, i), 0);
	/* Behind those that wait. */
	CHECK_INT(vfu_client_write(r->client, 0, 1501, "x", 1, NULL, NULL), 0);
	CHECK_INT(vfu_client_outstanding(r->client), VFU_CLIENT_MAX);
	CHECK_INT(vfu_client_reserve(r->client, client_rig_on_reply, NULL,
				     &r->reserved),
		  -EBUSY);
	rig_settle(r->loop);
	for (i = 0; i < 3000 && got < 1501; i++) {
		rig_settle(r->loop);
		while (rig_recv(r->peer, &m)) {
			memcpy(&a, m.payload, sizeof(a));
			CHECK_INT(a.offset, ++last_seen);
			got++;
			if (!(m.header.flags & VFU_FLAG_NO_REPLY)) {
				if (r->n_got < 476)
					CHECK_INT(vfu_client_outstanding(
							  r->client),
						  VFU_CLIENT_MAX);
				m.size = 16;
				client_rig_reply_to(r, &m);
				rig_settle(r->loop);
			}
		}
	}
	CHECK_INT(got, 1501);
	CHECK_INT(r->n_got, 1500);
	CHECK_INT(vfu_client_outstanding(r->client), 0);
	client_rig_free(r);
}

/* What waits gets a free ID before a callback can reserve it. */
static void test_queue_goes_first(void)
{
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	struct rig_msg m, first;
	unsigned i, n = 0;

	for (i = 0; i < VFU_CLIENT_MAX; i++)
		CHECK_INT(vfu_client_reserve(r->client, client_rig_on_reply,
					     (void *)(uintptr_t)i,
					     &r->reserved),
			  0);
	CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET, NULL, 0,
				  NULL, 0),
		  0);
	CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET, NULL, 0,
				  NULL, 0),
		  -EINVAL);
	CHECK_INT(client_rig_ask(r, 5000), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &first));
	CHECK_INT(first.header.command, VFU_RESET);
	r->ask_again = 1;
	client_rig_reply_to(r, &first);
	rig_settle(r->loop);
	CHECK_INT(r->n_got, 1);
	CHECK_INT(r->again, -EBUSY);
	while (rig_recv(r->peer, &m))
		n++;
	CHECK_INT(n, 1);
	/* A reservation given back is free at once. */
	vfu_client_abandon(r->client, 1);
	CHECK_INT(vfu_client_outstanding(r->client), VFU_CLIENT_MAX - 1);
	CHECK_INT(vfu_client_quarantined(r->client), 0);
	client_rig_free(r);
}

static void test_quarantine(void)
{
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	struct rig_msg late, m;
	unsigned i, again = 0, sent = 0;

	CHECK_INT(vfu_client_reserve(r->client, client_rig_on_reply, NULL,
				     &r->reserved),
		  0);
	CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET, NULL, 0,
				  NULL, 0),
		  0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &late));
	vfu_client_abandon(r->client, r->reserved);
	vfu_client_abandon(r->client, r->reserved);
	CHECK_INT(vfu_client_outstanding(r->client), 0);
	CHECK_INT(vfu_client_quarantined(r->client), 1);
	/* Once round and further: its ID does not come again. */
	for (i = 0; i < 70000; i++) {
		CHECK_INT(client_rig_ask(r, i), 0);
		if (i % 50 == 49)
			rig_settle(r->loop);
		while (i % 50 == 49 && rig_recv(r->peer, &m)) {
			again += m.header.id == late.header.id;
			sent++;
			client_rig_reply_to(r, &m);
		}
	}
	rig_settle(r->loop);
	CHECK_INT(sent, 70000);
	CHECK_INT(r->n_got, 70000);
	CHECK_INT(again, 0);
	CHECK_INT(r->strays, 0);
	client_rig_reply_to(r, &late);
	rig_settle(r->loop);
	CHECK_INT(r->strays, 1);
	CHECK_INT(r->late, 1);
	CHECK_INT(r->stray_id, late.header.id);
	CHECK_INT(vfu_client_quarantined(r->client), 0);
	CHECK_INT(r->n_got, 70000);
	client_rig_free(r);
}

/* Given back before VERSION was answered: it never leaves. */
static void test_abandoned_early(void)
{
	struct client_rig *r = client_rig_new(&client_rig_ops);
	struct rig_msg m;
	uint16_t other;

	CHECK_INT(vfu_client_reserve(r->client, client_rig_on_reply, NULL,
				     &other),
		  0);
	CHECK_INT(vfu_client_reserve(r->client, client_rig_on_reply, NULL,
				     &r->reserved),
		  0);
	CHECK_INT(
		vfu_client_send(r->client, other, VFU_RESET, NULL, 0, NULL, 0),
		0);
	CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET, NULL, 0,
				  NULL, 0),
		  0);
	vfu_client_abandon(r->client, r->reserved);
	CHECK_INT(vfu_client_irq_info(r->client, 2, client_rig_on_reply, NULL),
		  0);
	client_rig_answer_version(r, 0, 1, NULL);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.id, other);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.command, VFU_GET_IRQ_INFO);
	CHECK(!rig_recv(r->peer, &m));
	CHECK_INT(vfu_client_outstanding(r->client), 2);
	CHECK_INT(vfu_client_quarantined(r->client), 0);
	/* Waiting for a late reply when the connection ends. */
	vfu_client_abandon(r->client, other);
	CHECK_INT(vfu_client_quarantined(r->client), 1);
	client_rig_hang_up(r);
	CHECK_INT(vfu_client_quarantined(r->client), 0);
	CHECK_INT(r->n_got, 1);
	client_rig_free(r);
}

/* Replies that never come eat up the IDs, and nothing else. */
static void test_all_quarantined(void)
{
	struct client_rig *r = client_rig_ready(&client_rig_ops);
	unsigned i, n = 0;
	struct rig_msg m;

	while (!vfu_client_reserve(r->client, client_rig_on_reply, NULL,
				   &r->reserved) &&
	       n < 5000) {
		n++;
		CHECK_INT(vfu_client_send(r->client, r->reserved, VFU_RESET,
					  NULL, 0, NULL, 0),
			  0);
		vfu_client_abandon(r->client, r->reserved);
	}
	CHECK_INT(n, 2048);
	CHECK_INT(vfu_client_quarantined(r->client), 2048);
	CHECK_INT(client_rig_ask(r, 1), 0); /* waits */
	CHECK_INT(vfu_client_outstanding(r->client), 0);
	for (i = 0; i < 100 && vfu_client_quarantined(r->client); i++) {
		rig_settle(r->loop);
		for (n = 0; n < 50 && rig_recv(r->peer, &m); n++)
			if (m.header.command == VFU_RESET)
				client_rig_reply_to(r, &m);
	}
	CHECK_INT(r->late, 2048);
	CHECK_INT(vfu_client_outstanding(r->client), 1);
	client_rig_free(r);
}

static const struct unit_case cases[] = {
	{ "bound", test_bound },
	{ "queue_goes_first", test_queue_goes_first },
	{ "quarantine", test_quarantine },
	{ "abandoned_early", test_abandoned_early },
	{ "all_quarantined", test_all_quarantined },
	{ NULL },
};

const struct unit_suite vfu_client_ids_suite = { "vfu_client_ids", cases };
