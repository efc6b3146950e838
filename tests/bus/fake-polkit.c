// SPDX-License-Identifier: GPL-2.0-or-later
/* See fake-polkit.h. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "fake-polkit.h"
#include "harness.h"

#define NAME	"org.freedesktop.PolicyKit1"
#define PATH	"/org/freedesktop/PolicyKit1/Authority"
#define IFACE	"org.freedesktop.PolicyKit1.Authority"
#define CONTROL	"org.merlon1.TestPolkit"	/* how the test talks to it */

#define HELD_MAX 256

static pid_t pid;
static sd_bus *control;

/* The rest is the process's own. */
static char answer[32] = "no";
static char told[65536];
static sd_bus_message *held[HELD_MAX];
static bool held_may[HELD_MAX];
static unsigned int n_held;

_printf_(1, 2) static void remember(const char *format, ...)
{
	size_t n = strlen(told);
	va_list ap;

	va_start(ap, format);
	vsnprintf(told + n, sizeof(told) - n, format, ap);
	va_end(ap);
}

static int reply_to(sd_bus_message *m, bool is_web_1)
{
	bool yes = streq(answer, "yes") || (streq(answer, "web-1") && is_web_1);

	if (streq(answer, "error"))
		return sd_bus_reply_method_errorf(m, NAME ".Error.Failed", "as told");
	if (streq(answer, "nonsense"))
		return sd_bus_reply_method_return(m, "s", "yes");
	return sd_bus_reply_method_return(m, "(bba{ss})", yes, streq(answer, "challenge"), 1,
					  "polkit.x", "y");
}

static int on_check(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
	const char *kind, *key, *name, *action, *cancellation, *value;
	bool web_1 = false, trusted = false;
	char details[1024] = "";
	uint32_t flags;
	size_t n = 0;

	(void)userdata;
	(void)reterr;
	if (sd_bus_message_read(m, "(sa{sv})s", &kind, 1, &key, "s", &name, &action) < 0 ||
	    sd_bus_message_enter_container(m, 'a', "{ss}") < 0)
		return -EINVAL;
	while (sd_bus_message_read(m, "{ss}", &key, &value) > 0) {
		n += (size_t)snprintf(details + n, sizeof(details) - n, " %s=%s", key, value);
		web_1 |= streq(key, "name") && streq(value, "web-1");
		trusted |= streq(key, "name-trusted") && streq(value, "true");
	}
	sd_bus_message_exit_container(m);
	if (sd_bus_message_read(m, "us", &flags, &cancellation) < 0)
		return -EINVAL;
	remember("check %s %s %s %u %s%s\n", kind, name, action, flags, cancellation, details);
	if (!streq(answer, "never"))
		return reply_to(m, web_1 && trusted);
	if (n_held == HELD_MAX)
		return -ENOBUFS;
	held_may[n_held] = web_1 && trusted;
	held[n_held++] = sd_bus_message_ref(m);
	return 1;
}

static int on_cancel(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
	const char *cancellation;

	(void)userdata;
	(void)reterr;
	if (sd_bus_message_read(m, "s", &cancellation) < 0)
		return -EINVAL;
	remember("cancel %s\n", cancellation);
	return sd_bus_reply_method_return(m, NULL);
}

static int on_say(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
	const char *s;

	(void)userdata;
	(void)reterr;
	if (sd_bus_message_read(m, "s", &s) < 0)
		return -EINVAL;
	snprintf(answer, sizeof(answer), "%s", s);
	if (!streq(answer, "never")) {
		for (unsigned int i = 0; i < n_held; i++) {
			reply_to(held[i], held_may[i]);
			sd_bus_message_unref(held[i]);
		}
		n_held = 0;
	}
	return sd_bus_reply_method_return(m, NULL);
}

static int on_told(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
	int r = sd_bus_reply_method_return(m, "s", told);

	(void)userdata;
	(void)reterr;
	told[0] = '\0';
	return r;
}

static int on_held(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
	(void)userdata;
	(void)reterr;
	return sd_bus_reply_method_return(m, "u", n_held);
}

static const sd_bus_vtable authority[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})", on_check,
		      SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("CancelCheckAuthorization", "s", "", on_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END
};

static const sd_bus_vtable controls[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Say", "s", "", on_say, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Told", "", "s", on_told, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Held", "", "u", on_held, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END
};

static void be_polkit(void)
{
	sd_bus *bus;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The test's connections: they are to be closed when the test closes them. */
	closefrom(3);
	bus = connect_bus();
	if (sd_bus_add_object_vtable(bus, NULL, PATH, IFACE, authority, NULL) < 0 ||
	    sd_bus_add_object_vtable(bus, NULL, PATH, CONTROL, controls, NULL) < 0 ||
	    sd_bus_request_name(bus, NAME, 0) < 0)
		_exit(1);
	for (;;) {
		int r = sd_bus_process(bus, NULL);

		if (r < 0 || (r == 0 && sd_bus_wait(bus, UINT64_MAX) < 0))
			_exit(1);
	}
}

static bool has_name(void *userdata)
{
	return (sd_bus_get_name_creds(control, NAME, 0, NULL) >= 0) == *(bool *)userdata;
}

void polkit_start(void)
{
	bool there = true;

	if (!control)
		control = connect_bus();
	pid = fork();
	if (pid == 0)
		be_polkit();
	if (!eventually(has_name, &there))
		ok(false, "the test's polkit comes up");
}

void polkit_stop(void)
{
	bool there = false;

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (!eventually(has_name, &there))
		ok(false, "the test's polkit goes away");
}

void polkit_say(const char *what)
{
	sd_bus_call_method(control, NAME, PATH, CONTROL, "Say", NULL, NULL, "s", what);
}

const char *polkit_told(void)
{
	static char text[65536];
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *s = "";

	if (sd_bus_call_method(control, NAME, PATH, CONTROL, "Told", NULL, &reply, "") >= 0)
		sd_bus_message_read(reply, "s", &s);
	snprintf(text, sizeof(text), "%s", s);
	return text;
}

unsigned int polkit_held(void)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	uint32_t n = 0;

	if (sd_bus_call_method(control, NAME, PATH, CONTROL, "Held", NULL, &reply, "") >= 0)
		sd_bus_message_read(reply, "u", &n);
	return n;
}
