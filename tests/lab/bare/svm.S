/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an SVM guest does until it stops at VMMCALL. It has an address in RAX. The
 * code is the same in 64-bit and in 32-bit mode, where that is used.
 */
	.text
	.globl	guest_read, guest_read_done
guest_read:
	movl	(%rax), %eax
guest_read_done:
	vmmcall

	.globl	guest_write, guest_write_done
guest_write:
	movl	%eax, (%rax)
guest_write_done:
	vmmcall

	/* The code of a page under test is data first. */
	.globl	guest_touch
guest_touch:
	movl	(%rax), %ecx
	movl	%ecx, 0x800(%rax)
	/* Also where SYSCALL arrives */
	.globl	guest_jump
guest_jump:
	jmp	*%rax

	.globl	guest_raise
guest_raise:
	int	$0x80

	/* Copied to the pages under test; at the offsets that gmet.c knows */
	.section .rodata
	.globl	page_code, page_code_end
page_code:
	vmmcall
	.org	page_code + 0x10	/* from user mode to LSTAR */
	syscall
	.org	page_code + 0x20	/* from supervisor mode to user mode at RAX */
	movq	%rax, %rcx
	movl	$2, %r11d
	sysretq
page_code_end:

	.section .note.GNU-stack, "", @progbits
