#include "worker/migrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/pg.h"
#include "worker/migrations.h"

/* "onbehalf" as a number: whoever migrates this database holds it. */
#define LOCK_KEY "8029463373330607206"

/*
 * Another migrator may take long, and so may a migration; but a table that is in use is not
 * waited for, since those behind us would wait, too.
 */
#define SETTINGS                                                                                   \
	"SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;"                  \
	" SET client_min_messages = warning; SET search_path = pg_catalog"
#define TAKE_LOCK                                                                                  \
	"SET lock_timeout = '10min'; SELECT pg_advisory_lock(" LOCK_KEY "); SET lock_timeout = "   \
	"'5s'"

#define OWNER "onbehalf_owner"
/* Not to_regclass(), which wants rights on the schema. */
#define FIND_TABLE                                                                                 \
	"SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                   \
	" WHERE n.nspname = 'gov' AND c.relname = 'migration'"

/* ---- what is there ---- */

/* A whole number; 0 where the answer is NULL. */
static int ask_number(struct pg_sync *s, const char *sql, int *ret, struct err *err)
{
	freed_by(mem_freep) char *text = NULL;

	if (pg_sync_value(s, sql, NULL, 0, &text, err) < 0)
		return -1;
	*ret = text ? (int)strtol(text, NULL, 10) : 0;
	return 0;
}

/* The number of the last migration that was applied; 0 in a database that has none. */
static int ask_version(struct pg_sync *s, int *ret, struct err *err)
{
	freed_by(mem_freep) char *table = NULL;

	if (pg_sync_value(s, FIND_TABLE, NULL, 0, &table, err) < 0)
		return -1;
	if (!table) {
		*ret = 0;
		return 0;
	}
	if (pg_sync_run(s, "SET ROLE " OWNER, err) < 0 ||
		ask_number(s, "SELECT max(number) FROM gov.migration", ret, err) < 0 ||
		pg_sync_run(s, "RESET ROLE", err) < 0)
		return err_prefix(err, "could not read gov.migration");
	return 0;
}

static int check_applied(struct pg_sync *s, const struct migration *m, struct err *err)
{
	freed_by(mem_freep) char *number = mem_textf("%d", m->number);
	freed_by(mem_freep) char *checksum = NULL;
	const char *const params[] = {number};

	if (pg_sync_value(s, "SELECT checksum FROM gov.migration WHERE number = $1::integer",
		    params, 1, &checksum, err) < 0)
		return err_prefix(err, "could not read gov.migration");
	if (!checksum)
		return err_set(err, ERR_FATAL, 0,
			"migration %04d_%s was never applied, but later ones were", m->number,
			m->name);
	if (strcmp(checksum, m->checksum) != 0)
		return err_set(err, ERR_FATAL, 0,
			"migration %04d_%s is not the one that was applied: it was changed since "
			"(SHA-256 %.12s… here, %.12s… in the database)",
			m->number, m->name, m->checksum, checksum);
	return 0;
}

static int check_all_applied(struct pg_sync *s, int version, struct err *err)
{
	if (!version)
		return 0;
	if (version > migrations_count + 1)
		return err_set(err, ERR_FATAL, 0,
			"the database has schema version %d, this binary knows %d: a newer release "
			"is in use",
			version, migrations_count);
	if (pg_sync_run(s, "SET ROLE " OWNER, err) < 0)
		return -1;
	for (int i = 0; i < migrations_count && i < version; i++)
		if (check_applied(s, &migrations[i], err) < 0)
			return -1;
	return pg_sync_run(s, "RESET ROLE", err);
}

/* ---- one migration ---- */

static int note(struct pg_sync *s, const struct migration *m, struct err *err)
{
	freed_by(mem_freep) char *number = mem_textf("%d", m->number);
	freed_by(mem_freep) char *none = NULL;
	const char *const params[] = {number, m->name, m->checksum};

	/* the migrator became a member of the owner in 0001, and the file may have left any role */
	if (pg_sync_run(s, "SET ROLE " OWNER, err) < 0)
		return -1;
	return pg_sync_value(s,
		"INSERT INTO gov.migration (number, name, checksum) VALUES ($1::integer, $2, $3)",
		params, ARRAY_LEN(params), &none, err);
}

static int apply_and_note(struct pg_sync *s, const struct migration *m, struct err *err)
{
	if (pg_sync_run(s, "BEGIN", err) < 0 || pg_sync_run(s, m->text, err) < 0 ||
		note(s, m, err) < 0)
		return -1;
	return pg_sync_run(s, "RESET ROLE; COMMIT", err);
}

static int apply(struct pg_sync *s, const struct migration *m, struct err *err)
{
	if (apply_and_note(s, m, err) < 0) /* the end of the session rolls it back */
		return err_prefix(err, "%04d_%s", m->number, m->name);
	printf("%04d_%s: applied\n", m->number, m->name);
	(void)fflush(stdout);
	return 0;
}

/* ---- the reasons ---- */

/* A newer release has loaded its own list, and that holds ours: codes are added, never removed. */
static int load_reasons(struct pg_sync *s, int version, struct err *err)
{
	if (version > migrations_count)
		return 0;
	if (pg_sync_run(s, "BEGIN; SET LOCAL ROLE " OWNER, err) < 0 ||
		pg_sync_run(s, migrations_reasons, err) < 0 || pg_sync_run(s, "COMMIT", err) < 0)
		return err_prefix(err, "could not load the reasons");
	return 0;
}

/* ---- all of them ---- */

static void report(int version, int applied)
{
	if (version > migrations_count)
		printf("schema version %d: one newer than this binary's %d, which works with it\n",
			version, migrations_count);
	else if (applied)
		printf("schema version %d: %d applied\n", migrations_count, applied);
	else
		printf("schema version %d: nothing to do\n", version);
}

int migrate_run(const char *conninfo, const char *password, struct err *err)
{
	freed_by(pg_sync_closep) struct pg_sync *s = NULL; /* ends the lock, too */
	int version = 0;

	if (pg_sync_open(conninfo, password, &s, err) < 0 || pg_sync_run(s, SETTINGS, err) < 0)
		return -1;
	if (pg_sync_run(s, TAKE_LOCK, err) < 0)
		return err_prefix(err, "could not get the migrators' lock");
	if (ask_version(s, &version, err) < 0 || check_all_applied(s, version, err) < 0)
		return -1;
	for (int i = version; i < migrations_count; i++)
		if (apply(s, &migrations[i], err) < 0)
			return -1;
	if (load_reasons(s, version, err) < 0)
		return -1;
	report(version, migrations_count - version);
	return 0;
}
