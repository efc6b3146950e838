// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may call what: root, for now. */
#include "auth.h"
#include "util/util.h"

int auth_check(sd_bus_message *m, enum auth_action action, uid_t *ret_uid, sd_bus_error *reterr)
{
	_cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
	uid_t uid;
	int r;

	/* The bus says whose connection it is; a pid would tell about a process of now. */
	r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds);
	if (r >= 0)
		r = sd_bus_creds_get_euid(creds, &uid);
	if (r < 0)
		return sd_bus_error_set(reterr, SD_BUS_ERROR_ACCESS_DENIED,
					"The caller's uid cannot be told");
	if (uid != 0)
		return sd_bus_error_setf(reterr, SD_BUS_ERROR_ACCESS_DENIED,
					 "Only root may %s",
					 action == AUTH_MANAGE ? "change the protection of VMs" :
					 "learn of VMs and their protection");
	if (ret_uid)
		*ret_uid = uid;
	return 1;
}
