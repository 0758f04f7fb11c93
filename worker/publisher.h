/*
 * worker/publisher.h - outcomes from the ledger to their topics, in transactions.
 *
 * A thread of its own makes every call of librdkafka that may block; the loop
 * feeds it from the ledger by sequence, at most 2,000 outcomes a transaction,
 * one in flight.  After any error the handle is thrown away and the start
 * path runs: new handle, init_transactions, proof of ownership, then the
 * outcomes from the last confirmed on.
 *
 * Not promised yet: a commit that returned OK counts as confirmed, and after
 * an error what was in flight is published again (no read-back).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base.h"
#include "common/err.h"
#include "common/loop.h"
#include "common/secret.h"
#include "worker/ledger.h"
#include "worker/options.h"
#include "worker/partition.h"

struct publisher; /* opaque */

struct publisher_handlers {
	void (*opened)(void *arg);    /* the partitions given to publisher_open() are fenced, proven
	                                 and being published */
	void (*confirmed)(void *arg); /* some partition->confirmed rose */
	void (*over)(void *arg,
		const struct err
			*err); /* ownership is gone or cannot be had: the session is over */
};

struct publisher *publisher_new(struct loop *l, const struct options *o,
	const struct secret_ring *ring, struct ledger *ledger, const char *transactional_id,
	const struct publisher_handlers *h, void *arg);
/** Stops the thread; waits for what it is doing, a few seconds at most. */
void publisher_free(struct publisher *p);

/**
 * The start path for partitions just taken: fences every id of @unfenced, inits, proves.
 * @partitions is borrowed until publisher_close_partitions(); @unfenced is copied.
 */
void publisher_open(struct publisher *p, struct partition *const *partitions, size_t count,
	const char *const *unfenced, size_t unfenced_count);
/** No more of these partitions: after the last transaction, when publisher_idle(). */
void publisher_close_partitions(struct publisher *p);
/** partition->last_outcome may have risen, or a lead.invalid that had no bytes may have them now.
 */
void publisher_work(struct publisher *p);
/** Nothing handed over is unconfirmed and nothing is left in the ledger. */
bool publisher_idle(const struct publisher *p);
/** True while a proof is under way: no tick may be sent. */
bool publisher_proving(const struct publisher *p);
