#include "worker/lead_fields.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "worker/lead_event.h"

#define NAME_MAX_CHARS 80
#define KEY_FIELD "OnBehalf_Event_Id__c"

enum field_kind {
	FIELD_TEXT,
	FIELD_WHOLE,
	FIELD_NUMBER,
	FIELD_BOOL,
	FIELD_READ_ONLY,
};

struct field_rule {
	const char *name;
	size_t max_chars; /* of a text */
	enum field_kind kind;
	bool required;
};

/*
 * The standard fields of a Lead, sorted without regard to case.
 * https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/object_reference/sforce_api_objects_lead.htm
 * https://developer.salesforce.com/docs/atlas.en-us.sfFieldRef.meta/sfFieldRef/salesforce_field_reference_Lead.htm
 * Lengths are characters: https://help.salesforce.com/s/articleView?id=000381913
 */
static const struct field_rule rules[] = {
	{"Address", 0, FIELD_READ_ONLY, false}, /* compound: its parts are written */
	{"AnnualRevenue", 0, FIELD_NUMBER, false},
	{"attributes", 0, FIELD_READ_ONLY, false}, /* names the type in a call: ours */
	{"City", 40, FIELD_TEXT, false},
	{"Company", 255, FIELD_TEXT, true},
	{"ConvertedAccountId", 0, FIELD_READ_ONLY, false},
	{"ConvertedContactId", 0, FIELD_READ_ONLY, false},
	{"ConvertedDate", 0, FIELD_READ_ONLY, false},
	{"ConvertedOpportunityId", 0, FIELD_READ_ONLY, false},
	{"Country", 80, FIELD_TEXT, false},
	{"CreatedById", 0, FIELD_READ_ONLY, false},
	{"CreatedDate", 0, FIELD_READ_ONLY, false},
	{"Description", 32000, FIELD_TEXT, false},
	{"DoNotCall", 0, FIELD_BOOL, false},
	{"Email", 80, FIELD_TEXT, false},
	{"EmailBouncedDate", 0, FIELD_READ_ONLY, false},
	{"EmailBouncedReason", 0, FIELD_READ_ONLY, false},
	{"Fax", 40, FIELD_TEXT, false},
	{"FirstName", 40, FIELD_TEXT, false},
	{"HasOptedOutOfEmail", 0, FIELD_BOOL, false},
	{"HasOptedOutOfFax", 0, FIELD_BOOL, false},
	{"Id", 0, FIELD_READ_ONLY, false},
	{"Industry", 40, FIELD_TEXT, false},
	{"IsConverted", 0, FIELD_READ_ONLY, false},
	{"IsDeleted", 0, FIELD_READ_ONLY, false},
	{"IsUnreadByOwner", 0, FIELD_BOOL, false},
	{"LastActivityDate", 0, FIELD_READ_ONLY, false},
	{"LastModifiedById", 0, FIELD_READ_ONLY, false},
	{"LastModifiedDate", 0, FIELD_READ_ONLY, false},
	{"LastName", 80, FIELD_TEXT, true},
	{"LastReferencedDate", 0, FIELD_READ_ONLY, false},
	{"LastViewedDate", 0, FIELD_READ_ONLY, false},
	{"Latitude", 0, FIELD_NUMBER, false},
	{"LeadSource", 40, FIELD_TEXT, false},
	{"Longitude", 0, FIELD_NUMBER, false},
	{"MasterRecordId", 0, FIELD_READ_ONLY, false},
	{"MobilePhone", 40, FIELD_TEXT, false},
	{"Name", 0, FIELD_READ_ONLY, false}, /* made of FirstName and LastName */
	{"NumberOfEmployees", 0, FIELD_WHOLE, false},
	{"Phone", 40, FIELD_TEXT, false},
	{"PhotoUrl", 0, FIELD_READ_ONLY, false},
	{"PostalCode", 20, FIELD_TEXT, false},
	{"Salutation", 40, FIELD_TEXT, false},
	{"State", 80, FIELD_TEXT, false},
	{"Street", 255, FIELD_TEXT, false},
	{"SystemModstamp", 0, FIELD_READ_ONLY, false},
	{"Title", 128, FIELD_TEXT, false},
	{"Website", 255, FIELD_TEXT, false},
};

struct member {
	struct slice name;
	const struct json_t *value;
};

