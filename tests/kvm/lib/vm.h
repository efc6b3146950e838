/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tiny virtual machine: memory slots, guest page tables, virtual CPUs that
 * carry out one operation at a time (guest/abi.h).  What cannot fail in a
 * working kernel ends the test case when it does.
 */
#ifndef KVM_TEST_VM_H
#define KVM_TEST_VM_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "../guest/abi.h"
#include "tap.h"

#define PAGE_SIZE	4096UL
#define HUGE_SIZE	(2UL << 20)

/* Newer than Debian 12's headers. */
#ifndef KVM_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY	236
#define KVM_PRE_FAULT_MEMORY		_IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)
struct kvm_pre_fault_memory {
	__u64 gpa;
	__u64 size;
	__u64 flags;
	__u64 padding[5];
};
#endif

#define VM_MAX_SLOTS	16
#define VM_RING_ENTRIES	2048	/* more than KVM keeps in reserve, which with PML is 576 */

/* &vm_options.flags */
#define VM_IRQCHIP	(1U << 0)	/* the kernel's APICs, x2APIC enabled in the guest */
#define VM_HYPERV	(1U << 2)	/* CPUID says Hyper-V, and KVM at 0x40000100 */
#define VM_DIRTY_RING	(1U << 3)	/* pages written are told in rings of VM_RING_ENTRIES */
#define VM_RAW		(1U << 1)	/* vCPUs as KVM creates them, in real mode */
#define VM_HIGH		(1U << 4)	/* the guest's kernel is in the upper half, at GUEST_HIGH */

/* How guest memory is backed. */
enum backing {
	BACKING_ANONYMOUS,	/* private, small pages */
	BACKING_THP,		/* private, aligned and advised for huge pages */
	BACKING_SHARED,		/* a memfd, mapped shared */
};

/** struct slot - one memory slot, and where its memory is in our process */
struct slot {
	bool used;
	uint16_t as_id;
	uint32_t id;
	uint32_t flags;
	uint64_t gpa;
	uint64_t size;
	uint8_t *hva;
	int fd;			/* of BACKING_SHARED, else -1 */
	bool borrowed;		/* memory that belongs to another slot */
};

struct vcpu;

/** struct vm - a virtual machine */
struct vm {
	int kvm_fd;
	int fd;
	unsigned int n_vcpus;
	unsigned int flags;
	struct vcpu *vcpu[GUEST_MAX_CPUS];
	struct slot slots[VM_MAX_SLOTS];
	uint64_t next_table;	/* where the next page table goes */
	uint64_t cr3;
	uint64_t root5;		/* of vm_five_levels(), else 0 */
};

/** struct vm_options - everything a test may choose about a new VM */
struct vm_options {
	unsigned int vcpus;	/* 0 = 1 */
	unsigned int flags;	/* VM_* */
	unsigned int arena_pages; /* pages at GUEST_ARENA; 0 = 16 */
	enum backing arena;
};

/** vm_new - create a VM that is ready to run operations; @options may be NULL */
struct vm *vm_new(const struct vm_options *options);

/** vm_free - end its threads and give everything back; takes NULL */
void vm_free(struct vm *vm);

/* How many host CPUs may run vCPUs at the same time. */
unsigned int host_cpus(void);

/** vm_ioctl - an ioctl of the VM that must work */
#define vm_ioctl(vm, request, argument) \
	must_ioctl((vm)->fd, request, #request, (unsigned long)(argument), __FILE__, __LINE__)
int must_ioctl(int fd, unsigned long request, const char *name, unsigned long argument,
	       const char *file, int line);

/** vm_check_extension - as KVM_CHECK_EXTENSION on the VM */
int vm_check_extension(struct vm *vm, int extension);

/* memory.c */

/** memory_new - memory of our own process: @size bytes, aligned to 2 MiB */
uint8_t *memory_new(uint64_t size, enum backing backing, int *ret_fd);

/** vm_add_slot - give the VM @size bytes of fresh memory at @gpa */
struct slot *vm_add_slot(struct vm *vm, uint64_t gpa, uint64_t size, enum backing backing,
			 uint32_t flags);

/** vm_add_alias - a slot at @gpa over memory that we already have at @hva */
struct slot *vm_add_alias(struct vm *vm, unsigned int as_id, uint64_t gpa, uint64_t size,
			  uint8_t *hva, uint32_t flags);

/** slot_set_flags - change KVM_MEM_* of a slot */
void slot_set_flags(struct vm *vm, struct slot *slot, uint32_t flags);

/** slot_delete - take the slot away from the VM, keep its memory */
void slot_delete(struct vm *vm, struct slot *slot);

/** slot_insert - give a deleted slot back */
void slot_insert(struct vm *vm, struct slot *slot);

/** slot_move - move a slot to another guest physical address */
void slot_move(struct vm *vm, struct slot *slot, uint64_t gpa);

/** slot_dirty - the slot's dirty bitmap; one bit a page, caller frees */
uint64_t *slot_dirty(struct vm *vm, struct slot *slot);

/** slot_clear_dirty - with manual protection: have all its pages logged again */
void slot_clear_dirty(struct vm *vm, struct slot *slot);

/** vm_slot - the slot of address space 0 that holds @gpa, or NULL */
struct slot *vm_slot(struct vm *vm, uint64_t gpa);

/** vm_hva - @gpa in our own process; the case ends if there is no memory */
void *vm_hva(struct vm *vm, uint64_t gpa);

static inline uint64_t vm_read64(struct vm *vm, uint64_t gpa)
{
	return *(volatile uint64_t *)vm_hva(vm, gpa);
}

/* paging.c: the guest's own page tables */

#define PTE_PRESENT	(1UL << 0)
#define PTE_WRITE	(1UL << 1)
#define PTE_USER	(1UL << 2)
#define PTE_ACCESSED	(1UL << 5)
#define PTE_DIRTY	(1UL << 6)
#define PTE_HUGE	(1UL << 7)
#define PTE_DEFAULT	(PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED | PTE_DIRTY)
#define PTE_FRAME	0x000ffffffffff000UL

/** vm_new_table - an empty page of the guest's page tables; its address */
uint64_t vm_new_table(struct vm *vm);

/**
 * vm_five_levels - a root for 5-level paging, by which all addresses of 48 bits are what they
 * are by @vm->cr3; vm_map() and vm_pte() then take addresses of 57 bits
 */
uint64_t vm_five_levels(struct vm *vm);

/** vm_map - map @pages 4 KiB pages of @gpa at @gva with leaf bits @bits */
void vm_map(struct vm *vm, uint64_t gva, uint64_t gpa, unsigned long pages, uint64_t bits);

/** vm_pte - where the 4 KiB leaf that maps @gva is in guest memory */
uint64_t vm_pte(struct vm *vm, uint64_t gva);

#endif /* KVM_TEST_VM_H */
