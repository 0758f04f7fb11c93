#include "worker/sf_answers_table.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

/*
 * The order of decisions: 3xx and 5xx, 401, codes, status, the unknown row.
 * HTTP statuses:
 * https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
 */
static const struct sf_status_row statuses[] = {
	/* the key is not unique in that org */
	{300, 300, SF_CONFIG, REASON_SALESFORCE_SETUP, true, false},
	{301, 399, SF_REFRESH, REASON_HOST_MISMATCH, true, false}, /* wrong host for this token */
	{401, 401, SF_REFRESH, REASON_TOKEN_REJECTED, true, false},
	{405, 405, SF_CONFIG, REASON_REQUEST_REFUSED, false, false},
	/* https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9: not all of the request came */
	{408, 408, SF_RETRY, REASON_SALESFORCE_UNAVAILABLE, false, false},
	{410, 410, SF_CONFIG, REASON_REQUEST_REFUSED, false, false}, /* the version is retired */
	{413, 415, SF_CONFIG, REASON_REQUEST_REFUSED, false, false},
	/* no org behind this host */
	{420, 420, SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE, false, false},
	/* not in the guide; https://github.com/jsforce/jsforce/blob/main/src/request.ts */
	{429, 429, SF_RETRY, REASON_SALESFORCE_BUSY, false, false},
	{431, 431, SF_CONFIG, REASON_REQUEST_REFUSED, false, false},
	{502, 503, SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE, true, false},
	/* a gateway has given up; what is behind it may go on */
	{504, 504, SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true, false},
	{500, 599, SF_RETRY, REASON_SALESFORCE_UNAVAILABLE, true, false},
};

/*
 * A 401 is cured by a new token, but for these.
 * https://github.com/jsforce/jsforce/blob/main/src/http-api.ts
 */
static const struct sf_text_row refusals[] = {
	{"This session is not valid for use with the REST API", SF_REAUTH, REASON_SCOPE_MISSING},
	{"Connected app is not attached to Agent", SF_CONFIG, REASON_SALESFORCE_POLICY},
	/* https://help.salesforce.com/s/articleView?id=xcloud.jwt_access_tokens.htm */
	{"INVALID_SCOPES", SF_REAUTH, REASON_SCOPE_MISSING},
};

#define ROW(code, class, reason)                                                                   \
	{                                                                                          \
		code, NULL, false, class, reason, false                                            \
	}
#define TEXT(code, text, class, reason)                                                            \
	{                                                                                          \
		code, text, false, class, reason, false                                            \
	}
#define REJECT(code, reason)                                                                       \
	{                                                                                          \
		code, NULL, false, SF_REJECT, reason, true                                         \
	}
/* What the customer's own code threw; an INVALID_SESSION_ID inside is theirs, too. */
#define AUTOMATION(code)                                                                           \
	TEXT(code, "UNABLE_TO_LOCK_ROW", SF_RETRY, REASON_SALESFORCE_BUSY),                        \
		TEXT(code, "LimitException", SF_SMALLER, REASON_SALESFORCE_BUSY),                  \
		TEXT(code, "Too many", SF_SMALLER, REASON_SALESFORCE_BUSY),                        \
		REJECT(code, REASON_SALESFORCE_AUTOMATION)

/*
 * Where the rows come from, by the word in brackets:
 * [errors] https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/errorcodes.htm
 * [codes] ExceptionCode and StatusCode in
 * https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm
 * [limits]
 * https://developer.salesforce.com/docs/atlas.en-us.salesforce_app_limits_cheatsheet.meta/salesforce_app_limits_cheatsheet/salesforce_app_limits_platform_api.htm
 * [collections]
 * https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_upsert.htm
 * [upsert]
 * https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/dome_upsert.htm
 * [duplicates]
 * https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_duplicaterules.htm
 */
