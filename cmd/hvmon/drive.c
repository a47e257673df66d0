/* drive.c - how a chain of our driver begins, and goes. */
#include <config.h>

#include "cmd/hvmon/drive.h"

#include "cmd/hvmon/virtual.h"

void drive_begin(struct virtual *v, const struct procedure_desc *desc,
		 size_t size, bool interrupt)
{
	struct drive *drive;

	if (v->stands_ns)
		return;
	if (v->driving) {
		v->drive_again = true;
		v->drive_interrupt |= interrupt;
		return;
	}
	v->driving = true;
	v->drive_again = v->drive_interrupt = false;
	drive = procedure_new(v->hv, desc, size);
	drive->v = v;
	drive->interrupt = interrupt;
	virtual_get(v);
	procedure_start(&drive->p, 0);
}

void drive_fini(struct procedure *p)
{
	virtual_put(((struct drive *)p)->v);
}
