// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: stores of KVM's instruction emulator.
 *
 * Every store of a VM with a map comes through here.  Each page of it is
 * translated once; the same guest physical addresses are looked up and written,
 * within one section of kvm_vmi.store_srcu.  In that section nothing waits: page
 * faults are disabled, and no program is asked.  If a page is missing, or a
 * verdict is needed, the section ends and all starts over from the look-up.
 */
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "kvm_emulate.h"
#include "mmu.h"
#include "mmu/page_track.h"
#include "pmu.h"
#include "vmi/internal.h"
#include "vmi/trace.h"
#include "x86.h"

/**
 * struct kvm_vmi_piece - the part of a store that lies in one page
 * @gpa: L1 guest physical address
 * @gva: linear address
 * @val: what to store
 * @bytes: how much
 * @uaddr: the same place in the VMM's memory
 */
struct kvm_vmi_piece {
	gpa_t gpa;
	gva_t gva;
	const void *val;
	unsigned int bytes;
	void __user *uaddr;
};

/* A page may be taken away between its being faulted in and the store; not for ever. */
#define KVM_VMI_MAX_TRIES	1000

/* How a store that the map forbids is dealt with. */
struct kvm_vmi_store {
	struct kvm_vcpu *vcpu;
	struct kvm_vmi_piece piece[2];	/* memory */
	struct kvm_vmi_piece mmio[2];	/* devices: no uaddr */
	unsigned int nr;
	unsigned int nr_mmio;
	unsigned int bytes;
	u32 kind;		/* WRITE, or KVM: then no program is asked */
	u32 legal;		/* verdicts that can be carried out here */
	bool again;		/* the instruction may begin again */
	struct x86_exception *exception;
	struct kvm_vmi_answer granted[KVM_VMI_NR_LAYERS][2];	/* by piece */
};

/*
 * While another vCPU steps, a store would slip in between what is copied before and
 * compared after: the instruction begins again later.  Not if it has read a device,
 * which it would read again.  Then it goes on: what it writes to sub-pages that are
 * allowed is not compared, and what it was allowed to write to a denied one may be
 * put back, as if the other vCPU's instruction had come later.
 */
static bool kvm_vmi_may_begin_again(struct x86_emulate_ctxt *ctxt)
{
	struct kvm_vcpu *vcpu = ctxt->vcpu;

	return !vcpu->arch.vmi.once && !ctxt->io_read.end;
}

/* Memory of the guest: 0; else KVM_VMI_NOT_MEMORY, and the piece says where. */
static int kvm_vmi_add_piece(struct kvm_vmi_store *st, gpa_t gpa, gva_t gva, const void *val,
			     unsigned int bytes)
{
	struct kvm_vmi_piece *p = &st->piece[st->nr++];
	unsigned long hva = kvm_vcpu_gfn_to_hva(st->vcpu, gpa_to_gfn(gpa));

	*p = (struct kvm_vmi_piece){
		.gpa = gpa,
		.gva = gva,
		.val = val,
		.bytes = bytes,
	};
	if (kvm_is_error_hva(hva))
		return KVM_VMI_NOT_MEMORY;
	p->uaddr = (void __user *)(hva + offset_in_page(gpa));
	return 0;
}

/*
 * Is this store at the address of the exit?  Upstream's answer, the same offset in a
 * page, is good enough for devices.  The CPU faults on a page of the map for more than
 * an operand (page tables, descriptors, a stack), and the instruction is fetched anew:
 * another vCPU may have made it one with fewer rights in the guest's page tables than
 * what faulted.  So it takes a fault by a store, and a mode that may store where the CPU
 * does for it.
 */
static bool kvm_vmi_knows_gpa(struct x86_emulate_ctxt *ctxt, gva_t gva, gpa_t *ret)
{
	struct kvm_vcpu *vcpu = ctxt->vcpu;
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;

	if (!state->emulating) {
		*ret = ctxt->gpa_val;
		return ctxt->gpa_available && emulator_can_use_gpa(ctxt) &&
		       offset_in_page(gva) == offset_in_page(ctxt->gpa_val);
	}
	*ret = state->gpa;
	return offset_in_page(gva) == offset_in_page(state->gpa) &&
	       (!state->gva_valid || gva == state->gva) && !state->right &&
	       !state->walk && !state->again && vcpu->arch.mmu->root_role.direct &&
	       emulator_can_use_gpa(ctxt) && kvm_x86_call(get_cpl)(vcpu) < 3;
}

