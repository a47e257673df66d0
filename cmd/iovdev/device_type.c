/* device_type.c - the types of --type. */
#include <config.h>

#include "cmd/iovdev/device_type.h"

#include <string.h>

static const struct device_type *const types[] = {
	&nic_type,
	&ether_type,
	&uart_type,
	&hca_type,
};

const struct device_type *device_type_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(types[i]->name, name))
			return types[i];
	return NULL;
}

const char *device_type_names(void)
{
	return "nic, ether, uart or hca";
}
