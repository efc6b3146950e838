#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Make what the guests in the lab boot, in FOLDER: bzImage, the lab's kernel as
# it is, and rootkit.ko and exploit.ko, the attackers' modules, built for it.
#
# Usage: build-guest.sh FOLDER
set -euo pipefail
. "$(dirname "$0")/../../kernel/workbench.sh"
source_dir=$(cd "$(dirname "$0")" && pwd)/rootkit
[ $# -eq 1 ] || { sed -n '/^# Usage/s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)

kernel=$("$project_dir/kernel/build.sh" lab)
stamp="$kernel $(cat "$source_dir"/* | sha256sum)"
if [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
	exit
fi
rm -rf "$out/stamp" "$out/rootkit"
# The object tree is its kernel's only as long as nobody builds another
with_lock "$cache_dir/kernel/lock"
cp -r "$source_dir" "$out/rootkit"
nice make -s -C "$kernel/objects" ARCH=x86_64 LOCALVERSION= M="$out/rootkit" modules \
	>"$out/rootkit.log" 2>&1 9>&- || {
	tail -n 20 "$out/rootkit.log" >&2
	die "the guest's modules cannot be built; all of it is in $out/rootkit.log"
}
# Its BTF would have to match the kernel's to the letter, and nobody reads it
for module in rootkit exploit; do
	objcopy --strip-debug -R .BTF -R .BTF.base "$out/rootkit/$module.ko" "$out/$module.ko"
done
cp "$kernel/bzImage" "$out/bzImage"
echo "$stamp" >"$out/stamp"
