// SPDX-License-Identifier: GPL-2.0-or-later
/* merlond as merlon sees it. */
#include <inttypes.h>
#include <stdarg.h>

#include "bus.h"
#include "format.h"
#include "util/escape.h"
#include "verb.h"

/*
 * Longer than merlond waits for polkit while somebody types a password; it says
 * itself when that was too long.
 */
#define INTERACTIVE_USEC 150000000ULL

/* Of bus_use_host(). */
static const char *remote;

void bus_use_host(const char *host)
{
	remote = host;
}

const char *bus_host(void)
{
	return remote;
}

/* May merlond have polkit ask for a password?  Not where nobody would see it. */
static bool is_interactive(void)
{
	return !arg_no_ask_password && !remote && geteuid() != 0 && isatty(STDIN_FILENO);
}

static int open_address(const char *address, sd_bus **ret)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	int r;

	r = sd_bus_new(&bus);
	if (r < 0)
		return r;
	r = sd_bus_set_address(bus, address);
	if (r < 0)
		return r;
	r = sd_bus_set_bus_client(bus, true);
	if (r < 0)
		return r;
	r = sd_bus_start(bus);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(bus);
	return 0;
}

enum merlon_exit bus_connect(sd_bus **ret)
{
	const char *address = arg_bus ?: getenv(MERLON_ENV_BUS);
	bool is_system = !address || !*address || streq(address, "system");
	int r;

	if (remote)
		r = sd_bus_open_system_remote(ret, remote);
	else if (is_system)
		r = sd_bus_open_system(ret);
	else if (streq(address, "session"))
		r = sd_bus_open_user(ret);
	else
		r = open_address(address, ret);
	if (r >= 0) {
		(void)sd_bus_set_allow_interactive_authorization(*ret, is_interactive());
		return MERLON_EXIT_OK;
	}
	if (r == -ENOMEM)
		return fail_memory();
	if (r == -EINVAL && !is_system) {
		fail("not the address of a D-Bus: %s", address);
		fail_hint("an address looks like unix:path=/run/dbus/system_bus_socket");
		return MERLON_EXIT_USAGE;
	}
	if (remote) {
		fail("cannot start ssh: %s", strerror(-r));
		return MERLON_EXIT_UNREACHABLE;
	}
	fail("cannot connect to D-Bus%s%s: %s", is_system ? "" : " at ", is_system ? "" : address,
	     strerror(-r));
	fail_hint("is D-Bus running? merlond is reached through it");
	return MERLON_EXIT_UNREACHABLE;
}

bool bus_has_merlond(sd_bus *bus)
{
	return sd_bus_get_name_creds(bus, MERLON_BUS_NAME, 0, NULL) != -ENXIO;
}

enum merlon_exit bus_report(const sd_bus_error *error)
{
	enum merlon_exit e = merlon_error_exit(error->name);
	const char *hint = merlon_error_hint(error->name);

	if (e == MERLON_EXIT_UNREACHABLE)
		fail("cannot reach merlond: %s", error->message ?: error->name);
	else
		fail("%s", error->message && *error->message ? error->message : error->name);
	if (remote && sd_bus_error_has_name(error, "org.freedesktop.DBus.Error.Disconnected"))
		fail_hint("does 'ssh %s systemctl is-active merlond' say active?", remote);
	else if (hint)
		fail_hint("%s", hint);
	return e;
}

enum merlon_exit bus_bad_reply(const char *method)
{
	fail("merlond's answer to %s is not understood", method);
	fail_hint("merlon and merlond may be of different versions; see 'merlon --version'");
	return MERLON_EXIT_FAILED;
}

/*
 * sd-bus makes up errors of its own for a connection that broke, named after
 * errno; give them the name that D-Bus has for it.
 */
void bus_set_errno(sd_bus_error *error, int r)
{
	switch (-r) {
	case ECONNRESET:
	case ENOTCONN:
	case EPIPE:
	case ECONNREFUSED:
		sd_bus_error_free(error);
		sd_bus_error_set_const(error, "org.freedesktop.DBus.Error.Disconnected",
				       "the connection to D-Bus broke");
		return;
	case ETIMEDOUT:
		sd_bus_error_free(error);
		sd_bus_error_set_const(error, "org.freedesktop.DBus.Error.NoReply",
				       "no answer in time");
		return;
	}
	if (!sd_bus_error_is_set(error))
		sd_bus_error_set_errno(error, r);
}

static enum merlon_exit callv(sd_bus *bus, const char *path, const char *interface,
			      const char *method, sd_bus_error *reterr, sd_bus_message **ret,
			      const char *types, va_list ap)
{
	_cleanup_message_ sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(bus, &m, MERLON_BUS_NAME, path, interface, method);
	if (r >= 0 && *types)
		r = sd_bus_message_appendv(m, types, ap);
	if (r >= 0)
		r = sd_bus_call(bus, m, is_interactive() ? INTERACTIVE_USEC : 0, reterr, ret);
	if (r < 0) {
		bus_set_errno(reterr, r);
		return merlon_error_exit(reterr->name);
	}
	return MERLON_EXIT_OK;
}

