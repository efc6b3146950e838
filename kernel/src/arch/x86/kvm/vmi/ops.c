// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the BPF programs that are told and asked.
 *
 * One owner in the system attaches a struct kvm_vmi_ops; a link update swaps the
 * programs without a gap.  Callbacks may sleep; they run under an SRCU of their
 * own, and detaching waits for those that run.
 */
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/ctype.h>
#include <linux/init.h>
#include <linux/string.h>
#include <uapi/linux/kvm_isolation.h>

#include "vmi/internal.h"

#define KVM_VMI_OPS_NAME_LEN	16

/**
 * struct kvm_vmi_ops - what a BPF program implements, all optional, sleepable but for the last
 * @vm_created: a VM exists; also called once for each that existed before
 * @vm_reset: its VMM has begun a reset, rules that lapse have lapsed
 * @vm_destroyed: it is gone; only its description is left
 * @violation: a forbidden access: return one of the verdicts in @legal, or
 *	%KVM_VMI_DEFAULT for the rule's own; anything else is counted and ignored
 * @isolation_exit: a vCPU has left the restricted page table, a while ago; often, so it may
 *	not sleep
 * @name: of the owner, for messages: letters, digits, "_", "." and "-", not empty
 */
struct kvm_vmi_ops {
	void (*vm_created)(struct kvm *kvm, const struct kvm_vmi_vm_info *info);
	void (*vm_reset)(struct kvm *kvm, const struct kvm_vmi_vm_info *info);
	void (*vm_destroyed)(const struct kvm_vmi_vm_info *info);
	int (*violation)(struct kvm *kvm, struct kvm_vcpu *vcpu,
			 const struct kvm_vmi_violation *v);
	void (*isolation_exit)(struct kvm *kvm, struct kvm_vcpu *vcpu,
			       const struct kvm_isolation_told *told);
	char name[KVM_VMI_OPS_NAME_LEN];
};

DEFINE_STATIC_SRCU(kvm_vmi_ops_srcu);
/* Serializes attaching and detaching. */
static DEFINE_MUTEX(kvm_vmi_ops_mutex);
static struct kvm_vmi_ops __rcu *kvm_vmi_ops;
/* Which attachment this is; a VM is announced once to each. */
static atomic64_t kvm_vmi_attachment = ATOMIC64_INIT(0);

/* ---- calls ---- */

/**
 * kvm_vmi_announce - tell the programs of a VM they do not know
 * @vmi: the VM, referenced or not yet to be destroyed
 */
void kvm_vmi_announce(struct kvm_vmi *vmi)
{
	struct kvm_vmi_vm_info info;
	struct kvm_vmi_ops *ops;
	int idx;

	idx = srcu_read_lock(&kvm_vmi_ops_srcu);
	ops = srcu_dereference(kvm_vmi_ops, &kvm_vmi_ops_srcu);
	if (ops) {
		s64 now = atomic64_read(&kvm_vmi_attachment);

		if (atomic64_xchg(&vmi->announced, now) != now && ops->vm_created) {
			kvm_vmi_info(vmi, &info);
			ops->vm_created(vmi->kvm, &info);
		}
	}
	srcu_read_unlock(&kvm_vmi_ops_srcu, idx);
}

void kvm_vmi_tell_reset(struct kvm_vmi *vmi)
{
	struct kvm_vmi_vm_info info;
	struct kvm_vmi_ops *ops;
	int idx;

	idx = srcu_read_lock(&kvm_vmi_ops_srcu);
	ops = srcu_dereference(kvm_vmi_ops, &kvm_vmi_ops_srcu);
	if (ops && ops->vm_reset) {
		kvm_vmi_info(vmi, &info);
		ops->vm_reset(vmi->kvm, &info);
	}
	srcu_read_unlock(&kvm_vmi_ops_srcu, idx);
}

void kvm_vmi_tell_destroyed(struct kvm_vmi *vmi)
{
	struct kvm_vmi_vm_info info;
	struct kvm_vmi_ops *ops;
	int idx;

	idx = srcu_read_lock(&kvm_vmi_ops_srcu);
	ops = srcu_dereference(kvm_vmi_ops, &kvm_vmi_ops_srcu);
	if (ops && ops->vm_destroyed &&
	    atomic64_read(&vmi->announced) == atomic64_read(&kvm_vmi_attachment)) {
		kvm_vmi_info(vmi, &info);
		ops->vm_destroyed(&info);
	}
	srcu_read_unlock(&kvm_vmi_ops_srcu, idx);
}

