#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031,SC2034,SC2154 # PIDS is of machine.bash
# window.bats - direct access (spec 05): translations proposed, windows granted
# and taken back, without a message lost or sent twice.

setup() {
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] || WATCHDOG=1200
	load machine
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

# power_on [HVMON-OPTION...]: a machine whose vm1 has an Ethernet card.
power_on() {
	machine_start <<-END
		bridge: rootbridge
		ether0: iovdev --type ether
		hv: hvmon --device ether0=vm1 $*
	END
}

# sender [COUNT [OPTION...]]: vm1 sends itself numbered messages.
# shellcheck disable=SC2120
sender() {
	start guest1 guestd --vm 1 --name=vm1 "${@:2}" \
		--messages=count="${1:-100000000},size=60-1514"
	await workload.started
}

# column NAME TABLE FIELD: of the first row of a program's table.
column() {
	rpc "$1" show "[\"$2\"]" | jq -r ".rows[0].$3 | tostring"
}

# sent: how many messages vm1 has sent.
sent() {
	rpc vm1 show '["cards"]' | jq -re '.rows[0].sent'
}

moves_on() {
	(($(sent) > $1))
}

# Messages are sent from here on.
goes_on() {
	local before
	before=$(sent)
	wait_until "$PATIENCE" moves_on $((before + 50))
}

# The guest is as it was: nothing lost, twice, torn, out of order; no message
# was ever refused, and the card never set up anew.
all_there() {
	run -0 rpc vm1 report
	assert_output --partial '"lost":0'
	assert_output --partial '"repeated":0'
	assert_output --partial '"reordered":0'
	assert_output --partial '"corrupted":0'
	run -0 column vm1 cards illegal
	assert_output 0
	run -0 column vm1 cards resets
	assert_output 0
}

policy() {
	rpc hv translate "[\"ether0\", \"$1\"]" >"$T/answer"
}

is_open() {
	rpc vm1 show '["tlb"]' | grep -q '"state":"open"'
}

# The guest reaches its card directly.
opens() {
	wait_until "$PATIENCE" is_open
}

# How often an event with that value of a field was written.
count() {
	events "select(.ev == \"$1\" and .$2 == $3)" | wc -l
}

@test "window: neither hypervisor nor root bridge runs code for a direct access" {
	local before
	power_on
	sender
	opens
	goes_on
	before=$(rpc bridge show '["counters"]' | jq -c .rows
		rpc bridge show '["vms"]' |
			jq -c '.rows[] | select(.vm == "vm1")')
	goes_on
	run rpc bridge show '["counters"]'
	assert_equal "$(jq -c .rows <<<"$output"
		rpc bridge show '["vms"]' |
			jq -c '.rows[] | select(.vm == "vm1")')" "$before"
	assert [ "$(column ether0 device-windows writes)" -gt 300 ]
	stop guest1
	machine_stop
}

@test "window: a translation is accepted, changed or rejected as the policy says" {
	power_on --translation ether0=reject
	sender
	await translation.rejected '.why == "the policy rejects it"'
	goes_on
	run -0 rpc bridge show '["windows"]'
	assert_output --partial '"rows":[]'
	# Other rights: writes still pass the bus.
	run -0 iovctl translate ether0 read-only
	await translation.changed '.rights == 1'
	await translation.open '.rights == 1'
	goes_on
	assert_equal "$(column ether0 device-windows writes)" 0
	assert [ "$(column ether0 device-windows reads)" -gt 50 ]
	run -0 iovctl translate ether0 accept
	await translation.accepted '.rights == 3'
	goes_on
	run -64 iovctl translate ether0
	run -64 iovctl translate ether0 nonsense
	run -69 iovctl translate ether7 accept
	stop guest1
	machine_stop
}

# accesses SPEC: of vm1 to the scratch register of a UART.
accesses() {
	timeout $((PATIENCE * 3)) guestd --vm 1 --once "--accesses=$1" 2>&1
}

@test "window: reads follow writes on every path, and a page is another's" {
	machine_start <<-END
		bridge: rootbridge
		com0: iovdev --type uart
		com1: iovdev --type uart
		hv: hvmon --device com0=vm1 --device com1=vm1 \
			--translation com1=reject
	END
	# A read that is not what was written before it is an error.
	run -0 accesses vf=0,depth=32,count=5000
	run -0 accesses vf=1,depth=32,count=500
	run -0 iovctl translate com0 read-only
	run -0 accesses vf=0,depth=32,count=5000
	run -0 accesses write,vf=0,count=50
	run -0 iovctl translate com0 page:com1
	run -0 accesses write,vf=0,depth=300,count=5000
	await translation.changed '.function == "com1/pf0"'
	await window.ended '.function == "com1/pf0" and .writes > 1000'
	run -0 iovctl translate com0 page:com7
	run -0 accesses vf=0,count=50
	await translation.rejected '.why == "the VM has no such other device"'
	run -64 hvmon --translation com0=page:
	run -64 hvmon --translation reject
	machine_stop
}

