/* SPDX-License-Identifier: GPL-2.0-only */
/* KVM virtual machine introspection: what the files of this directory share. */
#ifndef ARCH_X86_KVM_VMI_INTERNAL_H
#define ARCH_X86_KVM_VMI_INTERNAL_H

#include "vmi/vmi.h"

struct bpf_prog;

/* ---- vm.c ---- */

struct kvm *kvm_vmi_get(u64 id);
struct kvm *kvm_vmi_next(u64 after);
void kvm_vmi_put(struct kvm *kvm);
int kvm_vmi_activate(struct kvm *kvm);
int kvm_vmi_activate_here(struct kvm *kvm);
void kvm_vmi_kill(struct kvm *kvm);
void kvm_vmi_info(struct kvm_vmi *vmi, struct kvm_vmi_vm_info *info);
unsigned int kvm_vmi_maxphyaddr(struct kvm *kvm);

/* ---- admission.c ---- */

void kvm_vmi_admission_init(struct kvm_vmi *vmi);
void kvm_vmi_admit(struct kvm_vmi *vmi);
int kvm_vmi_set_admission(u32 mode, u32 deadline_ms);
void kvm_vmi_get_admission(u32 *mode, u32 *deadline_ms);

/* ---- map.c ---- */

/**
 * struct kvm_vmi_owner - a rule's claim on a frame
 * @rule: its id
 * @write: sub-pages that it lets be written
 * @rights: KVM_VMI_RIGHT_*
 */
struct kvm_vmi_owner {
	u32 rule;
	u32 write;
	u8 rights;
};

void kvm_vmi_map_init(struct kvm_vmi *vmi);
void kvm_vmi_store_nofail(struct ma_state *mas, void *entry);
void kvm_vmi_map_destroy(struct kvm_vmi *vmi);
int kvm_vmi_map_apply(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer,
		      struct kvm_vmi_change *change, const struct kvm_vmi_range *range,
		      bool set);
u32 kvm_vmi_map_entry_owners(void *entry, struct kvm_vmi_owner *owners);
u32 kvm_vmi_map_peek_owners(void *entry, struct kvm_vmi_owner *one,
			    const struct kvm_vmi_owner **ret);
bool kvm_vmi_map_next(struct kvm_vmi_layer *layer, u64 gfn, u64 *ret_first, u64 *ret_last,
		      void **ret_entry);
int kvm_vmi_map_get(struct kvm_vmi_layer *layer, u64 gfn, struct kvm_vmi_range *ranges,
		    unsigned int nr);

/* A change under way: what to store back should it fail. */
struct kvm_vmi_undo {
	u64 first;
	u64 last;
	void *entry;
};

struct kvm_vmi_change {
	struct kvm_vmi_undo *undo;
	unsigned int nr;
	unsigned int max;
};

void kvm_vmi_change_commit(struct kvm_vmi_change *change);
void kvm_vmi_change_rollback(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer,
			     struct kvm_vmi_change *change);

/* ---- rule.c ---- */

int kvm_vmi_rules_check(const struct kvm_vmi_rule *rules, unsigned int nr);
int kvm_vmi_rules_set(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer,
		      const struct kvm_vmi_rule *rules, unsigned int nr);
int kvm_vmi_rule_next(struct kvm_vmi_layer *layer, u32 after, struct kvm_vmi_rule_info *info);
void kvm_vmi_rule_erase(struct kvm_vmi_layer *layer, u32 id);
void kvm_vmi_rules_destroy(struct kvm_vmi_layer *layer);
bool kvm_vmi_rule_armed(struct kvm_vmi_layer *layer, u32 id);
bool kvm_vmi_speaker_fill(struct kvm_vmi_speaker *s, const struct kvm_vmi_rule_entry *e,
			  unsigned int layer, unsigned int kind);
bool kvm_vmi_stricter(const struct kvm_vmi_speaker *a, const struct kvm_vmi_speaker *b);
bool kvm_vmi_speaker(struct kvm_vmi *vmi, gfn_t gfn, u32 mask, struct kvm_vmi_speaker *ret);
u32 kvm_vmi_look(struct kvm_vmi *vmi, gfn_t gfn, u32 mask, struct kvm_vmi_speaker *ret);
u32 kvm_vmi_look_layer(struct kvm_vmi *vmi, unsigned int layer, gfn_t gfn, u32 mask,
		       struct kvm_vmi_speaker *ret);
