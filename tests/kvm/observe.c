// SPDX-License-Identifier: GPL-2.0-or-later
/* Looking at a VM: who it is, what is in its memory and in its registers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/attempt.h"
#include "suites.h"

#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define MSR_LSTAR	0xc0000082

/* Field 22 of /proc/self/stat: start time in ticks since boot. */
static uint64_t own_start_ticks(void)
{
	char text[1024], *p;
	int i, fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	require(n > 0, "/proc/self/stat");
	close(fd);
	text[n] = 0;
	p = strrchr(text, ')');
	for (i = 0; i < 20; i++)
		p = strchr(p + 1, ' ');
	return strtoull(p, NULL, 10);
}

static void test_identity(uintptr_t arg)
{
	struct kvm_vmi_vm_info info;
	uint64_t id, ticks = own_start_ticks();
	struct vm *vm = vmi_new(&(struct vm_options){ .vcpus = 2 }, &id);
	struct stat st;

	(void)arg;
	expect_eq(vmi_info(id, &info), 0);
	expect_eq(info.id, id);
	expect_eq(info.pid, getpid());
	expect_eq(info.uid, geteuid());
	expect_eq(info.start_time / (1000000000 / sysconf(_SC_CLK_TCK)), ticks);
	if (!stat("/sys/fs/cgroup", &st) && info.cgroup_id)
		expect(info.cgroup_id >= st.st_ino, "cgroup %llu", info.cgroup_id);
	expect_eq(info.vcpus, 2);
	expect_eq(info.generation, 0);
	expect_eq(info.violations, 0);
	expect_eq(info.rules, 0);
	expect_eq(info.map_entries, 0);
	expect_eq(info.flags, 0);
	vm_free(vm);
}

static void *create_vm(void *fd)
{
	return (void *)(intptr_t)ioctl((intptr_t)fd, KVM_CREATE_VM, 0UL);
}

/* It is the creator's identity: of the process, not the thread; effective; for ever. */
static void test_creator(uintptr_t arg)
{
	struct kvm_vmi_vm_info info;
	uint64_t id = 0, after = 0;
	pthread_t thread;
	void *vm_fd;
	int status, fd;
	pid_t pid;

	(void)arg;
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	require(fd >= 0, "/dev/kvm");
	pid = fork();
	if (!pid) {
		require(!pthread_create(&thread, NULL, create_vm, (void *)(intptr_t)fd), "thread");
		pthread_join(thread, &vm_fd);
		require((intptr_t)vm_fd >= 0, "KVM_CREATE_VM");
		expect_eq(vmi_info(vmi_vm(NULL), &info), 0);
		expect_eq(info.pid, getpid());
		close((intptr_t)vm_fd);

		require(!seteuid(1234), "seteuid");
		vm_fd = create_vm((void *)(intptr_t)fd);
		require(!seteuid(0), "seteuid");
		id = vmi_vm(NULL);
		expect_eq(vmi_info(id, &info), 0);
		expect_eq(info.uid, 1234);
		_exit(0);
	}
	require(pid > 0 && waitpid(pid, &status, 0) == pid, "fork");
	expect(WIFEXITED(status) && !WEXITSTATUS(status), "the child failed");
	/* Its VM is gone with it. */
	while (!vmi_next(after, &info)) {
		expect(info.pid != (uint32_t)pid, "VM %llu of a dead process", info.id);
		after = info.id;
	}
}

/* Enumeration finds every VM once, in order. */
static void test_enumeration(uintptr_t arg)
{
	struct vm *vms[5];
	uint64_t ids[5], after = 0;
	struct kvm_vmi_vm_info info;
	unsigned int i, found = 0;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(vms); i++)
		vms[i] = vmi_new(NULL, &ids[i]);
	vm_free(vms[2]);
	while (!vmi_next(after, &info)) {
		expect(info.id > after, "%llu after %llu", info.id, (unsigned long long)after);
		after = info.id;
		for (i = 0; i < ARRAY_SIZE(vms); i++) {
			if (info.id != ids[i])
				continue;
			found |= 1U << i;
			expect(i != 2, "a destroyed VM");
		}
	}
	expect_eq(found, 0x1b);
	for (i = 0; i < ARRAY_SIZE(vms); i++)
		if (i != 2)
			vm_free(vms[i]);
}

