#include "worker/publisher.h"

#include <assert.h>
#include <stdlib.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/outcome_record.h"
#include "worker/publisher_thread.h"

#define BATCH_MAX 2000 /* outcomes a transaction */
#define ORIGINAL_HEADERS_MAX 64
#define BATCH_BYTES                                                                                \
	8000000 /* values a transaction: a backlog of big lead.invalid must not fill the queue */

enum state {
	PUBLISHER_CLOSED,
	PUBLISHER_FENCING,
	PUBLISHER_OPENING,
	PUBLISHER_PROVING,
	PUBLISHER_READY,
};

struct invalid { /* a lead.invalid in the batch under way */
	struct partition *partition;
	int64_t offset;
};

struct publisher {
	const struct options *options;
	const struct secret_ring *ring;
	struct ledger *ledger;
	struct publisher_handlers handlers;
	void *arg;
	struct publisher_thread *thread;
	struct loop_watch *watch;
	struct loop_timer timer; /* pause before the start path is run again */

	enum state state;
	bool opened_once;
	bool busy;     /* the thread has a job, */
	bool stale;    /* of partitions that were given back */
	bool fetching; /* the ledger is asked */
	bool starved;  /* nothing to do until bytes or outcomes come */
	bool wanted;   /* publisher_work() came meanwhile */
	int failures;
	size_t keep_bytes; /* of the original record in a lead.invalid */
	struct partition *const *partitions;
	size_t count;
	char **unfenced;
	size_t unfenced_count;
	struct invalid invalids[BATCH_MAX];
	size_t invalid_count;
};

static void feed(struct publisher *p);

static void give(struct publisher *p, struct job *job)
{
	assert(!p->busy);
	p->busy = true;
	publisher_thread_give(p->thread, job);
}

static struct job *job_new(enum job_kind kind)
{
	struct job *job = mem_new(sizeof(*job));

	job->kind = kind;
	return job;
}

/* ---- the start path ---- */

static void start_fence(struct publisher *p)
{
	struct job *job = job_new(JOB_FENCE);

	p->state = PUBLISHER_FENCING;
	job->ids = arena_alloc(&job->arena, (p->unfenced_count + 1) * sizeof(*job->ids));
	for (size_t i = 0; i < p->unfenced_count; i++)
		job->ids[job->id_count++] = arena_text(&job->arena, p->unfenced[i]);
	give(p, job);
}

static void start_open(struct publisher *p)
{
	p->state = PUBLISHER_OPENING;
	give(p, job_new(JOB_OPEN));
}

static void on_proved(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct publisher *p = arg;
	struct pg_items epochs;
	struct slice epoch;
	struct err e;

	if (p->state != PUBLISHER_PROVING)
		return;
	if (!rows || pg_null(rows, 0, 0)) {
		(void)err_set(&e, ERR_FATAL, 0, "%s",
			rows ? "a partition was taken by another worker" : err->text);
		p->state = PUBLISHER_CLOSED;
		p->handlers.over(p->arg, &e);
		return;
	}
	epochs = pg_items(rows, 0, 0);
	for (size_t i = 0; i < p->count && pg_item(&epochs, &epoch); i++)
		p->partitions[i]->epoch = pg_item_int8(epoch);
	p->state = PUBLISHER_READY;
	p->failures = 0;
	if (!p->opened_once) {
		p->opened_once = true;
		p->handlers.opened(p->arg);
	}
	feed(p);
}

static void start_prove(struct publisher *p)
{
	p->state = PUBLISHER_PROVING;
	ledger_prove(p->ledger, p->partitions, p->count, on_proved, p);
}

static void start_path(struct publisher *p)
{
	if (p->unfenced_count)
		start_fence(p);
	else
		start_open(p);
}

static void on_timer(void *arg)
{
	struct publisher *p = arg;

	if (!p->busy && p->count)
		start_path(p);
}

/* What was handed over counts for nothing; the start path runs again after a pause. */
static void start_again(struct publisher *p)
{
	for (size_t i = 0; i < p->count; i++)
		p->partitions[i]->handed = p->partitions[i]->confirmed;
	p->invalid_count = 0;
	p->starved = false;
	p->state = PUBLISHER_OPENING;
	loop_timer_set(
		&p->timer, p->failures ? 100 + backoff_ms((unsigned)p->failures, 200, 5000) : 0);
}