static unsigned char folded(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Salesforce's field names know no case. */
static int compare_names(struct slice a, struct slice b)
{
	for (size_t i = 0; i < a.len && i < b.len; i++)
		if (folded(a.data[i]) != folded(b.data[i]))
			return folded(a.data[i]) - folded(b.data[i]);
	return (a.len > b.len) - (a.len < b.len);
}

static int compare_members(const void *a, const void *b)
{
	const struct member *left = a, *right = b;
	int order = compare_names(left->name, right->name);

	/* names that differ in case only are refused, but in an order that is always the same */
	return order ? order : memcmp(left->name.data, right->name.data, left->name.len);
}

static const struct field_rule *find_rule(struct slice name)
{
	size_t low = 0, high = ARRAY_LEN(rules);

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *listed = rules[middle].name;
		int order = compare_names(name, (struct slice){listed, strlen(listed)});

		if (!order)
			return &rules[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static bool ends_with(struct slice s, const char *tail)
{
	size_t len = strlen(tail);

	return s.len >= len && !strncasecmp(s.data + s.len - len, tail, len);
}

/* No path to another record: neither Owner.Name nor Owner__r. */
static bool is_field_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = folded(s.data[i]);

		if (!((c >= 'a' && c <= 'z') || (i && ((c >= '0' && c <= '9') || c == '_'))))
			return false;
	}
	return s.len && s.len <= NAME_MAX_CHARS && !ends_with(s, "__r");
}

static bool takes(enum field_kind kind, enum json_kind given)
{
	if (given == JSON_IS_NULL) /* empties any field */
		return true;
	switch (kind) {
	case FIELD_TEXT:
		return given == JSON_IS_TEXT;
	case FIELD_WHOLE:
		return given == JSON_IS_INT;
	case FIELD_NUMBER:
		return given == JSON_IS_INT || given == JSON_IS_REAL;
	case FIELD_BOOL:
		return given == JSON_IS_BOOL;
	case FIELD_READ_ONLY:
		return false;
	}
	return false;
}

static size_t chars_of(struct slice s)
{
	size_t count = 0;

	for (size_t i = 0; i < s.len; i++)
		count += ((unsigned char)s.data[i] & 0xc0) != 0x80;
	return count;
}

static enum reason check_member(const struct member *m)
{
	enum json_kind kind = json_kind(m->value);
	const struct field_rule *rule;
	struct slice text;

	if (!is_field_name(m->name))
		return REASON_FIELD_NAME;
	rule = find_rule(m->name);
	/* ours may come with the prefix of a package */
	if ((rule && rule->kind == FIELD_READ_ONLY) || ends_with(m->name, KEY_FIELD))
		return REASON_FIELD_READ_ONLY;
	if (kind == JSON_IS_OBJECT || kind == JSON_IS_LIST || (rule && !takes(rule->kind, kind)))
		return REASON_FIELD_TYPE;
	if (!rule)
		return REASON_NONE;
	text = json_slice(m->value);
	if (rule->required && !text.len)
		return REASON_MISSING_FIELD;
	if (rule->max_chars && text.len > rule->max_chars && chars_of(text) > rule->max_chars)
		return REASON_FIELD_TOO_LONG;
	return REASON_NONE;
}

static enum reason check_required(
	const struct member *members, size_t count, struct slice *ret_field)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct slice name = {rules[i].name, strlen(rules[i].name)};
		size_t at = 0;

		if (!rules[i].required)
			continue;
		while (at < count && compare_names(members[at].name, name) != 0)
			at++;
		if (at == count) {
			*ret_field = name;
			return REASON_MISSING_FIELD;
		}
	}
	return REASON_NONE;
}

static enum reason check(const struct member *members, size_t count, struct slice *ret_field)
{
	*ret_field = (struct slice){0};
	if (count > LEAD_FIELDS_MAX)
		return REASON_TOO_MANY_FIELDS;
	for (size_t i = 0; i < count; i++) {
		bool twice = i && !compare_names(members[i - 1].name, members[i].name);
		enum reason fault = twice ? REASON_FIELD_TWICE : check_member(&members[i]);

		if (fault != REASON_NONE) {
			*ret_field = members[i].name;
			return fault;
		}
	}
	return check_required(members, count, ret_field);
}

static struct slice write_members(const struct member *members, size_t count, struct arena *arena)
{
	freed_by(buf_release) struct buf out = {0};

	buf_reserve(&out, 512);
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_add_char(&out, ',');
		json_put_text(&out, members[i].name);
		buf_add_char(&out, ':');
		json_put(&out, members[i].value);
	}
	return (struct slice){arena_copy(arena, out.data, out.len), out.len};
}

enum reason lead_fields_read(const struct json_t *lead, struct arena *arena, struct slice *ret_json,
	struct slice *ret_field)
{
	size_t count = json_count(lead), at = 0;
	struct member *members = arena_alloc(arena, (count + 1) * sizeof(*members));
	struct json_walk w = {0};

	while (json_walk(lead, &w))
		members[at++] = (struct member){{w.name, w.name_len}, w.value};
	if (count <= LEAD_FIELDS_MAX)
		qsort(members, count, sizeof(*members), compare_members);
	*ret_json = write_members(members, count, arena);
	return check(members, count, ret_field);
}
