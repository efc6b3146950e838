/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * KVM virtual machine introspection: the numbers and structures that KVM, BPF
 * programs and user space share.  They reach user space through BPF only
 * (kfunc arguments and struct_ops callbacks); every structure is fixed-width,
 * without holes, and only ever grows at its end.
 */
#ifndef _UAPI_LINUX_KVM_VMI_H
#define _UAPI_LINUX_KVM_VMI_H

#include <linux/types.h>

/**
 * enum kvm_vmi_verdict - what becomes of an access that the map forbids
 * @KVM_VMI_DEFAULT: the rule's own action; what a program returns to pass
 * @KVM_VMI_DENY: the access does not happen, the guest gets #GP(0); #DF if an
 *	event was being delivered
 * @KVM_VMI_ALLOW: this one access is carried out, the protection stays
 * @KVM_VMI_SKIP: the instruction is stepped over, nothing is written; data
 *	writes of L1 outside event delivery, and loads of pinned registers, only
 * @KVM_VMI_KILL: this VM is dead (every further KVM_RUN fails with -EIO)
 * @KVM_VMI_EXIT: leave to the VMM, which answers with one of the others
 *	(linux/kvm_subpage.h); where the VMM has enabled that, outside event delivery
 *	and before the instruction has reached a device only
 * @KVM_VMI_HOLD: reserved, wait for an answer from user space
 * @KVM_VMI_NR_VERDICTS: one past the last verdict
 */
enum kvm_vmi_verdict {
	KVM_VMI_DEFAULT = 0,
	KVM_VMI_DENY = 1,
	KVM_VMI_ALLOW = 2,
	KVM_VMI_SKIP = 3,
	KVM_VMI_KILL = 4,
	KVM_VMI_EXIT = 5,
	KVM_VMI_HOLD = 6,
	KVM_VMI_NR_VERDICTS
};

/**
 * enum kvm_vmi_kind - what the guest tried
 * @KVM_VMI_WRITE: a data write by an instruction or by event delivery
 * @KVM_VMI_READ: a data read by an instruction, or one of event delivery
 * @KVM_VMI_FETCH: an instruction fetch: of the page where RIP is, or of the next one if
 *	the instruction reaches into that.  %KVM_VMI_ALLOW opens the page for such
 *	fetches, for a second at least or until rules are set
 * @KVM_VMI_WALK: a write access of the CPU's page walk (accessed/dirty bits;
 *	with EPT A/D bits and on AMD every walk counts as a write)
 * @KVM_VMI_KVM: KVM's own write to an address the guest chose (steal time, PV
 *	EOI, clock pages, VMREAD's memory operand...); no program is asked
 * @KVM_VMI_CR: a load that clears pinned bits of CR0 or CR4, see &kvm_vmi_pin
 * @KVM_VMI_EFER: the same of EFER
 * @KVM_VMI_UNEMULATABLE: an access that would be let through, but that KVM's
 *	emulator cannot carry out; %KVM_VMI_ALLOW is illegal here unless the CPU
 *	can carry it out by itself, alone
 * @KVM_VMI_NR_KINDS: one past the last kind
 */
enum kvm_vmi_kind {
	KVM_VMI_WRITE = 1,
	KVM_VMI_READ = 2,
	KVM_VMI_FETCH = 3,
	KVM_VMI_WALK = 4,
	KVM_VMI_KVM = 5,
	KVM_VMI_CR = 6,
	KVM_VMI_EFER = 7,
	KVM_VMI_UNEMULATABLE = 8,
	KVM_VMI_NR_KINDS
};

/* Page-granular rights of a range: a set bit allows. */
#define KVM_VMI_RIGHT_READ		(1U << 0)
#define KVM_VMI_RIGHT_EXEC_KERNEL	(1U << 1)
#define KVM_VMI_RIGHT_EXEC_USER		(1U << 2)
#define KVM_VMI_RIGHT_ALL		(KVM_VMI_RIGHT_READ | \
					 KVM_VMI_RIGHT_EXEC_KERNEL | \
					 KVM_VMI_RIGHT_EXEC_USER)

/* Sub-pages: 32 of 128 bytes in a 4 KiB frame; bit i covers bytes 128 * i on. */
#define KVM_VMI_SUBPAGE_SHIFT		7
#define KVM_VMI_WRITE_ALL		0xffffffffU

