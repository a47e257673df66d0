/* mac.c - MAC addresses: text, and the rule that gives each function one. */
#include <config.h>

#include "cmd/guestd/mac.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t prefix[3] = { 0x02, 0x69, 0x6f };

static unsigned trailing_number(const char *name)
{
	const char *p = name + strlen(name);

	while (p > name && isdigit((unsigned char)p[-1]))
		p--;
	return (unsigned)strtoul(p, NULL, 10);
}

void mac_of_function(const struct function_name *fn, uint8_t mac[MAC_SIZE])
{
	memcpy(mac, prefix, sizeof(prefix));
	mac[3] = (uint8_t)trailing_number(fn->device);
	mac[4] = 0;
	mac[5] = (uint8_t)fn->vf;
}

bool mac_to_function(const uint8_t mac[MAC_SIZE], char *buf, size_t size)
{
	struct function_name fn = { .vf = mac[5] };

	if (memcmp(mac, prefix, sizeof(prefix)) != 0 || mac[4] ||
	    mac[5] > FUNCTION_VF_MAX)
		return false;
	snprintf(fn.device, sizeof(fn.device), "nic%u", mac[3]);
	function_name_format(buf, size, &fn);
	return true;
}

static bool parse_octets(const char *text, uint8_t mac[MAC_SIZE])
{
	unsigned i;

	for (i = 0; i < MAC_SIZE; i++) {
		if (!isxdigit((unsigned char)text[0]) ||
		    !isxdigit((unsigned char)text[1]))
			return false;
		mac[i] = (uint8_t)strtoul((char[]){ text[0], text[1], 0 }, NULL,
					  16);
		if (text[2] != (i < MAC_SIZE - 1 ? ':' : '\0'))
			return false;
		text += 3;
	}
	return true;
}

int mac_parse(const char *text, uint8_t mac[MAC_SIZE], struct complaint *c)
{
	struct function_name fn;
	uint8_t octets[MAC_SIZE];

	if (parse_octets(text, octets)) {
		memcpy(mac, octets, MAC_SIZE);
		return 0;
	}
	if (function_name_parse(text, &fn, NULL) < 0)
		return complain(c, EINVAL,
				"'%s' is neither a MAC address "
				"(02:69:6f:00:00:01) nor a FUNCTION (nic0/vf1)",
				text);
	mac_of_function(&fn, mac);
	return 0;
}

char *mac_format(char *buf, const uint8_t mac[MAC_SIZE])
{
	snprintf(buf, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
	return buf;
}
