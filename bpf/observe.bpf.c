// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches; decides nothing.  Attached while merlond runs, never pinned.
 *
 * What: each violation with its final verdict to the events ring, once it has
 * passed its VM's token bucket, and so each vCPU that leaves pinned bits clear; what the
 * kernel did by itself (admission ended, a VM was killed, a rule disarmed) to the control
 * ring.
 * Limits: not sleepable; runs on the vCPU's path, so no loop that a guest could
 * make long.
 * Failure mode: a refused or unstored record is counted in its VM's entry; the
 * kernel numbers violations, so that nothing is lost without a gap.
 */
#include "maps.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * A bucket in one word (the generic cell rate algorithm): @tat is when the last
 * admitted event would have arrived at the steady rate; events may be ahead of
 * their time by a burst.  vCPUs that race for the word try again; one that loses
 * eight times in a row is refused, which only a VM far above its rate brings about.
 */
static __always_inline bool bucket_take(struct merlon_vm_counters *vm, __u64 now)
{
	int i;

	for (i = 0; i < 8; i++) {
		__u64 old = *(volatile __u64 *)&vm->tat;
		__u64 base = old > now ? old : now;

		if (base - now >= MERLON_EVENT_BURST * MERLON_EVENT_NS)
			return false;
		if (__sync_val_compare_and_swap(&vm->tat, old, base + MERLON_EVENT_NS) == old)
			return true;
	}
	return false;
}

static __always_inline struct merlon_vm_counters *counters(__u64 id)
{
	struct merlon_vm_counters *vm = bpf_map_lookup_elem(&vms, &id);
	struct merlon_vm_counters zero = {};

	if (vm)
		return vm;
	/* Another vCPU may be first; whoever is, both find the same entry. */
	bpf_map_update_elem(&vms, &id, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&vms, &id);
}

/* Room on the events ring for a record of a VM; NULL: counted. */
static __always_inline void *reserve(struct merlon_vm_counters *vm, __u64 size)
{
	void *record;

	if (!bucket_take(vm, bpf_ktime_get_boot_ns())) {
		__sync_fetch_and_add(&vm->lost, 1);
		return NULL;
	}
	record = bpf_ringbuf_reserve(&events, size, 0);
	if (!record)
		__sync_fetch_and_add(&vm->dropped, 1);
	return record;
}

SEC("tp_btf/kvm_vmi_violation")
int BPF_PROG(observe_violation, struct kvm *kvm, __u64 id, const struct kvm_vmi_violation *v,
	     __u32 verdict)
{
	/* An older kernel's ends before ours does. */
	__u32 size = bpf_core_type_size(struct kvm_vmi_violation);
	struct merlon_violation_record *record;
	struct merlon_vm_counters *vm;

	/* What a VMM protects in its own guest is no rule of ours, nor counted with them. */
	if (v->flags & KVM_VMI_V_VMM)
		return 0;
	vm = counters(id);
	if (!vm) {
		stat_add(MERLON_STAT_NO_COUNTERS);
		return 0;
	}
	__sync_fetch_and_add(&vm->seen, 1);
	record = reserve(vm, sizeof(*record));
	if (!record)
		return 0;
	record_fill(&record->head, sizeof(*record), MERLON_RECORD_VIOLATION, id, v->seq);
	record->verdict = verdict;
	record->reserved = 0;
	if (size > sizeof(record->v))
		size = sizeof(record->v);
	__builtin_memset(&record->v, 0, sizeof(record->v));
	bpf_probe_read_kernel(&record->v, size, v);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

/* Not of every kernel: merlond loads it where the tracepoint is. */
SEC("tp_btf/kvm_vmi_unpinned")
int BPF_PROG(observe_unpinned, __u64 id, __u32 vcpu_id, __u64 cr0, __u64 cr4, __u64 efer)
{
	struct merlon_vm_counters *vm = counters(id);
	struct merlon_unpinned_record *record;

	if (!vm) {
		stat_add(MERLON_STAT_NO_COUNTERS);
		return 0;
	}
	record = reserve(vm, sizeof(*record));
	if (!record)
		return 0;
	record_fill(&record->head, sizeof(*record), MERLON_RECORD_UNPINNED, id, 0);
	record->vcpu_id = vcpu_id;
	record->reserved = 0;
	record->cr0 = cr0;
	record->cr4 = cr4;
	record->efer = efer;
	bpf_ringbuf_submit(record, 0);
	return 0;
}

/* Events of the tracepoint from here on have no struct_ops callback. */
#define FIRST_NOTICE	4
#define LAST_NOTICE	7

SEC("tp_btf/kvm_vmi_vm")
int BPF_PROG(observe_vm, __u64 id, __u32 event, __u32 flags)
{
	struct merlon_notice_record *record;

	if (event < FIRST_NOTICE || event > LAST_NOTICE)
		return 0;
	record = bpf_ringbuf_reserve(&control, sizeof(*record), 0);
	if (!record) {
		stat_add(MERLON_STAT_CONTROL_LOST);
		return 0;
	}
	record_fill(&record->head, sizeof(*record),
		    MERLON_RECORD_VM_ADMITTED + (event - FIRST_NOTICE), id, 0);
	record->detail = flags;
	record->reserved = 0;
	bpf_ringbuf_submit(record, 0);
	return 0;
}
