/* hca_rig.h - an adapter in this process, its partitions' memories, and two
 * ends that work by it. */
#ifndef IOVKIT_HCA_RIG_H
#define IOVKIT_HCA_RIG_H

#include "libcore/hca.h"
#include "libcore/hca_consumer.h"

#define MEMORY 0x20000u
#define US     1000ull

/* Where a partition has things. */
#define EQ_AT      0x1000u
#define CQ_AT      0x2000u
#define SEND_AT    0x3000u
#define RECEIVE_AT 0x4000u
#define ASB_AT     0x5000u
#define DATA_AT    0x8000u
#define RING       16u

/* The adapter and four partitions' memories; 0 is the machine's. */
struct rig {
	struct hca hca;
	_Alignas(64) uint8_t memory[4][MEMORY];
	bool fenced[4];
	uint64_t now_ns, wake_ns;
	unsigned interrupts[4][HCA_ISCS];
	unsigned told;
	bool work;
};

/* A partition with one of each, and its consumer. */
struct end {
	struct rig *r;
	unsigned p;
	uint32_t eq, cq, qp;
	struct hca_reader events, completions;
	uint32_t sent, received; /* tails */
};

/* A new adapter. */
struct rig *rig_new(void);
void rig_free(struct rig *r);
enum hca_status rig_verb(struct rig *r, unsigned partition, enum hca_opcode op,
			 unsigned attribute, uint32_t handle, uint64_t value);
enum hca_status rig_store(struct rig *r, unsigned partition, uint32_t handle,
			  unsigned attribute, uint64_t value);
uint64_t rig_load(struct rig *r, unsigned partition, uint32_t handle,
		  unsigned attribute);
uint32_t rig_allocate(struct rig *r, unsigned partition, enum hca_kind kind);
uint32_t rig_make_eq(struct rig *r, unsigned p, uint64_t base);
uint32_t rig_make_cq(struct rig *r, unsigned p, uint64_t base, uint32_t eq,
		     uint64_t token);
uint32_t rig_make_qp(struct rig *r, unsigned p, uint64_t send, uint64_t receive,
		     uint32_t send_cq, uint32_t receive_cq, uint32_t eq);
void end_make(struct end *e, struct rig *r, unsigned p);
/* They are each other's, and run. */
void end_join(struct end *a, struct end *b);
/* An entry of its ring at `at`. */
struct hca_wqe *end_entry(struct end *e, uint32_t at, uint32_t index);
/* Until nobody has work. */
void rig_run(struct rig *r);
void end_ring(struct end *e, bool receive);
/* Put an entry into a queue and ring. */
void end_post_receive(struct end *e, uint64_t address, uint32_t length);
void end_post(struct end *e, unsigned work, uint64_t address, uint32_t length,
	      uint64_t remote);
void end_write_text(struct end *e, uint32_t at, const char *text);
const char *end_text_at(struct end *e, uint32_t at);
/* Take the next one; it is this. */
void end_check_completion(struct end *e, unsigned work, uint64_t id,
			  unsigned status, uint32_t length);
void end_check_event(struct end *e, unsigned event, uint64_t token,
		     uint64_t detail);
void end_check_no_event(struct end *e);
void end_check_no_completion(struct end *e);
/* One more completion at b, by a message of a. */
void end_deliver(struct end *a, struct end *b);
/* That subclass 1 of its partition had. */
unsigned end_interrupts(const struct end *e);

#define STORE(r, p, h, a, v) CHECK_INT(rig_store(r, p, h, a, v), HCA_OK)

#endif
