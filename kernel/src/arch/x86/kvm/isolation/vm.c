// SPDX-License-Identifier: GPL-2.0-only
/* Switching isolation on, and what each VM has of it. */
#include <linux/cc_platform.h>
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <asm/hypervisor.h>
#include "internal.h"
#include "../mmu.h"

/* The last PCID, which is never given to an mm (see MAX_ASID_AVAILABLE in mm/tlb.c). */
#ifdef CONFIG_MITIGATION_PAGE_TABLE_ISOLATION
#define ISOLATION_PCID	(CR3_PCID_MASK & ~BIT(X86_CR3_PTI_PCID_USER_BIT))
#else
#define ISOLATION_PCID	CR3_PCID_MASK
#endif

bool __ro_after_init kvm_isolation;
module_param_named(isolation, kvm_isolation, bool, 0444);

bool __ro_after_init isolation_flush_global;
unsigned int __ro_after_init isolation_vcpu_size;
static const char *isolation_refused __ro_after_init = "no hardware for KVM";

const char *const isolation_reasons[KVM_ISOLATION_NR_REASONS] = {
	[KVM_ISOLATION_END] = "end",
	[KVM_ISOLATION_FAULT] = "fault",
	[KVM_ISOLATION_DEBUG] = "debug",
	[KVM_ISOLATION_BREAKPOINT] = "breakpoint",
	[KVM_ISOLATION_BUG] = "bug",
	[KVM_ISOLATION_PROTECTION] = "protection",
	[KVM_ISOLATION_DOUBLE_FAULT] = "double-fault",
	[KVM_ISOLATION_TIMER] = "timer",
	[KVM_ISOLATION_WAKE] = "wake",
};

const char *const isolation_exits[KVM_ISOLATION_NR_EXITS] = {
	[KVM_ISOLATION_EXIT_OTHER] = "other",
	[KVM_ISOLATION_EXIT_INTERRUPT] = "interrupt",
	[KVM_ISOLATION_EXIT_HLT] = "hlt",
	[KVM_ISOLATION_EXIT_NESTED] = "nested",
	[KVM_ISOLATION_EXIT_MEMORY] = "memory",
	[KVM_ISOLATION_EXIT_IO] = "io",
	[KVM_ISOLATION_EXIT_WINDOW] = "window",
	[KVM_ISOLATION_EXIT_TIMER] = "timer",
	[KVM_ISOLATION_EXIT_CPUID] = "cpuid",
	[KVM_ISOLATION_EXIT_RDMSR] = "rdmsr",
	[KVM_ISOLATION_EXIT_WRMSR] = "wrmsr",
	[KVM_ISOLATION_EXIT_CR_READ] = "cr-read",
	[KVM_ISOLATION_EXIT_PAUSE] = "pause",
};

/* Why it cannot be here, or NULL. */
static const char *why_not(void)
{
	/* Their shadow memory would have to be mapped, for every access to anything. */
	if (IS_ENABLED(CONFIG_KASAN))
		return "this kernel has KASAN";
	if (IS_ENABLED(CONFIG_KMSAN))
		return "this kernel has KMSAN";
	if (IS_ENABLED(CONFIG_KCSAN))
		return "this kernel has KCSAN";
	if (cpu_feature_enabled(X86_FEATURE_XENPV))
		return "Xen manages the page tables";
	if (hypervisor_is_type(X86_HYPER_MS_HYPERV))
		return "Hyper-V may flush TLBs in our place";
	/* #VC, in which the host talks to its hypervisor, may come anywhere. */
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
		return "the host is a confidential guest";
	if (!tdp_enabled)
		return "it needs EPT or NPT";
	return NULL;
}

/**
 * kvm_isolation_setup() - once, when the vendor's part has set up the hardware
 */
void kvm_isolation_setup(void)
{
	isolation_refused = why_not();
	if (!kvm_isolation)
		return;

	if (isolation_refused) {
		pr_warn("kvm: isolation=1 is refused: %s\n", isolation_refused);
		kvm_isolation = false;
		return;
	}

	isolation_flush_global = boot_cpu_has(X86_FEATURE_PGE) &&
				 (__default_kernel_pte_mask & _PAGE_GLOBAL);
	/* For call stacks of faults.  If it fails there are none. */
	stack_depot_init();
	static_branch_enable(&kvm_isolation_key);
	pr_info("kvm: isolation is on\n");
}

