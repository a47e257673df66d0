/* methods.h - a guest's control methods: the same as its options. */
#ifndef IOVKIT_GUESTD_METHODS_H
#define IOVKIT_GUESTD_METHODS_H

#include "libcore/control.h"

extern const struct control_method guest_methods[]; /* arg: struct guest */

#endif
