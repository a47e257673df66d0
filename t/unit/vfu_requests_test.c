/* vfu_requests_test.c - what the server answers itself, and what it hands on.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "t/unit/unit.h"
#include "t/unit/vfu_device.h"

/* Information */

static void test_info(void)
{
	struct vfu_device_info dev = { .argsz = 32 };
	struct vfu_irq_info irq = { .argsz = 16, .index = VFU_IRQ_MSIX };
	struct device *r = device_ready();
	struct rig_msg m;

	CHECK_INT(device_ask(r, VFU_GET_INFO, &dev, sizeof(dev), &m), 0);
	memcpy(&dev, m.payload, sizeof(dev));
	CHECK_INT(m.size, 16);
	CHECK_INT(dev.argsz, 16);
	CHECK_INT(dev.flags, VFU_DEVICE_PCI | VFU_DEVICE_RESET);
	CHECK_INT(dev.num_regions, 9);
	CHECK_INT(dev.num_irqs, 5);
	dev.argsz = 15;
	CHECK_INT(device_ask(r, VFU_GET_INFO, &dev, sizeof(dev), &m), EINVAL);
	CHECK_INT(device_ask(r, VFU_GET_INFO, &dev, 15, &m), EINVAL);
	CHECK_INT(device_ask(r, VFU_GET_INFO, NULL, 0, &m), EINVAL);
	CHECK_INT(device_ask(r, VFU_GET_IRQ_INFO, &irq, sizeof(irq), &m), 0);
	memcpy(&irq, m.payload, sizeof(irq));
	CHECK_INT(irq.count, 8);
	CHECK_INT(irq.flags, VFU_IRQ_INFO_EVENTFD);
	irq.index = VFU_IRQ_INTX;
	CHECK_INT(device_ask(r, VFU_GET_IRQ_INFO, &irq, sizeof(irq), &m), 0);
	memcpy(&irq, m.payload, sizeof(irq));
	CHECK_INT(irq.count, 0);
	irq.index = 5;
	CHECK_INT(device_ask(r, VFU_GET_IRQ_INFO, &irq, sizeof(irq), &m),
		  EINVAL);
	device_free(r);
}

static void test_region_info(void)
{
	struct vfu_region_info info = { .argsz = 32, .index = 1 };
	const uint32_t whole = 32 + 16 + 2 * 16;
	struct vfu_sparse_area area;
	struct vfu_cap_sparse cap;
	struct device *r = device_ready();
	struct rig_msg m;

	/* Too small for the chain: cut, without the fd. */
	CHECK_INT(device_ask(r, VFU_GET_REGION_INFO, &info, sizeof(info), &m),
		  0);
	memcpy(&info, m.payload, sizeof(info));
	CHECK_INT(m.size, 32);
	CHECK_INT(m.n_fds, 0);
	CHECK_INT(info.argsz, whole);
	CHECK(info.flags & VFU_REGION_MMAP && !(info.flags & VFU_REGION_CAPS));
	CHECK_INT(device_ask(r, VFU_GET_REGION_INFO, &info, sizeof(info), &m),
		  0);
	memcpy(&info, m.payload, sizeof(info));
	CHECK_INT(m.size, whole);
	CHECK_INT(m.n_fds, 1);
	rig_close_fds(&m);
	CHECK_INT(info.cap_offset, 32);
	CHECK(info.flags & VFU_REGION_CAPS);
	memcpy(&cap, m.payload + 32, sizeof(cap));
	CHECK_INT(cap.header.id, VFU_CAP_SPARSE_MMAP);
	CHECK_INT(cap.header.version, 1);
	CHECK_INT(cap.header.next, 0);
	CHECK_INT(cap.nr_areas, 2);
	memcpy(&area, m.payload + 64, sizeof(area));
	CHECK(area.offset == 0x8000 && area.size == 0x1000);
	/* Mappable as a whole: the fd comes at once. */
	info = (struct vfu_region_info){ .argsz = 32, .index = 3 };
	CHECK_INT(device_ask(r, VFU_GET_REGION_INFO, &info, sizeof(info), &m),
		  0);
	CHECK_INT(m.n_fds, 1);
	rig_close_fds(&m);
	info.index = 0;
	CHECK_INT(device_ask(r, VFU_GET_REGION_INFO, &info, sizeof(info), &m),
		  0);
	CHECK_INT(m.n_fds, 0);
	info.index = 8;
	CHECK_INT(device_ask(r, VFU_GET_REGION_INFO, &info, sizeof(info), &m),
		  0);
	memcpy(&info, m.payload, sizeof(info));
	CHECK(!info.size && !info.flags);
	info.index = 4;
	CHECK_INT(device_ask(r, VFU_GET_REGION_INFO, &info, sizeof(info), &m),
		  EACCES);
	info.index = 9;
	CHECK_INT(device_ask(r, VFU_GET_REGION_INFO, &info, sizeof(info), &m),
		  EINVAL);
	info.index = 0;
	info.argsz = 31;
	CHECK_INT(device_ask(r, VFU_GET_REGION_INFO, &info, sizeof(info), &m),
		  EINVAL);
	device_free(r);
}

