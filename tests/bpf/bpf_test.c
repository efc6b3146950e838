// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Level bpf, inside the lab: every object loads, or is refused with the words it
 * expects; kvm_vmi_bpf.h fits the kernel; the control programs do what intf.h
 * says, for those who may; struct_ops programs are attached, refused and swapped.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "../../bpf/intf.h"
#include "pins.h"

#include "control.skel.h"
#include "observe.skel.h"
#include "policy.skel.h"

#define LOG_SIZE (1U << 20)

static unsigned int points, failures;
static char log_buffer[LOG_SIZE];

__attribute__((__format__(__printf__, 2, 3)))
static bool check(bool ok, const char *format, ...)
{
	va_list ap;

	printf("%s %u - ", ok ? "ok" : "not ok", ++points);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	failures += !ok;
	return ok;
}

/* The first lines of a verifier's log, as comments. */
static void show_log(const char *log)
{
	char *copy = strdup(log), *save = NULL, *line;
	int n = 0;

	for (line = copy ? strtok_r(copy, "\n", &save) : NULL; line && n < 40;
	     line = strtok_r(NULL, "\n", &save), n++)
		printf("# %s\n", line);
	free(copy);
}

static int quiet(enum libbpf_print_level level, const char *format, va_list ap)
{
	size_t len = strlen(log_buffer);

	/* libbpf prints the verifier's log at level warn; kept for whoever wants it. */
	if (level == LIBBPF_WARN && len < sizeof(log_buffer) - 1)
		vsnprintf(log_buffer + len, sizeof(log_buffer) - len, format, ap);
	return 0;
}

/* The text of section expected_log, NULL if the object has none. */
static char *expected_log(const char *path)
{
	Elf_Scn *section = NULL;
	char *text = NULL;
	size_t names;
	GElf_Shdr head;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ, NULL) : NULL;

	if (elf && elf_getshdrstrndx(elf, &names) == 0) {
		while ((section = elf_nextscn(elf, section))) {
			Elf_Data *data;

			if (!gelf_getshdr(section, &head) ||
			    strcmp(elf_strptr(elf, names, head.sh_name), "expected_log") != 0)
				continue;
			data = elf_getdata(section, NULL);
			if (data && data->d_size)
				text = strndup(data->d_buf, data->d_size);
		}
	}
	elf_end(elf);
	if (fd >= 0)
		close(fd);
	return text;
}

static void test_object(const char *dir, const char *name)
{
	char path[4096], *expected;
	struct bpf_object *object;
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	log_buffer[0] = 0;
	object = bpf_object__open_file(path, NULL);
	if (!object) {
		check(false, "%s opens", name);
		return;
	}
	r = bpf_object__load(object);
	if (!strstr(name, "__fail_")) {
		if (!check(r == 0, "%s loads", name))
			show_log(log_buffer);
	} else {
		expected = expected_log(path);
		if (!check(r < 0 && expected && strstr(log_buffer, expected),
			   "%s is refused: %s", name, expected ? expected : "(says not why)"))
			show_log(r < 0 ? log_buffer : "it loaded");
		free(expected);
	}
	bpf_object__close(object);
}

