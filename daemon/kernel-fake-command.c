// SPDX-License-Identifier: GPL-2.0-or-later
/* The commands by which tests play what happens in the kernel. */
#include <inttypes.h>
#include <sys/eventfd.h>
#include <time.h>

#include "api/names.h"
#include "kernel-fake.h"
#include "util/util.h"

/* The value of "key=value" among @args, or @otherwise. */
static const char *option(char **args, const char *key, const char *otherwise)
{
	for (; *args; args++) {
		const char *value = startswith(*args, key);

		if (value && *value == '=')
			return value + 1;
	}
	return otherwise;
}

static bool word(char **args, const char *which)
{
	for (; *args; args++)
		if (streq(*args, which))
			return true;
	return false;
}

static uint64_t number(const char *s)
{
	return s ? strtoull(s, NULL, 0) : 0;
}

/* As the kernel knows it: /proc/PID/stat in the middle of its clock tick. */
static uint64_t start_of(uint64_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long ticks = 0;
	char path[64], buf[1024], *p;
	int i;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(buf, sizeof(buf), f))
		return 0;
	p = strrchr(buf, ')');
	for (i = 2; p && i < 22; i++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, " %llu", &ticks) != 1)
		return 0;
	return ticks * 10000000ULL + 5000000;
}

static int do_vm(struct fake *f, char **args)
{
	struct kvm_vmi_vm_info info = {
		.id = number(args[0]),
		.pid = args[0] ? (uint32_t)number(args[1]) : 0,
		.uid = (uint32_t)number(option(args, "uid", "0")),
		.vcpus = (uint32_t)number(option(args, "vcpus", "1")),
		.maxphyaddr = (uint32_t)number(option(args, "maxphyaddr", "46")),
		.flags = (word(args, "pending") ? KVM_VMI_VM_PENDING : 0) |
			 (word(args, "unsupported") ? KVM_VMI_VM_UNSUPPORTED : 0),
	};
	const char *start = option(args, "start", "auto");
	int r;

	if (!info.id || info.maxphyaddr < 32 || info.maxphyaddr > 52)
		return -EINVAL;
	info.start_time = streq(start, "auto") ? start_of(info.pid) : number(start);
	r = fake_add(&f->model, &info);
	if (r >= 0)
		fake_push_vm(f, fake_find(&f->model, info.id), MERLON_RECORD_VM_CREATED);
	return r;
}

static void do_reset(struct fake *f, struct fake_vm *vm)
{
	vm->info.generation++;
	fake_push_vm(f, vm, MERLON_RECORD_VM_RESET);
	for (size_t i = 0; i < vm->n_rules; i++) {
		struct kvm_vmi_rule *rule = &vm->rules[i].rule;

		if (rule->on_reset == KVM_VMI_RESET_DISARM &&
		    !(rule->flags & KVM_VMI_RULE_DISARMED)) {
			rule->flags |= KVM_VMI_RULE_DISARMED;
			fake_push_notice(f, vm, MERLON_RECORD_RULE_DISARMED, rule->id);
		}
	}
}

/* What becomes of what @rule denies; counted, and told as an answer. */
static uint32_t judge(struct kvm_vmi_rule_info *rule, FILE *out)
{
	uint32_t verdict = rule->rule.action[KVM_VMI_ACTION_WRITE];

	if (rule->rule.flags & KVM_VMI_RULE_MONITOR)
		verdict = KVM_VMI_ALLOW;
	rule->violations++;
	if (verdict == KVM_VMI_ALLOW)
		rule->allowed++;
	else if (verdict == KVM_VMI_SKIP)
		rule->skipped++;
	else
		rule->denied++;
	fprintf(out, " %s %u", verdict == KVM_VMI_ALLOW ? "allowed" : "denied", rule->rule.id);
	return verdict;
}

