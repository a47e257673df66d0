/* vfu_proto.h - vfio-user on the wire, as published with QEMU
 * (docs/interop/vfio-user).  Host byte order.
 *
 * This is the boundary between guest or hypervisor and root bridge, and
 * between root bridge and device.
 */
#ifndef IOVKIT_VFU_PROTO_H
#define IOVKIT_VFU_PROTO_H

#include <stddef.h>
#include <stdint.h>

#define VFU_MAJOR    0
#define VFU_MINOR    1
#define VFU_MAX_FDS  16u
#define VFU_MAX_DATA (1u << 20) /* of one region access */
#define VFU_MAX_MSG  (VFU_MAX_DATA + 4096u)

enum vfu_command {
	VFU_VERSION = 1,
	VFU_DMA_MAP,
	VFU_DMA_UNMAP,
	VFU_GET_INFO,
	VFU_GET_REGION_INFO,
	VFU_GET_REGION_IO_FDS,
	VFU_GET_IRQ_INFO,
	VFU_SET_IRQS,
	VFU_REGION_READ,
	VFU_REGION_WRITE,
	VFU_DMA_READ,
	VFU_DMA_WRITE,
	VFU_RESET,
	VFU_RETIRED_14,
	VFU_REGION_WRITE_MULTI,
	VFU_FEATURE,
	VFU_MIG_DATA_READ,
	VFU_MIG_DATA_WRITE,
	VFU_COMMAND_N
};

#define VFU_FLAG_TYPE_MASK 0x0fu
#define VFU_FLAG_REPLY     0x01u
#define VFU_FLAG_NO_REPLY  0x10u
#define VFU_FLAG_ERROR     0x20u

struct vfu_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* header included */
	uint32_t flags;
	uint32_t error; /* positive errno in an error reply */
};
_Static_assert(sizeof(struct vfu_header) == 16, "vfio-user header");

struct vfu_version { /* then JSON, NUL ended, or nothing */
	uint16_t major;
	uint16_t minor;
};
_Static_assert(sizeof(struct vfu_version) == 4, "version");

#define VFU_DMA_READABLE  1u
#define VFU_DMA_WRITEABLE 2u

struct vfu_dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset; /* in the fd */
	uint64_t iova;
	uint64_t size;
};
_Static_assert(sizeof(struct vfu_dma_map) == 32, "dma map");

#define VFU_DMA_UNMAP_ALL 2u

struct vfu_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t iova;
	uint64_t size;
};
_Static_assert(sizeof(struct vfu_dma_unmap) == 24, "dma unmap");

#define VFU_DEVICE_RESET 1u
#define VFU_DEVICE_PCI   2u

struct vfu_device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};
_Static_assert(sizeof(struct vfu_device_info) == 16, "device info");

/* Region indexes of a PCI function, and of a VM's bus socket. */
#define VFU_REGION_BAR0      0u
#define VFU_REGION_BAR5      5u
#define VFU_REGION_ROM       6u
#define VFU_REGION_CONFIG    7u
#define VFU_REGION_VGA       8u
#define VFU_REGION_N         9u

#define VFU_REGION_READABLE  1u
#define VFU_REGION_WRITEABLE 2u
#define VFU_REGION_MMAP      4u
#define VFU_REGION_CAPS      8u

struct vfu_region_info { /* then the capability chain */
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset;
	uint64_t size;
	uint64_t offset; /* in the fd, for mmap */
};
_Static_assert(sizeof(struct vfu_region_info) == 32, "region info");

#define VFU_CAP_SPARSE_MMAP 1u

struct vfu_cap_header {
	uint16_t id;
	uint16_t version;
	uint32_t next;
};
struct vfu_sparse_area {
	uint64_t offset;
	uint64_t size;
};
struct vfu_cap_sparse { /* then nr_areas areas */
	struct vfu_cap_header header;
	uint32_t nr_areas;
	uint32_t reserved;
};
_Static_assert(sizeof(struct vfu_cap_sparse) == 16, "sparse mmap");

struct vfu_io_fds { /* then count sub-regions */
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};
_Static_assert(sizeof(struct vfu_io_fds) == 16, "io fds");

#define VFU_IO_FD_IOEVENTFD 0u

struct vfu_io_fd {
	uint64_t offset;
	uint64_t size;
	uint32_t fd_index;
	uint32_t type;
	uint32_t flags;
	uint32_t padding;
	uint64_t datamatch;
};
_Static_assert(sizeof(struct vfu_io_fd) == 40, "ioeventfd");

#define VFU_IRQ_INTX            0u
#define VFU_IRQ_MSI             1u
#define VFU_IRQ_MSIX            2u
#define VFU_IRQ_ERR             3u
#define VFU_IRQ_REQ             4u
#define VFU_IRQ_N               5u

#define VFU_IRQ_INFO_EVENTFD    1u
#define VFU_IRQ_INFO_MASKABLE   2u
#define VFU_IRQ_INFO_AUTOMASKED 4u

struct vfu_irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};
_Static_assert(sizeof(struct vfu_irq_info) == 16, "irq info");

#define VFU_IRQ_DATA_NONE      0x01u
#define VFU_IRQ_DATA_BOOL      0x02u
#define VFU_IRQ_DATA_EVENTFD   0x04u
#define VFU_IRQ_ACTION_MASK    0x08u
#define VFU_IRQ_ACTION_UNMASK  0x10u
#define VFU_IRQ_ACTION_TRIGGER 0x20u

struct vfu_irq_set { /* then data */
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};
_Static_assert(sizeof(struct vfu_irq_set) == 20, "irq set");

struct vfu_region_access { /* then data, in a write and a read's reply */
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};
_Static_assert(sizeof(struct vfu_region_access) == 16, "region access");

struct vfu_write_multi_entry {
	uint64_t offset;
	uint32_t region;
	uint32_t count; /* at most 8 */
	uint8_t data[8];
};
_Static_assert(sizeof(struct vfu_write_multi_entry) == 24, "write multi");

struct vfu_dma_access { /* then data; count is 64 bit as published */
	uint64_t address;
	uint64_t count;
};
_Static_assert(sizeof(struct vfu_dma_access) == 16, "dma access");

#endif
