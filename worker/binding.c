#include "worker/binding.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define LABELS_MAX 8
#define LABEL_MAX 63 /* https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4 */
#define ORG_PREFIX "00D"

/* In the C locale, whatever the process has. */
static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_id_text(struct slice s, size_t len)
{
	for (size_t i = 0; i < len && i < s.len; i++)
		if (!is_digit(s.data[i]) && !is_upper(s.data[i]) && !is_lower(s.data[i]))
			return false;
	return s.data && s.len >= len;
}

/* ---- ids: https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/field_types.htm ---- */

bool binding_id18(struct slice id, char ret[SF_ID18 + 1])
{
	static const char suffixes[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
	char whole[SF_ID18 + 1] = {0};

	if ((id.len != SF_ID15 && id.len != SF_ID18) || !is_id_text(id, id.len))
		return false;
	memcpy(whole, id.data, SF_ID15);
	for (size_t block = 0; block < 3; block++) {
		unsigned bits = 0;

		for (size_t i = 0; i < 5; i++)
			bits |= is_upper(whole[block * 5 + i]) ? 1u << i : 0;
		whole[SF_ID15 + block] = suffixes[bits];
	}
	if (id.len == SF_ID18 && memcmp(whole, id.data, SF_ID18) != 0)
		return false;
	memcpy(ret, whole, sizeof(whole));
	return true;
}

bool binding_same_id(struct slice a, struct slice b)
{
	return a.data && b.data && (a.len == SF_ID15 || a.len == SF_ID18) &&
	       (b.len == SF_ID15 || b.len == SF_ID18) && !memcmp(a.data, b.data, SF_ID15);
}

/* ---- hosts ---- */

enum label_kind {
	LABEL_WORD,     /* exactly `word` */
	LABEL_NAME,     /* a My Domain name, without "--" and none of the reserved words */
	LABEL_SANDBOX,  /* <name>--<sandbox> */
	LABEL_INSTANCE, /* `word` and 1 to 4 digits */
};

struct label_rule {
	enum label_kind kind;
	const char *word;
};

struct host_rule {
	enum binding_env env;
	struct label_rule labels[5]; /* from the right; a rule of no kind and no word ends them */
};

#define WORD(text)                                                                                 \
	{                                                                                          \
		LABEL_WORD, text                                                                   \
	}
#define NAME                                                                                       \
	{                                                                                          \
		LABEL_NAME, "*"                                                                    \
	}
#define NAME_SANDBOX                                                                               \
	{                                                                                          \
		LABEL_SANDBOX, "*"                                                                 \
	}
#define INSTANCE(text)                                                                             \
	{                                                                                          \
		LABEL_INSTANCE, text                                                               \
	}
#define PARTITIONED(word, env)                                                                     \
	{                                                                                          \
		env,                                                                               \
		{                                                                                  \
			WORD("com"), WORD("salesforce"), WORD("my"), WORD(word), NAME              \
		}                                                                                  \
	}
#define LEGACY(word, env)                                                                          \
	{                                                                                          \
		env,                                                                               \
		{                                                                                  \
			WORD("com"), WORD("salesforce"), INSTANCE(word)                            \
		}                                                                                  \
	}

/*
 * The hosts that may receive a bearer token: a closed list, read from the right.
 * https://help.salesforce.com/s/articleView?id=xcloud.domain_name_url_formats.htm
 * https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_mydomainsettings.htm
 * https://github.com/forcedotcom/sfdx-core/blob/main/src/util/sfdcUrl.ts
 */
static const struct host_rule host_rules[] = {
	{BINDING_PRODUCTION, {WORD("com"), WORD("salesforce"), WORD("my"), NAME}},
	{BINDING_SANDBOX, {WORD("com"), WORD("salesforce"), WORD("my"), NAME_SANDBOX}},
	{BINDING_SANDBOX,
		{WORD("com"), WORD("salesforce"), WORD("my"), WORD("sandbox"), NAME_SANDBOX}},
	{BINDING_SANDBOX,
		{WORD("com"), WORD("salesforce"), WORD("my"), INSTANCE("cs"), NAME_SANDBOX}},
	PARTITIONED("develop", BINDING_PRODUCTION),
	PARTITIONED("scratch", BINDING_SANDBOX), /* logs in at test.salesforce.com */
	PARTITIONED("demo", BINDING_PRODUCTION),
	PARTITIONED("patch", BINDING_PRODUCTION),
	PARTITIONED("trailblaze", BINDING_PRODUCTION),
	PARTITIONED("free", BINDING_PRODUCTION),
	PARTITIONED("bt", BINDING_PRODUCTION),
	LEGACY("na", BINDING_PRODUCTION),
	LEGACY("eu", BINDING_PRODUCTION),
	LEGACY("ap", BINDING_PRODUCTION),
	LEGACY("gs", BINDING_PRODUCTION),
	LEGACY("um", BINDING_PRODUCTION),
	LEGACY("cs", BINDING_SANDBOX),
	/* Government Cloud and China */
	{BINDING_PRODUCTION, {WORD("mil"), WORD("salesforce"), WORD("my"), NAME}},
	{BINDING_SANDBOX,
		{WORD("mil"), WORD("salesforce"), WORD("my"), WORD("sandbox"), NAME_SANDBOX}},
	{BINDING_PRODUCTION, {WORD("cn"), WORD("sfcrmproducts"), WORD("my"), NAME}},
	{BINDING_SANDBOX,
		{WORD("cn"), WORD("sfcrmproducts"), WORD("my"), WORD("sandbox"), NAME_SANDBOX}},
};

/* Where a partition stands in a host, no customer's name stands. */
static const char *const reserved[] = {
	"sandbox", "develop", "scratch", "demo", "patch", "trailblaze", "free", "bt"};

static bool is_word(struct slice s, const char *word)
{
	return s.len == strlen(word) && !memcmp(s.data, word, s.len);
}

static bool is_instance(struct slice s, const char *word)
{
	size_t len = strlen(word);

	if (s.len <= len || s.len > len + 4 || memcmp(s.data, word, len) != 0)
		return false;
	for (size_t i = len; i < s.len; i++)
		if (!is_digit(s.data[i]))
			return false;
	return true;
}

static bool has_dashes(struct slice s)
{
	for (size_t i = 1; i < s.len; i++)
		if (s.data[i - 1] == '-' && s.data[i] == '-')
			return true;
	return false;
}

static bool is_name(struct slice s)
{
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (is_word(s, reserved[i]))
			return false;
	return !is_instance(s, "cs") && !has_dashes(s);
}

/* Labels neither begin nor end with a hyphen.  No customer's name is in Punycode, but look-alikes
 * are. */
static bool is_sandbox_name(struct slice s)
{
	return has_dashes(s) && !(s.len >= 4 && !memcmp(s.data, "xn--", 4));
}

static bool label_fits(struct slice s, const struct label_rule *rule)
{
	switch (rule->kind) {
	case LABEL_WORD:
		return is_word(s, rule->word);
	case LABEL_NAME:
		return is_name(s);
	case LABEL_SANDBOX:
		return is_sandbox_name(s);
	case LABEL_INSTANCE:
		return is_instance(s, rule->word);
	}
	return false;
}

/* @labels from the right. */
static bool host_fits(const struct slice *labels, size_t count, const struct host_rule *rule)
{
	size_t wanted = 0;

	while (wanted < ARRAY_LEN(rule->labels) && rule->labels[wanted].word)
		wanted++;
	for (size_t i = 0; i < wanted && i < count; i++)
		if (!label_fits(labels[i], &rule->labels[i]))
			return false;
	return count == wanted;
}

static bool is_label(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_digit(s.data[i]) && !is_lower(s.data[i]) && s.data[i] != '-')
			return false;
	return s.len && s.len <= LABEL_MAX && s.data[0] != '-' && s.data[s.len - 1] != '-';
}

