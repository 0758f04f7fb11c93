/* What a committed tick means for everything that was in it. */
#include "worker/tick.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/kafka.h"
#include "common/log.h"
#include "worker/tick_private.h"

#define FENCE_WAIT_MS 5 /* the fence was busy: permits are asked again after it */
#define HELD_WAIT_MS 5000

/* The record is needed no more. */
static void finish(struct tick *t, struct lead *lead)
{
	if (lead->parked)
		parked_left(t->parts.parked, lead);
	else
		(void)window_end(lead->partition->window, lead->offset);
	t->dirty = true;
	lead_free(lead);
}

/* ---- settled ---- */

static void log_ended(const struct ledger_ended *x)
{
	char key[LEAD_KEY_TEXT];

	if (!log_enabled(x->status == STATUS_REJECTED ? LOG_INFO : LOG_DEBUG))
		return;
	lead_key_text(x->lead->event.key, key);
	log_write(x->status == STATUS_REJECTED ? LOG_INFO : LOG_DEBUG, "lead ended",
		(const struct log_field[]){
			F_TEXT("lead", key),
			F_TEXT("status", outcome_status_name(x->status)),
			F_TEXT("code", x->code),
			F_TEXT("reason", x->reason),
			F_TEXT("connection", x->lead->connection->text),
			{NULL, NULL, 0},
		});
}

static void count_ended(struct tick *t, const struct ledger_ended *x)
{
	if (x->status == STATUS_CREATED)
		t->stats.created++;
	else if (x->status == STATUS_UPDATED)
		t->stats.updated++;
	else
		t->stats.rejected++;
}

static void settle(struct tick *t)
{
	size_t i = 0;

	for (size_t k = 0; k < t->ended_count; k++) {
		log_ended(&t->ended[k]);
		count_ended(t, &t->ended[k]);
		finish(t, (struct lead *)t->ended[k].lead);
	}
	while (!list_empty(&t->answered)) {
		struct call *call = list_owner(list_pop(&t->answered), struct call, node);
		struct list *open = &t->open_lists[i++];
		struct list *node;

		call->count = 0;
		list_each(it, open)
			call->count++;
		while ((node = list_pop(open)))
			lanes_go_on(t->parts.lanes, call, list_owner(node, struct lead, node));
		call_free(call);
	}
	t->answer_count = 0;
	t->ended_count = 0;
}

static void answer_signals(struct tick *t, const struct pg_rows *rows)
{
	struct pg_items verdicts = pg_items(rows, 0, TICK_SIGNALS);
	struct slice verdict;

	while (!list_empty(&t->signals)) {
		struct ledger_signal *s =
			list_owner(list_pop(&t->signals), struct ledger_signal, node);

		if (pg_item(&verdicts, &verdict) && pg_item_int2(verdict) != 0) {
			list_add_tail(lanes_signals(t->parts.lanes),
				&s->node); /* the fence was busy: once more */
			loop_timer_set(&t->timer, FENCE_WAIT_MS);
			continue;
		}
		tick_load(t, s->connection);
		free(s);
	}
}

/* ---- parked and checked ---- */

static void go_on(struct tick *t, struct lead *lead, struct slice connection)
{
	if (connection.data)
		lead->connection = connections_get(
			t->parts.connections, (const unsigned char *)connection.data);
	lanes_add(t->parts.lanes, lead);
}

static void answer_parks(struct tick *t, const struct pg_rows *rows)
{
	struct pg_items verdicts = pg_items(rows, 0, TICK_PARKS);
	struct pg_items connections = pg_items(rows, 0, TICK_PARK_CONNECTIONS);
	struct slice verdict = {0}, connection = {0};

	while (!list_empty(&t->parking)) {
		struct lead *lead = list_owner(list_pop(&t->parking), struct lead, node);

		(void)pg_item(&verdicts, &verdict);
		(void)pg_item(&connections, &connection);
		if (pg_item_int2(verdict) == PARK_GO_ON) {
			go_on(t, lead, connection);
			continue;
		}
		t->stats.other += pg_item_int2(verdict) != PARKED_NOW;
		finish(t, lead);
		parked_look(t->parts.parked);
	}
	t->park_count = 0;
}

static void answer_checks(struct tick *t)
{
	for (size_t i = 0; i < t->check_count; i++)
		parked_checked(t->parts.parked, t->checks[i]);
	t->check_count = 0;
}

/* ---- accepted ---- */

