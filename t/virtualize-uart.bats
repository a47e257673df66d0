#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2034,SC2154 # PIDS is of machine.bash
# virtualize-uart.bats - a UART that is virtualised and let go while a guest
# uses it (spec 05).

setup() {
	load machine
	load uart
	load virtualize
	DEVICE=com0
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
	VFU=${BIN%/bin}/t/tool/vfu
}

teardown() {
	machine_teardown
}

# A UART, which vm1 has.  Nobody loses patience with a busy computer.
power_on() {
	machine_start <<-END
		bridge: rootbridge --exception-timeout 0
		com0: iovdev --type uart --line unix:$T/line ${UART-}
		hv: hvmon --device com0=vm1${VIRTUAL-}
	END
}

# virtualize [MODE], devirtualize [HOLD]
virtualize() {
	rpc hv virtualize "{\"device\":\"com0\",\"mode\":\"${1:-own}\"}" \
		>"$T/answer"
}

devirtualize() {
	rpc hv devirtualize "{\"device\":\"com0\",\"limit\":\"0\",
		\"hold\":\"${1:-block}\"}" >"$T/answer"
}

# What is sent has come back, and COUNT more than at the last call.
more_bytes() {
	local n
	n=$(rpc vm1 show '["workload"]' | jq -re '.rows[0].received') ||
		return 1
	: "${SEEN:=$n}"
	((n > SEEN + $1)) && SEEN=$n
}

# Nothing was lost, twice, or in another order.
all_there() {
	wait_until "$PATIENCE" more_bytes 200
	assert_equal "$(rpc vm1 show '["workload"]' |
		jq -r '.rows[0].state')" running
	assert_equal "$(rpc vm1 show '["cards"]' |
		jq -r '.rows[0] | "\(.resets) \(.errors)"')" "0 0"
	run -0 rpc com0 show '["device-uart"]'
	assert_output --partial '"overruns":0'
}

# Back and forth, COUNT times.
switch_often() {
	local i ways=(block busy log pause lock) modes=(own own adopt own) n=$1
	for ((i = 0; i < n / 2; i++)); do
		virtualize "${modes[i % 4]}"
		# Half of them in the search.
		((i % 2)) || wait_until "$PATIENCE" is machine start
		devirtualize "${ways[i % ${#ways[@]}]}"
	done
}

@test "virtualize-uart: no byte is lost, twice or out of order, back and forth" {
	local n=40
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] || n=1000
	power_on
	far_end EXEC:cat
	start guest1 guestd --vm 1 --name=vm1 --bytes
	await workload.started
	switch_often "$n"
	all_there
	stop guest1
	machine_stop
}

@test "virtualize-uart: a device starts as a virtual one, and is let go at once" {
	VIRTUAL=,virtual power_on
	far_end EXEC:cat
	start guest1 guestd --vm 1 --name=vm1 --bytes
	await workload.started
	assert_equal "$(devices mode)" virtual
	wait_until "$PATIENCE" more_bytes 50
	devirtualize
	assert_equal "$(devices mode)" direct
	assert_equal "$(events 'select(.ev == "virt.410")' | wc -l)" 0
	wait_until "$PATIENCE" more_bytes 50
	all_there
	stop guest1
	machine_stop
}

# uart FIELD: of the device's table.
uart() {
	rpc com0 show '["device-uart"]' | jq -re --arg field "$1" \
		'.rows[0][$field] | tostring'
}

uart_is() {
	[[ $(uart "$1") == "$2" ]]
}

# echoes BYTE: it goes out and comes back.
echoes() {
	put THR "$1"
	wait_until "$PATIENCE" reads LSR 61
	get RBR
	assert_equal "$REPLY" "$1"
}

# A guest by hand at a line that echoes.
open_by_hand() {
	power_on
	far_end EXEC:cat
	by_hand
	set_up
}

# With FIFOs, 8n1 at divisor 1.
set_up() {
	put LCR 83
	put DLL 01
	put DLM 00
	put LCR 03
	put FCR 01
	put MCR 03
	echoes 11
}

# Whether the guest has set Bus Master Enable in its config space.
CONFIG=0x40000000
master() {
	step "read 0 $((CONFIG + 4)) 1"
	[[ $REPLY == ?[4567cdef] ]]
}

