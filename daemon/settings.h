/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /etc/merlon/merlond.json: merlond's own settings.
 */
#ifndef MERLON_SETTINGS_H
#define MERLON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/kvm_vmi.h>

/**
 * struct settings - what the file says, or the defaults
 * @trusted: uids, beside 0, whose VMMs' names and uuids are believed
 * @n_trusted: how many
 * @admission: what a new VM waits for
 * @admission_said: the file says so
 * @admission_ms: how long
 * @engine: what to ask for when a VM is first protected and nobody has chosen
 */
struct settings {
	uid_t *trusted;
	size_t n_trusted;
	enum kvm_vmi_admission admission;
	bool admission_said;
	uint32_t admission_ms;
	enum kvm_vmi_engine engine;
};

/**
 * settings_default() - as if there were no file; who cannot be looked up is not trusted
 * @ret: initialised by this call; on failure untouched
 *
 * Return: 0 or -ENOMEM.
 */
int settings_default(struct settings *ret);

/**
 * settings_load() - reads the file
 * @path: a regular file of root's that nobody else may write; may be absent
 * @ret: initialised by this call; on failure untouched
 * @reterr_message: set on failure, "FILE:LINE:COL: ..."; to be freed with free();
 *	NULL when memory ran out
 *
 * Return: 0, also without a file (the defaults: users libvirt-qemu and qemu are
 * trusted if there are such, admission is off, the engine auto); -EINVAL for contents that are
 * wrong, -EAGAIN where users cannot be looked up for now, -EPERM for a file that is not root's alone, another negative errno.
 */
int settings_load(const char *path, struct settings *ret, char **reterr_message);
void settings_done(struct settings *s);

bool settings_trusts(const struct settings *s, uid_t uid);

#endif
