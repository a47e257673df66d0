#!/usr/bin/env bats
# failover-death.bats - any program is killed or frozen at any point of a
# failover (spec 02), and what is to follow follows.  A third of the points in
# each run.
# shellcheck shell=bash disable=SC2154

setup() {
	load machine
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

show() {
	iovctl wait -t "${PATIENCE}s" "show:$1" "${@:2}"
}

# power [HVMON-OPTION...]: a successor with a VF and another guest.  The device
# starts again, and so does the first guest; nothing else does.
power() {
	machine_start <<-END
		bridge: rootbridge --vms=3 --timeout 20s
		nic0: RESTART=on-failure iovdev --vfs=2
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --successor vm1 $*
		vm1: RESTART=on-failure guestd --vm 1 --successor 1 --heartbeat-limit=1s --sink ${FIRST:-}
		vm2: guestd --vm 2 --send to=nic0/vf1,rate=1000
	END
	show successor state=watching
	show link function=nic0/vf2 src=vm2 link=up
}

# The points of a failover, a share of them.
points() {
	guestd --list-points | grep -oE '^failover\.(1603|1604|17..|return)' |
		a_share
}

# hold_at POINT [SIGNAL]: the hypervisor fails, and the failover gets so far.
hold_at() {
	echo "--- $1"
	iovctl at vm1 "$1=hold" >/dev/null
	kill -s "${2:-KILL}" "$(pid hv)"
	await "$1"
}

go_on() {
	iovctl release vm1 >/dev/null
}

# freeze PID: until it stands.
freeze() {
	kill -STOP "$1"
	wait_until "$PATIENCE" is_stopped "$1"
}

# Everybody is there and has a link.
whole() {
	await soft-reset.done
	show successor state=watching
	show link function=nic0/vf1 src=hv notified=up
	show link function=nic0/vf2 src=hv notified=up
	show link function=nic0/vf1 src=vm1 link=up
	show link function=nic0/vf2 src=vm2 link=up
}

# The next machine begins with nothing of this one.
off() {
	machine_stop
	rm -rf "$M"
}

@test "a frozen hvmon is killed at each point: it is reset all the same" {
	local point was
	for point in $(points); do
		power
		# At the last one this is the next hypervisor, which waits.
		hold_at "$point" STOP
		was=$(pid hv)
		kill -KILL "$was"
		go_on
		whole
		[[ $(pid hv) != "$was" ]]
		off
	done
}

@test "a frozen hvmon is continued at each point: it is fenced, or killed" {
	local point was
	for point in $(points); do
		[[ $point != failover.return ]] || continue
		power
		hold_at "$point" STOP
		was=$(pid hv)
		kill -CONT "$was"
		go_on
		whole
		[[ $(pid hv) != "$was" ]]
		off
	done
}

@test "the first guest is frozen at each point: it goes on where it was" {
	local point was
	for point in $(points); do
		power
		hold_at "$point"
		was=$(pid vm1)
		freeze "$was"
		kill -CONT "$was"
		go_on
		whole
		assert_equal "$(pid vm1)" "$was"
		off
	done
}

@test "the first guest is killed at each point: it starts again and asks for the reset" {
	local point was
	for point in $(points); do
		power
		hold_at "$point"
		was=$(pid vm1)
		kill -KILL "$was"
		await ready '.src == "vm1" and .inc == 2'
		whole
		[[ $(pid vm1) != "$was" ]]
		off
	done
}

@test "the root bridge is killed at each point: power is lost" {
	local point
	for point in $(points); do
		power
		hold_at "$point"
		kill -KILL "$(pid bridge)"
		finish bmc 71
		assert_regex "$(log bmc)" 'bridge ended \(SIGKILL\)'
		ended
		rm -rf "$M"
	done
}

# No process of the machine is left.
ended() {
	wait_until "$PATIENCE" no_leftovers
}

# waits_for NAME: the failover goes on when the frozen NAME does.
waits_for() {
	local point was
	for point in $(points); do
		power
		hold_at "$point"
		was=$(pid "$1")
		freeze "$was"
		go_on
		kill -CONT "$was"
		whole
		off
	done
}

@test "the root bridge is frozen at each point: the failover waits for it" {
	waits_for bridge
}

@test "the device is killed at each point: it starts again, as all others do" {
	local point
	for point in $(points); do
		power
		hold_at "$point"
		kill -KILL "$(pid nic0)"
		await device.gone
		go_on
		await ready '.src == "nic0" and .inc == 2'
		whole
		off
	done
}

@test "the device is frozen at each point: the failover waits for it" {
	waits_for nic0
}

@test "bmc is killed at each point: nobody is left, and the next one starts" {
	local point
	for point in $(points); do
		power
		hold_at "$point"
		stop bmc KILL 137
		ended
	done
	power
	off
}

@test "bmc is frozen in a failover: the PF is served until it goes on" {
	local was=
	power
	hold_at failover.1707
	was=${PIDS[bmc]}
	freeze "$was"
	go_on
	iovctl link nic0/vf1 down
	show link function=nic0/vf1 src=vm1 link=down
	iovctl link nic0/vf1 up
	show link function=nic0/vf1 src=vm1 link=up
	kill -CONT "$was"
	whole
	off
}

@test "hvmon is killed again while it takes the PF back" {
	local was
	power
	hold_at failover.return
	was=$(pid hv)
	# The one that waits for the PF.
	kill -KILL "$was"
	go_on
	wait_until "$PATIENCE" takes_over 2
	whole
	[[ $(pid hv) != "$was" ]]
	off
}

takes_over() {
	[[ $(rpc vm1 show '["successor"]') =~ \"takeovers\":([0-9]+) ]] &&
		((BASH_REMATCH[1] >= $1))
}

@test "a hypervisor that fails again and again is not reset for ever" {
	power --at takeback.released=kill
	kill -KILL "$(pid hv)"
	await takeover.no-reset
	await takeover.done '.reset == false'
	# The PF is served on.
	iovctl link nic0/vf1 down
	await link '.src == "vm1" and .up == false'
	off
}

@test "two failures in a row, and the machine is whole after both" {
	local was
	power
	was=$(pid vm1)
	for n in 1 2; do
		kill -KILL "$(pid hv)"
		show successor state=watching "takeovers=$n"
	done
	whole
	assert_equal "$(pid vm1)" "$was"
	off
}