/**
 * kvm_vmi_ask - let the program choose a verdict
 * @vcpu: the vCPU, its own thread, no lock but kvm->srcu held
 * @v: the violation
 *
 * Return: whatever the program returned; %KVM_VMI_DEFAULT without one
 */
u32 kvm_vmi_ask(struct kvm_vcpu *vcpu, const struct kvm_vmi_violation *v)
{
	struct kvm_vmi_ops *ops;
	u32 answer = KVM_VMI_DEFAULT;
	int idx;

	idx = srcu_read_lock(&kvm_vmi_ops_srcu);
	ops = srcu_dereference(kvm_vmi_ops, &kvm_vmi_ops_srcu);
	if (ops && ops->violation) {
		vcpu->arch.vmi.asked = v;
		answer = ops->violation(vcpu->kvm, vcpu, v);
		vcpu->arch.vmi.asked = NULL;
	}
	srcu_read_unlock(&kvm_vmi_ops_srcu, idx);
	return answer;
}

/* A program wants to know of windows of isolation. */
DEFINE_STATIC_KEY_FALSE(kvm_vmi_isolation_exit_key);

/**
 * kvm_vmi_tell_isolation_exit - a window is over
 * @vcpu: the vCPU, its own thread, interrupts on
 * @told: about it
 */
void kvm_vmi_tell_isolation_exit(struct kvm_vcpu *vcpu, const struct kvm_isolation_told *told)
{
	struct kvm_vmi_ops *ops;
	int idx;

	idx = srcu_read_lock(&kvm_vmi_ops_srcu);
	ops = srcu_dereference(kvm_vmi_ops, &kvm_vmi_ops_srcu);
	if (ops && ops->isolation_exit)
		ops->isolation_exit(vcpu->kvm, vcpu, told);
	srcu_read_unlock(&kvm_vmi_ops_srcu, idx);
}

/* ---- registration ---- */

static void kvm_vmi_ops__vm_created(struct kvm *kvm, const struct kvm_vmi_vm_info *info)
{
}

static void kvm_vmi_ops__vm_reset(struct kvm *kvm, const struct kvm_vmi_vm_info *info)
{
}

static void kvm_vmi_ops__vm_destroyed(const struct kvm_vmi_vm_info *info)
{
}

static int kvm_vmi_ops__violation(struct kvm *kvm, struct kvm_vcpu *vcpu,
				  const struct kvm_vmi_violation *v)
{
	return KVM_VMI_DEFAULT;
}

static void kvm_vmi_ops__isolation_exit(struct kvm *kvm, struct kvm_vcpu *vcpu,
					const struct kvm_isolation_told *told)
{
}

static struct kvm_vmi_ops kvm_vmi_ops_stubs = {
	.vm_created = kvm_vmi_ops__vm_created,
	.vm_reset = kvm_vmi_ops__vm_reset,
	.vm_destroyed = kvm_vmi_ops__vm_destroyed,
	.violation = kvm_vmi_ops__violation,
	.isolation_exit = kvm_vmi_ops__isolation_exit,
};

static bool kvm_vmi_is_valid_access(int off, int size, enum bpf_access_type type,
				    const struct bpf_prog *prog,
				    struct bpf_insn_access_aux *info)
{
	if (type != BPF_READ || off < 0 || off % sizeof(u64) || size != sizeof(u64))
		return false;
	return btf_ctx_access(off, size, type, prog, info);
}

static int kvm_vmi_btf_struct_access(struct bpf_verifier_log *log,
				     const struct bpf_reg_state *reg, int off, int size)
{
	bpf_log(log, "a kvm_vmi_ops program answers by its return value and writes nothing\n");
	return -EACCES;
}

static const struct bpf_verifier_ops kvm_vmi_verifier_ops = {
	.get_func_proto = bpf_base_func_proto,
	.is_valid_access = kvm_vmi_is_valid_access,
	.btf_struct_access = kvm_vmi_btf_struct_access,
};

static int kvm_vmi_ops_init(struct btf *btf)
{
	return 0;
}

