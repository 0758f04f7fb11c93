/*
 * worker/outcome_record.h - an outcome as the Kafka record that is published.
 *
 * The CloudEvent (or, for a lead.invalid, the original bytes) with the headers
 * a consumer, the confirmer and an auditor need.  Pure.
 */
#pragma once

#include "common/arena.h"
#include "common/base.h"
#include "common/kafka.h"
#include "common/secret.h"
#include "worker/options.h"
#include "worker/outcome_event.h"

/** Bytes of the original key, headers and value that a lead.invalid keeps; the rest is told by
 * length and digest. */
#define OUTCOME_INVALID_MAX 900000

struct outcome_origin { /* the record behind a lead.invalid */
	struct slice value;
	int64_t offset;
	const struct kafka_header *headers;
	size_t header_count;
	size_t keep_bytes; /* of all of it, at most */
};

/** Fills @ret; all it points to is in @arena, but for topic names (of @o) and the original bytes.
 * @origin: lead.invalid only. */
void outcome_record_write(const struct outcome *outcome, const struct outcome_origin *origin,
	const struct options *o, const struct secret_ring *ring, struct arena *arena,
	struct kafka_record *ret);