static void test_caps(uintptr_t arg)
{
	struct kvm_vmi_caps caps;

	(void)arg;
	expect_eq(vmi_caps(&caps), 0);
	expect_eq(caps.abi, KVM_VMI_ABI);
	expect(caps.features & KVM_VMI_CAP_WRITE && caps.features & KVM_VMI_CAP_SUBPAGE_SW &&
	       caps.features & KVM_VMI_CAP_PIN,
	       "features %#llx", caps.features);
	expect(caps.vendor == KVM_VMI_VENDOR_INTEL || caps.vendor == KVM_VMI_VENDOR_AMD,
	       "vendor %u", caps.vendor);
	expect_eq(caps.verdicts & (1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW | 1U << KVM_VMI_SKIP |
				   1U << KVM_VMI_KILL | 1U << KVM_VMI_EXIT | 1U << KVM_VMI_HOLD),
		  1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW | 1U << KVM_VMI_SKIP |
		  1U << KVM_VMI_KILL | 1U << KVM_VMI_EXIT);
	expect_eq(caps.kinds, 1U << KVM_VMI_WRITE | 1U << KVM_VMI_WALK | 1U << KVM_VMI_KVM |
			      1U << KVM_VMI_CR | 1U << KVM_VMI_EFER | 1U << KVM_VMI_UNEMULATABLE |
			      (caps.features & KVM_VMI_CAP_READ ? 1U << KVM_VMI_READ : 0) |
			      (caps.features & KVM_VMI_CAP_EXEC ? 1U << KVM_VMI_FETCH : 0));
	expect_eq(caps.admission, KVM_VMI_ADMIT_OFF);
}

static void test_read(uintptr_t backing)
{
	static uint8_t buffer[VMI_READ_MAX];
	uint64_t id, value, i;
	struct vm *vm = vmi_new(&(struct vm_options){ .arena_pages = 64, .arena = backing }, &id);
	struct vcpu *v = vm->vcpu[0];

	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA, 0x1111, PAGE_SIZE, 64));
	expect_done(vcpu_op(v, OP_STORE, DATA + 0x123, 0xabcdef, 8));
	expect_eq(vmi_read(id, DATA + 0x123, &value, 8), 0);
	expect_eq(value, 0xabcdef);
	expect_eq(vmi_read(id, DATA + 0x124, &value, 1), 0);
	expect_eq(value & 0xff, 0xcd);
	/* Over page boundaries, and as much as one call takes. */
	expect_eq(vmi_read(id, GUEST_ARENA + 0x800, buffer, 0x1000), 0);
	expect_eq(*(uint64_t *)(buffer + 0x800), 0x1111);
	expect_eq(vmi_read(id, GUEST_ARENA, buffer, 64 << 10), 0);
	for (i = 0; i < 16; i++)
		expect_eq(*(uint64_t *)(buffer + i * PAGE_SIZE), 0x1111);
	expect_eq(-vmi_read(id, GUEST_ARENA, buffer, (64 << 10) + 1), EINVAL);
	expect_eq(-vmi_read(id, GUEST_ARENA, buffer, 0), EINVAL);
	expect_eq(-vmi_read(id, ~0ULL - 3, buffer, 8), EINVAL);
	expect_eq(-vmi_read(id, GUEST_ARENA + 64 * PAGE_SIZE, buffer, 8), EFAULT);
	expect_eq(-vmi_read(id, GUEST_ARENA + 64 * PAGE_SIZE - 4, buffer, 8), EFAULT);
	expect_eq(-vmi_read(id, 1ULL << 60, buffer, 8), EFAULT);
	if (backing == BACKING_ANONYMOUS) {
		madvise(vm_hva(vm, DATA), PAGE_SIZE, MADV_DONTNEED);
		expect_eq(-vmi_read(id, DATA, &value, 8), EAGAIN);
		expect_done(vcpu_op(v, OP_STORE, DATA, 7, 8));
		expect_eq(vmi_read(id, DATA, &value, 8), 0);
		expect_eq(value, 7);
	}
	/* Reading what is protected is not writing it. */
	vmi_rule(id, 1, KVM_VMI_DENY, 0);
	vmi_protect(id, 1, DATA, 0);
	expect_eq(vmi_read(id, DATA, &value, 8), 0);
	expect_eq(vmi_log_violations(id), 0);
	vm_free(vm);
}

static void check_idle_regs(struct vcpu *v, uint64_t id)
{
	struct kvm_vmi_regs r;
	struct kvm_regs regs;
	struct kvm_sregs s;

	require_eq(vmi_regs(id, v->id, &r), 0);
	vcpu_ioctl(v, KVM_GET_REGS, &regs);
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	expect_eq(r.gpr[0], regs.rax);
	expect_eq(r.gpr[1], regs.rcx);
	expect_eq(r.gpr[2], regs.rdx);
	expect_eq(r.gpr[3], regs.rbx);
	expect_eq(r.gpr[4], regs.rsp);
	expect_eq(r.gpr[5], regs.rbp);
	expect_eq(r.gpr[6], regs.rsi);
	expect_eq(r.gpr[7], regs.rdi);
	expect_eq(r.gpr[8], regs.r8);
	expect_eq(r.gpr[15], regs.r15);
	expect_eq(r.rip, regs.rip);
	expect_eq(r.rflags, regs.rflags);
	expect_eq(r.base[0], s.es.base);
	expect_eq(r.base[1], s.cs.base);
	expect_eq(r.base[2], s.ss.base);
	expect_eq(r.base[3], s.ds.base);
	expect_eq(r.base[4], s.fs.base);
	expect_eq(r.base[5], s.gs.base);
	expect_eq(r.cr0, s.cr0);
	expect_eq(r.cr2, s.cr2);
	expect_eq(r.cr3, s.cr3);
	expect_eq(r.cr4, s.cr4);
	expect_eq(r.efer, s.efer);
	expect_eq(r.idt_base, s.idt.base);
	expect_eq(r.idt_limit, s.idt.limit);
	expect_eq(r.gdt_base, s.gdt.base);
	expect_eq(r.gdt_limit, s.gdt.limit);
	expect_eq(r.cpl, 0);
	expect_eq(r.nested, 0);
}

