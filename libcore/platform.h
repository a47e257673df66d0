/* platform.h - the address map, and what a VM sees on its bus socket.
 *
 * Machine-physical and guest-physical I/O space have the same map: ECAM, then
 * BARs.  Above PLATFORM_NOWHERE no function ever answers.  Main memory is a
 * space of its own (region 1); a device's DMA addresses are offsets in it.
 */
#ifndef IOVKIT_PLATFORM_H
#define IOVKIT_PLATFORM_H

#include <stdint.h>

#define PLATFORM_ECAM      0x40000000ull /* 256 buses of 1 MiB */
#define PLATFORM_ECAM_SIZE 0x10000000ull
#define PLATFORM_MMIO      0x50000000ull /* BARs */
#define PLATFORM_MMIO_SIZE 0x60000000ull
#define PLATFORM_NOWHERE   0xb0000000ull /* claimed by no function */
/* Where a guest's CPU proposes translations (struct sup_translation). */
#define PLATFORM_TRANSLATIONS 0xb0001000ull
/* Where a partition's hypervisor calls the machine (struct demux_call). */
#define PLATFORM_HOST_QUEUES 0xb0002000ull
#define PLATFORM_IO_SIZE     0x100000000ull

/* Regions of a bus socket (vfio-user region indexes). */
#define PLATFORM_REGION_IO         0u
#define PLATFORM_REGION_MEMORY     1u
#define PLATFORM_REGION_SUPERVISOR 9u /* of vm0, and of its successors */
/* Memory that the VM shares with one of the first PLATFORM_SHARED_VMS VMs
 * (SUP_SHARES). */
#define PLATFORM_REGION_SHARED 16u
/* One for each translation that the VM's CPU can hold: a window, if one was
 * granted for it. */
#define PLATFORM_REGION_WINDOW (PLATFORM_REGION_SHARED + PLATFORM_SHARED_VMS)
#define PLATFORM_TLB_ENTRIES   16u
/* Main memory of another VM that this one may reach (SUP_MAPS). */
#define PLATFORM_REGION_GUEST (PLATFORM_REGION_WINDOW + PLATFORM_TLB_ENTRIES)
/* Empty.  The doorbells of the VM's functions are those of region
 * PLATFORM_REGION_IO; as many as fit one message, and here part by part all. */
#define PLATFORM_REGION_DOORBELLS (PLATFORM_REGION_GUEST + PLATFORM_VM_MAX)
#define PLATFORM_DOORBELL_PARTS   8u
#define PLATFORM_REGION_N         (PLATFORM_REGION_DOORBELLS + PLATFORM_DOORBELL_PARTS)
#define PLATFORM_SHARED_VMS       256u
#define PLATFORM_SHARED_SIZE      0x10000u

#define PLATFORM_VM_MAX           4096u
#define PLATFORM_VM_NONE          0xffffffffu
#define PLATFORM_HYPERVISOR       0u /* vm0 */

/* Where an interrupt as a message is written to (DMA_WRITE of 32 bits, its
 * number), if the VM unmasked vector 0 of index VFU_IRQ_MSI: the platform's,
 * unless it has an eventfd. */
#define PLATFORM_MSI 0xfee00000ull

/* A VM's interrupts: vectors of index VFU_IRQ_MSIX on its bus socket.  0 is
 * the platform's (a function came, went, was reset: look at config space);
 * then PLATFORM_IRQS_PER_SLOT for each of the VM's slots.  vm0 has one slot a
 * device, in bus order.  vm0's index VFU_IRQ_REQ has one vector: the
 * supervisor channel has something. */
#define PLATFORM_SLOTS         32u
#define PLATFORM_IRQS_PER_SLOT 4u
#define PLATFORM_IRQ_PLATFORM  0u
/* Of every PF that the VM claimed. */
#define PLATFORM_IRQ_PF (1u + PLATFORM_SLOTS * PLATFORM_IRQS_PER_SLOT)
/* All translations that the CPU holds are invalid. */
#define PLATFORM_IRQ_INVALIDATE (PLATFORM_IRQ_PF + 1u)
/* Of a partition's hypervisor: guests have events that it wakes them for. */
#define PLATFORM_IRQ_ALERT (PLATFORM_IRQ_INVALIDATE + 1u)
#define PLATFORM_IRQS      (PLATFORM_IRQ_ALERT + 1u)

/* A management VM has its PF here.  The last interrupt of that slot is not the
 * PF's: by it the hypervisor asks the VM's PF driver to reset the PF. */
#define PLATFORM_MANAGEMENT_SLOT (PLATFORM_SLOTS - 1u)
#define PLATFORM_IRQ_PF_RESET    (PLATFORM_IRQ_PF - 1u)

static inline uint32_t platform_irq(uint32_t slot, uint32_t vector)
{
	return 1u + slot * PLATFORM_IRQS_PER_SLOT + vector;
}

static inline uint32_t platform_shared_region(uint32_t other_vm)
{
	return PLATFORM_REGION_SHARED + other_vm;
}

/* Where a successor has the config space of the PF on that bus, once it claimed
 * it, as the SUP_ROW_OWNER rows say. */
static inline uint64_t platform_owner_config(uint8_t bus)
{
	return PLATFORM_ECAM + ((uint64_t)bus << 20);
}

/* Where its BAR 0 is then, of PLATFORM_OWNER_BAR_SIZE at most: no slot's BARs
 * lie there. */
#define PLATFORM_OWNER_BAR_SIZE 0x100000ull
static inline uint64_t platform_owner_bar(uint8_t bus)
{
	return PLATFORM_MMIO + 0x10000000ull + bus * PLATFORM_OWNER_BAR_SIZE;
}

/* Where slot s of a guest shows its config space: bus 0, device s. */
static inline uint64_t platform_guest_config(uint32_t slot)
{
	return PLATFORM_ECAM + ((uint64_t)slot << 15);
}

/* bdf: bus << 8 | devfn */
static inline uint64_t platform_config(uint16_t bdf)
{
	return PLATFORM_ECAM + ((uint64_t)bdf << 12);
}

#endif
