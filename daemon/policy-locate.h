/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small scanner over JSON text: refuses what json-c lets through and finds the
 * place of a value, which json-c's objects do not know.  It makes no values.
 */
#ifndef MERLON_POLICY_LOCATE_H
#define MERLON_POLICY_LOCATE_H

#include <stdbool.h>
#include <stddef.h>

/* Members of one object: far above what the vocabulary has, and the duplicate
 * check is quadratic in it.
 */
#define POLICY_MAX_KEYS 64
#define POLICY_MAX_KEY 64	/* bytes of a key */

/**
 * policy_check() - is it strict JSON (RFC 8259, UTF-8), fit for policies?
 * @text: the text, not terminated
 * @len: bytes
 * @reterr_offset: where it goes wrong; set for -EINVAL only
 * @reterr_problem: "expected ..., got ..." in printable ASCII, to be freed with
 *	free(); set for -EINVAL only
 *
 * Refused beyond the RFC, for none of it has a use and each has hidden a trick:
 * a key twice in one object, a key with an escape in it, \u0000, lone
 * surrogates, nesting above JSON_DEPTH, objects and keys above the
 * limits here.
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int policy_check(const char *text, size_t len, size_t *reterr_offset, char **reterr_problem);

/**
 * policy_locate() - where a value stands
 * @text: text that policy_check() accepted
 * @len: bytes
 * @path: "" for the whole, "/rules/1/gpa" for a member of an element of a member;
 *	keys with '/' in them cannot be named so
 * @key: NULL, or a key of the object at @path, any bytes: the place of the key
 * @ret_end: one past the value's (or key's) last byte; may be NULL
 *
 * Return: the offset of its first byte; 0 if there is no such place, for errors
 * about what is missing belong to the whole.
 */
size_t policy_locate(const char *text, size_t len, const char *path, const char *key,
		     size_t *ret_end);

/**
 * policy_position() - an offset as an editor shows it
 * @text: any bytes
 * @offset: at most the length of @text
 * @ret_line: from 1
 * @ret_column: from 1, in characters; a tab is one
 */
void policy_position(const char *text, size_t offset, unsigned int *ret_line,
		     unsigned int *ret_column);

#endif
