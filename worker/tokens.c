#include "worker/tokens.h"

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/backoff.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/secret.h"
#include "worker/pipes.h"
#include "worker/sf_answers.h"

#define ASKS_AT_ONCE 64        /* to one source */
#define EXPIRY_MARGIN_MS 60000 /* a token this close to its end is not used */
#define CONFIG_WAIT_MS 60000   /* our own set-up is wrong: an operator has to act */
#define USERINFO_ANSWER_MAX (256 * 1024)
#define BURST_SECONDS 10 /* of the budget may be spent at once */

/* How long a source that vends a refused token again is given: then the user has to act. */
static const int64_t same_token_waits_ms[] = {30000, 120000};

struct source { /* a client's budget */
	struct tokens *tokens;
	const struct client *client;
	bool plain;
	struct list waiting; /* of struct token */
	double budget;
	int64_t refilled_ms;
	int asked;
	struct loop_timer timer;
};

struct tokens {
	struct loop *loop;
	struct http *http;
	const struct options *options;
	struct tokens_handlers handlers;
	void *arg;
	struct source *sources;
	size_t source_count;
	struct list steps; /* under way */
};

struct step { /* of getting one token */
	struct list node;
	struct pipes_ask ask;
	struct tokens *tokens;
	struct source *source;
	struct connection *connection;
	struct arena arena;
};

static void pump(struct source *s);
static void step_free(struct step *step);

/* True when @url is http://host:port with the pair listed in insecure_hosts. */
static bool is_plain(const struct options *o, const char *url)
{
	struct binding_host h;

	if (strncmp(url, "http://", 7) != 0)
		return false;
	binding_read_host((struct slice){url, strlen(url)}, o->salesforce.insecure_hosts, &h);
	return h.verdict == HOST_INSECURE_OK;
}

static void on_timer(void *arg)
{
	pump(arg);
}

struct tokens *tokens_new(struct loop *l, struct http *http, const struct options *o,
	const struct tokens_handlers *h, void *arg)
{
	struct tokens *t = mem_new(sizeof(*t));

	*t = (struct tokens){.loop = l, .http = http, .options = o, .handlers = *h, .arg = arg};
	list_init(&t->steps);
	t->sources = mem_new((o->config.section_count + 1) * sizeof(*t->sources));
	for (size_t i = 0; i < o->config.section_count; i++) {
		struct source *s = &t->sources[t->source_count++];

		s->tokens = t;
		s->client = o->config.sections[i].values;
		s->plain = is_plain(o, s->client->base_url);
		s->refilled_ms = clock_age_ms();
		s->budget = (double)s->client->rate_per_minute * BURST_SECONDS / 60;
		list_init(&s->waiting);
		loop_timer_init(&s->timer, l, on_timer, s);
	}
	return t;
}

void tokens_free(struct tokens *t)
{
	if (!t)
		return;
	list_each_safe(it, &t->steps) {
		struct step *step = list_owner(it, struct step, node);

		if (step->connection->token.http)
			http_cancel(steal(&step->connection->token.http));
		step_free(step);
	}
	for (size_t i = 0; i < t->source_count; i++) {
		loop_timer_stop(&t->sources[i].timer);
		while (list_pop(&t->sources[i].waiting))
			;
	}
	free(t->sources);
	free(t);
}

static struct source *source_of(struct tokens *t, const struct connection *c)
{
	for (size_t i = 0; i < t->source_count; i++)
		if (strcmp(t->options->config.sections[i].name, c->client) == 0)
			return &t->sources[i];
	return NULL;
}

/* ---- results ---- */

static void fail(struct tokens *t, struct connection *c, int64_t wait_ms, const char *reason)
{
	connection_forget_token(c);
	t->handlers.failed(t->arg, c, wait_ms, reason);
}

static void stop(struct tokens *t, struct connection *c, const char *event, enum reason reason)
{
	connection_forget_token(c);
	t->handlers.signal(t->arg, c, event, reason_code(reason), NULL);
}

