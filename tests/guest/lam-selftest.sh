#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The kernel's own test of Linear Address Masking (LAM), selftests/x86/lam, in a Linux guest
# that offers it to its programs. Runs on the lab's host: with the guest's page tables walked
# by the CPU and, as lam-selftest-shadow.sh, by KVM; with five levels of them as
# lam-selftest-la57.sh; and as lam-selftest-bare.sh without KVM, on a host with the guest's
# kernel: what holds there must hold in the guest, no more, no less.
. /lab/guest/lib.sh

# What it prints results of, when its command line leaves out what wants a device with shared
# virtual memory
RESULTS=19
# What Linux 7.3 does not do on any CPU: its own accesses refuse programs' tagged pointers, as
# long as USER_PTR_MAX (arch/x86/kernel/cpu/common.c) waits for LASS
refused()
{
	case $1 in
	"SYSCALL: LAM_U57. syscall with metadata") ;;
	"GET_USER: get_user() and pass a properly tagged user pointer.") ;;
	"URING: LAM_U57. Dereferencing pointer with metadata") ;;
	*) return 1 ;;
	esac
}
# What wants addresses above 47 bits, which four levels of page tables have not
too_high()
{
	case $0 in *-la57.sh) return 1 ;; esac
	case $1 in
	"MMAP: First mmap high address, then set LAM_U57.") ;;
	"MMAP: First LAM_U57, then High address.") ;;
	*) return 1 ;;
	esac
}

log=$logs/lam
case $0 in
*-bare.sh)
	lam -t 0x3f >"$log" 2>&1
	must $? "the test runs to its end, without KVM"
	;;
*)
	# What QEMU cannot migrate it hides by default
	cpu=host,migratable=off
	image=/lab/guest/lam
	qemu_start lam microvm
	await 90 1 '^@lab end lam 0' "$log"
	must $? "a guest runs the test to its end"
	qemu_kill
	;;
esac
# A result may follow the test's word about a signal, which has no end of line; and into a file
# each of its processes writes again what its parent had not written out yet
tr -d '\r' <"$log" | grep -oE '(not )?ok [0-9]+ .*' | awk '!seen[$0]++' >$logs/results
[ "$(wc -l <$logs/results)" -eq $RESULTS ]
check $? "which has $RESULTS results"
while read -r line; do
	name=$(echo "$line" | sed -E 's/^(not )?ok [0-9]+ (# SKIP )?//')
	case $line in
	ok*'# SKIP'*)
		too_high "$name"
		check $? "has no place here: $name"
		;;
	not*)
		refused "$name"
		check $? "refused by Linux: $name"
		;;
	*)
		! refused "$name" && ! too_high "$name"
		check $? "$name"
		;;
	esac
done <$logs/results
finish
