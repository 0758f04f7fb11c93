/*
 * worker/lanes.h - queues, batching, caps, fairness and retries.
 *
 * One FIFO a connection, one call in flight a lane.  While a call is away the
 * lane gathers; when it is back, what waits goes as one call, up to the batch.
 * No linger.  Lanes take turns; caps hold per org and in all.  What cannot be
 * sent soon leaves to be parked.  Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/http.h"
#include "common/list.h"
#include "common/loop.h"
#include "worker/connections.h"
#include "worker/ledger.h"
#include "worker/options.h"
#include "worker/salesforce.h"
#include "worker/tokens.h"

struct lanes; /* opaque */

struct lanes_handlers {
	void (*work)(void *arg);                       /* something is there for the next tick */
	void (*load)(void *arg, struct connection *c); /* what is known of it is old or missing */
};

struct lanes *lanes_new(struct loop *l, struct http *http, const struct options *o,
	struct connections *cs, const struct lanes_handlers *h, void *arg);
/** Frees every lead it holds, in the lanes of @cs too, and cancels every call. */
void lanes_free(struct lanes *ls);

/** Takes a lead whose connection is known; it may leave at once for the park list. */
void lanes_add(struct lanes *ls, struct lead *lead);
/** True when a lead given to lanes_add() now would be in the next call gathered: then it need not
 * wait to be accepted first. */
bool lanes_starts_now(const struct lanes *ls, const struct connection *c);
/** Takes a lead out of its lane, or out of the call that asks for it; the caller owns it then. */
void lanes_withdraw(struct lanes *ls, struct lead *lead);
/** Takes a lead that is to be parked: lead->park and park_wait_ms are set. */
void lanes_park(struct lanes *ls, struct lead *lead);
/** The ledger was asked again about @c: sends, waits or parks what its lane holds. */
void lanes_reloaded(struct lanes *ls, struct connection *c);
/** No new calls from now on; what is in flight comes back. */
void lanes_drain(struct lanes *ls);

/* ---- for the tick ---- */

/** Calls that could start now: moves at most @most of them to @calls; each counts in the caps until
 * it comes back. */
size_t lanes_gather(struct lanes *ls, struct list *calls, size_t most);
/** The permit was given: sends. */
void lanes_send(struct lanes *ls, struct call *call);
/** No permit: the leads go back to the head of the lane; the call is freed.  @wait_ms: the lane's
 * pause. */
void lanes_return(struct lanes *ls, struct call *call, int64_t wait_ms);
/** No permit now or soon: the call's leads are to be parked. */
void lanes_return_to_park(struct lanes *ls, struct call *call, enum lead_park why, int64_t wait_ms);
/** Calls that came back, oldest first (struct call); the tick takes them out. */
struct list *lanes_answered(struct lanes *ls);
/**
 * What the ledger recorded as open after an answer goes on: its lane, its own wait, or the park
 * list.  Takes @lead. Called once for each of the call's open leads, with call->count set to their
 * number before the first.
 */
void lanes_go_on(struct lanes *ls, struct call *call, struct lead *lead);
/** Leads to be parked (struct lead); the tick takes them out. */
struct list *lanes_to_park(struct lanes *ls);
/** Signals for the ledger (struct ledger_signal, freed with free()); the tick takes them out. */
struct list *lanes_signals(struct lanes *ls);
/** Calls asked, permitted or on the wire. */
size_t lanes_in_flight(const struct lanes *ls);
/** Leads in lanes and waits, without those in calls. */
size_t lanes_queued(const struct lanes *ls);
