# shellcheck shell=sh
# fast_path_peers.sh - the shared-memory packet interfaces of today, run by
# DPDK's testpmd; sourced by fast-path.
#
# A peer is two testpmd processes, its device's side and its guest's side, that
# are started once and stand still (SIGSTOP) but while they are sampled: both
# poll all the time.  Each has a directory with the files device.in (a FIFO for
# commands), device.out, device.pid, and the same for the guest.
#
#	one-hop	the guest sends as fast as it goes, the device drops
#	two-hop	frames circulate through two ports of each in one direction:
#		guest, port 0, device, port 1, guest
#	loop	the same, and as many in the other direction besides

peer_packages='dpdk dpdk-dev librte-net-memif23 librte-net-virtio23
	librte-net-vhost23'

# What is missing of the peers, if anything is.
peers_missing() {
	command -v dpdk-testpmd >/dev/null || {
		echo dpdk-testpmd
		return
	}
	for driver in memif vhost virtio; do
		for file in /usr/lib/*/dpdk/pmds-*/librte_net_$driver.so* \
			/usr/lib*/dpdk/pmds-*/librte_net_$driver.so* \
			/usr/lib/*/librte_net_$driver.so*; do
			[ ! -e "$file" ] || continue 2
		done
		echo "librte_net_$driver"
	done
}

peer_dir() {
	echo "$work/peer/$1"
}

# peer_pids PEER: of both sides.
peer_pids() {
	cat "$(peer_dir "$1")/device.pid" "$(peer_dir "$1")/guest.pid"
}

peer_signal() {
	for pid in $(peer_pids "$2"); do
		kill -"$1" "$pid" || die "peer $2 has ended: $(peer_log "$2")"
	done
}

peer_log() {
	tail -n 3 "$(peer_dir "$1")/device.out" "$(peer_dir "$1")/guest.out"
}

# peer_tell PEER SIDE COMMAND...
peer_tell() {
	told=$(peer_dir "$1")/$2
	kill -0 "$(cat "$told.pid")" ||
		die "peer $1 has ended: $(peer_log "$1")"
	shift 2
	printf '%s\n' "$@" >"$told.in"
}

# How often a line came.
peer_count() {
	grep -c "$3" "$(peer_dir "$1")/$2.out" || true
}

# peer_await PEER SIDE TEXT COUNT: until TEXT came so often.
peer_await() {
	tries=0
	while [ "$(peer_count "$1" "$2" "$3")" -lt "$4" ]; do
		kill -0 "$(cat "$(peer_dir "$1")/$2.pid")" ||
			die "peer $1 has ended: $(peer_log "$1")"
		[ $((tries += 1)) -lt 500 ] ||
			die "peer $1: no '$3' in 10 s: $(peer_log "$1")"
		sleep 0.02
	done
}

# peer_do PEER SIDE COMMAND...: and wait until it is done.
peer_do() {
	done_before=$(peer_count "$1" "$2" 'Number of available ports')
	peer_tell "$@" 'show port summary 0'
	peer_await "$1" "$2" 'Number of available ports' $((done_before + 1))
}

# peer_ports KIND SIDE PORTS DIR ZERO-COPY: options of so many ports.
peer_ports() {
	port=0
	while [ "$port" -lt "$3" ]; do
		case $1.$2 in
		memif.device)
			echo "--vdev net_memif$port,role=server,id=$port,socket-abstract=no,socket=$4/socket"
			;;
		memif.guest)
			echo "--vdev net_memif$port,role=client,id=$port,socket-abstract=no,socket=$4/socket,zero-copy=$5"
			;;
		vhost.device)
			echo "--vdev net_vhost$port,iface=$4/socket$port,queues=1"
			;;
		vhost.guest)
			echo "--vdev net_virtio_user$port,path=$4/socket$port,queues=1,queue_size=256"
			;;
		esac
		port=$((port + 1))
	done
}

# peer_side SIDE CPU PEER MODE OPTION...: start one testpmd.
peer_side() {
	side=$(peer_dir "$3")/$1
	cpu=$2
	mode=$4
	shift 4
	entries=1024
	case $side in
	*vhost*) entries=256 ;;
	esac
	mkfifo "$side.in"
	# It ends with the bench, whatever becomes of that.
	setpriv --pdeathsig KILL stdbuf -o0 \
		dpdk-testpmd --lcores "0@$cpu,1@$cpu" --no-pci --no-huge \
		--no-shconf -m "$peer_memory" --no-telemetry "$@" \
		-- -i --no-flush-rx --nb-cores=1 --total-num-mbufs=8192 \
		--mbuf-size="$peer_mbuf" --txd=$entries --rxd=$entries \
		--forward-mode="$mode" <>"$side.in" >"$side.out" 2>&1 &
	echo $! >"$side.pid"
}

# peer_side_of PEER SIDE: SHAPE.KIND, its kind memif, memif-zc (zero-copy) or
# vhost.
peer_side_of() {
	kind=${1#*.} mode=io ports=2 cpu=$device_cpu
	case $1.$2 in
	one-hop.*.device) mode=rxonly ports=1 ;;
	one-hop.*.guest) mode=txonly ports=1 ;;
	esac
	[ "$2" = device ] || cpu=$guest_cpu
	zero_copy=no segments=
	if [ "$kind" = memif-zc ]; then
		zero_copy=yes segments=--single-file-segments
	fi
	# shellcheck disable=SC2046,SC2086 # words
	peer_side "$2" "$cpu" "$1" $mode $segments $(peer_ports "${kind%-zc}" \
		"$2" $ports "$(peer_dir "$1")" $zero_copy)
}

# Until all ports are up.
peer_await_link() {
	ports=2
	[ "${1%%.*}" != one-hop ] || ports=1
	looks=0
	until [ "$(peer_up "$1")" -eq "$ports" ]; do
		[ $((looks += 1)) -lt 100 ] ||
			die "peer $1: no link: $(peer_log "$1")"
		peer_do "$1" guest 'show port summary all'
		sleep 0.02
	done
}

# peers_start PEER...: all at once, since each takes its time.
peers_start() {
	for peer; do
		mkdir -p "$(peer_dir "$peer")"
		peer_side_of "$peer" device
	done
	for peer; do
		peer_await "$peer" device 'Configuring Port' 1
		peer_side_of "$peer" guest
	done
	for peer; do
		peer_await_link "$peer"
		peer_do "$peer" device
		peer_signal STOP "$peer"
	done
}

# How many ports of the guest's side are up, by its last summary.
peer_up() {
	tr -d '\r' <"$(peer_dir "$1")/guest.out" | awk '
		/^Number of available ports/ { up = 0 }
		$1 ~ /^[0-9]+$/ && / up / { up++; all = up > all ? up : all }
		END { print all + 0 }'
}

# peer_size PEER BYTES: of the frames from now on.
peer_size() {
	peer_signal CONT "$1"
	case $1 in
	one-hop.*)
		peer_do "$1" device start
		peer_do "$1" guest stop "set txpkts $2" start
		;;
	*)
		# What circulates is taken out, at both ends.
		for side in device guest; do
			peer_do "$1" $side stop 'set fwd rxonly' start
		done
		sleep 0.05
		for side in guest device; do
			peer_do "$1" $side stop 'set fwd io'
		done
		# Half of what a ring holds, so that none is dropped.
		bursts=16
		case $1 in
		*vhost*) bursts=4 ;;
		esac
		peer_do "$1" guest "set txpkts $2" "start tx_first $bursts"
		case $1 in
		two-hop.*)
			# One direction goes no further.
			peer_do "$1" device 'set portlist 1' \
				'set fwd rxonly' start
			sleep 0.05
			peer_do "$1" device stop 'set portlist 0,1' 'set fwd io'
			;;
		esac
		peer_do "$1" device start
		;;
	esac
	peer_signal STOP "$1"
}

# peer_look PEER: million frames a second into the device's first port.
peer_look() {
	peer_signal CONT "$1"
	sleep "$warm_up_s"
	shown=$(peer_count "$1" device Rx-pps)
	peer_tell "$1" device 'show port stats 0'
	sleep "$sample_s"
	peer_tell "$1" device 'show port stats 0'
	peer_await "$1" device Rx-pps $((shown + 2))
	peer_signal STOP "$1"
	tr -d '\r' <"$(peer_dir "$1")/device.out" |
		awk '/Rx-pps/ { pps = $2 } END { print pps / 1e6 }'
}

# peer_sample PEER BYTES: the same; where all that circulated was dropped, which
# a busy computer may do, it is filled once more.
peer_sample() {
	mpps=$(peer_look "$1")
	if [ "$mpps" = 0 ]; then
		peer_size "$1" "$2"
		mpps=$(peer_look "$1")
	fi
	[ "$mpps" != 0 ] || die "peer $1: no frame came"
	echo "$mpps"
}

peers_stop() {
	for file in "$work"/peer/*/*.pid; do
		[ -f "$file" ] || continue
		pid=$(cat "$file")
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work/peer"
}
