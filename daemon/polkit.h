/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to polkit: whether a connection to the bus may do something, for all
 * VMs or for one.  Nothing here waits for the answer.
 */
#ifndef MERLON_POLKIT_H
#define MERLON_POLKIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>

#include "identify.h"

/**
 * struct polkit_vm - what polkit's rules may know of a VM, as it was when asked
 * @id: given by KVM
 * @identity: claims of the VMM, escaped
 * @trusted: they count
 * @uid: effective uid of the VMM when it created the VM
 */
struct polkit_vm {
	uint64_t id;
	struct identity identity;
	bool trusted;
	uid_t uid;
};

/**
 * struct polkit_question - may this connection do that?
 * @action: of systemd/org.merlon1.policy
 * @subject: unique name of the connection
 * @vm: the VM it is about; NULL: no details
 * @interactive: somebody may be asked for a password
 * @number: of the question, used once in a connection of ours to the bus
 * @timeout: microseconds until there is an answer, if only that it took too long
 */
struct polkit_question {
	const char *action;
	const char *subject;
	const struct polkit_vm *vm;
	bool interactive;
	uint64_t number;
	uint64_t timeout;
};

enum polkit_answer {
	POLKIT_YES,
	POLKIT_NO,
	POLKIT_CHALLENGE,	/* not without a password */
	POLKIT_ABSENT,		/* there is no polkit on this bus */
	POLKIT_LATE,		/* no answer in time, or it died over the question */
	POLKIT_FAILED,		/* it could not say */
};

/**
 * polkit_ask() - asks
 * @bus: the bus
 * @question: need not outlive the call
 * @ret: to be unreferenced when the answer is no longer wanted
 * @answered: called once, with what polkit_read() reads
 * @userdata: for @answered
 *
 * Return: 0 or a negative errno.
 */
int polkit_ask(sd_bus *bus, const struct polkit_question *question, sd_bus_slot **ret,
	       sd_bus_message_handler_t answered, void *userdata);

/* The answer, for all that can come back. */
enum polkit_answer polkit_read(sd_bus_message *reply);

/* The answer to this question is no longer wanted: a dialog may go away. */
void polkit_cancel(sd_bus *bus, uint64_t number);

#endif
