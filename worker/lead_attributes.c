#include "worker/lead_attributes.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/rfc3339.h"
#include "common/utf8.h"

#define CONTENT_TYPE "content-type"
#define OUR_SCHEMAS "urn:onbehalf:"
#define OUR_SCHEMA "urn:onbehalf:lead.create:1"
#define PATH_NAME_MAX 80

static bool is(struct slice s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.data, text, s.len);
}

static bool starts(struct slice s, const char *prefix)
{
	size_t len = strlen(prefix);

	return s.len >= len && !strncasecmp(s.data, prefix, len);
}

/* Without its parameters, in any case: https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1 */
static bool is_media_type(struct slice s, const char *type)
{
	const char *end = memchr(s.data, ';', s.len);
	size_t len = end ? (size_t)(end - s.data) : s.len;

	while (len && (s.data[len - 1] == ' ' || s.data[len - 1] == '\t'))
		len--;
	return len == strlen(type) && !strncasecmp(s.data, type, len);
}

static bool is_version(struct slice s)
{
	return is(s, "1.0");
}

static bool is_type(struct slice s)
{
	return is(s, "lead.create");
}

static bool is_time(struct slice s)
{
	int64_t ms;

	return rfc3339_parse(s.data, s.len, &ms);
}

static bool is_json(struct slice s)
{
	return is_media_type(s, "application/json");
}

/* Another version of ours would be read wrongly; what others describe is theirs. */
static bool is_schema(struct slice s)
{
	return !starts(s, OUR_SCHEMAS) || is(s, OUR_SCHEMA);
}

static const struct rule {
	const char *name;
	size_t max; /* bytes; 0: the record's limit is enough */
	bool (*shape)(struct slice s);
	enum reason wrong; /* when the shape is */
	bool required;
	bool ignored; /* whatever it holds */
} rules[LEAD_ATTRIBUTES] = {
	/* in the order of their faults: the first two say whether the rest means anything */
	[LEAD_SPECVERSION] = {"specversion", 0, is_version, REASON_WRONG_SPECVERSION, true, false},
	[LEAD_TYPE] = {"type", 0, is_type, REASON_WRONG_TYPE, true, false},
	[LEAD_SOURCE] = {"source", LEAD_ID_MAX, NULL, REASON_NONE, true, false},
	[LEAD_ID] = {"id", LEAD_ID_MAX, NULL, REASON_NONE, true, false},
	[LEAD_TIME] = {"time", 0, is_time, REASON_MALFORMED_ATTRIBUTE, false, false},
	[LEAD_SUBJECT] = {"subject", 0, NULL, REASON_NONE, false, false},
	[LEAD_DATACONTENTTYPE] = {"datacontenttype", 0, is_json, REASON_MALFORMED_ATTRIBUTE, false,
		false},
	[LEAD_DATASCHEMA] = {"dataschema", 0, is_schema, REASON_MALFORMED_ATTRIBUTE, false, false},
	/* https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/expirytime.md */
	[LEAD_EXPIRYTIME] = {"expirytime", 0, is_time, REASON_MALFORMED_ATTRIBUTE, false, false},
	[LEAD_PARTITIONKEY] = {"partitionkey", 0, NULL, REASON_NONE, false, false},
	/* a receiver ignores a broken one: https://www.w3.org/TR/trace-context/#processing-model */
	[LEAD_TRACEPARENT] = {"traceparent", 0, NULL, REASON_NONE, false, true},
	[LEAD_TRACESTATE] = {"tracestate", 0, NULL, REASON_NONE, false, true},
};

bool lead_text_is_clean(struct slice s)
{
	for (size_t i = 0, size; i < s.len; i += size) {
		unsigned char c = (unsigned char)s.data[i];

		if (c >= 0x20 && c < 0x7f) {
			size = 1;
			continue;
		}
		size = utf8_char(s.data + i, s.len - i);
		if (size < 2 || (c == 0xc2 && (unsigned char)s.data[i + 1] < 0xa0))
			return false; /* C0, DEL; C1 */
	}
	return true;
}

/* Lower-case hex that is not zero all over. */
static bool is_trace_hex(const char *text, size_t len, bool may_be_zero)
{
	bool zero = true;

	for (size_t i = 0; i < len; i++) {
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
		zero = zero && text[i] == '0';
	}
	return may_be_zero || !zero;
}

bool lead_traceparent_is_good(struct slice s)
{
	return s.data && s.len == 55 && s.data[2] == '-' && s.data[35] == '-' &&
	       s.data[52] == '-' && is_trace_hex(s.data, 2, true) && memcmp(s.data, "ff", 2) != 0 &&
	       is_trace_hex(s.data + 3, 32, false) && is_trace_hex(s.data + 36, 16, false) &&
	       is_trace_hex(s.data + 53, 2, true);
}

static bool is_word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.data[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			    c == '_'))
			return false;
	}
	return s.len && s.len <= PATH_NAME_MAX;
}

void lead_path(const char *prefix, struct slice name, char ret_path[LEAD_PATH_MAX])
{
	if (!is_word(name))
		name = SLICE("*");
	snprintf(ret_path, LEAD_PATH_MAX, "%s%.*s", prefix, (int)name.len, name.data);
}

