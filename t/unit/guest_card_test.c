/* guest_card_test.c - the set-up of a card whose device the test plays. */
#include <config.h>

#include <linux/pci_regs.h>

#include "cmd/guestd/card.h"
#include "libcore/ether_regs.h"
#include "libcore/pci_caps.h"
#include "t/unit/guest_rig.h"
#include "t/unit/unit.h"

static const struct card *card(const struct guest_rig *rig)
{
	return rig->guest.card[RIG_SLOT];
}

static bool is_up(struct guest_rig *rig)
{
	return card(rig) && card(rig)->state == CARD_UP;
}

static bool is_away(struct guest_rig *rig)
{
	return card(rig)->state == CARD_AWAY && !card(rig)->busy;
}

static bool is_programmed(struct guest_rig *rig)
{
	return is_up(rig) && guest_rig_reg(rig, ETHER_RX_ADDRESS) &&
	       guest_rig_reg(rig, ETHER_IRQ_ENABLE);
}

/* Bus Master Enable and MSI-X are set; the registers were not programmed. */
static void test_unfinished(void)
{
	struct guest_rig rig;

	guest_rig_start_ether(&rig);
	CHECK(guest_rig_until(&rig, is_programmed));
	guest_rig_reset(&rig);
	rig.refuse = true;
	guest_rig_interrupt(&rig, PLATFORM_IRQ_PLATFORM);
	CHECK(guest_rig_until(&rig, is_away));
	CHECK(pci_get16(rig.config, PCI_COMMAND) & PCI_COMMAND_MASTER);
	CHECK(pci_get16(rig.config, card(&rig)->pci.msix_cap + PCI_MSIX_FLAGS) &
	      PCI_MSIX_FLAGS_ENABLE);
	rig.refuse = false;
	guest_rig_interrupt(&rig, PLATFORM_IRQ_PLATFORM);
	CHECK(guest_rig_until(&rig, is_programmed));
	guest_rig_stop(&rig);
}

static const struct unit_case cases[] = {
	{ "unfinished", test_unfinished },
	{ NULL },
};

const struct unit_suite guest_card_suite = { "guest_card", cases };
