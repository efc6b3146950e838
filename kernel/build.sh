#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Build the kernel of one named config and print the folder it is in.
#
# The folder is named by a hash of all that went in (source, overlay, config,
# this script, compiler) and appears whole or not at all, so a build that has
# been done is not done again. Behind it are a source tree and an object tree
# per config, kept up to date file by file: after an edit in src/ or patches/
# only what depends on it is compiled again.
set -euo pipefail
. "$(dirname "$0")/workbench.sh"
. "$kernel_dir/BASE"

keep=6		# finished builds kept per config
jobs=$(nproc)

usage()
{
	cat <<EOF
Usage: build.sh [OPTION...] CONFIG

  CONFIG is lab, lam, debug or lockdep: a kernel with the overlay; or
         vanilla-CONFIG: the same without it, to compare with; or
         modules: lab with KVM as modules, a check that nothing it uses is
         missing from what the kernel exports.

  --tree DIR       build DIR as it is (a git tree you work in, say) in place of
                   the source named in kernel/BASE and the overlay
  --make ARGS      only run make in the object tree, with ARGS and its output
                   shown; such as --make 'arch/x86/kvm/ C=1 W=1'
  --print-dir      print where the finished build is or would be; build nothing

The finished kernel is also linked as .build/kernel/CONFIG: bzImage, vmlinux
(with BTF, without DWARF), System.map, config, objects (a link to the object
tree), and for modules *.ko.
EOF
}

tree=''
make_args=''
print_dir=''
while [ $# -gt 0 ]; do
	case $1 in
	--tree) tree=${2:?--tree needs a directory}; shift 2 ;;
	--make) make_args=${2:?--make needs arguments}; shift 2 ;;
	--print-dir) print_dir=1; shift ;;
	--help | -h) usage; exit ;;
	-*) usage >&2; exit 2 ;;
	*) break ;;
	esac
done
[ $# -eq 1 ] || { usage >&2; exit 2; }
config=$1
case ${config#vanilla-} in
lab | lam | debug | lockdep) fragments="base ${config#vanilla-}" ;;
modules) fragments="base lab modules" ;;
*) die "no config named '$config'; there are lab, lam, debug, lockdep, vanilla-..., modules" ;;
esac

for tool in gcc:gcc make:make flex:flex bison:bison bc:bc pahole:pahole \
	    cpio:cpio lz4:lz4 xz:xz-utils ld:binutils patch:patch depmod:kmod; do
	need "${tool%%:*}" "${tool#*:}"
done

# unpack DIR: the source, if it is not there yet
unpack()
{
	local tmp
	[ ! -d "$1" ] || return 0
	with_lock "${1%/*}/lock"
	[ ! -d "$1" ] || return 0
	say "unpacking ${tarball##*/}"
	tmp=$(mktemp -d "$1.XXXXXX")
	nice tar -x -f "$tarball" -C "$tmp" --strip-components=1 ||
		{ rm -rf "$tmp"; die "$tarball cannot be unpacked"; }
	publish "$tmp" "$1"
}

# The fragments in their order, later lines over earlier ones
wanted()
{
	local fragment
	for fragment in $fragments; do
		cat "$kernel_dir/config/$fragment.config"
	done | awk '
		/^CONFIG_/ { split($0, a, "="); if (!(a[1] in want)) order[++n] = a[1]; want[a[1]] = $0 }
		/^# CONFIG_.* is not set$/ { if (!($2 in want)) order[++n] = $2; want[$2] = $0 }
		END { for (i = 1; i <= n; i++) print want[order[i]] }'
}

# configure: .config from the fragments; every line must have come true
configure()
{
	local line missing=
	mkdir -p "$objects"
	wanted >"$objects/.wanted.new"
	if ! cmp -s "$objects/.wanted.new" "$objects/.wanted" || [ ! -f "$objects/.config" ]; then
		rm -f "$objects/.wanted"
		kbuild allnoconfig KCONFIG_ALLCONFIG="$objects/.wanted.new" >"$log" 2>&1 ||
			{ tail -n 20 "$log" >&2; die "the kernel refuses the configuration"; }
		mv "$objects/.wanted.new" "$objects/.wanted"
	else
		# New options of a changed overlay
		kbuild olddefconfig >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "olddefconfig failed"; }
	fi
	while read -r line; do
		case $line in
		"#"*) ! grep -q "^$(echo "$line" | cut -d' ' -f2)=" "$objects/.config" || missing+="  $line"$'\n' ;;
		*) grep -qxF -- "$line" "$objects/.config" || missing+="  $line"$'\n' ;;
		esac
	done <"$objects/.wanted"
	if [ -n "$missing" ]; then
		rm -f "$objects/.wanted"
		die "config $config asks for what it does not get (a dependency is off, or the option is gone):"$'\n'"$missing"
	fi
}

kbuild()
{
	nice make -C "$source" O="$objects" ARCH=x86_64 LOCALVERSION= \
		KBUILD_BUILD_USER=merlon KBUILD_BUILD_HOST=lab KBUILD_BUILD_VERSION=1 \
		KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' -j"$jobs" "$@"
}

