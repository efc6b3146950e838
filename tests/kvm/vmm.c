// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VMM that protects sub-pages of its own guest: its calls, what it is told of a
 * forbidden access, its answers, and that none of them loosens a rule of the host.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/attempt.h"
#include "lib/nested.h"
#include "lib/subpage.h"
#include "suites.h"

#define RULE	7
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define VALUE	0x1122334455667788UL
#define MMIO	0x90000000UL

#define LEGAL_WRITE	(1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW | 1U << KVM_VMI_SKIP)

#define CASE(a, b)	((a) * 16 + (b))

/* ---- the calls ---- */

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

/* ---- the exit ---- */

struct exit_match {
	uint64_t gpa;
	uint32_t kind;
	uint32_t flags, not_flags;
	uint32_t length;	/* unless 0 */
	uint32_t legal;
};

static void check_exit(struct vcpu *v, const struct exit_match *m, const char *file, int line)
{
	const struct kvm_subpage_exit *e = subpage_exit(v);
	struct kvm_regs regs;

	vcpu_ioctl(v, KVM_GET_REGS, &regs);
	if (e->gpa != m->gpa || e->kind != (m->kind ?: KVM_VMI_WRITE) ||
	    (e->flags & m->flags) != m->flags || e->flags & m->not_flags ||
	    (m->length && e->length != m->length) || e->legal != (m->legal ?: LEGAL_WRITE) ||
	    e->verdict || regs.rip != v->cpu->insn ||
	    (e->flags & KVM_SUBPAGE_EXIT_GVA && e->gva % PAGE_SIZE != e->gpa % PAGE_SIZE))
		tap_fail(file, line,
			 "exit at %#llx gva %#llx kind %u flags %#x length %u legal %#x verdict %u rip %#llx (insn %#llx)",
			 e->gpa, e->gva, e->kind, e->flags, e->length, e->legal, e->verdict,
			 regs.rip, (unsigned long long)v->cpu->insn);
}
#define expect_told(v, ...) \
	check_exit(v, &(struct exit_match){ __VA_ARGS__ }, __FILE__, __LINE__)

static void test_fields(uintptr_t user)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint32_t cpl = user ? KVM_SUBPAGE_EXIT_USER : 0;

	if (user)
		v->cpu->flags |= GUEST_F_USER;
	subpage_protect(vm, DATA, DENIED(0x10));
	*(uint64_t *)vm_hva(vm, DATA + 0x208) = 5;
	require_exit(vcpu_op(v, OP_STORE, DATA + 0x208, VALUE, 8));
	expect_told(v, .gpa = DATA + 0x208, .flags = KVM_SUBPAGE_EXIT_OWN | cpl,
		    .not_flags = KVM_SUBPAGE_EXIT_NESTED | KVM_SUBPAGE_EXIT_VECTORING |
				 (user ? 0 : KVM_SUBPAGE_EXIT_USER));
	/* movq %reg, (%reg) without a displacement */
	expect_eq(subpage_exit(v)->insn_len, 3);
	if (subpage_exit(v)->flags & KVM_SUBPAGE_EXIT_GVA)
		expect_eq(subpage_exit(v)->gva, DATA + 0x208);
	/* Nothing has been done, and the tracepoint has told of it once. */
	expect_eq(vm_read64(vm, DATA + 0x208), 5);
	expect_eq(vmi_log_violations(id), 1);
	expect_violation(id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_EXIT,
			 .gpa = DATA + 0x208, .flags_set = KVM_VMI_V_VMM);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA + 0x208), VALUE);
	expect_eq(vmi_log_violations(id), 1);
	expect_lands(v, DATA + 0x200 - 8);
	expect_lands(v, DATA + 0x280);
	/* The protection stays. */
	expect_exit(vcpu_op(v, OP_STORE, DATA + 0x208, 1, 8));
	vm_free(vm);
}

/* From an allowed sub-page, and from another page, into a denied one. */
static void test_crossing(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t at = DATA + SUBPAGE - 3;

	(void)arg;
	subpage_protect(vm, DATA, DENIED(2));
	memset(vm_hva(vm, DATA), 0, 2 * SUBPAGE);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_told(v, .gpa = DATA + SUBPAGE, .length = 8,
		    .flags = KVM_SUBPAGE_EXIT_EMULATED | KVM_SUBPAGE_EXIT_GVA);
	expect_eq(subpage_exit(v)->gva, DATA + SUBPAGE);
	expect_eq(subpage_exit(v)->insn_len, 3);
	expect_eq(*(uint8_t *)vm_hva(vm, at), 0);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(*(uint8_t *)vm_hva(vm, at), 0);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect(!memcmp(vm_hva(vm, at), &(uint64_t){ VALUE }, 8), "not stored");
	require_exit(vcpu_op(v, OP_STORE, at, 0, 8));
	expect_done(subpage_answer(v, KVM_VMI_SKIP));
	expect(!memcmp(vm_hva(vm, at), &(uint64_t){ VALUE }, 8), "stored");

	/* The edge of the page. */
	subpage_protect(vm, DATA, DENIED(1U << 31));
	subpage_protect(vm, DATA + PAGE_SIZE, DENIED(1));
	at = DATA + PAGE_SIZE - 3;
	memset(vm_hva(vm, DATA), 0, 2 * PAGE_SIZE);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_told(v, .gpa = at);
	/* What was answered of the first page is not about the second. */
	require_exit(subpage_answer(v, KVM_VMI_ALLOW));
	expect_told(v, .gpa = DATA + PAGE_SIZE, .length = 8);
	expect_eq(*(uint8_t *)vm_hva(vm, at), 0);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect(!memcmp(vm_hva(vm, at), &(uint64_t){ VALUE }, 8), "not stored");
	subpage_protect(vm, DATA, ~0U);
	memset(vm_hva(vm, DATA), 0, 2 * PAGE_SIZE);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_eq(subpage_exit(v)->gpa, DATA + PAGE_SIZE);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(*(uint8_t *)vm_hva(vm, at), 0);
	vm_free(vm);
}

