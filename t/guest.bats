#!/usr/bin/env bats
# shellcheck disable=SC2154 # bats sets them
# guest.bats - guests on a whole machine: frames, requests, pcap, TAP, and
# what becomes of them when something goes.

setup() {
	load machine
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	if [[ ${SPACES:-} ]]; then
		ip netns del "${SPACES}a" || true
		ip netns del "${SPACES}b" || true
	fi
	machine_teardown
}

# A nic with a VF for each of two VMs, and the programs on standard input.
power_on() {
	machine_start <<-END
		bridge: rootbridge
		nic1: iovdev --vfs 4
		hv: hvmon --vf nic1/vf1=vm1 --vf nic1/vf2=vm2
		$(cat)
	END
}

# report NAME JQ-FILTER
report() {
	rpc "$1" report | jq -r "$2"
}

# reported NAME JQ-CONDITION
reported() {
	rpc "$1" report | jq -e "$2" >/dev/null
}

# make_pcap FILE FRAMES: to nic1/vf2 from nic1/vf1, of all sizes.
make_pcap() {
	perl -e '
		my ($frames) = @ARGV;
		print pack("L S S l L L L", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1);
		for my $i (0 .. $frames - 1) {
			my $size = 14 + $i * 37 % 1501;
			my $frame = pack("H24 n", "02696f01000202696f010001",
				0x88b6);
			$frame .= chr($i % 256) x ($size - 14);
			print pack("L L L L", 1700000000, $i * 1000, $size,
				$size), $frame;
		}' "$2" >"$1"
}

# The frames of a pcap, without times.
frames_of() {
	tcpdump -r "$1" -n -t -e -xx 2>/dev/null
}

@test "a wrong command line says what is wrong" {
	run -64 guestd
	assert_output --partial "--vm N is missing"
	run -64 guestd --vm 0
	assert_output --partial "guestd: --vm: '0' is out of range"
	run -64 guestd --vm 1 --ring 100
	assert_output --partial "guestd: --ring: 100 is no power of two"
	run -64 guestd --vm 1 --buffer 100
	assert_output --partial "guestd: --buffer: 100 is not a multiple of 64"
	run -64 guestd --vm 1 --send to=nowhere
	assert_output --partial "guestd: --send: to: 'nowhere' is neither"
	run -64 guestd --vm 1 --send to=nic0/vf1,size=10
	assert_output --partial "guestd: --send: size: '10' is out of range"
	run -64 guestd --vm 1 --requests 2000
	assert_output --partial "guestd: --requests: depth: '2000' is out of range"
	run -64 guestd --vm 1 --once
	assert_output --partial "no workload"
	run -64 guestd --vm 1 --poll often
	assert_output --partial "'often'"
	run -64 guestd --vm 1 --send to=nic0/vf1,payload=none
	assert_output --partial "'none'"
	run -64 guestd --vm 1 --once --roundtrip to=nic0/vf1
	assert_output --partial "no end"
	run -64 guestd --vm 1 --once --send to=nic0/vf1
	assert_output --partial "no end"
	run -64 guestd --vm 1 -w - --events -
	assert_output --partial "standard output"
	run -64 guestd --vm 1 -r - -r -
	assert_output --partial "once"
	run -64 guestd --vm 1 --pps 1 --timing -r -
	assert_output --partial "exclude"
	run -64 guestd --vm 1 extra
	assert_output --partial "'extra'"
}

@test "without a root bridge there is no guest" {
	run -69 guestd --vm 1
	assert_output --partial "is rootbridge running?"
	run -65 guestd --vm 1 -r "$T/nothing.pcap"
	assert_output --partial "nothing.pcap"
	echo "no pcap" >"$T/bad.pcap"
	run -65 guestd --vm 1 -r "$T/bad.pcap"
	assert_output --partial "bad.pcap"
}

@test "numbered frames: none lost, repeated or corrupted" {
	power_on <<-END
		g1: guestd --vm 1
		g2: guestd --vm 2 --sink
	END
	rpc g1 send '{"to": "nic1/vf2", "count": 5000, "rate": "10k",
		"size": "60-1514", "seed": 3}'
	await workload.done '.src == "g1" and .done == 5000 and .errors == 0'
	wait_until "$PATIENCE" reported g2 '.frames.received == 5000'
	report g2 .frames >"$T/frames"
	run -0 jq -c '[.received, .lost, .missed, .repeated, .reordered,
		.corrupted, .foreign]' "$T/frames"
	assert_output "[5000,0,0,0,0,0,0]"
	jq -e '.gap_ns > 0 and .latency.count == 5000' "$T/frames"
	run -0 iovctl show queues
	run -0 iovctl show streams
	assert_output --regexp "g2 +[0-9]+ +5000 +0"
	rpc g2 reset-counters
	[[ $(report g2 .frames.received) == 0 ]]
}

