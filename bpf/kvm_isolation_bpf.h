/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What our programs use of KVM's address-space isolation, declared by hand as in
 * kvm_vmi_bpf.h: the structs are those of the kernel's uapi/linux/kvm_isolation.h.  Weak: a
 * program that calls one the kernel lacks is loaded all the same.
 */
#ifndef KVM_ISOLATION_BPF_H
#define KVM_ISOLATION_BPF_H

#include "kvm_vmi_bpf.h"

#define KVM_ISOLATION_MAX_REASONS	16
#define KVM_ISOLATION_MAX_EXITS		32

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kvm_isolation_stats {
	__u64 windows;
	__u64 left[KVM_ISOLATION_MAX_REASONS];
	__u64 inside[KVM_ISOLATION_MAX_EXITS];
	__u64 outside[KVM_ISOLATION_MAX_EXITS];
	__u64 faults;
	__u64 no_place;
	__u64 pauses;
	__u64 kicks;
	__u64 waits;
	__u64 refused;
	__u64 mapped_bytes;
	__u64 table_bytes;
	__u32 kick;
	__u32 reserved;
};

struct kvm_isolation_place {
	__u64 ip;
	__u64 address;
	__u64 count;
	__u32 stack;
	__u32 reserved;
};

struct kvm_isolation_host {
	__u32 on;
	__u32 kick;
	char refused[64];
};

#pragma clang attribute pop

/* For SYSCALL programs; each checks CAP_SYS_ADMIN when it runs. */
extern int bpf_kvm_isolation_host(struct kvm_isolation_host *host) __ksym __weak;
extern int bpf_kvm_isolation_stats(struct kvm *kvm,
				   struct kvm_isolation_stats *stats) __ksym __weak;
extern int bpf_kvm_isolation_place(struct kvm *kvm, __u32 index,
				   struct kvm_isolation_place *place) __ksym __weak;
extern int bpf_kvm_isolation_set_kick(struct kvm *kvm, __u32 reasons) __ksym __weak;

#endif