/* Two pages that are neighbours for the guest only: it is told of both frames. */
static void test_crossing_apart(uintptr_t arg)
{
	uint64_t id, gva = GUEST_ARENA + 0x100000, other = DATA + 2 * PAGE_SIZE;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t at = gva + PAGE_SIZE - 3;

	(void)arg;
	vm_map(vm, gva, DATA, 1, PTE_DEFAULT);
	vm_map(vm, gva + PAGE_SIZE, other, 1, PTE_DEFAULT);
	subpage_protect(vm, DATA, DENIED(1U << 31));
	subpage_protect(vm, other, DENIED(1));
	memset(vm_hva(vm, DATA), 0, PAGE_SIZE);
	memset(vm_hva(vm, other), 0, PAGE_SIZE);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_eq(subpage_exit(v)->gpa, DATA + PAGE_SIZE - 3);
	require_exit(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(subpage_exit(v)->gpa, other);
	expect_eq(subpage_exit(v)->gva, gva + PAGE_SIZE);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(*(uint8_t *)vm_hva(vm, DATA + PAGE_SIZE - 3), 0);
	expect_eq(*(uint8_t *)vm_hva(vm, other), 0);
	vm_free(vm);
}

/* Two sub-pages: the CPU's fault tells the first, and an answer is about that. */
static void test_two_subpages(uintptr_t arg)
{
	uint64_t id, at = DATA + SUBPAGE - 4;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	subpage_protect(vm, DATA, DENIED(3));
	memset(vm_hva(vm, DATA), 0, 2 * SUBPAGE);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_eq(subpage_exit(v)->length, 0);
	require_exit(subpage_answer(v, KVM_VMI_ALLOW));
	expect_told(v, .gpa = at, .length = 8, .flags = KVM_SUBPAGE_EXIT_EMULATED);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(vm_read64(vm, DATA + SUBPAGE), 0);
	expect_eq(*(uint32_t *)vm_hva(vm, at), 0);
	vm_free(vm);
}

/* What is carried out is the instruction that was asked about. */
static void test_other_instruction(uintptr_t arg)
{
	static const uint8_t ud2[3] = { 0x0f, 0x0b, 0x90 };
	uint8_t before[3], *code;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	subpage_protect(vm, DATA, DENIED(1));
	memset(vm_hva(vm, DATA), 0, SUBPAGE);
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	require_eq(subpage_exit(v)->insn_len, sizeof(ud2));
	code = vm_hva(vm, v->cpu->insn);
	memcpy(before, code, sizeof(before));
	memcpy(code, ud2, sizeof(ud2));
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA), VALUE);
	memcpy(code, before, sizeof(before));
	vm_free(vm);
}

/* A repeated instruction comes to the same bytes twice: it is asked about twice. */
static void test_repeated(uintptr_t arg)
{
	uint64_t id, gva = GUEST_ARENA + 0x100000;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int answers = 0;

	(void)arg;
	vm_map(vm, gva, DATA, 1, PTE_DEFAULT);
	vm_map(vm, gva + PAGE_SIZE, DATA, 1, PTE_DEFAULT);
	subpage_protect(vm, DATA, DENIED(1));
	expect_done(subpage_answer_all(v, vcpu_op(v, OP_REP_STOS, gva, VALUE, 8, 528),
				       KVM_VMI_ALLOW, &answers));
	expect_eq(answers, 32);
	expect_eq(vm_read64(vm, DATA), VALUE);
	vm_free(vm);
}

