#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # bats sets them; tests are subshells
# death.bats - design.md's table "Death is an input", row by row: any program
# may be killed or frozen at any instruction.
#
# Machines are started by hand, each program by the test, so that one can be
# killed at a point and another one take its place; those of bmc's rows by
# bmc.  vm1 sends numbered frames to vm2 (nic0/vf1 to nic0/vf2) the whole
# time; vm3 has nic0/vf3.
#
# DEATH_SECONDS is how long each of the random campaigns goes on (3), and
# DEATH_SEED repeats one.

setup() {
	load machine
	machine_setup
	need rootbridge iovdev hvmon guestd iovctl
	RUNS=0
}

teardown() {
	machine_teardown
}

# Parts of a machine

bridge() {
	start bridge rootbridge "$@"
}

nic() {
	start nic0 iovdev --vfs=3 "$@"
}

VFS=(--vf nic0/vf1=vm1 --vf nic0/vf2=vm2 --vf nic0/vf3=vm3)

hv() {
	start hv hvmon "${VFS[@]}"
}

# Rings that outlast what a busy computer does to a test.
sink() {
	start vm2 guestd --vm 2 --ring=4096 --sink
}

sender() {
	start vm1 guestd --vm 1 --send to=nic0/vf2,rate=2k,size=64
}

third() {
	start vm3 guestd --vm 3 --ring=64 "$@"
}

hardware() {
	bridge
	nic "$@"
}

traffic() {
	sink
	sender
}

# The same as a machine file; $1: RESTART of all but the root bridge.
# BRIDGE_OPTIONS and SENDER_OPTIONS are more options of these two.
machine_text() {
	local restart=RESTART=$1
	cat <<-END
		bridge: rootbridge ${BRIDGE_OPTIONS:-}
		nic0: $restart iovdev --vfs=3
		hv: $restart hvmon ${VFS[*]}
		vm2: $restart guestd --vm 2 --ring=4096 --sink
		vm1: $restart guestd --vm 1 --send to=nic0/vf2,rate=2k,size=64 ${SENDER_OPTIONS:-}
	END
}

# Looking.  One process of ours and bash's own matching, since loops below do
# this hundreds of times.

report() {
	iovctl call "$1" report --json
}

