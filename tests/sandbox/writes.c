/*
 * tests/sandbox/writes.c - creating and updating leads, alone and in collections.
 *
 * Every record is planned first and applied after, so that allOrNone is a
 * question asked in between and a refused call leaves nothing behind.
 */
#include <ctype.h>
#include <strings.h>

#include "call.h"
#include "fields.h"
#include "leads.h"

#define MAX_RECORDS 200

struct plan {
	const json_t *record;
	const json_t *planned; /* the error a rule wants; borrowed */
	struct buf fields;
	struct buf external_id;
	struct record_fault fault;
	struct lead *lead; /* the one to update; NULL: create */
	char id[ID_SIZE];
};

struct write_job {
	struct world *world;
	struct call *call;
	struct record_rules rules;
	bool upsert;
	bool single;
	struct plan *plans;
	size_t count;
	size_t refused;
};

static void plan_release(struct plan *plan)
{
	buf_release(&plan->fields);
	buf_release(&plan->external_id);
	record_fault_release(&plan->fault);
}

static void job_release(struct write_job *job)
{
	for (size_t i = 0; i < job->count; i++)
		plan_release(&job->plans[i]);
	free(job->plans);
}

static void job_init(struct write_job *job, struct world *world, struct call *call, bool upsert)
{
	const struct org *org = call->org;

	*job = (struct write_job){
		.world = world,
		.call = call,
		.rules = {org->external_id_field, org->required, org->n_required},
		.upsert = upsert,
		.count = json_array_size(call->records),
	};
	job->plans = must(calloc(job->count + 1, sizeof(struct plan)));
	for (size_t i = 0; i < job->count; i++)
		job->plans[i].record = json_array_get(call->records, i);
}

static void refuse(struct plan *plan, const char *code, const char *message, const char *field)
{
	plan->fault.code = code;
	buf_adds(&plan->fault.message, message);
	if (field)
		record_fault_add_field(&plan->fault, field);
}

/* In a collection each record says its type; in a single call the path does. */
static bool type_is_right(const struct write_job *job, struct plan *plan)
{
	const json_t *attributes = json_object_get(plan->record, "attributes");
	const char *type = json_string_value(json_object_get(attributes, "type"));

	if (!json_is_object(plan->record)) {
		refuse(plan, "JSON_PARSER_ERROR", "Cannot deserialize: a record is an object",
			NULL);
		plan->fault.whole_call = true;
		return false;
	}
	if (job->single ? !type || strcasecmp(type, "Lead") == 0
			: type && strcasecmp(type, "Lead") == 0)
		return true;
	refuse(plan, "INVALID_TYPE",
		type ? "sObject type is not supported here: only Lead is"
		     : "Include an attributes object with the type of each record",
		NULL);
	return false;
}

static void find_target(struct write_job *job, struct plan *plan)
{
	const struct org *org = job->call->org;
	const char *key = buf_text(&plan->external_id);
	freed_by(buf_release) struct buf message = {0};
	struct lead *there = *key ? lead_find(org, key) : NULL;

	if (job->upsert && !*key) {
		buf_addf(&message, "%s not specified", org->external_id_field);
		refuse(plan, "MISSING_ARGUMENT", buf_text(&message), org->external_id_field);
	} else if (job->upsert && there && there->converted) {
		refuse(plan, "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead",
			NULL);
	} else if (job->upsert) {
		plan->lead = there;
	} else if (there) {
		buf_addf(&message,
			"duplicate value found: %s duplicates value on record with id: %s",
			org->external_id_field, there->id);
		refuse(plan, "DUPLICATE_VALUE", buf_text(&message), org->external_id_field);
	}
}

static void plan_record(struct write_job *job, struct plan *plan, const struct call_facts *facts)
{
	plan->planned = verdict_record_error(&job->call->verdict, facts, plan->record);
	if (plan->planned) {
		plan->fault.code = "PLANNED";
		return;
	}
	if (!type_is_right(job, plan))
		return;
	if (!record_read(
		    plan->record, &job->rules, &plan->fields, &plan->external_id, &plan->fault))
		return;
	find_target(job, plan);
	if (!plan->fault.code &&
		!record_is_complete(plan->record, &job->rules, !plan->lead, &plan->fault))
		assert(plan->fault.code);
}

