// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who checks writes to parts of a page: shown, chosen until a VM is first
 * protected, kept by the kernel while merlond comes and goes.
 */
#include <signal.h>
#include <sys/stat.h>

#include "harness.h"

static struct run r;

/* What the kernel has of a VM: "auto software settled". */
static bool kernel_has(unsigned int vm, const char *expected)
{
	const char *answer = startswith(fake("engine %u", vm), "ok ");

	return (answer && streq(answer, expected)) || (note("#%u: %s", vm, answer ?: "?"), false);
}

static void restart(void)
{
	harness_kill(SIGKILL);
	harness_start_daemon();
}

/* NULL: none. */
static void settings(const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/merlond.json", harness_dir());
	unlink(path);
	f = text ? fopen(path, "we") : NULL;
	if (f) {
		fputs(text, f);
		fclose(f);
		chmod(path, 0644);
	}
	restart();
}

/* 128 bytes, or a page; exits 0. */
static bool protect(const char *vm, const char *name, const char *length)
{
	char option[64], size[64];

	snprintf(option, sizeof(option), "--name=%s", name);
	snprintf(size, sizeof(size), "--length=%s", length);
	run_merlon(&r, "protect", vm, option, "--gpa=0x200000", size, "--write=deny", NULL);
	return r.exit == 0 || (note("%s%s", r.out, r.err), false);
}

static void without_hardware(void)
{
	static const char *const words[] = { "", "Auto", "sw", "software ", "page", "\xff",
					     "\x1b[2J" };

	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "engines      software\n", "probe lists the one engine");
	ok(strstr(r.out, "engine       auto, which takes software (hardware is not available)\n"),
	   "and what VMs get") || (note("%s", r.out), true);

	run_merlon(&r, "probe", "--json", NULL);
	ok(strstr(r.out, "\"engines\":[\"software\"],\"engine-auto\":\"software\"") &&
	   strstr(r.out, "\"engine-default\":\"auto\""),
	   "as JSON, too") || (note("%s", r.out), true);

	run_merlon(&r, "engine", "web-1", NULL);
	ran(&r, 0, "web-1 (#17): engine software (auto), not settled\n", "engine shows it");
	run_merlon(&r, "engine", "web-1", "hardware", NULL);
	ran(&r, 6, "'hardware' is not available here", "hardware that is not there: 6");
	run_merlon(&r, "engine", "web-1", "hardware", "--dry-run", NULL);
	ran(&r, 6, "merlon probe", "dry, too, with a hint");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		run_merlon(&r, "engine", "web-1", words[i], NULL);
		ran(&r, 2, "expected auto, software or hardware", "wrong word %zu: 2", i);
	}
	ok(kernel_has(17, "auto software"), "none of that changed anything");

	run_merlon(&r, "engine", "web-1", "software", "--dry-run", NULL);
	ran(&r, 0, "engine software would be set", "engine --dry-run");
	ok(kernel_has(17, "auto software"), "changed nothing");
	run_merlon(&r, "engine", "web-1", "software", NULL);
	ran(&r, 0, "web-1 (#17): engine software is set\n", "software is chosen");
	ok(kernel_has(17, "software software") && kernel_has(18, "auto software"),
	   "for that VM and no other");
	run_merlon(&r, "engine", "web-1", "auto", NULL);
	ran(&r, 0, "engine auto is set, which takes software\n", "auto, again");
	ok(kernel_has(17, "auto software"), "the kernel has it");
	run_merlon(&r, "engine", "#99", "software", NULL);
	ran(&r, 5, "#99", "no such VM is 5");
	run_merlon(&r, "engine", NULL);
	ran(&r, 2, "an operand is missing", "engine needs a VM");
}

