/* bars.c - which addresses a device claims: BARs, VF BARs, Memory Space
 * Enable, VF Enable.
 *
 * Theory of operation.  What a register accepts of a write is the device's to
 * say.  So a config write of a PF that touches what decides about decoding is
 * relayed, behind it the PF's config space is read anew, once for all writes
 * that leave together, and they are answered when the bridge follows them;
 * those that leave VF Enable set, when all VFs are attached.
 *
 * A reset (Initiate FLR) is answered at once: from then on the PF claims its
 * config space only, and such a read shows what is left of the rest.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/rootbridge/bridge.h"

static bool overlaps(uint64_t offset, uint32_t count, uint64_t first,
		     uint64_t size)
{
	return offset < first + size && offset + count > first;
}

static bool writes_flr(const struct function *pf, uint64_t offset,
		       uint32_t count, const uint8_t *data)
{
	unsigned cap = pci_find_cap(pf->config, PCI_CAP_ID_EXP);
	uint64_t byte = cap + PCI_EXP_DEVCTL + 1u;

	return cap && overlaps(offset, count, byte, 1) &&
	       (data[byte - offset] & (PCI_EXP_DEVCTL_BCR_FLR >> 8));
}

uint8_t bars_snoop(const struct function *pf, uint64_t offset, uint32_t count,
		   const uint8_t *data)
{
	const struct device *d = pf->device;

	if (writes_flr(pf, offset, count, data))
		return SNOOP_FLR;
	if (overlaps(offset, count, PCI_COMMAND, 2) ||
	    overlaps(offset, count, PCI_BASE_ADDRESS_0, 24))
		return SNOOP_DECODE;
	if (d->has_sriov &&
	    overlaps(offset, count, d->sriov.cap + PCI_SRIOV_CTRL,
		     PCI_SRIOV_VFM - PCI_SRIOV_CTRL))
		return SNOOP_DECODE;
	return 0;
}

static void add_range(struct bridge *b, struct device *d, unsigned bar,
		      uint64_t address, uint64_t slice, unsigned n,
		      unsigned first_vf)
{
	struct routing_range range = { .first = address,
				       .last = address + slice * n - 1,
				       .slice = slice,
				       .device = d,
				       .bar = (uint8_t)bar,
				       .first_vf = (uint8_t)first_vf };
	int err;

	/* Out of the window is where sizing puts a BAR for a moment. */
	if (!slice || !n || slice > PLATFORM_MMIO_SIZE)
		return;
	err = routing_add(&b->routing, &range);
	if (err == -EEXIST)
		event(b->log, "bar.overlap", "s:s, s:i, s:I, s:I", "function",
		      d->vf[first_vf]->name, "bar", (int)bar, "address",
		      (json_int_t)address, "size", (json_int_t)(slice * n));
}

static void add_pf(struct bridge *b, struct device *d)
{
	const struct function *pf = d->pf;
	uint64_t address;
	unsigned bar;
	bool is_64;

	if (!(pci_get16(pf->config, PCI_COMMAND) & PCI_COMMAND_MEMORY))
		return;
	for (bar = 0; bar < 6; bar++) {
		if (pci_get32(pf->config, PCI_BASE_ADDRESS_0 + 4 * bar) &
		    PCI_BASE_ADDRESS_SPACE_IO)
			continue;
		address = pci_read_bar(pf->config, PCI_BASE_ADDRESS_0, bar,
				       &is_64);
		add_range(b, d, bar, address, pf->region_size[bar], 1, 0);
		bar += is_64;
	}
}

static void add_vfs(struct bridge *b, struct device *d)
{
	unsigned bar, n = d->sriov.num_vfs;
	const struct function *vf = d->vf[1];

	if (n > FUNCTION_VF_MAX)
		n = FUNCTION_VF_MAX;
	if (!d->sriov.vf_mse || !vf || !vf->present)
		return;
	for (bar = 0; bar < 6; bar++)
		if (d->sriov.vf_bar[bar])
			add_range(b, d, bar, d->sriov.vf_bar[bar],
				  vf->region_size[bar], n, 1);
}

/* Which function of the bus answers config requests, by devfn. */
static void map_functions(struct device *d)
{
	unsigned i;

	memset(d->by_devfn, 0, sizeof(d->by_devfn));
	for (i = 0; i <= FUNCTION_VF_MAX; i++)
		if (d->vf[i] && function_decodes(d->vf[i]) &&
		    d->vf[i]->bdf >> 8 == d->bus)
			d->by_devfn[d->vf[i]->bdf & 0xff] = d->vf[i];
}

void bars_rebuild(struct bridge *b)
{
	struct device *d;
	unsigned bus;

	routing_clear(&b->routing);
	for (bus = 1; bus <= b->n_buses; bus++) {
		d = b->bus[bus];
		if (!d)
			continue;
		map_functions(d);
		if (!d->pf->present)
			continue;
		add_pf(b, d);
		if (d->has_sriov && d->sriov.vf_enable)
			add_vfs(b, d);
	}
}

