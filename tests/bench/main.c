// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What Merlon's kernel part costs, in figures; tests/bench/run makes a table of
 * them.  On a kernel without it only what there is to compare with is measured.
 * Nothing here fails for being slow.
 */
#include <stdio.h>
#include <string.h>

#include "lib/vmi.h"
#include "suites.h"

/* The first must stay the first: nothing may have been used before it. */
static const struct test_suite *const suites[] = {
	&suite_unused,
	&suite_attached,
	&suite_other,
	&suite_map,
	&suite_covered,
	&suite_vmm,
	&suite_violation,
	&suite_change,
	&suite_size,
	&suite_fetch,
	&suite_policy,
	&suite_pin,
	&suite_isolation,
	NULL
};

/* On a host that is told to have the CPU check sub-pages. */
static const struct test_suite *const suites_hardware[] = {
	&suite_hardware,
	NULL
};

static const struct test_suite *const suites_without[] = {
	&suite_unused,
	&suite_vmm,
	&suite_isolation,
	NULL
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--list")) {
		tap_list(suites);
		return 0;
	}
	if (argc > 1 && argv[1][0] == '-') {
		fprintf(stderr, "usage: kvm_bench [--list | hardware[.CASE]... | SUITE[.CASE]...]\n");
		return 2;
	}
	if (argc > 1 && !strncmp(argv[1], "hardware", strlen("hardware")))
		return tap_run(suites_hardware, argv + 1, argc - 1);
	return tap_run(vmi_in_kernel() ? suites : suites_without, argv + 1, argc - 1);
}
