// SPDX-License-Identifier: GPL-2.0-or-later
/* A VM as merlond knows it, and the table of them. */
#include <strings.h>

#include "../bpf/intf.h"
#include "util/parse.h"
#include "util/util.h"
#include "vm.h"

struct vm *vm_new(uint64_t id)
{
	struct vm *vm = calloc(1, sizeof(*vm));

	if (!vm)
		return NULL;
	vm->info.id = id;
	vm->next_rule = 1;
	return vm;
}

struct vm *vm_free(struct vm *vm)
{
	if (vm) {
		for (size_t i = 0; i < vm->n_rules; i++)
			free(vm->rules[i].rule.except);
		free(vm->rules);
		free(vm->retired);
		free(vm->unpinned);
		free(vm);
	}
	return NULL;
}

uint64_t vm_gpa_limit(const struct vm *vm)
{
	return vm->info.maxphyaddr >= 64 ? UINT64_MAX : 1ULL << vm->info.maxphyaddr;
}

const char *vm_state(const struct vm *vm)
{
	if (vm->info.flags & KVM_VMI_VM_DEAD)
		return MERLON_STATE_DEAD;
	if (vm->info.flags & KVM_VMI_VM_UNSUPPORTED)
		return MERLON_STATE_UNSUPPORTED;
	if (vm->info.flags & KVM_VMI_VM_PENDING)
		return MERLON_STATE_PENDING;
	return MERLON_STATE_RUNNING;
}

