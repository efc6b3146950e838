// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory slots: fresh memory of several kinds, aliases, moving, dirty logging. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

uint8_t *memory_new(uint64_t size, enum backing backing, int *ret_fd)
{
	uint64_t room = size + 2 * HUGE_SIZE;
	int fd = -1, flags = MAP_FIXED | MAP_NORESERVE;
	uint8_t *p;

	/* Reserve more, to place the memory at a huge page's boundary. */
	p = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	require(p != MAP_FAILED, "mmap: %s", strerror(errno));
	p = (uint8_t *)(((uintptr_t)p + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));

	if (backing == BACKING_SHARED) {
		fd = memfd_create("guest", MFD_CLOEXEC);
		require(fd >= 0 && !ftruncate(fd, size), "memfd: %s", strerror(errno));
		flags |= MAP_SHARED;
	} else {
		flags |= MAP_PRIVATE | MAP_ANONYMOUS;
	}
	p = mmap(p, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	require(p != MAP_FAILED, "mmap: %s", strerror(errno));
	if (backing != BACKING_SHARED)
		madvise(p, size, backing == BACKING_THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	if (ret_fd)
		*ret_fd = fd;
	return p;
}

static void commit(struct vm *vm, struct slot *slot, uint64_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot->id | (uint32_t)slot->as_id << 16,
		.flags = size ? slot->flags : 0,
		.guest_phys_addr = slot->gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)slot->hva,
	};

	vm_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
	slot->used = size != 0;
}

static struct slot *slot_new(struct vm *vm)
{
	unsigned int i;

	for (i = 0; i < VM_MAX_SLOTS; i++)
		if (!vm->slots[i].hva) {
			vm->slots[i].id = i;
			vm->slots[i].fd = -1;
			return &vm->slots[i];
		}
	require(false, "no free slot");
	return NULL;
}

struct slot *vm_add_slot(struct vm *vm, uint64_t gpa, uint64_t size, enum backing backing,
			 uint32_t flags)
{
	struct slot *slot = slot_new(vm);

	slot->hva = memory_new(size, backing, &slot->fd);
	slot->gpa = gpa;
	slot->size = size;
	slot->flags = flags;
	commit(vm, slot, size);
	return slot;
}

struct slot *vm_add_alias(struct vm *vm, unsigned int as_id, uint64_t gpa, uint64_t size,
			  uint8_t *hva, uint32_t flags)
{
	struct slot *slot = slot_new(vm);

	slot->hva = hva;
	slot->as_id = as_id;
	slot->gpa = gpa;
	slot->size = size;
	slot->flags = flags;
	slot->borrowed = true;
	commit(vm, slot, size);
	return slot;
}

void slot_set_flags(struct vm *vm, struct slot *slot, uint32_t flags)
{
	slot->flags = flags;
	commit(vm, slot, slot->size);
}

void slot_delete(struct vm *vm, struct slot *slot)
{
	commit(vm, slot, 0);
}

void slot_insert(struct vm *vm, struct slot *slot)
{
	commit(vm, slot, slot->size);
}

void slot_move(struct vm *vm, struct slot *slot, uint64_t gpa)
{
	slot->gpa = gpa;
	commit(vm, slot, slot->size);
}

uint64_t *slot_dirty(struct vm *vm, struct slot *slot)
{
	uint64_t *bitmap = calloc((slot->size / PAGE_SIZE + 63) / 64, 8);
	struct kvm_dirty_log log = {
		.slot = slot->id | (uint32_t)slot->as_id << 16,
	};

	require(bitmap, "out of memory");
	log.dirty_bitmap = bitmap;
	vm_ioctl(vm, KVM_GET_DIRTY_LOG, &log);
	return bitmap;
}

void slot_clear_dirty(struct vm *vm, struct slot *slot)
{
	uint64_t *bitmap = calloc((slot->size / PAGE_SIZE + 63) / 64, 8);
	struct kvm_clear_dirty_log log = {
		.slot = slot->id | (uint32_t)slot->as_id << 16,
		.num_pages = slot->size / PAGE_SIZE,
	};

	require(bitmap, "out of memory");
	memset(bitmap, 0xff, (slot->size / PAGE_SIZE + 63) / 64 * 8);
	log.dirty_bitmap = bitmap;
	vm_ioctl(vm, KVM_CLEAR_DIRTY_LOG, &log);
	free(bitmap);
}

struct slot *vm_slot(struct vm *vm, uint64_t gpa)
{
	unsigned int i;

	for (i = 0; i < VM_MAX_SLOTS; i++) {
		struct slot *s = &vm->slots[i];

		if (s->used && !s->as_id && gpa >= s->gpa && gpa - s->gpa < s->size)
			return s;
	}
	return NULL;
}

void *vm_hva(struct vm *vm, uint64_t gpa)
{
	struct slot *slot = vm_slot(vm, gpa);

	require(slot, "no memory at guest address %#llx", (unsigned long long)gpa);
	return slot->hva + (gpa - slot->gpa);
}