/* Translate each page of a store, once. */
static int kvm_vmi_translate(struct kvm_vmi_store *st, struct x86_emulate_ctxt *ctxt,
			     gva_t gva, const void *val, unsigned int bytes)
{
	struct kvm_vcpu *vcpu = st->vcpu;
	bool first = true;

	st->bytes = bytes;
	while (bytes) {
		unsigned int now = min_t(unsigned int, bytes, PAGE_SIZE - offset_in_page(gva));
		gpa_t gpa;
		int r;

		if (first && kvm_vmi_knows_gpa(ctxt, gva, &gpa))
			r = vcpu_is_mmio_gpa(vcpu, gva, gpa, true);
		else
			r = vcpu_mmio_gva_to_gpa(vcpu, gva, &gpa, st->exception, true);
		if (r < 0)
			return X86EMUL_PROPAGATE_FAULT;
		first = false;
		/* The emulator's stores are shorter than a page. */
		if (WARN_ON_ONCE(st->nr + st->nr_mmio == ARRAY_SIZE(st->piece)))
			return X86EMUL_UNHANDLEABLE;
		if (r || kvm_vmi_add_piece(st, gpa, gva, val, now)) {
			if (!r)
				st->nr--;
			st->mmio[st->nr_mmio++] = (struct kvm_vmi_piece){
				.gpa = gpa,
				.val = val,
				.bytes = now,
			};
		}

		bytes -= now;
		val += now;
		gva += now;
		if (ctxt->mode != X86EMUL_MODE_PROT64)
			gva = (u32)gva;
	}
	return X86EMUL_CONTINUE;
}

/**
 * struct kvm_vmi_store_objection - what a rule has against a store
 * @speaker: the rule
 * @piece: the part of the store, by number
 * @gpa: the first byte of that part that is denied
 * @denied: its sub-pages that are denied
 */
struct kvm_vmi_store_objection {
	struct kvm_vmi_speaker speaker;
	unsigned int piece;
	gpa_t gpa;
	u32 denied;
};

/* What a layer has against a part of the store, if anything. */
static bool kvm_vmi_piece_forbidden(struct kvm_vmi_store *st, unsigned int layer,
				    unsigned int piece, struct kvm_vmi_store_objection *ret)
{
	struct kvm_vmi *vmi = st->vcpu->kvm->arch.vmi;
	const struct kvm_vmi_piece *p = &st->piece[piece];
	unsigned int offset = offset_in_page(p->gpa), first;
	u32 mask = kvm_vmi_subpages(offset, p->bytes);
	gfn_t gfn = gpa_to_gfn(p->gpa);

	ret->denied = mask & ~kvm_vmi_look_layer(vmi, layer, gfn, mask, &ret->speaker);
	if (likely(!ret->denied) || kvm_vmi_opened(vmi, gfn) & KVM_VMI_OPEN_WRITE)
		return false;
	first = __ffs(ret->denied) << KVM_VMI_SUBPAGE_SHIFT;
	ret->piece = piece;
	ret->gpa = p->gpa + (first > offset ? first - offset : 0);
	return true;
}

static bool kvm_vmi_granted(struct kvm_vmi_store *st, const struct kvm_vmi_store_objection *o)
{
	const struct kvm_vmi_answer *granted = &st->granted[o->speaker.layer][o->piece];

	/* By the rules as they were then. */
	if (granted->rule == o->speaker.rule && granted->changes == o->speaker.changes)
		return true;
	/* The fault that led here, or a try before an exit, was asked about and let through. */
	return st->kind == KVM_VMI_WRITE &&
	       kvm_vmi_answered(st->vcpu, &o->speaker, KVM_VMI_WRITE, o->gpa, o->denied);
}

/*
 * A rule that was not asked, or has not let the store through; the first layer first,
 * in it the strictest.  Each page is asked about: they need not be neighbours.
 */
static bool kvm_vmi_store_forbidden(struct kvm_vmi_store *st,
				    struct kvm_vmi_store_objection *ret)
{
	struct kvm_vmi *vmi = st->vcpu->kvm->arch.vmi;
	struct kvm_vmi_store_objection o;
	unsigned int l, i;