unsigned int __kvm_isolation_align(unsigned int size, unsigned int align)
{
	isolation_vcpu_size = size;
	return max_t(unsigned int, align, PAGE_SIZE);
}

int __kvm_isolation_init_vm(struct kvm *kvm)
{
	struct kvm_isolation *iso;
	int error;

	iso = (void *)__get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO,
				       get_order(sizeof(*iso)));
	if (!iso)
		return -ENOMEM;
	mutex_init(&iso->lock);
	raw_spin_lock_init(&iso->place_lock);
	error = isolation_create_table(iso);
	if (error) {
		free_pages((unsigned long)iso, get_order(sizeof(*iso)));
		return error;
	}
	if (cpu_feature_enabled(X86_FEATURE_PCID))
		iso->cr3 |= ISOLATION_PCID;
	isolation_init_kick(iso);
	kvm->arch.isolation = iso;
	error = isolation_map_vm(kvm);
	if (error)
		__kvm_isolation_destroy_vm(kvm);
	return error;
}

void __kvm_isolation_destroy_vm(struct kvm *kvm)
{
	struct kvm_isolation *iso = kvm->arch.isolation;

	if (!iso)
		return;
	kvm->arch.isolation = NULL;
	isolation_free_table(iso);
	free_pages((unsigned long)iso, get_order(sizeof(*iso)));
}

/**
 * isolation_add_counters() - add up two of them
 * @sum: gets the sum
 * @counters: may change meanwhile
 */
void isolation_add_counters(struct kvm_isolation_counters *sum,
			    const struct kvm_isolation_counters *counters)
{
	unsigned int i;

	sum->windows += READ_ONCE(counters->windows);
	for (i = 0; i < KVM_ISOLATION_NR_EXITS; i++) {
		sum->inside[i] += READ_ONCE(counters->inside[i]);
		sum->outside[i] += READ_ONCE(counters->outside[i]);
	}
	for (i = 0; i < KVM_ISOLATION_NR_REASONS; i++)
		sum->left[i] += READ_ONCE(counters->left[i]);
	sum->faults += READ_ONCE(counters->faults);
	sum->pauses += READ_ONCE(counters->pauses);
	sum->kicks += READ_ONCE(counters->kicks);
	sum->waits += READ_ONCE(counters->waits);
	sum->refused += READ_ONCE(counters->refused);
}

/**
 * isolation_stats() - all that is counted of a VM
 * @kvm: that has isolation
 * @stats: filled
 */
void isolation_stats(struct kvm *kvm, struct kvm_isolation_stats *stats)
{
	struct kvm_isolation *iso = kvm->arch.isolation;
	struct kvm_isolation_counters sum;
	struct kvm_vcpu *vcpu;
	unsigned long i;

	BUILD_BUG_ON(KVM_ISOLATION_NR_REASONS > KVM_ISOLATION_MAX_REASONS);
	BUILD_BUG_ON(KVM_ISOLATION_NR_EXITS > KVM_ISOLATION_MAX_EXITS);

	sum = iso->lost;
	kvm_for_each_vcpu(i, vcpu, kvm)
		isolation_add_counters(&sum, &vcpu->arch.isolation.counters);

	memset(stats, 0, sizeof(*stats));
	stats->windows = sum.windows;
	memcpy(stats->left, sum.left, sizeof(sum.left));
	memcpy(stats->inside, sum.inside, sizeof(sum.inside));
	memcpy(stats->outside, sum.outside, sizeof(sum.outside));
	stats->faults = sum.faults;
	stats->no_place = READ_ONCE(iso->no_place);
	stats->pauses = sum.pauses;
	stats->kicks = sum.kicks;
	stats->waits = sum.waits;
	stats->refused = sum.refused;
	stats->mapped_bytes = READ_ONCE(iso->pages) << PAGE_SHIFT;
	stats->table_bytes = READ_ONCE(iso->tables) << PAGE_SHIFT;
	stats->kick = READ_ONCE(iso->kick);
}

/**
 * isolation_host() - what can be isolated here
 * @host: filled
 */
void isolation_host(struct kvm_isolation_host *host)
{
	memset(host, 0, sizeof(*host));
	host->on = kvm_isolation;
	host->kick = READ_ONCE(kvm_isolation_kick) ? KVM_ISOLATION_KICK_ALWAYS :
						     KVM_ISOLATION_KICK_NEVER;
	if (isolation_refused)
		strscpy(host->refused, isolation_refused);
}