# The guest resets its device, which then is as at first.
flr() {
	step "write 0 $((CONFIG + 0x7e)) 0080"
	put IER 05
	put MCR 03
	step "write 0 $((CONFIG + 0x48)) 0080"
	assert_equal "$REPLY" ok
	refute master
	step "read 0 $((CONFIG + 0x7e)) 2"
	assert_equal "$REPLY" 0000
	reads LCR 00
	reads IER 00
	reads MCR 00
	reads IIR 01
}

# comes KIND LSR: a character with that error, of which the line status
# interrupt tells once.
comes() {
	rpc com0 line "[\"$1\"]" >"$T/answer"
	wait_until "$PATIENCE" reads IIR c6
	reads LSR "$2"
	reads IIR c1
	reads RBR 00
	reads LSR 60
}

@test "virtualize-uart: a break, and bad framing and parity, before and behind a switch" {
	open_by_hand
	put IER 04
	comes break f9
	rpc com0 line '["parity"]' >"$T/answer"
	virtualize
	wait_until "$PATIENCE" reads IIR c6
	reads LSR e5
	reads RBR 00
	echoes 41
	await virtual.emulating
	comes break f9
	comes framing e9
	comes parity e5
	devirtualize
	comes framing e9
	hand_off
	machine_stop
}

# let_go [HOLD]: in the background.
let_go() {
	devirtualize "${1:-block}" 3>&- {NEVER}>&- &
	PIDS[switch]=$!
}

@test "virtualize-uart: a switch in the middle of a divisor sequence, at each of its states" {
	local n set=('LCR 83' 'DLL 02' 'DLM 01' 'LCR 03')
	open_by_hand
	for n in 0 1 2 3; do
		# Begun directly, n writes before the switch.
		for write in "${set[@]:0:n}"; do
			put "${write% *}" "${write#* }"
		done
		virtualize
		is machine search
		for write in "${set[@]:n}"; do
			put "${write% *}" "${write#* }"
		done
		# In the search the end of a sequence is a boundary.
		if ((n != 0)); then
			wait_until "$PATIENCE" is machine start
		fi
		echoes "a$n"
		wait_until "$PATIENCE" is machine start
		wait_until "$PATIENCE" uart_is baud 446
		# Begun while virtual, and let go in the middle.
		set=('LCR 83' "DLL 0$((n + 3))" 'DLM 00' 'LCR 03')
		for write in "${set[@]:0:n}"; do
			put "${write% *}" "${write#* }"
		done
		let_go
		if ((n)); then
			wait_until "$PATIENCE" is hold block
			assert_equal "$(devices mode)" virtual
		else
			finish switch 0
		fi
		for write in "${set[@]:n}"; do
			put "${write% *}" "${write#* }"
		done
		if ((n)); then
			finish switch 0
		fi
		assert_equal "$(devices mode)" direct
		assert_equal "$(uart baud)" $((115200 / (n + 3)))
		echoes "b$n"
		set=('LCR 83' 'DLL 02' 'DLM 01' 'LCR 03')
	done
	hand_off
	machine_stop
}

@test "virtualize-uart: a guest resets its device, direct and virtual, in the middle of a sequence" {
	open_by_hand
	master
	put LCR 83
	flr
	set_up
	virtualize
	# In the search, and then emulated.
	put LCR 83
	flr
	wait_until "$PATIENCE" is machine start
	set_up
	put LCR 83
	put DLL 02
	is machine low
	flr
	is machine start
	set_up
	devirtualize
	echoes 31
	assert_equal "$(devices mode)" direct
	flr
	hand_off
	machine_stop
}

@test "virtualize-uart: the guest's mode is put back, with what it changed meanwhile" {
	open_by_hand
	put IER 05
	put SCR 5a
	virtualize own
	echoes 22
	wait_until "$PATIENCE" is machine start
	# The monitor's own mode, once the transmitter is idle.
	wait_until "$PATIENCE" uart_is ier 15
	assert_equal "$(uart mode)" 8N1
	reads IER 05
	reads SCR 5a
	reads MCR 03
	put IER 01
	put SCR a5
	put LCR 1a
	put MCR 0b
	wait_until "$PATIENCE" uart_is mode 7E1
	wait_until "$PATIENCE" uart_is mcr 11
	assert_equal "$(uart ier)" 15
	echoes 33
	devirtualize
	assert_equal "$(uart ier) $(uart mcr) $(uart mode) $(uart fifos)" \
		"1 11 7E1 true"
	reads LCR 1a
	reads SCR a5
	echoes 44
	# With adopt the device stays in the guest's.
	virtualize adopt
	echoes 55
	wait_until "$PATIENCE" is machine start
	assert_equal "$(uart ier)" 1
	put IER 03
	wait_until "$PATIENCE" uart_is ier 3
	devirtualize
	assert_equal "$(uart ier)" 3
	echoes 66
	hand_off
	machine_stop
}

