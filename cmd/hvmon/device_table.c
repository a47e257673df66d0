/* device_table.c - the table "devices" for people. */
#include <config.h>

#include <stdio.h>

#include "cmd/hvmon/carried.h"
#include "cmd/hvmon/hold.h"
#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/virtual.h"

/* "0:50000000+10000", one a BAR. */
static json_t *format_bars(const uint64_t *address, const uint64_t *size,
			   unsigned count)
{
	char text[256];
	size_t used = 0;
	unsigned i;

	text[0] = '\0';
	for (i = 0; i < 6 && used < sizeof(text); i++) {
		if (!size[i])
			continue;
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%s%u:0x%llx+0x%llx", used ? " " : "",
					 i, (unsigned long long)address[i],
					 (unsigned long long)size[i] * count);
	}
	return json_string(text);
}

static const char *mode_of(const struct device *d)
{
	if (d->virtual)
		return "virtual";
	if (d->serves)
		return "behind";
	return d->forwards ? "forward" : "direct";
}

/* Of a virtual one: the state of its machine, and what it did. */
static json_t *add_virtual(json_t *row, const struct device *d)
{
	const struct virtual *v = d->virtual;
	bool searches = v && v->record.phase == VIRTUAL_SEARCH;
	json_t *more;

	if (!d->regs_bytes)
		return row;
	json_object_set_new(row, "mode", json_string(mode_of(d)));
	json_object_set_new(row, "kind", json_string(device_shown(d)->name));
	json_object_set_new(row, "real", json_string(device_kind(d)->name));
	if (!v)
		return row;
	more = json_pack(
		"{s:s*, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I}", "behind",
		virtual_leans(v) ? v->worker->name : NULL, "machine",
		searches ? "search" : virtual_machine_name(v), "hold",
		hold_name(v->hold), "waiting", (int)v->n_kept, "trapped",
		(json_int_t)v->trapped, "emulated", (json_int_t)v->emulated,
		"illegal", (json_int_t)v->illegal, "passed_on",
		(json_int_t)v->passed_on, "dropped", (json_int_t)v->dropped);
	json_object_update(row, more);
	json_decref(more);
	return row;
}

json_t *device_rows(void *arg)
{
	struct hvmon *hv = arg;
	json_t *rows = json_array(), *row;
	const struct device *d;
	char bdf[16];

	TAILQ_FOREACH (d, &hv->devices, entry) {
		snprintf(bdf, sizeof(bdf), "%02x:%02x.%u", d->bdf >> 8,
			 (d->bdf >> 3) & 31u, d->bdf & 7u);
		row = add_virtual(
			json_pack("{s:s, s:s, s:s, s:s, s:o, s:i, s:i, s:o, "
				  "s:s, s:b}",
				  "device", d->name, "bdf", bdf, "state",
				  d->resetting ? "resetting"
					       : device_state_name(d->state),
				  "driver", d->has_driver ? "nic" : "none",
				  "bars", format_bars(d->bar, d->bar_size, 1),
				  "num_vfs", (int)d->num_vfs, "total_vfs",
				  (int)d->sriov.total_vfs, "vf_bars",
				  format_bars(d->vf_bar, d->vf_bar_size,
					      d->num_vfs),
				  "link",
				  !d->has_driver || d->state == DEVICE_AWAY
					  ? "unknown"
				  : d->link[0].physical.up ? "up"
							   : "down",
				  "adopted", d->adopted),
			d);
		json_array_append_new(rows, row);
	}
	return rows;
}
