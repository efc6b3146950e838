#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Run the fuzzers: each over its corpus, then over inputs made from that.
#
#   tests/fuzz/run.sh                 as many inputs each time, the same ones
#   tests/fuzz/run.sh --seconds N     for N seconds each, others each time; what reaches
#                                     new code is kept in .build/fuzz/found
set -euo pipefail
cd "$(dirname "$0")/../.."

runs=20000
limits=(-seed=1 "-runs=$runs")
build=.build/fuzz
seconds=
[ "${1:-}" != --seconds ] || seconds=${2:?--seconds needs a number}

fuzzers=("$build"/fuzz-*)
names=()
for fuzzer in "${fuzzers[@]}"; do
	name=${fuzzer##*/fuzz-}
	case $name in *.*) continue ;; esac
	names+=("$name")
done
echo "1..${#names[@]}"
failed=0
for i in "${!names[@]}"; do
	name=${names[i]}
	log=$build/$name.log
	found=$build/found/$name
	corpus=(tests/fuzz/corpus/"$name")
	# Policies are made of rules
	[ "$name" != policy ] || corpus+=(docs/examples)
	rm -rf "$build/scratch/$name"
	if [ -n "$seconds" ]; then
		mkdir -p "$found"
		corpus=("$found" "${corpus[@]}")
		limits=("-max_total_time=$seconds" -print_final_stats=1)
	else
		# It writes into the first
		mkdir -p "$build/scratch/$name"
		corpus=("$build/scratch/$name" "${corpus[@]}")
	fi
	dict=()
	[ "$name" = record ] || dict=(-dict=tests/fuzz/json.dict)
	if "$build/fuzz-$name" "${limits[@]}" "${dict[@]}" -max_len=8192 -timeout=60 -rss_limit_mb=1024 \
		-artifact_prefix="$build/$name-" "${corpus[@]}" >"$log" 2>&1; then
		echo "ok $((i + 1)) - $name: $(sed -n 's/^Done \([0-9]* runs\).*/\1/p' "$log"), nothing found"
	else
		failed=1
		echo "not ok $((i + 1)) - $name: see $log"
		grep -E 'does not hold|ERROR|SUMMARY|Test unit written' "$log" | sed 's/^/# /'
		echo "# again: $build/fuzz-$name $build/$name-<what was written>"
	fi
done
exit $failed
