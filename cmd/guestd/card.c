/* card.c - functions that are no VFs of a nic: found, set up, interrupts.
 *
 * Theory of operation.  A look at config space begins a set-up, a row of steps
 * each of which sends its requests and goes on when all are answered.  One
 * that finds the function as it was left (Bus Master Enable and MSI-X are
 * set, by a set-up that came to its end) programs nothing and only looks whether
 * an interrupt was missed.  What comes while a set-up runs leads to another look.
 */
#include <config.h>

#include "cmd/guestd/card.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cmd/guestd/access_cost.h"
#include "cmd/guestd/card_hold.h"
#include "cmd/guestd/card_reset.h"
#include "cmd/guestd/guestd.h"
#include "libcore/pci_config.h"

#define MSI_ADDRESS 0xfee00000ull
#define COMMAND \
	(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

static const struct card_ops *const kinds[] = { &ether_card, &uart_card,
						&hca_card };

static const char *const state_names[] = {
	[CARD_NEW] = "new",
	[CARD_UP] = "up",
	[CARD_AWAY] = "away",
	[CARD_FAILED] = "failed",
};
_Static_assert(sizeof(state_names) / sizeof(*state_names) == CARD_STATE_N,
	       "one name a state");

const char *card_state_name(enum card_state state)
{
	return state_names[state];
}

const struct card_ops *card_ops_for(const struct pci_slot *slot)
{
	size_t i;

	for (i = 0; slot->present && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (kinds[i]->vendor == slot->vendor &&
		    kinds[i]->device == slot->device)
			return kinds[i];
	return NULL;
}

static void on_irq(void *arg, uint32_t events)
{
	struct card *card = arg;
	eventfd_t count;

	(void)events;
	if (eventfd_read(card->irq_fd, &count) < 0)
		return;
	card->interrupts += count;
	if (card->state == CARD_UP)
		card->ops->interrupt(card);
}

static int open_irq(struct card *card)
{
	card->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (card->irq_fd < 0)
		return -errno;
	return loop_watch_add(card->guest->program.loop, &card->irq,
			      card->irq_fd, EPOLLIN, on_irq, card);
}

int card_new(struct card **result, struct guest *g, const struct card_ops *ops,
	     unsigned slot)
{
	struct card *card = calloc(1, ops->size);
	int err;

	if (!card)
		return -ENOMEM;
	card->ops = ops;
	card->guest = g;
	card->irq_fd = -1;
	card->pci.slot = slot;
	snprintf(card->name, sizeof(card->name), "%s%u", ops->name, slot);
	access_init(&card->config, &g->bus, NULL, platform_guest_config(slot));
	access_init(&card->bar, &g->bus, ops->whole ? &g->tlb : NULL, 0);
	err = open_irq(card);
	if (!err)
		err = ops->init(card);
	if (err) {
		card_free(card);
		return err;
	}
	*result = card;
	return 0;
}

void card_free(struct card *card)
{
	if (!card)
		return;
	access_cost_end(card);
	card_hold_end(card);
	card_reset_end(card);
	card->ops->fini(card);
	loop_watch_del(&card->irq);
	if (card->irq_fd >= 0)
		close(card->irq_fd);
	access_fini(&card->config);
	access_fini(&card->bar);
	free(card);
}

/* The set-up's end, well or not. */

static void settle(struct card *card)
{
	card->busy = false;
	guest_vf_settled(card->guest);
	if (card->look_again)
		card_look(card, &card->next_pci);
}

static void go_down(struct card *card, enum card_state state, const char *why)
{
	enum card_state before = card->state;

	card->state = state;
	snprintf(card->why, sizeof(card->why), "%s", why);
	if (before != state)
		event(card->guest->program.log,
		      state == CARD_AWAY ? "card.away" : "card.failed",
		      "s:s, s:i, s:s", "card", card->name, "slot",
		      (int)card->pci.slot, "why", why);
	settle(card);
}

void card_lost(struct card *card, const char *why)
{
	if (card->state != CARD_AWAY && card->state != CARD_FAILED)
		go_down(card, CARD_AWAY, why);
}

void card_not_set_up(struct card *card, const char *why)
{
	if (card->state == CARD_AWAY || card->state == CARD_FAILED)
		settle(card);
	else
		go_down(card, CARD_AWAY, why);
}

void card_failed(struct card *card, const char *why)
{
	go_down(card, CARD_FAILED, why);
}

void card_up(struct card *card)
{
	bool first = card->state == CARD_NEW;

	card->state = CARD_UP;
	card->unfinished = false;
	card->why[0] = '\0';
	card->setups++;
	event(card->guest->program.log, first ? "card.up" : "card.back",
	      "s:s, s:s, s:i", "card", card->name, "kind", card->ops->name,
	      "slot", (int)card->pci.slot);
	settle(card);
	if (card->state == CARD_UP)
		card->ops->interrupt(card);
}

/* Steps. */

static void setup_run(struct card *card);

static void put(struct card *card)
{
	if (--card->pending == 0)
		setup_run(card);
}

static void on_done(void *arg, int err, uint64_t value)
{
	struct card *card = arg;

	(void)value;
	if (err && !card->err)
		card->err = err;
	put(card);
}

static void on_command(void *arg, int err, uint64_t value)
{
	((struct card *)arg)->pci.command = (uint16_t)value;
	on_done(arg, err, value);
}

static void on_control(void *arg, int err, uint64_t value)
{
	((struct card *)arg)->pci.msix_control = (uint16_t)value;
	on_done(arg, err, value);
}

static void sent(struct card *card, int err)
{
	if (err && !card->err)
		card->err = err;
	card->pending += !err;
}

static void step_look(struct card *card)
{
	sent(card,
	     access_read(&card->config, PCI_COMMAND, 2, on_command, card));
	sent(card,
	     access_read(&card->config, card->pci.msix_cap + PCI_MSIX_FLAGS, 2,
			 on_control, card));
}

static void step_command(struct card *card)
{
	card->unfinished = true;
	sent(card, access_write(&card->config, PCI_COMMAND, 2, COMMAND, on_done,
				card));
}

static void on_wired(void *arg, const struct vfu_reply *reply)
{
	if (reply->err != -ENOTCONN)
		on_done(arg, reply->err, 0);
}

static void step_interrupt(struct card *card)
{
	uint32_t entry = card->pci.msix_table;
	uint32_t irq = platform_irq(card->pci.slot, 0);
	struct access *bar = &card->bar;

	if (!card->irq_wired)
		sent(card, vfu_client_set_irqs(
				   card->guest->bus.client, VFU_IRQ_MSIX, irq,
				   1, &card->irq_fd, 1, on_wired, card));
	card->irq_wired = true;
	sent(card, access_write(bar, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 8,
				MSI_ADDRESS, on_done, card));
	sent(card, access_write(bar, entry + PCI_MSIX_ENTRY_DATA, 4, irq,
				on_done, card));
	sent(card, access_write(bar, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0,
				on_done, card));
	sent(card,
	     access_write(&card->config, card->pci.msix_cap + PCI_MSIX_FLAGS, 2,
			  PCI_MSIX_FLAGS_ENABLE, on_done, card));
}

static void (*const steps[])(struct card *card) = {
	step_look,
	step_command,
	step_interrupt,
};
#define STEPS (sizeof(steps) / sizeof(*steps))

static bool is_as_left(const struct card *card)
{
	return card->setups && !card->unfinished &&
	       card->state != CARD_FAILED &&
	       (card->pci.command & PCI_COMMAND_MASTER) &&
	       (card->pci.msix_control & PCI_MSIX_FLAGS_ENABLE);
}

/* All requests of a step are answered. */
static void setup_run(struct card *card)
{
	while (!card->pending) {
		if (card->err) {
			go_down(card, CARD_AWAY, strerror(-card->err));
			return;
		}
		if (card->step == 1 && card->pci.command == UINT16_MAX) {
			go_down(card, CARD_AWAY, "absent");
			return;
		}
		if (card->step == 1 && !card->verified && is_as_left(card) &&
		    card->ops->verify) {
			card->ops->verify(card);
			return;
		}
		if (card->step == 1 && !card->stale && is_as_left(card)) {
			if (card->state != CARD_UP) {
				if (card->ops->back)
					card->ops->back(card);
				card_up(card);
				return;
			}
			card->busy = false;
			card->ops->interrupt(card);
			settle(card);
			return;
		}
		if (card->step == STEPS) {
			card->resets += card->setups > 0;
			card->ops->start(card);
			return;
		}
		steps[card->step++](card);
	}
}

void card_verified(struct card *card, bool same)
{
	card->verified = true;
	card->stale = !same;
	setup_run(card);
}

void card_look(struct card *card, const struct pci_slot *slot)
{
	card->next_pci = *slot;
	card->look_again = card->busy;
	if (card->busy)
		return;
	card->pci = *slot;
	card->bar.gpa = slot->bar0;
	tlb_forget_rejected(&card->guest->tlb);
	if (!slot->present) {
		card_lost(card, "absent");
		return;
	}
	if (!slot->msix_cap || !slot->msix_in_bar0) {
		card_failed(card, "no MSI-X table in BAR 0");
		return;
	}
	card->busy = true;
	card->step = 0;
	card->err = 0;
	card->verified = card->stale = false;
	setup_run(card);
}

struct card *guest_find_card(struct guest *g, const struct card_ops *ops,
			     const struct vf_select *select)
{
	struct card *card;
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++) {
		card = g->card[i];
		if (card && card->ops == ops && card->state == CARD_UP &&
		    (select->by == VF_SELECT_ANY ||
		     (select->by == VF_SELECT_SLOT && select->slot == i)))
			return card;
	}
	return NULL;
}

static json_t *card_rows(void *arg)
{
	const struct guest *g = arg;
	json_t *rows = json_array(), *row;
	const struct card *card;
	unsigned i;

	for (i = 0; i < PLATFORM_SLOTS; i++) {
		card = g->card[i];
		if (!card)
			continue;
		row = json_pack("{s:s, s:s, s:i, s:s, s:I, s:I, s:s}", "card",
				card->name, "kind", card->ops->name, "slot",
				(int)i, "state", card_state_name(card->state),
				"interrupts", (json_int_t)card->interrupts,
				"resets", (json_int_t)card->resets, "why",
				card->why);
		card->ops->report(card, row);
		json_array_append_new(rows, row);
	}
	return rows;
}

static const struct control_column columns[] = {
	{ "card", "CARD" },
	{ "kind", "KIND" },
	{ "slot", "SLOT" },
	{ "state", "STATE" },
	{ "interrupts", "INTERRUPTS" },
	{ "resets", "RESETS" },
	{ "sent", "SENT" },
	{ "received", "RECEIVED" },
	{ "detail", "DETAIL" },
	{ "why", "WHY" },
	{ NULL, NULL },
};

const struct control_table card_tables[] = {
	{ "cards", "functions that this guest drives and that are no nic's",
	  columns, card_rows },
	{ NULL, NULL, NULL, NULL },
};
