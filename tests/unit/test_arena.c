#include "common/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define LARGE ((size_t)10 * 1000 * 1000)

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
	freed_by(arena_release) struct arena a = {0};
	unsigned char *pieces[2000];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		pieces[i] = arena_alloc(&a, i % 97);
		assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
		for (size_t j = 0; j < i % 97; j++)
			assert_int_equal(pieces[i][j], 0);
		memset(pieces[i], (int)(i % 251), i % 97);
	}
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
		for (size_t j = 0; j < i % 97; j++)
			assert_int_equal(pieces[i][j], i % 251);
}

static void nothing_is_still_a_place_of_its_own(void **state)
{
	freed_by(arena_release) struct arena a = {0};

	(void)state;
	assert_ptr_not_equal(arena_alloc(&a, 0), arena_alloc(&a, 0));
}

static void copies_end_with_a_nul(void **state)
{
	freed_by(arena_release) struct arena a = {0};
	struct slice copy = arena_slice(&a, (struct slice){"abcdef", 3});

	(void)state;
	assert_string_equal(copy.data, "abc");
	assert_int_equal(copy.len, 3);
	assert_string_equal(arena_text(&a, "text"), "text");
	assert_memory_equal(arena_copy(&a, "a\0b", 3), "a\0b", 4);
	assert_string_equal(arena_copy(&a, NULL, 0), "");
}

static void absent_stays_absent_and_empty_stays_empty(void **state)
{
	freed_by(arena_release) struct arena a = {0};

	(void)state;
	assert_null(arena_slice(&a, (struct slice){0}).data);
	assert_non_null(arena_slice(&a, SLICE("")).data);
}

static void large_pieces_fit_and_small_ones_go_on_where_they_were(void **state)
{
	freed_by(arena_release) struct arena a = {0};
	char *before, *large, *after;

	(void)state;
	before = arena_alloc(&a, 16);
	large = arena_alloc(&a, LARGE);
	memset(large, 1, LARGE);
	after = arena_alloc(&a, 16);
	assert_ptr_equal(after, before + 16);
}

static void what_was_given_out_is_counted_until_the_clear(void **state)
{
	freed_by(arena_release) struct arena a = {0};

	(void)state;
	arena_alloc(&a, 100);
	arena_alloc(&a, 5000);
	assert_true(a.used_bytes >= 5100 && a.used_bytes < 5200);
	arena_clear(&a);
	assert_int_equal(a.used_bytes, 0);
}

static void a_cleared_arena_gives_zeroed_memory_again_without_growing(void **state)
{
	freed_by(arena_release) struct arena a = {0};
	struct arena_block *kept;

	(void)state;
	for (int i = 0; i < 100; i++)
		memset(arena_alloc(&a, 1000), 0xff, 1000);
	arena_clear(&a);
	kept = a.head;
	assert_non_null(kept);
	for (int round = 0; round < 100; round++) {
		unsigned char *p = arena_alloc(&a, 1000);

		for (int i = 0; i < 1000; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, 1000);
		arena_clear(&a);
		assert_ptr_equal(a.head, kept);
	}
}

static void an_exceptionally_large_block_is_not_kept(void **state)
{
	freed_by(arena_release) struct arena a = {0};

	(void)state;
	arena_alloc(&a, LARGE);
	arena_clear(&a);
	assert_null(a.head);
	arena_clear(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
		cmocka_unit_test(nothing_is_still_a_place_of_its_own),
		cmocka_unit_test(copies_end_with_a_nul),
		cmocka_unit_test(absent_stays_absent_and_empty_stays_empty),
		cmocka_unit_test(large_pieces_fit_and_small_ones_go_on_where_they_were),
		cmocka_unit_test(what_was_given_out_is_counted_until_the_clear),
		cmocka_unit_test(a_cleared_arena_gives_zeroed_memory_again_without_growing),
		cmocka_unit_test(an_exceptionally_large_block_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
