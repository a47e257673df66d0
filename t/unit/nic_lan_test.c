/* nic_lan_test.c - the LAN side of the real iovdev, and captures. */
#include <config.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "t/unit/nic_world.h"
#include "t/unit/unit.h"

static void test_capture(void)
{
	struct nic_world w;
	struct nic_guest *g = w.guest;
	uint8_t text[4096];
	int fds[2], asked;
	ssize_t n, got;

	nic_world_open(&w, NULL);
	CHECK_INT(pipe(fds), 0);
	asked = nic_rig_ask(&w.rig, "capture",
			    "{\"function\":\"nic0/vf1\",\"count\":2}", fds[1]);
	close(fds[1]);
	CHECK(nic_rig_await(&w.rig, "\"ev\":\"capture.start\""));
	guest_send(&g[1], 2, 1, 100);
	guest_send(&g[2], 1, 2, 60);
	guest_send(&g[2], 1, 3, 60);
	CHECK_HAS(nic_rig_answer(asked, w.answer, sizeof(w.answer)),
		  "\"frames\":2");
	for (n = 0; (got = read(fds[0], text + n, sizeof(text) - n)) > 0;)
		n += got;
	CHECK_INT(n, 24 + 16 + 100 + 16 + 60);
	close(fds[0]);
	/* The reader goes away: the capture ends by itself. */
	CHECK_INT(pipe(fds), 0);
	asked = nic_rig_ask(&w.rig, "capture", "{\"function\":\"nic0/vf1\"}",
			    fds[1]);
	close(fds[1]);
	close(fds[0]);
	CHECK_HAS(nic_rig_answer(asked, w.answer, sizeof(w.answer)),
		  "reader gone");
	CHECK_HAS(nic_rig_rpc(&w.rig, "capture", "{\"function\":\"nic0/vf1\"}",
			      w.answer, sizeof(w.answer)),
		  "\"error\"");
	nic_world_close(&w);
}

static void test_lan_pcap(void)
{
	char path[] = "/tmp/iovkit-unit-lan-XXXXXX", option[64];
	struct nic_world w;
	struct stat st;
	int fd = mkstemp(path);

	snprintf(option, sizeof(option), "pcap:%s", path);
	nic_world_open(&w, (const char *[]){ "--lan", option, NULL });
	guest_send(&w.guest[1], 0, 1, 100);
	guest_send(&w.guest[1], 2, 2, 100); /* stays inside */
	guest_send(&w.guest[1], 99, 3, 200);
	CHECK(guest_sent(&w.guest[1], RIG_PATIENCE_MS));
	nic_world_close(&w);
	CHECK_INT(fstat(fd, &st), 0);
	CHECK_INT(st.st_size, 24 + 16 + 100 + 16 + 200);
	close(fd);
	unlink(path);
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(0x88b5) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x88b5));

	ll.sll_ifindex = (int)if_nametoindex(name);
	CHECK(ll.sll_ifindex > 0);
	CHECK_INT(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), 0);
	return fd;
}

static void test_lan_tap(void)
{
	char name[IFNAMSIZ], option[64];
	uint8_t frame[200] = { 0x02, 0x69, 0x6f, 0, 0, 3, 2, 2, 2, 2, 2, 2 };
	struct nic_world w;
	struct pollfd p = { .events = POLLIN };
	uint32_t number = 55;
	unsigned i;
	int64_t got;

	if (geteuid() || access("/dev/net/tun", R_OK | W_OK)) {
		printf("# no TAP here\n");
		return;
	}
	snprintf(name, sizeof(name), "iovu%d", (int)getpid() % 100000);
	snprintf(option, sizeof(option), "tap:%s", name);
	nic_world_open(&w, (const char *[]){ "--lan", option, NULL });
	p.fd = packet_socket(name);
	guest_send(&w.guest[1], 0, 1, 100);
	CHECK_INT(poll(&p, 1, RIG_PATIENCE_MS), 1);
	CHECK_INT(recv(p.fd, frame + 100, 100, MSG_DONTWAIT), 100);
	frame[12] = 0x88;
	frame[13] = 0xb5;
	memcpy(frame + 14, &number, sizeof(number));
	for (i = 18; i < 64; i++)
		frame[i] = (uint8_t)(number * 31 + i);
	CHECK_INT(send(p.fd, frame, 64, 0), 64);
	do { /* the host speaks there too (IPv6) */
		got = guest_receive(&w.guest[3], RIG_PATIENCE_MS);
	} while (got != 55 && got != -1);
	CHECK_INT(got, 55);
	close(p.fd);
	nic_world_close(&w);
	CHECK_INT(if_nametoindex(name), 0);
}

static const struct unit_case cases[] = {
	{ "capture", test_capture },
	{ "lan_pcap", test_lan_pcap },
	{ "lan_tap", test_lan_tap },
	{ NULL, NULL },
};

const struct unit_suite nic_lan_suite = { "nic_lan", cases };
