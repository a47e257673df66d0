/* uplink_sink.c - a LAN that takes every frame and gives none: each is copied
 * out whole, as a wire would have it, counted and dropped.
 *
 * One station is on it.  It never sends, so the switch could not learn where
 * it is and would flood what goes there to all VFs: it is told.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/uplink.h"

struct sink {
	struct uplink uplink;
	uint8_t frame[NIC_FRAME_MAX];
};

static const uint8_t station[] = { 0x02, 0x00, 0x5e, 0x00, 0x53, 0x01 };

static void sink_send(struct uplink *u, const struct frame *frame)
{
	struct sink *sink = (struct sink *)u;

	frame_copy(sink->frame, frame);
	u->sent++;
}

static void sink_close(struct uplink *u)
{
	free(u);
}

int uplink_sink_open(struct uplink **u, struct nic *nic, struct complaint *c)
{
	struct sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return complain(c, ENOMEM, "no memory");
	sink->uplink.kind = "sink";
	sink->uplink.send = sink_send;
	sink->uplink.close = sink_close;
	*u = &sink->uplink;
	switch_set_mac(nic, SWITCH_UPLINK, station);
	return 0;
}
