// SPDX-License-Identifier: GPL-2.0-or-later
/* L1 on AMD: SVM. */
#include "guest.h"
#include "l1.h"

#define MSR_VM_HSAVE_PA		0xc0010117

#define INTERCEPT_IO		(1U << 27)
#define INTERCEPT_MSR		(1U << 28)
#define INTERCEPT_SHUTDOWN	(1U << 31)
#define INTERCEPT_VMRUN		(1U << 0)
#define INTERCEPT_VMMCALL	(1U << 1)

#define EXIT_EXCEPTION		0x40
#define EXIT_SHUTDOWN		0x7f
#define EXIT_VMMCALL		0x81
#define EXIT_NPF		0x400
#define EXIT_INVALID		(~0UL)

#define NESTED_PAGING		(1U << 0)
#define NESTED_GMET		(1U << 3)

#define NPT_TABLE		0x07UL
#define NPT_USER		0x04UL
#define PAT_DEFAULT		0x0007040600070406UL

struct vmcb_segment {
	uint16_t selector;
	uint16_t rights;
	uint32_t limit;
	uint64_t base;
};

/* What we use of a VMCB; the fields between are zero. */
struct vmcb {
	uint32_t cr, dr, exceptions, misc1, misc2;
	uint8_t pad1[0x40 - 0x14];
	uint64_t iopm, msrpm, tsc_offset;
	uint32_t asid, tlb;
	uint64_t int_control, int_state;
	uint64_t exit_code, exit_info1, exit_info2, exit_int_info;
	uint64_t nested_paging;
	uint8_t pad2[0xa8 - 0x98];
	uint64_t event, nested_cr3;
	uint8_t pad3[0x400 - 0xb8];
	struct vmcb_segment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
	uint8_t pad4[0x4cb - 0x4a0];
	uint8_t cpl;
	uint32_t pad5;
	uint64_t efer;
	uint8_t pad6[0x548 - 0x4d8];
	uint64_t cr4, cr3, cr0, dr7, dr6, rflags, rip;
	uint8_t pad7[0x5d8 - 0x580];
	uint64_t rsp;
	uint8_t pad8[0x5f8 - 0x5e0];
	uint64_t rax;
	uint8_t pad9[0x668 - 0x600];
	uint64_t pat;
	uint8_t pad10[0x1000 - 0x670];
};

_Static_assert(offsetof(struct vmcb, exit_code) == 0x70, "vmcb");
_Static_assert(offsetof(struct vmcb, nested_cr3) == 0xb0, "vmcb");
_Static_assert(offsetof(struct vmcb, efer) == 0x4d0, "vmcb");
_Static_assert(offsetof(struct vmcb, rip) == 0x578, "vmcb");
_Static_assert(sizeof(struct vmcb) == 0x1000, "vmcb");

static int svm_on(struct guest_cpu *cpu, uint64_t base)
{
	(void)cpu;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	wrmsr(MSR_VM_HSAVE_PA, base + L1_VMXON);
	return 1;
}

static int has_gmet(void)
{
	uint32_t a, b, c, d;

	asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(0x8000000a), "2"(0));
	return !!(d & 1U << 17);
}

static uint64_t user_bit(void)
{
	return has_gmet() ? NPT_USER : 0;
}

static void write_controls(struct guest_cpu *cpu, volatile struct vmcb *vmcb, uint64_t base)
{
	uint32_t mode = cpu->l2_mode;

	/* Loads of CR0 and CR4; of EFER, by the bit of writes in the second part of the map. */
	vmcb->cr = mode & L1_TAKES_CRS ? 1U << 16 | 1U << 20 : 0;
	if (mode & L1_TAKES_CRS)
		((volatile uint8_t *)(base + L1_MSR_BITMAP))[0x800 + (MSR_EFER & 0x1fff) / 4] |=
			2U << (MSR_EFER & 3) * 2;
	vmcb->exceptions = mode & L1_TAKES_FAULTS ? 1U << 8 | 1U << 13 : 0;
	vmcb->misc1 = INTERCEPT_IO | INTERCEPT_MSR | INTERCEPT_SHUTDOWN;
	vmcb->misc2 = INTERCEPT_VMRUN | INTERCEPT_VMMCALL;
	vmcb->iopm = base + L1_IO_BITMAP;
	vmcb->msrpm = base + L1_MSR_BITMAP;
	vmcb->asid = 1;
	vmcb->int_state = 0;
	vmcb->nested_paging = mode & L1_PAGING ? NESTED_PAGING : 0;
	if (mode & L1_SPLITS && has_gmet())
		vmcb->nested_paging |= NESTED_GMET;
	vmcb->nested_cr3 = base + L1_ROOT;
	vmcb->event = mode & L1_INJECTS ? 1U << 31 | GUEST_VECTOR_EVENT : 0;
}

