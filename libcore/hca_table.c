/* hca_table.c - handles: objects by kind and index.
 *
 * An index that was freed is used again as late as may be, and with another
 * generation, so that a handle which somebody kept means nothing.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "libcore/hca_private.h"

#define INDEX_MASK      ((1u << HCA_INDEX_BITS) - 1)
#define GENERATION_MASK ((1u << HCA_GENERATION_BITS) - 1)
#define SIZE_FIRST      64u
#define REST            64u

_Static_assert(HCA_INDEX_BITS + HCA_GENERATION_BITS == 30, "kind above");

void hca_tables_init(struct hca *hca)
{
	hca->table[HCA_QP].max = HCA_QP_MAX;
	hca->table[HCA_CQ].max = HCA_CQ_MAX;
	hca->table[HCA_EQ].max = HCA_EQ_MAX;
}

void hca_tables_fini(struct hca *hca)
{
	unsigned kind;

	for (kind = 0; kind < HCA_KIND_N; kind++) {
		free(hca->table[kind].object);
		free(hca->table[kind].generation);
		free(hca->table[kind].free);
	}
}

/* The ring of free indexes, moved to where there is room for all. */
static bool grow_free(struct hca_table *t, uint32_t size)
{
	uint32_t *list = malloc(size * sizeof(*list)), i;

	if (!list)
		return false;
	for (i = 0; i < t->n_free; i++)
		list[i] = t->free[(t->first_free + i) % t->size];
	free(t->free);
	t->free = list;
	t->first_free = 0;
	return true;
}

static bool grow(struct hca_table *t)
{
	uint32_t size = t->size ? 2 * t->size : SIZE_FIRST;
	struct hca_object **object;
	uint16_t *generation;

	object = realloc(t->object, size * sizeof(*object));
	if (!object)
		return false;
	t->object = object;
	generation = realloc(t->generation, size * sizeof(*generation));
	if (!generation)
		return false;
	t->generation = generation;
	if (!grow_free(t, size))
		return false;
	memset(generation + t->size, 0, (size - t->size) * sizeof(*generation));
	t->size = size;
	return true;
}

/* Free ones rest until there are REST of them. */
static bool take_index(struct hca_table *t, uint32_t *index)
{
	if (t->n_free < REST && t->used < t->max &&
	    (t->used < t->size || grow(t))) {
		*index = t->used++;
		return true;
	}
	if (!t->n_free)
		return false;
	*index = t->free[t->first_free];
	t->first_free = (t->first_free + 1) % t->size;
	t->n_free--;
	return true;
}

struct hca_object *hca_object_new(struct hca *hca, enum hca_kind kind,
				  size_t size, unsigned partition)
{
	struct hca_table *t = &hca->table[kind];
	struct hca_object *o = calloc(1, size);
	uint32_t index;

	if (!o || !take_index(t, &index)) {
		free(o);
		return NULL;
	}
	t->object[index] = o;
	o->hca = hca;
	o->partition = partition;
	o->handle = (uint32_t)kind << 30 |
		    (uint32_t)t->generation[index] << HCA_INDEX_BITS | index;
	LIST_INSERT_HEAD(&hca->partition[partition].objects, o, entry);
	return o;
}

void hca_object_free(struct hca_object *o)
{
	struct hca_table *t = &o->hca->table[hca_kind_of(o->handle)];
	uint32_t index = hca_index_of(o->handle);

	LIST_REMOVE(o, entry);
	t->object[index] = NULL;
	t->generation[index] = (t->generation[index] + 1) & GENERATION_MASK;
	t->free[(t->first_free + t->n_free++) % t->size] = index;
	free(o);
}

struct hca_object *hca_find(struct hca *hca, uint32_t handle)
{
	const struct hca_table *t = &hca->table[hca_kind_of(handle)];
	uint32_t index = handle & INDEX_MASK;
	struct hca_object *o = index < t->used ? t->object[index] : NULL;

	return o && o->handle == handle ? o : NULL;
}

struct hca_object *hca_own(struct hca *hca, unsigned partition,
			   enum hca_kind kind, uint32_t handle)
{
	struct hca_object *o = hca_find(hca, handle);

	return o && o->partition == partition && hca_kind_of(handle) == kind
		       ? o
		       : NULL;
}
