/* function.c - one PCI function: what an operation does, and resets.
 *
 * A config write applies at once and says what it set off (todo); that is
 * done with the request in hand, since it may be held at a point, and since
 * the write that starts a reset is answered before the reset.
 */
#include <config.h>

#include "cmd/iovdev/function.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/iovdev/direct.h"
#include "cmd/iovdev/nic.h"
#include "cmd/iovdev/nic_tx.h"
#include "cmd/iovdev/queue_faults.h"
#include "libcore/window.h"

/* How long a frame may wait for a fenced receiver.  One whose guest cleared
 * Bus Master Enable by itself is waited for no longer: its hypervisor says so
 * (NIC_PF_VF_WAIT). */
#define FENCE_NS   (2 * NS_PER_S)
#define SMALL_READ 256u
#define REVISION   1
#define INTA       1

bool function_has_rings(const struct function *f)
{
	return f->vf && f->nic->type->has_rings;
}

void function_reaches(struct function *f)
{
	if (f->nic->type->reaches)
		f->nic->type->reaches(f);
}

static void set_bme(struct function *f, bool bme)
{
	if (bme == f->bme)
		return;
	f->bme = bme;
	f->bme_since_ns = loop_now_ns(f->nic->loop);
}

bool function_bme(const struct function *f)
{
	return f->bme || !part(&f->nic->program->parts, PART_BME);
}

uint64_t function_fenced_until(struct function *f)
{
	const struct nic_queue *rx = &f->queue[NIC_QUEUE_RX];
	uint64_t until = f->bme_since_ns + FENCE_NS;

	if (function_bme(f) || !f->wait || !f->live || !f->link.now.up ||
	    !rx->enable || !rx->pf_enable || until <= loop_now_ns(f->nic->loop))
		return 0;
	return until;
}

static void on_command(void *arg, uint16_t command)
{
	struct function *f = arg;
	bool bme = command & PCI_COMMAND_MASTER;

	interrupt_line_update(f);
	if (bme == f->bme)
		return;
	set_bme(f, bme);
	if (bme)
		interrupts_update(f);
	if (!function_has_rings(f)) {
		function_reaches(f);
		return;
	}
	if (bme) { /* every ring is looked at once without a doorbell */
		nic_queue_go_on(&f->queue[NIC_QUEUE_RX]);
		nic_queue_go_on(&f->queue[NIC_QUEUE_TX]);
		nic_tx_kick(f);
	}
	if (!f->nic->loading)
		nic_tx_unstall(f->nic);
}

static void on_flr(void *arg)
{
	((struct function *)arg)->todo |= TODO_FLR;
}

static void on_msix(void *arg, bool enable, bool function_mask)
{
	struct function *f = arg;

	f->irq.enable = enable;
	f->irq.function_mask = function_mask;
	interrupts_update(f);
	interrupt_line_update(f);
}

static void on_vf_enable(void *arg, bool enable, unsigned num_vfs)
{
	struct function *f = arg;

	(void)num_vfs;
	f->todo |= enable ? TODO_VF_ENABLE : TODO_VF_DISABLE;
}

static const struct pci_config_ops config_ops = {
	.command = on_command,
	.flr = on_flr,
	.msix = on_msix,
	.vf_enable = on_vf_enable,
};

/* As the type's row says. */
static void make_config(struct function *f)
{
	const struct device_type *type = f->nic->type;
	const uint64_t vf_bars[6] = { type->vf_bar_size };
	const struct pci_identity id = {
		.vendor = type->vendor,
		.device = type->device,
		.subvendor = type->vendor,
		.subdevice = f->vf ? type->vf_device : type->device,
		.class_code = type->class_code,
		.revision = REVISION,
	};
	struct pci_config *cfg = &f->config;

	pci_config_init(cfg, &id, f->vf, &config_ops, f);
	if (!f->vf)
		pci_config_add_bar(cfg, 0, type->bar_size, true);
	if (type->intx)
		pci_config_add_interrupt_pin(cfg, INTA);
	pci_config_add_pcie(cfg);
	pci_config_add_msix(cfg, type->vectors, 0, NIC_MSIX_TABLE, 0,
			    NIC_MSIX_PBA);
	pci_config_add_aer(cfg);
	if (type->max_vfs)
		pci_config_add_ari(cfg, 0);
	if (type->max_vfs && !f->vf)
		pci_config_add_sriov(cfg, type->vf_device, f->nic->n_vfs, 1, 1,
				     vf_bars, 1);
	pci_config_seal(cfg);
}