# Frames that vm2 received since its counters began.
received() {
	[[ $(report vm2 2>/dev/null) =~ \"frames\":\{\"received\":([0-9]+) ]] ||
		BASH_REMATCH=(0 0)
	echo "${BASH_REMATCH[1]}"
}

more_than() {
	(($(received) > $1))
}

# Frames arrive at vm2 now.
assert_flows() {
	local before
	before=$(received)
	if ! wait_until "$PATIENCE" more_than "$before"; then
		fail "no frame arrives at vm2"
	fi
}

# Of stream $1 all of $2 came: once, in order, whole.
all_arrived() {
	local none='"lost":0,"missed":0,"repeated":0,"reordered":0'
	local all="\\{\"received\":$2,\"bytes\":[0-9]+,$none,\"stream\":$1,"
	[[ $(report vm2) =~ $all ]]
}

# vm1 ends its stream, and vm2 has all of it.
assert_nothing_lost() {
	local send='"kind":"send"[^{}]*"done":([0-9]+)[^{}]*"stream":([0-9]+)'
	local sent stream
	iovctl call vm1 stop-workload >/dev/null
	[[ $(report vm1) =~ $send ]] || fail "vm1 does not send"
	sent=${BASH_REMATCH[1]} stream=${BASH_REMATCH[2]}
	if ! wait_until "$PATIENCE" all_arrived "$stream" "$sent"; then
		fail "of stream $stream, $sent frames, came: $(report vm2)"
	fi
}

# GUEST KEY MIN: a number of its workload of requests.
requests() {
	[[ $(report "$1") =~ \"kind\":\"requests\"[^\}]*\"$2\":([0-9]+) ]] &&
		((BASH_REMATCH[1] >= $3))
}

# FUNCTION N: at least so many rows of the in-flight list.
inflight() {
	(($(iovctl show inflight | grep -cF "$1:") >= $2))
}

# VM's incarnation.
incarnation() {
	rpc bridge show '["vms"]' |
		jq -r --arg vm "$1" '.rows[] | select(.vm == $vm) | .incarnation'
}

# What the bridge and config space hold: rows, routes, owners, BARs, command
# registers, and how often each VF was reset.
state_of_machine() {
	iovctl show protection
	iovctl show routes
	iovctl show functions | awk '{ print $2, $3, $4, $5, $6 }'
	iovctl show queues | awk '$1 == "nic0" { NF = 10; print }'
	iovctl config-dump
}

# Lines that the device wrote to its log.
device_events() {
	grep -c . "$M/events/nic0.jsonl"
}

# Guests that came up after the VFs were there look at them twice.
has_looked_twice() {
	(($(grep -c driver.1303 "$M/events/$1.jsonl") == 2))
}

await_stopped() {
	wait_until "$PATIENCE" is_stopped "$1"
}

freeze() {
	kill -STOP "${PIDS[$1]}"
	await_stopped "${PIDS[$1]}"
}

thaw() {
	kill -CONT "${PIDS[$1]}"
}

# NAME: kill -9, and it is gone.
murder() {
	stop "$1" KILL 137
}

# Tests with several machines

# Begin machine "$*".  The last of these lines in the output of a test that
# failed names the machine.
new_machine() {
	echo "--- $*"
	M=$T/m$((RUNS++))
	export IOVKIT_MACHINE=$M
}

# All that runs ends in order, and no socket is left.
machine_over() {
	local name
	for name in vm1 vm2 vm3 hv nic0 bridge; do
		[[ ! -v PIDS[$name] ]] || stop "$name"
	done
	assert_equal "$(find "$M" -type s)" ""
}

# vm1 sends 50 frames, vm2 ends when all came, and both say that nothing was
# lost.
assert_guests_work() {
	start vm2 guestd --vm 2 --sink --once -c 50
	launch vm1 guestd --vm 1 --once \
		--send to=nic0/vf2,rate=20k,size=64,count=50
	finish vm1 0
	finish vm2 0
}

# NAME POINT=ACTION
arm() {
	iovctl at "$1" "$2" >/dev/null
}

# Program NAME comes to a point at which it is killed, and COMMAND starts
# another; or stops, and is let go on.
at_point() {
	local name=$1 action=$2
	shift 2
	if [[ $action == kill ]]; then
		finish "$name" 137
		"$@"
	else
		await_stopped "${PIDS[$name]}"
		thaw "$name"
	fi
}

# The points of a program whose names match.
points_of() {
	"$1" --list-points | awk -v re="^($2)\$" '$1 ~ re { print $1 }' |
		a_share
}

# rootbridge or bmc: power lost

# A third guest with a TAP, where that may be.
add_tap() {
	LAN=
	[[ $EUID -eq 0 && -c /dev/net/tun ]] || return 0
	tap_name LAN
	echo "vm3: guestd --vm 3 --tap $LAN" >>"$T/machine"
}

no_lan() {
	[[ ! $LAN || ! -e /sys/class/net/$LAN ]]
}

@test "rootbridge killed: all programs end with 71" {
	hardware
	hv
	traffic
	murder bridge
	local name
	for name in vm1 vm2 hv nic0; do
		finish "$name" 71
		run log "$name"
		assert_line --regexp 'bridge (is gone|hung up)$'
	done
}

@test "rootbridge killed: bmc names it, ends with 71, and nothing is left" {
	machine_text always >"$T/machine"
	add_tap
	start bmc bmc "$T/machine"
	[[ ! $LAN || -e /sys/class/net/$LAN ]]
	kill -KILL "$(pid bridge)"
	finish bmc 71
	run log bmc
	assert_line --partial "shut down: bridge ended (SIGKILL)"
	no_leftovers
	assert_equal "$(find "$M" -type s)" ""
	no_lan
}

@test "rootbridge killed while bmc is frozen: the others need no bmc to end" {
	machine_text always >"$T/machine"
	start bmc bmc "$T/machine"
	local bridge
	bridge=$(pid bridge)
	freeze bmc
	kill -KILL "$bridge"
	wait_until "$PATIENCE" has_event exit '.src == "vm1" and .status == 71'
	wait_until "$PATIENCE" has_event exit '.src == "vm2" and .status == 71'
	wait_until "$PATIENCE" has_event exit '.src == "hv" and .status == 71'
	wait_until "$PATIENCE" has_event exit '.src == "nic0" and .status == 71'
	thaw bmc
	finish bmc 71
}

@test "bmc killed: nothing is left, and the machine starts again" {
	machine_text always >"$T/machine"
	add_tap
	start bmc bmc "$T/machine"
	[[ ! $LAN || -e /sys/class/net/$LAN ]]
	murder bmc
	wait_until "$PATIENCE" no_leftovers
	wait_until "$PATIENCE" no_lan
	# What lies there is removed, and the lock is free.
	start bmc bmc "$T/machine"
	assert_flows
	machine_stop
}

@test "rootbridge or bmc frozen: nobody notices, iovctl says so after 2 s" {
	machine_text no >"$T/machine"
	start bmc bmc "$T/machine"
	local before
	kill -STOP "$(pid bridge)" "${PIDS[bmc]}"
	await_stopped "${PIDS[bmc]}"
	before=$(received)
	SECONDS=0
	run -69 iovctl call bridge status
	assert_output "iovctl: m0: bridge does not answer (frozen?)"
	((SECONDS >= 1 && SECONDS <= 5))
	run -69 iovctl -t 100ms call bmc status
	assert_output "iovctl: m0: bmc does not answer (frozen?)"
	wait_until "$PATIENCE" more_than "$((before + 100))"
	kill -CONT "${PIDS[bmc]}"
	kill -CONT "$(pid bridge)"
	assert_nothing_lost
	machine_stop
}


# iovdev: pending requests time out

# With 4 requests of vm1 at the device, which is frozen for that; of the
# hypervisor there are none.
kill_device_with_requests() {
	wait_until "$PATIENCE" has_looked_twice vm1
	wait_until "$PATIENCE" has_looked_twice vm2
	freeze nic0
	iovctl call vm1 requests '{"depth": 4, "vf": "nic0/vf1"}'
	wait_until "$PATIENCE" inflight nic0/vf1 4
	murder nic0
}

@test "iovdev killed with requests pending: shutdown, the cause named" {
	hardware
	hv
	traffic
	kill_device_with_requests
	local name text
	text='operation nic0/vf1:[0-9]+ of vm1 at nic0/vf1 is [0-9]+ ms old'
	for name in bridge vm1 vm2 hv; do
		finish "$name" 71
		run log "$name"
		assert_output --regexp "completion timeout: $text"
	done
	run -0 jq -es '.[-2:] | .[1].ev == "exit" and (.[0] |
		.ev == "shutdown" and .cause == "completion timeout" and
		(.operation | startswith("nic0/vf1:")) and
		.function == "nic0/vf1" and .operator == "vm1" and
		.age_ms >= 1000 and .age_ms < 5000)' "$M/events/bridge.jsonl"
}

@test "iovdev frozen: the first request that times out is named by bmc" {
	BRIDGE_OPTIONS=--timeout=20s machine_text always >"$T/machine"
	start bmc bmc "$T/machine"
	kill -STOP "$(pid nic0)"
	iovctl call vm2 requests '{"depth": 1}'
	iovctl call bridge timeout '{"time": "200ms"}'
	finish bmc 71
	run log bmc
	assert_output --regexp \
		'shut down: completion timeout: operation .* of vm2 at nic0/vf2'
	wait_until "$PATIENCE" no_leftovers
}

@test "iovdev killed with requests pending: only that function contained" {
	bridge --on-timeout=contain
	nic
	hv
	traffic
	kill_device_with_requests
	await contained '.function == "nic0/vf1" and .why == "completion timeout"'
	run -0 events 'select(.ev == "contained") | .function'
	assert_output '"nic0/vf1"'
	# vm1 got all ones, nobody ended, and all is taken up again.
	wait_until "$PATIENCE" requests vm1 refused 1
	nic
	await vf.back '.vf == "nic0/vf1"'
	await vf.back '.vf == "nic0/vf2"'
	assert_flows
	wait_until "$PATIENCE" requests vm1 answered 1
}

@test "iovdev killed with nothing pending: taken up again" {
	machine_text always >"$T/machine"
	start bmc bmc "$T/machine"
	local before since
	before=$(iovctl show protection)
	for _ in 1 2 3; do
		since=$(iovctl kill nic0 --json | jq .since)
		iovctl wait --since "$since" vf.back vf=nic0/vf1 >/dev/null
		iovctl wait --since "$since" vf.back vf=nic0/vf2 >/dev/null
		assert_flows
	done
	assert_equal "$(iovctl show protection)" "$before"
	run -0 events 'select(.ev == "shutdown")'
	assert_output ""
	machine_stop
}

# hvmon: guests' queues go on; the next one adopts

# All that a new hypervisor must leave alone is as it was.
assert_adopted() {
	local before=$1 n=$2
	assert_equal "$(state_of_machine)" "$before"
	assert_equal "$(device_events)" "$n"
	assert_equal "$(events 'select(.src == "bridge" and
		(.ev | test("protection.changed|function.assigned"))) |
		.ev' | wc -l)" 5
}

@test "hvmon killed: queues go on, and the next one adopts" {
	hardware
	hv
	traffic
	third
	local before n_before n=0
	before=$(state_of_machine)
	n_before=$(device_events)
	for _ in 1 2; do
		murder hv
		assert_flows
		hv
		await device.ready ".adopted and .inc == $((2 + n++))"
		assert_adopted "$before" "$n_before"
	done
	assert_nothing_lost
	# It serves: one guest goes and comes again.
	murder vm3
	third
}

@test "hvmon frozen: queues go on, and it goes on where it was" {
	hardware
	hv
	traffic
	local before n
	before=$(state_of_machine)
	n=$(device_events)
	freeze hv
	murder vm2
	wait_until "$PATIENCE" has_event vm.lost '.vm == "vm2"'
	launch vm2 guestd --vm 2 --ring=4096 --sink
	iovctl call vm1 requests '{"depth": 8, "count": 1000}'
	wait_until "$PATIENCE" requests vm1 answered 1000
	thaw hv
	await_ready vm2
	assert_flows
	assert_equal "$(incarnation vm2)" 1
}

@test "an access that hvmon died over is answered with all ones" {
	hardware
	hv
	freeze hv
	launch vm1 guestd --vm 1 --send to=nic0/vf2,rate=2k,size=64
	wait_until "$PATIENCE" has_event bus.attached true
	murder hv
	await exception.unanswered '.why == "supervisor gone"'
	hv
	# Its VF was absent to the guest; it is told to look again.
	await_ready vm1
}

@test "an access that a frozen hvmon did not see in time, likewise" {
	bridge --exception-timeout=50ms
	nic
	hv
	freeze hv
	launch vm1 guestd --vm 1
	await exception.unanswered '.why == "timeout"'
	thaw hv
	await_ready vm1
}

# guestd: hvmon resets its VF, its memory is abandoned

@test "guestd killed with requests in flight: VF reset, new memory" {
	hardware --latency=vf3=30ms
	hv
	traffic
	local n
	for n in 1 2; do
		third --send to=nic0/vf2,rate=2k,size=64 --requests=16
		wait_until "$PATIENCE" inflight nic0/vf3 16
		murder vm3
		await vm.reset ".vm == \"vm3\" and .incarnation == $n"
	done
	third --requests=16
	wait_until "$PATIENCE" requests vm3 answered 17
	run -1 requests vm3 refused 1
	run -0 events 'select(.ev == "device.flr") | .function'
	assert_output "\"nic0/vf3\"
\"nic0/vf3\""
	assert_order vmreset.list vmreset.bus-master vmreset.barrier \
		vmreset.flr device.flr vmreset.settle vmreset.memory vm.reset \
		vm.reset.done
	# Between the others nothing was lost.
	assert_nothing_lost
}

@test "guestd killed in its own probe: the next one comes up" {
	hardware
	hv
	sink
	launch vm1 guestd --vm 1 --at driver.probe=kill
	finish vm1 137
	launch vm1 guestd --vm 1 --at driver.program=kill
	finish vm1 137
	sender
	assert_nothing_lost
	assert_equal "$(incarnation vm1)" 2
}

@test "guestd frozen: the others go on, and so does it" {
	hardware
	hv
	traffic
	third --send to=nic0/vf2,rate=1k,size=64
	freeze vm3
	assert_flows
	thaw vm3
	freeze vm2
	# Its receive ring keeps what comes meanwhile.
	iovctl call vm1 requests '{"depth": 8, "count": 200}'
	wait_until "$PATIENCE" requests vm1 answered 200
	thaw vm2
	assert_nothing_lost
}

@test "a stop by somebody else is shown as frozen and left so" {
	machine_text always >"$T/machine"
	start bmc bmc "$T/machine"
	local pid
	pid=$(pid vm1)
	kill -STOP "$pid"
	await_stopped "$pid"
	iovctl wait show:processes name=vm1 state=frozen
	run -0 iovctl ps
	assert_line --regexp '^vm1 +guestd +[0-9]+ +frozen'
	# The rest of the machine is looked after.
	kill -KILL "$(pid hv)"
	iovctl wait show:processes name=hv restarts=1 ready=true
	is_stopped "$pid"
	kill -CONT "$pid"
	iovctl wait show:processes name=vm1 state=running
	assert_nothing_lost
	machine_stop
}

# Killed and stopped at every point that a machine passes.  Not passed by any of
# these machines: device.vf_disable, since hvmon resets.  What happens when a
# link goes down (link.bats), the safe reset and the scheduler are for tests of
# their own.

# hvmon comes to its point while nothing else happens: the next one, or the
# same, gets the machine ready.
hvmon_starts_at() {
	local point=$1 action=$2
	new_machine "hvmon $point=$action"
	hardware
	if [[ $point == adopt.* ]]; then
		hv
		murder hv
	fi
	launch hv hvmon "${VFS[@]}" --at "$point=$action"
	at_point hv "$action" launch hv hvmon "${VFS[@]}"
	await_ready hv
	assert_guests_work
	machine_over
}

# While it does something for guests that run: $3, what follows is its words.
hvmon_works_at() {
	local point=$1 action=$2
	shift 2
	new_machine "hvmon $point=$action, $*"
	hardware
	hv
	traffic
	if [[ $1 == allocate ]]; then
		iovctl call hv free '["nic0/vf3"]' >/dev/null
	fi
	arm hv "$point=$action"
	"$@" >/dev/null 2>&1
	at_point hv "$action" hv
	[[ $1 != lose ]] || await_ready vm2
	assert_flows
}

lose() {
	murder "$1"
	launch vm2 guestd --vm 2 --sink
}

# Twice: what was on its way at the first look is seen at the second.
nothing_in_flight() {
	[[ $(rpc bridge show '["inflight"]') != *'"nic0/'* ]] &&
		[[ $(rpc bridge show '["inflight"]') != *'"nic0/'* ]]
}

# A request that is pending when the device goes shuts the machine down, and
# link queries go on for a moment after the guests are ready.
unplug() {
	local name
	for name in hv vm1 vm2; do
		freeze "$name"
	done
	wait_until "$PATIENCE" nothing_in_flight
	murder nic0
	for name in hv vm1 vm2; do
		thaw "$name"
	done
	nic
}

# These are answered, if ever, after the point.
reset() {
	iovctl reset "$1" 3>&- &
}

allocate() {
	iovctl call hv allocate "[\"$1\", \"vm3\"]" 3>&- &
}

free() {
	iovctl call hv free "[\"$1\"]" 3>&- &
}

# Whatever became of nic0/vf3: it can be taken away and given again.
assert_vf3_works() {
	iovctl call hv free '["nic0/vf3"]' >/dev/null || true
	iovctl call hv allocate '["nic0/vf3", "vm3"]' >/dev/null
	third --once --send to=nic0/vf2,count=10,size=64
	finish vm3 0
}

@test "hvmon killed at each point of a start" {
	local point
	for point in $(points_of hvmon 'enumerate[.].*|driver[.][a-z].*|give[.].*') \
		$(points_of hvmon 'attach[.].*'); do
		[[ $point != driver.event ]] || continue
		hvmon_starts_at "$point" kill
	done
}

@test "hvmon killed at each point of an adoption" {
	local point
	for point in $(points_of hvmon 'adopt[.].*'); do
		hvmon_starts_at "$point" kill
	done
}

@test "hvmon killed at each point of a VM's reset" {
	local point
	for point in $(points_of hvmon 'vmreset[.].*'); do
		hvmon_works_at "$point" kill lose vm2
		machine_over
	done
}

# What every reset passes.
RESET='reset[.](a10[025]|a11[05]|bus-master|save|settle|setup|driver'
RESET+='|registers|masters|a525|inject)'

@test "hvmon killed at each point of a reset by request" {
	local point function
	for point in $(points_of hvmon "$RESET"); do
		for function in nic0/vf1 nic0/vf2 nic0/pf0; do
			hvmon_works_at "$point" kill reset "$function"
			machine_over
		done
	done
}

@test "hvmon killed at each point of taking a VF away or giving it" {
	local point
	for point in $(points_of hvmon 'free[.].*|allocate[.].*'); do
		hvmon_works_at "$point" kill "${point%%.*}" nic0/vf3
		assert_vf3_works
		assert_nothing_lost
		machine_over
	done
}

@test "hvmon killed when a device goes and comes" {
	local point
	for point in $(points_of hvmon 'remove[.].*|attach[.].*'); do
		hvmon_works_at "$point" kill unplug
		machine_over
	done
}

@test "hvmon stopped at points" {
	local point
	for point in enumerate.tables enumerate.size enumerate.vf-enable \
		adopt.vfs adopt.done driver.write give.rows; do
		hvmon_starts_at "$point" stop
	done
	for point in $(points_of hvmon 'vmreset[.].*'); do
		hvmon_works_at "$point" stop lose vm2
		machine_over
	done
	for point in $(points_of hvmon "$RESET"); do
		hvmon_works_at "$point" stop reset nic0/pf0
		machine_over
	done
}

# Killed while $3... happens: a request that was pending shuts the machine
# down, otherwise the next one is taken up.
iovdev_at() {
	local point=$1 action=$2
	shift 2
	new_machine "iovdev $point=$action, $*"
	MAY_SHUT_DOWN='' GIVE_BACK=''
	hardware
	hv
	"$@" "$point=$action"
	if [[ $action == stop ]]; then
		at_point nic0 stop
		assert_flows
	else
		finish nic0 137
		nic
		[[ ! $GIVE_BACK ]] ||
			wait_until "$PATIENCE" bridge_is_gone_or_vf1_given
		assert_taken_up_or_shut_down
	fi
}

bridge_is_gone_or_frames_flow() {
	is_gone "${PIDS[bridge]}" || more_than "$1"
}

assert_taken_up_or_shut_down() {
	local name
	wait_until "$PATIENCE" bridge_is_gone_or_frames_flow "$(received)"
	if is_gone "${PIDS[bridge]}"; then
		[[ $MAY_SHUT_DOWN ]]
		finish bridge 71
		run log bridge
		assert_output --regexp "operation nic0/[pv]f[0-9]:[0-9]+ of"
		for name in vm1 vm2 hv; do
			[[ ! -v PIDS[$name] ]] || finish "$name" 71
		done
		# It waits for a bridge, if that was gone when it came.
		kill "${PIDS[nic0]}" 2>/dev/null || true
		wait_until "$PATIENCE" is_gone "${PIDS[nic0]}"
		unset "PIDS[nic0]"
	fi
}

busy() {
	traffic
	wait_until "$PATIENCE" has_looked_twice vm1
	wait_until "$PATIENCE" has_looked_twice vm2
	arm nic0 "$1"
}

# More comes than the receiver takes.
full_receiver() {
	start vm2 guestd --vm 2 --ring=4 --sink
	start vm1 guestd --vm 1
	wait_until "$PATIENCE" has_looked_twice vm1
	wait_until "$PATIENCE" has_looked_twice vm2
	freeze vm2
	arm nic0 "$1"
	iovctl call vm1 send '{"to": "nic0/vf2", "rate": "1k"}' >/dev/null
	wait_until "$PATIENCE" is_gone "${PIDS[nic0]}"
	thaw vm2
}

# Frames come for a VF that was reset.
lost_receiver() {
	traffic
	arm nic0 "$1"
	murder vm2
	wait_until "$PATIENCE" is_gone "${PIDS[nic0]}"
	launch vm2 guestd --vm 2 --sink
	MAY_SHUT_DOWN=1
}

# Its VF is disabled while it sends.
disabled_sender() {
	sink
	start vm1 guestd --vm 1 --send to=nic0/vf2,size=64
	arm nic0 "$1"
	free nic0/vf1 >/dev/null 2>&1
	wait_until "$PATIENCE" is_gone "${PIDS[nic0]}"
	MAY_SHUT_DOWN=1
	GIVE_BACK=1
}

bridge_is_gone_or_vf1_given() {
	is_gone "${PIDS[bridge]}" ||
		iovctl call hv allocate '["nic0/vf1", "vm1"]' >/dev/null 2>&1
}

@test "iovdev killed at each point of the data path" {
	local point
	for point in $(points_of iovdev '[tr]x[.].*'); do
		case $point in
		tx.804) iovdev_at "$point" kill disabled_sender ;;
		rx.903) iovdev_at "$point" kill full_receiver ;;
		rx.905) iovdev_at "$point" kill lost_receiver ;;
		*) iovdev_at "$point" kill busy ;;
		esac
		machine_over
	done
}

