#!/usr/bin/env bats
# unit.bats - the unit tests of libcore, a test for each suite.
#
# $BUILDDIR is where they were built (default: build beside this folder).  A
# suite that is in the binary but not here, or the other way round, fails the
# first test.

bats_require_minimum_version 1.5.0

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	unit=${BUILDDIR:-$BATS_TEST_DIRNAME/../build}/t/unit/unit
	if [[ ! -x $unit ]]; then
		fail "$unit is not built: make t/unit/unit"
	fi
	# A suite that hangs fails, and what malloc hands out is not zero.
	export MALLOC_PERTURB_=$((RANDOM % 255 + 1))
}

# suite NAME: run it; its output is shown when a check failed.
suite() {
	run timeout --kill-after=5 120 "$unit" "$1"
	assert_success
	assert_line --regexp "^ok $1\\."
	refute_line --regexp "^not ok"
}

@test "every suite of the binary has a test here" {
	local here
	here=$(sed -n 's/^\tsuite \([a-z_]*\)$/\1/p' "$BATS_TEST_FILENAME")
	run -0 "$unit" --list
	assert_equal "$(sort <<<"$here")" "$(sort <<<"$output")"
}

@test "channel" {
	suite channel
}

@test "complaint" {
	suite complaint
}

@test "copy" {
	suite copy
}

@test "control" {
	suite control
}

@test "tables of a partition" {
	suite demux
}

@test "the forwarder, rule by rule" {
	suite demux_forward
}

@test "ether" {
	suite ether
}

@test "event log" {
	suite event_log
}

@test "fault" {
	suite fault
}

@test "function name" {
	suite function_name
}

@test "guest memory" {
	suite guest_memory
}

@test "link state" {
	suite link_state
}

@test "loop" {
	suite loop
}

@test "loop, timers" {
	suite loop_timer
}

@test "loop, descriptors" {
	suite loop_watch
}

@test "machine file" {
	suite machine_file
}

@test "machine" {
	suite machine
}

@test "nic" {
	suite nic
}

@test "nic faults" {
	suite nic_fault
}

@test "nic LAN" {
	suite nic_lan
}

@test "nic link" {
	suite nic_link
}

@test "nic queue" {
	suite nic_queue
}

@test "nic resets" {
	suite nic_reset
}

@test "pcap stream" {
	suite pcap_stream
}

@test "pci config" {
	suite pci_config
}

@test "peer eventfd" {
	suite peer_eventfd
}

@test "pid state" {
	suite pid_state
}

@test "points" {
	suite points
}

@test "poll mode" {
	suite poll_mode
}

@test "queue" {
	suite queue
}

@test "single functions" {
	suite single
}

@test "state area" {
	suite state_area
}

@test "stop reasons" {
	suite stop_reasons
}

@test "uart" {
	suite uart
}

@test "window" {
	suite window
}

@test "units" {
	suite units
}

@test "unixsock" {
	suite unixsock
}

@test "vfu client" {
	suite vfu_client
}

@test "vfu client, IDs" {
	suite vfu_client_ids
}

@test "vfu client, endings" {
	suite vfu_client_end
}

@test "vfu conn" {
	suite vfu_conn
}

@test "vfu fuzz" {
	suite vfu_fuzz
}

@test "vfu requests" {
	suite vfu_requests
}

@test "vfu server" {
	suite vfu_server
}

@test "address layout" {
	suite address_layout
}

@test "checker" {
	suite checker
}

@test "config overlay" {
	suite config_overlay
}

@test "guest" {
	suite guest
}

@test "guest card" {
	suite guest_card
}

@test "guest failover" {
	suite guest_failover
}

@test "guest vf" {
	suite guest_vf
}

@test "hca device" {
	suite hca_device
}

@test "hca" {
	suite hca
}

@test "hca verbs" {
	suite hca_verbs
}

@test "inflight" {
	suite inflight
}

@test "procedure" {
	suite procedure
}

@test "protection" {
	suite protection
}

@test "routing" {
	suite routing
}

@test "the JSON-RPC client" {
	suite rpc_client
}

@test "messages of a serial line" {
	suite serial_message
}

@test "the VM schedule" {
	suite schedule
}

@test "records of connections, half written ones too" {
	suite connection
}

@test "the pure parts of a reset" {
	suite reset
}

@test "vf allocation" {
	suite vf_allocation
}

# race PROGRAM HOW: two sides as two threads.  Threads that ThreadSanitizer
# watches want an address space that is not random.
race() {
	TSAN_OPTIONS="exitcode=66 halt_on_error=1" timeout 100 \
		setarch -R "${unit%/*}/$1" "$2"
}

@test "both ends of a queue as two threads under ThreadSanitizer" {
	run -0 race queue_race spin
	assert_output "queue_race: spin: 100000 frames"
	run -0 race queue_race sleep
	assert_output "queue_race: sleep: 100000 frames"
}

@test "an index published without release is noticed there" {
	run -66 race queue_race relaxed
	assert_output --partial "data race"
}

@test "adapter and consumer as two threads: no event is left behind" {
	run -0 race hca_race at-once
	assert_output "hca_race: at-once: 200000 completions"
	run -0 race hca_race delay
	assert_output "hca_race: delay: 200000 completions"
}

@test "adapter, firmware, level 2 and guests as threads: no event is left behind" {
	run -0 race demux_race threads
	assert_output "demux_race: threads: 90000 completions"
}

@test "a firmware that is killed again and again leaves no event behind" {
	run -0 race demux_race killed
	assert_output "demux_race: killed: 90000 completions"
}

@test "a mark that is looked at without acquire is noticed there" {
	run -66 race hca_race relaxed
	assert_output --partial "data race"
}