	ret->speaker.rule = 0;
	for (l = 0; l < KVM_VMI_NR_LAYERS && !ret->speaker.rule; l++) {
		if (mtree_empty(&vmi->layers[l].map))
			continue;
		for (i = 0; i < st->nr; i++)
			if (kvm_vmi_piece_forbidden(st, l, i, &o) && !kvm_vmi_granted(st, &o) &&
			    kvm_vmi_stricter(&o.speaker, &ret->speaker))
				*ret = o;
	}
	return ret->speaker.rule;
}

/* The map forbids the store: ask.  0 to start over, or what to return. */
static int kvm_vmi_store_denied(struct kvm_vmi_store *st,
				const struct kvm_vmi_store_objection *o)
{
	const struct kvm_vmi_piece *p = &st->piece[o->piece];
	const struct kvm_vmi_speaker *s = &o->speaker;
	struct kvm_vcpu *vcpu = st->vcpu;
	struct kvm_vmi_violation v;
	u32 verdict;

	kvm_vmi_describe(vcpu, &v, st->kind, o->gpa);
	v.gva = p->gva + (o->gpa - p->gpa);
	v.length = st->bytes;
	v.flags |= KVM_VMI_V_GVA | KVM_VMI_V_EMULATED;
	v.legal = st->legal;
	if (st->legal & BIT(KVM_VMI_SKIP) ||
	    (st->legal & BIT(KVM_VMI_EXIT) && vcpu->arch.vmi.emulating)) {
		struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;

		v.insn_len = ctxt->fetch.ptr - ctxt->fetch.data;
		/* A task switch, or an event: there is no instruction to skip. */
		if (v.insn_len)
			kvm_vmi_find_tag(vcpu, &v, true);
		else
			v.legal &= ~BIT(KVM_VMI_SKIP);
	}

	vcpu->arch.vmi.exit.denied = o->denied;
	verdict = kvm_vmi_raise(vcpu, &v, s);
	switch (verdict) {
	case KVM_VMI_ALLOW:
		st->granted[s->layer][o->piece].rule = s->rule;
		st->granted[s->layer][o->piece].changes = s->changes;
		if (vcpu->arch.vmi.emulating)
			kvm_vmi_answer(vcpu, s, KVM_VMI_WRITE, o->gpa, o->denied);
		return 0;
	case KVM_VMI_OPENED:
		return 0;
	case KVM_VMI_DENY:
		break;
	default:
		/* Acted on by __kvm_vmi_emulated_exception(). */
		vcpu->arch.vmi.pending = verdict;
		break;
	}
	vcpu->arch.vmi.denied = true;
	st->exception->vector = GP_VECTOR;
	st->exception->error_code_valid = true;
	st->exception->error_code = 0;
	st->exception->nested_page_fault = false;
	return X86EMUL_PROPAGATE_FAULT;
}

#define kvm_vmi_put_user(type, val, uaddr, failed) do {				\
	type value;								\
										\
	memcpy(&value, val, sizeof(value));					\
	unsafe_put_user(value, (type __user *)(uaddr), failed);			\
} while (0)

/*
 * A naturally aligned store of up to eight bytes is one instruction, as it would
 * be on the CPU: rep movsb, which is what a copy may be, tears.
 */
static bool kvm_vmi_put_piece(const struct kvm_vmi_piece *p)
{
	if (!is_power_of_2(p->bytes) || p->bytes > 8 ||
	    !IS_ALIGNED((unsigned long)p->uaddr, p->bytes))
		return !__copy_to_user_inatomic(p->uaddr, p->val, p->bytes);

	if (!user_access_begin(p->uaddr, p->bytes))
		return false;
	switch (p->bytes) {
	case 1:
		kvm_vmi_put_user(u8, p->val, p->uaddr, failed);
		break;
	case 2:
		kvm_vmi_put_user(u16, p->val, p->uaddr, failed);
		break;
	case 4:
		kvm_vmi_put_user(u32, p->val, p->uaddr, failed);
		break;
	case 8:
		kvm_vmi_put_user(u64, p->val, p->uaddr, failed);
		break;
	}
	user_access_end();
	return true;
failed:
	user_access_end();
	return false;
}

static int kvm_vmi_put_all(struct kvm_vmi_store *st, void *arg)
{
	unsigned int i;

	for (i = 0; i < st->nr; i++)
		if (!kvm_vmi_put_piece(&st->piece[i]))
			return -EFAULT;
	return X86EMUL_CONTINUE;
}

