// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel does not keep, in RUNTIME_DIR/state.json. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <systemd/sd-id128.h>

#include "api/names.h"
#include "state.h"
#include "util/file.h"
#include "util/json.h"
#include "util/util.h"

#define STATE_VERSION 1
/* All the rules there may be, and their JSON, fit several times. */
#define STATE_MAX (256U << 20)

static int boot_id(char ret[static SD_ID128_STRING_MAX])
{
	sd_id128_t id;
	int r;

	r = sd_id128_get_boot(&id);
	if (r < 0)
		return r;
	sd_id128_to_string(id, ret);
	return 0;
}

/* -ENOENT when there is none. */
static int read_state(int dirfd, char **ret, size_t *ret_len)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len = 0;

	fd = openat(dirfd, MERLON_STATE_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ELOOP ? -EBADMSG : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > STATE_MAX)
		return -EBADMSG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, text + len, (size_t)st.st_size - len);

		if (n < 0)
			return -errno;
		if (!n)
			break;
		len += (size_t)n;
	}
	text[len] = 0;
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

/* Which policy it is of, if of any. */
static int parse_policy(struct json_object *o, struct vm_rule *rule)
{
	static const char *const modes[] = {
		MERLON_MODE_ENFORCE, MERLON_MODE_MONITOR, MERLON_MODE_LEARN,
	};
	const char *name = json_get_string(o, "policy", "");
	const char *mode = json_get_string(o, "policy-mode", "");

	if (!*name)
		return 0;
	if (strlen(name) > MERLON_NAME_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (streq(mode, modes[i]))
			rule->policy_mode = modes[i];
	if (!rule->policy_mode)
		return -EBADMSG;
	strcpy(rule->policy, name);
	return 0;
}

static int parse_rule(struct json_object *o, struct vm *vm)
{
	_cleanup_free_ struct rule *rules = NULL;
	_cleanup_free_ char *message = NULL;
	struct json_object *body;
	struct vm_rule *rule;
	const char *text;
	uint64_t id;
	size_t n;
	int r;

	if (!json_object_is_type(o, json_type_object))
		return -EBADMSG;
	id = json_get_u64(o, "id", 0);
	if (!id || id > KVM_VMI_RULE_ID_MAX || vm_find_rule(vm, (uint32_t)id))
		return -EBADMSG;
	if (!json_object_object_get_ex(o, "rule", &body))
		return -EBADMSG;
	text = json_object_to_json_string_ext(body, JSON_ONE_LINE);
	if (!text)
		return -ENOMEM;
	r = rules_parse(text, strlen(text), MERLON_STATE_FILE, &rules, &n, &message);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	if (n != 1)
		return -EBADMSG;
	/* One of a policy may have been about to take the place of its namesake. */
	if (!*json_get_string(o, "policy", "") && vm_find_rule_by_name(vm, rules[0].name))
		return -EBADMSG;
	rules[0].monitor = json_get_bool(o, "monitor", false);

	rule = vm_add_rule(vm, (uint32_t)id);
	if (!rule)
		return -ENOMEM;
	r = rule_copy(&rules[0], &rule->rule);
	return r < 0 ? r : parse_policy(o, rule);
}

/* Of @size bytes with the zero; printable ASCII, as it was when it was read from /proc. */
static int parse_text(struct json_object *o, const char *key, char *ret, size_t size)
{
	const char *s = json_get_string(o, key, "");

	if (strlen(s) >= size)
		return -EBADMSG;
	for (const char *p = s; *p; p++)
		if (*p < ' ' || *p > '~')
			return -EBADMSG;
	strcpy(ret, s);
	return 0;
}

/* Who it was when it was seen first, whatever its process says by now. */
static int parse_identity(struct json_object *o, struct vm *vm)
{
	struct identity id = {};
	struct json_object *said;

	if (!json_object_object_get_ex(o, "identity", &said))
		return 0;
	if (!json_object_is_type(said, json_type_object) ||
	    parse_text(said, "name", id.name, sizeof(id.name)) < 0 ||
	    parse_text(said, "uuid", id.uuid, sizeof(id.uuid)) < 0 ||
	    parse_text(said, "unit", id.unit, sizeof(id.unit)) < 0)
		return -EBADMSG;
	vm->identity = id;
	vm->identified = true;
	return 0;
}

static int parse_vm(struct json_object *o, struct vm_table *t)
{
	struct json_object *rules;
	uint64_t id, next;
	struct vm *vm;
	int r;

	if (!json_object_is_type(o, json_type_object))
		return -EBADMSG;
	id = json_get_u64(o, "id", 0);
	next = json_get_u64(o, "next-rule", 0);
	rules = json_get_array(o, "rules");
	if (!id || !next || next > KVM_VMI_RULE_ID_MAX + 1 || !rules)
		return -EBADMSG;
	vm = vm_new(id);
	if (!vm)
		return -ENOMEM;
	r = vm_table_add(t, vm);
	if (r < 0) {
		vm_free(vm);
		return r == -ENOMEM ? r : -EBADMSG;
	}
	for (size_t i = 0; i < json_object_array_length(rules); i++) {
		r = parse_rule(json_object_array_get_idx(rules, i), vm);
		if (r < 0)
			return r;
	}
	if (next > vm->next_rule)
		vm->next_rule = (uint32_t)next;
	vm->engine_chosen = json_get_bool(o, "engine-chosen", false);
	return parse_identity(o, vm);
}

/* 0 when the text is of another boot. */
static int parse_state(const char *text, size_t len, struct vm_table *t)
{
	_cleanup_json_ struct json_object *o = NULL;
	char boot[SD_ID128_STRING_MAX];
	struct json_object *vms;
	int r;

	r = boot_id(boot);
	if (r < 0)
		return r;
	r = json_parse(text, len, &o);
	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	if (!json_object_is_type(o, json_type_object) ||
	    json_get_u64(o, "version", 0) != STATE_VERSION)
		return -EBADMSG;
	if (!streq(json_get_string(o, "boot-id", ""), boot))
		return 0;
	vms = json_get_array(o, "vms");
	if (!vms)
		return -EBADMSG;
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		r = parse_vm(json_object_array_get_idx(vms, i), t);
		if (r < 0)
			return r;
	}
	return 1;
}

