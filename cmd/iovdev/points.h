/* points.h - the numbered steps of iovdev. */
#ifndef IOVDEV_POINTS_H
#define IOVDEV_POINTS_H

#include "libcore/parts.h"
#include "libcore/points.h"

enum nic_point {
	POINT_A1015,
	POINT_FLR,
	POINT_VF_ENABLE,
	POINT_VF_DISABLE,
	POINT_LINK_601,
	POINT_LINK_602,
	POINT_LINK_701,
	POINT_LINK_702,
	POINT_TX_801,
	POINT_TX_802,
	POINT_TX_803,
	POINT_TX_804,
	POINT_TX_805,
	POINT_TX_806,
	POINT_TX_807,
	POINT_RX_901,
	POINT_RX_902,
	POINT_RX_903,
	POINT_RX_904,
	POINT_RX_905,
	POINT_RX_906,
	POINT_RX_907,
	POINT_N
};

enum nic_part {
	PART_BME,
	PART_BARRIER,
	PART_N
};

extern const struct point_desc nic_points[POINT_N];
extern const struct part_desc nic_parts[PART_N];

#endif
