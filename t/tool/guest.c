/* guest.c - the test guest: memory, registers, rings; see guest.h
 *
 * Memory: the rings at 1 and 2 MiB, entry i's transmit buffer at 4 MiB plus i
 * pages, its receive buffer at 8 MiB plus i pages.
 */
#include <config.h>

#include "t/tool/guest.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "libcore/nic_regs.h"
#include "libcore/pci_caps.h"
#include "libcore/platform.h"

#define MIB        (1ull << 20)
#define TX_RING    (1 * MIB)
#define RX_RING    (2 * MIB)
#define TX_BUFFERS (4 * MIB)
#define RX_BUFFERS (8 * MIB)
#define BUFFER     4096u
#define MEMORY_MIN (16 * MIB)

/* How much longer than asked for to wait for the first stop. */
#define CHURN_LIMIT_MS 10000u

static int map_memory(struct guest *g, int fd, uint64_t size, uint64_t offset)
{
	g->memory_fd = fd;
	g->memory_size = size;
	g->memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 (off_t)offset);
	return g->memory == MAP_FAILED ? -errno : 0;
}

static int ask_memory(struct guest *g)
{
	struct vfu_region_info info = { .argsz = sizeof(info),
					.index = PLATFORM_REGION_MEMORY };
	int err;

	err = peer_ask(g->peer, VFU_GET_REGION_INFO, &info, sizeof(info));
	if (err)
		return err;
	if (g->peer->size < sizeof(info) || g->peer->in_fd < 0)
		return -EBADMSG;
	memcpy(&info, g->peer->payload, sizeof(info));
	if (info.size < MEMORY_MIN)
		return -ENOSPC;
	return map_memory(g, g->peer->in_fd, info.size, info.offset);
}

static int enable(struct guest *g)
{
	const uint16_t command =
		htole16(PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);

	return peer_write(g->peer, g->config_region, g->config + PCI_COMMAND,
			  &command, sizeof(command));
}

int guest_attach(struct guest *g, struct peer *peer, unsigned slot)
{
	const uint8_t *config;
	int err;

	*g = (struct guest){ .peer = peer,
			     .config_region = PLATFORM_REGION_IO,
			     .bar_region = PLATFORM_REGION_IO,
			     .config = platform_guest_config(slot) };
	err = ask_memory(g);
	if (!err)
		err = peer_read(peer, g->config_region, g->config, 4096);
	if (err)
		return err;
	config = peer->payload + sizeof(struct vfu_region_access);
	if (pci_get16(config, PCI_DEVICE_ID) != NIC_VF_DEVICE)
		return -ENODEV;
	g->bar0 = pci_read_bar(config, PCI_BASE_ADDRESS_0, 0, NULL);
	return enable(g);
}

int guest_attach_device(struct guest *g, struct peer *peer)
{
	const struct vfu_dma_map map = { .argsz = sizeof(map),
					 .flags = VFU_DMA_READABLE |
						  VFU_DMA_WRITEABLE,
					 .size = MEMORY_MIN };
	int fd = memfd_create("test", MFD_CLOEXEC), err;

	*g = (struct guest){ .peer = peer,
			     .config_region = VFU_REGION_CONFIG,
			     .bar_region = VFU_REGION_BAR0 };
	if (fd < 0 || ftruncate(fd, MEMORY_MIN) < 0)
		return -errno;
	err = map_memory(g, fd, MEMORY_MIN, 0);
	if (err)
		return err;
	peer->fds[0] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	peer->n_fds = 1;
	err = peer_ask(peer, VFU_DMA_MAP, &map, sizeof(map));
	return err ? err : enable(g);
}

