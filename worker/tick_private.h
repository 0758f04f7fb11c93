/*
 * worker/tick_private.h - shared by tick.c (what goes in) and tick_answer.c (what comes out).
 */
#pragma once

#include "common/buf.h"
#include "worker/tick.h"

#define TICK_EVENTS_MAX 2000
#define TICK_PARKS_MAX 1000
#define TICK_CHECKS_MAX 500
#define TICK_CALLS_MAX 256

struct tick {
	struct tick_parts parts;
	struct tick_handlers handlers;
	void *arg;
	struct partition *const *partitions;
	size_t count;
	bool draining;
	bool wanted; /* there may be work */
	bool in_flight;
	bool due;       /* the timer has fired */
	bool dirty;     /* positions or confirmations have moved since the last tick */
	int64_t number; /* of the last tick sent */
	unsigned char hash[LEDGER_HASH_BYTES]; /* of the last one answered */
	bool has_hash;
	struct loop_timer timer; /* confirmations alone wait for it */
	int64_t sent_age_ms;
	struct tick_stats stats;

	/* what the tick under way has */
	struct lead *events[TICK_EVENTS_MAX]; /* NULL: withdrawn */
	size_t event_count;
	struct list answered; /* struct call */
	struct ledger_answer *answers;
	struct ledger_ended *ended;
	struct list *open_lists; /* of struct lead, one an answer */
	size_t answer_count, ended_count, answer_room, ended_room;
	struct list signals;
	struct list parking; /* struct lead */
	struct ledger_park parks[TICK_PARKS_MAX];
	struct buf sealed;
	size_t park_count;
	unsigned char checks[TICK_CHECKS_MAX][LEAD_KEY_BYTES];
	size_t check_count;
	struct list calls; /* struct call, asked */
	struct ledger_call call_rows[TICK_CALLS_MAX];
	size_t call_count;
};

/** Applies the answer of a tick that was committed. */
void tick_answer(struct tick *t, const struct pg_rows *rows);
