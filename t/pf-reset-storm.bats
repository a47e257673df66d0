#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2034 # bats sets them
# pf-reset-storm.bats - resets back to back while guests work: nothing is lost.
#
# STORM_SECONDS is how long a storm goes on (3; with IOVKIT_CAMPAIGN=long 60).

setup() {
	load machine
	load pf-reset
	machine_setup
	need bmc rootbridge iovdev hvmon guestd iovctl
	SECONDS_OF_STORM=${STORM_SECONDS:-3}
	[[ ${STORM_SECONDS:-} || ${IOVKIT_CAMPAIGN:-} != long ]] ||
		SECONDS_OF_STORM=60
}

teardown() {
	if [[ ${SPACES:-} ]]; then
		ip netns del "${SPACES}a" || true
		ip netns del "${SPACES}b" || true
	fi
	machine_teardown
}

PAIRS=()
for suspend in table invalid-address vcpu; do
	for confirm in barrier interrupt wait; do
		PAIRS+=("--suspend $suspend --confirm $confirm")
	done
done

# storm SECONDS [PAIR...]: resets back to back, each pair in turn; stops when
# the machine is gone.  N is how many there were.
storm() {
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000)) reply
	shift
	N=0
	while ((${EPOCHREALTIME/[.,]/} < end)); do
		# shellcheck disable=SC2068,SC2206 # words of options
		local words=(${@:N % $# + 1:1})
		reply=$(reset "${words[@]}" 2>&1) || {
			echo "reset $N, ${words[*]}: $reply"
			return 1
		}
		N=$((N + 1))
	done
}

# The log of points, a line for each reset, and how often there is such a line.
orders() {
	events 'select(.ev | test("^reset[.]a1(00|05|10|15)$")) | .ev' |
		tr -d '"' | paste -d ' ' - - - - | sort | uniq -c
}

assert_order_of_all() {
	run -0 orders
	assert_output --regexp \
		"^ *$1 reset.a100 reset.a105 reset.a110 reset.a115\$"
}

@test "a storm of protected resets, all nine pairs: nothing lost" {
	local vm
	machine_start <<<"$(traffic_file)"
	traffic
	storm "$SECONDS_OF_STORM" "${PAIRS[@]}"
	echo "$N resets"
	((N >= 9))
	assert_all_answered
	assert_no_shutdown
	assert_order_of_all "$N"
	# They did work all the time.
	for vm in vm1 vm2; do
		[[ $(report $vm) =~ \"answered\":([0-9]+) ]]
		((BASH_REMATCH[1] > N))
	done
	machine_stop
}

@test "a storm by table and barrier alone: nothing lost" {
	machine_start <<<"$(traffic_file)"
	traffic
	storm "$SECONDS_OF_STORM" "--suspend table --confirm barrier"
	echo "$N resets"
	assert_all_answered
	assert_no_shutdown
	assert_order_of_all "$N"
	machine_stop
}

# Fenced most of the time, while the other VF sends to it.
@test "a storm of one VF's resets by wait: nothing lost" {
	machine_start <<<"$(traffic_file)"
	iovctl wait-time nic0/vf2=600ms >/dev/null
	traffic
	FUNCTION=nic0/vf2
	storm "$SECONDS_OF_STORM" "--confirm wait"
	echo "$N resets"
	assert_all_answered
	assert_no_shutdown
	assert_order_of_all "$N"
	machine_stop
}

# Stand at the end of a110: everything is confirmed, nothing is reset.
stand_confirmed() {
	machine_start <<<"$(traffic_file "$@")"
	traffic
	iovctl at hvmon reset.save=hold >/dev/null
	reset >/dev/null 3>&- &
	RESET=$!
	await reset.save
	FRAMES=$(received vm2)
}

@test "queues stand still when a110 has confirmed, and go on after a115" {
	stand_confirmed
	run -1 wait_until 1 more_than vm2 "$FRAMES"
	iovctl release hvmon >/dev/null
	wait "$RESET"
	wait_until "$PATIENCE" more_than vm2 "$FRAMES"
	assert_all_answered
	machine_stop
}

@test "without clearing Bus Master Enable queues do not stand still" {
	stand_confirmed --without bus-master
	wait_until "$PATIENCE" more_than vm2 "$FRAMES"
	iovctl release hvmon >/dev/null
	wait "$RESET"
	machine_stop
}

@test "ping between two namespaces goes on through resets, none lost" {
	local a b ping n
	need_tap
	tap_name a
	tap_name b
	machine_start <<-END
		bridge: rootbridge
		nic0: iovdev --vfs 2
		hvmon: hvmon --vf nic0/vf1=vm1 --vf nic0/vf2=vm2
		vm1: guestd --vm 1 --tap $a
		vm2: guestd --vm 2 --tap $b
	END
	SPACES=iov$BASHPID
	ip netns add "${SPACES}a"
	ip netns add "${SPACES}b"
	ip link set "$a" netns "${SPACES}a"
	ip link set "$b" netns "${SPACES}b"
	ip -n "${SPACES}a" addr add 10.9.0.1/24 dev "$a"
	ip -n "${SPACES}b" addr add 10.9.0.2/24 dev "$b"
	ip -n "${SPACES}a" link set "$a" up
	ip -n "${SPACES}b" link set "$b" up
	PATIENCE=30 pings "${SPACES}a" 10.9.0.2 200 3>&- &
	ping=$!
	for ((n = 0; n < 9 || $(is_gone "$ping"; echo $?); n++)); do
		# shellcheck disable=SC2086 # words
		reset ${PAIRS[n % 9]}
	done
	wait "$ping"
	assert_no_shutdown
	machine_stop
}
