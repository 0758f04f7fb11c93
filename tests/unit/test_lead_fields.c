#include "lead_event_fixture.h"

#include <strings.h>

static struct lead_event read_lead(const char *members)
{
	freed_by(buf_release) struct buf value = {0};

	buf_addf(&value, "{" ATTRIBUTES ",\"data\":{\"user_id\":\"u\",\"lead\":{%s}}}", members);
	return read_record(buf_slice(&value), structured, 1);
}

/* One member beside the required ones. */
static struct lead_event read_member(const char *name, const char *value)
{
	freed_by(buf_release) struct buf members = {0};

	if (strcasecmp(name, "LastName") != 0)
		buf_add_text(&members, "\"LastName\":\"L\",");
	if (strcasecmp(name, "Company") != 0)
		buf_add_text(&members, "\"Company\":\"C\",");
	buf_addf(&members, "\"%s\":%s", name, value);
	return read_lead(members.data);
}

static void assert_member(const char *name, const char *value, enum reason reason)
{
	struct lead_event got = read_member(name, value);
	char path[LEAD_PATH_MAX] = "";

	if (reason != REASON_NONE)
		snprintf(path, sizeof(path), "$.data.lead.%s", name);
	assert_verdict(&got, reason == REASON_NONE ? LEAD_OK : LEAD_REJECTED, reason, path, value);
	assert_slice(got.field, reason == REASON_NONE ? NULL : name);
	assert_slice(got.source, "s");
	assert_slice(got.id, "i");
	assert_slice(got.user_id, "u");
}

static void every_standard_text_has_its_length_in_characters(void **state)
{
	static const struct {
		const char *name;
		size_t max;
	} rows[] = {{"City", 40}, {"Company", 255}, {"Country", 80}, {"Description", 32000},
		{"Email", 80}, {"Fax", 40}, {"FirstName", 40}, {"Industry", 40}, {"LastName", 80},
		{"LeadSource", 40}, {"MobilePhone", 40}, {"Phone", 40}, {"PostalCode", 20},
		{"Salutation", 40}, {"State", 80}, {"Street", 255}, {"Title", 128},
		{"Website", 255}, {"lastname", 80}, {"COMPANY", 255}, {"leadSource", 40}};
	static const char *const characters[] = {
		"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa6\x8a", "\\n", "\\u00e9"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
			freed_by(buf_release) struct buf value = {0};

			buf_add_char(&value, '"');
			for (size_t n = 0; n < rows[i].max; n++)
				buf_add_text(&value, characters[c]);
			buf_add_char(&value, '"');
			assert_member(rows[i].name, value.data, REASON_NONE);
			value.len--;
			buf_add_text(&value, "b\"");
			assert_member(rows[i].name, value.data, REASON_FIELD_TOO_LONG);
		}
		assert_member(rows[i].name, "7", REASON_FIELD_TYPE);
		assert_member(rows[i].name, "7.5", REASON_FIELD_TYPE);
		assert_member(rows[i].name, "true", REASON_FIELD_TYPE);
		assert_member(rows[i].name, "[]", REASON_FIELD_TYPE);
		assert_member(rows[i].name, "{}", REASON_FIELD_TYPE);
	}
}

static void every_other_standard_field_has_its_type(void **state)
{
	static const struct {
		const char *name;
		const char *good[3], *bad[4];
	} rows[] = {
		{"AnnualRevenue", {"1", "1.5", "null"}, {"\"1\"", "true", "[]", "{}"}},
		{"Latitude", {"-1", "1.5", "null"}, {"\"1\"", "true", "[]", "{}"}},
		{"Longitude", {"0", "1e2", "null"}, {"\"1\"", "true", "[]", "{}"}},
		{"NumberOfEmployees", {"1", "0", "null"}, {"\"1\"", "1.5", "[]", "true"}},
		{"DoNotCall", {"true", "false", "null"}, {"\"true\"", "1", "[]", "{}"}},
		{"HasOptedOutOfEmail", {"true", "false", "null"}, {"\"true\"", "1", "[]", "{}"}},
		{"HasOptedOutOfFax", {"true", "false", "null"}, {"\"true\"", "1", "[]", "{}"}},
		{"IsUnreadByOwner", {"true", "false", "null"}, {"\"true\"", "1", "[]", "{}"}},
		{"isunreadbyowner", {"true", "false", "null"}, {"\"true\"", "1", "[]", "{}"}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t g = 0; g < ARRAY_LEN(rows[i].good); g++)
			assert_member(rows[i].name, rows[i].good[g], REASON_NONE);
		for (size_t b = 0; b < ARRAY_LEN(rows[i].bad); b++)
			assert_member(rows[i].name, rows[i].bad[b], REASON_FIELD_TYPE);
	}
}

