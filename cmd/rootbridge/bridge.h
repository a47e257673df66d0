/* bridge.h - what the root bridge consists of, and who calls whom.
 *
 *	bus.c -> relay.c -> routing.c -> held.c -> function.c -> the device
 *	           |                                   |
 *	      exceptions.c -> the supervisor      completion_timeout.c
 *	      parking.c
 *
 * One thread, one loop; every structure here belongs to it.
 */
#ifndef IOVKIT_ROOTBRIDGE_BRIDGE_H
#define IOVKIT_ROOTBRIDGE_BRIDGE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "libcore/control.h"
#include "libcore/fault.h"
#include "libcore/function_name.h"
#include "libcore/limiter.h"
#include "libcore/loop.h"
#include "libcore/pci_caps.h"
#include "libcore/platform.h"
#include "libcore/program.h"
#include "libcore/supervisor.h"
#include "libcore/vfu_client.h"
#include "libcore/vfu_server.h"

#include "cmd/rootbridge/inflight.h"
#include "cmd/rootbridge/protection.h"
#include "cmd/rootbridge/routing.h"

#define BRIDGE_VMS_DEFAULT   16u
#define BRIDGE_BUSES         256u
#define BRIDGE_KEPT_MAX      1024u      /* operations kept for one VM */
#define BRIDGE_KEPT_BYTES    (8u << 20) /* of their data */
#define BRIDGE_DOORBELLS     16u        /* of one function */
#define BRIDGE_VECTORS_MAX   2048u
#define BRIDGE_VF_ATTACH_NS  NS_PER_S /* until a VF's socket answers */
#define BRIDGE_RETRY_MIN_NS  (10 * NS_PER_MS)
#define BRIDGE_RETRY_MAX_NS  NS_PER_S
#define BRIDGE_RINGS_POLL_NS NS_PER_MS /* while the exception ring is full */

/* Steps of spec 01, figs. 11 to 15 and 19. */
enum bridge_point {
	POINT_A900,  /* an access is issued */
	POINT_A800,  /* looked up */
	POINT_A810,  /* translated */
	POINT_A820,  /* exception */
	POINT_A910,  /* passed on */
	POINT_A920,  /* not passed on */
	POINT_A2100, /* arrived at the bridge (a1000) */
	POINT_A2105, /* an ID is chosen */
	POINT_A2110, /* recorded (a1005) */
	POINT_A1010, /* relayed to the device (a915) */
	POINT_A1020, /* replied */
	POINT_A1025, /* deleted */
	POINT_A1105, /* a row is older than the completion timeout */
	POINT_A1110, /* shutdown */
	POINT_A1220, /* a reset reaches the device (fig. 13) */
	POINT_A1225, /* a row is too old that the reset threw away */
	POINT_A1230, /* shutdown for that */
	POINT_BRIDGE_N
};
extern const struct point_desc bridge_points[POINT_BRIDGE_N];

enum bridge_part {
	PART_OWNERSHIP, /* a PF's former holder is fenced */
	PART_BRIDGE_N
};

enum on_timeout {
	ON_TIMEOUT_SHUTDOWN,
	ON_TIMEOUT_CONTAIN
};

struct bridge_options {
	unsigned n_guests;
	uint64_t memory_size;  /* of each VM not named */
	uint64_t *vm_memory;   /* [PLATFORM_VM_MAX], 0: memory_size */
	uint64_t timeout_ns;   /* 0: never */
	uint64_t exception_ns; /* 0: never */
	uint64_t park_ns;      /* 0: never */
	uint64_t dma_ns;       /* 0: never */
	enum on_timeout on_timeout;
	bool no_timeout;    /* held operations do not time out */
	bool no_protection; /* denied rows do not deny */
	uint64_t seed;
	bool seeded;
};

struct counters {
	uint64_t reads, writes, posted, replies, unsupported, errors, late;
	uint64_t timeouts, faults;
};

struct doorbell {
	struct vfu_io_fd sub; /* offset is in BAR 0 */
	int fd;
};

