/* points.c - the tables of iovdev's points and parts. */
#include <config.h>

#include "cmd/iovdev/points.h"

const struct point_desc nic_points[POINT_N] = {
	[POINT_A1015] = { "device.a1015", "work on a register operation",
			  true },
	[POINT_FLR] = { "device.flr",
			"reset a function (its write is "
			"answered)",
			false },
	[POINT_VF_ENABLE] = { "device.vf_enable", "make the VFs appear",
			      false },
	[POINT_VF_DISABLE] = { "device.vf_disable", "make the VFs vanish",
			       false },
	[POINT_LINK_601] = { "link.601", "link or bandwidth changed", false },
	[POINT_LINK_602] = { "link.602", "interrupt the PF driver", false },
	[POINT_LINK_701] = { "link.701", "the PF driver asks for them", true },
	[POINT_LINK_702] = { "link.702", "answer it", true },
	[POINT_TX_801] = { "tx.801", "look at the write index", true },
	[POINT_TX_802] = { "tx.802", "compare it with the read index", true },
	[POINT_TX_803] = { "tx.803", "empty: look at the enable bit", true },
	[POINT_TX_804] = { "tx.804", "wait until enabled", true },
	[POINT_TX_805] = { "tx.805", "send the entry's data", true },
	[POINT_TX_806] = { "tx.806", "set the entry's error status", true },
	[POINT_TX_807] = { "tx.807", "move the read index", true },
	[POINT_RX_901] = { "rx.901", "data arrives", true },
	[POINT_RX_902] = { "rx.902", "look for a free entry", true },
	[POINT_RX_903] = { "rx.903", "drop the data", true },
	[POINT_RX_904] = { "rx.904", "look at the enable bit", true },
	[POINT_RX_905] = { "rx.905", "not enabled: drop until it is", true },
	[POINT_RX_906] = { "rx.906", "copy into the entry's buffer", true },
	[POINT_RX_907] = { "rx.907", "move the write index", true },
};

const struct part_desc nic_parts[PART_N] = {
	[PART_BME] = { "bme", "Bus Master Enable stops the queues" },
	[PART_BARRIER] = { "barrier",
			   "a read of a fenced function waits for the entries "
			   "that it took" },
};
