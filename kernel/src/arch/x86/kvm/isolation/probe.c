// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: the file "isolation_probe" in a VM's folder of debugfs.  Written is what to
 * read at the next entry of one of its vCPUs, under isolation and before the guest runs:
 *
 *   own		the VM's first vCPU
 *   other		another VM's first vCPU
 *   secret		a page of the direct map that nobody else has
 *   file		a page of the page cache: the writer's program
 *
 * or else what to do there:
 *
 *   nmi		have an NMI, whose handler reads the secret
 *   gp		read from an address that is not canonical
 *   ud		execute an invalid opcode
 *   stack	be without a stack
 *
 * and after it, perhaps, "prime" to read it on the full page table just before, too, and
 * "no-flush" to leave global entries in the TLB then.  What is read from the file is
 * "inside" if the CPU was on the restricted page table afterwards, "outside" if it was not, or
 * "none" if nothing has entered since.
 *
 * "drop NAME" takes away, from the next KVM_RUN on, what is mapped under a name.  "storm"
 * sends many NMIs to all other CPUs at once.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <asm/apic.h>
#include <asm/asm.h>
#include <asm/nmi.h>
#include "internal.h"

static const char *const object_names[] = {
	[KVM_ISOLATION_VM] = "vm",
	[KVM_ISOLATION_VCPU] = "vcpu",
	[KVM_ISOLATION_TASK] = "task",
	[KVM_ISOLATION_STACK] = "stack",
	[KVM_ISOLATION_VENDOR] = "vendor",
};

/* A page that nothing else is on; given up never. */
static unsigned long probe_secret;

static int find_secret(unsigned long *address)
{
	unsigned long page;

	if (!probe_secret) {
		page = get_zeroed_page(GFP_KERNEL);
		if (!page)
			return -ENOMEM;
		if (cmpxchg(&probe_secret, 0, page))
			free_page(page);
	}
	*address = probe_secret;
	return 0;
}

static int find_own(struct kvm *kvm, unsigned long *address)
{
	struct kvm_vcpu *vcpu = kvm_get_vcpu(kvm, 0);

	if (!vcpu)
		return -ENOENT;
	*address = (unsigned long)vcpu;
	return 0;
}

/* The test keeps the other VM until it has read the answer. */
static int find_other(struct kvm *kvm, unsigned long *address)
{
	struct kvm *other;

	guard(mutex)(&kvm_lock);
	list_for_each_entry(other, &vm_list, vm_list) {
		if (other != kvm && !find_own(other, address))
			return 0;
	}
	return -ENOENT;
}

static int find_file(unsigned long *address)
{
	struct file *file = get_mm_exe_file(current->mm);
	struct folio *folio;

	if (!file)
		return -ENOENT;
	folio = filemap_get_folio(file->f_mapping, 0);
	if (!IS_ERR(folio)) {
		*address = (unsigned long)folio_address(folio);
		/* The program runs: its first page stays. */
		folio_put(folio);
	}
	fput(file);
	return PTR_ERR_OR_ZERO(folio);
}

/* NMIs of ours that have not come yet. */
static atomic_t probe_nmis = ATOMIC_INIT(0);
static bool probe_handles_nmis;

#define STORM_NMIS	2000

static int handle_nmi(unsigned int type, struct pt_regs *regs)
{
	if (atomic_read(&probe_nmis) <= 0)
		return NMI_DONE;
	/* On the full page table, so this is not a fault. */
	READ_ONCE(*(u8 *)probe_secret);
	atomic_dec(&probe_nmis);
	return NMI_HANDLED;
}

static int expect_nmis(void)
{
	unsigned long unused;
	int error = find_secret(&unused);

	if (error || cmpxchg(&probe_handles_nmis, false, true))
		return error;
	return register_nmi_handler(NMI_LOCAL, handle_nmi, 0, "kvm_isolation");
}

/* They may come faster than they are handled, and then some are one. */
static int storm(void)
{
	int i, cpu, error = expect_nmis();

	if (error)
		return error;
	for (i = 0; i < STORM_NMIS; i++) {
		guard(preempt)();
		for_each_online_cpu(cpu) {
			if (cpu == smp_processor_id())
				continue;
			atomic_set(&probe_nmis, num_online_cpus());
			__apic_send_IPI(cpu, NMI_VECTOR);
		}
		udelay(1 + i % 7);
	}
	usleep_range(1000, 2000);
	return 0;
}

static int find(struct kvm *kvm, const char *what, struct isolation_probe *probe)
{
	if (!strcmp(what, "own"))
		return find_own(kvm, &probe->address);
	if (!strcmp(what, "other"))
		return find_other(kvm, &probe->address);
	if (!strcmp(what, "secret"))
		return find_secret(&probe->address);
	if (!strcmp(what, "file"))
		return find_file(&probe->address);
	if (!strcmp(what, "nmi")) {
		probe->action = ISOLATION_PROBE_NMI;
		return expect_nmis();
	}
	if (!strcmp(what, "gp"))
		probe->action = ISOLATION_PROBE_GP;
	else if (!strcmp(what, "ud"))
		probe->action = ISOLATION_PROBE_UD;
	else if (!strcmp(what, "db"))
		probe->action = ISOLATION_PROBE_DB;
	else if (!strcmp(what, "stack"))
		probe->action = ISOLATION_PROBE_STACK;
	return probe->action ? 0 : -EINVAL;
}

