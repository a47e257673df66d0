# rootbridge.bats - the root bridge between a device and VMs that are scripts.
# shellcheck shell=bash disable=SC2154,SC2030,SC2031

setup() {
	load machine
	load rigs
	machine_setup
	rigs_setup
}

teardown() {
	machine_teardown
}

@test "accesses are translated, and wrong ones end in all ones" {
	machine --exception-timeout 100ms
	say 1 'write 0x10100 11223344' 'read 0x10100 4' 'post 0x10104 55' \
		'read 0x10104 1'
	expect 1 'write 0x10100: ok' 'read 0x10100: 11223344' \
		'read 0x10104: 55'
	say 2 'read 0x10100 4'
	expect 2 'read 0x10100: 00000000'
	say 0 'read 0x50010100 4' 'read 0x50014100 4' 'read 0x50008000 4'
	expect 0 'read 0x50010100: 11223344' 'read 0x50014100: 00000000' \
		'read 0x50008000: 00000000'
	# Across rows' ends, outside of rows, outside of everything.
	say 1 'read 0x13ffe 4' 'read 0x9000 2' 'read 0xfffffffe 2' \
		'read 0xffffffff 2' 'write 0x20000 00' 'post 0x20000 00' \
		'read 0x10000 16385' 'read 0x10000 0'
	expect 1 'read 0x13ffe: ffffffff' 'read 0x9000: ffff' \
		'read 0xfffffffe: ffff' 'read 0xffffffff: error EINVAL' \
		'write 0x20000: ok' 'read 0x10000: ffff'
	run -0 awk '/read 0x10000/ { print length }' "$T/vm1"
	assert_line $((14 + 2 * 16385))
	say 0 'read 0xb0000000 4' 'read 0x40300000 4' 'read 0x40100ffe 4' \
		'read 0x50013ffe 4' 'write 0xb0000000 00' 'read 0 8'
	expect 0 'read 0xb0000000: ffffffff' 'read 0x40300000: ffffffff' \
		'read 0x40100ffe: ffffffff' 'read 0x50013ffe: ffffffff' \
		'write 0xb0000000: ok' 'read 0: f{16}'
	assert_equal "$(table inflight)" ""
}

@test "functions claim only what is enabled" {
	machine
	say 0 'write 0x50000010 77' 'write 0x40100004 0400' wait \
		'read 0x50000010 1'
	expect 0 'read 0x50000010: ff'
	say 0 'write 0x40100004 0600' wait 'read 0x50000010 2'
	expect 0 'read 0x50000010: 7700'
	say 0 'write 0x40100158 0100' wait 'read 0x50010000 1' \
		'read 0x40101000 2'
	expect 0 'read 0x50010000: ff' 'read 0x40101000: ffff'
	say 0 'write 0x40100158 0000' wait 'read 0x40101000 8'
	expect 0 'read 0x40101000: f{16}'
	run -0 table functions '.function == "nic0/vf1"'
	assert_output --partial '"state":"disabled"'
	# Initiate FLR: BARs and VF Enable are gone, the rest stays reachable.
	say 0 'write 0x40100158 0900' wait 'write 0x40100049 80' wait \
		'read 0x50000010 3' 'read 0x40100000 2'
	expect 0 'read 0x50000010: ffffff' 'read 0x40100000: 361b'
	await function.reset
}

@test "exceptions and verdicts" {
	machine --exception-timeout 30s
	say 0 channels
	expect 0 'channels: ok'
	say 1 'read 0x40000000 4' 'write 0x40000010 aabb' 'read 0x40000020 4' \
		'read 0x40000030 4' 'read 0x40000040 4'
	expect 0 'access 1 vm1 read 0x40000000 4' \
		'access 2 vm1 write 0x40000010 2 aabb' \
		'access 5 vm1 read 0x40000040'
	run -0 table parked
	assert_output --partial '"address":"0x40000020"'
	say 0 'verdict 2 done' 'verdict 1 done 01020304' 'verdict 3 fail' \
		'verdict 4 ones' 'verdict 5 done 0102' 'verdict 77 done'
	expect 1 'read 0x40000000: 01020304' 'write 0x40000010: ok' \
		'read 0x40000020: error EIO' 'read 0x40000030: ffffffff' \
		'read 0x40000040: ffffffff'
	await verdict.bad
	# A row, then AGAIN.
	say 1 'read 0x30000 2'
	expect 0 'access 6 vm1 read 0x30000 2'
	say 0 'row set 1 0x30000 0x30fff 0x4ffe0000 allowed' wait \
		'verdict 6 again'
	expect 1 'read 0x30000: 0000'
	# More than the ring holds.
	for ((i = 0; i < 200; i++)); do
		echo "read $((0x41000000 + i)) 1"
	done >&"${SAY[1]}"
	wait_until "$PATIENCE" rows_are parked 200
	for ((i = 7; i < 207; i++)); do
		echo "verdict $i done 5a"
	done >"$T/verdicts"
	head -n 60 "$T/verdicts" >&"${SAY[0]}"
	expect 0 'access 126 vm1'
	expect 1 "read $((0x41000000 + 59)): 5a"
	sed -n 61,120p "$T/verdicts" >&"${SAY[0]}"
	expect 0 'access 186 vm1'
	expect 1 "read $((0x41000000 + 119)): 5a"
	sed -n 121,180p "$T/verdicts" >&"${SAY[0]}"
	expect 1 "read $((0x41000000 + 179)): 5a"
	sed -n 181,999p "$T/verdicts" >&"${SAY[0]}"
	expect 1 "read $((0x41000000 + 199)): 5a"
	[[ $(grep -c ': 5a' "$T/vm1") -eq 200 ]]
}

