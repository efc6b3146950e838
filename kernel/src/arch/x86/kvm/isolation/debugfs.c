// SPDX-License-Identifier: GPL-2.0-only
/* The file "isolation" in a VM's folder of debugfs: counters, and where faults come from. */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include "internal.h"

static int isolation_show(struct seq_file *m, void *unused)
{
	struct kvm *kvm = m->private;
	struct kvm_isolation *iso = kvm->arch.isolation;
	struct kvm_isolation_counters sum;
	unsigned int i;

	isolation_sum_counters(kvm, &sum);
	seq_printf(m, "windows %llu\n", sum.windows);
	for (i = 0; i < KVM_ISOLATION_NR_EXITS; i++)
		seq_printf(m, "inside-%s %llu\noutside-%s %llu\n", isolation_exits[i],
			   sum.inside[i], isolation_exits[i], sum.outside[i]);
	for (i = 0; i < KVM_ISOLATION_NR_REASONS; i++)
		seq_printf(m, "left-%s %llu\n", isolation_reasons[i], sum.left[i]);
	seq_printf(m, "faults %llu\npauses %llu\nrefused %llu\n", sum.faults, sum.pauses,
		   sum.refused);
	seq_printf(m, "mapped-bytes %lu\ntable-bytes %lu\n", READ_ONCE(iso->pages) << PAGE_SHIFT,
		   READ_ONCE(iso->tables) << PAGE_SHIFT);
	for (i = 0; i < ISOLATION_VM_FAULTS; i++) {
		struct isolation_place place;

		scoped_guard(raw_spinlock_irq, &iso->place_lock)
			place = iso->places[i];
		if (place.count)
			seq_printf(m, "place %llu 0x%lx %pS\n", place.count, place.address,
				   (void *)place.ip);
	}
	seq_printf(m, "no-place %llu\n", READ_ONCE(iso->no_place));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(isolation);

void __kvm_isolation_create_debugfs(struct kvm *kvm)
{
	if (!kvm->arch.isolation)
		return;
	/* debugfs_remove(), before the VM goes, waits for readers. */
	debugfs_create_file("isolation", 0400, kvm->debugfs_dentry, kvm, &isolation_fops);
	isolation_create_probe(kvm);
}
