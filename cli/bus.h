/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * merlond as merlon sees it: connect, call, and turn errors into words, hints and
 * exit codes.  Functions that return an exit code have said why it is not OK.
 */
#ifndef MERLON_CLI_BUS_H
#define MERLON_CLI_BUS_H

#include <systemd/sd-bus.h>

#include "api/names.h"
#include "util/json.h"
#include "util/util.h"

#define _cleanup_bus_ _cleanup_(sd_bus_flush_close_unrefp)
#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)
#define _cleanup_error_ _cleanup_(sd_bus_error_free)

/* To --bus, to the system's, or to that of bus_use_host(). */
enum merlon_exit bus_connect(sd_bus **ret);

/* From now on bus_connect() goes by ssh to the system's bus of this host; borrowed. */
void bus_use_host(const char *host);

/* The host of bus_use_host(), NULL: this one. */
const char *bus_host(void);

/* Makes @error of what a call of sd-bus returned, named as D-Bus would; keeps one that is set. */
void bus_set_errno(sd_bus_error *error, int r);

/**
 * bus_call() - one call, waiting for its answer
 * @path: object
 * @interface: MERLON_IFACE_*
 * @method: member
 * @reterr: the error; or NULL, then it is reported as bus_report() does
 * @ret: the reply, untouched on failure
 * @types: of the arguments that follow, as in sd_bus_message_append()
 *
 * Return: MERLON_EXIT_OK or what the error means.
 */
enum merlon_exit bus_call(sd_bus *bus, const char *path, const char *interface,
			  const char *method, sd_bus_error *reterr, sd_bus_message **ret,
			  const char *types, ...);

/* bus_call() of a method that answers with one string of JSON; @ret is parsed. */
enum merlon_exit bus_call_json(sd_bus *bus, const char *path, const char *interface,
			       const char *method, struct json_object **ret,
			       const char *types, ...);

/* Is somebody there to be called?  Starts nobody. */
bool bus_has_merlond(sd_bus *bus);

/* Says what @error says and what to do next; its exit code. */
enum merlon_exit bus_report(const sd_bus_error *error);

/* The reply was not what the interface says: another version of merlond. */
enum merlon_exit bus_bad_reply(const char *method);

/**
 * bus_read_vm() - an a{sv} as a JSON object
 * @m: stands before the dictionary
 * @ret: members of types that JSON has; untouched on failure
 *
 * Return: 1, 0 at the end of an array, negative errno.
 */
int bus_read_vm(sd_bus_message *m, struct json_object **ret);

/**
 * bus_describe_vm() - the VM that the user means
 * @what: id, name or uuid, as typed
 * @ret: as DescribeVm() gives it
 */
enum merlon_exit bus_describe_vm(sd_bus *bus, const char *what, struct json_object **ret);

/* bus_connect() and bus_describe_vm(): what a verb about one VM begins with. */
enum merlon_exit bus_open_vm(const char *what, sd_bus **ret_bus, struct json_object **ret_vm);

/* All VMs, an array. */
enum merlon_exit bus_list_vms(sd_bus *bus, struct json_object **ret);

/* "web-1 (#17)", "#17" if it has no name; to be freed with free(), NULL: memory. */
char *vm_title(struct json_object *vm);

/* "/org/merlon1/vm/17", as above. */
char *vm_path(struct json_object *vm);

#endif
