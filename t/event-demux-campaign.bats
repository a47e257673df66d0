#!/usr/bin/env bats
# event-demux-campaign.bats - guests die and come back while all others exchange
# messages over one adapter (spec 04): with IOVKIT_CAMPAIGN=long 100,000,000
# events.
# shellcheck shell=bash disable=SC2034,SC2154 # of machine.bash, of bats

setup() {
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] || WATCHDOG=1200
	load machine
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

@test "guests killed at random: nothing lost for the living, nothing misdelivered, no wake-up lost" {
	local size=(--guests 64 --partitions 8 --rate 4000 --events 100000)
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] || size=(--events 100000000)
	run --separate-stderr \
		"$BATS_TEST_DIRNAME/../share/scenarios/event-demux-campaign" \
		--json --seed $((RANDOM + 1)) "${size[@]}"
	[[ -z $stderr ]] || fail "status $status: $stderr"
	echo "$output"
	assert_success
	run -0 jq -c '[.kills >= 4, .events >= 100000, .made_anew > 0, .lost,
		.misdelivered, .reordered, .stalled]' <<<"$output"
	assert_output '[true,true,true,0,0,0,0]'
}
