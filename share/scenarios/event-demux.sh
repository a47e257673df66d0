# shellcheck shell=sh disable=SC2034,SC2154
# event-demux.sh - what event-demux and its campaign share; sourced by them, with
# their folder in $here.

# Installed in PREFIX/share/iovkit/scenarios, or in the source.
for bin in "$here/../../../bin" "$here/../../build/bin"; do
	command -v bmc >/dev/null && break
	[ ! -x "$bin/bmc" ] || PATH=$(cd "$bin" && pwd):$PATH
done
export LC_ALL=C

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

number() {
	case $1 in
	'' | *[!0-9]* | 0*) usage ;;
	esac
	echo "$1"
}

people() {
	# shellcheck disable=SC2059 # a format is what it gets
	[ "$json" ] || printf "$@"
}

# total KEY: the sum of its numbers in JSON on standard input.
total() {
	tr '{},' '[\n*]' | awk -F': *' -v key="\"$1\"" '
		$1 == key { sum += $2 }
		END { printf "%.0f\n", sum }'
}

# ratio A B
ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4g", b ? a / b : 0 }'
}

# machine RULE SPEC...: a guest for each, which has a partition of its own and is
# restarted by that rule.
machine() {
	rule=$1
	shift
	printf 'bridge: rootbridge --vms=%s --memory 16MiB\n' $#
	printf 'hca0: iovdev --type hca --vfs %s\n' $#
	printf 'hvmon: hvmon'
	n=0
	for _; do
		n=$((n + 1))
		printf ' --vf hca0/vf%s=vm%s' $n $n
	done
	printf '\n'
	n=0
	for spec; do
		n=$((n + 1))
		printf 'guest%s: RESTART=%s guestd --vm %s --exchange=%s\n' \
			$n "$rule" $n "$spec"
	done
}

# shared_machine RULE MORE: all guests' processes in partitions that have a
# hypervisor each (level 2), above the machine's own (level 1).  Guest i of a
# partition has the services from 10 i on, and those of guest i of another one
# for peers.
shared_machine() {
	each=$((processes / partitions))
	vms=$((partitions + processes))
	printf 'bridge: rootbridge --vms=%s --memory 16MiB --timeout 10s' $vms
	printf ' --exception-timeout 60s\n'
	printf 'hca0: iovdev --type hca --vfs %s\n' "$partitions"
	printf 'level1: hvmon --level 1'
	i=0
	while [ $((i += 1)) -le "$partitions" ]; do
		printf ' --vf hca0/vf%s=vm%s --guests vm%s=vm%s-vm%s' $i $i $i \
			$((partitions + 1 + (i - 1) * each)) \
			$((partitions + i * each))
	done
	printf '\nlevel2-[1-%s]: hvmon --level 2 --partition %%i --vm vm%%i\n' \
		"$partitions"
	i=0
	while [ $((i += 1)) -le "$partitions" ]; do
		printf 'guest[%s-%s]: RESTART=%s guestd --vm %%i' \
			$((partitions + 1 + (i - 1) * each)) \
			$((partitions + i * each)) "$1"
		printf ' --exchange=to=%s/%%n0,service=%%n0,queues=%s,%s\n' \
			"$(peer $i)" $((guests / processes)) "$2"
	done
}

# peer N: 2, 1, 4, 3, ...
peer() {
	echo $(($1 % 2 ? $1 + 1 : $1 - 1))
}

# specs MORE: of all guests, which share all queues.
specs() {
	i=0
	while [ $((i += 1)) -le "$partitions" ]; do
		echo "to=$(peer "$i"),queues=$((guests / partitions)),$1"
	done
}

# Whether the processes can share the queues, the partitions the processes, and
# be peers.
check_shares() {
	if [ $((partitions % 2 + processes % partitions)) -ne 0 ] ||
		[ $((guests % processes)) -ne 0 ] || [ "$partitions" -gt 30 ] ||
		{ [ "$processes" -gt "$partitions" ] &&
			[ $((guests / processes)) -gt 10 ]; }; then
		die "$guests queues cannot be shared by $processes processes" \
			"in $partitions partitions, an even number up to 30"
	fi
}

# go_there: into a folder of its own, gone at the end.
go_there() {
	command -v bmc >/dev/null || die 'bmc is not in PATH'
	dir=$(mktemp -d)
	trap 'rm -rf "$dir"' EXIT
	trap 'exit 1' HUP INT TERM
	cd "$dir" || exit
}
