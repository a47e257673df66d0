#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2034,SC2154 # PIDS is of machine.bash
# carried.bats - a device of one kind, carried out on a real one of another (spec
# 05): a UART whose line is a LAN.

setup() {
	load machine
	load uart
	load virtualize
	DEVICE=ether0
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
	VFU=${BIN%/bin}/t/tool/vfu
	SERIAL=${BIN%/bin}/t/tool/serial
}

teardown() {
	machine_teardown
}

# An Ethernet card, which vm1 has as a UART.
power_on() {
	need_tap
	tap_name LAN
	machine_start <<-END
		bridge: rootbridge --exception-timeout 0
		ether0: iovdev --type ether --lan tap:$LAN
		hv: hvmon --device ether0=vm1,as=uart${HVMON-}
	END
}

# other_end [echo [N]]: with file descriptor $keys as its input, and $T/screen.
other_end() {
	rm -f "$T/keys"
	mkfifo "$T/keys"
	(
		[[ -z ${to-} ]] || exec {to}>&- {from}<&-
		exec "$SERIAL" "$LAN" "$@"
	) <"$T/keys" >"$T/screen" 3>&- {NEVER}>&- &
	PIDS[other]=$!
	exec {keys}>"$T/keys"
	await serial.carrier '.on'
}

# more_bytes VM COUNT: what is sent has come back, so many more than at the last
# call.
more_bytes() {
	local n
	n=$(rpc "$1" show '["workload"]' | jq -re '.rows[0].received') ||
		return 1
	: "${SEEN:=$n}"
	((n > SEEN + $2)) && SEEN=$n
}

@test "carried: bytes of a guest's UART go over a LAN and back, none lost or twice" {
	power_on
	other_end echo
	start guest1 guestd --vm 1 --name=vm1 --bytes
	await workload.started
	wait_until "$PATIENCE" more_bytes vm1 2000
	assert_equal "$(devices mode) $(devices kind) $(devices real)" \
		"virtual uart ether"
	stop guest1
	machine_stop
}

@test "carried: a message that the LAN loses is sent again" {
	power_on
	other_end echo 5
	start guest1 guestd --vm 1 --name=vm1 --bytes
	await workload.started
	wait_until "$PATIENCE" more_bytes vm1 200
	stop guest1
	machine_stop
}

