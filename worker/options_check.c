#include "worker/options_check.h"

#include <string.h>
#include <strings.h>

#include "common/mem.h"
#include "worker/binding.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define NAME_BYTES LOWER UPPER DIGITS "._-"
#define GROUP_MAX 200
#define TOPIC_MAX 249 /* https://kafka.apache.org/documentation/#basic_ops_add_topic */
#define PARTS 4       /* of an entry of connect_to */

/* ---- words ---- */

/* The next word at *@at, which moves behind it; false at the end. */
static bool next_word(const char **at, struct slice *ret)
{
	const char *start = *at + strspn(*at, " \t");
	size_t len = strcspn(start, " \t");

	*at = start + len;
	*ret = (struct slice){start, len};
	return len > 0;
}

static bool has_word(const char *words, struct slice wanted)
{
	struct slice word;

	while (next_word(&words, &word))
		if (word.len == wanted.len && strncasecmp(word.data, wanted.data, word.len) == 0)
			return true;
	return false;
}

static bool is_development(const struct options *o)
{
	return strcmp(o->mode, "development") == 0;
}

/* ---- Kafka ---- */

static bool is_name(const char *name, size_t max)
{
	size_t len = strspn(name, NAME_BYTES);

	return len > 0 && len <= max && !name[len];
}

static void check_group(struct options *o)
{
	if (!is_name(o->group, GROUP_MAX))
		config_fault(&o->config, "group", "is not 1 to %d of A-Z a-z 0-9 . _ -", GROUP_MAX);
}

static void check_bootstrap(struct options *o)
{
	for (size_t i = 0; i < o->config.pair_count; i++)
		if (strcmp(o->config.pairs[i].name, "bootstrap.servers") == 0 &&
			*o->config.pairs[i].value)
			return;
	config_fault(&o->config, "kafka.bootstrap.servers",
		"is required: where Kafka is, as in 127.0.0.1:9092");
}

struct topic_key {
	const char *key, *topic;
};

/* Two keys with one topic: leads would be read as outcomes, or outcomes be counted twice. */
static void check_topics_differ(struct options *o, const struct topic_key *keys, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(keys[i].topic, keys[j].topic) == 0)
				config_fault(&o->config, keys[i].key, "%s is the topic of %s, too",
					keys[i].topic, keys[j].key);
}

static void check_topics(struct options *o)
{
	const struct topic_key keys[] = {
		{"topics.lead_create", o->topics.lead_create},
		{"topics.lead_result", o->topics.lead_result},
		{"topics.lead_reauth_required", o->topics.lead_reauth_required},
		{"topics.lead_revoked", o->topics.lead_revoked},
		{"topics.lead_invalid", o->topics.lead_invalid},
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (!is_name(keys[i].topic, TOPIC_MAX) || strcmp(keys[i].topic, ".") == 0 ||
			strcmp(keys[i].topic, "..") == 0)
			config_fault(&o->config, keys[i].key, "is not 1 to %d of A-Z a-z 0-9 . _ -",
				TOPIC_MAX);
	check_topics_differ(o, keys, ARRAY_LEN(keys));
}

/* ---- hosts ---- */

/* Bytes of the host at @text, "[::1]" with its brackets. */
static size_t host_len(const char *text, size_t len)
{
	const char *end = memchr(text, *text == '[' ? ']' : ':', len);

	if (!end)
		return len;
	return (size_t)(end - text) + (*text == '[');
}

static bool is_port(const char *text, size_t len)
{
	size_t digits = strspn(text, DIGITS);

	return digits >= len && len > 0 && len <= 5;
}

/* The parts may be empty, but there are four.  https://curl.se/libcurl/c/CURLOPT_CONNECT_TO.html */
static bool is_connect_to(struct slice entry)
{
	const char *at = entry.data, *end = entry.data + entry.len;

	for (unsigned part = 0; part < PARTS; part++) {
		size_t len = host_len(at, (size_t)(end - at));

		if (part % 2 && len && !is_port(at, len)) /* host, port, host, port */
			return false;
		at += len;
		if (part == PARTS - 1)
			return at == end;
		if (at == end || *at != ':')
			return false;
		at++;
	}
	return false;
}

static void check_connect_to(struct options *o)
{
	const char *at = o->http.connect_to;
	struct slice word;

	while (next_word(&at, &word))
		if (!is_connect_to(word))
			config_fault(&o->config, "http.connect_to",
				"%.*s is not host:port:connect-host:connect-port", (int)word.len,
				word.data);
}

static void check_insecure_hosts(struct options *o)
{
	const char *at = o->salesforce.insecure_hosts;
	struct slice word;

	if (!is_development(o) && *at) {
		config_fault(&o->config, "salesforce.insecure_hosts",
			"is refused with mode = production: no token travels unencrypted");
		return;
	}
	while (next_word(&at, &word)) {
		size_t len = host_len(word.data, word.len);

		if (!len || len == word.len || word.data[len] != ':' ||
			!is_port(word.data + len + 1, word.len - len - 1))
			config_fault(&o->config, "salesforce.insecure_hosts",
				"%.*s is not host:port", (int)word.len, word.data);
	}
}

/* Where users log in: the access token itself is sent there. */
static void check_login_host(struct options *o)
{
	static const char *const known[] = {"login.salesforce.com", "test.salesforce.com"};
	const char *host = o->salesforce.login_host;
	struct binding_host read;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strcasecmp(known[i], host) == 0)
			return;
	binding_read_host((struct slice){host, strlen(host)},
		is_development(o) ? o->salesforce.insecure_hosts : NULL, &read);
	if (strchr(host, '/') || (read.verdict != HOST_OK && read.verdict != HOST_INSECURE_OK))
		config_fault(&o->config, "salesforce.login_host",
			"%s is neither login.salesforce.com, test.salesforce.com, a My Domain host "
			"nor listed in salesforce.insecure_hosts",
			host);
}

