/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the suite isolation and its BPF object share: the contexts of its programs.  The BPF
 * side includes it behind kvm_isolation_bpf.h, the tests behind <linux/kvm_isolation.h>.
 */
#ifndef KVM_TEST_ISOLATION_CALLS_H
#define KVM_TEST_ISOLATION_CALLS_H

struct isolation_host_call {
	struct kvm_isolation_host host;
};

struct isolation_stats_call {
	__u64 vm;
	struct kvm_isolation_stats stats;
};

struct isolation_place_call {
	__u64 vm;
	__u32 index;
	__u32 pad;
	struct kvm_isolation_place place;
};

struct isolation_kick_call {
	__u64 vm;
	__u32 reasons;
	__u32 pad;
};

#endif
