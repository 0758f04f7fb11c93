/*
 * worker/tick.h - the heart: gathers, calls ledger.tick(), hands out its answers.
 *
 * Whatever has arrived since the last tick goes into the next one, which
 * starts when the last has returned and there is work.  Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base.h"
#include "common/err.h"
#include "common/loop.h"
#include "common/secret.h"
#include "worker/connections.h"
#include "worker/intake.h"
#include "worker/lanes.h"
#include "worker/ledger.h"
#include "worker/parked.h"
#include "worker/publisher.h"

struct tick; /* opaque */

struct tick_parts { /* borrowed; alive as long as the tick */
	struct loop *loop;
	const struct options *options;
	const struct secret_ring *ring;
	struct ledger *ledger;
	struct intake *intake;
	struct lanes *lanes;
	struct parked *parked;
	struct publisher *publisher;
	struct connections *connections;
};

struct tick_stats {
	uint64_t ticks, accepted, created, updated, rejected, other;
	uint64_t calls, call_leads;
};

struct tick_handlers {
	void (*over)(void *arg, const struct err *err); /* the session is over */
};

struct tick *tick_new(const struct tick_parts *parts, const struct tick_handlers *h, void *arg);
/** Frees the leads and calls of a tick under way. */
void tick_free(struct tick *t);

/** Ticks from now on, for these partitions (rising numbers); borrowed until tick_stop(). */
void tick_start(struct tick *t, struct partition *const *partitions, size_t count);
/** No more records are accepted and no permits asked: only what is under way is settled. */
void tick_drain(struct tick *t);
void tick_stop(struct tick *t);

struct tick_head { /* of a session's chain */
	int64_t number;
	unsigned char hash[LEDGER_HASH_BYTES];
	bool has_hash;
};
struct tick_head tick_head(const struct tick *t);
/** Goes on behind @head, which another tick of the same session has left; before tick_start(). */
void tick_follow(struct tick *t, const struct tick_head *head);
/** Nothing is under way, and all that is known is in the ledger. */
bool tick_quiet(const struct tick *t);
/** There may be work. */
void tick_work(struct tick *t);
/** Positions or confirmations have moved: recorded by the next tick, or by one of its own a second
 * later. */
void tick_moved(struct tick *t);
/** Asks the ledger about @c again. */
void tick_load(struct tick *t, struct connection *c);
struct tick_stats tick_stats(const struct tick *t);
