// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's calls about isolation as the tests reach them, and an owner of struct
 * kvm_vmi_ops that is told of every window.
 */
#include "kvm_isolation_bpf.h"
#include "isolation_calls.h"

char LICENSE[] SEC("license") = "GPL";

/* Told, and how many of them by a fault; the last of those. */
__u64 told, told_faults, told_ip, told_address;
__u64 told_cpuid;

/* &enum kvm_isolation_reason, &enum kvm_isolation_exit */
#define REASON_FAULT	1
#define EXIT_CPUID	8

SEC("syscall")
int isolation_host(struct isolation_host_call *c)
{
	return bpf_kvm_isolation_host(&c->host);
}

SEC("syscall")
int isolation_stats(struct isolation_stats_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm), bpf_kvm_isolation_stats(kvm, &c->stats));
}

SEC("syscall")
int isolation_place(struct isolation_place_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_isolation_place(kvm, c->index, &c->place));
}

SEC("syscall")
int isolation_kick(struct isolation_kick_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_isolation_set_kick(kvm, c->reasons));
}

SEC("struct_ops/isolation_exit")
void BPF_PROG(isolation_exit, struct kvm *kvm, struct kvm_vcpu *vcpu,
	      const struct kvm_isolation_told *t)
{
	__sync_fetch_and_add(&told, 1);
	if (t->exit == EXIT_CPUID)
		__sync_fetch_and_add(&told_cpuid, 1);
	if (t->reason != REASON_FAULT)
		return;
	__sync_fetch_and_add(&told_faults, 1);
	told_ip = t->ip;
	told_address = t->address;
}

/* Runs of the reader, what it has read, and what it could not. */
__u64 reader_runs, reader_reads, reader_misses;

#define STEP	(1UL << 20)

/* Right around the guest: memory near this task's, which nobody maps for us, and none at all. */
SEC("raw_tp/kvm_entry")
int isolation_reader(void *unused)
{
	static const __u64 nowhere[] = { 0, 0xdead000000000000, 0xffffffffffffff00 };
	__u64 base = bpf_get_current_task() & ~(STEP - 1), value;
	int i;

	__sync_fetch_and_add(&reader_runs, 1);
	for (i = -8; i < 8; i++) {
		if (!bpf_probe_read_kernel(&value, sizeof(value), (void *)(base + i * STEP)))
			__sync_fetch_and_add(&reader_reads, 1);
	}
	for (i = 0; i < 3; i++) {
		if (bpf_probe_read_kernel(&value, sizeof(value), (void *)nowhere[i]))
			__sync_fetch_and_add(&reader_misses, 1);
	}
	return 0;
}

SEC(".struct_ops.link")
struct kvm_vmi_ops isolation_owner = {
	.isolation_exit = (void *)isolation_exit,
	.name = "isolation",
};