@test "virtualize-uart: each way of holding off, with characters not yet read" {
	local how
	open_by_hand
	for how in block busy log; do
		virtualize
		echoes 21
		wait_until "$PATIENCE" is machine start
		# It came from the device, so nothing is held off until it is read.
		put THR 22
		wait_until "$PATIENCE" reads LSR 61
		let_go "$how"
		wait_until "$PATIENCE" is hold "$how"
		assert_equal "$(devices mode)" virtual
		if [[ $how == busy ]]; then
			reads LSR 01
		fi
		get RBR
		assert_equal "$REPLY" 22
		finish switch 0
		assert_equal "$(devices mode)" direct
		echoes 23
	done
	hand_off
	machine_stop
}

@test "virtualize-uart: a switch while a character takes its time on the line" {
	local byte
	UART=--paced open_by_hand
	# 20 ms each.
	put LCR 83
	put DLL 00
	put DLM 01
	put LCR 03
	for byte in 31 41 51; do
		put THR "$byte"
		virtualize
		wait_until "$PATIENCE" reads LSR 61
		get RBR
		assert_equal "$REPLY" "$byte"
		wait_until "$PATIENCE" is machine start
		put THR "$((byte + 1))"
		put THR "$((byte + 2))"
		let_go
		wait_until "$PATIENCE" reads LSR 61
		get RBR
		assert_equal "$REPLY" "$((byte + 1))"
		wait_until "$PATIENCE" reads LSR 61
		get RBR
		assert_equal "$REPLY" "$((byte + 2))"
		finish switch 0
	done
	assert_equal "$(uart overruns)" 0
	hand_off
	machine_stop
}

# sends FIRST COUNT: so many bytes with numbers from FIRST on, at one go.
sends() {
	local i
	for ((i = $1; i < $1 + $2; i++)); do
		printf 'write 0 %d %02x\n' $((BAR + REG[THR])) "$i"
	done >&"$to"
	for ((i = 0; i < $2; i++)); do
		reply
		assert_equal "$REPLY" ok
	done
}

has_room() {
	get LSR
	[[ $REPLY == [26]? ]]
}

