#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats sets them
# containment.bats - functions that are contained, pulled out or dead while
# their PF is reset: nobody waits for them for ever.

setup() {
	load machine
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

# power_on [BRIDGE-OPTION...]
power_on() {
	machine_start <<-END
		bridge: rootbridge $*
		nic0: ${RESTART:-} iovdev --vfs 2 --latency vf1=1ms \
			--latency vf2=1ms
		hv: hvmon --vf nic0/vf1=vm1:900ms --vf nic0/vf2=vm2:900ms
		g1: guestd --vm 1 --requests 4,rate=2k
		g2: guestd --vm 2 --requests 4,rate=2k
	END
}

answered() {
	rpc "$1" report | jq '[.workloads[].answered] | add'
}

answers() {
	(($(answered "$1") >= $2))
}

goes_on() {
	wait_until "$PATIENCE" answers "$1" "$(($(answered "$1") + 20))"
}

# stands CONFIRM: a reset whose a110 is not over, since VF 2 does nothing.
stands() {
	SINCE=$(($(events .n | tail -n 1) + 1))
	iovctl hold nic0/vf2 >/dev/null
	iovctl reset nic0/pf0 --confirm "$1" --json >"$T/reset" 2>&1 3>&- &
	RESET=$!
	await reset.a110 ".n >= $SINCE"
}

# ends_in WHY: the reset fails.
ends_in() {
	if wait "$RESET"; then
		fail "it was reset: $(<"$T/reset")"
	fi
	[[ $(<"$T/reset") == *"$1"* ]] || fail "$(<"$T/reset")"
}

no_shutdown() {
	run -0 events 'select(.ev == "shutdown")'
	assert_output ""
	machine_stop
}

@test "a VF contained in a110 is not waited for" {
	power_on --timeout=20s
	local confirm
	for confirm in interrupt barrier wait; do
		stands $confirm
		iovctl contain nic0/vf2 >/dev/null
		wait "$RESET" || fail "$(<"$T/reset")"
		assert_equal "$(jq .contained "$T/reset")" 1
		goes_on g1
		iovctl release nic0/vf2 >/dev/null
		iovctl uncontain nic0/vf2 >/dev/null
		await vf.back ".src == \"g2\" and .n >= $SINCE"
		goes_on g2
	done
	# It takes part in resets again.
	iovctl reset nic0/pf0 --json >"$T/reset"
	assert_equal "$(jq -c '[.vfs, .contained]' "$T/reset")" "[2,0]"
	goes_on g2
	no_shutdown
}

@test "a VF whose a110 times out is contained alone" {
	power_on --on-timeout=contain
	local confirm
	for confirm in interrupt barrier; do
		stands $confirm
		wait "$RESET" || fail "$(<"$T/reset")"
		assert_equal "$(jq .contained "$T/reset")" 1
		goes_on g1
		iovctl release nic0/vf2 >/dev/null
		iovctl uncontain nic0/vf2 >/dev/null
		await vf.back ".src == \"g2\" and .n >= $SINCE"
	done
	no_shutdown
}

@test "a PF contained in a110 is not reset, and its VFs go on" {
	power_on --timeout=20s
	stands interrupt
	iovctl contain nic0/pf0 >/dev/null
	await function.contained '.function == "nic0/pf0"'
	iovctl release nic0/vf2 >/dev/null
	ends_in "nic0/pf0 is contained"
	goes_on g1
	goes_on g2
	iovctl uncontain nic0/pf0 >/dev/null
	await function.uncontained
	iovctl reset nic0/pf0 >/dev/null
	no_shutdown
}

@test "a device pulled out in a110 ends its reset" {
	RESTART=RESTART=always
	power_on --timeout=20s
	local confirm
	for confirm in interrupt barrier wait; do
		stands $confirm
		iovctl remove nic0 >/dev/null
		ends_in "went away"
		iovctl release nic0/vf2 >/dev/null
		await device.ready ".n >= $SINCE"
		goes_on g2
	done
	no_shutdown
}

# dies_in_a110 CONFIRM...: the device, once each way; then it is there again.
dies_in_a110() {
	local confirm nic
	for confirm; do
		nic=$(pid nic0)
		stands "$confirm"
		kill -KILL "$nic"
		ends_in "went away"
		iovctl release nic0/vf2 >/dev/null
		await device.ready ".n >= $SINCE"
		goes_on g1
		goes_on g2
	done
	no_shutdown
}

@test "a device that dies in a110 ends its reset, and comes back" {
	RESTART=RESTART=always
	power_on --timeout=1500ms --on-timeout=contain
	dies_in_a110 interrupt wait
}

# Nothing would ever end what the dead device owes.
@test "a device that dies in a110 ends its reset without a timeout, too" {
	RESTART=RESTART=always
	power_on --timeout=0
	dies_in_a110 barrier interrupt wait
}
