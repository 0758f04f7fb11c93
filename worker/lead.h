/*
 * worker/lead.h - one lead on its way, from the Kafka record to its outcome.
 *
 * Created by intake (or by the drain of parked leads), owned by whoever holds
 * it in a list: intake's queue, a lane, a call, the tick.  Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/base.h"
#include "common/list.h"
#include "worker/lead_event.h"
#include "worker/sf_answers.h"

struct call;
struct connection;
struct kafka_message;
struct partition;

enum lead_park { PARK_STATE, PARK_RETRY, PARK_SHARE, PARK_BEHIND };

struct lead {
	struct list node;
	struct arena arena; /* owns all that the slices point to */
	struct lead_event event;
	struct slice event_key; /* the record's; absent: null */

	struct partition *partition; /* borrowed: outlives the lead */
	int64_t offset;
	int32_t incarnation;
	int64_t record_time_ms;
	/* The original record, kept until the ledger has accepted it, longer where a lead.invalid
	 * needs its bytes. */
	struct kafka_message *message;

	struct connection *connection;    /* borrowed; NULL: not known yet */
	int64_t accepted_ms, deadline_ms; /* wall; 0: not known here */
	int attempts, unanswered;
	size_t bytes;       /* counted in its partition, given back by lead_free() */
	bool parked;        /* it has a row in ledger.parked and none in its partition's window */
	int tick_event;     /* its place, from 1, in the events of the tick under way; 0: none */
	struct call *asked; /* the call of the tick under way that wants it; NULL: none */
	bool in_lane;       /* in its lane's queue */
	int permit;         /* enum permit_lead_verdict of the tick just answered */

	enum lead_park park;     /* why it is to be parked, and */
	int64_t park_wait_ms;    /* for how long */
	int64_t due_age_ms;      /* earliest next attempt */
	struct sf_record result; /* of its last call */
};

struct lead *lead_new(void);
/** Counts @bytes of memory for it in its partition. */
void lead_charge(struct lead *lead, size_t bytes);
void lead_free(struct lead *lead);
/** Frees every lead of the list. */
void lead_free_all(struct list *leads);
/** NUL-terminated park cause as ledger.park_in wants it. */
const char *lead_park_name(enum lead_park park);
