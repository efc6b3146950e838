/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM's engine in words, as the verbs status and engine both print it. */
#ifndef MERLON_CLI_ENGINE_H
#define MERLON_CLI_ENGINE_H

#include "util/json.h"

/**
 * say_engine() - "engine hardware (auto), settled, table 16K"; no newline
 * @vm: as bus_describe_vm() gives it; a merlond that is older than engines leaves
 *	MERLON_VM_ENGINE out, which is for the caller to find
 */
void say_engine(struct json_object *vm);

#endif
