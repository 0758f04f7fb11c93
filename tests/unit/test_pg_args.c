#include "common/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void pg_args_releasep(struct pg_args *a)
{
	pg_args_release(a);
}

/* The bytes of parameter @i as hexadecimal, NULL when it is NULL. */
static const char *hex(const struct pg_args *a, unsigned i)
{
	static char text[1024];

	assert_true(i < a->count);
	if (a->lengths[i] < 0)
		return "NULL";
	text[0] = '\0';
	for (int at = 0; at < a->lengths[i]; at++)
		snprintf(text + 2 * at, 3, "%02x",
			(unsigned char)a->bytes.data[a->starts[i] + (size_t)at]);
	return text;
}

static void plain_values_are_big_endian_with_the_types_of_their_functions(void **state)
{
	freed_by(pg_args_releasep) struct pg_args a = {0};
	static const uint32_t types[] = {PG_OID_BOOL, PG_OID_BOOL, PG_OID_INT2, PG_OID_INT4,
		PG_OID_INT8, PG_OID_TEXT, PG_OID_BYTEA, PG_OID_UUID};
	static const char *const bytes[] = {"01", "00", "fffe", "01020304", "fffffffffffffffd",
		"6869", "00ff", "000102030405060708090a0b0c0d0e0f"};
	unsigned char uuid[16];

	(void)state;
	for (unsigned char i = 0; i < 16; i++)
		uuid[i] = i;
	pg_put_bool(&a, true);
	pg_put_bool(&a, false);
	pg_put_int2(&a, -2);
	pg_put_int4(&a, 0x01020304);
	pg_put_int8(&a, -3);
	pg_put_text(&a, SLICE("hi"));
	pg_put_bytes(&a, SLICE("\x00\xff"));
	pg_put_uuid(&a, uuid);
	assert_int_equal(a.count, ARRAY_LEN(types));
	for (unsigned i = 0; i < a.count; i++) {
		assert_int_equal(a.types[i], types[i]);
		assert_string_equal(hex(&a, i), bytes[i]);
	}
}

static void what_is_absent_is_null_and_what_is_empty_is_not(void **state)
{
	freed_by(pg_args_releasep) struct pg_args a = {0};

	(void)state;
	pg_put_text(&a, (struct slice){0});
	pg_put_bytes(&a, (struct slice){0});
	pg_put_uuid(&a, NULL);
	pg_put_time(&a, 0);
	pg_put_null(&a, PG_OID_INT4);
	for (unsigned i = 0; i < 5; i++)
		assert_string_equal(hex(&a, i), "NULL");
	assert_int_equal(a.types[4], PG_OID_INT4);
	pg_put_text(&a, SLICE(""));
	assert_int_equal(a.lengths[5], 0);
}

static void times_are_microseconds_since_2000(void **state)
{
	freed_by(pg_args_releasep) struct pg_args a = {0};

	(void)state;
	pg_put_time(&a, 946684800001); /* 2000-01-01 and 1 ms */
	pg_put_time(&a, 946684799999);
	pg_put_time(&a, INT64_MAX);
	pg_put_time(&a, INT64_MIN);
	assert_int_equal(a.types[0], PG_OID_TIMESTAMPTZ);
	assert_string_equal(hex(&a, 0), "00000000000003e8");
	assert_string_equal(hex(&a, 1), "fffffffffffffc18");
	assert_string_equal(hex(&a, 2), "7fffffffffffffff"); /* infinity */
	assert_string_equal(hex(&a, 3), "8000000000000000");
}

static void an_array_has_a_header_and_prefixes_each_element_with_its_length(void **state)
{
	freed_by(pg_args_releasep) struct pg_args a = {0};

	(void)state;
	pg_array_open(&a, PG_OID_INT2, 1005);
	pg_put_int2(&a, 1);
	pg_put_int2(&a, 2);
	pg_array_close(&a);
	pg_put_int4(&a, 7); /* what follows is a parameter again */
	assert_int_equal(a.count, 2);
	assert_int_equal(a.types[0], 1005);
	assert_string_equal(hex(&a, 0), "00000001"
					"00000000"
					"00000015"
					"00000002"
					"00000001"
					"00000002"
					"0001"
					"00000002"
					"0002");
	assert_string_equal(hex(&a, 1), "00000007");
}

