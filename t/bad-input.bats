#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats sets them
# bad-input.bats - what people and scripts get wrong on a whole machine:
# requests, files, names, VMs and directories.  What each program says of its
# own options and bmc of machine files is in their suites; peers that mean
# harm are in hostile.bats.

setup() {
	load machine
	machine_setup
	need rootbridge iovdev hvmon guestd
}

teardown() {
	machine_teardown
}

PROGRAMS="bmc bridge nic1 hv vm2"

power_on() {
	machine_start <<-END
		bridge: rootbridge --vms 4 --memory 16MiB
		nic1: iovdev --vfs 4
		hv: hvmon --vf nic1/vf1=vm1 --vf nic1/vf2=vm2
		vm2: guestd --vm 2 --sink
	END
}

assert_all_alive() {
	local name
	for name in $PROGRAMS; do
		rpc "$name" status >/dev/null
	done
	run ! has_event program.gone true
}

# Send lines to a program, all at once; its replies.
say_to() {
	socat -t "$PATIENCE" - "UNIX-CONNECT:$M/ctl/$1.sock"
}

@test "control requests that are none" {
	power_on
	cat >"$T/requests" <<-'END'
		garbage
		5
		[]
		{}
		{"jsonrpc": "1.0", "id": 1, "method": "status"}
		{"jsonrpc": "2.0", "id": 1}
		{"jsonrpc": "2.0", "id": 1, "method": 5}
		{"jsonrpc": "2.0", "id": {}, "method": "status"}
		{"jsonrpc": "2.0", "id": 1, "method": "nothing"}
		{"jsonrpc": "2.0", "id": 1, "method": "status", "params": 5}
		{"jsonrpc": "2.0", "id": 1, "method": "status", "params": [1, 2]}
		{"jsonrpc": "2.0", "id": 1, "method": "show"}
		{"jsonrpc": "2.0", "id": 1, "method": "show", "params": ["no"]}
		{"jsonrpc": "2.0", "id": 1, "id": 2, "method": "status"}
		{"jsonrpc": "2.0", "id": 1, "method": "sta\u0000tus"}
		{"jsonrpc": "2.0", "id": 1e999, "method": "status"}
		{"jsonrpc": "2.0", "method": "nothing"}
		{"jsonrpc": "2.0", "id": "last", "method": "status"}
	END
	head -c 10000 /dev/zero | tr '\0' '[' >>"$T/requests"
	echo >>"$T/requests"
	local name
	for name in $PROGRAMS; do
		say_to "$name" <"$T/requests" >"$T/replies"
		run -0 jq -sc 'map(.error.code)' "$T/replies"
		# A notification (the last but two) has no answer.
		assert_output "[-32700,-32600,-32600,-32600,-32600,-32600,-32600,-32600,-32601,-32602,-32602,-32602,-32602,-32700,-32700,-32700,null,-32700]"
		run -0 jq -sc '.[8:13][] | .error.message' "$T/replies"
		assert_line "\"no method 'nothing'\""
		assert_line "\"status: takes 0 parameters, not 2\""
		assert_line "\"show: parameter 'table' is missing\""
		assert_line "\"no table 'no'\""
	done
	assert_all_alive
	machine_stop
}

@test "every method of every program checks its parameters" {
	power_on
	local name
	for name in $PROGRAMS; do
		# One too many for each, and a wrong type for each parameter
		# that has one.
		rpc "$name" methods | jq -c '.[] | .name as $method |
			{jsonrpc: "2.0", id: $method, method: $method,
			 params: {"no-such": 1}},
			(.params[] | (if .type == "string" then 5
				elif .type == "integer" then "five"
				elif .type == "boolean" then 5
				else empty end) as $wrong |
			{jsonrpc: "2.0", id: "\($method) \(.name)",
			 method: $method, params: {(.name): $wrong}})' \
			>"$T/requests"
		say_to "$name" <"$T/requests" >"$T/replies"
		assert_equal "$(jq -s length "$T/replies")" \
			"$(wc -l <"$T/requests")"
		run -0 jq -c 'select(.error.code != -32602)' "$T/replies"
		assert_output ""
	done
	assert_all_alive
	machine_stop
}

rss_kib() {
	awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"
}

@test "control clients that shout, die or do not listen" {
	power_on
	local name deaf=()
	for name in $PROGRAMS; do
		# A line without an end is hung up on.
		head -c 3000000 /dev/zero | tr '\0' x | say_to "$name" \
			>/dev/null 2>"$T/socat" || grep -q "Broken pipe" "$T/socat"
		# Half a request, then gone; likewise in the middle of many.
		printf '{"jsonrpc": "2.0", "id": 1, "meth' |
			socat -u - "UNIX-CONNECT:$M/ctl/$name.sock"
		# Never reads an answer; 100 MB of them.
		yes '{"jsonrpc":"2.0","id":1,"method":"methods"}' |
			head -n 20000 |
			socat -u - "UNIX-CONNECT:$M/ctl/$name.sock" \
				3>&- 2>/dev/null &
		deaf+=($!)
	done
	assert_all_alive
	for name in bridge nic1 hv vm2; do
		assert [ "$(rss_kib "$(pid "$name")")" -lt 200000 ]
	done
	kill "${deaf[@]}"
	wait "${deaf[@]}" || true
	assert_all_alive
	machine_stop
}

