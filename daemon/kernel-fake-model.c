// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel that tests play. */
#include "kernel-fake-model.h"
#include "util/util.h"

struct fake_vm *fake_find(struct fake_model *model, uint64_t id)
{
	for (size_t i = 0; i < model->n_vms; i++)
		if (model->vms[i].info.id == id)
			return &model->vms[i];
	return NULL;
}

struct fake_vm *fake_next(struct fake_model *model, uint64_t after)
{
	for (size_t i = 0; i < model->n_vms; i++)
		if (model->vms[i].info.id > after)
			return &model->vms[i];
	return NULL;
}

int fake_add(struct fake_model *model, const struct kvm_vmi_vm_info *info)
{
	struct fake_vm *vms;
	size_t i = 0;

	if (fake_find(model, info->id))
		return -EEXIST;
	vms = reallocarray(model->vms, model->n_vms + 1, sizeof(*vms));
	if (!vms)
		return -ENOMEM;
	model->vms = vms;
	while (i < model->n_vms && vms[i].info.id < info->id)
		i++;
	memmove(&vms[i + 1], &vms[i], (model->n_vms - i) * sizeof(*vms));
	vms[i] = (struct fake_vm) { .info = *info };
	model->n_vms++;
	return 0;
}

static void vm_done(struct fake_vm *vm)
{
	free(vm->rules);
	free(vm->ranges);
	free(vm->pins);
}

void fake_remove(struct fake_model *model, uint64_t id)
{
	struct fake_vm *vm = fake_find(model, id);
	size_t i;

	if (!vm)
		return;
	i = (size_t)(vm - model->vms);
	vm_done(vm);
	memmove(vm, vm + 1, (model->n_vms - i - 1) * sizeof(*vm));
	model->n_vms--;
}

/* Of the table by which the CPU checks: its root, and what the first region needs. */
#define TABLE_BYTES (4 * 4096)

struct kvm_vmi_vm_info fake_info(const struct fake_model *model, const struct fake_vm *vm)
{
	struct kvm_vmi_vm_info info = vm->info;

	if (model->abi < 2) {
		info.flags &= ~KVM_VMI_VM_ENGINE_FIXED;
		info.engine = info.engine_wanted = 0;
		info.table_bytes = 0;
	} else if (!(info.flags & KVM_VMI_VM_ENGINE_FIXED)) {
		info.engine = model->hardware && info.engine_wanted != KVM_VMI_ENGINE_SOFTWARE ?
			      KVM_VMI_ENGINE_HARDWARE : KVM_VMI_ENGINE_SOFTWARE;
	}
	return info;
}

int fake_set_engine(const struct fake_model *model, struct fake_vm *vm, uint32_t engine)
{
	if (model->abi < 2)
		return -ENOSYS;
	if (engine >= KVM_VMI_NR_ENGINES)
		return -EINVAL;
	if (engine == KVM_VMI_ENGINE_HARDWARE && !model->hardware)
		return -EOPNOTSUPP;
	if (vm->info.flags & KVM_VMI_VM_ENGINE_FIXED)
		return -EBUSY;
	vm->info.engine_wanted = engine;
	return 0;
}

struct kvm_vmi_rule_info *fake_rule(struct fake_vm *vm, uint32_t id)
{
	for (size_t i = 0; i < vm->n_rules; i++)
		if (vm->rules[i].rule.id == id)
			return &vm->rules[i];
	return NULL;
}

