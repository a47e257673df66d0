/* doorbells.c - eventfds that do what a register write would do, without the
 * bridge: asked of each function at attach, given to the VM that may write
 * the register. */
#include <config.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/rootbridge/bridge.h"

#define DOORBELLS_MAX VFU_MAX_FDS /* in one message */

struct answer {
	unsigned skip; /* so many doorbells that other parts show */
	struct vfu_io_fd sub[DOORBELLS_MAX];
	int fd[DOORBELLS_MAX];
	unsigned n;
};

void doorbells_close(struct function *f)
{
	while (f->n_doorbells)
		close(f->doorbell[--f->n_doorbells].fd);
}

/* Where vm sees [mpa, mpa + size), if a row allows it; false: nowhere. */
static bool to_guest(struct vm *vm, uint64_t mpa, uint64_t size, uint64_t *gpa)
{
	struct protection_cursor cursor = { .vm = vm->number };
	struct bridge *b = vm->bridge;
	struct protection_row row;
	uint32_t number;
	uint64_t back;

	if (vm->number == PLATFORM_HYPERVISOR) {
		*gpa = mpa;
		return true;
	}
	while (protection_next(&b->protection, &cursor, &number, &row) &&
	       number == vm->number) {
		*gpa = mpa - (uint64_t)row.offset;
		if (protection_lookup(&b->protection, vm->number, *gpa,
				      size ? size : 1,
				      &back) == PROTECTION_ALLOWED &&
		    back == mpa)
			return true;
	}
	return false;
}

static void add_function(struct vm *vm, const struct function *f,
			 struct answer *answer)
{
	uint64_t bar = bars_address(f, 0), gpa;
	const struct doorbell *bell;
	unsigned i;

	for (i = 0; bar && i < f->n_doorbells; i++) {
		bell = &f->doorbell[i];
		if (answer->n == DOORBELLS_MAX)
			return;
		if (!to_guest(vm, bar + bell->sub.offset, bell->sub.size, &gpa))
			continue;
		if (answer->skip) {
			answer->skip--;
			continue;
		}
		answer->sub[answer->n] = bell->sub;
		answer->sub[answer->n].offset = gpa;
		answer->sub[answer->n].fd_index = answer->n;
		answer->fd[answer->n++] = bell->fd;
	}
}

static void answer_io(struct vm *vm, struct vfu_request *req, uint32_t part)
{
	struct answer answer = { .skip = part * DOORBELLS_MAX };
	struct function *f = NULL;

	while ((f = bridge_next_function(vm->bridge, f)))
		if (f->vm == vm->number && !f->contained &&
		    !ownership_fenced(vm, f))
			add_function(vm, f, &answer);
	vfu_request_io_fds(req, answer.sub, answer.n, answer.fd, answer.n);
}

/* The supervisor rings this one after it pushed a verdict. */
static void answer_supervisor(const struct supervisor *s,
			      struct vfu_request *req)
{
	struct vfu_io_fd sub = { .offset = SUP_OFFSET(SUP_CHANNELS) +
					   offsetof(struct sup_channels,
						    verdicts),
				 .size = 8,
				 .type = VFU_IO_FD_IOEVENTFD };

	vfu_request_io_fds(req, &sub, 1, &s->verdict_fd, 1);
}

void doorbells_answer(struct vm *vm, struct vfu_request *req, uint32_t region)
{
	if (region == PLATFORM_REGION_IO)
		answer_io(vm, req, 0);
	else if (region >= PLATFORM_REGION_DOORBELLS)
		answer_io(vm, req, region - PLATFORM_REGION_DOORBELLS);
	else if (region == PLATFORM_REGION_SUPERVISOR && vm->decides &&
		 vm->decides->channels)
		answer_supervisor(vm->decides, req);
	else if (region >= PLATFORM_REGION_WINDOW &&
		 region < PLATFORM_REGION_GUEST)
		windows_tell(vm, req, region - PLATFORM_REGION_WINDOW);
	else
		vfu_request_io_fds(req, NULL, 0, NULL, 0);
}
