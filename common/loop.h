/*
 * common/loop.h - one thread, one epoll.
 *
 * A callback may remove any source, itself too.  Callbacks never block.  What
 * is done in batches runs in the before-sleep hook, once a turn.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base.h"
#include "common/list.h"

#define LOOP_READ 1u
#define LOOP_WRITE 2u

struct loop;       /* opaque */
struct loop_watch; /* opaque: one descriptor */

typedef void loop_fd_fn(void *arg, int fd, unsigned events);
typedef void loop_fn(void *arg);

struct loop_timer { /* embedded in its owner; {0} is stopped */
	struct loop *loop;
	loop_fn *fn;
	void *arg;
	int64_t due_ms;
	size_t place; /* in the heap, from 1; 0: stopped */
};

struct loop *loop_new(void);
void loop_free(struct loop *l);
DEFINE_FREEP(struct loop, loop_free)
/** Turns until loop_stop(). */
void loop_run(struct loop *l);
/** One turn, waiting at most @max_wait_ms (-1: as long as it takes). */
void loop_turn(struct loop *l, int max_wait_ms);
void loop_stop(struct loop *l);

/** @fd stays the caller's and outlives the watch. */
struct loop_watch *loop_watch(struct loop *l, int fd, unsigned events, loop_fd_fn *fn, void *arg);
void loop_watch_set(struct loop_watch *w, unsigned events);
void loop_unwatch(struct loop_watch *w); /* NULL is fine */

void loop_timer_init(struct loop_timer *t, struct loop *l, loop_fn *fn, void *arg);
/** Fires once, @in_ms from now (0: next turn); a running timer is moved. */
void loop_timer_set(struct loop_timer *t, int64_t in_ms);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_running(const struct loop_timer *t);

/** Called before each sleep, in the order they were added. */
void loop_before_sleep(struct loop *l, loop_fn *fn, void *arg);
void loop_before_sleep_remove(struct loop *l, loop_fn *fn, void *arg);
/** The next sleep does not wait: something was left undone on purpose. */
void loop_again(struct loop *l);

typedef void loop_signal_fn(void *arg, int signo);
/** Blocks @signo in this thread (call before any thread starts) and delivers it on the loop through
 * a signalfd. */
void loop_signal(struct loop *l, int signo, loop_signal_fn *fn, void *arg);
