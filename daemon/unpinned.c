// SPDX-License-Identifier: GPL-2.0-or-later
/* Pinned bits that CPUs of a guest leave clear. */
#include "inventory.h"
#include "log.h"
#include "registers.h"
#include "unpinned.h"
#include "util/json.h"

static struct vm_unpinned *find(const struct vm *vm, uint32_t vcpu_id)
{
	for (size_t i = 0; i < vm->n_unpinned; i++)
		if (vm->unpinned[i].vcpu_id == vcpu_id)
			return &vm->unpinned[i];
	return NULL;
}

/* NULL when memory ran out. */
static struct vm_unpinned *find_or_add(struct vm *vm, uint32_t vcpu_id)
{
	struct vm_unpinned *u = find(vm, vcpu_id);

	if (u)
		return u;
	u = reallocarray(vm->unpinned, vm->n_unpinned + 1, sizeof(*u));
	if (!u)
		return NULL;
	vm->unpinned = u;
	u = &vm->unpinned[vm->n_unpinned++];
	*u = (struct vm_unpinned) { .vcpu_id = vcpu_id };
	return u;
}

static bool is_about(const struct vm_rule *rule, const uint64_t bits[static MERLON_REGISTER_MAX])
{
	if (rule->info.rule.flags & KVM_VMI_RULE_DISARMED)
		return false;
	for (int i = 0; i < MERLON_REGISTER_MAX; i++)
		if (rule->pinned[i] & bits[i])
			return true;
	return false;
}

/* Names of the rules that pin such bits, spaces between them; NULL: memory. */
static char *names_of_rules(const struct vm *vm, const uint64_t bits[static MERLON_REGISTER_MAX])
{
	const char *separator = "";
	char *s = NULL;
	size_t size;
	FILE *f = open_memstream(&s, &size);

	if (!f)
		return NULL;
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct vm_rule *rule = &vm->rules[i];

		if (!is_about(rule, bits))
			continue;
		if (rule->orphan)
			fprintf(f, "%s#%u", separator, rule->id);
		else
			fprintf(f, "%s%s", separator, rule->rule.name);
		separator = " ";
	}
	if (fclose(f) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

/* A guest can have this told each second and CPU: the log has each bit once until a reset. */
static void log_new(struct vm *vm, uint32_t vcpu_id,
		    const uint64_t bits[static MERLON_REGISTER_MAX],
		    const char words[static MERLON_REGISTER_MAX][REGISTERS_WORDS_MAX],
		    const char *rules)
{
	char text[MERLON_REGISTER_MAX * (REGISTERS_WORDS_MAX + 16)] = "";
	bool is_new = false;
	size_t len = 0;

	for (int i = 0; i < MERLON_REGISTER_MAX; i++) {
		is_new |= bits[i] & ~vm->unpinned_logged[i];
		vm->unpinned_logged[i] |= bits[i];
		if (*words[i])
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %s",
						len ? ", " : "",
						merlon_register_name((enum merlon_register)i),
						words[i]);
	}
	if (is_new)
		log_warning("VM #%llu: cpu %u runs and has pinned bits clear: %s (rules %s).",
			    (unsigned long long)vm->info.id, vcpu_id, text, rules ?: "?");
}

void unpinned_on_record(struct manager *m, const struct merlon_unpinned_record *record)
{
	struct vm *vm = vm_table_find(&m->vms, record->head.vm);
	const uint64_t bits[MERLON_REGISTER_MAX] = {
		[MERLON_REGISTER_CR0] = record->cr0,
		[MERLON_REGISTER_CR4] = record->cr4,
		[MERLON_REGISTER_EFER] = record->efer,
	};
	struct event event = {
		.kind = MERLON_EVENT_UNPINNED,
		.time = record->head.time,
		.vcpu = record->vcpu_id,
	};
	const char **const clear[MERLON_REGISTER_MAX] = {
		[MERLON_REGISTER_CR0] = &event.clear_cr0,
		[MERLON_REGISTER_CR4] = &event.clear_cr4,
		[MERLON_REGISTER_EFER] = &event.clear_efer,
	};
	char words[MERLON_REGISTER_MAX][REGISTERS_WORDS_MAX];
	_cleanup_free_ char *rules = NULL;
	struct vm_unpinned *u;

	if (!vm)
		return;
	/* Without memory status does not have it; the event goes out all the same. */
	u = find_or_add(vm, record->vcpu_id);
	if (u)
		memcpy(u->bits, bits, sizeof(u->bits));
	for (int i = 0; i < MERLON_REGISTER_MAX; i++)
		if (*registers_words((enum merlon_register)i, bits[i], words[i]))
			*clear[i] = words[i];
	rules = names_of_rules(vm, bits);
	event.rules = rules;
	log_new(vm, record->vcpu_id, bits, words, rules);
	inventory_emit(m, vm, &event);
}

/* False if that is to be all for now. */
static bool look(struct kernel *k, const struct vm *vm, struct vm_unpinned *u)
{
	struct kvm_vmi_regs regs;
	int r = k->ops->regs(k, vm->info.id, u->vcpu_id, &regs);

	if (r < 0)
		return r == -ENOENT;
	/* Not those that the rules are about. */
	if (regs.nested)
		return true;
	u->bits[MERLON_REGISTER_CR0] &= ~regs.cr0;
	u->bits[MERLON_REGISTER_CR4] &= ~regs.cr4;
	u->bits[MERLON_REGISTER_EFER] &= ~regs.efer;
	return true;
}

void unpinned_check(struct kernel *k, struct vm *vm)
{
	size_t n = 0;

	for (size_t i = 0; i < vm->n_unpinned; i++)
		if (!look(k, vm, &vm->unpinned[i]))
			break;
	for (size_t i = 0; i < vm->n_unpinned; i++) {
		const uint64_t *bits = vm->unpinned[i].bits;

		if (bits[MERLON_REGISTER_CR0] || bits[MERLON_REGISTER_CR4] ||
		    bits[MERLON_REGISTER_EFER])
			vm->unpinned[n++] = vm->unpinned[i];
	}
	vm->n_unpinned = n;
}

void unpinned_forget(struct vm *vm)
{
	vm->n_unpinned = 0;
	memset(vm->unpinned_logged, 0, sizeof(vm->unpinned_logged));
}

static int append_cpu(struct json_object *array, const struct vm_unpinned *u,
		      const struct vm_rule *rule)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	uint64_t bits[MERLON_REGISTER_MAX];
	int r;

	for (int i = 0; i < MERLON_REGISTER_MAX; i++)
		bits[i] = u->bits[i] & rule->pinned[i];
	r = o ? json_add_u64(o, "vcpu", u->vcpu_id) : -ENOMEM;
	if (r >= 0)
		r = registers_add_words(o, bits);
	return r < 0 ? r : json_append(array, TAKE_PTR(o));
}

int unpinned_to_json(struct json_object *o, const struct vm *vm, const struct vm_rule *rule)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < vm->n_unpinned; i++)
		if (is_about(rule, vm->unpinned[i].bits))
			r = append_cpu(array, &vm->unpinned[i], rule);
	if (r < 0 || json_object_array_length(array) == 0)
		return r;
	return json_add(o, MERLON_LEFT_CLEAR, TAKE_PTR(array));
}
