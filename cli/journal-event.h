/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events as merlond wrote them to the journal (daemon/journal.c). */
#ifndef MERLON_CLI_JOURNAL_EVENT_H
#define MERLON_CLI_JOURNAL_EVENT_H

#include <systemd/sd-journal.h>

#include "util/json.h"

/**
 * journal_event_read() - the entry that the journal stands at, as JSON has events
 * @j: it
 * @ret: members as a line of 'merlon watch --json' has them; untouched on failure
 *
 * Return: 0; -EBADMSG for an entry that is no event, or one with members that are not what
 * they should be; -ENOMEM; what sd-journal returned.
 */
int journal_event_read(sd_journal *j, struct json_object **ret);

/* Events that had no entry of their own before this one; 0 for none. */
uint64_t journal_event_folded(sd_journal *j);

#endif
