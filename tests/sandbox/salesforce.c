/*
 * tests/sandbox/salesforce.c - the REST data API: who may call, which resource.
 */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "call.h"
#include "fields.h"
#include "leads.h"

#define OLDEST_VERSION 31 /* older ones are retired: 410 */
#define NEWEST_VERSION 67

static const char json_media_type[] = "application/json;charset=UTF-8";

void salesforce_error(
	struct call *call, int status, const char *code, const char *message, const char *field)
{
	call_answer(call, status, json_media_type);
	buf_adds(&call->answer, "[{\"message\":");
	buf_add_json_string(&call->answer, message);
	buf_addf(&call->answer, ",\"errorCode\":\"%s\"", code);
	if (field) {
		buf_adds(&call->answer, ",\"fields\":[");
		buf_add_json_string(&call->answer, field);
		buf_adds(&call->answer, "]");
	}
	buf_adds(&call->answer, "}]");
}

static void not_found(struct call *call)
{
	salesforce_error(call, 404, "NOT_FOUND", "The requested resource does not exist", NULL);
}

static bool is_write(const struct call *call)
{
	return strcmp(call->method, "POST") == 0 || strcmp(call->method, "PATCH") == 0;
}

/* The records of a write, whatever its form, for the rules and the list of calls. */
void salesforce_prepare(struct call *call)
{
	json_t *records = json_object_get(call->json, "records");

	if (!is_write(call) || !json_is_object(call->json) || call->n_segments < 5)
		return;
	if (strcmp(call->segments[3], "composite") == 0)
		call->records = json_is_array(records) ? json_incref(records) : NULL;
	else
		call->records = json_pack("[O]", call->json);
}

void salesforce_identify(struct world *world, struct call *call)
{
	const char *bearer = call_bearer(call);
	struct token *token = bearer ? token_find(world, bearer) : NULL;

	if (!token)
		return;
	call->token_is_good = true;
	call->org = token->org;
	call->user = token->user;
	memcpy(call->sf_user_id, token->sf_user_id, ID_SIZE);
}

static bool is_login_host(const char *host)
{
	return strcmp(host, "login.salesforce.com") == 0 ||
	       strcmp(host, "test.salesforce.com") == 0;
}

static bool is_pipes_host(const char *host)
{
	return strcmp(host, "api.workos.com") == 0 || strcmp(host, "api.workos-test.com") == 0;
}

/* True when the front door refuses: no org has this host, or it is no data host. */
static bool refused_by_host(const struct world *world, struct call *call)
{
	static const char *const families[] = {
		".salesforce.com", ".salesforce.mil", ".sfcrmproducts.cn", ".my-salesforce.com"};
	size_t len = strlen(call->host);

	if (is_login_host(call->host)) {
		salesforce_error(call, 404, "URL_NOT_RESET", "Destination URL not reset", NULL);
		return true;
	}
	if (is_pipes_host(call->host)) {
		call_answer_json(call, 404, json_pack("{s:s}", "message", "Not Found"));
		return true;
	}
	for (size_t i = 0; i < LENGTH_OF(families) && !world_knows_host(world, call->host); i++) {
		size_t tail = strlen(families[i]);

		if (!call->tls || len < tail || strcmp(call->host + len - tail, families[i]) != 0)
			continue;
		call_answer(call, 420, "text/html;charset=UTF-8");
		buf_adds(&call->answer, "<html><body>No routing for this host</body></html>\n");
		return true;
	}
	return false;
}