# Its point is passed with a request pending.
iovdev_dies_with_request() {
	local point=$1
	shift
	new_machine "iovdev $point=kill, $*"
	hardware
	"$@" "$point=kill"
	finish nic0 137
	finish hv 71
	finish bridge 71
	run log bridge
	assert_line --regexp "operation nic0/[pv]f[0-9]:[0-9]+ of [a-z0-9]+ at"
	[[ ! -v PIDS[vm1] ]] || finish vm1 71
}

enumeration() {
	arm nic0 "$1"
	launch hv hvmon "${VFS[@]}"
}

register_reads() {
	hv
	start vm1 guestd --vm 1
	arm nic0 "$1"
	iovctl call vm1 requests '{"depth": 1}' >/dev/null
}

vm_loss() {
	traffic
	wait_until "$PATIENCE" has_looked_twice vm2
	arm nic0 "$1"
	murder vm2
	wait_until "$PATIENCE" is_gone "${PIDS[nic0]}"
	launch vm2 guestd --vm 2 --sink
	# What hvmon asked meanwhile may be pending.
	MAY_SHUT_DOWN=1
}

@test "iovdev killed at each other point" {
	local point
	for point in $(points_of iovdev 'device[.].*'); do
		case $point in
		device.vf_disable) ;;
		device.vf_enable) iovdev_dies_with_request "$point" enumeration ;;
		device.a1015) iovdev_dies_with_request "$point" register_reads ;;
		*) iovdev_at "$point" kill vm_loss ;;
		esac
	done
}

