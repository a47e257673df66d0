/* pcap_stream_test.c - frames through files and pipes, and what is no pcap. */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcore/pcap_stream.h"
#include "t/unit/unit.h"

struct reading {
	struct loop *loop;
	struct pcap_reader *reader;
	unsigned frames, bad;
	uint64_t last_ns;
	int end;
	struct complaint why;
};

static void frame_fill(uint8_t *frame, uint32_t size, unsigned i)
{
	memset(frame, (int)i, size);
	memcpy(frame, &i, sizeof(i));
}

static void on_readable(void *arg)
{
	struct reading *in = arg;
	struct pcap_frame frame;
	int got;

	while ((got = pcap_reader_next(in->reader, &frame, &in->why)) == 1) {
		if (frame.size < 4 || memcmp(frame.data, &in->frames, 4))
			in->bad++;
		in->frames++;
		in->last_ns = frame.time_ns;
	}
	if (got < 0) {
		in->end = got;
		loop_stop(in->loop, 0);
	}
}

static void on_late(void *arg)
{
	loop_stop(arg, 1);
}

static int run(struct loop *loop)
{
	struct loop_timer late = { NULL };
	int status;

	loop_timer_in(loop, &late, 5 * NS_PER_S, on_late, loop);
	status = loop_run(loop);
	loop_timer_cancel(&late);
	return status;
}

/* Read all of path; the frames' stamps must count from 0. */
static struct reading read_all(const char *path)
{
	struct reading in = { 0 };
	int err;

	if (loop_new(&in.loop))
		abort();
	err = pcap_reader_open(&in.reader, in.loop, path, on_readable, &in,
			       &in.why);
	if (err)
		in.end = err;
	else
		CHECK_INT(run(in.loop), 0);
	if (!err)
		pcap_reader_close(in.reader);
	loop_free(in.loop);
	return in;
}

static void write_file(const char *path, unsigned n, uint32_t size)
{
	struct pcap_writer *w;
	uint8_t frame[2000];
	struct loop *loop;
	unsigned i;

	if (loop_new(&loop))
		abort();
	CHECK_INT(pcap_writer_open(&w, loop, path, -1, NULL, NULL, NULL), 0);
	for (i = 0; i < n; i++) {
		frame_fill(frame, size, i);
		CHECK(pcap_writer_put(w, frame, size, i + 5000000000ull));
	}
	CHECK_INT(pcap_writer_dropped(w), 0);
	pcap_writer_close(w);
	loop_free(loop);
}

static char *temp_path(char path[64], const char *name)
{
	snprintf(path, 64, "/tmp/iovkit-unit-%d-%s", (int)getpid(), name);
	return path;
}

static void test_file(void)
{
	struct reading in;
	char path[64];

	write_file(temp_path(path, "file"), 500, 100);
	in = read_all(path);
	CHECK_INT(in.end, -ENODATA);
	CHECK_INT(in.frames, 500);
	CHECK_INT(in.bad, 0);
	CHECK_INT(in.last_ns, 5000000499);
	unlink(path);
}

static void test_empty(void)
{
	struct reading in;
	char path[64];

	write_file(temp_path(path, "empty"), 0, 60);
	in = read_all(path);
	CHECK_INT(in.end, -ENODATA);
	CHECK_INT(in.frames, 0);
	CHECK_INT(truncate(path, 0), 0);
	CHECK_INT(read_all(path).end, -EBADMSG);
	unlink(path);
	CHECK_INT(read_all(path).end, -ENOENT);
}

static void test_garbage(void)
{
	struct reading in;
	char path[64];
	FILE *f;

	f = fopen(temp_path(path, "garbage"), "w");
	fprintf(f, "This is not a capture file at all, sorry.\n");
	fclose(f);
	in = read_all(path);
	CHECK_INT(in.end, -EBADMSG);
	CHECK_HAS(in.why.text, path);
	CHECK_HAS(in.why.text, "no pcap");
	unlink(path);
}

static void test_truncated(void)
{
	struct reading in;
	char path[64];

	write_file(temp_path(path, "cut"), 10, 100);
	CHECK_INT(truncate(path, 24 + 4 * 116 + 50), 0);
	in = read_all(path);
	CHECK_INT(in.end, -EBADMSG);
	CHECK_INT(in.frames, 4);
	CHECK_HAS(in.why.text, "frame 5");
	unlink(path);
}

static void test_link_type(void)
{
	struct reading in;
	char path[64];
	int fd;

	write_file(temp_path(path, "raw"), 1, 100);
	fd = open(path, O_WRONLY);
	CHECK_INT(pwrite(fd, "\x65", 1, 20), 1); /* DLT_RAW */
	close(fd);
	in = read_all(path);
	CHECK_INT(in.end, -EPROTO);
	CHECK_HAS(in.why.text, "not Ethernet");
	unlink(path);
}

static void test_pcapng(void)
{
	char path[64], command[512];
	struct reading in;

	if (system("command -v editcap >/dev/null 2>&1")) {
		printf("# no editcap here\n");
		return;
	}
	write_file(temp_path(path, "ng"), 20, 100);
	snprintf(command, sizeof(command),
		 "editcap -F pcapng %s %s.ng >/dev/null 2>&1 && mv %s.ng %s",
		 path, path, path, path);
	CHECK_INT(system(command), 0);
	in = read_all(path);
	CHECK_INT(in.end, -ENODATA);
	CHECK_INT(in.frames, 20);
	CHECK_INT(in.bad, 0);
	unlink(path);
}

