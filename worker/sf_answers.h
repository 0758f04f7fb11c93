/*
 * worker/sf_answers.h - what an answer of Salesforce or Pipes means, as data.
 *
 * One table per endpoint, a link per row, and a chosen last row for what is
 * unknown.  Codes decide, never message text (but for the few texts listed).
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/base.h"
#include "worker/reasons.h"

enum sf_class {
	SF_CREATED,
	SF_UPDATED,
	SF_REJECT,    /* this lead ends as rejected */
	SF_RETRY,     /* later, with backoff */
	SF_SMALLER,   /* later, in a smaller call (governor limits) */
	SF_REFRESH,   /* a new token, then one repeat */
	SF_ORG_PAUSE, /* the whole org waits */
	SF_CONFIG,    /* set-up of this connection or of ours: waits long, an operator is told */
	SF_REAUTH,    /* the user must consent again */
	SF_UNKNOWN,   /* nobody knows whether it was written */
};

struct sf_verdict {
	enum sf_class class;
	enum reason reason;
	bool alert; /* not in the table: tell the operator */
};

#define SF_CODE_MAX 80
#define SF_FIELDS_MAX 16

struct sf_record { /* what became of one lead of a call */
	struct sf_verdict verdict;
	char lead_id[19];       /* 18 characters, or empty */
	char code[SF_CODE_MAX]; /* Salesforce's code, [A-Z0-9_] only, or empty */
	struct slice fields;    /* JSON list of field names, in the arena; absent if none */
};

struct sf_answer {       /* what the peer answered */
	int status;      /* HTTP; 0: no answer */
	bool unsent;     /* with status 0: nothing left us */
	bool oauth_1703; /* header Sfdc-OAuth-Error: 1703 */
	struct slice body;
};

/** The verdict on a call as a whole: SF_CREATED stands for "fine, read the records". @ret_code may
 * be NULL. */
struct sf_verdict sf_answers_call(const struct sf_answer *a, char ret_code[SF_CODE_MAX]);

/**
 * Reads the answer to a collections upsert of @count records into @ret (in the same order).
 * Returns the verdict on the call; when it is not SF_CREATED every record has it.
 */
struct sf_verdict sf_answers_collection(const struct sf_answer *a, const char *key_field,
	size_t count, struct arena *arena, struct sf_record *ret);
/** The same for a single upsert. */
struct sf_verdict sf_answers_single(const struct sf_answer *a, const char *key_field,
	struct arena *arena, struct sf_record *ret);

/* ---- Pipes: POST /data-integrations/{slug}/token ---- */

enum pipes_class { PIPES_OK, PIPES_REAUTH, PIPES_REMOVED, PIPES_CONFIG, PIPES_RETRY };
struct pipes_answer {
	enum pipes_class class;
	enum reason reason;
	struct slice token;      /* PIPES_OK: in the arena; secret */
	int64_t expires_wall_ms; /* 0: not said */
};
/** `api` in missing_scopes is PIPES_REAUTH; active decides over a stray `error`. */
void sf_answers_pipes(const struct sf_answer *a, struct arena *arena, struct pipes_answer *ret);

/* ---- userinfo ---- */

struct userinfo_answer {
	enum sf_class class; /* SF_CREATED: read; SF_REFRESH: the token is refused; SF_RETRY;
	                        SF_CONFIG */
	char org_id[19], user_id[19];
	struct slice instance_url; /* from urls.custom_domain, else the origin of urls.rest; in the
	                              arena */
};
void sf_answers_userinfo(
	const struct sf_answer *a, struct arena *arena, struct userinfo_answer *ret);
