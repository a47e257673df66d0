#!/usr/bin/env bats
# shellcheck disable=SC2016 # what other shells are to expand
# bmc.bats - the board controller: machine files, supervision, stop reasons,
# COMMAND, and what is left when something dies.
#
# The programs of these machines are scripts: bmc looks for ours beside its
# own binary, so a copy of it stands beside scripts with their names.

setup() {
	load machine
	machine_setup
}

teardown() {
	machine_teardown
}

# A copy of bmc in $T/bin, with a script for each of our programs that gets
# ready and runs on; options make it do something else.
fake_programs() {
	mkdir "$T/bin"
	cp "$BIN/bmc" "$T/bin"
	cat >"$T/bin/guestd" <<-'END'
		#!/bin/bash
		for word; do
			case $word in
			--name=*) name=${word#*=} ;;
			--ready-fd=*) fd=${word#*=} ;;
			--exit=*) exit "${word#*=}" ;;
			--never) exec sleep 1000 ;;
			--meet=*)
				mkdir -p "${word#*=}"
				touch "${word#*=}/$name"
				until (($(ls "${word#*=}" | wc -l) >= 16)); do
					read -r -t 0.05 <>"$IOVKIT_TEST/never"
				done
				;;
			--once) once=1 ;;
			--deaf) trap '' TERM ;;
			--ask=*) ask=${word#*=} ;;
			--when=*) [[ -e ${word#*=} ]] || exit 7 ;;
			--say=*) echo "${word#*=}" >&2 ;;
			--shutdown=*)
				printf '\2\0\0\0%s\0' "${word#*=}" |
					dd of="$IOVKIT_MACHINE/state" bs=1 \
						seek=256 conv=notrunc status=none
				exit 71
				;;
			esac
		done
		echo out of "$name"
		echo >&"$fd"
		[[ ${once:-} ]] && exit 0
		[[ ${ask:-} ]] && eval "exec socat -t 10 \
			OPEN:$ask,rdonly,ignoreeof!!OPEN:$ask.out,creat,append \
			UNIX-CONNECT:$IOVKIT_MACHINE/ctl/bmc.sock $fd>&-"
		eval "exec sleep 1000 $fd>&-"
	END
	chmod +x "$T/bin/guestd"
	ln "$T/bin/guestd" "$T/bin/rootbridge"
	ln "$T/bin/guestd" "$T/bin/iovdev"
	ln "$T/bin/guestd" "$T/bin/hvmon"
	PATH=$T/bin:$PATH
}

state_of() {
	awk '$1 == "State:" { print $2 }' "/proc/$1/status"
}

# A machine file on standard input is refused with status 65 and this line.
assert_refused() {
	machine_file
	run -65 bmc "$T/machine"
	assert_output "bmc: $T/machine$1"
	assert [ ! -e "$M" ]
}

@test "a machine file that says nonsense is refused with its place" {
	assert_refused ":3: unterminated quote" <<-'END'
		# one
		a: /bin/true
		b: /bin/true 'x
	END
	assert_refused ":1: unknown program 'iovdv' (rootbridge, iovdev, hvmon, guestd, or a path)" \
		<<<"a: iovdv"
	assert_refused ":2: second program named 'a' (line 1)" <<-'END'
		a: /bin/true
		a: /bin/false
	END
	assert_refused ":1: bad name 'A': a small letter, then up to 15 of a-z 0-9 _ -" \
		<<<"A: /bin/true"
	assert_refused ": no programs" </dev/null
	assert_refused ":1: cannot run /no/such: No such file or directory" \
		<<<"a: /no/such"
}

@test "a machine file is checked without a machine" {
	machine_file <<<"a: RESTART=always /bin/true"
	run -0 --separate-stderr bmc --check "$T/machine"
	assert_output ""
	# shellcheck disable=SC2154 # run sets it
	assert_equal "$stderr" ""
	assert [ ! -e "$M" ]
}

@test "usage" {
	run -64 bmc
	assert_output --partial "no machine file"
	run -64 bmc x y
	assert_output --partial "put -- before COMMAND"
	run -64 bmc --start-timeout 10 x
	assert_output --partial "--start-timeout: "
	run -65 bmc "$T/none"
	assert_output "bmc: $T/none: No such file or directory"
	run -65 bmc none
	assert_output "bmc: none: No such file or directory"
	run -65 bmc "$T"
	assert_output "bmc: $T: Is a directory"
}

