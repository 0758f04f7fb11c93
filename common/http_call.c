#include "common/http_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/mem.h"

#ifndef ONBEHALF_VERSION /* the build says it */
#define ONBEHALF_VERSION "0"
#endif

#define LIMIT_INFO_MAX 4096
#define RETRY_AFTER_DIGITS 9

/* ---- what libcurl asks ---- */

/*
 * Called for each sending, when the connection stands: libcurl repeats a request
 * by itself when a reused connection turns out to be dead.
 * https://curl.se/libcurl/c/CURLOPT_PREREQFUNCTION.html
 */
static int before_sending(void *arg, char *to, char *from, int to_port, int from_port)
{
	struct http_call *c = arg;

	(void)to;
	(void)from;
	(void)to_port;
	(void)from_port;
	if (c->may_send && !c->may_send(c->arg)) {
		c->refused = true;
		return CURL_PREREQFUNC_ABORT;
	}
	c->sendings++;
	c->sent_wall_ms = clock_wall_ms();
	return CURL_PREREQFUNC_OK;
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
	struct http_call *c = arg;
	size_t len = size * count;

	if (len > c->max_bytes - c->body.len) {
		c->too_large = true;
		return 0; /* ends the call */
	}
	buf_add(&c->body, data, len);
	return len;
}

/* ---- headers of the answer ---- */

static struct slice trim(struct slice s)
{
	while (s.len && strchr(" \t\r\n", s.data[s.len - 1]))
		s.len--;
	while (s.len && strchr(" \t", *s.data)) {
		s.data++;
		s.len--;
	}
	return s;
}

/* True when @line is the header @name; @ret is its value then. */
static bool is_header(struct slice line, const char *name, struct slice *ret)
{
	size_t len = strlen(name);

	if (line.len <= len || line.data[len] != ':' || strncasecmp(line.data, name, len) != 0)
		return false;
	*ret = trim((struct slice){line.data + len + 1, line.len - len - 1});
	return true;
}

/* -1: no date.  https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7 */
static int64_t read_date_s(struct slice value)
{
	char text[64];

	if (value.len >= sizeof(text))
		return -1;
	memcpy(text, value.data, value.len);
	text[value.len] = '\0';
	return curl_getdate(text, NULL);
}

static void read_retry_after(struct http_call *c, struct slice value)
{
	int64_t seconds = 0;

	if (value.len == 0)
		return;
	for (size_t i = 0; i < value.len; i++) {
		if (value.data[i] < '0' || value.data[i] > '9') {
			c->retry_at_s = read_date_s(value);
			return;
		}
		if (i < RETRY_AFTER_DIGITS)
			seconds = seconds * 10 + (value.data[i] - '0');
	}
	c->retry_after_s = seconds;
}

static void forget_headers(struct http_call *c)
{
	buf_clear(&c->limit_info);
	c->oauth_1703 = false;
	c->retry_after_s = c->retry_at_s = c->date_s = -1;
}

static size_t take_header(char *data, size_t size, size_t count, void *arg)
{
	struct http_call *c = arg;
	struct slice line = {data, size * count}, value;

	/* A status line: 100 Continue may have come before it. */
	if (line.len >= 5 && memcmp(line.data, "HTTP/", 5) == 0)
		forget_headers(c);
	else if (is_header(line, "Sforce-Limit-Info", &value) && value.len <= LIMIT_INFO_MAX) {
		buf_clear(&c->limit_info);
		buf_add(&c->limit_info, value.data, value.len);
	} else if (is_header(line, "Sfdc-OAuth-Error", &value))
		c->oauth_1703 = value.len == 4 && memcmp(value.data, "1703", 4) == 0;
	else if (is_header(line, "Retry-After", &value))
		read_retry_after(c, value);
	else if (is_header(line, "Date", &value))
		c->date_s = read_date_s(value);
	return line.len;
}

/* A date counts from the peer's own clock, which its Date header tells. */
static int64_t retry_after_ms(const struct http_call *c)
{
	int64_t from_s = c->date_s >= 0 ? c->date_s : clock_wall_ms() / 1000;

	if (c->retry_after_s >= 0)
		return c->retry_after_s * 1000;
	if (c->retry_at_s < 0)
		return -1;
	return c->retry_at_s > from_s ? (c->retry_at_s - from_s) * 1000 : 0;
}

/* ---- the request ---- */

