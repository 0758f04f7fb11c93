#include "common/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* What RFC 3629 says of a code point, written the long way. */
static size_t encode(unsigned long c, char *ret)
{
	if (c < 0x80) {
		ret[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		ret[0] = (char)(0xc0 | c >> 6);
		ret[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		ret[0] = (char)(0xe0 | c >> 12);
		ret[1] = (char)(0x80 | (c >> 6 & 63));
		ret[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	ret[0] = (char)(0xf0 | c >> 18);
	ret[1] = (char)(0x80 | (c >> 12 & 63));
	ret[2] = (char)(0x80 | (c >> 6 & 63));
	ret[3] = (char)(0x80 | (c & 63));
	return 4;
}

static void every_code_point_but_the_surrogates_is_a_character(void **state)
{
	char bytes[4];

	(void)state;
	for (unsigned long c = 0; c < 0x140000; c++) {
		size_t len = encode(c, bytes);
		bool is_char = c < 0x110000 && (c < 0xd800 || c > 0xdfff);

		if (utf8_char(bytes, len) != (is_char ? len : 0))
			fail_msg("U+%04lX", c);
		if (is_char && len > 1 && utf8_char(bytes, len - 1))
			fail_msg("U+%04lX is cut short", c);
	}
}

static void overlong_and_broken_bytes_are_none(void **state)
{
	(void)state;
	assert_false(utf8_valid("\xc0\x80", 2));
	assert_false(utf8_valid("\xc1\xbf", 2));
	assert_false(utf8_valid("\xe0\x9f\xbf", 3));
	assert_false(utf8_valid("\xf0\x8f\xbf\xbf", 4));
	assert_false(utf8_valid("\xf5\x80\x80\x80", 4));
	assert_false(utf8_valid("\xff", 1));
	assert_false(utf8_valid("\x80", 1));
	assert_false(utf8_valid("a\xc3(b", 4));
	assert_false(utf8_valid("\xe2\x82", 2));
}

static void text_is_valid_as_a_whole(void **state)
{
	(void)state;
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("Grüße, 世界 🌍", sizeof("Grüße, 世界 🌍") - 1));
	assert_true(utf8_valid("a\0b", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_point_but_the_surrogates_is_a_character),
		cmocka_unit_test(overlong_and_broken_bytes_are_none),
		cmocka_unit_test(text_is_valid_as_a_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