/* ---- Salesforce ---- */

static void check_api_version(struct options *o)
{
	const char *version = o->salesforce.api_version;
	size_t digits = *version == 'v' ? strspn(version + 1, DIGITS) : 0;

	if (digits < 2 || digits > 3 || strcmp(version + 1 + digits, ".0") != 0)
		config_fault(&o->config, "salesforce.api_version", "%s is no version such as v66.0",
			version);
}

static void check_times(struct options *o)
{
	if (o->http.connect_timeout_ms > o->http.timeout_ms)
		config_fault(&o->config, "http.connect_timeout", "is longer than http.timeout");
	if (o->salesforce.backoff_base_ms > o->salesforce.backoff_cap_ms)
		config_fault(&o->config, "salesforce.backoff_base",
			"is longer than salesforce.backoff_cap");
}

/* ---- clients ---- */

/* "client.main.slug"; the caller owns it. */
static char *client_key(const struct config_section *section, const char *key)
{
	return mem_textf("client.%s.%s", section->name, key);
}

static bool is_url(const char *url, size_t scheme_len)
{
	size_t len = strlen(url);

	return len > scheme_len && !strchr("/:", url[scheme_len]) && url[len - 1] != '/' &&
	       !url[strcspn(url, "?#@ \t\"\\")];
}

/* What is wrong with it; NULL: nothing.  The value is not repeated: it may hold a password. */
static const char *url_fault(const struct options *o, const char *url)
{
	bool https = strncasecmp(url, "https://", strlen("https://")) == 0;
	bool http = strncasecmp(url, "http://", strlen("http://")) == 0;
	const char *host = url + (https ? strlen("https://") : http ? strlen("http://") : 0);
	struct slice authority = {host, strcspn(host, "/")};

	if ((!https && !http) || !is_url(url, (size_t)(host - url)))
		return "is no URL such as https://api.workos.com";
	if (http && (!is_development(o) || !has_word(o->salesforce.insecure_hosts, authority)))
		return "is not https, which only mode = development allows, to what "
		       "salesforce.insecure_hosts lists";
	return NULL;
}

static void check_base_url(struct options *o, const struct config_section *section)
{
	const struct client *client = section->values;
	freed_by(mem_freep) char *key = client_key(section, "base_url");
	const char *fault = url_fault(o, client->base_url);

	if (fault)
		config_fault(&o->config, key, "%s", fault);
}

static void check_slug(struct options *o, const struct config_section *section)
{
	const struct client *client = section->values;
	freed_by(mem_freep) char *key = client_key(section, "slug");

	if (client->slug[strspn(client->slug, LOWER UPPER DIGITS "_-")])
		config_fault(&o->config, key, "%s is not of a-z A-Z 0-9 _ -", client->slug);
}

/* What each kind needs. */
static const struct client_need {
	const char *kind, *key;
	size_t offset;
} needs[] = {
	{"pipes", "slug", offsetof(struct client, slug)},
	{"pipes", "key_file", offsetof(struct client, key_file)},
	{"salesforce", "id", offsetof(struct client, id)},
	{"salesforce", "secret_file", offsetof(struct client, secret_file)},
};

static void check_needs(struct options *o, const struct config_section *section)
{
	const struct client *client = section->values;

	for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
		freed_by(mem_freep) char *key = client_key(section, needs[i].key);

		if (strcmp(needs[i].kind, client->kind) == 0 &&
			!**(char *const *)((const char *)client + needs[i].offset))
			config_fault(&o->config, key, "is required for kind = %s", client->kind);
	}
}

void options_check(struct options *o)
{
	check_group(o);
	check_bootstrap(o);
	check_topics(o);
	check_connect_to(o);
	check_insecure_hosts(o);
	check_login_host(o);
	check_api_version(o);
	check_times(o);
	for (size_t i = 0; i < o->config.section_count; i++) {
		check_needs(o, &o->config.sections[i]);
		check_base_url(o, &o->config.sections[i]);
		check_slug(o, &o->config.sections[i]);
	}
}