/* Equal keys in one call: an upsert refuses every one, a create all but the first. */
static void refuse_twins(struct write_job *job)
{
	struct map seen = {0};
	char **keys = must(calloc(job->count + 1, sizeof(*keys)));
	freed_by(buf_release) struct buf message = {0};
	const char *field = job->rules.external_id_field;

	for (size_t i = 0; i < job->count; i++) {
		struct plan *plan = &job->plans[i];
		struct plan *first;

		if (!plan->external_id.len_bytes || (!job->upsert && plan->fault.code))
			continue;
		keys[i] = must(strdup(plan->external_id.data));
		for (char *c = keys[i]; *c && !job->call->org->case_sensitive; c++)
			*c = (char)tolower((unsigned char)*c);
		first = map_get(&seen, keys[i]);
		if (!first) {
			map_add(&seen, keys[i], plan);
			continue;
		}
		buf_clear(&message);
		buf_addf(&message,
			job->upsert ? "Duplicate external id specified: %s"
				    : "duplicate value found: <unknown> duplicates value on record "
				      "with id: <unknown>",
			plan->external_id.data);
		if (!plan->fault.code)
			refuse(plan, "DUPLICATE_VALUE", buf_text(&message), field);
		if (job->upsert && !first->fault.code)
			refuse(first, "DUPLICATE_VALUE", buf_text(&message), field);
	}
	map_release(&seen);
	for (size_t i = 0; i < job->count; i++)
		free(keys[i]);
	free(keys);
}

static void make_plans(struct write_job *job)
{
	struct call_facts facts;

	call_facts(job->call, &facts);
	for (size_t i = 0; i < job->count; i++)
		plan_record(job, &job->plans[i], &facts);
	if (!job->single)
		refuse_twins(job);
	for (size_t i = 0; i < job->count; i++)
		job->refused += job->plans[i].fault.code != NULL;
}

static void apply(struct write_job *job, struct plan *plan)
{
	struct world *world = job->world;
	struct org *org = job->call->org;
	struct blob *change = blob_new(buf_text(&plan->external_id), buf_text(&plan->fields));
	struct write write = {
		.org = org,
		.user_id = job->call->user->user_id,
		.sf_user_id = world_intern(world, job->call->sf_user_id),
		.host = world_intern(world, job->call->host),
		.fields = change,
		.call = job->call->number,
		.at_ms = now_ms(),
		.created = !plan->lead,
	};
	struct lead *lead = plan->lead;

	if (lead) {
		lead_update(lead, buf_text(&plan->fields));
		org->updated++;
	} else {
		lead = lead_create(world, org, blob_ref(change));
	}
	memcpy(plan->id, lead->id, ID_SIZE);
	memcpy(write.lead_id, lead->id, ID_SIZE);
	journal_write(&world->journal, &write);
}

static void apply_all(struct write_job *job)
{
	for (size_t i = 0; i < job->count; i++)
		if (!job->plans[i].fault.code)
			apply(job, &job->plans[i]);
}

/* One error object; its code is a member "errorCode" or "statusCode". */
static void add_error(struct buf *ret, const struct plan *plan, const char *code_name)
{
	const json_t *planned = plan->planned;
	const json_t *fields = json_object_get(planned, "fields");
	const char *code = json_string_value(json_object_get(planned, "statusCode"));
	const char *message = json_string_value(json_object_get(planned, "message"));

	buf_addf(ret, "{\"%s\":", code_name);
	buf_add_json_string(ret, planned ? (code ? code : "UNKNOWN_EXCEPTION") : plan->fault.code);
	buf_adds(ret, ",\"message\":");
	buf_add_json_string(ret, planned ? (message ? message : "planned by a rule")
					 : buf_text(&plan->fault.message));
	buf_adds(ret, ",\"fields\":");
	if (fields)
		buf_add_json(ret, fields);
	else
		buf_addf(ret, "[%s]", buf_text(&plan->fault.fields));
	buf_adds(ret, "}");
}

static void add_success(struct buf *ret, const struct write_job *job, const struct plan *plan)
{
	buf_adds(ret, "{\"id\":\"");
	buf_adds(ret, plan->id);
	buf_adds(ret, "\",\"success\":true,\"errors\":[]");
	if (job->upsert)
		buf_adds(ret, plan->lead ? ",\"created\":false" : ",\"created\":true");
	buf_adds(ret, "}");
}

/* Refuses the whole call for a record that could not even be read. */
static bool refused_by_record(struct write_job *job)
{
	for (size_t i = 0; i < job->count; i++) {
		const struct record_fault *fault = &job->plans[i].fault;

		if (!fault->whole_call)
			continue;
		salesforce_error(job->call, 400, fault->code, buf_text(&fault->message), NULL);
		return true;
	}
	return false;
}

static void single_refused(struct call *call, const struct plan *plan)
{
	const json_t *status = json_object_get(plan->planned, "status");

	call_answer(call, status ? (int)json_integer_value(status) : 400,
		"application/json;charset=UTF-8");
	buf_adds(&call->answer, "[");
	add_error(&call->answer, plan, "errorCode");
	buf_adds(&call->answer, "]");
}

