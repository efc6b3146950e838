// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The real kernel: programs of bpf/, their pins, and calls through BPF_PROG_RUN.
 * The only file that includes skeletons.
 *
 * Pinned are the link of the struct_ops programs and the maps; a merlond that
 * starts finds them, gives the maps to its own programs, and swaps these in with
 * one link update, so that no violation goes unanswered in between.
 */
#include <fcntl.h>
#include <sys/utsname.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "kernel.h"
#include "log.h"
#include "pins.h"
#include "util/escape.h"
#include "util/util.h"

#include "control.skel.h"
#include "observe.skel.h"
#include "policy.skel.h"

/* Room for the context of any control program. */
union context {
	struct merlon_ctl_caps caps;
	struct merlon_ctl_vm vm;
	struct merlon_ctl_engine engine;
	struct merlon_ctl_rule rule;
	struct merlon_ctl_set_rules set_rules;
	struct merlon_ctl_access access;
	struct merlon_ctl_pin pin;
	struct merlon_ctl_regs regs;
	struct merlon_ctl_admission admission;
	struct merlon_ctl_isolation_host isolation_host;
	struct merlon_ctl_isolation_stats isolation_stats;
	struct merlon_ctl_isolation_place isolation_place;
	struct merlon_ctl_isolation_kick isolation_kick;
};

struct kernel_bpf {
	struct kernel base;
	struct policy_bpf *policy;
	struct observe_bpf *observe;
	struct control_bpf *control;
	struct ring_buffer *rings[KERNEL_NR_RINGS];
	int pins;
	char *bpffs_dir;
	void (*on_record)(const struct merlon_record *record, size_t size, void *userdata);
	void *userdata;
	union context context;
};

/* The first thing libbpf complained about, for libbpf's errnos say little. */
static char libbpf_complaint[256];

static int on_libbpf(enum libbpf_print_level level, const char *format, va_list ap)
{
	_cleanup_free_ char *line = NULL, *shown = NULL;

	if (level == LIBBPF_DEBUG || vasprintf(&line, format, ap) < 0)
		return 0;
	line[strcspn(line, "\n")] = 0;
	shown = escape_terminal(line);
	if (!shown)
		return 0;
	if (level == LIBBPF_WARN && !libbpf_complaint[0])
		snprintf(libbpf_complaint, sizeof(libbpf_complaint), "%s", shown);
	log_debug("%s", shown);
	return 0;
}

_printf_(4, 5)
static int missing(struct kernel_missing *m, const char *what, const char *remedy,
		   const char *format, ...)
{
	va_list ap;

	snprintf(m->what, sizeof(m->what), "%s", what);
	snprintf(m->remedy, sizeof(m->remedy), "%s", remedy);
	va_start(ap, format);
	(void)vsnprintf(m->why, sizeof(m->why), format, ap);
	va_end(ap);
	return -EOPNOTSUPP;
}

/* Is a type there, in the kernel or in the module kvm? */
static bool has_type(struct btf *vmlinux, const char *name, uint32_t kind)
{
	struct btf *kvm;
	bool found;

	if (btf__find_by_name_kind(vmlinux, name, kind) >= 0)
		return true;
	kvm = btf__load_module_btf("kvm", vmlinux);
	if (!kvm)
		return false;
	found = btf__find_by_name_kind(kvm, name, kind) >= 0;
	btf__free(kvm);
	return found;
}

/* A program for a tracepoint that this kernel lacks would keep all others from loading. */
static void leave_out_missing(struct observe_bpf *observe)
{
	struct btf *vmlinux = btf__load_vmlinux_btf();

	if (!vmlinux || !has_type(vmlinux, "btf_trace_kvm_vmi_unpinned", BTF_KIND_TYPEDEF))
		(void)bpf_program__set_autoload(observe->progs.observe_unpinned, false);
	btf__free(vmlinux);
}

