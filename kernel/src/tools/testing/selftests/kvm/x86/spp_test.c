// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test for KVM_CAP_X86_SUBPAGES: a VMM that protects 128-byte sub-pages of its guest,
 * and answers the exits that forbidden stores cause.
 */
#include <sys/ioctl.h>

#include <linux/kvm_vmi.h>

#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"
#include "ucall_common.h"

#define TEST_SLOT	10
#define TEST_GPA	0x100000000ULL
#define TEST_GVA	TEST_GPA
#define TEST_PAGES	2
#define SUBPAGE		128
#define VALUE		0x1122334455667788ULL

#define DENIED(mask)	(~(u32)(mask))
#define LEGAL		(BIT(KVM_VMI_DENY) | BIT(KVM_VMI_ALLOW) | BIT(KVM_VMI_SKIP))

/* What the guest is to store where, and by what. */
enum store {
	STORE_MOV,
	STORE_LOCK_ADD,
	STORE_REP_STOS,
};

static enum store guest_store;
static u64 guest_address;

KVM_ONE_VCPU_TEST_SUITE(subpage);

static void guest_main(void)
{
	u64 count = 3, rdi;
	u8 vector;

	for (;;) {
		u64 *p = (u64 *)READ_ONCE(guest_address);

		switch (READ_ONCE(guest_store)) {
		case STORE_MOV:
			vector = kvm_asm_safe("movq %[value], (%[p])",
					      [value] "r"(VALUE), [p] "r"(p));
			break;
		case STORE_LOCK_ADD:
			vector = kvm_asm_safe("lock addq %[value], (%[p])",
					      [value] "r"(VALUE), [p] "r"(p));
			break;
		default:
			rdi = (u64)p;
			count = 3;
			asm volatile("rep stosq" : "+D"(rdi), "+c"(count)
				     : "a"(VALUE) : "memory");
			vector = 0;
			break;
		}
		GUEST_SYNC(vector);
	}
}

static int subpage_ioctl(struct kvm_vm *vm, unsigned long cmd, u64 gfn, u32 npages, u32 *map)
{
	size_t bytes = npages * sizeof(*map);
	struct kvm_subpage *sp = calloc(1, sizeof(*sp) + bytes);
	int r;

	TEST_ASSERT(sp, "Out of memory");
	sp->gfn_base = gfn;
	sp->npages = npages;
	memcpy(sp->access_map, map, bytes);
	r = ioctl(vm->fd, cmd, sp);
	memcpy(map, sp->access_map, bytes);
	free(sp);
	return r;
}

static void subpage_protect(struct kvm_vm *vm, u64 gpa, u32 write)
{
	int r = subpage_ioctl(vm, KVM_SUBPAGES_SET_ACCESS, gpa >> 12, 1, &write);

	TEST_ASSERT(r == 1, KVM_IOCTL_ERROR(KVM_SUBPAGES_SET_ACCESS, r));
}

static u8 *test_memory(struct kvm_vcpu *vcpu)
{
	return addr_gpa2hva(vcpu->vm, TEST_GPA);
}

static void create_memory(struct kvm_vcpu *vcpu)
{
	vm_userspace_mem_region_add(vcpu->vm, VM_MEM_SRC_ANONYMOUS, TEST_GPA, TEST_SLOT,
				    TEST_PAGES, 0);
	virt_map(vcpu->vm, TEST_GVA, TEST_GPA, TEST_PAGES);
}

static void prepare_store(struct kvm_vcpu *vcpu, enum store store, u64 offset)
{
	struct kvm_vm *vm = vcpu->vm;

	guest_store = store;
	guest_address = TEST_GVA + offset;
	sync_global_to_guest(vm, guest_store);
	sync_global_to_guest(vm, guest_address);
}

/* The guest has done its store, or taken an exception. */
static void expect_vector(struct kvm_vcpu *vcpu, u8 vector)
{
	struct ucall uc;

	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
	TEST_ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_SYNC);
	TEST_ASSERT_EQ(uc.args[1], vector);
}

static void expect_exit(struct kvm_vcpu *vcpu, u64 offset, u32 flags)
{
	struct kvm_subpage_exit *e = &vcpu->run->subpage;

	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_SUBPAGE);
	TEST_ASSERT_EQ(e->gpa, TEST_GPA + offset);
	TEST_ASSERT_EQ(e->kind, KVM_VMI_WRITE);
	TEST_ASSERT_EQ(e->legal, LEGAL);
	TEST_ASSERT_EQ(e->verdict, KVM_VMI_DEFAULT);
	TEST_ASSERT(e->flags & KVM_SUBPAGE_EXIT_OWN, "Not by the VMM's map: 0x%x", e->flags);
	TEST_ASSERT((e->flags & flags) == flags, "Flags 0x%x, wanted 0x%x", e->flags, flags);
	if (e->flags & KVM_SUBPAGE_EXIT_GVA)
		TEST_ASSERT_EQ(e->gva, TEST_GVA + offset);
	TEST_ASSERT(e->insn_len, "No instruction length");
}

