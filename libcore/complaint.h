/* complaint.h - what is wrong and where, in words for a person.
 *
 * libcore never prints.  A function that reads something written by a person
 * or sent by a peer takes a complaint and fills it when it fails.
 */
#ifndef IOVKIT_COMPLAINT_H
#define IOVKIT_COMPLAINT_H

struct complaint {
	char text[320]; /* one sentence, no newline, no final period */
};

/* Fill *c (NULL is allowed) and return -err.  err is a positive errno. */
int complain(struct complaint *c, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "PREFIX: " in front of what *c says; returns err unchanged. */
int complain_at(struct complaint *c, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