@test "a fenced row parks accesses until it allows them again" {
	machine
	say 0 channels 'row set 1 0x10000 0x13fff 0x50000000 fenced'
	expect 0 'channels: ok'
	wait_until "$PATIENCE" rows_are protection 1 '.access != "allowed"'
	say 1 'write 0x10200 01' 'write 0x10200 02' 'read 0x10200 1'
	say 2 'read 0x10200 1'
	expect 2 'read 0x10200: 00'
	wait_until "$PATIENCE" rows_are parked 3
	assert_equal "$(table inflight)" ""
	# Nobody is asked about them.
	refute grep -q 'vm1 read' "$T/vm0"
	say 0 'row set 1 0x10000 0x13fff 0x50000000 allowed'
	expect 1 'read 0x10200: 02'
	assert_equal "$(grep -c 'write 0x10200: ok' "$T/vm1")" 2
}

@test "a denied row asks the supervisor, and nobody else decides" {
	machine --exception-timeout 2s
	say 0 channels 'row set 1 0x10000 0x13fff 0x50000000 denied' wait
	expect 0 'channels: ok'
	wait_until "$PATIENCE" rows_are protection 1 '.access == "denied"'
	say 1 'read 0x10200 1'
	expect 0 'vm1 read denied 0x10200'
	wait_until "$PATIENCE" rows_are parked 1 .denied
	expect 1 'read 0x10200: ff'
	await exception.unanswered '.why == "timeout"'
	say 1 'read 0x10208 1'
	wait_until "$PATIENCE" rows_are parked 1
	kill_vm 0
	expect 1 'read 0x10208: ff'
	await exception.unanswered '.why == "supervisor gone"'
	say 1 'read 0x1020c 1'
	expect 1 'read 0x1020c: ff'
	await exception.unanswered '.why == "no supervisor"'
}

@test "--no-protection: denied rows do not deny" {
	machine --no-protection
	say 0 'row set 1 0x10000 0x13fff 0x50000000 denied' wait \
		'read 0x50010000 1'
	expect 0 'read 0x50010000: 00'
	say 1 'read 0x10200 1'
	expect 1 'read 0x10200: 00'
}

@test "operations are held, completed, failed, dropped, released" {
	machine --timeout 30s --no-timeout
	say 1 'write 0x10100 0a'
	rpc rootbridge fault '["nic0/vf1", "hold"]'
	say 1 'read 0x10100 1' 'write 0x10101 0b' 'post 0x10102 0c' \
		'read 0x10102 1' 'read 0x10103 1'
	wait_until "$PATIENCE" rows_are held 5
	assert_equal "$(table inflight '.state == "held"' | wc -l)" 4
	await operation.held '.operator == "vm1" and .kind == "read"'
	say 2 'read 0x10100 1'
	expect 2 'read 0x10100: 00'
	rpc rootbridge complete "[\"$(held_id 0)\"]"
	expect 1 'read 0x10100: 0a'
	rpc rootbridge fail "[\"$(held_id 0)\"]"
	expect 1 'write 0x10101: error EIO'
	[[ $(held_id 0) == nic0/vf1:p* ]]
	rpc rootbridge drop "[\"$(held_id 2)\"]"
	wait_until "$PATIENCE" rows_are inflight 1 '.state == "lost"'
	say 1 'read 0x10104 1'
	wait_until "$PATIENCE" rows_are held 3
	rpc rootbridge release '["nic0/vf1"]'
	expect 1 'read 0x10102: 0c' 'read 0x10104: 00'
	say 1 'read 0x10105 1'
	expect 1 'read 0x10105: 00'
	wait_until "$PATIENCE" rows_are held 0
	run -0 rpc_error rootbridge complete '["nic0/vf1:9999"]'
	assert_output --partial "no operation"
	run -0 rpc_error rootbridge complete '["nic9/vf1:1"]'
	run -0 rpc_error rootbridge fail '["nonsense"]'
	assert_output --partial "FUNCTION:ID"
	run -0 rpc_error rootbridge fault '["nic0/vf1", "melt"]'
	assert_output --partial melt
	# The dropped one can still be failed.
	rpc rootbridge fail "[\"$(table inflight | jq -r .operation)\"]"
	expect 1 'read 0x10103: error EIO'
	assert_equal "$(table inflight)" ""
}