static void test_objects(const char *dir)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, NULL, alphasort);

	if (!check(n > 2, "objects are in %s", dir))
		return;
	for (int i = 0; i < n; i++) {
		if (strstr(entries[i]->d_name, ".bpf.o"))
			test_object(dir, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

/* Every member of ours is at the same place in the kernel's, which may have more. */
static bool same_struct(const struct btf *ours, const struct btf_type *t, const struct btf *kernel)
{
	const char *name = btf__name_by_offset(ours, t->name_off);
	int id = btf__find_by_name_kind(kernel, name, BTF_KIND_STRUCT);
	const struct btf_type *k = id >= 0 ? btf__type_by_id(kernel, (__u32)id) : NULL;

	if (!k || k->size < t->size)
		return false;
	for (__u32 i = 0; i < btf_vlen(t); i++) {
		const struct btf_member *m = &btf_members(t)[i];
		const char *member = btf__name_by_offset(ours, m->name_off);
		bool found = false;

		for (__u32 j = 0; j < btf_vlen(k) && !found; j++) {
			const struct btf_member *km = &btf_members(k)[j];

			found = strcmp(btf__name_by_offset(kernel, km->name_off), member) == 0 &&
				btf_member_bit_offset(k, j) ==
				btf_member_bit_offset(t, i) &&
				btf__resolve_size(kernel, km->type) ==
				btf__resolve_size(ours, m->type);
		}
		if (!found) {
			printf("# %s.%s\n", name, member);
			return false;
		}
	}
	return true;
}

static bool same_enum(const struct btf *ours, const struct btf_type *t, const struct btf *kernel)
{
	int id = btf__find_by_name_kind(kernel, btf__name_by_offset(ours, t->name_off),
					BTF_KIND_ENUM);
	const struct btf_type *k = id >= 0 ? btf__type_by_id(kernel, (__u32)id) : NULL;

	for (__u32 i = 0; k && i < btf_vlen(t); i++) {
		const struct btf_enum *e = &btf_enum(t)[i];
		bool found = false;

		for (__u32 j = 0; j < btf_vlen(k) && !found; j++)
			found = btf_enum(k)[j].val == e->val &&
				strcmp(btf__name_by_offset(kernel, btf_enum(k)[j].name_off),
				       btf__name_by_offset(ours, e->name_off)) == 0;
		if (!found)
			return false;
	}
	return k;
}

/* Of what a kernel may be built without, only what is there can be compared. */
static bool is_compared(const char *name, bool isolation)
{
	if (strncmp(name, "kvm_vmi_", 8) == 0)
		return true;
	return isolation && strncmp(name, "kvm_isolation_", 14) == 0;
}

static void test_layout(const char *dir)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	struct btf *kvm = kernel ? btf__load_module_btf("kvm", kernel) : NULL;
	const struct btf *where = kvm ? kvm : kernel;
	bool isolation = where && btf__find_by_name_kind(where, "bpf_kvm_isolation_host",
							 BTF_KIND_FUNC) > 0;
	unsigned int structs = 0;

	for (int object = 0; object < 3; object++) {
		static const char *const names[] = { "control", "policy", "observe" };
		char path[4096];
		struct btf *ours;

		snprintf(path, sizeof(path), "%s/%s.bpf.o", dir, names[object]);
		ours = btf__parse(path, NULL);
		if (!check(ours && where, "types of %s and of the kernel can be read", path))
			continue;
		for (__u32 i = 1; i < btf__type_cnt(ours); i++) {
			const struct btf_type *t = btf__type_by_id(ours, i);
			const char *name = btf__name_by_offset(ours, t->name_off);

			if (!name || !is_compared(name, isolation))
				continue;
			if (btf_is_struct(t)) {
				check(same_struct(ours, t, where), "%s: struct %s is the kernel's",
				      names[object], name);
				structs++;
			} else if (btf_is_enum(t)) {
				check(same_enum(ours, t, where), "%s: enum %s is the kernel's",
				      names[object], name);
			}
		}
		for (__u32 i = 1; i < btf__type_cnt(ours); i++) {
			const struct btf_type *t = btf__type_by_id(ours, i);
			const char *name = btf__name_by_offset(ours, t->name_off);

			if (btf_is_func(t) && btf_vlen(t) == BTF_FUNC_EXTERN &&
			    (isolation || strncmp(name, "bpf_kvm_isolation_", 18) != 0))
				check(btf__find_by_name_kind(where, name, BTF_KIND_FUNC) > 0,
				      "%s: the kernel has %s", names[object], name);
		}
		btf__free(ours);
	}
	check(structs >= (isolation ? 11 : 8), "%u structures were compared", structs);
	btf__free(kvm);
	btf__free(kernel);
}

static int run(const struct bpf_program *program, void *context, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = context, .ctx_size_in = (__u32)size);
	int r = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);

	return r < 0 ? r : (int)opts.retval;
}

