// SPDX-License-Identifier: GPL-2.0-or-later
/* A list of operations that store, one after the other, without an exit between them. */
#include "guest.h"
#include "writes.h"

void op_writes(struct guest_cpu *cpu)
{
	struct guest_write *w = (struct guest_write *)cpu->arg[0], *end = w + cpu->arg[1];
	int i;

	for (; w < end; w++) {
		for (i = 0; i < 6; i++)
			cpu->arg[i] = w->arg[i];
		for (i = 0; i < 4; i++)
			cpu->ret[i] = 0;
		cpu->vector = GUEST_NO_FAULT;
		cpu->error = 0;
		cpu->faults = 0;
		cpu->fault_rip = 0;
		agent_do(cpu, w->op);
		for (i = 0; i < 4; i++)
			w->ret[i] = cpu->ret[i];
		w->vector = cpu->vector;
		w->error = cpu->error;
		w->faults = cpu->faults;
		w->insn = cpu->insn;
		w->fault_rip = cpu->fault_rip;
	}
	cpu->vector = GUEST_NO_FAULT;
}
