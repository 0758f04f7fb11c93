/* What a lead.create may be at most, and bytes that are none: at each limit and one past it. */
#include "lead_event_fixture.h"

/* ---- limits ---- */

static void ids_and_names_of_people_have_a_length(void **state)
{
	static const struct {
		const char *fmt_before, *fmt_after, *path;
		size_t max;
	} rows[] = {
		{"{\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"s\",\"id\":\"",
			"\",\"data\":" DATA "}", "$.id", LEAD_ID_MAX},
		{"{\"specversion\":\"1.0\",\"type\":\"lead.create\",\"id\":\"i\",\"source\":\"",
			"\",\"data\":" DATA "}", "$.source", LEAD_ID_MAX},
		{"{" ATTRIBUTES ",\"data\":{\"lead\":" LEAD ",\"user_id\":\"", "\"}}",
			"$.data.user_id", LEAD_USER_MAX},
		{"{" ATTRIBUTES ",\"data\":{\"user_id\":\"u\",\"lead\":" LEAD
		 ",\"organization_id\":\"",
			"\"}}", "$.data.organization_id", LEAD_USER_MAX},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t more = 0; more < 2; more++) {
			freed_by(buf_release) struct buf value = {0};
			struct lead_event got;

			buf_add_text(&value, rows[i].fmt_before);
			for (size_t n = 0; n < (rows[i].max + more) / 2; n++)
				buf_add_text(&value, "\xc3\xa9"); /* bytes count, not characters */
			if (more)
				buf_add_char(&value, 'x');
			buf_add_text(&value, rows[i].fmt_after);
			got = read_record(buf_slice(&value), structured, 1);
			assert_verdict(&got, more ? LEAD_INVALID : LEAD_OK,
				more ? REASON_TOO_LARGE : REASON_NONE, more ? rows[i].path : "",
				rows[i].path);
		}
	{
		char id[LEAD_ID_MAX + 1];
		struct lead_header headers[5];
		struct lead_event got;

		memset(id, 'i', sizeof(id));
		memcpy(headers, binary, sizeof(binary));
		headers[3].value = (struct slice){id, LEAD_ID_MAX};
		assert_int_equal(read_record(text(DATA), headers, 5).verdict, LEAD_OK);
		headers[3].value.len++;
		got = read_record(text(DATA), headers, 5);
		assert_verdict(&got, LEAD_INVALID, REASON_TOO_LARGE, "ce_id", "header");
	}
}

static void a_record_has_at_most_a_mebibyte(void **state)
{
	freed_by(buf_release) struct buf value = {0};
	struct lead_event got;

	(void)state;
	buf_add_text(&value, EVENT);
	while (value.len < (size_t)LEAD_RECORD_MAX)
		buf_add_char(&value, ' ');
	got = read_record(buf_slice(&value), structured, 1);
	assert_verdict(&got, LEAD_OK, REASON_NONE, "", "a mebibyte");
	buf_add_char(&value, ' ');
	got = read_record(buf_slice(&value), structured, 1);
	assert_verdict(&got, LEAD_INVALID, REASON_TOO_LARGE, "$", "more");
	got = read_record(buf_slice(&value), NULL, 0);
	assert_verdict(&got, LEAD_INVALID, REASON_TOO_LARGE, "$", "more, bare");
}

static void a_frame_counts_as_part_of_the_record(void **state)
{
	freed_by(buf_release) struct buf value = {0};
	struct lead_event got;

	(void)state;
	buf_add(&value, "\0\0\0\0\1", 5);
	buf_add_text(&value, EVENT);
	while (value.len < (size_t)LEAD_RECORD_MAX)
		buf_add_char(&value, ' ');
	got = read_record(buf_slice(&value), structured, 1);
	assert_verdict(&got, LEAD_OK, REASON_NONE, "", "a mebibyte");
	buf_add_char(&value, ' ');
	got = read_record(buf_slice(&value), structured, 1);
	assert_verdict(&got, LEAD_INVALID, REASON_TOO_LARGE, "$", "more");
}

