// SPDX-License-Identifier: GPL-2.0-or-later
/* policy-files.c and last-good.c: which file counts, and whose. */
#include <ftw.h>
#include <sys/stat.h>

#include "last-good.h"
#include "policy-files.h"
#include "unit.h"

static char top[] = "/tmp/merlon-policy.XXXXXX";
static char paths[POLICY_NR_DIRS][64];
static const char *dirs[POLICY_NR_DIRS];

static void put(enum policy_dir dir, const char *file, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dirs[dir], file);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0644), 0);
}

static void take(enum policy_dir dir, const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dirs[dir], file);
	assert_int_equal(unlink(path), 0);
}

static struct policy_files read_files(void)
{
	struct policy_files files = {};
	const char *dir = NULL, *problem = NULL;

	assert_int_equal(policy_files_read(dirs, &files, &dir, &problem), 0);
	return files;
}

static int make(_unused_ void **state)
{
	static const char *const names[] = { "etc", "run", "lib" };

	assert_non_null(mkdtemp(top));
	for (int i = 0; i < POLICY_NR_DIRS; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", top, names[i]);
		dirs[i] = paths[i];
		assert_int_equal(mkdir(dirs[i], 0755), 0);
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int clean(_unused_ void **state)
{
	return nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void precedence(_unused_ void **state)
{
	struct policy_files f;

	put(POLICY_DIR_LIB, "a.json", "lib");
	put(POLICY_DIR_RUN, "a.json", "run");
	put(POLICY_DIR_ETC, "a.json", "etc");
	put(POLICY_DIR_LIB, "b.json", "lib");
	put(POLICY_DIR_RUN, "c.json", "run");
	f = read_files();
	assert_int_equal(f.n, 3);
	assert_string_equal(f.files[0].name, "a");
	assert_string_equal(f.files[0].text, "etc");
	assert_string_equal(f.files[1].text, "lib");
	assert_string_equal(f.files[2].text, "run");
	policy_files_done(&f);
	take(POLICY_DIR_ETC, "a.json");
	f = read_files();
	assert_string_equal(f.files[0].text, "run");
	policy_files_done(&f);
}

static void masks(_unused_ void **state)
{
	struct policy_files f;

	assert_int_equal(policy_file_mask(dirs[POLICY_DIR_ETC], "a"), 0);
	assert_int_equal(policy_file_mask(dirs[POLICY_DIR_ETC], "a"), -EEXIST);
	f = read_files();
	assert_int_equal(f.n, 3);
	assert_true(f.files[0].masked);
	assert_null(f.files[0].text);
	assert_null(f.files[0].error);
	assert_false(f.files[1].masked);
	policy_files_done(&f);
	assert_int_equal(policy_file_set_aside(dirs[POLICY_DIR_ETC], "a"), 0);
	assert_int_equal(policy_file_set_aside(dirs[POLICY_DIR_ETC], "a"), -ENOENT);
	f = read_files();
	assert_string_equal(f.files[0].text, "run");
	policy_files_done(&f);
}

static void has_error(const char *what)
{
	struct policy_files f = read_files();

	assert_string_equal(f.files[0].name, "a");
	assert_non_null(f.files[0].error);
	assert_null(f.files[0].text);
	if (!strstr(f.files[0].error, what))
		fail_msg("%s, not %s", f.files[0].error, what);
	policy_files_done(&f);
}

static void ownership(_unused_ void **state)
{
	struct policy_files f;
	char path[256];

	snprintf(path, sizeof(path), "%s/a.json", dirs[POLICY_DIR_ETC]);
	put(POLICY_DIR_ETC, "a.json", "etc");
	assert_int_equal(chmod(path, 0664), 0);
	has_error("owned by root and writable by nobody else");
	assert_int_equal(chmod(path, 0646), 0);
	has_error("owned by root and writable by nobody else");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(chown(path, 65534, 65534), 0);
	has_error("owned by root and writable by nobody else");
	assert_int_equal(chown(path, 0, 0), 0);
	f = read_files();
	assert_string_equal(f.files[0].text, "etc");
	policy_files_done(&f);
	take(POLICY_DIR_ETC, "a.json");
	assert_int_equal(symlink("../run/a.json", path), 0);
	has_error("symbolic link");
	take(POLICY_DIR_ETC, "a.json");
	assert_int_equal(mkfifo(path, 0644), 0);
	has_error("expected a regular file");
	take(POLICY_DIR_ETC, "a.json");
	assert_int_equal(mkdir(path, 0755), 0);
	has_error("expected a regular file");
	assert_int_equal(rmdir(path), 0);
	put(POLICY_DIR_ETC, "a.json", "");
	assert_int_equal(truncate(path, MERLON_TEXT_MAX + 1), 0);
	has_error("too large: expected at most 1048576 bytes");
	assert_int_equal(truncate(path, MERLON_TEXT_MAX), 0);
	f = read_files();
	assert_int_equal(f.files[0].len, MERLON_TEXT_MAX);
	policy_files_done(&f);
	take(POLICY_DIR_ETC, "a.json");
}

static void directories(_unused_ void **state)
{
	struct policy_files f = {};
	const char *dir = NULL, *problem = NULL;

	assert_int_equal(chmod(dirs[POLICY_DIR_RUN], 0777), 0);
	assert_int_equal(policy_files_read(dirs, &f, &dir, &problem), -EPERM);
	assert_string_equal(dir, dirs[POLICY_DIR_RUN]);
	assert_int_equal(policy_file_write(dirs[POLICY_DIR_RUN], "z", "z", 1), -EPERM);
	assert_int_equal(chmod(dirs[POLICY_DIR_RUN], 0755), 0);
	/* One that is not there is empty, and made when something is written into it. */
	dirs[POLICY_DIR_ETC] = "/tmp/merlon-policy-none";
	f = read_files();
	assert_int_equal(f.n, 3);
	policy_files_done(&f);
	dirs[POLICY_DIR_ETC] = paths[POLICY_DIR_ETC];
	assert_int_equal(rmdir(dirs[POLICY_DIR_ETC]), 0);
	assert_int_equal(policy_file_write(dirs[POLICY_DIR_ETC], "a", "new", 3), 0);
	f = read_files();
	assert_string_equal(f.files[0].text, "new");
	policy_files_done(&f);
	assert_int_equal(policy_file_remove(dirs[POLICY_DIR_ETC], "a"), 0);
	assert_int_equal(policy_file_remove(dirs[POLICY_DIR_ETC], "a"), -ENOENT);
}

static void other_files(_unused_ void **state)
{
	struct policy_files f;

	put(POLICY_DIR_ETC, "README", "");
	put(POLICY_DIR_ETC, "a.json.unloaded", "");
	put(POLICY_DIR_ETC, ".a.json.tmp", "");
	put(POLICY_DIR_ETC, "b\xff.json", "");
	f = read_files();
	assert_int_equal(f.n, 4);
	assert_string_equal(f.files[0].name, "");
	assert_non_null(strstr(f.files[0].error, "b\\xff.json: expected a file name"));
	policy_files_done(&f);
}

static bool is_a(const char *name, _unused_ void *userdata)
{
	return streq(name, "a");
}

static void last_good(_unused_ void **state)
{
	_cleanup_free_ char *text = NULL;
	char state_dir[128];
	size_t len;

	snprintf(state_dir, sizeof(state_dir), "%s/state", top);
	assert_int_equal(last_good_read(state_dir, "a", &text, &len), -ENOENT);
	assert_int_equal(last_good_save(state_dir, "a", "one", 3), 0);
	assert_int_equal(last_good_save(state_dir, "b", "two", 3), 0);
	assert_int_equal(last_good_save(state_dir, "a", "three", 5), 0);
	assert_int_equal(last_good_read(state_dir, "a", &text, &len), 0);
	assert_string_equal(text, "three");
	free(TAKE_PTR(text));
	last_good_sweep(state_dir, is_a, NULL);
	assert_int_equal(last_good_read(state_dir, "b", &text, &len), -ENOENT);
	assert_int_equal(last_good_read(state_dir, "a", &text, &len), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(precedence), T(masks), T(ownership), T(directories), T(other_files), T(last_good),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make, clean);
}