static const struct sf_code_row codes[] = {
	/* The session [errors] */
	ROW("INVALID_SESSION_ID", SF_REFRESH, REASON_TOKEN_REJECTED),
	ROW("INVALID_AUTH_HEADER", SF_REFRESH, REASON_TOKEN_REJECTED),
	ROW("URL_NOT_RESET", SF_REFRESH, REASON_HOST_MISMATCH),
	ROW("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", SF_REAUTH, REASON_PASSWORD_EXPIRED),

	/* Limits [limits] */
	TEXT("REQUEST_LIMIT_EXCEEDED", "Concurrent", SF_RETRY, REASON_SALESFORCE_BUSY),
	ROW("REQUEST_LIMIT_EXCEEDED", SF_ORG_PAUSE, REASON_ORG_LIMIT),

	/* The whole org [codes] */
	ROW("API_DISABLED_FOR_ORG", SF_ORG_PAUSE, REASON_SALESFORCE_API_OFF),
	ROW("API_CURRENTLY_DISABLED", SF_ORG_PAUSE, REASON_SALESFORCE_API_OFF),
	ROW("FUNCTIONALITY_NOT_ENABLED", SF_ORG_PAUSE, REASON_SALESFORCE_API_OFF),
	ROW("FUNCTIONALITY_TEMPORARILY_UNAVAILABLE", SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE),
	ROW("TXN_SECURITY_*", SF_ORG_PAUSE, REASON_SALESFORCE_POLICY),
	ROW("LOGIN_DURING_RESTRICTED_DOMAIN", SF_ORG_PAUSE, REASON_SALESFORCE_POLICY),
	ROW("LOGIN_DURING_RESTRICTED_TIME", SF_ORG_PAUSE, REASON_SALESFORCE_POLICY),
	ROW("CLIENT_NOT_ACCESSIBLE_FOR_USER", SF_ORG_PAUSE, REASON_SALESFORCE_POLICY),
	ROW("ORG_LOCKED", SF_ORG_PAUSE, REASON_SF_ORG_INACTIVE),
	ROW("TRIAL_EXPIRED", SF_ORG_PAUSE, REASON_SF_ORG_INACTIVE),
	ROW("ORG_IN_MAINTENANCE", SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE),
	ROW("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", SF_ORG_PAUSE,
		REASON_SALESFORCE_UNAVAILABLE),
	ROW("STORAGE_LIMIT_EXCEEDED", SF_ORG_PAUSE, REASON_SALESFORCE_FULL),
	ROW("EXCEEDED_QUOTA", SF_ORG_PAUSE, REASON_SALESFORCE_FULL),
	ROW("LICENSE_LIMIT_EXCEEDED", SF_ORG_PAUSE, REASON_SALESFORCE_FULL),
	ROW("SERVER_UNAVAILABLE", SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE),

	/* Later [codes] */
	ROW("UNKNOWN_EXCEPTION", SF_RETRY, REASON_SALESFORCE_UNAVAILABLE),
	ROW("INTERNAL_ERROR", SF_RETRY, REASON_SALESFORCE_UNAVAILABLE),
	ROW("UNABLE_TO_LOCK_ROW", SF_RETRY, REASON_SALESFORCE_BUSY),
	ROW("QUERY_TIMEOUT", SF_SMALLER, REASON_SALESFORCE_BUSY),
	ROW("REQUEST_RUNNING_TOO_LONG", SF_SMALLER, REASON_SALESFORCE_BUSY),
	ROW("TOO_MANY_APEX_REQUESTS", SF_SMALLER, REASON_SALESFORCE_BUSY),
	ROW("LIMIT_EXCEEDED", SF_SMALLER, REASON_SALESFORCE_BUSY),
	/* Innocent records [collections] */
	ROW("ALL_OR_NONE_OPERATION_ROLLED_BACK", SF_RETRY, REASON_SALESFORCE_BUSY),
	ROW("PROCESSING_HALTED", SF_RETRY, REASON_SALESFORCE_BUSY),

	/* Our key: two first upserts met, or one call had it twice [upsert] */
	{"DUPLICATE_VALUE", NULL, true, SF_RETRY, REASON_SALESFORCE_BUSY, false},
	TEXT("DUPLICATE_VALUE", "Duplicate external id specified", SF_RETRY,
		REASON_SALESFORCE_BUSY),
	REJECT("DUPLICATE_VALUE", REASON_SALESFORCE_DUPLICATE),
	/* Duplicate rules [duplicates] */
	REJECT("DUPLICATES_DETECTED", REASON_SALESFORCE_DUPLICATE),
	ROW("DUPLICATE_EXTERNAL_ID", SF_CONFIG, REASON_SALESFORCE_SETUP),
	ROW("MULTIPLE_RECORDS_FOUND", SF_CONFIG, REASON_SALESFORCE_SETUP),

	/* The set-up of the org: field, field-level security, object permission [errors] */
	ROW("NOT_FOUND", SF_CONFIG, REASON_SALESFORCE_SETUP),
	{"INVALID_FIELD", NULL, true, SF_CONFIG, REASON_SALESFORCE_SETUP, false},
	{"INVALID_FIELD", NULL, false, SF_CONFIG, REASON_SALESFORCE_SETUP, true},
	{"INVALID_FIELD_FOR_INSERT_UPDATE", NULL, true, SF_CONFIG, REASON_SALESFORCE_SETUP, false},
	{"INVALID_FIELD_FOR_INSERT_UPDATE", NULL, false, SF_CONFIG, REASON_SALESFORCE_SETUP, true},
	ROW("INVALID_TYPE", SF_CONFIG, REASON_SALESFORCE_SETUP),
	ROW("INVALID_TYPE_FOR_OPERATION", SF_CONFIG, REASON_SALESFORCE_SETUP),
	TEXT("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "entity type cannot be inserted", SF_CONFIG,
		REASON_SALESFORCE_SETUP),

	/* Ours [errors] */
	ROW("UNSUPPORTED_API_VERSION", SF_CONFIG, REASON_REQUEST_REFUSED),
	ROW("METHOD_NOT_ALLOWED", SF_CONFIG, REASON_REQUEST_REFUSED),
	ROW("UNSUPPORTED_MEDIA_TYPE", SF_CONFIG, REASON_REQUEST_REFUSED),
	ROW("INVALID_BATCH_SIZE", SF_CONFIG, REASON_REQUEST_REFUSED),
	ROW("EXCEEDED_ID_LIMIT", SF_CONFIG, REASON_REQUEST_REFUSED),
	ROW("EXCEEDED_MAX_SIZE_REQUEST", SF_CONFIG, REASON_REQUEST_REFUSED),

	/* The lead's data [codes] */
	REJECT("REQUIRED_FIELD_MISSING", REASON_SALESFORCE_REJECTED),
	REJECT("STRING_TOO_LONG", REASON_SALESFORCE_REJECTED),
	REJECT("INVALID_EMAIL_ADDRESS", REASON_SALESFORCE_REJECTED),
	REJECT("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", REASON_SALESFORCE_REJECTED),
	REJECT("NUMBER_OUTSIDE_VALID_RANGE", REASON_SALESFORCE_REJECTED),
	REJECT("MALFORMED_ID", REASON_SALESFORCE_REJECTED),
	REJECT("INVALID_CROSS_REFERENCE_KEY", REASON_SALESFORCE_REJECTED),
	REJECT("INVALID_DATE_FORMAT", REASON_SALESFORCE_REJECTED),
	REJECT("TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET", REASON_SALESFORCE_REJECTED),
	REJECT("JSON_PARSER_ERROR", REASON_SALESFORCE_REJECTED),
	REJECT("POST_BODY_PARSE_ERROR", REASON_SALESFORCE_REJECTED),
	/* The customer's rules [codes] */
	REJECT("FIELD_CUSTOM_VALIDATION_EXCEPTION", REASON_SALESFORCE_REJECTED),
	REJECT("FIELD_FILTER_VALIDATION_EXCEPTION", REASON_SALESFORCE_REJECTED),
	REJECT("FIELD_INTEGRITY_EXCEPTION", REASON_SALESFORCE_REJECTED),
	REJECT("INVALID_STATUS", REASON_SALESFORCE_REJECTED),
	REJECT("CUSTOM_APEX_ERROR", REASON_SALESFORCE_AUTOMATION),
	AUTOMATION("CANNOT_EXECUTE_FLOW_TRIGGER"),
	AUTOMATION("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"),
	AUTOMATION("APEX_ERROR"),
	AUTOMATION("FLOW_EXCEPTION"),
	/* The record: it exists, or existed [codes] */
	REJECT("CANNOT_UPDATE_CONVERTED_LEAD", REASON_SALESFORCE_RECORD_STATE),
	REJECT("ENTITY_IS_LOCKED", REASON_SALESFORCE_RECORD_STATE),
	REJECT("ENTITY_IS_DELETED", REASON_SALESFORCE_RECORD_STATE),
	REJECT("ENTITY_IS_ARCHIVED", REASON_SALESFORCE_RECORD_STATE),
	/* This record or its owner; many in a row are the connection's set-up [codes] */
	REJECT("INSUFFICIENT_ACCESS_OR_READONLY", REASON_SALESFORCE_ACCESS),
	REJECT("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", REASON_SALESFORCE_ACCESS),
	REJECT("INACTIVE_OWNER_OR_USER", REASON_SALESFORCE_ACCESS),
	REJECT("INVALID_OWNER", REASON_SALESFORCE_ACCESS),
};

