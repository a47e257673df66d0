#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2119,SC2120,SC2034,SC2153
# pf-reset.bats - a PF is reset while its VFs work (spec 01): nothing is lost,
# and what happens when a part of it is left out.

setup() {
	load machine
	load two-nics
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

# pair SUSPEND CONFIRM: held before a115, the others go on; then it is done.
pair() {
	local result
	BRIDGE="--park-limit 30s"
	two_nics
	iovctl at hv reset.a115=hold >/dev/null
	iovctl reset --suspend "$1" --confirm "$2" --json nic0/pf0 \
		>"$T/result" 3>&- &
	await reset.a115
	goes_on g2 nic1/vf2
	if [[ $1 != vcpu ]]; then
		goes_on g1 nic1/vf1
	fi
	rpc hv release '["reset.a115"]' >/dev/null
	wait $!
	result=$(<"$T/result")
	assert_equal "$(jq -c '[.suspend, .confirm, .vfs]' <<<"$result")" \
		"[\"$1\",\"$2\",2]"
	# And once more, as fast as it goes.
	wait_until "$PATIENCE" in_flight
	result+=$(iovctl reset --suspend "$1" --confirm "$2" --json nic0/pf0)
	assert [ "$(jq -s 'map(.in_flight) | add' <<<"$result")" -ge 2 ]
	nothing_is_lost
	in_order
	machine_stop
}

@test "table and barrier: nothing is lost" {
	pair table barrier
}

@test "table and interrupt: nothing is lost" {
	pair table interrupt
}

@test "table and wait: nothing is lost" {
	pair table wait
}

@test "invalid address and barrier: nothing is lost" {
	pair invalid-address barrier
}

@test "invalid address and interrupt: nothing is lost" {
	pair invalid-address interrupt
}

@test "invalid address and wait: nothing is lost" {
	pair invalid-address wait
}

@test "vcpu and barrier: nothing is lost" {
	pair vcpu barrier
}

@test "vcpu and interrupt: nothing is lost" {
	pair vcpu interrupt
}

@test "vcpu and wait: nothing is lost" {
	pair vcpu wait
}

# The reset throws requests away: the machine shuts down and says why.
shuts_down() {
	LATENCY=300ms
	TIMEOUT=1s
	two_nics
	iovctl reset "$@" nic0/pf0 3>&- &
	is_shut_down
}

is_shut_down() {
	finish bmc 71
	[[ $(log bmc) == *"completion timeout: operation nic0/"* ]]
	assert_order reset.a115 bridge.a1220 bridge.a1225 bridge.a1230 shutdown
	has_event shutdown '.function | test("nic0/vf[12]")'
}

# What was in flight is answered, but there is more.
unsuspended_shuts_down() {
	HV+=" --at reset.a115=hold"
	LATENCY=300ms
	TIMEOUT=1s
	two_nics
	iovctl reset "$@" nic0/pf0 3>&- &
	await reset.a115
	wait_until "$PATIENCE" in_flight
	rpc hv release '["reset.a115"]' >/dev/null
	is_shut_down
}

@test "neither suspended nor confirmed: shutdown, the cause is named" {
	shuts_down --suspend none --confirm none
}

@test "only the confirmation left out: shutdown" {
	shuts_down --confirm none
}

@test "new requests not suspended: shutdown" {
	unsuspended_shuts_down --suspend none
}


@test "granted, the PF driver resets the PF itself, once" {
	two_nics
	run -0 iovctl reset --grant --json nic0/pf0
	assert_equal "$(jq .grant <<<"$output")" true
	nothing_is_lost
	assert_equal "$(events 'select(.ev == "bridge.a1220") | .ev' |
		wc -l)" 1
	machine_stop
}

@test "an attempt never reaches the device, and is answered after a115" {
	two_nics
	iovctl reset nic0/pf0 >/dev/null
	assert_equal "$(events 'select(.ev == "bridge.a1220") | .ev' |
		wc -l)" 1
	run -0 jq -r '.rows[] | select(.vm == 0 or .vm == "vm0" or
		.vm == "hypervisor") | .access' \
		<<<"$(rpc bridge show '["protection"]')"
	assert_equal "$(sort -u <<<"$output")" denied
	machine_stop
}

@test "one VF is reset with the same guarantees" {
	two_nics
	iovctl reset nic0/vf2 >/dev/null
	iovctl reset --suspend invalid-address --confirm interrupt nic0/vf1 \
		>/dev/null
	nothing_is_lost
	in_order
	machine_stop
}