struct kvm_vmi_cmpxchg {
	const void *old;
	const void *new;
};

/*
 * On failure @old takes what is there; the emulator reads it anew, so a copy
 * serves.
 */
#define kvm_vmi_try_cmpxchg(type, uaddr, old, new) ({				\
	type expected, wanted;							\
										\
	memcpy(&expected, old, sizeof(expected));				\
	memcpy(&wanted, new, sizeof(wanted));					\
	__try_cmpxchg_user((type __user *)(uaddr), &expected, wanted, type##_fault); \
})

static int kvm_vmi_cmpxchg(struct kvm_vmi_store *st, void *arg)
{
	const struct kvm_vmi_piece *p = &st->piece[0];
	struct kvm_vmi_cmpxchg *c = arg;
	int r;

	switch (p->bytes) {
	case 1:
		r = kvm_vmi_try_cmpxchg(u8, p->uaddr, c->old, c->new);
		break;
	case 2:
		r = kvm_vmi_try_cmpxchg(u16, p->uaddr, c->old, c->new);
		break;
	case 4:
		r = kvm_vmi_try_cmpxchg(u32, p->uaddr, c->old, c->new);
		break;
	default:
		r = kvm_vmi_try_cmpxchg(u64, p->uaddr, c->old, c->new);
		break;
	}
	if (r < 0)
		return -EFAULT;
	return r ? X86EMUL_CMPXCHG_FAILED : X86EMUL_CONTINUE;
}

/* Have the pages there, for writing.  Never writes itself. */
static bool kvm_vmi_fault_in(struct kvm_vmi_store *st)
{
	unsigned int i;

	if (current->mm != st->vcpu->kvm->mm)
		return false;
	for (i = 0; i < st->nr; i++)
		if (fault_in_safe_writeable((char __user *)st->piece[i].uaddr,
					    st->piece[i].bytes))
			return false;
	return true;
}

/* Look up and store, until both hold together. */
static int kvm_vmi_store(struct kvm_vmi_store *st,
			 int (*put)(struct kvm_vmi_store *st, void *arg), void *arg)
{
	struct kvm_vcpu *vcpu = st->vcpu;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	struct kvm_vmi_store_objection o;
	unsigned int i, tries = 0;
	int r, idx;

	/* Both pages or none: the second must not be missing after the first. */
	if (st->nr > 1 && !kvm_vmi_fault_in(st))
		return fatal_signal_pending(current) ? X86EMUL_RETRY_INSTR : KVM_VMI_NOT_MEMORY;

	for (;;) {
		idx = srcu_read_lock(&vmi->store_srcu);
		if (st->again && kvm_vmi_is_gated(vcpu)) {
			srcu_read_unlock(&vmi->store_srcu, idx);
			kvm_make_request(KVM_REQ_VMI_STEP, vcpu);
			return X86EMUL_RETRY_INSTR;
		}
		if (kvm_vmi_store_forbidden(st, &o)) {
			srcu_read_unlock(&vmi->store_srcu, idx);
			r = kvm_vmi_store_denied(st, &o);
			if (r)
				return r;
			continue;
		}
		pagefault_disable();
		r = put(st, arg);
		pagefault_enable();
		srcu_read_unlock(&vmi->store_srcu, idx);
		if (r != -EFAULT)
			break;

		r = kvm_vmi_fault_in(st);
		if (fatal_signal_pending(current))
			return X86EMUL_RETRY_INSTR;
		/* Memory that can be had, but not be written by the kernel, is none. */
		if (!r || ++tries == KVM_VMI_MAX_TRIES)
			return KVM_VMI_NOT_MEMORY;
		cond_resched();
	}

	for (i = 0; i < st->nr; i++) {
		struct kvm_vmi_piece *p = &st->piece[i];

		kvm_vcpu_mark_page_dirty(vcpu, gpa_to_gfn(p->gpa));
		if (r == X86EMUL_CONTINUE)
			kvm_page_track_write(vcpu, p->gpa, p->val, p->bytes);
	}
	return r;
}

