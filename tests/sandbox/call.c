#include "call.h"

#include <ctype.h>
#include <strings.h>

struct call *call_new(void)
{
	return must(calloc(1, sizeof(struct call)));
}

static void clear_headers(struct call *call)
{
	for (size_t i = 0; i < call->n_headers; i++) {
		free(call->headers[i].name);
		free(call->headers[i].value);
	}
	call->n_headers = 0;
}

void call_free(struct call *call)
{
	if (!call)
		return;
	free(call->method);
	free(call->target);
	free(call->host);
	free(call->authorization);
	free(call->content_type);
	buf_release(&call->body);
	free(call->path);
	free(call->query);
	for (size_t i = 0; i < call->n_segments; i++)
		free(call->segments[i]);
	json_decref(call->json);
	json_decref(call->records);
	verdict_release(&call->verdict);
	buf_release(&call->answer);
	clear_headers(call);
	free(call);
}

void call_answer(struct call *call, int status, const char *content_type)
{
	buf_clear(&call->answer);
	clear_headers(call);
	call->status = status;
	if (content_type)
		call_header(call, "Content-Type", content_type);
}

void call_header(struct call *call, const char *name, const char *value)
{
	for (size_t i = 0; i < call->n_headers; i++) {
		if (strcasecmp(call->headers[i].name, name) != 0)
			continue;
		free(call->headers[i].value);
		call->headers[i].value = must(strdup(value));
		return;
	}
	if (call->n_headers < MAX_HEADERS)
		call->headers[call->n_headers++] =
			(struct header){must(strdup(name)), must(strdup(value))};
}

void call_answer_json(struct call *call, int status, json_t *json)
{
	call_answer(call, status, "application/json;charset=UTF-8");
	buf_add_json(&call->answer, must(json));
	json_decref(json);
}

bool call_path_is(const struct call *call, size_t at, const char *const *names)
{
	size_t i = 0;

	for (; names[i]; i++)
		if (at + i >= call->n_segments || strcmp(call->segments[at + i], names[i]) != 0)
			return false;
	return at + i == call->n_segments;
}

static int hex_value(char c)
{
	if (!isxdigit((unsigned char)c))
		return -1;
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Percent-decodes; NULL when it is no text.  @plus: + is a blank, as in forms. */
static char *decoded(const char *text, size_t len, bool plus)
{
	freed_by(charp_free) char *out = must(malloc(len + 1));
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
			int low = i + 2 < len ? hex_value(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return NULL;
			c = (char)(high * 16 + low);
			i += 2;
		} else if (plus && c == '+') {
			c = ' ';
		}
		if (!c)
			return NULL;
		out[n++] = c;
	}
	out[n] = '\0';
	return steal(&out);
}

char *form_value(const char *form, const char *name)
{
	size_t name_len = strlen(name);

	while (form && *form) {
		size_t len = strcspn(form, "&");

		if (len > name_len && form[name_len] == '=' && !strncmp(form, name, name_len))
			return decoded(form + name_len + 1, len - name_len - 1, true);
		form += len + (form[len] == '&');
	}
	return NULL;
}

const char *call_bearer(const struct call *call)
{
	const char *text = call->authorization;

	if (!text || strncasecmp(text, "Bearer ", 7) != 0)
		return NULL;
	text += 7;
	return *text ? text : NULL;
}

static void split_path(struct call *call)
{
	const char *at = call->path;

	while (*at == '/') {
		size_t len = strcspn(++at, "/");
		char *segment;

		if (!at[len] && !len)
			return;
		segment = call->n_segments < MAX_SEGMENTS ? decoded(at, len, false) : NULL;
		if (!segment) {
			while (call->n_segments)
				free(call->segments[--call->n_segments]);
			return;
		}
		call->segments[call->n_segments++] = segment;
		at += len;
	}
}

static enum service service_of(const struct call *call)
{
	const char *first = call->n_segments > 0 ? call->segments[0] : "";
	const char *second = call->n_segments > 1 ? call->segments[1] : "";
	const char *third = call->n_segments > 2 ? call->segments[2] : "";

	if (strcmp(first, "data-integrations") == 0 || strcmp(first, "user_management") == 0)
		return SERVICE_PIPES;
	if (strcmp(first, "id") == 0)
		return SERVICE_USERINFO;
	if (strcmp(first, "services") != 0)
		return SERVICE_NONE;
	if (strcmp(second, "data") == 0)
		return SERVICE_SALESFORCE;
	if (strcmp(second, "oauth2") != 0)
		return SERVICE_NONE;
	return strcmp(third, "userinfo") == 0 ? SERVICE_USERINFO : SERVICE_TOKEN;
}

static void take_apart(struct call *call)
{
	const char *question = strchr(call->target, '?');
	size_t len = question ? (size_t)(question - call->target) : strlen(call->target);

	call->path = must(strndup(call->target, len));
	call->query = must(strdup(question ? question + 1 : ""));
	split_path(call);
	call->service = service_of(call);
	if (call->service == SERVICE_TOKEN)
		return; /* a form */
	if (call->body.len_bytes)
		call->json = json_loadb(
			call->body.data, call->body.len_bytes, JSON_DECODE_ANY, &call->json_error);
	if (call->service == SERVICE_SALESFORCE)
		salesforce_prepare(call);
}

