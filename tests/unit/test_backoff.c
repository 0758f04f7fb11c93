#include "common/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>

/* The largest and smallest of many waits, and their mean. */
struct spread {
	int64_t least, most;
	double mean;
};

static struct spread spread_of(unsigned attempt, int64_t base_ms, int64_t cap_ms)
{
	struct spread s = {INT64_MAX, -1, 0};
	const int count = 20000;

	for (int i = 0; i < count; i++) {
		int64_t ms = backoff_ms(attempt, base_ms, cap_ms);

		s.least = ms < s.least ? ms : s.least;
		s.most = ms > s.most ? ms : s.most;
		s.mean += (double)ms / count;
	}
	return s;
}

static void assert_uniform_up_to(struct spread s, int64_t most)
{
	assert_true(s.least >= 0 && s.least <= most / 100);
	assert_true(s.most <= most && s.most >= most - most / 100);
	assert_true(s.mean > 0.45 * (double)most && s.mean < 0.55 * (double)most);
}

static void the_wait_doubles_with_each_attempt_up_to_the_cap(void **state)
{
	(void)state;
	assert_uniform_up_to(spread_of(1, 500, 60000), 500);
	assert_uniform_up_to(spread_of(2, 500, 60000), 1000);
	assert_uniform_up_to(spread_of(5, 500, 60000), 8000);
	assert_uniform_up_to(spread_of(7, 500, 60000), 32000);
	assert_uniform_up_to(spread_of(8, 500, 60000), 60000);
	assert_uniform_up_to(spread_of(1, 500, 100), 100);
}

static void both_ends_are_reached(void **state)
{
	struct spread s = spread_of(1, 3, 10);

	(void)state;
	assert_int_equal(s.least, 0);
	assert_int_equal(s.most, 3);
}

static void no_number_is_too_large(void **state)
{
	(void)state;
	assert_uniform_up_to(spread_of(UINT_MAX, 500, 60000), 60000);
	assert_true(spread_of(64, 1, INT64_MAX).most > INT64_MAX / 2);
	assert_true(spread_of(UINT_MAX, INT64_MAX, INT64_MAX).least >= 0);
}

static void without_a_base_or_a_cap_there_is_no_wait(void **state)
{
	(void)state;
	assert_int_equal(backoff_ms(5, 0, 1000), 0);
	assert_int_equal(backoff_ms(UINT_MAX, 0, 1000), 0);
	assert_int_equal(backoff_ms(5, -1, 1000), 0);
	assert_int_equal(backoff_ms(5, 1000, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_wait_doubles_with_each_attempt_up_to_the_cap),
		cmocka_unit_test(both_ends_are_reached),
		cmocka_unit_test(no_number_is_too_large),
		cmocka_unit_test(without_a_base_or_a_cap_there_is_no_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
