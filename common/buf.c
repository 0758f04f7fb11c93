#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

#define FIRST_CAP 64

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

void buf_reserve(struct buf *b, size_t more)
{
	size_t need, cap = b->cap ? b->cap : FIRST_CAP;

	if (__builtin_add_overflow(b->len, more, &need) || need > SIZE_MAX / 2 - 1)
		abort();
	need++; /* the NUL */
	if (b->data && need <= b->cap)
		return;
	while (cap < need)
		cap *= 2;
	b->data = mem_grow(b->data, cap);
	b->data[b->len] = '\0';
	b->cap = cap;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	buf_reserve(b, len);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
}

void buf_add_char(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_add_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list args, again;
	int len;

	va_start(args, fmt);
	va_copy(again, args);
	buf_reserve(b, FIRST_CAP);
	len = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
	if (len < 0)
		abort();
	if ((size_t)len >= b->cap - b->len) {
		b->data[b->len] = '\0';
		buf_reserve(b, (size_t)len);
		vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
	}
	b->len += (size_t)len;
	va_end(again);
	va_end(args);
}

static void add_big_endian(struct buf *b, uint64_t v, unsigned size)
{
	unsigned char bytes[8];

	for (unsigned i = 0; i < size; i++)
		bytes[i] = (unsigned char)(v >> (8 * (size - 1 - i)));
	buf_add(b, bytes, size);
}

void buf_add_be16(struct buf *b, uint16_t v)
{
	add_big_endian(b, v, 2);
}

void buf_add_be32(struct buf *b, uint32_t v)
{
	add_big_endian(b, v, 4);
}

void buf_add_be64(struct buf *b, uint64_t v)
{
	add_big_endian(b, v, 8);
}

void buf_add_hex(struct buf *b, const void *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *at = data;

	if (len > SIZE_MAX / 4)
		abort();
	buf_reserve(b, 2 * len);
	for (size_t i = 0; i < len; i++) {
		b->data[b->len++] = digits[at[i] >> 4];
		b->data[b->len++] = digits[at[i] & 15];
	}
	b->data[b->len] = '\0';
}

struct slice buf_slice(const struct buf *b)
{
	/* nothing added is empty, not absent */
	return (struct slice){b->data ? b->data : "", b->len};
}
