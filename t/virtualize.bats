#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2034,SC2154 # PIDS is of machine.bash
# virtualize.bats - devices that are virtualised and let go while a guest uses
# them (spec 05).

setup() {
	load machine
	load virtualize
	DEVICE=ether0
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
	VFU=${BIN%/bin}/t/tool/vfu
}

teardown() {
	machine_teardown
}

# An Ethernet card, which vm1 has.  Nobody loses patience with a busy computer.
power_on() {
	machine_start <<-END
		bridge: rootbridge --exception-timeout 0
		ether0: RESTART=${RESTART-no} iovdev --type ether ${ETHER-}
		hv: hvmon --device ether0=vm1${VIRTUAL-}
	END
}

# switch VERB [OPTION...]
switch() {
	iovctl "$1" -t "${PATIENCE}s" ether0 "${@:2}"
}

# cards FIELD: of the guest's table.
cards() {
	rpc vm1 show '["cards"]' | jq -re --arg field "$1" \
		'.rows[] | select(.card == "ether0") | .[$field] | tostring'
}

# More than at the last call, and 50 more.
more_messages() {
	local n
	n=$(cards received) || return 1
	: "${SEEN:=$n}"
	((n > SEEN + 50)) && SEEN=$n
}

# The guest of a machine that is done: nothing lost, twice, torn, out of order.
all_there() {
	run -0 rpc vm1 report
	assert_output --partial '"lost":0'
	assert_output --partial '"repeated":0'
	assert_output --partial '"reordered":0'
	assert_output --partial '"corrupted":0'
}

# reset_often N: each as soon as the one before is answered, so that it meets the
# set-up that follows.
reset_often() {
	local i reply in out socat
	coproc LINE { socat - "UNIX-CONNECT:$M/ctl/vm1.sock"; }
	out=${LINE[0]} in=${LINE[1]} socat=$LINE_PID
	for ((i = 0; i < $1; i++)); do
		printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":[0]}\n' \
			reset-card >&"$in"
		read -r reply <&"$out"
		[[ $reply == *'"card":"ether0"'* ]]
	done
	exec {in}>&-
	wait "$socat"
}

is_up() {
	[[ $(cards state) == up ]]
}

# Nothing of ours or of the guest's lies behind a reset at the device, where it
# would be thrown away.
@test "virtualize: a card comes up by itself after resets in the midst of set-ups" {
	local i
	ETHER='--latency 300us' power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	run -0 switch virtualize
	for i in 1 2 3 4 5; do
		reset_often 4
		wait_until "$PATIENCE" is_up
		wait_until "$PATIENCE" more_messages
	done
	refute has_event reply.late
	refute has_event virtual.refused
	stop guest1
	machine_stop
}

@test "virtualize: a device is virtualised, and let go, while a guest sends" {
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	run -0 switch virtualize
	assert_output --partial "mode virtual"
	await virtual.emulating
	wait_until "$PATIENCE" more_messages
	assert_equal "$(devices mode)" virtual
	run -0 switch devirtualize --limit 0
	assert_output --partial "mode direct"
	wait_until "$PATIENCE" more_messages
	assert_equal "$(devices mode)" direct
	assert_order virt.210 virt.212 virt.214 virt.216 virt.218 virt.420 \
		devirt.708 devirt.710 devirt.712 devirt.714 devirt.716 \
		devirt.718 devirt.720 devirt.722
	all_there
	run -0 cards illegal
	assert_output 0
	stop guest1
	machine_stop
}

# Back and forth, COUNT times; each way of holding off in turn.
switch_often() {
	local i ways=(block busy log pause lock) n=$1
	for ((i = 0; i < n / 2; i++)); do
		if ((i % 3)); then
			rpc hv virtualize '["ether0"]' >"$T/answer"
		else
			rpc hv virtualize '["ether0", "pause", "0"]' >"$T/answer"
		fi
		# In the search every second time, at any moment of a sequence.
		((i % 2)) || wait_until "$PATIENCE" is machine start
		rpc hv devirtualize "{\"device\":\"ether0\",\"limit\":\"0\",
			\"hold\":\"${ways[i % ${#ways[@]}]}\"}" >"$T/answer"
	done
}

