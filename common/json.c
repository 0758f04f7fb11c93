#include "common/json.h"

#include <jansson.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef json_is_true /* ours is a function */

#define DEEPEST 2048 /* where jansson itself stops */

/*
 * Levels are counted before jansson recurses.  Bytes that are no JSON may be
 * miscounted here; jansson refuses them anyway.  True when @max_depth is kept.
 */
static bool depth_is_kept(struct slice bytes, unsigned max_depth, int *ret_line, int *ret_column)
{
	const char *line_start = bytes.data;
	unsigned depth = 0;
	bool quoted = false;
	int line = 1;

	for (const char *at = bytes.data; at < bytes.data + bytes.len; at++) {
		if (*at == '\n') {
			line++;
			line_start = at + 1;
		} else if (quoted && *at == '\\') {
			at++;
		} else if (*at == '"') {
			quoted = !quoted;
		} else if (!quoted && (*at == ']' || *at == '}')) {
			depth -= depth > 0;
		} else if (!quoted && (*at == '[' || *at == '{') && ++depth > max_depth) {
			*ret_line = line;
			*ret_column = (int)(at - line_start + 1);
			return false;
		}
	}
	return true;
}

/* jansson's own text quotes the input. */
static const char *reason_of(const json_error_t *error)
{
	switch (json_error_code(error)) {
	case json_error_stack_overflow:
		return "too many levels";
	case json_error_invalid_utf8:
		return "invalid UTF-8";
	case json_error_premature_end_of_input:
		return "it ends too early";
	case json_error_end_of_input_expected:
		return "something stands behind the value";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "a NUL character";
	case json_error_duplicate_key:
		return "a duplicate key";
	case json_error_numeric_overflow:
		return "a number out of range";
	case json_error_invalid_syntax:
	case json_error_unknown:
	case json_error_cannot_open_file:
	case json_error_invalid_argument:
	case json_error_invalid_format:
	case json_error_wrong_type:
	case json_error_null_value:
	case json_error_item_not_found:
	case json_error_index_out_of_range:
		return "malformed";
	case json_error_out_of_memory:
		abort();
	}
	return "malformed";
}

int json_read(struct slice bytes, unsigned max_depth, struct json_t **ret, struct err *err)
{
	json_error_t error = {0};
	int line, column;
	json_t *value;

	if (!bytes.data || !bytes.len)
		return err_set(err, ERR_REJECTED, 0, "no JSON: it is empty");
	if (max_depth > DEEPEST)
		max_depth = DEEPEST;
	if (!depth_is_kept(bytes, max_depth, &line, &column))
		return err_set(err, ERR_REJECTED, 0,
			"no JSON: more than %u levels, line %d, column %d", max_depth, line,
			column);

	value = json_loadb(bytes.data, bytes.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!value)
		return err_set(err, ERR_REJECTED, (int)json_error_code(&error),
			"no JSON: %s, line %d, column %d", reason_of(&error), error.line,
			error.column);
	*ret = value;
	return 0;
}

void json_drop(struct json_t *value)
{
	json_decref(value);
}

enum json_kind json_kind(const struct json_t *value)
{
	if (!value)
		return JSON_IS_NONE;
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return JSON_IS_OBJECT;
	case JSON_ARRAY:
		return JSON_IS_LIST;
	case JSON_STRING:
		return JSON_IS_TEXT;
	case JSON_INTEGER:
		return JSON_IS_INT;
	case JSON_REAL:
		return JSON_IS_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_IS_BOOL;
	case JSON_NULL:
		return JSON_IS_NULL;
	}
	return JSON_IS_NONE;
}

struct json_t *json_member(const struct json_t *object, const char *name)
{
	return json_object_get(object, name);
}

struct json_t *json_item(const struct json_t *list, size_t index)
{
	return json_array_get(list, index);
}

size_t json_count(const struct json_t *value)
{
	return json_is_object(value) ? json_object_size(value) : json_array_size(value);
}

