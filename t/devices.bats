#!/usr/bin/env bats
# shellcheck disable=SC2034,SC2154 # PIDS is of machine.bash
# devices.bats - iovdev as an idealised Ethernet card and as a UART: command
# line, lines, LAN, config space.  Their registers are tested by the unit
# suites ether, uart and single.

setup() {
	load machine
	machine_setup
	need iovdev
	VFU=${BIN%/bin}/t/tool/vfu
}

teardown() {
	machine_teardown
}

# usage TEXT OPTION...: refused with 64 and a message that has the text.
usage() {
	local text=$1
	shift
	run -64 iovdev --name=dev0 "$@"
	assert_output --partial "$text"
}

# registers STEP...: accesses to BAR 0 of the device that stands alone.
registers() {
	"$VFU" "$T/pf" hello "$@"
}

# Of an Ethernet card: CSR A, B, C, and the status.
message=('write 0 0 0001000000000000' 'write 0 8 4000000000000000'
	'write 0 16 0269aabbccdd0000')
STATUS='read 0 24 8'
# Byte registers of a UART.
THR='write 0 0'
LSR='read 0 5 1'

file_holds() {
	[[ $(cat "$1") == "$2" ]]
}

@test "devices: options that a type does not have" {
	usage "--vfs: a device of type ether has none" --type ether --vfs 2
	usage "--lan: a device of type uart has none" --type uart --lan none
	usage "--mac-base: a device of type uart" --type uart \
		--mac-base 02:00:00:00:00:01
	usage "--line: a device of type nic has none" --line pty
	usage "--paced: a device of type ether" --type ether --paced
	usage "there is no vf1" --type ether --latency vf1=1ms
	usage "no line 'modem'" --type uart --line modem
	usage "no line 'unix:'" --type uart --line unix:
	usage "both want standard output" --type uart --line - --events -
}

@test "devices: lspci reads an Ethernet card and a serial port" {
	need rootbridge iovctl
	machine_start <<-END
		bridge: rootbridge
		com0: iovdev --type uart
		ether0: iovdev --type ether
	END
	await device.attached '.device == "ether0"'
	await device.attached '.device == "com0"'
	run -0 iovctl config-dump com0/pf0 ether0/pf0
	type -P lspci || skip "no lspci"
	iovctl config-dump com0/pf0 ether0/pf0 >"$T/dump"
	run -0 lspci -n -F "$T/dump"
	assert_line --partial ' 0700: 1b36:0002 '
	assert_line --partial ' 0200: 1b36:10f2 '
	run -0 lspci -vv -F "$T/dump"
	assert_output --partial "[16550]"
	assert_output --partial "Interrupt: pin A"
	assert_output --partial "MSI-X: Enable- Count=1"
	refute_output --partial "<chain looped>"
}

@test "devices: tables and methods are those of the type" {
	start ether0 iovdev --type ether
	run -0 rpc ether0 show '["device-ether"]'
	assert_output --partial '"state":1'
	run -0 rpc ether0 show '["lan"]'
	run -0 rpc_error ether0 show '["fdb"]'
	run -0 rpc_error ether0 capture '["ether0/vf1"]'
	assert_output "no function 'ether0/vf1' here (ether0/pf0)"
	run -0 rpc_error ether0 bandwidth '["ether0/pf0", "1Gbit"]'
	start com0 iovdev --type uart
	run -0 rpc com0 show '["device-uart"]'
	assert_output --partial '"mode":"5N1"'
	run -0 rpc_error com0 line '["noise"]'
	assert_output "no error 'noise' (break, framing or parity)"
	run -0 rpc_error com0 modem '{"cts": "maybe"}'
	assert_output "modem: cts is on or off"
	run -0 rpc com0 modem '{"cts": "on", "ri": "on"}'
	assert_output --partial '"msr":81'
	run -0 rpc_error com0 show '["lan"]'
	stop com0
	stop ether0
}

@test "devices: an Ethernet card sends to its LAN" {
	start ether0 iovdev --type ether --socket-path="$T/pf" \
		--lan "pcap:$T/frames"
	# 64 bytes at 0x100 to 02:69:aa:bb:cc:dd.  With Bus Master Enable and
	# memory that is a frame, of zeros; without, it waits or is an error.
	run -0 registers 'map 0 0x100000' "${message[@]}" "$STATUS" \
		'write 7 4 0400' "$STATUS" 'unmap 0 0x100000' \
		"${message[@]}" "$STATUS"
	assert_line "$STATUS: 0004000000000000"
	assert_line "$STATUS: 0501000000000000"
	assert_line "$STATUS: 0901000000000000"
	stop ether0
	run -0 tcpdump -ner "$T/frames"
	assert_line --partial '02:69:6f:00:00:00 > 02:69:aa:bb:cc:dd,'
	# File header, packet header, addresses and message.
	assert_equal "$(stat -c %s "$T/frames")" $((24 + 16 + 12 + 64))
}