/* Index of the first rule with an id of at least @id. */
static size_t rule_index(const struct vm *vm, uint32_t id)
{
	size_t low = 0, high = vm->n_rules;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (vm->rules[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct vm_rule *vm_find_rule(const struct vm *vm, uint32_t id)
{
	size_t i = rule_index(vm, id);

	return i < vm->n_rules && vm->rules[i].id == id ? &vm->rules[i] : NULL;
}

struct vm_rule *vm_find_rule_by_name(const struct vm *vm, const char *name)
{
	for (size_t i = 0; i < vm->n_rules; i++)
		if (!vm->rules[i].orphan && streq(vm->rules[i].rule.name, name))
			return &vm->rules[i];
	return NULL;
}

const char *vm_rule_name(const struct vm *vm, uint32_t id)
{
	const struct vm_rule *rule = vm_find_rule(vm, id);

	if (rule)
		return rule->rule.name;
	for (size_t i = 0; vm->retired && i < VM_MAX_RETIRED; i++)
		if (vm->retired[i].id == id)
			return vm->retired[i].name;
	return "";
}

/* Without memory for it, late events have no name: no more is lost. */
static void retire(struct vm *vm, const struct vm_rule *rule)
{
	struct vm_retired *r;

	if (!vm->retired)
		vm->retired = calloc(VM_MAX_RETIRED, sizeof(*vm->retired));
	if (!vm->retired)
		return;
	r = &vm->retired[vm->n_retired++ % VM_MAX_RETIRED];
	r->id = rule->id;
	memcpy(r->name, rule->rule.name, sizeof(r->name));
}

struct vm_rule *vm_add_rule(struct vm *vm, uint32_t id)
{
	size_t i = rule_index(vm, id);
	struct vm_rule *rules;

	rules = vm->rules;
	if (vm->n_rules == vm->room_rules) {
		size_t room = vm->room_rules ? 2 * vm->room_rules : 4;

		rules = reallocarray(rules, room, sizeof(*rules));
		if (!rules)
			return NULL;
		vm->rules = rules;
		vm->room_rules = room;
	}
	memmove(&rules[i + 1], &rules[i], (vm->n_rules - i) * sizeof(*rules));
	vm->n_rules++;
	memset(&rules[i], 0, sizeof(rules[i]));
	rules[i].id = id;
	return &rules[i];
}

void vm_remove_rule(struct vm *vm, uint32_t id)
{
	const struct vm_rule *rule = vm_find_rule(vm, id);

	if (rule)
		retire(vm, rule);
	vm_withdraw_rule(vm, id);
}

void vm_withdraw_rule(struct vm *vm, uint32_t id)
{
	size_t i = rule_index(vm, id);

	if (i >= vm->n_rules || vm->rules[i].id != id)
		return;
	free(vm->rules[i].rule.except);
	memmove(&vm->rules[i], &vm->rules[i + 1], (vm->n_rules - i - 1) * sizeof(*vm->rules));
	vm->n_rules--;
}

uint32_t vm_next_rule_id(struct vm *vm)
{
	while (vm->next_rule <= KVM_VMI_RULE_ID_MAX && vm_find_rule(vm, vm->next_rule))
		vm->next_rule++;
	return vm->next_rule <= KVM_VMI_RULE_ID_MAX ? vm->next_rule++ : 0;
}

uint64_t vm_cookie(uint64_t vm, const char *name)
{
	/* FNV-1a, 64 bits, over the id's bytes and the name's. */
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (int i = 0; i < 8; i++)
		hash = (hash ^ (vm >> (8 * i) & 0xff)) * 0x100000001b3ULL;
	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3ULL;
	return hash ? hash : 1;
}

/* Index of the first VM with an id of at least @id. */
static size_t table_index(const struct vm_table *t, uint64_t id)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (t->vms[mid]->info.id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct vm *vm_table_find(const struct vm_table *t, uint64_t id)
{
	size_t i = table_index(t, id);

	return i < t->n && t->vms[i]->info.id == id ? t->vms[i] : NULL;
}

int vm_table_add(struct vm_table *t, struct vm *vm)
{
	size_t i = table_index(t, vm->info.id);
	struct vm **vms;

	if (i < t->n && t->vms[i]->info.id == vm->info.id)
		return -EEXIST;
	if (t->n >= MERLON_MAX_VMS)
		return -ENOSPC;
	vms = reallocarray(t->vms, t->n + 1, sizeof(*vms));
	if (!vms)
		return -ENOMEM;
	t->vms = vms;
	memmove(&vms[i + 1], &vms[i], (t->n - i) * sizeof(*vms));
	vms[i] = vm;
	t->n++;
	return 0;
}

void vm_table_remove(struct vm_table *t, uint64_t id)
{
	size_t i = table_index(t, id);

	if (i >= t->n || t->vms[i]->info.id != id)
		return;
	vm_free(t->vms[i]);
	memmove(&t->vms[i], &t->vms[i + 1], (t->n - i - 1) * sizeof(*t->vms));
	t->n--;
}

void vm_table_done(struct vm_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		vm_free(t->vms[i]);
	free(t->vms);
	*t = (struct vm_table) { 0 };
}

enum vm_resolve vm_table_resolve(const struct vm_table *t, const char *what, struct vm **ret,
				 char *reterr_ids, size_t size)
{
	struct vm *found = NULL;
	size_t n = 0, len = 0;
	uint64_t id = 0;
	bool is_id;

	if (what[0] == '#') {
		found = parse_u64(what + 1, &id) >= 0 ? vm_table_find(t, id) : NULL;
		if (!found)
			return VM_NONE;
		*ret = found;
		return VM_FOUND;
	}
	if (!what[0])
		return VM_NONE;

	is_id = parse_u64(what, &id) >= 0;
	if (size)
		reterr_ids[0] = 0;
	for (size_t i = 0; i < t->n; i++) {
		struct vm *vm = t->vms[i];

		if (!(is_id && vm->info.id == id) && !streq(vm->identity.name, what) &&
		    !(vm->identity.uuid[0] && strcasecmp(vm->identity.uuid, what) == 0))
			continue;
		found = vm;
		n++;
		/* Hundreds of VMs may claim one name; a few ids are an answer. */
		if (len < size)
			len += (size_t)snprintf(reterr_ids + len, size - len, "%s#%llu",
						n > 1 ? ", " : "",
						(unsigned long long)vm->info.id);
	}
	if (!n)
		return VM_NONE;
	if (n > 1)
		return VM_AMBIGUOUS;
	*ret = found;
	return VM_FOUND;
}
