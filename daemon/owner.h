/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which rule speaks when a guest touches a byte: read from the kernel's map, where all
 * rules are, orphans too.
 */
#ifndef MERLON_OWNER_H
#define MERLON_OWNER_H

#include <systemd/sd-bus.h>

#include "manager.h"
#include "vm.h"

/**
 * owner_describe() - the rules that claim a byte
 * @m: the manager, with a kernel
 * @vm: the VM
 * @address: "0x...", a guest physical address
 * @ret: JSON as of org.merlon1.xml, to be freed with free()
 * @reterr: set on failure
 *
 * Return: 0 or a negative errno with @reterr set (-ENOMEM may come without).
 */
int owner_describe(struct manager *m, struct vm *vm, const char *address, char **ret,
		   sd_bus_error *reterr);

#endif