@test "every fault fires" {
	local at got
	machine --timeout 2s --on-timeout contain --seed 7
	rpc rootbridge fault '["nic0/vf1", "fail 2"]'
	say 1 'read 0x10001 1' 'read 0x10002 1' 'read 0x10003 1'
	expect 1 'read 0x10001: error EIO' 'read 0x10002: error EIO' \
		'read 0x10003: 00'
	rpc rootbridge fault '["nic0/vf1", "corrupt 100% count 1"]'
	say 1 'read 0x10004 4' 'read 0x10008 4'
	expect 1 'read 0x10004: .*[1248].*' 'read 0x10008: 00000000'
	rpc rootbridge fault '["nic0/vf1", "corrupt 100% count 1"]'
	say 1 'write 0x1000c 00000000' 'read 0x1000c 4'
	expect 1 'read 0x1000c: .*[1248].*'
	rpc rootbridge fault '["nic0/vf1", "delay 50ms 10ms"]'
	say 1 'read 0x10010 1' 'read 0x10011 1' 'post 0x10012 09' \
		'read 0x10012 1'
	expect 1 'read 0x10012: 09'
	rpc rootbridge fault '["nic0/vf1", "duplicate 100% count 1"]'
	say 1 'read 0x10013 1' 'read 0x10014 1'
	expect 1 'read 0x10013: 00' 'read 0x10014: 00'
	# The second one must come while the first one waits for it.
	for at in 0x1002{4,6,8,a,c,e}; do
		rpc rootbridge fault '["nic0/vf1", "reorder 100% count 1"]'
		say 1 "read $at 1" "read $at 2" wait "read $at 4" wait
		expect 1 "read $at: 00000000"
		mapfile -t got < <(grep "^read $at" "$T/vm1")
		[[ ${got[0]} != "read $at: 0000" ]] || break
	done
	assert_equal "${got[0]} ${got[1]}" "read $at: 0000 read $at: 00"
	rpc rootbridge fault '["nic0/vf1", "loss 100% count 1"]'
	say 1 'read 0x10022 1'
	expect 1 'read 0x10022: ff'
	for kind in fail corrupt delay duplicate reorder loss; do
		await fault.fired ".fault == \"$kind\" and .operator == \"vm1\""
	done
	await contained '.function == "nic0/vf1"'
}

# timeout_of TIME: from now on.
timeout_of() {
	rpc rootbridge timeout "[\"$1\"]" >/dev/null
}

@test "a completion timeout shuts the machine down and names the cause" {
	machine
	say 1 'read 0x10800 4'
	timeout_of 100ms
	expect 1 'closed: hung up'
	finish rootbridge 71
	finish vm1 71
	finish vm0 71
	finish vm2 71
	run -0 log rootbridge
	assert_output --regexp \
		'rootbridge: m0: completion timeout: operation nic0/vf1:[0-9]+ of vm1 at nic0/vf1 is [0-9]+ ms old'
	await shutdown '.operator == "vm1" and .age_ms >= 100'
	assert_order bridge.a1105 bridge.a1110 shutdown exit
	grep -q "nic0/vf1" "$M/state"
}

@test "contain: only that function is lost, until it is given back" {
	machine --on-timeout contain
	say 0 channels
	expect 0 'channels: ok'
	say 1 'read 0x10800 4' 'read 0x10840 4' 'read 0x10000 1'
	expect 1 'read 0x10000: 00'
	timeout_of 100ms
	expect 1 'read 0x10800: ffffffff' 'read 0x10840: ffffffff'
	timeout_of 20s
	expect 0 'exception contained vm1 bdf 0x0101'
	say 1 'read 0x10010 2' 'write 0x10010 00'
	expect 1 'read 0x10010: ffff' 'write 0x10010: ok'
	say 2 'read 0x10010 2'
	expect 2 'read 0x10010: 0000'
	# Nor does it reach memory until then.
	wait_until "$PATIENCE" rows_are functions 1 \
		'.function == "nic0/vf1" and .dma == null and .vm == "vm1"'
	rpc rootbridge uncontain '["nic0/vf1"]'
	wait_until "$PATIENCE" rows_are functions 1 \
		'.function == "nic0/vf1" and .dma == "vm1"'
	# The answer to 0x840 is late, and swallowed.
	say 1 'read 0x10848 2' 'read 0x10020 2'
	expect 1 'read 0x10848: 0000' 'read 0x10020: 0000'
	await reply.late
	run -0 rpc_error rootbridge uncontain '["nic0/vf1"]'
}

