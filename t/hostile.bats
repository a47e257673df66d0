#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats sets them
# hostile.bats - peers, guests and devices that mean harm: each is told off by
# name, and two other guests go on as if nothing were.
#
# The harm is done by t/tool/vfu, which says and writes what it is told to.
# Meanwhile vm1 sends numbered frames to vm2.

setup() {
	load machine
	machine_setup
	need rootbridge iovdev hvmon guestd
	VFU=$(realpath "$BIN/../t/tool")/vfu
	[[ -x $VFU ]] || fail "$VFU is not built"
}

teardown() {
	machine_teardown
}

# A machine whose vm3 and nic1/vf3 are for the one who means harm.
power_on() {
	machine_start <<-END
		bridge: rootbridge --vms 4 --memory 16MiB --timeout 20s $*
		nic1: iovdev --vfs 4
		hv: hvmon --vf nic1/vf1=vm1 --vf nic1/vf2=vm2 --vf nic1/vf3=vm3
		vm2: guestd --vm 2 --sink
		vm1: guestd --vm 1 --send to=nic1/vf2,rate=2000
	END
}

received() {
	rpc vm2 report | jq ".frames.received"
}

receives_more_than() {
	(($(received) > $1))
}

arrived() {
	(($(received) == $1))
}

# vm1's frames all came, once, in order and whole; nobody ended.
assert_unharmed() {
	local sent
	wait_until "$PATIENCE" receives_more_than "$(received)"
	rpc vm1 stop-workload >/dev/null
	# All but what was for vm3.
	sent=$(rpc vm1 report | jq '[.workloads[] |
		select(.detail != "02:69:6f:01:00:03") | .done] | add')
	wait_until "$PATIENCE" arrived "$sent"
	run -0 rpc vm2 report
	jq -e '.frames | .lost == 0 and .missed == 0 and .repeated == 0 and
		.reordered == 0 and .corrupted == 0' <<<"$output"
	run ! has_event program.gone true
	run ! has_event shutdown true
	machine_stop
}

# vfu STEP...: as vm3, on its bus socket.
vfu() {
	"$VFU" "$M/bus/vm3.sock" "$@"
}

# It dies there, and that shall not be bats' business.
vfu_dies() {
	(vfu "$@" die || true) 2>/dev/null
}

# In the background.
vfu_start() {
	: >"$T/log/vfu.out"
	"$VFU" "$@" >"$T/log/vfu.out" 2>&1 3>&- &
	PIDS[vfu]=$!
}

# It has done STEP... and stays.
vfu_pause() {
	vfu_start "$@" pause
	wait_until "$PATIENCE" grep -qx pause "$T/log/vfu.out"
}

was_refused() {
	local reasons why
	reasons=$(jq -r 'select(.ev == "message.refused" and .vm == "vm3" and
		.pid > 0) | .why' "$M/events/bridge.jsonl")
	for why; do
		if ! grep -Fqx "$why" <<<"$reasons"; then
			echo "refused, but not for: $why"
			return 1
		fi
	done
}

# The bridge told vm3's peer off for each of these.
assert_refused() {
	wait_until "$PATIENCE" was_refused "$@"
}

assert_lost() {
	await vm.lost ".vm == \"vm3\" and .why == \"$1\"" 2
}

# The device stopped vm3's queue for this.
assert_stopped() {
	await queue.stopped ".src == \"nic1\" and .function == \"nic1/vf3\" and
		.queue == \"$1\" and .status == $2 and .why == \"$3\"" 2
}

# vm3 is a good guest again.
assert_vm3_works() {
	start vm3 guestd --vm 3 --send to=nic1/vf4,count=100 --once
	finish vm3 0
}

@test "a peer that does not begin with VERSION is hung up on" {
	power_on
	run -0 vfu "header 1 8 16 0" listen hangup
	assert_line "listen: id 1 command 8 EINVAL"
	assert_line "hangup: hung up"
	run -0 vfu "header 1 1 8 0" hangup
	assert_line "hangup: hung up"
	run -0 vfu "raw ffffffffffffffffffffffffffffffffffffffff" hangup
	run -0 vfu "hello 1.0" hangup
	assert_line "hello 1.0: EINVAL"
	run -0 vfu "hello 0.1 {nonsense" hangup
	assert_line "hello 0.1 {nonsense: EINVAL"
	run -0 vfu 'hello 0.1 {"capabilities":5}' hangup
	run -0 vfu "header 1 1 18 0" "raw 0000" hangup
	vfu_dies "raw 0001"
	assert_refused "the first message is no VERSION" \
		"a message shorter than its header" \
		"a message longer than the largest allowed" \
		"major version 1, not 0" \
		"capabilities is no JSON object" \
		"VERSION is too short" \
		"hung up in the middle of a message"
	# None of them got as far as being vm3.
	run ! has_event vm.attached '.vm == "vm3"'
	run -0 vfu "hello 0.9"
	assert_line "hello 0.9: 0.1"
	assert_vm3_works
	assert_unharmed
}

