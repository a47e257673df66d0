#!/usr/bin/env bats
# failover.bats - the first guest keeps its I/O when the hypervisor dies (spec
# 02): monitor, emergency link, failover, sub PF driver, and the way back.
# shellcheck shell=bash disable=SC2154

setup() {
	load machine
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

# power [GUEST-1-OPTION...]: three guests at work; what the others get besides
# is in OTHERS, what hvmon gets in HYPERVISOR.
power() {
	machine_start <<-END
		bridge: rootbridge --vms=4
		nic0: iovdev --vfs=3
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --vf nic0/vf3=vm3 --successor vm1 ${HYPERVISOR:-}
		vm1: guestd --vm 1 --successor 1 --send to=nic0/vf2,rate=2000 --echo $*
		vm2: guestd --vm 2 --send to=nic0/vf3,rate=2000 --sink ${OTHERS:-}
		vm3: guestd --vm 3 --send to=nic0/vf1,rate=2000 --sink ${OTHERS:-}
	END
	show successor state=watching
}

show() {
	iovctl wait -t "${PATIENCE}s" "show:$1" "${@:2}"
}

# recovered N: whole again after N takeovers.
recovered() {
	show successor state=watching "takeovers=$1"
	wait_until "$PATIENCE" events_are "$1" soft-reset.done
	show link function=nic0/vf1 src=vm1 link=up
	show link function=nic0/vf3 src=hv notified=up
	show link function=nic0/vf2 src=hv notified=up
}

events_are() {
	[[ $(cat "$M"/events/*.jsonl | grep -c "\"ev\":\"$2\"") -eq $1 ]]
}

# The first guest lost nothing of what it received, and nothing twice.
assert_kept() {
	rpc vm1 report >"$T/report"
	run -0 jq -c '.frames | [.repeated, .corrupted]' "$T/report"
	assert_output '[0,0]'
}

@test "hvmon is killed: the first guest goes on, the others come back, twice" {
	power --check-memory
	was=$(pid vm1)
	kill -KILL "$(pid hv)"
	await takeover.done
	assert_order takeover.begin failover.1603 failover.1604 fence.done \
		failover.1701 failover.1702 failover.1703 failover.1704 \
		failover.1705 failover.1706 takeover.serving vm.unmapped \
		takeover.checked failover.1707 soft-reset.begin \
		takeover.done failover.return takeover.returned
	recovered 1
	await forced-stop '.src == "vm2"'
	await memory.checked '.touched == 0'
	await takeover.checked '.written == 0'
	await takeover.begin '.why == "exit"'
	iovctl link nic0/vf1 down
	show link function=nic0/vf1 src=vm1 link=down
	iovctl link nic0/vf1 up
	kill -KILL "$(pid hv)"
	recovered 2
	assert_equal "$(pid vm1)" "$was"
	assert_kept
	machine_stop
}
