# hvmon.bats - the hypervisor between the root bridge, devices and guests.
# shellcheck shell=bash disable=SC2154

VFS=(--vf nic0/vf1=vm1 --vf nic0/vf2=vm1:1ms --vf nic0/vf5=vm2:100ms)

setup() {
	load machine
	machine_setup
	need rootbridge iovdev guestd
}

teardown() {
	machine_teardown
}

bridge() {
	start bridge rootbridge --vms=4
}

nic() {
	start "$1" iovdev --vfs=8
}

hv() {
	start hvmon hvmon "$@"
}

kill_now() {
	kill -KILL "${PIDS[$1]}"
	finish "$1" 137
}

# rows TABLE JQ-FILTER of one row: a line a row
rows() {
	rpc "${3:-hvmon}" show "[\"$1\"]" | jq -rc ".rows[] | $2"
}

# What must be the same whatever happened in between.
allocation() {
	rows vf-allocation '[.vf, .vm, .slot, .range, .wait, .state]' | sort
}

protection() {
	rows protection '[.vm, .first, .last, .offset]' bridge | sort
}

points_of() {
	hvmon --list-points | awk -v of="^($1)[.]" '$1 ~ of { print $1 }'
}

call() {
	rpc hvmon "$@" >/dev/null
}

@test "an empty bus is ready, and the bridge's end is the machine's" {
	bridge
	hv
	[ -z "$(rows devices .)" ]
	kill -KILL "${PIDS[bridge]}"
	finish bridge 137
	finish hvmon 71
	[[ $(log hvmon) == *"root bridge is gone"* ]]
}

@test "two devices are found, sized, addressed, and their VFs enabled" {
	bridge
	nic nic0
	nic nic1
	hv "${VFS[@]}" --vf nic1/vf8=vm3
	[ "$(rows devices '[.device, .bdf, .state, .num_vfs, .link]' | sort)" \
		= '["nic0","01:00.0","ready",8,"up"]
["nic1","02:00.0","ready",8,"up"]' ]
	# No two BARs overlap, each is aligned to its size.
	rows devices '.bars, .vf_bars' | tr ':+' '  ' |
		while read -r _ first size; do
			echo "$((first)) $((first + size)) $((size))"
			((first % (size < 0x20000 ? size : 0x4000) == 0))
		done | sort -n >"$T/bars"
	[ "$(wc -l <"$T/bars")" = 4 ]
	awk '$1 < end { exit 1 } { end = $2 }' "$T/bars"
	[ "$(rows vf-allocation '.state' | sort | uniq -c | tr -d ' ')" \
		= 4ready ]
	[ "$(rows vf-allocation '[.vf, .vm, .slot, .wait, .range]' |
		grep vf5)" = \
		'["nic0/vf5","vm2",0,"100ms","0x50000000-0x50003fff"]' ]
	# Each row leads somewhere else than it begins.
	[ "$(rows protection '.offset' bridge | grep -vc '+0x000000')" = 4 ]
	[ "$(rows routes '.vm' bridge | grep -c vm1)" = 6 ]
	assert_order enumerate.header enumerate.size enumerate.assign \
		enumerate.command enumerate.num-vfs enumerate.vf-enable \
		enumerate.vfs give.assign give.routes give.rows
}

@test "ready comes with the last function named by --vf" {
	bridge
	launch hvmon hvmon "${VFS[@]}"
	await enumerate.start
	run ! has_event ready '.src == "hvmon"'
	nic nic0
	await_ready hvmon
	[ "$(allocation | wc -l)" = 3 ]
}

@test "ready comes behind device.ready of each device that is adopted" {
	bridge
	nic nic0
	nic nic1
	hv --vf nic0/vf1=vm1 --vf nic1/vf1=vm2
	kill_now hvmon
	launch hvmon hvmon --vf nic0/vf1=vm1 --vf nic1/vf1=vm2 \
		--at adopt.done=hold
	await device.ready .adopted
	[[ $(rpc hvmon status) == *'"ready":false'* ]]
	call release
	await_ready hvmon
	assert_equal "$(events 'select(.ev == "device.ready" and .adopted)' |
		wc -l)" 2
}