@test "plain frames: each is read, whoever looks at the rings how" {
	local mode
	power_on <<-END
		g2: guestd --vm 2 --sink --poll sleep
	END
	for mode in busy sleep adaptive adaptive:0; do
		rpc g2 reset-counters
		run -0 guestd --vm 1 --poll "$mode" --once \
			--send to=nic1/vf2,count=1000,size=64-300,payload=plain
		wait_until "$PATIENCE" reported g2 \
			'.workloads[0].frames + .queues[1].errors == 1000'
		reported g2 '.workloads[0].bytes > 64000 and
			.frames.foreign == 1000 and .frames.received == 0'
	done
}

@test "round trips to an echo are timed" {
	power_on <<-END
		g2: guestd --vm 2 --echo
	END
	run -0 guestd --vm 1 --once --roundtrip to=nic1/vf2,count=1000
	has_event workload.done '.kind == "roundtrip" and .done == 1000 and
		.errors == 0'
	start g1 guestd --vm 1
	rpc g1 roundtrip '{"to": "nic1/vf2", "count": 1000, "size": "1514"}'
	await workload.done '.src == "g1" and .done == 1000'
	reported g1 '.workloads[0] | .latency.count == 1000 and
		.p50_ns > 0 and .p50_ns <= .p99_ns and .errors == 0'
	run rpc_error g1 roundtrip '{"to": "nowhere"}'
	assert_output --partial "'nowhere'"
}

@test "what leaves the device through a sink is counted" {
	machine_start <<-END
		bridge: rootbridge
		nic1: iovdev --vfs 2 --lan sink --poll sleep
		hv: hvmon --vf nic1/vf1=vm1 --vf nic1/vf2=vm2
	END
	run -0 guestd --vm 1 --once --send \
		to=02:00:5e:00:53:01,count=5000,size=64-1514,payload=plain
	rpc nic1 show '["lan"]' | jq -e '.rows[0] |
		.sent == 5000 and .forwarded == 5000 and .flooded == 0'
	# Where other addresses are nobody knows.
	run -0 guestd --vm 1 --once --send \
		to=02:00:5e:00:53:02,count=10,payload=plain
	rpc nic1 show '["lan"]' | jq -e '.rows[0] |
		.sent == 5010 and .flooded == 10'
}

@test "an echo comes back, groups and strangers get none" {
	power_on <<-END
		g2: guestd --vm 2 --echo
	END
	run -0 guestd --vm 1 --sink --once \
		--send to=nic1/vf2,count=5000,rate=10k,size=60-1514
	assert_output --partial "received 5000, of these numbered 5000: lost 0"
	[[ $(report g2 '.workloads[0].done') == 5000 ]]
	run -0 guestd --vm 1 --once \
		--send to=ff:ff:ff:ff:ff:ff,count=10 \
		--send to=02:00:00:00:00:01,count=10
	wait_until "$PATIENCE" reported g2 '.queues[1].frames == 5020'
	[[ $(report g2 '.workloads[0].done') == 5000 ]]
	[[ $(report g2 .frames.foreign) == 10 ]]
}

@test "a pcap comes out unchanged" {
	power_on </dev/null
	make_pcap "$T/in.pcap" 3000
	launch receiver guestd --vm 2 -w "$T/out.pcap" -c 3000 --once
	await_ready receiver
	run -0 guestd --vm 1 -r - --pps 10k --once <"$T/in.pcap"
	finish receiver 0
	frames_of "$T/in.pcap" >"$T/in"
	frames_of "$T/out.pcap" >"$T/out"
	[[ $(grep -c length "$T/in") == 3000 ]]
	cmp "$T/in" "$T/out"
	assert_order workload.started workload.done
}

@test "a pcap through pipes; the reader that goes away ends it" {
	power_on </dev/null
	make_pcap "$T/in.pcap" 500
	mkfifo "$T/ready"
	{
		guestd --vm 2 -w - --once --ready-fd 9 9>"$T/ready" |
			tcpdump -n -c 100 -r - >"$T/dump" 2>/dev/null
		echo "${PIPESTATUS[0]}" >"$T/status"
	} 3>&- 2>/dev/null &
	read -r <"$T/ready"
	run -0 guestd --vm 1 -r "$T/in.pcap" --timing --once
	wait_until 10 test -s "$T/status"
	[[ $(<"$T/status") == 0 ]]
	cat "$T/dump"
	[[ $(grep -c ethertype "$T/dump") == 100 ]]
}

