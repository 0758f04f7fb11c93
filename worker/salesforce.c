#include "worker/salesforce.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"
#include "worker/binding.h"

#define ANSWER_MAX (1024 * 1024)

struct call *call_new(struct connection *c)
{
	struct call *call = mem_new(sizeof(*call));

	list_init(&call->node);
	list_init(&call->leads);
	call->connection = c;
	call->kind = CALL_UPSERT;
	call->epoch = c->epoch;
	call->retry_after_ms = -1;
	return call;
}

void call_add(struct call *call, struct lead *lead)
{
	list_add_tail(&call->leads, &lead->node);
	call->count++;
	call->bytes += lead->event.fields.len;
}

void call_free(struct call *call)
{
	if (!call)
		return;
	if (call->http)
		http_cancel(call->http);
	lead_free_all(&call->leads);
	list_remove(&call->node);
	buf_release(&call->body);
	arena_release(&call->arena);
	free(call);
}

void call_free_all(struct list *calls)
{
	struct list *node;

	while ((node = list_pop(calls)))
		call_free(list_owner(node, struct call, node));
}

const char *salesforce_class_name(enum sf_class class)
{
	static const char *const names[] = {
		[SF_CREATED] = "created",
		[SF_UPDATED] = "updated",
		[SF_REJECT] = "reject",
		[SF_RETRY] = "retry",
		[SF_SMALLER] = "smaller",
		[SF_REFRESH] = "refresh",
		[SF_ORG_PAUSE] = "org_pause",
		[SF_CONFIG] = "config",
		[SF_REAUTH] = "reauth",
		[SF_UNKNOWN] = "unknown",
	};

	return names[class];
}

/* ---- the request ---- */

static void put_collection(struct call *call)
{
	struct buf *b = &call->body;
	const char *field = call->connection->external_id_field;
	char key[LEAD_KEY_TEXT];
	bool first = true;

	buf_reserve(b, call->bytes + call->count * 120 + 64);
	buf_add_text(b, "{\"allOrNone\":false,\"records\":[");
	list_each(it, &call->leads) {
		const struct lead *lead = list_owner(it, struct lead, node);

		lead_key_text(lead->event.key, key);
		buf_addf(b, "%s{\"attributes\":{\"type\":\"Lead\"},\"%s\":\"%s\",",
			first ? "" : ",", field, key);
		buf_add(b, lead->event.fields.data, lead->event.fields.len);
		buf_add_char(b, '}');
		first = false;
	}
	buf_add_text(b, "]}");
}

static void put_single(struct call *call)
{
	const struct lead *lead = list_owner(call->leads.next, struct lead, node);

	buf_add_char(&call->body, '{');
	buf_add(&call->body, lead->event.fields.data, lead->event.fields.len);
	buf_add_char(&call->body, '}');
}

static void put_url(
	const struct call *call, const struct options *o, struct buf *url, bool *ret_plain)
{
	const struct connection *c = call->connection;
	struct binding_host host;
	char key[LEAD_KEY_TEXT];

	binding_read_host(
		(struct slice){c->host, strlen(c->host)}, o->salesforce.insecure_hosts, &host);
	*ret_plain = host.verdict == HOST_INSECURE_OK;
	buf_addf(url, "%s://%s/services/data/%s/", *ret_plain ? "http" : "https", c->host,
		o->salesforce.api_version);
	if (call->count == 1) {
		lead_key_text(list_owner(call->leads.next, struct lead, node)->event.key, key);
		buf_addf(url, "sobjects/Lead/%s/%s", c->external_id_field, key);
	} else {
		buf_addf(url, "composite/sobjects/Lead/%s", c->external_id_field);
	}
}

/* The last word before the bytes leave: the permit is fresh, unused, and the connection is as it
 * was then. */
static bool may_send(void *arg)
{
	struct call *call = arg;

	if (call->sent || clock_age_ms() - call->asked_age_ms >= PERMIT_LIFE_MS)
		return false;
	if (!call->connection->writes || call->connection->epoch != call->epoch)
		return false;
	call->sent = true;
	return true;
}

/* ---- the answer ---- */

static void read_records(struct call *call, const struct sf_answer *a)
{
	const char *field = call->connection->external_id_field;
	struct sf_record *records = mem_new(call->count * sizeof(*records));
	size_t i = 0;

	if (call->count == 1)
		call->verdict = sf_answers_single(a, field, &call->arena, records);
	else
		call->verdict = sf_answers_collection(a, field, call->count, &call->arena, records);
	list_each(it, &call->leads)
		list_owner(it, struct lead, node)->result = records[i++];
	free(records);
}

static void on_done(void *arg, const struct http_answer *a)
{
	struct call *call = arg;
	struct sf_answer answer = {
		.status = a->status,
		.unsent = a->result == HTTP_UNSENT,
		.oauth_1703 = a->oauth_1703,
		.body = a->body,
	};

	call->http = NULL;
	call->status = a->status;
	call->sent_ms = a->sent_wall_ms;
	call->answered_ms = a->answered_wall_ms;
	call->retry_after_ms = a->retry_after_ms;
	(void)sf_answers_call(&answer, call->code);
	read_records(call, &answer);
	call->result = a->result == HTTP_ANSWERED ? RESULT_ANSWERED
	               : a->result == HTTP_UNSENT ? RESULT_UNSENT
	                                          : RESULT_UNKNOWN;
	if (call->verdict.class == SF_UNKNOWN && call->result == RESULT_ANSWERED)
		call->result = RESULT_UNKNOWN;
	buf_release(&call->body);
	call->done(call->arg, call);
}

void salesforce_send(struct http *http, const struct options *o, struct call *call,
	void (*done)(void *arg, struct call *call), void *arg)
{
	static const char *const headers[] = {"Content-Type: application/json",
		"Sforce-Call-Options: client=onbehalf", "Sforce-Mru: updateMru=false", NULL};
	freed_by(buf_release) struct buf url = {0};
	bool plain;

	call->done = done;
	call->arg = arg;
	put_url(call, o, &url, &plain);
	if (call->count == 1)
		put_single(call);
	else
		put_collection(call);
	call->http = http_send(http, &(struct http_request){
					     .method = "PATCH",
					     .url = url.data,
					     .plain = plain,
					     .bearer = call->connection->token.text,
					     .headers = headers,
					     .body = buf_slice(&call->body),
					     .max_answer_bytes = ANSWER_MAX,
					     .may_send = may_send,
					     .done = on_done,
					     .arg = call,
				     });
}
