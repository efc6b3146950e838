// SPDX-License-Identifier: GPL-2.0-or-later
/* What merlond counts, as OpenMetrics 1.0 text. */
#include <inttypes.h>

#include "inventory.h"
#include "metrics.h"
#include "util/util.h"

void metrics_escape(FILE *f, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n') {
			fputs("\\n", f);
			continue;
		}
		if (*value == '"' || *value == '\\')
			fputc('\\', f);
		fputc(*value, f);
	}
}

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# TYPE %s %s\n# HELP %s %s\n", name, type, name, help);
}

static uint64_t count_violations(const struct vm *vm)
{
	return vm->info.violations;
}

static uint64_t count_lost(const struct vm *vm)
{
	return vm->lost;
}

static uint64_t count_rules(const struct vm *vm)
{
	return vm->n_rules;
}

static uint64_t count_unarmed(const struct vm *vm)
{
	uint64_t n = 0;

	for (size_t i = 0; i < vm->n_rules; i++)
		n += !!(vm->rules[i].info.rule.flags & KVM_VMI_RULE_DISARMED);
	return n;
}

static uint64_t count_resets(const struct vm *vm)
{
	return vm->info.generation;
}

/* A series for each VM, labelled by the id that is never used twice. */
static const struct {
	const char *name;
	const char *type;
	const char *help;
	uint64_t (*value)(const struct vm *vm);
} per_vm[] = {
	{ "merlon_vm_violations", "counter", "Violations raised.", count_violations },
	{ "merlon_vm_events_lost", "counter", "Events of the VM that were dropped.", count_lost },
	{ "merlon_vm_resets", "counter", "Resets.", count_resets },
	{ "merlon_vm_rules", "gauge", "Rules, armed or not.", count_rules },
	{ "merlon_vm_rules_disarmed", "gauge", "Rules that are not enforced.", count_unarmed },
};

static void put_vms(FILE *f, const struct manager *m)
{
	size_t n = m->vms.n < METRICS_MAX_VMS ? m->vms.n : METRICS_MAX_VMS;

	head(f, "merlon_vm", "info", "Names of VMs; a name that is not trusted is a claim.");
	for (size_t i = 0; i < n; i++) {
		const struct vm *vm = m->vms.vms[i];

		fprintf(f, "merlon_vm_info{vm=\"%llu\",name=\"",
			(unsigned long long)vm->info.id);
		metrics_escape(f, vm->identity.name);
		fprintf(f, "\",trusted=\"%d\"} 1\n", vm->trusted);
	}
	for (size_t k = 0; k < ARRAY_SIZE(per_vm); k++) {
		head(f, per_vm[k].name, per_vm[k].type, per_vm[k].help);
		for (size_t i = 0; i < n; i++)
			fprintf(f, "%s%s{vm=\"%llu\"} %" PRIu64 "\n", per_vm[k].name,
				streq(per_vm[k].type, "counter") ? "_total" : "",
				(unsigned long long)m->vms.vms[i]->info.id,
				per_vm[k].value(m->vms.vms[i]));
	}
}

/* "vm-unprotected:17" counts for "vm-unprotected": a series for each reason, however many VMs. */
static int put_degraded(FILE *f, const struct manager *m)
{
	uint64_t n[MERLON_DEGRADED_MAX] = { 0 };
	char **reasons;
	int r = manager_degraded(m, &reasons);

	if (r < 0)
		return r;
	for (char **s = reasons; *s; s++) {
		int reason = merlon_degraded_from_value(*s);

		if (reason >= 0)
			n[reason]++;
		free(*s);
	}
	free(reasons);
	head(f, "merlon_degraded", "gauge", "How often there is this reason for Degraded.");
	for (unsigned int i = 0; i < MERLON_DEGRADED_MAX; i++)
		fprintf(f, "merlon_degraded{reason=\"%s\"} %" PRIu64 "\n", merlon_degraded_name(i),
			n[i]);
	return 0;
}

int metrics_text(struct manager *m, char **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f;
	int r;

	for (size_t i = 0; m->kernel && i < m->vms.n; i++)
		(void)inventory_refresh(m, m->vms.vms[i]);
	f = open_memstream(&text, &size);
	if (!f)
		return -ENOMEM;
	head(f, "merlon_vms", "gauge", "VMs of this host.");
	fprintf(f, "merlon_vms %zu\n", m->vms.n);
	put_vms(f, m);
	head(f, "merlon_streams", "gauge", "Streams of events.");
	fprintf(f, "merlon_streams %zu\n", m->streams.n);
	head(f, "merlon_stream_events_lost", "counter", "Events that readers of streams lost.");
	fprintf(f, "merlon_stream_events_lost_total %" PRIu64 "\n", m->streams.lost);
	head(f, "merlon_watchers", "gauge", "Connections that get events as signals.");
	fprintf(f, "merlon_watchers %zu\n", watch_count(&m->watches));
	head(f, "merlon_watcher_events_lost", "counter", "Events that watchers lost.");
	fprintf(f, "merlon_watcher_events_lost_total %" PRIu64 "\n", m->watches.lost);
	r = put_degraded(f, m);
	fputs("# EOF\n", f);
	if (fclose(f) != 0 || r < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(text);
	return 0;
}
