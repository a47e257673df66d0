# ownership.bats - who owns a PF: successors, claims, fences, hand-overs.
# shellcheck shell=bash disable=SC2154

setup() {
	load machine
	load rigs
	machine_setup
	rigs_setup
}

teardown() {
	machine_teardown
}

# VM 1 and VM 2 are successors for the PF, which vm0 owns (epoch 1); VM 1 finds
# its config space at 0x40100000 and its BAR at 0x50000000.
successors() {
	machine "$@"
	say 0 channels 'successor 0x100 1 1' 'successor 0x100 2 2' \
		'claim 0x100 0' \
		'row set 1 0x40100000 0x40100fff 0 owner' \
		'row set 1 0x50000000 0x5000ffff 0 owner' \
		'row set 2 0x40100000 0x40100fff 0 owner' \
		'row set 2 0x50000000 0x5000ffff 0 owner' wait \
		'read 0x50000010 1'
	expect 0 'claim: ok' 'read 0x50000010: '
}

# Offsets in region 9.
vms=0x2000000
rows=0x3000000
shares=0xd000000

@test "only a successor finds region 9, and little of it" {
	machine
	# "vm1" is nobody yet.
	say 1 'read 0 4 9' 'claim 0x100 0' wait
	expect 1 'read 0: error EINVAL' 'claim: error EINVAL'
	say 0 'successor 0x101 1 1' 'successor 0x100 0 1' \
		'successor 0x100 99 1' 'successor 0x100 1 9' \
		'successor 0x100 2 0' 'successor 0x100 1 1' \
		'successor 0x100 2 1' 'successor 0x100 2 2' wait \
		'read 0xc000000 24 9'
	expect 0 'successor: error ENOENT' 'successor: error EINVAL' \
		'successor: error EEXIST' \
		'read 0xc000000: 00010100010000000001020002000000(00){8}'
	assert_equal "$(grep -c 'successor: ok' "$T/vm0")" 2
	say 1 'read 0 4 9' "read $vms 4 9" "read $rows 4 9" \
		'row set 1 0 1 0 allowed' 'assign 0x102 1' 'inject 2 1' \
		'successor 0x100 1 2' 'share 1 2' 'reset 2' 'unmap 2' \
		'watch 0x101' 'route 0x100 0 1 129' 'release 0x100 0' wait
	expect 1 'read 0: 56537570' "read $vms: " "read $rows: error EPERM" \
		'row: error EPERM' 'assign: error EPERM' \
		'inject: error EPERM' 'successor: error EPERM' \
		'share: error EPERM' 'reset: error EPERM' \
		'unmap: error EPERM' 'watch: error EPERM' \
		'route: error EPERM' 'release: error EPERM'
	await supervisor.refused '.vm == "vm1"'
	# One that is not listed any more has lost it.
	say 0 'successor 0x100 2 0' wait 'read 0xc000008 8 9'
	expect 0 'read 0xc000008: (00){8}'
	say 2 'read 0 4 9' 'claim 0x100 0'
	expect 2 'read 0: error EINVAL' 'claim: error EINVAL'
}

