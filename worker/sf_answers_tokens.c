/* The token sources' part of sf_answers: Pipes and userinfo. */
#include "worker/sf_answers.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#include "common/rfc3339.h"
#include "common/json.h"
#include "worker/binding.h"

#define LEVELS_MAX 16
#define OUR_SCOPE "api"

/*
 * https://workos.com/docs/reference/pipes; its SDKs repeat 408, 429 and 5xx:
 * https://github.com/workos/workos-node/blob/main/src/common/net/http-client.ts
 */
static const struct pipes_row {
	int from, to;
	enum pipes_class class;
	enum reason reason;
} pipes_rows[] = {
	{0, 199, PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE},
	{201, 299, PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE},
	{300, 399, PIPES_CONFIG, REASON_TOKEN_SOURCE_SETUP}, /* the key follows nobody elsewhere */
	{408, 408, PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE},
	{429, 429, PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE},
	{400, 499, PIPES_CONFIG, REASON_TOKEN_SOURCE_SETUP},
	{500, INT_MAX, PIPES_RETRY, REASON_TOKEN_SOURCE_UNAVAILABLE},
};

/* `active: false` and why; another word means the last row. */
static const struct inactive_row {
	const char *error;
	enum pipes_class class;
	enum reason reason;
} inactive_rows[] = {
	{"not_installed", PIPES_REMOVED, REASON_REMOVED_AT_SOURCE},
	{"needs_reauthorization", PIPES_REAUTH, REASON_CONSENT_NEEDED},
	{NULL, PIPES_REAUTH, REASON_CONSENT_NEEDED},
};

static const struct userinfo_row {
	const char *text; /* the body is this word */
	int status;
	enum sf_class class;
} userinfo_rows[] = {
	/* https://github.com/forcedotcom/SalesforceMobileSDK-Android (RestClient.java) */
	{NULL, 401, SF_REFRESH},
	{"Bad_OAuth_Token", 403, SF_REFRESH},
	{NULL, 408, SF_RETRY},
	{NULL, 429, SF_RETRY},
};

static struct json_t *read_body(struct slice body)
{
	struct json_t *value = NULL;

	return json_read(body, LEVELS_MAX, &value, NULL) ? NULL : value;
}

static bool is_text(struct slice s, const char *text)
{
	return s.data && s.len == strlen(text) && !memcmp(s.data, text, s.len);
}

/* It becomes a header: https://www.rfc-editor.org/rfc/rfc6750#section-2.1 */
static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.data[i] < 0x21 || s.data[i] > 0x7e)
			return false;
	return s.data && s.len;
}

static bool read_expiry(const struct json_t *value, int64_t *ret_wall_ms)
{
	struct slice text = json_slice(value);

	*ret_wall_ms = 0;
	if (!value || json_kind(value) == JSON_IS_NULL) /* Salesforce gives none */
		return true;
	if (!text.data || !rfc3339_parse(text.data, text.len, ret_wall_ms))
		return false;
	if (*ret_wall_ms < 1)
		*ret_wall_ms = 1; /* 0 is "not said" */
	return true;
}

/* False when the list is none. */
static bool lacks_our_scope(const struct json_t *missing, bool *ret)
{
	enum json_kind kind = json_kind(missing);

	*ret = false;
	if (kind == JSON_IS_NONE || kind == JSON_IS_NULL)
		return true;
	for (size_t i = 0; i < json_count(missing); i++)
		*ret = *ret || is_text(json_slice(json_item(missing, i)), OUR_SCOPE);
	return kind == JSON_IS_LIST;
}

static bool read_active(const struct json_t *token, struct arena *arena, struct pipes_answer *ret)
{
	struct slice text = json_slice(json_member(token, "access_token"));
	int64_t expires_ms;
	bool lacks;

	if (!is_token(text) || !read_expiry(json_member(token, "expires_at"), &expires_ms) ||
		!lacks_our_scope(json_member(token, "missing_scopes"), &lacks))
		return false;
	if (lacks) {
		*ret = (struct pipes_answer){.class = PIPES_REAUTH, .reason = REASON_SCOPE_MISSING};
		return true;
	}
	*ret = (struct pipes_answer){.class = PIPES_OK,
		.token = arena_slice(arena, text),
		.expires_wall_ms = expires_ms};
	return true;
}

static void read_inactive(const struct json_t *error, struct pipes_answer *ret)
{
	struct slice word = json_slice(error);
	size_t at = 0;

	while (inactive_rows[at].error && !is_text(word, inactive_rows[at].error))
		at++;
	*ret = (struct pipes_answer){
		.class = inactive_rows[at].class, .reason = inactive_rows[at].reason};
}

void sf_answers_pipes(const struct sf_answer *a, struct arena *arena, struct pipes_answer *ret)
{
	freed_by(json_dropp) struct json_t *body = NULL;
	const struct json_t *active;

	*ret = (struct pipes_answer){
		.class = PIPES_RETRY, .reason = REASON_TOKEN_SOURCE_UNAVAILABLE};
	for (size_t i = 0; i < ARRAY_LEN(pipes_rows); i++)
		if (a->status >= pipes_rows[i].from && a->status <= pipes_rows[i].to) {
			ret->class = pipes_rows[i].class;
			ret->reason = pipes_rows[i].reason;
			return;
		}
	body = read_body(a->body);
	active = json_member(body, "active");
	if (json_kind(active) != JSON_IS_BOOL)
		return;
	if (json_is_true(active))
		(void)read_active(json_member(body, "access_token"), arena, ret);
	else
		read_inactive(json_member(body, "error"), ret);
}

/* ---- userinfo ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word(struct slice body, const char *text)
{
	while (body.len && is_space(body.data[body.len - 1]))
		body.len--;
	return body.len == strlen(text) && !strncasecmp(body.data, text, body.len);
}

static enum sf_class userinfo_class(const struct sf_answer *a)
{
	for (size_t i = 0; i < ARRAY_LEN(userinfo_rows); i++)
		if (a->status == userinfo_rows[i].status &&
			(!userinfo_rows[i].text || is_word(a->body, userinfo_rows[i].text)))
			return userinfo_rows[i].class;
	if (a->oauth_1703 && a->status >= 400 && a->status < 500)
		return SF_REFRESH;
	if (a->status < 300 || a->status >= 500)
		return SF_RETRY;
	return SF_CONFIG;
}

static bool read_id(const struct json_t *value, const char *prefix, char ret[SF_ID18 + 1])
{
	struct slice id = json_slice(value);

	return id.len >= 3 && !memcmp(id.data, prefix, 3) && binding_id18(id, ret);
}

void sf_answers_userinfo(
	const struct sf_answer *a, struct arena *arena, struct userinfo_answer *ret)
{
	freed_by(json_dropp) struct json_t *body = NULL;
	const struct json_t *urls;
	struct userinfo_answer read = {.class = SF_CREATED};

	*ret = (struct userinfo_answer){.class = userinfo_class(a)};
	if (a->status != 200)
		return;
	body = read_body(a->body);
	urls = json_member(body, "urls");
	if (!read_id(json_member(body, "organization_id"), "00D", read.org_id) ||
		!read_id(json_member(body, "user_id"), "005", read.user_id))
		return; /* SF_RETRY: nothing was said */
	read.instance_url = binding_url_origin(json_slice(json_member(urls, "custom_domain")));
	if (!read.instance_url.data)
		read.instance_url = binding_url_origin(json_slice(json_member(urls, "rest")));
	read.instance_url = arena_slice(arena, read.instance_url);
	*ret = read;
}
