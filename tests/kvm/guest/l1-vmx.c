// SPDX-License-Identifier: GPL-2.0-or-later
/* L1 on Intel: VMX. */
#include "guest.h"
#include "l1.h"

#define CR4_VMXE		(1UL << 13)
#define MSR_FEATURE_CONTROL	0x3a
#define MSR_VMX_BASIC		0x480
#define MSR_VMX_CPU2		0x48b
#define MSR_VMX_TRUE_PIN	0x48d
#define MSR_VMX_TRUE_CPU	0x48e
#define MSR_VMX_TRUE_EXIT	0x48f
#define MSR_VMX_TRUE_ENTRY	0x490
#define MSR_LSTAR		0xc0000082

#define PIN_EXT_INTR		(1U << 0)
#define PIN_POSTED		(1U << 7)
#define CPU_TPR_SHADOW		(1U << 21)
#define CPU_IO_BITMAPS		(1U << 25)
#define CPU_MONITOR_TRAP	(1U << 27)
#define CPU_MSR_BITMAPS		(1U << 28)
#define CPU_SECONDARY		(1U << 31)
#define CPU2_EPT		(1U << 1)
#define CPU2_INTR_DELIVERY	(1U << 9)
#define CPU2_MBEC		(1U << 22)
#define EXIT_HOST_64		(1U << 9)
#define EXIT_ACK_INTR		(1U << 15)
#define EXIT_LOAD_EFER		(1U << 21)
#define ENTRY_GUEST_64		(1U << 9)

/* The bit of user mode counts only with MBEC. */
#define EPT_RWX			(7UL | 1UL << 10)
#define EPT_WB			(6UL << 3)
#define EPTP_WALK_4		(3UL << 3)
#define EPTP_AD			(1UL << 6)

#define ERROR_LAUNCH_NOT_CLEAR	4
#define REASON_EXCEPTION	0
#define REASON_TRIPLE_FAULT	2
#define REASON_VMCALL		18
#define REASON_EPT_VIOLATION	48

#define AR_CODE			0xa09b
#define AR_DATA			0xc093
#define AR_TSS			0x008b
#define AR_UNUSABLE		0x10000

/* Fields that are not just written once, by their encodings. */
enum {
	POSTED_VECTOR = 0x0002, POSTED_DESC = 0x2016, GUEST_INTR_STATUS = 0x0810,
	IO_BITMAP_A = 0x2000, IO_BITMAP_B = 0x2002, MSR_BITMAP = 0x2004,
	EXIT_MSR_STORE_ADDR = 0x2006, VIRTUAL_APIC = 0x2012, EPT_POINTER = 0x201a, LINK_POINTER = 0x2800,
	PIN_CONTROLS = 0x4000, CPU_CONTROLS = 0x4002, EXCEPTION_BITMAP = 0x4004,
	EXIT_CONTROLS = 0x400c, EXIT_MSR_STORE_COUNT = 0x400e, ENTRY_CONTROLS = 0x4012,
	ENTRY_INTR_INFO = 0x4016, TPR_THRESHOLD = 0x401c, CPU2_CONTROLS = 0x401e,
	INSTRUCTION_ERROR = 0x4400, EXIT_REASON = 0x4402, EXIT_INTR_INFO = 0x4404,
	GUEST_PHYSICAL = 0x2400,
	GUEST_ES = 0x0800, GUEST_ES_LIMIT = 0x4800, GUEST_ES_AR = 0x4814,
	GUEST_GDTR_LIMIT = 0x4810, GUEST_IDTR_LIMIT = 0x4812,
	GUEST_CR0 = 0x6800, GUEST_CR3 = 0x6802, GUEST_CR4 = 0x6804, GUEST_ES_BASE = 0x6806,
	GUEST_GDTR_BASE = 0x6816, GUEST_IDTR_BASE = 0x6818, GUEST_DR7 = 0x681a,
	GUEST_RSP = 0x681c, GUEST_RIP = 0x681e, GUEST_RFLAGS = 0x6820,
	HOST_ES = 0x0c00, HOST_CS = 0x0c02, HOST_SS = 0x0c04, HOST_DS = 0x0c06,
	CR0_MASK = 0x6000, CR4_MASK = 0x6002, CR0_SHADOW = 0x6004, CR4_SHADOW = 0x6006,
	HOST_EFER = 0x2c02, HOST_TR = 0x0c0c, HOST_CR0 = 0x6c00, HOST_CR3 = 0x6c02, HOST_CR4 = 0x6c04,
	HOST_GS_BASE = 0x6c08, HOST_TR_BASE = 0x6c0a, HOST_GDTR_BASE = 0x6c0c,
	HOST_IDTR_BASE = 0x6c0e, HOST_RIP = 0x6c16,
};

