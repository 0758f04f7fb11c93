/*
 * worker/pipes.h - asks WorkOS Pipes for an access token.
 *
 * POST {base}/data-integrations/{slug}/token with user and organization exactly as the connection
 * was made. https://workos.com/docs/reference/pipes/access-token
 */
#pragma once

#include "common/base.h"
#include "common/buf.h"
#include "common/http.h"
#include "worker/connections.h"
#include "worker/options.h"
#include "worker/sf_answers.h"

typedef void pipes_fn(void *arg, const struct pipes_answer *answer);

struct pipes_ask { /* embedded in its owner, alive until the answer or the cancel; {0} before */
	struct buf body;
	pipes_fn *fn;
	void *arg;
};
void pipes_ask_release(struct pipes_ask *ask);

/** @plain: the base URL is an http one that the configuration allows.  @fn is called once, later;
 * its answer is valid inside. */
struct http_call *pipes_ask(struct http *http, const struct client *client,
	const struct connection *c, bool plain, struct pipes_ask *ask, pipes_fn *fn, void *arg);
