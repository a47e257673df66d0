/* unit.c - runs suites of unit tests: unit [SUITE...]; --list names them. */
#include <config.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "t/unit/unit.h"

/* One a line, whatever their lengths. */
/* clang-format off */
static const struct unit_suite *const suites[] = {
	&address_layout_suite,
	&channel_suite,
	&checker_suite,
	&complaint_suite,
	&copy_suite,
	&config_overlay_suite,
	&control_suite,
	&demux_forward_suite,
	&demux_suite,
	&ether_suite,
	&event_log_suite,
	&fault_suite,
	&function_name_suite,
	&guest_card_suite,
	&guest_failover_suite,
	&guest_memory_suite,
	&guest_suite,
	&guest_vf_suite,
	&hca_device_suite,
	&hca_suite,
	&hca_verbs_suite,
	&inflight_suite,
	&link_state_suite,
	&loop_suite,
	&loop_timer_suite,
	&loop_watch_suite,
	&machine_file_suite,
	&machine_suite,
	&nic_fault_suite,
	&nic_lan_suite,
	&nic_link_suite,
	&nic_queue_suite,
	&nic_reset_suite,
	&nic_suite,
	&pcap_stream_suite,
	&pci_config_suite,
	&peer_eventfd_suite,
	&pid_state_suite,
	&points_suite, &poll_mode_suite,
	&procedure_suite,
	&protection_suite,
	&queue_suite,
	&routing_suite,
	&rpc_client_suite,
	&schedule_suite,
	&serial_message_suite,
	&single_suite,
	&state_area_suite,
	&stop_reasons_suite,
	&uart_suite,
	&units_suite,
	&window_suite,
	&unixsock_suite,
	&connection_suite,
	&reset_suite,
	&vf_allocation_suite,
	&vfu_client_end_suite,
	&vfu_client_ids_suite,
	&vfu_client_suite,
	&vfu_conn_suite,
	&vfu_fuzz_suite,
	&vfu_requests_suite,
	&vfu_server_suite,
	NULL,
};
/* clang-format on */

static unsigned failures;

bool unit_check(bool ok, const char *file, int line, const char *what)
{
	if (!ok) {
		failures++;
		printf("%s:%d: %s\n", file, line, what);
	}
	return ok;
}

bool unit_check_int(int64_t got, int64_t want, const char *file, int line,
		    const char *what)
{
	if (got == want)
		return true;
	failures++;
	printf("%s:%d: %s is %lld, not %lld\n", file, line, what,
	       (long long)got, (long long)want);
	return false;
}

bool unit_check_str(const char *got, const char *want, const char *file,
		    int line, const char *what)
{
	if (got && want && !strcmp(got, want))
		return true;
	failures++;
	printf("%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what,
	       got ? got : "(null)", want ? want : "(null)");
	return false;
}

bool unit_check_has(const char *got, const char *part, const char *file,
		    int line, const char *what)
{
	if (got && strstr(got, part))
		return true;
	failures++;
	printf("%s:%d: %s is \"%s\", without \"%s\"\n", file, line, what,
	       got ? got : "(null)", part);
	return false;
}

static int run_suite(const struct unit_suite *suite)
{
	const struct unit_case *c;
	unsigned before;

	for (c = suite->cases; c->name; c++) {
		before = failures;
		c->run();
		printf("%s %s.%s\n", failures == before ? "ok" : "not ok",
		       suite->name, c->name);
	}
	return 0;
}

static const struct unit_suite *find_suite(const char *name)
{
	unsigned i;

	for (i = 0; suites[i]; i++)
		if (!strcmp(suites[i]->name, name))
			return suites[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct unit_suite *suite;
	unsigned i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* As every program does: a peer that hung up is an error, no end. */
	signal(SIGPIPE, SIG_IGN);
	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (i = 0; suites[i]; i++)
			printf("%s\n", suites[i]->name);
		return 0;
	}
	for (i = 0; argc < 2 && suites[i]; i++)
		run_suite(suites[i]);
	for (i = 1; i < (unsigned)argc; i++) {
		suite = find_suite(argv[i]);
		if (!suite) {
			fprintf(stderr, "unit: no suite '%s'\n", argv[i]);
			return 64;
		}
		run_suite(suite);
	}
	return failures ? 1 : 0;
}
