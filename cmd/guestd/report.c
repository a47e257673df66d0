/* report.c - what a guest tells about itself: tables, results, events. */
#include <config.h>

#include "cmd/guestd/report.h"

#include <stdio.h>
#include <string.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/vf_driver.h"
#include "cmd/guestd/vf_send.h"
#include "libcore/units.h"

static void set_int(json_t *o, const char *key, uint64_t value)
{
	json_object_set_new(o, key, json_integer((json_int_t)value));
}

static json_t *bandwidth(uint64_t bps)
{
	char text[32];

	if (!bps)
		return json_string("unlimited");
	return json_string(units_format_bitrate(text, sizeof(text), bps));
}

static const char *link_name(const struct vf *vf)
{
	if (!vf->link_known)
		return "unknown";
	return vf->link_up ? "up" : "down";
}

static json_t *vf_row(struct vf *vf)
{
	char mac[MAC_TEXT_MAX];
	json_t *o;

	o = json_pack("{s:s, s:i, s:s, s:s, s:s, s:o, s:o, s:o, s:I, s:s}",
		      "vf", vf->name, "slot", vf->pci.slot, "mac",
		      mac_format(mac, vf->mac), "state",
		      vf_state_name(vf->state), "link", link_name(vf), "max",
		      bandwidth(vf->bandwidth_max), "allocated",
		      bandwidth(vf->bandwidth), "bar0",
		      json_sprintf("0x%llx", (unsigned long long)vf->pci.bar0),
		      "resets", (json_int_t)vf->resets, "why", vf->why);
	return o;
}

/* fig. 4 */
static json_t *link_row(const struct vf *vf)
{
	const struct vf_counters *n = &vf->counters;
	json_t *o;

	o = json_pack("{s:s, s:o, s:s, s:o, s:o}", "function", vf->name, "vm",
		      json_sprintf("vm%u", vf->guest->options.vm), "link",
		      link_name(vf), "max", bandwidth(vf->bandwidth_max),
		      "allocated", bandwidth(vf->bandwidth));
	set_int(o, "queries", n->link_queries);
	set_int(o, "answers", n->link_answers);
	set_int(o, "wait_ns", n->link_wait_ns);
	set_int(o, "open_ns", vf->asked_ns ? clock_now_ns() - vf->asked_ns : 0);
	return o;
}

/* Indexes as they stand in the ring. */
static json_t *queue_row(struct vf *vf, bool tx)
{
	const struct queue *q = tx ? &vf->tx : &vf->rx;
	const struct vf_counters *n = &vf->counters;
	uint32_t write, read;
	json_t *o;

	write = atomic_load_explicit(&q->ring->write.index,
				     memory_order_relaxed);
	read = atomic_load_explicit(&q->ring->read.index, memory_order_relaxed);
	o = json_pack("{s:s, s:s, s:i, s:b, s:I, s:I, s:I, s:b}", "vf",
		      vf->name, "queue", tx ? "tx" : "rx", "entries", vf->n,
		      "enable", queue_enabled(q), "write", (json_int_t)write,
		      "read", (json_int_t)read, "filled",
		      (json_int_t)(uint32_t)(write - read), "stopped",
		      tx ? vf->tx_stopped : vf->rx_stopped);
	set_int(o, "frames", tx ? n->tx_frames : n->rx_frames);
	set_int(o, "bytes", tx ? n->tx_bytes : n->rx_bytes);
	set_int(o, "errors", tx ? n->tx_errors : n->rx_errors);
	set_int(o, "waits", tx ? n->tx_full : n->rx_waits);
	set_int(o, "doorbells", tx ? n->tx_doorbells : n->rx_doorbells);
	set_int(o, "interrupts", tx ? n->tx_interrupts : n->rx_interrupts);
	if (tx) {
		set_int(o, "link_down", n->tx_link_down);
		set_int(o, "forced_stop", n->tx_stopped);
	}
	return o;
}

json_t *workload_to_json(const struct workload *w)
{
	json_t *o;

	o = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:s}", "workload",
		      w->name, "kind", w->ops->name, "vf", workload_function(w),
		      "state", workload_state_name(w->state), "done", 0, "of",
		      0, "errors", 0, "detail", "");
	w->ops->report(w, o);
	if (w->why[0])
		json_object_set_new(o, "detail", json_string(w->why));
	return o;
}

