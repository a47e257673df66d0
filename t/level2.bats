#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2086,SC2030,SC2031 # PIDS is of machine.bash; numbers
# need no quotes; a test is a subshell
# level2.bats - the hypervisor of a partition of the adapter (spec 04, figs. 10
# to 15): guests' verbs, its tables, type 2 events, its death and theirs.  The
# way of completion events is in event-demux.bats.

setup() {
	load machine
	load verbs
	machine_setup
	need rootbridge iovdev hvmon iovctl
	VFU=$(realpath "$BIN/../t/tool")/vfu
	STEPS=() STATUSES=()
	declare -gA SAY=()
}

teardown() {
	machine_teardown
}

# A partition, vm1's, with guests vm2 to vm4.
power_on() {
	power_on_with "lvl2:"
}

# And level 2 is started again when it ends.
power_on_again() {
	power_on_with "lvl2: RESTART=always"
}

power_on_with() {
	SINCE=0
	machine_start <<-END
		bridge: rootbridge --vms 4 --exception-timeout 60s --memory 16MiB
		hca0: iovdev --type hca --vfs 2
		hv: hvmon --vf hca0/vf1=vm1 --guests vm1=vm2-vm4
		$1 hvmon --level 2 --partition 1 --vm vm1
	END
}

# guest N: a process that is VM N, and does what `be N` says.
guest() {
	local fd
	rm -f "$T/vm$1.in"
	mkfifo "$T/vm$1.in"
	"$VFU" "$M/bus/vm$1.sock" hello "write 0 0x40000004 0600" - \
		<"$T/vm$1.in" >"$T/vm$1" 3>&- {NEVER}>&- &
	PIDS[vm$1]=$!
	exec {fd}>"$T/vm$1.in"
	SAY[$1]=$fd
}

# replies N COUNT: it has as many lines of answers.
replies() {
	[[ $(wc -l <"$T/vm$1") -ge $2 ]]
}

# tell N: VM N is told the verbs, and STEPS.
tell() {
	TOLD=$(wc -l <"$T/vm$1")
	printf '%s\n' "${STEPS[@]}" >&"${SAY[$1]}"
}

