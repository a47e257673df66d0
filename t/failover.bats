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
	if [[ ${SPACES:-} ]]; then
		[[ ! ${SERVER:-} ]] || kill "$SERVER" 2>/dev/null || true
		ip netns del "${SPACES}a" || true
		ip netns del "${SPACES}b" || true
	fi
	machine_teardown
}

# power [GUEST-1-OPTION...]: three guests at work; what hvmon gets besides is in
# HYPERVISOR.  The heartbeat may stand so long that a busy computer is no reason.
power() {
	machine_start <<-END
		bridge: rootbridge --vms=4 --timeout 20s
		nic0: iovdev --vfs=3
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --vf nic0/vf3=vm3 --successor vm1 ${HYPERVISOR:-}
		vm1: guestd --vm 1 --successor 1 --heartbeat-limit=1s --send to=nic0/vf2,rate=2000 --echo $*
		vm2: guestd --vm 2 --send to=nic0/vf3,rate=2000 --sink
		vm3: guestd --vm 3 --send to=nic0/vf1,rate=2000 --sink
	END
	show successor state=watching
}

# Two guests; the first one starts again when it is killed.
power_pair() {
	machine_start <<-END
		bridge: rootbridge --vms=3 --timeout 20s
		nic0: iovdev --vfs=2
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --successor vm1
		vm1: RESTART=on-failure guestd --vm 1 --successor 1 --detect=exit --sink
		vm2: guestd --vm 2 --send to=nic0/vf1,rate=1000
	END
	show successor state=watching
}

# power_two OPTIONS OPTIONS: two successors, and a guest that sends to the second
# one; the first one starts again as RESTART says.
power_two() {
	machine_start <<-END
		bridge: rootbridge --vms=4 --timeout 20s
		nic0: iovdev --vfs=3
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --vf nic0/vf3=vm3 --successor vm1,vm2
		vm1: RESTART=${RESTART:-no} guestd --vm 1 --successor 1 $1 --sink
		vm2: guestd --vm 2 --successor 2 $2 --sink
		vm3: guestd --vm 3 --send to=nic0/vf2,rate=1000
	END
	show successor src=vm2 state=watching
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

has_sent() {
	[[ $(rpc "$1" report | jq '[.queues[].frames] | add') -gt 0 ]]
}

has_received() {
	[[ $(rpc "$1" report | jq .frames.received) -gt 0 ]]
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
	# Their receive queues are on again, too.
	wait_until "$PATIENCE" has_received vm2
	machine_stop
}

@test "the first guest loses no frame, and gets none twice" {
	machine_start <<-END
		bridge: rootbridge --vms=3 --timeout 20s
		nic0: iovdev --vfs=3
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm1 --vf nic0/vf3=vm2 --successor vm1
		vm1: guestd --vm 1 --successor 1 --heartbeat-limit=200ms --send vf=nic0/vf1,to=nic0/vf2,rate=20k,size=64-1514 --sink
		vm2: guestd --vm 2 --send to=nic0/vf3,rate=20k --sink
	END
	show successor state=watching
	wait_until "$PATIENCE" has_received vm1
	kill -KILL "$(pid hv)"
	show successor state=watching takeovers=1
	wait_until "$PATIENCE" events_are 1 soft-reset.done
	kill -STOP "$(pid hv)"
	show successor state=watching takeovers=2
	run -0 jq -c '.frames | [.lost, .missed, .repeated, .reordered,
		.corrupted]' <<<"$(rpc vm1 report)"
	assert_output '[0,0,0,0,0]'
	machine_stop
}

@test "hvmon hangs, is frozen, stops counting: the heartbeat tells" {
	power --heartbeat-limit=200ms
	rpc hv hang >/dev/null 3>&- &
	hang=$!
	recovered 1
	await takeover.begin '.why == "heartbeat" and .silent_ns >= 200000000'
	kill -STOP "$(pid hv)"
	recovered 2
	rpc hv stop-heartbeat >/dev/null
	recovered 3
	assert_kept
	wait "$hang" || true
	machine_stop
}

@test "hvmon spins, and is not taken for one that gets no CPU; or aborts" {
	power --heartbeat-limit=200ms
	rpc hv hang '{"spin": true}' >/dev/null 3>&- &
	hang=$!
	recovered 1
	await takeover.begin '.why == "heartbeat"'
	wait "$hang" || true
	rpc hv abort >/dev/null 3>&- &
	hang=$!
	recovered 2
	await takeover.begin '.why == "exit"'
	wait "$hang" || true
	assert_kept
	machine_stop
}

