/*
 * tests/sandbox/base.h - the few words every file of the sandbox uses.
 *
 * An owning local carries freed_by(fn); steal() hands it over.  Memory that
 * cannot be had aborts: the sandbox is a test tool, a crash is an answer.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define freed_by(fn) __attribute__((cleanup(fn)))
#define must_check __attribute__((warn_unused_result))
#define printf_like(text, first) __attribute__((format(printf, text, first)))
#define LENGTH_OF(array) (sizeof(array) / sizeof((array)[0]))

#define steal(p)                                                                                   \
	({                                                                                         \
		__auto_type steal_from = (p);                                                      \
		__auto_type steal_was = *steal_from;                                               \
		*steal_from = NULL;                                                                \
		steal_was;                                                                         \
	})

static inline void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static inline void charp_free(char **text)
{
	free(*text);
}
