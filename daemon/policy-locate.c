// SPDX-License-Identifier: GPL-2.0-or-later
/* A recursive descent over JSON text; see policy-locate.h. */
#include <stdarg.h>
#include <stdint.h>

#include "policy-locate.h"
#include "util/json.h"

/*
 * Where the walk is in the path that is looked for: what is left of it, NULL off
 * the path.  "" means: this value.
 */
struct scan {
	const char *text;
	size_t len;
	size_t pos;
	unsigned int depth;

	const char *find_key;		/* of the object at the end of the path */
	bool found;
	size_t found_start, found_end;

	char *problem;
};

static int scan_value(struct scan *s, const char *path);

_printf_(2, 3) static int fail(struct scan *s, const char *format, ...)
{
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&s->problem, format, ap);
	va_end(ap);
	if (r < 0) {
		s->problem = NULL;
		return -ENOMEM;
	}
	return -EINVAL;
}

/* "expected X, got Y", Y being what stands at the position. */
static int expected(struct scan *s, const char *what)
{
	unsigned char c;

	if (s->pos >= s->len)
		return fail(s, "expected %s, got the end of the text", what);
	c = (unsigned char)s->text[s->pos];
	if (c > 0x20 && c < 0x7f)
		return fail(s, "expected %s, got '%c'", what, c);
	return fail(s, "expected %s, got byte 0x%02x", what, c);
}

static int peek(const struct scan *s)
{
	return s->pos < s->len ? (unsigned char)s->text[s->pos] : -1;
}

static void skip_blanks(struct scan *s)
{
	int c;

	while ((c = peek(s)) == ' ' || c == '\t' || c == '\n' || c == '\r')
		s->pos++;
}

