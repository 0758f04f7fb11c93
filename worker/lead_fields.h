/*
 * worker/lead_fields.h - the fields of a lead: what can be told without the org.
 *
 * Private to lead_event.  What is not in the table is Salesforce's to judge.  Pure.
 */
#pragma once

#include "common/arena.h"
#include "common/base.h"
#include "common/json.h"
#include "worker/reasons.h"

/**
 * Checks the object @lead and writes its members, sorted by name without regard to case, as
 * compact JSON without braces: @ret_json is in the arena.  It is written whatever the verdict,
 * but sorted only when there are not too many.
 * REASON_NONE, or the first fault in that order and its field: borrowed; absent when no field is to
 * blame; for REASON_FIELD_NAME not fit to be shown.
 */
enum reason lead_fields_read(const struct json_t *lead, struct arena *arena, struct slice *ret_json,
	struct slice *ret_field);