/* Does the map restrict any page of this store? */
static bool kvm_vmi_is_restricted(struct kvm_vmi_store *st)
{
	struct kvm_vmi *vmi = st->vcpu->kvm->arch.vmi;
	unsigned int i;

	for (i = 0; i < st->nr; i++)
		if (kvm_vmi_write_map(vmi, gpa_to_gfn(st->piece[i].gpa)) != KVM_VMI_WRITE_ALL)
			return true;
	return false;
}

/* A store that KVM cannot make although there is memory, or that is refused. */
static int kvm_vmi_refuse(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;

	state->refused = true;
	/* Nor would the CPU get there by itself, where it may not read. */
	if (state->emulating && state->right == KVM_VMI_RIGHT_READ)
		return X86EMUL_UNHANDLEABLE;
	/* Whatever the fault was, this is a store. */
	state->gpa = gpa;
	state->walk = false;
	state->right = 0;
	return X86EMUL_UNHANDLEABLE;
}

/**
 * kvm_vmi_emulated_write - a store of the emulator, in a VM with a map
 * @ctxt: the emulator's context
 * @gva: linear address
 * @val: what to store, stays valid until the VMM has served a device
 * @bytes: how much
 * @exception: filled for %X86EMUL_PROPAGATE_FAULT
 *
 * What is memory is looked up and stored first; then what is a device's becomes
 * an MMIO fragment or is served by KVM, at the addresses translated before.
 * Return: %X86EMUL_CONTINUE, %X86EMUL_PROPAGATE_FAULT (nothing was stored),
 * %X86EMUL_UNHANDLEABLE, %X86EMUL_RETRY_INSTR
 */
int kvm_vmi_emulated_write(struct x86_emulate_ctxt *ctxt, gva_t gva, const void *val,
			   unsigned int bytes, struct x86_exception *exception)
{
	struct kvm_vmi_store st = {
		.vcpu = ctxt->vcpu,
		.kind = KVM_VMI_WRITE,
		.legal = BIT(KVM_VMI_NR_VERDICTS) - 1,
		.again = kvm_vmi_may_begin_again(ctxt),
		.exception = exception,
	};
	unsigned int i;
	int r;

	r = kvm_vmi_translate(&st, ctxt, gva, val, bytes);
	if (r == X86EMUL_CONTINUE && st.nr)
		r = kvm_vmi_store(&st, kvm_vmi_put_all, NULL);
	if (r == KVM_VMI_NOT_MEMORY) {
		if (kvm_vmi_is_restricted(&st))
			return kvm_vmi_refuse(st.vcpu, st.piece[0].gpa);
		/* As without a map: what cannot be written is the VMM's to see. */
		r = X86EMUL_CONTINUE;
		for (i = 0; i < st.nr && r == X86EMUL_CONTINUE; i++)
			r = emulator_write_mmio(st.vcpu, st.piece[i].gpa, st.piece[i].val,
						st.piece[i].bytes);
	}
	for (i = 0; i < st.nr_mmio && r == X86EMUL_CONTINUE; i++)
		r = emulator_write_mmio(st.vcpu, st.mmio[i].gpa, st.mmio[i].val,
					st.mmio[i].bytes);
	return r;
}

/**
 * kvm_vmi_emulated_cmpxchg - a LOCKed store of the emulator, in a VM with a map
 * @ctxt: the emulator's context
 * @gva: linear address
 * @old: what must be there
 * @new: what to store
 * @bytes: how much
 * @exception: filled for %X86EMUL_PROPAGATE_FAULT
 *
 * To a page of the map it is a compare-and-exchange, or is refused where KVM has
 * none: never a plain store.
 * Return: as kvm_vmi_emulated_write(), %X86EMUL_CMPXCHG_FAILED, or
 * %KVM_VMI_NOT_MEMORY (not of the map: exchange as write, which looks again)
 */
