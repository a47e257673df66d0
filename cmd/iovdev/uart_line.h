/* uart_line.h - what a UART's line is connected to (--line). */
#ifndef IOVDEV_UART_LINE_H
#define IOVDEV_UART_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcore/complaint.h"
#include "libcore/event_log.h"
#include "libcore/loop.h"

struct uart_line;

struct uart_line_ops {
	/* There is something to read; told while it is wanted. */
	void (*readable)(void *arg);
	/* More can be written than last time. */
	void (*writable)(void *arg);
	/* Somebody is at the other end, or went away. */
	void (*carrier)(void *arg, bool on);
};

/* How a kind of line comes by its descriptors. */
struct uart_line_kind {
	const char *name;
	/* Nobody is at the other end any more. */
	void (*alone)(struct uart_line *line);
	void (*close)(struct uart_line *line);
};

struct uart_line {
	const struct uart_line_kind *kind;
	struct loop *loop;
	const struct uart_line_ops *ops;
	void *arg;
	int in, out; /* -1: nobody is there, or he is done */
	bool wanted;
	bool always; /* in is a file: it need not be waited for */
	struct loop_watch in_watch, out_watch;
	struct loop_deferred again; /* of such a file */
	uint64_t lost;              /* bytes that nobody was there for */
};

/* `text` is none, pty, unix:PATH or - (standard input and output).  link is
 * where the pty's name goes, as a symbolic link.  Ops may be called only
 * after it returned.  0 or -errno with *c. */
int uart_line_open(struct uart_line **line, struct loop *loop, const char *text,
		   const char *link, const struct uart_line_ops *ops, void *arg,
		   struct complaint *c) __attribute__((warn_unused_result));
void uart_line_close(struct uart_line *line);

/* Tell when there is something to read, or do not. */
void uart_line_want(struct uart_line *line, bool wanted);
/* Bytes read, at most size; 0: none are there. */
size_t uart_line_read(struct uart_line *line, uint8_t *data, size_t size);
/* Bytes taken; after fewer than size, `writable` follows.  What nobody is
 * there for is lost. */
size_t uart_line_write(struct uart_line *line, const uint8_t *data,
		       size_t size);

/* For the kinds: */

/* Somebody is there; both fds are taken, and may be the same file.  Who was
 * there before is hung up on. */
void uart_line_connect(struct uart_line *line, int in, int out);
void uart_line_hang_up(struct uart_line *line);

int uart_line_pty(struct uart_line **line, struct loop *loop, const char *link,
		  struct complaint *c) __attribute__((warn_unused_result));
int uart_line_unix(struct uart_line **line, struct loop *loop, const char *path,
		   struct complaint *c) __attribute__((warn_unused_result));

#endif
