/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A virtual CPU: its registers, running one operation, and what came of it. */
#ifndef KVM_TEST_VCPU_H
#define KVM_TEST_VCPU_H

#include "vm.h"

/* How a run ended. */
enum run_end {
	RUN_DONE,		/* the operation ended; see &run.vector for exceptions */
	RUN_TRAP,		/* an exception the guest did not expect */
	RUN_HALT,
	RUN_SHUTDOWN,		/* triple fault */
	RUN_INTERNAL_ERROR,
	RUN_MMIO,
	RUN_IRQ_WINDOW,		/* asked for by request_interrupt_window */
	RUN_OTHER_EXIT,
	RUN_ERROR,		/* KVM_RUN failed with &run.err */
	RUN_TIMEOUT,
};

/** struct run - what came of an operation */
struct run {
	enum run_end end;
	int err;
	uint32_t exit_reason;
	uint32_t suberror;
	uint64_t mmio;		/* address of RUN_MMIO */
	uint32_t vector;	/* or GUEST_NO_FAULT */
	uint32_t error;
	uint64_t fault_rip;
	uint64_t fault_rsp;
	uint64_t insn;		/* the instruction under test */
	uint64_t cr2;
	uint64_t faults;
	uint64_t events;	/* interrupts since the operation began */
	uint64_t ret[4];
};

/** struct vcpu - a virtual CPU */
struct vcpu {
	struct vm *vm;
	unsigned int id;
	int fd;
	struct kvm_run *run;
	size_t run_size;
	struct guest_cpu *cpu;	/* its mailbox */
	uint64_t block;		/* guest physical address of its block of memory */
	uint64_t base;		/* where its kernel has that: the same but for VM_HIGH */
	uint64_t events_before;
	unsigned int timeout_ms;
	bool smm_exits;
	/* of vcpu_spawn() */
	bool spawned;
	pthread_t thread;
	struct run result;
};

#define vcpu_ioctl(vcpu, request, argument) \
	must_ioctl((vcpu)->fd, request, #request, (unsigned long)(argument), __FILE__, __LINE__)

struct vcpu *vcpu_new(struct vm *vm, unsigned int id);
void vcpu_free(struct vcpu *vcpu);

/** vcpu_reset_state - registers as at the start: long mode, at the agent's entry */
void vcpu_reset_state(struct vcpu *vcpu);

/** vcpu_set_msr - as the VMM sets one */
void vcpu_set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value);

/** vcpu_set_cr4 - as the VMM sets or clears bits of CR4 */
void vcpu_set_cr4(struct vcpu *vcpu, uint64_t bits, bool on);

/** vcpu_set_cr3 - as the VMM sets it; 0 or an errno */
int vcpu_set_cr3(struct vcpu *vcpu, uint64_t cr3);

/**
 * vcpu_map - the guest itself changes the leaf that maps @gva
 *
 * So that KVM's own page tables, if it has them, follow; as the TLB does when CR3 is loaded.
 * The kernel of VM_HIGH only.
 */
void vcpu_map(struct vcpu *vcpu, uint64_t gva, uint64_t gpa, uint64_t bits);

/* Registers of CPUID, for vcpu_cpuid(). */
enum cpuid_register { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/** vcpu_cpuid - what the guest's CPUID says */
uint32_t vcpu_cpuid(struct vcpu *vcpu, uint32_t leaf, uint32_t index, enum cpuid_register reg);

/** vcpu_hide_cpuid - take bits away from what it says; before the vCPU has run */
void vcpu_hide_cpuid(struct vcpu *vcpu, uint32_t leaf, uint32_t index, enum cpuid_register reg,
		     uint32_t bits);

/** vcpu_set_ist - have the exception @vector delivered on stack 1 or 2; 0 = none */
void vcpu_set_ist(struct vcpu *vcpu, unsigned int vector, unsigned int ist);

/* An operation's arguments, by position; missing ones are zero. */
struct op_args {
	uint64_t v[8];
};

/** vcpu_op - carry out one operation and wait for its end */
struct run vcpu_op_args(struct vcpu *vcpu, enum guest_op op, struct op_args args);
#define vcpu_op(vcpu, op, ...) \
	vcpu_op_args(vcpu, op, (struct op_args){ { __VA_ARGS__ } })

/** vcpu_prepare - write the mailbox only; vcpu_continue() then runs */
void vcpu_prepare(struct vcpu *vcpu, enum guest_op op, struct op_args args);

/** vcpu_continue - enter the guest until it stops for a reason of struct run */
struct run vcpu_continue(struct vcpu *vcpu);

/** vcpu_spawn - carry out one operation in a thread; vcpu_join() gives the result */
void vcpu_spawn_args(struct vcpu *vcpu, enum guest_op op, struct op_args args);
#define vcpu_spawn(vcpu, op, ...) \
	vcpu_spawn_args(vcpu, op, (struct op_args){ { __VA_ARGS__ } })
struct run vcpu_join(struct vcpu *vcpu);

/**
 * vcpu_yield_to_all - a spawned vCPU gives way to every other thread
 *
 * Else a test that changes something often waits for its own load's time slices.
 */
void vcpu_yield_to_all(struct vcpu *vcpu);

/** vcpu_wait_progress - wait until a spawned load has made @n steps */
bool vcpu_wait_progress(struct vcpu *vcpu, uint64_t n);

/** run_end_name - for messages */
const char *run_end_name(enum run_end end);

/** run_text - all of @run in a line; valid until the fourth call after it */
const char *run_text(const struct run *run);

/** vcpu_features - switch on what the CPU has; bits 1 SSE, 2 AVX, 4 XSAVE, 8 MOVDIR64B */
uint32_t vcpu_features(struct vcpu *vcpu);

/* The operation ended and no exception was raised. */
#define expect_done(what)							\
	({									\
		struct run r_ = (what);						\
										\
		expect(r_.end == RUN_DONE && r_.vector == GUEST_NO_FAULT,	\
		       "%s", run_text(&r_));					\
	})

#define require_done(what)							\
	do {									\
		if (!expect_done(what))						\
			tap_abort();						\
	} while (0)

/* The operation raised @v_ with error code 0, once, at the instruction itself. */
#define expect_fault(what, v_)							\
	({									\
		struct run r_ = (what);						\
										\
		expect(r_.end == RUN_DONE && r_.vector == (v_) && !r_.error &&	\
		       r_.faults == 1 && r_.fault_rip == r_.insn,		\
		       "%s, expected exception %d", run_text(&r_), (int)(v_));	\
	})

#define VECTOR_UD	6
#define VECTOR_DF	8
#define VECTOR_SS	12
#define VECTOR_GP	13
#define VECTOR_PF	14

#define expect_gp(what)	expect_fault(what, VECTOR_GP)

/* The run ended in one certain way. */
#define expect_end(what, e_)							\
	({									\
		struct run r_ = (what);						\
										\
		expect(r_.end == (e_), "%s, expected %s", run_text(&r_),	\
		       run_end_name(e_));					\
	})

#endif /* KVM_TEST_VCPU_H */
