// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may call what: root everything, others what polkit says. */
#include "auth.h"
#include "bus-fault.h"
#include "polkit.h"
#include "util/util.h"

#define DRIVER_NAME	"org.freedesktop.DBus"
#define DRIVER_PATH	"/org/freedesktop/DBus"
#define DRIVER_IFACE	"org.freedesktop.DBus"

static const struct {
	const char *id;
	const char *what;
} actions[] = {
	[AUTH_LIST] = { "org.merlon1.list", "learn of VMs and their protection" },
	[AUTH_MANAGE] = { "org.merlon1.manage", "change the protection of VMs" },
};

enum step {
	WAITS,		/* for the uid */
	ASKED,		/* polkit */
	MAY,		/* its method is about to run again */
};

/**
 * struct auth_question - to polkit; it counts until it is answered, or time is up
 * @call: what it is about; NULL: that is not there any more, and polkit was told to stop
 * @uid: of the caller
 * @number: by which it is cancelled
 */
struct auth_question {
	struct auth *auth;
	struct auth_question *next;
	struct auth_call *call;
	uid_t uid;
	uint64_t number;
	sd_bus_slot *slot;
};

/**
 * struct auth_call - a call that waits
 * @vm: what it is about, NULL: no VM
 * @question: to polkit, NULL if it is not asked
 */
struct auth_call {
	struct auth_caller *caller;
	struct auth_call *next;
	sd_bus_message *message;
	enum auth_action action;
	enum step step;
	struct polkit_vm *vm;
	struct auth_question *question;
};

/**
 * struct auth_caller - a connection that has calls here
 * @calls: in the order in which they came; @n: how many
 * @uid: valid if @known
 * @question: to the bus, for the uid
 * @leaving: tells that it leaves the bus; while polkit is asked
 */
struct auth_caller {
	struct auth *auth;
	sd_bus *bus;
	struct auth_call *calls;
	struct auth_call **tail;
	size_t n;
	uid_t uid;
	bool known;
	sd_bus_slot *question;
	sd_bus_slot *leaving;
	char name[];
};

static void question_free(struct auth_question *q)
{
	struct auth_question **at = &q->auth->questions;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	sd_bus_slot_unref(q->slot);
	free(q);
}

/* Nobody waits for it any more; polkit may, for somebody who types a password. */
static void question_leave(sd_bus *bus, struct auth_question *q)
{
	polkit_cancel(bus, q->number);
	q->call->question = NULL;
	q->call = NULL;
}

static void call_free(struct auth_call *call)
{
	sd_bus_message_unref(call->message);
	free(call->vm);
	free(call);
}

/* Its caller is to be settled afterwards. */
static void call_drop(struct auth_call *call)
{
	struct auth_caller *caller = call->caller;
	struct auth_call **at = &caller->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	if (!*at)
		caller->tail = at;
	caller->n--;
	if (call->question)
		question_leave(caller->bus, call->question);
	call_free(call);
}

static void caller_free(struct auth_caller *caller)
{
	while (caller->calls)
		call_drop(caller->calls);
	sd_bus_slot_unref(caller->question);
	sd_bus_slot_unref(caller->leaving);
	sd_bus_unref(caller->bus);
	free(caller);
}

static void caller_drop(struct auth_caller *caller)
{
	struct auth *a = caller->auth;

	for (size_t i = 0; i < a->n; i++)
		if (a->callers[i] == caller) {
			a->callers[i] = a->callers[--a->n];
			break;
		}
	caller_free(caller);
}

/* A connection without calls here is none of ours. */
static void caller_settle(struct auth_caller *caller)
{
	if (!caller->n)
		caller_drop(caller);
}

static struct auth_caller *find_caller(const struct auth *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (streq(a->callers[i]->name, name))
			return a->callers[i];
	return NULL;
}

static struct auth_call *find_call(const struct auth_caller *caller, const sd_bus_message *message)
{
	for (struct auth_call *call = caller->calls; call; call = call->next)
		if (call->message == message)
			return call;
	return NULL;
}

static size_t count_calls(const struct auth *a, uid_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		if (a->callers[i]->known && a->callers[i]->uid == uid)
			n += a->callers[i]->n;
	return n;
}

