/* SPDX-License-Identifier: GPL-2.0-or-later */
/* org.merlon1.Vm on the wire. */
#ifndef MERLON_VM_BUS_H
#define MERLON_VM_BUS_H

#include "manager.h"

/* Puts the VMs' objects on @m->bus; 0 or a negative errno. */
int vm_bus_publish(struct manager *m);

/**
 * vm_bus_append() - a VM's dictionary
 * @m: the manager, with a kernel
 * @reply: to append a{sv} to
 * @vm: the VM
 * @with_path: with its object's path
 *
 * Return: 0 or a negative errno.
 */
int vm_bus_append(struct manager *m, sd_bus_message *reply, struct vm *vm, bool with_path);

#endif
