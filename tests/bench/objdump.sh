#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What our part adds to the code that an exit runs through, by disassembly: the
# functions of a CPUID exit in two kernels, ours and the unpatched one of the same
# configuration, side by side. Addresses, and offsets into structures, which may
# have grown, are left out; NOPs that a static branch may replace are counted by
# themselves. Prints TAP, and a figure for each function: instructions of ours
# that the unpatched function has not, at least not there: where the compiler has
# laid a function out anew there are many, and as many the other way.
#
# Usage: objdump.sh [--diff] OURS UNPATCHED		(two vmlinux)
#   --diff	show them, too
set -euo pipefail

# In the order of the exit: the run loop, the vendor's part, the handler. What
# the compiler has inlined is part of its caller.
common=(kvm_arch_vcpu_ioctl_run vcpu_run vcpu_enter_guest kvm_emulate_cpuid kvm_cpuid
	kvm_skip_emulated_instruction kvm_load_guest_xsave_state kvm_load_host_xsave_state
	kvm_load_xfeatures)
intel=(vt_vcpu_run vmx_vcpu_run vmx_vcpu_enter_exit __vmx_vcpu_run vt_handle_exit
	vmx_handle_exit vmx_handle_exit_irqoff vmx_prepare_switch_to_guest
	vmx_skip_emulated_instruction skip_emulated_instruction vmx_recover_nmi_blocking)
amd=(svm_vcpu_run __svm_vcpu_run svm_handle_exit svm_invoke_exit_handler
	svm_handle_exit_irqoff svm_prepare_switch_to_guest svm_skip_emulated_instruction
	__svm_skip_emulated_instruction)

show=
if [ "${1:-}" = --diff ]; then
	show=1
	shift
fi
if [ $# -ne 2 ] || [ ! -f "$1" ] || [ ! -f "$2" ]; then
	sed -n '/^# Usage/,/^#   /s/^# //p' "$0" >&2
	exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

nm -S "$1" >"$work/ours.nm"
nm -S "$2" >"$work/unpatched.nm"

# has WHICH FUNCTION
has() { grep -q " [tT] $2\$" "$work/$1.nm"; }

# code VMLINUX WHICH FUNCTION: mnemonic and operands, one instruction a line
code()
{
	local start size
	read -r start size _ < <(grep -m 1 " [tT] $3\$" "$work/$2.nm")
	objdump -d --no-show-raw-insn --start-address="0x$start" \
		--stop-address="$(printf '0x%x' $((0x$start + 0x$size)))" "$1" | awk '
		!/^[0-9a-f]+:\t/ { next }
		{
			sub(/^[0-9a-f]+:\t/, "")
			sub(/ *#.*/, "")
			gsub(/[ \t]+/, " ")
			# Jumps within the function by direction only: what is between may differ
			if (match($0, /<[^>]*>/)) {
				target = substr($0, RSTART + 1, RLENGTH - 2)
				split($0, word, " ")
				if (index(target, "'"$3"'+") == 1 || target == "'"$3"'")
					target = ""
				sub(/\+0x[0-9a-f]+$/, "", target)
				$0 = word[1] " " target
			}
			# Displacements, and other addresses of the kernel
			gsub(/-?0x[0-9a-f]+\(/, "D(")
			gsub(/%(ds|es|fs|gs):0x[0-9a-f]+/, "%gs:D")
			gsub(/\$?0xffffffff[0-9a-f]+/, "A")
			print
		}'
}

is_nop='^(nop|nopw|nopl|data16|cs nopw|xchg %ax,%ax)'
n=0
functions=()
for f in "${common[@]}" "${intel[@]}" "${amd[@]}"; do
	! has ours "$f" || ! has unpatched "$f" || functions+=("$f")
done
echo "1..${#functions[@]}"
for f in "${functions[@]}"; do
	code "$1" ours "$f" >"$work/a"
	code "$2" unpatched "$f" >"$work/b"
	# Alignment and ftrace are in both; those beyond are static branches
	nops=$(($(grep -cE "$is_nop" "$work/a" || true) - $(grep -cE "$is_nop" "$work/b" || true)))
	grep -vE "$is_nop" "$work/a" >"$work/a.code" || true
	grep -vE "$is_nop" "$work/b" >"$work/b.code" || true
	diff "$work/b.code" "$work/a.code" >"$work/diff" || true
	more=$(grep -c '^>' "$work/diff" || true)
	less=$(grep -c '^<' "$work/diff" || true)
	ours=$(grep -oE '\<_*kvm_vmi_[a-z_]+' "$work/a.code" | sort -u | tr '\n' ' ' || true)
	n=$((n + 1))
	total=$(wc -l <"$work/a.code")
	echo "# $f: $total instructions; $more that the unpatched has not, $less the other way; $nops more NOPs"
	[ -z "$ours" ] || echo "# $f: names of ours: $ours"
	# Laid out anew, it cannot be told by number what is more: no aim
	if ((less == 0)); then
		echo "# bench o.$f $more instructions 0"
	else
		echo "# bench o.$f $more laid-out-anew"
	fi
	[ -z "$show" ] || sed 's/^/#   /' "$work/diff"
	if [ "$total" -gt 0 ] && [ -s "$work/b.code" ]; then
		echo "ok $n - $f was compared"
	else
		echo "not ok $n - $f was compared"
	fi
done
