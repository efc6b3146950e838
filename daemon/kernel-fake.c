// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel backend for tests, in merlond-fake only: a script and a socket,
 * RUNTIME_DIR/fake-kernel.sock, play what a kernel does.  One command a line:
 *
 *   vm ID PID [uid=N] [start=NS] [vcpus=N] [maxphyaddr=N] [pending] [unsupported]
 *   gone ID | reset ID | kill ID | expire ID
 *   violation ID GPA RULE [n=N] [verdict=WORD] [kind=N] [less=BYTES]
 *   write ID GPA LENGTH		as a guest would; "ok allowed", "ok denied RULE"
 *   load ID REGISTER OLD NEW		as a guest would; "ok allowed", "ok denied RULE"
 *   pins ID RULE			"ok CR0 CR4 EFER"
 *   unpin ID RULE
 *   unclaim ID RULE			the rule stays, and claims nothing
 *   cpu ID VCPU CR0 CR4 EFER [nested]	what that CPU has in its registers
 *   unpinned ID VCPU CR0 CR4 EFER [n=N]	it has had these pinned bits clear for a second
 *   isolation on|off|absent		of the host; off at first
 *   isolation refused TEXT
 *   isolated ID				this VM is
 *   isolated ID windows|pauses|kicks|waits|refused|mapped|table N	add to a counter
 *   isolated ID left|inside|outside NUMBER N	likewise, of a reason or an exit
 *   isolated ID place IP ADDRESS N	likewise, of a place, and of its faults
 *   kick ID [REASONS]			"ok REASONS", hexadecimal
 *   calls ID				"ok OPERATION:RULE...": what was called for that VM and
 *					succeeded, in order, since this was last asked
 *   rules ID				"ok ID:FLAGS:ACTION:COOKIE..."
 *   engine ID				"ok WANTED USED [settled]"
 *   hardware on|off			whether the host has that engine; off at first
 *   abi N				play an older kernel
 *   orphan ID RULE GFN
 *   admission				"ok MODE MS"
 *   fail OPERATION ERRNO [N]		its next N (1) calls fail; 0 ends that
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
#include "kernel-fake.h"
#include "log.h"
#include "util/util.h"

/* As much as the real events ring holds. */
#define MAX_RECORDS (MERLON_EVENTS_BYTES / (sizeof(struct merlon_violation_record) + 8))

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

void fake_push_vm(struct fake *f, const struct fake_vm *vm, uint16_t kind)
{
	union any_record r = { .vm = { .info = fake_info(&f->model, vm) } };

	r.head = head_of(vm, kind, sizeof(r.vm));
	if (!queue_push(&f->queues[KERNEL_RING_CONTROL], &r))
		f->control_lost++;
}

void fake_push_end(struct fake *f, const struct fake_vm *vm)
{
	union any_record r = { .counters = { .counters = vm->counters } };

	r.head = head_of(vm, MERLON_RECORD_VM_COUNTERS, sizeof(r.counters));
	if ((vm->counters.lost || vm->counters.dropped) &&
	    !queue_push(&f->queues[KERNEL_RING_CONTROL], &r))
		f->control_lost++;
	fake_push_vm(f, vm, MERLON_RECORD_VM_DESTROYED);
}

void fake_push_notice(struct fake *f, const struct fake_vm *vm, uint16_t kind, uint32_t detail)
{
	union any_record r = { .notice = { .detail = detail } };

	r.head = head_of(vm, kind, sizeof(r.notice));
	if (!queue_push(&f->queues[KERNEL_RING_CONTROL], &r))
		f->control_lost++;
}

/* Through the VM's bucket; what does not get through is counted. */
static void push_event(struct fake *f, struct fake_vm *vm, const union any_record *r)
{
	uint64_t now = boottime(), base;

	base = vm->counters.tat > now ? vm->counters.tat : now;
	if (base - now >= MERLON_EVENT_BURST * MERLON_EVENT_NS) {
		vm->counters.lost++;
		return;
	}
	vm->counters.tat = base + MERLON_EVENT_NS;
	if (!queue_push(&f->queues[KERNEL_RING_EVENTS], r))
		vm->counters.dropped++;
}

void fake_push_violation(struct fake *f, struct fake_vm *vm, const struct kvm_vmi_violation *v,
			 uint32_t verdict, size_t less)
{
	const struct kvm_vmi_rule_info *info = fake_rule(vm, v->rule);
	union any_record r = { .violation = { .verdict = verdict, .v = *v } };

	r.violation.v.rip = 0xffffffff81000000ULL;
	r.violation.v.cr3 = 0x1000;
	r.violation.v.seq = ++vm->info.violations;
	r.violation.v.cookie = info ? info->rule.cookie : 0;
	r.head = head_of(vm, MERLON_RECORD_VIOLATION, sizeof(r.violation) - less);
	r.head.seq = r.violation.v.seq;
	vm->counters.seen++;
	push_event(f, vm, &r);
}

void fake_push_access(struct fake *f, struct fake_vm *vm, uint64_t gpa, uint32_t rule,
		      uint32_t kind, uint32_t verdict, size_t less)
{
	const struct kvm_vmi_violation v = {
		.gpa = gpa, .gva = 0xffff888000000000ULL + gpa, .rule = rule, .length = 8,
		.kind = kind, .flags = KVM_VMI_V_GVA | KVM_VMI_V_EMULATED,
	};

	fake_push_violation(f, vm, &v, verdict, less);
}

