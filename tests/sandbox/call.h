/*
 * tests/sandbox/call.h - one HTTP request and its answer, free of any HTTP library.
 *
 * The server fills in the request, calls call_begin(), waits if told to, calls
 * call_finish() and sends what it finds in the answer.  Everything is copied, so
 * that a delayed call is applied on time whether or not its client is still there.
 */
#pragma once

#include "world.h"

#define MAX_SEGMENTS 12
#define MAX_HEADERS 12

struct header {
	char *name;
	char *value;
};

struct call {
	/* the request, owned */
	char *method;
	char *target; /* as sent, with the query */
	char *host;   /* lower case, no port; "" when there is none */
	char *authorization;
	char *content_type;
	struct buf body;
	size_t head_bytes;
	bool tls;
	bool too_large; /* the body was cut off by the server's limit */

	/* what was found in it */
	char *path; /* as sent, no query */
	char *query;
	char *segments[MAX_SEGMENTS]; /* decoded; empty ones at the end are dropped */
	size_t n_segments;
	enum service service;
	json_t *json; /* the body, or NULL */
	json_error_t json_error;
	json_t *records; /* an array; NULL when it is no write */

	/* who, as found on arrival; good while the mutex is held, until a reset */
	struct org *org;
	struct user *user;
	struct grant *grant;
	bool token_is_good;
	char sf_user_id[ID_SIZE]; /* whose token it is */

	/* how it goes on */
	uint64_t number;
	unsigned int generation;
	struct verdict verdict;
	bool busy_refused; /* its refresh token is being processed already */
	bool holds_grant;  /* it is the one that is processing it */

	/* the answer */
	bool cut; /* none: close the connection */
	int status;
	struct buf answer;
	struct header headers[MAX_HEADERS];
	size_t n_headers;
};

enum call_progress { CALL_ANSWERED, CALL_WAITS };

/** Takes the request up.  CALL_WAITS: call call_finish() in verdict.delay_ms. */
enum call_progress call_begin(struct world *world, struct call *call);
void call_finish(struct world *world, struct call *call);
struct call *call_new(void);
void call_free(struct call *call);

/* For the services. */

/** Starts the answer anew. */
void call_answer(struct call *call, int status, const char *content_type);
/** Adds a header, or replaces the one of that name. */
void call_header(struct call *call, const char *name, const char *value);
/** Answers with @json, which it takes. */
void call_answer_json(struct call *call, int status, json_t *json);
/** True when the decoded segments from @at on are @names, a NULL terminated list. */
bool call_path_is(const struct call *call, size_t at, const char *const *names);
/** The value of a query or form parameter, decoded; NULL when absent.  The caller frees it. */
char *form_value(const char *form, const char *name);
/** The token of "Authorization: Bearer …", or NULL; borrowed. */
const char *call_bearer(const struct call *call);
void call_facts(const struct call *call, struct call_facts *ret);

/* salesforce.c */
void salesforce_prepare(struct call *call);
void salesforce_identify(struct world *world, struct call *call);
void salesforce_serve(struct world *world, struct call *call);
/** Answers with the array form of an error; @field may be NULL. */
void salesforce_error(
	struct call *call, int status, const char *code, const char *message, const char *field);

/* writes.c */
void writes_single(struct world *world, struct call *call, int version);
void writes_collection(struct world *world, struct call *call, bool upsert);

/* oauth.c */
void oauth_identify(struct world *world, struct call *call);
void oauth_serve(struct world *world, struct call *call);
void userinfo_serve(struct world *world, struct call *call);

/* pipes.c */
void pipes_identify(struct world *world, struct call *call);
void pipes_serve(struct world *world, struct call *call);

/* control.c */
void control_serve(struct world *world, struct call *call);
