// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel backend for tests, in merlond-fake only: a script and a socket,
 * RUNTIME_DIR/fake-kernel.sock, play what a kernel does.  One command a line:
 *
 *   vm ID PID [uid=N] [start=NS] [vcpus=N] [maxphyaddr=N] [pending] [unsupported]
 *   gone ID | reset ID | kill ID | expire ID
 *   violation ID GPA RULE [n=N] [verdict=WORD] [kind=N]
 *   write ID GPA LENGTH		as a guest would; "ok allowed", "ok denied RULE"
 *   load ID REGISTER OLD NEW		as a guest would; "ok allowed", "ok denied RULE"
 *   pins ID RULE			"ok CR0 CR4 EFER"
 *   unpin ID RULE
 *   rules ID				"ok ID:FLAGS:ACTION:COOKIE..."
 *   engine ID				"ok WANTED USED [settled]"
 *   hardware on|off			whether the host has that engine; off at first
 *   abi N				play an older kernel
 *   orphan ID RULE GFN
 *   admission				"ok MODE MS"
 *   fail OPERATION ERRNO [N]		its next N (1) calls fail
 *   control-lost N
 *   absent TEXT			in the script only: no support
 *
 * Answers are "ok ..." or "error TEXT".  RUNTIME_DIR/fake-kernel.state is read in
 * place of the script if it is there.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "api/names.h"
#include "kernel-fake-model.h"
#include "kernel.h"
#include "log.h"
#include "util/util.h"

/* As much as the real events ring holds. */
#define MAX_RECORDS (MERLON_EVENTS_BYTES / (sizeof(struct merlon_violation_record) + 8))

union any_record {
	struct merlon_record head;
	struct merlon_vm_record vm;
	struct merlon_notice_record notice;
	struct merlon_violation_record violation;
};

struct queue {
	int fd;
	union any_record *records;
	size_t first, n, room;
};

struct fault {
	char operation[32];
	int error;
	unsigned int n;
};

struct fake {
	struct kernel base;
	struct fake_model model;
	struct queue queues[KERNEL_NR_RINGS];
	struct fault faults[8];
	uint64_t control_lost;
	void (*on_record)(const struct merlon_record *record, void *userdata);
	void *userdata;
	sd_event_source *listener;
	char state_path[4096];
};

