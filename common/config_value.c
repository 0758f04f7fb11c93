#include "common/config_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define SHOWN_MAX 80 /* bytes of a wrong value that a fault repeats */

struct unit {
	const char *name;
	int64_t factor;
};

/* Largest last.  A size counts in 1024, as PostgreSQL does.
 * https://www.postgresql.org/docs/15/config-setting.html */
static const struct unit no_unit[] = {{"", 1}};
static const struct unit duration_units[] = {
	{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
static const struct unit size_units[] = {{"", 1}, {"kB", 1024}, {"MB", 1 << 20}, {"GB", 1 << 30}};

struct measure {
	const struct unit *units;
	size_t count;
	const char *wanted;
};

static struct measure measure_of(enum config_type type)
{
	if (type == CONFIG_DURATION)
		return (struct measure){duration_units, ARRAY_LEN(duration_units),
			"a duration such as 500ms, 5s, 2min, 1h or 7d"};
	if (type == CONFIG_SIZE)
		return (struct measure){
			size_units, ARRAY_LEN(size_units), "a size such as 4096, 64kB, 1MB or 2GB"};
	return (struct measure){no_unit, ARRAY_LEN(no_unit), "a whole number"};
}

void config_text_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void put_number(struct buf *b, enum config_type type, int64_t number)
{
	struct measure m = measure_of(type);
	const struct unit *unit = m.units;

	for (size_t i = 1; i < m.count; i++)
		if (number && number % m.units[i].factor == 0)
			unit = &m.units[i];
	buf_addf(b, "%lld%s", (long long)(number / unit->factor), unit->name);
}

/* A range whose max is 0 while its min is not negative has no upper end. */
static int64_t max_of(const struct config_key *key)
{
	return key->max == 0 && key->min >= 0 ? INT64_MAX : key->max;
}

/* "WHAT is WRONG", where a secret is not repeated. */
static char *wrong(const struct config_key *key, const char *text, const char *why)
{
	if (key->secret)
		return mem_textf("the value %s", why);
	if (!*text)
		return mem_textf("an empty value %s", why);
	if (strlen(text) > SHOWN_MAX)
		return mem_textf("a value of %zu bytes %s", strlen(text), why);
	return mem_textf("%s %s", text, why);
}

static char *out_of_range(const struct config_key *key, const char *text, bool too_low)
{
	freed_by(buf_release) struct buf why = {0};

	if (max_of(key) != INT64_MAX) {
		buf_add_text(&why, "is not between ");
		put_number(&why, key->type, key->min);
		buf_add_text(&why, " and ");
		put_number(&why, key->type, max_of(key));
	} else if (too_low) {
		buf_add_text(&why, "is less than ");
		put_number(&why, key->type, key->min);
	} else {
		buf_add_text(&why, "is too large");
	}
	return wrong(key, text, why.data);
}

static const struct unit *find_unit(struct measure m, const char *name)
{
	for (size_t i = 0; i < m.count; i++)
		if (strcmp(m.units[i].name, name) == 0)
			return &m.units[i];
	return NULL;
}

static char *read_number(const struct config_key *key, const char *text, int64_t *ret)
{
	struct measure m = measure_of(key->type);
	const char *digits = text + (*text == '-');
	const struct unit *unit;
	freed_by(mem_freep) char *why = NULL;
	long long number;
	char *end;

	why = mem_textf("is not %s", m.wanted);
	if (*digits < '0' || *digits > '9')
		return wrong(key, text, why);
	errno = 0;
	number = strtoll(text, &end, 10);
	unit = number == 0 && !*end ? &m.units[0] : find_unit(m, end); /* 0 needs no unit */
	if (!unit)
		return wrong(key, text, why);
	if (errno == ERANGE || __builtin_mul_overflow(number, unit->factor, &number))
		return out_of_range(key, text, *text == '-');
	if (number < key->min || number > max_of(key))
		return out_of_range(key, text, number < key->min);
	*ret = number;
	return NULL;
}

static char *read_bool(const struct config_key *key, const char *text, bool *ret)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"true", true}, {"yes", true}, {"on", true}, {"false", false}, {"no", false},
		{"off", false}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(words[i].word, text) == 0) {
			*ret = words[i].value;
			return NULL;
		}
	return wrong(key, text, "is neither true nor false");
}

static void replace_text(char **member, char *text)
{
	config_text_free(*member);
	*member = text;
}

static char *read_word(const struct config_key *key, const char *text, char **ret)
{
	freed_by(buf_release) struct buf why = {0};
	const char *word = key->words;
	size_t len = strlen(text), word_len;

	buf_add_text(&why, "is none of ");
	for (; *word; word += word_len + (word[word_len] == '|')) {
		word_len = strcspn(word, "|");
		if (word_len == len && memcmp(word, text, len) == 0) {
			replace_text(ret, mem_text(text));
			return NULL;
		}
		buf_addf(&why, "%s%.*s", word == key->words ? "" : ", ", (int)word_len, word);
	}
	return wrong(key, text, why.data);
}

char *config_value_read(
	const struct config_key *key, const char *dir, const char *text, void *member)
{
	switch (key->type) {
	case CONFIG_TEXT:
		replace_text(member, mem_text(text));
		return NULL;
	case CONFIG_FILE:
		replace_text(member, dir && *text && *text != '/' ? mem_textf("%s/%s", dir, text)
								  : mem_text(text));
		return NULL;
	case CONFIG_WORD:
		return read_word(key, text, member);
	case CONFIG_BOOL:
		return read_bool(key, text, member);
	case CONFIG_INT:
	case CONFIG_DURATION:
	case CONFIG_SIZE:
		return read_number(key, text, member);
	}
	return NULL;
}

static bool holds_text(const struct config_key *key)
{
	return key->type == CONFIG_TEXT || key->type == CONFIG_WORD || key->type == CONFIG_FILE;
}

bool config_value_exists(const struct config_key *key, const void *member)
{
	return !holds_text(key) || *(char *const *)member;
}

void config_value_write(const struct config_key *key, const void *member, struct buf *out)
{
	if (holds_text(key))
		buf_add_text(out, *(char *const *)member ? *(char *const *)member : "");
	else if (key->type == CONFIG_BOOL)
		buf_add_text(out, *(const bool *)member ? "true" : "false");
	else
		put_number(out, key->type, *(const int64_t *)member);
}

void config_value_release(const struct config_key *key, void *member)
{
	if (holds_text(key))
		replace_text(member, NULL);
}
