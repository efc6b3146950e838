// SPDX-License-Identifier: GPL-2.0-or-later
/* Who checks sub-pages: what a host offers, what a VM is given, when it is settled. */
#include <errno.h>

#include "lib/attempt.h"
#include "suites.h"

#define RULE	53
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)

static struct kvm_vmi_vm_info info_of(uint64_t id)
{
	struct kvm_vmi_vm_info info;

	require_eq(vmi_info(id, &info), 0);
	return info;
}

static bool has_hardware(void)
{
	struct kvm_vmi_caps caps;

	require_eq(vmi_caps(&caps), 0);
	expect(caps.features & KVM_VMI_CAP_SUBPAGE_SW, "no software engine");
	return caps.features & KVM_VMI_CAP_SUBPAGE_HW;
}

static uint32_t engine_of(uint32_t wanted)
{
	return wanted != KVM_VMI_ENGINE_SOFTWARE && has_hardware() ?
	       KVM_VMI_ENGINE_HARDWARE : KVM_VMI_ENGINE_SOFTWARE;
}

/* Chosen before the VM is protected, and fixed from then on. */
static void test_choose(uintptr_t wanted)
{
	struct kvm_vmi_vm_info info;
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);

	info = info_of(id);
	expect_eq(info.engine_wanted, KVM_VMI_ENGINE_AUTO);
	expect_eq(info.engine, engine_of(KVM_VMI_ENGINE_AUTO));
	if (wanted == KVM_VMI_ENGINE_HARDWARE && !has_hardware()) {
		expect_eq(vmi_set_engine(id, wanted), -EOPNOTSUPP);
		wanted = KVM_VMI_ENGINE_AUTO;
	}
	expect_eq(vmi_set_engine(id, wanted), 0);
	info = info_of(id);
	expect_eq(info.engine_wanted, wanted);
	expect_eq(info.engine, engine_of(wanted));
	/* Rules alone protect nothing. */
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	expect_eq(vmi_set_engine(id, KVM_VMI_ENGINE_SOFTWARE), 0);
	expect_eq(vmi_set_engine(id, wanted), 0);
	expect(!(info_of(id).flags & KVM_VMI_VM_ENGINE_FIXED), "fixed already");
	expect_eq(vmi_log_lives(id, VMI_ENGINE), 0);

	vmi_protect(id, RULE, DATA, DENIED(1));
	info = info_of(id);
	expect_eq(info.engine, engine_of(wanted));
	expect(info.flags & KVM_VMI_VM_ENGINE_FIXED, "not fixed");
	expect_eq(vmi_log_lives(id, VMI_ENGINE), 1);
	expect_eq(vmi_log_life(id, VMI_ENGINE)->flags, engine_of(wanted));
	expect_eq(vmi_set_engine(id, KVM_VMI_ENGINE_AUTO), -EBUSY);
	expect_eq(vmi_set_engine(id, KVM_VMI_ENGINE_SOFTWARE), -EBUSY);
	expect_denied(vm->vcpu[0], DATA);
	expect_lands(vm->vcpu[0], DATA + SUBPAGE);

	/* Nor is it open again when nothing is protected any more. */
	require_eq(vmi_clear_rule(id, RULE), 0);
	expect_eq(vmi_set_engine(id, KVM_VMI_ENGINE_SOFTWARE), -EBUSY);
	expect_eq(info_of(id).engine, engine_of(wanted));
	vm_free(vm);
}

static void test_unknown(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);

	(void)arg;
	expect_eq(vmi_set_engine(id, KVM_VMI_NR_ENGINES), -EINVAL);
	expect_eq(vmi_set_engine(id, ~0U), -EINVAL);
	expect_eq(vmi_set_engine(id + 1000, KVM_VMI_ENGINE_AUTO), -ESRCH);
	expect_eq(info_of(id).engine_wanted, KVM_VMI_ENGINE_AUTO);
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "auto", test_choose, KVM_VMI_ENGINE_AUTO },
	{ "software", test_choose, KVM_VMI_ENGINE_SOFTWARE },
	{ "hardware", test_choose, KVM_VMI_ENGINE_HARDWARE },
	{ "unknown", test_unknown },
	{ }
};

const struct test_suite suite_engine = { .name = "engine", .cases = cases, .setup = vmi_setup };
