/* function.h - one PCI function: config space, BAR 0, its client. */
#ifndef IOVDEV_FUNCTION_H
#define IOVDEV_FUNCTION_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/iovdev/access_order.h"
#include "cmd/iovdev/capture.h"
#include "cmd/iovdev/completion.h"
#include "cmd/iovdev/doorbells.h"
#include "cmd/iovdev/interrupt_line.h"
#include "cmd/iovdev/interrupts.h"
#include "cmd/iovdev/link.h"
#include "cmd/iovdev/mailbox.h"
#include "cmd/iovdev/nic_queue.h"
#include "libcore/function_name.h"
#include "libcore/guest_memory.h"
#include "libcore/limiter.h"
#include "libcore/pci_config.h"
#include "libcore/points.h"
#include "libcore/vfu_server.h"

struct direct;
struct nic;

/* What a config write set off, done when the write is answered. */
enum {
	TODO_FLR = 1,
	TODO_VF_ENABLE = 2,
	TODO_VF_DISABLE = 4,
};

struct function {
	struct nic *nic;
	unsigned vf; /* 0: the PF */
	char name[FUNCTION_NAME_MAX];
	bool live; /* it answers: the PF, or VF Enable is set */
	bool bme;  /* Bus Master Enable */
	uint64_t bme_since_ns;
	bool wait; /* others wait while it is clear; 1 after reset */
	struct pci_config config;
	struct vfu_server *server; /* NULL: does not listen yet */
	char *socket_path;
	struct vfu_session *session;
	struct guest_memory memory;
	bool memory_lost; /* told */
	struct access_order order;
	struct interrupts irq;
	struct interrupt_line line; /* single functions only */
	struct completion completion;
	struct doorbells bells;
	struct direct *direct; /* an open window; NULL: none */
	struct link link;
	struct mailbox mailbox;              /* VFs only */
	struct nic_queue queue[NIC_QUEUE_N]; /* VFs only */
	struct captures captures;
	unsigned todo;
	unsigned num_vfs; /* PF: enabled */
	struct point_hold hold;
	struct loop_deferred quiet;         /* entries were finished */
	struct vfu_request *held_req;       /* answered on resume */
	const struct nic_queue *wait_quiet; /* held_req waits for this one */
	uint8_t mac[6];
	uint8_t mac_low[4]; /* written, not taken over yet */
	uint32_t scratch;
	uint32_t resets;
	uint64_t refused;    /* accesses to nothing */
	struct limiter told; /* events that its guest can cause */
	struct limiter flrs; /* the point that it passes */
	uint64_t unsupported;
};

/* vf 0: the PF with room for total_vfs.  -errno. */
int function_new(struct function **f, struct nic *nic, unsigned vf)
	__attribute__((warn_unused_result));
void function_free(struct function *f);
/* Serve at path; again: nothing happens. */
int function_listen(struct function *f, const char *path, struct complaint *c)
	__attribute__((warn_unused_result));
/* Serve the socket that we were given (taken): listening or connected. */
int function_serve_fd(struct function *f, int fd, struct complaint *c)
	__attribute__((warn_unused_result));
/* One operation; `data` of a write. */
enum op_result function_execute(struct function *f, struct vfu_request *req,
				const uint8_t *data);
/* Whether to write an event that its guest can cause as often as it likes. */
bool function_tells(struct function *f, uint64_t *suppressed);
/* Whether an operation must wait until taken entries are finished. */
bool function_blocks(struct function *f, const struct vfu_request *req);
/* Entries were finished: whoever waits for that goes on. */
void function_quiet(struct function *f);
/* Hold-aware Function Level Reset; answers req (may be NULL) first. */
enum op_result function_flr(struct function *f, struct vfu_request *req);
/* The reset itself, of this function only. */
void function_reset(struct function *f);
uint32_t function_held(const struct function *f);
/* Memory of the client was truncated: stop its queues. */
bool function_check_memory(struct function *f);
bool function_bme(const struct function *f);
/* Whether it is a nic's VF, with two queues. */
bool function_has_rings(const struct function *f);
/* It reaches other memory than before: a device without rings looks again. */
void function_reaches(struct function *f);
/* Until when others wait for this fenced function (0: they do not). */
uint64_t function_fenced_until(struct function *f);

#endif