/* Rule ids: 1 to 2^24 - 1, chosen by the caller, unique within VM and layer. */
#define KVM_VMI_RULE_ID_MAX		0xffffffU
/* Rules of one VM, and rules that may share one frame. */
#define KVM_VMI_MAX_RULES		4096
#define KVM_VMI_MAX_OWNERS		32
/* Items in one call. */
#define KVM_VMI_MAX_BATCH		512

/* Index into &kvm_vmi_rule.action. */
#define KVM_VMI_ACTION_WRITE		0
#define KVM_VMI_ACTION_READ		1
#define KVM_VMI_ACTION_FETCH		2
#define KVM_VMI_NR_ACTIONS		3

/* &kvm_vmi_rule.flags */
#define KVM_VMI_RULE_MONITOR		(1U << 0)	/* report, always allow */
#define KVM_VMI_RULE_PAGE_TABLE		(1U << 1)	/* page walks are served, silently */
#define KVM_VMI_RULE_DISARMED		(1U << 2)	/* listed, not enforced */
#define KVM_VMI_RULE_UPDATE		(1U << 3)	/* only if there, armed or not as it is */
#define KVM_VMI_RULE_FLAGS		(KVM_VMI_RULE_MONITOR | \
					 KVM_VMI_RULE_PAGE_TABLE | \
					 KVM_VMI_RULE_DISARMED | \
					 KVM_VMI_RULE_UPDATE)

/**
 * enum kvm_vmi_on_reset - what a VM reset does to a rule
 * @KVM_VMI_RESET_DISARM: it stays listed, disarmed until it is set again
 * @KVM_VMI_RESET_KEEP: it stays in force
 * @KVM_VMI_RESET_KILL: the VM is dead
 */
enum kvm_vmi_on_reset {
	KVM_VMI_RESET_DISARM = 0,
	KVM_VMI_RESET_KEEP = 1,
	KVM_VMI_RESET_KILL = 2,
};

/**
 * struct kvm_vmi_rule - the decisions that ranges point to
 * @id: 1 to %KVM_VMI_RULE_ID_MAX
 * @flags: KVM_VMI_RULE_*
 * @action: per access kind (KVM_VMI_ACTION_*) the verdict when no program
 *	chooses one; %KVM_VMI_DEFAULT means %KVM_VMI_DENY
 * @dflt: what replaces an @action that is illegal for a violation: deny (also
 *	%KVM_VMI_DEFAULT), allow or kill
 * @on_reset: &enum kvm_vmi_on_reset
 * @reserved: zero
 * @deadline_ms: reserved for %KVM_VMI_HOLD, 0 to 10000
 * @reserved2: zero
 * @cookie: the owner's, handed back in violations and enumeration
 */
struct kvm_vmi_rule {
	__u32 id;
	__u32 flags;
	__u8 action[KVM_VMI_NR_ACTIONS];
	__u8 dflt;
	__u8 on_reset;
	__u8 reserved[3];
	__u32 deadline_ms;
	__u32 reserved2;
	__u64 cookie;
};

/**
 * struct kvm_vmi_rule_info - a rule as enumeration returns it
 * @rule: as set, %KVM_VMI_RULE_DISARMED as it is now, without %KVM_VMI_RULE_UPDATE
 * @violations: violations raised, all kinds
 * @denied: accesses that did not happen
 * @allowed: accesses carried out although denied by the map
 * @skipped: instructions stepped over
 * @bad_verdicts: answers of a program or the VMM that were unknown or illegal
 * @unemulatable: accesses that KVM's emulator could not carry out
 * @opened: times a page was opened for a second because of @unemulatable, or for an event
 *	that is delivered from it
 * @kvm_writes: KVM's own writes that met the rule
 * @stepped: instructions and events that the CPU carried out by itself, while no
 *	other CPU of the VM ran, because KVM's emulator could not
 * @granted: pages of which the rule lets a fetch happen since a program has asked for
 *	that (bpf_kvm_vmi_grant())
 */
struct kvm_vmi_rule_info {
	struct kvm_vmi_rule rule;
	__u64 violations;
	__u64 denied;
	__u64 allowed;
	__u64 skipped;
	__u64 bad_verdicts;
	__u64 unemulatable;
	__u64 opened;
	__u64 kvm_writes;
	__u64 stepped;
	__u64 granted;
};

