// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of KVM and of its introspection from user space, with tiny guests of our
 * own.  Prints TAP.  Needs /dev/kvm, and for most suites a kernel with KVM_VMI
 * and the rights of root.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "suites.h"

static const struct test_suite *const suites[] = {
	&suite_baseline,
	&suite_write,
	&suite_instructions,
	&suite_verdict,
	&suite_event,
	&suite_walk,
	&suite_unemulatable,
	&suite_step,
	&suite_avx512,
	&suite_execute,
	&suite_read,
	&suite_learn,
	&suite_kvmwrite,
	&suite_nested,
	&suite_hypervisor,
	&suite_nestedwrite,
	&suite_survive,
	&suite_map,
	&suite_badinput,
	&suite_reset,
	&suite_admission,
	&suite_observe,
	&suite_hammer,
	&suite_engine,
	&suite_spp,
	&suite_nospp,
	&suite_differential,
	&suite_subpages,
	&suite_vmm,
	&suite_layers,
	&suite_address,
	&suite_taskswitch,
	&suite_lass,
	&suite_pin,
	&suite_pinnested,
	&suite_lam,
	&suite_la57,
	&suite_deadline,
	&suite_isolation,
	&suite_disturb,
	NULL
};

/* What runs when nothing is named: with one CPU, with several, with APIC virtualization. */
static char *const usual[] = {
	"baseline", "write", "instructions", "verdict", "event", "walk", "unemulatable",
	"step", "execute", "read", "learn", "kvmwrite", "nested", "hypervisor", "nestedwrite",
	"survive", "map", "badinput", "reset", "admission", "observe", "hammer", "engine", "subpages",
	"vmm", "layers", "address", "taskswitch", "pin", "pinnested", "deadline",
	"differential",
};
static char *const usual_smp[] = { "baseline", "write", "step", "execute", "learn", "address", "pin",
				   "pinnested", "deadline" };
static char *const usual_avx512[] = { "avx512", "step", "unemulatable" };
static char *const usual_apicv[] = { "nestedwrite" };
/* On a host that is told to have the CPU check sub-pages, but cannot; and on one that can. */
static char *const usual_nospp[] = { "nospp", "engine", "write", "read", "survive" };
/* Who may execute, on a host that lacks something for it, or does it another way. */
static char *const usual_execute[] = { "execute", "read", "learn", "nested" };
/* What linear addresses mean, on a host that has LASS and LAM. */
static char *const usual_linear[] = { "lass", "lam" };
/* The same on one that has 5-level paging too. */
static char *const usual_la57[] = { "lam", "la57" };
/* On a host whose kernel isolates what runs around the entry of a guest. */
static char *const usual_isolation[] = { "isolation", "disturb", "deadline" };
static char *const usual_refused[] = { "isolation.refused" };
static char *const usual_spp[] = {
	"spp", "engine", "write", "instructions", "verdict", "event", "walk", "unemulatable",
	"step", "execute", "read", "learn", "kvmwrite", "nested", "hypervisor", "nestedwrite",
	"survive", "map", "reset", "hammer", "subpages", "vmm", "layers", "address",
	"differential",
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: kvm_test [OPTIONS] [SUITE[.CASE]...]\n"
		"       kvm_smp_test: the same with what needs several CPUs as default\n"
		"       kvm_spp_test: with what a host with kvm_intel.spp=1 is to show\n"
		"       kvm_nospp_..._test: the same of a host that lacks something for it\n"
		"       kvm_execute_..._test: who may execute, where something for it is missing\n"
		"       kvm_linear_..._test: LASS and LAM, on a CPU that has them\n"
		"       kvm_la57_..._test: LAM and LASS, on a CPU that has 5-level paging too\n"
		"       kvm_isolation_..._test: address-space isolation\n"
		"       kvm_avx512_test: with what needs a CPU that has AVX-512\n"
		"       kvm_apicv_test: with what needs posted interrupts\n"
		"  --list           print the names of all cases\n"
		"  --seed=N         repeat a run; 0 = by the clock (default 1)\n"
		"  --long           full numbers of iterations\n"
		"  --batch=N        of the suite differential: only this batch of each case\n"
		"  --case-time=S    seconds a case may take (default 60)\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "list", no_argument, NULL, 'l' },
		{ "seed", required_argument, NULL, 's' },
		{ "long", no_argument, NULL, 'L' },
		{ "batch", required_argument, NULL, 'b' },
		{ "case-time", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case 'l':
			tap_list(suites);
			return 0;
		case 's':
			test_options.seed = strtoull(optarg, NULL, 0);
			if (!test_options.seed)
				test_options.seed = time(NULL);
			break;
		case 'L':
			test_options.long_run = true;
			break;
		case 'b':
			test_options.batch = strtoul(optarg, NULL, 0);
			break;
		case 't':
			test_options.case_seconds = strtoul(optarg, NULL, 0);
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind < argc)
		return tap_run(suites, argv + optind, argc - optind);
	if (strstr(basename(argv[0]), "isolation_ept") || strstr(basename(argv[0]), "isolation_npt"))
		return tap_run(suites, usual_refused, ARRAY_SIZE(usual_refused));
	if (strstr(basename(argv[0]), "isolation"))
		return tap_run(suites, usual_isolation, ARRAY_SIZE(usual_isolation));
	if (strstr(basename(argv[0]), "smp"))
		return tap_run(suites, usual_smp, ARRAY_SIZE(usual_smp));
	if (strstr(basename(argv[0]), "avx512"))
		return tap_run(suites, usual_avx512, ARRAY_SIZE(usual_avx512));
	if (strstr(basename(argv[0]), "execute"))
		return tap_run(suites, usual_execute, ARRAY_SIZE(usual_execute));
	if (strstr(basename(argv[0]), "la57"))
		return tap_run(suites, usual_la57, ARRAY_SIZE(usual_la57));
	if (strstr(basename(argv[0]), "linear"))
		return tap_run(suites, usual_linear, ARRAY_SIZE(usual_linear));
	if (strstr(basename(argv[0]), "nospp"))
		return tap_run(suites, usual_nospp, ARRAY_SIZE(usual_nospp));
	if (strstr(basename(argv[0]), "spp"))
		return tap_run(suites, usual_spp, ARRAY_SIZE(usual_spp));
	if (strstr(basename(argv[0]), "apicv"))
		return tap_run(suites, usual_apicv, ARRAY_SIZE(usual_apicv));
	return tap_run(suites, usual, ARRAY_SIZE(usual));
}
