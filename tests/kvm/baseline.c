// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * KVM as it always was, and that the library here works: no rule is set, so the
 * same must hold with and without our part in the kernel.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/vcpu.h"
#include "suites.h"

static void test_nop(uintptr_t arg)
{
	struct vm *vm = vm_new(NULL);

	(void)arg;
	expect_done(vcpu_op(vm->vcpu[0], OP_NOP));
	expect_done(vcpu_op(vm->vcpu[0], OP_NOP));
	expect_eq(vm->vcpu[0]->cpu->done, 2);
	vm_free(vm);
}

static void test_stores(uintptr_t user)
{
	struct vm *vm = vm_new(NULL);
	struct vcpu *v = vm->vcpu[0];
	uint64_t p = GUEST_ARENA + 0x108;
	struct run r;
	int size;

	if (user)
		v->cpu->flags |= GUEST_F_USER;
	for (size = 1; size <= 8; size *= 2) {
		uint64_t mask = size == 8 ? ~0UL : (1UL << size * 8) - 1;

		*(uint64_t *)vm_hva(vm, p) = 0;
		expect_done(vcpu_op(v, OP_STORE, p, 0x1122334455667788, size));
		expect_eq(vm_read64(vm, p), 0x1122334455667788 & mask);
		expect_done(vcpu_op(v, OP_ADD, p, 1, size));
		expect_done(vcpu_op(v, OP_LOCK_ADD, p, 1, size));
		expect_eq(vm_read64(vm, p), (0x1122334455667788 + 2) & mask);
		r = vcpu_op(v, OP_XADD, p, 3, size);
		expect_done(r);
		expect_eq(r.ret[0] & mask, (0x1122334455667788 + 2) & mask);
		r = vcpu_op(v, OP_XCHG, p, 42, size);
		expect_done(r);
		expect_eq(r.ret[0] & mask, (0x1122334455667788 + 5) & mask);
		r = vcpu_op(v, OP_CMPXCHG, p, 77, size, 42);
		expect_done(r);
		expect_eq(r.ret[1], 1);
		r = vcpu_op(v, OP_CMPXCHG, p, 78, size, 42);
		expect_eq(r.ret[1], 0);
		expect_eq(r.ret[0] & mask, 77);
		r = vcpu_op(v, OP_LOAD, p, 0, size);
		expect_eq(r.ret[0], 77);
	}
	r = vcpu_op(v, OP_CMPXCHG8B, p, 0x1234567800000001, 8, 77);
	expect_done(r);
	expect_eq(r.ret[1], 1);
	expect_eq(vm_read64(vm, p), 0x1234567800000001);
	expect_done(vcpu_op(v, OP_BTS, p, 63));
	expect_eq(vm_read64(vm, p), 0x9234567800000001);
	vm_free(vm);
}

static void test_strings(uintptr_t arg)
{
	struct vm *vm = vm_new(NULL);
	struct vcpu *v = vm->vcpu[0];
	uint8_t *page = vm_hva(vm, GUEST_ARENA);
	struct run r;
	int i;

	(void)arg;
	r = vcpu_op(v, OP_REP_STOS, GUEST_ARENA + 0x10, 0x5a, 1, 0x20);
	expect_done(r);
	expect_eq(r.ret[0], 0);
	expect_eq(r.ret[1], GUEST_ARENA + 0x30);
	for (i = 0; i < 0x40; i++)
		expect_eq(page[i], i >= 0x10 && i < 0x30 ? 0x5a : 0);
	r = vcpu_op(v, OP_REP_MOVS, GUEST_ARENA + 0x1000 + 0xff8, GUEST_ARENA + 0x28, 8, 4, 1);
	expect_done(r);
	expect_eq(r.ret[1], GUEST_ARENA + 0x1000 + 0xff8 - 32);
	expect_eq(vm_read64(vm, GUEST_ARENA + 0x1ff8), 0x5a5a5a5a5a5a5a5a);
	expect_eq(vm_read64(vm, GUEST_ARENA + 0x1fe0), 0x5a5a5a5a5a5a5a5a);
	vm_free(vm);
}