int fake_set_rules(struct fake_vm *vm, const struct kvm_vmi_rule *rules, size_t n)
{
	const uint32_t either = KVM_VMI_RULE_UPDATE | KVM_VMI_RULE_DISARMED;
	struct kvm_vmi_rule_info *grown;
	size_t fresh = 0;

	if (!n || n > KVM_VMI_MAX_BATCH)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!rules[i].id || rules[i].id > KVM_VMI_RULE_ID_MAX ||
		    (rules[i].flags & either) == either)
			return -EINVAL;
		if (fake_rule(vm, rules[i].id))
			continue;
		if (rules[i].flags & KVM_VMI_RULE_UPDATE)
			return -ENOENT;
		fresh++;
	}
	if (vm->n_rules + fresh > KVM_VMI_MAX_RULES)
		return -ENOSPC;
	grown = reallocarray(vm->rules, vm->n_rules + n, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	vm->rules = grown;
	for (size_t i = 0; i < n; i++) {
		struct kvm_vmi_rule_info *old = fake_rule(vm, rules[i].id);
		size_t at = 0;

		if (old) {
			uint32_t flags = rules[i].flags;

			if (flags & KVM_VMI_RULE_UPDATE)
				flags = (flags & ~KVM_VMI_RULE_UPDATE) |
					(old->rule.flags & KVM_VMI_RULE_DISARMED);
			old->rule = rules[i];
			old->rule.flags = flags;
			continue;
		}
		while (at < vm->n_rules && vm->rules[at].rule.id < rules[i].id)
			at++;
		memmove(&grown[at + 1], &grown[at], (vm->n_rules - at) * sizeof(*grown));
		grown[at] = (struct kvm_vmi_rule_info) { .rule = rules[i] };
		vm->n_rules++;
	}
	vm->info.rules = (uint32_t)vm->n_rules;
	return 0;
}

static struct kvm_vmi_pin *find_pin(struct fake_vm *vm, uint32_t rule)
{
	for (size_t i = 0; i < vm->n_pins; i++)
		if (vm->pins[i].rule == rule)
			return &vm->pins[i];
	return NULL;
}

static void drop_pin(struct fake_vm *vm, uint32_t rule)
{
	struct kvm_vmi_pin *pin = find_pin(vm, rule);

	if (pin)
		*pin = vm->pins[--vm->n_pins];
}

int fake_clear_rule(struct fake_vm *vm, uint32_t id)
{
	struct kvm_vmi_rule_info *rule;
	size_t kept = 0;

	if (!id) {
		vm->n_rules = vm->n_ranges = vm->n_pins = vm->info.rules = 0;
		return 0;
	}
	rule = fake_rule(vm, id);
	if (!rule)
		return -ENOENT;
	memmove(rule, rule + 1, (size_t)(vm->rules + vm->n_rules - rule - 1) * sizeof(*rule));
	vm->info.rules = (uint32_t)--vm->n_rules;
	for (size_t i = 0; i < vm->n_ranges; i++)
		if (vm->ranges[i].rule != id)
			vm->ranges[kept++] = vm->ranges[i];
	vm->n_ranges = kept;
	drop_pin(vm, id);
	return 0;
}

static int add_range(struct fake_vm *vm, const struct kvm_vmi_range *range)
{
	struct kvm_vmi_range *grown;

	if (!range->nr)
		return 0;
	grown = reallocarray(vm->ranges, vm->n_ranges + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	vm->ranges = grown;
	grown[vm->n_ranges++] = *range;
	return 0;
}

/* A rule's older claims on these frames go: what they cover on either side stays. */
static int replace_range(struct fake_vm *vm, const struct kvm_vmi_range *range)
{
	uint64_t from = range->gfn, to = range->gfn + range->nr;

	for (size_t i = 0; i < vm->n_ranges; i++) {
		struct kvm_vmi_range *old = &vm->ranges[i], tail = *old;
		uint64_t end = old->gfn + old->nr;
		int r;

		if (old->rule != range->rule || old->gfn >= to || end <= from)
			continue;
		old->nr = old->gfn < from ? from - old->gfn : 0;
		tail.gfn = to;
		tail.nr = end > to ? end - to : 0;
		r = add_range(vm, &tail);
		if (r < 0)
			return r;
	}
	return add_range(vm, range);
}

/* Of an Intel CPU with all that there is, if the kernel knows of rights at all. */
static bool can_enforce(const struct fake_model *model, uint32_t rights)
{
	return rights == KVM_VMI_RIGHT_ALL || model->abi >= FAKE_ABI_EXECUTE;
}

int fake_set_access(const struct fake_model *model, struct fake_vm *vm,
		    const struct kvm_vmi_range *ranges, size_t n)
{
	uint64_t limit = 1ULL << (vm->info.maxphyaddr - 12);

	if (!n || n > KVM_VMI_MAX_BATCH)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!ranges[i].nr || ranges[i].rights & ~KVM_VMI_RIGHT_ALL ||
		    (ranges[i].write && !(ranges[i].rights & KVM_VMI_RIGHT_READ)))
			return -EINVAL;
		if (!can_enforce(model, ranges[i].rights))
			return -EOPNOTSUPP;
		if (ranges[i].gfn >= limit || ranges[i].nr > limit - ranges[i].gfn)
			return -ERANGE;
		if (!fake_rule(vm, ranges[i].rule))
			return -ENOENT;
	}
	vm->info.engine = fake_info(model, vm).engine;
	vm->info.flags |= KVM_VMI_VM_ENGINE_FIXED;
	if (vm->info.engine == KVM_VMI_ENGINE_HARDWARE)
		vm->info.table_bytes = TABLE_BYTES;
	for (size_t i = 0; i < n; i++) {
		int r = replace_range(vm, &ranges[i]);

		if (r < 0)
			return r;
	}
	vm->info.map_entries = vm->n_ranges;
	return 0;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct kvm_vmi_range *x = a, *y = b;

	return (x->gfn > y->gfn) - (x->gfn < y->gfn);
}