@test "guests' queues go on while the hypervisor dies and adopts" {
	bridge
	nic nic0
	hv "${VFS[@]}"
	start g2 guestd --vm 2 --vf nic0/vf5 --sink --once --count 5000
	start g1 guestd --vm 1 --vf nic0/vf1 --once \
		--send=to=nic0/vf5,rate=5000,count=5000
	kill_now hvmon
	hv "${VFS[@]}"
	kill_now hvmon
	hv "${VFS[@]}"
	finish g1 0
	finish g2 0
	has_event report '.src == "g2" and .received == 5000 and .lost == 0
		and .repeated == 0'
	has_event device.ready '.adopted'
}

@test "a lost VM's functions are brought to rest before it gets new memory" {
	bridge
	nic nic0
	hv "${VFS[@]}"
	start g1 guestd --vm 1 --vf nic0/vf1 --echo
	kill_now g1
	await vm.reset.done '.vm == "vm1" and .vfs == 2'
	assert_order vmreset.list vmreset.bus-master vmreset.barrier \
		vmreset.flr vmreset.settle vmreset.memory vm.reset \
		vmreset.configure
	start g1 guestd --vm 1 --vf nic0/vf1 --echo
	# A failed step: tried again.
	call at '["vmreset.flr=fail"]'
	kill_now g1
	await vm.reset.failed
	await vm.reset.done '.n > 0 and .took_ns > 900000000'
	start g1 guestd --vm 1 --vf nic0/vf1 --echo
}

@test "killed at any step of a VM's reset, the next one completes it" {
	local point
	bridge
	nic nic0
	hv "${VFS[@]}"
	for point in $(points_of vmreset); do
		start g1 guestd --vm 1 --vf nic0/vf1 --echo
		call at "[\"$point=kill\"]"
		kill_now g1
		finish hvmon 137
		hv "${VFS[@]}"
	done
	# And one that died while there was no hypervisor.
	start g1 guestd --vm 1 --vf nic0/vf1 --echo
	kill_now hvmon
	kill_now g1
	hv "${VFS[@]}"
	start g1 guestd --vm 1 --vf nic0/vf1 --echo
}

@test "VFs are given and taken while it runs" {
	bridge
	nic nic0
	hv "${VFS[@]}"
	call allocate '{"function":"nic0/vf3","vm":"vm3","wait":"2ms"}'
	[ "$(rows vf-allocation '[.vf, .vm, .slot, .wait, .state]' |
		grep vf3)" = '["nic0/vf3","vm3",0,"2ms","ready"]' ]
	start g3 guestd --vm 3 --vf nic0/vf3 --once --requests=8,count=100
	finish g3 0
	[[ $(rpc_error hvmon allocate '{"function":"nic0/vf3","vm":"vm1"}') \
		== *"allocated to vm3 already"* ]]
	# The next one finds it in the root bridge, not in the options.
	kill_now hvmon
	hv "${VFS[@]}"
	[ "$(rows vf-allocation .vf | grep -c vf3)" = 1 ]
	call free '["nic0/vf3"]'
	assert_order free.rows free.bus-master free.barrier free.flr \
		free.settle free.routes free.assign
	[ "$(rows vf-allocation .vf | grep -c vf3)" = 0 ]
	[ "$(rows protection .vm bridge | grep -c vm3)" = 0 ]
	[ "$(rows functions 'select(.function == "nic0/vf3") | .vm' bridge)" \
		= null ]
	[[ $(rpc_error hvmon free '["nic0/vf3"]') == *"not allocated"* ]]
	[[ $(rpc_error hvmon allocate '{"function":"nic0/vf9","vm":1}') \
		== *"not there"* ]]
	[[ $(rpc_error hvmon allocate '{"function":"nic0/vf4","vm":9}') \
		== *"no vm9"* ]]
	[[ $(rpc_error hvmon allocate '{"function":"nic0/pf0","vm":1}') \
		== *"PF"* ]]
	[[ $(rpc_error hvmon allocate \
		'{"function":"nic0/vf4","vm":1,"wait":"1s"}') == *"1us"* ]]
}