/* From the outside in: what is named is what to mend first. */
static int check_support(struct kernel_missing *m)
{
	struct utsname u = { 0 };
	struct btf *vmlinux;
	bool found;

	(void)uname(&u);
	if (geteuid() != 0)
		return missing(m, "privilege", "run merlond as root",
			       "merlond does not run as root");
	if (access("/sys/module/kvm", F_OK) < 0)
		return missing(m, "kvm", "modprobe kvm_intel or kvm_amd",
			       "KVM is not loaded (no /sys/module/kvm)");
	vmlinux = btf__load_vmlinux_btf();
	if (!vmlinux)
		return missing(m, "btf", "boot a kernel with CONFIG_DEBUG_INFO_BTF",
			       "Linux %s has no BTF (/sys/kernel/btf/vmlinux)", u.release);
	found = has_type(vmlinux, "bpf_struct_ops_kvm_vmi_ops", BTF_KIND_STRUCT);
	btf__free(vmlinux);
	if (!found)
		return missing(m, "kvm-patch", "install Merlon's kernel or KVM modules and use them",
			       "the KVM of Linux %s cannot protect (no struct kvm_vmi_ops)",
			       u.release);
	return 0;
}

static int get_pin(const struct kernel_bpf *k, const char *name)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_PATH_FD, .path_fd = k->pins);

	return bpf_obj_get_opts(name, &opts);
}

static int set_pin(const struct kernel_bpf *k, int fd, const char *name)
{
	LIBBPF_OPTS(bpf_obj_pin_opts, opts, .file_flags = BPF_F_PATH_FD, .path_fd = k->pins);

	return bpf_obj_pin_opts(fd, name, &opts);
}

/* libbpf takes any map for @map: a wrong one would be found out by the verifier at best. */
static bool fits(const struct bpf_map *map, int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	return bpf_map_get_info_by_fd(fd, &info, &len) >= 0 &&
	       info.type == bpf_map__type(map) &&
	       info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map) &&
	       info.map_flags == bpf_map__map_flags(map);
}

static const char *const shared_maps[] = {
	MERLON_PIN_CONTROL, MERLON_PIN_EVENTS, MERLON_PIN_VMS, MERLON_PIN_RULES, MERLON_PIN_STATS,
};

