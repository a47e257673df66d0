/* config_dump.c - the command config-dump: config spaces for lspci -F. */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include "cmd/iovctl/client.h"
#include "libcore/function_name.h"
#include "libcore/pci_caps.h"

#define CONFIG_SIZE 4096

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool parse_hex(const char *hex, uint8_t config[CONFIG_SIZE])
{
	int high, low;
	unsigned i;

	if (!hex || strlen(hex) != 2 * CONFIG_SIZE)
		return false;
	for (i = 0; i < CONFIG_SIZE; i++) {
		high = hex_digit(hex[2 * i]);
		low = hex_digit(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		config[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* "0000:01:00.0" as a routing ID. */
static bool parse_bdf(const char *text, uint16_t *bdf)
{
	unsigned domain, bus, device, function;

	if (!text ||
	    sscanf(text, "%x:%x:%x.%x", &domain, &bus, &device, &function) !=
		    4 ||
	    bus > 0xff || device > 0x1f || function > 7)
		return false;
	*bdf = (uint16_t)(bus << 8 | device << 3 | function);
	return true;
}

static int dump_one(struct iovctl *ctl, const json_t *dump)
{
	const char *text = json_string_value(json_object_get(dump, "text"));
	uint8_t config[CONFIG_SIZE];
	uint16_t bdf;

	if (!parse_bdf(json_string_value(json_object_get(dump, "bdf")), &bdf) ||
	    !parse_hex(json_string_value(json_object_get(dump, "hex")), config))
		return fail(ctl, STATUS_DATA, "the dump is unreadable");
	if (pci_dump_lspci(stdout, bdf, text ? text : "", config) < 0)
		return fail(ctl, STATUS_INTERNAL, "standard output failed");
	return STATUS_OK;
}

/* function NULL: of all. */
static int dump(struct iovctl *ctl, const char *bridge, const char *function)
{
	json_t *result, *each;
	int status;
	size_t i;

	status = call(ctl, bridge, "config-dump",
		      json_pack("{s:s*}", "function", function), &result);
	if (status)
		return status;
	if (ctl->json)
		print_json(result);
	json_array_foreach (json_object_get(result, "functions"), i, each)
		if (!ctl->json && !status)
			status = dump_one(ctl, each);
	json_decref(result);
	return status;
}

static int do_config_dump(struct iovctl *ctl)
{
	struct function_name fn;
	char bridge[64];
	int i, status;

	for (i = 0; i < ctl->n_args; i++)
		if (function_name_parse(ctl->args[i], &fn, &ctl->cause) < 0)
			return STATUS_USAGE;
	status = find_role(ctl, "rootbridge", bridge);
	if (!status && !ctl->n_args)
		return dump(ctl, bridge, NULL);
	for (i = 0; i < ctl->n_args && !status; i++)
		status = dump(ctl, bridge, ctl->args[i]);
	return status;
}

const struct command config_commands[] = {
	{ .name = "config-dump",
	  .usage = "[FUNCTION...]",
	  .what = "config spaces, as lspci -F reads them",
	  .help = "Without FUNCTION: of all functions.",
	  .max_args = -1,
	  .fn = do_config_dump },
	{ NULL },
};
