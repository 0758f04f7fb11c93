#include "common/pg_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

struct pg_sync {
	PGconn *conn;
};

static void pq_clearp(PGresult **result)
{
	PQclear(*result);
}

static void ignore_notice(void *arg, const PGresult *notice)
{
	(void)arg;
	(void)notice;
}

int pg_sync_open(const char *conninfo, const char *password, struct pg_sync **ret, struct err *err)
{
	freed_by(pg_sync_closep) struct pg_sync *s = mem_new(sizeof(*s));
	struct pg_settings settings;

	if (pg_settings_init(&settings, conninfo, password, err) < 0)
		return -1;
	s->conn = PQconnectdbParams(settings.words, settings.values, 0);
	pg_settings_release(&settings);
	if (!s->conn || PQstatus(s->conn) != CONNECTION_OK)
		return pg_err_session(err, "could not connect", 0, s->conn);
	(void)PQsetErrorVerbosity(s->conn, PQERRORS_TERSE);
	(void)PQsetNoticeReceiver(s->conn, ignore_notice, NULL);
	*ret = steal(&s);
	return 0;
}

void pg_sync_close(struct pg_sync *s)
{
	if (!s)
		return;
	PQfinish(s->conn);
	free(s);
}

/* The line the server points at, from 1; 0: none.  Positions count characters, not bytes. */
static int line_of(const char *sql, const PGresult *result)
{
	const char *text = PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
	long left = text ? strtol(text, NULL, 10) : 0;
	int line = 1;

	if (left <= 0)
		return 0;
	for (; *sql; sql++) {
		if (((unsigned char)*sql & 0xc0) == 0x80)
			continue;
		if (--left <= 0)
			break;
		if (*sql == '\n')
			line++;
	}
	return line;
}

static int fail(const struct pg_sync *s, const char *sql, const PGresult *result, struct err *err)
{
	char what[40] = "query";
	int line = result ? line_of(sql, result) : 0;

	if (!result || !PQresultErrorField(result, PG_DIAG_SQLSTATE))
		return pg_err_session(err, "session lost", 0, s->conn);
	if (line > 0)
		(void)snprintf(what, sizeof(what), "line %d", line);
	return pg_err_result(err, what, result);
}

static bool is_done(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
	       status == PGRES_EMPTY_QUERY;
}

int pg_sync_run(struct pg_sync *s, const char *sql, struct err *err)
{
	freed_by(pq_clearp) PGresult *result = PQexec(s->conn, sql);

	return is_done(result) ? 0 : fail(s, sql, result, err);
}

int pg_sync_value(struct pg_sync *s, const char *sql, const char *const *params, int count,
	char **ret, struct err *err)
{
	freed_by(pq_clearp) PGresult *result =
		PQexecParams(s->conn, sql, count, NULL, params, NULL, NULL, 0);
	bool any;

	if (!is_done(result))
		return fail(s, sql, result, err);
	any = PQntuples(result) > 0 && PQnfields(result) > 0 && !PQgetisnull(result, 0, 0);
	*ret = any ? mem_text(PQgetvalue(result, 0, 0)) : NULL;
	return 0;
}

int pg_library_version(void)
{
	return PQlibVersion();
}
