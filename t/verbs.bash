# verbs.bash - what a guest writes into an adapter's verb window, and what it
# reads there: steps for t/tool/vfu in STEPS, its answers in STATUSES.
# shellcheck shell=bash

# little NUMBER: 64 bits, as hex digits, the least byte first.
little() {
	local hex i
	printf -v hex '%016x' "$1"
	for ((i = 14; i >= 0; i -= 2)); do
		printf '%s' "${hex:i:2}"
	done
}

# verb STATUS OP ATTRIBUTE HANDLE VALUE [RESULT]: more that a guest shall do,
# and what is to become of it.
verb() {
	STEPS+=("write 0 0x50000040 $(little "$5")"
		"write 0 0x50000048 $(little $(($2 | $3 << 8 | $4 << 32)))"
		"read 0 0x50000050 8")
	STATUSES+=("read 0 0x50000050 8: $(little "$1")")
	if [[ ${6:-} ]]; then
		STEPS+=("read 0 0x50000058 8")
		STATUSES+=("read 0 0x50000058 8: $(little "$6")")
	fi
}
