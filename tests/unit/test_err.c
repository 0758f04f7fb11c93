#include "common/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void setting_fills_everything_and_returns_minus_one(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(err_set(&err, ERR_TRANSIENT, 7, "could not read %d rows", 3), -1);
	assert_int_equal(err.kind, ERR_TRANSIENT);
	assert_int_equal(err.code, 7);
	assert_string_equal(err.text, "could not read 3 rows");
}

static void nobody_has_to_listen(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_FATAL, 0, "x"), -1);
	assert_int_equal(err_prefix(NULL, "x"), -1);
}

static void a_prefix_goes_before_the_text_and_leaves_kind_and_code(void **state)
{
	struct err err = {0};

	(void)state;
	(void)err_set(&err, ERR_REJECTED, 5, "too long");
	assert_int_equal(err_prefix(&err, "lead %d", 4), -1);
	assert_string_equal(err.text, "lead 4: too long");
	assert_int_equal(err.kind, ERR_REJECTED);
	assert_int_equal(err.code, 5);
}

static void the_old_text_may_be_part_of_the_new_one(void **state)
{
	struct err err = {0};

	(void)state;
	(void)err_set(&err, ERR_FATAL, 0, "inner");
	(void)err_set(&err, ERR_FATAL, 0, "outer: %s", err.text);
	assert_string_equal(err.text, "outer: inner");
}

static void a_text_that_does_not_fit_is_cut_behind_a_whole_character(void **state)
{
	struct err err = {0};
	char lengthy[400];

	(void)state;
	for (size_t shift = 0; shift < 3; shift++) {
		size_t len;

		memset(lengthy, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof(lengthy); i += 3)
			memcpy(lengthy + i, "€", 4);
		(void)err_set(&err, ERR_FATAL, 0, "%s", lengthy);
		len = strlen(err.text);
		assert_true(len > sizeof(err.text) - 4 && len < sizeof(err.text));
		assert_int_equal((len - shift) % 3, 0);
		(void)err_prefix(&err, "y");
		len = strlen(err.text);
		assert_true(len > sizeof(err.text) - 4 && len < sizeof(err.text));
		assert_int_equal((len - shift - 3) % 3, 0);
	}
}

static void a_text_that_just_fits_is_not_cut(void **state)
{
	struct err err = {0};
	char fitting[sizeof(err.text)];

	(void)state;
	memset(fitting, 'x', sizeof(fitting));
	memcpy(fitting + sizeof(fitting) - 4, "€", 4);
	(void)err_set(&err, ERR_FATAL, 0, "%s", fitting);
	assert_string_equal(err.text, fitting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setting_fills_everything_and_returns_minus_one),
		cmocka_unit_test(nobody_has_to_listen),
		cmocka_unit_test(a_prefix_goes_before_the_text_and_leaves_kind_and_code),
		cmocka_unit_test(the_old_text_may_be_part_of_the_new_one),
		cmocka_unit_test(a_text_that_does_not_fit_is_cut_behind_a_whole_character),
		cmocka_unit_test(a_text_that_just_fits_is_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
