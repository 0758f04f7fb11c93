#include "common/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/http_private.h"
#include "common/mem.h"

/* For CURLOPT_PROTOCOLS_STR.  https://curl.se/libcurl/c/symbols-in-versions.html */
#define OLDEST_LIBCURL 0x075500

static void take_done(struct http *h);

/* ---- handles ---- */

static CURL *easy_take(struct http *h)
{
	CURL *easy;

	if (h->idle_count > 0)
		return h->idle[--h->idle_count];
	easy = curl_easy_init();
	if (!easy)
		abort();
	/* A reset leaves it. */
	(void)curl_easy_setopt(easy, CURLOPT_SHARE, h->share);
	return easy;
}

/* Nothing of the call stays in the handle: its bearer, body and buffers are about to go. */
static void easy_return(struct http *h, CURL *easy)
{
	curl_easy_reset(easy);
	if (h->idle_count == h->idle_room) {
		h->idle_room = h->idle_room ? 2 * h->idle_room : 16;
		h->idle = mem_grow(h->idle, h->idle_room * sizeof(*h->idle));
	}
	h->idle[h->idle_count++] = easy;
}

/* ---- the loop ---- */

/* `done` may close what calls it. */
static void unuse(struct http *h)
{
	if (--h->users == 0)
		free(h);
}

static void act(struct http *h, curl_socket_t fd, int events)
{
	int running;

	h->users++;
	(void)curl_multi_socket_action(h->multi, fd, events, &running);
	take_done(h);
	unuse(h);
}

static void on_socket(void *arg, int fd, unsigned events)
{
	act(arg, fd,
		(events & LOOP_READ ? CURL_CSELECT_IN : 0) |
			(events & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* libcurl wants to wait for @fd.  Calls nothing of libcurl but what is allowed inside. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	struct http *h = arg;
	struct loop_watch *watch = of_socket;
	unsigned events =
		(what & CURL_POLL_IN ? LOOP_READ : 0) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		loop_unwatch(watch);
		(void)curl_multi_assign(h->multi, fd, NULL);
	} else if (watch) {
		loop_watch_set(watch, events);
	} else {
		watch = loop_watch(h->loop, fd, events, on_socket, h);
		(void)curl_multi_assign(h->multi, fd, watch);
	}
	return 0;
}

static int set_timer(CURLM *multi, long in_ms, void *arg)
{
	struct http *h = arg;

	(void)multi;
	if (in_ms < 0)
		loop_timer_stop(&h->timer);
	else
		loop_timer_set(&h->timer, in_ms);
	return 0;
}

/* ---- ends of calls ---- */

/* Gives the handle back; its numbers are read before. */
static void detach(struct http_call *c)
{
	struct http *h = c->http;
	CURLMcode rc;

	list_remove(&c->node);
	h->in_flight--;
	if (!c->easy)
		return;
	rc = curl_multi_remove_handle(h->multi, c->easy);
	assert(rc == CURLM_OK); /* else it was done inside may_send() */
	easy_return(h, c->easy);
	c->easy = NULL;
}

static void count(struct http *h, CURL *easy)
{
	long connections = 0, request_bytes = 0, header_bytes = 0;
	curl_off_t tls_us = 0, up = 0, down = 0;

	h->stats.calls++;
	(void)curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connections);
	(void)curl_easy_getinfo(easy, CURLINFO_APPCONNECT_TIME_T, &tls_us);
	(void)curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	(void)curl_easy_getinfo(easy, CURLINFO_HEADER_SIZE, &header_bytes);
	(void)curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &up);
	(void)curl_easy_getinfo(easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	h->stats.connections += (uint64_t)connections;
	h->stats.handshakes += connections > 0 && tls_us > 0 ? 1 : 0;
	h->stats.bytes_out += (uint64_t)request_bytes + (uint64_t)up;
	h->stats.bytes_in += (uint64_t)header_bytes + (uint64_t)down;
}

static void finish(struct http_call *c, CURLcode code)
{
	struct http_answer answer = http_call_answer(c, code);

	if (c->easy)
		count(c->http, c->easy);
	detach(c);
	c->done(c->arg, &answer);
	http_call_free(c);
}

