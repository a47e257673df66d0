/* unixsock.h - AF_UNIX stream sockets: listen, connect, peer. */
#ifndef IOVKIT_UNIXSOCK_H
#define IOVKIT_UNIXSOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include "libcore/complaint.h"

/* Bind and listen at path, CLOEXEC and non-blocking.  The socket appears
 * under its name only once it listens (bound aside, then renamed).  A stale
 * socket is replaced; one that answers gives -EADDRINUSE.  Paths over 107
 * bytes go through /proc/self/fd.  Returns the fd or -errno with *c. */
int unixsock_listen(const char *path, struct complaint *c)
	__attribute__((warn_unused_result));
/* Connect, CLOEXEC and non-blocking.  Returns the fd or -errno: -ENOENT and
 * -ECONNREFUSED (nobody there), -EAGAIN (backlog full: try again). */
int unixsock_connect(const char *path) __attribute__((warn_unused_result));
/* The pid at the other end (SO_PEERCRED), 0 when unknown. */
pid_t unixsock_peer(int fd);
/* Take one connection from a listening socket, CLOEXEC and non-blocking;
 * the fd or -errno (-EAGAIN: none). */
int unixsock_accept(int fd) __attribute__((warn_unused_result));

#endif