@test "mirror: 130A is kept up to date, and nothing is read in a failover" {
	HYPERVISOR=--link-sync=mirror power --link-sync=mirror
	iovctl bandwidth nic0/vf1 2Gbit
	show link function=nic0/vf1 src=hv notified_allocated=2Gbit
	iovctl at vm1 failover.1707=hold >/dev/null
	kill -KILL "$(pid hv)"
	await failover.1707
	assert_order failover.1703 failover.2001 takeover.serving
	run -0 events 'select(.ev == "failover.1704" or
		.ev == "takeover.rebuild")'
	assert_output ''
	show successor-link function=nic0/vf1 notified=up \
		notified_allocated=2Gbit
	show successor-link function=nic0/vf2 notified=down physical=up
	iovctl release vm1 >/dev/null
	recovered 1
	show link function=nic0/vf1 src=vm1 allocated=2Gbit
	machine_stop
}

@test "changes during a takeover reach the first guest, answered by it" {
	power
	iovctl at vm1 failover.1707=hold >/dev/null
	kill -KILL "$(pid hv)"
	await takeover.serving
	iovctl link nic0/vf1 down
	show link function=nic0/vf1 src=vm1 link=down
	show successor-link function=nic0/vf1 physical=down notified=down
	iovctl bandwidth nic0/vf1 3Gbit
	iovctl link nic0/vf1 up
	show link function=nic0/vf1 src=vm1 link=up allocated=3Gbit
	await driver.1103 '.src == "vm1"'
	show successor-link function=nic0/vf3 notified=down
	iovctl release vm1 >/dev/null
	recovered 1
	show link function=nic0/vf1 src=hv notified=up \
		notified_allocated=3Gbit
	machine_stop
}

@test "the other guests' senders get a transmit error, and come back" {
	power --at=failover.1707=hold
	kill -KILL "$(pid hv)"
	await failover.1707
	await send.error '.src == "vm2" and .why == "forced stop"'
	await send.error '.src == "vm3" and .why == "forced stop"'
	refute has_event send.error '.src == "vm1"'
	iovctl release vm1 >/dev/null
	recovered 1
	wait_until "$PATIENCE" has_sent vm2
	wait_until "$PATIENCE" has_sent vm3
	machine_stop
}

@test "a link change that the hypervisor never read is answered in its place" {
	power --detect=exit
	kill -STOP "$(pid hv)"
	wait_until "$PATIENCE" is_stopped "$(pid hv)"
	iovctl bandwidth nic0/vf1 2Gbit
	show device-link function=nic0/vf1 changed=true
	iovctl at vm1 failover.1707=hold >/dev/null
	kill -KILL "$(pid hv)"
	show link function=nic0/vf1 src=vm1 allocated=2Gbit
	show device-link function=nic0/vf1 changed=false
	iovctl release vm1 >/dev/null
	recovered 1
	machine_stop
}

@test "--detect says what tells of a failure" {
	power --detect=heartbeat --heartbeat-limit=200ms
	kill -KILL "$(pid hv)"
	await takeover.begin '.why == "heartbeat" and .silent_ns >= 200000000'
	recovered 1
	machine_stop
	rm -r "$M"
	power --detect=exit --heartbeat-limit=200ms
	kill -STOP "$(pid hv)"
	wait_until "$PATIENCE" is_silent_for 400000000
	refute has_event takeover.begin
	kill -KILL "$(pid hv)"
	await takeover.begin '.why == "exit"'
	recovered 1
	machine_stop
}