/* Gives an object that is not loaded yet the maps that are pinned. */
static int reuse_pins(const struct kernel_bpf *k, struct bpf_object *object)
{
	for (size_t i = 0; i < ARRAY_SIZE(shared_maps); i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(object, shared_maps[i]);
		_cleanup_close_ int fd = -EBADF;
		int r;

		if (!map)
			return -ENOENT;
		fd = get_pin(k, shared_maps[i]);
		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return fd;
		if (!fits(map, fd))
			return -EMEDIUMTYPE;
		r = bpf_map__reuse_fd(map, fd);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Pins what an object that is loaded had to make. */
static int pin_maps(const struct kernel_bpf *k, struct bpf_object *object)
{
	for (size_t i = 0; i < ARRAY_SIZE(shared_maps); i++) {
		int r = set_pin(k, bpf_object__find_map_fd_by_name(object, shared_maps[i]),
				shared_maps[i]);

		if (r < 0 && r != -EEXIST)
			return r;
	}
	return 0;
}

/* The first owner: attach, and keep it attached by a pin. */
static int pin_link(const struct kernel_bpf *k, struct bpf_link *link)
{
	int r;

	/* A pin of a link that was detached, by force or with its module. */
	if (unlinkat(k->pins, MERLON_PIN_LINK, 0) < 0 && errno != ENOENT)
		r = -errno;
	else
		r = set_pin(k, bpf_link__fd(link), MERLON_PIN_LINK);
	if (r >= 0)
		/* Dropping our fd must not detach: the pin holds it now. */
		bpf_link__disconnect(link);
	bpf_link__destroy(link);
	return r;
}

static int attach_policy(const struct kernel_bpf *k, struct kernel_missing *m)
{
	_cleanup_close_ int pinned = -EBADF;
	struct bpf_link *link;
	int r;

	link = bpf_map__attach_struct_ops(k->policy->maps.merlon);
	if (link)
		return pin_link(k, link);
	r = -errno;
	if (r != -EBUSY)
		return r;
	/*
	 * Somebody is attached: our predecessor, if its link is pinned here.  The call
	 * above has made our programs ready for this one.  (Not bpf_link__update_map(),
	 * which reads beyond what bpf_link__open() allocates.)
	 */
	pinned = get_pin(k, MERLON_PIN_LINK);
	if (pinned >= 0)
		r = bpf_link_update(pinned, bpf_map__fd(k->policy->maps.merlon), NULL);
	if (pinned < 0 || r == -ENOLINK) {
		missing(m, "owner", "end the other program ('bpftool struct_ops list' names it)",
			"another program than merlond's decides about violations");
		return -EBUSY;
	}
	return r;
}

static int load_programs(struct kernel_bpf *k, struct kernel_missing *m)
{
	int r;

	k->policy = policy_bpf__open();
	k->observe = observe_bpf__open();
	k->control = control_bpf__open();
	if (!k->policy || !k->observe || !k->control)
		return -errno;
	leave_out_missing(k->observe);
	r = reuse_pins(k, k->policy->obj);
	if (r >= 0)
		r = policy_bpf__load(k->policy);
	if (r >= 0)
		r = pin_maps(k, k->policy->obj);
	if (r >= 0)
		r = reuse_pins(k, k->observe->obj);
	if (r >= 0)
		r = observe_bpf__load(k->observe);
	if (r >= 0)
		r = control_bpf__load(k->control);
	/* Watch first: what the new programs decide is not to be missed. */
	if (r >= 0)
		r = observe_bpf__attach(k->observe);
	if (r >= 0)
		r = attach_policy(k, m);
	return r;
}

static int on_sample(void *userdata, void *data, size_t size)
{
	const struct merlon_record *record = data;
	struct kernel_bpf *k = userdata;

	if (size >= sizeof(*record))
		k->on_record(record, size, k->userdata);
	return 0;
}

static int run(struct kernel_bpf *k, struct bpf_program *program, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &k->context, .ctx_size_in = (__u32)size);
	int r;

	r = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);
	return r < 0 ? r : (int)opts.retval;
}

/* Changes may find a VM in the middle of one; it is over in milliseconds. */
#define RETRIES 200
#define RETRY_USEC 5000

static int run_change(struct kernel_bpf *k, struct bpf_program *program, size_t size)
{
	int r = run(k, program, size);

	for (int i = 0; r == -EAGAIN && i < RETRIES; i++) {
		usleep(RETRY_USEC);
		r = run(k, program, size);
	}
	return r == -EAGAIN ? -ETIMEDOUT : r;
}

static int op_caps(struct kernel *base, struct kvm_vmi_caps *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	int r;

	r = run(k, k->control->progs.ctl_caps, sizeof(k->context.caps));
	if (r < 0)
		return r;
	*ret = k->context.caps.caps;
	return 0;
}

static int get_vm(struct kernel_bpf *k, struct bpf_program *program, uint64_t id,
		  struct kvm_vmi_vm_info *ret)
{
	int r;

	/* A kernel that is older than this program fills less of it. */
	k->context.vm = (struct merlon_ctl_vm) { .vm = id };
	r = run(k, program, sizeof(k->context.vm));
	if (r < 0)
		return r;
	*ret = k->context.vm.info;
	return 0;
}

static int op_vm_info(struct kernel *base, uint64_t id, struct kvm_vmi_vm_info *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;

	return get_vm(k, k->control->progs.ctl_info, id, ret);
}

static int op_vm_next(struct kernel *base, uint64_t after, struct kvm_vmi_vm_info *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;

	return get_vm(k, k->control->progs.ctl_next, after, ret);
}