@test "a machine is found by its name" {
	mkdir -p "$T/data/machines"
	echo "x: /bin/sleep 1000" >"$T/data/machines/just-x"
	IOVKIT_DATA=$T/data run -0 bmc just-x -- true
	run -0 events 'select(.ev == "power.on") | .file'
	assert_output '"just-x"'
}

@test "a machine file comes through a pipe, too" {
	run -0 bmc <(echo "x: /bin/sleep 1000") -- true
}

@test "programs start in line order, each when the one before is ready, and end in reverse" {
	fake_programs
	machine_start <<-'END'
		bridge: rootbridge
		nic0:   iovdev
		x:      /bin/sleep 1000
	END
	machine_stop
	run -0 events 'select(.ev | IN("program.start", "program.ready",
		"power.up", "ready", "power.stop", "program.gone"))
		| "\(.ev) \(.name)"'
	assert_output - <<-'END'
		"program.start bridge"
		"program.ready bridge"
		"program.start nic0"
		"program.ready nic0"
		"program.start x"
		"program.ready x"
		"power.up null"
		"ready null"
		"power.stop x"
		"program.gone x"
		"power.stop nic0"
		"program.gone nic0"
		"power.stop bridge"
		"program.gone bridge"
	END
}

@test "the programs of a line with a range start together and end together" {
	fake_programs
	# Each gets ready when it sees sixteen of them; more are not started.
	machine_start <<-END
		bridge: rootbridge
		g[1-20]: guestd --meet=$T/met --say=%i
		x: /bin/sleep 1000
	END
	assert_equal "$(events 'select(.ev == "program.ready" and
		.name != "bridge") | .name' | tail -n 1)" '"x"'
	run -0 log bmc
	assert_line "g20: 20"
	machine_stop
	run -0 events 'select(.ev | IN("power.stop", "program.gone")) |
		"\(.ev) \(.name)"'
	assert_equal "$(head -n 18 <<<"$output")" "$(
		echo '"power.stop x"'
		echo '"program.gone x"'
		seq -f '"power.stop g%.0f"' 20 -1 5
	)"
	assert_equal "$(tail -n 2 <<<"$output")" "$(
		echo '"power.stop bridge"'
		echo '"program.gone bridge"'
	)"
}

@test "bmc raises its own limit of descriptors, and says when it does not do" {
	fake_programs
	machine_file <<-'END'
		bridge: rootbridge
		g[1-20]: guestd
	END
	run -0 bash -c "ulimit -Sn 40 && bmc '$T/machine' -- bash -c 'ulimit -n'"
	assert_output 40
	run -70 bash -c "ulimit -n 100 && bmc '$T/machine'"
	assert_output "bmc: 21 programs need 127 descriptors, and 100 are allowed (ulimit -Hn)"
}

@test "a program has a name, a group of its own, and no descriptors but its own" {
	fake_programs
	machine_start <<<"nic0: iovdev --type nic"
	local pid
	pid=$(pid nic0)
	run -0 ps -o pgid= -p "$pid"
	assert_output --regexp "^ *$pid\$"
	run -0 readlink "/proc/$pid/fd/0" "/proc/$pid/fd/1"
	assert_output $'/dev/null\n/dev/null'
	run -0 ls "/proc/$pid/fd"
	assert_output $'0\n1\n2'
	# What the shell in it was executed with.
	run -0 cat "$T/log/bmc.out"
	assert_output ""
	run -0 row processes bmc nic0 ready
	assert_output true
}

@test "what programs say goes to standard error with their name in front" {
	fake_programs
	mkfifo "$T/said"
	machine_file <<-END
		nic0: iovdev --say=one --say=two
		x: /bin/sh -c 'printf "no newline" >&2; echo command >$T/said; exec sleep 1000'
	END
	run -0 --separate-stderr bmc "$T/machine" -- cat "$T/said"
	assert_output command
	# shellcheck disable=SC2154 # run sets it
	assert_equal "$stderr" $'nic0: one\nnic0: two\nx: no newline'
}