/* Bytes of the UTF-8 character at the position, 0 if it is none. */
static size_t utf8_length(const struct scan *s)
{
	const unsigned char *b = (const unsigned char *)s->text + s->pos;
	size_t left = s->len - s->pos, n;
	uint32_t c;

	if (b[0] < 0x80)
		return 1;
	if (b[0] >= 0xc2 && b[0] <= 0xdf)
		n = 2;
	else if ((b[0] & 0xf0) == 0xe0)
		n = 3;
	else if (b[0] >= 0xf0 && b[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > left)
		return 0;
	c = b[0] & (0xffU >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) ||
	    (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

static int scan_hex4(struct scan *s, unsigned int *ret)
{
	unsigned int v = 0;

	for (int i = 0; i < 4; i++) {
		int c = peek(s);

		if (c >= '0' && c <= '9')
			v = v << 4 | (unsigned int)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (unsigned int)((c | 0x20) - 'a' + 10);
		else
			return expected(s, "four hexadecimal digits after \\u");
		s->pos++;
	}
	*ret = v;
	return 0;
}

/* At the 'u' of an escape. */
static int scan_unicode(struct scan *s)
{
	size_t start = s->pos - 1;
	unsigned int high, low;
	int r;

	s->pos++;
	r = scan_hex4(s, &high);
	if (r < 0)
		return r;
	if (high == 0) {
		s->pos = start;
		return fail(s, "expected a character, got \\u0000");
	}
	if (high < 0xd800 || high > 0xdfff)
		return 0;
	if (high <= 0xdbff && s->len - s->pos >= 2 && s->text[s->pos] == '\\' &&
	    s->text[s->pos + 1] == 'u') {
		s->pos += 2;
		r = scan_hex4(s, &low);
		if (r < 0)
			return r;
		if (low >= 0xdc00 && low <= 0xdfff)
			return 0;
	}
	s->pos = start;
	return fail(s, "expected a character, got half of a surrogate pair");
}

static int scan_string(struct scan *s, bool is_key)
{
	s->pos++;
	for (;;) {
		int c = peek(s);
		size_t n;
		int r;

		if (c < 0)
			return expected(s, "'\"' at the end of a string");
		if (c == '"') {
			s->pos++;
			return 0;
		}
		if (c < 0x20)
			return expected(s, "a printable character in a string");
		if (c == '\\') {
			if (is_key)
				return fail(s, "expected a key without escapes, got '\\'");
			s->pos++;
			c = peek(s);
			if (c == 'u') {
				r = scan_unicode(s);
				if (r < 0)
					return r;
			} else if (c > 0 && strchr("\"\\/bfnrt", c)) {
				s->pos++;
			} else {
				return expected(s, "an escape of JSON after '\\'");
			}
			continue;
		}
		n = utf8_length(s);
		if (!n)
			return expected(s, "UTF-8");
		s->pos += n;
	}
}

static bool scan_digits(struct scan *s)
{
	size_t start = s->pos;

	while (peek(s) >= '0' && peek(s) <= '9')
		s->pos++;
	return s->pos > start;
}

static int scan_number(struct scan *s)
{
	if (peek(s) == '-')
		s->pos++;
	if (peek(s) == '0')
		s->pos++;
	else if (!scan_digits(s))
		return expected(s, "a digit");
	if (peek(s) >= '0' && peek(s) <= '9')
		return fail(s, "expected a number without leading zeros");
	if (peek(s) == '.') {
		s->pos++;
		if (!scan_digits(s))
			return expected(s, "a digit");
	}
	if (peek(s) == 'e' || peek(s) == 'E') {
		s->pos++;
		if (peek(s) == '+' || peek(s) == '-')
			s->pos++;
		if (!scan_digits(s))
			return expected(s, "a digit");
	}
	return 0;
}

static int scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if (s->len - s->pos < n || memcmp(s->text + s->pos, word, n) != 0)
		return expected(s, "a value");
	s->pos += n;
	return 0;
}

/* What is left of @path behind its first segment, if that is @name. */
static const char *path_enter(const char *path, const char *name, size_t len)
{
	if (!path || path[0] != '/' || strncmp(path + 1, name, len) != 0 ||
	    (path[1 + len] != '/' && path[1 + len] != '\0'))
		return NULL;
	return path + 1 + len;
}

struct key {
	size_t start;
	size_t len;
};

/* A key and its colon; fills in @keys[@n]. */
static int scan_key(struct scan *s, const char *path, struct key *keys, size_t n)
{
	struct key *key = &keys[n];
	size_t start = s->pos;
	int r;

	if (peek(s) != '"')
		return expected(s, "'\"' and a key");
	r = scan_string(s, true);
	if (r < 0)
		return r;
	key->start = start + 1;
	key->len = s->pos - start - 2;
	if (key->len > POLICY_MAX_KEY) {
		s->pos = start;
		return fail(s, "expected a key of at most %d bytes, got %zu", POLICY_MAX_KEY,
			    key->len);
	}

	for (size_t i = 0; i < n; i++)
		if (keys[i].len == key->len &&
		    memcmp(s->text + keys[i].start, s->text + key->start, key->len) == 0) {
			s->pos = start;
			return fail(s, "expected each key once, got one twice in one object");
		}

	if (path && *path == '\0' && s->find_key && strlen(s->find_key) == key->len &&
	    memcmp(s->find_key, s->text + key->start, key->len) == 0) {
		s->found = true;
		s->found_start = start;
		s->found_end = s->pos;
	}

	skip_blanks(s);
	if (peek(s) != ':')
		return expected(s, "':' after a key");
	s->pos++;
	return 0;
}

static int scan_object(struct scan *s, const char *path)
{
	struct key keys[POLICY_MAX_KEYS];
	size_t n = 0;
	int r;

	s->pos++;
	skip_blanks(s);
	if (peek(s) == '}') {
		s->pos++;
		return 0;
	}
	for (;;) {
		if (n == POLICY_MAX_KEYS)
			return fail(s, "expected at most %d keys in one object, got more",
				    POLICY_MAX_KEYS);
		r = scan_key(s, path, keys, n);
		if (r < 0)
			return r;
		r = scan_value(s, path_enter(path, s->text + keys[n].start, keys[n].len));
		if (r < 0)
			return r;
		n++;

		if (peek(s) == '}') {
			s->pos++;
			return 0;
		}
		if (peek(s) != ',')
			return expected(s, "',' or '}'");
		s->pos++;
		skip_blanks(s);
	}
}

static int scan_array(struct scan *s, const char *path)
{
	int r;

	s->pos++;
	skip_blanks(s);
	if (peek(s) == ']') {
		s->pos++;
		return 0;
	}
	for (size_t n = 0;; n++) {
		char index[24];
		int len = snprintf(index, sizeof(index), "%zu", n);

		r = scan_value(s, path_enter(path, index, (size_t)len));
		if (r < 0)
			return r;
		if (peek(s) == ']') {
			s->pos++;
			return 0;
		}
		if (peek(s) != ',')
			return expected(s, "',' or ']'");
		s->pos++;
	}
}

/* A value and the blanks around it. */
static int scan_value(struct scan *s, const char *path)
{
	size_t start;
	int c, r;

	skip_blanks(s);
	start = s->pos;
	c = peek(s);
	if (c == '{' || c == '[') {
		if (++s->depth > JSON_DEPTH)
			return fail(s, "expected nesting of at most %d, got more",
				    JSON_DEPTH);
		r = c == '{' ? scan_object(s, path) : scan_array(s, path);
		s->depth--;
	} else if (c == '"') {
		r = scan_string(s, false);
	} else if (c == '-' || (c >= '0' && c <= '9')) {
		r = scan_number(s);
	} else if (c == 't') {
		r = scan_word(s, "true");
	} else if (c == 'f') {
		r = scan_word(s, "false");
	} else if (c == 'n') {
		r = scan_word(s, "null");
	} else {
		r = expected(s, "a value");
	}
	if (r < 0)
		return r;

	if (path && *path == '\0' && !s->find_key) {
		s->found = true;
		s->found_start = start;
		s->found_end = s->pos;
	}
	skip_blanks(s);
	return 0;
}

int policy_check(const char *text, size_t len, size_t *reterr_offset, char **reterr_problem)
{
	struct scan s = { .text = text, .len = len };
	int r;

	r = scan_value(&s, NULL);
	if (r == 0 && s.pos < s.len)
		r = expected(&s, "the end of the text");
	if (r == -EINVAL) {
		*reterr_offset = s.pos;
		*reterr_problem = s.problem;
	}
	return r;
}

size_t policy_locate(const char *text, size_t len, const char *path, const char *key,
		     size_t *ret_end)
{
	struct scan s = { .text = text, .len = len, .find_key = key };

	(void)scan_value(&s, path);
	free(s.problem);
	if (ret_end)
		*ret_end = s.found_end;
	return s.found_start;
}

void policy_position(const char *text, size_t offset, unsigned int *ret_line,
		     unsigned int *ret_column)
{
	unsigned int line = 1, column = 1;

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			line++;
			column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			column++;
		}
	}
	*ret_line = line;
	*ret_column = column;
}
