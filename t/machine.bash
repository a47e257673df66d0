# machine.bash - bats helpers: every test has a machine of its own.
#
#	setup() {
#		load machine
#		machine_setup
#	}
#	teardown() {
#		machine_teardown
#	}
#
#	machine_start [BMC-OPTION...] <<'END'	power a machine file on, wait
#	bridge: rootbridge
#	END
#	machine_stop [STATUS]			power it off; bmc ends so
#	start NAME PROGRAM [ARG...]		start by hand, wait until ready
#	launch NAME PROGRAM [ARG...]		start by hand, do not wait
#	await_ready NAME			wait for what was launched
#	finish NAME STATUS			it ends by itself, with STATUS
#	stop NAME [SIGNAL [STATUS]]		(TERM, 0)
#	log NAME, out NAME			its standard error, output so far
#
#	rpc NAME METHOD [PARAMS]		result as JSON; fails on an error
#	rpc_error NAME METHOD [PARAMS]		the error; fails without one
#	row TABLE OWNER NAME FIELD		one field of a table's row
#	pid NAME				of a program of the machine
#
#	events [JQ-FILTER]			all programs', in order
#	await EV [JQ-CONDITION [SECONDS]]	an event, also a past one
#	assert_order EV...			first ones, in that order
#	wait_until SECONDS COMMAND [ARG...]	for what has no event
#	pings SPACE ADDRESS COUNT		none is lost
#
# $T is the test's directory, $M the machine's, $BIN where the programs are.
# Programs find the machine in IOVKIT_MACHINE.  teardown ends everything by
# pid, shows logs and events of a failed test, and fails when a process, a
# socket or a TAP is left.
#
# Nothing sleeps for a fixed time.  In the background 3>&- or bats waits.

bats_require_minimum_version 1.5.0

# How long anything may take before it counts as hanging.
PATIENCE=${PATIENCE:-30}

machine_setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	T=$BATS_TEST_TMPDIR
	BIN=$(realpath "${BUILDDIR:-$BATS_TEST_DIRNAME/../build}")/bin
	if [[ ! -x $BIN/bmc ]]; then
		fail "$BIN/bmc is not built"
	fi
	M=$T/m0
	PATH=$BIN:$PATH
	# IOVKIT_TEST marks every process of this test, see leftovers().
	export PATH XDG_RUNTIME_DIR=$T IOVKIT_MACHINE=$M IOVKIT_TEST=$T
	unset IOVKIT_DATA
	export MALLOC_PERTURB_=$((RANDOM % 255 + 1))
	mkdir "$T/log"
	mkfifo "$T/never"
	# Reading from it with a timeout is a pause that starts no process.
	exec {NEVER}<>"$T/never"
	watch_over
	declare -gA PIDS=() READY=()
	TAPS=()
}

# What bats waits for in `run` is out of the reach of its own timeout, so a
# test that hangs has its programs taken away, and fails.
watch_over() {
	(
		read -r -t "${WATCHDOG:-100}" -u "$NEVER" || true
		touch "$T/hung"
		for pid in $(leftovers); do
			kill -KILL "$pid"
		done
	) 3>&- 2>/dev/null &
	WATCHER=$!
}

# Whether the program is there; tests of what is not yet built are skipped.
need() {
	local program
	for program; do
		[[ -x $BIN/$program ]] || skip "$program is not built"
	done
}

# Root and /dev/net/tun, for tests with real TAPs and namespaces.
need_tap() {
	[[ $EUID -eq 0 ]] || skip "TAP needs root"
	[[ -c /dev/net/tun ]] || skip "no /dev/net/tun"
}

# tap_name VAR: a name for a TAP that no other test uses; teardown checks
# that it is gone.
tap_name() {
	local -n tap=$1
	printf -v tap 'iov%x%x' "$BASHPID" "${#TAPS[@]}"
	TAPS+=("$tap")
}

# Of the points where programs are struck, a third in each test of a run,
# another one each day (IOVKIT_SHARE tells which); all of them with
# IOVKIT_CAMPAIGN=long.
a_share() {
	local share=${IOVKIT_SHARE:-$((EPOCHSECONDS / 86400 % 3))}
	if [[ ${IOVKIT_CAMPAIGN:-} == long ]]; then
		cat
	else
		echo "IOVKIT_SHARE=$share" >&2
		awk -v k="$((BATS_TEST_NUMBER + share))" 'NR % 3 == k % 3'
	fi
}

