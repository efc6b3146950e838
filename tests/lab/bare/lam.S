/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The accesses of lam.c, in the order of its enum access; and the way to 5-level paging. */
#include "access.inc"

	.section .rodata
	.balign	16
	.globl	page_code, page_code_end
page_code:
	access	movl (%rax), %ebx
	access	movl %ebx, (%rax)
	access	lock addl $1, (%rax)
	access	movl (%rbp), %ebx
	access	movl %fs:(%rcx), %ebx
	access	lodsl
	access	scasl
	access	rep stosb
	access	rep movsb
	access	cmpsl
	access	btl %ecx, (%rax)
	access	movups (%rax), %xmm0
	access	vmaskmovps (%rax), %ymm1, %ymm0
	access	vmaskmovps %ymm1, %ymm1, (%rax)
	access	vpgatherdd %xmm2, (%rax,%xmm3), %xmm0
	access	lock cmpxchg16b (%rax)
	access	fxsave (%rax)
	access	xsave (%rdi)
	access	clflush (%rax)
	access	pushq %rbx
	access	popq %rbx
	access	pushq (%rax)
	access	enter $0, $0
	access	leave
	access	call *(%rax)
	access	jmp *(%rax)
	access	rex64 ljmp *(%rax)
	access	int $0x20
	access	lea (%rax), %rbx
	access	jmp *%rax
	access	call *%rax
	access	ret
	access	invlpg (%rax)
	access	invpcid (%rax), %rcx
	access	wrfsbase %rax
	access	lldt %cx
	access	lgdt (%rdi)
	access	wrmsr
	access	movl %eax, %ds
	/* What INVLPG forgets: RAX is loaded, RBX is put into the entry RCX, then with RDX */
	.org	page_code + 0x400, 0xcc
	movl	(%rax), %esi
	movq	%rbx, (%rcx)
	invlpg	(%rdx)
	movl	(%rax), %eax
	ud2
	/* Two pointers to one word, the second when the first is in the TLB */
	.org	page_code + 0x420, 0xcc
	movl	(%rax), %ebx
	movl	(%rcx), %eax
	ud2
	/* A descriptor at an address, then a word there; and a word before and behind MOV to CR3 */
	.org	page_code + 0x440, 0xcc
	movl	%edx, %ds
	movl	(%rax), %ebx
	ud2
	.org	page_code + 0x460, 0xcc
	movl	(%rax), %esi
	movq	%rcx, %cr3
	movl	(%rax), %ebx
	ud2
page_code_end:

	/* move_cr3: to CR3 from RAX, and back what it is then */
	.text
	.globl	move_cr3
move_cr3:
	movq	%rax, %cr3
	movq	%cr3, %rbx
	ud2

	/* void five_levels(uint32_t cr3): by way of no paging at all */
	.globl	five_levels
five_levels:
	pushq	%rbx
	pushq	%rbp
	sgdt	pointer(%rip)
	lgdt	low_pointer(%rip)
	pushq	$0x08
	leaq	1f(%rip), %rax
	pushq	%rax
	lretq
	.code32
1:	movl	%cr0, %eax
	andl	$0x7fffffff, %eax
	movl	%eax, %cr0
	movl	%cr4, %eax
	orl	$0x1000, %eax
	movl	%eax, %cr4
	movl	%edi, %cr3
	movl	%cr0, %eax
	orl	$0x80000000, %eax
	movl	%eax, %cr0
	ljmpl	$0x18, $1f
	.code64
1:	lgdt	pointer(%rip)
	popq	%rbp
	popq	%rbx
	ret

	.data
low_pointer:
	.word	0x1f
	.quad	gdt
pointer:
	.skip	10

	.section .note.GNU-stack, "", @progbits
