/* capture.h - a function's frames to whoever asked, as pcap. */
#ifndef IOVDEV_CAPTURE_H
#define IOVDEV_CAPTURE_H

#include <stdint.h>
#include <sys/queue.h>

#include "cmd/iovdev/switch.h"
#include "libcore/control.h"

struct capture;
struct function;

LIST_HEAD(captures, capture);

/* Takes fd and the call, which is answered when the capture ends: `count`
 * frames are written (0: no limit), or the reader of the fd or the caller is
 * gone. */
void capture_start(struct function *f, struct control_call *call, int fd,
		   uint64_t count);
/* A frame that f sent or received. */
void capture_frame(struct function *f, const struct frame *frame);
void capture_end_all(struct function *f);
uint64_t wall_clock_ns(void);

#endif
