/*
 * worker/outcome_event.h - a row of ledger.outcome written as a CloudEvent.
 *
 * Pure: the same row gives the same bytes, always, so that an event can be
 * rebuilt from the ledger without its input.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base.h"
#include "common/buf.h"
#include "worker/reasons.h"

enum outcome_type { /* as stored in ledger.outcome.type */
	OUTCOME_RESULT = 1,
	OUTCOME_REAUTH_REQUIRED = 2,
	OUTCOME_REVOKED = 3,
	OUTCOME_INVALID = 4,
};

enum outcome_status { /* ledger.outcome.status, for OUTCOME_RESULT */
	STATUS_NONE = 0,
	STATUS_CREATED = 1,
	STATUS_UPDATED = 2,
	STATUS_REJECTED = 3,
	STATUS_EXPIRED = 4,
	STATUS_UNDELIVERABLE = 5,
};

enum outcome_written { WRITTEN_NO = 0, WRITTEN_YES = 1, WRITTEN_UNKNOWN = 2 };

struct outcome { /* slices are borrowed; absent = NULL in the row */
	int32_t partition;
	int64_t sequence;
	enum outcome_type type;
	enum outcome_status status;
	enum outcome_written written;
	const unsigned char *id;             /* 16 bytes: the outcome event's own id */
	const unsigned char *lead_key;       /* 16 bytes */
	const unsigned char *connection_id;  /* 16 bytes or NULL */
	int32_t connection_epoch;            /* with a connection */
	struct slice event_key;              /* the input record's key; absent: null */
	struct slice event_source, event_id; /* absent for undecoded ones */
	struct slice traceparent;
	struct slice org_id, lead_id, code, reason,
		detail; /* detail: JSON path of an invalid or rejected one */
	struct slice connection_state,
		ended_by;    /* OUTCOME_REVOKED: state word; user, admin, policy, system, unknown */
	struct slice fields; /* `["Email","Phone"]` JSON text or absent */
	bool parked;
	int32_t attempts;
	int64_t deadline_ms, ended_at_ms; /* wall ms, 0: none */
	int64_t accepted_ms, permitted_ms, sent_ms, answered_ms, recorded_ms;
	const unsigned char *session; /* 16 bytes */
	int64_t tick;
	const unsigned char *tick_hash; /* 32 bytes */
};

/** The topic's default name, which is also the event's type: "lead.result", … */
const char *outcome_type_name(enum outcome_type t);
const char *outcome_status_name(enum outcome_status s);

/**
 * Appends the CloudEvent (structured mode, schema worker/schemas in design section 5) to @out.
 * @source is ours, "onbehalf/<group>".  Not for OUTCOME_INVALID, whose value is the original bytes.
 */
void outcome_event_write(const struct outcome *o, const char *source, struct buf *out);

/** A UUID's 36 characters and the NUL. */
#define UUID_TEXT 37
void uuid_text(const unsigned char uuid[16], char ret[UUID_TEXT]);
must_check bool uuid_parse(const char *text, unsigned char ret[16]);
