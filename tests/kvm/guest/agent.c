// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest's program: carry out the operation in the mailbox, tell the host,
 * again.  Exceptions that an operation expects end up in the mailbox, others
 * stop at the host.
 */
#include "guest.h"

#define X2APIC_EOI	0x80b
#define VECTOR_NMI	2
#define RFLAGS_TF	(1UL << 8)

static void op_nop(struct guest_cpu *cpu)
{
	(void)cpu;
}

static const guest_op_fn ops[OP_NR] = {
	[OP_NOP] = op_nop,
	[OP_STORE] = op_store,
	[OP_LOAD] = op_load,
	[OP_ADD] = op_add,
	[OP_LOCK_ADD] = op_lock_add,
	[OP_XADD] = op_xadd,
	[OP_XCHG] = op_xchg,
	[OP_CMPXCHG] = op_cmpxchg,
	[OP_CMPXCHG8B] = op_cmpxchg8b,
	[OP_CMPXCHG16B] = op_cmpxchg16b,
	[OP_BTS] = op_bts,
	[OP_MOVBE] = op_movbe,
	[OP_REP_STOS] = op_rep_stos,
	[OP_REP_MOVS] = op_rep_movs,
	[OP_PUSH] = op_push,
	[OP_CALL] = op_call,
	[OP_PUSHF] = op_pushf,
	[OP_ENTER] = op_enter,
	[OP_PUSH_FAULT] = op_push_fault,
	[OP_INT] = op_int,
	[OP_UD2] = op_ud2,
	[OP_STI_NOP] = op_sti_nop,
	[OP_MOVUPS] = op_movups,
	[OP_MOVDQU] = op_movdqu,
	[OP_MOVNTDQ] = op_movntdq,
	[OP_MOVSS] = op_movss,
	[OP_VMOVDQU] = op_vmovdqu,
	[OP_VMASKMOV] = op_vmaskmov,
	[OP_VMOVDQU64] = op_vmovdqu64,
	[OP_FXSAVE] = op_fxsave,
	[OP_XSAVE] = op_xsave,
	[OP_EXECUTE] = op_execute,
	[OP_EXECUTE_SPIN] = op_execute_spin,
	[OP_ADC_SPIN] = op_adc_spin,
	[OP_XSAVE_FLAGS] = op_xsave_flags,
	[OP_FNSTENV] = op_fnstenv,
	[OP_FSTP] = op_fstp,
	[OP_SGDT] = op_sgdt,
	[OP_LIDT] = op_lidt,
	[OP_FLD] = op_fld,
	[OP_RDMSR] = op_rdmsr,
	[OP_WRMSR] = op_wrmsr,
	[OP_CPUID] = op_cpuid,
	[OP_LOAD_CR3] = op_load_cr3,
	[OP_INVLPG] = op_invlpg,
	[OP_LOAD_CR8] = op_load_cr8,
	[OP_LOAD_DS] = op_load_ds,
	[OP_LTR] = op_ltr,
	[OP_HLT] = op_hlt,
	[OP_RDTSC_SPIN] = op_rdtsc_spin,
	[OP_FEATURES] = op_features,
	[OP_IPI_SELF] = op_ipi_self,
	[OP_HYPERCALL] = op_hypercall,
	[OP_HAMMER] = op_hammer,
	[OP_CR8_SPIN] = op_cr8_spin,
	[OP_FILL] = op_fill,
	[OP_NESTED_ON] = op_nested_on,
	[OP_NESTED_RUN] = op_nested_run,
	[OP_VMREAD_MEM] = op_vmread_mem,
	[OP_VMPTRST] = op_vmptrst,
	[OP_VMPTRLD] = op_vmptrld,
	[OP_VMCLEAR] = op_vmclear,
	[OP_INVEPT] = op_invept,
	[OP_VMSAVE] = op_vmsave,
	[OP_BENCH] = op_bench,
	[OP_PUSHW] = op_pushw,
	[OP_ENTER_NESTED] = op_enter_nested,
	[OP_MOVDIR64B] = op_movdir64b,
	[OP_WRITES] = op_writes,
	[OP_CALL_MEM] = op_call_mem,
	[OP_PROBE] = op_probe,
	[OP_LOAD_CR0] = op_load_cr0,
	[OP_LOAD_CR4] = op_load_cr4,
	[OP_LMSW] = op_lmsw,
	[OP_TOGGLE_CR0] = op_toggle_cr0,
	[OP_TOGGLE_CR4] = op_toggle_cr4,
	[OP_DEADLINE] = op_deadline,
};

/* Carry out one operation; nothing for a number we do not know. */
void agent_do(struct guest_cpu *cpu, uint32_t op)
{
	if (op < OP_NR && ops[op])
		HERE(ops[op])(cpu);
}

static void do_in_user_mode(struct guest_cpu *cpu)
{
	agent_do(cpu, cpu->op);
}

void do_as_user(guest_op_fn fn, struct guest_cpu *cpu)
{
	user_call((guest_op_fn)low((uint64_t)fn), (struct guest_cpu *)low((uint64_t)cpu),
		  (void *)(cpu_block(cpu) + GUEST_USER_TOP));
}

void agent_main(struct guest_cpu *cpu)
{
	for (;;) {
		cpu->vector = GUEST_NO_FAULT;
		cpu->error = 0;
		cpu->faults = 0;
		cpu->progress = 0;
		if (cpu->flags & GUEST_F_USER)
			do_as_user(do_in_user_mode, cpu);
		else
			agent_do(cpu, cpu->op);
		cpu->done++;
		outl(GUEST_PORT_DONE, 0);
	}
}

void agent_trap(struct guest_frame *frame)
{
	struct guest_cpu *cpu = this_cpu();

	if (frame->vector >= 32 || frame->vector == VECTOR_NMI) {
		cpu->events++;
		cpu->last_event = frame->vector;
		if (cpu->flags & GUEST_F_X2APIC && frame->vector != VECTOR_NMI)
			wrmsr(X2APIC_EOI, 0);
		return;
	}

	asm volatile("movq %%cr2, %0" : "=r"(cpu->cr2));
	cpu->vector = frame->vector;
	cpu->error = frame->error;
	cpu->fault_rip = frame->rip;
	cpu->fault_rflags = frame->rflags;
	cpu->fault_rsp = frame->rsp;
	cpu->faults++;
	while (!cpu->fixup)
		outl(GUEST_PORT_TRAP, frame->vector);
	frame->rip = cpu->fixup;
	/* Some probes fault in a 32-bit segment. */
	frame->cs = frame->cs & 3 ? GUEST_USER_CS : GUEST_CS;
	/* Or the trap comes again behind it. */
	frame->rflags &= ~RFLAGS_TF;
	cpu->fixup = 0;
}