static void place(struct tick *t, struct lead *lead, const unsigned char *connection, int64_t at_ms)
{
	struct connection *c = connections_get(t->parts.connections, connection);

	connections_note_subject(t->parts.connections, lead->event.source, lead->event.user_id,
		lead->event.organization_id, c);
	lead->accepted_ms = at_ms;
	kafka_message_free(steal(&lead->message));
	if (lead->connection != c) {
		lanes_withdraw(t->parts.lanes, lead);
		lead->connection = c;
	}
	if (list_empty(&lead->node)) /* else it is in its lane, in a call, or about to be parked */
		lanes_add(t->parts.lanes, lead);
}

static void to_park(struct tick *t, struct lead *lead, enum lead_park why,
	const unsigned char *connection, int64_t at_ms)
{
	lead->connection = connection ? connections_get(t->parts.connections, connection) : NULL;
	lead->accepted_ms = at_ms;
	lead->park = why;
	lead->park_wait_ms = 0;
	kafka_message_free(steal(&lead->message));
	lanes_park(t->parts.lanes, lead);
}

/* Its lead.invalid needs the bytes until it is published. */
static void hold(struct tick *t, struct lead *lead)
{
	partition_hold(lead->partition, lead->offset, steal(&lead->message));
	lead_free(lead);
	publisher_work(t->parts.publisher);
}

/* Ended by the ledger at acceptance: refused by the decoder, or by where its connection stands. */
static void log_refused(const struct lead *lead)
{
	char key[LEAD_KEY_TEXT];
	bool rejected = lead->event.verdict == LEAD_REJECTED;

	lead_key_text(lead->event.key, key);
	log_info("lead refused", F_TEXT("lead", key),
		F_TEXT("reason", rejected ? reason_code(lead->event.reason) : "see its outcome"),
		F_INT("partition", lead->partition->number), F_INT("offset", lead->offset));
}

static void accept_one(struct tick *t, struct lead *lead, enum accept_verdict verdict,
	const unsigned char *connection, int64_t at_ms)
{
	if (verdict != ACCEPT_GO && verdict != ACCEPT_OPEN)
		lanes_withdraw(t->parts.lanes, lead);
	switch (verdict) {
	case ACCEPT_GO:
	case ACCEPT_OPEN:
		place(t, lead, connection, at_ms);
		break;
	case ACCEPT_PARK:
		to_park(t, lead, PARK_STATE, connection, at_ms);
		break;
	case ACCEPT_BEHIND:
		to_park(t, lead, PARK_BEHIND, connection, at_ms);
		break;
	case ACCEPT_CONFLICT:
	case ACCEPT_INVALID:
	case ACCEPT_OVER_INVALID:
		t->stats.other++;
		hold(t, lead);
		break;
	case ACCEPT_ENDED:
		log_refused(lead);
		t->stats.rejected += lead->event.verdict == LEAD_REJECTED;
		t->stats.other += lead->event.verdict != LEAD_REJECTED;
		finish(t, lead);
		break;
	case ACCEPT_DUPLICATE:
	case ACCEPT_OVER:
	case ACCEPT_PARKED:
		t->stats.other++;
		finish(t, lead);
		break;
	}
}

static void answer_events(struct tick *t, const struct pg_rows *rows, int64_t at_ms)
{
	struct pg_items verdicts = pg_items(rows, 0, TICK_EVENTS);
	struct pg_items connections = pg_items(rows, 0, TICK_EVENT_CONNECTIONS);
	struct pg_items attempts = pg_items(rows, 0, TICK_EVENT_ATTEMPTS);
	struct pg_items unanswered = pg_items(rows, 0, TICK_EVENT_UNANSWERED);
	struct slice verdict = {0}, connection = {0}, tries = {0}, unknown = {0};

	for (size_t i = 0; i < t->event_count; i++) {
		struct lead *lead = t->events[i];

		(void)pg_item(&verdicts, &verdict);
		(void)pg_item(&connections, &connection);
		(void)pg_item(&attempts, &tries);
		(void)pg_item(&unanswered, &unknown);
		if (!lead)
			continue;
		lead->tick_event = 0;
		lead->attempts = pg_item_int4(tries);
		lead->unanswered = pg_item_int4(unknown);
		accept_one(t, lead, (enum accept_verdict)pg_item_int2(verdict),
			(const unsigned char *)connection.data, at_ms);
	}
	t->stats.accepted += t->event_count;
	t->event_count = 0;
}

/* ---- permitted ---- */