@test "a COMMAND has the machine, and its status is bmc's" {
	machine_file <<<"x: /bin/sleep 1000"
	run -0 bmc "$T/machine" -- sh -c 'cat; echo "$IOVKIT_MACHINE"' <<<input
	assert_output $'input\n'"$M"
	run -7 bmc "$T/machine" -- sh -c 'exit 7'
	run -143 bmc "$T/machine" -- sh -c 'kill -TERM $$'
	run -137 bmc "$T/machine" -- sh -c 'kill -KILL $$'
	run -127 bmc "$T/machine" -- no-such-command
	assert_output "bmc: m0: cannot run no-such-command: No such file or directory"
	run -126 bmc "$T/machine" -- "$T"
	assert_output "bmc: m0: cannot run $T: Permission denied"
	PATH=/usr/bin:/bin run -0 "$BIN/bmc" "$T/machine" -- sh -c 'command -v bmc'
	assert_output "$BIN/bmc"
}

@test "a COMMAND is not started before all is ready, and ends before the rest" {
	fake_programs
	machine_file <<-'END'
		a: rootbridge
		b: /bin/sleep 1000
	END
	run -0 bmc "$T/machine" -- true
	assert_order program.start power.up command.start command.end power.off power.stop power.down
}

@test "SIGTERM ends COMMAND first" {
	machine_file <<<"x: /bin/sleep 1000"
	launch bmc bmc "$T/machine" -- sleep 1000
	await command.start
	stop bmc TERM 143
	assert_order command.start power.off command.end power.stop
}

@test "SIGINT and SIGHUP power off, too" {
	machine_start <<<"x: /bin/sleep 1000"
	stop bmc INT 0
	machine_start <<<"x: /bin/sleep 1000"
	stop bmc HUP 0
}

@test "a program that ends by itself is shown as ended, and the machine goes on" {
	fake_programs
	machine_start <<-'END'
		guest: guestd --once
		dead:  /bin/sh -c 'exit 3'
		x:     /bin/sleep 1000
	END
	await program.gone '.name == "guest" and .status == 0'
	await program.gone '.name == "dead" and .status == 3'
	run -0 row processes bmc guest state
	assert_output ended
	run -0 row processes bmc dead status
	assert_output 3
	kill -KILL "$(pid x)"
	await program.gone '.name == "x" and .signal == "KILL"'
	run -0 row processes bmc x status
	assert_output SIGKILL
	machine_stop
}

@test "RESTART says what is started again" {
	machine_start <<-'END'
		no: RESTART=no /bin/sleep 1000
		failure: RESTART=on-failure /bin/sleep 1000
		always: RESTART=always /bin/sleep 1000
		fine: RESTART=on-failure /bin/sh -c 'exec sleep 0.01'
	END
	local before
	await program.gone '.name == "fine"'
	before=$(pid failure)
	kill -KILL "$before" "$(pid always)" "$(pid no)"
	await program.ready '.name == "failure" and .pid != '"$before"
	run -0 row processes bmc failure restarts
	assert_output 1
	run -0 row processes bmc always restarts
	assert_output 1
	run -0 row processes bmc fine restarts
	assert_output 0
	run -0 row processes bmc no state
	assert_output ended
	machine_stop
}

@test "five restarts in ten seconds are giving up" {
	machine_file <<-'END'
		a: /bin/sleep 1000
		x: RESTART=always /bin/true
	END
	run -70 bmc "$T/machine" -- sleep 1000
	assert_output "bmc: m0: x: restarted 5 times in 10 s, giving up"
	run -0 events 'select(.ev == "program.restart") | .restarts'
	assert_output $'1\n2\n3\n4\n5'
}

@test "a machine that does not come up says why" {
	fake_programs
	machine_file <<-'END'
		a: rootbridge
		b: iovdev --exit=64
		c: /bin/sleep 1000
	END
	run -64 bmc "$T/machine"
	assert_output "bmc: m0: b: ended before it was ready (64)"
	run -0 events 'select(.name == "c")'
	assert_output ""

	machine_file <<<"b: iovdev --never"
	run -70 bmc --start-timeout 100ms "$T/machine"
	assert_output "bmc: m0: b: not ready within 100 ms"

	echo garbage >"$T/x"
	chmod +x "$T/x"
	machine_file <<<"x: $T/x"
	run -65 bmc "$T/machine"
	assert_output "bmc: m0: x: cannot run $T/x: Exec format error"
}

