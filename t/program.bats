#!/usr/bin/env bats
# program.bats - what all programs of a machine have in common.

setup() {
	load machine
	machine_setup
}

teardown() {
	machine_teardown
}

programs() {
	local program
	for program in bmc rootbridge iovdev hvmon guestd; do
		[[ ! -x $BIN/$program ]] || echo "$program"
	done
}

@test "every program has help, a version, points and parts" {
	local program
	for program in $(programs); do
		run -0 "$program" --help
		assert_line --partial -- "--machine=NAME|DIR"
		run -0 "$program" --version
		assert_output --regexp "^$program \(iovkit\) [0-9]"
		run -0 "$program" --list-points
		run -0 "$program" --list-parts
		run -70 bash -c "$program --help >/dev/full"
		assert_output --partial "$program: standard output"
		run -64 "$program" --no-such-option
		run -64 "$program" --ready-fd=x
		run -64 "$program" --ready-fd=99
		run -64 "$program" --name='no name'
	done
}

@test "points and parts that are not there are refused" {
	need rootbridge
	run -64 rootbridge --at=nothing
	assert_output --partial "--at: 'nothing' is not POINT=ACTION"
	run -64 rootbridge --at=bridge.a900=explode
	assert_output --partial "no action 'explode'"
	run -64 rootbridge --without=brakes
	assert_output --partial "--without: no part 'brakes'"
}

@test "a name is taken once; the other one's events stay" {
	need rootbridge
	start one rootbridge
	local before
	before=$(cat "$M/events/one.jsonl")
	run -73 rootbridge --name=one
	assert_output --partial "rootbridge: m0: "
	assert_equal "$(cat "$M/events/one.jsonl")" "$before"
	[[ -S $M/ctl/one.sock ]]
	rpc one status
	stop one KILL 137
	# A dead one's name is free.
	start one rootbridge
	assert_equal "$(rpc one status | jq .incarnation)" 2
}

@test "a program says that it starts, is ready, ends" {
	need rootbridge
	start one rootbridge
	run -0 rpc one status
	jq -e '.name == "one" and .role == "rootbridge" and .ready and
		.pid > 1 and .incarnation == 1 and .event >= 2' <<<"$output"
	rpc one stop
	finish one 0
	assert_order start ready exit
	[[ ! -e $M/ctl/one.sock ]]
}

@test "standard descriptors that are closed are not taken by others" {
	need rootbridge
	rootbridge --name=one <&- >&- 2>&- 3>&- &
	PIDS["one"]=$!
	wait_until "$PATIENCE" has_event ready true
	local fd
	for fd in 0 1 2; do
		assert_equal "$(readlink "/proc/${PIDS[one]}/fd/$fd")" /dev/null
	done
	stop one
}

@test "a control socket endures all that clients do" {
	need rootbridge
	start one rootbridge
	local sock=$M/ctl/one.sock
	printf 'garbage\n{"jsonrpc":"2.0","id":7,"method":"nothing"}\n' |
		socat - "UNIX-CONNECT:$sock" >"$T/replies"
	jq -es '.[0].error.code == -32700 and .[1].error.code == -32601' \
		"$T/replies"
	head -c 3000000 /dev/zero | tr '\0' x |
		socat -t 1 - "UNIX-CONNECT:$sock" >/dev/null || true
	head -c 100000 /dev/urandom | socat -t 1 - "UNIX-CONNECT:$sock" \
		>/dev/null || true
	# Half a request, then gone.
	printf '{"jsonrpc":' | socat -u - "UNIX-CONNECT:$sock"
	rpc one status
}

@test "nobody but the owner is heard" {
	need rootbridge iovctl
	[[ $EUID -eq 0 ]] || skip "another user needs root"
	# Bats' own directories are closed to others.
	local dir
	dir=$(mktemp -d)
	IOVKIT_MACHINE=$dir/m start one rootbridge
	chmod 755 "$dir" "$dir/m" "$dir/m/ctl"
	chmod 666 "$dir/m/ctl/one.sock"
	run setpriv --reuid=65534 --clear-groups --regid=65534 \
		socat -t 2 - "UNIX-CONNECT:$dir/m/ctl/one.sock" \
		<<<'{"jsonrpc":"2.0","id":1,"method":"status"}'
	refute_output --partial result
	iovctl -m "$dir/m" call one status
	stop one
	rm -r "$dir"
}
