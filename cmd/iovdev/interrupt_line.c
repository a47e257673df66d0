/* interrupt_line.c - a level told by MSI-X vector 0 or by INTA.
 *
 * Theory of operation.  With MSI-X a rising level raises vector 0; one that
 * falls before the vector may fire takes it back (pcie6 6.1.4.3).  A driver
 * reads the reason until there is none, so that the next one rises again.
 * Without MSI-X the level is INTA: it is told once and then masked until the
 * client unmasks it, when it is told again if it is still there, as VFIO does
 * with level-triggered interrupts.
 */
#include <config.h>

#include "cmd/iovdev/interrupt_line.h"

#include <errno.h>
#include <unistd.h>

#include "cmd/iovdev/nic.h"
#include "libcore/peer_eventfd.h"

#define VECTOR 0u

void interrupt_line_init(struct interrupt_line *line)
{
	*line = (struct interrupt_line){ .fd = -1 };
}

static void set_fd(struct interrupt_line *line, int fd)
{
	if (line->fd >= 0)
		close(line->fd);
	line->fd = fd;
	line->masked = false;
}

void interrupt_line_release(struct interrupt_line *line)
{
	set_fd(line, -1);
}

/* The bit is there even when INTA is disabled (pcie6 7.5.1.1.4). */
static void show_status(struct function *f)
{
	uint8_t *status = &f->config.data[PCI_STATUS];

	if (f->line.level)
		*status |= PCI_STATUS_INTERRUPT;
	else
		*status &= (uint8_t)~PCI_STATUS_INTERRUPT;
}

void interrupt_line_update(struct function *f)
{
	struct interrupt_line *line = &f->line;
	uint16_t command = pci_config_get16(&f->config, PCI_COMMAND);

	if (!line->level || line->masked || line->fd < 0 || f->irq.enable ||
	    command & PCI_COMMAND_INTX_DISABLE)
		return;
	line->masked = true;
	peer_eventfd_raise(line->fd);
}

void interrupt_line_set(struct function *f, bool level)
{
	if (level == f->line.level)
		return;
	f->line.level = level;
	show_status(f);
	if (level)
		interrupts_fire(f, VECTOR);
	else
		f->irq.pending &= ~(1u << VECTOR);
	interrupt_line_update(f);
}

static int set_eventfd(struct function *f, const struct vfu_irq_set *set,
		       int *fds, unsigned n_fds)
{
	if (!(set->flags & VFU_IRQ_ACTION_TRIGGER))
		return -ENOTSUP;
	if (!n_fds) {
		interrupt_line_release(&f->line);
		return 0;
	}
	if (peer_eventfd_accept(fds[0]) < 0)
		return -EINVAL;
	set_fd(&f->line, fds[0]);
	fds[0] = -1;
	return 0;
}

int interrupt_line_set_irqs(struct function *f, const struct vfu_irq_set *set,
			    int *fds, unsigned n_fds, const uint8_t *data)
{
	struct interrupt_line *line = &f->line;
	bool chosen = !(set->flags & VFU_IRQ_DATA_BOOL) || data[0];
	int err = 0;

	if (!set->count)
		interrupt_line_release(line);
	else if (set->flags & VFU_IRQ_DATA_EVENTFD)
		err = set_eventfd(f, set, fds, n_fds);
	else if (chosen && set->flags & VFU_IRQ_ACTION_MASK)
		line->masked = true;
	else if (chosen && set->flags & VFU_IRQ_ACTION_UNMASK)
		line->masked = false;
	else if (chosen && line->fd >= 0)
		peer_eventfd_raise(line->fd);
	interrupt_line_update(f);
	return err;
}
