// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: a VM's identity, references and life.
 *
 * Every VM has an identity as soon as the option is built in: a few stores per
 * VM, none per exit.  It is taken from the process that creates the VM, while
 * that is the current one, and never from whoever asks later.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "vmi/internal.h"
#include "cpuid.h"

#define CREATE_TRACE_POINTS
#include "vmi/trace.h"

DEFINE_STATIC_KEY_FALSE(kvm_vmi_key);
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_vmi_key);

/* How long a caller waits for a VM's first activation before it must ask again. */
#define KVM_VMI_ACTIVATE_TIMEOUT	HZ

static DEFINE_XARRAY(kvm_vmi_vms);
/* Of its own, so that nothing of it runs once the module is gone. */
static struct workqueue_struct *kvm_vmi_wq;
/* A VMM can hold its activation up, and none of the other work. */
static struct workqueue_struct *kvm_vmi_activate_wq;
static atomic64_t kvm_vmi_last_id = ATOMIC64_INIT(0);

static atomic_t kvm_vmi_key_decs = ATOMIC_INIT(0);

static void kvm_vmi_key_dec_fn(struct work_struct *work)
{
	int decs = atomic_xchg(&kvm_vmi_key_decs, 0);

	while (decs--)
		static_branch_dec(&kvm_vmi_key);
}

static DECLARE_DELAYED_WORK(kvm_vmi_key_work, kvm_vmi_key_dec_fn);

/*
 * Destruction may run under locks that rank below the hotplug lock.  And anyone may
 * create VMs and protect what is in them: let nobody throw the switch at will.
 */
static void kvm_vmi_key_dec(void)
{
	atomic_inc(&kvm_vmi_key_decs);
	queue_delayed_work(kvm_vmi_wq, &kvm_vmi_key_work, HZ);
}

/*
 * Throw the switch, then wait for every vCPU that may have looked at it before:
 * all of KVM's accesses to guest memory are within kvm->srcu.  A reader that
 * comes later sees @active, and is waited for by kvm_vmi.store_srcu.
 */
static int kvm_vmi_do_activate(struct kvm_vmi *vmi)
{
	struct kvm *kvm = vmi->kvm;

	guard(mutex)(&vmi->activate_lock);
	if (vmi->ready)
		return 0;
	if (init_srcu_struct(&vmi->store_srcu))
		return -ENOMEM;
	static_branch_inc(&kvm_vmi_key);

	mutex_lock(&kvm->slots_lock);
	mutex_lock(&vmi->lock);
	WRITE_ONCE(vmi->active, !vmi->unsupported);
	mutex_unlock(&vmi->lock);
	if (vmi->active && !kvm_vmi_find_aliases(kvm)) {
		WRITE_ONCE(vmi->unsupported, true);
		WRITE_ONCE(vmi->active, false);
	}
	mutex_unlock(&kvm->slots_lock);

	if (!vmi->active)
		kvm_vmi_key_dec();
	synchronize_srcu(&kvm->srcu);
	/* Nor one left that has seen it active for a moment. */
	if (!vmi->active)
		cleanup_srcu_struct(&vmi->store_srcu);
	/* Pairs with kvm_vmi_activate(): @active is settled before @ready. */
	smp_store_release(&vmi->ready, true);
	wake_up_all(&vmi->activated);
	return 0;
}

/*
 * A worker, because static keys take cpus_read_lock(): a program's caller is
 * pinned to its CPU and must not wait for that lock without a time limit.
 */
static void kvm_vmi_activate_fn(struct work_struct *work)
{
	struct kvm_vmi *vmi = container_of(work, struct kvm_vmi, activate_work);

	/* Who waits is told; not of a VMM that has failed in its own time, being killed. */
	if (kvm_vmi_do_activate(vmi)) {
		WRITE_ONCE(vmi->no_memory, true);
		wake_up_all(&vmi->activated);
	}
	kvm_put_kvm(vmi->kvm);
}

/**
 * kvm_vmi_activate_here - the same as kvm_vmi_activate() in the caller's own time
 * @kvm: the VM, referenced
 *
 * For the VMM itself: whoever holds up the activation of VMs of his own must not fill
 * the workers that others' wait for.
 * Context: sleeps, no KVM lock held.
 * Return: 0; -EOPNOTSUPP for a VM that takes no map; -ENOMEM.
 */
