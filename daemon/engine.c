// SPDX-License-Identifier: GPL-2.0-or-later
/* Who checks writes to parts of a page. */
#include "bus-fault.h"
#include "engine.h"
#include "inventory.h"
#include "log.h"
#include "ruleset.h"
#include "util/json.h"

/* The interface of the first kernel with more than one. */
#define ABI_ENGINES 2

bool engine_available(const struct kvm_vmi_caps *caps, enum kvm_vmi_engine engine)
{
	switch (engine) {
	case KVM_VMI_ENGINE_SOFTWARE:
		return caps->features & KVM_VMI_CAP_SUBPAGE_SW;
	case KVM_VMI_ENGINE_HARDWARE:
		return caps->abi >= ABI_ENGINES && caps->features & KVM_VMI_CAP_SUBPAGE_HW;
	default:
		return false;
	}
}

enum kvm_vmi_engine engine_auto(const struct kvm_vmi_caps *caps)
{
	return engine_available(caps, KVM_VMI_ENGINE_HARDWARE) ? KVM_VMI_ENGINE_HARDWARE :
								 KVM_VMI_ENGINE_SOFTWARE;
}

bool engine_settled(const struct manager *m, const struct vm *vm)
{
	return m->caps.abi < ABI_ENGINES || vm->info.flags & KVM_VMI_VM_ENGINE_FIXED;
}

enum kvm_vmi_engine engine_wanted(const struct manager *m, const struct vm *vm)
{
	enum kvm_vmi_engine wanted = (enum kvm_vmi_engine)vm->info.engine_wanted;

	if (engine_settled(m, vm) || vm->engine_chosen || wanted != KVM_VMI_ENGINE_AUTO)
		return wanted;
	if (m->settings.engine == KVM_VMI_ENGINE_HARDWARE &&
	    !engine_available(&m->caps, KVM_VMI_ENGINE_HARDWARE))
		return wanted;
	return m->settings.engine;
}

enum kvm_vmi_engine engine_of(const struct manager *m, const struct vm *vm)
{
	if (!engine_settled(m, vm) && engine_wanted(m, vm) == KVM_VMI_ENGINE_SOFTWARE)
		return KVM_VMI_ENGINE_SOFTWARE;
	/* An older kernel tells nothing, and has one. */
	return vm->info.engine == KVM_VMI_ENGINE_HARDWARE ? KVM_VMI_ENGINE_HARDWARE :
							    KVM_VMI_ENGINE_SOFTWARE;
}

static int fail_settled(const struct manager *m, const struct vm *vm, sd_bus_error *reterr)
{
	return bus_fault(reterr, MERLON_E_ENGINE_SETTLED,
			 "VM #%llu has been protected, and its engine (%s) is settled for as long "
			 "as it runs", (unsigned long long)vm->info.id,
			 merlon_engine_name(engine_of(m, vm)));
}

static int fail_unavailable(sd_bus_error *reterr)
{
	return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
			 "Engine 'hardware' is not available here: the CPU does not have it, or "
			 "KVM is not told to use it");
}

static int check_choice(const struct manager *m, const struct vm *vm, enum kvm_vmi_engine engine,
			sd_bus_error *reterr)
{
	int r;

	r = ruleset_check_vm(vm, reterr);
	if (r < 0)
		return r;
	if (m->caps.abi < ABI_ENGINES)
		return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
				 "This kernel (interface %u) has no choice of engines: it has "
				 "'software' only", m->caps.abi);
	if (engine == KVM_VMI_ENGINE_HARDWARE && !engine_available(&m->caps, engine))
		return fail_unavailable(reterr);
	if (engine_settled(m, vm))
		return fail_settled(m, vm, reterr);
	return 0;
}

