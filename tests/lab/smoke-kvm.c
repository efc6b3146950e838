// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does the lab's KVM run a guest at all? A few instructions in real mode and in
 * 64-bit mode, on every CPU of the host. Not a test of Merlon: of what it
 * stands on.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY (4u << 20)
#define CODE 0x1000u
#define TABLES 0x10000u	 /* PML4, PDPT, PD: a page each */
#define MARK 0x200000u	 /* what the 64-bit guest writes, in its second large page */
#define PORT 0x10

#define PTE_PRESENT_WRITE 3ull
#define PTE_LARGE 0x80ull
#define CR0_PE 1ull
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)

/* mov $PORT,%dx; add %bl,%al; out %al,(%dx); hlt */
static const uint8_t real_code[] = { 0xba, PORT, 0x00, 0x00, 0xd8, 0xee, 0xf4 };

/* mov $PORT,%edx; mov %rax,(%rbx); mov (%rbx),%rcx; mov %ecx,%eax; out %eax,(%dx); hlt */
static const uint8_t long_code[] = { 0xba, PORT, 0, 0, 0, 0x48, 0x89, 0x03,
				     0x48, 0x8b, 0x0b, 0x89, 0xc8, 0xef, 0xf4 };

/*
 * mov $PORT,%edx; mov %cr2,%rax; mov %rbx,%cr2; out %eax,(%dx);
 * mov %cr2,%rax; out %eax,(%dx); hlt
 */
static const uint8_t cr2_code[] = { 0xba, PORT, 0, 0, 0, 0x0f, 0x20, 0xd0, 0x0f, 0x22, 0xd3, 0xef,
				    0x0f, 0x20, 0xd0, 0xef, 0xf4 };

struct guest {
	int vm, vcpu;
	uint8_t *memory;
	struct kvm_run *run;
};

static unsigned int points, failures;

__attribute__((format(printf, 2, 3))) static bool check(bool ok, const char *format, ...)
{
	int error = errno;
	va_list ap;

	printf("%sok %u - ", ok ? "" : "not ", ++points);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	if (!ok) {
		printf("# errno: %s\n", strerror(error));
		failures++;
	}
	return ok;
}

/* A vCPU has no features, 64-bit mode among them, until it is told which. */
static bool give_features(int kvm, int vcpu)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} cpuid;

	cpuid.head.nent = sizeof(cpuid.entries) / sizeof(cpuid.entries[0]);
	return !ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) &&
	       !ioctl(vcpu, KVM_SET_CPUID2, &cpuid);
}

static bool guest_open(struct guest *g, int kvm)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	g->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (g->vm < 0 || size < 0)
		return false;
	g->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (g->memory == MAP_FAILED)
		return false;
	region.userspace_addr = (uintptr_t)g->memory;
	if (ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return false;
	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	if (g->vcpu < 0 || !give_features(kvm, g->vcpu))
		return false;
	g->run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	return g->run != MAP_FAILED;
}

static void guest_close(struct guest *g)
{
	close(g->vcpu);
	close(g->vm);
	munmap(g->memory, MEMORY);
}

static bool enter_real_mode(struct guest *g)
{
	struct kvm_sregs s;

	if (ioctl(g->vcpu, KVM_GET_SREGS, &s) < 0)
		return false;
	s.cs.base = 0;
	s.cs.selector = 0;
	memcpy(g->memory + CODE, real_code, sizeof(real_code));
	return !ioctl(g->vcpu, KVM_SET_SREGS, &s);
}

static bool enter_long_mode(struct guest *g, const void *instructions, size_t size, uint64_t cr2)
{
	struct kvm_segment code = { .limit = ~0u, .selector = 8, .type = 11, .present = 1,
				    .s = 1, .l = 1, .g = 1 };
	struct kvm_segment data = { .limit = ~0u, .selector = 16, .type = 3, .present = 1,
				    .s = 1, .db = 1, .g = 1 };
	uint64_t *tables = (uint64_t *)(g->memory + TABLES);
	struct kvm_sregs s;

	if (ioctl(g->vcpu, KVM_GET_SREGS, &s) < 0)
		return false;
	tables[0] = (TABLES + 0x1000) | PTE_PRESENT_WRITE;
	tables[512] = (TABLES + 0x2000) | PTE_PRESENT_WRITE;
	for (uint64_t i = 0; i < MEMORY >> 21; i++)
		tables[1024 + i] = i << 21 | PTE_LARGE | PTE_PRESENT_WRITE;
	s.cr3 = TABLES;
	s.cr4 |= CR4_PAE;
	s.cr0 |= CR0_PE | CR0_PG;
	s.efer |= EFER_LME | EFER_LMA;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cr2 = cr2;
	memcpy(g->memory + CODE, instructions, size);
	return !ioctl(g->vcpu, KVM_SET_SREGS, &s);
}

