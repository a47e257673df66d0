/* emulators.c - the kinds of devices that are emulated, and the backends. */
#include <config.h>

#include <stddef.h>
#include <string.h>

#include "cmd/hvmon/emulator.h"

/* Their order is that of the numbers in records. */
static const struct emulator *const emulators[] = {
	&ether_emulator,
	&uart_emulator,
};
#define N (sizeof(emulators) / sizeof(*emulators))

static const struct backend *const backends[] = {
	&ether_on_ether,
	&uart_on_uart,
	&uart_on_ether,
};

const struct emulator *emulator_find(uint16_t vendor, uint16_t device)
{
	size_t i;

	for (i = 0; i < N; i++)
		if (emulators[i]->vendor == vendor &&
		    emulators[i]->device == device)
			return emulators[i];
	return NULL;
}

const struct emulator *emulator_named(const char *name)
{
	size_t i;

	for (i = 0; i < N; i++)
		if (!strcmp(emulators[i]->name, name))
			return emulators[i];
	return NULL;
}

const struct emulator *emulator_by_number(uint32_t number)
{
	return number && number <= N ? emulators[number - 1] : NULL;
}

uint32_t emulator_number(const struct emulator *emulator)
{
	size_t i;

	for (i = 0; i < N && emulators[i] != emulator; i++)
		;
	return (uint32_t)i + 1;
}

const struct backend *backend_find(const struct emulator *emulator,
				   const struct emulator *real)
{
	size_t i;

	for (i = 0; i < sizeof(backends) / sizeof(*backends); i++)
		if (backends[i]->emulator == emulator &&
		    backends[i]->real == real)
			return backends[i];
	return NULL;
}
