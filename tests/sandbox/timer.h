/*
 * tests/sandbox/timer.h - a thread that does things later, so that nobody else waits.
 *
 * Work is done on the timer's thread, in order of its time.
 */
#pragma once

#include "base.h"

struct timer; /* opaque */

typedef void timer_work(void *what);

struct timer *timer_new(void);
/** Does what is left at once, in its order, and ends the thread. */
void timer_stop(struct timer *timer);
/** The timer has been stopped. */
void timer_free(struct timer *timer);
/** Calls @work(@what) in @delay_ms; at once when stopped.  From any thread. */
void timer_add(struct timer *timer, int64_t delay_ms, timer_work *work, void *what);