enum merlon_exit bus_call(sd_bus *bus, const char *path, const char *interface,
			  const char *method, sd_bus_error *reterr, sd_bus_message **ret,
			  const char *types, ...)
{
	_cleanup_error_ sd_bus_error own = SD_BUS_ERROR_NULL;
	enum merlon_exit e;
	va_list ap;

	va_start(ap, types);
	e = callv(bus, path, interface, method, reterr ?: &own, ret, types, ap);
	va_end(ap);
	if (e != MERLON_EXIT_OK && !reterr)
		return bus_report(&own);
	return e;
}

enum merlon_exit bus_call_json(sd_bus *bus, const char *path, const char *interface,
			       const char *method, struct json_object **ret,
			       const char *types, ...)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	enum merlon_exit e;
	const char *text;
	va_list ap;
	int r;

	va_start(ap, types);
	e = callv(bus, path, interface, method, &error, &reply, types, ap);
	va_end(ap);
	if (e != MERLON_EXIT_OK)
		return bus_report(&error);
	r = sd_bus_message_read(reply, "s", &text);
	if (r >= 0)
		r = json_parse(text, strlen(text), ret);
	if (r == -ENOMEM)
		return fail_memory();
	return r < 0 ? bus_bad_reply(method) : MERLON_EXIT_OK;
}

/* One basic value of a variant; what JSON has no word for is left out. */
static int read_value(sd_bus_message *m, struct json_object *o, const char *key, char type)
{
	union {
		const char *s;
		uint64_t t;
		uint32_t u;
		int b;
	} v;
	int r;

	switch (type) {
	case 's':
	case 'o':
		r = sd_bus_message_read_basic(m, type, &v.s);
		return r < 0 ? r : json_add_string(o, key, v.s);
	case 't':
		r = sd_bus_message_read_basic(m, type, &v.t);
		return r < 0 ? r : json_add_u64(o, key, v.t);
	case 'u':
		r = sd_bus_message_read_basic(m, type, &v.u);
		return r < 0 ? r : json_add_u64(o, key, v.u);
	case 'b':
		r = sd_bus_message_read_basic(m, type, &v.b);
		return r < 0 ? r : json_add_bool(o, key, v.b);
	default:
		return sd_bus_message_skip(m, NULL);
	}
}

int bus_read_vm(sd_bus_message *m, struct json_object **ret)
{
	_cleanup_json_ struct json_object *o = NULL;
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	if (r <= 0)
		return r;
	o = json_object_new_object();
	if (!o)
		return -ENOMEM;
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const char *key, *contents;

		r = sd_bus_message_read_basic(m, 's', &key);
		if (r < 0)
			return r;
		r = sd_bus_message_peek_type(m, NULL, &contents);
		if (r < 0)
			return r;
		r = sd_bus_message_enter_container(m, 'v', contents);
		if (r < 0)
			return r;
		r = read_value(m, o, key, contents[1] ? '\0' : contents[0]);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	r = sd_bus_message_exit_container(m);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(o);
	return 1;
}

enum merlon_exit bus_describe_vm(sd_bus *bus, const char *what, struct json_object **ret)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_free_ char *escaped = NULL;
	enum merlon_exit e;
	int r;

	/* The shell hands over raw bytes; merlond knows names in their escaped form. */
	escaped = escape_terminal(what);
	if (!escaped)
		return fail_memory();
	e = bus_call(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "DescribeVm", NULL, &reply, "s",
		     escaped);
	if (e != MERLON_EXIT_OK)
		return e;
	r = bus_read_vm(reply, ret);
	if (r == -ENOMEM)
		return fail_memory();
	return r <= 0 ? bus_bad_reply("DescribeVm") : MERLON_EXIT_OK;
}

enum merlon_exit bus_list_vms(sd_bus *bus, struct json_object **ret)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_json_ struct json_object *vms = NULL;
	struct json_object *vm;
	enum merlon_exit e;
	int r;

	e = bus_call(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "ListVms", NULL, &reply, "");
	if (e != MERLON_EXIT_OK)
		return e;
	vms = json_object_new_array();
	if (!vms)
		return fail_memory();
	r = sd_bus_message_enter_container(reply, 'a', "a{sv}");
	while (r >= 0 && (r = bus_read_vm(reply, &vm)) > 0)
		r = json_append(vms, vm);
	if (r == -ENOMEM)
		return fail_memory();
	if (r < 0)
		return bus_bad_reply("ListVms");
	*ret = TAKE_PTR(vms);
	return MERLON_EXIT_OK;
}

enum merlon_exit bus_open_vm(const char *what, sd_bus **ret_bus, struct json_object **ret_vm)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	enum merlon_exit e;

	e = bus_connect(&bus);
	if (e == MERLON_EXIT_OK)
		e = bus_describe_vm(bus, what, ret_vm);
	if (e == MERLON_EXIT_OK)
		*ret_bus = TAKE_PTR(bus);
	return e;
}

char *vm_title(struct json_object *vm)
{
	const char *name = json_get_string(vm, "name", "");
	uint64_t id = json_get_u64(vm, "id", 0);
	char *title;
	int r;

	r = *name ? asprintf(&title, "%s (#%" PRIu64 ")", name, id) :
		    asprintf(&title, "#%" PRIu64, id);
	return r < 0 ? NULL : title;
}

char *vm_path(struct json_object *vm)
{
	char *path;

	return asprintf(&path, "%s/%" PRIu64, MERLON_PATH_VM, json_get_u64(vm, "id", 0)) < 0 ?
		       NULL : path;
}