static json_t *vf_rows(void *arg)
{
	struct guest *g = arg;
	json_t *rows = json_array();
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++)
		if (g->vf[i])
			json_array_append_new(rows, vf_row(g->vf[i]));
	return rows;
}

static json_t *link_rows(void *arg)
{
	struct guest *g = arg;
	json_t *rows = json_array();
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++)
		if (g->vf[i])
			json_array_append_new(rows, link_row(g->vf[i]));
	return rows;
}

static json_t *queue_rows(void *arg)
{
	struct guest *g = arg;
	json_t *rows = json_array();
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++) {
		if (!g->vf[i] || !g->vf[i]->n)
			continue;
		json_array_append_new(rows, queue_row(g->vf[i], true));
		json_array_append_new(rows, queue_row(g->vf[i], false));
	}
	return rows;
}

static json_t *workload_rows(void *arg)
{
	struct guest *g = arg;
	json_t *rows = json_array();
	const struct workload *w;

	TAILQ_FOREACH (w, &g->workloads.list, entry)
		json_array_append_new(rows, workload_to_json(w));
	return rows;
}

static json_t *stream_rows(void *arg)
{
	struct guest *g = arg;
	json_t *all = checker_to_json(&g->checker);
	json_t *rows = json_incref(json_object_get(all, "streams"));

	json_decref(all);
	return rows;
}

static const struct control_column workload_columns[] = {
	{ "workload", "WORKLOAD" },
	{ "kind", "KIND" },
	{ "vf", "VF" },
	{ "state", "STATE" },
	{ "done", "DONE" },
	{ "of", "OF" },
	{ "errors", "ERRORS" },
	{ "per_second", "PER SECOND" },
	{ "detail", "DETAIL" },
	{ NULL, NULL },
};

static const struct control_column queue_columns[] = {
	{ "vf", "VF" },
	{ "queue", "QUEUE" },
	{ "entries", "ENTRIES" },
	{ "enable", "ENABLE" },
	{ "write", "WRITE INDEX" },
	{ "read", "READ INDEX" },
	{ "filled", "FILLED" },
	{ "frames", "FRAMES" },
	{ "bytes", "BYTES" },
	{ "errors", "ERRORS" },
	{ "waits", "WAITS" },
	{ "doorbells", "DOORBELLS" },
	{ "interrupts", "INTERRUPTS" },
	{ NULL, NULL },
};

static const struct control_column vf_columns[] = {
	{ "slot", "SLOT" },
	{ "vf", "VF" },
	{ "mac", "MAC" },
	{ "state", "STATE" },
	{ "link", "LINK" },
	{ "max", "MAX" },
	{ "allocated", "ALLOCATED" },
	{ "bar0", "BAR 0" },
	{ "resets", "RESETS" },
	{ NULL, NULL },
};

static const struct control_column link_columns[] = {
	{ "function", "FUNCTION" },   { "vm", "VM" },
	{ "link", "LINK" },           { "max", "MAX" },
	{ "allocated", "ALLOCATED" }, { "queries", "QUERIES" },
	{ "answers", "ANSWERS" },     { "wait_ns", "LONGEST WAIT" },
	{ "open_ns", "OPEN" },        { NULL, NULL },
};

static const struct control_column stream_columns[] = {
	{ "stream", "STREAM" },
	{ "received", "RECEIVED" },
	{ "lost", "LOST" },
	{ "missed", "MISSED" },
	{ "repeated", "REPEATED" },
	{ "reordered", "REORDERED" },
	{ "not_come", "NOT COME" },
	{ "gap_ns", "GAP" },
	{ NULL, NULL },
};

const struct control_table report_tables[] = {
	{ "workload", "what a guest does, and its results", workload_columns,
	  workload_rows },
	{ "queues", "queues of a guest's VFs (fig. 5)", queue_columns,
	  queue_rows },
	{ "vf", "a guest's VFs", vf_columns, vf_rows },
	{ "link", "virtual link state of a guest's VFs (fig. 4)", link_columns,
	  link_rows },
	{ "streams", "numbered frames that a guest received", stream_columns,
	  stream_rows },
	{ NULL, NULL, NULL, NULL },
};