int kvm_vmi_activate_here(struct kvm *kvm)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	int r;

	if (READ_ONCE(vmi->unsupported))
		return -EOPNOTSUPP;
	r = kvm_vmi_do_activate(vmi);
	if (r)
		return r;
	return READ_ONCE(vmi->active) ? 0 : -EOPNOTSUPP;
}

/**
 * kvm_vmi_activate - make a VM obey its access map
 * @kvm: the VM, referenced
 *
 * Context: sleeps, no KVM lock held.
 * Return: 0; -EOPNOTSUPP for a VM that takes no map; -EAGAIN if it is still
 * under way: call again; -ENOMEM; -EINTR if killed.
 */
int kvm_vmi_activate(struct kvm *kvm)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	long left;

	if (READ_ONCE(vmi->unsupported))
		return -EOPNOTSUPP;
	/* Pairs with kvm_vmi_activate_fn(). */
	if (smp_load_acquire(&vmi->ready))
		return READ_ONCE(vmi->active) ? 0 : -EOPNOTSUPP;

	WRITE_ONCE(vmi->no_memory, false);
	kvm_get_kvm(kvm);
	if (!queue_work(kvm_vmi_activate_wq, &vmi->activate_work))
		kvm_vmi_put(kvm);

	left = wait_event_killable_timeout(vmi->activated, READ_ONCE(vmi->ready) ||
					   READ_ONCE(vmi->no_memory), KVM_VMI_ACTIVATE_TIMEOUT);
	if (left < 0)
		return -EINTR;
	if (!left)
		return -EAGAIN;
	if (!READ_ONCE(vmi->ready))
		return -ENOMEM;
	return READ_ONCE(vmi->active) ? 0 : -EOPNOTSUPP;
}

static void kvm_vmi_kill_fn(struct work_struct *work)
{
	struct kvm_vmi *vmi = container_of(work, struct kvm_vmi, kill_work);

	kvm_vm_dead(vmi->kvm);
	kvm_put_kvm(vmi->kvm);
}

/* A vCPU that is scheduled out holds the run queue's lock: nobody can be woken. */
static void kvm_vmi_kill_irq_fn(struct irq_work *work)
{
	struct kvm_vmi *vmi = container_of(work, struct kvm_vmi, kill_irq);

	if (kvm_get_kvm_safe(vmi->kvm) && !queue_work(kvm_vmi_wq, &vmi->kill_work))
		kvm_vmi_put(vmi->kvm);
}

/**
 * kvm_vmi_kill - this VM must not run any more
 * @kvm: the VM
 *
 * Reading its memory still works until it is destroyed.
 * Context: any but NMI; where IRQs are off the VM dies a little later.
 */
void kvm_vmi_kill(struct kvm *kvm)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vcpu *vcpu;

	trace_kvm_vmi_vm(vmi->id, KVM_VMI_VM_KILLED, 0);
	if (!irqs_disabled()) {
		kvm_vm_dead(kvm);
		return;
	}
	/* This vCPU does not enter the guest again; the others are told presently. */
	vcpu = kvm_get_running_vcpu();
	if (vcpu && vcpu->kvm == kvm)
		kvm_make_request(KVM_REQ_VM_DEAD, vcpu);
	irq_work_queue(&vmi->kill_irq);
}

static void kvm_vmi_put_fn(struct work_struct *work)
{
	struct kvm_vmi *vmi = container_of(work, struct kvm_vmi, put_work);
	struct kvm *kvm = vmi->kvm;
	int puts = atomic_xchg(&vmi->puts, 0);

	/* The last one frees @vmi and @work. */
	while (puts--)
		kvm_put_kvm(kvm);
}

/**
 * kvm_vmi_put - drop a reference from where a VM cannot be destroyed
 * @kvm: the VM, not to be used any more
 */
void kvm_vmi_put(struct kvm *kvm)
{
	if (refcount_dec_not_one(&kvm->users_count))
		return;
	/* The last reference, for now: a worker drops it, or what is left of it. */
	atomic_inc(&kvm->arch.vmi->puts);
	queue_work(kvm_vmi_wq, &kvm->arch.vmi->put_work);
}

/**
 * kvm_vmi_get - the VM with this id
 * @id: as in struct kvm_vmi_vm_info
 *
 * Return: a reference for kvm_vmi_put(), or NULL
 */
struct kvm *kvm_vmi_get(u64 id)
{
	struct kvm *kvm;

	xa_lock(&kvm_vmi_vms);
	kvm = xa_load(&kvm_vmi_vms, id);
	if (kvm && !kvm_get_kvm_safe(kvm))
		kvm = NULL;
	xa_unlock(&kvm_vmi_vms);
	return kvm;
}

