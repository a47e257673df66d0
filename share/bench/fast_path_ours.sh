# shellcheck shell=sh
# fast_path_ours.sh - machines of ours; sourced by fast-path.
#
# A machine is powered on once and its device and guests stand still (SIGSTOP)
# but while it is sampled.  It is $work/m.NAME, and the pids of what polls are
# in $work/m.NAME.pids.

# What the fast path's options and workloads are not there yet, if any.
ours_missing() {
	iovdev --help | grep -q -- --poll || echo 'iovdev --poll'
	guestd --help | grep -q -- --poll || echo 'guestd --poll'
	iovdev --help | grep -q -- 'sink' || echo 'iovdev --lan sink'
	guestd --help | grep -q -- 'payload' || echo 'guestd --send payload='
	guestd --help | grep -q -- 'roundtrip' || echo 'guestd --roundtrip'
}

# ours_file POLL GUESTS VFS OPTIONS: of a machine whose VFs are dealt to its
# guests; the last guest has these options besides.
ours_file() {
	echo "bridge: rootbridge --no-timeout --vms=$(($2 + 1))"
	echo "nic0: iovdev --vfs $3 --lan sink --poll $1"
	printf 'hv: hvmon --max-vfs %s' "$3"
	vf=0
	while [ $((vf += 1)) -le "$3" ]; do
		printf ' --vf nic0/vf%s=vm%s' "$vf" $(((vf - 1) % $2 + 1))
	done
	echo
	vm=0
	while [ $((vm += 1)) -le "$2" ]; do
		echo "guest$vm: guestd --vm $vm --poll $1" \
			"--ring $our_ring --buffer $our_buffer" \
			"$([ "$vm" -lt "$2" ] || echo "$4")"
	done
}

# in_machine NAME COMMAND...
in_machine() {
	IOVKIT_MACHINE=$work/m.$1
	export IOVKIT_MACHINE
	shift
	"$@"
}

# ask NAME PROGRAM METHOD [PARAMS]
ask() {
	asked=$1
	shift
	in_machine "$asked" iovctl -t 30s call "$@"
}

# ours_start NAME POLL GUESTS VFS OPTIONS
ours_start() {
	at=$work/m.$1
	ours_file "$2" "$3" "$4" "$5" >"$at.file"
	mkfifo "$at.ready"
	setpriv --pdeathsig KILL bmc -m "$at" --ready-fd 3 \
		--start-timeout 1min "$at.file" \
		3>"$at.ready" >"$at.log" 2>&1 &
	echo $! >"$at.bmc"
	read -r _ <"$at.ready" || [ -d "$at/ctl" ] ||
		die "machine $1: $(cat "$at.log")"
	in_machine "$1" iovctl ps --json | jq -r '(.rows? // .)[] |
		select(.role == "iovdev" or .role == "guestd") |
		"\(.pid) \(.role)"' >"$at.pids"
	while read -r pid role; do
		cpu=$guest_cpu
		[ "$role" = guestd ] || cpu=$device_cpu
		taskset -acp "$cpu" "$pid" >/dev/null
	done <"$at.pids"
	ours_signal STOP "$1"
}

ours_signal() {
	while read -r pid _; do
		kill -"$1" "$pid" || die "machine $2: $(cat "$work/m.$2.log")"
	done <"$work/m.$2.pids"
}

# our_send NAME GUEST VF TO BYTES [RATE]: from now on; prints the workload.
our_send() {
	ask "$1" "$2" send "{\"vf\":\"$3\",\"to\":\"$4\",\"size\":\"$5\",
		\"payload\":\"plain\"${6:+,\"rate\":\"$6\"}}" --json |
		jq -r .workload
}

# An address that nobody has: it is sent out of the device.
outside=02:00:5e:00:53:01

# ours_size NAME BYTES: of the frames from now on.
ours_size() {
	ours_signal CONT "$1"
	# Not what else the guest does: it receives.
	[ ! -f "$work/m.$1.send" ] ||
		ask "$1" guest1 stop-workload \
			"{\"workload\":\"$(cat "$work/m.$1.send")\"}" >/dev/null
	case $1 in
	one-hop) our_send "$1" guest1 nic0/vf1 $outside "$2" ;;
	two-hop) our_send "$1" guest1 nic0/vf1 nic0/vf2 "$2" ;;
	two-hop-procs) our_send "$1" guest1 nic0/vf1 nic0/vf2 "$2" ;;
	esac >"$work/m.$1.send"
	ours_signal STOP "$1"
}

