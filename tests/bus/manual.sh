#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The manual pages have each verb and option that the programs have, and no others;
# completion offers them.
set -u
n=0
bad=0
ok() { # STATUS DESCRIPTION
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}

# Options as the pages write them, without roff's escapes
plain() { sed 's/\\-/-/g; s/\\f.//g' "$1"; }
options() { sed -n 's/^ .*\(--[a-z][a-z0-9-]*\).*/\1/p'; }

merlon=.build/merlon
verbs=$($merlon --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ -n "$verbs" ]
ok $? "merlon --help lists verbs"
for verb in $verbs; do
	plain docs/merlon.1 | sed -n '/^\.SH VERBS/,/^\.SH OPTIONS/p' | grep -qE "^\.(B|BR) $verb( |\$)"
	ok $? "merlon(1) has verb $verb"
done

known=$(for verb in $verbs; do $merlon "$verb" --help | sed -n '/^Options:/,$p' | options; done | sort -u)
for option in $known; do
	plain docs/merlon.1 | sed -n '/^\.SH OPTIONS/,/^\.SH RULES/p' | grep -qE "^\.(B|BI|BR) .*$option(=| |\$)"
	ok $? "merlon(1) has option $option"
done
extra=$(plain docs/merlon.1 | sed -n '/^\.SH OPTIONS/,/^\.SH RULES/p' |
	grep -A1 '^\.TP' | grep -oE -- '--[a-z0-9-]+' | sort -u |
	while read -r option; do echo "$known" | grep -qxe "$option" || echo "$option"; done)
[ -z "$extra" ]
ok $? "merlon(1) has no other options $extra"

for option in $(.build/merlond-fake --help | grep -oE -- '--[a-z-]+' | sort -u | grep -vx -e --fake-kernel); do
	plain docs/merlond.8 | grep -qE "^\.(B|BI|BR) .*$option(=| |\$)"
	ok $? "merlond(8) has option $option"
done

# Completion, as bash would ask for it
offered() { # WORD... (the last is being typed)
	PATH=$PWD/.build:$PATH bash -c '
		compopt() { :; }
		. cli/merlon.bash
		COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
		_merlon
		printf "%s\n" "${COMPREPLY[@]}"' bash merlon "$@"
}
for verb in $verbs; do
	offered "" | grep -qx "$verb"
	ok $? "completion offers verb $verb"
done
offered protect vm --on | grep -qx -e --on-reset=
ok $? "completion offers options of the verb"
offered status vm --on | grep -q on-reset
[ $? -ne 0 ]
ok $? "and not those of another"
offered protect vm --action = sk | grep -qx skip
ok $? "completion offers values"
offered pin vm --cr | grep -qx -e --cr4=
ok $? "completion offers registers"
offered pin vm --cr4 = sma | grep -qx smap
ok $? "completion offers their bits"
for verb in protect pin; do
	offered $verb vm --action = | grep -qx skip && offered $verb vm --mode = | grep -qx monitor
	ok $? "completion offers verdicts and modes for $verb"
done
offered protect vm --action = ex | grep -qx exit && offered protect vm --mode = le | grep -qx learn
ok $? "of memory also exit and learn"
[ -z "$(offered pin vm --action = ex)$(offered pin vm --mode = le)" ]
ok $? "which pin does not take"
offered engine vm ha | grep -qx hardware
ok $? "completion offers engines"
offered policy ch | grep -qx check && offered policy check docs/merl | grep -qx docs/merlon.1
ok $? "completion offers what policy takes"
[ -z "$(offered policy list docs/merl)" ]
ok $? "of which list takes no file"
offered isolation ki | grep -qx kick && offered isolation kick vm al | grep -qx always
ok $? "completion offers what isolation takes"
[ -z "$(offered isolation status vm al)" ]
ok $? "of which status takes a VM only"

offered watch vm --kind = viol | grep -qx violation
ok $? "completion offers kinds of events"

for page in docs/merlon.1 docs/merlond.8 docs/merlon-policy.5 docs/merlon-stream.7; do
	if command -v groff >/dev/null; then
		[ -z "$(groff -man -Tascii -ww "$page" 2>&1 >/dev/null)" ]
		ok $? "$page is sound roff"
	fi
done
echo "1..$n"
exit $bad
