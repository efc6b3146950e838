/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bits of a guest's registers in JSON: what a rule pins.  Pure, as rule.h. */
#ifndef MERLON_REGISTERS_H
#define MERLON_REGISTERS_H

#include <json-c/json.h>

#include "rule.h"
#include "schema.h"

/* The key of a rule that pins, and what "lass" needs beside it. */
#define REGISTERS_KEY		"pin"
#define REGISTERS_EFI_KEY	"efi-runtime"

/**
 * registers_check() - does an object mix a rule that pins with one of memory?
 * @p: the text
 * @path: where the rule stands in it
 * @o: the rule, unread
 *
 * Return: 0, also of a rule that pins nothing; -EINVAL for a key that says where or what
 * beside "pin"; -ENOMEM.
 */
int registers_check(struct schema_text *p, const char *path, struct json_object *o);

/**
 * registers_read() - what a rule pins
 * @p: the text
 * @path: where the rule stands in it
 * @o: the value of its "pin", an object
 * @ret: bits of each register, by &enum merlon_register
 *
 * Return: 0; -EINVAL for what is no object of lists of bits, each said once, or for none at
 * all; -ENOMEM.
 */
int registers_read(struct schema_text *p, const char *path, struct json_object *o,
		   uint64_t ret[static MERLON_REGISTER_MAX]);

/**
 * registers_check_efi() - is what is said of EFI's runtime services what the bits need?
 * @p: the text
 * @path: where the rule stands in it
 * @o: the rule
 * @bits: what it pins
 * @no_efi: it says that the guest does not call them
 *
 * Return: 0; -EINVAL for "lass" alone, or for no "lass"; -ENOMEM.
 */
int registers_check_efi(struct schema_text *p, const char *path, struct json_object *o,
			const uint64_t bits[static MERLON_REGISTER_MAX], bool no_efi);

/* Room for the words of all bits of a register. */
#define REGISTERS_WORDS_MAX	64

/* "smep smap", in @ret; bits without a word are left out. */
const char *registers_words(enum merlon_register reg, uint64_t bits,
			    char ret[static REGISTERS_WORDS_MAX]);

/* Adds bits to an object under a key as "pin" has them, unless there are none.  0 or -ENOMEM. */
int registers_to_json(struct json_object *o, const char *key,
		      const uint64_t bits[static MERLON_REGISTER_MAX]);

/* The same as members of the object itself. */
int registers_add_words(struct json_object *o, const uint64_t bits[static MERLON_REGISTER_MAX]);

#endif