static int op_set_engine(struct kernel *base, uint64_t vm, enum kvm_vmi_engine engine)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;

	k->context.engine = (struct merlon_ctl_engine) { .vm = vm, .engine = engine };
	return run_change(k, k->control->progs.ctl_set_engine, sizeof(k->context.engine));
}

static int op_set_rules(struct kernel *base, uint64_t vm, const struct kvm_vmi_rule *rules,
			size_t n)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	struct merlon_ctl_set_rules *c = &k->context.set_rules;

	if (n > ARRAY_SIZE(c->rules))
		return -E2BIG;
	c->vm = vm;
	c->nr = (__u32)n;
	memcpy(c->rules, rules, n * sizeof(*rules));
	return run_change(k, k->control->progs.ctl_set_rules, sizeof(*c));
}

static int op_next_rule(struct kernel *base, uint64_t vm, uint32_t after,
			struct kvm_vmi_rule_info *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	int r;

	k->context.rule.vm = vm;
	k->context.rule.rule = after;
	r = run(k, k->control->progs.ctl_next_rule, sizeof(k->context.rule));
	if (r < 0)
		return r;
	*ret = k->context.rule.info;
	return 0;
}

static int op_clear_rule(struct kernel *base, uint64_t vm, uint32_t rule)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;

	k->context.rule.vm = vm;
	k->context.rule.rule = rule;
	return run_change(k, k->control->progs.ctl_clear_rule, sizeof(k->context.rule));
}

static int op_set_access(struct kernel *base, uint64_t vm, const struct kvm_vmi_range *ranges,
			 size_t n)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	struct merlon_ctl_access *c = &k->context.access;

	if (n > ARRAY_SIZE(c->ranges))
		return -E2BIG;
	c->vm = vm;
	c->gfn = 0;
	c->nr = (__u32)n;
	memcpy(c->ranges, ranges, n * sizeof(*ranges));
	return run_change(k, k->control->progs.ctl_set_access, sizeof(*c));
}

static int op_get_access(struct kernel *base, uint64_t vm, uint64_t gfn,
			 struct kvm_vmi_range ret[static KVM_VMI_MAX_BATCH])
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	struct merlon_ctl_access *c = &k->context.access;
	int r;

	c->vm = vm;
	c->gfn = gfn;
	c->nr = 0;
	r = run(k, k->control->progs.ctl_get_access, sizeof(*c));
	if (r > 0)
		memcpy(ret, c->ranges, (size_t)r * sizeof(*ret));
	return r;
}

static int op_set_pin(struct kernel *base, uint64_t vm, const struct kvm_vmi_pin *pin)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	struct merlon_ctl_pin *c = &k->context.pin;

	/* What a newer kernel reads of it beyond ours is to pin nothing. */
	memset(c, 0, sizeof(*c));
	c->vm = vm;
	c->pin = *pin;
	return run_change(k, k->control->progs.ctl_set_pin, sizeof(*c));
}

static int op_get_pin(struct kernel *base, uint64_t vm, uint32_t rule, struct kvm_vmi_pin *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	struct merlon_ctl_pin *c = &k->context.pin;
	int r;

	memset(c, 0, sizeof(*c));
	c->vm = vm;
	c->rule = rule;
	r = run(k, k->control->progs.ctl_get_pin, sizeof(*c));
	if (r < 0)
		return r;
	*ret = c->pin;
	return 0;
}

static int op_regs(struct kernel *base, uint64_t vm, uint32_t vcpu_id, struct kvm_vmi_regs *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	struct merlon_ctl_regs *c = &k->context.regs;
	int r;

	memset(c, 0, sizeof(*c));
	c->vm = vm;
	c->vcpu_id = vcpu_id;
	r = run(k, k->control->progs.ctl_regs, sizeof(*c));
	if (r < 0)
		return r;
	*ret = c->regs;
	return 0;
}

static int op_isolation_host(struct kernel *base, struct kvm_isolation_host *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	struct merlon_ctl_isolation_host *c = &k->context.isolation_host;
	int r;

	memset(c, 0, sizeof(*c));
	r = run(k, k->control->progs.ctl_isolation_host, sizeof(*c));
	if (r < 0)
		return r;
	*ret = c->host;
	return 0;
}

