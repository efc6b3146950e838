// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * settings.c and state.c: files, which somebody has damaged.  Settings are read or refused in
 * one line; a state is loaded, or set aside and gone from where it was.  The first byte says
 * which of them it is; an '@' in a state stands for the host's boot id, without which nothing
 * of it would be looked at.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-id128.h>

#include "fuzz.h"
#include "settings.h"
#include "state.h"
#include "util/util.h"

static char dir[] = "/tmp/merlon-fuzz.XXXXXX";
static char boot[SD_ID128_STRING_MAX];
static char config[sizeof(dir) + 32], state[sizeof(dir) + 32], bad[sizeof(dir) + 32];

static void clean(void)
{
	(void)unlink(config);
	(void)unlink(state);
	(void)unlink(bad);
	(void)rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	sd_id128_t id;

	(void)argc;
	(void)argv;
	HOLDS(sd_id128_get_boot(&id) == 0);
	sd_id128_to_string(id, boot);
	HOLDS(mkdtemp(dir));
	snprintf(config, sizeof(config), "%s/merlond.json", dir);
	snprintf(state, sizeof(state), "%s/" MERLON_STATE_FILE, dir);
	snprintf(bad, sizeof(bad), "%s/" MERLON_STATE_FILE ".bad", dir);
	HOLDS(atexit(clean) == 0);
	return 0;
}

static void put(const char *path, const uint8_t *data, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen(path, "we");

	HOLDS(f);
	for (size_t i = 0; i < size; i++)
		HOLDS(data[i] == '@' ? fputs(boot, f) >= 0 : fputc(data[i], f) != EOF);
}

static void try_settings(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *message = NULL;
	struct settings s;
	int r;

	put(config, data, size);
	r = settings_load(config, &s, &message);
	if (r < 0) {
		HOLDS(r == -EINVAL || r == -EOPNOTSUPP || r == -E2BIG);
		holds_message(message, config);
		return;
	}
	HOLDS(!message);
	settings_done(&s);
}

static void try_state(const uint8_t *data, size_t size)
{
	struct vm_table table = { 0 }, again = { 0 };
	int r;

	(void)unlink(bad);
	put(state, data, size);
	r = state_load(dir, &table);
	if (r < 0) {
		HOLDS(r == -EBADMSG);
		HOLDS(!table.n);
		HOLDS(access(bad, F_OK) == 0 && access(state, F_OK) < 0);
		return;
	}
	/* What was read is saved, and read again. */
	HOLDS(state_save(dir, &table) == 0);
	HOLDS(state_load(dir, &again) >= 0);
	HOLDS(again.n <= table.n);
	vm_table_done(&table);
	vm_table_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] == 's')
		try_settings(data + 1, size - 1);
	else
		try_state(data + 1, size - 1);
	return 0;
}