# The start of a pcap file of this link type (1: Ethernet), and a record of
# 100 bytes.
pcap_head() {
	# shellcheck disable=SC2059
	printf "\\xd4\\xc3\\xb2\\xa1\\2\\0\\4\\0\\0\\0\\0\\0\\0\\0\\0\\0\\xff\\xff\\0\\0\\x$1\\0\\0\\0"
}

pcap_record() {
	printf '\0\0\0\0\0\0\0\0\x64\0\0\0\x64\0\0\0'
	printf 'x%.0s' {1..100}
}

# FILE MESSAGE: a guest that sends FILE ends with 65 and says why.
assert_pcap_refused() {
	run -65 timeout "$PATIENCE" guestd --vm 1 --once -r "$T/$1"
	assert_line --partial "guestd: m0: "
	assert_line --partial "$1: $2"
	run -65 timeout "$PATIENCE" guestd --vm 1 --once -r - <"$T/$1"
	assert_line --partial "-: $2"
	run -65 bash -c "cat $T/$1 | timeout $PATIENCE guestd --vm 1 --once -r -"
	assert_line --partial "-: $2"
}

@test "pcap files that are none, are of something else, or break off" {
	power_on
	cd "$T"
	printf 'garbage garbage garbage garbage garbage' >garbage
	: >empty
	pcap_head 65 >raw
	pcap_head 1 | head -c 20 >header
	(pcap_head 1; pcap_record; pcap_record; pcap_record) | head -c 350 >data
	(pcap_head 1; pcap_record; pcap_record; pcap_record) | head -c 260 >record
	(pcap_head 1; pcap_record
		printf '\0\0\0\0\0\0\0\0\xff\xff\xff\x7f\xff\xff\xff\x7f'
		pcap_record) >huge
	assert_pcap_refused garbage "no pcap: unknown file format"
	assert_pcap_refused empty "no pcap: truncated"
	assert_pcap_refused raw "its link type is RAW, not Ethernet"
	assert_pcap_refused header "no pcap: truncated"
	assert_pcap_refused data "frame 3: truncated"
	# What was whole is sent.
	assert_line --partial "sent 2,"
	assert_pcap_refused record "frame 3: truncated"
	assert_pcap_refused huge "frame 2: invalid packet capture length"
	assert_line --partial "sent 1,"
	run -65 guestd --vm 1 --once -r "$T/nothing"
	assert_output --partial "$T/nothing: No such file or directory"
	run -65 guestd --vm 1 --once -r "$T"
	assert_line --partial "Is a directory"
	# A frame that cannot be sent is told, the others are.
	(pcap_head 1; pcap_record
		printf '\0\0\0\0\0\0\0\0\5\0\0\0\5\0\0\0short'
		pcap_record) >short
	run -1 guestd --vm 1 --once -r short
	assert_line --partial "sent 2,"
	await replay.skipped '.frame == 2 and .size == 5'
	# Where it cannot be written.
	run -65 guestd --vm 1 --once -w "$T/no/where"
	assert_output --partial "$T/no/where: No such file or directory"
	run -70 guestd --vm 1 --once -w /dev/full
	assert_line --partial "/dev/full: No space left on device"
	run -70 bash -c "guestd --vm 1 --once -w - >/dev/full"
	assert_all_alive
	machine_stop
}

@test "a VM that is not there, and one that is taken" {
	power_on
	run -69 guestd --vm 9
	assert_output --partial "the root bridge has no vm9 (--vms)"
	run -69 guestd --machine "$T/other" --vm 1
	assert_output --partial "is rootbridge running?"
	run -73 guestd --name vm2 --vm 3
	assert_output --partial "ctl/vm2.sock: somebody listens there"
	# A second guest of vm2 waits until the first is gone.
	launch again guestd --vm 2 --sink
	await start '.src == "again"'
	run -0 rpc again status
	jq -e '.ready | not' <<<"$output"
	run ! has_event bus.attached '.src == "again"'
	rpc vm2 stop
	await_ready again
	assert_order vm.lost vmreset.memory vm.reset
	run -0 rpc again show '["vf"]'
	jq -e '.rows[0] | .vf == "nic1/vf2" and .state == "up"' <<<"$output"
	stop again
	machine_stop
}