/* A VM's memory that a device reaches. */
struct dma_map {
	uint64_t iova, size;
	uint32_t vm, incarnation;
};

/* A VM that decides about others, and its channels (exceptions.c). */
struct supervisor {
	struct vm *vm;
	struct sup_channels *channels; /* NULL while it is not there */
	int channels_fd, verdict_fd;
	struct loop_watch verdict_watch;
	struct operations trapped;  /* in order of arrival */
	struct operation *unpushed; /* the first not in the ring; or NULL */
	STAILQ_HEAD(, notice) notices;
	struct loop_timer push_timer, exception_timer;
	struct loop_deferred ring;
	unsigned n_guests;
};

struct window_grant;
struct change;
struct change_wait {
	SLIST_ENTRY(change_wait) entry;
	struct change *change;
};

/* A PCI function: a PF, or a VF from the time it was first enabled.  Lives as
 * long as the bridge, whether its device is there or not. */
struct function {
	struct bridge *bridge;
	struct device *device;
	unsigned vf; /* 0: the PF */
	uint16_t bdf;
	char name[FUNCTION_NAME_MAX];

	/* Connection (function.c).  client is NULL while there is none;
	 * present is set when everything that attach asks was answered. */
	struct vfu_client *client;
	bool present;
	bool contained;
	unsigned setup_left;
	pid_t pid;
	uint32_t connection; /* counts them */
	uint64_t retry_ns;   /* next waiting time */
	struct loop_timer retry;
	uint64_t region_size[VFU_REGION_N];
	unsigned n_vectors;
	uint8_t *vector_set; /* [n_vectors]: the device has an eventfd */
	struct doorbell doorbell[BRIDGE_DOORBELLS];
	unsigned n_doorbells;
	uint8_t *config; /* of a PF: 4,096 bytes as last read */

	/* Operations (relay.c, held.c). */
	struct inflight inflight;
	struct operations waiting, held;
	struct loop_timer held_timer;
	bool congested;
	struct fault fault;
	uint64_t n_posted_ids;
	struct counters counters;
	struct limiter strays; /* events of replies that nobody awaits */

	struct window_grant *window; /* windows.c; NULL: none */

	/* DMA (dma.c): whose it is, and what the device has mapped. */
	uint32_t vm;
	struct dma_map *mapped; /* [n_mapped], sorted by iova */
	unsigned n_mapped;
	unsigned dma_at; /* index in it of what is under way */
	bool dma_busy;
	struct loop_timer dma_timer;
	SLIST_HEAD(, change_wait) dma_waits;
};

struct device {
	LIST_ENTRY(device) entry;
	struct bridge *bridge;
	char name[DEVICE_NAME_MAX + 1];
	uint8_t bus;
	int wd;       /* inotify watch of dev/NAME, -1 none */
	bool removed; /* not taken again before its socket is new */
	struct function *pf;
	struct function *vf[FUNCTION_VF_MAX + 1]; /* [0] is the PF */
	struct function *by_devfn[256]; /* that decode config space now */
	bool has_sriov;
	struct pci_sriov sriov;
	/* Config writes that change what it decodes wait for a look at it
	 * (bars.c). */
	struct operations written;
	struct loop_deferred look;
	uint32_t looks, looks_done; /* that were sent, and answered */
	/* Config writes answered when all enabled VFs are attached. */
	struct operations vf_waits;
	struct loop_timer vf_timer;
	uint32_t epoch;       /* of the ownership; 0: never claimed */
	struct vm *owner;     /* whose connection holds it; NULL: nobody's */
	struct change *claim; /* under way, until the former holder has lost
			       * its interrupts and DMA */
	uint64_t claim_ns;    /* since when */
	uint64_t reset_ns;    /* when the last reset of its PF was relayed */
};

