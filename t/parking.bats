# parking.bats - accesses that a fence stopped wait at the root bridge (spec 01,
# rulings).
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

# vm1's rows to VF 1 are fenced.
fenced() {
	# A busy computer is no reason to give them up.
	machine
	say 0 channels 'row set 1 0x14000 0x17fff 0x50000000 allowed' \
		'row set 1 0x10000 0x13fff 0x50000000 fenced'
	expect 0 'channels: ok'
	wait_until "$PATIENCE" rows_are protection 1 '.parks'
}

@test "a VM's accesses to other functions pass those that are parked" {
	fenced
	say 1 'write 0x10100 07' 'read 0x10100 1' 'read 0x14100 1'
	expect 1 'read 0x14100: 00'
	rows_are parked 2
	say 0 'row set 1 0x10000 0x13fff 0x50000000 allowed'
	expect 1 'read 0x10100: 07'
	assert_equal "$(table parked)" ""
}

@test "1,024 of a VM are parked at most, and all run in order" {
	local i
	fenced
	for ((i = 0; i < 1500; i++)); do
		printf 'write 0x10100 %04x\nread 0x10100 2\n' "$i"
	done >&"${SAY[1]}"
	wait_until "$PATIENCE" rows_are parked 1024
	say 2 'read 0x10100 1'
	expect 2 'read 0x10100: 00'
	rows_are parked 1024
	say 0 'row set 1 0x10000 0x13fff 0x50000000 allowed'
	expect 1 'read 0x10100: 05db'
	for ((i = 0; i < 1500; i++)); do
		printf 'read 0x10100: %04x\n' "$i"
	done | diff - <(grep 'read 0x10100' "$T/vm1")
}

@test "what is parked reads as all ones when the hypervisor is gone" {
	fenced
	say 1 'read 0x10100 2'
	wait_until "$PATIENCE" rows_are parked 1
	kill_vm 0
	expect 1 'read 0x10100: ffff'
	await parked.expired '.why == "supervisor gone"'
	say 1 'read 0x10104 2'
	expect 1 'read 0x10104: ffff'
	await parked.expired '.why == "no supervisor"'
}