static uint64_t boottime(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static bool queue_push(struct queue *q, const union any_record *record)
{
	if (q->n >= MAX_RECORDS)
		return false;
	if (q->first && q->first + q->n >= q->room) {
		memmove(q->records, q->records + q->first, q->n * sizeof(*q->records));
		q->first = 0;
	}
	if (q->n >= q->room) {
		size_t room = q->room ? 2 * q->room : 64;
		union any_record *grown = reallocarray(q->records, room, sizeof(*grown));

		if (!grown)
			return false;
		q->records = grown;
		q->room = room;
	}
	q->records[q->first + q->n++] = *record;
	(void)eventfd_write(q->fd, 1);
	return true;
}

static struct merlon_record head_of(const struct fake_vm *vm, uint16_t kind, size_t size)
{
	return (struct merlon_record) {
		.size = (uint16_t)size,
		.kind = kind,
		.vm = vm->info.id,
		.time = boottime(),
	};
}

static void push_vm(struct fake *f, const struct fake_vm *vm, uint16_t kind)
{
	union any_record r = { .vm = { .info = fake_info(&f->model, vm) } };

	r.head = head_of(vm, kind, sizeof(r.vm));
	if (!queue_push(&f->queues[KERNEL_RING_CONTROL], &r))
		f->control_lost++;
}

static void push_notice(struct fake *f, const struct fake_vm *vm, uint16_t kind, uint32_t detail)
{
	union any_record r = { .notice = { .detail = detail } };

	r.head = head_of(vm, kind, sizeof(r.notice));
	if (!queue_push(&f->queues[KERNEL_RING_CONTROL], &r))
		f->control_lost++;
}

/* What any violation has is filled in. */
static void push_violation(struct fake *f, struct fake_vm *vm, const struct kvm_vmi_violation *v,
			   uint32_t verdict)
{
	const struct kvm_vmi_rule_info *info = fake_rule(vm, v->rule);
	uint64_t now = boottime(), base;
	union any_record r = { .violation = { .verdict = verdict, .v = *v } };

	r.violation.v.rip = 0xffffffff81000000ULL;
	r.violation.v.cr3 = 0x1000;
	r.violation.v.seq = ++vm->info.violations;
	r.violation.v.cookie = info ? info->rule.cookie : 0;
	r.head = head_of(vm, MERLON_RECORD_VIOLATION, sizeof(r.violation));
	r.head.seq = r.violation.v.seq;
	vm->counters.seen++;
	base = vm->counters.tat > now ? vm->counters.tat : now;
	if (base - now >= MERLON_EVENT_BURST * MERLON_EVENT_NS) {
		vm->counters.lost++;
		return;
	}
	vm->counters.tat = base + MERLON_EVENT_NS;
	if (!queue_push(&f->queues[KERNEL_RING_EVENTS], &r))
		vm->counters.dropped++;
}

static void push_access(struct fake *f, struct fake_vm *vm, uint64_t gpa, uint32_t rule,
			uint32_t kind, uint32_t verdict)
{
	const struct kvm_vmi_violation v = {
		.gpa = gpa, .gva = 0xffff888000000000ULL + gpa, .rule = rule, .length = 8,
		.kind = kind, .flags = KVM_VMI_V_GVA | KVM_VMI_V_EMULATED,
	};

	push_violation(f, vm, &v, verdict);
}

/* Takes effect before the operation does, like a kernel that refuses. */
static int fault(struct fake *f, const char *operation)
{
	for (size_t i = 0; i < ARRAY_SIZE(f->faults); i++) {
		if (!f->faults[i].n || !streq(f->faults[i].operation, operation))
			continue;
		f->faults[i].n--;
		return -f->faults[i].error;
	}
	return 0;
}

static void persist(struct fake *f)
{
	int r = fake_save(&f->model, f->state_path);

	if (r < 0)
		log_warning_errno(r, "%s: %m", f->state_path);
}

/* The VM of an operation that may fail. */
static int target(struct fake *f, const char *operation, uint64_t id, struct fake_vm **ret)
{
	int r = fault(f, operation);

	if (r < 0)
		return r;
	*ret = fake_find(&f->model, id);
	if (!*ret)
		return -ESRCH;
	return (*ret)->info.flags & KVM_VMI_VM_DEAD && !streq(operation, "vm_info") &&
	       !streq(operation, "next_rule") ? -EIO : 0;
}

static void op_close(struct kernel *k)
{
	struct fake *f = (struct fake *)k;

	sd_event_source_disable_unref(f->listener);
	for (size_t i = 0; i < KERNEL_NR_RINGS; i++) {
		if (f->queues[i].fd >= 0)
			close(f->queues[i].fd);
		free(f->queues[i].records);
	}
	fake_done(&f->model);
	free(f);
}

static int op_caps(struct kernel *k, struct kvm_vmi_caps *ret)
{
	struct fake *f = (struct fake *)k;
	int r = fault(f, "caps");

	if (r < 0)
		return r;
	*ret = (struct kvm_vmi_caps) {
		.features = KVM_VMI_CAP_WRITE | KVM_VMI_CAP_SUBPAGE_SW | KVM_VMI_CAP_TDP |
			    KVM_VMI_CAP_TDP_MMU |
			    (f->model.hardware ? KVM_VMI_CAP_SUBPAGE_HW : 0) |
			    (f->model.abi >= FAKE_ABI_EXECUTE ?
			     KVM_VMI_CAP_READ | KVM_VMI_CAP_EXEC | KVM_VMI_CAP_EXEC_USER |
			     KVM_VMI_CAP_EXEC_KERNEL : 0) |
			    (f->model.abi >= FAKE_ABI_PIN ? KVM_VMI_CAP_PIN : 0),
		.verdicts = 1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW | 1U << KVM_VMI_SKIP |
			    1U << KVM_VMI_KILL |
			    (f->model.abi >= 2 ? 1U << KVM_VMI_EXIT : 0),
		.kinds = 1U << KVM_VMI_WRITE | 1U << KVM_VMI_WALK | 1U << KVM_VMI_KVM |
			 1U << KVM_VMI_UNEMULATABLE |
			 (f->model.abi >= FAKE_ABI_EXECUTE ? 1U << KVM_VMI_FETCH : 0) |
			 (f->model.abi >= FAKE_ABI_PIN ?
			  1U << KVM_VMI_CR | 1U << KVM_VMI_EFER : 0),
		.vendor = KVM_VMI_VENDOR_INTEL,
		.abi = f->model.abi,
		.admission = f->model.admission,
		.admission_ms = f->model.admission_ms,
	};
	return 0;
}

static int op_vm_info(struct kernel *k, uint64_t id, struct kvm_vmi_vm_info *ret)
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "vm_info", id, &vm);

	if (r < 0)
		return r;
	*ret = fake_info(&((struct fake *)k)->model, vm);
	return 0;
}