static void retry(struct tokens *t, struct connection *c, const char *reason)
{
	c->token.failures++;
	fail(t, c,
		backoff_ms((unsigned)c->token.failures, t->options->salesforce.backoff_base_ms,
			t->options->salesforce.backoff_cap_ms),
		reason);
}

static void become_ready(struct tokens *t, struct connection *c)
{
	c->token.state = TOKEN_READY;
	c->token.failures = 0;
	t->handlers.ready(t->arg, c);
}

static struct step *step_new(struct source *s, struct connection *c)
{
	struct step *step = mem_new(sizeof(*step));

	step->tokens = s->tokens;
	step->source = s;
	step->connection = c;
	list_add_tail(&s->tokens->steps, &step->node);
	return step;
}

static void step_free(struct step *step)
{
	list_remove(&step->node);
	pipes_ask_release(&step->ask);
	arena_release(&step->arena);
	free(step);
}

/* ---- identity ---- */

static struct slice optional(const char *text)
{
	return text ? (struct slice){text, strlen(text)} : (struct slice){NULL, 0};
}

static void judge_identity(struct tokens *t, struct connection *c, const struct userinfo_answer *u)
{
	static const enum reason mismatch[] = {
		[BINDING_OTHER_ORG] = REASON_ORG_MISMATCH,
		[BINDING_OTHER_USER] = REASON_USER_MISMATCH,
		[BINDING_OTHER_ENV] = REASON_ENVIRONMENT_MISMATCH,
	};
	struct binding_host host;
	struct binding_identity seen = {{u->org_id, SF_ID18}, {u->user_id, SF_ID18}, {NULL, 0}};
	const struct binding_identity bound = {
		optional(c->org_id), optional(c->sf_user_id), optional(c->host)};
	enum binding_env wanted =
		strcmp(c->environment, "sandbox") == 0 ? BINDING_SANDBOX : BINDING_PRODUCTION;
	enum binding_verdict verdict;

	binding_read_host(u->instance_url, t->options->salesforce.insecure_hosts, &host);
	if (host.verdict != HOST_OK && host.verdict != HOST_INSECURE_OK)
		return stop(t, c, "binding_failed", REASON_HOST_REFUSED);
	seen.host = optional(host.host);
	if (binding_check_token(optional(c->token.text), seen.org_id) == TOKEN_OTHER_ORG)
		return stop(t, c, "binding_failed", REASON_ORG_MISMATCH);
	verdict = binding_check(&bound, &seen, &host, wanted);
	switch (verdict) {
	case BINDING_OK:
		return become_ready(t, c);
	case BINDING_NEW:
	case BINDING_OTHER_HOST: /* the same org behind a new name: a recorded change */
		c->token.state = TOKEN_BINDING;
		return t->handlers.signal(t->arg, c, "bound", "bound", &seen);
	case BINDING_OTHER_ORG:
	case BINDING_OTHER_USER:
	case BINDING_OTHER_ENV:
		return stop(t, c, "binding_failed", mismatch[verdict]);
	}
}

static void on_userinfo(void *arg, const struct http_answer *a)
{
	struct step *step = arg;
	struct tokens *t = step->tokens;
	struct connection *c = step->connection;
	struct sf_answer raw = {
		.status = a->status, .unsent = a->result == HTTP_UNSENT, .body = a->body};
	struct userinfo_answer u;

	c->token.http = NULL;
	sf_answers_userinfo(&raw, &step->arena, &u);
	if (u.class == SF_CREATED) {
		judge_identity(t, c, &u);
	} else if (u.class == SF_REFRESH) {
		if (tokens_refused(t, c, true))
			retry(t, c, reason_code(REASON_TOKEN_REJECTED));
		else
			stop(t, c, "reauthorization_needed", REASON_TOKEN_REJECTED);
	} else if (u.class == SF_CONFIG) {
		log_error("userinfo refuses our request", F_TEXT("connection", c->text),
			F_INT("status", a->status));
		fail(t, c, CONFIG_WAIT_MS, reason_code(REASON_SALESFORCE_SETUP));
	} else {
		retry(t, c, reason_code(REASON_SALESFORCE_UNAVAILABLE));
	}
	step_free(step);
}

