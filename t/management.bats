#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats sets them
# management.bats - a management VM: a guest that has the PF.

setup() {
	load machine
	machine_setup
	need bmc rootbridge iovdev hvmon guestd
}

teardown() {
	machine_teardown
}

power_on() {
	machine_start <<-END
		bridge: rootbridge --vms=4
		nic0: iovdev --vfs 4
		hv: hvmon --vf nic0/vf1=vm1 --management vm3=nic0
		guest1: guestd --vm 1
		mgmt: guestd --vm 3 --management
	END
}

# count EV: how often, for the PF
count() {
	events "select(.ev == \"$1\" and .function == \"nic0/pf0\")" | wc -l
}

@test "a management VM finds its PF, at addresses of its own" {
	power_on
	await pf.up '.src == "mgmt" and .slot == 31'
	run -0 rpc bridge show '["protection"]'
	run -0 jq -c '[.rows[] | select(.vm == "vm3" or .vm == 3)] |
		[length, ([.[] | select(.flag == "denied" or
			.access == "denied" or .allowed == false)] | length)]' \
		<<<"$output"
	assert_output "[6,2]"
	run -0 rpc_error guest1 reset '[]'
	assert_output "this VM has no PF"
	machine_stop
}

@test "no attempt of the PF driver reaches the PF by itself" {
	power_on
	await pf.up
	local how
	# Whatever the hypervisor makes of it, each is answered, and the device
	# sees no reset but the hypervisor's own.
	for how in flr register; do
		run -0 rpc_raw mgmt reset "{\"how\": \"$how\"}"
		assert_output --regexp '"(tries|error)":'
	done
	run -0 events 'select(.src == "mgmt") | .ev | select(test("pf.reset"))'
	assert_equal "${#lines[@]}" 2
	assert_equal "$(count device.flr)" "$(count reset.a115)"
	machine_stop
}

@test "a management that means nothing is refused" {
	run -64 hvmon --management vm3
	assert_output --partial "'vm3' is not VM=DEVICE"
	run -64 hvmon --management vm0=nic0
	assert_output --partial "vm0"
	run -64 hvmon --management vm3=nic0 --management vm4=nic0
	assert_output --partial "already"
}
