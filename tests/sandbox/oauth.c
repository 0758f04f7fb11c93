/*
 * tests/sandbox/oauth.c - the login host: token, revoke, introspect, userinfo.
 */
#include <stdio.h>
#include <strings.h>

#include "call.h"

static const char *form_of(const struct call *call)
{
	return call->body.len_bytes ? buf_text(&call->body) : call->query;
}

static bool is_endpoint(const struct call *call, const char *name)
{
	const char *const names[] = {name, NULL};

	return call_path_is(call, 2, names);
}

void oauth_identify(struct world *world, struct call *call)
{
	bool refresh = is_endpoint(call, "token");
	freed_by(charp_free) char *text =
		form_value(form_of(call), refresh ? "refresh_token" : "token");
	struct token *token = text ? token_find(world, text) : NULL;
	struct grant *grant = text ? grant_find(world, text) : NULL;

	if (refresh && grant)
		call->grant = grant;
	if (grant) {
		call->org = grant->org;
		call->user = grant->user;
	} else if (token && !refresh) {
		call->org = token->org;
		call->user = token->user;
	}
}

static void refuse(struct call *call, const char *error, const char *description)
{
	call_answer_json(call, 400,
		json_pack("{s:s,s:s}", "error", error, "error_description", description));
}

/* An org answers at its own host, and at the login host of its kind. */
static bool right_host(const struct world *world, const struct call *call)
{
	if (strcmp(call->host, "login.salesforce.com") == 0)
		return !call->org->sandbox;
	if (strcmp(call->host, "test.salesforce.com") == 0)
		return call->org->sandbox;
	return !world_knows_host(world, call->host) || strcmp(call->host, call->org->host) == 0;
}

static void identity_url(const struct org *org, const char *sf_user_id, struct buf *ret)
{
	buf_addf(ret, "https://%s.salesforce.com/id/%s/%s", org->sandbox ? "test" : "login",
		org->id, sf_user_id);
}

static void granted(struct world *world, struct call *call)
{
	struct grant *grant = call->grant;
	const struct token *token = token_mint(world, grant->user, grant);
	freed_by(buf_release) struct buf id = {0};
	char issued_at[24];
	char signature[45];
	json_t *answer;

	(void)snprintf(issued_at, sizeof(issued_at), "%lld", (long long)now_ms());
	world_random_text(world, signature, 43);
	strcat(signature, "=");
	identity_url(grant->org, grant->sf_user_id, &id);
	answer = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "access_token", token->text,
		"signature", signature, "scope", "refresh_token api id", "instance_url",
		grant->org->instance_url, "id", buf_text(&id), "token_type", "Bearer", "issued_at",
		issued_at);
	if (grant->rotate) {
		grant_rotate(world, grant);
		(void)json_object_set_new(answer, "refresh_token", json_string(grant->current));
	}
	call_answer_json(call, 200, answer);
}

static bool client_refused(struct call *call, const char *form)
{
	freed_by(charp_free) char *id = form_value(form, "client_id");
	freed_by(charp_free) char *secret = form_value(form, "client_secret");
	const struct grant *grant = call->grant;

	if (!id || (grant && grant->client_id && strcmp(id, grant->client_id) != 0)) {
		refuse(call, "invalid_client_id", "client identifier invalid");
		return true;
	}
	if (grant && grant->client_secret &&
		(!secret || strcmp(secret, grant->client_secret) != 0)) {
		refuse(call, "invalid_client", "invalid client credentials");
		return true;
	}
	return false;
}

static void refresh_serve(struct world *world, struct call *call)
{
	const char *form = buf_text(&call->body);
	freed_by(charp_free) char *type = form_value(form, "grant_type");
	freed_by(charp_free) char *text = form_value(form, "refresh_token");
	struct grant *grant = call->grant;

	if (!type || strcmp(type, "refresh_token") != 0) {
		refuse(call, "unsupported_grant_type", "grant type not supported");
	} else if (client_refused(call, form)) {
		return;
	} else if (!text) {
		refuse(call, "invalid_request", "refresh_token is required");
	} else if (!grant || grant->revoked) {
		refuse(call, "invalid_grant", "expired access/refresh token");
	} else if (!right_host(world, call)) {
		refuse(call, "app_not_found", "External client app is not installed in this org");
	} else if (call->busy_refused) {
		refuse(call, "invalid_grant", "token request is already being processed");
	} else if (strcmp(text, grant->current) != 0) {
		grant_revoke(world, grant); /* one that was rotated out: all of it ends */
		refuse(call, "invalid_grant", "expired access/refresh token");
	} else {
		granted(world, call);
	}
}

/* Ending an access token ends the grant behind it. */
static bool revoke(struct world *world, const char *text)
{
	struct token *token = token_find(world, text);
	struct grant *grant = token ? token->grant : grant_find(world, text);

	if (grant) {
		grant_revoke(world, grant);
		return true;
	}
	if (!token)
		return false;
	token->user->state = GRANT_NEEDS_REAUTHORIZATION;
	user_kill_tokens(world, token->user, NULL);
	return true;
}