@test "--timeout 0 waits for ever, --no-timeout for held ones" {
	machine --timeout 0
	say 1 'read 0x10840 4' 'read 0x10000 1'
	expect 1 'read 0x10000: 00'
	wait_until "$PATIENCE" rows_are inflight 1 '.age_us > 200000'
	say 1 'read 0x10848 1'
	expect 1 'read 0x10840: 00000000'
}

@test "a device that dies with requests in flight" {
	machine
	say 1 'read 0x10850 4' 'read 0x10000 1'
	await device.gone '.pending > 0'
	say 2 'read 0x10000 2'
	expect 2 'read 0x10000: ffff'
	timeout_of 100ms
	finish rootbridge 71
	await shutdown
}

@test "a device that comes back does not answer for the one that died" {
	machine --timeout 2s --on-timeout contain
	say 1 'read 0x10800 4' 'read 0x10000 1'
	expect 1 'read 0x10000: 00'
	kill_device
	await device.gone '.pending == 1'
	device 2
	await device.attached ".pid == ${PIDS[dev]}"
	say 0 'write 0x40100004 0600' 'write 0x40100174 00000150' \
		'write 0x40100160 0200' 'write 0x40100158 0900' wait \
		'read 0x40100000 2'
	expect 0 'read 0x40100000: 361b'
	expect 1 'read 0x10800: ffffffff'
	await operation.orphans '.count == 1'
	say 1 'read 0x10004 1'
	expect 1 'read 0x10004: 00'
}

@test "a device that dies idle comes back" {
	machine
	say 0 channels
	expect 0 'channels: ok'
	kill_device
	await device.gone '.pending == 0'
	expect 0 'exception removed bdf 0x0100'
	say 1 'read 0x10000 1'
	expect 1 'read 0x10000: ff'
	device 2
	expect 0 'exception attached bdf 0x0100'
	say 0 'write 0x40100004 0600' 'write 0x40100174 00000150' \
		'write 0x40100160 0200' 'write 0x40100158 0900' wait \
		'read 0x40100000 2'
	expect 0 'read 0x40100000: 361b'
	say 1 'read 0x10004 1'
	expect 1 'read 0x10004: 00'
	# DMA is mapped again.
	wait_until "$PATIENCE" rows_are functions 1 \
		'.function == "nic0/vf1" and .dma == "vm1"'
}

@test "remove and attach" {
	machine
	say 1 'read 0x10800 2'
	wait_until "$PATIENCE" rows_are inflight 1
	rpc rootbridge remove '["nic0"]'
	expect 1 'read 0x10800: ffff'
	run -0 rpc_error rootbridge remove '["nic0"]'
	rpc rootbridge attach '["nic0"]'
	wait_until "$PATIENCE" rows_are functions 1 \
		'.function == "nic0/pf0" and .state == "present"'
	run -0 rpc_error rootbridge attach '["nic0"]'
	run -0 rpc_error rootbridge attach '["nic7"]'
}

@test "a device that answers wrongly" {
	machine
	say 1 'read 0x10810 4' 'read 0x10820 4' 'read 0x10830 4' \
		'read 0x10000 1'
	expect 1 'read 0x10810: error ENXIO' 'read 0x10820: error EIO' \
		'read 0x10830: 00000000' 'read 0x10000: 00'
	await reply.unknown
	mkdir "$M/dev/nic1"
	"$RIG/rigdev" "$M/dev/nic1" 0 garbage 3>&- {NEVER}>&- &
	PIDS[dev1]=$!
	await device.gone '.device == "nic1"'
	say 1 'read 0x10004 1'
	expect 1 'read 0x10004: 00'
	kill "${PIDS[dev1]}"
	wait "${PIDS[dev1]}" || true
	unset "PIDS[dev1]"
}

@test "a VM that talks nonsense loses its own connection only" {
	machine
	say 1 'raw 010009001000000000000000000000ff'
	await message.refused '.vm == "vm1"'
	say 1 'raw 0200020003000000'
	say 1 'raw 0000000000000000'
	expect 1 closed
	finish vm1 71
	await vm.lost '.vm == "vm1"'
	say 2 'read 0x10000 1'
	expect 2 'read 0x10000: 00'
	run -0 table vms '.vm == "vm1"'
	assert_output --partial '"state":"lost"'
}

