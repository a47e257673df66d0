/* status.h - exit statuses of every program (sysexits where one fits). */
#ifndef IOVKIT_STATUS_H
#define IOVKIT_STATUS_H

enum {
	STATUS_OK = 0,
	STATUS_NOT = 1,       /* the awaited did not come, or a result is bad */
	STATUS_USAGE = 64,    /* command line */
	STATUS_DATA = 65,     /* unreadable file or message */
	STATUS_MISSING = 69,  /* a peer is missing or does not answer */
	STATUS_INTERNAL = 70, /* a bug, no resources, or giving up */
	STATUS_SHUTDOWN = 71, /* the machine shut down */
	STATUS_EXISTS = 73,   /* the machine, or the name in it, is taken */
	STATUS_FENCED = 75,   /* somebody else owns the function */
	STATUS_PRIVILEGE = 77 /* not permitted, or another user's directory */
};

#endif
