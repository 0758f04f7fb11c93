/*
 * common/buf.h - bytes that grow.
 *
 * An empty heap aborts, so nothing here fails.  {0} is an empty buffer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base.h"

struct buf {
	char *data; /* NULL while nothing was ever added; else NUL-terminated at data[len] */
	size_t len;
	size_t cap;
};

void buf_release(struct buf *b);
/** Empties @b and keeps its memory. */
void buf_clear(struct buf *b);
/** Makes room for @more bytes behind the end. */
void buf_reserve(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_add_char(struct buf *b, char c);
void buf_add_text(struct buf *b, const char *text);
void buf_addf(struct buf *b, const char *fmt, ...) printf_like(2, 3);
/** Big-endian integers, as PostgreSQL's binary format and our digests want them. */
void buf_add_be16(struct buf *b, uint16_t v);
void buf_add_be32(struct buf *b, uint32_t v);
void buf_add_be64(struct buf *b, uint64_t v);
void buf_add_hex(struct buf *b, const void *data, size_t len);
struct slice buf_slice(const struct buf *b);
