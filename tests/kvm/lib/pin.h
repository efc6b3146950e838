/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bits of control registers that may be pinned, a guest that loads them, and what comes of it. */
#ifndef KVM_TEST_PIN_H
#define KVM_TEST_PIN_H

#include "nested.h"

/* The rule that pins. */
#define PIN_RULE	29

#define CR0_PE		(1UL << 0)
#define CR0_TS		(1UL << 3)
#define CR0_WP		(1UL << 16)
#define CR0_AM		(1UL << 18)
#define CR4_DE		(1UL << 3)
#define CR4_PGE		(1UL << 7)
#define CR4_UMIP	(1UL << 11)
#define CR4_SMEP	(1UL << 20)
#define CR4_SMAP	(1UL << 21)
#define CR4_CET		(1UL << 23)
#define CR4_LASS	(1UL << 27)
#define EFER_SCE	(1UL << 0)
#define EFER_NX		(1UL << 11)

/* Indices of pin_bits. */
enum { WP, UMIP, SMEP, SMAP, CET, LASS, NX, NR_BITS };

/** struct bit - a bit that may be pinned */
struct bit {
	uint32_t reg;
	uint64_t mask;
	uint64_t others;	/* of the same register, that are nobody's business */
};

extern const struct bit bits[NR_BITS];

/* One of each register, that all of the lab's CPUs have; and a case's argument of two. */
extern const unsigned int each[3];
#define EACH(i, n)	((i) * 16 + (n))
#define ACTIONS(name, fn, i)							\
	{ name "-deny", fn, EACH(i, KVM_VMI_DENY) },				\
	{ name "-allow", fn, EACH(i, KVM_VMI_ALLOW) },				\
	{ name "-skip", fn, EACH(i, KVM_VMI_SKIP) },				\
	{ name "-kill", fn, EACH(i, KVM_VMI_KILL) }

/* For counting exits: how often a bit is toggled. */
#define TOGGLES	200
/* Of the host's own: its timer. */
#define NOISE	40

/** pin_has - does the guest's CPU have the bit, WP to NX? */
bool pin_has(struct vcpu *v, unsigned int bit);

/** pin_value - what the register of @v is, KVM_VMI_REG_* */
uint64_t pin_value(struct vcpu *v, uint32_t reg);

/** pin_load - the guest loads it */
struct run pin_load(struct vcpu *v, uint32_t reg, uint64_t value);

/** pin_loads - it does, and then the register has the value */
void pin_loads(struct vcpu *v, uint32_t reg, uint64_t value);

/** pin_set, pin_clear - the guest sets or clears the bit */
void pin_set(struct vcpu *v, const struct bit *b);
struct run pin_clear(struct vcpu *v, const struct bit *b);

/** expect_clears - it does, as nothing keeps it from that */
void expect_clears(struct vcpu *v, const struct bit *b);

/** expect_refused - it gets #GP(0), and the register is as before */
void expect_refused(struct vcpu *v, const struct bit *b);

/** pin_only - the rule pins this bit and no other; NULL: none */
void pin_only(uint64_t id, uint32_t rule, const struct bit *b);

/** pin_by - a rule with this action, that pins the bit */
void pin_by(uint64_t id, uint32_t rule, const struct bit *b, uint32_t action);

/** pin_make_supervisor - what the guest's kernel touches is not user mode's, as for SMEP and SMAP */
void pin_make_supervisor(struct vm *vm);

/* Where SMM begins after a reset, and in SMRAM whether it was entered from an L2 (AMD). */
#define SMM_BASE	0x30000UL
#define SMM_FROM_L2	0xfed8UL

/** smm_saved - what RSM loads the register with */
uint64_t *smm_saved(struct vm *vm, uint32_t reg);

/** smm_enter - stop in SMM, the next instruction is RSM */
void smm_enter(struct vcpu *v);

#endif
