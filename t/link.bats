#!/usr/bin/env bats
# link.bats - link and bandwidth, from the device over the PF driver and the
# mailbox to the guests (spec 02: 601 to 702, 1001 to 1004, 1101 to 1103, 1301
# to 1303).  What the device itself does is tested by the unit suite nic_link.
# shellcheck shell=bash disable=SC2154

VFS=(--vf nic0/vf1=vm1 --vf nic0/vf2=vm2)

setup() {
	load machine
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

hardware() {
	start bridge rootbridge --vms=3
	start nic0 iovdev --vfs=3
}

guests() {
	start vm1 guestd --vm 1 --sink "$@"
	start vm2 guestd --vm 2 --sink
}

# show TABLE FIELD=VALUE...: wait for such a row.
show() {
	iovctl wait -t "${PATIENCE}s" "show:$1" "${@:2}"
}

# Physical, notified and what the guest knows: all the same.
assert_agrees() {
	local function=$1 vm=$2 state=$3 rate=$4
	show device-link "function=$function" "link=$state" "allocated=$rate" \
		changed=false
	show link "function=$function" "link=$state" "allocated=$rate" src="$vm"
	show link "function=$function" "physical=$state" "notified=$state" \
		"physical_allocated=$rate"
}

# field SRC FUNCTION NAME: of the table link.
field() {
	iovctl show link --json | jq -r --arg src "$1" --arg function "$2" \
		--arg name "$3" '.rows[] | select(.src == $src and
			.function == $function) | .[$name]'
}

@test "link and bandwidth of a VF reach its guest, and nobody else" {
	hardware
	start hv hvmon "${VFS[@]}"
	guests
	assert_agrees nic0/vf1 vm1 up unlimited
	local before
	before=$(field vm2 nic0/vf2 queries)
	iovctl link nic0/vf1 down
	assert_agrees nic0/vf1 vm1 down unlimited
	iovctl bandwidth nic0/vf1 250Mbit 10Gbit
	iovctl link nic0/vf1 up
	assert_agrees nic0/vf1 vm1 up 250Mbit
	show link function=nic0/vf1 max=10Gbit src=vm1
	assert_order link.601 link.602 driver.1001 driver.1002 driver.1003 \
		driver.1004 driver.1301
	assert_equal "$(field vm2 nic0/vf2 queries)" "$before"
	# Each question has its answer.
	show link function=nic0/vf1 src=vm1 open_ns=0
	assert_equal "$(field vm1 nic0/vf1 queries)" \
		"$(field vm1 nic0/vf1 answers)"
	# The PF's own, and a VF that nobody has.
	iovctl link nic0/pf0 down
	iovctl bandwidth nic0/vf3 1Gbit
	run -64 iovctl bandwidth nic0/vf3 1Gbit fast
	assert_output --partial "max: 'fast'"
	show link function=nic0/pf0 physical=down
	show link function=nic0/vf3 physical_allocated=1Gbit
	show device-link function=nic0/pf0 changed=false
	show device-link function=nic0/vf3 changed=false
}

@test "a guest without link gets errors, and goes on with the link" {
	hardware
	start hv hvmon "${VFS[@]}"
	guests
	iovctl link nic0/vf1 down
	assert_agrees nic0/vf1 vm1 down unlimited
	rpc vm1 send '{"to": "nic0/vf2", "count": 100}' >/dev/null
	await send.error '.why == "link not up"'
	iovctl link nic0/vf1 up
	await workload.done '.src == "vm1" and .done == 100'
}

@test "links of functions that are not there" {
	hardware
	run -64 iovctl link vf1 down
	run -64 iovctl link nic0/vf1
	run -69 iovctl link nic0/vf9 down
	assert_output --partial "no function 'nic0/vf9'"
	run -69 iovctl link nic1/vf1 down
	run -64 iovctl link nic0/vf1 sideways
	assert_output --partial "up or down"
	run -64 iovctl bandwidth nic0/vf1 much
	run -64 iovctl bandwidth nic0/vf1 2Gbit 1Gbit
	# One that is not enabled has a link, and whoever comes is told.
	iovctl link nic0/vf3 down
	start hv hvmon "${VFS[@]}"
	show link function=nic0/vf3 physical=down
	show device-link function=nic0/vf3 changed=false
}

