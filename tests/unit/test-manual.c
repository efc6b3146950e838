// SPDX-License-Identifier: GPL-2.0-or-later
/* docs/merlon.1 and docs/merlond.8 say what the tables of names.h say, in their words. */
#include "api/names.h"
#include "unit.h"

/* The page with "\-" as "-", "\(dq" as '"', fonts dropped and lines joined. */
static char *page;

static void read_page(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	size_t n = 0;
	int c;

	if (!f)
		fail_msg("%s: %s; tests run in the project's top folder", path, strerror(errno));
	free(page);
	page = malloc(1 << 20);
	while ((c = fgetc(f)) != EOF && n < (1 << 20) - 1) {
		if (c == '\\') {
			c = fgetc(f);
			if (c == 'f') {
				(void)fgetc(f);
				continue;
			}
			if (c == '(') {
				(void)fgetc(f);
				(void)fgetc(f);
				c = '"';
			}
		}
		page[n++] = (char)c;
	}
	page[n] = '\0';
}

/* ".B tag" and its text on the next line. */
static void assert_row(const char *tag, const char *text)
{
	_cleanup_free_ char *row = NULL;

	assert_true(asprintf(&row, ".B %s\n%s\n", tag, text) > 0);
	if (!strstr(page, row))
		fail_msg("the manual lacks: %s", row);
}

static void exit_codes(_unused_ void **state)
{
	read_page("docs/merlon.1");
#define X(name, value, meaning) assert_row(#value, meaning);
	MERLON_EXIT_CODES(X)
#undef X
}

static void events(_unused_ void **state)
{
	read_page("docs/merlon.1");
#define X(name, json, message_id, fields, meaning) assert_row(json, meaning);
	MERLON_EVENTS(X)
#undef X
#define F(member, json, type, meaning) assert_row(json, meaning);
	MERLON_EVENT_FIELDS_COMMON(F)
	MERLON_EVENT_FIELDS_VIOLATION(F)
#undef F
	/* The short ones stand in a sentence. */
#define F(member, json, type, meaning) \
	assert_non_null(strstr(page, json)); \
	assert_non_null(strstr(page, "(" meaning ")"));
	MERLON_EVENT_FIELDS_CREATED(F)
	MERLON_EVENT_FIELDS_RESET(F)
	MERLON_EVENT_FIELDS_ISOLATION(F)
	MERLON_EVENT_FIELDS_LOST(F)
#undef F
}

static void engines(_unused_ void **state)
{
	read_page("docs/merlon.1");
#define X(number, word) assert_non_null(strstr(page, ".TP\n.B " word "\n"));
	MERLON_ENGINES(X)
#undef X
	assert_non_null(strstr(page, MERLON_VM_ENGINE_WANTED));
	assert_non_null(strstr(page, MERLON_VM_ENGINE_SETTLED));
	assert_non_null(strstr(page, MERLON_VM_ENGINE_BYTES));
}

static void isolation(_unused_ void **state)
{
	read_page("docs/merlon.1");
#define X(number, word, unexpected) \
	assert_true(strstr(page, "\n.B " word "\n") || strstr(page, "\n.BR " word " ,\n"));
	MERLON_ISOLATION_REASONS(X)
#undef X
	assert_non_null(strstr(page, ".BR " MERLON_ISOLATION_ON " ,\n"));
	assert_non_null(strstr(page, ".B " MERLON_ISOLATION_OFF "\n"));
	assert_non_null(strstr(page, ".B " MERLON_ISOLATION_REFUSED "\n"));
	assert_non_null(strstr(page, ".B " MERLON_ISOLATION_ABSENT "\n"));
	assert_non_null(strstr(page, ".B " MERLON_KICK_NEVER "\n"));
	assert_non_null(strstr(page, ".BR " MERLON_KICK_ALWAYS " ,\n"));
}

static void registers(_unused_ void **state)
{
	_cleanup_free_ char *section = NULL;
	unsigned long long bit;
	const char *word;

	read_page("docs/merlon.1");
	/* What "pin" may have. */
	section = strdup(strstr(page, ".TP\n.B pin\n"));
	*strstr(section, ".TP\n.B efi-runtime") = '\0';
	for (int i = 0; i < MERLON_REGISTER_MAX; i++) {
		assert_non_null(strstr(section, merlon_register_name(i)));
		for (unsigned int j = 0; (word = merlon_pin_name(i, j, &bit)); j++)
			assert_non_null(strstr(section, word));
	}
}

static void errors_and_reasons(_unused_ void **state)
{
	read_page("docs/merlond.8");
#define X(name, dbus, exit, hint) assert_row(dbus, hint);
	MERLON_ERRORS(X)
#undef X
#define X(name, reason, message_id, hint) assert_row(reason, hint);
	MERLON_DEGRADED(X)
#undef X
}

static void places(_unused_ void **state)
{
	read_page("docs/merlond.8");
	assert_non_null(strstr(page, MERLON_BUS_NAME));
	assert_non_null(strstr(page, MERLON_RUNTIME_DIR "/" MERLON_STATE_FILE));
	assert_non_null(strstr(page, MERLON_BPFFS_DIR));
	assert_non_null(strstr(page, MERLON_ENV_BUS));
	assert_non_null(strstr(page, MERLON_POLICY_ETC));
	assert_non_null(strstr(page, MERLON_STATE_DIR "/last-good"));
	read_page("docs/merlon-policy.5");
	assert_non_null(strstr(page, MERLON_POLICY_ETC "/NAME.json"));
	assert_non_null(strstr(page, MERLON_POLICY_RUN "/NAME.json"));
	assert_non_null(strstr(page, MERLON_POLICY_LIB "/NAME.json"));
	assert_non_null(strstr(page, MERLON_STATE_DIR "/last-good"));
	read_page("docs/merlon.1");
	assert_non_null(strstr(page, MERLON_ENV_BUS));
	free(TAKE_PTR(page));
}

UNIT_MAIN(T(exit_codes), T(events), T(engines), T(isolation), T(registers),
	  T(errors_and_reasons), T(places))