# Characters that the guest reads, until there are COUNT, in $READ.
reads_characters() {
	while ((${#READ} < $1)); do
		get LSR
		((0x$REPLY & 1)) || return 1
		get RBR
		READ+=$(printf '%b' "\\x$REPLY")
	done
}

says() {
	[[ $(cat "$T/screen") == "$1" ]]
}

# The guest sends CHARACTER.
sends() {
	put THR "$(printf %x "'$1")"
}

# As a driver would begin: divisor 1, 8n1, FIFOs, DTR and RTS.
set_up_by_hand() {
	put LCR 83
	put DLL 01
	put DLM 00
	put LCR 03
	put FCR 01
	put MCR 03
}

@test "carried: a guest sees an ordinary UART" {
	power_on
	by_hand
	# Vendor and device, class, subsystem.
	step 'read 0 0x40000000 4'
	assert_equal "$REPLY" 361b0200
	step 'read 0 0x40000009 3'
	assert_equal "$REPLY" 020007
	step 'read 0 0x4000002c 4'
	assert_equal "$REPLY" 361b0200
	# The driver's enables are not the guest's.
	step 'write 0 0x40000004 0200'
	step 'read 0 0x40000004 2'
	assert_equal "$REPLY" 0200
	step 'write 0 0x40000004 0604'
	step 'read 0 0x40000004 2'
	assert_equal "$REPLY" 0604
	set_up_by_hand
	reads MCR 03
	reads LSR 60
	# Nobody is there.
	reads MSR 00
	# Loopback is the chip's own.
	put MCR 13
	sends x
	wait_until "$PATIENCE" reads LSR 61
	reads RBR 78
	put MCR 03
	other_end
	wait_until "$PATIENCE" reads MSR bb
	reads MSR b0
	# With divisor 0 nothing moves.
	put LCR 83
	put DLL 00
	put LCR 03
	sends y
	reads LSR 00
	put LCR 83
	put DLL 01
	put LCR 03
	wait_until "$PATIENCE" says y
	wait_until "$PATIENCE" reads LSR 60
	hand_off
	machine_stop
}

@test "carried: a chip that is not emptied stops the other end, and overruns never" {
	local text READ=
	text=$(printf '%03d.' {1..30})
	power_on
	by_hand
	set_up_by_hand
	other_end
	printf %s "$text" >&"$keys"
	wait_until "$PATIENCE" reads LSR 61
	wait_until "$PATIENCE" reads_characters ${#text}
	assert_equal "$READ" "$text"
	reads LSR 60
	hand_off
	machine_stop
}

@test "carried: a break, in either direction, and characters that are lost all the same" {
	local READ=
	power_on
	by_hand
	set_up_by_hand
	other_end
	types a
	wait_until "$PATIENCE" reads_characters 1
	# Line status interrupts: of the character that a break is, and at once of
	# an overrun.
	put IER 04
	kill -USR1 "${PIDS[other]}"
	wait_until "$PATIENCE" reads IIR c6
	reads LSR f9
	reads IIR c1
	reads RBR 00
	reads LSR 60
	kill -USR2 "${PIDS[other]}"
	types e
	wait_until "$PATIENCE" reads IIR c6
	await serial.lost '.device == "ether0" and .expected == 1 and .first == 4'
	reads LSR 63
	reads IIR c1
	reads RBR 65
	reads LSR 60
	# The guest's begins once, and lasts.
	put LCR 43
	wait_until "$PATIENCE" says "<break>"
	put LCR 03
	sends b
	wait_until "$PATIENCE" says "<break>b"
	hand_off
	machine_stop
}

@test "carried: another other end, and a card that refuses an access" {
	local READ=
	power_on
	other_end
	by_hand
	set_up_by_hand
	types a
	wait_until "$PATIENCE" reads_characters 1
	stop other TERM 143
	rm "$T"/screen
	other_end
	types b
	sends c
	wait_until "$PATIENCE" reads_characters 2
	wait_until "$PATIENCE" says c
	# Nobody knows what was done: it is reset.
	iovctl at ether0 device.a1015=fail:2 >"$T/at"
	sends d
	await virtual.reset
	step 'write 0 0x40000004 0200'
	begins_anew e 3
	assert_equal "$READ" abe
	hand_off
	machine_stop
}

@test "carried: an other end that gives no sign of life is gone" {
	[[ ${IOVKIT_CAMPAIGN:-} == long ]] || skip "it takes 10 s"
	power_on
	other_end
	by_hand
	set_up_by_hand
	wait_until "$PATIENCE" reads MSR bb
	kill -STOP "${PIDS[other]}"
	sends a
	await serial.carrier '.on | not'
	reads MSR 0b
	reads LSR 60
	kill -CONT "${PIDS[other]}"
	wait_until "$PATIENCE" reads MSR bb
	hand_off
	machine_stop
}

# strike POINT COMMAND...: kill the hypervisor there, and have the next one.
strike() {
	local victim
	victim=$(pid hv)
	iovctl at hv "$1=kill" >"$T/at"
	"${@:2}"
	wait_until "$PATIENCE" is_gone "$victim"
	iovctl start hv >/dev/null
	wait_until "$PATIENCE" is state ready
}

# A character whose access was refused, as the hypervisor died before it was
# answered, may have been taken or not.
sends_unsure() {
	step "write 0 $((BAR + REG[THR])) $(printf %x "'$1")"
	SENT+=$1
	[[ $REPLY == ok ]] || SENT+='?'
}

says_like() {
	[[ $(cat "$T/screen") =~ ^$1$ ]]
}

types() {
	printf %s "$1" >&"$keys"
}

@test "carried: a hypervisor killed with a message under way loses none, and sends none twice" {
	local point READ='' SENT=''
	power_on
	by_hand
	set_up_by_hand
	other_end
	for point in serial.send serial.status; do
		strike "$point" sends_unsure "${point: -1}"
	done
	for point in serial.receive serial.send serial.status; do
		strike "$point" types "${point: -1}"
		sends .
	done
	types !
	wait_until "$PATIENCE" says_like "$SENT\\.\\.\\."
	wait_until "$PATIENCE" reads_characters 4
	assert_equal "$READ" 'eds!'
	assert_equal "$(devices mode) $(devices kind)" "virtual uart"
	hand_off
	machine_stop
}

@test "carried: what can be done with it, and what not" {
	power_on
	run -75 iovctl devirtualize ether0
	assert_output --partial "ether0 is always virtualised: its guest sees a uart, carried out on a real ether"
	run -75 iovctl virtualize ether0
	assert_output --partial "ether0 is virtualised already"
	machine_stop
	# No backend, no such kind.
	run -64 timeout "$PATIENCE" hvmon --device ether0=vm1,as=tape
	assert_output --partial "no device of kind 'tape' is emulated"
	run -64 timeout "$PATIENCE" hvmon --device ether0=vm1,as=uart,as=uart
	assert_output --partial "ether0=vm1,as=uart,as=uart: as= twice"
	run -64 timeout "$PATIENCE" hvmon --device ether0=vm1,virtual,virtual
	assert_output --partial "virtual twice"
	machine_start <<-END
		bridge: rootbridge
		com0: iovdev --type uart
	END
	run -64 timeout "$PATIENCE" hvmon --device com0=vm1,as=ether
	assert_output --partial "com0 is incompatible: no ether can be carried out on a real uart"
	machine_stop
}

# Once more, as a driver would after a reset.
begins_anew() {
	wait_until "$PATIENCE" reads LSR 60
	reads MCR 00
	reads IER 00
	set_up_by_hand
	sends "$1"
	types "$1"
	wait_until "$PATIENCE" reads_characters "$2"
}

@test "carried: resets by its guest and by an operator, and the death of its guest" {
	local READ=
	power_on
	other_end
	by_hand
	set_up_by_hand
	sends a
	types a
	wait_until "$PATIENCE" reads_characters 1
	# Function Level Reset: Initiate FLR is bit 15 of device control.
	step 'write 0 0x40000048 0080'
	step 'read 0 0x40000004 2'
	assert_equal "$REPLY" 0000 # all of it
	step 'write 0 0x40000004 0200'
	begins_anew b 2
	iovctl reset ether0/pf0
	step 'write 0 0x40000004 0200'
	begins_anew c 3
	hand_off
	await vm.reset.done
	by_hand
	begins_anew d 4
	hand_off
	# Another VM has the same, and nobody reaches the monitor's memory.
	run -0 rpc hv free '["ether0/pf0"]'
	run -0 rpc bridge show '["maps"]'
	refute_output --partial ether0
	run -0 rpc hv allocate '["ether0/pf0", "vm2"]'
	run -0 rpc bridge show '["maps"]'
	assert_output --partial ether0
	by_hand 2
	begins_anew e 5
	hand_off
	assert_equal "$READ" abcde
	wait_until "$PATIENCE" says abcde
	machine_stop
}

# The record is gone with what else lay in the hypervisor's memory.
forget_records() {
	"$VFU" "$M/bus/vm0.sock" hello "write 1 0x18000 $(printf '%064d' 0)" \
		"write 1 0x18c30 $(printf '%064d' 0)"
}

@test "carried: a new hypervisor that finds no record begins anew" {
	local READ=
	power_on
	other_end
	by_hand
	set_up_by_hand
	kill -KILL "$(pid hv)"
	await vm.lost
	forget_records
	iovctl start hv >/dev/null
	await virtual.begun-anew
	wait_until "$PATIENCE" is mode virtual
	step 'write 0 0x40000004 0600'
	begins_anew a 1
	hand_off
	machine_stop
}

# Nobody loses patience with a busy computer.
power_on_by_hand() { # OPTION
	start bridge rootbridge --name=bridge --exception-timeout 0
	start ether0 iovdev --name=ether0 --type ether
	start hv hvmon --name=hv --device "ether0=vm1$1"
}

power_off_by_hand() {
	stop hv
	stop ether0
	stop bridge
}

@test "carried: what a guest has counts more than a new hypervisor's option" {
	power_on_by_hand ,as=uart
	by_hand
	set_up_by_hand
	stop hv KILL 137
	eval "start hv hvmon --name=hv --device ether0=vm1 $to>&- $from<&-"
	reads MCR 03
	assert_equal "$(devices kind) $(devices mode)" "uart virtual"
	put MCR 13
	sends x
	wait_until "$PATIENCE" reads RBR 78
	hand_off
	power_off_by_hand
	power_on_by_hand ""
	stop hv KILL 137
	start hv hvmon --name=hv --device ether0=vm1,as=uart
	assert_equal "$(devices kind) $(devices mode)" "ether direct"
	power_off_by_hand
}

@test "carried: it is switched to a VM that stands by, pulled out and put back" {
	local READ=
	need_tap
	tap_name LAN
	machine_start <<-END
		bridge: rootbridge --exception-timeout 0
		ether0: RESTART=always iovdev --type ether --lan tap:$LAN
		hv: hvmon --device ether0=vm1,vm2,as=uart
	END
	launch guest2 guestd --vm 2 --name=vm2 --bytes=loop
	await vm.attached '.vm == "vm2"'
	run -0 rpc hv connect '["ether0","vm2"]'
	wait_until "$PATIENCE" more_bytes vm2 50
	assert_equal "$(devices kind) $(devices mode)" "uart virtual"
	iovctl remove ether0
	await device.gone
	await card.back
	assert_equal "$(devices kind) $(devices mode)" "uart virtual"
	stop guest2
	wait_until "$PATIENCE" has_event vm.reset '.vm == "vm2"'
	other_end
	by_hand 2
	begins_anew a 1
	hand_off
	machine_stop
}
