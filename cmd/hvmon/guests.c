/* guests.c - which VMs are guests of another VM (spec 04). */
#include <config.h>

#include "cmd/hvmon/guests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/hvmon/hvmon.h"
#include "cmd/hvmon/machine_access.h"

static int add(struct guests *guests, uint32_t vm, uint32_t supervisor,
	       struct complaint *c)
{
	struct sup_supervisor *list;
	unsigned i;

	if (!vm || !supervisor || vm == supervisor)
		return complain(c, EINVAL, "vm%u cannot be a guest of vm%u", vm,
				supervisor);
	for (i = 0; i < guests->n; i++)
		if (guests->list[i].vm == vm ||
		    guests->list[i].vm == supervisor)
			return complain(c, EEXIST, "vm%u is a guest already",
					guests->list[i].vm);
	list = reallocarray(guests->list, guests->n + 1u, sizeof(*list));
	if (!list)
		return complain(c, ENOMEM, "no memory");
	guests->list = list;
	list[guests->n++] = (struct sup_supervisor){ vm, supervisor };
	return 0;
}

/* "vm2" or "vm2-vm65". */
static int add_range(struct guests *guests, char *text, uint32_t supervisor,
		     struct complaint *c)
{
	char *dash = strchr(text, '-');
	uint32_t first, last, vm;
	int err;

	if (dash)
		*dash = '\0';
	err = vm_parse(text, &first, c);
	last = first;
	if (!err && dash)
		err = vm_parse(dash + 1, &last, c);
	if (!err && last < first)
		err = complain(c, EINVAL, "vm%u comes before vm%u", last,
			       first);
	for (vm = first; !err && vm <= last; vm++)
		err = add(guests, vm, supervisor, c);
	return err;
}

int guests_parse(struct guests *guests, const char *text, struct complaint *c)
{
	char *copy = strdup(text), *rest, *word;
	uint32_t supervisor;
	int err;

	if (!copy)
		return complain(c, ENOMEM, "no memory");
	rest = strchr(copy, '=');
	if (!rest) {
		free(copy);
		return complain(c, EINVAL, "'%s' is not VM=VM[-VM],...", text);
	}
	*rest++ = '\0';
	err = vm_parse(copy, &supervisor, c);
	while (!err && (word = strsep(&rest, ",")))
		err = add_range(guests, word, supervisor, c);
	free(copy);
	return err;
}

void guests_fini(struct guests *guests)
{
	free(guests->list);
	guests->list = NULL;
	guests->n = 0;
}

void step_guests(struct procedure *p)
{
	const struct guests *guests = &p->hv->guests;

	step_sup_write(p, SUP_SUPERVISORS, guests->list,
		       (uint32_t)(guests->n * sizeof(*guests->list)), 0);
}
