/*
 * common/pg_private.h - what the files of the door to libpq share.
 */
#pragma once

#include <libpq-fe.h>

#include "common/list.h"
#include "common/pg.h"

struct pg_rows {
	const PGresult *result;
};

/** What libpq is to be called with: the caller's settings and our presets for those it left out. */
struct pg_settings {
	const char **words, **values; /* NULL-ended, as PQconnectStartParams() wants them */
	size_t count;
	char *options;              /* owned: ours, then the caller's, so that the caller's win */
	PQconninfoOption *parsed;   /* owned: most values live in it */
	int64_t connect_timeout_ms; /* for all hosts together */
};

/**
 * @password NULL: the one of @conninfo.  Both are borrowed until the release.
 * REJECTED: @conninfo cannot be read.
 */
must_check int pg_settings_init(
	struct pg_settings *s, const char *conninfo, const char *password, struct err *err);
void pg_settings_release(struct pg_settings *s);

/** True when the server says that it closes the session after this. */
bool pg_ends_session(const PGresult *result);
/** Fills @err from a failed @result: the primary message and the SQLSTATE, nothing of the data. */
int pg_err_result(struct err *err, const char *what, const PGresult *result);
/** Fills @err, FATAL, with what @conn says of itself, on one line. */
int pg_err_session(struct err *err, const char *what, int code, const PGconn *conn);

/* ---- the session ---- */

enum pg_state {
	PG_CONNECTING,
	PG_IDLE,
	PG_PREPARING, /* the first query's statement */
	PG_RUNNING,   /* the first query */
	PG_LOST,
};

struct pg_query {
	struct list node;
	const struct pg_statement *statement;
	struct pg_args args; /* empty when it could go out at once */
	pg_answer_fn *fn;
	void *arg;
};

struct pg {
	struct loop *loop;
	PGconn *conn;
	struct loop_watch *watch;
	struct loop_timer timer; /* the time to connect is over; later: the session is lost */
	struct pg_handlers handlers;
	void *arg;
	enum pg_state state;
	struct list queries; /* the first one is under way unless the state is idle */
	size_t waiting;
	const struct pg_statement **prepared;
	size_t prepared_count;
	PGresult *result;      /* of what is under way; a failure stays */
	struct err reason;     /* why it is lost; ERR_NONE: it is not */
	struct err last_words; /* what an idle session was told before it was closed */
	unsigned users;        /* our frames on the stack, and the owner */
	bool closed;
};

static inline bool pg_is_alive(const struct pg *pg)
{
	return !pg->closed && pg->reason.kind == ERR_NONE;
}

static inline bool pg_is_failure(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK &&
	       status != PGRES_EMPTY_QUERY;
}

/** Takes the first query out; NULL when there is none. */
struct pg_query *pg_query_pop(struct pg *pg);
void pg_query_free(struct pg_query *q);
/** Sends the first query when the session is idle. */
void pg_start_next(struct pg *pg);
/** Writes what libpq still holds. */
void pg_flush(struct pg *pg);
/** Takes in what the server sent: answers and notifications. */
void pg_receive(struct pg *pg);
/** The session is over.  The handlers learn it from a timer: never from inside a call of theirs. */
void pg_lose(struct pg *pg, const struct err *reason);
/** The same, with what server or libpq said last. */
void pg_lose_session(struct pg *pg, const char *what);
