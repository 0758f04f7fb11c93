#include "common/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES ((size_t)20000)

struct entry {
	char key[32];
	bool inside, seen;
};

static size_t key_len(const struct entry *e)
{
	return strlen(e->key);
}

static struct entry *entries_new(void)
{
	struct entry *entries = calloc(ENTRIES, sizeof(*entries));

	for (size_t i = 0; i < ENTRIES; i++)
		snprintf(entries[i].key, sizeof(entries[i].key), "user_%zu", i);
	return entries;
}

static void an_unused_map_finds_nothing(void **state)
{
	struct map m = {0};
	size_t pos = 0;

	(void)state;
	assert_null(map_get(&m, "x", 1));
	assert_null(map_remove(&m, "x", 1));
	assert_null(map_next(&m, &pos));
	assert_int_equal(map_count(&m), 0);
	map_release(&m);
}

static void a_key_is_its_bytes_and_its_length(void **state)
{
	freed_by(map_release) struct map m = {0};
	int a, b, c, d;

	(void)state;
	map_put(&m, "ab", 2, &a);
	map_put(&m, "ab\0", 3, &b);
	map_put(&m, NULL, 0, &c);
	map_put(&m, "AB", 2, &d);
	assert_ptr_equal(map_get(&m, "abc", 2), &a);
	assert_ptr_equal(map_get(&m, "ab\0", 3), &b);
	assert_ptr_equal(map_get(&m, "", 0), &c);
	assert_ptr_equal(map_get(&m, "AB", 2), &d);
	assert_null(map_get(&m, "a", 1));
}

static void putting_again_replaces_the_value_and_the_keys_bytes(void **state)
{
	freed_by(map_release) struct map m = {0};
	char old_key[] = "key", new_key[] = "key";
	int a, b;

	(void)state;
	map_put(&m, old_key, 3, &a);
	map_put(&m, new_key, 3, &b);
	memset(old_key, 0, sizeof(old_key)); /* no longer looked at */
	assert_int_equal(map_count(&m), 1);
	assert_ptr_equal(map_get(&m, "key", 3), &b);
	assert_ptr_equal(map_remove(&m, "key", 3), &b);
	assert_null(map_get(&m, "key", 3));
}

/* Repeatable, which is all a test needs. */
static uint32_t chance(uint32_t below)
{
	static uint64_t seed = 7;

	seed = seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(seed >> 33) % below;
}
static void it_agrees_with_an_array_over_many_steps(void **state)
{
	struct entry *entries = entries_new();
	freed_by(map_release) struct map m = {0};
	size_t inside = 0;

	(void)state;
	for (size_t step = 0; step < 20 * ENTRIES; step++) {
		struct entry *e = &entries[chance((uint32_t)ENTRIES)];
		bool put = chance(100) < (step / ENTRIES % 2 ? 30 : 70);

		assert_ptr_equal(map_get(&m, e->key, key_len(e)), e->inside ? e : NULL);
		if (put)
			map_put(&m, e->key, key_len(e), e);
		else
			assert_ptr_equal(map_remove(&m, e->key, key_len(e)), e->inside ? e : NULL);
		inside = inside + (put && !e->inside) - (!put && e->inside);
		e->inside = put;
		assert_int_equal(map_count(&m), inside);
		assert_true(m.used + m.dead <= m.cap / 4 * 3); /* else a search may never end */
	}
	assert_true(m.cap < 8 * ENTRIES);
	free(entries);
}

static void a_walk_sees_each_entry_once_and_may_remove_them(void **state)
{
	struct entry *entries = entries_new(), *e;
	freed_by(map_release) struct map m = {0};
	size_t pos = 0, seen = 0;

	(void)state;
	for (size_t i = 0; i < ENTRIES; i++)
		map_put(&m, entries[i].key, key_len(&entries[i]), &entries[i]);
	for (; (e = map_next(&m, &pos)); seen++) {
		assert_false(e->seen);
		e->seen = true;
		assert_ptr_equal(map_remove(&m, e->key, key_len(e)), e);
	}
	assert_int_equal(seen, ENTRIES);
	assert_int_equal(map_count(&m), 0);
	free(entries);
}

static void coming_and_going_does_not_make_it_grow(void **state)
{
	struct entry *entries = entries_new();
	freed_by(map_release) struct map m = {0};

	(void)state;
	for (size_t i = 0; i < 10 * ENTRIES; i++) {
		struct entry *e = &entries[i % ENTRIES];

		map_put(&m, e->key, key_len(e), e);
		assert_ptr_equal(map_remove(&m, e->key, key_len(e)), e);
	}
	assert_true(m.cap <= 64);
	free(entries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unused_map_finds_nothing),
		cmocka_unit_test(a_key_is_its_bytes_and_its_length),
		cmocka_unit_test(putting_again_replaces_the_value_and_the_keys_bytes),
		cmocka_unit_test(it_agrees_with_an_array_over_many_steps),
		cmocka_unit_test(a_walk_sees_each_entry_once_and_may_remove_them),
		cmocka_unit_test(coming_and_going_does_not_make_it_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
