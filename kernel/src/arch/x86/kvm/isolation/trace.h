/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm

#if !defined(_TRACE_KVM_ISOLATION_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KVM_ISOLATION_H

#include <linux/kvm_host.h>
#include <linux/tracepoint.h>

/* &enum kvm_isolation_reason */
#define kvm_isolation_reason_names			\
	{ KVM_ISOLATION_END,		"end" },	\
	{ KVM_ISOLATION_FAULT,		"fault" },	\
	{ KVM_ISOLATION_DEBUG,		"debug" },	\
	{ KVM_ISOLATION_BREAKPOINT,	"breakpoint" },	\
	{ KVM_ISOLATION_BUG,		"bug" },	\
	{ KVM_ISOLATION_PROTECTION,	"protection" },	\
	{ KVM_ISOLATION_DOUBLE_FAULT,	"double-fault" },\
	{ KVM_ISOLATION_TIMER,		"timer" },	\
	{ KVM_ISOLATION_WAKE,		"wake" }

/*
 * A vCPU is about to go on with the restricted page table.
 */
TRACE_EVENT(kvm_isolation_enter,
	TP_PROTO(struct kvm_vcpu *vcpu),
	TP_ARGS(vcpu),

	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
	),

	TP_printk("vcpu %u", __entry->vcpu_id)
);

/*
 * It has the full one again.
 */
TRACE_EVENT(kvm_isolation_exit,
	TP_PROTO(struct kvm_vcpu *vcpu, unsigned int reason),
	TP_ARGS(vcpu, reason),

	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id)
		__field(unsigned int, reason)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->reason = reason;
	),

	TP_printk("vcpu %u reason %s", __entry->vcpu_id,
		  __print_symbolic(__entry->reason, kvm_isolation_reason_names))
);

/*
 * It touched what is not mapped.  Told when the window is over; the stack is one of the
 * kernel's stack depot, or 0.
 */
TRACE_EVENT(kvm_isolation_fault,
	TP_PROTO(struct kvm_vcpu *vcpu, unsigned long ip, unsigned long address,
		 unsigned long error_code, unsigned int stack),
	TP_ARGS(vcpu, ip, address, error_code, stack),

	TP_STRUCT__entry(
		__field(unsigned int, vcpu_id)
		__field(unsigned int, stack)
		__field(unsigned long, ip)
		__field(unsigned long, address)
		__field(unsigned long, error_code)
	),

	TP_fast_assign(
		__entry->vcpu_id = vcpu->vcpu_id;
		__entry->stack = stack;
		__entry->ip = ip;
		__entry->address = address;
		__entry->error_code = error_code;
	),

	TP_printk("vcpu %u ip %pS address 0x%lx error 0x%lx stack 0x%x", __entry->vcpu_id,
		  (void *)__entry->ip, __entry->address, __entry->error_code, __entry->stack)
);

#endif /* _TRACE_KVM_ISOLATION_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH ../../arch/x86/kvm/isolation
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

/* This part must be outside protection */
#include <trace/define_trace.h>