/* A code in no row: by status, and the operator is told.  200: one record of a collection. */
static const struct sf_status_row unknown[] = {
	{200, 200, SF_REJECT, REASON_SALESFORCE_REJECTED, false, true},
	{400, 400, SF_REJECT, REASON_SALESFORCE_REJECTED, false, true},
	{403, 403, SF_ORG_PAUSE, REASON_SALESFORCE_POLICY, false, true},
	{0, INT_MAX, SF_CONFIG, REASON_SALESFORCE_SETUP, false, true},
};

struct sf_tables sf_tables(void)
{
	return (struct sf_tables){codes, ARRAY_LEN(codes), statuses, ARRAY_LEN(statuses), refusals,
		ARRAY_LEN(refusals)};
}

const struct sf_status_row *sf_status(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (status >= statuses[i].from && status <= statuses[i].to)
			return &statuses[i];
	return NULL;
}

static bool contains(struct slice s, const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i + len <= s.len; i++)
		if (!strncasecmp(s.data + i, text, len))
			return true;
	return false;
}

struct fault {
	struct slice code, message;
	const struct json_t *fields;
};

static bool read_fault(const struct json_t *error, struct fault *ret)
{
	struct slice single = json_slice(json_member(error, "errorCode"));
	struct slice record = json_slice(json_member(error, "statusCode"));
	const struct json_t *fields = json_member(error, "fields");

	*ret = (struct fault){
		single.data ? single : record, json_slice(json_member(error, "message")), fields};
	return ret->code.len > 0;
}

