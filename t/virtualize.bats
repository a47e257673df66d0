#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2034,SC2154 # PIDS is of machine.bash
# virtualize.bats - devices that are virtualised and let go while a guest uses
# them (spec 05).

setup() {
	load machine
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
}

teardown() {
	machine_teardown
}

# An Ethernet card, which vm1 has.  Nobody loses patience with a busy computer.
power_on() {
	machine_start <<-END
		bridge: rootbridge --exception-timeout 0
		ether0: iovdev --type ether ${ETHER-}
		hv: hvmon --device ether0=vm1${VIRTUAL-}
	END
}

# switch VERB [OPTION...]
switch() {
	iovctl "$1" -t "${PATIENCE}s" ether0 "${@:2}"
}

# devices FIELD
devices() {
	rpc hv show '["devices"]' | jq -re --arg field "$1" \
		'.rows[] | select(.device == "ether0") | .[$field] | tostring'
}

# cards FIELD: of the guest's table.
cards() {
	rpc vm1 show '["cards"]' | jq -re --arg field "$1" \
		'.rows[] | select(.card == "ether0") | .[$field] | tostring'
}

is() {
	[[ $(devices "$1") == "$2" ]]
}

# More than at the last call, and 50 more.
more_messages() {
	local n
	n=$(cards received) || return 1
	: "${SEEN:=$n}"
	((n > SEEN + 50)) && SEEN=$n
}

# The guest of a machine that is done: nothing lost, twice, torn, out of order.
all_there() {
	run -0 rpc vm1 report
	assert_output --partial '"lost":0'
	assert_output --partial '"repeated":0'
	assert_output --partial '"reordered":0'
	assert_output --partial '"corrupted":0'
}

@test "virtualize: a device is virtualised, and let go, while a guest sends" {
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	run -0 switch virtualize
	assert_output --partial "mode virtual"
	await virtual.emulating
	wait_until "$PATIENCE" more_messages
	assert_equal "$(devices mode)" virtual
	run -0 switch devirtualize --limit 0
	assert_output --partial "mode direct"
	wait_until "$PATIENCE" more_messages
	assert_equal "$(devices mode)" direct
	assert_order virt.210 virt.212 virt.214 virt.216 virt.218 virt.420 \
		devirt.708 devirt.710 devirt.712 devirt.714 devirt.716 \
		devirt.718 devirt.720 devirt.722
	all_there
	run -0 cards illegal
	assert_output 0
	stop guest1
	machine_stop
}

# Back and forth, COUNT times; each way of holding off in turn.
switch_often() {
	local i ways=(block busy log) n=$1
	for ((i = 0; i < n / 2; i++)); do
		rpc hv virtualize '["ether0"]' >"$T/answer"
		# In the search every second time, at any moment of a sequence.
		((i % 2)) || wait_until "$PATIENCE" is machine start
		rpc hv devirtualize "{\"device\":\"ether0\",\"limit\":\"0\",
			\"hold\":\"${ways[i % ${#ways[@]}]}\"}" >"$T/answer"
	done
}

@test "virtualize: no message of a fast guest is lost, twice, torn or out of order" {
	local n=60
	[[ ${IOVKIT_CAMPAIGN:-} != long ]] || n=1000
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages=size=60-1514
	await workload.started
	switch_often "$n"
	wait_until "$PATIENCE" more_messages
	assert_equal "$(events 'select(.ev == "device.direct")' | wc -l)" \
		$((n / 2))
	all_there
	run -0 cards illegal
	assert_output 0
	run -0 cards resets
	assert_output 0
	stop guest1
	machine_stop
}

# bmc may not have seen yet that it ended.
starts() {
	iovctl start hv >/dev/null 2>&1
}

# strike POINT VERB: kill the hypervisor there, and have the next one.
strike() {
	local victim
	victim=$(pid hv)
	iovctl at hv "$1=kill" >"$T/at"
	rpc_raw hv "$2" '["ether0"]' >"$T/answer" || true
	wait_until "$PATIENCE" is_gone "$victim"
	wait_until "$PATIENCE" starts
	wait_until "$PATIENCE" is state ready
	wait_until "$PATIENCE" more_messages
	[[ $(devices mode) == @(direct|virtual) ]]
}

# to MODE: bring it there, which works after all that was done to it.
to() {
	if ! is mode "$1"; then
		switch "$2" "${@:3}"
	fi
	wait_until "$PATIENCE" more_messages
}

@test "virtualize: a hypervisor killed at any point leaves a device in one mode" {
	local point
	power_on
	start guest1 guestd --vm 1 --name=vm1 --messages
	await workload.started
	while read -r point; do
		echo "# $point"
		if [[ $point == virt.* ]]; then
			to direct devirtualize --limit 0
			strike "$point" virtualize
		else
			to virtual virtualize
			wait_until "$PATIENCE" is machine start
			strike "$point" devirtualize
		fi
	done < <(hvmon --list-points | awk '$1 ~ /^(de)?virt\./ { print $1 }' |
		a_share)
	to virtual virtualize
	to direct devirtualize --limit 0
	run -0 rpc vm1 report
	assert_output --partial '"corrupted":0'
	assert_output --partial '"reordered":0'
	stop guest1
	machine_stop
}