# pause [MS]
pause() {
	local seconds
	printf -v seconds '0.%03d' "${1:-20}"
	read -r -t "$seconds" -u "$NEVER" || true
}

wait_until() {
	local seconds=$1 deadline ms=10
	shift
	# Bash has milliseconds as text only.
	deadline=$((${EPOCHREALTIME/[.,]/} + seconds * 1000000))
	until "$@"; do
		if ((${EPOCHREALTIME/[.,]/} > deadline)); then
			echo "not within $seconds s: $*"
			return 1
		fi
		# Looking costs more than what is waited for.
		pause "$ms"
		((ms = ms < 80 ? ms * 2 : 80))
	done
}

# pings SPACE ADDRESS COUNT: each is answered once, in order.  How long ping
# waits for the last ones by itself depends on how fast the others were; with
# -w it waits, and sends more meanwhile, whose answers do not count.
pings() {
	ip netns exec "$1" ping -n -c "$3" -w "$PATIENCE" -i 0.01 "$2" \
		>"$T/pings" || true
	if ! diff <(sed -n 's/.* icmp_seq=\([0-9]*\) .*/\1/p' "$T/pings" |
		head -n "$3") <(seq "$3"); then
		cat "$T/pings"
		return 1
	fi
}

# Starting and ending by hand

launch() {
	local name=$1 program=$2 fifo=$T/log/$1.ready fd
	shift 2
	rm -f "$fifo"
	mkfifo "$fifo"
	"$program" --name="$name" --ready-fd=9 "$@" 9>"$fifo" 3>&- \
		</dev/null >>"$T/log/$name.out" 2>>"$T/log/$name.err" \
		{NEVER}>&- &
	PIDS[$name]=$!
	exec {fd}<"$fifo"
	READY[$name]=$fd
}

await_ready() {
	local name=$1 fd=${READY[$1]} rc=0
	read -t "$PATIENCE" -r -u "$fd" || rc=$?
	exec {fd}<&-
	if ((rc > 128)); then
		echo "$name: not ready within $PATIENCE s"
		return 1
	elif ((rc)); then
		wait "${PIDS[$name]}" || rc=$?
		echo "$name: ended with $rc before it was ready: $(log "$name")"
		unset "PIDS[$name]"
		return 1
	fi
}

start() {
	launch "$@"
	await_ready "$1"
}

log() {
	cat "$T/log/$1.err"
}

out() {
	cat "$T/log/$1.out"
}