/**
 * kvm_vmi_next - the VM with the lowest id above this one
 * @after: an id, 0 to begin
 *
 * Return: a reference for kvm_vmi_put(), or NULL
 */
struct kvm *kvm_vmi_next(u64 after)
{
	unsigned long id = after;
	struct kvm *kvm;

	xa_lock(&kvm_vmi_vms);
	do {
		kvm = xa_find_after(&kvm_vmi_vms, &id, ULONG_MAX, XA_PRESENT);
	} while (kvm && !kvm_get_kvm_safe(kvm));
	xa_unlock(&kvm_vmi_vms);
	return kvm;
}

static u64 kvm_vmi_current_cgroup(void)
{
	u64 id = 0;

#ifdef CONFIG_CGROUPS
	rcu_read_lock();
	id = cgroup_id(task_dfl_cgroup(current));
	rcu_read_unlock();
#endif
	return id;
}

int kvm_vmi_init_vm(struct kvm *kvm)
{
	struct kvm_vmi *vmi = kzalloc_obj(*vmi, GFP_KERNEL_ACCOUNT);

	if (!vmi)
		return -ENOMEM;

	vmi->kvm = kvm;
	vmi->start_time = current->group_leader->start_boottime;
	vmi->cgroup_id = kvm_vmi_current_cgroup();
	vmi->pid = get_pid(task_tgid(current));
	vmi->uid = current_euid();
	vmi->memcg = get_mem_cgroup_from_mm(kvm->mm);
	vmi->unsupported = kvm->arch.vm_type != KVM_X86_DEFAULT_VM;

	mutex_init(&vmi->lock);
	mutex_init(&vmi->regs_lock);
	mutex_init(&vmi->activate_lock);
	kvm_vmi_map_init(vmi);
	kvm_vmi_open_init(vmi);
	kvm_vmi_pin_init(vmi);
	kvm_vmi_step_init(vmi);
	INIT_WORK(&vmi->activate_work, kvm_vmi_activate_fn);
	init_irq_work(&vmi->kill_irq, kvm_vmi_kill_irq_fn);
	INIT_WORK(&vmi->kill_work, kvm_vmi_kill_fn);
	INIT_WORK(&vmi->put_work, kvm_vmi_put_fn);
	init_waitqueue_head(&vmi->activated);
	init_waitqueue_head(&vmi->admission_wq);

	kvm->arch.vmi = vmi;
	return 0;
}

/**
 * kvm_vmi_vm_created - a VM is complete, nobody has its file descriptor yet
 * @kvm: the VM
 *
 * Failure leaves the VM without an id: it cannot be found, so nobody but its VMM can
 * protect it, and where VMs wait to be admitted it is never admitted.
 */
void kvm_vmi_vm_created(struct kvm *kvm)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;

	vmi->id = atomic64_inc_return(&kvm_vmi_last_id);
	if (xa_err(xa_store(&kvm_vmi_vms, vmi->id, kvm, GFP_KERNEL_ACCOUNT))) {
		pr_warn_ratelimited("kvm: no memory to list VM %llu for introspection\n",
				    vmi->id);
		vmi->id = 0;
	}
	/* Once it can be found: whoever ends admission for all must not miss it. */
	kvm_vmi_admission_init(vmi);
	if (!vmi->id)
		return;
	trace_kvm_vmi_vm(vmi->id, KVM_VMI_VM_CREATED, 0);
	kvm_vmi_announce(vmi);
}

/* The last reference is gone: nobody finds the VM any more, and no work holds it. */
void kvm_vmi_pre_destroy_vm(struct kvm *kvm)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;

	if (vmi->id)
		xa_erase(&kvm_vmi_vms, vmi->id);
	irq_work_sync(&vmi->kill_irq);
	kvm_vmi_open_destroy(vmi);
	kvm_vmi_pin_destroy(vmi);
	if (!vmi->id)
		return;
	trace_kvm_vmi_vm(vmi->id, KVM_VMI_VM_DESTROYED, 0);
	kvm_vmi_tell_destroyed(vmi);
}

void kvm_vmi_destroy_vm(struct kvm *kvm)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;

	if (!vmi)
		return;
	kvm->arch.vmi = NULL;
	kvm_vmi_map_destroy(vmi);
	kvm_vmi_spp_destroy(vmi);
	kvm_vmi_step_destroy(vmi);
	if (vmi->active) {
		cleanup_srcu_struct(&vmi->store_srcu);
		kvm_vmi_key_dec();
	}
	put_pid(vmi->pid);
	mem_cgroup_put(vmi->memcg);
	kfree(vmi);
}

