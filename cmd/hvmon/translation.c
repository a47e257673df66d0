/* translation.c - translations that guests propose (spec 05, fig. 5). */
#include <config.h>

#include "cmd/hvmon/translation.h"

#include "cmd/hvmon/device.h"

void translation_allow(struct device *device, bool allowed)
{
	device->trapped = !allowed;
}

void translation_revoke(struct device *device, translation_fn *done, void *arg)
{
	/* No window was granted. */
	(void)device;
	done(arg, 0);
}
