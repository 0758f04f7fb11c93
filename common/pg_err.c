#include "common/pg_private.h"

#include <string.h>

/* https://www.postgresql.org/docs/15/errcodes-appendix.html */
static const struct {
	char class[3];
	enum err_kind kind;
} kinds[] = {
	{"08", ERR_TRANSIENT}, /* connection exception, of a foreign server */
	{"22", ERR_REJECTED},  /* data exception */
	{"23", ERR_REJECTED},  /* constraint violation */
	{"40", ERR_TRANSIENT}, /* serialization failure, deadlock */
	{"42", ERR_REJECTED},  /* syntax, access rule */
	{"53", ERR_TRANSIENT}, /* insufficient resources */
	{"54", ERR_REJECTED},  /* program limit: too much in one statement */
	{"55", ERR_TRANSIENT}, /* object in use, lock not available */
	{"57", ERR_TRANSIENT}, /* operator intervention, statement_timeout */
	{"58", ERR_TRANSIENT}, /* system error */
	{"P0", ERR_REJECTED},  /* raised by PL/pgSQL */
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 0;
}

int pg_sqlstate(const char five[6])
{
	int value = 0;

	for (int i = 0; i < 5 && five[i]; i++)
		value = value * 36 + digit(five[i]);
	return value;
}

bool pg_ends_session(const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	return severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/*
 * What no row names ends the session too: a new one plans anew (0A000), finds the
 * primary (25006), logs in again (28) and forgets what was broken (XX).
 */
static enum err_kind kind_of(const PGresult *result, const char *state)
{
	if (pg_ends_session(result))
		return ERR_FATAL;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strncmp(kinds[i].class, state, 2) == 0)
			return kinds[i].kind;
	return ERR_FATAL;
}

int pg_err_result(struct err *err, const char *what, const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	/* Without a SQLSTATE it is libpq's own: the session broke. */
	if (!state || strlen(state) != 5)
		return err_set(err, ERR_FATAL, 0, "%s: no answer from the server", what);
	return err_set(err, kind_of(result, state), pg_sqlstate(state), "%s: %.180s (SQLSTATE %s)",
		what, text ? text : "unknown error", state);
}

/* One line of many; those that begin with a tab are hints. */
static void flatten(const char *from, char *to, size_t size)
{
	size_t len = 0;

	for (; *from && len + 3 < size; from++) {
		if (*from == '\n' && from[1] == '\t')
			from += strcspn(from + 1, "\n");
		else if (*from == '\n' && from[1]) {
			to[len++] = ';';
			to[len++] = ' ';
		} else if (*from != '\n')
			to[len++] = *from;
	}
	to[len] = '\0';
}

int pg_err_session(struct err *err, const char *what, int code, const PGconn *conn)
{
	char text[200];

	flatten(conn ? PQerrorMessage(conn) : "", text, sizeof(text));
	return err_set(err, ERR_FATAL, code, "%s%s%s", what, text[0] ? ": " : "", text);
}
