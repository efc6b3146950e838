/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every name that leaves a process: bus, paths, errors, exit codes, events and
 * their fields, reasons for Degraded, limits.  One page, used by the daemon, the
 * command line, the tests and the manual; nothing of it is written twice.  The
 * interface is frozen at org.merlon1: rows are added, never changed.
 */
#ifndef MERLON_NAMES_H
#define MERLON_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define MERLON_BUS_NAME		"org.merlon1"
#define MERLON_PATH		"/org/merlon1"
#define MERLON_PATH_VM		"/org/merlon1/vm"	/* + "/<id>" */
#define MERLON_IFACE_MANAGER	"org.merlon1.Manager"
#define MERLON_IFACE_VM		"org.merlon1.Vm"

#define MERLON_RUNTIME_DIR	"/run/merlon"
#define MERLON_STATE_FILE	"state.json"		/* in the runtime directory */
#define MERLON_BPFFS_DIR	"/sys/fs/bpf/merlon"
#define MERLON_STATE_DIR	"/var/lib/merlon"
/* Where policies are, from the directory that counts first. */
#define MERLON_POLICY_ETC	"/etc/merlon/policy.d"
#define MERLON_POLICY_RUN	"/run/merlon/policy.d"
#define MERLON_POLICY_LIB	"/usr/lib/merlon/policy.d"

#define MERLON_ENV_BUS		"MERLON_BUS_ADDRESS"	/* what --bus= says otherwise */

/* What a stream calls itself in its first packet; the version grows when packets change. */
#define MERLON_STREAM_NAME	"org.merlon1.events"
#define MERLON_STREAM_VERSION	1

#define MERLON_NAME_MAX		64			/* bytes: rules, policies, VMs as given */
#define MERLON_TEXT_MAX		(1U << 20)		/* bytes of one JSON text on the bus */
#define MERLON_WHAT_MAX		256			/* bytes that may name a VM, escaped form */

/* What errors call a text that came over the bus; the command line puts FILE there. */
#define MERLON_TEXT_LABEL	"<text>"

/*
 * Exit codes of merlon: X(NAME, value, meaning).
 */
#define MERLON_EXIT_CODES(X)							\
	X(OK, 0, "success")							\
	X(FAILED, 1, "failed")							\
	X(USAGE, 2, "wrong usage, or input that is not well-formed")		\
	X(DEGRADED, 3, "degraded, or violations found")				\
	X(NOT_AUTHORISED, 4, "not authorised")					\
	X(NO_SUCH, 5, "no such VM or rule")					\
	X(NOT_SUPPORTED, 6, "not supported here")				\
	X(SOME_HOSTS, 7, "some hosts failed")					\
	X(UNREACHABLE, 8, "daemon unreachable")					\
	X(INTERRUPTED, 130, "interrupted")

enum merlon_exit {
#define X(name, value, meaning) MERLON_EXIT_##name = (value),
	MERLON_EXIT_CODES(X)
#undef X
};

/*
 * Errors of the bus: X(NAME, "Name", exit code, what to do next).  The full name
 * is org.merlon1.Error.Name.
 */
#define MERLON_ERRORS(X)							\
	X(NO_SUCH_VM, "NoSuchVm", NO_SUCH,					\
	  "see 'merlon list' for the VMs there are")				\
	X(AMBIGUOUS_NAME, "AmbiguousName", NO_SUCH,				\
	  "name the VM by its id, like '#17'")					\
	X(NO_SUCH_RULE, "NoSuchRule", NO_SUCH,					\
	  "see 'merlon status VM' for the rules it has")			\
	X(RULE_EXISTS, "RuleExists", FAILED,					\
	  "choose another name, or 'merlon unprotect' the old rule first")	\
	X(NO_SUCH_POLICY, "NoSuchPolicy", NO_SUCH,				\
	  "see 'merlon policy list' for the policies there are")		\
	X(POLICY_SHADOWED, "PolicyShadowed", FAILED,				\
	  "use --persist, which changes what is in /etc/merlon/policy.d")	\
	X(INVALID_RULE, "InvalidRule", USAGE,					\
	  "correct the rule; merlon(1) lists the words a rule may have")	\
	X(NOT_SUPPORTED, "NotSupported", NOT_SUPPORTED,				\
	  "see 'merlon probe' for what this host can do")			\
	X(NO_KERNEL_SUPPORT, "NoKernelSupport", NOT_SUPPORTED,			\
	  "see 'merlon probe' for what is missing and how to get it")		\
	X(LIMITS_EXCEEDED, "LimitsExceeded", FAILED,				\
	  "ask for less at once, or drop rules that are no longer needed")	\
	X(VM_GONE, "VmGone", NO_SUCH,						\
	  "the VM ended meanwhile; see 'merlon list'")				\
	X(KERNEL_ERROR, "KernelError", FAILED,					\
	  "see the kernel's log and 'journalctl -u merlond'")			\
	X(TIMEOUT, "Timeout", FAILED,						\
	  "try again; see 'journalctl -u merlond' if it stays so")		\
	X(ENGINE_SETTLED, "EngineSettled", FAILED,				\
	  "stop the VM and start it anew (a reboot of its guest will not do), then choose first")

