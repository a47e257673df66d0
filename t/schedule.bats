#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats sets them
# schedule.bats - the VM scheduler: guests' processes that take turns.

setup() {
	load machine
	machine_setup
	need bmc rootbridge iovdev hvmon guestd
}

teardown() {
	machine_teardown
}

# A machine with four guests; the words are hvmon's.
power_on() {
	machine_start <<-END
		bridge: rootbridge --vms=5
		nic0: iovdev --vfs 4
		hv: RESTART=always hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 \
			--vf nic0/vf3=vm3 --vf nic0/vf4=vm4 $*
		guest1: guestd --vm 1
		guest2: guestd --vm 2
		guest3: guestd --vm 3
		guest4: guestd --vm 4
	END
}

# field VM FIELD of the table "schedule"
field() {
	rpc hv show '["schedule"]' |
		jq -r --arg vm "$1" --arg field "$2" \
			'.rows[] | select(.vm == $vm) | .[$field]'
}

state_of() {
	sed 's/.*) \(.\).*/\1/' "/proc/$1/stat"
}

is_stopped() {
	[[ $(state_of "$1") = T ]]
}

runs() {
	[[ $(state_of "$1") != T ]]
}

# had_slices VM N: at least so many
had_slices() {
	(($(field "$1" slices) >= $2))
}

# once_together SECONDS PID...: fails when two of them run at a time, that is
# when one runs before and after another was seen to run.
once_together() {
	perl -e '
		use Time::HiRes qw(time sleep);
		my ($seconds, @pids) = @ARGV;
		my $end = time + $seconds;
		my %seen;
		sub runs {
			open(my $f, "<", "/proc/$_[0]/stat") or return 0;
			return <$f> !~ /\) T /;
		}
		while (time < $end) {
			for my $a (@pids) {
				next unless runs($a);
				$seen{$a}++;
				for my $b (@pids) {
					next if $a == $b || !runs($b);
					die "$a and $b run\n" if runs($a);
				}
			}
			sleep(0.002);
		}
		print join(" ", map { $seen{$_} ? 1 : 0 } @pids), "\n";
	' "$@"
}

@test "one VM runs at a time, in turns, and never one that may not" {
	power_on --schedule vm1=100ms,vm2=100ms,vm3=50ms,vm4=100ms
	rpc hv schedule '{"vm": "vm4", "executable": false}'
	wait_until "$PATIENCE" is_stopped "$(pid guest4)"
	rpc hv at '["schedule.a2015=trace"]'
	run -0 once_together 2 "$(pid guest1)" "$(pid guest2)" \
		"$(pid guest3)" "$(pid guest4)"
	assert_output "1 1 1 0"
	rpc hv at '["schedule.a2015=off"]'
	run -0 events 'select(.ev == "schedule.a2015") | .vm'
	run -0 tr -d '"\nvm' <<<"$output"
	assert_regex "$output" "^(123|231|312)+(1|2|3|12|23|31)?$"
	assert [ "$(field vm4 state)" = suspended ]
	assert [ "$(field vm4 executable)" = inexecutable ]
	assert [ "$(field vm3 time)" = 50ms ]
	machine_stop
}

# Who has rows in the table "vf", of which each guest has one.
shown() {
	iovctl -t "$1" show vf --json | jq -r '[.rows[].src] | join(" ")'
}

@test "tables have the rows of guests that wait for their turn, and of no other" {
	power_on --schedule vm1=50ms,vm2=50ms,vm3=50ms,vm4=50ms
	run -0 --separate-stderr shown "${PATIENCE}s"
	assert_output "guest1 guest2 guest3 guest4"
	assert_equal "$stderr" ""
	iovctl freeze guest2
	run -0 --separate-stderr shown "${PATIENCE}s"
	assert_output "guest1 guest3 guest4"
	assert_equal "$stderr" \
		"iovctl: m0: guest2 is stopped: rows of its are left out"
	machine_stop
}

