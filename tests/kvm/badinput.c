// SPDX-License-Identifier: GPL-2.0-or-later
/* Wrong calls: a precise error each, and nothing changed. */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/attempt.h"
#include "suites.h"

#define RULE	21
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)

#ifndef CAP_BPF
#define CAP_BPF	39
#endif

/* A map that every failing call must leave as it is. */
static struct kvm_vmi_range reference[VMI_BATCH];
static int n_reference;

static struct vm *new_vm(uint64_t *ret_id)
{
	struct vm *vm = vmi_new(NULL, ret_id);

	vmi_rule(*ret_id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(*ret_id, RULE, DATA, DENIED(1));
	n_reference = vmi_get(*ret_id, 0, reference, 64);
	require_eq(n_reference, 1);
	return vm;
}

static void check_unchanged(uint64_t id, const char *file, int line)
{
	struct kvm_vmi_range now[VMI_BATCH];
	int n = vmi_get(id, 0, now, 64);

	if (n != n_reference || memcmp(now, reference, n * sizeof(now[0])))
		tap_fail(file, line, "the map has changed: %d entries", n);
}
#define expect_unchanged(id)	check_unchanged(id, __FILE__, __LINE__)

static void test_ranges(uintptr_t arg)
{
	static const struct {
		const char *what;
		struct kvm_vmi_range range;
		int error;
	} rows[] = {
		{ "empty", { .gfn = 5, .nr = 0, .rule = RULE, .rights = 7 }, EINVAL },
		{ "overflow", { .gfn = 5, .nr = ~0ULL, .rule = RULE, .rights = 7 }, EINVAL },
		{ "overflow", { .gfn = ~0ULL, .nr = 2, .rule = RULE, .rights = 7 }, EINVAL },
		{ "overflow to zero", { .gfn = ~0ULL, .nr = 1, .rule = RULE, .rights = 7 }, 0 },
		{ "too high", { .gfn = 1ULL << 40, .nr = 1, .rule = RULE, .rights = 7 }, ERANGE },
		{ "too high", { .gfn = 1ULL << 51, .nr = 1, .rule = RULE, .rights = 7 }, ERANGE },
		{ "too long", { .gfn = 5, .nr = 1ULL << 40, .rule = RULE, .rights = 7 }, ERANGE },
		{ "no rule", { .gfn = 5, .nr = 1, .rule = RULE + 1, .rights = 7 }, ENOENT },
		{ "rule 0", { .gfn = 5, .nr = 1, .rule = 0, .rights = 7 }, 0 },
		{ "rule", { .gfn = 5, .nr = 1, .rule = 0x1000000, .rights = 7 }, 0 },
		{ "rule", { .gfn = 5, .nr = 1, .rule = ~0U, .rights = 7 }, 0 },
		{ "no read, writable", { .gfn = 5, .nr = 1, .rule = RULE, .write = 1, .rights = 6 },
		  EINVAL },
		{ "no rights, writable", { .gfn = 5, .nr = 1, .rule = RULE, .write = ~0U }, EINVAL },
		{ "rights", { .gfn = 5, .nr = 1, .rule = RULE, .rights = 15 }, EINVAL },
		{ "rights", { .gfn = 5, .nr = 1, .rule = RULE, .rights = ~0U }, EINVAL },
		{ "reserved", { .gfn = 5, .nr = 1, .rule = RULE, .rights = 7, .reserved = 1 },
		  EINVAL },
	};
	uint64_t id;
	struct vm *vm = new_vm(&id);
	struct kvm_vmi_range both[2];
	unsigned int i;
	int r;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		r = vmi_set(id, &rows[i].range, 1);
		expect(r < 0 && (!rows[i].error || r == -rows[i].error),
		       "row %u, %s: set returned %d", i, rows[i].what, r);
		expect_unchanged(id);
		/* A batch is applied whole or not at all. */
		both[0] = (struct kvm_vmi_range){ .gfn = 7, .nr = 3, .rule = RULE, .rights = 7 };
		both[1] = rows[i].range;
		r = vmi_set(id, both, 2);
		expect(r < 0, "row %u, %s: a batch returned %d", i, rows[i].what, r);
		expect_unchanged(id);
	}
	expect_denied(vm->vcpu[0], DATA);
	expect_lands(vm->vcpu[0], DATA + SUBPAGE);
	vm_free(vm);
}