#define MERLON_ERROR_PREFIX "org.merlon1.Error."

enum merlon_error {
#define X(name, dbus, exit, hint) MERLON_E_##name,
	MERLON_ERRORS(X)
#undef X
	MERLON_E_MAX
};

/*
 * What a member of an event holds, and how JSON writes it: a string (printable
 * ASCII, escaped), words with a space between two of them, written as an array of
 * strings, a 64-bit number written "0x...", a number, a boolean.
 */
enum merlon_type {
	MERLON_STRING,
	MERLON_WORDS,
	MERLON_HEX,
	MERLON_U64,
	MERLON_BOOL,
};

/*
 * Members of events: F(member of struct event, "json-name", type, meaning).
 */
#define MERLON_EVENT_FIELDS_COMMON(F)						\
	F(vm, "vm", U64, "id of the VM, given by KVM")				\
	F(name, "name", STRING, "name of the VM, escaped, may be empty")	\
	F(seq, "seq", U64, "number of the event within its VM")			\
	F(kind, "kind", STRING, "what happened")				\
	F(time, "time", U64, "nanoseconds of CLOCK_BOOTTIME")

#define MERLON_EVENT_FIELDS_NONE(F)

#define MERLON_EVENT_FIELDS_VIOLATION(F)					\
	F(access, "access", STRING, "write, read, fetch, walk, kvm, cr, efer or unemulatable") \
	F(gpa, "gpa", HEX, "guest physical address, L1's; left out of cr and efer") \
	F(gva, "gva", HEX, "linear address; left out where not known")		\
	F(tag, "tag", HEX, "bits 62 to 48 of the pointer; left out but with linear address masking") \
	F(rip, "rip", HEX, "instruction pointer")				\
	F(cr3, "cr3", HEX, "control register 3")				\
	F(length, "length", U64, "bytes accessed, 0 where not decoded")		\
	F(reg, "register", STRING, "cr0, cr4 or efer; this and the next three of these only") \
	F(cleared, "cleared", WORDS, "those of its bits that may be pinned and would be cleared") \
	F(old_value, "old", HEX, "the register's value")			\
	F(new_value, "new", HEX, "the value that the guest would load")		\
	F(rule, "rule", STRING, "name of the rule, empty if merlond does not know it") \
	F(rule_id, "rule-id", U64, "id of the rule in the kernel")		\
	F(verdict, "verdict", STRING, "deny, allow, skip, kill, exit or hold")	\
	F(vcpu, "vcpu", U64, "number of the virtual CPU")			\
	F(user, "user", BOOL, "the guest was in user mode")			\
	F(nested, "nested", BOOL, "by an L2 guest; gva, rip, cr3 are L2's")	\
	F(vectoring, "vectoring", BOOL, "while an event was being delivered")	\
	F(emulated, "emulated", BOOL, "by KVM's emulator: gpa, and the length of a data access, are exact") \
	F(monitor, "monitor", BOOL, "reported only, the access went through")	\
	F(bad_verdict, "bad-verdict", BOOL, "a program's answer was not legal")

#define MERLON_EVENT_FIELDS_CREATED(F)						\
	F(pid, "pid", U64, "process of the VMM")				\
	F(uid, "uid", U64, "effective uid of the VMM when it created the VM")

