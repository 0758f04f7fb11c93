#include "worker/migrations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/buf.h"
#include "common/secret.h"
#include "worker/reasons.h"

static void numbers_have_no_gaps(void **state)
{
	(void)state;
	assert_true(migrations_count > 0);
	for (int i = 0; i < migrations_count; i++) {
		assert_int_equal(migrations[i].number, i + 1);
		assert_true(strlen(migrations[i].name) > 0);
	}
}

static void the_text_is_the_one_that_was_summed_up(void **state)
{
	(void)state;
	for (int i = 0; i < migrations_count; i++) {
		freed_by(buf_release) struct buf text = {0};
		unsigned char sum[32];

		secret_sha256(migrations[i].text, strlen(migrations[i].text), sum);
		buf_add_hex(&text, sum, sizeof(sum));
		assert_string_equal(migrations[i].checksum, text.data);
	}
}

static void every_reason_is_loaded_once(void **state)
{
	(void)state;
	assert_true(migrations_count > 6);
	for (enum reason r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		freed_by(buf_release) struct buf row = {0};
		const char *found;

		buf_addf(&row, "\t('%s', '", reason_code(r));
		found = strstr(migrations_reasons, row.data);
		if (!found)
			fail_msg("%s is not there", reason_code(r));
		assert_null(strstr(found + 1, row.data));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_have_no_gaps),
		cmocka_unit_test(the_text_is_the_one_that_was_summed_up),
		cmocka_unit_test(every_reason_is_loaded_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