@test "a VM that is lost gets new memory when it is reset" {
	machine
	say 0 channels
	expect 0 'channels: ok'
	say 1 memory wait 'memory 0x100 =5a5a' 'write 0x10870 0002000000000000' \
		wait 'memory 0x100 2' 'memory 0x200 8'
	expect 1 'memory 0x100: 5a5a' 'memory 0x200: 696f766b69742100'
	kill_vm 1
	expect 0 'exception lost vm1'
	vm 1
	say 0 'reset 2' 'reset 9' 'reset 0'
	expect 0 'reset: error EBUSY' 'reset: error ENOENT' \
		'reset: error EINVAL'
	[[ ! -s $T/vm1 ]]
	say 0 'reset 1'
	expect 0 'reset: ok' 'exception started vm1'
	expect 1 ready
	say 1 memory wait 'memory 0x100 2' 'write 0x10870 0003000000000000' \
		wait 'memory 0x200 8' 'memory 0x300 8'
	expect 1 'memory 0x100: 0000' 'memory 0x200: 0{16}' \
		'memory 0x300: 696f766b69742100'
	# Without functions the bridge does it by itself.
	vm 3
	expect 3 ready
	kill_vm 3
	await vm.reset '.vm == "vm3"'
	vm 3
	expect 3 ready
}

@test "DMA follows the assignment" {
	machine
	say 2 memory
	say 1 memory wait 'write 0x10870 0001000000000000' wait 'memory 0x100 7'
	expect 1 'memory 0x100: 696f766b697421'
	say 0 'assign 0x101 2' 'assign 0x1ff 2' 'assign 0x101 99'
	expect 0 'assign: error ENOENT'
	wait_until "$PATIENCE" rows_are functions 1 \
		'.function == "nic0/vf1" and .dma == "vm2"'
	say 1 'write 0x10870 0002000000000000' wait 'memory 0x200 2'
	say 2 'memory 0x200 7'
	expect 1 'memory 0x200: 0000'
	wait_until "$PATIENCE" told 2 'memory 0x200: 696f766b697421' || {
		say 2 'memory 0x200 7'
		expect 2 'memory 0x200: 696f766b697421'
	}
	say 0 'assign 0x101 none'
	wait_until "$PATIENCE" rows_are functions 1 \
		'.function == "nic0/vf1" and .dma == null'
}

@test "memory of another VM is reached where the supervisor says" {
	machine
	# vm3's, by the function of vm1, and by vm2's processors.
	say 0 'reach 0x101 3 0x10000000' 'reach 0 3 2' wait
	expect 0 'reach: ok'
	vm 3
	say 3 memory
	expect 3 memory
	say 1 'write 0x10870 0001001000000000' wait
	expect 1 'write 0x10870: ok'
	say 2 'map 291' wait 'memory 0x100 8' 'memory 0x200 =77' \
		'read 0x200 1 291'
	expect 2 'memory 0x100: 696f766b69742100' 'read 0x200: 77'
	say 3 'memory 0x200 1'
	expect 3 'memory 0x200: 77'
	# Nobody else finds it, and what is given already changes nothing.
	say 1 'read 0 1 291'
	expect 1 'read 0: error'
	say 0 'reach 0x101 3 0x10000000' 'reach 0x101 2 0x10001000' \
		'reach 0x101 2 0x1000' 'reach 0x101 2 0x20000001' \
		'reach 0x101 9 0x20000000' 'reach 0x1ff 3 0' 'reach 0 3 3' \
		'reach 0x101 2 0xfffffffffffff000' \
		'reach 0x101 2 0x10000000 off' wait 'assign 0x101 none' \
		'reach 0x101 3 0x1000' wait 'read 0 4 9'
	expect 0 'read 0: 56537570'
	wait_until "$PATIENCE" rows_are functions 1 \
		'.function == "nic0/vf1" and .dma == null'
	run sed -n 's/^reach: //p' "$T/vm0"
	assert_output "$(printf '%s\n' ok ok ok 'error EEXIST' 'error EEXIST' \
		'error EINVAL' 'error ENOENT' 'error ENOENT' 'error EINVAL' \
		'error EINVAL' 'error ENOENT' ok)"
	rows_are maps 3 .mapped
	# The function's own memory has to have room.
	say 0 'assign 0x101 1' wait 'reach 0x101 3 0x1000 off' wait \
		'assign 0x101 1' wait 'read 4 4 9'
	expect 0 'assign: error EEXIST' 'read 4: 01000000'
	wait_until "$PATIENCE" rows_are functions 1 \
		'.function == "nic0/vf1" and .dma == "vm1"'
}

@test "a VM whose memory a device reaches is reset by the supervisor only" {
	machine
	say 0 channels 'reach 0x101 3 0x10000000' 'reach 0 3 0' wait
	expect 0 'channels: ok' 'reach: ok'
	vm 3
	say 3 memory wait 'memory 0x100 =5a'
	expect 3 memory
	say 0 'map 291' wait 'memory 0x100 1'
	kill_vm 3
	expect 0 'memory 0x100: 5a' 'exception lost vm3'
	vm 3
	say 0 'reset 3' wait 'map 291' wait 'memory 0x100 8'
	expect 0 'reset: ok' 'memory 0x100: 0{16}'
	expect 3 ready
	# The new memory, at the old place.
	say 1 'write 0x10870 0001001000000000' wait
	expect 1 'write 0x10870: ok'
	say 3 memory wait 'memory 0x100 8'
	expect 3 'memory 0x100: 696f766b69742100'
	# What is taken back is not reached any more; the rest is.
	say 0 'reach 0x101 3 0x10000000 off' wait
	expect 0 'reach: ok'
	say 1 memory wait 'write 0x10870 0004001000000000' wait \
		'write 0x10870 0005000000000000' wait 'memory 0x500 8'
	expect 1 'memory 0x500: 696f766b69742100'
	say 3 'memory 0x400 8'
	expect 3 'memory 0x400: 0{16}'
	rows_are maps 1
}

