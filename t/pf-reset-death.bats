#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2034 # bats sets them
# pf-reset-death.bats - a program of the machine is killed at every point of a
# PF's reset: what design.md's table says follows, each time.

setup() {
	load machine
	load pf-reset
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
	RUNS=0
}

teardown() {
	machine_teardown
}

points() {
	hvmon --list-points | awk '$1 ~ /^reset[.]/ { print $1 }'
}

# POINT: options of a reset that passes it.
options_of() {
	case ${1#reset.} in
	a5*) echo --suspend vcpu ;;
	a6*) echo --confirm interrupt ;;
	a7*) echo --confirm wait ;;
	*) ;;
	esac
}

new_machine() {
	M=$T/m$((RUNS++))
	export IOVKIT_MACHINE=$M
	machine_start <<<"$(traffic_file)"
	traffic
}

# POINT=ACTION: a reset that does this; its answer does not matter.
reset_at() {
	echo "--- $*"
	iovctl at hv "$1" >/dev/null
	# shellcheck disable=SC2046 # words
	reset_pf0 $(options_of "${1%=*}") >"$T/log/reset" 2>&1 3>&- &
	RESET=$!
}

# POINT: hvmon stands there, in the middle of a step or not.
reset_stands_at() {
	reset_at "$1=stop"
	HV=$(pid hv)
	wait_until "$PATIENCE" stands "$HV" ||
		fail "$1 is not passed: $(cat "$T/log/reset")"
}

stands() {
	[[ $(<"/proc/$1/stat") == *") T "* ]]
}

reset_goes_on() {
	kill -CONT "$HV" 2>/dev/null || true
}

# Both guests' frames and requests go on.
assert_works() {
	local vm n
	for vm in vm1 vm2; do
		n=$(report "$vm" '.frames.received')
		wait_until "$PATIENCE" more_than "$vm" "$n" ||
			fail "no frame comes to $vm"
	done
}

more_than() {
	local n
	n=$(report "$1" '.frames.received')
	((${n:-0} > $2))
}

# bmc may not have seen yet that it ended, or be gone itself.
started() {
	is_gone "${PIDS[bmc]}" || iovctl start "$1" >/dev/null 2>&1
}

@test "hvmon killed at each point of a PF's reset: taken up, nothing lost" {
	local point n=1 before
	new_machine
	before=$(iovctl show protection)
	for point in $(points); do
		reset_at "$point=kill"
		iovctl wait gone hv >/dev/null ||
			fail "$point is not passed: $(cat "$T/log/reset")"
		wait "$RESET" || true
		wait_until "$PATIENCE" started hv
		await device.ready ".inc == $((n += 1))"
		assert_works
		assert_equal "$(iovctl show protection)" "$before"
		assert_all_answered
		assert_no_shutdown
		traffic
	done
	machine_stop
}

@test "rootbridge killed at each point of a PF's reset: power lost" {
	local point
	for point in $(points); do
		new_machine
		reset_stands_at "$point"
		kill -KILL "$(pid bridge)"
		reset_goes_on
		finish bmc 71
		run log bmc
		assert_line --partial "shut down: bridge ended (SIGKILL)"
		: >"$T/log/bmc.err"
		wait_until "$PATIENCE" no_leftovers
	done
}

bmc_is_gone_or_works() {
	is_gone "${PIDS[bmc]}" || more_than vm2 "$1"
}

@test "iovdev killed at each point of a PF's reset: shut down or taken up" {
	local point n
	BRIDGE_OPTIONS=--timeout=300ms
	for point in $(points); do
		new_machine
		reset_stands_at "$point"
		kill -KILL "$(pid nic0)"
		n=$(report vm2 .frames.received)
		wait_until "$PATIENCE" started nic0 || true
		reset_goes_on
		wait_until "$PATIENCE" bmc_is_gone_or_works "${n:-0}"
		# Frames may come before a timeout is noticed.
		wait_until 1 is_gone "${PIDS[bmc]}" >/dev/null || true
		if is_gone "${PIDS[bmc]}"; then
			finish bmc 71
			run log bmc
			assert_output --partial \
				"shut down: completion timeout: operation nic0/"
			: >"$T/log/bmc.err"
		else
			machine_stop
		fi
	done
}

@test "a guest killed at each point of a PF's reset: only it is reset" {
	local point n=1
	new_machine
	for point in $(points); do
		reset_stands_at "$point"
		kill -KILL "$(pid vm2)"
		reset_goes_on
		wait "$RESET" || true
		wait_until "$PATIENCE" started vm2
		await ready ".src == \"vm2\" and .inc == $((n += 1))"
		guest_works vm2 nic0/vf1
		assert_works
		iovctl call vm1 stop-workload >/dev/null
		wait_until "$PATIENCE" none_outstanding vm1
		assert_no_shutdown
		guest_works vm1 nic0/vf2
	done
	machine_stop
}