/*
 * Splits from the right; 0 when it is no host name: an empty label (a trailing dot, too), a
 * character that no host has, or a number at the end, as an IPv4 literal has it in any notation
 * (https://url.spec.whatwg.org/#ends-in-a-number-checker).
 */
static size_t split(const char *host, struct slice labels[LABELS_MAX])
{
	const char *end = host + strlen(host);
	size_t count = 0;

	for (;;) {
		const char *start = end;

		while (start > host && start[-1] != '.')
			start--;
		if (count == LABELS_MAX || !is_label((struct slice){start, (size_t)(end - start)}))
			return 0;
		labels[count++] = (struct slice){start, (size_t)(end - start)};
		if (start == host)
			break;
		end = start - 1;
	}
	return is_digit(labels[0].data[0]) ? 0 : count;
}

/* The listed entries are written as they are spoken to, in any case. */
static bool is_insecure(const char *host, const char *insecure)
{
	size_t len = strlen(host);

	for (const char *at = insecure ? insecure : ""; *at;) {
		size_t entry = strcspn(at, " \t\n");

		if (entry && entry == len && !strncasecmp(at, host, len))
			return true;
		at += entry + strspn(at + entry, " \t\n");
	}
	return false;
}

static bool take_prefix(struct slice *s, const char *prefix)
{
	size_t len = strlen(prefix);

	if (s->len < len || strncasecmp(s->data, prefix, len) != 0)
		return false;
	s->data += len;
	s->len -= len;
	return true;
}

