/*
 * worker/lanes_private.h - shared by lanes.c (leads in, calls out) and lanes_answer.c (calls back).
 */
#pragma once

#include "worker/lanes.h"

struct lanes {
	struct loop *loop;
	struct connections *connections;
	struct http *http;
	const struct options *options;
	struct lanes_handlers handlers;
	void *arg;
	struct tokens *tokens;
	struct list ready;   /* ring of lanes (struct lane by .ready) that may be able to send */
	struct list cooling; /* lanes that wait for cool_until */
	struct list waiting; /* leads that wait on their own */
	struct list calls;   /* on the wire */
	struct list answered;
	struct list to_park;
	struct list signals;
	size_t in_flight, queued;
	bool draining;
	struct loop_timer timer;
};

/** Something is there for the tick. */
void lanes_work(struct lanes *ls);
/** The timer comes in @wait_ms at the latest. */
void lanes_wake_in(struct lanes *ls, int64_t wait_ms);
/** Puts the lane of @c where it belongs now: the ring, the cooling, or nowhere. */
void lanes_place(struct lanes *ls, struct connection *c);
/** The lane pauses; when that, or the whole trouble, is longer than park_after, what it holds is
 * parked. */
void lanes_cool(struct lanes *ls, struct connection *c, int64_t wait_ms);
void lanes_park_lane(struct lanes *ls, struct connection *c, enum lead_park why, int64_t wait_ms);
/** The call no longer counts in its lane and the caps. */
void lanes_left(struct lanes *ls, struct call *call);
/** The leads of @call go back to the head of their queue, in their order. */
void lanes_back_to_head(struct lanes *ls, struct call *call);
/** @identity NULL: the event stops the connection, and nothing is sent until the ledger says where
 * it stands. */
void lanes_signal(struct lanes *ls, struct connection *c, const char *event, const char *reason,
	const struct binding_identity *identity);
