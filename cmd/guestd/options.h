/* options.h - guestd's command line. */
#ifndef IOVKIT_GUESTD_OPTIONS_H
#define IOVKIT_GUESTD_OPTIONS_H

#include <argp.h>

/* Its input is a struct guest_options. */
extern const struct argp guest_argp;

#endif