@test "messages that cannot be are refused, one by one" {
	power_on
	run -0 vfu hello hello "message 0" "message 99" "message 14" \
		"message 11 $(printf '%032d' 0)" \
		"message 8 00" "message 9 0000" "message 15 0100" \
		"header 9 9 16 1" listen "header 9 9 16 3" listen \
		"header 10 99 16 16" \
		"read 5 0 4" "read 99999 0 4" "read 1 0x1000000 4" \
		"read 1 0xffffffffffffffff 4" "read 0 0xffffffff 4" \
		"read 9 0 16" "read 1 0 2000000" \
		"message 4 00000000000000000000000000000000" \
		"fds 1" "read 0 0 4" "map 0 4096" "unmap 0 4096" "message 13" \
		"read 1 0 4"
	assert_line "hello: EINVAL"
	local n
	for n in 0 99 14; do
		assert_line "message $n: EOPNOTSUPP"
	done
	for n in "8 00" "9 0000" "15 0100"; do
		assert_line "message $n: EINVAL"
	done
	assert_line "listen: id 9 command 9 EINVAL"
	for n in "5 0 4" "99999 0 4" "1 0x1000000 4" "1 0xffffffffffffffff 4" \
		"0 0xffffffff 4" "9 0 16" "1 0 2000000" "0 0 4"; do
		assert_line "read $n: EINVAL"
	done
	assert_line "map 0 4096: EOPNOTSUPP"
	assert_line "message 13: EOPNOTSUPP"
	assert_refused "a second VERSION" \
		"unknown command" \
		"payload too short" \
		"a reply to no command of ours" \
		"neither a command nor a reply" \
		"access beyond the end of a region" \
		"access to a region that does not exist" \
		"access longer than max_data_xfer_size" \
		"GET_INFO: argsz too small" \
		"too many file descriptors"
	# And still it is served.
	assert_line "read 1 0 4: 00000000"
	assert_vm3_works
	assert_unharmed
}

@test "SET_IRQS with wrong counts, or what is no eventfd" {
	power_on
	run -0 vfu hello "irqs 2 0 5" "fds 3" "irqs 2 0 2" \
		"irqs 2 1000 1" "irqs 2 4294967295 2" "irqs 7 0 1" \
		"irqs 2 0 0xffffffff" "irqs 2 0 0" "fds 1" "irqs 2 3 1 0x27" \
		"irqs 2 1 2 0x22" "files 1" "irqs 2 1 1" "fds 1" "irqs 2 1 1"
	assert_line "irqs 2 0 5: ok"
	local n
	for n in "2 0 2" "2 1000 1" "2 4294967295 2" "7 0 1" "2 0 0xffffffff" \
		"2 0 0" "2 3 1 0x27" "2 1 2 0x22"; do
		assert_line "irqs $n: EINVAL"
	done
	assert_refused "SET_IRQS: as many file descriptors as vectors, or none" \
		"SET_IRQS: vectors out of range" \
		"SET_IRQS: no such index" \
		"SET_IRQS: no vectors" \
		"SET_IRQS: not one kind of data and one action" \
		"SET_IRQS: wrong amount of data"
	# A file in the place of an eventfd, then an eventfd.
	assert_equal "$(grep '^irqs 2 1 1:' <<<"$output" | xargs)" \
		"irqs 2 1 1: EINVAL irqs 2 1 1: ok"
	assert_vm3_works
	assert_unharmed
}

@test "who breaks the framing later loses its VM, which is reset" {
	power_on
	run -0 vfu hello "fds 17" "message 4 10000000" hangup
	assert_line "hangup: hung up"
	assert_lost "file descriptors were lost: more than 16, or too many open files"
	run -0 vfu hello "header 7 9 2000000 0" hangup
	assert_line "hangup: hung up"
	assert_lost "a message longer than the largest allowed"
	run -0 vfu hello "header 7 9 3 0" hangup
	assert_lost "a message shorter than its header"
	# Half a message, half a header, and something big.
	vfu_dies hello "header 7 9 32 0" "raw 0000"
	assert_lost "hung up in the middle of a message"
	vfu_dies hello "raw 07000900"
	vfu_dies hello guest rings "header 7 10 1000000 0" "fds 5" "raw 00"
	vfu_dies hello "flood 5000 0 0x50000000 4096"
	await vm.reset '.vm == "vm3" and .incarnation == 7'
	assert_vm3_works
	assert_unharmed
}

