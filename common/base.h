/*
 * common/base.h - the few words every file uses.
 */
#pragma once

#include <stddef.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, first) __attribute__((format(printf, fmt, first)))

/** An owning local: @fn is called with its address when it leaves its scope. */
#define freed_by(fn) __attribute__((cleanup(fn)))

/** Hands an owning pointer over: its value, and NULL stays behind. */
#define steal(p)                                                                                   \
	({                                                                                         \
		__typeof__(*(p)) stolen_ = *(p);                                                   \
		*(p) = NULL;                                                                       \
		stolen_;                                                                           \
	})

/** Defines FN##p(), the freed_by() form of a destructor that takes one pointer. */
#define DEFINE_FREEP(type, fn)                                                                     \
	static inline void fn##p(type **p)                                                         \
	{                                                                                          \
		fn(*p);                                                                            \
	}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/** Bytes that belong to somebody else; not NUL-terminated unless its source says so. */
struct slice {
	const char *data; /* NULL: absent, which is not the same as empty */
	size_t len;
};

#define SLICE(literal) ((struct slice){literal, sizeof(literal) - 1})