static void settled(void)
{
	_cleanup_json_ struct json_object *o = NULL;

	ok(protect("web-1", "sub", "128") && kernel_has(17, "auto software settled"),
	   "protecting settles it");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "  engine software (auto), settled\n", "status says so");
	run_merlon(&r, "engine", "web-1", "software", NULL);
	ran(&r, 1, "VM #17 has been protected, and its engine (software) is settled",
	    "then there is no choice: 1");
	ok(strstr(r.err, "stop the VM and start it anew"), "with what to do");
	run_merlon(&r, "engine", "web-1", "auto", "--dry-run", NULL);
	ran(&r, 1, "settled", "dry, too");
	run_merlon(&r, "unprotect", "web-1", "--all", NULL);
	fake("reset 17");
	run_merlon(&r, "engine", "web-1", "software", NULL);
	ran(&r, 1, "settled", "nor when its rules are gone, nor after a reset");
	run_merlon(&r, "engine", "other", "software", NULL);
	ran(&r, 0, "is set", "another VM still has it");

	/* Somebody was first, after we looked. */
	fake("fail set_engine 16");
	run_merlon(&r, "engine", "other", "auto", NULL);
	ran(&r, 1, "settled", "the kernel has the last word");
	fake("fail set_engine 95");
	run_merlon(&r, "engine", "other", "auto", NULL);
	ran(&r, 6, "not available", "also about hardware");
	fake("fail set_engine 4");
	run_merlon(&r, "engine", "other", "auto", NULL);
	ran(&r, 1, "Choosing the engine failed", "any other error");
	ok(kernel_has(18, "software software"), "and changed nothing");

	run_merlon(&r, "engine", "web-1", "--json", NULL);
	if (json_parse(r.out, strlen(r.out), &o) < 0)
		o = NULL;
	ok(r.exit == 0 && json_get_u64(o, "id", 0) == 17 &&
	   streq(json_get_string(o, "engine", ""), "software") &&
	   streq(json_get_string(o, "engine-wanted", ""), "auto") &&
	   json_get_bool(o, "engine-settled", false) &&
	   json_get_u64(o, "engine-bytes", 77) == 0, "engine --json") || (note("%s", r.out), true);
}

/* The rule @name's engine, as status --json has it. */
static bool rule_has(struct json_object *vm, const char *name, const char *engine)
{
	struct json_object *rules = json_get_array(vm, "rules");

	for (size_t i = 0; rules && i < json_object_array_length(rules); i++) {
		struct json_object *rule = json_object_array_get_idx(rules, i);

		if (streq(json_get_string(rule, "name", ""), name))
			return streq(json_get_string(rule, "engine", ""), engine);
	}
	return false;
}

static void with_hardware(void)
{
	_cleanup_json_ struct json_object *o = NULL;
	struct json_object *vms, *vm;

	fake("hardware on");
	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "engines      software hardware\nengine       auto, which takes hardware\n",
	    "probe lists both engines");
	vm_add(19, 0, "fast", NULL);
	vm_add(20, 0, "slow", NULL);
	run_merlon(&r, "engine", "fast", NULL);
	ran(&r, 0, "engine hardware (auto), not settled\n", "auto takes hardware");
	run_merlon(&r, "protect", "fast", "--name=x", "--gpa=0x1000", "--length=128",
		   "--write=deny", "--dry-run", NULL);
	ran(&r, 0, "engine hardware", "protect --dry-run says which it would be");
	ok(kernel_has(19, "auto hardware"), "and settles nothing");
	run_merlon(&r, "engine", "slow", "hardware", "--json", NULL);
	ran(&r, 0, "{\"set\":{\"engine\":\"hardware\",\"engine-wanted\":\"hardware\"}}\n",
	    "hardware is chosen");
	run_merlon(&r, "engine", "slow", "software", NULL);
	ok(protect("fast", "sub", "128") && protect("fast", "page", "4K") &&
	   protect("slow", "sub", "128"), "both are protected");
	ok(kernel_has(19, "auto hardware settled") && kernel_has(20, "software software settled"),
	   "each by its own");
	ok(startswith(fake("write 19 0x200000 8"), "ok denied") &&
	   startswith(fake("write 20 0x200000 8"), "ok denied") &&
	   startswith(fake("write 20 0x200080 8"), "ok allowed"), "which deny the same");

	run_merlon(&r, "status", "fast", NULL);
	ran(&r, 0, "  engine hardware (auto), settled, table 16K\n",
	    "status shows the table's memory");
	run_merlon(&r, "status", "--json", NULL);
	if (json_parse(r.out, strlen(r.out), &o) < 0)
		o = NULL;
	vms = json_get_array(o, "vms");
	vm = vms ? json_object_array_get_idx(vms, 2) : NULL;
	ok(json_get_u64(vm, "id", 0) == 19 &&
	   streq(json_get_string(vm, "engine", ""), "hardware") &&
	   streq(json_get_string(vm, "engine-wanted", ""), "auto") &&
	   json_get_bool(vm, "engine-settled", false) &&
	   json_get_u64(vm, "engine-bytes", 0) == 16384,
	   "status --json") || (note("%s", r.out), true);
	ok(rule_has(vm, "sub", "hardware") && rule_has(vm, "page", "page"),
	   "a rule on a part of a page is the engine's, one on pages needs none");
	ok(vms && rule_has(json_object_array_get_idx(vms, 3), "sub", "software"),
	   "of the other VM it is software's");
	run_merlon(&r, "engine", "fast", "software", NULL);
	ran(&r, 1, "its engine (hardware) is settled", "hardware settles like software");

	/* What the host would give to new VMs now changes nothing for these. */
	fake("hardware off");
	restart();
	ok(kernel_has(19, "auto hardware settled") && kernel_has(20, "software software settled"),
	   "killed and restarted, merlond leaves them alone");
	run_merlon(&r, "engine", "fast", NULL);
	ran(&r, 0, "engine hardware (auto), settled, table 16K", "and shows what the kernel says");
	fake("hardware on");
}