bridge_rss_kib() {
	awk '/^VmRSS:/ { print $2 }' "/proc/$(pid bridge)/status"
}

@test "who stops reading is not read from" {
	power_on
	local before flood
	before=$(bridge_rss_kib)
	# Registers, what has no row, main memory: a GB of answers and more.
	for flood in "0 0x50000000 4096" "0 0x20000000 64" "1 0 100000"; do
		vfu_pause "$M/bus/vm3.sock" hello guest "flood 1000000 $flood"
		run -0 cat "$T/log/vfu.out"
		assert_line "flood 1000000 $flood: stopped"
		assert [ "$(bridge_rss_kib)" -lt $((before + 131072)) ]
		stop vfu KILL 137
	done
	# One that reads at last gets everything.
	run -0 vfu hello guest "flood 3000 0 0x50000000 4096" drain
	assert_line "drain: ok"
	assert_vm3_works
	assert_unharmed
}

@test "a guest that reads and writes outside of its rows" {
	power_on
	run -0 vfu hello guest "read 0 0x50000000 4" "read 0 0x20000000 4" \
		"read 0 0x50003ffe 4" "write 0 0x50004000 00000000" \
		"read 0 0x50010000 64" "read 0 0x40100000 4" \
		"write 0 0x40101004 0000" "read 0 0x50000000 65536" \
		"read 0 0xfffffffe 2" "read 0 0x40000000 4"
	assert_line "read 0 0x50000000 4: 494f564e"
	assert_line "read 0 0x20000000 4: ffffffff"
	assert_line "read 0 0x50003ffe 4: ffffffff"
	assert_line "read 0 0x40100000 4: ffffffff"
	assert_line "read 0 0xfffffffe 2: ffff"
	assert_line --regexp '^read 0 0x50010000 64: f{128}$'
	assert_line --regexp '^read 0 0x50000000 65536: f+$'
	# Its VF, in the first slot.
	assert_line "read 0 0x40000000 4: 361bf110"
	await exception '.vm == "vm3" and .gpa == 536870912 and
		(.write | not)'
	await exception '.vm == "vm3" and .gpa == 1342193664 and .write'
	await exception.unanswered '.vm == "vm3" and .why == "too large"'
	assert_vm3_works
	assert_unharmed
}

@test "a guest that publishes a wild index, address, size or ring" {
	power_on
	local mac=02:69:6f:01:00:02
	# More than the ring holds; and the other way round.
	run -0 vfu hello guest "rings 64" "poke tx write 64" "ring tx" \
		"stopped tx" "poke tx write 0xffffffff" "enable tx" "stopped tx"
	assert_line "stopped tx: status 3"
	assert_line "stopped tx: status 4"
	assert_stopped tx 3 "bad index"
	assert_stopped tx 4 "bad ring"
	# Outside of memory, over its end, at the top of all.
	local addr
	for addr in 0x7fffffffffff 0xffffd0 0xfffffffffffffff0; do
		run -0 vfu hello guest rings "frame 0 $mac 100" \
			"frame 1 $mac 100" "poke tx addr.1 $addr" \
			"poke tx write 2" "ring tx" "stopped tx" "entry tx 0" \
			"entry tx 1" "index tx 2"
		assert_line "stopped tx: status 1"
		# What was before it is sent; the bad one has its status.
		assert_line "entry tx 0: size 100 status 0"
		assert_line "entry tx 1: size 100 status 1"
	done
	assert_stopped tx 1 "bad address"
	local size
	for size in 0 13 9019 0xffffffff; do
		run -0 vfu hello guest rings "frame 0 $mac 100" \
			"poke tx size.0 $size" "poke tx write 1" "ring tx" \
			"stopped tx"
		assert_line "stopped tx: status 2"
	done
	assert_stopped tx 2 "bad size"
	# The ring itself.
	local bad
	for bad in "magic 5" "version 9" "n 32" "n 65536" "read 70"; do
		run -0 vfu hello guest rings "poke tx $bad" "enable tx" \
			"stopped tx"
		assert_line "stopped tx: status 4"
	done
	# NIC_Q_BASE and NIC_Q_ENTRIES.
	for bad in "0x100 0x100001" "0x100 0xfffff80" "0x104 0x7fffffff" \
		"0x108 0" "0x108 63" "0x108 131072" "0x108 0xffffffff"; do
		run -0 vfu hello guest rings "register 0x10c 0" \
			"register $bad" "register 0x10c 1" "stopped tx"
		assert_line "stopped tx: status 4"
	done
	assert_vm3_works
	assert_unharmed
}

