/* rigvm.c - a VM's side of the bus, by script: rigvm SOCKET <COMMANDS
 *
 *	read ADDRESS SIZE [REGION]	write ADDRESS HEX [REGION]
 *	post ADDRESS HEX [REGION]	wait (for all replies so far)
 *	row set|delete VM FIRST LAST OFFSET allowed|denied|fenced|owner
 *	assign BDF VM|none		route BDF VECTOR VM|none IRQ
 *	inject VM IRQ			claim BDF EPOCH | release BDF EPOCH
 *	successor BDF VM ORDER		share VM VM
 *	watch BDF			unmap VM
 *	reach BDF VM IOVA [off]		reach 0 VM BY [off]
 *	supervisor VM VM
 *	reset VM			irq INDEX VECTOR | irq INDEX VECTOR off
 *	channels			verdict SERIAL done|fail|ones|again [HEX]
 *	doorbells			ring N
 *	raw HEX				memory OFFSET HEX | memory OFFSET SIZE
 *	map REGION (memory is that region from then on)
 *	stay (after the end of input)
 *
 * Every reply, interrupt and exception is a line.  Ends at the end of input
 * when all is answered; with 71 when the bridge hangs up.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcore/channel.h"
#include "libcore/loop.h"
#include "libcore/status.h"
#include "libcore/supervisor.h"
#include "libcore/unixsock.h"
#include "libcore/vfu_client.h"

#define WORDS_MAX 8
#define DATA_MAX  (1u << 20)

struct irq {
	struct loop_watch watch;
	uint32_t index, vector;
	int fd;
};

struct rig {
	struct loop *loop;
	struct vfu_client *client;
	int raw_fd;
	struct loop_watch input;
	char line[1 << 16];
	size_t used;
	unsigned left; /* replies to come */
	bool waiting, eof, stay;
	struct sup_channels *channels;
	int verdict_fd;
	int bell[VFU_MAX_FDS];
	unsigned n_bells;
	uint8_t *memory;
	size_t memory_size;
};

static struct rig self;

struct asked {
	char what[96];
	uint32_t read; /* bytes */
};

static void work(void *arg);
static void ask_exceptions(void *arg, uint32_t events);

static void answered(struct rig *rig)
{
	rig->left--;
	if (!rig->left && rig->waiting) {
		rig->waiting = false;
		work(rig);
	} else if (!rig->left && rig->eof && !rig->stay) {
		loop_stop(rig->loop, 0);
	}
}

static void print_hex(const uint8_t *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		printf("%02x", data[i]);
}

static void on_reply(void *arg, const struct vfu_reply *reply)
{
	struct asked *asked = arg;
	const uint8_t *data;

	printf("%s: ", asked->what);
	data = asked->read ? vfu_reply_data(reply, asked->read) : NULL;
	if (reply->err)
		printf("error %s\n", strerrorname_np(-reply->err));
	else if (data)
		print_hex(data, asked->read), putchar('\n');
	else
		printf("ok\n");
	free(asked);
	answered(&self);
}

