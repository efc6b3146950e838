/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm_vmi

#if !defined(_TRACE_KVM_VMI_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KVM_VMI_H

#include <linux/tracepoint.h>
#include <asm/kvm_vmi.h>
#include <uapi/linux/kvm_vmi.h>

#ifndef _KVM_VMI_VM_EVENTS
#define _KVM_VMI_VM_EVENTS
/* &kvm_vmi_vm.event */
enum {
	KVM_VMI_VM_CREATED = 1,
	KVM_VMI_VM_RESET = 2,
	KVM_VMI_VM_DESTROYED = 3,
	KVM_VMI_VM_ADMITTED = 4,
	KVM_VMI_VM_ADMISSION_EXPIRED = 5,
	KVM_VMI_VM_KILLED = 6,
	KVM_VMI_VM_RULE_DISARMED = 7,	/* flags: the rule's id */
	KVM_VMI_VM_ENGINE = 8,		/* settled; flags: &enum kvm_vmi_engine */
};
#endif

/*
 * A forbidden access and what became of it: one of &enum kvm_vmi_verdict, or
 * KVM_VMI_NR_VERDICTS for a page opened because KVM could not emulate.
 */
TRACE_EVENT(kvm_vmi_violation,
	TP_PROTO(struct kvm *kvm, u64 id, const struct kvm_vmi_violation *v, u32 verdict),
	TP_ARGS(kvm, id, v, verdict),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, gpa)
		__field(u64, gva)
		__field(u64, tag)
		__field(u64, rip)
		__field(u64, seq)
		__field(u64, old)
		__field(u64, new)
		__field(u32, reg)
		__field(u32, rule)
		__field(u32, vcpu_id)
		__field(u32, length)
		__field(u32, kind)
		__field(u32, flags)
		__field(u32, verdict)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->gpa = v->gpa;
		__entry->gva = v->gva;
		__entry->tag = v->tag;
		__entry->rip = v->rip;
		__entry->seq = v->seq;
		__entry->old = v->old;
		__entry->new = v->new;
		__entry->reg = v->reg;
		__entry->rule = v->rule;
		__entry->vcpu_id = v->vcpu_id;
		__entry->length = v->length;
		__entry->kind = v->kind;
		__entry->flags = v->flags;
		__entry->verdict = verdict;
	),

	TP_printk("vm %llu seq %llu vcpu %u %s gpa 0x%llx len %u gva 0x%llx tag 0x%llx rip 0x%llx rule %u flags 0x%x reg 0x%x old 0x%llx new 0x%llx %s",
		  __entry->id, __entry->seq, __entry->vcpu_id,
		  __print_symbolic(__entry->kind,
				   { KVM_VMI_WRITE, "write" },
				   { KVM_VMI_READ, "read" },
				   { KVM_VMI_FETCH, "fetch" },
				   { KVM_VMI_WALK, "walk" },
				   { KVM_VMI_KVM, "kvm" },
				   { KVM_VMI_CR, "cr" },
				   { KVM_VMI_EFER, "efer" },
				   { KVM_VMI_UNEMULATABLE, "unemulatable" }), __entry->gpa,
		  __entry->length, __entry->gva, __entry->tag, __entry->rip, __entry->rule,
		  __entry->flags,
		  __entry->reg, __entry->old, __entry->new,
		  __print_symbolic(__entry->verdict,
				   { KVM_VMI_DENY, "deny" },
				   { KVM_VMI_ALLOW, "allow" },
				   { KVM_VMI_SKIP, "skip" },
				   { KVM_VMI_KILL, "kill" },
				   { KVM_VMI_EXIT, "exit" },
				   { KVM_VMI_NR_VERDICTS, "opened" }))
);

/*
 * What became of an access that was left to the VMM: as above, KVM_VMI_DEFAULT if the
 * answer has lapsed and the access is tried again.
 */
TRACE_EVENT(kvm_vmi_answer,
	TP_PROTO(u64 id, u64 seq, u32 vcpu_id, u32 layer, u32 answer, u32 verdict),
	TP_ARGS(id, seq, vcpu_id, layer, answer, verdict),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, seq)
		__field(u32, vcpu_id)
		__field(u32, layer)
		__field(u32, answer)
		__field(u32, verdict)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->seq = seq;
		__entry->vcpu_id = vcpu_id;
		__entry->layer = layer;
		__entry->answer = answer;
		__entry->verdict = verdict;
	),

	TP_printk("vm %llu layer %u seq %llu vcpu %u answer %u %s", __entry->id,
		  __entry->layer, __entry->seq, __entry->vcpu_id, __entry->answer,
		  __print_symbolic(__entry->verdict,
				   { KVM_VMI_DEFAULT, "lapsed" },
				   { KVM_VMI_DENY, "deny" },
				   { KVM_VMI_ALLOW, "allow" },
				   { KVM_VMI_SKIP, "skip" },
				   { KVM_VMI_KILL, "kill" },
				   { KVM_VMI_NR_VERDICTS, "opened" }))
);

