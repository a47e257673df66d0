/* checker.c - what became of numbered frames.
 *
 * Theory of operation.  Each stream keeps one more than the largest number
 * that came (next) and a bit for each of the CHECKER_WINDOW numbers below it.
 * A number at or above next skips those between: they are lost until they
 * come.  A number below next is repeated when its bit is set, else it came
 * late: reordered, and no longer lost.  Numbers before the first that came
 * are "missed" and treated alike: the receiver may have started late, so they
 * are told apart from what was lost under way.
 */
#include <config.h>

#include "cmd/guestd/checker.h"

#include <stdlib.h>
#include <string.h>

void checker_init(struct checker *ck)
{
	*ck = (struct checker){ 0 };
	TAILQ_INIT(&ck->streams);
}

void checker_fini(struct checker *ck)
{
	struct checker_stream *s;

	while ((s = TAILQ_FIRST(&ck->streams))) {
		TAILQ_REMOVE(&ck->streams, s, entry);
		free(s);
	}
	histogram_fini(&ck->latency);
}

void checker_reset(struct checker *ck)
{
	checker_fini(ck);
	checker_init(ck);
}

static void counts_add(struct checker_counts *to,
		       const struct checker_counts *from)
{
	to->received += from->received;
	to->bytes += from->bytes;
	to->lost += from->lost;
	to->missed += from->missed;
	to->repeated += from->repeated;
	to->reordered += from->reordered;
}

/* The stream that was silent longest becomes numbers only. */
static struct checker_stream *retire_oldest(struct checker *ck)
{
	struct checker_stream *s = TAILQ_LAST(&ck->streams, checker_streams);

	TAILQ_REMOVE(&ck->streams, s, entry);
	counts_add(&ck->retired, &s->counts);
	if (s->gap_ns > ck->retired_gap_ns)
		ck->retired_gap_ns = s->gap_ns;
	memset(s, 0, sizeof(*s));
	return s;
}

static struct checker_stream *stream_new(struct checker *ck,
					 const struct frames_info *info)
{
	struct checker_stream *s = NULL;

	if (ck->n_streams < CHECKER_STREAMS)
		s = calloc(1, sizeof(*s));
	if (s)
		ck->n_streams++;
	else if (ck->n_streams)
		s = retire_oldest(ck);
	else
		return NULL;
	s->id = info->stream;
	s->first = s->next = info->sequence;
	s->total = info->total;
	s->counts.missed = info->sequence;
	TAILQ_INSERT_HEAD(&ck->streams, s, entry);
	return s;
}

static struct checker_stream *stream_find(struct checker *ck,
					  const struct frames_info *info)
{
	struct checker_stream *s = TAILQ_FIRST(&ck->streams);

	if (s && s->id == info->stream)
		return s;
	TAILQ_FOREACH (s, &ck->streams, entry)
		if (s->id == info->stream)
			break;
	if (!s)
		return stream_new(ck, info);
	TAILQ_REMOVE(&ck->streams, s, entry);
	TAILQ_INSERT_HEAD(&ck->streams, s, entry);
	return s;
}

static inline uint64_t *window_word(struct checker_stream *s, uint64_t seq)
{
	return &s->window[seq % CHECKER_WINDOW / 64];
}

static inline uint64_t window_bit(uint64_t seq)
{
	return 1ull << (seq % 64);
}

/* The numbers from next to seq come into the window: none of them came. */
static void window_advance(struct checker_stream *s, uint64_t seq)
{
	uint64_t i;

	if (seq - s->next >= CHECKER_WINDOW)
		memset(s->window, 0, sizeof(s->window));
	else
		for (i = s->next; i <= seq; i++)
			*window_word(s, i) &= ~window_bit(i);
	s->counts.lost += seq - s->next;
	s->next = seq + 1;
}

/* True: it is the first time that this number came. */
static bool count_late(struct checker_stream *s, uint64_t seq)
{
	if (s->next - seq > CHECKER_WINDOW ||
	    (*window_word(s, seq) & window_bit(seq))) {
		s->counts.repeated++;
		return false;
	}
	s->counts.reordered++;
	if (seq < s->first)
		s->counts.missed--;
	else
		s->counts.lost--;
	return true;
}

