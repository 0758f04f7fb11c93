#include "common/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"

#define EVENTS_A_TURN 128
#define SIGNALS 65

/* A timer that is due but has not been called yet has this bit in its place. */
#define DUE_BIT (SIZE_MAX / 2 + 1)

struct loop_watch {
	struct loop *loop;
	struct list node; /* in watches, or in removed until the turn ends */
	loop_fd_fn *fn;
	void *arg;
	int fd;
	unsigned events;
	bool removed;
};

struct hook {
	struct list node;
	loop_fn *fn; /* NULL: removed */
	void *arg;
};

struct loop {
	int epoll_fd, signal_fd;
	bool turning, stopping, again;
	struct loop_timer **heap; /* [0] has the earliest due_ms */
	struct loop_timer **due;  /* those being called in this turn; NULL: stopped meanwhile */
	size_t timers, room;
	struct list watches, removed, hooks;
	sigset_t signals;
	struct loop_watch *signal_watch;
	struct {
		loop_signal_fn *fn;
		void *arg;
	} handlers[SIGNALS];
	struct epoll_event fetched[EVENTS_A_TURN];
};

struct loop *loop_new(void)
{
	struct loop *l = mem_new(sizeof(*l));

	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd < 0)
		abort(); /* nothing can be done without a loop */
	l->signal_fd = -1;
	(void)sigemptyset(&l->signals);
	list_init(&l->watches);
	list_init(&l->removed);
	list_init(&l->hooks);
	return l;
}

static void free_watches(struct list *head)
{
	struct list *node;

	while ((node = list_pop(head)))
		free(list_owner(node, struct loop_watch, node));
}

void loop_free(struct loop *l)
{
	struct list *node;

	if (!l)
		return;
	assert(!l->turning);
	free_watches(&l->watches);
	free_watches(&l->removed);
	while ((node = list_pop(&l->hooks)))
		free(list_owner(node, struct hook, node));
	for (size_t i = 0; i < l->timers; i++)
		l->heap[i]->place = 0;
	free(l->heap);
	free(l->due);
	if (l->signal_fd >= 0)
		close(l->signal_fd);
	close(l->epoll_fd);
	free(l);
}

/* ---- descriptors ---- */

static uint32_t to_epoll(unsigned events)
{
	return (events & LOOP_READ ? (uint32_t)EPOLLIN : 0) |
	       (events & LOOP_WRITE ? (uint32_t)EPOLLOUT : 0);
}

/* An error or a hang-up wakes whoever waits, who then learns it from read() or write(). */
static unsigned from_epoll(uint32_t got)
{
	if (got & (EPOLLERR | EPOLLHUP))
		return LOOP_READ | LOOP_WRITE;
	return (got & EPOLLIN ? LOOP_READ : 0) | (got & EPOLLOUT ? LOOP_WRITE : 0);
}

/*
 * A watch of nothing leaves epoll, which reports errors and hang-ups unasked and would spin.
 * Leaving a descriptor that is closed already is no error: the kernel took it out itself.
 */
static void tell_epoll(struct loop_watch *w, unsigned events)
{
	struct epoll_event event = {.events = to_epoll(events), .data.ptr = w};
	int op = w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int rc;

	if (!events) {
		(void)epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_DEL, w->fd, &event);
		return;
	}
	rc = epoll_ctl(w->loop->epoll_fd, op, w->fd, &event);
	assert(rc == 0);
}

struct loop_watch *loop_watch(struct loop *l, int fd, unsigned events, loop_fd_fn *fn, void *arg)
{
	struct loop_watch *w = mem_new(sizeof(*w));

	w->loop = l;
	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	list_init(&w->node);
	list_add_tail(&l->watches, &w->node);
	loop_watch_set(w, events);
	return w;
}

void loop_watch_set(struct loop_watch *w, unsigned events)
{
	assert(!w->removed);
	if (events == w->events)
		return;
	tell_epoll(w, events);
	w->events = events;
}

void loop_unwatch(struct loop_watch *w)
{
	if (!w)
		return;
	loop_watch_set(w, 0);
	w->removed = true;
	list_remove(&w->node);
	/* Its events may have been fetched already, so it stays until the turn ends. */
	list_add_tail(&w->loop->removed, &w->node);
}

/* One that was removed meanwhile is watched for nothing. */
static void call_watch(struct loop_watch *w, uint32_t got)
{
	unsigned events = from_epoll(got) & w->events;

	if (events)
		w->fn(w->arg, w->fd, events);
}

/* ---- timers: a binary heap ---- */

static void place_timer(struct loop *l, size_t at, struct loop_timer *t)
{
	l->heap[at] = t;
	t->place = at + 1;
}

static void sift_up(struct loop *l, size_t at, struct loop_timer *t)
{
	while (at > 0 && t->due_ms < l->heap[(at - 1) / 2]->due_ms) {
		place_timer(l, at, l->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place_timer(l, at, t);
}

static void sift_down(struct loop *l, size_t at, struct loop_timer *t)
{
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < l->timers && l->heap[child + 1]->due_ms < l->heap[child]->due_ms)
			child++;
		if (child >= l->timers || t->due_ms <= l->heap[child]->due_ms)
			break;
		place_timer(l, at, l->heap[child]);
		at = child;
	}
	place_timer(l, at, t);
}

