/* demux.h - what an event costs on its way from one adapter's queue to one of
 * many guests' queues, and by other ways.
 *
 * Two processes, each on a CPU of its own: the firmware, which is measured, and
 * the others, that is the adapter and all guests, so that what they wrote or
 * read is in their cache.
 */
#ifndef BENCH_DEMUX_H
#define BENCH_DEMUX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "libcore/demux_forward.h"
#include "libcore/hca_consumer.h"

#define DEMUX_BENCH_MAX 65536u /* queues */

struct demux_bench {
	int firmware_cpu, others_cpu;
	uint32_t queues;
	uint32_t rounds; /* or lone events */

	uint32_t round; /* events in one: each of another queue */
	uint8_t *memory;
	uint64_t size;
	struct demux_tables tables;
	struct demux_forwarder forwarder;
	uint64_t *geqa;  /* handles */
	uint32_t *order; /* of queues: the first `round` are those of a round */
	uint64_t random;
	/* Of the others. */
	uint32_t recorded;
	struct hca_reader *reader;
	/* Of each round or event, in ns; shared. */
	double *times;
	/* Shared: who is at work, and a byte that the adapter sets. */
	struct demux_turn {
		_Alignas(128) _Atomic uint32_t turn;
		_Alignas(128) _Atomic uint8_t psb;
	} * shared;
	int *eventfds; /* of guests, or NULL */
};

struct demux_cost {
	double p50_ns, p99_ns;
};

/* Tables and guests in memory that both share; exits on failure. */
void demux_bench_init(struct demux_bench *b);
void demux_bench_fini(struct demux_bench *b);
/* An eventfd for each queue; false: this process may not have so many. */
bool demux_bench_eventfds(struct demux_bench *b);
/* Choose the queues of a round. */
void demux_bench_shuffle(struct demux_bench *b);
/* The adapter adds an event of a queue. */
void demux_bench_record(struct demux_bench *b, uint32_t queue);
struct hca_eqe *demux_bench_slot(struct demux_bench *b, uint32_t queue);

/* Forwarding a round's events, each of which is seen by its guest then; with
 * `interrupt`, an eventfd is written for each too. */
struct demux_cost demux_cost_forward(struct demux_bench *b, bool interrupt);
/* Waiting for as many eventfds with epoll, and reading each. */
struct demux_cost demux_cost_epoll(struct demux_bench *b);
/* From a lone event in the adapter's queue to its guest's, while the firmware
 * polls; `scan`: it looks at a queue of the adapter for each guest instead. */
struct demux_cost demux_cost_lone(struct demux_bench *b, bool scan);

#endif
