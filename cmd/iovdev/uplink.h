/* uplink.h - the LAN outside the device (--lan). */
#ifndef IOVDEV_UPLINK_H
#define IOVDEV_UPLINK_H

#include <stdint.h>

#include "cmd/iovdev/switch.h"
#include "libcore/complaint.h"

struct nic;

struct uplink {
	const char *kind; /* "sink", "tap", "pcap" */
	void (*send)(struct uplink *u, const struct frame *frame);
	void (*close)(struct uplink *u);
	uint64_t sent, received, dropped;
};

/* `text` is none, sink, tap:NAME or pcap:FILE; *u is NULL for none. */
int uplink_open(struct uplink **u, struct nic *nic, const char *text,
		struct complaint *c) __attribute__((warn_unused_result));
void uplink_close(struct uplink *u);

int uplink_sink_open(struct uplink **u, struct nic *nic, struct complaint *c)
	__attribute__((warn_unused_result));
int uplink_tap_open(struct uplink **u, struct nic *nic, const char *name,
		    struct complaint *c) __attribute__((warn_unused_result));
int uplink_pcap_open(struct uplink **u, struct nic *nic, const char *path,
		     struct complaint *c) __attribute__((warn_unused_result));

#endif
