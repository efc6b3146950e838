# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What every script of the workbench and the lab needs: where things are kept,
# how to talk, how to wait. Sourced, never run.

kernel_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project_dir=$(dirname "$kernel_dir")
build_dir=${MERLON_BUILD:-$project_dir/.build}
cache_dir=${MERLON_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/merlon}
work_name=${0##*/}

# What is built here has makefiles of its own: the flags and variables of the
# make that called us (no built-in rules, KERNEL=, CC=) are not for them
unset MAKEFLAGS MFLAGS MAKEOVERRIDES GNUMAKEFLAGS

# Progress and errors go to standard error: standard output is for results.
say() { printf '%s: %s\n' "$work_name" "$*" >&2; }
die() { printf '%s: error: %s\n' "$work_name" "$*" >&2; exit 1; }

# need COMMAND PACKAGE...: stop early, and with the name of the package
need()
{
	command -v "$1" >/dev/null 2>&1 ||
		die "'$1' is not installed; run 'make deps' (Debian package: $2)"
}

sha256_of() { sha256sum -- "$1" | cut -d' ' -f1; }

# with_lock FILE: hold FILE until this process ends; say so when that means waiting
with_lock()
{
	mkdir -p "$(dirname "$1")"
	exec 9>"$1"
	flock -n 9 && return
	say "waiting for another build that uses $1"
	flock 9
}

workbench_child=
interrupted()
{
	[ -z "$workbench_child" ] || kill -- "-$workbench_child" 2>/dev/null || true
	exit "$1"
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM

# with_progress WHAT LOG COMMAND...: run COMMAND with its output in LOG and a
# line on standard error every few seconds; on failure show why
with_progress()
{
	local what=$1 log=$2 start=$SECONDS pid status=0 last=0
	shift 2
	mkdir -p "$(dirname "$log")"
	# A process group of its own, to be ended as a whole
	set -m
	"$@" >"$log" 2>&1 9>&- </dev/null &
	pid=$!
	set +m
	workbench_child=$pid
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		if ((SECONDS - start >= last + 10)); then
			last=$((SECONDS - start))
			say "$what: ${last} s, $(grep -cE '^ +(CC|LD|AR|AS|CXX|HOSTCC|\[M\])|^[a-z+]*(gcc|g\+\+|cc|c\+\+) ' "$log") objects"
		fi
	done
	wait "$pid" || status=$?
	workbench_child=
	if ((status)); then
		grep -nE '(error|Error|undefined reference)[: ]' "$log" | sed -n 1,30p >&2
		say "last lines of $log:"
		tail -n 20 "$log" >&2
		die "$what failed (exit status $status); the whole log is $log"
	fi
	((SECONDS - start < 5)) || say "$what: done in $((SECONDS - start)) s"
}

# mirrors: the archives this machine already fetches Debian packages from
mirrors()
{
	apt-get indextargets --format '$(REPO_URI)' 2>/dev/null |
		grep -v security | sort -u
}

# publish TMP FINAL: make a finished directory visible, whole or not at all
publish()
{
	if [ -e "$2" ]; then
		rm -rf "$1"
	else
		mv -T "$1" "$2"
	fi
}

# pristine_dir TARBALL: where the unpacked source of this tarball belongs
pristine_dir() { echo "$cache_dir/kernel/$(sha256_of "$1" | cut -c1-12)/pristine"; }