/* Segments in the order of their fields, which are two apart. */
enum { ES, CS, SS, DS, FS, GS, LDTR, TR };

static void vmwrite(uint64_t field, uint64_t value)
{
	asm volatile("vmwrite %1, %0" : : "r"(field), "rm"(value) : "cc", "memory");
}

static uint64_t vmread(uint64_t field)
{
	uint64_t value;

	asm volatile("vmread %1, %0" : "=r"(value) : "r"(field) : "cc", "memory");
	return value;
}

/* What is wanted and may be, and what must be. */
static uint32_t controls(uint32_t msr, uint32_t wanted)
{
	uint64_t can = rdmsr(msr);

	return (wanted & (can >> 32)) | (uint32_t)can;
}

/* An instruction whose operand is in memory: 0, or 1 for CF and 2 for ZF. */
#define VMX_MEMORY(insn, address)						\
	({									\
		uint8_t cf_, zf_;						\
										\
		asm volatile(TRY(insn " (%[p])") "setc %[cf]; setz %[zf]"	\
			     : [cf] "=q"(cf_), [zf] "=q"(zf_) : [p] "r"(address)	\
			     : TRY_CLOBBERS);					\
		cf_ | zf_ << 1;							\
	})

static int vmx_on(struct guest_cpu *cpu, uint64_t base)
{
	uint32_t revision = rdmsr(MSR_VMX_BASIC) & 0x7fffffff;
	uint64_t vmxon = base + L1_VMXON, vmcs = base + L1_VMCS;

	(void)cpu;
	if (!(rdmsr(MSR_FEATURE_CONTROL) & 1))
		wrmsr(MSR_FEATURE_CONTROL, 5);
	asm volatile("movq %0, %%cr4" : : "r"(READ_CR(4) | CR4_VMXE));
	*(volatile uint32_t *)vmxon = revision;
	*(volatile uint32_t *)vmcs = revision;
	return !VMX_MEMORY("vmxon", &vmxon) && !VMX_MEMORY("vmclear", &vmcs) &&
	       !VMX_MEMORY("vmptrld", &vmcs);
}

