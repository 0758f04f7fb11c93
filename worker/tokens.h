/*
 * worker/tokens.h - one access token per connection, got once.
 *
 * Single flight per connection; the source's budget is shared by all.  Every
 * new token is checked against the binding before it is handed out; what is
 * not bound yet is learnt from userinfo and bound through the ledger.  Loop
 * thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base.h"
#include "common/http.h"
#include "common/loop.h"
#include "worker/connections.h"
#include "worker/options.h"

struct tokens; /* opaque */

struct tokens_handlers {
	/** The connection can send. */
	void (*ready)(void *arg, struct connection *c);
	/** No token for @wait_ms; @reason is of reasons.json. */
	void (*failed)(void *arg, struct connection *c, int64_t wait_ms, const char *reason);
	/** The ledger has to know; identity NULL unless the event binds.  After 'bound' came
	 * tokens_bound() goes on. */
	void (*signal)(void *arg, struct connection *c, const char *event, const char *reason,
		const struct binding_identity *identity);
};

struct tokens *tokens_new(struct loop *l, struct http *http, const struct options *o,
	const struct tokens_handlers *h, void *arg);
void tokens_free(struct tokens *t);

/** True: the token can be used now.  Else it is being got, and ready() or failed() or signal() will
 * come. */
bool tokens_get(struct tokens *t, struct connection *c);
/**
 * Salesforce refused the token: forgets it.  @dead: it is of no use any more (401); else whose it
 * is, and where, is asked again.  False: it was a new one and this is the second refusal in a row.
 */
bool tokens_refused(struct tokens *t, struct connection *c, bool dead);
/** A call with it worked. */
void tokens_worked(struct connection *c);
/** The connection was read from the ledger again: goes on where a binding was awaited, or forgets
 * what is stale. */
void tokens_reloaded(struct tokens *t, struct connection *c);