static void defaults(void)
{
	_cleanup_free_ char *log = NULL;

	settings("{\"engine\":\"software\"}");
	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "engine       software\n", "settings: probe shows the default");
	vm_add(30, 0, "plain", NULL);
	vm_add(31, 0, "chosen", NULL);
	vm_add(32, 0, "unlucky", NULL);
	run_merlon(&r, "engine", "plain", NULL);
	ran(&r, 0, "engine software, not settled\n", "what it would be");
	ok(kernel_has(30, "auto hardware"), "which nobody was asked for yet");
	run_merlon(&r, "pin", "plain", "--cr0=wp", NULL);
	ok(r.exit == 0 && kernel_has(30, "auto hardware"), "nor is when registers are pinned");
	ok(protect("plain", "sub", "128") && kernel_has(30, "software software settled"),
	   "it is asked for when the VM is first protected");

	run_merlon(&r, "engine", "chosen", "auto", NULL);
	restart();
	run_merlon(&r, "engine", "chosen", NULL);
	ran(&r, 0, "engine hardware (auto), not settled\n",
	    "a choice of auto is one, also after a restart");
	ok(protect("chosen", "sub", "128") && kernel_has(31, "auto hardware settled"),
	   "and counts more than the settings");

	fake("fail set_access 12");
	ok(!protect("unlucky", "sub", "128") && kernel_has(32, "auto hardware"),
	   "protection that fails leaves the engine as it was");
	fake("fail set_engine 12");
	ok(protect("unlucky", "sub", "128") && kernel_has(32, "auto hardware settled"),
	   "an engine that is not to be had is no reason to protect nothing");
	ok(startswith(fake("write 32 0x200000 8"), "ok denied") &&
	   startswith(fake("write 32 0x200080 8"), "ok allowed"), "the VM is protected");

	fake("hardware off");
	settings("{\"engine\":\"hardware\"}");
	log = harness_log();
	ok(strstr(log, "Settings ask for engine 'hardware', which is not available here"),
	   "a default that is not available is warned of");
	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "engine       hardware, which takes software (hardware is not available)\n",
	    "probe says what comes of it");
	vm_add(33, 0, "hopeful", NULL);
	ok(protect("hopeful", "sub", "128") && kernel_has(33, "auto software settled"),
	   "VMs are protected all the same");
	fake("hardware on");
	settings("{\"engine\":\"hardware\"}");
	vm_add(34, 0, "sure", NULL);
	ok(protect("sure", "sub", "128") && kernel_has(34, "hardware hardware settled"),
	   "where it is available it is asked for");

	settings("{\"engine\":\"fast\"}");
	run_merlon(&r, "status", NULL);
	ran(&r, 3, "settings-invalid", "another word is an error of the settings");
	settings(NULL);
}

static void other_vms(void)
{
	fake("vm 40 %d unsupported", (int)vmm_start(0, "sev", NULL));
	run_merlon(&r, "engine", "#40", "software", NULL);
	ran(&r, 6, "private memory", "a VM that cannot be protected has no choice: 6");
	vm_add(41, 0, "shot", NULL);
	fake("kill 41");
	run_merlon(&r, "engine", "#41", "software", NULL);
	ran(&r, 5, "dead", "nor has a dead one: 5");
}

static void older_kernel(void)
{
	fake("abi 1");
	restart();
	vm_add(50, 0, "old", NULL);
	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "engines      software\n", "interface 1: probe");
	run_merlon(&r, "engine", "old", NULL);
	ran(&r, 0, "engine software (auto), settled\n", "interface 1: there is the one engine");
	run_merlon(&r, "engine", "old", "software", NULL);
	ran(&r, 6, "This kernel (interface 1) has no choice of engines",
	    "interface 1: no choice: 6");
	settings("{\"engine\":\"software\"}");
	ok(protect("old", "sub", "128") && startswith(fake("write 50 0x200000 8"), "ok denied"),
	   "interface 1: protects, whatever the settings say");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	vm_add(18, 0, "other", NULL);
	without_hardware();
	settled();
	with_hardware();
	defaults();
	other_vms();
	older_kernel();
	return harness_end();
}