@test "virtualize: no message of a fast guest is lost, twice, torn or out of order" {
	local n=60
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] || n=1000
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages=size=60-1514
	await workload.started
	switch_often "$n"
	wait_until "$PATIENCE" more_messages
	assert_equal "$(events 'select(.ev == "device.direct")' | wc -l)" \
		$((n / 2))
	run has_event hold.refused
	assert_failure
	all_there
	run -0 cards illegal
	assert_output 0
	run -0 cards resets
	assert_output 0
	stop guest1
	machine_stop
}

# A guest that is asked to rest, or waits for a device that looks busy, resets it:
# whoever has the device waits for it, and it does not wait for them.
@test "virtualize: a guest resets its card while it is switched, and neither waits for ever" {
	local hold
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	reset_often 40 3>&- {NEVER}>&- &
	PIDS[resets]=$!
	for hold in busy pause lock busy pause; do
		rpc hv virtualize "[\"ether0\", \"$hold\", \"0\"]" \
			>"$T/answer"
		rpc hv devirtualize "{\"device\":\"ether0\",
			\"limit\":\"0\", \"hold\":\"$hold\"}" \
			>"$T/answer"
	done
	finish resets 0
	wait_until "$PATIENCE" is_up
	wait_until "$PATIENCE" more_messages
	refute has_event reply.late
	refute has_event virtual.refused
	stop guest1
	machine_stop
}

# strike POINT METHOD PARAMS: kill the hypervisor there, and have the next one.
strike() {
	local victim
	victim=$(pid hv)
	echo "# $*"
	iovctl at hv "$1=kill" >"$T/at"
	rpc_raw hv "$2" "$3" >"$T/answer" || true
	wait_until "$PATIENCE" is_gone "$victim"
	iovctl start hv >/dev/null
	wait_until "$PATIENCE" is state ready
	wait_until "$PATIENCE" more_messages
	[[ $(devices mode) == @(direct|virtual) ]]
}

# to MODE: bring it there, which works after all that was done to it.
to() {
	if ! is mode "$1"; then
		switch "$2" "${@:3}"
	fi
	wait_until "$PATIENCE" more_messages
}

@test "virtualize: a hypervisor killed at any point leaves a device in one mode" {
	local point i=0 ways=(block log busy pause lock)
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	while read -r point; do
		if [[ $point == virt.* ]]; then
			to direct devirtualize --limit 0
			strike "$point" virtualize '["ether0"]'
		else
			to virtual virtualize
			wait_until "$PATIENCE" is machine start
			strike "$point" devirtualize \
				"[\"ether0\", \"${ways[i++ % 5]}\", \"0\"]"
		fi
	done < <(hvmon --list-points | awk '$1 ~ /^(de)?virt\./ { print $1 }' |
		a_share)
	to virtual virtualize
	to direct devirtualize --limit 0
	run -0 rpc vm1 report
	assert_output --partial '"corrupted":0'
	assert_output --partial '"reordered":0'
	stop guest1
	machine_stop
}

# A guest whose every access is made by hand.  It has no interrupts.
BAR=0x50000000
by_hand() {
	mkfifo "$T/to" "$T/from"
	VFU_PATIENCE=$PATIENCE "$VFU" "$M/bus/vm1.sock" hello - \
		<"$T/to" >"$T/from" 3>&- {NEVER}>&- &
	PIDS[hand]=$!
	exec {to}>"$T/to" {from}<"$T/from"
	reply
	master
}

# Memory Space and Bus Master Enable.
master() {
	step 'write 0 0x40000004 0600'
}

ask() {
	echo "$1" >&"$to"
}

reply() {
	read -t "$PATIENCE" -r -u "$from" REPLY
	REPLY=${REPLY#*: }
}

# step STEP: and its reply, in REPLY.
step() {
	ask "$1"
	reply
}

hand_off() {
	exec {to}>&- {from}<&-
	finish hand 0
}

# csr A|B|C: a step.  64 bytes at 0x1000 to 02:69:aa:bb:cc:dd.
csr() {
	case $1 in
	A) echo "write 0 $BAR 0010000000000000" ;;
	B) echo "write 0 $((BAR + 8)) 4000000000000000" ;;
	C) echo "write 0 $((BAR + 16)) 0269aabbccdd0000" ;;
	esac
}

# A whole sequence: the card sends a message.
message() {
	local name
	for name in A B C; do
		step "$(csr "$name")"
	done
}

# status EVENTS STATE: in hex, as the next read of it tells.
status() {
	step "read 0 $((BAR + 24)) 8"
	assert_equal "$REPLY" "${1}${2}000000000000"
}

sent() {
	[[ $(rpc ether0 show '["device-ether"]') == *"\"sent\":$1,"* ]]
}

