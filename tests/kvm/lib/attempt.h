/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Stores that must land and stores that must not, checked from both sides. */
#ifndef KVM_TEST_ATTEMPT_H
#define KVM_TEST_ATTEMPT_H

#include "vmi.h"

/*
 * Store a fresh value of @size bytes at @gpa by MOV.  denied: #GP(0) at that
 * instruction and memory as before; lands: no exception and the value is there;
 * vanishes: neither (skipped).
 */
#define expect_denied(vcpu, gpa)	attempt_store(vcpu, gpa, 8, ATTEMPT_DENIED, __FILE__, __LINE__)
#define expect_lands(vcpu, gpa)		attempt_store(vcpu, gpa, 8, ATTEMPT_LANDS, __FILE__, __LINE__)
#define expect_vanishes(vcpu, gpa)	attempt_store(vcpu, gpa, 8, ATTEMPT_VANISHES, __FILE__, __LINE__)
#define expect_kills(vcpu, gpa)		attempt_store(vcpu, gpa, 8, ATTEMPT_KILLS, __FILE__, __LINE__)
#define expect_attempt(vcpu, gpa, size, outcome) \
	attempt_store(vcpu, gpa, size, outcome, __FILE__, __LINE__)

enum attempt {
	ATTEMPT_DENIED,
	ATTEMPT_LANDS,
	ATTEMPT_VANISHES,
	ATTEMPT_KILLS,
};

bool attempt_store(struct vcpu *vcpu, uint64_t gpa, unsigned int size, enum attempt outcome,
		   const char *file, int line);

/* What expect_violation() compares; zero fields are not compared. */
struct violation_match {
	uint32_t kind;
	uint32_t verdict;
	uint32_t rule;
	uint64_t gpa;
	uint32_t flags_set;
	uint32_t flags_clear;
};

/* The @n-th violation of @id since vmi_log_clear() is as @... says. */
#define expect_violation(id, n, ...)						\
	check_violation(id, n, &(struct violation_match){ __VA_ARGS__ }, __FILE__, __LINE__)
bool check_violation(uint64_t id, unsigned int n, const struct violation_match *match,
		     const char *file, int line);

#endif /* KVM_TEST_ATTEMPT_H */