static void a_path_repeats_a_name_of_at_most_80_characters(void **state)
{
	(void)state;
	for (int len = 80; len <= 81; len++) {
		freed_by(buf_release) struct buf value = {0}, path = {0};
		struct lead_event got;

		buf_add_text(
			&value, "{" ATTRIBUTES ",\"data\":{\"user_id\":\"u\",\"lead\":" LEAD ",\"");
		buf_add_text(&path, len == 80 ? "$.data." : "$.data.*");
		for (int i = 0; i < len; i++) {
			buf_add_char(&value, 'n');
			if (len == 80)
				buf_add_char(&path, 'n');
		}
		buf_add_text(&value, "\":1}}");
		got = read_record(buf_slice(&value), structured, 1);
		assert_verdict(&got, LEAD_INVALID, REASON_MALFORMED_DATA, path.data, "a name");
	}
}

static void an_expiry_lies_in_the_years_1_to_9999(void **state)
{
	static const struct {
		const char *time;
		bool good;
	} rows[] = {{"0001-01-01T00:00:00Z", true}, {"0001-01-01T00:00:00+00:01", false},
		{"0000-12-31T23:59:59Z", false}, {"9999-12-31T23:59:59.999Z", true},
		{"9999-12-31T23:59:59-00:01", false}, {"10000-01-01T00:00:00Z", false},
		{"2000-02-29T00:00:00Z", true}, {"1900-02-29T00:00:00Z", false},
		{"2026-06-30T23:59:60Z", true}, {"2026-06-30T23:58:60Z", false}, {"", false},
		{"2026-06-30", false}, {"2026-06-30T10:00:00", false}, {"P7D", false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char value[1000];
		struct lead_event got;

		snprintf(value, sizeof(value),
			"{" ATTRIBUTES ",\"expirytime\":\"%s\",\"data\":" DATA "}", rows[i].time);
		got = read_event(value);
		assert_verdict(&got, rows[i].good ? LEAD_OK : LEAD_INVALID,
			rows[i].good ? REASON_NONE : REASON_MALFORMED_ATTRIBUTE,
			rows[i].good ? "" : "$.expirytime", value);
	}
}

static void json_has_at_most_sixteen_levels(void **state)
{
	for (int levels = 16; levels <= 17; levels++) {
		freed_by(buf_release) struct buf value = {0};
		struct lead_event got;

		(void)state;
		buf_add_text(
			&value, "{" ATTRIBUTES ",\"x\":\"]}[[[[[[[[[[[[[[[[[[\\\"[\",\"deep\":");
		for (int i = 1; i < levels; i++)
			buf_add_char(&value, '[');
		for (int i = 1; i < levels; i++)
			buf_add_char(&value, ']');
		buf_add_text(&value, ",\"data\":" DATA "}");
		got = read_record(buf_slice(&value), structured, 1);
		if (levels == 16)
			assert_verdict(
				&got, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE, "$.deep", "16");
		else
			assert_verdict(&got, LEAD_INVALID, REASON_TOO_DEEP, "$", "17");
		value.len--; /* the last brace is missing */
		got = read_record(buf_slice(&value), structured, 1);
		assert_verdict(&got, LEAD_INVALID, levels == 16 ? REASON_NOT_JSON : REASON_TOO_DEEP,
			"$", "cut short");
	}
}

/* ---- bytes ---- */

#define BYTES(literal)                                                                             \
	{                                                                                          \
		literal, sizeof(literal) - 1                                                       \
	}

/* In a place where any text is allowed. */
static void bytes_that_are_no_json_text_are_refused(void **state)
{
	static const struct {
		struct slice value; /* of the field City, as JSON */
		bool good;
	} rows[] = {
		{BYTES("\"\xc3\xa9\""), true},
		{BYTES("\"\xff\""), false},
		{BYTES("\"\x80\""), false},
		{BYTES("\"\xc3\""), false},
		{BYTES("\"\xc0\x80\""), false}, /* overlong */
		{BYTES("\"\xc1\xbf\""), false},
		{BYTES("\"\xe0\x9f\xbf\""), false},
		{BYTES("\"\xe0\xa0\x80\""), true},
		{BYTES("\"\xf0\x8f\xbf\xbf\""), false},
		{BYTES("\"\xf0\x90\x80\x80\""), true},
		{BYTES("\"\xed\x9f\xbf\""), true},
		{BYTES("\"\xed\xa0\x80\""), false}, /* surrogates */
		{BYTES("\"\xed\xbf\xbf\""), false},
		{BYTES("\"\xee\x80\x80\""), true},
		{BYTES("\"\xf4\x8f\xbf\xbf\""), true}, /* the last character */
		{BYTES("\"\xf4\x90\x80\x80\""), false},
		{BYTES("\"\\ud83e\\udd8a\""), true},
		{BYTES("\"\\ud83e\""), false},
		{BYTES("\"\\udd8a\""), false},
		{BYTES("\"\\udd8a\\ud83e\""), false},
		{BYTES("\"\\ud83e\\u0041\""), false},
		{BYTES("\"a\0b\""), false},
		{BYTES("\"a\\u0000b\""), false},
		{BYTES("\"a\nb\""), false},
		{BYTES("\"a\\nb\""), true},
		{BYTES("\"\x7f\""), true},
		{BYTES("\"\\x41\""), false},
		{BYTES("NaN"), false},
		{BYTES("nan"), false},
		{BYTES("-Infinity"), false},
		{BYTES("1e309"), false},
		{BYTES("9223372036854775808"), false},
		{BYTES("\"a\",\"City\":\"b\""), false},
		{BYTES("\"a\",\"\\u0043ity\":\"b\""), false},
		{BYTES("\"a\",\"x\\u0000\":1"), false},
		{BYTES("\"a\",\"x\0\":1"), false},
		{BYTES("\"a\",\"\xff\":1"), false},
		{BYTES("\"a\","), false},
		{BYTES("'a'"), false},
		{BYTES("\0"), false},
		{BYTES(""), false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		freed_by(buf_release) struct buf value = {0};
		struct lead_event got;
		char row[20];

		snprintf(row, sizeof(row), "row %zu", i);
		buf_add_text(&value, "{" ATTRIBUTES ",\"data\":{\"user_id\":\"u\",\"lead\":{"
				     "\"LastName\":\"L\",\"Company\":\"C\",\"City\":");
		buf_add(&value, rows[i].value.data, rows[i].value.len);
		buf_add_text(&value, "}}}");
		got = read_record(buf_slice(&value), structured, 1);
		assert_verdict(&got, rows[i].good ? LEAD_OK : LEAD_INVALID,
			rows[i].good ? REASON_NONE : REASON_NOT_JSON, rows[i].good ? "" : "$", row);
	}
}

static void an_event_cut_anywhere_is_no_json(void **state)
{
	static const char event[] = EVENT;

	(void)state;
	for (size_t len = 0; len < sizeof(event) - 1; len++) {
		struct lead_event got = read_record((struct slice){event, len}, structured, 1);

		assert_verdict(&got, LEAD_INVALID, REASON_NOT_JSON, "$", "cut short");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_and_names_of_people_have_a_length),
		cmocka_unit_test(a_record_has_at_most_a_mebibyte),
		cmocka_unit_test(a_frame_counts_as_part_of_the_record),
		cmocka_unit_test(a_path_repeats_a_name_of_at_most_80_characters),
		cmocka_unit_test(an_expiry_lies_in_the_years_1_to_9999),
		cmocka_unit_test(json_has_at_most_sixteen_levels),
		cmocka_unit_test(bytes_that_are_no_json_text_are_refused),
		cmocka_unit_test(an_event_cut_anywhere_is_no_json),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