static void revoke_serve(struct world *world, struct call *call)
{
	freed_by(charp_free) char *text = form_value(form_of(call), "token");

	if (text && revoke(world, text)) {
		call_answer(call, 200, "text/plain;charset=UTF-8");
		return;
	}
	call_answer(call, 400, "application/x-www-form-urlencoded;charset=UTF-8");
	buf_adds(&call->answer, "error=invalid_token&error_description=invalid+token");
}

static void introspect_serve(struct world *world, struct call *call)
{
	freed_by(charp_free) char *text = form_value(buf_text(&call->body), "token");
	const struct token *token = text ? token_find(world, text) : NULL;
	freed_by(buf_release) struct buf id = {0};
	json_int_t issued;

	if (!token) {
		call_answer_json(call, 200, json_pack("{s:b}", "active", false));
		return;
	}
	issued = token->expires_ms / 1000 - token->user->token_ttl_s;
	identity_url(token->org, token->sf_user_id, &id);
	call_answer_json(call, 200,
		json_pack("{s:b,s:s,s:s,s:s,s:I,s:I,s:I}", "active", true, "scope",
			"api refresh_token id", "sub", buf_text(&id), "token_type", "access_token",
			"exp", (json_int_t)(token->expires_ms / 1000), "iat", issued, "nbf",
			issued));
}

void oauth_serve(struct world *world, struct call *call)
{
	bool form = call->content_type &&
	            strncasecmp(call->content_type, "application/x-www-form-urlencoded", 33) == 0;
	bool post = strcmp(call->method, "POST") == 0;

	if (is_endpoint(call, "revoke") && (strcmp(call->method, "GET") == 0 || (post && form)))
		revoke_serve(world, call);
	else if (!is_endpoint(call, "token") && !is_endpoint(call, "introspect"))
		call_answer(call, 404, "text/html;charset=UTF-8");
	else if (!post || !form)
		refuse(call, "invalid_request", "must use HTTP POST with a form");
	else if (is_endpoint(call, "token"))
		refresh_serve(world, call);
	else
		introspect_serve(world, call);
}

static json_t *urls_json(const struct org *org)
{
	static const char *const names[][2] = {
		{"rest", "/services/data/v{version}/"},
		{"sobjects", "/services/data/v{version}/sobjects/"},
		{"search", "/services/data/v{version}/search/"},
		{"query", "/services/data/v{version}/query/"},
		{"recent", "/services/data/v{version}/recent/"},
		{"enterprise", "/services/Soap/c/{version}/"},
		{"partner", "/services/Soap/u/{version}/"},
		{"metadata", "/services/Soap/m/{version}/"},
		{"custom_domain", ""},
	};
	json_t *urls = json_object();

	for (size_t i = 0; i < LENGTH_OF(names); i++) {
		freed_by(buf_release) struct buf url = {0};

		buf_addf(&url, "%s%s", org->instance_url, names[i][1]);
		(void)json_object_set_new(urls, names[i][0], json_string(buf_text(&url)));
	}
	return urls;
}

static bool identity_refused(const struct world *world, const struct call *call)
{
	if (!call->token_is_good || !right_host(world, call))
		return true;
	if (strcmp(call->segments[0], "id") != 0)
		return false;
	return call->n_segments != 3 || !id_same(call->segments[1], call->org->id) ||
	       !id_same(call->segments[2], call->sf_user_id);
}

void userinfo_serve(struct world *world, struct call *call)
{
	freed_by(buf_release) struct buf id = {0};
	freed_by(buf_release) struct buf username = {0};
	json_t *answer;

	if (strcmp(call->method, "GET") != 0 && strcmp(call->method, "POST") != 0) {
		call_answer(call, 405, "text/html;charset=UTF-8");
		call_header(call, "Allow", "GET,POST");
		return;
	}
	if (identity_refused(world, call)) {
		call_answer(call, 403, "text/plain;charset=UTF-8");
		buf_adds(&call->answer, "Bad_OAuth_Token");
		return;
	}
	identity_url(call->org, call->sf_user_id, &id);
	buf_addf(&username, "%.15s@%.15s.example", call->sf_user_id, call->org->id);
	answer = json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:s,s:s,s:s,s:s,s:o}", "sub", buf_text(&id),
		"user_id", call->sf_user_id, "organization_id", call->org->id, "preferred_username",
		buf_text(&username), "email", buf_text(&username), "email_verified", true, "name",
		"Sandbox User", "user_type", "STANDARD", "language", "en_US", "locale", "en_US",
		"urls", urls_json(call->org));
	(void)json_object_set_new(answer, "active", json_true());
	call_answer_json(call, 200, answer);
}
