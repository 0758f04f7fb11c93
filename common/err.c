#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that was cut ends with a whole character. */
static void end_cleanly(char *text)
{
	size_t len = strlen(text), start = len;
	unsigned char lead;
	size_t want;

	while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	if (!start)
		return;
	lead = (unsigned char)text[--start];
	want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (len - start < want)
		text[start] = '\0';
}

static printf_like(2, 0) void print_text(struct err *err, const char *fmt, va_list args)
{
	int len = vsnprintf(err->text, sizeof(err->text), fmt, args);

	if (len < 0)
		err->text[0] = '\0';
	else if ((size_t)len >= sizeof(err->text))
		end_cleanly(err->text);
}

int err_set(struct err *err, enum err_kind kind, int code, const char *fmt, ...)
{
	struct err new_err; /* the arguments may point into @err */
	va_list args;

	if (!err)
		return -1;
	new_err.kind = kind;
	new_err.code = code;
	va_start(args, fmt);
	print_text(&new_err, fmt, args);
	va_end(args);
	err->kind = new_err.kind;
	err->code = new_err.code;
	memcpy(err->text, new_err.text, strlen(new_err.text) + 1);
	return -1;
}

int err_prefix(struct err *err, const char *fmt, ...)
{
	struct err prefix;
	char joined[2 * sizeof(err->text) + 2];
	va_list args;
	int len;

	if (!err)
		return -1;
	va_start(args, fmt);
	print_text(&prefix, fmt, args);
	va_end(args);
	len = snprintf(joined, sizeof(joined), "%s: %s", prefix.text, err->text);
	joined[sizeof(err->text) - 1] = '\0';
	memcpy(err->text, joined, sizeof(err->text));
	if ((size_t)len >= sizeof(err->text))
		end_cleanly(err->text);
	return -1;
}
