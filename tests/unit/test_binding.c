#include "worker/binding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct slice text(const char *s)
{
	return (struct slice){s, strlen(s)};
}

/* ---- ids ---- */

static void ids_get_the_suffix_that_published_ids_have(void **state)
{
	static const struct {
		const char *id15, *id18;
	} rows[] = {
		{"00D1F0000009Gpn", "00D1F0000009GpnUAE"},
		{"0031i000013x2TE", "0031i000013x2TEAAY"},
		{"000000000000000", "000000000000000AAA"},
		{"ZZZZZZZZZZZZZZZ", "ZZZZZZZZZZZZZZZ555"},
		{"zzzzzzzzzzzzzzz", "zzzzzzzzzzzzzzzAAA"},
		{"Azzzz0Azzz00Azz",
			"Azzzz0Azzz00AzzBCE"}, /* the first character is the lowest bit */
		{"zzzAzzzzzAzzzzz", "zzzAzzzzzAzzzzzIQA"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char got[SF_ID18 + 1];

		assert_true(binding_id18(text(rows[i].id15), got));
		assert_string_equal(got, rows[i].id18);
		assert_true(binding_id18(text(rows[i].id18), got));
		assert_string_equal(got, rows[i].id18);
	}
}

static void malformed_ids_are_none(void **state)
{
	static const char *const rows[] = {"", "00D1F0000009Gp", "00D1F0000009GpnU",
		"00D1F0000009GpnUA", "00D1F0000009GpnUAEA",
		"00D1F0000009GpnUAA",                       /* the suffix of another */
		"00D1F0000009Gpnuae", "00d1f0000009gpnUAE", /* case is lost */
		"00D1F0000009Gp-", "00D1F0000009Gp\xc3", "00D1F0000009Gpn   ", " 00D1F000000Gpn"};
	char got[SF_ID18 + 1] = "untouched";

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_false(binding_id18(text(rows[i]), got));
	assert_false(binding_id18((struct slice){0}, got));
	assert_false(binding_id18((struct slice){"00D1F00\0000009Gp", 15}, got));
	assert_string_equal(got, "untouched");
}

static void ids_are_the_same_by_their_first_fifteen_characters_in_their_case(void **state)
{
	(void)state;
	assert_true(binding_same_id(text("00D1F0000009Gpn"), text("00D1F0000009GpnUAE")));
	assert_true(binding_same_id(text("00D1F0000009GpnUAE"), text("00D1F0000009GpnUAE")));
	assert_false(binding_same_id(text("00D1F0000009Gpn"), text("00D1F0000009GPn")));
	assert_false(binding_same_id(text("00D1F0000009Gpn"), text("00D1F0000009Gpm")));
	assert_false(binding_same_id(text("00D1F0000009Gp"), text("00D1F0000009Gp")));
	assert_false(binding_same_id(text(""), text("")));
	assert_false(binding_same_id((struct slice){0}, (struct slice){0}));
	assert_false(binding_same_id(text("00D1F0000009Gpn"), (struct slice){0}));
	assert_false(binding_same_id((struct slice){0}, text("00D1F0000009Gpn")));
	assert_false(binding_same_id(text("00D1F0000009GpnUA"), text("00D1F0000009GpnUA")));
}

/* ---- hosts ---- */

static struct binding_host read_host(const char *url, const char *insecure)
{
	struct binding_host got;

	binding_read_host(text(url), insecure, &got);
	return got;
}

static void every_family_of_hosts_is_known_with_its_environment(void **state)
{
	static const struct {
		const char *host;
		enum binding_env env;
	} rows[] = {
		{"acme.my.salesforce.com", BINDING_PRODUCTION},
		{"acme-inc-2.my.salesforce.com", BINDING_PRODUCTION},
		{"acme-dev-ed.my.salesforce.com", BINDING_PRODUCTION},
		{"acme--uat.my.salesforce.com", BINDING_SANDBOX},
		{"acme--uat.sandbox.my.salesforce.com", BINDING_SANDBOX},
		{"acme--uat.cs42.my.salesforce.com", BINDING_SANDBOX},
		{"acme-dev-ed.develop.my.salesforce.com", BINDING_PRODUCTION},
		{"acme-1234-dev-ed.scratch.my.salesforce.com", BINDING_SANDBOX},
		{"acme.demo.my.salesforce.com", BINDING_PRODUCTION},
		{"acme.patch.my.salesforce.com", BINDING_PRODUCTION},
		{"acme.trailblaze.my.salesforce.com", BINDING_PRODUCTION},
		{"acme.free.my.salesforce.com", BINDING_PRODUCTION},
		{"acme.bt.my.salesforce.com", BINDING_PRODUCTION},
		{"na1.salesforce.com", BINDING_PRODUCTION},
		{"na9999.salesforce.com", BINDING_PRODUCTION},
		{"eu15.salesforce.com", BINDING_PRODUCTION},
		{"ap15.salesforce.com", BINDING_PRODUCTION},
		{"gs0.salesforce.com", BINDING_PRODUCTION},
		{"um5.salesforce.com", BINDING_PRODUCTION},
		{"cs101.salesforce.com", BINDING_SANDBOX},
		{"acme.my.salesforce.mil", BINDING_PRODUCTION},
		{"acme--uat.sandbox.my.salesforce.mil", BINDING_SANDBOX},
		{"acme.my.sfcrmproducts.cn", BINDING_PRODUCTION},
		{"acme--uat.sandbox.my.sfcrmproducts.cn", BINDING_SANDBOX},
	};
	static const char *const forms[] = {"%s", "https://%s", "https://%s/", "https://%s:443",
		"https://%s:443/", "HTTPS://%s", "%s:443"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
			char url[300];
			struct binding_host got;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(url, sizeof(url), forms[f], rows[i].host);
#pragma GCC diagnostic pop
			got = read_host(url, NULL);
			if (got.verdict != HOST_OK || got.env != rows[i].env)
				print_error("%s: %d\n", url, got.verdict);
			assert_int_equal(got.verdict, HOST_OK);
			assert_int_equal(got.env, rows[i].env);
			assert_string_equal(got.host, rows[i].host);
		}
}

static void a_host_is_compared_in_lower_case(void **state)
{
	struct binding_host got = read_host("https://ACME.My.SalesForce.COM", "");

	(void)state;
	assert_int_equal(got.verdict, HOST_OK);
	assert_string_equal(got.host, "acme.my.salesforce.com");
}

static void hosts_that_may_not_receive_a_token_are_refused(void **state)
{
	static const char *const rows[] = {/* user interfaces, sites, set-up, login */
		"acme.lightning.force.com", "acme--uat.sandbox.lightning.force.com",
		"acme.lightning.crmforce.mil", "acme.lightning.sfcrmapps.cn", "acme.my.site.com",
		"acme.force.com", "acme.my.salesforce-setup.com", "acme.my.salesforce-sites.com",
		"login.salesforce.com", "test.salesforce.com", "www.salesforce.com",
		"salesforce.com", "my.salesforce.com", "acme.salesforce.com",
		"acme.my-salesforce.com", "acme--uat.sandbox.my-salesforce.com",
		"api.salesforce.com",
		/* look-alikes */
		"x.salesforce.com.evil.example", "acme.my.salesforce.com.evil.example",
		"acme-my-salesforce.com", "acmemy.salesforce.com", "acme.mysalesforce.com",
		"acme.my.salesforce.co", "acme.my.salesforce.comm", "acme.my.salesforce.net",
		"acme.my.sa1esforce.com", "acme.my.salesforce.com-evil.example", "evil.example",
		"acme.my.salesforce.example.com", "acme.my.evil.com", "acme.your.salesforce.com",
		"xn--acme-5cd.my.salesforce.com", "acme.my.xn--salesfore-1ya.com", "localhost",
		"acme.my.salesforce.cn", "acme.my.sfcrmproducts.com", "acme.my.sfcrmproducts.mil",
		/* no such place */
		"a.b.my.salesforce.com", "a.acme.my.salesforce.com",
		"acme.internal.my.salesforce.com", "sandbox.my.salesforce.com",
		"develop.my.salesforce.com", "scratch.my.salesforce.com", "demo.my.salesforce.com",
		"patch.my.salesforce.com", "trailblaze.my.salesforce.com", "free.my.salesforce.com",
		"bt.my.salesforce.com", "cs42.my.salesforce.com", "acme.sandbox.my.salesforce.com",
		"acme.cs42.my.salesforce.com", "acme--uat.cs.my.salesforce.com",
		"acme--uat.cs12345.my.salesforce.com", "acme--uat.develop.my.salesforce.com",
		"acme--uat.my.salesforce.mil", "acme.develop.my.salesforce.mil",
		"na.salesforce.com", "na12345.salesforce.com", "nax1.salesforce.com",
		"na1x.salesforce.com", "zz1.salesforce.com", "na1.my.na1.salesforce.com",
		"a.na1.salesforce.com", "com", "a.b.c.d.e.f.g.com"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct binding_host got = read_host(rows[i], NULL);

		if (got.verdict != HOST_REFUSED)
			print_error("%s: %d\n", rows[i], got.verdict);
		assert_int_equal(got.verdict, HOST_REFUSED);
	}
	assert_int_equal(read_host("http://acme.my.salesforce.com", NULL).verdict, HOST_REFUSED);
	assert_int_equal(read_host("http://acme.my.salesforce.com/", "x:1").verdict, HOST_REFUSED);
}

static void what_is_more_than_a_host_is_malformed(void **state)
{
	static const char *const rows[] = {"", "https://", "https:///", "http://", "/",
		/* userinfo */
		"https://acme.my.salesforce.com@evil.example",
		"https://user@acme.my.salesforce.com", "https://user:pass@acme.my.salesforce.com",
		"acme.my.salesforce.com@evil.example",
		"https://evil.example\\@acme.my.salesforce.com",
		/* path, query, fragment */
		"https://acme.my.salesforce.com/services", "https://acme.my.salesforce.com//",
		"https://acme.my.salesforce.com?x=1", "https://acme.my.salesforce.com/?x",
		"https://acme.my.salesforce.com#x", "https://evil.example/.my.salesforce.com",
		"https://evil.example#.my.salesforce.com",
		"https://evil.example?.my.salesforce.com", "acme.my.salesforce.com/",
		/* ports */
		"https://acme.my.salesforce.com:8443",
		"https://acme.my.salesforce.com:", "https://acme.my.salesforce.com:0443",
		"https://acme.my.salesforce.com:443:443", "https://acme.my.salesforce.com:80",
		"http://acme.my.salesforce.com:443",
		/* IP literals */
		"https://127.0.0.1", "127.0.0.1", "https://2130706433", "https://0x7f000001",
		"https://127.1", "https://[::1]", "[::1]:443", "https://10.0.0.1:443",
		/* other schemes, characters, labels */
		"ftp://acme.my.salesforce.com", "javascript:acme.my.salesforce.com",
		"https:acme.my.salesforce.com", "https:/acme.my.salesforce.com",
		"//acme.my.salesforce.com", "https://https://acme.my.salesforce.com",
		" acme.my.salesforce.com", "acme.my.salesforce.com ", "acme .my.salesforce.com",
		"acme.my.salesforce.com\n", "acme.my.salesforce.com\r\nHost: x",
		"acme%2emy.salesforce.com", "acme_.my.salesforce.com",
		"acm\xc3\xa9.my.salesforce.com", "acme.my.s\xd0\xb0lesforce.com",
		"acme.my.salesforce.com.", ".acme.my.salesforce.com", "acme..my.salesforce.com",
		".", "-acme.my.salesforce.com", "acme-.my.salesforce.com", "a.b.c.d.e.f.g.h.com"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct binding_host got = read_host(rows[i], NULL);

		if (got.verdict != HOST_MALFORMED)
			print_error("%s: %d\n", rows[i], got.verdict);
		assert_int_equal(got.verdict, HOST_MALFORMED);
	}
	{
		static const char nul[] = "acme.my.salesforce.com\0.evil.example";
		struct binding_host got;

		binding_read_host((struct slice){nul, sizeof(nul) - 1}, NULL, &got);
		assert_int_equal(got.verdict, HOST_MALFORMED);
		binding_read_host((struct slice){0}, NULL, &got);
		assert_int_equal(got.verdict, HOST_MALFORMED);
	}
}

static void lengths_of_labels_and_hosts_are_limited(void **state)
{
	char url[400];
	struct binding_host got;

	(void)state;
	snprintf(url, sizeof(url), "%.63s.my.salesforce.com",
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg");
	assert_int_equal(read_host(url, NULL).verdict, HOST_OK);
	snprintf(url, sizeof(url), "%.64s.my.salesforce.com",
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg");
	assert_int_equal(read_host(url, NULL).verdict, HOST_MALFORMED);

	/* as an insecure host the whole length can be met */
	memset(url, 'a', sizeof(url));
	binding_read_host((struct slice){url, BINDING_HOST_MAX}, NULL, &got);
	assert_int_equal(got.verdict, HOST_MALFORMED);
	assert_int_equal(strlen(got.host), BINDING_HOST_MAX);
	binding_read_host((struct slice){url, BINDING_HOST_MAX + 1}, NULL, &got);
	assert_int_equal(got.verdict, HOST_MALFORMED);
	assert_string_equal(got.host, "");
}

static void only_listed_hosts_are_spoken_to_in_plain_http(void **state)
{
	static const char list[] =
		"127.0.0.1:8080  Fake-Org:18081\tacme.my.salesforce.com:80 [::1]:9";
	static const struct {
		const char *url;
		enum binding_host_verdict verdict;
		const char *host;
	} rows[] = {
		{"http://127.0.0.1:8080", HOST_INSECURE_OK, "127.0.0.1:8080"},
		{"http://127.0.0.1:8080/", HOST_INSECURE_OK, "127.0.0.1:8080"},
		{"127.0.0.1:8080", HOST_INSECURE_OK, "127.0.0.1:8080"},
		{"http://FAKE-org:18081", HOST_INSECURE_OK, "fake-org:18081"},
		{"HTTP://acme.my.salesforce.com:80", HOST_INSECURE_OK, "acme.my.salesforce.com:80"},
		{"http://[::1]:9", HOST_INSECURE_OK, "[::1]:9"},
		{"https://127.0.0.1:8080", HOST_MALFORMED, NULL},
		{"http://127.0.0.1:808", HOST_MALFORMED, NULL},
		{"http://127.0.0.1:80800", HOST_MALFORMED, NULL},
		{"http://127.0.0.1", HOST_MALFORMED, NULL},
		{"http://fake-org", HOST_REFUSED, NULL},
		{"http://user@127.0.0.1:8080", HOST_MALFORMED, NULL},
		{"http://127.0.0.1:8080/x", HOST_MALFORMED, NULL},
		{"http://127.0.0.1:8080  Fake-Org:18081", HOST_MALFORMED, NULL},
		{"http://", HOST_MALFORMED, NULL},
		{"https://acme.my.salesforce.com", HOST_OK, "acme.my.salesforce.com"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct binding_host got = read_host(rows[i].url, list);

		if (got.verdict != rows[i].verdict)
			print_error("%s: %d\n", rows[i].url, got.verdict);
		assert_int_equal(got.verdict, rows[i].verdict);
		if (rows[i].host)
			assert_string_equal(got.host, rows[i].host);
	}
}

static void the_origin_of_a_template_ends_before_its_path(void **state)
{
	static const struct {
		const char *url, *origin;
	} rows[] = {
		{"https://acme.my.salesforce.com/services/data/v{version}/",
			"https://acme.my.salesforce.com"},
		{"https://acme.my.salesforce.com", "https://acme.my.salesforce.com"},
		{"https://acme.my.salesforce.com/", "https://acme.my.salesforce.com"},
		{"HTTPS://acme.my.salesforce.com?x", "HTTPS://acme.my.salesforce.com"},
		{"https://acme.my.salesforce.com#x", "https://acme.my.salesforce.com"},
		{"http://127.0.0.1:8080/services", "http://127.0.0.1:8080"},
		{"https://user@acme.my.salesforce.com/x", "https://user@acme.my.salesforce.com"},
		{"", NULL},
		{"https://", NULL},
		{"https:///x", NULL},
		{"/services/data", NULL},
		{"acme.my.salesforce.com/x", NULL},
		{"ftp://x/", NULL},
		{"http://?x", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice got = binding_url_origin(text(rows[i].url));

		if (!rows[i].origin) {
			assert_null(got.data);
			continue;
		}
		assert_int_equal(got.len, strlen(rows[i].origin));
		assert_memory_equal(got.data, rows[i].origin, got.len);
	}
	assert_null(binding_url_origin((struct slice){0}).data);
}

/* ---- tokens and identities ---- */

static void a_token_may_name_its_org(void **state)
{
	static const struct {
		const char *token, *org;
		enum binding_token verdict;
	} rows[] = {
		{"00D1F0000009Gpn!AQ.abc_", "00D1F0000009GpnUAE", TOKEN_ORG_OK},
		{"00D1F0000009Gpn!AQ.abc_", "00D1F0000009Gpn", TOKEN_ORG_OK},
		{"00D1F0000009GpnUAE!AQ.abc_", "00D1F0000009Gpn", TOKEN_ORG_OK},
		{"00D1F0000009Gpn!", NULL, TOKEN_ORG_OK},
		{"00D1F0000009Gpn!AQ", "00D1F0000009GpN", TOKEN_OTHER_ORG},
		{"00D1F0000009Gpm!AQ", "00D1F0000009GpnUAE", TOKEN_OTHER_ORG},
		{"00D1F0000009Gpn!AQ", "", TOKEN_OTHER_ORG},
		{"00D1F0000009Gpn!AQ", "rubbish", TOKEN_OTHER_ORG},
		{"eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "00D1F0000009Gpn", TOKEN_NO_ORG},
		{"eyJhbGciOiJSUzI1NiJ9.e30.c2ln", NULL, TOKEN_NO_ORG},
		{"", "00D1F0000009Gpn", TOKEN_NO_ORG},
		{"00D1F0000009Gpn", "00D1F0000009Gpn", TOKEN_NO_ORG},
		{"00D1F0000009Gp!AQ", "00D1F0000009Gpn", TOKEN_NO_ORG},
		{"00D1F0000009GpnU!AQ", "00D1F0000009Gpn", TOKEN_NO_ORG},
		{"0051F0000009Gpn!AQ", "00D1F0000009Gpn", TOKEN_NO_ORG},
		{"00D1F0000-09Gpn!AQ", "00D1F0000009Gpn", TOKEN_NO_ORG},
		{"x00D1F0000009Gpn!AQ", "00D1F0000009Gpn", TOKEN_NO_ORG},
		{"!00D1F0000009Gpn", "00D1F0000009Gpn", TOKEN_NO_ORG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice org = rows[i].org ? text(rows[i].org) : (struct slice){0};

		assert_int_equal(binding_check_token(text(rows[i].token), org), rows[i].verdict);
	}
	assert_int_equal(
		binding_check_token((struct slice){0}, text("00D1F0000009Gpn")), TOKEN_NO_ORG);
}

#define ORG "00D1F0000009GpnUAE"
#define OTHER_ORG "00D1F0000009GpmUAE"
#define USER "0051F0000009GpnQAE"
#define OTHER_USER "0051F0000009GpmQAE"
#define HOST "acme.my.salesforce.com"

static void identities_are_compared_org_first_and_host_last(void **state)
{
	static const struct {
		const char *bound_org, *bound_user, *bound_host;
		const char *seen_org, *seen_user, *seen_host;
		enum binding_env wanted;
		enum binding_verdict verdict;
	} rows[] = {
		{ORG, USER, HOST, ORG, USER, HOST, BINDING_PRODUCTION, BINDING_OK},
		{ORG, USER, HOST, "00D1F0000009Gpn", "0051F0000009Gpn",
			"https://ACME.my.salesforce.com/", BINDING_PRODUCTION, BINDING_OK},
		{ORG, USER, HOST, ORG, NULL, NULL, BINDING_PRODUCTION, BINDING_OK},
		{ORG, NULL, NULL, ORG, USER, HOST, BINDING_PRODUCTION, BINDING_OK},
		{NULL, NULL, NULL, ORG, USER, HOST, BINDING_PRODUCTION, BINDING_NEW},
		{NULL, NULL, HOST, ORG, USER, HOST, BINDING_PRODUCTION, BINDING_NEW},
		{NULL, NULL, NULL, NULL, NULL, NULL, BINDING_PRODUCTION, BINDING_NEW},
		{ORG, USER, HOST, OTHER_ORG, USER, HOST, BINDING_PRODUCTION, BINDING_OTHER_ORG},
		{ORG, USER, HOST, OTHER_ORG, OTHER_USER, "b.my.salesforce.com", BINDING_SANDBOX,
			BINDING_OTHER_ORG},
		/* an org that is not shown is not proven */
		{ORG, USER, HOST, NULL, USER, HOST, BINDING_PRODUCTION, BINDING_OTHER_ORG},
		{ORG, USER, HOST, "", USER, HOST, BINDING_PRODUCTION, BINDING_OTHER_ORG},
		{ORG, USER, HOST, ORG, OTHER_USER, HOST, BINDING_PRODUCTION, BINDING_OTHER_USER},
		{ORG, USER, HOST, ORG, OTHER_USER, "b.my.salesforce.com", BINDING_SANDBOX,
			BINDING_OTHER_USER},
		{NULL, USER, NULL, ORG, OTHER_USER, HOST, BINDING_PRODUCTION, BINDING_OTHER_USER},
		{ORG, USER, HOST, ORG, USER, HOST, BINDING_SANDBOX, BINDING_OTHER_ENV},
		{NULL, NULL, NULL, ORG, USER, HOST, BINDING_SANDBOX, BINDING_OTHER_ENV},
		{NULL, NULL, NULL, ORG, USER, "acme--uat.sandbox.my.salesforce.com",
			BINDING_PRODUCTION, BINDING_OTHER_ENV},
		{ORG, USER, HOST, ORG, USER, "b.my.salesforce.com", BINDING_PRODUCTION,
			BINDING_OTHER_HOST},
		{NULL, NULL, HOST, ORG, USER, "b.my.salesforce.com", BINDING_PRODUCTION,
			BINDING_OTHER_HOST},
		{ORG, USER, HOST, ORG, USER, "evil.example", BINDING_PRODUCTION,
			BINDING_OTHER_HOST},
		{NULL, NULL, NULL, ORG, USER, "127.0.0.1", BINDING_PRODUCTION, BINDING_OTHER_HOST},
		/* the host of a test has no environment */
		{NULL, NULL, NULL, ORG, USER, "http://localhost:1", BINDING_PRODUCTION,
			BINDING_NEW},
		{NULL, NULL, NULL, ORG, USER, "http://localhost:1", BINDING_SANDBOX, BINDING_NEW},
		{ORG, USER, "localhost:1", ORG, USER, "http://localhost:1", BINDING_SANDBOX,
			BINDING_OK},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
#define PART(name)                                                                                 \
	rows[i].name ? text(rows[i].name) : (struct slice)                                         \
	{                                                                                          \
		0                                                                                  \
	}
		struct binding_identity bound = {
			PART(bound_org), PART(bound_user), PART(bound_host)};
		struct binding_identity seen = {PART(seen_org), PART(seen_user), {0}};
		struct binding_host host;
		enum binding_verdict got;

		if (rows[i].seen_host)
			binding_read_host(text(rows[i].seen_host), "localhost:1", &host);
		got = binding_check(
			&bound, &seen, rows[i].seen_host ? &host : NULL, rows[i].wanted);
		if (got != rows[i].verdict)
			print_error("row %zu: %d\n", i, got);
		assert_int_equal(got, rows[i].verdict);
	}
}

static void a_host_that_was_not_judged_is_compared_all_the_same(void **state)
{
	struct binding_identity bound = {text(ORG), text(USER), text(HOST)};
	struct binding_identity seen = {text(ORG), text(USER), text("ACME.my.salesforce.com")};

	(void)state;
	assert_int_equal(binding_check(&bound, &seen, NULL, BINDING_PRODUCTION), BINDING_OK);
	seen.host = text("b.my.salesforce.com");
	assert_int_equal(
		binding_check(&bound, &seen, NULL, BINDING_PRODUCTION), BINDING_OTHER_HOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_get_the_suffix_that_published_ids_have),
		cmocka_unit_test(malformed_ids_are_none),
		cmocka_unit_test(ids_are_the_same_by_their_first_fifteen_characters_in_their_case),
		cmocka_unit_test(every_family_of_hosts_is_known_with_its_environment),
		cmocka_unit_test(a_host_is_compared_in_lower_case),
		cmocka_unit_test(hosts_that_may_not_receive_a_token_are_refused),
		cmocka_unit_test(what_is_more_than_a_host_is_malformed),
		cmocka_unit_test(lengths_of_labels_and_hosts_are_limited),
		cmocka_unit_test(only_listed_hosts_are_spoken_to_in_plain_http),
		cmocka_unit_test(the_origin_of_a_template_ends_before_its_path),
		cmocka_unit_test(a_token_may_name_its_org),
		cmocka_unit_test(identities_are_compared_org_first_and_host_last),
		cmocka_unit_test(a_host_that_was_not_judged_is_compared_all_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
