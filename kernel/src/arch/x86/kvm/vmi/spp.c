// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the sub-page permission table (SPPT), by
 * which Intel's CPUs check writes to parts of a frame (SDM vol. 3, "Sub-Page
 * Write Permissions for EPT").
 *
 * The table is a cache of the access map.  The CPU consults it for a write to a
 * frame whose SPTE is armed: readable, not writable, bit 61 set.  Only a frame of
 * which some sub-pages may be written and others not is armed.  What the CPU
 * refuses ends as an EPT violation, and is settled as with software alone: by
 * the map, not by this table.  So is what the CPU cannot tell: a write beyond
 * one sub-page or one frame, a page walk.
 *
 * Four levels, indexed by bits 47:12 of the gpa.  An entry of the last level
 * holds for one frame, and there is none that says "unknown": with its page of
 * 512 they all hold.  A page is filled when a CPU first misses it, an entry is
 * rewritten before the SPTEs that rely on it are zapped, and a page without any
 * armed frame goes after the flush.  All under kvm_vmi.lock, under which the map
 * stands still; CPUs read without.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/sched/mm.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/page_track.h"
#include "mmu/spte.h"
#include "mmu/tdp_mmu.h"
#include "vmi/internal.h"
#include "vmi/trace.h"

#define KVM_VMI_SPPT_LEVELS	4
#define KVM_VMI_SPPT_BITS	9
#define KVM_VMI_SPPT_ENTRIES	BIT(KVM_VMI_SPPT_BITS)

/* Bits of the gpa above 47 take no part: frames beyond are never armed. */
#define KVM_VMI_SPP_MAX_GFN	BIT_ULL(KVM_VMI_SPPT_LEVELS * KVM_VMI_SPPT_BITS)
static_assert(PAGE_SHIFT + KVM_VMI_SPPT_LEVELS * KVM_VMI_SPPT_BITS == 48);

/* In entries that point to the next level; all other bits are reserved. */
#define KVM_VMI_SPPT_VALID	BIT_ULL(0)

/* In the last level sub-page i is bit 2 * i; odd bits are reserved. */
#define KVM_VMI_SPPT_WRITE_ALL	0x5555555555555555ULL
static_assert(2 * BITS_PER_TYPE(u32) == BITS_PER_TYPE(u64));

/* The frames that an entry of this level stands for; 1 is the last level. */
static u64 kvm_vmi_sppt_span(unsigned int level)
{
	return BIT_ULL(KVM_VMI_SPPT_BITS * (level - 1));
}

static u64 *kvm_vmi_sppt_entry(u64 *table, gfn_t gfn, unsigned int level)
{
	return &table[(gfn / kvm_vmi_sppt_span(level)) % KVM_VMI_SPPT_ENTRIES];
}

static u64 *kvm_vmi_sppt_child(u64 entry)
{
	return entry & KVM_VMI_SPPT_VALID ? __va(entry & PAGE_MASK) : NULL;
}

/* Spread bit i to bit 2 * i. */
static u64 kvm_vmi_sppt_vector(u32 map)
{
	u64 v = map;

	v = (v | v << 16) & 0x0000ffff0000ffffULL;
	v = (v | v << 8) & 0x00ff00ff00ff00ffULL;
	v = (v | v << 4) & 0x0f0f0f0f0f0f0f0fULL;
	v = (v | v << 2) & 0x3333333333333333ULL;
	v = (v | v << 1) & KVM_VMI_SPPT_WRITE_ALL;
	return v;
}

/* What the CPU is to know of a frame.  What is shared with others is KVM's to check. */
static u64 kvm_vmi_sppt_wanted(struct kvm_vmi *vmi, gfn_t gfn)
{
	guard(rcu)();
	if (kvm_vmi_has_alias(vmi, gfn, gfn))
		return 0;
	return kvm_vmi_sppt_vector(kvm_vmi_layers_map(vmi, gfn));
}

static u64 *kvm_vmi_sppt_alloc(struct kvm_vmi *vmi)
{
	struct mem_cgroup *old = set_active_memcg(vmi->memcg);
	u64 *table = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

	set_active_memcg(old);
	if (table)
		WRITE_ONCE(vmi->sppt_pages, vmi->sppt_pages + 1);
	return table;
}

