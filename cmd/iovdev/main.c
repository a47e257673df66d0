/* main.c - iovdev: one I/O device. */
#include <config.h>

#include <stdio.h>

#include "cmd/iovdev/nic.h"

static struct iovdev {
	struct program program;
	struct nic_options options;
	struct nic nic;
} self;

static const struct program_desc desc = {
	.role = "iovdev",
	.points = nic_points,
	.n_points = POINT_N,
	.parts = nic_parts,
	.n_parts = PART_N,
};

static void start(void)
{
	struct complaint c;
	int err;

	err = nic_start(&self.nic, &self.program, &self.options, &c);
	if (err)
		program_stop(&self.program, program_status_of(err), "%s",
			     c.text);
	else
		program_ready(&self.program);
}

int main(int argc, char **argv)
{
	struct program *p = &self.program;
	int status;

	program_argp_desc = &desc;
	argp_program_version_hook = program_version_hook;
	argp_err_exit_status = STATUS_USAGE;
	options_parse(&self.options, argc, argv);
	if (!program_start(p, &desc, &self.options.program)) {
		start();
		program_run(p);
		nic_stop(&self.nic);
	}
	program_print_cause(p, true);
	status = program_fini(p);
	return status;
}