/* An empty VM; -1 without /dev/kvm. */
static int new_vm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = -1;

	if (kvm >= 0) {
		vm = ioctl(kvm, KVM_CREATE_VM, 0);
		close(kvm);
	}
	return vm;
}

static void test_batches(struct control_bpf *c, __u64 id)
{
	static struct merlon_ctl_set_rules rules;
	static struct merlon_ctl_access access;

	rules.vm = access.vm = id;
	rules.nr = 0;
	check(run(c->progs.ctl_set_rules, &rules, sizeof(rules)) == -E2BIG, "no rules are too few");
	rules.nr = KVM_VMI_MAX_BATCH + 1;
	check(run(c->progs.ctl_set_rules, &rules, sizeof(rules)) == -E2BIG,
	      "%u rules are too many", rules.nr);
	rules.nr = 0x80000000U;
	check(run(c->progs.ctl_set_rules, &rules, sizeof(rules)) == -E2BIG,
	      "a count that wraps is too many");
	rules.nr = KVM_VMI_MAX_BATCH;
	for (__u32 i = 0; i < rules.nr; i++)
		rules.rules[i] = (struct kvm_vmi_rule) { .id = i + 1, .cookie = i + 1000 };
	check(run(c->progs.ctl_set_rules, &rules, sizeof(rules)) == 0, "%u rules are taken",
	      rules.nr);
	rules.rules[1].id = KVM_VMI_RULE_ID_MAX + 1;
	check(run(c->progs.ctl_set_rules, &rules, sizeof(rules)) == -EINVAL,
	      "a batch with one bad rule is not");

	access.nr = KVM_VMI_MAX_BATCH;
	for (__u32 i = 0; i < access.nr; i++)
		access.ranges[i] = (struct kvm_vmi_range) {
			.gfn = 256 + 2 * i, .nr = 1, .rule = i + 1, .write = ~(1U << i % 32),
			.rights = KVM_VMI_RIGHT_ALL,
		};
	check(run(c->progs.ctl_set_access, &access, sizeof(access)) == 0, "%u ranges are taken",
	      access.nr);
	access.ranges[511].rule = 777777;
	access.ranges[0].write = 0;
	check(run(c->progs.ctl_set_access, &access, sizeof(access)) == -ENOENT,
	      "a batch with one unknown rule is not");
	access.gfn = 0;
	access.ranges[0] = (struct kvm_vmi_range) { 0 };
	check(run(c->progs.ctl_get_access, &access, sizeof(access)) >= 1 &&
	      access.ranges[0].gfn == 256 && access.ranges[0].rule == 1 &&
	      access.ranges[0].write == ~1U, "and the map is as it was");
	access.nr = 1;
	access.ranges[0] = (struct kvm_vmi_range) { .gfn = 256, .nr = 1, .rule = 1 };
	check(run(c->progs.ctl_clear_access, &access, sizeof(access)) == 0, "a range is taken back");
	access.gfn = 0;
	check(run(c->progs.ctl_get_access, &access, sizeof(access)) >= 1 &&
	      access.ranges[0].gfn == 258, "and is gone from the map");
}

static void test_rules(struct control_bpf *c, __u64 id)
{
	struct merlon_ctl_rule rule = { .vm = id };

	check(run(c->progs.ctl_next_rule, &rule, sizeof(rule)) == 0 && rule.info.rule.id == 1 &&
	      rule.info.rule.cookie == 1000, "the first rule is listed");
	rule.rule = 100;
	check(run(c->progs.ctl_next_rule, &rule, sizeof(rule)) == 0 && rule.info.rule.id == 101,
	      "and the one above 100");
	rule.rule = 512;
	check(run(c->progs.ctl_next_rule, &rule, sizeof(rule)) == -ENOENT, "and none above the last");
	rule.rule = 5;
	check(run(c->progs.ctl_clear_rule, &rule, sizeof(rule)) == 0, "a rule is dropped");
	check(run(c->progs.ctl_clear_rule, &rule, sizeof(rule)) == -ENOENT, "once");
	rule.rule = 0;
	check(run(c->progs.ctl_clear_rule, &rule, sizeof(rule)) == 0, "all rules are dropped");
	check(run(c->progs.ctl_next_rule, &rule, sizeof(rule)) == -ENOENT, "and none is left");
}