/* ---- feeding ---- */

/* The record of a row, or false when a lead.invalid waits for its bytes. */
static bool add_record(struct publisher *p, struct job *job, const struct pg_rows *rows, int row,
	struct partition **ret)
{
	struct outcome x;
	struct kafka_header headers[ORIGINAL_HEADERS_MAX];
	struct outcome_origin origin = {.headers = headers, .keep_bytes = p->keep_bytes};

	ledger_outcome(rows, row, &x, &origin.offset);
	*ret = NULL;
	for (size_t i = 0; i < p->count; i++)
		if (p->partitions[i]->number == x.partition)
			*ret = p->partitions[i];
	assert(*ret);
	if (x.type == OUTCOME_INVALID) {
		struct kafka_message *m = partition_held(*ret, origin.offset);

		if (!m)
			return false;
		origin.value = kafka_message_value(m);
		while (origin.header_count < ORIGINAL_HEADERS_MAX &&
			kafka_message_header(m, origin.header_count, &headers[origin.header_count]))
			origin.header_count++;
		p->invalids[p->invalid_count++] = (struct invalid){*ret, origin.offset};
	}
	outcome_record_write(
		&x, &origin, p->options, p->ring, &job->arena, &job->records[job->record_count++]);
	(*ret)->handed = x.sequence;
	return true;
}

static struct job *make_batch(struct publisher *p, const struct pg_rows *rows)
{
	struct job *job = job_new(JOB_PUBLISH);
	struct partition *stuck = NULL, *of = NULL;
	size_t bytes = 0;

	job->records =
		arena_alloc(&job->arena, (size_t)(pg_count(rows) + 1) * sizeof(*job->records));
	for (int row = 0; row < pg_count(rows) && bytes < BATCH_BYTES; row++) {
		if (stuck && pg_int4(rows, row, 0) == stuck->number)
			continue; /* its order stands still, the other partitions' does not */
		if (!add_record(p, job, rows, row, &of)) {
			stuck = of;
			continue;
		}
		bytes += job->records[job->record_count - 1].value.len;
	}
	return job;
}

static void on_outcomes(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct publisher *p = arg;
	struct job *job;

	p->fetching = false;
	if (!rows) {
		log_error("could not read outcomes", F_TEXT("error", err->text));
		return;
	}
	if (p->state != PUBLISHER_READY || p->busy)
		return;
	job = make_batch(p, rows);
	if (!job->record_count) {
		p->starved = !p->wanted;
		job_free(job);
		if (!p->starved)
			feed(p);
		return;
	}
	give(p, job);
}

static bool behind(const struct publisher *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->partitions[i]->last_outcome > p->partitions[i]->handed)
			return true;
	return false;
}

static void feed(struct publisher *p)
{
	if (p->state != PUBLISHER_READY || p->busy || p->fetching || p->starved || !behind(p))
		return;
	p->wanted = false;
	p->fetching = true;
	ledger_outcomes(p->ledger, p->partitions, p->count, BATCH_MAX, on_outcomes, p);
}

/* ---- results of the thread ---- */

static void published(struct publisher *p)
{
	for (size_t i = 0; i < p->invalid_count; i++)
		partition_let_go(p->invalids[i].partition, p->invalids[i].offset);
	p->invalid_count = 0;
	for (size_t i = 0; i < p->count; i++)
		p->partitions[i]->confirmed = p->partitions[i]->handed;
	p->handlers.confirmed(p->arg);
}

