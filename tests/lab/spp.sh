#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Has the lab's Intel CPU sub-page write permissions as the architecture
# describes them? A test of the lab: spp/spp.c runs in the place of the kernel.
set -euo pipefail
. "$(dirname "$0")/../../kernel/workbench.sh"

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
status=0
"$project_dir/tests/lab/run" --cpu intel --mem 64 --kernel "$build_dir/tests/lab/spp/image" \
	--timeout 120 --log "$logs" -- spp >&2 || status=1
grep -av '^@lab' "$logs/report.log" || true
exit $status