static void kvm_vmi_sppt_free(struct kvm_vmi *vmi, u64 *table)
{
	WRITE_ONCE(vmi->sppt_pages, vmi->sppt_pages - 1);
	free_page((unsigned long)table);
}

/*
 * The first page of the last level for @gfn or a frame after it, up to @last.
 * *@gfn becomes a frame of that page.  @ret_link: the entry that points to it.
 */
static u64 *kvm_vmi_sppt_find(struct kvm_vmi *vmi, gfn_t *gfn, gfn_t last, u64 **ret_link)
{
	last = min(last, KVM_VMI_SPP_MAX_GFN - 1);

	while (*gfn <= last) {
		u64 *table = vmi->sppt, *link = NULL, *next;
		unsigned int level;

		for (level = KVM_VMI_SPPT_LEVELS; level > 1; level--) {
			link = kvm_vmi_sppt_entry(table, *gfn, level);
			next = kvm_vmi_sppt_child(*link);
			if (!next)
				break;
			table = next;
		}
		if (level == 1) {
			*ret_link = link;
			return table;
		}
		*gfn = round_down(*gfn, kvm_vmi_sppt_span(level)) + kvm_vmi_sppt_span(level);
	}
	return NULL;
}

/* Have the page of the last level that @gfn's entry is in.  0 or -ENOMEM. */
static int kvm_vmi_sppt_fill(struct kvm_vmi *vmi, gfn_t gfn)
{
	gfn_t first = round_down(gfn, KVM_VMI_SPPT_ENTRIES);
	u64 *table = vmi->sppt;
	unsigned int level, i;

	lockdep_assert_held(&vmi->lock);
	for (level = KVM_VMI_SPPT_LEVELS; level > 1; level--) {
		u64 *link = kvm_vmi_sppt_entry(table, gfn, level);
		u64 *next = kvm_vmi_sppt_child(*link);

		if (!next) {
			next = kvm_vmi_sppt_alloc(vmi);
			if (!next)
				return -ENOMEM;
			for (i = 0; level == 2 && i < KVM_VMI_SPPT_ENTRIES; i++)
				next[i] = kvm_vmi_sppt_wanted(vmi, first + i);
			/* A CPU that follows the link finds the page filled. */
			smp_store_release(link, __pa(next) | KVM_VMI_SPPT_VALID);
		}
		table = next;
	}
	return 0;
}

/**
 * kvm_vmi_spp_update - the map of these frames has changed
 * @vmi: the VM, locked
 * @first: first frame
 * @last: last frame
 *
 * To be followed by a zap of the SPTEs and a flush, then by kvm_vmi_spp_trim().
 */
void kvm_vmi_spp_update(struct kvm_vmi *vmi, gfn_t first, gfn_t last)
{
	gfn_t gfn = first;
	u64 *table, *link;

	lockdep_assert_held(&vmi->lock);
	if (!vmi->sppt)
		return;

	while ((table = kvm_vmi_sppt_find(vmi, &gfn, last, &link))) {
		gfn_t end = min(last, gfn | (KVM_VMI_SPPT_ENTRIES - 1));

		for (; gfn <= end; gfn++)
			WRITE_ONCE(*kvm_vmi_sppt_entry(table, gfn, 1),
				   kvm_vmi_sppt_wanted(vmi, gfn));
		cond_resched();
	}
}

/* Would the CPU need none of these entries? */
static bool kvm_vmi_sppt_is_idle(const u64 *table)
{
	unsigned int i;

	for (i = 0; i < KVM_VMI_SPPT_ENTRIES; i++)
		if (table[i] && table[i] != KVM_VMI_SPPT_WRITE_ALL)
			return false;
	return true;
}

/**
 * kvm_vmi_spp_trim - give back the pages that no armed frame needs any more
 * @vmi: the VM, locked, the SPTEs of what has changed zapped and flushed
 * @first: first frame
 * @last: last frame
 */
