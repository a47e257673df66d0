/* vf_driver.c - the VF driver: one VF of the nic, from finding it to frames.
 *
 * Theory of operation.  A setup is a row of steps; each sends its requests,
 * all at once, and is checked when all are answered.  The same setup serves a
 * VF that was found, one that came back, and one that may have been reset:
 * when the registers show that the queues run as we programmed them nothing
 * is programmed.  The rings are never laid out again: they are the queues'
 * whole state, and the device goes on where they stand.
 *
 * Link and bandwidth are asked of whoever drives the PF, by the mailbox: the
 * question lies in a register until it is answered, however long that takes;
 * meanwhile an interrupt is all that this waits for.
 *
 * An interrupt of the platform that comes while a setup runs is remembered
 * and leads to another look afterwards.  A VF that is absent or answers with
 * all ones is away until the platform interrupts again.
 */
#include <config.h>

#include "cmd/guestd/vf_driver.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/vf_receive.h"
#include "cmd/guestd/vf_registers.h"
#include "cmd/guestd/vf_rings.h"
#include "cmd/guestd/vf_send.h"
#include "libcore/pci_caps.h"

static const char *const state_names[] = {
	[VF_NEW] = "new",
	[VF_UP] = "up",
	[VF_AWAY] = "away",
	[VF_FAILED] = "failed",
};
_Static_assert(sizeof(state_names) / sizeof(*state_names) == VF_STATE_N,
	       "one name a state");

const char *vf_state_name(enum vf_state state)
{
	return state_names[state];
}

static struct event_log *log_of(struct vf *vf)
{
	return vf->guest->program.log;
}

int vf_new(struct vf **vf, struct guest *g, unsigned slot)
{
	struct vf *v = calloc(1, sizeof(*v));
	unsigned i;
	int err;

	if (!v)
		return -ENOMEM;
	v->guest = g;
	v->pci.slot = slot;
	v->doorbell_tx = v->doorbell_rx = -1;
	for (i = 0; i < VF_VECTORS; i++)
		v->irq[i].fd = -1;
	TAILQ_INIT(&v->waiters);
	snprintf(v->name, sizeof(v->name), "slot%u", slot);
	err = vf_irqs_init(v);
	if (err < 0) {
		vf_free(v);
		return err;
	}
	*vf = v;
	return 0;
}

void vf_free(struct vf *vf)
{
	if (!vf)
		return;
	point_hold_cancel(&vf->hold);
	vf_receive_stop(vf);
	loop_defer_cancel(&vf->tx_kick);
	vf_irqs_fini(vf);
	vf_rings_fini(vf);
	if (vf->doorbell_tx >= 0)
		close(vf->doorbell_tx);
	if (vf->doorbell_rx >= 0)
		close(vf->doorbell_rx);
	free(vf);
}

__attribute__((format(printf, 3, 4))) static int
setup_error(struct vf *vf, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(vf->why, sizeof(vf->why), fmt, ap);
	va_end(ap);
	return err;
}

static int check_next(struct vf *vf)
{
	return (int)vf->step + 1;
}

/* The look that led here may be older than what the last setup wrote. */
static int check_config(struct vf *vf)
{
	const uint8_t *config = vf->regs.config;

	if (pci_get16(config, 0) == UINT16_MAX)
		return setup_error(vf, -ENODEV, "absent");
	vf->pci.command = pci_get16(config, 0);
	if (vf->pci.msix_cap)
		vf->pci.msix_control =
			pci_get16(config, vf->pci.msix_cap + PCI_MSIX_FLAGS -
						  PCI_COMMAND);
	return check_next(vf);
}

static void take_mac(struct vf *vf)
{
	memcpy(vf->mac, vf->regs.page + NIC_MAC_LOW, MAC_SIZE);
	if (!mac_to_function(vf->mac, vf->name, sizeof(vf->name)))
		snprintf(vf->name, sizeof(vf->name), "slot%u", vf->pci.slot);
}

static int check_identify(struct vf *vf)
{
	const struct guest_options *o = &vf->guest->options;
	uint32_t id = vf_register(vf, NIC_ID);
	uint32_t version = vf_register(vf, NIC_VERSION);
	int err;

	if (id == UINT32_MAX)
		return setup_error(vf, -ENODEV, "refused");
	if (id != NIC_ID_VALUE || version != 1)
		return setup_error(vf, -EPROTO,
				   "its registers say ID 0x%08x version %u, "
				   "not a nic of version 1",
				   (unsigned)id, (unsigned)version);
	if (!vf->pci.msix_cap || !vf->pci.msix_in_bar0)
		return setup_error(vf, -EPROTO, "no MSI-X table in BAR 0");
	take_mac(vf);
	/* That of a former driver of this VF is not ours to ask. */
	vf->request = vf_register(vf, NIC_MBX_REQUEST);
	if (vf_is_running(vf))
		return STEP_ASK;
	if (vf->n)
		return STEP_CONNECT;
	err = vf_rings_init(vf, o->ring, o->ring_start, o->buffer_bytes);
	if (err < 0)
		return setup_error(vf, err, "no room for its queues: %s",
				   strerror(-err));
	return STEP_CONNECT;
}