/* The list of fields is often empty; then the message names it, with its package's prefix or not.
 */
static bool names_key(const struct fault *f, const char *key_field)
{
	if (!key_field || !*key_field)
		return false;
	for (size_t i = 0; i < json_count(f->fields); i++)
		if (contains(json_slice(json_item(f->fields, i)), key_field))
			return true;
	return contains(f->message, key_field);
}

static bool code_fits(struct slice code, const char *listed)
{
	size_t len = strlen(listed);

	if (len && listed[len - 1] == '*')
		return code.len >= len - 1 && !memcmp(code.data, listed, len - 1);
	return code.len == len && !memcmp(code.data, listed, len);
}

static const struct sf_code_row *find_code(const struct fault *f, const char *key_field)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (code_fits(f->code, codes[i].code) &&
			(!codes[i].text || contains(f->message, codes[i].text)) &&
			(!codes[i].on_key || names_key(f, key_field)))
			return &codes[i];
	return NULL;
}

static struct sf_decision of_status(const struct sf_status_row *row)
{
	return (struct sf_decision){.verdict = {row->class, row->reason, row->alert},
		.of_lead = row->class == SF_REJECT};
}

static struct sf_decision of_unknown(int status)
{
	size_t at = 0;

	while (status < unknown[at].from || status > unknown[at].to)
		at++;
	return of_status(&unknown[at]);
}

static struct sf_decision decide_one(const struct fault *f, int status, const char *key_field)
{
	const struct sf_status_row *by_status = sf_status(status);
	const struct sf_code_row *by_code;
	struct sf_decision ret;

	if (status == 401)
		for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
			if (contains(f->message, refusals[i].text))
				return (struct sf_decision){
					.verdict = {refusals[i].class, refusals[i].reason, false}};
	if (by_status && by_status->beats_codes)
		return of_status(by_status);
	by_code = find_code(f, key_field);
	if (!by_code)
		return by_status ? of_status(by_status) : of_unknown(status);
	ret = (struct sf_decision){
		.verdict = {by_code->class, by_code->reason, false}, .of_lead = by_code->of_lead};
	return ret;
}

/* Of several errors the one that lasts longest decides: permanent, then the org, then transient. */
static int weight(enum sf_class class)
{
	switch (class) {
	case SF_REJECT:
		return 8;
	case SF_CONFIG:
		return 7;
	case SF_REAUTH:
		return 6;
	case SF_ORG_PAUSE:
		return 5;
	case SF_REFRESH:
		return 4;
	case SF_UNKNOWN:
		return 3;
	case SF_SMALLER:
		return 2;
	case SF_RETRY:
		return 1;
	case SF_CREATED:
	case SF_UPDATED:
		return 0;
	}
	return 0;
}

bool sf_decide(
	const struct json_t *errors, int status, const char *key_field, struct sf_decision *ret)
{
	bool listed = json_kind(errors) == JSON_IS_LIST, found = false;
	size_t count = listed ? json_count(errors) : 1;

	for (size_t i = 0; i < count; i++) {
		struct fault f;
		struct sf_decision one;

		if (!read_fault(listed ? json_item(errors, i) : errors, &f))
			continue;
		one = decide_one(&f, status, key_field);
		one.code = f.code;
		one.fields = f.fields;
		if (!found || weight(one.verdict.class) > weight(ret->verdict.class))
			*ret = one;
		found = true;
	}
	return found;
}