# answered N: and did them, with these statuses.
answered() {
	wait_until "$PATIENCE" replies "$1" $((TOLD + ${#STEPS[@]}))
	assert_equal "$(tail -n +$((TOLD + 1)) "$T/vm$1" |
		grep '^read 0 0x500000')" "$(printf '%s\n' "${STATUSES[@]}")"
	STEPS=() STATUSES=()
}

be() {
	wait_until "$PATIENCE" replies "$1" 2
	tell "$1"
	answered "$1"
}

# reads N OFFSET BYTES: what lies in its memory.
reads() {
	local n
	n=$(wc -l <"$T/vm$1")
	printf 'read 1 %s %s\n' "$2" "$3" >&"${SAY[$1]}"
	wait_until "$PATIENCE" replies "$1" $((n + 1))
	tail -n 1 "$T/vm$1" | cut -d' ' -f5
}

# rows PROGRAM TABLE: how many.
rows() {
	rpc "$1" show "[\"$2\"]" | jq '.rows | length'
}

rows_are() {
	[[ $(rows "$1" "$2") -eq $3 ]]
}

# The first of its kind that there ever was: at the adapter, and of guests.
EQ=0xc0001000 CQ=0x80000000 QP=0x40000000
ALLOCATE=1 STORE=2 LOAD=3 FREE=4
STATE=1 BASE=2 ENTRIES=3 TOKEN=4 EVENT_QUEUE=5 ASB=6 ISC=8

# An EQ that runs, a CQ that is tied to it, a QP that names it.
verbs_of_a_port() {
	verb 0 $ALLOCATE 3 0 0 $EQ
	verb 0 $STORE $BASE $EQ 0x1000
	verb 0 $STORE $ENTRIES $EQ 64
	verb 0 $STORE $ASB $EQ 0x3000
	verb 0 $STORE $ISC $EQ 1
	verb 0 $STORE $STATE $EQ 1
	verb 0 $ALLOCATE 2 0 0 $CQ
	verb 0 $STORE $BASE $CQ 0x4000
	verb 0 $STORE $ENTRIES $CQ 16
	verb 0 $STORE $TOKEN $CQ 0x7777
	verb 0 $STORE $EVENT_QUEUE $CQ $EQ
	verb 0 $STORE $STATE $CQ 1
	verb 0 $ALLOCATE 1 0 0 $QP
	verb 0 $STORE $TOKEN $QP 0x8888
	verb 0 $STORE $EVENT_QUEUE $QP $EQ
	verb 0 $STORE 12 $QP 0x5000
	verb 0 $STORE 13 $QP 16
	verb 0 $STORE 14 $QP 0x6000
	verb 0 $STORE 15 $QP 16
	verb 0 $STORE 16 $QP $CQ
	verb 0 $STORE 17 $QP $CQ
	verb 0 $STORE $STATE $QP 1
}

# column PROGRAM TABLE FIELD: of all its rows.
column() {
	rpc "$1" show "[\"$2\"]" | jq -r ".rows[] | .$3" | tr '\n' ' '
}

@test "level 2: a guest's EQ, CQ and QP get GEQCB, GEQA and the two host queues" {
	power_on
	guest 2
	verbs_of_a_port
	# LOAD answers with the guest's own numbers, tokens and addresses.
	verb 0 $LOAD $EVENT_QUEUE $CQ 0 $EQ
	verb 0 $LOAD $TOKEN $CQ 0 0x7777
	verb 0 $LOAD $BASE $CQ 0 0x4000
	verb 0 $LOAD $EVENT_QUEUE $QP 0 $EQ
	verb 0 $LOAD $TOKEN $QP 0 0x8888
	verb 0 $LOAD 12 $QP 0 0x5000
	verb 0 $LOAD $ASB $EQ 0 0x3000
	verb 0 $LOAD $STATE $EQ 0 1
	be 2
	# At the adapter: two host queues, handles of the tables as tokens.
	assert_equal "$(column hca0 eq isc)" "1 0 "
	assert_equal "$(column hca0 cq eq)" "$(column hca0 eq handle | cut -d' ' -f1) "
	assert_equal "$(column hca0 qp eq)" "$(column hca0 eq handle | cut -d' ' -f2) "
	assert_equal "$(column hca0 cq token)" "$(column lvl2 geqa geqa)"
	assert_equal "$(column lvl2 geqa "token + .eq")" "0x7777$EQ "
	assert_equal "$(column lvl2 geqcb "state + .asb")" "running0x3000 "
	# What is left is nothing, once it is gone.
	kill -KILL "${PIDS[vm2]}"
	finish vm2 137
	await level2.guest-reset '.vm == 2'
	rows_are lvl2 geqa 0
	rows_are lvl2 geqcb 0
	rows_are hca0 cq 0
	rows_are hca0 qp 0
	rows_are hca0 eq 2
	# The next one begins anew; what is freed has another number.
	guest 2
	verb 0 $ALLOCATE 3 0 0 0xc0001001
	verb 2 $LOAD $STATE $EQ 0 0
	verb 2 $LOAD $STATE $CQ 0 0
	be 2
	machine_stop
}

@test "level 2: handles of others, freed, forged; numbers and addresses out of range" {
	local own=0xc0001001 cq=0x80000001 qp=0x40000001
	power_on
	guest 2
	verbs_of_a_port
	be 2
	guest 3
	verb 2 $STORE $STATE $CQ 0            # vm2's
	verb 2 $LOAD $TOKEN $QP 0             # vm2's
	verb 2 $FREE 0 $QP 0                  # vm2's
	verb 2 $LOAD $STATE $EQ 0             # vm2's
	verb 2 $STORE $STATE 0xc0000000 0     # the partition's
	verb 0 $ALLOCATE 3 0 0 $own
	verb 5 $STORE $ASB $own 0x1000000     # behind its memory
	verb 5 $STORE $ASB $own $((1 << 40))  # vm2's, as the partition has it
	verb 4 $STORE $ISC $own 4
	verb 3 $STORE 7 $own 64               # a PSB is the machine's
	verb 3 $STORE 11 $own 1
	verb 4 $STORE $ENTRIES $own 65537
	verb 0 $STORE $ENTRIES $own 64
	verb 0 $STORE $BASE $own 0xffffe0     # too near the end
	verb 5 $STORE $STATE $own 1
	verb 0 $ALLOCATE 2 0 0 $cq
	verb 2 $STORE $EVENT_QUEUE $cq $EQ    # vm2's
	verb 2 $STORE $EVENT_QUEUE $cq $((own | 1 << 17)) # forged
	verb 2 $STORE $EVENT_QUEUE $cq 0xc001ffff
	verb 5 $STORE $BASE $cq 0x1000000
	verb 0 $STORE $EVENT_QUEUE $cq $own
	verb 6 $FREE 0 $own 0                 # tied
	verb 0 $ALLOCATE 1 0 0 $qp
	verb 2 $STORE 16 $qp $CQ              # vm2's
	verb 4 $STORE 19 $qp 1                # another doorbell
	verb 4 $STORE 20 $qp 4096             # other memory
	verb 5 $STORE 12 $qp $((1 << 40))
	verb 1 9 0 $qp 0                      # no such verb
	verb 3 $ALLOCATE 0 0 0
	verb 0 $FREE 0 $cq 0
	verb 2 $FREE 0 $cq 0                  # freed
	verb 0 $FREE 0 $own 0
	verb 2 $LOAD $STATE $own 0            # freed
	STEPS+=("write 0 0x50010100 $(little $QP)"
		"fuzz 0 0x50000000 0x60 200 7" "fuzz 0 0x50010000 0x1000 200 8"
		"fuzz 0 0x40000000 0x1000 200 9")
	be 3
	assert [ "$(rpc lvl2 show '["gisa"]' |
		jq '.rows[] | select(.vm == "vm3") | .bad_doorbells')" -gt 0 ]
	await level2.refused '.vm == 3'
	# Nothing of it was vm2's.
	verb 0 $LOAD $STATE $EQ 0 1
	verb 0 $LOAD $STATE $CQ 0 1
	verb 0 $LOAD $STATE $QP 0 1
	verb 0 $LOAD $EVENT_QUEUE $CQ 0 $EQ
	be 2
	machine_stop
}

# bell N QP INDEX: rung by VM N, at its only doorbell.
bell() {
	STEPS+=("write 0 0x50010000 $(little $(($2 | $3 << 32)))")
	be "$1"
}

# has_error N OFFSET TOKEN QP: a QP error lies in VM N's EQ.
has_error() {
	[[ $(reads "$1" "$2" 16) == "$(little "$3")$(little $(($4 | 3 << 32)))" ]]
}

@test "level 2: what is no event of a CQ goes to its guest only, by itself" {
	local qp=0x40000001 eq=0xc0001001 i
	power_on
	guest 2
	guest 3
	verbs_of_a_port
	be 2
	EQ=$eq CQ=0x80000001 QP=$qp verbs_of_a_port
	verb 0 $STORE $TOKEN $qp 0x9999
	be 3
	# A doorbell that says more than the queue has.
	bell 2 $QP 100
	wait_until "$PATIENCE" has_error 2 0x1000 0x8888 $QP
	assert_equal "$(reads 2 0x3000 1)" 01
	assert_equal "$(reads 3 0x1000 16)" "$(little 0)$(little 0)"
	assert_equal "$(column lvl2 summary "events, .forwarded, .dropped")" "1 1 0 "
	# While there is no level 2 verbs wait; the next one has all again.
	kill -KILL "$(pid lvl2)"
	await program.gone '.name == "lvl2"'
	verb 0 $LOAD $STATE $QP 0 2
	verb 0 $STORE $STATE $QP 0
	verb 0 $STORE $STATE $QP 1
	verb 0 $LOAD $TOKEN $QP 0 0x8888
	tell 2
	bell_of_3_while_it_is_gone
	iovctl start lvl2
	answered 2
	await level2.adopted '.kept == 6 and .ended == 0'
	wait_until "$PATIENCE" has_error 3 0x1000 0x9999 $qp
	bell 2 $QP 100
	wait_until "$PATIENCE" has_error 2 0x1020 0x8888 $QP
	# One that never consumes: its own EQ is in error, the other goes on.
	for ((i = 0; i < 63; i++)); do
		verb 0 $STORE $STATE $QP 0
		verb 0 $STORE $STATE $QP 1
		STEPS+=("write 0 0x50010000 $(little $((QP | 100 << 32)))")
	done
	be 2
	wait_until "$PATIENCE" is_in_error
	assert_equal "$(column lvl2 geqcb "state, .error")" \
		"error overflow running  "
	verb 0 $STORE $STATE $qp 0
	verb 0 $STORE $STATE $qp 1
	be 3
	bell 3 $qp 100
	wait_until "$PATIENCE" has_error 3 0x1020 0x9999 $qp
	machine_stop
}

is_in_error() {
	[[ $(column lvl2 geqcb state) == "error running " ]]
}

bell_of_3_while_it_is_gone() {
	printf 'write 0 0x50010000 %s\n' "$(little $((0x40000001 | 100 << 32)))" \
		>&"${SAY[3]}"
}

# killed_at POINT: level 2 dies there while vm2 makes a port, and comes again.
killed_at() {
	iovctl at lvl2 "level2.$1=kill" >/dev/null
	guest 2
	verb 0 $ALLOCATE 3 0 0
	verb 0 $ALLOCATE 2 0 0
	verb 0 $ALLOCATE 1 0 0
	wait_until "$PATIENCE" replies 2 2
	tell 2
	await program.gone ".name == \"lvl2\" and .n > $SINCE"
	SINCE=$(events .n | tail -n 1)
	iovctl start lvl2 >/dev/null
	answered 2
	assert_equal "$(column lvl2 summary guests)" "3 "
	rows_are lvl2 geqa 1
	rows_are lvl2 geqcb 1
	rows_are hca0 cq 1
	rows_are hca0 qp 1
	rows_are hca0 eq 2
	kill -KILL "${PIDS[vm2]}"
	finish vm2 137
	wait_until "$PATIENCE" rows_are lvl2 geqcb 0
	rows_are hca0 cq 0
	rows_are hca0 qp 0
}

@test "level 2: killed in an allocation, the next one goes on: nothing leaks, nothing twice" {
	local point
	power_on
	for point in $(printf '%s\n' 1000 1002 1006 1106 1200 1202 1204 1206 \
		1400 1402 | a_share); do
		echo "at $point"
		killed_at "$point"
	done
	machine_stop
}

@test "level 2: killed while it makes the host queues" {
	local point
	for point in $(printf '%s\n' 1008 1010 1102 1104 1012 host | a_share); do
		power_on
		killed_at "$point"
		machine_stop
	done
}

@test "level 2: options that no partition has" {
	run -64 hvmon --level 2 --partition 31 --vm vm1
	assert_output --partial "an adapter has partitions 1 to 30"
	run -64 hvmon --level 2 --partition 1
	assert_output --partial "needs both"
	run -64 hvmon --partition 1 --vm vm1
	run -64 hvmon --level 3
	run -64 hvmon --guests vm1=vm1
	run -64 hvmon --guests vm1=vm3-vm2
	run -64 hvmon --guests vm1=vm2 --guests vm3=vm2
	assert_output --partial "vm2 is a guest already"
	run -64 hvmon --guests vm2
}

@test "level 2: a partition that is reset begins anew, and its guests with it" {
	power_on_again
	guest 2
	verbs_of_a_port
	be 2
	rpc hv reset '["hca0/vf1"]' >/dev/null
	await program.gone '.name == "lvl2"'
	await level2.started '.inc == 2 and (.adopted | not)'
	rows_are lvl2 geqa 0
	rows_are hca0 eq 0
	CQ=0x80000001 QP=0x40000001 verbs_of_a_port
	STEPS=("read 0 0x40000004 2" "${STEPS[@]}")
	be 2
	rows_are lvl2 geqa 1
	machine_stop
}
