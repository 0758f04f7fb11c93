#include "common/rfc3339.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool parse(const char *text, int64_t *ret)
{
	return rfc3339_parse(text, strlen(text), ret);
}

static void times_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-24T10:00:00Z", INT64_C(1795514400000)},
		{"2026-11-24t10:00:00z", INT64_C(1795514400000)},
		{"2026-11-24T10:00:00.5Z", INT64_C(1795514400500)},
		{"2026-11-24T10:00:00.123456789012345678901234567890Z", INT64_C(1795514400123)},
		{"2026-11-24T10:00:00.9999Z", INT64_C(1795514400999)},
		{"2026-11-24T12:30:00+02:30", INT64_C(1795514400000)},
		{"2026-11-23T10:01:00-23:59", INT64_C(1795514400000)},
		{"2026-11-24T10:00:00-00:00", INT64_C(1795514400000)},
		{"1969-12-31T23:59:59.999Z", -1},
		{"2000-02-29T00:00:00Z", INT64_C(951782400000)},
		{"2024-02-29T23:59:59Z", INT64_C(1709251199000)},
		{"2016-12-31T23:59:60Z", INT64_C(1483228799999)},
		{"2016-12-31T23:59:60.25Z", INT64_C(1483228799999)},
		{"2016-12-31T15:59:60-08:00", INT64_C(1483228799999)},
		{"0001-01-01T00:00:00Z", INT64_C(-62135596800000)},
		{"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = 42;

		if (!parse(rows[i].text, &ms) || ms != rows[i].ms)
			fail_msg("%s: %lld", rows[i].text, (long long)ms);
	}
}

static void what_is_malformed_is_refused_and_writes_nothing(void **state)
{
	static const char *const rows[] = {"", "2026", "2026-11-24", "2026-11-24T10:00Z",
		"2026-11-24T10:00:00", "2026-11-24 10:00:00Z", "2026-11-24T10:00:00 Z",
		" 2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z ", "2026-11-24T10:00:00ZZ",
		"2026-11-24T10:00:00.Z", "2026-11-24T10:00:00,5Z", "2026-1-24T10:00:00Z",
		"02026-11-24T10:00:00Z", "+2026-11-24T10:00:00Z", "2026-11-24T1:00:00Z",
		"2026-00-24T10:00:00Z", "2026-13-24T10:00:00Z", "2026-11-00T10:00:00Z",
		"2026-11-31T10:00:00Z", "2026-01-32T10:00:00Z", "2026-04-31T10:00:00Z",
		"2026-02-29T10:00:00Z", "1900-02-29T10:00:00Z", "2100-02-29T10:00:00Z",
		"2024-02-30T10:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T10:60:00Z",
		"2026-11-24T10:00:61Z", "2026-11-24T10:00:60Z", "2016-12-31T23:59:60+01:00",
		"2026-11-24T10:00:00+24:00", "2026-11-24T10:00:00+01:60",
		"2026-11-24T10:00:00+0100", "2026-11-24T10:00:00+01", "2026-11-24T10:00:00+1:00",
		"2026-11-24T10:00:00UTC", "0000-12-31T10:00:00Z", "0001-01-01T00:00:00+00:01",
		"9999-12-31T23:59:59-00:01", "2026/11/24T10:00:00Z", "2026-11-24T10.00.00Z",
		"2026-11-24T-1:00:00Z"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = 42;

		if (parse(rows[i], &ms) || ms != 42)
			fail_msg("\"%s\" was accepted", rows[i]);
	}
}

static void a_nul_inside_is_refused_and_the_length_is_believed(void **state)
{
	int64_t ms = 42;

	(void)state;
	assert_false(rfc3339_parse("2026-11-24T10:00:00\0", 20, &ms));
	assert_false(rfc3339_parse("2026-11-24T10:00:00Z\0", 21, &ms));
	assert_false(rfc3339_parse("2026-11-24\00010:00:00Z", 20, &ms));
	assert_true(rfc3339_parse("2026-11-24T10:00:00Z and more", 20, &ms));
	for (size_t len = 0; len < 20; len++)
		assert_false(rfc3339_parse("2026-11-24T10:00:00Z", len, &ms));
}

static void every_day_agrees_with_the_c_library_and_comes_back(void **state)
{
	char text[RFC3339_SIZE], expected[RFC3339_SIZE + 20];

	(void)state;
	for (int64_t day = -719162; day <= 2932896; day++) {
		int64_t ms = day * 86400000 + day * day % 86400000, back = -1;
		time_t seconds = (time_t)(day * 86400 + ms % 86400000 / 1000);
		struct tm tm;

		if (ms % 86400000 < 0)
			seconds = (time_t)((ms - 999) / 1000);
		gmtime_r(&seconds, &tm);
		snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec, (int)((ms % 1000 + 1000) % 1000));
		rfc3339_text(ms, text);
		if (strcmp(text, expected) != 0 || !parse(text, &back) || back != ms)
			fail_msg("%lld: %s, not %s", (long long)ms, text, expected);
	}
}

static void times_outside_the_years_are_written_as_the_nearest_inside(void **state)
{
	char text[RFC3339_SIZE];

	(void)state;
	rfc3339_text(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	rfc3339_text(INT64_MIN, text);
	assert_string_equal(text, "0001-01-01T00:00:00.000Z");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_read),
		cmocka_unit_test(what_is_malformed_is_refused_and_writes_nothing),
		cmocka_unit_test(a_nul_inside_is_refused_and_the_length_is_believed),
		cmocka_unit_test(every_day_agrees_with_the_c_library_and_comes_back),
		cmocka_unit_test(times_outside_the_years_are_written_as_the_nearest_inside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