static int set_engine(struct control_bpf *c, __u64 id, __u32 engine)
{
	struct merlon_ctl_engine choice = { .vm = id, .engine = engine };

	return run(c->progs.ctl_set_engine, &choice, sizeof(choice));
}

/* Of a VM that was never protected. */
static void test_engine_open(struct control_bpf *c, __u64 id, const struct kvm_vmi_caps *caps)
{
	struct merlon_ctl_engine choice = { .vm = id };
	bool hardware = caps->features & KVM_VMI_CAP_SUBPAGE_HW;
	struct merlon_ctl_vm vm = { .vm = id };

	check(run(c->progs.ctl_info, &vm, sizeof(vm)) == 0 &&
	      vm.info.engine_wanted == KVM_VMI_ENGINE_AUTO &&
	      vm.info.engine == (hardware ? KVM_VMI_ENGINE_HARDWARE : KVM_VMI_ENGINE_SOFTWARE) &&
	      !(vm.info.flags & KVM_VMI_VM_ENGINE_FIXED), "a new VM's engine is open");
	check(set_engine(c, id, KVM_VMI_ENGINE_HARDWARE) == (hardware ? 0 : -EOPNOTSUPP),
	      hardware ? "hardware is taken" : "hardware, which is not there, is refused");
	check(set_engine(c, id, KVM_VMI_NR_ENGINES) == -EINVAL, "there is no fourth engine");
	check(set_engine(c, id + 1, KVM_VMI_ENGINE_SOFTWARE) == -ESRCH, "nor a VM of another id");
	check(run(c->progs.ctl_set_engine, &choice, 8) == -EINVAL,
	      "a context that is too short is refused");
	check(set_engine(c, id, KVM_VMI_ENGINE_SOFTWARE) == 0 &&
	      run(c->progs.ctl_info, &vm, sizeof(vm)) == 0 &&
	      vm.info.engine_wanted == KVM_VMI_ENGINE_SOFTWARE &&
	      vm.info.engine == KVM_VMI_ENGINE_SOFTWARE, "software is taken");
}

/* Of one that was, by software, and is not any more. */
static void test_engine_settled(struct control_bpf *c, __u64 id)
{
	struct merlon_ctl_vm vm = { .vm = id };

	check(set_engine(c, id, KVM_VMI_ENGINE_AUTO) == -EBUSY &&
	      set_engine(c, id, KVM_VMI_ENGINE_SOFTWARE) == -EBUSY,
	      "after protection it is settled");
	check(run(c->progs.ctl_info, &vm, sizeof(vm)) == 0 &&
	      vm.info.flags & KVM_VMI_VM_ENGINE_FIXED &&
	      vm.info.engine == KVM_VMI_ENGINE_SOFTWARE && !vm.info.table_bytes, "as it was");
}

/*
 * Address-space isolation: all of it, or, where the kernel is built without it, or the VM is
 * not isolated, a refusal for each call.
 */
