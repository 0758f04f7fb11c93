#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void the_clocks_run(void **state)
{
	int64_t age = clock_age_ms(), wall = clock_wall_ms(), cpu = clock_cpu_us();

	(void)state;
	while (clock_cpu_us() < cpu + 2000)
		;
	usleep(2000);
	assert_true(clock_age_ms() > age && clock_age_ms() < age + 60000);
	assert_true(clock_wall_ms() > wall && clock_wall_ms() / 1000 - time(NULL) < 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_clocks_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