static int do_write(struct fake *f, struct fake_vm *vm, char **args, FILE *out)
{
	uint64_t gpa = number(args[1]), length = number(args[2]);
	struct kvm_vmi_rule_info *rule;

	rule = length ? fake_denies(vm, gpa, length) : NULL;
	if (!rule) {
		fputs(" allowed", out);
		return 0;
	}
	fake_push_access(f, vm, gpa, rule->rule.id, KVM_VMI_WRITE, judge(rule, out), 0);
	return 0;
}

static int do_load(struct fake *f, struct fake_vm *vm, char **args, FILE *out)
{
	struct kvm_vmi_violation v = { .kind = KVM_VMI_CR };
	struct kvm_vmi_rule_info *rule;

	if (!args[1] || !args[2] || !args[3])
		return -EINVAL;
	if (streq(args[1], "cr4")) {
		v.reg = 4;
	} else if (streq(args[1], "efer")) {
		v.reg = 0xc0000080;
		v.kind = KVM_VMI_EFER;
	} else if (!streq(args[1], "cr0")) {
		return -EINVAL;
	}
	v.old = number(args[2]);
	v.new = number(args[3]);
	rule = fake_keeps(vm, v.reg, v.old, v.new);
	if (!rule) {
		fputs(" allowed", out);
		return 0;
	}
	v.rule = rule->rule.id;
	fake_push_violation(f, vm, &v, judge(rule, out), 0);
	return 0;
}

/* What a rule pins; or nothing any more, as if merlond had not come that far. */
static int do_pins(const struct fake *f, struct fake_vm *vm, char **args, FILE *out)
{
	struct kvm_vmi_pin pin = { .rule = args[1] ? (uint32_t)number(args[1]) : 0 };
	int r;

	if (!out)
		return fake_set_pin(&f->model, vm, &pin);
	r = fake_get_pin(&f->model, vm, pin.rule, &pin);
	if (r >= 0)
		fprintf(out, " %#llx %#llx %#llx", (unsigned long long)pin.cr0,
			(unsigned long long)pin.cr4, (unsigned long long)pin.efer);
	return r;
}

/* As if merlond had died before it set them. */
static void do_unclaim(struct fake *f, struct fake_vm *vm, char **args)
{
	uint64_t rule = number(args[1]);

	for (size_t i = vm->n_ranges; i-- > 0;)
		if (vm->ranges[i].rule == rule)
			vm->ranges[i] = vm->ranges[--vm->n_ranges];
	fake_persist(f);
}

static int do_unpinned(struct fake *f, struct fake_vm *vm, char **args)
{
	uint64_t n = number(option(args, "n", "1"));

	for (size_t i = 1; i <= 4; i++)
		if (!args[i])
			return -EINVAL;
	while (n--)
		fake_push_unpinned(f, vm, (uint32_t)number(args[1]), number(args[2]),
				   number(args[3]), number(args[4]));
	return 0;
}

/* What a CPU has in its registers, in place of what it had. */
static int do_cpu(struct fake *f, const struct fake_vm *vm, char **args)
{
	struct fake_cpu cpu = { .vm = vm->info.id };
	size_t i;

	for (i = 1; i <= 4; i++)
		if (!args[i])
			return -EINVAL;
	cpu.vcpu_id = (uint32_t)number(args[1]);
	cpu.cr0 = number(args[2]);
	cpu.cr4 = number(args[3]);
	cpu.efer = number(args[4]);
	cpu.nested = word(args, "nested");
	for (i = 0; i < f->n_cpus; i++)
		if (f->cpus[i].vm == cpu.vm && f->cpus[i].vcpu_id == cpu.vcpu_id)
			break;
	if (i == ARRAY_SIZE(f->cpus))
		return -ENOSPC;
	if (i == f->n_cpus)
		f->n_cpus++;
	f->cpus[i] = cpu;
	return 0;
}

