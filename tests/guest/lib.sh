# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
# What the tests with real guests share: a system bus, merlond, QEMU, bounded
# waiting, TAP. Sourced on the lab's host, under busybox.

logs=/tmp/logs
mkdir -p $logs
point=0
failed=0

# check STATUS DESCRIPTION
check()
{
	point=$((point + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $point - $2"
	else
		echo "not ok $point - $2"
		failed=$((failed + 1))
	fi
}

# must STATUS DESCRIPTION: without this there is no going on
must()
{
	check "$1" "$2"
	[ "$1" -eq 0 ] || finish
}

# finish: the plan, what is left running ended, after a failure the last lines of all logs
finish()
{
	trap - EXIT
	if [ $failed -ne 0 ]; then
		for log in $logs/*; do
			[ -s "$log" ] || continue
			echo "# last lines of ${log##*/}:"
			tail -n 25 "$log" | tr -d '\r' | sed 's/^/#   /'
		done
	fi
	for pid in $background; do
		kill -CONT "$pid" 2>/dev/null
		kill -9 "$pid" 2>/dev/null
	done
	# The next test shares the host
	merlond --clear >/dev/null 2>&1
	rm -rf $logs /run/dbus /run/merlon
	echo "1..$point"
	exit $((failed > 0))
}
trap finish EXIT
background=
cmdline=
cpu=host
image=/lab/guest

# until_true SECONDS COMMAND...: whether it came true in time. Each try costs; where a
# line of a file tells, use await.
until_true()
{
	tries=$(($1 * 5))
	shift
	while ! "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		usleep 200000
	done
}

# has FILE PATTERN
has() { grep -qsE -- "$2" "$1"; }

# show COMMAND...: as one would type it, and what it prints, which is also in $out
show()
{
	echo "  \$ $*"
	out=$("$@" 2>&1)
	status=$?
	[ -z "$out" ] || echo "$out" | sed 's/^/    /'
	return $status
}

# told PATTERN: the last output that was shown
told() { echo "$out" | grep -qE -- "$1"; }

# chapter TITLE: of a story
chapter()
{
	step=$((step + 1))
	# An empty line, but one that the report keeps
	echo " "
	echo "$step. $*"
}
step=0

bus_start()
{
	mkdir -p /run/dbus /etc/merlon
	dbus-daemon --system --nofork --nopidfile --print-address >$logs/bus 2>&1 &
	background="$background $!"
	await 10 1 '^unix:' $logs/bus
}

# merlond_start [OPTION...]: and wait until it has its name on the bus
merlond_start()
{
	merlond "$@" >>$logs/merlond 2>&1 &
	merlond_pid=$!
	background="$background $merlond_pid"
	merlond_starts=$((merlond_starts + 1))
	await 10 $merlond_starts ' is ready' $logs/merlond
}
merlond_starts=0

merlond_kill()
{
	kill -9 $merlond_pid
	wait $merlond_pid 2>/dev/null
}

# qemu_start NAME MACHINE [OPTION...]: with its console in $logs/NAME, and $cmdline more for Linux;
# $cpu is the model, $image the folder of its kernel and its initramfs
qemu_start()
{
	guest=$1
	machine=$2
	shift 2
	rm -f "/tmp/$guest.in"
	mkfifo "/tmp/$guest.in"
	: >"$logs/$guest"
	# Both ends, or QEMU would wait for a writer
	exec 3<>"/tmp/$guest.in"
	qemu-system-x86_64 -name "$guest" -M "$machine" -accel kvm -cpu "$cpu" -m 128 \
		-nodefaults -no-user-config -display none -serial stdio "$@" \
		-kernel $image/bzImage -initrd $image/initramfs.cpio \
		-append "console=ttyS0 loglevel=4 $cmdline" \
		<&3 >>"$logs/$guest" 2>"$logs/$guest.qemu" &
	qemu_pid=$!
	background="$background $qemu_pid"
}

qemu_kill()
{
	kill -9 $qemu_pid
	wait $qemu_pid 2>/dev/null
}

# guest_up [N]: it has booted, for the Nth time
guest_up() { await 60 "${1:-1}" '^guest: ready' "$logs/$guest"; }

# tell WORD: let the guest do it; its answer is in $out
tell()
{
	# The last line that each word is answered with
	case $1 in
	attack | heal | look) last='^guest: /proc' ;;
	*) last="^guest: $1" ;;
	esac
	answers=$(grep -cE "$last" "$logs/$guest")
	lines=$(wc -l <"$logs/$guest")
	echo "$1" >&3
	await 20 $((answers + 1)) "$last" "$logs/$guest"
	out=$(tail -n "+$((lines + 1))" "$logs/$guest" | tr -d '\r')
}

# has_bit REGISTER BITS: of what the guest has just answered to "registers"
has_bit()
{
	value=$(echo "$out" | sed -n "s/^guest: registers .*$1 \(0x[0-9a-f]*\).*/\1/p")
	[ -n "$value" ] && [ $((value & 0x$2)) -ne 0 ]
}

# target_gpa: of the pointer that the guest's attacker aims at
target_gpa() { sed -n 's/^guest: target .* gpa \(0x[0-9a-f]*\).*/\1/p' "$logs/$guest" | tail -n 1; }

# subpage GPA: the 128 bytes that it is in
subpage() { printf '0x%x' $(($1 & ~127)); }
