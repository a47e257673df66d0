#!/usr/bin/env bats
# shellcheck disable=SC2154 # PIDS is of machine.bash
# event-guests.bats - one adapter's events, demultiplexed to guests (spec 04):
# adapter, firmware, a partition's hypervisor and guests as real processes.

setup() {
	load machine
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

# Partition 1 is vm1's, with guests vm2 to vm4; partition 2 is vm5's, with none:
# it uses the adapter directly.
power_on() {
	machine_start <<-END
		bridge: rootbridge --vms 5 --exception-timeout 60s --memory 16MiB
		hca0: iovdev --type hca --vfs 2
		hv: hvmon --level 1 --vf hca0/vf1=vm1 --vf hca0/vf2=vm5 --guests vm1=vm2-vm4
		lvl2: hvmon --level 2 --partition 1 --vm vm1
	END
}

# guest N SPEC...: vm N runs until its exchanges are over.
guest() {
	launch "vm$1" guestd --vm "$1" --once "${@:2}"
}

# exchange N M SPEC: they exchange with each other; each one's service is its
# number, then 0.
exchange() {
	guest "$1" "--exchange=to=1/${2}0,service=${1}0,$3"
	guest "$2" "--exchange=to=1/${1}0,service=${2}0,$3"
}

# content N WHAT: vm N's messages came as they should.
content() {
	assert_equal "$(events "select(.src == \"vm$1\" and
		.ev == \"workload.done\")" | jq -r .detail)" \
		"$2, misdelivered 0, reordered 0, corrupted 0"
}

# firmware FIELD: what level 1 counted for partition 1.
firmware() {
	rpc hv show '["summary"]' |
		jq -re ".rows[] | select(.function == \"hca0/vf1\") | .$1"
}

firmware_has() {
	(($(firmware "$1") >= $2))
}

rows_are() {
	[[ $(rpc "$1" show "[\"$2\"]" | jq '.rows | length') -eq $3 ]]
}

@test "event-demux: every completion arrives at its owner, once, in order; level 2 does not run for it" {
	local before
	power_on
	exchange 2 3 count=1000,queues=4,write=5
	finish vm2 0
	finish vm3 0
	content 2 "1/30: received 4000, written 800"
	content 3 "1/20: received 4000, written 800"
	assert [ "$(firmware forwarded)" -gt 0 ]
	assert_equal "$(firmware dropped)" 0
	# Events coalesce: fewer than completions (sent, received, written).
	assert [ "$(firmware events)" -lt 17600 ]
	# Verbs are all that level 2 was asked: none for messages.
	wait_until "$PATIENCE" rows_are lvl2 geqcb 0
	before=$(rpc lvl2 show '["summary"]' | jq '.rows[0].intercepted')
	assert [ "$before" -lt 4000 ]
	assert_equal "$(rpc lvl2 show '["summary"]' | jq -c '.rows[0] |
		[.events, .forwarded, .dropped]')" "[0,0,0]"
	machine_stop
}

@test "event-demux: level 2 killed: events of running guests go on arriving" {
	power_on
	exchange 2 3 count=2000,rate=4000
	await workload.started '.src == "vm2"'
	await workload.started '.src == "vm3"'
	wait_until "$PATIENCE" firmware_has forwarded 10
	kill -KILL "$(pid lvl2)"
	await program.gone '.name == "lvl2"'
	await workload.done '.src == "vm2"'
	await workload.done '.src == "vm3"'
	content 2 "1/30: received 2000, written 0"
	content 3 "1/20: received 2000, written 0"
	# Their queues are freed by the next one, and new guests have theirs.
	iovctl start lvl2
	finish vm2 0
	finish vm3 0
	await level2.adopted '.ended == 0'
	exchange 2 4 count=100
	finish vm2 0
	finish vm4 0
	wait_until "$PATIENCE" rows_are hca0 qp 0
	machine_stop
}

@test "event-demux: level 1 killed: what comes meanwhile arrives when it is back" {
	power_on
	exchange 2 3 count=1000,rate=2000
	wait_until "$PATIENCE" firmware_has forwarded 10
	kill -KILL "$(pid hv)"
	await program.gone '.name == "hv"'
	iovctl start hv
	finish vm2 0
	finish vm3 0
	content 2 "1/30: received 1000, written 0"
	content 3 "1/20: received 1000, written 0"
	machine_stop
}

@test "event-demux: a guest that does not consume, and one that is killed, delay no other" {
	power_on
	exchange 2 3 count=100000,rate=1000
	await workload.started '.src == "vm2"'
	wait_until "$PATIENCE" firmware_has forwarded 10
	kill -STOP "${PIDS[vm2]}"
	# vm4 exchanges with a partition that uses the adapter directly.
	guest 4 --exchange=to=2/5,service=4,count=500
	guest 5 --exchange=to=1/4,service=5,count=500
	finish vm4 0
	finish vm5 0
	content 4 "2/5: received 500, written 0"
	content 5 "1/4: received 500, written 0"
	kill -KILL "${PIDS[vm2]}"
	finish vm2 137
	finish vm3 1
	await workload.failed '.src == "vm3"'
	await level2.guest-reset '.vm == 2'
	await level2.guest-reset '.vm == 3'
	exchange 2 3 count=200
	finish vm2 0
	finish vm3 0
	content 2 "1/30: received 200, written 0"
	machine_stop
}

@test "event-demux: level 2 is alerted for a guest that does not run, and wakes it" {
	local before
	power_on
	start vm2 guestd --vm 2 --exchange=to=1/3,service=2,way=respond,count=20
	await workload.started '.src == "vm2"'
	wait_until "$PATIENCE" rows_are lvl2 geqa 1
	rpc lvl2 sleep '["vm2"]'
	before=$(firmware alerts)
	start vm3 guestd --vm 3 --exchange=to=1/2,service=3,way=request,count=20
	await level2.woken '.vm == 2'
	await workload.done '.src == "vm2"'
	await workload.done '.src == "vm3"'
	# One alert, which clears the mask; then interrupts again.
	assert_equal "$(firmware alerts)" $((before + 1))
	machine_stop
}
