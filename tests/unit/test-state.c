// SPDX-License-Identifier: GPL-2.0-or-later
/* state.c: what is saved comes back; what is damaged is set aside. */
#include <fcntl.h>
#include <sys/stat.h>

#include "state.h"
#include "unit.h"

static char dir[] = "/tmp/merlon-state.XXXXXX";

static void path_of(const char *name, char *ret, size_t size)
{
	snprintf(ret, size, "%s/%s", dir, name);
}

static void put(const char *text)
{
	char path[256];
	FILE *f;

	path_of(MERLON_STATE_FILE, path, sizeof(path));
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static char *get(void)
{
	static char text[65536];
	char path[256];
	size_t n;
	FILE *f;

	path_of(MERLON_STATE_FILE, path, sizeof(path));
	f = fopen(path, "re");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

static bool exists(const char *name)
{
	char path[256];

	path_of(name, path, sizeof(path));
	return access(path, F_OK) == 0;
}

static void fill(struct vm_table *t)
{
	struct vm *vm = vm_new(17);
	struct vm_rule *rule;

	assert_int_equal(vm_table_add(t, vm), 0);
	vm->next_rule = 9;
	rule = vm_add_rule(vm, 3);
	rule->rule = (struct rule) {
		.name = "idt", .gpa = 0x1e0000, .length = 8192, .action = KVM_VMI_SKIP,
		.dflt = KVM_VMI_KILL, .on_reset = KVM_VMI_RESET_KEEP, .write_deny = true,
		.execute = KVM_VMI_RIGHT_EXEC_USER,
		.page_table = true, .monitor = true,
	};
	rule = vm_add_rule(vm, 8);
	rule->orphan = true;
	/* Nothing to remember of this one. */
	assert_int_equal(vm_table_add(t, vm_new(18)), 0);
}

static void round_trip(_unused_ void **state)
{
	struct vm_table t = { 0 }, back = { 0 };
	const struct rule *a, *b;

	assert_int_equal(state_load(dir, &back), 0);
	fill(&t);
	assert_int_equal(state_save(dir, &t), 0);
	assert_false(exists("." MERLON_STATE_FILE ".tmp"));
	assert_int_equal(state_load(dir, &back), 1);
	assert_int_equal(back.n, 1);
	assert_int_equal(back.vms[0]->info.id, 17);
	assert_int_equal(back.vms[0]->next_rule, 9);
	assert_int_equal(back.vms[0]->n_rules, 1);
	assert_int_equal(back.vms[0]->rules[0].id, 3);
	a = &t.vms[0]->rules[0].rule;
	b = &back.vms[0]->rules[0].rule;
	assert_string_equal(a->name, b->name);
	assert_true(a->gpa == b->gpa && a->length == b->length && a->action == b->action &&
		    a->dflt == b->dflt && a->on_reset == b->on_reset &&
		    a->write_deny == b->write_deny && a->execute == b->execute &&
		    a->page_table == b->page_table &&
		    a->monitor == b->monitor);
	vm_table_done(&t);
	vm_table_done(&back);
}

static void registers(_unused_ void **state)
{
	struct vm_table t = { 0 }, back = { 0 };
	const struct rule *rule;

	fill(&t);
	vm_add_rule(t.vms[0], 5)->rule = (struct rule) {
		.name = "cpu", .action = KVM_VMI_DENY, .dflt = KVM_VMI_DENY,
		.execute = RULE_EXECUTE_BOTH, .no_efi = true,
		.pin = { [MERLON_REGISTER_CR0] = 1 << 16, [MERLON_REGISTER_CR4] = 1 << 27 },
	};
	assert_int_equal(state_save(dir, &t), 0);
	assert_int_equal(state_load(dir, &back), 1);
	assert_int_equal(back.vms[0]->n_rules, 2);
	rule = &vm_find_rule(back.vms[0], 5)->rule;
	assert_string_equal(rule->name, "cpu");
	assert_memory_equal(rule->pin, vm_find_rule(t.vms[0], 5)->rule.pin, sizeof(rule->pin));
	assert_true(rule->no_efi);
	assert_false(rule_pins(&vm_find_rule(back.vms[0], 3)->rule));
	vm_table_done(&t);
	vm_table_done(&back);
}

/* That an engine was chosen is worth an entry, with rules and without. */
/* A rule of a policy, and the one that was to take its place when merlond was killed. */
static void policies(_unused_ void **state)
{
	struct vm_table t = { 0 }, back = { 0 };
	struct rule rule = {
		.name = "web:idt", .gpa = 0x1000, .length = 4096, .action = KVM_VMI_DENY,
		.dflt = KVM_VMI_DENY, .write_deny = true, .execute = RULE_EXECUTE_BOTH,
		.boot = true,
	};
	struct vm_rule *r;

	fill(&t);
	for (uint32_t id = 4; id <= 5; id++) {
		r = vm_add_rule(t.vms[0], id);
		r->rule = rule;
		r->rule.gpa = 0x1000 * id;
		strcpy(r->policy, "web");
		r->policy_mode = MERLON_MODE_MONITOR;
	}
	assert_int_equal(state_save(dir, &t), 0);
	assert_int_equal(state_load(dir, &back), 1);
	r = vm_find_rule(back.vms[0], 5);
	assert_non_null(r);
	assert_string_equal(r->policy, "web");
	assert_string_equal(r->policy_mode, MERLON_MODE_MONITOR);
	assert_true(r->rule.boot);
	assert_int_equal(r->rule.gpa, 0x5000);
	assert_int_equal(vm_find_rule(back.vms[0], 4)->rule.gpa, 0x4000);
	r = vm_find_rule(back.vms[0], 3);
	assert_string_equal(r->policy, "");
	assert_null(r->policy_mode);
	assert_false(r->rule.boot);
	vm_table_done(&t);
	vm_table_done(&back);
}

static void choices(_unused_ void **state)
{
	struct vm_table t = { 0 }, back = { 0 };

	fill(&t);
	vm_table_find(&t, 18)->engine_chosen = true;
	assert_int_equal(state_save(dir, &t), 0);
	assert_int_equal(state_load(dir, &back), 1);
	assert_int_equal(back.n, 2);
	assert_false(back.vms[0]->engine_chosen);
	assert_true(back.vms[1]->engine_chosen);
	assert_int_equal(back.vms[1]->info.id, 18);
	assert_int_equal(back.vms[1]->n_rules, 0);
	assert_int_equal(back.vms[1]->next_rule, 1);
	vm_table_done(&t);
	vm_table_done(&back);
}

static void damaged(const char *text)
{
	struct vm_table t = { .n = 0 };
	char path[256];

	put(text);
	assert_int_equal(state_load(dir, &t), -EBADMSG);
	assert_int_equal(t.n, 0);
	assert_false(exists(MERLON_STATE_FILE));
	assert_true(exists(MERLON_STATE_FILE ".bad"));
	path_of(MERLON_STATE_FILE ".bad", path, sizeof(path));
	unlink(path);
}

/* Who a VM was when it was seen first. */
static void identities(_unused_ void **state)
{
	struct vm_table t = { 0 }, back = { 0 };
	struct vm *vm;

	fill(&t);
	vm = vm_table_find(&t, 18);
	vm->identified = true;
	strcpy(vm->identity.name, "web\\xff \"1\"");
	strcpy(vm->identity.uuid, "11111111-0000-4000-8000-000000000000");
	strcpy(vm->identity.unit, "machine-a.scope");
	assert_int_equal(state_save(dir, &t), 0);
	assert_int_equal(state_load(dir, &back), 1);
	vm = vm_table_find(&back, 18);
	assert_non_null(vm);
	assert_true(vm->identified);
	assert_string_equal(vm->identity.name, "web\\xff \"1\"");
	assert_string_equal(vm->identity.uuid, "11111111-0000-4000-8000-000000000000");
	assert_string_equal(vm->identity.unit, "machine-a.scope");
	assert_false(vm_table_find(&back, 17)->identified);
	vm_table_done(&back);
	vm_table_done(&t);
}

static void damage(_unused_ void **state)
{
	struct vm_table t = { 0 };
	char *good, *cut;

	damaged("");
	damaged("{");
	damaged("[]");
	damaged("{}");
	damaged("{\"version\":2}");
	damaged("\xff\xfe");
	fill(&t);
	assert_int_equal(state_save(dir, &t), 0);
	good = strdup(get());
	vm_table_done(&t);
	/* Cut anywhere, it is never half believed. */
	for (size_t n = strlen(good); n-- > 0;) {
		cut = strndup(good, n);
		damaged(cut);
		free(cut);
	}
	free(good);
}

static void replaced(const char *from, const char *to)
{
	struct vm_table t = { 0 };
	char *text, *at, out[8192];

	fill(&t);
	assert_int_equal(state_save(dir, &t), 0);
	vm_table_done(&t);
	text = get();
	at = strstr(text, from);
	assert_non_null(at);
	snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
	damaged(out);
}

static void impossible(_unused_ void **state)
{
	replaced("\"id\":17", "\"id\":0");
	replaced("\"id\":3", "\"id\":0");
	replaced("\"id\":3", "\"id\":16777216");
	replaced("\"next-rule\":9", "\"next-rule\":0");
	replaced("\"next-rule\":9", "\"next-rule\":99999999");
	replaced("\"next-rule\":9", "\"next-rule\":9,\"identity\":1");
	replaced("\"next-rule\":9", "\"next-rule\":9,\"identity\":{\"name\":\"\\u001b\"}");
	replaced("\"next-rule\":9", "\"next-rule\":9,\"identity\":{\"uuid\":"
		 "\"11111111-0000-4000-8000-0000000000000\"}");
	replaced("\"idt\"", "\"\"");
	replaced("0x1e0000", "0x1e0f81");
	replaced("skip", "hold");
}

static void other_boot(_unused_ void **state)
{
	struct vm_table t = { 0 };

	put("{\"version\":1,\"boot-id\":\"00000000000000000000000000000000\",\"vms\":[]}");
	assert_int_equal(state_load(dir, &t), 0);
	assert_true(exists(MERLON_STATE_FILE));
}

static void not_a_file(_unused_ void **state)
{
	struct vm_table t = { 0 };
	char path[256];

	path_of(MERLON_STATE_FILE, path, sizeof(path));
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(state_load(dir, &t), -EBADMSG);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(state_load(dir, &t), -EBADMSG);
	path_of(MERLON_STATE_FILE ".bad", path, sizeof(path));
	unlink(path);
	/* What lies in the way of the new file is not followed. */
	path_of("." MERLON_STATE_FILE ".tmp", path, sizeof(path));
	assert_int_equal(symlink("/nonexistent/x", path), 0);
	assert_int_equal(state_save(dir, &t), 0);
	assert_true(exists(MERLON_STATE_FILE));
	assert_int_equal(state_save("/nonexistent", &t), -ENOENT);
	assert_int_equal(state_load("/nonexistent", &t), -ENOENT);
}

static int setup(_unused_ void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(_unused_ void **state)
{
	char path[256];

	path_of(MERLON_STATE_FILE, path, sizeof(path));
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(round_trip), T(registers), T(policies), T(choices), T(identities), T(damage), T(impossible),
		T(other_boot), T(not_a_file),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