@test "iovdev stopped at points" {
	local point
	for point in $(points_of iovdev 'tx[.]80[12567]|rx[.]90[12467]'); do
		iovdev_at "$point" stop busy
		assert_nothing_lost
		machine_over
	done
}

# NAME POINT=ACTION PROGRAM...: a guest of a machine that goes on passes the
# point; after its death another one comes up.
guestd_at() {
	local name=$1 at=$2
	shift 2
	echo "--- guestd $name $at"
	[[ ! -v PIDS[$name] ]] || murder "$name"
	launch "$name" "$@" --at "$at"
	if [[ $at == *=kill ]]; then
		finish "$name" 137
		launch "$name" "$@"
	else
		at_point "$name" stop
	fi
	await_ready "$name"
	assert_flows
}

# ACTION POINTS
guestds_at() {
	local action=$1 point
	local sink=(guestd --vm 2 --sink)
	local send=(guestd --vm 1 --send 'to=nic0/vf2,rate=2k,size=64')
	hardware
	hv
	traffic
	for point in $(points_of guestd "$2"); do
		case $point in
		# Of a successor: failover.bats.
		driver.1301 | driver.event | driver.1[01]* | failover.*) ;;
		# Of one that stands by: active-standby.bats.
		role.*) ;;
		send.140[34]) ;;
		receive.*) guestd_at vm2 "$point=$action" "${sink[@]}" ;;
		send.1402)
			guestd_at vm1 "$point=$action" "${send[@]}" \
				--at send.1401=fail
			;;
		send.1406)
			guestd_at vm1 "$point=$action" "${send[@]}" \
				--at send.1405=fail
			;;
		*) guestd_at vm1 "$point=$action" "${send[@]}" ;;
		esac
	done
}

