/* msi.c - the platform's interrupt as a message to the VM.
 *
 * Theory of operation.  A VM that unmasks index VFU_IRQ_MSI of its bus socket
 * gets its platform interrupt as a function's interrupt comes to a CPU that has
 * no eventfd for it: as a write to PLATFORM_MSI, whose data is the interrupt's
 * number (DMA_WRITE).  It is rare, and a thousand VMs' eventfds are a thousand
 * descriptors.  One message is on its way at a time; interrupts that come
 * meanwhile are one more when that is answered.
 */
#include <config.h>

#include <endian.h>
#include <errno.h>

#include "cmd/rootbridge/bridge.h"

bool msi_send(struct vm *vm)
{
	const struct vfu_dma_access access = {
		.address = PLATFORM_MSI,
		.count = sizeof(uint32_t),
	};
	const uint32_t data = htole32(PLATFORM_IRQ_PLATFORM);
	const struct iovec iov[] = {
		{ (void *)&access, sizeof(access) },
		{ (void *)&data, sizeof(data) },
	};

	if (!vm->msi.unmasked)
		return false;
	if (vm->msi.sent)
		vm->msi.again = true;
	else
		vm->msi.sent = vfu_session_command(vm->session, 0,
						   VFU_DMA_WRITE, iov, 2) == 0;
	return true;
}

void msi_answered(struct vm *vm)
{
	bool again = vm->msi.again;

	vm->msi.sent = vm->msi.again = false;
	if (again)
		(void)msi_send(vm);
}

int msi_set(struct vm *vm, uint32_t flags, struct vfu_request *req)
{
	if (!(flags & VFU_IRQ_DATA_NONE))
		return -EINVAL;
	switch (flags & ~VFU_IRQ_DATA_NONE) {
	case VFU_IRQ_ACTION_MASK:
		vm->msi.unmasked = false;
		break;
	case VFU_IRQ_ACTION_UNMASK:
		vm->msi.unmasked = true;
		break;
	default:
		return -EINVAL;
	}
	vfu_request_ok(req);
	/* What came while it had nowhere to go. */
	if (vm->irq_pending[PLATFORM_IRQ_PLATFORM])
		vm->irq_pending[PLATFORM_IRQ_PLATFORM] = !msi_send(vm);
	return 0;
}