@test "without the root bridge power is lost" {
	fake_programs
	machine_file <<-'END'
		bridge: rootbridge
		x: /bin/sleep 1000
		y: RESTART=always /bin/sleep 1000
	END
	launch bmc bmc "$T/machine" -- sleep 1000
	await command.start
	kill -KILL "$(pid bridge)"
	finish bmc 71
	run -0 log bmc
	assert_output "bmc: m0: shut down: bridge ended (SIGKILL)"
	assert_order power.up power.lost power.down exit
	run -0 events 'select(.ev == "program.restart")'
	assert_output ""
}

@test "bmc names the cause of a shutdown" {
	fake_programs
	machine_file <<-'END'
		bridge: rootbridge
		x: /bin/sleep 1000
		killer: /bin/true
	END
	# Starting the bridge anew makes it shut the machine down.
	cat >>"$T/bin/rootbridge" <<-'END'
	END
	sed -i 's/^eval .*/read -r line <"$IOVKIT_TEST\/cause"\
		exec "$0" --shutdown="$line"/' "$T/bin/rootbridge"
	mkfifo "$T/cause"
	launch bmc bmc "$T/machine" -- sh -c 'echo operation nic0/vf1:5 >"$IOVKIT_TEST/cause"; exec sleep 1000'
	finish bmc 71
	run -0 log bmc
	assert_output "bmc: m0: shut down: operation nic0/vf1:5"
	run -0 events 'select(.ev == "power.lost") | .cause'
	assert_output '"shut down: operation nic0/vf1:5"'
}

@test "frozen is answered when it is stopped, thawed when it runs" {
	machine_start <<<"x: /bin/sleep 1000"
	local pid
	pid=$(pid x)
	run -0 rpc bmc freeze '["x"]'
	assert_equal "$(state_of "$pid")" T
	run -0 jq -c '[.state, .reasons]' <<<"$output"
	assert_output '["frozen",["operator"]]'
	rpc bmc freeze '["x", "a105"]'
	run -0 rpc bmc thaw '["x"]'
	assert_equal "$(state_of "$pid")" T
	run -0 rpc bmc thaw '["x", "a105"]'
	run -0 jq -c '[.state, .reasons]' <<<"$output"
	assert_output '["running",[]]'
	assert_equal "$(state_of "$pid")" S
	# By pid, as a hypervisor knows its guests.
	rpc bmc freeze "[\"$pid\"]"
	rpc bmc thaw "{\"pid\": $pid}"
	rpc bmc freeze "{\"pid\": $pid}"
	assert_equal "$(state_of "$pid")" T
	machine_stop
}

@test "many freezes and thaws at once end as the last one says" {
	machine_start <<<"x: /bin/sleep 1000"
	local i
	for ((i = 0; i < 200; i++)); do
		echo '{"jsonrpc":"2.0","id":1,"method":"freeze","params":["x"]}'
		echo '{"jsonrpc":"2.0","id":2,"method":"thaw","params":["x"]}'
	done >"$T/requests"
	run -0 socat -t "$PATIENCE" - "UNIX-CONNECT:$M/ctl/bmc.sock" <"$T/requests"
	assert_equal "$(grep -c '"result"' <<<"$output")" 400
	run -0 row processes bmc x state
	assert_output running
	run -0 state_of "$(pid x)"
	assert_output S
}

@test "a frozen process stays so when somebody else continues it" {
	machine_start <<<"x: /bin/sleep 1000"
	rpc bmc freeze '["x"]'
	kill -CONT "$(pid x)"
	wait_until "$PATIENCE" has_two_stops
	run -0 state_of "$(pid x)"
	assert_output T
	rpc bmc thaw '["x"]'
	run -0 state_of "$(pid x)"
	assert_output S
}

has_two_stops() {
	(($(events 'select(.ev == "program.frozen")' | wc -l) == 2))
}

@test "a process that somebody else stopped is shown as frozen and left so" {
	machine_start <<<"x: /bin/sleep 1000"
	kill -STOP "$(pid x)"
	await program.frozen '.by == "other"'
	run -0 row processes bmc x state
	assert_output frozen
	run -0 row processes bmc x reasons
	assert_output '["other"]'
	rpc bmc freeze '["x", "a105"]'
	kill -CONT "$(pid x)"
	await program.thawed '.by == "other"'
	wait_until "$PATIENCE" has_two_stops
	kill -STOP "$(pid x)"
	rpc bmc thaw '["x", "a105"]'
	machine_stop
}