static struct asked *ask(struct rig *rig, uint32_t read, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static struct asked *ask(struct rig *rig, uint32_t read, const char *fmt, ...)
{
	struct asked *asked = calloc(1, sizeof(*asked));
	va_list ap;

	if (!asked)
		abort();
	va_start(ap, fmt);
	vsnprintf(asked->what, sizeof(asked->what), fmt, ap);
	va_end(ap);
	asked->read = read;
	rig->left++;
	return asked;
}

static size_t parse_hex(const char *text, uint8_t *data)
{
	size_t n = 0;
	unsigned byte;

	while (text && sscanf(text + 2 * n, "%2x", &byte) == 1 &&
	       n < DATA_MAX) {
		data[n++] = (uint8_t)byte;
		if (!text[2 * n - 1])
			break;
	}
	return n;
}

static uint64_t number(const char *text)
{
	return text ? strtoull(text, NULL, 0) : 0;
}

static uint32_t vm_number(const char *text)
{
	return text && !strcmp(text, "none") ? PLATFORM_VM_NONE
					     : (uint32_t)number(text);
}

static void supervise(struct rig *rig, enum sup_kind kind, const char *what,
		      const void *entry, uint32_t size)
{
	(void)vfu_client_write(rig->client, PLATFORM_REGION_SUPERVISOR,
			       SUP_OFFSET(kind), entry, size, on_reply,
			       ask(rig, 0, "%s", what));
}

static void do_access(struct rig *rig, char **w)
{
	static uint8_t data[DATA_MAX];
	uint64_t address = number(w[1]);
	uint32_t region = (uint32_t)number(w[3]), n;

	if (w[0][0] == 'r') {
		n = (uint32_t)number(w[2]);
		(void)vfu_client_read(rig->client, region, address, n, on_reply,
				      ask(rig, n, "read %s", w[1]));
		return;
	}
	n = (uint32_t)parse_hex(w[2], data);
	if (w[0][0] == 'p')
		(void)vfu_client_write(rig->client, region, address, data, n,
				       NULL, NULL);
	else
		(void)vfu_client_write(rig->client, region, address, data, n,
				       on_reply, ask(rig, 0, "write %s", w[1]));
}

static uint16_t row_flag(const char *word)
{
	if (word && !strcmp(word, "denied"))
		return SUP_ROW_DENIED;
	if (word && !strcmp(word, "owner"))
		return SUP_ROW_OWNER;
	return word && !strcmp(word, "fenced") ? SUP_ROW_FENCED
					       : SUP_ROW_ALLOWED;
}

static void do_row(struct rig *rig, char **w)
{
	struct sup_row row = { .op = !strcmp(w[1], "set") ? SUP_ROW_SET
							  : SUP_ROW_DELETE,
			       .vm = (uint32_t)number(w[2]),
			       .first = number(w[3]),
			       .last = number(w[4]),
			       .offset = w[5] ? strtoll(w[5], NULL, 0) : 0,
			       .flag = row_flag(w[6]) };

	supervise(rig, SUP_ROWS, "row", &row, sizeof(row));
}

static void do_assign(struct rig *rig, char **w)
{
	struct sup_assign assign = { .bdf = (uint16_t)number(w[1]),
				     .vm = vm_number(w[2]) };

	supervise(rig, SUP_ASSIGN, "assign", &assign, sizeof(assign));
}

static void do_route(struct rig *rig, char **w)
{
	struct sup_route route = { .bdf = (uint16_t)number(w[1]),
				   .vector = (uint16_t)number(w[2]),
				   .vm = vm_number(w[3]),
				   .irq = (uint32_t)number(w[4]),
				   .in_use = 1 };

	supervise(rig, SUP_ROUTES, "route", &route, sizeof(route));
}

static void do_inject(struct rig *rig, char **w)
{
	struct sup_inject inject = { (uint32_t)number(w[1]),
				     (uint32_t)number(w[2]) };

	supervise(rig, SUP_INJECT, "inject", &inject, sizeof(inject));
}

static void do_claim(struct rig *rig, char **w)
{
	struct sup_claim claim = { .bdf = (uint16_t)number(w[1]),
				   .expected_epoch = (uint32_t)number(w[2]) };

	if (w[0][0] == 'r')
		claim.action = SUP_CLAIM_RELEASE;
	supervise(rig, SUP_CLAIM, w[0], &claim, sizeof(claim));
}

static void do_successor(struct rig *rig, char **w)
{
	struct sup_successor successor = { .bdf = (uint16_t)number(w[1]),
					   .vm = (uint32_t)number(w[2]),
					   .order = (uint16_t)number(w[3]) };

	supervise(rig, SUP_SUCCESSORS, "successor", &successor,
		  sizeof(successor));
}

static void do_share(struct rig *rig, char **w)
{
	struct sup_share share = { { (uint32_t)number(w[1]),
				     (uint32_t)number(w[2]) } };

	supervise(rig, SUP_SHARES, "share", &share, sizeof(share));
}

static void do_supervisor(struct rig *rig, char **w)
{
	struct sup_supervisor sup = { (uint32_t)number(w[1]),
				      (uint32_t)number(w[2]) };

	supervise(rig, SUP_SUPERVISORS, "supervisor", &sup, sizeof(sup));
}

static void do_watch(struct rig *rig, char **w)
{
	struct sup_watch watch = { .bdf = (uint16_t)number(w[1]) };

	supervise(rig, SUP_WATCH, "watch", &watch, sizeof(watch));
}

static void do_reach(struct rig *rig, char **w)
{
	struct sup_map map = { .bdf = (uint16_t)number(w[1]),
			       .vm = (uint32_t)number(w[2]),
			       .on = !w[4] };

	if (map.bdf)
		map.iova = number(w[3]);
	else
		map.by = (uint32_t)number(w[3]);
	supervise(rig, SUP_MAPS, "reach", &map, sizeof(map));
}

static void do_unmap(struct rig *rig, char **w)
{
	struct sup_vm_op op = { (uint32_t)number(w[1]), SUP_VM_UNMAP };

	supervise(rig, SUP_VMS, "unmap", &op, sizeof(op));
}

static void do_reset(struct rig *rig, char **w)
{
	struct sup_vm_op op = { (uint32_t)number(w[1]), SUP_VM_RESET };

	supervise(rig, SUP_VMS, "reset", &op, sizeof(op));
}

static void on_irq(void *arg, uint32_t events)
{
	struct irq *irq = arg;
	uint64_t n;

	(void)events;
	if (read(irq->fd, &n, sizeof(n)) == sizeof(n))
		printf("irq %u %u: %" PRIu64 "\n", irq->index, irq->vector, n);
}

static void do_irq(struct rig *rig, char **w)
{
	struct irq *irq = calloc(1, sizeof(*irq));

	if (!irq)
		abort();
	irq->index = (uint32_t)number(w[1]);
	irq->vector = (uint32_t)number(w[2]);
	irq->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!w[3] && loop_watch_add(rig->loop, &irq->watch, irq->fd, EPOLLIN,
				    on_irq, irq) < 0)
		abort();
	(void)vfu_client_set_irqs(rig->client, irq->index, irq->vector, 1,
				  &irq->fd, w[3] ? 0 : 1, on_reply,
				  ask(rig, 0, "set_irqs"));
}

