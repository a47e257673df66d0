/* pf_driver.c - the PF driver of a management VM.
 *
 * Theory of operation.  A reset is one non-posted write, of Initiate FLR or of
 * the nic's reset register, as any PF driver does it.  It never reaches the
 * device (a100); it is answered when the hypervisor has reset the PF safely,
 * or with EAGAIN when the row lets the next one pass (grant).
 */
#include <config.h>

#include "cmd/guestd/pf_driver.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

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
}

/* A call that is not answered is the control socket's to end. */
void pf_driver_fini(struct pf_driver *pf)
{
	loop_timer_cancel(&pf->again);
	pf->call = NULL;
}

bool pf_driver_takes(const struct pci_slot *slot)
{
	return slot->present && slot->vendor == NIC_VENDOR_ID &&
	       slot->device == NIC_PF_DEVICE;
}

void pf_driver_look(struct pf_driver *pf, const struct pci_slot *slot)
{
	bool was = pf->pci.present;

	pf->pci = *slot;
	if (slot->present == was)
		return;
	event(pf->guest->program.log, slot->present ? "pf.up" : "pf.away",
	      "s:i", "slot", slot->slot);
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
	if (err) {
		event(log, "pf.reset.failed", "s:i, s:s", "tries",
		      (int)pf->tries, "why", strerror(-err));
		control_fail(call, RPC_FAILED, "reset: %s", strerror(-err));
		return;
	}
	event(log, "pf.reset.done", "s:i, s:I", "tries", (int)pf->tries,
	      "took_ns", (json_int_t)took_ns);
	control_reply(call, json_pack("{s:i, s:I}", "tries", (int)pf->tries,
				      "took_ns", (json_int_t)took_ns));
}

static void on_answer(void *arg, const struct vfu_reply *reply)
{
	struct pf_driver *pf = arg;

	if (reply->err == -ENOTCONN || !pf->call)
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
	if (pf->call) {
		control_fail(call, RPC_DENIED, "a reset is under way");
		return;
	}
	pf->call = call;
	pf->by_register = !strcmp(how, "register");
	pf->tries = 0;
	pf->began_ns = clock_now_ns();
	attempt(pf);
}