struct vm {
	struct bridge *bridge;
	uint32_t number;
	char name[16]; /* "vm1" */
	uint8_t state; /* enum sup_vm_state */
	uint32_t incarnation;
	pid_t pid;
	struct vfu_server *server;
	struct vfu_session *session;
	uint64_t memory_size;
	int memory_fd; /* -1: not made yet */
	int irq_fd[PLATFORM_IRQS];
	bool irq_pending[PLATFORM_IRQS]; /* injected while there was no fd */
	struct {
		bool unmasked, sent, again;
	} msi;                         /* msi.c */
	int req_fd;                    /* a supervisor: VFU_IRQ_REQ */
	struct supervisor *supervisor; /* of this VM */
	struct supervisor *decides;    /* it is one, or was; NULL: it is none */
	bool paused;
	unsigned n_kept;
	uint64_t kept_bytes;
	bool unmapped; /* SUP_VM_UNMAP: no function reaches its memory */
	bool any_fenced;
	uint8_t fenced[BRIDGE_BUSES / 8]; /* PFs somebody else claimed */
	uint64_t accesses, exceptions, refused;
	struct limiter complaints; /* events of what it does wrong */
};

struct route {
	uint16_t bdf, vector;
	uint32_t vm, irq;
};

struct share {
	struct sup_share sup;
	int fd;
};

/* What the supervisor is to be told, while its ring is full. */
struct notice {
	STAILQ_ENTRY(notice) entry;
	enum sup_exception_type type;
	uint32_t vm;
	uint16_t bdf;
};

struct bridge {
	struct program program;
	struct loop *loop;
	struct event_log *log;
	struct bridge_options options;
	struct vm *vms; /* [n_vms], [0] is the hypervisor */
	unsigned n_vms;
	struct protection protection;
	struct routing routing;
	struct route *routes; /* sorted by bdf, vector */
	unsigned n_routes;
	struct sup_successor *successors;
	unsigned n_successors;
	struct share *shares;
	unsigned n_shares;
	struct sup_map *maps; /* sorted by who reaches it, and where */
	unsigned n_maps;
	LIST_HEAD(, watch) watches;

	LIST_HEAD(, device) devices;
	struct device *bus[BRIDGE_BUSES];
	unsigned n_buses;      /* given out; 0 is the bridge's */
	struct function *walk; /* supervisor.c: the last one, and its number */
	unsigned walk_next;    /* plus 1 */
	struct protection_cursor rows; /* likewise, of the rows */
	unsigned rows_next;
	int inotify_fd, dev_wd;
	struct loop_watch inotify;

	struct operations free_operations;
	struct loop_timer timeout_timer;
	bool timeout_late;
	bool shutting_down;
	struct point_hold timeout_hold;

	struct operations parked; /* parking.c; in order of arrival */
	struct loop_timer park_timer;
	struct loop_deferred rerun;
	struct change *settling; /* vm_settle() */
	struct vm *settles;
	struct loop_timer settle_timer;
	uint64_t last_serial; /* of a trapped access */
	uint64_t stale_verdicts;
};

/* bus.c: a vfio-user server for each VM. */
int bus_start(struct bridge *b, struct complaint *c)
	__attribute__((warn_unused_result));
void bus_stop(struct bridge *b);

/* vm.c: memory, states, flow control. */
void vm_init(struct vm *vm, struct bridge *b, uint32_t number);
void vm_fini(struct vm *vm);
/* The memory's fd, made when needed; or -errno. */
int vm_memory(struct vm *vm) __attribute__((warn_unused_result));
void vm_attached(struct vm *vm, struct vfu_session *session);
void vm_detached(struct vm *vm, const char *why);
/* SUP_VM_RESET.  -EBUSY while connected. */
int vm_reset(struct vm *vm, struct change *change)
	__attribute__((warn_unused_result));
/* SUP_VM_UNMAP. */
void vm_unmap(struct vm *vm, struct change *change);
/* SUP_SETTLE.  -EBUSY: another one is under way. */
int vm_settle(struct vm *vm, struct change *change)
	__attribute__((warn_unused_result));