static void test_io_fds(void)
{
	struct vfu_io_fds io = { .argsz = 16 };
	struct vfu_io_fd sub;
	struct device *r = device_ready();
	struct rig_msg m;

	CHECK_INT(device_ask(r, VFU_GET_REGION_IO_FDS, &io, sizeof(io), &m), 0);
	memcpy(&io, m.payload, sizeof(io));
	CHECK_INT(m.size, 16);
	CHECK_INT(io.argsz, 16 + 3 * 40);
	CHECK_INT(io.count, 3);
	CHECK_INT(m.n_fds, 0);
	io.count = 0;
	CHECK_INT(device_ask(r, VFU_GET_REGION_IO_FDS, &io, sizeof(io), &m), 0);
	CHECK_INT(m.size, 16 + 3 * 40);
	CHECK_INT(m.n_fds, 2);
	rig_close_fds(&m);
	memcpy(&sub, m.payload + 16 + 40, sizeof(sub));
	CHECK_INT(sub.datamatch, 2);
	io.count = 1;
	CHECK_INT(device_ask(r, VFU_GET_REGION_IO_FDS, &io, sizeof(io), &m),
		  EINVAL);
	io.count = 0;
	io.index = 9;
	CHECK_INT(device_ask(r, VFU_GET_REGION_IO_FDS, &io, sizeof(io), &m),
		  EINVAL);
	device_free(r);

	/* A client that takes one at a time. */
	r = device_new(&device_full_ops);
	CHECK(device_hello(r, 0, 0, NULL, 0, &m));
	io = (struct vfu_io_fds){ .argsz = 1000 };
	CHECK_INT(device_ask(r, VFU_GET_REGION_IO_FDS, &io, sizeof(io), &m), 0);
	memcpy(&io, m.payload, sizeof(io));
	CHECK_INT(io.count, 2);
	CHECK_INT(m.n_fds, 1);
	rig_close_fds(&m);
	device_free(r);

	r = device_ready_ops(&device_small_ops);
	io = (struct vfu_io_fds){ .argsz = 1000 };
	CHECK_INT(device_ask(r, VFU_GET_REGION_IO_FDS, &io, sizeof(io), &m), 0);
	memcpy(&io, m.payload, sizeof(io));
	CHECK_INT(io.count, 0);
	device_free(r);
}

/* Region access */

static int access_region(struct device *r, bool write, uint64_t offset,
			 uint32_t region, uint32_t count, size_t data,
			 struct rig_msg *m)
{
	struct vfu_region_access a = { offset, region, count };
	uint8_t payload[512];
	size_t i;

	memcpy(payload, &a, sizeof(a));
	for (i = 0; i < data; i++)
		payload[sizeof(a) + i] = i + 1;
	return device_ask(r, write ? VFU_REGION_WRITE : VFU_REGION_READ,
			  payload, sizeof(a) + data, m);
}

