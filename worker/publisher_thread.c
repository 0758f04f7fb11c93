#include "worker/publisher_thread.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/mem.h"

#define INIT_TIMEOUT_MS 30000

struct publisher_thread {
	const struct config_pair *pairs;
	size_t pair_count;
	const char *transactional_id;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t given;
	struct job *todo, *done;
	bool stop;
	int fd;
	struct kafka_producer *producer; /* of the thread alone */
};

void job_free(struct job *job)
{
	if (!job)
		return;
	arena_release(&job->arena);
	free(job);
}

/* ---- on the thread ---- */

static int fence(struct publisher_thread *t, const struct job *job, struct err *err)
{
	for (size_t i = 0; i < job->id_count; i++) {
		struct kafka_producer *p = NULL;
		int rc;

		if (kafka_producer_open(t->pairs, t->pair_count, job->ids[i], &p, err) < 0)
			return -1;
		rc = kafka_producer_init(p, INIT_TIMEOUT_MS, err);
		kafka_producer_close(p);
		if (rc < 0)
			return -1;
	}
	return 0;
}

static void close_producer(struct publisher_thread *t)
{
	if (t->producer)
		kafka_producer_close(steal(&t->producer));
}

static int open_producer(struct publisher_thread *t, struct err *err)
{
	close_producer(t);
	if (kafka_producer_open(t->pairs, t->pair_count, t->transactional_id, &t->producer, err) <
		0)
		return -1;
	return kafka_producer_init(t->producer, INIT_TIMEOUT_MS, err);
}

static int publish(struct publisher_thread *t, const struct job *job, struct err *err)
{
	if (!t->producer)
		return err_set(err, ERR_TRANSIENT, 0, "there is no producer");
	if (kafka_producer_begin(t->producer, err) < 0)
		return -1;
	for (size_t i = 0; i < job->record_count; i++)
		if (kafka_producer_send(t->producer, &job->records[i], err) < 0)
			return -1;
	return kafka_producer_commit(t->producer, err);
}

static void run(struct publisher_thread *t, struct job *job)
{
	int rc = 0;

	switch (job->kind) {
	case JOB_FENCE:
		rc = fence(t, job, &job->err);
		break;
	case JOB_OPEN:
		rc = open_producer(t, &job->err);
		break;
	case JOB_PUBLISH:
		rc = publish(t, job, &job->err);
		job->unusual = t->producer && kafka_producer_poll(t->producer);
		break;
	case JOB_CLOSE:
		close_producer(t);
		break;
	}
	if (rc < 0)
		close_producer(t);
	job->ok = rc == 0;
}

static struct job *wait_job(struct publisher_thread *t)
{
	struct job *job;

	pthread_mutex_lock(&t->lock);
	while (!t->todo && !t->stop)
		pthread_cond_wait(&t->given, &t->lock);
	job = t->stop ? NULL : steal(&t->todo);
	pthread_mutex_unlock(&t->lock);
	return job;
}

static void *thread_main(void *arg)
{
	struct publisher_thread *t = arg;
	struct job *job;

	while ((job = wait_job(t))) {
		run(t, job);
		pthread_mutex_lock(&t->lock);
		t->done = job;
		pthread_mutex_unlock(&t->lock);
		(void)!write(t->fd, &(uint64_t){1}, sizeof(uint64_t));
	}
	close_producer(t);
	return NULL;
}

/* ---- on the loop ---- */

struct publisher_thread *publisher_thread_new(
	const struct config_pair *pairs, size_t pair_count, const char *transactional_id)
{
	struct publisher_thread *t = mem_new(sizeof(*t));
	sigset_t all, old;
	int rc;

	t->pairs = pairs;
	t->pair_count = pair_count;
	t->transactional_id = transactional_id;
	t->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert(t->fd >= 0);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->given, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&t->thread, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	assert(rc == 0);
	(void)rc;
	return t;
}

void publisher_thread_free(struct publisher_thread *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->given);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	job_free(t->todo);
	job_free(t->done);
	pthread_cond_destroy(&t->given);
	pthread_mutex_destroy(&t->lock);
	close(t->fd);
	free(t);
}

int publisher_thread_fd(const struct publisher_thread *t)
{
	return t->fd;
}

void publisher_thread_give(struct publisher_thread *t, struct job *job)
{
	pthread_mutex_lock(&t->lock);
	assert(!t->todo && !t->done);
	t->todo = job;
	pthread_cond_signal(&t->given);
	pthread_mutex_unlock(&t->lock);
}

struct job *publisher_thread_take(struct publisher_thread *t)
{
	struct job *job;
	uint64_t count;

	(void)!read(t->fd, &count, sizeof(count));
	pthread_mutex_lock(&t->lock);
	job = steal(&t->done);
	pthread_mutex_unlock(&t->lock);
	return job;
}