@test "guestd killed at each point" {
	guestds_at kill '.*'
}

@test "guestd stopped at each point" {
	guestds_at stop '.*'
}

# rootbridge and bmc: whatever they were at, nothing is left.

# POINT: the machine, powered on, ends at it with 71, or would not have come.
rootbridge_dies_at() {
	local point=$1
	new_machine "rootbridge $point=kill"
	BRIDGE_OPTIONS="--timeout=20s --at $point=kill"
	machine_text always >"$T/machine"
	launch bmc bmc "$T/machine"
	case $point in
	bridge.a11*)
		await_ready bmc
		iovctl hold nic0/vf2 >/dev/null
		iovctl call vm2 requests '{"depth": 1}' >/dev/null
		iovctl call bridge timeout '{"time": "200ms"}' >/dev/null
		;;
	bridge.a1220)
		await_ready bmc
		reset nic0/pf0 >/dev/null 2>&1
		;;
	esac
	finish bmc 71
	run log bmc
	assert_line --partial "shut down: bridge ended (SIGKILL)"
	no_leftovers
	assert_equal "$(find "$M" -type s)" ""
	: >"$T/log/bmc.err"
}

@test "rootbridge killed at each point" {
	local point
	for point in $(points_of rootbridge \
		'bridge[.]a([89]|10|11|21).*|bridge.a1220'); do
		rootbridge_dies_at "$point"
	done
}

