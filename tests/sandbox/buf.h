/*
 * tests/sandbox/buf.h - bytes that grow; also the writer of JSON text.
 *
 * {0} is an empty buffer.  The bytes are followed by a NUL that does not count.
 */
#pragma once

#include <jansson.h>

#include "base.h"

struct buf {
	char *data; /* NULL while nothing was added */
	size_t len_bytes;
	size_t size_bytes;
};

void buf_release(struct buf *buf);
void buf_clear(struct buf *buf);
void buf_reserve(struct buf *buf, size_t more_bytes);
void buf_add(struct buf *buf, const void *bytes, size_t len_bytes);
void buf_adds(struct buf *buf, const char *text);
void buf_addf(struct buf *buf, const char *format, ...) printf_like(2, 3);

/** Adds @text as a JSON string with its quotes; NULL becomes null.  @text is UTF-8. */
void buf_add_json_string(struct buf *buf, const char *text);
void buf_add_json_string_n(struct buf *buf, const char *text, size_t len_bytes);
void buf_add_json(struct buf *buf, const json_t *value);

/** The text of @buf, never NULL. */
const char *buf_text(const struct buf *buf);
