#include "common/loop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"

struct pair {
	int near, far;
};

static struct pair pair_new(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	return (struct pair){fds[0], fds[1]};
}

static void pair_close(struct pair p)
{
	close(p.near);
	close(p.far);
}

static void poke(struct pair p)
{
	assert_int_equal(write(p.far, "x", 1), 1);
}

/* What a callback saw, and what it is to do. */
struct seen {
	struct loop *loop;
	int calls;
	unsigned events;
	struct loop_watch *remove;   /* a watch to take out */
	struct loop_watch **replace; /* our own watch to take out and make again */
	struct loop_timer *stop, *again;
	int64_t again_ms;
};

static void on_fd(void *arg, int fd, unsigned events);

static void note(struct seen *s)
{
	s->calls++;
	loop_unwatch(s->remove);
	s->remove = NULL;
	if (s->stop)
		loop_timer_stop(s->stop);
	if (s->again)
		loop_timer_set(s->again, s->again_ms);
}

static void on_fd(void *arg, int fd, unsigned events)
{
	struct seen *s = arg;

	s->events = events;
	if (s->replace) {
		loop_unwatch(*s->replace);
		*s->replace = loop_watch(s->loop, fd, LOOP_READ, on_fd, s);
	}
	note(s);
}

static void on_timer(void *arg)
{
	note(arg);
}

static void a_readable_descriptor_is_told_until_it_is_read(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	struct pair p = pair_new();
	struct seen s = {0};
	char c;

	(void)state;
	loop_watch(l, p.near, LOOP_READ, on_fd, &s);
	loop_turn(l, 0);
	assert_int_equal(s.calls, 0);
	poke(p);
	loop_turn(l, 1000);
	loop_turn(l, 1000);
	assert_int_equal(s.calls, 2);
	assert_int_equal(s.events, LOOP_READ);
	assert_int_equal(read(p.near, &c, 1), 1);
	loop_turn(l, 0);
	assert_int_equal(s.calls, 2);
	pair_close(p);
}

static void only_what_is_watched_for_is_told(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	struct pair p = pair_new();
	struct seen s = {0};
	struct loop_watch *w = loop_watch(l, p.near, LOOP_WRITE, on_fd, &s);

	(void)state;
	poke(p);
	loop_turn(l, 1000);
	assert_int_equal(s.events, LOOP_WRITE);
	loop_watch_set(w, LOOP_READ | LOOP_WRITE);
	loop_turn(l, 1000);
	assert_int_equal(s.events, LOOP_READ | LOOP_WRITE);
	loop_watch_set(w, 0);
	loop_turn(l, 0);
	assert_int_equal(s.calls, 2);
	pair_close(p);
}

static void a_hang_up_wakes_whoever_waits_but_not_a_watch_of_nothing(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	struct pair p = pair_new();
	struct seen s = {0};
	struct loop_watch *w = loop_watch(l, p.near, 0, on_fd, &s);

	(void)state;
	close(p.far);
	loop_turn(l, 0);
	assert_int_equal(s.calls, 0);
	loop_watch_set(w, LOOP_WRITE);
	loop_turn(l, 1000);
	assert_int_equal(s.calls, 1);
	assert_int_equal(s.events, LOOP_WRITE);
	close(p.near);
}

static void a_watch_removed_by_another_callback_of_the_turn_is_not_called(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	struct pair p = pair_new(), q = pair_new();
	struct seen a = {0}, b = {0};
	struct loop_watch *wa = loop_watch(l, p.near, LOOP_READ, on_fd, &a);

	(void)state;
	a.remove = loop_watch(l, q.near, LOOP_READ, on_fd, &b);
	b.remove = wa;
	poke(p);
	poke(q);
	loop_turn(l, 1000);
	assert_int_equal(a.calls + b.calls, 1); /* whoever came first removed the other */
	loop_turn(l, 1000);
	assert_int_equal(a.calls + b.calls, 2);
	assert_true(a.calls == 0 || b.calls == 0);
	pair_close(p);
	pair_close(q);
}