@test "window: a guest that runs stops by itself when a window is taken back" {
	local i n=20
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] || n=1000
	# Whoever has no CPU is late, and this is about those who answer.
	power_on --revoke-limit 60s
	sender
	for ((i = 0; i < n; i++)); do
		opens
		policy accept
	done
	goes_on
	all_there
	assert_equal "$(count translation.revoked acknowledged true)" "$n"
	stop guest1
	machine_stop
}

# thaw_after COMMAND...: while the guest is frozen.
frozen() {
	kill -STOP "${PIDS[guest1]}"
	wait_until "$PATIENCE" is_stopped "${PIDS[guest1]}"
	"$@"
	kill -CONT "${PIDS[guest1]}"
}

# A guest that reads a register of its UART, up to 32 times at once.
reader() {
	machine_start <<-END
		bridge: rootbridge
		com0: iovdev --type uart
		hv: hvmon --device com0=vm1 $*
	END
	start guest1 guestd --vm 1 --name=vm1 --accesses=depth=32
	await workload.started
	opens
}

has_read() {
	(($(column vm1 workload "done") > $1))
}

# Each read is answered, and with what was written; and by the window.
reads_on() {
	opens
	wait_until "$PATIENCE" has_read $(($(column vm1 workload "done") + 500))
	assert_equal "$(column vm1 workload state)" running
	assert_equal "$(column vm1 workload errors)" 0
}

# The guest resets its card: in the background.
reset_card() {
	rpc vm1 reset-card '[0]' 3>&- {NEVER}>&- >"$T/answer" &
	PIDS[reset]=$!
}

# is_set_up COUNT: so often again, after a reset.
is_set_up() {
	[[ $(column vm1 cards resets) -ge $1 && $(column vm1 cards state) == up ]]
}

@test "window: a guest resets its card: each access on its way is done, and it goes on directly" {
	local i
	reader --revoke-limit 60s
	for i in 1 2 3 4 5; do
		rpc vm1 reset-card '[0]' >"$T/answer"
		wait_until "$PATIENCE" is_set_up "$i"
		reads_on
	done
	# The window ends before the reset, and properly.
	assert_order revoke.ask revoke.end window.ended window.closed \
		translation.revoked device.flr function.reset \
		function.reset.done
	assert_equal "$(count window.ended reads 0)" 0
	assert_equal "$(count translation.revoked acknowledged true)" 5
	refute has_event window.broken
	run -0 rpc_error vm1 reset-card '[1]'
	assert_output "no card in slot 1"
	stop guest1
	machine_stop
}

@test "window: a guest that is frozen as it resets its card" {
	reader
	iovctl at hv revoke.ask=hold
	reset_card
	await revoke.ask
	kill -STOP "${PIDS[guest1]}"
	wait_until "$PATIENCE" is_stopped "${PIDS[guest1]}"
	iovctl release hv
	await function.reset.done
	kill -CONT "${PIDS[guest1]}"
	finish reset 0
	wait_until "$PATIENCE" is_set_up 1
	reads_on
	assert_equal "$(count translation.revoked acknowledged false)" 1
	refute has_event window.broken
	stop guest1
	machine_stop
}

@test "window: what a guest is to send while its card is away is sent when it is back" {
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages=rate=2k
	opens
	goes_on
	card_goes_away
	iovctl start hv
	await card.back
	goes_on
	all_there
	stop guest1
	machine_stop
}

# le SIZE NUMBER: its bytes in hex, the lowest first.
le() {
	local i n=$2
	for ((i = 0; i < $1; i++, n >>= 8)); do
		printf %02x $((n & 255))
	done
}

# propose ENTRY GPA: a step of the test peer; show ENTRY: what the region has.
propose() {
	echo "write 0 0xb0001000 $(le 4 1)$(le 4 "$1")$(le 8 "$2")$(le 4 3)$(le 4 0)"
}

show() {
	echo "message 5 $(le 4 32)$(le 4 0)$(le 4 $((272 + $1)))$(le 20 0)"
}

