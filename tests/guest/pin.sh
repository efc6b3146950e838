#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Root in a Linux guest switches off what protects its kernel: WP, SMEP, SMAP, NX, and LASS
# where there is one. Pinned, they stay, also over a reboot that is none the worse for it.
# Runs on the lab's host.
. /lab/guest/lib.sh

# Bits of CR0, CR4 and EFER, as the attackers' module takes them
WP=10000
SMEP=100000
SMAP=200000
LASS=8000000
NX=800
TSD=4 # nobody pins it

# all_set: what Linux has set by itself
all_set()
{
	tell registers
	has_bit cr0 $WP && has_bit cr4 $SMEP && has_bit cr4 $SMAP && has_bit efer $NX
}

# denied REGISTER BITS WORD: it is, and there is an event that says so
denied()
{
	seen=$(grep -cE "\"register\":\"$1\",\"cleared\":\[\"$3\"\].*\"verdict\":\"deny\"" $logs/watch)
	tell "clear $1 $2"
	# Linux survives what WRMSR does without an oops
	told 'the kernel killed it|nothing has changed'
	check $? "$3: clearing it is denied"
	await 20 $((seen + 1)) "\"register\":\"$1\",\"cleared\":\[\"$3\"\].*\"verdict\":\"deny\"" $logs/watch
	check $? "$3: and there is an event that names it"
}

# left_clear: the guest runs, and there is the event of SMEP
left_clear()
{
	tell registers
	has $logs/watch '"kind":"unpinned".*"cr4":\["smep"\],"rules":\["late"\]'
}

bus_start && merlond_start
must $? "the bus and merlond are up"
merlon watch --json >$logs/watch 2>&1 &
background="$background $!"
cpu=host,migratable=off
qemu_start web-1 pc
guest_up
must $? "a guest boots"
all_set
must $? "Linux has set WP, SMEP, SMAP and NX"
lass=no
! told 'lass yes' || lass=yes

tell "clear cr4 $SMEP"
told 'done'
check $? "before, an attacker clears CR4.SMEP"
merlon pin web-1 --name=late --cr4=smep >$logs/late 2>&1
check $? "it is pinned too late"
until_true 30 left_clear
check $? "which an event says"
merlon status web-1 >$logs/status 2>&1
has $logs/status 'left clear on cpu 0: cr4 smep'
check $? "and status"
tell "set cr4 $SMEP"
merlon status web-1 >$logs/status 2>&1
has $logs/status 'late .*smep' && ! has $logs/status 'left clear'
check $? "until the bit is set"
merlon unprotect web-1 late >>$logs/late 2>&1
merlon pin web-1 --cr0=wp --cr4=smep,smap --efer=nx --on-reset=keep >$logs/pin 2>&1
must $? "they are pinned"
merlon status web-1 >$logs/status 2>&1
has $logs/status 'cpu-protections .*wp.*smep.*smap.*nx'
check $? "and status says so"
denied cr0 $WP wp
denied cr4 $SMEP smep
denied cr4 $SMAP smap
denied efer $NX nx
tell user
told 'user: the kernel killed it'
check $? "jumping to a user's page fails where it would switch SMEP off"
tell "set cr4 $TSD" && tell "clear cr4 $TSD"
told 'done'
check $? "a bit that is not pinned comes and goes"
all_set
check $? "all of them are as they were"
tell work
told 'work: 24 of 24 done'
check $? "programs run"

merlon pin web-1 --name=lass --cr4=lass >$logs/refused 2>&1
test $? -ne 0 && has $logs/refused 'efi-runtime'
check $? "lass alone is refused, for EFI's sake"
if [ $lass = yes ]; then
	merlon pin web-1 --name=lass --cr4=lass --efi-runtime=no >>$logs/pin 2>&1
	check $? "for a guest that does without, it is pinned"
	denied cr4 $LASS lass
fi

tell reboot
guest_up 2
must $? "the guest reboots under these rules"
all_set
check $? "Linux has set the bits again"
denied cr4 $SMEP smep
! has $logs/watch 'vm-killed'
check $? "nobody has killed it"

merlon unprotect web-1 --all >>$logs/pin 2>&1
check $? "the rules are dropped"
tell "clear cr4 $SMEP"
told 'done'
check $? "after which the bit is the guest's again"
finish
