// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts of files that travel to merlond. */
#include "format.h"
#include "input.h"

static enum merlon_exit read_text(FILE *f, const char *label, char **ret)
{
	_cleanup_free_ char *text = malloc(MERLON_TEXT_MAX + 1);
	size_t n;

	if (!text)
		return fail_memory();
	n = fread(text, 1, MERLON_TEXT_MAX + 1, f);
	if (ferror(f)) {
		fail("cannot read %s: %s", label, strerror(errno));
		return MERLON_EXIT_FAILED;
	}
	if (n > MERLON_TEXT_MAX) {
		fail("%s: expected at most %u bytes, got more", label, MERLON_TEXT_MAX);
		fail_hint("split the rules over several files");
		return MERLON_EXIT_FAILED;
	}
	/* A string of D-Bus cannot carry it, and JSON does not allow it. */
	if (memchr(text, '\0', n)) {
		fail("%s: expected JSON, got a file with zero bytes in it", label);
		return MERLON_EXIT_USAGE;
	}
	text[n] = '\0';
	*ret = TAKE_PTR(text);
	return MERLON_EXIT_OK;
}

/* What input_keep() has read. */
static char *kept;

enum merlon_exit input_keep(void)
{
	return read_text(stdin, "-", &kept);
}

enum merlon_exit read_input(const char *name, char **ret)
{
	_cleanup_fclose_ FILE *f = NULL;

	if (streq(name, "-") && kept) {
		*ret = strdup(kept);
		return *ret ? MERLON_EXIT_OK : fail_memory();
	}
	if (streq(name, "-"))
		return read_text(stdin, name, ret);
	f = fopen(name, "re");
	if (!f) {
		fail("cannot open %s: %s", name, strerror(errno));
		fail_hint("name a file that exists and that you may read, or - for standard input");
		return MERLON_EXIT_FAILED;
	}
	return read_text(f, name, ret);
}
