#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Lay our part on a kernel tree: the new files of src/ and the patches of
# patches/series. Or take it off again, or print it as a format-patch series.
#
# A tree that carries the overlay has a folder .merlon: `stamp` (which overlay),
# `files` (checksum and path of everything laid), `orig/` (what it replaced).
# Files are replaced by renaming, never written in place, so a tree that shares
# its files by hard links with another is safe; and only when their content
# differs, so that make rebuilds what changed and nothing else.
set -euo pipefail
. "$(dirname "$0")/workbench.sh"
. "$kernel_dir/BASE"

usage()
{
	cat <<EOF
Usage: overlay.sh TREE                      lay the overlay on a clean tree
       overlay.sh --update TREE             replace an older overlay by this one
       overlay.sh --remove TREE             make the tree clean again
       overlay.sh --format-patch DIR TREE   write the overlay as mails to DIR; TREE
                                            only lends the files that are patched
       overlay.sh --hash                    print the hash of the overlay's content
EOF
}

src=$kernel_dir/src
patches=$kernel_dir/patches

new_files() { [ ! -d "$src" ] || (cd "$src" && find . -type f ! -name '*~' ! -name '.*' -printf '%P\n' | sort); }
series() { sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' "$patches/series"; }

# Files that a patch touches: "a path" (adds it) or "m path" (modifies it)
touched()
{
	awk -v patch="${1##*/}" '
		/^--- / { from = $2 }
		/^\+\+\+ / {
			to = $2
			if (to == "/dev/null") {
				print patch ": deletes a file; the overlay cannot" > "/dev/stderr"
				exit 1
			}
			sub(/^[^\/]*\//, "", to)
			print (from == "/dev/null" ? "a" : "m"), to
		}' "$1"
}

overlay_hash()
{
	local name
	{
		while read -r name; do
			[ -z "$name" ] || (cd "$src" && sha256sum "$name")
		done < <(new_files)
		while read -r name; do
			(cd "$patches" && sha256sum "$name")
		done < <(series)
	} | sha256sum | cut -c1-32
}

check_version()
{
	local version
	[ -f "$1/Makefile" ] && [ -f "$1/Kbuild" ] || die "$1 is not a kernel tree"
	version=$(awk -F' *= *' '/^VERSION/ { v = $2 } /^PATCHLEVEL/ { p = $2 } /^SUBLEVEL/ { s = $2; exit }
		END { print v "." p "." s }' "$1/Makefile")
	case $version in
	"$SERIES".*) ;;
	*) die "$1 is Linux $version; this overlay is for $SERIES.y" ;;
	esac
}

# A tree without our stamp is clean if its git says so, or if it has no git and
# nothing of ours in it
check_pristine()
{
	local file dirt
	if [ -e "$1/.git" ]; then
		dirt=$(git -C "$1" status --porcelain | sed -n 1,5p)
		[ -z "$dirt" ] || die "$1 is not clean:"$'\n'"$dirt"$'\n'"Commit or stash, or unpack a fresh tree."
	fi
	while read -r file; do
		[ -n "$file" ] || continue
		[ ! -e "$1/$file" ] || die "$1 is not clean: it has $file already. Unpack a fresh tree."
	done < <(new_files)
}

# A tree with our stamp is clean if every file is still as we laid it
check_laid()
{
	local bad
	bad=$(cd "$1" && sha256sum --quiet -c .merlon/files 2>/dev/null | sed -n '1,5s/: FAILED.*//p') || true
	[ -z "$bad" ] || die "$1 was edited after the overlay was laid:"$'\n'"$bad"$'\n'"Move the change into $kernel_dir, or run overlay.sh --remove after undoing it."
}

# stage TREE DIR: put the final form of every file of the overlay into DIR
stage()
{
	local name kind file from
	mkdir -p "$2"
	while read -r name; do
		[ -z "$name" ] || install -D -m 0644 "$src/$name" "$2/$name"
	done < <(new_files)
	while read -r name; do
		case $name in *.src) continue ;; esac
		[ -f "$patches/$name" ] || die "patches/series names $name, which does not exist"
		touched "$patches/$name" >"$2/.touched" || die "$name cannot be laid"
		while read -r kind file; do
			if [ -e "$2/$file" ]; then
				[ ! -e "$src/$file" ] || die "$name patches $file, which is one of our own files: edit it in src/"
				continue
			fi
			from=$1/.merlon/orig/$file
			[ -e "$from" ] || from=$1/$file
			if [ "$kind" = m ]; then
				[ -e "$from" ] || die "$name patches $file, which $1 does not have"
				mkdir -p "$2/$(dirname "$file")"
				cp -p "$from" "$2/$file"
			fi
		done <"$2/.touched"
		rm -f "$2/.touched"
		patch -d "$2" -p1 -F0 -s -f --no-backup-if-mismatch -r - <"$patches/$name" >"$2.log" 2>&1 || {
			cat "$2.log" >&2
			die "$name does not apply to $1 (Linux $SERIES.y, see kernel/BASE); rebase it"
		}
	done < <(series)
}

