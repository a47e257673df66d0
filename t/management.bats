#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # bats sets them
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
		bridge: rootbridge --vms=4 $*
		nic0: iovdev --vfs 4
		hv: ${RESTART:-} hvmon --vf nic0/vf1=vm1 --management vm3=nic0
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

# at_work [BRIDGE-OPTION...]: requests are always in flight, and what is asked
# of the PF takes a while too.
at_work() {
	machine_start <<-END
		bridge: rootbridge --vms=4 $*
		nic0: iovdev --vfs 4 --latency vf1=50ms --latency pf0=1ms
		hv: hvmon --vf nic0/vf1=vm1:80ms --management vm3=nic0
		guest1: guestd --vm 1 --requests 8
		mgmt: guestd --vm 3 --management
	END
	wait_until "$PATIENCE" answers 8
	IN_FLIGHT=0
}

answered() {
	rpc guest1 report | jq '[.workloads[].answered] | add'
}

answers() {
	(($(answered) >= $1))
}

# reset [OPTION...]: an operator's, which the PF driver begins and nobody sees
# but the device, once.
reset() {
	local asked began before
	asked=$(events 'select(.ev == "pf.reset.asked")' | wc -l)
	began=$(count reset.a100)
	before=$(answered)
	iovctl reset --json "$@" nic0/pf0 >"$T/result"
	assert_equal "$(jq .vfs "$T/result")" 1
	IN_FLIGHT=$((IN_FLIGHT + $(jq .in_flight "$T/result")))
	assert_equal "$(events 'select(.ev == "pf.reset.asked")' | wc -l)" \
		$((asked + 1))
	assert_equal "$(count reset.a100)" $((began + 1))
	# Each was answered, and they go on.
	wait_until "$PATIENCE" answers $((before + 24))
}

nothing_was_lost() {
	assert [ "$IN_FLIGHT" -gt 0 ]
	assert_equal "$(count bridge.a1220)" "$(count reset.a115)"
	assert_equal "$(rpc guest1 report | jq -c '[.workloads[] |
		.errors + .refused - .reissued] | add')" 0
	run -0 events 'select(.ev == "shutdown" or .ev == "pf.reset.failed" or
		.ev == "parked.expired" or .ev == "exception.unanswered")'
	assert_output ""
	machine_stop
}

@test "an operator's reset is the management VM's to begin, each way" {
	at_work
	local suspend confirm
	for suspend in table invalid-address vcpu; do
		for confirm in barrier interrupt wait; do
			reset --suspend $suspend --confirm $confirm
		done
		reset --suspend $suspend --grant
		assert_equal "$(jq .grant "$T/result")" true
	done
	run -0 events 'select(.ev == "pf.reset.done") | .tries'
	assert_equal "$(tr '\n' ' ' <<<"$output")" "1 1 1 2 1 1 1 2 1 1 1 2 "
	nothing_was_lost
}

@test "without protection each access to the PF is looked at" {
	at_work --no-protection
	# Where denied rows deny nothing there are none.
	run -0 rpc bridge show '["protection"]'
	assert_equal "$(jq '[.rows[] | select(.vm == "vm3" or .vm == 3)] |
		length' <<<"$output")" 0
	local how confirm
	for how in flr register; do
		rpc mgmt reset "{\"how\": \"$how\"}"
	done
	for confirm in barrier interrupt wait; do
		reset --suspend vcpu --confirm $confirm
	done
	reset --grant
	assert_equal "$(jq -c '[.suspend, .grant]' "$T/result")" \
		'["vcpu",true]'
	nothing_was_lost
}

@test "who drives the PF does not answer, or is gone" {
	power_on
	await pf.up
	iovctl freeze mgmt >/dev/null
	run ! iovctl reset nic0/pf0
	assert_output --partial "attempt failed"
	iovctl thaw mgmt >/dev/null
	# It finds what it was asked for late.
	await pf.reset.done
	kill -KILL "$(pid mgmt)"
	await vm.lost '.src == "bridge" and .vm == "vm3"'
	wait_until "$PATIENCE" iovctl reset nic0/pf0
	assert_equal "$(count device.flr)" "$(count reset.a115)"
	machine_stop
}

# HOW: its hypervisor dies while the attempt is trapped.
attempt_is_left() {
	local since before attempt
	before=$(pid hv)
	since=$(($(events .n | tail -n 1) + 1))
	rpc hv at '["reset.a105=hold"]' >/dev/null
	rpc_raw mgmt reset "{\"how\": \"$1\"}" >"$T/attempt" 3>&- &
	attempt=$!
	await reset.a105 ".n >= $since"
	kill -KILL "$before"
	wait "$attempt" || true
	assert_equal "$(jq -r .error.message "$T/attempt")" \
		"reset: Input/output error"
	await device.ready ".n >= $since and .adopted"
}

@test "an attempt that its hypervisor leaves unanswered does not succeed" {
	local how protection RESTART=RESTART=always
	for protection in "" --no-protection; do
		power_on $protection
		await pf.up
		for how in flr register; do
			attempt_is_left $how
		done
		assert_equal "$(count device.flr)" 0
		# The next hypervisor's is answered as usual.
		iovctl reset nic0/pf0 >/dev/null
		assert_equal "$(count device.flr)" 1
		machine_stop
	done
}

@test "a management that means nothing is refused" {
	run -64 hvmon --management vm3
	assert_output --partial "'vm3' is not VM=DEVICE"
	run -64 hvmon --management vm0=nic0
	assert_output --partial "vm0"
	run -64 hvmon --management vm3=nic0 --management vm4=nic0
	assert_output --partial "already"
}