static void test_isolation(struct control_bpf *c, __u64 id)
{
	struct merlon_ctl_isolation_host host = { .room = { 0 } };
	struct merlon_ctl_isolation_stats stats = { .vm = id };
	struct merlon_ctl_isolation_place place = { .vm = id };
	struct merlon_ctl_isolation_kick kick = { .vm = id };
	int r = run(c->progs.ctl_isolation_host, &host, sizeof(host));
	int wanted = r;

	if (!check(r == 0 || r == -ENOSYS, "the kernel says whether it isolates (%d)", r))
		return;
	if (r == 0)
		wanted = host.host.on ? 0 : -EOPNOTSUPP;
	check(run(c->progs.ctl_isolation_stats, &stats, sizeof(stats)) == wanted,
	      "counters of a VM: %d", wanted);
	check(run(c->progs.ctl_isolation_place, &place, sizeof(place)) == (wanted ?: -ENOENT),
	      "of a VM that has not run there is no place");
	kick.reasons = KVM_ISOLATION_KICK_ALWAYS;
	check(run(c->progs.ctl_isolation_kick, &kick, sizeof(kick)) == wanted,
	      "siblings are kicked: %d", wanted);
	check(wanted || (run(c->progs.ctl_isolation_stats, &stats, sizeof(stats)) == 0 &&
			 stats.stats.kick == KVM_ISOLATION_KICK_ALWAYS), "which it tells");
	kick.reasons = KVM_ISOLATION_KICK_ALWAYS + 1;
	check(run(c->progs.ctl_isolation_kick, &kick, sizeof(kick)) ==
	      (r == -ENOSYS ? -ENOSYS : -EINVAL), "for no reason that does not exist");
	stats.vm = id + 1;
	check(run(c->progs.ctl_isolation_stats, &stats, sizeof(stats)) ==
	      (r == -ENOSYS ? -ENOSYS : -ESRCH), "a VM of another id has no counters");
	if (r == 0)
		check(run(c->progs.ctl_isolation_host, &host, 8) == -EINVAL,
		      "a context that is too short is refused");
}

static void test_control(void)
{
	struct control_bpf *c = control_bpf__open_and_load();
	static struct merlon_ctl_read read;
	struct merlon_ctl_caps caps = { .room = { 0 } };
	struct merlon_ctl_vm vm = { .vm = 0 };
	struct merlon_ctl_admission admission = { .vm = 0 };
	struct merlon_ctl_regs regs = { .vm = 0 };
	__u64 before = 0, id;
	int fd;

	if (!check(c, "control programs load"))
		return;
	check(run(c->progs.ctl_caps, &caps, sizeof(caps)) == 0 && caps.caps.abi >= KVM_VMI_ABI &&
	      caps.caps.features & KVM_VMI_CAP_WRITE, "the kernel says what it can do");
	check(run(c->progs.ctl_caps, &caps, 8) == -EINVAL, "a context that is too short is refused");
	while (run(c->progs.ctl_next, &vm, sizeof(vm)) == 0)
		before = vm.vm = vm.info.id;
	fd = new_vm();
	if (!check(fd >= 0, "a VM is made"))
		goto end;
	check(run(c->progs.ctl_next, &vm, sizeof(vm)) == 0 && vm.info.id > before &&
	      vm.info.pid == (__u32)getpid() && vm.info.uid == geteuid(),
	      "it is found, with our pid and uid");
	id = vm.vm = vm.info.id;
	check(run(c->progs.ctl_info, &vm, sizeof(vm)) == 0 && vm.info.id == id, "by its id, too");
	vm.vm = id + 1;
	check(run(c->progs.ctl_info, &vm, sizeof(vm)) == -ESRCH, "another id names no VM");
	test_engine_open(c, id, &caps.caps);
	test_batches(c, id);
	test_rules(c, id);
	test_engine_settled(c, id);
	test_isolation(c, id);

	read.vm = id;
	read.length = 16;
	check(run(c->progs.ctl_read, &read, sizeof(read)) == -EFAULT,
	      "memory that is not there is not read");
	read.length = MERLON_READ_MAX + 1;
	check(run(c->progs.ctl_read, &read, sizeof(read)) == -E2BIG, "nor too much of it");
	regs.vm = id;
	check(run(c->progs.ctl_regs, &regs, sizeof(regs)) == -ENOENT,
	      "a vCPU that is not there has no registers");
	admission.mode = 3;
	check(run(c->progs.ctl_set_admission, &admission, sizeof(admission)) == -EINVAL,
	      "there is no fourth mode of admission");
	admission.mode = KVM_VMI_ADMIT_OFF;
	check(run(c->progs.ctl_set_admission, &admission, sizeof(admission)) == 0,
	      "the first is off");
	close(fd);
	vm.vm = id;
	check(run(c->progs.ctl_info, &vm, sizeof(vm)) == -ESRCH, "a VM that ended is not found");
end:
	control_bpf__destroy(c);
}