@test "window: a region of a VM shows one window, of the page that was proposed last" {
	local ether=0x50000000 com=0x50100000
	machine_start <<-END
		bridge: rootbridge
		ether0: iovdev --type ether
		com0: iovdev --type uart
		hv: hvmon --device ether0=vm1 --device com0=vm1
	END
	# The entry of the first window is used for the second, which moves on.
	"${BIN%/bin}/t/tool/vfu" "$M/bus/vm1.sock" hello "$(propose 5 $ether)" \
		"$(show 5)" "$(propose 5 $com)" "$(propose 6 $com)" "$(show 5)" \
		"$(show 6)" >"$T/peer"
	# Flags: to be read, written and mapped; or nothing is there.
	run -0 sed -n 's/^message .*: 20000000\(..\).*/\1/p' "$T/peer"
	assert_output $'07\n00\n07'
	machine_stop
}

# typed TEXT: it goes out.
typed() {
	printf %s "$1" >&"$keys"
	WENT+=$1
	wait_until "$PATIENCE" went_out
}

went_out() {
	[[ $(<"$T/came") == "$WENT" ]]
}

# has_entry FILTER: of the translations of the guest.
has_entry() {
	rpc vm1 show '["tlb"]' | jq -e ".rows[] | select($1)" >"$T/row"
}

@test "window: a proposal that nobody answers leads to no other page's window" {
	local ether=$((0x50000000)) com=$((0x50100000)) hv WENT=
	machine_start <<-END
		bridge: rootbridge
		ether0: iovdev --type ether
		com0: iovdev --type uart --line unix:$T/line
		hv: hvmon --device ether0=vm1 --device com0=vm1
	END
	socat -u "UNIX-CONNECT:$T/line" "CREATE:$T/came" 3>&- {NEVER}>&- &
	PIDS[far]=$!
	await line.carrier .on
	mkfifo "$T/keys"
	exec {keys}<>"$T/keys"
	guestd --vm 1 --name=vm1 --tty <&"$keys" >"$T/screen" 3>&- {NEVER}>&- &
	PIDS[guest1]=$!
	await workload.started
	# The UART's window is that of the first entry.
	typed a
	until has_entry ".gpa == $com and .entry == 0 and .state == \"open\""; do
		rpc hv virtualize '{"device":"com0"}' >"$T/answer"
		rpc hv devirtualize '{"device":"com0"}' >"$T/answer"
		typed b
	done
	# All entries are free, no window has ended, and nobody is there.
	hv=$(pid hv)
	iovctl at hv revoke.end=kill
	rpc_raw hv virtualize '{"device":"ether0"}' >"$T/answer"
	wait_until "$PATIENCE" is_gone "$hv"
	# Registers of the Ethernet card, and of no other.
	rpc vm1 access-cost '[0, 0, 100]' >"$T/answer"
	wait_until "$PATIENCE" has_entry ".gpa == $ether and .state == \"rejected\""
	typed c
	stop guest1
	machine_stop
}

# The messages of the guest wait behind a fence.
messages_wait() {
	rpc bridge show '["parked"]' |
		jq -e '.rows[] | select(.vm == "vm1" and .size == 8)' >"$T/row"
}

@test "window: hvmon killed at each point as a guest resets its card: it goes on" {
	local at
	local -a points
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages=rate=2k
	mapfile -t points < <(hvmon --list-points |
		awk '$1 ~ /^function-reset[.]/ { print $1 }')
	for at in "${points[@]}"; do
		goes_on
		echo "--- $at"
		killed_in_reset "$at"
	done
	goes_on
	run -0 rpc vm1 report
	assert_output --partial '"corrupted":0'
	stop guest1
	machine_stop
}

# killed_in_reset POINT: when messages wait, if they are to.
killed_in_reset() {
	local hv since
	hv=$(pid hv)
	since=$(iovctl at hv "$1=hold")
	rpc_raw vm1 reset-card '[0]' >"$T/answer" 3>&- {NEVER}>&- &
	PIDS[reset]=$!
	iovctl wait -t "${PATIENCE}s" --since "${since#since }" "$1" >"$T/wait"
	[[ $1 == *.revoke || $1 == *.fence ]] ||
		wait_until "$PATIENCE" messages_wait
	kill -KILL "$hv"
	wait_until "$PATIENCE" is_gone "$hv"
	finish reset 0
	iovctl start hv >"$T/wait"
}

@test "window: hvmon killed as a guest resets its card: an error, and the guest goes on" {
	local hv
	reader
	hv=$(pid hv)
	iovctl at hv revoke.end=kill
	rpc_raw vm1 reset-card '[0]' >"$T/answer"
	wait_until "$PATIENCE" is_gone "$hv"
	iovctl start hv
	await device.ready .adopted
	rpc vm1 reset-card '[0]' >"$T/answer"
	wait_until "$PATIENCE" is_set_up 1
	reads_on
	stop guest1
	machine_stop
}