static void test_access(void)
{
	struct device *r = device_ready();
	struct vfu_region_access a;
	struct rig_msg m;

	CHECK_INT(access_region(r, true, 0xffc, 0, 4, 4, &m), 0);
	CHECK_INT(m.size, 16);
	memcpy(&a, m.payload, sizeof(a));
	CHECK(a.offset == 0xffc && a.region == 0 && a.count == 4);
	CHECK_INT(access_region(r, false, 0xffe, 0, 2, 0, &m), 0);
	CHECK_INT(m.size, 18);
	CHECK(m.payload[16] == 3 && m.payload[17] == 4);
	CHECK_INT(r->accesses, 2);
	/* Nothing at all is a success, and nobody is asked. */
	CHECK_INT(access_region(r, false, 0, 0, 0, 0, &m), 0);
	CHECK_INT(access_region(r, true, ~0ull, 2, 0, 0, &m), 0);
	CHECK_INT(r->accesses, 2);
	/* Beyond the end, wrapped, no region, unused region, too long. */
	CHECK_INT(access_region(r, false, 0xffd, 0, 4, 0, &m), EINVAL);
	CHECK_INT(access_region(r, true, 0x1000, 0, 1, 1, &m), EINVAL);
	CHECK_INT(access_region(r, false, ~0ull, 0, 4, 0, &m), EINVAL);
	CHECK_INT(access_region(r, false, 0, 9, 4, 0, &m), EINVAL);
	CHECK_INT(access_region(r, false, 0, ~0u, 4, 0, &m), EINVAL);
	CHECK_INT(access_region(r, false, 0, 2, 4, 0, &m), EINVAL);
	CHECK_INT(access_region(r, false, 0, 4, 4, 0, &m), EINVAL);
	CHECK_INT(access_region(r, false, 0, 1, DEVICE_DATA_SIZE + 1, 0, &m),
		  EINVAL);
	CHECK_INT(access_region(r, false, 0, 1, ~0u, 0, &m), EINVAL);
	/* Length and count differ. */
	CHECK_INT(access_region(r, true, 0, 0, 4, 3, &m), EINVAL);
	CHECK_INT(access_region(r, true, 0, 0, 4, 5, &m), EINVAL);
	CHECK_INT(access_region(r, false, 0, 0, 4, 4, &m), EINVAL);
	CHECK_INT(device_ask(r, VFU_REGION_READ, "0123456789abcde", 15, &m),
		  EINVAL);
	CHECK_INT(r->accesses, 2);
	r->region_2 = true;
	CHECK_INT(access_region(r, false, 0xc, 2, 4, 0, &m), 0);
	CHECK_INT(access_region(r, false, 0xd, 2, 4, 0, &m), EINVAL);
	device_free(r);
}

static void test_posted(void)
{
	struct vfu_region_access a = { 8, 0, 4 };
	struct device *r = device_ready();
	uint8_t payload[20] = { 0 };
	struct rig_msg m;

	memcpy(payload, &a, sizeof(a));
	payload[16] = 42;
	CHECK(rig_send(r->peer, 1, VFU_REGION_WRITE, VFU_FLAG_NO_REPLY, payload,
		       20));
	/* A wrong one: refused without a word to the client. */
	CHECK(rig_send(r->peer, 2, VFU_REGION_WRITE, VFU_FLAG_NO_REPLY, payload,
		       19));
	rig_settle(r->loop);
	CHECK(!rig_recv(r->peer, &m));
	CHECK(r->posted);
	CHECK_INT(r->reg[8], 42);
	CHECK_INT(r->refused, 1);
	CHECK_INT(vfu_session_unanswered(r->session), 0);
	device_free(r);
}

static void test_write_multi(void)
{
	struct vfu_write_multi_entry e[3] = {
		{ 0, 0, 8, "01234567" },
		{ 8, 0, 2, "ab" },
		{ 0xffc, 0, 4, "wxyz" },
	};
	uint8_t payload[8 + sizeof(e)];
	struct device *r = device_ready();
	uint64_t n = 3;
	struct rig_msg m;

	memcpy(payload, &n, 8);
	memcpy(payload + 8, e, sizeof(e));
	CHECK_INT(device_ask(r, VFU_REGION_WRITE_MULTI, payload,
			     sizeof(payload), &m),
		  0);
	CHECK_INT(m.size, 8);
	CHECK_INT(m.payload[0], 3);
	CHECK_INT(r->accesses, 3);
	CHECK(r->posted);
	CHECK(!memcmp(r->reg, "01234567ab", 10));
	/* All or nothing. */
	e[2].offset++;
	memcpy(payload + 8, e, sizeof(e));
	CHECK_INT(device_ask(r, VFU_REGION_WRITE_MULTI, payload,
			     sizeof(payload), &m),
		  EINVAL);
	e[2] = (struct vfu_write_multi_entry){ 0, 0, 9, "" };
	memcpy(payload + 8, e, sizeof(e));
	CHECK_INT(device_ask(r, VFU_REGION_WRITE_MULTI, payload,
			     sizeof(payload), &m),
		  EINVAL);
	n = 4;
	memcpy(payload, &n, 8);
	CHECK_INT(device_ask(r, VFU_REGION_WRITE_MULTI, payload,
			     sizeof(payload), &m),
		  EINVAL);
	n = ~0ull / 24 + 4; /* wraps to the right length */
	memcpy(payload, &n, 8);
	CHECK_INT(device_ask(r, VFU_REGION_WRITE_MULTI, payload,
			     sizeof(payload), &m),
		  EINVAL);
	CHECK_INT(device_ask(r, VFU_REGION_WRITE_MULTI, payload, 7, &m),
		  EINVAL);
	n = 0;
	CHECK_INT(device_ask(r, VFU_REGION_WRITE_MULTI, &n, 8, &m), 0);
	CHECK_INT(r->accesses, 3);
	device_free(r);
}