static void test_stack(uintptr_t arg)
{
	struct vm *vm = vm_new(NULL);
	struct vcpu *v = vm->vcpu[0];
	uint64_t sp = GUEST_ARENA + 0x1000;
	struct run r;

	(void)arg;
	r = vcpu_op(v, OP_PUSH, sp, 0xabcd);
	expect_done(r);
	expect_eq(r.ret[0], sp - 8);
	expect_eq(vm_read64(vm, sp - 8), 0xabcd);
	r = vcpu_op(v, OP_CALL, sp);
	expect_done(r);
	expect_eq(r.ret[0], sp - 8);
	expect(vm_read64(vm, sp - 8) != 0xabcd, "call pushed nothing");
	r = vcpu_op(v, OP_PUSHF, sp - 8);
	expect_done(r);
	expect_eq(vm_read64(vm, sp - 16) & 2, 2);
	r = vcpu_op(v, OP_ENTER, sp - 16);
	expect_done(r);
	expect_eq(r.ret[0], sp - 24);
	r = vcpu_op(v, OP_INT, sp);
	expect_done(r);
	expect_eq(r.events, 1);
	expect_eq(vm_read64(vm, sp - 8), GUEST_DS);
	vm_free(vm);
}

static void test_exceptions(uintptr_t arg)
{
	struct vm *vm = vm_new(NULL);
	struct vcpu *v = vm->vcpu[0];
	uint64_t hole = GUEST_ARENA + 0x100000;
	struct run r;

	(void)arg;
	expect_fault(vcpu_op(v, OP_UD2), VECTOR_UD);
	r = vcpu_op(v, OP_STORE, hole, 1, 8);
	expect(r.end == RUN_DONE && r.vector == VECTOR_PF && r.error == 2 && r.cr2 == hole &&
	       r.fault_rip == r.insn, "%s", run_text(&r));
	r = vcpu_op(v, OP_WRMSR, 0x12345, 0);
	expect_gp(r);

	v->cpu->flags |= GUEST_F_USER;
	expect_gp(vcpu_op(v, OP_RDMSR, 0x10));
	r = vcpu_op(v, OP_INT);
	expect_done(r);
	expect_eq(r.events, 1);
	v->cpu->flags = 0;

	/* On a stack that is not there: #PF cannot be delivered, #DF can. */
	r = vcpu_op(v, OP_UD2, hole + 0x1000);
	expect(r.end == RUN_DONE && r.vector == VECTOR_DF && !r.error, "%s", run_text(&r));
	/* Nor can #DF without a stack of its own. */
	vcpu_set_ist(v, VECTOR_DF, 0);
	expect_end(vcpu_op(v, OP_UD2, hole + 0x1000), RUN_SHUTDOWN);
	vm_free(vm);
}

static void test_interrupts(uintptr_t arg)
{
	struct vm *vm = vm_new(NULL);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_interrupt irq = { .irq = GUEST_VECTOR_EVENT };
	struct run r;

	(void)arg;
	v->run->request_interrupt_window = 1;
	expect_end(vcpu_op(v, OP_STI_NOP), RUN_IRQ_WINDOW);
	v->run->request_interrupt_window = 0;
	vcpu_ioctl(v, KVM_INTERRUPT, &irq);
	r = vcpu_continue(v);
	expect_done(r);
	expect_eq(r.events, 1);
	expect_end(vcpu_op(v, OP_HLT), RUN_HALT);
	vm_free(vm);

	vm = vm_new(&(struct vm_options){ .flags = VM_IRQCHIP });
	r = vcpu_op(vm->vcpu[0], OP_IPI_SELF, GUEST_VECTOR_EVENT);
	expect_done(r);
	expect_eq(r.events, 1);
	vm_free(vm);
}