#define MERLON_EVENT_FIELDS_RESET(F)						\
	F(generation, "generation", U64, "resets so far")

#define MERLON_EVENT_FIELDS_RULE(F)						\
	F(rule, "rule", STRING, "name of the rule, empty if merlond does not know it") \
	F(rule_id, "rule-id", U64, "id of the rule in the kernel")

#define MERLON_EVENT_FIELDS_UNPINNED(F)						\
	F(vcpu, "vcpu", U64, "number of the virtual CPU")			\
	F(clear_cr0, "cr0", WORDS, "pinned bits that are clear; left out where there is none") \
	F(clear_cr4, "cr4", WORDS, "pinned bits that are clear; left out where there is none") \
	F(clear_efer, "efer", WORDS, "pinned bits that are clear; left out where there is none") \
	F(rules, "rules", WORDS, "names of the rules that pin them, #3 for one without a name")

#define MERLON_EVENT_FIELDS_ISOLATION(F)					\
	F(reasons, "reasons", WORDS, "why windows were left, as in status")	\
	F(count, "count", U64, "windows that were so left since the last such event") \
	F(ip, "ip", HEX, "instruction of the host's kernel that did most of the touching so far") \
	F(address, "address", HEX, "page of the host's kernel that it touched")

#define MERLON_EVENT_FIELDS_LOST(F)						\
	F(count, "count", U64, "events that were dropped before this one")

/*
 * Kinds of events: X(NAME, "json-name", journal message id, FIELDS, meaning).
 */
#define MERLON_EVENTS(X)							\
	X(VIOLATION, "violation", "5a1cdfb0eec948cea546a9ed9a5434c9", VIOLATION, \
	  "the guest tried what a rule denies")					\
	X(VM_CREATED, "vm-created", "63816147584b4336a4b3e23e8da9286e", CREATED, \
	  "a VM was created, or found")						\
	X(VM_RESET, "vm-reset", "342a3c160a4b40e7a65c20371d280cf8", RESET,	\
	  "a VM was reset")							\
	X(VM_DESTROYED, "vm-destroyed", "422f194302604703b997ab78ec647fdf", NONE, \
	  "a VM ended")								\
	X(VM_KILLED, "vm-killed", "617c919d201a41959665cd3005909af0", NONE,	\
	  "a rule killed a VM: it runs no more")				\
	X(VM_ADMITTED, "vm-admitted", "fc6cca36dadf4f87babab0a787bc10cf", NONE,	\
	  "a new VM was admitted and runs")					\
	X(ADMISSION_EXPIRED, "admission-expired", "8c851d7c873847fd8f84627b06e2fdad", NONE, \
	  "nobody admitted a new VM in time")					\
	X(RULE_DISARMED, "rule-disarmed", "41f2f628d5f044cc94a2fe16afbd3676", RULE, \
	  "a reset disarmed a rule: it is listed and not enforced")		\
	X(RULE_SET, "rule-set", "670013678d184e6ab216ce903b8342e8", RULE,	\
	  "a rule is in force")							\
	X(RULE_CLEARED, "rule-cleared", "7b140992a9084da68c965d9c2b5437c5", RULE, \
	  "a rule was dropped")							\
	X(UNPINNED, "unpinned", "1ad737121da842efbe2de2f0a86f30e1", UNPINNED,	\
	  "a virtual CPU runs and has pinned bits clear")			\
	X(ISOLATION_LEFT, "isolation-left", "428fc56197314ac0a7464de8b43f5c80", ISOLATION, \
	  "windows of isolation were left for a reason that is not expected")	\
	X(LOST, "lost", "95180133fdec4af5a23ce436ee5db432", LOST,		\
	  "events were lost")

enum merlon_event_kind {
#define X(name, json, message_id, fields, meaning) MERLON_EVENT_##name,
	MERLON_EVENTS(X)
#undef X
	MERLON_EVENT_MAX
};

/*
 * Why protection is not what was asked, the values of property Degraded:
 * X(NAME, "reason", journal message id, what to do).  In Probe's report a detail may
 * follow the reason after a colon (the id of a VM, a file).
 */