/* Pairs the flat verdicts with the leads, before any of them is taken out of its call. */
static void note_permits(struct tick *t, const struct pg_rows *rows)
{
	struct pg_items verdicts = pg_items(rows, 0, TICK_CALL_LEADS);
	struct slice verdict;

	list_each(it, &t->calls) {
		struct call *call = list_owner(it, struct call, node);

		list_each(jt, &call->leads) {
			struct lead *lead = list_owner(jt, struct lead, node);

			lead->permit = pg_item(&verdicts, &verdict) ? pg_item_int2(verdict)
			                                            : PERMIT_LEAD_OUT;
			if (lead->permit == PERMIT_LEAD_ENDED && lead->tick_event)
				t->events[lead->tick_event - 1] =
					NULL; /* accepted and ended in one tick */
		}
	}
}

static void drop_ended(struct tick *t, struct call *call)
{
	list_each_safe(it, &call->leads) {
		struct lead *lead = list_owner(it, struct lead, node);

		if (lead->permit != PERMIT_LEAD_ENDED)
			continue;
		lanes_withdraw(t->parts.lanes, lead);
		t->stats.other++;
		finish(t, lead);
	}
}

static void grant(struct tick *t, struct call *call, int32_t n, int64_t at_ms)
{
	call->tick = t->number;
	call->n = n;
	call->asked_age_ms = t->sent_age_ms;
	call->permitted_ms = at_ms;
	list_each(it, &call->leads) {
		struct lead *lead = list_owner(it, struct lead, node);

		lead->asked = NULL;
		lead->attempts++;
	}
	t->stats.calls++;
	t->stats.call_leads += call->count;
	lanes_send(t->parts.lanes, call);
}

static void refuse(struct tick *t, struct call *call, enum permit_verdict verdict)
{
	struct connection *c = call->connection;

	list_each(it, &call->leads)
		list_owner(it, struct lead, node)->asked = NULL;
	switch (verdict) {
	case PERMIT_LATER:
		lanes_return(t->parts.lanes, call, FENCE_WAIT_MS);
		break;
	case PERMIT_HELD:
		lanes_return_to_park(t->parts.lanes, call, PARK_RETRY, HELD_WAIT_MS);
		break;
	case PERMIT_PARK:
		c->loaded = false;
		lanes_return_to_park(t->parts.lanes, call, PARK_STATE, 0);
		tick_load(t, c);
		break;
	case PERMIT_STALE:
	case PERMIT_ENDED:
		c->loaded = false;
		lanes_return(t->parts.lanes, call, 0);
		tick_load(t, c);
		break;
	case PERMIT_EMPTY:
	case PERMIT_GRANTED:
		lanes_return(t->parts.lanes, call, 0);
		break;
	}
}

static void answer_calls(struct tick *t, const struct pg_rows *rows, int64_t at_ms)
{
	struct pg_items verdicts = pg_items(rows, 0, TICK_CALLS);
	struct slice item = {0};
	int32_t n = 0;

	while (!list_empty(&t->calls)) {
		struct call *call = list_owner(list_pop(&t->calls), struct call, node);
		enum permit_verdict verdict;

		(void)pg_item(&verdicts, &item);
		verdict = (enum permit_verdict)pg_item_int2(item);
		n++;
		drop_ended(t, call);
		if (verdict == PERMIT_GRANTED && call->count)
			grant(t, call, n, at_ms);
		else
			refuse(t, call, verdict);
	}
	t->call_count = 0;
}

/* ---- all of it ---- */

static void answer_progress(struct tick *t, const struct pg_rows *rows)
{
	struct pg_items lasts = pg_items(rows, 0, TICK_LAST_OUTCOME);
	struct slice last;

	memcpy(t->hash, pg_slice(rows, 0, TICK_HASH).data, LEDGER_HASH_BYTES);
	t->has_hash = true;
	for (size_t i = 0; i < t->count && pg_item(&lasts, &last); i++) {
		t->partitions[i]->last_outcome = pg_item_int8(last);
		t->partitions[i]->joins = false;
	}
}

void tick_answer(struct tick *t, const struct pg_rows *rows)
{
	int64_t at_ms = pg_time(rows, 0, TICK_AT);

	assert(pg_count(rows) == 1);
	t->stats.ticks++;
	answer_progress(t, rows);
	note_permits(t, rows);
	answer_events(t, rows, at_ms);
	answer_calls(t, rows, pg_time(rows, 0, TICK_PERMITTED_AT));
	settle(t);
	answer_parks(t, rows);
	answer_checks(t);
	answer_signals(t, rows);
	publisher_work(t->parts.publisher);
	intake_moved(t->parts.intake);
	tick_work(t);
}