/* SET_IRQS */

static int set_irqs(struct device *r, uint32_t flags, uint32_t index,
		    uint32_t start, uint32_t count, size_t data, unsigned n_fds)
{
	struct vfu_irq_set set = { 20, flags, index, start, count };
	int fds[16] = { 0 };
	uint8_t payload[64] = { 0 };
	struct rig_msg m;

	memcpy(payload, &set, sizeof(set));
	return device_ask_fds(r, VFU_SET_IRQS, payload, sizeof(set) + data, fds,
			      n_fds, &m);
}

static void test_set_irqs(void)
{
	enum {
		NONE = VFU_IRQ_DATA_NONE,
		BOOL = VFU_IRQ_DATA_BOOL,
		EVENTFD = VFU_IRQ_DATA_EVENTFD,
		MASK = VFU_IRQ_ACTION_MASK,
		UNMASK = VFU_IRQ_ACTION_UNMASK,
		TRIGGER = VFU_IRQ_ACTION_TRIGGER,
	};
	static const struct {
		uint32_t flags, index, start, count;
		size_t data;
		unsigned n_fds;
		int err;
	} c[] = {
		{ EVENTFD | TRIGGER, 2, 0, 8, 0, 8, 0 },
		{ EVENTFD | TRIGGER, 2, 7, 1, 0, 1, 0 },
		{ EVENTFD | TRIGGER, 2, 0, 8, 0, 0, 0 },
		{ EVENTFD | MASK, 2, 0, 1, 0, 1, 0 },
		{ EVENTFD | UNMASK, 2, 0, 1, 0, 1, 0 },
		{ NONE | TRIGGER, 2, 0, 0, 0, 0, 0 },
		{ NONE | TRIGGER, 0, 0, 0, 0, 0, 0 },
		{ NONE | TRIGGER, 2, 2, 3, 0, 0, 0 },
		{ NONE | MASK, 2, 0, 8, 0, 0, 0 },
		{ NONE | UNMASK, 2, 0, 8, 0, 0, 0 },
		{ BOOL | TRIGGER, 2, 0, 8, 8, 0, 0 },
		{ BOOL | MASK, 2, 0, 1, 1, 0, 0 },
		/* kinds */
		{ 0, 2, 0, 1, 0, 0, EINVAL },
		{ NONE, 2, 0, 1, 0, 0, EINVAL },
		{ TRIGGER, 2, 0, 1, 0, 0, EINVAL },
		{ NONE | BOOL | TRIGGER, 2, 0, 1, 0, 0, EINVAL },
		{ NONE | MASK | UNMASK, 2, 0, 1, 0, 0, EINVAL },
		{ NONE | TRIGGER | 0x40, 2, 0, 1, 0, 0, EINVAL },
		{ NONE | TRIGGER | 1u << 31, 2, 0, 1, 0, 0, EINVAL },
		/* vectors */
		{ NONE | TRIGGER, 5, 0, 0, 0, 0, EINVAL },
		{ NONE | TRIGGER, 2, 8, 1, 0, 0, EINVAL },
		{ NONE | TRIGGER, 2, 0, 9, 0, 0, EINVAL },
		{ NONE | TRIGGER, 2, 1, ~0u, 0, 0, EINVAL },
		{ NONE | TRIGGER, 2, ~0u, 2, 0, 0, EINVAL },
		{ NONE | TRIGGER, 0, 0, 1, 0, 0, EINVAL },
		{ NONE | TRIGGER, 2, 1, 0, 0, 0, EINVAL },
		{ NONE | MASK, 2, 0, 0, 0, 0, EINVAL },
		{ EVENTFD | TRIGGER, 2, 0, 0, 0, 0, EINVAL },
		/* what comes with it */
		{ EVENTFD | TRIGGER, 2, 0, 8, 0, 7, EINVAL },
		{ EVENTFD | TRIGGER, 2, 0, 2, 0, 3, EINVAL },
		{ EVENTFD | TRIGGER, 2, 0, 1, 4, 1, EINVAL },
		{ NONE | TRIGGER, 2, 0, 1, 0, 1, EINVAL },
		{ NONE | TRIGGER, 2, 0, 1, 1, 0, EINVAL },
		{ BOOL | TRIGGER, 2, 0, 8, 7, 0, EINVAL },
		{ BOOL | TRIGGER, 2, 0, 1, 1, 1, EINVAL },
	};
	unsigned before = rig_count_fds(), i, good = 0;
	struct device *r = device_ready();
	struct rig_msg m;

	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		if (!CHECK_INT(set_irqs(r, c[i].flags, c[i].index, c[i].start,
					c[i].count, c[i].data, c[i].n_fds),
			       c[i].err))
			printf("row %u\n", i);
		good += !c[i].err;
	}
	CHECK_INT(r->irq_sets, good);
	CHECK_INT(device_ask(r, VFU_SET_IRQS, "0123456789012345678", 19, &m),
		  EINVAL);
	device_free(r);
	CHECK_INT(rig_count_fds(), before);
	r = device_ready_ops(&device_small_ops);
	CHECK_INT(set_irqs(r, NONE | TRIGGER, 2, 0, 0, 0, 0), ENOTSUP);
	device_free(r);
}

