// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>
#include <time.h>

#include "exec.h"

void exec_set_up(struct exec *s, const struct vm_options *options, uint32_t action,
		   uint32_t flags)
{
	const struct kvm_vmi_rule rule = {
		.id = EXEC_RULE,
		.flags = flags,
		.action[KVM_VMI_ACTION_FETCH] = action,
	};

	s->vm = vmi_new(options, &s->id);
	s->v = s->vm->vcpu[0];
	require_eq(vmi_caps(&s->caps), 0);
	if (!(s->caps.features & KVM_VMI_CAP_EXEC))
		tap_skip("this KVM cannot");
	memset(vm_hva(s->vm, CODE), EXEC_RET, 2 * PAGE_SIZE);
	vm_map(s->vm, KERNEL_VIEW, CODE, 2,
	       PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
	require_eq(vmi_set_rules(s->id, &rule, 1), 0);
	vmi_log_clear();
}

int exec_try_rights(struct exec *s, uint64_t gpa, uint64_t nr, uint32_t rights)
{
	const struct kvm_vmi_range range = {
		.gfn = GFN(gpa), .nr = nr, .rule = EXEC_RULE, .rights = rights,
		.write = rights & READ ? KVM_VMI_WRITE_ALL : 0,
	};

	return vmi_set(s->id, &range, 1);
}

void exec_set_rights(struct exec *s, uint64_t gpa, uint64_t nr, uint32_t rights)
{
	require_eq(exec_try_rights(s, gpa, nr, rights), 0);
}

bool exec_expressible(struct exec *s, uint32_t rights)
{
	switch (rights) {
	case USER:
		return s->caps.features & KVM_VMI_CAP_EXEC_USER;
	case KERNEL:
		return s->caps.features & KVM_VMI_CAP_EXEC_KERNEL;
	default:
		return true;
	}
}

bool exec_is_user(struct exec *s, enum exec_how how)
{
	return s->caps.vendor == KVM_VMI_VENDOR_INTEL ? how != KERNEL_OF_KERNEL_PAGE :
							how == USER_OF_USER_PAGE;
}

bool exec_may(struct exec *s, uint32_t rights, enum exec_how how)
{
	return rights & (exec_is_user(s, how) ? KVM_VMI_RIGHT_EXEC_USER : KVM_VMI_RIGHT_EXEC_KERNEL);
}

void exec_wait_closed(void)
{
	const struct timespec t = { .tv_sec = 1, .tv_nsec = 300000000 };

	nanosleep(&t, NULL);
}

struct run exec_fetch(struct exec *s, enum exec_how how, uint64_t gpa)
{
	struct run r;

	switch (how) {
	case KERNEL_OF_KERNEL_PAGE:
		return vcpu_op(s->v, OP_EXECUTE, KERNEL_VIEW + gpa - CODE);
	case USER_OF_USER_PAGE:
		s->v->cpu->flags |= GUEST_F_USER;
		r = vcpu_op(s->v, OP_EXECUTE, gpa);
		s->v->cpu->flags &= ~GUEST_F_USER;
		return r;
	default:
		return vcpu_op(s->v, OP_EXECUTE, gpa);
	}
}