/* Questions to polkit, also of callers that have left. */
static size_t count_checks(const struct auth *a, uid_t uid, size_t *ret_all)
{
	size_t n = 0, all = 0;

	for (const struct auth_question *q = a->questions; q; q = q->next) {
		all++;
		n += q->uid == uid;
	}
	*ret_all = all;
	return n;
}

/* Calls of callers whose uid the bus has not said yet. */
static size_t count_unknown(const struct auth *a)
{
	size_t n = 0;

	for (size_t i = 0; i < a->n; i++)
		if (!a->callers[i]->known)
			n += a->callers[i]->n;
	return n;
}

static int too_many_calls(sd_bus_error *reterr)
{
	return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
			 "This user has %u calls under way already", AUTH_MAX_CALLS);
}

static int fault_uid(sd_bus_error *reterr)
{
	return sd_bus_error_set(reterr, SD_BUS_ERROR_ACCESS_DENIED,
				"The caller's uid cannot be told");
}

/* Answers it with an error, and forgets it. */
static void call_refuse(struct auth_call *call, int r, const sd_bus_error *error)
{
	if (sd_bus_error_is_set(error))
		(void)sd_bus_reply_method_error(call->message, error);
	else
		(void)sd_bus_reply_method_errno(call->message, r, NULL);
	call_drop(call);
}

/* Its method runs again, after what came before it. */
static int call_let_in(struct auth_call *call)
{
	int r;

	call->step = MAY;
	r = sd_bus_message_rewind(call->message, true);
	if (r >= 0)
		r = sd_bus_enqueue_for_read(call->caller->bus, call->message);
	return r < 0 ? r : 0;
}

static int fault_answer(enum polkit_answer answer, enum auth_action action, sd_bus_error *reterr)
{
	const char *what = actions[action].what, *id = actions[action].id;

	switch (answer) {
	case POLKIT_ABSENT:
		return sd_bus_error_setf(reterr, SD_BUS_ERROR_ACCESS_DENIED,
					 "Only root may %s: polkit, which could let others, is not "
					 "there", what);
	case POLKIT_CHALLENGE:
		return sd_bus_error_setf(reterr, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
					 "To %s you have to authenticate (polkit's action %s)",
					 what, id);
	case POLKIT_LATE:
		return bus_fault(reterr, MERLON_E_TIMEOUT,
				 "Polkit did not answer whether you may %s (its action %s)", what,
				 id);
	case POLKIT_FAILED:
		return sd_bus_error_setf(reterr, SD_BUS_ERROR_ACCESS_DENIED,
					 "Polkit could not tell whether you may %s (its action %s)",
					 what, id);
	case POLKIT_YES:
	case POLKIT_NO:
	default:
		return sd_bus_error_setf(reterr, SD_BUS_ERROR_ACCESS_DENIED,
					 "Polkit does not let you %s (its action %s)", what, id);
	}
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
	_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
	struct auth_question *q = userdata;
	enum polkit_answer answer = polkit_read(reply);
	struct auth_call *call = q->call;
	struct auth_caller *caller;
	int r;

	(void)reterr;
	if (call) {
		/* One that may still be asking somebody is told to stop. */
		if (answer == POLKIT_LATE)
			question_leave(call->caller->bus, q);
		call->question = NULL;
	}
	question_free(q);
	if (!call)
		return 0;
	caller = call->caller;
	call->step = WAITS;
	r = answer == POLKIT_YES ? call_let_in(call) : fault_answer(answer, call->action, &error);
	if (r < 0)
		call_refuse(call, r, &error);
	caller_settle(caller);
	return 0;
}

static int on_left(sd_bus_message *signal, void *userdata, sd_bus_error *reterr)
{
	const char *name, *old, *new;

	(void)reterr;
	/* Anybody may send us a signal of this name, and a match cannot tell. */
	if (streq(sd_bus_message_get_sender(signal) ?: "", DRIVER_NAME) &&
	    sd_bus_message_read(signal, "sss", &name, &old, &new) >= 0 && !*new)
		caller_drop(userdata);
	return 0;
}

/* Without it a caller that leaves is noticed by polkit, or when time is up. */
static int on_matched(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
	(void)reply;
	(void)userdata;
	(void)reterr;
	return 0;
}

