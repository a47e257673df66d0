# rigs.bash - bats helpers: a root bridge between a device and VMs that are
# scripts (t/rig).  Load it after machine.bash, whose machine_setup goes before
# rigs_setup.
# shellcheck shell=bash disable=SC2154

rigs_setup() {
	RIG=${BIN%/bin}/t/rig
	mkdir -p "$M/dev/nic0"
	chmod 700 "$M"
	declare -gA SAY=()
}

# The rig's device nic0 with VFs; quirk.
device() {
	"$RIG/rigdev" "$M/dev/nic0" "${1:-2}" "${2:-}" 3>&- \
		2>>"$T/log/dev.err" {NEVER}>&- &
	PIDS[dev]=$!
}

kill_device() {
	kill -KILL "${PIDS[dev]}"
	wait "${PIDS[dev]}" || true
	unset "PIDS[dev]"
}

# A VM whose commands come from `say N`, and whose replies go to $T/vmN.
vm() {
	local n=$1 fd
	rm -f "$T/vm$n.in"
	mkfifo "$T/vm$n.in"
	"$RIG/rigvm" "$M/bus/vm$n.sock" <"$T/vm$n.in" >"$T/vm$n" 3>&- \
		{NEVER}>&- &
	PIDS[vm$n]=$!
	exec {fd}>"$T/vm$n.in"
	SAY[$n]=$fd
}

say() {
	local n=$1
	shift
	printf '%s\n' "$@" >&"${SAY[$n]}"
}

told() {
	grep -qE -- "$2" "$T/vm$1"
}

# expect N REGEX...: each appears in what VM N got.
expect() {
	local n=$1 re
	shift
	for re; do
		wait_until "$PATIENCE" told "$n" "$re" || {
			cat "$T/vm$n"
			return 1
		}
	done
}

hang_up() {
	local n=$1 fd=${SAY[$1]}
	exec {fd}>&-
	unset "SAY[$n]"
}

kill_vm() {
	kill -KILL "${PIDS[vm$1]}"
	hang_up "$1"
	wait "${PIDS[vm$1]}" || true
	unset "PIDS[vm$1]"
}

# PF BAR 0 at 0x50000000, VFs enabled with BAR 0 from 0x50010000 on; a row of
# 0x4000 bytes at 0x10000 for VF 1 of VM 1 and VF 2 of VM 2.
machine() {
	device 2
	# A busy computer is no reason for a timeout.
	start rootbridge rootbridge --vms 3 --timeout 20s --park-limit 20s \
		--exception-timeout 20s "$@"
	await device.attached
	vm 0
	say 0 'write 0x40100010 00000050' 'write 0x40100004 0600' \
		'write 0x40100174 00000150' 'write 0x40100160 0200' \
		'write 0x40100158 0900' wait \
		'row set 1 0x10000 0x13fff 0x50000000 allowed' \
		'row set 2 0x10000 0x13fff 0x50004000 allowed' \
		'assign 0x101 1' 'assign 0x102 2' wait 'memory'
	expect 0 'memory: '
	vm 1
	vm 2
	expect 1 ready
	expect 2 ready
}

held_id() {
	rpc rootbridge show '["held"]' |
		jq -re ".rows[${1:-0}].operation"
}

table() {
	rpc rootbridge show "[\"$1\"]" | jq -c ".rows[] | select(${2:-true})"
}

rows_are() {
	[[ $(table "$1" "$3" | wc -l) -eq $2 ]]
}
