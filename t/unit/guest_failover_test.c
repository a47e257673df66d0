/* guest_failover_test.c - what decides in a failover: heartbeat, drain. */
#include <config.h>

#include "t/unit/unit.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

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
	CHECK(heartbeat_look(&h, 8, now += 10 * MS, 10 * MS) == 10 * MS);
	CHECK(heartbeat_look(&h, 8, now += 9 * MS, 10 * MS) == 19 * MS);
	/* Our own delays do not count: not run for a second, nobody else may
	 * have been either. */
	CHECK(heartbeat_look(&h, 8, now += 12 * MS, 10 * MS) == 29 * MS);
	CHECK(heartbeat_look(&h, 8, now += 1000 * MS, 10 * MS) == 39 * MS);
	CHECK(heartbeat_look(&h, 9, now += 1000 * MS, 10 * MS) == 0);
	/* One that starts over counts as well. */
	CHECK(heartbeat_look(&h, 1, now + 1, 10 * MS) == 0);
	/* A look that was planned before counting began. */
	heartbeat_restart(&h, 1, now);
	CHECK(heartbeat_look(&h, 1, now - 5 * MS, 10 * MS) == 0);
}

static void test_waits(void)
{
	CHECK(!heartbeat_has_failed(50 * MS, 50 * MS, 0, false));
	CHECK(heartbeat_has_failed(51 * MS, 50 * MS, 0, false));
	/* It waits, or has waited, for a CPU. */
	CHECK(!heartbeat_has_failed(51 * MS, 50 * MS, 0, true));
	CHECK(!heartbeat_has_failed(60 * MS, 50 * MS, 10 * MS, false));
	CHECK(heartbeat_has_failed(61 * MS, 50 * MS, 10 * MS, false));
	CHECK(!heartbeat_has_failed(450 * MS, 50 * MS, 400 * MS, true));
	CHECK(heartbeat_has_failed(451 * MS, 50 * MS, 450 * MS, true));
}

/* A child on this CPU that runs only when nobody else wants to. */
static pid_t start_child(void)
{
	struct sched_param none = { 0 };
	cpu_set_t cpus;
	pid_t pid;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);
	CHECK(!sched_setaffinity(0, sizeof(cpus), &cpus));
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setscheduler(0, SCHED_IDLE, &none))
		_exit(1);
	for (;;)
		;
}

static void test_run_delay(void)
{
	uint64_t end_ns = clock_now_ns() + 20 * NS_PER_S, now_ns, all_ns;
	pid_t pid = start_child();
	struct run_delay d;
	bool waits = false;

	CHECK(pid > 0);
	run_delay_init(&d);
	run_delay_open(&d, pid);
	run_delay_restart(&d, clock_now_ns());
	/* We spin, so it waits; when it has run for a while it has waited. */
	do {
		now_ns = clock_now_ns();
		run_delay_look(&d, now_ns);
		waits = waits || run_delay_waits(&d, now_ns);
	} while ((!waits || !d.delayed_ns) && now_ns < end_ns);
	CHECK(waits);
	CHECK(d.delayed_ns > 0);
	kill(pid, SIGSTOP);
	CHECK(waitpid(pid, NULL, WUNTRACED) == pid);
	run_delay_look(&d, now_ns);
	CHECK(!run_delay_waits(&d, now_ns + NS_PER_S));
	/* From an earlier time, from now, and from what another process said. */
	all_ns = run_delay_read(&d);
	run_delay_since(&d, all_ns - 5, now_ns);
	CHECK(d.delayed_ns == 5);
	run_delay_restart(&d, now_ns);
	CHECK(!d.delayed_ns);
	run_delay_since(&d, all_ns + 5, now_ns);
	CHECK(!d.delayed_ns);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, NULL, 0) == pid);
	/* Nothing is known of one that is gone, or never was. */
	run_delay_look(&d, now_ns);
	CHECK(!run_delay_waits(&d, now_ns + NS_PER_S));
	run_delay_open(&d, 0);
	CHECK(!run_delay_read(&d));
	CHECK(!run_delay_waits(&d, now_ns + NS_PER_S));
	run_delay_close(&d);
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
	{ "heartbeat", test_heartbeat }, { "waits", test_waits },
	{ "run_delay", test_run_delay }, { "limit", test_limit },
	{ "drain", test_drain },         { NULL, NULL },
};

const struct unit_suite guest_failover_suite = { "guest_failover", cases };
