#include "worker/ledger.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#include "worker/ledger_private.h"
#include "worker/migrations.h"

static const struct pg_statement st_types = {"types",
	"SELECT t::regtype::oid, (t || '[]')::regtype::oid FROM unnest(ARRAY['ledger.progress_in', "
	"'ledger.signal_in',"
	" 'ledger.answer_in', 'ledger.ended_in', 'ledger.park_in', 'ledger.event_in', "
	"'ledger.call_in'])"
	" WITH ORDINALITY x (t, n) ORDER BY n"};
static const struct pg_statement st_version = {"version", "SELECT gov.schema_version()"};
static const struct pg_statement st_begin = {"begin_session",
	"SELECT ledger.begin_session($1, $2, $3, $4, $5, $6, $7,"
	" (SELECT backend_start FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()))"};
static const struct pg_statement st_listen = {"listen", "LISTEN onbehalf_connection"};
static const struct pg_statement st_take = {"take",
	"SELECT partition, incarnation, epoch, unfenced, position, last_outcome, confirmed, "
	"accepted, takes, CASE WHEN mark_takes >= 2 THEN mark END "
	"FROM ledger.take($1, $2)"};
static const struct pg_statement st_prove = {"prove", "SELECT ledger.prove($1, $2, $3)"};
static const struct pg_statement st_mark = {"mark", "SELECT ledger.mark($1, $2, $3)"};
static const struct pg_statement st_release = {"release", "SELECT ledger.release($1, $2)"};
static const struct pg_statement st_load = {"connections", "SELECT * FROM ledger.connections($1)"};
static const struct pg_statement st_outcomes = {
	"outcomes", "SELECT * FROM ledger.outcomes($1, $2, $3)"};
static const struct pg_statement st_parked = {
	"parked_ready", "SELECT * FROM ledger.parked_ready($1, $2, $3)"};
static const struct pg_statement st_maintain = {"maintain", "SELECT ledger.maintain()"};

/* ---- beginning ---- */

static void end(struct ledger *l, const struct err *err)
{
	if (l->over)
		return;
	l->over = true;
	l->handlers.lost(l->arg, err);
}

static void on_begun(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct ledger *l = arg;

	if (!rows)
		return end(l, err);
	l->handlers.ready(l->arg);
}

static void on_types(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct ledger *l = arg;

	if (!rows)
		return end(l, err);
	assert(pg_count(rows) == LEDGER_TYPES);
	for (int i = 0; i < LEDGER_TYPES; i++) {
		l->types[i].row = (uint32_t)pg_int4(rows, i, 0);
		l->types[i].array = (uint32_t)pg_int4(rows, i, 1);
	}
}

static void on_version(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct ledger *l = arg;
	int32_t found = rows && pg_count(rows) && !pg_null(rows, 0, 0) ? pg_int4(rows, 0, 0) : 0;
	int32_t wanted = (int32_t)migrations_count;
	struct err e;

	if (!rows)
		return end(l, err);
	if (found >= wanted - 1 && found <= wanted + 1)
		return;
	(void)err_set(&e, ERR_REJECTED, 0,
		"the database's schema has version %d, this worker needs %d: run `onbehalf "
		"migrate`",
		(int)found, (int)wanted);
	end(l, &e);
}

static void on_ignored(void *arg, const struct pg_rows *rows, const struct err *err)
{
	(void)arg;
	(void)rows;
	(void)err;
}