static void a_watch_may_remove_itself_and_watch_the_same_descriptor_again(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	struct pair p = pair_new();
	struct loop_watch *w = NULL;
	struct seen s = {.loop = l, .replace = &w};

	(void)state;
	w = loop_watch(l, p.near, LOOP_READ, on_fd, &s);
	poke(p);
	loop_turn(l, 1000);
	loop_turn(l, 1000);
	assert_int_equal(s.calls, 2);
	loop_unwatch(w);
	loop_turn(l, 0);
	assert_int_equal(s.calls, 2);
	loop_unwatch(NULL);
	pair_close(p);
}

static void a_descriptor_closed_too_early_is_forgotten(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	struct pair p = pair_new(), q;
	struct seen s = {0}, t = {0};
	struct loop_watch *w = loop_watch(l, p.near, LOOP_READ, on_fd, &s);

	(void)state;
	pair_close(p);
	loop_unwatch(w);
	q = pair_new(); /* has the same numbers */
	assert_int_equal(q.near, p.near);
	loop_watch(l, q.near, LOOP_READ, on_fd, &t);
	poke(q);
	loop_turn(l, 1000);
	assert_int_equal(s.calls, 0);
	assert_int_equal(t.calls, 1);
	pair_close(q);
}

static void a_timer_fires_once_and_not_before_its_time(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	struct seen s = {0};
	struct loop_timer t;
	int64_t from_ms = clock_age_ms();

	(void)state;
	loop_timer_init(&t, l, on_timer, &s);
	assert_false(loop_timer_running(&t));
	loop_timer_set(&t, 30);
	assert_true(loop_timer_running(&t));
	while (!s.calls)
		loop_turn(l, -1);
	assert_true(clock_age_ms() - from_ms >= 30);
	assert_false(loop_timer_running(&t));
	loop_turn(l, 40);
	assert_int_equal(s.calls, 1);
}

static void a_timer_set_to_nothing_from_inside_waits_for_the_next_turn(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	struct loop_timer t;
	struct seen s = {.again = &t, .again_ms = 0};

	(void)state;
	loop_timer_init(&t, l, on_timer, &s);
	loop_timer_set(&t, 0);
	loop_turn(l, -1);
	assert_int_equal(s.calls, 1);
	loop_turn(l, -1);
	assert_int_equal(s.calls, 2);
	loop_timer_stop(&t);
}

static void a_timer_stopped_by_one_due_with_it_is_not_called(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	struct loop_timer ta, tb;
	struct seen a = {.stop = &tb}, b = {.stop = &ta};

	(void)state;
	loop_timer_init(&ta, l, on_timer, &a);
	loop_timer_init(&tb, l, on_timer, &b);
	loop_timer_set(&ta, 0);
	loop_timer_set(&tb, 0);
	loop_turn(l, -1);
	loop_turn(l, 0);
	assert_int_equal(a.calls + b.calls, 1);
	assert_false(loop_timer_running(&ta));
	assert_false(loop_timer_running(&tb));
}

#define MANY 300

struct order {
	struct loop_timer timer;
	int64_t due_ms;
	int64_t *last_due_ms;
	int *calls;
};

static void on_ordered(void *arg)
{
	struct order *o = arg;

	assert_true(o->due_ms >= *o->last_due_ms);
	*o->last_due_ms = o->due_ms;
	++*o->calls;
}

static void timers_fire_in_the_order_of_their_times_whatever_is_moved_or_stopped(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	static struct order many[MANY];
	int64_t last_due_ms = 0;
	int calls = 0, left = 0;

	(void)state;
	srandom(7);
	for (size_t i = 0; i < MANY; i++) {
		many[i].last_due_ms = &last_due_ms;
		many[i].calls = &calls;
		loop_timer_init(&many[i].timer, l, on_ordered, &many[i]);
		loop_timer_set(&many[i].timer, random() % 40);
	}
	for (size_t i = 0; i < MANY; i++) {
		if (i % 3 == 0)
			loop_timer_stop(&many[i].timer);
		if (i % 3 == 1)
			loop_timer_set(&many[i].timer, random() % 40);
		many[i].due_ms = many[i].timer.due_ms;
		left += i % 3 ? 1 : 0;
	}
	while (calls < left)
		loop_turn(l, -1);
	assert_int_equal(calls, left);
	loop_turn(l, 0);
	assert_int_equal(calls, left);
}