static int caller_follow(struct auth_caller *caller)
{
	_cleanup_free_ char *match = NULL;

	if (caller->leaving)
		return 0;
	if (asprintf(&match, "type='signal',sender='" DRIVER_NAME "',path='" DRIVER_PATH "',"
		     "interface='" DRIVER_IFACE "',member='NameOwnerChanged',arg0='%s'",
		     caller->name) < 0) {
		match = NULL;
		return -ENOMEM;
	}
	return sd_bus_add_match_async(caller->bus, &caller->leaving, match, on_left, on_matched,
				      caller);
}

static int call_ask(struct auth_call *call, sd_bus_error *reterr)
{
	struct auth_caller *caller = call->caller;
	struct auth *a = caller->auth;
	bool interactive = sd_bus_message_get_allow_interactive_authorization(call->message) > 0;
	struct polkit_question question = {
		.action = actions[call->action].id,
		.subject = caller->name,
		.vm = call->vm,
		.interactive = interactive,
		.timeout = interactive ? AUTH_INTERACTIVE_USEC : AUTH_CHECK_USEC,
	};
	struct auth_question *q;
	size_t all;
	int r;

	if (count_checks(a, caller->uid, &all) >= AUTH_MAX_CHECKS_UID)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "This user has %u polkit checks under way already",
				 AUTH_MAX_CHECKS_UID);
	if (all >= AUTH_MAX_CHECKS)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "There are %u polkit checks under way already", AUTH_MAX_CHECKS);
	/* First: if it has left by now, polkit finds nobody. */
	r = caller_follow(caller);
	if (r < 0)
		return r;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->auth = a;
	q->call = call;
	q->uid = caller->uid;
	q->number = question.number = ++a->asked;
	q->next = a->questions;
	a->questions = q;
	r = polkit_ask(caller->bus, &question, &q->slot, on_answer, q);
	if (r < 0) {
		question_free(q);
		return r;
	}
	call->question = q;
	call->step = ASKED;
	return 0;
}

/* When the uid is known. */
static int call_proceed(struct auth_call *call, sd_bus_error *reterr)
{
	return call->caller->uid == 0 ? call_let_in(call) : call_ask(call, reterr);
}

static int read_uid(sd_bus_message *reply, uid_t *ret)
{
	const char *sender = sd_bus_message_get_sender(reply);
	uint32_t uid;
	int r;

	if (sd_bus_message_is_method_error(reply, NULL))
		return -sd_bus_message_get_errno(reply);
	/* Nobody but the bus itself says whose a connection is. */
	if (!sender || !streq(sender, DRIVER_NAME))
		return -EPERM;
	r = sd_bus_message_read(reply, "u", &uid);
	if (r < 0)
		return r;
	*ret = uid;
	return 0;
}

static int on_uid(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
	struct auth_caller *caller = userdata;
	size_t room = SIZE_MAX, i = 0, others;
	struct auth_call *next;
	int known;

	(void)reterr;
	caller->question = sd_bus_slot_unref(caller->question);
	if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
		caller_drop(caller);
		return 0;
	}
	known = read_uid(reply, &caller->uid);
	if (known >= 0) {
		caller->known = true;
		others = count_calls(caller->auth, caller->uid) - caller->n;
		if (caller->uid != 0)
			room = others < AUTH_MAX_CALLS ? AUTH_MAX_CALLS - others : 0;
	}
	for (struct auth_call *call = caller->calls; call; call = next, i++) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		int r;

		next = call->next;
		if (known < 0)
			r = fault_uid(&error);
		else if (i >= room)
			r = too_many_calls(&error);
		else
			r = call_proceed(call, &error);
		if (r < 0)
			call_refuse(call, r, &error);
	}
	caller_settle(caller);
	return 0;
}

static int caller_new(struct auth *a, sd_bus *bus, const char *name, struct auth_caller **ret)
{
	struct auth_caller **callers = reallocarray(a->callers, a->n + 1, sizeof(*callers));
	struct auth_caller *caller;
	int r;

	if (!callers)
		return -ENOMEM;
	a->callers = callers;
	caller = calloc(1, sizeof(*caller) + strlen(name) + 1);
	if (!caller)
		return -ENOMEM;
	caller->auth = a;
	caller->bus = sd_bus_ref(bus);
	caller->tail = &caller->calls;
	strcpy(caller->name, name);
	r = sd_bus_call_method_async(bus, &caller->question, DRIVER_NAME, DRIVER_PATH,
				     DRIVER_IFACE, "GetConnectionUnixUser", on_uid, caller, "s",
				     name);
	if (r < 0) {
		caller_free(caller);
		return r;
	}
	a->callers[a->n++] = caller;
	*ret = caller;
	return 0;
}

