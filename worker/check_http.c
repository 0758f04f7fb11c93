#include "worker/check_private.h"

#include <string.h>
#include <strings.h>

#include "common/buf.h"
#include "common/http.h"
#include "common/mem.h"
#include "worker/binding.h"

#define ANSWER_MAX (64 * 1024)
#define BODY "{\"user_id\":\"onbehalf_check\"}" /* nobody's */

struct question {
	bool done;
	enum http_result result;
	int status;
	struct err err;
};

static void on_done(void *arg, const struct http_answer *a)
{
	struct question *q = arg;

	q->result = a->result;
	q->status = a->status;
	q->err = a->err;
	q->done = true;
}

/* The status; 0 when there was no answer, which is noted. */
static int ask(struct check *c, struct http *http, const char *name, struct http_request *r)
{
	struct question q = {0};
	struct http_call *call;

	r->max_answer_bytes = ANSWER_MAX;
	r->timeout_ms = CHECK_LIMIT_MS;
	r->done = on_done;
	r->arg = &q;
	call = http_send(http, r);
	if (!check_wait(c, &q.done)) {
		http_cancel(call);
		check_fail(c, name, "%s: no answer within %d s", r->url, CHECK_LIMIT_MS / 1000);
		return 0;
	}
	if (q.result != HTTP_ANSWERED) {
		check_fail(c, name, "%s: %s: see [http] in the configuration", r->url, q.err.text);
		return 0;
	}
	return q.status;
}

/* Nobody's userinfo is refused, and a refusal is an answer. */
static void check_login(struct check *c, struct http *http)
{
	const struct options *o = c->options;
	const char *host = o->salesforce.login_host;
	freed_by(mem_freep) char *url = NULL;
	struct http_request r = {.method = "GET"};
	struct binding_host read;
	int status;

	binding_read_host((struct slice){host, strlen(host)}, o->salesforce.insecure_hosts, &read);
	r.plain = read.verdict == HOST_INSECURE_OK;
	url = mem_textf("%s://%s/services/oauth2/userinfo", r.plain ? "http" : "https", host);
	r.url = url;
	status = ask(c, http, "login host", &r);
	if (status == 400 || status == 401 || status == 403)
		check_ok("login host", "%s answers", host);
	else if (status)
		check_fail(c, "login host", "%s answers %d: is it Salesforce?", url, status);
}

static void judge_pipes(struct check *c, const char *name, const struct client *client, int status)
{
	if (status == 401 || status == 403)
		check_fail(c, name, "%s refuses the API key of %s (%d)", client->base_url,
			client->key_file, status);
	else if (status >= 500)
		check_fail(c, name, "%s answers %d: try again later", client->base_url, status);
	else if (status == 404)
		check_ok(name, "%s answers; 404, so see that %s is set up there", client->base_url,
			client->slug);
	else if (status == 200 || status >= 400)
		check_ok(name, "%s takes the API key", client->base_url);
	else if (status)
		check_fail(c, name, "%s answers %d: is it WorkOS?", client->base_url, status);
}

static void check_pipes(
	struct check *c, struct http *http, const char *name, const struct client *client)
{
	static const char *const headers[] = {"Content-Type: application/json", NULL};
	freed_by(mem_freep) char *url =
		mem_textf("%s/data-integrations/%s/token", client->base_url, client->slug);
	struct http_request r = {
		.method = "POST",
		.url = url,
		.plain = strncasecmp(url, "http://", strlen("http://")) == 0,
		.bearer = client->key,
		.headers = headers,
		.body = SLICE(BODY),
	};

	judge_pipes(c, name, client, ask(c, http, name, &r));
}

static void check_client(struct check *c, struct http *http, const struct config_section *section)
{
	const struct client *client = section->values;
	freed_by(mem_freep) char *name = mem_textf("client.%s", section->name);

	if (strcmp(client->kind, "pipes") == 0)
		check_pipes(c, http, name, client);
	else
		check_ok(name, "id and secret are read; only a user's grant can try them");
}

void check_http(struct check *c)
{
	const struct options *o = c->options;
	const struct http_options options = {
		.ca_file = o->http.ca_file,
		.connect_to = o->http.connect_to,
		.connect_timeout_ms = CHECK_LIMIT_MS,
		.timeout_ms = CHECK_LIMIT_MS,
		.max_connections = 1,
	};
	struct http *http;
	struct err err;

	if (http_open(c->loop, &options, &http, &err) < 0) {
		check_fail(c, "http", "%s: see [http] in the configuration", err.text);
		return;
	}
	check_login(c, http);
	for (size_t i = 0; i < o->config.section_count; i++)
		check_client(c, http, &o->config.sections[i]);
	http_close(http);
}