static void answer(struct kvm_vcpu *vcpu, u32 verdict)
{
	vcpu->run->subpage.verdict = verdict;
	vcpu_run(vcpu);
}

KVM_ONE_VCPU_TEST(subpage, capability, guest_main)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_SUBPAGES, .flags = 1 };
	struct kvm_vm *vm = vcpu->vm;
	u32 map = 0;
	int r;

	TEST_ASSERT_EQ(vm_check_cap(vm, KVM_CAP_X86_SUBPAGES), KVM_SUBPAGES_MAX);
	r = subpage_ioctl(vm, KVM_SUBPAGES_SET_ACCESS, TEST_GPA >> 12, 1, &map);
	TEST_ASSERT(r == -1 && errno == ENODEV, "Set before enable: %d, errno %d", r, errno);
	r = subpage_ioctl(vm, KVM_SUBPAGES_GET_ACCESS, TEST_GPA >> 12, 1, &map);
	TEST_ASSERT(r == -1 && errno == ENODEV, "Get before enable: %d, errno %d", r, errno);
	r = __vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
	TEST_ASSERT(r == -1 && errno == EINVAL, "Flags: %d, errno %d", r, errno);
	r = __vm_enable_cap(vm, KVM_CAP_X86_SUBPAGES, 1);
	TEST_ASSERT(r == -1 && errno == EINVAL, "Arguments: %d, errno %d", r, errno);
	vm_enable_cap(vm, KVM_CAP_X86_SUBPAGES, 0);
	vm_enable_cap(vm, KVM_CAP_X86_SUBPAGES, 0);
}

KVM_ONE_VCPU_TEST(subpage, arguments, guest_main)
{
	struct kvm_vm *vm = vcpu->vm;
	struct kvm_subpage sp = { .gfn_base = TEST_GPA >> 12, .flags = 1 };
	u32 set[KVM_SUBPAGES_MAX + 1], got[KVM_SUBPAGES_MAX];
	int i, r;

	vm_enable_cap(vm, KVM_CAP_X86_SUBPAGES, 0);
	for (i = 0; i <= KVM_SUBPAGES_MAX; i++)
		set[i] = i * 0x01010101U;

	r = __vm_ioctl(vm, KVM_SUBPAGES_SET_ACCESS, &sp);
	TEST_ASSERT(r == -1 && errno == EINVAL, "Flags: %d, errno %d", r, errno);
	r = __vm_ioctl(vm, KVM_SUBPAGES_SET_ACCESS, (struct kvm_subpage *)NULL);
	TEST_ASSERT(r == -1 && errno == EFAULT, "NULL: %d, errno %d", r, errno);
	r = subpage_ioctl(vm, KVM_SUBPAGES_SET_ACCESS, 0, KVM_SUBPAGES_MAX + 1, set);
	TEST_ASSERT(r == -1 && errno == EINVAL, "Too many: %d, errno %d", r, errno);
	r = subpage_ioctl(vm, KVM_SUBPAGES_SET_ACCESS, ~0ULL, 1, set);
	TEST_ASSERT(r == -1 && errno == EINVAL, "Overflow: %d, errno %d", r, errno);
	r = subpage_ioctl(vm, KVM_SUBPAGES_SET_ACCESS, 1ULL << 40, 1, set);
	TEST_ASSERT(r == -1 && errno == ERANGE, "Too high: %d, errno %d", r, errno);
	TEST_ASSERT_EQ(subpage_ioctl(vm, KVM_SUBPAGES_SET_ACCESS, 0, 0, set), 0);

	r = subpage_ioctl(vm, KVM_SUBPAGES_SET_ACCESS, TEST_GPA >> 12, KVM_SUBPAGES_MAX, set);
	TEST_ASSERT_EQ(r, KVM_SUBPAGES_MAX);
	r = subpage_ioctl(vm, KVM_SUBPAGES_GET_ACCESS, TEST_GPA >> 12, KVM_SUBPAGES_MAX, got);
	TEST_ASSERT_EQ(r, KVM_SUBPAGES_MAX);
	TEST_ASSERT(!memcmp(set, got, sizeof(got)), "Another map came back");
	r = subpage_ioctl(vm, KVM_SUBPAGES_GET_ACCESS, (TEST_GPA >> 12) - 1, 1, got);
	TEST_ASSERT_EQ(r, 1);
	TEST_ASSERT_EQ(got[0], ~0U);
}