/* A frame opens only if all its rules come to that: one that denies is not outranked. */
static void test_opens_by_default(uintptr_t arg)
{
	const struct kvm_vmi_rule asks = {
		.id = RULE,
		.action[KVM_VMI_ACTION_WRITE] = KVM_VMI_EXIT,
		.dflt = KVM_VMI_ALLOW,
	};
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int exits;
	struct run r;

	(void)arg;
	require_eq(vmi_set_rules(id, &asks, 1), 0);
	vmi_rule(id, RULE + 1, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	vmi_protect(id, RULE + 1, DATA, DENIED(1U << 5));
	/*
	 * The stack is in the first sub-page: no exit while an event is being delivered, but
	 * for what its handler does there.
	 */
	r = vcpu_op(v, OP_INT, DATA + SUBPAGE - 8);
	if (vmi_steps_events())
		expect_done(subpage_answer_all(v, r, KVM_VMI_ALLOW, &exits));
	else
		expect(r.end != RUN_DONE || r.vector != GUEST_NO_FAULT, "%s", run_text(&r));
	expect_eq(vmi_counters(id, RULE).opened, 0);
	vm_free(vm);

	/* Alone it opens, unless the CPU can be made to do it alone. */
	vm = subpage_vm(NULL, &id);
	require_eq(vmi_set_rules(id, &asks, 1), 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	r = vcpu_op(vm->vcpu[0], OP_INT, DATA + SUBPAGE - 8);
	expect_done(subpage_answer_all(vm->vcpu[0], r, KVM_VMI_ALLOW, &exits));
	expect_eq(exits != 0, vmi_steps_events());
	expect_eq(vmi_counters(id, RULE).opened, !vmi_steps_events());
	vm_free(vm);
}

/* Instructions other than MOV, each answered with each. */
static void test_instruction(uintptr_t arg)
{
	static const struct {
		enum guest_op op;
		struct op_args args;
		uint64_t at;		/* the first denied byte */
		unsigned int exits;	/* if all are allowed */
	} rows[] = {
		{ OP_ADD, { { DATA, 1, 8 } }, DATA, 1 },
		{ OP_LOCK_ADD, { { DATA, 1, 8 } }, DATA, 1 },
		{ OP_XADD, { { DATA, 1, 4 } }, DATA, 1 },
		{ OP_XCHG, { { DATA, 1, 8 } }, DATA, 1 },
		{ OP_CMPXCHG, { { DATA, 1, 8, 3 } }, DATA, 1 },
		{ OP_BTS, { { DATA, 7 } }, DATA, 1 },
		{ OP_MOVBE, { { DATA, 7 } }, DATA, 1 },
		{ OP_PUSH, { { DATA + 8, 77 } }, DATA, 1 },
		{ OP_CALL, { { DATA + 8 } }, DATA, 1 },
		{ OP_PUSHF, { { DATA + 8 } }, DATA, 1 },
		{ OP_ENTER, { { DATA + 8 } }, DATA, 1 },
		{ OP_REP_STOS, { { DATA, 9, 8, 3 } }, DATA, 3 },
		{ OP_REP_STOS, { { DATA - 16, 9, 8, 4 } }, DATA, 2 },
		{ OP_REP_STOS, { { DATA + SUBPAGE - 8, 9, 8, 4 } }, DATA + SUBPAGE - 8, 1 },
		{ OP_REP_MOVS, { { DATA, DATA + 0x800, 4, 5 } }, DATA, 5 },
	};
	unsigned int row = arg / 16, exits;
	uint32_t verdict = arg % 16;
	uint8_t before[SUBPAGE], plain[SUBPAGE];
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint8_t *page = vm_hva(vm, DATA);
	struct run r, want;

	memset(page - 16, 3, 16);
	memset(page, 0, PAGE_SIZE);
	page[0] = 3;
	memset(page + 0x800, 0x5a, 64);
	memcpy(before, page, sizeof(before));

	/* What it does where nothing is protected. */
	want = vcpu_op_args(v, rows[row].op, rows[row].args);
	require_done(want);
	memcpy(plain, page, sizeof(plain));
	memcpy(page, before, sizeof(before));

	subpage_protect(vm, DATA, DENIED(1));
	r = vcpu_op_args(v, rows[row].op, rows[row].args);
	require_exit(r);
	expect_told(v, .gpa = rows[row].at, .flags = KVM_SUBPAGE_EXIT_OWN);
	r = subpage_answer_all(v, r, verdict, &exits);
	switch (verdict) {
	case KVM_VMI_ALLOW:
		expect_done(r);
		expect_eq(exits, rows[row].exits);
		expect(!memcmp(page, plain, sizeof(plain)), "not what the CPU does");
		expect(!memcmp(r.ret, want.ret, sizeof(r.ret)), "other results");
		break;
	case KVM_VMI_SKIP:
		expect_done(r);
		expect_eq(exits, 1);
		expect(!memcmp(page, before, sizeof(before)), "memory has changed");
		break;
	default:
		expect_gp(r);
		expect_eq(exits, 1);
		expect(!memcmp(page, before, sizeof(before)), "memory has changed");
	}
	vm_free(vm);
}

/* ---- the answers ---- */

static void test_answers(uintptr_t arg)
{
	static const struct {
		uint32_t answer;
		enum attempt outcome;
	} rows[] = {
		{ KVM_VMI_DEFAULT, ATTEMPT_DENIED },
		{ KVM_VMI_DENY, ATTEMPT_DENIED },
		{ KVM_VMI_ALLOW, ATTEMPT_LANDS },
		{ KVM_VMI_SKIP, ATTEMPT_VANISHES },
		{ KVM_VMI_KILL, ATTEMPT_DENIED },
		{ KVM_VMI_EXIT, ATTEMPT_DENIED },
		{ KVM_VMI_HOLD, ATTEMPT_DENIED },
		{ KVM_VMI_NR_VERDICTS, ATTEMPT_DENIED },
		{ 31, ATTEMPT_DENIED },
		{ 32, ATTEMPT_DENIED },
		{ 34, ATTEMPT_DENIED },
		{ 0x80000002, ATTEMPT_DENIED },
		{ ~0U, ATTEMPT_DENIED },
	};
	/* The fault's byte is denied, or a later one that the emulator finds. */
	const uint64_t at = arg ? DATA + SUBPAGE - 4 : DATA + SUBPAGE;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_vmi_vm_info info;
	unsigned int i;

	subpage_protect(vm, DATA, DENIED(2));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t value = test_random() | 1, stored;
		struct run r;

		memset(vm_hva(vm, DATA), 0, 3 * SUBPAGE);
		require_exit(vcpu_op(v, OP_STORE, at, value, 8));
		expect_eq(subpage_exit(v)->gpa, DATA + SUBPAGE);
		r = subpage_answer(v, rows[i].answer);
		memcpy(&stored, vm_hva(vm, at), 8);
		if (rows[i].outcome == ATTEMPT_DENIED)
			expect_gp(r);
		else
			expect_done(r);
		expect(stored == (rows[i].outcome == ATTEMPT_LANDS ? value : 0), "row %u: %#llx",
		       i, (unsigned long long)stored);
		/* What a VMM says of its own map is none of the host's count. */
		expect_eq(vmi_info(id, &info), 0);
		expect_eq(info.bad_verdicts, 0);
		expect_lands(v, DATA);
	}
	/* The guest goes on where it stood, once for each. */
	expect_eq(vmi_log_violations(id), ARRAY_SIZE(rows));
	expect_eq(info.violations, 0);
	vm_free(vm);
}

enum change {
	NOTHING, RAX, RIP, FLAGS, SEGMENT, EXCEPTION, INTERRUPT, MAP, SAME_MAP, HOST_MAP,
};

/* What the VMM, or the host, does before it answers. */
static void change(struct vcpu *v, uint64_t id, enum change what)
{
	struct kvm_vcpu_events events;
	struct kvm_interrupt irq = { .irq = GUEST_VECTOR_EVENT };
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_ioctl(v, KVM_GET_REGS, &regs);
	vcpu_ioctl(v, KVM_GET_SREGS, &sregs);
	vcpu_ioctl(v, KVM_GET_VCPU_EVENTS, &events);
	switch (what) {
	case NOTHING:
		break;
	case RAX:
		/* None that the instruction uses, as far as the VMM cares. */
		regs.r15 ^= 1;
		break;
	case RIP:
		/* Behind the instruction: the VMM has done it, or does not want it. */
		regs.rip += subpage_exit(v)->insn_len;
		break;
	case FLAGS:
		regs.rflags ^= 1;
		break;
	case SEGMENT:
		sregs.cr3 ^= 1UL << 3;
		break;
	case EXCEPTION:
		events.exception.injected = 1;
		events.exception.nr = VECTOR_UD;
		events.exception.has_error_code = 0;
		break;
	case INTERRUPT:
		vcpu_ioctl(v, KVM_INTERRUPT, &irq);
		return;
	case MAP:
		subpage_protect(v->vm, DATA, ~0U);
		return;
	case SAME_MAP:
		subpage_protect(v->vm, DATA + PAGE_SIZE, 0);
		return;
	case HOST_MAP:
		vmi_rule(id, RULE, KVM_VMI_DENY, 0);
		vmi_protect(id, RULE, DATA, DENIED(1));
		return;
	}
	/* All of it is written, as VMMs do. */
	vcpu_ioctl(v, KVM_SET_REGS, &regs);
	vcpu_ioctl(v, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(v, KVM_SET_VCPU_EVENTS, &events);
}

static void test_lapse(uintptr_t what)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_regs regs;
	struct run r;

	subpage_protect(vm, DATA, DENIED(1));
	*(uint64_t *)vm_hva(vm, DATA) = 5;
	if (what == INTERRUPT) {
		/* From its first instruction on the guest takes interrupts. */
		vcpu_ioctl(v, KVM_GET_REGS, &regs);
		regs.rflags |= 1UL << 9;
		vcpu_ioctl(v, KVM_SET_REGS, &regs);
	}
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	change(v, id, what);
	r = subpage_answer(v, what == MAP || what == RIP ? KVM_VMI_DENY : KVM_VMI_ALLOW);
	switch (what) {
	case NOTHING:
		expect_done(r);
		expect_eq(vm_read64(vm, DATA), VALUE);
		break;
	case RIP:
		/* Neither stored nor denied. */
		expect_done(r);
		expect_eq(vm_read64(vm, DATA), 5);
		expect_eq(vmi_log_violations(id), 1);
		break;
	case EXCEPTION:
		expect_fault(r, VECTOR_UD);
		expect_eq(vm_read64(vm, DATA), 5);
		break;
	case INTERRUPT:
		/* It comes first, and is not lost. */
		expect_exit(r);
		expect_eq(v->cpu->events, 1);
		r = subpage_answer(v, KVM_VMI_ALLOW);
		expect_done(r);
		expect_eq(v->cpu->events, 1);
		expect_eq(vm_read64(vm, DATA), VALUE);
		break;
	case MAP:
		expect_done(r);
		expect_eq(vm_read64(vm, DATA), VALUE);
		break;
	case HOST_MAP:
		expect_gp(r);
		expect_eq(vm_read64(vm, DATA), 5);
		break;
	default:
		/* Tried again: asked again. */
		expect_exit(r);
		expect_eq(vm_read64(vm, DATA), 5);
		expect_eq(vmi_log_violations(id), 2);
		expect_done(subpage_answer(v, KVM_VMI_ALLOW));
		expect_eq(vm_read64(vm, DATA), VALUE);
	}
	vm_free(vm);
}

/* KVM_RUN that is to return at once takes the answer all the same. */
static void test_immediate_exit(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	subpage_protect(vm, DATA, DENIED(1));
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	subpage_exit(v)->verdict = KVM_VMI_ALLOW;
	v->run->immediate_exit = 1;
	expect(ioctl(v->fd, KVM_RUN, 0) < 0 && errno == EINTR, "KVM_RUN: %d", errno);
	expect_eq(vm_read64(vm, DATA), VALUE);
	v->run->immediate_exit = 0;
	subpage_exit(v)->verdict = KVM_VMI_DENY;
	expect_done(vcpu_continue(v));
	/* #GP too is raised once. */
	require_exit(vcpu_op(v, OP_STORE, DATA, 1, 8));
	subpage_exit(v)->verdict = KVM_VMI_DENY;
	v->run->immediate_exit = 1;
	expect(ioctl(v->fd, KVM_RUN, 0) < 0 && errno == EINTR, "KVM_RUN: %d", errno);
	v->run->immediate_exit = 0;
	expect_gp(vcpu_continue(v));
	expect_eq(vm_read64(vm, DATA), VALUE);
	vm_free(vm);
}

/* ---- where an exit is no answer ---- */

/* While an event is delivered the default holds: #DF, and the event is gone. */
static void test_vectoring(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	(void)arg;
	subpage_protect(vm, DATA, 0);
	r = vcpu_op(v, OP_INT, DATA + 0x100);
	expect(r.end == RUN_DONE && r.vector == VECTOR_DF && !r.events, "%s", run_text(&r));
	expect_violation(id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_DENY,
			 .flags_set = KVM_VMI_V_VECTORING | KVM_VMI_V_VMM);
	subpage_protect(vm, DATA, ~0U);
	r = vcpu_op(v, OP_INT, DATA + 0x100);
	expect_done(r);
	expect_eq(r.events, 1);
	vm_free(vm);
}

/* An instruction that has read a device is not executed again. */
static void test_device(uintptr_t arg)
{
	uint64_t id, value = VALUE;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	(void)arg;
	vm_map(vm, MMIO, MMIO, 1, PTE_DEFAULT);
	subpage_protect(vm, DATA, DENIED(1));
	*(uint64_t *)vm_hva(vm, DATA) = 5;
	r = vcpu_op(v, OP_REP_MOVS, DATA - 8, MMIO, 8, 2);
	expect_end(r, RUN_MMIO);
	memcpy(v->run->mmio.data, &value, 8);
	r = vcpu_continue(v);
	expect_eq(vm_read64(vm, DATA - 8), VALUE);
	/* The second, which goes to the denied sub-page. */
	expect_end(r, RUN_MMIO);
	expect_eq(r.mmio, MMIO + 8);
	memcpy(v->run->mmio.data, &value, 8);
	expect_gp(vcpu_continue(v));
	expect_eq(vm_read64(vm, DATA), 5);
	expect_eq(vmi_log_violations(id), 1);
	expect_violation(id, 0, .verdict = KVM_VMI_DENY, .gpa = DATA);
	expect(!(vmi_log_violation(id, 0)->v.legal & 1U << KVM_VMI_EXIT), "exit is legal");
	/* The same where the map's own fault began the emulation: from memory on to a device. */
	vm_map(vm, MMIO - PAGE_SIZE, DATA + PAGE_SIZE, 1, PTE_DEFAULT);
	subpage_protect(vm, DATA, DENIED(2));
	*(uint64_t *)vm_hva(vm, DATA + SUBPAGE) = 5;
	r = vcpu_op(v, OP_REP_MOVS, DATA + SUBPAGE - 8, MMIO - 8, 8, 2);
	expect_end(r, RUN_MMIO);
	memcpy(v->run->mmio.data, &value, 8);
	expect_gp(vcpu_continue(v));
	expect_eq(vm_read64(vm, DATA + SUBPAGE), 5);
	expect_eq(vmi_log_violations(id), 2);
	subpage_protect(vm, DATA, DENIED(1));

	/* From memory it may be left. */
	expect_exit(vcpu_op(v, OP_REP_MOVS, DATA, DATA + PAGE_SIZE, 8, 1));
	expect_eq(vmi_log_violations(id), 3);
	vm_free(vm);
}

/* KVM's own writes: the layer denies, whatever the host's rule lets through. */
static void test_kvm_write(uintptr_t host)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t *p = vm_hva(vm, DATA + 0x100);

	if (host) {
		vmi_rule(id, RULE, host, 0);
		vmi_protect(id, RULE, DATA, 0);
	}
	p[0] = p[1] = 0;
	subpage_protect(vm, DATA, DENIED(4));
	vcpu_op(v, OP_WRMSR, 0x4b564d00, DATA + 0x100);	/* MSR_KVM_WALL_CLOCK_NEW */
	expect(!p[0] && !p[1], "the wall clock was written");
	expect_violation(id, vmi_log_violations(id) - 1, .kind = KVM_VMI_KVM,
			 .verdict = KVM_VMI_DENY);
	expect_eq(vmi_log_violations(id), host == KVM_VMI_ALLOW ? 2 : 1);
	vmi_log_clear();
	subpage_protect(vm, DATA, DENIED(8));
	vcpu_op(v, OP_WRMSR, 0x4b564d00, DATA + 0x100);
	if (host == KVM_VMI_DENY)
		expect(!p[0] && !p[1], "the wall clock was written");
	else
		expect(p[0] || p[1], "the wall clock was not written");
	vm_free(vm);
}

