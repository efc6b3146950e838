#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Install what building and testing need on Debian: as root what is missing,
# else print the one command that does. With --quiet nothing is said when
# nothing is missing.
set -euo pipefail
. "$(dirname "$0")/../../kernel/workbench.sh"

packages=(
	# scripts, downloads
	bash ca-certificates coreutils curl debian-archive-keyring git patch python3 util-linux
	# the kernel
	bc binutils bison cpio flex gcc kmod libc6-dev libelf-dev libssl-dev make pahole xz-utils zlib1g-dev
	# BPF objects, daemon, command line and their tests
	clang-19 libclang-rt-19-dev dbus libcmocka-dev libjson-c-dev libsystemd-dev pkg-config systemd
	# the emulator and what boots in it
	bochsbios busybox-static g++ isolinux lz4 qemu-system-x86 seabios syslinux-common xorriso
	# checks of the kernel's code, and its selftests, whose library wants it
	sparse uuid-dev
)

# Where Debian has renamed a package, any of these will do
alternatives()
{
	case $1 in
	clang-19 | libclang-rt-19-dev) echo "$1 ${1/19/20} ${1/19/21}" ;;
	*) echo "$1" ;;
	esac
}

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

command -v dpkg-query >/dev/null || die "this is not Debian; install by hand what corresponds to:" "${packages[*]}"
missing=()
for package in "${packages[@]}"; do
	for name in $(alternatives "$package"); do
		installed "$name" && continue 2
	done
	missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
	[ "${1:-}" = --quiet ] || say "nothing is missing"
	exit
fi
if [ "$(id -u)" -ne 0 ]; then
	say "packages are missing. Run this, then try again:"
	echo "  sudo apt-get install --no-install-recommends ${missing[*]}"
	exit 1
fi
say "installing ${#missing[@]} packages: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
install() { apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" >"$1" 2>&1; }
log=$(mktemp)
if ! install "$log"; then
	# The lists may be old, or absent
	apt-get -qq update >"$log" 2>&1 || true
	if ! install "$log"; then
		tail -n 20 "$log" >&2
		die "apt-get cannot install them; the lines above say why, and all of it is in $log"
	fi
fi
rm -f "$log"