@test "an operator thaws what somebody else stopped" {
	machine_start <<<"x: /bin/sleep 1000"
	kill -STOP "$(pid x)"
	await program.frozen '.by == "other"'
	rpc bmc thaw '["x"]'
	run -0 state_of "$(pid x)"
	assert_output S
}

@test "reasons end with the program that gave them" {
	printf '%s\n' \
		'{"jsonrpc":"2.0","id":1,"method":"freeze","params":["x","a105"]}' \
		'{"jsonrpc":"2.0","id":1,"method":"freeze","params":["y","a105"]}' \
		>"$T/requests"
	machine_start <<-END
		x: /bin/sleep 1000
		y: /bin/sleep 1000
		asker: /usr/bin/socat OPEN:$T/requests,ignoreeof UNIX-CONNECT:$M/ctl/bmc.sock
	END
	await program.frozen '.name == "x"'
	await program.frozen '.name == "y"'
	rpc bmc freeze '["y", "operator"]'
	kill -KILL "$(pid asker)"
	await program.thawed '.name == "x"'
	run -0 row processes bmc y reasons
	assert_output '["operator"]'
	machine_stop
}

# pids NAME...: on one line.
pids() {
	local name
	for name; do
		pid "$name"
	done | paste -sd' '
}

@test "a soft reset kills hypervisor and guests, and starts them in line order" {
	fake_programs
	machine_start <<-'END'
		bridge: rootbridge
		nic: iovdev
		g1: guestd
		hv: hvmon
		g2: RESTART=always guestd --deaf
		done: guestd --once
		off: RESTART=always guestd
		crashed: guestd
		x: /bin/sleep 1000
	END
	await program.gone '.name == "done"'
	iovctl stop off
	iovctl kill crashed
	kill -STOP "$(pid g2)"
	await program.frozen '.name == "g2"'
	before=$(pids bridge nic x)
	was=$(pids g1 hv g2)
	run -0 iovctl soft-reset
	assert_line "killed 3"
	await soft-reset.done '.killed == 3'
	assert_equal "$(pids bridge nic x)" "$before"
	for i in g1 hv g2 crashed; do
		[[ $(row processes bmc $i ready) == true ]]
	done
	for i in $(pids g1 hv g2); do
		[[ " $was " != *" $i "* ]]
	done
	[[ $(row processes bmc off pid) == null ]]
	[[ $(row processes bmc "done" pid) == null ]]
	# All gone before the first starts; each starts when the last is ready.
	sed '1,/"soft-reset.begin"/d' "$M/events/bmc.jsonl" |
		jq -r '"\(.ev) \(.name)"' >"$T/after"
	run -0 head -3 "$T/after"
	refute_line --regexp '^program.[^g]'
	run -0 sed -n '4,/soft-reset.done/p' "$T/after"
	assert_output "$(
		for i in g1 hv g2 crashed; do
			printf '%s\n' "soft-reset.start $i" \
				"program.start $i" "program.ready $i"
		done
		echo soft-reset.done null
	)"
	machine_stop
}

has_lines() {
	[[ $(grep -c -- "$2" "$3") -eq $1 ]]
}

# request FILE METHOD PARAMS: what a program with --ask=FILE sends to bmc.
request() {
	printf '{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}\n' \
		"$2" "$3" >>"$T/$1"
}

@test "a soft reset spares the guest that asks, and drops the hypervisor's reasons" {
	fake_programs
	request hv freeze '["x", "schedule"]'
	: >"$T/g1"
	machine_start <<-END
		x: /bin/sleep 1000
		hv: hvmon --ask=$T/hv
		g2: guestd
		g1: guestd --ask=$T/g1
	END
	wait_until 5 grep -q '"frozen"' "$T/hv.out"
	was=$(pids x g1)
	request g1 soft-reset '[]'
	await soft-reset.done '.killed == 2'
	assert_equal "$(pids x g1)" "$was"
	run -0 cat "$T/g1.out"
	assert_output --partial '"killed":2'
	# The new one stopped it again, which shows that it ran in between.
	wait_until 5 has_lines 2 '"frozen"' "$T/hv.out"
	# Fenced, it holds nobody any more.
	rpc bmc fence '["hv"]'
	await program.fenced '.name == "hv"'
	[[ $(row processes bmc x state) == running ]]
	request hv freeze '["x", "schedule"]'
	wait_until 5 grep -q 'hv is fenced' "$T/hv.out"
	[[ $(row processes bmc x state) == running ]]
	run -0 rpc_error bmc fence '["nobody"]'
	machine_stop
}

