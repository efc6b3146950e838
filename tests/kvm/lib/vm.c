// SPDX-License-Identifier: GPL-2.0-or-later
/* Creating a tiny virtual machine: its low memory, its program, its tables. */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vcpu.h"

#define LOW_SLOT_GPA	0UL
#define ARENA_PAGES	16

/* image.S */
extern const uint8_t guest_image_start[], guest_image_end[];

int must_ioctl(int fd, unsigned long request, const char *name, unsigned long argument,
	       const char *file, int line)
{
	int r = ioctl(fd, request, argument);

	if (r < 0) {
		tap_fail(file, line, "%s: %s", name, strerror(errno));
		tap_abort();
	}
	return r;
}

unsigned int host_cpus(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return CPU_COUNT(&set);
}

int vm_check_extension(struct vm *vm, int extension)
{
	return ioctl(vm->fd, KVM_CHECK_EXTENSION, (unsigned long)extension);
}

static void load_image(struct vm *vm)
{
	size_t size = guest_image_end - guest_image_start;
	const struct guest_image *header = (const void *)guest_image_start;

	require(size <= GUEST_IMAGE_MAX && header->magic == GUEST_IMAGE_MAGIC,
		"the guest's program is not what it should be");
	memcpy(vm_hva(vm, GUEST_IMAGE_BASE), guest_image_start, size);
}

struct vm *vm_new(const struct vm_options *options)
{
	static const struct vm_options defaults;
	static const struct kvm_enable_cap ring = {
		.cap = KVM_CAP_DIRTY_LOG_RING,
		.args = { VM_RING_ENTRIES * sizeof(struct kvm_dirty_gfn) },
	};
	const struct vm_options *o = options ?: &defaults;
	unsigned int i, pages = o->arena_pages ?: ARENA_PAGES;
	struct vm *vm = calloc(1, sizeof(*vm));

	require(vm, "out of memory");
	vm->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm->kvm_fd < 0)
		tap_skip("/dev/kvm: %s", strerror(errno));
	require_eq(ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0UL), KVM_API_VERSION);
	vm->fd = must_ioctl(vm->kvm_fd, KVM_CREATE_VM, "KVM_CREATE_VM", 0, __FILE__, __LINE__);
	vm->flags = o->flags;

	vm_ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	if (vm->flags & VM_DIRTY_RING)
		vm_ioctl(vm, KVM_ENABLE_CAP, &ring);
	if (vm->flags & VM_IRQCHIP)
		vm_ioctl(vm, KVM_CREATE_IRQCHIP, 0);

	vm_add_slot(vm, LOW_SLOT_GPA, GUEST_LOW_SIZE, BACKING_ANONYMOUS, 0);
	load_image(vm);
	vm->next_table = GUEST_PT_BASE;
	vm->cr3 = vm_new_table(vm);
	vm_map(vm, 0, 0, GUEST_LOW_SIZE / PAGE_SIZE, PTE_DEFAULT);

	vm_add_slot(vm, GUEST_ARENA, pages * PAGE_SIZE, o->arena, 0);
	vm_map(vm, GUEST_ARENA, GUEST_ARENA, pages, PTE_DEFAULT);

	if (vm->flags & VM_HIGH) {
		vm_map(vm, GUEST_HIGH, 0, GUEST_LOW_SIZE / PAGE_SIZE, PTE_DEFAULT & ~PTE_USER);
		vm_map(vm, GUEST_HIGH + GUEST_ARENA, GUEST_ARENA, pages, PTE_DEFAULT & ~PTE_USER);
	}

	vm->n_vcpus = o->vcpus ?: 1;
	for (i = 0; i < vm->n_vcpus; i++)
		vm->vcpu[i] = vcpu_new(vm, i);
	return vm;
}

void vm_free(struct vm *vm)
{
	unsigned int i;

	if (!vm)
		return;
	for (i = 0; i < vm->n_vcpus; i++)
		vcpu_free(vm->vcpu[i]);
	close(vm->fd);
	close(vm->kvm_fd);
	/* Slots' memory is left to the end of the process: aliases share it. */
	free(vm);
}
