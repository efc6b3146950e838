// SPDX-License-Identifier: GPL-2.0-or-later
/* Address-space isolation of the kernel that tests play. */
#include "kernel-fake-isolation.h"
#include "util/util.h"

static struct fake_isolated *find(struct fake_isolation *iso, uint64_t vm)
{
	for (size_t i = 0; i < iso->n_vms; i++)
		if (iso->vms[i].vm == vm)
			return &iso->vms[i];
	return NULL;
}

int fake_isolation_host(const struct fake_isolation *iso, struct kvm_isolation_host *ret)
{
	if (iso->absent)
		return -ENOSYS;
	*ret = iso->host;
	return 0;
}

static int isolated(struct fake_isolation *iso, uint64_t vm, struct fake_isolated **ret)
{
	if (iso->absent)
		return -ENOSYS;
	*ret = find(iso, vm);
	return *ret ? 0 : -EOPNOTSUPP;
}

int fake_isolation_stats(struct fake_isolation *iso, uint64_t vm,
			 struct kvm_isolation_stats *ret)
{
	struct fake_isolated *v;
	int r = isolated(iso, vm, &v);

	if (r >= 0)
		*ret = v->stats;
	return r;
}

int fake_isolation_place(struct fake_isolation *iso, uint64_t vm, uint32_t index,
			 struct kvm_isolation_place *ret)
{
	struct fake_isolated *v;
	int r = isolated(iso, vm, &v);

	if (r >= 0 && index >= v->n_places)
		r = -ENOENT;
	if (r >= 0)
		*ret = v->places[index];
	return r;
}

int fake_isolation_set_kick(struct fake_isolation *iso, uint64_t vm, uint32_t reasons)
{
	struct fake_isolated *v;
	int r = isolated(iso, vm, &v);

	if (r >= 0 && reasons & ~KVM_ISOLATION_KICK_ALWAYS)
		r = -EINVAL;
	if (r >= 0)
		v->stats.kick = reasons;
	return r;
}

int fake_isolation_command(struct fake_isolation *iso, char **args)
{
	struct kvm_isolation_host *host = &iso->host;
	size_t len = 0;

	if (!args[0])
		return -EINVAL;
	iso->absent = streq(args[0], "absent");
	host->on = streq(args[0], "on");
	host->refused[0] = 0;
	if (!streq(args[0], "refused"))
		return iso->absent || host->on || streq(args[0], "off") ? 0 : -EINVAL;
	for (args++; *args && len < sizeof(host->refused); args++)
		len += (size_t)snprintf(host->refused + len, sizeof(host->refused) - len, "%s%s",
					len ? " " : "", *args);
	return len ? 0 : -EINVAL;
}

static int add_place(struct fake_isolated *v, uint64_t ip, uint64_t address, uint64_t n)
{
	struct kvm_isolation_place *place = v->places;

	v->stats.faults += n;
	while (place < v->places + v->n_places && (place->ip != ip || place->address != address))
		place++;
	if (place == v->places + FAKE_PLACES_MAX) {
		v->stats.no_place += n;
		return 0;
	}
	if (place == v->places + v->n_places)
		*place = (struct kvm_isolation_place) { .ip = ip, .address = address };
	v->n_places += place == v->places + v->n_places;
	place->count += n;
	return 0;
}

static uint64_t *counter(struct kvm_isolation_stats *s, const char *name, uint64_t index)
{
	struct {
		const char *name;
		__u64 *counters;
		size_t n;
	} const rows[] = {
		{ "left", s->left, ARRAY_SIZE(s->left) },
		{ "inside", s->inside, ARRAY_SIZE(s->inside) },
		{ "outside", s->outside, ARRAY_SIZE(s->outside) },
		{ "windows", &s->windows, 1 }, { "pauses", &s->pauses, 1 },
		{ "kicks", &s->kicks, 1 }, { "waits", &s->waits, 1 },
		{ "refused", &s->refused, 1 }, { "mapped", &s->mapped_bytes, 1 },
		{ "table", &s->table_bytes, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (streq(rows[i].name, name) && index < rows[i].n)
			return (uint64_t *)&rows[i].counters[index];
	return NULL;
}

int fake_isolated_command(struct fake_isolation *iso, uint64_t vm, char **args)
{
	struct fake_isolated *v = find(iso, vm);
	uint64_t numbers[3] = { 0 }, *c;
	size_t n = 0;

	if (!v && iso->n_vms == FAKE_ISOLATED_MAX)
		return -ENOSPC;
	if (!v) {
		v = &iso->vms[iso->n_vms++];
		*v = (struct fake_isolated) { .vm = vm, .stats.kick = iso->host.kick };
	}
	if (!args[0])
		return 0;
	for (; n < ARRAY_SIZE(numbers) && args[n + 1]; n++)
		numbers[n] = strtoull(args[n + 1], NULL, 0);
	if (streq(args[0], "place"))
		return n == 3 ? add_place(v, numbers[0], numbers[1], numbers[2]) : -EINVAL;
	c = counter(&v->stats, args[0], n == 2 ? numbers[0] : 0);
	if (!c || n < 1 || n > 2)
		return -EINVAL;
	*c += numbers[n - 1];
	return 0;
}