@test "rootbridge stopped at points" {
	local point
	for point in bridge.a820 bridge.a2110 bridge.a1010 bridge.a1025; do
		new_machine "rootbridge $point=stop"
		launch bridge rootbridge --at "$point=stop"
		nic
		await_ready bridge
		launch hv hvmon "${VFS[@]}"
		if [[ $point == bridge.a820 ]]; then
			await_ready hv
			launch vm2 guestd --vm 2 --sink
			at_point bridge stop
			await_ready vm2
			sender
		else
			at_point bridge stop
			await_ready hv
			traffic
		fi
		assert_nothing_lost
		machine_over
	done
}

# POINT COMMAND...: bmc is killed there; all end with it, and the machine can
# be powered on again.
bmc_dies_at() {
	local point=$1
	shift
	new_machine "bmc $point=kill, $*"
	machine_text always >"$T/machine"
	launch bmc bmc --at "$point=kill" "$T/machine"
	if (($#)); then
		await_ready bmc
		"$@" >/dev/null 2>&1
	fi
	finish bmc 137
	wait_until "$PATIENCE" no_leftovers
	start bmc bmc "$T/machine"
	assert_flows
	machine_stop
}

restart_hv() {
	kill -KILL "$(pid hv)"
}

lose_bridge() {
	kill -KILL "$(pid bridge)"
}

freeze_vm1() {
	iovctl freeze vm1 3>&- &
}

thaw_vm1() {
	iovctl freeze vm1
	iovctl thaw vm1 3>&- &
}

power_off() {
	kill "${PIDS[bmc]}"
}

reset_softly() {
	iovctl soft-reset 3>&- &
}

@test "bmc killed at each point" {
	local point
	for point in $(points_of bmc '.*'); do
		case $point in
		power.off | power.stop | power.down)
			bmc_dies_at "$point" power_off
			;;
		power.lost) bmc_dies_at "$point" lose_bridge ;;
		program.restart) bmc_dies_at "$point" restart_hv ;;
		program.freeze) bmc_dies_at "$point" freeze_vm1 ;;
		program.thaw) bmc_dies_at "$point" thaw_vm1 ;;
		soft-reset.*) bmc_dies_at "$point" reset_softly ;;
		*) bmc_dies_at "$point" ;;
		esac
	done
}

