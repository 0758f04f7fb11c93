/*
 * tests/sandbox/leads.h - the leads of an org.
 *
 * The fields rest as JSON text, shared by the lead and its journal entry: two
 * million of them have to fit.  Called with the world's mutex held.
 */
#pragma once

#include "world.h"

/* An External ID and the JSON text of the other fields; shared, counted. */
struct blob {
	unsigned int users;
	uint32_t fields_at; /* in text; the External ID is at 0, "" for none */
	char text[];
};

struct blob *blob_new(const char *external_id, const char *fields);
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob);
const char *blob_external_id(const struct blob *blob);
const char *blob_fields(const struct blob *blob);

struct lead *lead_find(const struct org *org, const char *external_id);
struct lead *lead_find_id(const struct org *org, const char *id);
/** Takes one use of @fields.  The External ID must be free (or ""). */
struct lead *lead_create(struct world *world, struct org *org, struct blob *fields);
/** Sets the fields given in @change (JSON text of an object); null empties one. */
void lead_update(struct lead *lead, const char *change);
void lead_delete(struct org *org, struct lead *lead);
void lead_free(struct lead *lead);
/** The record as the API shows it, without attributes; a new reference. */
json_t *lead_record(const struct org *org, const struct lead *lead);
