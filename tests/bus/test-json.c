// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What --json prints has the members that docs/merlon.1 and org.merlon1.xml name, of their
 * types, and no others: scripts rest on it. Members are added, here too, never changed.
 */
#include "harness.h"

static struct run r;

/*
 * Members with spaces between: "name:type", s string, n number, b boolean, a array, o object;
 * "?" before those that may be left out.
 */
#define VM "id:n name:s name-trusted:b uuid:s uid:n pid:n unit:s state:s generation:n rules:n "	\
	"violations:n lost:n vcpus:n engine:s engine-wanted:s engine-settled:b engine-bytes:n"
#define COUNTERS "violations:n denied:n allowed:n skipped:n bad-verdicts:n unemulatable:n "	\
	"opened:n kvm-writes:n stepped:n granted:n"
#define RULE "name:s id:n gpa:s length:n frames:n engine:s ?exceptions:n write:s read:s execute:s "	\
	"mode:s action:s default:s on-reset:s arm:s ?policy:s page-table:b device-writes:s"
#define CLAIM "rule:s id:n ?policy:s write:s read:s execute:s write-map:s action:s mode:s "	\
	"armed:b orphan:b"
#define CHANGES "policies:n invalid:a changes:a"

static const struct {
	const char *args[8];
	const char *inside;	/* names and numbers with '/' between; "": the value itself */
	const char *members;
} cases[] = {
	{ { "probe" }, "", "version:s kernel:o isolation:o engine-default:s missing:a "
	  "degraded:a" },
	{ { "list" }, "0", VM },
	{ { "protect", "web-1", "--name=idt", "--gpa=0x1e0000", "--length=4K", "--write=deny",
	    "--dry-run" }, "would-apply/0", RULE },
	{ { "protect", "web-1", "--name=idt", "--gpa=0x1e0000", "--length=4K", "--write=deny" },
	  "applied/0", RULE },
	{ { "status" }, "", "degraded:a vms:a" },
	{ { "status", "web-1" }, "vms/0/rules/0", RULE " armed:b orphan:b " COUNTERS },
	{ { "owner", "web-1", "0x1e0000" }, "", "claims:a gpa:s ?write:n ?read:n ?execute:n" },
	{ { "owner", "web-1", "0x1e0000" }, "claims/0", CLAIM },
	{ { "explain", "web-1", "0x1e0000" }, "", "id:n name:s gpa:s frame:s sub-page:n engine:s "
	  "rules:a write:o read:o execute-user:o execute-kernel:o" },
	{ { "explain", "web-1", "0x1e0000" }, "rules/0",
	  CLAIM " arm:s default:s engine:s ?file:s ?policy-state:s ?why:s" },
	{ { "explain", "web-1", "0x1e0000" }, "write", "verdict:s says:s ?rule:s" },
	{ { "mode", "web-1", "idt", "monitor", "--dry-run" }, NULL, NULL },
	{ { "mode", "web-1", "idt", "monitor" }, NULL, NULL },
	{ { "arm", "web-1", "--dry-run" }, "", "would-arm:a" },
	{ { "arm", "web-1" }, "", "armed:a" },
	{ { "engine", "web-1" }, "",
	  "id:n name:s engine:s engine-wanted:s engine-settled:b engine-bytes:n" },
	{ { "policy", "list" }, "0",
	  "name:s file:s state:s ?mode:s ?rules:n ?vms:a ?error:s" },
	{ { "policy", "reload", "--dry-run" }, "", CHANGES },
	{ { "policy", "diff" }, "", CHANGES },
	{ { "policy", "check", "docs/examples/linux-cpu-protections.json" }, "0",
	  "file:s valid:b name:s mode:s rules:n boot:n" },
	{ { "isolation", "status" }, "", "host:o vms:a" },
	{ { "metrics" }, "", "openmetrics:s" },
	{ { "unprotect", "web-1", "idt", "--dry-run" }, "", "would-remove:a" },
	{ { "unprotect", "web-1", "idt" }, "", "removed:a" },
	{ { "clear", "--dry-run" }, "", "would-clear:a" },
	{ { "clear" }, "", "cleared:a" },
};

