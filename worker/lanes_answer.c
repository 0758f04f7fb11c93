/* What comes back from Salesforce, and where its leads go. */
#include "worker/lanes.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "worker/lanes_private.h"
#include "worker/tokens.h"

#define CONFIG_WAIT_MS 300000 /* the customer's set-up has to change */
#define ATTEMPTS_HERE 5       /* a lead that needs more waits in the ledger */

/* A call was taken: what had gone wrong is over, and a lane that was cut short grows again. */
static void worked(const struct lanes *ls, struct connection *c)
{
	if (c->lane.limit)
		c->lane.limit *= 2;
	if (c->lane.limit >= (size_t)ls->options->batch.leads)
		c->lane.limit = 0;
	c->lane.failures = 0;
	c->lane.stuck_since_ms = 0;
	if (c->org)
		c->org->failures = 0;
	tokens_worked(c);
}

static int64_t retry_wait(const struct lanes *ls, const struct call *call, int attempt)
{
	const struct options *o = ls->options;
	int64_t wait = backoff_ms(
		(unsigned)attempt, o->salesforce.backoff_base_ms, o->salesforce.backoff_cap_ms);

	if (call->retry_after_ms > wait)
		wait = call->retry_after_ms < o->salesforce.retry_after_cap_ms
		               ? call->retry_after_ms
		               : o->salesforce.retry_after_cap_ms;
	return wait;
}

/* The whole call failed: once for the call, its lane pauses. */
static void call_failed(struct lanes *ls, struct call *call)
{
	struct connection *c = call->connection;
	struct lane *lane = &c->lane;

	switch (call->verdict.class) {
	case SF_REFRESH:
		if (!tokens_refused(ls->tokens, c, call->verdict.reason != REASON_HOST_MISMATCH))
			lanes_signal(ls, c, "reauthorization_needed",
				reason_code(REASON_TOKEN_REJECTED), NULL);
		break;
	case SF_REAUTH:
		lanes_signal(
			ls, c, "reauthorization_needed", reason_code(call->verdict.reason), NULL);
		break;
	case SF_CONFIG:
		lanes_cool(ls, c, CONFIG_WAIT_MS);
		break;
	case SF_SMALLER:
		lane->limit = call->count > 1 ? call->count / 2 : 1;
		lanes_cool(ls, c, retry_wait(ls, call, ++lane->failures));
		break;
	case SF_ORG_PAUSE:
		c->org->cool_until_ms = clock_age_ms() + retry_wait(ls, call, ++c->org->failures);
		lanes_cool(ls, c, c->org->cool_until_ms - clock_age_ms());
		break;
	case SF_RETRY:
	case SF_UNKNOWN:
		lanes_cool(ls, c, retry_wait(ls, call, ++lane->failures));
		break;
	case SF_CREATED:
	case SF_UPDATED:
	case SF_REJECT:
		break;
	}
}

static void on_answer(void *arg, struct call *call)
{
	struct lanes *ls = arg;

	lanes_left(ls, call);
	list_remove(&call->node);
	list_add_tail(&ls->answered, &call->node);
	if (call->verdict.class == SF_CREATED)
		worked(ls, call->connection);
	else
		call_failed(ls, call);
	lanes_place(ls, call->connection);
	lanes_work(ls);
}

void lanes_send(struct lanes *ls, struct call *call)
{
	list_remove(&call->node);
	list_add_tail(&ls->calls, &call->node);
	salesforce_send(ls->http, ls->options, call, on_answer, ls);
}

static void wait_alone(struct lanes *ls, struct call *call, struct lead *lead)
{
	int64_t wait = lead->result.verdict.class == SF_CONFIG
	                       ? CONFIG_WAIT_MS
	                       : retry_wait(ls, call, lead->attempts);

	if (wait >= ls->options->park_after_ms || lead->attempts > ATTEMPTS_HERE) {
		lead->park = PARK_RETRY;
		lead->park_wait_ms = wait;
		lanes_park(ls, lead);
		return;
	}
	lead->due_age_ms = clock_age_ms() + wait;
	list_add_tail(&ls->waiting, &lead->node);
	ls->queued++;
	lanes_wake_in(ls, wait);
}

void lanes_go_on(struct lanes *ls, struct call *call, struct lead *lead)
{
	struct connection *c = call->connection;

	if (call->verdict.class == SF_CREATED) {
		wait_alone(ls, call, lead);
		return;
	}
	/* Its whole call failed: the leads keep their order at the head; the last one in makes the
	 * lane pause. */
	list_add_tail(&call->leads, &lead->node);
	if (--call->count)
		return;
	lanes_back_to_head(ls, call);
	if (c->loaded && !c->writes)
		lanes_park_lane(ls, c, PARK_STATE, 0);
	else if (c->lane.stuck_since_ms &&
		 c->lane.cool_until_ms - c->lane.stuck_since_ms >= ls->options->park_after_ms)
		lanes_park_lane(ls, c, PARK_RETRY, c->lane.cool_until_ms - clock_age_ms());
	list_remove(&c->lane.ready);
	lanes_place(ls, c);
}
