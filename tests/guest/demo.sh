#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# `make demo`: boot the lab's host, tell a story in it, count its checks.
# From the environment: CPU, ENGINE, STORY; the words after the name are
# options of tests/lab/run.
set -euo pipefail
. "$(dirname "$0")/../../kernel/workbench.sh"
cd "$project_dir"

case $STORY in
subpage) story="story.sh" ;;
execute) story="story-execute.sh" ;;
*) die "STORY=$STORY: there are subpage and execute" ;;
esac
case $CPU in
intel) model="an Intel CPU (Bochs' arrow_lake)" ;;
amd) model="an AMD CPU (Bochs' ryzen)" ;;
*) die "CPU=$CPU: there are intel and amd" ;;
esac
logs=$build_dir/demo/$STORY-$CPU
case $ENGINE in
sw) ;;
hw)
	[ "$CPU" = intel ] || die "ENGINE=hw CPU=$CPU: sub-pages that the CPU checks are Intel's; use CPU=intel, or ENGINE=sw"
	set -- "$@" --append kvm_intel.spp=1
	logs+=-hw
	;;
*) die "ENGINE=$ENGINE: there are sw, sub-pages by write protection and emulation, and hw, by Intel's SPP" ;;
esac

mkdir -p "$logs"
: >"$logs/counts"
say "booting the patched kernel on $model, emulated; a minute or so until the end"
start=$SECONDS
tests/lab/run --cpu "$CPU" --timeout 900 --log "$logs" --counts "$logs/counts" "$@" \
	-- "tests/guest/$story" | grep --line-buffered -vE "^(# $story|1\.\.[0-9]+)\$" || true
say "took $((SECONDS - start)) s; logs are in ${logs#"$project_dir"/}"
awk '{ passed += $1; failed += $2 }
	END {
		if (!NR)
			failed = 1
		printf "%d passed, %d failed\n", passed, failed
		exit failed > 0
	}' "$logs/counts"