void call_facts(const struct call *call, struct call_facts *ret)
{
	*ret = (struct call_facts){
		.service = call->service,
		.org_id = call->org ? call->org->id : NULL,
		.user_id = call->user ? call->user->user_id : NULL,
		.host = call->host,
		.method = call->method,
		.path = call->path,
		.records = call->records,
	};
	if (call->service == SERVICE_SALESFORCE && call->n_segments == 7) {
		ret->external_field = call->segments[5];
		ret->external_id = call->segments[6];
	}
}

static void identify(struct world *world, struct call *call)
{
	call->org = NULL;
	call->user = NULL;
	call->token_is_good = false;
	call->grant = NULL;
	switch (call->service) {
	case SERVICE_SALESFORCE:
	case SERVICE_USERINFO:
		salesforce_identify(world, call);
		return;
	case SERVICE_PIPES:
		pipes_identify(world, call);
		return;
	case SERVICE_TOKEN:
		oauth_identify(world, call);
		return;
	case SERVICE_NONE:
		return;
	}
	abort();
}

static void serve(struct world *world, struct call *call)
{
	switch (call->service) {
	case SERVICE_SALESFORCE:
		salesforce_serve(world, call);
		return;
	case SERVICE_USERINFO:
		userinfo_serve(world, call);
		return;
	case SERVICE_PIPES:
		pipes_serve(world, call);
		return;
	case SERVICE_TOKEN:
		oauth_serve(world, call);
		return;
	case SERVICE_NONE:
		call_answer(call, 404, "text/html;charset=UTF-8");
		buf_adds(&call->answer, "<html><body>URL No Longer Exists</body></html>\n");
		return;
	}
	abort();
}

/* The planned answer: a text is sent as it is (HTML, mostly), all else as JSON. */
static void inject(struct call *call)
{
	const struct verdict *verdict = &call->verdict;
	json_t *headers = verdict->headers;

	call_answer(call, verdict->status,
		json_is_string(verdict->body) ? "text/html;charset=UTF-8"
					      : "application/json;charset=UTF-8");
	if (json_is_string(verdict->body))
		buf_adds(&call->answer, json_string_value(verdict->body));
	else if (verdict->body)
		buf_add_json(&call->answer, verdict->body);
	for (void *it = json_object_iter(headers); it; it = json_object_iter_next(headers, it)) {
		const char *value = json_string_value(json_object_iter_value(it));

		if (value)
			call_header(call, json_object_iter_key(it), value);
	}
}

static void finish(struct world *world, struct call *call)
{
	const struct verdict *verdict = &call->verdict;

	if (call->holds_grant && call->grant)
		call->grant->busy = false;
	if (verdict->cut != CUT_BEFORE && (!verdict->status || verdict->apply))
		serve(world, call);
	if (verdict->status && verdict->cut != CUT_BEFORE)
		inject(call);
	call->cut = verdict->cut != CUT_NOT;
	if (call->service == SERVICE_NONE)
		return;
	if (call->cut)
		journal_answer(&world->journal, call->number,
			verdict->cut == CUT_AFTER ? STATUS_CUT_AFTER : STATUS_CUT_BEFORE);
	else
		journal_answer(&world->journal, call->number, call->status);
	journal_flush(&world->journal);
}

static void enter(struct world *world, struct call *call)
{
	struct call_facts facts;
	struct call_line line = {
		.method = call->method,
		.path = call->target,
		.org = call->org,
		.user_id = call->user ? call->user->user_id : NULL,
		.at_ms = now_ms(),
		.service = call->service,
		.records = call->records ? (int)json_array_size(call->records) : -1,
	};

	call_facts(call, &facts);
	rules_judge(&world->rules, &facts, &call->verdict);
	call->number = journal_call(&world->journal, &line);
	if (call->org)
		call->org->calls++;
}

static bool refused_by_size(struct call *call)
{
	if (strlen(call->target) > 16384)
		call_answer(call, 414, "text/html;charset=UTF-8");
	else if (call->head_bytes > 16384)
		call_answer(call, 431, "text/html;charset=UTF-8");
	else if (call->too_large)
		call_answer(call, 413, "text/html;charset=UTF-8");
	else
		return false;
	return true;
}

enum call_progress call_begin(struct world *world, struct call *call)
{
	enum call_progress progress = CALL_ANSWERED;

	if (refused_by_size(call))
		return CALL_ANSWERED;
	take_apart(call);
	if (!call->tls && call->n_segments && strcmp(call->segments[0], "control") == 0) {
		control_serve(world, call);
		return CALL_ANSWERED;
	}
	world_lock(world);
	call->generation = world->generation;
	identify(world, call);
	if (call->service != SERVICE_NONE)
		enter(world, call);
	call->busy_refused = call->grant && call->grant->busy;
	if (call->verdict.delay_ms > 0 && !call->busy_refused) {
		progress = CALL_WAITS;
		call->holds_grant = call->grant != NULL;
		if (call->grant)
			call->grant->busy = true;
	} else {
		finish(world, call);
	}
	world_unlock(world);
	return progress;
}

/* A token is checked on arrival: a slow call is applied although its token died meanwhile. */
void call_finish(struct world *world, struct call *call)
{
	world_lock(world);
	if (call->generation != world->generation) {
		call->holds_grant = false;
		call->number = 0;
		verdict_release(&call->verdict);
		identify(world, call);
	}
	finish(world, call);
	world_unlock(world);
}
