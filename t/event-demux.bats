#!/usr/bin/env bats
# shellcheck disable=SC2154 # PIDS, SAY are of machine.bash, rigs.bash
# event-demux.bats - one adapter's events, demultiplexed to guests (spec 04):
# level 1, here with a partition's hypervisor that is a script.

setup() {
	load machine
	load rigs
	machine_setup
	need rootbridge iovdev hvmon iovctl
	rigs_setup
}

teardown() {
	machine_teardown
}

# words WIDTH NUMBER...: as hex digits, the least byte first.
words() {
	local width=$1 hex i
	shift
	for n; do
		printf -v hex "%0${width}x" "$n"
		for ((i = width - 2; i >= 0; i -= 2)); do
			printf '%s' "${hex:i:2}"
		done
	done
}

EQ=$((3 << 30)) CQ=$((2 << 30)) QP=$((1 << 30)) FIRST=$((1 << 32))

# verb OP ATTRIBUTE HANDLE VALUE
verb() {
	say 1 "write 0x50000040 $(words 16 "$4")" \
		"write 0x50000048 $(words 16 $(($1 | $2 << 8 | $3 << 32)))"
}

# stores HANDLE ATTRIBUTE=VALUE...
stores() {
	local handle=$1 pair
	shift
	for pair; do
		verb 2 "${pair%=*}" "$handle" "${pair#*=}"
	done
}

# call WHAT VM: to the machine.
call() {
	say 1 "write 0xb0002000 $(words 8 "$1" "$2")" wait
}

# The partition's tables: one guest, which is this VM itself, with one CQ and one
# EQ of 8 entries at 0x14000, ISC 2, token 0x77.
write_tables() {
	say 1 "memory 128 =$(words 8 $EQ 64)$(words 16 $((0x10000)) 0)$(words 8 1)" \
		"memory 0x1000 =$(words 8 1 0)$(words 16 $FIRST $((0x77)) 0)" \
		"memory 0x1040 =$(words 8 1 1)$(words 16 0 $FIRST $((0x14000)) \
			$((0x14f00)) 0)$(words 8 8 2)" \
		"memory 0x1080 =$(words 8 1 0 0 4 1 0)" \
		"memory 0 =$(words 8 $((0x556d4544)) 1 1 1 1 0)$(words 16 \
			$((0x1000)) $((0x1040)) $((0x1080)) $((0x10c0)))"
}

# The type 1 queue, the guest's CQ, and a QP that is its own peer.
make_queues() {
	local i
	say 1 "write 0x40000004 0600" "write 0x4000007e 0080" \
		"write 0x5000201c 00000000"
	verb 1 3 0 0
	stores $EQ 2=$((0x10000)) 3=64 8=1 1=1
	verb 1 2 0 0
	stores $CQ 2=$((0x11000)) 3=64 4=$FIRST 5=$EQ 1=1
	verb 1 1 0 0
	stores $QP 12=$((0x12000)) 13=16 14=$((0x13000)) 15=16 16=$CQ \
		17=$CQ 18=$QP 19=0 1=1
	for i in 0 1 2 3; do
		say 1 "memory $((0x12000 + 32 * i)) =$(words 16 $((0x8000))
			)$(words 8 16 1)" \
			"memory $((0x13000 + 32 * i)) =$(words 16 $((0x9000))
			)$(words 8 64 0)"
	done
	say 1 wait
}

# message N: the Nth goes to this QP itself.
message() {
	say 1 "write 0x50010008 $(words 8 $QP "$1")" \
		"write 0x50010000 $(words 8 $QP "$1")" wait
}

# summary FILTER: whether the row of the partition has this.
summary() {
	rpc hv show '["summary"]' |
		jq -e ".rows[] | select(.function == \"hca0/vf1\") | $1"
}

summary_says() {
	wait_until "$PATIENCE" summary "$1" >/dev/null ||
		fail "no $1 in $(rpc hv show '["summary"]')"
}

# A machine with level 1, and vm1 as hypervisor and guest of partition 1.
power_on() {
	machine_start <<-END
		bridge: rootbridge
		hca0: iovdev --type hca --vfs 2
		hv: RESTART=always hvmon --level 1 --vf hca0/vf1=vm1 --vf hca0/vf2=vm2
	END
	vm 1
	expect 1 ready
	say 1 'irq 2 3' memory
	expect 1 'memory: '
}

# has_event_in SLOT: the guest has an event with its own token there, and none
# of another's.
has_event_in() {
	say 1 "memory $((0x14000 + 32 * $1)) 32"
	expect 1 "memory $((0x14000 + 32 * $1)): $(words 16 $((0x77)))$(
		words 8 $CQ 1)$(words 16 0)$(words 8 $(($1 + 1)) 1)"
}

# interrupted N: the guest was, N times; it may take several at once.
interrupted() {
	(($(sed -n 's/^irq 2 3: //p' "$T/vm1" | awk '{ n += $1 } END { print n + 0 }') >= $1))
}

@test "event-demux: level 1 forwards a guest's events, and the next one goes on where it was killed" {
	power_on
	make_queues
	write_tables
	call 1 0
	await queues.attached
	message 1
	summary_says '.forwarded == 1 and .interrupted == 1 and .dropped == 0'
	has_event_in 0
	wait_until "$PATIENCE" interrupted 2 # once when it was attached
	say 1 "memory 0x14018 =$(words 8 1 0)" "memory 0x14f00 1"
	expect 1 'memory 0x14f00: 01'
	# What comes while nobody forwards waits in the type 1 queue.
	kill -STOP "$(pid hv)"
	message 2
	kill -KILL "$(pid hv)"
	await queues.attached '.inc == 2'
	summary_says '.forwarded == 2'
	has_event_in 1
	wait_until "$PATIENCE" interrupted 4
	machine_stop
}

@test "event-demux: calls of whoever has no queues, tables or guests are refused" {
	power_on
	call 1 0 # no record
	call 3 2 # nothing is attached: the maps are looked at then
	make_queues
	write_tables
	call 1 0
	call 3 2 # not a guest of this partition
	call 9 0
	say 1 "write 0xb0002000 00000000" wait "memory 0 =$(words 8 0)"
	call 1 0
	say 1 'memory 0 4'
	expect 1 'memory 0: '
	run sed -n 's/^write 0xb0002000: //p' "$T/vm1"
	assert_output "$(printf '%s\n' 'error ENOENT' ok ok \
		'error ENOENT' 'error EINVAL' 'error EINVAL' 'error ENOENT')"
	# Those that were attached go on.
	message 1
	summary_says '.forwarded == 1'
	machine_stop
}

@test "event-demux: an event with a token of nobody is dropped, and no one else's is late" {
	power_on
	make_queues
	write_tables
	say 1 "memory 0x1000 =$(words 8 3)"
	call 1 0
	await queues.attached
	message 1
	summary_says '.dropped >= 1 and .forwarded == 0'
	say 1 "memory 0x1000 =$(words 8 1)" "memory 0x1050 =$(words 16 $((9 << 32)))"
	message 2
	await queue.failed '.vm == "vm1"'
	summary_says '.failed == 1 and .forwarded == 0'
	machine_stop
}