static int op_vm_next(struct kernel *k, uint64_t after, struct kvm_vmi_vm_info *ret)
{
	struct fake *f = (struct fake *)k;
	struct fake_vm *vm = fake_next(&f->model, after);
	int r = fault(f, "vm_next");

	if (r < 0)
		return r;
	if (!vm)
		return -ESRCH;
	*ret = fake_info(&f->model, vm);
	return 0;
}

static int op_set_engine(struct kernel *k, uint64_t id, enum kvm_vmi_engine engine)
{
	struct fake *f = (struct fake *)k;
	struct fake_vm *vm;
	int r = target(f, "set_engine", id, &vm);

	if (r >= 0)
		r = fake_set_engine(&f->model, vm, engine);
	persist(f);
	return r;
}

static int op_set_rules(struct kernel *k, uint64_t id, const struct kvm_vmi_rule *rules, size_t n)
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "set_rules", id, &vm);

	if (r >= 0)
		r = fake_set_rules(vm, rules, n);
	persist((struct fake *)k);
	return r;
}

static int op_next_rule(struct kernel *k, uint64_t id, uint32_t after,
			struct kvm_vmi_rule_info *ret)
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "next_rule", id, &vm);

	for (size_t i = 0; r >= 0 && i < vm->n_rules; i++) {
		if (vm->rules[i].rule.id <= after)
			continue;
		*ret = vm->rules[i];
		return 0;
	}
	return r < 0 ? r : -ENOENT;
}

static int op_clear_rule(struct kernel *k, uint64_t id, uint32_t rule)
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "clear_rule", id, &vm);

	if (r >= 0)
		r = fake_clear_rule(vm, rule);
	persist((struct fake *)k);
	return r;
}

static int op_set_access(struct kernel *k, uint64_t id, const struct kvm_vmi_range *ranges,
			 size_t n)
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "set_access", id, &vm);

	if (r >= 0)
		r = fake_set_access(&((struct fake *)k)->model, vm, ranges, n);
	persist((struct fake *)k);
	return r;
}

static int op_get_access(struct kernel *k, uint64_t id, uint64_t gfn,
			 struct kvm_vmi_range ret[static KVM_VMI_MAX_BATCH])
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "get_access", id, &vm);

	return r < 0 ? r : fake_get_access(vm, gfn, ret);
}

static int op_set_pin(struct kernel *k, uint64_t id, const struct kvm_vmi_pin *pin)
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "set_pin", id, &vm);

	if (r >= 0)
		r = fake_set_pin(&((struct fake *)k)->model, vm, pin);
	persist((struct fake *)k);
	return r;
}