int kvm_vmi_emulated_cmpxchg(struct x86_emulate_ctxt *ctxt, gva_t gva, const void *old,
			     const void *new, unsigned int bytes,
			     struct x86_exception *exception)
{
	struct kvm_vmi_cmpxchg cmpxchg = { .old = old, .new = new };
	struct kvm_vmi_store st = {
		.vcpu = ctxt->vcpu,
		.kind = KVM_VMI_WRITE,
		.legal = BIT(KVM_VMI_NR_VERDICTS) - 1,
		.again = kvm_vmi_may_begin_again(ctxt),
		.exception = exception,
	};
	unsigned long line = boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT) ? cache_line_size() :
									  PAGE_SIZE;
	struct kvm_vmi *vmi = st.vcpu->kvm->arch.vmi;
	gpa_t gpa = INVALID_GPA;
	unsigned int i;
	int r;

	r = kvm_vmi_translate(&st, ctxt, gva, new, bytes);
	if (r != X86EMUL_CONTINUE)
		return r;
	if (st.nr == 1 && !st.nr_mmio && bytes <= 8 && is_power_of_2(bytes) &&
	    (st.piece[0].gpa & (line - 1)) + bytes <= line) {
		r = kvm_vmi_store(&st, kvm_vmi_cmpxchg, &cmpxchg);
		if (r != KVM_VMI_NOT_MEMORY)
			return r;
		return kvm_vmi_is_restricted(&st) ? kvm_vmi_refuse(st.vcpu, st.piece[0].gpa) :
						    X86EMUL_UNHANDLEABLE;
	}

	for (i = 0; i < st.nr; i++) {
		gfn_t gfn = gpa_to_gfn(st.piece[i].gpa);

		if (kvm_vmi_write_map(vmi, gfn) == KVM_VMI_WRITE_ALL)
			continue;
		/* Where the CPU could not go on, if it is one of them, else the first. */
		if (gpa == INVALID_GPA || gfn == gpa_to_gfn(st.vcpu->arch.vmi.gpa))
			gpa = st.piece[i].gpa;
	}
	return gpa == INVALID_GPA ? KVM_VMI_NOT_MEMORY : kvm_vmi_refuse(st.vcpu, gpa);
}

/**
 * kvm_vmi_write_guest_virt - KVM stores to a linear address, in a VM with a map
 * @vcpu: the vCPU
 * @gva: linear address
 * @val: what to store
 * @bytes: how much
 * @access: PFERR_* for the translation
 * @emulator: for the instruction emulator; else an instruction that KVM carries
 *	out itself, such as VMREAD: the rule alone decides
 * @exception: filled for %X86EMUL_PROPAGATE_FAULT
 *
 * Return: %X86EMUL_CONTINUE, %X86EMUL_PROPAGATE_FAULT, %X86EMUL_IO_NEEDED
 */
int kvm_vmi_write_guest_virt(struct kvm_vcpu *vcpu, gva_t gva, const void *val,
			     unsigned int bytes, u64 access, bool emulator,
			     struct x86_exception *exception)
{
	struct kvm_pagewalk *walk = &vcpu->arch.gva_walk;
	struct kvm_vmi_store st = {
		.vcpu = vcpu,
		.kind = emulator ? KVM_VMI_WRITE : KVM_VMI_KVM,
		.legal = BIT(KVM_VMI_DENY) | BIT(KVM_VMI_ALLOW) | BIT(KVM_VMI_KILL) |
			 BIT(KVM_VMI_EXIT),
		.exception = exception,
	};
	int r;

	/* Two pages at a time: longer stores are not atomic on a CPU either. */
	while (bytes) {
		st.nr = 0;
		st.bytes = 0;
		memset(st.granted, 0, sizeof(st.granted));
		while (bytes && st.nr < ARRAY_SIZE(st.piece)) {
			unsigned int now = min_t(unsigned int, bytes,
						 PAGE_SIZE - offset_in_page(gva));
			gpa_t gpa = walk->gva_to_gpa(vcpu, walk, gva, access, exception);

			if (gpa == INVALID_GPA)
				return X86EMUL_PROPAGATE_FAULT;
			if (kvm_vmi_add_piece(&st, gpa, gva, val, now))
				return X86EMUL_IO_NEEDED;
			st.bytes += now;
			bytes -= now;
			val += now;
			gva += now;
		}
		r = kvm_vmi_store(&st, kvm_vmi_put_all, NULL);
		if (r == KVM_VMI_NOT_MEMORY)
			return X86EMUL_IO_NEEDED;
		if (r != X86EMUL_CONTINUE)
			return r;
	}
	return X86EMUL_CONTINUE;
}

/**
 * kvm_vmi_skip - step over the instruction that the emulator has decoded
 * @vcpu: the vCPU, in L1, not delivering an event
 *
 * Return: 1, or 0 to leave to the VMM that single-steps
 */
