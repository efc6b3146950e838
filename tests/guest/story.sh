#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The story that `make demo` tells, and a test: a guest's own kernel cannot
# overwrite what was protected from outside. Runs on the lab's host, which may be
# told to have the CPU check sub-pages: then they are, and the story is the same.
. /lab/guest/lib.sh

case " $(cat /proc/cmdline) " in
*" kvm_intel.spp=1 "*) engine=hardware ;;
*) engine=software ;;
esac

# console: what the guest printed about the last word, shortened
console()
{
	echo "$out" | grep -E 'general protection|RIP: .*overwrite|^guest:' |
		sed 's/^\[ *[0-9.]*\] //; s/^/    web-1> /' | awk '!seen[$0]++'
}

# picture: all VMs and rules as merlond has them, but for what counts up
picture()
{
	merlon status --json | sed -E 's/"(violations|denied|lost|engine-bytes)": ?[0-9]+/"\1":N/g'
}

# faults_while WORD: what the guest does, and in $faults how often it was stopped for a
# write to the page that is protected in part
faults_while()
{
	event=/sys/kernel/tracing/events/kvm/kvm_page_fault
	page=$((gpa & ~4095))
	echo "fault_address >= $page && fault_address < $((page + 4096))" >$event/filter
	: >/sys/kernel/tracing/trace
	echo 1 >$event/enable
	tell "$1"
	echo 0 >$event/enable
	faults=$(grep -c kvm_page_fault: /sys/kernel/tracing/trace)
}

chapter "The host: its kernel has Merlon's part, merlond is up"
bus_start
must $? "the system bus is up"
merlond_start
must $? "merlond answers on the bus"
show merlon probe
check $? "this kernel can protect guests"
told "^engine +auto, which takes $engine"
check $? "parts of a page are checked in $engine"

chapter "A guest: Linux in Debian's QEMU, unmodified"
qemu_start web-1 microvm
guest_up
must $? "the guest has booted and loaded the attacker's module"
grep -E '^guest: (target|/proc)' $logs/web-1 | tr -d '\r' | sed 's/^/    web-1> /'
gpa=$(target_gpa)
show merlon list
told '#[0-9]+ +web-1 '
check $? "merlon finds it by its name"

chapter "The attack, unprotected: a kernel function pointer is overwritten"
tell attack
console
told 'attack: written' && told '/proc hides process'
check $? "the write succeeds, the process is hidden from /proc"
tell heal
told '/proc shows process'
check $? "and undone"

chapter "Protect 128 bytes of the guest's kernel, from outside"
busctl monitor org.merlon1 >$logs/busctl 2>&1 &
background="$background $!"
await 10 1 'became a monitor' $logs/bus
# Lines for people come by signals, JSON by a stream of its own
merlon watch >$logs/lines 2>&1 &
background="$background $!"
merlon watch --json >$logs/watch 2>&1 &
background="$background $!"
await 10 1 'Member=Watch$' $logs/busctl && await 10 1 'Member=Subscribe$' $logs/busctl
check $? "merlon watch and an independent busctl monitor listen"
show merlon protect web-1 --name=proc-table --gpa="$(subpage "$gpa")" --length=128 --write=deny
check $? "the rule is in force"
told 'device writes: not enforced'
check $? "merlon says what it does not enforce"
show merlon engine web-1
told "engine $engine \(auto\), settled"
check $? "the VM's engine is $engine, now for as long as it runs"
show merlon engine web-1 software
test $? -eq 1 && told 'stop the VM and start it anew'
check $? "which merlon says to whoever wants another one"

chapter "The attack again"
tell attack
console
told 'general protection fault' && told 'attack: the kernel killed it'
check $? "the write is denied: the guest's kernel reports #GP in the attacker's code"
told '/proc shows process'
check $? "the pointer is unchanged, the guest's kernel lives on"
tell neighbour
console
told 'neighbour: written'
check $? "a write to the next 128 bytes works"
faults_while neighbour
case $engine in
software)
	told 'neighbour: written' && [ "$faults" -gt 0 ]
	check $? "again: KVM carries it out ($faults faults on that page)"
	;;
hardware)
	told 'neighbour: written' && [ "$faults" -eq 0 ]
	check $? "again: the CPU lets it through, KVM sees nothing of it ($faults faults on that page)"
	;;
esac

chapter "Who saw it"
await 10 1 'violation deny: write' $logs/lines
check $? "merlon watch: the event"
grep -m 1 'violation deny: write' $logs/lines | fold -w 92 | sed 's/^/    /'
await 10 1 '"kind":"violation"' $logs/watch
check $? "and as JSON"
grep '"kind":"violation"' $logs/watch | head -n 1 | fold -w 92 | sed 's/^/    /'
grep '"kind":"violation"' $logs/watch | head -n 1 | grep -q '"rule":"proc-table".*"verdict":"deny"'
check $? "with the rule's name and the verdict"
await 10 1 'STRING "violation"' $logs/busctl
check $? "busctl monitor, which knows nothing of merlon: the D-Bus signal"
grep -m 1 -A 12 'Member=Event' $logs/busctl | grep -E 'Member=' | sed 's/^ */    /'

chapter "merlond is killed; KVM goes on"
picture >/tmp/before
merlond_kill
show merlon list
test $? -eq 8
check $? "merlond is gone"
tell attack
console | grep 'guest: attack'
told 'attack: the kernel killed it' && told '/proc shows process'
check $? "the write is still denied"
merlond_start
must $? "merlond is back"
show merlon status web-1
check $? "nothing is degraded after the restart"
picture >/tmp/after
cmp -s /tmp/before /tmp/after
check $? "the same VMs and engines, the same rules by the same names"
tell attack
told 'attack: the kernel killed it'
check $? "the write is denied as before"
show merlon unprotect web-1 proc-table
tell attack
console | grep 'guest: attack'
told 'attack: written' && told '/proc hides process'
check $? "without the rule it succeeds again"
echo " "
cmp -s /tmp/before /tmp/after || diff /tmp/before /tmp/after | sed 's/^/# /'
finish
