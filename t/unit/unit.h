/* unit.h - unit tests: suites of named cases in one binary, run by bats. */
#ifndef IOVKIT_UNIT_H
#define IOVKIT_UNIT_H

#include <stdbool.h>
#include <stdint.h>

struct unit_case {
	const char *name;
	void (*run)(void);
};

struct unit_suite {
	const char *name;
	const struct unit_case *cases; /* ended by a NULL name */
};

/* One a file; listed in unit.c. */
extern const struct unit_suite address_layout_suite;
extern const struct unit_suite channel_suite;
extern const struct unit_suite checker_suite;
extern const struct unit_suite complaint_suite;
extern const struct unit_suite copy_suite;
extern const struct unit_suite config_overlay_suite;
extern const struct unit_suite control_suite;
extern const struct unit_suite demux_forward_suite;
extern const struct unit_suite demux_suite;
extern const struct unit_suite ether_suite;
extern const struct unit_suite event_log_suite;
extern const struct unit_suite fault_suite;
extern const struct unit_suite function_name_suite;
extern const struct unit_suite guest_card_suite;
extern const struct unit_suite guest_failover_suite;
extern const struct unit_suite guest_memory_suite;
extern const struct unit_suite guest_suite;
extern const struct unit_suite guest_vf_suite;
extern const struct unit_suite hca_device_suite;
extern const struct unit_suite hca_suite;
extern const struct unit_suite hca_verbs_suite;
extern const struct unit_suite inflight_suite;
extern const struct unit_suite link_state_suite;
extern const struct unit_suite loop_suite;
extern const struct unit_suite loop_timer_suite;
extern const struct unit_suite loop_watch_suite;
extern const struct unit_suite machine_file_suite;
extern const struct unit_suite machine_suite;
extern const struct unit_suite nic_fault_suite;
extern const struct unit_suite nic_lan_suite;
extern const struct unit_suite nic_link_suite;
extern const struct unit_suite nic_queue_suite;
extern const struct unit_suite nic_reset_suite;
extern const struct unit_suite nic_suite;
extern const struct unit_suite pcap_stream_suite;
extern const struct unit_suite pci_config_suite;
extern const struct unit_suite peer_eventfd_suite;
extern const struct unit_suite pid_state_suite;
extern const struct unit_suite points_suite;
extern const struct unit_suite poll_mode_suite;
extern const struct unit_suite procedure_suite;
extern const struct unit_suite protection_suite;
extern const struct unit_suite queue_suite;
extern const struct unit_suite routing_suite;
extern const struct unit_suite rpc_client_suite;
extern const struct unit_suite schedule_suite;
extern const struct unit_suite serial_message_suite;
extern const struct unit_suite single_suite;
extern const struct unit_suite state_area_suite;
extern const struct unit_suite stop_reasons_suite;
extern const struct unit_suite uart_suite;
extern const struct unit_suite units_suite;
extern const struct unit_suite unixsock_suite;
extern const struct unit_suite connection_suite;
extern const struct unit_suite reset_suite;
extern const struct unit_suite vf_allocation_suite;
extern const struct unit_suite vfu_client_end_suite;
extern const struct unit_suite vfu_client_ids_suite;
extern const struct unit_suite vfu_client_suite;
extern const struct unit_suite vfu_conn_suite;
extern const struct unit_suite vfu_fuzz_suite;
extern const struct unit_suite vfu_requests_suite;
extern const struct unit_suite vfu_server_suite;
extern const struct unit_suite window_suite;

/* A failed check says where and what, and the case goes on. */
#define CHECK(cond) unit_check((cond), __FILE__, __LINE__, #cond)
#define CHECK_INT(got, want)                                                \
	unit_check_int((int64_t)(got), (int64_t)(want), __FILE__, __LINE__, \
		       #got)
#define CHECK_STR(got, want) \
	unit_check_str((got), (want), __FILE__, __LINE__, #got)
/* got must contain part. */
#define CHECK_HAS(got, part) \
	unit_check_has((got), (part), __FILE__, __LINE__, #got)

bool unit_check(bool ok, const char *file, int line, const char *what);
bool unit_check_int(int64_t got, int64_t want, const char *file, int line,
		    const char *what);
bool unit_check_str(const char *got, const char *want, const char *file,
		    int line, const char *what);
bool unit_check_has(const char *got, const char *part, const char *file,
		    int line, const char *what);

#endif
