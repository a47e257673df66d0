/* role.c - a guest that shares devices with others (--role, spec 03).
 *
 * Theory of operation.  Such guests watch each other (peers.h).  The hypervisor's
 * view of the devices is read anew at each platform interrupt, by which it also
 * tells that it saw the end, or the panic report, of a VM that has a device; and
 * after a while when nobody answered, as the interrupt is over then.  Then, or
 * when that VM's heartbeat stands too long, the first of those who stand by and live
 * sends its commands: deactivate that VM, connect its devices with me.  They are
 * sent again as long as the view does not show that they were carried out, so a
 * hypervisor that dies on the way changes nothing but the time.
 *
 * While the machine is powered off, program by program, nothing is done: whoever
 * ends then has not failed.
 *
 * What is connected shows in config space like any device that comes, and its
 * driver takes it from there.
 */
#include <config.h>

#include "cmd/guestd/role.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/peers.h"
#include "libcore/control_signal.h"

/* Commands that were not carried out are sent again after that, and a view that
 * was not answered is read again. */
#define AGAIN_NS (20 * NS_PER_MS)
/* The same of one that stands by. */
#define OTHER_NS NS_PER_S

struct role {
	struct guest *guest;
	struct peers peers; /* those with whom it shares something */
	struct loop_timer timer;
	struct control_view view;
	bool on_bus, known, reading, read_again;
	bool unread;                /* the last look brought nothing */
	uint64_t looked_ns;         /* when that was */
	TAILQ_HEAD(, command) sent; /* not answered yet */
	unsigned commands;          /* of our own among these */
	uint64_t again_ns;          /* no new ones before */
	uint64_t up_ns;             /* since when it is on the bus */
	unsigned takeovers;
};

/* A command of ours. */
struct command {
	TAILQ_ENTRY(command) entry;
	struct role *role;
	struct control_signal signal;
	struct control_call *call; /* who asked for it; NULL: ourselves */
};

static const struct guest_options *options_of(const struct role *r)
{
	return &r->guest->options;
}

static struct event_log *log_of(const struct role *r)
{
	return r->guest->program.log;
}

/* What there is to do. */

/* One that is to be active waits for the one whose devices they are, but not for
 * ever. */
static bool is_missed(const struct role *r, struct peer *peer)
{
	uint64_t now_ns = clock_now_ns();

	if (!peer->absent_ns)
		peer->absent_ns = now_ns;
	return options_of(r)->role == ROLE_ACTIVE &&
	       now_ns - peer->absent_ns > options_of(r)->heartbeat_limit_ns;
}

/* Why the VM that has the device has failed; NULL: it has not. */
static const char *verdict(struct role *r, const struct control_port *port)
{
	unsigned detect = options_of(r)->detect;
	struct peer *peer;

	if (detect & DETECT_EXIT && port->flags & CONTROL_PORT_PANIC)
		return "panic";
	if (detect & DETECT_EXIT && port->flags & CONTROL_PORT_EXIT)
		return "exit";
	peer = peers_get(&r->peers, port->vm);
	if (peer && !peer->pid && port->flags & CONTROL_PORT_ABSENT)
		return is_missed(r, peer) ? "absent" : NULL;
	return detect & DETECT_HEARTBEAT && peer && peer_stands(&r->peers, peer)
		       ? "heartbeat"
		       : NULL;
}

/* Whoever has just come, as one that was started again, leaves to the others what
 * nobody has. */
static bool may(const struct role *r, const struct control_port *port,
		uint32_t vm)
{
	return port->vm != PLATFORM_VM_NONE || peers_is_able(&r->peers, vm);
}

/* Nobody who comes before it could take the device as well. */
static bool is_first(struct role *r, const struct control_port *port)
{
	const struct peer *peer;
	unsigned i;

	for (i = 0; i < port->n && i < CONTROL_PORT_VMS; i++) {
		if (port->member[i] == options_of(r)->vm)
			return true;
		peer = peers_get(&r->peers, port->member[i]);
		if (port->member[i] != port->vm && peer &&
		    peer_lives(&r->peers, peer) && may(r, port, peer->vm))
			return false;
	}
	return false;
}

