#include "fields.h"

#include <ctype.h>
#include <strings.h>

enum kind { TEXT, PICKLIST, EMAIL, BOOLEAN, NUMBER, REFERENCE, DATE, READ_ONLY };

struct field {
	const char *name;
	const char *label;
	enum kind kind;
	size_t length; /* Unicode characters */
};

/* Sorted by name without regard to case. */
static const struct field fields[] = {
	{"Address", "Address", READ_ONLY, 0},
	{"AnnualRevenue", "Annual Revenue", NUMBER, 0},
	{"City", "City", TEXT, 40},
	{"CleanStatus", "Clean Status", PICKLIST, 40},
	{"Company", "Company", TEXT, 255},
	{"CompanyDunsNumber", "Company D-U-N-S Number", TEXT, 9},
	{"ConvertedAccountId", "Converted Account ID", READ_ONLY, 18},
	{"ConvertedContactId", "Converted Contact ID", READ_ONLY, 18},
	{"ConvertedDate", "Converted Date", READ_ONLY, 0},
	{"ConvertedOpportunityId", "Converted Opportunity ID", READ_ONLY, 18},
	{"Country", "Country", TEXT, 80},
	{"CountryCode", "Country Code", PICKLIST, 10},
	{"CreatedById", "Created By ID", READ_ONLY, 18},
	{"CreatedDate", "Created Date", READ_ONLY, 0},
	{"Description", "Description", TEXT, 32000},
	{"DoNotCall", "Do Not Call", BOOLEAN, 0},
	{"Email", "Email", EMAIL, 80},
	{"EmailBouncedDate", "Email Bounced Date", DATE, 0},
	{"EmailBouncedReason", "Email Bounced Reason", TEXT, 255},
	{"Fax", "Fax", TEXT, 40},
	{"FirstName", "First Name", TEXT, 40},
	{"GeocodeAccuracy", "Geocode Accuracy", PICKLIST, 40},
	{"HasOptedOutOfEmail", "Email Opt Out", BOOLEAN, 0},
	{"HasOptedOutOfFax", "Fax Opt Out", BOOLEAN, 0},
	{"Id", "Lead ID", READ_ONLY, 18},
	{"IndividualId", "Individual ID", REFERENCE, 18},
	{"Industry", "Industry", PICKLIST, 40},
	{"IsConverted", "Converted", READ_ONLY, 0},
	{"IsDeleted", "Deleted", READ_ONLY, 0},
	{"IsUnreadByOwner", "Unread By Owner", BOOLEAN, 0},
	{"Jigsaw", "Data.com Key", TEXT, 20},
	{"JigsawContactId", "Jigsaw Contact ID", READ_ONLY, 20},
	{"LastActivityDate", "Last Activity", READ_ONLY, 0},
	{"LastModifiedById", "Last Modified By ID", READ_ONLY, 18},
	{"LastModifiedDate", "Last Modified Date", READ_ONLY, 0},
	{"LastName", "Last Name", TEXT, 80},
	{"LastReferencedDate", "Last Referenced Date", READ_ONLY, 0},
	{"LastViewedDate", "Last Viewed Date", READ_ONLY, 0},
	{"Latitude", "Latitude", NUMBER, 0},
	{"LeadSource", "Lead Source", PICKLIST, 40},
	{"Longitude", "Longitude", NUMBER, 0},
	{"MasterRecordId", "Master Record ID", READ_ONLY, 18},
	{"MiddleName", "Middle Name", TEXT, 40},
	{"MobilePhone", "Mobile Phone", TEXT, 40},
	{"Name", "Full Name", READ_ONLY, 121},
	{"NumberOfEmployees", "Employees", NUMBER, 0},
	{"OwnerId", "Owner ID", REFERENCE, 18},
	{"Phone", "Phone", TEXT, 40},
	{"PhotoUrl", "Photo URL", READ_ONLY, 255},
	{"PostalCode", "Zip/Postal Code", TEXT, 20},
	{"Rating", "Rating", PICKLIST, 40},
	{"RecordTypeId", "Record Type ID", REFERENCE, 18},
	{"Salutation", "Salutation", PICKLIST, 40},
	{"State", "State/Province", TEXT, 80},
	{"StateCode", "State/Province Code", PICKLIST, 10},
	{"Status", "Status", PICKLIST, 40},
	{"Street", "Street", TEXT, 255},
	{"Suffix", "Suffix", TEXT, 40},
	{"SystemModstamp", "System Modstamp", READ_ONLY, 0},
	{"Title", "Title", TEXT, 128},
	{"Website", "Website", TEXT, 255},
};

