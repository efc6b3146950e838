/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel does not keep: who VMs are, the names of rules and what was asked for, in
 * RUNTIME_DIR/state.json, good for one boot of the host.
 */
#ifndef MERLON_STATE_H
#define MERLON_STATE_H

#include "vm.h"

/**
 * state_load() - VMs and rules as they were last saved
 * @dir: the runtime directory
 * @ret: VMs with nothing but id, identity and rules; untouched on failure
 *
 * A file of another boot is of no use and ignored.  One that cannot be used is
 * renamed to state.json.bad.
 *
 * Return: 1 loaded, 0 nothing there, -EBADMSG set aside as damaged, another
 * negative errno.
 */
int state_load(const char *dir, struct vm_table *ret);

/**
 * state_save() - replaces the file, whole or not at all
 * @dir: the runtime directory
 * @t: VMs; orphans are not saved, for they have no names
 *
 * Return: 0 or a negative errno; then the old file is still there.
 */
int state_save(const char *dir, const struct vm_table *t);

#endif
