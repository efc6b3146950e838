// SPDX-License-Identifier: GPL-2.0-or-later
/* settings.c: merlond.json, believed only if it is root's and right. */
#include <sys/stat.h>

#include "settings.h"
#include "unit.h"

static char path[] = "/tmp/merlon-settings.XXXXXX";

static int load(const char *text, struct settings *ret, char **message)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	*message = NULL;
	return settings_load(path, ret, message);
}

static void good(const char *text, enum kvm_vmi_admission admission, uint32_t ms, bool trusts_4242)
{
	struct settings s;
	char *message;

	assert_int_equal(load(text, &s, &message), 0);
	assert_int_equal(s.admission, admission);
	assert_int_equal(s.admission_ms, ms);
	assert_int_equal(settings_trusts(&s, 4242), trusts_4242);
	assert_true(settings_trusts(&s, 0));
	assert_false(settings_trusts(&s, 65534));
	settings_done(&s);
}

/* @where: how the message begins after the file's name. */
static void bad(const char *text, const char *where)
{
	struct settings s = { .admission_ms = 77 };
	char *message;

	assert_int_equal(load(text, &s, &message), -EINVAL);
	assert_non_null(message);
	assert_non_null(startswith(message, path));
	assert_non_null(startswith(message + strlen(path), where));
	assert_int_equal(s.admission_ms, 77);
	free(message);
}

static void right(_unused_ void **state)
{
	good("{}", KVM_VMI_ADMIT_OFF, 2000, false);
	good("{\"admission\":\"closed\"}", KVM_VMI_ADMIT_CLOSED, 2000, false);
	good("{\"admission\":\"open\",\"admission-ms\":60000}", KVM_VMI_ADMIT_OPEN, 60000, false);
	good("{\"trusted-vmm-users\":[\"4242\"]}", KVM_VMI_ADMIT_OFF, 2000, true);
	good("{\"trusted-vmm-users\":[]}", KVM_VMI_ADMIT_OFF, 2000, false);
	good("{\"trusted-vmm-users\":[\"no-such-user-here\"]}", KVM_VMI_ADMIT_OFF, 2000, false);
}

static void engine_is(const char *text, enum kvm_vmi_engine engine)
{
	struct settings s = { .engine = KVM_VMI_NR_ENGINES };
	char *message;

	assert_int_equal(load(text, &s, &message), 0);
	assert_int_equal(s.engine, engine);
	settings_done(&s);
}

static void engines(_unused_ void **state)
{
	engine_is("{}", KVM_VMI_ENGINE_AUTO);
	engine_is("{\"engine\":\"auto\"}", KVM_VMI_ENGINE_AUTO);
	engine_is("{\"engine\":\"software\"}", KVM_VMI_ENGINE_SOFTWARE);
	engine_is("{\"admission\":\"off\",\"engine\":\"hardware\"}", KVM_VMI_ENGINE_HARDWARE);
	bad("{\"engine\":\"page\"}", ":1:11: /engine: expected \"auto\", \"software\" or");
	bad("{\n\"engine\":2}", ":2:10: /engine: expected");
	bad("{\"engine\":null}", ":1:11: /engine: expected");
	bad("{\"engine\":\"auto\",\"engine\":\"auto\"}", ":1:");
}

static void wrong(_unused_ void **state)
{
	bad("", ":1:1: ");
	bad("[]", ":1:1: /: expected an object");
	bad("null", ":1:1: /: expected an object");
	bad("{\"admision\":\"off\"}", ":1:2: /: expected trusted-vmm-users");
	bad("{\"admission\":\"ajar\"}", ":1:14: /admission: expected");
	bad("{\"admission\":true}", ":1:14: /admission: expected");
	bad("{\n \"admission-ms\":0}", ":2:17: /admission-ms: expected");
	bad("{\"admission-ms\":60001}", ":1:17: ");
	bad("{\"admission-ms\":\"5\"}", ":1:17: ");
	bad("{\"trusted-vmm-users\":\"qemu\"}", ":1:22: /trusted-vmm-users: expected");
	bad("{\"trusted-vmm-users\":[\"\"]}", ":1:23: /trusted-vmm-users/0: expected");
	bad("{\"trusted-vmm-users\":[\"qemu\",7]}", ":1:30: /trusted-vmm-users/1: expected");
	bad("{\"trusted-vmm-users\":[\"99999999999\"]}", ":1:23: ");
	bad("{\"admission\":\"off\",\"admission\":\"off\"}", ":1:");
}

static void whose(_unused_ void **state)
{
	struct settings s;
	char *message = NULL, link[sizeof(path) + 4];

	assert_int_equal(settings_load("/nonexistent/merlond.json", &s, &message), 0);
	assert_int_equal(s.admission, KVM_VMI_ADMIT_OFF);
	settings_done(&s);

	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(load("{}", &s, &message), -EPERM);
	assert_non_null(message);
	free(message);
	assert_int_equal(chmod(path, 0644), 0);

	snprintf(link, sizeof(link), "%s.ln", path);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(settings_load(link, &s, &message), -ELOOP);
	free(message);
	unlink(link);
	assert_int_equal(mkfifo(link, 0600), 0);
	assert_int_equal(settings_load(link, &s, &message), -EPERM);
	free(message);
	unlink(link);
}

static void defaults_are_those_without_a_file(_unused_ void **state)
{
	struct settings absent, defaults;
	char *message = NULL;

	assert_int_equal(settings_load("/nonexistent/merlond.json", &absent, &message), 0);
	assert_int_equal(settings_default(&defaults), 0);
	assert_int_equal(defaults.n_trusted, absent.n_trusted);
	for (size_t i = 0; i < absent.n_trusted; i++)
		assert_int_equal(defaults.trusted[i], absent.trusted[i]);
	assert_int_equal(defaults.admission, absent.admission);
	assert_int_equal(defaults.admission_ms, absent.admission_ms);
	assert_int_equal(defaults.engine, absent.engine);
	assert_false(defaults.admission_said);
	settings_done(&absent);
	settings_done(&defaults);
}

static int setup(_unused_ void **state)
{
	int fd = mkstemp(path);

	return fd < 0 || fchmod(fd, 0644) < 0 || close(fd) < 0 ? -1 : 0;
}

static int teardown(_unused_ void **state)
{
	return unlink(path);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { T(right), T(engines), T(wrong), T(whose),
						   T(defaults_are_those_without_a_file) };

	/* Files of others than root are refused, whatever is in them. */
	if (geteuid() != 0) {
		puts("1..0 # SKIP needs root");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