/**
 * struct kvm_vmi_range - one rule's rights on a run of frames
 * @gfn: first frame, an L1 guest frame number
 * @nr: frames, at least 1; @gfn + @nr at most 1 << (guest MAXPHYADDR - 12)
 * @rule: an existing rule's id
 * @write: the sub-pages that may be written (bit 0 = bytes 0 to 127)
 * @rights: KVM_VMI_RIGHT_*; -EOPNOTSUPP for what this host's CPU cannot keep a guest
 *	from, see &kvm_vmi_caps.features; without %KVM_VMI_RIGHT_READ @write is 0
 * @reserved: zero
 */
struct kvm_vmi_range {
	__u64 gfn;
	__u64 nr;
	__u32 rule;
	__u32 write;
	__u32 rights;
	__u32 reserved;
};

/*
 * Bits that may be pinned.  CR0.WP; CR4.UMIP, SMEP, SMAP, CET, LASS (SDM vol. 3, 2.5
 * "Control Registers"); EFER.NX (SDM vol. 4, table 2-2, IA32_EFER).
 */
#define KVM_VMI_PIN_CR0		(1ULL << 16)
#define KVM_VMI_PIN_CR4		(1ULL << 11 | 1ULL << 20 | 1ULL << 21 | 1ULL << 23 | \
				 1ULL << 27)
#define KVM_VMI_PIN_EFER	(1ULL << 11)

/**
 * struct kvm_vmi_pin - the register bits that a rule keeps set
 * @cr0: bits of CR0, of %KVM_VMI_PIN_CR0
 * @cr4: bits of CR4, of %KVM_VMI_PIN_CR4
 * @efer: bits of EFER, of %KVM_VMI_PIN_EFER
 * @rule: an existing rule's id
 * @reserved: zero
 *
 * A load by the guest that would clear such a bit is a violation, on which the rule's
 * action for writes is taken.  A vCPU in which the bit is not set may leave it so.
 */
struct kvm_vmi_pin {
	__u64 cr0;
	__u64 cr4;
	__u64 efer;
	__u32 rule;
	__u32 reserved;
};

/* &kvm_vmi_vm_info.flags */
#define KVM_VMI_VM_PENDING	(1U << 0)	/* waits for admission */
#define KVM_VMI_VM_EXPIRED	(1U << 1)	/* admission ended by its deadline */
#define KVM_VMI_VM_DEAD		(1U << 2)	/* killed or dying */
#define KVM_VMI_VM_UNSUPPORTED	(1U << 3)	/* SEV, TDX, private memory: takes no map */
#define KVM_VMI_VM_ENGINE_FIXED	(1U << 4)	/* has been protected: the engine stays */
#define KVM_VMI_VM_SUBPAGES	(1U << 5)	/* the VMM takes exits, may protect frames too */

/**
 * enum kvm_vmi_engine - who checks writes to the sub-pages of a frame
 * @KVM_VMI_ENGINE_AUTO: the CPU where KVM is told to use that and it is safe,
 *	else KVM
 * @KVM_VMI_ENGINE_SOFTWARE: KVM: the frame is write-protected, each write to it
 *	is emulated or denied
 * @KVM_VMI_ENGINE_HARDWARE: the CPU (Intel's SPP): only what it refuses, or
 *	cannot tell, is settled by KVM
 * @KVM_VMI_NR_ENGINES: one past the last engine
 *
 * What is allowed and what is denied is the same with each.
 */
enum kvm_vmi_engine {
	KVM_VMI_ENGINE_AUTO = 0,
	KVM_VMI_ENGINE_SOFTWARE = 1,
	KVM_VMI_ENGINE_HARDWARE = 2,
	KVM_VMI_NR_ENGINES
};

/**
 * struct kvm_vmi_vm_info - identity and state of a VM
 * @id: given by KVM at creation, never reused until the host reboots
 * @start_time: when the VMM's process started, nanoseconds of CLOCK_BOOTTIME
 *	(/proc/PID/stat field 22 in a finer unit)
 * @cgroup_id: the VMM's cgroup v2 id when it created the VM, 0 without cgroups
 * @generation: resets so far
 * @violations: violations raised, but for those of the VMM's own map
 * @bad_verdicts: unknown or illegal answers of a program or the VMM
 * @map_entries: runs of frames in the access map, without the VMM's own
 * @pid: thread group id of the VMM in the initial pid namespace
 * @uid: effective uid of the VMM in the initial user namespace
 * @vcpus: virtual CPUs created
 * @flags: KVM_VMI_VM_*
 * @rules: rules in the table, as enumeration shows them
 * @maxphyaddr: the guest's physical address width as the map sees it, bits
 * @engine: &enum kvm_vmi_engine in use, or to be used: SOFTWARE or HARDWARE
 * @engine_wanted: &enum kvm_vmi_engine as asked for
 * @table_bytes: memory of the table by which the CPU checks sub-pages
 */
