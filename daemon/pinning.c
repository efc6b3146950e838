// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules that pin bits of a guest's registers, in the kernel. */
#include "bus-fault.h"
#include "log.h"
#include "pinning.h"
#include "registers.h"
#include "util/json.h"

int pinning_check(const struct manager *m, const struct rule *rule, sd_bus_error *reterr)
{
	if (m->caps.features & KVM_VMI_CAP_PIN)
		return 0;
	return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
			 "Rule '%s': this kernel (interface %u) cannot pin bits of registers; "
			 "merlon probe tells what it can", rule->name, m->caps.abi);
}

int pinning_set(struct kernel *k, const struct vm *vm, uint32_t id, const struct rule *rule)
{
	const struct kvm_vmi_pin pin = {
		.cr0 = rule->pin[MERLON_REGISTER_CR0],
		.cr4 = rule->pin[MERLON_REGISTER_CR4],
		.efer = rule->pin[MERLON_REGISTER_EFER],
		.rule = id,
	};

	return k->ops->set_pin(k, vm->info.id, &pin);
}

bool pinning_is_whole(const struct vm *vm, const struct vm_rule *rule)
{
	return vm->info.flags & KVM_VMI_VM_DEAD ||
	       memcmp(rule->rule.pin, rule->pinned, sizeof(rule->pinned)) == 0;
}

static int read_pins(struct kernel *k, const struct vm *vm, struct vm_rule *rule)
{
	struct kvm_vmi_pin pin;
	int r;

	r = k->ops->get_pin(k, vm->info.id, rule->id, &pin);
	if (r < 0)
		return r;
	rule->pinned[MERLON_REGISTER_CR0] = pin.cr0;
	rule->pinned[MERLON_REGISTER_CR4] = pin.cr4;
	rule->pinned[MERLON_REGISTER_EFER] = pin.efer;
	return 0;
}

/* One that ends just now, or is dead, pins nothing more. */
static bool has_ended(int error)
{
	return error == -ENOENT || error == -ESRCH || error == -EIO;
}

/* As far as it is known. */
static bool ask_pins(struct kernel *k, const struct vm *vm, struct vm_rule *rule)
{
	int r = read_pins(k, vm, rule);

	if (has_ended(r))
		return false;
	if (r < 0 && r != rule->pin_read)
		log_warning_errno(r, "VM #%llu: what rule #%u pins is not known, ignoring: %m",
				  (unsigned long long)vm->info.id, rule->id);
	else if (r >= 0 && rule->pin_read < 0)
		log_notice("VM #%llu: what rule #%u pins is known again.",
			   (unsigned long long)vm->info.id, rule->id);
	rule->pin_read = r < 0 ? r : 0;
	return r >= 0;
}

static void set_again(struct kernel *k, const struct vm *vm, struct vm_rule *rule)
{
	int r = pinning_set(k, vm, rule->id, &rule->rule);

	if (has_ended(r))
		return;
	if (r < 0 && r != rule->pin_set)
		log_warning_errno(r, "VM #%llu: rule '%s' does not pin what it is to, and cannot be "
				  "set again: %m", (unsigned long long)vm->info.id,
				  rule->rule.name);
	else if (r >= 0)
		log_warning("VM #%llu: rule '%s' did not pin what it is to; it has been set again.",
			    (unsigned long long)vm->info.id, rule->rule.name);
	rule->pin_set = r < 0 ? r : 0;
	if (r >= 0)
		(void)ask_pins(k, vm, rule);
}

void pinning_reconcile(struct manager *m, const struct vm *vm, struct vm_rule *rule)
{
	/* Whether a rule of ours pins, we know. */
	if (!(m->caps.features & KVM_VMI_CAP_PIN) || !(rule->orphan || rule_pins(&rule->rule)))
		return;
	if (!ask_pins(m->kernel, vm, rule))
		return;
	if (rule->orphan)
		memcpy(rule->rule.pin, rule->pinned, sizeof(rule->pinned));
	else if (pinning_is_whole(vm, rule))
		rule->pin_set = 0;
	else
		set_again(m->kernel, vm, rule);
}

int pinning_to_json(struct json_object *o, const struct vm_rule *rule)
{
	uint64_t missing[MERLON_REGISTER_MAX];
	int r;

	/* An empty object where the kernel has lost it all. */
	r = registers_to_json(o, REGISTERS_KEY, rule->pinned);
	if (r >= 0 && !json_object_object_get_ex(o, REGISTERS_KEY, NULL))
		r = json_add(o, REGISTERS_KEY, json_object_new_object());
	for (size_t i = 0; i < ARRAY_SIZE(missing); i++)
		missing[i] = rule->rule.pin[i] & ~rule->pinned[i];
	return r < 0 ? r : registers_to_json(o, MERLON_NOT_PINNED, missing);
}
