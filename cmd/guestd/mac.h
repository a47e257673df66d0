/* mac.h - MAC addresses: text, and the rule that gives each function one. */
#ifndef IOVKIT_GUESTD_MAC_H
#define IOVKIT_GUESTD_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/complaint.h"
#include "libcore/function_name.h"

#define MAC_SIZE     6
#define MAC_TEXT_MAX 18

/* Function V of a device whose name ends in the number D: 02:69:6f:DD:00:VV
 * (the PF is function 0). */
void mac_of_function(const struct function_name *fn, uint8_t mac[MAC_SIZE]);
/* "nic1/vf2" of an address by that rule; false: not by the rule. */
bool mac_to_function(const uint8_t mac[MAC_SIZE], char *buf, size_t size);
/* "02:69:6f:01:00:02", or a FUNCTION by the rule.  -EINVAL with *c. */
int mac_parse(const char *text, uint8_t mac[MAC_SIZE], struct complaint *c)
	__attribute__((warn_unused_result));
/* Returns buf of MAC_TEXT_MAX bytes. */
char *mac_format(char *buf, const uint8_t mac[MAC_SIZE]);
/* Group bit: multicast or broadcast. */
static inline bool mac_is_group(const uint8_t *mac)
{
	return mac[0] & 1;
}

#endif