# Takes what is there into GOT; whether there are so many.
gets() {
	get LSR
	while [[ $REPLY == ?1 ]]; do
		get RBR
		GOT+=("$REPLY")
		get LSR
	done
	# An overrun is an error in its own right.
	assert_regex "$REPLY" '[026]0'
	((${#GOT[@]} >= $1))
}

@test "virtualize-uart: a line that waits for nobody overruns no receiver, as the transmitter runs empty" {
	local how GOT
	UART=--paced open_by_hand
	put FCR 81
	# Each comes back at once.  At 44 ms, a hypervisor that has no CPU for
	# half a second is still in time.
	put LCR 83
	put DLL 00
	put DLM 02
	put LCR 03
	for how in block busy; do
		virtualize
		echoes 20
		wait_until "$PATIENCE" is machine start
		# The device has a FIFO full of them, the other chip nearly.
		sends 1 1
		wait_until "$PATIENCE" has_room
		sends 2 16
		wait_until "$PATIENCE" has_room
		sends 18 8
		let_go "$how"
		GOT=()
		wait_until "$PATIENCE" gets 25
		finish switch 0
		assert_equal "$(printf '%d ' "${GOT[@]/#/0x}")" "$(seq -s ' ' 25) "
		assert_equal "$(devices mode) $(uart overruns)" "direct 0"
	done
	hand_off
	machine_stop
}

@test "virtualize-uart: what was logged is sent, though the hypervisor died" {
	local victim
	open_by_hand
	virtualize
	echoes 21
	wait_until "$PATIENCE" is machine start
	victim=$(pid hv)
	iovctl at hv devirt.716=hold
	iovctl at hv devirt.718=kill
	let_go log
	await devirt.716
	put THR 23
	reads LSR 00
	iovctl release hv
	wait_until "$PATIENCE" is_gone "$victim"
	wait "${PIDS[switch]}" || true
	unset 'PIDS[switch]'
	iovctl start hv >/dev/null
	wait_until "$PATIENCE" is machine start
	wait_until "$PATIENCE" reads LSR 61
	get RBR
	assert_equal "$REPLY" 23
	echoes 24
	devirtualize
	echoes 25
	hand_off
	machine_stop
}

has_come() {
	[[ $(<"$T/came") == "$1" ]]
}

@test "virtualize-uart: what is typed while the UART is away is sent when it is back" {
	power_on
	far_end "CREATE:$T/came" -u
	mkfifo "$T/keys"
	exec {keys}<>"$T/keys"
	guestd --vm 1 --name=vm1 --tty <&"$keys" >"$T/screen" 3>&- {NEVER}>&- &
	PIDS[guest1]=$!
	await workload.started
	card_goes_away
	printf hello >&"$keys"
	iovctl start hv >/dev/null
	await card.back
	wait_until "$PATIENCE" has_come hello
	stop guest1
	machine_stop
}

# A guest that sends nothing, so that only interrupts let it look.  What is
# written to file descriptor $keys comes in, and what the guest has of it is in
# $T/screen.
receiver() {
	mkfifo "$T/keys" "$T/idle"
	exec {keys}<>"$T/keys" {idle}<>"$T/idle"
	far_end "PIPE:$T/keys"
	guestd --vm 1 --name=vm1 --tty >"$T/screen" <&"$idle" 3>&- {NEVER}>&- &
	PIDS[guest1]=$!
	await workload.started
	CAME=
}

# comes_in TEXT: the device has it.
comes_in() {
	CAME+=$1
	printf %s "$1" >&"$keys"
	wait_until "$PATIENCE" uart_is received "${#CAME}"
}

guest_has_it() {
	[[ $(<"$T/screen") == "$CAME" ]]
}

# comes_in_at POINT TEXT COMMAND...: at that point of the switch.  The guest has it
# when the switch is over, though nothing else comes.
comes_in_at() {
	local since
	since=$(iovctl at hv "$1=hold")
	"${@:3}" 3>&- {NEVER}>&- &
	PIDS[switch]=$!
	iovctl wait -t "${PATIENCE}s" --since "${since#since }" "$1" >"$T/wait"
	comes_in "$2"
	iovctl release hv >"$T/wait"
	finish switch 0
	wait_until "$PATIENCE" guest_has_it
}

@test "virtualize-uart: what comes in at any point of a switch interrupts its guest" {
	local i into=(210 212 214 216 218)
	local out=(716 718 720 722 716 718 720 722 708 710 712 714)
	# Below the trigger it is told after a while, above at once.
	local texts=(abc 0123456789) text ways=(block busy log pause lock)
	power_on
	receiver
	for ((i = 0; i < ${#out[@]}; i++)); do
		text=${texts[i / 4 % 2]}
		comes_in_at "virt.${into[i % 5]}" "$text" virtualize
		# In the search it is a sequence.
		comes_in x
		wait_until "$PATIENCE" is machine start
		comes_in_at "devirt.${out[i]}" "$text" \
			devirtualize "${ways[i % 5]}"
	done
	stop guest1
	machine_stop
}

# refuses N: the device, the Nth access from here on.
refuses() {
	iovctl at com0 "device.a1015=fail:$1" >"$T/at"
}

# So many devices were reset, as they refused.
were_reset() {
	(($(events 'select(.ev == "virtual.reset")' | wc -l) >= $1))
}

@test "virtualize-uart: a device that refuses an access when the hypervisor looks, before, at and behind the boundary" {
	local n count=0
	open_by_hand
	# Before: it is as it was.
	iovctl at hv virt.216=hold
	virtualize 3>&- {NEVER}>&- &
	PIDS[switch]=$!
	await virt.216
	refuses 1
	iovctl release hv
	finish switch 1
	assert_equal "$(devices mode)" direct
	echoes 20
	# The first access is the boundary, and let through.
	for n in 2 3 9 13 16; do
		virtualize
		refuses "$n"
		get RBR
		wait_until "$PATIENCE" were_reset $((++count))
		wait_until "$PATIENCE" is machine start
		reads LCR 00
		set_up
		devirtualize
		echoes "$((n + 50))"
	done
	hand_off
	machine_stop
}

@test "virtualize-uart: with divisor 0 nothing moves, and is not lost at a switch" {
	open_by_hand
	virtualize
	echoes 31
	wait_until "$PATIENCE" is machine start
	put LCR 83
	put DLL 00
	put LCR 03
	put THR 32
	put THR 33
	await virtual.stopped '.why == "divisor 0"'
	reads LSR 00
	devirtualize
	await uart.stopped '.why == "divisor 0"'
	assert_equal "$(uart tx)" 2
	put LCR 83
	put DLL 01
	put LCR 03
	wait_until "$PATIENCE" reads LSR 61
	get RBR
	assert_equal "$REPLY" 32
	wait_until "$PATIENCE" reads LSR 61
	get RBR
	assert_equal "$REPLY" 33
	hand_off
	machine_stop
}

@test "virtualize-uart: a terminal talks with a shell behind the guest while the device is switched" {
	local i
	machine_start <<-END
		bridge: rootbridge --exception-timeout 0
		com0: iovdev --type uart --line pty
		hv: hvmon --device com0=vm1
	END
	terminal_opens
	for ((i = 1; i <= 5; i++)); do
		# The answer comes while the device is switched.
		echo "seq -f 'line $i.%g' 500; echo said \$(($i * 7))" >&"$keys"
		virtualize
		wait_until "$PATIENCE" screen_says "said $((i * 7))"
		echo "echo heard \$(($i * 5))" >&"$keys"
		devirtualize
		wait_until "$PATIENCE" screen_says "heard $((i * 5))"
	done
	diff <(grep '^line' "$T/screen") <(for i in 1 2 3 4 5; do
		seq -f "line $i.%g" 500
	done)
	terminal_closes
	machine_stop
}

# Back and forth until the file is there.
switch_until() {
	local i ways=(block busy log pause lock)
	for ((i = 0; ; i++)); do
		[[ ! -e $1 ]] || return 0
		rpc_raw hv virtualize '["com0"]' >"$T/answer"
		pause 5
		devirtualize "${ways[i % 5]}" || true
	done
}

switch_meanwhile() {
	switch_until "$T/enough" 3>&- &
	PIDS[switcher]=$!
}

@test "virtualize-uart: bytes in every mode, one guest after the other, while the device is switched" {
	local way
	power_on
	far_end EXEC:cat
	switch_meanwhile
	for way in '' ,mode=7e1 ,poll ,mode=7o2,divisor=12 ,loop \
		,loop,poll,mode=5n2; do
		run -0 timeout $((PATIENCE * 3)) guestd --vm 1 --once \
			"--bytes=count=3000$way"
	done
	touch "$T/enough"
	finish switcher 0
	machine_stop
}

# A guest may say that a byte is wrong: of those that a hypervisor had in hand
# when it was killed.
guest_is_well() {
	! has_event workload.failed || fresh_guest
}

goes_on() {
	guest_is_well
	more_bytes 20
}

is_emulated() {
	guest_is_well
	is machine start
}

fresh_guest() {
	kill "${PIDS[guest1]}" 2>/dev/null || true
	wait "${PIDS[guest1]}" || true
	unset SEEN
	rm -f "$M"/events/vm1.jsonl
	start guest1 guestd --vm 1 --name=vm1 --bytes=loop
	((++FRESH))
}

# strike POINT VERB: kill the hypervisor there, and have the next one.
strike() {
	local victim
	victim=$(pid hv)
	iovctl at hv "$1=kill" >"$T/at"
	rpc_raw hv "$2" '["com0"]' >"$T/answer" || true
	wait_until "$PATIENCE" is_gone "$victim"
	iovctl start hv >/dev/null
	wait_until "$PATIENCE" is state ready
	unset SEEN
	wait_until "$PATIENCE" goes_on
	[[ $(devices mode) == @(direct|virtual) ]]
}

# The procedures are those of every device, whose tests strike each point.
half() {
	if [[ ${IOVKIT_CAMPAIGN:-} == long ]]; then
		cat
	else
		awk 'NR % 2'
	fi
}

@test "virtualize-uart: a hypervisor killed at any point leaves the device in one mode" {
	local point FRESH=0
	power_on
	start guest1 guestd --vm 1 --name=vm1 --bytes=loop
	await workload.started
	while read -r point; do
		echo "# $point"
		if [[ $point == virt.* ]]; then
			is mode direct || devirtualize
			strike "$point" virtualize
		else
			is mode virtual || virtualize
			wait_until "$PATIENCE" is_emulated
			strike "$point" devirtualize
		fi
	done < <(hvmon --list-points | awk '$1 ~ /^(de)?virt\./ { print $1 }' |
		a_share | half)
	echo "# fresh guests: $FRESH"
	is mode virtual || virtualize
	wait_until "$PATIENCE" goes_on
	devirtualize
	wait_until "$PATIENCE" goes_on
	stop guest1
	machine_stop
}
