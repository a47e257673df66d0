/* protection.c - the address protection table (spec 01, fig. 5; a800..a820).
 *
 * Theory of operation.  Lookups are frequent and changes rare, so each VM's
 * rows are one sorted array.  A change of many rows works on copies of the
 * arrays of the VMs that it names; they take the originals' place when every
 * row was right.
 */
#include <config.h>

#include "cmd/rootbridge/protection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int protection_init(struct protection *p, unsigned n_vms)
{
	p->n_vms = n_vms;
	p->vms = calloc(n_vms, sizeof(*p->vms));
	return p->vms ? 0 : -ENOMEM;
}

void protection_fini(struct protection *p)
{
	unsigned i;

	for (i = 0; p->vms && i < p->n_vms; i++)
		free(p->vms[i].rows);
	free(p->vms);
	memset(p, 0, sizeof(*p));
}

/* Index of the first row that starts above gpa. */
static unsigned upper_bound(const struct protection_vm *vm, uint64_t gpa)
{
	unsigned low = 0, high = vm->n, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (vm->rows[middle].first <= gpa)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The row in which the whole access lies, or NULL. */
static struct protection_row *row_of(const struct protection *p, uint32_t vm,
				     uint64_t gpa, uint64_t count)
{
	struct protection_row *row;
	unsigned above;

	if (vm >= p->n_vms || !count)
		return NULL;
	above = upper_bound(&p->vms[vm], gpa);
	if (!above)
		return NULL;
	row = &p->vms[vm].rows[above - 1];
	/* gpa <= last first, so that the subtraction cannot wrap. */
	if (gpa > row->last || count - 1 > row->last - gpa)
		return NULL;
	return row;
}

static enum protection_result row_result(const struct protection_row *row)
{
	switch (row->flag) {
	case SUP_ROW_ALLOWED:
		return PROTECTION_ALLOWED;
	case SUP_ROW_FENCED:
		return PROTECTION_FENCED;
	case SUP_ROW_OWNER:
		return PROTECTION_OWNER;
	}
	return PROTECTION_DENIED;
}

enum protection_result protection_lookup(const struct protection *p,
					 uint32_t vm, uint64_t gpa,
					 uint64_t count, uint64_t *mpa)
{
	const struct protection_row *row = row_of(p, vm, gpa, count);

	if (!row)
		return PROTECTION_NO_ROW;
	*mpa = gpa + (uint64_t)row->offset;
	return row_result(row);
}

enum protection_result protection_write(struct protection *p, uint32_t vm,
					uint64_t gpa, uint64_t count,
					uint64_t *mpa)
{
	struct protection_row *row = row_of(p, vm, gpa, count);

	if (!row)
		return PROTECTION_NO_ROW;
	*mpa = gpa + (uint64_t)row->offset;
	if (row->flag != SUP_ROW_ONCE)
		return row_result(row);
	row->flag = SUP_ROW_DENIED;
	return PROTECTION_ALLOWED;
}

enum protection_result protection_guard(struct protection *p, uint64_t gpa,
					uint64_t count)
{
	struct protection_vm *vm = &p->vms[PLATFORM_HYPERVISOR];
	uint64_t last = gpa + count - 1;
	unsigned above = upper_bound(vm, last), i;

	for (i = above; i && vm->rows[i - 1].last >= gpa; i--)
		if (vm->rows[i - 1].flag == SUP_ROW_DENIED)
			return PROTECTION_DENIED;
	for (i = above; i && vm->rows[i - 1].last >= gpa; i--)
		if (vm->rows[i - 1].flag == SUP_ROW_ONCE)
			vm->rows[i - 1].flag = SUP_ROW_DENIED;
	return PROTECTION_ALLOWED;
}

static int row_check(const struct protection *p, const struct sup_row *row)
{
	uint64_t moved;

	if (row->vm >= p->n_vms)
		return -ENOENT;
	if (row->first > row->last)
		return -EINVAL;
	if (row->op == SUP_ROW_DELETE)
		return 0;
	if (row->op != SUP_ROW_SET && row->op != SUP_ROW_OPEN)
		return -EINVAL;
	if (row->flag < SUP_ROW_ALLOWED || row->flag > SUP_ROW_OWNER)
		return -EINVAL;
	if (row->vm == PLATFORM_HYPERVISOR &&
	    (row->offset || row->flag >= SUP_ROW_FENCED))
		return -EINVAL;
	/* The translated range may not wrap around the address space. */
	moved = row->offset < 0 ? row->first : row->last;
	if (row->offset < 0 ? moved < -(uint64_t)row->offset
			    : moved > UINT64_MAX - (uint64_t)row->offset)
		return -EINVAL;
	return 0;
}

/* Where the row with exactly this range is, or -1. */
static int row_find(const struct protection_vm *vm, const struct sup_row *row)
{
	unsigned above = upper_bound(vm, row->first);

	if (above && vm->rows[above - 1].first == row->first &&
	    vm->rows[above - 1].last == row->last)
		return (int)above - 1;
	return -1;
}

static int row_insert(struct protection_vm *vm, const struct sup_row *row)
{
	unsigned at = upper_bound(vm, row->first);
	struct protection_row *rows;

	if ((at && vm->rows[at - 1].last >= row->first) ||
	    (at < vm->n && vm->rows[at].first <= row->last))
		return -EEXIST;
	rows = reallocarray(vm->rows, vm->n + 1u, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	vm->rows = rows;
	memmove(rows + at + 1, rows + at, (vm->n - at) * sizeof(*rows));
	rows[at] = (struct protection_row){ .first = row->first,
					    .last = row->last,
					    .offset = row->offset,
					    .flag = row->flag };
	vm->n++;
	return 0;
}

static int row_apply(struct protection_vm *vm, const struct sup_row *row)
{
	int at = row_find(vm, row);

	if (row->op == SUP_ROW_DELETE) {
		if (at < 0)
			return -ENOENT;
		vm->n--;
		memmove(vm->rows + at, vm->rows + at + 1,
			(vm->n - (unsigned)at) * sizeof(*vm->rows));
		return 0;
	}
	if (at < 0)
		return row_insert(vm, row);
	vm->rows[at].offset = row->offset;
	vm->rows[at].flag = row->flag;
	return 0;
}

struct stage {
	struct protection_vm vm;
	bool used;
};

static int stage_copy(struct stage *stage, const struct protection_vm *vm)
{
	if (stage->used)
		return 0;
	if (vm->n) {
		stage->vm.rows = calloc(vm->n, sizeof(*vm->rows));
		if (!stage->vm.rows)
			return -ENOMEM;
		memcpy(stage->vm.rows, vm->rows, vm->n * sizeof(*vm->rows));
		stage->vm.n = vm->n;
	}
	stage->used = true;
	return 0;
}

static int stage_apply(const struct protection *p, struct stage *stages,
		       const struct sup_row *rows, size_t n)
{
	struct stage *stage;
	size_t i;
	int err;

	for (i = 0; i < n; i++) {
		err = row_check(p, &rows[i]);
		if (err)
			return err;
		stage = &stages[rows[i].vm];
		err = stage_copy(stage, &p->vms[rows[i].vm]);
		if (err)
			return err;
		err = row_apply(&stage->vm, &rows[i]);
		if (err)
			return err;
	}
	return 0;
}

int protection_apply(struct protection *p, const struct sup_row *rows, size_t n)
{
	struct stage *stages = calloc(p->n_vms, sizeof(*stages));
	unsigned i;
	int err;

	if (!stages)
		return -ENOMEM;
	err = stage_apply(p, stages, rows, n);
	for (i = 0; i < p->n_vms; i++) {
		if (!err && stages[i].used) {
			free(p->vms[i].rows);
			p->vms[i] = stages[i].vm;
		} else {
			free(stages[i].vm.rows);
		}
	}
	free(stages);
	return err;
}

bool protection_next(const struct protection *p, struct protection_cursor *c,
		     uint32_t *vm, struct protection_row *row)
{
	while (c->vm < p->n_vms && c->row >= p->vms[c->vm].n) {
		c->vm++;
		c->row = 0;
	}
	if (c->vm >= p->n_vms)
		return false;
	*vm = c->vm;
	*row = p->vms[c->vm].rows[c->row++];
	return true;
}

unsigned protection_count(const struct protection *p)
{
	unsigned i, n = 0;

	for (i = 0; i < p->n_vms; i++)
		n += p->vms[i].n;
	return n;
}