@test "what a guest does wrong in a loop does not fill the log" {
	power_on
	local steps=() i began told
	for ((i = 0; i < 300; i++)); do
		# A ring of no size; and an address where nothing is.
		steps+=("register 0x10c 1" "read 0 0x20000000 4")
	done
	began=$EPOCHSECONDS
	vfu hello guest rings "register 0x10c 0" "register 0x108 0" \
		"${steps[@]}" >/dev/null
	# A hundred a second.
	i=$((100 * (EPOCHSECONDS - began + 2)))
	told=$(events 'select(.ev == "queue.stopped")' | wc -l)
	assert [ "$told" -ge 90 -a "$told" -le "$i" ]
	told=$(events 'select(.ev == "exception")' | wc -l)
	assert [ "$told" -ge 90 -a "$told" -le "$i" ]
	assert_unharmed
}

send_to_vm3() {
	rpc vm1 send "{\"to\": \"nic1/vf3\", \"count\": $1}" >/dev/null
}

@test "a guest whose receive ring is wild" {
	power_on
	local addr
	for addr in "addr.0 0x7fffffffffff" "addr.0 0xfffff0"; do
		vfu_pause "$M/bus/vm3.sock" hello guest rings "poke rx $addr" \
			"poke rx write.sleeping 1"
		send_to_vm3 1
		assert_stopped rx 1 "bad address"
		stop vfu KILL 137
	done
	vfu_pause "$M/bus/vm3.sock" hello guest "rings 8" "poke rx read 9"
	# The device looks when it knows of no more room.
	send_to_vm3 8
	assert_stopped rx 3 "bad index"
	stop vfu KILL 137
	# Too small is an error of the entry, not of the queue.
	vfu_start "$M/bus/vm3.sock" hello guest rings "poke rx size.0 60" \
		"index rx 3" "entry rx 0" "entry rx 1"
	wait_until "$PATIENCE" grep -q '^poke rx size.0' "$T/log/vfu.out"
	send_to_vm3 3
	finish vfu 0
	run -0 cat "$T/log/vfu.out"
	assert_line "entry rx 0: size 0 status 2"
	assert_line "entry rx 1: size 1514 status 0"
	assert_vm3_works
	assert_unharmed
}

@test "a guest that writes nonsense into its rings while the device works" {
	power_on
	run -0 vfu hello guest rings "churn 400"
	assert_line "churn 400: stops"
	run -0 vfu hello guest "rings 4" "churn 200"
	assert_line "churn 200: stops"
	assert_vm3_works
	assert_unharmed
}

@test "a guest that is no bus master for a while holds nobody up" {
	power_on
	rpc vm1 send '{"to": "ff:ff:ff:ff:ff:ff", "rate": "100"}' >/dev/null
	# While it is off, and on and off.
	vfu_pause "$M/bus/vm3.sock" hello guest rings \
		"write 0 0x40000004 0200"
	local before steps=() i
	before=$(received)
	wait_until "$PATIENCE" receives_more_than $((before + 2000))
	for i in {1..20}; do
		steps+=("write 0 0x40000004 0600" "index rx $((i * 3))"
			"write 0 0x40000004 0200")
	done
	stop vfu KILL 137
	run -0 vfu hello guest "rings 128" "${steps[@]}"
	assert_line "index rx 60: ok"
	# Frames wait 2 s for a VF that its hypervisor has fenced.
	run -0 rpc vm2 report
	jq -e '.frames | .gap_ns < 1000000000' <<<"$output"
	assert_vm3_works
	assert_unharmed
}