/* For which reasons siblings are kicked, or shall be. */
static int do_kick(struct fake *f, const struct fake_vm *vm, char **args, FILE *out)
{
	struct kvm_isolation_stats stats;
	int r = 0;

	if (args[1])
		r = fake_isolation_set_kick(&f->isolation, vm->info.id, (uint32_t)number(args[1]));
	if (r >= 0)
		r = fake_isolation_stats(&f->isolation, vm->info.id, &stats);
	if (r >= 0)
		fprintf(out, " %#x", stats.kick);
	return r;
}

static int do_violation(struct fake *f, struct fake_vm *vm, char **args)
{
	uint64_t n = number(option(args, "n", "1"));
	int verdict = merlon_verdict_from_name(option(args, "verdict", "deny"));
	uint32_t kind = (uint32_t)number(option(args, "kind", "1"));
	size_t less = (size_t)number(option(args, "less", "0"));

	if (!args[1] || !args[2] || verdict < 0 ||
	    less > sizeof(struct merlon_violation_record) - sizeof(struct merlon_record))
		return -EINVAL;
	while (n--)
		fake_push_access(f, vm, number(args[1]), (uint32_t)number(args[2]), kind,
				 (uint32_t)verdict, less);
	return 0;
}

static int do_orphan(const struct fake *f, struct fake_vm *vm, char **args)
{
	struct kvm_vmi_rule rule = { .id = args[1] ? (uint32_t)number(args[1]) : 0 };
	struct kvm_vmi_range range = {
		.gfn = rule.id ? number(args[2]) : 0, .nr = 1, .rule = rule.id,
		.rights = KVM_VMI_RIGHT_ALL,
	};
	int r = fake_set_rules(vm, &rule, 1);

	return r < 0 ? r : fake_set_access(&f->model, vm, &range, 1);
}

/* What was called for a VM, which is forgotten then. */
static void do_calls(struct fake *f, uint64_t vm, FILE *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->n_calls; i++) {
		if (f->calls[i].vm == vm)
			fprintf(out, " %s:%u", f->calls[i].operation, f->calls[i].rule);
		else
			f->calls[kept++] = f->calls[i];
	}
	f->n_calls = kept;
}

static int do_fail(struct fake *f, char **args)
{
	struct fault *found = NULL;

	if (!args[0] || !args[1])
		return -EINVAL;
	/* Of one operation, what is said last counts. */
	for (size_t i = 0; i < ARRAY_SIZE(f->faults); i++) {
		struct fault *fault_i = &f->faults[i];

		if (fault_i->n && streq(fault_i->operation, args[0])) {
			found = fault_i;
			break;
		}
		if (!fault_i->n && !found)
			found = fault_i;
	}
	if (!found)
		return -EINVAL;
	snprintf(found->operation, sizeof(found->operation), "%s", args[0]);
	found->error = (int)number(args[1]);
	found->n = args[2] ? (unsigned int)number(args[2]) : 1;
	return 0;
}

