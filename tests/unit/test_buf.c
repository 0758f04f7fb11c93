#include "common/buf.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void an_unused_buffer_is_empty_but_not_absent(void **state)
{
	struct buf b = {0};

	(void)state;
	assert_null(b.data);
	assert_non_null(buf_slice(&b).data);
	assert_int_equal(buf_slice(&b).len, 0);
	buf_release(&b);
	buf_release(&b);
}

static void what_is_added_stands_in_order_and_ends_with_a_nul(void **state)
{
	freed_by(buf_release) struct buf b = {0};

	(void)state;
	buf_add(&b, NULL, 0);
	assert_string_equal(b.data, "");
	buf_add(&b, "ab\0c", 4);
	buf_add_char(&b, 'd');
	buf_add_text(&b, "ef");
	buf_addf(&b, "-%d%s", 12, "g");
	assert_int_equal(b.len, 11);
	assert_memory_equal(b.data, "ab\0cdef-12g", 12);
}

static void a_long_print_grows_the_buffer(void **state)
{
	freed_by(buf_release) struct buf b = {0};

	(void)state;
	for (int width = 0; width < 300; width++) {
		buf_clear(&b);
		buf_add_char(&b, '<');
		buf_addf(&b, "%*d", width, 7);
		assert_int_equal(b.len, width > 1 ? width + 1 : 2);
		assert_int_equal(b.data[b.len - 1], '7');
		assert_int_equal(b.data[b.len], 0);
		buf_release(&b);
	}
}

static void clearing_keeps_the_memory(void **state)
{
	freed_by(buf_release) struct buf b = {0};
	const char *before;

	(void)state;
	buf_add_text(&b, "something");
	before = b.data;
	buf_clear(&b);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	buf_add_text(&b, "else");
	assert_ptr_equal(b.data, before);
}

static void reserved_room_is_there_without_another_allocation(void **state)
{
	freed_by(buf_release) struct buf b = {0};
	const char *before;

	(void)state;
	buf_reserve(&b, 1000);
	before = b.data;
	for (int i = 0; i < 1000; i++)
		buf_add_char(&b, 'x');
	assert_ptr_equal(b.data, before);
	assert_int_equal(strlen(b.data), 1000);
}

static void integers_are_big_endian(void **state)
{
	freed_by(buf_release) struct buf b = {0};

	(void)state;
	buf_add_be16(&b, 0x0102);
	buf_add_be32(&b, 0x03040506);
	buf_add_be64(&b, 0x0708090a0b0c0d0e);
	assert_int_equal(b.len, 14);
	assert_memory_equal(b.data, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16", 14);
}

static void hex_is_lower_case(void **state)
{
	freed_by(buf_release) struct buf b = {0};

	(void)state;
	buf_add_text(&b, "x");
	buf_add_hex(&b, "\x00\x7f\xab\xff", 4);
	buf_add_hex(&b, NULL, 0);
	assert_string_equal(b.data, "x007fabff");
}

static void more_than_can_be_addressed_aborts(void **state)
{
	const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 5, SIZE_MAX / 2};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			struct buf b = {0};

			signal(SIGABRT, SIG_DFL);
			setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
			buf_add_text(&b, "0123456789");
			buf_reserve(&b, sizes[i]);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unused_buffer_is_empty_but_not_absent),
		cmocka_unit_test(what_is_added_stands_in_order_and_ends_with_a_nul),
		cmocka_unit_test(a_long_print_grows_the_buffer),
		cmocka_unit_test(clearing_keeps_the_memory),
		cmocka_unit_test(reserved_room_is_there_without_another_allocation),
		cmocka_unit_test(integers_are_big_endian),
		cmocka_unit_test(hex_is_lower_case),
		cmocka_unit_test(more_than_can_be_addressed_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
