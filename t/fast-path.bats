#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # bats sets them, a test its own M
# fast-path.bats - queues at full speed: every frame that was sent came whole,
# once and in order, or was dropped at a full ring and counted; whatever else
# happens at the device meanwhile.
#
# The switch has no flow control, so how many are dropped is a matter of who
# runs when; that they are counted is not.

setup() {
	load machine
	machine_setup
	need bmc rootbridge iovdev hvmon guestd
}

teardown() {
	machine_teardown
}

# power_on IOVDEV-OPTION...: three VMs with a VF each.
power_on() {
	machine_start <<-END
		bridge: rootbridge --vms 4 --memory 32MiB --timeout 20s
		nic1: iovdev --vfs 4 $*
		hv: hvmon --vf nic1/vf1=vm1 --vf nic1/vf2=vm2 --vf nic1/vf3=vm3
	END
}

# report NAME JQ-FILTER
report() {
	rpc "$1" report | jq -r "$2"
}

# Dropped at the receive queue of VF $1 since the device started.
dropped() {
	rpc nic1 show '["device-counters"]' | jq --arg f "nic1/vf$1" \
		'.rows[] | select(.function == $f) | .rx_dropped'
}

# Of $1 frames to vm2 each was received or dropped.
all_accounted() {
	(($(report g2 .frames.received) + $(dropped 2) == $1))
}

assert_accounted() {
	if ! wait_until "$PATIENCE" all_accounted "$1"; then
		fail "of $1 frames $(report g2 .frames.received) were received, \
$(dropped 2) dropped"
	fi
	run -0 report g2 '.frames | [.repeated, .reordered, .corrupted,
		.foreign] | @csv'
	assert_output "0,0,0,0"
}

none_missing() {
	(($(report g2 .frames.received) + $(dropped 2) >= $1))
}

long() {
	[[ ${IOVKIT_CAMPAIGN:-} == long ]]
}

@test "numbered, checksummed frames of all sizes at full speed" {
	local count=50000
	! long || count=10000000
	power_on
	start g2 guestd --vm 2 --sink
	run -0 guestd --vm 1 --once --send \
		"to=nic1/vf2,count=$count,size=60-1514,seed=7"
	assert_accounted "$count"
	[[ $(report g2 .frames.received) -gt 0 ]]
}

@test "the indexes pass their end, whoever looks how" {
	local mode
	for mode in busy adaptive sleep; do
		M=$T/$mode
		export IOVKIT_MACHINE=$M
		power_on --poll "$mode"
		start g2 guestd --vm 2 --sink --poll "$mode" \
			--ring-start 4294966296
		run -0 guestd --vm 1 --poll "$mode" --once \
			--ring-start 4294967000 \
			--send to=nic1/vf2,count=5000,size=60-1514
		assert_accounted 5000
		run -0 report g2 '.queues[] | select(.queue == "rx") |
			.write < 100000'
		assert_output true
		stop g2
		machine_stop
	done
}

