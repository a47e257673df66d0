/* serial.c - the other end of a serial line over a LAN, for tests.
 *
 * serial INTERFACE [echo [N]]: what comes is written to standard output, and what
 * standard input has is sent; with "echo", what comes is sent back, and every Nth
 * message, in either direction, is lost.  It ends when it is told to.  Characters
 * that are lost fail it.  A break that comes is written as "<break>".  SIGUSR1 makes
 * a break; at SIGUSR2 it goes on as if it had sent three characters more.
 *
 * It knows the messages from their description in iovkit-uart(7), and uses no
 * code of hvmon's.
 */
#include <config.h>

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#define TYPE      0x88b5
#define LINES     0x03 /* DTR and RTS */
#define BREAK     0x04
#define HEADER    32 /* addresses included */
#define CHARS     64
#define RESEND_MS 100

static struct {
	int fd;
	uint8_t frame[HEADER + CHARS]; /* the message that is sent */
	unsigned n;                    /* characters in it; 0: it was taken */
	uint32_t out, in;
	uint16_t stream, heard;
	bool echo, in_over;
	bool makes_break;
	unsigned lost, messages; /* every lost-th of them; 0: none */
} self;

static void put(uint8_t *to, unsigned bytes, uint32_t value)
{
	while (bytes--) {
		to[bytes] = (uint8_t)value;
		value >>= 8;
	}
}

static uint32_t get(const uint8_t *from, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | *from++;
	return value;
}

static void open_interface(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(TYPE) };
	struct ifreq ifr = { .ifr_flags = 0 };

	self.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(TYPE));
	if (self.fd < 0)
		err(69, "socket");
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	at.sll_ifindex = (int)if_nametoindex(name);
	if (!at.sll_ifindex || ioctl(self.fd, SIOCGIFHWADDR, &ifr) ||
	    bind(self.fd, (struct sockaddr *)&at, sizeof(at)))
		err(69, "%s", name);
	memset(self.frame, 0xff, 6);
	memcpy(self.frame + 6, ifr.ifr_hwaddr.sa_data, 6);
}

static bool is_lost(void)
{
	return self.lost && !(++self.messages % self.lost);
}

/* The message that waits, or one without characters. */
static void tell(void)
{
	uint8_t *m = self.frame + 12;

	put(m, 2, TYPE);
	m[2] = 1;
	m[3] = (uint8_t)(LINES | (self.makes_break ? BREAK : 0));
	self.makes_break = false;
	put(m + 4, 2, self.n);
	put(m + 6, 2, self.stream);
	put(m + 8, 4, self.out - self.n);
	put(m + 12, 2, self.heard);
	put(m + 14, 4, self.in);
	/* A full queue is as good as a loss. */
	if (!is_lost() && write(self.fd, self.frame, HEADER - 2 + self.n) < 0 &&
	    errno != ENOBUFS)
		err(70, "write");
}

static void send_characters(const uint8_t *data, unsigned n)
{
	memcpy(self.frame + HEADER - 2, data, n);
	self.n = n;
	self.out += n;
	tell();
}

static void show(const void *data, unsigned n)
{
	if (write(STDOUT_FILENO, data, n) != (ssize_t)n)
		err(70, "standard output");
}

static void take_characters(const uint8_t *data, unsigned n)
{
	if (self.echo) {
		send_characters(data, n);
		return;
	}
	show(data, n);
	tell();
}

static void take_message(const uint8_t *m, size_t size)
{
	unsigned n = get(m + 4, 2), stream = get(m + 6, 2);
	uint32_t first = get(m + 8, 4);

	if (size < 18 || m[2] != 1 || n > size - 18)
		errx(65, "no message");
	if (stream != self.heard) {
		self.heard = (uint16_t)stream;
		self.in = first;
		if (!n)
			tell();
	}
	if (m[3] & BREAK)
		show("<break>", 7);
	if (get(m + 12, 2) == self.stream && get(m + 14, 4) == self.out)
		self.n = 0;
	if (!n)
		return;
	if ((int32_t)(first - self.in) > 0)
		errx(1, "%u characters lost", first - self.in);
	if (first != self.in || (self.echo && self.n)) {
		tell();
		return;
	}
	self.in += n;
	take_characters(m + 18, n);
}

static void on_frame(void)
{
	uint8_t frame[2048];
	struct sockaddr_ll from;
	socklen_t length = sizeof(from);
	ssize_t size = recvfrom(self.fd, frame, sizeof(frame), 0,
				(struct sockaddr *)&from, &length);

	if (size < HEADER - 2 || from.sll_pkttype == PACKET_OUTGOING ||
	    is_lost())
		return;
	memcpy(self.frame, frame + 6, 6);
	take_message(frame + 12, (size_t)size - 12);
}

static void on_input(void)
{
	uint8_t data[CHARS];
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	self.in_over = n <= 0;
	if (n > 0)
		send_characters(data, (unsigned)n);
}

static int open_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (fd < 0)
		err(70, "signalfd");
	return fd;
}

static void on_signal(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		err(70, "signalfd");
	self.makes_break = info.ssi_signo == SIGUSR1;
	if (self.makes_break)
		tell();
	else
		self.out += 3;
}

int main(int argc, char **argv)
{
	struct pollfd ready[3] = { { .events = POLLIN },
				   { .events = POLLIN },
				   { .events = POLLIN } };

	if (argc < 2)
		errx(64, "usage: serial INTERFACE [echo [N]]");
	self.echo = argc > 2;
	self.lost = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
	self.stream = (uint16_t)getpid() | 1;
	self.in_over = self.echo;
	ready[2].fd = open_signals();
	open_interface(argv[1]);
	tell();
	for (;;) {
		ready[0].fd = self.fd;
		ready[1].fd = self.in_over || self.n ? -1 : STDIN_FILENO;
		if (!poll(ready, 3, self.n ? RESEND_MS : -1))
			tell();
		if (ready[2].revents)
			on_signal(ready[2].fd);
		else if (ready[0].revents)
			on_frame();
		else if (ready[1].revents)
			on_input();
	}
}