static int check_program(struct vf *vf)
{
	vf->programmed = true;
	vf->tx_stopped = vf->rx_stopped = false;
	return check_next(vf);
}

static int queue_refused(struct vf *vf, const char *queue, uint32_t status)
{
	event(log_of(vf), "queue.stopped", "s:s, s:s, s:I", "vf", vf->name,
	      "queue", queue, "status", (json_int_t)status);
	return setup_error(vf, -EPROTO, "%s queue stopped, status %u", queue,
			   (unsigned)status);
}

static int check_queues(struct vf *vf)
{
	uint32_t tx_enable = vf_register(vf, NIC_TX + NIC_Q_ENABLE);
	uint32_t rx_enable = vf_register(vf, NIC_RX + NIC_Q_ENABLE);
	uint32_t tx_status = vf_register(vf, NIC_TX + NIC_Q_STATUS);
	uint32_t rx_status = vf_register(vf, NIC_RX + NIC_Q_STATUS);

	if (tx_enable == UINT32_MAX)
		return setup_error(vf, -ENODEV, "refused");
	if (tx_enable != 1 || tx_status)
		return queue_refused(vf, "tx", tx_status);
	if (rx_enable != 1 || rx_status)
		return queue_refused(vf, "rx", rx_status);
	return check_next(vf);
}

static int check_ask(struct vf *vf)
{
	vf->regs.notices = vf_register(vf, NIC_MBX_NOTICES);
	return check_queues(vf);
}

static int check_answer(struct vf *vf)
{
	int next = check_queues(vf);

	if (next >= 0 && vf_register(vf, NIC_MBX_ANSWER) != vf->request)
		return STEP_ANSWER; /* the next interrupt may be it */
	return next;
}

static void note_answer(struct vf *vf)
{
	uint64_t took = clock_now_ns() - vf->asked_ns;

	vf->asked_ns = 0;
	vf->counters.link_answers++;
	if (took > vf->counters.link_wait_ns)
		vf->counters.link_wait_ns = took;
	/* The question is older than the last notice. */
	if (vf_register(vf, NIC_MBX_NOTICES) != vf->regs.notices)
		vf->ask_again = true;
}

/* 1303 */
static int check_keep(struct vf *vf)
{
	bool up = vf_register(vf, NIC_MBX_LINK) & 1;
	uint64_t max = vf_register64(vf, NIC_MBX_BANDWIDTH_MAX);
	uint64_t allocated = vf_register64(vf, NIC_MBX_BANDWIDTH);
	bool changed = !vf->link_known || up != vf->link_up ||
		       allocated != vf->bandwidth || max != vf->bandwidth_max;

	note_answer(vf);
	vf->link_known = true;
	vf->link_up = up;
	vf->bandwidth = allocated;
	vf->bandwidth_max = max;
	vf->resets = vf_register(vf, NIC_RESETS);
	if (changed)
		event(log_of(vf), "link", "s:s, s:b, s:I, s:I", "vf", vf->name,
		      "up", up, "bandwidth_max", (json_int_t)vf->bandwidth_max,
		      "bandwidth", (json_int_t)vf->bandwidth);
	return STEP_N;
}

static int check_1301(struct vf *vf)
{
	(void)vf;
	return STEP_ASK;
}

#define NO_POINT POINT_N

static const struct vf_step_desc {
	enum guest_point point;
	void (*issue)(struct vf *vf); /* NULL: nothing to ask */
	int (*check)(struct vf *vf);  /* the next step or -errno */
} steps[] = {
	[STEP_CONFIG] = { POINT_DRIVER_PROBE, vf_issue_config, check_config },
	[STEP_COMMAND] = { NO_POINT, vf_issue_command, check_next },
	[STEP_IDENTIFY] = { NO_POINT, vf_issue_identify, check_identify },
	[STEP_CONNECT] = { NO_POINT, vf_issue_connect, check_next },
	[STEP_PROGRAM] = { POINT_DRIVER_PROGRAM, vf_issue_program,
			   check_program },
	[STEP_MSIX] = { NO_POINT, vf_issue_msix, check_next },
	[STEP_ENABLE] = { NO_POINT, vf_issue_enable, check_next },
	[STEP_ASK] = { POINT_DRIVER_1302, vf_issue_ask, check_ask },
	[STEP_ANSWER] = { NO_POINT, vf_issue_answer, check_answer },
	[STEP_KEEP] = { POINT_DRIVER_1303, NULL, check_keep },
	[STEP_1301] = { POINT_DRIVER_1301, NULL, check_1301 },
};
_Static_assert(sizeof(steps) / sizeof(*steps) == STEP_N, "one row a step");

static void setup_begin(struct vf *vf, enum vf_step step)
{
	vf->busy = true;
	vf->step = step;
	vf->passed = vf->issued = vf->programmed = false;
	vf->waiting = false;
	vf->op_error = 0;
	vf->why[0] = '\0';
	vf_setup_run(vf);
}

