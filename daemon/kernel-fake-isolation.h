/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Address-space isolation of the kernel that tests play: the host's word, counters and
 * places as a test has said.  Does not outlive merlond.
 */
#ifndef MERLON_KERNEL_FAKE_ISOLATION_H
#define MERLON_KERNEL_FAKE_ISOLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <linux/kvm_isolation.h>

#define FAKE_ISOLATED_MAX	8
#define FAKE_PLACES_MAX		64

struct fake_isolated {
	uint64_t vm;
	struct kvm_isolation_stats stats;
	struct kvm_isolation_place places[FAKE_PLACES_MAX];
	uint32_t n_places;
};

struct fake_isolation {
	bool absent;				/* the kernel is built without it */
	struct kvm_isolation_host host;
	struct fake_isolated vms[FAKE_ISOLATED_MAX];
	size_t n_vms;
};

/* All return 0 or a negative errno as the kfuncs of the same names do. */
int fake_isolation_host(const struct fake_isolation *iso, struct kvm_isolation_host *ret);
int fake_isolation_stats(struct fake_isolation *iso, uint64_t vm,
			 struct kvm_isolation_stats *ret);
int fake_isolation_place(struct fake_isolation *iso, uint64_t vm, uint32_t index,
			 struct kvm_isolation_place *ret);
int fake_isolation_set_kick(struct fake_isolation *iso, uint64_t vm, uint32_t reasons);

/* The commands "isolation" and "isolated", without this word and the VM; negative errno. */
int fake_isolation_command(struct fake_isolation *iso, char **args);
int fake_isolated_command(struct fake_isolation *iso, uint64_t vm, char **args);

#endif
