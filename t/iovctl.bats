#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats sets them
# iovctl.bats - the operator's command, on a machine of a root bridge alone
# and on dead, frozen and missing ones.

setup() {
	load machine
	machine_setup
	need iovctl rootbridge
}

teardown() {
	machine_teardown
}

power_on() {
	machine_start <<-END
		bridge: rootbridge
	END
}

# Whether a process waits for events.
watches() {
	grep -qs inotify /proc/"$1"/fdinfo/*
}

@test "help, version, and lists of commands" {
	run -0 iovctl --help
	assert_line --partial "config-dump"
	run -0 iovctl --version
	assert_output --regexp '^iovctl \(iovkit\) [0-9]'
	run -0 iovctl --list-commands
	assert_line $'fault\tFUNCTION [requests|tx|rx] FAULT...'
	local command
	while IFS=$'\t' read -r command _; do
		run -0 iovctl "$command" --help
		assert_line --partial "Usage: iovctl $command "
	done < <(iovctl --list-commands)
	run -70 bash -c 'iovctl --help >/dev/full'
}

@test "a wrong command line says what is wrong" {
	run -64 iovctl
	assert_output --partial "which command?"
	run -64 iovctl explode
	assert_output --partial "no command 'explode'"
	run -64 iovctl show a b
	assert_output --partial "'b' is too much"
	run -64 iovctl call x
	assert_output --partial "NAME METHOD [JSON]"
	run -64 iovctl ps --follow
	run -64 iovctl -t 5 ps
	assert_output --partial "'5'"
	run -64 iovctl -m "$T" events --since yesterday
	run -69 iovctl -m "$T/nothing" ps
	assert_output --partial "no such machine"
}

@test "ps and show join what programs say" {
	power_on
	run -0 iovctl ps
	assert_line --regexp '^bridge +rootbridge +[0-9]+ +running'
	run -0 iovctl ps --json
	jq -e '.[] | select(.name == "bridge") |
		.role == "rootbridge" and .state == "running" and .ready and
		.ev == "ready"' <<<"$output"
	run -0 iovctl show
	assert_line --regexp '^inflight +bridge '
	run -0 iovctl show processes
	assert_line --regexp '^bridge +rootbridge '
	run -0 iovctl show processes --json
	jq -e '.table == "processes" and .rows[0].name == "bridge" and
		.columns[0].title == "NAME"' <<<"$output"
	run -64 iovctl show nonsense
	assert_output --partial "no program has a table 'nonsense'"
}

@test "call and methods" {
	power_on
	run -0 iovctl methods bridge
	assert_line --regexp '^fault +function fault'
	run -0 iovctl call bridge status
	assert_line --partial '"role": "rootbridge"'
	run -0 iovctl call bridge show '["vms"]' --json
	jq -e '.rows | length > 1' <<<"$output"
	run -64 iovctl call bridge nothing
	assert_output "iovctl: m0: bridge: no method 'nothing'"
	run -64 iovctl call bridge at '{"point": 5}'
	assert_output --partial "parameter 'point' must be a string"
	run -64 iovctl call bridge at '{'
	assert_output --partial "no JSON"
	run -64 iovctl call bridge at '{"point": "a", "point": "b"}'
	assert_output --partial "duplicate"
	run -69 iovctl call nobody status
	assert_output "iovctl: m0: nobody does not run"
}

@test "a frozen program is told from one that is gone" {
	power_on
	run -0 iovctl freeze bridge
	assert_line --regexp '^since [0-9]+$'
	run -0 iovctl ps
	assert_line --regexp '^bridge +rootbridge +[0-9]+ +stopped +operator'
	run -69 iovctl -t 100ms call bridge status
	assert_output "iovctl: m0: bridge does not answer (frozen?)"
	run -69 iovctl -t 100ms show inflight
	assert_output --partial "(frozen?)"
	# Others' tables do not suffer.
	run -0 --separate-stderr iovctl show processes --json
	jq -e .rows <<<"$output"
	assert_equal "$stderr" \
		"iovctl: m0: bridge is stopped: rows of its are left out"
	iovctl thaw bridge
	iovctl show inflight
	# By somebody else, bmc included.
	kill -STOP "$(pid bridge)" "${PIDS[bmc]}"
	run -0 iovctl ps
	assert_line --regexp '^bridge +rootbridge +[0-9]+ +frozen'
	assert_line --regexp '^bmc +bmc +[0-9]+ +frozen'
	iovctl thaw bmc
	kill -CONT "$(pid bridge)"
	iovctl wait ready bridge
}

@test "without bmc, programs are frozen and killed by their pid" {
	start one rootbridge
	run -0 iovctl freeze one --json
	jq -e '.since >= 2' <<<"$output"
	run -0 iovctl ps
	assert_line --regexp '^one +rootbridge +[0-9]+ +frozen'
	iovctl thaw one
	iovctl call one status
	run -1 iovctl -t 50ms wait gone one
	assert_output "iovctl: m0: one still runs"
	run -64 iovctl kill one NONSENSE
	assert_output --partial "no signal 'NONSENSE'"
	iovctl kill one
	iovctl wait gone one
	finish one 137
	run -69 iovctl kill one
	assert_output "iovctl: m0: one does not run"
	run -69 iovctl power off
	start one rootbridge
	iovctl stop one
	iovctl wait gone one
	finish one 0
}

@test "wait: events, past and coming" {
	power_on
	run -0 iovctl wait --since start program.ready name=bridge --json
	jq -e '.src == "bmc" and .pid > 0' <<<"$output"
	run -0 iovctl wait --since start 'program.*' name=bridge
	assert_line --partial "program.start name=bridge"
	run -1 iovctl -t 50ms wait program.ready name=bridge
	assert_output --partial "program.ready did not come in time"
	run -1 iovctl -t 50ms wait --since start program.ready name=other
	local since
	since=$(iovctl freeze bridge --json | jq .since)
	run -0 iovctl wait --since "$since" program.frozen
	run -0 iovctl wait --since "$since" program.frozen reasons=operator
	run -0 iovctl thaw bridge
	iovctl wait ready bridge
	run -1 iovctl -t 50ms wait ready nobody
	assert_output "iovctl: m0: nobody did not become ready in time"
	iovctl wait gone nobody
	# One that comes while we wait.
	iovctl -t 5s wait program.gone name=bridge >"$T/gone" 3>&- &
	local waiter=$!
	wait_until "$PATIENCE" watches $waiter
	iovctl kill bridge
	wait $waiter
	grep -q 'signal=KILL' "$T/gone"
	finish bmc 71
}

@test "wait is there before the machine, and the machine before its end" {
	iovctl -t 5s wait ready bridge 3>&- &
	local waiter=$!
	wait_until "$PATIENCE" watches $waiter
	power_on
	wait $waiter
	iovctl wait show:processes name=bridge state=running
	run -0 iovctl wait show:vms vm=vm1 --json
	jq -e '.vm == "vm1"' <<<"$output"
	run -1 iovctl -t 50ms wait show:processes name=bridge state=ended
	run -1 iovctl -t 50ms wait show:nonsense x=1
	assert_output --partial "no program has a table 'nonsense'"
	# A machine that went and came again counts events from 1.
	machine_stop
	iovctl -t 5s wait program.ready name=bridge 3>&- &
	waiter=$!
	wait_until "$PATIENCE" watches $waiter
	power_on
	wait $waiter
}

@test "events, as people and programs read them" {
	power_on
	run -0 iovctl events
	assert_line --regexp '^ +1 +[0-9]+\.[0-9]{6} bmc +start '
	run -0 iovctl events --json ready
	assert_equal "$(jq -r .src <<<"$output" | sort | xargs)" "bmc bridge"
	run -0 iovctl events --since now
	assert_output ""
	iovctl events --json --follow --since now >"$T/followed" 3>&- &
	local follower=$!
	wait_until "$PATIENCE" watches $follower
	iovctl freeze bridge
	iovctl thaw bridge
	wait_until "$PATIENCE" grep -q program.thawed "$T/followed"
	kill $follower
	jq -es 'map(.n) | . == sort' "$T/followed"
	# A reader that goes ends it.
	iovctl events --follow | head -n 1
}

# trace_line N T SRC INCARNATION EV [MEMBERS]: of an event log.
trace_line() {
	printf '{"v":1,"n":%d,"t":%d,"src":"%s","inc":%d,"ev":"%s"%s}\n' \
		"$1" "$2" "$3" "$4" "$5" "${6:+,$6}"
}

@test "trace: procedures are slices, all else instants" {
	{
		trace_line 1 1000 hv 1 start
		trace_line 2 2000 hv 1 reset.a102 '"function":"nic0/pf0"'
		trace_line 3 2500 hv 1 reset.a102 '"function":"nic1/pf0"'
		trace_line 4 3000 hv 1 reset.a105 '"function":"nic0/pf0"'
		trace_line 6 5001 hv 1 reset.done '"function":"nic0/pf0","vfs":2'
		trace_line 7 6000 hv 1 reset.a105 '"function":"nic1/pf0"'
		trace_line 8 7000 hv 2 start
	} >"$T/hv.jsonl"
	{
		trace_line 5 4000 vm1 1 failover.1603
		trace_line 9 8000 vm1 1 failover.1707
		trace_line 10 9000 vm1 1 takeover.done '"late":false'
	} >"$T/vm1.jsonl"
	iovctl trace "$T/hv.jsonl" "$T/vm1.jsonl" >"$T/trace"
	run -0 jq -r '.traceEvents[] | select(.name == "process_name") |
		"\(.pid) \(.args.name)"' "$T/trace"
	assert_output $'1 hv\n2 vm1'
	run -0 jq -r '.traceEvents[] | select(.ph == "X") | [.pid, .name, .ts, .dur,
		.args.function // "-", .args.vfs // 0,
		.args.unfinished // false] | join(" ")' "$T/trace"
	assert_output - <<-'END'
		1 reset.a102 2 1 nic0/pf0 0 false
		1 reset 2 3.001 nic0/pf0 2 false
		1 reset.a105 3 2.001 nic0/pf0 0 false
		1 reset.a102 2.5 3.5 nic1/pf0 0 false
		1 reset 2.5 3.5 nic1/pf0 0 true
		1 reset.a105 6 0 nic1/pf0 0 false
		2 failover.1603 4 4 - 0 false
		2 failover 4 5 - 0 false
		2 failover.1707 8 1 - 0 false
	END
	run -0 jq -r '.traceEvents[] | select(.ph == "i") | .name' "$T/trace"
	assert_output $'start\nreset.done\nstart\ntakeover.done'
	# Each on a row of its own that says what it is.
	run -0 jq -r '.traceEvents[] | select(.name == "thread_name") |
		.args.name' "$T/trace"
	assert_output - <<-'END'
		events
		reset nic0/pf0
		reset nic1/pf0
		events
		failover
	END
	iovctl trace -w "$T/some" 'takeover.*' "$T/vm1.jsonl"
	run -0 jq -c '[.traceEvents[] | select(.ph != "M") | .name]' "$T/some"
	assert_output '["takeover.done"]'
	run -69 iovctl trace "$T/none.jsonl"
	assert_output --partial "none.jsonl: No such file"
	run -69 iovctl -m "$T/nothing" trace
	power_on
	run -0 jq -e '.otherData.wall_clock_offset_ns > 0 and
		any(.traceEvents[]; .name == "ready")' <(iovctl trace)
}

@test "points are armed, held, released by command" {
	power_on
	run -64 iovctl at bridge bridge.nothing=kill
	assert_output --partial "no point 'bridge.nothing'"
	run -0 iovctl at bridge bridge.a2100=trace bridge.a900=kill:99
	assert_line --regexp '^since [0-9]+$'
	run -0 iovctl call bridge points --json
	jq -e '.[] | select(.point == "bridge.a900") | .armed == "kill:99"' \
		<<<"$output"
	iovctl at bridge bridge.a900=off
	run -64 iovctl release bmc.nothing
	run -64 iovctl release bridge.nothing
	run -0 iovctl release
	assert_line "released 0"
	run -0 iovctl release bridge --json
	jq -e '.released == 0 and .since > 0' <<<"$output"
}

@test "faults, operations and devices that are wrong are refused" {
	power_on
	run -64 iovctl fault nic0/vf1 explode 5
	assert_output --partial "no fault 'explode'"
	run -64 iovctl fault nic0/vf1 tx loss 200%
	assert_output --partial "'200%'"
	run -64 iovctl fault nic0 loss 1%
	assert_output --partial "'nic0' is no function"
	run -69 iovctl fault nic0/vf1 loss 1%
	assert_output --partial "no function 'nic0/vf1'"
	run -69 iovctl fault nic0/vf1 tx loss 1%
	assert_output --partial "no program serves device nic0"
	run -64 iovctl hold nic0/vf1 sideways
	run -64 iovctl complete nothing
	run -69 iovctl drop nic0/vf1:3
	run -69 iovctl attach nic0
	run -69 iovctl reset nic0/pf0
	assert_output --partial "no hvmon runs"
	run -69 iovctl capture nic0/vf1 -w "$T/x"
	run -64 iovctl capture nic0/vf1
	assert_output --partial "where to?"
	run -0 iovctl config-dump
	assert_output ""
	run -64 iovctl config-dump nic0/vf99
}

@test "dump keeps all for a bug report" {
	power_on
	iovctl dump "$T/dump:1.tar"
	tar -xf "$T/dump:1.tar" --force-local -C "$T" m0/version.json \
		m0/ps.json m0/tables/processes.json m0/events/bmc.jsonl \
		m0/status/bridge.json m0/points/bridge.json --transform s,m0,d,
	jq -e '.iovkit and .powered' "$T/d/version.json"
	cmp "$T/d/events/bmc.jsonl" "$M/events/bmc.jsonl"
	# A frozen one is named.
	kill -STOP "$(pid bridge)"
	iovctl -t 100ms dump - | tar -xO m0/status/bridge.json |
		jq -e '.stopped and (.error | contains("does not answer"))'
	kill -CONT "$(pid bridge)"
	run ! iovctl dump "$T/no/where.tar"
	# No machine needs to run.
	machine_stop
	iovctl dump - | tar -tf - | grep -qx m0/events/bmc.jsonl
}

@test "cleanup: not a running machine, all of a dead one" {
	power_on
	run -73 iovctl cleanup
	assert_output --partial "runs already"
	machine_stop
	iovctl cleanup
	assert_equal "$(find "$M" -type f ! -name lock -o -type s)" ""
	# By hand, without bmc.
	start one rootbridge
	run -73 iovctl cleanup
	assert_output --partial "one is alive"
	kill -KILL "${PIDS[one]}"
	finish one 137
	iovctl cleanup
	assert_equal "$(find "$M" -type f ! -name lock -o -type s)" ""
}

@test "start, stop and power go through bmc" {
	machine_start <<-END
		bridge: rootbridge
		other: $(type -P sleep) 1000
	END
	run -0 iovctl ps
	assert_line --regexp '^other +.*sleep +[0-9]+ +running'
	iovctl stop other
	iovctl wait show:processes name=other pid=null
	iovctl start other
	run -0 iovctl wait --since start program.ready name=other
	run -69 iovctl start nobody
	# What was killed can be started at once, seen by bmc or not.
	for _ in {1..10}; do
		kill -KILL "$(pid other)"
		iovctl start other
	done
	iovctl power off
	finish bmc 0
	run -69 iovctl power off
}

# Two guests, each with a VF of one NIC.
full_machine() {
	need iovdev hvmon guestd
	machine_start <<-END
		bridge: rootbridge
		nic1: iovdev --vfs 2
		hv: hvmon --vf nic1/vf1=vm1 --vf nic1/vf2=vm2
		guest1: guestd --vm 1
		guest2: guestd --vm 2 --sink
	END
}

@test "config-dump is what lspci reads" {
	full_machine
	iovctl config-dump nic1/pf0 >"$T/one"
	assert_equal "$(grep -c '^[0-9a-f]*:' "$T/one")" 257
	if type -P lspci; then
		run -0 lspci -F "$T/one" -vv
		assert_output --partial "Single Root I/O Virtualization"
		refute_output --partial "<chain looped>"
	fi
	iovctl config-dump >"$T/all"
	assert_equal "$(grep -c 'iovkit' "$T/all")" 3
	run -0 iovctl config-dump nic1/vf1 nic1/vf2 --json
	assert_equal "${#lines[@]}" 2
	run -69 iovctl config-dump nic1/vf7
}

@test "one request is held, seen, completed by hand" {
	full_machine
	local since operation
	since=$(iovctl hold nic1/vf1 --json | jq .since)
	iovctl wait --since "$since" fault.set function=nic1/vf1 fault=hold
	iovctl call guest1 requests '{"depth":1,"count":2}'
	iovctl wait show:held function=nic1/vf1
	operation=$(iovctl show held --json | jq -r '.rows[0].operation')
	iovctl complete "$operation"
	iovctl wait --since "$since" operation.completed operation="$operation"
	# The next one is let go with all that are held.
	iovctl wait show:held function=nic1/vf1
	iovctl fault nic1/vf1 none
	run -0 iovctl release
	assert_line --regexp '^released [01]$'
	iovctl wait show:workload kind=requests state=done errors=0
	run -1 iovctl drop "$operation"
}

@test "capture taps a function, until the count, the reader or we end" {
	full_machine
	iovctl capture nic1/vf2 -w "$T/five" -c 5 3>&- &
	local capture=$!
	iovctl wait --since start capture.start function=nic1/vf2
	iovctl call guest1 send '{"to":"nic1/vf2","count":8,"size":"64"}'
	wait $capture
	assert_equal "$(stat -c %s "$T/five")" $((24 + 5 * (16 + 64)))
	# Interrupted: what came is there, whole.
	local since
	since=$(last_event)
	iovctl capture nic1/vf2 -w - >"$T/more" 3>&- &
	capture=$!
	iovctl wait --since "$since" capture.start function=nic1/vf2
	iovctl call guest1 send '{"to":"nic1/vf2","count":3,"size":"64"}'
	wait_until "$PATIENCE" size_is "$T/more" $((24 + 3 * (16 + 64)))
	kill -INT $capture || kill -TERM $capture
	wait $capture
	size_is "$T/more" $((24 + 3 * (16 + 64)))
	# A reader that goes away.
	since=$(last_event)
	iovctl capture nic1/vf2 -w - 3>&- | head -c 24 >/dev/null &
	capture=$!
	iovctl wait --since "$since" capture.start function=nic1/vf2
	iovctl call guest1 send '{"to":"nic1/vf2","count":3,"size":"64"}'
	wait $capture
	run -70 iovctl capture nic1/vf2 -w "$T/no/where"
	assert_output --partial "$T/no/where: No such file or directory"
	run -0 iovctl show vms
	assert_line --regexp '^bridge +vm1 +running +0 +64MiB '
	assert_line --regexp '^bridge +vm3 +empty +0 +64MiB +- '
	run -69 iovctl capture nic1/vf9 -w "$T/none"
	run -69 iovctl capture nic7/vf1 -w "$T/none"
}

last_event() {
	iovctl events --json | tail -n 1 | jq .n
}

size_is() {
	[[ $(stat -c %s "$1") -eq $2 ]]
}

@test "queue entries are held and released by command" {
	full_machine
	run -0 iovctl hold nic1/vf1 tx
	assert_line "fault hold"
	iovctl call guest1 send '{"to":"nic1/vf2","count":4,"size":"64"}'
	iovctl wait show:device-queues function=nic1/vf1 queue=tx fault=hold held=4
	run -0 iovctl release nic1/vf1 tx
	iovctl wait show:workload kind=send state=done done=4
	run -64 iovctl fault nic1/pf0 tx loss 1%
	run -64 iovctl fault nic1/vf1 rx explode
}

@test "a reset by command" {
	full_machine
	local since
	since=$(iovctl reset nic1/vf1 --json | tee "$T/reset" | jq .since)
	# Milliseconds to the nanosecond, without what binary fractions add.
	run -0 grep -oE '"reset_ms":[0-9.]+' "$T/reset"
	assert_output --regexp '^"reset_ms":[0-9]+(\.[0-9]{1,6})?$'
	iovctl wait --since "$since" reset.done function=nic1/vf1
	run ! iovctl reset nic1/vf9
}

@test "nobody frozen is waited for who is not concerned" {
	full_machine
	iovctl freeze guest1
	# Its program is looked for, since it has another name than its role.
	run -0 timeout "$PATIENCE" iovctl -t 60s reset nic1/vf2
	iovctl thaw guest1
}