@test "frames that do not fit are skipped and told" {
	power_on </dev/null
	make_pcap "$T/in.pcap" 100
	run -1 guestd --vm 1 --buffer 512 -r "$T/in.pcap" --once
	has_event replay.skipped '.size > 512'
	run -1 guestd --vm 1 --buffer 512 --once \
		--send to=nic1/vf2,count=1,size=600
	has_event workload.failed '.detail | contains("do not fit")'
}

@test "register reads are kept outstanding and all answered" {
	power_on <<-END
		g1: guestd --vm 1 --requests 64,count=5000
	END
	await workload.done '.kind == "requests" and .done == 5000'
	report g1 '.workloads[0]' >"$T/row"
	jq -e '.answered == 5000 and .refused == 0 and .errors == 0 and
		.outstanding == 0 and .latency.count == 5000 and
		.latency.p50_ns <= .latency.p99_ns' "$T/row"
	run -0 guestd --vm 2 --once --requests 1,count=50,rate=1k,register=0
	assert_output --partial "requests answered 50, refused 0, errors 0"
	run rpc_error g1 requests '{"depth": 5000}'
	assert_output --partial "not 1 to 1024"
	run rpc_error g1 requests '{"register": 3}'
	assert_output --partial "multiple of 4"
	run rpc_error g1 send '{"to": "x"}'
	assert_output --partial "'x'"
	run rpc_error g1 stop-workload '{"workload": "none"}'
	assert_output --partial "'none'"
	rpc g1 requests '{"depth": 8}'
	run -0 rpc g1 stop-workload
	assert_output '{"stopped":1}'
}

@test "ping between two namespaces, and the TAPs go away" {
	local a b
	need_tap
	tap_name a
	tap_name b
	power_on <<-END
		g1: guestd --vm 1 --tap $a
		g2: guestd --vm 2 --tap $b
	END
	[[ $(<"/sys/class/net/$a/address") == 02:69:6f:01:00:01 ]]
	SPACES=iov$BASHPID
	ip netns add "${SPACES}a"
	ip netns add "${SPACES}b"
	ip link set "$a" netns "${SPACES}a"
	ip link set "$b" netns "${SPACES}b"
	ip -n "${SPACES}a" addr add 10.9.0.1/24 dev "$a"
	ip -n "${SPACES}b" addr add 10.9.0.2/24 dev "$b"
	ip -n "${SPACES}a" link set "$a" up
	ip -n "${SPACES}b" link set "$b" up
	pings "${SPACES}a" 10.9.0.2 20
	machine_stop
	run -1 ip -n "${SPACES}a" link show "$a"
}

@test "a TAP needs a privilege" {
	local a
	need_tap
	tap_name a
	power_on </dev/null
	run -77 setpriv --bounding-set=-net_admin guestd --vm 1 --tap "$a"
	assert_output --partial "CAP_NET_ADMIN"
}

@test "a guest without a VF waits for one" {
	start bridge rootbridge
	start nic1 iovdev --vfs 2
	launch g1 guestd --vm 1
	await bus.attached
	run -0 rpc g1 status
	assert_output --partial '"ready":false'
	start hv hvmon --vf nic1/vf1=vm1
	await_ready g1
	has_event vf.up '.vf == "nic1/vf1"'
	stop bridge KILL 137
	finish g1 71
	run log g1
	assert_output --partial "hung up"
}

waits() {
	await vm.waiting ".vm == \"vm1\" and .pid == ${PIDS[$1]} and
		.holder == ${PIDS[g1]}"
}

@test "who is not the first to be a VM waits, and says so" {
	start bridge rootbridge
	start nic1 iovdev --vfs 2
	start hv hvmon --vf nic1/vf1=vm1
	start g1 guestd --vm 1
	launch g2 guestd --vm 1
	waits g2
	launch g3 guestd --vm 1
	waits g3
	await bus.waiting '.src == "g3"'
	run log g3
	assert_output --partial "waiting: another process is this VM"
	# One that gave up is not let in.
	stop g2
	stop g1
	await_ready g3
	run -0 events 'select(.ev == "vm.waiting") | .pid'
	assert_equal "${#lines[@]}" 2
	run -0 events 'select(.ev == "vm.attached" and .vm == "vm1")'
	assert_equal "${#lines[@]}" 2
}

@test "a killed guest comes back, the other one goes on" {
	power_on <<-END
		g1: guestd --vm 1 --send to=nic1/vf2,rate=2k
		g2: RESTART=on-failure guestd --vm 2 --sink
	END
	iovctl kill g2
	await ready '.src == "g2" and .inc == 2'
	wait_until "$PATIENCE" reported g2 '.frames.received > 100'
	[[ $(report g2 '.frames | .lost + .repeated + .corrupted') == 0 ]]
	[[ $(report g1 '.workloads[0].state') == running ]]
	[[ $(report g1 '.vfs[0].state') == up ]]
}