/* What KVM cannot emulate, and the CPU can: to where it begins the VMM is asked. */
static void test_unemulatable(uintptr_t arg)
{
	const uint32_t legal = 1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW;
	uint8_t want[576], *page;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	(void)arg;
	if (!(vcpu_features(v) & 4))
		tap_skip("no XSAVE");
	page = vm_hva(vm, DATA);
	memset(page, 0xcc, PAGE_SIZE);
	expect_done(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	memcpy(want, page + 0x800, sizeof(want));
	memset(page, 0xcc, PAGE_SIZE);
	subpage_protect(vm, DATA, DENIED(1U << 16));

	/* Beside what is denied. */
	expect_done(vcpu_op(v, OP_XSAVE, DATA + 0x900, VALUE, 16));
	expect(!memcmp(want, page + 0x900, sizeof(want)), "not stored");
	memset(page, 0xcc, PAGE_SIZE);

	/* Reaching into it: with no exit, unless the CPU checks sub-pages and faults there. */
	r = vcpu_op(v, OP_XSAVE, DATA + 0x7c0, VALUE, 16);
	if (vmi_by_hardware(id)) {
		require_exit(r);
		expect_told(v, .gpa = DATA + 0x800, .flags = KVM_SUBPAGE_EXIT_OWN,
			    .legal = legal);
		r = subpage_answer(v, KVM_VMI_DENY);
	}
	expect_gp(r);
	expect_eq(page[0x800], 0xcc);
	memset(page, 0xcc, PAGE_SIZE);

	/* Beginning there. */
	require_exit(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	expect_told(v, .gpa = DATA + 0x800, .flags = KVM_SUBPAGE_EXIT_OWN, .legal = legal);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(page[0x800], 0xcc);
	require_exit(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect(!memcmp(want, page + 0x800, sizeof(want)), "not stored");
	/* Once. */
	memset(page, 0xcc, PAGE_SIZE);
	require_exit(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	/* A map that lets it through does, too. */
	subpage_protect(vm, DATA, ~0U);
	expect_done(subpage_answer(v, KVM_VMI_DENY));
	expect(!memcmp(want, page + 0x800, sizeof(want)), "not stored");

	/* A rule of the host that lets it through does not speak for the VMM. */
	memset(page, 0xcc, PAGE_SIZE);
	vmi_rule(id, RULE, KVM_VMI_ALLOW, 0);
	vmi_protect(id, RULE, DATA, DENIED(1U << 16));
	subpage_protect(vm, DATA, DENIED(1U << 16));
	require_exit(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	expect_told(v, .gpa = DATA + 0x800, .flags = KVM_SUBPAGE_EXIT_OWN, .legal = legal);
	expect_gp(subpage_answer(v, KVM_VMI_DEFAULT));
	expect_eq(page[0x800], 0xcc);
	/* Nor the VMM for the host. */
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	expect_gp(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	vmi_rule(id, RULE, KVM_VMI_ALLOW, 0);
	require_exit(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	expect_gp(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(page[0x800], 0xcc);
	vm_free(vm);
}

/* The CPU's walk of a page table that the VMM protects. */
static void test_walk(uintptr_t verdict)
{
	struct kvm_vmi_caps caps;
	unsigned int exits;
	uint64_t id, *pte;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	require_eq(vmi_caps(&caps), 0);
	pte = vm_hva(vm, vm_pte(vm, DATA));
	*pte &= ~(PTE_ACCESSED | PTE_DIRTY);
	*(uint64_t *)vm_hva(vm, DATA) = 1234;
	subpage_protect(vm, vm_pte(vm, DATA) & ~(PAGE_SIZE - 1), 0);
	r = vcpu_op(v, OP_LOAD, DATA, 0, 8);
	if (!(caps.features & KVM_VMI_CAP_TDP)) {
		/* KVM walks, and leaves the bit alone. */
		expect_done(r);
		expect(!(*pte & PTE_ACCESSED), "an accessed bit");
		vm_free(vm);
		return;
	}
	require_exit(r);
	expect_eq(subpage_exit(v)->kind, KVM_VMI_WALK);
	expect_eq(subpage_exit(v)->legal, 1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW);
	r = subpage_answer_all(v, r, verdict, &exits);
	if (verdict == KVM_VMI_ALLOW) {
		expect_done(r);
		expect_eq(r.ret[0], 1234);
		expect(*pte & PTE_ACCESSED, "no accessed bit");
	} else {
		expect_gp(r);
		expect_eq(exits, 1);
		expect(!(*pte & PTE_ACCESSED), "an accessed bit");
	}
	vm_free(vm);
}

/* A reset is the VMM's doing: what it has set stays. */
static void test_reset(uintptr_t arg)
{
	struct kvm_vmi_vm_info info;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_sregs s;
	uint32_t mask = 1;

	(void)arg;
	subpage_protect(vm, DATA, DENIED(1));
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	s.cr0 = 0x60000010;
	s.cr4 = s.efer = 0;
	s.cs.l = 0;
	vcpu_ioctl(v, KVM_SET_SREGS, &s);
	vmi_info(id, &info);
	expect_eq(info.generation, 1);
	vcpu_reset_state(v);
	expect_eq(subpage_get(vm, GFN(DATA), 1, &mask), 1);
	expect_eq(mask, DENIED(1));
	/* The answer was about another life. */
	vcpu_prepare(v, OP_NOP, (struct op_args){ });
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect(vm_read64(vm, DATA) != VALUE, "stored after the reset");
	expect_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	vm_free(vm);
}

/* ---- the layers ---- */

#define NO_RULE		15
#define MONITOR		14

static enum attempt outcome_of(uint32_t verdict)
{
	switch (verdict) {
	case KVM_VMI_ALLOW: return ATTEMPT_LANDS;
	case KVM_VMI_SKIP: return ATTEMPT_VANISHES;
	default: return ATTEMPT_DENIED;
	}
}

static void expect_outcome(struct vcpu *v, uint64_t at, uint64_t value, struct run r,
			   enum attempt outcome, unsigned int shape)
{
	uint64_t now;

	memcpy(&now, vm_hva(v->vm, at), 8);
	expect(r.end == RUN_DONE &&
	       r.vector == (outcome == ATTEMPT_DENIED ? VECTOR_GP : GUEST_NO_FAULT) &&
	       now == (outcome == ATTEMPT_LANDS ? value : 0), "shape %u: memory %#llx, %s", shape,
	       (unsigned long long)now, run_text(&r));
}

/*
 * A rule of the host with each action, or none, over a VMM that answers each, or has
 * protected nothing: what the host denies or skips is not asked of the VMM, and what it
 * lets through is.
 */
static void test_layers(uintptr_t arg)
{
	uint32_t host = arg / 16, vmm = arg % 16;
	/* Denied where the fault is; where the emulator gets to; by the two apart. */
	static const struct {
		uint64_t at;
		uint32_t host, vmm;
	} shapes[] = {
		{ DATA + SUBPAGE, 2, 2 },
		{ DATA + SUBPAGE - 4, 2, 2 },
		{ DATA + SUBPAGE - 4, 1, 2 },
		{ DATA + SUBPAGE - 4, 2, 1 },
		{ DATA + PAGE_SIZE - 4, 1U << 31, 1U << 31 },
	};
	bool through = host == NO_RULE || host == MONITOR || host == KVM_VMI_ALLOW;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int i, exits;

	if (host != NO_RULE)
		vmi_rule(id, RULE, host == MONITOR ? KVM_VMI_DENY : host,
			 host == MONITOR ? KVM_VMI_RULE_MONITOR : 0);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		uint64_t value = test_random() | 1;
		enum attempt want = !through ? outcome_of(host) :
				    vmm == NO_RULE ? ATTEMPT_LANDS : outcome_of(vmm);
		struct run r;

		if (host != NO_RULE)
			vmi_protect(id, RULE, DATA, DENIED(shapes[i].host));
		subpage_protect(vm, DATA, vmm == NO_RULE ? ~0U : DENIED(shapes[i].vmm));
		memset(vm_hva(vm, DATA), 0, PAGE_SIZE + 8);
		vmi_log_clear();
		r = vcpu_op(v, OP_STORE, shapes[i].at, value, 8);
		r = subpage_answer_all(v, r, vmm, &exits);
		expect_outcome(v, shapes[i].at, value, r, want, i);
		expect(exits == (through && vmm != NO_RULE), "shape %u: %u exits", i, exits);
		/* Each layer is told once, the host's first. */
		expect(vmi_log_violations(id) == (host != NO_RULE) + exits,
		       "shape %u: %u violations", i, vmi_log_violations(id));
		if (host != NO_RULE)
			expect_violation(id, 0, .flags_clear = KVM_VMI_V_VMM, .rule = RULE);
	}
	vm_free(vm);
}

/* Programs are asked about the host's rules alone, and once, however long the VMM thinks. */
static void test_programs(uintptr_t arg)
{
	struct kvm_vmi_rule_info info;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	subpage_protect(vm, DATA, DENIED(3));
	require_eq(vmi_attach(KVM_VMI_KILL), 0);
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(vmi_asked(), 0);

	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(3));
	vmi_set_answer(KVM_VMI_ALLOW);
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	expect_eq(vmi_asked(), 1);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vmi_asked(), 1);
	expect_eq(vm_read64(vm, DATA), VALUE);
	/* Found by the emulator. */
	vmi_protect(id, RULE, DATA, DENIED(2));
	subpage_protect(vm, DATA, DENIED(2));
	require_exit(vcpu_op(v, OP_STORE, DATA + SUBPAGE - 4, VALUE, 8));
	expect_eq(vmi_asked(), 2);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vmi_asked(), 2);

	/* A program may leave it to the VMM: whose answer is then for this rule. */
	subpage_protect(vm, DATA, ~0U);
	vmi_set_answer(KVM_VMI_EXIT);
	require_exit(vcpu_op(v, OP_STORE, DATA + SUBPAGE, 1, 8));
	expect_told(v, .gpa = DATA + SUBPAGE, .not_flags = KVM_SUBPAGE_EXIT_OWN);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vmi_asked(), 3);
	info = vmi_counters(id, RULE);
	expect_eq(info.violations, 3);
	expect_eq(info.allowed, 3);
	vmi_detach();
	vm_free(vm);
}

/* A rule of the host with action exit: its default until the VMM takes exits. */
static void test_host_exit(uintptr_t dflt)
{
	struct kvm_vmi_rule rule = {
		.id = RULE,
		.action[KVM_VMI_ACTION_WRITE] = KVM_VMI_EXIT,
		.dflt = dflt,
	};
	enum attempt by_default = dflt == KVM_VMI_KILL ? ATTEMPT_KILLS : outcome_of(dflt);
	struct kvm_vmi_rule_info info;
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	require_eq(vmi_set_rules(id, &rule, 1), 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	if (dflt != KVM_VMI_KILL)
		expect_attempt(v, DATA, 8, by_default);
	require_eq(-subpage_enable(vm), 0);
	vmi_log_clear();
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	expect_told(v, .gpa = DATA, .not_flags = KVM_SUBPAGE_EXIT_OWN);
	expect_violation(id, 0, .verdict = KVM_VMI_EXIT, .rule = RULE,
			 .flags_clear = KVM_VMI_V_VMM);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA), VALUE);

	/* Allowed by the VMM for the host's rule: its own map is asked then. */
	subpage_protect(vm, DATA, DENIED(1));
	require_exit(vcpu_op(v, OP_STORE, DATA, 1, 8));
	expect_told(v, .gpa = DATA, .not_flags = KVM_SUBPAGE_EXIT_OWN);
	require_exit(subpage_answer(v, KVM_VMI_ALLOW));
	expect_told(v, .gpa = DATA, .flags = KVM_SUBPAGE_EXIT_OWN);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(vm_read64(vm, DATA), VALUE);
	require_exit(vcpu_op(v, OP_STORE, DATA, 1, 8));
	require_exit(subpage_answer(v, KVM_VMI_ALLOW));
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA), 1);
	subpage_protect(vm, DATA, ~0U);

	/* No answer, or none that is legal, is the rule's default. */
	info = vmi_counters(id, RULE);
	require_exit(vcpu_op(v, OP_STORE, DATA, 2, 8));
	if (dflt == KVM_VMI_KILL) {
		expect_end(subpage_answer(v, KVM_VMI_KILL), RUN_ERROR);
	} else {
		struct run r = subpage_answer(v, KVM_VMI_KILL);

		if (dflt == KVM_VMI_ALLOW)
			expect_done(r);
		else
			expect_gp(r);
		expect_eq(vm_read64(vm, DATA), dflt == KVM_VMI_ALLOW ? 2 : 1);
	}
	expect_eq(vmi_counters(id, RULE).bad_verdicts, info.bad_verdicts + 1);
	vm_free(vm);
}

