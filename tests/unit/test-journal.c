// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries of the journal: fields with lengths, turns, folded counts. */
#include "journal.h"
#include "unit.h"

static char entry[16384];
static unsigned int entries;
static int answer;

static int receive(const struct iovec *iov, int n)
{
	size_t len = 0;

	for (int i = 0; i < n; i++) {
		assert_true(len + iov[i].iov_len + 2 < sizeof(entry));
		memcpy(entry + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
		entry[len++] = '\n';
	}
	entry[len] = '\0';
	entries++;
	return answer;
}

static struct event violation(void)
{
	return (struct event) {
		.kind = MERLON_EVENT_VIOLATION, .vm = 17, .name = "%n\\x1b %s", .rule = "idt",
		.rule_id = 3, .access = "write", .verdict = "deny", .gpa = 0x1e0088,
		.time = 1000000000000ULL, .user = true,
	};
}

static void fields(_unused_ void **state)
{
	struct journal_limit limit = { 0 };
	struct event e = violation();

	entries = 0;
	assert_int_equal(journal_event(receive, &limit, &e), 1);
	assert_int_equal(entries, 1);
	assert_non_null(strstr(entry, "\nMESSAGE_ID=5a1cdfb0eec948cea546a9ed9a5434c9\n"));
	assert_non_null(strstr(entry, "\nMERLON_VM=17\n"));
	/* Not a format. */
	assert_non_null(strstr(entry, "\nMERLON_VM_NAME=%n\\x1b %s\n"));
	assert_non_null(strstr(entry, "\nMERLON_KIND=violation\n"));
	assert_non_null(strstr(entry, "\nMERLON_RULE=idt\n"));
	assert_non_null(strstr(entry, "\nMERLON_RULE_ID=3\n"));
	assert_non_null(strstr(entry, "\nMERLON_GPA=0x1e0088\n"));
	assert_non_null(strstr(entry, "\nMERLON_USER=1\n"));
	assert_non_null(strstr(entry, "\nPRIORITY=4\n"));
	assert_null(strstr(entry, "MERLON_FOLDED"));
	assert_non_null(strstr(entry, "MESSAGE=["));
}

static void turns(_unused_ void **state)
{
	struct journal_limit limit = { 0 }, other = { 0 };
	struct event e = violation();

	entries = 0;
	for (int i = 0; i < 100000; i++)
		journal_event(receive, &limit, &e);
	assert_int_equal(entries, JOURNAL_BURST);
	assert_int_equal(limit.folded, 100000 - JOURNAL_BURST);
	/* Another VM has its own. */
	assert_int_equal(journal_event(receive, &other, &e), 1);
	/* In time there is one more, which tells. */
	e.time += JOURNAL_NS - 1;
	assert_int_equal(journal_event(receive, &limit, &e), 0);
	e.time += 1;
	assert_int_equal(journal_event(receive, &limit, &e), 1);
	assert_non_null(strstr(entry, "\nMERLON_FOLDED=99981\n"));
	assert_int_equal(limit.folded, 0);
	assert_int_equal(journal_event(receive, &limit, &e), 0);
}

static void folded(_unused_ void **state)
{
	struct journal_limit limit = { .folded = 3 };

	entries = 0;
	answer = -EIO;
	assert_int_equal(journal_folded(receive, &limit, 17, "web-1"), -EIO);
	assert_int_equal(limit.folded, 3);
	answer = 0;
	assert_int_equal(journal_folded(receive, &limit, 17, "web-1"), 0);
	assert_non_null(strstr(entry, "\nMERLON_FOLDED=3\n"));
	assert_non_null(strstr(entry, "\nMERLON_VM_NAME=web-1\n"));
	assert_int_equal(journal_folded(receive, &limit, 17, "web-1"), 0);
	assert_int_equal(entries, 2);
}

/* What the journal did not take is counted. */
static void refused(_unused_ void **state)
{
	struct journal_limit limit = { 0 };
	struct event e = violation();

	answer = -ENOBUFS;
	assert_int_equal(journal_event(receive, &limit, &e), -ENOBUFS);
	answer = 0;
	assert_int_equal(limit.folded, 1);
}

static void degraded(_unused_ void **state)
{
	for (int i = 0; i < MERLON_DEGRADED_MAX; i++) {
		char id[64];

		snprintf(id, sizeof(id), "\nMESSAGE_ID=%s\n", merlon_degraded_message_id(i));
		assert_int_equal(journal_degraded(receive, i, true), 0);
		assert_non_null(strstr(entry, id));
		assert_non_null(strstr(entry, "\nMERLON_DEGRADED=1\n"));
	}
	assert_int_equal(journal_degraded(receive, MERLON_DEGRADED_EVENTS_LOST, false), 0);
	assert_non_null(strstr(entry, "MESSAGE=No longer degraded: events-lost.\n"));
	assert_non_null(strstr(entry, "\nMERLON_REASON=events-lost\n"));
	assert_non_null(strstr(entry, "\nMERLON_DEGRADED=0\n"));
}

UNIT_MAIN(T(fields), T(turns), T(folded), T(refused), T(degraded))