void vm_settle_cancel(struct bridge *b);
/* Region 1 and shared ones, for those who do not map them. */
void vm_memory_access(int fd, struct vfu_request *req);
/* An operation's data are kept here until vm_unkeep(). */
void vm_keep(struct vm *vm, struct operation *op);
void vm_unkeep(struct vm *vm, struct operation *op);
void vm_pause(struct vm *vm);
/* A connection drained: go on reading from those who feed it. */
void vm_resume_all(struct bridge *b);

/* msi.c: the platform's interrupt as a message.  False: the VM takes none. */
bool msi_send(struct vm *vm);
/* It was answered. */
void msi_answered(struct vm *vm);
/* SET_IRQS of VFU_IRQ_MSI.  -EINVAL. */
int msi_set(struct vm *vm, uint32_t flags, struct vfu_request *req)
	__attribute__((warn_unused_result));

/* relay.c: an access on its way to the function and its reply back. */
void relay_access(struct vm *vm, struct vfu_request *req);
/* Look a trapped access up again; it may be trapped again. */
void relay_again(struct operation *op);
/* a1010; data may lie in the caller's buffer. */
void relay_send(struct operation *op, const uint8_t *data);
/* Ends of an operation; each takes it off its list and frees it. */
void relay_data(struct operation *op, const uint8_t *data, uint32_t count);
void relay_fail(struct operation *op, int err);
void relay_unsupported(struct operation *op);
/* It is off the in-flight list, its ID is given back or quarantined. */
void relay_unlist(struct operation *op);
/* Everything of the function is answered with all ones. */
void relay_abort(struct function *f);
/* An ID became free: the next in order. */
void relay_next(struct function *f);
/* What the VM sent and the device did not get yet fails with EPERM. */
void relay_fence(struct function *f, const struct vm *vm);
/* Reads by the bridge itself, of config space and BAR 0; fn is called once. */
void relay_own_bar_read(struct function *f, uint32_t offset, uint32_t count,
			operation_fn *fn, void *arg);
void relay_own_read(struct function *f, uint32_t offset, uint32_t count,
		    operation_fn *fn, void *arg);
/* A reset threw away what the function had accepted: ask again what came
 * before then. */
void relay_own_again(struct function *f, uint64_t before_ns);
/* Keep a write's data beyond the callback.  False: no memory. */
bool relay_keep_data(struct operation *op, const uint8_t *data);
void operation_free(struct bridge *b, struct operation *op);
/* "nic0/vf1:17", of a posted one "nic0/vf1:p3"; "-" before it has one. */
#define OPERATION_NAME_MAX (FUNCTION_NAME_MAX + 24)
char *operation_name(char buf[OPERATION_NAME_MAX], const struct operation *op);
/* "vm1", "hypervisor", "rootbridge". */
const char *operation_operator(const struct operation *op);

/* held.c: faults and holds of register operations. */
bool held_takes(struct operation *op, const uint8_t *data);
void held_run(struct function *f);
void held_forget(struct operation *op);
/* What a held operation duplicates, after it was sent. */
void held_duplicate(struct operation *op, const uint8_t *data);
/* Let all go in order; how many. */
unsigned held_release(struct function *f);

/* operate.c: control methods of operations and faults. */
void operate_methods(struct bridge *b);

/* completion_timeout.c */
void completion_timeout_start(struct bridge *b, uint64_t arrival_ns);
/* From now on, 0 for never; what is in flight is judged by it too. */
void completion_timeout_set(struct bridge *b, uint64_t timeout_ns);
/* Contain the function; op (may be NULL) is the operation to blame. */
void contain(struct function *f, const struct operation *op, const char *why);
void uncontain(struct function *f);

