/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM whose guest runs a guest of its own (guest/l1.h), and that L2's stores. */
#ifndef KVM_TEST_NESTED_H
#define KVM_TEST_NESTED_H

#include "attempt.h"
#include "../guest/l1.h"

/* How L1 gives its L2 memory. */
enum shape {
	SHAPE_FLAT,		/* no nested paging: L1's memory as it is */
	SHAPE_SMALL,		/* nested EPT or NPT, the arena by 4 KiB entries */
	SHAPE_SMALL_AD,		/* the same with accessed and dirty bits in EPT */
	SHAPE_HUGE,		/* with these bits, the arena by one entry of 2 MiB */
	NR_SHAPES
};

#define NESTED_INTEL	1
#define NESTED_AMD	2

/* Frames of the arena: all that one table maps. */
#define NESTED_FRAMES	512

/** struct nested - a VM with a hypervisor in it */
struct nested {
	struct vm *vm;
	struct vcpu *v;
	uint64_t id;
	enum shape shape;
	uint32_t mode;		/* L1_* of every run */
	unsigned int vendor;	/* NESTED_INTEL or NESTED_AMD */
};

/** nested_new - a new VM whose L1 is ready to run its L2; @mode adds to the shape's L1_* */
void nested_new(struct nested *n, enum shape shape, uint32_t mode);

/**
 * nested_high - the same in the upper half, on Intel, with nothing protected and no VMI
 *
 * It has EPT if this host has. The caller sets up what L1 and its L2 are to have, and then
 * has OP_NESTED_ON carried out. KVM may be told to emulate.
 */
void nested_high(struct nested *n);

/** nested_page - where a page of L1 is (L1_* of guest/l1.h) */
uint64_t nested_page(const struct nested *n, uint64_t page);

/** nested_entry - the nested leaf that maps @gpa of the arena, for SHAPE_SMALL and _HUGE */
uint64_t *nested_entry(struct nested *n, uint64_t gpa);

/** l2_op - have the L2 carry out one operation */
struct run l2_op_args(struct nested *n, enum guest_op op, struct op_args args);
#define l2_op(n, op, ...) \
	l2_op_args(n, op, (struct op_args){ { __VA_ARGS__ } })

/** l2_is_done - did the last run's operation run in the L2, and end by itself? */
bool l2_is_done(const struct nested *n);

/** l2_text - how the last run ended, for messages */
const char *l2_text(const struct nested *n, const struct run *run);

/* The operation ended in the L2, without an exception. */
#define expect_l2_done(n, what)							\
	({									\
		struct run r_ = (what);						\
										\
		expect(r_.end == RUN_DONE && r_.vector == GUEST_NO_FAULT &&	\
		       l2_is_done(n), "%s", l2_text(n, &r_));			\
	})

/* It raised @v_ in the L2 with error code 0, once, at the instruction itself. */
#define expect_l2_fault(n, what, v_)						\
	({									\
		struct run r_ = (what);						\
										\
		expect(r_.end == RUN_DONE && r_.vector == (v_) && !r_.error &&	\
		       r_.faults == 1 && r_.fault_rip == r_.insn && l2_is_done(n), \
		       "%s, expected exception %d", l2_text(n, &r_), (int)(v_));	\
	})

#define expect_l2_gp(n, what)	expect_l2_fault(n, what, VECTOR_GP)

/* L1 got an exit of kind @exit_ and nothing else happened. */
#define expect_l2_exit(n, what, exit_)						\
	({									\
		struct run r_ = (what);						\
										\
		expect(r_.end == RUN_DONE && r_.vector == GUEST_NO_FAULT &&	\
		       (n)->v->cpu->l2_exit == (exit_), "%s, expected exit %d",	\
		       l2_text(n, &r_), (int)(exit_));				\
	})

/* As those of attempt.h, by the L2.  @address may lie in L2_ARENA. */
#define l2_denied(n, address)	l2_attempt(n, address, 8, ATTEMPT_DENIED, __FILE__, __LINE__)
#define l2_lands(n, address)	l2_attempt(n, address, 8, ATTEMPT_LANDS, __FILE__, __LINE__)
#define l2_kills(n, address)	l2_attempt(n, address, 8, ATTEMPT_KILLS, __FILE__, __LINE__)
#define l2_expect(n, address, size, outcome) \
	l2_attempt(n, address, size, outcome, __FILE__, __LINE__)

bool l2_attempt(struct nested *n, uint64_t address, unsigned int size, enum attempt outcome,
		const char *file, int line);

#endif /* KVM_TEST_NESTED_H */
