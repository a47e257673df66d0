/* checker.h - what became of numbered frames: lost, repeated, reordered,
 * corrupted, and the largest gap, for each stream. */
#ifndef IOVKIT_GUESTD_CHECKER_H
#define IOVKIT_GUESTD_CHECKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <jansson.h>

#include "cmd/guestd/frames.h"
#include "cmd/guestd/histogram.h"

/* A frame older than this many numbers counts as repeated. */
#define CHECKER_WINDOW  65536u
#define CHECKER_STREAMS 64u

struct checker_counts {
	uint64_t received; /* each number once */
	uint64_t bytes;
	uint64_t lost;      /* skipped and not come since */
	uint64_t missed;    /* numbers before the first that came */
	uint64_t repeated;  /* came before */
	uint64_t reordered; /* came after a later one */
};

struct checker_stream {
	TAILQ_ENTRY(checker_stream) entry;
	uint32_t id;
	uint64_t first; /* the first number that came */
	uint64_t next;  /* one more than the largest that came */
	uint64_t total; /* 0: no end */
	struct checker_counts counts;
	uint64_t last_ns;
	uint64_t gap_ns;  /* largest time between two frames */
	uint64_t gap_seq; /* number of the frame after it */
	uint64_t window[CHECKER_WINDOW / 64];
};

struct checker {
	TAILQ_HEAD(checker_streams, checker_stream) streams; /* recent first */
	unsigned n_streams;
	struct checker_counts retired; /* of streams that made room */
	uint64_t retired_gap_ns;
	uint64_t corrupted;
	uint64_t foreign; /* frames that are no test frames */
	uint64_t last_ns; /* of any frame */
	struct histogram latency;
};

void checker_init(struct checker *ck);
void checker_fini(struct checker *ck);
void checker_reset(struct checker *ck);
/* Count one frame that came at now_ns. */
void checker_frame(struct checker *ck, const uint8_t *frame, uint32_t size,
		   uint64_t now_ns);
/* A frame for somebody else came. */
static inline void checker_foreign(struct checker *ck, uint64_t now_ns)
{
	ck->foreign++;
	ck->last_ns = now_ns;
}
/* Numbers of a stream that did not come: skipped, missed before the first,
 * and the rest of a total when `ended`. */
uint64_t checker_stream_lost(const struct checker_stream *s, bool ended);
/* Every stream seen has a total and all its numbers came; at least one. */
bool checker_complete(const struct checker *ck);
/* Nothing lost, repeated or corrupted; ended: totals must have come. */
bool checker_clean(const struct checker *ck, bool ended);
struct checker_counts checker_totals(const struct checker *ck);
uint64_t checker_gap_ns(const struct checker *ck);
/* {"received",..., "streams":[{...}]} */
json_t *checker_to_json(const struct checker *ck);

#endif
