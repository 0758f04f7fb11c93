#include "timer.h"

#include <pthread.h>
#include <time.h>

struct job {
	int64_t due_ms;
	uint64_t number; /* equal times keep their order */
	timer_work *work;
	void *what;
};

struct timer {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct job *heap; /* the earliest is first */
	size_t count;
	size_t size;
	uint64_t last_number;
	bool stopping;
};

static int64_t clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool earlier(const struct job *a, const struct job *b)
{
	return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->number < b->number);
}

static void swap_jobs(struct timer *timer, size_t a, size_t b)
{
	struct job job = timer->heap[a];

	timer->heap[a] = timer->heap[b];
	timer->heap[b] = job;
}

static struct job take_first(struct timer *timer)
{
	struct job first = timer->heap[0];
	size_t at = 0;

	timer->heap[0] = timer->heap[--timer->count];
	for (;;) {
		size_t least = at;

		for (size_t child = 2 * at + 1; child <= 2 * at + 2; child++)
			if (child < timer->count &&
				earlier(&timer->heap[child], &timer->heap[least]))
				least = child;
		if (least == at)
			return first;
		swap_jobs(timer, at, least);
		at = least;
	}
}

/* Waits for the first job to be due, or for something to change. */
static void wait_a_while(struct timer *timer)
{
	int64_t due_ms;
	struct timespec until;

	if (!timer->count) {
		pthread_cond_wait(&timer->changed, &timer->mutex);
		return;
	}
	due_ms = timer->heap[0].due_ms;
	until = (struct timespec){due_ms / 1000, due_ms % 1000 * 1000000};
	(void)pthread_cond_timedwait(&timer->changed, &timer->mutex, &until);
}

static void *run(void *cls)
{
	struct timer *timer = cls;

	pthread_mutex_lock(&timer->mutex);
	while (timer->count || !timer->stopping) {
		struct job job;

		if (!timer->count || (!timer->stopping && timer->heap[0].due_ms > clock_ms())) {
			wait_a_while(timer);
			continue;
		}
		job = take_first(timer);
		pthread_mutex_unlock(&timer->mutex);
		job.work(job.what);
		pthread_mutex_lock(&timer->mutex);
	}
	pthread_mutex_unlock(&timer->mutex);
	return NULL;
}

struct timer *timer_new(void)
{
	struct timer *timer = must(calloc(1, sizeof(*timer)));
	pthread_condattr_t attributes;

	pthread_mutex_init(&timer->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&timer->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&timer->thread, NULL, run, timer) != 0)
		abort();
	return timer;
}

void timer_stop(struct timer *timer)
{
	pthread_mutex_lock(&timer->mutex);
	timer->stopping = true;
	pthread_cond_signal(&timer->changed);
	pthread_mutex_unlock(&timer->mutex);
	pthread_join(timer->thread, NULL);
}

void timer_free(struct timer *timer)
{
	if (!timer)
		return;
	pthread_cond_destroy(&timer->changed);
	pthread_mutex_destroy(&timer->mutex);
	free(timer->heap);
	free(timer);
}

void timer_add(struct timer *timer, int64_t delay_ms, timer_work *work, void *what)
{
	size_t at;

	pthread_mutex_lock(&timer->mutex);
	if (timer->stopping) {
		pthread_mutex_unlock(&timer->mutex);
		work(what);
		return;
	}
	if (timer->count == timer->size) {
		timer->size = timer->size ? timer->size * 2 : 64;
		timer->heap = must(realloc(timer->heap, timer->size * sizeof(struct job)));
	}
	at = timer->count++;
	timer->heap[at] = (struct job){clock_ms() + delay_ms, ++timer->last_number, work, what};
	while (at && earlier(&timer->heap[at], &timer->heap[(at - 1) / 2])) {
		swap_jobs(timer, at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
	pthread_cond_signal(&timer->changed);
	pthread_mutex_unlock(&timer->mutex);
}
