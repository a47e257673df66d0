/* vfu_device.h - a vfio-user device for tests, and the raw client before it.
 */
#ifndef IOVKIT_VFU_DEVICE_H
#define IOVKIT_VFU_DEVICE_H

#include "libcore/vfu_server.h"
#include "t/unit/vfu_rig.h"

#define DEVICE_REGION_SIZE 0x1000u    /* regions 0 and 3 */
#define DEVICE_DATA_SIZE   (1u << 20) /* region 1 */

struct device {
	struct loop *loop;
	struct vfu_server_desc desc;
	struct vfu_server *server;
	struct vfu_session *session;
	int peer;
	unsigned attached, detached, refused, replies;
	char why[120];
	char refusal[120];
	/* the device */
	uint8_t reg[DEVICE_DATA_SIZE];
	bool hold;                /* requests */
	struct vfu_request *held; /* latest first */
	unsigned accesses, maps, unmaps, irq_sets, resets;
	bool posted;
	int map_fd;
	unsigned n_fds;
	bool close_in_access, free_in_access;
	bool region_2; /* came to life */
};

extern const struct vfu_server_ops device_full_ops;
/* Only what every server has. */
extern const struct vfu_server_ops device_small_ops;

/* A server without a listening socket, and a client that said nothing yet. */
struct device *device_new(const struct vfu_server_ops *ops);
/* A client that agreed on the version. */
struct device *device_ready_ops(const struct vfu_server_ops *ops);
struct device *device_ready(void);
/* Answers what it held. */
void device_free(struct device *r);
void device_hang_up(struct device *r);
/* Send VERSION with JSON of this many bytes; true when a reply came. */
bool device_hello(struct device *r, uint16_t major, uint16_t minor,
		  const char *json, size_t size, struct rig_msg *m);
/* Ask and take the answer; its error, or -1 when none came. */
int device_ask_fds(struct device *r, uint16_t command, const void *payload,
		   size_t size, const int *fds, unsigned n_fds,
		   struct rig_msg *m);
int device_ask(struct device *r, uint16_t command, const void *payload,
	       size_t size, struct rig_msg *m);
/* Answer a held request as a device does. */
void device_complete(struct device *r, struct vfu_request *req);

#endif