/* A line break in a token would let whoever made it write headers of ours. */
static bool is_clean(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static int add_header(struct http_call *c, const char *line, struct err *err)
{
	struct curl_slist *longer;

	if (!is_clean(line))
		return err_set(err, ERR_REJECTED, 0, "a header holds a control character");
	longer = curl_slist_append(c->headers, line);
	if (!longer)
		abort(); /* an empty heap */
	c->headers = longer;
	return 0;
}

static int add_bearer(struct http_call *c, const char *bearer, struct err *err)
{
	struct buf line = {0};
	int rc;

	buf_reserve(&line, strlen(bearer) + sizeof("Authorization: Bearer "));
	buf_add_text(&line, "Authorization: Bearer ");
	buf_add_text(&line, bearer);
	rc = add_header(c, line.data, err);
	explicit_bzero(line.data, line.len);
	buf_release(&line);
	return rc;
}

static int set_headers(struct http_call *c, const struct http_request *r, struct err *err)
{
	/* Or libcurl waits a second for a "100 Continue" before it sends a large body. */
	if (add_header(c, "Expect:", err) < 0)
		return -1;
	for (const char *const *line = r->headers; line && *line; line++)
		if (add_header(c, *line, err) < 0)
			return -1;
	if (r->bearer && add_bearer(c, r->bearer, err) < 0)
		return -1;
	(void)curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
	return 0;
}

static void set_method(struct http_call *c, const struct http_request *r)
{
	bool is_post = strcmp(r->method, "POST") == 0;

	if (r->body.data || is_post) {
		(void)curl_easy_setopt(
			c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
		(void)curl_easy_setopt(
			c->easy, CURLOPT_POSTFIELDS, r->body.data ? r->body.data : "");
	} else if (strcmp(r->method, "HEAD") == 0) {
		(void)curl_easy_setopt(c->easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (!is_post && strcmp(r->method, "GET") != 0)
		(void)curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->method);
}

static void set_limits(struct http_call *c, const struct http_request *r)
{
	const struct http_options *o = &c->http->options;
	int64_t ms = r->timeout_ms > 0 ? r->timeout_ms : o->timeout_ms;

	(void)curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)ms);
	(void)curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout_ms);
	/* A peer that thinks is silent, too, so silence alone is granted the whole time. */
	(void)curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	(void)curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_TIME, ms > 0 ? (long)ms / 1000 + 1 : 60L);
}

/* What holds for every call.  https://curl.se/libcurl/c/curl_easy_setopt.html */
static void set_rules(struct http_call *c, bool plain)
{
	CURL *e = c->easy;

	(void)curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, plain ? "http,https" : "https");
	(void)curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(e, CURLOPT_PROXY, ""); /* none, whatever the environment says */
	(void)curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	(void)curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	(void)curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
	(void)curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L);
	(void)curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	(void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	(void)curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(e, CURLOPT_TCP_KEEPIDLE, 30L);
	(void)curl_easy_setopt(e, CURLOPT_TCP_KEEPINTVL, 10L);
	(void)curl_easy_setopt(e, CURLOPT_USERAGENT, "onbehalf/" ONBEHALF_VERSION);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Without it the end of a call waits for its name's look-up to return. */
	(void)curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
#endif
	if (c->http->ca_file) { /* and no other */
		(void)curl_easy_setopt(e, CURLOPT_CAINFO, c->http->ca_file);
		(void)curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
	if (c->http->connect_to)
		(void)curl_easy_setopt(e, CURLOPT_CONNECT_TO, c->http->connect_to);
}

static void set_callbacks(struct http_call *c)
{
	CURL *e = c->easy;

	(void)curl_easy_setopt(e, CURLOPT_PRIVATE, c);
	(void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, c->error);
	(void)curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, before_sending);
	(void)curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
	(void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
	(void)curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
	(void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header);
	(void)curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
}

int http_call_prepare(struct http_call *c, const struct http_request *r, struct err *err)
{
	c->max_bytes = r->max_answer_bytes;
	c->may_send = r->may_send;
	c->done = r->done;
	c->arg = r->arg;
	forget_headers(c);
	if (!is_clean(r->url) || curl_easy_setopt(c->easy, CURLOPT_URL, r->url) != CURLE_OK)
		return err_set(err, ERR_REJECTED, (int)CURLE_URL_MALFORMAT, "cannot use the URL");
	if (set_headers(c, r, err) < 0)
		return -1;
	set_method(c, r);
	set_limits(c, r);
	set_rules(c, r->plain);
	set_callbacks(c);
	return 0;
}

/* ---- the answer ---- */

static void explain(const struct http_call *c, CURLcode code, struct err *err)
{
	bool rejected = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
	const char *why = c->error[0] ? c->error : curl_easy_strerror(code);

	if (c->fault.kind != ERR_NONE)
		*err = c->fault;
	else if (c->refused)
		(void)err_set(err, ERR_TRANSIENT, (int)code, "it may not be sent now");
	else if (c->too_large)
		(void)err_set(err, ERR_REJECTED, (int)code, "the answer is larger than %zu bytes",
			c->max_bytes);
	else
		(void)err_set(err, rejected ? ERR_REJECTED : ERR_TRANSIENT, (int)code, "%s: %.200s",
			c->sendings ? "no answer" : "could not send", why);
}

struct http_answer http_call_answer(const struct http_call *c, CURLcode code)
{
	struct http_answer a = {.retry_after_ms = -1, .sent_wall_ms = c->sent_wall_ms};
	long status = 0;

	if (c->easy && code == CURLE_OK)
		(void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	a.refused = c->refused;
	if (status == 0) {
		a.result = c->sendings ? HTTP_UNKNOWN : HTTP_UNSENT;
		explain(c, code, &a.err);
		return a;
	}
	a.result = HTTP_ANSWERED;
	a.status = (int)status;
	a.answered_wall_ms = clock_wall_ms();
	a.body = buf_slice(&c->body);
	a.retry_after_ms = retry_after_ms(c);
	a.oauth_1703 = c->oauth_1703;
	if (c->limit_info.len)
		a.limit_info = buf_slice(&c->limit_info);
	return a;
}

void http_call_free(struct http_call *c)
{
	for (struct curl_slist *line = c->headers; line; line = line->next)
		explicit_bzero(line->data, strlen(line->data));
	curl_slist_free_all(c->headers);
	if (c->body.len) /* it may be a token endpoint's */
		explicit_bzero(c->body.data, c->body.len);
	buf_release(&c->body);
	buf_release(&c->limit_info);
	free(c);
}
