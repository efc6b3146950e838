// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: bits of control registers that rules keep set.
 *
 * A load by the guest that would clear a pinned bit is a violation, raised before the
 * register changes.  A bit that is not set may stay so: after INIT, or the VMM's own loads,
 * which are none of the guest's, its pin rests until the guest has set it again.
 *
 * What is checked is loaded within kvm_vmi.store_srcu, like a store.  Bits that the CPU
 * would let the guest change without an exit are taken from it by a request, on the vCPU's
 * own thread.  L2's registers are L1's affair, SMM's those of the firmware; but with a VM
 * exit to L1 or RSM, which load all registers at once from where the guest has written, the
 * bits that were set before must come back.
 */
#include "mmu.h"
#include "smm.h"
#include "vmi/internal.h"
#include "vmi/trace.h"
#include "x86.h"

/* For how long a pinned bit is clear before that is told, and how often vCPUs look. */
#define KVM_VMI_CLEAR_TIME	HZ

/* Rules may change while a program is asked; not for ever, before the guest has its #GP. */
#define KVM_VMI_LOAD_TRIES	16

/* Their numbers in violations. */
static const u32 kvm_vmi_pinned_regs[KVM_VMI_NR_PINNED] = {
	[KVM_VMI_PINNED_CR0] = KVM_VMI_REG_CR0,
	[KVM_VMI_PINNED_CR4] = KVM_VMI_REG_CR4,
	[KVM_VMI_PINNED_EFER] = KVM_VMI_REG_EFER,
};

/* What a CPU may let a guest change without an exit; all of EFER's writes exit. */
static const struct kvm_vmi_pins kvm_vmi_may_own = {
	.reg[KVM_VMI_PINNED_CR0] = KVM_POSSIBLE_CR0_GUEST_BITS,
	.reg[KVM_VMI_PINNED_CR4] = KVM_POSSIBLE_CR4_GUEST_BITS,
};

static bool kvm_vmi_has_pins(struct kvm_vmi *vmi)
{
	u64 any = 0;
	unsigned int i;

	for (i = 0; i < KVM_VMI_NR_PINNED; i++)
		any |= READ_ONCE(vmi->pins.reg[i]);
	return any;
}

static void kvm_vmi_pin_fn(struct work_struct *work)
{
	struct kvm_vmi *vmi = container_of(to_delayed_work(work), struct kvm_vmi, pin_work);

	if (!kvm_vmi_has_pins(vmi))
		return;
	/* One that does not run looks when it next does. */
	kvm_make_all_cpus_request(vmi->kvm, KVM_REQ_VMI_PINS);
	schedule_delayed_work(&vmi->pin_work, KVM_VMI_CLEAR_TIME);
}

void kvm_vmi_pin_init(struct kvm_vmi *vmi)
{
	INIT_DELAYED_WORK(&vmi->pin_work, kvm_vmi_pin_fn);
}

/* Nobody sets pins any more. */
void kvm_vmi_pin_destroy(struct kvm_vmi *vmi)
{
	cancel_delayed_work_sync(&vmi->pin_work);
}

/**
 * kvm_vmi_update_pins - rules, or what they pin, have changed
 * @vmi: the VM, locked
 *
 * kvm_vmi_spread_pins() is to follow when it is no longer locked.
 */
void kvm_vmi_update_pins(struct kvm_vmi *vmi)
{
	struct kvm_vmi_layer *layer = &vmi->layers[KVM_VMI_LAYER_DAEMON];
	struct kvm_vmi_pins pins = {};
	struct kvm_vmi_rule_entry *e;
	bool changed = false;
	unsigned long id;
	unsigned int i;

	lockdep_assert_held(&vmi->lock);
	xa_for_each(&layer->rules, id, e)
		for (i = 0; i < KVM_VMI_NR_PINNED && !(e->flags & KVM_VMI_RULE_DISARMED); i++)
			pins.reg[i] |= e->pins.reg[i];

	for (i = 0; i < KVM_VMI_NR_PINNED; i++) {
		changed |= pins.reg[i] != vmi->pins.reg[i];
		WRITE_ONCE(vmi->pins.reg[i], pins.reg[i]);
	}
	if (kvm_vmi_has_pins(vmi))
		schedule_delayed_work(&vmi->pin_work, KVM_VMI_CLEAR_TIME);
	if (!changed)
		return;
	/* Who sees the new number sees the new bits.  Pairs with kvm_vmi_serve_pins(). */
	smp_wmb();
	WRITE_ONCE(vmi->pin_seq, vmi->pin_seq + 1);
}

/**
 * kvm_vmi_spread_pins - have all vCPUs look at the bits that are pinned now
 * @kvm: the VM, not locked
 *
 * On return none changes one of them without an exit any more.  One that is created meanwhile
 * sees that before it first enters the guest.
 */