bool kvm_vmi_look_right(struct kvm_vmi *vmi, gfn_t gfn, u32 right, unsigned int kind,
			struct kvm_vmi_speaker *ret);
bool kvm_vmi_lets_frame(struct kvm_vmi *vmi, unsigned int layer, gfn_t gfn, u32 right,
			u32 legal);
void kvm_vmi_count(struct kvm_vmi *vmi, const struct kvm_vmi_speaker *s, u32 counters);

/* ---- rights.c ---- */

u64 kvm_vmi_rights_features(void);
bool kvm_vmi_can_enforce(u32 rights);
unsigned int kvm_vmi_restrict_rights(union kvm_mmu_page_role role, u32 rights,
				     unsigned int access);
u32 kvm_vmi_fault_right(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault);
bool kvm_vmi_may_fetch(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault);
int kvm_vmi_handle_fetch(struct kvm_vcpu *vcpu);

/* ---- read.c ---- */

bool kvm_vmi_may_read(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault);
int kvm_vmi_handle_read(struct kvm_vcpu *vcpu, void *insn, int insn_len);
int kvm_vmi_unreadable(struct kvm_vcpu *vcpu, gpa_t gpa);

/* ---- reader.c ---- */

/**
 * struct kvm_vmi_access - what may be done to a frame
 * @write: sub-pages that may be written
 * @rights: KVM_VMI_RIGHT_*
 */
struct kvm_vmi_access {
	u32 write;
	u32 rights;
};

struct kvm_vmi_access kvm_vmi_access(struct kvm_vmi *vmi, gfn_t gfn);
u32 kvm_vmi_write_map(struct kvm_vmi *vmi, gfn_t gfn);
bool kvm_vmi_lets(struct kvm_vmi *vmi, gfn_t gfn, u32 right);
bool kvm_vmi_find_run(struct kvm_vmi *vmi, gfn_t gfn, struct kvm_vmi_run *ret);

u32 kvm_vmi_layers_map(struct kvm_vmi *vmi, gfn_t gfn);

/* ---- engine.c ---- */

bool kvm_vmi_has_hardware(struct kvm *kvm);
u32 kvm_vmi_engine(struct kvm_vmi *vmi);
int kvm_vmi_set_engine(struct kvm *kvm, u32 engine);
int kvm_vmi_fix_engine(struct kvm_vmi *vmi);

/* ---- spp.c ---- */

