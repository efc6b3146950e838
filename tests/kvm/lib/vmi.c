// SPDX-License-Identifier: GPL-2.0-or-later
/* Running the programs of vmi_test.bpf.c, and reading its log. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmi.h"
#include "vmi_test.skel.h"

static struct vmi_test_bpf *object;
static struct bpf_link *link_one;

/* The newest lines that libbpf printed, to be shown when loading fails. */
static int keep_quiet(enum libbpf_print_level level, const char *format, va_list ap)
{
	if (level != LIBBPF_WARN)
		return 0;
	printf("# libbpf: ");
	return vprintf(format, ap);
}

bool vmi_in_kernel(void)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name_kind(btf, "kvm_vmi_ops", BTF_KIND_STRUCT) >= 0;

	btf__free(btf);
	return has;
}

const char *vmi_load(void)
{
	static char why[128];

	if (object)
		return NULL;
	libbpf_set_print(keep_quiet);
	if (!vmi_in_kernel())
		return "this kernel has no kvm_vmi";
	object = vmi_test_bpf__open_and_load();
	if (!object) {
		snprintf(why, sizeof(why), "the BPF object cannot be loaded: %s", strerror(errno));
		return why;
	}
	return NULL;
}

const char *vmi_setup(void)
{
	static char why[128];
	const char *failure;
	int r;

	if (object)
		return NULL;
	failure = vmi_load();
	if (failure)
		return failure;
	object->links.on_violation = bpf_program__attach(object->progs.on_violation);
	object->links.on_access_change = bpf_program__attach(object->progs.on_access_change);
	object->links.on_vm = bpf_program__attach(object->progs.on_vm);
	object->links.on_spp = bpf_program__attach(object->progs.on_spp);
	object->links.on_unpinned = bpf_program__attach(object->progs.on_unpinned);
	if (!object->links.on_violation || !object->links.on_access_change ||
	    !object->links.on_vm || !object->links.on_spp || !object->links.on_unpinned) {
		r = errno;
		vmi_test_bpf__destroy(object);
		object = NULL;
		snprintf(why, sizeof(why), "a tracepoint cannot be attached: %s", strerror(r));
		return why;
	}
	return NULL;
}

/*
 * Run one program; its own answer, or the error of running it at all.  -EAGAIN
 * means that the call is to be made again: a VM's first rule may take a while.
 */
static int call(const struct bpf_program *prog, void *context, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = context, .ctx_size_in = size);
	int r;

	r = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
	return r < 0 ? r : (int)opts.retval;
}

static int call_again(const struct bpf_program *prog, void *context, size_t size)
{
	int i, r = -EAGAIN;

	for (i = 0; i < 5 && r == -EAGAIN; i++)
		r = call(prog, context, size);
	return r;
}

int vmi_caps(struct kvm_vmi_caps *ret)
{
	struct vmi_caps_call c = { };
	int r = call(object->progs.vmi_caps, &c, sizeof(c));

	*ret = c.caps;
	return r;
}

int vmi_info(uint64_t id, struct kvm_vmi_vm_info *ret)
{
	struct vmi_vm_call c = { .vm = id };
	int r = call(object->progs.vmi_info, &c, sizeof(c));

	*ret = c.info;
	return r;
}

int vmi_set_engine(uint64_t id, uint32_t engine)
{
	struct vmi_engine_call c = { .vm = id, .engine = engine };

	return call(object->progs.vmi_set_engine, &c, sizeof(c));
}

bool vmi_by_hardware(uint64_t id)
{
	struct kvm_vmi_vm_info info;

	require_eq(vmi_info(id, &info), 0);
	return info.engine == KVM_VMI_ENGINE_HARDWARE;
}

bool vmi_steps_events(void)
{
	struct kvm_vmi_caps caps;

	require_eq(vmi_caps(&caps), 0);
	return caps.vendor == KVM_VMI_VENDOR_INTEL;
}

int vmi_next(uint64_t after, struct kvm_vmi_vm_info *ret)
{
	struct vmi_vm_call c = { .vm = after };
	int r = call(object->progs.vmi_next, &c, sizeof(c));

	*ret = c.info;
	return r;
}

uint64_t vmi_vm(struct vm *vm)
{
	struct kvm_vmi_vm_info info = { };
	uint64_t id = 0, after = 0;

	(void)vm;
	while (!vmi_next(after, &info)) {
		if ((pid_t)info.pid == getpid())
			id = info.id;
		after = info.id;
	}
	require(id, "no VM of process %d in the kernel's list", getpid());
	return id;
}

int vmi_set_rules_bytes(uint64_t id, const void *rules, unsigned int bytes)
{
	struct vmi_rules_call c = { .vm = id, .bytes = bytes };

	memcpy(c.rules, rules, bytes < sizeof(c.rules) ? bytes : sizeof(c.rules));
	return call_again(object->progs.vmi_set_rules, &c, sizeof(c));
}

int vmi_set_rules(uint64_t id, const struct kvm_vmi_rule *rules, unsigned int n)
{
	return vmi_set_rules_bytes(id, rules, n * sizeof(*rules));
}

