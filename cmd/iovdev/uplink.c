/* uplink.c - which LAN the device is connected to. */
#include <config.h>

#include "cmd/iovdev/uplink.h"

#include <errno.h>
#include <string.h>

int uplink_open(struct uplink **u, struct nic *nic, const char *text,
		struct complaint *c)
{
	*u = NULL;
	if (!text || !strcmp(text, "none"))
		return 0;
	if (!strcmp(text, "sink"))
		return uplink_sink_open(u, nic, c);
	if (!strncmp(text, "tap:", 4) && text[4])
		return uplink_tap_open(u, nic, text + 4, c);
	if (!strncmp(text, "pcap:", 5) && text[5])
		return uplink_pcap_open(u, nic, text + 5, c);
	return complain(c, EINVAL,
			"no LAN '%s' (none, sink, tap:NAME or pcap:FILE)",
			text);
}

void uplink_close(struct uplink *u)
{
	if (u)
		u->close(u);
}
