// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls of the VMM's own interface. */
#include "subpage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

static int call(struct vm *vm, unsigned long request, uint64_t gfn, uint32_t npages,
		uint32_t *masks)
{
	size_t bytes = npages * sizeof(*masks);
	struct kvm_subpage *sp = calloc(1, sizeof(*sp) + bytes);
	int r;

	require(sp, "out of memory");
	sp->gfn_base = gfn;
	sp->npages = npages;
	memcpy(sp->access_map, masks, bytes);
	r = ioctl(vm->fd, request, sp);
	if (r < 0)
		r = -errno;
	memcpy(masks, sp->access_map, bytes);
	free(sp);
	return r;
}

int subpage_set(struct vm *vm, uint64_t gfn, uint32_t npages, const uint32_t *masks)
{
	return call(vm, KVM_SUBPAGES_SET_ACCESS, gfn, npages, (uint32_t *)masks);
}

int subpage_get(struct vm *vm, uint64_t gfn, uint32_t npages, uint32_t *ret_masks)
{
	return call(vm, KVM_SUBPAGES_GET_ACCESS, gfn, npages, ret_masks);
}

int subpage_enable(struct vm *vm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_SUBPAGES };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &cap) ? -errno : 0;
}

struct vm *subpage_vm(const struct vm_options *options, uint64_t *ret_id)
{
	struct vm *vm = vmi_new(options, ret_id);

	require_eq(-subpage_enable(vm), 0);
	return vm;
}

void subpage_protect(struct vm *vm, uint64_t gpa, uint32_t write)
{
	require_eq(subpage_set(vm, GFN(gpa), 1, &write), 1);
}

struct kvm_subpage_exit *subpage_exit(struct vcpu *vcpu)
{
	/* The union of struct kvm_run, whose header may be older than ours. */
	return (void *)&vcpu->run->hw;
}

void check_exit(struct vcpu *v, const struct exit_match *m, const char *file, int line)
{
	const struct kvm_subpage_exit *e = subpage_exit(v);
	struct kvm_regs regs;

	vcpu_ioctl(v, KVM_GET_REGS, &regs);
	if (e->gpa != m->gpa || e->kind != (m->kind ?: KVM_VMI_WRITE) ||
	    (e->flags & m->flags) != m->flags || e->flags & m->not_flags ||
	    (m->length && e->length != m->length) || e->legal != (m->legal ?: LEGAL_WRITE) ||
	    e->verdict || regs.rip != v->cpu->insn ||
	    (e->flags & KVM_SUBPAGE_EXIT_GVA && e->gva % PAGE_SIZE != e->gpa % PAGE_SIZE))
		tap_fail(file, line,
			 "exit at %#llx gva %#llx kind %u flags %#x length %u legal %#x verdict %u rip %#llx (insn %#llx)",
			 e->gpa, e->gva, e->kind, e->flags, e->length, e->legal, e->verdict,
			 regs.rip, (unsigned long long)v->cpu->insn);
}

struct run subpage_answer(struct vcpu *vcpu, uint32_t verdict)
{
	subpage_exit(vcpu)->verdict = verdict;
	return vcpu_continue(vcpu);
}

struct run subpage_answer_all(struct vcpu *vcpu, struct run r, uint32_t verdict,
			      unsigned int *ret_exits)
{
	unsigned int n;

	for (n = 0; is_subpage_exit(r) && n < 1000; n++)
		r = subpage_answer(vcpu, verdict);
	if (ret_exits)
		*ret_exits = n;
	return r;
}