@test "several devices are reset at once" {
	two_nics
	local i pids=()
	for i in 1 2 3; do
		iovctl reset nic0/pf0 >/dev/null 3>&- &
		pids+=($!)
		iovctl reset nic1/pf0 >/dev/null 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	goes_on g2 nic1/vf2
	goes_on g1 nic1/vf1
	nothing_is_lost
	machine_stop
}

@test "a device that dies in a110 shuts the machine down" {
	TIMEOUT=1s
	two_nics
	iovctl at hv reset.a110=hold >/dev/null
	iovctl reset nic0/pf0 3>&- &
	await reset.a110
	iovctl freeze nic0 >/dev/null
	rpc hv release '["reset.a110"]' >/dev/null
	finish bmc 71
	[[ $(log bmc) == *"completion timeout: operation nic0/"* ]]
}

@test "a VF that does not finish in time is contained alone" {
	HV="--drain-limit 300ms"
	two_nics
	iovctl hold nic0/vf2 >/dev/null
	run -0 iovctl reset --json nic0/pf0
	assert_equal "$(jq .contained <<<"$output")" 1
	has_event drain.expired '.function == "nic0/vf2"'
	has_event contained '.function == "nic0/vf2"'
	goes_on g1 nic0/vf1
	goes_on g2 nic1/vf2
	run -0 events 'select(.ev == "shutdown")'
	assert_output ""
	machine_stop
}

@test "a device pulled out in the middle ends its reset" {
	two_nics
	iovctl at hv reset.a115=hold >/dev/null
	iovctl reset nic0/pf0 >"$T/reset" 2>&1 3>&- &
	await reset.a115
	iovctl remove nic0 >/dev/null
	await device.gone '.src == "hv"'
	rpc hv release '["reset.a115"]' >/dev/null
	await reset.failed
	! wait $! || fail "the reset did not fail"
	[[ $(<"$T/reset") == *"went away"* ]]
	goes_on g2 nic1/vf2
	machine_stop
}

@test "what waits too long behind the fence reads as all ones" {
	BRIDGE="--park-limit 100ms"
	two_nics
	iovctl at hv reset.a115=hold >/dev/null
	iovctl reset nic0/pf0 >/dev/null 3>&- &
	await parked.expired '.why == "limit"'
	rpc hv release '["reset.a115"]' >/dev/null
	wait $!
	machine_stop
}

@test "waiting times are edited together, and wrong ones change nothing" {
	TIMEOUT=1s
	two_nics
	run -0 iovctl wait-time
	assert_line --regexp 'nic0/pf0 +nic0/vf1 +80ms'
	run -0 iovctl wait-time nic0/vf1=5ms nic1/pf0=2us --json
	assert_equal "$(jq -r '[.times[].wait] | join(" ")' <<<"$output")" \
		"5ms 80ms 2us 2us"
	local wrong
	for wrong in nic0/vf1=1s nic0/vf1=999ns nic0/vf7=1ms nic0/vf1=ten \
		nothing=1ms nic0/vf1 nic0/vf2=2ms; do
		run ! iovctl wait-time nic0/vf2=1ms "$wrong"
	done
	assert_equal "$(iovctl wait-time --json |
		jq -r '[.times[].wait] | join(" ")')" "5ms 80ms 2us 2us"
	machine_stop
}

@test "a wrong choice is refused" {
	two_nics
	run ! iovctl reset --suspend everything nic0/pf0
	assert_output --partial "suspend: 'everything' is not table"
	run ! iovctl reset --confirm perhaps nic0/pf0
	assert_output --partial "confirm: 'perhaps' is not barrier"
	machine_stop
}

@test "--without a105: shutdown" {
	HV="--without a105"
	unsuspended_shuts_down
}

@test "--without a110: shutdown" {
	HV="--without a110"
	shuts_down
}

# VF 2 has frames in hand that are not the guest's yet.
reset_with_entries_in_hand() {
	two_nics
	local i
	for i in {1..5}; do
		iovctl fault nic0/vf2 rx delay 20ms >/dev/null
		wait_until "$PATIENCE" received \
			"$(($(report g1 .frames.received) + 20))"
		iovctl reset nic0/pf0 >/dev/null
	done
	iovctl fault nic0/vf2 rx none >/dev/null
}

@test "queue entries that were taken are finished first" {
	reset_with_entries_in_hand
	nothing_is_lost
	machine_stop
}

@test "--without bus-master: frames are lost" {
	HV="--without bus-master"
	reset_with_entries_in_hand
	wait_until "$PATIENCE" frames_are_missing
	machine_stop
}