static void take_done(struct http *h)
{
	struct http_call *c;
	CURLMsg *msg;
	int left;

	while (!h->closed && (msg = curl_multi_info_read(h->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		finish(c, msg->data.result);
	}
}

static void on_failed(void *arg)
{
	struct http *h = arg;

	if (list_empty(&h->failed))
		return;
	loop_timer_set(&h->fail_timer, 0); /* one a turn: this happens rarely */
	h->users++;
	finish(list_owner(h->failed.next, struct http_call, node), CURLE_OK);
	unuse(h);
}

/* ---- calls ---- */

struct http_call *http_send(struct http *h, const struct http_request *r)
{
	struct http_call *c = mem_new(sizeof(*c));
	CURLMcode rc;

	assert(!h->closed);
	c->http = h;
	h->in_flight++;
	list_init(&c->node);
	c->easy = easy_take(h);
	if (http_call_prepare(c, r, &c->fault) < 0) {
		easy_return(h, steal(&c->easy));
		list_add_tail(&h->failed, &c->node);
		loop_timer_set(&h->fail_timer, 0);
		return c;
	}
	list_add_tail(&h->calls, &c->node);
	rc = curl_multi_add_handle(h->multi, c->easy);
	assert(rc == CURLM_OK);
	return c;
}

void http_cancel(struct http_call *c)
{
	if (!c)
		return;
	detach(c);
	http_call_free(c);
}

size_t http_in_flight(const struct http *h)
{
	return h->in_flight;
}

struct http_stats http_stats(const struct http *h)
{
	return h->stats;
}

/* ---- beginning and end ---- */

static struct curl_slist *split(const char *words)
{
	struct curl_slist *list = NULL;

	while (words && *words) {
		size_t len = strcspn(words, " \t\n");
		char *word = len ? strndup(words, len) : NULL;

		if (word)
			list = curl_slist_append(list, word);
		free(word);
		words += len + (words[len] ? 1 : 0);
	}
	return list;
}

static int set_up(struct http *h, struct err *err)
{
	h->multi = curl_multi_init();
	h->share = curl_share_init();
	if (!h->multi || !h->share)
		return err_set(err, ERR_FATAL, CURLE_FAILED_INIT, "could not start libcurl");
	(void)curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	(void)curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	(void)curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	(void)curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	if (h->options.max_connections > 0)
		(void)curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, h->options.max_connections);
	return 0;
}

int http_open(struct loop *l, const struct http_options *o, struct http **ret, struct err *err)
{
	struct http *h = mem_new(sizeof(*h));

	h->loop = l;
	h->users = 1;
	h->options = *o;
	h->ca_file = o->ca_file && *o->ca_file ? mem_text(o->ca_file) : NULL;
	h->connect_to = split(o->connect_to);
	list_init(&h->calls);
	list_init(&h->failed);
	loop_timer_init(&h->timer, l, on_timer, h);
	loop_timer_init(&h->fail_timer, l, on_failed, h);
	if (set_up(h, err) < 0) {
		http_close(h);
		return -1;
	}
	*ret = h;
	return 0;
}

void http_close(struct http *h)
{
	struct list *node;

	if (!h || h->closed)
		return;
	while ((node = list_pop(&h->calls)) || (node = list_pop(&h->failed)))
		http_cancel(list_owner(node, struct http_call, node));
	h->closed = true;
	while (h->idle_count > 0)
		curl_easy_cleanup(h->idle[--h->idle_count]);
	free(h->idle);
	(void)curl_multi_cleanup(h->multi); /* unwatches what it closes */
	(void)curl_share_cleanup(h->share);
	loop_timer_stop(&h->timer);
	loop_timer_stop(&h->fail_timer);
	curl_slist_free_all(h->connect_to);
	free(h->ca_file);
	unuse(h);
}

int http_start(struct err *err)
{
	const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
	CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);

	if (rc != CURLE_OK)
		return err_set(err, ERR_FATAL, (int)rc, "could not start libcurl: %s",
			curl_easy_strerror(rc));
	if (v->version_num < OLDEST_LIBCURL)
		return err_set(
			err, ERR_FATAL, 0, "libcurl %s is too old, 7.85.0 is needed", v->version);
	if (!(v->features & CURL_VERSION_SSL) || !(v->features & CURL_VERSION_ASYNCHDNS))
		return err_set(err, ERR_FATAL, 0,
			"libcurl %s lacks TLS or looks up names while everything else waits",
			v->version);
	return 0;
}

const char *http_library_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}