struct slice json_slice(const struct json_t *value)
{
	return (struct slice){json_string_value(value), json_string_length(value)};
}

const char *json_member_text(const struct json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

bool json_is_true(const struct json_t *value)
{
	return value && json_typeof(value) == JSON_TRUE;
}

bool json_to_int(const struct json_t *value, int64_t *ret)
{
	if (!json_is_integer(value))
		return false;
	*ret = json_integer_value(value);
	return true;
}

bool json_walk(const struct json_t *object, struct json_walk *w)
{
	json_t *walked = (json_t *)object; /* jansson's iterators could write; ours do not */

	w->iter = w->iter ? json_object_iter_next(walked, w->iter) : json_object_iter(walked);
	if (!w->iter)
		return false;
	w->name = json_object_iter_key(w->iter);
	w->name_len = strlen(w->name); /* names hold no NUL */
	w->value = json_object_iter_value(w->iter);
	return true;
}

static void put_real(struct buf *b, double real)
{
	char text[40]; /* 17 digits, sign, point, exponent */
	char *point;

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, real);
		if (strtod(text, NULL) == real)
			break;
	}
	point = strpbrk(text, localeconv()->decimal_point);
	if (point)
		*point = '.';
	buf_add_text(b, text);
	if (!strpbrk(text, ".e"))
		buf_add_text(b, ".0"); /* or it would read back as an integer */
}

static void put_list(struct buf *b, const json_t *list)
{
	buf_add_char(b, '[');
	for (size_t i = 0; i < json_array_size(list); i++) {
		if (i)
			buf_add_char(b, ',');
		json_put(b, json_array_get(list, i));
	}
	buf_add_char(b, ']');
}

static void put_object(struct buf *b, const json_t *object)
{
	struct json_walk w = {0};
	bool first = true;

	buf_add_char(b, '{');
	for (; json_walk(object, &w); first = false) {
		if (!first)
			buf_add_char(b, ',');
		json_put_text(b, (struct slice){w.name, w.name_len});
		buf_add_char(b, ':');
		json_put(b, w.value);
	}
	buf_add_char(b, '}');
}

void json_put(struct buf *b, const struct json_t *value)
{
	switch (json_kind(value)) {
	case JSON_IS_NONE:
	case JSON_IS_NULL:
		buf_add_text(b, "null");
		return;
	case JSON_IS_BOOL:
		buf_add_text(b, json_is_true(value) ? "true" : "false");
		return;
	case JSON_IS_INT:
		buf_addf(b, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return;
	case JSON_IS_REAL:
		put_real(b, json_real_value(value));
		return;
	case JSON_IS_TEXT:
		json_put_text(b, json_slice(value));
		return;
	case JSON_IS_LIST:
		put_list(b, value);
		return;
	case JSON_IS_OBJECT:
		put_object(b, value);
		return;
	}
}

static void put_escaped(struct buf *b, char c)
{
	static const char short_forms[][2] = {{'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
		{'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}};

	for (size_t i = 0; i < ARRAY_LEN(short_forms); i++)
		if (short_forms[i][0] == c) {
			buf_add(b, (char[]){'\\', short_forms[i][1]}, 2);
			return;
		}
	buf_addf(b, "\\u%04x", (unsigned)(unsigned char)c);
}

void json_put_text(struct buf *b, struct slice s)
{
	size_t done = 0;

	buf_reserve(b, s.len + 2);
	buf_add_char(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.data[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(b, s.data + done, i - done);
		put_escaped(b, s.data[i]);
		done = i + 1;
	}
	if (s.len)
		buf_add(b, s.data + done, s.len - done);
	buf_add_char(b, '"');
}

void json_put_name(struct buf *b, const char *name)
{
	if (b->len && b->data[b->len - 1] != '{')
		buf_add_char(b, ',');
	json_put_text(b, (struct slice){name, strlen(name)});
	buf_add_char(b, ':');
}

const char *json_library_version(void)
{
	return jansson_version_str();
}