@test "a soft reset again, during one, and without a hypervisor" {
	fake_programs
	touch "$T/ok"
	machine_start <<-END
		g1: guestd
		hv: hvmon --when=$T/ok
		g2: RESTART=always guestd
		g3: guestd --when=$T/ok
	END
	iovctl at bmc soft-reset.start=hold:2
	iovctl soft-reset
	await soft-reset.start '.name == "hv"'
	run -0 rpc_error bmc start '["g2"]'
	assert_output --partial "about to start"
	run -0 iovctl soft-reset
	assert_line "killed 1"
	await soft-reset.done '.killed == 1'
	for i in g1 hv g2 g3; do
		[[ $(row processes bmc $i ready) == true ]]
	done
	rm "$T/ok"
	run -0 iovctl soft-reset
	assert_line "killed 4"
	await soft-reset.failed '.name == "hv"'
	[[ $(row processes bmc g1 ready) == true ]]
	[[ $(row processes bmc g2 pid) == null ]]
	touch "$T/ok"
	iovctl soft-reset
	wait_until 5 has_lines 2 '"soft-reset.done"' "$M/events/bmc.jsonl"
	# A guest that does not come up is passed over.
	iovctl at bmc soft-reset.start=fail:1
	iovctl soft-reset
	wait_until 5 has_lines 3 '"soft-reset.done"' "$M/events/bmc.jsonl"
	[[ $(row processes bmc g1 pid) == null ]]
	[[ $(row processes bmc g3 ready) == true ]]
	iovctl at bmc soft-reset.start=hold
	iovctl soft-reset
	machine_stop
}

table_state() {
	rpc bmc show '["state"]' |
		jq -r '.rows[] | "\(.of) \(.vm) \(.heartbeat) \(.pid)"'
}

@test "a soft reset at power on leaves alone what was not started yet" {
	fake_programs
	request g1 soft-reset '[]'
	machine_launch --at power.start=hold:3 <<-END
		hv: hvmon
		g1: guestd --ask=$T/g1
		g2: guestd
	END
	await soft-reset.done '.killed == 1'
	[[ $(row processes bmc hv restarts) == 1 ]]
	[[ $(row processes bmc g2 state) == off ]]
	iovctl release bmc
	await_ready bmc
	[[ $(row processes bmc g2 restarts) == 0 ]]
	machine_stop
}

@test "a hypervisor that does not start again at power on" {
	fake_programs
	request g1 soft-reset '[]'
	touch "$T/ok" "$T/ask"
	machine_launch --at power.start=hold:3 <<-END
		hv: hvmon --when=$T/ok
		g1: guestd --ask=$T/ask
		g2: guestd
	END
	await program.ready '.name == "g1"'
	rm "$T/ok"
	request ask soft-reset '[]'
	await soft-reset.failed '.name == "hv"'
	finish bmc 70
	assert_regex "$(log bmc)" 'hv: does not start again'
}

@test "soft resets that went well are no reason to give up" {
	local i
	fake_programs
	machine_start <<-END
		hv: RESTART=always hvmon
		g1: RESTART=on-failure guestd
	END
	for ((i = 1; i <= 8; i++)); do
		# As a hypervisor that fails, and its successor.
		kill -KILL "$(pid hv)"
		wait_until "$PATIENCE" has_lines "$i" '"program.restart"' \
			"$M/events/bmc.jsonl"
		iovctl soft-reset >/dev/null
		wait_until "$PATIENCE" has_lines "$i" '"soft-reset.done"' \
			"$M/events/bmc.jsonl"
	done
	machine_stop
}

@test "the table of the state area" {
	fake_programs
	machine_start <<<"hv: hvmon"
	run -0 table_state
	assert_output "hypervisor vm0 0 null"
	# Heartbeats 258 of hvmon and 7 of a second successor, pid 9, VM 3.
	printf '\2\1' |
		dd of="$M/state" bs=1 seek=128 conv=notrunc status=none
	printf '\7\0\0\0\0\0\0\0\11\0\0\0\3' |
		dd of="$M/state" bs=1 seek=$((512 + 64)) conv=notrunc status=none
	run -0 table_state
	assert_line "hypervisor vm0 258 null"
	assert_line "successor 2 vm3 7 9"
	machine_stop
}

