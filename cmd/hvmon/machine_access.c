/* machine_access.c - requests to the root bridge as parts of a procedure's
 * step. */
#include <config.h>

#include "cmd/hvmon/machine_access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cmd/hvmon/hvmon.h"
#include "libcore/pci_caps.h"
#include "libcore/platform.h"

/* One request; it may outlive nothing but the connection. */
struct step_request {
	LIST_ENTRY(step_request) entry;
	struct procedure *procedure;
	void *into;
	uint64_t offset;
	uint32_t region, size;
	unsigned flags;
	int *err;   /* where a refusal goes; NULL: the procedure fails */
	void **map; /* of a region that is to be mapped */
	struct loop_timer timer;
};

void step_requests_free(struct step_requests *requests)
{
	struct step_request *request;

	while ((request = LIST_FIRST(requests))) {
		loop_timer_cancel(&request->timer);
		LIST_REMOVE(request, entry);
		free(request);
	}
}

static struct step_request *request_new(struct procedure *p)
{
	struct step_request *request = calloc(1, sizeof(*request));

	if (!request)
		abort();
	request->procedure = p;
	LIST_INSERT_HEAD(&p->hv->bridge.requests, request, entry);
	step_get(p);
	return request;
}

static void request_done(struct step_request *request)
{
	struct procedure *p = request->procedure;

	LIST_REMOVE(request, entry);
	free(request);
	step_put(p);
}

static void request_failed(const struct step_request *request, int err)
{
	struct procedure *p = request->procedure;

	if (err == -EPERM)
		hvmon_stop(p->hv, STATUS_FENCED,
			   "another hypervisor owns %s now",
			   p->function[0] ? p->function : "the machine");
	else if (request->err)
		*request->err = err;
	else if (!(request->flags & STEP_MAY_FAIL))
		step_fail(p, err, "region %u at %#llx: %s", request->region,
			  (unsigned long long)request->offset, strerror(-err));
}

static void on_reply(void *arg, const struct vfu_reply *reply)
{
	struct step_request *request = arg;
	const uint8_t *data;

	if (reply->err) {
		request_failed(request, reply->err);
	} else if (request->into) {
		data = vfu_reply_data(reply, request->size);
		if (data)
			memcpy(request->into, data, request->size);
		else
			request_failed(request, -EBADMSG);
	}
	request_done(request);
}

/* A request that could not even be sent. */
static void send_failed(struct step_request *request, int err)
{
	struct procedure *p = request->procedure;

	if (!err)
		return;
	step_fail(p, err, "root bridge: %s", strerror(-err));
	request_done(request);
}

void step_region_read(struct procedure *p, uint32_t region, uint64_t offset,
		      void *into, uint32_t size)
{
	struct step_request *request = request_new(p);

	request->region = region;
	request->offset = offset;
	request->into = into;
	request->size = size;
	send_failed(request, vfu_client_read(p->hv->bridge.client, region,
					     offset, size, on_reply, request));
}

void step_region_write(struct procedure *p, uint32_t region, uint64_t offset,
		       const void *data, uint32_t size, unsigned flags)
{
	struct step_request *request = request_new(p);

	request->region = region;
	request->offset = offset;
	request->size = size;
	request->flags = flags;
	send_failed(request,
		    vfu_client_write(p->hv->bridge.client, region, offset, data,
				     size, on_reply, request));
}

static int map_region(const struct step_request *request,
		      const struct vfu_reply *reply)
{
	struct vfu_region_info info;
	void *map;

	if (reply->size < sizeof(info) || reply->n_fds != 1)
		return -EBADMSG;
	memcpy(&info, reply->payload, sizeof(info));
	if (info.size < request->size)
		return -EBADMSG;
	map = mmap(NULL, request->size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   reply->fds[0], (off_t)info.offset);
	if (map == MAP_FAILED)
		return -errno;
	*request->map = map;
	return 0;
}

static void on_region_info(void *arg, const struct vfu_reply *reply)
{
	struct step_request *request = arg;
	int err = reply->err ? reply->err : map_region(request, reply);

	if (err)
		request_failed(request, err);
	request_done(request);
}

void step_region_map(struct procedure *p, uint32_t region, uint32_t size,
		     void **map)
{
	struct step_request *request = request_new(p);

	request->region = region;
	request->size = size;
	request->map = map;
	send_failed(request,
		    vfu_client_region_info(p->hv->bridge.client, region,
					   on_region_info, request));
}

static void slept(void *arg)
{
	request_done(arg);
}

void step_sleep(struct procedure *p, uint64_t ns)
{
	struct step_request *request = request_new(p);

	loop_timer_in(p->hv->program->loop, &request->timer, ns, slept,
		      request);
}

void step_own_irq(struct procedure *p, uint32_t irq, int fd)
{
	struct step_request *request = request_new(p);

	send_failed(request,
		    vfu_client_set_irqs(p->hv->bridge.client, VFU_IRQ_MSIX, irq,
					1, &fd, 1, on_reply, request));
}

void step_sup_write(struct procedure *p, enum sup_kind kind, const void *array,
		    uint32_t size, unsigned flags)
{
	if (size)
		step_region_write(p, PLATFORM_REGION_SUPERVISOR,
				  SUP_OFFSET(kind), array, size, flags);
}

void step_sup_try(struct procedure *p, enum sup_kind kind, const void *array,
		  uint32_t size, int *err)
{
	struct step_request *request = request_new(p);

	*err = 0;
	request->region = PLATFORM_REGION_SUPERVISOR;
	request->offset = SUP_OFFSET(kind);
	request->size = size;
	request->err = err;
	send_failed(request, vfu_client_write(p->hv->bridge.client,
					      request->region, request->offset,
					      array, size, on_reply, request));
}

void step_sup_read(struct procedure *p, enum sup_kind kind, void *into,
		   uint32_t size)
{
	step_region_read(p, PLATFORM_REGION_SUPERVISOR, SUP_OFFSET(kind), into,
			 size);
}

void step_inject(struct procedure *p, uint32_t vm, uint32_t irq)
{
	const struct sup_inject inject = { .vm = vm, .irq = irq };

	step_sup_write(p, SUP_INJECT, &inject, sizeof(inject), STEP_MAY_FAIL);
}

void step_read(struct procedure *p, uint64_t mpa, void *into, uint32_t size)
{
	step_region_read(p, PLATFORM_REGION_IO, mpa, into, size);
}

void step_write(struct procedure *p, uint64_t mpa, const void *data,
		uint32_t size)
{
	step_region_write(p, PLATFORM_REGION_IO, mpa, data, size, 0);
}

void step_write32(struct procedure *p, uint64_t mpa, uint32_t value)
{
	uint8_t data[4];

	pci_put32(data, 0, value);
	step_write(p, mpa, data, sizeof(data));
}

void step_config_read(struct procedure *p, uint16_t bdf, unsigned offset,
		      void *into, uint32_t size)
{
	step_read(p, platform_config(bdf) + offset, into, size);
}

void step_config_write(struct procedure *p, uint16_t bdf, unsigned offset,
		       const void *data, uint32_t size)
{
	step_write(p, platform_config(bdf) + offset, data, size);
}

void step_config_write16(struct procedure *p, uint16_t bdf, unsigned offset,
			 uint16_t value)
{
	uint8_t data[2];

	pci_put16(data, 0, value);
	step_config_write(p, bdf, offset, data, sizeof(data));
}

void step_config_write32(struct procedure *p, uint16_t bdf, unsigned offset,
			 uint32_t value)
{
	uint8_t data[4];

	pci_put32(data, 0, value);
	step_config_write(p, bdf, offset, data, sizeof(data));
}
