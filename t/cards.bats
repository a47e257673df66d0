#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2034,SC2154 # PIDS is of machine.bash
# cards.bats - an Ethernet card and a UART given whole to a guest, which drives
# them: messages, bytes, a terminal, resets, the death of guest and hypervisor.

setup() {
	load machine
	load uart
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

# A machine with both cards, which vm1 has.
power_on() {
	machine_start <<-END
		bridge: rootbridge
		ether0: iovdev --type ether ${ETHER-}
		com0: iovdev --type uart --line unix:$T/line
		hv: hvmon --device ether0=vm1 --device com0=vm1
	END
}

# guest OPTION...: run vm1 until its workloads are done.
guest() {
	timeout $((PATIENCE * 3)) guestd --vm 1 --once "$@" 2>&1
}

# cards FIELD NAME: of the guest's table.
cards() {
	rpc vm1 show '["cards"]' | jq -re --arg name "$2" --arg field "$1" \
		'.rows[] | select(.card == $name) | .[$field] | tostring'
}

@test "cards: numbered messages of a card to itself are all there, in order" {
	power_on
	run -0 guest --messages=count=1000,size=60-1514
	assert_output --partial "of these numbered 1000: lost 0, missed 0"
	assert_output --partial "repeated 0, reordered 0, corrupted 0"
	run -0 rpc ether0 show '["device-ether"]'
	assert_output --partial '"sent":1000'
	assert_output --partial '"received":1000'
	machine_stop
}

@test "cards: messages leave for the LAN" {
	ETHER="--lan pcap:$T/frames" power_on
	run -0 guest --messages=to=02:69:aa:bb:cc:dd,count=20,size=100
	machine_stop
	run -0 tcpdump -ner "$T/frames"
	assert_equal "$(grep -c '02:69:6f:00:00:00 > 02:69:aa:bb:cc:dd' \
		<<<"$output")" 20
}

@test "cards: bytes through a UART in every way it is driven" {
	local way
	power_on
	far_end EXEC:cat
	for way in '' ,mode=7e1 ,mode=7o2 ,poll ,loop ,loop,poll \
		,loop,mode=5n2; do
		run -0 guest "--bytes=count=3000$way"
	done
	machine_stop
}

@test "cards: standard input and output are a UART's, as in a pipeline" {
	power_on
	far_end EXEC:'sed -u s/line/LINE/'
	seq -f 'line %g' 200 >"$T/in"
	# It ends when nothing has come for that long.
	timeout $((PATIENCE * 3)) guestd --vm 1 --once --idle 1s --tty \
		<"$T/in" >"$T/got"
	sed s/line/LINE/ "$T/in" | diff - "$T/got"
	machine_stop
}

@test "cards: a terminal program talks over the pty with a shell behind the guest" {
	machine_start <<-END
		bridge: rootbridge
		com0: iovdev --type uart --line pty
		hv: hvmon --device com0=vm1
	END
	terminal_opens
	echo 'echo $((6 * 7))' >&"$keys"
	wait_until "$PATIENCE" screen_says 42
	terminal_closes
	machine_stop
}

@test "cards: a wrong byte is seen" {
	power_on
	# Each byte that is 0 comes back as 1.
	far_end 'EXEC:"tr \\\\000 \\\\001"'
	run -1 guest --bytes=count=100000
	await workload.failed '.detail | endswith("is 0x01 and not 0x00")'
	machine_stop
}

up() {
	[[ $(cards state "$1") == up && $(cards resets "$1") -ge $2 ]]
}

@test "cards: after a reset by the operator a guest sets its card up and goes on" {
	power_on
	start guest1 guestd --vm 1 --name=vm1 \
		--messages=to=02:69:aa:bb:cc:dd,count=3000
	await workload.started
	run -0 iovctl reset ether0/pf0
	await function.reset.done '.function == "ether0/pf0"'
	wait_until "$PATIENCE" up ether0 1
	await workload.done '.done == 3000' $((PATIENCE * 2))
	run -0 cards refused ether0
	assert_output 0
	stop guest1
	machine_stop
}

@test "cards: a guest that dies leaves them to the next one" {
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	stop guest1 KILL 137
	await vm.reset.done
	run -0 guest --messages=count=50
	run -0 guest --bytes=count=500,loop
	machine_stop
}

@test "cards: a guest does not notice that the hypervisor was killed" {
	local before
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	kill -KILL "$(pid hv)"
	wait_until "$PATIENCE" more_messages
	iovctl start hv
	await device.ready '.device == "ether0" and .adopted'
	await device.ready '.device == "com0" and .adopted'
	wait_until "$PATIENCE" more_messages
	run -0 cards resets ether0
	assert_output 0
	run -0 rpc vm1 report
	assert_output --partial '"lost":0'
	assert_output --partial '"corrupted":0'
	stop guest1
	run -0 guest --bytes=count=500,loop
	machine_stop
}

# More than at the last call, and 100 more.
more_messages() {
	local n
	n=$(cards received ether0) || return 1
	: "${SEEN:=$n}"
	((n > SEEN + 100)) && SEEN=$n
}

@test "cards: what can be given, and what not" {
	machine_start <<-END
		bridge: rootbridge
		nic0: iovdev --vfs 1
		com0: iovdev --type uart
		hv: hvmon
	END
	await device.ready '.device == "com0"'
	await device.ready '.device == "nic0"'
	run -0 rpc_error hv allocate '["nic0/pf0", "vm1"]'
	assert_output "nic0/pf0 is a PF; VFs are allocated"
	run -0 rpc_error hv allocate '["com0/vf1", "vm1"]'
	assert_output "com0/vf1 is not there"
	run -0 rpc hv allocate '["com0/pf0", "vm1"]'
	run -0 rpc_error hv allocate '["com0/pf0", "vm2"]'
	assert_output "com0/pf0 is allocated to vm1 already"
	run -0 guest --bytes=count=100,loop
	run -0 rpc hv free '["com0/pf0"]'
	run -0 rpc hv allocate '["com0/pf0", "vm2"]'
	run -64 hvmon --device com0
	assert_output --partial "DEVICE=VM"
	run -64 hvmon --device nic0/vf1=vm1
	run -64 guestd --vm 1 --bytes=mode=9n1
	assert_output --partial "'9n1' is no mode"
	run -64 guestd --vm 1 --messages=depth=3
	assert_output --partial "no key 'depth'"
	run -64 guestd --vm 1 --tty=way=both
	machine_stop
}
