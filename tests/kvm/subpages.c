// SPDX-License-Identifier: GPL-2.0-or-later
/* The calls by which a VMM protects sub-pages of its own guest: every argument. */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/attempt.h"
#include "lib/subpage.h"
#include "suites.h"

#define RULE	7
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define VALUE	0x1122334455667788UL
#define MMIO	0x90000000UL

static int enable(int fd, struct kvm_enable_cap *cap)
{
	return ioctl(fd, KVM_ENABLE_CAP, cap) ? -errno : 0;
}

static void test_enable(uintptr_t arg)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_SUBPAGES };
	struct kvm_vmi_vm_info info;
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	uint32_t mask = 0;
	unsigned int i;

	(void)arg;
	expect_eq(vm_check_extension(vm, KVM_CAP_X86_SUBPAGES), KVM_SUBPAGES_MAX);
	expect_eq(ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_X86_SUBPAGES), KVM_SUBPAGES_MAX);
	expect_eq(-subpage_set(vm, GFN(DATA), 1, &mask), ENODEV);
	expect_eq(-subpage_get(vm, GFN(DATA), 1, &mask), ENODEV);
	cap.flags = 1;
	expect_eq(-enable(vm->fd, &cap), EINVAL);
	cap.flags = 0;
	for (i = 0; i < 4; i++) {
		cap.args[i] = 1ULL << (63 - i);
		expect_eq(-enable(vm->fd, &cap), EINVAL);
		cap.args[i] = 0;
	}
	expect_eq(-enable(vm->vcpu[0]->fd, &cap), EINVAL);
	cap.cap++;
	expect_eq(-enable(vm->fd, &cap), EINVAL);
	cap.cap--;
	expect_eq(vmi_info(id, &info), 0);
	expect(!(info.flags & KVM_VMI_VM_SUBPAGES), "flags %#x", info.flags);
	expect_eq(-subpage_set(vm, GFN(DATA), 1, &mask), ENODEV);
	expect_lands(vm->vcpu[0], DATA);

	for (i = 0; i < 2; i++) {
		expect_eq(-enable(vm->fd, &cap), 0);
		expect_eq(vmi_info(id, &info), 0);
		expect(info.flags & KVM_VMI_VM_SUBPAGES, "flags %#x", info.flags);
	}
	/* The layer is the VMM's: whoever enumerates rules does not see it. */
	expect_eq(info.rules, 0);
	subpage_protect(vm, DATA, 0);
	expect_eq(-enable(vm->fd, &cap), 0);
	expect_eq(subpage_get(vm, GFN(DATA), 1, &mask), 1);
	expect_eq(mask, 0);
	expect_eq(vmi_info(id, &info), 0);
	expect_eq(info.map_entries, 0);
	expect_exit(vcpu_op(vm->vcpu[0], OP_STORE, DATA, VALUE, 8));
	vm_free(vm);
}

/* @bytes that end where nothing is mapped. */
static void *at_page_end(size_t bytes)
{
	uint8_t *p = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	require(p != MAP_FAILED && !munmap(p + PAGE_SIZE, PAGE_SIZE), "mmap");
	return p + PAGE_SIZE - bytes;
}

static int raw(int fd, unsigned long request, const void *arg)
{
	int r = ioctl(fd, request, arg);

	return r < 0 ? -errno : r;
}

