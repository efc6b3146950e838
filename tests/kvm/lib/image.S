/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The guest's program, as bytes. */
	.section .rodata, "a"
	.globl	guest_image_start, guest_image_end
	.balign	4096
guest_image_start:
	.incbin	GUEST_IMAGE
guest_image_end:
	.byte	0

	.section .note.GNU-stack, "", @progbits