static void on_answer(void *arg, const struct vfu_reply *reply)
{
	struct command *c = arg;
	struct role *r = c->role;

	TAILQ_REMOVE(&r->sent, c, entry);
	if (reply->err == -ENOTCONN) {
		free(c);
		return;
	}
	if (!c->call)
		r->commands--;
	else if (reply->err)
		control_fail(c->call, RPC_DENIED, "%s", strerror(-reply->err));
	else
		control_reply(c->call, NULL);
	free(c);
	if (!r->commands)
		role_look(r);
}

/* 0 or -errno; the call is not answered then. */
static int send(struct role *r, enum control_action action, uint32_t vm,
		const char *device, struct control_call *call)
{
	struct command *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->role = r;
	c->call = call;
	c->signal = (struct control_signal){
		.magic = CONTROL_SIGNAL_MAGIC,
		.action = action,
		.vm = vm,
	};
	strlcpy(c->signal.device, device, sizeof(c->signal.device));
	err = bus_write(&r->guest->bus, CONTROL_SIGNAL_PAGE, &c->signal,
			sizeof(c->signal), on_answer, c);
	if (err) {
		free(c);
		return err;
	}
	TAILQ_INSERT_TAIL(&r->sent, c, entry);
	r->commands += !call;
	return 0;
}

static bool wants(struct role *r, const struct control_port *port)
{
	return port->vm != options_of(r)->vm &&
	       !(port->flags & CONTROL_PORT_SWITCHING) && is_first(r, port);
}

/* Its devices, or those that nobody has, that are for us. */
static void connect_all(struct role *r, uint32_t vm)
{
	const struct control_port *port;
	unsigned i;

	for (i = 0; i < r->view.n; i++) {
		port = &r->view.port[i];
		if (port->vm == vm && wants(r, port))
			(void)!send(r, CONTROL_CONNECT, 0, port->device, NULL);
	}
}

static void tell_failed(struct role *r, uint32_t vm, const char *why)
{
	struct peer *peer = peers_get(&r->peers, vm);
	char name[24];

	if (!peer || peer->told)
		return;
	peer->told = true;
	snprintf(name, sizeof(name), "vm%u", vm);
	event(log_of(r), "peer.failed", "s:s, s:s, s:I", "vm", name, "why", why,
	      "stale_ns", (json_int_t)peer->beat.stale_ns);
}

/* Deactivate it, if it ever came; connect its devices with me. */
static void take_over(struct role *r, const struct control_port *port,
		      const char *why)
{
	uint32_t vm = port->vm;

	tell_failed(r, vm, why);
	r->takeovers++;
	if (guest_point_fails(r->guest, POINT_ROLE_DEACTIVATE))
		return;
	if (!(port->flags & CONTROL_PORT_ABSENT) &&
	    send(r, CONTROL_DEACTIVATE, vm, "", NULL))
		return;
	if (!guest_point_fails(r->guest, POINT_ROLE_CONNECT))
		connect_all(r, vm);
}

/* One that stands by for a device of ours has failed: it is started again. */
static void look_after(struct role *r, const struct control_port *port,
		       uint64_t now_ns)
{
	struct peer *peer;
	unsigned i;

	for (i = 0; i < port->n; i++) {
		if (port->member[i] == options_of(r)->vm)
			continue;
		peer = peers_get(&r->peers, port->member[i]);
		if (!peer || now_ns < peer->again_ns ||
		    !peer_stands(&r->peers, peer))
			continue;
		peer->again_ns = now_ns + OTHER_NS;
		tell_failed(r, peer->vm, "heartbeat");
		(void)!send(r, CONTROL_DEACTIVATE, peer->vm, "", NULL);
	}
}

static void decide(struct role *r)
{
	const struct control_port *port;
	uint64_t now_ns = clock_now_ns();
	const char *why;
	unsigned i;

	if (!r->known || r->commands || r->reading || now_ns < r->again_ns ||
	    peers_power_off(&r->peers))
		return;
	for (i = 0; i < r->view.n && !r->commands; i++) {
		port = &r->view.port[i];
		if (port->vm == options_of(r)->vm)
			look_after(r, port, now_ns);
		if (!wants(r, port))
			continue;
		why = port->vm == PLATFORM_VM_NONE ? "nobody"
						   : verdict(r, port);
		if (!why || !may(r, port, options_of(r)->vm))
			continue;
		r->again_ns = now_ns + AGAIN_NS;
		if (port->vm == PLATFORM_VM_NONE)
			connect_all(r, port->vm);
		else
			take_over(r, port, why);
	}
}

