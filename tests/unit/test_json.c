#include "common/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static struct slice text_slice(const char *text)
{
	return (struct slice){text, strlen(text)};
}

static struct json_t *read_text(const char *text)
{
	struct json_t *value = NULL;
	struct err err = {0};

	if (json_read(text_slice(text), 8, &value, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	return value;
}

static void assert_refused(struct slice bytes, unsigned max_depth, const char *why)
{
	struct json_t *value = NULL;
	struct err err = {0};

	if (json_read(bytes, max_depth, &value, &err) == 0)
		fail_msg("%.*s was accepted", (int)bytes.len, bytes.data);
	assert_null(value);
	assert_int_equal(err.kind, ERR_REJECTED);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void every_kind_is_told_apart(void **state)
{
	static const struct {
		const char *text;
		enum json_kind kind;
	} rows[] = {{"null", JSON_IS_NULL}, {"true", JSON_IS_BOOL}, {"false", JSON_IS_BOOL},
		{"-7", JSON_IS_INT}, {"7.0", JSON_IS_REAL}, {"7e0", JSON_IS_REAL},
		{"\"\"", JSON_IS_TEXT}, {"[]", JSON_IS_LIST}, {" {} ", JSON_IS_OBJECT}};

	(void)state;
	assert_int_equal(json_kind(NULL), JSON_IS_NONE);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		freed_by(json_dropp) struct json_t *value = read_text(rows[i].text);

		assert_int_equal(json_kind(value), rows[i].kind);
		assert_int_equal(json_is_true(value), i == 1);
	}
	assert_false(json_is_true(NULL));
}

static void what_is_not_strictly_json_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "empty"},
		{" ", "it ends too early"},
		{"{\"a\":1,\"a\":2}", "a duplicate key, line 1, column 10"},
		{"{\"x\":{\"a\":1,\"\\u0061\":2}}", "a duplicate key"},
		{"\"\\u0000\"", "a NUL character"},
		{"{\"a\\u0000b\":1}", "a NUL character"},
		{"{} {}", "something stands behind the value"},
		{"1 x", "something stands behind the value"},
		{"\"\xff\"", "invalid UTF-8"},
		{"\"\xc0\x80\"", "invalid UTF-8"},
		{"\"\xed\xa0\x80\"", "invalid UTF-8"},
		{"\"\\ud800\"", "malformed"},
		{"{\"a\":1", "it ends too early"},
		{"[1,\n2,\n", "it ends too early, line 3"},
		{"[1,]", "malformed"},
		{"{'a':1}", "malformed"},
		{"[1 2]", "malformed"},
		{"\"a\nb\"", "malformed"},
		{"01", "malformed"},
		{"+1", "malformed"},
		{".5", "malformed"},
		{"1.", "malformed"},
		{"NaN", "malformed"},
		{"Infinity", "malformed"},
		{"9223372036854775808", "a number out of range"},
		{"1e999", "a number out of range"},
		{"// x\n1", "malformed"},
		{"\xef\xbb\xbf{}", "malformed"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_refused(text_slice(rows[i].text), 8, rows[i].why);
	assert_refused((struct slice){0}, 8, "empty");
	assert_refused((struct slice){"{}\0", 3}, 8, "behind the value");
	assert_refused((struct slice){"\"a\0b\"", 5}, 8, "malformed");
	assert_refused((struct slice){"[1]", 2}, 8, "it ends too early");
}

static void an_error_never_repeats_the_input(void **state)
{
	static const char *const rows[] = {"{\"email\":ada@example.org}",
		"{\"ada@example.org\":1,\"ada@example.org\":2}", "{} ada@example.org",
		"[[[\"ada@example.org\"]]]", "\"ada@example.org"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct json_t *value = NULL;
		struct err err = {0};

		assert_int_equal(json_read(text_slice(rows[i]), 2, &value, &err), -1);
		assert_null(strstr(err.text, "ada"));
	}
}

static void levels_are_counted_and_limited(void **state)
{
	static const char brackets_in_text[] = "[\"[[[[{{{{\\\"[[[[\\\\\"]";
	freed_by(json_dropp) struct json_t *value = NULL, *quoted = NULL, *wide = NULL;
	struct err err = {0};

	(void)state;
	assert_refused(SLICE("[]"), 0, "more than 0 levels, line 1, column 1");
	assert_refused(SLICE("{\"a\":\n [{}]}"), 2, "more than 2 levels, line 2, column 3");
	assert_int_equal(json_read(SLICE("{\"a\":\n [{}]}"), 3, &value, &err), 0);
	assert_int_equal(json_read(text_slice(brackets_in_text), 1, &quoted, &err), 0);
	assert_int_equal(json_read(SLICE("[[],[],{},[],[]]"), 2, &wide, &err), 0);
}

static void very_deep_input_is_refused_whatever_the_limit(void **state)
{
	freed_by(buf_release) struct buf deep = {0};

	(void)state;
	for (int i = 0; i < 1000 * 1000; i++)
		buf_add_text(&deep, i % 2 ? "[" : "{\"a\":");
	assert_refused(buf_slice(&deep), 8, "more than 8 levels");
	assert_refused(buf_slice(&deep), UINT32_MAX, "levels");
}

static void members_and_items_are_found(void **state)
{
	freed_by(json_dropp) struct json_t *value =
		read_text("{\"text\":\"a b\",\"list\":[1,2],\"n\":9223372036854775807,\"r\":1.0}");
	struct json_t *list = json_member(value, "list");
	int64_t number = 5;

	(void)state;
	assert_int_equal(json_count(value), 4);
	assert_string_equal(json_member_text(value, "text"), "a b");
	assert_int_equal(json_slice(json_member(value, "text")).len, 3);
	assert_int_equal(json_count(list), 2);
	assert_true(json_to_int(json_item(list, 1), &number));
	assert_int_equal(number, 2);
	assert_true(json_to_int(json_member(value, "n"), &number));
	assert_true(number == INT64_MAX);
	assert_false(json_to_int(json_member(value, "r"), &number));
	assert_true(number == INT64_MAX);
}

static void asking_the_wrong_kind_gives_nothing(void **state)
{
	freed_by(json_dropp) struct json_t *value = read_text("{\"list\":[1]}");
	struct json_t *list = json_member(value, "list");
	struct json_walk w = {0};
	int64_t number = 5;

	(void)state;
	assert_null(json_member(value, "other"));
	assert_null(json_member(list, "list"));
	assert_null(json_member(NULL, "list"));
	assert_null(json_item(list, 1));
	assert_null(json_item(value, 0));
	assert_null(json_item(NULL, 0));
	assert_null(json_slice(list).data);
	assert_null(json_slice(NULL).data);
	assert_null(json_member_text(value, "list"));
	assert_null(json_member_text(NULL, "list"));
	assert_int_equal(json_count(json_item(list, 0)), 0);
	assert_int_equal(json_count(NULL), 0);
	assert_false(json_to_int(list, &number));
	assert_false(json_to_int(NULL, &number));
	assert_false(json_walk(list, &w));
	assert_false(json_walk(NULL, &w));
	json_drop(NULL);
}

static void a_walk_goes_in_the_order_of_the_input(void **state)
{
	freed_by(json_dropp) struct json_t *value = read_text("{\"z\":1,\"a\":2,\"ü\":3,\"\":4}");
	static const char *const names[] = {"z", "a", "ü", ""};
	struct json_walk w = {0};
	int64_t n = 0, number;

	(void)state;
	while (json_walk(value, &w)) {
		assert_string_equal(w.name, names[n++]);
		assert_int_equal(w.name_len, strlen(w.name));
		assert_true(json_to_int(w.value, &number));
		assert_int_equal(number, n);
	}
	assert_int_equal(n, 4);
}

static void writing_is_compact_and_keeps_order_and_text(void **state)
{
	static const struct {
		const char *text, *written;
	} rows[] = {
		{" { \"z\" : [ 1 , { } , [ ] , null ] , \"a\" : true, \"b\":false } ",
			"{\"z\":[1,{},[],null],\"a\":true,\"b\":false}"},
		{"\"\\u00fc \\ud83c\\udf0d \\/ \\\" \\\\ \\b\\f\\n\\r\\t \\u0001\\u001F\"",
			"\"ü 🌍 / \\\" \\\\ \\b\\f\\n\\r\\t \\u0001\\u001f\""},
		{"\"\x7f\"", "\"\x7f\""},
		{"-9223372036854775808", "-9223372036854775808"},
		{"0.1", "0.1"},
		{"1.0", "1.0"},
		{"-0.0", "-0.0"},
		{"-0", "0"},
		{"100000.0", "100000.0"},
		{"0.30000000000000004", "0.30000000000000004"},
		{"3.1415926535897931", "3.141592653589793"},
		{"1E20", "1e+20"},
		{"1e-7", "1e-07"},
		{"5e-324", "4.94065645841247e-324"},
		{"1.7976931348623157e308", "1.7976931348623157e+308"},
		{"{\"a\\\"b\":\"\"}", "{\"a\\\"b\":\"\"}"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		freed_by(json_dropp) struct json_t *value = read_text(rows[i].text);
		freed_by(buf_release) struct buf b = {0};

		json_put(&b, value);
		assert_string_equal(b.data, rows[i].written);
	}
}

/* Repeatable, which is all a test needs. */
static int chance(int below)
{
	static uint64_t seed = 11;

	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (int)(seed >> 33) % below;
}

static void any_real_reads_back_equal_and_as_a_real(void **state)
{
	(void)state;
	for (int i = 0; i < 20000; i++) {
		freed_by(json_dropp) struct json_t *value = NULL, *back = NULL;
		freed_by(buf_release) struct buf first = {0}, second = {0};

		buf_addf(&first, "%d.%d%de%d", chance(10), chance(INT_MAX), chance(INT_MAX),
			chance(600) - 300);
		value = read_text(first.data);
		json_put(&second, value);
		back = read_text(second.data);
		assert_int_equal(json_kind(back), JSON_IS_REAL);
		assert_true(strtod(first.data, NULL) == strtod(second.data, NULL));
	}
}

static void names_get_commas_between_them(void **state)
{
	freed_by(buf_release) struct buf b = {0};

	(void)state;
	json_put_name(&b, "no object");
	assert_string_equal(b.data, "\"no object\":");
	buf_clear(&b);
	buf_add_char(&b, '{');
	json_put_name(&b, "a");
	json_put_text(&b, SLICE("{"));
	json_put_name(&b, "b");
	buf_add_char(&b, '{');
	json_put_name(&b, "c\"");
	json_put_text(&b, (struct slice){0});
	buf_add_text(&b, "}}");
	assert_string_equal(b.data, "{\"a\":\"{\",\"b\":{\"c\\\"\":\"\"}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_told_apart),
		cmocka_unit_test(what_is_not_strictly_json_is_refused_with_its_place),
		cmocka_unit_test(an_error_never_repeats_the_input),
		cmocka_unit_test(levels_are_counted_and_limited),
		cmocka_unit_test(very_deep_input_is_refused_whatever_the_limit),
		cmocka_unit_test(members_and_items_are_found),
		cmocka_unit_test(asking_the_wrong_kind_gives_nothing),
		cmocka_unit_test(a_walk_goes_in_the_order_of_the_input),
		cmocka_unit_test(writing_is_compact_and_keeps_order_and_text),
		cmocka_unit_test(any_real_reads_back_equal_and_as_a_real),
		cmocka_unit_test(names_get_commas_between_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
