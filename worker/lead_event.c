#include "worker/lead_event.h"

#include <assert.h>
#include <string.h>

#include "common/buf.h"
#include "common/rfc3339.h"
#include "common/json.h"
#include "worker/lead_attributes.h"
#include "worker/lead_fields.h"

#define LEVELS_MAX 16
#define FRAME_BYTES 5
#define DIGEST_VERSION "onbehalf lead.create 1"

static bool invalid(
	struct lead_event *ret, enum reason reason, const char *prefix, const char *name)
{
	ret->verdict = LEAD_INVALID;
	ret->reason = reason;
	if (name)
		lead_path(prefix, (struct slice){name, strlen(name)}, ret->path);
	else
		memcpy(ret->path, prefix, strlen(prefix) + 1); /* a literal */
	return false;
}

/* Asked only of what could not be read. */
static bool is_too_deep(struct slice json)
{
	unsigned level = 0;
	bool quoted = false;

	for (size_t i = 0; i < json.len && level <= LEVELS_MAX; i++) {
		char c = json.data[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			level++;
		else if (!quoted && (c == '}' || c == ']') && level)
			level--;
	}
	return level > LEVELS_MAX;
}

static bool read_json(struct slice bytes, struct json_t **ret_value, struct lead_event *ret)
{
	if (!json_read(bytes, LEVELS_MAX, ret_value, NULL))
		return true;
	return invalid(ret, is_too_deep(bytes) ? REASON_TOO_DEEP : REASON_NOT_JSON, "$", NULL);
}

static bool check_attributes(const struct lead_attributes *a, struct lead_event *ret)
{
	ret->reason = lead_attributes_check(a, ret->path);
	if (ret->reason != REASON_NONE)
		ret->verdict = LEAD_INVALID;
	return ret->reason == REASON_NONE;
}

static bool read_structured(struct slice value, struct json_t **ret_value, struct json_t **ret_data,
	struct lead_attributes *a, struct lead_event *ret)
{
	if (!read_json(value, ret_value, ret))
		return false;
	if (json_kind(*ret_value) != JSON_IS_OBJECT)
		return invalid(ret, REASON_NOT_CLOUDEVENT, "$", NULL);
	lead_attributes_from_object(*ret_value, a);
	if (!check_attributes(a, ret))
		return false;
	if (json_member(*ret_value, "data_base64"))
		return invalid(ret, REASON_MALFORMED_DATA, "$.data_base64", NULL);
	*ret_data = json_member(*ret_value, "data");
	return true;
}

static bool read_binary(const struct lead_record *record, struct json_t **ret_value,
	struct json_t **ret_data, struct lead_attributes *a, struct lead_event *ret)
{
	lead_attributes_from_headers(record, a);
	if (!check_attributes(a, ret))
		return false;
	if (!record->value.data || !record->value.len)
		return invalid(ret, REASON_MISSING_DATA, "$.data", NULL);
	if (!read_json(record->value, ret_value, ret))
		return false;
	*ret_data = *ret_value;
	return true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A producer without headers: only what says that it is a CloudEvent is read as one. */
static bool read_bare(struct slice value, struct json_t **ret_value, struct json_t **ret_data,
	struct lead_attributes *a, struct lead_event *ret)
{
	size_t at = 0;

	while (at < value.len && is_space(value.data[at]))
		at++;
	if (at == value.len || value.data[at] != '{')
		return invalid(ret, REASON_NOT_CLOUDEVENT, "$", NULL);
	if (!read_structured(value, ret_value, ret_data, a, ret))
		return *ret_value && !json_member(*ret_value, "specversion")
		               ? invalid(ret, REASON_NOT_CLOUDEVENT, "$", NULL)
		               : false;
	return true;
}

/*
 * What a serializer of a schema registry puts before the JSON: a zero byte and the schema's id,
 * four bytes.  No JSON text begins with a zero byte.
 * https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
 */
static struct slice without_frame(struct slice value)
{
	if (value.len > FRAME_BYTES && value.data[0] == '\0' && value.data[FRAME_BYTES] == '{')
		return (struct slice){value.data + FRAME_BYTES, value.len - FRAME_BYTES};
	return value;
}

/* Finds attributes and data, in whichever mode. */
static bool read_event(const struct lead_record *record, struct json_t **ret_value,
	struct json_t **ret_data, struct lead_attributes *a, struct lead_event *ret)
{
	struct lead_record plain = *record;

	if (record->value.len > (size_t)LEAD_RECORD_MAX)
		return invalid(ret, REASON_TOO_LARGE, "$", NULL);
	plain.value = without_frame(record->value);
	switch (lead_mode(&plain)) {
	case LEAD_MODE_STRUCTURED:
		return read_structured(plain.value, ret_value, ret_data, a, ret);
	case LEAD_MODE_BINARY:
		return read_binary(&plain, ret_value, ret_data, a, ret);
	case LEAD_MODE_BARE:
		return read_bare(plain.value, ret_value, ret_data, a, ret);
	case LEAD_MODE_OTHER:
		return invalid(ret, REASON_NOT_CLOUDEVENT, "content-type", NULL);
	case LEAD_MODE_AMBIGUOUS:
		return invalid(ret, REASON_MALFORMED_ATTRIBUTE, "content-type", NULL);
	}
	return false;
}

/* A member of data that names somebody. */
static bool read_who(const struct json_t *data, const char *name, bool required,
	struct slice *ret_who, struct lead_event *ret)
{
	const struct json_t *value = json_member(data, name);
	enum json_kind kind = json_kind(value);

	*ret_who = json_slice(value);
	if (kind == JSON_IS_NONE || kind == JSON_IS_NULL)
		return required ? invalid(ret, REASON_MISSING_DATA, "$.data.", name) : true;
	if (kind != JSON_IS_TEXT || !ret_who->len || !lead_text_is_clean(*ret_who))
		return invalid(ret, REASON_MALFORMED_DATA, "$.data.", name);
	if (ret_who->len > LEAD_USER_MAX)
		return invalid(ret, REASON_TOO_LARGE, "$.data.", name);
	return true;
}

static bool read_data(const struct json_t *data, struct lead_event *ret)
{
	enum json_kind kind = json_kind(data), lead = json_kind(json_member(data, "lead"));
	struct json_walk w = {0};

	if (kind == JSON_IS_NONE || kind == JSON_IS_NULL)
		return invalid(ret, REASON_MISSING_DATA, "$.data", NULL);
	if (kind != JSON_IS_OBJECT)
		return invalid(ret, REASON_MALFORMED_DATA, "$.data", NULL);
	if (!read_who(data, "user_id", true, &ret->user_id, ret) ||
		!read_who(data, "organization_id", false, &ret->organization_id, ret))
		return false;
	if (lead == JSON_IS_NONE || lead == JSON_IS_NULL)
		return invalid(ret, REASON_MISSING_DATA, "$.data.lead", NULL);
	if (lead != JSON_IS_OBJECT)
		return invalid(ret, REASON_MALFORMED_DATA, "$.data.lead", NULL);
	while (json_walk(data, &w))
		if (strcmp(w.name, "user_id") && strcmp(w.name, "organization_id") &&
			strcmp(w.name, "lead"))
			return invalid(ret, REASON_MALFORMED_DATA, "$.data.", w.name);
	return true;
}

static void read_lead(const struct json_t *lead, struct arena *arena, struct lead_event *ret)
{
	struct slice field;

	ret->reason = lead_fields_read(lead, arena, &ret->fields, &field);
	if (ret->reason == REASON_NONE)
		return;
	ret->verdict = LEAD_REJECTED;
	if (field.data)
		lead_path("$.data.lead.", field, ret->path);
	else
		memcpy(ret->path, "$.data.lead", sizeof("$.data.lead"));
	if (ret->reason != REASON_FIELD_NAME) /* a name that is none is not passed on */
		ret->field = arena_slice(arena, field);
}

static int64_t expiry_of(struct slice time)
{
	int64_t ms = 0;

	if (!time.data || !rfc3339_parse(time.data, time.len, &ms))
		return 0;
	return ms > 0 ? ms : 1; /* 0 is none; before 1970 is long past all the same */
}

/* An event's own trace, else the one its message travelled in. */
static struct slice traceparent_of(const struct lead_record *record, struct slice own)
{
	if (lead_traceparent_is_good(own))
		return own;
	for (size_t i = 0; i < record->header_count; i++) {
		const struct lead_header *h = &record->headers[i];

		if (h->name.len == sizeof("traceparent") - 1 &&
			!memcmp(h->name.data, "traceparent", h->name.len) &&
			lead_traceparent_is_good(h->value))
			return h->value;
	}
	return (struct slice){0};
}

static void digest(const struct secret_ring *ring, struct lead_event *ret)
{
	freed_by(buf_release) struct buf expiry = {0};
	bool done;

	buf_add_be64(&expiry, (uint64_t)ret->expiry_wall_ms);
	done = secret_digest(ring, SECRET_DIGEST, NULL,
		(struct slice[]){SLICE(DIGEST_VERSION), ret->source, ret->id, ret->user_id,
			ret->organization_id.data ? SLICE("1") : SLICE("0"), ret->organization_id,
			buf_slice(&expiry), ret->fields},
		8, ret->digest);
	assert(done); /* a ring has an active key */
}

void lead_event_read(const struct lead_record *record, const struct secret_ring *ring,
	struct arena *arena, struct lead_event *ret)
{
	freed_by(json_dropp) struct json_t *value = NULL;
	struct json_t *data = NULL;
	struct lead_attributes a = {0};

	*ret = (struct lead_event){0};
	if (!read_event(record, &value, &data, &a, ret) || !read_data(data, ret)) {
		ret->user_id = ret->organization_id = (struct slice){0};
		return;
	}
	ret->source = arena_slice(arena, a.value[LEAD_SOURCE]);
	ret->id = arena_slice(arena, a.value[LEAD_ID]);
	ret->user_id = arena_slice(arena, ret->user_id);
	ret->organization_id = arena_slice(arena, ret->organization_id);
	ret->traceparent = arena_slice(arena, traceparent_of(record, a.value[LEAD_TRACEPARENT]));
	ret->expiry_wall_ms = expiry_of(a.value[LEAD_EXPIRYTIME]);
	lead_key(ret->source, ret->id, ret->key);
	read_lead(json_member(data, "lead"), arena, ret);
	if (ring)
		digest(ring, ret);
	if (ret->verdict != LEAD_OK)
		ret->fields = (struct slice){0};
}

static void key_of(const struct slice *parts, size_t count, unsigned char ret[LEAD_KEY_BYTES])
{
	unsigned char hash[32];

	secret_sha256_parts(parts, count, hash);
	memcpy(ret, hash, LEAD_KEY_BYTES);
}

void lead_key(struct slice source, struct slice id, unsigned char ret[LEAD_KEY_BYTES])
{
	key_of((struct slice[]){source, id}, 2, ret);
}

/* Three parts of fixed length: never the same bytes as two texts. */
void lead_key_undecoded(
	int32_t incarnation, int32_t partition, int64_t offset, unsigned char ret[LEAD_KEY_BYTES])
{
	freed_by(buf_release) struct buf b = {0};

	buf_add_be32(&b, (uint32_t)incarnation);
	buf_add_be32(&b, (uint32_t)partition);
	buf_add_be64(&b, (uint64_t)offset);
	key_of((struct slice[]){{b.data, 4}, {b.data + 4, 4}, {b.data + 8, 8}}, 3, ret);
}

void lead_key_text(const unsigned char key[LEAD_KEY_BYTES], char ret[LEAD_KEY_TEXT])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < LEAD_KEY_BYTES; i++) {
		ret[2 * i] = digits[key[i] >> 4];
		ret[2 * i + 1] = digits[key[i] & 15];
	}
	ret[LEAD_KEY_TEXT - 1] = '\0';
}