static int choice_report(const struct manager *m, enum kvm_vmi_engine engine, bool dry_run,
			 char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	_cleanup_json_ struct json_object *choice = json_object_new_object();
	enum kvm_vmi_engine taken = engine;
	int r;

	if (!o || !choice)
		return -ENOMEM;
	if (engine == KVM_VMI_ENGINE_AUTO)
		taken = engine_auto(&m->caps);
	r = json_add_string(choice, MERLON_VM_ENGINE, merlon_engine_name(taken));
	if (r >= 0)
		r = json_add_string(choice, MERLON_VM_ENGINE_WANTED, merlon_engine_name(engine));
	if (r >= 0)
		r = json_add(o, dry_run ? "would-set" : "set", TAKE_PTR(choice));
	return r < 0 ? r : json_text(o, JSON_ONE_LINE, ret);
}

/* Remembers, or forgets again, that somebody has chosen. */
static int mark_chosen(struct manager *m, struct vm *vm, bool chosen)
{
	bool before = vm->engine_chosen;
	int r;

	if (chosen == before)
		return 0;
	vm->engine_chosen = chosen;
	r = manager_save(m);
	if (r < 0)
		vm->engine_chosen = before;
	return r;
}

int engine_choose(struct manager *m, struct vm *vm, const char *word, bool dry_run,
		  char **ret_report, sd_bus_error *reterr)
{
	_cleanup_free_ char *report = NULL;
	bool before = vm->engine_chosen;
	enum kvm_vmi_engine engine;
	int r;

	r = merlon_engine_from_name(word);
	if (r < 0)
		return sd_bus_error_set(reterr, SD_BUS_ERROR_INVALID_ARGS,
					"Expected an engine: auto, software or hardware");
	engine = (enum kvm_vmi_engine)r;

	/* A module may have come back with another parameter. */
	(void)m->kernel->ops->caps(m->kernel, &m->caps);
	r = inventory_refresh(m, vm);
	if (r < 0)
		return bus_fault_errno(reterr, r, "Choosing the engine");
	r = check_choice(m, vm, engine, reterr);
	if (r >= 0)
		r = choice_report(m, engine, dry_run, &report);
	if (r < 0)
		return r;
	if (!dry_run) {
		r = mark_chosen(m, vm, true);
		if (r < 0)
			return bus_fault_errno(reterr, r, "Saving the choice");
		r = m->kernel->ops->set_engine(m->kernel, vm->info.id, engine);
		if (r < 0)
			(void)mark_chosen(m, vm, before);
		if (r == -EBUSY) {
			(void)inventory_refresh(m, vm);
			return fail_settled(m, vm, reterr);
		}
		if (r == -EOPNOTSUPP)
			return fail_unavailable(reterr);
		if (r < 0)
			return bus_fault_errno(reterr, r, "Choosing the engine");
		(void)inventory_refresh(m, vm);
		log_info("VM #%llu: engine '%s' is chosen.", (unsigned long long)vm->info.id, word);
	}
	*ret_report = TAKE_PTR(report);
	return 0;
}

bool engine_begin(struct manager *m, struct vm *vm)
{
	enum kvm_vmi_engine wanted = engine_wanted(m, vm);
	int r;

	if (wanted == (enum kvm_vmi_engine)vm->info.engine_wanted)
		return false;
	r = m->kernel->ops->set_engine(m->kernel, vm->info.id, wanted);
	if (r < 0)
		log_warning_errno(r, "VM #%llu: engine '%s' is not to be had, going on with what "
				  "there is: %m", (unsigned long long)vm->info.id,
				  merlon_engine_name(wanted));
	return r >= 0;
}

void engine_undo(struct manager *m, struct vm *vm)
{
	int r = m->kernel->ops->set_engine(m->kernel, vm->info.id, KVM_VMI_ENGINE_AUTO);

	if (r < 0 && r != -EBUSY && r != -ESRCH)
		log_warning_errno(r, "VM #%llu: its engine could not be set back, ignoring: %m",
				  (unsigned long long)vm->info.id);
}

void engine_check_default(const struct manager *m)
{
	if (m->settings.engine == KVM_VMI_ENGINE_HARDWARE &&
	    !engine_available(&m->caps, KVM_VMI_ENGINE_HARDWARE))
		log_warning("Settings ask for engine 'hardware', which is not available here: VMs "
			    "are protected by 'software'.");
}
