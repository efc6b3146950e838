/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A few instructions in some mode, until an exception ends them: see probe.h. All
 * that happens with the CR4 that is asked for happens in the upper half.
 */
#define UPPER	0xffff800000000000

	.text
	/* void probe(void) */
	.globl	probe
probe:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, probe_rsp(%rip)
	movq	%cr4, %rax
	movq	%rax, probe_cr4(%rip)
	movabsq	$UPPER, %rax
	leaq	1f(%rip), %rcx
	addq	%rax, %rcx
	addq	%rax, %rsp
	jmp	*%rcx
1:	pushq	shot + 0x20(%rip)	/* SS, RSP, RFLAGS, CS, RIP */
	pushq	shot + 0x18(%rip)
	pushq	shot + 0x10(%rip)
	pushq	shot + 0x08(%rip)
	pushq	shot + 0x00(%rip)
	movq	got + 0x38(%rip), %rax
	movq	%rax, %cr2
	movq	%cr3, %rax		/* what was mapped is forgotten */
	movq	%rax, %cr3
	movl	$0x2b, %eax		/* for 32-bit code */
	movl	%eax, %ds
	movl	%eax, %es
	movq	shot + 0x28(%rip), %rax
	movq	%rax, %cr4
	movq	shot + 0x30(%rip), %rax
	movq	shot + 0x38(%rip), %rbx
	movq	shot + 0x40(%rip), %rcx
	movq	shot + 0x48(%rip), %rdx
	movq	shot + 0x50(%rip), %rsi
	movq	shot + 0x58(%rip), %rdi
	movq	shot + 0x60(%rip), %rbp
	movq	shot + 0x68(%rip), %r11
	iretq

caught:	popq	got + 0x00(%rip)	/* vector, error, RIP, CS, RFLAGS, RSP */
	popq	got + 0x08(%rip)
	popq	got + 0x10(%rip)
	popq	got + 0x18(%rip)
	popq	got + 0x20(%rip)
	popq	got + 0x28(%rip)
	movq	%rax, got + 0x40(%rip)
	movq	%rbx, got + 0x48(%rip)
	movq	%rcx, got + 0x50(%rip)
	movq	%cr2, %rax
	movq	%rax, got + 0x38(%rip)
	movq	probe_cr4(%rip), %rax
	movq	%rax, %cr4
	movq	probe_rsp(%rip), %rsp
	movabsq	$UPPER, %rcx
	leaq	1f(%rip), %rax
	subq	%rcx, %rax
	jmp	*%rax
1:	pushq	$2
	popfq
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	.globl	move_cr4
move_cr4:
	movq	%rax, %cr4
	ud2

	/* One for each vector, 16 bytes apart */
	.balign	16
	.globl	stubs
stubs:
	.set	vector, 0
	.rept	0x90
	.balign	16
	.if	!(vector == 8 || vector == 17 || vector == 21 || (vector >= 10 && vector <= 14))
	pushq	$0
	.endif
	pushq	$vector
	jmp	caught
	.set	vector, vector + 1
	.endr

	.bss
	.balign	8
probe_rsp:
	.skip	8
probe_cr4:
	.skip	8

	.section .note.GNU-stack, "", @progbits
