#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Pack an initramfs from this machine's binaries, each with the libraries it
# needs, and our init. For lab hosts and for the guests inside them.
#
# Usage: image.sh OUT INIT [WHAT...] [-- COMMAND [ARG...] [+ COMMAND [ARG...]]...]
#
#   --program FILE[:PLACE]   a program and its libraries (PLACE: /lab/bin/NAME)
#   --file FILE:PLACE        a file or a folder as it is
#   --shell                  busybox and all its applets
#   --qemu                   qemu-system-x86_64 with its firmware
#   --bus                    dbus-daemon, dbus-send and busctl
set -euo pipefail
. "$(dirname "$0")/../../kernel/workbench.sh"

# add_libraries FILE: what the dynamic linker would load, at the same places
add_libraries()
{
	local library
	# A static program has none, and ldd says so by failing
	{ ldd "$1" 2>/dev/null || true; } | awk '/=> \//{ print $3; next } $1 ~ /^\// { print $1 }' |
	while read -r library; do
		[ -e "$root$library" ] || install -D -m 755 "$library" "$root$library"
	done
	! grep -q 'not found' <(ldd "$1" 2>/dev/null) ||
		die "$1 needs libraries that are not here: $(ldd "$1" | grep 'not found' | tr -s '\t\n' ' ')"
}

add_program()
{
	[ -f "$1" ] || die "$1: no such program; was it built?"
	install -D -m 755 "$1" "$root$2"
	add_libraries "$1"
}

add_file()
{
	[ -e "$1" ] || die "$1: no such file"
	mkdir -p "$(dirname "$root$2")"
	cp -rL "$1" "$root$2"
}

# installed NAME PACKAGE: the place of a program of this machine
installed()
{
	command -v "$1" || PATH=$PATH:/usr/sbin:/sbin command -v "$1" ||
		die "'$1' is not installed; run 'make deps' (Debian package: $2)"
}

add_shell()
{
	local busybox applet
	busybox=$(installed busybox busybox-static)
	! ldd "$busybox" >/dev/null 2>&1 || die "$busybox is not static; install busybox-static"
	install -m 755 "$busybox" "$root/usr/bin/busybox"
	while read -r applet; do
		[ -e "$root/usr/bin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
	done < <("$busybox" --list)
}

add_qemu()
{
	local qemu file
	qemu=$(installed qemu-system-x86_64 qemu-system-x86)
	add_program "$qemu" /usr/bin/qemu-system-x86_64
	for file in bios-256k.bin bios-microvm.bin linuxboot_dma.bin kvmvapic.bin pvh.bin multiboot_dma.bin; do
		for dir in /usr/share/qemu /usr/share/seabios; do
			if [ -e "$dir/$file" ]; then
				install -D -m 644 "$dir/$file" "$root/usr/share/qemu/$file"
				break
			fi
		done
	done
	[ -e "$root/usr/share/qemu/bios-microvm.bin" ] || die "QEMU's firmware is not installed; run 'make deps' (seabios)"
}

add_bus()
{
	add_program "$(installed dbus-daemon dbus)" /usr/bin/dbus-daemon
	add_program "$(installed dbus-send dbus)" /usr/bin/dbus-send
	add_program "$(installed busctl systemd)" /usr/bin/busctl
	add_file /usr/share/dbus-1/system.conf /usr/share/dbus-1/system.conf
}

[ $# -ge 2 ] || { sed -n '/^# Usage/,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$1
init=$2
shift 2
need cpio cpio
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/{etc,dev,proc,sys,run,tmp,var,root,lab/bin}
ln -s usr/bin "$root/bin"
ln -s usr/sbin "$root/sbin"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
[ ! -L "$root/lib" ] || chmod 755 "$root"
printf 'root:x:0:0:root:/root:/bin/sh\nmessagebus:x:100:100::/:/bin/false\nstranger:x:1000:1000::/tmp:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nmessagebus:x:100:\nstranger:x:1000:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files\n' >"$root/etc/nsswitch.conf"
printf '127.0.0.1 localhost lab\n' >"$root/etc/hosts"
install -m 755 "$init" "$root/init"
add_libraries "$init"
while [ $# -gt 0 ]; do
	case $1 in
	--program)
		case $2 in
		*:*) add_program "${2%%:*}" "${2#*:}" ;;
		*) add_program "$2" "/lab/bin/${2##*/}" ;;
		esac
		shift 2
		;;
	--file) add_file "${2%%:*}" "${2#*:}"; shift 2 ;;
	--shell) add_shell; shift ;;
	--qemu) add_qemu; shift ;;
	--bus) add_bus; shift ;;
	--) shift; break ;;
	*) die "unknown option $1" ;;
	esac
done
if [ $# -gt 0 ]; then
	# For each command: the name of its section, its words, an empty string
	first=1
	for word; do
		if [ "$word" = + ]; then
			printf '\0'
			first=1
			continue
		fi
		if [ -n "$first" ]; then
			printf '%s\0' "${word##*/}"
			first=
		fi
		printf '%s\0' "$word"
	done >"$root/etc/lab.cmd"
	printf '\0' >>"$root/etc/lab.cmd"
fi
(cd "$root" && find . -print0 | LC_ALL=C sort -z | cpio -0 -o -H newc -R 0:0 --quiet) >"$out"