static void count_good(struct checker *ck, const struct frames_info *info,
		       uint32_t size, uint64_t now_ns)
{
	struct checker_stream *s = stream_find(ck, info);

	if (!s)
		return;
	if (s->last_ns && now_ns - s->last_ns > s->gap_ns) {
		s->gap_ns = now_ns - s->last_ns;
		s->gap_seq = info->sequence;
	}
	s->last_ns = now_ns;
	if (info->sequence >= s->next)
		window_advance(s, info->sequence);
	else if (!count_late(s, info->sequence))
		return;
	*window_word(s, info->sequence) |= window_bit(info->sequence);
	s->counts.received++;
	s->counts.bytes += size;
	if (now_ns >= info->time_ns)
		histogram_add(&ck->latency, now_ns - info->time_ns);
}

void checker_frame(struct checker *ck, const uint8_t *frame, uint32_t size,
		   uint64_t now_ns)
{
	struct frames_info info;

	ck->last_ns = now_ns;
	switch (frames_parse(frame, size, &info)) {
	case FRAMES_FOREIGN:
		ck->foreign++;
		return;
	case FRAMES_CORRUPT:
		ck->corrupted++;
		return;
	case FRAMES_GOOD:
		count_good(ck, &info, size, now_ns);
		return;
	}
}

uint64_t checker_stream_lost(const struct checker_stream *s, bool ended)
{
	uint64_t lost = s->counts.lost + s->counts.missed;

	if (ended && s->total > s->next)
		lost += s->total - s->next;
	return lost;
}

bool checker_complete(const struct checker *ck)
{
	const struct checker_stream *s;

	TAILQ_FOREACH (s, &ck->streams, entry)
		if (!s->total || checker_stream_lost(s, true))
			return false;
	return !TAILQ_EMPTY(&ck->streams);
}

bool checker_clean(const struct checker *ck, bool ended)
{
	const struct checker_stream *s;

	if (ck->corrupted || ck->retired.lost || ck->retired.missed ||
	    ck->retired.repeated)
		return false;
	TAILQ_FOREACH (s, &ck->streams, entry)
		if (s->counts.repeated || checker_stream_lost(s, ended))
			return false;
	return true;
}

struct checker_counts checker_totals(const struct checker *ck)
{
	struct checker_counts sum = ck->retired;
	const struct checker_stream *s;

	TAILQ_FOREACH (s, &ck->streams, entry)
		counts_add(&sum, &s->counts);
	return sum;
}

uint64_t checker_gap_ns(const struct checker *ck)
{
	uint64_t gap = ck->retired_gap_ns;
	const struct checker_stream *s;

	TAILQ_FOREACH (s, &ck->streams, entry)
		if (s->gap_ns > gap)
			gap = s->gap_ns;
	return gap;
}

static json_t *counts_to_json(const struct checker_counts *n)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "received",
			 (json_int_t)n->received, "bytes", (json_int_t)n->bytes,
			 "lost", (json_int_t)n->lost, "missed",
			 (json_int_t)n->missed, "repeated",
			 (json_int_t)n->repeated, "reordered",
			 (json_int_t)n->reordered);
}

static json_t *stream_to_json(const struct checker_stream *s)
{
	json_t *o = counts_to_json(&s->counts);
	json_t *more = json_pack(
		"{s:I, s:I, s:I, s:I, s:I, s:I}", "stream", (json_int_t)s->id,
		"next", (json_int_t)s->next, "total", (json_int_t)s->total,
		"not_come",
		(json_int_t)(s->total > s->next ? s->total - s->next : 0),
		"gap_ns", (json_int_t)s->gap_ns, "gap_at",
		(json_int_t)s->gap_seq);

	json_object_update(o, more);
	json_decref(more);
	return o;
}

json_t *checker_to_json(const struct checker *ck)
{
	struct checker_counts sum = checker_totals(ck);
	json_t *o = counts_to_json(&sum), *streams = json_array();
	const struct checker_stream *s;

	TAILQ_FOREACH (s, &ck->streams, entry)
		json_array_append_new(streams, stream_to_json(s));
	json_object_set_new(o, "corrupted",
			    json_integer((json_int_t)ck->corrupted));
	json_object_set_new(o, "foreign",
			    json_integer((json_int_t)ck->foreign));
	json_object_set_new(o, "gap_ns",
			    json_integer((json_int_t)checker_gap_ns(ck)));
	json_object_set_new(o, "latency", histogram_to_json(&ck->latency));
	json_object_set_new(o, "streams", streams);
	return o;
}
