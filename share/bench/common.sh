# shellcheck shell=sh disable=SC2034
# common.sh - what the benchmarks share; sourced by them.
#
# Programs come from $BUILDDIR/bin (default: build beside share), else from
# PATH.  A benchmark prints a table for people and, last, one line of JSON.

bench_dir=$(cd "$(dirname "$0")" && pwd)
BUILDDIR=${BUILDDIR:-$bench_dir/../../build}
[ ! -d "$BUILDDIR/bin" ] || PATH=$(cd "$BUILDDIR/bin" && pwd):$PATH
relay=$BUILDDIR/bench/relay

# A place of its own for machines; gone at the end.
XDG_RUNTIME_DIR=$(mktemp -d)
export XDG_RUNTIME_DIR PATH
trap 'rm -rf "$XDG_RUNTIME_DIR"' EXIT

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# median: of the numbers on standard input, one a line.
median() {
	sort -g | awk '{ v[NR] = $1 } END {
		if (!NR) exit 1
		print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
	}'
}

# ratio A B: A / B with three digits.
ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", a / b }'
}

# pid_of NAME: of a program of the running machine.
pid_of() {
	iovctl ps --json | jq -r --arg n "$1" \
		'(.rows? // .)[] | select(.name == $n) | .pid'
}
