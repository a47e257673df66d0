/* connection_record.c - whether what a former hypervisor left of a device's
 * connection makes sense. */
#include <config.h>

#include "cmd/hvmon/connection_record.h"

#include <string.h>

bool connection_record_is_sound(const struct connection_record *r, uint16_t bdf)
{
	return r->bdf == bdf && !r->rsvd0 && r->n <= CONNECTION_VMS &&
	       memchr(r->device, '\0', sizeof(r->device)) &&
	       r->phase >= CONNECTION_SETTLED && r->phase <= CONNECTION_WRITTEN;
}
