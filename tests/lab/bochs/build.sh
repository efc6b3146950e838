#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Build the emulator of the lab: the pinned Bochs with our patches. Prints the
# folder that has it, named by a hash of all that went in.
set -euo pipefail
. "$(dirname "$0")/../../../kernel/workbench.sh"
here=$(cd "$(dirname "$0")" && pwd)
. "$here/BASE"

options=(
	--enable-cpu-level=6 --enable-x86-64 --enable-smp
	--enable-vmx=2 --enable-svm
	--enable-avx --enable-evex --enable-cet --enable-uintr
	--enable-protection-keys --enable-memtype --enable-pci
	--enable-all-optimizations --enable-repeat-speedups
	--with-nogui --without-x11 --without-wx --disable-docbook
)

# Print where the source tarball is
fetch()
{
	local kept=$cache_dir/download/$SHA256/${POOL_PATH##*/} mirror tmp
	if [ -n "${BOCHS_TARBALL:-}" ]; then
		[ -f "$BOCHS_TARBALL" ] || die "BOCHS_TARBALL=$BOCHS_TARBALL: no such file"
		realpath "$BOCHS_TARBALL"
		return
	fi
	if [ -f "$kept" ]; then
		echo "$kept"
		return
	fi
	need apt-get apt
	mkdir -p "$cache_dir/download"
	tmp=$(mktemp "$cache_dir/download/tmp.XXXXXX")
	for mirror in $(mirrors); do
		say "fetching Bochs $VERSION from ${mirror%/}"
		get "${mirror%/}/$POOL_PATH" "$tmp" || continue
		if [ "$(sha256_of "$tmp")" != "$SHA256" ]; then
			say "what ${mirror%/} has is another file than tests/lab/bochs/BASE pins"
			continue
		fi
		mkdir -p "${kept%/*}"
		mv "$tmp" "$kept"
		echo "$kept"
		return
	done
	rm -f "$tmp"
	die "no package archive that apt knows here has $POOL_PATH (some mirrors leave" \
		"out source files). Get it elsewhere and set BOCHS_TARBALL=FILE; its sha256 is $SHA256"
}

# get URL FILE: by apt's own downloader, so that its proxies and mirrors count
get()
{
	/usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=2 \
		download-file "$1" "$2" >/dev/null 2>"$2.err" || {
		sed 's/^/  /' "$2.err" >&2
		rm -f "$2.err"
		return 1
	}
	rm -f "$2.err"
}

compile()
{
	(
		cd "$1"
		CXXFLAGS='-O2 -pipe' CFLAGS='-O2 -pipe' nice ./configure --prefix=/nowhere "${options[@]}"
		nice make -j"$(nproc)"
	)
}

for tool in g++:g++ make:make patch:patch; do
	need "${tool%%:*}" "${tool#*:}"
done
hash=$({
	echo "$SHA256 ${options[*]}"
	cat "$here"/patches/*.patch "$here/build.sh"
	g++ --version | sed -n 1p
} | sha256sum | cut -c1-24)
store=$cache_dir/bochs
final=$store/$hash
if [ -x "$final/bochs" ]; then
	echo "$final"
	exit
fi
with_lock "$store/lock"
if [ -x "$final/bochs" ]; then
	echo "$final"
	exit
fi
tarball=$(fetch)
[ "$(sha256_of "$tarball")" = "$SHA256" ] || die "$tarball is not the Bochs that tests/lab/bochs/BASE pins"
tmp=$(mktemp -d "$store/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/source" "$tmp/out"
tar -x -f "$tarball" -C "$tmp/source" --strip-components=1
for patch in "$here"/patches/*.patch; do
	patch -d "$tmp/source" -p1 -F0 -s -f --no-backup-if-mismatch <"$patch" >&2 ||
		die "${patch##*/} does not apply to Bochs $VERSION"
done
with_progress "Bochs $VERSION" "$store/build.log" compile "$tmp/source"
install -s -m 755 "$tmp/source/bochs" "$tmp/out/bochs"
publish "$tmp/out" "$final"
echo "$final"