@test "eventfds that would make others wait" {
	power_on
	# O_NONBLOCK is gone when the bridge looks into the replaced ones.
	run -0 vfu hello guest "fds 5" "irqs 2 0 5" block "fds 5" \
		"irqs 2 0 5" "read 1 0 4"
	assert_line "read 1 0 4: 00000000"
	# And when bridge and device write into full ones.
	run -0 vfu hello guest rings "fds 5" "irqs 2 0 5" block fill \
		"irqs 2 0 5 0x21" "poke tx write 64" "poke tx n 3" "ring tx" \
		"stopped tx" "fds 5" "irqs 2 0 5" "read 1 0 4"
	assert_line "irqs 2 0 5 0x21: ok"
	assert_line "read 1 0 4: 00000000"
	# A doorbell that is taken back before the device looks.
	run -0 vfu hello guest rings doorbell block "tease 30000" \
		"register 0x000"
	assert_line "register 0x000: 0x4e564f49"
	assert_vm3_works
	assert_unharmed
}

@test "a guest that does anything anywhere" {
	power_on
	local seed=$RANDOM
	echo "seed $seed"
	# Config space of its slots, its VF's registers, rings and all.
	run -0 vfu hello guest "fuzz 0 0x40000000 4096 1000 $seed" \
		"fuzz 0 0x40000000 0x100000 300 $seed" "read 0 0x40000000 4"
	assert_line "fuzz 0 0x40000000 4096 1000 $seed: ok"
	assert_line "read 0 0x40000000 4: 361bf110"
	run -0 vfu hello guest rings "fuzz 0 0x50000000 0x4000 1000 $seed" \
		"fuzz 0 0x100 0x5000 300 $seed" \
		"fuzz 0 0x4fffff00 0x4200 300 $seed" "read 1 0 4"
	assert_line "fuzz 0 0x50000000 0x4000 1000 $seed: ok"
	assert_line "read 1 0 4: 00000000"
	run -0 vfu hello "fuzz 1 0 0x1000100 300 $seed" \
		"fuzz 0 0 0x100000000 300 $seed" "read 1 0 0"
	assert_line "fuzz 0 0 0x100000000 300 $seed: ok"
	assert_vm3_works
	assert_unharmed
}

@test "a supervisor that says anything" {
	machine_start <<-END
		bridge: rootbridge --vms 4 --memory 1MiB
		nic1: iovdev --vfs 4
	END
	local seed=$RANDOM kind steps=()
	echo "seed $seed"
	for kind in {0..9}; do
		steps+=("fuzz 9 $((kind << 24)) 4 200 $seed")
	done
	await device.attached '.device == "nic1"'
	run -0 "$VFU" "$M/bus/vm0.sock" hello "${steps[@]}" \
		"fuzz 0 0x40100000 4096 300 $seed" \
		"fuzz 0 0x50000000 0x1000000 300 $seed" "read 9 0 8"
	# Magic and version.
	assert_line "read 9 0 8: 5653757001000000"
	refute_output --partial "no answer"
	refute_output --partial "hung up"
	run ! has_event program.gone true
	machine_stop
}

@test "a guest cannot truncate its memory; a client that can loses only itself" {
	start nic9 iovdev --vfs 2 --socket-path "$T/nic9.sock"
	"$VFU" "$T/nic9.sock" hello "vfs 2" pause >"$T/log/pf.out" 3>&- &
	PIDS[pf]=$!
	wait_until "$PATIENCE" grep -qx pause "$T/log/pf.out"
	# vf2 receives and is not disturbed.
	vfu_pause "$T/nic9.sock.vf2" hello client rings
	local mac=02:69:6f:09:00:02
	run -0 "$VFU" "$T/nic9.sock.vf1" hello client rings \
		"frame 0 $mac 100" "poke tx write 1" "ring tx" "index tx 1" \
		"entry tx 0" "frame 1 $mac 100" "truncate 0x200000" \
		"poke tx write 2" "ring tx" "stopped tx" "register 0x190" \
		"register 0x000" "enable tx" "stopped tx"
	assert_line "entry tx 0: size 100 status 0"
	assert_line "truncate 0x200000: ok"
	assert_line "stopped tx: status 5"
	assert_line "register 0x000: 0x4e564f49"
	await queue.stopped '.function == "nic9/vf1" and .status == 5 and
		.why == "memory lost"'
	await memory.lost '.function == "nic9/vf1"'
	# The ring itself is cut away.
	run -0 "$VFU" "$T/nic9.sock.vf1" hello client rings \
		"frame 0 $mac 100" "poke tx write 1" "ring tx" "index tx 1" \
		"truncate 0" "ring tx" "stopped tx"
	assert_line "stopped tx: status 5"
	# A new client with new memory goes on, and vf2 never stopped.
	run -0 "$VFU" "$T/nic9.sock.vf1" hello client rings \
		"frame 0 $mac 100" "poke tx write 1" "ring tx" "index tx 1" \
		"entry tx 0"
	assert_line "entry tx 0: size 100 status 0"
	run -0 rpc nic9 show '["device-queues"]'
	jq -e '.rows[] | select(.function == "nic9/vf2" and .queue == "rx") |
		.write >= 3' <<<"$output"
	stop vfu KILL 137
	stop pf KILL 137
	stop nic9
}

