#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Find a libbpf and a bpftool of the same, recent make, and tell make where
# they are: writes LIBBPF_CFLAGS, LIBBPF_LIBS and BPFTOOL to the file named.
#
# The system's are used if they are recent enough. Otherwise both are built
# from the kernel source package, which need be neither configured nor built.
#
# Usage: bpftools.sh OUT.mk
set -euo pipefail
. "$(dirname "$0")/workbench.sh"
. "$kernel_dir/BASE"

# struct_ops links in skeletons, and no bpftool that is newer than its libbpf
oldest=1.5

# at_least VERSION OLDEST
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | sed -n 1p)" = "$2" ]; }

# tell CFLAGS LIBS BPFTOOL
tell()
{
	local tmp
	mkdir -p "$(dirname "$out")"
	tmp=$(mktemp "$out.XXXXXX")
	cat >"$tmp" <<EOF
# Written by kernel/bpftools.sh.
LIBBPF_CFLAGS := $1
LIBBPF_LIBS := $2
BPFTOOL := $3
EOF
	chmod 644 "$tmp"
	mv "$tmp" "$out"
}

system_tools()
{
	local tool
	command -v pkg-config >/dev/null && pkg-config --atleast-version=$oldest libbpf || return 1
	for tool in bpftool /usr/sbin/bpftool; do
		tool=$(command -v "$tool") || continue
		if at_least "$("$tool" version 2>/dev/null | sed -n 's/.*using libbpf v//p')" $oldest; then
			tell "$(pkg-config --cflags libbpf)" "$(pkg-config --libs libbpf)" "$tool"
			return 0
		fi
	done
	return 1
}

# The parts of the source that the two are made of
unpack_tools()
{
	tar -x -f "$tarball" -C "$1" --strip-components=1 --wildcards \
		'*/Makefile' '*/tools/*' '*/scripts/*' '*/kernel/bpf/*' '*/include/uapi/*' \
		--no-wildcards-match-slash --exclude='*/tools/testing/*' 2>/dev/null ||
		tar -x -f "$tarball" -C "$1" --strip-components=1
}

compile()
{
	# Their makefiles want output folders that exist, and end in a slash
	mkdir -p "$tmp/libbpf" "$tmp/bpftool"
	nice make -C "$source/tools/lib/bpf" -j"$(nproc)" OUTPUT="$tmp/libbpf/" \
		DESTDIR="$tmp/out" prefix= libdir=/lib \
		"$tmp/libbpf/libbpf.a" install_headers &&
	nice make -C "$source/tools/bpf/bpftool" -j"$(nproc)" OUTPUT="$tmp/bpftool/" bootstrap
}

[ $# -eq 1 ] || { sed -n 's/^# \(Usage.*\)/\1/p' "$0" >&2; exit 2; }
out=$1
if system_tools; then
	exit
fi
for tool in gcc:gcc make:make python3:python3; do
	need "${tool%%:*}" "${tool#*:}"
done
[ -f /usr/include/libelf.h ] && [ -f /usr/include/zlib.h ] ||
	die "the headers of libelf and zlib are missing; run 'make deps' (libelf-dev)"
tarball=$("$kernel_dir/fetch.sh")
store=$cache_dir/bpftools
final=$store/$({
	sha256_of "$tarball"
	cat "$kernel_dir/bpftools.sh"
	gcc --version | sed -n 1p
} | sha256sum | cut -c1-24)
if [ ! -d "$final" ]; then
	with_lock "$store/lock"
fi
if [ ! -d "$final" ]; then
	tmp=$(mktemp -d "$store/tmp.XXXXXX")
	trap 'rm -rf "$tmp"' EXIT
	source=$(pristine_dir "$tarball")
	if [ ! -d "$source" ]; then
		source=$tmp/source
		mkdir "$source"
		say "unpacking the tools of ${tarball##*/}"
		unpack_tools "$source"
	fi
	with_progress "libbpf and bpftool" "$store/build.log" compile
	mkdir -p "$tmp/out/bin" "$tmp/out/lib" "$tmp/out/include/linux"
	cp "$tmp/libbpf/libbpf.a" "$tmp/out/lib/"
	install -s "$tmp/bpftool/bootstrap/bpftool" "$tmp/out/bin/bpftool"
	# The system's are as old as its libbpf
	for header in bpf.h bpf_common.h btf.h; do
		cp "$source/tools/include/uapi/linux/$header" "$tmp/out/include/linux/"
	done
	publish "$tmp/out" "$final"
fi
tell "-isystem $final/include" "$final/lib/libbpf.a -lelf -lz" "$final/bin/bpftool"