void kvm_vmi_spread_pins(struct kvm *kvm)
{
	if (READ_ONCE(kvm->arch.vmi->pin_seq))
		kvm_make_all_cpus_request(kvm, KVM_REQ_VMI_PINS);
}

static u64 kvm_vmi_read_pinned(struct kvm_vcpu *vcpu, enum kvm_vmi_pinned i)
{
	switch (i) {
	case KVM_VMI_PINNED_CR0:
		return kvm_read_cr0(vcpu);
	case KVM_VMI_PINNED_CR4:
		return kvm_read_cr4(vcpu);
	default:
		return vcpu->arch.efer;
	}
}

/* Have the vCPU exit for what is pinned now, and tell what is clear of it. */
static void kvm_vmi_hold(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	u64 seq = READ_ONCE(vmi->pin_seq);
	unsigned int i;

	if (state->pin_seq == seq)
		return;
	/* Pairs with kvm_vmi_update_pins(). */
	smp_rmb();

	/* As the guest has left them, while it is known where to look for that. */
	kvm_read_cr0(vcpu);
	kvm_read_cr4(vcpu);
	for (i = 0; i < KVM_VMI_NR_PINNED; i++)
		state->held.reg[i] = READ_ONCE(vmi->pins.reg[i]) & kvm_vmi_may_own.reg[i];
	state->pin_seq = seq;
	/* Whoever has pinned a bit that is clear is told, though another was told before. */
	memset(&state->clear, 0, sizeof(state->clear));
	kvm_x86_call(update_guest_owned_crs)(vcpu);
}

/*
 * In long mode a guest's kernel is past the time when such bits are not set yet.  What is
 * found clear twice, a second apart, is told once.
 */
static void kvm_vmi_look_for_clear(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	struct kvm_vmi_pins clear = {};
	unsigned int i;
	u64 any = 0;

	for (i = 0; i < KVM_VMI_NR_PINNED && is_long_mode(vcpu); i++) {
		clear.reg[i] = READ_ONCE(vmi->pins.reg[i]) & ~kvm_vmi_read_pinned(vcpu, i);
		any |= clear.reg[i];
	}
	if (memcmp(&clear, &state->clear, sizeof(clear))) {
		state->clear = clear;
		state->clear_since = jiffies;
		state->clear_told = false;
	}
	if (!any || state->clear_told ||
	    time_before(jiffies, state->clear_since + KVM_VMI_CLEAR_TIME))
		return;
	state->clear_told = true;
	trace_kvm_vmi_unpinned(vmi->id, vcpu->vcpu_id, clear.reg[KVM_VMI_PINNED_CR0],
			       clear.reg[KVM_VMI_PINNED_CR4], clear.reg[KVM_VMI_PINNED_EFER]);
}

/**
 * kvm_vmi_serve_pins - KVM_REQ_VMI_PINS, before entry
 * @vcpu: the vCPU, its own thread, loaded
 *
 * While it runs L2 the registers are not L1's: see __kvm_vmi_end_load().
 */
void kvm_vmi_serve_pins(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;

	state->pins_unserved = is_guest_mode(vcpu) || is_smm(vcpu);
	if (is_guest_mode(vcpu))
		return;
	kvm_vmi_hold(vcpu);
	if (!is_smm(vcpu))
		kvm_vmi_look_for_clear(vcpu);
}

/* The strictest rule in force that pins one of these bits; its rule is 0 if none does. */
static void kvm_vmi_find_pin(struct kvm_vmi *vmi, enum kvm_vmi_pinned i, u64 bits,
			     struct kvm_vmi_speaker *ret)
{
	struct kvm_vmi_layer *layer = &vmi->layers[KVM_VMI_LAYER_DAEMON];
	struct kvm_vmi_rule_entry *e;
	struct kvm_vmi_speaker s;
	unsigned long id;

	memset(ret, 0, sizeof(*ret));
	memset(&s, 0, sizeof(s));
	s.changes = READ_ONCE(vmi->changes);
	ret->changes = s.changes;
	/* Pairs with kvm_vmi_end_change(). */
	smp_rmb();
	rcu_read_lock();
	xa_for_each(&layer->rules, id, e)
		if (READ_ONCE(e->pins.reg[i]) & bits &&
		    kvm_vmi_speaker_fill(&s, e, KVM_VMI_LAYER_DAEMON, KVM_VMI_ACTION_WRITE)) {
			/* Nobody else is asked here: its default speaks. */
			if (s.action == KVM_VMI_EXIT || s.action == KVM_VMI_HOLD)
				s.action = s.dflt;
			if (kvm_vmi_stricter(&s, ret))
				*ret = s;
		}
	rcu_read_unlock();
}