static void on_bells(void *arg, const struct vfu_reply *reply)
{
	struct rig *rig = arg;
	struct vfu_io_fd sub;
	struct vfu_io_fds io;
	unsigned i;

	memcpy(&io, reply->payload, sizeof(io));
	for (i = 0; i < io.count; i++) {
		memcpy(&sub, reply->payload + sizeof(io) + i * sizeof(sub),
		       sizeof(sub));
		printf("doorbell %u at 0x%" PRIx64 "\n", i, sub.offset);
		rig->bell[rig->n_bells++] = dup(reply->fds[sub.fd_index]);
	}
	printf("doorbells: %u\n", io.count);
	answered(rig);
}

static void do_ring(struct rig *rig, char **w)
{
	uint64_t one = 1;

	if (write(rig->bell[number(w[1])], &one, sizeof(one)) < 0)
		printf("ring: error\n");
}

/* The supervisor's channels. */

static void print_exception(const struct sup_exception *ex)
{
	static const char *const types[] = {
		"?",       "access", "attached",   "removed",  "contained",
		"started", "lost",   "unanswered", "released", "uncontained",
	};
	_Static_assert(sizeof(types) / sizeof(types[0]) == SUP_EX_TYPE_N,
		       "a name for each type");

	printf("exception %s", types[ex->type < SUP_EX_TYPE_N ? ex->type : 0]);
	if (ex->type == SUP_EX_ACCESS) {
		printf(" %" PRIu64 " vm%u %s%s%s 0x%" PRIx64 " %u", ex->serial,
		       ex->vm, ex->flags & SUP_EX_WRITE ? "write" : "read",
		       ex->flags & SUP_EX_POSTED ? " posted" : "",
		       ex->flags & SUP_EX_DENIED ? " denied" : "", ex->gpa,
		       ex->size);
		if (ex->flags & SUP_EX_WRITE)
			putchar(' '), print_hex(ex->data, ex->size);
	} else if (ex->vm != PLATFORM_VM_NONE) {
		printf(" vm%u", ex->vm);
	}
	if (ex->bdf)
		printf(" bdf 0x%04x", ex->bdf);
	putchar('\n');
}

static void ask_exceptions(void *arg, uint32_t events)
{
	static struct sup_exception ex;
	struct rig *rig = arg;

	(void)events;
	while (rig->channels &&
	       channel_pop(&rig->channels->exceptions, &ex, sizeof(ex)) > 0)
		print_exception(&ex);
}

static void on_exception(void *arg, uint32_t events)
{
	struct irq *irq = arg;
	uint64_t n;

	if (read(irq->fd, &n, sizeof(n)) == sizeof(n))
		ask_exceptions(&self, events);
}