int kvm_vmi_spp_begin(struct kvm_vmi *vmi);
void kvm_vmi_spp_destroy(struct kvm_vmi *vmi);
void kvm_vmi_spp_update(struct kvm_vmi *vmi, gfn_t first, gfn_t last);
void kvm_vmi_spp_trim(struct kvm_vmi *vmi, gfn_t first, gfn_t last);
bool kvm_vmi_spp_can_check(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/* ---- access.c ---- */

int kvm_vmi_changeable(struct kvm_vmi *vmi);
int kvm_vmi_set_rules(struct kvm *kvm, const struct kvm_vmi_rule *rules, unsigned int nr);
int kvm_vmi_set_layer_rules(struct kvm *kvm, enum kvm_vmi_layer_id layer_id,
			    const struct kvm_vmi_rule *rules, unsigned int nr);
int kvm_vmi_clear_rule(struct kvm *kvm, u32 id);
int kvm_vmi_change_layer(struct kvm *kvm, enum kvm_vmi_layer_id layer_id,
			 const struct kvm_vmi_range *ranges, unsigned int nr, bool set);
int kvm_vmi_change_access(struct kvm *kvm, const struct kvm_vmi_range *ranges,
			  unsigned int nr, bool set);
void kvm_vmi_zap_rule(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer, u32 rule,
		      bool recover);
void kvm_vmi_bracket_start(struct kvm *kvm, gfn_t first, gfn_t last);
void kvm_vmi_bracket_end(struct kvm *kvm);
void kvm_vmi_zap_change(struct kvm_vmi *vmi, const struct kvm_vmi_change *change,
			bool recover);
void kvm_vmi_end_change(struct kvm_vmi *vmi);

/* ---- pin.c ---- */

void kvm_vmi_pin_init(struct kvm_vmi *vmi);
void kvm_vmi_pin_destroy(struct kvm_vmi *vmi);
void kvm_vmi_update_pins(struct kvm_vmi *vmi);
void kvm_vmi_spread_pins(struct kvm *kvm);
int kvm_vmi_set_pin(struct kvm *kvm, const struct kvm_vmi_pin *pin);
int kvm_vmi_get_pin(struct kvm *kvm, u32 rule, struct kvm_vmi_pin *pin);

/* ---- alias.c ---- */

typedef bool (*kvm_vmi_alias_fn)(struct kvm_vmi *vmi, gfn_t gfn, void *arg);

bool kvm_vmi_find_aliases(struct kvm *kvm);
bool kvm_vmi_has_alias(struct kvm_vmi *vmi, gfn_t first, gfn_t last);
void kvm_vmi_walk_aliases(struct kvm_vmi *vmi, gfn_t gfn, kvm_vmi_alias_fn fn, void *arg);
void kvm_vmi_zap_run(struct kvm_vmi *vmi, gfn_t first, gfn_t last, bool recover);

/* The last frame that kvm_vmi_zap_run() zaps. */
static inline gfn_t kvm_vmi_zap_end(gfn_t last, bool recover)
{
	return recover ? last | (KVM_PAGES_PER_HPAGE(PG_LEVEL_2M) - 1) : last;
}

/* ---- nested.c ---- */

void kvm_vmi_recheck_maps(struct kvm *kvm);

/* ---- open.c ---- */

void kvm_vmi_open_init(struct kvm_vmi *vmi);
void kvm_vmi_open_destroy(struct kvm_vmi *vmi);
void kvm_vmi_close_pages(struct kvm_vmi *vmi, gfn_t first, gfn_t last);
/* What of a page is open. */
#define KVM_VMI_OPEN_WRITE	BIT(0)	/* and reads */
#define KVM_VMI_OPEN_KERNEL	BIT(1)	/* fetches in kernel mode */
#define KVM_VMI_OPEN_USER	BIT(2)	/* fetches in user mode */
#define KVM_VMI_OPEN_READ	BIT(3)
#define KVM_VMI_OPEN_BITS	4

u32 kvm_vmi_open_page(struct kvm_vmi *vmi, gfn_t gfn, unsigned int what, u32 legal,
		      unsigned int layer);
int kvm_vmi_open_fetch(struct kvm_vmi *vmi, gfn_t gfn, unsigned int what, u64 changes);
unsigned int kvm_vmi_opened(struct kvm_vmi *vmi, gfn_t gfn);
bool kvm_vmi_any_open(struct kvm_vmi *vmi, gfn_t first, gfn_t last);
bool kvm_vmi_is_closed(struct kvm_vmi *vmi, gfn_t gfn, struct kvm_vmi_run *run);

/* ---- step.c ---- */

void kvm_vmi_step_init(struct kvm_vmi *vmi);
void kvm_vmi_step_destroy(struct kvm_vmi *vmi);
bool kvm_vmi_can_step(struct kvm_vcpu *vcpu, gpa_t gpa);
bool kvm_vmi_may_begin_step(struct kvm_vcpu *vcpu, gpa_t gpa);
void kvm_vmi_grant_step(struct kvm_vcpu *vcpu, const struct kvm_vmi_speaker *s);
void kvm_vmi_forget_grants(struct kvm_vcpu *vcpu);
bool kvm_vmi_step_again(struct kvm_vcpu *vcpu, gpa_t gpa, bool walk);
bool kvm_vmi_step(struct kvm_vcpu *vcpu, gpa_t gpa);
bool kvm_vmi_end_step(struct kvm_vcpu *vcpu, enum kvm_vmi_step_end end);
bool kvm_vmi_step_fault(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault);
bool kvm_vmi_step_may_write(struct kvm_vcpu *vcpu, gfn_t gfn);
bool kvm_vmi_is_stepped(struct kvm_vmi *vmi, gfn_t first, gfn_t last);

/* ---- gate.c ---- */

bool kvm_vmi_must_wait(struct kvm_vcpu *vcpu);
bool kvm_vmi_claim_gate(struct kvm_vcpu *vcpu);
void kvm_vmi_close_gate(struct kvm_vcpu *vcpu);
void kvm_vmi_open_gate(struct kvm_vcpu *vcpu);

/* Must this vCPU's emulated stores wait for another's step?  kvm_vmi.store_srcu. */
static inline bool kvm_vmi_is_gated(struct kvm_vcpu *vcpu)
{
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;

	return unlikely(READ_ONCE(step->gate)) && READ_ONCE(step->owner) != vcpu;
}

/* ---- aside.c ---- */

void kvm_vmi_step_put_aside(struct kvm_vcpu *vcpu);
u32 kvm_vmi_step_settle(struct kvm_vcpu *vcpu, bool vectoring);

/* ---- insn.c ---- */

bool kvm_vmi_may_trap(struct kvm_vcpu *vcpu);

/* ---- violation.c ---- */

/* A verdict beyond those of programs: the page was opened, the guest goes on. */
#define KVM_VMI_OPENED	KVM_VMI_NR_VERDICTS

u32 kvm_vmi_subpages(unsigned int offset, unsigned int len);
void kvm_vmi_describe(struct kvm_vcpu *vcpu, struct kvm_vmi_violation *v, u32 kind, gpa_t gpa);
u32 kvm_vmi_raise(struct kvm_vcpu *vcpu, struct kvm_vmi_violation *v,
		  const struct kvm_vmi_speaker *s);
void kvm_vmi_deny(struct kvm_vcpu *vcpu);
int kvm_vmi_unemulatable(struct kvm_vcpu *vcpu, gpa_t gpa, bool insn);
int kvm_vmi_unemulatable_from(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int layer, bool insn);
u32 kvm_vmi_outcome(u32 verdict);
int kvm_vmi_emulate(struct kvm_vcpu *vcpu, void *insn, int insn_len);
int kvm_vmi_settle(struct kvm_vcpu *vcpu, const struct kvm_vmi_speaker *s, void *insn,
		   int insn_len);
bool kvm_vmi_next_speaker(struct kvm_vcpu *vcpu, unsigned int layer,
			  struct kvm_vmi_speaker *ret);

/* ---- exit.c ---- */

void kvm_vmi_answer(struct kvm_vcpu *vcpu, const struct kvm_vmi_speaker *s, u32 kind,
		    gpa_t gpa, u32 denied);
bool kvm_vmi_answered(struct kvm_vcpu *vcpu, const struct kvm_vmi_speaker *s, u32 kind,
		      gpa_t gpa, u32 denied);
bool kvm_vmi_walk_answered(struct kvm_vcpu *vcpu, const struct kvm_vmi_speaker *s);
bool kvm_vmi_may_exit(struct kvm_vcpu *vcpu, const struct kvm_vmi_violation *v);
void kvm_vmi_prepare_exit(struct kvm_vcpu *vcpu, const struct kvm_vmi_violation *v,
			  const struct kvm_vmi_speaker *s);
int kvm_vmi_leave(struct kvm_vcpu *vcpu);

/* ---- tag.c ---- */

void kvm_vmi_find_tag(struct kvm_vcpu *vcpu, struct kvm_vmi_violation *v, bool decoded);

/* ---- emulate.c ---- */

bool kvm_vmi_decode(struct kvm_vcpu *vcpu, u32 *ret_len);
int kvm_vmi_skip(struct kvm_vcpu *vcpu);
void kvm_vmi_end_emulation(struct kvm_vcpu *vcpu);

/* ---- memory.c, regs.c ---- */

int kvm_vmi_read(struct kvm *kvm, gpa_t gpa, void *buf, u32 len);
int kvm_vmi_regs(struct kvm *kvm, u32 vcpu_id, struct kvm_vmi_regs *regs);

/* ---- ops.c ---- */

void kvm_vmi_announce(struct kvm_vmi *vmi);
void kvm_vmi_tell_reset(struct kvm_vmi *vmi);
void kvm_vmi_tell_destroyed(struct kvm_vmi *vmi);
u32 kvm_vmi_ask(struct kvm_vcpu *vcpu, const struct kvm_vmi_violation *v);
bool kvm_vmi_answers_violations(const struct bpf_prog *prog);
void kvm_vmi_register_ops(void);

/* ---- kfunc.c ---- */

void kvm_vmi_register_kfuncs(void);

/* ---- grant.c ---- */

void kvm_vmi_register_grant(void);

#endif /* ARCH_X86_KVM_VMI_INTERNAL_H */
