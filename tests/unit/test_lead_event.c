#include "lead_event_fixture.h"

#include <dirent.h>

#define EXAMPLES "schemas/lead.create/examples"

/* ---- attributes, structured ---- */

static void a_plain_event_is_read(void **state)
{
	struct lead_event got = read_event(
		"{" ATTRIBUTES ",\"expirytime\":\"1970-01-01T00:00:01.5Z\""
		",\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\""
		",\"data\":{\"lead\":{\"LastName\":\"L\\u00e9\",\"b__c\":1.50,\"A__c\":true,"
		"\"Company\":\"C\\n\""
		",\"a1\":null,\"B__d\":-7},\"organization_id\":\"o\",\"user_id\":\"u\"}}");

	(void)state;
	assert_verdict(&got, LEAD_OK, REASON_NONE, "", "plain");
	assert_slice(got.source, "s");
	assert_slice(got.id, "i");
	assert_slice(got.user_id, "u");
	assert_slice(got.organization_id, "o");
	assert_slice(got.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	assert_true(got.expiry_wall_ms == 1500);
	assert_slice(got.fields, "\"a1\":null,\"A__c\":true,\"b__c\":1.5,\"B__d\":-7,"
				 "\"Company\":\"C\\n\",\"LastName\":\"L\xc3\xa9\"");
	assert_slice(got.field, NULL);
}

static void what_is_not_given_is_absent(void **state)
{
	struct lead_event got = read_event(EVENT);

	(void)state;
	assert_verdict(&got, LEAD_OK, REASON_NONE, "", "plain");
	assert_slice(got.organization_id, NULL);
	assert_slice(got.traceparent, NULL);
	assert_true(got.expiry_wall_ms == 0);
}

static void faults_of_attributes_are_named_with_their_path(void **state)
{
	static const struct {
		const char *attributes;
		enum reason reason;
		const char *path;
	} rows[] = {
		{"\"type\":\"lead.create\",\"source\":\"s\",\"id\":\"i\"", REASON_MISSING_ATTRIBUTE,
			"$.specversion"},
		{"\"specversion\":\"1.0\",\"source\":\"s\",\"id\":\"i\"", REASON_MISSING_ATTRIBUTE,
			"$.type"},
		{"\"specversion\":\"1.0\",\"type\":\"lead.create\",\"id\":\"i\"",
			REASON_MISSING_ATTRIBUTE, "$.source"},
		{"\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"s\"",
			REASON_MISSING_ATTRIBUTE, "$.id"},
		{"\"specversion\":null,\"type\":\"lead.create\"", REASON_MISSING_ATTRIBUTE,
			"$.specversion"},
		{"\"specversion\":\"1.1\",\"type\":7,\"X\":1", REASON_WRONG_SPECVERSION,
			"$.specversion"},
		{"\"specversion\":\"1.\",\"type\":7", REASON_WRONG_SPECVERSION, "$.specversion"},
		{"\"specversion\":\"\",\"type\":7", REASON_MALFORMED_ATTRIBUTE, "$.specversion"},
		{"\"specversion\":1.0,\"type\":7", REASON_MALFORMED_ATTRIBUTE, "$.specversion"},
		{"\"specversion\":\"1.0\",\"type\":\"lead.result\"", REASON_WRONG_TYPE, "$.type"},
		{"\"specversion\":\"1.0\",\"type\":\"Lead.create\"", REASON_WRONG_TYPE, "$.type"},
		{"\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"\"",
			REASON_MALFORMED_ATTRIBUTE, "$.source"},
		{"\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"s\\u0000\"",
			REASON_NOT_JSON, "$"},
		{"\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"s\\u001f\"",
			REASON_MALFORMED_ATTRIBUTE, "$.source"},
		{"\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"s\\u007f\"",
			REASON_MALFORMED_ATTRIBUTE, "$.source"},
		{"\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"s\\u009f\"",
			REASON_MALFORMED_ATTRIBUTE, "$.source"},
		{"\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"s\",\"id\":{}",
			REASON_MALFORMED_ATTRIBUTE, "$.id"},
		{ATTRIBUTES ",\"time\":\"2026-11-24 10:00\"", REASON_MALFORMED_ATTRIBUTE, "$.time"},
		{ATTRIBUTES ",\"time\":7", REASON_MALFORMED_ATTRIBUTE, "$.time"},
		{ATTRIBUTES ",\"subject\":\"\"", REASON_MALFORMED_ATTRIBUTE, "$.subject"},
		{ATTRIBUTES ",\"subject\":[]", REASON_MALFORMED_ATTRIBUTE, "$.subject"},
		{ATTRIBUTES ",\"datacontenttype\":\"application/jsonx\"",
			REASON_MALFORMED_ATTRIBUTE, "$.datacontenttype"},
		{ATTRIBUTES ",\"datacontenttype\":\"application/xml; application/json\"",
			REASON_MALFORMED_ATTRIBUTE, "$.datacontenttype"},
		{ATTRIBUTES ",\"dataschema\":\"\"", REASON_MALFORMED_ATTRIBUTE, "$.dataschema"},
		{ATTRIBUTES ",\"dataschema\":\"urn:onbehalf:lead.create:2\"",
			REASON_MALFORMED_ATTRIBUTE, "$.dataschema"},
		{ATTRIBUTES ",\"dataschema\":\"urn:onbehalf:lead.create:11\"",
			REASON_MALFORMED_ATTRIBUTE, "$.dataschema"},
		{ATTRIBUTES ",\"dataschema\":\"urn:onbehalf:lead.result:1\"",
			REASON_MALFORMED_ATTRIBUTE, "$.dataschema"},
		{ATTRIBUTES ",\"expirytime\":\"2026-02-30T00:00:00Z\"", REASON_MALFORMED_ATTRIBUTE,
			"$.expirytime"},
		{ATTRIBUTES ",\"expirytime\":1790000000", REASON_MALFORMED_ATTRIBUTE,
			"$.expirytime"},
		{ATTRIBUTES ",\"partitionkey\":\"\"", REASON_MALFORMED_ATTRIBUTE, "$.partitionkey"},
		{ATTRIBUTES ",\"partitionkey\":true", REASON_MALFORMED_ATTRIBUTE, "$.partitionkey"},
		{ATTRIBUTES ",\"Extension\":1", REASON_MALFORMED_ATTRIBUTE, "$.Extension"},
		{ATTRIBUTES ",\"my_extension\":1", REASON_MALFORMED_ATTRIBUTE, "$.my_extension"},
		{ATTRIBUTES ",\"my-extension\":1", REASON_MALFORMED_ATTRIBUTE, "$.*"},
		{ATTRIBUTES ",\"\":1", REASON_MALFORMED_ATTRIBUTE, "$.*"},
		{ATTRIBUTES ",\"ext\":1.5", REASON_MALFORMED_ATTRIBUTE, "$.ext"},
		{ATTRIBUTES ",\"ext\":[1]", REASON_MALFORMED_ATTRIBUTE, "$.ext"},
		{ATTRIBUTES ",\"ext\":{},\"Other\":1", REASON_MALFORMED_ATTRIBUTE, "$.ext"},
		{ATTRIBUTES ",\"id\":\"j\"", REASON_NOT_JSON, "$"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char value[1000];
		struct lead_event got;

		snprintf(value, sizeof(value), "{%s,\"data\":" DATA "}", rows[i].attributes);
		got = read_event(value);
		assert_verdict(&got, LEAD_INVALID, rows[i].reason, rows[i].path, value);
	}
}

static void attributes_that_are_allowed_do_no_harm(void **state)
{
	static const char *const rows[] = {"\"time\":\"2026-11-24T10:00:00Z\"",
		"\"time\":\"2026-11-24t10:00:00.123456789-11:30\"", "\"time\":null",
		"\"subject\":\"signup/42\"", "\"datacontenttype\":\"application/json\"",
		"\"datacontenttype\":\"Application/JSON ; charset=utf-8\"",
		"\"dataschema\":\"urn:onbehalf:lead.create:1\"",
		"\"dataschema\":\"https://x.example/1\"", "\"dataschema\":null",
		"\"partitionkey\":\"k\"", "\"tracestate\":\"a=b\"", "\"tracestate\":\"\"",
		"\"tracestate\":7", "\"traceparent\":\"\"", "\"traceparent\":7", "\"x\":1",
		"\"x9\":true", "\"x\":null", "\"x\":\"\"", "\"x\":\"\\u0001\"",
		"\"averyveryverylongextensionnamewithmorethan20characters\":\"x\"",
		"\"9lives\":\"x\"", "\"subject\":\"\\u00a0\\u00e9\\ud83e\\udd8a\""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char value[1000];
		struct lead_event got;

		snprintf(value, sizeof(value), "{" ATTRIBUTES ",%s,\"data\":" DATA "}", rows[i]);
		got = read_event(value);
		assert_verdict(&got, LEAD_OK, REASON_NONE, "", value);
	}
}

static void only_a_well_formed_trace_is_handed_on(void **state)
{
	static const struct {
		const char *trace;
		bool good;
	} rows[] = {
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
		{"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true},
		{"00-00000000000000000000000000000001-0000000000000001-ff", true},
		{"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
		{"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
		{"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
		{"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01", false},
		{"0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g", false},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", false},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011", false},
		{"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
		{"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01", false},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char value[1000];
		struct lead_event got;

		snprintf(value, sizeof(value),
			"{" ATTRIBUTES ",\"traceparent\":\"%s\",\"data\":" DATA "}", rows[i].trace);
		got = read_event(value);
		assert_verdict(&got, LEAD_OK, REASON_NONE, "", value);
		assert_slice(got.traceparent, rows[i].good ? rows[i].trace : NULL);
	}
}

static void the_trace_of_the_message_stands_in_for_the_events_own(void **state)
{
	static const char hop[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
	static const char own[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	struct lead_header headers[] = {structured[0], {SLICE("traceparent"), SLICE("rubbish")},
		{SLICE("traceparent"), {hop, sizeof(hop) - 1}}};
	char value[1000];
	struct lead_event got = read_record(text(EVENT), headers, 3);

	(void)state;
	assert_slice(got.traceparent, hop);
	snprintf(value, sizeof(value), "{" ATTRIBUTES ",\"traceparent\":\"%s\",\"data\":" DATA "}",
		own);
	got = read_record(text(value), headers, 3);
	assert_slice(got.traceparent, own);
}

static void an_expiry_before_1970_is_past_and_not_none(void **state)
{
	static const struct {
		const char *time;
		int64_t ms;
	} rows[] = {{"1970-01-01T00:00:00Z", 1}, {"1969-12-31T23:59:59Z", 1},
		{"0001-01-01T00:00:00Z", 1}, {"1970-01-01T00:00:00.001Z", 1},
		{"1970-01-01T00:00:00.002Z", 2}, {"9999-12-31T23:59:59.999Z", 253402300799999}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char value[1000];
		struct lead_event got;

		snprintf(value, sizeof(value),
			"{" ATTRIBUTES ",\"expirytime\":\"%s\",\"data\":" DATA "}", rows[i].time);
		got = read_event(value);
		assert_verdict(&got, LEAD_OK, REASON_NONE, "", value);
		assert_true(got.expiry_wall_ms == rows[i].ms);
	}
}

/* ---- modes ---- */

static void the_binary_mode_says_the_same_as_the_structured(void **state)
{
	struct lead_event one = read_event(EVENT), two = read_record(text(DATA), binary, 5);
	struct lead_event three = read_record(text(DATA), binary, 4); /* without a content type */

	(void)state;
	assert_verdict(&two, LEAD_OK, REASON_NONE, "", "binary");
	assert_memory_equal(one.key, two.key, sizeof(one.key));
	assert_memory_equal(one.digest, two.digest, sizeof(one.digest));
	assert_memory_equal(one.digest, three.digest, sizeof(one.digest));
}

static void faults_of_headers_are_named(void **state)
{
	static const struct {
		struct lead_header header;
		size_t instead; /* of binary[]; 5: also */
		enum lead_verdict verdict;
		enum reason reason;
		const char *path;
	} rows[] = {
		{{SLICE("x"), SLICE("y")}, 0, LEAD_INVALID, REASON_MISSING_ATTRIBUTE,
			"ce_specversion"},
		{{SLICE("ce_specversion"), {0}}, 0, LEAD_INVALID, REASON_MISSING_ATTRIBUTE,
			"ce_specversion"},
		{{SLICE("ce_specversion"), SLICE("0.3")}, 0, LEAD_INVALID, REASON_WRONG_SPECVERSION,
			"ce_specversion"},
		{{SLICE("ce_type"), SLICE("lead.updated")}, 1, LEAD_INVALID, REASON_WRONG_TYPE,
			"ce_type"},
		{{SLICE("ce_source"), SLICE("")}, 2, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE,
			"ce_source"},
		{{SLICE("ce_id"), SLICE("\xff")}, 3, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE,
			"ce_id"},
		{{SLICE("ce_id"), SLICE("a\0b")}, 3, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE,
			"ce_id"},
		{{SLICE("ce_id"), SLICE("\xc3")}, 3, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE,
			"ce_id"},
		{{SLICE("ce_id"), SLICE("\xc2\x80")}, 3, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE,
			"ce_id"},
		{{SLICE("ce_id"), SLICE("\xc2\xa0")}, 3, LEAD_OK, REASON_NONE, ""},
		{{SLICE("ce_ID"), SLICE("i")}, 3, LEAD_INVALID, REASON_MISSING_ATTRIBUTE, "ce_id"},
		{{SLICE("ce_id"), SLICE("j")}, 5, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE,
			"ce_id"},
		{{SLICE("ce_time"), SLICE("now")}, 5, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE,
			"ce_time"},
		{{SLICE("ce_expirytime"), SLICE("2026-12-24T00:00:00Z")}, 5, LEAD_OK, REASON_NONE,
			""},
		{{SLICE("ce_dataschema"), SLICE("urn:onbehalf:lead.create:2")}, 5, LEAD_INVALID,
			REASON_MALFORMED_ATTRIBUTE, "ce_dataschema"},
		{{SLICE("ce_my_ext"), SLICE("x")}, 5, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE,
			"ce_my_ext"},
		{{SLICE("ce_"), SLICE("x")}, 5, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE, "ce_*"},
		{{SLICE("ce_myext"), SLICE("\xff")}, 5, LEAD_OK, REASON_NONE, ""},
		{{SLICE("CE_id"), SLICE("j")}, 5, LEAD_OK, REASON_NONE, ""},
		{{SLICE("CONTENT-TYPE"), SLICE("text/plain")}, 4, LEAD_INVALID,
			REASON_MALFORMED_ATTRIBUTE, "content-type"},
		{{SLICE("content-type"), SLICE("")}, 4, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE,
			"content-type"},
		{{SLICE("content-type"), {0}}, 4, LEAD_OK, REASON_NONE, ""},
		{{SLICE("Content-type"), SLICE("application/json")}, 5, LEAD_INVALID,
			REASON_MALFORMED_ATTRIBUTE, "content-type"},
		{{SLICE("ce_datacontenttype"), SLICE("application/json")}, 5, LEAD_INVALID,
			REASON_MALFORMED_ATTRIBUTE, "content-type"},
		{{SLICE("ce_datacontenttype"), SLICE("application/json")}, 4, LEAD_OK, REASON_NONE,
			""},
		{{SLICE("ce_tracestate"), SLICE("")}, 5, LEAD_OK, REASON_NONE, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lead_header headers[6];
		struct lead_event got;

		memcpy(headers, binary, sizeof(binary));
		headers[rows[i].instead] = rows[i].header;
		got = read_record(text(DATA), headers, rows[i].instead == 5 ? 6 : 5);
		assert_verdict(&got, rows[i].verdict, rows[i].reason, rows[i].path,
			rows[i].header.name.data);
	}
}

static void the_mode_is_told_by_the_headers_and_else_by_specversion(void **state)
{
	static const struct {
		const char *type; /* content-type, NULL: no header */
		const char *value;
		enum reason reason;
		const char *path;
	} rows[] = {
		{NULL, EVENT, REASON_NONE, ""},
		{NULL, " \t\r\n" EVENT "\n", REASON_NONE, ""},
		{"application/json", EVENT, REASON_NONE, ""},
		{"text/plain", EVENT, REASON_NONE, ""},
		{"application/cloudevents+json", EVENT, REASON_NONE, ""},
		{"APPLICATION/CloudEvents+JSON;charset=utf-8", EVENT, REASON_NONE, ""},
		{"application/cloudevents+json \t; x", EVENT, REASON_NONE, ""},
		{"application/cloudevents+jsonx", EVENT, REASON_NOT_CLOUDEVENT, "content-type"},
		{"application/cloudevents+avro", EVENT, REASON_NOT_CLOUDEVENT, "content-type"},
		{"application/cloudevents-batch+json", EVENT, REASON_NOT_CLOUDEVENT,
			"content-type"},
		{"application/cloudevents", EVENT, REASON_NOT_CLOUDEVENT, "content-type"},
		{NULL, DATA, REASON_NOT_CLOUDEVENT, "$"},
		{NULL, "{}", REASON_NOT_CLOUDEVENT, "$"},
		{NULL, "{\"Specversion\":\"1.0\"}", REASON_NOT_CLOUDEVENT, "$"},
		{NULL, "{\"specversion\":\"1.0\"", REASON_NOT_JSON, "$"},
		{NULL, "{\"specversion\":\"2.0\"}", REASON_WRONG_SPECVERSION, "$.specversion"},
		{NULL, "[{\"specversion\":\"1.0\"}]", REASON_NOT_CLOUDEVENT, "$"},
		{NULL, "LastName=L&Company=C", REASON_NOT_CLOUDEVENT, "$"},
		{NULL, "", REASON_NOT_CLOUDEVENT, "$"},
		{NULL, " ", REASON_NOT_CLOUDEVENT, "$"},
		{"application/cloudevents+json", "", REASON_NOT_JSON, "$"},
		{"application/cloudevents+json", EVENT "x", REASON_NOT_JSON, "$"},
		{"application/cloudevents+json", "\xef\xbb\xbf" EVENT, REASON_NOT_JSON, "$"},
		{"application/cloudevents+json", "7", REASON_NOT_CLOUDEVENT, "$"},
		{"application/cloudevents+json", "{}", REASON_MISSING_ATTRIBUTE, "$.specversion"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lead_header header = {SLICE("content-TYPE"),
			rows[i].type ? text(rows[i].type) : (struct slice){0}};
		struct lead_event got =
			read_record(text(rows[i].value), &header, rows[i].type ? 1 : 0);

		assert_verdict(&got, rows[i].reason == REASON_NONE ? LEAD_OK : LEAD_INVALID,
			rows[i].reason, rows[i].path, rows[i].value);
	}
}

static void two_content_types_say_nothing(void **state)
{
	static const struct lead_header two[] = {
		{SLICE("content-type"), SLICE("application/cloudevents+json")},
		{SLICE("Content-Type"), SLICE("application/json")}};
	struct lead_event got = read_record(text(EVENT), two, 2);

	(void)state;
	assert_verdict(&got, LEAD_INVALID, REASON_MALFORMED_ATTRIBUTE, "content-type", "two");
}

static void a_record_without_a_value_is_no_event(void **state)
{
	struct slice none = {0};
	struct lead_event got = read_record(none, NULL, 0);

	(void)state;
	assert_verdict(&got, LEAD_INVALID, REASON_NOT_CLOUDEVENT, "$", "bare");
	got = read_record(none, structured, 1);
	assert_verdict(&got, LEAD_INVALID, REASON_NOT_JSON, "$", "structured");
	got = read_record(none, binary, 5);
	assert_verdict(&got, LEAD_INVALID, REASON_MISSING_DATA, "$.data", "binary");
	got = read_record(text(""), binary, 5);
	assert_verdict(&got, LEAD_INVALID, REASON_MISSING_DATA, "$.data", "binary");
	got = read_record(text("null"), binary, 5);
	assert_verdict(&got, LEAD_INVALID, REASON_MISSING_DATA, "$.data", "binary");
	got = read_record(text("{"), binary, 5);
	assert_verdict(&got, LEAD_INVALID, REASON_NOT_JSON, "$", "binary");
	got = read_record(text("7"), binary, 5);
	assert_verdict(&got, LEAD_INVALID, REASON_MALFORMED_DATA, "$.data", "binary");
}

static void the_frame_of_a_schema_registry_is_skipped(void **state)
{
	static const char frame[] = "\0\0\0\x01\x02";
	static const struct {
		size_t skip, take; /* of the frame */
		const char *json;
		const struct lead_header *headers;
		size_t header_count;
		enum reason reason;
		const char *path;
	} rows[] = {
		{0, 5, EVENT, structured, 1, REASON_NONE, ""},
		{0, 5, EVENT, NULL, 0, REASON_NONE, ""},
		{0, 5, DATA, binary, 5, REASON_NONE, ""},
		{0, 5, "{", structured, 1, REASON_NOT_JSON, "$"},
		{0, 5, "", structured, 1, REASON_NOT_JSON, "$"},
		{0, 5, "", NULL, 0, REASON_NOT_CLOUDEVENT, "$"},
		{0, 5, "", binary, 5, REASON_NOT_JSON, "$"},
		{0, 5, " " EVENT, structured, 1, REASON_NOT_JSON, "$"},
		{0, 5, "[]", structured, 1, REASON_NOT_JSON, "$"},
		{0, 4, EVENT, structured, 1, REASON_NOT_JSON, "$"},
		{0, 1, EVENT, NULL, 0, REASON_NOT_CLOUDEVENT, "$"},
		{1, 4, EVENT, structured, 1, REASON_NOT_JSON, "$"},
		{3, 2, EVENT, structured, 1, REASON_NOT_JSON, "$"},
	};
	struct lead_event plain = read_event(EVENT);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		freed_by(buf_release) struct buf value = {0};
		bool good = rows[i].reason == REASON_NONE;
		struct lead_event got;

		buf_add(&value, frame + rows[i].skip, rows[i].take);
		buf_add_text(&value, rows[i].json);
		got = read_record(buf_slice(&value), rows[i].headers, rows[i].header_count);
		assert_verdict(&got, good ? LEAD_OK : LEAD_INVALID, rows[i].reason, rows[i].path,
			rows[i].json);
		if (good)
			assert_memory_equal(got.digest, plain.digest, sizeof(got.digest));
	}
}

/* ---- data ---- */

static void faults_of_data_are_named_with_their_path(void **state)
{
	static const struct {
		const char *data;
		enum reason reason;
		const char *path;
	} rows[] = {
		{"null", REASON_MISSING_DATA, "$.data"},
		{"\""
		 "{}"
		 "\"",
			REASON_MALFORMED_DATA, "$.data"},
		{"[]", REASON_MALFORMED_DATA, "$.data"},
		{"{}", REASON_MISSING_DATA, "$.data.user_id"},
		{"{\"user_id\":null,\"lead\":" LEAD "}", REASON_MISSING_DATA, "$.data.user_id"},
		{"{\"user_id\":\"\",\"lead\":" LEAD "}", REASON_MALFORMED_DATA, "$.data.user_id"},
		{"{\"user_id\":7,\"lead\":" LEAD "}", REASON_MALFORMED_DATA, "$.data.user_id"},
		{"{\"user_id\":\"a\\nb\",\"lead\":" LEAD "}", REASON_MALFORMED_DATA,
			"$.data.user_id"},
		{"{\"user_id\":\"u\",\"organization_id\":\"\",\"lead\":" LEAD "}",
			REASON_MALFORMED_DATA, "$.data.organization_id"},
		{"{\"user_id\":\"u\",\"organization_id\":false,\"lead\":" LEAD "}",
			REASON_MALFORMED_DATA, "$.data.organization_id"},
		{"{\"user_id\":\"u\"}", REASON_MISSING_DATA, "$.data.lead"},
		{"{\"user_id\":\"u\",\"lead\":null}", REASON_MISSING_DATA, "$.data.lead"},
		{"{\"user_id\":\"u\",\"lead\":[]}", REASON_MALFORMED_DATA, "$.data.lead"},
		{"{\"user_id\":\"u\",\"lead\":\"x\"}", REASON_MALFORMED_DATA, "$.data.lead"},
		{"{\"user_id\":\"u\",\"lead\":" LEAD ",\"extra\":null}", REASON_MALFORMED_DATA,
			"$.data.extra"},
		{"{\"user_id\":\"u\",\"lead\":" LEAD ",\"User_id\":1}", REASON_MALFORMED_DATA,
			"$.data.User_id"},
		{"{\"user_id\":\"u\",\"lead\":" LEAD ",\"a b\":1}", REASON_MALFORMED_DATA,
			"$.data.*"},
		{"{\"user_id\":\"u\",\"lead\":" LEAD ",\"ada@example.com\":1}",
			REASON_MALFORMED_DATA, "$.data.*"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char value[1000];
		struct lead_event got;

		snprintf(value, sizeof(value), "{" ATTRIBUTES ",\"data\":%s}", rows[i].data);
		got = read_event(value);
		assert_verdict(&got, LEAD_INVALID, rows[i].reason, rows[i].path, value);
		got = read_record(text(rows[i].data), binary, 5);
		assert_verdict(&got, LEAD_INVALID, rows[i].reason, rows[i].path, rows[i].data);
	}
	{
		struct lead_event got = read_event("{" ATTRIBUTES "}");

		assert_verdict(&got, LEAD_INVALID, REASON_MISSING_DATA, "$.data", "none");
		got = read_event("{" ATTRIBUTES ",\"data_base64\":\"e30=\"}");
		assert_verdict(
			&got, LEAD_INVALID, REASON_MALFORMED_DATA, "$.data_base64", "base64");
		got = read_event("{" ATTRIBUTES ",\"data\":" DATA ",\"data_base64\":null}");
		assert_verdict(&got, LEAD_INVALID, REASON_MALFORMED_DATA, "$.data_base64", "both");
	}
}

/* ---- identity and digest ---- */

static void a_key_never_changes(void **state)
{
	/* sha256(be64(1) "s" be64(1) "i"), and of be64(4) be32(1) be64(4) be32(2) be64(8) be64(3)
	 */
	unsigned char key[LEAD_KEY_BYTES];
	char got[LEAD_KEY_TEXT];

	(void)state;
	lead_key(SLICE("s"), SLICE("i"), key);
	lead_key_text(key, got);
	assert_string_equal(got, "4f741521377b2f64ad7b85c492f4e442");
	lead_key_undecoded(1, 2, 3, key);
	lead_key_text(key, got);
	assert_string_equal(got, "8db4a4f8afb97491dd70b1e08a3a8ffa");
	assert_memory_equal(
		read_event(EVENT).key, (lead_key(SLICE("s"), SLICE("i"), key), key), sizeof(key));
}

static void source_and_id_cannot_be_shifted_into_one_another(void **state)
{
	unsigned char one[LEAD_KEY_BYTES], two[LEAD_KEY_BYTES];

	(void)state;
	lead_key(SLICE("ab"), SLICE("c"), one);
	lead_key(SLICE("a"), SLICE("bc"), two);
	assert_memory_not_equal(one, two, sizeof(one));
	lead_key_undecoded(1, 2, 3, one);
	lead_key_undecoded(2, 1, 3, two);
	assert_memory_not_equal(one, two, sizeof(one));
	lead_key_undecoded(1, 2, 4, two);
	assert_memory_not_equal(one, two, sizeof(one));
}

static void the_digest_is_of_the_content_and_not_of_the_bytes(void **state)
{
	static const char *const same[] = {EVENT,
		"{ \"data\" : {\"lead\": {\"Company\" : \"\\u0043\", \"LastName\":\"L\"}, "
		"\"user_id\":\"u\", "
		"\"organization_id\": null}, \"id\":\"i\", \"source\":\"s\", "
		"\"type\":\"lead.create\", "
		"\"specversion\":\"1.0\"}",
		"{" ATTRIBUTES
		",\"time\":\"2026-11-24T10:00:00Z\",\"subject\":\"x\",\"ext\":1,\"traceparent\":"
		"\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\",\"data\":" DATA "}"};
	static const char *const other[] = {
		"{\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"s2\",\"id\":\"i\","
		"\"data\":" DATA "}",
		"{\"specversion\":\"1.0\",\"type\":\"lead.create\",\"source\":\"s\",\"id\":\"i2\","
		"\"data\":" DATA "}",
		"{" ATTRIBUTES ",\"expirytime\":\"2026-12-24T00:00:00Z\",\"data\":" DATA "}",
		"{" ATTRIBUTES ",\"expirytime\":\"2026-12-24T00:00:00.001Z\",\"data\":" DATA "}",
		"{" ATTRIBUTES ",\"data\":{\"user_id\":\"u2\",\"lead\":" LEAD "}}",
		"{" ATTRIBUTES
		",\"data\":{\"user_id\":\"u\",\"organization_id\":\"o\",\"lead\":" LEAD "}}",
		"{" ATTRIBUTES
		",\"data\":{\"user_id\":\"u\",\"organization_id\":\"o2\",\"lead\":" LEAD "}}",
		"{" ATTRIBUTES
		",\"data\":{\"user_id\":\"u\",\"lead\":{\"LastName\":\"L\",\"Company\":\"D\"}}}",
		"{" ATTRIBUTES ",\"data\":{\"user_id\":\"u\",\"lead\":{\"LastName\":\"L\","
		"\"Company\":\"C\",\"Fax\":null}}}",
		"{" ATTRIBUTES ",\"data\":{\"user_id\":\"u\",\"lead\":{\"LastName\":\"L\","
		"\"Company\":\"C\",\"x__c\":1}}}",
		"{" ATTRIBUTES ",\"data\":{\"user_id\":\"u\",\"lead\":{\"LastName\":\"L\","
		"\"Company\":\"C\",\"x__c\":\"1\"}}}",
		/* rejected ones have a digest, too */
		"{" ATTRIBUTES
		",\"data\":{\"user_id\":\"u\",\"lead\":{\"LastName\":\"L\",\"Company\":null}}}",
		"{" ATTRIBUTES ",\"data\":{\"user_id\":\"u\",\"lead\":{}}}",
	};
	struct lead_event first = read_event(EVENT), seen[ARRAY_LEN(other)];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		assert_memory_equal(read_event(same[i]).digest, first.digest, sizeof(first.digest));
	for (size_t i = 0; i < ARRAY_LEN(other); i++) {
		seen[i] = read_event(other[i]);
		assert_int_not_equal(seen[i].verdict, LEAD_INVALID);
		assert_memory_not_equal(seen[i].digest, first.digest, sizeof(first.digest));
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(
				seen[i].digest, seen[j].digest, sizeof(first.digest));
	}
}

/* ---- examples ---- */

static struct buf read_example(const char *kind, const char *name)
{
	struct buf value = {0};
	char path[600];
	FILE *file;
	int c;

	snprintf(path, sizeof(path), EXAMPLES "/%s/%s", kind, name);
	file = fopen(path, "r");
	assert_non_null(file);
	while ((c = getc(file)) != EOF)
		buf_add_char(&value, (char)c);
	fclose(file);
	return value;
}

/* A bad example's name begins with its reason, up to a hyphen. */
static void check_examples(const char *kind, bool good, size_t at_least)
{
	DIR *dir = opendir(good ? EXAMPLES "/good" : EXAMPLES "/bad");
	size_t count = 0;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		freed_by(buf_release) struct buf value = {0};
		size_t len = strcspn(entry->d_name, "-.");
		struct lead_event got;

		if (!len)
			continue;
		value = read_example(kind, entry->d_name);
		got = read_record(buf_slice(&value), structured, 1);
		if (good ? got.verdict != LEAD_OK
			 : got.reason != reason_find((struct slice){entry->d_name, len}))
			print_error(
				"%s: %s at %s\n", entry->d_name, reason_code(got.reason), got.path);
		assert_true(good == (got.verdict == LEAD_OK));
		if (!good)
			assert_int_equal(
				got.reason, reason_find((struct slice){entry->d_name, len}));
		count++;
	}
	closedir(dir);
	assert_true(count >= at_least);
}

static void the_good_examples_are_read(void **state)
{
	(void)state;
	check_examples("good", true, 8);
}

static void the_bad_examples_are_refused_for_the_reason_in_their_name(void **state)
{
	(void)state;
	check_examples("bad", false, 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_event_is_read),
		cmocka_unit_test(what_is_not_given_is_absent),
		cmocka_unit_test(faults_of_attributes_are_named_with_their_path),
		cmocka_unit_test(attributes_that_are_allowed_do_no_harm),
		cmocka_unit_test(only_a_well_formed_trace_is_handed_on),
		cmocka_unit_test(the_trace_of_the_message_stands_in_for_the_events_own),
		cmocka_unit_test(an_expiry_before_1970_is_past_and_not_none),
		cmocka_unit_test(the_binary_mode_says_the_same_as_the_structured),
		cmocka_unit_test(faults_of_headers_are_named),
		cmocka_unit_test(the_mode_is_told_by_the_headers_and_else_by_specversion),
		cmocka_unit_test(two_content_types_say_nothing),
		cmocka_unit_test(a_record_without_a_value_is_no_event),
		cmocka_unit_test(the_frame_of_a_schema_registry_is_skipped),
		cmocka_unit_test(faults_of_data_are_named_with_their_path),
		cmocka_unit_test(a_key_never_changes),
		cmocka_unit_test(source_and_id_cannot_be_shifted_into_one_another),
		cmocka_unit_test(the_digest_is_of_the_content_and_not_of_the_bytes),
		cmocka_unit_test(the_good_examples_are_read),
		cmocka_unit_test(the_bad_examples_are_refused_for_the_reason_in_their_name),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
