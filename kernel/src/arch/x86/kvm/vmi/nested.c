// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: pages that a guest hypervisor hands over by
 * guest physical address, and that are then written by host address, past all
 * page tables.
 *
 * What KVM itself writes there is bracketed by kvm_vmi_write_begin() and _end():
 * the page is pinned and mapped in the kernel before, so nothing in between faults
 * or waits, and a change of the map waits for it in kvm_vmi.store_srcu.
 *
 * What the CPU writes by itself for as long as L2 runs (VMX: the virtual-APIC page
 * and the posted-interrupt descriptor) has no such moment.  There the mapping
 * itself obeys the map:
 *
 * - A vCPU looks at the map before it maps such a page for L2, and maps it on its
 *   own thread, outside guest mode.
 * - Each change is followed by KVM_REQ_VMI_MAPS to all vCPUs, after the new map is
 *   visible.  The request is made before the vCPU's mode is looked at, and a vCPU
 *   looks for requests after it has set its mode to IN_GUEST_MODE with interrupts
 *   off.  So it either is outside guest mode, and serves the request before it
 *   next enters, or is kicked out, and %KVM_REQUEST_WAIT waits until it is.
 * - Who serves the request looks at the map again and drops what is forbidden now.
 *   A page that was looked up under the old map and is mapped only afterwards is
 *   found too: between this and the next entry requests are looked for once more.
 *
 * So when the change returns, no vCPU is in guest mode with such a mapping, nor
 * will be.  What is waited for is the answer to an interrupt of the host, which
 * neither guest nor VMM can hold up.
 */
#include "vmi/internal.h"

/**
 * kvm_vmi_recheck_maps - what is mapped for the CPU must be looked at anew
 * @kvm: the VM; its map, or the memslots, have changed
 *
 * Context: sleeps.  kvm_vmi.lock, slots_lock and kvm->srcu may be held, not mmu_lock.
 * Returns when every vCPU has left guest mode since.
 */
void kvm_vmi_recheck_maps(struct kvm *kvm)
{
	might_sleep();
	/* Only VMX has such mappings. */
	if (kvm_nested_ops.enabled && kvm_nested_ops.recheck_pages)
		kvm_make_all_cpus_request(kvm, KVM_REQ_VMI_MAPS);
}

/* The vCPU's thread, the vCPU loaded, kvm->srcu held. */
void kvm_vmi_serve_maps(struct kvm_vcpu *vcpu)
{
	kvm_nested_call(recheck_pages)(vcpu);
}

/**
 * kvm_vmi_drop_map - unmap what the access map does not let be written any more
 * @vcpu: the vCPU, loaded, kvm->srcu held
 * @map: of kvm_vcpu_map(), or not mapped
 * @offset: of what is written, in bytes from the start of the page
 * @len: bytes, within the page
 *
 * Return: true if it was mapped and is not any more; then that was reported
 */
bool kvm_vmi_drop_map(struct kvm_vcpu *vcpu, struct kvm_host_map *map, unsigned int offset,
		      unsigned int len)
{
	if (!kvm_vcpu_mapped(map) ||
	    !kvm_vmi_refuses(vcpu->kvm, gfn_to_gpa(map->gfn) + offset, len))
		return false;
	kvm_vcpu_unmap(vcpu, map);
	return true;
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_vmi_drop_map);
