/* protection.h - the address protection table (spec 01, fig. 5).
 *
 * A pure table: VM, guest-physical range, signed offset, allowed or denied.
 * Rows of one VM never overlap and are sorted, so a lookup is one binary
 * search.
 */
#ifndef IOVKIT_ROOTBRIDGE_PROTECTION_H
#define IOVKIT_ROOTBRIDGE_PROTECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/supervisor.h"

struct protection_row {
	uint64_t first; /* guest-physical, inclusive */
	uint64_t last;  /* inclusive */
	int64_t offset;
	uint16_t flag; /* SUP_ROW_* */
};

struct protection_vm {
	struct protection_row *rows; /* sorted by first */
	unsigned n;
};

struct protection {
	struct protection_vm *vms;
	unsigned n_vms;
};

enum protection_result {
	PROTECTION_ALLOWED,
	PROTECTION_DENIED,
	PROTECTION_FENCED,
	PROTECTION_OWNER, /* allowed if the VM owns the PF */
	PROTECTION_NO_ROW
};

/* 0 or -ENOMEM. */
int protection_init(struct protection *p, unsigned n_vms)
	__attribute__((warn_unused_result));
void protection_fini(struct protection *p);

/* a800, a805: the row in which the whole access lies, from its first to its
 * last byte.  *mpa (a810) is set when it is allowed or denied.  A
 * row that allows one write is denied here. */
enum protection_result protection_lookup(const struct protection *p,
					 uint32_t vm, uint64_t gpa,
					 uint64_t count, uint64_t *mpa);

/* The same for a write: a row that allows one denies from now on. */
enum protection_result protection_write(struct protection *p, uint32_t vm,
					uint64_t gpa, uint64_t count,
					uint64_t *mpa);
/* A write of the hypervisor: denied when a row denies any byte of it. */
enum protection_result protection_guard(struct protection *p, uint64_t gpa,
					uint64_t count);

/* Apply rows in order, all or none.  SUP_ROW_SET adds a row, or changes the
 * one with the same VM, first and last address.  -EINVAL: malformed, or an
 * offset for vm0; -ENOENT: no such VM, or no such row to delete; -EEXIST:
 * overlaps another row of the VM; -ENOMEM. */
int protection_apply(struct protection *p, const struct sup_row *rows, size_t n)
	__attribute__((warn_unused_result));

/* Row i of the whole table, VM after VM; false past the end. */
struct protection_cursor {
	unsigned vm, row;
};
bool protection_next(const struct protection *p, struct protection_cursor *c,
		     uint32_t *vm, struct protection_row *row);
unsigned protection_count(const struct protection *p);

#endif
