/* switch.c - the device's layer-2 switch.
 *
 * Theory of operation.  A VF's own address is a fixed entry; other source
 * addresses are learned and forgotten after five minutes.  What goes to a
 * group or to an unknown address is flooded.  The table is 4-way associative;
 * a full set gives up its oldest learned entry.  Before anything is copied
 * all receivers are looked at: while one of them is fenced for a reset, the
 * frame stays where it is.
 */
#include <config.h>

#include "cmd/iovdev/switch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_rx.h"

#define AGE_NS   (300 * NS_PER_S)
#define NO_PORT  UINT32_MAX
#define GROUP    (1ull << 40) /* in the first byte */
#define HASH_MUL 0x9e3779b97f4a7c15ull

void frame_init(struct frame *frame, const uint8_t *data, uint32_t size)
{
	frame->data = data;
	frame->size = size;
	frame_read_head(frame);
}

static uint64_t mac_of(const uint8_t *bytes)
{
	uint64_t mac = 0;
	unsigned i;

	for (i = 0; i < MAC_SIZE; i++)
		mac = mac << 8 | bytes[i];
	return mac;
}

static struct fdb_entry *set_of(struct l2_switch *sw, uint64_t mac)
{
	return sw->fdb[mac * HASH_MUL >> 56 & (SWITCH_SETS - 1)];
}

static struct fdb_entry *find(struct l2_switch *sw, uint64_t mac)
{
	struct fdb_entry *set = set_of(sw, mac);
	unsigned i;

	for (i = 0; i < SWITCH_WAYS; i++)
		if (set[i].mac == mac)
			return &set[i];
	return NULL;
}

/* A free place in the set, or that of the oldest learned; NULL: all fixed. */
static struct fdb_entry *place_for(struct l2_switch *sw, uint64_t mac)
{
	struct fdb_entry *set = set_of(sw, mac), *best = NULL;
	unsigned i;

	for (i = 0; i < SWITCH_WAYS; i++) {
		if (!set[i].mac)
			return &set[i];
		if (!set[i].fixed && (!best || set[i].seen_ns < best->seen_ns))
			best = &set[i];
	}
	return best;
}

static void set_entry(struct l2_switch *sw, struct fdb_entry *e, uint64_t mac,
		      uint64_t seen_ns, unsigned port, bool fixed)
{
	if (e->mac)
		sw->known[e->port]--;
	if (mac)
		sw->known[port]++;
	*e = (struct fdb_entry){ mac, seen_ns, (uint8_t)port, fixed };
}

static void learn(struct nic *nic, unsigned port, uint64_t mac, uint64_t now)
{
	struct fdb_entry *e;

	if (!mac || mac & GROUP)
		return;
	e = find(&nic->fabric, mac);
	if (e && e->fixed)
		return;
	if (!e)
		e = place_for(&nic->fabric, mac);
	if (e)
		set_entry(&nic->fabric, e, mac, now, port, false);
}

static unsigned lookup(struct nic *nic, uint64_t mac, uint64_t now)
{
	struct fdb_entry *e;

	if (mac & GROUP)
		return NO_PORT;
	e = find(&nic->fabric, mac);
	if (!e || (!e->fixed && now - e->seen_ns > AGE_NS))
		return NO_PORT;
	return e->port;
}

static void deliver(struct nic *nic, unsigned port, const struct frame *frame)
{
	if (port != SWITCH_UPLINK)
		nic_rx_deliver(nic->vf[port - 1], frame);
	else if (nic->uplink)
		nic->uplink->send(nic->uplink, frame);
}

/* Until when to wait for this receiver, at least *until; 0: no need to. */
static void wait_for(struct nic *nic, unsigned port, uint64_t *until)
{
	uint64_t fence = 0;

	if (port != SWITCH_UPLINK)
		fence = function_fenced_until(nic->vf[port - 1]);
	if (fence && (!*until || fence < *until))
		*until = fence;
}

static uint64_t wait_for_all(struct nic *nic, unsigned from)
{
	uint64_t until = 0;
	unsigned port;

	for (port = 1; port <= nic->pf->num_vfs; port++)
		if (port != from)
			wait_for(nic, port, &until);
	return until;
}

static void flood(struct nic *nic, unsigned from, const struct frame *frame)
{
	unsigned port;

	for (port = 0; port <= nic->pf->num_vfs; port++)
		if (port != from)
			deliver(nic, port, frame);
	nic->fabric.flooded++;
}

