#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The unit as systemd reads it, the bus policy beside the interface it guards, and
# polkit's actions beside those that merlond asks about.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-.build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

point=0 failed=0
check()
{
	point=$((point + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $point - $2"
	else
		echo "not ok $point - $2"
		failed=1
		sed 's/^/# /' "$work/out"
	fi
}

# The unit names an installed merlond; systemd wants to see one.
sed "s|^ExecStart=.*|ExecStart=$PWD/$build/merlond|" "$build/merlond.service" \
	>"$work/merlond.service"

status=0
systemd-analyze verify --man=no "$work/merlond.service" >"$work/out" 2>&1 || status=$?
[ ! -s "$work/out" ] || status=1
check $status "systemd-analyze verify has nothing to say"

status=0
systemd-analyze security --offline=true --threshold=20 "$work/merlond.service" \
	>"$work/out" 2>&1 || status=$?
check $status "exposure is at most 2.0 ($(systemd-analyze --version | sed -n 1p)):$(
	sed -n 's/.*exposure level for [^:]*:\(.*[0-9]\) .*/\1/p' "$work/out")"

# "interface member" of every method, from the interface and from the policy
awk '/<interface name=/ { split($0, a, "\""); i = a[2] }
     /<method name=/ { split($0, a, "\""); print i, a[2] }' daemon/api/org.merlon1.xml |
	sort >"$work/methods"
sed -n 's/.*<allow .*send_interface="\(org\.merlon1\.[^"]*\)" send_member="\([^"]*\)".*/\1 \2/p' \
	systemd/org.merlon1.conf | sort >"$work/allowed"
status=0
diff "$work/methods" "$work/allowed" >"$work/out" || status=$?
[ -s "$work/methods" ] || status=1
check $status "the bus policy allows each method of the interface by name, and no other"

status=0
grep -q '<deny send_destination="org.merlon1"/>' systemd/org.merlon1.conf || status=1
check $status "and denies by default"

# Every message id of the code has its text, and no other
sed -n '/#define MERLON_/,$s/.*"\([0-9a-f]\{32\}\)".*/\1/p' daemon/api/names.h | sort >"$work/ids"
sed -n 's/^-- \([0-9a-f]*\)$/\1/p' systemd/merlon.catalog | sort >"$work/explained"
status=0
diff "$work/ids" "$work/explained" >"$work/out" || status=$?
[ -s "$work/ids" ] || status=1
[ -z "$(uniq -d "$work/ids")" ] || status=1
check $status "the catalog explains each message id, once, and no other"

mkdir -p "$work/root/usr/lib/systemd/catalog" "$work/root/var/lib/systemd/catalog"
cp systemd/merlon.catalog "$work/root/usr/lib/systemd/catalog/"
status=0
journalctl --root="$work/root" --update-catalog >"$work/out" 2>&1 || status=$?
[ -s "$work/root/var/lib/systemd/catalog/database" ] || status=1
check $status "journalctl takes the catalog"
# Every action that the daemon asks about, from daemon/auth.c and from polkit's file
sed -n 's/.*\[AUTH_[A-Z]*\] = { "\([^"]*\)".*/\1/p' daemon/auth.c | sort >"$work/asked"
sed -n 's/.*<action id="\([^"]*\)">.*/\1/p' systemd/org.merlon1.policy | sort >"$work/actions"
status=0
diff "$work/asked" "$work/actions" >"$work/out" || status=$?
[ -s "$work/asked" ] || status=1
check $status "polkit knows the actions that merlond asks about, and no others"

# Three defaults each, and nobody gets in by them without an administrator's password
grep '<allow_' systemd/org.merlon1.policy >"$work/out"
status=0
[ "$(grep -cE '<allow_(any|inactive|active)>auth_admin</allow_' "$work/out")" -eq \
	$((3 * $(wc -l <"$work/actions"))) ] || status=1
[ "$(wc -l <"$work/out")" -eq $((3 * $(wc -l <"$work/actions"))) ] || status=1
check $status "all of them by default for who authenticates as an administrator"

# The example names nothing that merlond does not say
grep -oE 'org\.merlon1\.[a-z]+|lookup\("[a-z-]+"\)' docs/examples/50-merlon.rules |
	sed 's/lookup(\(".*"\))/\1/' | sort -u >"$work/named"
{
	cat "$work/actions"
	sed -n '/^static int append_vm/,/^}/s/^[[:space:]]*\("[a-z-]*"\), .*/\1/p' daemon/polkit.c
} | sort >"$work/known"
status=0
comm -23 "$work/named" "$work/known" >"$work/out"
[ ! -s "$work/out" ] || status=1
[ "$(wc -l <"$work/named")" -ge 4 ] || status=1
check $status "the example of a rule names actions and details that there are"

echo "1..$point"
exit $failed
