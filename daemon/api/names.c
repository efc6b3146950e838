// SPDX-License-Identifier: GPL-2.0-or-later
/* The tables of names.h as functions. */
#include <assert.h>
#include <linux/kvm_isolation.h>
#include <linux/kvm_vmi.h>

#include "api/names.h"
#include "util/util.h"

static const struct {
	const char *name;
	enum merlon_exit exit;
	const char *hint;
} errors[MERLON_E_MAX] = {
#define X(id, dbus, code, next) \
	[MERLON_E_##id] = { MERLON_ERROR_PREFIX dbus, MERLON_EXIT_##code, next },
	MERLON_ERRORS(X)
#undef X
};

static const struct {
	const char *name;
	const char *message_id;
} events[MERLON_EVENT_MAX] = {
#define X(id, json, msg, fields, meaning) [MERLON_EVENT_##id] = { json, msg },
	MERLON_EVENTS(X)
#undef X
};

static const struct {
	const char *name;
	const char *message_id;
	const char *hint;
} reasons[MERLON_DEGRADED_MAX] = {
#define X(id, reason, msg, next) [MERLON_DEGRADED_##id] = { reason, msg, next },
	MERLON_DEGRADED(X)
#undef X
};

/* What D-Bus itself says when merlond is not there, or not for us. */
#define ROOT "run merlon as root, or see AUTHORISATION in merlond(8) for how others are let"
#define AGENT "have an agent of polkit ask for the password (pkttyagent in a terminal), or run " \
	"merlon as root"
#define START "is merlond running? 'systemctl start merlond' starts it"
#define VERSIONS "merlon and merlond may be of different versions; see 'merlon --version'"

static const struct {
	const char *name;
	enum merlon_exit exit;
	const char *hint;
} bus_errors[] = {
	{ "AccessDenied", MERLON_EXIT_NOT_AUTHORISED, ROOT },
	{ "AuthFailed", MERLON_EXIT_NOT_AUTHORISED, ROOT },
	{ "InteractiveAuthorizationRequired", MERLON_EXIT_NOT_AUTHORISED, AGENT },
	{ "ServiceUnknown", MERLON_EXIT_UNREACHABLE, START },
	{ "NameHasNoOwner", MERLON_EXIT_UNREACHABLE, START },
	{ "NoReply", MERLON_EXIT_UNREACHABLE, START },
	{ "NoServer", MERLON_EXIT_UNREACHABLE, START },
	{ "Timeout", MERLON_EXIT_UNREACHABLE, START },
	{ "TimedOut", MERLON_EXIT_UNREACHABLE, START },
	{ "Disconnected", MERLON_EXIT_UNREACHABLE, START },
	{ "UnknownMethod", MERLON_EXIT_NOT_SUPPORTED, VERSIONS },
	{ "UnknownInterface", MERLON_EXIT_NOT_SUPPORTED, VERSIONS },
	{ "UnknownProperty", MERLON_EXIT_NOT_SUPPORTED, VERSIONS },
	{ "UnknownObject", MERLON_EXIT_NO_SUCH, "the VM ended meanwhile; see 'merlon list'" },
	{ "InvalidArgs", MERLON_EXIT_USAGE, NULL },
};

static const char *bus_error(const char *dbus_name)
{
	return startswith(dbus_name, "org.freedesktop.DBus.Error.");
}

const char *merlon_error_name(enum merlon_error error)
{
	return errors[error].name;
}

const char *merlon_error_hint(const char *dbus_name)
{
	const char *bus = bus_error(dbus_name);

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (streq(errors[i].name, dbus_name))
			return errors[i].hint;
	for (size_t i = 0; bus && i < ARRAY_SIZE(bus_errors); i++)
		if (streq(bus_errors[i].name, bus))
			return bus_errors[i].hint;
	return bus && startswith(bus, "Spawn.") ? START : NULL;
}

enum merlon_exit merlon_error_exit(const char *dbus_name)
{
	const char *bus = bus_error(dbus_name);

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++)
		if (streq(errors[i].name, dbus_name))
			return errors[i].exit;
	for (size_t i = 0; bus && i < ARRAY_SIZE(bus_errors); i++)
		if (streq(bus_errors[i].name, bus))
			return bus_errors[i].exit;
	/* Activation was tried, and merlond did not start. */
	return bus && startswith(bus, "Spawn.") ? MERLON_EXIT_UNREACHABLE : MERLON_EXIT_FAILED;
}

const char *merlon_event_name(enum merlon_event_kind kind)
{
	return events[kind].name;
}

int merlon_event_from_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		if (streq(events[i].name, name))
			return (int)i;
	return -1;
}

const char *merlon_event_message_id(enum merlon_event_kind kind)
{
	return events[kind].message_id;
}

const char *merlon_degraded_name(enum merlon_degraded reason)
{
	return reasons[reason].name;
}

const char *merlon_degraded_message_id(enum merlon_degraded reason)
{
	return reasons[reason].message_id;
}

int merlon_degraded_from_value(const char *value)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		const char *rest = startswith(value, reasons[i].name);

		if (rest && (*rest == '\0' || *rest == ':'))
			return (int)i;
	}
	return -1;
}