/* Writer and reader in one loop, through a FIFO that is opened for writing
 * before it has a reader; more than all buffers hold. */
struct pump {
	struct reading in;
	struct pcap_writer *w;
	unsigned sent, n;
	struct loop_timer again;
};

static void on_pump(void *arg)
{
	struct pump *p = arg;
	uint8_t frame[1500];

	while (p->sent < p->n && pcap_writer_has_room(p->w)) {
		frame_fill(frame, sizeof(frame), p->sent);
		CHECK(pcap_writer_put(p->w, frame, sizeof(frame), p->sent));
		p->sent++;
	}
	if (p->in.frames < p->n) { /* closing blocks the reader's loop */
		loop_timer_in(p->in.loop, &p->again, NS_PER_MS, on_pump, p);
	} else {
		pcap_writer_close(p->w);
		p->w = NULL;
	}
}

static void test_pipe(void)
{
	struct pump p = { .n = 4000 };
	char path[64];

	CHECK_INT(mkfifo(temp_path(path, "fifo"), 0600), 0);
	if (loop_new(&p.in.loop))
		abort();
	CHECK_INT(pcap_writer_open(&p.w, p.in.loop, path, -1, NULL, NULL, NULL),
		  0);
	CHECK_INT(pcap_reader_open(&p.in.reader, p.in.loop, path, on_readable,
				   &p.in, &p.in.why),
		  0);
	loop_timer_in(p.in.loop, &p.again, NS_PER_MS, on_pump, &p);
	CHECK_INT(run(p.in.loop), 0);
	CHECK_INT(p.in.end, -ENODATA);
	CHECK_INT(p.in.frames, 4000);
	CHECK_INT(p.in.bad, 0);
	pcap_reader_close(p.in.reader);
	loop_free(p.in.loop);
	unlink(path);
}

static void test_pipe_garbage(void)
{
	struct reading in = { 0 };
	char path[64];
	int fd;

	CHECK_INT(mkfifo(temp_path(path, "pg"), 0600), 0);
	if (loop_new(&in.loop))
		abort();
	CHECK_INT(pcap_reader_open(&in.reader, in.loop, path, on_readable, &in,
				   &in.why),
		  0);
	fd = open(path, O_WRONLY);
	CHECK_INT(write(fd, "nothing that libpcap knows of", 29), 29);
	close(fd);
	CHECK_INT(run(in.loop), 0);
	CHECK_INT(in.end, -EBADMSG);
	pcap_reader_close(in.reader);
	/* Closing does not wait for a silent pipe. */
	CHECK_INT(pcap_reader_open(&in.reader, in.loop, path, on_readable, &in,
				   &in.why),
		  0);
	fd = open(path, O_WRONLY);
	pcap_reader_close(in.reader);
	close(fd);
	loop_free(in.loop);
	unlink(path);
}

static void on_closed(void *arg)
{
	loop_stop(arg, 0);
}

static void test_slow_reader(void)
{
	struct pcap_writer *w;
	uint8_t frame[1500] = { 0 };
	struct loop *loop;
	unsigned i, taken = 0;
	int fds[2];

	if (loop_new(&loop))
		abort();
	CHECK_INT(pipe(fds), 0);
	CHECK_INT(
		pcap_writer_open(&w, loop, NULL, fds[1], on_closed, loop, NULL),
		0);
	for (i = 0; i < 2000; i++)
		taken += pcap_writer_put(w, frame, sizeof(frame), i);
	CHECK(taken > 500 && taken < 2000);
	CHECK_INT(pcap_writer_dropped(w), 2000 - taken);
	close(fds[0]);
	CHECK_INT(run(loop), 0);
	CHECK(!pcap_writer_put(w, frame, sizeof(frame), 0));
	pcap_writer_close(w);
	loop_free(loop);
	CHECK_INT(fcntl(fds[1], F_GETFD), -1);
}

static void test_bad_output(void)
{
	struct complaint c = { "" };
	struct pcap_writer *w;
	struct loop *loop;

	if (loop_new(&loop))
		abort();
	CHECK_INT(pcap_writer_open(&w, loop, "/nowhere/x.pcap", -1, NULL, NULL,
				   &c),
		  -ENOENT);
	CHECK_HAS(c.text, "/nowhere/x.pcap");
	loop_free(loop);
}

static const struct unit_case cases[] = {
	{ "file", test_file },
	{ "empty", test_empty },
	{ "garbage", test_garbage },
	{ "truncated", test_truncated },
	{ "link_type", test_link_type },
	{ "pcapng", test_pcapng },
	{ "pipe", test_pipe },
	{ "pipe_garbage", test_pipe_garbage },
	{ "slow_reader", test_slow_reader },
	{ "bad_output", test_bad_output },
	{ NULL, NULL },
};

const struct unit_suite pcap_stream_suite = { "pcap_stream", cases };
