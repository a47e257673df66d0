/* demux_guests.c - a partition with many guests, each with an EQ on a page of
 * its own, as if they were in memories of their own. */
#include <config.h>

#include "share/bench/demux.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "libcore/status.h"

#define PAGE      4096u
#define ENTRIES   64u /* of a guest's EQ */
#define ASB       (ENTRIES * sizeof(struct hca_eqe))
#define HOST      4096u /* entries of the type 1 queue */
#define ROUND_MAX 1024u
#define TOKEN     0xabc00000u
#define ISC       1u

static void *map(uint64_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (at == MAP_FAILED)
		err(STATUS_INTERNAL, "mmap");
	return at;
}

static void *allocate(size_t n, size_t size)
{
	void *at = calloc(n, size);

	if (!at)
		err(STATUS_INTERNAL, "calloc");
	return at;
}

static uint64_t tables_size(const struct demux_bench *b)
{
	uint64_t size = demux_size(b->queues, b->queues, b->queues);

	return (size + PAGE - 1) / PAGE * PAGE;
}

static uint64_t eq_at(const struct demux_bench *b, uint32_t queue)
{
	return tables_size(b) + HOST * sizeof(struct hca_eqe) +
	       (uint64_t)queue * PAGE;
}

static void *at(void *arg, uint64_t address, uint64_t size)
{
	struct demux_bench *b = arg;

	return address < b->size && size <= b->size - address
		       ? b->memory + address
		       : NULL;
}

/* xorshift64 */
static uint32_t next_random(struct demux_bench *b, uint32_t below)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return (uint32_t)((b->random >> 32) * below >> 32);
}

/* A guest that has been at work: its EQ is at some entry. */
static void make_guest(struct demux_bench *b, uint32_t i)
{
	struct demux_tables *t = &b->tables;
	struct demux_geqcb *g = &t->geqcb[i];
	uint32_t begun = next_random(b, ENTRIES);

	atomic_store(&t->gisa[i].enabled, 1u << ISC);
	t->gisa[i].vm = i;
	g->gisa = demux_handle(i, demux_turn(&t->gisa[i].generation));
	g->ring = eq_at(b, i);
	g->entries = ENTRIES;
	atomic_store(&g->asb, eq_at(b, i) + ASB);
	atomic_store(&g->isc, ISC);
	atomic_store(&g->next, begun * DEMUX_NUMBER_ONE);
	atomic_store(&g->state, HCA_RUNNING);
	atomic_store(&t->geqa[i].token, TOKEN + i);
	atomic_store(&t->geqa[i].geqcb,
		     demux_handle(i, demux_turn(&g->generation)));
	b->geqa[i] = demux_handle(i, demux_turn(&t->geqa[i].generation));
	b->reader[i] =
		(struct hca_reader){ b->memory + g->ring, ENTRIES, begun };
	b->order[i] = i;
}

static void interrupt(void *arg, const struct demux_result *result)
{
	const struct demux_bench *b = arg;

	if (result->err)
		errx(STATUS_INTERNAL, "a guest's queue fails");
	if (b->eventfds && write(b->eventfds[result->gisa], &(uint64_t){ 1 },
				 sizeof(uint64_t)) != sizeof(uint64_t))
		err(STATUS_INTERNAL, "eventfd");
}

void demux_bench_init(struct demux_bench *b)
{
	struct demux_memory memory = { .at = at, .arg = b };
	uint32_t i;

	b->round = b->queues < ROUND_MAX ? b->queues : ROUND_MAX;
	b->random = 0x9e3779b97f4a7c15u;
	b->size = eq_at(b, b->queues);
	b->memory = map(b->size);
	b->shared = map(sizeof(*b->shared));
	b->times = map(b->rounds * sizeof(*b->times));
	b->geqa = allocate(b->queues, sizeof(*b->geqa));
	b->reader = allocate(b->queues, sizeof(*b->reader));
	b->order = allocate(b->queues, sizeof(*b->order));
	if (demux_create(&b->tables, b->memory, tables_size(b), b->queues,
			 b->queues, b->queues))
		errx(STATUS_INTERNAL, "no tables");
	for (i = 0; i < b->queues; i++)
		make_guest(b, i);
	b->tables.record->host[DEMUX_TYPE1] = (struct demux_host_queue){
		.eq = 1, .entries = HOST, .ring = tables_size(b)
	};
	if (demux_forwarder_init(&b->forwarder, &b->tables, &memory, interrupt,
				 b))
		errx(STATUS_INTERNAL, "no forwarder");
}

void demux_bench_fini(struct demux_bench *b)
{
	uint32_t i;

	for (i = 0; b->eventfds && i < b->queues; i++)
		close(b->eventfds[i]);
	demux_forwarder_fini(&b->forwarder);
	free(b->eventfds);
	free(b->geqa);
	free(b->reader);
	free(b->order);
	munmap(b->memory, b->size);
	munmap(b->shared, sizeof(*b->shared));
	munmap(b->times, b->rounds * sizeof(*b->times));
}

bool demux_bench_eventfds(struct demux_bench *b)
{
	struct rlimit limit;
	uint32_t i;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		err(STATUS_INTERNAL, "getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max < b->queues + 16 || setrlimit(RLIMIT_NOFILE, &limit))
		return false;
	b->eventfds = allocate(b->queues, sizeof(*b->eventfds));
	for (i = 0; i < b->queues; i++) {
		b->eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (b->eventfds[i] < 0)
			err(STATUS_INTERNAL, "eventfd");
	}
	return true;
}

void demux_bench_shuffle(struct demux_bench *b)
{
	uint32_t i, other, queue;

	for (i = 0; i < b->round; i++) {
		other = i + next_random(b, b->queues - i);
		queue = b->order[other];
		b->order[other] = b->order[i];
		b->order[i] = queue;
	}
}

void demux_bench_record(struct demux_bench *b, uint32_t queue)
{
	struct hca_eqe *eqe = &b->forwarder.ring[b->recorded++ % HOST];

	eqe->token = htole64(b->geqa[queue]);
	eqe->handle = htole32(queue);
	eqe->event = htole32(HCA_EVENT_COMPLETION);
	eqe->detail = 0;
	atomic_store_explicit(&eqe->mark, htole64(HCA_EQE_VALID),
			      memory_order_seq_cst);
	atomic_store_explicit(&b->shared->psb, 1, memory_order_seq_cst);
}

struct hca_eqe *demux_bench_slot(struct demux_bench *b, uint32_t queue)
{
	struct hca_reader *r = &b->reader[queue];

	return (struct hca_eqe *)r->entries + r->next % r->n;
}