# all_up GUEST N: so many of its VFs run.
all_up() {
	(($(rpc "$1" show '["vf"]' | jq '[.rows[] | select(.state == "up")] |
		length') == $2))
}

sent_all() {
	(($(rpc nic1 show '["lan"]' | jq '.rows[0].sent') == $1))
}

# How often a guest rang for what it sends.
rung_by() {
	rpc "$1" show '["queues"]' | jq '[.rows[] | select(.queue == "tx") |
		.doorbells] | add'
}

# Doorbells and interrupts at all VFs since the device started.
rung() {
	rpc nic1 show '["device-counters"]' |
		jq '[.rows[] | .doorbells + .interrupts] | add'
}

@test "between busy sides nobody rings" {
	power_on --poll busy
	start g2 guestd --vm 2 --sink --poll busy
	run -0 guestd --vm 1 --poll busy --once \
		--send to=nic1/vf2,count=50000,size=64-300
	assert_accounted 50000
	# What the setup of two VFs and the end of a stream take.
	run -0 rung
	((output < 50))
}

# How many accesses of vm1 the bridge has carried out.
accesses() {
	rpc bridge show '["vms"]' | jq '.rows[] | select(.vm == "vm1") | .accesses'
}

@test "a guest with many VFs rings at none of them through the bridge" {
	local vf given=() before
	for vf in {1..20}; do
		given+=(--vf "nic1/vf$vf=vm1")
	done
	machine_start <<-END
		bridge: rootbridge --vms 2 --memory 32MiB --timeout 20s
		nic1: iovdev --vfs 20 --poll sleep --lan sink
		hv: hvmon ${given[*]}
	END
	start g1 guestd --vm 1 --ring 16
	wait_until "$PATIENCE" all_up g1 20
	before=$(accesses)
	for vf in {1..20}; do
		rpc g1 send "{\"vf\": \"nic1/vf$vf\", \"count\": 1,
			\"to\": \"02:00:5e:00:53:01\"}"
	done
	wait_until "$PATIENCE" sent_all 20
	run -0 accesses
	assert_output "$before"
	run -0 rung_by g1
	((output >= 20))
}

@test "a guest that is followed step by step receives as fast as it sends" {
	machine_start <<-END
		bridge: rootbridge --vms 2 --memory 32MiB --timeout 20s
		nic1: iovdev --vfs 2
		hv: hvmon --vf nic1/vf1=vm1 --vf nic1/vf2=vm1
	END
	start g2 guestd --vm 1
	wait_until "$PATIENCE" all_up g2 2
	# It is not passed, but all that are might be.
	iovctl at g2 failover.1707=hold
	rpc g2 send '{"vf": "nic1/vf1", "to": "nic1/vf2", "count": 200000,
		"size": "1514"}' >/dev/null
	assert_accounted 200000
	assert_equal "$(dropped 2)" 0
}

@test "rings that are full or empty all the time" {
	local mode
	power_on
	start g2 guestd --vm 2 --sink --ring 4
	start g3 guestd --vm 3 --ring 4 --echo
	for mode in sleep adaptive; do
		rpc g3 reset-counters
		# Three fit: the sender waits for each that is finished.
		run -0 guestd --vm 1 --poll "$mode" --ring 4 --once \
			--send to=nic1/vf2,count=3000,depth=3,size=60-300
		# One at a time, each ring is empty after each.
		run -0 guestd --vm 1 --poll "$mode" --ring 4 --once \
			--roundtrip to=nic1/vf3,count=500
		[[ $(report g3 '.workloads[0].done') == 500 ]]
	done
	(($(report g2 .frames.received) + $(dropped 2) == 6000))
}

# switch_off_and_on ADDRESS OFF ON: steps for vfu.
switch_off_and_on() {
	steps+=("write 0 $1 $2" "read 0 $1 $((${#2} / 2))" "write 0 $1 $3")
}

@test "enables that are switched under load" {
	local vfu=$BIN/../t/tool/vfu steps=() sent off=00000000 on=01000000
	[[ -x $vfu ]] || fail "$vfu is not built"
	power_on
	start g2 guestd --vm 2 --sink
	start g1 guestd --vm 1
	# Whoever is vm0 reaches all registers: the queues', the PF's for each
	# VF, and Bus Master Enable.
	for _ in {1..20}; do
		switch_off_and_on 0x5001010c $off $on # vf1, transmit
		switch_off_and_on 0x5001418c $off $on # vf2, receive
		switch_off_and_on 0x50004008 $off $on
		switch_off_and_on 0x5000410c $off $on
		switch_off_and_on 0x40101004 0000 0400
		switch_off_and_on 0x40102004 0000 0400
	done
	iovctl kill hv >/dev/null
	rpc g1 send '{"to": "nic1/vf2", "size": "60-1514"}' >/dev/null
	for _ in {1..5}; do
		run -0 "$vfu" "$M/bus/vm0.sock" hello "${steps[@]}"
		[[ $(grep -c "^read 0 0x50.*: $off\$" <<<"$output") == 80 ]]
		[[ $(grep -c "^read 0 0x40.*: 0000\$" <<<"$output") == 40 ]]
	done
	rpc g1 stop-workload
	sent=$(report g1 '.workloads[0].done')
	assert_accounted "$sent"
	((sent > 1000))
}

@test "a guest that writes nonsense into its rings slows nobody's frames" {
	local vfu=$BIN/../t/tool/vfu sent
	[[ -x $vfu ]] || fail "$vfu is not built"
	power_on
	start g2 guestd --vm 2 --sink
	start g1 guestd --vm 1
	rpc g1 send '{"to": "nic1/vf2", "size": "60-1514"}'
	run -0 "$vfu" "$M/bus/vm3.sock" hello guest rings "churn 300"
	assert_line "churn 300: stops"
	run -0 "$vfu" "$M/bus/vm3.sock" hello guest "rings 4" "churn 200"
	assert_line "churn 200: stops"
	rpc g1 stop-workload
	sent=$(report g1 '.workloads[0].done')
	# Frames of its own may come to anybody, and be dropped as well.
	wait_until "$PATIENCE" none_missing "$sent"
	run -0 report g2 '.frames | [.repeated, .reordered, .corrupted] | @csv'
	assert_output "0,0,0"
	run ! has_event program.gone true
}

# vm2 receives more than $1 frames.
more_than() {
	(($(report g2 .frames.received) > $1))
}

@test "guests killed and started again in the middle of bursts" {
	power_on
	start g3 guestd --vm 3 --sink
	for _ in 1 2 3; do
		start g2 guestd --vm 2 --sink
		start g1 guestd --vm 1 --send to=nic1/vf2,size=60-1514
		wait_until "$PATIENCE" more_than 0
		# The receiver, with frames on their way; then the sender.
		stop g2 KILL 137
		start g2 guestd --vm 2 --sink
		wait_until "$PATIENCE" more_than 0
		stop g1 KILL 137
		# What arrived of the stream arrived once and whole.
		run -0 report g2 '.frames | [.repeated, .reordered,
			.corrupted] | @csv'
		assert_output "0,0,0"
		stop g2
	done
	# Others saw nothing of it.
	run -0 guestd --vm 1 --once --send to=nic1/vf3,count=1000,rate=10k
	run -0 report g3 '.frames | [.received, .corrupted, .foreign] | @csv'
	assert_output "1000,0,0"
	run ! has_event shutdown true
}
