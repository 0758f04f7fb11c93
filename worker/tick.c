#include "worker/tick.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/secret.h"
#include "worker/tick_private.h"

#define CONFIRM_WAIT_MS 1000              /* confirmations alone start no tick before */
#define PARK_BYTES_MAX (4 * 1024 * 1024)  /* payloads a tick */
#define EVENT_BYTES_MAX (8 * 1024 * 1024) /* keys a tick: Kafka's may be large */

static void before_sleep(void *arg);

static void on_timer(void *arg)
{
	struct tick *t = arg;

	t->due = true;
	tick_work(t);
}

struct tick *tick_new(const struct tick_parts *parts, const struct tick_handlers *h, void *arg)
{
	struct tick *t = mem_new(sizeof(*t));

	t->parts = *parts;
	t->handlers = *h;
	t->arg = arg;
	list_init(&t->answered);
	list_init(&t->signals);
	list_init(&t->parking);
	list_init(&t->calls);
	loop_timer_init(&t->timer, parts->loop, on_timer, t);
	loop_before_sleep(parts->loop, before_sleep, t);
	return t;
}

void tick_free(struct tick *t)
{
	struct list *node;

	if (!t)
		return;
	loop_timer_stop(&t->timer);
	loop_before_sleep_remove(t->parts.loop, before_sleep, t);
	/* those in a lane, in a call, or about to be parked are freed with it */
	for (size_t i = 0; i < t->event_count; i++)
		if (t->events[i] && list_empty(&t->events[i]->node))
			lead_free(t->events[i]);
	for (size_t i = 0; i < t->answer_count; i++)
		lead_free_all(&t->open_lists[i]);
	for (size_t i = 0; i < t->ended_count; i++)
		lead_free((struct lead *)t->ended[i].lead);
	call_free_all(&t->answered);
	call_free_all(&t->calls);
	lead_free_all(&t->parking);
	while ((node = list_pop(&t->signals)))
		free(list_owner(node, struct ledger_signal, node));
	buf_release(&t->sealed);
	free(t->answers);
	free(t->ended);
	free(t->open_lists);
	free(t);
}

void tick_start(struct tick *t, struct partition *const *partitions, size_t count)
{
	t->partitions = partitions;
	t->count = count;
	t->draining = false;
	t->dirty = true;
	tick_work(t);
}

void tick_drain(struct tick *t)
{
	t->draining = true;
	tick_work(t);
}

void tick_stop(struct tick *t)
{
	loop_timer_stop(&t->timer);
	t->partitions = NULL;
	t->count = 0;
}

struct tick_head tick_head(const struct tick *t)
{
	struct tick_head ret = {.number = t->number, .has_hash = t->has_hash};

	memcpy(ret.hash, t->hash, sizeof(ret.hash));
	return ret;
}

void tick_follow(struct tick *t, const struct tick_head *head)
{
	t->number = head->number;
	t->has_hash = head->has_hash;
	memcpy(t->hash, head->hash, sizeof(t->hash));
}

void tick_work(struct tick *t)
{
	t->wanted = true;
}

void tick_moved(struct tick *t)
{
	t->dirty = true;
}

struct tick_stats tick_stats(const struct tick *t)
{
	return t->stats;
}

bool tick_quiet(const struct tick *t)
{
	return !t->in_flight && !t->dirty && !lanes_in_flight(t->parts.lanes) &&
	       list_empty(lanes_answered(t->parts.lanes)) &&
	       list_empty(lanes_to_park(t->parts.lanes)) &&
	       list_empty(lanes_signals(t->parts.lanes));
}

/* ---- connections ---- */

static void on_loaded(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct tick *t = arg;

	if (!rows) {
		log_warn("could not read connections", F_TEXT("error", err->text));
		return;
	}
	for (int row = 0; row < pg_count(rows); row++) {
		struct connection *c =
			connections_find(t->parts.connections, pg_uuid(rows, row, 0));

		if (!c)
			continue;
		connection_fill(t->parts.connections, c, rows, row);
		c->loading = false;
		lanes_reloaded(t->parts.lanes, c);
		if (c->reload) {
			c->reload = false;
			tick_load(t, c);
		}
	}
	tick_work(t);
}

