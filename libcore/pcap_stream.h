/* pcap_stream.h - frames in and out as pcap (libpcap), without blocking the
 * loop.
 *
 * Reading: libpcap reads (pcap and pcapng, a file or a pipe) in a thread of
 * its own that hands frames over through a bounded queue.  Writing: libpcap
 * formats into memory, the loop writes what the descriptor takes.
 */
#ifndef IOVKIT_PCAP_STREAM_H
#define IOVKIT_PCAP_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/complaint.h"
#include "libcore/loop.h"

struct pcap_reader;
struct pcap_writer;

struct pcap_frame {
	const uint8_t *data; /* valid until pcap_reader_next() or free */
	uint32_t size;
	uint64_t time_ns; /* as captured */
};

/* path "-" is standard input.  -EBADMSG with *c: no pcap; -EPROTO: its link
 * type is not Ethernet.  The header is read before this returns for a file;
 * for a pipe errors come by the callback.  `readable` is called in the loop
 * when frames (or the end) are there. */
int pcap_reader_open(struct pcap_reader **r, struct loop *loop,
		     const char *path, loop_fn *readable, void *arg,
		     struct complaint *c) __attribute__((warn_unused_result));
/* 1: *frame is the next; 0: none now; -ENODATA: the end; -EBADMSG: the rest
 * cannot be read, *c says why and at which frame. */
int pcap_reader_next(struct pcap_reader *r, struct pcap_frame *frame,
		     struct complaint *c);
void pcap_reader_close(struct pcap_reader *r);

/* path "-" is standard output; or an fd (taken) when path is NULL.  The file
 * header is written at once.  `closed` (may be NULL) is called in the loop
 * when nothing more can be written; pcap_writer_error() says why. */
int pcap_writer_open(struct pcap_writer **w, struct loop *loop,
		     const char *path, int fd, loop_fn *closed, void *arg,
		     struct complaint *c) __attribute__((warn_unused_result));
/* True: taken.  False: the reader is slow and the bound is reached; the frame
 * is dropped and counted. */
bool pcap_writer_put(struct pcap_writer *w, const void *data, uint32_t size,
		     uint64_t time_ns);
/* Room for another frame (for callers that wait instead of dropping). */
bool pcap_writer_has_room(const struct pcap_writer *w);
/* 0; -EPIPE: the reader of a pipe went away; -ENOSPC... */
int pcap_writer_error(const struct pcap_writer *w);
uint64_t pcap_writer_dropped(const struct pcap_writer *w);
/* No more frames follow: `done` is called in the loop once all is written
 * (or `closed`, when the reader went away before).  Then close. */
void pcap_writer_finish(struct pcap_writer *w, loop_fn *done, void *arg);
/* Writes what is left (blocking at most 2 s), closes. */
void pcap_writer_close(struct pcap_writer *w);

#endif
