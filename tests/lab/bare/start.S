/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program that a boot loader takes for Linux: the header of Linux's boot
 * protocol (2.04, Documentation/arch/x86/boot.rst), and the way to 64-bit mode
 * with the first GiB mapped one to one.
 */
#define CODE32	0x08
#define DATA	0x10
#define CODE64	0x18

	.section .setup, "ax"
	.code16
	.globl	setup
setup:
	.org	0x1f1
	.byte	1			/* sectors of setup behind this one */
	.word	0
	.long	image_paragraphs
	.word	0, 0, 0
	.word	0xaa55
	.org	0x200
	.byte	0xeb, start16 - 1f	/* jump */
1:	.ascii	"HdrS"
	.word	0x0204
	.long	0			/* real-mode switch */
	.word	0, 0
	.byte	0
	.byte	1			/* loaded at 1 MiB */
	.word	0
	.long	0x100000
	.long	0, 0			/* initramfs */
	.long	0
	.word	0, 0
	.long	0			/* command line */
	.long	0x37ffffff		/* the initramfs ends below */
start16:
	cli
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	gdt_pointer - start_of_cs
	movl	%cr0, %eax
	orl	$1, %eax
	movl	%eax, %cr0
	ljmpl	$CODE32, $start32
gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	gdt
	.org	0x400
	.set	start_of_cs, setup + 0x200

	.section .head, "ax"
	.code32
start32:
	movw	$DATA, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	%ax, %fs
	movw	%ax, %gs
	movl	$bss_start, %edi
	movl	$bss_end, %ecx
	subl	%edi, %ecx
	xorl	%eax, %eax
	rep stosb
	movl	$stack + 0x4000, %esp
	/* page_tables: PML4, PDPT, PD; filled here, for C is 64-bit */
	movl	$page_tables + 0x1003, page_tables
	movl	$page_tables + 0x2003, page_tables + 0x1000
	movl	$0x83, %eax
	movl	$page_tables + 0x2000, %edi
1:	movl	%eax, (%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	cmpl	$page_tables + 0x3000, %edi
	jb	1b
	movl	$0x620, %eax		/* PAE, SSE */
	movl	%eax, %cr4
	movl	$page_tables, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx
	rdmsr
	orl	$0x100, %eax		/* LME */
	wrmsr
	movl	$0x80000031, %eax	/* PG, NE, ET, PE */
	movl	%eax, %cr0
	ljmpl	$CODE64, $1f
	.code64
1:	movw	$0x20, %ax
	ltr	%ax
	call	main
2:	hlt
	jmp	2b

	.balign	16
	.globl	gdt
gdt:
	.quad	0
	.quad	0x00cf9b000000ffff
	.quad	0x00cf93000000ffff
	.quad	0x00af9b000000ffff
	.quad	0x0000890000000067, 0	/* a TSS that nobody uses */
gdt_end:

	.bss
	.balign	4096
	.globl	page_tables
page_tables:
	.skip	3 * 4096
stack:
	.skip	4 * 4096

	.section .note.GNU-stack, "", @progbits
