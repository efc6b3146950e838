// SPDX-License-Identifier: GPL-2.0-or-later
/* What this host can enforce, in words. */
#include "engine.h"
#include "isolation.h"
#include "probe.h"
#include "util/json.h"
#include "api/version.h"

static const struct {
	uint64_t bit;
	const char *word;
} features[] = {
	{ KVM_VMI_CAP_WRITE, "write" },
	{ KVM_VMI_CAP_SUBPAGE_SW, "subpage-software" },
	{ KVM_VMI_CAP_SUBPAGE_HW, "subpage-hardware" },
	{ KVM_VMI_CAP_READ, "read" },
	{ KVM_VMI_CAP_EXEC, "execute" },
	{ KVM_VMI_CAP_EXEC_USER, "execute-user" },
	{ KVM_VMI_CAP_EXEC_KERNEL, "execute-kernel" },
	{ KVM_VMI_CAP_PIN, "pin" },
	{ KVM_VMI_CAP_TDP, "two-dimensional-paging" },
	{ KVM_VMI_CAP_TDP_MMU, "tdp-mmu" },
};

const char *probe_feature(unsigned int index, uint64_t *ret_bit)
{
	if (index >= ARRAY_SIZE(features))
		return NULL;
	*ret_bit = features[index].bit;
	return features[index].word;
}

static int add_words(struct json_object *o, const char *key, uint32_t bits, unsigned int first,
		     const char *(*word)(unsigned int))
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	/* Numbers that names.h has no word for belong to a newer kernel. */
	for (unsigned int i = first; r >= 0 && i < 32; i++)
		if (bits & 1U << i && !streq(word(i), "?"))
			r = json_append(array, json_object_new_string(word(i)));
	return r < 0 ? r : json_add(o, key, TAKE_PTR(array));
}

static int add_features(struct json_object *o, uint64_t bits)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(features); i++)
		if (bits & features[i].bit)
			r = json_append(array, json_object_new_string(features[i].word));
	return r < 0 ? r : json_add(o, "features", TAKE_PTR(array));
}

/* None without support; then auto takes none either. */
static int add_engines(struct json_object *o, const struct manager *m)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	bool any = false;
	int r = array ? 0 : -ENOMEM;

	for (unsigned int i = 0; r >= 0 && m->kernel && i < KVM_VMI_NR_ENGINES; i++) {
		if (!engine_available(&m->caps, (enum kvm_vmi_engine)i))
			continue;
		r = json_append(array, json_object_new_string(merlon_engine_name(i)));
		any = true;
	}
	if (r >= 0)
		r = json_add(o, "engines", TAKE_PTR(array));
	if (r >= 0 && any)
		r = json_add_string(o, "engine-auto", merlon_engine_name(engine_auto(&m->caps)));
	return r;
}

static int add_kernel(struct json_object *o, const struct manager *m)
{
	_cleanup_json_ struct json_object *k = json_object_new_object();
	const char *vendor = "none";
	int r;

	if (!k)
		return -ENOMEM;
	if (m->caps.vendor == KVM_VMI_VENDOR_INTEL)
		vendor = "intel";
	else if (m->caps.vendor == KVM_VMI_VENDOR_AMD)
		vendor = "amd";
	r = json_add_bool(k, "patched", m->kernel != NULL);
	if (r >= 0)
		r = json_add_u64(k, "abi", m->caps.abi);
	if (r >= 0)
		r = json_add_string(k, "vendor", vendor);
	if (r >= 0)
		r = add_features(k, m->caps.features);
	if (r >= 0)
		r = add_engines(k, m);
	if (r >= 0)
		r = add_words(k, "verdicts", m->caps.verdicts, KVM_VMI_DENY, merlon_verdict_name);
	if (r >= 0)
		r = add_words(k, "kinds", m->caps.kinds, KVM_VMI_WRITE, merlon_access_name);
	if (r >= 0)
		r = json_add_string(k, "admission", merlon_admission_name(m->caps.admission));
	return r < 0 ? r : json_add(o, "kernel", TAKE_PTR(k));
}

static int add_missing(struct json_object *o, const struct manager *m)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	_cleanup_json_ struct json_object *item = NULL;
	int r = 0;

	if (!array)
		return -ENOMEM;
	if (m->missing.what[0]) {
		item = json_object_new_object();
		r = item ? json_add_string(item, "what", m->missing.what) : -ENOMEM;
		if (r >= 0)
			r = json_add_string(item, "why", m->missing.why);
		if (r >= 0)
			r = json_add_string(item, "do", m->missing.remedy);
		if (r >= 0)
			r = json_append(array, TAKE_PTR(item));
	}
	return r < 0 ? r : json_add(o, "missing", TAKE_PTR(array));
}

/* With details, which property Degraded has not: that is everybody's to read. */
static int add_degraded(struct json_object *o, const struct manager *m)
{
	struct json_object *array = json_object_new_array();
	char **reasons;
	int r = json_add(o, "degraded", array);

	if (r < 0)
		return r;
	r = manager_degraded(m, &reasons);
	if (r < 0)
		return r;
	for (char **s = reasons; *s; s++) {
		if (r >= 0)
			r = json_append(array, json_object_new_string(*s));
		free(*s);
	}
	free(reasons);
	return r;
}

int probe_report(const struct manager *m, char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	int r;

	if (!o)
		return -ENOMEM;
	r = json_add_string(o, "version", MERLON_VERSION);
	if (r >= 0)
		r = json_add_string(o, "engine-default", merlon_engine_name(m->settings.engine));
	if (r >= 0)
		r = add_kernel(o, m);
	if (r >= 0)
		r = isolation_host_to_json(o, m);
	if (r >= 0)
		r = add_missing(o, m);
	if (r >= 0)
		r = add_degraded(o, m);
	return r < 0 ? r : json_text(o, JSON_ONE_LINE, ret);
}
