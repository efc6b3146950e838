// SPDX-License-Identifier: GPL-2.0-or-later
/* engine.c: which engine a VM has or gets, by what the kernel, somebody and the settings say. */
#include "engine.h"
#include "unit.h"

/* The daemon's library wants a kernel; none is opened here. */
const struct kernel_backend kernel_backend = { .name = "none" };

#define AUTO	KVM_VMI_ENGINE_AUTO
#define SW	KVM_VMI_ENGINE_SOFTWARE
#define HW	KVM_VMI_ENGINE_HARDWARE

static const struct {
	bool hardware;		/* the host has it */
	enum kvm_vmi_engine setting, kernel_wanted, kernel_engine;
	bool fixed, chosen;
	enum kvm_vmi_engine wanted, engine;
} cases[] = {
	/* Nobody has chosen: the settings count. */
	{ false, AUTO, AUTO, SW, false, false, AUTO, SW },
	{ true,  AUTO, AUTO, HW, false, false, AUTO, HW },
	{ false, SW,   AUTO, SW, false, false, SW,   SW },
	{ true,  SW,   AUTO, HW, false, false, SW,   SW },
	{ false, HW,   AUTO, SW, false, false, AUTO, SW },
	{ true,  HW,   AUTO, HW, false, false, HW,   HW },
	/* A host that has it, but not for this VM. */
	{ true,  HW,   AUTO, SW, false, false, HW,   SW },
	/* Somebody has, be it auto, be it past merlond. */
	{ true,  SW,   AUTO, HW, false, true,  AUTO, HW },
	{ true,  SW,   HW,   HW, false, true,  HW,   HW },
	{ true,  SW,   HW,   HW, false, false, HW,   HW },
	{ true,  HW,   SW,   SW, false, true,  SW,   SW },
	/* Settled: what the kernel says and nothing else. */
	{ true,  SW,   AUTO, HW, true,  false, AUTO, HW },
	{ true,  HW,   AUTO, SW, true,  false, AUTO, SW },
	{ false, AUTO, HW,   HW, true,  true,  HW,   HW },
};

static void table(_unused_ void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct manager m = {
			.caps = { .abi = KVM_VMI_ABI, .features = KVM_VMI_CAP_SUBPAGE_SW |
				  (cases[i].hardware ? KVM_VMI_CAP_SUBPAGE_HW : 0) },
			.settings = { .engine = cases[i].setting },
		};
		struct vm vm = {
			.info = { .engine_wanted = cases[i].kernel_wanted,
				  .engine = cases[i].kernel_engine,
				  .flags = cases[i].fixed ? KVM_VMI_VM_ENGINE_FIXED : 0 },
			.engine_chosen = cases[i].chosen,
		};

		if (engine_wanted(&m, &vm) != cases[i].wanted ||
		    engine_of(&m, &vm) != cases[i].engine ||
		    engine_settled(&m, &vm) != cases[i].fixed)
			fail_msg("case %zu: %s, wanted %s", i,
				 merlon_engine_name(engine_of(&m, &vm)),
				 merlon_engine_name(engine_wanted(&m, &vm)));
	}
}

static void hosts(_unused_ void **state)
{
	struct kvm_vmi_caps caps = { .abi = KVM_VMI_ABI };

	assert_false(engine_available(&caps, SW));
	assert_false(engine_available(&caps, HW));
	caps.features = KVM_VMI_CAP_SUBPAGE_SW;
	assert_true(engine_available(&caps, SW));
	assert_false(engine_available(&caps, HW));
	assert_false(engine_available(&caps, AUTO));
	assert_int_equal(engine_auto(&caps), SW);
	caps.features |= KVM_VMI_CAP_SUBPAGE_HW;
	assert_true(engine_available(&caps, HW));
	assert_int_equal(engine_auto(&caps), HW);
}

/* It tells nothing of engines: zeroes, and a bit that meant nothing yet. */
static void older_kernel(_unused_ void **state)
{
	struct manager m = {
		.caps = { .abi = 1, .features = KVM_VMI_CAP_SUBPAGE_SW | KVM_VMI_CAP_SUBPAGE_HW },
		.settings = { .engine = HW },
	};
	struct vm vm = { .info.id = 1 };

	assert_false(engine_available(&m.caps, HW));
	assert_int_equal(engine_auto(&m.caps), SW);
	assert_true(engine_settled(&m, &vm));
	assert_int_equal(engine_wanted(&m, &vm), AUTO);
	assert_int_equal(engine_of(&m, &vm), SW);
	/* Nothing is asked of it: there is no kernel here to ask. */
	assert_false(engine_begin(&m, &vm));
}

UNIT_MAIN(T(table), T(hosts), T(older_kernel))