static bool refused_by_token(const struct world *world, struct call *call)
{
	const char *bearer = call_bearer(call);
	bool elsewhere = call->token_is_good && world_knows_host(world, call->host) &&
	                 strcmp(call->org->host, call->host) != 0;

	if (call->token_is_good && !elsewhere)
		return false;
	if (!bearer)
		salesforce_error(call, 401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE", NULL);
	else if (!elsewhere && strncmp(bearer, "eyJ", 3) == 0)
		salesforce_error(call, 401, "INVALID_AUTH_HEADER", "INVALID_JWT_FORMAT", NULL);
	else
		salesforce_error(
			call, 401, "INVALID_SESSION_ID", "Session expired or invalid", NULL);
	call_header(call, "WWW-Authenticate", "Token");
	return true;
}

/* "v66.0" as 66; 0 when it is no version. */
static int version_of(const char *text)
{
	int version = 0;
	int used = 0;

	if (sscanf(text, "v%3d.0%n", &version, &used) != 1 || text[used] ||
		!isdigit((unsigned char)text[1]))
		return 0;
	return version;
}

static bool refused_by_version(struct call *call, int version)
{
	if (version >= OLDEST_VERSION && version <= NEWEST_VERSION)
		return false;
	if (version >= 7 && version < OLDEST_VERSION)
		salesforce_error(
			call, 410, "GONE", "The requested resource no longer exists", NULL);
	else
		not_found(call);
	return true;
}

static bool refused_by_limit(struct call *call)
{
	if (call->org->api_used < call->org->api_limit) {
		call->org->api_used++;
		return false;
	}
	salesforce_error(
		call, 403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", NULL);
	return true;
}

static bool refused_by_method(struct call *call, const char *allowed)
{
	freed_by(buf_release) struct buf message = {0};

	for (const char *at = allowed; *at; at += strspn(at, ",")) {
		size_t len = strcspn(at, ",");

		if (strlen(call->method) == len && strncmp(call->method, at, len) == 0)
			return false;
		at += len;
	}
	buf_addf(&message, "HTTP Method '%s' not allowed. Allowed are %s", call->method, allowed);
	salesforce_error(call, 405, "METHOD_NOT_ALLOWED", buf_text(&message), NULL);
	call_header(call, "Allow", allowed);
	return true;
}

static bool refused_by_media_type(struct call *call)
{
	const char *type = call->content_type ? call->content_type : "";
	freed_by(buf_release) struct buf message = {0};

	if (strncasecmp(type, "application/json", 16) == 0 && (!type[16] || strchr("; ", type[16])))
		return false;
	buf_addf(&message, "Content-Type header specified in HTTP request is not supported: %s",
		type);
	salesforce_error(call, 415, "UNSUPPORTED_MEDIA_TYPE", buf_text(&message), NULL);
	return true;
}

static bool refused_by_body(struct call *call)
{
	freed_by(buf_release) struct buf message = {0};

	if (json_is_object(call->json))
		return false;
	if (!call->body.len_bytes)
		buf_adds(&message, "The HTTP entity body is required, but this request has no "
				   "entity body.");
	else if (call->json)
		buf_adds(&message, "Cannot deserialize: an object is expected");
	else
		buf_addf(&message, "%s at [line:%d, column:%d]", call->json_error.text,
			call->json_error.line, call->json_error.column);
	salesforce_error(call, 400, "JSON_PARSER_ERROR", buf_text(&message), NULL);
	return true;
}

static bool refused_by_write(struct call *call)
{
	return refused_by_media_type(call) || refused_by_body(call);
}

static void versions_serve(struct call *call)
{
	static const char *const seasons[] = {"Winter", "Spring", "Summer"};

	if (refused_by_method(call, "HEAD,GET"))
		return;
	call_answer(call, 200, json_media_type);
	for (int v = OLDEST_VERSION; v <= NEWEST_VERSION; v++)
		buf_addf(&call->answer,
			"%s{\"label\":\"%s '%d\",\"url\":\"/services/data/v%d.0\","
			"\"version\":\"%d.0\"}",
			v == OLDEST_VERSION ? "[" : ",", seasons[(v + 13) % 3], (v + 13) / 3, v, v);
	buf_adds(&call->answer, "]");
}

/* @record, or only the members asked for with ?fields=; takes it. */
static json_t *only_fields(const struct call *call, json_t *record)
{
	freed_by(charp_free) char *names = form_value(call->query, "fields");
	json_t *few;

	if (!names)
		return record;
	few = json_pack("{s:O}", "Id", json_object_get(record, "Id"));
	for (char *at = names, *name; (name = strsep(&at, ","));)
		(void)json_object_set(few, name,
			json_object_get(record, name) ? json_object_get(record, name)
						      : json_null());
	json_decref(record);
	return few;
}

static void record_serve(struct call *call, const struct lead *lead)
{
	freed_by(buf_release) struct buf url = {0};
	json_t *record;

	if (!lead) {
		not_found(call);
		return;
	}
	buf_addf(&url, "/services/data/%s/sobjects/Lead/%s", call->segments[2], lead->id);
	record = only_fields(call, lead_record(call->org, lead));
	(void)json_object_set_new(record, "attributes",
		json_pack("{s:s,s:s}", "type", "Lead", "url", buf_text(&url)));
	call_answer_json(call, 200, record);
}

/* True when @name is the External ID field; else the answer says it is not. */
static bool right_key_field(struct call *call, const char *name)
{
	freed_by(buf_release) struct buf message = {0};

	if (strcasecmp(name, call->org->external_id_field) == 0)
		return true;
	buf_addf(&message, "Provided external ID field does not exist or is not accessible: %s",
		name);
	salesforce_error(call, 404, "NOT_FOUND", buf_text(&message), NULL);
	return false;
}

/* A value that ends like a file's name is not found, whatever is stored under it. */
static bool looks_like_a_file(const char *value)
{
	static const char *const tails[] = {".inc", ".htm", ".html", ".js", ".css", ".jsp", ".gif",
		".png", ".jpg", ".xml", ".json", ".txt", ".ico", ".php"};
	const char *dot = strrchr(value, '.');

	for (size_t i = 0; dot && i < LENGTH_OF(tails); i++)
		if (strcasecmp(dot, tails[i]) == 0)
			return true;
	return false;
}

static void by_key_serve(struct world *world, struct call *call, int version)
{
	const char *value = call->segments[6];

	if (refused_by_method(call, "HEAD,GET,PATCH") || !right_key_field(call, call->segments[5]))
		return;
	if (looks_like_a_file(value))
		not_found(call);
	else if (strcmp(call->method, "PATCH") != 0)
		record_serve(call, lead_find(call->org, value));
	else if (!refused_by_write(call))
		writes_single(world, call, version);
}

static void describe_serve(struct call *call)
{
	const struct record_rules rules = {
		call->org->external_id_field, call->org->required, call->org->n_required};

	if (refused_by_method(call, "HEAD,GET"))
		return;
	call_answer_json(call, 200,
		json_pack("{s:s,s:b,s:b,s:b,s:o}", "name", "Lead", "createable", true, "updateable",
			true, "queryable", true, "fields", fields_describe(&rules)));
}

static void lead_serve(struct world *world, struct call *call, int version)
{
	if (call->n_segments == 5) {
		if (!refused_by_method(call, "POST") && !refused_by_write(call))
			writes_single(world, call, version);
	} else if (call->n_segments == 7) {
		by_key_serve(world, call, version);
	} else if (call->n_segments == 6 && strcmp(call->segments[5], "describe") == 0) {
		describe_serve(call);
	} else if (call->n_segments == 6) {
		if (!refused_by_method(call, "HEAD,GET"))
			record_serve(call, lead_find_id(call->org, call->segments[5]));
	} else {
		not_found(call);
	}
}

static void collections_serve(struct world *world, struct call *call, int version)
{
	bool upsert = call->n_segments == 7;

	if (version < (upsert ? 46 : 42) || (!upsert && call->n_segments != 5) ||
		(upsert && strcasecmp(call->segments[5], "Lead") != 0)) {
		not_found(call);
		return;
	}
	if (refused_by_method(call, upsert ? "PATCH" : "POST") || refused_by_write(call))
		return;
	if (!upsert || right_key_field(call, call->segments[6]))
		writes_collection(world, call, upsert);
}

static void limits_serve(struct call *call)
{
	const struct org *org = call->org;

	if (!refused_by_method(call, "HEAD,GET"))
		call_answer_json(call, 200,
			json_pack("{s:{s:I,s:I}}", "DailyApiRequests", "Max",
				(json_int_t)org->api_limit, "Remaining",
				(json_int_t)(org->api_limit - org->api_used)));
}

static void resource_serve(struct world *world, struct call *call, int version)
{
	static const char *const limits[] = {"limits", NULL};
	const char *room = call->n_segments > 3 ? call->segments[3] : "";
	const char *what = call->n_segments > 4 ? call->segments[4] : "";

	if (strcmp(room, "sobjects") == 0 && strcasecmp(what, "Lead") == 0)
		lead_serve(world, call, version);
	else if (strcmp(room, "composite") == 0 && strcmp(what, "sobjects") == 0)
		collections_serve(world, call, version);
	else if (call_path_is(call, 3, limits))
		limits_serve(call);
	else
		not_found(call);
}

static void add_limit_info(struct call *call)
{
	freed_by(buf_release) struct buf usage = {0};

	buf_addf(&usage, "api-usage=%lld/%lld", (long long)call->org->api_used,
		(long long)call->org->api_limit);
	call_header(call, "Sforce-Limit-Info", buf_text(&usage));
}

void salesforce_serve(struct world *world, struct call *call)
{
	int version;

	if (refused_by_host(world, call))
		return;
	if (call->n_segments == 2) {
		versions_serve(call);
		return;
	}
	if (refused_by_token(world, call))
		return;
	version = version_of(call->segments[2]);
	if (refused_by_version(call, version))
		return;
	if (!refused_by_limit(call))
		resource_serve(world, call, version);
	add_limit_info(call);
	call_header(call, "Cache-Control", "no-cache,must-revalidate,max-age=0,no-store,private");
}
