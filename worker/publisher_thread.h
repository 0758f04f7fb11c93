/*
 * worker/publisher_thread.h - the thread that talks to the transactional producer.
 *
 * One job at a time: the loop gives it, the thread does it, an eventfd tells
 * the loop.  A job is owned by the thread between give and take.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/base.h"
#include "common/config.h"
#include "common/err.h"
#include "common/kafka.h"

enum job_kind {
	JOB_FENCE,   /* init and close a producer of each id in @ids */
	JOB_OPEN,    /* new handle, init_transactions */
	JOB_PUBLISH, /* one transaction of @records */
	JOB_CLOSE,   /* close the handle */
};

struct job {
	enum job_kind kind;
	struct arena arena; /* records, ids and what they point to */
	struct kafka_record *records;
	size_t record_count;
	const char **ids;
	size_t id_count;

	/* the result */
	bool ok;
	bool unusual; /* it worked, but a transport error was seen: the handle is not to be trusted
	               */
	struct err err;
};

struct publisher_thread; /* opaque */

struct publisher_thread *publisher_thread_new(
	const struct config_pair *pairs, size_t pair_count, const char *transactional_id);
/** Ends after the job under way; closes the producer. */
void publisher_thread_free(struct publisher_thread *t);
/** Readable when a job is done. */
int publisher_thread_fd(const struct publisher_thread *t);
void publisher_thread_give(struct publisher_thread *t, struct job *job);
/** The finished job, or NULL. */
struct job *publisher_thread_take(struct publisher_thread *t);
void job_free(struct job *job);