const char *merlon_degraded_hint(const char *value)
{
	int reason = merlon_degraded_from_value(value);

	return reason < 0 ? NULL : reasons[reason].hint;
}

#define X(number, word) [number] = word,
static const char *const verdicts[] = { MERLON_VERDICTS(X) };
static const char *const accesses[] = { MERLON_ACCESSES(X) };
/* By the two bits of who may. */
static const char *const executes[] = { "none", "kernel", "user", "both" };

static_assert(KVM_VMI_RIGHT_EXEC_KERNEL == 1U << 1 && KVM_VMI_RIGHT_EXEC_USER == 1U << 2,
	      "the words of executes[]");

static const char *const on_resets[] = { MERLON_ON_RESETS(X) };
static const char *const admissions[] = { MERLON_ADMISSIONS(X) };
static const char *const engines[] = { MERLON_ENGINES(X) };
static const char *const isolation_exits[] = { MERLON_ISOLATION_EXITS(X) };
#undef X

#define X(number, word, unexpected) [number] = word,
static const char *const isolation_reasons[] = { MERLON_ISOLATION_REASONS(X) };
#undef X

#define X(number, word, unexpected) | (unexpected ? 1U << (number) : 0)
static const unsigned int isolation_unexpected = 0 MERLON_ISOLATION_REASONS(X);
#undef X

static const struct {
	const char *word;
	unsigned int number;
} registers[MERLON_REGISTER_MAX] = {
#define X(name, word, number) [MERLON_REGISTER_##name] = { word, number },
	MERLON_REGISTERS(X)
#undef X
};

/* By register; the last of each has no word. */
static const struct {
	const char *word;
	unsigned int bit;
} register_pins[MERLON_REGISTER_MAX][8] = {
#define X(reg, word, bit) { word, bit },
	[MERLON_REGISTER_CR0] = { MERLON_PINS_CR0(X) { NULL, 0 } },
	[MERLON_REGISTER_CR4] = { MERLON_PINS_CR4(X) { NULL, 0 } },
	[MERLON_REGISTER_EFER] = { MERLON_PINS_EFER(X) { NULL, 0 } },
#undef X
};

#define X(reg, word, bit) | 1ULL << (bit)
static_assert((0 MERLON_PINS_CR0(X)) == KVM_VMI_PIN_CR0 &&
	      (0 MERLON_PINS_CR4(X)) == KVM_VMI_PIN_CR4 &&
	      (0 MERLON_PINS_EFER(X)) == KVM_VMI_PIN_EFER,
	      "a word for each bit that may be pinned");
#undef X

static const char *word_of(const char *const *words, size_t n, unsigned int number)
{
	return number < n && words[number] ? words[number] : "?";
}

static int number_of(const char *const *words, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (words[i] && streq(words[i], word))
			return (int)i;
	return -1;
}

const char *merlon_verdict_name(unsigned int verdict)
{
	return word_of(verdicts, ARRAY_SIZE(verdicts), verdict);
}

const char *merlon_access_name(unsigned int kind)
{
	return word_of(accesses, ARRAY_SIZE(accesses), kind);
}

const char *merlon_on_reset_name(unsigned int on_reset)
{
	return word_of(on_resets, ARRAY_SIZE(on_resets), on_reset);
}

const char *merlon_execute_name(unsigned int rights)
{
	return word_of(executes, ARRAY_SIZE(executes), rights >> 1);
}

const char *merlon_admission_name(unsigned int admission)
{
	return word_of(admissions, ARRAY_SIZE(admissions), admission);
}

const char *merlon_engine_name(unsigned int engine)
{
	return word_of(engines, ARRAY_SIZE(engines), engine);
}

const char *merlon_isolation_reason_name(unsigned int reason)
{
	return word_of(isolation_reasons, ARRAY_SIZE(isolation_reasons), reason);
}

const char *merlon_isolation_exit_name(unsigned int exit)
{
	return word_of(isolation_exits, ARRAY_SIZE(isolation_exits), exit);
}

bool merlon_isolation_is_unexpected(unsigned int reason)
{
	return reason < KVM_ISOLATION_NR_REASONS && isolation_unexpected & 1U << reason;
}

const char *merlon_register_name(enum merlon_register reg)
{
	return registers[reg].word;
}

int merlon_register_from_number(unsigned int number)
{
	for (int i = 0; i < MERLON_REGISTER_MAX; i++)
		if (registers[i].number == number)
			return i;
	return -1;
}

const char *merlon_pin_name(enum merlon_register reg, unsigned int index,
			    unsigned long long *ret_bit)
{
	const char *word = index < ARRAY_SIZE(register_pins[reg]) ?
				   register_pins[reg][index].word : NULL;

	if (word)
		*ret_bit = 1ULL << register_pins[reg][index].bit;
	return word;
}

int merlon_verdict_from_name(const char *word)
{
	return number_of(verdicts, ARRAY_SIZE(verdicts), word);
}

int merlon_on_reset_from_name(const char *word)
{
	return number_of(on_resets, ARRAY_SIZE(on_resets), word);
}

int merlon_admission_from_name(const char *word)
{
	return number_of(admissions, ARRAY_SIZE(admissions), word);
}

int merlon_engine_from_name(const char *word)
{
	return number_of(engines, ARRAY_SIZE(engines), word);
}
