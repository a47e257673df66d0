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

# EVENTS OPTION...: a campaign, and whether all went well in it.
campaign() {
	local least=$1
	shift
	run --separate-stderr \
		"$BATS_TEST_DIRNAME/../share/scenarios/event-demux-campaign" \
		--json --seed $((RANDOM + 1)) --events "$least" "$@"
	[[ -z $stderr ]] || fail "status $status: $stderr"
	echo "$output"
	assert_success
	# shellcheck disable=SC2016 # jq has variables, too
	run -0 jq -c --argjson least "$least" '[.kills >= 4, .events >= $least,
		.made_anew > 0, .lost, .misdelivered, .reordered, .stalled]' \
		<<<"$output"
	assert_output '[true,true,true,0,0,0,0]'
}

@test "guests killed at random: nothing lost for the living, nothing misdelivered, no wake-up lost" {
	local size=(100000 --guests 64 --partitions 8 --rate 4000)
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] || size=(100000000)
	campaign "${size[@]}"
}

@test "guests of partitions with a hypervisor killed at random: the same" {
	local size=(20000 --guests 32 --partitions 2 --processes 8 --rate 2000)
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] ||
		size=(100000000 --guests 256 --partitions 4 --processes 64
			--kills 200)
	campaign "${size[@]}"
}
