/*
 * worker/ledger.h - every SQL call; no other module sends SQL.
 *
 * One PostgreSQL session.  Answers come on the loop, in the order of the
 * questions.  An error that is not the session's end reaches the question's
 * callback; the session's end reaches handlers.lost once, after them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/err.h"
#include "common/loop.h"
#include "common/pg.h"
#include "worker/connections.h"
#include "worker/lead.h"
#include "worker/outcome_event.h"
#include "worker/partition.h"

#define LEDGER_HASH_BYTES 32

struct ledger; /* opaque */

struct ledger_session { /* what begin_session() records */
	unsigned char id[16];
	const char *group, *transactional_id, *build, *host, *key_id;
	unsigned char key_fingerprint[16];
};

struct ledger_handlers {
	void (*ready)(void *arg); /* connected, versions fit, session recorded */
	void (*lost)(void *arg, const struct err *err);
	void (*changed)(
		void *arg, const unsigned char connection[16]); /* hint: something happened to it */
};

/** Connects and begins the session; @s and its texts are copied where kept.  @ring's texts are not
 * kept. */
struct ledger *ledger_open(struct loop *l, const char *conninfo, const char *password,
	const struct ledger_session *s, const struct ledger_handlers *handlers, void *arg);
/** Callbacks still open are not called. */
void ledger_close(struct ledger *l);

/** @rows NULL: failed.  Rows are valid inside only. */
typedef void ledger_answer_fn(void *arg, const struct pg_rows *rows, const struct err *err);

/** ledger.take(): rows of ledger.partition, see enum ledger_take_column. */
enum ledger_take_column {
	TAKE_PARTITION,
	TAKE_INCARNATION,
	TAKE_EPOCH,
	TAKE_UNFENCED,
	TAKE_POSITION,
	TAKE_LAST_OUTCOME,
	TAKE_CONFIRMED,
	TAKE_ACCEPTED,
	TAKE_TAKES,
	TAKE_MARK
};
void ledger_take(
	struct ledger *l, const int32_t *partitions, size_t count, ledger_answer_fn *fn, void *arg);
/** One cell: the new epochs in the order given, or NULL when a partition is not ours any more. */
void ledger_prove(struct ledger *l, struct partition *const *partitions, size_t count,
	ledger_answer_fn *fn, void *arg);
/** Says durably that the record at @offset is about to be decoded; one cell, NULL when it is not
 * ours any more. */
void ledger_mark(struct ledger *l, const struct partition *p, int64_t offset, ledger_answer_fn *fn,
	void *arg);
void ledger_release(struct ledger *l, struct partition *const *partitions, size_t count,
	ledger_answer_fn *fn, void *arg);
/** Rows for connection_fill(); column 0 is the id. */
void ledger_load(struct ledger *l, struct connection *const *connections, size_t count,
	ledger_answer_fn *fn, void *arg);
/** Outcomes after partition->handed, at most @limit; read each with ledger_outcome(). */
void ledger_outcomes(struct ledger *l, struct partition *const *partitions, size_t count,
	int32_t limit, ledger_answer_fn *fn, void *arg);
/** Slices point into @rows. */
void ledger_outcome(const struct pg_rows *rows, int row, struct outcome *ret, int64_t *ret_offset);

/** Parked leads that can go on; @skip: keys (16 bytes each) already in memory. */
enum ledger_parked_column {
	PARKED_WHAT,
	PARKED_KEY,
	PARKED_PARTITION,
	PARKED_OFFSET,
	PARKED_INCARNATION,
	PARKED_CONNECTION,
	PARKED_DEADLINE,
	PARKED_ATTEMPTS,
	PARKED_UNANSWERED,
	PARKED_PARKINGS,
	PARKED_PAYLOAD,
	PARKED_EVENT_KEY,
	PARKED_SOURCE,
	PARKED_EVENT_ID,
	PARKED_TRACEPARENT,
	PARKED_ACCEPTED
};
enum ledger_parked_what { PARKED_SEND = 1, PARKED_LATE = 2, PARKED_ENDED = 3 };
void ledger_parked_ready(struct ledger *l, struct partition *const *partitions, size_t count,
	const unsigned char (*skip)[LEAD_KEY_BYTES], size_t skip_count, int32_t limit,
	ledger_answer_fn *fn, void *arg);
void ledger_maintain(struct ledger *l);

