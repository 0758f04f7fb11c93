#include "worker/outcome_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The good examples are what the worker writes, byte for byte but for a newline at the end. */
#define SCHEMAS "schemas"
#define AT(seconds, ms)                                                                            \
	(INT64_C(1795514400000) + INT64_C(1000) * (seconds) +                                      \
		(ms)) /* from 2026-11-24T10:00:00Z on */

static const unsigned char id[16] = {0x0f, 0x8f, 0xad, 0x5b, 0xd9, 0xcb, 0x46, 0x9f, 0xa1, 0x65,
	0x70, 0x86, 0x77, 0x28, 0x95, 0x0e};
static const unsigned char connection[16] = {0x01, 0x93, 0x5a, 0x2c, 0x10, 0x00, 0x70, 0x00, 0x80,
	0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2a};
static const unsigned char session[16] = {0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10, 0x01,
	0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
static const unsigned char hash[32] = {0x9a, 0x01, [31] = 0xff};
static const unsigned char lead_key[16] = {1};

static struct outcome outcome(enum outcome_type type)
{
	return (struct outcome){
		.partition = 3,
		.sequence = 77,
		.type = type,
		.id = id,
		.lead_key = lead_key,
		.event_source = SLICE("crm/signup"),
		.event_id = SLICE("6f1c2f0e-7d0c-4f7e-9a53-0d1d0c9b7a11"),
		.session = session,
		.tick = 4711,
		.tick_hash = hash,
		.accepted_ms = AT(0, 5),
		.recorded_ms = AT(1, 250),
	};
}

static struct outcome connected(enum outcome_type type)
{
	struct outcome o = outcome(type);

	o.connection_id = connection;
	o.connection_epoch = 3;
	o.org_id = SLICE("00D1F0000009GpnUAE");
	return o;
}

static struct outcome sent(enum outcome_status status, enum outcome_written written)
{
	struct outcome o = connected(OUTCOME_RESULT);

	o.status = status;
	o.written = written;
	o.attempts = 1;
	o.permitted_ms = AT(0, 9);
	o.sent_ms = AT(0, 11);
	o.answered_ms = AT(1, 240);
	return o;
}

static struct outcome created(void)
{
	struct outcome o = sent(STATUS_CREATED, WRITTEN_YES);

	o.lead_id = SLICE("00Q1i000013x2TEEAY");
	o.traceparent = SLICE("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	return o;
}

static struct outcome updated_without_an_id(void)
{
	return sent(STATUS_UPDATED, WRITTEN_YES);
}

static struct outcome rejected_by_salesforce(void)
{
	struct outcome o = sent(STATUS_REJECTED, WRITTEN_NO);

	o.code = SLICE("INVALID_EMAIL_ADDRESS");
	o.fields = SLICE("[\"Email\"]");
	o.reason = SLICE("salesforce_rejected");
	o.attempts = 2;
	return o;
}

static struct outcome rejected_before(void)
{
	struct outcome o = outcome(OUTCOME_RESULT);

	o.status = STATUS_REJECTED;
	o.fields = SLICE("[\"LastName\"]");
	o.reason = SLICE("field_too_long");
	o.detail = SLICE("$.data.lead.LastName");
	return o;
}

static struct outcome rejected_unknown_source(void)
{
	struct outcome o = outcome(OUTCOME_RESULT);

	o.status = STATUS_REJECTED;
	o.reason = SLICE("unknown_source");
	o.event_id = SLICE("with \"quotes\", \\ and \xc3\xa9");
	return o;
}

static struct outcome expired(void)
{
	struct outcome o = connected(OUTCOME_RESULT);

	o.status = STATUS_EXPIRED;
	o.reason = SLICE("deadline_passed");
	o.accepted_ms = 0; /* its event is in a period that was dropped */
	return o;
}

static struct outcome undeliverable(void)
{
	struct outcome o = sent(STATUS_UNDELIVERABLE, WRITTEN_UNKNOWN);

	o.reason = SLICE("unknown_outcome");
	o.attempts = 5;
	o.answered_ms = 0;
	return o;
}

static struct outcome parked(void)
{
	struct outcome o = connected(OUTCOME_REAUTH_REQUIRED);

	o.reason = SLICE("consent_needed");
	o.parked = true;
	o.deadline_ms = AT(INT64_C(7) * 86400, 5);
	return o;
}

static struct outcome parked_without_a_connection(void)
{
	struct outcome o = outcome(OUTCOME_REAUTH_REQUIRED);

	o.reason = SLICE("not_connected");
	o.parked = true;
	o.deadline_ms = AT(INT64_C(7) * 86400, 5);
	return o;
}

static struct outcome refused(void)
{
	struct outcome o = outcome(OUTCOME_REAUTH_REQUIRED);

	o.reason = SLICE("not_connected");
	return o;
}

static struct outcome disconnected(void)
{
	struct outcome o = connected(OUTCOME_REVOKED);

	o.connection_state = SLICE("disconnected");
	o.ended_by = SLICE("user");
	o.ended_at_ms = AT(-60, 0);
	o.reason = SLICE("user_disconnected");
	return o;
}

static struct outcome revoked(void)
{
	struct outcome o = connected(OUTCOME_REVOKED);

	o.connection_state = SLICE("revoked");
	o.ended_by = SLICE("admin");
	o.ended_at_ms = AT(0, 999);
	o.reason = SLICE("admin_revoked");
	o.written = WRITTEN_UNKNOWN;
	o.traceparent = SLICE("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	return o;
}

static const struct {
	const char *name;
	struct outcome (*make)(void);
} goldens[] = {
	{"lead.result/examples/good/created", created},
	{"lead.result/examples/good/updated-without-an-id", updated_without_an_id},
	{"lead.result/examples/good/rejected-by-salesforce", rejected_by_salesforce},
	{"lead.result/examples/good/rejected-before", rejected_before},
	{"lead.result/examples/good/rejected-unknown-source", rejected_unknown_source},
	{"lead.result/examples/good/expired", expired},
	{"lead.result/examples/good/undeliverable", undeliverable},
	{"lead.reauth-required/examples/good/parked", parked},
	{"lead.reauth-required/examples/good/parked-without-a-connection",
		parked_without_a_connection},
	{"lead.reauth-required/examples/good/refused", refused},
	{"lead.revoked/examples/good/disconnected", disconnected},
	{"lead.revoked/examples/good/revoked", revoked},
};

static void an_outcome_is_written_as_its_golden_file(void **state)
{
	bool write = getenv("ONBEHALF_WRITE_GOLDENS"); /* after a change that is meant */

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(goldens); i++) {
		freed_by(buf_release) struct buf got = {0}, wanted = {0};
		struct outcome o = goldens[i].make();
		char path[200];
		FILE *file;
		int c;

		outcome_event_write(&o, "onbehalf/leads", &got);
		buf_add_char(&got, '\n');
		snprintf(path, sizeof(path), SCHEMAS "/%s.json", goldens[i].name);
		file = fopen(path, write ? "w" : "r");
		assert_non_null(file);
		if (write)
			fputs(got.data, file);
		else
			while ((c = getc(file)) != EOF)
				buf_add_char(&wanted, (char)c);
		fclose(file);
		if (!write)
			assert_string_equal(got.data, wanted.data);
	}
}

static void the_same_row_gives_the_same_bytes_behind_what_is_there(void **state)
{
	freed_by(buf_release) struct buf one = {0}, two = {0};
	struct outcome o = created();

	(void)state;
	outcome_event_write(&o, "onbehalf/leads", &one);
	buf_add_text(&two, "before");
	outcome_event_write(&o, "onbehalf/leads", &two);
	assert_int_equal(two.len, one.len + 6);
	assert_memory_equal(two.data + 6, one.data, one.len);
}

static bool holds(const struct outcome *o, const char *text)
{
	freed_by(buf_release) struct buf out = {0};

	outcome_event_write(o, "onbehalf/leads", &out);
	return strstr(out.data, text);
}

static void the_repair_comes_from_the_reason(void **state)
{
	struct outcome o = parked();

	(void)state;
	assert_true(holds(&o, "\"reason\":\"consent_needed\",\"repair\":\"consent\""));
	o.reason = SLICE("password_expired");
	assert_true(holds(&o, "\"repair\":\"change_password\""));
	/* a reason of a newer release */
	o.reason = SLICE("brand_new");
	assert_true(holds(&o, "\"reason\":\"brand_new\",\"repair\":\"ask_operator\""));
}

static void every_status_and_written_has_its_word(void **state)
{
	static const struct {
		enum outcome_status status;
		const char *text;
	} statuses[] = {{STATUS_CREATED, "\"status\":\"created\""},
		{STATUS_UPDATED, "\"status\":\"updated\""},
		{STATUS_REJECTED, "\"status\":\"rejected\""},
		{STATUS_EXPIRED, "\"status\":\"expired\""},
		{STATUS_UNDELIVERABLE, "\"status\":\"undeliverable\""}};
	static const struct {
		enum outcome_written written;
		const char *text;
	} writtens[] = {{WRITTEN_NO, "\"written\":\"no\""}, {WRITTEN_YES, "\"written\":\"yes\""},
		{WRITTEN_UNKNOWN, "\"written\":\"unknown\""}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct outcome o = sent(statuses[i].status, WRITTEN_NO);

		assert_true(holds(&o, statuses[i].text));
	}
	for (size_t i = 0; i < ARRAY_LEN(writtens); i++) {
		struct outcome o = sent(STATUS_UNDELIVERABLE, writtens[i].written);

		assert_true(holds(&o, writtens[i].text));
		o = revoked();
		o.written = writtens[i].written;
		assert_true(holds(&o, writtens[i].text));
	}
	assert_string_equal(outcome_status_name(STATUS_NONE), "");
	assert_string_equal(outcome_status_name(STATUS_EXPIRED), "expired");
}

static void a_type_is_named_as_its_topic(void **state)
{
	(void)state;
	assert_string_equal(outcome_type_name(OUTCOME_RESULT), "lead.result");
	assert_string_equal(outcome_type_name(OUTCOME_REAUTH_REQUIRED), "lead.reauth-required");
	assert_string_equal(outcome_type_name(OUTCOME_REVOKED), "lead.revoked");
	assert_string_equal(outcome_type_name(OUTCOME_INVALID), "lead.invalid");
}

static void uuids_are_written_and_read(void **state)
{
	static const char *const bad[] = {"", "0f8fad5b-d9cb-469f-a165-70867728950",
		"0f8fad5b-d9cb-469f-a165-70867728950ee", "0f8fad5bd9cb469fa16570867728950e",
		"0f8fad5b_d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-7086772895-e",
		"0f8fad5b-d9cb-469f-a165-70867728950g", "0f8fad5bd-9cb-469f-a165-70867728950e",
		"{f8fad5b-d9cb-469f-a165-70867728950}", " f8fad5b-d9cb-469f-a165-70867728950e",
		"0f8fad5b-d9cb-469f-a165-70867728950/",
		"0f8fad5b-d9cb-469f-a165-70867728950:", "0f8fad5b-d9cb-469f-a165-70867728950@",
		"0f8fad5b-d9cb-469f-a165-70867728950`", "0f8fad5b-d9cb-469f-a165-70867728950G"};
	unsigned char got[16], untouched[16];
	char text[UUID_TEXT];

	(void)state;
	uuid_text(id, text);
	assert_string_equal(text, "0f8fad5b-d9cb-469f-a165-70867728950e");
	assert_true(uuid_parse(text, got));
	assert_memory_equal(got, id, 16);
	assert_true(uuid_parse("0F8FAD5B-D9CB-469F-A165-70867728950E", got));
	assert_memory_equal(got, id, 16);
	memcpy(untouched, got, 16);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(uuid_parse(bad[i], got));
	assert_false(uuid_parse(NULL, got));
	assert_memory_equal(got, untouched, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_outcome_is_written_as_its_golden_file),
		cmocka_unit_test(the_same_row_gives_the_same_bytes_behind_what_is_there),
		cmocka_unit_test(the_repair_comes_from_the_reason),
		cmocka_unit_test(every_status_and_written_has_its_word),
		cmocka_unit_test(a_type_is_named_as_its_topic),
		cmocka_unit_test(uuids_are_written_and_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
