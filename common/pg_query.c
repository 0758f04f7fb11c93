#include "common/pg_private.h"

#include <assert.h>
#include <stdlib.h>

#include "common/mem.h"

void pg_query_free(struct pg_query *q)
{
	pg_args_release(&q->args);
	free(q);
}

struct pg_query *pg_query_pop(struct pg *pg)
{
	struct list *node = list_pop(&pg->queries);

	if (!node)
		return NULL;
	pg->waiting--;
	return list_owner(node, struct pg_query, node);
}

/* ---- sending ---- */

static bool is_prepared(const struct pg *pg, const struct pg_statement *statement)
{
	for (size_t i = 0; i < pg->prepared_count; i++)
		if (pg->prepared[i] == statement)
			return true;
	return false;
}

static void note_prepared(struct pg *pg, const struct pg_statement *statement)
{
	size_t size = (pg->prepared_count + 1) * sizeof(const struct pg_statement *);

	pg->prepared = mem_grow(pg->prepared, size);
	pg->prepared[pg->prepared_count++] = statement;
}

void pg_flush(struct pg *pg)
{
	int left = PQflush(pg->conn);

	if (left < 0)
		pg_lose_session(pg, "session lost");
	else if (pg->watch)
		loop_watch_set(pg->watch, LOOP_READ | (left ? LOOP_WRITE : 0));
}

static void run(struct pg *pg, const struct pg_statement *statement, const struct pg_args *args)
{
	const char *values[PG_ARGS_MAX];
	int formats[PG_ARGS_MAX];

	for (unsigned i = 0; i < args->count; i++) {
		const char *bytes = args->bytes.data ? args->bytes.data : "";

		values[i] = args->lengths[i] < 0 ? NULL : bytes + args->starts[i];
		formats[i] = 1;
	}
	assert(args->depth == 0);
	pg->state = PG_RUNNING;
	if (PQsendQueryPrepared(pg->conn, statement->name, (int)args->count, values, args->lengths,
		    formats, 1) != 1)
		pg_lose_session(pg, "could not send a query");
	else
		pg_flush(pg);
}

static void prepare(struct pg *pg, const struct pg_query *q)
{
	pg->state = PG_PREPARING;
	if (PQsendPrepare(pg->conn, q->statement->name, q->statement->sql, (int)q->args.count,
		    q->args.types) != 1)
		pg_lose_session(pg, "could not send a statement");
	else
		pg_flush(pg);
}

void pg_start_next(struct pg *pg)
{
	struct pg_query *q;

	if (!pg_is_alive(pg) || pg->state != PG_IDLE || list_empty(&pg->queries))
		return;
	q = list_owner(pg->queries.next, struct pg_query, node);
	if (is_prepared(pg, q->statement))
		run(pg, q->statement, &q->args);
	else
		prepare(pg, q);
}

static void args_copy(struct pg_args *to, const struct pg_args *from)
{
	*to = *from;
	to->bytes = (struct buf){0};
	buf_add(&to->bytes, from->bytes.data, from->bytes.len);
}

void pg_send(struct pg *pg, const struct pg_statement *st, const struct pg_args *args,
	pg_answer_fn *fn, void *arg)
{
	struct pg_query *q = mem_new(sizeof(*q));
	bool at_once = pg_is_alive(pg) && pg->state == PG_IDLE && list_empty(&pg->queries) &&
	               is_prepared(pg, st);

	assert(!pg->closed);
	q->statement = st;
	q->fn = fn;
	q->arg = arg;
	list_add_tail(&pg->queries, &q->node);
	pg->waiting++;
	if (at_once) { /* libpq has its own copy then */
		run(pg, st, args);
		return;
	}
	args_copy(&q->args, args);
	if (pg->state == PG_LOST)
		loop_timer_set(&pg->timer, 0);
	pg_start_next(pg);
}

/* ---- receiving ---- */

static void answer_first(struct pg *pg, const PGresult *result)
{
	struct pg_query *q = pg_query_pop(pg);
	struct pg_rows rows = {.result = result};
	struct err err = {0};

	pg->state = PG_IDLE;
	if (pg_is_failure(result)) {
		(void)pg_err_result(&err, q->statement->name, result);
		q->fn(q->arg, NULL, &err);
	} else {
		q->fn(q->arg, &rows, &err);
	}
	pg_query_free(q);
}

/* libpq has given every result of what was under way. */
static void finish(struct pg *pg)
{
	struct pg_query *first = list_owner(pg->queries.next, struct pg_query, node);
	PGresult *result = steal(&pg->result);
	bool failed = !result || pg_is_failure(result);
	struct err err = {0};

	if (result && failed)
		(void)pg_err_result(&err, first->statement->name, result);
	if (!result || PQstatus(pg->conn) == CONNECTION_BAD) {
		if (err.code) /* the server said why */
			pg_lose(pg, &err);
		else
			pg_lose_session(pg, "session lost");
	} else if (pg->state == PG_PREPARING && !failed) {
		note_prepared(pg, first->statement);
		run(pg, first->statement, &first->args);
	} else {
		answer_first(pg, result);
		pg_start_next(pg);
	}
	PQclear(result);
}

static void keep_result(struct pg *pg, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
		struct err err;

		(void)err_set(&err, ERR_FATAL, 0, "cannot run a COPY");
		pg_lose(pg, &err);
	}
	if (pg->result && pg_is_failure(pg->result)) {
		PQclear(result);
		return;
	}
	PQclear(pg->result);
	pg->result = result;
}

static bool under_way(const struct pg *pg)
{
	return pg->state == PG_PREPARING || pg->state == PG_RUNNING;
}

static void take_results(struct pg *pg)
{
	while (pg_is_alive(pg) && under_way(pg) && !PQisBusy(pg->conn)) {
		PGresult *result = PQgetResult(pg->conn);

		if (result)
			keep_result(pg, result);
		else
			finish(pg);
	}
}

static void take_notifications(struct pg *pg)
{
	PGnotify *n;

	while (!pg->closed && (n = PQnotifies(pg->conn))) {
		if (pg->handlers.notified)
			pg->handlers.notified(pg->arg, n->relname, n->extra);
		PQfreemem(n);
	}
}

void pg_receive(struct pg *pg)
{
	take_results(pg);
	take_notifications(pg);
}