static void test_arguments(uintptr_t request)
{
	static const struct {
		uint64_t gfn;
		uint32_t npages, flags;
		int result;
	} rows[] = {
		{ GFN(DATA), 0, 0, 0 },
		{ ~0ULL, 0, 0, 0 },
		{ GFN(DATA), 0, 1, -EINVAL },
		{ GFN(DATA), 1, 1, -EINVAL },
		{ GFN(DATA), 1, 0x80000000, -EINVAL },
		{ GFN(DATA), 1, 0, 1 },
		{ GFN(DATA), 511, 0, 511 },
		{ GFN(DATA), 512, 0, 512 },
		{ GFN(DATA), 513, 0, -EINVAL },
		{ GFN(DATA), 0x80000000, 0, -EINVAL },
		{ GFN(DATA), 0x40000001, 0, -EINVAL },
		{ GFN(DATA), ~0U, 0, -EINVAL },
		{ ~0ULL, 1, 0, -EINVAL },
		{ ~0ULL, 2, 0, -EINVAL },
		{ ~0ULL - 511, 512, 0, -EINVAL },
		{ ~0ULL - 512, 512, 0, -ERANGE },
		{ 1ULL << 40, 1, 0, -ERANGE },
		{ 1ULL << 52, 512, 0, -ERANGE },
	};
	const size_t head = sizeof(struct kvm_subpage), words = 600;
	struct kvm_vmi_vm_info info;
	uint64_t id, last;
	struct vm *vm = subpage_vm(NULL, &id);
	struct kvm_subpage *sp = calloc(1, head + words * 4), *edge;
	uint32_t mask;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int r;

		memset(sp->access_map, 0xff, words * 4);
		sp->gfn_base = rows[i].gfn;
		sp->npages = rows[i].npages;
		sp->flags = rows[i].flags;
		r = raw(vm->fd, request, sp);
		expect(r == rows[i].result, "row %u: %d", i, r);
	}

	/* The last frame there may be, and one beyond. */
	require_eq(vmi_info(id, &info), 0);
	last = (1ULL << (info.maxphyaddr - 12)) - 1;
	*sp = (struct kvm_subpage){ .gfn_base = last, .npages = 1 };
	expect_eq(raw(vm->fd, request, sp), 1);
	sp->npages = 2;
	expect_eq(-raw(vm->fd, request, sp), ERANGE);
	sp->gfn_base = last + 1;
	sp->npages = 1;
	expect_eq(-raw(vm->fd, request, sp), ERANGE);

	/* Addresses. */
	expect_eq(-raw(vm->fd, request, NULL), EFAULT);
	expect_eq(-raw(vm->fd, request, (void *)0x1000), EFAULT);
	expect_eq(-raw(vm->fd, request, (void *)0xffff800000000000), EFAULT);
	edge = at_page_end(head - 1);
	expect_eq(-raw(vm->fd, request, edge), EFAULT);
	edge = at_page_end(head);
	*edge = (struct kvm_subpage){ .gfn_base = GFN(DATA) };
	expect_eq(raw(vm->fd, request, edge), 0);
	edge->npages = 1;
	expect_eq(-raw(vm->fd, request, edge), EFAULT);
	/* Whole or not at all: all but the last word is there. */
	edge = at_page_end(head + 2 * 4);
	*edge = (struct kvm_subpage){ .gfn_base = GFN(DATA), .npages = 3 };
	edge->access_map[0] = 0;
	expect_eq(-raw(vm->fd, request, edge), EFAULT);
	expect_eq(subpage_get(vm, GFN(DATA), 1, &mask), 1);
	expect_eq(mask, KVM_VMI_WRITE_ALL);
	edge->npages = 2;
	edge->access_map[0] = ~0U;
	edge->access_map[1] = ~0U;
	expect_eq(raw(vm->fd, request, edge), 2);

	/* Other files. */
	*sp = (struct kvm_subpage){ .gfn_base = GFN(DATA), .npages = 1 };
	expect(raw(vm->vcpu[0]->fd, request, sp) < 0, "a vCPU takes it");
	expect(raw(vm->kvm_fd, request, sp) < 0, "/dev/kvm takes it");
	expect_eq(subpage_get(vm, GFN(DATA), 1, &mask), 1);
	expect_eq(mask, KVM_VMI_WRITE_ALL);
	expect_lands(vm->vcpu[0], DATA);
	free(sp);
	vm_free(vm);
}

