#include "buf.h"

#include <stdarg.h>
#include <stdio.h>

void buf_release(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
	buf->len_bytes = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

void buf_reserve(struct buf *buf, size_t more_bytes)
{
	size_t need = buf->len_bytes + more_bytes + 1;
	size_t size = buf->size_bytes ? buf->size_bytes : 64;

	if (need <= buf->size_bytes)
		return;
	while (size < need)
		size *= 2;
	buf->data = must(realloc(buf->data, size));
	buf->size_bytes = size;
}

void buf_add(struct buf *buf, const void *bytes, size_t len_bytes)
{
	buf_reserve(buf, len_bytes);
	if (len_bytes)
		memcpy(buf->data + buf->len_bytes, bytes, len_bytes);
	buf->len_bytes += len_bytes;
	buf->data[buf->len_bytes] = '\0';
}

void buf_adds(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void buf_addf(struct buf *buf, const char *format, ...)
{
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	assert(len >= 0);
	buf_reserve(buf, (size_t)len);
	va_start(args, format);
	(void)vsnprintf(buf->data + buf->len_bytes, (size_t)len + 1, format, args);
	va_end(args);
	buf->len_bytes += (size_t)len;
}

static void add_escaped(struct buf *buf, unsigned char c)
{
	char text[8] = {'\\', (char)c};

	switch (c) {
	case '\n':
		text[1] = 'n';
		break;
	case '\r':
		text[1] = 'r';
		break;
	case '\t':
		text[1] = 't';
		break;
	case '"':
	case '\\':
		break;
	default:
		(void)snprintf(text, sizeof(text), "\\u%04x", c);
	}
	buf_adds(buf, text);
}

void buf_add_json_string_n(struct buf *buf, const char *text, size_t len_bytes)
{
	size_t from = 0;

	buf_add(buf, "\"", 1);
	for (size_t i = 0; i < len_bytes; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(buf, text + from, i - from);
		add_escaped(buf, c);
		from = i + 1;
	}
	buf_add(buf, text + from, len_bytes - from);
	buf_add(buf, "\"", 1);
}

void buf_add_json_string(struct buf *buf, const char *text)
{
	if (!text)
		buf_adds(buf, "null");
	else
		buf_add_json_string_n(buf, text, strlen(text));
}

static int add_piece(const char *bytes, size_t len_bytes, void *data)
{
	buf_add(data, bytes, len_bytes);
	return 0;
}

void buf_add_json(struct buf *buf, const json_t *value)
{
	if (json_is_string(value)) {
		buf_add_json_string_n(buf, json_string_value(value), json_string_length(value));
		return;
	}
	(void)json_dump_callback(value, add_piece, buf, JSON_COMPACT | JSON_ENCODE_ANY);
}

const char *buf_text(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}
