/* peer_eventfd.h - eventfds that a peer has, too.
 *
 * O_NONBLOCK belongs to the open file, not to the descriptor: whoever else
 * has it can switch it off at any time.  So none of these trusts it, and none
 * of them waits.
 */
#ifndef IOVKIT_PEER_EVENTFD_H
#define IOVKIT_PEER_EVENTFD_H

#include <stdint.h>

/* Make a descriptor that came from a peer ready for the others.  -EINVAL: it
 * is no eventfd, so that writing it might wait. */
int peer_eventfd_accept(int fd) __attribute__((warn_unused_result));
/* Add 1.  A full counter stays as it is: its reader is awake already. */
void peer_eventfd_raise(int fd);
/* Read what it holds; 0: nothing. */
uint64_t peer_eventfd_take(int fd);

#endif
