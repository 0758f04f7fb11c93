#include "worker/outcome_event.h"

#include <assert.h>
#include <string.h>

#include "common/rfc3339.h"
#include "common/json.h"

#define UUID_BYTES 16
#define HASH_BYTES 32

static const struct {
	const char *name, *schema;
} types[] = {
	[OUTCOME_RESULT] = {"lead.result", "urn:onbehalf:lead.result:1"},
	[OUTCOME_REAUTH_REQUIRED] = {"lead.reauth-required", "urn:onbehalf:lead.reauth-required:1"},
	[OUTCOME_REVOKED] = {"lead.revoked", "urn:onbehalf:lead.revoked:1"},
	[OUTCOME_INVALID] = {"lead.invalid", NULL},
};

static const char *const statuses[] = {
	[STATUS_NONE] = "",
	[STATUS_CREATED] = "created",
	[STATUS_UPDATED] = "updated",
	[STATUS_REJECTED] = "rejected",
	[STATUS_EXPIRED] = "expired",
	[STATUS_UNDELIVERABLE] = "undeliverable",
};

static const char *const writtens[] = {
	[WRITTEN_NO] = "no",
	[WRITTEN_YES] = "yes",
	[WRITTEN_UNKNOWN] = "unknown",
};

const char *outcome_type_name(enum outcome_type t)
{
	assert(t >= OUTCOME_RESULT && (size_t)t < ARRAY_LEN(types));
	return types[t].name;
}

const char *outcome_status_name(enum outcome_status s)
{
	assert((size_t)s < ARRAY_LEN(statuses));
	return statuses[s];
}

/* ---- UUIDs: https://www.rfc-editor.org/rfc/rfc9562#section-4 ---- */

