// SPDX-License-Identifier: GPL-2.0-or-later
/* Questions to polkit: org.freedesktop.PolicyKit1.Authority of its D-Bus interface. */
#include <inttypes.h>

#include "log.h"
#include "polkit.h"
#include "util/util.h"

#define POLKIT_NAME	"org.freedesktop.PolicyKit1"
#define POLKIT_PATH	"/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_IFACE	"org.freedesktop.PolicyKit1.Authority"

/* CheckAuthorizationFlags */
#define ALLOW_INTERACTION 1U

/* How polkit knows a question again when it is cancelled. */
static void write_cancellation(char *to, size_t size, uint64_t number)
{
	snprintf(to, size, "merlon-%" PRIu64, number);
}

static int append_vm(sd_bus_message *m, const struct polkit_vm *vm)
{
	char id[24], uid[16];

	snprintf(id, sizeof(id), "%" PRIu64, vm->id);
	snprintf(uid, sizeof(uid), "%u", vm->uid);
	return sd_bus_message_append(m, "a{ss}", 6,
				     "id", id,
				     "name", vm->identity.name,
				     "name-trusted", vm->trusted ? "true" : "false",
				     "uuid", vm->identity.uuid,
				     "uid", uid,
				     "unit", vm->identity.unit);
}

int polkit_ask(sd_bus *bus, const struct polkit_question *question, sd_bus_slot **ret,
	       sd_bus_message_handler_t answered, void *userdata)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	char cancellation[32];
	int r;

	write_cancellation(cancellation, sizeof(cancellation), question->number);
	r = sd_bus_message_new_method_call(bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_IFACE,
					   "CheckAuthorization");
	/* Not by pid, which may be another process's by the time that polkit looks. */
	if (r >= 0)
		r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s",
					  question->subject, question->action);
	if (r >= 0)
		r = question->vm ? append_vm(m, question->vm) :
				   sd_bus_message_append(m, "a{ss}", 0);
	if (r >= 0)
		r = sd_bus_message_append(m, "us", question->interactive ? ALLOW_INTERACTION : 0,
					  cancellation);
	if (r >= 0)
		r = sd_bus_call_async(bus, ret, m, answered, userdata, question->timeout);
	return r < 0 ? r : 0;
}

static enum polkit_answer read_error(const sd_bus_error *error)
{
	log_debug("polkit: %s", error->name);
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		return POLKIT_ABSENT;
	if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
	    sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT))
		return POLKIT_LATE;
	return POLKIT_FAILED;
}

enum polkit_answer polkit_read(sd_bus_message *reply)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	int authorized, challenge;

	if (error)
		return read_error(error);
	/* The details that follow are of how somebody authenticated. */
	if (!sd_bus_message_has_signature(reply, "(bba{ss})") ||
	    sd_bus_message_enter_container(reply, 'r', "bba{ss}") <= 0 ||
	    sd_bus_message_read(reply, "bb", &authorized, &challenge) <= 0)
		return POLKIT_FAILED;
	if (authorized)
		return POLKIT_YES;
	return challenge ? POLKIT_CHALLENGE : POLKIT_NO;
}

void polkit_cancel(sd_bus *bus, uint64_t number)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	char cancellation[32];
	int r;

	write_cancellation(cancellation, sizeof(cancellation), number);
	r = sd_bus_message_new_method_call(bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_IFACE,
					   "CancelCheckAuthorization");
	if (r >= 0)
		r = sd_bus_message_append(m, "s", cancellation);
	/* A polkit that is not there has nothing to cancel. */
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, 0);
	if (r >= 0)
		(void)sd_bus_send(bus, m, NULL);
}
