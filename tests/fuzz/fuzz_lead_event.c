/*
 * A record of lead.create: leading lines "#name: value" are its headers ("#name" has a null value,
 * "#" alone makes the record's value null), the rest is its value.
 */
#include "tests/fuzz/fuzz.h"

#include <strings.h>

#include "common/json.h"
#include "common/rfc3339.h"
#include "worker/lead_event.h"
#include "worker/outcome_event.h"

#define HEADERS_MAX 16
#define WORD_BYTES FUZZ_UPPER FUZZ_LOWER FUZZ_DIGITS "_"

static const struct lead_header structured[] = {
	{SLICE("content-type"), SLICE("application/cloudevents+json")}};

/* ---- what the input says ---- */

static size_t take_headers(
	struct slice *rest, struct lead_header headers[HEADERS_MAX], bool *ret_null)
{
	struct slice line;
	size_t count = 0;

	*ret_null = false;
	while (count < HEADERS_MAX && fuzz_head(rest, &line)) {
		const char *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
		size_t name_len = colon ? (size_t)(colon - line.data) : line.len;
		size_t skip = name_len + 1 + (colon && name_len + 1 < line.len && colon[1] == ' ');

		*ret_null = *ret_null || !line.len;
		if (!line.len)
			continue;
		headers[count].name = (struct slice){line.data, name_len};
		headers[count++].value = colon ? (struct slice){line.data + skip, line.len - skip}
		                               : (struct slice){0};
	}
	return count;
}

/* ---- what must hold ---- */

static void check_verdict(const struct lead_event *e)
{
	const char *end = memchr(e->path, '\0', sizeof(e->path));

	assert(e->verdict >= LEAD_OK && e->verdict <= LEAD_INVALID && e->reason < REASON_COUNT);
	assert(end && (end == e->path) == (e->verdict == LEAD_OK));
	assert((e->reason == REASON_NONE) == (e->verdict == LEAD_OK));
	for (const char *at = e->path; at < end; at++)
		assert(*at > ' ' && *at < 0x7f && *at != '"' && *at != '\\');
	assert(!e->field.data || e->verdict == LEAD_REJECTED);
	assert(!e->fields.data == (e->verdict != LEAD_OK));
	if (e->verdict == LEAD_REJECTED)
		assert(!strncmp(e->path, "$.data.lead", 11));
	if (e->field.data)
		assert(e->field.len && fuzz_is_of(e->field, WORD_BYTES) &&
			strchr(e->path + 8, '.'));
}

static void check_identity(const struct lead_event *e)
{
	unsigned char key[LEAD_KEY_BYTES];

	if (e->verdict == LEAD_INVALID) {
		assert(!e->source.data && !e->id.data && !e->user_id.data);
		assert(!e->organization_id.data && !e->traceparent.data && !e->expiry_wall_ms);
		return;
	}
	assert(e->source.len && e->source.len <= LEAD_ID_MAX && fuzz_is_line(e->source));
	assert(e->id.len && e->id.len <= LEAD_ID_MAX && fuzz_is_line(e->id));
	assert(e->user_id.len && e->user_id.len <= LEAD_USER_MAX && fuzz_is_line(e->user_id));
	assert(!e->organization_id.data ||
		(e->organization_id.len && e->organization_id.len <= LEAD_USER_MAX &&
			fuzz_is_line(e->organization_id)));
	assert(!e->traceparent.data ||
		(e->traceparent.len == 55 && fuzz_is_of(e->traceparent, "0123456789abcdef-")));
	assert(e->expiry_wall_ms >= 0);
	lead_key(e->source, e->id, key);
	assert(!memcmp(key, e->key, sizeof(key)));
}

static bool ends(const char *name, const char *tail)
{
	size_t len = strlen(name), tail_len = strlen(tail);

	return len >= tail_len && !strcasecmp(name + len - tail_len, tail);
}

/* One field of a lead that will be sent. */
static void check_field(const struct json_walk *w, const char *before)
{
	enum json_kind kind = json_kind(w->value);

	assert(w->name_len && w->name_len <= 80);
	assert(fuzz_is_of((struct slice){w->name, w->name_len}, WORD_BYTES));
	assert(!before || strcasecmp(before, w->name) < 0);
	assert(kind != JSON_IS_OBJECT && kind != JSON_IS_LIST);
	/* never the record's own id, its type, our key, or another record */
	assert(strcasecmp(w->name, "Id") && strcasecmp(w->name, "attributes"));
	assert(!ends(w->name, "OnBehalf_Event_Id__c") && !ends(w->name, "__r"));
	if (!strcasecmp(w->name, "LastName") || !strcasecmp(w->name, "Company"))
		assert(json_slice(w->value).len);
}