# By the first guest's own looks, in ns.
is_silent_for() {
	[[ $(rpc vm1 show '["successor"]') =~ \"silent_ns\":([0-9]+) ]] &&
		((BASH_REMATCH[1] >= $1))
}

@test "a frozen hvmon that goes on after the claim is fenced, and ends" {
	local old
	power --heartbeat-limit=200ms
	iovctl at vm1 failover.1707=hold >/dev/null
	old=$(pid hv)
	kill -STOP "$old"
	await failover.1707
	kill -CONT "$old"
	await exit '.src == "hv" and .status == 75'
	await claimed '.by == "vm1" and .epoch == 2'
	iovctl release vm1 >/dev/null
	recovered 1
	machine_stop
}

@test "a guest that never takes its frames does not hold the failover up" {
	power --drain-limit=50ms --check-memory
	kill -STOP "$(pid vm2)"
	kill -KILL "$(pid hv)"
	await drain.limit '.vm == "vm2" and .queue == "rx"'
	await takeover.done '.late'
	recovered 1
	await memory.checked '.touched == 0'
	machine_stop
}

@test "--without forced-stop: the others are stopped at the device only" {
	power --without forced-stop --drain-limit=50ms
	kill -KILL "$(pid hv)"
	await takeover.done
	run -0 events 'select(.ev == "forced-stop")'
	assert_output ''
	recovered 1
	machine_stop
}

# spaces A B: namespaces, the first behind the TAP A, the second behind B.
spaces() {
	SPACES=iov$BASHPID
	ip netns add "${SPACES}a"
	ip netns add "${SPACES}b"
	ip link set "$1" netns "${SPACES}a"
	ip link set "$2" netns "${SPACES}b"
	ip -n "${SPACES}a" addr add 10.9.0.1/24 dev "$1"
	ip -n "${SPACES}b" addr add 10.9.0.2/24 dev "$2"
	ip -n "${SPACES}a" link set "$1" up
	ip -n "${SPACES}b" link set "$2" up
}

# Frames that guest 1 sent and received.
frames() {
	rpc vm1 report | jq '[.queues[].frames] | add'
}

more_frames() {
	(($(frames) >= $1))
}

@test "iperf3 between a namespace behind guest 1 and one on the LAN goes on" {
	local guest lan client n
	need_tap
	command -v iperf3 >/dev/null || skip "no iperf3"
	tap_name guest
	tap_name lan
	machine_start <<-END
		bridge: rootbridge --vms=3 --timeout 20s
		nic0: iovdev --vfs=2 --lan tap:$lan
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --successor vm1
		vm1: guestd --vm 1 --successor 1 --heartbeat-limit=1s --tap $guest
		vm2: guestd --vm 2 --send to=nic0/vf1,rate=1000
	END
	show successor state=watching
	spaces "$guest" "$lan"
	ip netns exec "${SPACES}b" iperf3 -s --forceflush >"$T/server" 2>&1 3>&- &
	SERVER=$!
	wait_until "$PATIENCE" grep -q listening "$T/server"
	# For longer than anything here takes; it ends by itself on an error.
	ip netns exec "${SPACES}a" iperf3 -c 10.9.0.2 -t 300 --forceflush \
		>"$T/client" 2>&1 3>&- &
	client=$!
	wait_until "$PATIENCE" more_frames 2000
	kill -KILL "$(pid hv)"
	await takeover.serving
	wait_until "$PATIENCE" more_frames "$(($(frames) + 1000))"
	show successor state=watching takeovers=1
	await soft-reset.done
	wait_until "$PATIENCE" more_frames "$(($(frames) + 1000))"
	kill "$client"
	wait "$client" || true
	run -0 cat "$T/client"
	refute_output --partial error:
	assert_output --partial "connected to 10.9.0.2"
	kill "$SERVER"
	wait "$SERVER" || true
	machine_stop
}

@test "two devices are taken and handed back together" {
	machine_start <<-END
		bridge: rootbridge --vms=3 --timeout 20s
		nic0: iovdev --vfs=2
		nic1: iovdev --vfs=2
		hv: hvmon --vf nic0/vf1=vm1 --vf nic1/vf1=vm1 --vf nic0/vf2=vm2 --vf nic1/vf2=vm2 --successor vm1
		vm1: guestd --vm 1 --successor 1 --detect=exit --sink
		vm2: guestd --vm 2 --send to=nic0/vf1,rate=1000
	END
	show successor state=watching
	kill -KILL "$(pid hv)"
	await takeover.returned
	show successor state=watching takeovers=1
	assert_equal "$(events 'select(.ev == "claimed" and .by == "vm1") |
		.device' | sort)" $'"nic0"\n"nic1"'
	show link function=nic0/vf2 src=vm2 link=up
	show link function=nic1/vf2 src=vm2 link=up
	machine_stop
}

@test "--without drain: nobody waits" {
	power --without drain
	kill -KILL "$(pid hv)"
	await takeover.done
	run -0 events 'select(.ev == "failover.1702")'
	assert_output ''
	recovered 1
	machine_stop
}

@test "hvmon and the first guest are killed at once: the next one asks" {
	power_pair
	kill -KILL "$(pid vm1)" "$(pid hv)"
	await takeover.begin '.why == "nothing to keep"'
	await soft-reset.done
	show successor state=watching
	show link function=nic0/vf2 src=vm2 link=up
	machine_stop
}

@test "a second successor takes over when the first dies in between" {
	power_two '--detect=exit --at=failover.1703=kill' --detect=exit
	was=$(pid vm2)
	kill -KILL "$(pid hv)"
	await takeover.returned '.src == "vm2"'
	await claimed '.by == "vm2" and .epoch == 3'
	show successor src=vm2 state=watching
	show link function=nic0/vf3 src=vm3 link=up
	# What the first one stopped goes on.
	wait_until "$PATIENCE" has_sent vm3
	assert_equal "$(pid vm2)" "$was"
	machine_stop
}

@test "a first guest that is started again leaves it to the second successor" {
	RESTART=on-failure power_two \
		'--detect=exit --at=failover.1603=kill' \
		'--detect=heartbeat --heartbeat-limit=300ms'
	was=$(pid vm2)
	kill -KILL "$(pid hv)"
	await takeover.returned '.src == "vm2"'
	show successor src=vm1 state=watching
	show link function=nic0/vf3 src=vm3 link=up
	assert_equal "$(pid vm2)" "$was"
	machine_stop
}

@test "a successor that stood down goes on when the faster one fails" {
	power_two --heartbeat-limit=1s \
		'--heartbeat-limit=500ms --at=failover.1703=hold'
	# The first one is frozen, the second one takes the PF; then the first
	# one runs, and the second one dies.
	kill -STOP "$(pid vm1)"
	wait_until "$PATIENCE" is_stopped "$(pid vm1)"
	kill -KILL "$(pid hv)"
	await failover.1703 '.src == "vm2"'
	kill -CONT "$(pid vm1)"
	await takeover.stood-down '.src == "vm1"'
	kill -KILL "$(pid vm2)"
	await takeover.returned '.src == "vm1"'
	show link function=nic0/vf3 src=vm3 link=up
	machine_stop
}

@test "a device that is gone before the claim: all are started again" {
	machine_start <<-END
		bridge: rootbridge --vms=3 --timeout 20s
		nic0: RESTART=on-failure iovdev --vfs=2
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --successor vm1
		vm1: guestd --vm 1 --successor 1 --detect=exit --at=failover.1604=hold --sink
		vm2: guestd --vm 2 --send to=nic0/vf1,rate=1000
	END
	show successor state=watching
	kill -KILL "$(pid hv)"
	await failover.1604
	iovctl at bmc program.restart=hold >/dev/null
	kill -KILL "$(pid nic0)"
	await device.gone
	iovctl release vm1 >/dev/null
	await soft-reset.begin
	iovctl release bmc >/dev/null
	await soft-reset.done
	show successor state=watching
	show link function=nic0/vf2 src=vm2 link=up
	show link function=nic0/vf1 src=vm1 link=up
	machine_stop
}

@test "a hypervisor that dies at power on is reset, whoever waits for it" {
	machine_launch <<-END
		bridge: rootbridge --vms=3 --timeout 20s
		nic0: iovdev --vfs=2
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --successor vm1
		vm1: guestd --vm 1 --successor 1 --detect=exit --sink
		vm2: guestd --vm 2 --at=driver.probe=hold --send to=nic0/vf1,rate=1000
	END
	show successor state=watching
	await driver.probe '.src == "vm2"'
	kill -KILL "$(pid hv)"
	await driver.probe '.src == "vm2" and .inc == 2'
	iovctl release vm2 >/dev/null
	await_ready bmc
	show successor state=watching takeovers=1
	show link function=nic0/vf2 src=vm2 link=up
	machine_stop
}

held() {
	rpc bridge show '["held"]' | jq -r '.rows[].operation'
}

holds() {
	[[ $(held | wc -l) -eq $1 ]]
}

# The PF's operations that are held, N of them, take place.
let_go() {
	local operation
	wait_until "$PATIENCE" holds "$1"
	for operation in $(held); do
		iovctl complete "$operation" >/dev/null
	done
}

# The VF's transmit ring is empty.
is_sent() {
	rpc nic0 show '["device-queues"]' | jq -e --arg function "$1" '.rows[] |
		select(.function == $function and .queue == "tx") |
		.write == .read' >/dev/null
}

@test "what a guest enqueues while another one's transmit comes on again goes" {
	machine_start <<-END
		bridge: rootbridge --vms=4 --no-timeout
		nic0: iovdev --vfs=3
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --vf nic0/vf3=vm3 --successor vm1
		vm1: guestd --vm 1 --successor 1 --detect=exit --without=forced-stop --drain-limit=30s --at=failover.1703=hold --at=failover.1707=hold --sink
		vm2: guestd --vm 2 --sink
		vm3: guestd --vm 3 --sink
	END
	show successor state=watching
	kill -KILL "$(pid hv)"
	await failover.1703
	iovctl hold nic0/pf0 >/dev/null
	iovctl release vm1 >/dev/null
	# Transmit of both is off; vm2 enqueues behind it, and is seen.
	let_go 2
	wait_until "$PATIENCE" holds 1
	rpc vm2 send '{"to": "nic0/vf1", "count": 1}' >/dev/null
	let_go 1
	# It comes on again; meanwhile vm3 enqueues.
	wait_until "$PATIENCE" holds 2
	rpc vm3 send '{"to": "nic0/vf1", "count": 1}' >/dev/null
	iovctl fault nic0/pf0 none >/dev/null
	let_go 2
	await takeover.serving
	is_sent nic0/vf2
	is_sent nic0/vf3
	refute has_event drain.limit
	iovctl release vm1 >/dev/null
	await takeover.returned
	machine_stop
}

@test "without a bmc the first guest serves until somebody starts hvmon" {
	start bridge rootbridge --vms=3
	start nic0 iovdev --vfs=2
	start hv hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --successor vm1
	start vm1 guestd --vm 1 --successor 1 --detect=exit --sink
	start vm2 guestd --vm 2 --send to=nic0/vf1,rate=1000
	show successor state=watching
	kill -KILL "${PIDS[hv]}"
	finish hv 137
	await takeover.done '.reset == false'
	run -0 log vm1
	assert_output --partial 'no bmc'
	iovctl link nic0/vf1 down
	show link function=nic0/vf1 src=vm1 link=down
	stop vm2
	start hv hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --successor vm1
	await takeover.returned
	start vm2 guestd --vm 2 --send to=nic0/vf1,rate=1000
	show link function=nic0/vf2 src=vm2 link=up
}

@test "a successor without a VF takes over" {
	machine_start <<-END
		bridge: rootbridge --vms=4 --timeout 20s
		nic0: iovdev --vfs=2
		hv: hvmon --vf nic0/vf1=vm2 --vf nic0/vf2=vm3 --successor vm1
		vm1: guestd --vm 1 --successor 1 --detect=exit
		vm2: guestd --vm 2 --send to=nic0/vf2,rate=1000
		vm3: guestd --vm 3 --sink
	END
	show successor state=watching
	kill -KILL "$(pid hv)"
	await takeover.returned
	show link function=nic0/vf1 src=vm2 link=up
	machine_stop
}

@test "a step of the failover that fails is done again" {
	power --at=failover.1604=fail --at=failover.1704=fail
	kill -KILL "$(pid hv)"
	await takeover.failed '.step == "failover.1604" and .again'
	await takeover.failed '.step == "failover.1704" and .again'
	recovered 1
	machine_stop
}

@test "options of a successor" {
	run -64 guestd --vm 1 --successor 9
	run -64 guestd --vm 1 --successor 1 --heartbeat-limit=1ms
	assert_output --partial "below --monitor-period"
	run -64 guestd --vm 1 --detect often
	run -64 guestd --vm 300 --successor 1
	power --heartbeat-limit=20ms
	await monitor.limit-low '.in_force_ns == 20000000'
	machine_stop
}

# Killed at these points, one after the other: it starts again, has nothing to
# keep, and asks for the reset, unless it did before.
killed_at() {
	local point n=0
	power_pair
	for point; do
		n=$((n + 1))
		iovctl at vm1 "$point=kill" >/dev/null
		kill -KILL "$(pid hv)"
		await ready ".src == \"vm1\" and .inc == $((n + 1))"
		wait_until "$PATIENCE" events_are "$n" soft-reset.done
		show successor state=watching
		show link function=nic0/vf2 src=vm2 link=up
		show link function=nic0/vf1 src=hv notified=up
	done
	machine_stop
}

@test "the first guest is killed at any point of the failover" {
	local points
	mapfile -t points < <(guestd --list-points |
		grep -oE '^failover\.(1603|1604|17..|return)')
	killed_at "${points[@]:0:3}"
	rm -r "$M"
	killed_at "${points[@]:3:3}"
	rm -r "$M"
	killed_at "${points[@]:6}"
}
