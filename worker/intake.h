/*
 * worker/intake.h - records from Kafka, decoded, waiting for the tick.
 *
 * Holds the group membership, which outlives a session; the partitions come
 * and go with it.  A full window pauses its partition, not the loop.  Loop
 * thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base.h"
#include "common/err.h"
#include "common/list.h"
#include "common/loop.h"
#include "common/secret.h"
#include "worker/lead.h"
#include "worker/options.h"
#include "worker/partition.h"

struct intake; /* opaque */

struct intake_handlers {
	void (*work)(void *arg); /* leads wait for the tick */
	/** The group gave partitions: take them, then intake_start(). */
	void (*assigned)(void *arg, const int32_t *partitions, size_t count);
	/** The group wants them back: give them up, then intake_stop(). @lost: somebody else may
	 * have them already. */
	void (*revoked)(void *arg, bool lost);
	/** A careful partition: ledger_mark(), then intake_marked(). */
	void (*mark)(void *arg, struct partition *p, int64_t offset);
	void (*over)(void *arg, const struct err *err); /* the consumer is of no use any more */
};

must_check int intake_open(struct loop *l, const struct options *o, const struct secret_ring *ring,
	const struct intake_handlers *h, void *arg, struct intake **ret, struct err *err);
/** Leaves the group. */
void intake_close(struct intake *in);

/** Reads these from their positions on.  Borrowed until intake_stop(). */
must_check int intake_start(
	struct intake *in, struct partition *const *partitions, size_t count, struct err *err);
/** Stops reading and drops what waits; the group still waits for its answer. */
void intake_halt(struct intake *in);
/** The same, and the group is answered. */
void intake_stop(struct intake *in);
/** Reads nothing more, what waits stays. */
void intake_hold(struct intake *in);

/** Decoded leads in the order read (struct lead); the tick takes them out, at most @most. */
struct list *intake_waiting(struct intake *in);
/** The tick took @n of them. */
void intake_taken(struct intake *in, size_t n);
/** The mark asked for is durable: decodes the record, or sets it aside where the mark was there
 * before. */
void intake_marked(struct intake *in, struct partition *p);
/** Back to the head of what waits: the tick could not take it. */
void intake_put_back(struct intake *in, struct lead *lead);
/** Makes @lead an invalid one that nothing of the record but its place is said of. */
void intake_set_aside(struct lead *lead);
/** Windows have moved: resumes what has room again, and tells Kafka the positions from time to
 * time. */
void intake_moved(struct intake *in);
