/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every suite, one per file. */
#ifndef KVM_TEST_SUITES_H
#define KVM_TEST_SUITES_H

#include "lib/tap.h"

extern const struct test_suite suite_baseline;
extern const struct test_suite suite_write;
extern const struct test_suite suite_instructions;
extern const struct test_suite suite_verdict;
extern const struct test_suite suite_event;
extern const struct test_suite suite_walk;
extern const struct test_suite suite_unemulatable;
extern const struct test_suite suite_step;
extern const struct test_suite suite_avx512;
extern const struct test_suite suite_execute;
extern const struct test_suite suite_read;
extern const struct test_suite suite_learn;
extern const struct test_suite suite_kvmwrite;
extern const struct test_suite suite_nested;
extern const struct test_suite suite_hypervisor;
extern const struct test_suite suite_nestedwrite;
extern const struct test_suite suite_survive;
extern const struct test_suite suite_map;
extern const struct test_suite suite_badinput;
extern const struct test_suite suite_reset;
extern const struct test_suite suite_admission;
extern const struct test_suite suite_observe;
extern const struct test_suite suite_hammer;
extern const struct test_suite suite_engine;
extern const struct test_suite suite_spp;
extern const struct test_suite suite_nospp;
extern const struct test_suite suite_differential;
extern const struct test_suite suite_vmm;
extern const struct test_suite suite_subpages;
extern const struct test_suite suite_layers;
extern const struct test_suite suite_address;
extern const struct test_suite suite_taskswitch;
extern const struct test_suite suite_lass;
extern const struct test_suite suite_pin;
extern const struct test_suite suite_pinnested;
extern const struct test_suite suite_lam;
extern const struct test_suite suite_la57;
extern const struct test_suite suite_deadline;
extern const struct test_suite suite_isolation;
extern const struct test_suite suite_disturb;

#endif /* KVM_TEST_SUITES_H */