@test "bmc stopped at points while it powers on and off" {
	local point
	for point in power.on power.start power.ready power.up power.off \
		power.stop power.down; do
		new_machine "bmc $point=stop"
		machine_text always >"$T/machine"
		launch bmc bmc --at "$point=stop" "$T/machine"
		case $point in
		power.off | power.stop | power.down)
			await_ready bmc
			power_off
			at_point bmc stop
			;;
		*)
			at_point bmc stop
			await_ready bmc
			power_off
			;;
		esac
		finish bmc 0
		no_leftovers
	done
}

# At random moments.

random_pause() {
	local ms
	printf -v ms '%03d' $((RANDOM % $1))
	read -r -t "0.$ms" -u "$NEVER" || true
}

# NAME: of bmc's machine; nothing when it does not run.
pid_of() {
	iovctl show processes 2>/dev/null |
		awk -v name="$1" '$1 == name && $3 > 0 { print $3 }'
}

flows_now() {
	local before
	before=$(received)
	pause
	more_than "$before"
}

bmc_is_gone_or_all_is_well() {
	is_gone "${PIDS[bmc]}" || flows_now
}

kill_one() {
	local pid
	pid=$(pid_of "$1")
	echo "kill $1 (${pid:-not there})"
	[[ ! $pid ]] || kill -KILL "$pid" || true
}

