# shellcheck shell=bash disable=SC2034,SC2154 # PIDS and T are of machine.bash
# uart.bash - the other end of a UART's line, and a terminal at it.
#
# The UART is com0 of vm1.

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