void kvm_vmi_spp_trim(struct kvm_vmi *vmi, gfn_t first, gfn_t last)
{
	struct page *page, *next;
	gfn_t gfn = first;
	LIST_HEAD(idle);
	u64 *table, *link;

	lockdep_assert_held(&vmi->lock);
	if (!vmi->sppt)
		return;

	while ((table = kvm_vmi_sppt_find(vmi, &gfn, last, &link))) {
		if (kvm_vmi_sppt_is_idle(table)) {
			WRITE_ONCE(*link, 0);
			list_add(&virt_to_page(table)->lru, &idle);
		}
		gfn = (gfn | (KVM_VMI_SPPT_ENTRIES - 1)) + 1;
		cond_resched();
	}
	if (list_empty(&idle))
		return;

	/* CPUs may have cached the links. */
	kvm_flush_remote_tlbs(vmi->kvm);
	list_for_each_entry_safe(page, next, &idle, lru)
		kvm_vmi_sppt_free(vmi, page_address(page));
}

/**
 * kvm_vmi_spp_begin - the VM's engine is to be hardware
 * @vmi: the VM, locked
 *
 * Return: 0 or -ENOMEM
 */
int kvm_vmi_spp_begin(struct kvm_vmi *vmi)
{
	u64 *root;

	lockdep_assert_held(&vmi->lock);
	root = kvm_vmi_sppt_alloc(vmi);
	if (!root)
		return -ENOMEM;
	/* Pairs with kvm_vmi_spp_usable() and kvm_vmi_load_spp(). */
	smp_store_release(&vmi->sppt, root);
	kvm_make_all_cpus_request(vmi->kvm, KVM_REQ_VMI_SPP);
	return 0;
}

static void kvm_vmi_sppt_destroy(struct kvm_vmi *vmi, u64 *table, unsigned int level)
{
	unsigned int i;

	/* At most four deep. */
	for (i = 0; level > 1 && i < KVM_VMI_SPPT_ENTRIES; i++) {
		u64 *child = kvm_vmi_sppt_child(table[i]);

		if (child)
			kvm_vmi_sppt_destroy(vmi, child, level - 1);
	}
	kvm_vmi_sppt_free(vmi, table);
}

/* No vCPU is left. */
void kvm_vmi_spp_destroy(struct kvm_vmi *vmi)
{
	if (vmi->sppt)
		kvm_vmi_sppt_destroy(vmi, vmi->sppt, KVM_VMI_SPPT_LEVELS);
	vmi->sppt = NULL;
}

/* Served on the vCPU's thread, loaded.  What L2 runs on is left alone. */
void kvm_vmi_load_spp(struct kvm_vcpu *vcpu)
{
	/* Pairs with kvm_vmi_spp_begin(). */
	u64 *root = smp_load_acquire(&vcpu->kvm->arch.vmi->sppt);

	if (!root || vcpu->arch.vmi.spp_loaded || is_guest_mode(vcpu))
		return;
	/* First, for who computes the controls anew. */
	vcpu->arch.vmi.spp_loaded = true;
	kvm_x86_call(load_spptp)(vcpu, __pa(root));
}

/* May the CPU be asked about writes to this frame, some sub-pages of which are denied? */
static bool kvm_vmi_spp_usable(struct kvm_vmi *vmi, gfn_t gfn)
{
	/* Pairs with kvm_vmi_spp_begin(). */
	return smp_load_acquire(&vmi->sppt) && gfn < KVM_VMI_SPP_MAX_GFN &&
	       !kvm_vmi_has_alias(vmi, gfn, gfn);
}

/**
 * kvm_vmi_may_arm - may the SPTE of a frame have the CPU check its sub-pages?
 * @vcpu: the vCPU
 * @sp: where the SPTE goes
 * @gfn: the frame, which may not be written as a whole
 *
 * Elsewhere than in the TDP MMU a SPTE may stand for L2's, or rely on write
 * protection to see dirty pages.
 * Context: mmu_lock
 */