static struct json_object *descend(struct json_object *o, const char *path)
{
	while (o && *path) {
		size_t n = strcspn(path, "/");
		char key[64];

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		if (json_object_is_type(o, json_type_array))
			o = json_object_array_get_idx(o, strtoul(key, NULL, 10));
		else if (!json_object_object_get_ex(o, key, &o))
			o = NULL;
		path += n + (path[n] == '/');
	}
	return o;
}

static bool has_type(struct json_object *value, char type)
{
	switch (type) {
	case 's':
		return json_object_is_type(value, json_type_string);
	case 'n':
		return json_object_is_type(value, json_type_int);
	case 'b':
		return json_object_is_type(value, json_type_boolean);
	case 'a':
		return json_object_is_type(value, json_type_array);
	default:
		return json_object_is_type(value, json_type_object);
	}
}

/* Is it an object of these members?  Says what is wrong. */
static bool check_members(struct json_object *o, const char *members)
{
	_cleanup_free_ char *copy = strdup(members);
	char *rest = copy, *word;
	int known = 0;

	if (!json_object_is_type(o, json_type_object))
		return false;
	while ((word = strsep(&rest, " "))) {
		struct json_object *value;
		bool optional = *word == '?';
		char *colon = strchr(word, ':');

		word += optional;
		*colon = '\0';
		if (!json_object_object_get_ex(o, word, &value)) {
			if (optional)
				continue;
			note("no member %s", word);
			return false;
		}
		if (!has_type(value, colon[1])) {
			note("member %s is of another type", word);
			return false;
		}
		known++;
	}
	if (known != json_object_object_length(o))
		note("there are other members");
	return known == json_object_object_length(o);
}

static void check_case(size_t i)
{
	_cleanup_json_ struct json_object *o = NULL;
	const char *const *a = cases[i].args;
	size_t n;

	run_merlon(&r, "--json", a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], NULL);
	n = strlen(r.out);
	if (!ok(r.exit == 0 && n && strchr(r.out, '\n') == r.out + n - 1 &&
		json_parse(r.out, n, &o) >= 0, "%s %s --json is one line of JSON", a[0], a[1] ?: ""))
		note("exit %d %s%s", r.exit, r.out, r.err);
	if (cases[i].members &&
	    !ok(check_members(descend(o, cases[i].inside), cases[i].members),
		"which has at /%s what it is to have", cases[i].inside))
		note("%s", r.out);
}

/* The checker would see it if a member were missing, new, or of another type. */
static void check_checker(void)
{
	_cleanup_json_ struct json_object *o = NULL;
	static const char text[] = "{\"a\":1,\"b\":\"x\"}";

	(void)json_parse(text, strlen(text), &o);
	ok(check_members(o, "a:n b:s") && check_members(o, "a:n b:s ?c:a"), "members as they are");
	ok(!check_members(o, "a:n") && !check_members(o, "a:n b:s c:a") &&
	   !check_members(o, "a:s b:s"), "and as they are not");
}

int main(int argc, char **argv)
{
	char path[256];
	FILE *f;

	harness_init(argc, argv);
	check_checker();
	harness_start("");
	vm_add(17, 0, "guest=web-1", "8e6b5c2e-0d3c-4b51-9f0e-4a1c7e2d9b11");
	snprintf(path, sizeof(path), "%s/p.json", harness_dir());
	f = fopen(path, "we");
	if (f) {
		fputs("{ \"version\": 1, \"name\": \"p\", \"match\": { \"vm\": \"db-*\" }, \"rules\": [\n"
		      "{ \"name\": \"a\", \"gpa\": \"0x5000\", \"length\": \"4K\", \"write\": \"deny\" } ] }\n",
		      f);
		fclose(f);
	}
	run_merlon(&r, "policy", "load", path, NULL);
	ran(&r, 0, "", "a policy of other VMs");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_case(i);
	return harness_end();
}