json_t *report_to_json(struct guest *g)
{
	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "vm", g->options.vm,
			 "vfs", vf_rows(g), "link", link_rows(g), "queues",
			 queue_rows(g), "frames", checker_to_json(&g->checker),
			 "workloads", workload_rows(g));
}

void report_reset(struct guest *g)
{
	unsigned i;

	/* Before the VFs: they note how many errors were not theirs. */
	for (i = 0; i < PLATFORM_SLOTS; i++)
		if (g->vf[i])
			memset(&g->vf[i]->counters, 0,
			       sizeof(g->vf[i]->counters));
	workloads_reset(g);
	checker_reset(&g->checker);
}

static struct vf_counters sum_counters(const struct guest *g)
{
	struct vf_counters sum = { 0 };
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++) {
		if (!g->vf[i])
			continue;
		sum.tx_frames += g->vf[i]->counters.tx_frames;
		sum.tx_errors += g->vf[i]->counters.tx_errors;
		sum.rx_frames += g->vf[i]->counters.rx_frames;
		sum.rx_errors += g->vf[i]->counters.rx_errors;
	}
	return sum;
}

void report_event(struct guest *g)
{
	const struct vf_counters sum = sum_counters(g);
	const struct checker_counts n = checker_totals(&g->checker);

	event(g->program.log, "report",
	      "s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I",
	      "sent", (json_int_t)sum.tx_frames, "send_errors",
	      (json_int_t)sum.tx_errors, "frames", (json_int_t)sum.rx_frames,
	      "receive_errors", (json_int_t)sum.rx_errors, "received",
	      (json_int_t)n.received, "lost", (json_int_t)n.lost, "missed",
	      (json_int_t)n.missed, "repeated", (json_int_t)n.repeated,
	      "reordered", (json_int_t)n.reordered, "corrupted",
	      (json_int_t)g->checker.corrupted, "foreign",
	      (json_int_t)g->checker.foreign, "gap_ns",
	      (json_int_t)checker_gap_ns(&g->checker));
}

/* What the requests of all VFs came to, behind what buf says. */
static void line_requests(struct guest *g, char *buf, size_t size)
{
	json_int_t answered = 0, refused = 0, errors = 0;
	const struct workload *w;
	size_t used = strlen(buf);
	bool any = false;
	json_t *row;

	TAILQ_FOREACH (w, &g->workloads.list, entry) {
		if (w->spec.kind != WORKLOAD_REQUESTS)
			continue;
		row = workload_to_json(w);
		answered +=
			json_integer_value(json_object_get(row, "answered"));
		refused += json_integer_value(json_object_get(row, "refused"));
		errors += json_integer_value(json_object_get(row, "errors"));
		json_decref(row);
		any = true;
	}
	if (any)
		snprintf(buf + used, size - used,
			 "; requests answered %lld, refused %lld, errors %lld",
			 (long long)answered, (long long)refused,
			 (long long)errors);
}

char *report_line(struct guest *g, char *buf, size_t size)
{
	const struct vf_counters sum = sum_counters(g);
	const struct checker_counts n = checker_totals(&g->checker);
	char gap[32];

	snprintf(buf, size,
		 "sent %llu, received %llu, of these numbered %llu: lost %llu, "
		 "missed %llu, repeated %llu, reordered %llu, corrupted %llu, "
		 "largest gap %s",
		 (unsigned long long)sum.tx_frames,
		 (unsigned long long)sum.rx_frames,
		 (unsigned long long)n.received, (unsigned long long)n.lost,
		 (unsigned long long)n.missed, (unsigned long long)n.repeated,
		 (unsigned long long)n.reordered,
		 (unsigned long long)g->checker.corrupted,
		 units_format_duration(gap, sizeof(gap),
				       checker_gap_ns(&g->checker)));
	line_requests(g, buf, size);
	return buf;
}

void report_workload(const struct workload *w, const char *ev)
{
	json_t *o = workload_to_json(w);

	event(w->guest->program.log, ev, "s:O, s:O, s:O, s:O, s:O, s:O",
	      "workload", json_object_get(o, "workload"), "kind",
	      json_object_get(o, "kind"), "vf", json_object_get(o, "vf"),
	      "done", json_object_get(o, "done"), "errors",
	      json_object_get(o, "errors"), "detail",
	      json_object_get(o, "detail"));
	json_decref(o);
}
