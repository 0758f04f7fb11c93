#include "common/config.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config_private.h"
#include "common/mem.h"

/* ---- names ---- */

char *config_full_name(const char *section, const char *key)
{
	return section ? mem_textf("%s.%s", section, key) : mem_text(key);
}

const char *config_named_tail(const struct config *c, const struct config_key *key)
{
	size_t len = c->named_section ? strlen(c->named_section) : 0;

	if (!len || strncmp(key->name, c->named_section, len) != 0 ||
		strncmp(key->name + len, ".*.", 3) != 0)
		return NULL;
	return key->name + len + 3;
}

/* The section that "client.main" speaks of; NULL when there is none. */
static struct config_section *find_section(const struct config *c, const char *section)
{
	size_t len = c->named_section ? strlen(c->named_section) : 0;

	if (!len || !section || strncmp(section, c->named_section, len) != 0 || section[len] != '.')
		return NULL;
	for (size_t i = 0; i < c->section_count; i++)
		if (strcmp(c->sections[i].name, section + len + 1) == 0)
			return &c->sections[i];
	return NULL;
}

static bool pass_takes(const struct config *c, const char *section)
{
	return c->pass_section && section && strcmp(c->pass_section, section) == 0;
}

/* ---- faults ---- */

static void add_fault(struct config *c, char *fault)
{
	c->faults = mem_grow(c->faults, (c->fault_count + 1) * sizeof(*c->faults));
	c->faults[c->fault_count++] = fault;
}

static void put_place(const struct config *c, struct config_place place, struct buf *b)
{
	const char *path = c->origins ? c->origins->path : NULL;

	if (place.line)
		buf_addf(b, "%s:%d: ", path, place.line);
	else if (place.variable)
		buf_addf(b, "environment: %s: ", place.variable);
	else
		buf_addf(b, "%s: ", path ? path : "environment");
}

static printf_like(2, 0) void put_text(struct buf *b, const char *fmt, va_list args)
{
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (len < 0)
		abort();
	buf_reserve(b, (size_t)len);
	vsnprintf(b->data + b->len, (size_t)len + 1, fmt, args);
	b->len += (size_t)len;
}

void config_note(struct config *c, struct config_place place, const char *fmt, ...)
{
	struct buf fault = {0};
	va_list args;

	put_place(c, place, &fault);
	va_start(args, fmt);
	put_text(&fault, fmt, args);
	va_end(args);
	add_fault(c, fault.data);
}

void config_fault(struct config *c, const char *key, const char *fmt, ...)
{
	const struct config_setting *s = key ? config_setting(c, key) : NULL;
	const struct config_section *section = find_section(c, key);
	struct config_place place = {0};
	struct buf fault = {0};
	va_list args;

	if (s)
		place = (struct config_place){s->line, s->variable};
	else if (section)
		place.line = section->line;
	put_place(c, place, &fault);
	if (key)
		buf_addf(&fault, "%s: ", key);
	va_start(args, fmt);
	put_text(&fault, fmt, args);
	va_end(args);
	add_fault(c, fault.data);
}

/* ---- settings ---- */

const struct config_setting *config_setting(const struct config *c, const char *full_name)
{
	return c->origins ? map_get(&c->origins->settings, full_name, strlen(full_name)) : NULL;
}

/* Notes where a value comes from; false when the file has it twice.  The environment goes over the
 * file. */
static bool record(struct config *c, const char *full_name, struct config_place place)
{
	struct map *settings = &c->origins->settings;
	struct config_setting *s = map_get(settings, full_name, strlen(full_name));

	if (s && place.line) {
		config_note(c, place, "%s: is already set on line %d", full_name, s->line);
		return false;
	}
	if (!s) {
		s = mem_new(sizeof(*s));
		s->name = mem_text(full_name);
		map_put(settings, s->name, strlen(s->name), s);
	}
	free(s->variable);
	s->line = place.line;
	s->variable = mem_text(place.variable);
	return true;
}

