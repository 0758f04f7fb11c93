#include "common/config_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/utf8.h"

#define FILE_MAX ((size_t)256 * 1024)
#define SECTION_BYTES "abcdefghijklmnopqrstuvwxyz0123456789_-"
#define BLANKS " \t"

struct reader {
	struct config *c;
	void *values;
	char *section; /* owned; NULL: top level */
	bool unknown;  /* the section is: its keys are passed over */
	struct config_place place;
};

static void close_fdp(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Everything behind a value must be blank or a comment. */
static bool is_over(const char *rest)
{
	const char *text = rest + strspn(rest, BLANKS);

	return !*text || (*text == '#' && text > rest);
}

/* ---- sections ---- */

/* "lanes" of "lanes.batch_leads"; false for a top-level key and for named sections. */
static bool section_of(const struct config *c, const struct config_key *key, struct slice *ret)
{
	const char *dot = strchr(key->name, '.');

	if (!dot || config_named_tail(c, key))
		return false;
	*ret = (struct slice){key->name, (size_t)(dot - key->name)};
	return true;
}

static bool section_is_known(const struct config *c, const char *name)
{
	struct slice section;

	if (c->pass_section && strcmp(c->pass_section, name) == 0)
		return true;
	for (size_t i = 0; i < c->key_count; i++)
		if (section_of(c, &c->keys[i], &section) && section.len == strlen(name) &&
			memcmp(section.data, name, section.len) == 0)
			return true;
	return false;
}

static void note_unknown_section(struct reader *r, const char *name)
{
	struct config_nearest nearest = {.wanted = name};
	struct slice section;

	for (size_t i = 0; i < r->c->key_count; i++)
		if (section_of(r->c, &r->c->keys[i], &section)) {
			freed_by(mem_freep) char *known = mem_slice_text(section);

			config_nearest_offer(&nearest, known);
		}
	if (r->c->pass_section)
		config_nearest_offer(&nearest, r->c->pass_section);
	if (r->c->named_section)
		config_nearest_offer(&nearest, r->c->named_section);
	config_note(
		r->c, r->place, "[%s]: no such section%s%s%s", name, CONFIG_NEAREST_ARGS(nearest));
	config_nearest_release(&nearest);
}

/* The part behind "client." of a named section's heading; NULL when it is none. */
static const char *named_part(const struct config *c, const char *heading)
{
	size_t len = c->named_section ? strlen(c->named_section) : 0;

	if (!len || strncmp(heading, c->named_section, len) != 0)
		return NULL;
	if (!heading[len])
		return heading + len;
	return heading[len] == '.' ? heading + len + 1 : NULL;
}

static void begin_section(struct reader *r, char *heading)
{
	const char *name = named_part(r->c, heading);

	free(r->section);
	r->section = heading;
	r->unknown = false;
	if (name && *name && !name[strspn(name, SECTION_BYTES)]) {
		config_begin_named(r->c, name, r->place.line);
	} else if (name) {
		config_note(r->c, r->place, "[%s]: expected [%s.NAME], NAME of a-z 0-9 _ -",
			heading, r->c->named_section);
		r->unknown = true;
	} else if (!section_is_known(r->c, heading)) {
		note_unknown_section(r, heading);
		r->unknown = true;
	}
}

static void read_heading(struct reader *r, const char *line)
{
	const char *start = line + 1 + strspn(line + 1, BLANKS);
	size_t len = strspn(start, CONFIG_NAME_BYTES);
	const char *end = start + len + strspn(start + len, BLANKS);

	if (!len || *end != ']' || !is_over(end + 1)) {
		config_note(r->c, r->place, "a section is written [name]");
		r->unknown = true; /* whose keys these are is not known */
		return;
	}
	begin_section(r, mem_slice_text((struct slice){start, len}));
}

/* ---- keys and values ---- */

static char *read_quoted(struct reader *r, const char *text)
{
	static const char escapes[] = "\"\"\\\\n\nr\rt\t"; /* pairs: written, meant */
	freed_by(buf_release) struct buf value = {0};

	buf_reserve(&value, strlen(text));
	for (; *text && *text != '"'; text++) {
		const char *pair = escapes;

		if (*text != '\\') {
			buf_add_char(&value, *text);
			continue;
		}
		text++;
		while (*pair && *pair != *text)
			pair += 2;
		if (!*pair) {
			config_note(r->c, r->place, "behind a \\ stands one of \" \\ n r t");
			return NULL;
		}
		buf_add_char(&value, pair[1]);
	}
	if (*text != '"' || !is_over(text + 1)) {
		config_note(r->c, r->place,
			*text ? "something stands behind the closing quote"
			      : "the closing quote is missing");
		return NULL;
	}
	return steal(&value.data);
}

/* @text begins behind the '='.  NULL when it is malformed (noted). */
static char *read_value(struct reader *r, const char *text)
{
	const char *start = text + strspn(text, BLANKS), *end = start;

	if (*start == '"')
		return read_quoted(r, start + 1);
	while (*end && !(*end == '#' && strchr(BLANKS, end[-1])))
		end++;
	while (end > start && strchr(BLANKS, end[-1]))
		end--;
	return mem_slice_text((struct slice){start, (size_t)(end - start)});
}

static void free_textp(char **text)
{
	config_text_free(*text);
}

static void read_key(struct reader *r, const char *line)
{
	size_t len = strspn(line, CONFIG_NAME_BYTES);
	const char *equals = line + len + strspn(line + len, BLANKS);
	freed_by(mem_freep) char *key = NULL;
	freed_by(free_textp) char *value = NULL;

	if (!strchr(line, '=')) {
		config_note(r->c, r->place, "expected key = value, but there is no '='");
		return;
	}
	if (!len || *equals != '=') {
		config_note(r->c, r->place, "expected key = value, the key of A-Z a-z 0-9 _ . -");
		return;
	}
	value = read_value(r, equals + 1);
	if (!value || r->unknown)
		return;
	key = mem_slice_text((struct slice){line, len});
	config_put(r->c, r->values, r->section, key, r->place, value);
}

/* ---- lines ---- */

static bool has_control(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
			return true;
	return false;
}

/* @line is followed by a NUL. */
static void read_line(struct reader *r, const char *line, size_t len)
{
	const char *text = line + strspn(line, BLANKS);

	if (!utf8_valid(line, len))
		config_note(r->c, r->place, "not UTF-8");
	else if (has_control(line, len))
		config_note(r->c, r->place, "a control character");
	else if (*text == '[')
		read_heading(r, text);
	else if (*text && *text != '#')
		read_key(r, text);
}

static void read_lines(struct reader *r, char *text, size_t len)
{
	char *at = text, *end = text + len;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		at += 3; /* the mark that some editors put first */
	while (at < end) {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		char *stop = newline ? newline : end;

		if (stop > at && stop[-1] == '\r')
			stop--;
		*stop = '\0';
		r->place.line++;
		read_line(r, at, (size_t)(stop - at));
		at = newline ? newline + 1 : end;
	}
}

/* Reads up to FILE_MAX + 1 bytes; false with errno. */
static bool read_bytes(const char *path, struct buf *b)
{
	freed_by(close_fdp) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return false;
	buf_reserve(b, FILE_MAX + 1);
	while (b->len <= FILE_MAX) {
		ssize_t got = read(fd, b->data + b->len, FILE_MAX + 1 - b->len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0;
		b->len += (size_t)got;
	}
	return true;
}

bool config_file_read(struct config *c, void *values)
{
	struct reader r = {.c = c, .values = values};
	freed_by(buf_release) struct buf bytes = {0};

	if (!read_bytes(c->origins->path, &bytes)) {
		config_note(c, r.place, "could not be read: %s", strerror(errno));
		return false;
	}
	if (bytes.len > FILE_MAX) {
		config_note(c, r.place, "more than %zu bytes", FILE_MAX);
		return false;
	}
	read_lines(&r, bytes.data, bytes.len);
	explicit_bzero(bytes.data, bytes.len);
	free(r.section);
	return true;
}