int vmi_next_rule(uint64_t id, uint32_t after, struct kvm_vmi_rule_info *ret)
{
	struct vmi_rule_call c = { .vm = id, .rule = after };
	int r = call(object->progs.vmi_next_rule, &c, sizeof(c));

	*ret = c.info;
	return r;
}

int vmi_clear_rule(uint64_t id, uint32_t rule)
{
	struct vmi_rule_call c = { .vm = id, .rule = rule };

	return call(object->progs.vmi_clear_rule, &c, sizeof(c));
}

int vmi_set_bytes(uint64_t id, const void *ranges, unsigned int bytes)
{
	struct vmi_ranges_call c = { .vm = id, .bytes = bytes };

	memcpy(c.ranges, ranges, bytes < sizeof(c.ranges) ? bytes : sizeof(c.ranges));
	return call_again(object->progs.vmi_set_access, &c, sizeof(c));
}

int vmi_set(uint64_t id, const struct kvm_vmi_range *ranges, unsigned int n)
{
	return vmi_set_bytes(id, ranges, n * sizeof(*ranges));
}

int vmi_set_one(uint64_t id, const struct kvm_vmi_range *range)
{
	struct vmi_range_call c = { .vm = id, .range = *range };

	return call_again(object->progs.vmi_set_range, &c, sizeof(c));
}

int vmi_clear(uint64_t id, const struct kvm_vmi_range *ranges, unsigned int n)
{
	struct vmi_ranges_call c = { .vm = id, .bytes = n * sizeof(*ranges) };

	memcpy(c.ranges, ranges, c.bytes < sizeof(c.ranges) ? c.bytes : sizeof(c.ranges));
	return call_again(object->progs.vmi_clear_access, &c, sizeof(c));
}

int vmi_run_set(struct vmi_ranges_call *c)
{
	return call_again(object->progs.vmi_set_access, c, sizeof(*c));
}

int vmi_run_clear(struct vmi_ranges_call *c)
{
	return call_again(object->progs.vmi_clear_access, c, sizeof(*c));
}

int vmi_get(uint64_t id, uint64_t gfn, struct kvm_vmi_range *ret, unsigned int n)
{
	struct vmi_ranges_call c = { .vm = id, .gfn = gfn, .bytes = n * sizeof(*ret) };
	int r = call(object->progs.vmi_get_access, &c, sizeof(c));

	memcpy(ret, c.ranges, c.bytes < sizeof(c.ranges) ? c.bytes : sizeof(c.ranges));
	return r;
}

int vmi_set_pin(uint64_t id, const struct kvm_vmi_pin *pin)
{
	struct vmi_pin_call c = { .vm = id, .pin = *pin };

	return call(object->progs.vmi_set_pin, &c, sizeof(c));
}

int vmi_get_pin(uint64_t id, uint32_t rule, struct kvm_vmi_pin *ret)
{
	struct vmi_pin_call c = { .vm = id, .pin.rule = rule };
	int r = call(object->progs.vmi_get_pin, &c, sizeof(c));

	*ret = c.pin;
	return r;
}

int vmi_admit(uint64_t id)
{
	struct vmi_admission_call c = { .vm = id };

	return call(object->progs.vmi_admit, &c, sizeof(c));
}

int vmi_set_admission(uint32_t mode, uint32_t ms)
{
	struct vmi_admission_call c = { .mode = mode, .ms = ms };

	return call(object->progs.vmi_set_admission, &c, sizeof(c));
}

int vmi_read(uint64_t id, uint64_t gpa, void *ret, unsigned int bytes)
{
	struct vmi_read_call c = { .vm = id, .gpa = gpa, .bytes = bytes };
	int r = call(object->progs.vmi_read, &c, sizeof(c));

	memcpy(ret, object->bss->read_buffer, bytes < VMI_READ_MAX ? bytes : VMI_READ_MAX);
	return r;
}

int vmi_regs(uint64_t id, uint32_t vcpu, struct kvm_vmi_regs *ret)
{
	struct vmi_regs_call c = { .vm = id, .vcpu = vcpu };
	int r = call(object->progs.vmi_regs, &c, sizeof(c));

	*ret = c.regs;
	return r;
}

void vmi_rule(uint64_t id, uint32_t rule, uint32_t action, uint32_t flags)
{
	struct kvm_vmi_rule r = {
		.id = rule,
		.flags = flags,
		.action[KVM_VMI_ACTION_WRITE] = action,
		.cookie = 0xc00c1e00 + rule,
	};

	require_eq(vmi_set_rules(id, &r, 1), 0);
}

void vmi_protect_frames(uint64_t id, uint32_t rule, uint64_t gpa, uint64_t nr, uint32_t write)
{
	struct kvm_vmi_range range = {
		.gfn = GFN(gpa),
		.nr = nr,
		.rule = rule,
		.write = write,
		.rights = KVM_VMI_RIGHT_ALL,
	};

	require_eq(vmi_set_one(id, &range), 0);
}