static void vf_away(struct vf *vf, const char *why)
{
	if (vf->state != VF_AWAY)
		event(log_of(vf), "vf.away", "s:s, s:i, s:s", "vf", vf->name,
		      "slot", vf->pci.slot, "why", why);
	vf->state = VF_AWAY;
	guest_vf_settled(vf->guest);
}

static void take_look(struct vf *vf)
{
	vf->look_again = vf->busy = vf->waiting = false;
	vf->pci = vf->next_pci;
	if (vf->pci.present)
		setup_begin(vf, STEP_CONFIG);
	else
		vf_away(vf, "absent");
}

/* What came while the setup ran. */
static void setup_over(struct vf *vf)
{
	bool ask = vf->ask_again && vf->state == VF_UP;

	vf->busy = vf->ask_again = false;
	if (vf->look_again)
		take_look(vf);
	else if (ask)
		setup_begin(vf, STEP_1301);
}

static void setup_failed(struct vf *vf, int err)
{
	if (err == -ENODEV) {
		vf_away(vf, vf->why);
	} else {
		if (!vf->why[0])
			strlcpy(vf->why, strerror(-err), sizeof(vf->why));
		vf->state = VF_FAILED;
		event(log_of(vf), "vf.failed", "s:s, s:i, s:s", "vf", vf->name,
		      "slot", vf->pci.slot, "why", vf->why);
		guest_vf_settled(vf->guest);
	}
	setup_over(vf);
}

static void setup_done(struct vf *vf)
{
	enum vf_state before = vf->state;
	char mac[MAC_TEXT_MAX];

	vf->state = VF_UP;
	vf->why[0] = '\0';
	if (before == VF_NEW)
		event(log_of(vf), "vf.up", "s:s, s:i, s:s, s:b, s:i, s:i", "vf",
		      vf->name, "slot", vf->pci.slot, "mac",
		      mac_format(mac, vf->mac), "link", vf->link_up, "ring",
		      vf->n, "buffer", vf->buffers.size);
	else if (before != VF_UP || vf->programmed)
		event(log_of(vf), "vf.back", "s:s, s:i, s:b, s:I", "vf",
		      vf->name, "slot", vf->pci.slot, "reset", vf->programmed,
		      "resets", (json_int_t)vf->resets);
	/* Interrupts may have been lost meanwhile. */
	vf_receive_kick(vf);
	vf_send_kick(vf);
	guest_vf_settled(vf->guest);
	setup_over(vf);
}

static void on_release(void *arg)
{
	vf_setup_run(arg);
}

static enum point_verdict pass_step(struct vf *vf)
{
	enum guest_point p = steps[vf->step].point;

	vf->passed = true;
	/* Only a find is a probe. */
	if (p == NO_POINT || (p == POINT_DRIVER_PROBE && vf->probed))
		return POINT_GO;
	vf->probed |= p == POINT_DRIVER_PROBE;
	return point(vf->guest->program.points, p, &vf->hold, on_release, vf,
		     "s:s, s:i", "vf", vf->name, "slot", vf->pci.slot);
}

/* Nothing to do before the next interrupt, unless one came already. */
static bool must_wait(struct vf *vf)
{
	if (vf->step != STEP_ANSWER || vf->issued)
		return false;
	vf->waiting = !vf->ask_again;
	vf->ask_again = false;
	return vf->waiting;
}

void vf_setup_run(struct vf *vf)
{
	enum point_verdict verdict;
	int next;

	for (;;) {
		verdict = vf->passed ? POINT_GO : pass_step(vf);
		if (verdict == POINT_HELD)
			return;
		if (verdict == POINT_FAIL) {
			setup_failed(vf, setup_error(vf, -EIO, "made to fail"));
			return;
		}
		if (must_wait(vf))
			return;
		if (!vf->issued && steps[vf->step].issue) {
			vf->issued = true;
			vf->n_ops = 0;
			steps[vf->step].issue(vf);
			if (vf->pending)
				return;
		}
		next = vf->op_error ? vf->op_error : steps[vf->step].check(vf);
		if (next < 0) {
			setup_failed(vf, next);
			return;
		}
		if (next == STEP_N) {
			setup_done(vf);
			return;
		}
		vf->step = (enum vf_step)next;
		vf->passed = vf->issued = false;
	}
}

void vf_link_interrupt(struct vf *vf)
{
	if (!vf->busy && vf->state == VF_UP) {
		setup_begin(vf, STEP_1301);
		return;
	}
	vf->ask_again = vf->busy;
	if (vf->waiting)
		vf_setup_run(vf);
}

void vf_look(struct vf *vf, const struct pci_slot *slot)
{
	vf->next_pci = *slot;
	vf->look_again = true;
	if (!vf->busy || vf->waiting)
		take_look(vf);
}

void vf_queue_broken(struct vf *vf, const char *queue)
{
	vf->tx_stopped = vf->rx_stopped = true;
	event(log_of(vf), "queue.stopped", "s:s, s:s, s:i", "vf", vf->name,
	      "queue", queue, "status", QUEUE_BAD_INDEX);
	snprintf(vf->why, sizeof(vf->why), "the device's index of %s is wild",
		 queue);
	vf->state = VF_FAILED;
}
