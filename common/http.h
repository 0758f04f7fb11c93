/*
 * common/http.h - the door to libcurl: many calls, one loop.
 *
 * Redirects, netrc and unlisted protocols are off; the size of an answer is
 * capped.  A call tells apart "nothing was sent" and "unknown", because a
 * write that may have happened is not a write that did not.  Loop thread only.
 * https://curl.se/libcurl/c/libcurl-multi.html
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/err.h"
#include "common/loop.h"

struct http;      /* opaque */
struct http_call; /* opaque */

struct http_options {
	const char *ca_file;    /* NULL or "": the system's */
	const char *connect_to; /* space separated CURLOPT_CONNECT_TO entries; NULL or "": none */
	int64_t connect_timeout_ms, timeout_ms;
	long max_connections;
};

enum http_result {
	HTTP_ANSWERED, /* status, headers and body are the peer's */
	HTTP_UNSENT,   /* no byte of the request left, or may_send refused */
	HTTP_UNKNOWN,  /* it may have been acted upon */
};

struct http_answer {
	enum http_result result;
	int status; /* 0 unless answered */
	struct slice body;
	int64_t sent_wall_ms, answered_wall_ms; /* 0: did not happen */
	int64_t retry_after_ms;                 /* -1: none; seconds and HTTP-date are understood */
	struct slice limit_info;                /* Sforce-Limit-Info, absent if none */
	bool oauth_1703;                        /* header Sfdc-OAuth-Error: 1703 */
	bool refused;                           /* may_send said no */
	struct err err;                         /* unless answered */
};

struct http_request {
	const char *method;         /* literal */
	const char *url;            /* copied */
	bool plain;                 /* http is allowed for this one call */
	const char *bearer;         /* NULL: none; copied, zeroed after */
	const char *const *headers; /* "Name: value", NULL-ended; copied */
	struct slice body;          /* absent: none; borrowed until done */
	size_t max_answer_bytes;
	int64_t timeout_ms; /* 0: the options' */
	/** Asked last, when the connection stands and before the first byte of each sending; false
	 * sends nothing. */
	bool (*may_send)(void *arg);
	void (*done)(void *arg, const struct http_answer *answer); /* the call is gone after it */
	void *arg;
};

must_check int http_open(
	struct loop *l, const struct http_options *o, struct http **ret, struct err *err);
/** Calls still open end without `done`. */
void http_close(struct http *h);
/** Never NULL, never calls back before it returns. */
struct http_call *http_send(struct http *h, const struct http_request *r);
/** Ends a call without `done`. */
void http_cancel(struct http_call *c);
size_t http_in_flight(const struct http *h);

struct http_stats {
	uint64_t calls, connections, handshakes, bytes_out, bytes_in;
};
struct http_stats http_stats(const struct http *h);
/** For main(): once, before any thread; FATAL. */
must_check int http_start(struct err *err);
const char *http_library_version(void);
