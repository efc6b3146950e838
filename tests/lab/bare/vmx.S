/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Into a VMX guest, and back. */

	.text
	/* int guest_run(long resume): 0 after an exit; else the entry failed */
	.globl	guest_run
guest_run:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movl	$0x6c14, %eax		/* host RSP */
	vmwrite	%rsp, %rax
	movl	$0x6c16, %eax		/* host RIP */
	leaq	1f(%rip), %rcx
	vmwrite	%rcx, %rax
	testq	%rdi, %rdi
	jnz	2f
	vmlaunch
	jmp	3f
2:	vmresume
3:	movl	$1, %eax
	jmp	4f
1:	movq	%rcx, exit_rcx(%rip)
	movq	%rdi, exit_rdi(%rip)
	xorl	%eax, %eax
4:	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

	/* Where the guest's interrupt arrives. */
	.globl	guest_interrupt
guest_interrupt:
	vmcall

	.section .note.GNU-stack, "", @progbits
