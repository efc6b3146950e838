/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule as the daemon holds it, and the one way from JSON text to rules.
 * Pure: no kernel, no bus, no files.  Names of VMs, rule ids and ranges of
 * frames are not its business.
 */
#ifndef MERLON_RULE_H
#define MERLON_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm_vmi.h>

#include "api/names.h"
#include "match.h"

#define RULE_EXECUTE_BOTH	(KVM_VMI_RIGHT_EXEC_KERNEL | KVM_VMI_RIGHT_EXEC_USER)

/* The length of a rule that reaches as far as the guest's physical addresses do. */
#define RULE_LENGTH_ALL 0

/*
 * Exceptions of one rule: as many as a kernel learns, and as fit into a text of
 * MERLON_TEXT_MAX however it is laid out.
 */
#define RULE_MAX_EXCEPT 8192

/* A run of bytes of a guest. */
struct rule_span {
	uint64_t gpa;
	uint64_t length;
};

/**
 * struct rule - what one rule asks for, every default filled in
 * @name: 1 to MERLON_NAME_MAX characters of [A-Za-z0-9_.:-], never "" and never
 *	starting with '-' or '.'; unique within one text
 * @gpa: first byte, an L1 guest physical address, a multiple of 128
 * @length: bytes, at least 128, a multiple of 128; @gpa + @length <= 1 << 52
 *	(whether the guest's own MAXPHYADDR reaches that far is for the caller); or
 *	RULE_LENGTH_ALL, which is for the caller to resolve
 * @except: runs of whole frames within that the rule says nothing about, in order and
 *	apart; NULL if @n_except is 0.  Of rules that rules_parse() returns it lies in the
 *	same block of memory
 * @n_except: how many
 * @action: enum kvm_vmi_verdict, what a violation gets: never KVM_VMI_DEFAULT
 * @dflt: KVM_VMI_DENY, KVM_VMI_ALLOW or KVM_VMI_KILL, in place of an action
 *	that is illegal for a violation
 * @on_reset: enum kvm_vmi_on_reset (the policy's, unless the rule has its own)
 * @write_deny: writes are denied
 * @read_deny: reads are denied, with writes.  Whole frames only
 * @execute: who may execute: all bits of RULE_EXECUTE_BOTH, one, or none.  Whole frames
 *	only, if not both.  At least this or @write_deny denies something, or it pins
 * @page_table: page walks are served silently
 * @monitor: the text's "mode" is "monitor": report, always allow
 * @pin: by &enum merlon_register, the bits that the guest may not clear once it has set
 *	them: of KVM_VMI_PIN_*
 * @no_efi: the guest does not call EFI's runtime services; if and only if it pins "lass"
 * @boot: it is armed when the guest has booted, not when it is set
 * @learn: it is "learn": what the kernel executes is added to @except.  Of rules that
 *	deny the kernel execution and nothing else
 *
 * A rule is about memory or, if rule_pins(), about registers; then it denies nothing of
 * memory, and @gpa and @length are 0 and mean nothing.
 */
struct rule {
	char name[MERLON_NAME_MAX + 1];
	uint64_t gpa;
	uint64_t length;
	struct rule_span *except;
	size_t n_except;
	enum kvm_vmi_verdict action;
	enum kvm_vmi_verdict dflt;
	enum kvm_vmi_on_reset on_reset;
	bool write_deny;
	bool read_deny;
	uint32_t execute;
	bool page_table;
	uint64_t pin[MERLON_REGISTER_MAX];
	bool no_efi;
	bool monitor;
	bool learn;
	bool boot;
};

/**
 * struct rule_head - what a policy says beside its rules
 * @name: "" if it has none
 * @mode: MERLON_MODE_*, that of all its rules
 * @has_match: it says for which VMs it is
 * @match: for which, if so
 */
struct rule_head {
	char name[MERLON_NAME_MAX + 1];
	const char *mode;
	bool has_match;
	struct match match;
};

/**
 * rules_parse() - JSON text to rules, whole or not at all
 * @text: one rule object, or a policy (an object with "rules"); need not be
 *	terminated; "match" is checked for its form and otherwise ignored
 * @len: bytes of @text
 * @file_label: what errors call the text (a file name, or MERLON_TEXT_LABEL)
 * @ret_rules: the rules in their order, to be freed with one free(); untouched on
 *	failure
 * @ret_n: how many, at least 1; untouched on failure
 * @reterr_message: set on failure only, except when memory ran out (then NULL):
 *	"LABEL:LINE:COL: /rules/1/gpa: expected ..., got ..."; one line of
 *	printable ASCII, to be freed with free()
 *
 * Return: 0; -EINVAL for text that is wrong (error InvalidRule); -EOPNOTSUPP
 * for words of the vocabulary that are not built yet (NotSupported); -E2BIG for
 * a text above MERLON_TEXT_MAX bytes or more than KVM_VMI_MAX_RULES rules
 * (LimitsExceeded); -ENOMEM.
 */
int rules_parse(const char *text, size_t len, const char *file_label,
		struct rule **ret_rules, size_t *ret_n, char **reterr_message);

/**
 * rules_parse_policy() - the text of a policy file
 * @ret_head: filled on success
 *
 * The other arguments, and what it returns, are those of rules_parse(); but one rule alone
 * is no policy, and rules that do not say are armed when their guest has booted.
 */
int rules_parse_policy(const char *text, size_t len, const char *file_label,
		       struct rule_head *ret_head, struct rule **ret_rules, size_t *ret_n,
		       char **reterr_message);

/**
 * rule_copy() - a rule with exceptions of its own
 * @rule: a rule
 * @ret: filled; its @except is to be freed with free()
 *
 * Return: 0 or -ENOMEM.
 */
int rule_copy(const struct rule *rule, struct rule *ret);

/* Is the rule about registers: does it pin anything? */
bool rule_pins(const struct rule *rule);

/* May the rule learn: does it keep the kernel from executing, and do nothing else? */
bool rule_can_learn(const struct rule *rule);

/* "enforce", "monitor" or "learn". */
const char *mode_of(const struct rule *rule) __attribute__((__pure__));

/* The mode of that name, as mode_of() says it. */
void mode_put(struct rule *rule, const char *mode);

/* Is there a byte, or a bit of a register, that both are about?  Of certain lengths. */
bool rule_overlaps(const struct rule *a, const struct rule *b);

/* Do they deny, or pin, the same things?  What comes of violations may differ. */
bool rule_same_reach(const struct rule *a, const struct rule *b);

/* Does the same come of violations?  Modes may differ, and when they are armed. */
bool rule_same_answers(const struct rule *a, const struct rule *b);

/**
 * rule_to_json() - the rule in the vocabulary that rules_parse() reads
 * @rule: a rule
 * @ret: one JSON object on one line, to be freed with free(); reads back as the
 *	same rule, but for @monitor and @learn, which belong to the text and not the rule
 *
 * Return: 0 or -ENOMEM.
 */
int rule_to_json(const struct rule *rule, char **ret);

#endif
