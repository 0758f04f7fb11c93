#include "worker/lanes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "worker/lanes_private.h"

#define SHARE 8         /* a lane may hold 1/8 of a partition's window */
#define WAIT_TURN_MS 50 /* how fine the waits are */

static struct connection *owner(struct lane *lane)
{
	return container_of(lane, struct connection, lane);
}

void lanes_work(struct lanes *ls)
{
	ls->handlers.work(ls->arg);
}

void lanes_wake_in(struct lanes *ls, int64_t wait_ms)
{
	if (!loop_timer_running(&ls->timer) || wait_ms < WAIT_TURN_MS)
		loop_timer_set(&ls->timer, wait_ms < WAIT_TURN_MS ? wait_ms : WAIT_TURN_MS);
}

/* ---- where a lane stands: ready ring, cooling, or nowhere ---- */

void lanes_place(struct lanes *ls, struct connection *c)
{
	struct lane *lane = &c->lane;

	if (c->loaded && !c->writes) { /* learnt while they were away or waiting on their own */
		lanes_park_lane(ls, c, PARK_STATE, 0);
		return;
	}
	if (list_empty(&lane->queue) || lane->call) {
		list_remove(&lane->ready);
		return;
	}
	if (lane->cool_until_ms > clock_age_ms()) {
		list_remove(&lane->ready);
		list_add_tail(&ls->cooling, &lane->ready);
		lanes_wake_in(ls, lane->cool_until_ms - clock_age_ms());
		return;
	}
	if (list_empty(&lane->ready)) {
		list_add_tail(&ls->ready, &lane->ready);
		lanes_work(ls);
	}
}

static void queue_tail(struct lanes *ls, struct lead *lead)
{
	struct lane *lane = &lead->connection->lane;

	list_add_tail(&lane->queue, &lead->node);
	lead->in_lane = true;
	lane->queued++;
	ls->queued++;
}

static struct lead *queue_pop(struct lanes *ls, struct lane *lane)
{
	struct lead *lead = list_owner(list_pop(&lane->queue), struct lead, node);

	lead->in_lane = false;
	lane->queued--;
	ls->queued--;
	return lead;
}

void lanes_park(struct lanes *ls, struct lead *lead)
{
	list_remove(&lead->node);
	list_add_tail(&ls->to_park, &lead->node);
	lanes_work(ls);
}

void lanes_park_lane(struct lanes *ls, struct connection *c, enum lead_park why, int64_t wait_ms)
{
	while (!list_empty(&c->lane.queue)) {
		struct lead *lead = queue_pop(ls, &c->lane);

		lead->park = why;
		lead->park_wait_ms = wait_ms;
		lanes_park(ls, lead);
	}
	list_remove(&c->lane.ready);
}

/* The lane pauses; when that, or the whole trouble, is longer than park_after, what it holds is
 * parked. */
void lanes_cool(struct lanes *ls, struct connection *c, int64_t wait_ms)
{
	int64_t now = clock_age_ms();
	struct lane *lane = &c->lane;

	if (!lane->stuck_since_ms)
		lane->stuck_since_ms = now;
	lane->cool_until_ms = now + wait_ms;
	list_remove(&lane->ready);
	if (now + wait_ms - lane->stuck_since_ms >= ls->options->park_after_ms)
		lanes_park_lane(ls, c, PARK_RETRY, wait_ms);
	else
		lanes_place(ls, c);
}

/* ---- tokens ---- */

static void on_token_ready(void *arg, struct connection *c)
{
	lanes_place(arg, c);
	lanes_work(arg);
}

static void on_token_failed(void *arg, struct connection *c, int64_t wait_ms, const char *reason)
{
	log_warn("no token", F_TEXT("connection", c->text), F_TEXT("reason", reason),
		F_INT("wait_ms", wait_ms));
	lanes_cool(arg, c, wait_ms);
}

static void copy_text(char *to, size_t size, struct slice from)
{
	size_t n = from.len < size ? from.len : size - 1;

	if (from.data)
		memcpy(to, from.data, n);
	to[n] = '\0';
}

void lanes_signal(struct lanes *ls, struct connection *c, const char *event, const char *reason,
	const struct binding_identity *identity)
{
	struct ledger_signal *s = mem_new(sizeof(*s));

	s->connection = c;
	s->epoch = c->epoch;
	s->event = event;
	s->reason = reason;
	if (identity) {
		copy_text(s->org_id, sizeof(s->org_id), identity->org_id);
		copy_text(s->sf_user_id, sizeof(s->sf_user_id), identity->user_id);
		copy_text(s->host, sizeof(s->host), identity->host);
	}
	list_add_tail(&ls->signals, &s->node);
	if (!identity)
		c->loaded = false; /* nothing is sent until the ledger says where it stands now */
	log_info("connection signal", F_TEXT("connection", c->text), F_TEXT("event", event),
		F_TEXT("reason", reason), F_INT("epoch", c->epoch));
	lanes_work(ls);
}

