#include "worker/check_private.h"

#include "common/mem.h"
#include "common/pg.h"
#include "worker/migrations.h"

#define OLDEST_SERVER 150000

/*
 * All of it from the catalogue, which everybody may read: a role without rights gets an answer,
 * and no error.  The worker calls functions; a table it could write would be a way around them.
 */
static const struct pg_statement st_rights = {"rights",
	"SELECT current_user::text, current_setting('server_version'),"
	" current_setting('server_version_num')::integer, pg_is_in_recovery(),"
	" (SELECT bool_and(has_schema_privilege(n.oid, 'USAGE')"
	" AND has_function_privilege(p.oid, 'EXECUTE'))"
	" FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
	" WHERE (n.nspname, p.proname) IN (('ledger', 'tick'), ('gov', 'schema_version'))),"
	" (SELECT min(n.nspname || '.' || c.relname)"
	" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
	" WHERE n.nspname IN ('gov', 'ledger', 'vault', 'audit')"
	" AND c.relkind IN ('r', 'p', 'v', 'm')"
	" AND has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE'))"};
static const struct pg_statement st_version = {"version", "SELECT gov.schema_version()"};

struct probe {
	struct pg *pg;
	struct pg_args args;
	bool done;
	struct err err; /* why it failed; ERR_NONE: it did not */

	char *user, *server; /* owned */
	int32_t server_version;
	bool read_only;
	bool has_schema, may_run;
	char *open_table; /* owned; NULL: none, as it should be */
	int32_t schema_version;
};

static void probe_release(struct probe *p)
{
	pg_close(p->pg);
	pg_args_release(&p->args);
	mem_freep(&p->user);
	mem_freep(&p->server);
	mem_freep(&p->open_table);
}

static void end(struct probe *p, const struct err *err)
{
	if (p->done)
		return;
	p->done = true;
	if (err)
		p->err = *err;
}

static void on_version(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct probe *p = arg;

	if (rows && pg_count(rows))
		p->schema_version = pg_int4(rows, 0, 0);
	end(p, rows ? NULL : err);
}

static void on_rights(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct probe *p = arg;

	if (!rows) {
		end(p, err);
		return;
	}
	p->user = mem_slice_text(pg_slice(rows, 0, 0));
	p->server = mem_slice_text(pg_slice(rows, 0, 1));
	p->server_version = pg_int4(rows, 0, 2);
	p->read_only = pg_bool(rows, 0, 3);
	p->has_schema = !pg_null(rows, 0, 4);
	p->may_run = pg_bool(rows, 0, 4);
	p->open_table = mem_slice_text(pg_slice(rows, 0, 5));
	if (p->may_run)
		pg_send(p->pg, &st_version, &p->args, on_version, p);
	else
		end(p, NULL);
}

static void on_ready(void *arg)
{
	struct probe *p = arg;

	pg_send(p->pg, &st_rights, &p->args, on_rights, p);
}

static void on_lost(void *arg, const struct err *err)
{
	end(arg, err);
}

/* ---- the verdicts ---- */

static void judge_rights(struct check *c, const struct probe *p)
{
	if (p->server_version < OLDEST_SERVER)
		check_fail(c, "postgresql", "PostgreSQL %s is too old: 15 or later is needed",
			p->server);
	else if (p->read_only)
		check_fail(c, "postgresql",
			"a standby answers: postgres.url is to lead to the primary");
	else if (!p->has_schema)
		check_fail(c, "postgresql",
			"connected as %s, but there is no ledger: run onbehalf migrate", p->user);
	else if (!p->may_run)
		check_fail(c, "postgresql",
			"%s may not run ledger.tick: GRANT onbehalf_worker TO \"%s\"", p->user,
			p->user);
	else if (p->open_table)
		check_fail(c, "postgresql",
			"%s may reach %s, and perhaps more, past the functions: log in as a role "
			"that "
			"is a member of onbehalf_worker alone",
			p->user, p->open_table);
	else
		check_ok("postgresql", "PostgreSQL %s, as %s: ledger.tick and no table", p->server,
			p->user);
}

static void judge_schema(struct check *c, const struct probe *p)
{
	int found = p->schema_version, ours = migrations_count;

	if (!p->has_schema)
		check_fail(c, "schema", "none: run onbehalf migrate");
	else if (!p->may_run)
		check_fail(c, "schema", "not tried, since %s may not ask", p->user);
	else if (found == ours)
		check_ok("schema", "version %d", found);
	else if (found == ours + 1)
		check_ok("schema", "version %d, one newer than this binary's: it works with it",
			found);
	else if (found == ours - 1)
		check_ok("schema",
			"version %d, one older than this binary's: it works with it; run "
			"onbehalf migrate",
			found);
	else if (found < ours)
		check_fail(c, "schema", "version %d, this binary's is %d: run onbehalf migrate",
			found, ours);
	else
		check_fail(c, "schema", "version %d, this binary's is %d: use the newer release",
			found, ours);
}

void check_postgres(struct check *c)
{
	static const struct pg_handlers handlers = {.ready = on_ready, .lost = on_lost};
	const struct options *o = c->options;
	freed_by(probe_release) struct probe p = {0};

	p.pg = pg_open(c->loop, o->postgres.url, o->postgres.password, &handlers, &p);
	if (!check_wait(c, &p.done))
		(void)err_set(
			&p.err, ERR_TRANSIENT, 0, "no answer within %d s", CHECK_LIMIT_MS / 1000);
	if (p.err.kind != ERR_NONE) {
		check_fail(c, "postgresql", "%s: see [postgres] in the configuration", p.err.text);
		check_fail(c, "schema", "not tried, since PostgreSQL does not answer");
		return;
	}
	judge_rights(c, &p);
	judge_schema(c, &p);
}
