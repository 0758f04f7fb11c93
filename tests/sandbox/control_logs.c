#include <inttypes.h>

#include "control.h"
#include "leads.h"

#define PIECE 5000 /* entries written under one hold of the mutex */

static uint64_t number_of(const struct call *call, const char *name, uint64_t otherwise)
{
	freed_by(charp_free) char *text = form_value(call->query, name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static uint64_t newest(const struct world *world, bool calls)
{
	return calls ? world->journal.n_calls : world->journal.n_writes;
}

static uint64_t oldest(const struct world *world, bool calls)
{
	return calls ? journal_first_call(&world->journal) : journal_first_write(&world->journal);
}

/* Writes up to PIECE entries from @from on; returns the number after the last. */
static uint64_t add_piece(
	struct world *world, struct call *call, bool calls, uint64_t from, uint64_t last)
{
	uint64_t n = from;

	if (n < oldest(world, calls))
		n = oldest(world, calls);
	for (; n <= last && n <= newest(world, calls) && n < from + PIECE; n++) {
		if (call->answer.data[call->answer.len_bytes - 1] != '[')
			buf_adds(&call->answer, ",");
		if (calls)
			journal_call_json(&world->journal, n, &call->answer);
		else
			journal_write_json(&world->journal, n, &call->answer);
	}
	return n;
}

void control_logs_serve(struct world *world, struct call *call, bool calls)
{
	uint64_t after = number_of(call, "after", 0);
	uint64_t limit = number_of(call, "limit", UINT64_MAX);
	uint64_t first;
	uint64_t last;

	call_answer(call, 200, "application/json;charset=UTF-8");
	buf_adds(&call->answer, "{\"entries\":[");
	world_lock(world);
	first = oldest(world, calls);
	last = newest(world, calls);
	world_unlock(world);
	if (last > after && last - after > limit)
		last = after + limit;
	for (uint64_t n = after + 1, was = 0; n <= last && n != was;) {
		world_lock(world);
		was = n;
		n = add_piece(world, call, calls, n, last);
		world_unlock(world);
	}
	buf_addf(&call->answer, "],\"last\":%" PRIu64 ",\"first_kept\":%" PRIu64 "}", last, first);
}

static json_t *org_stats(const struct org *org)
{
	return json_pack("{s:I,s:I,s:I,s:I,s:I}", "created", (json_int_t)org->created, "updated",
		(json_int_t)org->updated, "leads", (json_int_t)org->by_id.count, "calls",
		(json_int_t)org->calls, "api_used", (json_int_t)org->api_used);
}

void control_stats(struct world *world, struct call *call)
{
	const struct journal *journal = &world->journal;
	json_t *calls = json_object();
	json_t *orgs = json_object();

	for (enum service i = SERVICE_SALESFORCE; i <= SERVICE_TOKEN; i++)
		(void)json_object_set_new(
			calls, service_name(i), json_integer((json_int_t)journal->by_service[i]));
	for (size_t i = 0; i < world->n_orgs; i++)
		(void)json_object_set_new(
			orgs, world->org_list[i]->id, org_stats(world->org_list[i]));
	call_answer_json(call, 200,
		json_pack("{s:o,s:I,s:I,s:I,s:I,s:o}", "calls", calls, "created",
			(json_int_t)journal->created, "updated", (json_int_t)journal->updated,
			"users", (json_int_t)world->n_users, "live_tokens",
			(json_int_t)world->tokens.count, "orgs", orgs));
}

void control_leads(struct world *world, struct call *call)
{
	freed_by(charp_free) char *org_id = form_value(call->query, "org_id");
	const struct org *org = world_org(world, org_id);
	json_t *list;

	if (!org) {
		control_error(call, "org_id: no such org");
		return;
	}
	list = json_array();
	for (size_t i = 0; i < org->n_leads; i++)
		if (org->leads[i])
			(void)json_array_append_new(list, lead_record(org, org->leads[i]));
	call_answer_json(call, 200, json_pack("{s:o}", "leads", list));
}

/* The lead that "external_id" or "lead_id" names; NULL after answering. */
static struct lead *lead_of(struct world *world, struct call *call, struct org **ret_org)
{
	struct org *org = control_org(world, call, call->json);
	const char *key = json_string_value(json_object_get(call->json, "external_id"));
	const char *id = json_string_value(json_object_get(call->json, "lead_id"));
	struct lead *lead;

	if (!org)
		return NULL;
	lead = key ? lead_find(org, key) : (id ? lead_find_id(org, id) : NULL);
	if (!lead)
		control_error(call, "external_id or lead_id: no such lead");
	*ret_org = org;
	return lead;
}

/* What the customer does to a lead by hand: no journal entry, it is no write of ours. */
void control_lead_edit(struct world *world, struct call *call)
{
	struct org *org = NULL;
	struct lead *lead = lead_of(world, call, &org);
	const json_t *fields = json_object_get(call->json, "fields");
	const json_t *converted = json_object_get(call->json, "converted");
	freed_by(buf_release) struct buf change = {0};

	if (!lead)
		return;
	if (json_is_object(fields)) {
		buf_add_json(&change, fields);
		lead_update(lead, buf_text(&change));
	}
	if (json_is_boolean(converted))
		lead->converted = json_is_true(converted);
	call_answer_json(call, 200, lead_record(org, lead));
}

void control_lead_delete(struct world *world, struct call *call)
{
	struct org *org = NULL;
	struct lead *lead = lead_of(world, call, &org);

	if (!lead)
		return;
	lead_delete(org, lead);
	call_answer_json(call, 200, json_object());
}