/* exceptions.c: supervisors' channels. */
/* Make the VM a supervisor, unless it is one.  -ENOMEM. */
int exceptions_supervisor(struct vm *vm) __attribute__((warn_unused_result));
void exceptions_fini(struct bridge *b);
/* It is there, and gone. */
int exceptions_open(struct supervisor *s) __attribute__((warn_unused_result));
void exceptions_close(struct supervisor *s);
/* a820: the access waits for a verdict, or is answered at once. */
void exceptions_trap(struct operation *op, const uint8_t *data);
/* Tell vm0. */
void exceptions_notify(struct bridge *b, enum sup_exception_type type,
		       uint32_t vm, uint16_t bdf);
/* Tell the VM's supervisor. */
void exceptions_notify_of(struct vm *vm, enum sup_exception_type type);
/* SUP_ROW_OPEN: what waits for a verdict in these ranges runs by itself. */
void exceptions_open_rows(struct supervisor *s, const struct sup_row *rows,
			  size_t n);
/* The VM's process is gone: forget its trapped accesses. */
void exceptions_forget(struct vm *vm);

/* supervisors.c: SUP_SUPERVISORS. */
bool supervisors_read(struct bridge *b, unsigned i, void *entry);
int supervisors_write(struct bridge *b, const struct sup_supervisor *sup,
		      size_t n) __attribute__((warn_unused_result));
/* Whether the VM decides about others; vm0 does. */
bool supervisors_has(const struct vm *vm);
bool supervisors_may(const struct vm *vm, unsigned kind, bool write);
/* Whether it decides about VM number `guest`. */
bool supervisors_decides(const struct vm *vm, uint32_t guest);
/* Whether it may write these rows.  -EPERM: no guest of it, or they lead to
 * where it has no row itself. */
int supervisors_rows(const struct vm *vm, const struct sup_row *rows, size_t n)
	__attribute__((warn_unused_result));
/* A row of vm gave this result, and an address of its supervisor, which is
 * looked up in turn. */
enum protection_result supervisors_beyond(const struct vm *vm,
					  enum protection_result result,
					  uint64_t count, uint64_t *mpa);

/* parking.c: what a fence stopped waits here until it is taken away. */
void parking_add(struct operation *op, const uint8_t *data);
/* Rows were changed. */
void parking_rerun(struct bridge *b);
/* A newer access comes: what may run by now is before it. */
void parking_before(struct bridge *b);
/* The VM's process is gone; NULL: the supervisor is. */
void parking_forget(struct vm *vm);
void parking_supervisor_gone(struct bridge *b);

/* supervisor.c: region 9 of vm0 and of successors. */
void supervisor_access(struct vm *vm, struct vfu_request *req);

/* successors.c */
bool successors_read(struct bridge *b, unsigned i, void *entry);
int successors_write(struct bridge *b, const struct sup_successor *s, size_t n)
	__attribute__((warn_unused_result));
/* Whether the VM is one of the PF's; of any PF's. */
bool successors_has(const struct vm *vm, uint16_t bdf);
bool successors_listed(const struct vm *vm);
/* Whether it finds that part of region 9 at all. */
bool successors_may(const struct vm *vm, unsigned kind, bool write);

/* shares.c */
bool shares_read(struct bridge *b, unsigned i, void *entry);
int shares_write(struct bridge *b, const struct sup_share *sup, size_t n)
	__attribute__((warn_unused_result));
/* The memory that vm shares with the other; -1: none. */
int shares_fd(const struct vm *vm, uint32_t other);
void shares_fini(struct bridge *b);

/* maps.c: SUP_MAPS. */
bool maps_read(struct bridge *b, unsigned i, void *entry);
int maps_write(struct vm *vm, const struct sup_map *maps, size_t n,
	       struct change *change) __attribute__((warn_unused_result));
/* Those of the function, sorted by iova; how many. */
unsigned maps_of(const struct function *f, const struct sup_map **first);
/* Whether it reaches the VM's memory by one of them. */
bool maps_reach(const struct function *f, const struct vm *vm);
/* Whether none is in the way of the VM's memory at IOVA 0. */
bool maps_leave_room(const struct function *f, uint32_t vm);
/* The memory of the other VM, if vm may reach it; -errno. */
int maps_fd(const struct vm *vm, uint32_t other);
json_t *maps_rows(void *bridge);

