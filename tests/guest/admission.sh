#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# While the kernel is told to, a new VM runs nothing before merlond has admitted
# it; what happens when nobody does is what the word says. Runs on the lab's host.
. /lab/guest/lib.sh

# deadline MS
deadline() { echo "{ \"admission-ms\": $1 }" >/etc/merlon/merlond.json; }

quiet() { [ ! -s "$logs/$guest" ]; }

bus_start
must $? "the system bus is up"

# Nobody is there for three seconds of up to sixty; a boot takes less
deadline 60000
merlond_start --admission=closed
must $? "merlond is up, admission is closed"
merlon probe --json | grep -qE '"admission": ?"closed"'
check $? "and the kernel says so"
merlon watch --json >$logs/watch 2>&1 &
background="$background $!"
usleep 500000
kill -STOP $merlond_pid
qemu_start early microvm
sleep 3
quiet
check $? "closed: while merlond sleeps, a new VM runs nothing for three seconds"
kill -0 $qemu_pid
check $? "closed: its VMM waits"
kill -CONT $merlond_pid
guest_up
check $? "closed: admitted, it boots"
await 5 1 '"name":"early".*"kind":"vm-admitted"' $logs/watch
check $? "closed: there is an event of that"
merlon status >$logs/status 2>&1
check $? "closed: nothing is degraded"
qemu_kill

deadline 1000
merlond_kill
merlond_start --admission=closed
must $? "merlond is up again, the deadline is one second"
merlond_kill
qemu_start refused microvm
await 20 1 'Operation not permitted' $logs/refused.qemu
check $? "closed: not admitted in time, KVM_RUN fails"
sleep 2
quiet
check $? "closed: it has run nothing"
qemu_kill

merlond_start --admission=open
must $? "merlond is up, admission is open"
merlond_kill
qemu_start late microvm
guest_up
check $? "open: not admitted in time, the VM boots"
merlond_start
must $? "merlond is back"
merlon status >$logs/status 2>&1
test $? -eq 3
check $? "open: merlon status exits 3"
has $logs/status 'admission-expired'
check $? "open: and says that a VM ran before it was admitted"
qemu_kill

kill $merlond_pid
wait $merlond_pid 2>/dev/null
rm /etc/merlon/merlond.json
merlond_start --admission=off
merlond_kill
qemu_start free microvm
guest_up
check $? "off: a VM boots with nobody there"
finish
