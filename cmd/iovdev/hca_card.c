/* hca_card.c - `--type hca`: the host channel adapter (iovkit-hca(7)) as a
 * device with a PF for the machine and a VF for each partition.
 *
 * What it does is libcore/hca*.c; here it gets config spaces, memories,
 * interrupts and time.  A partition is a function of its own so that all that
 * keeps functions apart keeps partitions apart: DMA maps, Bus Master Enable,
 * the root bridge's rows and routes, resets.  An interrupt zone is a VF, a
 * subclass one of its MSI-X vectors.
 */
#include <config.h>

#include "cmd/iovdev/hca_card.h"

#include <errno.h>
#include <stdlib.h>

#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/wide_registers.h"

/* Entries that are done before other things have their turn. */
#define BUDGET 256u

_Static_assert(HCA_ISCS <= NIC_VECTORS, "a vector for each subclass");

struct function *hca_function(const struct nic *nic, unsigned partition)
{
	if (!partition)
		return nic->pf;
	return partition <= nic->n_vfs ? nic->vf[partition - 1] : NULL;
}

static void *on_memory(void *arg, unsigned partition, uint64_t address,
		       uint64_t size, bool write)
{
	struct function *f = hca_function(arg, partition);

	if (!f || !function_check_memory(f))
		return NULL;
	return guest_memory_at(&f->memory, address, size,
			       write ? GUEST_READ | GUEST_WRITE : GUEST_READ);
}

static bool on_may_dma(void *arg, unsigned partition)
{
	const struct function *f = hca_function(arg, partition);

	return f && f->live && function_bme(f);
}

static void on_interrupt(void *arg, unsigned partition, unsigned isc)
{
	interrupts_fire(hca_function(arg, partition), isc);
}

static uint64_t on_now_ns(void *arg)
{
	(void)arg;
	return clock_now_ns();
}

static void on_timer(void *arg)
{
	const struct nic *nic = arg;

	hca_expire(&((struct hca_card *)nic->card)->hca);
}

static void on_wake_at(void *arg, uint64_t at_ns)
{
	struct nic *nic = arg;
	struct hca_card *card = nic->card;

	loop_timer_at(nic->loop, &card->timer, at_ns, on_timer, nic);
}

static void on_work(void *arg);

static void work_later(void *arg)
{
	struct nic *nic = arg;
	struct hca_card *card = nic->card;

	loop_defer(nic->loop, &card->work, on_work, nic);
}

static void on_work(void *arg)
{
	struct nic *nic = arg;
	struct hca_card *card = nic->card;

	if (hca_work(&card->hca, BUDGET))
		work_later(nic);
}

static void on_told(void *arg, unsigned partition, uint32_t handle,
		    const char *what)
{
	struct nic *nic = arg;
	struct function *f = hca_function(nic, partition);
	uint64_t suppressed;

	if (function_tells(f, &suppressed))
		event(nic->log, "hca.error", "s:s, s:s, s:I, s:I", "function",
		      f->name, "what", what, "handle", (json_int_t)handle,
		      "suppressed", (json_int_t)suppressed);
}

static const struct hca_ops ops = {
	.memory = on_memory,
	.may_dma = on_may_dma,
	.interrupt = on_interrupt,
	.now_ns = on_now_ns,
	.wake_at = on_wake_at,
	.work = work_later,
	.told = on_told,
};

static int start(struct nic *nic, struct complaint *c)
{
	struct hca_card *card = calloc(1, sizeof(*card));

	nic->card = card;
	if (!card)
		return complain(c, ENOMEM, "no memory");
	hca_init(&card->hca, &ops, nic);
	return 0;
}

static void stop(struct nic *nic)
{
	struct hca_card *card = nic->card;

	if (!card)
		return;
	hca_fini(&card->hca);
	loop_timer_cancel(&card->timer);
	loop_defer_cancel(&card->work);
	free(card);
	nic->card = NULL;
}

static struct hca *hca_of(const struct function *f)
{
	return &((struct hca_card *)f->nic->card)->hca;
}

static uint64_t read_one(struct function *f, uint32_t offset)
{
	return hca_read(hca_of(f), f->vf, offset);
}

static bool write_one(struct function *f, uint32_t offset, uint64_t value)
{
	return hca_write(hca_of(f), f->vf, offset, value);
}

static void reset(struct function *f)
{
	hca_reset(hca_of(f), f->vf);
}

static void reaches(struct function *f)
{
	hca_reaches(hca_of(f), f->vf);
}

const struct device_type hca_type = {
	.name = "hca",
	.max_vfs = HCA_PARTITIONS,
	.vendor = HCA_VENDOR_ID,
	.device = HCA_PF_DEVICE,
	.vf_device = HCA_VF_DEVICE,
	.class_code = HCA_CLASS,
	.bar_size = HCA_PF_BAR_SIZE,
	.vf_bar_size = HCA_VF_BAR_SIZE,
	.vectors = HCA_ISCS,
	.tables = hca_card_tables,
	.start = start,
	.stop = stop,
	.read = wide_registers_read,
	.write = wide_registers_write,
	.wide = { read_one, write_one },
	.reset = reset,
	.reaches = reaches,
};