/* Runs on; returns the value sent to PORT, or -1 for any other exit. */
static int64_t run_on_to_port(struct guest *g)
{
	uint32_t value = 0;

	if (ioctl(g->vcpu, KVM_RUN, 0) < 0)
		return -1;
	if (g->run->exit_reason != KVM_EXIT_IO || g->run->io.port != PORT) {
		printf("# exit reason %u\n", g->run->exit_reason);
		return -1;
	}
	memcpy(&value, (uint8_t *)g->run + g->run->io.data_offset, g->run->io.size);
	return value;
}

/* The same from CODE. */
static int64_t run_to_port(struct guest *g, uint64_t rax, uint64_t rbx)
{
	struct kvm_regs r = { .rip = CODE, .rax = rax, .rbx = rbx, .rflags = 2 };

	return ioctl(g->vcpu, KVM_SET_REGS, &r) < 0 ? -1 : run_on_to_port(g);
}

static bool run_to_halt(struct guest *g)
{
	return !ioctl(g->vcpu, KVM_RUN, 0) && g->run->exit_reason == KVM_EXIT_HLT;
}

/* The host's CR2 becomes the address of this. */
static void fault_page_in(void)
{
	volatile char *page = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	*page = 1;
	munmap((void *)page, 1);
}

static void test_cr2(int kvm, int cpu)
{
	struct guest g = {};

	if (!check(guest_open(&g, kvm) && enter_long_mode(&g, cr2_code, sizeof(cr2_code), 0x1235),
		   "CPU %d: a VM with a CR2", cpu))
		return;
	check(run_to_port(&g, 0, 0x6789) == 0x1235, "CPU %d: it is the guest's", cpu);
	fault_page_in();
	check(run_on_to_port(&g) == 0x6789, "CPU %d: and is while the host has page faults", cpu);
	guest_close(&g);
}

static void test_cpu(int kvm, int cpu)
{
	struct guest g = {};
	cpu_set_t set;
	uint64_t mark = 0;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	check(!sched_setaffinity(0, sizeof(set), &set), "CPU %d is there", cpu);

	if (check(guest_open(&g, kvm) && enter_real_mode(&g), "CPU %d: a VM in real mode", cpu)) {
		check(run_to_port(&g, 40, 2) == 42, "CPU %d: real mode adds and does I/O", cpu);
		check(run_to_halt(&g), "CPU %d: real mode halts", cpu);
		guest_close(&g);
	}
	if (check(guest_open(&g, kvm) && enter_long_mode(&g, long_code, sizeof(long_code), 0),
		  "CPU %d: a VM in 64-bit mode", cpu)) {
		check(run_to_port(&g, 0x1234567890abcdef, MARK) == 0x90abcdef,
		      "CPU %d: 64-bit mode loads, stores and does I/O", cpu);
		memcpy(&mark, g.memory + MARK, sizeof(mark));
		check(mark == 0x1234567890abcdef, "CPU %d: what it stored is in its memory", cpu);
		check(run_to_halt(&g), "CPU %d: 64-bit mode halts", cpu);
		guest_close(&g);
	}
	test_cr2(kvm, cpu);
}

int main(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (check(kvm >= 0, "/dev/kvm is there") &&
	    check(ioctl(kvm, KVM_GET_API_VERSION, 0) == 12, "KVM speaks version 12"))
		for (long cpu = 0; cpu < cpus; cpu++)
			test_cpu(kvm, (int)cpu);
	printf("1..%u\n", points);
	return failures ? 1 : 0;
}
