#include "worker/sf_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;

static struct sf_answer answer(int status, const char *body)
{
	return (struct sf_answer){.status = status, .body = {body, strlen(body)}};
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

#define IDS "\"organization_id\":\"00D1F0000009GpnUAE\",\"user_id\":\"0051F0000009GpnQAE\""
#define TOKEN "\"access_token\":\"00D!x\""

/* ---- Pipes ---- */

static const struct {
	int status;
	const char *body;
	enum pipes_class class;
	enum reason reason;
	int64_t expires_ms;
} pipes[] = {
	{200,
		"{\"active\":true,\"access_token\":{\"object\":\"access_token\"," TOKEN
		",\"expires_at\":null,\"scopes\":[\"api\"],\"missing_scopes\":[]}}",
		PIPES_OK, REASON_NONE, 0},
	{200, "{\"active\":true,\"access_token\":{" TOKEN "}}", PIPES_OK, REASON_NONE, 0},
	{200, "{\"active\":true,\"access_token\":{" TOKEN ",\"missing_scopes\":null}}", PIPES_OK,
		REASON_NONE, 0},
	{200,
		"{\"active\":true,\"error\":\"needs_reauthorization\",\"access_token\":"
		"{" TOKEN ",\"expires_at\":\"1970-01-01T00:00:02Z\"}}",
		PIPES_OK, REASON_NONE, 2000},
	{200,
		"{\"active\":true,\"access_token\":{" TOKEN
		",\"expires_at\":\"1960-01-01T00:00:00.000Z\"}}",
		PIPES_OK, REASON_NONE, 1},
	{200,
		"{\"active\":true,\"access_token\":{" TOKEN
		",\"missing_scopes\":[\"refresh_token\",\"apix\",7]}}",
		PIPES_OK, REASON_NONE, 0},
	{200, "{\"active\":true,\"access_token\":{" TOKEN ",\"missing_scopes\":[\"id\",\"api\"]}}",
		PIPES_REAUTH, REASON_SCOPE_MISSING, 0},
	{200, "{\"active\":false,\"error\":\"not_installed\"}", PIPES_REMOVED,
		REASON_REMOVED_AT_SOURCE, 0},
	{200, "{\"active\":false,\"error\":\"needs_reauthorization\"}", PIPES_REAUTH,
		REASON_CONSENT_NEEDED, 0},
	{200, "{\"active\":false,\"error\":\"brand_new\"}", PIPES_REAUTH, REASON_CONSENT_NEEDED, 0},
	{200, "{\"active\":false,\"error\":null}", PIPES_REAUTH, REASON_CONSENT_NEEDED, 0},
	{200, "{\"active\":false,\"access_token\":{" TOKEN "}}", PIPES_REAUTH,
		REASON_CONSENT_NEEDED, 0},
	/* a 200 that breaks the schema */
	{200, "", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "<html>", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "[]", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{}", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":\"false\"}", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":null,\"error\":\"not_installed\"}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true}", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":\"00D!x\"}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":{\"access_token\":\"\"}}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":{\"access_token\":null}}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":{\"access_token\":\"a b\"}}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":{\"access_token\":\"a\\r\\nX: y\"}}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":{\"access_token\":\"\xc3\xa9\"}}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":{\"access_token\":\"a\\u007f\"}}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":{" TOKEN ",\"expires_at\":7}}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":{" TOKEN ",\"expires_at\":\"soon\"}}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":{" TOKEN ",\"missing_scopes\":\"api\"}}",
		PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{200, "{\"active\":true,\"access_token\":{" TOKEN ",\"missing_scopes\":{}}}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	/* statuses */
	{0, "", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{199, "", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{204, "{\"active\":false,\"error\":\"not_installed\"}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{302, "", PIPES_CONFIG, REASON_TOKEN_SOURCE_SETUP, 0},
	{400, "{\"message\":\"Organization not found: 'org_1'.\"}", PIPES_CONFIG,
		REASON_TOKEN_SOURCE_SETUP, 0},
	{401, "", PIPES_CONFIG, REASON_TOKEN_SOURCE_SETUP, 0},
	{403, "", PIPES_CONFIG, REASON_TOKEN_SOURCE_SETUP, 0},
	{404, "{\"message\":\"x\"}", PIPES_CONFIG, REASON_TOKEN_SOURCE_SETUP, 0},
	{408, "", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{422, "{\"code\":\"auth_method_mismatch\"}", PIPES_CONFIG, REASON_TOKEN_SOURCE_SETUP, 0},
	{429, "{\"code\":\"rate_limit_exceeded\"}", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE,
		0},
	{499, "", PIPES_CONFIG, REASON_TOKEN_SOURCE_SETUP, 0},
	{500, "{\"active\":false,\"error\":\"not_installed\"}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{503, "<html>", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{599, "", PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
	{1000, "{\"active\":true,\"access_token\":{" TOKEN "}}", PIPES_RETRY,
		REASON_TOKEN_SOURCE_UNAVAILABLE, 0},
};

static void the_token_source_says_what_is_wrong_and_whose_it_is(void **state)
{

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pipes); i++) {
		struct sf_answer a = answer(pipes[i].status, pipes[i].body);
		struct pipes_answer got;

		sf_answers_pipes(&a, &arena, &got);
		if (got.class != pipes[i].class)
			print_error("%d %s: %d\n", pipes[i].status, pipes[i].body, got.class);
		assert_int_equal(got.class, pipes[i].class);
		assert_int_equal(got.reason, pipes[i].reason);
		assert_true(got.expires_wall_ms == pipes[i].expires_ms);
		assert_slice(got.token, pipes[i].class == PIPES_OK ? "00D!x" : NULL);
	}
}

/* ---- userinfo ---- */

static const struct {
	const char *body;
	const char *url;
	int status;
	enum sf_class class;
} userinfos[] = {
	{"{" IDS ",\"urls\":{\"custom_domain\":\"https://"
	 "acme.my.salesforce.com\",\"rest\":\"https://other.my.salesforce.com/x\"}}",
		"https://acme.my.salesforce.com", 200, SF_CREATED},
	{"{" IDS ",\"urls\":{\"rest\":\"https://acme.my.salesforce.com/services/"
	 "data/v{version}/\"}}",
		"https://acme.my.salesforce.com", 200, SF_CREATED},
	{"{" IDS ",\"urls\":{\"custom_domain\":null,\"rest\":\"https://"
	 "acme.my.salesforce.com/\"}}",
		"https://acme.my.salesforce.com", 200, SF_CREATED},
	{"{" IDS ",\"urls\":{\"custom_domain\":\"acme\",\"rest\":\"https://"
	 "acme.my.salesforce.com/\"}}",
		"https://acme.my.salesforce.com", 200, SF_CREATED},
	{"{\"organization_id\":\"00D1F0000009Gpn\",\"user_id\":\"0051F0000009Gpn\"}", NULL, 200,
		SF_CREATED},
	{"{" IDS ",\"urls\":{\"rest\":\"/services\"}}", NULL, 200, SF_CREATED},
	{"{" IDS ",\"urls\":[]}", NULL, 200, SF_CREATED},
	{"{\"organization_id\":\"00D1F0000009GpnUAE\"}", NULL, 200, SF_RETRY},
	{"{\"organization_id\":\"0051F0000009GpnQAE\",\"user_id\":"
	 "\"0051F0000009GpnQAE\"}",
		NULL, 200, SF_RETRY},
	{"{\"organization_id\":\"00D1F0000009GpnUAE\",\"user_id\":"
	 "\"00D1F0000009GpnUAE\"}",
		NULL, 200, SF_RETRY},
	{"{\"organization_id\":\"00D1F0000009GpnAAA\",\"user_id\":"
	 "\"0051F0000009GpnQAE\"}",
		NULL, 200, SF_RETRY},
	{"{\"organization_id\":7,\"user_id\":\"0051F0000009GpnQAE\"}", NULL, 200, SF_RETRY},
	{"{\"organization_id\":\"00\",\"user_id\":\"00\"}", NULL, 200, SF_RETRY},
	{"<html>", NULL, 200, SF_RETRY},
	{"", NULL, 200, SF_RETRY},
	{"", NULL, 0, SF_RETRY},
	{"", NULL, 204, SF_RETRY},
	{"{" IDS "}", NULL, 301, SF_CONFIG},
	{"", NULL, 400, SF_CONFIG},
	{"", NULL, 401, SF_REFRESH},
	{"Bad_OAuth_Token", NULL, 403, SF_REFRESH},
	{"bad_oauth_token\r\n", NULL, 403, SF_REFRESH},
	{"Wrong_Org", NULL, 403, SF_CONFIG},
	{"Bad_OAuth_Token or so", NULL, 403, SF_CONFIG},
	{"", NULL, 403, SF_CONFIG},
	{"Bad_Id", NULL, 404, SF_CONFIG},
	{"", NULL, 408, SF_RETRY},
	{"", NULL, 429, SF_RETRY},
	{"Bad_OAuth_Token", NULL, 500, SF_RETRY},
	{"", NULL, 503, SF_RETRY},
};

static void userinfo_names_org_user_and_host(void **state)
{

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(userinfos); i++) {
		struct sf_answer a = answer(userinfos[i].status, userinfos[i].body);
		struct userinfo_answer got;

		sf_answers_userinfo(&a, &arena, &got);
		if (got.class != userinfos[i].class)
			print_error(
				"%d %s: %d\n", userinfos[i].status, userinfos[i].body, got.class);
		assert_int_equal(got.class, userinfos[i].class);
		assert_string_equal(
			got.org_id, userinfos[i].class == SF_CREATED ? "00D1F0000009GpnUAE" : "");
		assert_string_equal(
			got.user_id, userinfos[i].class == SF_CREATED ? "0051F0000009GpnQAE" : "");
		assert_slice(got.instance_url, userinfos[i].url);
	}
	{
		struct sf_answer a = answer(403, "<html>");
		struct userinfo_answer got;

		a.oauth_1703 = true;
		sf_answers_userinfo(&a, &arena, &got);
		assert_int_equal(got.class, SF_REFRESH);
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
		cmocka_unit_test(the_token_source_says_what_is_wrong_and_whose_it_is),
		cmocka_unit_test(userinfo_names_org_user_and_host),
	};

	return cmocka_run_group_tests(tests, NULL, tear_down);
}
