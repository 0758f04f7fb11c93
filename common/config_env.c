#include "common/config_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/utf8.h"

#define PREFIX "ONBEHALF_"

char *config_env_name(const char *section, const char *key)
{
	char *name = mem_textf(PREFIX "%s%s%s", section ? section : "", section ? "." : "", key);

	for (char *at = name; *at; at++)
		*at = (char)(*at == '.' || *at == '-' ? '_' : toupper((unsigned char)*at));
	return name;
}

/* What one variable could mean. */
struct meaning {
	struct config_nearest nearest; /* .wanted is the variable */
	char *section, *key;           /* owned; of the first that fits */
	unsigned fits;
};

static void meaning_release(struct meaning *m)
{
	config_nearest_release(&m->nearest);
	free(m->section);
	free(m->key);
}

static void consider(struct meaning *m, const char *section, const char *key)
{
	freed_by(mem_freep) char *name = config_env_name(section, key);

	config_nearest_offer(&m->nearest, name);
	if (strcmp(name, m->nearest.wanted) != 0 || m->fits++)
		return;
	m->section = mem_text(section);
	m->key = mem_text(key);
}

static void consider_named(struct meaning *m, const struct config *c, const char *tail)
{
	for (size_t i = 0; i < c->section_count; i++) {
		freed_by(mem_freep) char *section =
			config_full_name(c->named_section, c->sections[i].name);

		consider(m, section, tail);
	}
}

static void consider_plain(struct meaning *m, const char *full_name)
{
	const char *dot = strchr(full_name, '.');
	freed_by(mem_freep) char *section = NULL;

	if (dot)
		section = mem_slice_text((struct slice){full_name, (size_t)(dot - full_name)});
	consider(m, section, dot ? dot + 1 : full_name);
}

/* ONBEHALF_KAFKA_SASL_PASSWORD is sasl.password, unless the file spells it otherwise. */
static void consider_pass(struct meaning *m, const struct config *c)
{
	freed_by(mem_freep) char *start = NULL;
	const char *rest;

	if (!c->pass_section)
		return;
	for (size_t i = 0; i < c->pair_count; i++)
		consider(m, c->pass_section, c->pairs[i].name);
	start = config_env_name(c->pass_section, "");
	rest = m->nearest.wanted + strlen(start);
	if (m->fits || strncmp(m->nearest.wanted, start, strlen(start)) != 0 || !*rest ||
		rest[strspn(rest, CONFIG_NAME_BYTES)])
		return;
	m->fits = 1;
	m->section = mem_text(c->pass_section);
	m->key = mem_text(rest);
	for (char *at = m->key; *at; at++)
		*at = (char)(*at == '_' ? '.' : tolower((unsigned char)*at));
}

static const char *value_fault(const char *value)
{
	if (!utf8_valid(value, strlen(value)))
		return "not UTF-8";
	for (; *value; value++)
		if (((unsigned char)*value < ' ' && !strchr("\n\r\t", *value)) || *value == 0x7f)
			return "a control character";
	return NULL;
}

static void read_variable(struct config *c, void *values, const char *name, const char *value)
{
	freed_by(meaning_release) struct meaning m = {.nearest.wanted = name};
	struct config_place place = {.variable = name};

	for (size_t i = 0; i < c->key_count; i++) {
		const char *tail = config_named_tail(c, &c->keys[i]);

		if (tail)
			consider_named(&m, c, tail);
		else
			consider_plain(&m, c->keys[i].name);
	}
	consider_pass(&m, c);
	if (!m.fits)
		config_note(c, place, "no such key%s%s%s", CONFIG_NEAREST_ARGS(m.nearest));
	else if (m.fits > 1)
		config_note(c, place, "names more than one key");
	else if (value_fault(value))
		config_note(c, place, "%s", value_fault(value));
	else
		config_put(c, values, m.section, m.key, place, value);
}

/* Names that mean something else. */
static bool is_other(const char *name)
{
	return strcmp(name, PREFIX "CONFIG") == 0 || strcmp(name, PREFIX "BUILD") == 0 ||
	       strncmp(name, PREFIX "TEST_", strlen(PREFIX "TEST_")) == 0;
}

void config_env_read(struct config *c, char **environment, void *values)
{
	for (; environment && *environment; environment++) {
		const char *equals = strchr(*environment, '=');
		freed_by(mem_freep) char *name = NULL;

		if (!equals || strncmp(*environment, PREFIX, strlen(PREFIX)) != 0)
			continue;
		name = mem_slice_text(
			(struct slice){*environment, (size_t)(equals - *environment)});
		if (!is_other(name))
			read_variable(c, values, name, equals + 1);
	}
}