void tick_load(struct tick *t, struct connection *c)
{
	if (c->loading) {
		c->reload = true;
		return;
	}
	c->loading = true;
	ledger_load(t->parts.ledger, (struct connection *const[]){c}, 1, on_loaded, t);
}

/* ---- gathering ---- */

/* A lead whose lane could send it at once is offered to it now, so that it is accepted and
 * permitted in one tick. */
static void offer(struct tick *t, struct lead *lead)
{
	struct connection *c;

	if (lead->event.verdict != LEAD_OK)
		return;
	c = connections_by_subject(t->parts.connections, lead->event.source, lead->event.user_id,
		lead->event.organization_id);
	if (!c || !lanes_starts_now(t->parts.lanes, c))
		return;
	lead->connection = c;
	lanes_add(t->parts.lanes, lead);
}

static void gather_events(struct tick *t)
{
	struct list *waiting = intake_waiting(t->parts.intake);
	struct list *node;
	size_t bytes = 0;

	if (t->draining)
		return;
	while (t->event_count < TICK_EVENTS_MAX && bytes < EVENT_BYTES_MAX &&
		(node = list_pop(waiting))) {
		struct lead *lead = list_owner(node, struct lead, node);

		bytes += lead->event_key.len;
		t->events[t->event_count++] = lead;
		lead->partition->accepted = lead->offset;
		lead->tick_event = (int)t->event_count;
		offer(t, lead);
	}
	intake_taken(t->parts.intake, t->event_count);
}

static void gather_calls(struct tick *t)
{
	(void)lanes_gather(t->parts.lanes, &t->calls, TICK_CALLS_MAX);
	list_each(it, &t->calls) {
		struct call *call = list_owner(it, struct call, node);

		list_each(jt, &call->leads)
			list_owner(jt, struct lead, node)->asked = call;
		t->call_rows[t->call_count++] =
			(struct ledger_call){call->kind, call->connection, &call->leads};
	}
}

static bool ends(enum sf_class class)
{
	return class == SF_CREATED || class == SF_UPDATED || class == SF_REJECT;
}

static struct ledger_ended ended_row(const struct call *call, const struct lead *lead)
{
	static const enum outcome_status statuses[] = {
		[SF_CREATED] = STATUS_CREATED,
		[SF_UPDATED] = STATUS_UPDATED,
		[SF_REJECT] = STATUS_REJECTED,
	};
	const struct sf_record *r = &lead->result;
	bool rejected = r->verdict.class == SF_REJECT;

	return (struct ledger_ended){
		.lead = lead,
		.status = statuses[r->verdict.class],
		.written = rejected ? lead->unanswered ? WRITTEN_UNKNOWN : WRITTEN_NO : WRITTEN_YES,
		.org_id = call->connection->org_id,
		.epoch = call->epoch,
		.lead_id = r->lead_id,
		.code = r->code,
		.reason = rejected ? reason_code(r->verdict.reason) : NULL,
		.permit_tick = call->tick,
		.permit_n = call->n,
		.permitted_ms = call->permitted_ms,
		.sent_ms = call->sent_ms,
		.answered_ms = call->answered_ms,
	};
}

/* Room for one more answered call of @leads leads. */
static void make_room(struct tick *t, size_t leads)
{
	if (t->answer_count == t->answer_room) {
		struct list *old = t->open_lists;

		t->answer_room = t->answer_room * 2 + 64;
		t->answers = mem_grow(t->answers, t->answer_room * sizeof(*t->answers));
		/* list heads know their own address, so they are moved node by node */
		t->open_lists = mem_new(t->answer_room * sizeof(*t->open_lists));
		for (size_t i = 0; i < t->answer_count; i++) {
			struct list *node;

			list_init(&t->open_lists[i]);
			while ((node = list_pop(&old[i])))
				list_add_tail(&t->open_lists[i], node);
			t->answers[i].open = &t->open_lists[i];
		}
		free(old);
	}
	if (t->ended_count + leads > t->ended_room) {
		t->ended_room = (t->ended_count + leads) * 2;
		t->ended = mem_grow(t->ended, t->ended_room * sizeof(*t->ended));
	}
}