static void numbers_have_64_bits_or_a_double_and_no_more(void **state)
{
	static const struct {
		const char *name, *value;
		enum reason reason; /* REASON_NOT_JSON: of the whole event */
	} rows[] = {
		{"NumberOfEmployees", "9223372036854775807", REASON_NONE},
		{"NumberOfEmployees", "-9223372036854775808", REASON_NONE},
		{"NumberOfEmployees", "9223372036854775808", REASON_NOT_JSON},
		{"NumberOfEmployees", "-9223372036854775809", REASON_NOT_JSON},
		{"NumberOfEmployees", "1.0", REASON_FIELD_TYPE},
		{"NumberOfEmployees", "1e3", REASON_FIELD_TYPE},
		{"AnnualRevenue", "1.7976931348623157e308", REASON_NONE},
		{"AnnualRevenue", "1.7976931348623159e308", REASON_NOT_JSON},
		{"AnnualRevenue", "-1e309", REASON_NOT_JSON},
		{"AnnualRevenue", "5e-324", REASON_NONE},
		{"AnnualRevenue", "-0", REASON_NONE},
		{"AnnualRevenue", "0.1e1", REASON_NONE},
		{"AnnualRevenue", "01", REASON_NOT_JSON},
		{"AnnualRevenue", "1.", REASON_NOT_JSON},
		{"AnnualRevenue", "NaN", REASON_NOT_JSON},
		{"Score__c", "9223372036854775808", REASON_NOT_JSON},
		{"Score__c", "1e309", REASON_NOT_JSON},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lead_event got;

		if (rows[i].reason != REASON_NOT_JSON) {
			assert_member(rows[i].name, rows[i].value, rows[i].reason);
			continue;
		}
		got = read_member(rows[i].name, rows[i].value);
		assert_verdict(&got, LEAD_INVALID, REASON_NOT_JSON, "$", rows[i].value);
	}
}

static void fields_that_nobody_may_set_are_refused_in_any_case(void **state)
{
	static const char *const rows[] = {"Address", "attributes", "ConvertedAccountId",
		"ConvertedContactId", "ConvertedDate", "ConvertedOpportunityId", "CreatedById",
		"CreatedDate", "EmailBouncedDate", "EmailBouncedReason", "Id", "IsConverted",
		"IsDeleted", "LastActivityDate", "LastModifiedById", "LastModifiedDate",
		"LastReferencedDate", "LastViewedDate", "MasterRecordId", "Name", "PhotoUrl",
		"SystemModstamp", "OnBehalf_Event_Id__c", "acme__OnBehalf_Event_Id__c"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char lower[100], upper[100];

		assert_member(rows[i], "\"x\"", REASON_FIELD_READ_ONLY);
		assert_member(rows[i], "null", REASON_FIELD_READ_ONLY);
		assert_member(rows[i], "{}", REASON_FIELD_READ_ONLY);
		for (size_t c = 0; c <= strlen(rows[i]); c++) {
			char letter = rows[i][c];

			lower[c] = (char)(letter >= 'A' && letter <= 'Z' ? letter + 32 : letter);
			upper[c] = (char)(letter >= 'a' && letter <= 'z' ? letter - 32 : letter);
		}
		assert_member(lower, "\"x\"", REASON_FIELD_READ_ONLY);
		assert_member(upper, "\"x\"", REASON_FIELD_READ_ONLY);
	}
}

static void a_field_that_is_not_listed_is_passed_on(void **state)
{
	static const char *const names[] = {"Rating", "OwnerId", "Score__c", "acme__Region__c",
		"Foo", "x", "Ids", "I", "Name1", "OnBehalf_Event_Id", "OnBehalf_Event_Id__c2",
		"Zzz"};
	static const char *const values[] = {"\"x\"", "\"\"", "1", "-1.5", "true", "false", "null"};

	(void)state;
	for (size_t n = 0; n < ARRAY_LEN(names); n++) {
		for (size_t v = 0; v < ARRAY_LEN(values); v++)
			assert_member(names[n], values[v], REASON_NONE);
		assert_member(names[n], "[1]", REASON_FIELD_TYPE);
		assert_member(names[n], "{\"a\":1}", REASON_FIELD_TYPE);
	}
}