@test "a claim takes everything from the former holder" {
	successors
	# Its interrupts, DMA, what is on its way, and what it sends later.
	say 0 'irq 2 1' 'irq 2 2' 'route 0x100 0 0 1' 'route 0x101 3 0 2' \
		'route 0x101 0 1 5' 'assign 0x100 0' wait 'write 0x50000860 00'
	expect 0 'irq 2 1: 1'
	iovctl fault nic0/pf0 hold
	say 0 'write 0x50000020 77'
	await operation.held
	say 1 'irq 2 129' 'irq 2 5' 'read 0x50000010 1' \
		'write 0x40100004 0400' wait 'claim 0x100 0' wait
	expect 1 'read 0x50000010: error EPERM' \
		'write 0x40100004: error EPERM' 'claim: error ESTALE'
	await fenced '.vm == "vm1"'
	say 1 'claim 0x100 1' wait
	expect 1 'claim: ok'
	await claimed '.by == "vm1" and .epoch == 2 and .from == "vm0"'
	await fence.done '.epoch == 2'
	expect 0 'write 0x50000020: error EPERM'
	iovctl fault nic0/pf0 none
	rows_are functions 1 \
		'.function == "nic0/pf0" and .owner == "vm1" and .dma == null'
	rows_are routes 1 '.vm == "vm1"'
	say 0 'read 0x40100000 1' 'write 0x50014100 11' 'read 0 4 9' \
		'row set 1 0 1 0 allowed' 'inject 1 5' 'claim 0x100 2' \
		'reset 2' "read $rows 4 9" wait
	expect 0 'read 0x40100000: error EPERM' \
		'write 0x50014100: error EPERM' 'read 0: error EPERM' \
		'row: error EPERM' 'inject: error EPERM' \
		'claim: error EPERM' 'reset: error EPERM'
	await supervisor.refused '.vm == "vm0" and .fenced'
	# The PF's interrupts are the new owner's, and nothing else is.
	say 1 'route 0x100 0 1 129' 'route 0x100 1 1 5' 'route 0x101 0 1 129' \
		'route 0x100 1 2 129' wait 'read 0x50000020 1' \
		'write 0x50000860 00' wait 'write 0x10860 00'
	expect 1 'route: ok' 'read 0x50000020: 00' 'irq 2 129: 1' 'irq 2 5: 1'
	assert_equal "$(grep -c 'route: error EPERM' "$T/vm1")" 3
	assert_equal "$(grep -c 'irq 2 2' "$T/vm0" || true)" 0
	# Nobody hears of exceptions any more.
	say 2 'read 0x9000 1'
	expect 2 'read 0x9000: ff'
}

@test "the PF is handed over, not seized" {
	successors
	kill_vm 0
	await released '.by == "vm0"'
	say 1 'claim 0x100 1' wait 'irq 2 129' 'route 0x100 0 1 129' \
		'read 0x50000010 1' wait
	expect 1 'claim: ok' 'read 0x50000010: 00'
	vm 0
	say 0 channels wait 'claim 0x100 2' 'write 0x50000010 01' \
		'route 0x100 0 0 1' 'read 0x40100000 2' 'read 0xc000000 4 9' \
		'route 0x102 0 2 5' wait
	expect 0 'claim: error EBUSY' 'write 0x50000010: error EPERM' \
		'route: error EPERM' 'route: ok' \
		'read 0x40100000: 361b' 'read 0xc000000: 00010100'
	say 1 'release 0x100 1' 'release 0x100 2' 'release 0x100 2' \
		'read 0x50000010 1' 'read 0x10010 1' wait
	expect 1 'release: error ESTALE' 'release: ok' 'release: error EPERM' \
		'read 0x50000010: error EPERM' 'read 0x10010: 00'
	expect 0 'exception released vm1 bdf 0x0100'
	rows_are routes 1
	rows_are routes 0 '.function == "nic0/pf0"'
	say 0 'claim 0x100 2' 'write 0x50000010 01' wait
	expect 0 'claim: ok' 'write 0x50000010: ok'
	await claimed '.by == "vm0" and .epoch == 3'
}

@test "a second successor takes the PF from the first, or from nobody" {
	successors
	say 1 'claim 0x100 1' wait
	expect 1 'claim: ok'
	say 2 'claim 0x100 2' wait 'read 0x50000010 1'
	expect 2 'claim: ok' 'read 0x50000010: 00'
	say 1 'read 0x50000010 1' 'claim 0x100 3' 'unmap 2'
	expect 1 'read 0x50000010: error EPERM' 'claim: error EPERM' \
		'unmap: error EPERM'
	kill_vm 2
	await released '.by == "vm2" and .why == "hung up"'
	rows_are functions 3 '.owner == null'
}

@test "memory that two VMs share outlives both" {
	machine
	say 0 'share 1 1' 'share 0 999' 'share 0 1' 'share 1 2' 'share 2 1' \
		wait "read $shares 24 9"
	expect 0 'share: error EINVAL' 'share: error ENOENT' \
		"read $shares: 00000000010000000100000002000000(00){8}"
	say 0 'map 17' wait 'memory 0x10 =1122'
	expect 0 'memory: 65536'
	say 1 'map 18' 'read 0x10 2 16' 'read 0xffff 2 16' 'map 17' \
		'write 0x20 33 18' wait
	expect 1 'read 0x10: 1122' 'read 0xffff: error EINVAL'
	say 2 'map 17' wait 'memory 0x20 1' 'read 0x10 2 16'
	expect 2 'memory 0x20: 33' 'read 0x10: error EINVAL'
	say 0 'assign 0x101 none' wait
	wait_until "$PATIENCE" rows_are functions 2 '.vm == null'
	kill_vm 1
	await vm.reset
	vm 1
	say 1 'read 0x10 2 16' 'read 0x20 1 18'
	expect 1 'read 0x10: 1122' 'read 0x20: 33'
}

