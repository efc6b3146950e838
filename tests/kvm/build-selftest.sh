#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Build the kernel's own selftest of the VMM's calls, spp_test, as FILE: with the
# kernel's rules for it, from the source that the lab's kernel was built from.
#
# Usage: build-selftest.sh FILE
set -euo pipefail
. "$(dirname "$0")/../../kernel/workbench.sh"
[ $# -eq 1 ] || { sed -n '/^# Usage/s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$(dirname "$1")"
out=$(realpath "$1")

kernel=$("$project_dir/kernel/build.sh" lab)
if [ -x "$out" ] && [ "$(cat "$out.stamp" 2>/dev/null)" = "$kernel" ]; then
	exit
fi
rm -rf "$out" "$out.stamp" "$out.build"
mkdir -p "$out.build"
# The source is its kernel's only as long as nobody builds another
with_lock "$cache_dir/kernel/lock"
source=$(realpath "$kernel/objects/source")
{
	make -s -C "$kernel/objects" ARCH=x86_64 LOCALVERSION= headers 9>&- &&
		nice make -s -C "$source/tools/testing/selftests/kvm" ARCH=x86_64 \
			OUTPUT="$out.build/kvm" KHDR_INCLUDES="-isystem $kernel/objects/usr/include" \
			"$out.build/kvm/x86/spp_test" 9>&-
} >"$out.log" 2>&1 || {
	tail -n 20 "$out.log" >&2
	die "spp_test cannot be built; all of it is in $out.log"
}
cp "$out.build/kvm/x86/spp_test" "$out"
echo "$kernel" >"$out.stamp"
