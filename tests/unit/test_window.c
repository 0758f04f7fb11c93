#include "worker/window.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void a_new_window_stands_where_it_was_told_and_is_empty(void **state)
{
	freed_by(window_freep) struct window *w = window_new(3, 7);

	(void)state;
	assert_int_equal(window_position(w), 7);
	assert_int_equal(window_open(w), 0);
	assert_int_equal(window_room(w), 3);
	window_free(NULL);
}

static void leads_that_end_out_of_order_move_the_position_only_over_the_unbroken_run(void **state)
{
	freed_by(window_freep) struct window *w = window_new(2, 10);

	(void)state;
	assert_int_equal(window_begin(w, 10), WINDOW_OK);
	assert_int_equal(window_begin(w, 11), WINDOW_OK);
	assert_int_equal(window_begin(w, 12), WINDOW_FULL);
	assert_false(window_end(w, 11)); /* 10 is still open */
	assert_int_equal(window_position(w), 10);
	assert_true(window_end(w, 10));
	assert_int_equal(window_position(w), 12);
}

static void an_ended_lead_behind_an_open_one_still_takes_room(void **state)
{
	freed_by(window_freep) struct window *w = window_new(2, 0);

	(void)state;
	assert_int_equal(window_begin(w, 0), WINDOW_OK);
	assert_int_equal(window_begin(w, 1), WINDOW_OK);
	assert_false(window_end(w, 1));
	assert_int_equal(window_open(w), 1);
	assert_int_equal(window_room(w), 0);
	assert_int_equal(window_begin(w, 2), WINDOW_FULL);
	assert_true(window_end(w, 0));
	assert_int_equal(window_open(w), 0);
	assert_int_equal(window_room(w), 2);
	assert_int_equal(window_begin(w, 2), WINDOW_OK);
}

static void a_window_that_was_full_notes_nothing_and_goes_on(void **state)
{
	freed_by(window_freep) struct window *w = window_new(1, 0);

	(void)state;
	for (int64_t offset = 0; offset < 1000; offset++) {
		assert_int_equal(window_begin(w, offset), WINDOW_OK);
		assert_int_equal(window_begin(w, offset + 1), WINDOW_FULL);
		assert_int_equal(window_open(w), 1);
		assert_true(window_end(w, offset));
		assert_int_equal(window_position(w), offset + 1);
	}
}

static void gaps_are_fine_and_the_position_stands_behind_the_last_ended(void **state)
{
	static const int64_t offsets[] = {5, 6, 100, 101, 1000000000000, 1000000000007};
	freed_by(window_freep) struct window *w = window_new(10, 3);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(offsets); i++)
		assert_int_equal(window_begin(w, offsets[i]), WINDOW_OK);
	assert_false(window_end(w, 1000000000007));
	assert_false(window_end(w, 101));
	assert_true(window_end(w, 5));
	assert_int_equal(window_position(w), 6);
	assert_true(window_end(w, 6));
	assert_int_equal(window_position(w), 7);
	assert_true(window_end(w, 100));
	assert_int_equal(window_position(w), 102);
	assert_true(window_end(w, 1000000000000));
	assert_int_equal(window_position(w), 1000000000008);
}

static void the_ring_grows_to_its_size_and_no_further(void **state)
{
	enum { SIZE = 1000 }; /* no power of two, and several growths away */
	freed_by(window_freep) struct window *w = window_new(SIZE, 0);

	(void)state;
	/* the head stands in the middle when the ring grows */
	for (int64_t offset = 0; offset < 40; offset++)
		assert_int_equal(window_begin(w, offset), WINDOW_OK);
	for (int64_t offset = 0; offset < 40; offset++)
		assert_true(window_end(w, offset));
	for (int64_t offset = 40; offset < 40 + SIZE; offset++)
		assert_int_equal(window_begin(w, offset), WINDOW_OK);
	assert_int_equal(window_begin(w, 40 + SIZE), WINDOW_FULL);
	assert_int_equal(window_room(w), 0);
	for (int64_t offset = 40 + SIZE - 1; offset > 40; offset--)
		assert_false(window_end(w, offset));
	assert_true(window_end(w, 40));
	assert_int_equal(window_position(w), 40 + SIZE);
	assert_int_equal(window_room(w), SIZE);
}