/* Copies in lower case; false for what is too long or holds a NUL. */
static bool copy_host(struct slice s, char ret[BINDING_HOST_MAX + 1])
{
	if (!s.len || s.len > BINDING_HOST_MAX || memchr(s.data, '\0', s.len))
		return false;
	for (size_t i = 0; i < s.len; i++)
		ret[i] = (char)(is_upper(s.data[i]) ? s.data[i] + ('a' - 'A') : s.data[i]);
	ret[s.len] = '\0';
	return true;
}

static void judge(const char *host, struct binding_host *ret)
{
	struct slice labels[LABELS_MAX];
	size_t count = split(host, labels);

	ret->verdict = count ? HOST_REFUSED : HOST_MALFORMED;
	for (size_t i = 0; count && i < ARRAY_LEN(host_rules); i++)
		if (host_fits(labels, count, &host_rules[i])) {
			ret->verdict = HOST_OK;
			ret->env = host_rules[i].env;
			return;
		}
}

void binding_read_host(struct slice url, const char *insecure, struct binding_host *ret)
{
	struct slice rest = url.data ? url : SLICE("");
	bool http = take_prefix(&rest, "http://"), https = !http && take_prefix(&rest, "https://");
	char *port;

	*ret = (struct binding_host){.verdict = HOST_MALFORMED};
	if ((http || https) && rest.len && rest.data[rest.len - 1] == '/')
		rest.len--;
	if (!copy_host(rest, ret->host)) {
		ret->host[0] = '\0';
		return;
	}
	if (!https && is_insecure(ret->host, insecure)) {
		ret->verdict = HOST_INSECURE_OK;
		ret->env = BINDING_SANDBOX;
		return;
	}
	port = strchr(ret->host, ':');
	if (port && !strcmp(port, ":443") && !http)
		*port = '\0';
	judge(ret->host, ret);
	if (http && ret->verdict == HOST_OK)
		ret->verdict = HOST_REFUSED;
}

struct slice binding_url_origin(struct slice url)
{
	struct slice rest = url;
	size_t len = 0;

	if (!url.data || (!take_prefix(&rest, "https://") && !take_prefix(&rest, "http://")))
		return (struct slice){0};
	while (len < rest.len && rest.data[len] != '/' && rest.data[len] != '?' &&
		rest.data[len] != '#')
		len++;
	return len ? (struct slice){url.data, (size_t)(rest.data - url.data) + len}
	           : (struct slice){0};
}

/* ---- tokens and identities ---- */

/* The shape of a token: https://github.com/forcedotcom/sfdx-core/blob/main/src/util/sfdc.ts */
enum binding_token binding_check_token(struct slice token, struct slice org_id)
{
	const char *mark = token.data ? memchr(token.data, '!', token.len) : NULL;
	struct slice said = {token.data, mark ? (size_t)(mark - token.data) : 0};

	if ((said.len != SF_ID15 && said.len != SF_ID18) || !is_id_text(said, said.len) ||
		memcmp(said.data, ORG_PREFIX, 3) != 0)
		return TOKEN_NO_ORG;
	return !org_id.data || binding_same_id(said, org_id) ? TOKEN_ORG_OK : TOKEN_OTHER_ORG;
}

static bool same_host(struct slice a, struct slice b)
{
	return a.len == b.len && !strncasecmp(a.data, b.data, a.len);
}

enum binding_verdict binding_check(const struct binding_identity *bound,
	const struct binding_identity *seen, const struct binding_host *seen_host,
	enum binding_env wanted)
{
	struct slice host = seen->host;

	/* a bound org that is not shown again is not proven */
	if (bound->org_id.data && !binding_same_id(bound->org_id, seen->org_id))
		return BINDING_OTHER_ORG;
	if (bound->user_id.data && seen->user_id.data &&
		!binding_same_id(bound->user_id, seen->user_id))
		return BINDING_OTHER_USER;
	if (seen_host) {
		if (seen_host->verdict != HOST_OK && seen_host->verdict != HOST_INSECURE_OK)
			return BINDING_OTHER_HOST;
		/* a host of a test speaks for no environment */
		if (seen_host->verdict == HOST_OK && seen_host->env != wanted)
			return BINDING_OTHER_ENV;
		host = (struct slice){seen_host->host, strlen(seen_host->host)};
	}
	if (bound->host.data && host.data && !same_host(bound->host, host))
		return BINDING_OTHER_HOST;
	return bound->org_id.data ? BINDING_OK : BINDING_NEW;
}