static void write_controls(struct guest_cpu *cpu, uint64_t base)
{
	uint32_t mode = cpu->l2_mode, cpu1 = CPU_IO_BITMAPS | CPU_MSR_BITMAPS;
	uint32_t pin = 0, cpu2 = 0, exit = EXIT_HOST_64;
	volatile uint32_t *msr = (uint32_t *)(base + L1_MSR_STORE);

	if (mode & L1_PAGING) {
		cpu2 |= CPU2_EPT;
		vmwrite(EPT_POINTER, (base + L1_ROOT) | EPTP_WALK_4 | 6 |
			(mode & L1_AD ? EPTP_AD : 0));
		if (mode & L1_SPLITS)
			cpu2 |= CPU2_MBEC;
	}
	if (mode & L1_OWN_EFER || (mode & L1_LOSES_BITS && cpu->arg[5]))
		exit |= EXIT_LOAD_EFER;
	vmwrite(CR0_MASK, mode & L1_TAKES_CRS ? ~0UL : 0);
	vmwrite(CR4_MASK, mode & L1_TAKES_CRS ? ~0UL : 0);
	vmwrite(CR0_SHADOW, READ_CR(0));
	vmwrite(CR4_SHADOW, READ_CR(4));
	/* That of writes to MSRs from 0xc0000000 on; else the page is not touched. */
	if (mode & L1_TAKES_CRS)
		((volatile uint8_t *)(base + L1_MSR_BITMAP))[0xc00 + (MSR_EFER & 0x1fff) / 8] |=
			1U << (MSR_EFER & 7);
	if (mode & L1_STEPS)
		cpu1 |= CPU_MONITOR_TRAP;
	if (mode & L1_TPR_SHADOW) {
		cpu1 |= CPU_TPR_SHADOW;
		vmwrite(VIRTUAL_APIC, base + L1_VAPIC);
		vmwrite(TPR_THRESHOLD, 0);
	}
	if (mode & L1_POSTED) {
		pin = PIN_EXT_INTR | PIN_POSTED;
		cpu2 |= CPU2_INTR_DELIVERY;
		exit |= EXIT_ACK_INTR;
		vmwrite(POSTED_VECTOR, L1_POSTED_VECTOR);
		vmwrite(POSTED_DESC, base + L1_PI_DESC);
		vmwrite(GUEST_INTR_STATUS, 0);
	}
	if (cpu2) {
		cpu1 |= CPU_SECONDARY;
		vmwrite(CPU2_CONTROLS, controls(MSR_VMX_CPU2, cpu2));
	}
	vmwrite(PIN_CONTROLS, controls(MSR_VMX_TRUE_PIN, pin));
	vmwrite(CPU_CONTROLS, controls(MSR_VMX_TRUE_CPU, cpu1));
	vmwrite(EXIT_CONTROLS, controls(MSR_VMX_TRUE_EXIT, exit));
	vmwrite(ENTRY_CONTROLS, controls(MSR_VMX_TRUE_ENTRY, ENTRY_GUEST_64));
	vmwrite(IO_BITMAP_A, base + L1_IO_BITMAP);
	vmwrite(IO_BITMAP_B, base + L1_IO_BITMAP + 0x1000);
	vmwrite(MSR_BITMAP, base + L1_MSR_BITMAP);
	vmwrite(LINK_POINTER, ~0UL);
	vmwrite(EXCEPTION_BITMAP, mode & L1_TAKES_FAULTS ? 1U << 8 | 1U << 13 : 0);
	vmwrite(ENTRY_INTR_INFO, mode & L1_INJECTS ? 1U << 31 | GUEST_VECTOR_EVENT : 0);
	/* Once: afterwards the page may be protected. */
	if (mode & L1_STORES_MSRS && *msr != MSR_LSTAR)
		*msr = MSR_LSTAR;
	vmwrite(EXIT_MSR_STORE_ADDR, base + L1_MSR_STORE);
	vmwrite(EXIT_MSR_STORE_COUNT, !!(mode & L1_STORES_MSRS));
}

static void write_segment(int n, uint16_t selector, uint32_t limit, uint32_t rights,
			  uint64_t segment_base)
{
	vmwrite(GUEST_ES + 2 * n, selector);
	vmwrite(GUEST_ES_LIMIT + 2 * n, limit);
	vmwrite(GUEST_ES_AR + 2 * n, rights);
	vmwrite(GUEST_ES_BASE + 2 * n, segment_base);
}

static void write_guest(struct guest_cpu *cpu)
{
	struct l1_table gdt = l1_gdt(), idt = l1_idt();
	int n;

	for (n = ES; n <= GS; n++)
		write_segment(n, n == CS ? GUEST_CS : GUEST_DS, ~0U, n == CS ? AR_CODE : AR_DATA,
			      n == GS ? rdmsr(MSR_GS_BASE) : 0);
	write_segment(LDTR, 0, 0, AR_UNUSABLE, 0);
	write_segment(TR, GUEST_TR, 0x67, AR_TSS, here(cpu_block(cpu) + GUEST_TSS));
	vmwrite(GUEST_GDTR_BASE, gdt.base);
	vmwrite(GUEST_GDTR_LIMIT, gdt.limit);
	vmwrite(GUEST_IDTR_BASE, idt.base);
	vmwrite(GUEST_IDTR_LIMIT, idt.limit);
	vmwrite(GUEST_CR0, READ_CR(0));
	vmwrite(GUEST_CR3, READ_CR(3) | L2_CR3_MARK);
	vmwrite(GUEST_CR4, READ_CR(4));
	vmwrite(GUEST_DR7, 0x400);
	vmwrite(GUEST_RSP, l2_stack(cpu));
	vmwrite(GUEST_RIP, (uint64_t)l2_start);
	vmwrite(GUEST_RFLAGS, cpu->l2_mode & L1_INJECTS ? 0x202 : 2);
}