static void on_token_signal(void *arg, struct connection *c, const char *event, const char *reason,
	const struct binding_identity *identity)
{
	lanes_signal(arg, c, event, reason, identity);
}

/* ---- waits ---- */

static void wake_leads(struct lanes *ls, int64_t now)
{
	list_each_safe(it, &ls->waiting) {
		struct lead *lead = list_owner(it, struct lead, node);

		if (lead->due_age_ms > now)
			continue;
		list_remove(&lead->node);
		ls->queued--;
		queue_tail(ls, lead);
		lanes_place(ls, lead->connection);
	}
}

static void on_timer(void *arg)
{
	struct lanes *ls = arg;
	int64_t now = clock_age_ms();

	list_each_safe(it, &ls->cooling) {
		struct lane *lane = list_owner(it, struct lane, ready);

		if (lane->cool_until_ms > now)
			continue;
		list_remove(&lane->ready);
		lanes_place(ls, owner(lane));
	}
	wake_leads(ls, now);
	if (!list_empty(&ls->cooling) || !list_empty(&ls->waiting))
		loop_timer_set(&ls->timer, WAIT_TURN_MS);
}

/* ---- life ---- */

struct lanes *lanes_new(struct loop *l, struct http *http, const struct options *o,
	struct connections *cs, const struct lanes_handlers *h, void *arg)
{
	static const struct tokens_handlers token_handlers = {
		on_token_ready, on_token_failed, on_token_signal};
	struct lanes *ls = mem_new(sizeof(*ls));

	ls->loop = l;
	ls->http = http;
	ls->connections = cs;
	ls->options = o;
	ls->handlers = *h;
	ls->arg = arg;
	list_init(&ls->ready);
	list_init(&ls->cooling);
	list_init(&ls->waiting);
	list_init(&ls->calls);
	list_init(&ls->answered);
	list_init(&ls->to_park);
	list_init(&ls->signals);
	ls->tokens = tokens_new(l, http, o, &token_handlers, ls);
	loop_timer_init(&ls->timer, l, on_timer, ls);
	return ls;
}

void lanes_free(struct lanes *ls)
{
	struct connection *c;
	struct list *node;
	size_t pos = 0;

	if (!ls)
		return;
	call_free_all(&ls->calls);
	call_free_all(&ls->answered);
	while ((c = map_next(&ls->connections->by_id, &pos))) {
		lead_free_all(&c->lane.queue);
		list_remove(&c->lane.ready);
	}
	lead_free_all(&ls->waiting);
	lead_free_all(&ls->to_park);
	while ((node = list_pop(&ls->signals)))
		free(list_owner(node, struct ledger_signal, node));
	loop_timer_stop(&ls->timer);
	tokens_free(ls->tokens);
	free(ls);
}

/* ---- leads in ---- */

static bool over_share(const struct lanes *ls, const struct lead *lead)
{
	return !lead->parked &&
	       (int64_t)lead->connection->lane.queued >= ls->options->window / SHARE;
}

void lanes_add(struct lanes *ls, struct lead *lead)
{
	struct connection *c = lead->connection;

	assert(c);
	if (over_share(ls, lead)) {
		lead->park = PARK_SHARE;
		lead->park_wait_ms = 0;
		lanes_park(ls, lead);
		return;
	}
	queue_tail(ls, lead);
	if (!(c->loaded && c->writes) && !c->loading)
		ls->handlers.load(ls->arg, c);
	lanes_place(ls, c);
}

bool lanes_starts_now(const struct lanes *ls, const struct connection *c)
{
	return !ls->draining && connection_usable(c) && c->token.state == TOKEN_READY &&
	       !c->lane.call && c->lane.cool_until_ms <= clock_age_ms() &&
	       c->lane.queued < (size_t)ls->options->batch.leads &&
	       c->org->in_flight < ls->options->salesforce.per_org &&
	       ls->in_flight < (size_t)ls->options->salesforce.in_flight;
}

void lanes_withdraw(struct lanes *ls, struct lead *lead)
{
	struct call *call = lead->asked;

	list_remove(&lead->node);
	if (lead->in_lane) {
		lead->in_lane = false;
		lead->connection->lane.queued--;
		ls->queued--;
	}
	if (call) {
		lead->asked = NULL;
		call->count--;
		call->bytes -= lead->event.fields.len;
	}
}

