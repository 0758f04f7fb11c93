#include "worker/sf_answers.h"

#include <string.h>

#include "common/buf.h"
#include "common/json.h"
#include "worker/binding.h"
#include "worker/sf_answers_table.h"

#define LEVELS_MAX 32 /* the detail of duplicate rules nests */
#define FIELD_NAME_MAX 80

static const struct sf_verdict fine = {SF_CREATED, REASON_NONE, false};
static const struct sf_verdict unread = {SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, false};
/* What the documentation does not foresee. */
static const struct sf_verdict strange = {SF_UNKNOWN, REASON_UNKNOWN_OUTCOME, true};

static bool is_among(char c, const char *also)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(also, c));
}

/* A code is passed on whole or not at all. */
static void copy_code(struct slice code, char ret[SF_CODE_MAX])
{
	ret[0] = '\0';
	if (!code.data || code.len >= SF_CODE_MAX)
		return;
	for (size_t i = 0; i < code.len; i++)
		if (!is_among(code.data[i], "_"))
			return;
	memcpy(ret, code.data, code.len);
	ret[code.len] = '\0';
}

static bool is_field_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_among(s.data[i], "_.abcdefghijklmnopqrstuvwxyz"))
			return false;
	return s.len && s.len <= FIELD_NAME_MAX;
}

/* Names only: messages echo values. */
static struct slice copy_fields(const struct json_t *fields, struct arena *arena)
{
	freed_by(buf_release) struct buf out = {0};
	size_t taken = 0;

	for (size_t i = 0; i < json_count(fields) && taken < SF_FIELDS_MAX; i++) {
		struct slice name = json_slice(json_item(fields, i));

		if (!is_field_name(name))
			continue;
		buf_add_char(&out, taken++ ? ',' : '[');
		json_put_text(&out, name);
	}
	if (!taken)
		return (struct slice){0};
	buf_add_char(&out, ']');
	return arena_slice(arena, buf_slice(&out));
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_html(struct slice body)
{
	size_t at = 0;

	while (at < body.len && is_space(body.data[at]))
		at++;
	return at < body.len && body.data[at] == '<';
}

static struct json_t *read_body(struct slice body)
{
	struct json_t *value = NULL;

	return json_read(body, LEVELS_MAX, &value, NULL) ? NULL : value;
}

/*
 * No error that could be read.  Some statuses speak for themselves; a 5xx of the application does
 * not say how far it came.  A page of HTML comes from the way to the org, not from the org.
 */
static struct sf_verdict without_code(const struct sf_answer *a)
{
	const struct sf_status_row *row = sf_status(a->status);

	if (row && a->status >= 500 && row->class == SF_RETRY)
		return unread;
	if (row)
		return (struct sf_verdict){row->class, row->reason, row->alert};
	if (a->status >= 400 && a->status < 500 && is_html(a->body))
		return (struct sf_verdict){SF_ORG_PAUSE, REASON_SALESFORCE_UNAVAILABLE, true};
	return strange;
}

/* The verdict on the call; @body is what could be read of it, or NULL. */
static struct sf_decision decide_call(
	const struct sf_answer *a, const struct json_t *body, const char *key_field)
{
	struct sf_decision ret = {.verdict = fine};

	if (!a->status)
		ret.verdict = a->unsent ? (struct sf_verdict){SF_RETRY,
						  REASON_SALESFORCE_UNAVAILABLE, false}
		                        : unread;
	else if (a->status >= 200 && a->status < 300)
		ret.verdict = fine;
	else if (!sf_decide(body, a->status, key_field, &ret))
		ret = (struct sf_decision){.verdict = without_code(a)};
	/* LOGIN_OAUTH_INVALID_TOKEN, with a body of HTML or XML */
	if (a->oauth_1703 && a->status >= 400 && a->status < 500)
		ret.verdict = (struct sf_verdict){SF_REFRESH, REASON_TOKEN_REJECTED, false};
	return ret;
}

struct sf_verdict sf_answers_call(const struct sf_answer *a, char ret_code[SF_CODE_MAX])
{
	freed_by(json_dropp) struct json_t *body = read_body(a->body);
	struct sf_decision d = decide_call(a, body, NULL);

	if (ret_code)
		copy_code(d.code, ret_code);
	return d.verdict;
}

static void set_record(struct sf_record *ret, const struct sf_decision *d, struct arena *arena)
{
	ret->verdict = d->verdict;
	copy_code(d->code, ret->code);
	ret->fields = copy_fields(d->fields, arena);
}

/* Success is `"success":true` and nothing else: a rolled back record still shows an id. */
static void read_record(const struct json_t *record, int status, const char *key_field,
	struct arena *arena, struct sf_record *ret)
{
	const struct json_t *success = json_member(record, "success");
	const struct json_t *created = json_member(record, "created");
	bool said = json_kind(created) == JSON_IS_BOOL;
	struct sf_decision d = {.verdict = strange};

	*ret = (struct sf_record){.verdict = strange};
	if (json_kind(success) != JSON_IS_BOOL)
		return;
	if (!json_is_true(success)) {
		if (!sf_decide(json_member(record, "errors"), 200, key_field, &d))
			d = (struct sf_decision){.verdict = strange};
		set_record(ret, &d, arena);
		return;
	}
	ret->verdict = fine;
	if (said ? !json_is_true(created) : status == 200)
		ret->verdict.class = SF_UPDATED;
	if (!binding_id18(json_slice(json_member(record, "id")), ret->lead_id))
		ret->lead_id[0] = '\0';
}

/* What one lead may have caused for all is told apart by sending fewer. */
static void spread(struct sf_decision *d, size_t count, struct arena *arena, struct sf_record *ret)
{
	if (count > 1 && d->of_lead)
		d->verdict.class = SF_SMALLER;
	for (size_t i = 0; i < count; i++) {
		ret[i] = (struct sf_record){0};
		set_record(&ret[i], d, arena);
	}
}

struct sf_verdict sf_answers_collection(const struct sf_answer *a, const char *key_field,
	size_t count, struct arena *arena, struct sf_record *ret)
{
	freed_by(json_dropp) struct json_t *body = read_body(a->body);
	struct sf_decision d = decide_call(a, body, key_field);

	if (d.verdict.class == SF_CREATED) {
		if (json_kind(body) == JSON_IS_LIST && json_count(body) == count) {
			for (size_t i = 0; i < count; i++)
				read_record(json_item(body, i), 0, key_field, arena, &ret[i]);
			return d.verdict;
		}
		d.verdict = body ? strange : unread;
	}
	spread(&d, count, arena, ret);
	return d.verdict;
}

struct sf_verdict sf_answers_single(const struct sf_answer *a, const char *key_field,
	struct arena *arena, struct sf_record *ret)
{
	freed_by(json_dropp) struct json_t *body = read_body(a->body);
	struct sf_decision d = decide_call(a, body, key_field);

	*ret = (struct sf_record){0};
	if (d.verdict.class != SF_CREATED) {
		set_record(ret, &d, arena);
		return d.verdict;
	}
	/*
	 * https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_sobject_upsert_patch.htm
	 */
	if (a->status == 204) {
		ret->verdict = (struct sf_verdict){SF_UPDATED, REASON_NONE, false};
		return d.verdict;
	}
	if (json_kind(body) == JSON_IS_OBJECT) {
		read_record(body, a->status, key_field, arena, ret);
		return d.verdict;
	}
	ret->verdict = body ? strange : unread;
	return ret->verdict;
}