# machine_of_two_levels: vm1 decides about vm3.
machine_of_two_levels() {
	machine
	say 0 channels
	kill_vm 1
	expect 0 'exception lost vm1'
	say 0 'supervisor 3 1' wait 'reset 1' wait
	expect 0 'supervisor: ok' 'reset: ok'
	vm 1
	say 1 channels memory
	expect 1 'channels: ok' memory
	vm 3
	expect 1 'exception started vm3'
}

# trapped N: the serial number of the last access that VM N was told of.
trapped() {
	awk '/^exception access/ { n = $3 } END { print n }' "$T/vm$1"
}

@test "a VM decides about another one, within what it has itself" {
	machine_of_two_levels
	# Rows lead to its own addresses, memory to its own function.
	say 1 'row set 3 0x20000 0x20fff -0x10000 allowed' \
		'reach 0x101 3 0x10000000' 'reach 0 3 1' wait 'map 291'
	expect 1 'row: ok' 'reach: ok'
	say 3 'write 0x20870 0001001000000000' wait
	expect 3 'write 0x20870: ok'
	say 1 'memory 0x100 8'
	expect 1 'memory 0x100: 696f766b69742100'
	# What is fenced for it is fenced for them.
	say 0 'row set 1 0x10000 0x13fff 0x50000000 fenced' wait 'read 0x40100000 2'
	expect 0 'read 0x40100000: '
	say 3 'write 0x20870 0002001000000000'
	wait_until "$PATIENCE" rows_are parked 1 '.waits_for == "fence"'
	say 0 'row set 1 0x10000 0x13fff 0x50000000 allowed'
	wait_until "$PATIENCE" rows_are parked 0
	say 3 'read 0x30000 4'
	expect 1 'exception access [0-9]+ vm3 read 0x30000 4'
	say 1 "verdict $(trapped 1) done 12345678"
	expect 3 'read 0x30000: 12345678'
	run ! grep -E 'exception (access|started).*vm3' "$T/vm0"
	# Nothing else is its.
	say 1 'row set 3 0x40000 0x40fff 0 allowed' \
		'row set 2 0x40000 0x40fff -0x30000 allowed' \
		'row set 3 0x40000 0x40fff -0x30000 owner' 'inject 2 0' \
		'inject 0 0' 'reset 2' 'unmap 3' 'assign 0x101 3' \
		'route 0x101 0 3 0' 'claim 0x100 0' 'share 1 3' \
		'supervisor 2 1' 'reach 0x101 2 0x20000000' \
		'reach 0x102 3 0x20000000' 'reach 0 3 2' 'reach 0 2 1' \
		'inject 3 0' 'read 0 4 9'
	expect 1 'inject: ok' 'read 0: 56537570'
	assert_equal "$(grep -c EPERM "$T/vm1")" 16
	rows_are maps 2 .mapped
	say 0 'supervisor 1 3' 'supervisor 2 3' 'supervisor 1 1' \
		'supervisor 9 1' 'supervisor 2 1' wait 'read 0 4 9'
	expect 0 'read 0: 56537570'
	run sed -n 's/^supervisor: //p' "$T/vm0"
	assert_output "$(printf '%s\n' ok 'error EINVAL' 'error EINVAL' \
		'error EINVAL' 'error ENOENT' 'error EBUSY')"
}

@test "a supervisor that dies finds all again, and what its VMs asked meanwhile" {
	local serial
	machine_of_two_levels
	say 1 'row set 3 0x20000 0x20fff -0x10000 allowed' 'memory 0 =5a' \
		'reach 0x101 3 0x10000000' wait
	expect 1 'row: ok' 'reach: ok'
	say 3 'read 0x30000 4'
	expect 1 'exception access'
	serial=$(trapped 1)
	kill_vm 1
	await vm.lost '.vm == "vm1" and (.has_functions | not)'
	# What has a row goes on, the rest waits.
	say 3 'write 0x20870 0001001000000000' 'read 0x30004 4'
	expect 3 'write 0x20870: ok'
	wait_until "$PATIENCE" rows_are parked 2
	vm 1
	say 1 memory channels
	expect 1 'channels: ok' 'exception access.* 0x30000 4' \
		'exception access.* 0x30004 4'
	assert_equal "$(awk '/0x30000/ { print $3 }' "$T/vm1")" "$serial"
	say 1 'memory 0 1' "verdict $serial done 01020304" \
		"verdict $(trapped 1) ones"
	expect 1 'memory 0: 5a'
	expect 3 'read 0x30000: 01020304' 'read 0x30004: ffffffff'
	# Its guest is lost to it, and its to reset.
	kill_vm 3
	expect 1 'exception lost vm3'
	vm 3
	say 1 'reset 3' wait
	expect 1 'reset: ok' 'exception started vm3'
	expect 3 ready
}

