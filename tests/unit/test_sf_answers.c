#include "worker/sf_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/buf.h"
#include "worker/sf_answers_table.h"

#define KEY "OnBehalf_Event_Id__c"
#define LEAD_ID "00Q1i000013x2TEEAY"

static struct arena arena;

static struct sf_answer answer(int status, const char *body)
{
	return (struct sf_answer){.status = status,
		.body = body ? (struct slice){body, strlen(body)} : (struct slice){0}};
}

static struct sf_record single(int status, const char *body)
{
	struct sf_answer a = answer(status, body);
	struct sf_record record;
	struct sf_verdict call = sf_answers_single(&a, KEY, &arena, &record);

	assert_true(call.class == SF_CREATED || call.class == record.verdict.class);
	return record;
}

static void assert_verdict(struct sf_verdict got, enum sf_class class, enum reason reason,
	bool alert, const char *what)
{
	if (got.class != class || got.reason != reason || got.alert != alert)
		print_error("%s: class %d %s%s, not %d %s%s\n", what, got.class,
			reason_code(got.reason), got.alert ? " alert" : "", class,
			reason_code(reason), alert ? " alert" : "");
	assert_int_equal(got.class, class);
	assert_int_equal(got.reason, reason);
	assert_int_equal(got.alert, alert);
}

static void assert_slice(struct slice got, const char *wanted)
{
	if (!wanted) {
		assert_null(got.data);
		return;
	}
	assert_non_null(got.data);
	assert_int_equal(got.len, strlen(wanted));
	assert_memory_equal(got.data, wanted, got.len);
}

/* ---- the tables ---- */

#define RETRY SF_RETRY, REASON_SALESFORCE_BUSY
#define SMALLER SF_SMALLER, REASON_SALESFORCE_BUSY
#define REJECT(why) SF_REJECT, REASON_SALESFORCE_##why
#define SETUP SF_CONFIG, REASON_SALESFORCE_SETUP

