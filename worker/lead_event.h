/*
 * worker/lead_event.h - a Kafka record read as a `lead.create` event.
 *
 * CloudEvents 1.0 in structured or binary mode, decoded strictly by tables,
 * every limit checked before memory is spent; a schema registry's frame around
 * the JSON is skipped.  What is no lead.create is
 * INVALID (a `lead.invalid` answers it); a lead.create whose lead is wrong is
 * REJECTED (a `lead.result` names the field).  Pure.
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/base.h"
#include "common/secret.h"
#include "worker/reasons.h"

#define LEAD_RECORD_MAX (1024 * 1024) /* bytes of a record's value */
#define LEAD_FIELDS_MAX 500
#define LEAD_ID_MAX 256   /* bytes of id and of source each */
#define LEAD_USER_MAX 256 /* bytes of user_id and of organization_id each */
#define LEAD_PATH_MAX 160
#define LEAD_KEY_BYTES 16

struct lead_header {
	struct slice name, value;
};

struct lead_record {        /* borrowed from the Kafka message */
	struct slice value; /* absent: null */
	const struct lead_header *headers;
	size_t header_count;
};

enum lead_verdict { LEAD_OK, LEAD_REJECTED, LEAD_INVALID };

struct lead_event { /* everything it points to lives in the arena */
	enum lead_verdict verdict;
	enum reason reason;       /* unless LEAD_OK */
	char path[LEAD_PATH_MAX]; /* unless LEAD_OK: JSON path such as "$.data.lead.LastName", or
	                             "ce_id" for a header */
	struct slice field; /* REJECTED: the Salesforce field's name, absent if the fault is not one
	                       field's */

	/* LEAD_OK and LEAD_REJECTED: */
	struct slice source, id, user_id, organization_id; /* organization_id may be absent */
	struct slice traceparent;                          /* absent unless well-formed */
	int64_t expiry_wall_ms;                            /* attribute expirytime; 0: none */
	unsigned char key[LEAD_KEY_BYTES];                 /* the External ID, see lead_key() */

	/* LEAD_OK: */
	unsigned char
		digest[SECRET_DIGEST_BYTES]; /* keyed, over the decoded event: content, not bytes */
	struct slice fields; /* `"Company":"…","LastName":"…"`: members sorted by name, compact
	                        JSON, without braces */
};

/** Never fails: every record has a verdict.  Without a @ring (NULL) there is no digest. */
void lead_event_read(const struct lead_record *record, const struct secret_ring *ring,
	struct arena *arena, struct lead_event *ret);

/** The External ID: the first 128 bits of SHA-256 over source and id, length-prefixed.  Never
 * changed. */
void lead_key(struct slice source, struct slice id, unsigned char ret[LEAD_KEY_BYTES]);
/** The identity of a record that could not be decoded. */
void lead_key_undecoded(
	int32_t incarnation, int32_t partition, int64_t offset, unsigned char ret[LEAD_KEY_BYTES]);
#define LEAD_KEY_TEXT (2 * LEAD_KEY_BYTES + 1)
/** 32 lower-case hex characters, as logs and Salesforce name the lead. */
void lead_key_text(const unsigned char key[LEAD_KEY_BYTES], char ret[LEAD_KEY_TEXT]);
