// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every way to write that KVM's emulator knows: read-modify-write, locked,
 * string and stack instructions, at denied and at allowed sub-pages, and a
 * random mix of them against a model.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/attempt.h"
#include "suites.h"

#define RULE	3
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define CLOSED	(DATA + 5 * SUBPAGE)		/* the denied sub-page */
#define OPEN	(DATA + 6 * SUBPAGE)

static struct vm *new_vm(uint64_t *ret_id)
{
	struct vm *vm = vmi_new(NULL, ret_id);

	vmi_rule(*ret_id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(*ret_id, RULE, DATA, DENIED(1U << 5));
	return vm;
}

/* What an operation must leave in memory and return, given what was there. */
static uint64_t model(enum guest_op op, uint64_t old, uint64_t value, int size, uint64_t *ret)
{
	uint64_t mask = size == 8 ? ~0UL : (1UL << size * 8) - 1, result = old;

	*ret = old & mask;
	switch (op) {
	case OP_STORE:
	case OP_XCHG:
		result = value;
		break;
	case OP_ADD:
	case OP_LOCK_ADD:
	case OP_XADD:
		result = old + value;
		break;
	case OP_MOVBE:
		result = __builtin_bswap64(value);
		break;
	case OP_BTS:
		result = old | 1UL << (value & 63);
		break;
	case OP_CMPXCHG:
	case OP_CMPXCHG8B:
		/* arg3, the expected value, is the test's choice: what is there */
		result = value;
		break;
	default:
		require(false, "no model of operation %d", op);
	}
	return (old & ~mask) | (result & mask);
}

static bool returns_old(enum guest_op op)
{
	return op == OP_XADD || op == OP_XCHG || op == OP_CMPXCHG || op == OP_CMPXCHG8B;
}

/* One operation on one place: carried out as by a CPU, or #GP and no trace. */
static void one(struct vcpu *v, enum guest_op op, uint64_t gpa, int size, bool denied)
{
	uint64_t *p = vm_hva(v->vm, gpa), old, want, ret, value = test_random() | 1;
	uint64_t mask = size == 8 ? ~0UL : (1UL << size * 8) - 1;
	struct run r;

	if (op == OP_BTS)
		value &= 63;
	*p = test_random();
	old = *p;
	want = model(op, old, value, size, &ret);
	r = vcpu_op(v, op, gpa, value, size, old);
	if (denied) {
		expect_gp(r);
		expect(*p == old, "operation %d size %d: memory changed", op, size);
		return;
	}
	expect_done(r);
	expect(*p == want, "operation %d size %d at %#llx: %#llx and %#llx gave %#llx not %#llx",
	       op, size, (unsigned long long)gpa, (unsigned long long)old,
	       (unsigned long long)value, (unsigned long long)*p, (unsigned long long)want);
	if (returns_old(op))
		expect((r.ret[0] & mask) == ret, "operation %d returned %#llx", op,
		       (unsigned long long)r.ret[0]);
	if (op == OP_CMPXCHG || op == OP_CMPXCHG8B)
		expect_eq(r.ret[1], 1);
}

static void test_op(uintptr_t op)
{
	bool any_size = op != OP_MOVBE && op != OP_BTS && op != OP_CMPXCHG8B;
	uint64_t id;
	struct vm *vm = new_vm(&id);
	struct vcpu *v = vm->vcpu[0];
	int size;

	for (size = any_size ? 1 : 8; size <= 8; size *= 2) {
		one(v, op, CLOSED + 16, size, true);
		one(v, op, OPEN + 16, size, false);
		/* not aligned, inside and across sub-pages */
		if (size > 1) {
			one(v, op, OPEN + 33, size, false);
			one(v, op, CLOSED - 1, size, true);
			one(v, op, OPEN - 1, size, true);
			one(v, op, OPEN + SUBPAGE - 1, size, false);
		}
	}
	v->cpu->flags |= GUEST_F_USER;
	one(v, op, CLOSED + 16, 8, true);
	one(v, op, OPEN + 16, 8, false);
	vm_free(vm);
}

/* A compare that fails stores the old value again: still a write. */
static void test_cmpxchg_unequal(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(&id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t *p = vm_hva(vm, OPEN), *q = vm_hva(vm, CLOSED);
	struct run r;

	(void)arg;
	*p = 5;
	*q = 5;
	r = vcpu_op(v, OP_CMPXCHG, OPEN, 7, 8, 6);
	expect_done(r);
	expect_eq(*p, 5);
	expect_eq(r.ret[0], 5);
	expect_eq(r.ret[1], 0);
	r = vcpu_op(v, OP_CMPXCHG8B, OPEN, 7, 8, 6);
	expect_done(r);
	expect_eq(*p, 5);
	expect_eq(r.ret[0], 5);
	expect_eq(r.ret[1], 0);
	expect_gp(vcpu_op(v, OP_CMPXCHG, CLOSED, 7, 8, 6));
	expect_gp(vcpu_op(v, OP_CMPXCHG8B, CLOSED, 7, 8, 6));
	expect_eq(*q, 5);
	vm_free(vm);
}

/* Strings stop at the first denied element; what came before stays. */
static void test_stos(uintptr_t down)
{
	uint64_t id;
	struct vm *vm = new_vm(&id);
	struct vcpu *v = vm->vcpu[0];
	uint8_t *page = vm_hva(vm, DATA);
	int size;

	for (size = 1; size <= 8; size *= 2) {
		uint64_t n = 64 / size, done = n / 2;
		uint64_t from = down ? OPEN + 32 - size : CLOSED - 32;
		struct run r;
		int i;

		memset(page, 0, PAGE_SIZE);
		r = vcpu_op(v, OP_REP_STOS, from, 0x7777777777777777, size, n, down);
		expect_gp(r);
		expect_eq(r.ret[0], n - done);
		expect_eq(r.ret[1], down ? OPEN - size : CLOSED);
		for (i = 0; i < (int)PAGE_SIZE; i++) {
			uint64_t a = DATA + i;
			bool set = down ? a >= OPEN && a < OPEN + 32 : a >= CLOSED - 32 && a < CLOSED;

			if (!expect(page[i] == (set ? 0x77 : 0), "byte %#x is %#x", i, page[i]))
				break;
		}
		r = vcpu_op(v, OP_REP_STOS, down ? OPEN + SUBPAGE : OPEN, 0x55, size, n, down);
		expect_done(r);
		expect_eq(r.ret[0], 0);
	}
	vm_free(vm);
}

static void test_movs(uintptr_t from_protected)
{
	uint64_t id;
	struct vm *vm = new_vm(&id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t source = from_protected ? DATA : GUEST_ARENA;
	uint8_t *page = vm_hva(vm, DATA), *src = vm_hva(vm, source);
	struct run r;
	int i;

	for (i = 0; i < 512; i++)
		src[i] = i * 7;
	/* Into the open sub-pages behind the closed one. */
	r = vcpu_op(v, OP_REP_MOVS, OPEN, source, 8, 32);
	expect_done(r);
	expect_eq(memcmp(page + 6 * SUBPAGE, src, 256), 0);
	/* From the unprotected frame before, over the edge, up to the closed one. */
	r = vcpu_op(v, OP_REP_MOVS, DATA - 0x100, source, 4, 4096 / 4);
	expect_gp(r);
	expect_eq(r.ret[1], CLOSED);
	expect_eq(r.ret[0], (4096 - 0x100 - 5 * SUBPAGE) / 4);
	expect_eq(r.ret[2], source + 0x100 + 5 * SUBPAGE);
	vm_free(vm);
}

/* PUSH, CALL, PUSHF, ENTER with the stack pointer just above a denied sub-page. */
static void test_stack(uintptr_t op)
{
	uint64_t id;
	struct vm *vm = new_vm(&id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	/* #GP comes on another stack, or it could not come at all. */
	vcpu_set_ist(v, VECTOR_GP, 2);
	*(uint64_t *)vm_hva(vm, OPEN - 8) = 0x5555;
	r = vcpu_op(v, op, OPEN, 0xaaaa);
	expect_gp(r);
	expect_eq(r.fault_rsp, OPEN);
	expect_eq(vm_read64(vm, OPEN - 8), 0x5555);
	*(uint64_t *)vm_hva(vm, OPEN + SUBPAGE - 8) = 0x5555;
	r = vcpu_op(v, op, OPEN + SUBPAGE, 0xaaaa);
	expect_done(r);
	expect_eq(r.ret[0], OPEN + SUBPAGE - 8);
	expect(vm_read64(vm, OPEN + SUBPAGE - 8) != 0x5555, "nothing was pushed");
	vm_free(vm);
}

/* Random operations at random places under a random map, against a model. */
static void test_random_mix(uintptr_t arg)
{
	static const enum guest_op ops[] = {
		OP_STORE, OP_ADD, OP_LOCK_ADD, OP_XADD, OP_XCHG, OP_CMPXCHG, OP_MOVBE,
	};
	unsigned int i, n = test_options.long_run ? 20000 : 400;
	uint32_t denied[2] = { };
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	for (i = 0; i < n; i++) {
		enum guest_op op = ops[test_random() % ARRAY_SIZE(ops)];
		int size = op == OP_MOVBE ? 8 : 1 << test_random() % 4;
		unsigned int offset = test_random() % (2 * PAGE_SIZE - 16), byte;
		bool bad = false;

		if (i % 16 == 0) {
			unsigned int frame = test_random() % 2;

			denied[frame] = test_random() & test_random();
			vmi_protect(id, RULE, DATA + frame * PAGE_SIZE, DENIED(denied[frame]));
		}
		/* Half of them near an edge. */
		if (test_random() & 1)
			offset = (offset & ~127U) + 124 + test_random() % 8;
		/* KVM has no LOCK over two frames: those are unemulatable, see there. */
		if (op != OP_STORE && op != OP_ADD && offset < PAGE_SIZE &&
		    offset + size > PAGE_SIZE)
			op = OP_STORE;
		for (byte = offset; byte < offset + size; byte++)
			bad |= denied[byte / PAGE_SIZE] >> (byte % PAGE_SIZE / SUBPAGE) & 1;
		one(v, op, DATA + offset, size, bad);
	}
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "mov", test_op, OP_STORE },
	{ "add", test_op, OP_ADD },
	{ "lock-add", test_op, OP_LOCK_ADD },
	{ "lock-xadd", test_op, OP_XADD },
	{ "xchg", test_op, OP_XCHG },
	{ "lock-cmpxchg", test_op, OP_CMPXCHG },
	{ "lock-cmpxchg8b", test_op, OP_CMPXCHG8B },
	{ "lock-bts", test_op, OP_BTS },
	{ "movbe", test_op, OP_MOVBE },
	{ "cmpxchg-unequal", test_cmpxchg_unequal },
	{ "rep-stos", test_stos, 0 },
	{ "rep-stos-down", test_stos, 1 },
	{ "rep-movs", test_movs, 0 },
	{ "rep-movs-from-protected", test_movs, 1 },
	{ "push", test_stack, OP_PUSH },
	{ "call", test_stack, OP_CALL },
	{ "pushf", test_stack, OP_PUSHF },
	{ "enter", test_stack, OP_ENTER },
	{ "random-mix", test_random_mix },
	{ }
};

const struct test_suite suite_instructions = {
	.name = "instructions",
	.cases = cases,
	.setup = vmi_setup,
};
