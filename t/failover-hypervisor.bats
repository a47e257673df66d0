#!/usr/bin/env bats
# failover-hypervisor.bats - the hypervisor's part of a failover (spec 02): sign
# of life, what a successor needs, and taking the PF back.  VM 1, the successor,
# is a script.
# shellcheck shell=bash disable=SC2154

VFS=(--vf nic0/vf1=vm1 --vf nic0/vf2=vm2)

setup() {
	load machine
	load rigs
	machine_setup
	rigs_setup
	need rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

hardware() {
	start bridge rootbridge --vms=4 --timeout 20s
	start nic0 iovdev --vfs=3
}

# hypervisor [OPTION...]: VM 1 succeeds it.
hypervisor() {
	start hv hvmon "${VFS[@]}" --successor vm1 "$@"
}

# In the state area, at this offset.
state() {
	od -An -tu"$2" -j"$1" -N"$2" "$M/state" | tr -d ' '
}

counts_on() {
	(($(state 128 8) > $1))
}

show() {
	iovctl wait -t "${PATIENCE}s" "show:$1" "${@:2}"
}

# page AT SIZE BYTES: what VM 1 sees in the page that it shares with VM 0.
page() {
	local at
	at=$(printf '%x' "$1")
	: >"$T/vm1"
	say 1 "read $1 $2 16"
	expect 1 "read (0x)?0*($at|$1): $3"
}

# Of nic0 in the page, and of VF n in there.
nic0=128
vf() {
	echo $((nic0 + 64 - 8 + 48 * $1))
}

@test "the hypervisor counts until it hangs, aborts or is told to stop" {
	hardware
	hypervisor --heartbeat 2ms
	assert_equal "$(state 136 4)" "${PIDS[hv]}"
	assert_equal "$(state 140 4)" 2000
	assert_equal "$(state 520 4)" 0
	assert_equal "$(state 524 4)" 1
	wait_until "$PATIENCE" counts_on 5
	iovctl call hv stop-heartbeat >/dev/null
	local n
	n=$(state 128 8)
	show device-link function=nic0/vf1 link=up
	iovctl link nic0/vf1 down
	show link function=nic0/vf1 physical=down
	assert_equal "$(state 128 8)" "$n"
	# It hangs, and does not even hear SIGTERM.
	iovctl call hv hang >/dev/null
	wait_until "$PATIENCE" is_blocked "${PIDS[hv]}"
	kill -TERM "${PIDS[hv]}"
	kill -KILL "${PIDS[hv]}"
	finish hv 137
	start hv hvmon --heartbeat 2ms
	assert_equal "$(state 524 4)" 0
	n=$(state 128 8)
	wait_until "$PATIENCE" counts_on "$n"
	iovctl call hv abort >/dev/null
	finish hv 134
	# Who ends in order is not missed; who is killed is.
	start hv hvmon
	stop hv
	assert_equal "$(state 136 4)" 0
	start hv hvmon --heartbeat 0
	assert_equal "$(state 140 4)" 0
	n=$(state 128 8)
	local pid=${PIDS[hv]}
	kill -KILL "$pid"
	finish hv 137
	assert_equal "$(state 136 4)" "$pid"
	assert_equal "$(state 128 8)" "$n"
}

# pause() of a loop that hangs, not epoll_wait().
is_blocked() {
	[[ $(cat "/proc/$1/wchan" 2>/dev/null) == *pause* ]] ||
		[[ $(cut -d' ' -f1 "/proc/$1/syscall" 2>/dev/null) == 34 ]]
}

@test "a successor finds all that it needs, and 130A up to date" {
	hardware
	hypervisor --successor vm1,vm3 --link-sync mirror
	vm 1
	vm 2
	say 1 'read 0xc000000 16 9' wait
	expect 1 'read 0xc000000: 00010100010000000001020003000000'
	# Emergency links, with a page of zeroes; VM 2 has none with VM 0.
	say 1 'write 0 01 18' wait 'read 0 4 19'
	expect 1 'read 0: 00000000'
	say 2 'read 0 4 17' 'read 0 4 16' wait
	expect 2 'read 0: 01000000' 'read 0: error'
	# IVlk, version, nobody asks.
	page 0 16 49566c6b010000000000000000000000
	# nic0, 01:00.0, 3 VFs, epoch 1, BAR 0.
	page "$nic0" 4 6e696330
	page $((nic0 + 32)) 16 00010300010000000000106000000000
	page "$(($(vf 1) + 4))" 8 0100000001000000
	assert_equal "$(state 588 4)" 3
	# Before VM 2 is told (1004), or has its answer (1103).
	iovctl at hv driver.1004=hold >/dev/null
	iovctl bandwidth nic0/vf2 1Gbit 1Gbit
	await driver.1004
	page "$(($(vf 2) + 4))" 12 020000000100000000000000
	page "$(($(vf 2) + 24))" 8 00ca9a3b00000000
	assert_order driver.1001 driver.1002 driver.1803 driver.1003 driver.1004
	iovctl release hv >/dev/null
	# No row lets it through before it owns the PF; then both do.
	say 1 'read 0x40100000 4' 'read 0x60100000 4' wait
	expect 1 'read 0x40100000: error EPERM' 'read 0x60100000: error EPERM'
	say 1 'claim 0x100 1' wait 'read 0x40100000 2' 'read 0x60100000 4' wait
	expect 1 'claim: ok' 'read 0x40100000: 361b' 'read 0x60100000: '
}

@test "rebuild leaves 130A to the successor" {
	hardware
	hypervisor
	vm 1
	page $((nic0 + 32)) 8 0001030000000000
	iovctl link nic0/vf2 down
	show link function=nic0/vf2 physical=down
	assert_equal "$(events 'select(.ev == "driver.1803")' | wc -l)" 0
}

@test "a frozen hypervisor that goes on is fenced" {
	hardware
	hypervisor
	vm 1
	kill -STOP "${PIDS[hv]}"
	wait_until "$PATIENCE" is_stopped "${PIDS[hv]}"
	say 1 'claim 0x100 1' wait
	expect 1 'claim: ok'
	pause 50
	kill -CONT "${PIDS[hv]}"
	finish hv 75
	assert_regex "$(log hv)" 'another hypervisor owns'
	# It is still the one that is missed.
	refute [ "$(state 136 4)" = 0 ]
}

# VM 1 owns the PF, as after a failover, and the hypervisor is dead.
taken_over() {
	kill -KILL "${PIDS[hv]}"
	finish hv 137
	say 1 'irq 2 129' 'claim 0x100 1' wait 'route 0x100 0 1 129' wait
	expect 1 'claim: ok' 'route: ok'
}

# The owner hands it over, with this in 130A about VF 1: notified up, 1 Gbit/s.
hand_over() {
	say 1 "write $(($(vf 1) + 4)) 01000000 16" \
		"write $(($(vf 1) + 12)) 01000000 16" \
		"write $(($(vf 1) + 32)) 00ca9a3b00000000 16" \
		"write $(($(vf 1) + 40)) 00ca9a3b00000000 16" \
		"write $((nic0 + 36)) 02000000 16" wait 'release 0x100 2' wait
	expect 1 'release: ok'
}

@test "a new hypervisor gets the PF handed over, with 130A" {
	hardware
	hypervisor
	vm 1
	start vm2 guestd --vm 2 --sink
	taken_over
	# A change that no hypervisor saw.
	iovctl bandwidth nic0/vf1 1Gbit 1Gbit
	kill -KILL "${PIDS[vm2]}"
	finish vm2 137
	launch hv hvmon "${VFS[@]}" --successor vm1
	await takeback.ask
	expect 1 'irq 2 129'
	page 8 4 "$(printf '%08x' "${PIDS[hv]}" |
		sed 's/\(..\)\(..\)\(..\)\(..\)/\4\3\2\1/')"
	# Nothing was written, nobody was fenced.
	assert_equal "$(events 'select(.ev == "fenced")' | wc -l)" 0
	: >"$T/vm1"
	hand_over
	await_ready hv
	await links.taken '.vm == "vm1" and .vfs == 1 and .epoch == 2'
	page 8 4 00000000
	show link function=nic0/vf1 notified=up \
		notified_allocated=1Gbit physical_allocated=1Gbit
	assert_order takeback.ask takeback.released adopt.bars adopt.links \
		adopt.done
	# VM 2 comes back, and its completion interrupt is the hypervisor's.
	start vm2 guestd --vm 2 --sink
	show link function=nic0/vf2 notified=up
	iovctl call hv reset '{"function":"nic0/pf0","confirm":"interrupt"}'
	# The next one fails, too.
	kill -KILL "${PIDS[hv]}"
	finish hv 137
	: >"$T/vm1"
	say 1 'claim 0x100 3' wait
	expect 1 'claim: ok'
}