uint64_t bars_address(const struct function *f, unsigned bar)
{
	const struct device *d = f->device;

	if (!function_decodes(f))
		return 0;
	if (!f->vf)
		return pci_get16(f->config, PCI_COMMAND) & PCI_COMMAND_MEMORY
			       ? pci_read_bar(f->config, PCI_BASE_ADDRESS_0,
					      bar, NULL)
			       : 0;
	if (!d->sriov.vf_mse || !d->sriov.vf_bar[bar])
		return 0;
	return d->sriov.vf_bar[bar] + (f->vf - 1u) * f->region_size[bar];
}

/* A VF exists, for us, from the first time that it is enabled. */
static void make_vfs(struct device *d)
{
	unsigned n;

	for (n = 1; n <= d->sriov.num_vfs && n <= FUNCTION_VF_MAX; n++) {
		if (!d->vf[n])
			d->vf[n] = function_new(d, n);
		if (d->vf[n])
			d->vf[n]->bdf = pci_vf_bdf(d->pf->bdf, &d->sriov, n);
	}
}

void bars_update(struct device *d, const uint8_t *config)
{
	struct function *pf = d->pf;

	if (config != pf->config)
		memcpy(pf->config, config, pf->region_size[VFU_REGION_CONFIG]);
	d->has_sriov = pci_read_sriov(pf->config, &d->sriov);
	if (d->has_sriov && d->sriov.vf_enable)
		make_vfs(d);
	bars_rebuild(d->bridge);
}

static void claim_nothing(struct device *d)
{
	uint16_t command = pci_get16(d->pf->config, PCI_COMMAND);

	pci_put16(d->pf->config, PCI_COMMAND,
		  command & (uint16_t)~PCI_COMMAND_MEMORY);
	d->sriov.vf_enable = false;
	bars_rebuild(d->bridge);
}

/* The PF's config space after a write; arg is the device. */
static void refreshed(void *arg, const uint8_t *data, uint32_t count)
{
	struct device *d = arg;

	if (data && count == d->pf->region_size[VFU_REGION_CONFIG])
		bars_update(d, data);
}

static bool awaits_look(const struct device *d, const struct operation *op)
{
	return (int32_t)(op->look - d->looks_done) > 0;
}

/* The same, for the writes that this look follows: they are answered now. */
static void followed(void *arg, const uint8_t *data, uint32_t count)
{
	struct device *d = arg;
	struct operation *op, *next;

	d->looks_done++;
	refreshed(d, data, count);
	TAILQ_FOREACH_SAFE (op, &d->written, queue, next) {
		if (awaits_look(d, op))
			continue;
		TAILQ_REMOVE(&d->written, op, queue);
		if (!data)
			relay_unsupported(op);
		else if (d->has_sriov && d->sriov.vf_enable)
			device_enable_vfs(d, op);
		else
			relay_data(op, NULL, 0);
	}
}

static void look(void *arg)
{
	struct device *d = arg;

	d->looks++;
	relay_own_read(d->pf, 0,
		       (uint32_t)d->pf->region_size[VFU_REGION_CONFIG],
		       followed, d);
}

/* The next look leaves behind all that is sent to the device now. */
static void look_behind(struct operation *op)
{
	struct device *d = op->function->device;

	op->look = d->looks + 1;
	loop_defer(d->bridge->loop, &d->look, look, d);
}

void bars_sent(struct operation *op)
{
	if (op->snoop & SNOOP_DECODE)
		look_behind(op);
}

/* A reset waits for everybody's requests but ours. */
static void own_reads_again(struct device *d)
{
	unsigned n;

	relay_own_again(d->pf, UINT64_MAX);
	for (n = 1; n <= FUNCTION_VF_MAX; n++)
		if (d->vf[n])
			relay_own_again(d->vf[n], UINT64_MAX);
}

void bars_written(struct operation *op)
{
	struct function *pf = op->function;
	struct device *d = pf->device;

	if (op->snoop & SNOOP_FLR) {
		event(d->bridge->log, "function.reset", "s:s, s:s", "function",
		      pf->name, "by", operation_operator(op));
		claim_nothing(d);
		relay_data(op, NULL, 0);
		own_reads_again(d);
		relay_own_read(pf, 0,
			       (uint32_t)pf->region_size[VFU_REGION_CONFIG],
			       refreshed, d);
		return;
	}
	/* A device that answered the look first may have looked too early. */
	if (!awaits_look(d, op))
		look_behind(op);
	TAILQ_INSERT_TAIL(&d->written, op, queue);
}

void bars_stop(struct device *d)
{
	struct operation *op;

	loop_defer_cancel(&d->look);
	while ((op = TAILQ_FIRST(&d->written))) {
		TAILQ_REMOVE(&d->written, op, queue);
		relay_unsupported(op);
	}
}