static bool tells_a_secret(const char *name)
{
	return strstr(name, "password") || strstr(name, "secret") || strstr(name, "key");
}

static void put_pair(struct config *c, const char *name, const char *text)
{
	struct config_pair *pair = NULL;

	for (size_t i = 0; i < c->pair_count && !pair; i++)
		if (strcmp(c->pairs[i].name, name) == 0)
			pair = &c->pairs[i];
	if (!pair) {
		c->pairs = mem_grow(c->pairs, (c->pair_count + 1) * sizeof(*c->pairs));
		pair = &c->pairs[c->pair_count++];
		*pair = (struct config_pair){mem_text(name), NULL, tells_a_secret(name)};
	}
	config_text_free(pair->value);
	pair->value = mem_text(text);
}

/* The table's row for a key of a section; NULL when there is none. */
static const struct config_key *find_key(
	const struct config *c, const char *section, const char *key, const char *full_name)
{
	const struct config_section *named = find_section(c, section);

	for (size_t i = 0; i < c->key_count; i++) {
		const char *tail = config_named_tail(c, &c->keys[i]);

		if (named && tail && strcmp(tail, key) == 0)
			return &c->keys[i];
		if (!named && !tail && strcmp(c->keys[i].name, full_name) == 0)
			return section || !strchr(key, '.') ? &c->keys[i] : NULL;
	}
	return NULL;
}

static void note_unknown_key(
	struct config *c, struct config_place place, const char *section, const char *full_name)
{
	struct config_nearest nearest = {.wanted = full_name};

	if (!section && strchr(full_name, '.')) {
		config_note(c, place, "%s: a key of a section is written below its [section]",
			full_name);
		return;
	}
	for (size_t i = 0; i < c->key_count; i++) {
		const char *tail = config_named_tail(c, &c->keys[i]);
		freed_by(mem_freep) char *named = NULL;

		if (tail && !find_section(c, section))
			continue;
		named = tail ? config_full_name(section, tail) : NULL;
		config_nearest_offer(&nearest, named ? named : c->keys[i].name);
	}
	config_note(c, place, "%s: no such key%s%s%s", full_name, CONFIG_NEAREST_ARGS(nearest));
	config_nearest_release(&nearest);
}

static void *member_of(void *base, const struct config_key *key)
{
	return (char *)base + key->offset;
}

void config_put(struct config *c, void *values, const char *section, const char *key,
	struct config_place place, const char *text)
{
	freed_by(mem_freep) char *full_name = config_full_name(section, key);
	const struct config_key *row = find_key(c, section, key, full_name);
	const struct config_section *named = find_section(c, section);
	freed_by(mem_freep) char *fault = NULL;

	if (!row && !pass_takes(c, section)) {
		note_unknown_key(c, place, section, full_name);
		return;
	}
	if (!record(c, full_name, place))
		return;
	if (!row) {
		put_pair(c, key, text);
		return;
	}
	fault = config_value_read(
		row, c->origins->dir, text, member_of(named ? named->values : values, row));
	if (fault)
		config_note(c, place, "%s: %s", full_name, fault);
}

/* ---- presets and what is required ---- */

static void preset(struct config *c, bool named, void *base)
{
	for (size_t i = 0; i < c->key_count; i++) {
		const struct config_key *key = &c->keys[i];
		char *fault;

		if (!key->preset || (config_named_tail(c, key) != NULL) != named)
			continue;
		fault = config_value_read(key, c->origins->dir, key->preset, member_of(base, key));
		assert(!fault); /* the table is wrong */
	}
}

void config_begin_named(struct config *c, const char *name, int line)
{
	freed_by(mem_freep) char *section = config_full_name(c->named_section, name);
	struct config_section *fresh;

	if (find_section(c, section))
		return;
	c->sections = mem_grow(c->sections, (c->section_count + 1) * sizeof(*c->sections));
	fresh = &c->sections[c->section_count++];
	*fresh = (struct config_section){mem_text(name), mem_new(c->named_size), line};
	preset(c, true, fresh->values);
}

