/* nic.h - the device: its functions and what they share. */
#ifndef IOVDEV_NIC_H
#define IOVDEV_NIC_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "cmd/iovdev/device_type.h"
#include "cmd/iovdev/function.h"
#include "cmd/iovdev/points.h"
#include "cmd/iovdev/switch.h"
#include "cmd/iovdev/uplink.h"
#include "libcore/fault.h"
#include "libcore/nic_regs.h"
#include "libcore/poll_mode.h"
#include "libcore/program.h"

/* What the command line says; see options.c. */
struct nic_options {
	struct program_options program;
	const struct device_type *type;
	const char *device; /* NULL: the program's name */
	unsigned vfs;
	struct latency latency[1 + NIC_VF_MAX]; /* by VF, 0: the PF */
	const char *lan;
	struct poll_mode poll;
	uint8_t mac_base[6];
	bool mac_given;
	const char *line;
	bool paced;
	const char *socket_path; /* standalone */
	int fd;                  /* standalone, -1: none */
};

struct nic {
	const struct device_type *type;
	void *card; /* what a type other than nic_type has besides */
	struct program *program;
	struct loop *loop;
	struct event_log *log;
	char device[DEVICE_NAME_MAX + 1];
	char socket_path[PATH_MAX]; /* standalone: the PF's, else empty */
	bool standalone;
	bool leaving; /* sockets close because we end */
	const struct nic_options *options;
	unsigned n_vfs; /* 0: a single function */
	struct function *pf;
	struct function *vf[NIC_VF_MAX]; /* VF n at n - 1 */
	struct l2_switch fabric;
	struct uplink *uplink;
	struct loop_poller poller;
	/* A bit a VF, VF 1 at bit 0. */
	uint64_t active;  /* transmit queues that are looked at */
	uint64_t stalled; /* they wait for a fenced receiver */
	uint64_t dirty;   /* receive queues with something to publish */
	uint64_t link_changed, mbx_pending; /* why the PF interrupts */
	bool pf_changed;
	unsigned turn; /* who is looked at first */
	struct loop_timer stall_timer;
	bool traced;  /* a point of the data path is armed */
	bool loading; /* VFs come back as they were (vf_state.c) */
	uint8_t scratch[NIC_FRAME_MAX];
};
_Static_assert(NIC_VF_MAX == 64, "VFs must fit the masks");

/* Make PF and VFs, open the LAN and the PF's socket; 0 or -errno with *c. */
int nic_start(struct nic *nic, struct program *program,
	      const struct nic_options *options, struct complaint *c)
	__attribute__((warn_unused_result));
void nic_stop(struct nic *nic);
/* Where a function's socket is; returns buf (PATH_MAX). */
char *nic_socket_path(const struct nic *nic, unsigned vf, char *buf);

/* Whether a point of the data path is armed is looked up once a pass. */
void nic_update_traced(struct nic *nic);

static inline uint64_t nic_bit(const struct function *f)
{
	return 1ull << (f->vf - 1);
}

/* Pass a quiet point of the data path. */
static inline bool nic_step(struct nic *nic, unsigned index,
			    const struct function *f)
{
	if (!nic->traced || !point_armed(nic->program->points, index))
		return true;
	return point(nic->program->points, index, NULL, NULL, NULL, "s:s",
		     "function", f->name) != POINT_FAIL;
}

/* sriov.c: VF Enable changed in the PF's config space. */
enum op_result sriov_change(struct function *pf, struct vfu_request *req);
/* All VFs vanish, without an answer to what they have (a reset). */
void sriov_vanish(struct nic *nic);
/* The PF's address of a VF after a reset. */
void sriov_default_mac(struct nic *nic, struct function *f);

/* Its address is this one again; an address of zeros changes nothing. */
void sriov_restore_mac(struct function *f, const uint8_t mac[6]);

/* registers.c: BAR 0. */
void registers_read(struct function *f, uint64_t offset, uint8_t *data,
		    uint32_t count);
void registers_write(struct function *f, uint64_t offset, const uint8_t *data,
		     uint32_t count);

/* tables.c, commands.c */
extern const struct control_table device_tables[]; /* of all types */
extern const struct control_table lan_tables[];    /* of those with a LAN */
extern const struct control_table nic_tables[];
extern const struct control_method lan_commands[];
extern const struct control_method nic_commands[];

/* options.c: parse the command line; ends the program when it is wrong. */
void options_parse(struct nic_options *options, int argc, char **argv);

#endif
