/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From L1 to its L2 and back. */
#include "abi.h"

	.macro	save
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	.endm

	.macro	restore
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	.endm

#define HOST_RSP	0x6c14
#define EXIT_REASON	0x4402
#define REASON_MONITOR_TRAP	37

	.text

	/* Where the L2 begins: on a stack of its own, whatever it was given. */
	.globl	l2_start
l2_start:
	xorl	%ebp, %ebp
	movq	%gs:GUEST_CPU_SELF, %rdi
	leaq	(GUEST_L2_TOP - GUEST_MAILBOX)(%rdi), %rsp
	call	l2_main
	ud2

	/* int vmx_enter(int resume): 0 when the L2 has left, 1 if it was not entered */
	.globl	vmx_enter
vmx_enter:
	save
	movl	$HOST_RSP, %eax
	vmwrite	%rsp, %rax
	testl	%edi, %edi
	jnz	1f
	vmlaunch
	jmp	2f
1:	vmresume
2:	restore
	movl	$1, %eax
	ret

	.globl	vmx_exit
vmx_exit:
	/* Steps of the L2 are counted, and it goes on with all its registers. */
	pushq	%rax
	pushq	%rdx
	movl	$EXIT_REASON, %edx
	vmread	%rdx, %rax
	cmpl	$REASON_MONITOR_TRAP, %eax
	jne	1f
	incq	%gs:GUEST_CPU_L2_STEPS
	popq	%rdx
	popq	%rax
	vmresume
	ud2
1:	addq	$16, %rsp
	restore
	cld
	xorl	%eax, %eax
	ret

	/* void svm_enter(uint64_t vmcb) */
	.globl	svm_enter
svm_enter:
	save
	movq	%rdi, %rax
	clgi
	.globl	svm_vmrun
svm_vmrun:
	vmrun
	.globl	svm_left
svm_left:
	stgi
	restore
	cld
	ret

	.section .note.GNU-stack, "", @progbits
