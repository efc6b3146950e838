/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VMX for the tests of the lab's CPUs: one guest with EPT, see vmx.S. */
#include "bare.h"

#define EPT_R	    1ull
#define EPT_W	    2ull
#define EPT_X	    4ull
#define EPT_WB	    (6ull << 3)
#define EPT_LARGE   (1ull << 7)
#define EPTP_WALK_4 (3ull << 3)
#define EPTP_AD	    (1ull << 6)

#define EXIT_EXCEPTION	   0
#define EXIT_VMCALL	   18
#define EXIT_BAD_STATE	   33 /* with bit 31 */
#define EXIT_EPT_VIOLATION 48

/* Of an EPT violation's qualification */
#define QUAL_READ	 1ull
#define QUAL_WRITE	 2ull
#define QUAL_R_AND_X	 (5ull << 3)
#define QUAL_LINEAR	 (1ull << 7)
#define QUAL_DATA	 (1ull << 8) /* not the walk */
#define QUAL_PAGE_RIGHTS (7ull << 9) /* the guest's own, not told by all processors */

/* Fields of the VMCS, SDM vol. 3 appendix B */
#define GUEST_CS_SELECTOR      0x0802
#define GUEST_TR_SELECTOR      0x080e
#define HOST_ES_SELECTOR       0x0c00
#define HOST_TR_SELECTOR       0x0c0c
#define EPT_POINTER	       0x201a
#define GUEST_PHYSICAL_ADDRESS 0x2400
#define VMCS_LINK_POINTER      0x2800
#define GUEST_EFER	       0x2806
#define HOST_EFER	       0x2c02
#define PIN_CONTROLS	       0x4000
#define PROC_CONTROLS	       0x4002
#define EXCEPTION_BITMAP       0x4004
#define EXIT_CONTROLS	       0x400c
#define ENTRY_CONTROLS	       0x4012
#define PROC_CONTROLS2	       0x401e
#define INSTRUCTION_ERROR      0x4400
#define EXIT_REASON	       0x4402
#define EVENT_INFO	       0x4404
#define VECTORING_INFO	       0x4408
#define GUEST_ES_LIMIT	       0x4800
#define GUEST_GDTR_LIMIT       0x4810
#define GUEST_IDTR_LIMIT       0x4812
#define GUEST_ES_RIGHTS	       0x4814
#define GUEST_CS_RIGHTS	       0x4816
#define GUEST_LDTR_RIGHTS      0x4820
#define GUEST_TR_RIGHTS	       0x4822
#define EXIT_QUALIFICATION     0x6400
#define GUEST_LINEAR_ADDRESS   0x640a
#define GUEST_CR0	       0x6800
#define GUEST_CR3	       0x6802
#define GUEST_CR4	       0x6804
#define GUEST_GS_BASE	       0x6810
#define GUEST_GDTR_BASE	       0x6816
#define GUEST_IDTR_BASE	       0x6818
#define GUEST_DR7	       0x681a
#define GUEST_RSP	       0x681c
#define GUEST_RIP	       0x681e
#define GUEST_RFLAGS	       0x6820
#define HOST_CR0	       0x6c00
#define HOST_CR3	       0x6c02
#define HOST_CR4	       0x6c04
#define HOST_TR_BASE	       0x6c0a
#define HOST_GDTR_BASE	       0x6c0c
#define HOST_IDTR_BASE	       0x6c0e

#define CTL_SECONDARY	(1u << 31)
#define CTL2_EPT	(1u << 1)
#define EXIT_LONG	(1u << 9)
#define EXIT_SAVE_EFER	(1u << 20)
#define EXIT_LOAD_EFER	(1u << 21)
#define ENTRY_LONG	(1u << 9)
#define ENTRY_LOAD_EFER (1u << 15)

/* vmx.S */
extern void guest_interrupt(void);
extern int guest_run(long resume);

uint64_t exit_rcx, exit_rdi;

static PAGE_ALIGNED uint32_t vmxon_region[PAGE / 4], vmcs[PAGE / 4];

static inline uint64_t vmread(uint64_t field)
{
	uint64_t value = 0;

	asm volatile("vmread %1, %0" : "+r"(value) : "r"(field) : "cc");
	return value;
}

static inline void vmwrite(uint64_t field, uint64_t value)
{
	asm volatile("vmwrite %0, %1" : : "r"(value), "r"(field) : "cc");
}

