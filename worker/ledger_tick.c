/* The tick's parameters, row by row in the order of the types in sql/0005_tick.sql. */
#include "worker/ledger.h"

#include <string.h>

#include "common/fail_point.h"
#include "worker/ledger_private.h"

static const struct pg_statement st_tick = {"tick",
	"SELECT hash, at, last_outcome, signals, parks, park_connections, checks, events, "
	"event_connections,"
	" event_attempts, event_unanswered, calls, call_leads, permitted_at"
	" FROM ledger.tick($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"};

static void put_optional(struct pg_args *a, const char *text)
{
	pg_put_text(
		a, text && *text ? (struct slice){text, strlen(text)} : (struct slice){NULL, 0});
}

static void open_rows(struct ledger *l, int type)
{
	pg_array_open(&l->args, l->types[type].row, l->types[type].array);
}

static void put_progress(struct ledger *l, const struct ledger_tick *t)
{
	struct pg_args *a = &l->args;

	open_rows(l, TYPE_PROGRESS);
	for (size_t i = 0; i < t->partition_count; i++) {
		const struct partition *p = t->partitions[i];

		pg_row_open(a, 7);
		pg_put_int4(a, p->number);
		pg_put_int8(a, p->epoch);
		pg_put_bool(a, p->joins);
		pg_put_int8(a, partition_position(p));
		pg_put_int8(a, p->accepted);
		pg_put_int8(a, p->confirmed);
		pg_put_null(a, LEDGER_OID_INT8_ARRAY);
		pg_row_close(a);
	}
	pg_array_close(a);
}

static void put_signals(struct ledger *l, const struct ledger_tick *t)
{
	struct pg_args *a = &l->args;

	open_rows(l, TYPE_SIGNAL);
	list_each(it, t->signals) {
		const struct ledger_signal *s = list_owner(it, struct ledger_signal, node);

		pg_row_open(a, 8);
		pg_put_uuid(a, s->connection->id);
		pg_put_int4(a, s->epoch);
		put_optional(a, s->event);
		put_optional(a, s->reason);
		put_optional(a, s->org_id);
		put_optional(a, s->sf_user_id);
		put_optional(a, s->host);
		put_optional(a, NULL);
		pg_row_close(a);
	}
	pg_array_close(a);
}

static void put_answers(struct ledger *l, const struct ledger_tick *t)
{
	struct pg_args *a = &l->args;

	open_rows(l, TYPE_ANSWER);
	for (size_t i = 0; i < t->answer_count; i++) {
		const struct ledger_answer *x = &t->answers[i];

		pg_row_open(a, 9);
		pg_put_int8(a, x->tick);
		pg_put_int4(a, x->n);
		pg_put_int2(a, (int16_t)x->result);
		put_optional(a, x->class);
		pg_put_int4(a, x->status);
		put_optional(a, x->code);
		pg_array_open(a, PG_OID_UUID, LEDGER_OID_UUID_ARRAY);
		list_each(it, x->open)
			pg_put_uuid(a, list_owner(it, struct lead, node)->event.key);
		pg_array_close(a);
		pg_put_time(a, x->sent_ms);
		pg_put_time(a, x->answered_ms);
		pg_row_close(a);
	}
	pg_array_close(a);
}

static void put_one_ended(struct pg_args *a, const struct ledger_ended *x)
{
	const struct lead *lead = x->lead;

	pg_row_open(a, 25);
	pg_put_uuid(a, lead->event.key);
	pg_put_int4(a, lead->partition->number);
	pg_put_int8(a, lead->offset);
	pg_put_int4(a, lead->incarnation);
	pg_put_int2(a, (int16_t)x->status);
	pg_put_int2(a, (int16_t)x->written);
	pg_put_uuid(a, lead->connection ? lead->connection->id : NULL);
	pg_put_int4(a, x->epoch);
	put_optional(a, x->org_id);
	put_optional(a, x->lead_id);
	put_optional(a, x->code);
	put_optional(a, x->reason);
	pg_put_text(a, lead->result.fields);
	pg_put_int4(a, lead->attempts);
	if (x->permit_tick) {
		pg_put_int8(a, x->permit_tick);
		pg_put_int4(a, x->permit_n);
	} else {
		pg_put_null(a, PG_OID_INT8);
		pg_put_null(a, PG_OID_INT4);
	}
	pg_put_time(a, lead->accepted_ms);
	pg_put_time(a, x->permitted_ms);
	pg_put_time(a, x->sent_ms);
	pg_put_time(a, x->answered_ms);
	pg_put_bool(a, lead->parked);
	pg_put_bytes(a, lead->event_key);
	pg_put_text(a, lead->event.source);
	pg_put_text(a, lead->event.id);
	pg_put_text(a, lead->event.traceparent);
	pg_row_close(a);
}

static void put_ended(struct ledger *l, const struct ledger_tick *t)
{
	open_rows(l, TYPE_ENDED);
	for (size_t i = 0; i < t->ended_count; i++)
		put_one_ended(&l->args, &t->ended[i]);
	pg_array_close(&l->args);
}