/* What the documentation says, written down a second time. */
static const struct {
	const char *code, *message;
	enum sf_class class;
	enum reason reason;
} codes[] = {
	{"INVALID_SESSION_ID", "Session expired or invalid", SF_REFRESH, REASON_TOKEN_REJECTED},
	{"INVALID_AUTH_HEADER", "INVALID_JWT_FORMAT", SF_REFRESH, REASON_TOKEN_REJECTED},
	{"URL_NOT_RESET", "x", SF_REFRESH, REASON_HOST_MISMATCH},
	{"INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "x", SF_REAUTH, REASON_PASSWORD_EXPIRED},
	{"REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", SF_ORG_PAUSE, REASON_ORG_LIMIT},
	{"REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.", RETRY},
	{"REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
		RETRY},
	{"API_DISABLED_FOR_ORG", "x", SF_ORG_PAUSE, REASON_SALESFORCE_API_OFF},
	{"API_CURRENTLY_DISABLED", "x", SF_ORG_PAUSE, REASON_SALESFORCE_API_OFF},
	{"FUNCTIONALITY_NOT_ENABLED", "x", SF_ORG_PAUSE, REASON_SALESFORCE_API_OFF},
	{"FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", "x", SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE},
	{"TXN_SECURITY_NO_ACCESS", "x", SF_ORG_PAUSE, REASON_SALESFORCE_POLICY},
	{"TXN_SECURITY_METERING_ERROR", "x", SF_ORG_PAUSE, REASON_SALESFORCE_POLICY},
	{"LOGIN_DURING_RESTRICTED_DOMAIN", "x", SF_ORG_PAUSE, REASON_SALESFORCE_POLICY},
	{"LOGIN_DURING_RESTRICTED_TIME", "x", SF_ORG_PAUSE, REASON_SALESFORCE_POLICY},
	{"CLIENT_NOT_ACCESSIBLE_FOR_USER", "x", SF_ORG_PAUSE, REASON_SALESFORCE_POLICY},
	{"ORG_LOCKED", "x", SF_ORG_PAUSE, REASON_SF_ORG_INACTIVE},
	{"TRIAL_EXPIRED", "x", SF_ORG_PAUSE, REASON_SF_ORG_INACTIVE},
	{"ORG_IN_MAINTENANCE", "x", SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE},
	{"INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "x", SF_ORG_PAUSE,
		REASON_SALESFORCE_UNAVAILABLE},
	{"STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", SF_ORG_PAUSE, REASON_SALESFORCE_FULL},
	{"EXCEEDED_QUOTA", "x", SF_ORG_PAUSE, REASON_SALESFORCE_FULL},
	{"LICENSE_LIMIT_EXCEEDED", "x", SF_ORG_PAUSE, REASON_SALESFORCE_FULL},
	{"SERVER_UNAVAILABLE", "server too busy", SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE},
	{"UNKNOWN_EXCEPTION", "An unexpected error occurred. ErrorId: 1", SF_RETRY,
		REASON_SALESFORCE_UNAVAILABLE},
	{"INTERNAL_ERROR", "x", SF_RETRY, REASON_SALESFORCE_UNAVAILABLE},
	{"UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access", RETRY},
	{"QUERY_TIMEOUT", "x", SMALLER},
	{"REQUEST_RUNNING_TOO_LONG", "x", SMALLER},
	{"TOO_MANY_APEX_REQUESTS", "x", SMALLER},
	{"LIMIT_EXCEEDED", "x", SMALLER},
	{"ALL_OR_NONE_OPERATION_ROLLED_BACK", "x", RETRY},
	{"PROCESSING_HALTED", "x", RETRY},
	{"DUPLICATE_VALUE",
		"duplicate value found: OnBehalf_Event_Id__c duplicates value on record with id: "
		"00Q",
		RETRY},
	{"DUPLICATE_VALUE", "duplicate value found: acme__onbehalf_event_id__c duplicates value",
		RETRY},
	{"DUPLICATE_VALUE", "Duplicate external id specified: 00ff", RETRY},
	{"DUPLICATE_VALUE",
		"duplicate value found: Email__c duplicates value on record with id: 00Q",
		REJECT(DUPLICATE)},
	{"DUPLICATES_DETECTED", "Use one of these records?", REJECT(DUPLICATE)},
	{"DUPLICATE_EXTERNAL_ID", "x", SETUP},
	{"MULTIPLE_RECORDS_FOUND", "x", SETUP},
	{"NOT_FOUND", "Provided external ID field does not exist or is not accessible: X", SETUP},
	{"INVALID_FIELD", "No such column 'OnBehalf_Event_Id__c' on sobject of type Lead", SETUP},
	{"INVALID_FIELD", "No such column 'Foo' on sobject of type Lead", SETUP},
	{"INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: OnBehalf_Event_Id__c",
		SETUP},
	{"INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: Foo", SETUP},
	{"INVALID_TYPE", "x", SETUP},
	{"INVALID_TYPE_FOR_OPERATION", "x", SETUP},
	{"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "entity type cannot be inserted: Lead", SETUP},
	{"UNSUPPORTED_API_VERSION", "x", SF_CONFIG, REASON_REQUEST_REFUSED},
	{"METHOD_NOT_ALLOWED", "x", SF_CONFIG, REASON_REQUEST_REFUSED},
	{"UNSUPPORTED_MEDIA_TYPE", "x", SF_CONFIG, REASON_REQUEST_REFUSED},
	{"INVALID_BATCH_SIZE", "x", SF_CONFIG, REASON_REQUEST_REFUSED},
	{"EXCEEDED_ID_LIMIT", "x", SF_CONFIG, REASON_REQUEST_REFUSED},
	{"EXCEEDED_MAX_SIZE_REQUEST", "x", SF_CONFIG, REASON_REQUEST_REFUSED},
	{"REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", REJECT(REJECTED)},
	{"STRING_TOO_LONG", "x", REJECT(REJECTED)},
	{"INVALID_EMAIL_ADDRESS", "Email: invalid email address: x", REJECT(REJECTED)},
	{"INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "x", REJECT(REJECTED)},
	{"NUMBER_OUTSIDE_VALID_RANGE", "x", REJECT(REJECTED)},
	{"MALFORMED_ID", "x", REJECT(REJECTED)},
	{"INVALID_CROSS_REFERENCE_KEY", "x", REJECT(REJECTED)},
	{"INVALID_DATE_FORMAT", "x", REJECT(REJECTED)},
	{"TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET", "x", REJECT(REJECTED)},
	{"JSON_PARSER_ERROR", "x", REJECT(REJECTED)},
	{"POST_BODY_PARSE_ERROR", "x", REJECT(REJECTED)},
	{"FIELD_CUSTOM_VALIDATION_EXCEPTION", "UNABLE_TO_LOCK_ROW", REJECT(REJECTED)},
	{"FIELD_FILTER_VALIDATION_EXCEPTION", "x", REJECT(REJECTED)},
	{"FIELD_INTEGRITY_EXCEPTION", "x", REJECT(REJECTED)},
	{"INVALID_STATUS", "x", REJECT(REJECTED)},
	{"CUSTOM_APEX_ERROR", "x", REJECT(AUTOMATION)},
	{"CANNOT_EXECUTE_FLOW_TRIGGER", "INVALID_SESSION_ID in their callout", REJECT(AUTOMATION)},
	{"CANNOT_EXECUTE_FLOW_TRIGGER", "flow: UNABLE_TO_LOCK_ROW", RETRY},
	{"CANNOT_EXECUTE_FLOW_TRIGGER", "System.LimitException: x", SMALLER},
	{"CANNOT_EXECUTE_FLOW_TRIGGER", "Too many SOQL queries: 101", SMALLER},
	{"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "LeadTrigger: execution of BeforeInsert",
		REJECT(AUTOMATION)},
	{"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "LeadTrigger: UNABLE_TO_LOCK_ROW", RETRY},
	{"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "LeadTrigger: System.LimitException", SMALLER},
	{"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "LeadTrigger: Too many DML rows", SMALLER},
	{"APEX_ERROR", "x", REJECT(AUTOMATION)},
	{"APEX_ERROR", "UNABLE_TO_LOCK_ROW", RETRY},
	{"APEX_ERROR", "LimitException", SMALLER},
	{"APEX_ERROR", "Too many", SMALLER},
	{"FLOW_EXCEPTION", "x", REJECT(AUTOMATION)},
	{"FLOW_EXCEPTION", "UNABLE_TO_LOCK_ROW", RETRY},
	{"FLOW_EXCEPTION", "LimitException", SMALLER},
	{"FLOW_EXCEPTION", "Too many", SMALLER},
	{"CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", REJECT(RECORD_STATE)},
	{"ENTITY_IS_LOCKED", "x", REJECT(RECORD_STATE)},
	{"ENTITY_IS_DELETED", "entity is deleted", REJECT(RECORD_STATE)},
	{"ENTITY_IS_ARCHIVED", "x", REJECT(RECORD_STATE)},
	{"INSUFFICIENT_ACCESS_OR_READONLY", "x", REJECT(ACCESS)},
	{"INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", "x", REJECT(ACCESS)},
	{"INACTIVE_OWNER_OR_USER", "x", REJECT(ACCESS)},
	{"INVALID_OWNER", "x", REJECT(ACCESS)},
};

static void every_code_means_what_is_documented_whatever_the_status(void **state)
{
	static const int statuses[] = {400, 403, 404, 409, 405, 429};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		char body[1000];

		for (size_t s = 0; s < ARRAY_LEN(statuses); s++) {
			struct sf_record got;

			snprintf(body, sizeof(body),
				"[{\"message\":\"%s\",\"errorCode\":\"%s\",\"fields\":[]}]",
				codes[i].message, codes[i].code);
			got = single(statuses[s], body);
			assert_verdict(got.verdict, codes[i].class, codes[i].reason, false, body);
			assert_string_equal(got.code, codes[i].code);
		}
		/* one record of a collection says statusCode */
		{
			struct sf_record got[1];
			struct sf_answer a;

			snprintf(body, sizeof(body),
				"[{\"id\":\"" LEAD_ID
				"\",\"success\":false,\"errors\":[{\"statusCode\":\"%s\","
				"\"message\":\"%s\"}]}]",
				codes[i].code, codes[i].message);
			a = answer(200, body);
			assert_int_equal(
				sf_answers_collection(&a, KEY, 1, &arena, got).class, SF_CREATED);
			assert_verdict(
				got[0].verdict, codes[i].class, codes[i].reason, false, body);
			assert_string_equal(got[0].code, codes[i].code);
			assert_string_equal(got[0].lead_id, "");
		}
	}
}

static void every_row_of_the_code_table_is_met_by_an_answer_above(void **state)
{
	struct sf_tables tables = sf_tables();

	(void)state;
	for (size_t row = 0; row < tables.code_count; row++) {
		const struct sf_code_row *r = &tables.codes[row];
		size_t len = strlen(r->code), met = 0;

		len -= r->code[len - 1] == '*';
		for (size_t i = 0; i < ARRAY_LEN(codes); i++)
			met += !strncmp(codes[i].code, r->code, len) &&
			       (!r->text || strcasestr(codes[i].message, r->text)) &&
			       (!r->on_key || strcasestr(codes[i].message, KEY)) &&
			       codes[i].class == r->class && codes[i].reason == r->reason;
		if (!met)
			print_error("%s %s\n", r->code, r->text ? r->text : "");
		assert_true(met > 0);
		/* no row stands in the shade of one above it */
		for (size_t above = 0; above < row; above++)
			assert_true(strcmp(tables.codes[above].code, r->code) != 0 ||
				    tables.codes[above].text || tables.codes[above].on_key);
	}
}

static void our_key_is_known_by_the_list_of_fields_too(void **state)
{
	static const char *const fields[] = {
		"\"" KEY "\"", "\"Email\",\"onbehalf_event_id__C\"", "\"acme__" KEY "\""};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		char body[300];

		snprintf(body, sizeof(body),
			"[{\"errorCode\":\"DUPLICATE_VALUE\",\"message\":\"doppelter "
			"Wert\",\"fields\":[%s]}]",
			fields[i]);
		assert_verdict(
			single(400, body).verdict, SF_RETRY, REASON_SALESFORCE_BUSY, false, body);
	}
	/* no key, no exception */
	{
		struct sf_answer a = answer(
			400, "[{\"errorCode\":\"DUPLICATE_VALUE\",\"message\":\"" KEY "\"}]");
		char code[SF_CODE_MAX];

		assert_int_equal(sf_answers_call(&a, code).class, SF_REJECT);
		assert_string_equal(code, "DUPLICATE_VALUE");
		assert_int_equal(sf_answers_call(&a, NULL).class, SF_REJECT);
	}
}

static const char json[] = "[{\"errorCode\":\"BRAND_NEW\",\"message\":\"x\"}]";
static const char html[] = " \n<html><head><title>Down For Maintenance</title>";

static const struct {
	const char *body;
	int status;
	enum sf_class class;
	enum reason reason;
	bool alert;
} bare[] = {
	{"[\"/services/data/v66.0/sobjects/Lead/1\"]", 300, SF_CONFIG, REASON_SALESFORCE_SETUP,
		false},
	{html, 301, SF_REFRESH, REASON_HOST_MISMATCH, false},
	{"", 302, SF_REFRESH, REASON_HOST_MISMATCH, false},
	{json, 399, SF_REFRESH, REASON_HOST_MISMATCH, false},
	{"", 401, SF_REFRESH, REASON_TOKEN_REJECTED, false},
	{html, 401, SF_REFRESH, REASON_TOKEN_REJECTED, false},
	{json, 401, SF_REFRESH, REASON_TOKEN_REJECTED, false},
	{json, 405, SF_CONFIG, REASON_REQUEST_REFUSED, false},
	{html, 408, SF_RETRY, REASON_SALESFORCE_UNAVAILABLE, false},
	{json, 410, SF_CONFIG, REASON_REQUEST_REFUSED, false},
	{"", 413, SF_CONFIG, REASON_REQUEST_REFUSED, false},
	{html, 414, SF_CONFIG, REASON_REQUEST_REFUSED, false},
	{json, 415, SF_CONFIG, REASON_REQUEST_REFUSED, false},
	{html, 420, SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE, false},
	{"", 429, SF_RETRY, REASON_SALESFORCE_BUSY, false},
	{"", 431, SF_CONFIG, REASON_REQUEST_REFUSED, false},
	/* a code that is not listed: by status, and the operator is told */
	{json, 400, SF_REJECT, REASON_SALESFORCE_REJECTED, true},
	{json, 403, SF_ORG_PAUSE, REASON_SALESFORCE_POLICY, true},
	{json, 404, SF_CONFIG, REASON_SALESFORCE_SETUP, true},
	{json, 1000, SF_CONFIG, REASON_SALESFORCE_SETUP, true}, /* no status of HTTP */
	{json, 409, SF_CONFIG, REASON_SALESFORCE_SETUP, true},
	{json, 412, SF_CONFIG, REASON_SALESFORCE_SETUP, true},
	{json, 428, SF_CONFIG, REASON_SALESFORCE_SETUP, true},
	{json, 499, SF_CONFIG, REASON_SALESFORCE_SETUP, true},
	{json, 100, SF_CONFIG, REASON_SALESFORCE_SETUP, true},
	/* a page of HTML is the way's, not the org's */
	{html, 400, SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE, true},
	{html, 403, SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE, true},
	{html, 404, SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE, true},
	/* what cannot be read says nothing */
	{"", 400, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true},
	{"[{\"errorCode\":\"STRING_TOO", 400, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true},
	{"[]", 400, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true},
	{"[{\"errorCode\":7}]", 400, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true},
	{"[7,null,[]]", 400, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true},
	{"not found", 404, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true},
	/* 5xx beats any body */
	{"[{\"errorCode\":\"STRING_TOO_LONG\"}]", 500, SF_RETRY, REASON_SALESFORCE_UNAVAILABLE,
		false},
	{json, 500, SF_RETRY, REASON_SALESFORCE_UNAVAILABLE, false},
	{html, 500, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, false},
	{"", 500, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, false},
	{json, 501, SF_RETRY, REASON_SALESFORCE_UNAVAILABLE, false},
	{html, 502, SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE, false},
	{"[{\"errorCode\":\"SERVER_UNAVAILABLE\"}]", 503, SF_ORG_PAUSE,
		REASON_SALESFORCE_UNAVAILABLE, false},
	{html, 503, SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE, false},
	{"", 504, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, false},
	{json, 504, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, false},
	{json, 599, SF_RETRY, REASON_SALESFORCE_UNAVAILABLE, false},
};

static void every_status_without_a_code_has_a_chosen_meaning(void **state)
{
	struct sf_tables tables = sf_tables();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bare); i++) {
		char what[100];
		struct sf_answer a = answer(bare[i].status, bare[i].body);

		snprintf(what, sizeof(what), "%d %.40s", bare[i].status, bare[i].body);
		assert_verdict(single(bare[i].status, bare[i].body).verdict, bare[i].class,
			bare[i].reason, bare[i].alert, what);
		assert_verdict(sf_answers_call(&a, NULL), bare[i].class, bare[i].reason,
			bare[i].alert, what);
	}
	for (size_t r = 0; r < tables.status_count; r++) {
		size_t met = 0;

		for (size_t i = 0; i < ARRAY_LEN(bare); i++)
			met += sf_status(bare[i].status) == &tables.statuses[r];
		assert_true(met > 0);
	}
}

static void a_refused_token_is_renewed_but_for_a_few_texts(void **state)
{
	static const struct {
		const char *code, *message;
		enum sf_class class;
		enum reason reason;
	} rows[] = {
		{"INVALID_SESSION_ID", "Session expired or invalid", SF_REFRESH,
			REASON_TOKEN_REJECTED},
		{"INVALID_SESSION_ID", "This session is not valid for use with the REST API",
			SF_REAUTH, REASON_SCOPE_MISSING},
		{"INVALID_SESSION_ID", "Connected app is not attached to Agent", SF_CONFIG,
			REASON_SALESFORCE_POLICY},
		{"INVALID_AUTH_HEADER", "INVALID_JWT_FORMAT", SF_REFRESH, REASON_TOKEN_REJECTED},
		{"INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE", SF_REFRESH, REASON_TOKEN_REJECTED},
		{"INVALID_AUTH_HEADER", "INVALID_SCOPES", SF_REAUTH, REASON_SCOPE_MISSING},
		/* 401 beats the codes */
		{"STRING_TOO_LONG", "x", SF_REFRESH, REASON_TOKEN_REJECTED},
		{"REQUEST_LIMIT_EXCEEDED", "x", SF_REFRESH, REASON_TOKEN_REJECTED},
	};
	struct sf_tables tables = sf_tables();

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char body[300];

		snprintf(body, sizeof(body), "[{\"errorCode\":\"%s\",\"message\":\"%s\"}]",
			rows[i].code, rows[i].message);
		assert_verdict(
			single(401, body).verdict, rows[i].class, rows[i].reason, false, body);
	}
	for (size_t r = 0; r < tables.refusal_count; r++) {
		size_t met = 0;

		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			met += !strcmp(rows[i].message, tables.refusals[r].text);
		assert_true(met > 0);
	}
	/* the texts count in a 401 only */
	assert_verdict(
		single(400, "[{\"errorCode\":\"STRING_TOO_LONG\",\"message\":\"INVALID_SCOPES\"}]")
			.verdict,
		SF_REJECT, REASON_SALESFORCE_REJECTED, false, "400");
}

static void the_header_1703_is_a_refused_token(void **state)
{
	static const int statuses[] = {400, 401, 403};
	struct sf_answer a =
		answer(200, "{\"id\":\"" LEAD_ID "\",\"success\":true,\"created\":true}");
	struct sf_record got;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct sf_answer refused = answer(statuses[i], "<?xml version=\"1.0\"?><x/>");

		refused.oauth_1703 = true;
		assert_verdict(sf_answers_call(&refused, NULL), SF_REFRESH, REASON_TOKEN_REJECTED,
			false, "1703");
	}
	a.oauth_1703 = true;
	assert_int_equal(sf_answers_single(&a, KEY, &arena, &got).class, SF_CREATED);
	a = answer(503, "");
	a.oauth_1703 = true;
	assert_int_equal(sf_answers_call(&a, NULL).class, SF_ORG_PAUSE);
}