static int op_get_pin(struct kernel *k, uint64_t id, uint32_t rule, struct kvm_vmi_pin *ret)
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "get_pin", id, &vm);

	return r < 0 ? r : fake_get_pin(&((struct fake *)k)->model, vm, rule, ret);
}

static int op_set_answer(struct kernel *k, uint64_t cookie, uint32_t answer)
{
	int r = fault((struct fake *)k, "set_answer");

	if (r >= 0)
		r = fake_set_answer(&((struct fake *)k)->model, cookie, answer);
	persist((struct fake *)k);
	return r;
}

static int op_get_answer(struct kernel *k, uint64_t cookie, uint32_t *ret)
{
	const struct fake_answer *a = fake_answer(&((struct fake *)k)->model, cookie);

	if (!a)
		return -ENOENT;
	*ret = a->answer;
	return 0;
}

static int op_clear_answer(struct kernel *k, uint64_t cookie)
{
	int r = fake_clear_answer(&((struct fake *)k)->model, cookie);

	persist((struct fake *)k);
	return r;
}

static int op_next_answer(struct kernel *k, const uint64_t *after, uint64_t *ret)
{
	const struct fake_model *model = &((struct fake *)k)->model;
	size_t i = 0;

	if (after) {
		const struct fake_answer *a = fake_answer(model, *after);

		/* As a hash map does: from the start. */
		i = a ? (size_t)(a - model->answers) + 1 : 0;
	}
	if (i >= model->n_answers)
		return -ENOENT;
	*ret = model->answers[i].cookie;
	return 0;
}

static int op_admit(struct kernel *k, uint64_t id)
{
	struct fake *f = (struct fake *)k;
	struct fake_vm *vm;
	int r = target(f, "admit", id, &vm);

	if (r < 0)
		return r;
	if (vm->info.flags & KVM_VMI_VM_PENDING) {
		vm->info.flags &= ~KVM_VMI_VM_PENDING;
		push_notice(f, vm, MERLON_RECORD_VM_ADMITTED, 0);
		persist(f);
	}
	return 0;
}

static int op_set_admission(struct kernel *k, enum kvm_vmi_admission mode, uint32_t deadline_ms)
{
	struct fake *f = (struct fake *)k;
	int r = fault(f, "set_admission");

	if (r < 0)
		return r;
	f->model.admission = mode;
	f->model.admission_ms = deadline_ms ? deadline_ms : KVM_VMI_ADMIT_MS_DEFAULT;
	persist(f);
	return 0;
}

static int op_counters(struct kernel *k, uint64_t id, struct merlon_vm_counters *ret)
{
	struct fake_vm *vm = fake_find(&((struct fake *)k)->model, id);

	*ret = vm ? vm->counters : (struct merlon_vm_counters) { 0 };
	return 0;
}

static int op_control_lost(struct kernel *k, uint64_t *ret)
{
	*ret = ((struct fake *)k)->control_lost;
	return 0;
}

static int op_ring_fd(struct kernel *k, enum kernel_ring ring)
{
	return ((struct fake *)k)->queues[ring].fd;
}

static int op_drain(struct kernel *k, enum kernel_ring ring, unsigned int max)
{
	struct fake *f = (struct fake *)k;
	struct queue *q = &f->queues[ring];
	unsigned int n = 0;
	eventfd_t value;

	for (; n < max && q->n; n++) {
		union any_record record = q->records[q->first++];

		q->n--;
		f->on_record(&record.head, f->userdata);
	}
	if (!q->n)
		(void)eventfd_read(q->fd, &value);
	return (int)n;
}

static int op_remove(struct kernel *k)
{
	(void)k;
	return 0;
}