@test "a hypervisor that waits for the PF gets it when its owner dies" {
	hardware
	hypervisor
	vm 1
	taken_over
	launch hv hvmon "${VFS[@]}" --successor vm1
	await takeback.ask
	# Killed while it waits: the next one asks anew.
	kill -KILL "${PIDS[hv]}"
	finish hv 137
	launch hv hvmon "${VFS[@]}"
	await takeback.ask ".inc > 1 or .src == \"hv\""
	kill_vm 1
	await_ready hv
	await vm.reset.done '.vm == "vm1"'
	rows_owner vm0
	vm 1
	expect 1 ready
	# And VM 1 is a successor no more.
	say 1 'read 0 4 9'
	expect 1 'read 0: error E(PERM|INVAL)'
}

@test "a hypervisor killed at each step of taking the PF back" {
	hardware
	hypervisor
	vm 1
	taken_over
	local at
	for at in takeback.page takeback.ask; do
		launch hv hvmon "${VFS[@]}" --successor vm1 --at "$at=kill"
		finish hv 137
		rows_owner vm1
	done
	# Handed over to one that is dead by then: VM 1 may take it again, or the
	# next hypervisor does.
	launch hv hvmon "${VFS[@]}" --successor vm1 --at takeback.released=kill
	await takeback.asked '.inc == 4'
	hand_over
	finish hv 137
	rows_owner null
	: >"$T/vm1"
	say 1 'claim 0x100 2' wait
	expect 1 'claim: ok'
	launch hv hvmon "${VFS[@]}" --successor vm1 --at adopt.claim=hold
	await adopt.claim '.inc == 5'
	say 1 'release 0x100 3' wait
	expect 1 'release: ok'
	iovctl release hv >/dev/null
	await_ready hv
	kill -KILL "${PIDS[hv]}"
	finish hv 137
	for at in claim bars driver give links "done"; do
		launch hv hvmon "${VFS[@]}" --successor vm1 \
			--at "adopt.$at=kill"
		finish hv 137
	done
	start hv hvmon "${VFS[@]}" --successor vm1
	rows_owner vm0
}