static void put_parks(struct ledger *l, const struct ledger_tick *t)
{
	struct pg_args *a = &l->args;

	open_rows(l, TYPE_PARK);
	for (size_t i = 0; i < t->park_count; i++) {
		const struct lead *lead = t->parks[i].lead;

		pg_row_open(a, 6);
		pg_put_uuid(a, lead->event.key);
		put_optional(a, lead_park_name(lead->park));
		pg_put_int8(a, lead->park_wait_ms);
		pg_put_int4(a, lead->attempts);
		pg_put_int4(a, lead->unanswered);
		pg_put_bytes(a, t->parks[i].payload);
		pg_row_close(a);
	}
	pg_array_close(a);
}

static void put_checks(struct ledger *l, const struct ledger_tick *t)
{
	pg_array_open(&l->args, PG_OID_UUID, LEDGER_OID_UUID_ARRAY);
	for (size_t i = 0; i < t->check_count; i++)
		pg_put_uuid(&l->args, t->checks[i]);
	pg_array_close(&l->args);
}

static void put_one_event(struct pg_args *a, const struct lead *lead, const char *digest_key)
{
	const struct lead_event *e = &lead->event;
	bool ok = e->verdict == LEAD_OK;

	pg_row_open(a, 17);
	pg_put_int4(a, lead->partition->number);
	pg_put_int8(a, lead->offset);
	pg_put_uuid(a, e->key);
	pg_put_int2(a, (int16_t)e->verdict);
	pg_put_bytes(a, ok ? (struct slice){(const char *)e->digest, sizeof(e->digest)}
			   : (struct slice){NULL, 0});
	put_optional(a, ok ? digest_key : NULL);
	put_optional(a, ok ? NULL : reason_code(e->reason));
	put_optional(a, ok ? NULL : e->path);
	pg_put_text(a, lead->result.fields);
	pg_put_bytes(a, lead->event_key);
	pg_put_text(a, fail_point(FAIL_TICK_REFUSES, e->id) ? SLICE("\xff") : e->source);
	pg_put_text(a, e->id);
	pg_put_text(a, e->user_id);
	pg_put_text(a, e->organization_id);
	pg_put_text(a, e->traceparent);
	pg_put_time(a, e->expiry_wall_ms);
	pg_put_time(a, lead->record_time_ms);
	pg_row_close(a);
}

static void put_events(struct ledger *l, const struct ledger_tick *t)
{
	open_rows(l, TYPE_EVENT);
	for (size_t i = 0; i < t->event_count; i++)
		put_one_event(&l->args, t->events[i], t->digest_key);
	pg_array_close(&l->args);
}

enum lead_number { LEAD_PLACE, LEAD_ATTEMPTS, LEAD_UNANSWERED };

static void put_numbers_of(struct pg_args *a, const struct list *leads, enum lead_number which)
{
	pg_array_open(a, PG_OID_INT4, LEDGER_OID_INT4_ARRAY);
	list_each(it, leads) {
		const struct lead *lead = list_owner(it, struct lead, node);
		const int32_t numbers[] = {
			[LEAD_PLACE] = lead->tick_event,
			[LEAD_ATTEMPTS] = lead->attempts,
			[LEAD_UNANSWERED] = lead->unanswered,
		};

		pg_put_int4(a, numbers[which]);
	}
	pg_array_close(a);
}

static void put_one_call(struct pg_args *a, const struct ledger_call *x)
{
	pg_row_open(a, 11);
	pg_put_int2(a, (int16_t)x->kind);
	pg_put_uuid(a, x->connection->id);
	pg_put_int4(a, x->connection->epoch);
	put_optional(a, x->connection->org_id);
	put_optional(a, x->connection->sf_user_id);
	put_optional(a, x->connection->host);
	pg_array_open(a, PG_OID_UUID, LEDGER_OID_UUID_ARRAY);
	list_each(it, x->leads)
		pg_put_uuid(a, list_owner(it, struct lead, node)->event.key);
	pg_array_close(a);
	put_numbers_of(a, x->leads, LEAD_PLACE);
	pg_array_open(a, PG_OID_TIMESTAMPTZ, LEDGER_OID_TIMESTAMPTZ_ARRAY);
	list_each(it, x->leads)
		pg_put_time(a, list_owner(it, struct lead, node)->deadline_ms);
	pg_array_close(a);
	put_numbers_of(a, x->leads, LEAD_ATTEMPTS);
	put_numbers_of(a, x->leads, LEAD_UNANSWERED);
	pg_row_close(a);
}

static void put_calls(struct ledger *l, const struct ledger_tick *t)
{
	open_rows(l, TYPE_CALL);
	for (size_t i = 0; i < t->call_count; i++)
		put_one_call(&l->args, &t->calls[i]);
	pg_array_close(&l->args);
}

void ledger_tick(struct ledger *l, const struct ledger_tick *t, ledger_answer_fn *fn, void *arg)
{
	pg_args_clear(&l->args);
	pg_put_uuid(&l->args, l->session.id);
	pg_put_int8(&l->args, t->number);
	pg_put_bytes(&l->args,
		t->prev_hash ? (struct slice){(const char *)t->prev_hash, LEDGER_HASH_BYTES}
			     : SLICE(""));
	put_progress(l, t);
	put_signals(l, t);
	put_answers(l, t);
	put_ended(l, t);
	put_parks(l, t);
	put_checks(l, t);
	put_events(l, t);
	put_calls(l, t);
	pg_send(l->pg, &st_tick, &l->args, fn, arg);
}