# collect DIR: what a finished build consists of
collect()
{
	local module
	mkdir -p "$1"
	cp "$objects/.config" "$1/config"
	cp "$objects/System.map" "$1/"
	objcopy --strip-debug "$objects/vmlinux" "$1/vmlinux"
	cp "$objects/arch/x86/boot/bzImage" "$1/"
	ln -s "$objects" "$1/objects"
	while read -r module; do
		cp "$objects/${module%.o}.ko" "$1/"
	done <"$objects/modules.order"
	verify "$1"
}

# verify DIR: what was asked for is in it, not merely configured
verify()
{
	[ "$(stat -c %s "$1/bzImage")" -gt 2000000 ] || die "$1/bzImage is too small to be a kernel"
	# No pipe: grep -q would close it early and fail the writer
	grep -q ' \.BTF ' <(objdump -h "$1/vmlinux") || die "$1/vmlinux has no BTF"
	if [ "$config" = modules ]; then
		[ -s "$1/kvm.ko" ] && [ -s "$1/kvm-intel.ko" ] && [ -s "$1/kvm-amd.ko" ] ||
			die "the modules kvm, kvm-intel and kvm-amd were not all built"
	else
		grep -q ' vmx_vcpu_run$' "$1/System.map" && grep -q ' svm_vcpu_run$' "$1/System.map" ||
			die "KVM for Intel and AMD is not in $1/vmlinux"
	fi
}

# link DIR: let the rest of the checkout find it
link()
{
	mkdir -p "$build_dir/kernel"
	ln -sfn "$1" "$build_dir/kernel/$config.new.$$"
	mv -T "$build_dir/kernel/$config.new.$$" "$build_dir/kernel/$config"
	touch "$1"
	echo "$1"
}

# name_final OVERLAY: where the build of this content belongs
name_final()
{
	local hash
	hash=$({
		echo "$tarball_sum $config $1"
		wanted
		[ -z "$1" ] || cat "$kernel_dir/config/kvm_vmi.config" "$kernel_dir/config/kvm_isolation.config"
		cat "$kernel_dir/build.sh"
		gcc --version | sed -n 1p
		ld --version | sed -n 1p
		pahole --version
	} | sha256sum | cut -c1-24)
	final=$store/$config-$hash
}

store=$cache_dir/kernel
if [ -n "$tree" ]; then
	source=$(cd "$tree" 2>/dev/null && pwd) || die "--tree $tree: no such directory"
	source_id=tree-$(echo "$source" | sha256sum | cut -c1-12)
else
	tarball=$("$kernel_dir/fetch.sh")
	tarball_sum=$(sha256_of "$tarball")
	pristine=$(pristine_dir "$tarball")
	source_id=$(basename "$(dirname "$pristine")")
	case $config in
	vanilla-*) name_final "" ;;
	*) name_final "$("$kernel_dir/overlay.sh" --hash)" ;;
	esac
	if [ -n "$print_dir" ]; then
		echo "$final"
		exit
	fi
	if [ -z "$make_args" ] && [ -d "$final" ]; then
		link "$final"
		exit
	fi
fi

# Each config has trees of its own, so that two can be built at a time
work=$store/$source_id/$config
objects=$work/objects
log=$work/build.log
mkdir -p "$work"
[ -n "$tree" ] || unpack "$pristine"
with_lock "$work/lock"
if [ -z "$tree" ]; then
	if [ -z "$make_args" ] && [ -d "$final" ]; then
		link "$final"		# somebody else just built it
		exit
	fi
	source=$pristine
	case $config in
	vanilla-*) ;;
	*)	source=$work/source
		if [ ! -d "$source" ]; then
			tmp=$(mktemp -d "$source.XXXXXX")
			cp -al "$pristine/." "$tmp"
			publish "$tmp" "$source"
		fi
		"$kernel_dir/overlay.sh" --update "$source"
		# src/ may have been edited since the name was found
		name_final "$(cat "$source/.merlon/stamp")"
		if [ -z "$make_args" ] && [ -d "$final" ]; then
			link "$final"
			exit
		fi
		;;
	esac
fi
case $config in
vanilla-*) ;;
*)	! grep -qsE '^config KVM_VMI$|^source "arch/x86/kvm/vmi/Kconfig"' "$source/arch/x86/kvm/Kconfig" ||
		fragments+=" kvm_vmi"
	# It is not for modules.
	[ "$config" = modules ] ||
		! grep -qsE '^source "arch/x86/kvm/isolation/Kconfig"' "$source/arch/x86/kvm/Kconfig" ||
		fragments+=" kvm_isolation" ;;
esac

configure
if [ -n "$make_args" ]; then
	# shellcheck disable=SC2086
	kbuild $make_args
	exit
fi
case $config in modules) targets="vmlinux modules bzImage" ;; *) targets="bzImage modules" ;; esac
# shellcheck disable=SC2086
with_progress "kernel $config" "$log" kbuild $targets
grep -E 'warning:' "$log" | sort -u | sed -n 1,20p >&2 || true

tmp=$(mktemp -d "$store/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
collect "$tmp"
chmod 755 "$tmp"
if [ -n "$tree" ]; then
	final=$store/$config-$source_id
	rm -rf "$final"
fi
publish "$tmp" "$final"
# shellcheck disable=SC2012
ls -dt "$store/$config"-* | tail -n +$((keep + 1)) | xargs -r rm -rf --
link "$final"