# Up to three programs of a machine, also while it powers on.
kill_some() {
	local names=(nic0 hv vm1 vm2) i
	for ((i = 1 + RANDOM % 3; i > 0; i--)); do
		random_pause 60
		kill_one "${names[RANDOM % 4]}"
	done
}

@test "killed at random moments: taken up, or shut down for a cause" {
	local seed=${DEATH_SEED:-$RANDOM} last modes=(shutdown contain)
	local SENDER_OPTIONS=--requests=4,rate=2k BRIDGE_OPTIONS
	SECONDS=0
	while ((SECONDS < ${DEATH_SECONDS:-3})); do
		new_machine "killed at random moments, DEATH_SEED=$seed"
		RANDOM=$seed
		BRIDGE_OPTIONS="--timeout=300ms --on-timeout=${modes[RANDOM % 2]}"
		machine_text always >"$T/machine"
		echo "$BRIDGE_OPTIONS"
		launch bmc bmc "$T/machine"
		kill_some
		last=$((RANDOM % 8))
		if ((last == 0)); then
			kill -KILL "${PIDS[bmc]}" || last=2
		elif ((last == 1)); then
			kill_one bridge
		fi
		wait_until "$PATIENCE" bmc_is_gone_or_all_is_well
		if ! is_gone "${PIDS[bmc]}"; then
			machine_stop
		elif ((last == 0)); then
			finish bmc 137
		else
			finish bmc 71
			run log bmc
			assert_line --regexp "shut down: (bridge ended|complet\
ion timeout: operation nic0/[pv]f[0-9]:[0-9]+ of)"
			[[ $output != *timeout:* || $BRIDGE_OPTIONS == *shutdown ]]
		fi
		wait_until "$PATIENCE" no_leftovers
		: >"$T/log/bmc.err"
		seed=$RANDOM
	done
}

@test "frozen at random moments: nothing is lost" {
	local seed=${DEATH_SEED:-$RANDOM} victim
	new_machine "frozen at random moments, DEATH_SEED=$seed"
	RANDOM=$seed
	machine_text no >"$T/machine"
	start bmc bmc "$T/machine"
	local -A pids=([bmc]=${PIDS[bmc]})
	for victim in bridge nic0 hv vm1 vm2; do
		pids[$victim]=$(pid_of "$victim")
	done
	SECONDS=0
	while ((SECONDS < ${DEATH_SECONDS:-3})); do
		random_pause 20
		for victim in "${!pids[@]}"; do
			((RANDOM % 3)) || kill -STOP "${pids[$victim]}"
		done
		random_pause 50
		kill -CONT "${pids[@]}"
	done
	assert_nothing_lost
	machine_stop
}

@test "a soft reset at work, also of a frozen hypervisor: all come back" {
	local n
	machine_text no >"$T/machine"
	start bmc bmc "$T/machine"
	for n in 1 2; do
		assert_flows
		((n == 1)) || kill -STOP "$(pid_of hv)"
		run -0 iovctl soft-reset
		assert_line "killed 3"
		run -0 iovctl wait -t "${PATIENCE}s" \
			--since "${lines[1]#since }" soft-reset.done
	done
	assert_flows
	machine_stop
}