static void on_channels(void *arg, const struct vfu_reply *reply)
{
	struct rig *rig = arg;
	void *hva;

	hva = reply->n_fds
		      ? mmap(NULL, SUP_CHANNELS_SIZE, PROT_READ | PROT_WRITE,
			     MAP_SHARED, reply->fds[0],
			     (off_t)SUP_OFFSET(SUP_CHANNELS))
		      : MAP_FAILED;
	if (hva == MAP_FAILED) {
		printf("channels: error\n");
	} else {
		rig->channels = hva;
		printf("channels: ok\n");
		ask_exceptions(rig, 0);
	}
	answered(rig);
}

static void on_verdict_fd(void *arg, const struct vfu_reply *reply)
{
	struct rig *rig = arg;

	if (reply->n_fds)
		rig->verdict_fd = dup(reply->fds[0]);
	answered(rig);
}

static void do_channels(struct rig *rig)
{
	struct irq *irq = calloc(1, sizeof(*irq));

	if (!irq)
		abort();
	irq->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop_watch_add(rig->loop, &irq->watch, irq->fd, EPOLLIN,
			   on_exception, irq) < 0)
		abort();
	rig->left += 2;
	(void)vfu_client_region_info(rig->client, PLATFORM_REGION_SUPERVISOR,
				     on_channels, rig);
	(void)vfu_client_io_fds(rig->client, PLATFORM_REGION_SUPERVISOR,
				on_verdict_fd, rig);
	(void)vfu_client_set_irqs(rig->client, VFU_IRQ_REQ, 0, 1, &irq->fd, 1,
				  on_reply, ask(rig, 0, "set_irqs"));
}

static void do_verdict(struct rig *rig, char **w)
{
	struct sup_verdict v = { .serial = number(w[1]) };
	uint64_t one = 1;

	switch (w[2][0]) {
	case 'd':
		v.action = SUP_VERDICT_DONE;
		break;
	case 'f':
		v.action = SUP_VERDICT_FAIL;
		v.error = EIO;
		break;
	case 'o':
		v.action = SUP_VERDICT_UNSUPPORTED;
		break;
	default:
		v.action = SUP_VERDICT_AGAIN;
	}
	v.size = (uint32_t)parse_hex(w[3], v.data);
	if (channel_push(&rig->channels->verdicts, &v, sup_verdict_bytes(&v)) ||
	    write(rig->verdict_fd, &one, sizeof(one)) < 0)
		printf("verdict: error\n");
}

static void on_memory(void *arg, const struct vfu_reply *reply)
{
	struct rig *rig = arg;
	struct vfu_region_info info;

	memcpy(&info, reply->payload, sizeof(info));
	if (rig->memory_size)
		munmap(rig->memory, rig->memory_size);
	rig->memory_size = info.size;
	rig->memory = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   reply->n_fds ? reply->fds[0] : -1, 0);
	printf("memory: %" PRIu64 "\n", info.size);
	answered(rig);
}

/* One word maps it; then OFFSET SIZE prints and OFFSET =HEX sets. */
static void do_memory(struct rig *rig, char **w)
{
	uint64_t offset = number(w[1]);

	if (!w[1]) {
		rig->left++;
		(void)vfu_client_region_info(
			rig->client, PLATFORM_REGION_MEMORY, on_memory, rig);
	} else if (!strcmp(w[0], "map")) {
		rig->left++;
		(void)vfu_client_region_info(rig->client, (uint32_t)offset,
					     on_memory, rig);
	} else if (w[2][0] == '=') {
		parse_hex(w[2] + 1, rig->memory + offset);
	} else {
		printf("memory %s: ", w[1]);
		print_hex(rig->memory + offset, number(w[2]));
		putchar('\n');
	}
}

static void do_raw(struct rig *rig, char **w)
{
	static uint8_t data[DATA_MAX];
	size_t n = parse_hex(w[1], data);

	if (send(rig->raw_fd, data, n, MSG_NOSIGNAL) < 0)
		printf("raw: error\n");
}