static void test_vector_state(uintptr_t arg)
{
	struct vm *vm = vm_new(NULL);
	struct vcpu *v = vm->vcpu[0];
	uint64_t p = GUEST_ARENA, value = 0x0102030405060708;
	uint32_t have = vcpu_features(v);

	(void)arg;
	expect_done(vcpu_op(v, OP_MOVUPS, p, value));
	expect_eq(vm_read64(vm, p), value);
	expect_eq(vm_read64(vm, p + 8), value);
	expect_done(vcpu_op(v, OP_MOVDQU, p + 16, value));
	expect_done(vcpu_op(v, OP_MOVNTDQ, p + 32, value));
	expect_done(vcpu_op(v, OP_MOVSS, p + 48, value));
	expect_eq(vm_read64(vm, p + 48), value & 0xffffffff);
	expect_done(vcpu_op(v, OP_CMPXCHG16B, p, 1, 16, value, 2, value));
	expect_eq(vm_read64(vm, p), 1);
	expect_eq(vm_read64(vm, p + 8), 2);
	expect_done(vcpu_op(v, OP_FXSAVE, p + 0x200));
	expect_done(vcpu_op(v, OP_FNSTENV, p + 0x400));
	expect_done(vcpu_op(v, OP_FSTP, p + 0x480));
	expect_eq(vm_read64(vm, p + 0x480), 0x3ff0000000000000);
	expect_done(vcpu_op(v, OP_SGDT, p + 0x500));
	if (have & 4)
		expect_done(vcpu_op(v, OP_XSAVE, p + 0x800));
	if (have & 2) {
		expect_done(vcpu_op(v, OP_VMOVDQU, p + 0xd00, value));
		expect_eq(vm_read64(vm, p + 0xd18), value);
		expect_done(vcpu_op(v, OP_VMASKMOV, p + 0xd80, value));
		expect_eq(vm_read64(vm, p + 0xd98), value);
	}
	vm_free(vm);
}

static void test_two_cpus(uintptr_t arg)
{
	struct vm *vm = vm_new(&(struct vm_options){ .vcpus = 2 });
	uint64_t log = GUEST_SCRATCH_BASE, n = 2000;
	struct run r;
	unsigned int i;

	(void)arg;
	for (i = 0; i < 2; i++)
		vcpu_spawn(vm->vcpu[i], OP_HAMMER, GUEST_ARENA, 4, test_random(), n,
			   log + i * 0x4000, i);
	for (i = 0; i < 2; i++) {
		r = vcpu_join(vm->vcpu[i]);
		expect_done(r);
		expect_eq(r.ret[0], 0);
		expect_eq(r.ret[1], n);
		expect_eq(r.ret[2], 0);
	}
	vm_free(vm);
}

static void test_dirty_log(uintptr_t backing)
{
	struct vm *vm = vm_new(&(struct vm_options){ .arena_pages = 512, .arena = backing });
	struct slot *arena = vm_slot(vm, GUEST_ARENA);
	struct vcpu *v = vm->vcpu[0];
	uint64_t *dirty;

	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA, 1, PAGE_SIZE, 512));
	slot_set_flags(vm, arena, KVM_MEM_LOG_DIRTY_PAGES);
	free(slot_dirty(vm, arena));
	expect_done(vcpu_op(v, OP_STORE, GUEST_ARENA + 5 * PAGE_SIZE, 2, 8));
	expect_done(vcpu_op(v, OP_STORE, GUEST_ARENA + 70 * PAGE_SIZE, 2, 8));
	dirty = slot_dirty(vm, arena);
	expect_eq(dirty[0], 1UL << 5);
	expect_eq(dirty[1], 1UL << 6);
	free(dirty);
	dirty = slot_dirty(vm, arena);
	expect_eq(dirty[0] | dirty[1], 0);
	free(dirty);
	slot_set_flags(vm, arena, 0);
	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA, 3, PAGE_SIZE, 512));
	expect_eq(vm_read64(vm, GUEST_ARENA + 511 * PAGE_SIZE), 3);
	vm_free(vm);
}

