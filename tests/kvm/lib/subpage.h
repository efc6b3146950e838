/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The VMM's own interface: sub-pages that it protects, and its answers. */
#ifndef KVM_TEST_SUBPAGE_H
#define KVM_TEST_SUBPAGE_H

#include <linux/kvm_subpage.h>

#include "vmi.h"

/* As the ioctls, -errno on failure; @masks has room for @npages. */
int subpage_set(struct vm *vm, uint64_t gfn, uint32_t npages, const uint32_t *masks);
int subpage_get(struct vm *vm, uint64_t gfn, uint32_t npages, uint32_t *ret_masks);

/** subpage_enable - enable the capability; -errno */
int subpage_enable(struct vm *vm);

/** subpage_vm - a VM whose VMM has done so */
struct vm *subpage_vm(const struct vm_options *options, uint64_t *ret_id);

/** subpage_protect - let the sub-pages @write of the frame at @gpa be written; must work */
void subpage_protect(struct vm *vm, uint64_t gpa, uint32_t write);

/** subpage_exit - what the last KVM_RUN has told, to be answered there */
struct kvm_subpage_exit *subpage_exit(struct vcpu *vcpu);

/* The run ended with an exit of ours. */
#define is_subpage_exit(r)	((r).end == RUN_OTHER_EXIT && (r).exit_reason == KVM_EXIT_SUBPAGE)

#define expect_exit(what)							\
	({									\
		struct run r_ = (what);						\
										\
		expect(is_subpage_exit(r_), "%s", run_text(&r_));		\
	})

#define require_exit(what)							\
	do {									\
		if (!expect_exit(what))						\
			tap_abort();						\
	} while (0)

/* Of a store that neither delivers an event nor is L2's: what may be answered. */
#define LEGAL_WRITE	(1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW | 1U << KVM_VMI_SKIP)

/**
 * struct exit_match - what expect_told() compares
 * @gpa: first denied byte, or where the access begins
 * @kind: enum kvm_vmi_kind, 0 for a write
 * @flags: that must be set
 * @not_flags: that must not
 * @length: of the access, 0 not to compare it
 * @legal: answers, 0 for %LEGAL_WRITE
 */
struct exit_match {
	uint64_t gpa;
	uint32_t kind;
	uint32_t flags, not_flags;
	uint32_t length;
	uint32_t legal;
};

/* The last exit says so, of the instruction under test, and nothing is answered yet. */
#define expect_told(v, ...) \
	check_exit(v, &(struct exit_match){ __VA_ARGS__ }, __FILE__, __LINE__)
void check_exit(struct vcpu *v, const struct exit_match *m, const char *file, int line);

/** subpage_answer - answer the last exit and run on */
struct run subpage_answer(struct vcpu *vcpu, uint32_t verdict);

/** subpage_answer_all - the same for every exit that follows; how many there were */
struct run subpage_answer_all(struct vcpu *vcpu, struct run r, uint32_t verdict,
			      unsigned int *ret_exits);

#endif /* KVM_TEST_SUBPAGE_H */
