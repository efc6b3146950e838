#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A guest reboots under rules that would stop any boot: on a page that its
# firmware uses and on its kernel, which is always loaded to the same place.
# By itself, by the VMM while its other CPU is busy, by a triple fault. Runs on
# the lab's host.
. /lab/guest/lib.sh

# What the firmware's stack and the boot sector use, and Linux does not
firmware="--gpa=0x6000 --length=8K"
# Kept from the guest's kernel by its command line
unused="--gpa=0x6000000 --length=4K"

protect() { merlon protect web-1 --write=deny "$@" >>$logs/protect 2>&1; }

protect_all()
{
	# shellcheck disable=SC2086
	protect --name=kernel --gpa="$(subpage "$gpa")" --length=128 &&
		protect --name=firmware $firmware &&
		protect --name=kept --on-reset=keep $unused
}

# armed WORD RULE: status has the rule, which is armed or disarmed
armed() { merlon status web-1 | grep -qE "^ +$2 .*, $1 "; }

# generation: resets so far
generation() { merlon list --json | sed -nE 's/.*"generation": ?([0-9]+).*/\1/p'; }

# reboots HOW DESCRIPTION
boots=1
reboots()
{
	protect_all
	check $? "$2: rules are set"
	tell attack
	# Not by what the guest says, which the other CPU's oops may cut in two
	! told 'attack: written' &&
		await 20 $boots '"kind":"violation".*"rule":"kernel".*"verdict":"deny"' $logs/watch
	check $? "$2: before, the kernel rule denies"
	before=$(generation)
	case $1 in
	system_reset) echo system_reset >/tmp/web-1.mon.in ;;
	*) echo "$1" >&3 ;;
	esac
	boots=$((boots + 1))
	guest_up $boots
	must $? "$2: the guest boots"
	# More than one: PC firmware that finds itself run already asks for another
	after=$(generation)
	test "$after" -gt "$before"
	check $? "$2: it counts as a reset"
	armed disarmed kernel && armed disarmed firmware
	check $? "$2: rules are listed as disarmed"
	armed armed kept
	check $? "$2: the rule that says keep is armed"
	test "$(target_gpa)" = "$gpa"
	check $? "$2: the kernel is at the same place, so it wrote what was protected"
	tell attack
	told 'attack: written'
	check $? "$2: a disarmed rule denies nothing"
	has $logs/watch '"kind":"vm-reset".*"generation":'"$after" &&
		has $logs/watch '"kind":"rule-disarmed".*"rule":"kernel"'
	check $? "$2: there are events of the reset and of what it disarmed"
	merlon unprotect web-1 --all >>$logs/protect 2>&1
	check $? "$2: the rules are dropped"
	test "$(generation)" = "$after"
	check $? "$2: a guest that runs is not reset"
}

bus_start && merlond_start
must $? "the bus and merlond are up"
merlon watch --json >$logs/watch 2>&1 &
background="$background $!"
# The monitor of QEMU, to press its reset button
mkfifo /tmp/web-1.mon.in /tmp/web-1.mon.out
cmdline="nokaslr memmap=64K\$0x6000000"
qemu_start web-1 pc -smp 2 -chardev pipe,id=monitor,path=/tmp/web-1.mon -mon monitor
guest_up
must $? "a guest with PC firmware boots with two CPUs"
gpa=$(target_gpa)
test "$(generation)" = 0
check $? "and that is no reset"

reboots reboot "by itself"
tell spin
reboots system_reset "by the VMM, one CPU busy"
reboots triple-fault "by triple fault"

protect --name=fatal --on-reset=kill --gpa="$(subpage "$gpa")" --length=128
check $? "a rule that kills the VM on reset is set"
tell neighbour
told 'neighbour: written'
check $? "the guest runs on under it"
echo system_reset >/tmp/web-1.mon.in
await 20 1 '"kind":"vm-killed"' $logs/watch
check $? "the reset kills the VM"
await 20 1 'kvm run failed' $logs/web-1.qemu
check $? "the VMM is told"
test "$(grep -c '^guest: ready' $logs/web-1)" -eq $boots
check $? "which does not boot"
finish