/*
 * What becomes of a load: %KVM_VMI_ALLOW, then kvm_vmi.store_srcu is held, which whoever
 * pins a bit waits for; %KVM_VMI_DENY, _SKIP or _KILL.  @ret_cleared: the pinned bits.
 */
static u32 kvm_vmi_judge_load(struct kvm_vcpu *vcpu, enum kvm_vmi_pinned i, u64 old, u64 new,
			      u64 *ret_cleared, int *ret_idx)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	struct kvm_vmi_violation v;
	struct kvm_vmi_speaker s;
	bool asked = false;
	unsigned int tries;
	u32 verdict;

	for (tries = 0; tries < KVM_VMI_LOAD_TRIES; tries++) {
		*ret_idx = srcu_read_lock(&vmi->store_srcu);
		*ret_cleared = old & ~new & READ_ONCE(vmi->pins.reg[i]);
		/* If rules have changed since, another may speak. */
		if (!*ret_cleared || (asked && READ_ONCE(vmi->changes) == s.changes))
			return KVM_VMI_ALLOW;
		/* A program may sleep. */
		srcu_read_unlock(&vmi->store_srcu, *ret_idx);

		asked = true;
		kvm_vmi_find_pin(vmi, i, *ret_cleared, &s);
		if (!s.rule)
			continue;
		kvm_vmi_describe(vcpu, &v, i == KVM_VMI_PINNED_EFER ? KVM_VMI_EFER : KVM_VMI_CR,
				 0);
		v.reg = kvm_vmi_pinned_regs[i];
		v.old = old;
		v.new = new;
		verdict = kvm_vmi_raise(vcpu, &v, &s);
		if (verdict != KVM_VMI_ALLOW)
			return verdict;
	}
	return KVM_VMI_DENY;
}

bool __kvm_vmi_refuses_load(struct kvm_vcpu *vcpu, u32 reg, u64 old, u64 new,
			    struct kvm_vmi_load *load)
{
	enum kvm_vmi_pinned i = 0;
	u32 verdict;
	u64 cleared;

	if (is_guest_mode(vcpu) || is_smm(vcpu) || vcpu->arch.vmi.loading)
		return false;

	while (kvm_vmi_pinned_regs[i] != reg)
		i++;
	verdict = kvm_vmi_judge_load(vcpu, i, old, new, &cleared, &load->idx);
	load->active = verdict == KVM_VMI_ALLOW;
	load->ret = verdict == KVM_VMI_DENY;
	return !load->active;
}

void __kvm_vmi_loaded(struct kvm_vcpu *vcpu, struct kvm_vmi_load *load)
{
	srcu_read_unlock(&vcpu->kvm->arch.vmi->store_srcu, load->idx);
}

static void kvm_vmi_read_all_pinned(struct kvm_vcpu *vcpu, struct kvm_vmi_pins *ret)
{
	unsigned int i;

	for (i = 0; i < KVM_VMI_NR_PINNED; i++)
		ret->reg[i] = kvm_vmi_read_pinned(vcpu, i);
}

/**
 * kvm_vmi_leave_l1 - L1 is about to be left for L2 or SMM, its registers are still its own
 * @vcpu: the vCPU, its own thread
 *
 * Whoever is left then, for whom, is the guest's to say: on AMD SMRAM has that.  So what L1
 * had counts for both, and also if nothing is pinned yet: which is why this has no key.
 */
void kvm_vmi_leave_l1(struct kvm_vcpu *vcpu)
{
	kvm_vmi_read_all_pinned(vcpu, &vcpu->arch.vmi.l1);
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_vmi_leave_l1);

/* SMM is about to be entered, from L1 or from L2. */
void kvm_vmi_enter_smm(struct kvm_vcpu *vcpu)
{
	if (!is_guest_mode(vcpu))
		kvm_vmi_leave_l1(vcpu);
}

/* Set bits that have been cleared. */
static void kvm_vmi_restore(struct kvm_vcpu *vcpu, enum kvm_vmi_pinned i, u64 bits)
{
	u64 old = kvm_vmi_read_pinned(vcpu, i), new = old | bits;

	switch (i) {
	case KVM_VMI_PINNED_CR0:
		kvm_x86_call(set_cr0)(vcpu, new);
		kvm_post_set_cr0(vcpu, old, new);
		break;
	case KVM_VMI_PINNED_CR4:
		/* No CPU has CR4.CET without CR0.WP (SDM vol. 3, 2.5). */
		if (bits & X86_CR4_CET && !kvm_is_cr0_bit_set(vcpu, X86_CR0_WP))
			kvm_vmi_restore(vcpu, KVM_VMI_PINNED_CR0, X86_CR0_WP);
		kvm_x86_call(set_cr4)(vcpu, new);
		kvm_post_set_cr4(vcpu, old, new);
		break;
	default:
		kvm_x86_call(set_efer)(vcpu, new);
		if ((old ^ new) & KVM_MMU_EFER_ROLE_BITS)
			kvm_mmu_reset_context(vcpu);
	}
}