@test "virtualize: a switch in the middle of a sequence, at each of its states" {
	local n i=0 csrs=(A B C)
	power_on
	by_hand
	for n in 0 1 2 3; do
		# Begun directly, n writes before the switch.
		for csr in "${csrs[@]:0:n}"; do
			step "$(csr "$csr")"
		done
		switch virtualize
		for csr in "${csrs[@]:n}"; do
			step "$(csr "$csr")"
			assert_equal "$REPLY" ok
		done
		status 05 01
		sent $((++i))
		# The boundary is the end of a sequence that was seen whole.
		if ((n)); then
			is machine search
			message
			status 05 01
			sent $((++i))
		fi
		wait_until "$PATIENCE" is machine start
		# Begun while virtual, and let go in the middle.
		for csr in "${csrs[@]:0:n}"; do
			step "$(csr "$csr")"
		done
		iovctl devirtualize -t "${PATIENCE}s" --limit 0 ether0 3>&- \
			{NEVER}>&- >"$T/out$n" 2>&1 &
		PIDS[switch]=$!
		if ((n % 3)); then
			wait_until "$PATIENCE" is hold block
			assert_equal "$(devices mode)" virtual
		fi
		for csr in "${csrs[@]:n}"; do
			step "$(csr "$csr")"
			assert_equal "$REPLY" ok
		done
		wait_until "$PATIENCE" sent $((++i))
		status 05 01
		finish switch 0
		assert_equal "$(devices mode)" direct
	done
	hand_off
	machine_stop
}

@test "virtualize: several whole sequences are watched first, if asked" {
	power_on
	by_hand
	switch virtualize --watch 3
	for n in 1 2 3; do
		is machine search
		message
		status 05 01
		sent "$n"
	done
	wait_until "$PATIENCE" is machine start
	hand_off
	machine_stop
}

@test "virtualize: interrupts of what the guest began itself are passed on" {
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	# It sends no other message before it knows that the last one is sent.
	switch virtualize --watch 50
	await virtual.emulating
	[[ $(devices passed_on) -ge 10 ]]
	wait_until "$PATIENCE" more_messages
	stop guest1
	machine_stop
}

# A guest by hand whose device is emulated, and at start.
emulated_by_hand() {
	power_on
	by_hand
	switch virtualize
	message
	await virtual.emulating
	status 05 01
}

# let_go OPTION...: in the background, until it holds off.
let_go() {
	iovctl devirtualize -t "${PATIENCE}s" ether0 "$@" 3>&- {NEVER}>&- \
		>"$T/let-go" 2>&1 &
	PIDS[switch]=$!
}

# A message is sent, and its event unread: nothing is let go before.
leave_unread() {
	message
	wait_until "$PATIENCE" sent 2
}

@test "virtualize: block lets the first access of a new sequence wait" {
	emulated_by_hand
	iovctl at hv devirt.716=hold
	let_go --hold block --limit 0
	await devirt.716
	ask "$(csr A)"
	wait_until "$PATIENCE" is waiting 1
	iovctl release hv
	reply # when it was let go: it is done at the device
	assert_equal "$REPLY" ok
	finish switch 0
	sent 1
	step "$(csr B)"
	step "$(csr C)"
	status 05 01
	sent 2
	hand_off
	machine_stop
}

# A message was sent that does not leave while the card masters no bus.
stuck_by_hand() {
	power_on
	by_hand
	step 'write 0 0x40000004 0200'
	message
}

@test "virtualize: busy holds off before 218, until what the guest sent has left" {
	stuck_by_hand
	iovctl virtualize -t "${PATIENCE}s" --hold busy --limit 0 ether0 3>&- \
		{NEVER}>&- >"$T/virtualize" 2>&1 &
	PIDS[switch]=$!
	wait_until "$PATIENCE" is hold busy
	status 00 04
	step 'write 0 0x40000004 0600'
	finish switch 0
	is hold none
	# What our looks took from the card is the guest's to know.
	status 05 01
	status 01 01
	sent 1
	hand_off
	machine_stop
}

@test "virtualize: busy before 218 ends at its limit, and what the guest sent leaves later" {
	stuck_by_hand
	run -0 switch virtualize --hold busy --limit 10ms
	await hold.refused '.device == "ether0" and
		.why == "its request is not over"'
	assert_equal "$(devices mode) $(devices hold) $(devices machine)" \
		"virtual none search"
	sent 0
	# Nothing is lost: it is let through the search as any other.
	step 'write 0 0x40000004 0600'
	wait_until "$PATIENCE" sent 1
	status 05 01
	message
	wait_until "$PATIENCE" sent 2
	wait_until "$PATIENCE" is machine start
	hand_off
	machine_stop
}