static void check_fields(struct slice fields)
{
	freed_by(buf_release) struct buf braced = {0}, again = {0};
	freed_by(json_dropp) struct json_t *lead = NULL;
	struct json_walk w = {0};
	const char *before = NULL;
	size_t required = 0;

	buf_addf(&braced, "{%.*s}", (int)fields.len, fields.data);
	assert(braced.len == fields.len + 2 && !json_read(buf_slice(&braced), 1, &lead, NULL));
	assert(json_count(lead) <= LEAD_FIELDS_MAX);
	for (; json_walk(lead, &w); before = w.name) {
		check_field(&w, before);
		required += !strcasecmp(w.name, "LastName") || !strcasecmp(w.name, "Company");
	}
	assert(required == 2);
	json_put(&again, lead); /* compact, and as short as can be */
	assert(fuzz_is_same(buf_slice(&braced), buf_slice(&again)));
}

/* ---- the same event, written anew in both modes ---- */

static void put_member(struct buf *b, const char *name, struct slice value)
{
	if (!value.data)
		return;
	json_put_name(b, name);
	json_put_text(b, value);
}

static void put_data(struct buf *b, const struct lead_event *e)
{
	buf_add_char(b, '{');
	put_member(b, "user_id", e->user_id);
	put_member(b, "organization_id", e->organization_id);
	json_put_name(b, "lead");
	buf_addf(b, "{%.*s}}", (int)e->fields.len, e->fields.data);
}

static void check_same(const struct lead_record *record, const struct lead_event *e)
{
	freed_by(arena_release) struct arena arena = {0};
	struct lead_event got;

	lead_event_read(record, fuzz_ring(), &arena, &got);
	assert(got.verdict == LEAD_OK && fuzz_is_same(got.fields, e->fields));
	assert(!memcmp(got.key, e->key, sizeof(got.key)));
	assert(!memcmp(got.digest, e->digest, sizeof(got.digest)));
}

static void check_written_anew(const struct lead_event *e)
{
	freed_by(buf_release) struct buf whole = {0}, data = {0};
	char expiry[RFC3339_SIZE];
	struct slice expires = {expiry, RFC3339_SIZE - 1};
	struct lead_header headers[] = {{SLICE("ce_specversion"), SLICE("1.0")},
		{SLICE("ce_type"), SLICE("lead.create")}, {SLICE("ce_source"), e->source},
		{SLICE("ce_id"), e->id}, {SLICE("ce_expirytime"), {0}}};

	rfc3339_text(e->expiry_wall_ms, expiry);
	if (e->expiry_wall_ms)
		headers[4].value = expires;
	put_data(&data, e);
	check_same(&(struct lead_record){buf_slice(&data), headers, ARRAY_LEN(headers)}, e);

	buf_add_text(&whole, "{\"specversion\":\"1.0\",\"type\":\"lead.create\"");
	put_member(&whole, "source", e->source);
	put_member(&whole, "id", e->id);
	put_member(&whole, "expirytime", headers[4].value);
	buf_addf(&whole, ",\"data\":%.*s}", (int)data.len, data.data);
	check_same(&(struct lead_record){buf_slice(&whole), structured, 1}, e);
}

/* What a lead.result would say of it is JSON that names it. */
static void check_outcome(const struct lead_event *e)
{
	static const unsigned char hash[32];
	freed_by(buf_release) struct buf out = {0};
	freed_by(json_dropp) struct json_t *value = NULL;
	const char *code = reason_code(e->reason);
	struct outcome o = {.partition = 1,
		.type = OUTCOME_RESULT,
		.status = e->verdict == LEAD_OK ? STATUS_CREATED : STATUS_REJECTED,
		.id = hash,
		.lead_key = e->key,
		.event_source = e->source,
		.event_id = e->id,
		.traceparent = e->traceparent,
		.reason = {code, strlen(code)},
		.detail = {e->path, strlen(e->path)},
		.session = hash,
		.tick_hash = hash};

	outcome_event_write(&o, "onbehalf/fuzz", &out);
	assert(!json_read(buf_slice(&out), 8, &value, NULL) && json_kind(value) == JSON_IS_OBJECT);
	assert(memmem(out.data, out.len, code, strlen(code)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = {(const char *)data, size};
	struct lead_header headers[HEADERS_MAX] = {0};
	freed_by(arena_release) struct arena arena = {0};
	struct lead_event e;
	bool null;
	size_t count = take_headers(&rest, headers, &null);
	char *copy = fuzz_copy(rest);
	struct lead_record record = {{null ? NULL : copy, null ? 0 : rest.len}, headers, count};

	memset(&e, 0xa5, sizeof(e)); /* what is not set shows */
	lead_event_read(&record, fuzz_ring(), &arena, &e);
	free(copy); /* nothing may point there */
	check_verdict(&e);
	check_identity(&e);
	if (e.verdict == LEAD_OK) {
		check_fields(e.fields);
		check_written_anew(&e);
	}
	if (e.verdict != LEAD_INVALID)
		check_outcome(&e);
	return 0;
}