/* Commands about a VM that is there. */
static int do_with_vm(struct fake *f, const char *command, struct fake_vm *vm, char **args,
		      FILE *out)
{
	if (streq(command, "gone")) {
		fake_push_end(f, vm);
		fake_remove(&f->model, vm->info.id);
	} else if (streq(command, "reset")) {
		do_reset(f, vm);
	} else if (streq(command, "kill")) {
		vm->info.flags |= KVM_VMI_VM_DEAD;
		fake_push_notice(f, vm, MERLON_RECORD_VM_KILLED, 0);
	} else if (streq(command, "expire")) {
		vm->info.flags = (vm->info.flags & ~KVM_VMI_VM_PENDING) | KVM_VMI_VM_EXPIRED;
		fake_push_notice(f, vm, MERLON_RECORD_VM_EXPIRED, 0);
	} else if (streq(command, "violation")) {
		return do_violation(f, vm, args);
	} else if (streq(command, "write")) {
		return args[1] && args[2] ? do_write(f, vm, args, out) : -EINVAL;
	} else if (streq(command, "load")) {
		return do_load(f, vm, args, out);
	} else if (streq(command, "pins")) {
		return do_pins(f, vm, args, out);
	} else if (streq(command, "unpin")) {
		return do_pins(f, vm, args, NULL);
	} else if (streq(command, "unclaim")) {
		do_unclaim(f, vm, args);
	} else if (streq(command, "unpinned")) {
		return do_unpinned(f, vm, args);
	} else if (streq(command, "cpu")) {
		return do_cpu(f, vm, args);
	} else if (streq(command, "execute")) {
		int r = args[1] && args[2] ? fake_execute(&f->model, vm, (uint32_t)number(args[1]),
							  number(args[2])) : -EINVAL;

		if (r < 0)
			return r;
		fputs(r ? " learned" : " denied", out);
	} else if (streq(command, "isolated")) {
		return fake_isolated_command(&f->isolation, vm->info.id, args + 1);
	} else if (streq(command, "kick")) {
		return do_kick(f, vm, args, out);
	} else if (streq(command, "orphan")) {
		return do_orphan(f, vm, args);
	} else if (streq(command, "engine")) {
		struct kvm_vmi_vm_info info = fake_info(&f->model, vm);

		fprintf(out, " %s %s%s", merlon_engine_name(info.engine_wanted),
			merlon_engine_name(info.engine),
			info.flags & KVM_VMI_VM_ENGINE_FIXED ? " settled" : "");
	} else if (streq(command, "calls")) {
		do_calls(f, vm->info.id, out);
	} else if (streq(command, "rules")) {
		for (size_t i = 0; i < vm->n_rules; i++)
			fprintf(out, " %u:%u:%u:%llx", vm->rules[i].rule.id,
				vm->rules[i].rule.flags, vm->rules[i].rule.action[0],
				(unsigned long long)vm->rules[i].rule.cookie);
	} else {
		return -EOPNOTSUPP;
	}
	return 0;
}

int fake_command(struct fake *f, char *line, FILE *out)
{
	char *args[16] = { NULL }, *save = NULL;
	struct fake_vm *vm;
	size_t n = 0;
	int r;

	for (char *p = strtok_r(line, " \t\n", &save); p && n < 15; p = strtok_r(NULL, " \t\n", &save))
		args[n++] = p;
	if (!n || args[0][0] == '#')
		return 0;
	vm = args[1] ? fake_find(&f->model, number(args[1])) : NULL;
	if (streq(args[0], "vm")) {
		r = args[1] && args[2] ? do_vm(f, args + 1) : -EINVAL;
	} else if (streq(args[0], "fail")) {
		r = do_fail(f, args + 1);
	} else if (streq(args[0], "control-lost")) {
		f->control_lost += number(args[1]);
		/* Somebody has to look: the next record of any kind. */
		(void)eventfd_write(f->queues[KERNEL_RING_CONTROL].fd, 1);
		r = 0;
	} else if (streq(args[0], "isolation")) {
		r = fake_isolation_command(&f->isolation, args + 1);
	} else if (streq(args[0], "hardware")) {
		f->model.hardware = args[1] && streq(args[1], "on");
		r = 0;
	} else if (streq(args[0], "answers")) {
		fprintf(out, " %zu", f->model.n_answers);
		r = 0;
	} else if (streq(args[0], "answer")) {
		r = args[1] ? fake_set_answer(&f->model, number(args[1]), MERLON_ANSWER_LEARN) : -EINVAL;
	} else if (streq(args[0], "abi")) {
		f->model.abi = (uint32_t)number(args[1]);
		r = 0;
	} else if (streq(args[0], "admission")) {
		fprintf(out, " %s %u", merlon_admission_name(f->model.admission),
			f->model.admission_ms);
		r = 0;
	} else {
		r = vm ? do_with_vm(f, args[0], vm, args + 1, out) : -ESRCH;
	}
	fake_persist(f);
	return r;
}
