#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2034 # bats sets them
# pf-reset-death.bats - a program of the machine is killed, or frozen for a
# moment, at every point of a PF's reset: what design.md's table says follows,
# each time.
#
# Whoever passes the point is stopped there; meanwhile the other one is struck.

setup() {
	load machine
	load pf-reset
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
	mapfile -t POINTS < <(
		{
			hvmon --list-points |
				awk '$1 ~ /^reset[.]/ { print "hvmon", $1 }'
			echo bridge bridge.a1220
			echo nic0 device.flr
			echo nic0 device.vf_enable
		} | a_share
	)
	RUNS=0
}

teardown() {
	machine_teardown
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

# NAME POINT VICTIM: this program will stop there, and VICTIM be struck.
arm() {
	echo "--- $*"
	STANDING=$(pid "$1")
	VICTIM=$(pid "$3")
	AT=$2
	iovctl at "$1" "$AT=stop" >/dev/null
}

reset_stands() {
	# shellcheck disable=SC2046 # words
	reset $(options_of "$AT") >"$T/log/reset" 2>&1 3>&- &
	RESET=$!
	wait_until "$PATIENCE" is_stopped "$STANDING" ||
		fail "$AT is not passed: $(cat "$T/log/reset")"
}

# It is killed; the other one goes on.
strike() {
	kill -KILL "$VICTIM"
	kill -CONT "$STANDING" 2>/dev/null || true
}

# Frames come to both guests.
assert_works() {
	local vm n
	for vm in vm1 vm2; do
		n=$(received "$vm")
		wait_until "$PATIENCE" more_than "$vm" "$n" ||
			fail "no frame comes to $vm"
	done
}

# bmc may not have seen yet that it ended, or be gone itself.
started() {
	is_gone "${PIDS[bmc]}" || iovctl start "$1" >/dev/null 2>&1
}

# REGEXP: why bmc says that the machine is down.
is_down() {
	finish bmc 71
	run log bmc
	assert_line --regexp "bmc: .*shut down: $1"
	: >"$T/log/bmc.err"
}

@test "hvmon killed at each point of a PF's reset: taken up, nothing lost" {
	local at n=1 before
	new_machine
	before=$(iovctl show protection)
	for at in "${POINTS[@]}"; do
		# shellcheck disable=SC2086 # two words
		arm $at hvmon
		reset_stands
		strike
		wait "$RESET" || true
		wait_until "$PATIENCE" started hvmon
		await device.ready ".inc == $((n += 1))"
		assert_works
		assert_equal "$(iovctl show protection)" "$before"
	done
	assert_all_answered
	assert_no_shutdown
	machine_stop
}

@test "rootbridge killed at each point of a PF's reset: power lost" {
	local at
	for at in "${POINTS[@]}"; do
		new_machine
		# shellcheck disable=SC2086 # two words
		arm $at bridge
		reset_stands
		strike
		is_down "bridge ended .SIGKILL."
		wait_until "$PATIENCE" no_leftovers
	done
}

# POINT: a110 has not confirmed anything there.
is_unconfirmed() {
	[[ $1 =~ [.](a100|a102|a105|a200|a500|bus-master|a110|a300|a605|a600|a715)$ ]]
}

# It was slow before, so that requests are in flight for sure.
@test "iovdev killed until a110 confirms: shut down, cause named" {
	local at
	for at in "${POINTS[@]}"; do
		is_unconfirmed "$at" || continue
		new_machine
		# shellcheck disable=SC2086 # two words
		arm $at nic0
		kill -STOP "$VICTIM"
		reset_stands
		strike
		is_down "completion timeout: operation nic0/vf"
	done
}

# What the dead device owes times out, as long as it is in the list.
nothing_is_owed() {
	local rows
	rows=$(rpc bridge show '["inflight"]' 2>/dev/null) &&
		[[ $rows == *'"rows"'* && $rows != *'"orphan"'* ]]
}

bmc_is_gone_or_works() {
	is_gone "${PIDS[bmc]}" || { nothing_is_owed && more_than vm2 "$1"; }
}

# Whether requests are in flight is by chance.
@test "iovdev killed after a110 was confirmed: shut down or taken up" {
	local at n
	BRIDGE_OPTIONS=--timeout=2s
	for at in "${POINTS[@]}"; do
		! is_unconfirmed "$at" || continue
		new_machine
		# shellcheck disable=SC2086 # two words
		arm $at nic0
		reset_stands
		strike
		n=$(received vm2)
		wait_until "$PATIENCE" started nic0 || true
		wait_until "$PATIENCE" bmc_is_gone_or_works "$n"
		if is_gone "${PIDS[bmc]}"; then
			is_down "completion timeout: operation nic0/"
		else
			machine_stop
		fi
	done
}

@test "a guest killed at each point of a PF's reset: only it is reset" {
	local at n=1
	new_machine
	for at in "${POINTS[@]}"; do
		# shellcheck disable=SC2086 # two words
		arm $at vm2
		reset_stands
		strike
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

# NAME: frozen at each point, and a moment longer than who stands there.
frozen() {
	local at
	new_machine
	for at in "${POINTS[@]}"; do
		# shellcheck disable=SC2086 # two words
		arm $at "$1"
		reset_stands
		kill -STOP "$VICTIM"
		((VICTIM == STANDING)) || kill -CONT "$STANDING"
		pause
		kill -CONT "$VICTIM"
		wait "$RESET" || fail "$(cat "$T/log/reset")"
	done
	assert_all_answered
	assert_no_shutdown
	machine_stop
}

@test "hvmon frozen at each point of a PF's reset: it goes on" {
	frozen hvmon
}

@test "rootbridge frozen at each point of a PF's reset: it goes on" {
	frozen bridge
}

@test "iovdev frozen at each point of a PF's reset: it goes on" {
	frozen nic0
}

@test "a guest frozen at each point of a PF's reset: it goes on" {
	frozen vm2
}

# The points of fig. 13 behind the timeout: the machine goes down anyway.
@test "everybody killed at a1225 and a1230 of an unprotected reset: down" {
	local point victim cause
	BRIDGE_OPTIONS=--timeout=2s
	while read -r point victim; do
		cause="completion timeout: operation nic0/"
		[[ $victim != bridge ]] || cause="bridge ended .SIGKILL."
		new_machine
		iovctl at bridge "bridge.$point=stop" >/dev/null
		STANDING=$(pid bridge)
		VICTIM=$(pid "$victim")
		# Unless just then nothing was in flight.
		until
			reset --suspend none --confirm none \
				>"$T/log/reset" 2>&1
			wait_until 2 is_stopped "$STANDING"
		do
			:
		done
		strike
		is_down "$cause"
	done < <(printf '%s\n' {a1225,a1230}" "{hvmon,bridge,nic0,vm2} |
		a_share)
}