/* DMA windows, reset, what is not known */

static int dma_map(struct device *r, uint32_t argsz, uint32_t flags,
		   uint64_t offset, uint64_t iova, uint64_t size,
		   unsigned n_fds)
{
	struct vfu_dma_map map = { argsz, flags, offset, iova, size };
	int fds[2] = { 0, 0 };
	struct rig_msg m;

	return device_ask_fds(r, VFU_DMA_MAP, &map, sizeof(map), fds, n_fds,
			      &m);
}

static void test_dma_map(void)
{
	unsigned before = rig_count_fds();
	struct device *r = device_ready();
	const uint64_t top = ~0ull;

	CHECK_INT(dma_map(r, 32, 3, 0, 0, 0x1000, 1), 0);
	CHECK(r->map_fd > 2);
	CHECK_INT(dma_map(r, 48, 1, 0, 0, 0x1000, 0), 0);
	CHECK_INT(r->map_fd, -1);
	CHECK_INT(dma_map(r, 32, 0, 0, top - 0xfff, 0x1000, 0), 0);
	CHECK_INT(dma_map(r, 32, 3, 0, 0, 0x3000, 1), EEXIST);
	CHECK_INT(r->maps, 4);
	CHECK_INT(dma_map(r, 31, 3, 0, 0, 0x1000, 1), EINVAL);
	CHECK_INT(dma_map(r, 32, 4, 0, 0, 0x1000, 1), EINVAL);
	CHECK_INT(dma_map(r, 32, 3, 0, 0, 0, 1), EINVAL);
	CHECK_INT(dma_map(r, 32, 3, 0, top, 2, 1), EINVAL);
	CHECK_INT(dma_map(r, 32, 3, top, 0, 2, 1), EINVAL);
	CHECK_INT(dma_map(r, 32, 3, 0, 0, 0x1000, 2), EINVAL);
	CHECK_INT(r->maps, 4);
	device_free(r);
	CHECK_INT(rig_count_fds(), before);
}

static int dma_unmap(struct device *r, uint32_t argsz, uint32_t flags,
		     uint64_t iova, uint64_t size)
{
	struct vfu_dma_unmap unmap = { argsz, flags, iova, size };
	struct rig_msg m;
	int ret;

	ret = device_ask(r, VFU_DMA_UNMAP, &unmap, sizeof(unmap), &m);
	if (!ret) {
		CHECK_INT(m.size, sizeof(unmap));
		CHECK(!memcmp(m.payload, &unmap, sizeof(unmap)));
	}
	return ret;
}

