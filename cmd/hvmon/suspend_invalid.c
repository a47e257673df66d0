/* suspend_invalid.c - a105 by an invalid address: the translation of the rows
 * points where no function is, so that accesses are answered at once with all
 * ones, and never recorded. */
#include <config.h>

#include "cmd/hvmon/reset_procedure.h"
#include "cmd/hvmon/suspend_rows.h"

void suspend_invalid(struct procedure *p)
{
	reset_point(p, POINT_RESET_A200);
	step_suspend_rows(p, SUSPEND_ROWS_NOWHERE);
}
