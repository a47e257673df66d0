/* card_reset.c - a card of its own is reset by the guest (pcie6 6.6.2).
 *
 * Theory of operation.  Initiate FLR is written without a word to the driver, as
 * for a card that hangs: accesses of it may be on their way.  The write is
 * answered when the card is reset; then it is looked at, found without Bus
 * Master Enable, and set up anew.
 */
#include <config.h>

#include "cmd/guestd/card_reset.h"

#include <string.h>

#include "cmd/guestd/guestd.h"
#include "libcore/pci_caps.h"

static void answer(struct card *card, int err)
{
	struct control_call *call = card->reset.call;
	uint64_t took_ns = clock_now_ns() - card->reset.began_ns;

	card->reset.call = NULL;
	if (err)
		control_fail(call, RPC_FAILED, "reset: %s", strerror(-err));
	else
		control_reply(call, json_pack("{s:s, s:I}", "card", card->name,
					      "took_ns", (json_int_t)took_ns));
}

static void on_reset(void *arg, int err, uint64_t value)
{
	struct card *card = arg;

	(void)value;
	answer(card, err);
	card_look(card, &card->pci);
}

void card_reset_end(struct card *card)
{
	if (card->reset.call)
		control_fail(card->reset.call, RPC_MISSING, "%s is gone",
			     card->name);
	card->reset.call = NULL;
}

static void method_reset(void *arg, struct control_call *call, json_t *params)
{
	long long slot = control_integer(params, "slot", 0);
	struct guest *g = arg;
	struct card *card =
		slot >= 0 && slot < PLATFORM_SLOTS ? g->card[slot] : NULL;
	int err;

	if (!card || !card->pci.present || !card->pci.pcie_cap) {
		control_fail(call, RPC_MISSING, "no card in slot %lld", slot);
		return;
	}
	if (card->reset.call) {
		control_fail(call, RPC_DENIED, "a reset is under way");
		return;
	}
	card->reset.call = call;
	card->reset.began_ns = clock_now_ns();
	err = access_write(&card->config, card->pci.pcie_cap + PCI_EXP_DEVCTL,
			   2, PCI_EXP_DEVCTL_BCR_FLR, on_reset, card);
	if (err)
		answer(card, err);
}

static const struct control_param reset_params[] = {
	{ "slot", 'i', false, "of the card" },
	{ NULL },
};

const struct control_method card_reset_methods[] = {
	{ "reset-card", "reset a card of this VM's own", method_reset,
	  reset_params },
	{ NULL },
};
