#include "common/pg_private.h"

#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

/*
 * A statement that hangs, a lock that does not come and a transaction left open end by
 * themselves.  They go before the caller's own options, of which the last one counts.
 */
#define TIMEOUTS                                                                                   \
	"-c statement_timeout=30s -c lock_timeout=5s -c idle_in_transaction_session_timeout=10s"
#define CONNECT_TIMEOUT_MS 10000

static const struct {
	const char *word, *value;
} presets[] = {
	{"application_name", "onbehalf"},
	{"keepalives", "1"},
	{"keepalives_idle", "10"},
	{"keepalives_interval", "5"},
	{"keepalives_count", "3"},
	/* A peer that is gone is noticed while we write, too, and while we connect. */
	{"tcp_user_timeout", "10000"},
	/* Only a blocking connect reads it: pg_sync. */
	{"connect_timeout", "10"},
};

static const char *given(const struct pg_settings *s, const char *word)
{
	for (const PQconninfoOption *o = s->parsed; o->keyword; o++)
		if (strcmp(o->keyword, word) == 0)
			return o->val;
	return NULL;
}

static void add(struct pg_settings *s, const char *word, const char *value)
{
	s->words[s->count] = word;
	s->values[s->count++] = value;
}

/* Those with a value of ours come from elsewhere. */
static bool overridden(const char *word, const char *password)
{
	return strcmp(word, "options") == 0 || strcmp(word, "client_encoding") == 0 ||
	       (password && strcmp(word, "password") == 0);
}

static char *all_options(const char *own)
{
	struct buf b = {0};

	buf_add_text(&b, TIMEOUTS);
	if (own)
		buf_addf(&b, " %s", own);
	return b.data;
}

/* libpq tries one host after the other, and its connect_timeout is for each. */
static int64_t connect_timeout_ms(const struct pg_settings *s)
{
	const char *text = given(s, "connect_timeout");
	const char *hosts = given(s, "hostaddr") ? given(s, "hostaddr") : given(s, "host");
	long seconds = text ? strtol(text, NULL, 10) : 0;
	int64_t each_ms = seconds > 0 && seconds < 3600 ? seconds * 1000 : CONNECT_TIMEOUT_MS;
	int64_t count = 1;

	for (const char *c = hosts; c && (c = strchr(c, ',')); c++)
		count++;
	return each_ms * count;
}

static void fill(struct pg_settings *s, const char *password)
{
	for (const PQconninfoOption *o = s->parsed; o->keyword; o++)
		if (o->val && !overridden(o->keyword, password))
			add(s, o->keyword, o->val);
	for (size_t i = 0; i < ARRAY_LEN(presets); i++)
		if (!given(s, presets[i].word))
			add(s, presets[i].word, presets[i].value);
	s->options = all_options(given(s, "options"));
	add(s, "options", s->options);
	add(s, "client_encoding", "UTF8");
	if (password)
		add(s, "password", password);
	s->connect_timeout_ms = connect_timeout_ms(s);
}

int pg_settings_init(
	struct pg_settings *s, const char *conninfo, const char *password, struct err *err)
{
	size_t known = 0;

	*s = (struct pg_settings){0};
	/* What libpq says of a fault may quote a password, so it is not passed on. */
	s->parsed = PQconninfoParse(conninfo, NULL);
	if (!s->parsed)
		return err_set(err, ERR_REJECTED, 0, "cannot read the connection string");
	while (s->parsed[known].keyword)
		known++;
	known += ARRAY_LEN(presets) + 4;
	s->words = mem_new(known * sizeof(*s->words));
	s->values = mem_new(known * sizeof(*s->values));
	fill(s, password);
	return 0;
}

void pg_settings_release(struct pg_settings *s)
{
	if (s->parsed)
		PQconninfoFree(s->parsed);
	free(s->words);
	free(s->values);
	free(s->options);
	*s = (struct pg_settings){0};
}
