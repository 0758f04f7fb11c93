/*
 * tests/fuzz/fuzz.h - what the harnesses share.  For one program each: all static.
 *
 * A harness reads one input, and asserts what must hold whatever it says.  It
 * is linked with libFuzzer, or with replay.c, which runs saved inputs.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base.h"
#include "common/secret.h"
#include "common/utf8.h"

/** 0, always: what is wrong ends the process.  https://llvm.org/docs/LibFuzzer.html */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Up to the next newline, which is taken too. */
static inline struct slice fuzz_line(struct slice *rest)
{
	const char *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
	struct slice line = {rest->data, end ? (size_t)(end - rest->data) : rest->len};
	size_t taken = line.len + (end != NULL);

	rest->data += taken;
	rest->len -= taken;
	return line;
}

/** A leading line "#…", without its mark: settings that stand before the bytes to read. */
static inline bool fuzz_head(struct slice *rest, struct slice *ret)
{
	if (!rest->len || rest->data[0] != '#')
		return false;
	*ret = fuzz_line(rest);
	ret->data++;
	ret->len--;
	return true;
}

/** The digits at the head of @s, at most @max; what follows them stays in @s. */
static inline int fuzz_number(struct slice *s, int max)
{
	int value = 0;

	while (s->len && s->data[0] == ' ') {
		s->data++;
		s->len--;
	}
	for (; s->len && s->data[0] >= '0' && s->data[0] <= '9'; s->data++, s->len--)
		value = value > max ? value : 10 * value + (s->data[0] - '0');
	return value > max ? max : value;
}

/** A copy of exactly that length, so that a byte too far is seen; to free().  Absent stays absent.
 */
static inline char *fuzz_copy(struct slice s)
{
	char *copy = s.data ? malloc(s.len + (s.len == 0)) : NULL;

	assert(copy || !s.data);
	if (s.len)
		memcpy(copy, s.data, s.len);
	return copy;
}

/** A copy that ends with a NUL; to free(). */
static inline char *fuzz_text(struct slice s)
{
	char *text = malloc(s.len + 1);

	assert(text);
	if (s.len)
		memcpy(text, s.data, s.len);
	text[s.len] = '\0';
	return text;
}

static inline void fuzz_freep(char **p)
{
	free(*p);
}

/** The path of a file that holds just these bytes, until the next call. */
static inline const char *fuzz_file(struct slice s)
{
	static char path[64];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", 0);
		assert(fd >= 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (ftruncate(fd, 0) != 0 || pwrite(fd, s.data, s.len, 0) != (ssize_t)s.len)
		abort();
	return path;
}

/** One ring for the whole run. */
static inline const struct secret_ring *fuzz_ring(void)
{
	static struct secret_ring *ring;
	struct err err;

	if (!ring &&
		(secret_start(&err) < 0 ||
			secret_ring_open(fuzz_file(SLICE("fuzz 000102030405060708090a0b0c0d0e0f"
							 "101112131415161718191a1b1c1d1e1f\n")),
				&ring, &err) < 0))
		abort();
	return ring;
}

static inline bool fuzz_is_same(struct slice a, struct slice b)
{
	return a.len == b.len && !a.data == !b.data && (!a.len || !memcmp(a.data, b.data, a.len));
}

/** Characters of @set only. */
static inline bool fuzz_is_of(struct slice s, const char *set)
{
	for (size_t i = 0; i < s.len; i++)
		if (!s.data[i] || !strchr(set, s.data[i]))
			return false;
	return true;
}

#define FUZZ_DIGITS "0123456789"
#define FUZZ_UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define FUZZ_LOWER "abcdefghijklmnopqrstuvwxyz"

/** UTF-8 without C0 and DEL. */
static inline bool fuzz_is_line(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.data[i] < ' ' || s.data[i] == 0x7f)
			return false;
	return utf8_valid(s.data, s.len);
}

/** How often @text stands in @s. */
static inline size_t fuzz_count(struct slice s, const char *text)
{
	size_t len = strlen(text), count = 0;

	for (size_t i = 0; i + len <= s.len; i++)
		count += !memcmp(s.data + i, text, len);
	return count;
}