static int kvm_vmi_ops_check_member(const struct btf_type *t, const struct btf_member *member,
				    const struct bpf_prog *prog)
{
	bool sleeps = __btf_member_bit_offset(t, member) / 8 !=
		      offsetof(struct kvm_vmi_ops, isolation_exit);

	return prog->sleepable == sleeps ? 0 : -EINVAL;
}

static int kvm_vmi_ops_init_member(const struct btf_type *t, const struct btf_member *member,
				   void *kdata, const void *udata)
{
	const struct kvm_vmi_ops *uops = udata;
	struct kvm_vmi_ops *ops = kdata;
	size_t i;

	if (__btf_member_bit_offset(t, member) / 8 != offsetof(struct kvm_vmi_ops, name))
		return 0;

	for (i = 0; i < sizeof(ops->name) && uops->name[i]; i++) {
		if (!isalnum(uops->name[i]) && !strchr("_.-", uops->name[i]))
			return -EINVAL;
		ops->name[i] = uops->name[i];
	}
	return i && i < sizeof(ops->name) ? 1 : -EINVAL;
}

static void kvm_vmi_want_isolation_exit(const struct kvm_vmi_ops *ops)
{
	if (ops && ops->isolation_exit)
		static_branch_enable(&kvm_vmi_isolation_exit_key);
	else
		static_branch_disable(&kvm_vmi_isolation_exit_key);
}

static int kvm_vmi_ops_reg(void *kdata, struct bpf_link *link)
{
	struct kvm *kvm;
	u64 id = 0;

	guard(mutex)(&kvm_vmi_ops_mutex);
	if (rcu_access_pointer(kvm_vmi_ops))
		return -EBUSY;
	atomic64_inc(&kvm_vmi_attachment);
	rcu_assign_pointer(kvm_vmi_ops, kdata);
	kvm_vmi_want_isolation_exit(kdata);

	/* A VM created meanwhile announces itself; whoever is first does it. */
	while ((kvm = kvm_vmi_next(id))) {
		id = kvm->arch.vmi->id;
		kvm_vmi_announce(kvm->arch.vmi);
		kvm_vmi_put(kvm);
	}
	return 0;
}

static void kvm_vmi_ops_unreg(void *kdata, struct bpf_link *link)
{
	guard(mutex)(&kvm_vmi_ops_mutex);
	if (rcu_access_pointer(kvm_vmi_ops) != kdata)
		return;
	RCU_INIT_POINTER(kvm_vmi_ops, NULL);
	kvm_vmi_want_isolation_exit(NULL);
	synchronize_srcu(&kvm_vmi_ops_srcu);
}

static int kvm_vmi_ops_update(void *kdata, void *old_kdata, struct bpf_link *link)
{
	guard(mutex)(&kvm_vmi_ops_mutex);
	if (rcu_access_pointer(kvm_vmi_ops) != old_kdata)
		return -ENOENT;
	rcu_assign_pointer(kvm_vmi_ops, kdata);
	kvm_vmi_want_isolation_exit(kdata);
	synchronize_srcu(&kvm_vmi_ops_srcu);
	return 0;
}

static struct bpf_struct_ops bpf_kvm_vmi_ops = {
	.verifier_ops = &kvm_vmi_verifier_ops,
	.init = kvm_vmi_ops_init,
	.check_member = kvm_vmi_ops_check_member,
	.init_member = kvm_vmi_ops_init_member,
	.reg = kvm_vmi_ops_reg,
	.unreg = kvm_vmi_ops_unreg,
	.update = kvm_vmi_ops_update,
	.cfi_stubs = &kvm_vmi_ops_stubs,
	.name = "kvm_vmi_ops",
	.owner = THIS_MODULE,
};

/* Is it, or is it to be, what kvm_vmi_ask() calls? */
bool kvm_vmi_answers_violations(const struct bpf_prog *prog)
{
	return prog->aux->st_ops == &bpf_kvm_vmi_ops &&
	       prog->aux->attach_st_ops_member_off == offsetof(struct kvm_vmi_ops, violation);
}

/* KVM works without, only nobody can be told or asked. */
void __init kvm_vmi_register_ops(void)
{
	int r = register_bpf_struct_ops(&bpf_kvm_vmi_ops, kvm_vmi_ops);

	if (r)
		pr_err("kvm: introspection programs cannot be attached: %d\n", r);
}
