#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Build one of the kernel's own selftests as FILE: with the kernel's rules for it,
# from the source that the kernel of CONFIG was built from.
#
# Usage: build-selftest.sh CONFIG FOLDER PROGRAM FILE
#
#   FOLDER     of tools/testing/selftests
#   PROGRAM    what its Makefile makes, such as x86/spp_test in kvm
set -euo pipefail
. "$(dirname "$0")/../kernel/workbench.sh"
[ $# -eq 4 ] || { sed -n '/^# Usage/s/^# //p' "$0" >&2; exit 2; }
config=$1
folder=$2
program=$3
mkdir -p "$(dirname "$4")"
out=$(realpath "$4")

kernel=$("$project_dir/kernel/build.sh" "$config")
stamp="$kernel $folder $program"
if [ -x "$out" ] && [ "$(cat "$out.stamp" 2>/dev/null)" = "$stamp" ]; then
	exit
fi
rm -rf "$out" "$out.stamp" "$out.build"
mkdir -p "$(dirname "$out.build/$folder/$program")"
# The source is its kernel's only as long as nobody builds another
with_lock "$cache_dir/kernel/lock"
source=$(realpath "$kernel/objects/source")
{
	make -s -C "$kernel/objects" ARCH=x86_64 LOCALVERSION= headers 9>&- &&
		nice make -s -C "$source/tools/testing/selftests/$folder" ARCH=x86_64 \
			OUTPUT="$out.build/$folder" KHDR_INCLUDES="-isystem $kernel/objects/usr/include" \
			"$out.build/$folder/$program" 9>&-
} >"$out.log" 2>&1 || {
	tail -n 20 "$out.log" >&2
	die "the kernel's selftest $folder/$program cannot be built; all of it is in $out.log"
}
cp "$out.build/$folder/$program" "$out"
echo "$stamp" >"$out.stamp"
