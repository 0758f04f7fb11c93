/*
 * Hosts, ids and tokens, a line each: an instance URL, the insecure hosts, a token, an org's id, a
 * user's id.
 */
#include "tests/fuzz/fuzz.h"

#include <curl/curl.h>
#include <strings.h>

#include "worker/binding.h"

#define ID_BYTES FUZZ_UPPER FUZZ_LOWER FUZZ_DIGITS

static bool ends(const char *text, const char *tail)
{
	size_t len = strlen(text), tail_len = strlen(tail);

	return len > tail_len && !strcmp(text + len - tail_len, tail);
}

/* <name>.my… or <name>.<partition>.my… */
static void check_labels(const char *host)
{
	static const char *const partitions[] = {".sandbox.my.", ".develop.my.", ".scratch.my.",
		".demo.my.", ".patch.my.", ".trailblaze.my.", ".free.my.", ".bt.my."};
	const char *my = strstr(host, ".my."), *dot = strchr(host, '.');

	if (!my || dot == my)
		return;
	assert(memchr(dot + 1, '.', (size_t)(my - dot - 1)) == NULL);
	for (size_t i = 0; i < ARRAY_LEN(partitions); i++)
		if (!strncmp(dot, partitions[i], strlen(partitions[i])))
			return;
	assert(!strncmp(dot, ".cs", 3) && strspn(dot + 3, FUZZ_DIGITS) == (size_t)(my - dot - 3));
}

/* A host that may receive a token, said in another way: the names that only Salesforce gives. */
static void check_allowed(const struct binding_host *h)
{
	const char *instance = strstr(h->host, ".salesforce.com");
	bool legacy = instance && !strchr(h->host, '-') && instance == strchr(h->host, '.');

	assert(fuzz_is_of((struct slice){h->host, strlen(h->host)}, FUZZ_LOWER FUZZ_DIGITS ".-"));
	assert(ends(h->host, ".my.salesforce.com") || ends(h->host, ".my.salesforce.mil") ||
		ends(h->host, ".my.sfcrmproducts.cn") ||
		(legacy && ends(h->host, ".salesforce.com") && strpbrk(h->host, FUZZ_DIGITS)));
	check_labels(h->host);
	if (h->env == BINDING_PRODUCTION)
		assert(!strstr(h->host, "--") && !(legacy && !strncmp(h->host, "cs", 2)));
	else
		assert(strstr(h->host, "--") || strstr(h->host, ".scratch.my.") ||
			(legacy && !strncmp(h->host, "cs", 2)));
}

/* What libcurl would speak to is what was judged. */
static void check_with_curl(const char *url, const char *host)
{
	bool bare = strncasecmp(url, "https://", 8) != 0;
	char *whole = malloc(strlen(url) + 9), *part = NULL;
	CURLU *u = curl_url();

	assert(whole && u);
	sprintf(whole, "%s%s", bare ? "https://" : "", url);
	assert(curl_url_set(u, CURLUPART_URL, whole, 0) == CURLUE_OK);
	assert(curl_url_get(u, CURLUPART_SCHEME, &part, 0) == CURLUE_OK && !strcmp(part, "https"));
	curl_free(part);
	assert(curl_url_get(u, CURLUPART_HOST, &part, 0) == CURLUE_OK && !strcasecmp(part, host));
	curl_free(part);
	assert(curl_url_get(u, CURLUPART_USER, &part, 0) == CURLUE_NO_USER);
	assert(curl_url_get(u, CURLUPART_QUERY, &part, 0) == CURLUE_NO_QUERY);
	if (curl_url_get(u, CURLUPART_PORT, &part, 0) == CURLUE_OK) {
		assert(!strcmp(part, "443"));
		curl_free(part);
	}
	curl_url_cleanup(u);
	free(whole);
}

static bool is_listed(const char *insecure, const char *host)
{
	char *list = strdup(insecure), *save = NULL;
	bool found = false;

	for (char *at = strtok_r(list, " \t\n", &save); at; at = strtok_r(NULL, " \t\n", &save))
		found = found || !strcasecmp(at, host);
	free(list);
	return found;
}

