/* guest_failover_test.c - what decides in a failover: heartbeat, drain. */
#include <config.h>

#include "t/unit/unit.h"

#include <string.h>

#include "cmd/guestd/drain.h"
#include "cmd/guestd/monitor.h"
#include "libcore/pci_caps.h"

#define MS NS_PER_MS

static void test_heartbeat(void)
{
	struct heartbeat h;
	uint64_t now = 1000 * MS;

	heartbeat_restart(&h, 7, now);
	CHECK(heartbeat_look(&h, 7, now += 10 * MS, 10 * MS) == 10 * MS);
	CHECK(heartbeat_look(&h, 8, now += 10 * MS, 10 * MS) == 0);
	CHECK(heartbeat_look(&h, 8, now += 12 * MS, 10 * MS) == 12 * MS);
	/* Not run for a second: nobody else may have been either. */
	CHECK(heartbeat_look(&h, 8, now += 1000 * MS, 10 * MS) == 32 * MS);
	CHECK(heartbeat_look(&h, 9, now += 1000 * MS, 10 * MS) == 0);
	/* One that starts over counts as well. */
	CHECK(heartbeat_look(&h, 1, now + 1, 10 * MS) == 0);
}

static void test_limit(void)
{
	CHECK(heartbeat_limit(100 * MS, 10 * MS) == 100 * MS);
	CHECK(heartbeat_limit(5 * MS, 10 * MS) == 20 * MS);
	CHECK(!heartbeat_limit_is_low(100 * MS, 10 * MS));
	CHECK(!heartbeat_limit_is_low(50 * MS, 10 * MS));
	CHECK(heartbeat_limit_is_low(49 * MS, 10 * MS));
	CHECK(heartbeat_limit_is_low(29 * MS, 1 * MS));
	CHECK(!heartbeat_limit_is_low(30 * MS, 0));
}

static void put(uint8_t *block, uint32_t state, uint32_t link)
{
	memset(block, 0, NIC_PF_VF_SIZE);
	pci_put32(block, NIC_PF_VF_QSTATE, state);
	pci_put32(block, NIC_PF_VF_LINK, link);
}

static void test_drain(void)
{
	const uint32_t on = NIC_QSTATE_TX_ON | NIC_QSTATE_BME;
	uint8_t block[NIC_PF_VF_SIZE];

	put(block, on, 1);
	CHECK(drain_sends(block));
	CHECK(drain_look(block, true, true) == DRAIN_DONE);
	pci_put32(block, NIC_PF_VF_TX_WRITE, 5);
	CHECK(drain_look(block, true, true) == DRAIN_TX);
	/* Nobody sends that. */
	CHECK(drain_look(block, false, true) == DRAIN_DONE);
	pci_put32(block, NIC_PF_VF_TX_READ, 5);
	pci_put32(block, NIC_PF_VF_RX_WRITE, 3);
	CHECK(drain_look(block, true, true) == DRAIN_RX);
	/* Nobody takes that. */
	CHECK(drain_look(block, true, false) == DRAIN_DONE);
	/* What the device holds is not at rest, whoever is there. */
	pci_put32(block, NIC_PF_VF_HELD, 1);
	CHECK(drain_look(block, false, false) == DRAIN_TX);
	put(block, NIC_QSTATE_TX_ON, 1);
	CHECK(!drain_sends(block));
	put(block, on, 0);
	CHECK(!drain_sends(block));
	put(block, NIC_QSTATE_BME, 1);
	CHECK(!drain_sends(block));
}

static const struct unit_case cases[] = {
	{ "heartbeat", test_heartbeat },
	{ "limit", test_limit },
	{ "drain", test_drain },
	{ NULL, NULL },
};

const struct unit_suite guest_failover_suite = { "guest_failover", cases };
