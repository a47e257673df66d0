/* watch.c - does a device touch the memory of a VM whose queues were drained?
 * (spec 02, between 1703 and 1707; verification only.)
 *
 * Theory of operation.  What a device may write next is what it owns of a
 * VF's receive ring: the free entries, their buffers and the write index.
 * They are copied when the watch begins and compared when the VM is unmapped,
 * after the device has given its memory back.  The ring's place is read from
 * the VF's registers by the bridge itself, so that nobody has to be believed
 * but the device that is watched.
 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "libcore/nic_regs.h"
#include "libcore/queue.h"

#include "cmd/rootbridge/bridge.h"

#define RING_REGS 16u /* base, entries, enable */

struct watch {
	LIST_ENTRY(watch) entry;
	struct function *f;
	struct vm *vm;         /* NULL: it is of no interest any more */
	struct change *change; /* until the copy is made */
	uint8_t *memory;
	uint64_t memory_size;
	const struct queue_ring *ring; /* NULL: there is none */
	uint32_t n, first, count;      /* entries that the device owns */
	uint32_t index;                /* its write index */
	struct queue_entry *entries;   /* as they were */
	uint8_t *copy;                 /* of their buffers, in order */
	uint64_t bytes;
};

static void watch_free(struct watch *w)
{
	if (w->entry.le_prev)
		LIST_REMOVE(w, entry);
	if (w->memory)
		munmap(w->memory, w->memory_size);
	free(w->entries);
	free(w->copy);
	free(w);
}

/* Finds the ring and what the device owns of it.  -EBADMSG: it is none. */
static int find_entries(struct watch *w, uint64_t base, uint32_t n)
{
	const struct queue_ring *ring;
	uint32_t used;

	if (!n)
		return 0; /* never set up */
	if (n < QUEUE_MIN || n > QUEUE_MAX || n & (n - 1) || base % 128 ||
	    base > w->memory_size || queue_ring_size(n) > w->memory_size - base)
		return -EBADMSG;
	ring = (const void *)(w->memory + base);
	w->index = atomic_load(&ring->write.index);
	used = w->index - atomic_load(&ring->read.index);
	if (used >= n)
		return -EBADMSG;
	w->ring = ring;
	w->n = n;
	w->first = w->index;
	w->count = n - used;
	return 0;
}

/* The buffer's size, or 0 when it does not lie in memory. */
static uint64_t buffer_size(const struct watch *w, const struct queue_entry *e)
{
	if (e->addr > w->memory_size || e->size > w->memory_size - e->addr)
		return 0;
	return e->size;
}

static int copy_entries(struct watch *w)
{
	uint64_t size = 0, at = 0;
	struct queue_entry *e;
	uint32_t i;

	w->entries = calloc(w->count + 1u, sizeof(*w->entries));
	if (!w->entries)
		return -ENOMEM;
	for (i = 0; i < w->count; i++) {
		e = &w->entries[i];
		*e = w->ring->entry[(w->first + i) & (w->n - 1)];
		size += buffer_size(w, e);
		/* Buffers that lie over each other are not worth it. */
		if (size > w->memory_size)
			return -EBADMSG;
	}
	w->copy = malloc(size + 1);
	if (!w->copy)
		return -ENOMEM;
	for (i = 0; i < w->count; i++) {
		e = &w->entries[i];
		memcpy(w->copy + at, w->memory + e->addr, buffer_size(w, e));
		at += buffer_size(w, e);
	}
	w->bytes = size + w->count * sizeof(*e) + sizeof(w->index);
	return 0;
}

static int begin(struct watch *w, const uint8_t *regs)
{
	uint32_t n;
	uint64_t base;
	int err, fd;

	memcpy(&base, regs + NIC_Q_BASE, sizeof(base));
	memcpy(&n, regs + NIC_Q_ENTRIES, sizeof(n));
	fd = vm_memory(w->vm);
	if (fd < 0)
		return fd;
	w->memory_size = w->vm->memory_size;
	w->memory = mmap(NULL, w->memory_size, PROT_READ, MAP_SHARED, fd, 0);
	if (w->memory == MAP_FAILED) {
		w->memory = NULL;
		return -errno;
	}
	err = find_entries(w, base, n);
	return !err && w->ring ? copy_entries(w) : err;
}

