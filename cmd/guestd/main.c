/* main.c - guestd: one guest VM, its VF driver and workload. */
#include <config.h>

#include <stdio.h>

#include "cmd/guestd/access_cost.h"
#include "cmd/guestd/card.h"
#include "cmd/guestd/card_hold.h"
#include "cmd/guestd/card_reset.h"
#include "cmd/guestd/guestd.h"
#include "cmd/guestd/methods.h"
#include "cmd/guestd/options.h"
#include "cmd/guestd/report.h"
#include "cmd/guestd/role.h"
#include "cmd/guestd/successor.h"

static const struct program_desc desc = {
	.role = "guestd",
	.points = guest_points,
	.n_points = POINT_N,
	.parts = guest_parts,
	.n_parts = PART_N,
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
		control_add_methods(self.program.control, card_hold_methods,
				    &self);
		control_add_methods(self.program.control, card_reset_methods,
				    &self);
		control_add_methods(self.program.control, access_cost_methods,
				    &self);
		control_add_tables(self.program.control, report_tables, &self);
		control_add_tables(self.program.control, card_tables, &self);
		control_add_tables(self.program.control, tlb_tables, &self);
		control_add_tables(self.program.control, successor_tables,
				   &self);
		control_add_methods(self.program.control, role_methods, &self);
		control_add_tables(self.program.control, role_tables, &self);
		status = guest_start(&self);
	}
	if (status == 0)
		status = program_run(&self.program);
	program_print_cause(&self.program, false);
	if (self.over)
		fprintf(stderr, "guestd: %s: %s: %s\n",
			self.program.machine.name, self.program.name,
			report_line(&self, line, sizeof(line)));
	guest_fini(&self);
	program_fini(&self.program);
	return status;
}
