/*
 * common/arena.h - memory that is freed all at once.
 *
 * For what lives as long as a batch or an event.  An empty heap aborts.  {0} is empty.
 */
#pragma once

#include <stddef.h>

#include "common/base.h"

struct arena_block;
struct arena {
	struct arena_block *head;
	size_t used_bytes; /* given out since the last clear, for memory accounting */
};

/** Zeroed, aligned for any type.  Valid until the arena is cleared or released. */
void *arena_alloc(struct arena *a, size_t size);
/** A NUL-terminated copy. */
char *arena_copy(struct arena *a, const void *data, size_t len);
char *arena_text(struct arena *a, const char *text);
/** A copy of @s, NUL-terminated behind its end; absent stays absent. */
struct slice arena_slice(struct arena *a, struct slice s);
void arena_clear(struct arena *a);
void arena_release(struct arena *a);