/* The host that may be asked who a token belongs to. */
static const char *login_host(const struct tokens *t, const struct connection *c)
{
	const char *host = t->options->salesforce.login_host;

	if (c->login_host)
		return c->login_host;
	if (strcmp(c->environment, "sandbox") == 0 && strcmp(host, "login.salesforce.com") == 0)
		return "test.salesforce.com";
	return host;
}

static bool login_allowed(const struct tokens *t, const char *host, bool *ret_plain)
{
	struct binding_host h;

	*ret_plain = false;
	if (strcmp(host, "login.salesforce.com") == 0 || strcmp(host, "test.salesforce.com") == 0)
		return true;
	binding_read_host(
		(struct slice){host, strlen(host)}, t->options->salesforce.insecure_hosts, &h);
	*ret_plain = h.verdict == HOST_INSECURE_OK;
	return h.verdict == HOST_OK || h.verdict == HOST_INSECURE_OK;
}

static void ask_identity(struct step *step)
{
	struct tokens *t = step->tokens;
	struct connection *c = step->connection;
	const char *host = login_host(t, c);
	freed_by(buf_release) struct buf url = {0};
	bool plain;

	if (!login_allowed(t, host, &plain)) {
		step_free(step);
		return stop(t, c, "binding_failed", REASON_HOST_REFUSED);
	}
	c->token.state = TOKEN_CHECKING;
	buf_addf(&url, "%s://%s/services/oauth2/userinfo", plain ? "http" : "https", host);
	c->token.http = http_send(t->http, &(struct http_request){
						   .method = "GET",
						   .url = url.data,
						   .plain = plain,
						   .bearer = c->token.text,
						   .max_answer_bytes = USERINFO_ANSWER_MAX,
						   .done = on_userinfo,
						   .arg = step,
					   });
}

/* ---- the source's answer ---- */

/* True when the source vended the token that Salesforce refused. */
static bool is_refused(const struct connection *c, struct slice token)
{
	unsigned char digest[32];

	if (!c->token.has_refused)
		return false;
	secret_sha256(token.data, token.len, digest);
	return secret_equal(digest, c->token.refused, sizeof(digest));
}

static void take_token(struct step *step, const struct pipes_answer *a)
{
	struct tokens *t = step->tokens;
	struct connection *c = step->connection;

	if (is_refused(c, a->token)) {
		int again = c->token.same_again++;

		step_free(step);
		if ((size_t)again < ARRAY_LEN(same_token_waits_ms))
			return fail(t, c, same_token_waits_ms[again],
				reason_code(REASON_VENDED_TOKEN_REJECTED));
		return stop(t, c, "reauthorization_needed", REASON_VENDED_TOKEN_REJECTED);
	}
	c->token.same_again = 0;
	connection_forget_token(c);
	c->token.text = mem_slice_text(a->token);
	c->token.expires_wall_ms = a->expires_wall_ms;
	if (binding_check_token(a->token, optional(c->org_id)) == TOKEN_OTHER_ORG) {
		step_free(step);
		return stop(t, c, "binding_failed", REASON_ORG_MISMATCH);
	}
	ask_identity(step); /* the token names its org at most, never its user or host */
}

