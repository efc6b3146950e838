/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest with pages of code, a rule about who may execute them, and fetches from them. */
#ifndef KVM_TEST_EXEC_H
#define KVM_TEST_EXEC_H

#include "attempt.h"
#include "vmi.h"

/* The rule. */
#define EXEC_RULE	67
/* RET instructions; the page behind is the same, and open. */
#define CODE	(GUEST_ARENA + 2 * PAGE_SIZE)
#define NEXT	(CODE + PAGE_SIZE)
/* The same frame as CODE, for the kernel alone. */
#define KERNEL_VIEW	0x70000000UL

#define EXEC_RET	0xc3

/* Who may execute. */
#define READ	KVM_VMI_RIGHT_READ
#define NONE	READ
#define USER	(READ | KVM_VMI_RIGHT_EXEC_USER)
#define KERNEL	(READ | KVM_VMI_RIGHT_EXEC_KERNEL)
#define BOTH	KVM_VMI_RIGHT_ALL

/* Whose fetch, by the guest's page tables and its privilege level. */
enum exec_how {
	KERNEL_OF_USER_PAGE,	/* CPL 0, U/S = 1, SMEP off */
	KERNEL_OF_KERNEL_PAGE,
	USER_OF_USER_PAGE,
	NO_PAGING,
	NR_HOWS
};

struct exec {
	struct vm *vm;
	struct vcpu *v;		/* the first */
	uint64_t id;
	struct kvm_vmi_caps caps;
};

/* Skips the test where nothing can be said about execution.  The log is empty then. */
void exec_set_up(struct exec *s, const struct vm_options *options, uint32_t action,
		 uint32_t flags);

/* What the rule says of @nr frames from @gpa on: KVM_VMI_RIGHT_*.  0 or a negative errno. */
int exec_try_rights(struct exec *s, uint64_t gpa, uint64_t nr, uint32_t rights);
void exec_set_rights(struct exec *s, uint64_t gpa, uint64_t nr, uint32_t rights);

/* Can this CPU keep the guest to them? */
bool exec_expressible(struct exec *s, uint32_t rights);
/* Is it a user's fetch, as this CPU sees it?  With one execute right it does not matter. */
bool exec_is_user(struct exec *s, enum exec_how how);
bool exec_may(struct exec *s, uint32_t rights, enum exec_how how);

/* Until a page that has been opened for a second is closed. */
void exec_wait_closed(void);

/* Calls the code at @gpa, of the arena.  Not with paging off. */
struct run exec_fetch(struct exec *s, enum exec_how how, uint64_t gpa);

#endif
