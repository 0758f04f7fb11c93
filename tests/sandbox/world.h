/*
 * tests/sandbox/world.h - what exists: orgs, users, tokens, grants, leads.
 *
 * One mutex guards it all; every function here is called with it held unless it
 * says otherwise.  Nothing but a lead or a token goes away before world_reset(),
 * so pointers to orgs and users are good while the mutex is held, no longer.
 */
#pragma once

#include <jansson.h>
#include <pthread.h>

#include "ids.h"
#include "journal.h"
#include "map.h"
#include "rules.h"

struct blob;

struct lead {
	char id[ID_SIZE];
	char *key;           /* the External ID as it is matched; NULL without one */
	struct blob *fields; /* External ID and JSON of the other fields */
	size_t position;     /* in the org's list */
	int64_t created_ms;
	int64_t modified_ms;
	bool converted;
};

struct org {
	char id[ID_SIZE];
	char *host; /* lower case, no port */
	char *instance_url;
	char *external_id_field;
	char **required;
	size_t n_required;
	bool sandbox;
	bool case_sensitive; /* the External ID field */
	bool jwt;            /* form of the access tokens */
	int64_t api_limit;
	int64_t api_used;
	struct map by_key;
	struct map by_id;
	struct lead **leads; /* in order of creation; NULL where one was deleted */
	size_t n_leads;
	size_t size_leads;
	uint64_t created;
	uint64_t updated;
	uint64_t calls;
};

enum grant_state { GRANT_ACTIVE, GRANT_NEEDS_REAUTHORIZATION, GRANT_NOT_INSTALLED };

struct token {
	char *text;
	struct org *org;
	struct user *user;
	struct grant *grant; /* NULL: vended by Pipes */
	struct token *next;  /* of the same user */
	char sf_user_id[ID_SIZE];
	int64_t expires_ms;
};

/* One Pipes account: (user, organization or none, provider), bound to one Salesforce user. */
struct user {
	char *key;
	const char *user_id;
	const char *organization_id; /* NULL: none */
	const char *slug;
	struct org *org;
	char sf_user_id[ID_SIZE];
	enum grant_state state;
	int64_t token_ttl_s;
	bool report_expiry;
	bool keep_vending; /* Pipes goes on vending a dead token */
	bool wrong_auth_method;
	json_t *scopes;
	json_t *missing_scopes;
	char *vended; /* what Pipes vends while it is alive */
	int64_t vended_expires_ms;
	struct token *tokens;
};

/* One refresh token grant of the vault path. */
struct grant {
	struct org *org;
	struct user *user;
	char sf_user_id[ID_SIZE];
	char *client_id;     /* NULL: any */
	char *client_secret; /* NULL: any */
	char *current;       /* the refresh token that is good now */
	bool rotate;
	bool revoked;
	bool busy; /* a request with the token is being processed */
};

struct refresh {
	char *text;
	struct grant *grant;
};

struct world {
	pthread_mutex_t mutex;
	unsigned int generation; /* rises with each reset */
	const char *listen_url;  /* borrowed; default instance URL */
	uint64_t next_org;
	uint64_t next_user;
	uint64_t next_lead;
	uint64_t random[2];
	struct map strings; /* interned text */
	struct map orgs;    /* by id */
	struct map hosts;   /* some org of that host */
	struct org **org_list;
	size_t n_orgs;
	struct map users;         /* by key */
	struct map first_users;   /* by key without organization: the oldest account */
	struct map organizations; /* known organization ids */
	struct map slugs;
	struct user **user_list;
	size_t n_users;
	struct map tokens;
	struct map refreshes;
	struct grant **grants;
	size_t n_grants;
	struct rules rules;
	struct journal journal;
};

void world_init(struct world *world, const char *listen_url);
void world_release(struct world *world);
/** Forgets everything but the options of the process. */
void world_reset(struct world *world);
void world_lock(struct world *world);
void world_unlock(struct world *world);

/** Wall clock; no lock needed. */
int64_t now_ms(void);
/** @text, kept until the reset; equal texts are one pointer.  NULL stays NULL. */
const char *world_intern(struct world *world, const char *text);
/** @len characters of the alphabet of tokens, NUL added. */
void world_random_text(struct world *world, char *ret_text, size_t len);

/** The org with @id (15 or 18 characters), or NULL. */
struct org *world_org(const struct world *world, const char *id);
/** Makes the org @id18 with the defaults, or returns the one that is there. */
struct org *world_org_make(struct world *world, const char *id18);
void world_org_set_host(struct world *world, struct org *org, const char *host);
void org_set_required(struct org *org, const json_t *names);
bool world_knows_host(const struct world *world, const char *host);

/* users.c */
struct user *world_user(const struct world *world, const char *user_id, const char *organization_id,
	const char *slug);
/** What Pipes finds without an organization: the exact account, else the user's oldest. */
struct user *world_user_any(const struct world *world, const char *user_id, const char *slug);
/** Makes the account, or returns the one that is there. */
struct user *world_user_make(
	struct world *world, const char *user_id, const char *organization_id, const char *slug);
void user_release_all(struct world *world);
/** A new access token of @user; @grant is NULL for Pipes.  Borrowed, dies with the token. */
struct token *token_mint(struct world *world, struct user *user, struct grant *grant);
/** The live token @text, or NULL. */
struct token *token_find(struct world *world, const char *text);
void token_kill(struct world *world, struct token *token);
/** Kills all live access tokens of @user, or those of @grant when it is given. */
void user_kill_tokens(struct world *world, struct user *user, const struct grant *grant);
/** What Pipes vends for @user now: the live token, a new one, or (keep_vending) the dead one. */
const char *user_vend(struct world *world, struct user *user);

/* grants.c */
struct grant *grant_make(struct world *world, struct user *user);
/** The grant that @refresh_token belongs or belonged to, or NULL. */
struct grant *grant_find(const struct world *world, const char *refresh_token);
/** Puts a new refresh token in the place of the current one. */
void grant_rotate(struct world *world, struct grant *grant);
void grant_revoke(struct world *world, struct grant *grant);
void grant_release_all(struct world *world);