static int op_isolation_stats(struct kernel *base, uint64_t vm, struct kvm_isolation_stats *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	struct merlon_ctl_isolation_stats *c = &k->context.isolation_stats;
	int r;

	memset(c, 0, sizeof(*c));
	c->vm = vm;
	r = run(k, k->control->progs.ctl_isolation_stats, sizeof(*c));
	if (r < 0)
		return r;
	*ret = c->stats;
	return 0;
}

static int op_isolation_place(struct kernel *base, uint64_t vm, uint32_t index,
			      struct kvm_isolation_place *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	struct merlon_ctl_isolation_place *c = &k->context.isolation_place;
	int r;

	memset(c, 0, sizeof(*c));
	c->vm = vm;
	c->index = index;
	r = run(k, k->control->progs.ctl_isolation_place, sizeof(*c));
	if (r < 0)
		return r;
	*ret = c->place;
	return 0;
}

static int op_isolation_set_kick(struct kernel *base, uint64_t vm, uint32_t reasons)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;

	k->context.isolation_kick = (struct merlon_ctl_isolation_kick) {
		.vm = vm, .reasons = reasons,
	};
	return run_change(k, k->control->progs.ctl_isolation_kick,
			  sizeof(k->context.isolation_kick));
}

static int answers_fd(struct kernel *base)
{
	return bpf_map__fd(((struct kernel_bpf *)base)->policy->maps.rules);
}

static int op_set_answer(struct kernel *base, uint64_t cookie, uint32_t answer)
{
	int r = bpf_map_update_elem(answers_fd(base), &cookie, &answer, BPF_ANY);

	return r == -E2BIG ? -ENOBUFS : r;
}

static int op_get_answer(struct kernel *base, uint64_t cookie, uint32_t *ret)
{
	return bpf_map_lookup_elem(answers_fd(base), &cookie, ret);
}

static int op_clear_answer(struct kernel *base, uint64_t cookie)
{
	return bpf_map_delete_elem(answers_fd(base), &cookie);
}

static int op_next_answer(struct kernel *base, const uint64_t *after, uint64_t *ret)
{
	return bpf_map_get_next_key(answers_fd(base), after, ret);
}

static int op_admit(struct kernel *base, uint64_t vm)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;

	k->context.admission.vm = vm;
	return run(k, k->control->progs.ctl_admit, sizeof(k->context.admission));
}

static int op_set_admission(struct kernel *base, enum kvm_vmi_admission mode,
			    uint32_t deadline_ms)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;

	k->context.admission.mode = mode;
	k->context.admission.deadline_ms = deadline_ms;
	return run(k, k->control->progs.ctl_set_admission, sizeof(k->context.admission));
}

static int op_counters(struct kernel *base, uint64_t vm, struct merlon_vm_counters *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	struct merlon_vm_counters c = { 0 };
	int r;

	r = bpf_map_lookup_elem(bpf_map__fd(k->observe->maps.vms), &vm, &c);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret = c;
	return 0;
}

static int op_control_lost(struct kernel *base, uint64_t *ret)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	__u32 index = MERLON_STAT_CONTROL_LOST;
	uint64_t value;
	int r;

	r = bpf_map_lookup_elem(bpf_map__fd(k->observe->maps.stats), &index, &value);
	if (r < 0)
		return r;
	*ret = value;
	return 0;
}

static int op_ring_fd(struct kernel *base, enum kernel_ring ring)
{
	return ring_buffer__epoll_fd(((struct kernel_bpf *)base)->rings[ring]);
}

static int op_drain(struct kernel *base, enum kernel_ring ring, unsigned int max)
{
	return ring_buffer__consume_n(((struct kernel_bpf *)base)->rings[ring], max);
}

