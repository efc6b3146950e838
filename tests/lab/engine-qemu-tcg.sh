# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # the variables are the runner's
# The engine "qemu-tcg": quick, but it emulates SVM with nested paging only.
# Sourced by run; the same interface as engine-bochs.sh.

engine_check()
{
	need qemu-system-x86_64 qemu-system-x86
	[ "$cpu" = amd ] || die "the engine qemu-tcg has no VMX; say --cpu amd, or --engine bochs"
}

engine_prepare()
{
	local line=file:$console
	if [ -c "$console" ]; then
		line="chardev:console"
	fi
	engine_command=(qemu-system-x86_64 -accel tcg -cpu "EPYC,+svm,+npt"
		-machine pc -nodefaults -no-user-config -no-reboot -display none
		-smp "$smp" -m "$memory" -kernel "$kernel" -initrd "$initramfs"
		-append "$append" -serial "$line" -serial "file:$report")
	[ ! -c "$console" ] || engine_command+=(-chardev "serial,id=console,path=$console")
}