/* Just below the guest's MAXPHYADDR is a frame like any other. */
static void test_last_frame(uintptr_t arg)
{
	struct kvm_vmi_vm_info info;
	struct kvm_vmi_range range = { .nr = 1, .rule = RULE, .rights = 7 };
	uint64_t id;
	struct vm *vm = new_vm(&id);

	(void)arg;
	require_eq(vmi_info(id, &info), 0);
	require(info.maxphyaddr >= 32 && info.maxphyaddr <= 52, "maxphyaddr %u", info.maxphyaddr);
	range.gfn = (1ULL << (info.maxphyaddr - 12)) - 1;
	expect_eq(vmi_set(id, &range, 1), 0);
	range.nr = 2;
	expect_eq(-vmi_set(id, &range, 1), ERANGE);
	range.gfn++;
	range.nr = 1;
	expect_eq(-vmi_set(id, &range, 1), ERANGE);
	range.gfn = 0;
	range.nr = 1ULL << (info.maxphyaddr - 12);
	range.write = KVM_VMI_WRITE_ALL;
	expect_eq(vmi_set(id, &range, 1), 0);
	range.nr++;
	expect_eq(-vmi_set(id, &range, 1), ERANGE);
	expect_eq(vmi_clear_rule(id, RULE), 0);
	expect_lands(vm->vcpu[0], DATA);
	vm_free(vm);
}

static void test_rules(uintptr_t arg)
{
	static const struct {
		struct kvm_vmi_rule rule;
		int error;
	} rows[] = {
		{ { .id = 0 }, EINVAL },
		{ { .id = 0x1000000 }, EINVAL },
		{ { .id = 0x80000001 }, EINVAL },
		{ { .id = 1, .flags = 16 }, EINVAL },
		{ { .id = 1, .flags = KVM_VMI_RULE_UPDATE }, ENOENT },
		{ { .id = 1, .flags = KVM_VMI_RULE_UPDATE | KVM_VMI_RULE_DISARMED }, EINVAL },
		{ { .id = 1, .flags = 0x80000000 }, EINVAL },
		{ { .id = 1, .action = { 0, KVM_VMI_EXIT } }, EOPNOTSUPP },
		{ { .id = 1, .dflt = KVM_VMI_EXIT }, EINVAL },
		{ { .id = 1, .action = { KVM_VMI_HOLD } }, EOPNOTSUPP },
		{ { .id = 1, .action = { 0, KVM_VMI_HOLD } }, EOPNOTSUPP },
		{ { .id = 1, .action = { KVM_VMI_NR_VERDICTS } }, EINVAL },
		{ { .id = 1, .action = { 255 } }, EINVAL },
		{ { .id = 1, .action = { 0, 0, KVM_VMI_SKIP } }, EINVAL },
		{ { .id = 1, .action = { 0, 0, 200 } }, EINVAL },
		{ { .id = 1, .dflt = KVM_VMI_SKIP }, EINVAL },
		{ { .id = 1, .dflt = KVM_VMI_HOLD }, EINVAL },
		{ { .id = 1, .dflt = 100 }, EINVAL },
		{ { .id = 1, .on_reset = 3 }, EINVAL },
		{ { .id = 1, .reserved = { 0, 0, 1 } }, EINVAL },
		{ { .id = 1, .reserved2 = 1 }, EINVAL },
		{ { .id = 1, .deadline_ms = 10001 }, EINVAL },
	};
	struct kvm_vmi_rule both[2] = { { .id = 77 } };
	struct kvm_vmi_rule_info info;
	struct kvm_vmi_vm_info vm_info;
	uint64_t id;
	struct vm *vm = new_vm(&id);
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = vmi_set_rules(id, &rows[i].rule, 1);

		expect(r == -rows[i].error, "row %u: %d", i, r);
		both[1] = rows[i].rule;
		r = vmi_set_rules(id, both, 2);
		expect(r == -rows[i].error, "row %u in a batch: %d", i, r);
	}
	expect_eq(vmi_next_rule(id, 0, &info), 0);
	expect_eq(info.rule.id, RULE);
	expect_eq(-vmi_next_rule(id, RULE, &info), ENOENT);
	expect_eq(vmi_info(id, &vm_info), 0);
	expect_eq(vm_info.rules, 1);
	expect_eq(-vmi_clear_rule(id, RULE + 1), ENOENT);
	expect(vmi_clear_rule(id, 0x1000000) < 0, "clearing an impossible rule");
	expect_unchanged(id);
	vm_free(vm);
}

