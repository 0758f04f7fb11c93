/*
 * worker/salesforce.h - one call of Salesforce: built, sent once under its permit, read.
 *
 * A call of several leads is an sObject Collections upsert, of one lead a
 * single upsert.  Loop thread only.
 * https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/resources_composite_sobjects_collections_upsert.htm
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/base.h"
#include "common/buf.h"
#include "common/http.h"
#include "common/list.h"
#include "worker/connections.h"
#include "worker/lead.h"
#include "worker/ledger.h"
#include "worker/options.h"

#define PERMIT_LIFE_MS 5000 /* an unused permit is void after it */

struct call {
	struct list node; /* in the list of whoever owns it */
	enum call_kind kind;
	struct connection *connection; /* borrowed */
	struct list leads;             /* owns */
	size_t count;
	size_t bytes; /* of their fields */

	/* the permit */
	int64_t tick;
	int32_t n;
	int32_t epoch;
	int64_t asked_age_ms; /* when the tick was sent: the permit's life counts from here */
	int64_t permitted_ms; /* wall */
	bool sent;            /* a sending began under it */

	/* the answer */
	enum ledger_result result;
	struct sf_verdict verdict;
	int status;
	char code[SF_CODE_MAX];
	int64_t sent_ms, answered_ms;
	int64_t retry_after_ms; /* -1: none */

	/* private */
	struct buf body;
	struct arena arena; /* of the answer's field lists */
	struct http_call *http;
	void (*done)(void *arg, struct call *call);
	void *arg;
};

struct call *call_new(struct connection *c);
void call_add(struct call *call, struct lead *lead); /* takes @lead */
void call_free(struct call *call); /* and its leads; cancels what is on the wire */
/** Frees every call of the list. */
void call_free_all(struct list *calls);

/** Sends a permitted call.  @done gets it back with each lead's result in lead->result. */
void salesforce_send(struct http *http, const struct options *o, struct call *call,
	void (*done)(void *arg, struct call *call), void *arg);
/** The word for ledger.answer.class. */
const char *salesforce_class_name(enum sf_class class);
