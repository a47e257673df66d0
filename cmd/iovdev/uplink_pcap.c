/* uplink_pcap.c - a pcap file as the LAN: what leaves the device is written
 * there, nothing comes back. */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/uplink.h"
#include "libcore/pcap_stream.h"

struct pcap_lan {
	struct uplink uplink;
	struct nic *nic;
	struct pcap_writer *writer;
	uint8_t frame[NIC_FRAME_MAX];
};

static void pcap_send(struct uplink *u, const struct frame *frame)
{
	struct pcap_lan *lan = (struct pcap_lan *)u;

	frame_copy(lan->frame, frame);
	if (pcap_writer_put(lan->writer, lan->frame, frame->size,
			    wall_clock_ns()))
		u->sent++;
	else
		u->dropped++;
}

static void pcap_lan_close(struct uplink *u)
{
	struct pcap_lan *lan = (struct pcap_lan *)u;

	pcap_writer_close(lan->writer);
	free(lan);
}

static void on_closed(void *arg)
{
	struct pcap_lan *lan = arg;
	int err = pcap_writer_error(lan->writer);

	event(lan->nic->log, "lan.lost", "s:s", "why",
	      err == -EPIPE ? "the reader of the pcap is gone"
			    : strerror(-err));
}

int uplink_pcap_open(struct uplink **u, struct nic *nic, const char *path,
		     struct complaint *c)
{
	struct pcap_lan *lan = calloc(1, sizeof(*lan));
	int err;

	if (!lan)
		return complain(c, ENOMEM, "no memory");
	lan->nic = nic;
	lan->uplink.kind = "pcap";
	lan->uplink.send = pcap_send;
	lan->uplink.close = pcap_lan_close;
	err = pcap_writer_open(&lan->writer, nic->loop, path, -1, on_closed,
			       lan, c);
	if (err) {
		free(lan);
		return err;
	}
	*u = &lan->uplink;
	return 0;
}