/* Deal with a register that has been loaded with all others: what is refused is undone. */
static void kvm_vmi_check_loaded(struct kvm_vcpu *vcpu, enum kvm_vmi_pinned i, u64 old)
{
	u64 cleared;
	int idx;

	switch (kvm_vmi_judge_load(vcpu, i, old, kvm_vmi_read_pinned(vcpu, i), &cleared, &idx)) {
	case KVM_VMI_ALLOW:
		srcu_read_unlock(&vcpu->kvm->arch.vmi->store_srcu, idx);
		break;
	case KVM_VMI_DENY:
	case KVM_VMI_SKIP:
		kvm_vmi_restore(vcpu, i, cleared);
		break;
	}
}

/**
 * __kvm_vmi_end_load - all registers have been loaded at once
 * @vcpu: the vCPU, its own thread; kvm->srcu held and nothing else
 * @what: by what
 */
void __kvm_vmi_end_load(struct kvm_vcpu *vcpu, enum kvm_vmi_load_all what)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	unsigned int i;

	/* RSM may be to L2. */
	if (is_guest_mode(vcpu))
		return;

	for (i = 0; i < KVM_VMI_NR_PINNED && what != KVM_VMI_LOAD_FORCED; i++)
		kvm_vmi_check_loaded(vcpu, i, state->l1.reg[i]);

	/* While L2 ran, or SMM, it could not be served. */
	if (state->pins_unserved ||
	    state->pin_seq != READ_ONCE(vcpu->kvm->arch.vmi->pin_seq))
		kvm_make_request(KVM_REQ_VMI_PINS, vcpu);
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(__kvm_vmi_end_load);

/**
 * kvm_vmi_set_pin - replace what a rule pins
 * @kvm: the VM, referenced
 * @pin: a private copy of what the caller gave
 *
 * On success no vCPU clears such a bit any more without being asked about.
 * Context: sleeps, no KVM lock held
 * Return: 0, -EINVAL, -ENOENT, -EOPNOTSUPP, -EIO, -EINTR
 */
int kvm_vmi_set_pin(struct kvm *kvm, const struct kvm_vmi_pin *pin)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_rule_entry *e;
	int r;

	if (pin->cr0 & ~KVM_VMI_PIN_CR0 || pin->cr4 & ~KVM_VMI_PIN_CR4 ||
	    pin->efer & ~KVM_VMI_PIN_EFER || pin->reserved || !pin->rule ||
	    pin->rule > KVM_VMI_RULE_ID_MAX)
		return -EINVAL;

	if (mutex_lock_killable(&vmi->lock))
		return -EINTR;
	r = kvm_vmi_changeable(vmi);
	e = xa_load(&vmi->layers[KVM_VMI_LAYER_DAEMON].rules, pin->rule);
	if (!r && !e)
		r = -ENOENT;
	if (!r) {
		WRITE_ONCE(e->pins.reg[KVM_VMI_PINNED_CR0], pin->cr0);
		WRITE_ONCE(e->pins.reg[KVM_VMI_PINNED_CR4], pin->cr4);
		WRITE_ONCE(e->pins.reg[KVM_VMI_PINNED_EFER], pin->efer);
		kvm_vmi_update_pins(vmi);
		kvm_vmi_end_change(vmi);
	}
	mutex_unlock(&vmi->lock);
	if (r)
		return r;

	/* First the CPUs, then loads that were checked before. */
	kvm_vmi_spread_pins(kvm);
	synchronize_srcu_expedited(&vmi->store_srcu);
	return 0;
}

/**
 * kvm_vmi_get_pin - what a rule pins, in force or not
 * @kvm: the VM, referenced
 * @rule: its id
 * @pin: filled
 *
 * Return: 0, -EINVAL, -ENOENT, -EINTR
 */
int kvm_vmi_get_pin(struct kvm *kvm, u32 rule, struct kvm_vmi_pin *pin)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_rule_entry *e;

	if (!rule || rule > KVM_VMI_RULE_ID_MAX)
		return -EINVAL;
	if (mutex_lock_killable(&vmi->lock))
		return -EINTR;
	e = xa_load(&vmi->layers[KVM_VMI_LAYER_DAEMON].rules, rule);
	if (e) {
		memset(pin, 0, sizeof(*pin));
		pin->cr0 = e->pins.reg[KVM_VMI_PINNED_CR0];
		pin->cr4 = e->pins.reg[KVM_VMI_PINNED_CR4];
		pin->efer = e->pins.reg[KVM_VMI_PINNED_EFER];
		pin->rule = rule;
	}
	mutex_unlock(&vmi->lock);
	return e ? 0 : -ENOENT;
}
