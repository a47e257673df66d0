#!/usr/bin/env bats
# models.bats - the models in share/models hold, and notice planted mistakes.

bats_require_minimum_version 1.5.0

setup() {
	bats_load_library bats-support
	bats_load_library bats-assert
	command -v spin >/dev/null || skip "no spin"
	model=pf-reset.pml
	cd "$BATS_TEST_TMPDIR" || return
}

# verifier [-DMISTAKE]: make ./pan.
verifier() {
	run -0 spin "$@" -a \
		"$(realpath "$BATS_TEST_DIRNAME/../share/models/$model")"
	run -0 "${CC:-gcc}" -w -O0 -DNFAIR=3 -o pan pan.c
}

# check CLAIM: whether it holds in every run that is fair to all processes.
check() {
	run -0 ./pan -a -f -N "$1" -m100000
	refute_output --partial "error: max search depth too small"
	assert_output --partial "never claim         	+ ($1)"
}

holds() {
	check "$1"
	assert_output --partial "errors: 0"
}

is_broken() {
	check "$1"
	assert_output --partial "errors: 1"
	assert [ -s "$model.trail" ]
	rm "$model.trail"
}

@test "a105, a110, a115: safe, served and released, whoever dies when" {
	verifier
	holds safe
	holds served
	holds released
}

@test "all of the model happens but the throwing away" {
	verifier
	check safe
	run -0 sed -n 's/.*pf-reset.pml:[0-9]*, state [0-9]*, //p' \
		<<<"$output"
	assert_output '"device0?_"
"device1?_"'
}

@test "a reset before it is confirmed (a115 before a110) is noticed" {
	verifier -DWRONG_ORDER
	is_broken safe
	is_broken served
}

@test "a105 left out is noticed" {
	verifier -DNO_SUSPEND
	is_broken safe
	is_broken served
}

@test "a110 left out is noticed" {
	verifier -DNO_CONFIRM
	is_broken safe
	is_broken served
}

@test "going to sleep at a queue: no wake-up is lost" {
	model=queue-sleep.pml
	verifier
	holds arrives
	holds bounded
}

@test "an index that is only released, not seq_cst, is noticed" {
	model=queue-sleep.pml
	verifier -DRELEASE
	is_broken arrives
}

@test "a sleeper that looks too early, or not at all, is noticed" {
	model=queue-sleep.pml
	verifier -DLOOK_FIRST
	is_broken arrives
	verifier -DNO_LOOK
	is_broken arrives
}

@test "summary byte and initiative: no event is left behind" {
	model=summary-byte.pml
	verifier
	holds arrives
	holds bounded
}

@test "a summary byte that is set before the entry, or cleared after emptying, is noticed" {
	model=summary-byte.pml
	verifier -DBYTE_FIRST
	is_broken arrives
	verifier -DCLEAR_LAST
	is_broken arrives
}

@test "an adapter or a consumer that looks too early, or no timer, is noticed" {
	model=summary-byte.pml
	verifier -DLOOK_FIRST
	is_broken arrives
	verifier -DTAKE_FIRST
	is_broken arrives
	verifier -DNO_RERUN
	is_broken arrives
}

@test "an event on its way to a guest: nothing is left behind, no wake-up is lost" {
	model=event-forward.pml
	verifier
	holds arrives
	holds bounded
	verifier -DCOMPLETIONS=3 -DSTOPS=0
	holds arrives
}

@test "a forwarder or a level 2 that does things in another order is noticed" {
	local mistake
	model=event-forward.pml
	verifier -DCOMPLETIONS=3 -DFORWARD_FIRST
	is_broken arrives
	for mistake in QUEUED ENABLED; do
		verifier "-D${mistake}_FIRST"
		is_broken arrives
	done
	verifier -DALERT_LAST
	is_broken arrives
	verifier -DNO_SETTLE
	is_broken arrives
	verifier -DTAKE_TWICE
	is_broken bounded
}

@test "the end of a window: no access is lost or done twice, no reply lost" {
	model=window-end.pml
	verifier
	holds complete
	holds safe
}

@test "a guest that looks at the end of a window in another order is noticed" {
	model=window-end.pml
	verifier -DLOST_LAST
	is_broken complete
	verifier -DREPLIES_FIRST
	is_broken safe
}

@test "a window that ends before its last access, or without the device, is noticed" {
	model=window-end.pml
	verifier -DFINAL_FIRST
	is_broken safe
	verifier -DTRUNCATE_FIRST
	is_broken complete
}
