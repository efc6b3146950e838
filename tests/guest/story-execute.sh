#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The story that `make demo STORY=execute` tells, and a test: a guest's kernel executes
# nothing but its own code, whoever has taken it over. What its own code is, is learned.
. /lab/guest/lib.sh

# console: what the guest printed about the last word, shortened
console()
{
	echo "$out" | grep -E 'general protection|RIP: |jump\+|^guest:' |
		sed 's/^\[ *[0-9.]*\] //; s/^/    web-1> /' | awk '!seen[$0]++' | head -n 6
}

# attack HOW: has the guest's kernel done it?
attack()
{
	tell "$1"
	console
	told "$1: the kernel has executed it"
}

# stopped: the last attack was, and the guest's kernel has killed nothing but its process
stopped() { told 'the kernel killed it \(signal' && told 'general protection fault'; }

# violations: so many the rule has had
violations()
{
	merlon status --json web-1 | sed -E 's/.*"name": ?"kernel-code".*"violations": ?([0-9]+).*/\1/'
}

chapter "The host, and a guest: Linux in Debian's QEMU, unmodified"
bus_start
must $? "the system bus is up"
merlond_start
must $? "merlond answers on the bus"
show merlon probe
told 'execute-user'
must $? "the CPU tells a guest's user mode from its kernel when they execute"
told 'CPU amd'
amd=$?
qemu_start web-1 microvm
guest_up
must $? "the guest has booted and loaded the exploit, a kernel module"
grep -E '^guest: kernel code' $logs/web-1 | tr -d '\r' | sed 's/^/    web-1> /'
code=$(sed -n 's/^guest: kernel code gpa \(0x[0-9a-f]*\) length.*/\1/p' $logs/web-1)
length=$(sed -n 's/^guest: kernel code .* length \(0x[0-9a-f]*\).*/\1/p' $logs/web-1)
# To whole pages
length=$(((length + 4095) & ~4095))

chapter "The exploit, unprotected: the guest's kernel executes what the attacker wrote"
attack data
check $? "in a page of its own data, mapped once more"
attack alias
check $? "in a page of a user's program, mapped into the kernel's half"
attack user
check $? "in that page where it is, with SMEP switched off"

chapter "Learn what the guest's kernel executes"
cat >/tmp/kernel-code.json <<EOF
{ "version": 1, "mode": "learn", "rules": [
  { "name": "kernel-code", "gpa": "0x0", "length": "all", "execute": "user",
    "except": [ { "gpa": "$code", "length": $length } ] }
] }
EOF
sed 's/^/    /' /tmp/kernel-code.json
show merlon protect web-1 --rules=/tmp/kernel-code.json
must $? "all memory is for user mode to execute, but for the kernel's own code"
merlon watch --json >$logs/watch 2>&1 &
background="$background $!"
merlon learn web-1 --for=15 --enforce --output=/tmp/web-1.json >$logs/learn 2>&1 &
learner=$!
background="$background $learner"
for word in nothing look attack heal neighbour work work; do
	tell $word
done
told 'work: 24 of 24 done'
check $? "the guest does meanwhile what it will do: its modules are learned"
wait $learner
check $? "merlon learn ends, and has the rule enforce"
sed 's/^/    /' $logs/learn
has $logs/learn 'learning: [0-9]+ pages'
check $? "it has shown how far it was"
grep -q '"except"' /tmp/web-1.json && grep -q '"mode": *"enforce"' /tmp/web-1.json
check $? "and has written a policy ($(grep -c '"gpa"' /tmp/web-1.json) ranges)"
show merlon status web-1
told 'enforce, ' && told 'learned [1-9]'
check $? "what is in force"

chapter "Ordinary programs"
before=$(violations)
tell work
console
told 'work: 24 of 24 done'
check $? "run: processes, files, pipes, signals"
test "$(violations)" = "$before" -a -n "$before"
check $? "without a single violation ($before so far, all while learning)"

chapter "The exploit again"
attack data
stopped
check $? "a page of data is not executed: #GP in the exploit, the guest's kernel lives"
attack alias
stopped
check $? "nor a user's page in the kernel's half"
attack user
if [ $amd -eq 0 ]; then
	stopped
	check $? "nor where it is: AMD's CPUs go by the privilege level, SMEP or not"
else
	told 'user: the kernel has executed it'
	check $? "where it is, it is: Intel's CPUs go by the guest's page tables, and SMEP is off"
fi
tell work
told 'work: 24 of 24 done'
check $? "the guest works as before"

chapter "Who saw it"
await 10 1 '"access":"fetch".*"verdict":"deny"' $logs/watch
check $? "merlon watch: the event"
grep '"verdict":"deny"' $logs/watch | head -n 1 | fold -w 92 | sed 's/^/    /'
grep '"verdict":"deny"' $logs/watch | head -n 1 | grep -q '"rule":"kernel-code"'
check $? "with the rule's name"

chapter "merlond is killed; KVM goes on"
merlond_kill
attack data
stopped
check $? "the page is still not executed"
merlond_start
must $? "merlond is back"
show merlon unprotect web-1 kernel-code
attack data
check $? "without the rule it is"
show merlon protect web-1 --rules=/tmp/web-1.json
check $? "the policy that was learned can be set again"
tell work
told 'work: 24 of 24 done'
check $? "the guest works"
attack data
stopped
check $? "and the page is not executed"
echo " "
finish
