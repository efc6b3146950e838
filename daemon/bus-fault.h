/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors as they travel: names of api/names.h with a sentence for people.
 */
#ifndef MERLON_BUS_FAULT_H
#define MERLON_BUS_FAULT_H

#include <systemd/sd-bus.h>

#include "api/names.h"
#include "util/util.h"

/* Fills @reterr; is a negative errno, so that it can be returned. */
int bus_fault(sd_bus_error *reterr, enum merlon_error error, const char *format, ...)
	_printf_(3, 4);

/**
 * bus_fault_errno() - an errno of struct kernel_ops
 * @reterr: to be filled
 * @r: negative
 * @what: what failed, like "setting rules"
 *
 * Return: a negative errno.
 */
int bus_fault_errno(sd_bus_error *reterr, int r, const char *what);

/**
 * bus_fault_parse() - an errno of rules_parse() or policy_parse()
 * @reterr: to be filled
 * @r: negative
 * @message: what was expected where, may be NULL
 *
 * Return: a negative errno.
 */
int bus_fault_parse(sd_bus_error *reterr, int r, const char *message);

#endif