# refusals COUNT: so often a guest could not be asked.
refusals() {
	assert_equal "$(events 'select(.ev == "hold.refused" and
		.device == "ether0" and (.why | length) > 0)' | wc -l)" "$1"
}

@test "virtualize: a guest whose driver cannot be asked is stopped as by block" {
	power_on
	by_hand
	# No driver that knows of it listens; its search begins all the same.
	run -0 switch virtualize --hold lock
	refusals 1
	for csr in A B C A; do
		step "$(csr "$csr")"
	done
	wait_until "$PATIENCE" sent 1
	iovctl at hv devirt.716=hold
	let_go --hold pause --limit 0
	wait_until "$PATIENCE" is hold pause
	refusals 2
	# Its open sequence goes on, and the next one waits.
	step "$(csr B)"
	step "$(csr C)"
	wait_until "$PATIENCE" sent 2
	status 05 01
	await devirt.716
	ask "$(csr A)"
	wait_until "$PATIENCE" is waiting 1
	iovctl release hv
	reply
	assert_equal "$REPLY" ok
	finish switch 0
	step "$(csr B)"
	step "$(csr C)"
	wait_until "$PATIENCE" sent 3
	hand_off
	machine_stop
}

@test "virtualize: a guest that is stopped in spite of news goes on" {
	emulated_by_hand
	leave_unread
	let_go --hold block --limit 0
	wait_until "$PATIENCE" is hold block
	message
	wait_until "$PATIENCE" sent 3
	status 05 01
	finish switch 0
	hand_off
	machine_stop
}

@test "virtualize: busy shows a device that is not ready" {
	emulated_by_hand
	leave_unread
	let_go --hold busy --limit 0
	wait_until "$PATIENCE" is hold busy
	# In its true state: who sees the end state may count on "sent".
	status 04 01
	finish switch 0
	status 01 01
	hand_off
	machine_stop
}

@test "virtualize: log answers writes and does them at the device afterwards" {
	emulated_by_hand
	leave_unread
	let_go --hold log --limit 0
	wait_until "$PATIENCE" is hold log
	for csr in A B C; do
		step "$(csr "$csr")"
		assert_equal "$REPLY" ok
	done
	sent 2
	status 04 04
	finish switch 0
	await devirtualize.replayed '.writes == 3'
	wait_until "$PATIENCE" sent 3
	status 05 01
	hand_off
	machine_stop
}

@test "virtualize: what was logged is done once, wherever the hypervisor died" {
	local point n=1 k victim csrs=(A B C) machines=(. address length start)
	emulated_by_hand
	# Whole sequences, and beginnings of one.
	while read -r point k; do
		victim=$(pid hv)
		message
		wait_until "$PATIENCE" sent $((++n))
		iovctl at hv "$point=kill"
		let_go --hold log --limit 0
		wait_until "$PATIENCE" is hold log
		for csr in "${csrs[@]:0:k}"; do
			step "$(csr "$csr")"
			assert_equal "$REPLY" ok
		done
		step "read 0 $((BAR + 24)) 8" # the last thing to wait for
		wait_until "$PATIENCE" is_gone "$victim"
		finish switch 69
		iovctl start hv >/dev/null
		wait_until "$PATIENCE" is machine "${machines[k]}"
		for csr in "${csrs[@]:k}"; do
			step "$(csr "$csr")"
		done
		wait_until "$PATIENCE" sent $((++n))
		status 05 01
		sent "$n"
	done <<-END
		devirt.718 3
		devirt.720 3
		devirt.718 2
		devirt.720 1
	END
	hand_off
	machine_stop
}

@test "virtualize: past the limit a device is reset, and its sequence is named" {
	emulated_by_hand
	step "$(csr A)"
	run -0 switch devirtualize --limit 10ms
	assert_output --partial "reset true"
	await devirtualize.reset '.machine == "address"'
	await device.direct .reset
	# As after a reset: it does not master the bus.
	status 01 01
	hand_off
	machine_stop
}