@test "a question waits while the hypervisor is dead, and a change as well" {
	hardware
	start hv hvmon "${VFS[@]}"
	guests --send to=nic0/vf2,rate=1000
	kill -KILL "${PIDS[hv]}"
	finish hv 137
	iovctl link nic0/vf1 down
	iovctl bandwidth nic0/vf2 1Gbit
	show device-link function=nic0/vf1 changed=true
	# The guest sends on, since it was not told; what it sends waits.
	assert_equal "$(field vm1 nic0/vf1 link)" up
	start hv hvmon "${VFS[@]}"
	assert_agrees nic0/vf1 vm1 down unlimited
	assert_agrees nic0/vf2 vm2 up 1Gbit
}

@test "a reset of PF or VF neither moves a link nor loses a question" {
	hardware
	start hv hvmon "${VFS[@]}"
	guests --send to=nic0/vf2,rate=1000
	iovctl link nic0/vf2 down
	iovctl bandwidth nic0/vf1 3Gbit
	assert_agrees nic0/vf2 vm2 down unlimited
	# Asked, not answered, and the mailbox emptied.
	iovctl at hv driver.1103=hold >/dev/null
	iovctl link nic0/vf2 up
	await driver.1103 '.src == "hv"'
	iovctl reset nic0/pf0 3>&- &
	iovctl release hv >/dev/null
	wait $!
	assert_agrees nic0/vf1 vm1 up 3Gbit
	assert_agrees nic0/vf2 vm2 up unlimited
	iovctl reset nic0/vf1
	iovctl link nic0/vf1 down
	assert_agrees nic0/vf1 vm1 down 3Gbit
}

@test "who asks without end holds nobody up" {
	hardware
	start hv hvmon "${VFS[@]}"
	guests
	local i
	for ((i = 0; i < 150; i++)); do
		echo "{\"jsonrpc\":\"2.0\",\"id\":$i,\"method\":\"link\"," \
			"\"params\":[\"nic0/vf1\",\"$( ((i % 2)) && echo up ||
				echo down)\"]}"
	done | socat -t 5 - "UNIX-CONNECT:$M/ctl/nic0.sock" >"$T/answers"
	assert_equal "$(wc -l <"$T/answers")" 150
	iovctl link nic0/vf2 down
	assert_agrees nic0/vf2 vm2 down unlimited
	assert_agrees nic0/vf1 vm1 up unlimited
}

@test "hvmon killed at each point of a link change and of an answer" {
	local point state=down
	hardware
	start hv hvmon "${VFS[@]}"
	guests
	for point in driver.event driver.100{1,2,3,4} driver.110{1,2,3}; do
		echo "--- $point"
		iovctl at hv "$point=kill" >/dev/null
		iovctl link nic0/vf1 "$state"
		finish hv 137
		start hv hvmon "${VFS[@]}"
		assert_agrees nic0/vf1 vm1 "$state" unlimited
		[[ $state == up ]] && state=down || state=up
	done
}

@test "a step that fails is made up for" {
	local point state=down
	hardware
	start hv hvmon "${VFS[@]}"
	guests
	for point in driver.event driver.100{1,2,3,4} driver.110{1,2,3}; do
		iovctl at hv "$point=fail" >/dev/null
		iovctl link nic0/vf1 "$state"
		await point ".point == \"$point\""
		assert_agrees nic0/vf1 vm1 "$state" unlimited
		[[ $state == up ]] && state=down || state=up
	done
	# An interrupt that never came: the bit is there for the next one.
	iovctl at nic0 link.602=fail >/dev/null
	iovctl link nic0/vf1 down
	show device-link function=nic0/vf1 changed=true
	iovctl bandwidth nic0/vf2 1Gbit
	assert_agrees nic0/vf1 vm1 down unlimited
}
