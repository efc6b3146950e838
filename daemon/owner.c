// SPDX-License-Identifier: GPL-2.0-or-later
/* Which rule speaks when a guest touches a byte. */
#include "bus-fault.h"
#include "map.h"
#include "mode.h"
#include "owner.h"
#include "ruleset.h"
#include "util/json.h"
#include "util/parse.h"

/* What a rule says of the byte. */
struct claim {
	const struct vm_rule *rule;
	bool write;		/* denied */
	uint32_t map;		/* of the frame: sub-pages that may be written */
	bool read;
	uint32_t execute;	/* KVM_VMI_RIGHT_EXEC_*: allowed */
};

/* The order of KVM (kernel/src/arch/x86/kvm/vmi/rule.c): the strictest speaks. */
static unsigned int strictness(unsigned int action)
{
	switch (action) {
	case KVM_VMI_KILL:
		return 6;
	case KVM_VMI_EXIT:
		return 5;
	case KVM_VMI_HOLD:
		return 4;
	case KVM_VMI_SKIP:
		return 2;
	case KVM_VMI_ALLOW:
		return 1;
	default:
		return 3;
	}
}

static bool denies(const struct claim *c, unsigned int access)
{
	switch (access) {
	case KVM_VMI_ACTION_WRITE:
		return c->write;
	case KVM_VMI_ACTION_READ:
		return c->read;
	default:
		return c->execute != RULE_EXECUTE_BOTH;
	}
}

/* One that only reports lets through, whatever its action. */
static unsigned int strictness_of(const struct kvm_vmi_rule *k, unsigned int access)
{
	return strictness(k->flags & KVM_VMI_RULE_MONITOR ? KVM_VMI_ALLOW : k->action[access]);
}

/* Of those that are armed and deny the access; ties go to the lower id. */
static const struct claim *find_speaker(const struct claim *claims, size_t n, unsigned int access)
{
	const struct claim *best = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct kvm_vmi_rule *k = &claims[i].rule->info.rule;
		unsigned int s = strictness_of(k, access), b;

		if (k->flags & KVM_VMI_RULE_DISARMED || !denies(&claims[i], access))
			continue;
		b = best ? strictness_of(&best->rule->info.rule, access) : 0;
		if (s > b || (s == b && claims[i].rule->id < best->rule->id))
			best = &claims[i];
	}
	return best;
}

/* Each rule has one claim on a frame at most. */
static int read_claims(struct kernel *k, const struct vm *vm, uint64_t gpa, struct claim *claims,
		       size_t room, size_t *ret_n)
{
	_cleanup_free_ struct kvm_vmi_range *ranges = calloc(KVM_VMI_MAX_BATCH, sizeof(*ranges));
	uint64_t gfn = gpa >> MAP_PAGE_SHIFT;
	unsigned int sub = (unsigned int)(gpa & (MAP_PAGE_SIZE - 1)) >> KVM_VMI_SUBPAGE_SHIFT;
	size_t count = 0;
	int n;

	if (!ranges)
		return -ENOMEM;
	/* The first run at or after the frame, with all of its rules. */
	n = k->ops->get_access(k, vm->info.id, gfn, ranges);
	if (n < 0)
		return n;
	for (int i = 0; i < n && count < room; i++) {
		const struct kvm_vmi_range *range = &ranges[i];
		const struct vm_rule *rule = vm_find_rule(vm, range->rule);

		if (range->gfn > gfn || range->nr <= gfn - range->gfn || !rule)
			continue;
		claims[count++] = (struct claim) {
			.rule = rule,
			.write = !(range->write & 1U << sub),
			.map = range->write,
			.read = !(range->rights & KVM_VMI_RIGHT_READ),
			.execute = range->rights & RULE_EXECUTE_BOTH,
		};
	}
	*ret_n = count;
	return 0;
}

static int describe_claim(const struct claim *c, struct json_object **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	const struct kvm_vmi_rule *k = &c->rule->info.rule;

	if (!o || json_add_string(o, "rule", c->rule->rule.name) < 0 ||
	    json_add_u64(o, "id", c->rule->id) < 0 ||
	    (c->rule->policy[0] && json_add_string(o, "policy", c->rule->policy) < 0) ||
	    json_add_string(o, "write", c->write ? "deny" : "allow") < 0 ||
	    json_add_string(o, "read", c->read ? "deny" : "allow") < 0 ||
	    json_add_string(o, "execute", merlon_execute_name(c->execute)) < 0 ||
	    json_add_hex(o, "write-map", c->map) < 0 ||
	    json_add_string(o, "action", merlon_verdict_name(c->rule->rule.action)) < 0 ||
	    json_add_string(o, "mode", mode_of(&c->rule->rule)) < 0 ||
	    json_add_bool(o, "armed", !(k->flags & KVM_VMI_RULE_DISARMED)) < 0 ||
	    json_add_bool(o, "orphan", c->rule->orphan) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(o);
	return 0;
}

static int describe(uint64_t gpa, const struct claim *claims, size_t n, char **ret)
{
	static const struct {
		const char *key;
		unsigned int access;
	} accesses[] = {
		{ "write", KVM_VMI_ACTION_WRITE },
		{ "read", KVM_VMI_ACTION_READ },
		{ "execute", KVM_VMI_ACTION_FETCH },
	};
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *array = json_object_new_array(), *item;
	int r;

	if (!o) {
		json_object_put(array);
		return -ENOMEM;
	}
	r = json_add(o, "claims", array);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = describe_claim(&claims[i], &item);
		if (r >= 0)
			r = json_append(array, item);
	}
	if (r >= 0)
		r = json_add_hex(o, "gpa", gpa);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(accesses); i++) {
		const struct claim *c = find_speaker(claims, n, accesses[i].access);

		if (c)
			r = json_add_u64(o, accesses[i].key, c->rule->id);
	}
	return r < 0 ? r : json_text(o, JSON_ONE_LINE, ret);
}

int owner_describe(struct manager *m, struct vm *vm, const char *address, char **ret,
		   sd_bus_error *reterr)
{
	_cleanup_free_ struct claim *claims = NULL;
	uint64_t gpa;
	size_t n = 0;
	int r;

	if (parse_address(address, &gpa) < 0)
		return sd_bus_error_set(reterr, SD_BUS_ERROR_INVALID_ARGS,
					"Expected " PARSE_ADDRESS_EXPECTED);
	/* Rules that nobody knows speak, too. */
	r = ruleset_refresh(m, vm);
	if (r < 0)
		return bus_fault_errno(reterr, r, "Reading the rules");
	claims = calloc(vm->n_rules + 1, sizeof(*claims));
	if (!claims)
		return -ENOMEM;
	r = read_claims(m->kernel, vm, gpa, claims, vm->n_rules, &n);
	if (r < 0)
		return r == -ENOMEM ? r : bus_fault_errno(reterr, r, "Reading the map");
	return describe(gpa, claims, n, ret);
}