static void test_sizes(uintptr_t arg)
{
	static struct kvm_vmi_range ranges[VMI_BATCH];
	static struct kvm_vmi_rule rules[VMI_BATCH];
	const unsigned int one = sizeof(ranges[0]);
	uint64_t id;
	struct vm *vm = new_vm(&id);
	unsigned int i;

	(void)arg;
	for (i = 0; i < VMI_BATCH; i++) {
		ranges[i] = (struct kvm_vmi_range){ .gfn = 100 + i, .nr = 1, .rule = RULE,
						    .write = i, .rights = 7 };
		rules[i] = (struct kvm_vmi_rule){ .id = 100 + i };
	}
	expect_eq(-vmi_set(id, ranges, KVM_VMI_MAX_BATCH + 1), EINVAL);
	expect_eq(-vmi_set_bytes(id, ranges, 0), EINVAL);
	expect_eq(-vmi_set_bytes(id, ranges, one - 1), EINVAL);
	expect_eq(-vmi_set_bytes(id, ranges, one + 1), EINVAL);
	expect_eq(-vmi_clear(id, ranges, KVM_VMI_MAX_BATCH + 1), EINVAL);
	expect_eq(-vmi_set_rules(id, rules, KVM_VMI_MAX_BATCH + 1), EINVAL);
	expect_eq(-vmi_set_rules_bytes(id, rules, sizeof(rules[0]) - 1), EINVAL);
	expect_eq(-vmi_get(id, 0, ranges, KVM_VMI_MAX_OWNERS - 1), EINVAL);
	expect_unchanged(id);
	for (i = 0; i < VMI_BATCH; i++)
		ranges[i] = (struct kvm_vmi_range){ .gfn = 100 + i, .nr = 1, .rule = RULE,
						    .write = i, .rights = 7 };
	expect_eq(vmi_set(id, ranges, KVM_VMI_MAX_BATCH), 0);
	expect_eq(vmi_clear(id, ranges, KVM_VMI_MAX_BATCH), 0);
	expect_eq(vmi_set_rules(id, rules, KVM_VMI_MAX_BATCH), 0);
	expect_unchanged(id);
	vm_free(vm);
}

/* As many rules as there may be, and as many on one frame. */
static void test_limits(uintptr_t arg)
{
	static struct kvm_vmi_rule rules[VMI_BATCH];
	static struct kvm_vmi_range got[VMI_BATCH];
	struct kvm_vmi_range range = { .gfn = GFN(DATA), .nr = 1, .rights = 7 };
	struct kvm_vmi_vm_info info;
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	unsigned int i, j;

	(void)arg;
	for (i = 0; i < KVM_VMI_MAX_RULES; i += KVM_VMI_MAX_BATCH) {
		for (j = 0; j < KVM_VMI_MAX_BATCH; j++)
			rules[j].id = i + j + 1;
		expect_eq(vmi_set_rules(id, rules, KVM_VMI_MAX_BATCH), 0);
	}
	/* One too many, and half of a batch too many: nothing is added. */
	rules[0].id = KVM_VMI_RULE_ID_MAX;
	expect_eq(-vmi_set_rules(id, rules, 1), ENOSPC);
	expect_eq(vmi_clear_rule(id, 1), 0);
	rules[1].id = KVM_VMI_RULE_ID_MAX - 1;
	expect_eq(-vmi_set_rules(id, rules, 2), ENOSPC);
	expect_eq(vmi_info(id, &info), 0);
	expect_eq(info.rules, KVM_VMI_MAX_RULES - 1);
	expect_eq(vmi_set_rules(id, rules, 1), 0);

	for (i = 0; i < KVM_VMI_MAX_OWNERS; i++) {
		range.rule = i + 2;
		range.write = DENIED(1U << i);
		expect_eq(vmi_set(id, &range, 1), 0);
	}
	range.rule = KVM_VMI_MAX_OWNERS + 2;
	expect_eq(-vmi_set(id, &range, 1), ENOSPC);
	expect_eq(vmi_get(id, 0, got, KVM_VMI_MAX_OWNERS), KVM_VMI_MAX_OWNERS);
	/* One of them may change its claim, and a batch that ends there is undone. */
	range.rule = 2;
	range.write = 0;
	expect_eq(vmi_set(id, &range, 1), 0);
	range.gfn--;
	range.nr = 3;
	range.rule = KVM_VMI_MAX_OWNERS + 2;
	expect_eq(-vmi_set(id, &range, 1), ENOSPC);
	expect_eq(vmi_get(id, 0, got, KVM_VMI_MAX_OWNERS), KVM_VMI_MAX_OWNERS);
	expect_eq(got[0].gfn, GFN(DATA));
	expect_denied(vm->vcpu[0], DATA + 31 * SUBPAGE);
	expect_lands(vm->vcpu[0], DATA - 8);
	expect_eq(vmi_clear_rule(id, 0), 0);
	expect_eq(vmi_get(id, 0, got, KVM_VMI_MAX_OWNERS), 0);
	expect_eq(vmi_info(id, &info), 0);
	expect_eq(info.rules, 0);
	expect_eq(info.map_entries, 0);
	expect_lands(vm->vcpu[0], DATA);
	vm_free(vm);
}