@test "a program is stopped, started and restarted on request" {
	fake_programs
	machine_start <<-'END'
		x: RESTART=always guestd
		y: /bin/sleep 1000
	END
	local before
	before=$(pid x)
	run -0 rpc bmc stop '["x"]'
	run -0 jq -c '[.state, .pid, .status]' <<<"$output"
	assert_output '["ended",null,"SIGTERM"]'
	assert is_gone "$before"
	run -0 rpc_error bmc stop '["x"]'
	assert_output "x does not run"
	run -0 rpc bmc start '["x"]'
	run -0 jq -c '[.state, .ready, .restarts, .status]' <<<"$output"
	assert_output '["running",true,0,null]'
	run -0 rpc_error bmc start '["x"]'
	assert_output "x is running"
	before=$(pid x)
	rpc bmc freeze '["x"]'
	run -0 rpc bmc restart '["x"]'
	run -0 jq -c '[.state, .ready, .reasons]' <<<"$output"
	assert_output '["running",true,[]]'
	assert is_gone "$before"
	run -0 rpc bmc kill '["y"]'
	run -0 jq -c '[.state, .status]' <<<"$output"
	assert_output '["ended","SIGKILL"]'
	rpc bmc kill '["x", "SIGSTOP"]'
	await program.frozen '.by == "other"'
	rpc bmc kill '["x", "CONT"]'
	await program.thawed '.by == "other"'
	rpc bmc power '["off"]'
	finish bmc 0
}

@test "a request that means nothing is refused" {
	machine_start <<<"x: /bin/sleep 1000"
	run -0 rpc_error bmc start '["z"]'
	assert_output "no program 'z'"
	run -0 rpc_error bmc kill '["x", "SIGNAL"]'
	assert_output "no signal 'SIGNAL'"
	run -0 rpc_error bmc kill '["x", "0"]'
	assert_output "no signal '0'"
	run -0 rpc_error bmc freeze '["x", "no word"]'
	assert_output --partial "a reason is a word"
	run -0 rpc_error bmc power '["on"]'
	assert_output "'on' is not off, the only state to set"
	run -0 rpc_error bmc freeze '[]'
	assert_output "either name or pid, please"
	run -0 rpc_error bmc freeze '{"name": "x", "pid": 1}'
	assert_output "either name or pid, please"
	run -0 rpc_error bmc freeze '{"pid": 1}'
	assert_output "no program with pid 1"
	run -0 rpc_error bmc freeze '["1"]'
	assert_output "no program '1'"
	rpc bmc kill '["x"]'
	run -0 rpc_error bmc freeze '["x"]'
	assert_output "x does not run"
	machine_stop
}

@test "a frozen machine is powered off, and one that is deaf" {
	fake_programs
	machine_start <<-'END'
		x: /bin/sleep 1000
		y: /bin/sleep 1000
	END
	rpc bmc freeze '["x"]'
	kill -STOP "$(pid y)"
	await program.frozen '.by == "other"'
	machine_stop
	run -0 events 'select(.ev == "program.kill")'
	assert_output ""

	machine_start <<<"deaf: guestd --deaf"
	machine_stop
	assert_order power.stop program.kill program.gone
}

@test "what a program started ends with it" {
	machine_start <<-'END'
		x: /bin/sh -c 'sleep 1000 & echo $! >$IOVKIT_TEST/child; wait'
	END
	wait_until "$PATIENCE" test -s "$T/child"
	rpc bmc kill '["x"]'
	wait_until "$PATIENCE" is_gone "$(cat "$T/child")"
	machine_stop
}

@test "after kill -9 of bmc nothing is left but a stale directory" {
	fake_programs
	machine_file <<-'END'
		bridge: rootbridge
		deaf: guestd --deaf
		x: /bin/sleep 1000
	END
	launch bmc bmc "$T/machine" -- sleep 1000
	await command.start
	rpc bmc freeze '["x"]'
	stop bmc KILL 137
	wait_until 1 no_leftovers
	touch "$M/events/old.jsonl"
	assert [ -S "$M/ctl/bmc.sock" ]
	machine_start <<<"x: /bin/sleep 1000"
	assert [ ! -e "$M/events/old.jsonl" ]
	run -0 events 'select(.ev == "start") | [.n, .inc]'
	assert_output '[1,1]'
	machine_stop
}