#define MERLON_DEGRADED(X)							\
	X(NO_KERNEL_SUPPORT, "no-kernel-support", "0b454a720c0a4cae81752b15c19b9329", \
	  "no rule is enforced; 'merlon probe' says what is missing")		\
	X(VM_UNPROTECTED, "vm-unprotected", "ee397f3c860048b2960d7e24d7a02c5d",	\
	  "rules of this VM are not enforced; see 'merlon status'")		\
	X(ORPHAN_RULES, "orphan-rules", "0bbacd1442344882b7670359578606e8",	\
	  "rules whose names were lost stay enforced; 'merlon clear' drops them") \
	X(STATE_LOST, "state-lost", "22f2300ec17c4862a7fd1af97e65db1f",		\
	  "state.json was unusable, set aside as .bad; rules were found in the kernel") \
	X(SETTINGS_INVALID, "settings-invalid", "51ad77106c0a48b6a30e70856b2602a1",	\
	  "merlond.json has an error and is not used; see 'journalctl -u merlond'") \
	X(POLICY_INVALID, "policy-invalid", "54ac6d746724456599a7c6c338591d01",	\
	  "the last policy that was right stays in force; see 'merlon policy list'") \
	X(EVENTS_LOST, "events-lost", "79f16b983e5a4145986ac4a7ac3bd3fe",	\
	  "events came faster than they were read; enforcement is not affected") \
	X(ADMISSION_EXPIRED, "admission-expired", "4a99498892b44df4892cc0cc883c897c", \
	  "a VM ran, or was refused, before merlond admitted it")		\
	X(JOURNAL_LOST, "journal-lost", "8c91b876c43d48f5b80b278bb8cc3255",	\
	  "the journal takes no entries; see 'systemctl status systemd-journald'")	\
	X(VMS_UNMANAGED, "vms-unmanaged", "d108e0e623efbd2f0b51c4fa97f6baf5",	\
	  "a user, or all together, have more VMs than merlond manages; see 'journalctl -u merlond'")

enum merlon_degraded {
#define X(name, reason, message_id, hint) MERLON_DEGRADED_##name,
	MERLON_DEGRADED(X)
#undef X
	MERLON_DEGRADED_MAX
};

/* Of the journal's entry that tells how many events of a VM have none of their own. */
#define MERLON_FOLDED_MESSAGE_ID	"a60f24ab4d1d44c7a0c6b1b48e0a6b53"

/*
 * Words for the kernel's numbers: X(number in <linux/kvm_vmi.h>, "word").
 */
#define MERLON_VERDICTS(X)							\
	X(KVM_VMI_DEFAULT, "default")						\
	X(KVM_VMI_DENY, "deny")							\
	X(KVM_VMI_ALLOW, "allow")						\
	X(KVM_VMI_SKIP, "skip")							\
	X(KVM_VMI_KILL, "kill")							\
	X(KVM_VMI_EXIT, "exit")							\
	X(KVM_VMI_HOLD, "hold")

#define MERLON_ACCESSES(X)							\
	X(KVM_VMI_WRITE, "write")						\
	X(KVM_VMI_READ, "read")							\
	X(KVM_VMI_FETCH, "fetch")						\
	X(KVM_VMI_WALK, "walk")							\
	X(KVM_VMI_KVM, "kvm")							\
	X(KVM_VMI_CR, "cr")							\
	X(KVM_VMI_EFER, "efer")							\
	X(KVM_VMI_UNEMULATABLE, "unemulatable")

#define MERLON_ON_RESETS(X)							\
	X(KVM_VMI_RESET_DISARM, "disarm")					\
	X(KVM_VMI_RESET_KEEP, "keep")						\
	X(KVM_VMI_RESET_KILL, "kill")

#define MERLON_ADMISSIONS(X)							\
	X(KVM_VMI_ADMIT_OFF, "off")						\
	X(KVM_VMI_ADMIT_OPEN, "open")						\
	X(KVM_VMI_ADMIT_CLOSED, "closed")

/*
 * Bits of control registers that a rule may pin: X(REGISTER, "word", number of the bit).
 * Which register has which is in Intel's SDM, volume 3, 2.2.1 and 2.5, and AMD's APM,
 * volume 2, 3.1.
 */
#define MERLON_PINS_CR0(X)							\
	X(CR0, "wp", 16)
