/*
 * worker/parked.h - parked leads on their way back.
 *
 * Looks into the ledger when told to and every few seconds: what can go on is
 * unsealed and given to its lane, what is late or ended is given to the tick
 * to be checked.  Knows which parked leads are in memory, so that none comes
 * twice.  Loop thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base.h"
#include "common/list.h"
#include "common/loop.h"
#include "common/secret.h"
#include "worker/connections.h"
#include "worker/lanes.h"
#include "worker/ledger.h"
#include "worker/partition.h"

struct parked; /* opaque */

struct parked_handlers {
	void (*work)(void *arg); /* checks wait for the tick */
};

struct parked *parked_new(struct loop *l, struct ledger *ledger, struct lanes *lanes,
	struct connections *cs, const struct secret_ring *ring, const struct parked_handlers *h,
	void *arg);
void parked_free(struct parked *p);

/** From now on for these; borrowed until parked_stop(). */
void parked_start(struct parked *p, struct partition *const *partitions, size_t count);
void parked_stop(struct parked *p);
/** Look soon: a connection came back, or something else may have changed. */
void parked_look(struct parked *p);
/** @lead, which was parked, is no longer in memory (ended, or parked again). */
void parked_left(struct parked *p, const struct lead *lead);

/** Appends the sealed payload of @lead. */
void parked_seal(const struct parked *p, const struct lead *lead, struct buf *out);

/** Keys to be checked by the tick, at most @most; they come back with parked_checked(). */
size_t parked_checks(struct parked *p, unsigned char (*ret)[LEAD_KEY_BYTES], size_t most);
void parked_checked(struct parked *p, const unsigned char key[LEAD_KEY_BYTES]);
