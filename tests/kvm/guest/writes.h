/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many writes in one operation, each with a result of its own. */
#ifndef KVM_TEST_GUEST_WRITES_H
#define KVM_TEST_GUEST_WRITES_H

#include "abi.h"

/**
 * struct guest_write - one of the writes of OP_WRITES (arg0 = the first, arg1 = how many)
 * @op: &enum guest_op, one that stores
 * @vector: of the exception, or %GUEST_NO_FAULT
 * @error: its error code
 * @faults: exceptions
 * @arg: of the operation
 * @ret: of the operation
 * @insn: the instruction under test
 * @fault_rip: the exception's instruction pointer
 */
struct guest_write {
	uint32_t op;
	uint32_t vector;
	uint32_t error;
	uint32_t faults;
	uint64_t arg[6];
	uint64_t ret[4];
	uint64_t insn;
	uint64_t fault_rip;
};

#endif /* KVM_TEST_GUEST_WRITES_H */