static void a_turn_waits_no_longer_than_it_may(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	struct seen s = {0};
	struct loop_timer t;
	int64_t from_ms = clock_age_ms();

	(void)state;
	loop_timer_init(&t, l, on_timer, &s);
	loop_timer_set(&t, INT64_MAX);
	loop_turn(l, 5);
	loop_again(l);
	loop_turn(l, -1);
	assert_int_equal(s.calls, 0);
	assert_true(clock_age_ms() - from_ms < 5000);
	loop_timer_stop(&t);
}

struct hooked {
	struct loop *loop;
	char *trace;
	char name;
	struct hooked *remove;
	int turns_left;
};

static void on_hook(void *arg)
{
	struct hooked *h = arg;

	h->trace[strlen(h->trace)] = h->name;
	if (h->remove)
		loop_before_sleep_remove(h->loop, on_hook, h->remove);
	if (--h->turns_left == 0)
		loop_stop(h->loop);
	else
		loop_again(h->loop);
}

static void hooks_run_before_each_sleep_in_their_order_and_may_be_removed_inside(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	char trace[32] = "";
	struct hooked a = {l, trace, 'a', NULL, -1}, b = {l, trace, 'b', NULL, -1};
	struct hooked c = {l, trace, 'c', NULL, 3};

	(void)state;
	loop_before_sleep(l, on_hook, &a);
	loop_before_sleep(l, on_hook, &b);
	loop_before_sleep(l, on_hook, &c);
	a.remove = &b;
	c.remove = &c;
	loop_turn(l, -1);
	assert_string_equal(trace, "ac");
	loop_turn(l, -1);
	assert_string_equal(trace, "aca");
}

static void the_loop_turns_until_it_is_stopped(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	char trace[32] = "";
	struct hooked a = {l, trace, 'a', NULL, 3};

	(void)state;
	loop_before_sleep(l, on_hook, &a);
	loop_run(l);
	assert_string_equal(trace, "aaa");
	a.turns_left = 2;
	loop_run(l);
	assert_string_equal(trace, "aaaaa");
}

static void on_signal(void *arg, int signo)
{
	int *sum = arg;

	*sum += signo;
}

static void signals_arrive_on_the_loop(void **state)
{
	freed_by(loop_freep) struct loop *l = loop_new();
	int first = 0, second = 0;

	(void)state;
	loop_signal(l, SIGUSR1, on_signal, &first);
	loop_signal(l, SIGUSR2, on_signal, &second);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(raise(SIGUSR2), 0);
	loop_turn(l, 1000);
	assert_int_equal(first, SIGUSR1);
	assert_int_equal(second, SIGUSR2);
}

static void freeing_a_loop_stops_its_timers_and_takes_null(void **state)
{
	struct loop *l = loop_new();
	struct seen s = {0};
	struct loop_timer t;

	(void)state;
	loop_timer_init(&t, l, on_timer, &s);
	loop_timer_set(&t, 1000);
	loop_free(l);
	assert_false(loop_timer_running(&t));
	loop_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_readable_descriptor_is_told_until_it_is_read),
		cmocka_unit_test(only_what_is_watched_for_is_told),
		cmocka_unit_test(a_hang_up_wakes_whoever_waits_but_not_a_watch_of_nothing),
		cmocka_unit_test(a_watch_removed_by_another_callback_of_the_turn_is_not_called),
		cmocka_unit_test(a_watch_may_remove_itself_and_watch_the_same_descriptor_again),
		cmocka_unit_test(a_descriptor_closed_too_early_is_forgotten),
		cmocka_unit_test(a_timer_fires_once_and_not_before_its_time),
		cmocka_unit_test(a_timer_set_to_nothing_from_inside_waits_for_the_next_turn),
		cmocka_unit_test(a_timer_stopped_by_one_due_with_it_is_not_called),
		cmocka_unit_test(
			timers_fire_in_the_order_of_their_times_whatever_is_moved_or_stopped),
		cmocka_unit_test(a_turn_waits_no_longer_than_it_may),
		cmocka_unit_test(
			hooks_run_before_each_sleep_in_their_order_and_may_be_removed_inside),
		cmocka_unit_test(the_loop_turns_until_it_is_stopped),
		cmocka_unit_test(signals_arrive_on_the_loop),
		cmocka_unit_test(freeing_a_loop_stops_its_timers_and_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