/* A control field: what must be on, and what is wanted. False if that cannot be had. */
static bool control(uint64_t field, uint32_t msr, uint32_t wanted)
{
	uint64_t may = rdmsr(msr);

	vmwrite(field, wanted | (uint32_t)may);
	return !(wanted & ~(uint32_t)(may >> 32));
}

static bool vmx_on(void)
{
	uint64_t cr0, cr4, region = (uint64_t)vmxon_region, area = (uint64_t)vmcs;
	uint8_t bad;

	if (!(rdmsr(0x3a) & 1))
		wrmsr(0x3a, 5);
	vmxon_region[0] = rdmsr(0x480);
	vmcs[0] = rdmsr(0x480);
	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	asm volatile("movq %0, %%cr4" : : "r"(cr4 | 1 << 13));
	asm volatile("movq %%cr0, %0" : "=r"(cr0));
	asm volatile("movq %0, %%cr0" : : "r"((cr0 | rdmsr(0x486)) & rdmsr(0x487)));
	asm volatile("vmxon %1\n\tsetbe %0" : "=q"(bad) : "m"(region) : "cc", "memory");
	if (bad)
		return false;
	asm volatile("vmclear %1\n\tsetbe %0" : "=q"(bad) : "m"(area) : "cc", "memory");
	if (bad)
		return false;
	asm volatile("vmptrld %1\n\tsetbe %0" : "=q"(bad) : "m"(area) : "cc", "memory");
	return !bad;
}

/*
 * A guest in this program's mode, in its address space but with EPT, all of whose
 * exceptions exit. False if the CPU has not those controls.
 */
static bool vmcs_fill(uint32_t controls2, const void *ept)
{
	uint64_t cr0, cr3, cr4, i;

	asm volatile("movq %%cr0, %0" : "=r"(cr0));
	asm volatile("movq %%cr3, %0" : "=r"(cr3));
	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	if (!control(PIN_CONTROLS, 0x48d, 0) || !control(PROC_CONTROLS, 0x48e, CTL_SECONDARY) ||
	    !control(PROC_CONTROLS2, 0x48b, CTL2_EPT | controls2) ||
	    !control(EXIT_CONTROLS, 0x48f, EXIT_LONG | EXIT_SAVE_EFER | EXIT_LOAD_EFER) ||
	    !control(ENTRY_CONTROLS, 0x490, ENTRY_LONG | ENTRY_LOAD_EFER))
		return false;
	vmwrite(EXCEPTION_BITMAP, ~0u);
	vmwrite(VMCS_LINK_POINTER, ~0ull);
	vmwrite(EPT_POINTER, (uint64_t)ept | 6 | EPTP_WALK_4 | EPTP_AD);
	vmwrite(GUEST_CR0, cr0);
	vmwrite(GUEST_CR3, cr3);
	vmwrite(GUEST_CR4, cr4);
	vmwrite(GUEST_EFER, rdmsr(0xc0000080));
	vmwrite(GUEST_DR7, 0x400);
	/* ES, CS, SS, DS, FS, GS, LDTR, TR: selectors, limits, rights, each two apart */
	for (i = 0; i < 6; i++) {
		vmwrite(0x800 + 2 * i, 0x10);
		vmwrite(GUEST_ES_LIMIT + 2 * i, ~0u);
		vmwrite(GUEST_ES_RIGHTS + 2 * i, 0xc093);
		vmwrite(HOST_ES_SELECTOR + 2 * i, 0x10);
	}
	vmwrite(GUEST_CS_SELECTOR, 0x18);
	vmwrite(GUEST_CS_RIGHTS, 0xa09b);
	vmwrite(GUEST_LDTR_RIGHTS, 0x10000);
	vmwrite(GUEST_TR_SELECTOR, 0x20);
	vmwrite(GUEST_ES_LIMIT + 14, 0x67);
	vmwrite(GUEST_TR_RIGHTS, 0x8b);
	vmwrite(GUEST_GDTR_BASE, (uint64_t)gdt);
	vmwrite(GUEST_GDTR_LIMIT, 0x2f);
	vmwrite(HOST_CR0, cr0);
	vmwrite(HOST_CR3, cr3);
	vmwrite(HOST_CR4, cr4);
	vmwrite(HOST_EFER, rdmsr(0xc0000080));
	vmwrite(HOST_ES_SELECTOR + 2, 0x18);
	vmwrite(HOST_TR_SELECTOR, 0x20);
	vmwrite(HOST_GDTR_BASE, (uint64_t)gdt);
	return true;
}
