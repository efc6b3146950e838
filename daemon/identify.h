/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who a VM is, as far as its process says: name, uuid, unit.  What comes out is
 * escaped; the bytes a stranger chose stay in identify.c.
 */
#ifndef MERLON_IDENTIFY_H
#define MERLON_IDENTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/names.h"

/**
 * struct identity - what a VMM claims to be
 * @name: escaped, "" where there is none or it is longer than MERLON_NAME_MAX
 * @uuid: in lower case, "" where there is none
 * @unit: systemd unit, escaped, "" where there is none
 */
struct identity {
	char name[4 * MERLON_NAME_MAX + 1];
	char uuid[37];
	char unit[256];
};

/**
 * identify_process() - reads what a VMM's process says of itself
 * @pid: its thread group in our pid namespace
 * @start_time: when it started, nanoseconds of CLOCK_BOOTTIME, by the kernel
 * @ret: untouched on failure
 *
 * The process is held by a pidfd and its start time compared before and after,
 * so that the answer is never of another process with the same pid.
 *
 * Return: 0; -ESRCH when that process is gone; another negative errno.
 */
int identify_process(uint32_t pid, uint64_t start_time, struct identity *ret);

/**
 * identify_cmdline() - name and uuid out of a command line
 * @cmdline: arguments, each ending in a zero byte
 * @len: bytes
 * @ret: @name and @uuid are set, "" where the command line says nothing
 *
 * Understands QEMU: -name web-1, -name guest=web-1,... with ",," for a comma, as
 * libvirt gives it; -uuid.  The last one counts, as in QEMU.
 */
void identify_cmdline(const char *cmdline, size_t len, struct identity *ret);

/**
 * identify_cgroup() - the unit in /proc/PID/cgroup
 * @text: its contents
 * @ret: @unit is set, "" where there is none
 *
 * The first .service or .scope of the path: what libvirt makes below it is its own.
 */
void identify_cgroup(const char *text, struct identity *ret);

#endif
