#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2154 # PIDS is of machine.bash
# hca.bats - a host channel adapter whose partitions are used by guests
# directly: messages and RDMA writes between two guests' queue pairs,
# interrupts, hostile neighbours, resets and deaths.

setup() {
	load machine
	load verbs
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
	VFU=$(realpath "$BIN/../t/tool")/vfu
}

teardown() {
	machine_teardown
}

# A machine with an adapter: partition n is vm n's.
power_on() {
	machine_start <<-END
		bridge: rootbridge
		hca0: iovdev --type hca --vfs 3
		hv: hvmon --vf hca0/vf1=vm1 --vf hca0/vf2=vm2 --vf hca0/vf3=vm3
	END
}

# guest N SPEC...: vm N runs until its exchanges are over.
guest() {
	launch "vm$1" guestd --vm "$1" --once "${@:2}"
}

# both SPEC: vm1 and vm2 exchange with each other, and both are content.
both() {
	guest 1 "--exchange=to=2,$1"
	guest 2 "--exchange=to=1,$1"
	finish vm1 0
	finish vm2 0
}

# content N WHAT: vm N's messages came as they should.
content() {
	assert_equal "$(events "select(.src == \"vm$1\" and
		.ev == \"workload.done\")" | jq -r .detail)" \
		"$2, misdelivered 0, reordered 0, corrupted 0"
}

# of TABLE N FIELD: the sum over the rows of partition N of the adapter.
of() {
	rpc hca0 show "[\"$1\"]" | jq -re --arg f "hca0/vf$2" --arg k "$3" \
		'[.rows[] | select(.function == $f) | .[$k]] | add // 0'
}

# more_than N TABLE PARTITION FIELD
more_than() {
	(($(of "${@:2}") > $1))
}

# be_vm3 STEP...: the verbs and these, on its bus socket.
be_vm3() {
	run -0 "$VFU" "$M/bus/vm3.sock" hello "write 0 0x40000004 0600" \
		"${STEPS[@]}" "$@"
	assert_equal "$(grep '^read' <<<"$output")" \
		"$(printf '%s\n' "${STATUSES[@]}")"
}

@test "hca: messages and RDMA writes between two guests: all, once, in order, whole" {
	power_on
	both count=2000,size=60-1514,write=4
	content 1 "2/1: received 2000, written 500"
	content 2 "1/1: received 2000, written 500"
	machine_stop
}

@test "hca: many queue pairs share one event queue, whose events coalesce" {
	local n
	power_on
	start vm1 guestd --vm 1 --exchange=to=2,count=200,queues=10,depth=8
	start vm2 guestd --vm 2 --exchange=to=1,count=200,queues=10,depth=8
	for n in 1 2; do
		await workload.done ".src == \"vm$n\""
		content "$n" "$((3 - n))/1: received 2000, written 0"
		# 4,000 completions, each told by an event or by one before it.
		assert_equal $(($(of eq $n recorded) +
			$(of eq $n coalesced))) 4000
		assert [ "$(of eq $n coalesced)" -gt 0 ]
		assert [ "$(of eq $n interrupts)" -le "$(of eq $n recorded)" ]
		assert_equal "$(of eq $n dropped)" 0
		run -0 rpc "vm$n" show '["cards"]'
		assert_output --partial '"stray":0'
	done
	assert_equal "$(of partitions 3 eqs)" 0
	machine_stop
}

only_one_eq() {
	[[ $(of partitions 1 eqs) == 1 ]]
}

@test "hca: queue pairs with event queues of their own: each event comes by the right one" {
	local n
	power_on
	# The peer is not there yet: the queues can be looked at.
	start vm1 guestd --vm 1 --exchange=to=2,count=200,queues=8,depth=8,eqs=own
	wait_until "$PATIENCE" more_than 8 partitions 1 eqs
	assert_equal "$(of partitions 1 eqs)" 9
	start vm2 guestd --vm 2 --exchange=to=1,count=200,queues=8,depth=8,eqs=own
	for n in 1 2; do
		await workload.done ".src == \"vm$n\""
		content "$n" "$((3 - n))/1: received 1600, written 0"
		rpc "vm$n" show '["cards"]' |
			jq -e '.rows[0] | .events >= 8 and .stray == 0'
	done
	wait_until "$PATIENCE" only_one_eq
	machine_stop
}

