/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accesses of lass.c, in the order of its enum access. Those that are tried in
 * compatibility mode too are the same there.
 */
#include "access.inc"

	.section .rodata
	.balign	16
	.globl	page_code, page_code_end
page_code:
	access	movl (%rax), %ebx
	access	movl %ebx, (%rax)
	access	lock addl $1, (%rax)
	access	movl (%rbp), %ebx
	access	rep stosb
	access	movups (%rax), %xmm0
	access	vmaskmovps (%rax), %ymm1, %ymm0
	access	vmaskmovps %ymm1, %ymm1, (%rax)
	access	vpgatherdd %xmm2, (%rax,%xmm3), %xmm0
	access	pushq %rbx
	access	popq %rbx
	access	clflush (%rax)
	access	prefetcht0 (%rax)
	access	invlpg (%rax)
	access	movl %eax, %ds
	access	inb %dx, %al
	access	int $0x82
	access	int $0x21
	access	int $0x20
	access	jmp *%rax
	access	call *%rax
	access	ret
	access	lretq
	access	wrussq %rbx, (%rax)
	access	wrssq %rbx, (%rax)

	/* The rest is known by its offset. In user mode, then where SYSCALL arrives */
	.org	page_code + 0x400, 0xcc
	pushq	%rbx
	syscall
	.org	page_code + 0x410, 0xcc
	pushq	%rbx
	ud2
	.org	page_code + 0x420, 0xcc
	movl	(%rax), %ebx
	syscall
	.org	page_code + 0x430, 0xcc
	movl	(%rax), %ebx
	ud2
	.org	page_code + 0x440, 0xcc
	jmp	*%rax			/* to a page that user mode has executed */
	/* In supervisor mode, then in user mode */
	.org	page_code + 0x450, 0xcc
	movl	(%rax), %ebx
	sysretq
	.org	page_code + 0x460, 0xcc
	stac
	movl	%ebx, (%rax)
	clac
	movl	%ebx, (%rax)
	ud2
	.org	page_code + 0x470, 0xcc
	movl	(%rax), %ebx
	movq	%rcx, %cr4
	movl	(%rax), %ebx
	ud2
page_code_end:

	.section .note.GNU-stack, "", @progbits