static void an_empty_array_has_no_dimension(void **state)
{
	freed_by(pg_args_releasep) struct pg_args a = {0};

	(void)state;
	pg_array_open(&a, PG_OID_TEXT, 1009);
	pg_array_close(&a);
	assert_string_equal(hex(&a, 0), "00000000"
					"00000000"
					"00000019");
}

static void a_null_element_sets_the_flag_of_its_array(void **state)
{
	freed_by(pg_args_releasep) struct pg_args a = {0};

	(void)state;
	pg_array_open(&a, PG_OID_TEXT, 1009);
	pg_put_text(&a, SLICE("a"));
	pg_put_text(&a, (struct slice){0});
	pg_array_close(&a);
	assert_string_equal(hex(&a, 0), "00000001"
					"00000001"
					"00000019"
					"00000002"
					"00000001"
					"00000001"
					"61"
					"ffffffff");
}

static void a_row_holds_the_type_and_the_length_of_each_member(void **state)
{
	freed_by(pg_args_releasep) struct pg_args a = {0};

	(void)state;
	pg_array_open(&a, 16384, 16385);
	pg_row_open(&a, 3);
	pg_put_int4(&a, 5);
	pg_put_text(&a, (struct slice){0});
	pg_array_open(&a, PG_OID_INT2, 1005);
	pg_put_int2(&a, 9);
	pg_array_close(&a);
	pg_row_close(&a);
	pg_array_close(&a);
	assert_int_equal(a.types[0], 16385);
	assert_string_equal(hex(&a, 0), "00000001"
					"00000000"
					"00004000"
					"00000001"
					"00000001"
					"0000003a" /* the row, 58 bytes */
					"00000003"
					"00000017"
					"00000004"
					"00000005"
					"00000019"
					"ffffffff"
					"000003ed" /* the array inside, 26 bytes */
					"0000001a"
					"00000001"
					"00000000"
					"00000015"
					"00000001"
					"00000001"
					"00000002"
					"0009");
}

static void clearing_keeps_the_memory_and_forgets_the_values(void **state)
{
	freed_by(pg_args_releasep) struct pg_args a = {0};
	size_t cap;

	(void)state;
	pg_put_text(&a, SLICE("some words that take room"));
	pg_array_open(&a, PG_OID_TEXT, 1009);
	cap = a.bytes.cap;
	pg_args_clear(&a);
	pg_put_int2(&a, 1);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.starts[0], 0);
	assert_int_equal(a.bytes.cap, cap);
	assert_string_equal(hex(&a, 0), "0001");
}

static void a_sqlstate_is_a_number_in_base_36(void **state)
{
	(void)state;
	assert_int_equal(pg_sqlstate("00000"), 0);
	assert_int_equal(pg_sqlstate("0000Z"), 35);
	assert_int_equal(pg_sqlstate("P0001"), 25 * 36 * 36 * 36 * 36 + 1);
	assert_int_not_equal(pg_sqlstate("55P03"), pg_sqlstate("55P04"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_values_are_big_endian_with_the_types_of_their_functions),
		cmocka_unit_test(what_is_absent_is_null_and_what_is_empty_is_not),
		cmocka_unit_test(times_are_microseconds_since_2000),
		cmocka_unit_test(an_array_has_a_header_and_prefixes_each_element_with_its_length),
		cmocka_unit_test(an_empty_array_has_no_dimension),
		cmocka_unit_test(a_null_element_sets_the_flag_of_its_array),
		cmocka_unit_test(a_row_holds_the_type_and_the_length_of_each_member),
		cmocka_unit_test(clearing_keeps_the_memory_and_forgets_the_values),
		cmocka_unit_test(a_sqlstate_is_a_number_in_base_36),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
