# shellcheck shell=bash disable=SC2034,SC2154 # PIDS and T are of machine.bash
# uart.bash - the other end of a UART's line, and a terminal at it.
#
# The UART is com0 of vm1, in slot 0.  VFU is the test peer.

# far_end ADDRESS [OPTION...]: what socat knows by that, at a line that is
# unix:$T/line.
far_end() {
	socat "${@:2}" "UNIX-CONNECT:$T/line" "$1" 3>&- {NEVER}>&- &
	PIDS[far]=$!
	await line.carrier '.on'
}

# A terminal at a line that is a pty, and a shell behind the guest: what goes to
# file descriptor $keys is typed, and $T/screen has what came.
terminal_opens() {
	mkfifo "$T/to" "$T/from" "$T/keys"
	sh <"$T/to" >"$T/from" 2>&1 3>&- {NEVER}>&- &
	PIDS[shell]=$!
	guestd --vm 1 --name=vm1 --tty >"$T/to" <"$T/from" 3>&- {NEVER}>&- &
	PIDS[guest1]=$!
	await workload.started
	socat - "$M/dev/com0/tty" <"$T/keys" >"$T/screen" 3>&- {NEVER}>&- &
	PIDS[terminal]=$!
	exec {keys}>"$T/keys"
	# What is sent before somebody is there is lost, here as on a cable.
	await line.carrier '.on'
}

# screen_says PATTERN
screen_says() {
	grep -q "$1" "$T/screen"
}

# The shell ends as it is told, then the guest, then the terminal.
terminal_closes() {
	echo 'exit 3' >&"$keys"
	finish shell 3
	stop guest1
	exec {keys}>&-
	finish terminal 0
}

# A guest whose every access is made by hand.  It has no interrupts.
BAR=0x50000000
by_hand() { # [VM]
	rm -f "$T/to" "$T/from"
	mkfifo "$T/to" "$T/from"
	"$VFU" "$M/bus/vm${1:-1}.sock" hello - <"$T/to" >"$T/from" 3>&- {NEVER}>&- &
	PIDS[hand]=$!
	exec {to}>"$T/to" {from}<"$T/from"
	reply
	# Memory Space and Bus Master Enable.
	step 'write 0 0x40000004 0600'
}

reply() {
	read -t "$PATIENCE" -r -u "$from" REPLY
	REPLY=${REPLY#*: }
}

# step STEP: and its reply, in REPLY.
step() {
	echo "$1" >&"$to"
	reply
}

hand_off() {
	exec {to}>&- {from}<&-
	finish hand 0
}

# Offsets of registers.
declare -gA REG=([RBR]=0 [THR]=0 [DLL]=0 [IER]=1 [DLM]=1 [IIR]=2 [FCR]=2 [LCR]=3
	[MCR]=4 [LSR]=5 [MSR]=6 [SCR]=7)

# put REG VALUE, get REG: a byte in hex, the latter in REPLY.
put() {
	step "write 0 $((BAR + ${REG[$1]})) $2"
	assert_equal "$REPLY" ok
}

get() {
	step "read 0 $((BAR + ${REG[$1]})) 1"
}

# reads REG VALUE
reads() {
	get "$1"
	[[ $REPLY == "$2" ]]
}
