/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every suite of figures. */
#ifndef BENCH_SUITES_H
#define BENCH_SUITES_H

#include "lib/tap.h"

extern const struct test_suite suite_unused;
extern const struct test_suite suite_attached;
extern const struct test_suite suite_other;
extern const struct test_suite suite_map;
extern const struct test_suite suite_covered;
extern const struct test_suite suite_vmm;
extern const struct test_suite suite_violation;
extern const struct test_suite suite_change;
extern const struct test_suite suite_size;
extern const struct test_suite suite_fetch;
extern const struct test_suite suite_policy;
extern const struct test_suite suite_hardware;
extern const struct test_suite suite_pin;
extern const struct test_suite suite_isolation;

#endif /* BENCH_SUITES_H */