static void on_pipes(void *arg, const struct pipes_answer *a)
{
	struct step *step = arg;
	struct tokens *t = step->tokens;
	struct source *s = step->source;
	struct connection *c = step->connection;

	s->asked--;
	c->token.http = NULL;
	switch (a->class) {
	case PIPES_OK:
		take_token(step, a);
		break;
	case PIPES_REAUTH:
		step_free(step);
		stop(t, c, "reauthorization_needed", a->reason);
		break;
	case PIPES_REMOVED:
		step_free(step);
		stop(t, c, "removed_at_source", REASON_REMOVED_AT_SOURCE);
		break;
	case PIPES_CONFIG:
		step_free(step);
		log_error("the token source refuses our request: check client, key and slug",
			F_TEXT("connection", c->text), F_TEXT("client", c->client),
			F_TEXT("reason", reason_code(a->reason)));
		fail(t, c, CONFIG_WAIT_MS, reason_code(a->reason));
		break;
	case PIPES_RETRY:
		step_free(step);
		retry(t, c, reason_code(a->reason));
		break;
	}
	pump(s);
}

/* ---- asking, within the budget ---- */

static void refill(struct source *s)
{
	int64_t now = clock_age_ms();
	double per_ms = (double)s->client->rate_per_minute / 60000;
	double most = per_ms * 1000 * BURST_SECONDS;

	s->budget += (double)(now - s->refilled_ms) * per_ms;
	if (s->budget > most)
		s->budget = most;
	s->refilled_ms = now;
}

static void pump(struct source *s)
{
	refill(s);
	while (s->asked < ASKS_AT_ONCE && s->budget >= 1 && !list_empty(&s->waiting)) {
		struct token *token = list_owner(list_pop(&s->waiting), struct token, node);
		struct connection *c = container_of(token, struct connection, token);

		struct step *step = step_new(s, c);

		s->asked++;
		s->budget -= 1;
		token->state = TOKEN_ASKED;
		token->http = pipes_ask(
			s->tokens->http, s->client, c, s->plain, &step->ask, on_pipes, step);
	}
	if (!list_empty(&s->waiting) && s->asked < ASKS_AT_ONCE && !loop_timer_running(&s->timer))
		loop_timer_set(&s->timer, 10);
}

bool tokens_get(struct tokens *t, struct connection *c)
{
	struct source *s;

	if (c->token.state == TOKEN_READY) {
		if (!c->token.expires_wall_ms ||
			c->token.expires_wall_ms > clock_wall_ms() + EXPIRY_MARGIN_MS)
			return true;
		connection_forget_token(c);
	}
	if (c->token.state != TOKEN_NONE || !c->loaded)
		return false;
	s = source_of(t, c);
	if (!s || strcmp(s->client->kind, "pipes") != 0 || strcmp(c->token_source, "pipes") != 0) {
		log_error("no client is configured for the integration: add its [client] section",
			F_TEXT("connection", c->text), F_TEXT("client", c->client));
		c->token.state = TOKEN_WAITING; /* not asked twice from inside failed() */
		fail(t, c, CONFIG_WAIT_MS, reason_code(REASON_PREFLIGHT_FAILED));
		return false;
	}
	c->token.state = TOKEN_WAITING;
	list_add_tail(&s->waiting, &c->token.node);
	pump(s);
	return false;
}

bool tokens_refused(struct tokens *t, struct connection *c, bool dead)
{
	(void)t;
	if (dead && c->token.text) {
		secret_sha256(c->token.text, strlen(c->token.text), c->token.refused);
		c->token.has_refused = true;
	}
	connection_forget_token(c);
	if (++c->token.refusals < 2)
		return true;
	c->token.refusals = 0;
	return false;
}

void tokens_worked(struct connection *c)
{
	c->token.refusals = 0;
	c->token.has_refused = false;
}

void tokens_reloaded(struct tokens *t, struct connection *c)
{
	if (!c->writes) {
		if (c->token.state == TOKEN_READY || c->token.state == TOKEN_BINDING)
			connection_forget_token(c);
		c->token.refusals = 0;
		c->token.has_refused = false;
		c->token.same_again = 0;
		return;
	}
	if (c->token.state != TOKEN_BINDING)
		return;
	if (connection_usable(c))
		become_ready(t, c);
	else
		retry(t, c, reason_code(REASON_PREFLIGHT_FAILED));
}