entries_are_in_hand() {
	rpc nic0 show '["device-functions"]' |
		jq -e '.rows[] | select(.function == "nic0/vf2") |
			.held >= 100' >/dev/null
}

@test "iovdev --without barrier: frames are lost" {
	NIC="--without barrier"
	LATENCY=1ms
	two_nics
	iovctl fault nic0/vf2 rx delay 500ms >/dev/null
	wait_until "$PATIENCE" entries_are_in_hand
	iovctl reset nic0/pf0 >/dev/null
	iovctl fault nic0/vf2 rx none >/dev/null
	wait_until "$PATIENCE" frames_are_missing
	machine_stop
}

# There is always one more entry in hand, unless just then no guest had time to
# send one: either the barrier is not answered in time, or what is in hand then
# is lost.
@test "iovdev --without bme: the barrier has no end, or frames are lost" {
	NIC="--without bme"
	TIMEOUT=1s
	two_nics
	iovctl fault nic0/vf2 rx delay 20ms >/dev/null
	wait_until "$PATIENCE" received $(($(report g1 .frames.received) + 20))
	wait_until "$PATIENCE" reset_is_down_or_lost
}

reset_is_down_or_lost() {
	iovctl reset nic0/pf0 >/dev/null 2>&1 || true
	is_down_or_lost
}

is_down_or_lost() {
	if is_gone "${PIDS[bmc]}"; then
		finish bmc 71
		[[ $(log bmc) == *"completion timeout: operation nic0/vf2:"* ]]
	else
		frames_are_missing
	fi
}

# Some that were sent never came.
frames_are_missing() {
	(($(report g1 '[.frames.lost, .frames.repeated,
		.frames.missed] | add') > 0))
}

@test "--without save: the queues stand still until the guests see to them" {
	HV="--without save"
	two_nics
	iovctl reset nic0/pf0 >/dev/null
	await vf.back '.vf == "nic0/vf1" and .reset'
	machine_stop
}

# The same as two_nics, but without the second one and a bmc.
by_hand() {
	start bridge rootbridge --vms=4 --timeout=20s
	start nic0 iovdev --vfs 4
	hv
	start g1 guestd --vm 1 --sink \
		--send vf=nic0/vf1,to=nic0/vf2,rate=2k,size=64 \
		--requests 8,vf=nic0/vf1 --requests 8,vf=nic0/vf2
	wait_until "$PATIENCE" received 50
}

hv() {
	start hv hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm1 "$@"
}

# dies_at POINT FUNCTION [HOW...]: hvmon, while it resets the function.
dies_at() {
	rpc hv at "[\"$1=kill\"]" >/dev/null
	iovctl reset "${@:2}" 3>&- 2>/dev/null &
	finish hv 137
}

# What was refused while nobody was there was issued again.
all_goes_on() {
	goes_on g1 nic0/vf1
	goes_on g1 nic0/vf2
	wait_until "$PATIENCE" received "$(($(report g1 .frames.received) + 50))"
}

no_frame_is_lost() {
	rpc g1 stop-workload >/dev/null
	wait_until "$PATIENCE" all_came ||
		fail "$(report g1 '.frames, .workloads[]')"
	run -0 events 'select(.ev == "shutdown" or .ev == "queue.stopped" or
		(.ev == "vf.back" and .reset))'
	assert_output ""
}

@test "hvmon killed at each point of a reset: the next one takes it up" {
	local point function
	by_hand
	for point in a105 bus-master a110 a300 a305 save a115 settle setup \
		driver registers masters a525; do
		for function in nic0/pf0 nic0/vf2; do
			dies_at "reset.$point" "$function"
			hv
			all_goes_on
		done
	done
	dies_at reset.a200 nic0/pf0 --suspend invalid-address
	hv
	dies_at reset.a600 nic0/pf0 --confirm interrupt
	hv
	dies_at reset.a715 nic0/pf0 --confirm wait
	hv
	all_goes_on
	no_frame_is_lost
	has_event reset.taken-up '.again == true'
	has_event reset.taken-up '.again == false'
	assert_equal "$(events 'select(.ev == "reset.taken-up") | .function' |
		sort -u)" $'"nic0/pf0"\n"nic0/vf2"'
}

@test "hvmon killed again, at each point of taking a reset up" {
	local point
	by_hand
	for point in $(hvmon --list-points |
		awk '/^resume[.]/ { print $1 }'); do
		dies_at reset.settle nic0/pf0
		launch hv hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm1 \
			--at "$point=kill"
		finish hv 137
		hv
		all_goes_on
	done
	no_frame_is_lost
}
