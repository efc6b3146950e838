/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What programs use of the kernel, declared by hand, so that they build with
 * clang and libbpf alone: types (fields are found by CO-RE in the running
 * kernel's BTF), the struct_ops type, kfuncs (weak: a program that calls one the
 * kernel lacks must test for it first).  tests/bpf compares this with a kernel.
 * Include it before any header of libbpf.
 */
#ifndef KVM_VMI_BPF_H
#define KVM_VMI_BPF_H

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#include <stdbool.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* <linux/bpf.h>, what we use of it. */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};

enum {
	BPF_F_NO_PREALLOC = 1U << 0,
};

/* <asm-generic/errno.h> */
#define EPERM		1
#define ENOENT		2
#define ESRCH		3
#define E2BIG		7
#define EAGAIN		11
#define EINVAL		22
#define ENOSYS		38

/* <linux/kvm_vmi.h>; tests/bpf holds the two side by side. */
enum kvm_vmi_verdict {
	KVM_VMI_DEFAULT = 0,
	KVM_VMI_DENY = 1,
	KVM_VMI_ALLOW = 2,
	KVM_VMI_SKIP = 3,
	KVM_VMI_KILL = 4,
	KVM_VMI_EXIT = 5,
	KVM_VMI_HOLD = 6,
	KVM_VMI_NR_VERDICTS
};

enum kvm_vmi_kind {
	KVM_VMI_WRITE = 1,
	KVM_VMI_READ = 2,
	KVM_VMI_FETCH = 3,
	KVM_VMI_WALK = 4,
	KVM_VMI_KVM = 5,
	KVM_VMI_CR = 6,
	KVM_VMI_EFER = 7,
	KVM_VMI_UNEMULATABLE = 8,
	KVM_VMI_NR_KINDS
};

#define KVM_VMI_NR_ACTIONS	3
#define KVM_VMI_MAX_BATCH	512

#define KVM_VMI_V_GVA		(1U << 0)
#define KVM_VMI_V_USER		(1U << 1)
#define KVM_VMI_V_NESTED	(1U << 2)
#define KVM_VMI_V_VECTORING	(1U << 3)
#define KVM_VMI_V_EMULATED	(1U << 4)
#define KVM_VMI_V_MONITOR	(1U << 5)
#define KVM_VMI_V_BAD_VERDICT	(1U << 6)
#define KVM_VMI_V_VMM		(1U << 7)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/*
 * Opaque, but defined: libbpf matches a kfunc's parameters by kind, and a mere
 * declaration is not a structure to it.
 */
struct kvm {
	unsigned char vm_dead;
};
struct kvm_vcpu {
	int vcpu_id;
};

struct kvm_vmi_rule {
	__u32 id;
	__u32 flags;
	__u8 action[KVM_VMI_NR_ACTIONS];
	__u8 dflt;
	__u8 on_reset;
	__u8 reserved[3];
	__u32 deadline_ms;
	__u32 reserved2;
	__u64 cookie;
};

struct kvm_vmi_rule_info {
	struct kvm_vmi_rule rule;
	__u64 violations;
	__u64 denied;
	__u64 allowed;
	__u64 skipped;
	__u64 bad_verdicts;
	__u64 unemulatable;
	__u64 opened;
	__u64 kvm_writes;
	__u64 stepped;
	__u64 granted;
};

struct kvm_vmi_range {
	__u64 gfn;
	__u64 nr;
	__u32 rule;
	__u32 write;
	__u32 rights;
	__u32 reserved;
};

struct kvm_vmi_pin {
	__u64 cr0;
	__u64 cr4;
	__u64 efer;
	__u32 rule;
	__u32 reserved;
};

struct kvm_vmi_vm_info {
	__u64 id;
	__u64 start_time;
	__u64 cgroup_id;
	__u64 generation;
	__u64 violations;
	__u64 bad_verdicts;
	__u64 map_entries;
	__u32 pid;
	__u32 uid;
	__u32 vcpus;
	__u32 flags;
	__u32 rules;
	__u32 maxphyaddr;
	__u32 engine;
	__u32 engine_wanted;
	__u64 table_bytes;
};

struct kvm_vmi_violation {
	__u64 gpa;
	__u64 gva;
	__u64 rip;
	__u64 cr3;
	__u64 tag;
	__u64 cookie;
	__u64 seq;
	__u32 rule;
	__u32 vcpu_id;
	__u32 length;
	__u32 kind;
	__u32 flags;
	__u32 action;
	__u32 legal;
	__u32 insn_len;
	__u64 old;
	__u64 new;
	__u32 reg;
	__u32 reserved;
};

struct kvm_vmi_regs {
	__u64 gpr[16];
	__u64 rip;
	__u64 rflags;
	__u64 base[6];
	__u64 cr0;
	__u64 cr2;
	__u64 cr3;
	__u64 cr4;
	__u64 efer;
	__u64 idt_base;
	__u64 gdt_base;
	__u64 lstar;
	__u32 idt_limit;
	__u32 gdt_limit;
	__u32 cpl;
	__u32 nested;
};