static int by_name(const void *name, const void *field)
{
	return strcasecmp(name, ((const struct field *)field)->name);
}

static const struct field *field_of(const char *name)
{
	return bsearch(name, fields, LENGTH_OF(fields), sizeof(fields[0]), by_name);
}

static bool is_custom(const char *name)
{
	size_t len = strlen(name);

	return len > 3 && strcasecmp(name + len - 3, "__c") == 0;
}

void record_fault_release(struct record_fault *fault)
{
	buf_release(&fault->message);
	buf_release(&fault->fields);
}

void record_fault_add_field(struct record_fault *fault, const char *name)
{
	if (fault->fields.len_bytes)
		buf_adds(&fault->fields, ",");
	buf_add_json_string(&fault->fields, name);
}

static size_t characters(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* The syntax check: one @, a local part, a domain with a dot, none of it blank. */
static bool email_is_valid(const char *text)
{
	const char *at = strchr(text, '@');
	const char *dot = at ? strrchr(at, '.') : NULL;
	size_t local = at ? (size_t)(at - text) : 0;

	if (!dot || local == 0 || local > 64 || dot == at + 1 || !dot[1] || strchr(at + 1, '@'))
		return false;
	if (text[0] == '.' || at[-1] == '.' || strstr(text, ".."))
		return false;
	for (const char *c = text; *c; c++) {
		if ((unsigned char)*c >= 0x80 || (c < at && strchr("!#$%&'*+/=?^_`{|}~.-", *c)))
			continue;
		if (c != at && !isalnum((unsigned char)*c) && (c < at || !strchr(".-", *c)))
			return false;
	}
	return true;
}

static bool refuse_text(const struct field *field, const char *text, struct record_fault *fault)
{
	if (field->length && characters(text) > field->length) {
		fault->code = "STRING_TOO_LONG";
		buf_addf(&fault->message, "%s: data value too large: %s (max length=%zu)",
			field->label, text, field->length);
	} else if (field->kind == EMAIL && *text && !email_is_valid(text)) {
		fault->code = "INVALID_EMAIL_ADDRESS";
		buf_addf(&fault->message, "%s: invalid email address: %s", field->label, text);
	} else {
		return false;
	}
	record_fault_add_field(fault, field->name);
	return true;
}

static bool refuse_kind(const char *name, const char *wanted, struct record_fault *fault)
{
	fault->code = "JSON_PARSER_ERROR";
	fault->whole_call = true;
	buf_addf(&fault->message, "Cannot deserialize instance of %s for field %s", wanted, name);
	return true;
}

/* True when @value may not stand in @field. */
static bool refuse_value(const struct field *field, const json_t *value, struct record_fault *fault)
{
	const char *text = json_string_value(value);

	if (json_is_null(value))
		return false;
	switch (field->kind) {
	case TEXT:
	case PICKLIST:
	case EMAIL:
	case REFERENCE:
	case DATE:
		return text ? refuse_text(field, text, fault)
		            : refuse_kind(field->name, "string", fault);
	case BOOLEAN:
		return !json_is_boolean(value) && refuse_kind(field->name, "boolean", fault);
	case NUMBER:
		return !json_is_number(value) && refuse_kind(field->name, "number", fault);
	case READ_ONLY:
		fault->code = "INVALID_FIELD_FOR_INSERT_UPDATE";
		buf_addf(&fault->message,
			"Unable to create/update fields: %s. Please check the security settings of "
			"this field and verify that it is read/write for your profile or "
			"permission set.",
			field->name);
		record_fault_add_field(fault, field->name);
		return true;
	}
	abort();
}

static bool refuse_custom(const char *name, const json_t *value, struct record_fault *fault)
{
	if (json_is_object(value) || json_is_array(value))
		return refuse_kind(name, "string", fault);
	return false;
}

static bool refuse_unknown(const char *name, struct record_fault *fault)
{
	fault->code = "INVALID_FIELD";
	buf_addf(&fault->message, "No such column '%s' on sobject of type Lead", name);
	return true;
}

static bool read_external_id(const struct record_rules *rules, const json_t *value, struct buf *ret,
	struct record_fault *fault)
{
	const struct field field = {
		rules->external_id_field, rules->external_id_field, TEXT, EXTERNAL_ID_MAX};

	if (refuse_value(&field, value, fault))
		return false;
	if (json_is_string(value))
		buf_adds(ret, json_string_value(value));
	return true;
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n")] == '\0';
}

/* An empty string is no value, as in Salesforce. */
static bool is_empty(const json_t *value)
{
	return json_is_null(value) || (json_is_string(value) && is_blank(json_string_value(value)));
}

static const json_t *member(const json_t *record, const char *name)
{
	json_t *all = (json_t *)record;
	const json_t *exact = json_object_get(record, name);

	if (exact)
		return exact;
	for (void *it = json_object_iter(all); it; it = json_object_iter_next(all, it))
		if (strcasecmp(json_object_iter_key(it), name) == 0)
			return json_object_iter_value(it);
	return NULL;
}

bool record_is_complete(const json_t *record, const struct record_rules *rules, bool create,
	struct record_fault *fault)
{
	for (size_t i = 0; i < rules->n_required; i++) {
		const json_t *value = member(record, rules->required[i]);

		if (value ? !is_empty(value) : !create)
			continue;
		buf_addf(&fault->message, "%s%s",
			fault->code ? ", " : "Required fields are missing: [", rules->required[i]);
		record_fault_add_field(fault, rules->required[i]);
		fault->code = "REQUIRED_FIELD_MISSING";
	}
	if (fault->code)
		buf_adds(&fault->message, "]");
	return fault->code == NULL;
}

static void add_field(struct buf *ret, const char *name, const json_t *value)
{
	if (ret->len_bytes > 1)
		buf_add(ret, ",", 1);
	buf_add_json_string(ret, name);
	buf_add(ret, ":", 1);
	if (is_empty(value))
		buf_adds(ret, "null");
	else
		buf_add_json(ret, value);
}

bool record_read(const json_t *record, const struct record_rules *rules, struct buf *ret_fields,
	struct buf *ret_external_id, struct record_fault *ret_fault)
{
	json_t *all = (json_t *)record;

	buf_adds(ret_fields, "{");
	for (void *it = json_object_iter(all); it; it = json_object_iter_next(all, it)) {
		const char *name = json_object_iter_key(it);
		const json_t *value = json_object_iter_value(it);
		const struct field *field = field_of(name);

		if (strcmp(name, "attributes") == 0)
			continue;
		if (strcasecmp(name, rules->external_id_field) == 0) {
			if (!read_external_id(rules, value, ret_external_id, ret_fault))
				return false;
			continue;
		}
		if (field ? refuse_value(field, value, ret_fault)
			  : (is_custom(name) ? refuse_custom(name, value, ret_fault)
					     : refuse_unknown(name, ret_fault)))
			return false;
		add_field(ret_fields, field ? field->name : name, value);
	}
	buf_adds(ret_fields, "}");
	return true;
}

static const char *type_name(enum kind kind)
{
	static const char *const names[] = {[TEXT] = "string",
		[PICKLIST] = "picklist",
		[EMAIL] = "email",
		[BOOLEAN] = "boolean",
		[NUMBER] = "double",
		[REFERENCE] = "reference",
		[DATE] = "datetime",
		[READ_ONLY] = "string"};

	return names[kind];
}

static json_t *describe(const struct field *field, const struct record_rules *rules)
{
	bool external = strcmp(field->name, rules->external_id_field) == 0;
	bool writable = field->kind != READ_ONLY;
	bool nillable = true;

	for (size_t i = 0; i < rules->n_required; i++)
		nillable = nillable && strcasecmp(rules->required[i], field->name) != 0;
	return json_pack("{s:s,s:s,s:s,s:I,s:b,s:b,s:b,s:b,s:b,s:b}", "name", field->name, "label",
		field->label, "type", type_name(field->kind), "length", (json_int_t)field->length,
		"nillable", nillable, "createable", writable, "updateable", writable, "externalId",
		external, "unique", external, "restrictedPicklist", false);
}

json_t *fields_describe(const struct record_rules *rules)
{
	const struct field external = {
		rules->external_id_field, rules->external_id_field, TEXT, EXTERNAL_ID_MAX};
	json_t *list = json_array();

	for (size_t i = 0; i < LENGTH_OF(fields); i++)
		(void)json_array_append_new(list, describe(&fields[i], rules));
	(void)json_array_append_new(list, describe(&external, rules));
	return list;
}
