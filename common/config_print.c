#include "common/config.h"

#include <string.h>

#include "common/config_private.h"
#include "common/mem.h"

#define MASK "********"

/* Quoted where reading it bare would give something else. */
static void put_value(struct buf *b, const char *text)
{
	static const char escapes[] = "\"\"\\\\\nn\rr\tt"; /* pairs: meant, written */
	size_t len = strlen(text);

	if (!len || (!strpbrk(text, "\n\r\t\"#") && text[0] != ' ' && text[len - 1] != ' ')) {
		buf_add(b, text, len);
		return;
	}
	buf_add_char(b, '"');
	for (; *text; text++) {
		const char *pair = escapes;

		while (*pair && *pair != *text)
			pair += 2;
		if (*pair)
			buf_add(b, (char[]){'\\', pair[1]}, 2);
		else
			buf_add_char(b, *text);
	}
	buf_add_char(b, '"');
}

static void put_origin(struct buf *b, const struct config *c, const char *full_name)
{
	const struct config_setting *s = config_setting(c, full_name);

	if (!s)
		buf_add_text(b, "not set");
	else if (s->line)
		buf_addf(b, "set in %s:%d", c->origins->path, s->line);
	else
		buf_addf(b, "set by %s", s->variable);
}

static void put_assignment(struct buf *b, const char *key, const char *value, bool secret)
{
	buf_addf(b, "%s =", key);
	if (*value)
		buf_add_char(b, ' ');
	if (*value && secret)
		buf_add_text(b, MASK);
	else
		put_value(b, value);
	buf_add_char(b, '\n');
}

static void put_key(struct buf *b, const struct config *c, const struct config_key *key,
	const char *section, const char *tail, const void *base)
{
	const void *member = (const char *)base + key->offset;
	freed_by(mem_freep) char *full_name = config_full_name(section, tail);
	bool has_value =
		config_value_exists(key, member) && (key->preset || config_setting(c, full_name));
	freed_by(buf_release) struct buf value = {0};

	if (key->doc)
		buf_addf(b, "# %s\n", key->doc);
	if (key->preset)
		buf_addf(b, "# default: %s; ", *key->preset ? key->preset : "empty");
	else
		buf_addf(b, "# %s; ", key->required ? "required" : "no default");
	put_origin(b, c, full_name);
	buf_add_char(b, '\n');
	if (has_value)
		config_value_write(key, member, &value);
	else
		buf_add_text(b, "# ");
	put_assignment(b, tail, buf_slice(&value).data, key->secret);
	if (value.data)
		explicit_bzero(value.data, value.len);
}

static void put_pairs(struct buf *b, const struct config *c)
{
	for (size_t i = 0; i < c->pair_count; i++) {
		freed_by(mem_freep) char *full_name =
			config_full_name(c->pass_section, c->pairs[i].name);

		buf_add_text(b, "# ");
		put_origin(b, c, full_name);
		buf_add_char(b, '\n');
		put_assignment(b, c->pairs[i].name, c->pairs[i].value, c->pairs[i].secret);
	}
}

/* Whether the key stands in @section: "" is the top level. */
static bool stands_in(const struct config *c, const struct config_key *key, struct slice section)
{
	const char *dot = strchr(key->name, '.');

	if (config_named_tail(c, key))
		return false;
	return (dot ? (size_t)(dot - key->name) : 0) == section.len &&
	       memcmp(key->name, section.data, section.len) == 0;
}

static void put_section(
	struct buf *b, const struct config *c, struct slice section, const void *values)
{
	freed_by(mem_freep) char *name = section.len ? mem_slice_text(section) : NULL;

	if (name)
		buf_addf(b, "\n[%s]\n", name);
	for (size_t i = 0; i < c->key_count; i++)
		if (stands_in(c, &c->keys[i], section))
			put_key(b, c, &c->keys[i], name,
				c->keys[i].name + (name ? section.len + 1 : 0), values);
	if (name && c->pass_section && strcmp(name, c->pass_section) == 0)
		put_pairs(b, c);
}

static void put_named(struct buf *b, const struct config *c, const struct config_section *section)
{
	freed_by(mem_freep) char *name = config_full_name(c->named_section, section->name);

	buf_addf(b, "\n[%s]\n", name);
	for (size_t i = 0; i < c->key_count; i++) {
		const char *tail = config_named_tail(c, &c->keys[i]);

		if (tail)
			put_key(b, c, &c->keys[i], name, tail, section->values);
	}
}

/* Each section where its first key stands; the pass section last when it has none in the table. */
static void put_sections(struct buf *b, const struct config *c, const void *values)
{
	bool passed = !c->pass_section;

	for (size_t i = 0; i < c->key_count; i++) {
		const char *name = c->keys[i].name;
		struct slice section = {name, strcspn(name, ".")};
		bool first = name[section.len] && !config_named_tail(c, &c->keys[i]);

		for (size_t j = 0; j < i && first; j++)
			first = !stands_in(c, &c->keys[j], section);
		if (!first)
			continue;
		put_section(b, c, section, values);
		passed = passed || (strlen(c->pass_section) == section.len &&
					   memcmp(c->pass_section, name, section.len) == 0);
	}
	if (!passed)
		put_section(b, c, (struct slice){c->pass_section, strlen(c->pass_section)}, values);
}

void config_print(const struct config *c, const void *values, FILE *out)
{
	freed_by(buf_release) struct buf b = {0};

	put_section(&b, c, SLICE(""), values);
	put_sections(&b, c, values);
	for (size_t i = 0; i < c->section_count; i++)
		put_named(&b, c, &c->sections[i]);
	fwrite(b.data, 1, b.len, out);
}