@test "a VF that is taken, or is none" {
	power_on
	run -0 rpc_error hv allocate '["nic1/vf1", "vm3"]'
	assert_output "nic1/vf1 is allocated to vm1 already"
	run -0 rpc_error hv allocate '["nic1/vf3", "vm9"]'
	assert_output "the root bridge has no vm9"
	run -0 rpc_error hv allocate '["nic1/pf0", "vm3"]'
	assert_output "nic1/pf0 is a PF; VFs are allocated"
	run -0 rpc_error hv allocate '["nic9/vf1", "vm3"]'
	assert_output "nic9/vf1 is not there"
	run -0 rpc_error hv allocate '["nic1/vf5", "vm3"]'
	assert_output "nic1/vf5 is not there"
	run -0 rpc_error hv allocate '["nic1/vf3", "vm3", "10"]'
	assert_output --partial "waiting time: '10': expected a duration"
	run -0 rpc_error hv allocate '["nic1/vf3", {"vm": 3}]'
	run -0 rpc_error hv free '["nic1/vf3"]'
	assert_output "nic1/vf3 is not allocated"
	# Two at once: one of them gets it.
	printf '{"jsonrpc":"2.0","id":%s,"method":"allocate","params":["nic1/vf3","vm%s"]}\n' \
		1 3 2 4 | say_to hv >"$T/replies"
	run -0 jq -sc 'sort_by(.id) | map(.error.message // .result.vm)' \
		"$T/replies"
	assert_output '["vm3","nic1/vf3 is allocated to vm3 already"]'
	assert_all_alive
	machine_stop
}

@test "a VF of a device that is not plugged in yet" {
	start bridge rootbridge --memory 16MiB
	launch hv hvmon --vf later/vf2=vm1
	await bridge.connected '.src == "hv"'
	stop hv
	run log hv
	assert_output "hvmon: m0: waited for later/vf2 of vm1"
	launch hv hvmon --vf later/vf2=vm1
	await bridge.connected '.src == "hv" and .inc == 2'
	start later iovdev --vfs 2
	await_ready hv
	stop hv
	stop later
	stop bridge
}

@test "a device's name or socket that is taken" {
	power_on
	run -73 iovdev --name nic1
	assert_output --partial "ctl/nic1.sock: somebody listens there"
	run -73 iovdev --name other --device nic1
	assert_output --partial "dev/nic1/pf0.sock: somebody listens there"
	assert_all_alive
	machine_stop
	start alone iovdev --socket-path "$T/alone.sock"
	run -73 iovdev --name second --socket-path "$T/alone.sock"
	assert_output --partial "$T/alone.sock: somebody listens there"
	[[ -S $T/alone.sock ]]
	stop alone
	# A stale one is replaced; a file of somebody else's is not.
	start alone iovdev --socket-path "$T/alone.sock"
	stop alone KILL 137
	start alone iovdev --socket-path "$T/alone.sock"
	stop alone
	echo precious >"$T/file"
	run -73 iovdev --name second --socket-path "$T/file"
	assert_output --partial "$T/file: "
	assert_equal "$(cat "$T/file")" precious
	run -69 iovdev --name second --socket-path "$T/no/where"
	assert_output --partial "$T/no/where: No such file or directory"
	run -64 iovdev --name second --fd 0 </dev/null
	assert_output --partial "--fd"
}

@test "a machine's directory that is not ours" {
	local program
	mkdir "$T/open" "$T/real"
	chmod 777 "$T/open"
	echo precious >"$T/file"
	ln -s "$T/real" "$T/link"
	for program in "rootbridge" "iovdev" "hvmon" "guestd --vm 1"; do
		# shellcheck disable=SC2086
		run -77 $program --machine "$T/open"
		assert_output --partial "$T/open: others may write to it"
		# shellcheck disable=SC2086
		run -64 $program --machine "$T/file"
		assert_output --partial "$T/file: not a directory"
		# shellcheck disable=SC2086
		run -64 $program --machine "$T/link"
		assert_output --partial "$T/link: not a directory"
		# shellcheck disable=SC2086
		run -69 $program --machine "$T/no/where"
		assert_output --partial "$T/no/where: "
		# shellcheck disable=SC2086
		run -64 $program --machine .hidden
		assert_output "${program%% *}: '.hidden' cannot name a machine"
	done
	assert_equal "$(find "$T/open" "$T/real" -mindepth 1)" ""
	assert_equal "$(cat "$T/file")" precious
	[[ $EUID -eq 0 ]] || skip "a directory of another user needs root"
	mkdir -m 700 "$T/theirs"
	chown 65534 "$T/theirs"
	for program in "rootbridge" "iovdev" "hvmon" "guestd --vm 1"; do
		# shellcheck disable=SC2086
		run -77 $program --machine "$T/theirs"
		assert_output --partial "$T/theirs: belongs to user 65534"
	done
	assert_equal "$(ls -A "$T/theirs")" ""
}

@test "a directory of something else is not emptied" {
	mkdir -p "$T/project/dev/board" "$T/project/events"
	echo precious | tee "$T/project/dev/board/driver.c" \
		>"$T/project/events/log.jsonl"
	run -64 iovctl -m "$T/project" cleanup
	assert_output "iovctl: project: $T/project/dev/board/driver.c: no machine made this; nothing is removed"
	echo "x: /bin/sleep 1000" >"$T/machine"
	run -64 bmc -m "$T/project" "$T/machine" -- true
	assert_output --partial "driver.c: no machine made this"
	assert_equal "$(cat "$T/project/dev/board/driver.c" \
		"$T/project/events/log.jsonl")" $'precious\nprecious'
}
