#include <stdio.h>
#include <strings.h>

#include "control.h"

static const char *text_of(const struct call *call, const char *name)
{
	return json_string_value(json_object_get(call->json, name));
}

static void set_text(const struct call *call, const char *name, char **text)
{
	const char *value = text_of(call, name);

	if (!value)
		return;
	free(*text);
	*text = must(strdup(value));
}

static void set_bool(const struct call *call, const char *name, bool *value)
{
	const json_t *given = json_object_get(call->json, name);

	if (json_is_boolean(given))
		*value = json_is_true(given);
}

static void set_number(const struct call *call, const char *name, int64_t *value)
{
	const json_t *given = json_object_get(call->json, name);

	if (json_is_integer(given))
		*value = json_integer_value(given);
}

static void set_list(const struct call *call, const char *name, json_t **list)
{
	json_t *given = json_object_get(call->json, name);

	if (!json_is_array(given))
		return;
	json_decref(*list);
	*list = json_incref(given);
}

static json_t *org_json(const struct org *org)
{
	json_t *required = json_array();

	for (size_t i = 0; i < org->n_required; i++)
		(void)json_array_append_new(required, json_string(org->required[i]));
	return json_pack("{s:s,s:s,s:s,s:s,s:b,s:I,s:I,s:o,s:s,s:s}", "org_id", org->id, "host",
		org->host, "instance_url", org->instance_url, "external_id_field",
		org->external_id_field, "sandbox", org->sandbox, "api_limit",
		(json_int_t)org->api_limit, "api_used", (json_int_t)org->api_used, "required",
		required, "token_format", org->jwt ? "jwt" : "opaque", "login_host",
		org->sandbox ? "test.salesforce.com" : "login.salesforce.com");
}

static const char *org_fault(const struct call *call)
{
	const char *id = text_of(call, "org_id");
	const char *format = text_of(call, "token_format");
	const char *key = text_of(call, "external_id_field");

	if (id && (!id_is_valid(id) || strncmp(id, "00D", 3) != 0))
		return "org_id: 15 or 18 characters, from 00D, with the right check";
	if (format && strcmp(format, "opaque") != 0 && strcmp(format, "jwt") != 0)
		return "token_format: opaque or jwt";
	if (key && !*key)
		return "external_id_field: a field name";
	return NULL;
}

void control_orgs(struct world *world, struct call *call)
{
	const char *fault = org_fault(call);
	const char *id = text_of(call, "org_id");
	const char *format = text_of(call, "token_format");
	char id18[ID_SIZE];
	struct org *org;

	if (fault) {
		control_error(call, fault);
		return;
	}
	if (id)
		id_to18(id, id18);
	else
		id_make("00D", ++world->next_org + 1000000, id18);
	org = world_org_make(world, id18);
	if (text_of(call, "host"))
		world_org_set_host(world, org, text_of(call, "host"));
	set_text(call, "instance_url", &org->instance_url);
	set_text(call, "external_id_field", &org->external_id_field);
	set_bool(call, "sandbox", &org->sandbox);
	set_bool(call, "case_sensitive", &org->case_sensitive);
	set_number(call, "api_limit", &org->api_limit);
	set_number(call, "api_used", &org->api_used);
	if (json_is_array(json_object_get(call->json, "required")))
		org_set_required(org, json_object_get(call->json, "required"));
	if (format)
		org->jwt = strcmp(format, "jwt") == 0;
	call_answer_json(call, 200, org_json(org));
}

static const char *const grant_names[] = {
	[GRANT_ACTIVE] = "active",
	[GRANT_NEEDS_REAUTHORIZATION] = "needs_reauthorization",
	[GRANT_NOT_INSTALLED] = "not_installed",
};

static int grant_state_of(const char *name)
{
	for (int i = 0; name && i < (int)LENGTH_OF(grant_names); i++)
		if (strcmp(grant_names[i], name) == 0)
			return i;
	return name ? -1 : GRANT_ACTIVE;
}

/*
 * A new consent is a new grant: the next vend mints.  One that needs
 * reauthorization died at Salesforce, its tokens with it; one that was removed
 * from Pipes was not revoked there.
 */
static void set_state(struct world *world, struct user *user, enum grant_state state)
{
	user->state = state;
	user->keep_vending = false;
	free(user->vended);
	user->vended = NULL;
	if (state == GRANT_NEEDS_REAUTHORIZATION)
		user_kill_tokens(world, user, NULL);
}

static struct user *set_user(
	struct world *world, const struct call *call, struct org *org, const char *user_id)
{
	const char *slug = text_of(call, "slug");
	const char *sf_user_id = text_of(call, "sf_user_id");
	const char *method = text_of(call, "auth_method");
	struct user *user = world_user_make(
		world, user_id, text_of(call, "organization_id"), slug ? slug : "salesforce");

