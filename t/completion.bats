#!/usr/bin/env bats
# completion.bats - bash completion knows every option and what a machine has.

setup() {
	load machine
	machine_setup
	need iovctl rootbridge
	# shellcheck source=/dev/null
	source "$BATS_TEST_DIRNAME/../share/completions/iovkit"
	# A busy computer may take longer than somebody at a keyboard waits.
	_iovkit_patience=${PATIENCE}s
}

teardown() {
	machine_teardown
}

# WORD...: what the last word (may be empty) is completed to.
completed() {
	local program=$1 function=_iovkit
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	[[ $program != iovctl ]] || function=_iovctl
	# It exists only while bash itself completes.
	compopt() { :; }
	COMPREPLY=()
	"$function" "$program" "${COMP_WORDS[COMP_CWORD]}" \
		"${COMP_WORDS[COMP_CWORD - 1]}" || true
	printf '%s\n' "${COMPREPLY[@]}"
}

@test "every long option is completed" {
	local program option
	for program in bmc rootbridge iovdev hvmon guestd iovctl; do
		[[ -x $BIN/$program ]] || continue
		completed "$program" -- >"$T/words"
		while read -r option; do
			grep -qx -- "$option=\?" "$T/words" ||
				fail "$program $option"
		done < <("$program" --help | grep -oE '^ .{0,8}--[a-z-]+' |
			grep -oE -- '--[a-z-]+')
	done
}

@test "iovctl: commands, their options, and what the machine has" {
	machine_start <<-END
		bridge: rootbridge
	END
	run completed iovctl ""
	assert_line capture
	assert_line wait
	run completed iovctl capture --
	assert_line --partial "--write"
	run completed iovctl show ""
	assert_line inflight
	assert_line processes
	run completed iovctl show infl
	assert_output inflight
	run completed iovctl kill ""
	assert_line bridge
	run completed iovctl kill bridge T
	assert_output TERM
	run completed iovctl call bridge sta
	assert_output status
	run completed iovctl at bridge bridge.a21
	assert_line bridge.a2100=
	run completed iovctl fault nic0/vf1 tx del
	assert_output delay
	run completed iovctl fault nic0/vf1 tx delay 2ms lo
	assert_output loss
	run completed iovctl wait show:
	assert_line show:vms
	run completed iovctl wait gone bri
	assert_output bridge
	run completed iovctl -m m0 power ""
	assert_output off
	run completed iovctl -m ""
	assert_line m0
	# A frozen machine holds nobody up for long, and spoils nothing.
	_iovkit_patience=200ms
	kill -STOP "${PIDS[bmc]}"
	run completed iovctl call bmc sta
	assert_output ""
	kill -CONT "${PIDS[bmc]}"
}

@test "machine files that bmc knows by name" {
	mkdir -p "$T/data/machines"
	touch "$T/data/machines/mine"
	IOVKIT_DATA=$T/data run completed bmc ""
	assert_line mine
	assert_line two-nics
	IOVKIT_DATA=$T/data run completed bmc mi
	assert_output mine
	run completed rootbridge --on-timeout ""
	assert_output $'shutdown\ncontain'
}

@test "points and parts" {
	run completed rootbridge --at = bridge.a110
	assert_line bridge.a1105=
}

@test "the manual has every command and option of iovctl" {
	local page=$BATS_TEST_DIRNAME/../share/man/iovctl.1 command option
	while IFS=$'\t' read -r command _; do
		grep -qE "^\.It Cm $command( |\$)" "$page" ||
			fail "no command $command"
		while read -r option; do
			grep -qF -- "Fl -$option" "$page" ||
				fail "no option --$option"
		done < <(iovctl "$command" --help |
			grep -oE '^ .{0,8}--[a-z-]+' | grep -oE '[a-z][a-z-]+$')
	done < <(iovctl --list-commands)
}