/* The same in the plainest way. */
struct model {
	int64_t offset[64];
	bool ended[64];
	size_t count;
	int64_t position;
};

static void model_end(struct model *m, size_t at)
{
	m->ended[at] = true;
	while (m->count && m->ended[0]) {
		m->position = m->offset[0] + 1;
		m->count--;
		for (size_t i = 0; i < m->count; i++) {
			m->offset[i] = m->offset[i + 1];
			m->ended[i] = m->ended[i + 1];
		}
	}
}

static void many_random_runs_agree_with_a_plain_model(void **state)
{
	unsigned seed = 1;

	(void)state;
	for (size_t size = 1; size <= 64; size++) {
		freed_by(window_freep) struct window *w = window_new(size, 0);
		struct model m = {.count = 0};
		int64_t next = 0;

		for (int step = 0; step < 2000; step++) {
			size_t at = m.count ? (size_t)rand_r(&seed) % m.count : 0;

			if (rand_r(&seed) % 2) {
				next += rand_r(&seed) % 4 ? 1 : rand_r(&seed) % 9 + 1;
				if (m.count == size) {
					assert_int_equal(window_begin(w, next), WINDOW_FULL);
					continue;
				}
				assert_int_equal(window_begin(w, next), WINDOW_OK);
				m.offset[m.count] = next;
				m.ended[m.count++] = false;
			} else if (m.count && !m.ended[at]) {
				int64_t before = m.position, offset = m.offset[at];

				model_end(&m, at);
				assert_int_equal(window_end(w, offset), m.position != before);
			}
			assert_int_equal(window_position(w), m.position);
			assert_int_equal(window_room(w), size - m.count);
		}
	}
}

static void end_unknown(struct window *w)
{
	(void)window_end(w, 12);
}

static void end_before_the_head(struct window *w)
{
	(void)window_end(w, 9);
}

static void end_twice(struct window *w)
{
	(void)window_end(w, 11);
	(void)window_end(w, 11);
}

static void begin_again(struct window *w)
{
	(void)!window_begin(w, 13);
}

static void begin_below_the_position(struct window *w)
{
	(void)window_end(w, 10);
	(void)window_end(w, 11);
	(void)window_end(w, 13);
	(void)!window_begin(w, 13);
}

static void what_only_a_bug_would_do_aborts(void **state)
{
	static void (*const bugs[])(struct window *) = {
		end_unknown, end_before_the_head, end_twice, begin_again, begin_below_the_position};
	static const int64_t offsets[] = {10, 11, 13};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bugs); i++) {
		freed_by(window_freep) struct window *w = window_new(8, 10);
		int status = 0;
		pid_t child;

		for (size_t o = 0; o < ARRAY_LEN(offsets); o++)
			assert_int_equal(window_begin(w, offsets[o]), WINDOW_OK);
		child = fork();
		if (!child) {
			signal(SIGABRT, SIG_DFL);
			if (!freopen("/dev/null", "w", stderr))
				_exit(2);
			bugs[i](w);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_window_stands_where_it_was_told_and_is_empty),
		cmocka_unit_test(
			leads_that_end_out_of_order_move_the_position_only_over_the_unbroken_run),
		cmocka_unit_test(an_ended_lead_behind_an_open_one_still_takes_room),
		cmocka_unit_test(a_window_that_was_full_notes_nothing_and_goes_on),
		cmocka_unit_test(gaps_are_fine_and_the_position_stands_behind_the_last_ended),
		cmocka_unit_test(the_ring_grows_to_its_size_and_no_further),
		cmocka_unit_test(many_random_runs_agree_with_a_plain_model),
		cmocka_unit_test(what_only_a_bug_would_do_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
