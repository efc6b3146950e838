// SPDX-License-Identifier: GPL-2.0-or-later
/* api/names.c: the tables are complete, distinct and agree with the kernel's numbers. */
#include <linux/kvm_isolation.h>
#include <linux/kvm_vmi.h>

#include "api/names.h"
#include "unit.h"

static void exit_codes_are_the_documented_ones(_unused_ void **state)
{
	assert_int_equal(MERLON_EXIT_OK, 0);
	assert_int_equal(MERLON_EXIT_FAILED, 1);
	assert_int_equal(MERLON_EXIT_USAGE, 2);
	assert_int_equal(MERLON_EXIT_DEGRADED, 3);
	assert_int_equal(MERLON_EXIT_NOT_AUTHORISED, 4);
	assert_int_equal(MERLON_EXIT_NO_SUCH, 5);
	assert_int_equal(MERLON_EXIT_NOT_SUPPORTED, 6);
	assert_int_equal(MERLON_EXIT_SOME_HOSTS, 7);
	assert_int_equal(MERLON_EXIT_UNREACHABLE, 8);
	assert_int_equal(MERLON_EXIT_INTERRUPTED, 130);
}

static void errors_have_codes_and_hints(_unused_ void **state)
{
	for (int i = 0; i < MERLON_E_MAX; i++) {
		const char *name = merlon_error_name(i);

		assert_non_null(startswith(name, "org.merlon1.Error."));
		assert_non_null(merlon_error_hint(name));
		assert_int_not_equal(merlon_error_exit(name), MERLON_EXIT_OK);
	}
	assert_int_equal(merlon_error_exit("org.merlon1.Error.NoSuchVm"), 5);
	assert_int_equal(merlon_error_exit("org.merlon1.Error.AmbiguousName"), 5);
	assert_int_equal(merlon_error_exit("org.merlon1.Error.NotSupported"), 6);
	assert_int_equal(merlon_error_exit("org.merlon1.Error.InvalidRule"), 2);
	assert_int_equal(merlon_error_exit("org.merlon1.Error.EngineSettled"), 1);
	assert_int_equal(merlon_error_exit("org.freedesktop.DBus.Error.AccessDenied"), 4);
	assert_int_equal(merlon_error_exit("org.freedesktop.DBus.Error.ServiceUnknown"), 8);
	assert_int_equal(merlon_error_exit("org.freedesktop.DBus.Error.Spawn.ExecFailed"), 8);
	assert_int_equal(merlon_error_exit("com.example.Else"), 1);
	assert_null(merlon_error_hint("com.example.Else"));
}

static void message_ids_are_distinct(_unused_ void **state)
{
	const char *ids[MERLON_EVENT_MAX + MERLON_DEGRADED_MAX];
	size_t n = 0;

	for (int i = 0; i < MERLON_EVENT_MAX; i++)
		ids[n++] = merlon_event_message_id(i);
	for (int i = 0; i < MERLON_DEGRADED_MAX; i++)
		ids[n++] = merlon_degraded_message_id(i);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(strlen(ids[i]), 32);
		assert_int_equal(strspn(ids[i], "0123456789abcdef"), 32);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
	}
}

static void event_names_round_trip(_unused_ void **state)
{
	for (int i = 0; i < MERLON_EVENT_MAX; i++)
		assert_int_equal(merlon_event_from_name(merlon_event_name(i)), i);
	assert_int_equal(merlon_event_from_name("none"), -1);
	assert_int_equal(merlon_event_from_name(""), -1);
}

static void degraded_hints_ignore_details(_unused_ void **state)
{
	for (int i = 0; i < MERLON_DEGRADED_MAX; i++)
		assert_non_null(merlon_degraded_hint(merlon_degraded_name(i)));
	assert_non_null(merlon_degraded_hint("vm-unprotected:17"));
	assert_null(merlon_degraded_hint("vm-unprotectedness"));
	assert_null(merlon_degraded_hint(""));
}

