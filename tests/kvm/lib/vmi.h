/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's introspection as tests use it, through their BPF object.  Calls
 * return what the kernel's function returned, or -ESRCH for an unknown VM.  The
 * must_ forms end the case when the call fails.
 */
#ifndef KVM_TEST_VMI_H
#define KVM_TEST_VMI_H

#include <linux/kvm_vmi.h>

#include "vcpu.h"
#include "vm.h"
#include "vmi_calls.h"

#define GFN(gpa)	((gpa) / PAGE_SIZE)
#define SUBPAGE		128UL
/* All sub-pages may be written but those of @mask. */
#define DENIED(mask)	(~(uint32_t)(mask))

/**
 * vmi_setup - load the BPF object, before the suite's first case
 *
 * Returns NULL, or why the suite must be skipped.  For &test_suite.setup.
 */
const char *vmi_setup(void);

/**
 * vmi_load - the same without watching the tracepoints, which costs time
 *
 * The vmi_log_ functions then show nothing.
 */
const char *vmi_load(void);

/** vmi_in_kernel - does the running kernel have what vmi_load() needs? */
bool vmi_in_kernel(void);

/** vmi_vm - the kernel's id of a VM of ours: the newest of this process */
uint64_t vmi_vm(struct vm *vm);

int vmi_caps(struct kvm_vmi_caps *ret);
int vmi_info(uint64_t id, struct kvm_vmi_vm_info *ret);
/* The VM with the lowest id above @after. */
int vmi_next(uint64_t after, struct kvm_vmi_vm_info *ret);

int vmi_set_engine(uint64_t id, uint32_t engine);
/** vmi_by_hardware - does the CPU check this VM's sub-pages?  Then it can what KVM cannot */
bool vmi_by_hardware(uint64_t id);
/** vmi_steps_events - can the CPU be made to deliver an event alone, which KVM cannot? */
bool vmi_steps_events(void);

int vmi_set_rules(uint64_t id, const struct kvm_vmi_rule *rules, unsigned int n);
int vmi_set_rules_bytes(uint64_t id, const void *rules, unsigned int bytes);
int vmi_next_rule(uint64_t id, uint32_t after, struct kvm_vmi_rule_info *ret);
int vmi_clear_rule(uint64_t id, uint32_t rule);

int vmi_set(uint64_t id, const struct kvm_vmi_range *ranges, unsigned int n);
int vmi_set_bytes(uint64_t id, const void *ranges, unsigned int bytes);
int vmi_set_one(uint64_t id, const struct kvm_vmi_range *range);
int vmi_clear(uint64_t id, const struct kvm_vmi_range *ranges, unsigned int n);
/* As the two above with a context that is ready, so that nothing is copied here. */
int vmi_run_set(struct vmi_ranges_call *c);
int vmi_run_clear(struct vmi_ranges_call *c);
/* At most @n items of @ret, which has room for VMI_BATCH. */
int vmi_get(uint64_t id, uint64_t gfn, struct kvm_vmi_range *ret, unsigned int n);

int vmi_set_pin(uint64_t id, const struct kvm_vmi_pin *pin);
int vmi_get_pin(uint64_t id, uint32_t rule, struct kvm_vmi_pin *ret);

int vmi_admit(uint64_t id);
int vmi_set_admission(uint32_t mode, uint32_t ms);
int vmi_read(uint64_t id, uint64_t gpa, void *ret, unsigned int bytes);
int vmi_regs(uint64_t id, uint32_t vcpu, struct kvm_vmi_regs *ret);

/* Convenience for the common case. */

/** vmi_rule - set rule @rule with @action for writes; ends the case on failure */
void vmi_rule(uint64_t id, uint32_t rule, uint32_t action, uint32_t flags);

/** vmi_protect - have @rule allow writes to the sub-pages @write of one frame */
void vmi_protect(uint64_t id, uint32_t rule, uint64_t gpa, uint32_t write);

/** vmi_protect_frames - the same for @nr frames */
void vmi_protect_frames(uint64_t id, uint32_t rule, uint64_t gpa, uint64_t nr, uint32_t write);

/** vmi_unprotect - take @rule away from one frame */
void vmi_unprotect(uint64_t id, uint32_t rule, uint64_t gpa);

/** vmi_counters - a rule as enumeration shows it; ends the case if there is none */
struct kvm_vmi_rule_info vmi_counters(uint64_t id, uint32_t rule);

/* The owner of struct kvm_vmi_ops. */

/** vmi_attach - attach our program, which answers @answer; 0 or -errno */
int vmi_attach(int answer);
/** vmi_try_second - attach a second owner, and detach it if that worked */
int vmi_try_second(void);
/** vmi_swap - replace the attached owner by the other one, which answers @answer */
int vmi_swap(int answer);
void vmi_detach(void);
void vmi_set_answer(int answer);
/** vmi_set_walk_answer - another answer of the first owner about page walks; -1: none */
void vmi_set_walk_answer(int answer);
void vmi_set_delay(unsigned int rounds);
/** vmi_set_grant - has the first owner ask for what each violation has missed? */
void vmi_set_grant(bool grant);
/** vmi_granted - how often it was given so far; @ret_last: what asking has last come to */
uint64_t vmi_granted(int *ret_last);
/* How often the first and the second owner were asked. */
uint64_t vmi_asked(void);
uint64_t vmi_asked_second(void);

/* The log of the tracepoints. */

/** vmi_log_clear - forget what was seen */
void vmi_log_clear(void);
/** vmi_log_violations - how many violations of @id were seen since */
unsigned int vmi_log_violations(uint64_t id);
/** vmi_log_violation - the @n-th of them, NULL if there were fewer */
const struct vmi_record *vmi_log_violation(uint64_t id, unsigned int n);
/** vmi_log_change - the @n-th change of @id's map, NULL if there were fewer */
const struct vmi_change *vmi_log_change(uint64_t id, unsigned int n);
/** vmi_log_lives - how many life cycle events @event of @id were seen */
unsigned int vmi_log_lives(uint64_t id, enum vmi_event event);
/** vmi_log_life - the last of them */
const struct vmi_life *vmi_log_life(uint64_t id, enum vmi_event event);

/** vmi_violation_text - for messages */
const char *vmi_violation_text(const struct vmi_record *record);

/* vm_new() for a VM under test, and its id. */
struct vm *vmi_new(const struct vm_options *options, uint64_t *ret_id);

#endif /* KVM_TEST_VMI_H */