static void test_unknown_vm(uintptr_t arg)
{
	struct kvm_vmi_rule rule = { .id = 1 };
	struct kvm_vmi_vm_info info;
	struct kvm_vmi_regs regs;
	uint64_t id, gone, value;
	struct vm *vm = vmi_new(NULL, &id);

	(void)arg;
	expect_eq(-vmi_info(id + 1000, &info), ESRCH);
	expect_eq(-vmi_set_rules(id + 1000, &rule, 1), ESRCH);
	expect_eq(-vmi_info(0, &info), ESRCH);
	expect_eq(-vmi_info(~0ULL, &info), ESRCH);
	expect_eq(-vmi_next(~0ULL, &info), ESRCH);
	expect_eq(-vmi_read(id, 1ULL << 40, &value, 8), EFAULT);
	expect_eq(-vmi_regs(id, 1, &regs), ENOENT);
	expect_eq(-vmi_regs(id, ~0U, &regs), ENOENT);
	gone = id;
	vm_free(vm);
	expect_eq(-vmi_info(gone, &info), ESRCH);
	expect_eq(-vmi_set_rules(gone, &rule, 1), ESRCH);
	vm = vmi_new(NULL, &id);
	expect(id > gone, "an id came again");
	vm_free(vm);
}

static void test_admission_arguments(uintptr_t arg)
{
	struct kvm_vmi_caps caps;

	(void)arg;
	expect_eq(-vmi_set_admission(3, 0), EINVAL);
	expect_eq(-vmi_set_admission(~0U, 0), EINVAL);
	expect_eq(-vmi_set_admission(KVM_VMI_ADMIT_OPEN, KVM_VMI_ADMIT_MS_MAX + 1), EINVAL);
	expect_eq(vmi_caps(&caps), 0);
	expect_eq(caps.admission, KVM_VMI_ADMIT_OFF);
	expect_eq(caps.admission_ms, KVM_VMI_ADMIT_MS_DEFAULT);
}

/* With CAP_BPF one may run the program that was loaded by root, and gets nowhere. */
static void test_privilege(uintptr_t keep_bpf)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { };
	struct kvm_vmi_rule rule = { .id = 1 };
	struct kvm_vmi_vm_info info;
	struct kvm_vmi_caps caps;
	uint64_t id, value;
	struct vm *vm = new_vm(&id);

	if (keep_bpf) {
		data[CAP_BPF / 32].effective = 1U << CAP_BPF % 32;
		data[CAP_BPF / 32].permitted = 1U << CAP_BPF % 32;
	}
	require(!syscall(SYS_capset, &header, data), "capset");
	expect_eq(-vmi_caps(&caps), EPERM);
	expect_eq(-vmi_set_admission(KVM_VMI_ADMIT_CLOSED, 0), EPERM);
	if (keep_bpf) {
		/* No VM is handed out. */
		expect_eq(-vmi_info(id, &info), ESRCH);
		expect_eq(-vmi_next(0, &info), ESRCH);
		expect_eq(-vmi_set_rules(id, &rule, 1), ESRCH);
		expect_eq(-vmi_read(id, DATA, &value, 8), ESRCH);
	}
	/* The rules are in force whoever looks. */
	expect_denied(vm->vcpu[0], DATA);
	vm_free(vm);
}

/* Of a VM that was never protected, and of one that cannot be, there is nothing to clear. */
static void test_clear_nothing(uintptr_t slots)
{
	const struct kvm_vmi_rule rule = { .id = 1 };
	struct vm *vm;
	uint64_t id;
	unsigned int i;

	vm = vmi_new(NULL, &id);
	/* So many pairs that share memory that KVM does not keep track of them. */
	for (i = 0; i < slots; i++) {
		const struct kvm_userspace_memory_region region = {
			.slot = 100 + i, .guest_phys_addr = 0x90000000 + i * PAGE_SIZE,
			.memory_size = PAGE_SIZE,
			.userspace_addr = (uintptr_t)vm_hva(vm, GUEST_ARENA),
		};

		require(!ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region), "slot %u", i);
	}
	expect_eq(-vmi_clear_rule(id, 1), ENOENT);
	if (slots) {
		expect_eq(-vmi_set_rules(id, &rule, 1), EOPNOTSUPP);
		expect_eq(-vmi_clear_rule(id, 1), ENOENT);
	}
	expect_eq(vmi_clear_rule(id, 0), 0);
	expect_lands(vm->vcpu[0], GUEST_ARENA);
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "ranges", test_ranges },
	{ "last-frame", test_last_frame },
	{ "rules", test_rules },
	{ "sizes", test_sizes },
	{ "limits", test_limits },
	{ "unknown-vm", test_unknown_vm },
	{ "admission-arguments", test_admission_arguments },
	{ "no-privilege", test_privilege, 0 },
	{ "cap-bpf-only", test_privilege, 1 },
	{ "clear-nothing", test_clear_nothing, 0 },
	{ "clear-impossible", test_clear_nothing, 100 },
	{ }
};

const struct test_suite suite_badinput = { .name = "badinput", .cases = cases, .setup = vmi_setup };