# Frozen, by SIGSTOP.
is_stopped() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null &&
		[[ ${stat##*) } == T* ]]
}

# Bash reaps its children by itself, so a pid that is gone means an end.
# A zombie has ended as well; bash may not have got to it.
is_gone() {
	local stat
	kill -0 "$1" 2>/dev/null || return 0
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	[[ ${stat##*) } == Z* ]]
}

finish() {
	local name=$1 status=$2 pid=${PIDS[$1]} rc=0
	if ! wait_until "$PATIENCE" is_gone "$pid"; then
		echo "$name (pid $pid) does not end"
		return 1
	fi
	wait "$pid" || rc=$?
	unset "PIDS[$name]"
	if ((rc != status)); then
		echo "$name ended with $rc, not $status: $(log "$name")"
		return 1
	fi
}

stop() {
	kill -s "${2:-TERM}" "${PIDS[$1]}"
	finish "$1" "${3:-0}"
}

machine_file() {
	cat >"$T/machine"
}

machine_start() {
	machine_file
	start bmc bmc --start-timeout "${PATIENCE}s" "$@" "$T/machine"
}

machine_launch() {
	machine_file
	launch bmc bmc "$@" "$T/machine"
}

machine_stop() {
	stop bmc TERM "${1:-0}"
}

# Asking

# A jq takes as long to start as a machine: where text will do, none is.

rpc_raw() {
	local params=${3:-[]}
	printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' \
		"$2" "${params//$'\n'/ }" |
		socat -t "$PATIENCE" - "UNIX-CONNECT:$M/ctl/$1.sock"
}

rpc() {
	local reply head='{"jsonrpc":"2.0","id":1,"result":'
	reply=$(rpc_raw "$@")
	if [[ $reply != "$head"* ]]; then
		echo "rpc $*: $reply"
		return 1
	fi
	reply=${reply#"$head"}
	echo "${reply%\}}"
}

# card_goes_away: vm1 finds that its card's config space does not answer, as the
# hypervisor hv is no more.
card_goes_away() {
	local hv
	hv=$(pid hv)
	kill -KILL "$hv"
	wait_until "$PATIENCE" is_gone "$hv"
	rpc vm1 reset-card '[0]' >"$T/answer"
	await card.away
}

rpc_error() {
	rpc_raw "$@" | jq -re .error.message
}

row() {
	rpc "$2" show "[\"$1\"]" | jq -re --arg name "$3" --arg field "$4" \
		'.rows[] | select(.name == $name) | .[$field] | tostring'
}

pid() {
	[[ $(rpc bmc show '["processes"]') =~ \
		\"name\":\"$1\"[^{}]*\"pid\":([0-9]+) ]] &&
		echo "${BASH_REMATCH[1]}"
}

# Events

events() {
	cat "$M"/events/*.jsonl | jq -nc "[inputs] | sort_by(.n)[] | ${1:-.}"
}

# EV CONDITION: whether there is such an event.
has_event() {
	local lines
	lines=$(grep -hs "\"ev\":\"$1\"" "$M"/events/*.jsonl) || return 1
	[[ ${2:-true} == true ]] ||
		[[ -n $(jq -c "select($2)" <<<"$lines" 2>/dev/null) ]]
}

await() {
	wait_until "${3:-$PATIENCE}" has_event "$1" "${2:-true}"
}

# The first of each event comes after the first of the one before.
assert_order() {
	local ev n last=0
	for ev; do
		n=$(events "select(.ev == \"$ev\") | .n" | head -n 1)
		if [[ -z $n ]]; then
			fail "no event $ev"
		elif ((n <= last)); then
			fail "event $ev (n $n) came before the one named earlier"
		fi
		last=$n
	done
}

# The end of a test

# Pids that this test started, directly or not: they have IOVKIT_TEST in the
# environment they were executed with, which this shell has not.
leftovers() (
	export -n IOVKIT_TEST
	grep -lszx "IOVKIT_TEST=$T" /proc/[0-9]*/environ | cut -d/ -f3
)

no_leftovers() {
	[[ -z $(leftovers) ]]
}

show_file() {
	[[ -s $1 ]] || return 0
	echo "--- ${1##*/}"
	tail -n "$2" "$1"
}

show_logs() {
	local file
	for file in "$T"/log/*.err; do
		show_file "$file" 20
	done
	for file in "$M"/events/*.jsonl; do
		show_file "$file" 20
	done
}

# TERM, then KILL for who does not listen; the latter is a failure.
end_all() {
	local name pid left
	for name in "${!PIDS[@]}"; do
		# One that is frozen has to run to end.  No other gets CONT: it
		# might undo the SIGSTOP with which the leak checker of the
		# sanitizers attaches to one that ends.
		if is_stopped "${PIDS[$name]}"; then
			kill -CONT "${PIDS[$name]}" 2>/dev/null || true
		fi
		kill "${PIDS[$name]}" 2>/dev/null || true
	done
	wait_until "$PATIENCE" no_leftovers && return
	for pid in $(leftovers); do
		left+=" $pid ($(tr '\0' ' ' <"/proc/$pid/cmdline"))"
		kill -KILL "$pid" || true
	done 2>/dev/null
	echo "left and killed:$left"
	return 1
}

# What a program built with sanitizers has to say, at its end too.
sanitizers_content() {
	! grep -Es -A20 'ERROR: [A-Za-z]+Sanitizer|runtime error:' "$T"/log/*.err
}

machine_teardown() {
	local failed=0 tap bmc_pid=${PIDS[bmc]:-} rc=0
	[[ -v NEVER ]] || return 0
	kill "$WATCHER" 2>/dev/null && { wait "$WATCHER" || true; }
	[[ ${BATS_TEST_COMPLETED:-} ]] || show_logs
	if [[ -e $T/hung ]]; then
		echo "the test hung: its programs were killed"
		failed=1
	fi
	end_all || failed=1
	# A bmc that was alive until now has tidied up.
	if [[ $bmc_pid ]]; then
		wait "$bmc_pid" || rc=$?
		if [[ -n $(find "$M" -type s 2>/dev/null) ]]; then
			echo "sockets left: $(find "$M" -type s)"
			failed=1
		fi
	fi
	sanitizers_content || failed=1
	for tap in "${TAPS[@]}"; do
		if [[ -e /sys/class/net/$tap ]]; then
			echo "TAP left: $tap"
			ip link del "$tap"
			failed=1
		fi
	done
	return "$failed"
}