static int drop(struct kvm_isolation *iso, const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(object_names); i++) {
		if (!object_names[i] || strcmp(object_names[i], name))
			continue;
		guard(mutex)(&iso->lock);
		iso->dropped |= BIT(i);
		return 0;
	}
	return -EINVAL;
}

static int parse(struct kvm *kvm, char *line)
{
	struct kvm_isolation *iso = kvm->arch.isolation;
	struct isolation_probe probe = { };
	char *word = strsep(&line, " ");
	int error;

	if (!strcmp(word, "drop"))
		return line ? drop(iso, line) : -EINVAL;
	if (!strcmp(word, "storm"))
		return line ? -EINVAL : storm();

	error = find(kvm, word, &probe);
	if (error)
		return error;
	while ((word = strsep(&line, " "))) {
		if (!strcmp(word, "prime"))
			probe.prime = true;
		else if (!strcmp(word, "no-flush"))
			probe.no_flush = true;
		else
			return -EINVAL;
	}
	WRITE_ONCE(iso->probe.armed, false);
	iso->probe = probe;
	/* After what is to be read. */
	smp_store_release(&iso->probe.armed, true);
	return 0;
}

static ssize_t isolation_probe_write(struct file *file, const char __user *data, size_t size,
				     loff_t *pos)
{
	struct kvm *kvm = file->private_data;
	char *line;
	int error;

	if (size > 64)
		return -EINVAL;
	line = memdup_user_nul(data, size);
	if (IS_ERR(line))
		return PTR_ERR(line);
	error = parse(kvm, strim(line));
	kfree(line);
	return error ?: size;
}

static ssize_t isolation_probe_read(struct file *file, char __user *data, size_t size,
				    loff_t *pos)
{
	struct kvm *kvm = file->private_data;
	struct isolation_probe *probe = &kvm->arch.isolation->probe;
	/* Before the answer. */
	const char *answer = !smp_load_acquire(&probe->done) ? "none\n" :
			     probe->stayed ? "inside\n" : "outside\n";

	return simple_read_from_buffer(data, size, pos, answer, strlen(answer));
}

static const struct file_operations isolation_probe_fops = {
	.open = simple_open,
	.read = isolation_probe_read,
	.write = isolation_probe_write,
	.llseek = default_llseek,
};

/**
 * isolation_before_probe() - what has to be prepared on the full page table
 * @iso: with a probe that is armed
 */
void isolation_before_probe(struct kvm_isolation *iso)
{
	struct isolation_probe *probe = &iso->probe;

	if (probe->prime)
		READ_ONCE(*(u8 *)probe->address);
	if (probe->action == ISOLATION_PROBE_STACK) {
		probe->address = (unsigned long)__builtin_frame_address(0);
		isolation_hide(iso, probe->address, true);
	}
}

static void take_nmi(void)
{
	int i;

	atomic_inc(&probe_nmis);
	__apic_send_IPI(smp_processor_id(), NMI_VECTOR);
	for (i = 0; i < 1000 && atomic_read(&probe_nmis) > 0; i++)
		cpu_relax();
}

static void act(struct kvm_isolation *iso, const struct isolation_probe *probe)
{
	switch (probe->action) {
	case ISOLATION_PROBE_READ:
		/* A fault leaves the window, and then it works. */
		READ_ONCE(*(u8 *)probe->address);
		break;
	case ISOLATION_PROBE_NMI:
		take_nmi();
		break;
	case ISOLATION_PROBE_GP:
		/* An address that is not canonical. */
		asm volatile("1: testb $0, (%0)\n2:\n" _ASM_EXTABLE(1b, 2b)
			     : : "r" (BIT_ULL(63)) : "cc");
		break;
	case ISOLATION_PROBE_UD:
		asm volatile("1: ud2\n2:\n" _ASM_EXTABLE(1b, 2b));
		break;
	case ISOLATION_PROBE_DB:
		/* INT1, for which DR6 gives no reason, so the kernel goes on behind it. */
		asm volatile(".byte 0xf1");
		break;
	case ISOLATION_PROBE_STACK:
		/* Had it not been left by now, this would be without a stack. */
		isolation_hide(iso, probe->address, false);
		break;
	}
}

/**
 * isolation_probe() - do what was asked for
 * @iso: with a probe that is armed
 *
 * In the window, interrupts off.
 */
void isolation_probe(struct kvm_isolation *iso)
{
	struct isolation_probe *probe = &iso->probe;

	act(iso, probe);
	probe->stayed = isolation_is_restricted();
	probe->armed = false;
	/* After the answer. */
	smp_store_release(&probe->done, true);
}

void isolation_create_probe(struct kvm *kvm)
{
	debugfs_create_file("isolation_probe", 0600, kvm->debugfs_dentry, kvm,
			    &isolation_probe_fops);
}