static int op_remove(struct kernel *base)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;
	_cleanup_close_ int link = get_pin(k, MERLON_PIN_LINK);

	/* The pin may have company (a leaked fd); detached it is in any case. */
	if (link >= 0)
		(void)bpf_link_detach(link);
	return pins_remove(k->pins, k->bpffs_dir, MERLON_LAYOUT_DIR);
}

static void op_close(struct kernel *base)
{
	struct kernel_bpf *k = (struct kernel_bpf *)base;

	for (size_t i = 0; i < KERNEL_NR_RINGS; i++)
		ring_buffer__free(k->rings[i]);
	control_bpf__destroy(k->control);
	observe_bpf__destroy(k->observe);
	policy_bpf__destroy(k->policy);
	if (k->pins >= 0)
		close(k->pins);
	free(k->bpffs_dir);
	free(k);
}

static const struct kernel_ops bpf_ops = {
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

/* Counters of VMs that ended while no program was attached would stay for ever. */
static void forget_ended(struct kernel_bpf *k)
{
	int fd = bpf_map__fd(k->observe->maps.vms);
	struct kvm_vmi_vm_info info;
	uint64_t id = 0, next;
	bool first = true;

	for (unsigned int i = 0; i < 2 * MERLON_MAX_VMS; i++) {
		if (bpf_map_get_next_key(fd, first ? NULL : &id, &next) < 0)
			break;
		/* Deleting a key makes its place unknown: from the start again then. */
		first = op_vm_info(&k->base, next, &info) == -ESRCH &&
			bpf_map_delete_elem(fd, &next) >= 0;
		id = next;
	}
}

static int open_rings(struct kernel_bpf *k)
{
	k->rings[KERNEL_RING_CONTROL] =
		ring_buffer__new(bpf_map__fd(k->observe->maps.control), on_sample, k, NULL);
	if (!k->rings[KERNEL_RING_CONTROL])
		return -errno;
	k->rings[KERNEL_RING_EVENTS] =
		ring_buffer__new(bpf_map__fd(k->observe->maps.events), on_sample, k, NULL);
	return k->rings[KERNEL_RING_EVENTS] ? 0 : -errno;
}

static int bpf_open(const struct kernel_setup *setup, struct kernel **ret,
		    struct kernel_missing *reterr_missing)
{
	struct kernel_missing *m = reterr_missing;
	struct kernel_bpf *k;
	const char *why;
	int r;

	libbpf_set_print(on_libbpf);
	libbpf_complaint[0] = 0;
	r = check_support(m);
	if (r < 0)
		return r;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->base.ops = &bpf_ops;
	k->on_record = setup->on_record;
	k->userdata = setup->userdata;
	k->bpffs_dir = strdup(setup->bpffs_dir);
	k->pins = pins_open(setup->bpffs_dir, MERLON_LAYOUT_DIR, &why);
	if (k->pins < 0) {
		r = k->pins;
		missing(m, "bpffs", "mount -t bpf bpf /sys/fs/bpf; nothing but merlond makes "
			"directories of its own there", "%s: %s: %s", setup->bpffs_dir, why,
			strerror(-r));
		goto fail;
	}
	r = k->bpffs_dir ? load_programs(k, m) : -ENOMEM;
	if (r >= 0)
		r = open_rings(k);
	if (r == -EMEDIUMTYPE)
		missing(m, "pins", "remove that directory (rules stay in force) and restart merlond",
			"%s/" MERLON_LAYOUT_DIR " holds maps of another make", setup->bpffs_dir);
	else if (r < 0 && !m->what[0])
		missing(m, "programs", "see 'merlond --debug' for what the kernel says",
			"the kernel does not take merlond's programs: %s%s%s", strerror(-r),
			libbpf_complaint[0] ? ": " : "", libbpf_complaint);
	if (r < 0)
		goto fail;
	forget_ended(k);
	*ret = &k->base;
	return 0;

fail:
	op_close(&k->base);
	return r;
}

const struct kernel_backend kernel_backend = {
	.name = "bpf",
	.open = bpf_open,
};