@test "kill -9 of bmc at every point leaves nothing" {
	fake_programs
	machine_file <<-'END'
		bridge: rootbridge
		x: RESTART=on-failure /bin/sleep 1000
		g: guestd
	END
	local point command='
		rpc() {
			printf "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$1\",\"params\":[$2]}\n" |
				socat -t 10 - UNIX-CONNECT:$IOVKIT_MACHINE/ctl/bmc.sock
		}
		rpc soft-reset
		for method in freeze thaw kill; do rpc $method "\"x\""; done
		[ ! "$LOST" ] || rpc kill "\"bridge\""'
	for point in $(bmc --list-points | cut -d' ' -f1); do
		LOST=
		[[ $point != power.lost ]] || LOST=1
		export LOST
		echo "$point"
		run -137 bmc --at "$point=kill" "$T/machine" -- sh -c "$command"
		wait_until 2 no_leftovers
	done
}

@test "power.start can be held, released and made to fail" {
	fake_programs
	machine_file <<-'END'
		a: rootbridge
		b: /bin/sleep 1000
	END
	launch bmc bmc --at power.start=hold:2 "$T/machine"
	await point '.point == "power.start" and .action == "hold"'
	run -0 row processes bmc b state
	assert_output off
	run -0 rpc_error bmc start '["b"]'
	assert_output "b is about to start"
	rpc bmc release '["power.start"]'
	await_ready bmc
	machine_stop
	run -70 bmc --at power.start=fail:2 "$T/machine"
	assert_output "bmc: m0: b: power.start failed"
}

@test "a machine that runs already is not started again" {
	machine_start <<<"x: /bin/sleep 1000"
	run -73 bmc "$T/machine"
	assert_output "bmc: machine m0 runs already (pid ${PIDS[bmc]})"
	run -0 bmc -m "$T/m1" "$T/machine" -- true
	assert [ -d "$T/m1/events" ]
	machine_stop
}

@test "a machine in which a program runs by hand is left alone" {
	mkdir -m 700 "$M" "$M/ctl"
	socat "UNIX-LISTEN:$M/ctl/nic0.sock,fork" /dev/null 3>&- &
	PIDS["nic0"]=$!
	wait_until "$PATIENCE" test -S "$M/ctl/nic0.sock"
	machine_file <<<"x: /bin/sleep 1000"
	run -73 bmc "$T/machine"
	assert_output "bmc: nic0 (pid ${PIDS["nic0"]}) runs in this machine already"
	stop nic0 TERM 143
	run -0 bmc "$T/machine" -- true
}

@test "another user's directory is not touched" {
	[[ $EUID -eq 0 ]] || skip "needs root"
	machine_file <<<"x: /bin/sleep 1000"
	mkdir -m 700 "$M"
	chown nobody "$M"
	run -77 bmc "$T/machine"
	assert_output --partial "belongs to user"
	run -0 ls "$M"
	assert_output ""
	chown root "$M"
	chmod 777 "$M"
	run -77 bmc "$T/machine"
	assert_output --partial "others may write to it"
}

@test "a stopped reader of standard error does not stop bmc" {
	mkfifo "$T/stderr"
	machine_file <<-'END'
		x: /bin/sh -c 'while :; do echo a line; done >&2'
	END
	# Nobody reads from it.
	exec {unread}<>"$T/stderr"
	bmc --name=bmc "$T/machine" 2>"$T/stderr" 3>&- &
	PIDS[bmc]=$!
	await ready
	run -0 row processes bmc x state
	assert_output running
	kill "${PIDS[bmc]}"
	wait_until "$PATIENCE" is_gone "${PIDS[bmc]}"
	unset "PIDS[bmc]"
	exec {unread}>&-
}

@test "bmc hears of its children when whoever started it ignored SIGCHLD" {
	machine_file <<<"x: /bin/sleep 1000"
	run -3 env --ignore-signal=CHLD bmc "$T/machine" -- sh -c 'exit 3'
}