@test "a device that does not give memory back is hung up on" {
	device 1 no-unmap
	start rootbridge rootbridge --vms 2 --dma-timeout 100ms
	await device.attached
	vm 0
	say 0 'assign 0x100 1' wait 'assign 0x100 2' wait 'read 0x40100000 2'
	expect 0 'read 0x40100000: ffff'
	await dma.timeout ".pid == ${PIDS[dev]}"
	await device.gone
	assert_equal "$(grep -c 'assign: ok' "$T/vm0")" 2
}

@test "power off while a VM's reset waits for a device" {
	device 1 no-unmap
	start rootbridge rootbridge --vms 2 --dma-timeout 0
	await device.attached
	vm 0
	vm 1
	expect 1 ready
	say 0 'assign 0x100 1' wait
	wait_until "$PATIENCE" rows_are functions 1 '.dma == "vm1"'
	kill_vm 1
	await vm.lost '.vm == "vm1"'
	say 0 'reset 1' 'read 0x40100000 2'
	expect 0 'read 0x40100000: ....'
	stop rootbridge
	assert_equal "$(grep -c 'reset: ok' "$T/vm0" || true)" 0
}

told_twice() {
	[[ $(grep -c "$1" "$T/vm1") -eq 2 ]]
}

@test "interrupts find the VM's eventfd, whoever comes first" {
	machine
	say 0 'route 0x101 0 1 5' 'inject 1 7' 'inject 1 9999' 'inject 99 1' \
		'route 0x101 1 1 9999' 'route 0x1ff 1 1 1'
	expect 0 'inject: ok' 'inject: error EINVAL' 'inject: error ENOENT' \
		'route: ok' 'route: error EINVAL' 'route: error ENOENT'
	say 1 'irq 2 5' 'irq 2 6' 'irq 2 7' wait 'write 0x10860 00'
	expect 1 'irq 2 5: 1' 'irq 2 7: 1'
	say 0 'route 0x101 1 1 6' wait 'read 0x40100000 1'
	expect 0 'read 0x40100000: 36'
	say 1 'write 0x10860 01'
	expect 1 'irq 2 6: 1'
	# Another eventfd for the same interrupt.
	say 1 'irq 2 6' wait 'write 0x10860 01' wait
	wait_until "$PATIENCE" told_twice 'irq 2 6: 1'
	say 0 'route 0x101 1 none 0' wait
	wait_until "$PATIENCE" rows_are routes 1
	say 1 'write 0x10860 01' 'irq 2 5 off' wait 'write 0x10860 00' \
		'irq 2 200' 'irq 0 0'
	expect 1 'set_irqs: error EINVAL'
	assert_equal "$(grep -c 'irq 2 5' "$T/vm1")" 1
	assert_equal "$(grep -c 'irq 2 6' "$T/vm1")" 2
}

@test "doorbells pass the bridge by, where a row allows it" {
	machine
	say 1 doorbells wait 'ring 0' 'read 0x10000 1' wait 'read 0x11010 1'
	expect 1 'doorbell 0 at 0x11000' 'read 0x11010: 01'
	say 0 'row set 1 0x10000 0x13fff 0x50000000 denied' wait \
		'read 0x40100000 1'
	expect 0 'read 0x40100000: 36'
	say 1 doorbells
	expect 1 'doorbells: 0'
}

@test "the supervisor's mistakes change nothing" {
	machine
	say 0 'row set 1 0x12000 0x20000 0 allowed' \
		'row set 0 0x10000 0x13fff 4096 allowed' \
		'row delete 1 0x10000 0x13ffe 0 allowed' \
		'row set 9 0 1 0 allowed' 'write 0x3000001 00 9' \
		'write 0x3000000 00 9' 'read 0x9000000 4 9' \
		'read 0x4000000 4 9' 'read 0 8 9' 'claim 0x101 0' \
		'claim 0x100 0' 'claim 0x100 0' wait
	expect 0 'row: error EEXIST' 'row: error EINVAL' 'row: error ENOENT' \
		'write 0x3000001: error EINVAL' \
		'write 0x3000000: error EINVAL' 'read 0x9000000: error' \
		'read 0x4000000: error EINVAL' 'read 0: 5653757001000000' \
		'claim: error ENOENT' 'claim: ok' 'claim: error ESTALE'
	wait_until "$PATIENCE" rows_are protection 2
	await claimed '.by == "vm0"'
}

