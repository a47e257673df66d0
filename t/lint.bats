#!/usr/bin/env bats
# shellcheck disable=SC2016 # awk has variables of its own
#
# lint.bats - what can be said about the source without running it, and what
# every program must have.

bats_require_minimum_version 1.5.0

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	cd "$BATS_TEST_DIRNAME/.." || return
	BIN=$(realpath "${BUILDDIR:-build}")/bin
	programs=(bmc rootbridge iovdev hvmon guestd iovctl)
}

# Files of ours below the folders of the source, not of a build.
ours() {
	find cmd libcore share t .ci -type f "$@" | sort
}

# Shell and bash scripts, by their names or their first lines.
scripts() {
	local file line
	while read -r file; do
		case $file in
		*.bats | *.bash | share/completions/*)
			echo "$file"
			continue
			;;
		esac
		read -r line <"$file" || continue
		if [[ $line =~ ^#!.*(/|\ )(ba)?sh ]]; then
			echo "$file"
		fi
	done < <(ours ! -name '*.[ch]' ! -name '*.[1-8]') 2>/dev/null
}

@test "shellcheck has nothing to say" {
	local file shell
	command -v shellcheck >/dev/null || skip "no shellcheck"
	while read -r file; do
		case $file in
		share/completions/*) shell=bash ;;
		*.bash) shell=bash ;;
		*) shell= ;;
		esac
		run shellcheck -x ${shell:+--shell=$shell} "$file"
		assert_success
	done < <(scripts)
}

@test "no test sleeps for a fixed time" {
	# Programs under test may: sleep 1000 is something that runs.
	run grep -nE '(^|[;&|({]|then|do)[[:space:]]*sleep [0-9.]+[[:space:]]*($|[;)])' \
		t/*.bats t/*.bash share/scenarios/*
	assert_failure 1
}

@test "nothing is killed by name" {
	run grep -nwE 'pkill|killall|fuser' t/*.bats t/*.bash \
		share/quickstart share/scenarios/* t/check
	# This line only.
	assert_equal "${#lines[@]}" 1
}

@test "clang-format would change nothing" {
	command -v clang-format >/dev/null || skip "no clang-format"
	[[ $(clang-format --version) == *"version 14."* ]] ||
		skip "the format is that of clang-format 14"
	ours -name '*.[ch]' >"$BATS_TEST_TMPDIR/files"
	run xargs clang-format --dry-run -Werror <"$BATS_TEST_TMPDIR/files"
	assert_success
}

@test "every C file says what it is in its first line" {
	run -0 xargs awk 'FNR == 1 {
			name = FILENAME
			sub(".*/", "", name)
			if (index($0, "/* " name " - ") != 1)
				print FILENAME ": " $0
		}' < <(ours -name '*.[ch]')
	assert_output ""
}

@test "no file is too long to be read" {
	# Tests are lists of cases; one is read at a time.
	run -0 xargs awk 'FNR > (FILENAME ~ /^t\// ? 1200 : 800) {
			print FILENAME
			nextfile
		}' < <(ours -name '*.[ch]')
	assert_output ""
}

@test "libcore includes no program's header, and programs only their own" {
	run grep -nE '#include "cmd/' libcore/*.[ch]
	assert_failure 1
	local program
	for program in cmd/*/; do
		run bash -c "grep -nE '#include \"cmd/' $program*.[ch] |
			grep -v '\"$program'"
		assert_failure 1
	done
}

@test "libcore neither prints nor exits" {
	# program.c parses the common options and answers --help for all.
	run bash -c "grep -nwE '(v?f?printf|puts|perror|exit|_exit|abort|err|warnx?)\(' \
		libcore/*.c | grep -v '^libcore/program.c:' |
		grep -v '^libcore/[a-z_]*\.c:[0-9]*:[[:space:]]*/\?\*'"
	refute_line --regexp "printf\("
	refute_line --regexp "[^_]exit\("
}

@test "man pages are well-formed and installed" {
	local page
	command -v mandoc >/dev/null || skip "no mandoc"
	for page in share/man/*.[1-8]; do
		run mandoc -T lint -W warning "$page"
		assert_success
		grep -q "$page" share/Makemodule.am ||
			fail "$page is not in share/Makemodule.am"
	done
}

# PROGRAM: long options that its help names.
options() {
	"$BIN/$1" --help | grep -oE '^ .{0,8}--[a-z-]+' | grep -oE -- '--[a-z-]+'
}

@test "every program has a man page that lists all its options" {
	local program option
	for program in "${programs[@]}"; do
		assert [ -f "share/man/$program.1" ]
		while read -r option; do
			grep -qE -- "(Fl|No) -?${option#-}( |\$)" \
				"share/man/$program.1" share/man/iovkit.7 ||
				fail "$program.1: $option"
		done < <(options "$program")
	done
}

@test "every man page's options are those of the program" {
	local program option
	for program in "${programs[@]}"; do
		while read -r option; do
			"$BIN/$program" --help | grep -q -- "$option" ||
				"$BIN/iovctl" --list-commands |
				grep -q -- "$option" ||
				"$BIN/iovctl" wait --help |
				grep -q -- "$option" ||
				"$BIN/iovctl" events --help |
				grep -q -- "$option" ||
				fail "$program.1: no option $option"
		done < <(grep -oE '^\.It Fl .*' "share/man/$program.1" |
			grep -oE 'Fl -[a-z][a-z-]+' | sed 's/^Fl /-/')
	done
}

@test "help and version go to standard output and end well" {
	local program
	for program in "${programs[@]}"; do
		run -0 --separate-stderr "$BIN/$program" --help
		# shellcheck disable=SC2154 # run sets it
		assert_equal "$stderr" ""
		assert_output --partial "Usage: $program"
		run -0 --separate-stderr "$BIN/$program" --version
		assert_equal "$stderr" ""
		assert_output --regexp "^$program \(iovkit\) "
	done
}

@test "what a program's pages refer to is there" {
	local page section
	while read -r page section; do
		case $page in
		iovkit* | bmc | rootbridge | iovdev | hvmon | guestd | iovctl)
			assert [ -f "share/man/$page.$section" ]
			;;
		esac
	done < <(sed -n 's/^\.Xr \([a-z-]*\) \([1-8]\).*/\1 \2/p' \
		share/man/*.[1-8] | sort -u)
}

@test "every script and test is in the distribution" {
	local file
	for file in share/scenarios/* share/machines/*; do
		grep -q "$file" share/Makemodule.am ||
			fail "$file is not in share/Makemodule.am"
	done
}

@test "every event that a program writes is documented" {
	local written documented
	written=$(perl -0777 -ne 'while (/\bevent\(\s*[^;"]*?,\s*"([a-z][a-z0-9.-]*)"/gs)
		{ print "$1\n" }' cmd/*/*.c libcore/*.c | sort -u)
	documented=$(sed -n 's/^\.It Cm \([a-z][a-z0-9.-]*\).*/\1/p' \
		share/man/iovkit-events.5 | sort -u)
	run comm -23 <(echo "$written") <(echo "$documented")
	assert_success
	refute_output
}
