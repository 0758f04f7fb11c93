/*
 * worker/lead_attributes.h - the CloudEvents attributes of a record, by table.
 *
 * Private to lead_event.  Pure.
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#context-attributes
 */
#pragma once

#include <stdbool.h>

#include "common/base.h"
#include "common/json.h"
#include "worker/lead_event.h"

enum lead_attribute {
	LEAD_SPECVERSION,
	LEAD_TYPE,
	LEAD_SOURCE,
	LEAD_ID,
	LEAD_TIME,
	LEAD_SUBJECT,
	LEAD_DATACONTENTTYPE,
	LEAD_DATASCHEMA,
	LEAD_EXPIRYTIME,
	LEAD_PARTITIONKEY,
	LEAD_TRACEPARENT,
	LEAD_TRACESTATE,
	LEAD_ATTRIBUTES,
};

struct lead_attributes { /* {0} is empty; slices are borrowed */
	struct slice value[LEAD_ATTRIBUTES];
	bool malformed[LEAD_ATTRIBUTES]; /* no text, or given twice */
	bool extension_malformed;
	struct slice extension; /* its name, when malformed */
	bool binary;            /* the attributes are headers */
};

enum lead_mode {
	LEAD_MODE_STRUCTURED,
	LEAD_MODE_BINARY,
	LEAD_MODE_BARE,      /* the headers do not say */
	LEAD_MODE_OTHER,     /* a CloudEvents format we do not read */
	LEAD_MODE_AMBIGUOUS, /* two content types */
};

enum lead_mode lead_mode(const struct lead_record *record);

void lead_attributes_from_headers(const struct lead_record *record, struct lead_attributes *ret);
/** Takes the members of a structured event but for data and data_base64. */
void lead_attributes_from_object(const struct json_t *event, struct lead_attributes *ret);
/** REASON_NONE, or what is wrong and @ret_path. */
enum reason lead_attributes_check(const struct lead_attributes *a, char ret_path[LEAD_PATH_MAX]);

/** UTF-8 without control characters. */
bool lead_text_is_clean(struct slice s);
/** https://www.w3.org/TR/trace-context/#traceparent-header */
bool lead_traceparent_is_good(struct slice s);
/** @prefix and @name, or '*' for a name that is no plain word. */
void lead_path(const char *prefix, struct slice name, char ret_path[LEAD_PATH_MAX]);
