/* shares.c - memory that two VMs share (spec 02): the hypervisor's table of
 * link states with its successor, a successor's emergency link with another
 * guest.  It outlives both. */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "libcore/guest_memory.h"

#include "cmd/rootbridge/bridge.h"

bool shares_read(struct bridge *b, unsigned i, void *entry)
{
	struct sup_share *sup = entry;

	if (i >= b->n_shares)
		return false;
	*sup = b->shares[i].sup;
	return true;
}

static struct share *find(const struct bridge *b, uint32_t one, uint32_t other)
{
	const struct sup_share *sup;
	unsigned i;

	for (i = 0; i < b->n_shares; i++) {
		sup = &b->shares[i].sup;
		if ((sup->vm[0] == one && sup->vm[1] == other) ||
		    (sup->vm[0] == other && sup->vm[1] == one))
			return &b->shares[i];
	}
	return NULL;
}

static int check(const struct bridge *b, const struct sup_share *sup)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (sup->vm[i] >= b->n_vms)
			return -ENOENT;
	return sup->vm[0] == sup->vm[1] || sup->vm[0] >= PLATFORM_SHARED_VMS ||
			       sup->vm[1] >= PLATFORM_SHARED_VMS
		       ? -EINVAL
		       : 0;
}

static int add(struct bridge *b, const struct sup_share *sup)
{
	struct share *shares;
	char name[48];
	int fd;

	if (find(b, sup->vm[0], sup->vm[1]))
		return 0;
	shares = reallocarray(b->shares, b->n_shares + 1u, sizeof(*shares));
	if (!shares)
		return -ENOMEM;
	b->shares = shares;
	snprintf(name, sizeof(name), "iovkit-vm%u-vm%u", sup->vm[0],
		 sup->vm[1]);
	fd = guest_memory_create(name, PLATFORM_SHARED_SIZE);
	if (fd < 0)
		return fd;
	shares[b->n_shares++] = (struct share){ *sup, fd };
	return 0;
}

int shares_write(struct bridge *b, const struct sup_share *sup, size_t n)
{
	unsigned before = b->n_shares;
	int err = 0;
	size_t i;

	for (i = 0; i < n && !err; i++)
		err = check(b, &sup[i]);
	for (i = 0; i < n && !err; i++)
		err = add(b, &sup[i]);
	while (err && b->n_shares > before)
		close(b->shares[--b->n_shares].fd);
	return err;
}

int shares_fd(const struct vm *vm, uint32_t other)
{
	const struct share *share = find(vm->bridge, vm->number, other);

	return share ? share->fd : -1;
}

void shares_fini(struct bridge *b)
{
	while (b->n_shares)
		close(b->shares[--b->n_shares].fd);
	free(b->shares);
	b->shares = NULL;
}