static bool is_dash(size_t at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

void uuid_text(const unsigned char uuid[UUID_BYTES], char ret[UUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < UUID_BYTES; i++) {
		if (is_dash(at))
			ret[at++] = '-';
		ret[at++] = digits[uuid[i] >> 4];
		ret[at++] = digits[uuid[i] & 15];
	}
	ret[at] = '\0';
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool uuid_parse(const char *text, unsigned char ret[UUID_BYTES])
{
	unsigned char uuid[UUID_BYTES] = {0};
	size_t nibbles = 0;

	if (!text || strlen(text) != UUID_TEXT - 1)
		return false;
	for (size_t at = 0; at < UUID_TEXT - 1; at++) {
		int value = hex_value(text[at]);

		if (is_dash(at) ? text[at] != '-' : value < 0)
			return false;
		if (is_dash(at))
			continue;
		uuid[nibbles / 2] = (unsigned char)(uuid[nibbles / 2] << 4 | value);
		nibbles++;
	}
	memcpy(ret, uuid, UUID_BYTES);
	return true;
}

/* ---- members ---- */

static void put_slice(struct buf *out, const char *name, struct slice s)
{
	if (!s.data)
		return;
	json_put_name(out, name);
	json_put_text(out, s);
}

static void put_word(struct buf *out, const char *name, const char *word)
{
	put_slice(out, name, (struct slice){word, strlen(word)});
}

static void put_int(struct buf *out, const char *name, int64_t v)
{
	json_put_name(out, name);
	buf_addf(out, "%lld", (long long)v);
}

/* Left out when it is not known. */
static void put_time(struct buf *out, const char *name, int64_t wall_ms)
{
	char text[RFC3339_SIZE];

	if (!wall_ms)
		return;
	rfc3339_text(wall_ms, text);
	put_word(out, name, text);
}

static void put_uuid(struct buf *out, const char *name, const unsigned char *uuid)
{
	char text[UUID_TEXT];

	uuid_text(uuid, text);
	put_word(out, name, text);
}

static void open_object(struct buf *out, const char *name)
{
	json_put_name(out, name);
	buf_add_char(out, '{');
}

static void put_connection(struct buf *out, const struct outcome *o)
{
	if (!o->connection_id)
		return;
	put_uuid(out, "connection_id", o->connection_id);
	put_int(out, "connection_epoch", o->connection_epoch);
}

/* The head of the session's chain: with every outcome it leaves the database. */
static void put_audit(struct buf *out, const struct outcome *o)
{
	open_object(out, "audit");
	put_uuid(out, "session", o->session);
	put_int(out, "tick", o->tick);
	json_put_name(out, "hash");
	buf_add_char(out, '"');
	buf_add_hex(out, o->tick_hash, HASH_BYTES);
	buf_add_text(out, "\"}");
}

static void put_written(struct buf *out, const struct outcome *o)
{
	assert((size_t)o->written < ARRAY_LEN(writtens));
	put_word(out, "written", writtens[o->written]);
}

/* ---- data, by type ---- */

static void put_times(struct buf *out, const struct outcome *o)
{
	open_object(out, "times");
	put_time(out, "accepted", o->accepted_ms);
	put_time(out, "permitted", o->permitted_ms);
	put_time(out, "sent", o->sent_ms);
	put_time(out, "answered", o->answered_ms);
	put_time(out, "recorded", o->recorded_ms);
	buf_add_char(out, '}');
}

static void put_result(struct buf *out, const struct outcome *o)
{
	assert(o->status != STATUS_NONE);
	put_word(out, "status", outcome_status_name(o->status));
	put_slice(out, "lead_id", o->lead_id);
	put_written(out, o);
	put_slice(out, "org_id", o->org_id);
	put_connection(out, o);
	put_slice(out, "code", o->code);
	if (o->fields.data) {
		json_put_name(out, "fields");
		buf_add(out, o->fields.data, o->fields.len);
	}
	put_slice(out, "reason", o->reason);
	put_int(out, "attempts", o->attempts);
	put_times(out, o);
}

static void put_reauth_required(struct buf *out, const struct outcome *o)
{
	put_slice(out, "reason", o->reason);
	put_word(out, "repair", reason_how(reason_find(o->reason)));
	put_time(out, "deadline", o->deadline_ms);
	json_put_name(out, "parked");
	buf_add_text(out, o->parked ? "true" : "false");
	put_connection(out, o);
}

static void put_revoked(struct buf *out, const struct outcome *o)
{
	put_slice(out, "connection_state", o->connection_state);
	put_slice(out, "ended_by", o->ended_by);
	put_time(out, "ended_at", o->ended_at_ms);
	put_slice(out, "reason", o->reason);
	put_written(out, o);
	put_connection(out, o);
}

static void put_data(struct buf *out, const struct outcome *o)
{
	open_object(out, "data");
	switch (o->type) {
	case OUTCOME_RESULT:
		put_result(out, o);
		break;
	case OUTCOME_REAUTH_REQUIRED:
		put_reauth_required(out, o);
		break;
	case OUTCOME_REVOKED:
		put_revoked(out, o);
		break;
	case OUTCOME_INVALID: /* its value is the original bytes; the caller asked */
		break;
	}
	put_audit(out, o);
	buf_add_char(out, '}');
}

void outcome_event_write(const struct outcome *o, const char *source, struct buf *out)
{
	assert(o->type != OUTCOME_INVALID && o->event_id.data && o->event_source.data);
	buf_reserve(out, 1024);
	buf_add_char(out, '{');
	put_word(out, "specversion", "1.0");
	put_uuid(out, "id", o->id);
	put_word(out, "source", source);
	put_word(out, "type", outcome_type_name(o->type));
	put_word(out, "dataschema", types[o->type].schema);
	put_word(out, "datacontenttype", "application/json");
	put_time(out, "time", o->recorded_ms);
	put_slice(out, "subject", o->event_id);
	put_slice(out, "causationid", o->event_id);
	put_slice(out, "causationsource", o->event_source);
	put_slice(out, "traceparent", o->traceparent);
	put_data(out, o);
	buf_add_char(out, '}');
}
