# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2154 # the variables are the runner's
# The engine "bochs": any CPU feature, deterministic, on any machine.
# Sourced by run. Wants: $work, $kernel, $initramfs, $append, $cpu, $cpu_model,
# $with, $without, $smp, $memory, $console (a file, or a tty), $report. Sets:
# engine_command.

engine_check() { need xorriso xorriso; }

# A bootable CD: isolinux, the kernel, the initramfs
make_iso()
{
	local iso=$work/iso file found
	mkdir -p "$iso/isolinux"
	for file in isolinux.bin:/usr/lib/ISOLINUX ldlinux.c32:/usr/lib/syslinux/modules/bios; do
		found=${file#*:}/${file%%:*}
		[ -f "$found" ] || die "$found is missing; run 'make deps' (Debian packages: isolinux, syslinux-common)"
		cp "$found" "$iso/isolinux/"
	done
	ln "$initramfs" "$iso/initrd.img" 2>/dev/null || cp "$initramfs" "$iso/initrd.img"
	cp "$kernel" "$iso/bzImage"
	cat >"$iso/isolinux/isolinux.cfg" <<EOF
default lab
prompt 0
label lab
	kernel /bzImage
	append initrd=/initrd.img $append
EOF
	xorriso -as mkisofs -quiet -o "$work/lab.iso" -iso-level 3 -R \
		-b isolinux/isolinux.bin -c isolinux/boot.cat \
		-no-emul-boot -boot-load-size 4 -boot-info-table "$iso" >"$work/xorriso.log" 2>&1 || {
		cat "$work/xorriso.log" >&2
		die "xorriso cannot make the boot image"
	}
	rm -rf "$iso"
}

engine_prepare()
{
	local bochs model ips com file
	bochs=$("$lab_dir/bochs/build.sh")/bochs
	# How many instructions a second of the emulated devices lasts. The Intel
	# model's clock is its TSC, which says how fast it is; so the less the
	# devices are waited for the better. The AMD model's clock is measured
	# against them; with fewer, its kernel has more timer ticks than work.
	case $cpu in
	intel) model=arrow_lake ips=10000000 ;;
	amd) model=ryzen ips=100000000 ;;
	esac
	model=${cpu_model:-$model}
	model+=${with:+, add_features=\"$with\"}${without:+, exclude_features=\"$without\"}
	file=/usr/share/bochs/BIOS-bochs-latest
	[ -f "$file" ] || die "$file is missing; run 'make deps' (Debian package: bochsbios)"
	make_iso
	if [ -c "$console" ]; then
		com="mode=term, dev=$console"
	else
		com="mode=file, dev=$console"
	fi
	cat >"$work/bochsrc" <<EOF
megs: $memory
memory: guest=$memory, host=$((memory < 2048 ? memory : 2048))
romimage: file=/usr/share/bochs/BIOS-bochs-latest
cpu: model=$model, count=$smp, ips=$ips, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none
display_library: nogui
ata0-master: type=cdrom, path=$work/lab.iso, status=inserted
boot: cdrom
com1: enabled=1, $com
com2: enabled=1, mode=file, dev=$report
panic: action=report
error: action=report
info: action=ignore
debug: action=ignore
log: $work/bochs.log
EOF
	engine_command=("$bochs" -q -f "$work/bochsrc")
}