struct kvm_vmi_vm_info {
	__u64 id;
	__u64 start_time;
	__u64 cgroup_id;
	__u64 generation;
	__u64 violations;
	__u64 bad_verdicts;
	__u64 map_entries;
	__u32 pid;
	__u32 uid;
	__u32 vcpus;
	__u32 flags;
	__u32 rules;
	__u32 maxphyaddr;
	__u32 engine;
	__u32 engine_wanted;
	__u64 table_bytes;
};

/* &kvm_vmi_violation.flags */
#define KVM_VMI_V_GVA		(1U << 0)	/* gva is valid */
/*
 * CPL 3 (for walks: of the access walked for).  For fetches as the CPU decides: on Intel
 * with mode-based execute control a user-mode linear address, without it nothing reliable.
 */
#define KVM_VMI_V_USER		(1U << 1)
#define KVM_VMI_V_NESTED	(1U << 2)	/* L2; gva, rip, cr3 are L2's, gpa is L1's */
#define KVM_VMI_V_VECTORING	(1U << 3)	/* while an event was being delivered */
#define KVM_VMI_V_EMULATED	(1U << 4)	/* by KVM's emulator: gpa, data's length exact */
#define KVM_VMI_V_MONITOR	(1U << 5)	/* told only, the verdict is allow */
#define KVM_VMI_V_BAD_VERDICT	(1U << 6)	/* the program's answer was not legal */
#define KVM_VMI_V_VMM		(1U << 7)	/* of the VMM's own map: no program is asked */
#define KVM_VMI_V_NO_PAGING	(1U << 8)	/* fetch with paging off: on Intel user mode's */
#define KVM_VMI_V_TAG		(1U << 9)	/* tag is valid: linear address masking is on */

/* &kvm_vmi_violation.reg; EFER by its number as an MSR (SDM vol. 4, table 2-2) */
#define KVM_VMI_REG_CR0		0
#define KVM_VMI_REG_CR4		4
#define KVM_VMI_REG_EFER	0xc0000080U

/**
 * struct kvm_vmi_violation - one forbidden access
 * @gpa: L1 guest physical address of the first denied byte where decoded
 *	(%KVM_VMI_V_EMULATED), else of the access as the CPU reports it; 0 for a register
 * @gva: linear address of @gpa if %KVM_VMI_V_GVA, without metadata
 * @rip: of the instruction (of the interrupted one while vectoring)
 * @cr3: as in the vCPU's register
 * @tag: bits 62 to 48 of the pointer that the instruction has used, if %KVM_VMI_V_TAG; of
 *	these the CPU ignores what CR3 and CR4 say (SDM vol. 1, "Linear-address masking")
 * @cookie: the rule's
 * @seq: per VM, from 1, without gaps; those with %KVM_VMI_V_VMM are counted apart
 * @rule: the rule that speaks for this access; no rule of enumeration if
 *	%KVM_VMI_V_VMM
 * @vcpu_id: as in KVM_CREATE_VCPU
 * @length: bytes the access touches, 0 where not decoded
 * @kind: &enum kvm_vmi_kind
 * @flags: KVM_VMI_V_*
 * @action: the verdict if no program chooses another
 * @legal: bitmap over &enum kvm_vmi_verdict of what a program may answer
 * @insn_len: bytes of the instruction by KVM's decoder, 0 where not decoded
 * @old: the value of the register, of kinds %KVM_VMI_CR and %KVM_VMI_EFER; else 0.  Of a
 *	register that is loaded with all others (VM exit to L1, RSM) what it was before the
 *	vCPU entered L2, or SMM
 * @new: what would be loaded; else 0
 * @reg: KVM_VMI_REG_*; else 0
 * @reserved: zero
 */
struct kvm_vmi_violation {
	__u64 gpa;
	__u64 gva;
	__u64 rip;
	__u64 cr3;
	__u64 tag;
	__u64 cookie;
	__u64 seq;
	__u32 rule;
	__u32 vcpu_id;
	__u32 length;
	__u32 kind;
	__u32 flags;
	__u32 action;
	__u32 legal;
	__u32 insn_len;
	__u64 old;
	__u64 new;
	__u32 reg;
	__u32 reserved;
};