@test "window: a frozen guest holds nothing up, and loses nothing" {
	local i n=20
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] || n=1000
	power_on
	sender
	for ((i = 0; i < n; i++)); do
		opens
		frozen policy accept
	done
	goes_on
	all_there
	assert_equal "$(count translation.revoked acknowledged false)" "$n"
	stop guest1
	machine_stop
}

@test "window: hvmon killed while direct: the guest does not notice, the next one takes back" {
	power_on
	sender
	opens
	kill -KILL "$(pid hv)"
	goes_on
	iovctl start hv
	await device.ready .adopted
	await ready '.src == "hv"'
	goes_on
	assert_equal "$(count translation.closed again 0)" 0
	assert_equal "$(column hv translations vm)" vm1
	policy reject
	await translation.revoked
	await translation.rejected '.why == "the policy rejects it"'
	goes_on
	run -0 rpc bridge show '["windows"]'
	assert_output --partial '"rows":[]'
	all_there
	stop guest1
	machine_stop
}

# So many hypervisors have taken the card over from the one before.
is_adopted() {
	(($(count device.ready adopted true) >= $1))
}

@test "window: hvmon killed while it takes a window back: the next one does" {
	local point hv n=0
	power_on
	sender
	for point in revoke.ask revoke.end; do
		opens
		hv=$(pid hv)
		iovctl at hv "$point=kill"
		policy accept || true
		wait_until "$PATIENCE" is_gone "$hv"
		goes_on
		iovctl start hv
		wait_until "$PATIENCE" is_adopted "$((++n))"
		policy accept
		goes_on
	done
	all_there
	stop guest1
	machine_stop
}

@test "window: the device dies, and the guest goes on with the next one" {
	power_on
	sender
	opens
	kill -KILL "$(pid ether0)"
	await window.closed '.why == "its device is gone"'
	await card.away
	iovctl start ether0
	await card.back
	opens
	goes_on
	stop guest1
	machine_stop
}

@test "window: hvmon killed while it inspects: the guest goes on, the next one grants" {
	local hv
	power_on
	sender
	opens
	hv=$(pid hv)
	iovctl at hv translation.512=kill
	# It may die before it answers.
	rpc_raw hv translate '["ether0", "accept"]' >"$T/answer"
	wait_until "$PATIENCE" is_gone "$hv"
	goes_on
	iovctl start hv
	opens
	goes_on
	all_there
	stop guest1
	machine_stop
}

@test "window: a device that does not answer holds nothing up" {
	power_on
	sender
	opens
	kill -STOP "$(pid ether0)"
	policy reject
	await window.closed '.why == "its device does not answer"'
	# As on the bus: what was on its way reads as all ones.
	await card.away
	kill -CONT "$(pid ether0)"
	await window.ended
	stop guest1
	machine_stop
}

@test "window: the guest dies, and the next one gets a window of its own" {
	power_on
	sender
	opens
	stop guest1 KILL 137
	await window.ended
	await vm.reset.done
	assert_equal "$(column hv translations vm)" null
	sender
	opens
	goes_on
	all_there
	stop guest1
	machine_stop
}

# window_of PROGRAM: the memory behind its window.
window_of() {
	find "/proc/$1/fd" -lname '/memfd:iovkit-window*' | head -n 1
}

waits_in_window() {
	(($(column vm1 tlb on_their_way) > 0))
}

# damage FILE: of all accesses in that window, the size: there is none of 0
# bytes.  The device does not look meanwhile.
damage() {
	local i
	for ((i = 0; i < 256; i++)); do
		printf '\0' | dd of="$1" bs=1 seek=$((12288 + 16 * i + 4)) \
			conv=notrunc status=none
	done
}

# Truncate what the guest has for a window, until that was the one it uses.  One
# that waits for what it sent by it, which is lost, looks at it when it is taken
# back.
cut_away() {
	truncate -s 0 "$(window_of "${PIDS[guest1]}")" 2>/dev/null
	policy accept
	has_event card.away true
}

@test "window: a ring that makes no sense, or is truncated, stops nobody" {
	local file
	power_on
	sender
	opens
	iovctl freeze ether0
	wait_until "$PATIENCE" waits_in_window
	damage "$(window_of "${PIDS[guest1]}")"
	iovctl thaw ether0
	await window.broken '.why == "what lies there is no access"'
	# What was not done is done over the bus.
	goes_on
	all_there
	policy accept
	opens
	# The guest finds its card gone, the device goes on.
	wait_until "$PATIENCE" cut_away
	run -0 iovctl reset ether0/pf0
	await card.back
	opens
	goes_on
	stop guest1
	machine_stop
}