int kvm_vmi_skip(struct kvm_vcpu *vcpu)
{
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;
	unsigned long rip = ctxt->eip + (ctxt->fetch.ptr - ctxt->fetch.data);
	unsigned long rflags = kvm_get_rflags(vcpu);

	if (ctxt->mode != X86EMUL_MODE_PROT64)
		rip = (u32)rip;
	kvm_pmu_instruction_retired(vcpu);
	kvm_rip_write(vcpu, rip);
	kvm_set_rflags(vcpu, rflags & ~X86_EFLAGS_RF);
	kvm_x86_call(set_interrupt_shadow)(vcpu, 0);
	if (rflags & X86_EFLAGS_TF || vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		return kvm_inject_emulated_db(vcpu, DR6_BS);
	return 1;
}

/**
 * kvm_vmi_decode - decode the instruction that faulted
 * @vcpu: the vCPU
 * @ret_len: its length, bytes
 *
 * The length is the decoder's: that of the exit is undefined on EPT violations
 * and #NPF (SDM vol. 3 "VM-Exit Instruction-Length Field"; APM vol. 2 15.7.1).
 */
bool kvm_vmi_decode(struct kvm_vcpu *vcpu, u32 *ret_len)
{
	enum kvm_vmi_fetches fetches = vcpu->arch.vmi.fetches;
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;
	int r;

	vcpu->arch.vmi.fetches = KVM_VMI_FETCHES_TO_LOOK;
	r = x86_decode_emulated_instruction(vcpu, EMULTYPE_SKIP, NULL, 0);
	vcpu->arch.vmi.fetches = fetches;
	if (r != EMULATION_OK)
		return false;
	*ret_len = ctxt->fetch.ptr - ctxt->fetch.data;
	return true;
}

/* What was said of the instruction that was emulated no longer counts. */
void kvm_vmi_end_emulation(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;

	state->fresh = false;
	state->nr_answers = 0;
	state->pending = 0;
	state->emulating = false;
	state->walk = false;
	state->refused = false;
	state->denied = false;
	state->once = false;
	state->again = false;
}

bool __kvm_vmi_begin_emulation(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	bool settled = false;

	/* By the fault handler, which has filled in what is to be known. */
	if (state->fresh) {
		state->fresh = false;
		return false;
	}
	/* A fault of it has become an instruction to emulate after all. */
	if (unlikely(state->step.on))
		settled = kvm_vmi_end_step(vcpu, KVM_VMI_STEP_FAULT);
	kvm_vmi_end_emulation(vcpu);
	/* Nothing is decoded yet, or will be: see kvm_vmi_store_denied(). */
	vcpu->arch.emulate_ctxt->fetch.ptr = vcpu->arch.emulate_ctxt->fetch.data;
	return settled;
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(__kvm_vmi_begin_emulation);

bool __kvm_vmi_task_switch_denied(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;

	if (!state->refused && !state->denied)
		return false;
	if (state->refused)
		kvm_vmi_unemulatable(vcpu, state->gpa, false);
	/* Between two tasks there is nobody to take an exception.  A dead VM has none. */
	kvm_clear_exception_queue(vcpu);
	kvm_make_request(KVM_REQ_TRIPLE_FAULT, vcpu);
	kvm_vmi_end_emulation(vcpu);
	vcpu->mmio_needed = false;
	return true;
}

bool __kvm_vmi_emulation_failed(struct kvm_vcpu *vcpu, int emulation_type, int *ret)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;

	if (!state->emulating && !state->refused)
		return false;
	state->refused = false;
	*ret = kvm_vmi_unemulatable(vcpu, state->gpa, true);
	return true;
}

bool __kvm_vmi_emulated_exception(struct kvm_vcpu *vcpu, int *ret)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	u8 pending = state->pending;

	state->pending = 0;
	switch (pending) {
	case KVM_VMI_SKIP:
		*ret = kvm_vmi_skip(vcpu);
		return true;
	case KVM_VMI_KILL:
		*ret = 1;
		return true;
	case KVM_VMI_EXIT:
		*ret = kvm_vmi_leave(vcpu);
		return true;
	}

	/* The CPU has taken this instruction to its store: it knows it, KVM does not. */
	if (state->emulating && vcpu->arch.emulate_ctxt->exception.vector == UD_VECTOR) {
		*ret = kvm_vmi_unemulatable(vcpu, state->gpa, true);
		return true;
	}
	return false;
}
