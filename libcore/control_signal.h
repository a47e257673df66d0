/* control_signal.h - control signals: what a guest that shares devices says to
 * the hypervisor, by writing to a page of its guest-physical I/O space to which
 * no row leads (spec 03).  Boundary between guestd and hvmon.
 *
 * A write of a struct control_signal to CONTROL_SIGNAL_PAGE is answered when it
 * was carried out, or with an error: EPERM (the VM does not share anything with
 * that one), ENODEV, EACCES (hvmon's connect_check()), EINVAL.  Without a
 * hypervisor it is answered as if it had been: the view tells.  A read of a
 * struct control_view from there is answered at once; without a hypervisor it is
 * all ones.
 */
#ifndef IOVKIT_CONTROL_SIGNAL_H
#define IOVKIT_CONTROL_SIGNAL_H

#include <stddef.h>
#include <stdint.h>

#define CONTROL_SIGNAL_PAGE    0xbf000000ull
#define CONTROL_SIGNAL_MAGIC   0x67697343u /* "Csig" */
#define CONTROL_SIGNAL_VERSION 1u
#define CONTROL_SIGNAL_DEVICE  32u

enum control_action {
	CONTROL_CONNECT = 1, /* the device with the VM that asks */
	CONTROL_DEACTIVATE,  /* the VM, which has failed: reboot it */
	CONTROL_ACTIVATE,    /* the VM */
	CONTROL_PANIC,       /* the VM that says so has failed */
	CONTROL_ACTION_N
};

struct control_signal {
	uint32_t magic;
	uint32_t action; /* enum control_action */
	uint32_t vm;     /* deactivate, activate; else 0 */
	uint32_t rsvd0;
	char device[CONTROL_SIGNAL_DEVICE]; /* connect; else empty */
};
_Static_assert(sizeof(struct control_signal) == 48, "control signal");

enum {
	CONTROL_PORT_EXIT = 1,  /* the process of `vm` is gone */
	CONTROL_PORT_PANIC = 2, /* `vm` said that it failed */
	CONTROL_PORT_SWITCHING = 4,
	CONTROL_PORT_ABSENT = 8, /* no process of `vm` was seen yet */
};

#define CONTROL_PORT_VMS 8u
#define CONTROL_PORTS    32u

/* A device that the VM which reads may be connected with. */
struct control_port {
	char device[CONTROL_SIGNAL_DEVICE];
	uint32_t vm; /* connected; PLATFORM_VM_NONE */
	uint32_t epoch;
	uint32_t flags; /* CONTROL_PORT_* */
	uint32_t n;
	uint32_t member[CONTROL_PORT_VMS]; /* VMs, in their order */
};
_Static_assert(offsetof(struct control_port, member) == 48, "control port");
_Static_assert(sizeof(struct control_port) == 80, "control port");

struct control_view {
	uint32_t magic; /* all ones: there is no hypervisor */
	uint32_t version;
	uint32_t n;
	uint32_t rsvd0;
	struct control_port port[CONTROL_PORTS];
};
_Static_assert(sizeof(struct control_view) == 16 + 32 * 80, "control view");

#endif