int guest_enable_vfs(struct peer *peer, unsigned n)
{
	uint16_t num = htole16((uint16_t)n);
	uint16_t on = htole16(PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	unsigned cap;
	int err;

	err = peer_read(peer, VFU_REGION_CONFIG, 0, 4096);
	if (err)
		return err;
	cap = pci_find_ecap(peer->payload + sizeof(struct vfu_region_access),
			    PCI_EXT_CAP_ID_SRIOV);
	if (!cap)
		return -ENODEV;
	err = peer_write(peer, VFU_REGION_CONFIG, cap + PCI_SRIOV_NUM_VF, &num,
			 sizeof(num));
	if (!err)
		err = peer_write(peer, VFU_REGION_CONFIG, cap + PCI_SRIOV_CTRL,
				 &on, sizeof(on));
	return err;
}

int guest_register(struct guest *g, uint32_t offset, uint32_t size,
		   uint64_t *value)
{
	int err = peer_read(g->peer, g->bar_region, g->bar0 + offset, size);

	*value = 0;
	if (!err)
		memcpy(value,
		       g->peer->payload + sizeof(struct vfu_region_access),
		       size);
	*value = le64toh(*value);
	return err;
}

int guest_set_register(struct guest *g, uint32_t offset, uint32_t size,
		       uint64_t value)
{
	value = htole64(value);
	return peer_write(g->peer, g->bar_region, g->bar0 + offset, &value,
			  size);
}

static uint32_t block_of(const struct guest *g, const struct queue_ring *ring)
{
	return ring == g->tx ? NIC_TX : NIC_RX;
}

int guest_enable(struct guest *g, struct queue_ring *ring)
{
	uint32_t block = block_of(g, ring);
	uint64_t base = (uint64_t)((uint8_t *)ring - g->memory);
	int err;

	err = guest_set_register(g, block + NIC_Q_ENABLE, 4, 0);
	if (!err)
		err = guest_set_register(g, block + NIC_Q_BASE, 8, base);
	if (!err)
		err = guest_set_register(g, block + NIC_Q_ENTRIES, 4, g->n);
	if (!err)
		err = guest_set_register(g, block + NIC_Q_ENABLE, 4, 1);
	return err;
}

static void lay_out(struct guest *g)
{
	uint32_t i;

	queue_init(g->tx, g->n);
	queue_init(g->rx, g->n);
	for (i = 0; i < g->n; i++) {
		g->tx->entry[i].addr = TX_BUFFERS + i * BUFFER;
		g->rx->entry[i].addr = RX_BUFFERS + i * BUFFER;
		g->rx->entry[i].size = BUFFER;
	}
	atomic_store(&g->tx->enable, 1);
	atomic_store(&g->rx->enable, 1);
}

int guest_rings(struct guest *g, uint32_t n)
{
	int err;

	if (n < QUEUE_MIN || n > MIB / BUFFER)
		return -EINVAL;
	g->n = n;
	g->tx = (struct queue_ring *)(g->memory + TX_RING);
	g->rx = (struct queue_ring *)(g->memory + RX_RING);
	lay_out(g);
	err = guest_enable(g, g->rx);
	return err ? err : guest_enable(g, g->tx);
}

static int poke_entry(struct guest *g, struct queue_ring *ring,
		      const char *field, uint64_t value)
{
	const char *dot = strchr(field, '.');
	struct queue_entry *e;

	if (!dot)
		return -ENOENT;
	e = &ring->entry[strtoul(dot + 1, NULL, 10) % g->n];
	if (!strncmp(field, "addr.", 5))
		e->addr = value;
	else if (!strncmp(field, "size.", 5))
		e->size = (uint32_t)value;
	else if (!strncmp(field, "status.", 7))
		e->status = (uint32_t)value;
	else
		return -ENOENT;
	return 0;
}

int guest_poke(struct guest *g, struct queue_ring *ring, const char *field,
	       uint64_t value)
{
	uint32_t v = (uint32_t)value;

	if (!strcmp(field, "magic"))
		ring->magic = v;
	else if (!strcmp(field, "version"))
		ring->version = v;
	else if (!strcmp(field, "n"))
		ring->n = v;
	else if (!strcmp(field, "enable"))
		atomic_store(&ring->enable, v);
	else if (!strcmp(field, "write"))
		atomic_store(&ring->write.index, v);
	else if (!strcmp(field, "read"))
		atomic_store(&ring->read.index, v);
	else if (!strcmp(field, "write.sleeping"))
		atomic_store(&ring->write.sleeping, v);
	else if (!strcmp(field, "read.sleeping"))
		atomic_store(&ring->read.sleeping, v);
	else
		return poke_entry(g, ring, field, value);
	return 0;
}

void guest_frame(struct guest *g, uint32_t i, const uint8_t mac[6],
		 uint32_t size)
{
	uint8_t *frame;

	i %= g->n;
	frame = g->memory + TX_BUFFERS + i * BUFFER;
	memcpy(frame, mac, 6);
	memcpy(frame + 6, "\x02\x66\x66\x66\x66\x66\x88\xb6", 8);
	memset(frame + 14, 0xa5, size > 14 && size <= BUFFER ? size - 14 : 0);
	g->tx->entry[i].addr = TX_BUFFERS + i * BUFFER;
	g->tx->entry[i].size = size;
}

/* The second thread. */

struct scribbler {
	struct guest *guest;
	_Atomic int stop;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Mostly almost right, so that the device gets far. */
static void scribble(struct guest *g, struct queue_ring *ring, uint64_t random)
{
	struct queue_entry *e = &ring->entry[random % g->n];
	uint64_t wild = random >> 32;

	switch (random >> 16 & 7) {
	case 0:
		e->addr = wild & 1 ? wild << 20 : wild % g->memory_size;
		break;
	case 1:
		e->size = wild & 1 ? (uint32_t)wild : wild % 2048;
		break;
	case 2:
		e->status = (uint32_t)wild;
		break;
	case 3:
		atomic_fetch_add(&ring->write.index, wild % 8);
		break;
	case 4:
		atomic_fetch_add(&ring->read.index, wild % 8);
		break;
	case 5:
		atomic_store(&ring->write.sleeping, wild & 1);
		atomic_store(&ring->read.sleeping, wild & 2);
		break;
	case 6:
		atomic_store(&ring->enable, (wild & 15) != 0);
		break;
	case 7:
		ring->n = wild & 63 ? g->n : (uint32_t)wild;
		break;
	}
}

static void *scribbler_main(void *arg)
{
	struct scribbler *s = arg;
	struct guest *g = s->guest;
	uint64_t random = 88172645463325252ull;
	const struct timespec pause = { .tv_nsec = 1000 };

	while (!atomic_load(&s->stop)) {
		scribble(g, next_random(&random) & 1 ? g->tx : g->rx,
			 next_random(&random));
		/* The device shall get to run on a machine of one core. */
		if (!(random & 1023))
			nanosleep(&pause, NULL);
	}
	return NULL;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Set both rings right and enable what has stopped. */
static int revive(struct guest *g, unsigned *stops)
{
	struct queue_ring *const rings[] = { g->tx, g->rx };
	uint64_t on;
	unsigned i;
	int err = 0;

	for (i = 0; !err && i < 2; i++) {
		err = guest_register(g, block_of(g, rings[i]) + NIC_Q_ENABLE, 4,
				     &on);
		if (err || on)
			continue;
		++*stops;
		rings[i]->n = g->n;
		atomic_store(&rings[i]->read.index, 0);
		atomic_store(&rings[i]->write.index, rings[i] == g->tx);
		err = guest_enable(g, rings[i]);
	}
	return err;
}

int guest_churn(struct guest *g, unsigned ms, unsigned *stops)
{
	struct scribbler s = { .guest = g };
	uint64_t end = now_ms() + ms, limit = end + CHURN_LIMIT_MS;
	pthread_t thread;
	int err;

	*stops = 0;
	err = -pthread_create(&thread, NULL, scribbler_main, &s);
	if (err)
		return err;
	/* A busy computer may take longer until the device finds any. */
	while (!err && now_ms() < (*stops ? end : limit)) {
		err = revive(g, stops);
		if (!err)
			err = guest_set_register(g, NIC_DOORBELL_TX, 4, 1);
	}
	atomic_store(&s.stop, 1);
	pthread_join(thread, NULL);
	return err;
}
