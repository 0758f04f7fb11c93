#include "common/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/rfc3339.h"
#include "common/json.h"
#include "common/utf8.h"

#define MOST_BYTES 1024 /* of one value; more is cut, and says so */

static _Atomic(enum log_format) chosen_format = LOG_LOGFMT;
static _Atomic(enum log_level) chosen_level = LOG_INFO;

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARN] = "warn",
	[LOG_ERROR] = "error",
};

void log_setup(enum log_format format, enum log_level level)
{
	chosen_format = format;
	chosen_level = level;
}

bool log_enabled(enum log_level level)
{
	return level >= chosen_level;
}

/* @text as valid UTF-8 that is not too long. */
static void add_tidied(struct buf *b, const char *text)
{
	size_t len = strlen(text), at = 0;

	while (at < len) {
		size_t size = utf8_char(text + at, len - at);

		if (at + size > MOST_BYTES) {
			buf_add_text(b, "…");
			return;
		}
		if (size)
			buf_add(b, text + at, size);
		else
			buf_add_text(b, "\uFFFD");
		at += size ? size : 1;
	}
}

static bool stands_bare(const struct buf *text)
{
	for (size_t i = 0; i < text->len; i++) {
		unsigned char c = (unsigned char)text->data[i];

		if (c <= ' ' || c == 0x7f || c == '"' || c == '=' || c == '\\')
			return false;
	}
	return text->len > 0;
}

static void add_text(struct buf *line, enum log_format format, const char *text)
{
	freed_by(buf_release) struct buf tidy = {0};

	add_tidied(&tidy, text);
	if (format == LOG_LOGFMT && stands_bare(&tidy))
		buf_add(line, tidy.data, tidy.len);
	else
		json_put_text(line, buf_slice(&tidy)); /* logfmt quotes as JSON does */
}

static void add_key(struct buf *line, enum log_format format, const char *key)
{
	if (format == LOG_JSON) {
		json_put_name(line, key);
		return;
	}
	if (line->len)
		buf_add_char(line, ' ');
	buf_add_text(line, key);
	buf_add_char(line, '=');
}

static void add_line(
	struct buf *line, enum log_level level, const char *msg, const struct log_field *fields)
{
	enum log_format format = chosen_format;
	char now[RFC3339_SIZE];

	rfc3339_text(clock_wall_ms(), now);
	if (format == LOG_JSON)
		buf_add_char(line, '{');
	add_key(line, format, "time");
	add_text(line, format, now);
	add_key(line, format, "level");
	add_text(line, format, level_names[level]);
	add_key(line, format, "msg");
	add_text(line, format, msg);
	for (; fields && fields->key; fields++) {
		add_key(line, format, fields->key);
		if (fields->text)
			add_text(line, format, fields->text);
		else
			buf_addf(line, "%lld", (long long)fields->number);
	}
	buf_add_text(line, format == LOG_JSON ? "}\n" : "\n");
}

/* A reader that went away or is full costs lines, never the worker. */
static void put_out(const char *data, size_t len)
{
	while (len) {
		ssize_t put = write(STDERR_FILENO, data, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return;
		data += put;
		len -= (size_t)put;
	}
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
	freed_by(buf_release) struct buf line = {0};
	int kept_errno = errno;

	if (!log_enabled(level))
		return;
	add_line(&line, level, msg, fields);
	put_out(line.data, line.len);
	errno = kept_errno;
}
