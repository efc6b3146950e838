// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * JSON text to rules.  Which keys there are, which types they have and which of
 * their words are built stands in three tables, see schema.h.
 */
#include <inttypes.h>

#include "policy-locate.h"
#include "registers.h"
#include "rule.h"
#include "schema.h"
#include "span.h"
#include "util/json.h"
#include "util/parse.h"

#define SUBPAGE_SIZE (UINT64_C(1) << KVM_VMI_SUBPAGE_SHIFT)

enum access_word { UNSAID, ALLOW, DENY };

/* A rule while its members are read, with what struct rule has no room for. */
struct draft {
	struct rule rule;
	bool has_name, has_gpa, has_length, has_on_reset;
	int write, read, execute, action, dflt, on_reset, arm;
	int no_efi;
	struct json_object *except;
	struct json_object *pin;
};

struct policy {
	int mode, on_reset;
	int arm;			/* of rules that do not say */
	struct json_object *rules;
	struct rule_head head;
};

enum mode_word { ENFORCE, MONITOR, LEARN };
enum arm_word { NOW, BOOT };

static bool name_is_valid(const char *s)
{
	static const char first[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

	return *s && strlen(s) <= MERLON_NAME_MAX && strchr(first, *s) &&
	       s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-")] ==
		       '\0';
}

#define NAME_EXPECTED "a name: 1 to 64 of A-Z a-z 0-9 _ . : - and not . : - first"

static int parse_name(struct schema_text *p, const char *path, struct json_object *v, void *target)
{
	struct draft *d = target;

	if (!name_is_valid(json_object_get_string(v)))
		return schema_fail_expected(p, path, NAME_EXPECTED);
	strcpy(d->rule.name, json_object_get_string(v));
	d->has_name = true;
	return 0;
}

static int parse_policy_name(struct schema_text *p, const char *path, struct json_object *v,
			     void *target)
{
	struct policy *policy = target;

	if (!name_is_valid(json_object_get_string(v)))
		return schema_fail_expected(p, path, NAME_EXPECTED);
	strcpy(policy->head.name, json_object_get_string(v));
	return 0;
}

static int parse_gpa(struct schema_text *p, const char *path, struct json_object *v, void *target)
{
	struct draft *d = target;

	d->has_gpa = true;
	return span_read_gpa(p, path, v, &d->rule.gpa);
}

static int parse_length(struct schema_text *p, const char *path, struct json_object *v,
			void *target)
{
	struct draft *d = target;

	d->has_length = true;
	if (json_object_is_type(v, json_type_string) && streq(json_object_get_string(v), "all")) {
		d->rule.length = RULE_LENGTH_ALL;
		return 0;
	}
	return span_read_length(p, path, v, &d->rule.length);
}

static int parse_except(_unused_ struct schema_text *p, _unused_ const char *path,
			struct json_object *v, void *target)
{
	struct draft *d = target;

	d->except = v;
	return 0;
}

static int parse_pin(_unused_ struct schema_text *p, _unused_ const char *path,
		     struct json_object *v, void *target)
{
	struct draft *d = target;

	d->pin = v;
	return 0;
}

static int parse_page_table(_unused_ struct schema_text *p, _unused_ const char *path,
			    struct json_object *v, void *target)
{
	struct draft *d = target;

	d->rule.page_table = json_object_get_boolean(v);
	return 0;
}

static int parse_version(struct schema_text *p, const char *path, struct json_object *v,
			 _unused_ void *target)
{
	uint64_t version;

	if (schema_integer(v, &version) < 0 || version != 1)
		return schema_fail_expected(p, path, "version 1");
	return 0;
}

static int parse_not_built(struct schema_text *p, const char *path, _unused_ struct json_object *v,
			   _unused_ void *target)
{
	const char *key = strrchr(path, '/') + 1;

	return schema_fail(p, path, -EOPNOTSUPP, "\"%s\" is not supported here yet", key);
}

static int parse_rules_array(_unused_ struct schema_text *p, _unused_ const char *path,
			     struct json_object *v, void *target)
{
	struct policy *policy = target;

	policy->rules = v;
	return 0;
}

static int parse_match(struct schema_text *p, const char *path, struct json_object *v,
		       void *target)
{
	struct policy *policy = target;

	policy->head.has_match = true;
	return match_read(p, path, v, &policy->head.match);
}

static const struct schema_word words_write[] = { { "allow", ALLOW }, { "deny", DENY }, {} };
static const struct schema_word words_read[] = { { "allow", ALLOW }, { "deny", DENY }, {} };
static const struct schema_word words_execute[] = {
	{ "both", RULE_EXECUTE_BOTH }, { "user", KVM_VMI_RIGHT_EXEC_USER },
	{ "kernel", KVM_VMI_RIGHT_EXEC_KERNEL }, { "none", 0 }, {}
};
static const struct schema_word words_action[] = {
	{ "deny", KVM_VMI_DENY }, { "allow", KVM_VMI_ALLOW }, { "skip", KVM_VMI_SKIP },
	{ "kill", KVM_VMI_KILL }, { "exit", KVM_VMI_EXIT }, { "hold", SCHEMA_NOT_BUILT }, {}
};
static const struct schema_word words_default[] = {
	{ "deny", KVM_VMI_DENY }, { "allow", KVM_VMI_ALLOW }, { "kill", KVM_VMI_KILL }, {}
};
static const struct schema_word words_on_reset[] = {
	{ "disarm", KVM_VMI_RESET_DISARM }, { "keep", KVM_VMI_RESET_KEEP },
	{ "kill", KVM_VMI_RESET_KILL }, {}
};
static const struct schema_word words_arm[] = { { "now", NOW }, { "boot", BOOT }, {} };
static const struct schema_word words_efi_runtime[] = { { "no", true }, {} };
static const struct schema_word words_mode[] = {
	{ "monitor", MONITOR }, { "enforce", ENFORCE }, { "learn", LEARN }, {}
};

static const struct schema_field rule_fields[] = {
	SCHEMA_OTHER("name", SCHEMA_STRING, NAME_EXPECTED, parse_name),
	SCHEMA_OTHER("gpa", SCHEMA_STRING, PARSE_ADDRESS_EXPECTED, parse_gpa),
	SCHEMA_OTHER("length", SCHEMA_STRING | SCHEMA_INT, PARSE_SIZE_EXPECTED, parse_length),
	SCHEMA_OTHER("except", SCHEMA_ARRAY, "an array of ranges", parse_except),
	SCHEMA_OTHER("symbol", SCHEMA_STRING, "the name of a symbol", parse_not_built),
	SCHEMA_OTHER("offset", SCHEMA_STRING | SCHEMA_INT, PARSE_SIZE_EXPECTED, parse_not_built),
	SCHEMA_WORD("write", words_write, struct draft, write),
	SCHEMA_WORD("read", words_read, struct draft, read),
	SCHEMA_WORD("execute", words_execute, struct draft, execute),
	SCHEMA_WORD("action", words_action, struct draft, action),
	SCHEMA_WORD("default", words_default, struct draft, dflt),
	SCHEMA_OTHER("deadline-ms", SCHEMA_INT, "milliseconds", parse_not_built),
	SCHEMA_WORD("arm", words_arm, struct draft, arm),
	SCHEMA_WORD("on-reset", words_on_reset, struct draft, on_reset),
	SCHEMA_OTHER("page-table", SCHEMA_BOOL, "true or false", parse_page_table),
	SCHEMA_OTHER("verify", SCHEMA_INT, "seconds", parse_not_built),
	SCHEMA_OTHER(REGISTERS_KEY, SCHEMA_OBJECT, "registers and their bits (an object)",
		     parse_pin),
	SCHEMA_WORD(REGISTERS_EFI_KEY, words_efi_runtime, struct draft, no_efi),
};

static const struct schema_field policy_fields[] = {
	SCHEMA_OTHER("version", SCHEMA_INT, "version 1", parse_version),
	SCHEMA_OTHER("name", SCHEMA_STRING, NAME_EXPECTED, parse_policy_name),
	SCHEMA_WORD("mode", words_mode, struct policy, mode),
	SCHEMA_WORD("on-reset", words_on_reset, struct policy, on_reset),
	SCHEMA_OTHER("match", SCHEMA_OBJECT, "an object", parse_match),
	SCHEMA_OTHER("symbols", SCHEMA_STRING, "a file name", parse_not_built),
	SCHEMA_OTHER("require", SCHEMA_BOOL, "true or false", parse_not_built),
	SCHEMA_OTHER("rules", SCHEMA_ARRAY, "an array of rules", parse_rules_array),
};

/* Where the bytes are: whole sub-pages below the limit of all CPUs. */
static int check_range(struct schema_text *p, const char *path, const struct rule *rule)
{
	uint64_t end, low = rule->gpa & ~(SUBPAGE_SIZE - 1), high;
	const char *key = rule->gpa % SUBPAGE_SIZE ? "gpa" : "length";
	char sub[SCHEMA_PATH_MAX];

	if (__builtin_add_overflow(rule->gpa, rule->length, &end) || end > SPAN_LIMIT) {
		snprintf(sub, sizeof(sub), "%s/%s", path,
			 rule->gpa >= SPAN_LIMIT ? "gpa" : "length");
		return schema_fail(p, sub, -EINVAL,
				   "expected a range that ends at 2^52 or below, got gpa 0x%" PRIx64
				   " length 0x%" PRIx64,
				   rule->gpa, rule->length);
	}
	if (rule->gpa % SUBPAGE_SIZE == 0 && rule->length % SUBPAGE_SIZE == 0)
		return 0;

	/* With RULE_LENGTH_ALL it is the address. */
	high = (end + SUBPAGE_SIZE - 1) & ~(SUBPAGE_SIZE - 1);
	snprintf(sub, sizeof(sub), "%s/%s", path, key);
	return schema_fail(p, sub, -EINVAL,
			   "expected multiples of %" PRIu64 " bytes, got gpa 0x%" PRIx64
			   " length 0x%" PRIx64 "; the aligned range around it is gpa 0x%" PRIx64
			   " length 0x%" PRIx64,
			   SUBPAGE_SIZE, rule->gpa, rule->length, low, high - low);
}

/* What a rule of memory says, and whether it is all there. */
static int check_memory(struct schema_text *p, const char *path, struct draft *d)
{
	int r;

	if (!d->has_gpa)
		return schema_fail_missing(p, path, "the key \"gpa\"");
	if (!d->has_length)
		return schema_fail_missing(p, path, "the key \"length\"");
	if (d->write != DENY && d->execute == RULE_EXECUTE_BOTH)
		return schema_fail_missing(p, path,
					   "something that is denied (\"write\": \"deny\", or "
					   "\"execute\": \"none\", \"user\" or \"kernel\")");
	if (d->read == DENY && d->write != DENY)
		return schema_fail_missing(p, path,
					   "\"write\": \"deny\" beside \"read\": \"deny\" (no "
					   "CPU has pages to write and not to read)");
	r = check_range(p, path, &d->rule);
	if (r < 0)
		return r;
	if (d->read == DENY && (d->rule.gpa | d->rule.length) % SPAN_FRAME)
		return span_fail_frames(p, path, "with \"read\"",
					&(struct rule_span){ d->rule.gpa, d->rule.length });
	if (d->execute != RULE_EXECUTE_BOTH && (d->rule.gpa | d->rule.length) % SPAN_FRAME)
		return span_fail_frames(p, path, "with \"execute\"",
					&(struct rule_span){ d->rule.gpa, d->rule.length });
	return 0;
}

/* What a rule of registers says. */
static int check_registers(struct schema_text *p, const char *path, struct draft *d)
{
	char sub[SCHEMA_PATH_MAX];
	int r;

	r = registers_read(p, path, d->pin, d->rule.pin);
	if (r < 0 || d->action != KVM_VMI_EXIT)
		return r;
	snprintf(sub, sizeof(sub), "%s/action", path);
	return schema_fail_expected(p, sub,
				    "another action beside \"pin\" (VMMs are asked about memory "
				    "only)");
}

static int parse_rule(struct schema_text *p, const char *path, struct json_object *o,
		      const struct policy *policy, struct rule *ret)
{
	struct draft d = {
		.action = KVM_VMI_DENY,
		.dflt = KVM_VMI_DENY,
		.on_reset = policy->on_reset,
		.arm = policy->arm,
		.execute = RULE_EXECUTE_BOTH,
	};
	int r;

	if (!json_object_is_type(o, json_type_object))
		return schema_fail_expected(p, path, "a rule (an object)");
	r = registers_check(p, path, o);
	if (r >= 0)
		r = schema_read(p, path, o, rule_fields, ARRAY_SIZE(rule_fields), &d);
	if (r < 0)
		return r;

	if (!d.has_name)
		return schema_fail_missing(p, path, "the key \"name\"");
	r = d.pin ? check_registers(p, path, &d) : check_memory(p, path, &d);
	if (r >= 0)
		r = registers_check_efi(p, path, o, d.rule.pin, d.no_efi);
	if (r < 0)
		return r;

	d.rule.no_efi = d.no_efi;
	d.rule.write_deny = d.write == DENY;
	d.rule.read_deny = d.read == DENY;
	d.rule.execute = (uint32_t)d.execute;
	d.rule.action = (enum kvm_vmi_verdict)d.action;
	d.rule.dflt = (enum kvm_vmi_verdict)d.dflt;
	d.rule.on_reset = (enum kvm_vmi_on_reset)d.on_reset;
	d.rule.boot = d.arm == BOOT;
	d.rule.monitor = policy->mode == MONITOR;
	d.rule.learn = policy->mode == LEARN;
	if (d.rule.learn && d.pin)
		return schema_fail(p, "/mode", -EINVAL,
				   "expected \"enforce\" or \"monitor\" for rule '%s', which pins "
				   "bits of registers, got \"learn\": only a rule of execute learns",
				   d.rule.name);
	if (d.rule.learn && !rule_can_learn(&d.rule))
		return schema_fail(
			p, path, -EINVAL,
			"expected \"execute\": \"user\" and no \"write\": \"deny\" in mode "
			"\"learn\"");
	/* Last: from here on there is something to free. */
	if (d.except) {
		r = spans_read(p, path, d.except, &d.rule);
		if (r < 0)
			return r;
	}
	*ret = d.rule;
	return 0;
}

/* One block that holds the rules and what they except; the rules' own are freed. */
static int pack_rules(const struct rule *rules, size_t n, struct rule **ret)
{
	size_t n_spans = 0;
	struct rule_span *next;
	struct rule *packed;

	for (size_t i = 0; i < n; i++)
		n_spans += rules[i].n_except;
	packed = malloc(n * sizeof(*packed) + n_spans * sizeof(*next));
	if (!packed)
		return -ENOMEM;
	memcpy(packed, rules, n * sizeof(*packed));
	next = (struct rule_span *)(packed + n);
	for (size_t i = 0; i < n; i++) {
		if (!packed[i].n_except)
			continue;
		memcpy(next, rules[i].except, rules[i].n_except * sizeof(*next));
		packed[i].except = next;
		next += rules[i].n_except;
	}
	*ret = packed;
	return 0;
}

static void free_rules(struct rule *rules, size_t n)
{
	for (size_t i = 0; rules && i < n; i++)
		free(rules[i].except);
	free(rules);
}

static int compare_names(const void *a, const void *b)
{
	const struct rule *x = *(const struct rule *const *)a, *y = *(const struct rule *const *)b;
	int c = strcmp(x->name, y->name);

	/* Equal names in the order of the text, so that the error shows the second. */
	return c ?: (x > y) - (x < y);
}

static int check_names_differ(struct schema_text *p, const struct rule *rules, size_t n)
{
	_cleanup_free_ const struct rule **sorted = calloc(n, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &rules[i];
	qsort(sorted, n, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < n; i++) {
		char path[SCHEMA_PATH_MAX];

		if (!streq(sorted[i - 1]->name, sorted[i]->name))
			continue;
		snprintf(path, sizeof(path), "/rules/%zu/name", (size_t)(sorted[i] - rules));
		return schema_fail_expected(p, path, "a name that no other rule here has");
	}
	return 0;
}

static int parse_policy(struct schema_text *p, struct json_object *root, enum arm_word arm,
			struct rule_head *ret_head, struct rule **ret_rules, size_t *ret_n)
{
	static const char *const modes[] = {
		[ENFORCE] = MERLON_MODE_ENFORCE,
		[MONITOR] = MERLON_MODE_MONITOR,
		[LEARN] = MERLON_MODE_LEARN,
	};
	struct policy policy = {
		.mode = ENFORCE, .on_reset = KVM_VMI_RESET_DISARM, .arm = arm,
	};
	struct rule *rules;
	size_t n;
	int r;

	r = schema_read(p, "", root, policy_fields, ARRAY_SIZE(policy_fields), &policy);
	if (r < 0)
		return r;
	if (!policy.rules)
		return schema_fail_missing(p, "", "the key \"rules\"");
	n = json_object_array_length(policy.rules);
	if (n == 0)
		return schema_fail_missing(p, "/rules", "at least one rule");
	if (n > KVM_VMI_MAX_RULES)
		return schema_fail(p, "/rules", -E2BIG, "expected at most %d rules, got %zu",
				   KVM_VMI_MAX_RULES, n);

	rules = calloc(n, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		char path[SCHEMA_PATH_MAX];

		snprintf(path, sizeof(path), "/rules/%zu", i);
		r = parse_rule(p, path, json_object_array_get_idx(policy.rules, i), &policy,
			       &rules[i]);
	}
	if (r >= 0)
		r = check_names_differ(p, rules, n);
	if (r >= 0)
		r = pack_rules(rules, n, ret_rules);
	free_rules(rules, n);
	if (r < 0)
		return r;
	*ret_n = n;
	*ret_head = policy.head;
	ret_head->mode = modes[policy.mode];
	return 0;
}

/* Keys that only a policy has: with one of them, "rules" is what is missing. */
static bool is_policy(struct json_object *root)
{
	static const char *const keys[] = { "rules", "version", "mode",
					    "match", "symbols", "require" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (json_object_object_get_ex(root, keys[i], NULL))
			return true;
	return false;
}

static int parse_root(struct schema_text *p, struct json_object **ret)
{
	_cleanup_json_ struct json_object *root = NULL;
	_cleanup_free_ char *problem = NULL;
	size_t offset;
	int r;

	if (p->len > MERLON_TEXT_MAX)
		return schema_fail_at(p, 0, "", -E2BIG, "expected at most %u bytes, got %zu",
				      MERLON_TEXT_MAX, p->len);
	r = policy_check(p->text, p->len, &offset, &problem);
	if (r == -EINVAL)
		return schema_fail_at(p, offset, "", -EINVAL, "%s", problem);
	if (r < 0)
		return r;
	/* "null" is JSON without being an object of json-c. */
	r = json_parse(p->text, p->len, &root);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !json_object_is_type(root, json_type_object))
		return schema_fail_expected(p, "", "a rule or a policy (an object)");
	*ret = TAKE_PTR(root);
	return 0;
}

static int parse_text(struct schema_text *p, struct rule **ret_rules, size_t *ret_n)
{
	struct policy alone = { .mode = ENFORCE, .on_reset = KVM_VMI_RESET_DISARM, .arm = NOW };
	_cleanup_json_ struct json_object *root = NULL;
	struct rule_head head;
	struct rule rule = {};
	int r;

	r = parse_root(p, &root);
	if (r < 0)
		return r;
	if (is_policy(root))
		return parse_policy(p, root, NOW, &head, ret_rules, ret_n);

	r = parse_rule(p, "", root, &alone, &rule);
	if (r >= 0)
		r = pack_rules(&rule, 1, ret_rules);
	free(rule.except);
	if (r < 0)
		return r;
	*ret_n = 1;
	return 0;
}

int rules_parse(const char *text, size_t len, const char *file_label, struct rule **ret_rules,
		size_t *ret_n, char **reterr_message)
{
	struct schema_text p = { .text = text, .len = len, .label = file_label };
	int r;

	r = parse_text(&p, ret_rules, ret_n);
	if (r < 0)
		*reterr_message = p.message;
	return r;
}

int rules_parse_policy(const char *text, size_t len, const char *file_label,
		       struct rule_head *ret_head, struct rule **ret_rules, size_t *ret_n,
		       char **reterr_message)
{
	struct schema_text p = { .text = text, .len = len, .label = file_label };
	_cleanup_json_ struct json_object *root = NULL;
	int r;

	r = parse_root(&p, &root);
	if (r >= 0)
		r = parse_policy(&p, root, BOOT, ret_head, ret_rules, ret_n);
	if (r < 0)
		*reterr_message = p.message;
	return r;
}

int rule_copy(const struct rule *rule, struct rule *ret)
{
	struct rule_span *except = NULL;

	if (rule->n_except) {
		except = calloc(rule->n_except, sizeof(*except));
		if (!except)
			return -ENOMEM;
		memcpy(except, rule->except, rule->n_except * sizeof(*except));
	}
	*ret = *rule;
	ret->except = except;
	return 0;
}

bool rule_pins(const struct rule *rule)
{
	for (size_t i = 0; i < ARRAY_SIZE(rule->pin); i++)
		if (rule->pin[i])
			return true;
	return false;
}

bool rule_can_learn(const struct rule *rule)
{
	return rule->execute == KVM_VMI_RIGHT_EXEC_USER && !rule->write_deny;
}

const char *mode_of(const struct rule *rule)
{
	return rule->learn ? MERLON_MODE_LEARN :
	       rule->monitor ? MERLON_MODE_MONITOR : MERLON_MODE_ENFORCE;
}

void mode_put(struct rule *rule, const char *mode)
{
	rule->monitor = streq(mode, MERLON_MODE_MONITOR);
	rule->learn = streq(mode, MERLON_MODE_LEARN);
}

bool rule_overlaps(const struct rule *a, const struct rule *b)
{
	if (rule_pins(a) != rule_pins(b))
		return false;
	if (!rule_pins(a))
		return a->gpa < b->gpa + b->length && b->gpa < a->gpa + a->length;
	for (size_t i = 0; i < ARRAY_SIZE(a->pin); i++)
		if (a->pin[i] & b->pin[i])
			return true;
	return false;
}

bool rule_same_reach(const struct rule *a, const struct rule *b)
{
	if (a->gpa != b->gpa || a->length != b->length || a->n_except != b->n_except ||
	    a->write_deny != b->write_deny || a->read_deny != b->read_deny ||
	    a->execute != b->execute || a->no_efi != b->no_efi ||
	    memcmp(a->pin, b->pin, sizeof(a->pin)) != 0)
		return false;
	for (size_t i = 0; i < a->n_except; i++)
		if (a->except[i].gpa != b->except[i].gpa ||
		    a->except[i].length != b->except[i].length)
			return false;
	return true;
}

bool rule_same_answers(const struct rule *a, const struct rule *b)
{
	return a->action == b->action && a->dflt == b->dflt && a->on_reset == b->on_reset &&
	       a->page_table == b->page_table;
}

/* Where and what. */
static int memory_to_json(struct json_object *o, const struct rule *rule)
{
	if (json_add_hex(o, "gpa", rule->gpa) < 0 ||
	    (rule->length == RULE_LENGTH_ALL ? json_add_string(o, "length", "all")
					     : json_add_u64(o, "length", rule->length)) < 0 ||
	    spans_to_json(o, rule) < 0 ||
	    json_add_string(o, "write", rule->write_deny ? "deny" : "allow") < 0 ||
	    json_add_string(o, "read", rule->read_deny ? "deny" : "allow") < 0 ||
	    json_add_string(o, "execute", merlon_execute_name(rule->execute)) < 0 ||
	    json_add_bool(o, "page-table", rule->page_table) < 0)
		return -ENOMEM;
	return 0;
}

int rule_to_json(const struct rule *rule, char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();

	if (!o || json_add_string(o, "name", rule->name) < 0 ||
	    (rule_pins(rule) ? registers_to_json(o, REGISTERS_KEY, rule->pin) :
			       memory_to_json(o, rule)) < 0 ||
	    (rule->no_efi && json_add_string(o, REGISTERS_EFI_KEY, "no") < 0) ||
	    json_add_string(o, "action", merlon_verdict_name(rule->action)) < 0 ||
	    json_add_string(o, "default", merlon_verdict_name(rule->dflt)) < 0 ||
	    json_add_string(o, "on-reset", merlon_on_reset_name(rule->on_reset)) < 0 ||
	    (rule->boot && json_add_string(o, "arm", "boot") < 0))
		return -ENOMEM;
	return json_text(o, JSON_ONE_LINE, ret);
}