int fake_get_access(const struct fake_vm *vm, uint64_t gfn,
		    struct kvm_vmi_range ret[static KVM_VMI_MAX_BATCH])
{
	_cleanup_free_ struct kvm_vmi_range *sorted = calloc(vm->n_ranges + 1, sizeof(*sorted));
	int n = 0;

	if (!sorted)
		return -ENOMEM;
	if (!vm->n_ranges)
		return 0;
	memcpy(sorted, vm->ranges, vm->n_ranges * sizeof(*sorted));
	qsort(sorted, vm->n_ranges, sizeof(*sorted), compare_ranges);
	for (size_t i = 0; i < vm->n_ranges && n < KVM_VMI_MAX_BATCH; i++)
		if (sorted[i].nr && sorted[i].gfn + sorted[i].nr > gfn)
			ret[n++] = sorted[i];
	return n;
}

int fake_set_pin(const struct fake_model *model, struct fake_vm *vm,
		 const struct kvm_vmi_pin *pin)
{
	struct kvm_vmi_pin *p;

	if (model->abi < FAKE_ABI_PIN)
		return -ENOSYS;
	if (pin->cr0 & ~KVM_VMI_PIN_CR0 || pin->cr4 & ~KVM_VMI_PIN_CR4 ||
	    pin->efer & ~KVM_VMI_PIN_EFER || pin->reserved)
		return -EINVAL;
	if (!fake_rule(vm, pin->rule))
		return -ENOENT;
	drop_pin(vm, pin->rule);
	if (!pin->cr0 && !pin->cr4 && !pin->efer)
		return 0;
	p = reallocarray(vm->pins, vm->n_pins + 1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	vm->pins = p;
	p[vm->n_pins++] = *pin;
	return 0;
}

int fake_get_pin(const struct fake_model *model, struct fake_vm *vm, uint32_t rule,
		 struct kvm_vmi_pin *ret)
{
	const struct kvm_vmi_pin *pin = find_pin(vm, rule);

	if (model->abi < FAKE_ABI_PIN)
		return -ENOSYS;
	if (!fake_rule(vm, rule))
		return -ENOENT;
	*ret = pin ? *pin : (struct kvm_vmi_pin) { .rule = rule };
	return 0;
}

struct fake_answer *fake_answer(const struct fake_model *model, uint64_t cookie)
{
	for (size_t i = 0; i < model->n_answers; i++)
		if (model->answers[i].cookie == cookie)
			return &model->answers[i];
	return NULL;
}

int fake_set_answer(struct fake_model *model, uint64_t cookie, uint32_t answer)
{
	struct fake_answer *a = fake_answer(model, cookie);

	if (!a) {
		a = reallocarray(model->answers, model->n_answers + 1, sizeof(*a));
		if (!a)
			return -ENOMEM;
		model->answers = a;
		a += model->n_answers++;
	}
	*a = (struct fake_answer) { .cookie = cookie, .answer = answer };
	return 0;
}

int fake_clear_answer(struct fake_model *model, uint64_t cookie)
{
	struct fake_answer *a = fake_answer(model, cookie);

	if (!a)
		return -ENOENT;
	*a = model->answers[--model->n_answers];
	return 0;
}

int fake_execute(const struct fake_model *model, struct fake_vm *vm, uint32_t rule, uint64_t gpa)
{
	const struct kvm_vmi_range page = {
		.gfn = gpa >> 12, .nr = 1, .rule = rule, .write = KVM_VMI_WRITE_ALL,
		.rights = KVM_VMI_RIGHT_ALL,
	};
	struct kvm_vmi_rule_info *info = fake_rule(vm, rule);
	const struct fake_answer *answer = info ? fake_answer(model, info->rule.cookie) : NULL;
	bool claimed = false;
	int r;

	for (size_t i = 0; i < vm->n_ranges; i++)
		claimed |= vm->ranges[i].rule == rule && page.gfn >= vm->ranges[i].gfn &&
			   page.gfn - vm->ranges[i].gfn < vm->ranges[i].nr;
	if (!claimed)
		return -ENOENT;
	info->violations++;
	if (!answer || answer->answer != MERLON_ANSWER_LEARN) {
		info->denied++;
		return 0;
	}
	/* A claim that restricts nothing is none. */
	r = replace_range(vm, &page);
	if (r < 0)
		return r;
	vm->n_ranges--;
	info->allowed++;
	info->granted++;
	return 1;
}

/* kill > exit > hold > deny > skip > allow */
static int strictness(unsigned int action)
{
	static const int order[KVM_VMI_NR_VERDICTS] = {
		[KVM_VMI_DEFAULT] = 3, [KVM_VMI_ALLOW] = 1, [KVM_VMI_SKIP] = 2,
		[KVM_VMI_DENY] = 3, [KVM_VMI_HOLD] = 4, [KVM_VMI_EXIT] = 5, [KVM_VMI_KILL] = 6,
	};

	return action < KVM_VMI_NR_VERDICTS ? order[action] : 0;
}

struct kvm_vmi_rule_info *fake_denies(struct fake_vm *vm, uint64_t gpa, uint64_t length)
{
	struct kvm_vmi_rule_info *best = NULL;

	for (size_t i = 0; i < vm->n_ranges; i++) {
		const struct kvm_vmi_range *range = &vm->ranges[i];
		struct kvm_vmi_rule_info *rule = fake_rule(vm, range->rule);
		bool denied = false;

		if (!rule || rule->rule.flags & KVM_VMI_RULE_DISARMED)
			continue;
		for (uint64_t sub = gpa >> KVM_VMI_SUBPAGE_SHIFT;
		     sub <= (gpa + length - 1) >> KVM_VMI_SUBPAGE_SHIFT; sub++) {
			uint64_t gfn = sub / 32;

			denied |= gfn >= range->gfn && gfn < range->gfn + range->nr &&
				  !(range->write & 1U << (sub % 32));
		}
		if (!denied)
			continue;
		if (!best || strictness(rule->rule.action[0]) > strictness(best->rule.action[0]) ||
		    (strictness(rule->rule.action[0]) == strictness(best->rule.action[0]) &&
		     rule->rule.id < best->rule.id))
			best = rule;
	}
	return best;
}

struct kvm_vmi_rule_info *fake_keeps(struct fake_vm *vm, uint32_t reg, uint64_t old,
				     uint64_t new)
{
	struct kvm_vmi_rule_info *best = NULL;

	for (size_t i = 0; i < vm->n_pins; i++) {
		const struct kvm_vmi_pin *pin = &vm->pins[i];
		struct kvm_vmi_rule_info *rule = fake_rule(vm, pin->rule);
		uint64_t bits = reg == 0 ? pin->cr0 : reg == 4 ? pin->cr4 : pin->efer;

		if (!rule || rule->rule.flags & KVM_VMI_RULE_DISARMED || !(bits & old & ~new))
			continue;
		if (!best || strictness(rule->rule.action[0]) > strictness(best->rule.action[0]) ||
		    (strictness(rule->rule.action[0]) == strictness(best->rule.action[0]) &&
		     rule->rule.id < best->rule.id))
			best = rule;
	}
	return best;
}

struct file_head {
	uint64_t n_vms;
	uint32_t admission;
	uint32_t admission_ms;
	uint32_t hardware;
	uint32_t abi;
	uint64_t n_answers;
};

struct file_vm {
	struct kvm_vmi_vm_info info;
	struct merlon_vm_counters counters;
	uint64_t n_rules;
	uint64_t n_ranges;
	uint64_t n_pins;
};

static bool put(const void *items, size_t size, size_t n, FILE *f)
{
	return !n || fwrite(items, size, n, f) == n;
}

int fake_save(const struct fake_model *model, const char *path)
{
	_cleanup_free_ char *tmp = NULL;
	struct file_head head = { model->n_vms, model->admission, model->admission_ms,
				  model->hardware, model->abi, model->n_answers };
	bool ok;
	FILE *f;

	if (asprintf(&tmp, "%s.tmp", path) < 0)
		return -ENOMEM;
	f = fopen(tmp, "we");
	if (!f)
		return -errno;
	ok = fwrite(&head, sizeof(head), 1, f) == 1 &&
	     put(model->answers, sizeof(*model->answers), model->n_answers, f);
	for (size_t i = 0; ok && i < model->n_vms; i++) {
		const struct fake_vm *vm = &model->vms[i];
		struct file_vm v = { vm->info, vm->counters, vm->n_rules, vm->n_ranges,
				     vm->n_pins };

		ok = fwrite(&v, sizeof(v), 1, f) == 1 &&
		     put(vm->rules, sizeof(*vm->rules), vm->n_rules, f) &&
		     put(vm->ranges, sizeof(*vm->ranges), vm->n_ranges, f) &&
		     put(vm->pins, sizeof(*vm->pins), vm->n_pins, f);
	}
	ok = fclose(f) == 0 && ok;
	if (!ok || rename(tmp, path) < 0)
		return -EIO;
	return 0;
}

static bool read_vm(struct fake_vm *vm, FILE *f)
{
	struct file_vm v;

	if (fread(&v, sizeof(v), 1, f) != 1)
		return false;
	vm->info = v.info;
	vm->counters = v.counters;
	vm->rules = calloc(v.n_rules + 1, sizeof(*vm->rules));
	vm->ranges = calloc(v.n_ranges + 1, sizeof(*vm->ranges));
	vm->pins = calloc(v.n_pins + 1, sizeof(*vm->pins));
	if (!vm->rules || !vm->ranges || !vm->pins)
		return false;
	vm->n_rules = v.n_rules;
	vm->n_ranges = v.n_ranges;
	vm->n_pins = v.n_pins;
	return fread(vm->rules, sizeof(*vm->rules), vm->n_rules, f) == vm->n_rules &&
	       fread(vm->ranges, sizeof(*vm->ranges), vm->n_ranges, f) == vm->n_ranges &&
	       fread(vm->pins, sizeof(*vm->pins), vm->n_pins, f) == vm->n_pins;
}

int fake_load(struct fake_model *model, const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	struct file_head head;

	if (!f)
		return -errno;
	if (fread(&head, sizeof(head), 1, f) != 1)
		return -EBADMSG;
	model->vms = calloc(head.n_vms + 1, sizeof(*model->vms));
	model->answers = calloc(head.n_answers + 1, sizeof(*model->answers));
	if (!model->vms || !model->answers)
		return -ENOMEM;
	model->n_answers = fread(model->answers, sizeof(*model->answers), head.n_answers, f);
	if (model->n_answers != head.n_answers)
		return -EBADMSG;
	model->admission = head.admission;
	model->admission_ms = head.admission_ms;
	model->hardware = head.hardware;
	model->abi = head.abi;
	for (; model->n_vms < head.n_vms; model->n_vms++)
		if (!read_vm(&model->vms[model->n_vms], f))
			return -EBADMSG;
	return 0;
}

void fake_done(struct fake_model *model)
{
	for (size_t i = 0; i < model->n_vms; i++)
		vm_done(&model->vms[i]);
	free(model->vms);
	free(model->answers);
	*model = (struct fake_model) { 0 };
}
