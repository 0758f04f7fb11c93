/*
 * common/json.h - the door to jansson: reads strictly, writes compactly.
 *
 * Reading refuses duplicate keys, NUL characters, invalid UTF-8 and anything
 * behind the value.  The names avoid jansson's own, which link beside them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base.h"
#include "common/buf.h"
#include "common/err.h"

struct json_t; /* jansson's value */

enum json_kind {
	JSON_IS_NONE,
	JSON_IS_NULL,
	JSON_IS_BOOL,
	JSON_IS_INT,
	JSON_IS_REAL,
	JSON_IS_TEXT,
	JSON_IS_LIST,
	JSON_IS_OBJECT
};

/** Reads one value of at most @max_depth levels; the caller owns *@ret.  REJECTED with line and
 * column, never with content. */
must_check int json_read(
	struct slice bytes, unsigned max_depth, struct json_t **ret, struct err *err);
void json_drop(struct json_t *value);
DEFINE_FREEP(struct json_t, json_drop)

/** What kind @value is; JSON_IS_NONE for NULL. */
enum json_kind json_kind(const struct json_t *value);
/** Borrowed; NULL when @object is no object or has no such member. */
struct json_t *json_member(const struct json_t *object, const char *name);
/** Borrowed; NULL behind the end or when @list is no list. */
struct json_t *json_item(const struct json_t *list, size_t index);
/** Members or items; 0 for anything else. */
size_t json_count(const struct json_t *value);
/** Borrowed, NUL-terminated; absent unless @value is a text. */
struct slice json_slice(const struct json_t *value);
/** The text of member @name, NULL when it is absent or no text. */
const char *json_member_text(const struct json_t *object, const char *name);
bool json_is_true(const struct json_t *value);
bool json_to_int(const struct json_t *value, int64_t *ret);

struct json_walk {
	void *iter;
	const char *name; /* borrowed, NUL-terminated */
	size_t name_len;
	struct json_t *value; /* borrowed */
};
/** Walks the members in their order: `struct json_walk w = {0}; while (json_walk(object, &w))`. */
bool json_walk(const struct json_t *object, struct json_walk *w);

/** Appends @value compactly; numbers in the fewest digits that read back equal. */
void json_put(struct buf *b, const struct json_t *value);
/** Appends a quoted, escaped JSON string; @s must be valid UTF-8. */
void json_put_text(struct buf *b, struct slice s);
/** Appends `"name":` with a comma before it unless the object just began. */
void json_put_name(struct buf *b, const char *name);

const char *json_library_version(void);
