/*
 * tests/sandbox/fields.h - the fields of a Lead and what may stand in them.
 *
 * Pure.
 */
#pragma once

#include <jansson.h>

#include "buf.h"

/* Why a record is refused: one error, as Salesforce words it. */
struct record_fault {
	const char *code; /* static; NULL: no fault */
	bool whole_call;  /* of a kind that refuses the whole call while it is read */
	struct buf message;
	struct buf fields; /* names, JSON strings with commas between */
};

/* What the org asks of a record. */
struct record_rules {
	const char *external_id_field;
	char *const *required;
	size_t n_required;
};

#define EXTERNAL_ID_MAX 255

void record_fault_release(struct record_fault *fault);
void record_fault_add_field(struct record_fault *fault, const char *name);

/**
 * Checks @record and writes its fields, canonical names, as the text of a JSON
 * object to @ret_fields; "attributes" and the External ID field are left out, the
 * latter's value goes to @ret_external_id ("" when absent or null).
 * False when the record is refused: @ret_fault says why, the rest is undefined.
 */
must_check bool record_read(const json_t *record, const struct record_rules *rules,
	struct buf *ret_fields, struct buf *ret_external_id, struct record_fault *ret_fault);

/** Checks the required fields: all there in a create, none emptied in an update. */
must_check bool record_is_complete(const json_t *record, const struct record_rules *rules,
	bool create, struct record_fault *ret_fault);

/** The whole table as "fields" of a describe answer; a new reference. */
json_t *fields_describe(const struct record_rules *rules);