static void on_connected(void *arg)
{
	struct ledger *l = arg;
	struct pg_args *a = &l->args;

	pg_args_clear(a);
	pg_send(l->pg, &st_version, a, on_version, l);
	pg_send(l->pg, &st_types, a, on_types, l);
	pg_send(l->pg, &st_listen, a, on_ignored, l);
	pg_put_uuid(a, l->session.id);
	pg_put_text(a, (struct slice){l->session.group, strlen(l->session.group)});
	pg_put_text(a,
		(struct slice){l->session.transactional_id, strlen(l->session.transactional_id)});
	pg_put_text(a, (struct slice){l->session.build, strlen(l->session.build)});
	pg_put_text(a, (struct slice){l->session.host, strlen(l->session.host)});
	pg_put_text(a, (struct slice){l->session.key_id, strlen(l->session.key_id)});
	pg_put_bytes(a, (struct slice){(const char *)l->session.key_fingerprint,
				sizeof(l->session.key_fingerprint)});
	pg_send(l->pg, &st_begin, a, on_begun, l);
}

static void on_lost(void *arg, const struct err *err)
{
	end(arg, err);
}

static void on_notified(void *arg, const char *channel, const char *payload)
{
	struct ledger *l = arg;
	unsigned char id[16];

	(void)channel;
	if (uuid_parse(payload, id))
		l->handlers.changed(l->arg, id);
}

struct ledger *ledger_open(struct loop *loop, const char *conninfo, const char *password,
	const struct ledger_session *s, const struct ledger_handlers *handlers, void *arg)
{
	static const struct pg_handlers pg_handlers = {on_connected, on_lost, on_notified};
	struct ledger *l = mem_new(sizeof(*l));

	l->session = *s;
	l->handlers = *handlers;
	l->arg = arg;
	l->pg = pg_open(loop, conninfo, password, &pg_handlers, l);
	return l;
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	pg_close(l->pg);
	pg_args_release(&l->args);
	free(l);
}

/* ---- questions ---- */

static struct pg_args *new_args(struct ledger *l)
{
	pg_args_clear(&l->args);
	return &l->args;
}

static void put_numbers(struct pg_args *a, struct partition *const *partitions, size_t count)
{
	pg_array_open(a, PG_OID_INT4, LEDGER_OID_INT4_ARRAY);
	for (size_t i = 0; i < count; i++)
		pg_put_int4(a, partitions[i]->number);
	pg_array_close(a);
}

void ledger_take(
	struct ledger *l, const int32_t *partitions, size_t count, ledger_answer_fn *fn, void *arg)
{
	struct pg_args *a = new_args(l);

	pg_put_uuid(a, l->session.id);
	pg_array_open(a, PG_OID_INT4, LEDGER_OID_INT4_ARRAY);
	for (size_t i = 0; i < count; i++)
		pg_put_int4(a, partitions[i]);
	pg_array_close(a);
	pg_send(l->pg, &st_take, a, fn, arg);
}

void ledger_prove(struct ledger *l, struct partition *const *partitions, size_t count,
	ledger_answer_fn *fn, void *arg)
{
	struct pg_args *a = new_args(l);

	pg_put_uuid(a, l->session.id);
	put_numbers(a, partitions, count);
	pg_array_open(a, PG_OID_INT8, LEDGER_OID_INT8_ARRAY);
	for (size_t i = 0; i < count; i++)
		pg_put_int8(a, partitions[i]->epoch);
	pg_array_close(a);
	pg_send(l->pg, &st_prove, a, fn, arg);
}

void ledger_mark(struct ledger *l, const struct partition *p, int64_t offset, ledger_answer_fn *fn,
	void *arg)
{
	struct pg_args *a = new_args(l);

	pg_put_uuid(a, l->session.id);
	pg_put_int4(a, p->number);
	pg_put_int8(a, offset);
	pg_send(l->pg, &st_mark, a, fn, arg);
}

void ledger_release(struct ledger *l, struct partition *const *partitions, size_t count,
	ledger_answer_fn *fn, void *arg)
{
	struct pg_args *a = new_args(l);

	pg_put_uuid(a, l->session.id);
	put_numbers(a, partitions, count);
	pg_send(l->pg, &st_release, a, fn, arg);
}

