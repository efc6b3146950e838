#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Does an unmodified QEMU boot Linux on the lab's KVM? Runs inside the lab, on
# busybox. Not a test of Merlon: of what it stands on.

point=0
failed=0
check()
{
	point=$((point + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $point - $2"
	else
		echo "not ok $point - $2"
		failed=1
	fi
}

# boot MACHINE [OPTION...]: the console's and QEMU's own output in /tmp/MACHINE
boot()
{
	machine=$1
	shift
	qemu-system-x86_64 -M "$machine" -accel kvm -cpu host -m 128 "$@" \
		-nodefaults -no-user-config -no-reboot -display none -serial stdio \
		-kernel /lab/guest/bzImage -initrd /lab/guest/initramfs.cpio \
		-append "console=ttyS0 panic=-1 reboot=t" </dev/null >"/tmp/$machine" 2>"/tmp/$machine.err"
	check $? "QEMU ($machine) ends well"
	grep -q '^guest: up on Linux' "/tmp/$machine"
	check $? "the guest ($machine) runs its program"
	test ! -s "/tmp/$machine.err"
	check $? "QEMU ($machine) has no complaint"
	if [ "$failed" -ne 0 ]; then
		sed 's/^/# qemu: /' "/tmp/$machine.err"
		tail -n 15 "/tmp/$machine" | sed 's/^/# guest: /'
	fi
}

boot microvm
boot pc
echo "1..$point"
exit $failed
