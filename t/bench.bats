#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats sets them
# bench.bats - the benchmarks run and end in a line of JSON; what they measure
# is for make bench.

bats_require_minimum_version 1.5.0

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	BUILDDIR=$(realpath "${BUILDDIR:-$BATS_TEST_DIRNAME/../build}")
	export BUILDDIR
	BENCH=$BATS_TEST_DIRNAME/../share/bench
	relay=$BUILDDIR/bench/relay limit=$BUILDDIR/bench/limit
	[[ -x $relay && -x $limit ]] || skip "$relay is not built"
}

# measure NAME OPTION...: a benchmark that has to end well.
measure() {
	run --separate-stderr sh "$BENCH/$1" "${@:2}"
	[[ $status -eq 0 ]] || fail "$1: $status: $stderr"
}

@test "the bare relay answers" {
	run -0 "$relay" --runs 1 --ms 10 --outstanding 8 --codec
	run -0 jq -ce '[.relays[] | .kind, .per_second_of_many > 0]' \
		<<<"$output"
	assert_output '["bare",true,"codec",true]'
}

@test "the bare relay sweeps over 1, 64 and 256 sockets" {
	local n
	for n in 1 64 256; do
		run -0 "$relay" --sweep --sockets "$n" --sweeps 20
		run -0 jq -ce '[.bench, .sockets, .sweeps,
			.us_p50 > 0 and .us_p99 >= .us_p50]' <<<"$output"
		assert_output "[\"relay-sweep\",$n,20,true]"
	done
	run -64 "$relay" --sweep --sockets 257
}

@test "the bare limit of shared memory is measured" {
	local shape bytes
	[[ $(nproc) -ge 2 ]] || skip "it needs two CPUs"
	for shape in one-hop two-hop two-hop-procs; do
		for bytes in 1 64 9000; do
			run -0 "$limit" "$shape" --bytes "$bytes" --ms 5
			assert_output --regexp '^[0-9]+\.[0-9]+$'
		done
	done
	run -0 "$limit" poll --ms 5
	assert_output --regexp '^[0-9]+\.[0-9]+ [0-9]+\.[0-9]+$'
	run -0 "$limit" eventfd --ms 5
	assert_output --regexp '^[0-9]+\.[0-9]+ [0-9]+\.[0-9]+$'
	run -0 "$limit" probe --ms 5
	assert_output --regexp '^[0-9]+\.[0-9]+ (smt|near|far)$'
	run -64 "$limit" probe --slots 3
	run -64 "$limit" nothing
}

@test "fast-path measures every shape without peers" {
	[[ ! ${IOVKIT_SANITIZERS:-} ]] || skip "a time under sanitizers is none"
	[[ $(nproc) -ge 2 ]] || skip "it needs two CPUs"
	measure fast-path --quick --seconds 1 --sizes 64 --without-peers
	# A busy computer may have moved the CPUs in every sample.
	run -0 jq -ce '[.bench, (.results | map(.shape) | unique), (.results |
		all((.placement | IN("smt", "near", "far", null)) and
			.discarded >= 0)), ([.results[] |
		.mpps, .us_p50, .limit_mpps, .limit_us_p50, .ratio_limit |
		values] | all(. >= 0))]' <<<"${lines[-1]}"
	assert_output '["fast-path",["fan","one-hop","round-trip","two-hop","two-hop-procs"],true,true]'
}

@test "fast-path fails when a peer does" {
	[[ $(nproc) -ge 2 ]] || skip "it needs two CPUs"
	# Where no peer is installed it says so; else one that does not start.
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\necho no memory >&2\nexit 1\n' \
		>"$BATS_TEST_TMPDIR/bin/dpdk-testpmd"
	chmod +x "$BATS_TEST_TMPDIR/bin/dpdk-testpmd"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH
	run sh "$BENCH/fast-path" --quick --seconds 1 --sizes 64
	assert_failure
	assert_output --regexp "peer [^ ]+ has ended: .*no memory|no peer can run"
	refute_output --partial '"results"'
}

@test "direct-access measures writes and reads, none of which passes the bridge" {
	[[ $(nproc) -ge 2 ]] || skip "it needs two CPUs"
	measure direct-access 1 0,1 2000
	run -0 jq -ce '[.bench, .through_bridge, ([.ratio_write, .ratio_read] |
		all(. > 0))]' <<<"${lines[-1]}"
	assert_output '["direct-access",0,true]'
}

@test "event-demux measures the forwarder, epoll and a scan" {
	[[ ! ${IOVKIT_SANITIZERS:-} ]] || skip "a time under sanitizers is none"
	[[ $(nproc) -ge 2 ]] || skip "it needs two CPUs"
	measure event-demux 1 0,1 20
	run -0 jq -ce '[.bench, (.ns_per_event | keys), ([.ns_per_event[],
		.epoll_ns_per_event["64"], .epoll_ns_per_event["4096"],
		.poll_p99_ns, .scan_p99_ns, .ratio_guests, .ratio_epoll,
		.ratio_scan] | all(. > 0))]' <<<"${lines[-1]}"
	assert_output '["event-demux",["1","1024","4096","64","65536"],true]'
}

@test "pf-reset measures all nine pairs" {
	[[ ! ${IOVKIT_SANITIZERS:-} ]] || skip "a time under sanitizers is none"
	measure pf-reset --quick
	run -0 jq -ce '[.bench, (.pairs | length), ([.pairs[] |
		.suspend + .confirm] | unique | length), (.pairs |
		all(.reset_ms > 0)), (.resets | length),
		.resets[0].ratio_sweep > 0]' <<<"${lines[-1]}"
	assert_output '["pf-reset",18,9,true,1,true]'
}

@test "active-standby measures from the fault to the new owner" {
	[[ ! ${IOVKIT_SANITIZERS:-} ]] || skip "a time under sanitizers is none"
	BENCH_LIMIT_MS=1000 measure active-standby 1
	run -0 jq -ce '[.bench, (.runs | length), (.runs | map(.fault) | unique),
		(.runs | map(.entries) | unique), (.runs | all(.p50_ms > 0))]' \
		<<<"${lines[-1]}"
	assert_output '["active-standby",6,["kill","request","stop"],[1,256],true]'
}

@test "failover measures from the kill to the answer, and counts false takeovers" {
	[[ ! ${IOVKIT_SANITIZERS:-} ]] || skip "a time under sanitizers is none"
	measure failover --only kills 2
	run -0 jq -ce '[.bench, .kills.kills, (.kills.answering_ms, .kills.net_ms |
		.p50 > 0 and .max >= .p50)]' <<<"${lines[-1]}"
	assert_output '["failover",2,true,true]'
	run --separate-stderr sh "$BENCH/failover" --false-takeover 1
	run -0 jq -ce '[.bench, .seconds, .false_takeovers >= 0]' \
		<<<"${lines[-1]}"
	assert_output '["failover",1,true]'
	run -1 sh "$BENCH/failover" --only fence
}

@test "many-guests measures how soon they are ready, their memory and descriptors" {
	[[ ! ${IOVKIT_SANITIZERS:-} ]] || skip "memory under sanitizers is another"
	measure many-guests 12
	run -0 jq -ce '[.bench, .guests, .ready_s > 0, .private_kib.most < 2048,
		(.descriptors | map(. > 4) | any)]' <<<"${lines[-1]}"
	assert_output '["many-guests",12,true,true,false]'
}