static void test_slots(uintptr_t arg)
{
	struct vm *vm = vm_new(NULL);
	struct slot *arena = vm_slot(vm, GUEST_ARENA);
	struct vcpu *v = vm->vcpu[0];
	uint64_t elsewhere = GUEST_ARENA + 0x100000, alias = GUEST_ARENA + 0x180000;
	struct run r;

	(void)arg;
	vm_map(vm, elsewhere, elsewhere, 16, PTE_DEFAULT);
	vm_map(vm, alias, alias, 1, PTE_DEFAULT);

	expect_done(vcpu_op(v, OP_STORE, GUEST_ARENA, 11, 8));
	vm_add_alias(vm, 0, alias, PAGE_SIZE, arena->hva, 0);
	r = vcpu_op(v, OP_LOAD, alias, 0, 8);
	expect_eq(r.ret[0], 11);

	slot_move(vm, arena, elsewhere);
	r = vcpu_op(v, OP_LOAD, elsewhere, 0, 8);
	expect_eq(r.ret[0], 11);
	r = vcpu_op(v, OP_STORE, GUEST_ARENA, 12, 8);
	expect_end(r, RUN_MMIO);
	expect_eq(r.mmio, GUEST_ARENA);
	expect_done(vcpu_continue(v));

	slot_delete(vm, arena);
	expect_end(vcpu_op(v, OP_STORE, elsewhere, 13, 8), RUN_MMIO);
	expect_done(vcpu_continue(v));
	slot_insert(vm, arena);
	expect_done(vcpu_op(v, OP_STORE, elsewhere, 14, 8));
	expect_eq(vm_read64(vm, elsewhere), 14);

	slot_delete(vm, arena);
	slot_move(vm, arena, GUEST_ARENA);
	slot_set_flags(vm, arena, 0);
	vm_free(vm);
}

static void test_read_only(uintptr_t arg)
{
	struct vm *vm = vm_new(NULL);
	struct vcpu *v = vm->vcpu[0];
	uint64_t gpa = GUEST_ARENA + 0x100000;
	struct run r;

	(void)arg;
	vm_add_slot(vm, gpa, PAGE_SIZE, BACKING_ANONYMOUS, KVM_MEM_READONLY);
	vm_map(vm, gpa, gpa, 1, PTE_DEFAULT);
	r = vcpu_op(v, OP_STORE, gpa + 8, 1, 8);
	expect_end(r, RUN_MMIO);
	expect_eq(r.mmio, gpa + 8);
	expect_done(vcpu_continue(v));
	expect_eq(vm_read64(vm, gpa + 8), 0);
	vm_free(vm);
}

/* A bit of CR4 that the guest's CPUID does not offer: LASS, here. */
static void test_reserved(uintptr_t arg)
{
	struct vm *vm = vm_new(NULL);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_sregs s;
	struct run r;

	(void)arg;
	vcpu_hide_cpuid(v, 7, 1, CPUID_EAX, 1U << 6);
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	r = vcpu_op(v, OP_PROBE, PROBE_CR4, 0, 0, s.cr4 | 1UL << 27);
	expect_gp(r);
	expect_eq(r.ret[0], s.cr4);
	/* One that is there. */
	r = vcpu_op(v, OP_PROBE, PROBE_CR4, 0, 0, s.cr4 | 1UL << 7);
	expect_done(r);
	expect_eq(r.ret[0], s.cr4 | 1UL << 7);
	s.cr4 |= 1UL << 27;
	expect_eq(ioctl(v->fd, KVM_SET_SREGS, &s) ? errno : 0, EINVAL);
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "nop", test_nop },
	{ "stores", test_stores, 0 },
	{ "stores-user", test_stores, 1 },
	{ "strings", test_strings },
	{ "stack", test_stack },
	{ "exceptions", test_exceptions },
	{ "interrupts", test_interrupts },
	{ "vector-state", test_vector_state },
	{ "two-cpus", test_two_cpus },
	{ "dirty-log", test_dirty_log, BACKING_ANONYMOUS },
	{ "dirty-log-thp", test_dirty_log, BACKING_THP },
	{ "dirty-log-shared", test_dirty_log, BACKING_SHARED },
	{ "slots", test_slots },
	{ "read-only", test_read_only },
	{ "reserved-bit", test_reserved },
	{ }
};

const struct test_suite suite_baseline = { .name = "baseline", .cases = cases };