/* A program's fd in the hands of somebody without privilege. */
static void test_privilege(void)
{
	struct control_bpf *c = control_bpf__open_and_load();
	struct merlon_ctl_caps caps = { .room = { 0 } };
	struct merlon_ctl_vm vm = { .vm = 0 };
	struct merlon_ctl_admission admission = { .mode = KVM_VMI_ADMIT_CLOSED };
	struct merlon_ctl_isolation_host host = { .room = { 0 } };
	int fd = new_vm(), status = -1;
	__u64 id = 0;
	pid_t pid;

	if (!check(c && fd >= 0, "programs and a VM are there"))
		return;
	while (run(c->progs.ctl_next, &vm, sizeof(vm)) == 0)
		id = vm.vm = vm.info.id;
	vm.vm = 0;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		int bad = 0;

		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(100);
		bad |= run(c->progs.ctl_caps, &caps, sizeof(caps)) != -EPERM ? 1 : 0;
		bad |= run(c->progs.ctl_next, &vm, sizeof(vm)) != -ESRCH ? 2 : 0;
		bad |= run(c->progs.ctl_set_admission, &admission, sizeof(admission)) != -EPERM ?
		       4 : 0;
		bad |= set_engine(c, id, KVM_VMI_ENGINE_SOFTWARE) != -ESRCH ? 8 : 0;
		status = run(c->progs.ctl_isolation_host, &host, sizeof(host));
		bad |= status != -EPERM && status != -ENOSYS ? 16 : 0;
		_exit(bad);
	}
	waitpid(pid, &status, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	      "nobody gets nothing out of a leaked program (%d)", WEXITSTATUS(status));
	check(run(c->progs.ctl_caps, &caps, sizeof(caps)) == 0 &&
	      caps.caps.admission == KVM_VMI_ADMIT_OFF, "and root still does");
	check(set_engine(c, id, KVM_VMI_ENGINE_SOFTWARE) == 0, "on that VM, too");
	close(fd);
	control_bpf__destroy(c);
}

struct seen {
	unsigned int created, destroyed;
	__u64 id;
	bool short_record;
};

static int on_record(void *userdata, void *data, size_t size)
{
	const struct merlon_record *record = data;
	struct seen *seen = userdata;

	seen->short_record |= size < sizeof(*record) || record->size > size;
	if (record->kind == MERLON_RECORD_VM_CREATED) {
		seen->created++;
		seen->id = record->vm;
	}
	if (record->kind == MERLON_RECORD_VM_DESTROYED)
		seen->destroyed++;
	return 0;
}

