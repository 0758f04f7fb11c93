/*
 * worker/sf_answers_table.h - Salesforce's codes and HTTP statuses, and what each means.
 *
 * Private to sf_answers and its test.  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base.h"
#include "common/json.h"
#include "worker/sf_answers.h"

struct sf_code_row {      /* the first row that fits decides */
	const char *code; /* an asterisk at its end: all that begin so */
	const char *text; /* the message holds this, in any case; NULL: whatever it says */
	bool on_key;      /* only about the External ID field */
	enum sf_class class;
	enum reason reason;
	bool of_lead; /* one lead of a call can cause it for the whole call: alone it will show */
};

struct sf_status_row {
	int from, to;
	enum sf_class class;
	enum reason reason;
	bool beats_codes; /* else a code that is known decides */
	bool alert;
};

struct sf_text_row {
	const char *text;
	enum sf_class class;
	enum reason reason;
};

struct sf_tables { /* for the test, which visits every row */
	const struct sf_code_row *codes;
	size_t code_count;
	const struct sf_status_row *statuses;
	size_t status_count;
	const struct sf_text_row *refusals; /* of a 401 that a new token does not cure */
	size_t refusal_count;
};
struct sf_tables sf_tables(void);

struct sf_decision {
	struct sf_verdict verdict;
	bool of_lead;
	struct slice code;           /* borrowed, absent if none */
	const struct json_t *fields; /* borrowed, NULL if none */
};

/**
 * Decides over errors: a list of objects with errorCode or statusCode, or one such object.
 * @status 200 stands for one record of a collection.  False when none can be read.
 */
must_check bool sf_decide(
	const struct json_t *errors, int status, const char *key_field, struct sf_decision *ret);
/** What a status means without a body; NULL when only a code could tell. */
const struct sf_status_row *sf_status(int status);
