/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel that tests play: VMs, rules, ranges, what a write meets, and what is
 * kept in a file so that it outlives merlond as a kernel does.  Not in merlond.
 */
#ifndef MERLON_KERNEL_FAKE_MODEL_H
#define MERLON_KERNEL_FAKE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bpf/intf.h"

struct fake_vm {
	struct kvm_vmi_vm_info info;
	struct merlon_vm_counters counters;
	struct kvm_vmi_rule_info *rules;	/* sorted by id */
	size_t n_rules;
	struct kvm_vmi_range *ranges;		/* no two of one rule overlap */
	size_t n_ranges;
	struct kvm_vmi_pin *pins;		/* of rules that pin anything, one each */
	size_t n_pins;
};

/* What the policy program answers for a rule. */
struct fake_answer {
	uint64_t cookie;
	uint32_t answer;
	uint32_t reserved;
};

/* The first &fake_model.abi that knows who may execute, and what is pinned. */
#define FAKE_ABI_EXECUTE 4
#define FAKE_ABI_PIN 6

struct fake_model {
	struct fake_vm *vms;			/* sorted by id */
	size_t n_vms;
	uint32_t admission;
	uint32_t admission_ms;
	bool hardware;				/* has that engine */
	uint32_t abi;				/* KVM_VMI_ABI or older */
	struct fake_answer *answers;
	size_t n_answers;
};

/* All return 0 or a negative errno as the kfuncs of the same names do. */
struct fake_vm *fake_find(struct fake_model *model, uint64_t id);
struct fake_vm *fake_next(struct fake_model *model, uint64_t after);
int fake_add(struct fake_model *model, const struct kvm_vmi_vm_info *info);
void fake_remove(struct fake_model *model, uint64_t id);

/* The VM as this kernel tells of it. */
struct kvm_vmi_vm_info fake_info(const struct fake_model *model, const struct fake_vm *vm);
int fake_set_engine(const struct fake_model *model, struct fake_vm *vm, uint32_t engine);

struct kvm_vmi_rule_info *fake_rule(struct fake_vm *vm, uint32_t id);
int fake_set_rules(struct fake_vm *vm, const struct kvm_vmi_rule *rules, size_t n);
int fake_clear_rule(struct fake_vm *vm, uint32_t id);
int fake_set_access(const struct fake_model *model, struct fake_vm *vm,
		    const struct kvm_vmi_range *ranges, size_t n);

/* Claims from @gfn on, in order. */
int fake_get_access(const struct fake_vm *vm, uint64_t gfn,
		    struct kvm_vmi_range ret[static KVM_VMI_MAX_BATCH]);

/* What a rule pins: zeroes if it pins nothing. */
int fake_set_pin(const struct fake_model *model, struct fake_vm *vm,
		 const struct kvm_vmi_pin *pin);
int fake_get_pin(const struct fake_model *model, struct fake_vm *vm, uint32_t rule,
		 struct kvm_vmi_pin *ret);

/* NULL if there is none. */
struct fake_answer *fake_answer(const struct fake_model *model, uint64_t cookie);
int fake_set_answer(struct fake_model *model, uint64_t cookie, uint32_t answer);
int fake_clear_answer(struct fake_model *model, uint64_t cookie);

/*
 * The kernel of the guest executes a page that @rule keeps it from: 1 if that was let
 * through because it learns, 0 if not, -ENOENT if the rule says nothing about the page.
 */
int fake_execute(const struct fake_model *model, struct fake_vm *vm, uint32_t rule,
		 uint64_t gpa);

/* The rule that speaks for a write, NULL if all of it is allowed. */
struct kvm_vmi_rule_info *fake_denies(struct fake_vm *vm, uint64_t gpa, uint64_t length);

/* The rule that speaks when the guest loads @new where @old is, NULL if it may. */
struct kvm_vmi_rule_info *fake_keeps(struct fake_vm *vm, uint32_t reg, uint64_t old,
				     uint64_t new);

int fake_save(const struct fake_model *model, const char *path);
/* -ENOENT when there is no file. */
int fake_load(struct fake_model *model, const char *path);
void fake_done(struct fake_model *model);

#endif
