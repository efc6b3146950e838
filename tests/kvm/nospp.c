// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A host that is told to have the CPU check sub-pages (kvm_intel.spp=1) and cannot,
 * without something that is switched off: it says so, and does it in software.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <unistd.h>

#include "lib/attempt.h"
#include "suites.h"

#define READ_ALL	3	/* of klogctl() */

static bool is_off(const char *parameter)
{
	char path[128], value = 0;
	int fd;

	snprintf(path, sizeof(path), "/sys/module/%s", parameter);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	require(fd >= 0 && read(fd, &value, 1) == 1, "%s", path);
	close(fd);
	return value == 'N' || value == '0';
}

static void test_refused(uintptr_t arg)
{
	const char *missing = is_off("kvm_intel/parameters/eptad") ? "EPT accessed and dirty bits" :
			      is_off("kvm_intel/parameters/pml") ? "page modification logging" :
			      is_off("kvm/parameters/tdp_mmu") ? "the TDP MMU" : NULL;
	static char log[1 << 20], line[128];
	struct kvm_vmi_caps caps;

	(void)arg;
	require(missing, "nothing is switched off");
	expect(is_off("kvm_intel/parameters/spp"), "the parameter still says Y");
	require_eq(vmi_caps(&caps), 0);
	expect(!(caps.features & KVM_VMI_CAP_SUBPAGE_HW), "offered all the same");
	require(klogctl(READ_ALL, log, sizeof(log) - 1) > 0, "no kernel log");
	snprintf(line, sizeof(line), "kvm_intel: spp=1 takes no effect without %s\n", missing);
	expect(strstr(log, line), "the kernel does not say: %s", line);
}

static const struct test_case cases[] = {
	{ "refused", test_refused },
	{ }
};

const struct test_suite suite_nospp = { .name = "nospp", .cases = cases, .setup = vmi_setup };
