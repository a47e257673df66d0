/* liar.h - a device whose answers are well formed and senseless. */
#ifndef IOVKIT_TOOL_LIAR_H
#define IOVKIT_TOOL_LIAR_H

#include <stdint.h>

#include "t/tool/peer.h"

/* Answer requests until the other end hangs up; VERSION rightly, one in
 * `malformed` (0: none) of the others with the wrong length or an error, the
 * rest with random contents.  -ENOTCONN at the end. */
int liar_serve(struct peer *peer, uint64_t seed, unsigned malformed)
	__attribute__((warn_unused_result));

#endif