/* The view. */

static const struct control_port *port_of(const struct control_view *view,
					  const char *device)
{
	unsigned i;

	for (i = 0; i < view->n; i++)
		if (!strcmp(view->port[i].device, device))
			return &view->port[i];
	return NULL;
}

/* What became of each device; where it changed all are given the whole limit. */
static void compare(struct role *r, const struct control_view *view)
{
	const struct control_port *port, *old;
	uint32_t own = options_of(r)->vm;
	struct peer *peer;
	unsigned i, k;

	for (i = 0; i < view->n; i++) {
		port = &view->port[i];
		old = port_of(&r->view, port->device);
		if (old && old->vm == port->vm && old->epoch == port->epoch)
			continue;
		for (k = 0; k < port->n; k++) {
			peer = port->member[k] == own
				       ? NULL
				       : peers_get(&r->peers, port->member[k]);
			if (peer)
				peer_restart(peer, peer->beat.value);
		}
		event(log_of(r),
		      port->vm == own ? "role.active" : "role.standby",
		      "s:s, s:I", "device", port->device, "epoch",
		      (json_int_t)port->epoch);
	}
}

static bool take_view(struct role *r, const uint8_t *data)
{
	struct control_view view;
	unsigned i;

	memcpy(&view, data, sizeof(view));
	if (view.magic != CONTROL_SIGNAL_MAGIC ||
	    view.version != CONTROL_SIGNAL_VERSION || view.n > CONTROL_PORTS)
		return false;
	for (i = 0; i < view.n; i++) {
		view.port[i].device[CONTROL_SIGNAL_DEVICE - 1] = '\0';
		if (view.port[i].n > CONTROL_PORT_VMS)
			return false;
	}
	compare(r, &view);
	r->view = view;
	return true;
}

static void on_view(void *arg, const struct vfu_reply *reply)
{
	const uint8_t *data;
	struct role *r = arg;
	bool first = !r->known;

	r->reading = false;
	if (reply->err == -ENOTCONN)
		return;
	data = reply->err ? NULL
			  : vfu_reply_data(reply, sizeof(struct control_view));
	r->unread = !data || !take_view(r, data);
	r->known |= !r->unread;
	if (r->read_again)
		role_look(r);
	if (first && r->known && r->guest->probed)
		guest_vf_settled(r->guest);
	decide(r);
}

void role_look(struct role *r)
{
	if (!r || !r->on_bus)
		return;
	r->read_again = r->reading;
	if (r->reading)
		return;
	r->looked_ns = clock_now_ns();
	r->reading = !bus_read(&r->guest->bus, CONTROL_SIGNAL_PAGE,
			       sizeof(struct control_view), on_view, r);
}

/* Each period. */

static void on_tick(void *arg)
{
	struct role *r = arg;
	uint64_t now_ns = clock_now_ns();

	peers_plan(&r->peers, now_ns);
	if (!guest_point_fails(r->guest, POINT_ROLE_BEAT))
		peers_beat(&r->peers, now_ns);
	peers_set_able(&r->peers,
		       now_ns - r->up_ns > options_of(r)->heartbeat_limit_ns);
	peers_look(&r->peers);
	loop_timer_at(r->guest->program.loop, &r->timer, peers_due(&r->peers),
		      on_tick, r);
	if (!r->known || (r->unread && now_ns > r->looked_ns + AGAIN_NS))
		role_look(r);
	decide(r);
}

int role_start(struct guest *g)
{
	struct role *r;

	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	g->role = r;
	r->guest = g;
	TAILQ_INIT(&r->sent);
	return peers_init(&r->peers, g);
}

void role_bus_up(struct role *r)
{
	if (!r)
		return;
	r->on_bus = true;
	r->up_ns = clock_now_ns();
	peers_join(&r->peers);
	on_tick(r);
}

void role_free(struct role *r)
{
	struct command *c;

	if (!r)
		return;
	loop_timer_cancel(&r->timer);
	while ((c = TAILQ_FIRST(&r->sent))) {
		TAILQ_REMOVE(&r->sent, c, entry);
		free(c);
	}
	peers_fini(&r->peers);
	free(r);
}

bool role_is_ready(const struct role *r)
{
	return r && r->known;
}

/* Methods: the same commands by somebody who looks after this guest. */