@test "virtualize: an access without a transition is dropped or aborted" {
	emulated_by_hand
	step "$(csr B)"
	assert_equal "$REPLY" ok
	await virtual.illegal '.machine == "start" and .offset == 8'
	status 11 01
	step "$(csr A)"
	step "$(csr C)"
	status 11 01 # which is at start again
	step "write 0 $BAR 01020304"
	step "$(csr A)"
	switch devirtualize --limit 10ms
	switch virtualize --illegal abort
	step 'write 0 0x40000004 0600'
	message
	wait_until "$PATIENCE" is machine start
	status 05 01
	step "$(csr C)"
	assert_equal "$REPLY" EIO
	status 11 01
	# Length and address outside of the guest's memory: the device's word.
	step "write 0 $BAR 0000000001000000"
	step "$(csr B)"
	step "$(csr C)"
	status 09 01
	step "$(csr A)"
	step "write 0 $((BAR + 8)) ffffffff00000000"
	step "$(csr C)"
	status 09 01
	hand_off
	machine_stop
}

# irq_enable VALUE: of the guest, in hex; what the device has.
irq_enable() {
	step "read 0 $((BAR + 64)) 8"
	assert_equal "$REPLY" "${1}00000000000000"
}

@test "virtualize: the guest's mode is put back, with what it changed meanwhile" {
	local mode
	power_on
	by_hand
	for mode in own adopt; do
		step "write 0 $((BAR + 64)) 0600000000000000"
		switch virtualize --mode "$mode"
		message
		wait_until "$PATIENCE" is machine start
		irq_enable 06
		step "write 0 $((BAR + 64)) 1400000000000000"
		irq_enable 14
		status 05 01
		switch devirtualize --limit 0
		irq_enable 14
	done
	hand_off
	machine_stop
}

@test "virtualize: interrupts are passed on by the hypervisor's handler" {
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	switch virtualize
	await virtual.emulating
	run -0 switch devirtualize --limit 0 --irq forward
	assert_output --partial "mode forward"
	assert_equal "$(devices mode)" forward
	wait_until "$PATIENCE" more_messages
	switch virtualize
	wait_until "$PATIENCE" is machine start
	switch devirtualize --limit 0
	wait_until "$PATIENCE" more_messages
	assert_equal "$(devices mode)" direct
	all_there
	stop guest1
	machine_stop
}

@test "virtualize: a device starts as a virtual one, and is let go at once" {
	VIRTUAL=,virtual power_on
	assert_equal "$(devices mode)" virtual
	start guest1 guestd --vm 1 --name=vm1 --messages
	wait_until "$PATIENCE" more_messages
	switch devirtualize --limit 0
	wait_until "$PATIENCE" more_messages
	all_there
	stop guest1
	machine_stop
}

@test "virtualize: what can be switched, and what not" {
	machine_start <<-END
		bridge: rootbridge
		nic0: iovdev --vfs 1
		ether0: iovdev --type ether
		ether1: iovdev --type ether
		ether2: iovdev --type ether
		com0: iovdev --type uart
		com1: iovdev --type uart
		hv: hvmon --device ether0=vm1 --device ether2=vm1 \
			--device com0=vm1
	END
	run -69 switch_device virtualize ether7
	assert_output --partial "no device 'ether7'"
	run -75 switch_device virtualize nic0
	assert_output --partial "nic0 is of a kind that is not emulated"
	run -75 switch_device virtualize ether1
	assert_output --partial "no guest has ether1"
	run -75 switch_device devirtualize ether0
	assert_output --partial "ether0 is direct already"
	run -69 switch_device virtualize ether0 --behind ether7
	assert_output --partial "no device 'ether7'"
	run -75 switch_device virtualize ether0 --behind ether0
	assert_output --partial "ether0 stands behind itself"
	run -75 switch_device virtualize ether0 --behind com0
	assert_output --partial "com0 and ether0 are incompatible"
	run -75 switch_device virtualize com0 --behind com1
	assert_output --partial "no uart can stand behind another"
	run -75 switch_device virtualize ether0 --behind ether2
	assert_output --partial "ether2 is a guest's"
	assert_equal "$(DEVICE=ether0 devices mode)" direct
	run -64 switch_device virtualize ether0 --hold log
	assert_output --partial "virtualize holds off by pause, lock or busy"
	run -64 switch_device virtualize com0 --hold busy
	assert_output --partial "com0 would not tell when it is ready again"
	switch_device virtualize ether0
	run -75 switch_device virtualize ether0
	assert_output --partial "ether0 is virtualised already"
	run -64 switch_device devirtualize ether0 --hold tight
	assert_output --partial "no way 'tight' to hold off"
	run -64 switch_device devirtualize ether0 --limit soon
	assert_output --partial "limit: 'soon'"
	run -64 switch_device devirtualize ether0 --irq lost
	run -64 iovctl virtualize ether0 --mode mine
	run -64 iovctl virtualize ether0 --watch 0
	run -64 iovctl virtualize ether0 --limit soon
	assert_output --partial "limit: 'soon'"
	run -64 iovctl virtualize
	switch_device devirtualize ether0
	machine_stop
}