# put FROM TO: replace TO by a copy of FROM if they differ, with a fresh date
put()
{
	if ! cmp -s "$1" "$2"; then
		mkdir -p "$(dirname "$2")"
		cp "$1" "$2.merlon-new"
		[ ! -e "$2" ] || chmod --reference="$2" "$2.merlon-new"
		mv -f "$2.merlon-new" "$2"
	fi
}

# undo TREE FILE: what was there before us
undo()
{
	if [ -e "$1/.merlon/orig/$2" ]; then
		put "$1/.merlon/orig/$2" "$1/$2"
		rm "$1/.merlon/orig/$2"
	else
		rm -f "$1/$2"
		rmdir -p --ignore-fail-on-non-empty "$(dirname "$1/$2")" 2>/dev/null || true
	fi
}

old_files() { [ ! -f "$1/.merlon/files" ] || cut -c67- "$1/.merlon/files"; }

lay()
{
	local tree=$1 tmp file
	tmp=$(mktemp -d)
	# shellcheck disable=SC2064
	trap "rm -rf '$tmp'" EXIT
	stage "$tree" "$tmp/new"
	mkdir -p "$tree/.merlon/orig"
	(cd "$tmp/new" && find . -type f -printf '%P\n' | sort) >"$tmp/list"
	old_files "$tree" >"$tmp/old"
	# From here on the tree is neither the one nor the other; should we be
	# interrupted, `files` names all that may have to be undone
	echo unfinished >"$tree/.merlon/stamp"
	sort -u "$tmp/old" "$tmp/list" | sed 's/^/'"$(printf '%064d' 0)"'  /' >"$tree/.merlon/files"
	while read -r file; do
		grep -qxF -- "$file" "$tmp/list" || undo "$tree" "$file"
	done <"$tmp/old"
	while read -r file; do
		if [ -e "$tree/$file" ] && [ ! -e "$tree/.merlon/orig/$file" ] &&
		   ! grep -qxF -- "$file" "$tmp/old"; then
			mkdir -p "$(dirname "$tree/.merlon/orig/$file")"
			cp -p "$tree/$file" "$tree/.merlon/orig/$file"
		fi
		put "$tmp/new/$file" "$tree/$file"
	done <"$tmp/list"
	(cd "$tmp/new" && xargs -r -d '\n' sha256sum --) <"$tmp/list" >"$tmp/files"
	mv "$tmp/files" "$tree/.merlon/files"
	echo "$hash" >"$tree/.merlon/stamp"
	rm -rf "$tmp"
	trap - EXIT
}

take_off()
{
	local file
	echo unfinished >"$1/.merlon/stamp"
	while read -r file; do
		undo "$1" "$file"
	done < <(old_files "$1")
	rm -rf "$1/.merlon"
}

# claim SRC: move the files that an entry .src takes from `left` to `take`.
# Its patterns, one a line, follow the "---" line that ends its changelog.
claim()
{
	local pattern file
	: >"$scratch/take"
	while read -r pattern; do
		while read -r file; do
			# shellcheck disable=SC2254
			case $file in $pattern) echo "$file" >>"$scratch/take" ;; esac
		done <"$scratch/left"
	done < <(sed '1,/^---$/d; /^[[:space:]]*$/d' "$1")
	[ -s "$scratch/take" ] || die "${1##*/} takes none of the files left in src/"
	grep -vxF -f "$scratch/take" "$scratch/left" >"$scratch/rest" || true
	mv "$scratch/rest" "$scratch/left"
}