@test "with no executable VM the scheduler idles" {
	local i
	power_on --schedule vm1=5ms,vm2=5ms,vm3=5ms,vm4=5ms
	for i in 1 2 3 4; do
		rpc hv schedule "{\"vm\": \"vm$i\", \"executable\": false}"
	done
	await schedule.idle
	for i in 1 2 3 4; do
		wait_until "$PATIENCE" is_stopped "$(pid "guest$i")"
	done
	rpc hv schedule '{"vm": 3, "executable": true}'
	wait_until "$PATIENCE" runs "$(pid guest3)"
	had=$(field vm3 slices)
	wait_until "$PATIENCE" had_slices vm3 $((had + 3))
	is_stopped "$(pid guest2)"
	machine_stop
}

@test "without a schedule all VMs run, and one without a time runs freely" {
	local i
	power_on
	for i in 1 2 3 4; do
		runs "$(pid "guest$i")"
		assert [ "$(field "vm$i" state)" = executing ]
		assert [ "$(field "vm$i" time)" = - ]
	done
	rpc hv schedule '{"vm": "vm1", "time": "200ms"}'
	rpc hv schedule '{"vm": "vm2", "time": "200ms"}'
	run -0 once_together 1 "$(pid guest1)" "$(pid guest2)"
	assert_output "1 1"
	runs "$(pid guest3)"
	rpc hv schedule '{"vm": "vm1", "time": "0"}'
	rpc hv schedule '{"vm": "vm2", "time": "0"}'
	wait_until "$PATIENCE" runs "$(pid guest1)"
	wait_until "$PATIENCE" runs "$(pid guest2)"
	run -0 rpc bmc show '["processes"]'
	run -0 jq -c '[.rows[].reasons[]]' <<<"$output"
	assert_output '[]'
	machine_stop
}

@test "a schedule that means nothing is refused, and one without a bmc" {
	run -64 hvmon --schedule vm1
	assert_output --partial "'vm1' is not VM=TIME"
	run -64 hvmon --schedule vm1=1ns
	assert_output --partial "100us"
	run -69 hvmon --schedule vm1=10ms
	assert_output --partial "no bmc"
	start bridge rootbridge
	start hv hvmon
	run -0 rpc_error hv schedule '{"vm": "vm1", "time": "10ms"}'
	assert_output "no bmc"
	run -0 rpc_error hv schedule '{"vm": "vm0"}'
	assert_output --partial "vm0"
	run -0 rpc_error hv schedule '{"vm": "vm1", "time": "1h"}'
	assert_output --partial "1h"
}

@test "when hvmon dies all go on, and the next one schedules again" {
	local old
	power_on --schedule vm1=10ms,vm2=10ms,vm3=10ms,vm4=10ms
	wait_until "$PATIENCE" had_slices vm4 2
	old=$(pid hv)
	rpc bmc freeze '["guest1", "operator"]'
	rpc bmc kill '["hv"]'
	await ready ".src == \"hv\" and .inc != null" 5
	wait_until "$PATIENCE" test "$(pid hv)" != "$old"
	wait_until "$PATIENCE" had_slices vm4 2
	rpc bmc thaw '["guest1", "operator"]'
	rpc hv schedule '{"vm": "vm1", "time": "100ms"}'
	run -0 once_together 1 "$(pid guest1)" "$(pid guest2)"
	assert_output "1 1"
	machine_stop
}

@test "a guest that is started anew takes its turn" {
	local old
	power_on --schedule vm1=50ms,vm2=50ms,vm3=50ms,vm4=50ms
	old=$(pid guest2)
	rpc bmc kill '["guest2"]'
	wait_until "$PATIENCE" had_slices vm1 5
	rpc bmc start '["guest2"]'
	assert [ "$(pid guest2)" != "$old" ]
	run -0 once_together 1 "$(pid guest1)" "$(pid guest2)"
	assert_output "1 1"
	machine_stop
}

@test "requests and frames go on under a schedule" {
	machine_start <<-END
		bridge: rootbridge
		nic0: iovdev --vfs 2
		hv: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2 \
			--schedule vm1=2ms,vm2=2ms
		guest1: guestd --vm 1 --requests 8
		guest2: guestd --vm 2 --requests 8
	END
	had_requests() {
		rpc "$1" report |
			jq -e '[.. | .answered? // empty] | add > 1000'
	}
	wait_until 10 had_requests guest1
	wait_until 10 had_requests guest2
	machine_stop
}