int switch_forward(struct nic *nic, unsigned port, const struct frame *frame,
		   uint64_t *until_ns)
{
	uint64_t now = loop_now_ns(nic->loop), until = 0;
	unsigned to = lookup(nic, mac_of(frame->head), now);

	if (port != SWITCH_UPLINK) { /* the LAN does not wait */
		if (to == NO_PORT)
			until = wait_for_all(nic, port);
		else if (to != port)
			wait_for(nic, to, &until);
		if (until) {
			*until_ns = until;
			return -EAGAIN;
		}
	}
	learn(nic, port, mac_of(frame->head + MAC_SIZE), now);
	if (to == NO_PORT) {
		flood(nic, port, frame);
	} else if (to == port) {
		nic->fabric.filtered++;
	} else {
		deliver(nic, to, frame);
		nic->fabric.forwarded++;
	}
	return 0;
}

/* The only other port there is, or NO_PORT. */
static unsigned only_other(const struct nic *nic, unsigned from)
{
	return from != SWITCH_UPLINK && nic->pf->num_vfs == 1 ? SWITCH_UPLINK
							      : NO_PORT;
}

bool switch_find(struct nic *nic, unsigned from, const struct frame *frame,
		 struct switch_path *path)
{
	unsigned to = lookup(nic, mac_of(frame->head), loop_now_ns(nic->loop));

	path->flooded = to == NO_PORT;
	path->port = path->flooded ? only_other(nic, from) : to;
	return path->port != NO_PORT && path->port != from;
}

void switch_passed(struct nic *nic, unsigned from, const struct frame *frame,
		   const struct switch_path *path, unsigned n)
{
	learn(nic, from, mac_of(frame->head + MAC_SIZE),
	      loop_now_ns(nic->loop));
	if (path->flooded)
		nic->fabric.flooded += n;
	else
		nic->fabric.forwarded += n;
}

void switch_set_mac(struct nic *nic, unsigned port, const uint8_t mac[6])
{
	struct fdb_entry *e;
	uint64_t value = mac_of(mac);

	switch_forget_port(nic, port);
	e = find(&nic->fabric, value);
	if (!e)
		e = place_for(&nic->fabric, value);
	if (e) /* else its frames are flooded */
		set_entry(&nic->fabric, e, value, 0, port, true);
}

void switch_forget_port(struct nic *nic, unsigned port)
{
	struct l2_switch *sw = &nic->fabric;
	struct fdb_entry *e = sw->fdb[0];

	for (; sw->known[port]; e++)
		if (e->mac && e->port == port)
			set_entry(sw, e, 0, 0, port, false);
}

void switch_forget_vfs(struct nic *nic)
{
	struct l2_switch *sw = &nic->fabric;
	struct fdb_entry *e = sw->fdb[0];
	unsigned i;

	for (i = 0; i < SWITCH_SETS * SWITCH_WAYS; i++)
		if (e[i].mac && e[i].port != SWITCH_UPLINK)
			set_entry(sw, &e[i], 0, 0, e[i].port, false);
}

static json_t *fdb_row(struct nic *nic, const struct fdb_entry *e)
{
	uint64_t now = clock_now_ns();
	uint8_t b[MAC_SIZE];
	unsigned i;

	for (i = 0; i < MAC_SIZE; i++)
		b[i] = (uint8_t)(e->mac >> (40 - 8 * i));
	return json_pack(
		"{s:o, s:s, s:s, s:o}", "mac",
		json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2],
			     b[3], b[4], b[5]),
		"port",
		e->port == SWITCH_UPLINK ? "lan" : nic->vf[e->port - 1]->name,
		"kind", e->fixed ? "fixed" : "learned", "age_ms",
		e->fixed ? json_null()
			 : json_integer((json_int_t)((now - e->seen_ns) /
						     NS_PER_MS)));
}

json_t *switch_fdb_rows(struct nic *nic)
{
	const struct fdb_entry *e = nic->fabric.fdb[0];
	json_t *rows = json_array();
	unsigned i;

	for (i = 0; i < SWITCH_SETS * SWITCH_WAYS; i++)
		if (e[i].mac)
			json_array_append_new(rows, fdb_row(nic, &e[i]));
	return rows;
}