void vmi_protect(uint64_t id, uint32_t rule, uint64_t gpa, uint32_t write)
{
	vmi_protect_frames(id, rule, gpa, 1, write);
}

void vmi_unprotect(uint64_t id, uint32_t rule, uint64_t gpa)
{
	struct kvm_vmi_range range = { .gfn = GFN(gpa), .nr = 1, .rule = rule };

	require_eq(vmi_clear(id, &range, 1), 0);
}

struct kvm_vmi_rule_info vmi_counters(uint64_t id, uint32_t rule)
{
	struct kvm_vmi_rule_info info;

	require_eq(vmi_next_rule(id, rule - 1, &info), 0);
	require_eq(info.rule.id, rule);
	return info;
}

int vmi_attach(int answer)
{
	vmi_set_answer(answer);
	object->bss->asked = 0;
	object->bss->grant = false;
	object->bss->grant_result = 0;
	object->bss->granted = 0;
	link_one = bpf_map__attach_struct_ops(object->maps.owner);
	return link_one ? 0 : -errno;
}

int vmi_try_second(void)
{
	struct bpf_link *link = bpf_map__attach_struct_ops(object->maps.owner_two);

	if (!link)
		return -errno;
	bpf_link__destroy(link);
	return 0;
}

int vmi_swap(int answer)
{
	object->bss->answer_two = answer;
	object->bss->asked_two = 0;
	return bpf_link__update_map(link_one, object->maps.owner_two);
}

void vmi_detach(void)
{
	bpf_link__destroy(link_one);
	link_one = NULL;
}

void vmi_set_answer(int answer)
{
	__atomic_store_n(&object->bss->answer, answer, __ATOMIC_SEQ_CST);
}

void vmi_set_grant(bool grant)
{
	__atomic_store_n(&object->bss->grant, grant, __ATOMIC_SEQ_CST);
}

uint64_t vmi_granted(int *ret_last)
{
	*ret_last = __atomic_load_n(&object->bss->grant_result, __ATOMIC_SEQ_CST);
	return __atomic_load_n(&object->bss->granted, __ATOMIC_SEQ_CST);
}

void vmi_set_walk_answer(int answer)
{
	object->data->answer_walk = answer;
}

void vmi_set_delay(unsigned int rounds)
{
	object->bss->answer_delay = rounds;
}

uint64_t vmi_asked(void)
{
	return __atomic_load_n(&object->bss->asked, __ATOMIC_SEQ_CST);
}

uint64_t vmi_asked_second(void)
{
	return __atomic_load_n(&object->bss->asked_two, __ATOMIC_SEQ_CST);
}

void vmi_log_clear(void)
{
	object->bss->records = 0;
	object->bss->changes = 0;
	object->bss->lives = 0;
}

/* How many entries of a log that counted @n are there. */
static unsigned int log_length(uint64_t n)
{
	return n < VMI_LOG ? n : VMI_LOG;
}

unsigned int vmi_log_violations(uint64_t id)
{
	unsigned int i, n = log_length(object->bss->records), count = 0;

	for (i = 0; i < n; i++)
		count += object->bss->record[i].vm == id;
	return count;
}

const struct vmi_record *vmi_log_violation(uint64_t id, unsigned int n)
{
	unsigned int i, length = log_length(object->bss->records);

	for (i = 0; i < length; i++)
		if (object->bss->record[i].vm == id && !n--)
			return &object->bss->record[i];
	return NULL;
}

const struct vmi_change *vmi_log_change(uint64_t id, unsigned int n)
{
	unsigned int i, length = log_length(object->bss->changes);

	for (i = 0; i < length; i++)
		if (object->bss->change[i].vm == id && !n--)
			return &object->bss->change[i];
	return NULL;
}

unsigned int vmi_log_lives(uint64_t id, enum vmi_event event)
{
	unsigned int i, n = log_length(object->bss->lives), count = 0;

	for (i = 0; i < n; i++)
		count += object->bss->life[i].vm == id && object->bss->life[i].event == event;
	return count;
}

const struct vmi_life *vmi_log_life(uint64_t id, enum vmi_event event)
{
	unsigned int i = log_length(object->bss->lives);

	while (i--)
		if (object->bss->life[i].vm == id && object->bss->life[i].event == event)
			return &object->bss->life[i];
	return NULL;
}

const char *vmi_violation_text(const struct vmi_record *r)
{
	static char text[320];

	if (!r)
		return "no violation";
	snprintf(text, sizeof(text),
		 "seq %llu kind %u flags %#x gpa %#llx gva %#llx rip %#llx length %u insn_len %u rule %u action %u legal %#x verdict %u",
		 r->v.seq, r->v.kind, r->v.flags, r->v.gpa, r->v.gva, r->v.rip, r->v.length,
		 r->v.insn_len, r->v.rule, r->v.action, r->v.legal, r->verdict);
	return text;
}

struct vm *vmi_new(const struct vm_options *options, uint64_t *ret_id)
{
	struct vm *vm = vm_new(options);

	*ret_id = vmi_vm(vm);
	vmi_log_clear();
	return vm;
}