void fake_push_unpinned(struct fake *f, struct fake_vm *vm, uint32_t vcpu_id, uint64_t cr0,
			uint64_t cr4, uint64_t efer)
{
	union any_record r = {
		.unpinned = { .vcpu_id = vcpu_id, .cr0 = cr0, .cr4 = cr4, .efer = efer },
	};

	r.head = head_of(vm, MERLON_RECORD_UNPINNED, sizeof(r.unpinned));
	push_event(f, vm, &r);
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

void fake_persist(struct fake *f)
{
	int r = fake_save(&f->model, f->state_path);

	if (r < 0)
		log_warning_errno(r, "%s: %m", f->state_path);
}

/* Tests look at what was called, and what was not. */
static void note_call(struct fake *f, uint64_t vm, const char *operation, uint32_t rule)
{
	struct fake_call *grown = reallocarray(f->calls, f->n_calls + 1, sizeof(*grown));

	if (!grown)
		return;
	f->calls = grown;
	f->calls[f->n_calls] = (struct fake_call) { .vm = vm, .rule = rule };
	snprintf(f->calls[f->n_calls++].operation, sizeof(grown->operation), "%s", operation);
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
	free(f->calls);
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
	fake_persist(f);
	return r;
}

static int op_set_rules(struct kernel *k, uint64_t id, const struct kvm_vmi_rule *rules, size_t n)
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "set_rules", id, &vm);

	if (r >= 0)
		r = fake_set_rules(vm, rules, n);
	for (size_t i = 0; r >= 0 && i < n; i++)
		note_call((struct fake *)k, id, "set_rules", rules[i].id);
	fake_persist((struct fake *)k);
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
	if (r >= 0)
		note_call((struct fake *)k, id, "clear_rule", rule);
	fake_persist((struct fake *)k);
	return r;
}

static int op_set_access(struct kernel *k, uint64_t id, const struct kvm_vmi_range *ranges,
			 size_t n)
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "set_access", id, &vm);

	if (r >= 0)
		r = fake_set_access(&((struct fake *)k)->model, vm, ranges, n);
	for (size_t i = 0; r >= 0 && i < n; i++)
		note_call((struct fake *)k, id, "set_access", ranges[i].rule);
	fake_persist((struct fake *)k);
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
	if (r >= 0)
		note_call((struct fake *)k, id, "set_pin", pin->rule);
	fake_persist((struct fake *)k);
	return r;
}

static int op_get_pin(struct kernel *k, uint64_t id, uint32_t rule, struct kvm_vmi_pin *ret)
{
	struct fake_vm *vm;
	int r = target((struct fake *)k, "get_pin", id, &vm);

	return r < 0 ? r : fake_get_pin(&((struct fake *)k)->model, vm, rule, ret);
}

static int op_regs(struct kernel *k, uint64_t id, uint32_t vcpu_id, struct kvm_vmi_regs *ret)
{
	const struct fake *f = (struct fake *)k;
	struct fake_vm *vm;
	int r = target((struct fake *)k, "regs", id, &vm);

	for (size_t i = 0; r >= 0 && i < f->n_cpus; i++) {
		const struct fake_cpu *cpu = &f->cpus[i];

		if (cpu->vm != id || cpu->vcpu_id != vcpu_id)
			continue;
		*ret = (struct kvm_vmi_regs) {
			.cr0 = cpu->cr0, .cr4 = cpu->cr4, .efer = cpu->efer,
			.nested = cpu->nested,
		};
		return 0;
	}
	return r < 0 ? r : -ENOENT;
}

static int op_isolation_host(struct kernel *k, struct kvm_isolation_host *ret)
{
	struct fake *f = (struct fake *)k;
	int r = fault(f, "isolation_host");

	return r < 0 ? r : fake_isolation_host(&f->isolation, ret);
}

static int op_isolation_stats(struct kernel *k, uint64_t id, struct kvm_isolation_stats *ret)
{
	struct fake *f = (struct fake *)k;
	struct fake_vm *vm;
	int r = target(f, "isolation_stats", id, &vm);

	return r < 0 ? r : fake_isolation_stats(&f->isolation, id, ret);
}

static int op_isolation_place(struct kernel *k, uint64_t id, uint32_t index,
			      struct kvm_isolation_place *ret)
{
	struct fake *f = (struct fake *)k;
	struct fake_vm *vm;
	int r = target(f, "isolation_place", id, &vm);

	return r < 0 ? r : fake_isolation_place(&f->isolation, id, index, ret);
}

static int op_isolation_set_kick(struct kernel *k, uint64_t id, uint32_t reasons)
{
	struct fake *f = (struct fake *)k;
	struct fake_vm *vm;
	int r = target(f, "isolation_set_kick", id, &vm);

	return r < 0 ? r : fake_isolation_set_kick(&f->isolation, id, reasons);
}

static int op_set_answer(struct kernel *k, uint64_t cookie, uint32_t answer)
{
	int r = fault((struct fake *)k, "set_answer");

	if (r >= 0)
		r = fake_set_answer(&((struct fake *)k)->model, cookie, answer);
	fake_persist((struct fake *)k);
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

	/* Most ask in case. */
	if (r >= 0)
		fake_persist((struct fake *)k);
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
	note_call(f, id, "admit", 0);
	if (vm->info.flags & KVM_VMI_VM_PENDING) {
		vm->info.flags &= ~KVM_VMI_VM_PENDING;
		fake_push_notice(f, vm, MERLON_RECORD_VM_ADMITTED, 0);
		fake_persist(f);
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
	fake_persist(f);
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
		f->on_record(&record.head, record.head.size, f->userdata);
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
	.regs = op_regs,
	.isolation_host = op_isolation_host,
	.isolation_stats = op_isolation_stats,
	.isolation_place = op_isolation_place,
	.isolation_set_kick = op_isolation_set_kick,
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
		r = fake_command(fake, line, out);
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
		r = fake_command(f, line, out);
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