@test "more requests than IDs wait in order" {
	machine --timeout 0
	say 1 'read 0x10840 1'
	for ((i = 0; i < 1500; i++)); do
		printf 'write 0x10100 %04x\nread 0x10100 2\n' "$i"
	done >"$T/many"
	rpc rootbridge fault '["nic0/vf1", "hold"]'
	cat "$T/many" >&"${SAY[1]}"
	wait_until "$PATIENCE" rows_are inflight 1024
	rpc rootbridge fault '["nic0/vf1", "none"]'
	rpc rootbridge release '["nic0/vf1"]'
	say 1 'read 0x10848 1'
	expect 1 "read 0x10100: 05db" 'read 0x10840: 00'
	for ((i = 0; i < 1500; i++)); do
		printf 'read 0x10100: %04x\n' "$i"
	done | diff - <(grep 'read 0x10100' "$T/vm1")
	assert_equal "$(table inflight)" ""
}

@test "config-dump reads like lspci -F" {
	machine
	rpc rootbridge config-dump >"$T/dump"
	assert_equal "$(jq -r '.functions[].function' "$T/dump" | xargs)" \
		"nic0/pf0 nic0/vf1 nic0/vf2"
	assert_equal "$(jq -r '.functions[0].hex | length' "$T/dump")" 8192
	assert_equal "$(jq -r '.functions[1].bdf' "$T/dump")" 0000:01:00.1
	run -0 rpc_error rootbridge config-dump '["nic0/vf9"]'
}

@test "a frozen device holds nobody else up" {
	machine --timeout 0
	mkdir "$M/dev/nic1"
	"$RIG/rigdev" "$M/dev/nic1" 0 3>&- {NEVER}>&- &
	PIDS[dev1]=$!
	await device.attached '.device == "nic1"'
	kill -STOP "${PIDS[dev]}"
	say 1 'read 0x10000 1'
	say 0 'read 0x40200000 2'
	expect 0 'read 0x40200000: 361b'
	# Posted writes until its socket and queue are full.
	for ((i = 0; i < 2000; i++)); do
		printf 'post 0x10100 %04000d\n' 0
	done >"$T/posts"
	cat "$T/posts" >&"${SAY[1]}"
	say 0 'read 0x40200004 1'
	expect 0 'read 0x40200004: 00'
	kill -CONT "${PIDS[dev]}"
	say 1 'read 0x10004 1'
	expect 1 'read 0x10000: 00' 'read 0x10004: 00'
	kill "${PIDS[dev1]}"
	wait "${PIDS[dev1]}" || true
	unset "PIDS[dev1]"
}

@test "wrong options" {
	for options in --vms=0 --vms=99999 --memory=1 --memory=vm9999=1MiB \
		--memory=x --timeout=5 --on-timeout=panic --seed=x extra; do
		run -64 rootbridge "$options"
		assert_output --partial "${options%%=*}"
	done
	run -0 rootbridge --list-points
	assert_output --partial bridge.a2110
	start rootbridge rootbridge --vms 2 --memory vm1=1MiB --memory 2MiB
	run -0 table vms '.vm == "vm1"'
	assert_output --partial '"memory_bytes":1048576'
	run -73 rootbridge --vms 2
}

@test "a bridge that was frozen blames nobody" {
	machine --timeout 1500ms
	for ((i = 0; i < 2000; i++)); do
		echo 'read 0x10000 4'
	done >"$T/reads"
	cat "$T/reads" >&"${SAY[1]}"
	kill -STOP "${PIDS[rootbridge]}"
	read -r -t 2 -u "$NEVER" || true
	kill -CONT "${PIDS[rootbridge]}"
	cat "$T/reads" >&"${SAY[1]}"
	say 1 'read 0x10010 1'
	expect 1 'read 0x10010: 00'
	[[ $(grep -c 'read 0x10000: 00000000' "$T/vm1") -eq 4000 ]]
}

@test "what a VM does wrong is told a hundred times a second" {
	machine
	kill_vm 0
	for ((i = 0; i < 4000; i++)); do
		echo 'read 0x9000 4'
	done >&"${SAY[1]}"
	say 1 'read 0x10010 1'
	expect 1 'read 0x10010: 00'
	[[ $(events 'select(.ev == "exception.unanswered")' | wc -l) -lt 1500 ]]
}

@test "points on the data path" {
	machine --at bridge.a1010=trace
	say 1 'read 0x10000 1'
	expect 1 'read 0x10000: 00'
	await bridge.a1010 '.operator == "vm1"'
	rpc rootbridge at '["bridge.a1020=fail"]'
	say 1 'read 0x10000 1'
	timeout_of 100ms
	finish rootbridge 71
	await shutdown
}
