#include "common/pg.h"

#include <assert.h>
#include <stdlib.h>

#include "common/mem.h"
#include "common/pg_private.h"

static void disconnect(struct pg *pg)
{
	loop_unwatch(pg->watch);
	pg->watch = NULL;
	PQclear(steal(&pg->result));
	PQfinish(steal(&pg->conn));
}

/* A handler may close the session that calls it. */
static void unuse(struct pg *pg)
{
	if (--pg->users > 0)
		return;
	free(pg->prepared);
	free(pg);
}

/* The end is told from the timer: never from inside a call of ours. */
void pg_lose(struct pg *pg, const struct err *reason)
{
	if (pg->reason.kind != ERR_NONE)
		return;
	pg->reason = *reason;
	pg->reason.kind = ERR_FATAL;
	loop_unwatch(pg->watch);
	pg->watch = NULL;
	loop_timer_set(&pg->timer, 0);
}

void pg_lose_session(struct pg *pg, const char *what)
{
	struct err err = pg->last_words;

	if (pg->result && pg_is_failure(pg->result) &&
		PQresultErrorField(pg->result, PG_DIAG_SQLSTATE))
		(void)pg_err_result(&err, what, pg->result);
	else if (err.kind == ERR_NONE)
		(void)pg_err_session(&err, what, 0, pg->conn);
	pg_lose(pg, &err);
}

/* Notices are of no interest, but an idle session learns its end from one. */
static void take_notice(void *arg, const PGresult *notice)
{
	struct pg *pg = arg;

	if (pg_ends_session(notice))
		(void)pg_err_result(&pg->last_words, "session lost", notice);
}

static void on_session(void *arg, int fd, unsigned events)
{
	struct pg *pg = arg;
	bool open = true;

	(void)fd;
	pg->users++;
	if (events & LOOP_READ)
		open = PQconsumeInput(pg->conn) == 1;
	if (open)
		pg_flush(pg);
	pg_receive(pg);
	if (!open && pg_is_alive(pg))
		pg_lose_session(pg, "session lost");
	unuse(pg);
}

/* ---- beginning ---- */

static void on_connecting(void *arg, int fd, unsigned events);

static void wait_for(struct pg *pg, PostgresPollingStatusType status)
{
	unsigned events = status == PGRES_POLLING_READING ? LOOP_READ : LOOP_WRITE;
	int fd = PQsocket(pg->conn);

	if (fd < 0) {
		pg_lose_session(pg, "could not connect");
		return;
	}
	pg->watch = loop_watch(pg->loop, fd, events, on_connecting, pg);
}

static void on_connected(struct pg *pg)
{
	loop_timer_stop(&pg->timer);
	if (PQsetnonblocking(pg->conn, 1) != 0) {
		pg_lose_session(pg, "could not connect");
		return;
	}
	pg->watch = loop_watch(pg->loop, PQsocket(pg->conn), LOOP_READ, on_session, pg);
	pg->state = PG_IDLE;
	if (pg->handlers.ready)
		pg->handlers.ready(pg->arg);
	pg_start_next(pg);
}

static void on_connecting(void *arg, int fd, unsigned events)
{
	struct pg *pg = arg;
	PostgresPollingStatusType status;

	(void)fd;
	(void)events;
	pg->users++;
	/* libpq may close this socket and go on with another, even of the same number. */
	loop_unwatch(steal(&pg->watch));
	status = PQconnectPoll(pg->conn);
	if (status == PGRES_POLLING_OK)
		on_connected(pg);
	else if (status == PGRES_POLLING_FAILED)
		pg_lose_session(pg, "could not connect");
	else
		wait_for(pg, status);
	unuse(pg);
}

/* Answers what is open now; what a handler sends meanwhile is answered next time. */
static void answer_lost(struct pg *pg)
{
	for (size_t left = pg->waiting; left > 0 && !pg->closed; left--) {
		struct pg_query *q = pg_query_pop(pg);

		q->fn(q->arg, NULL, &pg->reason);
		pg_query_free(q);
	}
}

static void on_timer(void *arg)
{
	struct pg *pg = arg;
	bool first = pg->state != PG_LOST;
	struct err err;

	pg->users++;
	if (pg->reason.kind == ERR_NONE) {
		(void)err_set(&err, ERR_FATAL, 0, "could not connect: no answer in time");
		pg_lose(pg, &err);
		loop_timer_stop(&pg->timer);
	}
	pg->state = PG_LOST;
	disconnect(pg);
	answer_lost(pg);
	if (first && !pg->closed)
		pg->handlers.lost(pg->arg, &pg->reason);
	unuse(pg);
}

static void start(struct pg *pg, const char *conninfo, const char *password)
{
	struct pg_settings s;
	struct err err;

	if (pg_settings_init(&s, conninfo, password, &err) < 0) {
		pg_lose(pg, &err);
		return;
	}
	pg->conn = PQconnectStartParams(s.words, s.values, 0);
	if (!pg->conn || PQstatus(pg->conn) == CONNECTION_BAD) {
		pg_lose_session(pg, "could not connect");
	} else {
		(void)PQsetErrorVerbosity(pg->conn, PQERRORS_TERSE); /* no DETAIL, which has data */
		(void)PQsetNoticeReceiver(pg->conn, take_notice, pg);
		loop_timer_set(&pg->timer, s.connect_timeout_ms);
		wait_for(pg, PGRES_POLLING_WRITING);
	}
	pg_settings_release(&s);
}

struct pg *pg_open(struct loop *l, const char *conninfo, const char *password,
	const struct pg_handlers *handlers, void *arg)
{
	struct pg *pg = mem_new(sizeof(*pg));

	pg->loop = l;
	pg->handlers = *handlers;
	pg->arg = arg;
	pg->users = 1;
	list_init(&pg->queries);
	loop_timer_init(&pg->timer, l, on_timer, pg);
	start(pg, conninfo, password);
	return pg;
}

void pg_close(struct pg *pg)
{
	struct pg_query *q;

	if (!pg || pg->closed)
		return;
	pg->closed = true;
	loop_timer_stop(&pg->timer);
	disconnect(pg);
	while ((q = pg_query_pop(pg)))
		pg_query_free(q);
	unuse(pg);
}

size_t pg_waiting(const struct pg *pg)
{
	return pg->waiting;
}

int pg_backend_pid(const struct pg *pg)
{
	return pg->conn ? PQbackendPID(pg->conn) : 0;
}
