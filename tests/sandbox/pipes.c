/*
 * tests/sandbox/pipes.c - api.workos.com: access tokens and connected accounts.
 */
#include <stdio.h>
#include <time.h>

#include "call.h"

static const char *body_text(const struct call *call, const char *name)
{
	return json_string_value(json_object_get(call->json, name));
}

static bool is_account_path(const struct call *call)
{
	return call->n_segments == 5 && strcmp(call->segments[0], "user_management") == 0 &&
	       strcmp(call->segments[1], "users") == 0 &&
	       strcmp(call->segments[3], "connected_accounts") == 0;
}

static bool is_integration_path(const struct call *call, const char *what)
{
	return call->n_segments == 3 && strcmp(call->segments[0], "data-integrations") == 0 &&
	       strcmp(call->segments[2], what) == 0;
}

/* Without an organization Pipes may hand back another connection of the same user. */
static struct user *find(const struct world *world, const char *user_id,
	const char *organization_id, const char *slug)
{
	if (organization_id)
		return world_user(world, user_id, organization_id, slug);
	return world_user_any(world, user_id, slug);
}

void pipes_identify(struct world *world, struct call *call)
{
	const char *user_id = body_text(call, "user_id");

	if (is_account_path(call)) {
		freed_by(charp_free) char *organization =
			form_value(call->query, "organization_id");

		call->user = find(world, call->segments[2], organization, call->segments[4]);
	} else if (call->n_segments == 3 && user_id) {
		call->user =
			find(world, user_id, body_text(call, "organization_id"), call->segments[1]);
	}
	call->org = call->user ? call->user->org : NULL;
}

static void refuse(struct call *call, int status, const char *format, const char *value)
{
	freed_by(buf_release) struct buf message = {0};
	const char *at = strstr(format, "%s");

	assert(at);
	buf_add(&message, format, (size_t)(at - format));
	buf_adds(&message, value);
	buf_adds(&message, at + 2);
	call_answer_json(call, status, json_pack("{s:s}", "message", buf_text(&message)));
}

static json_t *time_json(int64_t ms)
{
	time_t seconds = ms / 1000;
	struct tm parts;
	char text[48];
	size_t len;

	(void)gmtime_r(&seconds, &parts);
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(text + len, sizeof(text) - len, ".%03dZ", (int)(ms % 1000));
	return json_string(text);
}

static void token_vend(struct world *world, struct call *call)
{
	struct user *user = call->user;
	const char *token;

	if (!user || user->state != GRANT_ACTIVE) {
		call_answer_json(call, 200,
			json_pack("{s:b,s:s}", "active", false, "error",
				user && user->state == GRANT_NEEDS_REAUTHORIZATION
					? "needs_reauthorization"
					: "not_installed"));
		return;
	}
	token = user_vend(world, user);
	call_answer_json(call, 200,
		json_pack("{s:b,s:{s:s,s:s,s:o,s:O,s:O}}", "active", true, "access_token", "object",
			"access_token", "access_token", token, "expires_at",
			user->report_expiry ? time_json(user->vended_expires_ms) : json_null(),
			"scopes", user->scopes, "missing_scopes", user->missing_scopes));
}

static bool is_text_or_absent(const json_t *value)
{
	return !value || json_is_null(value) || json_is_string(value);
}

/* True when the call is refused before the account is looked at. */
static bool refused(const struct world *world, struct call *call, const char *slug)
{
	const char *organization = body_text(call, "organization_id");
	bool known = strcmp(slug, "salesforce") == 0 || map_get(&world->slugs, slug);

	if (!known)
		refuse(call, 404, "Data integration not found: '%s'.", slug);
	else if (!json_is_object(call->json))
		refuse(call, 400, "%s", "The request body is not a JSON object.");
	else if (!body_text(call, "user_id"))
		refuse(call, 400, "%s", "user_id is required.");
	else if (!is_text_or_absent(json_object_get(call->json, "organization_id")))
		refuse(call, 400, "%s", "organization_id must be a string.");
	else if (organization && !map_get(&world->organizations, organization))
		refuse(call, 400, "Organization not found: '%s'.", organization);
	else if (call->user && call->user->wrong_auth_method)
		call_answer_json(call, 422,
			json_pack("{s:s,s:s}", "code", "auth_method_mismatch", "message",
				"The connected account does not use OAuth."));
	else
		return false;
	return true;
}

static void authorize(struct call *call)
{
	freed_by(buf_release) struct buf url = {0};

	buf_addf(&url, "https://api.workos.com/data-integrations/%s/authorize/%s",
		call->segments[1], body_text(call, "user_id"));
	call_answer_json(call, 200, json_pack("{s:s}", "url", buf_text(&url)));
}

static void account_serve(struct call *call)
{
	struct user *user = call->user;
	freed_by(buf_release) struct buf id = {0};

	if (!user || user->state == GRANT_NOT_INSTALLED) {
		refuse(call, 404, "Connected account not found: '%s'.", call->segments[4]);
	} else if (strcmp(call->method, "DELETE") == 0) {
		user->state = GRANT_NOT_INSTALLED; /* its tokens live on at Salesforce */
		call_answer(call, 204, NULL);
	} else if (strcmp(call->method, "GET") == 0) {
		buf_addf(&id, "data_installation_%p", (void *)user);
		call_answer_json(call, 200,
			json_pack("{s:s,s:s,s:s,s:s?,s:O,s:s,s:n,s:s,s:s}", "object",
				"connected_account", "id", buf_text(&id), "user_id", user->user_id,
				"organization_id", user->organization_id, "scopes", user->scopes,
				"auth_method", "oauth", "api_key_last_4", "state",
				user->state == GRANT_ACTIVE ? "connected" : "needs_reauthorization",
				"created_at", "2026-01-01T00:00:00.000Z"));
	} else {
		refuse(call, 404, "Cannot use %s here.", call->method);
	}
}

static bool is_json(const struct call *call)
{
	return call->content_type && strncmp(call->content_type, "application/json", 16) == 0;
}

static bool refused_at_the_door(const struct world *world, struct call *call)
{
	const char *bearer = call_bearer(call);
	bool loopback = strcmp(call->host, "localhost") == 0 || strncmp(call->host, "127.", 4) == 0;

	if (strstr(call->host, ".salesforce.com") ||
		(!loopback && world_knows_host(world, call->host))) {
		call_answer(call, 404, "text/html;charset=UTF-8");
		return true;
	}
	if (!bearer || strncmp(bearer, "sk_", 3) != 0) {
		refuse(call, 401, "%s", "Unauthorized");
		return true;
	}
	return false;
}

void pipes_serve(struct world *world, struct call *call)
{
	bool post = strcmp(call->method, "POST") == 0;

	if (refused_at_the_door(world, call))
		return;
	if (is_account_path(call)) {
		account_serve(call);
		return;
	}
	if (!post ||
		!(is_integration_path(call, "token") || is_integration_path(call, "authorize"))) {
		refuse(call, 404, "Cannot find %s.", call->path);
		return;
	}
	if (!is_json(call)) {
		refuse(call, 400, "%s", "The Content-Type must be application/json.");
		return;
	}
	if (refused(world, call, call->segments[1]))
		return;
	if (is_integration_path(call, "token"))
		token_vend(world, call);
	else
		authorize(call);
}
