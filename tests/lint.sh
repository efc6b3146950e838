#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Rules that a compiler does not check: licences, scripts, which part may
# include which, and the kernel's own checkpatch where its source is at hand.
set -euo pipefail
. "$(dirname "$0")/../kernel/workbench.sh"
cd "$project_dir"
bad=0
complain() { echo "$*"; bad=1; }

# All but what fuzzers are fed, which is anything
files() { git ls-files --cached --others --exclude-standard -- "${@:-.}" ':!tests/fuzz/corpus'; }

while read -r file; do
	[ -s "$file" ] || continue
	case $file in
	LICENSES/* | COPYING | *.md | *.json | *.src) continue ;;
	kernel/patches/*.patch) continue ;;
	kernel/* | bpf/* | tests/guest/rootkit/*) wanted='GPL-2\.0(-only)?( WITH Linux-syscall-note)?' ;;
	*.bpf.[ch]) wanted='GPL-2\.0-(only|or-later)' ;;
	*) wanted='GPL-2\.0-or-later' ;;
	esac
	grep -qE "SPDX-License-Identifier: \(?$wanted" <(head -n 5 "$file") ||
		complain "$file: none of its first lines names the licence $wanted"
done < <(files)

# cli -> daemon/api -> daemon/util; daemon -> bpf/intf.h; nothing -> tests
while read -r file; do
	case $file in
	daemon/util/*) forbidden='"(\.\./)*(daemon/)?(api/|rule|manager|vm|policy|kernel|bpf/)' ;;
	daemon/api/*) forbidden='"(\.\./)*(daemon/)?(rule|manager|vm|policy|kernel)[-a-z]*\.h"' ;;
	cli/*) forbidden='"(\.\./)*(daemon/)?(manager|vm|policy|kernel|state)[-a-z]*\.h"' ;;
	bpf/*) forbidden='"(\.\./)*(daemon|cli)/' ;;
	*) forbidden='"(\.\./)*tests/' ;;
	esac
	! grep -nE "^#include $forbidden" "$file" /dev/null || complain "$file: includes what it may not"
done < <(files 'daemon/*.[ch]' 'cli/*.[ch]' 'bpf/*.[ch]' 'kernel/src/*.[ch]')

if command -v shellcheck >/dev/null; then
	while read -r file; do
		case $(head -n 1 "$file") in
		'#!'*sh) ;;
		*) continue ;;
		esac
		shellcheck -x -S warning -e SC1090,SC1091,SC2154,SC2034 "$file" || bad=1
	done < <(files)
else
	say "shellcheck is not installed; the scripts were not checked"
fi

if command -v xmllint >/dev/null; then
	# By this machine's copy of polkit's DTD, if there is one: nothing is fetched
	dtd=/usr/share/polkit-1/policyconfig-1.dtd
	while read -r file; do
		valid=()
		case $file in
		*.policy) [ ! -f "$dtd" ] || valid=(--dtdvalid "$dtd") ;;
		esac
		xmllint --nonet --noout "${valid[@]}" "$file" || bad=1
	done < <(files '*.policy' '*.xml' 'systemd/*.conf')
else
	say "xmllint is not installed; XML was not checked"
fi

checkpatch=$(find "$cache_dir/kernel" -maxdepth 4 -path '*/scripts/checkpatch.pl' 2>/dev/null | sed -n 1p) || :
# check_style IGNORED FILE...: checkpatch, less the types that do not apply
check_style()
{
	perl "$checkpatch" --no-tree --strict --terse --no-summary --max-line-length=100 \
		--ignore "FILE_PATH_CHANGES,SPDX_LICENSE_TAG,$1" "${@:2}" || bad=1
}
if [ -n "$checkpatch" ]; then
	while read -r file; do
		case $file in
		# The macros of trace events are not C as checkpatch knows it
		*trace.h) check_style COMPLEX_MACRO,OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT,SPACING -f "$file" ;;
		# What user space includes has no BIT()
		*/uapi/*) check_style BIT_MACRO -f "$file" ;;
		*) check_style CONST_STRUCT -f "$file" ;;
		esac
	done < <(files 'kernel/src/*.[ch]')
	while read -r file; do
		# By its name it would be taken for a file to check, not a patch
		echo "$file:"
		case $file in
		# The kernel's table of features has columns of its own
		*-x86-vmx-Add-the-numbers*) check_style MISSING_SIGN_OFF,SPACING - <"$file" ;;
		# The macros of trace events are not C as checkpatch knows it
		*-Trace-what-LASS-forbids*)
			check_style MISSING_SIGN_OFF,COMPLEX_MACRO,OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT \
				- <"$file" ;;
		# The emulator's table of opcodes has names of its own
		*-Check-what-the-emulator-stores*) check_style MISSING_SIGN_OFF,CAMELCASE - <"$file" ;;
		*) check_style MISSING_SIGN_OFF - <"$file" ;;
		esac
	done < <(files 'kernel/patches/*.patch')
else
	say "no kernel source in the cache; checkpatch was not run (make kernel unpacks it)"
fi
exit $bad