# descriptors: how many the root bridge has open.
descriptors() {
	find "/proc/$(pid bridge)/fd" -type l | wc -l
}

@test "hca: a guest takes four descriptors of the root bridge" {
	local before
	power_on
	# Its socket is there already, and its memory, which the adapter maps.
	before=$(descriptors)
	start vm1 guestd --vm 1 --exchange=to=1,queues=4,eqs=own
	wait_until "$PATIENCE" more_than 4 partitions 1 eqs
	assert [ $(($(descriptors) - before)) -le 2 ]
	machine_stop
}

@test "hca: requests and their responses" {
	power_on
	start vm1 guestd --vm 1 --exchange=to=2,way=request,count=300,write=3
	guest 2 --exchange=to=1,way=respond,count=300,write=3
	finish vm2 0
	await workload.done '.src == "vm1"'
	content 1 "2/1: received 300, written 100"
	content 2 "1/1: received 300, written 100"
	rpc vm1 report | jq -e '.workloads[0] | .p50_ns > 0 and
		.p99_ns >= .p50_ns'
	machine_stop
}

@test "hca: with the delay timer two interrupts a delay at most" {
	local ns interrupts
	power_on
	start vm1 guestd --vm 1 --exchange=to=2,count=1500,delay=20ms
	start vm2 guestd --vm 2 --exchange=to=1,count=1500
	await workload.done '.src == "vm1"'
	content 1 "2/1: received 1500, written 0"
	ns=$(events 'select(.src == "vm1" and (.ev == "workload.started" or
		.ev == "workload.done")) | .t' | jq -s '.[1] - .[0]')
	interrupts=$(of eq 1 interrupts)
	echo "$interrupts interrupts in $ns ns"
	assert [ "$interrupts" -gt 0 ]
	# A few come at once before the verbs that set the timer are done.
	assert [ "$interrupts" -le $((ns / 10000000 + 8)) ]
	machine_stop
}

@test "hca: a guest that does not consume delays nobody but who sends to it" {
	power_on
	guest 2 --exchange=to=1,count=500
	await workload.started '.src == "vm2"'
	kill -STOP "${PIDS[vm2]}"
	guest 1 --exchange=to=2,count=500 --exchange=to=3,service=9,count=500
	guest 3 --exchange=to=1/9,count=500
	finish vm3 0
	content 3 "1/9: received 500, written 0"
	kill -CONT "${PIDS[vm2]}"
	finish vm2 0
	finish vm1 0
	machine_stop
}

@test "hca: handles freed, forged, of another guest; numbers and addresses out of range" {
	local theirs eq
	power_on
	guest 1 --exchange=to=2,count=3000,rate=2000
	guest 2 --exchange=to=1,count=3000,rate=2000
	await workload.started '.src == "vm1"'
	wait_until "$PATIENCE" more_than 0 qp 1 sent
	theirs=$(rpc hca0 show '["qp"]' | jq -r '.rows[0].handle')
	# The third event queue that there ever was will be vm3's.
	eq=0xc0000002
	STEPS=() STATUSES=()
	verb 2 2 1 "$theirs" 0            # STORE: stop it
	verb 2 3 18 "$theirs" 0           # LOAD its peer
	verb 2 4 0 "$theirs" 0            # FREE
	verb 0 1 3 0 0                    # ALLOCATE an EQ
	verb 5 2 6 "$eq" $((1 << 40))     # an ASB in no memory
	verb 4 2 8 "$eq" 4                # no such subclass
	verb 3 2 7 "$eq" 64               # a PSB is the machine's
	verb 2 2 8 $((eq | 0x1000)) 0     # above all that there are
	verb 2 2 8 $((eq | 0x1fffe000)) 0 # forged
	verb 0 4 0 "$eq" 0                # FREE
	verb 2 2 8 "$eq" 0                # freed
	be_vm3 "write 0 0x50010000 $(little $((theirs | 0xffff << 32)))" \
		"fuzz 0 0x50000000 0x100 300 7" \
		"fuzz 0 0x50010000 0x1000 300 8"
	assert [ "$(of partitions 3 bad_doorbells)" -gt 0 ]
	await hca.error '.function == "hca0/vf3"'
	finish vm1 0
	finish vm2 0
	content 1 "2/1: received 3000, written 0"
	content 2 "1/1: received 3000, written 0"
	machine_stop
}