/*
 * A rule's rights on a run of frames; all rights stand for its removal.  layer: &enum
 * kvm_vmi_layer_id, 1 for what the VMM sets itself.
 */
TRACE_EVENT(kvm_vmi_access_change,
	TP_PROTO(u64 id, u64 gfn, u64 nr, u32 rule, u32 write, u32 rights, u32 layer),
	TP_ARGS(id, gfn, nr, rule, write, rights, layer),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, gfn)
		__field(u64, nr)
		__field(u32, rule)
		__field(u32, write)
		__field(u32, rights)
		__field(u32, layer)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->gfn = gfn;
		__entry->nr = nr;
		__entry->rule = rule;
		__entry->write = write;
		__entry->rights = rights;
		__entry->layer = layer;
	),

	TP_printk("vm %llu gfn 0x%llx nr %llu rule %u write 0x%08x rights 0x%x layer %u",
		  __entry->id, __entry->gfn, __entry->nr, __entry->rule, __entry->write,
		  __entry->rights, __entry->layer)
);

/* The CPU has met a frame that its table of sub-pages does not cover yet, or a bad entry. */
TRACE_EVENT(kvm_vmi_spp,
	TP_PROTO(u64 id, u32 vcpu_id, u64 gpa, bool miss),
	TP_ARGS(id, vcpu_id, gpa, miss),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, gpa)
		__field(u32, vcpu_id)
		__field(bool, miss)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->gpa = gpa;
		__entry->vcpu_id = vcpu_id;
		__entry->miss = miss;
	),

	TP_printk("vm %llu vcpu %u gpa 0x%llx %s", __entry->id, __entry->vcpu_id,
		  __entry->gpa, __entry->miss ? "miss" : "misconfiguration")
);

/* A step has ended: see &enum kvm_vmi_step_end. */
TRACE_EVENT(kvm_vmi_step,
	TP_PROTO(u64 id, u32 vcpu_id, u64 gpa, u32 end),
	TP_ARGS(id, vcpu_id, gpa, end),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, gpa)
		__field(u32, vcpu_id)
		__field(u32, end)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->gpa = gpa;
		__entry->vcpu_id = vcpu_id;
		__entry->end = end;
	),

	TP_printk("vm %llu vcpu %u gpa 0x%llx %s", __entry->id, __entry->vcpu_id,
		  __entry->gpa,
		  __print_symbolic(__entry->end,
				   { KVM_VMI_STEP_DONE, "done" },
				   { KVM_VMI_STEP_FAULT, "fault" },
				   { KVM_VMI_STEP_SHUTDOWN, "shutdown" },
				   { KVM_VMI_STEP_OTHER, "interrupted" },
				   { KVM_VMI_STEP_DENIED, "denied" }))
);

/* A vCPU in long mode has had these pinned bits clear for a second. */
TRACE_EVENT(kvm_vmi_unpinned,
	TP_PROTO(u64 id, u32 vcpu_id, u64 cr0, u64 cr4, u64 efer),
	TP_ARGS(id, vcpu_id, cr0, cr4, efer),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, cr0)
		__field(u64, cr4)
		__field(u64, efer)
		__field(u32, vcpu_id)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->cr0 = cr0;
		__entry->cr4 = cr4;
		__entry->efer = efer;
		__entry->vcpu_id = vcpu_id;
	),

	TP_printk("vm %llu vcpu %u cr0 0x%llx cr4 0x%llx efer 0x%llx", __entry->id,
		  __entry->vcpu_id, __entry->cr0, __entry->cr4, __entry->efer)
);

TRACE_EVENT(kvm_vmi_vm,
	TP_PROTO(u64 id, u32 event, u32 flags),
	TP_ARGS(id, event, flags),

	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, event)
		__field(u32, flags)
	),

	TP_fast_assign(
		__entry->id = id;
		__entry->event = event;
		__entry->flags = flags;
	),

	TP_printk("vm %llu %s flags 0x%x", __entry->id,
		  __print_symbolic(__entry->event,
				   { KVM_VMI_VM_CREATED, "created" },
				   { KVM_VMI_VM_RESET, "reset" },
				   { KVM_VMI_VM_DESTROYED, "destroyed" },
				   { KVM_VMI_VM_ADMITTED, "admitted" },
				   { KVM_VMI_VM_ADMISSION_EXPIRED, "admission expired" },
				   { KVM_VMI_VM_KILLED, "killed" },
				   { KVM_VMI_VM_RULE_DISARMED, "rule disarmed" },
				   { KVM_VMI_VM_ENGINE, "engine" }),
		  __entry->flags)
);

#endif /* _TRACE_KVM_VMI_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../arch/x86/kvm/vmi
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
