/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every unit test includes: cmocka in the order it needs, and main(). */
#ifndef MERLON_UNIT_H
#define MERLON_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "util/util.h"

/* cmocka_unit_test() by name; rows of the table that UNIT_MAIN() runs. */
#define T(name) cmocka_unit_test(name)

#define UNIT_MAIN(...)								\
	int main(void)								\
	{									\
		static const struct CMUnitTest tests[] = { __VA_ARGS__ };	\
										\
		cmocka_set_message_output(CM_OUTPUT_TAP);			\
		return cmocka_run_group_tests(tests, NULL, NULL);		\
	}

#endif