	if (sf_user_id)
		id_to18(sf_user_id, user->sf_user_id);
	else if (!user->org || user->org != org)
		id_make("005", ++world->next_user + 1000000, user->sf_user_id);
	user->org = org;
	set_number(call, "token_ttl_s", &user->token_ttl_s);
	set_bool(call, "report_expiry", &user->report_expiry);
	set_list(call, "scopes", &user->scopes);
	set_list(call, "missing_scopes", &user->missing_scopes);
	if (method)
		user->wrong_auth_method = strcmp(method, "oauth") != 0;
	set_state(world, user, (enum grant_state)grant_state_of(text_of(call, "grant")));
	return user;
}

static json_t *user_json(const struct user *user)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s*}", "sf_user_id", user->sf_user_id, "org_id",
		user->org->id, "user_id", user->user_id, "slug", user->slug, "grant",
		grant_names[user->state], "organization_id", user->organization_id);
}

static void many_users(struct world *world, struct call *call, struct org *org, json_int_t count)
{
	const char *prefix = text_of(call, "user_id_prefix");
	json_int_t from = json_integer_value(json_object_get(call->json, "from"));

	for (json_int_t i = from; i < from + count; i++) {
		freed_by(buf_release) struct buf user_id = {0};

		buf_addf(&user_id, "%s%lld", prefix, (long long)i);
		(void)set_user(world, call, org, buf_text(&user_id));
	}
	call_answer_json(call, 200, json_pack("{s:I}", "count", count));
}

void control_users(struct world *world, struct call *call)
{
	json_int_t count = json_integer_value(json_object_get(call->json, "count"));
	const char *sf_user_id = text_of(call, "sf_user_id");
	struct org *org = control_org(world, call, call->json);

	if (!org)
		return;
	if (grant_state_of(text_of(call, "grant")) < 0)
		control_error(call, "grant: active, needs_reauthorization or not_installed");
	else if (sf_user_id && (!id_is_valid(sf_user_id) || strncmp(sf_user_id, "005", 3) != 0))
		control_error(call, "sf_user_id: 15 or 18 characters, from 005");
	else if (count > 0 && text_of(call, "user_id_prefix"))
		many_users(world, call, org, count);
	else if (text_of(call, "user_id"))
		call_answer_json(
			call, 200, user_json(set_user(world, call, org, text_of(call, "user_id"))));
	else
		control_error(call, "user_id, or count and user_id_prefix");
}

static bool is_meant(const struct call *call, const struct user *user)
{
	const char *org_id = text_of(call, "org_id");
	const char *user_id = text_of(call, "user_id");
	const char *organization_id = text_of(call, "organization_id");

	if (org_id && !id_same(org_id, user->org->id))
		return false;
	if (user_id && strcmp(user_id, user->user_id) != 0)
		return false;
	return !organization_id ||
	       (user->organization_id && strcmp(organization_id, user->organization_id) == 0);
}

void control_expire(struct world *world, struct call *call)
{
	json_int_t killed = 0;

	for (size_t i = 0; i < world->n_users; i++) {
		struct user *user = world->user_list[i];

		if (!is_meant(call, user))
			continue;
		killed += user->tokens != NULL;
		user->keep_vending = false;
		set_bool(call, "keep_vending", &user->keep_vending);
		if (user->keep_vending)
			(void)user_vend(world, user); /* so that there is one to go on with */
		user_kill_tokens(world, user, NULL);
	}
	call_answer_json(call, 200, json_pack("{s:I}", "users", killed));
}

/* A refresh token for the vault path; the user need not have an account at Pipes. */
void control_grants(struct world *world, struct call *call)
{
	struct org *org = control_org(world, call, call->json);
	const char *user_id = text_of(call, "user_id");
	const char *slug = text_of(call, "slug");
	struct user *user;
	struct grant *grant;

	if (!org)
		return;
	if (!user_id) {
		control_error(call, "user_id is required");
		return;
	}
	user = world_user(
		world, user_id, text_of(call, "organization_id"), slug ? slug : "salesforce");
	if (!user || user->org != org) {
		control_error(call, "no such user in that org");
		return;
	}
	grant = grant_make(world, user);
	set_text(call, "client_id", &grant->client_id);
	set_text(call, "client_secret", &grant->client_secret);
	set_bool(call, "rotate", &grant->rotate);
	call_answer_json(call, 200,
		json_pack("{s:s,s:s,s:s,s:s}", "refresh_token", grant->current, "sf_user_id",
			grant->sf_user_id, "org_id", org->id, "instance_url", org->instance_url));
}
