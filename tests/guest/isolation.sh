#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux guests on a host that isolates what runs around their entry: they do what they
# always do, nothing that is needed is missing, and most of what a guest is left for is
# settled on the restricted page table. Runs on the lab's host.
. /lab/guest/lib.sh

report() { cat /sys/kernel/debug/kvm/*/isolation; }

# count NAME: a number of the report
count() { report | awk -v name="$1" '$1 == name { print $2 }'; }

# remember: the report as it is now
remember() { report >/tmp/isolation; }

# since NAME: what has come since
since() { echo $(($(count "$1") - $(awk -v name="$1" '$1 == name { print $2 }' /tmp/isolation))); }

# share: how many of the exits since, in percent and rounded down, that neither block nor are
# interrupts of the host, were settled within; and on the lines before it what they all were
share()
{
	report | awk -v before=/tmp/isolation '
		BEGIN { while ((getline <before) > 0) was[$1] = $2 }
		/^(inside|outside)-/ && $2 > was[$1] {
			n = $2 - was[$1]
			print "#   " $1, n
			if ($1 == "outside-interrupt" || $1 == "outside-hlt") next
			all += n
			if ($1 ~ /^inside/) inside += n
		}
		$1 == "left-timer" { print "#   " $1, $2 - was[$1] }
		END { print (all > 0 ? int(100 * inside / all) : 100) }'
}

# live DESCRIPTION: what the guest can do, it does, without faults
live()
{
	remember
	tell work
	told 'work: 24 of 24 done'
	check $? "$1: processes and files"
	tell look
	sleep 1
	[ "$(since faults)" -eq 0 ]
	check $? "$1: nothing is missing in $(since windows) windows"
	[ "$(count left-fault)" -eq 0 ] || report | sed -n 's/^place/#   place/p'
	[ "$(count refused)" -eq 0 ]
	check $? "$1: no entry was without isolation"
}

grep -q Y /sys/module/kvm/parameters/isolation
must $? "isolation is on"

bus_start && merlond_start
must $? "the bus and merlond are up"
merlon probe --json >$logs/probe 2>&1
has $logs/probe '"isolation":{"state":"on","kick":"never"}'
check $? "merlon probe tells of it"
merlon watch --json >$logs/watch 2>&1 &
background="$background $!"
qemu_start web-1 microvm
guest_up
must $? "a guest boots"
live "after boot"

tell spin
sleep 1
remember
sleep 3
echo "# while it computes:"
share >/tmp/share
sed '$d' /tmp/share
settled=$(tail -n 1 /tmp/share)
[ "$settled" -ge 95 ]
check $? "$settled % of the exits that are not of the host or HLT are settled within"
[ "$(since faults)" -eq 0 ]
check $? "nothing is missing"
report | sed -n 's/^\(mapped-bytes\|table-bytes\|windows\|left-.*\|no-place\)/#   \1/p'
merlon isolation status web-1 >$logs/status 2>&1
has $logs/status 'web-1.*:$' && has $logs/status ' settled inside$' && has $logs/status ' 0 accesses to what is not mapped$'
check $? "merlon isolation status shows it"
sed 's/^/#   /' $logs/status
has $logs/watch '"kind":"isolation-left"'
[ $? -ne 0 ]
check $? "there was no event"
merlon isolation kick web-1 always >$logs/kick 2>&1
merlon isolation status web-1 --json >$logs/kicking 2>&1
has $logs/kicking '"kick":"always"'
check $? "siblings are to be kicked from now on"
vm=$(echo /sys/kernel/debug/kvm/*-*)
echo 'drop vm' >"$vm/isolation_probe"
tell work
told 'work: 24 of 24 done'
check $? "the guest does what it did"
await 20 1 '"kind":"isolation-left"' $logs/watch
check $? "there is an event when windows are left for it"
merlon isolation status web-1 >$logs/missing 2>&1
has $logs/missing 'MISSING' && has $logs/missing ' by +[a-z_]+\+0x'
check $? "and the place by its name"
sed -n '/MISSING/,$s/^/#   /p' $logs/missing
qemu_kill

qemu_start web-2 pc -smp 2
guest_up
must $? "a guest with two CPUs boots from firmware"
live "with two CPUs"
qemu_kill
finish
