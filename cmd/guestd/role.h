/* role.h - a guest that shares devices with others (--role, spec 03): its
 * heartbeat, the others', and what it asks of the hypervisor. */
#ifndef IOVKIT_GUESTD_ROLE_H
#define IOVKIT_GUESTD_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "libcore/control.h"

struct guest;
struct role;

enum role_wish {
	ROLE_NONE,
	ROLE_ACTIVE,
	ROLE_STANDBY,
	ROLE_WISH_N
};

/* With --role only: -errno. */
int role_start(struct guest *g) __attribute__((warn_unused_result));
void role_free(struct role *r);
/* The bus can be used; the platform interrupted. */
void role_bus_up(struct role *r);
void role_look(struct role *r);
/* It knows which devices it shares. */
bool role_is_ready(const struct role *r);

/* The methods connect, activate, deactivate and panic; the table "role". */
extern const struct control_method role_methods[];
extern const struct control_table role_tables[];

#endif