/**
 * struct kvm_vmi_regs - what a vCPU's own thread saw
 * @gpr: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15
 * @rip: instruction pointer
 * @rflags: flags
 * @base: segment bases es, cs, ss, ds, fs, gs
 * @cr0: control register 0
 * @cr2: control register 2
 * @cr3: control register 3
 * @cr4: control register 4
 * @efer: IA32_EFER
 * @idt_base: IDTR base
 * @gdt_base: GDTR base
 * @lstar: IA32_LSTAR
 * @idt_limit: IDTR limit
 * @gdt_limit: GDTR limit
 * @cpl: current privilege level
 * @nested: 1 if these are an L2 guest's
 */
struct kvm_vmi_regs {
	__u64 gpr[16];
	__u64 rip;
	__u64 rflags;
	__u64 base[6];
	__u64 cr0;
	__u64 cr2;
	__u64 cr3;
	__u64 cr4;
	__u64 efer;
	__u64 idt_base;
	__u64 gdt_base;
	__u64 lstar;
	__u32 idt_limit;
	__u32 gdt_limit;
	__u32 cpl;
	__u32 nested;
};

/* &kvm_vmi_caps.features */
#define KVM_VMI_CAP_WRITE	(1ULL << 0)	/* whole-page write protection */
#define KVM_VMI_CAP_SUBPAGE_SW	(1ULL << 1)	/* sub-pages by write protection and emulation */
#define KVM_VMI_CAP_SUBPAGE_HW	(1ULL << 2)	/* sub-pages by Intel's SPP, if asked for */
#define KVM_VMI_CAP_READ	(1ULL << 3)	/* pages that may not be read, but executed */
#define KVM_VMI_CAP_EXEC	(1ULL << 4)	/* pages that nobody may execute */
#define KVM_VMI_CAP_TDP		(1ULL << 5)	/* two-dimensional paging is on */
#define KVM_VMI_CAP_TDP_MMU	(1ULL << 6)	/* the TDP MMU is on */
#define KVM_VMI_CAP_EXEC_USER	(1ULL << 7)	/* pages that only user mode may execute */
#define KVM_VMI_CAP_EXEC_KERNEL	(1ULL << 8)	/* pages that only kernel mode may execute */
#define KVM_VMI_CAP_PIN		(1ULL << 9)	/* bits of control registers that stay set */

#define KVM_VMI_VENDOR_INTEL	1
#define KVM_VMI_VENDOR_AMD	2

/**
 * struct kvm_vmi_caps - what this host's KVM can enforce
 * @features: KVM_VMI_CAP_*
 * @verdicts: bitmap over &enum kvm_vmi_verdict of what is built
 * @kinds: bitmap over &enum kvm_vmi_kind of what is raised
 * @vendor: KVM_VMI_VENDOR_*, 0 with no vendor module loaded
 * @abi: %KVM_VMI_ABI
 * @admission: &enum kvm_vmi_admission in force
 * @admission_ms: its deadline
 */
struct kvm_vmi_caps {
	__u64 features;
	__u32 verdicts;
	__u32 kinds;
	__u32 vendor;
	__u32 abi;
	__u32 admission;
	__u32 admission_ms;
};

/* Grows when a structure or kfunc is added; nothing is ever taken away. */
#define KVM_VMI_ABI		6

/**
 * enum kvm_vmi_admission - what happens to a new VM's first KVM_RUN
 * @KVM_VMI_ADMIT_OFF: it runs at once
 * @KVM_VMI_ADMIT_OPEN: it waits to be admitted, and runs when the deadline ends
 * @KVM_VMI_ADMIT_CLOSED: it waits to be admitted, -EPERM when the deadline ends
 */
enum kvm_vmi_admission {
	KVM_VMI_ADMIT_OFF = 0,
	KVM_VMI_ADMIT_OPEN = 1,
	KVM_VMI_ADMIT_CLOSED = 2,
};

/* Deadline of admission: default and bounds, milliseconds. */
#define KVM_VMI_ADMIT_MS_DEFAULT	2000
#define KVM_VMI_ADMIT_MS_MAX		60000

#endif /* _UAPI_LINUX_KVM_VMI_H */
