/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM address-space isolation: what the rest of KVM x86 calls.  What the files of this
 * directory share beside that is in internal.h.
 *
 * A VM has one restricted page table.  Its window is from before the loop that enters
 * the guest to behind it, with interrupts off: no other thread, no interrupt and no
 * flush of TLBs can come in between, so nobody else has to know of the other CR3.
 */
#ifndef ARCH_X86_KVM_ISOLATION_H
#define ARCH_X86_KVM_ISOLATION_H

#include <linux/kvm_host.h>
#include <asm/kvm_isolation.h>
#include <asm/mmu_context.h>
#include "../vmi/vmi.h"

#ifdef CONFIG_KVM_ISOLATION

extern bool kvm_isolation;
DECLARE_STATIC_KEY_FALSE(kvm_isolation_kick_key);

void kvm_isolation_setup(void);
unsigned int __kvm_isolation_align(unsigned int size, unsigned int align);
int __kvm_isolation_init_vm(struct kvm *kvm);
void __kvm_isolation_destroy_vm(struct kvm *kvm);
void __kvm_isolation_create_debugfs(struct kvm *kvm);
void __kvm_isolation_prepare(struct kvm_vcpu *vcpu);
void __kvm_isolation_refresh(struct kvm_vcpu *vcpu);
void __kvm_isolation_finish(struct kvm_vcpu *vcpu);
void __kvm_isolation_destroy_vcpu(struct kvm_vcpu *vcpu);
void __kvm_isolation_enter(struct kvm_vcpu *vcpu);
void __kvm_isolation_leave(struct kvm_vcpu *vcpu);
bool __kvm_isolation_in_window(void);
unsigned long __kvm_isolation_host_cr3(void);
fastpath_t __kvm_isolation_serve(struct kvm_vcpu *vcpu, fastpath_t fastpath);
void __kvm_isolation_leave_for(enum kvm_isolation_reason reason);
bool __kvm_isolation_keep_deadline(struct kvm_vcpu *vcpu, bool is_posted);
void __kvm_isolation_forget_deadline(struct kvm_vcpu *vcpu);
bool __kvm_isolation_may_enter(struct kvm_vcpu *vcpu);
void __kvm_isolation_entering(void);
void __kvm_isolation_exited(void);
void __kvm_isolation_put(void);

/* For the vendor's part: what else a window touches, by number from 0; NULL = nothing now. */
void kvm_isolation_object(struct kvm_vcpu *vcpu, unsigned int nr, void *start,
			  unsigned long length);

void vmx_isolation_objects(struct kvm_vcpu *vcpu);
void svm_isolation_objects(struct kvm_vcpu *vcpu);
enum kvm_isolation_exit vmx_isolation_exit(struct kvm_vcpu *vcpu, u32 *operand);
enum kvm_isolation_exit svm_isolation_exit(struct kvm_vcpu *vcpu, u32 *operand);
void vmx_isolation_close_irq_window(struct kvm_vcpu *vcpu);
void svm_isolation_close_irq_window(struct kvm_vcpu *vcpu);

static inline bool kvm_isolation_enabled(void)
{
	return static_branch_unlikely(&kvm_isolation_key);
}

/* How vCPUs of this size are to be aligned: no two share a page. */
static inline unsigned int kvm_isolation_align(unsigned int size, unsigned int align)
{
	return kvm_isolation_enabled() ? __kvm_isolation_align(size, align) : align;
}

/* A new VM.  0 or -ENOMEM. */
static inline int kvm_isolation_init_vm(struct kvm *kvm)
{
	return kvm_isolation_enabled() ? __kvm_isolation_init_vm(kvm) : 0;
}

/* The last of its vCPUs has gone. */
static inline void kvm_isolation_destroy_vm(struct kvm *kvm)
{
	if (kvm_isolation_enabled())
		__kvm_isolation_destroy_vm(kvm);
}

static inline void kvm_isolation_create_debugfs(struct kvm *kvm)
{
	if (kvm_isolation_enabled())
		__kvm_isolation_create_debugfs(kvm);
}

/* KVM_RUN begins: map what this thread will need.  May sleep. */
static inline void kvm_isolation_prepare(struct kvm_vcpu *vcpu)
{
	if (kvm_isolation_enabled())
		__kvm_isolation_prepare(vcpu);
}

/*
 * The guest is about to be entered, and sleeping is still possible: a program is told of the
 * last window, and what has moved since KVM_RUN began is mapped again.
 */
static __always_inline void kvm_isolation_refresh(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_isolation_key))
		__kvm_isolation_refresh(vcpu);
}

/* KVM_RUN ends.  A program is told of the last window.  May sleep. */
static inline void kvm_isolation_finish(struct kvm_vcpu *vcpu)
{
	if (kvm_isolation_enabled())
		__kvm_isolation_finish(vcpu);
}

/* Before anything of the vCPU is freed. */
static inline void kvm_isolation_destroy_vcpu(struct kvm_vcpu *vcpu)
{
	if (kvm_isolation_enabled())
		__kvm_isolation_destroy_vcpu(vcpu);
}