struct kvm_vmi_caps {
	__u64 features;
	__u32 verdicts;
	__u32 kinds;
	__u32 vendor;
	__u32 abi;
	__u32 admission;
	__u32 admission_ms;
};

/* uapi/linux/kvm_isolation.h, see kvm_isolation_bpf.h */
struct kvm_isolation_told {
	__u32 reason;
	__u32 exit;
	__u32 faults;
	__u32 kicks;
	__u64 ip;
	__u64 address;
};

/* arch/x86/kvm/vmi: the one struct_ops type; all callbacks optional, sleepable but for the last. */
struct kvm_vmi_ops {
	void (*vm_created)(struct kvm *kvm, const struct kvm_vmi_vm_info *info);
	void (*vm_reset)(struct kvm *kvm, const struct kvm_vmi_vm_info *info);
	void (*vm_destroyed)(const struct kvm_vmi_vm_info *info);
	int (*violation)(struct kvm *kvm, struct kvm_vcpu *vcpu,
			 const struct kvm_vmi_violation *v);
	void (*isolation_exit)(struct kvm *kvm, struct kvm_vcpu *vcpu,
			       const struct kvm_isolation_told *told);
	char name[16];
};

#pragma clang attribute pop

/*
 * For SYSCALL programs; each checks CAP_SYS_ADMIN when it runs.  A VM taken by
 * get or next is put back on every path, or the verifier refuses the program.
 */
extern struct kvm *bpf_kvm_vmi_get(u64 id) __ksym __weak;
extern struct kvm *bpf_kvm_vmi_next(u64 after) __ksym __weak;
extern void bpf_kvm_vmi_put(struct kvm *kvm) __ksym __weak;
extern int bpf_kvm_vmi_info(struct kvm *kvm, struct kvm_vmi_vm_info *info) __ksym __weak;
extern int bpf_kvm_vmi_caps(struct kvm_vmi_caps *caps) __ksym __weak;
extern int bpf_kvm_vmi_set_engine(struct kvm *kvm, __u32 engine) __ksym __weak;
extern int bpf_kvm_vmi_set_rules(struct kvm *kvm, const struct kvm_vmi_rule *rules,
				 u32 rules__sz) __ksym __weak;
extern int bpf_kvm_vmi_next_rule(struct kvm *kvm, u32 after,
				 struct kvm_vmi_rule_info *info) __ksym __weak;
extern int bpf_kvm_vmi_clear_rule(struct kvm *kvm, u32 id) __ksym __weak;
extern int bpf_kvm_vmi_set_access(struct kvm *kvm, const struct kvm_vmi_range *ranges,
				  u32 ranges__sz) __ksym __weak;
extern int bpf_kvm_vmi_clear_access(struct kvm *kvm, const struct kvm_vmi_range *ranges,
				    u32 ranges__sz) __ksym __weak;
extern int bpf_kvm_vmi_get_access(struct kvm *kvm, u64 gfn, struct kvm_vmi_range *ranges,
				  u32 ranges__sz) __ksym __weak;
extern int bpf_kvm_vmi_set_pin(struct kvm *kvm, const struct kvm_vmi_pin *pin) __ksym __weak;
extern int bpf_kvm_vmi_get_pin(struct kvm *kvm, u32 rule,
			       struct kvm_vmi_pin *pin) __ksym __weak;
extern int bpf_kvm_vmi_admit(struct kvm *kvm) __ksym __weak;
extern int bpf_kvm_vmi_set_admission(u32 mode, u32 deadline_ms) __ksym __weak;
extern int bpf_kvm_vmi_read(struct kvm *kvm, u64 gpa, void *buf, u32 buf__sz) __ksym __weak;
extern int bpf_kvm_vmi_regs(struct kvm *kvm, u32 vcpu_id,
			    struct kvm_vmi_regs *regs) __ksym __weak;

/* For the violation callback of kvm_vmi_ops, of the vCPU that it is called for. */
extern int bpf_kvm_vmi_grant(struct kvm_vcpu *vcpu) __ksym __weak;

/*
 * kvm_vmi_with - do something with a VM, and put it back
 * @take: a call of bpf_kvm_vmi_get() or bpf_kvm_vmi_next()
 * @call: the one thing to do, with the VM named kvm
 *
 * The value of @call, or -ESRCH if there is no such VM.
 */
#define kvm_vmi_with(take, call)			\
	({						\
		struct kvm *kvm = (take);		\
		int with_r = -ESRCH;			\
							\
		if (kvm) {				\
			with_r = (call);		\
			bpf_kvm_vmi_put(kvm);		\
		}					\
		with_r;					\
	})

#endif