static void every_number_has_a_word(_unused_ void **state)
{
	for (unsigned int i = 0; i < KVM_VMI_NR_VERDICTS; i++) {
		assert_string_not_equal(merlon_verdict_name(i), "?");
		assert_int_equal(merlon_verdict_from_name(merlon_verdict_name(i)), i);
	}
	for (unsigned int i = KVM_VMI_WRITE; i < KVM_VMI_NR_KINDS; i++)
		assert_string_not_equal(merlon_access_name(i), "?");
	assert_string_equal(merlon_access_name(0), "?");
	assert_string_equal(merlon_access_name(KVM_VMI_NR_KINDS), "?");
	assert_string_equal(merlon_verdict_name(UINT32_MAX), "?");
	assert_int_equal(merlon_verdict_from_name("?"), -1);
	assert_int_equal(merlon_on_reset_from_name("keep"), KVM_VMI_RESET_KEEP);
	assert_string_equal(merlon_on_reset_name(KVM_VMI_RESET_KILL), "kill");
	assert_int_equal(merlon_admission_from_name("closed"), KVM_VMI_ADMIT_CLOSED);
	assert_int_equal(merlon_admission_from_name("shut"), -1);
	assert_string_equal(merlon_admission_name(KVM_VMI_ADMIT_OPEN), "open");
	for (unsigned int i = 0; i < KVM_VMI_NR_ENGINES; i++) {
		assert_string_not_equal(merlon_engine_name(i), "?");
		assert_int_equal(merlon_engine_from_name(merlon_engine_name(i)), i);
	}
	assert_int_equal(merlon_engine_from_name("hardware"), KVM_VMI_ENGINE_HARDWARE);
	assert_string_equal(merlon_engine_name(KVM_VMI_NR_ENGINES), "?");
	assert_int_equal(merlon_engine_from_name(MERLON_ENGINE_PAGE), -1);
}

static void registers(_unused_ void **state)
{
	static const unsigned int numbers[] = { 0, 4, 0xc0000080 };
	static const uint64_t all[] = { KVM_VMI_PIN_CR0, KVM_VMI_PIN_CR4, KVM_VMI_PIN_EFER };
	unsigned long long bit;
	const char *word;

	assert_int_equal(ARRAY_SIZE(all), MERLON_REGISTER_MAX);
	for (int i = 0; i < MERLON_REGISTER_MAX; i++) {
		uint64_t bits = 0;

		assert_int_equal(merlon_register_from_number(numbers[i]), i);
		for (unsigned int j = 0; (word = merlon_pin_name(i, j, &bit)); j++) {
			assert_int_equal(bits & bit, 0);
			bits |= bit;
		}
		assert_true(bits == all[i]);
		assert_null(merlon_pin_name(i, 1000, &bit));
	}
	assert_int_equal(merlon_register_from_number(3), -1);
	assert_string_equal(merlon_register_name(MERLON_REGISTER_EFER), "efer");
	assert_string_equal(merlon_pin_name(MERLON_REGISTER_CR4, 0, &bit), "smep");
	assert_true(bit == 1 << 20);
}

static void isolation(_unused_ void **state)
{
	for (unsigned int i = 0; i < KVM_ISOLATION_NR_REASONS; i++) {
		assert_string_not_equal(merlon_isolation_reason_name(i), "?");
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(merlon_isolation_reason_name(i),
						merlon_isolation_reason_name(j));
	}
	for (unsigned int i = 0; i < KVM_ISOLATION_NR_EXITS; i++) {
		assert_string_not_equal(merlon_isolation_exit_name(i), "?");
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(merlon_isolation_exit_name(i),
						merlon_isolation_exit_name(j));
	}
	assert_string_equal(merlon_isolation_reason_name(KVM_ISOLATION_NR_REASONS), "?");
	assert_string_equal(merlon_isolation_exit_name(KVM_ISOLATION_NR_EXITS), "?");
	assert_string_equal(merlon_isolation_exit_name(UINT32_MAX), "?");

	assert_true(merlon_isolation_is_unexpected(KVM_ISOLATION_FAULT));
	assert_true(merlon_isolation_is_unexpected(KVM_ISOLATION_DOUBLE_FAULT));
	assert_false(merlon_isolation_is_unexpected(KVM_ISOLATION_END));
	assert_false(merlon_isolation_is_unexpected(KVM_ISOLATION_TIMER));
	assert_false(merlon_isolation_is_unexpected(KVM_ISOLATION_WAKE));
	assert_false(merlon_isolation_is_unexpected(KVM_ISOLATION_NR_REASONS));
	assert_false(merlon_isolation_is_unexpected(UINT32_MAX));
}

UNIT_MAIN(T(exit_codes_are_the_documented_ones), T(errors_have_codes_and_hints),
	  T(message_ids_are_distinct), T(event_names_round_trip),
	  T(degraded_hints_ignore_details), T(every_number_has_a_word),
	  T(registers), T(isolation))