int function_new(struct function **result, struct nic *nic, unsigned vf)
{
	struct function *f = calloc(1, sizeof(*f));
	struct function_name name = { .vf = vf };
	int err;

	if (!f)
		return -ENOMEM;
	strcpy(name.device, nic->device);
	f->nic = nic;
	f->vf = vf;
	f->live = !vf;
	f->wait = true;
	f->bme_since_ns = clock_now_ns();
	f->bells.fd[0] = f->bells.fd[1] = -1;
	function_name_format(f->name, sizeof(f->name), &name);
	LIST_INIT(&f->captures);
	make_config(f);
	access_order_init(&f->order, vf);
	f->order.latency = nic->options->latency[vf];
	interrupts_init(&f->irq);
	interrupt_line_init(&f->line);
	link_init(&f->link);
	nic_queue_init(&f->queue[NIC_QUEUE_TX], f, NIC_QUEUE_TX);
	nic_queue_init(&f->queue[NIC_QUEUE_RX], f, NIC_QUEUE_RX);
	err = function_has_rings(f) ? doorbells_open(f) : 0;
	if (err) {
		function_free(f);
		return err;
	}
	*result = f;
	return 0;
}

void function_free(struct function *f)
{
	if (!f)
		return;
	capture_end_all(f);
	direct_close(f);
	point_hold_cancel(&f->hold);
	vfu_server_free(f->server);
	access_order_drop(f);
	access_order_fini(&f->order);
	if (f->held_req)
		vfu_request_drop(f->held_req);
	nic_queue_fini(&f->queue[NIC_QUEUE_TX]);
	nic_queue_fini(&f->queue[NIC_QUEUE_RX]);
	loop_defer_cancel(&f->quiet);
	doorbells_close(f);
	interrupts_release(&f->irq);
	interrupt_line_release(&f->line);
	guest_memory_clear(&f->memory);
	if (f->socket_path)
		unlink(f->socket_path);
	free(f->socket_path);
	free(f);
}

uint32_t function_held(const struct function *f)
{
	return nic_queue_held(&f->queue[NIC_QUEUE_TX]) +
	       nic_queue_held(&f->queue[NIC_QUEUE_RX]);
}

bool function_blocks(struct function *f, const struct vfu_request *req)
{
	return req->command == VFU_REGION_READ && !f->bme && function_held(f) &&
	       part(&f->nic->program->parts, PART_BARRIER);
}

void function_quiet(struct function *f)
{
	struct function *pf = f->nic->pf;
	struct vfu_request *req = pf->held_req;

	completion_update(f);
	access_order_run(f);
	if (!pf->wait_quiet || nic_queue_held(pf->wait_quiet))
		return;
	pf->wait_quiet = NULL;
	pf->held_req = NULL;
	vfu_request_ok(req);
	access_order_resume(pf);
}

/* The reset of a function that is not in the middle of an operation also
 * forgets what is held at a point. */
static void forget_held(struct function *f)
{
	if (!f->hold.points && !f->held_req)
		return;
	point_hold_cancel(&f->hold);
	if (f->held_req)
		vfu_request_drop(f->held_req);
	f->held_req = NULL;
	f->wait_quiet = NULL;
	f->order.busy = false;
}

bool function_tells(struct function *f, uint64_t *suppressed)
{
	return limiter_pass(&f->told, loop_now_ns(f->nic->loop), suppressed);
}

void function_reset(struct function *f)
{
	direct_reset(f);
	forget_held(f);
	access_order_drop(f);
	nic_queue_reset(&f->queue[NIC_QUEUE_TX]);
	nic_queue_reset(&f->queue[NIC_QUEUE_RX]);
	interrupts_reset(&f->irq);
	completion_reset(f);
	if (f->vf)
		mailbox_reset(f);
	pci_config_reset(&f->config);
	set_bme(f, false);
	if (f->nic->type->reset)
		f->nic->type->reset(f);
	f->todo = 0;
	f->scratch = 0;
	f->resets++;
}