void lanes_reloaded(struct lanes *ls, struct connection *c)
{
	tokens_reloaded(ls->tokens, c);
	if (!c->writes) {
		c->lane.failures = 0;
		c->lane.stuck_since_ms = 0;
		c->lane.cool_until_ms = 0;
		lanes_park_lane(ls, c, PARK_STATE, 0);
		return;
	}
	list_remove(&c->lane.ready);
	lanes_place(ls, c);
}

void lanes_drain(struct lanes *ls)
{
	ls->draining = true;
}

/* ---- calls out ---- */

/* Whether a call could start now; gets a token on the way. */
static bool can_start(struct lanes *ls, struct connection *c)
{
	if (!c->loaded || !c->writes || c->lane.call)
		return false;
	if (!tokens_get(ls->tokens, c) || !connection_usable(c))
		return false;
	if (c->org->cool_until_ms > clock_age_ms()) {
		c->lane.cool_until_ms = c->org->cool_until_ms;
		lanes_place(ls, c);
		return false;
	}
	return true;
}

static struct call *fill_call(struct lanes *ls, struct connection *c)
{
	struct lane *lane = &c->lane;
	struct call *call = call_new(c);
	size_t most = lane->limit ? lane->limit : (size_t)ls->options->batch.leads;

	while (!list_empty(&lane->queue) && call->count < most) {
		struct lead *next = list_owner(lane->queue.next, struct lead, node);
		bool alone = next->unanswered >= 2;

		if (call->count && (alone || call->bytes + next->event.fields.len >
						     (size_t)ls->options->batch.bytes))
			break;
		call_add(call, queue_pop(ls, lane));
		if (alone)
			break;
	}
	lane->call = call;
	c->org->in_flight++;
	ls->in_flight++;
	return call;
}

/* A place under the org's cap may be free: the lane that waits longest for it may try. */
static void wake_held(struct lanes *ls, struct org *org)
{
	struct list *node;

	if (org->in_flight < ls->options->salesforce.per_org && (node = list_pop(&org->held)))
		list_add_tail(&ls->ready, node);
}

size_t lanes_gather(struct lanes *ls, struct list *calls, size_t most)
{
	struct list *node;
	size_t n = 0;

	if (ls->draining)
		return 0;
	while (n < most && ls->in_flight < (size_t)ls->options->salesforce.in_flight &&
		(node = list_pop(&ls->ready))) {
		struct connection *c = owner(list_owner(node, struct lane, ready));

		if (c->org && c->org->in_flight >= ls->options->salesforce.per_org) {
			list_add_tail(&c->org->held, node);
		} else if (can_start(ls, c)) {
			list_add_tail(calls, &fill_call(ls, c)->node);
			n++;
		} else if (c->org) {
			wake_held(ls, c->org); /* its turn is not lost for the others */
		}
	}
	return n;
}

void lanes_left(struct lanes *ls, struct call *call)
{
	struct connection *c = call->connection;

	assert(c->lane.call == call);
	c->lane.call = NULL;
	c->org->in_flight--;
	ls->in_flight--;
	wake_held(ls, c->org);
}

/* Back to the head of the queue, in their order. */
void lanes_back_to_head(struct lanes *ls, struct call *call)
{
	struct lane *lane = &call->connection->lane;

	while (!list_empty(&call->leads)) {
		struct list *last = call->leads.prev;

		list_remove(last);
		list_add_head(&lane->queue, last);
		list_owner(last, struct lead, node)->in_lane = true;
		lane->queued++;
		ls->queued++;
	}
}

void lanes_return(struct lanes *ls, struct call *call, int64_t wait_ms)
{
	struct connection *c = call->connection;

	lanes_left(ls, call);
	lanes_back_to_head(ls, call);
	call_free(call);
	if (wait_ms > 0)
		c->lane.cool_until_ms = clock_age_ms() + wait_ms;
	list_remove(&c->lane.ready);
	lanes_place(ls, c);
}

void lanes_return_to_park(struct lanes *ls, struct call *call, enum lead_park why, int64_t wait_ms)
{
	struct connection *c = call->connection;
	struct list *node;

	lanes_left(ls, call);
	while ((node = list_pop(&call->leads))) {
		struct lead *lead = list_owner(node, struct lead, node);

		lead->park = why;
		lead->park_wait_ms = wait_ms;
		lanes_park(ls, lead);
	}
	call_free(call);
	lanes_place(ls, c);
}

struct list *lanes_answered(struct lanes *ls)
{
	return &ls->answered;
}

struct list *lanes_to_park(struct lanes *ls)
{
	return &ls->to_park;
}

struct list *lanes_signals(struct lanes *ls)
{
	return &ls->signals;
}

size_t lanes_in_flight(const struct lanes *ls)
{
	return ls->in_flight;
}

size_t lanes_queued(const struct lanes *ls)
{
	return ls->queued;
}