int state_load(const char *dir, struct vm_table *ret)
{
	_cleanup_(vm_table_done) struct vm_table t = { 0 };
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dirfd = -EBADF;
	size_t len = 0;
	int r;

	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	r = read_state(dirfd, &text, &len);
	if (r == -ENOENT)
		return 0;
	if (r >= 0)
		r = parse_state(text, len, &t);
	if (r == -EBADMSG &&
	    renameat(dirfd, MERLON_STATE_FILE, dirfd, MERLON_STATE_FILE ".bad") < 0)
		return -errno;
	if (r <= 0)
		return r;
	*ret = t;
	t = (struct vm_table) { 0 };
	return 1;
}

static int add_rule(struct json_object *array, const struct vm_rule *rule)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	_cleanup_free_ char *text = NULL;
	struct json_object *body = NULL;
	int r;

	if (!o)
		return -ENOMEM;
	r = rule_to_json(&rule->rule, &text);
	if (r < 0)
		return r;
	r = json_parse(text, strlen(text), &body);
	if (r < 0)
		return r;
	r = json_add(o, "rule", body);
	if (r >= 0)
		r = json_add_u64(o, "id", rule->id);
	if (r >= 0)
		r = json_add_bool(o, "monitor", rule->rule.monitor);
	if (r >= 0 && rule->policy[0])
		r = json_add_string(o, "policy", rule->policy);
	if (r >= 0 && rule->policy[0])
		r = json_add_string(o, "policy-mode", rule->policy_mode);
	if (r < 0)
		return r;
	return json_append(array, TAKE_PTR(o));
}

static int add_identity(struct json_object *o, const struct identity *id)
{
	struct json_object *said = json_object_new_object();
	int r;

	r = json_add(o, "identity", said);
	if (r >= 0)
		r = json_add_string(said, "name", id->name);
	if (r >= 0)
		r = json_add_string(said, "uuid", id->uuid);
	if (r >= 0)
		r = json_add_string(said, "unit", id->unit);
	return r;
}

static int add_vm(struct json_object *array, const struct vm *vm)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *rules = json_object_new_array();
	int r;

	if (!o) {
		json_object_put(rules);
		return -ENOMEM;
	}
	r = json_add(o, "rules", rules);
	for (size_t i = 0; r >= 0 && i < vm->n_rules; i++)
		if (!vm->rules[i].orphan)
			r = add_rule(rules, &vm->rules[i]);
	if (r >= 0)
		r = json_add_u64(o, "id", vm->info.id);
	if (r >= 0)
		r = json_add_u64(o, "next-rule", vm->next_rule);
	if (r >= 0 && vm->engine_chosen)
		r = json_add_bool(o, "engine-chosen", true);
	if (r >= 0 && vm->identified)
		r = add_identity(o, &vm->identity);
	if (r < 0)
		return r;
	return json_append(array, TAKE_PTR(o));
}

static int state_text(const struct vm_table *t, char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *vms = json_object_new_array();
	char boot[SD_ID128_STRING_MAX];
	int r;

	if (!o) {
		json_object_put(vms);
		return -ENOMEM;
	}
	r = json_add(o, "vms", vms);
	if (r >= 0)
		r = boot_id(boot);
	if (r >= 0)
		r = json_add_u64(o, "version", STATE_VERSION);
	if (r >= 0)
		r = json_add_string(o, "boot-id", boot);
	/* Of a VM that nobody knows and that never had a rule there is nothing to remember. */
	for (size_t i = 0; r >= 0 && i < t->n; i++)
		if (t->vms[i]->next_rule > 1 || t->vms[i]->engine_chosen || t->vms[i]->identified)
			r = add_vm(vms, t->vms[i]);
	if (r < 0)
		return r;
	return json_text(o, JSON_ONE_LINE, ret);
}

int state_save(const char *dir, const struct vm_table *t)
{
	_cleanup_close_ int dirfd = -EBADF;
	_cleanup_free_ char *text = NULL;
	int r;

	r = state_text(t, &text);
	if (r < 0)
		return r;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	return file_replace(dirfd, MERLON_STATE_FILE, text, strlen(text), 0600);
}