switch_device() {
	iovctl "$1" -t "${PATIENCE}s" "${@:2}"
}

away() {
	[[ $(cards state) == away ]]
}

@test "virtualize: a hypervisor killed while it emulates means errors, not silence" {
	local victim
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	switch virtualize
	await virtual.emulating
	victim=$(pid hv)
	kill -KILL "$victim"
	wait_until "$PATIENCE" away
	iovctl start hv >/dev/null
	await virtual.taken-up
	await card.back
	wait_until "$PATIENCE" more_messages
	assert_equal "$(devices mode)" virtual
	switch devirtualize --limit 0
	wait_until "$PATIENCE" more_messages
	# Direct again: the guest does not notice.
	cards resets >"$T/before"
	kill -KILL "$(pid hv)"
	wait_until "$PATIENCE" more_messages
	iovctl start hv >/dev/null
	wait_until "$PATIENCE" is mode direct
	cards resets | diff "$T/before" -
	stop guest1
	machine_stop
}

@test "virtualize: a new hypervisor that finds no record lets the device go" {
	machine_start <<-END
		bridge: rootbridge --exception-timeout 0 --memory 0=4KiB
		ether0: iovdev --type ether
		hv: hvmon --device ether0=vm1
	END
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	switch virtualize
	await virtual.emulating
	kill -KILL "$(pid hv)"
	wait_until "$PATIENCE" away
	iovctl start hv >/dev/null
	await virtual.let-go
	await card.back
	wait_until "$PATIENCE" more_messages
	assert_equal "$(devices mode)" direct
	stop guest1
	machine_stop
}

@test "virtualize: resets, and deaths of guest and device, while it is virtual" {
	RESTART=always power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	switch virtualize
	await virtual.emulating
	# An operator resets it: the guest sets it up again, still virtual.
	iovctl reset ether0/pf0
	wait_until "$PATIENCE" more_messages
	[[ $(cards resets) -ge 1 ]]
	assert_equal "$(devices mode)" virtual
	# Its guest dies: the next one finds it as after a reset.
	stop guest1 KILL 137
	await vm.reset.done
	SEEN=
	start guest1 guestd --vm 1 --name=vm1 --messages
	wait_until "$PATIENCE" more_messages
	assert_equal "$(devices mode)" virtual
	switch devirtualize --limit 0
	wait_until "$PATIENCE" more_messages
	# Its device is pulled out and comes back, as a direct one.
	switch virtualize
	wait_until "$PATIENCE" is machine start
	iovctl remove ether0
	await device.gone
	await device.attached '.device == "ether0" and .n > 100'
	wait_until "$PATIENCE" more_messages
	assert_equal "$(devices mode)" direct
	switch virtualize
	wait_until "$PATIENCE" is machine start
	# It is taken away from its guest.
	stop guest1
	run -0 rpc hv free '["ether0/pf0"]'
	assert_equal "$(devices mode)" direct
	run -0 rpc hv allocate '["ether0/pf0", "vm2"]'
	run -0 timeout $((PATIENCE * 3)) guestd --vm 2 --once \
		--messages=count=100
	machine_stop
}

# refuses: the device, the next access.
refuses() {
	iovctl at ether0 device.a1015=fail
}

@test "virtualize: a device that refuses an access, before its guest is emulated and after" {
	power_on
	by_hand
	# It looked busy, and does no more.
	iovctl at hv virt.216=hold
	iovctl virtualize -t "${PATIENCE}s" --hold busy ether0 3>&- \
		{NEVER}>&- >"$T/virtualize" 2>&1 &
	PIDS[switch]=$!
	await virt.216
	refuses
	iovctl release hv
	finish switch 1
	assert_equal "$(devices mode)" direct
	message
	status 05 01
	switch virtualize
	message
	await virtual.emulating
	status 05 01
	# The first of the three writes that send a message.
	refuses
	message
	await virtual.refused
	await virtual.reset '.machine == "start"'
	wait_until "$PATIENCE" is machine start
	master
	message
	wait_until "$PATIENCE" status 05 01
	sent 3
	switch devirtualize --limit 0
	message
	status 05 01
	hand_off
	machine_stop
}