static void log_answer(const struct call *call)
{
	if (call->verdict.class != SF_CREATED)
		log_warn("Salesforce did not take a call",
			F_TEXT("connection", call->connection->text),
			F_TEXT("class", salesforce_class_name(call->verdict.class)),
			F_INT("status", call->status), F_TEXT("code", call->code),
			F_INT("leads", (int64_t)call->count));
	if (call->verdict.alert)
		log_error("an answer of Salesforce that is not in the tables",
			F_INT("status", call->status), F_TEXT("code", call->code));
}

/* Splits an answered call: leads that ended, and those that go on. */
static void gather_answer(struct tick *t, struct call *call)
{
	struct list *open;
	struct list *node;

	make_room(t, call->count);
	log_answer(call);
	open = &t->open_lists[t->answer_count];
	list_init(open);
	while ((node = list_pop(&call->leads))) {
		struct lead *lead = list_owner(node, struct lead, node);

		if (ends(lead->result.verdict.class)) {
			t->ended[t->ended_count++] = ended_row(call, lead);
			continue;
		}
		if (call->result == RESULT_UNKNOWN)
			lead->unanswered++;
		if (call->result == RESULT_UNSENT)
			lead->attempts--;
		list_add_tail(open, node);
	}
	t->answers[t->answer_count++] = (struct ledger_answer){
		.tick = call->tick,
		.n = call->n,
		.result = call->result,
		.class = salesforce_class_name(call->verdict.class),
		.status = call->status,
		.code = call->code,
		.sent_ms = call->sent_ms,
		.answered_ms = call->answered_ms,
		.open = open,
	};
}

static void gather_answers(struct tick *t)
{
	struct list *node;

	while ((node = list_pop(lanes_answered(t->parts.lanes)))) {
		gather_answer(t, list_owner(node, struct call, node));
		list_add_tail(&t->answered, node);
	}
}

static void gather_parks(struct tick *t)
{
	size_t starts[TICK_PARKS_MAX];
	struct list *node;

	buf_clear(&t->sealed);
	while (t->park_count < TICK_PARKS_MAX && t->sealed.len < PARK_BYTES_MAX &&
		(node = list_pop(lanes_to_park(t->parts.lanes)))) {
		struct lead *lead = list_owner(node, struct lead, node);

		list_add_tail(&t->parking, node);
		starts[t->park_count] = t->sealed.len;
		parked_seal(t->parts.parked, lead, &t->sealed);
		t->parks[t->park_count++].lead = lead;
	}
	for (size_t i = 0; i < t->park_count; i++) {
		size_t end = i + 1 < t->park_count ? starts[i + 1] : t->sealed.len;

		t->parks[i].payload = (struct slice){t->sealed.data + starts[i], end - starts[i]};
	}
}

static void gather(struct tick *t)
{
	struct list *node;

	while ((node = list_pop(lanes_signals(t->parts.lanes))))
		list_add_tail(&t->signals, node);
	gather_answers(t);
	gather_parks(t);
	t->check_count =
		t->draining ? 0 : parked_checks(t->parts.parked, t->checks, TICK_CHECKS_MAX);
	gather_events(t);
	if (!t->draining)
		gather_calls(t);
}

/* Only answers that left leads open are rows; the rest is said by the outcomes. */
static size_t open_answers(struct tick *t, struct ledger_answer *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < t->answer_count; i++)
		if (!list_empty(t->answers[i].open))
			ret[n++] = t->answers[i];
	return n;
}

