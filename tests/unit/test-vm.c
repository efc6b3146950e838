// SPDX-License-Identifier: GPL-2.0-or-later
/* vm.c: rules in order, the table of VMs, and which VM a name means. */
#include "../bpf/intf.h"
#include "unit.h"
#include "vm.h"

static void rules_in_order(_unused_ void **state)
{
	static const uint32_t ids[] = { 5, 1, 9, 3, 7 };
	struct vm *vm = vm_new(1);

	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct vm_rule *rule = vm_add_rule(vm, ids[i]);

		assert_non_null(rule);
		snprintf(rule->rule.name, sizeof(rule->rule.name), "r%u", ids[i]);
	}
	for (size_t i = 0; i < vm->n_rules; i++)
		assert_int_equal(vm->rules[i].id, 2 * i + 1);
	assert_string_equal(vm_rule_name(vm, 7), "r7");
	assert_string_equal(vm_rule_name(vm, 8), "");
	assert_int_equal(vm_find_rule_by_name(vm, "r3")->id, 3);
	vm_find_rule(vm, 3)->orphan = true;
	assert_null(vm_find_rule_by_name(vm, "r3"));
	vm_remove_rule(vm, 5);
	vm_remove_rule(vm, 6);
	assert_int_equal(vm->n_rules, 4);
	assert_null(vm_find_rule(vm, 5));
	assert_non_null(vm_find_rule(vm, 9));
	/* Late events of a rule that was dropped still have its name. */
	assert_string_equal(vm_rule_name(vm, 5), "r5");
	for (uint32_t i = 100; i < 100 + VM_MAX_RETIRED; i++) {
		assert_string_equal(vm_rule_name(vm, 5), "r5");
		vm_add_rule(vm, i);
		vm_remove_rule(vm, i);
	}
	assert_string_equal(vm_rule_name(vm, 5), "");
	assert_null(vm_free(vm));
	assert_null(vm_free(NULL));
}

static void rule_ids(_unused_ void **state)
{
	struct vm *vm = vm_new(1);

	assert_int_equal(vm_next_rule_id(vm), 1);
	assert_int_equal(vm_next_rule_id(vm), 2);
	assert_non_null(vm_add_rule(vm, 3));
	assert_int_equal(vm_next_rule_id(vm), 4);
	vm_remove_rule(vm, 3);
	assert_int_equal(vm_next_rule_id(vm), 5);
	vm->next_rule = KVM_VMI_RULE_ID_MAX;
	assert_int_equal(vm_next_rule_id(vm), KVM_VMI_RULE_ID_MAX);
	assert_int_equal(vm_next_rule_id(vm), 0);
	assert_int_equal(vm_next_rule_id(vm), 0);
	vm_free(vm);
}

static void cookies(_unused_ void **state)
{
	assert_true(vm_cookie(1, "idt") == vm_cookie(1, "idt"));
	assert_true(vm_cookie(1, "idt") != vm_cookie(2, "idt"));
	assert_true(vm_cookie(1, "idt") != vm_cookie(1, "gdt"));
	assert_true(vm_cookie(0, "") != 0);
}

static void add(struct vm_table *t, uint64_t id, const char *name, const char *uuid)
{
	struct vm *vm = vm_new(id);

	snprintf(vm->identity.name, sizeof(vm->identity.name), "%s", name);
	snprintf(vm->identity.uuid, sizeof(vm->identity.uuid), "%s", uuid);
	assert_int_equal(vm_table_add(t, vm), 0);
}

static void resolves(const struct vm_table *t, const char *what, uint64_t expected)
{
	struct vm *vm = NULL;
	char ids[64];

	assert_int_equal(vm_table_resolve(t, what, &vm, ids, sizeof(ids)), VM_FOUND);
	assert_true(vm->info.id == expected);
}

static void does_not(const struct vm_table *t, const char *what, enum vm_resolve why)
{
	struct vm *vm = NULL;
	char ids[64];

	assert_int_equal(vm_table_resolve(t, what, &vm, ids, sizeof(ids)), why);
	assert_null(vm);
}

static void names(_unused_ void **state)
{
	static const char uuid[] = "11111111-2222-3333-4444-5555555555af";
	struct vm_table t = { 0 };
	struct vm *vm;
	char ids[12];

	add(&t, 17, "web-1", uuid);
	add(&t, 3, "db", "");
	add(&t, 23, "23", "");
	add(&t, 40, "17", "");
	add(&t, 50, "", "");
	resolves(&t, "#17", 17);
	resolves(&t, "3", 3);
	resolves(&t, "db", 3);
	resolves(&t, "web-1", 17);
	resolves(&t, uuid, 17);
	resolves(&t, "11111111-2222-3333-4444-5555555555AF", 17);
	/* Its id and its name are the same: still one VM. */
	resolves(&t, "23", 23);
	/* One's id is another's name. */
	does_not(&t, "17", VM_AMBIGUOUS);
	resolves(&t, "#40", 40);
	does_not(&t, "", VM_NONE);
	does_not(&t, "#", VM_NONE);
	does_not(&t, "#99", VM_NONE);
	does_not(&t, "#17x", VM_NONE);
	does_not(&t, "web", VM_NONE);

	add(&t, 60, "db", "");
	assert_int_equal(vm_table_resolve(&t, "db", &vm, ids, sizeof(ids)), VM_AMBIGUOUS);
	assert_string_equal(ids, "#3, #60");
	for (uint64_t i = 100; i < 140; i++)
		add(&t, i, "db", "");
	/* More than fits is cut, not written beyond. */
	assert_int_equal(vm_table_resolve(&t, "db", &vm, ids, sizeof(ids)), VM_AMBIGUOUS);
	vm_table_remove(&t, 17);
	vm_table_remove(&t, 17);
	does_not(&t, "web-1", VM_NONE);
	vm_table_done(&t);
	assert_int_equal(t.n, 0);
}

static void limits(_unused_ void **state)
{
	struct vm_table t = { 0 };
	struct vm *vm = vm_new(5);

	for (uint64_t i = 1; i <= MERLON_MAX_VMS; i++)
		add(&t, i, "", "");
	assert_int_equal(vm_table_add(&t, vm), -EEXIST);
	vm->info.id = MERLON_MAX_VMS + 1;
	assert_int_equal(vm_table_add(&t, vm), -ENOSPC);
	vm_free(vm);
	for (size_t i = 0; i < t.n; i++)
		assert_int_equal(t.vms[i]->info.id, i + 1);
	vm_table_done(&t);
}

static void states(_unused_ void **state)
{
	struct vm *vm = vm_new(1);

	assert_string_equal(vm_state(vm), "running");
	vm->info.flags = KVM_VMI_VM_PENDING;
	assert_string_equal(vm_state(vm), "pending");
	vm->info.flags |= KVM_VMI_VM_UNSUPPORTED;
	assert_string_equal(vm_state(vm), "unsupported");
	vm->info.flags |= KVM_VMI_VM_DEAD;
	assert_string_equal(vm_state(vm), "dead");
	vm_free(vm);
}

UNIT_MAIN(T(rules_in_order), T(rule_ids), T(cookies), T(names), T(limits), T(states))