/* The key stands in the path, and only there. */
static bool take_key_from_path(struct write_job *job)
{
	struct plan *plan = &job->plans[0];
	const char *field = job->rules.external_id_field;
	json_t *body = job->call->json;
	freed_by(buf_release) struct buf message = {0};

	for (void *it = json_object_iter(body); it; it = json_object_iter_next(body, it)) {
		const char *name = json_object_iter_key(it);

		if (strcasecmp(name, field) != 0)
			continue;
		buf_addf(&message, "The %s field should not be specified in the sobject data.",
			field);
		salesforce_error(job->call, 400, "INVALID_FIELD", buf_text(&message), field);
		return false;
	}
	buf_adds(&plan->external_id, job->call->segments[6]);
	return true;
}

static bool refused_by_update_only(struct write_job *job, int version)
{
	freed_by(charp_free) char *only = form_value(job->call->query, "updateOnly");

	if (!job->upsert || version < 61 || !only || strcmp(only, "true") != 0 ||
		lead_find(job->call->org, job->call->segments[6]))
		return false;
	salesforce_error(
		job->call, 404, "NOT_FOUND", "The requested resource does not exist", NULL);
	return true;
}

void writes_single(struct world *world, struct call *call, int version)
{
	freed_by(job_release) struct write_job job;
	struct plan *plan;

	job_init(&job, world, call, call->n_segments == 7);
	job.single = true;
	plan = &job.plans[0];
	if (job.upsert && (!take_key_from_path(&job) || refused_by_update_only(&job, version)))
		return;
	make_plans(&job);
	if (plan->fault.code) {
		single_refused(call, plan);
		return;
	}
	apply_all(&job);
	call_answer(call, plan->lead ? 200 : 201, "application/json;charset=UTF-8");
	if (plan->lead && version < 46)
		call_answer(call, 204, NULL);
	else
		add_success(&call->answer, &job, plan);
}

static bool refused_by_shape(struct call *call)
{
	json_t *body = call->json;
	const json_t *all = json_object_get(body, "allOrNone");

	for (void *it = json_object_iter(body); it; it = json_object_iter_next(body, it)) {
		const char *name = json_object_iter_key(it);
		freed_by(buf_release) struct buf message = {0};

		if (strcmp(name, "records") == 0 || strcmp(name, "allOrNone") == 0)
			continue;
		buf_addf(&message, "Unrecognized field \"%s\"", name);
		salesforce_error(call, 400, "JSON_PARSER_ERROR", buf_text(&message), NULL);
		return true;
	}
	if (!call->records || (all && !json_is_boolean(all))) {
		salesforce_error(call, 400, "JSON_PARSER_ERROR",
			"records: an array is expected; allOrNone: a boolean", NULL);
		return true;
	}
	if (json_array_size(call->records) <= MAX_RECORDS)
		return false;
	salesforce_error(call, 400, "EXCEEDED_ID_LIMIT",
		"record limit reached. cannot submit more than 200 records into this operation",
		NULL);
	return true;
}

/* A record that was fine is refused too; the id it prints proves nothing. */
static void roll_back(struct write_job *job)
{
	for (size_t i = 0; i < job->count; i++) {
		struct plan *plan = &job->plans[i];

		if (plan->fault.code)
			continue;
		if (plan->lead)
			memcpy(plan->id, plan->lead->id, ID_SIZE);
		refuse(plan, "ALL_OR_NONE_OPERATION_ROLLED_BACK",
			"Record rolled back because not all records were valid and the request was "
			"using AllOrNone header",
			NULL);
	}
}

static void add_refused(struct buf *ret, const struct plan *plan)
{
	buf_adds(ret, "{");
	if (plan->id[0])
		buf_addf(ret, "\"id\":\"%s\",", plan->id);
	buf_adds(ret, "\"success\":false,\"errors\":[");
	add_error(ret, plan, "statusCode");
	buf_adds(ret, "]}");
}

void writes_collection(struct world *world, struct call *call, bool upsert)
{
	freed_by(job_release) struct write_job job = {0};

	if (refused_by_shape(call))
		return;
	job_init(&job, world, call, upsert);
	make_plans(&job);
	if (refused_by_record(&job))
		return;
	if (job.refused && json_is_true(json_object_get(call->json, "allOrNone")))
		roll_back(&job);
	apply_all(&job);
	call_answer(call, 200, "application/json;charset=UTF-8");
	for (size_t i = 0; i < job.count; i++) {
		buf_adds(&call->answer, i ? "," : "[");
		if (job.plans[i].fault.code)
			add_refused(&call->answer, &job.plans[i]);
		else
			add_success(&call->answer, &job, &job.plans[i]);
	}
	buf_adds(&call->answer, job.count ? "]" : "[]");
}