/**
 * kvm_vmi_forbid - this VM is about to become one whose memory KVM cannot read
 * @kvm: the VM
 *
 * Return: 0; -EBUSY if it is protected already
 */
int kvm_vmi_forbid(struct kvm *kvm)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;

	guard(mutex)(&vmi->lock);
	if (READ_ONCE(vmi->active))
		return -EBUSY;
	vmi->unsupported = true;
	return 0;
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_vmi_forbid);

/* The guest physical address width that the map accepts, in bits. */
unsigned int kvm_vmi_maxphyaddr(struct kvm *kvm)
{
	unsigned int bits = 0;
	struct kvm_vcpu *vcpu;
	unsigned long i;

	/* A vCPU without CPUID has no width yet, whatever KVM assumes. */
	kvm_for_each_vcpu(i, vcpu, kvm)
		if (READ_ONCE(vcpu->arch.cpuid_nent))
			bits = max_t(unsigned int, bits, cpuid_maxphyaddr(vcpu));
	/* What the VMM writes into CPUID is not checked by KVM. */
	return bits ? clamp(bits, 32U, 52U) : boot_cpu_data.x86_phys_bits;
}

/**
 * kvm_vmi_info - identity and state
 * @vmi: the VM
 * @info: filled
 */
void kvm_vmi_info(struct kvm_vmi *vmi, struct kvm_vmi_vm_info *info)
{
	struct kvm *kvm = vmi->kvm;
	struct kvm_vmi_layer *layer = &vmi->layers[KVM_VMI_LAYER_DAEMON];

	memset(info, 0, sizeof(*info));
	info->id = vmi->id;
	info->start_time = vmi->start_time;
	info->cgroup_id = vmi->cgroup_id;
	info->generation = READ_ONCE(vmi->generation);
	info->violations = atomic64_read(&vmi->violations[KVM_VMI_LAYER_DAEMON]);
	info->bad_verdicts = atomic64_read(&vmi->bad_verdicts);
	info->pid = pid_nr(vmi->pid);
	info->uid = from_kuid_munged(&init_user_ns, vmi->uid);
	info->vcpus = atomic_read(&kvm->online_vcpus);
	info->maxphyaddr = kvm_vmi_maxphyaddr(kvm);
	info->engine = kvm_vmi_engine(vmi);
	info->engine_wanted = READ_ONCE(vmi->engine);
	info->table_bytes = READ_ONCE(vmi->sppt_pages) * PAGE_SIZE;
	if (READ_ONCE(vmi->engine_fixed))
		info->flags |= KVM_VMI_VM_ENGINE_FIXED;
	/* What enumeration shows. */
	info->rules = READ_ONCE(layer->nr_rules);
	info->map_entries = READ_ONCE(layer->nr_runs);
	if (READ_ONCE(vmi->admission) != KVM_VMI_ADMITTED)
		info->flags |= KVM_VMI_VM_PENDING;
	if (READ_ONCE(vmi->expired))
		info->flags |= KVM_VMI_VM_EXPIRED;
	if (READ_ONCE(kvm->vm_dead) || READ_ONCE(kvm->vm_bugged))
		info->flags |= KVM_VMI_VM_DEAD;
	if (READ_ONCE(vmi->unsupported))
		info->flags |= KVM_VMI_VM_UNSUPPORTED;
	if (READ_ONCE(vmi->exits))
		info->flags |= KVM_VMI_VM_SUBPAGES;
}

int __init kvm_vmi_init(void)
{
	kvm_vmi_wq = alloc_workqueue("kvm_vmi", WQ_UNBOUND, 0);
	if (!kvm_vmi_wq)
		return -ENOMEM;
	kvm_vmi_activate_wq = alloc_workqueue("kvm_vmi_activate", WQ_UNBOUND, WQ_MAX_ACTIVE);
	if (!kvm_vmi_activate_wq) {
		destroy_workqueue(kvm_vmi_wq);
		return -ENOMEM;
	}

	kvm_vmi_register_kfuncs();
	kvm_vmi_register_grant();
	kvm_vmi_register_ops();
	return 0;
}

void kvm_vmi_exit(void)
{
	/* The last reference that an activation drops may queue more of the other. */
	destroy_workqueue(kvm_vmi_activate_wq);
	flush_delayed_work(&kvm_vmi_key_work);
	destroy_workqueue(kvm_vmi_wq);
}