static void no_answer_is_unknown_unless_nothing_was_sent(void **state)
{
	struct sf_answer a = {0};
	struct sf_record got[2];

	(void)state;
	assert_verdict(
		sf_answers_call(&a, NULL), SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, false, "lost");
	assert_int_equal(sf_answers_collection(&a, KEY, 2, &arena, got).class, SF_UNKNOWN);
	assert_int_equal(got[1].verdict.class, SF_UNKNOWN);
	a.unsent = true;
	assert_verdict(sf_answers_call(&a, NULL), SF_RETRY, REASON_SALESFORCE_UNAVAILABLE, false,
		"unsent");
	assert_int_equal(sf_answers_collection(&a, KEY, 2, &arena, got).class, SF_RETRY);
	assert_int_equal(got[0].verdict.class, SF_RETRY);
}

/* ---- several errors ---- */

static void of_several_errors_the_most_lasting_decides(void **state)
{
	static const struct {
		const char *codes[3];
		enum sf_class class;
		const char *code;
	} rows[] = {
		{{"UNABLE_TO_LOCK_ROW", "STRING_TOO_LONG", "ORG_LOCKED"}, SF_REJECT,
			"STRING_TOO_LONG"},
		{{"UNABLE_TO_LOCK_ROW", "ORG_LOCKED", "LIMIT_EXCEEDED"}, SF_ORG_PAUSE,
			"ORG_LOCKED"},
		{{"NOT_FOUND", "INVALID_SESSION_ID", "ORG_LOCKED"}, SF_CONFIG, "NOT_FOUND"},
		{{"UNABLE_TO_LOCK_ROW", "LIMIT_EXCEEDED", "UNABLE_TO_LOCK_ROW"}, SF_SMALLER,
			"LIMIT_EXCEEDED"},
		{{"INVALID_SESSION_ID", "LIMIT_EXCEEDED", "UNABLE_TO_LOCK_ROW"}, SF_REFRESH,
			"INVALID_SESSION_ID"},
		{{"ORG_LOCKED", "INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "INVALID_SESSION_ID"},
			SF_REAUTH, "INVALID_OPERATION_WITH_EXPIRED_PASSWORD"},
		{{"NOT_FOUND", "STRING_TOO_LONG", "INVALID_EMAIL_ADDRESS"}, SF_REJECT,
			"STRING_TOO_LONG"},
		{{"UNABLE_TO_LOCK_ROW", "BRAND_NEW", "ORG_LOCKED"}, SF_REJECT, "BRAND_NEW"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t turn = 0; turn < 3; turn++) { /* in each order */
			char body[500];
			struct sf_record got;
			const char *const *c = rows[i].codes;

			snprintf(body, sizeof(body),
				"[{\"errorCode\":\"%s\",\"message\":\"\"},{\"errorCode\":\"%s\"},{"
				"\"message\":\"\",\"errorCode\":\"%s\"}]",
				c[turn], c[(turn + 1) % 3], c[(turn + 2) % 3]);
			got = single(400, body);
			assert_int_equal(got.verdict.class, rows[i].class);
			if (strcmp(rows[i].code, "STRING_TOO_LONG") != 0 || turn == 0)
				assert_string_equal(got.code, rows[i].code);
		}
}

static void errors_come_in_a_bare_object_too(void **state)
{
	struct sf_record got = single(400, "{\"fields\":[\"Email\"],\"errorCode\":\"INVALID_EMAIL_"
					   "ADDRESS\",\"message\":\"x\"}");

	(void)state;
	assert_verdict(got.verdict, SF_REJECT, REASON_SALESFORCE_REJECTED, false, "bare");
	assert_string_equal(got.code, "INVALID_EMAIL_ADDRESS");
	assert_slice(got.fields, "[\"Email\"]");
}

/* ---- what is passed on ---- */

static void only_names_of_fields_are_passed_on(void **state)
{
	static const struct {
		const char *fields, *wanted;
	} rows[] = {
		{"[\"Email\",\"Phone\"]", "[\"Email\",\"Phone\"]"},
		{"[\"acme__X__c\",\"Owner.Name\"]", "[\"acme__X__c\",\"Owner.Name\"]"},
		{"[\"ada@example.com\",\"Email\",7,null,\"\",\"a b\",\"a\\\"b\"]", "[\"Email\"]"},
		{"[]", NULL},
		{"null", NULL},
		{"\"Email\"", NULL},
		{"{\"Email\":1}", NULL},
		{"[\"\xc3\xa9\"]", NULL},
	};
	char long_name[82];
	freed_by(buf_release) struct buf many = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char body[400];

		snprintf(body, sizeof(body), "[{\"errorCode\":\"STRING_TOO_LONG\",\"fields\":%s}]",
			rows[i].fields);
		assert_slice(single(400, body).fields, rows[i].wanted);
	}
	memset(long_name, 'F', sizeof(long_name));
	for (size_t len = 80; len <= 81; len++) {
		char body[400];

		long_name[len] = '\0';
		snprintf(body, sizeof(body),
			"[{\"errorCode\":\"STRING_TOO_LONG\",\"fields\":[\"%s\"]}]", long_name);
		assert_true((single(400, body).fields.data != NULL) == (len == 80));
		long_name[len] = 'F';
	}
	buf_add_text(&many, "[{\"errorCode\":\"STRING_TOO_LONG\",\"fields\":[\"F0\"");
	for (int i = 1; i <= SF_FIELDS_MAX; i++)
		buf_addf(&many, ",\"F%d\"", i);
	buf_add_text(&many, "]}]");
	{
		struct slice got = single(400, many.data).fields;

		assert_non_null(memmem(got.data, got.len, "\"F15\"]", 6));
		assert_null(memmem(got.data, got.len, "F16", 3));
	}
}

static void a_code_is_passed_on_whole_or_not_at_all(void **state)
{
	char code[82];

	(void)state;
	memset(code, 'C', sizeof(code));
	for (size_t len = 79; len <= 80; len++) {
		char body[400];

		code[len] = '\0';
		snprintf(body, sizeof(body), "[{\"errorCode\":\"%s\"}]", code);
		assert_string_equal(single(400, body).code, len == 79 ? code : "");
		code[len] = 'C';
	}
	assert_string_equal(single(400, "[{\"errorCode\":\"no code\"}]").code, "");
	assert_string_equal(single(400, "[{\"errorCode\":\"Lower\"}]").code, "");
	assert_string_equal(single(400, "[{\"errorCode\":\"A_1\"}]").code, "A_1");
}

/* ---- single upserts ---- */

static void success_is_said_and_never_inferred(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum sf_class class;
		bool alert;
		const char *lead_id;
	} rows[] = {
		{201, "{\"id\":\"" LEAD_ID "\",\"success\":true,\"errors\":[],\"created\":true}",
			SF_CREATED, false, LEAD_ID},
		{201, "{\"id\":\"" LEAD_ID "\",\"success\":true,\"errors\":[]}", SF_CREATED, false,
			LEAD_ID},
		{200, "{\"id\":\"" LEAD_ID "\",\"success\":true,\"errors\":[],\"created\":false}",
			SF_UPDATED, false, LEAD_ID},
		{200, "{\"id\":\"" LEAD_ID "\",\"success\":true,\"errors\":[],\"created\":true}",
			SF_CREATED, false, LEAD_ID},
		{200, "{\"id\":\"" LEAD_ID "\",\"success\":true}", SF_UPDATED, false, LEAD_ID},
		{200, "{\"id\":\"00Q1i000013x2TE\",\"success\":true,\"created\":false}", SF_UPDATED,
			false, LEAD_ID},
		{204, "", SF_UPDATED, false, ""},
		{204, NULL, SF_UPDATED, false, ""},
		{201, "{\"id\":\"rubbish\",\"success\":true,\"created\":true}", SF_CREATED, false,
			""},
		{201, "{\"id\":\"00Q1i000013x2TEAAA\",\"success\":true,\"created\":true}",
			SF_CREATED, false, ""},
		{201, "{\"id\":\"" LEAD_ID "\",\"created\":true}", SF_UNKNOWN, true, ""},
		{201, "{\"id\":\"" LEAD_ID "\",\"success\":\"true\"}", SF_UNKNOWN, true, ""},
		{200, "{\"success\":0,\"errors\":[{\"statusCode\":\"STRING_TOO_LONG\"}]}",
			SF_UNKNOWN, true, ""},
		{201, "{\"id\":\"" LEAD_ID "\",\"success\":1}", SF_UNKNOWN, true, ""},
		{201, "{\"id\":\"" LEAD_ID "\",\"success\":null}", SF_UNKNOWN, true, ""},
		{201, "{\"id\":\"" LEAD_ID "\",\"success\":false,\"errors\":[]}", SF_UNKNOWN, true,
			""},
		{201, "{\"id\":\"" LEAD_ID "\",\"success\":true,\"created\":tr", SF_UNKNOWN, false,
			""},
		{201, "", SF_UNKNOWN, false, ""},
		{200, "<html>login</html>", SF_UNKNOWN, false, ""},
		{200, "[]", SF_UNKNOWN, true, ""},
		{200, "true", SF_UNKNOWN, true, ""},
		{200, "{\"success\":true,\"success\":true}", SF_UNKNOWN, false, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sf_record got = single(rows[i].status, rows[i].body);

		assert_verdict(got.verdict, rows[i].class,
			rows[i].class == SF_UNKNOWN ? REASON_UNKNOWN_OUTCOME : REASON_NONE,
			rows[i].alert, rows[i].body);
		assert_string_equal(got.lead_id, rows[i].lead_id);
		assert_string_equal(got.code, "");
		assert_slice(got.fields, NULL);
	}
	{
		struct sf_record got =
			single(200, "{\"id\":null,\"success\":false,\"errors\":[{\"statusCode\":"
				    "\"STRING_TOO_LONG\",\"fields\":[\"City\"]}]}");

		assert_verdict(
			got.verdict, SF_REJECT, REASON_SALESFORCE_REJECTED, false, "said no");
		assert_slice(got.fields, "[\"City\"]");
	}
}

/* ---- collections ---- */

static void each_record_of_a_collection_has_its_own_verdict_in_order(void **state)
{
	static const char body[] =
		"[{\"id\":\"" LEAD_ID "\",\"success\":true,\"errors\":[],\"created\":true},"
		"{\"id\":\"" LEAD_ID "\",\"success\":true,\"errors\":[],\"created\":false},"
		"{\"success\":false,\"errors\":[{\"statusCode\":\"INVALID_EMAIL_ADDRESS\","
		"\"message\":\"x\",\"fields\":[\"Email\"]}]},"
		"{\"id\":\"" LEAD_ID "\",\"success\":false,\"errors\":[{\"statusCode\":\"ALL_OR_"
		"NONE_OPERATION_ROLLED_BACK\"}]},"
		"{\"success\":false,\"errors\":[{\"statusCode\":\"DUPLICATES_DETECTED\","
		"\"duplicateResut\":{\"allowSave\":false,"
		"\"matchResults\":[{\"matchRecords\":[{\"record\":{\"attributes\":{\"type\":"
		"\"Lead\"},\"Id\":\"" LEAD_ID "\"}}]}]}}]},"
		"{\"success\":false,\"errors\":[{\"statusCode\":\"BRAND_NEW\"}]},"
		"{\"success\":false,\"errors\":[]},"
		"{\"id\":\"" LEAD_ID "\",\"errors\":[]},"
		"null,"
		"{\"success\":false,\"errors\":[{\"statusCode\":\"UNABLE_TO_LOCK_ROW\"},{"
		"\"statusCode\":\"STRING_TOO_LONG\"}]}]";
	static const struct {
		enum sf_class class;
		enum reason reason;
		bool alert;
		const char *code, *lead_id, *fields;
	} rows[] = {
		{SF_CREATED, REASON_NONE, false, "", LEAD_ID, NULL},
		{SF_UPDATED, REASON_NONE, false, "", LEAD_ID, NULL},
		{SF_REJECT, REASON_SALESFORCE_REJECTED, false, "INVALID_EMAIL_ADDRESS", "",
			"[\"Email\"]"},
		{SF_RETRY, REASON_SALESFORCE_BUSY, false, "ALL_OR_NONE_OPERATION_ROLLED_BACK", "",
			NULL},
		{SF_REJECT, REASON_SALESFORCE_DUPLICATE, false, "DUPLICATES_DETECTED", "", NULL},
		{SF_REJECT, REASON_SALESFORCE_REJECTED, true, "BRAND_NEW", "", NULL},
		{SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true, "", "", NULL},
		{SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true, "", "", NULL},
		{SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true, "", "", NULL},
		{SF_REJECT, REASON_SALESFORCE_REJECTED, false, "STRING_TOO_LONG", "", NULL},
	};
	struct sf_answer a = answer(200, body);
	struct sf_record got[ARRAY_LEN(rows)];

	(void)state;
	assert_verdict(sf_answers_collection(&a, KEY, ARRAY_LEN(rows), &arena, got), SF_CREATED,
		REASON_NONE, false, "call");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_verdict(
			got[i].verdict, rows[i].class, rows[i].reason, rows[i].alert, rows[i].code);
		assert_string_equal(got[i].code, rows[i].code);
		assert_string_equal(got[i].lead_id, rows[i].lead_id);
		assert_slice(got[i].fields, rows[i].fields);
	}
}