static void asked(struct guest *g, struct control_call *call,
		  enum control_action action, uint32_t vm, const char *device)
{
	int err = g->role && g->role->on_bus
			  ? send(g->role, action, vm, device, call)
			  : -ENOTCONN;

	if (!g->role)
		control_fail(call, RPC_DENIED, "%s shares nothing (--role)",
			     g->program.name);
	else if (err)
		control_fail(call, RPC_FAILED, "%s", strerror(-err));
}

static void method_connect(void *arg, struct control_call *call, json_t *params)
{
	asked(arg, call, CONTROL_CONNECT, 0,
	      control_string(params, "device", ""));
}

static void asked_vm(struct guest *g, struct control_call *call,
		     const json_t *params, enum control_action action)
{
	long long vm = control_integer(params, "vm", 0);

	if (vm < 1 || vm >= PLATFORM_VM_MAX)
		control_fail(call, RPC_PARAMS, "%lld is no VM", vm);
	else
		asked(g, call, action, (uint32_t)vm, "");
}

static void method_activate(void *arg, struct control_call *call,
			    json_t *params)
{
	asked_vm(arg, call, params, CONTROL_ACTIVATE);
}

static void method_deactivate(void *arg, struct control_call *call,
			      json_t *params)
{
	asked_vm(arg, call, params, CONTROL_DEACTIVATE);
}

/* The report, and then nothing more: a kernel that panicked. */
static void hang(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static void on_reported(void *arg, const struct vfu_reply *reply)
{
	struct guest *g = arg;

	if (reply->err != -ENOTCONN)
		loop_defer(g->program.loop, &g->panic, hang, g);
}

static void method_panic(void *arg, struct control_call *call, json_t *params)
{
	const struct control_signal signal = {
		.magic = CONTROL_SIGNAL_MAGIC,
		.action = CONTROL_PANIC,
	};
	struct guest *g = arg;
	int err = bus_write(&g->bus, CONTROL_SIGNAL_PAGE, &signal,
			    sizeof(signal), on_reported, g);

	(void)params;
	if (err)
		control_fail(call, RPC_FAILED, "%s", strerror(-err));
	else
		control_reply(call, NULL);
}

static const struct control_param device_params[] = {
	{ "device", 's', false, "device that it shares, such as ether0" },
	{ NULL, 0, false, NULL },
};

static const struct control_param vm_params[] = {
	{ "vm", 'i', false, "number of a VM with which it shares a device" },
	{ NULL, 0, false, NULL },
};

const struct control_method role_methods[] = {
	{ "connect", "ask the hypervisor for a device", method_connect,
	  device_params },
	{ "activate", "ask the hypervisor to let a VM go on", method_activate,
	  vm_params },
	{ "deactivate", "tell the hypervisor that a VM failed",
	  method_deactivate, vm_params },
	{ "panic", "tell the hypervisor that this VM failed, and hang",
	  method_panic, NULL },
	{ NULL, NULL, NULL, NULL },
};

static json_t *vm_to_json(uint32_t vm)
{
	return vm == PLATFORM_VM_NONE ? json_string("-")
				      : json_sprintf("vm%u", vm);
}

static json_t *role_rows(void *arg)
{
	const struct guest *g = arg;
	const struct role *r = g->role;
	json_t *rows = json_array();
	const struct control_port *port;
	unsigned i, k;

	for (i = 0; r && i < r->view.n; i++) {
		port = &r->view.port[i];
		for (k = 0; k < port->n && port->member[k] != g->options.vm;
		     k++)
			;
		json_array_append_new(
			rows,
			json_pack("{s:s, s:s, s:o, s:i, s:I, s:i}", "device",
				  port->device, "role",
				  port->vm == g->options.vm ? "active"
							    : "standby",
				  "vm", vm_to_json(port->vm), "order",
				  (int)k + 1, "epoch", (json_int_t)port->epoch,
				  "takeovers", (int)r->takeovers));
	}
	return rows;
}

static const struct control_column columns[] = {
	{ "device", "DEVICE" }, { "role", "ROLE" },
	{ "vm", "VM" },         { "order", "ORDER" },
	{ "epoch", "EPOCH" },   { "takeovers", "TAKEOVERS" },
	{ NULL, NULL },
};

const struct control_table role_tables[] = {
	{ "role", "devices that this guest shares, and who has them", columns,
	  role_rows },
	{ NULL, NULL, NULL, NULL },
};