static void test_regs_idle(uintptr_t arg)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = {
		.head.nmsrs = 1,
		.entry = { .index = MSR_LSTAR, .data = 0xffffffff81234560 },
	};
	struct kvm_regs regs = {
		.rax = 1, .rcx = 2, .rdx = 3, .rbx = 4, .rsp = 5, .rbp = 6, .rsi = 7, .rdi = 8,
		.r8 = 9, .r15 = 16, .rip = 0x200000, .rflags = 0x202,
	};
	uint64_t id;
	struct vm *vm = vmi_new(&(struct vm_options){ .vcpus = 2 }, &id);
	struct kvm_vmi_regs r;

	(void)arg;
	check_idle_regs(vm->vcpu[1], id);
	vcpu_ioctl(vm->vcpu[1], KVM_SET_REGS, &regs);
	require_eq(vcpu_ioctl(vm->vcpu[1], KVM_SET_MSRS, &msr), 1);
	check_idle_regs(vm->vcpu[1], id);
	check_idle_regs(vm->vcpu[0], id);
	expect_eq(vmi_regs(id, 1, &r), 0);
	expect_eq(r.lstar, msr.entry.data);
	expect_done(vcpu_op(vm->vcpu[0], OP_NOP));
	check_idle_regs(vm->vcpu[0], id);
	vm_free(vm);
}

/* From a vCPU that runs, in its kernel and in its user mode. */
static void test_regs_running(uintptr_t user)
{
	uint64_t id, image_end = GUEST_IMAGE_BASE + GUEST_IMAGE_MAX;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_vmi_regs r;
	unsigned int i;

	if (user)
		v->cpu->flags |= GUEST_F_USER;
	vcpu_spawn(v, OP_RDTSC_SPIN, ~0UL);
	require(vcpu_wait_progress(v, 10), "the vCPU does not run");
	for (i = 0; i < 20; i++) {
		require_eq(vmi_regs(id, 0, &r), 0);
		expect(r.rip >= GUEST_IMAGE_BASE && r.rip < image_end, "rip %#llx", r.rip);
		expect(r.gpr[4] >= v->block && r.gpr[4] < v->block + GUEST_CPU_SIZE, "rsp %#llx",
		       r.gpr[4]);
		expect_eq(r.cr3, vm->cr3);
		expect_eq(r.cpl, user ? 3 : 0);
		expect_eq(r.base[5], v->block + GUEST_MAILBOX);
	}
	v->cpu->stop = 1;
	expect_done(vcpu_join(v));
	expect_eq(vmi_regs(id, 0, &r), 0);
	vm_free(vm);
}

/* From a vCPU that has halted inside the kernel. */
static void test_regs_halted(uintptr_t arg)
{
	struct timespec t = { .tv_nsec = 50000000 };
	uint64_t id;
	struct vm *vm = vmi_new(&(struct vm_options){ .flags = VM_IRQCHIP }, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_vmi_regs r;

	(void)arg;
	v->timeout_ms = 500;
	vcpu_spawn(v, OP_HLT);
	nanosleep(&t, NULL);
	expect_eq(vmi_regs(id, 0, &r), 0);
	expect(r.rip >= GUEST_IMAGE_BASE && r.rip < GUEST_IMAGE_BASE + GUEST_IMAGE_MAX,
	       "rip %#llx", r.rip);
	expect_end(vcpu_join(v), RUN_TIMEOUT);
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "identity", test_identity },
	{ "creator", test_creator },
	{ "enumeration", test_enumeration },
	{ "caps", test_caps },
	{ "read", test_read, BACKING_ANONYMOUS },
	{ "read-thp", test_read, BACKING_THP },
	{ "read-shared", test_read, BACKING_SHARED },
	{ "regs-idle", test_regs_idle },
	{ "regs-running", test_regs_running, 0 },
	{ "regs-running-user", test_regs_running, 1 },
	{ "regs-halted", test_regs_halted },
	{ }
};

const struct test_suite suite_observe = { .name = "observe", .cases = cases, .setup = vmi_setup };