/* What was set comes back, whatever the host's rules say, and nothing beside it. */
static void test_round_trip(uintptr_t arg)
{
	uint32_t set[KVM_SUBPAGES_MAX], got[KVM_SUBPAGES_MAX];
	struct kvm_vmi_range ranges[VMI_BATCH];
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	unsigned int i;

	(void)arg;
	for (i = 0; i < KVM_SUBPAGES_MAX; i++)
		set[i] = i % 5 == 0 ? 0 : i % 5 == 1 ? ~0U : i % 7 ? test_random() : 0x0ff0;
	expect_eq(subpage_set(vm, 1000, KVM_SUBPAGES_MAX, set), KVM_SUBPAGES_MAX);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, 1001 * PAGE_SIZE, 0);
	expect_eq(subpage_get(vm, 1000, KVM_SUBPAGES_MAX, got), KVM_SUBPAGES_MAX);
	expect(!memcmp(set, got, sizeof(set)), "another map came back");
	/* The host's rules do not show the VMM's, nor the other way round. */
	expect_eq(vmi_get(id, 0, ranges, VMI_BATCH), 1);
	expect_eq(ranges[0].gfn, 1001);

	expect_eq(subpage_get(vm, 999, 3, got), 3);
	expect_eq(got[0], ~0U);
	expect_eq(got[1], set[0]);
	expect_eq(got[2], set[1]);
	expect_eq(subpage_get(vm, 1511, 2, got), 2);
	expect_eq(got[0], set[511]);
	expect_eq(got[1], ~0U);

	/* A failing call changes nothing. */
	memset(got, 0, sizeof(got));
	expect(subpage_set(vm, (1ULL << 40) - 1, 512, got) < 0, "beyond the guest's memory");
	expect_eq(vmi_clear_rule(id, 0), 0);
	expect_eq(subpage_get(vm, 1000, KVM_SUBPAGES_MAX, got), KVM_SUBPAGES_MAX);
	expect(!memcmp(set, got, sizeof(set)), "a rule of the host took it along");

	memset(set, 0xff, sizeof(set));
	expect_eq(subpage_set(vm, 1000, KVM_SUBPAGES_MAX, set), KVM_SUBPAGES_MAX);
	expect_eq(subpage_get(vm, 1000, KVM_SUBPAGES_MAX, got), KVM_SUBPAGES_MAX);
	expect(!memcmp(set, got, sizeof(set)), "something is left");
	vm_free(vm);
}

/* The map is there before memory is, and after it. */
static void test_slots(uintptr_t arg)
{
	const uint64_t late = 0x70000000;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct slot *slot;

	(void)arg;
	subpage_protect(vm, late + PAGE_SIZE, DENIED(1));
	slot = vm_add_slot(vm, late, 4 * PAGE_SIZE, BACKING_ANONYMOUS, 0);
	vm_map(vm, late, late, 4, PTE_DEFAULT);
	expect_lands(v, late);
	expect_lands(v, late + PAGE_SIZE + SUBPAGE);
	expect_exit(vcpu_op(v, OP_STORE, late + PAGE_SIZE, VALUE, 8));
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	slot_delete(vm, slot);
	slot_insert(vm, slot);
	expect_exit(vcpu_op(v, OP_STORE, late + PAGE_SIZE, VALUE, 8));
	/* The slot goes while the VMM thinks: then there is no memory to be stored to. */
	slot_delete(vm, slot);
	expect_end(subpage_answer(v, KVM_VMI_ALLOW), RUN_MMIO);
	vm_free(vm);
}

/* No privilege is needed. */
static void test_unprivileged(uintptr_t arg)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { };
	struct vm *vm = vm_new(NULL);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	require(!syscall(SYS_capset, &header, data), "capset");
	require_eq(-subpage_enable(vm), 0);
	subpage_protect(vm, DATA, DENIED(1));
	expect_lands(v, DATA + SUBPAGE);
	expect_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA), VALUE);
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "enable", test_enable },
	{ "set-arguments", test_arguments, KVM_SUBPAGES_SET_ACCESS },
	{ "get-arguments", test_arguments, KVM_SUBPAGES_GET_ACCESS },
	{ "round-trip", test_round_trip },
	{ "slots", test_slots },
	{ "unprivileged", test_unprivileged },
	{ }
};

const struct test_suite suite_subpages = { .name = "subpages", .cases = cases, .setup = vmi_setup };
