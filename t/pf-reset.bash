# shellcheck shell=bash disable=SC2154,SC2034 # bats sets them
# pf-reset.bash - bats helpers: resets of nic0/pf0 while two guests work.
#
#	traffic_file [HVMON-OPTION...]		machine file, on standard output
#	traffic					let both guests work
#	reset [OPTION...]			FUNCTION, with iovctl's options
#	assert_all_answered			end the work: nothing is missing
#	assert_no_shutdown
#
# vm1 at nic0/vf1 and vm2 at nic0/vf2 send numbered frames to each other and
# read registers, many at a time.

FRAMES_RATE=${FRAMES_RATE:-5k}
LATENCY=300us..1ms
DEPTH=32
FUNCTION=nic0/pf0

# Rings that outlast what a busy computer does to a test: there is no flow
# control.  One operation takes less than the waiting time in any case.
traffic_file() {
	cat <<-END_FILE
		bridge: rootbridge ${BRIDGE_OPTIONS:-}
		nic0: ${RESTART:-} iovdev --vfs 4 --latency vf1=$LATENCY \\
			--latency vf2=$LATENCY
		hvmon: ${RESTART:-} hvmon --vf nic0/vf1=vm1:200ms \\
			--vf nic0/vf2=vm2:200ms $*
		vm1: ${RESTART:-} guestd --vm 1 --ring 8192 --buffer 256
		vm2: ${RESTART:-} guestd --vm 2 --ring 8192 --buffer 256
	END_FILE
}

# VM PEER-VF
guest_works() {
	iovctl call "$1" send \
		"{\"to\": \"$2\", \"rate\": \"$FRAMES_RATE\", \"size\": \"64\"}" \
		>/dev/null
	iovctl call "$1" requests "{\"depth\": $DEPTH}" >/dev/null
}

traffic() {
	guest_works vm1 nic0/vf2
	guest_works vm2 nic0/vf1
	iovctl wait show:inflight function=nic0/vf1 >/dev/null
	iovctl wait show:inflight function=nic0/vf2 >/dev/null
}

reset() {
	iovctl -t 10s reset "$FUNCTION" --json "$@"
}

# GUEST: JSON text; of one that is gone, nothing.
report() {
	iovctl call "$1" report --json 2>/dev/null || true
}

# GUEST: frames that came so far.
received() {
	[[ $(report "$1") =~ \"frames\":\{\"received\":([0-9]+) ]] ||
		BASH_REMATCH=(0 0)
	echo "${BASH_REMATCH[1]}"
}

# GUEST N: so many frames came.
more_than() {
	(($(received "$1") > $2))
}

none_outstanding() {
	local text
	text=$(report "$1")
	[[ $text && $text != *'"outstanding":'[1-9]* ]]
}

# SENDER RECEIVER: all that one sent came to the other one, once, in order.
all_came() {
	local send='.*"kind":"send"[^{}]*"done":([0-9]+)[^{}]*"stream":([0-9]+)'
	local none='"lost":0,"missed":0,"repeated":0,"reordered":0'
	[[ $(report "$1") =~ $send ]] || return 1
	local all="\\{\"received\":${BASH_REMATCH[1]},\"bytes\":[0-9]+,$none"
	all+=",\"stream\":${BASH_REMATCH[2]},"
	[[ $(report "$2") =~ $all ]]
}

# What was asked is answered once, what was sent came once, within SECONDS.
is_complete_in() {
	local guest
	for guest in vm1 vm2; do
		iovctl call "$guest" stop-workload >/dev/null || return 1
	done
	wait_until "$1" none_outstanding vm1 &&
		wait_until "$1" none_outstanding vm2 &&
		wait_until "$1" all_came vm1 vm2 &&
		wait_until "$1" all_came vm2 vm1
}

assert_all_answered() {
	if ! is_complete_in "$PATIENCE"; then
		report vm1
		report vm2
		iovctl show queues
		fail "something is missing"
	fi
}

assert_no_shutdown() {
	run events 'select(.ev == "shutdown")'
	assert_output ""
}