static void command(struct rig *rig, char *line)
{
	char *w[WORDS_MAX + 1] = { NULL }, *save;
	unsigned n = 0;

	for (w[0] = strtok_r(line, " \t", &save); w[n] && n < WORDS_MAX;)
		w[++n] = strtok_r(NULL, " \t", &save);
	if (!w[0] || w[0][0] == '#')
		return;
	if (!strcmp(w[0], "read") || !strcmp(w[0], "write") ||
	    !strcmp(w[0], "post"))
		do_access(rig, w);
	else if (!strcmp(w[0], "wait"))
		rig->waiting = rig->left > 0;
	else if (!strcmp(w[0], "row"))
		do_row(rig, w);
	else if (!strcmp(w[0], "assign"))
		do_assign(rig, w);
	else if (!strcmp(w[0], "route"))
		do_route(rig, w);
	else if (!strcmp(w[0], "inject"))
		do_inject(rig, w);
	else if (!strcmp(w[0], "claim") || !strcmp(w[0], "release"))
		do_claim(rig, w);
	else if (!strcmp(w[0], "successor"))
		do_successor(rig, w);
	else if (!strcmp(w[0], "share"))
		do_share(rig, w);
	else if (!strcmp(w[0], "supervisor"))
		do_supervisor(rig, w);
	else if (!strcmp(w[0], "watch"))
		do_watch(rig, w);
	else if (!strcmp(w[0], "reach"))
		do_reach(rig, w);
	else if (!strcmp(w[0], "unmap"))
		do_unmap(rig, w);
	else if (!strcmp(w[0], "reset"))
		do_reset(rig, w);
	else if (!strcmp(w[0], "irq"))
		do_irq(rig, w);
	else if (!strcmp(w[0], "channels"))
		do_channels(rig);
	else if (!strcmp(w[0], "verdict"))
		do_verdict(rig, w);
	else if (!strcmp(w[0], "doorbells"))
		rig->left++,
			(void)vfu_client_io_fds(rig->client, PLATFORM_REGION_IO,
						on_bells, rig);
	else if (!strcmp(w[0], "ring"))
		do_ring(rig, w);
	else if (!strcmp(w[0], "memory") || !strcmp(w[0], "map"))
		do_memory(rig, w);
	else if (!strcmp(w[0], "raw"))
		do_raw(rig, w);
	else if (!strcmp(w[0], "stay"))
		rig->stay = true;
	else
		printf("no command '%s'\n", w[0]);
}

/* Whole lines, until one waits. */
static void work(void *arg)
{
	struct rig *rig = arg;
	char *newline;
	size_t n;

	while (!rig->waiting &&
	       (newline = memchr(rig->line, '\n', rig->used))) {
		*newline = '\0';
		command(rig, rig->line);
		n = (size_t)(newline - rig->line) + 1;
		memmove(rig->line, rig->line + n, rig->used - n);
		rig->used -= n;
	}
	if (rig->eof && !rig->waiting && !rig->left && !rig->stay)
		loop_stop(rig->loop, 0);
}

static void on_input(void *arg, uint32_t events)
{
	struct rig *rig = arg;
	ssize_t n;

	(void)events;
	n = read(STDIN_FILENO, rig->line + rig->used,
		 sizeof(rig->line) - rig->used);
	if (n <= 0) {
		loop_watch_del(&rig->input);
		rig->eof = true;
	} else {
		rig->used += (size_t)n;
	}
	work(rig);
}

static void on_ready(void *arg, int err, const char *why)
{
	struct rig *rig = arg;

	if (err) {
		printf("refused: %s\n", why);
		loop_stop(rig->loop, STATUS_DATA);
		return;
	}
	printf("ready\n");
	if (loop_watch_add(rig->loop, &rig->input, STDIN_FILENO, EPOLLIN,
			   on_input, rig) < 0)
		loop_stop(rig->loop, STATUS_INTERNAL);
}

static void on_closed(void *arg, int err, const char *why)
{
	struct rig *rig = arg;

	printf("closed: %s\n", why ? why : err ? "error" : "hung up");
	loop_stop(rig->loop, STATUS_SHUTDOWN);
}

static const struct vfu_client_ops ops = {
	.ready = on_ready,
	.closed = on_closed,
	.keep_pending = true,
};

int main(int argc, char **argv)
{
	struct rig *rig = &self;
	int fd, status;

	if (argc != 2) {
		fprintf(stderr, "usage: rigvm SOCKET <COMMANDS\n");
		return STATUS_USAGE;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = unixsock_connect(argv[1]);
	if (fd < 0 || loop_new(&rig->loop) < 0) {
		fprintf(stderr, "rigvm: %s: %s\n", argv[1], strerror(-fd));
		return STATUS_MISSING;
	}
	rig->verdict_fd = -1;
	rig->raw_fd = dup(fd);
	if (vfu_client_new(&rig->client, rig->loop, fd, &ops, rig) < 0)
		return STATUS_INTERNAL;
	status = loop_run(rig->loop);
	fflush(stdout);
	/* What it allocated goes with the process. */
	_exit(status);
}