static void take_out(struct loop *l, size_t at)
{
	struct loop_timer *last = l->heap[--l->timers];

	l->heap[at]->place = 0;
	if (at == l->timers)
		return;
	if (at > 0 && last->due_ms < l->heap[(at - 1) / 2]->due_ms)
		sift_up(l, at, last);
	else
		sift_down(l, at, last);
}

void loop_timer_init(struct loop_timer *t, struct loop *l, loop_fn *fn, void *arg)
{
	*t = (struct loop_timer){.loop = l, .fn = fn, .arg = arg};
}

void loop_timer_set(struct loop_timer *t, int64_t in_ms)
{
	struct loop *l = t->loop;
	int64_t now_ms = clock_age_ms();

	loop_timer_stop(t);
	if (in_ms < 0)
		in_ms = 0;
	if (__builtin_add_overflow(now_ms, in_ms, &t->due_ms))
		t->due_ms = INT64_MAX;
	if (l->timers == l->room) {
		l->room = l->room ? 2 * l->room : 64;
		l->heap = mem_grow(l->heap, l->room * sizeof(struct loop_timer *));
		l->due = mem_grow(l->due, l->room * sizeof(struct loop_timer *));
	}
	sift_up(l, l->timers++, t);
}

void loop_timer_stop(struct loop_timer *t)
{
	if (t->place & DUE_BIT)
		t->loop->due[t->place & ~DUE_BIT] = NULL;
	else if (t->place)
		take_out(t->loop, t->place - 1);
	t->place = 0;
}

bool loop_timer_running(const struct loop_timer *t)
{
	return t->place != 0;
}

/*
 * Those that are due are taken out first and called then, so that a timer set
 * again inside waits for the next turn, and one stopped inside is not called.
 */
static void call_timers(struct loop *l)
{
	int64_t now_ms = clock_age_ms();
	size_t count = 0;

	while (l->timers && l->heap[0]->due_ms <= now_ms) {
		struct loop_timer *t = l->heap[0];

		take_out(l, 0);
		l->due[count] = t;
		t->place = DUE_BIT | count++;
	}
	for (size_t i = 0; i < count; i++) {
		struct loop_timer *t = l->due[i];

		if (!t)
			continue;
		t->place = 0;
		t->fn(t->arg);
	}
}

/* ---- before each sleep ---- */

void loop_before_sleep(struct loop *l, loop_fn *fn, void *arg)
{
	struct hook *h = mem_new(sizeof(*h));

	h->fn = fn;
	h->arg = arg;
	list_add_tail(&l->hooks, &h->node);
}

void loop_before_sleep_remove(struct loop *l, loop_fn *fn, void *arg)
{
	list_each(it, &l->hooks) {
		struct hook *h = list_owner(it, struct hook, node);

		if (h->fn == fn && h->arg == arg)
			h->fn = NULL;
	}
}

/* Only here are hooks freed, so a hook may remove any, itself too. */
static void call_hooks(struct loop *l)
{
	list_each_safe(it, &l->hooks) {
		struct hook *h = list_owner(it, struct hook, node);

		if (h->fn)
			h->fn(h->arg);
		if (h->fn)
			continue;
		list_remove(it);
		free(h);
	}
}

void loop_again(struct loop *l)
{
	l->again = true;
}

/* ---- turns ---- */

static int wait_ms(const struct loop *l, int max_wait_ms)
{
	int64_t left_ms;

	if (l->again || l->stopping)
		return 0;
	if (!l->timers)
		return max_wait_ms;
	left_ms = l->heap[0]->due_ms - clock_age_ms();
	if (left_ms < 0)
		left_ms = 0;
	if (max_wait_ms >= 0 && left_ms > max_wait_ms)
		return max_wait_ms;
	return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

void loop_turn(struct loop *l, int max_wait_ms)
{
	int wait, count;

	assert(!l->turning);
	l->turning = true;
	call_hooks(l);
	wait = wait_ms(l, max_wait_ms);
	l->again = false;
	count = epoll_wait(l->epoll_fd, l->fetched, EVENTS_A_TURN, wait);
	assert(count >= 0 || errno == EINTR);
	for (int i = 0; i < count; i++)
		call_watch(l->fetched[i].data.ptr, l->fetched[i].events);
	/* After the descriptors: an answer that is here already beats its own time-out. */
	call_timers(l);
	free_watches(&l->removed);
	l->turning = false;
}

void loop_run(struct loop *l)
{
	while (!l->stopping)
		loop_turn(l, -1);
	l->stopping = false;
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
}

/* ---- signals ---- */

static void take_signals(void *arg, int fd, unsigned events)
{
	struct loop *l = arg;
	struct signalfd_siginfo info;

	(void)events;
	while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		int signo = (int)info.ssi_signo;

		l->handlers[signo].fn(l->handlers[signo].arg, signo);
	}
}

void loop_signal(struct loop *l, int signo, loop_signal_fn *fn, void *arg)
{
	int rc;

	assert(signo > 0 && signo < SIGNALS);
	l->handlers[signo].fn = fn;
	l->handlers[signo].arg = arg;
	(void)sigaddset(&l->signals, signo);
	rc = pthread_sigmask(SIG_BLOCK, &l->signals, NULL);
	assert(rc == 0);
	l->signal_fd = signalfd(l->signal_fd, &l->signals, SFD_NONBLOCK | SFD_CLOEXEC);
	assert(l->signal_fd >= 0);
	if (!l->signal_watch)
		l->signal_watch = loop_watch(l, l->signal_fd, LOOP_READ, take_signals, l);
}
