/* config_dump.c - control method config-dump: config spaces as the functions
 * give them now, for what reads `lspci -F`. */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/rootbridge/bridge.h"

struct dump {
	struct control_call *call; /* NULL: its caller hung up */
	json_t *functions;
	unsigned left;
	unsigned failed;
};

struct dump_part {
	struct dump *dump;
	struct function *f;
	size_t index; /* in the array, so that the order is the bus's */
};

static const char *class_name(uint32_t class)
{
	static const struct {
		uint16_t class;
		const char *name;
	} names[] = {
		{ 0x0100, "SCSI storage controller" },
		{ 0x0108, "Non-Volatile memory controller" },
		{ 0x0180, "Mass storage controller" },
		{ 0x0200, "Ethernet controller" },
		{ 0x0207, "Infiniband controller" },
		{ 0x0700, "Serial controller" },
		{ 0x0c04, "Fibre Channel" },
	};
	unsigned i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].class == class >> 8)
			return names[i].name;
	return "Unassigned class";
}

/* "Ethernet controller: iovkit nic PF" */
static json_t *describe(const struct function *f, const uint8_t *config)
{
	uint32_t class = pci_get32(config, PCI_CLASS_REVISION) >> 8;
	char device[DEVICE_NAME_MAX + 1];
	size_t n;

	/* The type is the name without its number. */
	memcpy(device, f->device->name, sizeof(device));
	n = strlen(device);
	while (n > 1 && device[n - 1] >= '0' && device[n - 1] <= '9')
		device[--n] = '\0';
	return json_sprintf("%s: iovkit %s %s", class_name(class), device,
			    f->vf ? "VF" : "PF");
}

static json_t *hex(const uint8_t *data, uint32_t count)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc((size_t)count * 2 + 1);
	json_t *json;
	uint32_t i;

	if (!text)
		return json_string("");
	for (i = 0; i < count; i++) {
		text[2 * i] = digits[data[i] >> 4];
		text[2 * i + 1] = digits[data[i] & 15];
	}
	text[2 * (size_t)count] = '\0';
	json = json_string(text);
	free(text);
	return json;
}

static void dump_put(struct dump *dump)
{
	if (--dump->left)
		return;
	if (dump->call && dump->failed)
		control_fail(dump->call, RPC_MISSING,
			     "%u of %zu functions did not answer", dump->failed,
			     json_array_size(dump->functions));
	else if (dump->call)
		control_reply(dump->call,
			      json_pack("{s:O}", "functions", dump->functions));
	json_decref(dump->functions);
	free(dump);
}

static void got_config(void *arg, const uint8_t *data, uint32_t count)
{
	struct dump_part *part = arg;
	const struct function *f = part->f;
	uint8_t config[PCI_CFG_SPACE_EXP_SIZE] = { 0 };

	if (data) {
		memcpy(config, data, count);
		json_array_set_new(
			part->dump->functions, part->index,
			json_pack("{s:s, s:o, s:o, s:o}", "function", f->name,
				  "bdf",
				  json_sprintf("0000:%02x:%02x.%x", f->bdf >> 8,
					       (f->bdf >> 3) & 0x1f,
					       f->bdf & 7),
				  "text", describe(f, config), "hex",
				  hex(config, sizeof(config))));
	} else {
		part->dump->failed++;
	}
	dump_put(part->dump);
	free(part);
}

static void dump_function(struct dump *dump, struct function *f)
{
	uint64_t size = f->region_size[VFU_REGION_CONFIG];
	struct dump_part *part = malloc(sizeof(*part));

	if (!part)
		return;
	if (size > PCI_CFG_SPACE_EXP_SIZE)
		size = PCI_CFG_SPACE_EXP_SIZE;
	*part = (struct dump_part){ dump, f, json_array_size(dump->functions) };
	json_array_append_new(dump->functions, json_null());
	dump->left++;
	relay_own_read(f, 0, (uint32_t)size, got_config, part);
}

static void hung_up(void *arg)
{
	struct dump *dump = arg;

	dump->call = NULL;
}

void config_dump(void *arg, struct control_call *call, json_t *params)
{
	const char *name = control_string(params, "function", NULL);
	struct function *f = NULL, *only = NULL;
	struct bridge *b = arg;
	struct dump *dump;

	if (name) {
		only = device_function(b, call, name);
		if (!only)
			return;
		if (!function_decodes(only)) {
			control_fail(call, RPC_MISSING,
				     "the function is not there");
			return;
		}
	}
	dump = calloc(1, sizeof(*dump));
	if (!dump) {
		control_fail(call, RPC_INTERNAL, "no memory");
		return;
	}
	dump->call = call;
	dump->functions = json_array();
	dump->left = 1;
	control_on_hangup(call, hung_up, dump);
	while ((f = bridge_next_function(b, f)))
		if (only ? f == only : function_decodes(f) && !f->contained)
			dump_function(dump, f);
	dump_put(dump);
}
