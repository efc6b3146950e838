/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests and their BPF object share: the contexts of its programs and
 * its log.  The BPF side includes it behind kvm_vmi_bpf.h, the tests behind
 * <linux/kvm_vmi.h>.
 */
#ifndef KVM_TEST_VMI_CALLS_H
#define KVM_TEST_VMI_CALLS_H

#define VMI_BATCH	520	/* a little more than a call may take */
#define VMI_LOG		512	/* a power of two */
#define VMI_READ_MAX	(66 << 10)

struct vmi_caps_call {
	struct kvm_vmi_caps caps;
};

struct vmi_vm_call {
	__u64 vm;
	struct kvm_vmi_vm_info info;
};

struct vmi_engine_call {
	__u64 vm;
	__u32 engine;
	__u32 pad;
};

struct vmi_rules_call {
	__u64 vm;
	__u32 bytes;
	__u32 pad;
	struct kvm_vmi_rule rules[VMI_BATCH];
};

struct vmi_rule_call {
	__u64 vm;
	__u32 rule;
	__u32 pad;
	struct kvm_vmi_rule_info info;
};

struct vmi_ranges_call {
	__u64 vm;
	__u64 gfn;
	__u32 bytes;
	__u32 pad;
	struct kvm_vmi_range ranges[VMI_BATCH];
};

/* One range, for loops that change the map often. */
struct vmi_range_call {
	__u64 vm;
	struct kvm_vmi_range range;
};

struct vmi_admission_call {
	__u64 vm;
	__u32 mode;
	__u32 ms;
};

struct vmi_read_call {
	__u64 vm;
	__u64 gpa;
	__u32 bytes;
	__u32 pad;
};

struct vmi_pin_call {
	__u64 vm;
	struct kvm_vmi_pin pin;
};

struct vmi_regs_call {
	__u64 vm;
	__u32 vcpu;
	__u32 pad;
	struct kvm_vmi_regs regs;
};

/* What the tracepoints showed. */
struct vmi_record {
	__u64 vm;
	__u32 verdict;
	__u32 pad;
	struct kvm_vmi_violation v;
};

struct vmi_change {
	__u64 vm;
	__u64 gfn;
	__u64 nr;
	__u32 rule;
	__u32 write;
	__u32 rights;
	__u32 pad;
};

enum vmi_event {
	VMI_CREATED = 1,
	VMI_RESET = 2,
	VMI_DESTROYED = 3,
	VMI_ADMITTED = 4,
	VMI_EXPIRED = 5,
	VMI_KILLED = 6,
	VMI_DISARMED = 7,
	VMI_ENGINE = 8,
	/* from the callbacks of struct kvm_vmi_ops */
	VMI_OPS_CREATED = 17,
	VMI_OPS_RESET = 18,
	VMI_OPS_DESTROYED = 19,
	/* from kvm_vmi_spp */
	VMI_SPP_MISS = 33,
	VMI_SPP_MISCONFIG = 34,
	/* from kvm_vmi_unpinned: generation = all bits, flags = those of CR0, pid = the vCPU */
	VMI_UNPINNED = 35,
};

struct vmi_life {
	__u64 vm;
	__u64 generation;
	__u32 event;
	__u32 flags;
	__u32 pid;
	__u32 uid;
};

#endif /* KVM_TEST_VMI_CALLS_H */
