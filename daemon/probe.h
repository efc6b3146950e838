/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this host can enforce, in words. */
#ifndef MERLON_PROBE_H
#define MERLON_PROBE_H

#include "manager.h"

/* A feature of struct kvm_vmi_caps, by its index; NULL past the last. */
const char *probe_feature(unsigned int index, uint64_t *ret_bit);

/* The JSON of Probe, to be freed with free(); 0 or -ENOMEM. */
int probe_report(const struct manager *m, char **ret);

#endif
