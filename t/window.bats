#!/usr/bin/env bats
# shellcheck disable=SC2034,SC2154 # PIDS is of machine.bash
# window.bats - direct access (spec 05): translations proposed, windows granted
# and taken back, without a message lost or sent twice.

setup() {
	load machine
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

# power_on [HVMON-OPTION...]: a machine whose vm1 has an Ethernet card.
power_on() {
	machine_start <<-END
		bridge: rootbridge
		ether0: iovdev --type ether
		hv: hvmon --device ether0=vm1 $*
	END
}

# sender [COUNT [OPTION...]]: vm1 sends itself numbered messages.
# shellcheck disable=SC2120
sender() {
	start guest1 guestd --vm 1 --name=vm1 "${@:2}" \
		--messages=count="${1:-100000000},size=60-1514"
	await workload.started
}

# column NAME TABLE FIELD: of the first row of a program's table.
column() {
	rpc "$1" show "[\"$2\"]" | jq -r ".rows[0].$3 | tostring"
}

# sent: how many messages vm1 has sent.
sent() {
	rpc vm1 show '["cards"]' | jq -re '.rows[0].sent'
}

moves_on() {
	(($(sent) > $1))
}

# Messages are sent from here on.
goes_on() {
	local before
	before=$(sent)
	wait_until "$PATIENCE" moves_on $((before + 50))
}

@test "window: neither hypervisor nor root bridge runs code for a direct access" {
	local before
	power_on
	sender
	await translation.open
	goes_on
	before=$(rpc bridge show '["counters"]' | jq -c .rows
		rpc bridge show '["vms"]' |
			jq -c '.rows[] | select(.vm == "vm1")')
	goes_on
	run rpc bridge show '["counters"]'
	assert_equal "$(jq -c .rows <<<"$output"
		rpc bridge show '["vms"]' |
			jq -c '.rows[] | select(.vm == "vm1")')" "$before"
	assert [ "$(column ether0 device-windows writes)" -gt 300 ]
	stop guest1
	machine_stop
}

@test "window: a translation is accepted, changed or rejected as the policy says" {
	power_on --translation ether0=reject
	sender
	await translation.rejected '.why == "the policy rejects it"'
	goes_on
	run -0 rpc bridge show '["windows"]'
	assert_output --partial '"rows":[]'
	# Other rights: writes still pass the bus.
	run -0 iovctl translate ether0 read-only
	await translation.changed '.rights == 1'
	await translation.open '.rights == 1'
	goes_on
	assert_equal "$(column ether0 device-windows writes)" 0
	assert [ "$(column ether0 device-windows reads)" -gt 50 ]
	run -0 iovctl translate ether0 accept
	await translation.accepted '.rights == 3'
	goes_on
	run -64 iovctl translate ether0
	run -64 iovctl translate ether0 nonsense
	run -69 iovctl translate ether7 accept
	stop guest1
	machine_stop
}