static void write_host(struct guest_cpu *cpu)
{
	int loses = !!(cpu->l2_mode & L1_LOSES_BITS);

	vmwrite(HOST_ES, GUEST_DS);
	vmwrite(HOST_CS, GUEST_CS);
	vmwrite(HOST_SS, GUEST_DS);
	vmwrite(HOST_DS, GUEST_DS);
	vmwrite(HOST_TR, GUEST_TR);
	vmwrite(HOST_CR0, READ_CR(0) & ~(loses ? cpu->arg[6] : 0));
	vmwrite(HOST_CR3, READ_CR(3));
	vmwrite(HOST_CR4, READ_CR(4) & ~(loses ? cpu->arg[7] : 0));
	vmwrite(HOST_EFER, rdmsr(MSR_EFER) & ~(loses ? cpu->arg[5] : 0));
	vmwrite(HOST_GS_BASE, rdmsr(MSR_GS_BASE));
	vmwrite(HOST_TR_BASE, here(cpu_block(cpu) + GUEST_TSS));
	vmwrite(HOST_GDTR_BASE, l1_gdt().base);
	vmwrite(HOST_IDTR_BASE, l1_idt().base);
	vmwrite(HOST_RIP, (uint64_t)vmx_exit);
}

static void not_entered(struct guest_cpu *cpu)
{
	cpu->l2_exit = L2_NOT_ENTERED;
	cpu->l2_info = vmread(INSTRUCTION_ERROR);
}

static void vmx_run(struct guest_cpu *cpu, uint64_t base)
{
	uint64_t reason;

	write_controls(cpu, base);
	write_guest(cpu);
	write_host(cpu);
	/* Whether it was launched before is the CPU's to know. */
	if (vmx_enter(0) && (vmread(INSTRUCTION_ERROR) != ERROR_LAUNCH_NOT_CLEAR || vmx_enter(1))) {
		not_entered(cpu);
		return;
	}
	reason = vmread(EXIT_REASON);
	cpu->l2_rip = vmread(GUEST_RIP);
	cpu->l2_info = reason;
	switch (reason) {
	case REASON_VMCALL:
		cpu->l2_exit = L2_DONE;
		break;
	case REASON_EXCEPTION:
		cpu->l2_exit = L2_EXCEPTION;
		cpu->l2_info = vmread(EXIT_INTR_INFO) & 0xff;
		break;
	case REASON_EPT_VIOLATION:
		cpu->l2_exit = L2_NESTED_FAULT;
		cpu->l2_gpa = vmread(GUEST_PHYSICAL);
		break;
	case REASON_TRIPLE_FAULT:
		cpu->l2_exit = L2_SHUTDOWN;
		break;
	default:
		cpu->l2_exit = reason >> 31 ? L2_NOT_ENTERED : L2_OTHER;
	}
}

static uint64_t user_bit(void)
{
	return 0;
}

const struct l1_vendor l1_vmx = {
	.number = 1,
	.table = EPT_RWX,
	.leaf = EPT_RWX | EPT_WB,
	.user = user_bit,
	.huge = 1UL << 7,
	.on = vmx_on,
	.run = vmx_run,
};

void op_vmread_mem(struct guest_cpu *cpu)
{
	uint8_t cf, zf;

	asm volatile(TRY("vmread %[field], (%[p])") "setc %[cf]; setz %[zf]"
		     : [cf] "=q"(cf), [zf] "=q"(zf)
		     : [p] "r"(cpu->arg[0]), [field] "r"(cpu->arg[1]) : TRY_CLOBBERS);
	cpu->ret[1] = cf | zf << 1;
}

void op_vmptrst(struct guest_cpu *cpu)
{
	cpu->ret[1] = VMX_MEMORY("vmptrst", cpu->arg[0]);
}

void op_vmptrld(struct guest_cpu *cpu)
{
	cpu->ret[1] = VMX_MEMORY("vmptrld", cpu->arg[0]);
}

void op_vmclear(struct guest_cpu *cpu)
{
	cpu->ret[1] = VMX_MEMORY("vmclear", cpu->arg[0]);
}

/* All contexts. */
void op_invept(struct guest_cpu *cpu)
{
	uint64_t all = 2;
	uint8_t cf, zf;

	asm volatile(TRY("invept (%[p]), %[all]") "setc %[cf]; setz %[zf]"
		     : [cf] "=q"(cf), [zf] "=q"(zf)
		     : [p] "r"(cpu->arg[0]), [all] "r"(all) : TRY_CLOBBERS);
	cpu->ret[1] = cf | zf << 1;
}