/* windows.c: SUP_WINDOWS. */
bool windows_read(struct bridge *b, unsigned i, void *entry);
int windows_write(struct vm *vm, const struct sup_window *windows, size_t n,
		  struct change *change) __attribute__((warn_unused_result));
/* The function's window ends, if it has one; change may be NULL. */
void windows_end(struct function *f, struct change *change);
/* All of the VM end: its process is gone. */
void windows_forget(const struct vm *vm);
/* The connection of its device is gone. */
void windows_gone(struct function *f);
/* What a VM sees at PLATFORM_REGION_WINDOW + region. */
void windows_info(const struct vm *vm, struct vfu_region_info *info, int *fd);
void windows_tell(const struct vm *vm, struct vfu_request *req,
		  uint32_t region);
json_t *windows_rows(void *bridge);

/* watch.c: SUP_WATCH. */
int watch_start(struct bridge *b, const struct sup_watch *watch, size_t n,
		struct change *change) __attribute__((warn_unused_result));
/* The VM is unmapped: tell what was touched. */
void watch_check(struct vm *vm);
/* It has new memory, or the bridge ends (NULL): nothing to tell. */
void watch_forget(struct bridge *b, const struct vm *vm);

/* change.c: a command answered when several devices have answered. */
struct replaced {
	int fd;
	uint32_t irq;
};
struct change {
	struct vm *vm;           /* who asked */
	struct vfu_request *req; /* answered at the end; NULL: nobody asked */
	unsigned left;
	int err;                             /* the first failure */
	void (*done)(struct change *change); /* before the answer; or NULL */
	struct vm *target;                   /* of done */
	struct replaced *replaced;           /* old eventfds (interrupts.c) */
	unsigned n_replaced;
};
/* One reference, put by the caller when it has started everything. */
struct change *change_new(struct vm *vm, struct vfu_request *req);
void change_get(struct change *change);
void change_put(struct change *change, int err);

/* dma.c */
void dma_assign(struct function *f, uint32_t vm, struct change *change);
/* The function's maps follow what is wanted; change may be NULL. */
void dma_update(struct function *f, struct change *change);
/* The connection is gone, and the maps with it. */
void dma_gone(struct function *f);
/* Whether the device has the VM's memory mapped; something at the iova. */
bool dma_maps(const struct function *f, const struct vm *vm);
bool dma_has(const struct function *f, uint64_t iova);

/* interrupts.c */
/* SET_IRQS of a VM.  0: req is answered when the devices have followed. */
int interrupts_set(struct vm *vm, const struct vfu_irq_set *set, int *fds,
		   unsigned n_fds, const uint8_t *data, struct vfu_request *req)
	__attribute__((warn_unused_result));
int interrupts_route(struct bridge *b, const struct sup_route *routes, size_t n,
		     struct change *change) __attribute__((warn_unused_result));
int interrupts_inject(struct bridge *b, const struct sup_inject *inject,
		      size_t n) __attribute__((warn_unused_result));
/* The function's routes to the VM are taken away. */
void interrupts_withdraw(struct function *f, const struct vm *vm,
			 struct change *change);
/* Tell a function all its routes; none while it is contained. */
void interrupts_attach(struct function *f);
/* The VM's process is gone, and its eventfds with it. */
void interrupts_detach(struct vm *vm);
/* The old eventfds of a change that every device has followed are read once
 * more, and what they held is delivered. */
void interrupts_settled(struct change *change);
unsigned interrupts_count(const struct vm *vm, uint32_t index);

/* ownership.c */
/* SUP_CLAIM: all of them, or none. */
int ownership_claim(struct vm *vm, const struct sup_claim *claims, size_t n,
		    struct change *change) __attribute__((warn_unused_result));
/* The VM's process is gone: what it owned is nobody's. */
void ownership_detached(struct vm *vm);
/* Whether it owns any PF. */
bool ownership_any(const struct vm *vm);
/* Whether an owner row (SUP_ROW_OWNER) lets the VM through to f, or, NULL, to
 * nothing. */
