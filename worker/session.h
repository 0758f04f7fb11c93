/*
 * worker/session.h - one worker session: one database session, one transactional.id, one chain of
 * ticks.
 *
 * Owns everything between the group membership and the network: ledger, tick,
 * lanes, parked leads, publisher and the partitions taken.  Loop thread only.
 */
#pragma once

#include <stdbool.h>

#include "common/base.h"
#include "common/err.h"
#include "common/http.h"
#include "common/loop.h"
#include "common/secret.h"
#include "worker/intake.h"
#include "worker/options.h"
#include "worker/tick.h"

struct session; /* opaque */

struct session_handlers {
	void (*ready)(void *arg);    /* partitions may be given to session_take() */
	void (*running)(void *arg);  /* they are taken and being worked on */
	void (*released)(void *arg); /* session_release() is done: the group can be answered */
	void (*over)(
		void *arg, const struct err *err); /* free it, and begin another after a pause */
};

struct session *session_new(struct loop *l, const struct options *o, const struct secret_ring *ring,
	struct http *http, struct intake *intake, const struct session_handlers *h, void *arg);
/** Discards everything, as a crash would. */
void session_free(struct session *s);

bool session_is_ready(const struct session *s);
void session_take(struct session *s, const int32_t *partitions, size_t count);
/** Drains for at most the configured time, drops what was not sent, gives the partitions back. */
void session_release(struct session *s);
/** Marks a record of a careful partition, then tells intake. */
void session_mark(struct session *s, struct partition *p, int64_t offset);
/** Records wait in intake. */
void session_work(struct session *s);
struct tick_stats session_stats(const struct session *s);
