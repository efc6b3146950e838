// SPDX-License-Identifier: GPL-2.0-only
/* The file "isolation" in a VM's folder of debugfs: counters, and where faults come from. */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include "internal.h"

static int isolation_show(struct seq_file *m, void *unused)
{
	struct kvm *kvm = m->private;
	struct kvm_isolation_stats *stats;
	struct kvm_isolation_place place;
	unsigned int i;

	stats = kmalloc_obj(*stats, GFP_KERNEL);
	if (!stats)
		return -ENOMEM;
	isolation_stats(kvm, stats);
	seq_printf(m, "windows %llu\n", stats->windows);
	for (i = 0; i < KVM_ISOLATION_NR_EXITS; i++)
		seq_printf(m, "inside-%s %llu\noutside-%s %llu\n", isolation_exits[i],
			   stats->inside[i], isolation_exits[i], stats->outside[i]);
	for (i = 0; i < KVM_ISOLATION_NR_REASONS; i++)
		seq_printf(m, "left-%s %llu\n", isolation_reasons[i], stats->left[i]);
	seq_printf(m, "faults %llu\npauses %llu\nkick 0x%x\nkicks %llu\nwaits %llu\nrefused %llu\n",
		   stats->faults, stats->pauses, stats->kick, stats->kicks, stats->waits,
		   stats->refused);
	seq_printf(m, "mapped-bytes %llu\ntable-bytes %llu\n", stats->mapped_bytes,
		   stats->table_bytes);
	for (i = 0; isolation_place(kvm->arch.isolation, i, &place); i++)
		seq_printf(m, "place %llu 0x%llx %pS\n", place.count, place.address,
			   (void *)place.ip);
	seq_printf(m, "no-place %llu\n", stats->no_place);
	kfree(stats);
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
