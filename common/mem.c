#include "common/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *there(void *p)
{
	if (!p)
		abort();
	return p;
}

void *mem_new(size_t size)
{
	return there(calloc(1, size ? size : 1));
}

void *mem_grow(void *p, size_t size)
{
	return there(realloc(p, size ? size : 1));
}

char *mem_text(const char *text)
{
	return text ? there(strdup(text)) : NULL;
}

char *mem_slice_text(struct slice s)
{
	char *copy;

	if (!s.data)
		return NULL;
	copy = mem_grow(NULL, s.len + 1);
	memcpy(copy, s.data, s.len);
	copy[s.len] = '\0';
	return copy;
}

char *mem_textf(const char *fmt, ...)
{
	va_list args, again;
	char *text;
	int len;

	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	if (len < 0)
		abort();
	text = mem_grow(NULL, (size_t)len + 1);
	vsnprintf(text, (size_t)len + 1, fmt, again);
	va_end(again);
	va_end(args);
	return text;
}

void mem_freep(char **p)
{
	free(*p);
}
