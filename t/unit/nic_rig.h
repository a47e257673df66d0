/* nic_rig.h - a real iovdev process, and small clients and guests of it. */
#ifndef IOVKIT_NIC_RIG_H
#define IOVKIT_NIC_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "libcore/nic_regs.h"
#include "libcore/queue.h"
#include "t/unit/scratch.h"

#define RIG_PATIENCE_MS 30000
#define RIG_QUIET_MS    30 /* how long nothing must come */
#define RIG_ENTRIES     64u
#define RIG_MEMORY      (1u << 20)
#define RIG_BUFFER      2048u
#define RIG_TX_RING     0x0000u
#define RIG_RX_RING     0x2000u
#define RIG_TX_BUFFERS  0x10000u
#define RIG_RX_BUFFERS  0x40000u

/* The device "nic0", standalone at DIR/pf, events in a machine at DIR/m. */
struct nic_rig {
	struct scratch dir;
	pid_t pid;
};

/* Words end with NULL; more options for iovdev.  When the first is --fd there
 * is no socket path, and descriptors that are not CLOEXEC are inherited. */
void nic_rig_start(struct nic_rig *rig, const char *const *options);
/* Send signo (0: none), wait; the exit status or 128 + signal. */
int nic_rig_stop(struct nic_rig *rig, int signo);
/* Wait until the event log has `text`, within the patience. */
bool nic_rig_await(const struct nic_rig *rig, const char *text);
/* How often the event log has `text` now. */
unsigned nic_rig_count(const struct nic_rig *rig, const char *text);
/* A control request with an fd (or -1) along; its socket.  The answer is one
 * line. */
int nic_rig_ask(const struct nic_rig *rig, const char *method,
		const char *params, int fd);
/* The answer to that (closes it), in buf. */
const char *nic_rig_answer(int socket, char *buf, size_t size);
/* Both. */
const char *nic_rig_rpc(const struct nic_rig *rig, const char *method,
			const char *params, char *buf, size_t size);

/* A vfio-user client. */
struct nic_conn {
	int fd;
	uint16_t id;
};

struct nic_reply {
	uint16_t id;
	uint32_t err;
	uint8_t data[4096 + 64];
	size_t size;
	int fds[8];
	unsigned n_fds;
};

/* Connect and agree on the version; vf 0: the PF. */
bool conn_open(struct nic_conn *conn, const struct nic_rig *rig, unsigned vf);
/* Agree on the version on a socket that is connected (taken). */
bool conn_use(struct nic_conn *conn, int fd);
/* Connect to a socket of this name in the rig's directory; or -1. */
int conn_connect(const struct nic_rig *rig, const char *name);
void conn_close(struct nic_conn *conn);
/* Send; the message ID. */
uint16_t conn_send(struct nic_conn *conn, uint16_t command, const void *payload,
		   size_t size, const int *fds, unsigned n_fds);
uint16_t conn_send_read(struct nic_conn *conn, uint32_t region, uint64_t offset,
			uint32_t count);
/* The next reply; false: none within ms. */
bool conn_reply(struct nic_conn *conn, int ms, struct nic_reply *reply);
/* Send and wait; the positive errno of the reply, 0 done, -1 no reply. */
int conn_call(struct nic_conn *conn, uint16_t command, const void *payload,
	      size_t size, const int *fds, unsigned n_fds,
	      struct nic_reply *reply);
uint64_t conn_read(struct nic_conn *conn, uint32_t region, uint64_t offset,
		   uint32_t count);
int conn_write(struct nic_conn *conn, uint32_t region, uint64_t offset,
	       uint64_t value, uint32_t count);
/* BAR 0, of any size up to 256 bytes. */
void regs_read(struct nic_conn *conn, uint32_t offset, void *data,
	       uint32_t count);
void regs_write(struct nic_conn *conn, uint32_t offset, const void *data,
		uint32_t count);
uint32_t reg_read(struct nic_conn *conn, uint32_t offset);
void reg_write(struct nic_conn *conn, uint32_t offset, uint32_t value);
int conn_dma_map(struct nic_conn *conn, uint64_t iova, uint64_t size, int fd);
int conn_dma_unmap(struct nic_conn *conn, uint64_t iova, uint64_t size);
void conn_set_irq(struct nic_conn *conn, uint32_t vector, int fd);
/* Offset of a capability or extended capability in config space. */
unsigned conn_cap(struct nic_conn *conn, uint8_t id);
unsigned conn_ecap(struct nic_conn *conn, uint16_t id);
void conn_bme(struct nic_conn *conn, bool on);
void conn_flr(struct nic_conn *conn);
void conn_enable_vfs(struct nic_conn *pf, unsigned n);

/* A guest with a VF, whose queues run. */
struct nic_guest {
	struct nic_conn conn;
	unsigned vf;
	int memfd;
	uint8_t *memory;
	struct queue tx, rx;
	int irq[NIC_VECTORS];
};

void guest_open(struct nic_guest *g, const struct nic_rig *rig, unsigned vf);
/* Queue registers, MSI-X, Bus Master Enable; also after a reset. */
void guest_set_up(struct nic_guest *g);
void guest_close(struct nic_guest *g);
/* Put a frame from vf `from` to vf `to` (0: broadcast) with a number into the
 * transmit ring; not published. */
void guest_put(struct nic_guest *g, unsigned to, uint32_t number,
	       uint32_t size);
void guest_publish(struct nic_guest *g);
void guest_ring(struct nic_guest *g, uint32_t doorbell);
/* Put, publish, ring. */
void guest_send(struct nic_guest *g, unsigned to, uint32_t number,
		uint32_t size);
/* The number of the next frame (its size and bytes are checked), or -1: none
 * within ms; -1000 - status: an error entry. */
int64_t guest_receive(struct nic_guest *g, int ms);
/* Wait until the device took all that was published. */
bool guest_sent(struct nic_guest *g, int ms);

#endif
