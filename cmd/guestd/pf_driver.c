/* pf_driver.c - the PF driver of a management VM.
 *
 * Theory of operation.  A reset is one non-posted write, of Initiate FLR or of
 * the nic's reset register, as any PF driver does it.  It never reaches the
 * device (a100); it is answered when the hypervisor has reset the PF safely,
 * or with EAGAIN when the row lets the next one pass (grant).
 *
 * Who wants it is the control socket's caller, or the hypervisor, which asks
 * by an interrupt of the PF's slot.
 */
#include <config.h>

#include "cmd/guestd/pf_driver.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cmd/guestd/guestd.h"
#include "libcore/nic_regs.h"
#include "libcore/pci_caps.h"
#include "libcore/platform.h"

#define TRIES_MAX 16u
#define PAUSE_NS  NS_PER_MS

void pf_driver_init(struct pf_driver *pf, struct guest *g)
{
	memset(pf, 0, sizeof(*pf));
	pf->guest = g;
	pf->asked_fd = -1;
}

/* A call that is not answered is the control socket's to end. */
void pf_driver_fini(struct pf_driver *pf)
{
	loop_timer_cancel(&pf->again);
	pf->call = NULL;
	loop_watch_del(&pf->asked);
	if (pf->asked_fd >= 0)
		close(pf->asked_fd);
	pf->asked_fd = -1;
}

bool pf_driver_takes(const struct pci_slot *slot)
{
	return slot->present && slot->vendor == NIC_VENDOR_ID &&
	       slot->device == NIC_PF_DEVICE;
}

static void attempt(struct pf_driver *pf);

static void on_again(void *arg)
{
	attempt(arg);
}

static void over(struct pf_driver *pf, int err)
{
	struct event_log *log = pf->guest->program.log;
	uint64_t took_ns = clock_now_ns() - pf->began_ns;
	struct control_call *call = pf->call;

	pf->call = NULL;
	pf->resetting = false;
	if (err)
		event(log, "pf.reset.failed", "s:i, s:s", "tries",
		      (int)pf->tries, "why", strerror(-err));
	else
		event(log, "pf.reset.done", "s:i, s:I", "tries", (int)pf->tries,
		      "took_ns", (json_int_t)took_ns);
	if (call && err)
		control_fail(call, RPC_FAILED, "reset: %s", strerror(-err));
	else if (call)
		control_reply(call,
			      json_pack("{s:i, s:I}", "tries", (int)pf->tries,
					"took_ns", (json_int_t)took_ns));
}

static void on_answer(void *arg, const struct vfu_reply *reply)
{
	struct pf_driver *pf = arg;

	if (reply->err == -ENOTCONN || !pf->resetting)
		return;
	if (reply->err == -EAGAIN && pf->tries < TRIES_MAX)
		loop_timer_in(pf->guest->program.loop, &pf->again, PAUSE_NS,
			      on_again, pf);
	else
		over(pf, reply->err);
}

static void attempt(struct pf_driver *pf)
{
	uint64_t config = platform_guest_config(pf->pci.slot);
	uint32_t key = htole32(NIC_PF_RESET_KEY);
	uint16_t control = htole16(PCI_EXP_DEVCTL_BCR_FLR);
	struct bus_link *bus = &pf->guest->bus;
	int err;

	pf->tries++;
	if (pf->by_register)
		err = bus_write(bus, pf->pci.bar0 + NIC_PF_RESET, &key,
				sizeof(key), on_answer, pf);
	else
		err = bus_write(bus, config + pf->pci.pcie_cap + PCI_EXP_DEVCTL,
				&control, sizeof(control), on_answer, pf);
	if (err)
		over(pf, err);
}

static void begin(struct pf_driver *pf, bool by_register)
{
	pf->resetting = true;
	pf->by_register = by_register;
	pf->tries = 0;
	pf->began_ns = clock_now_ns();
	attempt(pf);
}

/* One that is under way is what was asked for. */
static void on_asked(void *arg, uint32_t events)
{
	struct pf_driver *pf = arg;
	eventfd_t count;

	(void)events;
	if (eventfd_read(pf->asked_fd, &count) < 0)
		return;
	event(pf->guest->program.log, "pf.reset.asked", "s:i", "slot",
	      pf->pci.slot);
	if (pf->pci.present && pf->pci.pcie_cap && !pf->resetting)
		begin(pf, false);
}

static void on_wired(void *arg, const struct vfu_reply *reply)
{
	struct pf_driver *pf = arg;

	if (reply->err && reply->err != -ENOTCONN)
		event(pf->guest->program.log, "pf.deaf", "s:i, s:s", "slot",
		      pf->pci.slot, "why", strerror(-reply->err));
}

static int wire(struct pf_driver *pf)
{
	struct guest *g = pf->guest;
	int err;

	if (pf->asked_fd >= 0)
		return 0;
	pf->asked_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pf->asked_fd < 0)
		return -errno;
	err = loop_watch_add(g->program.loop, &pf->asked, pf->asked_fd, EPOLLIN,
			     on_asked, pf);
	if (err < 0)
		return err;
	return vfu_client_set_irqs(g->bus.client, VFU_IRQ_MSIX,
				   PLATFORM_IRQ_PF_RESET, 1, &pf->asked_fd, 1,
				   on_wired, pf);
}

void pf_driver_look(struct pf_driver *pf, const struct pci_slot *slot)
{
	bool was = pf->pci.present;
	int err;

	pf->pci = *slot;
	if (slot->present == was)
		return;
	event(pf->guest->program.log, slot->present ? "pf.up" : "pf.away",
	      "s:i", "slot", slot->slot);
	err = slot->present ? wire(pf) : 0;
	if (err < 0)
		program_stop(&pf->guest->program, STATUS_INTERNAL,
			     "interrupt of slot %u: %s", slot->slot,
			     strerror(-err));
}

void pf_driver_reset(void *arg, struct control_call *call, json_t *params)
{
	const char *how = control_string(params, "how", "flr");
	struct guest *g = arg;
	struct pf_driver *pf = &g->pf;

	if (strcmp(how, "flr") && strcmp(how, "register")) {
		control_fail(call, RPC_PARAMS, "how is flr or register");
		return;
	}
	if (!pf->pci.present || !pf->pci.pcie_cap) {
		control_fail(call, RPC_MISSING, "this VM has no PF");
		return;
	}
	if (pf->resetting) {
		control_fail(call, RPC_DENIED, "a reset is under way");
		return;
	}
	pf->call = call;
	begin(pf, !strcmp(how, "register"));
}
