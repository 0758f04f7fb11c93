#include "worker/reasons.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_code_is_found_again_and_no_other(void **state)
{
	(void)state;
	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		const char *code = reason_code(r);
		struct slice whole = {code, strlen(code)};

		assert_int_equal(reason_find(whole), r);
		/* one character fewer is found only where that is a code, too */
		whole.len--;
		if (reason_find(whole) != REASON_NONE)
			assert_memory_equal(reason_code(reason_find(whole)), code, whole.len);
	}
	assert_int_equal(reason_find(SLICE("no_such_reason")), REASON_NONE);
	assert_int_equal(reason_find(SLICE("")), REASON_NONE);
	assert_int_equal(reason_find(SLICE("zzz")), REASON_NONE);
	assert_int_equal(reason_find(SLICE("a")), REASON_NONE);
	assert_int_equal(reason_find((struct slice){0}), REASON_NONE);
	assert_int_equal(reason_find(SLICE("not_json\0")), REASON_NONE);
}

static void the_list_is_sorted_so_that_halving_finds_it(void **state)
{
	(void)state;
	for (enum reason r = REASON_NONE + 2; r < REASON_COUNT; r++)
		assert_true(strcmp(reason_code(r - 1), reason_code(r)) < 0);
}

static void codes_and_repairs_are_plain_words(void **state)
{
	(void)state;
	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		const char *words[] = {reason_code(r), reason_repairer(r), reason_how(r)};

		for (size_t i = 0; i < ARRAY_LEN(words); i++) {
			assert_true(words[i][0] != '\0');
			for (const char *c = words[i]; *c; c++)
				assert_true(islower((unsigned char)*c) ||
					    isdigit((unsigned char)*c) || *c == '_');
		}
	}
}

static void every_reason_says_what_it_means_and_what_repairs_it(void **state)
{
	(void)state;
	assert_string_equal(reason_meaning(REASON_NONE), "");
	for (enum reason r = REASON_NONE; r < REASON_COUNT; r++) {
		const char *meaning = reason_meaning(r);

		if (r != REASON_NONE)
			assert_int_equal(meaning[strlen(meaning) - 1], '.');
		assert_true(strlen(reason_repair(r)) > 5);
	}
	assert_string_equal(reason_meaning(REASON_WRONG_SPECVERSION),
		"The attribute specversion is not \"1.0\".");
	assert_string_equal(reason_repair(REASON_CONSENT_NEEDED),
		"the user connects Salesforce again, with the same org and Salesforce user");
}

static void no_reason_has_no_code_and_asks_the_operator(void **state)
{
	(void)state;
	assert_string_equal(reason_code(REASON_NONE), "");
	assert_string_equal(reason_repairer(REASON_NONE), "");
	assert_string_equal(reason_how(REASON_NONE), "ask_operator");
}

static void a_few_rows_say_what_consumers_rely_on(void **state)
{
	static const struct {
		enum reason reason;
		const char *code, *repairer, *how;
	} rows[] = {
		{REASON_NOT_CONNECTED, "not_connected", "user", "connect"},
		{REASON_CONSENT_NEEDED, "consent_needed", "user", "consent"},
		{REASON_VENDED_TOKEN_REJECTED, "vended_token_rejected", "user", "consent"},
		{REASON_ORG_MISMATCH, "org_mismatch", "operator", "review"},
		{REASON_HELD, "held", "operator", "release"},
		{REASON_FIELD_TOO_LONG, "field_too_long", "app", "fix_lead"},
		{REASON_SALESFORCE_UNAVAILABLE, "salesforce_unavailable", "nobody", "wait"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_string_equal(reason_code(rows[i].reason), rows[i].code);
		assert_string_equal(reason_repairer(rows[i].reason), rows[i].repairer);
		assert_string_equal(reason_how(rows[i].reason), rows[i].how);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_is_found_again_and_no_other),
		cmocka_unit_test(the_list_is_sorted_so_that_halving_finds_it),
		cmocka_unit_test(codes_and_repairs_are_plain_words),
		cmocka_unit_test(no_reason_has_no_code_and_asks_the_operator),
		cmocka_unit_test(every_reason_says_what_it_means_and_what_repairs_it),
		cmocka_unit_test(a_few_rows_say_what_consumers_rely_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
