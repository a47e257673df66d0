#!/usr/bin/env bats
# iovdev.bats - iovdev as a program: command line, sockets, its end.  What it
# does as a device is tested by the unit suites nic and nic_queue.

setup() {
	load machine
	machine_setup
	need iovdev
}

teardown() {
	machine_teardown
}

# usage TEXT OPTION...: refused with 64 and a message that has the text.
usage() {
	local text=$1
	shift
	run -64 iovdev --name=nic0 "$@"
	assert_output --partial "$text"
}

no_socket() {
	[[ ! -S $1 ]]
}

@test "iovdev: wrong options" {
	usage "no device type 'disk'" --type disk
	usage "--vfs" --vfs 0
	usage "--vfs" --vfs 65
	usage "there is no vf9" --latency vf9=1ms
	usage "neither pf0 nor a VF" --latency eth0=1ms
	usage "--latency" --latency vf1=fast
	usage "--latency" --latency 3ms..1ms
	usage "no MAC address" --mac-base 02:00:00
	usage "group address" --mac-base 01:00:00:00:00:00
	usage "no room" --mac-base 02:00:00:00:00:ff
	usage "exclude each other" --socket-path "$T/x" --fd 0
	usage "one word too many" nic0
	usage "no LAN 'wifi'" --lan wifi
	usage "no device name" --device 'a/b'
}

@test "iovdev: lists points and parts" {
	run -0 iovdev --list-points
	assert_line --regexp '^device\.flr '
	assert_line --regexp '^tx\.805 .*quiet'
	run -0 iovdev --list-parts
	assert_line --regexp '^bme '
	run -0 iovdev --version
	assert_output --partial "iovdev (iovkit)"
}

@test "iovdev: listens in the machine, and leaves nothing behind" {
	start nic0 iovdev --vfs 2
	[[ -S $M/dev/nic0/pf0.sock ]]
	[[ ! -e $M/dev/nic0/vf1.sock ]]
	stop nic0
	[[ ! -e $M/dev/nic0/pf0.sock ]]
}

@test "iovdev: takes a killed one's place" {
	start nic0 iovdev
	stop nic0 KILL 137
	[[ -S $M/dev/nic0/pf0.sock ]]
	touch "$M/dev/nic0/vf1.sock"
	start nic0 iovdev
	[[ ! -e $M/dev/nic0/vf1.sock ]]
	run -73 timeout "$PATIENCE" iovdev --name=nic0
	run -73 timeout "$PATIENCE" iovdev --name=other --device nic0
	stop nic0
}

@test "iovdev: ends with 71 when the bridge is gone" {
	need rootbridge
	start bridge rootbridge --vms=1
	start nic0 iovdev
	await device.attached
	stop bridge KILL 137
	finish nic0 71
	run -0 log nic0
	assert_output "iovdev: m0: nic0: nic0/pf0: the root bridge is gone"
	await exit '.src == "nic0" and .status == 71'
}

@test "iovdev: a machine's VFs come and go with VF Enable" {
	need rootbridge hvmon
	start bridge rootbridge --vms=1
	start nic0 iovdev --vfs 3
	start hv hvmon
	await device.ready
	[[ -S $M/dev/nic0/vf3.sock ]]
	run -0 rpc nic0 show '["device-functions"]'
	run -0 jq -c '[.rows[] | .state]' <<<"$output"
	assert_output '["attached","attached","attached","attached"]'
	stop hv
	stop nic0
	wait_until "$PATIENCE" no_socket "$M/dev/nic0/vf1.sock"
	stop bridge
}

@test "iovdev: a TAP that cannot be made" {
	need_tap
	run -64 timeout "$PATIENCE" iovdev --name=nic0 \
		--lan tap:this-name-is-too-long
	assert_output --partial "too long for an interface"
	run ! timeout "$PATIENCE" iovdev --name=nic0 --lan tap:lo
	assert_output --partial "TAP lo:"
}

@test "iovdev: a TAP goes away with its device" {
	local lan
	need_tap
	tap_name lan
	start nic0 iovdev --lan "tap:$lan"
	[[ -e /sys/class/net/$lan ]]
	stop nic0 KILL 137
	[[ ! -e /sys/class/net/$lan ]]
}

@test "iovdev: faults and captures of what is not there" {
	start nic0 iovdev --vfs 2
	run -0 rpc_error nic0 fault '["nic0/vf3", "tx", "hold"]'
	assert_output "no function 'nic0/vf3' here (nic0/pf0, nic0/vf1 to vf2)"
	run -0 rpc_error nic0 fault '["nic0/pf0", "tx", "hold"]'
	assert_output "nic0/pf0 has no queues"
	run -0 rpc_error nic0 fault '["nic0/vf1", "up", "hold"]'
	assert_output "no queue 'up' (tx or rx)"
	run -0 rpc_error nic0 fault '["nic0/vf1", "tx", "explode"]'
	assert_output --partial "no fault 'explode'"
	run -0 rpc_error nic0 capture '["nic0/vf1"]'
	assert_output --partial "pass a descriptor"
	run -0 rpc_error nic0 release '{"point": "device.nothing"}'
	assert_output "release: no point 'device.nothing'"
	run -0 rpc nic0 fault '["nic0/vf1", "tx", "loss 1% seed 5"]'
	run -0 jq -c '[.fault, .seed]' <<<"$output"
	assert_output '["loss 1% seed 5",5]'
	stop nic0
}