@test "killed at any point, the next one serves" {
	local point at
	power_on <<-END
		g2: guestd --vm 2 --echo
	END
	for point in $(guestd --list-points | cut -d' ' -f1); do
		at=("--at=$point=kill")
		case $point in
		driver.1301) continue ;; # the link does not change here
		# A successor's, see failover.bats.
		failover.* | driver.event | driver.1[01]0?) continue ;;
		# Of one that stands by, see active-standby.bats.
		role.*) continue ;;
		send.1404) at+=(--at=send.1403=fail) ;;
		send.1402) at+=(--at=send.1401=fail) ;;
		send.1406) at+=(--at=send.1405=fail) ;;
		esac
		run -137 guestd --vm 1 "${at[@]}" --once --sink \
			--send to=nic1/vf2,count=10
		run -0 guestd --vm 1 --once --sink \
			--send to=nic1/vf2,count=10,rate=1k
	done
	[[ $(report g2 '.vfs[0].state') == up ]]
}

@test "a frozen guest stops nobody else" {
	power_on <<-END
		g1: guestd --vm 1 --send to=nic1/vf2,rate=5k --requests 4,rate=1k
		g2: guestd --vm 2 --sink
	END
	iovctl freeze g2
	rpc g1 reset-counters
	wait_until "$PATIENCE" reported g1 '.queues[0].frames > 1100'
	wait_until "$PATIENCE" reported g1 '.workloads[1].answered > 100'
	iovctl thaw g2
	rpc g2 reset-counters
	wait_until "$PATIENCE" reported g2 '.frames.received > 100'
	[[ $(report g2 '.frames | .repeated + .corrupted') == 0 ]]
}

@test "a device that is pulled out and comes back" {
	machine_start <<-END
		bridge: rootbridge
		nic1: RESTART=always iovdev --vfs 4
		hv: hvmon --vf nic1/vf1=vm1 --vf nic1/vf2=vm2
		g1: guestd --vm 1 --send to=nic1/vf2,rate=2k
		g2: guestd --vm 2 --sink
	END
	iovctl remove nic1
	await vf.away '.src == "g1"'
	await vf.away '.src == "g2"'
	await ready '.src == "nic1" and .inc == 2'
	await vf.back '.src == "g1" and .reset'
	await vf.back '.src == "g2" and .reset'
	rpc g2 reset-counters
	wait_until "$PATIENCE" reported g2 '.frames.received > 100'
	[[ $(report g2 '.frames.repeated') == 0 ]]
}

@test "what a fault does to frames is seen" {
	power_on </dev/null
	# All fit the ring of a receiver that gets no CPU.
	launch receiver guestd --vm 2 --sink --once --idle 500ms \
		--ring 2048
	await_ready receiver
	iovctl fault nic1/vf1 tx "loss 20% seed 1"
	run -0 guestd --vm 1 --once --send to=nic1/vf2,count=2000,rate=20k
	finish receiver 1
	has_event report '.src == "receiver" and .lost > 300 and .lost < 500 and
		.repeated == 0 and .corrupted == 0'
	start receiver guestd --vm 2 --sink --once --idle 500ms \
		--ring 2048
	iovctl fault nic1/vf1 tx "corrupt 20% seed 1"
	run -0 guestd --vm 1 --once --send to=nic1/vf2,count=2000,rate=20k
	finish receiver 1
	has_event report '.src == "receiver" and .corrupted > 300'
}

@test "the link's steps can be held, failed and traced" {
	start bridge rootbridge
	start nic1 iovdev --vfs 2
	start hv hvmon --vf nic1/vf1=vm1
	launch g1 guestd --vm 1 --at driver.1302=hold
	await driver.1302
	run -0 rpc g1 status
	assert_output --partial '"ready":false'
	rpc g1 release
	await_ready g1
	assert_order driver.probe driver.program driver.1302 driver.1303 vf.up
	rpc g1 at '["send.1401=fail"]'
	rpc g1 at '["send.1408=trace"]'
	rpc g1 send '{"to": "nic1/pf0", "count": 3}'
	await send.error '.why == "link not up"'
	await send.1408
}

@test "an idle guest is small and sleeps" {
	local before after
	power_on <<-END
		g1: guestd --vm 1
	END
	pid=$(pid g1)
	# Sanitizers have memory of their own.
	if ! ldd "$BIN/guestd" | grep -q libasan; then
		run -0 awk "/^Private/ { sum += \$2 } END { print sum }" \
			"/proc/$pid/smaps_rollup"
		((output < 2048))
	fi
	before=$(awk '/ctxt/ { n += $2 } END { print n }' "/proc/$pid/status")
	read -r -t 1 -u "$NEVER" || true
	after=$(awk '/ctxt/ { n += $2 } END { print n }' "/proc/$pid/status")
	((after - before < 5))
}