static void check_host(struct slice url, const char *insecure)
{
	struct binding_host h, strict, again;
	freed_by(fuzz_freep) char *text = fuzz_text(url);

	memset(&h, 0xa5, sizeof(h));
	binding_read_host(url, insecure, &h);
	binding_read_host(url, NULL, &strict);
	assert(h.verdict >= HOST_OK && h.verdict <= HOST_REFUSED);
	assert(memchr(h.host, '\0', sizeof(h.host)));
	assert(strict.verdict != HOST_INSECURE_OK);
	if (strict.verdict == HOST_OK) {
		check_allowed(&strict);
		assert(strlen(text) == url.len && strncasecmp(text, "http://", 7) != 0);
		check_with_curl(text, strict.host);
		binding_read_host((struct slice){strict.host, strlen(strict.host)}, "", &again);
		assert(again.verdict == HOST_OK && again.env == strict.env);
		assert(!strcmp(again.host, strict.host));
	}
	if (h.verdict == HOST_INSECURE_OK) {
		assert(is_listed(insecure, h.host) && strncasecmp(text, "https://", 8) != 0);
	} else {
		assert(h.verdict == strict.verdict);
		assert(!strcmp(h.host, strict.host));
	}
}

static void check_origin(struct slice url)
{
	struct slice origin = binding_url_origin(url);

	if (!origin.data)
		return;
	assert(origin.data == url.data && origin.len <= url.len && origin.len > 7);
	assert(!strncasecmp(origin.data, "https://", 8) || !strncasecmp(origin.data, "http://", 7));
	assert(!memchr(origin.data + 8, '/', origin.len - 8) &&
		!memchr(origin.data, '?', origin.len) && !memchr(origin.data, '#', origin.len));
	if (origin.len < url.len)
		assert(strchr("/?#", url.data[origin.len]));
}

/* The 18 characters of an id guard each letter's case. */
static void check_id(struct slice id)
{
	char whole[SF_ID18 + 1] = "kept", other[SF_ID18 + 1];
	struct slice wide = {whole, SF_ID18};

	if (!binding_id18(id, whole)) {
		assert(!strcmp(whole, "kept"));
		return;
	}
	assert(strlen(whole) == SF_ID18 && fuzz_is_of(wide, ID_BYTES));
	assert(!memcmp(whole, id.data, id.len) && binding_same_id(id, wide));
	assert(binding_id18(wide, other) && !strcmp(whole, other));
	for (size_t i = 0; i < SF_ID15; i++) {
		if (whole[i] <= '9')
			continue;
		whole[i] = (char)(whole[i] ^ 0x20);
		assert(!binding_id18(wide, other) && !binding_same_id(id, wide));
		whole[i] = (char)(whole[i] ^ 0x20);
	}
}

static void check_token(struct slice token, struct slice org)
{
	enum binding_token got = binding_check_token(token, org);
	const char *mark = token.len ? memchr(token.data, '!', token.len) : NULL;
	bool says = mark && (mark - token.data == SF_ID15 || mark - token.data == SF_ID18) &&
	            !memcmp(token.data, "00D", 3);

	assert(got >= TOKEN_NO_ORG && got <= TOKEN_OTHER_ORG);
	assert(binding_check_token(token, (struct slice){0}) != TOKEN_OTHER_ORG);
	if (got == TOKEN_NO_ORG)
		return;
	assert(says && fuzz_is_of((struct slice){token.data, SF_ID15}, ID_BYTES));
	if (got == TOKEN_ORG_OK && org.data)
		assert(org.len >= SF_ID15 && !memcmp(token.data, org.data, SF_ID15));
}

static void check_binding(struct slice url, struct slice org, struct slice user)
{
	struct binding_host host;
	struct binding_identity bound = {.org_id = org, .user_id = user}, seen = bound;
	enum binding_verdict got;

	binding_read_host(url, NULL, &host);
	for (enum binding_env wanted = BINDING_PRODUCTION; wanted <= BINDING_SANDBOX; wanted++) {
		got = binding_check(&bound, &seen, &host, wanted);
		assert(got != BINDING_NEW);
		if (got == BINDING_OK)
			assert(host.verdict == HOST_OK && host.env == wanted);
	}
	seen.org_id = (struct slice){0}; /* not shown again */
	assert(binding_check(&bound, &seen, NULL, BINDING_SANDBOX) == BINDING_OTHER_ORG);
	seen = bound;
	bound.host = SLICE("acme.my.salesforce.com");
	got = binding_check(&bound, &seen, &host, BINDING_PRODUCTION);
	if (got == BINDING_OK)
		assert(!strcmp(host.host, bound.host.data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = {(const char *)data, size}, lines[5];
	freed_by(fuzz_freep) char *insecure = NULL;
	char *copies[5];

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct slice line = fuzz_line(&rest);

		copies[i] = fuzz_copy(line);
		lines[i] = (struct slice){copies[i], line.len};
	}
	insecure = fuzz_text(lines[1]);
	check_host(lines[0], insecure);
	check_origin(lines[0]);
	check_id(lines[3]);
	check_id(lines[4]);
	check_token(lines[2], lines[3]);
	check_binding(lines[0], lines[3], lines[4]);
	for (size_t i = 0; i < ARRAY_LEN(copies); i++)
		free(copies[i]);
	return 0;
}