/* ---- sending ---- */

static void send(struct tick *t);

/* What was in it is still here, and must not be gathered twice. */
static void end(struct tick *t, const struct err *err)
{
	tick_stop(t);
	t->handlers.over(t->arg, err);
}

/* The leads of this tick leave their lanes and calls again, as if they had never been offered. */
static void withdraw_all(struct tick *t)
{
	struct list *node;

	for (size_t i = 0; i < t->event_count; i++) {
		lanes_withdraw(t->parts.lanes, t->events[i]);
		t->events[i]->connection = NULL;
	}
	while ((node = list_pop(&t->calls))) {
		struct call *call = list_owner(node, struct call, node);

		list_each(it, &call->leads)
			list_owner(it, struct lead, node)->asked = NULL;
		lanes_return(t->parts.lanes, call, 0);
	}
	t->call_count = 0;
}

/* PostgreSQL refuses what is in the tick: half of its events wait, until the culprit is alone and
 * is set aside. */
static void halve(struct tick *t, const struct err *err)
{
	size_t keep = t->event_count / 2;

	log_warn("a tick was refused for its content", F_TEXT("error", err->text),
		F_INT("events", (int64_t)t->event_count));
	withdraw_all(t);
	if (t->event_count == 1) {
		if (t->events[0]->event.reason == REASON_POISONOUS) { /* it is not the record */
			end(t, err);
			return;
		}
		log_error("a record is set aside: the ledger refuses it",
			F_INT("partition", t->events[0]->partition->number),
			F_INT("offset", t->events[0]->offset));
		intake_set_aside(t->events[0]);
		keep = 1;
	}
	while (t->event_count > keep) {
		t->events[--t->event_count]->tick_event = 0;
		intake_put_back(t->parts.intake, t->events[t->event_count]);
	}
	t->number--;
	send(t);
}

static void on_tick(void *arg, const struct pg_rows *rows, const struct err *err)
{
	struct tick *t = arg;

	t->in_flight = false;
	if (rows)
		tick_answer(t, rows);
	else if (err->kind == ERR_REJECTED && t->event_count)
		halve(t, err);
	else
		end(t, err);
}

static void send(struct tick *t)
{
	struct ledger_answer *answers = mem_new((t->answer_count + 1) * sizeof(*answers));
	struct ledger_tick in = {
		.number = ++t->number,
		.prev_hash = t->has_hash ? t->hash : NULL,
		.partitions = t->partitions,
		.partition_count = t->count,
		.signals = &t->signals,
		.answers = answers,
		.answer_count = open_answers(t, answers),
		.ended = t->ended,
		.ended_count = t->ended_count,
		.parks = t->parks,
		.park_count = t->park_count,
		.checks = (const unsigned char(*)[LEAD_KEY_BYTES])t->checks,
		.check_count = t->check_count,
		.events = t->events,
		.event_count = t->event_count,
		.digest_key = secret_ring_active(t->parts.ring),
		.calls = t->call_rows,
		.call_count = t->call_count,
	};

	t->in_flight = true;
	t->dirty = false;
	t->wanted = false;
	t->due = false;
	t->sent_age_ms = clock_age_ms();
	loop_timer_stop(&t->timer);
	ledger_tick(t->parts.ledger, &in, on_tick, t);
	free(answers);
}

static void before_sleep(void *arg)
{
	struct tick *t = arg;

	if (!t->count || t->in_flight || !(t->wanted || t->dirty) ||
		publisher_proving(t->parts.publisher))
		return;
	gather(t);
	if (t->event_count || t->call_count || t->answer_count || t->park_count || t->check_count ||
		!list_empty(&t->signals) || (t->dirty && (t->draining || t->due))) {
		send(t);
		return;
	}
	t->wanted = false;
	if (t->dirty && !loop_timer_running(&t->timer))
		loop_timer_set(&t->timer, CONFIRM_WAIT_MS);
}
