/*
 * worker/connections.h - what the worker knows of connections.
 *
 * A cache: the ledger's permit decides, and says when this is old.  A
 * connection is found by its id, or by the subject of an event that led to it
 * before.  Loop thread only; pointers stay valid until connections_free().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/base.h"
#include "common/list.h"
#include "common/map.h"
#include "common/pg.h"
#include "worker/binding.h"

#define CONNECTION_ID_BYTES 16

struct call;

enum token_state {
	TOKEN_NONE,
	TOKEN_WAITING,  /* for its turn at the token source */
	TOKEN_ASKED,    /* the source was asked */
	TOKEN_CHECKING, /* its identity is asked */
	TOKEN_BINDING,  /* the ledger records the binding */
	TOKEN_READY,
};

struct token { /* owned by worker/tokens */
	enum token_state state;
	char *text;                /* secret, zeroed when replaced */
	int64_t expires_wall_ms;   /* 0: not known */
	unsigned char refused[32]; /* digest of the token Salesforce refused last */
	bool has_refused;
	int refusals;   /* since the last call that worked */
	int same_again; /* times the source vended a refused token */
	int failures;   /* of the source, in a row */
	int64_t asked_age_ms;
	struct list node; /* in the queue of its client */
	struct http_call *http;
};

struct lane {              /* owned by worker/lanes */
	struct list queue; /* leads, first attempts in offset order */
	size_t queued;
	struct list ready; /* in the ring of lanes that could send, among the cooling, or held by
	                      its org's cap */
	struct call *call; /* asked, permitted or in flight */
	int failures;      /* in a row */
	int64_t cool_until_ms;  /* age */
	int64_t stuck_since_ms; /* age of the first failure in a row; 0: none */
	size_t limit;           /* leads a call; 0: the configured most */
};

struct org { /* shared by the connections into one Salesforce org */
	char id[SF_ID18 + 1];
	int in_flight;
	struct list held;      /* lanes that wait for a place under the cap */
	int64_t cool_until_ms; /* age */
	int failures;
};

struct connection {
	unsigned char id[CONNECTION_ID_BYTES];
	char text[37];                /* the id, for logs */
	bool loaded, loading, reload; /* reload: asked again while loading */
	bool writes, ends;
	int32_t epoch;
	char *state, *client, *environment, *token_source, *grant_ref, *user_id, *organization_id,
		*org_id, *sf_user_id, *host, *login_host, *external_id_field,
		*write_mode; /* NULL: SQL NULL */
	struct org *org;     /* NULL: not bound */
	struct token token;
	struct lane lane;
};

struct connections {
	struct map by_id, by_subject, orgs;
};

void connections_init(struct connections *cs);
void connections_release(struct connections *cs);

/** The one with this id, made when it is new. */
struct connection *connections_get(
	struct connections *cs, const unsigned char id[CONNECTION_ID_BYTES]);
/** NULL when the id was never seen. */
struct connection *connections_find(
	const struct connections *cs, const unsigned char id[CONNECTION_ID_BYTES]);
/** The connection an event of this subject led to before; NULL: not known.  @organization_id may be
 * absent. */
struct connection *connections_by_subject(const struct connections *cs, struct slice source,
	struct slice user_id, struct slice organization_id);
void connections_note_subject(struct connections *cs, struct slice source, struct slice user_id,
	struct slice organization_id, struct connection *c);

/** Fills @c from a row of ledger.connections(). */
void connection_fill(
	struct connections *cs, struct connection *c, const struct pg_rows *rows, int row);
/** Connected, bound and loaded: a permit may be asked. */
bool connection_usable(const struct connection *c);
/** Zeroes and frees the token it holds. */
void connection_forget_token(struct connection *c);
