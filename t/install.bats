#!/usr/bin/env bats
# install.bats - what is installed works where it is.

setup() {
	load machine
	machine_setup
}

teardown() {
	machine_teardown
}

@test "make install puts everything below DESTDIR, and it runs there" {
	local program
	run make -s -C "$BIN/.." install DESTDIR="$T/root" prefix=/opt
	assert_success
	for program in bmc rootbridge iovdev hvmon guestd iovctl; do
		assert [ -x "$T/root/opt/bin/$program" ]
		assert [ -f "$T/root/opt/share/man/man1/$program.1" ]
		assert [ -e "$T/root/opt/share/bash-completion/completions/$program" ]
	done
	PATH=$T/root/opt/bin:/usr/bin:/bin
	run -0 bmc two-nics -- iovctl show processes
	assert_line --regexp "^guest2 .* running "
	assert_equal "$(events 'select(.ev == "power.on") | .file')" '"two-nics"'
	run -0 "$T/root/opt/share/iovkit/scenarios/first-frames" --json
	assert_output --partial '"lost":0,'
	PATH=/usr/bin:/bin
	run -0 "$T/root/opt/share/iovkit/scenarios/first-frames" --json
	run make -s -C "$BIN/.." uninstall DESTDIR="$T/root" prefix=/opt
	assert_success
	run -0 find "$T/root" ! -type d
	assert_output ""
}
