/*
 * common/http_private.h - what the files of the door to libcurl share.
 */
#pragma once

#include <curl/curl.h>

#include "common/buf.h"
#include "common/http.h"
#include "common/list.h"

struct http {
	struct loop *loop;
	CURLM *multi;
	CURLSH *share; /* TLS sessions, so that a new connection to a known host is cheap */
	struct loop_timer timer;      /* libcurl's */
	struct loop_timer fail_timer; /* ends the calls that could not even begin */
	struct list calls, failed;
	size_t in_flight;
	CURL **idle; /* handles kept for reuse */
	size_t idle_count, idle_room;
	struct http_options options; /* but for its texts, which are here: */
	char *ca_file;               /* NULL: the system's */
	struct curl_slist *connect_to;
	struct http_stats stats;
	unsigned users; /* our frames on the stack, and the owner */
	bool closed;
};

struct http_call {
	struct list node; /* in calls or in failed */
	struct http *http;
	CURL *easy;
	struct curl_slist *headers;
	struct buf body;
	size_t max_bytes;
	bool (*may_send)(void *arg);
	void (*done)(void *arg, const struct http_answer *answer);
	void *arg;

	unsigned sendings;
	bool refused, too_large;
	int64_t sent_wall_ms;

	/* of the answer's headers */
	struct buf limit_info;
	bool oauth_1703;
	int64_t retry_after_s, retry_at_s, date_s; /* -1: none */

	struct err fault; /* why it could not begin */
	char error[CURL_ERROR_SIZE];
};

/** Puts @r into @c and its handle.  REJECTED: it must not be sent as it is. */
must_check int http_call_prepare(
	struct http_call *c, const struct http_request *r, struct err *err);
/** What came of @c; its slices borrow from @c. */
struct http_answer http_call_answer(const struct http_call *c, CURLcode code);
void http_call_free(struct http_call *c);