static void names_that_are_no_field_names_are_refused_and_not_repeated(void **state)
{
	static const char *const rows[] = {"", "Owner.Name", "Owner__r", "OWNER__R", "9x", "_x",
		"a-b", "a b", "a\\u0007", "\xc3\xa9", "a\xc3\xa9", "a\\\"b", "a]"};
	char name[82];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lead_event got = read_member(rows[i], "\"x\"");

		assert_int_equal(got.verdict, LEAD_REJECTED);
		assert_int_equal(got.reason, REASON_FIELD_NAME);
		assert_slice(got.field, NULL);
	}
	{
		struct lead_event got = read_member("ada@example.com", "1");

		assert_string_equal(got.path, "$.data.lead.*");
	}
	memset(name, 'F', sizeof(name));
	name[80] = '\0';
	assert_member(name, "1", REASON_NONE);
	name[80] = 'F';
	name[81] = '\0';
	assert_int_equal(read_member(name, "1").reason, REASON_FIELD_NAME);
}

static void required_fields_are_texts_that_are_not_empty(void **state)
{
	static const struct {
		const char *members, *field;
		enum reason reason;
	} rows[] = {
		{"", "Company", REASON_MISSING_FIELD},
		{"\"LastName\":\"L\"", "Company", REASON_MISSING_FIELD},
		{"\"Company\":\"C\"", "LastName", REASON_MISSING_FIELD},
		{"\"Company\":\"\",\"LastName\":\"L\"", "Company", REASON_MISSING_FIELD},
		{"\"Company\":null,\"LastName\":\"L\"", "Company", REASON_MISSING_FIELD},
		{"\"Company\":\"C\",\"LastName\":\"\"", "LastName", REASON_MISSING_FIELD},
		{"\"Company\":\"C\",\"LastName\":null", "LastName", REASON_MISSING_FIELD},
		{"\"Company\":\"C\",\"lastname\":null", "lastname", REASON_MISSING_FIELD},
		{"\"Company\":\"C\",\"LastName\":\"L\",\"lastname\":\"L\"", "lastname",
			REASON_FIELD_TWICE},
		{"\"company\":\"C\",\"Company\":\"C\",\"LastName\":\"L\"", "company",
			REASON_FIELD_TWICE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct lead_event got = read_lead(rows[i].members);
		char path[LEAD_PATH_MAX];

		snprintf(path, sizeof(path), "$.data.lead.%s", rows[i].field);
		assert_verdict(&got, LEAD_REJECTED, rows[i].reason, path, rows[i].members);
		assert_slice(got.field, rows[i].field);
	}
	assert_int_equal(read_lead("\"company\":\"C\",\"LASTNAME\":\"L\"").verdict, LEAD_OK);
}

static void a_lead_has_at_most_500_fields(void **state)
{
	freed_by(buf_release) struct buf members = {0};
	struct lead_event got;

	(void)state;
	buf_add_text(&members, "\"LastName\":\"L\",\"Company\":\"C\"");
	for (int i = 0; i < LEAD_FIELDS_MAX - 2; i++)
		buf_addf(&members, ",\"F%d__c\":%d", i, i);
	got = read_lead(members.data);
	assert_verdict(&got, LEAD_OK, REASON_NONE, "", "500");
	buf_add_text(&members, ",\"G__c\":1");
	got = read_lead(members.data);
	assert_verdict(&got, LEAD_REJECTED, REASON_TOO_MANY_FIELDS, "$.data.lead", "501");
	assert_slice(got.field, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_standard_text_has_its_length_in_characters),
		cmocka_unit_test(every_other_standard_field_has_its_type),
		cmocka_unit_test(numbers_have_64_bits_or_a_double_and_no_more),
		cmocka_unit_test(fields_that_nobody_may_set_are_refused_in_any_case),
		cmocka_unit_test(a_field_that_is_not_listed_is_passed_on),
		cmocka_unit_test(names_that_are_no_field_names_are_refused_and_not_repeated),
		cmocka_unit_test(required_fields_are_texts_that_are_not_empty),
		cmocka_unit_test(a_lead_has_at_most_500_fields),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
