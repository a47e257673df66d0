#!/usr/bin/env bats
# failover-campaign.bats - the hypervisor fails again and again in all ways, and
# the first guest loses nothing (spec 02); every part that is left out shows.
# shellcheck shell=bash disable=SC2154,SC2016,SC2030,SC2031 # bats, jq

setup() {
	load machine
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

# campaign [OPTION...]: its last line is $output.
campaign() {
	run --separate-stderr \
		"$BATS_TEST_DIRNAME/../share/scenarios/hypervisor-crash" \
		"$@" --json
	[[ -z $stderr ]] || fail "status $status: $stderr"
}

@test "a campaign: nothing lost, nothing touched, everybody back each time" {
	local kills=30
	[[ ! ${IOVKIT_SANITIZERS:-} ]] || kills=6
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] || kills=100
	campaign --kills "$kills" --seed "$RANDOM"
	echo "$output"
	assert_success
	run -0 jq -c --argjson kills "$kills" '.campaign | [.kills == $kills,
		.recovered == $kills, .takeovers >= $kills,
		.others_stopped_before_takeover == .takeovers,
		.first_guest.lost, .first_guest.repeated,
		.memory_touched_after_drain, ([.faults[]] | add) == $kills,
		(.faults | length)]' <<<"$output"
	assert_output '[true,true,true,true,0,0,0,true,6]'
}

# left_out PART: a whole failover without it is not taken for a good one.
left_out() {
	campaign --kills 1 --without "$1"
	echo "$output"
	assert_failure 1
	run -0 jq -c '.campaign | [.recovered,
		.others_stopped_before_takeover < .takeovers,
		.first_guest.lost, .first_guest.repeated]' <<<"$output"
	assert_output '[1,true,0,0]'
}

@test "a failover without the forced stop is noticed" {
	left_out forced-stop
}

@test "a failover without the drain is noticed" {
	left_out drain
}

@test "a failover without ownership is noticed" {
	left_out ownership
}

@test "a campaign with wrong options" {
	local script=$BATS_TEST_DIRNAME/../share/scenarios/hypervisor-crash
	run -64 "$script" --kills
	run -64 "$script" --kills many
	run -64 "$script" --kills 1 --without fence
	run -64 "$script" --kills 1 --loud
}
