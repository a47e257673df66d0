/* direct.h - the device's side of a window (libcore/window.h): accesses that a
 * guest makes without the bus. */
#ifndef IOVDEV_DIRECT_H
#define IOVDEV_DIRECT_H

#include <stdint.h>

#include "libcore/control.h"
#include "libcore/vfu_server.h"

struct direct;
struct function;

/* A write to WINDOW_REGION; answers req. */
void direct_request(struct function *f, struct vfu_request *req,
		    const uint8_t *data);
/* GET_REGION_INFO and GET_REGION_IO_FDS of it. */
void direct_info(const struct function *f, struct vfu_region_info *info,
		 int *fd);
void direct_tell(const struct function *f, struct vfu_request *req);
/* The function can be served again (access_order.h). */
void direct_kick(struct function *f);
/* End it, if there is one: what is in it is done before. */
void direct_close(struct function *f);
/* The same, by the function itself, which is about to be reset: it is kept for
 * the client to end. */
void direct_reset(struct function *f);

extern const struct control_table direct_tables[];

#endif