@test "virtualize: a device that dies when the hypervisor has its guest hold still" {
	RESTART=always power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	iovctl at hv virt.218=hold
	iovctl virtualize -t "${PATIENCE}s" --hold pause ether0 3>&- \
		{NEVER}>&- >"$T/virtualize" 2>&1 &
	PIDS[switch]=$!
	await virt.218
	kill -KILL "$(pid ether0)"
	await device.gone
	iovctl release hv
	finish switch 69
	await card.back
	wait_until "$PATIENCE" more_messages
	assert_equal "$(devices mode)" direct
	switch virtualize --hold pause
	await virtual.emulating
	wait_until "$PATIENCE" more_messages
	stop guest1
	machine_stop
}

@test "virtualize: several devices at once, each on its own" {
	local i device guest
	machine_start <<-END
		bridge: rootbridge --exception-timeout 0
		ether0: iovdev --type ether
		ether1: iovdev --type ether
		hv: hvmon --device ether0=vm1 --device ether1=vm2
	END
	for i in 1 2; do
		start "guest$i" guestd --vm "$i" --name="vm$i" --messages
		await workload.started ".src == \"vm$i\""
	done
	for i in 1 2 3 4 5; do
		for device in ether0 ether1; do
			rpc hv virtualize "[\"$device\"]"
		done >"$T/answers"
		for device in ether0 ether1; do
			rpc hv devirtualize "[\"$device\", \"block\", \"0\"]" \
				>"$T/$device" &
			PIDS["$device"]=$!
		done
		finish ether0 0
		finish ether1 0
	done
	wait_until "$PATIENCE" more_messages
	for guest in 1 2; do
		run -0 rpc "vm$guest" report
		assert_output --partial '"lost":0'
		assert_output --partial '"repeated":0'
		stop "guest$guest"
	done
	machine_stop
}

# A card that vm1 has, and one that nobody has.
two_cards() {
	machine_start <<-END
		bridge: rootbridge --exception-timeout 0
		ether0: iovdev --type ether --lan pcap:$T/lan0
		ether1: iovdev --type ether --lan pcap:$T/lan1
		hv: hvmon --device ether0=vm1
	END
}

# card DEVICE FIELD: of the device's own table.
card() {
	rpc "$1" show '["device-ether"]' |
		jq -re --arg field "$2" '.rows[0][$field] | tostring'
}

card_is() {
	[[ $(card "$1" "$2") == "$3" ]]
}

assigned() {
	rpc bridge show '["functions"]' | jq -re --arg name "$1/pf0" \
		'.rows[] | select(.function == $name) | .vm // "-" | tostring'
}

@test "virtualize: another real card stands behind the one that the guest sees" {
	local n
	two_cards
	start guest1 guestd --vm 1 --name=vm1 --messages=size=60-1514
	await workload.started
	for n in 1 2 3; do
		run -0 switch virtualize --behind ether1
		await virtual.behind ".n > ${AT:=0} and .behind == \"ether1\""
		assert_equal "$(devices behind)" ether1
		wait_until "$PATIENCE" more_messages
		# Whoever sends is the other one.
		sent=$(card ether0 sent)
		wait_until "$PATIENCE" more_messages
		assert_equal "$(card ether0 sent)" "$sent"
		run -0 switch devirtualize --limit 0
		assert_output --partial "mode direct"
		wait_until "$PATIENCE" more_messages
		AT=$(events 'select(.ev == "behind.released") | .n' | tail -n 1)
	done
	all_there
	run -0 cards illegal
	assert_output 0
	run -0 cards resets
	assert_output 0
	stop guest1
	machine_stop
}

# Nobody has it, and it stands behind none; the guest sees its own only.
is_nobodys() {
	[[ $(rpc bridge show '["functions"]' | jq -r --arg name "$1/pf0" \
		'.rows[] | select(.function == $name) | .vm // "-"') == - ]] &&
		[[ $(DEVICE=$1 devices mode) == direct ]] &&
		[[ $(rpc vm1 show '["cards"]' | jq '.rows | length') == 1 ]]
}

leans() {
	[[ $(devices behind) == ether1 ]]
}