@test "devices: a UART's line is standard input and output" {
	mkfifo "$T/in"
	iovdev --type uart --name=com0 --socket-path="$T/pf" --line - \
		--ready-fd=9 9>"$T/ready" <"$T/in" >"$T/line" \
		2>"$T/log/com0.err" 3>&- {NEVER}>&- &
	PIDS[com0]=$!
	exec {in}>"$T/in"
	await ready '.src == "com0"'
	await line.carrier '.on'
	# 8N1, FIFOs, three characters out and one in.
	run -0 registers 'write 0 3 03' 'write 0 2 01' \
		"$THR 78" "$THR 79" "$THR 7a"
	wait_until "$PATIENCE" file_holds "$T/line" xyz
	printf 'A' >&"$in"
	exec {in}>&-
	await line.carrier '.on | not'
	run -0 registers 'read 0 0 1' 'read 0 6 1'
	assert_line 'read 0 0 1: 41' # what came before the end is there
	assert_line 'read 0 6 1: 0b'
	stop com0
}

@test "devices: a UART's line is a pseudo-terminal, for one user after another" {
	local user
	start com0 iovdev --type uart --socket-path="$T/pf" --line pty
	[[ -c $T/pf.tty ]]
	run -0 registers 'write 0 3 03' 'write 0 2 01' "$THR 61" 'read 0 6 1'
	assert_line 'read 0 6 1: 00' # nobody is there: it is lost
	for user in 1 2; do
		socat -u "$T/pf.tty" "CREATE:$T/got$user" 3>&- \
			{NEVER}>&- &
		PIDS[socat]=$!
		wait_until "$PATIENCE" carriers true "$user"
		run -0 registers "$THR 6$user" "$THR 0d" "$THR 0a"
		wait_until "$PATIENCE" file_holds "$T/got$user" \
			"$(printf '%b\r' "\\x6$user")"
		stop socat TERM 143
		wait_until "$PATIENCE" carriers false "$user"
	done
	# What the first user leaves behind is there for the driver.
	printf 'left\n' >"$T/pf.tty"
	wait_until "$PATIENCE" carriers false 3
	run -0 registers 'read 0 0 1' 'read 0 0 1' 'read 0 0 1'
	assert_line 'read 0 0 1: 6c'
	stop com0
	[[ ! -e $T/pf.tty ]]
}

# carriers true|false COUNT: so often it came, or went.
carriers() {
	local n
	n=$(grep -c "\"ev\":\"line.carrier\".*\"on\":$1" \
		"$M/events/com0.jsonl")
	[[ $n -ge $2 ]]
}

@test "devices: a paced UART overruns, one that is not does not" {
	local pace
	for pace in '' --paced; do
		start com0 iovdev --type uart --socket-path="$T/pf" \
			${pace:+"$pace"} --line "unix:$T/line"
		run -0 registers 'write 0 3 83' 'write 0 0 01' 'write 0 3 03' \
			'write 0 2 01'
		seq 100 | socat -u - "UNIX-CONNECT:$T/line"
		if [[ $pace ]]; then
			wait_until "$PATIENCE" overran
		else
			wait_until "$PATIENCE" received 16
			run -0 registers "$LSR"
			assert_line "$LSR: 61"
		fi
		stop com0
		rm "$M/events/com0.jsonl"
	done
}

overran() {
	[[ $(rpc com0 show '["device-uart"]') =~ \"overruns\":[1-9] ]]
}

received() {
	[[ $(rpc com0 show '["device-uart"]') == *"\"received\":$1,"* ]]
}

# Of the table: true once it is; SENT is how many characters had left by then.
interrupts() {
	local row
	row=$(rpc com0 show '["device-uart"]')
	SENT=${row##*\"sent\":}
	SENT=${SENT%%,*}
	[[ $row == *'"irq":true'* ]]
}

@test "devices: a UART that sends all the time tells of a character that waits" {
	start com0 iovdev --type uart --socket-path="$T/pf" --paced \
		--line "unix:$T/line"
	# Of the receiver, trigger 8; 0.2 s a character.
	run -0 registers 'write 0 3 83' 'write 0 0 00' 'write 0 1 08' \
		'write 0 3 03' 'write 0 2 81' 'write 0 1 01'
	printf A | socat -u - "UNIX-CONNECT:$T/line"
	wait_until "$PATIENCE" received 1
	run -0 registers "$THR 61"{,,,,,,,,,,,,,,}
	wait_until "$PATIENCE" interrupts
	assert [ "$SENT" -lt 15 ]
	stop com0
}

@test "devices: divisor 0 stops a UART, with an event" {
	start com0 iovdev --type uart --socket-path="$T/pf"
	run -0 registers 'write 0 3 83' 'write 0 0 00' 'write 0 1 00' \
		'write 0 3 03' "$THR 78" "$LSR"
	assert_line "$LSR: 00"
	await uart.stopped '.why == "divisor 0"'
	stop com0
}

# window RIGHTS: a step that opens one on the first registers; 00: that ends it.
window() {
	echo "write 9 0 00000000000000000000000000000000${1}00000000000000"
}

@test "devices: a window does not outlive a reset" {
	start com0 iovdev --type uart --socket-path="$T/pf"
	# Whoever opened it is to end it, also after that.
	run -0 registers "$(window 03)" 'write 7 0x48 0080' "$(window 01)" \
		"$(window 00)" "$(window 03)"
	assert_line "$(window 01): EBUSY"
	assert_equal "$(grep -c ': ok$' <<<"$output")" 4
	await function.reset
	assert_order window.opened window.broken function.reset window.ended
	has_event window.broken '.why == "the function is reset"'
	stop com0
}
