#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Tests of the workbench (TAP): the overlay can be laid, updated, removed and
# mailed, refuses what it must; and KVM with it builds as modules. Works on a
# scratch tree made of the few files that the overlay touches.
set -euo pipefail
. "$(dirname "$0")/workbench.sh"
. "$kernel_dir/BASE"

points=0
failed=0

# check DESCRIPTION COMMAND...: a point that holds if COMMAND succeeds
check()
{
	local what=$1 status=0
	shift
	"$@" >"$tmp/out" 2>&1 || status=$?
	points=$((points + 1))
	if [ $status -eq 0 ]; then
		echo "ok $points - $what"
	else
		echo "not ok $points - $what"
		sed 's/^/# /' "$tmp/out" | tail -n 20
		failed=1
	fi
}

# refused TEXT COMMAND...: COMMAND fails and says TEXT
refused()
{
	local text=$1
	shift
	! "$@" >"$tmp/refusal" 2>&1 || { echo "it was not refused"; return 1; }
	cat "$tmp/refusal"
	grep -q "$text" "$tmp/refusal"
}

# The original files that the patches of the series modify, and a tree's marks
scratch_tree()
{
	local name path
	mkdir -p "$1"
	{
		printf '%s\n' Makefile Kbuild
		sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d; /\.src$/d' "$kernel_dir/patches/series" |
		while read -r name; do
			sed -n 's,^--- a/\([^[:space:]]*\).*,\1,p' "$kernel_dir/patches/$name"
		done
	} | sort -u | while read -r path; do
		[ ! -e "$pristine/$path" ] || (cd "$pristine" && cp -p --parents "$path" "$1")
	done
}

digest() { (cd "$1" && find . -type f ! -path './.merlon/*' ! -path './.git/*' -exec sha256sum {} + | sort -k 2); }
same() { diff <(digest "$1") <(digest "$2"); }
mtimes() { (cd "$1" && find . -type f ! -path './.merlon/*' -printf '%p %T@\n' | sort); }

apply_mails()
{
	git -c init.defaultBranch=main init -q "$1"
	git -C "$1" add -A
	git -C "$1" -c user.name=t -c user.email=t@localhost commit -q -m base
	git -C "$1" -c user.name=t -c user.email=t@localhost am -q "$tmp"/mails/*.patch
}

tarball=$("$kernel_dir/fetch.sh")
pristine=$(pristine_dir "$tarball")
[ -d "$pristine" ] || "$kernel_dir/build.sh" lab >/dev/null
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
overlay=$kernel_dir/overlay.sh
scratch_tree "$tmp/clean"
cp -a "$tmp/clean" "$tmp/tree"

check "the overlay is laid on a clean tree" "$overlay" "$tmp/tree"
mtimes "$tmp/tree" >"$tmp/before"
check "laying it again is accepted" "$overlay" "$tmp/tree"
check "and changes nothing" diff "$tmp/before" <(mtimes "$tmp/tree")
check "a tree edited by hand is refused, or has nothing laid" sh -c '
	file=$(cut -c67- "$1/.merlon/files" | head -n 1)
	[ -n "$file" ] || exit 0
	cp "$1/$file" "$1/../kept"
	echo edited >>"$1/$file"
	! "$2" "$1" || exit 1
	cat "$1/../kept" >"$1/$file"' - "$tmp/tree" "$overlay"
cp -a "$tmp/tree" "$tmp/laid"
check "the overlay is removed" "$overlay" --remove "$tmp/tree"
check "and leaves the tree as it was" same "$tmp/clean" "$tmp/tree"
cp -a "$tmp/clean" "$tmp/other"
sed -i 's/^PATCHLEVEL = .*/PATCHLEVEL = 999/' "$tmp/other/Makefile"
check "a tree of another version is refused" refused "this overlay is for $SERIES" "$overlay" "$tmp/other"
check "what is no kernel tree is refused" refused "not a kernel tree" "$overlay" "$tmp"
cp -a "$tmp/clean" "$tmp/dirty"
git -c init.defaultBranch=main init -q "$tmp/dirty"
check "a tree with uncommitted files is refused" refused "not clean" "$overlay" "$tmp/dirty"
check "the overlay is written as mails" "$overlay" --format-patch "$tmp/mails" "$tmp/clean"
if ls "$tmp"/mails/*.patch >/dev/null 2>&1; then
	cp -a "$tmp/clean" "$tmp/mailed"
	check "git applies the mails" apply_mails "$tmp/mailed"
	check "and they make the same tree" same "$tmp/laid" "$tmp/mailed"
fi
check "KVM builds as modules" "$kernel_dir/build.sh" modules
echo "1..$points"
exit $failed