static void got_registers(void *arg, const uint8_t *data, uint32_t count)
{
	struct watch *w = arg;
	struct change *change = w->change;
	int err = -EIO;

	w->change = NULL;
	if (data && count == RING_REGS && w->vm)
		err = begin(w, data);
	if (err)
		watch_free(w);
	change_put(change, err);
}

static struct watch *watch_find(struct bridge *b, const struct function *f)
{
	struct watch *w;

	LIST_FOREACH (w, &b->watches, entry)
		if (w->f == f)
			return w;
	return NULL;
}

static int check(const struct vm *vm, const struct sup_watch *watch)
{
	struct function *f = device_function_at(vm->bridge, watch->bdf);

	if (!f)
		return -ENOENT;
	if (vm->number != PLATFORM_HYPERVISOR && f->device->owner != vm)
		return -EPERM;
	if (!f->vf || watch->rsvd0 || watch->rsvd1 || f->vm == PLATFORM_VM_NONE)
		return -EINVAL;
	if (!function_decodes(f) || f->contained)
		return -ENXIO;
	return watch_find(vm->bridge, f) ? -EEXIST : 0;
}

int watch_start(struct bridge *b, const struct sup_watch *watch, size_t n,
		struct change *change)
{
	struct watch *w;
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		err = check(change->vm, &watch[i]);
		if (err)
			return err;
	}
	for (i = 0; i < n; i++) {
		w = calloc(1, sizeof(*w));
		if (!w)
			return -ENOMEM;
		w->f = device_function_at(b, watch[i].bdf);
		w->vm = &b->vms[w->f->vm];
		w->change = change;
		change_get(change);
		LIST_INSERT_HEAD(&b->watches, w, entry);
		relay_own_bar_read(w->f, NIC_RX, RING_REGS, got_registers, w);
	}
	return 0;
}

static uint64_t count_touched(const void *was, const void *is, uint64_t size)
{
	const uint8_t *a = was, *b = is;
	uint64_t i, n = 0;

	if (!memcmp(a, b, size))
		return 0;
	for (i = 0; i < size; i++)
		n += a[i] != b[i];
	return n;
}

static uint64_t compare(const struct watch *w)
{
	const struct queue_entry *e;
	uint32_t i, index;
	uint64_t at = 0, n;

	if (!w->ring)
		return 0;
	index = atomic_load(&w->ring->write.index);
	n = count_touched(&w->index, &index, sizeof(index));
	for (i = 0; i < w->count; i++) {
		e = &w->entries[i];
		n += count_touched(e,
				   &w->ring->entry[(w->first + i) & (w->n - 1)],
				   sizeof(*e));
		n += count_touched(w->copy + at, w->memory + e->addr,
				   buffer_size(w, e));
		at += buffer_size(w, e);
	}
	return n;
}

void watch_check(struct vm *vm)
{
	struct bridge *b = vm->bridge;
	struct watch *w, *next;

	LIST_FOREACH_SAFE (w, &b->watches, entry, next) {
		if (w->vm != vm || w->change)
			continue;
		event(b->log, "memory.checked", "s:s, s:s, s:I, s:I",
		      "function", w->f->name, "vm", vm->name, "bytes",
		      (json_int_t)w->bytes, "touched", (json_int_t)compare(w));
		watch_free(w);
	}
}

void watch_forget(struct bridge *b, const struct vm *vm)
{
	struct watch *w, *next;

	LIST_FOREACH_SAFE (w, &b->watches, entry, next) {
		if (vm && w->vm != vm)
			continue;
		if (w->change)
			w->vm = NULL; /* its registers are still being read */
		else
			watch_free(w);
	}
}
