# shellcheck shell=bash disable=SC2154 # DEVICE is of the test
# virtualize.bash - what hvmon tells of the device that is switched, $DEVICE.

# devices FIELD
devices() {
	rpc hv show '["devices"]' |
		jq -re --arg device "$DEVICE" --arg field "$1" \
			'.rows[] | select(.device == $device) | .[$field] | tostring'
}

is() {
	[[ $(devices "$1") == "$2" ]]
}