static void a_collection_of_another_length_says_nothing(void **state)
{
	static const char *const bodies[] = {"[]", "[{\"success\":true,\"created\":true}]",
		"[{\"success\":true},{\"success\":true},{\"success\":true}]", "{\"success\":true}",
		"null", "", "[{\"success\":true},{\"succ", "<html>", "[null,null] x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		struct sf_answer a = answer(200, bodies[i]);
		struct sf_record got[2];

		assert_int_equal(sf_answers_collection(&a, KEY, 2, &arena, got).class, SF_UNKNOWN);
		assert_int_equal(got[0].verdict.class, SF_UNKNOWN);
		assert_int_equal(got[1].verdict.class, SF_UNKNOWN);
		assert_string_equal(got[1].lead_id, "");
	}
}

static void what_one_lead_did_to_the_whole_call_is_told_apart_by_fewer(void **state)
{
	static const struct {
		int status;
		const char *body;
		enum sf_class many, one;
	} rows[] = {
		{400, "[{\"errorCode\":\"JSON_PARSER_ERROR\",\"fields\":[\"City\"]}]", SF_SMALLER,
			SF_REJECT},
		{400, "[{\"errorCode\":\"INVALID_FIELD\",\"message\":\"No such column 'Foo'\"}]",
			SF_SMALLER, SF_CONFIG},
		{400,
			"[{\"errorCode\":\"INVALID_FIELD\",\"message\":\"No such column '" KEY
			"'\"}]",
			SF_CONFIG, SF_CONFIG},
		{400, "[{\"errorCode\":\"BRAND_NEW\"}]", SF_SMALLER, SF_REJECT},
		{404, "[{\"errorCode\":\"NOT_FOUND\"}]", SF_CONFIG, SF_CONFIG},
		{403, "[{\"errorCode\":\"REQUEST_LIMIT_EXCEEDED\",\"message\":\"TotalRequests\"}]",
			SF_ORG_PAUSE, SF_ORG_PAUSE},
		{401, "", SF_REFRESH, SF_REFRESH},
		{503, "", SF_ORG_PAUSE, SF_ORG_PAUSE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sf_answer a = answer(rows[i].status, rows[i].body);
		struct sf_record got[200];

		assert_int_equal(
			sf_answers_collection(&a, KEY, 200, &arena, got).class, rows[i].many);
		for (size_t r = 0; r < ARRAY_LEN(got); r++)
			assert_int_equal(got[r].verdict.class, rows[i].many);
		assert_int_equal(sf_answers_collection(&a, KEY, 1, &arena, got).class, rows[i].one);
		assert_int_equal(got[0].verdict.class, rows[i].one);
	}
	{
		struct sf_answer a = answer(400, rows[0].body);
		struct sf_record got[2];

		(void)sf_answers_collection(&a, KEY, 2, &arena, got);
		assert_string_equal(got[1].code, "JSON_PARSER_ERROR");
		assert_slice(got[1].fields, "[\"City\"]");
	}
}

static void what_nests_too_deep_cannot_be_read(void **state)
{
	for (int levels = 32; levels <= 33; levels++) {
		freed_by(buf_release) struct buf body = {0};

		(void)state;
		buf_add_text(&body, "{\"success\":true,\"created\":true,\"x\":");
		for (int i = 1; i < levels; i++)
			buf_add_char(&body, '[');
		for (int i = 1; i < levels; i++)
			buf_add_char(&body, ']');
		buf_add_char(&body, '}');
		assert_int_equal(single(201, body.data).verdict.class,
			levels == 32 ? SF_CREATED : SF_UNKNOWN);
	}
}

static int tear_down(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_means_what_is_documented_whatever_the_status),
		cmocka_unit_test(every_row_of_the_code_table_is_met_by_an_answer_above),
		cmocka_unit_test(our_key_is_known_by_the_list_of_fields_too),
		cmocka_unit_test(every_status_without_a_code_has_a_chosen_meaning),
		cmocka_unit_test(a_refused_token_is_renewed_but_for_a_few_texts),
		cmocka_unit_test(the_header_1703_is_a_refused_token),
		cmocka_unit_test(no_answer_is_unknown_unless_nothing_was_sent),
		cmocka_unit_test(of_several_errors_the_most_lasting_decides),
		cmocka_unit_test(errors_come_in_a_bare_object_too),
		cmocka_unit_test(only_names_of_fields_are_passed_on),
		cmocka_unit_test(a_code_is_passed_on_whole_or_not_at_all),
		cmocka_unit_test(success_is_said_and_never_inferred),
		cmocka_unit_test(each_record_of_a_collection_has_its_own_verdict_in_order),
		cmocka_unit_test(a_collection_of_another_length_says_nothing),
		cmocka_unit_test(what_one_lead_did_to_the_whole_call_is_told_apart_by_fewer),
		cmocka_unit_test(what_nests_too_deep_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