@test "a device that comes back has its addresses, VFs and owners again" {
	bridge
	nic nic0
	nic nic1
	hv "${VFS[@]}"
	rows devices '[.device, .bars, .vf_bars]' >"$T/devices"
	protection >"$T/protection"
	kill_now nic0
	await device.gone
	[ "$(rows vf-allocation '.state' | sort -u)" = away ]
	[ "$(rows devices 'select(.device == "nic0") | .state')" = away ]
	nic nic0
	wait_until "$PATIENCE" all_ready
	rows devices '[.device, .bars, .vf_bars]' | diff "$T/devices" -
	protection | diff "$T/protection" -
}

all_ready() {
	[ "$(rows vf-allocation '.state' | sort -u)" = ready ]
}

@test "one that goes while a reset is held ends that reset only" {
	bridge
	nic nic0
	nic nic1
	hv "${VFS[@]}" --vf nic1/vf1=vm3
	call at '["reset.a115=hold"]'
	rpc_error hvmon reset '["nic0/pf0"]' >"$T/reset" 3>&- &
	await reset.a115 '.function == "nic0/pf0"'
	# The other device is nobody's prisoner.
	call reset '["nic1/vf1"]'
	call reset '["nic1/pf0"]'
	[ "$(rows vf-allocation 'select(.vf == "nic0/vf1") | .state')" \
		= suspended ]
	kill_now nic0
	await device.gone
	nic nic0
	call release '["reset.a115"]'
	wait_until "$PATIENCE" grep -q "went away" "$T/reset"
	wait_until "$PATIENCE" all_ready
}

@test "a reset that fails says so and its VMs are told" {
	bridge
	nic nic0
	hv "${VFS[@]}"
	call at '["reset.a115=fail"]'
	[[ $(rpc_error hvmon reset '["nic0/pf0"]') \
		== *"made to fail at reset.a115"* ]]
	assert_order reset.a115 reset.inject reset.failed
	# It was not reset, so that nothing is different.
	[ "$(rows devices .state)" = ready ]
	all_ready
	call at '["reset.settle=fail"]'
	[[ $(rpc_error hvmon reset '["nic0/pf0"]') \
		== *"made to fail at reset.settle"* ]]
	[ "$(rows devices .state)" = failed ]
	# Another reset sets it up.
	call reset '["nic0/pf0"]'
	all_ready
	[[ $(rpc_error hvmon reset '["nic0/vf9"]') == *"no nic0/vf9"* ]]
	[[ $(rpc_error hvmon reset '["nothing"]') == *nothing* ]]
}

@test "wrong options and missing peers have their statuses" {
	run -64 hvmon --vf nic0/vf1=vm1 --vf nic0/vf1=vm2
	assert_output --partial "nic0/vf1 is allocated to vm1 already"
	run -64 hvmon --vf nic0/vf1
	assert_output --partial "FUNCTION=VM"
	run -64 hvmon --vf nic0/vf1=vm1:10
	run -64 hvmon --vf nic0/pf0=vm1
	run -64 hvmon --max-vfs 65
	run -64 hvmon something
	run -69 hvmon
	assert_output --partial "no root bridge"
	bridge
	nic nic0
	run -69 hvmon --name=h1 --vf nic0/vf9=vm1
	assert_output --partial "no nic0/vf9: nic0 has 8 VFs"
	run -69 hvmon --name=h2 --vf nic0/vf1=vm9
	assert_output --partial "no vm9"
}