static void job_failed(struct publisher *p, const struct job *job)
{
	static const char *const doing[] = {
		[JOB_FENCE] = "fencing the worker before us",
		[JOB_OPEN] = "starting the producer",
		[JOB_PUBLISH] = "publishing",
		[JOB_CLOSE] = "closing",
	};

	/* The topic takes less than we thought: a lead.invalid keeps less, so that it cannot stall
	 * the others. */
	if (job->kind == JOB_PUBLISH && job->err.code == KAFKA_TOO_LARGE && p->keep_bytes) {
		p->keep_bytes = p->keep_bytes > 1024 ? p->keep_bytes / 4 : 0;
		log_warn("a record is larger than its topic takes: lead.invalid keeps less of the "
			 "original",
			F_INT("bytes", (int64_t)p->keep_bytes));
	}
	if (p->failures++ % 10 == 0)
		log_warn("Kafka does not take outcomes: trying again",
			F_TEXT("while", doing[job->kind]), F_TEXT("error", job->err.text),
			F_INT("code", job->err.code), F_INT("failures", p->failures));
	start_again(p);
}

static void job_done(struct publisher *p, const struct job *job)
{
	if (!job->ok) {
		job_failed(p, job);
		return;
	}
	switch (job->kind) {
	case JOB_FENCE:
		start_open(p);
		break;
	case JOB_OPEN:
		start_prove(p);
		break;
	case JOB_PUBLISH:
		published(p);
		if (job->unusual)
			start_again(p);
		else
			feed(p);
		break;
	case JOB_CLOSE:
		break;
	}
}

static void on_thread(void *arg, int fd, unsigned events)
{
	struct publisher *p = arg;
	struct job *job = publisher_thread_take(p->thread);

	(void)fd;
	(void)events;
	if (!job)
		return;
	p->busy = false;
	if (!p->stale)
		job_done(p, job);
	else if (p->count)
		start_path(p);
	p->stale = false;
	job_free(job);
}

/* ---- for the session ---- */

struct publisher *publisher_new(struct loop *l, const struct options *o,
	const struct secret_ring *ring, struct ledger *ledger, const char *transactional_id,
	const struct publisher_handlers *h, void *arg)
{
	struct publisher *p = mem_new(sizeof(*p));

	p->options = o;
	p->ring = ring;
	p->ledger = ledger;
	p->handlers = *h;
	p->arg = arg;
	p->keep_bytes = OUTCOME_INVALID_MAX;
	p->thread = publisher_thread_new(o->config.pairs, o->config.pair_count, transactional_id);
	p->watch = loop_watch(l, publisher_thread_fd(p->thread), LOOP_READ, on_thread, p);
	loop_timer_init(&p->timer, l, on_timer, p);
	return p;
}

static void forget_unfenced(struct publisher *p)
{
	for (size_t i = 0; i < p->unfenced_count; i++)
		free(p->unfenced[i]);
	free(steal(&p->unfenced));
	p->unfenced_count = 0;
}

void publisher_free(struct publisher *p)
{
	if (!p)
		return;
	loop_unwatch(p->watch);
	loop_timer_stop(&p->timer);
	publisher_thread_free(p->thread);
	forget_unfenced(p);
	free(p);
}

void publisher_open(struct publisher *p, struct partition *const *partitions, size_t count,
	const char *const *unfenced, size_t unfenced_count)
{
	assert(!p->count);
	p->partitions = partitions;
	p->count = count;
	forget_unfenced(p);
	p->unfenced = mem_new((unfenced_count + 1) * sizeof(*p->unfenced));
	for (size_t i = 0; i < unfenced_count; i++)
		p->unfenced[p->unfenced_count++] = mem_text(unfenced[i]);
	p->opened_once = false;
	p->starved = false;
	p->failures = 0;
	if (!p->busy)
		start_path(p);
}

void publisher_close_partitions(struct publisher *p)
{
	loop_timer_stop(&p->timer);
	p->stale = p->busy;
	p->state = PUBLISHER_CLOSED;
	p->partitions = NULL;
	p->count = 0;
	p->invalid_count = 0;
}

void publisher_work(struct publisher *p)
{
	p->starved = false;
	p->wanted = true;
	feed(p);
}

bool publisher_idle(const struct publisher *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->partitions[i]->confirmed < p->partitions[i]->last_outcome)
			return false;
	return !p->busy && !p->fetching && p->state != PUBLISHER_PROVING;
}

bool publisher_proving(const struct publisher *p)
{
	return p->state == PUBLISHER_PROVING;
}
