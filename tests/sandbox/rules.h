/*
 * tests/sandbox/rules.h - planned misbehaviour: which calls, how often, what happens.
 *
 * The rules are walked in the order they were made.  Every rule that matches a
 * call is used once by it; the walk ends at the first that answers or cuts.
 * Called with the world's mutex held.
 */
#pragma once

#include <jansson.h>

#include "base.h"
#include "journal.h"

#define MAX_RECORD_ERRORS 8

enum cut { CUT_NOT, CUT_BEFORE, CUT_AFTER };

/* What is known of a call.  All borrowed, NULL where unknown. */
struct call_facts {
	enum service service;
	const char *org_id;
	const char *user_id;
	const char *host;
	const char *method;
	const char *path;
	const json_t *records;      /* an array */
	const char *external_field; /* of a single upsert: the key is in the path */
	const char *external_id;
};

struct record_error {
	json_t *lead;  /* which records: {"field","equals"}; NULL: all */
	json_t *error; /* {"statusCode","message","fields"} */
};

/* What is to happen to one call.  Owned references; {0} is "nothing special". */
struct verdict {
	int64_t delay_ms;
	int status; /* > 0: this answer in the place of the real one */
	bool apply; /* the injected answer comes after applying */
	json_t *body;
	json_t *headers;
	enum cut cut;
	size_t n_record_errors;
	struct record_error record_errors[MAX_RECORD_ERRORS];
};

struct rule {
	uint64_t id;
	int64_t times; /* left; -1: for ever */
	json_t *match;
	json_t *action;
};

struct rules {
	struct rule *list;
	size_t count;
	uint64_t last_id;
};

void rules_clear(struct rules *rules);
/** Adds a rule from its JSON.  0 when it makes no sense: @ret_fault says why. */
must_check uint64_t rules_add(struct rules *rules, const json_t *text, const char **ret_fault);
/** Uses the rules that match; @ret must be {0}. */
void rules_judge(struct rules *rules, const struct call_facts *facts, struct verdict *ret);
json_t *rules_json(const struct rules *rules);
void verdict_release(struct verdict *verdict);
/** The planned error of @record, or NULL. */
const json_t *verdict_record_error(
	const struct verdict *verdict, const struct call_facts *facts, const json_t *record);
