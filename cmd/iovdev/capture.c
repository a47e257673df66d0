/* capture.c - taps on functions: `iovctl capture FUNCTION -w -`. */
#include <config.h>

#include "cmd/iovdev/capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/iovdev/nic.h"
#include "libcore/pcap_stream.h"

struct capture {
	LIST_ENTRY(capture) entry;
	struct function *function;
	struct pcap_writer *writer;
	struct control_call *call; /* NULL: the caller is gone */
	uint64_t frames, limit;
	bool full; /* the limit is reached; the rest is being written */
	uint8_t frame[NIC_FRAME_MAX];
};

uint64_t wall_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void capture_end(struct capture *capture, const char *why)
{
	struct function *f = capture->function;
	uint64_t dropped = pcap_writer_dropped(capture->writer);

	LIST_REMOVE(capture, entry);
	pcap_writer_close(capture->writer);
	event(f->nic->log, "capture.end", "s:s, s:s, s:I, s:I", "function",
	      f->name, "why", why, "frames", (json_int_t)capture->frames,
	      "dropped", (json_int_t)dropped);
	if (capture->call)
		control_reply(capture->call,
			      json_pack("{s:s, s:I, s:I}", "why", why, "frames",
					(json_int_t)capture->frames, "dropped",
					(json_int_t)dropped));
	free(capture);
}

static void on_reader_gone(void *arg)
{
	struct capture *capture = arg;
	int err = pcap_writer_error(capture->writer);

	if (capture->full)
		capture_end(capture, "count");
	else if (err == -EPIPE)
		capture_end(capture, "reader gone");
	else
		capture_end(capture, strerror(-err));
}

static void on_caller_gone(void *arg)
{
	struct capture *capture = arg;

	capture->call = NULL;
	capture_end(capture, "caller gone");
}

static void on_written(void *arg)
{
	capture_end(arg, "count");
}

void capture_start(struct function *f, struct control_call *call, int fd,
		   uint64_t count)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	struct complaint c = { "no memory" };

	if (!capture) {
		close(fd);
		control_fail(call, RPC_INTERNAL, "capture: %s", c.text);
		return;
	}
	if (pcap_writer_open(&capture->writer, f->nic->loop, NULL, fd,
			     on_reader_gone, capture, &c)) {
		free(capture);
		control_fail(call, RPC_FAILED, "capture: %s", c.text);
		return;
	}
	capture->function = f;
	capture->call = call;
	capture->limit = count;
	LIST_INSERT_HEAD(&f->captures, capture, entry);
	control_on_hangup(call, on_caller_gone, capture);
	event(f->nic->log, "capture.start", "s:s, s:I", "function", f->name,
	      "count", (json_int_t)count);
}

static void put(struct capture *capture, const struct frame *frame)
{
	if (capture->full)
		return;
	frame_copy(capture->frame, frame);
	if (!pcap_writer_put(capture->writer, capture->frame, frame->size,
			     wall_clock_ns()))
		return;
	capture->frames++;
	if (capture->frames != capture->limit)
		return;
	capture->full = true;
	pcap_writer_finish(capture->writer, on_written, capture);
}

void capture_frame(struct function *f, const struct frame *frame)
{
	struct capture *capture;

	LIST_FOREACH (capture, &f->captures, entry)
		put(capture, frame);
}

void capture_end_all(struct function *f)
{
	struct capture *capture;

	while ((capture = LIST_FIRST(&f->captures)))
		capture_end(capture, "device ends");
}