static void test_nested(uintptr_t shape)
{
	uint32_t mask = DENIED(2);
	struct nested n;
	struct run r;

	nested_new(&n, shape, 0);
	require_eq(-subpage_enable(n.vm), 0);
	require_eq(subpage_set(n.vm, GFN(DATA), 1, &mask), 1);
	*(uint64_t *)vm_hva(n.vm, DATA + SUBPAGE) = 5;
	l2_lands(&n, DATA);
	r = l2_op(&n, OP_STORE, DATA + SUBPAGE, VALUE, 8);
	require_exit(r);
	expect_told(n.v, .gpa = DATA + SUBPAGE,
		    .flags = KVM_SUBPAGE_EXIT_OWN | KVM_SUBPAGE_EXIT_NESTED,
		    .legal = 1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW);
	expect_l2_gp(&n, subpage_answer(n.v, KVM_VMI_DENY));
	expect_eq(vm_read64(n.vm, DATA + SUBPAGE), 5);
	require_exit(l2_op(&n, OP_STORE, DATA + SUBPAGE, VALUE, 8));
	expect_l2_done(&n, subpage_answer(n.v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(n.vm, DATA + SUBPAGE), VALUE);
	/* Into it, from the sub-page before. */
	require_exit(l2_op(&n, OP_STORE, DATA + SUBPAGE - 4, 1, 8));
	expect_l2_done(&n, subpage_answer(n.v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(n.vm, DATA + SUBPAGE - 4), 1);
	vm_free(n.vm);
}

/* Two vCPUs at one sub-page: each has an exit and an answer of its own. */
static void test_two_vcpus(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = subpage_vm(&(struct vm_options){ .vcpus = 2 }, &id);
	struct vcpu *a = vm->vcpu[0], *b = vm->vcpu[1];

	(void)arg;
	subpage_protect(vm, DATA, DENIED(1));
	memset(vm_hva(vm, DATA), 0, SUBPAGE);
	vcpu_spawn(b, OP_STORE, DATA + 8, 2, 8);
	require_exit(vcpu_op(a, OP_STORE, DATA, 1, 8));
	require_exit(vcpu_join(b));
	expect_eq(subpage_exit(a)->gpa, DATA);
	expect_eq(subpage_exit(b)->gpa, DATA + 8);
	expect_done(subpage_answer(b, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA + 8), 2);
	expect_eq(vm_read64(vm, DATA), 0);
	/* One goes on while the other waits, and changes nothing of what that is answered. */
	expect_lands(b, DATA + SUBPAGE);
	expect_exit(vcpu_op(b, OP_STORE, DATA, 3, 8));
	expect_gp(subpage_answer(a, KVM_VMI_DENY));
	expect_eq(vm_read64(vm, DATA), 0);
	expect_done(subpage_answer(b, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA), 3);

	/* A VMM that does not answer holds nobody up. */
	expect_exit(vcpu_op(b, OP_STORE, DATA, 4, 8));
	subpage_protect(vm, DATA, ~0U);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	expect_denied(a, DATA);
	vm_free(vm);
}

#define LAYERS(host, name)						\
	{ "layers-" name "-allow", test_layers, CASE(host, KVM_VMI_ALLOW) },	\
	{ "layers-" name "-deny", test_layers, CASE(host, KVM_VMI_DENY) },	\
	{ "layers-" name "-skip", test_layers, CASE(host, KVM_VMI_SKIP) },	\
	{ "layers-" name "-none", test_layers, CASE(host, NO_RULE) }

#define INSTRUCTION(row, name)						\
	{ name "-allow", test_instruction, CASE(row, KVM_VMI_ALLOW) },	\
	{ name "-deny", test_instruction, CASE(row, KVM_VMI_DENY) },	\
	{ name "-skip", test_instruction, CASE(row, KVM_VMI_SKIP) }

static const struct test_case cases[] = {
	{ "enable", test_enable },
	{ "set-arguments", test_arguments, KVM_SUBPAGES_SET_ACCESS },
	{ "get-arguments", test_arguments, KVM_SUBPAGES_GET_ACCESS },
	{ "round-trip", test_round_trip },
	{ "slots", test_slots },
	{ "unprivileged", test_unprivileged },
	{ "fields", test_fields, 0 },
	{ "fields-user", test_fields, 1 },
	{ "crossing", test_crossing },
	{ "crossing-apart", test_crossing_apart },
	{ "two-subpages", test_two_subpages },
	{ "other-instruction", test_other_instruction },
	{ "repeated", test_repeated },
	{ "opens-by-default", test_opens_by_default },
	INSTRUCTION(0, "add"),
	INSTRUCTION(1, "lock-add"),
	INSTRUCTION(2, "xadd"),
	INSTRUCTION(3, "xchg"),
	INSTRUCTION(4, "cmpxchg"),
	INSTRUCTION(5, "bts"),
	INSTRUCTION(6, "movbe"),
	INSTRUCTION(7, "push"),
	INSTRUCTION(8, "call"),
	INSTRUCTION(9, "pushf"),
	INSTRUCTION(10, "enter"),
	INSTRUCTION(11, "rep-stos"),
	INSTRUCTION(12, "rep-stos-into"),
	INSTRUCTION(13, "rep-stos-out"),
	INSTRUCTION(14, "rep-movs"),
	{ "answers", test_answers, 0 },
	{ "answers-emulated", test_answers, 1 },
	{ "written-back", test_lapse, NOTHING },
	{ "lapse-register", test_lapse, RAX },
	{ "lapse-rip", test_lapse, RIP },
	{ "lapse-flags", test_lapse, FLAGS },
	{ "lapse-cr3", test_lapse, SEGMENT },
	{ "lapse-exception", test_lapse, EXCEPTION },
	{ "lapse-interrupt", test_lapse, INTERRUPT },
	{ "lapse-map", test_lapse, MAP },
	{ "lapse-other-map", test_lapse, SAME_MAP },
	{ "lapse-host-map", test_lapse, HOST_MAP },
	{ "immediate-exit", test_immediate_exit },
	{ "vectoring", test_vectoring },
	{ "device", test_device },
	{ "kvm-write", test_kvm_write, 0 },
	{ "kvm-write-allow", test_kvm_write, KVM_VMI_ALLOW },
	{ "kvm-write-deny", test_kvm_write, KVM_VMI_DENY },
	{ "unemulatable", test_unemulatable },
	{ "walk-allow", test_walk, KVM_VMI_ALLOW },
	{ "walk-deny", test_walk, KVM_VMI_DENY },
	{ "reset", test_reset },
	LAYERS(NO_RULE, "none"),
	LAYERS(MONITOR, "monitor"),
	LAYERS(KVM_VMI_ALLOW, "allow"),
	LAYERS(KVM_VMI_DENY, "deny"),
	LAYERS(KVM_VMI_SKIP, "skip"),
	{ "programs", test_programs },
	{ "host-exit-unsaid", test_host_exit, KVM_VMI_DEFAULT },
	{ "host-exit-allow", test_host_exit, KVM_VMI_ALLOW },
	{ "host-exit-kill", test_host_exit, KVM_VMI_KILL },
	{ "nested-flat", test_nested, SHAPE_FLAT },
	{ "nested-small", test_nested, SHAPE_SMALL },
	{ "two-vcpus", test_two_vcpus },
	{ }
};

const struct test_suite suite_vmm = { .name = "vmm", .cases = cases, .setup = vmi_setup };
