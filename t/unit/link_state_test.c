/* link_state_test.c - what a PF driver does at 1001 to 1004 and 1101 to 1103,
 * and the table that it shares with a successor. */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "libcore/link_state.h"
#include "libcore/pci_caps.h"
#include "t/unit/unit.h"

static const struct link_values fast = { true, 1ull << 40, 10000000000ull };

static void test_causes(void)
{
	uint8_t regs[LINK_PF_SIZE];
	struct link_causes c;

	memset(regs, 0xff, sizeof(regs));
	CHECK(!link_causes_take(&c, regs)); /* refused */
	memset(regs, 0, sizeof(regs));
	pci_put32(regs, NIC_ID, NIC_ID_VALUE);
	pci_put32(regs, NIC_STATUS, NIC_STATUS_LINK_UP);
	pci_put32(regs, NIC_BANDWIDTH_MAX + 4, 256);
	pci_put32(regs, NIC_PF_LINK_CHANGED, 5);
	pci_put32(regs, NIC_PF_MBX_PENDING + 4, 0x80000000u);
	pci_put32(regs, NIC_PF_CHANGED, 1);
	CHECK(link_causes_take(&c, regs));
	CHECK(link_vf_in(c.changed, 1) && link_vf_in(c.changed, 3));
	CHECK(!link_vf_in(c.changed, 2));
	CHECK_INT(c.asked, 1ull << 63);
	CHECK(link_vf_in(c.asked, 64));
	CHECK(c.pf_changed && c.pf.up);
	CHECK_INT(c.pf.max, 1ull << 40);
}

static void test_emulation(void)
{
	struct link_state s = { .vm = 1 };
	uint8_t regs[LINK_VF_SIZE] = { 0 }, answer[LINK_ANSWER_SIZE];
	struct link_values v;

	pci_put32(regs, NIC_PF_VF_LINK - LINK_VF_AT, 1);
	pci_put32(regs, NIC_PF_VF_BW_MAX + 4 - LINK_VF_AT, 256);
	pci_put32(regs, NIC_PF_VF_BW - LINK_VF_AT, 1410065408u);
	pci_put32(regs, NIC_PF_VF_BW + 4 - LINK_VF_AT, 2);
	CHECK(link_values_take(&v, regs));
	CHECK(v.up && v.max == fast.max && v.allocated == fast.allocated);
	CHECK(!link_state_differs(&s));
	CHECK(link_state_store(&s, &v));
	CHECK(!link_state_store(&s, &v)); /* it is not new */
	CHECK(link_state_differs(&s));
	s.vm = PLATFORM_VM_NONE;
	CHECK(!link_state_differs(&s)); /* nobody to tell */
	s.vm = 1;
	link_state_notified(&s);
	CHECK(!link_state_differs(&s));
	link_answer_put(&s, 77, answer);
	CHECK_INT(pci_get32(answer, NIC_PF_VF_ANS_LINK - LINK_ANSWER_AT), 1);
	CHECK_INT(pci_get32(answer, NIC_PF_VF_ANS_BW + 4 - LINK_ANSWER_AT), 2);
	CHECK_INT(pci_get32(answer, NIC_PF_VF_ANSWER - LINK_ANSWER_AT), 77);
	link_state_forget(&s);
	CHECK(!s.notified.up && !s.notified.max && s.physical.up);
	CHECK(link_state_differs(&s));
	memset(regs, 0xff, sizeof(regs));
	CHECK(!link_values_take(&v, regs));
}

static void test_entries(void)
{
	const struct link_state in = { .physical = fast, .vm = 7 };
	struct link_device device = { .name = "nic0" };
	struct link_state out;

	link_entry_store(&device, LINK_VFS, &in);
	CHECK_INT(link_entry_load(&device, LINK_VFS, &out), 0);
	CHECK(out.physical.up && !out.notified.up);
	CHECK_INT(out.physical.allocated, fast.allocated);
	CHECK_INT(out.vm, 7);
	CHECK_INT(link_entry_load(&device, LINK_VFS + 1, &out), -EINVAL);
	/* Its writer was killed; the next one makes it whole. */
	atomic_fetch_or(&device.entry[3].sequence, 1);
	CHECK_INT(link_entry_load(&device, 3, &out), -EAGAIN);
	link_entry_store(&device, 3, &in);
	CHECK_INT(link_entry_load(&device, 3, &out), 0);
}

static const struct unit_case cases[] = {
	{ "causes", test_causes },
	{ "emulation", test_emulation },
	{ "entries", test_entries },
	{ NULL, NULL },
};

const struct unit_suite link_state_suite = { "link_state", cases };