static void reset_whole(struct function *f)
{
	unsigned vfs = f->num_vfs;
	uint64_t suppressed;

	if (!f->vf)
		sriov_vanish(f->nic);
	function_reset(f);
	if (!f->vf) /* pending until it can interrupt again */
		link_raise(f->nic);
	nic_tx_unstall(f->nic);
	if (function_tells(f, &suppressed))
		event(f->nic->log, "function.reset", "s:s, s:I, s:i, s:I",
		      "function", f->name, "resets", (json_int_t)f->resets,
		      "vfs", (int)vfs, "suppressed", (json_int_t)suppressed);
}

static void on_flr_resume(void *arg)
{
	struct function *f = arg;

	reset_whole(f);
	access_order_resume(f);
}

/* A guest may reset its VF, or a function that it has whole, in a loop. */
static enum point_verdict pass_flr(struct function *f)
{
	struct points *points = f->nic->program->points;
	uint64_t suppressed;

	if ((f->vf || !f->nic->type->max_vfs) &&
	    !point_armed(points, POINT_FLR) &&
	    !limiter_pass(&f->flrs, loop_now_ns(f->nic->loop), &suppressed))
		return POINT_GO;
	return point(points, POINT_FLR, &f->hold, on_flr_resume, f, "s:s, s:i",
		     "function", f->name, "pending", (int)f->order.n_ops);
}

enum op_result function_flr(struct function *f, struct vfu_request *req)
{
	f->todo = 0;
	if (req)
		vfu_request_ok(req);
	switch (pass_flr(f)) {
	case POINT_HELD:
		return OP_WAIT;
	case POINT_FAIL:
		return OP_DONE;
	case POINT_GO:
		break;
	}
	reset_whole(f);
	return OP_DONE;
}

static enum op_result read_region(struct function *f, struct vfu_request *req)
{
	uint8_t small[SMALL_READ], *data = small;

	if (req->count > sizeof(small))
		data = malloc(req->count);
	if (!data) {
		vfu_request_fail(req, ENOMEM);
		return OP_DONE;
	}
	if (req->region == VFU_REGION_CONFIG)
		pci_config_read(&f->config, (uint32_t)req->offset, data,
				req->count);
	else
		f->nic->type->read(f, req->offset, data, req->count);
	vfu_request_read_done(req, data);
	if (data != small)
		free(data);
	return OP_DONE;
}

static enum op_result write_region(struct function *f, struct vfu_request *req,
				   const uint8_t *data)
{
	if (req->region == VFU_REGION_CONFIG)
		pci_config_write(&f->config, (uint32_t)req->offset, data,
				 req->count);
	else
		f->nic->type->write(f, req->offset, data, req->count);
	if (f->todo & TODO_FLR)
		return function_flr(f, req);
	if (f->todo)
		return sriov_change(f, req);
	if (f->wait_quiet) {
		f->held_req = req;
		return OP_WAIT;
	}
	vfu_request_ok(req);
	return OP_DONE;
}

enum op_result function_execute(struct function *f, struct vfu_request *req,
				const uint8_t *data)
{
	struct points *points = f->nic->program->points;

	if (point_armed(points, POINT_A1015) &&
	    point(points, POINT_A1015, NULL, NULL, NULL, "s:s, s:i", "function",
		  f->name, "id", (int)req->id) == POINT_FAIL) {
		vfu_request_fail(req, EIO);
		return OP_DONE;
	}
	if (req->command == VFU_RESET)
		return function_flr(f, req);
	if (req->region == WINDOW_REGION) {
		direct_request(f, req, data);
		return OP_DONE;
	}
	if (req->command == VFU_REGION_READ)
		return read_region(f, req);
	return write_region(f, req, data);
}

bool function_check_memory(struct function *f)
{
	unsigned i;

	if (f->memory_lost || !guest_memory_lost(&f->memory))
		return !f->memory_lost;
	f->memory_lost = true;
	event(f->nic->log, "memory.lost", "s:s", "function", f->name);
	for (i = 0; i < NIC_QUEUE_N; i++)
		if (f->queue[i].enable)
			nic_queue_stop(&f->queue[i], QUEUE_LOST);
	return false;
}