@test "an unmapped VM's memory is out of reach until it is reset" {
	successors
	say 1 'claim 0x100 1' wait
	say 2 memory wait 'write 0x10870 0001000000000000' wait \
		'memory 0x100 7'
	expect 2 'memory 0x100: 696f766b697421'
	say 1 'unmap 1' 'unmap 99' 'unmap 2' 'unmap 0' wait
	expect 1 'unmap: error EPERM' 'unmap: error ENOENT' 'unmap: ok'
	await vm.unmapped '.vm == "vm2" and .by == "vm1"'
	rows_are functions 1 '.function == "nic0/vf2" and .dma == null'
	say 2 'write 0x10870 0002000000000000' wait 'memory 0x200 2'
	expect 2 'memory 0x200: 0000'
	kill_vm 2
	await vm.lost '.vm == "vm2"'
	kill_vm 0
	vm 0
	say 0 'reset 2' wait
	expect 0 'reset: ok'
	vm 2
	say 2 memory wait 'write 0x10870 0001000000000000' wait \
		'memory 0x100 7'
	expect 2 'memory 0x100: 696f766b697421'
}

# le32 NUMBER, le64 NUMBER: as hex bytes.
le32() {
	printf '%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) \
		$(($1 >> 24 & 255))
}

le64() {
	le32 "$1"
	printf '00000000'
}

# A receive ring of 8 entries at 0x1000 of VM 2, entry I's buffer of 64 bytes
# at 0x2000 + 64 I; write index 3, read index 1: the device owns 3 to 8.
ring() {
	local i
	say 2 memory wait "memory 0x1000 =$(le32 0x71765649)0100000008000000" \
		'memory 0x1080 =03000000' 'memory 0x1100 =01000000' \
		"write 0x10180 $(le64 0x1000)0800000001000000" wait
	for ((i = 0; i < 8; i++)); do
		say 2 "memory $((0x1180 + 16 * i)) =$(le64 $((0x2000 + 64 * i)))$(le32 64)"
	done
	say 2 'memory 0x11f0 12'
	expect 2 "memory 0x11f0: $(le64 0x21c0)$(le32 64)"
}

@test "what a device writes after the drain is counted" {
	successors
	ring
	say 1 'claim 0x100 1' wait 'watch 0x100' 'watch 0x1ff' 'watch 0x102' \
		wait 'watch 0x102' wait
	expect 1 'watch: error EINVAL' 'watch: error ENOENT' 'watch: ok' \
		'watch: error EEXIST'
	# Entry 2 and its buffer are the guest's; 5's buffer is the device's.
	say 2 "write 0x10870 $(le64 0x2080)" "write 0x10870 $(le64 0x2150)" \
		"write 0x10870 $(le64 0x3000)" wait 'memory 0x2150 7'
	expect 2 'memory 0x2150: 696f766b697421'
	say 1 'unmap 2' wait
	expect 1 'unmap: ok'
	await memory.checked \
		'.function == "nic0/vf2" and .vm == "vm2" and .touched == 7 and
			.bytes == 6 * 80 + 4'
	# One that nothing touches, and one without a ring.
	say 0 'write 0 00 9' wait
	kill_vm 0
	kill_vm 2
	vm 0
	say 0 'reset 2' wait
	vm 2
	expect 2 ready
	ring
	say 1 'watch 0x102' wait
	say 2 'read 0x10180 1' wait
	expect 2 'read 0x10180: 00'
	say 1 'unmap 2' wait
	await memory.checked '.touched == 0 and .bytes == 6 * 80 + 4'
}

@test "--without ownership: the former holder goes on" {
	successors --without ownership
	say 1 'claim 0x100 1' wait 'write 0x50000010 22' wait
	expect 1 'claim: ok' 'write 0x50000010: ok'
	say 0 'read 0x50000010 1' 'write 0x50000010 33' 'inject 1 5' wait
	expect 0 'read 0x50000010: 22' 'write 0x50000010: ok' 'inject: ok'
}