static void write_guest(struct guest_cpu *cpu, volatile struct vmcb *vmcb)
{
	const struct vmcb_segment data = { GUEST_DS, 0xc93, ~0U, 0 };
	const struct vmcb_segment code = { GUEST_CS, 0xa9b, ~0U, 0 };
	struct l1_table gdt = l1_gdt(), idt = l1_idt();

	/* FS, GS, TR and LDTR stay L1's: VMRUN does not load them. */
	vmcb->es = data;
	vmcb->cs = code;
	vmcb->ss = data;
	vmcb->ds = data;
	vmcb->gdtr.base = gdt.base;
	vmcb->gdtr.limit = gdt.limit;
	vmcb->idtr.base = idt.base;
	vmcb->idtr.limit = idt.limit;
	vmcb->cpl = 0;
	vmcb->efer = rdmsr(MSR_EFER);
	vmcb->cr0 = READ_CR(0);
	vmcb->cr3 = READ_CR(3) | L2_CR3_MARK;
	vmcb->cr4 = READ_CR(4);
	vmcb->dr6 = 0xffff0ff0;
	vmcb->dr7 = 0x400;
	vmcb->rflags = cpu->l2_mode & L1_INJECTS ? 0x202 : 2;
	vmcb->rip = (uint64_t)l2_start;
	vmcb->rsp = l2_stack(cpu);
	vmcb->pat = PAT_DEFAULT;
}

static void svm_run(struct guest_cpu *cpu, uint64_t base)
{
	volatile struct vmcb *vmcb = (struct vmcb *)(base + L1_VMCS);
	uint64_t code;

	if (!(cpu->l2_mode & L1_LEAVES_VMCB)) {
		write_controls(cpu, vmcb, base);
		write_guest(cpu, vmcb);
	}
	/* VMRUN may fault; an injected event that does has a fixup of its own. */
	cpu->insn = (uint64_t)svm_vmrun;
	if (!cpu->fixup)
		cpu->fixup = (uint64_t)svm_left;
	svm_enter((uint64_t)vmcb);
	if (cpu->faults && cpu->fault_rip == (uint64_t)svm_vmrun) {
		cpu->l2_exit = L2_NOT_ENTERED;
		return;
	}
	code = vmcb->exit_code;
	cpu->l2_rip = vmcb->rip;
	cpu->l2_info = code;
	switch (code) {
	case EXIT_VMMCALL:
		cpu->l2_exit = L2_DONE;
		break;
	case EXIT_NPF:
		cpu->l2_exit = L2_NESTED_FAULT;
		cpu->l2_gpa = vmcb->exit_info2;
		break;
	case EXIT_SHUTDOWN:
		cpu->l2_exit = L2_SHUTDOWN;
		break;
	case EXIT_INVALID:
		cpu->l2_exit = L2_NOT_ENTERED;
		break;
	default:
		if (code - EXIT_EXCEPTION < 32) {
			cpu->l2_exit = L2_EXCEPTION;
			cpu->l2_info = code - EXIT_EXCEPTION;
		} else {
			cpu->l2_exit = L2_OTHER;
		}
	}
}

const struct l1_vendor l1_svm = {
	.number = 2,
	.table = NPT_TABLE,
	.leaf = NPT_TABLE,
	.user = user_bit,
	.huge = 1UL << 7,
	.on = svm_on,
	.run = svm_run,
};

void op_vmsave(struct guest_cpu *cpu)
{
	asm volatile(TRY("vmsave") : : "a"(cpu->arg[0]) : TRY_CLOBBERS);
}