void ledger_load(struct ledger *l, struct connection *const *connections, size_t count,
	ledger_answer_fn *fn, void *arg)
{
	struct pg_args *a = new_args(l);

	pg_array_open(a, PG_OID_UUID, LEDGER_OID_UUID_ARRAY);
	for (size_t i = 0; i < count; i++)
		pg_put_uuid(a, connections[i]->id);
	pg_array_close(a);
	pg_send(l->pg, &st_load, a, fn, arg);
}

void ledger_outcomes(struct ledger *l, struct partition *const *partitions, size_t count,
	int32_t limit, ledger_answer_fn *fn, void *arg)
{
	struct pg_args *a = new_args(l);

	put_numbers(a, partitions, count);
	pg_array_open(a, PG_OID_INT8, LEDGER_OID_INT8_ARRAY);
	for (size_t i = 0; i < count; i++)
		pg_put_int8(a, partitions[i]->handed);
	pg_array_close(a);
	pg_put_int4(a, limit);
	pg_send(l->pg, &st_outcomes, a, fn, arg);
}

void ledger_outcome(const struct pg_rows *r, int row, struct outcome *o, int64_t *ret_offset)
{
	int c = 0;

	memset(o, 0, sizeof(*o));
	o->partition = pg_int4(r, row, c++);
	o->sequence = pg_int8(r, row, c++);
	o->type = (enum outcome_type)pg_int2(r, row, c++);
	o->status = (enum outcome_status)pg_int2(r, row, c++);
	o->written = (enum outcome_written)pg_int2(r, row, c++);
	o->id = pg_uuid(r, row, c++);
	o->lead_key = pg_uuid(r, row, c++);
	*ret_offset = pg_int8(r, row, c++);
	o->connection_id = pg_uuid(r, row, c++);
	o->connection_epoch = pg_null(r, row, c) ? 0 : pg_int4(r, row, c);
	c++;
	o->org_id = pg_slice(r, row, c++);
	o->lead_id = pg_slice(r, row, c++);
	o->code = pg_slice(r, row, c++);
	o->reason = pg_slice(r, row, c++);
	o->fields = pg_slice(r, row, c++);
	o->connection_state = pg_slice(r, row, c++);
	o->ended_by = pg_slice(r, row, c++);
	o->ended_at_ms = pg_time(r, row, c++);
	o->parked = pg_bool(r, row, c++);
	o->deadline_ms = pg_time(r, row, c++);
	o->attempts = pg_int4(r, row, c++);
	o->accepted_ms = pg_time(r, row, c++);
	o->permitted_ms = pg_time(r, row, c++);
	o->sent_ms = pg_time(r, row, c++);
	o->answered_ms = pg_time(r, row, c++);
	o->recorded_ms = pg_time(r, row, c++);
	o->session = pg_uuid(r, row, c++);
	o->tick = pg_int8(r, row, c++);
	o->tick_hash = (const unsigned char *)pg_slice(r, row, c++).data;
	o->detail = pg_slice(r, row, c++);
	o->event_key = pg_slice(r, row, c++);
	o->event_source = pg_slice(r, row, c++);
	o->event_id = pg_slice(r, row, c++);
	o->traceparent = pg_slice(r, row, c++);
}

void ledger_parked_ready(struct ledger *l, struct partition *const *partitions, size_t count,
	const unsigned char (*skip)[LEAD_KEY_BYTES], size_t skip_count, int32_t limit,
	ledger_answer_fn *fn, void *arg)
{
	struct pg_args *a = new_args(l);

	put_numbers(a, partitions, count);
	pg_array_open(a, PG_OID_UUID, LEDGER_OID_UUID_ARRAY);
	for (size_t i = 0; i < skip_count; i++)
		pg_put_uuid(a, skip[i]);
	pg_array_close(a);
	pg_put_int4(a, limit);
	pg_send(l->pg, &st_parked, a, fn, arg);
}

void ledger_maintain(struct ledger *l)
{
	pg_send(l->pg, &st_maintain, new_args(l), on_ignored, l);
}
