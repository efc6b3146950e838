/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who checks writes to parts of a page, KVM or the CPU: what this host has, what a
 * VM uses, and the choice, which is open until the VM is first protected.  The
 * kernel keeps it; what is allowed and denied is the same with each.
 */
#ifndef MERLON_ENGINE_H
#define MERLON_ENGINE_H

#include <stdbool.h>

#include <systemd/sd-bus.h>

#include "manager.h"
#include "vm.h"

/* Does the host have this engine (not auto), and is it to be used? */
bool engine_available(const struct kvm_vmi_caps *caps, enum kvm_vmi_engine engine);

/* What auto takes on this host. */
enum kvm_vmi_engine engine_auto(const struct kvm_vmi_caps *caps);

/* Has the VM been protected, or is there nothing to choose from?  As vm->info has it. */
bool engine_settled(const struct manager *m, const struct vm *vm);

/*
 * What was asked for, or will be when merlond first protects the VM: the settings
 * count where nobody has chosen, but for hardware that is not there.
 */
enum kvm_vmi_engine engine_wanted(const struct manager *m, const struct vm *vm);

/* The engine in use, or the one that would be if the VM were protected now; not auto. */
enum kvm_vmi_engine engine_of(const struct manager *m, const struct vm *vm);

/**
 * engine_choose() - chooses the engine of a VM that was never protected
 * @m: the manager, with a kernel
 * @vm: the VM
 * @word: as in MERLON_ENGINES
 * @dry_run: check everything, change nothing
 * @ret_report: JSON as of org.merlon1.xml, to be freed with free()
 * @reterr: set on failure
 *
 * That somebody has chosen is on disk before the kernel has the choice.
 *
 * Return: 0 or a negative errno with @reterr set (-ENOMEM may come without).
 */
int engine_choose(struct manager *m, struct vm *vm, const char *word, bool dry_run,
		  char **ret_report, sd_bus_error *reterr);

/**
 * engine_begin() - the VM is about to be protected: asks for what the settings say
 * @m: the manager, with a kernel
 * @vm: the VM, with fresh info
 *
 * A kernel that does not comply is no reason to leave the VM unprotected.  Logs.
 *
 * Return: true if the kernel was asked; then engine_undo() if it comes to nothing.
 */
bool engine_begin(struct manager *m, struct vm *vm);

/* As if engine_begin() had not been, unless the VM has been protected meanwhile. */
void engine_undo(struct manager *m, struct vm *vm);

/* After the settings or the kernel changed: warns of a default that is not to be had. */
void engine_check_default(const struct manager *m);

#endif