static int call_new(struct auth_caller *caller, sd_bus_message *message, enum auth_action action,
		    const struct vm *vm, struct auth_call **ret)
{
	struct auth_call *call = calloc(1, sizeof(*call));

	if (!call)
		return -ENOMEM;
	if (vm && !vm->gone) {
		call->vm = calloc(1, sizeof(*call->vm));
		if (!call->vm) {
			free(call);
			return -ENOMEM;
		}
		call->vm->id = vm->info.id;
		call->vm->identity = vm->identity;
		call->vm->trusted = vm->trusted;
		call->vm->uid = vm->info.uid;
	}
	call->caller = caller;
	call->message = sd_bus_message_ref(message);
	call->action = action;
	*caller->tail = call;
	caller->tail = &call->next;
	caller->n++;
	*ret = call;
	return 0;
}

static int begin(struct auth *a, sd_bus_message *message, enum auth_action action,
		 const struct vm *vm, sd_bus_error *reterr)
{
	const char *sender = sd_bus_message_get_sender(message);
	struct auth_caller *caller = find_caller(a, sender);
	struct auth_call *call;
	int r;

	if (caller && caller->known && caller->uid != 0 &&
	    count_calls(a, caller->uid) >= AUTH_MAX_CALLS)
		return too_many_calls(reterr);
	/*
	 * Who has none waiting may have one, whatever others have: the bus bounds how many
	 * connections there are.
	 */
	if (caller && !caller->known &&
	    (caller->n >= AUTH_MAX_UNKNOWN || count_unknown(a) >= AUTH_MAX_UNKNOWN_ALL))
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "There are too many calls of connections whose user the bus has "
				 "not told yet");
	if (!caller) {
		r = caller_new(a, sd_bus_message_get_bus(message), sender, &caller);
		if (r < 0)
			return r;
	}
	r = call_new(caller, message, action, vm, &call);
	/* Root's, too, for it must not overtake those before it. */
	if (r >= 0 && caller->known) {
		r = call_proceed(call, reterr);
		if (r < 0)
			call_drop(call);
	}
	caller_settle(caller);
	return r < 0 ? r : 0;
}

/* The second run of its method. */
static int finish(struct auth_call *call, const struct vm *vm, uid_t *ret_uid,
		  sd_bus_error *reterr)
{
	struct auth_caller *caller = call->caller;
	bool other = vm && (!call->vm || call->vm->id != vm->info.id || vm->gone);
	uid_t uid = caller->uid;

	call_drop(call);
	caller_settle(caller);
	if (other)
		return bus_fault(reterr, MERLON_E_NO_SUCH_VM,
				 "The VM that was meant when this was asked is not there any more");
	if (ret_uid)
		*ret_uid = uid;
	return 1;
}

int auth_check(struct auth *a, sd_bus_message *message, enum auth_action action,
	       const struct vm *vm, uid_t *ret_uid, sd_bus_error *reterr)
{
	const char *sender = sd_bus_message_get_sender(message);
	struct auth_caller *caller;
	struct auth_call *call;

	if (!sender)
		return fault_uid(reterr);
	caller = find_caller(a, sender);
	call = caller ? find_call(caller, message) : NULL;
	if (!call)
		return begin(a, message, action, vm, reterr);
	if (call->step != MAY || call->action != action)
		return fault_uid(reterr);
	return finish(call, vm, ret_uid, reterr);
}

bool auth_has(const struct auth *a, sd_bus_message *message)
{
	const char *sender = sd_bus_message_get_sender(message);
	const struct auth_caller *caller = sender ? find_caller(a, sender) : NULL;

	return caller && find_call(caller, message);
}

void auth_done(struct auth *a)
{
	for (size_t i = 0; i < a->n; i++)
		caller_free(a->callers[i]);
	free(a->callers);
	while (a->questions)
		question_free(a->questions);
	*a = (struct auth) { 0 };
}