static void require(struct config *c, const struct config_key *key, const char *section,
	const char *tail, const void *base, int section_line)
{
	const void *member = (const char *)base + key->offset;
	freed_by(mem_freep) char *full_name = config_full_name(section, tail);
	const struct config_setting *s = config_setting(c, full_name);
	freed_by(buf_release) struct buf text = {0};

	config_value_write(key, member, &text);
	if (s && (key->type == CONFIG_TEXT || key->type == CONFIG_FILE) && !text.len)
		config_fault(c, full_name, "is empty, but required: %s", key->doc);
	else if (!s && (!key->preset || !text.len))
		config_note(c, (struct config_place){.line = section_line}, "%s: is required: %s",
			full_name, key->doc);
}

static void require_all(struct config *c, const void *values)
{
	for (size_t i = 0; i < c->key_count; i++) {
		const struct config_key *key = &c->keys[i];
		const char *tail = config_named_tail(c, key);

		if (!key->required)
			continue;
		if (!tail)
			require(c, key, NULL, key->name, values, 0);
		for (size_t j = 0; tail && j < c->section_count; j++) {
			freed_by(mem_freep) char *section =
				config_full_name(c->named_section, c->sections[j].name);

			require(c, key, section, tail, c->sections[j].values, c->sections[j].line);
		}
	}
}

/* ---- the whole ---- */

/* Where relative paths count from; absolute, so that a later chdir() changes nothing. */
static char *dir_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	freed_by(mem_freep) char *here = NULL;
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (path[0] == '/')
		return mem_slice_text((struct slice){path, len ? len : 1});
	here = getcwd(NULL, 0);
	if (!here)
		return slash ? mem_slice_text((struct slice){path, len}) : NULL;
	if (!slash)
		return steal(&here);
	return mem_textf("%s/%.*s", here[1] ? here : "", (int)len, path);
}

bool config_load(struct config *c, const char *path, char **environment, void *values)
{
	bool readable = true;

	c->origins = mem_new(sizeof(*c->origins));
	c->origins->path = mem_text(path);
	c->origins->dir = path ? dir_of(path) : NULL;
	preset(c, false, values);
	if (path)
		readable = config_file_read(c, values);
	config_env_read(c, environment, values);
	if (readable) /* else that is the fault, and not each key */
		require_all(c, values);
	return c->fault_count == 0;
}

static void release_values(struct config *c, bool named, void *base)
{
	for (size_t i = 0; i < c->key_count; i++)
		if ((config_named_tail(c, &c->keys[i]) != NULL) == named)
			config_value_release(&c->keys[i], member_of(base, &c->keys[i]));
}

static void release_origins(struct config_origin *origins)
{
	struct config_setting *s;
	size_t pos = 0;

	if (!origins)
		return;
	while ((s = map_next(&origins->settings, &pos))) {
		free(s->name);
		free(s->variable);
		free(s);
	}
	map_release(&origins->settings);
	free(origins->path);
	free(origins->dir);
	free(origins);
}

void config_release(struct config *c, void *values)
{
	release_values(c, false, values);
	for (size_t i = 0; i < c->section_count; i++) {
		release_values(c, true, c->sections[i].values);
		free(c->sections[i].values);
		free(c->sections[i].name);
	}
	for (size_t i = 0; i < c->pair_count; i++) {
		free(c->pairs[i].name);
		config_text_free(c->pairs[i].value);
	}
	for (size_t i = 0; i < c->fault_count; i++)
		free(c->faults[i]);
	free(c->sections);
	free(c->pairs);
	free(c->faults);
	release_origins(c->origins);
	c->sections = NULL;
	c->pairs = NULL;
	c->faults = NULL;
	c->origins = NULL;
	c->section_count = c->pair_count = c->fault_count = 0;
}