/* ---- the tick ---- */

enum call_kind { CALL_UPSERT = 1, CALL_LOOKUP = 2, CALL_INSERT = 3 };

struct ledger_signal {
	struct list node;
	struct connection *connection;
	int32_t epoch;
	const char *event;  /* of gov.transition_rule; literal */
	const char *reason; /* of reasons.json; literal */
	char org_id[19], sf_user_id[19], host[BINDING_HOST_MAX + 1]; /* empty: not said */
};

enum ledger_result { RESULT_ANSWERED = 1, RESULT_UNSENT = 2, RESULT_UNKNOWN = 3 };

struct ledger_answer { /* of a call that left leads open */
	int64_t tick;
	int32_t n;
	enum ledger_result result;
	const char *class;
	int status;
	const char *code; /* NULL or empty: none */
	int64_t sent_ms, answered_ms;
	struct list *open; /* of struct lead */
};

struct ledger_ended { /* a lead that ended */
	const struct lead *lead;
	enum outcome_status status;
	enum outcome_written written;
	const char *org_id; /* NULL: none */
	int32_t epoch;
	const char *lead_id, *code, *reason; /* NULL or empty: none */
	int64_t permit_tick;                 /* 0: none */
	int32_t permit_n;
	int64_t permitted_ms, sent_ms, answered_ms;
};

struct ledger_park {
	const struct lead *lead;
	struct slice payload; /* sealed */
};

struct ledger_call { /* a permit asked */
	enum call_kind kind;
	const struct connection *connection;
	struct list *leads;
};

struct ledger_tick {
	int64_t number;
	const unsigned char *prev_hash; /* NULL for the first */
	struct partition *const *partitions;
	size_t partition_count;
	const struct list *signals; /* of struct ledger_signal */
	const struct ledger_answer *answers;
	size_t answer_count;
	const struct ledger_ended *ended;
	size_t ended_count;
	const struct ledger_park *parks;
	size_t park_count;
	const unsigned char (*checks)[LEAD_KEY_BYTES];
	size_t check_count;
	struct lead *const *events;
	size_t event_count;
	const char *digest_key; /* id of the key that digests */
	const struct ledger_call *calls;
	size_t call_count;
};

/** Columns of the answer, in this order. */
enum ledger_tick_column {
	TICK_HASH,
	TICK_AT,
	TICK_LAST_OUTCOME,
	TICK_SIGNALS,
	TICK_PARKS,
	TICK_PARK_CONNECTIONS,
	TICK_CHECKS,
	TICK_EVENTS,
	TICK_EVENT_CONNECTIONS,
	TICK_EVENT_ATTEMPTS,
	TICK_EVENT_UNANSWERED,
	TICK_CALLS,
	TICK_CALL_LEADS,
	TICK_PERMITTED_AT
};

/* Verdicts, as sql/0005_tick.sql gives them. */
enum accept_verdict {
	ACCEPT_GO = 0,
	ACCEPT_PARK = 1,
	ACCEPT_ENDED = 2,
	ACCEPT_DUPLICATE = 3,
	ACCEPT_CONFLICT = 4,
	ACCEPT_INVALID = 5,
	ACCEPT_OVER = 6,
	ACCEPT_OVER_INVALID = 7,
	ACCEPT_PARKED = 8,
	ACCEPT_OPEN = 9,
	ACCEPT_BEHIND = 10
};
enum park_verdict { PARKED_NOW = 0, PARK_GO_ON = 1, PARK_ENDED = 2, PARK_REFUSED = 3 };
enum check_verdict { CHECK_ENDED = 0, CHECK_NOT_YET = 1, CHECK_NOT_PARKED = 2 };
enum permit_verdict {
	PERMIT_GRANTED = 0,
	PERMIT_LATER = 1,
	PERMIT_STALE = 2,
	PERMIT_PARK = 3,
	PERMIT_ENDED = 4,
	PERMIT_EMPTY = 5,
	PERMIT_HELD = 6
};
enum permit_lead_verdict {
	PERMIT_LEAD_IN = 0,
	PERMIT_LEAD_DROPPED = 1,
	PERMIT_LEAD_ENDED = 2,
	PERMIT_LEAD_OUT = 3
};

/** ledger.tick(): @fn gets one row. */
void ledger_tick(struct ledger *l, const struct ledger_tick *t, ledger_answer_fn *fn, void *arg);
