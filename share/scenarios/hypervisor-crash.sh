# shellcheck shell=sh disable=SC2034,SC2154
# hypervisor-crash.sh - what hypervisor-crash and its campaign share; sourced by
# them, with their folder in $here.

# Installed in PREFIX/share/iovkit/scenarios, or in the source.
for bin in "$here/../../../bin" "$here/../../build/bin"; do
	command -v bmc >/dev/null && break
	[ ! -x "$bin/bmc" ] || PATH=$(cd "$bin" && pwd):$PATH
done
export LC_ALL=C
others='guest2 guest3'

die() {
	echo "hypervisor-crash: $*" >&2
	exit 1
}

quietly() {
	"$@" >/dev/null
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

await() {
	quietly iovctl wait -t 10s "$@" || die "not in time: $*"
}

milliseconds() {
	iovctl wait -t "$1ms" never 2>/dev/null || true
}

begin_traffic() {
	quietly iovctl call guest1 stop-workload
	quietly iovctl call guest1 reset-counters
	quietly iovctl call guest1 send '{"vf": "nic0/vf1", "to": "nic0/vf2"}'
	await show:streams src=guest1
}

# What does not come within this time is lost.
end_traffic() {
	quietly iovctl call guest1 stop-workload
	sent=$(iovctl --json call guest1 show '["queues"]' | sent_frames)
	iovctl wait -t 2s show:streams src=guest1 received="$sent" \
		>/dev/null 2>&1 || true
	streams=$(iovctl --json call guest1 show '["streams"]')
	repeated=$(echo "$streams" | total repeated)
	lost=$((sent - $(echo "$streams" | total received)))
	gap=$(echo "$streams" | total gap_ns)
}

sent_frames() {
	tr '}' '\n' | grep '"queue": *"tx"' | total frames
}

last_event() {
	iovctl --json events | sed -n '$s/.*"n":\([0-9]*\).*/\1/p'
}

# Of each takeover in the events on standard input one line: DETECT DETECT-MS
# TAKEOVER-MS DRAIN-MS STOPPED TOUCHED.  STOPPED: both others were told to stop
# before the claim, the former holder was fenced, and all their queues were off,
# in this order and with no step left out, before anything was served.
facts() {
	awk '
		function value(key, text) {
			if (!match($0, "\"" key "\":\"?[^,\"}]*"))
				return ""
			text = substr($0, RSTART, RLENGTH)
			sub(/^"[^"]*":"?/, "", text)
			return text
		}
		function tell() {
			if (!detect)
				return
			printf "%s %.3f %.3f %.3f %s %d\n", detect, \
				after / 1e6, takeover / 1e6, drain / 1e6, \
				stopped, touched
			takeover = drain = touched = 0
			steps = ""
		}
		{ ev = value("ev") }
		ev == "takeover.begin" {
			tell()
			detect = value("why")
			# It may be seen before bmc has written that it did it.
			after = fault ? value("t") - fault : 0
			if (after < 0)
				after = 0
			stopped = "false"
		}
		ev == "takeover.returned" { fault = 0 }
		ev == "program.signal" && !fault { fault = value("t") }
		ev == "takeover.stopped" && value("guests") < 2 { next }
		ev ~ /^(failover[.]1(60[34]|70[123])|takeover.stopped|fence.done)$/ {
			steps = steps ev " "
		}
		ev == "takeover.serving" {
			takeover = value("takeover_ns")
			drain = value("drain_ns")
			if (steps ~ /1603 .*stopped .*1604 .*fence.done .*1701 .*1702 .*1703 /)
				stopped = "true"
		}
		ev == "memory.checked" { touched += value("touched") }
		ev == "takeover.checked" { touched += value("written") }
		END { tell() }'
}
