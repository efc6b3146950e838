#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux as a guest switches Linear Address Space Separation (LASS) on where its CPU has it,
# lives with it, and is protected by it; where it is hidden it does without. Runs on the
# lab's host.
. /lab/guest/lib.sh

LASS=8000000 # CR4, bit 27

# without DESCRIPTION: what must hold of a guest that has no LASS
without()
{
	guest_up
	must $? "$1: it boots"
	tell registers
	told 'lass no' && ! has_bit cr4 $LASS
	check $? "$1: Linux does not see it, and leaves the bit alone"
	tell work
	told 'work: 24 of 24 done'
	check $? "$1: programs run"
	qemu_kill
}

# By default QEMU hides what it has no name for, or cannot migrate
cpu=host,migratable=off
qemu_start web-1 microvm
guest_up
must $? "a guest boots whose CPU has LASS"
tell registers
told 'lass yes'
check $? "its /proc/cpuinfo says so"
has_bit cr4 $LASS
check $? "Linux has set CR4.LASS"
tell work
told 'work: 24 of 24 done'
check $? "its programs run"
tell nothing
told 'nothing: the kernel has executed it'
check $? "its kernel executes what is in its own half"
tell user
told 'user: the kernel killed it'
check $? "and not a user's page, though SMEP is switched off"
tell "clear cr4 $LASS"
told 'done'
check $? "an attacker clears the bit"
tell user
told 'user: the kernel has executed it'
check $? "after which it does: that it did not was because of LASS"
qemu_kill

cpu=host
qemu_start web-2 microvm
without "LASS not in CPUID"

cpu=host,migratable=off
cmdline="clearcpuid=lass"
qemu_start web-3 microvm
without "clearcpuid=lass"
finish
