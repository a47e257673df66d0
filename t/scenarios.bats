#!/usr/bin/env bats
# scenarios.bats - the scenarios end well, and say so in JSON.

setup() {
	load machine
	machine_setup
}

teardown() {
	machine_teardown
}

# scenario NAME [OPTION...]: the last line that it prints with --json.
scenario() {
	run --separate-stderr \
		"$BATS_TEST_DIRNAME/../share/scenarios/$1" --json "${@:2}"
	# shellcheck disable=SC2154 # run sets it
	[[ $status -eq 0 && -z $stderr ]] || fail "status $status: $stderr"
}

@test "first-frames" {
	scenario first-frames
	run -0 jq -c '[.scenario, .frames, .lost, .repeated, .corrupted, .held,
		.completed, .guest_restarted]' <<<"$output"
	assert_output '["first-frames",300,0,0,0,1,1,true]'
}

@test "first-frames shows the tables to people" {
	run -0 "$BATS_TEST_DIRNAME/../share/scenarios/first-frames"
	assert_output --partial "lost 0, repeated 0, corrupted 0"
	assert_line --regexp "^nic1/pf0 +nic1/vf2 +vm2 .* 100ms +ready"
	assert_line --regexp "^vm2 +0x[0-9a-f]+ +0x[0-9a-f]+ +[-+]0x[0-9a-f]+ +allowed"
	assert_line --regexp "^guest2 .* running +1 .*SIGKILL"
}

@test "pf-reset: nine pairs lose nothing, two other ways shut down" {
	scenario pf-reset
	run -0 jq -r '.scenario, (.runs[] | [.suspend, .confirm, .lost > 0,
		.repeated, .reset_ms > 0, .in_flight > 0, .shutdown] |
		join(" "))' <<<"$output"
	assert_output - <<-'END'
		pf-reset
		table barrier false 0 true true false
		table interrupt false 0 true true false
		table wait false 0 true true false
		invalid-address barrier false 0 true true false
		invalid-address interrupt false 0 true true false
		invalid-address wait false 0 true true false
		vcpu barrier false 0 true true false
		vcpu interrupt false 0 true true false
		vcpu wait false 0 true true false
		none none true 0 false true true
		table none true 0 false true true
	END
}

@test "pf-reset shows a table and the cause to people" {
	run -0 "$BATS_TEST_DIRNAME/../share/scenarios/pf-reset"
	assert_line --regexp \
		'^vcpu +wait +[1-9][0-9]* +0 +0 +[0-9.]+ +no +[0-9]+$'
	assert_line --regexp '^table +none +[1-9][0-9]* +[1-9][0-9]* .* yes +-$'
	assert_line --regexp \
		'shut down: completion timeout: operation nic0/vf[12]:[0-9]+ of vm1'
}

@test "event-demux: every event at its guest, and fewer interrupts at a higher load" {
	local heading result
	run -0 --separate-stderr \
		"$BATS_TEST_DIRNAME/../share/scenarios/event-demux" \
		--guests 256 --partitions 4 --count 20 --rounds 10
	result=$(tail -n 1 <<<"$output")
	heading=$(grep -n ^MESSAGES/S <<<"$output" | cut -d: -f1)
	sed -n "$((heading + 1)),$((heading + 4))p" <<<"$output" >"$T/rates"
	# shellcheck disable=SC2016 # fields
	run -0 awk '{ print $1, ($2 > 0) }' "$T/rates"
	assert_output "$(printf '%s 1\n' 1000 10000 100000 max)"
	# At once, and with the timer.  A busy computer makes its own of a rate.
	awk 'NR == 1 { once = $3; timer = $4 } NR == 4 && once > $3 &&
		timer > $4 && $4 < $3 { ok = 1 } END { exit !ok }' "$T/rates" ||
		fail "$(<"$T/rates")"
	# shellcheck disable=SC2154 # run sets it
	run -0 jq -c '[.scenario, .guests, .processes, .events, .lost,
		.misdelivered, .reordered, .interrupts_per_event < 1]' \
		<<<"$result"
	assert_output '["event-demux",256,4,10240,0,0,0,true]'
}

@test "event-demux: the same through firmware and hypervisors of partitions" {
	local guests=32 processes=8 partitions=2 count=20
	if [[ ${IOVKIT_CAMPAIGN:-} == long ]]; then
		guests=4096 processes=1024 partitions=4 count=200
	fi
	scenario event-demux --guests $guests --partitions $partitions \
		--processes $processes --count $count --rounds 10
	run -0 jq -c '[.guests, .processes, .events, .lost, .misdelivered,
		.reordered]' <<<"$output"
	assert_output "[$guests,$processes,$((2 * guests * count)),0,0,0]"
}

@test "active-standby: killed, frozen, on request, and the standby lost nothing" {
	scenario active-standby
	run -0 jq -r '.scenario, (.runs[] | [.fault, .owner_after,
		.switch_ms > 0, .lost_by_standby, .two_owners, .old_role,
		.old_cpu_share] | join(" "))' <<<"$output"
	# A busy computer may have let the other one take over in between.
	run -0 sed 's/ [12] true/ N true/' <<<"$output"
	assert_output - <<-'END'
		active-standby
		sigkill N true 0 0 standby 0.05
		sigstop N true 0 0 standby 0.05
		request N true 0 0 standby 0.05
	END
}

@test "active-standby shows a table to people" {
	run -0 "$BATS_TEST_DIRNAME/../share/scenarios/active-standby"
	assert_line --regexp '^sigkill +vm1 +vm2 +[0-9.]+ +0 +0 +standby +0.05$'
}

@test "hypervisor-crash: killed, hung, fenced, and the first guest lost nothing" {
	scenario hypervisor-crash --plot "$T/picture.svg"
	# An end may be seen before bmc has written that it is its work.
	run -0 jq -r '.scenario, (.runs[] | [.fault, .detect,
		.detect == "exit" or .detect_ms > 0,
		.takeover_ms > 0, .drain_ms >= 0, .first_guest.lost,
		.first_guest.repeated, .first_guest.gap_ms > 0,
		.first_guest.baseline_gap_ms > 0,
		.others_stopped_before_takeover, .memory_touched_after_drain,
		.recovered] | join(" "))' <<<"$output"
	assert_output - <<-'END'
		hypervisor-crash
		sigkill exit true true true 0 0 true true true 0 true
		sigstop heartbeat true true true 0 0 true true true 0 true
		fenced heartbeat true true true 0 0 true true true 0 true
	END
	# Each event once, of three guests.
	run -0 grep -oE 'guest[1-3]<|SIGKILL|drained|links served|soft reset' \
		"$T/picture.svg"
	assert_line SIGKILL
	assert_line "links served"
	assert_line "soft reset"
	assert_line "guest3<"
}

@test "virtualize: nothing lost, and a pause for each way of holding off" {
	scenario virtualize --switches 30
	run -0 jq -r '[.scenario, .switches, .lost, .repeated, .torn,
		.direct_ns > 0, .direct_after_ns > 0, .trapped_ns > 0,
		([.pause_us | to_entries[] | select(.value > 0) | .key] |
			join("-"))] | join(" ")' <<<"$output"
	assert_output \
		"virtualize 30 0 0 0 true true true pause-lock-busy-block-log"
}

@test "a scenario leaves nothing behind, and knows no other word" {
	export TMPDIR=$T/tmp
	mkdir "$TMPDIR"
	scenario first-frames
	run -0 ls "$TMPDIR"
	assert_output ""
	run -64 "$BATS_TEST_DIRNAME/../share/scenarios/first-frames" --jason
}
