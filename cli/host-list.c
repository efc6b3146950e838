// SPDX-License-Identifier: GPL-2.0-or-later
/* The hosts of --host. */
#include "format.h"
#include "host-list.h"

#define EXPECTED "[USER@]HOST[:PORT] of A-Z a-z 0-9 . _ -"

static bool is_plain(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

/* A word that begins with '-' would be an option of ssh's. */
static const char *skip_word(const char *s)
{
	if (!is_plain(*s) || *s == '-')
		return NULL;
	while (is_plain(*s))
		s++;
	return s;
}

static bool is_host(const char *name)
{
	const char *s = skip_word(name);

	if (s && *s == '@')
		s = skip_word(s + 1);
	if (!s)
		return false;
	if (*s == ':') {
		size_t digits = strspn(s + 1, "0123456789");

		if (digits < 1 || digits > 5)
			return false;
		s += 1 + digits;
	}
	return !*s && s - name <= HOST_NAME_MAX_BYTES;
}

static enum merlon_exit refuse(const char *what, const char *name)
{
	fail("--host: %s, got '%s'", what, name);
	fail_hint("give hosts as ssh knows them, with commas: --host=node1,root@node2:2222");
	return MERLON_EXIT_USAGE;
}

enum merlon_exit host_list_parse(const char *text, struct host_list *ret)
{
	size_t commas = 0;

	for (const char *p = text; *p; p++)
		commas += *p == ',';
	if (commas >= HOSTS_MAX) {
		fail("--host: expected at most %d hosts, got %zu", HOSTS_MAX, commas + 1);
		fail_hint("call merlon for some of them at a time");
		return MERLON_EXIT_USAGE;
	}
	*ret = (struct host_list) {
		.names = calloc(commas + 1, sizeof(*ret->names)),
		.text = strdup(text),
	};
	if (!ret->names || !ret->text)
		return fail_memory();
	for (char *p = ret->text; p;) {
		char *name = strsep(&p, ",");

		if (!is_host(name))
			return refuse("expected " EXPECTED, name);
		for (size_t i = 0; i < ret->n; i++)
			if (streq(ret->names[i], name))
				return refuse("expected each host once", name);
		ret->names[ret->n++] = name;
	}
	return MERLON_EXIT_OK;
}

void host_list_done(struct host_list *list)
{
	free(list->names);
	free(list->text);
	*list = (struct host_list) {};
}