static const struct kernel_ops fake_ops = {
	.close = op_close,
	.caps = op_caps,
	.vm_info = op_vm_info,
	.vm_next = op_vm_next,
	.set_engine = op_set_engine,
	.set_rules = op_set_rules,
	.next_rule = op_next_rule,
	.clear_rule = op_clear_rule,
	.set_access = op_set_access,
	.get_access = op_get_access,
	.set_pin = op_set_pin,
	.get_pin = op_get_pin,
	.set_answer = op_set_answer,
	.get_answer = op_get_answer,
	.clear_answer = op_clear_answer,
	.next_answer = op_next_answer,
	.admit = op_admit,
	.set_admission = op_set_admission,
	.counters = op_counters,
	.control_lost = op_control_lost,
	.ring_fd = op_ring_fd,
	.drain = op_drain,
	.remove = op_remove,
};

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
		push_vm(f, fake_find(&f->model, info.id), MERLON_RECORD_VM_CREATED);
	return r;
}

static void do_reset(struct fake *f, struct fake_vm *vm)
{
	vm->info.generation++;
	push_vm(f, vm, MERLON_RECORD_VM_RESET);
	for (size_t i = 0; i < vm->n_rules; i++) {
		struct kvm_vmi_rule *rule = &vm->rules[i].rule;

		if (rule->on_reset == KVM_VMI_RESET_DISARM &&
		    !(rule->flags & KVM_VMI_RULE_DISARMED)) {
			rule->flags |= KVM_VMI_RULE_DISARMED;
			push_notice(f, vm, MERLON_RECORD_RULE_DISARMED, rule->id);
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
	push_access(f, vm, gpa, rule->rule.id, KVM_VMI_WRITE, judge(rule, out));
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
	push_violation(f, vm, &v, judge(rule, out));
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

static int do_violation(struct fake *f, struct fake_vm *vm, char **args)
{
	uint64_t n = number(option(args, "n", "1"));
	int verdict = merlon_verdict_from_name(option(args, "verdict", "deny"));
	uint32_t kind = (uint32_t)number(option(args, "kind", "1"));

	if (!args[1] || !args[2] || verdict < 0)
		return -EINVAL;
	while (n--)
		push_access(f, vm, number(args[1]), (uint32_t)number(args[2]), kind,
			    (uint32_t)verdict);
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

static int do_fail(struct fake *f, char **args)
{
	for (size_t i = 0; args[0] && args[1] && i < ARRAY_SIZE(f->faults); i++) {
		struct fault *fault_i = &f->faults[i];

		if (fault_i->n)
			continue;
		snprintf(fault_i->operation, sizeof(fault_i->operation), "%s", args[0]);
		fault_i->error = (int)number(args[1]);
		fault_i->n = args[2] ? (unsigned int)number(args[2]) : 1;
		return 0;
	}
	return -EINVAL;
}

/* Commands about a VM that is there. */
static int do_with_vm(struct fake *f, const char *command, struct fake_vm *vm, char **args,
		      FILE *out)
{
	if (streq(command, "gone")) {
		push_vm(f, vm, MERLON_RECORD_VM_DESTROYED);
		fake_remove(&f->model, vm->info.id);
	} else if (streq(command, "reset")) {
		do_reset(f, vm);
	} else if (streq(command, "kill")) {
		vm->info.flags |= KVM_VMI_VM_DEAD;
		push_notice(f, vm, MERLON_RECORD_VM_KILLED, 0);
	} else if (streq(command, "expire")) {
		vm->info.flags = (vm->info.flags & ~KVM_VMI_VM_PENDING) | KVM_VMI_VM_EXPIRED;
		push_notice(f, vm, MERLON_RECORD_VM_EXPIRED, 0);
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
	} else if (streq(command, "execute")) {
		int r = args[1] && args[2] ? fake_execute(&f->model, vm, (uint32_t)number(args[1]),
							  number(args[2])) : -EINVAL;

		if (r < 0)
			return r;
		fputs(r ? " learned" : " denied", out);
	} else if (streq(command, "orphan")) {
		return do_orphan(f, vm, args);
	} else if (streq(command, "engine")) {
		struct kvm_vmi_vm_info info = fake_info(&f->model, vm);

		fprintf(out, " %s %s%s", merlon_engine_name(info.engine_wanted),
			merlon_engine_name(info.engine),
			info.flags & KVM_VMI_VM_ENGINE_FIXED ? " settled" : "");
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

static int command_run(struct fake *f, char *line, FILE *out)
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
	persist(f);
	return r;
}

/* One command a connection's turn; tests are well-behaved, so blocking I/O will do. */
static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL, *answer = NULL;
	size_t size = 0, len = 0;
	struct fake *fake = userdata;
	FILE *out;
	int client, r;

	(void)source;
	(void)revents;
	client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	if (client < 0)
		return 0;
	f = fdopen(client, "r+e");
	if (!f) {
		close(client);
		return 0;
	}
	while (getline(&line, &size, f) > 0) {
		out = open_memstream(&answer, &len);
		if (!out)
			return 0;
		r = command_run(fake, line, out);
		fclose(out);
		if (r < 0)
			dprintf(client, "error %s\n", strerror(-r));
		else
			dprintf(client, "ok%s\n", answer);
		free(TAKE_PTR(answer));
	}
	return 0;
}

static int listen_socket(struct fake *f, const struct kernel_setup *setup)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, r;

	r = snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/fake-kernel.sock", setup->runtime_dir);
	if (r < 0 || (size_t)r >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	(void)unlink(sa.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 8) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	r = sd_event_add_io(setup->event, &f->listener, fd, EPOLLIN, on_client, f);
	if (r >= 0)
		r = sd_event_source_set_io_fd_own(f->listener, 1);
	else
		close(fd);
	return r;
}

static int run_script(struct fake *f, const char *path, bool fresh, struct kernel_missing *missing)
{
	_cleanup_fclose_ FILE *script = fopen(path, "re"), *out = fopen("/dev/null", "we");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int r;

	if (!script || !out)
		return -errno;
	while (getline(&line, &size, script) > 0) {
		const char *text = startswith(line, "absent ");

		if (text) {
			snprintf(missing->what, sizeof(missing->what), "kvm-patch");
			snprintf(missing->why, sizeof(missing->why), "%.*s",
				 (int)strcspn(text, "\n"), text);
			snprintf(missing->remedy, sizeof(missing->remedy),
				 "play another kernel");
			return -EOPNOTSUPP;
		}
		if (!fresh)
			continue;
		r = command_run(f, line, out);
		if (r < 0)
			return r;
	}
	return 0;
}

static int fake_open(const struct kernel_setup *setup, struct kernel **ret,
		     struct kernel_missing *reterr_missing)
{
	struct fake *f = calloc(1, sizeof(*f));
	bool fresh;
	int r;

	if (!f)
		return -ENOMEM;
	f->base.ops = &fake_ops;
	f->on_record = setup->on_record;
	f->userdata = setup->userdata;
	f->model.abi = KVM_VMI_ABI;
	snprintf(f->state_path, sizeof(f->state_path), "%s/fake-kernel.state",
		 setup->runtime_dir);
	for (size_t i = 0; i < KERNEL_NR_RINGS; i++)
		f->queues[i].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	r = fake_load(&f->model, f->state_path);
	fresh = r == -ENOENT;
	if (fresh)
		r = 0;
	if (r >= 0 && setup->script)
		r = run_script(f, setup->script, fresh, reterr_missing);
	if (r >= 0)
		r = listen_socket(f, setup);
	if (r < 0) {
		if (!reterr_missing->what[0]) {
			snprintf(reterr_missing->what, sizeof(reterr_missing->what), "script");
			snprintf(reterr_missing->why, sizeof(reterr_missing->why),
				 "The played kernel failed: %s", strerror(-r));
		}
		op_close(&f->base);
		return r;
	}
	*ret = &f->base;
	return 0;
}

const struct kernel_backend kernel_backend = {
	.name = "fake",
	.script_option = true,
	.open = fake_open,
};