static void test_struct_ops(void)
{
	struct policy_bpf *first = policy_bpf__open_and_load();
	struct policy_bpf *second = policy_bpf__open_and_load();
	struct merlon_vm_counters counters;
	struct ring_buffer *ring = NULL;
	struct bpf_link *link = NULL;
	struct seen seen = { 0 };
	__u64 old_id;
	int old, vm;

	old = new_vm();
	if (!check(first && second && old >= 0, "two policies load, a VM exists"))
		return;
	ring = ring_buffer__new(bpf_map__fd(first->maps.control), on_record, &seen, NULL);
	link = bpf_map__attach_struct_ops(first->maps.merlon);
	if (!check(link && ring, "the first policy is attached"))
		return;
	ring_buffer__consume(ring);
	check(seen.created == 1, "the VM that existed is announced once");
	old_id = seen.id;
	check(bpf_map_lookup_elem(bpf_map__fd(first->maps.vms), &old_id, &counters) == 0,
	      "and has counters");
	check(!bpf_map__attach_struct_ops(second->maps.merlon) && errno == EBUSY,
	      "a second owner is refused");

	vm = new_vm();
	ring_buffer__consume(ring);
	check(vm >= 0 && seen.created == 2, "a new VM is announced");
	check(bpf_link_update(bpf_link__fd(link), bpf_map__fd(second->maps.merlon), NULL) == 0,
	      "an update swaps the programs");
	ring_buffer__consume(ring);
	check(seen.created == 2, "and announces nothing again");
	close(vm);
	ring_buffer__consume(ring);
	check(seen.destroyed == 0, "the old programs are not called any more");
	check(bpf_link_update(bpf_link__fd(link), bpf_map__fd(first->maps.merlon), NULL) == 0,
	      "an update goes back");
	close(old);
	ring_buffer__consume(ring);
	check(seen.destroyed == 1 && !seen.short_record, "the end of a VM is told");
	check(bpf_map_lookup_elem(bpf_map__fd(first->maps.vms), &old_id, &counters) == -ENOENT,
	      "and its counters are gone");

	bpf_link__destroy(link);
	link = bpf_map__attach_struct_ops(second->maps.merlon);
	check(link, "after the owner has gone, another may come");
	bpf_link__destroy(link);
	ring_buffer__free(ring);
	policy_bpf__destroy(first);
	policy_bpf__destroy(second);
}

static void test_observe(void)
{
	struct observe_bpf *observe = observe_bpf__open_and_load();

	if (check(observe, "the observing programs load"))
		check(observe_bpf__attach(observe) == 0, "and are attached");
	observe_bpf__destroy(observe);
}

/* The directory of pins, and those somebody else may have made in its place. */
static void test_pins(void)
{
	static const char dir[] = "/sys/fs/bpf/pins-test", below[] = "/sys/fs/bpf/pins-test/v9";
	const char *why = NULL;
	struct stat st;
	int fd;

	fd = pins_open(dir, "v9", &why);
	check(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0700 && st.st_uid == 0,
	      "the directory of pins is made, root's alone");
	close(fd);
	fd = pins_open(dir, "v9", &why);
	check(fd >= 0, "and found again");
	check(pins_remove(fd, dir, "v9") == 0 && access(dir, F_OK) < 0, "and removed");
	close(fd);

	check(mkdir(dir, 0700) == 0 && chown(dir, 65534, 65534) == 0 &&
	      pins_open(dir, "v9", &why) == -EPERM, "nobody's directory is refused");
	rmdir(dir);
	check(mkdir(dir, 0700) == 0 && chmod(dir, 0777) == 0 &&
	      pins_open(dir, "v9", &why) == -EPERM, "one that is open to all is refused");
	chmod(dir, 0700);
	check(mkdir(below, 0700) == 0 && chown(below, 65534, 65534) == 0 &&
	      pins_open(dir, "v9", &why) == -EPERM, "and one inside a good one");
	rmdir(below);
	rmdir(dir);
	check(symlink("/tmp", dir) == 0 && pins_open(dir, "v9", &why) < 0, "a link is refused");
	unlink(dir);
	check(pins_open("/tmp/pins-test", "v9", &why) == -ENOTDIR &&
	      access("/tmp/pins-test", F_OK) < 0, "and what is not on a bpffs");
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : "/lab/bpf";

	setvbuf(stdout, NULL, _IOLBF, 0);
	elf_version(EV_CURRENT);
	libbpf_set_print(quiet);
	test_objects(dir);
	test_layout(dir);
	test_control();
	test_privilege();
	test_struct_ops();
	test_observe();
	test_pins();
	printf("1..%u\n", points);
	return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
