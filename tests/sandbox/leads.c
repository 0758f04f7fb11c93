#include "leads.h"

#include <ctype.h>
#include <stdio.h>
#include <time.h>

struct blob *blob_new(const char *external_id, const char *fields)
{
	size_t id_bytes = strlen(external_id) + 1;
	size_t fields_bytes = strlen(fields) + 1;
	struct blob *blob = must(malloc(sizeof(*blob) + id_bytes + fields_bytes));

	blob->users = 1;
	blob->fields_at = (uint32_t)id_bytes;
	memcpy(blob->text, external_id, id_bytes);
	memcpy(blob->text + id_bytes, fields, fields_bytes);
	return blob;
}

struct blob *blob_ref(struct blob *blob)
{
	blob->users++;
	return blob;
}

void blob_unref(struct blob *blob)
{
	if (blob && --blob->users == 0)
		free(blob);
}

const char *blob_external_id(const struct blob *blob)
{
	return blob->text;
}

const char *blob_fields(const struct blob *blob)
{
	return blob->text + blob->fields_at;
}

/* The External ID as the org compares it.  The caller frees it. */
static char *key_of(const struct org *org, const char *external_id)
{
	char *key = must(strdup(external_id));

	if (!org->case_sensitive)
		for (char *c = key; *c; c++)
			*c = (char)tolower((unsigned char)*c);
	return key;
}

struct lead *lead_find(const struct org *org, const char *external_id)
{
	freed_by(charp_free) char *key = key_of(org, external_id);

	return map_get(&org->by_key, key);
}

struct lead *lead_find_id(const struct org *org, const char *id)
{
	char id18[ID_SIZE];

	if (!id_is_valid(id))
		return NULL;
	id_to18(id, id18);
	return map_get(&org->by_id, id18);
}

static void list_add(struct org *org, struct lead *lead)
{
	if (org->n_leads == org->size_leads) {
		org->size_leads = org->size_leads ? org->size_leads * 2 : 16;
		org->leads = must(realloc(org->leads, org->size_leads * sizeof(struct lead *)));
	}
	lead->position = org->n_leads;
	org->leads[org->n_leads++] = lead;
}

struct lead *lead_create(struct world *world, struct org *org, struct blob *fields)
{
	struct lead *lead = must(calloc(1, sizeof(*lead)));

	id_make("00Q", ++world->next_lead, lead->id);
	lead->fields = fields;
	lead->created_ms = now_ms();
	lead->modified_ms = lead->created_ms;
	if (*blob_external_id(fields)) {
		lead->key = key_of(org, blob_external_id(fields));
		map_add(&org->by_key, lead->key, lead);
	}
	map_add(&org->by_id, lead->id, lead);
	list_add(org, lead);
	org->created++;
	return lead;
}

static void merge(struct lead *lead, const char *change)
{
	json_t *fields = must(json_loads(blob_fields(lead->fields), 0, NULL));
	json_t *changed = must(json_loads(change, 0, NULL));
	freed_by(charp_free) char *text = NULL;
	struct blob *blob;

	(void)json_object_update(fields, changed);
	text = must(json_dumps(fields, JSON_COMPACT));
	blob = blob_new(blob_external_id(lead->fields), text);
	blob_unref(lead->fields);
	lead->fields = blob;
	json_decref(fields);
	json_decref(changed);
}

/* Most updates repeat what is there. */
void lead_update(struct lead *lead, const char *change)
{
	if (strcmp(blob_fields(lead->fields), change) != 0)
		merge(lead, change);
	lead->modified_ms = now_ms();
}

void lead_free(struct lead *lead)
{
	if (!lead)
		return;
	blob_unref(lead->fields);
	free(lead->key);
	free(lead);
}

void lead_delete(struct org *org, struct lead *lead)
{
	if (lead->key)
		(void)map_remove(&org->by_key, lead->key);
	(void)map_remove(&org->by_id, lead->id);
	org->leads[lead->position] = NULL;
	lead_free(lead);
}

static json_t *time_text(int64_t ms)
{
	time_t seconds = ms / 1000;
	struct tm parts;
	char text[48];
	size_t len;

	(void)gmtime_r(&seconds, &parts);
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	(void)snprintf(text + len, sizeof(text) - len, ".%03d+0000", (int)(ms % 1000));
	return json_string(text);
}

json_t *lead_record(const struct org *org, const struct lead *lead)
{
	json_t *record = must(json_loads(blob_fields(lead->fields), 0, NULL));
	const char *external_id = blob_external_id(lead->fields);

	(void)json_object_set_new(record, "Id", json_string(lead->id));
	(void)json_object_set_new(record, org->external_id_field,
		*external_id ? json_string(external_id) : json_null());
	(void)json_object_set_new(record, "IsDeleted", json_false());
	(void)json_object_set_new(record, "IsConverted", json_boolean(lead->converted));
	(void)json_object_set_new(record, "CreatedDate", time_text(lead->created_ms));
	(void)json_object_set_new(record, "LastModifiedDate", time_text(lead->modified_ms));
	return record;
}
