/* main.c - guestd: one guest VM, its VF driver and workload. */
#include <config.h>

#include <stdio.h>

#include "cmd/guestd/guestd.h"
#include "cmd/guestd/methods.h"
#include "cmd/guestd/options.h"
#include "cmd/guestd/report.h"

static const struct point_desc points[] = {
	[POINT_DRIVER_PROBE] = { "driver.probe", "a VF was found", false },
	[POINT_DRIVER_PROGRAM] = { "driver.program",
				   "its queues and MSI-X are programmed",
				   false },
	[POINT_DRIVER_1301] = { "driver.1301", "a link interrupt came", false },
	[POINT_DRIVER_1302] = { "driver.1302", "ask for link and bandwidth",
				false },
	[POINT_DRIVER_1303] = { "driver.1303", "keep them", false },
	[POINT_SEND_1401] = { "send.1401", "is the link up?", true },
	[POINT_SEND_1402] = { "send.1402", "no: error", true },
	[POINT_SEND_1405] = { "send.1405", "is an entry free?", true },
	[POINT_SEND_1406] = { "send.1406", "no: error", true },
	[POINT_SEND_1407] = { "send.1407", "fill buffer and entry", true },
	[POINT_SEND_1408] = { "send.1408", "move the write index", true },
	[POINT_RECEIVE_1501] = { "receive.1501", "look at the write index",
				 true },
	[POINT_RECEIVE_1502] = { "receive.1502", "do the indexes differ?",
				 true },
	[POINT_RECEIVE_1503] = { "receive.1503", "status good: take the frame",
				 true },
	[POINT_RECEIVE_1504] = { "receive.1504",
				 "give the entry a fresh buffer", true },
	[POINT_RECEIVE_1505] = { "receive.1505", "move the read index", true },
};
_Static_assert(sizeof(points) / sizeof(*points) == POINT_N, "one row a point");

static const struct program_desc desc = {
	.role = "guestd",
	.points = points,
	.n_points = POINT_N,
};

static struct guest self;

static void notice(const struct guest *g, const char *text)
{
	fprintf(stderr, "guestd: %s: %s: %s\n", g->program.machine.name,
		g->program.name, text);
}

int main(int argc, char **argv)
{
	char line[512];
	int status;

	self.notice = notice;
	program_argp_desc = &desc;
	argp_program_version_hook = program_version_hook;
	argp_parse(&guest_argp, argc, argv, 0, NULL, &self.options);
	status = program_start(&self.program, &desc, &self.options.program);
	if (status == 0) {
		control_add_methods(self.program.control, guest_methods, &self);
		control_add_tables(self.program.control, report_tables, &self);
		status = guest_start(&self);
	}
	if (status == 0)
		status = program_run(&self.program);
	if (self.program.cause.text[0])
		fprintf(stderr, "guestd: %s: %s\n", self.program.machine.name,
			self.program.cause.text);
	if (self.over)
		fprintf(stderr, "guestd: %s: %s: %s\n",
			self.program.machine.name, self.program.name,
			report_line(&self, line, sizeof(line)));
	guest_fini(&self);
	program_fini(&self.program);
	return status;
}
