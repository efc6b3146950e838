// SPDX-License-Identifier: GPL-2.0-or-later
/* user.c: who is not there, and what nobody can say. */
#include <nss.h>
#include <sys/resource.h>

#include "match.h"
#include "settings.h"
#include "unit.h"
#include "user.h"

static struct rlimit before;

/* No more files can be opened: nobody finds out who is in /etc/passwd. */
static int close_up(_unused_ void **state)
{
	struct rlimit none;
	int fd;

	/* Others that nsswitch.conf names may answer without a file. */
	assert_int_equal(__nss_configure_lookup("passwd", "files"), 0);
	fd = dup(0);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit) { .rlim_cur = (rlim_t)fd, .rlim_max = before.rlim_max };
	return setrlimit(RLIMIT_NOFILE, &none);
}

static int open_up(_unused_ void **state)
{
	return setrlimit(RLIMIT_NOFILE, &before);
}

static void there(_unused_ void **state)
{
	uid_t uid = 1;

	assert_int_equal(user_lookup("root", &uid), 0);
	assert_int_equal(uid, 0);
	uid = 7;
	assert_int_equal(user_lookup("merlon-test-no-such-user", &uid), -ENOENT);
	assert_int_equal(uid, 7);
}

static void nobody_can_say(_unused_ void **state)
{
	struct match match = { .user = "daemon", .has_user = true };
	struct settings s;
	uid_t uid = 7;

	assert_int_equal(user_lookup("daemon", &uid), -EMFILE);
	assert_int_equal(uid, 7);
	assert_int_equal(match_resolve(&match), -EMFILE);
	assert_int_equal(match.uid, UINT32_MAX);
	/* merlond starts all the same. */
	assert_int_equal(settings_default(&s), 0);
	assert_int_equal(s.n_trusted, 0);
	settings_done(&s);
}

static void again(_unused_ void **state)
{
	struct match match = { .user = "root", .has_user = true };

	assert_int_equal(match_resolve(&match), 0);
	assert_int_equal(match.uid, 0);
	strcpy(match.user, "merlon-test-no-such-user");
	assert_int_equal(match_resolve(&match), 0);
	assert_int_equal(match.uid, UINT32_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(there), cmocka_unit_test_setup_teardown(nobody_can_say, close_up, open_up), T(again),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