#define MERLON_PINS_CR4(X)							\
	X(CR4, "smep", 20)							\
	X(CR4, "smap", 21)							\
	X(CR4, "umip", 11)							\
	X(CR4, "cet", 23)							\
	X(CR4, "lass", MERLON_PIN_LASS_BIT)
#define MERLON_PINS_EFER(X)							\
	X(EFER, "nx", 11)

/* Of this one a rule also says that the guest does not call EFI's runtime services. */
#define MERLON_PIN_LASS_BIT		27

/* The registers: X(NAME, "word", number in <linux/kvm_vmi.h>: a CR's, or an MSR's). */
#define MERLON_REGISTERS(X)							\
	X(CR0, "cr0", 0)							\
	X(CR4, "cr4", 4)							\
	X(EFER, "efer", 0xc0000080)

enum merlon_register {
#define X(name, word, number) MERLON_REGISTER_##name,
	MERLON_REGISTERS(X)
#undef X
	MERLON_REGISTER_MAX
};

/* Who checks writes to parts of a page: a VM's engine, one that is asked for, a default. */
#define MERLON_ENGINE_AUTO		"auto"
#define MERLON_ENGINE_SOFTWARE		"software"
#define MERLON_ENGINE_HARDWARE		"hardware"
/* Of a rule that needs neither: whole pages are write-protected. */
#define MERLON_ENGINE_PAGE		"page"

#define MERLON_ENGINES(X)							\
	X(KVM_VMI_ENGINE_AUTO, MERLON_ENGINE_AUTO)				\
	X(KVM_VMI_ENGINE_SOFTWARE, MERLON_ENGINE_SOFTWARE)			\
	X(KVM_VMI_ENGINE_HARDWARE, MERLON_ENGINE_HARDWARE)

/* Members of a VM that tell its engine. */
#define MERLON_VM_ENGINE		"engine"		/* software or hardware */
#define MERLON_VM_ENGINE_WANTED		"engine-wanted"
#define MERLON_VM_ENGINE_SETTLED	"engine-settled"
#define MERLON_VM_ENGINE_BYTES		"engine-bytes"

/*
 * Address-space isolation.  Why windows end: X(number in <linux/kvm_isolation.h>, "word",
 * whether that is unexpected where nobody debugs the host's kernel).
 */
#define MERLON_ISOLATION_REASONS(X)						\
	X(KVM_ISOLATION_END, "end", false)					\
	X(KVM_ISOLATION_FAULT, "fault", true)					\
	X(KVM_ISOLATION_DEBUG, "debug", true)					\
	X(KVM_ISOLATION_BREAKPOINT, "breakpoint", true)				\
	X(KVM_ISOLATION_BUG, "bug", true)					\
	X(KVM_ISOLATION_PROTECTION, "protection", true)				\
	X(KVM_ISOLATION_DOUBLE_FAULT, "double-fault", true)			\
	X(KVM_ISOLATION_TIMER, "timer", false)					\
	X(KVM_ISOLATION_WAKE, "wake", false)

/* What guests are left for: X(number, "word"). */
#define MERLON_ISOLATION_EXITS(X)						\
	X(KVM_ISOLATION_EXIT_OTHER, "other")					\
	X(KVM_ISOLATION_EXIT_INTERRUPT, "interrupt")				\
	X(KVM_ISOLATION_EXIT_HLT, "hlt")					\
	X(KVM_ISOLATION_EXIT_NESTED, "nested")					\
	X(KVM_ISOLATION_EXIT_MEMORY, "memory")					\
	X(KVM_ISOLATION_EXIT_IO, "io")						\
	X(KVM_ISOLATION_EXIT_WINDOW, "window")					\
	X(KVM_ISOLATION_EXIT_TIMER, "timer")					\
	X(KVM_ISOLATION_EXIT_CPUID, "cpuid")					\
	X(KVM_ISOLATION_EXIT_RDMSR, "rdmsr")					\
	X(KVM_ISOLATION_EXIT_WRMSR, "wrmsr")					\
	X(KVM_ISOLATION_EXIT_CR_READ, "cr-read")				\
	X(KVM_ISOLATION_EXIT_PAUSE, "pause")