static bool is_content_type(const struct lead_header *h)
{
	return h->name.len == sizeof(CONTENT_TYPE) - 1 && starts(h->name, CONTENT_TYPE);
}

static bool is_attribute(const struct lead_header *h)
{
	return h->name.len >= 3 && !memcmp(h->name.data, "ce_", 3);
}

/*
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md#3-kafka-message-mapping
 */
enum lead_mode lead_mode(const struct lead_record *record)
{
	struct slice type = {0};
	bool binary = false;

	for (size_t i = 0; i < record->header_count; i++) {
		const struct lead_header *h = &record->headers[i];

		if (is_content_type(h) && h->value.data) {
			if (type.data)
				return LEAD_MODE_AMBIGUOUS;
			type = h->value;
		} else if (is_attribute(h)) {
			binary = true;
		}
	}
	if (type.data && starts(type, "application/cloudevents"))
		return is_media_type(type, "application/cloudevents+json") ? LEAD_MODE_STRUCTURED
		                                                           : LEAD_MODE_OTHER;
	return binary ? LEAD_MODE_BINARY : LEAD_MODE_BARE;
}

static enum lead_attribute find(struct slice name)
{
	enum lead_attribute at = 0;

	while (at < LEAD_ATTRIBUTES && !is(name, rules[at].name))
		at++;
	return at;
}

static bool is_extension_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!((name.data[i] >= 'a' && name.data[i] <= 'z') ||
			    (name.data[i] >= '0' && name.data[i] <= '9')))
			return false;
	return name.len > 0;
}

static void extension_fault(struct lead_attributes *a, struct slice name)
{
	if (!a->extension_malformed)
		a->extension = name;
	a->extension_malformed = true;
}

void lead_attributes_from_headers(const struct lead_record *record, struct lead_attributes *ret)
{
	ret->binary = true;
	for (size_t i = 0; i < record->header_count; i++) {
		const struct lead_header *h = &record->headers[i];
		struct slice name = h->name;
		enum lead_attribute at = LEAD_ATTRIBUTES;

		if (is_content_type(h)) {
			at = LEAD_DATACONTENTTYPE;
		} else if (is_attribute(h)) {
			name = (struct slice){name.data + 3, name.len - 3};
			at = find(name);
			if (at == LEAD_ATTRIBUTES && !is_extension_name(name))
				extension_fault(ret, name);
		}
		if (at == LEAD_ATTRIBUTES || !h->value.data)
			continue;
		ret->malformed[at] = ret->malformed[at] || ret->value[at].data;
		ret->value[at] = h->value;
	}
}

/*
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md#22-type-system-mapping
 */
static bool is_extension_value(const struct json_t *value)
{
	switch (json_kind(value)) {
	case JSON_IS_NULL:
	case JSON_IS_BOOL:
	case JSON_IS_INT:
	case JSON_IS_TEXT:
		return true;
	case JSON_IS_NONE:
	case JSON_IS_REAL:
	case JSON_IS_LIST:
	case JSON_IS_OBJECT:
		return false;
	}
	return false;
}

void lead_attributes_from_object(const struct json_t *event, struct lead_attributes *ret)
{
	struct json_walk w = {0};

	while (json_walk(event, &w)) {
		struct slice name = {w.name, w.name_len};
		enum lead_attribute at = find(name);

		if (at < LEAD_ATTRIBUTES && json_kind(w.value) != JSON_IS_NULL) {
			ret->value[at] = json_slice(w.value);
			ret->malformed[at] = !ret->value[at].data;
		} else if (at == LEAD_ATTRIBUTES && !is(name, "data") && !is(name, "data_base64")) {
			if (!is_extension_name(name) || !is_extension_value(w.value))
				extension_fault(ret, name);
		}
	}
}

static enum reason check(const struct lead_attributes *a, enum lead_attribute at)
{
	const struct rule *rule = &rules[at];
	struct slice value = a->value[at];

	if (rule->ignored)
		return REASON_NONE;
	if (a->malformed[at])
		return REASON_MALFORMED_ATTRIBUTE;
	if (!value.data)
		return rule->required ? REASON_MISSING_ATTRIBUTE : REASON_NONE;
	if (rule->max && value.len > rule->max)
		return REASON_TOO_LARGE;
	if (!value.len || !lead_text_is_clean(value))
		return REASON_MALFORMED_ATTRIBUTE;
	return rule->shape && !rule->shape(value) ? rule->wrong : REASON_NONE;
}

enum reason lead_attributes_check(const struct lead_attributes *a, char ret_path[LEAD_PATH_MAX])
{
	const char *prefix = a->binary ? "ce_" : "$.";

	for (enum lead_attribute at = 0; at < LEAD_ATTRIBUTES; at++) {
		enum reason fault = check(a, at);

		if (fault == REASON_NONE)
			continue;
		if (a->binary && at == LEAD_DATACONTENTTYPE)
			memcpy(ret_path, CONTENT_TYPE, sizeof(CONTENT_TYPE));
		else
			lead_path(prefix, (struct slice){rules[at].name, strlen(rules[at].name)},
				ret_path);
		return fault;
	}
	if (!a->extension_malformed)
		return REASON_NONE;
	lead_path(prefix, a->extension, ret_path);
	return REASON_MALFORMED_ATTRIBUTE;
}