/* Interrupts are off.  If false, try again when they have been on. */
static __always_inline bool kvm_isolation_may_enter(struct kvm_vcpu *vcpu)
{
	return !static_branch_unlikely(&kvm_isolation_kick_key) || __kvm_isolation_may_enter(vcpu);
}

/* Right around the guest, with nothing in between that takes a lock or waits. */
static __always_inline void kvm_isolation_entering(void)
{
	if (static_branch_unlikely(&kvm_isolation_kick_key))
		__kvm_isolation_entering();
}

static __always_inline void kvm_isolation_exited(void)
{
	if (static_branch_unlikely(&kvm_isolation_kick_key))
		__kvm_isolation_exited();
}

/* The vCPU's thread leaves the CPU, or KVM_RUN. */
static __always_inline void kvm_isolation_put(void)
{
	if (static_branch_unlikely(&kvm_isolation_kick_key))
		__kvm_isolation_put();
}

/* The window, interrupts off. */
static __always_inline void kvm_isolation_enter(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_isolation_key))
		__kvm_isolation_enter(vcpu);
}

/* The guest was to be entered again in this window, and is not. */
static __always_inline void kvm_isolation_leave(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_isolation_key))
		__kvm_isolation_leave(vcpu);
}

/*
 * The guest was left, and this is what the vendor's part made of it.  Settle what can be
 * settled within the window.  Its end, unless the guest is to be entered again: so that where
 * nothing is isolated an exit passes one branch less.
 */
static __always_inline fastpath_t kvm_isolation_serve(struct kvm_vcpu *vcpu, fastpath_t fastpath)
{
	return static_branch_unlikely(&kvm_isolation_key) ?
	       __kvm_isolation_serve(vcpu, fastpath) : fastpath;
}

/*
 * What follows touches objects of the host among which ours is only one: go on with the full
 * page table, if this is in a window.
 */
static __always_inline void kvm_isolation_leave_for(enum kvm_isolation_reason reason)
{
	if (static_branch_unlikely(&kvm_isolation_key))
		__kvm_isolation_leave_for(reason);
}

/*
 * A timer of the host is to be set for the guest's TSC deadline, interrupts are off.  If true,
 * it is when the window is left, and there is nothing to do now.  Not so where another CPU is
 * to have it, and post the interrupt without an exit of the guest (@is_posted).
 */
static __always_inline bool kvm_isolation_keep_deadline(struct kvm_vcpu *vcpu, bool is_posted)
{
	return static_branch_unlikely(&kvm_isolation_key) &&
	       __kvm_isolation_keep_deadline(vcpu, is_posted);
}

/* The guest sets another, or none. */
static __always_inline void kvm_isolation_forget_deadline(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&kvm_isolation_key))
		__kvm_isolation_forget_deadline(vcpu);
}

/* In a window, whatever the page table. */
static __always_inline bool kvm_isolation_in_window(void)
{
	return static_branch_unlikely(&kvm_isolation_key) && __kvm_isolation_in_window();
}

/* What VMX is to load into CR3 at the next exit: what is there now. */
static __always_inline unsigned long kvm_isolation_host_cr3(void)
{
	return static_branch_unlikely(&kvm_isolation_key) ? __kvm_isolation_host_cr3() :
							    __get_current_cr3_fast();
}

#else

static inline void kvm_isolation_setup(void) { }

static inline unsigned int kvm_isolation_align(unsigned int size, unsigned int align)
{
	return align;
}

static inline int kvm_isolation_init_vm(struct kvm *kvm)
{
	return 0;
}

static inline void kvm_isolation_destroy_vm(struct kvm *kvm) { }
static inline void kvm_isolation_create_debugfs(struct kvm *kvm) { }
static inline void kvm_isolation_prepare(struct kvm_vcpu *vcpu) { }
static __always_inline void kvm_isolation_refresh(struct kvm_vcpu *vcpu) { }
static inline void kvm_isolation_finish(struct kvm_vcpu *vcpu) { }
static inline void kvm_isolation_destroy_vcpu(struct kvm_vcpu *vcpu) { }

static __always_inline bool kvm_isolation_may_enter(struct kvm_vcpu *vcpu)
{
	return true;
}

static __always_inline void kvm_isolation_entering(void) { }
static __always_inline void kvm_isolation_exited(void) { }
static __always_inline void kvm_isolation_put(void) { }
static __always_inline void kvm_isolation_enter(struct kvm_vcpu *vcpu) { }
static __always_inline void kvm_isolation_leave(struct kvm_vcpu *vcpu) { }
static __always_inline void kvm_isolation_leave_for(enum kvm_isolation_reason reason) { }
static __always_inline void kvm_isolation_forget_deadline(struct kvm_vcpu *vcpu) { }

static __always_inline bool kvm_isolation_keep_deadline(struct kvm_vcpu *vcpu, bool is_posted)
{
	return false;
}

static __always_inline fastpath_t kvm_isolation_serve(struct kvm_vcpu *vcpu, fastpath_t fastpath)
{
	return fastpath;
}

static __always_inline bool kvm_isolation_in_window(void)
{
	return false;
}

static __always_inline unsigned long kvm_isolation_host_cr3(void)
{
	return __get_current_cr3_fast();
}

#endif /* CONFIG_KVM_ISOLATION */

#endif /* ARCH_X86_KVM_ISOLATION_H */