# mail HEAD: a mail that adds the files in `take`, with the changelog of HEAD
mail()
{
	local file
	while read -r file; do
		install -D -m 0644 "$src/$file" "$scratch/git/$file"
	done <"$scratch/take"
	git -C "$scratch/git" add -A
	{
		echo "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"
		grep -q '^From:' "$1" || echo "From: $(git var GIT_AUTHOR_IDENT | sed 's/ [0-9]* [-+0-9]*$//')"
		sed '/^---$/,$d' "$1"
		echo ---
		git -C "$scratch/git" diff --cached --stat --patch
	} >"$scratch/mail"
	git -C "$scratch/git" reset -q --hard
	apply_mail "$scratch/mail" "$1"
}

apply_mail()
{
	git -C "$scratch/git" -c user.name=overlay -c user.email=overlay@localhost \
		am -q --keep-cr <"$1" >&2 ||
		die "${2##*/} is not a mail that git am takes (format-patch makes them)"
}

# write_mails DIR TREE: build the series in a scratch repository and let git
# number it. New files no .src entry takes go first, together.
write_mails()
{
	local out name kind file from
	out=$(mkdir -p "$1" && cd "$1" && pwd)
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	git -c init.defaultBranch=main init -q "$scratch/git"
	while read -r name; do
		case $name in *.src) continue ;; esac
		while read -r kind file; do
			from=$2/.merlon/orig/$file
			[ -e "$from" ] || from=$2/$file
			[ "$kind" = a ] || install -D -m "$(stat -c %a "$from")" "$from" "$scratch/git/$file"
		done < <(touched "$patches/$name")
	done < <(series)
	git -C "$scratch/git" add -A
	git -C "$scratch/git" -c user.name=overlay -c user.email=overlay@localhost \
		commit -q --allow-empty -m "Linux $SERIES"
	git -C "$scratch/git" tag base

	new_files >"$scratch/left"
	while read -r name; do
		case $name in *.src) claim "$patches/$name" ;; esac
	done < <(series)
	if [ -s "$scratch/left" ]; then
		cp "$scratch/left" "$scratch/take"
		cat >"$scratch/head" <<EOF
Subject: KVM: x86: vmi: Add the new files

Add the files that the series needs and no other patch of it brings. They
are neither built nor called until the patches that follow.
EOF
		mail "$scratch/head"
	fi
	new_files >"$scratch/left"
	while read -r name; do
		case $name in
		*.src)
			claim "$patches/$name"
			mail "$patches/$name"
			;;
		*)	apply_mail "$patches/$name" "$name" ;;
		esac
	done < <(series)
	git -C "$scratch/git" format-patch -q --no-signature -o "$out" base..HEAD
	find "$out" -name '*.patch' | sort
	rm -rf "$scratch"
	trap - EXIT
}

mode=lay
case ${1:-} in
--update | --remove) mode=${1#--}; shift ;;
--format-patch)
	[ $# -eq 3 ] || { usage >&2; exit 2; }
	need git git
	check_version "$3"
	write_mails "$2" "$3"
	exit
	;;
--hash)
	overlay_hash
	exit
	;;
--help | -h)
	usage
	exit
	;;
esac
[ $# -eq 1 ] && [ "${1#-}" = "$1" ] || { usage >&2; exit 2; }
need patch patch
tree=$(cd "$1" 2>/dev/null && pwd) || die "$1: no such directory"
check_version "$tree"
hash=$(overlay_hash)
stamp=$(cat "$tree/.merlon/stamp" 2>/dev/null || true)

case $mode:$stamp in
remove:)
	say "$tree carries no overlay"
	;;
remove:*)
	[ "$stamp" = unfinished ] || check_laid "$tree"
	take_off "$tree"
	;;
*:"$hash")
	check_laid "$tree"
	say "$tree carries this overlay already"
	;;
update:unfinished)
	lay "$tree"
	;;
*:unfinished)
	die "$tree was left half done; run overlay.sh --update or --remove on it"
	;;
*:)
	check_pristine "$tree"
	lay "$tree"
	say "laid on $tree"
	;;
update:*)
	check_laid "$tree"
	lay "$tree"
	say "updated in $tree"
	;;
*)
	die "$tree carries another overlay ($stamp); run overlay.sh --update or --remove on it"
	;;
esac