bool kvm_vmi_may_arm(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, gfn_t gfn)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;

	lockdep_assert_held(&vcpu->kvm->mmu_lock);
	return is_tdp_mmu_page(sp) && !sp->role.guest_mode && sp->role.level == PG_LEVEL_4K &&
	       kvm_vmi_spp_usable(vmi, gfn) && kvm_vmi_write_map(vmi, gfn);
}

static bool kvm_vmi_is_armed(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	u64 *sptep, spte;
	bool armed;

	kvm_tdp_mmu_walk_lockless_begin();
	sptep = kvm_tdp_mmu_fast_pf_get_last_sptep(vcpu, gfn, &spte);
	armed = sptep && is_shadow_present_pte(spte) && !is_large_pte(spte) && is_spp_spte(spte);
	kvm_tdp_mmu_walk_lockless_end();
	return armed;
}

/**
 * kvm_vmi_spp_can_check - is it for the CPU to check this write?
 * @vcpu: the vCPU
 * @fault: a write, which begins in a sub-page that may be written
 *
 * If it has done so already, and faulted, then the write goes beyond that
 * sub-page, or the CPU cannot tell.
 * Return: true if a SPTE is to be made, and the write tried again
 */
bool kvm_vmi_spp_can_check(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	if (!kvm_vmi_spp_usable(vcpu->kvm->arch.vmi, fault->gfn) || is_guest_mode(vcpu) ||
	    !vcpu->arch.mmu->root_role.direct || fault->error_code & PFERR_GUEST_PAGE_MASK ||
	    kvm_gfn_is_write_tracked(vcpu->kvm, fault->slot, fault->gfn))
		return false;

	/* Created, or out of L2, since the request to all: it has not been asked yet. */
	if (!vcpu->arch.vmi.spp_loaded) {
		kvm_make_request(KVM_REQ_VMI_SPP, vcpu);
		return true;
	}
	return !fault->present || !kvm_vmi_is_armed(vcpu, fault->gfn);
}

/**
 * kvm_vmi_mapped - a fault is mapped for which kvm_vmi_spp_can_check() was true
 * @vcpu: the vCPU
 * @fault: the fault
 * @r: RET_PF_*
 *
 * If the frame could not be armed, or KVM has a reason of its own to protect it,
 * trying again would fault again: KVM checks this write.  If another vCPU has armed it
 * meanwhile, the CPU has not been asked yet; should it fault again, it has been.
 */
int kvm_vmi_mapped(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault, int r)
{
	if (r == RET_PF_WRITE_PROTECTED ||
	    (r == RET_PF_SPURIOUS && !kvm_vmi_is_armed(vcpu, fault->gfn)))
		return RET_PF_VMI;
	return r;
}

/**
 * kvm_vmi_handle_spp - the CPU has found no entry for a frame, or a bad one
 * @vcpu: the vCPU, kvm->srcu held
 * @gpa: what was to be written
 * @miss: no entry; else an entry has reserved bits set, which is a bug of ours
 *
 * Return: as kvm_mmu_page_fault()
 */
int kvm_vmi_handle_spp(struct kvm_vcpu *vcpu, gpa_t gpa, bool miss)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	int r;

	trace_kvm_vmi_spp(vmi->id, vcpu->vcpu_id, gpa, miss);
	if (KVM_BUG_ON(!miss || !vmi->sppt, vcpu->kvm))
		return -EIO;

	if (mutex_lock_killable(&vmi->lock))
		return -EINTR;
	r = kvm_vmi_sppt_fill(vmi, gpa_to_gfn(gpa));
	mutex_unlock(&vmi->lock);
	if (likely(!r))
		return 1;

	/* Without memory KVM checks this write itself. */
	kvm_vmi_look(vmi, gpa_to_gfn(gpa), kvm_vmi_subpages(offset_in_page(gpa), 1),
		     &state->speaker);
	state->gpa = gpa;
	state->right = 0;
	state->error_code = PFERR_GUEST_FINAL_MASK | PFERR_PRESENT_MASK | PFERR_WRITE_MASK;
	return kvm_vmi_handle_fault(vcpu, gpa, NULL, 0);
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_vmi_handle_spp);
