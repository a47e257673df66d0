#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2034 # bats, jq; PIDS is of machine.bash
# active-standby.bats - VMs that share devices with a single port (spec 03).

setup() {
	load machine
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
	LAN=02:69:aa:bb:cc:dd
}

teardown() {
	machine_teardown
}

# field TABLE SRC KEY VALUE FIELD: of the row with KEY=VALUE.
field() {
	rpc "$2" show "[\"$1\"]" | jq -re --arg key "$3" --arg value "$4" \
		--arg field "$5" \
		'.rows[] | select(.[$key] == $value) | .[$field] | tostring'
}

holder() {
	field connections hv device "$1" vm
}

# Guests that are no standby of each other by themselves: only commands switch.
two_guests() {
	machine_start <<-END
		bridge: rootbridge
		ether0: iovdev --type ether --lan pcap:$T/frames
		com0: iovdev --type uart
		hv: hvmon --device ether0=vm1,vm2 \
			--device com0=vm1,vm2
		vm1: guestd --vm 1 --messages=to=$LAN,rate=2k
	END
	launch vm2 guestd --vm 2 "--messages=to=$LAN,rate=2k"
	wait_until "$PATIENCE" runs vm2
}

runs() {
	[[ $(field vm hv vm "$1" state) == running ]]
}

# It sends more than it had sent.
sends() {
	local n
	n=$(field cards "$1" card ether0 sent) || return 1
	: "${SENT:=$n}"
	((n > SENT))
}

goes_on() {
	unset SENT
	wait_until "$PATIENCE" sends "$1"
}

# From the event log: of no device has a VM memory while another one has, and
# each change of a connection is the next epoch's.
one_owner() {
	events 'select(.ev == "function.assigned" or
		.ev == "connection.changed")' | jq -se '
		[foreach .[] as $e ({};
			if $e.ev == "function.assigned" then
				($e.function) as $f |
				.bad = (.owner[$f] != null and $e.vm != null and
					.owner[$f] != $e.vm) |
				.owner[$f] = $e.vm
			else
				.bad = (.epoch[$e.device] != null and
					$e.epoch != .epoch[$e.device] + 1) |
				.epoch[$e.device] = $e.epoch
			end;
			select(.bad))] == []'
}

@test "a device is switched on request, and back: one owner, one sender" {
	local i
	two_guests
	for i in 1 2 3; do
		run -0 iovctl connect ether0 vm2
		assert_line "vm vm2"
		run -0 holder ether0
		assert_output vm2
		goes_on vm2
		run -0 iovctl connect ether0 vm1
		goes_on vm1
	done
	run -0 holder com0
	assert_output vm1
	stop vm2
	machine_stop
	one_owner
	# The other end sees one sender at a time, and whole frames.
	run -0 senders
	assert_output "vm1 vm2 vm1 vm2 vm1 vm2 vm1"
}

# What the LAN saw, from the capture: VMs in the order in which they sent, in
# runs; "torn" where the numbers of a run have a gap, or a frame another size.
# A driver that lost its card sends once more what it does not know was sent.
senders() {
	tcpdump -nexxr "$T/frames" 2>/dev/null | awk '
		/length/ {
			match($0, /length [0-9]+/)
			size = substr($0, RSTART + 7, RLENGTH - 7)
			if (first && size != first)
				print "torn"
			first = size
		}
		$1 == "0x0010:" {
			vm = substr($4, 1, 1)
			stream = $3 $4
			number = hex(substr($6, 3) substr($6, 1, 2) \
				substr($5, 3) substr($5, 1, 2))
			if (stream in last && number != last[stream] + 1 &&
				(vm == now || number != last[stream]))
				print "torn"
			last[stream] = number
			if (vm != now)
				print "vm" vm
			now = vm
		}
		function hex(text, i, n) {
			for (i = 1; i <= length(text); i++)
				n = n * 16 + index("0123456789abcdef", \
					substr(text, i, 1)) - 1
			return n
		}' | xargs
}

@test "what cannot be connected is refused, and changes nothing" {
	two_guests
	run -75 iovctl connect ether0 vm1
	assert_output --partial "ether0 is connected with vm1 already"
	run -69 iovctl connect ether0 vm99
	assert_output --partial "has no vm99"
	run -75 iovctl connect ether0 vm3
	assert_output --partial "vm3 does not run"
	run -69 iovctl connect ether1 vm2
	assert_output --partial "no device ether1"
	stop vm2
	run -75 iovctl connect ether0 vm2
	assert_output --partial "vm2 does not run"
	run -64 iovctl connect ether0
	run -0 field connections hv device ether0 epoch
	assert_output 1
	machine_stop
}

settled() {
	[[ $(field connections hv device ether0 state) == settled ]]
}

# killed_at POINT: hvmon is killed there while ether0 goes to the other one.
killed_at() {
	local from to
	from=$(holder ether0)
	to=$([[ $from == vm1 ]] && echo vm2 || echo vm1)
	echo "--- $1, from $from to $to"
	iovctl at hv "$1=kill" >/dev/null
	run ! iovctl connect ether0 "$to"
	run -0 iovctl start hv
	wait_until "$PATIENCE" settled
	# Nothing was begun there.
	[[ $1 != connect.begin ]] || to=$from
	run -0 holder ether0
	assert_output "$to"
	goes_on "$to"
}

@test "hvmon killed at each point of a switch: the next one completes it" {
	local at
	local -a points
	two_guests
	mapfile -t points < <(hvmon --list-points |
		awk '$1 ~ /^connect[.]/ { print $1 }' | a_share)
	for at in "${points[@]}"; do
		killed_at "$at"
	done
	stop vm2
	machine_stop
	one_owner
	run -0 senders
	refute_output --partial torn
}
