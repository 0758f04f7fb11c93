/*
 * worker/binding.h - the checks that keep a write in its own org.
 *
 * Ids, hosts and tokens are compared here and nowhere else.  Pure.
 * https://help.salesforce.com/s/articleView?id=xcloud.domain_name_url_formats.htm (My Domain URL
 * formats)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base.h"

#define SF_ID15 15
#define SF_ID18 18
#define BINDING_HOST_MAX 255

/** The 18-character form of a 15- or 18-character id in @ret (NUL-terminated); false when malformed
 * or the suffix is wrong. */
must_check bool binding_id18(struct slice id, char ret[SF_ID18 + 1]);
/** The first 15 characters, case-sensitively. */
bool binding_same_id(struct slice a, struct slice b);

enum binding_env { BINDING_PRODUCTION, BINDING_SANDBOX };

enum binding_host_verdict {
	HOST_OK,
	HOST_INSECURE_OK, /* listed in insecure_hosts: http */
	HOST_MALFORMED, /* userinfo, path, query, port other than 443, IP literal, bad characters */
	HOST_REFUSED,   /* not a host that may receive a bearer token */
};

struct binding_host {
	enum binding_host_verdict verdict;
	enum binding_env env;
	char host[BINDING_HOST_MAX + 1]; /* lower case; with :port only when insecure */
};

/**
 * Reads an instance URL ("https://acme.my.salesforce.com", optional trailing slash) or a bare host.
 * @insecure: space separated exact host:port that may be spoken to in plain http; NULL or "": none.
 */
void binding_read_host(struct slice url, const char *insecure, struct binding_host *ret);

/** Host part of an URL template such as userinfo's urls.rest; absent when it is none. */
struct slice binding_url_origin(struct slice url);

enum binding_token { TOKEN_NO_ORG /* a JWT or unknown shape */, TOKEN_ORG_OK, TOKEN_OTHER_ORG };
/** What the token itself says of its org: `00D…(15)!…`. @org_id may be absent (not bound yet): then
 * TOKEN_NO_ORG or TOKEN_ORG_OK. */
enum binding_token binding_check_token(struct slice token, struct slice org_id);

enum binding_verdict {
	BINDING_OK,
	BINDING_NEW /* nothing bound yet */,
	BINDING_OTHER_ORG,
	BINDING_OTHER_USER,
	BINDING_OTHER_HOST,
	BINDING_OTHER_ENV
};
struct binding_identity { /* absent slices: not known */
	struct slice org_id, user_id, host;
};
/** Compares what is bound with what userinfo (or a token answer) says.  A host alone that differs
 * is BINDING_OTHER_HOST. */
enum binding_verdict binding_check(const struct binding_identity *bound,
	const struct binding_identity *seen, const struct binding_host *seen_host,
	enum binding_env wanted);