@test "DMA maps that cannot be" {
	start nic9 iovdev --vfs 2 --socket-path "$T/nic9.sock"
	run -0 "$VFU" "$T/nic9.sock" hello "map 0 0" "map 1 4096" \
		"map 0 4095" "map 0xfffffffffffff000 8192" "map 0 8192 4096" \
		"map 0 4096" "map 0 4096" "map 0 8192" "fds 1" \
		"map 0x10000 4096" "message 2 $(printf '%064d' 0)" \
		"unmap 0 8192" "unmap 4096 4096" "unmap 0 4096" "unmap 0 4096" \
		"fds 3" "map 0 4096" "read 7 0 4" "fds 20" "map 0 4096" hangup
	assert_line "map 0 0: EINVAL"
	assert_line "map 1 4096: EINVAL"
	assert_line "map 0 4095: EINVAL"
	assert_line "map 0xfffffffffffff000 8192: EINVAL"
	assert_line "map 0 8192 4096: EFBIG"
	assert_line "map 0 4096: ok"
	assert_line "map 0 4096: EEXIST"
	assert_line "map 0 8192: EEXIST"
	assert_line "map 0x10000 4096: ENODEV"
	assert_line "message 2 $(printf '%064d' 0): EINVAL"
	assert_line "unmap 0 8192: ENOENT"
	assert_line "unmap 4096 4096: ENOENT"
	assert_line "unmap 0 4096: ok"
	assert_line "unmap 0 4096: ENOENT"
	assert_line "map 0 4096: EINVAL"
	assert_line "read 7 0 4: 361bf010"
	assert_line "hangup: hung up"
	await client.refused '.function == "nic9/pf0" and .pid > 0 and
		.why == "DMA_MAP: empty or beyond the end"'
	await client.refused '.function == "nic9/pf0" and
		.why == "too many file descriptors"'
	await client.detached '.function == "nic9/pf0" and
		(.why | startswith("file descriptors were lost"))'
	# The next client finds it as new.
	run -0 "$VFU" "$T/nic9.sock" hello "map 0 4096"
	assert_line "map 0 4096: ok"
	stop nic9
}

@test "devices that answer with nonsense" {
	power_on --timeout 300ms --on-timeout contain
	local dev=$M/dev seed
	run -0 "$VFU" -l "$dev/bad1/pf0.sock" listen "answer 00" hangup
	assert_line "hangup: hung up"
	await function.refused '.function == "bad1/pf0" and
		.why == "VERSION is too short"'
	run -0 "$VFU" -l "$dev/bad2/pf0.sock" listen "refuse 5" hangup
	await function.refused '.function == "bad2/pf0" and
		.why == "VERSION was refused"'
	run -0 "$VFU" -l "$dev/bad3/pf0.sock" listen "header 0 1 3 1" hangup
	await device.gone '.device == "bad3" and
		.why == "a message shorter than its header"'
	run -0 "$VFU" -l "$dev/bad4/pf0.sock" listen "answer 00000100" listen \
		"header 999 9 16 1" "header 7 99 16 0" "header 8 11 16 0" \
		"fds 20" "answer 00" hangup
	assert_line "hangup: hung up"
	await device.gone '.device == "bad4"'
	# Well formed and senseless, with wrong lengths and errors or without.
	for seed in {1..12}; do
		"$VFU" -l "$dev/liar$seed/pf0.sock" \
			"lie $seed $((seed % 3 * 20))" \
			>"$T/log/liar$seed.out" 2>&1 3>&- &
		PIDS[liar$seed]=$!
	done
	for seed in {1..12}; do
		await device.found ".src == \"bridge\" and
			.device == \"liar$seed\""
	done
	rpc bridge show '["functions"]' >/dev/null
	rpc bridge show '["counters"]' >/dev/null
	rpc hv show '["devices"]' >/dev/null
	for seed in {1..12}; do
		kill -KILL "${PIDS[liar$seed]}" 2>/dev/null || true
		wait "${PIDS[liar$seed]}" || true
		unset "PIDS[liar$seed]"
	done
	assert_vm3_works
	assert_unharmed
}
