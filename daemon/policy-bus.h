/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The methods of org.merlon1.Manager about policies; rows of manager-bus.c's table. */
#ifndef MERLON_POLICY_BUS_H
#define MERLON_POLICY_BUS_H

#include <systemd/sd-bus.h>

int policy_bus_reload(sd_bus_message *call, void *userdata, sd_bus_error *reterr);
int policy_bus_list(sd_bus_message *call, void *userdata, sd_bus_error *reterr);
int policy_bus_load(sd_bus_message *call, void *userdata, sd_bus_error *reterr);
int policy_bus_unload(sd_bus_message *call, void *userdata, sd_bus_error *reterr);

#endif