/* Sub-pages are protected before there is memory; each answer; neighbours go on. */
KVM_ONE_VCPU_TEST(subpage, answers, guest_main)
{
	static const struct {
		u32 verdict;
		u8 vector;
		u64 value;
	} rows[] = {
		{ KVM_VMI_DEFAULT, GP_VECTOR, 0 },
		{ KVM_VMI_DENY, GP_VECTOR, 0 },
		{ KVM_VMI_KILL, GP_VECTOR, 0 },
		{ 77, GP_VECTOR, 0 },
		{ KVM_VMI_SKIP, 0, 0 },
		{ KVM_VMI_ALLOW, 0, VALUE },
	};
	u64 *p;
	int i;

	vm_enable_cap(vcpu->vm, KVM_CAP_X86_SUBPAGES, 0);
	subpage_protect(vcpu->vm, TEST_GPA, DENIED(BIT(4)));
	create_memory(vcpu);
	p = (u64 *)(test_memory(vcpu) + 4 * SUBPAGE);

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		prepare_store(vcpu, STORE_MOV, 4 * SUBPAGE + 8);
		vcpu_run(vcpu);
		expect_exit(vcpu, 4 * SUBPAGE + 8, 0);
		TEST_ASSERT_EQ(p[1], 0);
		answer(vcpu, rows[i].verdict);
		expect_vector(vcpu, rows[i].vector);
		TEST_ASSERT_EQ(p[1], rows[i].value);

		prepare_store(vcpu, STORE_MOV, 4 * SUBPAGE - 8);
		vcpu_run(vcpu);
		expect_vector(vcpu, 0);
		TEST_ASSERT_EQ(p[-1], VALUE);
		p[-1] = 0;
	}

	prepare_store(vcpu, STORE_LOCK_ADD, 4 * SUBPAGE + 8);
	vcpu_run(vcpu);
	expect_exit(vcpu, 4 * SUBPAGE + 8, 0);
	answer(vcpu, KVM_VMI_ALLOW);
	expect_vector(vcpu, 0);
	TEST_ASSERT_EQ(p[1], 2 * VALUE);
}

/* A store that begins where it may, and ends where it may not. */
KVM_ONE_VCPU_TEST(subpage, crossing, guest_main)
{
	u64 value = VALUE;
	u8 *p;

	create_memory(vcpu);
	p = test_memory(vcpu);
	vm_enable_cap(vcpu->vm, KVM_CAP_X86_SUBPAGES, 0);
	subpage_protect(vcpu->vm, TEST_GPA, DENIED(BIT(1)));
	prepare_store(vcpu, STORE_MOV, SUBPAGE - 4);
	vcpu_run(vcpu);
	expect_exit(vcpu, SUBPAGE, KVM_SUBPAGE_EXIT_EMULATED);
	TEST_ASSERT_EQ(vcpu->run->subpage.length, 8);
	TEST_ASSERT_EQ(p[SUBPAGE - 4], 0);
	answer(vcpu, KVM_VMI_DENY);
	expect_vector(vcpu, GP_VECTOR);
	TEST_ASSERT_EQ(p[SUBPAGE - 4], 0);
	vcpu_run(vcpu);
	expect_exit(vcpu, SUBPAGE, KVM_SUBPAGE_EXIT_EMULATED);
	answer(vcpu, KVM_VMI_ALLOW);
	expect_vector(vcpu, 0);
	TEST_ASSERT(!memcmp(p + SUBPAGE - 4, &value, sizeof(value)), "Not stored");

	/* Each store of a string instruction is asked about. */
	prepare_store(vcpu, STORE_REP_STOS, SUBPAGE - 8);
	vcpu_run(vcpu);
	expect_exit(vcpu, SUBPAGE, 0);
	answer(vcpu, KVM_VMI_ALLOW);
	expect_exit(vcpu, SUBPAGE + 8, 0);
	answer(vcpu, KVM_VMI_ALLOW);
	expect_vector(vcpu, 0);
	TEST_ASSERT(!memcmp(p + SUBPAGE + 8, &value, sizeof(value)), "Not stored");
}

/* An answer is about the registers and the map as they were. */
KVM_ONE_VCPU_TEST(subpage, lapse, guest_main)
{
	struct kvm_regs regs;
	u64 *p;

	create_memory(vcpu);
	p = (u64 *)test_memory(vcpu);
	vm_enable_cap(vcpu->vm, KVM_CAP_X86_SUBPAGES, 0);
	subpage_protect(vcpu->vm, TEST_GPA, DENIED(BIT(0)));
	prepare_store(vcpu, STORE_MOV, 0);

	/* Written back as they are, as VMMs do. */
	vcpu_run(vcpu);
	expect_exit(vcpu, 0, 0);
	vcpu_regs_get(vcpu, &regs);
	vcpu_regs_set(vcpu, &regs);
	answer(vcpu, KVM_VMI_ALLOW);
	expect_vector(vcpu, 0);
	TEST_ASSERT_EQ(p[0], VALUE);

	/* Changed: asked again. */
	p[0] = 0;
	vcpu_run(vcpu);
	expect_exit(vcpu, 0, 0);
	vcpu_regs_get(vcpu, &regs);
	regs.rflags ^= X86_EFLAGS_CF;
	vcpu_regs_set(vcpu, &regs);
	answer(vcpu, KVM_VMI_ALLOW);
	expect_exit(vcpu, 0, 0);
	TEST_ASSERT_EQ(p[0], 0);

	/* Nothing forbids it any more. */
	subpage_protect(vcpu->vm, TEST_GPA, ~0U);
	answer(vcpu, KVM_VMI_DENY);
	expect_vector(vcpu, 0);
	TEST_ASSERT_EQ(p[0], VALUE);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_X86_SUBPAGES));

	return test_harness_run(argc, argv);
}