rows_owner() {
	[[ $(rpc bridge show '["functions"]' |
		jq -r '.rows[] | select(.function == "nic0/pf0") | .owner') == \
		"$1" ]]
}

# With a real successor, and a board controller that starts the others again.
real_machine() {
	machine_start <<-EOF
		bridge: rootbridge --vms=3 --timeout 20s
		nic0: iovdev --vfs=2
		hv: hvmon ${VFS[*]} --successor vm1
		vm1: guestd --vm 1 --successor 1 --sink --send to=nic0/vf2,rate=2000
		vm2: guestd --vm 2 --sink --send to=nic0/vf1,rate=2000
	EOF
	await successor.watching
	show link function=nic0/vf2 notified=up
}

@test "a hypervisor that dies in the midst of a PF's reset" {
	local at
	for at in a105 a115 masters; do
		real_machine
		iovctl at hv "reset.$at=kill" >/dev/null
		iovctl reset nic0/pf0 || true
		await soft-reset.done
		assert_order "reset.$at" takeover.begin takeover.done \
			takeover.returned soft-reset.done
		# Both hear of the end of the hand-over at the same time.
		assert_order takeover.done links.taken soft-reset.done
		show link function=nic0/vf1 notified=up physical=up
		show link function=nic0/vf2 notified=up physical=up
		# What it began is complete, unless nothing was taken away yet.
		[[ $at == a105 ]] || has_event reset.taken-up
		machine_stop
	done
}

@test "successors that cannot be" {
	hardware
	run -64 hvmon --successor vm0
	run -64 hvmon --successor vm1,vm1
	run -64 hvmon --successor vm300
	run -64 hvmon --link-sync maybe
	run -64 hvmon --heartbeat 1us
	run -64 hvmon --successor vm1 --schedule vm1=10ms,vm2=10ms
	assert_output --partial "vm1 is a successor"
	run -69 hvmon --successor vm9
	assert_output --partial "has no vm9"
	# One without a VF: it has no I/O to keep, but may take over.
	start hv hvmon --vf nic0/vf2=vm2 --successor vm1
	await successor.named '.vm == "vm1" and .vfs == 0'
	run rpc hv schedule '{"vm": "vm1", "time": "10ms"}'
	assert_output --partial "is a successor"
	# Others than the former hypervisor's.
	stop hv
	start hv hvmon --vf nic0/vf2=vm2 --successor vm3,vm1
	vm 1
	say 1 'read 0xc000000 24 9' wait
	expect 1 'read 0xc000000: 00010100030000000001020001000000(00){8}'
}