# two_looks NAME PROGRAM TABLE: at a table, a sample's time apart, on two
# lines, while the machine runs.
two_looks() {
	ours_signal CONT "$1"
	sleep "$warm_up_s"
	ask "$1" "$2" show "{\"table\":\"$3\"}" --json \
		>"$work/look.1"
	sleep "$sample_s"
	ask "$1" "$2" show "{\"table\":\"$3\"}" --json \
		>"$work/look.2"
	ours_signal STOP "$1"
}

# ours_sample NAME: million frames a second at the receiving end; nothing if
# none came.
ours_sample() {
	case $1 in
	one-hop)
		two_looks "$1" nic0 lan
		frames='.rows[0].sent' # and every byte was copied out
		;;
	two-hop)
		two_looks "$1" guest1 queues
		;;
	two-hop-procs)
		two_looks "$1" guest2 queues
		;;
	esac
	[ "$1" = one-hop ] ||
		frames='[.rows[] | select(.queue == "rx") | .frames] | add'
	jq -s "(map($frames) | .[1] - .[0]) / (.[1].t - .[0].t) * 1e3 |
		select(. > 0)" \
		"$work/look.1" "$work/look.2"
}

# ours_trip MODE: p50 and p99 of a frame's way to another VF and back, in us;
# nothing if none came back.
ours_trip() {
	name=trip-$1
	ours_signal CONT "$name"
	trip=$(ask "$name" guest1 roundtrip \
		'{"vf":"nic0/vf1","to":"nic0/vf2"}' --json | jq -r .workload)
	sleep "$warm_up_s"
	ask "$name" guest1 reset-counters >/dev/null
	sleep "$sample_s"
	ask "$name" guest1 show '{"table":"workload"}' \
		--json >"$work/look.1"
	ask "$name" guest1 stop-workload "{\"workload\":\"$trip\"}" >/dev/null
	ours_signal STOP "$name"
	jq -r '[.rows[] | select(.kind == "roundtrip")][-1] |
		select(.p50_ns > 0) | "\(.p50_ns / 1e3) \(.p99_ns / 1e3)"
		' "$work/look.1"
}

# ours_fan VFS: that many send at once; every second one asks for less than its
# share, a quarter of it.
ours_fan() {
	ours_signal CONT fan
	for guest in guest1 guest2; do
		ask fan $guest stop-workload >/dev/null
	done
	little=$(awk -v vfs="$1" '$1 == "fan" && $3 == 1 { one = $6 }
		END { printf "%d", one * 1e6 / vfs / 4 + 1 }' "$samples")
	vf=0
	while [ $((vf += 1)) -le "$1" ]; do
		rate=$little
		[ $((vf % 4)) -lt 3 ] && [ $((vf % 4)) -gt 0 ] && rate=
		our_send fan guest$(((vf - 1) % 2 + 1)) "nic0/vf$vf" $outside \
			$fan_bytes "$rate" >/dev/null
	done
	ours_signal STOP fan
}

# ours_fan_sample VFS: million frames a second of all VFs, and of that VF which
# got least of its share, what part it got; nothing if no frame came.  Who asks
# for less than an equal share has that for its share; the others have equal
# parts of what is left.
ours_fan_sample() {
	two_looks fan nic0 device-counters
	jq -rs --argjson vfs "$1" --argjson little "$little" '
		((.[1].t - .[0].t) / 1e9) as $s |
		[.[].rows | map(select(.function | test("/vf")))[:$vfs] |
			map(.tx_frames)] | transpose |
		map((.[1] - .[0]) / $s) | add as $all | select($all > 0) |
		to_entries | map(. + {asks:
			((.key + 1) % 4 | . == 0 or . == 3)}) |
		(map(select(.asks)) | length) as $n |
		([$little, $all / $vfs] | min) as $less |
		(($all - $n * $less) / ($vfs - $n)) as $more |
		"\($all / 1e6) \(map(.value /
			(if .asks then $less else $more end)) | min)"
	' "$work/look.1" "$work/look.2"
}

ours_stop() {
	for at in "$work"/m.*.bmc; do
		[ -f "$at" ] || continue
		bmc=$(cat "$at")
		while read -r pid _; do
			kill -CONT "$pid" 2>/dev/null || true
		done <"${at%.bmc}.pids"
		kill -TERM "$bmc" 2>/dev/null || true
		wait "$bmc" 2>/dev/null || true
		rm -rf "${at%.bmc}" "${at%.bmc}".*
	done
}