/* What a host is in Probe(). */
#define MERLON_ISOLATION_ON		"on"
#define MERLON_ISOLATION_OFF		"off"		/* by KVM's parameter */
#define MERLON_ISOLATION_REFUSED	"refused"	/* by KVM, for a reason */
#define MERLON_ISOLATION_ABSENT		"absent"	/* not in this kernel */

/* When siblings leave their guests; for some reasons only is for programs, not to be set. */
#define MERLON_KICK_NEVER		"never"
#define MERLON_KICK_ALWAYS		"always"
#define MERLON_KICK_SOME		"some"

/* States of a VM in ListVms(). */
#define MERLON_STATE_RUNNING		"running"
#define MERLON_STATE_PENDING		"pending"	/* waits for admission */
#define MERLON_STATE_DEAD		"dead"		/* killed or dying */
#define MERLON_STATE_UNSUPPORTED	"unsupported"	/* SEV, TDX, private memory */

/* Modes of a rule. */
#define MERLON_MODE_ENFORCE		"enforce"
#define MERLON_MODE_MONITOR		"monitor"
#define MERLON_MODE_LEARN		"learn"

/* Bits that a rule pins: those that the kernel does not pin; those that CPUs have not set. */
#define MERLON_NOT_PINNED		"not-pinned"
#define MERLON_LEFT_CLEAR		"left-clear"

/* What every enforcing rule says of itself, and status prints. */
#define MERLON_DEVICE_WRITES		"device-writes"
#define MERLON_NOT_ENFORCED		"not enforced"

/* "org.merlon1.Error.NoSuchVm" and so on; never NULL. */
const char *merlon_error_name(enum merlon_error error);

/* What to do next; NULL where nothing is known that would help. */
const char *merlon_error_hint(const char *dbus_name);

/*
 * The exit code for an error of the bus, ours or one of D-Bus itself
 * (AccessDenied, ServiceUnknown...); MERLON_EXIT_FAILED for any other.
 */
enum merlon_exit merlon_error_exit(const char *dbus_name);

/* "violation" and so on; never NULL. */
const char *merlon_event_name(enum merlon_event_kind kind);

/* The kind, -1 if there is none of this name. */
int merlon_event_from_name(const char *name);

/* 32 hexadecimal digits for the journal's MESSAGE_ID=. */
const char *merlon_event_message_id(enum merlon_event_kind kind);

/* "no-kernel-support" and so on; never NULL. */
const char *merlon_degraded_name(enum merlon_degraded reason);
const char *merlon_degraded_message_id(enum merlon_degraded reason);

/* The reason of a value of Degraded (its detail is ignored), -1 if unknown. */
int merlon_degraded_from_value(const char *value);

/* What to do about a value of Degraded (its detail is ignored), NULL if unknown. */
const char *merlon_degraded_hint(const char *value);

/* Words for numbers of <linux/kvm_vmi.h>, "?" for numbers without one. */
const char *merlon_verdict_name(unsigned int verdict);
const char *merlon_access_name(unsigned int kind);
const char *merlon_on_reset_name(unsigned int on_reset);
/* Of KVM_VMI_RIGHT_EXEC_*: who may. */
const char *merlon_execute_name(unsigned int rights);
const char *merlon_admission_name(unsigned int admission);
const char *merlon_engine_name(unsigned int engine);
/* Of <linux/kvm_isolation.h>. */
const char *merlon_isolation_reason_name(unsigned int reason);
const char *merlon_isolation_exit_name(unsigned int exit);

/* Is a window seldom to be left for this reason?  Those without a word are not judged. */
bool merlon_isolation_is_unexpected(unsigned int reason);

/* "cr0" and so on; never NULL. */
const char *merlon_register_name(enum merlon_register reg);

/* The register by its number in a violation, -1 if there is none. */
int merlon_register_from_number(unsigned int number);

/* The word of the @index-th bit of a register that may be pinned, and the bit; NULL. */
const char *merlon_pin_name(enum merlon_register reg, unsigned int index,
			    unsigned long long *ret_bit);

/* And back: -1 for a word that is none. */
int merlon_verdict_from_name(const char *word);
int merlon_on_reset_from_name(const char *word);
int merlon_admission_from_name(const char *word);
int merlon_engine_from_name(const char *word);

#endif
