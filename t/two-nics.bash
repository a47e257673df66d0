# shellcheck shell=bash disable=SC2154,SC2119,SC2120 # bats sets them
# two-nics.bash - bats helpers: two devices whose VFs work while one is reset.
#
#	two_nics			power it on, wait until all work
#	two_nics_file, at_work		its two halves
#	goes_on GUEST FUNCTION		its requests are answered from now on
#	nothing_is_lost			end the work: nothing is missing
#	in_order			all resets so far, by the log
#
# BRIDGE, NIC, HV: more options of rootbridge, nic0 and hvmon.  TIMEOUT: of
# completions; a busy computer is no reason for one.

# Two devices, two VMs: VM 1 has VFs 1 to 3, VM 2 has VF 4.  Requests of VFs 1
# and 2 take a while, so that some are in flight; VF 1 sends to VF 2.
two_nics_file() {
	cat <<-END
		bridge: rootbridge --vms=4 --timeout=${TIMEOUT:-20s} ${BRIDGE:-}
		nic0: iovdev ${NIC:-} --vfs 8 --latency vf1=${LATENCY:-50ms} \
			--latency vf2=${LATENCY:-50ms}
		nic1: iovdev --vfs 8
		hv: hvmon --vf nic0/vf1=vm1:80ms --vf nic0/vf2=vm1:80ms \
			--vf nic1/vf1=vm1:1ms --vf nic1/vf2=vm2:100ms ${HV:-}
		g1: guestd --vm 1 --sink \
			--send vf=nic0/vf1,to=nic0/vf2,rate=2k,size=64 \
			--requests 8,vf=nic0/vf1 --requests 8,vf=nic0/vf2 \
			--requests 2,vf=nic1/vf1,rate=500
		g2: guestd --vm 2 --requests 2,rate=500
	END
}

two_nics() {
	machine_start <<<"$(two_nics_file)"
	at_work
}

at_work() {
	wait_until "$PATIENCE" received 50
	wait_until "$PATIENCE" in_flight
}

report() {
	rpc "$1" report | jq -r "$2"
}

received() {
	[[ $(rpc g1 report) =~ \"frames\":\{\"received\":([0-9]+) ]] &&
		((BASH_REMATCH[1] >= $1))
}

# Both have requests at the device.
in_flight() {
	local rows
	rows=$(rpc bridge show '["inflight"]')
	[[ $rows == *'"nic0/vf1"'* && $rows == *'"nic0/vf2"'* ]]
}

# answered GUEST FUNCTION
answered() {
	local row="\"kind\":\"requests\",\"vf\":\"$2\""
	[[ $(rpc "$1" report) =~ ${row}[^{}]*\"answered\":([0-9]+) ]] &&
		echo "${BASH_REMATCH[1]}"
}

answered_more() {
	(($(answered "$1" "$2") > $3))
}

# goes_on GUEST FUNCTION: requests are answered from now on.
goes_on() {
	wait_until "$PATIENCE" answered_more "$1" "$2" \
		"$(($(answered "$1" "$2") + 5))"
}

# Every frame sent so far came once.
all_came() {
	local sent
	sent=$(report g1 '.workloads[] | select(.kind == "send" and
		.vf == "nic0/vf1") | .done')
	[[ $(report g1 '[.frames.lost, .frames.repeated, .frames.corrupted] |
		join(" ")') == "0 0 0" ]] && received "$sent"
}

# Whatever was in flight: no shutdown, each request answered once, no frame
# lost or repeated.
nothing_is_lost() {
	goes_on g1 nic0/vf1
	goes_on g1 nic0/vf2
	rpc g1 stop-workload >/dev/null
	wait_until "$PATIENCE" all_came ||
		fail "$(report g1 '.frames, .workloads[]')"
	assert_equal "$(report g1 '[.workloads[] | select(.kind == "requests") |
		.errors + .refused - .reissued] | add')" 0
	run -0 events 'select(.ev == "shutdown" or .ev == "queue.stopped" or
		.ev == "parked.expired")'
	assert_output ""
}

# The log proves the order of every reset.
in_order() {
	run -0 events 'select(.src == "hv" and (.ev |
		test("^reset.(a105|a110|a115)$"))) | .ev'
	output=${output//\"/}
	assert [ -n "$output" ]
	assert_equal "$(tr '\n' ' ' <<<"$output" |
		sed 's/reset.a105 reset.a110 reset.a115 //g')" ""
}