@test "hca: a partition that is reset, a guest that is killed: the peer learns it" {
	power_on
	guest 1 --exchange=to=2,count=100000,rate=1000
	guest 2 --exchange=to=1,count=100000,rate=1000
	wait_until "$PATIENCE" more_than 10 qp 1 received
	rpc hv reset '["hca0/vf2"]' >/dev/null
	finish vm2 1
	finish vm1 1
	await workload.failed '.src == "vm2" and
		(.detail | endswith("the adapter was reset"))'
	await workload.failed '.src == "vm1" and
		(.detail | endswith("the peer is gone"))'
	guest 1 --exchange=to=2,count=100000,rate=1000
	guest 2 --exchange=to=1,count=100000,rate=1000
	wait_until "$PATIENCE" more_than 10 qp 1 received
	kill -KILL "${PIDS[vm2]}"
	finish vm1 1
	finish vm2 137
	both count=300
	machine_stop
}

# exchanged N MORE: each of vm N's queue pairs had so many messages.
exchanged() {
	rpc "vm$1" report | jq -e ".workloads[0].least > $2" >/dev/null
}

@test "hca: a guest that is killed and comes back: the other makes its queue pairs anew" {
	local n
	power_on
	start vm1 guestd --vm 1 --exchange=to=2,queues=4,rate=2000,eqs=own,again=10ms
	start vm2 guestd --vm 2 --exchange=to=1,queues=4,rate=2000,eqs=own,again=10ms
	wait_until "$PATIENCE" exchanged 1 10
	kill -KILL "${PIDS[vm2]}"
	finish vm2 137
	await vm.reset '.vm == "vm2"'
	n=$(rpc vm1 report | jq .workloads[0].least)
	start vm2 guestd --vm 2 --exchange=to=1,queues=4,rate=2000,eqs=own,again=10ms
	wait_until "$PATIENCE" exchanged 1 $((n + 200))
	wait_until "$PATIENCE" exchanged 2 10
	for n in 1 2; do
		rpc "vm$n" report | jq -e '.workloads[0] | .errors == 0 and
			.lost == 0 and .reopened >= (4 * (2 - '$n'))'
		run -0 rpc "vm$n" show '["cards"]'
		assert_output --partial '"stray":0'
	done
	machine_stop
}

@test "hca: guests do not notice that the hypervisor was killed" {
	power_on
	guest 1 --exchange=to=2,count=2000,rate=2000
	guest 2 --exchange=to=1,count=2000,rate=2000
	wait_until "$PATIENCE" more_than 10 qp 1 received
	kill -KILL "$(pid hv)"
	await program.gone '.name == "hv"'
	iovctl start hv
	await device.ready '.device == "hca0" and .adopted'
	finish vm1 0
	finish vm2 0
	content 1 "2/1: received 2000, written 0"
	both count=200
	machine_stop
}

@test "hca: options that no adapter has" {
	local bad
	run -64 iovdev --type hca --vfs 31
	assert_output --partial "has 30 at most"
	run -64 iovdev --type hca --lan sink
	for bad in count=1 to=0 to=31 to=2/0 to=2,depth=3 to=2,delay=2s \
		to=2,way=back to=2,again=1s,count=5 to=2,eqs=none \
		to=2,queues=2049 to=2,service=65535,queues=2 to=2,poll; do
		run -64 guestd --vm 1 --exchange "$bad"
	done
}
