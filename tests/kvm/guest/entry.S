/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's first instructions, its interrupt stubs, and the way to user mode
 * and back.
 */
#include "abi.h"

	.section .header, "ax"
	.quad	0x7473657467766b6d	/* GUEST_IMAGE_MAGIC */
	.quad	guest_start
	.quad	stubs
	.quad	16

	.text
	.globl	guest_start
guest_start:
	xorl	%ebp, %ebp
	movq	%gs:GUEST_CPU_SELF, %rdi
	call	agent_main
1:	hlt
	jmp	1b

	/* One stub per vector, 16 bytes each: an error code and the number. */
	.balign	16
stubs:
	vector = 0
	.rept	256
	.balign	16
	.if vector == GUEST_VECTOR_RETURN
	jmp	user_return
	.else
	/* 8 10 to 14 17 21 29 30 come with an error code */
	.if (vector == 8) || (vector == 17) || (vector == 21) || \
	    (vector == 29) || (vector == 30) || ((vector >= 10) && (vector <= 14))
	.else
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap
	.endif
	vector = vector + 1
	.endr

	.balign	16
trap:
	/* From user mode: %gs is that of the kernel then. Both are the mailbox. */
	testb	$3, 24(%rsp)
	jz	1f
	swapgs
1:	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	call	agent_trap
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	testb	$3, 8(%rsp)
	jz	1f
	swapgs
1:	iretq

/* void user_call(void (*fn)(struct guest_cpu *), struct guest_cpu *cpu, void *stack) */
	.globl	user_call
user_call:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %gs:GUEST_CPU_USER_RSP
	movq	%rdi, %rax
	movq	%rsi, %rdi
	pushq	$GUEST_USER_DS
	pushq	%rdx
	pushq	$0x2
	pushq	$GUEST_USER_CS
	/* Where user mode is: in the lower half */
	leaq	1f(%rip), %rcx
	shlq	$17, %rcx
	shrq	$17, %rcx
	pushq	%rcx
	swapgs
	iretq
1:	call	*%rax
	int	$GUEST_VECTOR_RETURN
	ud2

user_return:
	swapgs
	movq	%gs:GUEST_CPU_USER_RSP, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