static void test_dma_unmap(void)
{
	struct device *r = device_ready();

	CHECK_INT(dma_unmap(r, 24, 0, 0x1000, 0x1000), 0);
	CHECK_INT(dma_unmap(r, 24, VFU_DMA_UNMAP_ALL, 0, 0), 0);
	CHECK_INT(r->unmaps, 2);
	CHECK_INT(dma_unmap(r, 23, 0, 0x1000, 0x1000), EINVAL);
	CHECK_INT(dma_unmap(r, 24, 1, 0x1000, 0x1000), EINVAL);
	CHECK_INT(dma_unmap(r, 24, 3, 0, 0), EINVAL);
	CHECK_INT(dma_unmap(r, 24, VFU_DMA_UNMAP_ALL, 0, 1), EINVAL);
	CHECK_INT(dma_unmap(r, 24, 0, 0, 0), EINVAL);
	CHECK_INT(dma_unmap(r, 24, 0, ~0ull, 2), EINVAL);
	CHECK_INT(r->unmaps, 2);
	device_free(r);
}

static void test_unknown(void)
{
	static const uint16_t unknown[] = { 0,  11, 12, 14,  16,
					    17, 18, 19, 999, 65535 };
	struct device *r = device_ready();
	struct rig_msg m;
	int fd = 0;
	unsigned i;

	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		CHECK_INT(device_ask(r, unknown[i], "0123456789abcdef", 16, &m),
			  ENOTSUP);
	CHECK_INT(r->refused, i);
	CHECK_INT(device_ask(r, VFU_RESET, NULL, 0, &m), 0);
	CHECK_INT(m.size, 0);
	CHECK_INT(device_ask(r, VFU_RESET, "x", 1, &m), EINVAL);
	CHECK_INT(device_ask_fds(r, VFU_RESET, NULL, 0, &fd, 1, &m), EINVAL);
	CHECK_INT(r->resets, 1);
	/* Neither command nor reply; a reply to nothing; an error to nothing
	 * (not answered, or two such ends would never stop). */
	CHECK(rig_send(r->peer, 1, VFU_RESET, 7, NULL, 0));
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.error, EINVAL);
	CHECK(rig_send(r->peer, 1, VFU_RESET, VFU_FLAG_REPLY, NULL, 0));
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.error, EINVAL);
	CHECK(rig_send(r->peer, 1, VFU_RESET, VFU_FLAG_REPLY | VFU_FLAG_ERROR,
		       NULL, 0));
	rig_settle(r->loop);
	CHECK(!rig_recv(r->peer, &m));
	CHECK(r->session != NULL);
	device_free(r);
}

static void test_broken_framing(void)
{
	struct vfu_header h = { .id = 1, .command = VFU_RESET, .size = 15 };
	struct device *r = device_ready();

	CHECK(rig_send_raw(r->peer, &h, sizeof(h), NULL, 0));
	rig_settle(r->loop);
	CHECK_INT(r->detached, 1);
	CHECK_HAS(r->why, "shorter than its header");
	CHECK(rig_at_end(r->peer));
	device_free(r);
	r = device_ready();
	CHECK(rig_send_raw(r->peer, &h, 7, NULL, 0));
	rig_settle(r->loop);
	device_hang_up(r);
	CHECK_INT(r->detached, 1);
	CHECK_HAS(r->why, "in the middle");
	device_free(r);
}

static void test_server_commands(void)
{
	struct vfu_dma_access a = { 0x1000, 4 };
	struct iovec iov = { &a, sizeof(a) };
	struct device *r = device_ready();
	struct rig_msg m;

	CHECK_INT(vfu_session_command(r->session, 9, VFU_DMA_READ, &iov, 1), 0);
	rig_settle(r->loop);
	CHECK(rig_recv(r->peer, &m));
	CHECK_INT(m.header.command, VFU_DMA_READ);
	CHECK_INT(m.header.flags, 0);
	/* Commands cross it. */
	CHECK_INT(device_ask(r, VFU_RESET, NULL, 0, &m), 0);
	CHECK(rig_send(r->peer, 9, VFU_DMA_READ, VFU_FLAG_REPLY, &a,
		       sizeof(a)));
	rig_settle(r->loop);
	CHECK_INT(r->replies, 1);
	CHECK_INT(r->refused, 0);
	device_free(r);
}

static const struct unit_case cases[] = {
	{ "info", test_info },
	{ "region_info", test_region_info },
	{ "io_fds", test_io_fds },
	{ "access", test_access },
	{ "posted", test_posted },
	{ "write_multi", test_write_multi },
	{ "set_irqs", test_set_irqs },
	{ "dma_map", test_dma_map },
	{ "dma_unmap", test_dma_unmap },
	{ "unknown", test_unknown },
	{ "broken_framing", test_broken_framing },
	{ "server_commands", test_server_commands },
	{ NULL },
};

const struct unit_suite vfu_requests_suite = { "vfu_requests", cases };
