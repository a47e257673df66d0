#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2034 # bats sets them
# pf-reset-proof.bats - what must be seen of a PF's reset (spec 01) beside that
# nothing is lost: its order, whom it concerns and whom not, what becomes of
# requests that it stops.

setup() {
	load machine
	load two-nics
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

# OPTION...: nic0's reset stands before a115.
reset_is_held() {
	rpc hv at '["reset.a115=hold"]' >/dev/null
	iovctl reset "$@" --json nic0/pf0 >"$T/result" 3>&- &
	RESET=$!
	await reset.a115
}

# It goes on, and is done.
let_go() {
	rpc hv release '["reset.a115"]' >/dev/null
	wait "$RESET"
}

# The numbered steps of hvmon since event N, in one line.
steps_since() {
	events "select(.n > $1 and .src == \"hv\") | .ev" |
		sed -n 's/"reset[.]\(a[0-9]*\)"/\1/p' | paste -sd ' '
}

@test "the log proves a105 < a110 < a115 of each reset, and each way's steps" {
	local -A suspend=([table]=a200 [invalid-address]=a200 [vcpu]=a500)
	local -A confirm=([barrier]="a300 a305" [interrupt]="a605 a600"
		[wait]=a715)
	local s c since
	LATENCY=1ms
	two_nics
	for s in "${!suspend[@]}"; do
		for c in "${!confirm[@]}"; do
			since=$(iovctl reset --suspend "$s" --confirm "$c" \
				--json nic0/pf0 | jq .since)
			run -0 steps_since "$since"
			assert_output "a100 a102 a105 ${suspend[$s]} a110 \
${confirm[$c]} a115 a525"
		done
	done
	machine_stop
}

# The device itself was not reached by the attempt (a100), but once by a115.
@test "the device is reset after the log says a115, and only then" {
	two_nics
	reset_is_held
	refute has_event bridge.a1220
	refute has_event device.flr
	let_go
	assert_order reset.a100 reset.a105 reset.a110 reset.a115 bridge.a1220 \
		device.flr function.reset
	machine_stop
}

received_by_g2() {
	(($(report g2 .frames.received) >= $1))
}

# How long it stands is nobody's concern who has no VF of nic0.
never_pause() {
	BRIDGE="--park-limit 30s"
	machine_start <<<"$(two_nics_file; echo 'nic2: iovdev --vfs 1')"
	at_work
	rpc g1 send '{"vf": "nic1/vf1", "to": "nic1/vf2", "rate": "1k"}' \
		>/dev/null
	reset_is_held --suspend "$1"
	goes_on g1 nic1/vf1
	goes_on g2 nic1/vf2
	wait_until "$PATIENCE" received_by_g2 \
		$(($(report g2 .frames.received) + 20))
	# One of whose VFs nobody has any.
	iovctl config-dump nic2/pf0 >/dev/null
	let_go
	assert_equal "$(jq .vfs "$T/result")" 2
	nothing_is_lost
	machine_stop
}

@test "table: VFs 3 and 4 and devices without VFs never pause" {
	never_pause table
}

@test "invalid-address: VFs 3 and 4 and devices without VFs never pause" {
	never_pause invalid-address
}

@test "vcpu: VF 3 pauses with its VM, VF 4 and others do not" {
	two_nics
	reset_is_held --suspend vcpu
	assert is_stopped "$(pid g1)"
	refute is_stopped "$(pid g2)"
	assert_equal "$(row processes bmc g1 reasons)" '["a105"]'
	goes_on g2 nic1/vf2
	iovctl config-dump nic1/pf0 >/dev/null
	assert is_stopped "$(pid g1)"
	let_go
	refute is_stopped "$(pid g1)"
	assert_equal "$(row processes bmc g1 reasons)" '[]'
	goes_on g1 nic1/vf1
	nothing_is_lost
	machine_stop
}

# VM, time and whether it is executable, each.
schedule() {
	rpc hv show '["schedule"]' |
		jq -r '.rows[] | "\(.vm) \(.time) \(.executable)"'
}

@test "vcpu: afterwards each VM is executable again, or not, as before" {
	local before
	HV="--schedule vm1=5ms,vm2=5ms"
	two_nics
	rpc hv schedule '{"vm": "vm2", "executable": false}' >/dev/null
	before=$(schedule)
	reset_is_held --suspend vcpu
	# a510: its turn is over, and it gets no other.
	run -0 schedule
	assert_line "vm1 5ms inexecutable"
	assert is_stopped "$(pid g1)"
	let_go
	assert_equal "$(schedule)" "$before"
	rpc hv schedule '{"vm": "vm2", "executable": true}' >/dev/null
	goes_on g1 nic0/vf1
	goes_on g2 nic1/vf2
	machine_stop
}

# VM, first address and access of all rows of guests that are not allowed, or
# lead out of the machine.
stopped_rows() {
	rpc bridge show '["protection"]' | jq -r '.rows[] | tostring' |
		grep -v -e '"vm":"vm0"' -e '"access":"allowed"'
}

@test "a200: rows of VFs 1 and 2 deny, no others, and are as before after it" {
	local before
	two_nics
	before=$(iovctl show protection)
	reset_is_held
	run -0 stopped_rows
	# Registers and config space of each.
	assert_equal "${#lines[@]}" 4
	refute_output --partial '"vm":"vm2"'
	let_go
	assert_equal "$(iovctl show protection)" "$before"
	machine_stop
}

# KEY: sum over VM 1's requests at nic0.
count() {
	report g1 "[.workloads[] | select(.kind == \"requests\" and
		(.vf | startswith(\"nic0\"))) | .$1] | add"
}

counts_to() {
	(($(count "$1") >= $2))
}

none_owed() {
	(($(count refused) == $(count reissued)))
}

rows_of_nic0() {
	rpc bridge show "[\"$1\"]" |
		jq '[.rows[] | select(tostring | contains("nic0/vf"))] | length'
}

parked_of_vm1() {
	rpc bridge show '["parked"]' | jq '[.rows[] | select(.vm == "vm1")] |
		length'
}

@test "invalid-address: refused at once, not recorded, issued again" {
	two_nics
	reset_is_held --suspend invalid-address
	wait_until "$PATIENCE" counts_to refused 1
	assert_equal "$(rows_of_nic0 inflight)" 0
	assert_equal "$(parked_of_vm1)" 0
	let_go
	wait_until "$PATIENCE" none_owed
	((BEFORE = $(count answered)))
	wait_until "$PATIENCE" counts_to answered $((BEFORE + 10))
	assert_equal "$(count errors)" 0
	machine_stop
}

@test "table: stopped requests wait, not in flight, and run afterwards" {
	BRIDGE="--park-limit 30s"
	two_nics
	reset_is_held
	wait_until "$PATIENCE" all_parked
	assert_equal "$(rows_of_nic0 inflight)" 0
	let_go
	assert_equal "$(count refused)" 0
	nothing_is_lost
	machine_stop
}

# Eight of each VF; a question about the link may wait with them.
all_parked() {
	local rows
	rows=$(rpc bridge show '["parked"]' | grep -o '"0x[0-9a-f]*00c"')
	(($(wc -l <<<"$rows") == 16))
}

# MS: the drain took at least so long, and less than the other one's time.
drained() {
	(($(iovctl reset --confirm wait --json "$1" | jq .drain_ns) \
		>= $2 * 1000000))
}

@test "a715: the largest waiting time of the listed VFs, and of no others" {
	local i
	LATENCY=1ms
	two_nics
	iovctl wait-time nic0/vf1=10ms nic0/vf2=5ms nic1/vf1=1ms \
		nic1/vf2=100ms >/dev/null
	drained nic0/pf0 10
	drained nic1/pf0 100
	# On a busy computer it takes longer by chance, but not always.
	for i in {1..20}; do
		drained nic0/pf0 100 || break
	done
	refute [ "$i" = 20 ]
	machine_stop
}

# Until there is $T/enough: one after the other.
dump_all_the_time() {
	until [[ -e $T/enough ]]; do
		iovctl config-dump >/dev/null || return 1
	done
}

@test "a110: requests of the root bridge itself are answered too" {
	local c i dumps
	machine_start <<-END
		bridge: rootbridge
		nic0: iovdev --vfs 2 --latency pf0=5ms --latency vf1=2ms
		hv: hvmon --vf nic0/vf1=vm1:40ms
		g1: guestd --vm 1 --requests 2
	END
	dump_all_the_time 3>&- &
	dumps=$!
	for c in barrier interrupt wait; do
		for i in {1..5}; do
			iovctl -t 10s reset --confirm $c nic0/pf0 >/dev/null
			iovctl -t 10s reset --confirm $c nic0/vf1 >/dev/null
		done
	done
	touch "$T/enough"
	wait "$dumps"
	run events 'select(.ev == "shutdown")'
	assert_output ""
	machine_stop
}

shows_inflight() {
	iovctl show inflight | grep -Eq '^nic0/vf[12]:[0-9]+ +vm1 +nic0/vf[12] '
}

@test "tables: who has which VF, who may reach what, who is asked, who runs" {
	local table
	two_nics
	run -0 iovctl show vf-allocation
	assert_line --regexp '^nic0/pf0 +nic0/vf1 +vm1 .* 80ms'
	assert_line --regexp '^nic1/pf0 +nic1/vf2 +vm2 .* 100ms'
	run -0 iovctl show protection
	assert_line --regexp '^vm2 .* allowed'
	run -0 iovctl show schedule
	assert_line --regexp '^vm1 +- +executable'
	wait_until "$PATIENCE" shows_inflight
	for table in vf-allocation protection inflight schedule; do
		run -0 iovctl show "$table" --json
		assert_output --partial "{\"table\":\"$table\",\"columns\":"
	done
	machine_stop
}

# Operations that are held, the oldest first.
held() {
	rpc bridge show '["held"]' | jq -r '.rows[].operation'
}

held_are() {
	(($(held | grep -c .) == $1))
}

pf_has_answered() {
	[[ $(rpc bridge show '["inflight"]') != *'"nic0/pf0"'* ]]
}

# Behind the fence VM 2 enables its VF: what the PF is asked passes by what the
# VF was asked before.  The barrier stands behind it, and the reset waits.
enabled_behind_the_fence() {
	load rigs
	rigs_setup
	start bridge rootbridge --vms 3 --timeout 20s
	start nic0 iovdev --vfs 2
	start hv hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2
	start g1 guestd --vm 1 --requests 2
	vm 2
	expect 2 ready
	iovctl hold nic0/vf2 >/dev/null
	say 2 'write 0x40000004 0600'
	wait_until "$PATIENCE" held_are 1
	iovctl -t 20s reset --json nic0/pf0 >"$T/result" 3>&- &
	RESET=$!
	wait_until "$PATIENCE" held_are 2
	wait_until "$PATIENCE" pf_has_answered
}

@test "a VF that is enabled behind the fence is fenced once more" {
	enabled_behind_the_fence
	iovctl release nic0/vf2 >/dev/null
	wait "$RESET"
	assert_equal "$(jq -c '[.vfs, .contained]' "$T/result")" "[2,0]"
	run -0 events 'select(.ev == "reset.fenced-again") | .function'
	assert_output '"nic0/vf2"'
	assert_order reset.a110 reset.fenced-again reset.a115 reset.done
	say 2 'read 0x40000004 2' wait
	expect 2 'read 0x40000004: 0600'
	goes_on g1 nic0/vf1
}

@test "one that is fenced once more and never drains is contained alone" {
	local operation
	enabled_behind_the_fence
	for operation in $(held); do
		iovctl complete "$operation" >/dev/null
	done
	# What it is asked by itself is held, too.
	await reset.fenced-again
	wait_until "$PATIENCE" held_are 2
	iovctl contain nic0/vf2 >/dev/null
	wait "$RESET"
	assert_equal "$(jq -c '[.vfs, .contained]' "$T/result")" "[2,1]"
	has_event contained '.function == "nic0/vf2"'
	goes_on g1 nic0/vf1
}