bool ownership_row(const struct vm *vm, const struct function *f);
/* Whether vm is the hypervisor, and f a PF that somebody else owns.  Writes the
 * event `fenced`, too. */
bool ownership_bars(struct vm *vm, const struct function *f);
/* Write the event `fenced`. */
void ownership_refused(struct vm *vm, const struct function *f);
/* Whether vm's connection lost the device to somebody else.  Writes the event
 * `fenced` when it did. */
bool ownership_fenced(struct vm *vm, const struct function *f);

/* device.c: discovery, attach, removal. */
int device_start(struct bridge *b, struct complaint *c)
	__attribute__((warn_unused_result));
void device_stop(struct bridge *b);
struct device *device_find(struct bridge *b, const char *name);
/* By FUNCTION, as a call names it; NULL: the call is answered. */
struct function *device_function(struct bridge *b, struct control_call *call,
				 const char *name);
struct function *device_function_at(struct bridge *b, uint16_t bdf);
/* Its PF's connection is set up, or is gone (and why). */
void device_attached(struct device *d);
void device_gone(struct device *d, const char *why);
/* A VF's connection is set up: perhaps somebody waits for the last. */
void device_vf_settled(struct device *d);
/* Connect every enabled VF, then answer op (may be NULL). */
void device_enable_vfs(struct device *d, struct operation *op);
/* Hang up on all of it, and take it again only when its socket is new.
 * Orderly: what is in flight completes with all ones, else it times out. */
void device_remove(struct device *d, bool orderly, const char *why);
/* 0, -ENOENT: no such socket, or why it cannot be connected. */
int device_attach(struct bridge *b, const char *name, struct complaint *c)
	__attribute__((warn_unused_result));

/* function.c */
struct function *function_new(struct device *d, unsigned vf);
/* Free all it has; the bridge is ending. */
void function_free(struct function *f);
/* Connect unless connected; on failure again later, unless the socket is not
 * there.  False: nobody is there yet. */
bool function_connect(struct function *f);
/* Hang up; its requests become orphans. */
void function_disconnect(struct function *f);
/* The connection ended or is to end: hang up, tell, decode anew. */
void function_gone(struct function *f, const char *why);
/* Whether requests are relayed to it: present, and a VF enabled. */
bool function_decodes(const struct function *f);

/* bars.c */
/* The effects of a config write, from where it goes and what it writes. */
uint8_t bars_snoop(const struct function *pf, uint64_t offset, uint32_t count,
		   const uint8_t *data);
/* A config write with effects is sent now. */
void bars_sent(struct operation *op);
/* The device took a config write with effects: follow, then answer op. */
void bars_written(struct operation *op);
/* Nothing is followed any more. */
void bars_stop(struct device *d);
/* The PF's config space as it is now. */
void bars_update(struct device *d, const uint8_t *config);
void bars_rebuild(struct bridge *b);
/* Where function's BAR lies, or 0 when it does not decode. */
uint64_t bars_address(const struct function *f, unsigned bar);

/* doorbells.c */
void doorbells_answer(struct vm *vm, struct vfu_request *req, uint32_t region);
void doorbells_close(struct function *f);

/* tables.c, config_dump.c */
void tables_add(struct bridge *b);
void config_dump(void *arg, struct control_call *call, json_t *params);

/* Functions in bus order, PF before VFs: start with f NULL. */
struct function *bridge_next_function(struct bridge *b, struct function *f);

/* A quiet point on op's way; false: behave as if the step failed.  Costs one
 * look while nobody asked for the point. */
bool bridge_point_slow(struct bridge *b, enum bridge_point index,
		       const struct operation *op);
static inline bool bridge_point(struct bridge *b, enum bridge_point index,
				const struct operation *op)
{
	if (!point_armed(b->program.points, index))
		return true;
	return bridge_point_slow(b, index, op);
}

#endif
