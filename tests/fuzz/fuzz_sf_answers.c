/*
 * Answers to a write: "#STATUS COUNT uo" (u: nothing was sent, o: the header Sfdc-OAuth-Error) and
 * the body; "#200 1" without that line.
 */
#include "tests/fuzz/fuzz.h"

#include "common/json.h"
#include "worker/binding.h"
#include "worker/sf_answers.h"

#define KEY_FIELD "OnBehalf_Event_Id__c"
#define COUNT_MAX 200
#define CODE_BYTES FUZZ_UPPER FUZZ_DIGITS "_"
#define FIELD_BYTES FUZZ_UPPER FUZZ_LOWER FUZZ_DIGITS "_."

static void check_verdict(struct sf_verdict v)
{
	assert(v.class >= SF_CREATED && v.class <= SF_UNKNOWN);
	assert(v.reason < REASON_COUNT);
	if (v.class == SF_CREATED || v.class == SF_UPDATED)
		assert(v.reason == REASON_NONE && !v.alert);
	if (v.class == SF_REJECT || v.class == SF_UNKNOWN)
		assert(v.reason != REASON_NONE); /* it is published */
}

static void check_code(const char code[SF_CODE_MAX])
{
	const char *end = memchr(code, '\0', SF_CODE_MAX);

	assert(end && fuzz_is_of((struct slice){code, (size_t)(end - code)}, CODE_BYTES));
}

static void check_fields(struct slice fields)
{
	freed_by(json_dropp) struct json_t *list = NULL;
	size_t count;

	if (!fields.data)
		return;
	assert(!json_read(fields, 1, &list, NULL) && json_kind(list) == JSON_IS_LIST);
	count = json_count(list);
	assert(count && count <= SF_FIELDS_MAX);
	for (size_t i = 0; i < count; i++) {
		struct slice name = json_slice(json_item(list, i));

		assert(name.len && fuzz_is_of(name, FIELD_BYTES));
	}
}

static bool is_written(const struct sf_record *r)
{
	return r->verdict.class == SF_CREATED || r->verdict.class == SF_UPDATED;
}

static void check_record(const struct sf_record *r)
{
	char again[SF_ID18 + 1];

	check_verdict(r->verdict);
	check_code(r->code);
	check_fields(r->fields);
	assert(memchr(r->lead_id, '\0', sizeof(r->lead_id)));
	if (r->lead_id[0])
		assert(is_written(r) && binding_id18((struct slice){r->lead_id, SF_ID18}, again) &&
			!strcmp(again, r->lead_id));
}

/* What must hold of any answer, by the status alone. */
static void check_call(const struct sf_answer *a, struct sf_verdict v)
{
	bool good = a->status >= 200 && a->status < 300;

	check_verdict(v);
	assert(v.class != SF_UPDATED);
	if (!a->status)
		assert(v.class == (a->unsent ? SF_RETRY : SF_UNKNOWN));
	if (v.class == SF_CREATED)
		assert(good);
	/* the write may have happened */
	if (good)
		assert(v.class == SF_CREATED || v.class == SF_UNKNOWN);
}

/* Each lead is told of, and written where `success` is true. */
static void check_told(const struct sf_answer *a, size_t count, const struct sf_record *records)
{
	freed_by(json_dropp) struct json_t *list = NULL;

	assert(!json_read(a->body, 64, &list, NULL) && json_kind(list) == JSON_IS_LIST);
	assert(json_count(list) == count);
	for (size_t i = 0; i < count; i++)
		assert(is_written(&records[i]) ==
			json_is_true(json_member(json_item(list, i), "success")));
}

static void check_collection(const struct sf_answer *a, size_t count, struct sf_verdict v,
	const struct sf_record *records)
{
	check_call(a, v);
	for (size_t i = 0; i < count; i++) {
		check_record(&records[i]);
		if (v.class != SF_CREATED) {
			assert(records[i].verdict.class == v.class);
			assert(records[i].verdict.reason == v.reason);
		}
	}
	if (v.class == SF_CREATED)
		check_told(a, count, records);
	if (v.class == SF_REJECT)
		assert(count == 1); /* one lead of many is not known to be the cause */
}

static void read_all(const struct sf_answer *a, size_t count, struct slice kept)
{
	freed_by(arena_release) struct arena arena = {0};
	struct sf_record *records = malloc(count * sizeof(*records)), single;
	struct sf_verdict call, collection, one;
	struct sf_answer asked = *a;
	char code[SF_CODE_MAX];

	assert(records);
	memset(code, '#', sizeof(code)); /* what is not set shows */
	memset(records, 0xa5, count * sizeof(*records));
	memset(&single, 0xa5, sizeof(single));
	call = sf_answers_call(a, code);
	collection = sf_answers_collection(a, KEY_FIELD, count, &arena, records);
	one = sf_answers_single(a, KEY_FIELD, &arena, &single);
	free((char *)a->body.data); /* nothing may point there */

	asked.body = kept;
	check_call(&asked, call);
	check_code(code);
	check_collection(&asked, count, collection, records);
	free(records);
	check_call(&asked, one);
	check_record(&single);
	if (is_written(&single))
		assert(a->status == 204 || (a->status / 100 == 2 && fuzz_count(kept, "true")));
	if (one.class != SF_CREATED)
		assert(single.verdict.class == one.class);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = {(const char *)data, size}, head;
	struct sf_answer a = {.status = 200};
	int count = 1;

	if (fuzz_head(&rest, &head)) {
		a.status = fuzz_number(&head, 1000);
		count = fuzz_number(&head, COUNT_MAX);
		a.unsent = fuzz_count(head, "u");
		a.oauth_1703 = fuzz_count(head, "o");
	}
	a.body = (struct slice){fuzz_copy(rest), rest.len};
	read_all(&a, count ? (size_t)count : 1, rest);
	return 0;
}
