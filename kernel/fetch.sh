#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Get the kernel source named in BASE; print where its tarball is.
#
# In this order: KERNEL_TARBALL=, the cache, the pinned Debian package, the
# newest package of the same series when the suite has moved on, the upstream
# release. Everything but KERNEL_TARBALL= is authenticated: by the pinned
# checksum, or by apt against the Debian archive's keys.
set -euo pipefail
. "$(dirname "$0")/workbench.sh"
. "$kernel_dir/BASE"

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
store=$cache_dir/download

# apt with a source list, lists and cache of its own: the machine's are not touched
own_apt()
{
	apt-get -qq \
		-o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::Retries=2 "$@"
}

# keep FILE: move a tarball into the cache under its checksum; print its place
keep()
{
	local sum
	sum=$(sha256_of "$1")
	mkdir -p "$store/$sum"
	mv "$1" "$store/$sum/${1##*/}"
	echo "$store/$sum/${1##*/}"
}

# unwrap DEB: the tarball inside a linux-source package
unwrap()
{
	dpkg-deb --fsys-tarfile "$1" |
		tar -x -C "$tmp" --wildcards --transform='s,.*/,,' "./usr/src/linux-source-*.tar.xz"
	ls "$tmp"/linux-source-*.tar.xz
}

# from_apt MIRROR: the pinned version, or the series' newest
from_apt()
{
	local version deb tarball
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	echo "deb [signed-by=$keyring] $1 $SUITE main" >"$apt/sources.list"
	own_apt update >"$tmp/apt.log" 2>&1 || return 1
	version=$VERSION
	if ! grep -qxF "$version" <(apt_versions); then
		version=$(apt_versions | sed -n 1p)
		[ -n "$version" ] || return 1
		case $version in "$SERIES".*) ;; *) return 1 ;; esac
		say "$SUITE no longer has $PACKAGE $VERSION; taking $version"
	fi
	say "fetching $PACKAGE $version (160 MB)"
	(cd "$tmp" && own_apt download "$PACKAGE=$version") >>"$tmp/apt.log" 2>&1 || return 1
	deb=$(ls "$tmp/$PACKAGE"_*.deb)
	tarball=$(unwrap "$deb")
	if [ "$version" = "$VERSION" ] && [ "$(sha256_of "$tarball")" != "$SHA256" ]; then
		die "$PACKAGE $VERSION holds a tarball with another checksum than kernel/BASE pins"
	fi
	found=$(keep "$tarball")
	[ "$version" = "$VERSION" ] || echo "$found" >"$newest"
}

# The versions of the package in our own lists, newest first
apt_versions()
{
	apt-cache -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- \
		-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
		madison "$PACKAGE" 2>/dev/null | awk -F' *[|] *' '{ print $2 }'
}

from_upstream()
{
	if [ -z "$UPSTREAM_SHA256" ]; then
		say "not trying the upstream release: kernel/BASE pins no checksum for it"
		return 1
	fi
	need curl curl
	say "fetching $UPSTREAM_URL"
	curl -fsSL --retry 2 -o "$tmp/${UPSTREAM_URL##*/}" "$UPSTREAM_URL" || return 1
	[ "$(sha256_of "$tmp/${UPSTREAM_URL##*/}")" = "$UPSTREAM_SHA256" ] ||
		die "$UPSTREAM_URL does not have the checksum that kernel/BASE pins"
	found=$(keep "$tmp/${UPSTREAM_URL##*/}")
}

if [ -n "${KERNEL_TARBALL:-}" ]; then
	[ -f "$KERNEL_TARBALL" ] || die "KERNEL_TARBALL=$KERNEL_TARBALL: no such file"
	realpath "$KERNEL_TARBALL"
	exit
fi
mkdir -p "$store"
with_lock "$store/lock"
if [ -f "$store/$SHA256/$TARBALL" ]; then
	echo "$store/$SHA256/$TARBALL"
	exit
fi

# What was taken when the suite had moved on does for a day
newest=$store/newest-of-$SERIES
if [ -n "$(find "$newest" -mtime -1 2>/dev/null)" ] && [ -f "$(cat "$newest")" ]; then
	cat "$newest"
	exit
fi

need apt-get apt
need dpkg-deb dpkg
[ -f "$keyring" ] || die "$keyring is missing; install debian-archive-keyring"
tmp=$(mktemp -d "$store/tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
apt=$tmp/apt
mkdir "$apt"
found=
for mirror in $(mirrors); do
	from_apt "$mirror" && break
done
if [ -z "$found" ] && [ -f "$newest" ]; then
	found=$(cat "$newest")
	if [ -f "$found" ]; then
		say "no mirror answers; using $found, fetched before"
	else
		found=
	fi
fi
if [ -z "$found" ] && ! from_upstream; then
	[ ! -s "$tmp/apt.log" ] || tail -n 5 "$tmp/apt.log" >&2
	die "no source for Linux $SERIES: the package archives that apt knows here have no" \
		"usable $PACKAGE in $SUITE. Check the network, or give a tarball of" \
		"Linux $SERIES.y: KERNEL_TARBALL=FILE make ..."
fi
echo "$found"