@test "virtualize: a hypervisor killed at any point of putting another card behind" {
	local point
	two_cards
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	while read -r point; do
		[[ $point == behind.release ]] ||
			strike "$point" virtualize \
				'{"device":"ether0","behind":"ether1"}'
		to direct devirtualize --limit 0
		wait_until "$PATIENCE" is_nobodys ether1
		[[ $point == behind.@(part|switch|release) ]] || continue
		switch virtualize --behind ether1
		wait_until "$PATIENCE" leans
		strike "$point" devirtualize '["ether0", "block", "0"]'
		to direct devirtualize --limit 0
		wait_until "$PATIENCE" is_nobodys ether1
	done < <(hvmon --list-points | awk '$1 ~ /^behind\./ { print $1 }')
	run -0 rpc vm1 report
	assert_output --partial '"corrupted":0'
	assert_output --partial '"reordered":0'
	stop guest1
	machine_stop
}

@test "virtualize: a card that stands behind is lost, taken away, or its guest dies" {
	two_cards
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	switch virtualize --behind ether1
	wait_until "$PATIENCE" leans
	wait_until "$PATIENCE" more_messages
	run -75 iovctl connect ether1 vm1
	assert_output --partial "ether1 stands behind ether0"
	run -0 rpc_error hv allocate '["ether1/pf0", "vm2"]'
	assert_output --partial "ether1 stands behind ether0"
	# Pulled out: the guest's own does its own work again.
	iovctl remove ether1
	await virtual.behind-lost
	wait_until "$PATIENCE" more_messages
	iovctl start ether1 >/dev/null
	wait_until "$PATIENCE" is_nobodys ether1
	# Its guest dies; the next one's memory is out of its reach.
	leans_anew
	stop guest1 KILL 137
	await vm.reset.done
	SEEN=
	start guest1 guestd --vm 1 --name=vm1 --messages
	wait_until "$PATIENCE" more_messages
	wait_until "$PATIENCE" is_nobodys ether1
	# An operator resets either.
	leans_anew
	iovctl reset ether1/pf0
	wait_until "$PATIENCE" more_messages
	wait_until "$PATIENCE" is_nobodys ether1
	leans_anew
	iovctl reset ether0/pf0
	wait_until "$PATIENCE" more_messages
	wait_until "$PATIENCE" is_nobodys ether1
	# It is given to somebody else.
	leans_anew
	stop guest1
	run -0 rpc hv free '["ether0/pf0"]'
	run -0 rpc hv allocate '["ether0/pf0", "vm2"]'
	run -0 timeout $((PATIENCE * 3)) guestd --vm 2 --once \
		--messages=count=100
	machine_stop
}

leans_anew() {
	is mode direct || switch devirtualize --limit 0
	switch virtualize --behind ether1
	wait_until "$PATIENCE" leans
	wait_until "$PATIENCE" more_messages
}

# from FILE: addresses of who sent in it.
from() {
	tcpdump -ner "$1" 2>/dev/null | awk '{ print $2 }' | sort -u
}

@test "virtualize: the card that stands behind has the address, the buffer and the line" {
	local mac
	two_cards
	by_hand
	step "read 0 $((BAR + 56)) 6"
	mac=$REPLY
	# A buffer at 0x2000.
	step "write 0 $((BAR + 32)) 0020000000000000"
	step "write 0 $((BAR + 40)) 0020000000000000"
	switch virtualize --behind ether1
	message
	wait_until "$PATIENCE" sent 1
	status 05 01
	wait_until "$PATIENCE" leans
	message
	wait_until "$PATIENCE" card_is ether1 sent 1
	status 05 01
	assert_equal "$(card ether1 rx_length)" 8192
	# To itself, by the other card.
	step "$(csr A)"
	step "$(csr B)"
	step "write 0 $((BAR + 16)) ${mac}0000"
	wait_until "$PATIENCE" card_is ether1 received 1
	status 07 01
	step "read 0 $((BAR + 48)) 8"
	assert_equal "$REPLY" 4c00000000000000
	step "write 0 $((BAR + 40)) 0020000000000000"
	switch devirtualize --limit 0
	assert_equal "$(card ether0 rx_length)" 8192
	step "read 0 $((BAR + 56)) 6"
	assert_equal "$REPLY" "$mac"
	message
	status 05 01
	hand_off
	machine_stop
	run -0 from "$T/lan1"
	assert_output "$(from "$T/lan0")"
	assert_output "$(sed 's/../&:/g;s/:$//' <<<"$mac")"
}
